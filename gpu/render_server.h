/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virgl_render_server, the program of virglrenderer's that draws with Vulkan: a process for each context of a
 * guest, with what they have in common. It ends with the part that starts it.
 */
#include <stdbool.h>

#include "common/sandbox.h"

/* The socket to it, owned by the caller, or -1: it cannot be started. To be called before the part locks
 * itself in. */
int render_server_start(enum sandbox_mode seccomp);

/* True once it has ended, whyever. */
bool render_server_has_ended(void);
