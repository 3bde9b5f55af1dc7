/* SPDX-License-Identifier: MIT */
#pragma once
/* What VIRTIO 1.4 (5.7) has beyond <linux/virtio_gpu.h> of Linux 6.1. No functions here. */
#include <linux/types.h>

/* virtio_gpu_space.blob_alignment is valid. With VIRTIO_GPU_F_RESOURCE_BLOB only. */
#ifndef VIRTIO_GPU_F_BLOB_ALIGNMENT
#define VIRTIO_GPU_F_BLOB_ALIGNMENT 5
#endif

/* The configuration space: struct virtio_gpu_config and what came later. */
struct virtio_gpu_space {
	__le32 events_read;
	__le32 events_clear;
	__le32 num_scanouts;
	__le32 num_capsets;
	__le32 blob_alignment; // bytes, a power of 2: of sizes of blobs, and of places in the window
};
