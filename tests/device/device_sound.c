/* SPDX-License-Identifier: MIT */
/* What the guest plays is in a WAV file, to the last bit, in each format and whoever the front-end is. */
#include "sound.h"

#include <endian.h>
#include <stdio.h>

/* ---- formats, channels and rates: a stream for each, all at once ---- */

enum { MANY = 16 };

/* n streams with a ring that holds all of it before they start. */
static void begin_many(unsigned n)
{
	static char playback[32];
	static const char *const args[] = {playback, "--capture=0", NULL};

	snprintf(playback, sizeof(playback), "--playback=%u", n);
	sound_begin(&(struct snd_setup){.args = args, .ring_size = 1024});
	sx.snd.indirect = true;
}

static bool play_many(struct tune *tunes, unsigned n)
{
	bool whole = true;

	begin_many(n);
	for (unsigned i = 0; i < n; i++)
		tune_make(&tunes[i], i);
	tune_play(tunes, n);
	for (unsigned i = 0; i < n; i++) {
		whole &= tune_is_whole(&tunes[i], 1);
		tune_free(&tunes[i]);
	}
	sound_terminate();
	return whole;
}

static bool all_formats(const void *arg)
{
	struct tune tunes[VIRTIO_SND_PCM_FMT_COUNT];
	struct virtio_snd_pcm_info info;
	unsigned n = 0;

	(void)arg;
	begin_many(1);
	assert_int_equal(snd_pcm_info(&sx.snd, 0, 1, &info), OK);
	for (uint8_t format = 0; format < VIRTIO_SND_PCM_FMT_COUNT; format++) {
		if (!(le64toh(info.formats) >> format & 1))
			continue;
		tune_init(&tunes[n], n, 24);
		tunes[n++].format = format;
	}
	assert_int_equal(n, 10);
	return play_many(tunes, n);
}

static bool all_channels(const void *arg)
{
	static const uint8_t formats[] = {VIRTIO_SND_PCM_FMT_S16, VIRTIO_SND_PCM_FMT_S24_3};
	struct tune tunes[MANY];

	(void)arg;
	for (unsigned i = 0; i < MANY; i++) {
		tune_init(&tunes[i], i, 24);
		tunes[i].channels = (uint8_t)(i % 8 + 1);
		tunes[i].format = formats[i / 8];
	}
	return play_many(tunes, MANY);
}

static bool all_rates(const void *arg)
{
	struct tune tunes[VIRTIO_SND_PCM_RATE_COUNT];

	(void)arg;
	for (uint8_t i = 0; i < VIRTIO_SND_PCM_RATE_COUNT; i++) {
		tune_init(&tunes[i], i, 24);
		tunes[i].rate_code = i;
	}
	return play_many(tunes, VIRTIO_SND_PCM_RATE_COUNT);
}

static void test_formats(void **state)
{
	(void)state;
	sound_attempt(all_formats, NULL);
}

static void test_channels(void **state)
{
	(void)state;
	sound_attempt(all_channels, NULL);
}

static void test_rates(void **state)
{
	(void)state;
	sound_attempt(all_rates, NULL);
}

/* ---- a device's life ---- */

/* Plays to file number `file`, and stops all rings for a while in the middle of it. */
static bool play_with_a_pause(unsigned file, bool pauses)
{
	struct tune t;
	bool whole;

	tune_init(&t, 0, 20);
	tune_make(&t, file);
	tune_prepare(&t);
	tune_fill(&t);
	assert_int_equal(snd_start(&sx.snd, 0), OK);
	for (uint32_t i = 0; i < t.n; i++) {
		if (pauses && i == 4) {
			assert_int_equal(snd_stage_stop(&sx), 0);
			assert_int_equal(snd_stage_start(&sx), 0);
		}
		tune_wait(&t);
	}
	assert_int_equal(snd_stop(&sx.snd, 0), OK);
	assert_int_equal(snd_release(&sx.snd, 0), OK);
	whole = tune_is_whole(&t, file);
	tune_free(&t);
	return whole;
}

/* The rest of it is forgotten, and so is the stream. */
static void leave_in_the_middle(void)
{
	struct tune t;

	tune_init(&t, 0, 20);
	tune_make(&t, 77);
	tune_prepare(&t);
	tune_fill(&t);
	assert_int_equal(snd_start(&sx.snd, 0), OK);
	tune_wait(&t);
	tune_free(&t);
}

/* Does a stop tell the device of a reset? */
static bool stop_resets(const struct personality *p)
{
	for (const uint16_t *s = p->stop; *s != STEP_END; s++)
		if ((*s & ~STEP_ACK) == STEP_RESET_DEVICE)
			return true;
	return false;
}

static bool life(const void *arg)
{
	const struct personality *p = arg;
	bool whole;

	sound_begin(&(struct snd_setup){.personality = p->name});
	sx.snd.indirect = sx.fe.features >> 28 & 1;
	assert_int_equal(snd_stage_config(&sx).streams, 2);
	whole = play_with_a_pause(1, !stop_resets(p));
	leave_in_the_middle();
	sound_reset();
	assert_int_equal(snd_prepare(&sx.snd, 0), VIRTIO_SND_S_BAD_MSG);
	whole &= play_with_a_pause(2, false);
	sound_reset();
	leave_in_the_middle();
	snd_stage_disconnect(&sx);
	sound_connect();
	whole &= play_with_a_pause(4, false);
	sound_terminate();
	return whole;
}

static void test_life(void **state)
{
	sound_attempt(life, *state);
}

/* One daemon, all of them in turn; each leaves in the middle of it. */
static void test_one_after_another(void **state)
{
	int fds = 0;

	(void)state;
	sound_begin(NULL);
	for (int round = 0; round < 3; round++)
		for (const struct personality *p = personalities; p->name; p++) {
			snd_stage_disconnect(&sx);
			sx.run.p = p;
			sound_connect();
			sx.snd.indirect = sx.fe.features >> 28 & 1;
			if (p == personalities && round == 0)
				fds = child_count_fds(&sx.child);
			else if (p == personalities)
				sound_expect_fds(fds);
			leave_in_the_middle();
		}
	sound_terminate();
}

#define TEST(name)        cmocka_unit_test_teardown(test_##name, sound_end)
#define MAX_PERSONALITIES 16

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(formats),
		TEST(channels),
		TEST(rates),
		TEST(one_after_another),
	};
	struct CMUnitTest lives[MAX_PERSONALITIES];
	size_t n = 0;
	int failed;

	sound_main(argc, argv);
	for (const struct personality *p = personalities; p->name && n < MAX_PERSONALITIES; p++)
		lives[n++] = (struct CMUnitTest){.name = p->name,
			.test_func = test_life,
			.teardown_func = sound_end,
			.initial_state = (void *)(uintptr_t)p};
	failed = cmocka_run_group_tests_name("device_sound", tests, NULL, NULL);
	failed += _cmocka_run_group_tests("a whole life", lives, n, NULL, NULL);
	return failed != 0;
}
