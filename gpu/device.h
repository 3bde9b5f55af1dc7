/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The virtio-gpu device (VIRTIO 1.3, 5.7): the command table, the scanouts and the cursor, the
 * configuration space. A command is {decoded, running, waiting, done}; gpu_cmd_reply() is its only
 * end.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/vhu.h"
#include "display.h"
#include "resource.h"
#include "wire.h"

enum { GPU_CONTROL_QUEUE, GPU_CURSOR_QUEUE, GPU_QUEUES };
enum { GPU_DISPLAYS_MAX = 2 };

/* One command in flight; lives in its ring's array. */
struct gpu_cmd {
	struct vq_req req; // first
	struct gpu_device *gpu;
	struct gpu_request r;
	unsigned waits;            // displays that are not done with it, and the device itself
	TAILQ_ENTRY(gpu_cmd) link; // of the display that asks on its behalf
};

struct gpu_output {
	uint32_t width, height;
};

struct gpu_scanout {
	struct gpu_resource *res; // NULL: off
	struct gpu_rect rect;     // within res
};

struct gpu_config {
	struct gpu_output outputs[VIRTIO_GPU_MAX_SCANOUTS];
	unsigned n_outputs;
	uint64_t max_hostmem; // bytes
	unsigned max_resources;
};

struct gpu_device {
	struct gpu_config cfg;
	struct gpu_resources resources;
	struct gpu_scanout scanouts[VIRTIO_GPU_MAX_SCANOUTS];
	struct display *displays[GPU_DISPLAYS_MAX];
	unsigned n_displays;
	struct display *qemu; // one of displays, or NULL
};

/* What the core sees; `dev` is a struct gpu_device. */
extern const struct vhu_device gpu_vhu_device;

/* Makes a device without displays. */
void gpu_device_init(struct gpu_device *gpu, const struct gpu_config *cfg);
void gpu_device_add_display(struct gpu_device *gpu, struct display *d); // owned from now on
void gpu_device_finish(struct gpu_device *gpu);

/* Ends a command with a response that begins with a header, which is filled in here. */
void gpu_cmd_reply(struct gpu_cmd *cmd, uint32_t type, void *response, uint32_t len);

/* Ends it with a header alone. */
void gpu_cmd_finish(struct gpu_cmd *cmd, uint32_t type);

/* One display is done with this flush; the last one ends the command. */
void gpu_cmd_shown(struct gpu_cmd *cmd);

/* Answers GET_DISPLAY_INFO or GET_EDID from what the device itself knows. */
void gpu_cmd_answer_locally(struct gpu_cmd *cmd);
