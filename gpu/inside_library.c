/* SPDX-License-Identifier: MIT */
/* What is done alike whatever the library: the lives of resources and contexts, and pixels. */
#include "inside.h"

#include <errno.h>
#include <stdlib.h>

enum { BYTES_A_PIXEL = 4 };

uint32_t inside_result(int r)
{
	return r == 0                         ? 0
		: r == ENOMEM || r == -ENOMEM ? (uint32_t)VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
					      : (uint32_t)VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

uint32_t inside_context_destroy(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)fd;
	in->library->context_destroy(m->ctx);
	inside_context_remove(in, m->ctx);
	return 0;
}

/* ---- resources ---- */

static void detach(struct inside *in, struct inside_resource *res)
{
	if (res->iov)
		in->library->detach(res);
	inside_drop_pages(res);
}

static void forget(struct inside *in, struct inside_resource *res)
{
	detach(in, res);
	in->library->unref(res->id);
	inside_remove(in, res);
}

uint32_t inside_unref(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res = inside_find(in, m->res);

	(void)fd;
	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	forget(in, res);
	return 0;
}

/* In res->iov. False, and none, when they are not all there. */
static bool resolve(
	struct inside *in, struct inside_resource *res, const void *entries, uint32_t size)
{
	const struct gpu_mem_entry *e = entries;
	unsigned n = size / sizeof(*e), max = n + in->mem->n, hint = 0;

	inside_drop_pages(res);
	res->iov = calloc(max ? max : 1, sizeof(*res->iov));
	if (!res->iov)
		return false;
	for (unsigned i = 0; i < n; i++) {
		int pieces = gmem_iov(in->mem, &hint, e[i].addr, e[i].length, &res->iov[res->n_iov],
			max - res->n_iov);

		if (pieces < 0) {
			inside_drop_pages(res);
			return false;
		}
		res->n_iov += (unsigned)pieces;
	}
	res->mem = gmem_ref(in->mem);
	return true;
}

int inside_take_pages(
	struct inside *in, struct inside_resource *res, const struct renderer_message *m, int fd)
{
	void *entries = inside_bytes(in, m, fd);
	bool found = entries && resolve(in, res, entries, m->bytes.size);

	inside_bytes_done(in, m, entries);
	return found ? 0 : -ENOMEM;
}

uint32_t inside_backing_attach(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res = inside_find(in, m->res);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	detach(in, res);
	if (inside_take_pages(in, res, m, *fd) < 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (!in->library->attach(res))
		return 0;
	inside_drop_pages(res);
	return VIRTIO_GPU_RESP_ERR_UNSPEC;
}

uint32_t inside_backing_detach(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res = inside_find(in, m->res);

	(void)fd;
	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	detach(in, res);
	return 0;
}

/* A library begins once a process: what is in it goes one by one. */
uint32_t inside_reset(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res;
	struct inside_context *c;

	(void)m;
	(void)fd;
	while ((c = LIST_FIRST(&in->contexts))) {
		in->library->context_destroy(c->id);
		inside_context_remove(in, c->id);
	}
	for (unsigned i = 0; i < INSIDE_BUCKETS; i++)
		while ((res = LIST_FIRST(&in->resources[i])))
			forget(in, res);
	return 0;
}

/* It is its turn only when all before it is done. */
uint32_t inside_finish(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)in;
	(void)m;
	(void)fd;
	return 0;
}

/* ---- pixels ---- */

uint32_t inside_transfer(struct inside *in, const struct renderer_message *m, int *fd)
{
	const struct inside_resource *res = inside_find(in, m->res);

	(void)fd;
	if (!res || !res->iov)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	return inside_result(in->library->transfer(
		&(struct inside_transfer){.to_host = m->what == RENDERER_TO_HOST,
			.res = m->res,
			.ctx = m->ctx,
			.level = m->transfer.level,
			.stride = m->transfer.stride,
			.layer_stride = m->transfer.layer_stride,
			.box = m->transfer.box,
			.offset = m->transfer.offset}));
}

/* Between the texture and the buffer that is shown. */
uint32_t inside_copy(struct inside *in, const struct renderer_message *m, int *fd)
{
	const struct gpu_rect *r = &m->rect;
	const struct inside_resource *res = inside_find(in, m->res);
	struct iovec iov;

	(void)fd;
	if (!res || !res->buffer.map)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	iov = (struct iovec){res->buffer.map, res->buffer.size};
	return inside_result(in->library->transfer(&(struct inside_transfer){
		.to_host = m->what == RENDERER_UPLOAD,
		.res = m->res,
		.stride = res->buffer.stride,
		.box = {r->x, r->y, 0, r->width, r->height, 1},
		.offset = (uint64_t)r->y * res->buffer.stride + (uint64_t)r->x * BYTES_A_PIXEL,
		.iov = &iov,
		.n_iov = 1}));
}
