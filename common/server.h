/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where front-ends come from: a path that we listen on, or a descriptor that we were given,
 * listening or connected. One front-end at a time; when it leaves, the next is taken.
 */
#include <stdbool.h>

#include "loop.h"
#include "vhu.h"

struct server;

struct server_config {
	const char *path; // to listen on; NULL: use fd
	int fd;           // listening or connected; owned from server_create() on
	bool one_off;     // end the loop when the first front-end has left
};

/*
 * Begins to serve `device` in this loop. The loop is quit with status 0 when one_off or a connected
 * fd is at its end. Negative errno; -EADDRINUSE: another process serves the path.
 */
int server_create(struct loop *loop, const struct server_config *config,
	const struct vhu_device *device, void *dev, struct server **out);

/* Sends the front-end away and removes the socket's path. NULL is fine. */
void server_destroy(struct server *s);
