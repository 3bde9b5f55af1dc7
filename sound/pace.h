/* SPDX-License-Identifier: MIT */
#pragma once
/* The pacing of a running stream: what pcm.c and pace.c share. */
#include "pcm.h"

/* How many frames a feed must hold for this format. */
uint32_t pace_room(const struct pcm_format *f);

void pace_prepare(struct pcm *p);              // positions are back at 0
void pace_start(struct pcm *p, int64_t now);   // before the backend's
void pace_stop(struct pcm *p);                 // before the backend's
void pace_arrival(struct pcm *p, int64_t now); // a message has come while the stream runs

/* pcm_run() of a running stream. */
int64_t pace_run(struct pcm *p, int64_t now);

/* Ends a message; latency in frames. */
void pcm_finish(struct pcm *p, struct pcm_io *io, uint32_t status, uint32_t latency);
