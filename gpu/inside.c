/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "renderer"
#include "inside.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/part.h"

static const size_t RING_SIZE = RENDERER_RING_DATA + RENDERER_RING_BYTES;

int inside_init(struct inside *in, int sock)
{
	*in = (struct inside){.sock = sock, .poll_fd = -1, .mem = gmem_create()};
	return in->mem ? 0 : -ENOMEM;
}

/* A socket that takes nothing holds the thread that has something to say: the device reads always. */
void inside_answer(const struct inside *in, uint32_t what, uint32_t seq, uint32_t result)
{
	const struct renderer_answer a = {
		.what = what, .seq = seq, .result = result, .ring = RENDERER_GLOBAL};

	part_say(in->sock, &a, sizeof(a), -1);
}

void inside_fence(const struct inside *in, uint32_t ctx, uint32_t ring, uint32_t seq)
{
	const struct renderer_answer a = {
		.what = RENDERER_FENCE, .seq = seq, .ctx = ctx, .ring = ring};

	part_say(in->sock, &a, sizeof(a), -1);
}

uint32_t inside_export(const struct inside *in, const struct renderer_message *m,
	struct renderer_answer *a, int fd)
{
	a->what = RENDERER_EXPORTED;
	a->seq = m->seq;
	part_say(in->sock, a, sizeof(*a), fd);
	return INSIDE_ANSWERED;
}

void inside_capset(const struct inside *in, const struct renderer_capset *capset)
{
	part_say(in->sock, capset, sizeof(*capset), -1);
}

void inside_dmabuf(const struct inside *in, const struct renderer_dmabuf *d, int fd)
{
	part_say(in->sock, d, sizeof(*d), fd);
}

/* ---- resources and contexts ---- */

struct inside_resource *inside_find(struct inside *in, uint32_t id)
{
	struct inside_resource *res;

	LIST_FOREACH (res, &in->resources[id % INSIDE_BUCKETS], link)
		if (res->id == id)
			return res;
	return NULL;
}

struct inside_resource *inside_add(struct inside *in, uint32_t id, const struct gpu_texture *t)
{
	struct inside_resource *res = inside_find(in, id) ? NULL : calloc(1, sizeof(*res));

	if (!res)
		return NULL;
	res->id = id;
	res->texture = *t;
	LIST_INSERT_HEAD(&in->resources[id % INSIDE_BUCKETS], res, link);
	return res;
}

void inside_remove(struct inside *in, struct inside_resource *res)
{
	(void)in;
	LIST_REMOVE(res, link);
	inside_drop_pages(res);
	if (res->buffer.map)
		munmap(res->buffer.map, res->buffer.size);
	free(res);
}

bool inside_context_add(struct inside *in, uint32_t id)
{
	struct inside_context *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	c->id = id;
	LIST_INSERT_HEAD(&in->contexts, c, link);
	return true;
}

void inside_context_remove(struct inside *in, uint32_t id)
{
	struct inside_context *c;

	LIST_FOREACH (c, &in->contexts, link) {
		if (c->id != id)
			continue;
		LIST_REMOVE(c, link);
		free(c);
		return;
	}
}

/* ---- pages ---- */

void inside_drop_pages(struct inside_resource *res)
{
	free(res->iov);
	gmem_unref(res->mem);
	res->iov = NULL;
	res->mem = NULL;
	res->n_iov = 0;
}

/* ---- shared memory ---- */

void *inside_bytes(struct inside *in, const struct renderer_message *m, int fd)
{
	const struct renderer_bytes *b = &m->bytes;
	void *map;

	if (!(b->at & RENDERER_NOT_IN_RING))
		return in->ring && range_within(b->at, b->size, RENDERER_RING_BYTES)
			? (uint8_t *)in->ring + RENDERER_RING_DATA + b->at
			: NULL;
	map = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

void inside_bytes_done(struct inside *in, const struct renderer_message *m, void *bytes)
{
	(void)in;
	if (bytes && m->bytes.at & RENDERER_NOT_IN_RING)
		munmap(bytes, m->bytes.size);
}

uint32_t inside_buffer(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res = inside_find(in, m->res);
	void *map;

	if (!res || res->buffer.map)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	map = mmap(NULL, m->buffer.size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (map == MAP_FAILED)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	res->buffer.map = map;
	res->buffer.size = m->buffer.size;
	res->buffer.stride = m->buffer.stride;
	return 0;
}

static uint32_t hello(struct inside *in, int fd)
{
	void *map = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	in->ring = map;
	return 0;
}

static uint32_t change_memory(struct inside *in, const struct renderer_message *m, int fd)
{
	const struct gmem_desc desc = {
		m->memory.gpa, m->memory.size, m->memory.gpa, m->memory.offset};
	struct gmem *mem;
	int r = m->what == RENDERER_MEMORY_ADD ? gmem_add(in->mem, &desc, fd, &mem)
					       : gmem_remove(in->mem, &desc, &mem);

	if (r < 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	gmem_unref(in->mem);
	in->mem = mem;
	return 0;
}

/* ---- messages ---- */

static uint32_t run(struct inside *in, inside_handler *const *handlers,
	const struct renderer_message *m, int *fd)
{
	unsigned faults = gmem_faults();
	uint32_t result = VIRTIO_GPU_RESP_ERR_UNSPEC;

	if (m->what == RENDERER_HELLO)
		result = hello(in, *fd);
	else if (m->what == RENDERER_MEMORY_ADD || m->what == RENDERER_MEMORY_REMOVE)
		result = change_memory(in, m, *fd);
	else if (m->what < RENDERER_REQUESTS && handlers[m->what])
		result = handlers[m->what](in, m, fd);
	if (in->ring && m->ring_end)
		__atomic_store_n(&in->ring->consumed, m->ring_end, __ATOMIC_RELEASE);
	return !result && gmem_faults() != faults ? (uint32_t)VIRTIO_GPU_RESP_ERR_UNSPEC : result;
}

/* Polls the library until there is one, or the device is gone. 0 or negative errno. */
static int await_message(const struct inside *in)
{
	struct pollfd fds[] = {
		{.fd = in->sock, .events = POLLIN}, {.fd = in->poll_fd, .events = POLLIN}};

	while (in->poll_fd >= 0 && !fds[0].revents) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			in->library->poll();
	}
	return 0;
}

int inside_turn(struct inside *in, inside_handler *const *handlers,
	void (*fence)(const struct renderer_message *m))
{
	struct renderer_message m;
	_cleanup_fd_ int fd = -1;
	ssize_t n = await_message(in);
	uint32_t result;

	if (n == 0)
		n = part_receive(in->sock, &m, sizeof(m), &fd);
	if (n <= 0)
		return (int)n;
	if (n != sizeof(m))
		return -EPROTO;
	result = run(in, handlers, &m, &fd);
	if (!result && m.fence)
		fence(&m);
	else if (result != INSIDE_ANSWERED)
		inside_answer(in, RENDERER_DONE, m.seq, result);
	return 1;
}
