/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inside of alsa.h: the driver, as the ALSA core calls it. A request that the device refuses
 * ends the guest.
 */
#include "alsa.h"

/* Notes what the device did wrong, if nothing is noted yet. */
void alsa_fault(struct alsa_guest *g, const char *what);

/* How late something is: the delay, and what chance adds. */
int64_t alsa_later(struct alsa_guest *g, int64_t delay);

void alsa_virtio_params(struct alsa_guest *g);
void alsa_virtio_prepare(struct alsa_guest *g);
void alsa_virtio_start(struct alsa_guest *g);
void alsa_virtio_stop(struct alsa_guest *g);

/* RELEASE, which has to bring back all messages. */
void alsa_virtio_release(struct alsa_guest *g);

/* The device is reset; messages vanish. */
void alsa_virtio_reset(struct alsa_guest *g);

/* The application's pointer has moved: hands over what there is now. */
void alsa_virtio_ack(struct alsa_guest *g);

/* The position in the buffer in frames, or -1 for an xrun. */
int64_t alsa_virtio_pointer(struct alsa_guest *g);

/* Takes in completions. */
void alsa_virtio_interrupt(struct alsa_guest *g);
