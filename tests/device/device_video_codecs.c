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

/* The first picture stands alone, and the next one does not; who has no parser says neither. */
static void check_keys(const struct sample *s, const struct rig *r)
{
	bool knows = strstr(s->decoder, "parse");

	assert_int_equal(!!(r->pictures[0].flags & ENGINE_KEY), knows);
	assert_false(r->pictures[1].flags & ENGINE_KEY);
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
	check_keys(s, &r);
	assert_true(r.n_lasts == 1 && r.n_formats == 1); // headers and pictures say the same
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

/* ---- a stream's life ---- */

static const char h264_small[] = SOURCE(12, 176, 144) X264(B_FRAMES);
static const char h264_big[] = SOURCE(12, 320, 240) X264(B_FRAMES);

static void decode_h264(struct clip_pictures *p, const struct clip *c)
{
	clip_decode(p, c, H264_UNITS, "h264parse ! avdec_h264 max-threads=1", "NV12");
}

/* Pictures from `at` on are those of a clip. Returns where they end. */
static unsigned expect(const struct rig *r, unsigned at, const struct clip_pictures *wanted)
{
	assert_true(at + wanted->n <= r->n_pictures);
	for (unsigned i = 0; i < wanted->n; i++) {
		assert_true(r->pictures[at + i].width == wanted->pictures[i].width);
		assert_true(r->pictures[at + i].hash == wanted->pictures[i].hash);
		assert_true(r->pictures[at + i].timestamp == wanted->pictures[i].pts);
	}
	return at + wanted->n;
}

/* Small, big, and small again, with no other word between. */
static void change_size(uint32_t codec, const char *element, const char *small_clip,
	const char *big_clip, const char *caps, const char *elements)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .memory = RIG_PAGES, .pixels_queued = true};
	struct clip small = {0}, big = {0};
	struct clip_pictures a = {0}, b = {0};
	unsigned at;

	clip_add(&small, small_clip);
	clip_add(&big, big_clip);
	clip_decode(&a, &small, caps, elements, "NV12");
	clip_decode(&b, &big, caps, elements, "NV12");
	rig_open(&r, codec, element);
	feed_all(&r, &small);
	feed_all(&r, &big);
	feed_all(&r, &small);
	assert_int_equal(rig_drain(&r), 0);
	at = expect(&r, 0, &a);
	at = expect(&r, at, &b);
	at = expect(&r, at, &a);
	assert_true(at == r.n_pictures && r.n_formats == 3);
	rig_close(&r);
	clip_free(&small);
	clip_free(&big);
	clip_free_pictures(&a);
	clip_free_pictures(&b);
}

static void test_sizes(void **state)
{
	(void)state;
	change_size(ENGINE_H264, "avdec_h264", h264_small, h264_big, H264_UNITS,
		"h264parse ! avdec_h264 max-threads=1");
	change_size(ENGINE_VP9, "vp9dec", SOURCE(6, 176, 144) VP9, SOURCE(6, 320, 240) VP9,
		"video/x-vp9", "vp9parse ! vp9dec");
	change_size(ENGINE_VP8, "vp8dec", SOURCE(6, 176, 144) VP8, SOURCE(6, 320, 240) VP8,
		"video/x-vp8", "vp8dec");
}

static int ask(struct rig *r, uint32_t what, uint32_t queue)
{
	return rig_ask(r, (struct engine_message){.what = what, .queue = queue});
}

/* Drained, and on; a seek in the middle, with pictures held back and a buffer waited for; and on. */
static void test_life(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
	struct clip c = {0};
	struct clip_pictures wanted = {0};
	unsigned at;

	(void)state;
	clip_add(&c, h264_big);
	decode_h264(&wanted, &c);
	rig_open(&r, ENGINE_H264, "avdec_h264");
	for (unsigned i = 0; i < 2; i++) {
		feed_all(&r, &c);
		assert_int_equal(rig_drain(&r), 0);
		at = expect(&r, i * wanted.n, &wanted);
		assert_true(at == r.n_pictures && r.n_lasts == i + 1);
	}
	for (unsigned i = 0; i < 7; i++)
		rig_feed(&r, c.units[i].bytes, c.units[i].size, c.units[i].pts);
	assert_int_equal(ask(&r, ENGINE_CLEAR, ENGINE_BITSTREAM), 0);
	at = r.n_pictures;
	assert_true(at < 2 * wanted.n + 7);
	feed_all(&r, &c);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(expect(&r, at, &wanted), r.n_pictures);
	assert_int_equal(r.n_formats, 1);
	rig_close(&r);
	clip_free(&c);
	clip_free_pictures(&wanted);
}

/* A picture is out before the next unit is in, where the codec's own order does not hold it back. */
static void test_no_delay(void **state)
{
	static const struct {
		uint32_t codec;
		const char *clip, *needs;
	} clips[] = {
		{ENGINE_H264, SOURCE(5, 176, 144) X264("tune=zerolatency"), "x264enc"},
		{ENGINE_HEVC,
			SOURCE(5, 176, 144) "x265enc speed-preset=ultrafast tune=zerolatency ! "
					    "h265parse ! " HEVC_UNITS,
			"x265enc"},
		{ENGINE_VP8, SOURCE(5, 176, 144) VP8, "vp8enc"},
		{ENGINE_VP9, SOURCE(5, 176, 144) VP9, "vp9enc"},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(clips); i++) {
		struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
		struct clip c = {0};

		if (!clip_has(clips[i].needs))
			continue;
		clip_add(&c, clips[i].clip);
		rig_open(&r, clips[i].codec, "");
		for (unsigned k = 0; k < c.n; k++) {
			rig_feed(&r, c.units[k].bytes, c.units[k].size, k);
			assert_true(rig_wait(&r, &r.n_pictures, k + 1));
		}
		rig_close(&r);
		clip_free(&c);
	}
}

/* Bytes before the first slice: its NAL unit is of a type from 1 to 5. */
static size_t h264_headers(const struct clip_unit *u)
{
	for (size_t i = 0; i + 3 < u->size; i++)
		if (!memcmp(u->bytes + i, "\0\0\1", 3) && (u->bytes[i + 3] & 31) - 1u < 5)
			return i;
	return 0;
}

/* With the first unit, of which no picture comes before others are in. A unit of MPEG-4 ends where the parser
 * sees another begin. */
static void test_first_format(void **state)
{
	static const struct {
		uint32_t codec;
		const char *clip, *needs;
		unsigned units;
	} clips[] = {
		{ENGINE_H264, SOURCE(8, 178, 146) X264(B_FRAMES), "x264enc", 1},
		{ENGINE_HEVC, SOURCE(8, 178, 146) X265, "x265enc", 1},
		{ENGINE_MPEG4, SOURCE(8, 178, 146) "avenc_mpeg4 max-bframes=2", "avenc_mpeg4", 2},
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(clips); i++) {
		struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
		struct clip c = {0};

		if (!clip_has(clips[i].needs))
			continue;
		clip_add(&c, clips[i].clip);
		rig_open(&r, clips[i].codec, "");
		for (unsigned k = 0; k < clips[i].units; k++)
			rig_feed(&r, c.units[k].bytes, c.units[k].size, k);
		assert_true(rig_wait(&r, &r.n_formats, 1));
		assert_true(r.format.format.width == 178 && r.format.format.height == 146);
		assert_true(
			r.format.format.crop_width == 178 && r.format.format.crop_height == 146);
		rig_settle(&r);
		assert_int_equal(r.n_pictures, 0);
		for (unsigned k = clips[i].units; k < c.n; k++)
			rig_feed(&r, c.units[k].bytes, c.units[k].size, k);
		assert_int_equal(rig_drain(&r), 0);
		assert_true(r.n_pictures == c.n && r.n_formats == 1 && !r.n_broken);
		rig_close(&r);
		clip_free(&c);
	}
}

/* Pictures of another size than the headers that came first. */
static void test_other_headers(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
	struct clip small = {0}, big = {0};
	struct clip_pictures wanted = {0};
	size_t headers;

	(void)state;
	clip_add(&small, h264_small);
	clip_add(&big, h264_big);
	decode_h264(&wanted, &big);
	headers = h264_headers(&small.units[0]);
	assert_true(headers);
	rig_open(&r, ENGINE_H264, "avdec_h264");
	rig_feed(&r, small.units[0].bytes, headers, 0);
	assert_true(rig_wait(&r, &r.n_formats, 1));
	assert_int_equal(r.format.format.width, 176);
	feed_all(&r, &big);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(expect(&r, 0, &wanted), r.n_pictures);
	assert_true(r.n_formats == 2 && !r.n_broken);
	rig_close(&r);
	clip_free(&small);
	clip_free(&big);
	clip_free_pictures(&wanted);
}

/* The first unit of a clip of another size: none of its pictures comes yet, but their size. */
static void begin_other(struct rig *r, const struct clip *c, uint32_t width)
{
	unsigned told = r->n_formats, out = r->n_pictures;

	rig_feed(r, c->units[0].bytes, c->units[0].size, c->units[0].pts);
	assert_true(rig_wait(r, &r->n_formats, told + 1));
	assert_int_equal(r->format.format.width, width);
	rig_settle(r);
	assert_true(r->n_formats == told + 1 && r->n_pictures == out);
}

/* After a drain and after a seek, too. */
static void test_first_format_again(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
	struct clip small = {0}, big = {0};
	struct clip_pictures wanted = {0};
	unsigned at;

	(void)state;
	clip_add(&small, h264_small);
	clip_add(&big, h264_big);
	decode_h264(&wanted, &small);
	rig_open(&r, ENGINE_H264, "avdec_h264");
	feed_all(&r, &small);
	assert_int_equal(rig_drain(&r), 0);
	at = expect(&r, 0, &wanted);
	begin_other(&r, &big, 320);
	assert_int_equal(ask(&r, ENGINE_CLEAR, ENGINE_BITSTREAM), 0);
	begin_other(&r, &small, 176);
	for (unsigned i = 1; i < small.n; i++)
		rig_feed(&r, small.units[i].bytes, small.units[i].size, small.units[i].pts);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(expect(&r, at, &wanted), r.n_pictures);
	assert_true(r.n_formats == 3 && !r.n_broken);
	rig_close(&r);
	clip_free(&small);
	clip_free(&big);
	clip_free_pictures(&wanted);
}

/* Each at its own pace. */
static void test_together(void **state)
{
	enum { STREAMS = 6 };
	struct rig r[STREAMS] = {0};
	struct clip c = {0};
	struct clip_pictures wanted = {0};

	(void)state;
	clip_add(&c, h264_big);
	decode_h264(&wanted, &c);
	for (unsigned s = 0; s < STREAMS; s++) {
		r[s] = (struct rig){.fourcc = DRM_FORMAT_NV12,
			.memory = (enum rig_memory)(s % 3),
			.used = (uint64_t)s << 25,
			.pixels_queued = true};
		rig_open(&r[s], ENGINE_H264, "");
	}
	for (unsigned i = 0; i < c.n + STREAMS; i++)
		for (unsigned s = 0; s < STREAMS && s <= i; s++)
			if (i - s < c.n)
				rig_feed(&r[s], c.units[i - s].bytes, c.units[i - s].size,
					c.units[i - s].pts);
	for (unsigned s = 0; s < STREAMS; s++) {
		assert_int_equal(rig_drain(&r[s]), 0);
		assert_int_equal(expect(&r[s], 0, &wanted), r[s].n_pictures);
		rig_close(&r[s]);
	}
	clip_free(&c);
	clip_free_pictures(&wanted);
}

/* A unit a byte, or three in one: the parser finds the borders. */
static void test_pieces(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true, .pieces = true};
	struct clip c = {0};
	struct clip_pictures wanted = {0};
	size_t size = 0;
	uint8_t *all = NULL;

	(void)state;
	clip_add(&c, h264_small);
	decode_h264(&wanted, &c);
	for (unsigned i = 0; i < c.n; i++) {
		all = realloc(all, size + c.units[i].size);
		memcpy(all + size, c.units[i].bytes, c.units[i].size);
		size += c.units[i].size;
	}
	rig_open(&r, ENGINE_H264, "avdec_h264");
	for (size_t at = 0; at < size; at += 777)
		rig_feed(&r, all + at, size - at < 777 ? size - at : 777, at);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(r.n_pictures, wanted.n);
	for (unsigned i = 0; i < wanted.n; i++)
		assert_true(r.pictures[i].hash == wanted.pictures[i].hash);
	rig_close(&r);
	free(all);
	clip_free(&c);
	clip_free_pictures(&wanted);
}

/* ---- what is damaged ---- */

static uint32_t random_state;

static uint32_t chance(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

static size_t damage(uint8_t *bytes, size_t size)
{
	for (unsigned n = chance(6); n; n--)
		bytes[chance((uint32_t)size)] = (uint8_t)chance(256);
	return chance(4) ? size : 1 + chance((uint32_t)size);
}

/* Whatever comes: the stream goes on or says that it cannot, and no other is disturbed. */
static void feed_damaged(const struct sample *s, const struct clip *c, uint32_t seed)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .memory = RIG_PAGES, .pixels_queued = true};

	random_state = seed;
	rig_open(&r, s->codec, s->element);
	for (unsigned i = 0; i < c->n && !r.error; i++) {
		uint8_t *bytes = malloc(c->units[i].size);
		size_t size;

		memcpy(bytes, c->units[i].bytes, c->units[i].size);
		size = damage(bytes, c->units[i].size);
		if (chance(8))
			rig_feed(&r, bytes, size, i);
		if (!chance(10))
			ask(&r, ENGINE_CLEAR, chance(2) ? ENGINE_BITSTREAM : ENGINE_PIXELS);
		rig_queue_pixels(&r);
		free(bytes);
	}
	if (!r.n_formats) { // where nothing could be decoded there is no buffer to say the end with
		rig_make_buffer(&r, ENGINE_PIXELS, 0, 16);
		rig_queue_pixels(&r);
	}
	assert_true(rig_drain(&r) == 0 || r.error);
	if (r.lost)
		print_error("%s, seed %u: died\n", s->name, seed);
	assert_false(r.lost);
	rig_close(&r);
}

static void test_damaged(void **state)
{
	unsigned seeds = getenv("SEEDS") ? (unsigned)atoi(getenv("SEEDS")) : 8;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
		struct clip c = {0};

		if (!clip_has(samples[i].needs) || strstr(samples[i].name, "cropped"))
			continue;
		clip_add(&c, samples[i].encoder);
		c.n = c.n < 15 ? c.n : 15;
		for (uint32_t seed = 0; seed < seeds; seed++)
			feed_damaged(&samples[i], &c, seed);
		clip_free(&c);
	}
}

static unsigned count(const char *of)
{
	char path[64];
	DIR *dir;
	unsigned n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", rig_nursery.pid, of);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* What streams are forked from has the library, and neither a thread of it nor a descriptor. */
static void test_prepared(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};

	(void)state;
	rig_open(&r, ENGINE_VP8, "");
	assert_int_equal(count("task"), 1);
	assert_int_equal(count("fd"), 5); // of the standard, the daemon's and for signals
	rig_close(&r);
}

static void test_list(void **state)
{
	struct engine_list l;
	bool vp8 = false;

	(void)state;
	assert_true(engine_list(&l, rig_loop, &rig_nursery, 60000000000ll));
	for (unsigned i = 0; i < l.n; i++) {
		const struct engine_answer *a = &l.capabilities[i];

		print_message("%u: %s%s\n", a->capability.codec, a->capability.element,
			a->capability.hardware ? " (hardware)" : "");
		assert_true(a->capability.max_width <= ENGINE_SIZE_MAX && a->capability.min_width);
		assert_true(i == 0 || a->capability.codec >= a[-1].capability.codec);
		vp8 |= a->capability.codec == ENGINE_VP8;
		assert_int_equal(a->capability.fourccs[0], DRM_FORMAT_NV12);
	}
	assert_true(vp8); // of GStreamer's own plugins
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_no_delay),
		cmocka_unit_test(test_first_format),
		cmocka_unit_test(test_other_headers),
		cmocka_unit_test(test_first_format_again),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_damaged),
	};

	if (argc > 1) // by its name, or with *
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, begin, end);
}
