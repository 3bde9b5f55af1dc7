/* SPDX-License-Identifier: MIT */
/* What is offered of what there is; and controls. */
#include "unit.h"

#include <drm_fourcc.h>

#include "protocols/virtio_video_v3.h"
#include "video/caps.h"
#include "video/controls.h"

#define ALL UINT32_MAX

static struct engine_list list;

static void add(enum video_format f, uint32_t max, unsigned n, const uint32_t *fourccs)
{
	struct engine_answer *a = &list.capabilities[list.n++];

	*a = (struct engine_answer){.capability = {.codec = video_format_codec(f),
					    .min_width = 16,
					    .max_width = max,
					    .min_height = 16,
					    .max_height = max,
					    .n_fourccs = n}};
	memcpy(a->capability.fourccs, fourccs, n * sizeof(*fourccs));
}

static const uint32_t both[] = {DRM_FORMAT_NV12, DRM_FORMAT_YUV420}, one[] = {DRM_FORMAT_YUV420};

static int begin(void **state)
{
	(void)state;
	list.n = 0;
	return 0;
}

static void the_first_of_each(void **state)
{
	struct video_caps c;

	(void)state;
	add(VIDEO_VP8, 1000, 1, one);
	add(VIDEO_H264, 4096, 2, both);
	add(VIDEO_H264, 100, 1, one);
	c = video_caps_of(&list, &dialect_v3, ALL);
	assert_int_equal(c.n_coded, 2);
	assert_int_equal(c.coded[0].format, VIDEO_H264);
	assert_int_equal(c.coded[0].max_width, 4096);
	assert_int_equal(c.coded[1].format, VIDEO_VP8);
	assert_int_equal(c.n_raw, 2);
	assert_int_equal(c.coded[0].raw, 3);
	assert_int_equal(c.raw[__builtin_ctz(c.coded[1].raw)], VIDEO_I420);
}

static void only_what_is_wanted(void **state)
{
	struct video_caps c;

	(void)state;
	add(VIDEO_VP8, 1000, 1, one);
	add(VIDEO_H264, 4096, 2, both);
	c = video_caps_of(&list, &dialect_v3, 1u << VIDEO_VP8);
	assert_int_equal(c.n_coded, 1);
	assert_int_equal(c.coded[0].format, VIDEO_VP8);
	assert_int_equal(video_caps_of(&list, &dialect_v3, 1u << VIDEO_HEVC).n_coded, 0);
}

static void what_cannot_be_said(void **state)
{
	static const uint32_t others[] = {DRM_FORMAT_RGBA8888, DRM_FORMAT_P010};

	(void)state;
	add(VIDEO_AV1, 1000, 2, both); // no number in this dialect
	add(VIDEO_VP9, 1000, 2, others);
	add(VIDEO_HEVC, 8, 2, both); // no sizes
	assert_int_equal(video_caps_of(&list, &dialect_v3, ALL).n_coded, 0);
}

static void sizes_within_bounds(void **state)
{
	struct video_caps c;

	(void)state;
	add(VIDEO_VP9, INT32_MAX, 2, both);
	list.capabilities[0].capability.min_width = 0;
	c = video_caps_of(&list, &dialect_v3, ALL);
	assert_int_equal(c.coded[0].max_width, VIDEO_SIDE_MAX);
	assert_int_equal(c.coded[0].min_width, 1);
}

static void controls(void **state)
{
	const uint32_t *v;
	unsigned n;

	(void)state;
	v = video_control_values(VIDEO_PROFILE, VIDEO_H264, &n);
	assert_int_equal(n, 3);
	assert_int_equal(v[2], VIRTIO_VIDEO_PROFILE_H264_HIGH);
	v = video_control_values(VIDEO_LEVEL, VIDEO_H264, &n);
	assert_int_equal(n, 15);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(v[i], VIRTIO_VIDEO_LEVEL_H264_1_0 + i);
	for (unsigned f = VIDEO_NONE; f < VIDEO_FORMATS; f++) {
		video_control_values(VIDEO_BITRATE, (enum video_format)f, &n);
		assert_int_equal(n, 0);
	}
	video_control_values(VIDEO_LEVEL, VIDEO_VP8, &n);
	assert_int_equal(n, 0);
	video_control_values(VIDEO_PROFILE, VIDEO_NV12, &n);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_of_each, begin),
		cmocka_unit_test_setup(only_what_is_wanted, begin),
		cmocka_unit_test_setup(what_cannot_be_said, begin),
		cmocka_unit_test_setup(sizes_within_bounds, begin),
		cmocka_unit_test(controls),
	};

	return cmocka_run_group_tests_name("video_caps", tests, NULL, NULL);
}
