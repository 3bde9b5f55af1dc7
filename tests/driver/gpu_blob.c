/* SPDX-License-Identifier: MIT */
#include "gpu_blob.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct virtio_gpu_ctrl_hdr header(uint32_t type, uint32_t ctx)
{
	return (struct virtio_gpu_ctrl_hdr){.type = htole32(type), .ctx_id = htole32(ctx)};
}

int gpu_driver_create_blob(struct gpu_driver *d, uint32_t ctx, struct gpu_driver_blob b)
{
	struct virtio_gpu_resource_create_blob m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, ctx),
		.resource_id = htole32(b.id),
		.blob_mem = htole32(b.mem),
		.blob_flags = htole32(b.flags),
		.nr_entries = htole32(b.n),
		.blob_id = htole64(b.blob_id),
		.size = htole64(b.size),
	};
	size_t entries = b.entries ? b.n * sizeof(*b.entries) : 0;
	uint8_t *buf = malloc(sizeof(m) + entries);
	int r;

	if (!buf)
		return -ENOMEM;
	memcpy(buf, &m, sizeof(m));
	if (entries)
		memcpy(buf + sizeof(m), b.entries, entries);
	r = gpu_driver_run(d, buf, sizeof(m) + entries);
	free(buf);
	return r;
}

int gpu_driver_map_blob(struct gpu_driver *d, uint32_t id, uint64_t offset)
{
	struct virtio_gpu_resource_map_blob m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, 0),
		.resource_id = htole32(id),
		.offset = htole64(offset),
	};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_unmap_blob(struct gpu_driver *d, uint32_t id)
{
	struct virtio_gpu_resource_unmap_blob m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 0), .resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_set_scanout_blob(struct gpu_driver *d, uint32_t scanout, uint32_t id,
	struct virtio_gpu_rect r, struct gpu_driver_layout l)
{
	struct virtio_gpu_set_scanout_blob m = {
		.hdr = header(VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, 0),
		.r = {htole32(r.x), htole32(r.y), htole32(r.width), htole32(r.height)},
		.scanout_id = htole32(scanout),
		.resource_id = htole32(id),
		.width = htole32(l.width),
		.height = htole32(l.height),
		.format = htole32(l.format),
	};

	m.strides[0] = htole32(l.stride);
	m.offsets[0] = htole32(l.offset);
	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_ctx_init(struct gpu_driver *d, uint32_t ctx, uint32_t capset)
{
	struct virtio_gpu_ctx_create m = {
		.hdr = header(VIRTIO_GPU_CMD_CTX_CREATE, ctx), .context_init = htole32(capset)};

	return gpu_driver_run(d, &m, sizeof(m));
}
