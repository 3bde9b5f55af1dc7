/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <string.h>

#include "video/format.h"

static void names_lead_back(void **state)
{
	(void)state;
	for (unsigned f = VIDEO_NONE + 1; f < VIDEO_FORMATS; f++) {
		const char *name = video_format_name((enum video_format)f);

		assert_non_null(name);
		assert_int_equal(video_format_named(name, (unsigned)strlen(name)), f);
		assert_int_equal(video_format_named(name, (unsigned)strlen(name) - 1), VIDEO_NONE);
		assert_true(
			video_is_raw((enum video_format)f) != video_is_coded((enum video_format)f));
	}
	assert_null(video_format_name(VIDEO_NONE));
	assert_null(video_format_name(VIDEO_FORMATS));
	assert_int_equal(video_format_named("h264x", 4), VIDEO_H264);
	assert_int_equal(video_format_named("", 0), VIDEO_NONE);
}

static void layouts(void **state)
{
	struct video_layout l = video_layout_of(VIDEO_NV12, 1920, 1080);

	(void)state;
	assert_int_equal(l.n_planes, 2);
	assert_int_equal(l.planes[0].stride, 1920);
	assert_int_equal(l.planes[1].stride, 1920);
	assert_int_equal(l.planes[1].rows, 540);
	assert_int_equal(l.size, 1920 * 1080 * 3 / 2);

	l = video_layout_of(VIDEO_I420, 7, 5);
	assert_int_equal(l.n_planes, 3);
	assert_int_equal(l.planes[0].stride, 8);
	assert_int_equal(l.planes[0].size, 40);
	assert_int_equal(l.planes[2].stride, 4);
	assert_int_equal(l.planes[2].rows, 3);
	assert_int_equal(l.size, 40 + 12 + 12);

	l = video_layout_of(VIDEO_BGRA, 7, 5);
	assert_int_equal(l.n_planes, 1);
	assert_int_equal(l.planes[0].stride, 32);
	assert_int_equal(l.size, 32 * 5);
}

static void largest_fits(void **state)
{
	struct video_layout l = video_layout_of(VIDEO_I420, VIDEO_SIDE_MAX, VIDEO_SIDE_MAX);

	(void)state;
	assert_int_equal(l.size, 8192u * 8192 * 3 / 2);
	l = video_layout_of(VIDEO_BGRA, VIDEO_SIDE_MAX, VIDEO_SIDE_MAX);
	assert_int_equal(l.size, 8192u * 8192 * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_back),
		cmocka_unit_test(layouts),
		cmocka_unit_test(largest_fits),
	};

	return cmocka_run_group_tests_name("video_format", tests, NULL, NULL);
}
