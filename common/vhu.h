/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A vhost-user back-end for one device and one front-end at a time (vhost-user specification, QEMU
 * 11.1). It keeps the connection, the guest's memory and the rings, and calls the device for
 * requests. All of it on the loop's thread.
 *
 * A request comes as a struct vq_req at the beginning of the device's own request; the device ends
 * it with vhu_finish(), now or later, exactly once. Notifications go out at the end of the loop's
 * turn.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "vq.h"
#include "../protocols/vhost_user.h"

struct vhu;

/* What a device is. One const table a device; `dev` is what vhu_create() was given. */
struct vhu_device {
	const char *name; // for the log
	unsigned n_queues;
	uint64_t features;          // its own; the core adds the ring's and VERSION_1
	uint64_t protocol_features; // its own choice, STATUS say; the core adds what it carries for
				    // all
	uint32_t req_size;          // of its request; 0: a bare struct vq_req
	uint16_t iov_per_req;       // pieces of an ordinary request
	uint16_t large;             // larger ones in flight at a time; 0: a few
	uint8_t shmem_id;           // of its shared memory region (VIRTIO 1.3, 2.10),
	uint64_t shmem_size;        // bytes, whole pages; 0: it has none

	/* Serves one request of ring `queue`. */
	void (*request)(void *dev, unsigned queue, struct vq_req *req);
	/* Requests in flight when a ring is paused are not ended but served again when it goes on: those
	 * that were popped last, as far as all are in flight. */
	bool takes_back;
	/* Finishes all requests in flight on this ring before it returns. NULL: none is ever kept.
	 */
	void (*queue_stop)(void *dev, unsigned queue);
	/* Back to the state of power-on; the rings are stopped. */
	void (*reset)(void *dev);
	/* The memory map changed: resolve again what was resolved. NULL: nothing is kept. */
	void (*memory)(void *dev, struct gmem *mem);
	/* Fills the configuration space and returns its size, at most 256. NULL: the device has
	 * none. */
	size_t (*get_config)(void *dev, void *config);
	/* The driver writes len bytes at off; both lie within 256. NULL: nothing can be written. */
	void (*set_config)(void *dev, uint32_t off, const void *bytes, uint32_t len);
	/* The connection of a front-end, for vhu_poll() and its like; NULL: it is over. NULL: the device
	 * needs none. */
	void (*connection)(void *dev, struct vhu *vhu);
	/*
	 * VHOST_USER_GPU_SET_SOCKET: the device owns fd from now on. -1: the front-end has left, and
	 * what comes next is not for those whom it let see. NULL: not such a device.
	 */
	void (*gpu_socket)(void *dev, int fd);
	/* The front-end has done what vhu_shmem_map() or vhu_shmem_unmap() gave this ticket for, or could
	 * not: negative errno. */
	void (*shmem_answered)(void *dev, uint32_t ticket, int result);
};

/*
 * Serves the front-end on this connected socket, which is owned from now on, also on failure.
 * `closed` is called once when the front-end has left or was sent away; only vhu_destroy() may
 * follow, and not before the next turn. NULL when there is no memory.
 */
struct vhu *vhu_create(struct loop *loop, int sock, const struct vhu_device *device, void *dev,
	void (*closed)(void *closed_arg), void *closed_arg);

/* Stops the rings without another write to the guest, resets the device, closes. NULL is fine. */
void vhu_destroy(struct vhu *v);

/* Ends a request: writes len bytes to the request's writable part (cut to its size) and returns it.
 */
void vhu_finish(struct vq_req *req, const void *reply, uint32_t len);

/* Writes what a request is to be ended with, cut to its size, and does not end it yet. Returns how
 * much that was, for vhu_finish_written(). */
uint32_t vhu_write(struct vq_req *req, const void *reply, uint32_t len);

/* Ends a request whose writable part the device has filled itself. */
void vhu_finish_written(struct vq_req *req, uint32_t written);

/* True when the driver and the device have agreed on this feature bit. */
bool vhu_has_feature(const struct vhu *v, unsigned bit);

/*
 * Serves what is in a ring now, kick or not. Returns how many requests that were. Not from inside a
 * request of the same ring.
 */
unsigned vhu_poll(struct vhu *v, unsigned queue);

/* The guest's memory as it is now; the reference stays the core's. Never NULL. */
struct gmem *vhu_memory(struct vhu *v);

/*
 * Tells the front-end that the configuration space changed. -ENOTCONN when it gave no socket for
 * such requests, else what the socket says. Never waits.
 */
int vhu_config_changed(struct vhu *v);

/* What is to be seen in the device's shared memory region. All in bytes, and whole pages. */
struct vhu_shmem {
	uint64_t at, len; // in the region
	int fd;           // of what is seen; stays the caller's
	uint64_t offset;  // in it
};

/* True when the front-end lets the driver see a region, and the device show something in it. */
bool vhu_has_shmem(const struct vhu *v);

/*
 * Asks the front-end to map this, for reading and writing. Never waits: shmem_answered() comes later,
 * in the order of the questions, and not before this returns. -EINVAL for what is no whole page or
 * outside the region, -EBUSY where something is mapped already, -ENOTCONN when the front-end takes no such
 * requests, -ENOMEM, -EMFILE. At the device's reset all of it is unmapped.
 */
int vhu_shmem_map(struct vhu *v, const struct vhu_shmem *what, uint32_t *ticket);

/*
 * Asks it to unmap the whole of what was mapped at this place, which is free from now on. -ENOENT when
 * nothing is, -ENOTCONN when it cannot be asked: it is forgotten all the same.
 */
int vhu_shmem_unmap(struct vhu *v, uint64_t at, uint32_t *ticket);
