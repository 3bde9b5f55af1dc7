/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where sound goes to and comes from. A backend lends each open stream a graph: something with a clock
 * that calls feed_play() or feed_record() once a cycle, on any thread. All functions are called on the
 * loop's thread, none waits, and none fails because the graph is away: then there are no cycles.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "feed.h"
#include "format.h"

enum { BACKEND_STREAMS_MAX = 64 };

struct backend;
struct backend_stream; // opaque, a backend's own

/* How loud a stream is. */
struct backend_level {
	float volume; // linear, 1: unchanged
	bool mute;
};

/* What a backend tells the device, on the loop's thread. */
struct backend_listener {
	/* Somebody on the host has changed a stream's level (not we by set_level()). */
	void (*level)(void *arg, unsigned stream, const struct backend_level *level);
	/* There is something to play to, or to record from, in this direction (VIRTIO_SND_D_*). */
	void (*present)(void *arg, unsigned direction, bool present);
	void *arg;
};

struct backend_ops {
	/*
	 * Opens a stream of the card; its number, below BACKEND_STREAMS_MAX, is its place on the card. The
	 * feed is lent until close(). 0 or negative errno (-ENOMEM).
	 */
	int (*open)(
		struct backend *b, unsigned stream, struct feed *feed, struct backend_stream **out);
	/* Cycles are wanted from now on. */
	void (*start)(struct backend_stream *s);
	/* They are not, once the feed is empty (playback: see feed_drain()) or at once (capture). */
	void (*stop)(struct backend_stream *s);
	/* Ends it. The feed is the backend's: it is freed when what waits in it was played. */
	void (*close)(struct backend_stream *s);
	/* Levels and roles hold for the streams of this number, open or opened later. NULL: none. */
	void (*set_level)(struct backend *b, unsigned stream, const struct backend_level *level);
	void (*set_role)(struct backend *b, unsigned stream, const char *role); // media.role
	void (*destroy)(struct backend *b);
};

struct backend {
	const struct backend_ops *ops;
	struct backend_listener listener; // set by the device before anything is opened
	bool present[2]; // by direction, as it was created and as the listener was told since
};

/* What the command line says about a backend. Its strings last until destroy(). */
struct backend_config {
	const char *dir;    // file: where the WAV files go
	const char *role;   // pipewire: media.role of all streams, NULL: none
	const char *target; // pipewire: name or serial of a node to be linked to, NULL: the default
	const char *name;   // how the machine is called in mixers
	unsigned n_playback; // streams 0 .. n_playback - 1 play, the others record
};

/* Each makes a backend in this loop. 0 or negative errno. */
int backend_pipewire_create(
	struct loop *loop, const struct backend_config *config, struct backend **out);
/* For --check: says on stdout whether PipeWire answers, in a line or two. May take 2 s. Negative errno
 * when it does not. */
int backend_pipewire_check(void);
int backend_null_create(
	struct loop *loop, const struct backend_config *config, struct backend **out);
int backend_file_create(
	struct loop *loop, const struct backend_config *config, struct backend **out);
