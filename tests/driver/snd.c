/* SPDX-License-Identifier: MIT */
#include "snd.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "wait.h"

#define MAX_SEGS 4096
#define STATUS   sizeof(struct virtio_snd_pcm_status)
#define EVENT    sizeof(struct virtio_snd_event)
#define HEADER   4096 /* of a message, at most; its status lies behind */
#define NOBODY   0xa5 /* what was there before an answer */

void snd_driver_init(struct snd_driver *d, struct guest *g, struct drv_ring *rings)
{
	memset(d, 0, sizeof(*d));
	d->guest = g;
	d->rings = rings;
	d->refill = true;
	d->resp_cap = SND_DRIVER_RESPONSE;
	d->timeout_ms = WAIT_DEFAULT;
}

void snd_driver_reset(struct snd_driver *d)
{
	for (size_t i = 0; i < SND_DRIVER_REQUESTS; i++)
		d->requests[i].busy = d->requests[i].done = false;
	for (size_t i = 0; i < SND_DRIVER_MESSAGES; i++)
		d->messages[i].busy = d->messages[i].done = false;
	memset(d->event_busy, 0, sizeof(d->event_busy));
	d->event_buffers = d->event_count = 0;
}

/* Sending */

/* Makes *m hold at least len bytes. */
static int make_room(struct snd_driver *d, struct snd_memory *m, uint32_t len)
{
	if (len <= m->room)
		return 0;
	m->gpa = guest_alloc_keep(d->guest, len, 64);
	m->room = m->gpa == GUEST_NOMEM ? 0 : len;
	return m->room ? 0 : -ENOMEM;
}

/* An answer that nobody wrote is not to look like one. */
static void poison(struct snd_driver *d, uint64_t gpa, uint32_t len)
{
	void *p = guest_ptr(d->guest, gpa, len);

	if (p)
		memset(p, NOBODY, len);
}

/* len bytes at gpa in descriptors of the sizes in pieces. Returns how many. */
static size_t cut(struct drv_seg *segs, struct drv_seg whole, const uint32_t *pieces, size_t n)
{
	size_t used = 0;

	while (whole.len > 0) {
		uint32_t piece = n == 0 ? 0 : pieces[used < n ? used : n - 1];

		if (piece == 0 || piece > whole.len || used == MAX_SEGS - 4)
			piece = whole.len;
		segs[used] = whole;
		segs[used++].len = piece;
		whole.gpa += piece;
		whole.len -= piece;
	}
	return used;
}

static int enqueue(struct snd_driver *d, unsigned int queue, const struct drv_seg *segs, size_t n,
	void *cookie)
{
	struct drv_ring *r = &d->rings[queue];

	return d->indirect ? drv_ring_add_indirect(r, segs, n, cookie)
			   : drv_ring_add(r, segs, n, cookie);
}

int snd_driver_submit(struct snd_driver *d, const void *req, size_t len, uint32_t resp_cap)
{
	struct drv_seg segs[MAX_SEGS];
	struct snd_request *q = d->requests;
	size_t n;
	int rc;

	while (q < d->requests + SND_DRIVER_REQUESTS && q->busy)
		q++;
	if (q == d->requests + SND_DRIVER_REQUESTS)
		return -EBUSY;
	if (len > UINT32_MAX || resp_cap > SND_DRIVER_RESPONSE)
		return -EINVAL;
	rc = make_room(d, &q->req, (uint32_t)len);
	if (rc == 0)
		rc = make_room(d, &q->resp, resp_cap);
	if (rc < 0)
		return rc;
	guest_write(d->guest, q->req.gpa, req, len);
	poison(d, q->resp.gpa, resp_cap);
	n = cut(segs, (struct drv_seg){q->req.gpa, (uint32_t)len, false}, &d->piece, 1);
	if (resp_cap > 0)
		segs[n++] = (struct drv_seg){q->resp.gpa, resp_cap, true};
	rc = enqueue(d, VIRTIO_SND_VQ_CONTROL, segs, n, q);
	if (rc < 0)
		return rc;
	q->busy = true;
	q->done = false;
	q->resp_cap = resp_cap;
	rc = drv_ring_submit(&d->rings[VIRTIO_SND_VQ_CONTROL]);
	return rc < 0 ? rc : (int)(q - d->requests);
}

/* Finds memory for a message and fills it. */
static int place(struct snd_driver *d, struct snd_message *m, const struct snd_io *io)
{
	__le32 stream = htole32(io->stream);
	int rc;

	if (io->header_len > HEADER || io->status_lacks > STATUS)
		return -EINVAL;
	rc = make_room(d, &m->frame, HEADER + STATUS);
	if (rc == 0 && !io->placed)
		rc = make_room(d, &m->own, io->bytes);
	if (rc < 0)
		return rc;
	m->queue = (uint16_t)io->queue;
	m->data = io->placed ? io->gpa : m->own.gpa;
	m->bytes = io->bytes;
	m->status_room = (uint32_t)STATUS - io->status_lacks;
	guest_write(d->guest, m->frame.gpa, io->header ? io->header : &stream,
		io->header ? io->header_len : sizeof(stream));
	poison(d, m->frame.gpa + HEADER, STATUS);
	if (io->data && io->queue == VIRTIO_SND_VQ_TX)
		guest_write(d->guest, m->data, io->data, io->bytes);
	else if (!io->placed)
		poison(d, m->data, io->bytes);
	return 0;
}

int snd_driver_add(struct snd_driver *d, const struct snd_io *io)
{
	struct snd_message *m = d->messages;
	struct drv_seg segs[MAX_SEGS];
	size_t n = 0;
	int rc;

	while (m < d->messages + SND_DRIVER_MESSAGES && m->busy)
		m++;
	if (m == d->messages + SND_DRIVER_MESSAGES)
		return -EBUSY;
	rc = place(d, m, io);
	if (rc < 0)
		return rc;
	if (!io->header || io->header_len > 0)
		segs[n++] = (struct drv_seg){m->frame.gpa, io->header ? io->header_len : 4, false};
	n += cut(segs + n, (struct drv_seg){m->data, io->bytes, io->queue == VIRTIO_SND_VQ_RX},
		io->pieces, io->n_pieces);
	if (m->status_room > 0)
		segs[n++] = (struct drv_seg){m->frame.gpa + HEADER, m->status_room, true};
	rc = enqueue(d, io->queue, segs, n, m);
	if (rc < 0)
		return rc;
	m->busy = true;
	m->done = false;
	return (int)(m - d->messages);
}

int snd_driver_send(struct snd_driver *d, const struct snd_io *io)
{
	int ticket = snd_driver_add(d, io), rc = 0;

	if (ticket < 0)
		return ticket;
	if (d->polling)
		drv_ring_publish(&d->rings[io->queue]);
	else
		rc = drv_ring_submit(&d->rings[io->queue]);
	return rc < 0 ? rc : ticket;
}

int snd_driver_tx(struct snd_driver *d, uint32_t stream, const void *data, uint32_t bytes)
{
	struct snd_io io = {
		.queue = VIRTIO_SND_VQ_TX, .stream = stream, .data = data, .bytes = bytes};

	return snd_driver_send(d, &io);
}

int snd_driver_rx(struct snd_driver *d, uint32_t stream, uint32_t bytes)
{
	struct snd_io io = {.queue = VIRTIO_SND_VQ_RX, .stream = stream, .bytes = bytes};

	return snd_driver_send(d, &io);
}

/* Events */

static int put_event_buffer(struct snd_driver *d, uint32_t slot)
{
	uint64_t gpa = d->event_memory.gpa + slot * EVENT;
	struct drv_seg seg = {gpa, EVENT, true};
	int rc;

	poison(d, gpa, EVENT);
	rc = enqueue(d, VIRTIO_SND_VQ_EVENT, &seg, 1, &d->event_busy[slot]);
	if (rc < 0)
		return rc;
	d->event_busy[slot] = true;
	d->event_buffers++;
	return 0;
}

int snd_driver_fill(struct snd_driver *d, uint32_t n)
{
	int rc = make_room(d, &d->event_memory, SND_DRIVER_EVENTS * EVENT);

	for (uint32_t slot = 0; n > 0 && rc == 0; slot++) {
		if (slot == SND_DRIVER_EVENTS)
			return -EBUSY;
		if (d->event_busy[slot])
			continue;
		rc = put_event_buffer(d, slot);
		n--;
	}
	if (rc == 0)
		rc = drv_ring_submit(&d->rings[VIRTIO_SND_VQ_EVENT]);
	return rc < 0 ? rc : 0;
}

static void keep_event(struct snd_driver *d, uint64_t gpa)
{
	struct virtio_snd_event *e;

	if (d->event_count == SND_DRIVER_EVENTS) {
		d->events_lost++;
		return;
	}
	e = &d->events[(d->event_first + d->event_count++) % SND_DRIVER_EVENTS];
	guest_read(d->guest, gpa, e, EVENT);
}

/* A device whose rings are stopped gives empty buffers back. */
static int event_came(struct snd_driver *d, const struct drv_used *used)
{
	uint32_t slot = (uint32_t)((bool *)used->cookie - d->event_busy);

	d->event_busy[slot] = false;
	d->event_buffers--;
	if (used->len == 0)
		d->events_empty++;
	else if (used->len == EVENT)
		keep_event(d, d->event_memory.gpa + slot * EVENT);
	if (d->refill && put_event_buffer(d, slot) == 0)
		drv_ring_submit(&d->rings[VIRTIO_SND_VQ_EVENT]);
	return used->len == 0 || used->len == EVENT ? 0 : -EBADMSG;
}

int snd_driver_event(struct snd_driver *d, uint32_t *data, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	const struct virtio_snd_event *e;

	for (;;) {
		int rc = snd_driver_poll(d);

		if (rc < 0)
			return rc;
		if (d->event_count > 0)
			break;
		if (wait_left(deadline) == 0)
			return -ETIMEDOUT;
		rc = drv_ring_wait(&d->rings[VIRTIO_SND_VQ_EVENT], timeout_ms);
		if (rc < 0)
			return rc;
	}
	e = &d->events[d->event_first];
	d->event_first = (d->event_first + 1) % SND_DRIVER_EVENTS;
	d->event_count--;
	*data = le32toh(e->data);
	return (int)le32toh(e->hdr.code);
}

/* Reaping */

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int came(struct snd_driver *d, unsigned int queue, const struct drv_used *used)
{
	struct snd_request *q = used->cookie;
	struct snd_message *m = used->cookie;

	if (!used->cookie)
		return 0; // a raw chain
	if (queue == VIRTIO_SND_VQ_EVENT)
		return event_came(d, used);
	if (queue == VIRTIO_SND_VQ_CONTROL) {
		q->done = true;
		q->len = used->len;
		return 0;
	}
	m->done = true;
	m->len = used->len;
	m->when = now_ns();
	m->order = ++d->reaped;
	return 0;
}

int snd_driver_poll(struct snd_driver *d)
{
	struct drv_used used;
	int n = 0, bad = 0;

	for (unsigned int i = 0; i < SND_DRIVER_RINGS; i++) {
		int rc;

		for (; (rc = drv_ring_reap(&d->rings[i], &used)) == 1; n++)
			if (came(d, i, &used) < 0)
				bad = -EBADMSG;
		if (rc < 0)
			return rc;
	}
	return bad < 0 ? bad : n;
}

/* Polls, and if there is nothing waits. Returns as snd_driver_poll(). */
static int poll_or_wait(struct snd_driver *d, int64_t deadline)
{
	int rc;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); // reaping has moved used_event
	rc = snd_driver_poll(d);
	return rc == 0 ? drv_rings_wait(d->rings, SND_DRIVER_RINGS, deadline) : rc;
}

int snd_driver_wait(struct snd_driver *d, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	int rc;

	do
		rc = poll_or_wait(d, deadline);
	while (rc == 0);
	return rc;
}

/* Collecting */

static bool is_status(uint32_t code)
{
	return code >= VIRTIO_SND_S_OK && code <= VIRTIO_SND_S_IO_ERR;
}

bool snd_driver_is_answered(const struct snd_driver *d, int ticket)
{
	return d->requests[ticket].done;
}

int snd_driver_collect(struct snd_driver *d, int ticket)
{
	int64_t deadline = wait_deadline(d->timeout_ms);
	struct snd_request *q = &d->requests[ticket];
	__le32 code;
	int rc = snd_driver_poll(d);

	while (rc >= 0 && !q->done)
		rc = poll_or_wait(d, deadline);
	if (rc < 0)
		return rc;
	q->busy = false;
	d->resp_len = q->len;
	if (q->len > 0)
		guest_read(d->guest, q->resp.gpa, d->resp, q->len);
	if (q->resp_cap < sizeof(code))
		return 0;
	memcpy(&code, d->resp, sizeof(code));
	return q->len < sizeof(code) || !is_status(le32toh(code)) ? -EBADMSG : (int)le32toh(code);
}

int snd_driver_run(struct snd_driver *d, const void *req, size_t len, uint32_t resp_cap)
{
	int ticket = snd_driver_submit(d, req, len, resp_cap);

	return ticket < 0 ? ticket : snd_driver_collect(d, ticket);
}

bool snd_driver_is_back(const struct snd_driver *d, int ticket)
{
	return d->messages[ticket].done;
}

int snd_driver_take(struct snd_driver *d, int ticket, struct snd_done *done)
{
	struct snd_message *m = &d->messages[ticket];
	struct virtio_snd_pcm_status status;

	if (!m->done)
		return -EAGAIN;
	m->busy = false;
	*done = (struct snd_done){.len = m->len,
		.when = m->when,
		.order = m->order,
		.data = guest_ptr(d->guest, m->data, m->bytes)};
	if (m->status_room < STATUS)
		return 0;
	if (m->len < STATUS)
		return -EBADMSG;
	guest_read(d->guest, m->frame.gpa + HEADER, &status, sizeof(status));
	done->bytes = m->len - (uint32_t)STATUS;
	done->latency_bytes = le32toh(status.latency_bytes);
	return is_status(le32toh(status.status)) ? (int)le32toh(status.status) : -EBADMSG;
}

int snd_driver_finish(struct snd_driver *d, int ticket, struct snd_done *done)
{
	int64_t deadline = wait_deadline(d->timeout_ms);
	int rc = snd_driver_poll(d);

	while (rc >= 0 && !d->messages[ticket].done)
		rc = poll_or_wait(d, deadline);
	return rc < 0 ? rc : snd_driver_take(d, ticket, done);
}
