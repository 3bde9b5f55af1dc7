/* SPDX-License-Identifier: MIT */
/* The rings of a vhost-user device: when they run, and a turn of one. */
#define LOG_TOPIC "vhu"
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <linux/virtio_ring.h>

#include "bytes.h"
#include "fd.h"
#include "iov.h"
#include "log.h"
#include "vhu_internal.h"

enum {
	BATCH = 4,           // requests published at once: the driver works on them while we go on
	BUSY_REQUESTS = 4,   // in one turn: the driver keeps several under way
	PATIENCE_NS = 20000, // that a turn waits for such a driver
	TURN_NS = 2000000,   // after which a turn ends: large requests may take long
};

static struct vhu_queue *queue_of(struct vq_req *req)
{
	return CONTAINER_OF(req->vq, struct vhu_queue, vq);
}

static bool is_running(const struct vhu_queue *q)
{
	return q->started && q->enabled && !q->vq.broken;
}

static void queue_broken(struct vhu_queue *q)
{
	log_info("%s: ring %u stopped until the driver resets it", q->vhu->device->name, q->index);
	if (q->err >= 0)
		fd_signal(q->err);
}

/* Publishes what was finished, with one store, and tells the driver if it wants to know. */
static void publish(struct vhu_queue *q)
{
	if (vq_notify(&q->vq) && q->call >= 0)
		fd_signal(q->call);
}

static void on_notify(struct loop_job *job)
{
	struct vhu_queue *q = CONTAINER_OF(job, struct vhu_queue, notify);

	if (q->started)
		publish(q);
}

/*
 * A driver that keeps several requests under way is about to send more: to wait for it here, for
 * some microseconds in all of a turn, is far cheaper than to sleep and be woken.
 */
static bool wait_for_more(struct vhu_queue *q, unsigned served, int64_t *patience_ns)
{
	int64_t begin, left = *patience_ns;

	if (vq_has_more(&q->vq))
		return true;
	if (served < BUSY_REQUESTS || left <= 0)
		return false;
	begin = loop_now();
	while (left > 0 && !vq_has_more(&q->vq)) {
		sched_yield(); // the driver may be waiting for this very processor
		left = *patience_ns - (loop_now() - begin);
	}
	*patience_ns = left;
	return left > 0;
}

/*
 * One turn: at most as many requests as the ring has places, and no new batch after TURN_NS, so that
 * nothing else starves. 1: there may be more; 0: none; else as vq_pop().
 */
static int serve_turn(struct vhu_queue *q)
{
	struct vhu *v = q->vhu;
	unsigned size = q->vq.cfg.size, served = 0;
	int64_t patience_ns = PATIENCE_NS, begin = 0;
	struct vq_req *req;
	int r = 0;

	do {
		while (served < size && (r = vq_pop(&q->vq, &req)) == 1) {
			q->served++;
			v->device->request(v->dev, q->index, req);
			if (++served % BATCH)
				continue;
			publish(q);
			begin = begin ? begin : loop_now();
			if (loop_now() - begin > TURN_NS)
				return 1;
		}
		if (r < 0 || served == size)
			return r < 0 ? r : 1;
		publish(q);
	} while (wait_for_more(q, served, &patience_ns) || !vq_enable_kicks(&q->vq));
	return 0;
}

static void serve(struct vhu_queue *q)
{
	int r;

	vq_disable_kicks(&q->vq);
	r = serve_turn(q);
	publish(q);
	if (r == 1)
		loop_defer(q->vhu->loop, &q->turn);
	else if (r == -EAGAIN)
		q->starved = true; // goes on when a request returns
	else if (r < 0)
		queue_broken(q);
}

unsigned vhu_poll(struct vhu *v, unsigned queue)
{
	struct vhu_queue *q = &v->queues[queue];
	unsigned before = q->served;

	if (is_running(q) && !q->starved)
		serve(q);
	return q->served - before;
}

static void on_turn(struct loop_job *job)
{
	struct vhu_queue *q = CONTAINER_OF(job, struct vhu_queue, turn);

	if (is_running(q))
		serve(q);
}

/* The eventfd is never read: it is edge-triggered, and every kick is an event of its own. */
static void on_kick(struct loop_source *source, uint32_t events)
{
	struct vhu_queue *q = CONTAINER_OF(source, struct vhu_queue, kick_source);

	(void)events;
	q->kicks++;
	if (is_running(q) && !q->turn.queued && !q->starved)
		serve(q);
}

void vhu_finish_written(struct vq_req *req, uint32_t written)
{
	struct vhu_queue *q = queue_of(req);
	bool was_broken = q->vq.broken;

	vq_push(req, written);
	if (q->vq.broken && !was_broken)
		queue_broken(q);
	loop_defer(q->vhu->loop, &q->notify);
	if (q->starved) {
		q->starved = false;
		loop_defer(q->vhu->loop, &q->turn);
	}
}

uint32_t vhu_write(struct vq_req *req, const void *reply, uint32_t len)
{
	if (req->vq->broken)
		return 0;
	return (uint32_t)iov_write(vq_req_in(req), req->n_in, 0, reply, len);
}

void vhu_finish(struct vq_req *req, const void *reply, uint32_t len)
{
	vhu_finish_written(req, vhu_write(req, reply, len));
}

void vhu_queue_init(struct vhu_queue *q, struct vhu *v, unsigned index)
{
	*q = (struct vhu_queue){.vhu = v, .index = index, .kick = -1, .call = -1, .err = -1};
	q->kick_source.ready = on_kick;
	q->turn.run = on_turn;
	q->notify.run = on_notify;
}

/*
 * A driver's reset may come to us only as all rings being stopped and started from 0 (so from QEMU's
 * generic device, though it agrees on RESET_DEVICE and SET_STATUS); who pauses starts them where
 * they stopped. After a reset that was told, was_stopped is false.
 */
static bool begins_anew(const struct vhu_queue *q)
{
	const struct vhu *v = q->vhu;

	for (unsigned i = 0; i < v->device->n_queues; i++)
		if (v->queues[i].started)
			return false;
	return q->was_stopped && q->base != q->stopped_at;
}

static struct vq_config ring_config(const struct vhu_queue *q)
{
	const struct vhu_device *d = q->vhu->device;

	return (struct vq_config){
		.size = (uint16_t)q->num,
		.iov_per_req = d->iov_per_req,
		.large = d->large,
		.req_size = d->req_size ? d->req_size : sizeof(struct vq_req),
		.event_idx = vhu_has_feature(q->vhu, VIRTIO_RING_F_EVENT_IDX),
		.avail_base = q->base,
		.desc = q->addr.desc,
		.avail = q->addr.avail,
		.used = q->addr.used,
		.by_gpa = vhu_has_protocol(q->vhu, VHOST_USER_PROTOCOL_F_GPA_ADDRESSES),
	};
}

int vhu_queue_start(struct vhu_queue *q)
{
	struct vhu *v = q->vhu;
	struct vq_config cfg = ring_config(q);
	int r;

	if (q->started || q->kick < 0 || !q->num || !q->has_addr)
		return 0;
	if (begins_anew(q))
		vhu_reset(v);
	r = vq_start(&q->vq, &cfg, v->mem);
	if (r < 0) {
		log_info("%s: ring %u cannot start: its addresses are not in the guest's memory",
			v->device->name, q->index);
		if (q->err >= 0)
			fd_signal(q->err);
		return r;
	}
	q->started = true;
	q->starved = false;
	if (!(v->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		q->enabled = true;
	loop_defer(v->loop, &q->turn); // requests may have come before the first kick
	return 0;
}

void vhu_queue_stop(struct vhu_queue *q, bool drain)
{
	struct vhu *v = q->vhu;
	struct vq_req *req;

	if (!q->started)
		return;
	log_dbg("%s: ring %u stops: %u requests, %u kicks", v->device->name, q->index, q->served,
		q->kicks);
	loop_remove(&q->kick_source);
	fd_close(&q->kick);
	if (!drain)
		q->vq.broken = true; // from here on nothing is written to the guest
	else if (v->device->takes_back)
		vq_take_back(&q->vq);
	if (v->device->queue_stop)
		v->device->queue_stop(v->dev, q->index);
	for (unsigned from = 0; (req = vq_in_flight(&q->vq, from)); from = req->head + 1u)
		vhu_finish_written(req, 0);
	on_notify(&q->notify);
	loop_cancel(v->loop, &q->notify);
	loop_cancel(v->loop, &q->turn);
	q->base = q->stopped_at = q->vq.next_avail;
	q->was_stopped = true;
	vq_stop(&q->vq);
	q->started = q->starved = false;
}

void vhu_queue_enable(struct vhu_queue *q, bool enable)
{
	q->enabled = enable;
	if (enable && q->started)
		loop_defer(q->vhu->loop, &q->turn);
}

int vhu_queue_set_kick(struct vhu_queue *q, int fd)
{
	int r;

	loop_remove(&q->kick_source);
	fd_close(&q->kick);
	if (fd < 0)
		return 0;
	q->kick_source.fd = fd;
	r = loop_add(q->vhu->loop, &q->kick_source, EPOLLIN | EPOLLET);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	q->kick = fd;
	return vhu_queue_start(q);
}

void vhu_queue_reset(struct vhu_queue *q)
{
	vhu_queue_stop(q, false);
	vhu_queue_set_kick(q, -1);
	fd_close(&q->call);
	fd_close(&q->err);
	vhu_queue_init(q, q->vhu, q->index);
}
