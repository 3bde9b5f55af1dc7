/* SPDX-License-Identifier: MIT */
#pragma once
/* What vhu.c (the messages), vhu_queue.c (the rings) and vhu_backend.c (our own requests) share. */
#include <sys/queue.h>

#include "vhu.h"
#include "vhu_sock.h"

struct vhu_queue {
	struct vhu *vhu;
	unsigned index;
	struct vq vq;
	bool started, enabled, starved;
	bool has_addr, was_stopped;
	unsigned served, kicks; // requests and kicks, since the ring was made
	uint32_t num;
	uint16_t base, stopped_at;
	struct vhost_user_vring_addr addr;
	int kick, call, err;
	struct loop_source kick_source;
	struct loop_job turn, notify;
};

struct vhu_range;

/* A request of ours that is answered. */
struct vhu_question {
	STAILQ_ENTRY(vhu_question) link;
	struct vhu_range *range;
	uint32_t ticket; // 0: it was not asked
};

STAILQ_HEAD(vhu_questions, vhu_question);

/* What is mapped in the device's region, or is going to be, or not to be. */
struct vhu_range {
	LIST_ENTRY(vhu_range) link; // of vhu_backend.ranges, while `live`
	bool live;                  // it has its place: nobody asked for its end
	struct vhost_user_shmem_map what;
	int fd; // until it is sent
	struct vhu_question map, unmap;
};

/* The channel on which we ask the front-end. */
struct vhu_backend {
	int fd; // -1: none
	struct loop_source source;
	struct loop_job lost;     // the socket is of no use any more
	struct vhu_reader reader; // of answers
	struct vhu_questions to_ask, asked;
	LIST_HEAD(, vhu_range) ranges;
	uint32_t tickets;
};

struct vhu {
	struct loop *loop;
	const struct vhu_device *device;
	void *dev;
	void (*closed)(void *arg);
	void *closed_arg;
	int sock;
	struct loop_source source;
	struct vhu_reader reader;
	struct vhu_backend backend;
	uint64_t features, protocol_features;
	uint64_t status;
	struct gmem *mem;
	struct vhu_queue queues[];
};

static inline bool vhu_has_protocol(const struct vhu *v, unsigned bit)
{
	return v->protocol_features >> bit & 1;
}

/* The device is as it was at power-on, and what it has mapped is not. */
void vhu_reset(struct vhu *v);

void vhu_backend_init(struct vhu *v);
/* Takes fd, owned, in the place of the channel that there was. 0 or negative errno. */
int vhu_backend_set(struct vhu *v, int fd);
/* Unmaps all. */
void vhu_backend_reset(struct vhu *v);
/* All that is asked fails; what is mapped is forgotten. */
void vhu_backend_finish(struct vhu *v);

void vhu_queue_init(struct vhu_queue *q, struct vhu *v, unsigned index);

/* Starts the ring if all of it is known. 0 also when something is still missing; negative errno. */
int vhu_queue_start(struct vhu_queue *q);

/*
 * Stops the ring. drain: the device finishes what is in flight and the driver sees it
 * (GET_VRING_BASE); else nothing more is written to the guest.
 */
void vhu_queue_stop(struct vhu_queue *q, bool drain);

void vhu_queue_enable(struct vhu_queue *q, bool enable);

/* Takes fd (or -1) as the kick descriptor and starts the ring. 0 or negative errno; fd is owned. */
int vhu_queue_set_kick(struct vhu_queue *q, int fd);

/* Back to how vhu_queue_init() left it. */
void vhu_queue_reset(struct vhu_queue *q);
