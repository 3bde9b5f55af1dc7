/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The commands of 3D (VIRTIO 1.3, 5.7.6.8 and on), and what those of 2D have to say to the renderer. All
 * is checked here; then it goes to the renderer, whose answer ends the command.
 */
#include "device.h"

struct renderer_dmabuf;

/* For the command table. There is a renderer when they are called. */
void gpu_3d_get_capset_info(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_get_capset(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_ctx_create(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_ctx_destroy(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_ctx_resource(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_create(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_transfer(struct gpu_device *gpu, struct gpu_cmd *cmd);
void gpu_3d_submit(struct gpu_device *gpu, struct gpu_cmd *cmd);

/* RESOURCE_CREATE_BLOB of memory of the renderer's. */
void gpu_3d_create_blob(struct gpu_device *gpu, struct gpu_cmd *cmd);
/* Asks for the bytes of a blob: done() finds them in its renderer's `exported`, or an error. */
void gpu_3d_export(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res,
	void (*done)(struct gpu_cmd *cmd, uint32_t err));

/* For a resource that the renderer has. Each ends the command, now or later. */
void gpu_3d_unref(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res);
void gpu_3d_attach(struct gpu_cmd *cmd, struct gpu_resource *res);
void gpu_3d_detach(struct gpu_cmd *cmd, struct gpu_resource *res);
/* Brings what has changed into the buffer, then shows it. */
void gpu_3d_flush(struct gpu_cmd *cmd, struct gpu_resource *res);
void gpu_3d_cursor(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res);

/* A 2D transfer has changed this rectangle. */
void gpu_3d_upload(struct gpu_resource *res, const struct gpu_rect *rect);

/* The resource is going to be shown. 0 or a VIRTIO_GPU_RESP_ERR_*. */
uint32_t gpu_3d_show(struct gpu_device *gpu, struct gpu_resource *res);

void gpu_3d_reset(struct gpu_device *gpu);
void gpu_3d_memory(struct gpu_device *gpu, struct gmem *mem);
/* Says in the log how many frames were copied since it was last said. */
void gpu_3d_tell_copies(struct gpu_device *gpu);
/* It answers with a dmabuf, whatever it may be; *fd is taken, or left. */
void gpu_3d_dmabuf(struct gpu_device *gpu, const struct remote *renderer,
	const struct renderer_dmabuf *d, int *fd);
/* This renderer died. */
void gpu_3d_lost(struct gpu_device *gpu, const struct remote *renderer);
/* Of all renderers together. */
uint32_t gpu_3d_count_capsets(const struct gpu_device *gpu);

/* What device_3d.c (the commands) and show_3d.c (what is shown) share. */
struct renderer_message;

/* The VIRTIO_GPU_RESP_ERR_* of what could not be asked. */
uint32_t gpu_3d_error(int err);
/* Asks, and nobody waits. What cannot be said to a renderer that is there would be missing later. */
void gpu_3d_tell(struct remote *renderer, struct renderer_message *m, int fd);
/* A resource that was there when the command was sent, and is still. */
struct gpu_resource *gpu_3d_find_again(struct gpu_cmd *cmd);
/* The renderer is given the buffer that the resource is shown from. */
void gpu_3d_tell_buffer(struct gpu_resource *res);
