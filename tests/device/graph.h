/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A graph of PipeWire that moves when the test says so: a sink of the test's own drives it, a step is a
 * cycle, and what the sink hears in each is kept. A source in the same cycles brings what the test, or
 * the sink, says. Cycles have the times that the test gives them, however late they really are.
 *
 * PipeWire is found as its clients find it: tests/device/with_pipewire.py runs one. Functions return 0
 * or a negative errno: -ETIMEDOUT, or -EPIPE when PipeWire has gone.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <pipewire/pipewire.h>

enum { GRAPH_RATE = 48000, GRAPH_CHANNELS = 8 };

#define GRAPH_SINK   "graph-sink"
#define GRAPH_SOURCE "graph-source"

struct graph_setup {
	uint32_t quantum;  // frames of a cycle, whatever others ask for; 0: as they ask
	uint32_t channels; // 2
	int64_t latency;   // of the sink behind the graph, ns
	bool echo;         // the source says what the sink has heard in the cycle before,
	bool ordinary;     // they are not the default ones
	size_t room;       // frames that are kept; 30 s
	/* or this, on a realtime thread: the frames from number `first` on. NULL: no source */
	void (*say)(float *frames, uint64_t first, uint32_t n, uint32_t channels);
	void (*idle)(void *arg); // called every few ms while functions here wait; may be NULL
	void *arg;
};

struct graph_end {
	struct graph *graph;
	struct pw_stream *stream;
	struct spa_hook listener;
};

struct graph {
	struct graph_setup setup;
	struct pw_loop *loop;
	struct pw_context *context;
	struct pw_core *core;
	struct pw_registry *registry;
	struct spa_hook core_listener, registry_listener;
	TAILQ_HEAD(, graph_object) objects;
	struct graph_end sink, source, keeper;
	struct spa_io_position *position; // of the driver; NULL: not yet
	int answer;                       // to the last round trip
	bool gone, done;                  // PipeWire; the step
	unsigned unfinished;              // steps

	int64_t time;                   // when the last cycle began: CLOCK_MONOTONIC, ns
	float *heard;                   // interleaved
	_Atomic uint64_t n_heard, said; // frames
};

/* Connects, and waits until the sink drives. *g is zeroed or was ended. */
int graph_begin(struct graph *g, const struct graph_setup *setup);
void graph_end(struct graph *g);

/* When the next cycle should begin: the last one's frames later. */
int64_t graph_due(const struct graph *g);
/* The next is due now. */
void graph_rest(struct graph *g);
/* One cycle, from then on; waits until all in it have done their part, or it is clear that one never
 * will. */
int graph_step(struct graph *g);
/* Frames of a cycle, as it was last. */
uint32_t graph_quantum(const struct graph *g);
int graph_set_quantum(struct graph *g, uint32_t quantum);

/* Takes in what PipeWire has to tell; waits a little for it if there is nothing. */
int graph_turn(struct graph *g, int timeout_ms);
/* A round trip: all that was said before has reached PipeWire. */
int graph_sync(struct graph *g);

/* Has PipeWire a node of that name? Its id, and how many links it has; 0: it has not. */
uint32_t graph_find(const struct graph *g, const char *node, unsigned *links);

/* Frame number `at` of those that were heard. */
static inline const float *graph_frame(const struct graph *g, uint64_t at)
{
	return g->heard + at * g->setup.channels;
}
