/* SPDX-License-Identifier: MIT */
/*
 * Golden pictures: drawings that are shown on QEMU's display, as PNGs, and on both at once. After
 * each flush every display shows what the reference says; in the end that is also the number that
 * was written down here.
 */
#include "stage.h"

#include <stdio.h>

#define ALL(res) GPU_RECT(0, 0, (res)->w, (res)->h)

static const struct stage_backing in_one, in_pages = {.piece = 4096}, in_crumbs = {.piece = 1001},
					  mid_page = {.shift = 1237},
					  crumbs_mid_page = {.piece = 37, .shift = 4095};

struct drawing {
	const char *name;
	void (*draw)(uint32_t arg);
	uint32_t arg;
	uint32_t golden[3]; // of scanouts 0 to 2, 0 for one that is off
};

/* A whole resource on scanout 0. */
static struct stage_res *show(uint32_t format, uint32_t w, uint32_t h, struct stage_backing b)
{
	struct stage_res *res = stage_create(format, w, h, b);

	stage_scanout(0, res, ALL(res));
	stage_draw(res, ALL(res), 1);
	return res;
}

static void format(uint32_t format)
{
	struct stage_res *res = show(format, 64, 48, in_one);

	stage_draw(res, GPU_RECT(3, 5, 21, 17), 2);
}

/* The sides are in the argument: 16 bits each. */
static void size(uint32_t wh)
{
	struct stage_res *res = show(RGBX, wh >> 16, wh & 0xffff, in_one);

	stage_draw(res, GPU_RECT(res->w - 1, res->h - 1, 1, 1), 7);
	stage_draw(res, ALL(res), 3);
}

static void parts(uint32_t format)
{
	struct stage_res *res = show(format, 200, 150, in_one);

	stage_draw(res, GPU_RECT(0, 0, 200, 1), 2);
	stage_draw(res, GPU_RECT(199, 0, 1, 150), 3);
	stage_draw(res, GPU_RECT(50, 40, 100, 70), 4);
	stage_draw(res, GPU_RECT(51, 41, 1, 1), 5);
	stage_draw(res, GPU_RECT(0, 75, 200, 75), 6);
	stage_draw(res, GPU_RECT(0, 20, 199, 30), 7);
	stage_draw(res, GPU_RECT(1, 100, 199, 30), 8);
	for (uint32_t i = 0; i < 20; i++)
		stage_draw(res, GPU_RECT(i * 9, i * 7, 8, 6), 7 + i);
}

/* Transferred in one order, flushed in another. */
static void transfers_then_flushes(uint32_t arg)
{
	struct stage_res *res = show(BGRA, 120, 90, in_one);

	(void)arg;
	stage_paint(res, ALL(res), 9);
	for (uint32_t y = 0; y < 90; y += 30)
		stage_transfer(res, GPU_RECT(0, y, 120, 30));
	stage_flush(res, ALL(res));
	stage_flush(res, GPU_RECT(1, 1, 1, 1));
}

/* Rows that come from elsewhere in the backing. */
static void other_offsets(uint32_t arg)
{
	struct stage_res *res = show(RGBX, 60, 60, in_crumbs);

	(void)arg;
	stage_transfer_from(res, GPU_RECT(0, 0, 60, 30), 30 * 60);
	stage_transfer_from(res, GPU_RECT(10, 30, 20, 20), 5 * 60 + 33);
	stage_flush(res, ALL(res));
}

static void part_of_a_resource(uint32_t format)
{
	struct stage_res *res = stage_create(format, 100, 80, in_pages);

	stage_scanout(0, res, GPU_RECT(13, 7, 50, 40));
	stage_draw(res, ALL(res), 1);
	stage_draw(res, GPU_RECT(0, 0, 20, 20), 2);
	stage_draw(res, GPU_RECT(60, 45, 40, 35), 3);
	stage_draw(res, GPU_RECT(0, 0, 13, 80), 4); // beside it
	stage_scanout(0, res, GPU_RECT(99, 79, 1, 1));
	stage_flush(res, ALL(res));
	stage_scanout(0, res, GPU_RECT(37, 30, 63, 50));
	stage_flush(res, ALL(res));
}

/* As of a desktop over several monitors. */
static void larger_than_its_scanouts(uint32_t arg)
{
	struct stage_res *res = stage_create(RGBX, 700, 500, in_pages);

	(void)arg;
	stage_scanout(0, res, GPU_RECT(0, 0, 320, 200));
	stage_scanout(1, res, GPU_RECT(320, 100, 380, 400));
	stage_draw(res, ALL(res), 1);
	stage_draw(res, GPU_RECT(300, 90, 60, 60), 2);
	stage_draw(res, GPU_RECT(0, 210, 310, 290), 3); // on none
}

static void several_scanouts(uint32_t arg)
{
	struct stage_res *res = stage_create(BGRX, 90, 70, in_one);

	(void)arg;
	stage_scanout(0, res, ALL(res));
	stage_scanout(1, res, GPU_RECT(10, 10, 40, 40));
	stage_scanout(2, res, ALL(res));
	stage_draw(res, ALL(res), 1);
	stage_draw(res, GPU_RECT(30, 30, 50, 30), 2);
	stage_scanout(2, NULL, NOTHING);
	stage_draw(res, GPU_RECT(0, 0, 30, 30), 3);
}

static void flips(uint32_t format)
{
	struct stage_res *front = stage_create(format, 128, 96, in_pages);
	struct stage_res *back = stage_create(format, 128, 96, in_pages);

	for (uint32_t i = 1; i <= 6; i++) {
		struct stage_res *next = i % 2 ? front : back;

		stage_paint(next, ALL(next), i);
		stage_transfer(next, ALL(next));
		stage_scanout(0, next, ALL(next));
		stage_flush(next, ALL(next));
	}
}

/* A flip whose flush is not of all shows all of the new picture. */
static void flip_with_a_small_flush(uint32_t arg)
{
	struct stage_res *front = show(BGRX, 80, 60, in_one);
	struct stage_res *back = stage_create(BGRX, 80, 60, in_one);

	(void)arg;
	stage_paint(back, ALL(back), 5);
	stage_transfer(back, ALL(back));
	stage_scanout(0, back, ALL(back));
	stage_flush(front, ALL(front)); // is not shown any more
	stage_flush(back, GPU_RECT(7, 7, 2, 2));
}

static void flips_of_sizes(uint32_t arg)
{
	struct stage_res *small = show(BGRX, 40, 30, in_one);
	struct stage_res *large = show(RGBX, 333, 222, in_crumbs);
	struct stage_res *wide = show(BGRA, 500, 10, mid_page);

	(void)arg;
	for (uint32_t i = 0; i < 2; i++) {
		stage_scanout(0, large, ALL(large));
		stage_flush(large, ALL(large));
		stage_scanout(0, small, ALL(small));
		stage_draw(small, ALL(small), 10 + i);
		stage_scanout(0, wide, ALL(wide));
		stage_draw(wide, ALL(wide), 20 + i);
	}
}

static const struct stage_backing *const backings[] = {
	&in_one, &in_pages, &in_crumbs, &mid_page, &crumbs_mid_page};

static void backing(uint32_t which)
{
	struct stage_res *res = show(BGRX, 150, 110, *backings[which]);

	stage_draw(res, GPU_RECT(20, 10, 100, 90), 2);
	stage_draw(res, GPU_RECT(0, 50, 150, 3), 3);
}

static void off_and_on(uint32_t arg)
{
	struct stage_res *res = show(BGRX, 48, 48, in_one);

	(void)arg;
	stage_scanout(0, NULL, NOTHING);
	stage_draw(res, ALL(res), 2);
	stage_scanout(0, res, ALL(res));
	stage_draw(res, GPU_RECT(4, 4, 4, 4), 3);
}

static void unref_is_off(uint32_t arg)
{
	struct stage_res *res = show(BGRX, 48, 48, in_one);
	struct stage_res *other = stage_create(BGRX, 16, 16, in_one);

	(void)arg;
	stage_scanout(1, other, ALL(other));
	stage_unref(res);
	stage_draw(other, ALL(other), 4);
}

/* Much more than fits into the socket, or into what is converted at once. */
static void large(uint32_t format)
{
	struct stage_res *res = show(format, 1367, 771, in_pages);

	stage_draw(res, GPU_RECT(1, 1, 1365, 769), 2);
	stage_draw(res, GPU_RECT(0, 300, 1367, 200), 3);
}

#define SIZE(w, h)      ((w) << 16 | (h))
#define FORMAT(letters) VIRTIO_GPU_FORMAT_##letters##_UNORM

static const struct drawing drawings[] = {
	{"B8G8R8A8", format, FORMAT(B8G8R8A8), {0x31d13a7a}},
	{"B8G8R8X8", format, FORMAT(B8G8R8X8), {0x31d13a7a}},
	{"A8R8G8B8", format, FORMAT(A8R8G8B8), {0x31d13a7a}},
	{"X8R8G8B8", format, FORMAT(X8R8G8B8), {0x31d13a7a}},
	{"R8G8B8A8", format, FORMAT(R8G8B8A8), {0x31d13a7a}},
	{"X8B8G8R8", format, FORMAT(X8B8G8R8), {0x31d13a7a}},
	{"A8B8G8R8", format, FORMAT(A8B8G8R8), {0x31d13a7a}},
	{"R8G8B8X8", format, FORMAT(R8G8B8X8), {0x31d13a7a}},
	{"1x1", size, SIZE(1, 1), {0x97e706cc}},
	{"37x23", size, SIZE(37, 23), {0x44735dc8}},
	{"1x300", size, SIZE(1, 300), {0x7f17b169}},
	{"4097x3", size, SIZE(4097, 3), {0x4fbe5fe4}},
	{"16384x1", size, SIZE(16384, 1), {0xa5709523}},
	{"parts", parts, FORMAT(B8G8R8X8), {0x92ed35f0}},
	{"parts, converted", parts, FORMAT(X8B8G8R8), {0x92ed35f0}},
	{"transfers then flushes", transfers_then_flushes, 0, {0xd9cc86c9}},
	{"other offsets", other_offsets, 0, {0x64f863aa}},
	{"part of a resource", part_of_a_resource, FORMAT(B8G8R8X8), {0x98609ac3}},
	{"part of a resource, converted", part_of_a_resource, FORMAT(A8R8G8B8), {0x98609ac3}},
	{"larger than its scanouts", larger_than_its_scanouts, 0, {0x7a220078, 0x90157313}},
	{"several scanouts", several_scanouts, 0, {0x4809f0af, 0x46e4e0ef}},
	{"flips", flips, FORMAT(B8G8R8X8), {0xee33ee8e}},
	{"flips, converted", flips, FORMAT(R8G8B8A8), {0xee33ee8e}},
	{"flip with a small flush", flip_with_a_small_flush, 0, {0x6e283fce}},
	{"flips of sizes", flips_of_sizes, 0, {0xa270d6cf}},
	{"backing in one", backing, 0, {0x5f36a90b}},
	{"backing in pages", backing, 1, {0x5f36a90b}},
	{"backing in crumbs", backing, 2, {0x5f36a90b}},
	{"backing from mid page", backing, 3, {0x5f36a90b}},
	{"backing in crumbs over pages", backing, 4, {0x5f36a90b}},
	{"off and on", off_and_on, 0, {0xa108b035}},
	{"unref is off", unref_is_off, 0, {0, 0x5763fc56}},
	{"large", large, FORMAT(B8G8R8X8), {0x133d2ef6}},
	{"large, converted", large, FORMAT(R8G8B8X8), {0x133d2ef6}},
};

#define N_DRAWINGS (sizeof(drawings) / sizeof(*drawings))

static const struct stage_displays *displays;

static void draw(void **state)
{
	const struct drawing *d = *state;

	stage_begin(displays);
	d->draw(d->arg);
	for (uint32_t i = 0; i < 3; i++)
		if (stage_crc(i) != d->golden[i])
			fail_msg("%s: scanout %u shows 0x%08x, golden is 0x%08x", d->name, i,
				stage_crc(i), d->golden[i]);
}

static int run_all(const char *name, const struct stage_displays *on)
{
	struct CMUnitTest tests[N_DRAWINGS];

	for (size_t i = 0; i < N_DRAWINGS; i++)
		tests[i] = (struct CMUnitTest){.name = drawings[i].name,
			.test_func = draw,
			.teardown_func = stage_end,
			.initial_state = (void *)(uintptr_t)&drawings[i]};
	displays = on;
	return _cmocka_run_group_tests(name, tests, N_DRAWINGS, NULL, NULL);
}

int main(int argc, char **argv)
{
	int failed;

	device_main(argc, argv);
	failed = run_all("pictures on QEMU's display", &(struct stage_displays){.peer = true});
	failed += run_all("pictures as PNGs", &(struct stage_displays){.png = true});
	failed += run_all("pictures on both", &(struct stage_displays){.peer = true, .png = true});
	return failed != 0;
}
