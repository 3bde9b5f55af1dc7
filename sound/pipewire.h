/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * PipeWire's library, as far as backend_pipewire.c has a use for it: one connection, whether there are
 * sinks and sources, and streams. Its main loop hangs in ours by its descriptor, so that all here is on the
 * loop's thread. Cycles are on PipeWire's realtime thread, which knows a stream's feed and nothing else.
 *
 * What could need a file, a thread or a D-Bus is done by pipewire_create(): plugins are loaded, and the
 * realtime thread runs, with its priority where RLIMIT_RTPRIO or CAP_SYS_NICE permit it.
 */
#include <stdbool.h>
#include <stddef.h>

#include "backend.h"

struct pipewire;
struct pipewire_stream;

/* What it tells, on the loop's thread. No stream and no connection is ended from inside these. */
struct pipewire_owner {
	void (*answered)(void *arg); // there is a PipeWire: streams may be made
	void (*gone)(void *arg);     // the connection is over; may be ended from inside this one
	void (*nodes)(void *arg);    // pipewire_serves() has changed, it may be
	/* What pipewire_stream_create() was given, and how loud that stream is; at least once. */
	void (*level)(void *stream, const struct backend_level *level);
	void (*ended)(void *stream); // PipeWire has no use for that stream: to be made again, later
	void *arg;
};

/* 0 or negative errno. */
int pipewire_create(struct loop *loop, const struct pipewire_owner *owner, struct pipewire **out);
/* There are no more streams. NULL is fine. */
void pipewire_destroy(struct pipewire *p);

/* What the socket is called; where it is, the environment says. */
const char *pipewire_remote(const struct pipewire *p);

/* Takes a connected socket, while there is none. 0 or negative errno. */
int pipewire_connect(struct pipewire *p, int sock);
/* There are no more streams. Fine without a connection. */
void pipewire_disconnect(struct pipewire *p);

/* NULL until it has answered. */
const char *pipewire_version(const struct pipewire *p);
/* There is something to play to, or to record from. */
bool pipewire_serves(const struct pipewire *p, unsigned direction);
/* All that was there when it answered is known. */
bool pipewire_listed(const struct pipewire *p);
/* The names of what serves a direction, joined by commas and cut to the buffer; the default one says so. */
void pipewire_names(const struct pipewire *p, unsigned direction, char *buf, size_t size);

/* A stream as mixers see it. */
struct pipewire_look {
	unsigned number;
	const char *machine;
	const char *role, *target; // NULL: none
};

/* It has no cycles yet. PipeWire has answered. The feed is lent. NULL: refused, which was said. */
struct pipewire_stream *pipewire_stream_create(
	struct pipewire *p, const struct pipewire_look *look, struct feed *feed, void *arg);
/* The realtime thread has let go of the feed when it returns. NULL is fine. */
void pipewire_stream_destroy(struct pipewire_stream *s);

void pipewire_stream_set_active(struct pipewire_stream *s, bool active);
/* Not before the owner was told of a level. It is not told of this one. */
void pipewire_stream_set_level(struct pipewire_stream *s, const struct backend_level *level);
void pipewire_stream_set_role(struct pipewire_stream *s, const char *role);
