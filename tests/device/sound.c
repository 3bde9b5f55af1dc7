/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sound.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver/wait.h"

struct snd_stage sx;
const char *sound_binary;

static char folder[64]; // of the WAV files

/* ---- the daemon ---- */

void sound_main(int argc, char **argv)
{
	sound_binary = child_binary("VIRGA_SOUND", argc, argv);
	if (sound_binary)
		return;
	fprintf(stderr, "usage: %s path/to/virga-sound\n", argv[0]);
	exit(2);
}

static void check(int rc)
{
	if (rc < 0)
		fail_msg("%s", sx.failed);
}

static void remove_folder(void)
{
	DIR *dir = *folder ? opendir(folder) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	if (dir)
		closedir(dir);
	if (*folder)
		rmdir(folder);
	*folder = '\0';
}

void sound_begin(const struct snd_setup *setup)
{
	struct snd_setup s = setup ? *setup : (struct snd_setup){0};
	static const char *args[CHILD_MAX_ARGS];
	static char backend[80];
	size_t n = 0;

	sound_end(NULL);
	strcpy(folder, "/tmp/virga-wav-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(backend, sizeof(backend), "--backend=file:%s", folder);
	args[n++] = backend;
	for (const char *const *a = s.args; a && *a && n < CHILD_MAX_ARGS - 1; a++)
		args[n++] = *a;
	args[n] = NULL;
	s.args = args;
	check(snd_stage_begin(&sx, sound_binary, &s));
}

int sound_end(void **state)
{
	(void)state;
	snd_stage_end(&sx);
	remove_folder();
	return 0;
}

void sound_terminate(void)
{
	check(snd_stage_terminate(&sx));
}

void sound_connect(void)
{
	check(snd_stage_connect(&sx));
}

void sound_reset(void)
{
	check(snd_stage_reset(&sx));
	check(snd_stage_start(&sx));
}

static void pause_ms(long ms)
{
	struct timespec ts = {.tv_nsec = ms * 1000000};

	nanosleep(&ts, NULL);
}

void sound_expect_fds(int n)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	int now;

	while ((now = child_count_fds(&sx.child)) != n && wait_left(deadline))
		pause_ms(1);
	assert_int_equal(now, n);
}

static void name_file(char *path, size_t room, uint32_t stream, unsigned number)
{
	snprintf(path, room, "%s/stream%u-%03u.wav", folder, stream, number);
}

bool sound_has_file(uint32_t stream, unsigned number)
{
	char path[128];

	name_file(path, sizeof(path), stream, number);
	return access(path, F_OK) == 0;
}

/* ---- tunes ---- */

static const struct {
	uint8_t bytes, quiet; // of a sample; each byte of silence
	uint16_t tag;         // in a WAV file
} formats[VIRTIO_SND_PCM_FMT_COUNT] = {
	[VIRTIO_SND_PCM_FMT_MU_LAW] = {1, 0xff, 7},
	[VIRTIO_SND_PCM_FMT_A_LAW] = {1, 0xd5, 6},
	[VIRTIO_SND_PCM_FMT_S8] = {1, 0, 1},
	[VIRTIO_SND_PCM_FMT_U8] = {1, 0x80, 1},
	[VIRTIO_SND_PCM_FMT_S16] = {2, 0, 1},
	[VIRTIO_SND_PCM_FMT_S24_3] = {3, 0, 1},
	[VIRTIO_SND_PCM_FMT_S24] = {4, 0, 1},
	[VIRTIO_SND_PCM_FMT_S32] = {4, 0, 1},
	[VIRTIO_SND_PCM_FMT_FLOAT] = {4, 0, 3},
	[VIRTIO_SND_PCM_FMT_FLOAT64] = {8, 0, 3},
};

static const uint32_t rates[VIRTIO_SND_PCM_RATE_COUNT] = {5512, 8000, 11025, 16000, 22050, 32000,
	44100, 48000, 64000, 88200, 96000, 176400, 192000, 384000, 12000, 24000};

void tune_init(struct tune *t, uint32_t stream, uint32_t n)
{
	*t = (struct tune){.stream = stream,
		.format = VIRTIO_SND_PCM_FMT_S16,
		.channels = 2,
		.rate_code = VIRTIO_SND_PCM_RATE_48000,
		.n = n};
}

/* The lowest bit of each sample is one that silence has not. */
void tune_make(struct tune *t, uint32_t seed)
{
	uint32_t bytes = formats[t->format].bytes, random = seed * 2 + 1;
	uint8_t bit = bytes == 1 && formats[t->format].quiet & 1 ? 0 : 1;

	t->rate = rates[t->rate_code];
	t->frame = bytes * t->channels;
	t->period = t->rate / 100 * t->frame;
	t->data = malloc((size_t)t->n * t->period);
	assert_non_null(t->data);
	assert_true(t->n <= TUNE_MESSAGES);
	for (uint32_t i = 0; i < t->n * t->period; i++) {
		random = random * 1664525 + 1013904223;
		t->data[i] = (uint8_t)(random >> 24);
		if (i % bytes == 0)
			t->data[i] = (uint8_t)((t->data[i] & ~1u) | bit);
	}
}

void tune_free(struct tune *t)
{
	free(t->data);
	t->data = NULL;
}

void tune_prepare(struct tune *t)
{
	const struct snd_params p = {
		.buffer_bytes = t->period * (t->in_ring ? t->in_ring : t->n),
		.period_bytes = t->period,
		.features = t->features,
		.channels = t->channels,
		.format = t->format,
		.rate = t->rate_code,
	};

	t->sent = t->back = 0;
	assert_int_equal(snd_set_params(&sx.snd, t->stream, &p), OK);
	assert_int_equal(snd_prepare(&sx.snd, t->stream), OK);
}

void tune_fill(struct tune *t)
{
	uint32_t most = t->in_ring ? t->in_ring : t->n;

	for (; t->sent < t->n && t->sent - t->back < most; t->sent++) {
		const uint8_t *data = t->data + (size_t)t->sent * t->period;
		int ticket = t->records ? snd_driver_rx(&sx.snd, t->stream, t->period)
					: snd_driver_tx(&sx.snd, t->stream, data, t->period);

		assert_true(ticket >= 0);
		t->tickets[t->sent] = ticket;
	}
}

static void check_silence(const struct tune *t, const uint8_t *data)
{
	for (uint32_t i = 0; i < t->period; i++)
		assert_int_equal(data[i], formats[t->format].quiet);
}

void tune_wait(struct tune *t)
{
	struct snd_done *d = &t->done[t->back];

	assert_int_equal(snd_driver_finish(&sx.snd, t->tickets[t->back], d), OK);
	assert_int_equal(d->len, t->records ? t->period + 8 : 8);
	if (t->records)
		check_silence(t, d->data);
	if (t->back)
		assert_true(d->order > t->done[t->back - 1].order);
	t->back++;
}

bool tune_is_next_back(struct tune *t)
{
	assert_true(snd_driver_poll(&sx.snd) >= 0);
	return t->back < t->sent && snd_driver_is_back(&sx.snd, t->tickets[t->back]);
}

static bool is_over(const struct tune *tunes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (tunes[i].back < tunes[i].n)
			return false;
	return true;
}

void tune_play(struct tune *tunes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		tune_prepare(&tunes[i]);
		tune_fill(&tunes[i]);
	}
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(snd_start(&sx.snd, tunes[i].stream), OK);
	while (!is_over(tunes, n)) {
		for (unsigned i = 0; i < n; i++) {
			while (tune_is_next_back(&tunes[i]))
				tune_wait(&tunes[i]);
			tune_fill(&tunes[i]);
		}
		if (!is_over(tunes, n))
			assert_true(snd_driver_wait(&sx.snd, WAIT_DEFAULT) > 0);
	}
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(snd_stop(&sx.snd, tunes[i].stream), OK);
		assert_int_equal(snd_release(&sx.snd, tunes[i].stream), OK);
	}
}

/* ---- what became of it ---- */

/* Samples as a file has them: 24 bits are the upper ones of 32, and bytes have no sign. */
static void convert(const struct tune *t, const uint8_t *from, uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (t->format == VIRTIO_SND_PCM_FMT_S24)
			to[i] = i % 4 ? from[i - 1] : 0;
		else
			to[i] = t->format == VIRTIO_SND_PCM_FMT_S8 ? from[i] ^ 0x80 : from[i];
}

struct tune_result tune_look(const struct tune *t, unsigned file)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	size_t n = (size_t)t->n * (t->period / t->frame);
	uint8_t *frames = malloc(n * t->frame), silence[64];
	struct tune_result r = {0};
	char path[128];

	assert_non_null(frames);
	convert(t, t->data, frames, n * t->frame);
	memset(silence, formats[t->format].quiet, sizeof(silence));
	convert(t, silence, silence, sizeof(silence));
	name_file(path, sizeof(path), t->stream, file);
	do {
		if (wav_file_read(&r.wav, path) == 0 && r.wav.frame == t->frame)
			r.match = wav_file_match(&r.wav, frames, n, silence);
		wav_file_free(&r.wav);
	} while (r.match.found < n && wait_left(deadline) && (pause_ms(5), true));
	free(frames);
	return r;
}

static void check_header(const struct tune *t, const struct wav_file *w)
{
	bool wide = t->format == VIRTIO_SND_PCM_FMT_S24;

	assert_int_equal(w->channels, t->channels);
	assert_int_equal(w->rate, t->rate);
	assert_int_equal(w->frame, t->frame);
	assert_int_equal(w->tag, formats[t->format].tag);
	assert_int_equal(w->bits, 8 * formats[t->format].bytes);
	assert_int_equal(w->valid_bits, wide ? 24 : w->bits);
}

bool tune_is_whole(const struct tune *t, unsigned file)
{
	struct tune_result r = tune_look(t, file);
	size_t n = (size_t)t->n * (t->period / t->frame);

	check_header(t, &r.wav);
	if (r.match.found == n && r.match.strange == SIZE_MAX && !r.match.gaps)
		return true;
	print_message("stream %u, file %u: %zu of %zu frames, %zu gaps, frame %zd is strange\n",
		t->stream, file, r.match.found, n, r.match.gaps, (ssize_t)r.match.strange);
	return false;
}

void sound_attempt(bool (*attempt)(const void *arg), const void *arg)
{
	for (int i = 0; i < ATTEMPTS; i++)
		if (attempt(arg))
			return;
	fail_msg("%d attempts, and none was right", ATTEMPTS);
}
