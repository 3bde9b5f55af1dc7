/* SPDX-License-Identifier: MIT */
#include "buffer.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_gpu.h>
#include <stdlib.h>

enum { MEM_GUEST = 1, MEM_HOST3D = 2, MEM_HOST3D_GUEST = 3, MAPPABLE = 1 };

void buffer_unref(struct buffer *b)
{
	struct virtio_gpu_resource_unref m = {.hdr = card_header(VIRTIO_GPU_CMD_RESOURCE_UNREF, 0),
		.resource_id = htole32(b->id)};
	struct virtio_gpu_resource_unmap_blob u = {
		.hdr = card_header(VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 0),
		.resource_id = htole32(b->id)};

	if (--b->refs)
		return;
	card_wait(b->busy);
	if (b->visible.len)
		card_run(&u, sizeof(u), NULL, 0);
	card_run(&m, sizeof(m), NULL, 0);
	card_window_free(&b->visible);
	card_free(&b->memory);
	free(b);
}

static struct buffer *allocate(uint64_t size, bool memory)
{
	struct buffer *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	*b = (struct buffer){.id = card_new_id(), .size = size, .refs = 1};
	if (memory && card_alloc(&b->memory, size) < 0) {
		free(b);
		return NULL;
	}
	return b;
}

/* One that the device has not heard of. */
static void release(struct buffer *b)
{
	card_free(&b->memory);
	free(b);
}

static struct virtio_gpu_mem_entry entry_of(const struct buffer *b)
{
	return (struct virtio_gpu_mem_entry){.addr = htole64(CARD_MEMORY + b->memory.at),
		.length = htole32((uint32_t)b->memory.len)};
}

static int attach_backing(const struct buffer *b)
{
	struct {
		struct virtio_gpu_resource_attach_backing m;
		struct virtio_gpu_mem_entry e;
	} cmd = {.m = {.hdr = card_header(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 0),
			 .resource_id = htole32(b->id),
			 .nr_entries = htole32(1)},
		.e = entry_of(b)};

	return card_run(&cmd, sizeof(cmd), NULL, 0);
}

int buffer_create(const struct virtgpu_resource_create *a, struct buffer **out)
{
	struct buffer *b = allocate(a->size ? a->size : 1, true);
	struct virtio_gpu_resource_create_3d m = {
		.hdr = card_header(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 0),
		.target = htole32(a->target),
		.format = htole32(a->format),
		.bind = htole32(a->bind),
		.width = htole32(a->width),
		.height = htole32(a->height),
		.depth = htole32(a->depth),
		.array_size = htole32(a->array_size),
		.last_level = htole32(a->last_level),
		.nr_samples = htole32(a->nr_samples),
		.flags = htole32(a->flags)};
	int r;

	if (!b)
		return -ENOMEM;
	m.resource_id = htole32(b->id);
	r = card_run(&m, sizeof(m), NULL, 0);
	if (r < 0) {
		release(b);
		return r;
	}
	r = attach_backing(b);
	if (r < 0)
		buffer_unref(b);
	*out = b;
	return r;
}

/* ---- blobs ---- */

static int show_in_window(struct buffer *b)
{
	struct virtio_gpu_resource_map_blob m = {
		.hdr = card_header(VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, 0),
		.resource_id = htole32(b->id)};
	int r = card_window_alloc(&b->visible, b->size);

	if (r < 0)
		return r;
	m.offset = htole64(b->visible.at);
	r = card_run(&m, sizeof(m), NULL, 0);
	if (r < 0)
		card_window_free(&b->visible);
	return r;
}

static int tell_blob(uint32_t ctx, const struct virtgpu_create_blob *a, const struct buffer *b)
{
	struct {
		struct virtio_gpu_resource_create_blob m;
		struct virtio_gpu_mem_entry e;
	} cmd = {.m = {.hdr = card_header(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, ctx),
			 .resource_id = htole32(b->id),
			 .blob_mem = htole32(a->blob_mem),
			 .blob_flags = htole32(a->blob_flags),
			 .nr_entries = htole32(b->memory.len ? 1 : 0),
			 .blob_id = htole64(a->blob_id),
			 .size = htole64(b->size)},
		.e = entry_of(b)};

	return card_run(&cmd, b->memory.len ? sizeof(cmd) : sizeof(cmd.m), NULL, 0);
}

int buffer_create_blob(uint32_t ctx, const struct virtgpu_create_blob *a, struct buffer **out)
{
	uint64_t size = (a->size + 4095) / 4096 * 4096;
	struct buffer *b;
	int r;

	if (!size || a->blob_mem < MEM_GUEST || a->blob_mem > MEM_HOST3D_GUEST)
		return -EINVAL;
	b = allocate(size, a->blob_mem != MEM_HOST3D);
	if (!b)
		return -ENOMEM;
	b->blob_mem = a->blob_mem;
	r = tell_blob(ctx, a, b);
	if (r < 0) {
		release(b);
		return r;
	}
	if (a->blob_mem == MEM_HOST3D && a->blob_flags & MAPPABLE)
		r = show_in_window(b);
	if (r < 0)
		buffer_unref(b);
	*out = b;
	return r;
}

int buffer_place(const struct buffer *b, uint64_t offset, uint64_t *at)
{
	int fd = -1;

	if (b->visible.len)
		*at = offset + card_window_place(&b->visible, &fd);
	else if (b->memory.len)
		*at = offset + card_place(&b->memory, &fd);
	return fd;
}
