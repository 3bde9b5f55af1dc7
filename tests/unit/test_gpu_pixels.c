/* SPDX-License-Identifier: MIT */
/* Formats by what their bytes are in memory: virtio and DRM name them in opposite orders. */
#include "unit.h"
#include "gpu/pixels.h"

#include <drm_fourcc.h>

enum { SIDE = 64 };

static struct dbuf_budget budget = {.max = 64 << 20};
static struct dbuf *buf;

static int teardown(void **state)
{
	(void)state;
	dbuf_unref(buf);
	buf = NULL;
	assert_int_equal(budget.used, 0);
	return 0;
}

static void make(uint32_t w, uint32_t h, uint32_t fourcc)
{
	teardown(NULL);
	assert_int_equal(dbuf_create(&budget, w, h, fourcc, &buf), 0);
}

/* Where red, green and blue lie in the four bytes of a pixel. */
static const struct format {
	uint32_t fourcc;
	unsigned r, g, b;
	bool alpha;
} formats[] = {
	{DRM_FORMAT_ARGB8888, 2, 1, 0, true},
	{DRM_FORMAT_XRGB8888, 2, 1, 0, false},
	{DRM_FORMAT_BGRA8888, 1, 2, 3, true},
	{DRM_FORMAT_BGRX8888, 1, 2, 3, false},
	{DRM_FORMAT_ABGR8888, 0, 1, 2, true},
	{DRM_FORMAT_XBGR8888, 0, 1, 2, false},
	{DRM_FORMAT_RGBA8888, 3, 2, 1, true},
	{DRM_FORMAT_RGBX8888, 3, 2, 1, false},
};

enum { N_FORMATS = sizeof(formats) / sizeof(*formats) };

static void set_pixel(const struct format *f, uint32_t x, uint32_t y, uint32_t argb)
{
	uint8_t *p = buf->map + (uint64_t)y * buf->stride + 4ull * x;

	memset(p, argb >> 24 & 0xff, 4); // where nothing else is, alpha
	p[f->r] = argb >> 16 & 0xff;
	p[f->g] = argb >> 8 & 0xff;
	p[f->b] = argb & 0xff;
}

static uint32_t colour(uint32_t x, uint32_t y)
{
	return (x * 37 & 0xff) << 16 | (y * 53 & 0xff) << 8 | ((x + y) * 11 & 0xff);
}

static void test_formats(void **state)
{
	const struct gpu_rect all = {0, 0, 7, 5};
	uint32_t out[5 * 7];

	(void)state;
	for (unsigned i = 0; i < N_FORMATS; i++) {
		make(7, 5, formats[i].fourcc);
		for (uint32_t p = 0; p < 35; p++)
			set_pixel(&formats[i], p % 7, p / 7, 0xff000000 | colour(p % 7, p / 7));
		pixels_to_xrgb(buf, &all, out, sizeof(uint32_t) * 7);
		for (uint32_t p = 0; p < 35; p++)
			assert_int_equal(out[p] & 0xffffff, colour(p % 7, p / 7));
		assert_int_equal(pixels_are_xrgb(buf), i < 2);
	}
}

/* Only the rectangle, and only so many bytes a row. */
static void test_rectangle(void **state)
{
	const struct gpu_rect rect = {3, 2, 4, 3};
	uint32_t out[4 * 6];

	(void)state;
	make(16, 16, DRM_FORMAT_XRGB8888);
	for (uint32_t p = 0; p < 256; p++)
		set_pixel(&formats[1], p % 16, p / 16, colour(p % 16, p / 16));
	memset(out, 0xee, sizeof(out));
	pixels_to_xrgb(buf, &rect, out, sizeof(uint32_t) * 6);
	for (uint32_t p = 0; p < 4 * 6; p++) {
		if (p < 18 && p % 6 < 4)
			assert_int_equal(out[p] & 0xffffff, colour(3 + p % 6, 2 + p / 6));
		else
			assert_int_equal(out[p], 0xeeeeeeee);
	}
}

/* A cursor of its own size comes as it is, alpha included; of those without, it is opaque. */
static void test_cursor(void **state)
{
	static uint32_t out[SIDE * SIDE];

	(void)state;
	for (unsigned i = 0; i < N_FORMATS; i++) {
		uint32_t alpha = formats[i].alpha ? 0x80000000 : 0xff000000, x = 5, y = 9;

		make(SIDE, SIDE, formats[i].fourcc);
		for (uint32_t p = 0; p < SIDE * SIDE; p++)
			set_pixel(&formats[i], p % SIDE, p / SIDE,
				0x80000000 | colour(p % SIDE, p / SIDE));
		pixels_to_cursor(buf, out, SIDE, &x, &y);
		for (uint32_t p = 0; p < SIDE * SIDE; p++)
			assert_int_equal(out[p], alpha | colour(p % SIDE, p / SIDE));
		assert_int_equal(x, 5);
		assert_int_equal(y, 9);
	}
}

static void test_small_cursor(void **state)
{
	static uint32_t out[SIDE * SIDE];
	uint32_t x = 1, y = 2;

	(void)state;
	make(3, 5, DRM_FORMAT_ARGB8888);
	for (uint32_t p = 0; p < 15; p++)
		set_pixel(&formats[0], p % 3, p / 3, 0xff112233);
	memset(out, 0xee, sizeof(out));
	pixels_to_cursor(buf, out, SIDE, &x, &y);
	for (uint32_t p = 0; p < SIDE * SIDE; p++)
		assert_int_equal(out[p],
			p % SIDE < 3 && p / SIDE < 5 ? 0xff112233 : 0); // padded with nothing
	assert_int_equal(x, 1);
	assert_int_equal(y, 2);
}

static void test_large_cursor(void **state)
{
	static uint32_t out[SIDE * SIDE];
	uint32_t x = 128, y = 64;

	(void)state;
	make(256, 128, DRM_FORMAT_ARGB8888);
	for (uint32_t p = 0; p < 256 * 128; p++)
		set_pixel(&formats[0], p % 256, p / 256, 0xff336699);
	pixels_to_cursor(buf, out, SIDE, &x, &y);
	assert_int_equal(x, 32);
	assert_int_equal(y, 16);
	for (uint32_t row = 1; row < 31; row++) // its edges may be mixed with what is beside
		for (uint32_t col = 1; col < 63; col++)
			assert_int_equal(out[row * SIDE + col], 0xff336699);
	for (uint32_t p = 34 * SIDE; p < SIDE * SIDE; p++)
		assert_int_equal(out[p], 0);
}

/* Sides and hot spots that a guest may send. */
static void test_odd_cursors(void **state)
{
	const uint32_t sizes[][2] = {{1, 1}, {16384, 1}, {1, 16384}, {65, 64}, {1000, 3}};
	static uint32_t out[SIDE * SIDE + 1];

	(void)state;
	out[SIDE * SIDE] = 0x12345678;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint32_t x = UINT32_MAX, y = UINT32_MAX;

		make(sizes[i][0], sizes[i][1], DRM_FORMAT_ARGB8888);
		pixels_to_cursor(buf, out, SIDE, &x, &y);
		assert_int_equal(out[SIDE * SIDE], 0x12345678);
	}
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(formats),
		TEST(rectangle),
		TEST(cursor),
		TEST(small_cursor),
		TEST(large_cursor),
		TEST(odd_cursors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
