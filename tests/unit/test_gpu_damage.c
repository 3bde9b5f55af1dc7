/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "gpu/damage.h"

enum { SIDE = 64 };

static struct damage damage;

static int setup(void **state)
{
	(void)state;
	damage = (struct damage){0};
	return 0;
}

static void add(uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	damage_add(&damage, &(struct gpu_rect){x, y, w, h});
}

static void assert_rect(struct gpu_rect r, uint32_t x, uint32_t y, uint32_t w, uint32_t h)
{
	assert_int_equal(r.x, x);
	assert_int_equal(r.y, y);
	assert_int_equal(r.width, w);
	assert_int_equal(r.height, h);
}

static void test_one(void **state)
{
	(void)state;
	assert_rect(damage_bounds(&damage), 0, 0, 0, 0);
	add(3, 4, 5, 6);
	assert_int_equal(damage.n, 1);
	assert_rect(damage_bounds(&damage), 3, 4, 5, 6);
	assert_rect(damage.rects[0], 3, 4, 5, 6);
	add(3, 4, 5, 6); // again
	add(4, 5, 1, 1); // within
	assert_int_equal(damage.n, 1);
	assert_rect(damage.rects[0], 3, 4, 5, 6);
}

static void test_neighbours_join(void **state)
{
	(void)state;
	add(0, 0, 10, 10);
	add(10, 0, 10, 10);
	add(0, 10, 20, 5);
	assert_int_equal(damage.n, 1);
	assert_rect(damage.rects[0], 0, 0, 20, 15);
}

static void test_far_apart_stay(void **state)
{
	(void)state;
	add(0, 0, 10, 10);
	add(100, 100, 10, 10);
	assert_int_equal(damage.n, 2);
	assert_rect(damage_bounds(&damage), 0, 0, 110, 110);
	add(0, 0, 16384, 16384); // swallows both
	assert_int_equal(damage.n, 1);
	assert_rect(damage.rects[0], 0, 0, 16384, 16384);
}

/* What has grown joins what it did not before. */
static void test_joins_spread(void **state)
{
	(void)state;
	add(0, 0, 10, 10);
	add(30, 0, 10, 10);
	assert_int_equal(damage.n, 2);
	add(10, 0, 20, 10);
	assert_int_equal(damage.n, 1);
	assert_rect(damage.rects[0], 0, 0, 40, 10);
}

static void test_too_many(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < DAMAGE_RECTS; i++)
		add(i * 100, i * 100, 1, 1);
	assert_int_equal(damage.n, DAMAGE_RECTS);
	add(5, 900, 1, 1);
	assert_int_equal(damage.n, 1);
	assert_rect(damage.rects[0], 0, 0, 701, 901);
}

/* Whatever is added is covered, and nothing beyond the bounds of all. */
static void test_covers(void **state)
{
	static uint8_t added[SIDE][SIDE], covered[SIDE][SIDE];
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		setup(NULL);
		memset(added, 0, sizeof(added));
		memset(covered, 0, sizeof(covered));
		for (unsigned i = 0; i < 1 + round % 24; i++) {
			uint32_t v = seed = seed * 1664525 + 1013904223;
			uint32_t x = v >> 26, y = (v >> 20) & 63;
			uint32_t w = 1 + ((v >> 14) & 15), h = 1 + ((v >> 10) & 15);

			w = w > SIDE - x ? SIDE - x : w;
			h = h > SIDE - y ? SIDE - y : h;
			add(x, y, w, h);
			for (uint32_t r = y; r < y + h; r++)
				memset(&added[r][x], 1, w);
		}
		assert_true(damage.n <= DAMAGE_RECTS);
		for (unsigned i = 0; i < damage.n; i++) {
			const struct gpu_rect *r = &damage.rects[i];

			assert_true(r->x + r->width <= SIDE && r->y + r->height <= SIDE);
			for (uint32_t y = r->y; y < r->y + r->height; y++)
				memset(&covered[y][r->x], 1, r->width);
		}
		for (unsigned i = 0; i < SIDE * SIDE; i++)
			assert_true(covered[i / SIDE][i % SIDE] >= added[i / SIDE][i % SIDE]);
	}
}

static struct gpu_rect cut(struct gpu_rect a, struct gpu_rect b)
{
	struct gpu_rect one = rect_intersect(&a, &b), other = rect_intersect(&b, &a);

	assert_memory_equal(&one, &other, sizeof(one));
	return one;
}

static void test_intersect(void **state)
{
	const struct gpu_rect a = {10, 20, 30, 40};

	(void)state;
	assert_rect(cut(a, a), 10, 20, 30, 40);
	assert_rect(cut(a, (struct gpu_rect){0, 0, 11, 21}), 10, 20, 1, 1);
	assert_rect(cut(a, (struct gpu_rect){39, 59, 9, 9}), 39, 59, 1, 1);
	assert_rect(cut(a, (struct gpu_rect){15, 25, 5, 5}), 15, 25, 5, 5);
	assert_rect(cut(a, (struct gpu_rect){0, 30, 100, 5}), 10, 30, 30, 5);
	assert_int_equal(cut(a, (struct gpu_rect){40, 20, 5, 5}).width, 0);
	assert_int_equal(cut(a, (struct gpu_rect){10, 60, 5, 5}).width, 0);
	assert_int_equal(cut(a, (struct gpu_rect){0, 0, 10, 100}).width, 0);
	assert_int_equal(cut(a, (struct gpu_rect){0, 0, 100, 20}).width, 0);
	assert_int_equal(cut(a, (struct gpu_rect){15, 25, 0, 5}).width, 0);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one),
		TEST(neighbours_join),
		TEST(far_apart_stay),
		TEST(joins_spread),
		TEST(too_many),
		TEST(covers),
		TEST(intersect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
