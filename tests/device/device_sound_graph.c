/* SPDX-License-Identifier: MIT */
/*
 * What is played comes out of the graph, and what goes into it is recorded, frame by frame: the test
 * moves the graph itself, so that no cycle is lost but by the daemon.
 */
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
#include "sound_guest.h"

enum { TRIES = 20, MESSAGES = 40, PERIOD = 1024, PERIODS = 12 };

static const char *binary;
static struct sound_rig rig;
static const char *const verbose[] = {"-v", NULL};

static void begin(const struct graph_setup *graph)
{
	const struct snd_setup setup = {.args = verbose};

	assert_int_equal(sound_rig_begin(&rig, graph, binary, &setup), 0);
}

static int end(void **state)
{
	(void)state;
	sound_rig_end(&rig);
	return 0;
}

/* ---- playback ---- */

/* Which of the guest's channels a channel of the sink's is: they are in PipeWire's order there. */
static const uint8_t *map_of(unsigned guest, unsigned sink)
{
	static const uint8_t mono[] = {0, 0}, six[] = {0, 1, 4, 5, 2, 3},
			     eight[] = {0, 1, 4, 5, 2, 3, 6, 7};

	if (guest == 1 && sink == 2)
		return mono;
	return guest == 6 ? six : guest == 8 ? eight : NULL;
}

static struct noise_found find(const struct sound_guest *s, uint64_t from)
{
	const struct noise_search search = {
		s->format, rig.graph.setup.channels, map_of(s->channels, rig.graph.setup.channels)};
	struct noise_found f =
		noise_find(&search, graph_frame(&rig.graph, from), rig.graph.n_heard - from);

	printf("# format %u, %u channels, quantum %u: frames %llu to %llu, %llu gaps (%llu), %llu "
	       "lost, %llu strange\n",
		s->format, s->channels, graph_quantum(&rig.graph), (unsigned long long)f.first,
		(unsigned long long)f.end, (unsigned long long)f.gaps,
		(unsigned long long)f.silence, (unsigned long long)f.lost,
		(unsigned long long)f.strange);
	return f;
}

/* All that was played, from the first frame to the last, and nothing else before, between and after. */
static void assert_all(const struct noise_found *f, uint64_t frames)
{
	assert_int_equal(f->strange, 0);
	assert_int_equal(f->lost, 0);
	assert_int_equal(f->gaps, 0);
	assert_int_equal(f->first, 0);
	assert_int_equal(f->end, frames);
}

/* What is under way is heard, too. */
static void finish(struct sound_guest *s)
{
	assert_int_equal(sound_rig_close(&rig, s), 0);
	assert_int_equal(sound_rig_cycles(&rig, 6), 0);
	assert_int_equal(s->failed, 0);
}

/* Plays it to its end and returns where in what was heard it began; again, if the test was late. */
static uint64_t play(struct sound_guest *s)
{
	const struct sound_guest fresh = *s;
	uint64_t from = 0;
	bool late;

	for (unsigned i = 0; i < TRIES; i++) {
		*s = fresh;
		from = rig.graph.n_heard;
		assert_int_equal(sound_rig_open(&rig, s), 0);
		sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_start(&rig, s), 0);
		assert_int_equal(sound_rig_play(&rig, s, s->limit), 0);
		late = sound_rig_was_late(&rig);
		finish(s);
		if (!late)
			return from;
	}
	skip();
	return from;
}

static struct sound_guest guest_of(uint8_t format, uint8_t channels)
{
	return (struct sound_guest){.format = format,
		.channels = channels,
		.rate = VIRTIO_SND_PCM_RATE_48000,
		.period = PERIOD,
		.periods = PERIODS,
		.limit = MESSAGES};
}

static void play_exactly(struct sound_guest s)
{
	uint64_t from = play(&s);
	struct noise_found f = find(&s, from);

	assert_all(&f, s.limit * s.period);
}

static const uint8_t formats[] = {VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_FMT_S24,
	VIRTIO_SND_PCM_FMT_S24_3, VIRTIO_SND_PCM_FMT_U8, VIRTIO_SND_PCM_FMT_S8,
	VIRTIO_SND_PCM_FMT_FLOAT, VIRTIO_SND_PCM_FMT_FLOAT64, VIRTIO_SND_PCM_FMT_S32};

static void formats_are_exact(void **state)
{
	const struct graph_setup setup = {.quantum = 1024};

	(void)state;
	begin(&setup);
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		play_exactly(guest_of(formats[i], 2));
}

static void channels_are_exact(void **state)
{
	static const uint8_t channels[][2] = {{1, 1}, {1, 2}, {6, 6}, {8, 8}}; // guest's, sink's

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(channels); i++) {
		const struct graph_setup setup = {.quantum = 1024, .channels = channels[i][1]};

		begin(&setup);
		play_exactly(guest_of(VIRTIO_SND_PCM_FMT_S16, channels[i][0]));
		end(NULL);
	}
}

static void quanta_are_exact(void **state)
{
	static const uint32_t quanta[] = {256, 1024, 4096};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(quanta); i++) {
		const struct graph_setup setup = {.quantum = quanta[i]};
		struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_S16, 2);

		begin(&setup);
		play_exactly(s);
		s.period = 256; // of buffers shorter than some cycles
		s.limit = 4 * MESSAGES;
		play_exactly(s);
		end(NULL);
	}
}

/* Where cycles become longer, there may be silence between, but nothing is lost. */
static void quantum_may_change(void **state)
{
	static const uint32_t quanta[] = {256, 2048, 512, 4096, 1024};
	const struct graph_setup setup = {.quantum = 1024};
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_S16, 2);
	struct noise_found f;
	uint64_t from;
	bool late;

	(void)state;
	begin(&setup);
	s.limit = 16 * (ARRAY_SIZE(quanta) + 1);
	for (unsigned try = 0; try < TRIES; try++) {
		from = rig.graph.n_heard;
		s = (struct sound_guest){.format = s.format,
			.channels = s.channels,
			.rate = s.rate,
			.period = s.period,
			.periods = s.periods,
			.limit = s.limit};
		assert_int_equal(sound_rig_open(&rig, &s), 0);
		sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_start(&rig, &s), 0);
		for (unsigned i = 0; i < ARRAY_SIZE(quanta); i++) {
			assert_int_equal(sound_rig_play(&rig, &s, 16 * (i + 1)), 0);
			assert_int_equal(graph_set_quantum(&rig.graph, quanta[i]), 0);
		}
		assert_int_equal(sound_rig_play(&rig, &s, s.limit), 0);
		late = sound_rig_was_late(&rig);
		finish(&s);
		f = find(&s, from);
		if (!late)
			break;
	}
	if (late)
		skip();
	assert_int_equal(f.strange + f.lost + f.first, 0);
	assert_int_equal(f.end, s.limit * s.period);
	assert_true(f.gaps <= 2);
}

/* ---- resampling ---- */

enum { TONE = 997 };

static void say_tone(const struct sound_guest *s, void *to, uint64_t first, uint32_t n)
{
	float *p = to;

	for (uint32_t i = 0; i < n; i++)
		for (unsigned c = 0; c < s->channels; c++)
			*p++ = (float)(0.5 * sin(2 * M_PI * TONE * (double)(first + i) / 44100));
}

/* Of a tone that fills n frames of the sink's first channel, the power over what is not that tone. */
static double signal_to_noise(uint64_t from, uint64_t n)
{
	double a = 0, b = 0, power = 0, rest = 0;

	for (uint64_t i = 0; i < n;
		i++) { // n is whole seconds: the tone's two parts are orthogonal
		double angle = 2 * M_PI * TONE * (double)i / GRAPH_RATE;

		a += graph_frame(&rig.graph, from + i)[0] * sin(angle) * 2 / (double)n;
		b += graph_frame(&rig.graph, from + i)[0] * cos(angle) * 2 / (double)n;
	}
	for (uint64_t i = 0; i < n; i++) {
		double angle = 2 * M_PI * TONE * (double)i / GRAPH_RATE;
		double tone = a * sin(angle) + b * cos(angle);
		double more = graph_frame(&rig.graph, from + i)[0] - tone;

		power += tone * tone;
		rest += more * more;
	}
	assert_true(a * a + b * b > 0.24 && a * a + b * b < 0.26);
	return 10 * log10(power / rest);
}

static void rates_are_converted(void **state)
{
	const struct graph_setup setup = {.quantum = 1024};
	struct sound_guest s = guest_of(VIRTIO_SND_PCM_FMT_FLOAT, 2);
	uint64_t from;
	double ratio;

	(void)state;
	s.rate = VIRTIO_SND_PCM_RATE_44100;
	s.limit = 60; // 1.4 s
	s.say = say_tone;
	begin(&setup);
	from = play(&s);
	while (from < rig.graph.n_heard && graph_frame(&rig.graph, from)[0] == 0)
		from++;
	assert_true(from + GRAPH_RATE + 9600 < rig.graph.n_heard);
	ratio = signal_to_noise(from + 4800, GRAPH_RATE);
	printf("# 44100 to 48000: %.1f dB\n", ratio);
	assert_true(ratio > 80);
}

/* ---- capture ---- */

static uint8_t spoken; // the format

static void say_noise(float *frames, uint64_t first, uint32_t n, uint32_t channels)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t c = 0; c < channels; c++)
			*frames++ = (float)noise_level(spoken, first + i, c);
}

static struct noise_found find_recorded(
	const struct sound_guest *s, uint64_t from, uint64_t messages)
{
	const struct noise_search search = {s->format, s->channels, NULL, from};
	uint64_t frames = messages * s->period;
	float *all = malloc(frames * s->channels * sizeof(float));
	struct noise_found f;

	assert_non_null(all);
	noise_read(s->format, s->recorded, all, frames * s->channels);
	f = noise_find(&search, all, frames);
	free(all);
	printf("# format %u: %llu of %llu frames recorded, from number %llu at %llu; %llu gaps, "
	       "%llu lost, %llu strange\n",
		s->format, (unsigned long long)f.frames, (unsigned long long)frames,
		(unsigned long long)f.first, (unsigned long long)f.first_at,
		(unsigned long long)f.gaps, (unsigned long long)f.lost,
		(unsigned long long)f.strange);
	return f;
}

/* From its first frame on it is all there, and it begins soon. */
static void assert_recorded(const struct noise_found *f, uint64_t frames)
{
	assert_int_equal(f->strange, 0);
	assert_int_equal(f->lost, 0);
	assert_int_equal(f->gaps, 0);
	assert_int_equal(f->last_at, frames - 1);
	assert_true(f->first_at < GRAPH_RATE / 5);
}

static void record_exactly(struct sound_guest s)
{
	const struct sound_guest fresh = s;
	struct noise_found f;
	uint64_t from;
	bool late;

	for (unsigned i = 0; i < TRIES; i++) {
		s = fresh;
		spoken = s.format;
		from = rig.graph.said;
		assert_int_equal(sound_rig_open(&rig, &s), 0);
		sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_start(&rig, &s), 0);
		assert_int_equal(sound_rig_play(&rig, &s, MESSAGES), 0);
		late = sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_close(&rig, &s), 0);
		assert_int_equal(s.failed, 0);
		f = find_recorded(&s, from, MESSAGES);
		free(s.recorded);
		if (late)
			continue;
		assert_recorded(&f, MESSAGES * (uint64_t)s.period);
		return;
	}
	skip();
}

static void recordings_are_exact(void **state)
{
	const struct graph_setup setup = {.quantum = 1024, .say = say_noise};
	struct sound_guest s = guest_of(0, 2);

	(void)state;
	begin(&setup);
	s.id = 1;
	s.records = true;
	s.limit = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
		s.format = formats[i];
		record_exactly(s);
	}
}

/* What is played is said into the source, and recorded: all of it. */
static void loopback_is_exact(void **state)
{
	const struct graph_setup setup = {.quantum = 1024, .echo = true};
	struct sound_guest player, recorder;
	struct noise_found f;
	bool late = true;

	(void)state;
	begin(&setup);
	for (unsigned i = 0; i < TRIES && late; i++) {
		player = recorder = guest_of(VIRTIO_SND_PCM_FMT_S16, 2);
		recorder.id = 1;
		recorder.records = true;
		recorder.limit = 0;
		assert_int_equal(sound_rig_open(&rig, &recorder), 0);
		assert_int_equal(sound_rig_open(&rig, &player), 0);
		sound_rig_was_late(&rig);
		assert_int_equal(sound_rig_start(&rig, &recorder), 0);
		assert_int_equal(sound_rig_start(&rig, &player), 0);
		assert_int_equal(sound_rig_play(&rig, &player, MESSAGES), 0);
		assert_int_equal(sound_rig_play(&rig, &recorder, recorder.n_back + 12), 0);
		late = sound_rig_was_late(&rig);
		finish(&player);
		finish(&recorder);
		f = find_recorded(&recorder, 0, recorder.n_back);
		free(recorder.recorded);
	}
	if (late)
		skip();
	assert_all(&f, MESSAGES * PERIOD);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(formats_are_exact, end),
		cmocka_unit_test_teardown(channels_are_exact, end),
		cmocka_unit_test_teardown(quanta_are_exact, end),
		cmocka_unit_test_teardown(quantum_may_change, end),
		cmocka_unit_test_teardown(rates_are_converted, end),
		cmocka_unit_test_teardown(recordings_are_exact, end),
		cmocka_unit_test_teardown(loopback_is_exact, end),
	};

	binary = child_binary("VIRGA_SOUND", argc, argv);
	if (!binary)
		return 77;
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests_name("device_sound_graph", tests, NULL, NULL);
}
