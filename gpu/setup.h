/* SPDX-License-Identifier: MIT */
#pragma once
/* Makes what a command line asks for: the device, its displays, its renderers. */
#include "common/options.h"
#include "common/part.h"
#include "device.h"
#include "options.h"
#include "remote.h"

struct gpu_renderer {
	struct gpu_device *gpu; // whose it is
	struct part_kind kind;
	struct nursery nursery;
	struct remote remote;
};

struct gpu_setup {
	struct gpu_device gpu;
	struct gpu_renderer renderers[GPU_RENDERERS_MAX]; // as far as they came
	unsigned n_renderers;
};

/*
 * Before there is any thread. `virgl`: the one for --virgl; NULL: none was built. EXIT_OK, or an
 * exit_status, and what went wrong has been said in one line.
 */
int gpu_setup_begin(struct gpu_setup *s, struct loop *loop, const struct options *o,
	struct gpu_options *g, const struct part_kind *virgl);
/* However far it came. */
void gpu_setup_finish(struct gpu_setup *s);
