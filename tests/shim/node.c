/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "node.h"

#include <drm.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_gpu.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "buffer.h"
#include "card.h"
#include "virtgpu.h"

enum { HANDLES_MAX = 65536, ARGUMENT_MAX = 256, STREAM_MAX = 4 << 20 };

struct node {
	uint32_t ctx; // 0: none yet
	uint32_t n_handles;
	struct buffer *buffers[HANDLES_MAX]; // by handle - 1
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of handles and references

static bool has(unsigned feature)
{
	return card()->features >> feature & 1;
}

/* ---- contexts ---- */

static int make_context(struct node *n, uint32_t capset)
{
	struct virtio_gpu_ctx_create m = {
		.nlen = htole32(4), .context_init = htole32(capset), .debug_name = "shim"};
	uint32_t id = card_new_id();
	int r;

	m.hdr = card_header(VIRTIO_GPU_CMD_CTX_CREATE, id);
	r = card_run(&m, sizeof(m), NULL, 0);
	if (r == 0)
		n->ctx = id;
	return r;
}

static int need_context(struct node *n)
{
	return n->ctx ? 0 : make_context(n, 0);
}

static int context_init(struct node *n, void *arg)
{
	const struct virtgpu_context_init *a = arg;
	const struct virtgpu_context_param *p = (const void *)(uintptr_t)a->ctx_set_params;
	uint32_t capset = 0;

	if (!has(VIRTIO_GPU_F_CONTEXT_INIT) || a->num_params > 8)
		return -EINVAL;
	if (n->ctx)
		return -EEXIST;
	for (uint32_t i = 0; i < a->num_params; i++)
		if (p[i].param == VIRTGPU_CONTEXT_CAPSET)
			capset = (uint32_t)p[i].value;
	return make_context(n, capset);
}

static int ctx_resource(const struct node *n, const struct buffer *b, uint32_t type)
{
	struct virtio_gpu_ctx_resource m = {
		.hdr = card_header(type, n->ctx), .resource_id = htole32(b->id)};

	return card_run(&m, sizeof(m), NULL, 0);
}

/* ---- buffers ---- */

static struct buffer *find(struct node *n, uint32_t handle)
{
	return handle && handle <= HANDLES_MAX ? n->buffers[handle - 1] : NULL;
}

/* A handle for it, which takes its reference over; it becomes known to the context. */
static int open_handle(struct node *n, struct buffer *b, uint32_t *handle)
{
	uint32_t i = 0;
	int r;

	while (i < HANDLES_MAX && n->buffers[i] && n->buffers[i] != b)
		i++;
	r = i < HANDLES_MAX ? need_context(n) : -ENOSPC;
	if (r == 0 && n->buffers[i] != b)
		r = ctx_resource(n, b, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE);
	if (r < 0 || n->buffers[i] == b)
		buffer_unref(b);
	if (r < 0)
		return r;
	n->buffers[i] = b;
	*handle = i + 1;
	return 0;
}

static int gem_close(struct node *n, void *arg)
{
	const struct drm_gem_close *a = arg;
	struct buffer *b = find(n, a->handle);

	if (!b)
		return -EINVAL;
	n->buffers[a->handle - 1] = NULL;
	card_wait(b->busy);
	ctx_resource(n, b, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE);
	buffer_unref(b);
	return 0;
}

static int resource_create(struct node *n, void *arg)
{
	struct virtgpu_resource_create *a = arg;
	struct buffer *b;
	int r = buffer_create(a, &b);

	if (r < 0)
		return r;
	a->res_handle = b->id;
	return open_handle(n, b, &a->bo_handle);
}

/* ---- commands of the context ---- */

static int submit(
	struct node *n, const void *stream, uint32_t size, int ring, int event, uint64_t *seq)
{
	uint8_t *m =
		size <= STREAM_MAX ? malloc(sizeof(struct virtio_gpu_cmd_submit) + size) : NULL;
	struct virtio_gpu_cmd_submit cmd = {.hdr = card_header(VIRTIO_GPU_CMD_SUBMIT_3D, n->ctx)};
	int r;

	if (!m)
		return -ENOMEM;
	if (ring >= 0) {
		cmd.hdr.flags = htole32(VIRTIO_GPU_FLAG_INFO_RING_IDX);
		cmd.hdr.ring_idx = (uint8_t)ring;
	}
	cmd.size = htole32(size);
	memcpy(m, &cmd, sizeof(cmd));
	memcpy(m + sizeof(cmd), stream, size);
	r = card_fence(m, sizeof(cmd) + size, event, seq);
	free(m);
	return r;
}

static void wait_for_event(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

static int execbuffer(struct node *n, void *arg)
{
	struct virtgpu_execbuffer *a = arg;
	const uint32_t *handles = (const void *)(uintptr_t)a->bo_handles;
	int ring = a->flags & VIRTGPU_RING_IDX ? (int)a->ring_idx : -1;
	int event = -1, out = -1, r = need_context(n);
	uint64_t seq;

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < a->num_bo_handles; i++)
		if (!find(n, handles[i]))
			return -ENOENT;
	if (a->flags & VIRTGPU_FENCE_FD_IN)
		wait_for_event(a->fence_fd);
	if (a->flags & VIRTGPU_FENCE_FD_OUT) {
		out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		event = dup(out);
		a->fence_fd = out;
	}
	r = submit(n, (const void *)(uintptr_t)a->command, a->size, ring, event, &seq);
	for (uint32_t i = 0; r == 0 && i < a->num_bo_handles; i++)
		find(n, handles[i])->busy = seq;
	if (r < 0 && out >= 0)
		close(out);
	return r;
}

static int transfer(struct node *n, const struct virtgpu_transfer *a, uint32_t type)
{
	struct buffer *b = find(n, a->bo_handle);
	struct virtio_gpu_transfer_host_3d m = {.hdr = card_header(type, n->ctx),
		.box = {htole32(a->x), htole32(a->y), htole32(a->z), htole32(a->w), htole32(a->h),
			htole32(a->d)},
		.offset = htole64(a->offset),
		.level = htole32(a->level),
		.stride = htole32(a->stride),
		.layer_stride = htole32(a->layer_stride)};

	if (!b)
		return -ENOENT;
	m.resource_id = htole32(b->id);
	return card_fence(&m, sizeof(m), -1, &b->busy);
}

static int transfer_to_host(struct node *n, void *arg)
{
	return transfer(n, arg, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D);
}

static int transfer_from_host(struct node *n, void *arg)
{
	return transfer(n, arg, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D);
}

static int wait_buffer(struct node *n, void *arg)
{
	const struct virtgpu_wait *a = arg;
	struct buffer *b = find(n, a->handle);

	if (!b)
		return -ENOENT;
	if (a->flags & VIRTGPU_NOWAIT)
		return card_is_done(b->busy) ? 0 : -EBUSY;
	card_wait(b->busy);
	return 0;
}

static int create_blob(struct node *n, void *arg)
{
	struct virtgpu_create_blob *a = arg;
	struct buffer *b;
	uint64_t seq;
	int r = has(VIRTIO_GPU_F_RESOURCE_BLOB) ? need_context(n) : -EINVAL;

	if (r == 0 && a->cmd_size)
		r = submit(n, (const void *)(uintptr_t)a->cmd, a->cmd_size, -1, -1, &seq);
	if (r == 0)
		r = buffer_create_blob(n->ctx, a, &b);
	if (r < 0)
		return r;
	a->res_handle = b->id;
	return open_handle(n, b, &a->bo_handle);
}

/* ---- sharing and mapping ---- */

static int map(struct node *n, void *arg)
{
	struct virtgpu_map *a = arg;

	if (!find(n, a->handle))
		return -ENOENT;
	a->offset = (uint64_t)a->handle << 32;
	return 0;
}

int node_place(struct node *n, uint64_t offset, uint64_t *at)
{
	const struct buffer *b = find(n, (uint32_t)(offset >> 32));

	return b ? buffer_place(b, offset & UINT32_MAX, at) : -1;
}

static int handle_to_fd(struct node *n, void *arg)
{
	struct drm_prime_handle *a = arg;
	struct buffer *b = find(n, a->handle);

	if (!b)
		return -ENOENT;
	a->fd = drm_share(b, b->size);
	if (a->fd < 0)
		return a->fd;
	b->refs++;
	return 0;
}

static int fd_to_handle(struct node *n, void *arg)
{
	struct drm_prime_handle *a = arg;
	struct buffer *b = drm_shared(a->fd);

	if (!b)
		return -EINVAL;
	b->refs++;
	return open_handle(n, b, &a->handle);
}

/* ---- questions ---- */

/* As much of it as there is room for, and how long it is. */
static void put_text(char *to, size_t *len, const char *text)
{
	size_t all = strlen(text);

	if (to)
		memcpy(to, text, *len < all ? *len : all);
	*len = all;
}

static int version(struct node *n, void *arg)
{
	struct drm_version *v = arg;

	(void)n;
	v->version_major = 0;
	v->version_minor = 1;
	v->version_patchlevel = 0;
	put_text(v->name, &v->name_len, "virtio_gpu");
	put_text(v->date, &v->date_len, "0");
	put_text(v->desc, &v->desc_len, "virtio GPU");
	return 0;
}

static int get_cap(struct node *n, void *arg)
{
	struct drm_get_cap *a = arg;

	(void)n;
	a->value = a->capability == DRM_CAP_PRIME ? DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT : 0;
	return 0;
}

static int getparam(struct node *n, void *arg)
{
	const struct virtgpu_getparam *a = arg;
	int *value = (void *)(uintptr_t)a->value;
	int capsets = 0;

	(void)n;
	for (uint32_t i = 0; i < card()->n_capsets; i++)
		capsets |= 1 << card()->capsets[i].id;
	switch (a->param) {
	case VIRTGPU_3D_FEATURES:
		*value = has(VIRTIO_GPU_F_VIRGL);
		return 0;
	case VIRTGPU_CAPSET_QUERY_FIX:
		*value = 1;
		return 0;
	case VIRTGPU_RESOURCE_BLOB:
		*value = has(VIRTIO_GPU_F_RESOURCE_BLOB);
		return 0;
	case VIRTGPU_HOST_VISIBLE:
		*value = card()->window != 0;
		return 0;
	case VIRTGPU_CROSS_DEVICE:
		*value = has(VIRTIO_GPU_F_RESOURCE_UUID);
		return 0;
	case VIRTGPU_HAS_CONTEXT_INIT:
		*value = has(VIRTIO_GPU_F_CONTEXT_INIT);
		return 0;
	case VIRTGPU_SUPPORTED_CAPSETS:
		*value = capsets;
		return 0;
	default:
		return -EINVAL;
	}
}

static int get_caps(struct node *n, void *arg)
{
	static uint8_t answer[16384];
	const struct virtgpu_get_caps *a = arg;
	struct virtio_gpu_get_capset m = {.hdr = card_header(VIRTIO_GPU_CMD_GET_CAPSET, 0),
		.capset_id = htole32(a->cap_set_id),
		.capset_version = htole32(a->cap_set_ver)};
	const struct card_capset *c = card()->capsets, *end = c + card()->n_capsets;
	int r;

	(void)n;
	while (c < end && (c->id != a->cap_set_id || c->max_version < a->cap_set_ver))
		c++;
	if (c == end || c->size > sizeof(answer) - sizeof(m.hdr))
		return -EINVAL;
	r = card_run(&m, sizeof(m), answer, sizeof(m.hdr) + c->size);
	if (r == 0)
		memcpy((void *)(uintptr_t)a->addr, answer + sizeof(m.hdr),
			a->size < c->size ? a->size : c->size);
	return r;
}

static int resource_info(struct node *n, void *arg)
{
	struct virtgpu_resource_info *a = arg;
	const struct buffer *b = find(n, a->bo_handle);

	if (!b)
		return -ENOENT;
	a->res_handle = b->id;
	a->size = (uint32_t)b->size;
	a->blob_mem = b->blob_mem;
	return 0;
}

/* ---- the table ---- */

static const struct {
	unsigned nr;
	int (*run)(struct node *n, void *arg);
	bool waits; // without the lock
} ioctls[] = {
	{_IOC_NR(DRM_IOCTL_VERSION), version},
	{_IOC_NR(DRM_IOCTL_GEM_CLOSE), gem_close},
	{_IOC_NR(DRM_IOCTL_GET_CAP), get_cap},
	{_IOC_NR(DRM_IOCTL_PRIME_HANDLE_TO_FD), handle_to_fd},
	{_IOC_NR(DRM_IOCTL_PRIME_FD_TO_HANDLE), fd_to_handle},
	{VIRTGPU_MAP, map},
	{VIRTGPU_EXECBUFFER, execbuffer},
	{VIRTGPU_GETPARAM, getparam},
	{VIRTGPU_RESOURCE_CREATE, resource_create},
	{VIRTGPU_RESOURCE_INFO, resource_info},
	{VIRTGPU_TRANSFER_FROM_HOST, transfer_from_host},
	{VIRTGPU_TRANSFER_TO_HOST, transfer_to_host},
	{VIRTGPU_WAIT, wait_buffer, true},
	{VIRTGPU_GET_CAPS, get_caps},
	{VIRTGPU_RESOURCE_CREATE_BLOB, create_blob},
	{VIRTGPU_CONTEXT_INIT, context_init},
};

/* As the kernel does it: an argument that is shorter or longer than ours is none the worse. */
int node_ioctl(struct node *n, unsigned long request, void *arg)
{
	uint8_t copy[ARGUMENT_MAX] = {0};
	size_t size = _IOC_SIZE(request), i = 0;
	int r;

	while (i < sizeof(ioctls) / sizeof(ioctls[0]) && ioctls[i].nr != _IOC_NR(request))
		i++;
	if (i == sizeof(ioctls) / sizeof(ioctls[0]) || size > sizeof(copy))
		return -EOPNOTSUPP;
	memcpy(copy, arg, size);
	if (!ioctls[i].waits)
		pthread_mutex_lock(&lock);
	r = ioctls[i].run(n, copy);
	if (!ioctls[i].waits)
		pthread_mutex_unlock(&lock);
	memcpy(arg, copy, size);
	return r;
}

struct node *node_open(void)
{
	return card() ? calloc(1, sizeof(struct node)) : NULL;
}
