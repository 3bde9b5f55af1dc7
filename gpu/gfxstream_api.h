/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The stable C interface of libgfxstream_backend.so.0 (0.1.2), in words of our own and as far as it is used
 * here. Functions are named in the library as in GFXSTREAM_FUNCTIONS, with GFXSTREAM_PREFIX in front; an int
 * is 0 or negative errno.
 */
#include <stdint.h>
#include <sys/uio.h>

#define GFXSTREAM_LIBRARY "libgfxstream_backend.so.0"
#define GFXSTREAM_PREFIX  "stream_renderer_"

enum gfxstream_capset { GFXSTREAM_CAPSET_VULKAN = 3 };

/* What init() is told: pairs of a key and a number or pointer. The first three have to be there. */
enum gfxstream_key {
	GFXSTREAM_USER_DATA = 1,
	GFXSTREAM_FLAGS,
	GFXSTREAM_FENCE_CALLBACK,
	GFXSTREAM_WIDTH,
	GFXSTREAM_HEIGHT,
	GFXSTREAM_DEBUG_CALLBACK,
};

enum gfxstream_flag {
	GFXSTREAM_SURFACELESS = 1 << 3,
	GFXSTREAM_VULKAN = 1 << 5,
	GFXSTREAM_EXTERNAL_BLOB = 1 << 6, // blobs are exported and not mapped by the library
	GFXSTREAM_SYSTEM_BLOB = 1 << 7,   // and are plain shared memory
};

struct gfxstream_param {
	uint64_t key, value;
};

struct gfxstream_resource {
	uint32_t handle, target, format, bind, width, height, depth, array_size, last_level,
		nr_samples, flags;
};

struct gfxstream_box {
	uint32_t x, y, z, w, h, d;
};

enum { GFXSTREAM_FENCE = 1 << 0, GFXSTREAM_FENCE_RING = 1 << 1 };

struct gfxstream_fence {
	uint32_t flags;
	uint64_t id;
	uint32_t ctx;
	uint8_t ring; // with GFXSTREAM_FENCE_RING
};

/* Called from any thread, also while create_fence() runs, and never to call the library from. */
typedef void gfxstream_fence_callback(void *user_data, struct gfxstream_fence *fence);

enum { GFXSTREAM_SAYS_ERROR = 1, GFXSTREAM_SAYS_WARNING };

struct gfxstream_words {
	uint32_t level;
	const char *text;
};

typedef void gfxstream_debug_callback(void *user_data, struct gfxstream_words *words);

enum gfxstream_handle_type {
	GFXSTREAM_OPAQUE_FD = 1,
	GFXSTREAM_DMABUF,
	GFXSTREAM_SHM = 4,
};

struct gfxstream_handle {
	int64_t fd;
	uint32_t type;
};

struct gfxstream_command {
	uint32_t ctx, size; // bytes
	uint8_t *bytes;
	uint32_t n_fences; // to wait for
	struct gfxstream_handle *fences;
};

struct gfxstream_blob {
	uint32_t mem, flags; // VIRTIO_GPU_BLOB_*
	uint64_t id, size;
};

/* F(result, name, parameters) for each. */
#define GFXSTREAM_FUNCTIONS(F)                                                                     \
	F(int, init, (struct gfxstream_param * params, uint64_t n))                                \
	F(void, teardown, (void))                                                                  \
	F(void, get_cap_set, (uint32_t id, uint32_t * max_version, uint32_t * size))               \
	F(void, fill_caps, (uint32_t id, uint32_t version, void *caps))                            \
	F(int, context_create, (uint32_t ctx, uint32_t len, const char *name, uint32_t init))      \
	F(void, context_destroy, (uint32_t ctx))                                                   \
	F(void, ctx_attach_resource, (int ctx, int res))                                           \
	F(void, ctx_detach_resource, (int ctx, int res))                                           \
	F(int, submit_cmd, (struct gfxstream_command * cmd))                                       \
	F(int, create_fence, (const struct gfxstream_fence *fence))                                \
	F(int, resource_create,                                                                    \
		(struct gfxstream_resource * args, struct iovec * iov, uint32_t n))                \
	F(void, resource_unref, (uint32_t res))                                                    \
	F(int, resource_attach_iov, (int res, struct iovec *iov, int n))                           \
	F(void, resource_detach_iov, (int res, struct iovec **iov, int *n))                        \
	F(int, transfer_read_iov,                                                                  \
		(uint32_t res, uint32_t ctx, uint32_t level, uint32_t stride,                      \
			uint32_t layer_stride, struct gfxstream_box * box, uint64_t offset,        \
			struct iovec * iov, int n))                                                \
	F(int, transfer_write_iov,                                                                 \
		(uint32_t res, uint32_t ctx, int level, uint32_t stride, uint32_t layer_stride,    \
			struct gfxstream_box *box, uint64_t offset, struct iovec *iov,             \
			unsigned n))                                                               \
	F(int, create_blob,                                                                        \
		(uint32_t ctx, uint32_t res, const struct gfxstream_blob *blob,                    \
			const struct iovec *iov, uint32_t n,                                       \
			const struct gfxstream_handle *handle))                                    \
	F(int, export_blob, (uint32_t res, struct gfxstream_handle * handle))                      \
	F(int, resource_map_info, (uint32_t res, uint32_t * map_info))
