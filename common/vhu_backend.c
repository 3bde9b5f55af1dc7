/* SPDX-License-Identifier: MIT */
/*
 * The channel on which we ask the front-end: what has changed, and what the driver is to see in the
 * device's shared memory region. Questions are sent in their order and answered in it; nothing waits for
 * an answer but what asked.
 */
#define LOG_TOPIC "vhu"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bytes.h"
#include "fd.h"
#include "log.h"
#include "vhu_internal.h"

/* ---- what is mapped ---- */

static void take_place(struct vhu_backend *b, struct vhu_range *r)
{
	LIST_INSERT_HEAD(&b->ranges, r, link);
	r->live = true;
}

static void leave_place(struct vhu_range *r)
{
	if (r->live)
		LIST_REMOVE(r, link);
	r->live = false;
}

static void free_range(struct vhu_range *r)
{
	leave_place(r);
	fd_close(&r->fd);
	free(r);
}

static bool overlaps(const struct vhu_backend *b, const struct vhu_shmem *s)
{
	const struct vhu_range *r;

	LIST_FOREACH (r, &b->ranges, link)
		if (r->what.shm_offset < s->at + s->len && s->at < r->what.shm_offset + r->what.len)
			return true;
	return false;
}

static struct vhu_range *range_at(const struct vhu_backend *b, uint64_t at)
{
	struct vhu_range *r;

	LIST_FOREACH (r, &b->ranges, link)
		if (r->what.shm_offset == at)
			return r;
	return NULL;
}

/* ---- asking ---- */

static void watch(struct vhu *v)
{
	bool wants_out = !STAILQ_EMPTY(&v->backend.to_ask);

	loop_modify(&v->backend.source, wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int send_question(struct vhu *v, struct vhu_question *q)
{
	struct vhu_range *r = q->range;
	bool map = q == &r->map;
	const struct vhost_user_header hdr = {
		map ? VHOST_USER_BACKEND_SHMEM_MAP : VHOST_USER_BACKEND_SHMEM_UNMAP,
		VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK, sizeof(r->what)};
	int err = vhu_send(v->backend.fd, &hdr, &r->what, &r->fd, map ? 1 : 0);

	if (err == 0 && map)
		fd_close(&r->fd);
	return err;
}

/* Sends what the socket takes. */
static void pump(struct vhu *v)
{
	struct vhu_backend *b = &v->backend;
	struct vhu_question *q;

	while ((q = STAILQ_FIRST(&b->to_ask))) {
		int err = send_question(v, q);

		if (err == -EAGAIN || err == -ETOOMANYREFS)
			break;
		if (err < 0) {
			loop_defer(v->loop, &b->lost);
			return;
		}
		STAILQ_REMOVE_HEAD(&b->to_ask, link);
		STAILQ_INSERT_TAIL(&b->asked, q, link);
	}
	watch(v);
}

static uint32_t ask(struct vhu *v, struct vhu_question *q, struct vhu_range *r)
{
	struct vhu_backend *b = &v->backend;

	if (!++b->tickets)
		b->tickets = 1;
	*q = (struct vhu_question){.range = r, .ticket = b->tickets};
	STAILQ_INSERT_TAIL(&b->to_ask, q, link);
	pump(v);
	return q->ticket;
}

/* ---- answers ---- */

/* The question is in no list any more. */
static void answered(struct vhu *v, struct vhu_question *q, int result)
{
	struct vhu_range *r = q->range;
	uint32_t ticket = q->ticket;

	if (q == &r->map) {
		if (result < 0 && !r->unmap.ticket)
			free_range(r);
	} else {
		free_range(r);
	}
	v->device->shmem_answered(v->dev, ticket, result);
}

static void give_up(struct vhu *v, struct vhu_questions *list)
{
	struct vhu_question *q;

	while ((q = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		answered(v, q, -ECONNRESET);
	}
}

static void drop(struct vhu *v)
{
	struct vhu_backend *b = &v->backend;

	loop_cancel(v->loop, &b->lost);
	loop_remove(&b->source);
	fd_close(&b->fd);
	vhu_reader_reset(&b->reader);
	give_up(v, &b->asked);
	give_up(v, &b->to_ask);
}

static void on_lost(struct loop_job *job)
{
	drop(CONTAINER_OF(job, struct vhu, backend.lost));
}

/*
 * Negative errno for what is no answer to the question whose turn it is. That to a change of the
 * configuration space is not asked for, and not minded.
 */
static int take_answer(struct vhu *v, const struct vhu_msg *m)
{
	struct vhu_question *q = STAILQ_FIRST(&v->backend.asked);
	uint32_t wanted;

	if (m->hdr.request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG)
		return 0;
	if (!q || !(m->hdr.flags & VHOST_USER_REPLY_MASK) || m->hdr.size != sizeof(m->p.u64)
		|| m->n_fds)
		return -EPROTO;
	wanted =
		q == &q->range->map ? VHOST_USER_BACKEND_SHMEM_MAP : VHOST_USER_BACKEND_SHMEM_UNMAP;
	if (m->hdr.request != wanted)
		return -EPROTO;
	STAILQ_REMOVE_HEAD(&v->backend.asked, link);
	if (m->p.u64)
		log_info("%s: the front-end could not %smap %llu bytes", v->device->name,
			q == &q->range->map ? "" : "un", (unsigned long long)q->range->what.len);
	answered(v, q, m->p.u64 ? -EIO : 0);
	return 0;
}

static void on_backend(struct loop_source *source, uint32_t events)
{
	struct vhu *v = CONTAINER_OF(source, struct vhu, backend.source);
	struct vhu_backend *b = &v->backend;
	int r = vhu_reader_read(&b->reader, b->fd);

	if (r == 1) {
		r = take_answer(v, &b->reader.msg);
		vhu_reader_reset(&b->reader);
	} else if (r == 0) {
		r = -ECONNRESET;
	}
	if (r < 0 && r != -EAGAIN) {
		if (r == -EPROTO)
			log_info("%s: the front-end says what is no answer", v->device->name);
		drop(v);
	} else if (events & EPOLLOUT) {
		pump(v);
	}
}

/* ---- for the device ---- */

bool vhu_has_shmem(const struct vhu *v)
{
	return vhu_has_protocol(v, VHOST_USER_PROTOCOL_F_SHMEM)
		&& vhu_has_protocol(v, VHOST_USER_PROTOCOL_F_BACKEND_REQ)
		&& vhu_has_protocol(v, VHOST_USER_PROTOCOL_F_REPLY_ACK);
}

static bool is_whole(uint64_t bytes)
{
	return !(bytes & ((uint64_t)sysconf(_SC_PAGESIZE) - 1));
}

static int check(const struct vhu *v, const struct vhu_shmem *s)
{
	if (!vhu_has_shmem(v) || v->backend.fd < 0)
		return -ENOTCONN;
	if (!s->len || !is_whole(s->at) || !is_whole(s->len) || !is_whole(s->offset)
		|| !range_within(s->at, s->len, v->device->shmem_size))
		return -EINVAL;
	return overlaps(&v->backend, s) ? -EBUSY : 0;
}

int vhu_shmem_map(struct vhu *v, const struct vhu_shmem *s, uint32_t *ticket)
{
	struct vhu_range *r;
	int err = check(v, s);

	if (err < 0)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	if (r->fd < 0) {
		free(r);
		return -errno;
	}
	r->what = (struct vhost_user_shmem_map){.shmid = v->device->shmem_id,
		.fd_offset = s->offset,
		.shm_offset = s->at,
		.len = s->len,
		.flags = VHOST_USER_SHMEM_RW};
	take_place(&v->backend, r);
	*ticket = ask(v, &r->map, r);
	return 0;
}

int vhu_shmem_unmap(struct vhu *v, uint64_t at, uint32_t *ticket)
{
	struct vhu_range *r = range_at(&v->backend, at);

	if (!r)
		return -ENOENT;
	leave_place(r);
	if (v->backend.fd < 0) { // its question, if it had one, was answered
		free_range(r);
		return -ENOTCONN;
	}
	*ticket = ask(v, &r->unmap, r);
	return 0;
}

int vhu_config_changed(struct vhu *v)
{
	const struct vhost_user_header hdr = {
		VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, VHOST_USER_VERSION, 0};
	int r;

	if (v->backend.fd < 0)
		return -ENOTCONN;
	r = vhu_send(v->backend.fd, &hdr, NULL, NULL, 0);
	if (r < 0 && r != -EAGAIN)
		drop(v);
	return r;
}

/* ---- for the core ---- */

void vhu_backend_init(struct vhu *v)
{
	struct vhu_backend *b = &v->backend;

	b->fd = -1;
	b->source.ready = on_backend;
	b->lost.run = on_lost;
	STAILQ_INIT(&b->to_ask);
	STAILQ_INIT(&b->asked);
	LIST_INIT(&b->ranges);
}

int vhu_backend_set(struct vhu *v, int fd)
{
	struct vhu_backend *b = &v->backend;
	int r;

	drop(v);
	b->fd = b->source.fd = fd;
	r = loop_add(v->loop, &b->source, EPOLLIN);
	if (r < 0)
		drop(v);
	return r;
}

void vhu_backend_reset(struct vhu *v)
{
	struct vhu_range *r;
	uint32_t nobody;

	while ((r = LIST_FIRST(&v->backend.ranges)))
		vhu_shmem_unmap(v, r->what.shm_offset, &nobody);
}

void vhu_backend_finish(struct vhu *v)
{
	drop(v);
	vhu_backend_reset(v);
}
