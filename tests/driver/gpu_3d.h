/* SPDX-License-Identifier: MIT */
#pragma once
/* The commands of 3D for the driver of gpu.h, and the few words of virgl's protocol that tests say. */
#include "gpu.h"

/* A texture of one level and one layer; `bind`, `flags`: virgl's. */
struct gpu_driver_texture {
	uint32_t target, format, bind, width, height, depth, array_size, last_level, nr_samples;
	uint32_t flags;
};

enum { VIRGL_2D = 2, VIRGL_RENDER_TARGET = 2, VIRGL_SAMPLER = 8, VIRGL_Y_0_TOP = 1 };

#define VIRGL_PICTURE(fourth, w, h)                                                                \
	((struct gpu_driver_texture){.target = VIRGL_2D,                                           \
		.format = (fourth),                                                                \
		.bind = VIRGL_RENDER_TARGET | VIRGL_SAMPLER,                                       \
		.width = (w),                                                                      \
		.height = (h),                                                                     \
		.depth = 1,                                                                        \
		.array_size = 1})

int gpu_driver_ctx_create(struct gpu_driver *d, uint32_t ctx);
int gpu_driver_ctx_destroy(struct gpu_driver *d, uint32_t ctx);
int gpu_driver_ctx_attach(struct gpu_driver *d, uint32_t ctx, uint32_t id);
int gpu_driver_ctx_detach(struct gpu_driver *d, uint32_t ctx, uint32_t id);
int gpu_driver_create_3d(struct gpu_driver *d, uint32_t id, struct gpu_driver_texture t);

/* Both ways; the first level, all of a rectangle, rows of `stride` bytes from `offset` on. */
int gpu_driver_transfer_3d(
	struct gpu_driver *d, uint32_t type, uint32_t ctx, uint32_t id, struct virtio_gpu_rect r);

/* The command as bytes; returns its length. `fence` 0: none. */
size_t gpu_driver_stream(
	uint8_t *to, uint32_t ctx, uint64_t fence, const uint32_t *words, uint32_t n);
int gpu_driver_submit_3d(struct gpu_driver *d, uint32_t ctx, const uint32_t *words, uint32_t n);

/* A stream that clears all of a resource to a colour 0xRRGGBB. Returns how many words. */
enum { VIRGL_CLEAR_WORDS = 24 };
uint32_t virgl_clear(
	uint32_t words[VIRGL_CLEAR_WORDS], uint32_t id, uint32_t format, uint32_t colour);

/*
 * A stream that counts what so many of those clears draw, and asks for the number, which may come later: in
 * `query`, a resource of VIRGL_QUERY. Returns how many words.
 */
enum { VIRGL_COUNT_WORDS = 12, VIRGL_QUERY_DONE = 1 };
#define VIRGL_QUERY                                                                                \
	((struct gpu_driver_texture){.format = 64,                                                 \
		.bind = 1 << 17,                                                                   \
		.width = 16,                                                                       \
		.height = 1,                                                                       \
		.depth = 1,                                                                        \
		.array_size = 1})
uint32_t virgl_count_clears(
	uint32_t *words, uint32_t clears, uint32_t id, uint32_t format, uint32_t query);

/* The header of a GET_CAPSET; its response is in d->resp. */
int gpu_driver_capset(struct gpu_driver *d, uint32_t id, uint32_t version);
