/* SPDX-License-Identifier: MIT */
#include "video_units.h"

#include <stdlib.h>
#include <string.h>

#include "protocols/virtio_video_v3.h"
#include "video/null.h"

static void add(struct clip *c, const struct null_unit *u)
{
	struct clip_unit *to;

	c->units = realloc(c->units, (c->n + 1) * sizeof(*c->units));
	to = &c->units[c->n];
	to->size = sizeof(*u);
	to->bytes = malloc(sizeof(*u));
	to->pts = 1000 * (uint64_t)++c->n;
	memcpy(to->bytes, u, sizeof(*u));
}

void units_add(struct clip *c, uint32_t width, uint32_t height, bool held)
{
	add(c, &(struct null_unit){width, height, held, 0});
}

void units_add_error(struct clip *c)
{
	add(c, &(struct null_unit){.error = 1});
}

static uint64_t hash_plane(uint64_t hash, uint64_t number, unsigned plane, const uint32_t size[2])
{
	uint8_t row[8192];

	for (uint32_t y = 0; y < size[1]; y++) {
		for (uint32_t x = 0; x < size[0]; x++)
			row[x] = null_pixel(number, plane, x, y);
		hash = clip_hash(hash, row, size[0]);
	}
	return hash;
}

static uint64_t hash_pairs(uint64_t hash, uint64_t number, const uint32_t size[2])
{
	uint8_t row[8192];

	for (uint32_t y = 0; y < size[1]; y++) {
		for (uint32_t x = 0; x < 2 * size[0]; x++)
			row[x] = null_pixel(number, 1 + x % 2, x / 2, y);
		hash = clip_hash(hash, row, 2 * size[0]);
	}
	return hash;
}

static uint64_t hash_picture(uint64_t number, uint32_t width, uint32_t height, uint32_t raw)
{
	const uint32_t luma[] = {width, height}, chroma[] = {(width + 1) / 2, (height + 1) / 2};
	uint64_t hash = hash_plane(CLIP_HASH_BEGIN, number, 0, luma);

	if (raw != VIRTIO_VIDEO_FORMAT_YUV420)
		return hash_pairs(hash, number, chroma);
	hash = hash_plane(hash, number, 1, chroma);
	return hash_plane(hash, number, 2, chroma);
}

void units_draw(struct clip_pictures *p, const struct clip *c, uint32_t raw, unsigned from)
{
	p->pictures = calloc(c->n, sizeof(*p->pictures));
	for (unsigned i = 0; i < c->n; i++) {
		struct null_unit u;

		memcpy(&u, c->units[i].bytes, sizeof(u));
		if (u.width && u.height)
			p->pictures[p->n++] = (struct clip_picture){u.width, u.height,
				c->units[i].pts, hash_picture(from + i, u.width, u.height, raw)};
	}
}

void units_make(struct clip *c, unsigned n, uint32_t width, uint32_t height)
{
	for (unsigned i = 0; i < n; i++)
		units_add(c, width, height, i % 4 == 1);
}

void units_expect(struct player *p, const struct clip *c, unsigned from)
{
	struct clip_pictures wanted = {0};

	units_draw(&wanted, c, p->raw ? p->raw : VIRTIO_VIDEO_FORMAT_NV12, from);
	player_compare(p, &wanted);
	p->n_pictures = 0;
	clip_free_pictures(&wanted);
}
