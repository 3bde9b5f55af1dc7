/* SPDX-License-Identifier: MIT */
/* Pacing: guests of both generations, graphs of all kinds, minutes in the blink of an eye. */
#include "unit.h"
#include "sound_world.h"

#include <stdio.h>

static struct world w;

static void play(
	enum alsa_generation generation, uint32_t period, uint32_t buffer, uint32_t quantum)
{
	w = (struct world){
		.guest = {.generation = generation,
			.period = period,
			.buffer = buffer,
			.total = 96000 - 96000 % period},
		.quantum = quantum,
		.begins = 3 * MS,
	};
	world_init(&w);
	world_run_out(&w);
	world_assert_played(&w, "play");
	world_finish(&w);
}

static void test_every_pair_plays_without_a_break(void **state)
{
	static const uint32_t quanta[] = {64, 256, 480, 1024, 2048, 8192};

	(void)state;
	for (unsigned i = 0; i < WORLD_PAIRS; i++)
		for (unsigned q = 0; q < sizeof(quanta) / sizeof(quanta[0]); q++) {
			play(ALSA_6_7, world_pairs[i].period, world_pairs[i].buffer, quanta[q]);
			play(ALSA_6_1, world_pairs[i].period, world_pairs[i].buffer, quanta[q]);
		}
}

/* Cycles early and late by half a quantum, and a loop that is late, too. */
static void test_jitter_breaks_nothing(void **state)
{
	static const uint32_t quanta[] = {256, 1024, 2048};

	(void)state;
	for (unsigned g = ALSA_6_1; g <= ALSA_6_7; g++)
		for (unsigned i = 2; i < WORLD_PAIRS; i++)
			for (unsigned q = 0; q < 3; q++) {
				w = (struct world){
					.guest = {.generation = g,
						.period = world_pairs[i].period,
						.buffer = world_pairs[i].buffer,
						.total = 480000 - 480000 % world_pairs[i].period},
					.quantum = quanta[q],
					.ppm = q == 1 ? 300 : -300,
					.jitter = 0.25,
					.begins = 11 * MS,
					.late = MS,
				};
				world_init(&w);
				world_run_out(&w);
				world_assert_played(&w, "jitter");
				world_finish(&w);
			}
}

/* The guest's clock is the graph's, whatever happens in between; its own goes on meanwhile. */
static void test_ten_minutes_without_drift(void **state)
{
	const double ppm = 300;
	double expected;
	int64_t began;

	(void)state;
	w = (struct world){
		.guest = {.generation = ALSA_6_7, .period = 480, .buffer = 1920, .recover = true},
		.quantum = 1024,
		.ppm = ppm,
		.jitter = 0.5,
		.begins = 5 * MS,
	};
	world_init(&w);
	world_run(&w, w.now + 60 * SEC); // the graph's rate is learnt
	began = w.now;
	expected = (double)w.alsa.consumed;
	for (unsigned i = 0; i < 20; i++) {
		world_lose_graph(&w);
		world_run(&w, w.now + 2 * SEC);
		world_find_graph(&w);
		world_run(&w, w.now + 28 * SEC);
	}
	expected += (double)(w.now - began) / 1e9 * 48000 / (1 + ppm / 1e6);
	assert_int_equal(w.alsa.end, ALSA_RUNS);
	assert_int_equal(w.alsa.xruns, 0);
	assert_in_range((int64_t)((double)w.alsa.consumed - expected + 480), 0, 960);
	world_finish(&w);
}

/* ---- T2: in order, at the pace of the graph ---- */

static void test_t2_never_ahead_of_the_sound(void **state)
{
	(void)state;
	for (unsigned g = ALSA_6_1; g <= ALSA_6_7; g++) {
		w = world_setup(480, 1920, 1024, 0);
		w.guest.generation = g;
		world_init(&w);
		for (unsigned i = 0; i < 200; i++) {
			world_run(&w, w.now + 10 * MS);
			/* By the feed and a period at most. */
			assert_true(w.alsa.consumed <= w.heard + 1024 + 512 + 480);
			assert_true(w.pcm.moved <= w.pcm.completed + 480); // and read as late
		}
		assert_int_equal(w.wrong, 0);
		world_finish(&w);
	}
}

/* T8: without a kick. */
static void test_t8_polling(void **state)
{
	(void)state;
	for (unsigned g = ALSA_6_1; g <= ALSA_6_7; g++) {
		w = world_setup(480, 1920, 1024, 96000);
		w.guest.generation = g;
		w.polling = true;
		world_init(&w);
		world_run_out(&w);
		world_assert_played(&w, "polling");
		world_finish(&w);
	}
}

/* ---- capture ---- */

/*
 * T16: a sound server in the guest has a buffer of many periods and keeps two or three of them filled, as
 * WirePlumber does in virtual machines. What it has not written yet is not read.
 */
static void test_t16_a_guest_that_keeps_its_buffer_low(void **state)
{
	(void)state;
	for (unsigned g = ALSA_6_1; g <= ALSA_6_7; g++) {
		w = world_setup(1024, 16384, 1024, 480 * 1024);
		w.guest.generation = g;
		w.guest.keep = w.guest.start_threshold = 3072;
		world_init(&w);
		world_run(&w, w.now + 8 * SEC);
		assert_int_equal(w.gaps + w.wrong, 0);
		assert_true(w.alsa.fill_max <= 3072);
		world_run_out(&w);
		world_assert_played(&w, "low");
		world_finish(&w);
	}
}

static void record(enum alsa_generation generation, uint32_t period, uint32_t buffer,
	uint32_t quantum, double jitter)
{
	w = world_setup(period, buffer, quantum, 96000 - 96000 % period);
	w.guest.generation = generation;
	w.guest.capture = true;
	w.jitter = jitter;
	w.ppm = 200;
	world_init(&w);
	world_run_out(&w);
	if (w.alsa.end != ALSA_DRAINED || w.alsa.breaks || w.alsa.silent || w.alsa.xruns
		|| w.alsa.fault || w.alsa.lag_max) {
		printf("capture %u/%u quantum %u: end %d breaks %llu silent %llu xruns %u %s\n",
			period, buffer, quantum, w.alsa.end, (unsigned long long)w.alsa.breaks,
			(unsigned long long)w.alsa.silent, w.alsa.xruns,
			w.alsa.fault ? w.alsa.fault : "-");
		fail();
	}
	world_finish(&w);
}

/* T6: exactly a period each time, every frame once. */
static void test_t6_every_pair_records_without_a_break(void **state)
{
	static const uint32_t quanta[] = {64, 256, 1024, 8192};

	(void)state;
	for (unsigned i = 0; i < WORLD_PAIRS; i++)
		for (unsigned q = 0; q < 4; q++) {
			record(ALSA_6_7, world_pairs[i].period, world_pairs[i].buffer, quanta[q],
				0);
			record(ALSA_6_1, world_pairs[i].period, world_pairs[i].buffer, quanta[q],
				0.2);
		}
}

/* ---- latency_bytes ---- */

/* What the guest is told is what there is between the end of a message and the ear. */
static void test_latency(void **state)
{
	(void)state;
	w = world_setup(480, 1920, 1024, 0);
	w.delay = 50 * MS;
	world_init(&w);
	for (unsigned i = 0; i < 100; i++) {
		int64_t truth;

		world_run(&w, w.now + 33 * MS);
		/* Frame `last` + 1 is heard 50 ms after the next cycle begins. */
		truth = (int64_t)(w.pcm.completed - w.last)
			+ (w.cycle_at - w.last_completion) * 48 / MS + 50 * 48;
		if (i > 3)
			assert_in_range(w.alsa.delay - truth + 100, 0, 200);
	}
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_pair_plays_without_a_break),
		cmocka_unit_test(test_jitter_breaks_nothing),
		cmocka_unit_test(test_ten_minutes_without_drift),
		cmocka_unit_test(test_t2_never_ahead_of_the_sound),
		cmocka_unit_test(test_t8_polling),
		cmocka_unit_test(test_t16_a_guest_that_keeps_its_buffer_low),
		cmocka_unit_test(test_t6_every_pair_records_without_a_break),
		cmocka_unit_test(test_latency),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
