/* SPDX-License-Identifier: MIT */
/*
 * The model of Linux's driver and of ALSA: what comes of devices that keep time, and that do not.
 */
#include "alsa_toy.h"

#include <errno.h>

/* Playing */

static const struct {
	uint32_t period, buffer;
} pairs[] = {{64, 128}, {128, 256}, {128, 512}, {256, 1024}, {480, 960}, {480, 1920}, {441, 1764},
	{1024, 2048}, {1024, 4096}, {4800, 19200}, {7, 14}};
#define PAIRS (sizeof(pairs) / sizeof(*pairs))

static void paced(enum alsa_generation generation, bool capture, int64_t jitter)
{
	for (size_t i = 0; i < PAIRS; i++) {
		uint64_t total = 300ull * pairs[i].period;
		struct alsa_setup s = {.generation = generation,
			.capture = capture,
			.period = pairs[i].period,
			.buffer = pairs[i].buffer,
			.total = total,
			.jitter = jitter,
			.seed = i};

		if (jitter > 0) // of each of the three delays, and together less than a period
			s.jitter = pairs[i].period * 1000000000ll / 48000 / 4;
		toy_begin(&s, PACED);
		toy_live(ALSA_NEVER - 1);
		toy_assert_all_went_well(total);
		assert_true(dev.played >= total);
		if (!capture)
			assert_int_equal(dev.guest.consumed, total);
		if (generation == ALSA_6_7)
			assert_int_equal(dev.wrong, 0); // 6.1 plays on while it drains
		assert_string_equal(dev.requests, "Pp+-r");
	}
}

static void the_paced_one_plays(void **state)
{
	(void)state;
	paced(ALSA_6_1, false, 0);
	paced(ALSA_6_7, false, 0);
	paced(ALSA_6_1, false, 1);
	paced(ALSA_6_7, false, 1);
}

static void the_paced_one_records(void **state)
{
	(void)state;
	paced(ALSA_6_1, true, 0);
	paced(ALSA_6_7, true, 0);
	paced(ALSA_6_1, true, 1);
	paced(ALSA_6_7, true, 1);
}

/* 6.7 hands over what is written, 6.1 everything, and only at START. */
static void messages_before_start(void **state)
{
	struct alsa_setup s = {.generation = ALSA_6_7,
		.period = 100,
		.buffer = 400,
		.chunk = 150,
		.total = 250,
		.start_threshold = 1000};

	(void)state;
	toy_begin(&s, PACED);
	alsa_run(&dev.guest, 0);
	assert_int_equal(dev.n, 2);
	assert_string_equal(dev.requests, "Pp+");
	assert_int_equal(dev.guest.state, ALSA_DRAINING);
	toy_live(ALSA_NEVER - 1);
	assert_int_equal(dev.guest.end, ALSA_EIO); // half a period never goes out
	assert_int_equal(dev.played, 200);
	assert_string_equal(dev.requests, "Pp+-r");

	s.generation = ALSA_6_1;
	s.total = 0;
	s.start_threshold = 0;
	toy_begin(&s, PACED);
	alsa_run(&dev.guest, 0);
	assert_string_equal(dev.requests, "Pp+");
	assert_int_equal(dev.n, 4);
}

/* The device's latency reaches the application. */
static void latency_is_told(void **state)
{
	(void)state;
	toy_begin(
		&(struct alsa_setup){.period = 64, .buffer = 256, .frame_bytes = 6, .total = 6400},
		PACED);
	dev.latency = 600;
	toy_live(ALSA_NEVER - 1);
	toy_assert_all_went_well(6400);
	assert_int_equal(dev.guest.delay, 100);
}

/* Not progressing */

/*
 * The whole ring at once, each time: the position is where it was, and the guest waits for the
 * progress that it has missed.
 */
static void whole_ring_at_once(void **state)
{
	(void)state;
	for (int generation = ALSA_6_1; generation <= ALSA_6_7; generation++)
		for (size_t i = 0; i < PAIRS; i++) {
			struct alsa_setup s = {.generation = generation,
				.period = pairs[i].period,
				.buffer = pairs[i].buffer,
				.total = 48000};

			toy_begin(&s, AT_ONCE);
			toy_live(ALSA_NEVER - 1);
			toy_assert_no_fault();
			assert_int_equal(dev.guest.end, ALSA_EIO);
			assert_int_equal(dev.guest.consumed, 0);
			assert_int_equal(dev.guest.lag_max, pairs[i].buffer);
			assert_int_equal(dev.guest.xruns, 0);
			assert_string_equal(dev.requests, "Pp+-r");
		}
}

/* What Linux 6.12 was seen to do with QEMU's own device, whose buffer has 46 ms: aplay's -EIO below. */
static void greed(void **state)
{
	static const struct {
		uint32_t period, buffer;
		enum alsa_end end;
	} seen[] = {{128, 512, ALSA_EIO}, {480, 960, ALSA_EIO}, {256, 1024, ALSA_EIO},
		{480, 1920, ALSA_EIO}, {512, 2048, ALSA_EIO}, {1024, 2048, ALSA_EIO},
		{1200, 2400, ALSA_DRAINED}, {1024, 4096, ALSA_DRAINED}};

	(void)state;
	for (size_t i = 0; i < sizeof(seen) / sizeof(*seen); i++) {
		struct alsa_setup s = {.generation = ALSA_6_7,
			.period = seen[i].period,
			.buffer = seen[i].buffer,
			.total = 300ull * seen[i].period};

		toy_begin(&s, GREEDY);
		toy_live(ALSA_NEVER - 1);
		toy_assert_no_fault();
		assert_int_equal(dev.guest.end, seen[i].end);
	}
}

/* 6.1 gives it all again in its interrupt: a device that takes it all again runs away. */
static void running_away(void **state)
{
	struct alsa_setup s = {.generation = ALSA_6_1, .period = 64, .buffer = 128, .total = 48000};

	(void)state;
	toy_begin(&s, BURSTS);
	toy_live(ALSA_NEVER - 1);
	assert_int_equal(dev.guest.end, ALSA_EIO);
	assert_int_equal(dev.guest.consumed, 0);
	assert_true(dev.guest.lag_max > 70 * 128);
}

/* With more than half of the buffer's time between them, the core notices: that is an xrun. */
static void slow_bursts_are_noticed(void **state)
{
	struct alsa_setup s = {
		.generation = ALSA_6_1, .period = 4800, .buffer = 4800, .total = 48000};

	(void)state;
	toy_begin(&s, BURSTS);
	toy_live(ALSA_NEVER - 1);
	assert_int_equal(dev.guest.end, ALSA_BROKE);
	assert_int_equal(dev.guest.xruns, 1);
	assert_int_equal(dev.guest.consumed, 4800);
	assert_string_equal(dev.requests, "Pp+-r");
}

static void time_out(uint32_t period, uint32_t buffer, int64_t ms)
{
	for (int generation = ALSA_6_1; generation <= ALSA_6_7; generation++)
		for (int capture = 0; capture < 2; capture++) {
			struct alsa_setup s = {.generation = generation,
				.period = period,
				.buffer = buffer,
				.capture = capture};

			toy_begin(&s, NEVER);
			toy_live(ms * MS - 1);
			assert_int_equal(dev.guest.end, ALSA_RUNS);
			toy_live(ms * MS);
			assert_int_equal(dev.guest.end, ALSA_EIO);
			assert_int_equal(dev.now, ms * MS);
			toy_assert_no_fault();
			assert_string_equal(dev.requests, "Pp+-r");
		}
}

static void nothing_ever(void **state)
{
	(void)state;
	time_out(64, 128, 100);
	time_out(1024, 4096, 100);
	time_out(4800, 19200, 440);
}

/* The model itself */

static void frames_by_number(void **state)
{
	static const uint64_t numbers[] = {0, 1, 2, 255, 256, 65535, 1 << 20, 0xfffffffe};
	uint8_t frame[12];

	(void)state;
	for (uint32_t bytes = 1; bytes <= sizeof(frame); bytes++)
		for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
			uint64_t mask = bytes < 4 ? (1u << 8 * bytes) - 1 : UINT32_MAX;

			alsa_frame_put(frame, bytes, numbers[i]);
			assert_int_equal(alsa_frame_number(frame, bytes), numbers[i] & mask);
		}
}

static void setups(void **state)
{
	struct alsa_setup s = {.period = 0, .buffer = 128};
	struct alsa_guest g;

	(void)state;
	assert_int_equal(alsa_guest_init(&g, &s, &toy_ops, &dev), -EINVAL);
	s.period = 100;
	assert_int_equal(alsa_guest_init(&g, &s, &toy_ops, &dev), -EINVAL);
	s.buffer = 0;
	assert_int_equal(alsa_guest_init(&g, &s, &toy_ops, &dev), -EINVAL);
}

#define TEST(name) cmocka_unit_test_teardown(name, toy_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_paced_one_plays),
		TEST(the_paced_one_records),
		TEST(messages_before_start),
		TEST(latency_is_told),
		TEST(whole_ring_at_once),
		TEST(greed),
		TEST(running_away),
		TEST(slow_bursts_are_noticed),
		TEST(nothing_ever),
		TEST(frames_by_number),
		TEST(setups),
	};

	return cmocka_run_group_tests_name("driver_alsa", tests, NULL, NULL);
}
