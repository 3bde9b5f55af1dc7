/* SPDX-License-Identifier: MIT */
/* Pacing when something is late, stops, goes away or comes back: the guest, the graph, our own loop. */
#include "unit.h"
#include "sound_world.h"

#include <stdio.h>

static struct world w;

/* ---- T1: all of a ring at once is no progress ---- */

/* The loop sleeps for longer than the guest's buffer: the guest sees progress all the same. */
static void test_t1_a_late_loop_never_fools_the_guest(void **state)
{
	(void)state;
	for (unsigned g = ALSA_6_1; g <= ALSA_6_7; g++)
		for (unsigned i = 0; i < WORLD_PAIRS; i++) {
			w = world_setup(world_pairs[i].period, world_pairs[i].buffer, 1024, 48000);
			w.guest.generation = g;
			w.guest.total -= w.guest.total % w.guest.period;
			w.late = 40 * MS;
			world_init(&w);
			world_run_out(&w);
			if (w.alsa.end != ALSA_DRAINED || w.alsa.lag_max || w.alsa.fault) {
				printf("gen %u %u/%u end %d\n", g, w.guest.period, w.guest.buffer,
					w.alsa.end);
				fail();
			}
			world_finish(&w);
		}
}

/* So does a guest whose interrupts are late. */
static void test_t1_a_late_guest_is_not_fooled(void **state)
{
	(void)state;
	w = world_setup(128, 256, 1024, 48000);
	w.guest.irq_delay = 5 * MS;
	w.guest.jitter = 20 * MS;
	world_init(&w);
	world_run_out(&w);
	assert_int_equal(w.alsa.end, ALSA_DRAINED);
	assert_int_equal(w.alsa.lag_max, 0);
	world_finish(&w);
}

/* ---- T3: no progress for 100 ms is an error ---- */

static void test_t3_a_graph_that_never_comes(void **state)
{
	(void)state;
	w = world_setup(480, 960, 1024, 480000);
	w.away = true;
	world_init(&w);
	world_run_out(&w);
	assert_int_equal(w.alsa.end, ALSA_DRAINED);
	assert_int_equal(w.alsa.xruns, 0);
	assert_int_equal(w.heard, 0);
	assert_in_range(w.now - 100 * SEC, 10 * SEC - 100 * MS, 10 * SEC + 200 * MS);
	world_finish(&w);
}

/* Up to a quarter of a second nothing is lost; behind that the beginning is, and nothing else. */
static void test_t3_a_graph_that_comes_late(void **state)
{
	(void)state;
	for (int64_t ms = 0; ms <= 1000; ms += 10) {
		w = world_setup(480, 1920, 1024, 96000);
		w.begins = ms * MS;
		world_init(&w);
		world_run_out(&w);
		assert_int_equal(w.alsa.end, ALSA_DRAINED);
		assert_int_equal(w.alsa.xruns, 0);
		if (w.gaps || w.last != 96000)
			printf("ms %d heard %d gaps %d wrong %d\n", (int)ms, (int)w.heard,
				(int)w.gaps, (int)w.wrong);
		assert_int_equal(w.gaps, 0);
		assert_int_equal(w.last, 96000);
		if (ms <= 240)
			assert_int_equal(w.heard, 96000);
		else
			assert_in_range(w.heard, 96000 - (uint64_t)(ms + 150) * 48, 96000);
		assert_int_equal(w.wrong, w.heard == 96000 ? 0 : 1);
		world_finish(&w);
	}
}

/* PipeWire is killed and started again: the pointer never stalls, sound is back. */
static void test_the_graph_is_lost_and_found(void **state)
{
	uint64_t consumed;

	(void)state;
	w = world_setup(480, 1920, 1024, 0);
	world_init(&w);
	world_run(&w, w.now + 2 * SEC);
	world_lose_graph(&w);
	for (unsigned i = 0; i < 100; i++) {
		consumed = w.alsa.consumed;
		world_run(&w, w.now + 25 * MS);
		assert_true(w.alsa.consumed > consumed);
	}
	world_find_graph(&w);
	world_run(&w, w.now + 200 * MS);
	consumed = w.heard;
	w.gaps = w.wrong = 0;
	world_run(&w, w.now + 2 * SEC);
	assert_in_range(w.heard - consumed, 96000 - 1024, 96000 + 1024);
	assert_int_equal(w.gaps + w.wrong, 0);
	assert_int_equal(w.alsa.xruns, 0);
	world_finish(&w);
}

/* ---- who was late ---- */

/* The guest stops writing for a while: one gap, of that length, and an event. */
static void test_t7_underrun(void **state)
{
	(void)state;
	w = world_setup(480, 1920, 1024, 0);
	world_init(&w);
	world_run(&w, w.now + SEC);
	assert_int_equal(w.xruns, 0);
	w.alsa.app_due = w.now + 200 * MS; // it does not get its turn
	world_run(&w, w.now + SEC);
	assert_in_range(w.xruns, 1, 2);
	assert_int_equal(w.gaps, 1);
	assert_int_equal(w.wrong, 0);
	world_run(&w, w.now + SEC);
	assert_int_equal(w.gaps, 1);
	world_finish(&w);
}

/* A guest that is late by less than lies in the feed is not heard to be. */
static void test_a_little_late_is_not_heard(void **state)
{
	(void)state;
	w = world_setup(480, 1920, 1024, 480000);
	w.guest.app_delay = MS;
	w.guest.jitter = 8 * MS;
	world_init(&w);
	world_run_out(&w);
	world_assert_played(&w, "late");
	world_finish(&w);
}

/* The loop is late by more than the margin: that is heard once or twice, and then there is more of it. */
static void test_the_margin_grows(void **state)
{
	uint64_t gaps;

	(void)state;
	w = world_setup(480, 1920, 256, 0);
	w.late = 18 * MS;
	world_init(&w);
	world_run(&w, w.now + 20 * SEC);
	gaps = w.gaps;
	assert_true(w.pcm.margin > 480);
	world_run(&w, w.now + 20 * SEC);
	assert_int_equal(w.gaps, gaps);
	assert_int_equal(w.wrong, 0);
	world_finish(&w);
}

/* The host's quantum grows and shrinks while it plays. */
static void test_the_quantum_changes(void **state)
{
	static const uint32_t quanta[] = {256, 2048, 64, 8192, 1024};

	(void)state;
	w = world_setup(480, 1920, 1024, 0);
	world_init(&w);
	for (unsigned i = 0; i < 5; i++) {
		world_run(&w, w.now + 2 * SEC);
		assert_in_range(w.gaps, 0, i);
		w.began = w.cycle_at;
		w.cycle = 0;
		w.quantum = quanta[i];
	}
	world_run(&w, w.now + 2 * SEC);
	assert_int_equal(w.wrong, 0);
	assert_int_equal(w.alsa.xruns, 0);
	world_finish(&w);
}

/* ---- what a guest does with a running stream ---- */

/* Nothing is lost or played twice by a pause. */
static void test_pause(void **state)
{
	(void)state;
	for (unsigned g = ALSA_6_1; g <= ALSA_6_7; g++) {
		w = world_setup(480, 1920, 1024, 480000);
		w.guest.generation = g;
		world_init(&w);
		for (unsigned i = 0; i < 8; i++) {
			world_run(&w, w.now + 300 * MS + i * 7 * MS);
			assert_true(alsa_pause(&w.alsa, w.now));
			world_run(&w, w.now + (i & 1 ? 500 : 5) * MS);
			assert_true(alsa_resume(&w.alsa, w.now));
		}
		world_run_out(&w);
		assert_int_equal(w.alsa.end, ALSA_DRAINED);
		assert_int_equal(w.heard, 480000);
		assert_int_equal(w.wrong, 0);
		world_finish(&w);
	}
}

/* T15: suspend leaves no message; afterwards it is set up and plays as before. */
static void test_t15_suspend(void **state)
{
	(void)state;
	w = world_setup(480, 1920, 1024, 480000);
	world_init(&w);
	for (unsigned i = 0; i < 5; i++) {
		world_run(&w, w.now + 300 * MS);
		alsa_suspend(&w.alsa, w.now);
		assert_int_equal(w.pcm.n_ios, 0);
		assert_int_equal(w.pcm.state, PCM_NEW);
		world_run(&w, w.now + SEC);
		alsa_wake(&w.alsa, w.now);
	}
	world_run_out(&w);
	assert_int_equal(w.alsa.end, ALSA_DRAINED);
	assert_null(w.alsa.fault);
	world_finish(&w);
}

/* Where nothing can be recorded there is silence at the right time. */
static void test_capture_without_a_graph(void **state)
{
	(void)state;
	w = world_setup(480, 1920, 1024, 96000);
	w.guest.capture = true;
	w.away = true;
	world_init(&w);
	world_run_out(&w);
	assert_int_equal(w.alsa.end, ALSA_DRAINED);
	assert_int_equal(w.alsa.silent, 96000);
	assert_in_range(w.now - 100 * SEC, 2 * SEC - 50 * MS, 2 * SEC + 50 * MS);
	world_finish(&w);
}

/* A guest that does not fetch what was recorded loses it, once, and is told. */
static void test_t7_overrun(void **state)
{
	uint64_t moved;

	(void)state;
	w = world_setup(480, 1920, 1024, 0);
	w.guest.capture = true;
	world_init(&w);
	world_run(&w, w.now + SEC);
	w.alsa.app_due = w.now + 2 * SEC;
	world_run(&w, w.now + 4 * SEC);
	moved = w.alsa.moved;
	assert_true(w.alsa.xruns > 0);
	world_run(&w, w.now + SEC);
	assert_in_range(w.alsa.moved - moved, 48000 - 960, 48000 + 960);
	assert_in_range(w.alsa.breaks, 0, 1);
	world_finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_t1_a_late_loop_never_fools_the_guest),
		cmocka_unit_test(test_t1_a_late_guest_is_not_fooled),
		cmocka_unit_test(test_t3_a_graph_that_never_comes),
		cmocka_unit_test(test_t3_a_graph_that_comes_late),
		cmocka_unit_test(test_the_graph_is_lost_and_found),
		cmocka_unit_test(test_t7_underrun),
		cmocka_unit_test(test_a_little_late_is_not_heard),
		cmocka_unit_test(test_the_margin_grows),
		cmocka_unit_test(test_the_quantum_changes),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_t15_suspend),
		cmocka_unit_test(test_capture_without_a_graph),
		cmocka_unit_test(test_t7_overrun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
