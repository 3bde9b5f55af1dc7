/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bad inputs for virga-sound: hostile.h with its rings and its driver hx.snd. Two streams play and
 * two record, there are jacks and control elements; nothing is heard.
 */
#include "hostile.h"

#include "driver/snd_requests.h"

enum { CONTROL, EVENT, TX, RX, RINGS };
enum { PLAYS, PLAYS_TOO, RECORDS, RECORDS_TOO, STREAMS };
enum { JACKS = 2, CHMAPS = 8 * STREAMS, CONTROLS = 10 };

/* Elements of the first stream; streams that record have the first two. */
enum { VOLUME, SWITCH, ROLE };

enum {
	OK = VIRTIO_SND_S_OK,
	BAD_MSG = VIRTIO_SND_S_BAD_MSG,
	NOT_SUPP = VIRTIO_SND_S_NOT_SUPP,
	IO_ERR = VIRTIO_SND_S_IO_ERR,
};

/* S16, two channels, 48 kHz: periods of 2 ms, four of them. */
enum { FRAME = 4, PERIOD = 96 * FRAME, BUFFER = 4 * PERIOD };

extern const struct snd_params sound_params;

/* The ring of a stream. */
static inline unsigned sound_queue(uint32_t stream)
{
	return stream < RECORDS ? TX : RX;
}

/* Brings a stream to where its parameters are set, whatever it did before; all else is answered OK. */
void sound_set(uint32_t stream, const struct snd_params *p);
void sound_prepare(uint32_t stream);
void sound_start(uint32_t stream);

/* Stops and releases it, if it has to be. */
void sound_end(uint32_t stream);

/* Sends a message of silence, or room for so many bytes, and does not wait. Returns its ticket. */
int sound_send(uint32_t stream, uint32_t bytes);

/* Any message, and its ticket. */
int sound_send_io(const struct snd_io *io);

/* The message comes back with this status, and as long as that wants it: data where it is OK. */
void expect_back(int ticket, int status);

/* It is not back, though the daemon has had the time to. */
void expect_kept(int ticket);

/* Takes in all messages that are back, each with a status. */
void sound_take(void);

/* Lets time pass that the daemon has a use for: sound is played meanwhile. */
void sound_pass(long ms);
