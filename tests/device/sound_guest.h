/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A guest that plays noise (noise.h) or records, and the rest of the world for it: a daemon, and a
 * graph that moves in time with it (graph.h).
 *
 * Functions that return int return 0 or a negative errno.
 */
#include "driver/snd_requests.h"
#include "driver/snd_stage.h"
#include "graph.h"
#include "noise.h"

enum { SOUND_GUEST_PERIODS = 16 };

/* A stream of the card. */
struct sound_guest {
	uint32_t id;
	bool records;
	uint8_t format, channels, rate; // VIRTIO_SND_PCM_*
	uint32_t period, periods;       // frames; how many
	uint64_t limit;                 // periods in all; 0: no end
	/* instead of the noise: writes the frames from number `first` on. */
	void (*say)(const struct sound_guest *s, void *to, uint64_t first, uint32_t n);
	/* A message is back; may be NULL. */
	void (*back)(struct sound_guest *s, const struct snd_done *done);
	void *arg;

	// what becomes of it
	struct snd_driver *snd;
	uint32_t frame; // bytes
	int tickets[SOUND_GUEST_PERIODS];
	uint64_t n_queued, n_back; // messages
	uint8_t *recorded;         // n_back periods
	int64_t last, longest;     // when one came back; the longest time without, ns
	int failed;                // status or errno of the first that was not well
};

/* What PipeWire calls its node, on a card that plays on stream 0 only. */
void sound_guest_name(const struct sound_guest *s, char name[64]);

/* Everything around it. */
struct sound_rig {
	struct graph graph;
	struct snd_stage stage;
	struct sound_guest *guests[4]; // those that are open
	unsigned n_guests;
	int64_t latest; // by how much the test itself was late, at most
};

/* Either may be ended and begun again by its own functions. */
int sound_rig_begin(struct sound_rig *r, const struct graph_setup *graph, const char *binary,
	const struct snd_setup *setup);
void sound_rig_end(struct sound_rig *r);

/* SET_PARAMS, PREPARE and all messages; without a graph. */
int sound_rig_prepare(struct sound_rig *r, struct sound_guest *s);
/* Waits until the stream's node is linked. */
int sound_rig_link(struct sound_rig *r, const struct sound_guest *s);
/* Both. */
int sound_rig_open(struct sound_rig *r, struct sound_guest *s);
/* It starts before the next cycle. */
int sound_rig_start(struct sound_rig *r, struct sound_guest *s);
/* STOP and RELEASE. */
int sound_rig_close(struct sound_rig *r, struct sound_guest *s);

/* Takes back what the guest's streams have back, and queues more. */
int sound_rig_poll(struct sound_rig *r);
/* The same until then, without cycles. */
int sound_rig_serve(struct sound_rig *r, int64_t until);
/* The same until the next cycle is due, has the daemon do all that it can, and then it is. */
int sound_rig_cycle(struct sound_rig *r);
int sound_rig_cycles(struct sound_rig *r, unsigned n);
/* Cycles until a stream has so many messages back. */
int sound_rig_play(struct sound_rig *r, const struct sound_guest *s, uint64_t messages);

/* Was this process, or its cycles, so late that a daemon may think that all is over? Forgets it. */
bool sound_rig_was_late(struct sound_rig *r);
