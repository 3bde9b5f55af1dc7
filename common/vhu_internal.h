/* SPDX-License-Identifier: MIT */
#pragma once
/* What vhu.c (the messages) and vhu_queue.c (the rings) share. */
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

struct vhu {
	struct loop *loop;
	const struct vhu_device *device;
	void *dev;
	void (*closed)(void *arg);
	void *closed_arg;
	int sock, backend;
	struct loop_source source, backend_source;
	struct vhu_reader reader;
	uint64_t features, protocol_features;
	uint64_t status;
	struct gmem *mem;
	struct vhu_queue queues[];
};

static inline bool vhu_has_protocol(const struct vhu *v, unsigned bit)
{
	return v->protocol_features >> bit & 1;
}

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
