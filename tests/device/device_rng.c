/* SPDX-License-Identifier: MIT */
/* The device of the tutorial, tiny-rng: a driver that reads random bytes from it. */
#include "device.h"

#include <string.h>

#include "driver/wait.h"

enum { AT_ONCE = 256 }; // bytes of a piece that it fills in a turn

static struct drv_ring *ring = &dev.rings[0];

static void begin(void)
{
	device_begin(&(struct device_setup){.one_ring = true, .no_sandbox = true});
}

static struct drv_seg piece(uint32_t len)
{
	uint64_t gpa = guest_alloc(&dev.guest, len ? len : 1, 1);

	assert_true(gpa != GUEST_NOMEM);
	memset(guest_ptr(&dev.guest, gpa, len), 0, len);
	return (struct drv_seg){.gpa = gpa, .len = len, .writable = true};
}

/* Has the pieces filled. Returns how many bytes the device says that it wrote. */
static uint32_t fill(const struct drv_seg *segs, size_t n)
{
	struct drv_used used;

	assert_true(drv_ring_add(ring, segs, n, NULL) >= 0);
	assert_true(drv_ring_submit(ring) >= 0);
	assert_int_equal(drv_ring_wait(ring, WAIT_DEFAULT), 0);
	assert_int_equal(drv_ring_reap(ring, &used), 1);
	return used.len;
}

static const uint8_t *bytes(struct drv_seg s)
{
	return guest_ptr(&dev.guest, s.gpa, s.len);
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Random bytes have no run of 8 zeros, but for once in 10^17 tries. */
static void assert_filled(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i + 8 <= n; i += 8)
		assert_false(is_zero(p + i, 8));
}

static void sizes(void **state)
{
	static const uint32_t lens[] = {1, 2, 7, 8, 16, 32, 64, 100, 255, 256};

	(void)state;
	begin();
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		struct drv_seg s = piece(lens[i]);

		assert_int_equal(fill(&s, 1), lens[i]);
		assert_filled(bytes(s), s.len);
	}
}

/* A large one comes back short, and nothing was written behind what is said. */
static void large(void **state)
{
	struct drv_seg s;

	(void)state;
	begin();
	s = piece(100000);
	assert_int_equal(fill(&s, 1), AT_ONCE);
	assert_filled(bytes(s), AT_ONCE);
	assert_true(is_zero(bytes(s) + AT_ONCE, s.len - AT_ONCE));
}

static void several_pieces(void **state)
{
	struct drv_seg s[8];
	uint32_t sum = 0;

	(void)state;
	begin();
	for (uint32_t i = 0; i < 8; i++) {
		s[i] = piece(32 * i + 8);
		sum += s[i].len;
	}
	assert_int_equal(fill(s, 8), sum);
	for (uint32_t i = 0; i < 8; i++)
		assert_filled(bytes(s[i]), s[i].len);
	s[2] = piece(AT_ONCE + 1); // what follows it must stay as it was
	s[3] = piece(64);
	assert_int_equal(fill(s, 4), s[0].len + s[1].len + AT_ONCE);
	assert_true(is_zero(bytes(s[3]), 64));
}

static void different_each_time(void **state)
{
	struct drv_seg s[50];

	(void)state;
	begin();
	for (int i = 0; i < 50; i++) {
		s[i] = piece(16);
		assert_int_equal(fill(&s[i], 1), 16);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(bytes(s[i]), bytes(s[k]), 16);
	}
}

/* Many at once, each is filled. */
static void many(void **state)
{
	struct drv_seg s[100];
	struct drv_used used;
	int reaped = 0;

	(void)state;
	begin();
	for (int i = 0; i < 100; i++) {
		s[i] = piece(64);
		assert_true(drv_ring_add_indirect(ring, &s[i], 1, &s[i]) >= 0);
	}
	assert_true(drv_ring_submit(ring) >= 0);
	while (reaped < 100) {
		assert_int_equal(drv_ring_wait(ring, WAIT_DEFAULT), 0);
		while (drv_ring_reap(ring, &used) == 1) {
			assert_int_equal(used.len, 64);
			assert_filled(bytes(*(struct drv_seg *)used.cookie), 64);
			reaped++;
		}
	}
}

/* A buffer that cannot be written is none; the next is served. */
static void read_only(void **state)
{
	struct drv_seg s;

	(void)state;
	begin();
	s = piece(16);
	s.writable = false;
	assert_int_equal(fill(&s, 1), 0);
	assert_true(is_zero(bytes(s), 16));
	s.writable = true;
	assert_int_equal(fill(&s, 1), 16);
}

static void again_after_a_reset(void **state)
{
	struct drv_seg s;

	(void)state;
	begin();
	for (int i = 0; i < 5; i++) {
		s = piece(32);
		assert_int_equal(fill(&s, 1), 32);
		device_reset();
		device_start();
	}
	device_terminate();
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(sizes),
		TEST(large),
		TEST(several_pieces),
		TEST(different_each_time),
		TEST(many),
		TEST(read_only),
		TEST(again_after_a_reset),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_rng", tests, NULL, NULL);
}
