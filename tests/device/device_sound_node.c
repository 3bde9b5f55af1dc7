/* SPDX-License-Identifier: MIT */
/* What the host sees of the guest's streams and what the guest learns from it: names, volumes, latency. */
#include <endian.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/loop.h"
#include "driver/wait.h"
#include "graph_node.h"
#include "sound_guest.h"

enum { TRIES = 20, PERIOD = 1024, PERIODS = 12, FIRST = 20, MESSAGES = 60 };
enum { VOLUME, SWITCH, VOLUME_MAX = 120 }; // control elements of stream 0; steps of half a dB

static const char *binary;
static struct sound_rig rig;
static struct graph_node node;

static void begin(const struct graph_setup *graph, const char *const *args)
{
	const struct snd_setup setup = {.args = args, .config_size = 16, .event_buffers = 16};

	assert_int_equal(sound_rig_begin(&rig, graph, binary, &setup), 0);
}

static int end(void **state)
{
	(void)state;
	if (node.graph)
		graph_node_close(&node);
	sound_rig_end(&rig);
	return 0;
}

static struct sound_guest guest_of(uint8_t format)
{
	return (struct sound_guest){.format = format,
		.channels = 2,
		.rate = VIRTIO_SND_PCM_RATE_48000,
		.period = PERIOD,
		.periods = PERIODS};
}

static void start(struct sound_guest *s)
{
	char name[64];

	sound_guest_name(s, name);
	assert_int_equal(sound_rig_open(&rig, s), 0);
	assert_int_equal(graph_node_open(&node, &rig.graph, name), 0);
	sound_rig_was_late(&rig);
	assert_int_equal(sound_rig_start(&rig, s), 0);
}

static void finish(struct sound_guest *s)
{
	graph_node_close(&node);
	assert_int_equal(sound_rig_close(&rig, s), 0);
	assert_int_equal(sound_rig_cycles(&rig, 6), 0);
	assert_int_equal(s->failed, 0);
}

/* ---- names ---- */

static void streams_have_names(void **state)
{
	static const char *const args[] = {
		"-v", "--name=vm7", "--media-role=Music", "--target=" GRAPH_SINK, NULL};
	static const char *const expected[][2] = {
		{PW_KEY_NODE_NAME, "virga-sound.0.playback"},
		{PW_KEY_NODE_DESCRIPTION, "vm7: VirtIO PCM 0"},
		{PW_KEY_MEDIA_ROLE, "Music"},
		{PW_KEY_MEDIA_TYPE, "Audio"},
		{PW_KEY_MEDIA_CATEGORY, "Playback"},
		{PW_KEY_MEDIA_CLASS, "Stream/Output/Audio"},
		{PW_KEY_NODE_LATENCY, "480/48000"},
		{"target.object", GRAPH_SINK},
	};
	const struct graph_setup setup = {.quantum = 1024, .ordinary = true};
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_S16);

	(void)state;
	begin(&setup, args);
	s.period = 480;
	start(&s);
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
		const char *value = graph_node_property(&node, expected[i][0]);

		assert_non_null(value);
		assert_string_equal(value, expected[i][1]);
	}
	finish(&s);
}

/* The sink is not the default one: it is played to because it was asked for. */
static void target_is_played_to(void **state)
{
	static const char *const args[] = {"-v", "--target=" GRAPH_SINK, NULL};
	const struct graph_setup setup = {.quantum = 1024, .ordinary = true};
	const struct noise_search search = {VIRTIO_SND_PCM_FMT_S16, 2, NULL, 0};
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_S16);

	(void)state;
	begin(&setup, args);
	start(&s);
	assert_int_equal(sound_rig_play(&rig, &s, 10), 0);
	assert_true(noise_find(&search, rig.graph.heard, rig.graph.n_heard).frames > 4 * PERIOD);
	finish(&s);
}

/* Nobody forces the quantum: the guest's period makes it. */
static void period_makes_the_quantum(void **state)
{
	const struct graph_setup setup = {0};
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_S16);

	(void)state;
	begin(&setup, NULL);
	assert_int_equal(graph_quantum(&rig.graph), 1024);
	s.period = 256;
	start(&s);
	assert_int_equal(sound_rig_play(&rig, &s, 40), 0);
	assert_int_equal(graph_quantum(&rig.graph), 256);
	finish(&s);
}

/* ---- latency ---- */

struct moment { // a message came back
	int64_t when, cycle;
	uint64_t heard, end; // frames
	uint32_t quantum, latency;
};

static struct moment moments[256];

static void note_moment(struct sound_guest *s, const struct snd_done *done)
{
	struct moment *m = &moments[(s->n_back - 1) % ARRAY_SIZE(moments)];

	*m = (struct moment){.when = done->when,
		.cycle = rig.graph.time,
		.heard = rig.graph.n_heard,
		.end = s->n_back * s->period,
		.quantum = graph_quantum(&rig.graph),
		.latency = done->latency_bytes / s->frame};
}

/* Frames from what the sink gets now to the message's end, and what it says of that. */
static double error_of(const struct moment *m, int64_t begin, int64_t latency)
{
	double now = (double)m->heard - m->quantum - (double)begin
		+ (double)(m->when - m->cycle) * GRAPH_RATE / 1e9;
	double left = (double)m->end - now + (double)latency * GRAPH_RATE / 1e9;

	return m->latency - left;
}

/* How many of the moments are right, of those after the beginning. Some were seen late. */
static unsigned count_right(const struct noise_found *f, uint32_t spare, int64_t latency)
{
	double least = INFINITY, most = -INFINITY, error;
	unsigned right = 0;

	for (unsigned i = FIRST; i < MESSAGES; i++) {
		error = error_of(&moments[i], (int64_t)f->first_at - (int64_t)f->first, latency);
		least = fmin(least, error);
		most = fmax(most, error);
		right += error >= -(double)spare && error <= spare;
	}
	printf("# %lld ms behind: latency %u, wrong by %.0f to %.0f frames\n",
		(long long)latency / 1000000, moments[FIRST].latency, least, most);
	return right;
}

/* False: the test itself was late. */
static bool measure(uint32_t quantum, uint32_t period, int64_t latency)
{
	const struct graph_setup setup = {.quantum = quantum, .latency = latency};
	const struct noise_search search = {VIRTIO_SND_PCM_FMT_S16, 2, NULL, 0};
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_S16);
	struct noise_found f;
	unsigned right;
	bool late;

	begin(&setup, NULL);
	s.period = period;
	s.back = note_moment;
	start(&s);
	assert_int_equal(sound_rig_play(&rig, &s, MESSAGES), 0);
	late = sound_rig_was_late(&rig);
	finish(&s);
	f = noise_find(&search, rig.graph.heard, rig.graph.n_heard);
	right = count_right(&f, quantum + period, latency);
	end(NULL);
	if (!late)
		assert_true(right >= (MESSAGES - FIRST) * 3 / 4);
	return !late;
}

static void latency_is_true(void **state)
{
	static const struct {
		uint32_t quantum, period;
		int64_t behind;
	} cases[] = {{1024, 1024, 0}, {1024, 1024, 50000000}, {256, 480, 20000000}};

	(void)state;
	for (unsigned i = 0, tries = 0; i < ARRAY_SIZE(cases);) {
		if (tries++ == TRIES)
			skip();
		i += measure(cases[i].quantum, cases[i].period, cases[i].behind);
	}
}

/* ---- volume ---- */

static const char *const controls[] = {"-v", "--controls", NULL};

/* A level that does not change. */
static void say_half(const struct sound_guest *s, void *to, uint64_t first, uint32_t n)
{
	float *p = to;

	(void)first;
	for (uint32_t i = 0; i < n * s->channels; i++)
		*p++ = 0.5f;
}

static struct sound_guest half_of(void)
{
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_FLOAT);

	s.say = say_half;
	return s;
}

static bool has_level(float volume, bool mute)
{
	for (unsigned i = 0; i < 2; i++)
		if (node.n_volumes != 2 || fabsf(node.volumes[i] - volume) > 1e-4f)
			return false;
	return node.mute == mute;
}

static bool is_heard(float level)
{
	uint64_t n = rig.graph.n_heard;
	const float *last = graph_frame(&rig.graph, n ? n - 1 : 0);

	return n && fabsf(last[0] - level) < 1e-4f && fabsf(last[1] - level) < 1e-4f;
}

/* The node has this level, and it is heard. */
static void await_level(float volume, bool mute)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	while (!has_level(volume, mute) || !is_heard(mute ? 0 : volume / 2)) {
		assert_true(wait_left(deadline) > 0);
		assert_int_equal(sound_rig_cycle(&rig), 0);
	}
}

static void write_control(uint32_t id, uint32_t value)
{
	const __le32 wire = htole32(value);

	assert_int_equal(snd_ctl_write(&rig.stage.snd, id, &wire, sizeof(wire)), VIRTIO_SND_S_OK);
}

static uint32_t read_control(uint32_t id)
{
	struct virtio_snd_ctl_value value;

	assert_int_equal(snd_ctl_read(&rig.stage.snd, id, &value), VIRTIO_SND_S_OK);
	return le32toh(value.value.integer[0]);
}

static void expect_notice(uint32_t id)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	uint32_t data;

	while (!rig.stage.snd.event_count) {
		assert_true(wait_left(deadline) > 0);
		assert_int_equal(sound_rig_cycle(&rig), 0);
	}
	assert_int_equal(snd_driver_event(&rig.stage.snd, &data, 0), VIRTIO_SND_EVT_CTL_NOTIFY);
	assert_int_equal(data, id | 1u << VIRTIO_SND_CTL_EVT_MASK_VALUE << 16);
}

/* Nothing answers to an answer. */
static void expect_rest(float volume, bool mute)
{
	assert_int_equal(sound_rig_cycles(&rig, 30), 0);
	assert_int_equal(rig.stage.snd.event_count, 0);
	assert_true(has_level(volume, mute));
}

static void guest_sets_the_level(void **state)
{
	const struct graph_setup setup = {.quantum = 1024};
	struct sound_guest s = half_of();

	(void)state;
	begin(&setup, controls);
	start(&s);
	await_level(1, false);
	write_control(VOLUME, 96); // 12 dB below
	await_level(0.251189f, false);
	expect_notice(VOLUME); // of its own: Linux tells nobody
	write_control(SWITCH, 0);
	await_level(0.251189f, true);
	expect_notice(SWITCH);
	write_control(SWITCH, 1);
	write_control(VOLUME, VOLUME_MAX);
	await_level(1, false);
	expect_notice(SWITCH);
	expect_notice(VOLUME);
	expect_rest(1, false);
	finish(&s);
}

static void host_sets_the_level(void **state)
{
	const struct graph_setup setup = {.quantum = 1024};
	struct sound_guest s = half_of();

	(void)state;
	begin(&setup, controls);
	start(&s);
	await_level(1, false);
	assert_int_equal(graph_node_set_level(&node, 0.5f, false), 0);
	await_level(0.5f, false);
	expect_notice(VOLUME);
	assert_int_equal(read_control(VOLUME), 108); // 6 dB below
	expect_rest(0.5f, false);
	assert_int_equal(graph_node_set_level(&node, 0.5f, true), 0);
	await_level(0.5f, true);
	expect_notice(SWITCH);
	assert_int_equal(read_control(SWITCH), 0);
	expect_rest(0.5f, true);
	finish(&s);
}

/* What was set while a stream was closed holds when it is opened. */
static void level_is_kept(void **state)
{
	const struct graph_setup setup = {.quantum = 1024};
	struct sound_guest s = half_of();

	(void)state;
	begin(&setup, controls);
	write_control(VOLUME, 80); // 20 dB below
	start(&s);
	await_level(0.1f, false);
	finish(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(streams_have_names, end),
		cmocka_unit_test_teardown(target_is_played_to, end),
		cmocka_unit_test_teardown(period_makes_the_quantum, end),
		cmocka_unit_test_teardown(latency_is_true, end),
		cmocka_unit_test_teardown(guest_sets_the_level, end),
		cmocka_unit_test_teardown(host_sets_the_level, end),
		cmocka_unit_test_teardown(level_is_kept, end),
	};

	binary = child_binary("VIRGA_SOUND", argc, argv);
	if (!binary)
		return 77;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests_name("device_sound_node", tests, NULL, NULL);
}
