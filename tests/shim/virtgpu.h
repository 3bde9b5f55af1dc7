/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What Linux's virtio-gpu driver takes from Mesa (its ioctls of 6.12), as far as libdrm's headers of
 * Debian 12 lack it.
 */
#include <stdint.h>

enum virtgpu_ioctl {
	VIRTGPU_MAP = 0x41,
	VIRTGPU_EXECBUFFER,
	VIRTGPU_GETPARAM,
	VIRTGPU_RESOURCE_CREATE,
	VIRTGPU_RESOURCE_INFO,
	VIRTGPU_TRANSFER_FROM_HOST,
	VIRTGPU_TRANSFER_TO_HOST,
	VIRTGPU_WAIT,
	VIRTGPU_GET_CAPS,
	VIRTGPU_RESOURCE_CREATE_BLOB,
	VIRTGPU_CONTEXT_INIT,
};

struct virtgpu_map {
	uint64_t offset;
	uint32_t handle, pad;
};

enum { VIRTGPU_FENCE_FD_IN = 1, VIRTGPU_FENCE_FD_OUT = 2, VIRTGPU_RING_IDX = 4 };

struct virtgpu_execbuffer {
	uint32_t flags, size;
	uint64_t command, bo_handles;
	uint32_t num_bo_handles;
	int32_t fence_fd;
	uint32_t ring_idx, pad;
};

enum virtgpu_param {
	VIRTGPU_3D_FEATURES = 1,
	VIRTGPU_CAPSET_QUERY_FIX,
	VIRTGPU_RESOURCE_BLOB,
	VIRTGPU_HOST_VISIBLE,
	VIRTGPU_CROSS_DEVICE,
	VIRTGPU_HAS_CONTEXT_INIT,
	VIRTGPU_SUPPORTED_CAPSETS, // a mask of their ids
};

struct virtgpu_getparam {
	uint64_t param, value; // a pointer to an int
};

struct virtgpu_resource_create {
	uint32_t target, format, bind, width, height, depth, array_size, last_level, nr_samples,
		flags, bo_handle, res_handle, size, stride;
};

struct virtgpu_resource_info {
	uint32_t bo_handle, res_handle, size, blob_mem;
};

struct virtgpu_transfer {
	uint32_t bo_handle, x, y, z, w, h, d, level, offset, stride, layer_stride;
};

enum { VIRTGPU_NOWAIT = 1 };

struct virtgpu_wait {
	uint32_t handle, flags;
};

struct virtgpu_get_caps {
	uint32_t cap_set_id, cap_set_ver;
	uint64_t addr;
	uint32_t size, pad;
};

struct virtgpu_create_blob {
	uint32_t blob_mem, blob_flags, bo_handle, res_handle;
	uint64_t size;
	uint32_t pad, cmd_size;
	uint64_t cmd, blob_id;
};

enum { VIRTGPU_CONTEXT_CAPSET = 1, VIRTGPU_CONTEXT_RINGS, VIRTGPU_CONTEXT_POLLED };

struct virtgpu_context_param {
	uint64_t param, value;
};

struct virtgpu_context_init {
	uint32_t num_params, pad;
	uint64_t ctx_set_params;
};
