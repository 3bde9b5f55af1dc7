/* SPDX-License-Identifier: MIT */
#include "caps.h"

#include "common/bytes.h"

/* The bit of a raw format, which is added if need be. */
static uint32_t raw_bit(struct video_caps *c, enum video_format raw)
{
	unsigned i = 0;

	while (i < c->n_raw && c->raw[i] != raw)
		i++;
	if (i == c->n_raw)
		c->raw[c->n_raw++] = raw;
	return (uint32_t)BIT(i);
}

static uint32_t raw_bits(
	struct video_caps *c, const struct engine_answer *a, const struct dialect *dialect)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < a->capability.n_fourccs; i++)
		for (unsigned f = VIDEO_NONE + 1; f < VIDEO_RAW_END; f++)
			if (video_format_fourcc((enum video_format)f) == a->capability.fourccs[i]
				&& dialect->knows((enum video_format)f))
				bits |= raw_bit(c, (enum video_format)f);
	return bits;
}

static const struct engine_answer *best(const struct engine_list *list, enum video_format f)
{
	for (unsigned i = 0; i < list->n; i++)
		if (list->capabilities[i].capability.codec == video_format_codec(f))
			return &list->capabilities[i];
	return NULL;
}

static uint32_t most(uint32_t side)
{
	return (uint32_t)min_u64(side, VIDEO_SIDE_MAX);
}

struct video_caps video_caps_of(
	const struct engine_list *list, const struct dialect *dialect, uint32_t wanted)
{
	struct video_caps c = {0};

	for (unsigned f = VIDEO_RAW_END; f < VIDEO_FORMATS; f++) {
		const struct engine_answer *a = best(list, (enum video_format)f);
		struct video_coded *coded = &c.coded[c.n_coded];

		if (!a || !(wanted >> f & 1) || !dialect->knows((enum video_format)f))
			continue;
		*coded = (struct video_coded){
			.format = (enum video_format)f,
			.raw = raw_bits(&c, a, dialect),
			.min_width = a->capability.min_width ? a->capability.min_width : 1,
			.max_width = most(a->capability.max_width),
			.min_height = a->capability.min_height ? a->capability.min_height : 1,
			.max_height = most(a->capability.max_height),
		};
		if (coded->raw && coded->min_width <= coded->max_width
			&& coded->min_height <= coded->max_height)
			c.n_coded++;
	}
	return c;
}
