/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The commands of blobs (VIRTIO 1.3, 5.7.6.8): resources that are plain bytes. The guest's own are shown
 * where they lie; those of the renderer are mapped into the window that the front-end lets the driver
 * see, and shown from there.
 */
#include "device.h"

/* For the command table. */
void gpu_blob_create(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_blob_set_scanout(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_blob_map(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_blob_unmap(struct gpu_device *gpu, struct gpu_cmd *cmd);

/* Brings what a scanout shows up to date where it is no view. */
void gpu_blob_refresh(const struct gpu_scanout *s, const struct gpu_rect *rect);

/* The cursor that lies in the guest's pages, owned by the caller. */
uint32_t gpu_blob_cursor(struct gpu_device *gpu, struct gpu_resource *res, struct dbuf **out);

/* The resource is about to be destroyed: the driver does not see it any more. */
void gpu_blob_forget(struct gpu_device *gpu, struct gpu_resource *res);

/* What the front-end answers; see struct vhu_device. */
void gpu_blob_answered(void *dev, uint32_t ticket, int result);

/* Ends what waits for the front-end: the queue stops. */
void gpu_blob_release(struct gpu_device *gpu);
