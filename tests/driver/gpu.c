/* SPDX-License-Identifier: MIT */
#include "gpu.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "wait.h"

#define MAX_SEGS 4096

void gpu_driver_init(
	struct gpu_driver *d, struct guest *g, struct drv_ring *control, struct drv_ring *cursor)
{
	memset(d, 0, sizeof(*d));
	d->guest = g;
	d->control = control;
	d->cursor = cursor;
	d->resp_cap = 4096;
	d->timeout_ms = WAIT_DEFAULT;
}

void gpu_driver_reset(struct gpu_driver *d)
{
	for (size_t i = 0; i < GPU_DRIVER_COMMANDS; i++)
		d->commands[i].busy = d->commands[i].done = false;
}

/* Submitting */

static struct gpu_driver_command *free_command(struct gpu_driver *d)
{
	for (size_t i = 0; i < GPU_DRIVER_COMMANDS; i++) {
		if (!d->commands[i].busy)
			return &d->commands[i];
	}
	return NULL;
}

/* Makes *gpa point to at least len bytes. */
static int make_room(struct guest *g, uint64_t *gpa, uint32_t *room, uint32_t len)
{
	if (len <= *room)
		return 0;
	*gpa = guest_alloc_keep(g, len, 64);
	*room = *gpa == GUEST_NOMEM ? 0 : len;
	return *room ? 0 : -ENOMEM;
}

/* Cuts the request into segments. Returns how many. */
static size_t cut(const struct gpu_driver *d, struct drv_seg *segs, uint64_t gpa, uint32_t len)
{
	uint32_t piece = d->piece ? d->piece : len;
	size_t n = 0;

	while (len > 0) {
		if (piece > len || n == MAX_SEGS - 2)
			piece = len;
		segs[n++] = (struct drv_seg){.gpa = gpa, .len = piece};
		gpa += piece;
		len -= piece;
	}
	return n;
}

static int enqueue(struct gpu_driver *d, struct gpu_driver_command *c, uint32_t len, uint32_t cap)
{
	struct drv_ring *r = c->queue ? d->cursor : d->control;
	struct drv_seg segs[MAX_SEGS];
	size_t n = cut(d, segs, c->req_gpa, len);

	if (cap > 0)
		segs[n++] = (struct drv_seg){.gpa = c->resp_gpa, .len = cap, .writable = true};
	return d->indirect ? drv_ring_add_indirect(r, segs, n, c) : drv_ring_add(r, segs, n, c);
}

int gpu_driver_add(
	struct gpu_driver *d, unsigned int queue, const void *req, size_t len, uint32_t resp_cap)
{
	struct gpu_driver_command *c = free_command(d);
	int rc;

	if (!c)
		return -EBUSY;
	if (len > UINT32_MAX || resp_cap > GPU_DRIVER_RESPONSE)
		return -EINVAL;
	rc = make_room(d->guest, &c->req_gpa, &c->req_room, (uint32_t)len);
	if (rc == 0)
		rc = make_room(d->guest, &c->resp_gpa, &c->resp_room, resp_cap);
	if (rc < 0)
		return rc;
	guest_write(d->guest, c->req_gpa, req, len);
	memset(&c->hdr, 0, sizeof(c->hdr));
	memcpy(&c->hdr, req, len < sizeof(c->hdr) ? len : sizeof(c->hdr));
	c->queue = (uint16_t)queue;
	c->done = false;
	rc = enqueue(d, c, (uint32_t)len, resp_cap);
	c->busy = rc >= 0;
	return rc < 0 ? rc : (int)(c - d->commands);
}

int gpu_driver_submit(
	struct gpu_driver *d, unsigned int queue, const void *req, size_t len, uint32_t resp_cap)
{
	int ticket = gpu_driver_add(d, queue, req, len, resp_cap);
	int rc = ticket < 0 ? 0 : drv_ring_submit(queue ? d->cursor : d->control);

	return rc < 0 ? rc : ticket;
}

/* Collecting */

static int poll_ring(struct drv_ring *r)
{
	struct drv_used used;
	int n = 0, rc;

	if (!r)
		return 0;
	while ((rc = drv_ring_reap(r, &used)) == 1) {
		struct gpu_driver_command *c = used.cookie;

		n++;
		if (!c)
			continue; // a raw chain
		c->done = true;
		c->len = used.len;
	}
	return rc < 0 ? rc : n;
}

int gpu_driver_poll(struct gpu_driver *d)
{
	int a = poll_ring(d->control);
	int b = poll_ring(d->cursor);

	return a < 0 ? a : b < 0 ? b : a + b;
}

bool gpu_driver_is_done(const struct gpu_driver *d, int ticket)
{
	return d->commands[ticket].done;
}

/* Waits for ring r, and serves the display meanwhile. */
static int wait_once(struct gpu_driver *d, struct drv_ring *r, int64_t deadline)
{
	struct pollfd p[4] = {
		{r->call_fd, POLLIN, 0}, {r->err_fd, POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}};
	bool seen;
	int n;

	if (d->display && !d->display->stop_reading)
		p[2].fd = d->display->fd;
	if (d->window && !d->window->stop)
		p[3].fd = d->window->f->backend_fd;
	n = poll(p, 4, wait_left(deadline));
	if (n < 0 && errno != EINTR)
		return -errno;
	if (p[2].revents)
		display_peer_pump(d->display, 0);
	if (p[3].revents && window_pump(d->window) < 0)
		return -EPROTO;
	if (p[1].revents)
		return drv_ring_wait_err(r, 0) == 0 ? -EIO : 0;
	if (p[0].revents)
		drv_ring_wait_call(r, 0);
	seen = drv_ring_used_count(r) > 0;
	return n == 0 ? (seen ? -ENOMSG : -ETIMEDOUT) : 0;
}

/* Fetches and checks the response of c. */
static int take(struct gpu_driver *d, struct gpu_driver_command *c)
{
	struct virtio_gpu_ctrl_hdr h;

	d->resp_len = c->len;
	c->busy = false;
	if (c->len == 0)
		return 0;
	if (c->len < sizeof(h))
		return -EBADMSG;
	guest_read(d->guest, c->resp_gpa, d->resp, c->len);
	memcpy(&h, d->resp, sizeof(h));
	if (!(c->hdr.flags & htole32(VIRTIO_GPU_FLAG_FENCE)))
		return (int)le32toh(h.type);
	if (!(h.flags & htole32(VIRTIO_GPU_FLAG_FENCE)) || h.fence_id != c->hdr.fence_id
		|| h.ctx_id != c->hdr.ctx_id)
		return -EPROTO;
	return (int)le32toh(h.type);
}

int gpu_driver_collect(struct gpu_driver *d, int ticket)
{
	int64_t deadline = wait_deadline(d->timeout_ms);
	struct gpu_driver_command *c = &d->commands[ticket];
	int rc = gpu_driver_poll(d);

	__atomic_thread_fence(__ATOMIC_SEQ_CST); // reaping has moved used_event
	while (rc >= 0 && !c->done) {
		rc = gpu_driver_poll(d);
		if (rc == 0)
			rc = wait_once(d, c->queue ? d->cursor : d->control, deadline);
	}
	return rc < 0 ? rc : take(d, c);
}

int gpu_driver_run(struct gpu_driver *d, const void *req, size_t len)
{
	int ticket = gpu_driver_submit(d, 0, req, len, d->resp_cap);

	return ticket < 0 ? ticket : gpu_driver_collect(d, ticket);
}

/* Commands by name */

static struct virtio_gpu_ctrl_hdr header(uint32_t type)
{
	return (struct virtio_gpu_ctrl_hdr){.type = htole32(type)};
}

static struct virtio_gpu_rect wire_rect(struct virtio_gpu_rect r)
{
	return (struct virtio_gpu_rect){.x = htole32(r.x),
		.y = htole32(r.y),
		.width = htole32(r.width),
		.height = htole32(r.height)};
}

/* Copies a response of size bytes out if it has the type. */
static int fetch(struct gpu_driver *d, int type, int wanted, void *out, size_t size)
{
	if (type != wanted)
		return type;
	if (d->resp_len != size)
		return -EBADMSG;
	memcpy(out, d->resp, size);
	return type;
}

int gpu_driver_create_2d(struct gpu_driver *d, uint32_t id, uint32_t format, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_create_2d m = {.hdr = header(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
		.resource_id = htole32(id),
		.format = htole32(format),
		.width = htole32(w),
		.height = htole32(h)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_attach(
	struct gpu_driver *d, uint32_t id, const struct virtio_gpu_mem_entry *e, uint32_t n)
{
	struct virtio_gpu_resource_attach_backing m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
		.resource_id = htole32(id),
		.nr_entries = htole32(n)};
	size_t len = sizeof(m) + n * sizeof(*e);
	uint8_t *buf = malloc(len);
	int rc;

	if (!buf)
		return -ENOMEM;
	memcpy(buf, &m, sizeof(m));
	if (n > 0)
		memcpy(buf + sizeof(m), e, n * sizeof(*e));
	rc = gpu_driver_run(d, buf, len);
	free(buf);
	return rc;
}

int gpu_driver_detach(struct gpu_driver *d, uint32_t id)
{
	struct virtio_gpu_resource_detach_backing m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING), .resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_transfer(
	struct gpu_driver *d, uint32_t id, struct virtio_gpu_rect r, uint64_t offset)
{
	struct virtio_gpu_transfer_to_host_2d m = {
		.hdr = header(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D),
		.r = wire_rect(r),
		.offset = htole64(offset),
		.resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_set_scanout(
	struct gpu_driver *d, uint32_t scanout, uint32_t id, struct virtio_gpu_rect r)
{
	struct virtio_gpu_set_scanout m = {.hdr = header(VIRTIO_GPU_CMD_SET_SCANOUT),
		.r = wire_rect(r),
		.scanout_id = htole32(scanout),
		.resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_flush(struct gpu_driver *d, uint32_t id, struct virtio_gpu_rect r)
{
	struct virtio_gpu_resource_flush m = {.hdr = header(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
		.r = wire_rect(r),
		.resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_unref(struct gpu_driver *d, uint32_t id)
{
	struct virtio_gpu_resource_unref m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_UNREF), .resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_uuid(struct gpu_driver *d, uint32_t id, uint8_t uuid[16])
{
	struct virtio_gpu_resource_assign_uuid m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID), .resource_id = htole32(id)};
	struct virtio_gpu_resp_resource_uuid resp;
	int rc = gpu_driver_run(d, &m, sizeof(m));

	rc = fetch(d, rc, VIRTIO_GPU_RESP_OK_RESOURCE_UUID, &resp, sizeof(resp));
	if (rc == VIRTIO_GPU_RESP_OK_RESOURCE_UUID)
		memcpy(uuid, resp.uuid, sizeof(resp.uuid));
	return rc;
}

int gpu_driver_display_info(struct gpu_driver *d, struct virtio_gpu_resp_display_info *info)
{
	struct virtio_gpu_ctrl_hdr m = header(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	int rc = gpu_driver_run(d, &m, sizeof(m));

	return fetch(d, rc, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, info, sizeof(*info));
}

int gpu_driver_edid(struct gpu_driver *d, uint32_t scanout, struct virtio_gpu_resp_edid *edid)
{
	struct virtio_gpu_cmd_get_edid m = {
		.hdr = header(VIRTIO_GPU_CMD_GET_EDID), .scanout = htole32(scanout)};
	int rc = gpu_driver_run(d, &m, sizeof(m));

	return fetch(d, rc, VIRTIO_GPU_RESP_OK_EDID, edid, sizeof(*edid));
}

int gpu_driver_capset_info(
	struct gpu_driver *d, uint32_t index, struct virtio_gpu_resp_capset_info *info)
{
	struct virtio_gpu_get_capset_info m = {
		.hdr = header(VIRTIO_GPU_CMD_GET_CAPSET_INFO), .capset_index = htole32(index)};
	int rc = gpu_driver_run(d, &m, sizeof(m));

	return fetch(d, rc, VIRTIO_GPU_RESP_OK_CAPSET_INFO, info, sizeof(*info));
}

int gpu_driver_cursor(struct gpu_driver *d, uint32_t type, struct virtio_gpu_update_cursor c)
{
	int ticket;

	c.hdr = header(type);
	ticket = gpu_driver_submit(d, 1, &c, sizeof(c), 0);
	return ticket < 0 ? ticket : gpu_driver_collect(d, ticket);
}

uint64_t gpu_driver_make_2d(
	struct gpu_driver *d, uint32_t id, uint32_t format, uint32_t w, uint32_t h)
{
	uint64_t size = (uint64_t)w * h * 4;
	uint64_t gpa = guest_alloc(d->guest, size, 4096);
	struct virtio_gpu_mem_entry e = {.addr = htole64(gpa), .length = htole32((uint32_t)size)};

	if (gpa == GUEST_NOMEM
		|| gpu_driver_create_2d(d, id, format, w, h) != VIRTIO_GPU_RESP_OK_NODATA)
		return GUEST_NOMEM;
	return gpu_driver_attach(d, id, &e, 1) == VIRTIO_GPU_RESP_OK_NODATA ? gpa : GUEST_NOMEM;
}
