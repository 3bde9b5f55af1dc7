/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The driver half of a split virtqueue (VIRTIO 1.3, 2.7) in the memory of a struct guest. It keeps
 * its own books and believes nothing that a device could have written: each used element has to be
 * a head that is outstanding, with a length within what was writable. One ring, one thread.
 *
 * A request: drv_ring_add() as often as wanted, drv_ring_submit(), drv_ring_wait(),
 * drv_ring_reap().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_ring.h>

#include "guest.h"

enum { DRV_RINGS_MAX = 4 };

#define DRV_EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define DRV_INDIRECT  (1ull << VIRTIO_RING_F_INDIRECT_DESC)

/* One piece of a chain. The readable ones come first. */
struct drv_seg {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

/* What is known of the chain that begins at a descriptor. */
struct drv_head {
	bool outstanding;
	uint16_t ndesc;    // descriptors of the ring that it takes: 1 when indirect
	uint64_t writable; // bytes
	void *cookie;      // the caller's
	uint64_t table;    // the head's indirect table, kept for the next chain
	uint32_t table_max;
};

/* A used element, as drv_ring_reap() found it right. */
struct drv_used {
	uint16_t head;
	uint32_t len;
	void *cookie;
};

struct drv_ring {
	struct guest *guest; // not owned
	uint32_t num;
	uint64_t features; // DRV_EVENT_IDX and DRV_INDIRECT, as negotiated
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	struct drv_head *heads; // num of them
	uint16_t *free, *next;  // a stack of nfree descriptors; how they are chained
	uint32_t nfree;
	uint32_t outstanding; // chains published and not yet reaped
	uint32_t pending;     // chains added and not yet published
	uint16_t avail_idx;   // of the next chain to add
	uint16_t used_idx;    // of the next element to reap
	uint16_t kicked_at;   // avail_idx when a kick was last thought about
	bool calls;           // calls are wanted
	const char *error;    // what the device did wrong, NULL if nothing

	int kick_fd, call_fd, err_fd;   // eventfds, non-blocking, owned
	uint64_t nkicks, ncalls, nerrs; // kicks sent, calls and errors received
};

/*
 * Lays out a ring of num descriptors (a power of two, 2 to 32768) in g and makes its eventfds.
 * Calls are wanted. Returns 0, -EINVAL, -ENOMEM (also of the guest) or what eventfd(2) says.
 */
int drv_ring_init(struct drv_ring *r, struct guest *g, uint32_t num, uint64_t features);
void drv_ring_finish(struct drv_ring *r);

/*
 * Forgets all chains and begins again at base, for a ring that the device has stopped: both indices
 * become base, as SET_VRING_BASE has to say. Clears the error.
 */
void drv_ring_reset(struct drv_ring *r, uint16_t base);

/* Mixes the order in which free descriptors are taken, by a seed. */
void drv_ring_shuffle(struct drv_ring *r, uint64_t seed);

/*
 * Adds a chain of n segments; the device does not see it yet. The indirect one takes one descriptor
 * and a table in kept guest memory. Return the head, -EINVAL (no segments, or a readable one behind
 * a writable), -ENOSPC (no room in the ring) or -ENOMEM.
 */
int drv_ring_add(struct drv_ring *r, const struct drv_seg *segs, size_t n, void *cookie);
int drv_ring_add_indirect(struct drv_ring *r, const struct drv_seg *segs, size_t n, void *cookie);

/* Makes what was added available: one store of the index for all. */
void drv_ring_publish(struct drv_ring *r);

/*
 * Kicks if the device wants it (NO_NOTIFY, avail_event). Returns 1 if it kicked, 0 if not, or a
 * negative errno.
 */
int drv_ring_kick(struct drv_ring *r);

/* Kicks in any case. Returns 0 or a negative errno. */
int drv_ring_kick_now(struct drv_ring *r);

/* drv_ring_publish() and drv_ring_kick(). */
int drv_ring_submit(struct drv_ring *r);

/*
 * Takes the next used element. Returns 1, 0 when there is none, or -EPROTO when the device broke
 * the rules: r->error says how, and it stays so until drv_ring_reset().
 */
int drv_ring_reap(struct drv_ring *r, struct drv_used *used);

/* How many elements wait to be reaped, or -EPROTO. */
int drv_ring_used_count(struct drv_ring *r);

/*
 * Switches calls on or off (NO_INTERRUPT, or used_event where EVENT_IDX is on). True if used
 * elements are waiting that came before: the caller reaps them, no call will tell.
 */
bool drv_ring_want_calls(struct drv_ring *r, bool on);

/*
 * Asks for a call only when n more elements are used (1 is the next one), until the next
 * drv_ring_reap(). Needs EVENT_IDX.
 */
void drv_ring_delay_calls(struct drv_ring *r, uint16_t n);

/*
 * Waits until a used element is there. Returns 0, -ETIMEDOUT, -ENOMSG when one came but the call
 * that was due did not, -EIO when the device signalled the err eventfd, -EPROTO, or a negative
 * errno.
 */
int drv_ring_wait(struct drv_ring *r, int timeout_ms);

/* Waits until one of n rings (DRV_RINGS_MAX at most) calls, whatever for. Returns as drv_ring_wait(). */
int drv_rings_wait(struct drv_ring *rings, unsigned n, int64_t deadline);

/* Waits for the call eventfd itself and clears it. Returns 0, -ETIMEDOUT or a negative errno. */
int drv_ring_wait_call(struct drv_ring *r, int timeout_ms);

/* The same for the err eventfd. */
int drv_ring_wait_err(struct drv_ring *r, int timeout_ms);

/*
 * Raw access for those who break the rules: none of it is entered in the books. slot counts modulo
 * num where a ring is written.
 */
void drv_ring_poke_desc(struct drv_ring *r, uint32_t slot, const struct vring_desc *desc);
void drv_ring_poke_avail(struct drv_ring *r, uint32_t slot, uint16_t head);
void drv_ring_poke_avail_idx(struct drv_ring *r, uint16_t idx);
void drv_ring_poke_avail_flags(struct drv_ring *r, uint16_t flags);
void drv_ring_poke_used_event(struct drv_ring *r, uint16_t event);

/*
 * Pokes head into the next slot of the avail ring and publishes it as one outstanding chain of one
 * descriptor, with so many bytes writable, so that it can be reaped. head has to be below num and
 * not outstanding, else -EINVAL.
 */
int drv_ring_publish_raw(struct drv_ring *r, uint16_t head, uint64_t writable);
