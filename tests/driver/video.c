/* SPDX-License-Identifier: MIT */
#include "video.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "wait.h"

#define MAX_SEGS 1024
#define EVENT    sizeof(struct virtio_video_event)
#define NOBODY   0xa5 /* what was there before an answer */

void video_driver_init(struct video_driver *d, struct guest *g, struct drv_ring *rings)
{
	memset(d, 0, sizeof(*d));
	d->guest = g;
	d->rings = rings;
	d->refill = true;
	d->timeout_ms = WAIT_DEFAULT;
}

void video_driver_reset(struct video_driver *d)
{
	for (size_t i = 0; i < VIDEO_DRIVER_REQUESTS; i++)
		d->requests[i].busy = d->requests[i].done = false;
	memset(d->event_busy, 0, sizeof(d->event_busy));
	d->event_count = 0;
}

/* Sending */

/* Makes kept memory of at least len bytes. */
static int make_room(struct video_driver *d, uint64_t *gpa, uint32_t *room, uint32_t len)
{
	if (len <= *room)
		return 0;
	*gpa = guest_alloc_keep(d->guest, len, 64);
	*room = *gpa == GUEST_NOMEM ? 0 : len;
	return *room ? 0 : -ENOMEM;
}

/* An answer that nobody wrote is not to look like one. */
static void poison(struct video_driver *d, uint64_t gpa, uint32_t len)
{
	void *p = guest_ptr(d->guest, gpa, len);

	if (p)
		memset(p, NOBODY, len);
}

/* Cuts a request. Returns in how many. */
static size_t cut(struct drv_seg *segs, uint64_t gpa, uint32_t len, uint32_t piece)
{
	size_t n = 0;

	while (len > 0) {
		uint32_t now = piece == 0 || piece > len || n == MAX_SEGS - 2 ? len : piece;

		segs[n++] = (struct drv_seg){gpa, now, false};
		gpa += now;
		len -= now;
	}
	return n;
}

static int enqueue(struct video_driver *d, unsigned int queue, const struct drv_seg *segs, size_t n,
	void *cookie)
{
	struct drv_ring *r = &d->rings[queue];

	return d->indirect ? drv_ring_add_indirect(r, segs, n, cookie)
			   : drv_ring_add(r, segs, n, cookie);
}

int video_driver_submit(struct video_driver *d, const void *req, size_t len, uint32_t resp_cap)
{
	const struct virtio_video_cmd_hdr *hdr = req;
	struct video_driver_request *q = d->requests;
	struct drv_seg segs[MAX_SEGS];
	size_t n;
	int rc;

	while (q < d->requests + VIDEO_DRIVER_REQUESTS && q->busy)
		q++;
	if (q == d->requests + VIDEO_DRIVER_REQUESTS)
		return -EBUSY;
	if (len > UINT32_MAX || resp_cap > VIDEO_DRIVER_RESPONSE)
		return -EINVAL;
	rc = make_room(d, &q->req, &q->req_room, (uint32_t)len);
	if (rc == 0)
		rc = make_room(d, &q->resp, &q->resp_room, resp_cap);
	if (rc < 0)
		return rc;
	guest_write(d->guest, q->req, req, len);
	poison(d, q->resp, resp_cap);
	n = cut(segs, q->req, (uint32_t)len, d->piece);
	if (resp_cap > 0)
		segs[n++] = (struct drv_seg){q->resp, resp_cap, true};
	rc = enqueue(d, VIRTIO_VIDEO_VQ_COMMAND, segs, n, q);
	if (rc < 0)
		return rc;
	q->busy = true;
	q->done = false;
	q->resp_cap = resp_cap;
	q->stream = len < sizeof(*hdr) ? 0 : le32toh(hdr->stream_id);
	rc = drv_ring_submit(&d->rings[VIRTIO_VIDEO_VQ_COMMAND]);
	return rc < 0 ? rc : (int)(q - d->requests);
}

/* Events */

static int put_event_buffer(struct video_driver *d, uint32_t slot)
{
	uint64_t gpa = d->event_memory + slot * EVENT;
	struct drv_seg seg = {gpa, EVENT, true};
	int rc;

	poison(d, gpa, EVENT);
	rc = enqueue(d, VIRTIO_VIDEO_VQ_EVENT, &seg, 1, &d->event_busy[slot]);
	if (rc >= 0)
		d->event_busy[slot] = true;
	return rc < 0 ? rc : 0;
}

int video_driver_fill(struct video_driver *d, uint32_t n)
{
	uint32_t room = d->event_memory ? VIDEO_DRIVER_EVENTS * EVENT : 0;
	int rc = make_room(d, &d->event_memory, &room, VIDEO_DRIVER_EVENTS * EVENT);

	for (uint32_t slot = 0; n > 0 && rc == 0; slot++) {
		if (slot == VIDEO_DRIVER_EVENTS)
			return -EBUSY;
		if (d->event_busy[slot])
			continue;
		rc = put_event_buffer(d, slot);
		n--;
	}
	if (rc == 0)
		rc = drv_ring_submit(&d->rings[VIRTIO_VIDEO_VQ_EVENT]);
	return rc < 0 ? rc : 0;
}

static void keep_event(struct video_driver *d, uint64_t gpa)
{
	struct virtio_video_event *e;

	if (d->event_count == VIDEO_DRIVER_EVENTS) {
		d->events_lost++;
		return;
	}
	e = &d->events[(d->event_first + d->event_count++) % VIDEO_DRIVER_EVENTS];
	guest_read(d->guest, gpa, e, EVENT);
}

/* A device whose rings are stopped gives empty buffers back. */
static int event_came(struct video_driver *d, const struct drv_used *used)
{
	uint32_t slot = (uint32_t)((bool *)used->cookie - d->event_busy);

	d->event_busy[slot] = false;
	if (used->len == 0)
		d->events_empty++;
	else if (used->len == EVENT)
		keep_event(d, d->event_memory + slot * EVENT);
	if (d->refill && put_event_buffer(d, slot) == 0)
		drv_ring_submit(&d->rings[VIRTIO_VIDEO_VQ_EVENT]);
	return used->len == 0 || used->len == EVENT ? 0 : -EBADMSG;
}

/* Reaping */

static int came(struct video_driver *d, unsigned int queue, const struct drv_used *used)
{
	struct video_driver_request *q = used->cookie;

	if (!used->cookie)
		return 0; // a raw chain
	if (queue == VIRTIO_VIDEO_VQ_EVENT)
		return event_came(d, used);
	q->done = true;
	q->len = used->len;
	q->order = ++d->reaped;
	return 0;
}

int video_driver_poll(struct video_driver *d)
{
	struct drv_used used;
	int n = 0, bad = 0;

	for (unsigned int i = 0; i < VIDEO_DRIVER_RINGS; i++) {
		int rc;

		for (; (rc = drv_ring_reap(&d->rings[i], &used)) == 1; n++)
			if (came(d, i, &used) < 0)
				bad = -EBADMSG;
		if (rc < 0)
			return rc;
	}
	return bad < 0 ? bad : n;
}

/* Polls, and if there is nothing waits. Returns as video_driver_poll(). */
static int poll_or_wait(struct video_driver *d, int64_t deadline)
{
	int rc;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); // reaping has moved used_event
	rc = video_driver_poll(d);
	return rc == 0 ? drv_rings_wait(d->rings, VIDEO_DRIVER_RINGS, deadline) : rc;
}

int video_driver_wait(struct video_driver *d, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	int rc;

	do
		rc = poll_or_wait(d, deadline);
	while (rc == 0);
	return rc;
}

int video_driver_event(struct video_driver *d, uint32_t *stream, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	const struct virtio_video_event *e;
	int rc = video_driver_poll(d);

	while (rc >= 0 && d->event_count == 0)
		rc = timeout_ms ? poll_or_wait(d, deadline) : -ETIMEDOUT;
	if (rc < 0)
		return rc;
	e = &d->events[d->event_first];
	d->event_first = (d->event_first + 1) % VIDEO_DRIVER_EVENTS;
	d->event_count--;
	*stream = le32toh(e->stream_id);
	return (int)le32toh(e->event_type);
}

/* Collecting */

static bool is_type(uint32_t type)
{
	return (type >= VIRTIO_VIDEO_RESP_OK_NODATA && type <= VIRTIO_VIDEO_RESP_OK_GET_CONTROL)
		|| (type >= VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION
			&& type <= VIRTIO_VIDEO_RESP_ERR_UNSUPPORTED_CONTROL);
}

bool video_driver_is_answered(const struct video_driver *d, int ticket)
{
	return d->requests[ticket].done;
}

int video_driver_collect(struct video_driver *d, int ticket)
{
	int64_t deadline = wait_deadline(d->timeout_ms);
	struct video_driver_request *q = &d->requests[ticket];
	struct virtio_video_cmd_hdr hdr;
	int rc = video_driver_poll(d);

	while (rc >= 0 && !q->done)
		rc = poll_or_wait(d, deadline);
	if (rc < 0)
		return rc;
	q->busy = false;
	d->resp_len = q->len;
	if (q->len > 0)
		guest_read(d->guest, q->resp, d->resp, q->len);
	if (q->resp_cap < sizeof(hdr))
		return 0;
	memcpy(&hdr, d->resp, sizeof(hdr));
	return q->len < sizeof(hdr) || !is_type(le32toh(hdr.type))
			|| le32toh(hdr.stream_id) != q->stream
		? -EBADMSG
		: (int)le32toh(hdr.type);
}

int video_driver_run(struct video_driver *d, const void *req, size_t len, uint32_t resp_cap)
{
	int ticket = video_driver_submit(d, req, len, resp_cap);

	return ticket < 0 ? ticket : video_driver_collect(d, ticket);
}
