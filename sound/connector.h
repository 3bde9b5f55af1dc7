/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Connections to PipeWire's socket for a process that may make none itself, once it is in its sandbox: a
 * child, forked before, makes them and hands them over. It can do nothing else, and ends with its parent.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "common/loop.h"

struct connector {
	/* The answer to connector_ask(): a connected socket, now the receiver's, or negative errno. */
	void (*answer)(struct connector *c, int sock);
	struct loop_source source; // fd: owned, to the child
	pid_t child;
	bool asked;
};

/*
 * Starts the child; c->answer is set by the caller. Where the socket is, is looked for as libpipewire does
 * it, in the environment of now. There may be no other thread yet. 0 or negative errno.
 */
int connector_init(struct connector *c, struct loop *loop);

/* What the remote is called where PIPEWIRE_REMOTE does not say it. Once, before connector_ask(). */
void connector_set_name(struct connector *c, const char *name);

/* Asks for a connection; the answer comes from the loop. Nothing while one is awaited. */
void connector_ask(struct connector *c);

/* Ends the child. Fine for a connector that is all zeros. */
void connector_finish(struct connector *c);
