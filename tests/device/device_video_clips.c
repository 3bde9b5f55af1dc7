/* SPDX-License-Identifier: MIT */
/* Clips through the device, without a guest: pictures and timestamps as the host's own pipeline has them. */
#include "video.h"

#include <stdio.h>

#define SOURCE(n, w, h, pattern)                                                                   \
	"videotestsrc num-buffers=" #n " pattern=" pattern                                         \
	" ! video/x-raw,format=I420,framerate=30/1,width=" #w ",height=" #h " ! "
#define H264_CAPS "video/x-h264,stream-format=byte-stream,alignment=au"
#define X264(options)                                                                              \
	"x264enc key-int-max=20 bframes=3 b-adapt=false " options                                  \
	" ! video/x-h264,profile=high ! h264parse config-interval=-1 ! " H264_CAPS

static const struct sample {
	const char *name;
	uint32_t coded;
	const char *needs, *encoder, *caps, *decoder;
} samples[] = {
	{"h264", VIRTIO_VIDEO_FORMAT_H264, "x264enc avdec_h264",
		SOURCE(40, 320, 240, "ball") X264(""), H264_CAPS,
		"h264parse ! avdec_h264 max-threads=1"},
	{"hevc", VIRTIO_VIDEO_FORMAT_HEVC, "x265enc avdec_h265",
		SOURCE(20, 320, 240, "ball") "x265enc key-int-max=10 speed-preset=ultrafast ! "
					     "h265parse config-interval=-1 ! "
					     "video/"
					     "x-h265,stream-format=byte-stream,alignment=au",
		"video/x-h265,stream-format=byte-stream,alignment=au",
		"h265parse ! avdec_h265 max-threads=1"},
	{"vp8", VIRTIO_VIDEO_FORMAT_VP8, "vp8enc vp8dec",
		SOURCE(30, 320, 240, "ball") "vp8enc deadline=1 keyframe-max-dist=10",
		"video/x-vp8", "vp8dec"},
	{"vp9", VIRTIO_VIDEO_FORMAT_VP9, "vp9enc vp9dec",
		SOURCE(20, 320, 240, "ball") "vp9enc deadline=1 cpu-used=8", "video/x-vp9",
		"vp9dec"},
};

/* What the host makes of it. */
static void decode_here(
	struct clip_pictures *wanted, const struct sample *s, const struct clip *c, uint32_t raw)
{
	static const char *const formats[] = {
		[VIRTIO_VIDEO_FORMAT_NV12] = "NV12",
		[VIRTIO_VIDEO_FORMAT_YUV420] = "I420",
		[VIRTIO_VIDEO_FORMAT_YVU420] = "YV12",
		[VIRTIO_VIDEO_FORMAT_BGRA8888] = "BGRA",
	};

	clip_decode(wanted, c, s->caps, s->decoder, formats[raw]);
}

static void try(
	const struct sample *s, const struct clip *c, struct player p, const char *const *args)
{
	struct clip_pictures wanted = {0};

	decode_here(&wanted, s, c, p.raw);
	video_begin(args);
	player_begin(&p);
	player_play(&p, c);
	player_compare(&p, &wanted);
	assert_int_equal(p.n_formats, 1);
	player_end(&p);
	video_terminate();
	clip_free_pictures(&wanted);
}

/* All codecs and memories, two formats, planes in one buffer and each in its own. */
static void codecs(void **state)
{
	unsigned tried = 0;

	(void)state;
	for (unsigned i = 0; i < COUNT(samples); i++) {
		const struct sample *s = &samples[i];
		struct clip c = {0};

		if (!clip_has(s->needs)) {
			print_message("%s: not here (%s)\n", s->name, s->needs);
			continue;
		}
		clip_add(&c, s->encoder);
		for (unsigned m = PLAYER_CONTIGUOUS; m <= PLAYER_RAGGED; m++) {
			struct player p = {.stream = 7 + m,
				.coded = s->coded,
				.raw = m % 2 ? VIRTIO_VIDEO_FORMAT_YUV420
					     : VIRTIO_VIDEO_FORMAT_NV12,
				.memory = (enum player_memory)m,
				.per_plane = m == PLAYER_RAGGED};

			try(s, &c, p, NULL);
		}
		clip_free(&c);
		tried++;
	}
	assert_true(tried > 0);
}

/* All formats, where rows lie in one piece and where they do not. */
static void formats(void **state)
{
	static const uint32_t raw[] = {VIRTIO_VIDEO_FORMAT_NV12, VIRTIO_VIDEO_FORMAT_YUV420,
		VIRTIO_VIDEO_FORMAT_YVU420, VIRTIO_VIDEO_FORMAT_BGRA8888};
	const struct sample *s = &samples[2];
	struct clip c = {0};

	(void)state;
	if (!clip_has(s->needs))
		skip();
	clip_add(&c, s->encoder);
	for (unsigned i = 0; i < COUNT(raw); i++)
		for (unsigned m = PLAYER_CONTIGUOUS; m <= PLAYER_RAGGED; m++) {
			struct player p = {.stream = 1,
				.coded = s->coded,
				.raw = raw[i],
				.memory = (enum player_memory)m};

			try(s, &c, p, NULL);
		}
	clip_free(&c);
}

/* In the daemon's own process: for debuggers. */
static void as_threads(void **state)
{
	static const char *const args[] = {"--isolate=none", "--seccomp=none", NULL};
	const struct sample *s = &samples[2];
	struct player p = {.stream = 1,
		.coded = s->coded,
		.raw = VIRTIO_VIDEO_FORMAT_NV12,
		.memory = PLAYER_PAGES};
	struct clip c = {0};

	(void)state;
	if (!clip_has(s->needs))
		skip();
	clip_add(&c, s->encoder);
	try(s, &c, p, args);
	clip_free(&c);
}

/* A stream that takes too much ends, and no other. */
static void memory_has_an_end(void **state)
{
	static const char *const args[] = {"--max-memory=48M", NULL};
	struct player large = {.stream = 1, .coded = VIRTIO_VIDEO_FORMAT_H264},
		      small = {.stream = 2, .coded = VIRTIO_VIDEO_FORMAT_VP8};
	struct clip c[2] = {0};
	struct clip_pictures wanted = {0};

	(void)state;
	if (SANITIZED || !clip_has("vp8enc vp8dec x264enc avdec_h264"))
		skip(); // its shadow is beyond all numbers
	clip_add(&c[0], SOURCE(8, 4096, 4096, "black") X264(""));
	clip_add(&c[1], samples[2].encoder);
	decode_here(&wanted, &samples[2], &c[1], VIRTIO_VIDEO_FORMAT_NV12);
	video_begin(args);
	player_begin(&small);
	player_begin(&large);
	player_feed(&large, &c[0]);
	while (!large.lost)
		players_turn();
	player_end(&large);
	player_play(&small, &c[1]);
	player_compare(&small, &wanted);
	player_end(&small);
	video_terminate();
	for (unsigned i = 0; i < COUNT(c); i++)
		clip_free(&c[i]);
	clip_free_pictures(&wanted);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(codecs, video_end),
		cmocka_unit_test_teardown(formats, video_end),
		cmocka_unit_test_teardown(as_threads, video_end),
		cmocka_unit_test_teardown(memory_has_an_end, video_end),
	};

	video_main(argc, argv);
	clip_begin();
	return cmocka_run_group_tests_name("video_clips", tests, NULL, NULL);
}
