/* SPDX-License-Identifier: MIT */
#pragma once
/* From a read command line to the end of the process: the same for every daemon. */
#include "loop.h"
#include "options.h"
#include "vhu.h"

/* What must be done once before anything else: SIGPIPE, SIGBUS, the limit of open files. NULL: no
 * loop. */
struct loop *daemon_loop(void);

/*
 * Serves front-ends until the end: SIGTERM or SIGINT, or the last front-end that o allows has left.
 * Returns an exit_status; what went wrong has been said in one line.
 */
int daemon_serve(
	struct loop *loop, const struct options *o, const struct vhu_device *device, void *dev);
