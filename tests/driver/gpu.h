/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A driver for virtio-gpu on two driver rings: commands by name that wait for their response, and
 * below them any bytes as a command, submitted and collected later. A response is checked to be
 * one: at least a header, and the fence of its request in it.
 *
 * What waits returns the response's type (VIRTIO_GPU_RESP_*, 0 where no response was asked for) or
 * a negative errno as of drv_ring_wait(); -EBADMSG is a response that is too short, -EPROTO one
 * whose fence is wrong. The response itself lies in gpu_driver.resp until the next one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_gpu.h>

#include "display.h"
#include "ring.h"
#include "window.h"

#define GPU_DRIVER_COMMANDS 256 /* under way at a time */
#define GPU_DRIVER_RESPONSE 65536

struct gpu_driver_command {
	bool busy, done;
	uint16_t queue;                 // 0 control, 1 cursor
	struct virtio_gpu_ctrl_hdr hdr; // of the request, as far as it has one
	uint64_t req_gpa, resp_gpa;     // kept guest memory, used again
	uint32_t req_room, resp_room;   // how much
	uint32_t len;                   // of the response, when done
};

struct gpu_driver {
	struct guest *guest;               // not owned
	struct drv_ring *control, *cursor; // not owned
	struct display_peer *display;      // pumped while waiting, may be NULL, not owned
	struct window *window;             // likewise
	struct gpu_driver_command commands[GPU_DRIVER_COMMANDS];

	// how requests are sent
	uint32_t piece;    // cuts requests into descriptors of so many bytes, 0 is one for each
	bool indirect;     // in indirect tables
	uint32_t resp_cap; // bytes of the response asked for, GPU_DRIVER_RESPONSE at most
	int timeout_ms;

	uint8_t resp[GPU_DRIVER_RESPONSE];
	uint32_t resp_len;
};

/* A rectangle that takes four words less to write. */
#define GPU_RECT(x0, y0, w, h)                                                                     \
	((struct virtio_gpu_rect){.x = (x0), .y = (y0), .width = (w), .height = (h)})

/* resp_cap is 4096, timeout_ms WAIT_DEFAULT. */
void gpu_driver_init(
	struct gpu_driver *d, struct guest *g, struct drv_ring *control, struct drv_ring *cursor);

/* Forgets all commands under way, for rings that were reset. Their memory is used again. */
void gpu_driver_reset(struct gpu_driver *d);

/*
 * Puts len bytes as a request on queue 0 (control) or 1 (cursor) and room for resp_cap bytes of
 * response, possibly none; kicks. Returns a ticket, -EBUSY if all are in use, or as drv_ring_add().
 */
int gpu_driver_submit(
	struct gpu_driver *d, unsigned int queue, const void *req, size_t len, uint32_t resp_cap);

/* As gpu_driver_submit(), but neither publishes nor kicks: drv_ring_submit() does, for several. */
int gpu_driver_add(
	struct gpu_driver *d, unsigned int queue, const void *req, size_t len, uint32_t resp_cap);

/* Takes in what both rings have used, without waiting. Returns how many commands, or -EPROTO. */
int gpu_driver_poll(struct gpu_driver *d);

/* Is the response to ticket there? */
bool gpu_driver_is_done(const struct gpu_driver *d, int ticket);

/* Waits for the response to ticket, fetches it, and gives the ticket back. */
int gpu_driver_collect(struct gpu_driver *d, int ticket);

/* Submits and collects on the control queue. */
int gpu_driver_run(struct gpu_driver *d, const void *req, size_t len);

/* The commands by name. Rectangles, ids, sizes go out as they are, however wrong. */
int gpu_driver_create_2d(
	struct gpu_driver *d, uint32_t id, uint32_t format, uint32_t w, uint32_t h);
int gpu_driver_attach(
	struct gpu_driver *d, uint32_t id, const struct virtio_gpu_mem_entry *e, uint32_t n);
int gpu_driver_detach(struct gpu_driver *d, uint32_t id);
int gpu_driver_transfer(
	struct gpu_driver *d, uint32_t id, struct virtio_gpu_rect r, uint64_t offset);
int gpu_driver_set_scanout(
	struct gpu_driver *d, uint32_t scanout, uint32_t id, struct virtio_gpu_rect r);
int gpu_driver_flush(struct gpu_driver *d, uint32_t id, struct virtio_gpu_rect r);
int gpu_driver_unref(struct gpu_driver *d, uint32_t id);
int gpu_driver_uuid(struct gpu_driver *d, uint32_t id, uint8_t uuid[16]);

/* These fill *info or *edid if the response has their type and size. */
int gpu_driver_display_info(struct gpu_driver *d, struct virtio_gpu_resp_display_info *info);
int gpu_driver_edid(struct gpu_driver *d, uint32_t scanout, struct virtio_gpu_resp_edid *edid);
int gpu_driver_capset_info(
	struct gpu_driver *d, uint32_t index, struct virtio_gpu_resp_capset_info *info);

/* On the cursor queue, without response as Linux does it. c.hdr is filled in here. */
int gpu_driver_cursor(struct gpu_driver *d, uint32_t type, struct virtio_gpu_update_cursor c);

/*
 * All of it for one 2D picture: creates resource id, allocates its backing as one piece of scratch
 * guest memory and attaches it. Returns the backing's address, GUEST_NOMEM if any step failed.
 */
uint64_t gpu_driver_make_2d(
	struct gpu_driver *d, uint32_t id, uint32_t format, uint32_t w, uint32_t h);
