/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The display protocol that QEMU speaks on the socket of VHOST_USER_GPU_SET_SOCKET (QEMU,
 * docs/interop/vhost-user-gpu). The back-end asks and draws, QEMU answers. Native byte order.
 */
#include <assert.h>
#include <stdint.h>

#define VHOST_USER_GPU_REPLY_MASK (1u << 2)

#define VHOST_USER_GPU_PROTOCOL_F_EDID    0
#define VHOST_USER_GPU_PROTOCOL_F_DMABUF2 1

#define VHOST_USER_GPU_CURSOR_SIZE 64 /* pixels a side, always */

enum vhost_user_gpu_request {
	VHOST_USER_GPU_GET_PROTOCOL_FEATURES = 1, // answered with a u64
	VHOST_USER_GPU_SET_PROTOCOL_FEATURES = 2, // u64
	VHOST_USER_GPU_GET_DISPLAY_INFO = 3,      // answered with virtio_gpu_resp_display_info
	VHOST_USER_GPU_CURSOR_POS = 4,            // vhost_user_gpu_cursor_pos
	VHOST_USER_GPU_CURSOR_POS_HIDE = 5,       // vhost_user_gpu_cursor_pos
	VHOST_USER_GPU_CURSOR_UPDATE = 6,         // vhost_user_gpu_cursor_update
	VHOST_USER_GPU_SCANOUT = 7,               // vhost_user_gpu_scanout
	VHOST_USER_GPU_UPDATE = 8,                // vhost_user_gpu_update and x8r8g8b8 pixels
	VHOST_USER_GPU_DMABUF_SCANOUT = 9,        // vhost_user_gpu_dmabuf_scanout, a descriptor
	VHOST_USER_GPU_DMABUF_UPDATE = 10, // vhost_user_gpu_update; answered with nothing when seen
	VHOST_USER_GPU_GET_EDID = 11,      // vhost_user_gpu_edid_request, virtio_gpu_resp_edid
	VHOST_USER_GPU_DMABUF_SCANOUT2 = 12, // vhost_user_gpu_dmabuf_scanout2, a descriptor
};

struct vhost_user_gpu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; // of the payload, in bytes
};

struct vhost_user_gpu_cursor_pos {
	uint32_t scanout_id, x, y;
};

struct vhost_user_gpu_cursor_update {
	struct vhost_user_gpu_cursor_pos pos;
	uint32_t hot_x, hot_y;
	uint32_t data[VHOST_USER_GPU_CURSOR_SIZE * VHOST_USER_GPU_CURSOR_SIZE]; // a8r8g8b8
};

struct vhost_user_gpu_scanout {
	uint32_t scanout_id, width, height; // 0 x 0 switches it off
};

struct vhost_user_gpu_update {
	uint32_t scanout_id, x, y, width, height;
	// width * height * 4 bytes of pixels follow
};

/* Without a descriptor: it is not shown any more. */
struct vhost_user_gpu_dmabuf_scanout {
	uint32_t scanout_id, x, y, width, height;
	uint32_t fd_width, fd_height, fd_stride;
	uint32_t fd_flags; // VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP
	int32_t fd_drm_fourcc;
};

/* With VHOST_USER_GPU_PROTOCOL_F_DMABUF2. */
struct vhost_user_gpu_dmabuf_scanout2 {
	struct vhost_user_gpu_dmabuf_scanout scanout;
	uint64_t modifier;
};

struct vhost_user_gpu_edid_request {
	uint32_t scanout_id;
};

static_assert(sizeof(struct vhost_user_gpu_header) == 12, "12 bytes on the wire");
static_assert(sizeof(struct vhost_user_gpu_cursor_update) == 20 + 64 * 64 * 4, "wire size");
static_assert(sizeof(struct vhost_user_gpu_update) == 20, "20 bytes on the wire");
static_assert(sizeof(struct vhost_user_gpu_dmabuf_scanout) == 40, "40 bytes on the wire");
static_assert(sizeof(struct vhost_user_gpu_dmabuf_scanout2) == 48, "48 bytes on the wire");
