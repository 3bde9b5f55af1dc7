/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The device's half of a split virtqueue (VIRTIO 1.3, 2.7).
 *
 *	 guest memory, written by the driver           written by the device
 *
 *	 descriptor table        available ring        used ring
 *	+----+-----+-----+----+  +-----------+         +-----------+
 *	|addr| len |flags|next|  | flags     |         | flags     |
 *	+----+-----+-----+----+  | idx  -----|-+       | idx  -----|-+
 *	|    |     |     |    |<-| ring[0]   | | next  | id, len   | | next
 *	|    |     |     |  --|-+| ring[1]   |<+ free  | id, len   |<+ free
 *	+----+-----+-----+----+ || ...       |         | ...       |
 *	|    |     |     |    |<+| used_event|         |avail_event|
 *	+----+-----+-----+----+  +-----------+         +-----------+
 *
 * The driver puts a request into descriptors, chained by `next` (or into a table of its own that
 * one INDIRECT descriptor points to), writes the number of the first one, the head, to ring[idx]
 * and raises idx. vq_pop() takes it: it walks the chain, fetching each descriptor once, and hands out a
 * request with what the driver wrote (out) and where the device may write (in). vq_push() gives the
 * head back with the number of bytes written; vq_notify() publishes all that was pushed with one
 * store and says whether the driver wants to hear of it. The two event fields (EVENT_IDX) let each
 * side say from which index on it wants to be told.
 *
 * Requests live in an array with one place a head, made with the queue: nothing is allocated on the
 * way. A chain of more than `iov_per_req` pieces borrows one of a few large arrays; when all are
 * lent, vq_pop() answers -EAGAIN until one returns.
 *
 * What a driver does wrong breaks its queue (vq_pop() answers -EPROTO from then on) until the queue
 * is started again. No thread but the loop's.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "gmem.h"

enum {
	VQ_MAX_SIZE = 32768,
	VQ_CHAIN_MAX =
		1024, // pieces in an indirect chain, when the queue is smaller: Linux needs it
	VQ_LARGE = 4, // chains of many pieces in flight, where nothing else is asked for
};

struct vq;

struct vq_req {
	struct vq *vq; // NULL while not in flight
	uint16_t head;
	bool taken_back;          // by vq_take_back(): its vq_push() tells the driver nothing
	uint32_t n_out, n_in;     // pieces
	uint32_t out_len, in_len; // bytes
	struct iovec *iov;        // n_out pieces to read, behind them n_in to write
	struct gmem *mem;         // a reference: what iov points into stays
};

static inline const struct iovec *vq_req_out(const struct vq_req *req)
{
	return req->iov;
}

static inline const struct iovec *vq_req_in(const struct vq_req *req)
{
	return req->iov + req->n_out;
}

struct vq_config {
	uint16_t size;        // a power of 2, at most VQ_MAX_SIZE
	uint16_t iov_per_req; // pieces of an ordinary chain
	uint16_t large;       // chains of more pieces that are in flight at a time; 0: VQ_LARGE
	uint32_t req_size;    // of the device's own request, which begins with a struct vq_req
	bool event_idx;       // VIRTIO_RING_F_EVENT_IDX was negotiated
	uint16_t avail_base;  // where to go on in the available ring
	uint64_t desc, avail, used; // addresses
	bool by_gpa;                // they are guest-physical, else the front-end's own
};

struct vq {
	struct vq_config cfg;
	struct gmem *mem; // a reference
	unsigned hint;
	bool broken;
	bool away; // the ring is not in guest memory at present
	const void *desc;
	const volatile uint16_t *avail; // flags, idx, ring[size], used_event
	void *used;                     // flags, idx, {id, len}[size], avail_event
	uint16_t mask;
	uint16_t avail_idx, next_avail; // the driver's index as last read, ours
	uint16_t used_idx, signalled;   // pushed, and published by vq_notify()
	bool signalled_valid;
	unsigned in_flight;
	char *reqs;
	struct iovec *iovs;             // iov_per_req for each head
	struct iovec *scratch, **large; // each of chain_max pieces; large: those not lent
	unsigned n_large, chain_max;
};

/*
 * Starts a queue on this memory. Takes a reference to mem. -EINVAL for a bad size, -EFAULT when a
 * part of the ring is not in one piece of memory or not aligned, -ENOMEM. On failure there is no
 * queue.
 */
int vq_start(struct vq *q, const struct vq_config *cfg, struct gmem *mem);

/*
 * Moves to a new memory map. What is in flight stays with the old one. -EFAULT: the ring is not in it,
 * and nothing of the queue is touched until it moves to one that has it; a request that returns
 * meanwhile breaks the queue.
 */
int vq_move(struct vq *q, struct gmem *mem);

/* Frees all of it. Requests in flight are gone: the device has forgotten them before. */
void vq_stop(struct vq *q);

/*
 * Takes the next request: 1 and *req, 0 when there is none, -EAGAIN when it must wait for others to
 * return, -EPROTO when the queue is broken (VIRTIO 1.3, 2.7.5 and 2.7.13 say what a driver may do).
 */
int vq_pop(struct vq *q, struct vq_req **req);

/* Returns a request, of whose writable part `written` bytes were filled. Not seen before
 * vq_notify(). */
void vq_push(struct vq_req *req, uint32_t written);

/* Publishes what was pushed. True when the driver must be told (2.7.7.2). */
bool vq_notify(struct vq *q);

/* True when vq_pop() would find a request. */
bool vq_has_more(const struct vq *q);

/* Asks the driver for kicks. False when requests came meanwhile: then go on popping (2.7.10.2). */
bool vq_enable_kicks(struct vq *q);
void vq_disable_kicks(struct vq *q);

/*
 * Takes back the requests that were popped last, as far as they are all in flight: the ring will be
 * started again in front of them, and they will come again. Returns how many.
 */
unsigned vq_take_back(struct vq *q);

/* The first request in flight in the order of heads, at or behind `from`. NULL when there is none.
 */
struct vq_req *vq_in_flight(struct vq *q, unsigned from);
