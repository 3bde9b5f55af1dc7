/* SPDX-License-Identifier: MIT */
/* Streams as a guest sees them: their pace, pauses, several at once, and what is told of them. */
#include "sound.h"

#include <time.h>

#include "driver/wait.h"

enum { POLLING = 1 << VIRTIO_SND_PCM_F_MSG_POLLING, XRUNS = 1 << VIRTIO_SND_PCM_F_EVT_XRUNS };

#define MS 1000000ll

static const char *const two_and_two[] = {"--playback=2", "--capture=2", NULL};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

static void pass(long ms)
{
	struct timespec ts = {.tv_nsec = ms * MS};

	nanosleep(&ts, NULL);
}

static void begin(const char *const *args)
{
	sound_begin(&(struct snd_setup){.args = args, .event_buffers = 8});
	sx.snd.indirect = true;
}

static void end_of(const struct tune *t)
{
	assert_int_equal(snd_stop(&sx.snd, t->stream), OK);
	assert_int_equal(snd_release(&sx.snd, t->stream), OK);
}

/* ---- pace ---- */

/* However many are queued: none is back before its time, and one period's time lies between two. */
static void assert_paced(const struct tune *t, int64_t started)
{
	for (uint32_t i = 0; i < t->n; i++)
		assert_true(t->done[i].when - started > ((int64_t)i - 1) * 10 * MS);
}

static void test_playback_takes_its_time(void **state)
{
	int64_t started;
	struct tune t;

	(void)state;
	begin(NULL);
	tune_init(&t, 0, 40);
	tune_make(&t, 1);
	started = now_ns();
	tune_play(&t, 1);
	assert_paced(&t, started);
	for (uint32_t i = 0; i < t.n; i++) {
		assert_int_equal(t.done[i].latency_bytes % t.frame, 0);
		assert_true(t.done[i].latency_bytes < 100 * t.period);
	}
	tune_free(&t);
}

/* Silence of each kind, in the right length and at the right time. */
static void test_capture(void **state)
{
	static const uint8_t formats[] = {VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_FMT_U8,
		VIRTIO_SND_PCM_FMT_MU_LAW, VIRTIO_SND_PCM_FMT_A_LAW, VIRTIO_SND_PCM_FMT_S24_3,
		VIRTIO_SND_PCM_FMT_FLOAT64};
	static const char *const args[] = {"--playback=1", "--capture=6", NULL};
	struct tune tunes[COUNT(formats)];
	int64_t started;

	(void)state;
	begin(args);
	for (uint32_t i = 0; i < COUNT(formats); i++) {
		tune_init(&tunes[i], i + 1, 30);
		tunes[i].format = formats[i];
		tunes[i].channels = (uint8_t)(i + 1);
		tunes[i].records = true;
		tunes[i].in_ring = 8;
		tune_make(&tunes[i], i);
	}
	started = now_ns();
	tune_play(tunes, COUNT(formats));
	for (uint32_t i = 0; i < COUNT(formats); i++) {
		assert_paced(&tunes[i], started);
		tune_free(&tunes[i]);
	}
}

/* Linux's driver keeps its position modulo the buffer: if all of it were back at once, nothing would
 * seem to have happened. */
static bool never_all_at_once(const void *arg)
{
	const bool records = *(const bool *)arg;
	struct tune t;
	bool all = false;

	begin(two_and_two);
	tune_init(&t, records ? 2 : 0, 50);
	t.in_ring = 3;
	t.records = records;
	tune_make(&t, 2);
	tune_prepare(&t);
	tune_fill(&t);
	assert_int_equal(snd_start(&sx.snd, t.stream), OK);
	while (t.back < t.n) {
		uint32_t before = t.back;

		assert_true(snd_driver_wait(&sx.snd, WAIT_DEFAULT) >= 0);
		while (tune_is_next_back(&t))
			tune_wait(&t);
		all |= t.back - before == t.in_ring;
		tune_fill(&t);
	}
	end_of(&t);
	tune_free(&t);
	return !all;
}

static void test_never_all_at_once(void **state)
{
	(void)state;
	sound_attempt(never_all_at_once, &(bool){false});
	sound_attempt(never_all_at_once, &(bool){true});
}

/* ---- several at once ---- */

struct crowd {
	uint32_t ring_size, n, in_ring;
	const char *const *args;
};

/* As many as the ring has room for, three descriptors for each message. */
static bool crowd_plays(const void *arg)
{
	const struct crowd *c = arg;
	struct tune tunes[16];
	bool whole = true;

	sound_begin(&(struct snd_setup){.args = c->args, .ring_size = c->ring_size});
	for (uint32_t i = 0; i < c->n; i++) {
		tune_init(&tunes[i], i, 40);
		tunes[i].in_ring = c->in_ring;
		tune_make(&tunes[i], i);
	}
	tune_play(tunes, c->n);
	for (uint32_t i = 0; i < c->n; i++) {
		whole &= tune_is_whole(&tunes[i], 1);
		tune_free(&tunes[i]);
	}
	return whole;
}

static const char *const four[] = {"--playback=4", NULL},
			 *const sixteen[] = {"--playback=16", NULL};
static const struct crowd crowds[] = {{64, 4, 5, four}, {256, 16, 5, sixteen}};

static void test_crowd(void **state)
{
	sound_attempt(crowd_plays, *state);
}

/* In both directions. */
static void test_both_directions(void **state)
{
	struct tune tunes[4];

	(void)state;
	begin(two_and_two);
	for (uint32_t i = 0; i < 4; i++) {
		tune_init(&tunes[i], i, 20);
		tunes[i].records = i >= 2;
		tunes[i].rate_code = i % 2 ? VIRTIO_SND_PCM_RATE_44100 : VIRTIO_SND_PCM_RATE_96000;
		tune_make(&tunes[i], i);
	}
	tune_play(tunes, 4);
	for (uint32_t i = 0; i < 4; i++)
		tune_free(&tunes[i]);
}

/* Messages of one do not come in the way of another's requests. */
static void test_release_of_one(void **state)
{
	struct tune tunes[2];

	(void)state;
	begin(two_and_two);
	for (uint32_t i = 0; i < 2; i++) {
		tune_init(&tunes[i], i, 20);
		tune_make(&tunes[i], i);
		tune_prepare(&tunes[i]);
		tune_fill(&tunes[i]);
	}
	assert_int_equal(snd_start(&sx.snd, 0), OK);
	assert_int_equal(snd_release(&sx.snd, 1), OK);
	for (uint32_t i = 0; i < tunes[1].n; i++) {
		struct snd_done done;

		assert_int_equal(
			snd_driver_take(&sx.snd, tunes[1].tickets[i], &done), VIRTIO_SND_S_IO_ERR);
		assert_int_equal(done.len, 8);
	}
	while (tunes[0].back < tunes[0].n)
		tune_wait(&tunes[0]);
	for (uint32_t i = 0; i < 2; i++)
		tune_free(&tunes[i]);
}

/* ---- without kicks ---- */

static bool polling_plays(const void *arg)
{
	struct tune t;
	uint64_t kicks;
	bool whole;

	(void)arg;
	begin(two_and_two);
	tune_init(&t, 0, 40);
	t.features = POLLING;
	t.in_ring = 6;
	tune_make(&t, 3);
	sx.snd.polling = true;
	kicks = sx.rings[TX].nkicks;
	tune_play(&t, 1);
	assert_int_equal(sx.rings[TX].nkicks, kicks);
	whole = tune_is_whole(&t, 1);
	tune_free(&t);
	return whole;
}

static void test_polling(void **state)
{
	(void)state;
	sound_attempt(polling_plays, NULL);
}

/* Also when it starts with nothing, and runs dry now and then. */
static void test_polling_of_a_late_guest(void **state)
{
	struct tune t;

	(void)state;
	begin(two_and_two);
	for (uint32_t stream = 0; stream < 4; stream += 2) {
		tune_init(&t, stream, 9);
		t.features = POLLING;
		t.records = stream == 2;
		t.in_ring = 3;
		tune_make(&t, 4);
		sx.snd.polling = true;
		tune_prepare(&t);
		assert_int_equal(snd_start(&sx.snd, stream), OK);
		for (int round = 0; round < 3; round++) {
			pass(40);
			tune_fill(&t);
			while (t.back < t.sent)
				tune_wait(&t);
		}
		end_of(&t);
		tune_free(&t);
	}
}

/* ---- pauses ---- */

/* What is with the device stays there, and is played when it goes on; so often as is wanted. */
static bool pauses(const void *arg)
{
	struct tune_result r;
	struct tune t;

	(void)arg;
	begin(NULL);
	tune_init(&t, 0, 40);
	tune_make(&t, 5);
	tune_prepare(&t);
	tune_fill(&t);
	assert_int_equal(snd_start(&sx.snd, 0), OK);
	for (uint32_t i = 0; i < t.n; i++) {
		if (i % 10 == 3) {
			assert_int_equal(snd_stop(&sx.snd, 0), OK);
			while (tune_is_next_back(&t) && i < t.n)
				tune_wait(&t), i++;
			pass(i);
			assert_int_equal(snd_stage_settle(&sx), 0);
			assert_false(tune_is_next_back(&t));
			assert_int_equal(snd_start(&sx.snd, 0), OK);
		}
		if (i < t.n)
			tune_wait(&t);
	}
	end_of(&t);
	r = tune_look(&t, 1);
	tune_free(&t);
	return r.match.found == (size_t)t.n * (t.period / t.frame) && r.match.strange == SIZE_MAX;
}

static void test_pauses(void **state)
{
	(void)state;
	sound_attempt(pauses, NULL);
}

/* As Linux recovers from an underrun: the parameters stay, and the file goes on. */
static void test_recovery(void **state)
{
	struct tune t;

	(void)state;
	begin(two_and_two);
	for (uint32_t stream = 0; stream < 4; stream += 2) {
		tune_init(&t, stream, 5);
		t.records = stream == 2;
		tune_make(&t, 6);
		tune_prepare(&t);
		for (int round = 0; round < 4; round++) {
			t.sent = t.back = 0;
			tune_fill(&t);
			assert_int_equal(snd_start(&sx.snd, stream), OK);
			while (t.back < t.n - (uint32_t)round)
				tune_wait(&t);
			end_of(&t);
			assert_int_equal(sx.rings[stream ? RX : TX].outstanding, 0);
			while (t.back < t.n)
				snd_driver_take(&sx.snd, t.tickets[t.back], &t.done[t.back]),
					t.back++;
			assert_int_equal(snd_prepare(&sx.snd, stream), OK);
		}
		tune_free(&t);
	}
}

/* Opened and closed again and again, it leaves nothing open. */
static void test_many_times(void **state)
{
	struct tune t;
	int fds;

	(void)state;
	begin(NULL);
	fds = child_count_fds(&sx.child);
	for (uint32_t i = 0; i < 30; i++) {
		tune_init(&t, 0, 2);
		t.rate_code = i % 2 ? VIRTIO_SND_PCM_RATE_44100 : VIRTIO_SND_PCM_RATE_48000;
		tune_make(&t, i);
		tune_play(&t, 1);
		tune_free(&t);
	}
	sound_reset();
	sound_expect_fds(fds);
	sound_terminate();
}

/* A released stream is closed though nothing more is asked of it. */
static void test_closes_by_itself(void **state)
{
	struct tune t;
	int fds;

	(void)state;
	begin(NULL);
	fds = child_count_fds(&sx.child);
	tune_init(&t, 0, 2);
	tune_make(&t, 1);
	tune_play(&t, 1);
	tune_free(&t);
	assert_int_equal(child_count_fds(&sx.child), fds + 1);
	sound_expect_fds(fds);
}

/* Each differs from the one before in little: what was just released cannot go on so. */
static const struct snd_params opened_anew[] = {
	{7680, 1920, 0, 2, VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_RATE_48000},
	{15360, 1920, 0, 2, VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_RATE_48000},
	{15360, 3840, 0, 2, VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_RATE_48000},
	{15360, 3840, 0, 2, VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_RATE_44100},
	{30720, 7680, 0, 4, VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_RATE_44100},
	{15360, 3840, 0, 4, VIRTIO_SND_PCM_FMT_U8, VIRTIO_SND_PCM_RATE_44100},
	{15360, 3840, 0, 4, VIRTIO_SND_PCM_FMT_S8, VIRTIO_SND_PCM_RATE_44100},
};

/* Nor is one left open whose parameters are set once more, and that is not used then. */
static void test_closes_behind_set_params(void **state)
{
	const struct snd_params *p = &opened_anew[0];
	int fds;

	(void)state;
	begin(NULL);
	fds = child_count_fds(&sx.child);
	assert_int_equal(snd_set_params(&sx.snd, 0, p), OK);
	assert_int_equal(snd_prepare(&sx.snd, 0), OK);
	assert_int_equal(child_count_fds(&sx.child), fds + 1);
	assert_int_equal(snd_set_params(&sx.snd, 0, p), OK);
	sound_expect_fds(fds);
}

static void test_opened_anew(void **state)
{
	unsigned files = 0;

	(void)state;
	begin(NULL);
	for (unsigned i = 0; i < COUNT(opened_anew); i++) {
		while (sound_has_file(0, files + 1))
			files++;
		assert_int_equal(snd_set_params(&sx.snd, 0, &opened_anew[i]), OK);
		assert_int_equal(snd_prepare(&sx.snd, 0), OK);
		assert_int_equal(snd_release(&sx.snd, 0), OK);
		assert_true(sound_has_file(0, files + 1));
	}
}

/* ---- xruns ---- */

static void play_a_little(uint32_t stream, uint32_t features)
{
	struct tune t;

	tune_init(&t, stream, 5);
	t.features = features;
	tune_make(&t, 7);
	tune_prepare(&t);
	tune_fill(&t);
	assert_int_equal(snd_start(&sx.snd, stream), OK);
	while (t.back < t.n)
		tune_wait(&t);
	tune_free(&t);
}

/* Once each time, and only to whom it was promised. */
static void test_underruns(void **state)
{
	uint32_t stream;

	(void)state;
	begin(two_and_two);
	for (int round = 0; round < 2; round++) {
		play_a_little(1, 0);
		play_a_little(0, XRUNS);
		assert_int_equal(
			snd_driver_event(&sx.snd, &stream, WAIT_DEFAULT), VIRTIO_SND_EVT_PCM_XRUN);
		assert_int_equal(stream, 0);
		pass(60);
		assert_int_equal(snd_stage_settle(&sx), 0);
		assert_int_equal(sx.snd.event_count, 0);
		for (stream = 0; stream < 2; stream++) {
			assert_int_equal(snd_stop(&sx.snd, stream), OK);
			assert_int_equal(snd_release(&sx.snd, stream), OK);
		}
	}
}

/* One waits for a buffer, but not longer than the driver that it is for. */
static void test_underruns_wait(void **state)
{
	uint32_t stream;

	(void)state;
	for (int resets = 0; resets < 2; resets++) {
		sound_begin(NULL);
		sx.snd.indirect = true;
		for (int i = 0; i < 2; i++) {
			play_a_little(0, XRUNS);
			pass(100);
			assert_int_equal(snd_stop(&sx.snd, 0), OK);
		}
		if (resets)
			sound_reset();
		assert_int_equal(snd_driver_fill(&sx.snd, 4), 0);
		assert_int_equal(snd_stage_settle(&sx), 0);
		assert_true(sx.snd.event_count <= (resets ? 0 : 1));
		if (sx.snd.event_count)
			assert_int_equal(
				snd_driver_event(&sx.snd, &stream, 0), VIRTIO_SND_EVT_PCM_XRUN);
	}
}

/* A guest that takes nothing loses what is recorded. */
static void test_overruns(void **state)
{
	uint32_t stream;
	struct tune t;

	(void)state;
	begin(two_and_two);
	tune_init(&t, 3, 5);
	t.records = true;
	t.features = XRUNS;
	tune_make(&t, 8);
	tune_prepare(&t);
	tune_fill(&t);
	assert_int_equal(snd_start(&sx.snd, 3), OK);
	while (t.back < t.n)
		tune_wait(&t);
	assert_int_equal(snd_driver_event(&sx.snd, &stream, WAIT_DEFAULT), VIRTIO_SND_EVT_PCM_XRUN);
	assert_int_equal(stream, 3);
	t.sent = t.back = 0;
	tune_fill(&t);
	while (t.back < t.n)
		tune_wait(&t);
	end_of(&t);
	tune_free(&t);
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, sound_end)
#define CROWD(n, at)                                                                               \
	{                                                                                          \
#n "_at_once", test_crowd, NULL, sound_end, (void *)(uintptr_t)&crowds[at]         \
	}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(playback_takes_its_time),
		TEST(capture),
		TEST(never_all_at_once),
		CROWD(four, 0),
		CROWD(sixteen, 1),
		TEST(both_directions),
		TEST(release_of_one),
		TEST(polling),
		TEST(polling_of_a_late_guest),
		TEST(pauses),
		TEST(recovery),
		TEST(many_times),
		TEST(closes_by_itself),
		TEST(closes_behind_set_params),
		TEST(opened_anew),
		TEST(underruns),
		TEST(underruns_wait),
		TEST(overruns),
	};

	sound_main(argc, argv);
	return cmocka_run_group_tests_name("device_sound_streams", tests, NULL, NULL);
}
