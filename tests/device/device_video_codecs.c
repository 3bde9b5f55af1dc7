/* SPDX-License-Identifier: MIT */
/* Clips of all codecs through a stream's part: pictures and timestamps as the host's own pipeline has them. */
#include "engine_clip.h"
#include "engine_rig.h"
#include "unit/unit.h"

#include <drm_fourcc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "video/gst.h"

#define SOURCE(n, w, h)                                                                            \
	"videotestsrc num-buffers=" #n " pattern=ball ! video/x-raw,format=I420,framerate=30/1,"   \
	"width=" #w ",height=" #h " ! "
#define X264(options)                                                                              \
	"x264enc key-int-max=20 " options                                                          \
	" ! video/x-h264,profile=high ! h264parse config-interval=-1 ! "                           \
	"video/x-h264,stream-format=byte-stream,alignment=au"
#define B_FRAMES "bframes=3 b-adapt=false"

static const struct sample {
	const char *name;
	uint32_t codec;
	const char *needs, *encoder, *caps, *decoder; // the decoder's elements
	const char *element;                          // its name
} samples[] = {
	{"h264", ENGINE_H264, "x264enc", SOURCE(50, 320, 240) X264(B_FRAMES),
		"video/x-h264,stream-format=byte-stream,alignment=au",
		"h264parse ! avdec_h264 max-threads=1", "avdec_h264"},
};

static const struct {
	const char *name;
	uint32_t fourcc;
} formats[] = {{"NV12", DRM_FORMAT_NV12}, {"I420", DRM_FORMAT_YUV420}};

static void feed_all(struct rig *r, const struct clip *c)
{
	for (unsigned i = 0; i < c->n; i++)
		rig_feed(r, c->units[i].bytes, c->units[i].size, c->units[i].pts);
}

static void compare(const struct rig *r, const struct clip_pictures *wanted)
{
	for (unsigned i = 0; i < r->n_pictures && i < wanted->n; i++) {
		const struct rig_picture *p = &r->pictures[i];
		const struct clip_picture *w = &wanted->pictures[i];

		if (p->hash != w->hash || p->timestamp != w->pts)
			print_error("picture %u of %u: %llu for %llu, pixels %s\n", i, wanted->n,
				(unsigned long long)p->timestamp, (unsigned long long)w->pts,
				p->hash == w->hash ? "right" : "wrong");
		assert_true(p->width == w->width && p->height == w->height);
		assert_true(p->hash == w->hash && p->timestamp == w->pts);
	}
	assert_int_equal(r->n_pictures, wanted->n);
}

static void try(
	const struct sample *s, const struct clip *c, unsigned format, enum rig_memory memory)
{
	struct rig r = {.fourcc = formats[format].fourcc, .memory = memory, .pixels_queued = true};
	struct clip_pictures wanted = {0};

	clip_decode(&wanted, c, s->caps, s->decoder, formats[format].name);
	rig_open(&r, s->codec, s->element);
	feed_all(&r, c);
	assert_int_equal(rig_drain(&r), 0);
	compare(&r, &wanted);
	assert_int_equal(r.n_lasts, 1);
	rig_close(&r);
	clip_free_pictures(&wanted);
}

static void test_samples(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
		struct clip c = {0};

		clip_add(&c, samples[i].encoder);
		for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
			for (unsigned m = RIG_CONTIGUOUS; m <= RIG_RAGGED; m++)
				try(&samples[i], &c, f, (enum rig_memory)m);
		clip_free(&c);
	}
}

static void test_list(void **state)
{
	struct engine_list l;

	(void)state;
	assert_true(engine_list(&l, rig_loop, &rig_nursery, 60000000000ll));
	for (unsigned i = 0; i < l.n; i++)
		printf("%u %s%s %u-%ux%u-%u\n", l.capabilities[i].capability.codec,
			l.capabilities[i].capability.element,
			l.capabilities[i].capability.hardware ? " hw" : "",
			l.capabilities[i].capability.min_width,
			l.capabilities[i].capability.max_width,
			l.capabilities[i].capability.min_height,
			l.capabilities[i].capability.max_height);
}

static int begin(void **state)
{
	(void)state;
	rig_begin(GST_PART, false);
	clip_begin();
	return 0;
}

static int end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
