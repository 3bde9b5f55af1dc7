/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virgl_render_server, the program of virglrenderer's that draws with Vulkan: a process for each context of a
 * guest, with what they have in common. It ends with the part that starts it.
 */
#include <stdbool.h>

#include "common/part.h"

/* The socket to it, owned by the caller, or -1: it cannot be started. To be called before the part locks
 * itself in. Each of its processes may take as much memory of its own as the part. */
int render_server_start(const struct part_inside *part);

/* True once it has ended, whyever. */
bool render_server_has_ended(void);
