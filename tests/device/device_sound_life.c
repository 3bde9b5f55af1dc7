/* SPDX-License-Identifier: MIT */
/*
 * The guest's clock goes on whatever the host's does: a graph that is late, that stands, that is killed
 * and comes back. And what comes to an end leaves nothing behind.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/loop.h"
#include "driver/wait.h"
#include "sound_guest.h"

#define MS INT64_C(1000000)

enum {
	TRIES = 20,
	PERIOD = 1024,
	PERIODS = 12,
	QUANTUM = 1024,
	SPARE_MS = 100,
	PERIOD_MS = 22,
	HALF_A_SECOND = 24, // of messages
	TAIL = 8,
};

static const char *binary;
static const char *const verbose[] = {"-v", NULL};
static struct sound_rig rig;
static struct sound_guest player, recorder;

static void say_noise(float *frames, uint64_t first, uint32_t n, uint32_t channels)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = 0; c < channels; c++)
			*frames++ = (float)noise_level(VIRTIO_SND_PCM_FMT_S16, first + i, c);
}

/* The guest has its messages while the test waits for PipeWire. */
static void serve_guest(void *arg)
{
	(void)arg;
	if (rig.n_guests)
		sound_rig_poll(&rig);
}

static const struct graph_setup graph_setup = {
	.quantum = QUANTUM, .say = say_noise, .idle = serve_guest};

static int begin(void **state)
{
	const struct snd_setup setup = {.args = verbose};

	(void)state;
	return sound_rig_begin(&rig, &graph_setup, binary, &setup);
}

static int end(void **state)
{
	(void)state;
	free(recorder.recorded);
	recorder.recorded = NULL;
	sound_rig_end(&rig);
	return 0;
}

static struct sound_guest guest_of(uint32_t id)
{
	return (struct sound_guest){.id = id,
		.records = id == 1,
		.format = VIRTIO_SND_PCM_FMT_S16,
		.channels = 2,
		.rate = VIRTIO_SND_PCM_RATE_48000,
		.period = PERIOD,
		.periods = PERIODS};
}

static void start_both(void)
{
	free(recorder.recorded);
	player = guest_of(0);
	recorder = guest_of(1);
	assert_int_equal(sound_rig_open(&rig, &recorder), 0);
	assert_int_equal(sound_rig_open(&rig, &player), 0);
	assert_int_equal(sound_rig_start(&rig, &recorder), 0);
	assert_int_equal(sound_rig_start(&rig, &player), 0);
	assert_int_equal(sound_rig_play(&rig, &player, 20), 0);
	player.longest = recorder.longest = 0;
}

static void finish_both(void)
{
	assert_int_equal(sound_rig_close(&rig, &player), 0);
	assert_int_equal(sound_rig_close(&rig, &recorder), 0);
	assert_int_equal(player.failed, 0);
	assert_int_equal(recorder.failed, 0);
	assert_int_equal(sound_rig_cycles(&rig, 6), 0);
}

static struct noise_found find_heard(uint64_t from, uint64_t number)
{
	const struct noise_search search = {VIRTIO_SND_PCM_FMT_S16, 2, NULL, number};

	return noise_find(&search, graph_frame(&rig.graph, from), rig.graph.n_heard - from);
}

/* The last that was heard is all noise, in order. */
static bool is_whole(void)
{
	const uint64_t frames = (uint64_t)TAIL * QUANTUM;
	struct noise_found f =
		find_heard(rig.graph.n_heard - frames, (player.n_back - 2 * TAIL) * PERIOD);

	return f.frames == frames && !f.lost && !f.gaps;
}

static struct noise_found find_recorded(void)
{
	const struct noise_search search = {VIRTIO_SND_PCM_FMT_S16, 2, NULL, 0};
	uint64_t frames = recorder.n_back * PERIOD;
	float *all = malloc(frames * 2 * sizeof(float));
	struct noise_found f;

	assert_non_null(all);
	noise_read(VIRTIO_SND_PCM_FMT_S16, recorder.recorded, all, frames * 2);
	f = noise_find(&search, all, frames);
	free(all);
	return f;
}

static void print(const char *what, const struct sound_guest *s, const struct noise_found *f)
{
	printf("# %s: %.1f ms without a message; %llu frames, %llu gaps of %llu, %llu lost, %llu "
	       "strange\n",
		what, (double)s->longest / 1e6, (unsigned long long)f->frames,
		(unsigned long long)f->gaps, (unsigned long long)f->silence,
		(unsigned long long)f->lost, (unsigned long long)f->strange);
}

/* Messages came back all the time. Who is late by himself, or is served late, may try again. */
static bool in_time(const struct sound_guest *s)
{
	return s->longest <= (PERIOD_MS + SPARE_MS) * MS;
}

/* The guest's clock has not run ahead of ours by more than its buffer. */
static void assert_no_more(const struct sound_guest *s, int64_t ns)
{
	assert_true(s->n_back * PERIOD
		<= (uint64_t)(ns / 1000 * GRAPH_RATE / 1000000) + PERIODS * PERIOD);
}

/*
 * The graph stands for so long, and makes up for it when it is punctual: all the cycles that it has missed
 * come at once, with the times at which they should have been. What is heard after that is whole again, and
 * in order all the time.
 */
static void stand(int ms, bool punctual)
{
	struct noise_found heard, recorded;
	bool whole;
	uint64_t from;
	unsigned try = 0;
	int64_t began;

	do {
		assert_true(try++ < TRIES);
		from = rig.graph.n_heard;
		began = loop_now();
		start_both();
		assert_int_equal(sound_rig_serve(&rig, loop_now() + ms * MS), 0);
		if (!punctual)
			graph_rest(&rig.graph);
		assert_int_equal(sound_rig_play(&rig, &player, player.n_back + 20), 0);
		whole = is_whole();
		assert_no_more(&player, loop_now() - began);
		assert_no_more(&recorder, loop_now() - began);
		finish_both();
		heard = find_heard(from, 0);
		recorded = find_recorded();
		print("played", &player, &heard);
		print("recorded", &recorder, &recorded);
		assert_int_equal(heard.strange + recorded.strange, 0);
	} while (!in_time(&player) || !in_time(&recorder) || !whole);
	assert_true(recorded.last_at > recorder.n_back * PERIOD - 4 * QUANTUM);
}

static void a_cycle_may_be_late(void **state)
{
	(void)state;
	stand(300, false);
}

static void cycles_may_come_at_once(void **state)
{
	(void)state;
	stand(300, true);
}

static void a_graph_may_stand(void **state)
{
	(void)state;
	stand(2000, false);
}

/* ---- PipeWire is killed ---- */

/* What the guest does until then, without a graph. */
static void serve_until(int64_t until)
{
	while (loop_now() < until) {
		assert_int_equal(sound_rig_poll(&rig), 0);
		snd_driver_wait(&rig.stage.snd, 5);
	}
}

static void kill_pipewire(void)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	kill(getppid(), SIGUSR1);
	while (graph_turn(&rig.graph, 5) == 0)
		assert_true(wait_left(deadline) > 0);
	graph_end(&rig.graph);
}

static void await_pipewire(void)
{
	int64_t deadline = wait_deadline(30000);

	kill(getppid(), SIGUSR2);
	while (graph_begin(&rig.graph, &graph_setup) < 0) {
		assert_true(wait_left(deadline) > 0);
		graph_end(&rig.graph);
		serve_until(loop_now() + 50 * MS);
	}
}

static bool is_silent(void)
{
	uint64_t n = rig.graph.n_heard;
	const float *last = graph_frame(&rig.graph, n ? n - 1 : 0);

	return !n || (last[0] == 0 && last[1] == 0);
}

/* In ms. */
static long long await_sound(void)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT), from = loop_now();

	do {
		assert_true(wait_left(deadline) > 0);
		assert_int_equal(sound_rig_cycle(&rig), 0);
	} while (is_silent());
	return (loop_now() - from) / MS;
}

/* The guest's clock goes on: so many more messages come back, without a graph. */
static void await_messages(const struct sound_guest *s, uint64_t more)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	uint64_t wanted = s->n_back + more;

	while (s->n_back < wanted) {
		assert_true(wait_left(deadline) > 0);
		serve_until(loop_now() + PERIOD_MS * MS);
	}
}

static void await_whole(void)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	do {
		assert_true(wait_left(deadline) > 0);
		assert_int_equal(sound_rig_play(&rig, &player, player.n_back + 2 * TAIL), 0);
	} while (!is_whole());
}

/* The guest notices nothing, and is heard again when there is somebody to hear it. */
static void pipewire_may_be_killed(void **state)
{
	int64_t began = loop_now();
	long long back;

	(void)state;
	start_both();
	kill_pipewire();
	await_messages(&player, HALF_A_SECOND);
	await_messages(&recorder, HALF_A_SECOND);
	await_pipewire();
	back = await_sound();
	await_whole();
	printf("# %.1f and %.1f ms without a message; heard %lld ms after there was a sink\n",
		(double)player.longest / 1e6, (double)recorder.longest / 1e6, back);
	assert_no_more(&player, loop_now() - began);
	assert_no_more(&recorder, loop_now() - began);
	finish_both();
}

/* What is prepared while there is no PipeWire is played from its first frame on once there is. */
static void t4_streams_may_be_first(void **state)
{
	struct noise_found f;
	unsigned try = 0;
	bool late;

	(void)state;
	do {
		if (try++ == TRIES)
			skip();
		kill_pipewire();
		player = guest_of(0);
		player.limit = 40;
		assert_int_equal(sound_rig_prepare(&rig, &player), 0);
		await_pipewire();
		assert_int_equal(sound_rig_link(&rig, &player), 0);
		sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_start(&rig, &player), 0);
		assert_int_equal(sound_rig_play(&rig, &player, player.limit), 0);
		late = sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_close(&rig, &player), 0);
		assert_int_equal(sound_rig_cycles(&rig, 6), 0);
	} while (late);
	f = find_heard(0, 0);
	assert_int_equal(f.first, 0);
	assert_int_equal(f.end, player.limit * PERIOD);
	assert_int_equal(f.gaps + f.lost + f.strange, 0);
}

/* ---- the end ---- */

static unsigned nodes(void)
{
	unsigned links;

	assert_int_equal(graph_sync(&rig.graph), 0);
	return (graph_find(&rig.graph, "virga-sound.0.playback", &links) != 0)
		+ (graph_find(&rig.graph, "virga-sound.0.capture", &links) != 0);
}

static void await_no_nodes(void)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	while (nodes()) {
		assert_true(wait_left(deadline) > 0);
		assert_int_equal(graph_turn(&rig.graph, 10), 0);
		if (rig.stage.fe_is_open)
			assert_int_equal(sound_rig_cycle(&rig), 0);
		else
			graph_step(&rig.graph);
	}
}

static void nothing_is_left(void **state)
{
	(void)state;
	assert_int_equal(nodes(), 0);
	start_both();
	assert_int_equal(nodes(), 2);
	finish_both(); // RELEASE
	await_no_nodes();
	start_both();
	assert_int_equal(nodes(), 2);
	rig.n_guests = 0;
	snd_stage_disconnect(&rig.stage); // the guest is gone
	await_no_nodes();
	assert_int_equal(snd_stage_connect(&rig.stage), 0);
	start_both();
	assert_int_equal(nodes(), 2);
	rig.n_guests = 0;
	snd_stage_disconnect(&rig.stage);
	assert_int_equal(snd_stage_terminate(&rig.stage), 0);
	await_no_nodes();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_cycle_may_be_late, begin, end),
		cmocka_unit_test_setup_teardown(cycles_may_come_at_once, begin, end),
		cmocka_unit_test_setup_teardown(a_graph_may_stand, begin, end),
		cmocka_unit_test_setup_teardown(pipewire_may_be_killed, begin, end),
		cmocka_unit_test_setup_teardown(t4_streams_may_be_first, begin, end),
		cmocka_unit_test_setup_teardown(nothing_is_left, begin, end),
	};

	binary = child_binary("VIRGA_SOUND", argc, argv);
	if (!binary)
		return 77;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests_name("device_sound_life", tests, NULL, NULL);
}
