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
#include "context.h"
#include "display.h"
#include "fences.h"
#include "resource.h"
#include "wire.h"

enum { GPU_CONTROL_QUEUE, GPU_CURSOR_QUEUE, GPU_QUEUES };
enum { GPU_DISPLAYS_MAX = 2, GPU_RENDERERS_MAX = 2 };

struct remote;

/* One command in flight; lives in its ring's array. */
struct gpu_cmd {
	struct vq_req req; // first
	struct gpu_device *gpu;
	struct gpu_request r;
	unsigned queue;
	unsigned waits;            // displays that are not done with it, and the device itself
	TAILQ_ENTRY(gpu_cmd) link; // of the display that asks on its behalf, or of the renderer
	struct gpu_fence fence;
	/* While the renderer has it: */
	uint32_t seq;
	bool by_fence;                                     // a fence answers it, unless it fails
	uint32_t ring;                                     // on whose timeline that is
	void (*done)(struct gpu_cmd *cmd, uint32_t error); // the answer
	uint64_t serial;                                   // of the resource that it is about
	uint64_t charged;                                  // bytes of a stream that found no place
	/* Of a flush, when it came: */
	bool till_drawn;   // it ends when it is seen, not when its pixels have been taken
	uint32_t shown_on; // a bit for each scanout
	uint64_t switches; // of all scanouts
};

TAILQ_HEAD(gpu_cmds, gpu_cmd);

struct gpu_output {
	uint32_t width, height;
};

struct gpu_scanout {
	struct gpu_resource *res; // NULL: off
	struct dbuf *buf;         // of a blob: a reference; else NULL, and it is the resource's
	struct gpu_layout layout; // of buf
	/* What displays were told of; a 3D resource comes to them with its first pixels. */
	uint64_t told_serial; // of the resource; 0: none
	struct gpu_rect told_rect;
	uint64_t switched; // when it was last told at once, in gpu_device.switches
};

struct gpu_config {
	struct gpu_output outputs[VIRTIO_GPU_MAX_SCANOUTS];
	unsigned n_outputs;
	uint64_t max_hostmem; // bytes
	uint64_t
		hostmem; // of the window in which the guest sees blobs of the renderer; 0: there is none
	uint32_t page; // bytes: what the host can map, and no less
	unsigned max_resources;
	bool dmabufs; // what the renderer draws is shown as it lies, where a display can
};

struct gpu_device {
	struct gpu_config cfg;
	struct gpu_resources resources;
	struct gpu_scanout scanouts[VIRTIO_GPU_MAX_SCANOUTS];
	uint64_t switches;
	struct display *displays[GPU_DISPLAYS_MAX];
	unsigned n_displays;
	struct display *qemu; // one of displays, or NULL
	struct gpu_cursor_place {
		uint32_t x, y;
	} cursors[VIRTIO_GPU_MAX_SCANOUTS];          // as last asked for
	struct vhu_device vhu_device;                // what the core sees; its `dev` is this device
	struct vhu *vhu;                             // NULL: nobody is connected
	struct gpu_cmds at_front_end;                // wait for what it does with the window
	unsigned n_mapped;                           // blobs in the window
	struct remote *renderers[GPU_RENDERERS_MAX]; // each of some capability sets
	unsigned n_renderers;                        // 0: 2D only
	struct gpu_contexts contexts;
	struct gpu_fences fences;
	struct {
		uint64_t frames, pixels, not_at_all;
	} copied; // of what the renderer draws
};

/* What a device is before it has a renderer. */
extern const struct vhu_device gpu_vhu_device;

/* Makes a device without displays and without a renderer. */
void gpu_device_init(struct gpu_device *gpu, const struct gpu_config *cfg);
void gpu_device_add_display(struct gpu_device *gpu, struct display *d); // owned from now on
/* From now on 3D is offered. It is ready, and stays the caller's. The first one has what belongs to no context. */
void gpu_device_add_renderer(struct gpu_device *gpu, struct remote *renderer);
void gpu_device_finish(struct gpu_device *gpu);

/* Ends a command with a response that begins with a header, which is filled in here. */
void gpu_cmd_reply(struct gpu_cmd *cmd, uint32_t type, void *response, uint32_t len);

/* Ends it with a header alone. */
void gpu_cmd_finish(struct gpu_cmd *cmd, uint32_t type);

/* One display is done with this flush; the last one ends the command. */
void gpu_cmd_shown(struct gpu_cmd *cmd);

/* Answers GET_DISPLAY_INFO or GET_EDID from what the device itself knows. */
void gpu_cmd_answer_locally(struct gpu_cmd *cmd);

/* Ends it with a header: that of success, or a VIRTIO_GPU_RESP_ERR_*. */
void gpu_cmd_end(struct gpu_cmd *cmd, uint32_t err);

/* From now on the scanout shows this part of the resource; NULL: nothing. */
void gpu_device_set_scanout(
	struct gpu_device *gpu, unsigned id, struct gpu_resource *res, const struct gpu_rect *rect);

/* Shows what a flush says has changed; the displays end the command. */
void gpu_device_show(struct gpu_cmd *cmd, struct gpu_resource *res);

/* Shows the cursor of an UPDATE_CURSOR whose image is there. */
void gpu_device_show_cursor(struct gpu_cmd *cmd, struct gpu_resource *res);
