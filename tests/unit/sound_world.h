/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A stream between a guest and a graph on a clock that nobody has to wait for: the pacing engine, a
 * model of Linux's driver (tests/driver/alsa.h), and a graph with a rate and a quantum of its own, that
 * comes late, stops and goes on. All that is played is looked at frame by frame.
 */
#include "sound/pcm.h"
#include "tests/driver/alsa.h"

enum { WORLD_MESSAGES = 512, WORLD_PAIRS = 13 };

/* Periods and buffers that guests choose, from the least on. */
extern const struct world_pair {
	uint32_t period, buffer;
} world_pairs[WORLD_PAIRS];

struct world_message {
	struct pcm_io io;
	struct iovec iov;
	uint32_t id;
	bool busy;
};

struct world {
	// set before world_init()
	struct alsa_setup guest;
	uint32_t quantum; // frames of the graph's cycle, at the stream's rate
	double ppm;       // the graph is slower by this
	double jitter;    // cycles come early or late by up to this part of a quantum
	int64_t begins;   // ns from the backend's start() to the first cycle
	int64_t delay;    // ns that the graph says it adds
	int64_t late;     // ns, at most, that the loop is late
	bool polling;

	int64_t now;
	struct pcm pcm;
	struct backend backend;
	struct alsa_guest alsa;
	struct world_message messages[WORLD_MESSAGES];
	int64_t pcm_next;
	uint64_t random;

	struct feed *feed; // of the graph; NULL: not open
	bool away;         // the graph has no cycles whatever is asked
	bool active, stopping;
	int64_t began; // when cycle 0 was due
	uint64_t cycle;
	int64_t cycle_at;

	// what was heard
	uint64_t heard;                          // frames that are not silence
	uint64_t last;                           // number of the last of them
	uint64_t wrong;                          // frames that do not follow their predecessor
	uint64_t gaps;                           // silences between frames
	bool silent;                             // now, after the first frame
	uint64_t recorded;                       // frames that the graph brought
	uint64_t xruns;                          // told by the engine
	uint64_t completions, burst, burst_most; // in all, at one instant, the most of them
	int64_t last_completion;
};

/* What most tests begin with: a guest of Linux 6.7 or later that goes on after an xrun. */
struct world world_setup(uint32_t period, uint32_t buffer, uint32_t quantum, uint64_t total);

/* The guest opens the card. */
void world_init(struct world *w);
void world_finish(struct world *w);

/* Lets time pass until then, or until the guest is at its end. */
void world_run(struct world *w, int64_t until);

/* Until the guest is at its end. */
void world_run_out(struct world *w);

/* All was heard, in order, without a gap, and the guest is content; else says what was not, and fails. */
void world_assert_played(const struct world *w, const char *what);

/* The graph goes away, and comes back. */
void world_lose_graph(struct world *w);
void world_find_graph(struct world *w);

#define MS  INT64_C(1000000)
#define SEC (1000 * MS)
