/* SPDX-License-Identifier: MIT */
#pragma once
/* The command line of virga-gpu. */
#include "common/options.h"
#include "device.h"

/* Of what a renderer draws. */
struct gpu_offers {
	bool virgl; // OpenGL
	bool venus; // Vulkan
	bool drm;   // the host's GPU itself, for guests that have its driver
};

struct gpu_options {
	struct gpu_config device;
	const char *png_dir;      // NULL: no pictures
	struct gpu_offers offers; // by virglrenderer
	const char *gfxstream;    // the library for Vulkan; NULL: not wanted
	const char *render_node;  // that draws it; NULL: the processor does
	enum gpu_scanout_by { SCANOUT_AUTO, SCANOUT_SHM, SCANOUT_DMABUF } scanout;
	bool threads;             // its renderer is no process of its own
	int64_t max_command_time; // ns that a command may take the renderer
	struct sandbox_profile sandbox;
};

#define GPU_OPTIONS_DEFAULT                                                                        \
	{                                                                                          \
		.device = {.outputs = {{1280, 800}}, .n_outputs = 1, .max_hostmem = 512ull << 20}, \
		.max_command_time = 10000000000                                                    \
	}

struct options gpu_command_line(struct gpu_options *g);
