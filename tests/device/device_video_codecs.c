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
#define H264_UNITS  "video/x-h264,stream-format=byte-stream,alignment=au"
#define HEVC_UNITS  "video/x-h265,stream-format=byte-stream,alignment=au"
#define AV1_UNITS   "video/x-av1,stream-format=obu-stream,alignment=tu"
#define MPEG2_UNITS "video/mpeg,mpegversion=2,systemstream=false"
#define MPEG4_UNITS "video/mpeg,mpegversion=4,systemstream=false"

#define X264(options)                                                                              \
	"x264enc key-int-max=20 " options " ! h264parse config-interval=-1 ! " H264_UNITS
#define B_FRAMES "bframes=3 b-adapt=false"
#define X265                                                                                       \
	"x265enc speed-preset=ultrafast key-int-max=20 ! h265parse config-interval=-1 "            \
	"! " HEVC_UNITS
#define VP8 "vp8enc deadline=1 keyframe-max-dist=20"
#define VP9 "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=20"
#define AV1 "av1enc cpu-used=10 usage-profile=realtime ! av1parse ! " AV1_UNITS

static const struct sample {
	const char *name;
	uint32_t codec;
	const char *needs, *encoder, *caps, *decoder; // the decoder's elements
	const char *element;                          // its name
	bool thorough;                                // in all formats, and all kinds of memory
} samples[] = {
	{"h264 with B-frames", ENGINE_H264, "x264enc", SOURCE(50, 320, 240) X264(B_FRAMES),
		H264_UNITS, "h264parse ! avdec_h264 max-threads=1", "avdec_h264", true},
	{"h264 by openh264", ENGINE_H264, "x264enc openh264dec",
		SOURCE(30, 320, 240) X264("tune=zerolatency"), H264_UNITS,
		"h264parse ! openh264dec", "openh264dec"},
	{"h264 cropped", ENGINE_H264, "x264enc", SOURCE(4, 1918, 1078) X264(B_FRAMES), H264_UNITS,
		"h264parse ! avdec_h264 max-threads=1", "avdec_h264"},
	{"hevc", ENGINE_HEVC, "x265enc", SOURCE(30, 320, 240) X265, HEVC_UNITS,
		"h265parse ! avdec_h265 max-threads=1", "avdec_h265"},
	{"hevc by libde265", ENGINE_HEVC, "x265enc libde265dec", SOURCE(15, 320, 240) X265,
		HEVC_UNITS, "h265parse ! libde265dec max-threads=1", "libde265dec"},
	{"vp8", ENGINE_VP8, "vp8enc", SOURCE(30, 320, 240) VP8, "video/x-vp8", "vp8dec", "vp8dec"},
	{"vp8 of odd sides", ENGINE_VP8, "vp8enc",
		"videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=175,height=143 ! " VP8,
		"video/x-vp8", "vp8dec", "vp8dec", true},
	{"vp9", ENGINE_VP9, "vp9enc", SOURCE(30, 320, 240) VP9, "video/x-vp9", "vp9parse ! vp9dec",
		"vp9dec"},
	{"vp9 by libav", ENGINE_VP9, "vp9enc", SOURCE(30, 320, 240) VP9, "video/x-vp9",
		"vp9parse ! avdec_vp9 max-threads=1", "avdec_vp9"},
	{"av1", ENGINE_AV1, "av1enc av1dec", SOURCE(10, 320, 240) AV1, AV1_UNITS,
		"av1parse ! av1dec", "av1dec"},
	{"mpeg2", ENGINE_MPEG2, "mpeg2enc",
		SOURCE(12, 176, 144) "mpeg2enc format=3 b-per-refframe=2 ! mpegvideoparse",
		MPEG2_UNITS, "mpegvideoparse ! avdec_mpeg2video max-threads=1", "avdec_mpeg2video"},
	{"mpeg4", ENGINE_MPEG4, "avenc_mpeg4", SOURCE(30, 320, 240) "avenc_mpeg4 max-bframes=2",
		MPEG4_UNITS, "mpeg4videoparse ! avdec_mpeg4 max-threads=1", "avdec_mpeg4"},
	{"hevc of 10 bits", ENGINE_HEVC, "x265enc",
		"videotestsrc num-buffers=10 ! video/x-raw,format=I420_10LE,width=320,height=240 "
		"! " X265,
		HEVC_UNITS, "h265parse ! avdec_h265 max-threads=1", "avdec_h265", true},
};

static const struct {
	const char *name;
	uint32_t fourcc;
} formats[] = {
	{"NV12", DRM_FORMAT_NV12}, {"I420", DRM_FORMAT_YUV420}, {"BGRx", DRM_FORMAT_XRGB8888}};

static void feed_all(struct rig *r, const struct clip *c)
{
	for (unsigned i = 0; i < c->n; i++)
		rig_feed(r, c->units[i].bytes, c->units[i].size, c->units[i].pts);
}

/* Encoders of MPEG stamp in the order of coding or not at all, and a pipeline corrects that. */
static bool has_timestamps(const struct sample *s)
{
	return s->codec != ENGINE_MPEG2 && s->codec != ENGINE_MPEG4;
}

static void compare(const struct rig *r, const struct clip_pictures *wanted, bool timestamps)
{
	for (unsigned i = 0; i < r->n_pictures && i < wanted->n; i++) {
		const struct rig_picture *p = &r->pictures[i];
		const struct clip_picture *w = &wanted->pictures[i];

		if (p->hash != w->hash || (timestamps && p->timestamp != w->pts))
			print_error("picture %u of %u: %llu for %llu, pixels %s\n", i, wanted->n,
				(unsigned long long)p->timestamp, (unsigned long long)w->pts,
				p->hash == w->hash ? "right" : "wrong");
		assert_false(p->flags & ENGINE_BROKEN);
		assert_true(p->width == w->width && p->height == w->height);
		assert_true(p->hash == w->hash && (!timestamps || p->timestamp == w->pts));
	}
	assert_int_equal(r->n_pictures, wanted->n);
}

/* Each unit has its picture. */
static void check_timestamps(const struct rig *r, const struct clip *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		unsigned found = 0;

		for (unsigned k = 0; k < r->n_pictures; k++)
			found += r->pictures[k].timestamp == c->units[i].pts;
		assert_int_equal(found, 1);
	}
}

static void try(const struct sample *s, const struct clip *c, uint32_t fourcc,
	enum rig_memory memory, const struct clip_pictures *wanted)
{
	struct rig r = {.fourcc = fourcc, .memory = memory, .pixels_queued = true};

	rig_open(&r, s->codec, s->element);
	feed_all(&r, c);
	assert_int_equal(rig_drain(&r), 0);
	compare(&r, wanted, has_timestamps(s));
	check_timestamps(&r, c);
	assert_int_equal(r.n_lasts, 1);
	rig_close(&r);
}

static void try_all(const struct sample *s)
{
	struct clip c = {0};

	clip_add(&c, s->encoder);
	for (unsigned i = 0; i < c.n && !has_timestamps(s); i++)
		c.units[i].pts = i;
	for (unsigned f = 0; f < (s->thorough ? ARRAY_SIZE(formats) : 2); f++) {
		struct clip_pictures wanted = {0};

		clip_decode(&wanted, &c, s->caps, s->decoder, formats[f].name);
		for (unsigned m = RIG_CONTIGUOUS; m <= (s->thorough ? RIG_RAGGED : RIG_PAGES); m++)
			try(s, &c, formats[f].fourcc, (enum rig_memory)m, &wanted);
		clip_free_pictures(&wanted);
	}
	clip_free(&c);
}

static void test_samples(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
		bool here = clip_has(samples[i].needs);

		print_message("%s%s\n", here ? "" : "not here: ", samples[i].name);
		tried += here;
		if (here)
			try_all(&samples[i]);
	}
	assert_true(tried > ARRAY_SIZE(samples) / 2);
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
	rig_begin(GST_PART, getenv("THREADS") != NULL);
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
