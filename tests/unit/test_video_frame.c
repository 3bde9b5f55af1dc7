/* SPDX-License-Identifier: MIT */
/* Pictures into scattered memory, against the same done a byte at a time. */
#include "unit.h"
#include "video/frame.h"

#include <drm_fourcc.h>
#include <stdlib.h>

#include "common/bytes.h"

enum { WIDTH = 37, HEIGHT = 23, STRIDE = 48, ROOM = 8192 };

static const uint32_t yuv[] = {DRM_FORMAT_NV12, DRM_FORMAT_YUV420, DRM_FORMAT_YVU420};

static uint8_t planes[ENGINE_PLANES_MAX][STRIDE * HEIGHT * 4], room[ROOM], wanted[ROOM];
static struct iovec iov[ROOM];

static struct frame make_frame(uint32_t fourcc)
{
	struct frame f = {fourcc, WIDTH, HEIGHT};

	for (unsigned p = 0; p < ENGINE_PLANES_MAX; p++) {
		f.plane[p] = planes[p];
		f.stride[p] = frame_planes(fourcc) == 1 ? STRIDE * 4 : STRIDE;
		for (size_t i = 0; i < sizeof(planes[p]); i++)
			planes[p][i] = (uint8_t)(i * 7 + p * 31 + i / 256);
	}
	return f;
}

/* Pieces of `piece` bytes and one less in turns, the last one first. */
static struct frame_target make_target(uint32_t fourcc, size_t piece)
{
	struct frame_target t = {fourcc, {40, 44, 52}, {3, 1100, 2300}, iov};
	size_t left = ROOM;

	if (frame_planes(fourcc) == 1)
		t.stride[0] = WIDTH * 4 + 1;
	for (size_t at = 0; at < ROOM; t.n_iov++) {
		size_t len = piece - t.n_iov % 2;

		len = len && len < ROOM - at ? len : ROOM - at < piece ? ROOM - at : piece;
		left -= len;
		iov[t.n_iov] = (struct iovec){room + left, len};
		at += len;
	}
	memset(room, 0xee, ROOM);
	memset(wanted, 0xee, ROOM);
	return t;
}

static uint8_t sample(const struct frame *f, unsigned component, uint32_t x, uint32_t y)
{
	bool swapped = f->fourcc == DRM_FORMAT_YVU420;

	if (component && f->fourcc == DRM_FORMAT_NV12)
		return f->plane[1][y * f->stride[1] + 2 * x + component - 1];
	if (component && swapped)
		component = 3 - component;
	return f->plane[component][y * f->stride[component] + x];
}

static void put_one(
	const struct frame *f, const struct frame_target *t, unsigned c, uint32_t x, uint32_t y)
{
	unsigned plane = t->fourcc == DRM_FORMAT_YVU420 && c ? 3 - c : c;

	if (c && t->fourcc == DRM_FORMAT_NV12)
		wanted[t->offset[1] + y * t->stride[1] + 2 * x + c - 1] = sample(f, c, x, y);
	else
		wanted[t->offset[plane] + y * t->stride[plane] + x] = sample(f, c, x, y);
}

static void check_room(const struct frame_target *t)
{
	size_t at = 0;

	for (unsigned i = 0; i < t->n_iov; i++) {
		assert_memory_equal(iov[i].iov_base, wanted + at, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	assert_int_equal(at, ROOM);
}

static void try(uint32_t from, uint32_t to, size_t piece)
{
	struct frame f = make_frame(from);
	struct frame_target t = make_target(to, piece);

	for (unsigned c = 0; c < 3; c++)
		for (uint32_t y = 0; y < (c ? (HEIGHT + 1) / 2 : HEIGHT); y++)
			for (uint32_t x = 0; x < (c ? (WIDTH + 1) / 2 : WIDTH); x++)
				put_one(&f, &t, c, x, y);
	assert_true(frame_put(&f, &t));
	check_room(&t);
}

static void test_pairs(void **state)
{
	static const size_t pieces[] = {1, 2, 3, 5, 64, 4096, ROOM};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(yuv); i++)
		for (unsigned k = 0; k < ARRAY_SIZE(yuv); k++)
			for (unsigned p = 0; p < ARRAY_SIZE(pieces); p++)
				try(yuv[i], yuv[k], pieces[p]);
}

static void test_same_rgb(void **state)
{
	struct frame f = make_frame(DRM_FORMAT_XRGB8888);
	struct frame_target t = make_target(DRM_FORMAT_XRGB8888, 100);

	(void)state;
	for (uint32_t y = 0; y < HEIGHT; y++)
		memcpy(wanted + t.offset[0] + y * t.stride[0], f.plane[0] + y * f.stride[0],
			WIDTH * 4);
	assert_true(frame_put(&f, &t));
	check_room(&t);
	t.fourcc = DRM_FORMAT_ARGB8888; // is for others to convert
	assert_false(frame_put(&f, &t));
	t.fourcc = DRM_FORMAT_NV12;
	assert_false(frame_put(&f, &t));
	check_room(&t);
}

static void test_fits(void **state)
{
	struct frame_target t = make_target(DRM_FORMAT_YUV420, ROOM);
	uint64_t end = t.offset[2] + t.stride[2] * 11 + 19;

	(void)state;
	assert_true(frame_fits(&t, WIDTH, HEIGHT, end));
	assert_false(frame_fits(&t, WIDTH, HEIGHT, end - 1));
	assert_false(frame_fits(&t, WIDTH, HEIGHT + 2, end));
	t.stride[1] = 18; // a row has 19
	assert_false(frame_fits(&t, WIDTH, HEIGHT, end));
	t.stride[1] = 19;
	assert_true(frame_fits(&t, WIDTH, HEIGHT, end));
	t.offset[1] = UINT64_MAX - 2;
	assert_false(frame_fits(&t, WIDTH, HEIGHT, end));
	t.offset[1] = 1100;
	t.stride[0] = UINT32_MAX;
	assert_false(frame_fits(&t, WIDTH, HEIGHT, end));
	t.fourcc = DRM_FORMAT_YUYV; // is none that is put out
	assert_false(frame_fits(&t, WIDTH, HEIGHT, end));
}

/* In one piece or not: to the last byte of its last row. */
static void test_linear(void **state)
{
	struct frame_target t = make_target(DRM_FORMAT_NV12, ROOM);
	uint8_t *at[ENGINE_PLANES_MAX];

	(void)state;
	assert_true(frame_linear(&t, WIDTH, HEIGHT, at));
	assert_true(at[0] == room + 3 && at[1] == room + 1100);
	t.n_iov = 2;
	iov[0] = (struct iovec){room, 1100 + 44 * 11 + 38};
	iov[1] = (struct iovec){room + 5000, 100};
	assert_true(frame_linear(&t, WIDTH, HEIGHT, at));
	iov[0].iov_len--;
	assert_false(frame_linear(&t, WIDTH, HEIGHT, at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_same_rgb),
		cmocka_unit_test(test_fits),
		cmocka_unit_test(test_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
