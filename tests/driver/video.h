/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A driver for virtio-video (protocols/virtio_video_v3.h) on two driver rings: any bytes as a request,
 * submitted and collected later, requests by name that wait for their response, and events.
 *
 * What waits returns the response's type (VIRTIO_VIDEO_RESP_*) or a negative errno: -ETIMEDOUT,
 * -ENOMSG when the answer came but the call that was due did not, -EIO when the device signalled an err
 * eventfd, -EPROTO as of drv_ring_reap(), -EBADMSG for an answer that is none: too short, of another
 * stream, or with a type that does not exist. 0 is the answer where there was no room for one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/virtio_video_v3.h"
#include "ring.h"

#define VIDEO_DRIVER_RINGS    2
#define VIDEO_DRIVER_REQUESTS 512 /* under way at a time */
#define VIDEO_DRIVER_EVENTS   32  /* buffers, and events seen and not fetched */
#define VIDEO_DRIVER_RESPONSE 4096
#define VIDEO_DRIVER_ENTRIES  4096 /* of a resource */

struct video_driver_request {
	bool busy, done;
	uint64_t req, resp; // kept guest memory
	uint32_t req_room, resp_room;
	uint32_t resp_cap, len; // of the response: its room, and how long it is
	uint32_t stream;
	uint64_t order; // among all that came back: 1 is the first
};

struct video_driver {
	struct guest *guest;    // not owned
	struct drv_ring *rings; // VIDEO_DRIVER_RINGS of them, not owned
	struct video_driver_request requests[VIDEO_DRIVER_REQUESTS];
	uint64_t reaped;

	uint64_t event_memory; // 0: none yet
	bool event_busy[VIDEO_DRIVER_EVENTS];
	struct virtio_video_event events[VIDEO_DRIVER_EVENTS];
	uint32_t event_first, event_count, events_lost, events_empty;

	// how things are sent
	uint32_t piece; // cuts requests into descriptors of so many bytes, 0 is one for each
	bool indirect;  // in indirect tables
	bool refill;    // an event's buffer goes back at once
	int timeout_ms;

	uint8_t resp[VIDEO_DRIVER_RESPONSE]; // the last response collected
	uint32_t resp_len;
};

/* refill is on, timeout_ms WAIT_DEFAULT. */
void video_driver_init(struct video_driver *d, struct guest *g, struct drv_ring *rings);

/* Forgets all that is under way, for rings that were reset. Its memory is used again. */
void video_driver_reset(struct video_driver *d);

/* Takes in what both rings have used. Returns how many elements, -EPROTO, or -EBADMSG (an event). */
int video_driver_poll(struct video_driver *d);

/* The same, but waits until there is something. */
int video_driver_wait(struct video_driver *d, int timeout_ms);

/* Bytes as a request, and room for a response, possibly none. Returns a ticket, -EBUSY if all are in use,
 * -EINVAL, or as drv_ring_add(). */
int video_driver_submit(struct video_driver *d, const void *req, size_t len, uint32_t resp_cap);

/* Waits for the response, which lies in resp then, and gives the ticket back. */
int video_driver_collect(struct video_driver *d, int ticket);
bool video_driver_is_answered(const struct video_driver *d, int ticket);
int video_driver_run(struct video_driver *d, const void *req, size_t len, uint32_t resp_cap);

/* Events: gives the device n more buffers; and the type of the next one, waiting for it. */
int video_driver_fill(struct video_driver *d, uint32_t n);
int video_driver_event(struct video_driver *d, uint32_t *stream, int timeout_ms);

/* ---- requests by name; queue: VIRTIO_VIDEO_QUEUE_TYPE_* ---- */

/* A piece of a buffer. */
struct video_piece {
	uint64_t gpa;
	uint32_t len;
};

struct video_memory {
	uint32_t layout, n_planes; // VIRTIO_VIDEO_PLANES_LAYOUT_*
	uint32_t offsets[VIRTIO_VIDEO_MAX_PLANES];
	uint32_t n_entries[VIRTIO_VIDEO_MAX_PLANES];
	const struct video_piece *pieces; // of all planes
};

int video_capability(struct video_driver *d, uint32_t queue);
int video_create(struct video_driver *d, uint32_t stream, uint32_t coded);
int video_destroy(struct video_driver *d, uint32_t stream);
int video_resource(struct video_driver *d, uint32_t stream, uint32_t queue, uint32_t id,
	const struct video_memory *m);
int video_destroy_all(struct video_driver *d, uint32_t stream, uint32_t queue);
int video_clear(struct video_driver *d, uint32_t stream, uint32_t queue);
int video_get_params(
	struct video_driver *d, uint32_t stream, uint32_t queue, struct virtio_video_params *p);
int video_set_params(struct video_driver *d, uint32_t stream, const struct virtio_video_params *p);
int video_query_control(struct video_driver *d, uint32_t control, uint32_t format);
int video_get_control(struct video_driver *d, uint32_t stream, uint32_t control, uint32_t *value);
int video_set_control(struct video_driver *d, uint32_t stream, uint32_t control, uint32_t value);

/* These return a ticket, and whoever collects it has a struct virtio_video_resource_queue_resp in resp. */
int video_queue_input(
	struct video_driver *d, uint32_t stream, uint32_t id, uint32_t size, uint64_t timestamp);
int video_queue_output(struct video_driver *d, uint32_t stream, uint32_t id);
/* These a ticket, too: for STREAM_DRAIN and what is of one queue (VIRTIO_VIDEO_CMD_*). */
int video_drain(struct video_driver *d, uint32_t stream);
int video_submit_queue_cmd(struct video_driver *d, uint32_t cmd, uint32_t stream, uint32_t queue);
