/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virga-sound with our driver, for the tests of this folder: tunes of noise that are played, or
 * room for what is recorded, and the WAV files that the daemon leaves.
 *
 * Whether sound has gaps depends on how busy the machine is. Nothing of it may be lost, changed or
 * mixed up however busy that is, but for a daemon that was held up for longer than a stream lasts:
 * what takes an attempt is tried some times, and once it has to come out right.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver/snd_requests.h"
#include "driver/snd_stage.h"
#include "wav_file.h"

enum { OK = VIRTIO_SND_S_OK, TX = VIRTIO_SND_VQ_TX, RX = VIRTIO_SND_VQ_RX };
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { TUNE_MESSAGES = 64, ATTEMPTS = 10 };

extern struct snd_stage sx;
extern const char *sound_binary;

/* Where the program under test is. main() calls it first. */
void sound_main(int argc, char **argv);

/* Starts a daemon and brings it up to DRIVER_OK, with --backend=file: and a folder of its own, unless
 * its arguments say another one. */
void sound_begin(const struct snd_setup *setup);
int sound_end(void **state); // as a teardown
void sound_terminate(void);  // it exits with 0

/* The daemon has n files open, at once or when it has written what it still plays. */
void sound_expect_fds(int n);

/* It has made a file for a stream, the first one's number being 1. */
bool sound_has_file(uint32_t stream, unsigned number);

void sound_connect(void);
void sound_reset(void); // the driver's, and its rings run again

/* One stream's sound, which is silence where it is recorded. */
struct tune {
	bool records;
	uint32_t stream, rate, features;
	uint8_t format, channels, rate_code;
	uint32_t frame, period; // bytes
	uint32_t n;             // messages of a period

	uint8_t *data;    // n periods, owned
	uint32_t in_ring; // at a time, at most; 0: all
	uint32_t sent, back;
	int tickets[TUNE_MESSAGES];
	struct snd_done done[TUNE_MESSAGES];
};

/* Two channels of S16 at 48 kHz, n messages of 10 ms; what is to be otherwise is set, and then made. */
void tune_init(struct tune *t, uint32_t stream, uint32_t n);
void tune_make(struct tune *t, uint32_t seed);
void tune_free(struct tune *t);

/* SET_PARAMS with so many periods as n, or as fit in the ring at a time; and PREPARE. */
void tune_prepare(struct tune *t);

/* Sends what may be sent. */
void tune_fill(struct tune *t);

/* Waits for the next message, which has to be OK and as long as it should be. */
void tune_wait(struct tune *t);

/* Whether the next one is back. */
bool tune_is_next_back(struct tune *t);

/* All of that, with n tunes at once, from SET_PARAMS to RELEASE. */
void tune_play(struct tune *tunes, unsigned n);

/* What became of it in the daemon's file number `file` (1 is the first) of its stream. */
struct tune_result {
	struct wav_match match;
	struct wav_file wav; // without its data
};

/* Waits until all of it is there, or something else is. */
struct tune_result tune_look(const struct tune *t, unsigned file);

/* All is there, without a gap. Says what is wrong if it is not; what no busy machine could be to
 * blame for fails. */
bool tune_is_whole(const struct tune *t, unsigned file);

/* Tries until it is right. */
void sound_attempt(bool (*attempt)(const void *arg), const void *arg);
