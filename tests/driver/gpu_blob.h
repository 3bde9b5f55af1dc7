/* SPDX-License-Identifier: MIT */
#pragma once
/* The commands of blobs for the driver of gpu.h. */
#include "gpu.h"

struct gpu_driver_blob {
	uint32_t id, mem, flags;
	uint64_t blob_id, size;
	const struct virtio_gpu_mem_entry *entries;
	uint32_t n;
};

struct gpu_driver_layout {
	uint32_t width, height, format, stride, offset;
};

int gpu_driver_create_blob(struct gpu_driver *d, uint32_t ctx, struct gpu_driver_blob b);
int gpu_driver_map_blob(struct gpu_driver *d, uint32_t id, uint64_t offset);
int gpu_driver_unmap_blob(struct gpu_driver *d, uint32_t id);
int gpu_driver_set_scanout_blob(struct gpu_driver *d, uint32_t scanout, uint32_t id,
	struct virtio_gpu_rect r, struct gpu_driver_layout l);

/* A context whose commands are of this capability set. */
int gpu_driver_ctx_init(struct gpu_driver *d, uint32_t ctx, uint32_t capset);
