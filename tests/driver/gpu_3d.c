/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "gpu_3d.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct virtio_gpu_ctrl_hdr header(uint32_t type, uint32_t ctx)
{
	return (struct virtio_gpu_ctrl_hdr){.type = htole32(type), .ctx_id = htole32(ctx)};
}

int gpu_driver_ctx_create(struct gpu_driver *d, uint32_t ctx)
{
	struct virtio_gpu_ctx_create m = {.hdr = header(VIRTIO_GPU_CMD_CTX_CREATE, ctx),
		.nlen = htole32(4),
		.debug_name = "test"};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_ctx_destroy(struct gpu_driver *d, uint32_t ctx)
{
	struct virtio_gpu_ctrl_hdr m = header(VIRTIO_GPU_CMD_CTX_DESTROY, ctx);

	return gpu_driver_run(d, &m, sizeof(m));
}

static int ctx_resource(struct gpu_driver *d, uint32_t type, uint32_t ctx, uint32_t id)
{
	struct virtio_gpu_ctx_resource m = {.hdr = header(type, ctx), .resource_id = htole32(id)};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_ctx_attach(struct gpu_driver *d, uint32_t ctx, uint32_t id)
{
	return ctx_resource(d, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx, id);
}

int gpu_driver_ctx_detach(struct gpu_driver *d, uint32_t ctx, uint32_t id)
{
	return ctx_resource(d, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, ctx, id);
}

int gpu_driver_create_3d(struct gpu_driver *d, uint32_t id, struct gpu_driver_texture t)
{
	struct virtio_gpu_resource_create_3d m = {
		.hdr = header(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 0),
		.resource_id = htole32(id),
		.target = htole32(t.target),
		.format = htole32(t.format),
		.bind = htole32(t.bind),
		.width = htole32(t.width),
		.height = htole32(t.height),
		.depth = htole32(t.depth),
		.array_size = htole32(t.array_size),
		.last_level = htole32(t.last_level),
		.nr_samples = htole32(t.nr_samples),
		.flags = htole32(t.flags),
	};

	return gpu_driver_run(d, &m, sizeof(m));
}

int gpu_driver_transfer_3d(
	struct gpu_driver *d, uint32_t type, uint32_t ctx, uint32_t id, struct virtio_gpu_rect r)
{
	struct virtio_gpu_transfer_host_3d m = {.hdr = header(type, ctx),
		.box = {.x = htole32(r.x),
			.y = htole32(r.y),
			.w = htole32(r.width),
			.h = htole32(r.height),
			.d = htole32(1)},
		.resource_id = htole32(id),
		.stride = htole32(r.width * 4)};

	return gpu_driver_run(d, &m, sizeof(m));
}

size_t gpu_driver_stream(
	uint8_t *to, uint32_t ctx, uint64_t fence, const uint32_t *words, uint32_t n)
{
	struct virtio_gpu_cmd_submit m = {
		.hdr = header(VIRTIO_GPU_CMD_SUBMIT_3D, ctx), .size = htole32(n * 4)};

	if (fence) {
		m.hdr.flags = htole32(VIRTIO_GPU_FLAG_FENCE);
		m.hdr.fence_id = htole64(fence);
	}
	memcpy(to, &m, sizeof(m));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t word = htole32(words[i]);

		memcpy(to + sizeof(m) + i * 4, &word, 4);
	}
	return sizeof(m) + n * 4;
}

int gpu_driver_submit_3d(struct gpu_driver *d, uint32_t ctx, const uint32_t *words, uint32_t n)
{
	uint8_t *m = malloc(sizeof(struct virtio_gpu_cmd_submit) + n * 4);
	int r = -ENOMEM;

	if (m)
		r = gpu_driver_run(d, m, gpu_driver_stream(m, ctx, 0, words, n));
	free(m);
	return r;
}

/* virgl's words: length << 16 | kind of object << 8 | command. */
#define WORD(command, object, len) ((uint32_t)(len) << 16 | (object) << 8 | (command))

static uint32_t channel(uint32_t colour, unsigned shift)
{
	float f = (float)(colour >> shift & 0xff) / 255.0f;
	uint32_t bits;

	memcpy(&bits, &f, 4);
	return bits;
}

uint32_t virgl_clear(
	uint32_t words[VIRGL_CLEAR_WORDS], uint32_t id, uint32_t format, uint32_t colour)
{
	enum { CREATE = 1, DESTROY = 3, FRAMEBUFFER = 5, CLEAR = 7, SURFACE = 8, COLOUR = 4 };
	const uint32_t surface = 1000 + id;
	const uint32_t stream[] = {WORD(CREATE, SURFACE, 5), surface, id, format, 0, 0,
		WORD(FRAMEBUFFER, 0, 3), 1, 0, surface, WORD(CLEAR, 0, 8), COLOUR,
		channel(colour, 16), channel(colour, 8), channel(colour, 0), 0x3f800000, 0, 0, 0,
		WORD(DESTROY, SURFACE, 1), surface};

	memcpy(words, stream, sizeof(stream));
	return sizeof(stream) / 4;
}

uint32_t virgl_count_clears(
	uint32_t *words, uint32_t clears, uint32_t id, uint32_t format, uint32_t query)
{
	enum { CREATE = 1, BEGIN = 19, END = 20, RESULT = 21, QUERY = 9, ID = 2000 };
	const uint32_t before[] = {WORD(CREATE, QUERY, 4), ID, 0, 0, query, WORD(BEGIN, 0, 1), ID};
	const uint32_t after[] = {WORD(END, 0, 1), ID, WORD(RESULT, 0, 2), ID, 0};
	uint32_t n = sizeof(before) / 4;

	memcpy(words, before, sizeof(before));
	while (clears--)
		n += virgl_clear(words + n, id, format, clears);
	memcpy(words + n, after, sizeof(after));
	return n + sizeof(after) / 4;
}

int gpu_driver_capset(struct gpu_driver *d, uint32_t id, uint32_t version)
{
	struct virtio_gpu_get_capset m = {.hdr = header(VIRTIO_GPU_CMD_GET_CAPSET, 0),
		.capset_id = htole32(id),
		.capset_version = htole32(version)};

	return gpu_driver_run(d, &m, sizeof(m));
}
