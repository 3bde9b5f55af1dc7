/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The virtio-gpu wire (VIRTIO 1.3, 5.7.6): bytes of the guest in, plain structs in our byte order
 * out, and back. Pure: no state, no device. A command is copied out of guest memory once, here, and
 * never looked at there again.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <linux/virtio_gpu.h>

struct gpu_hdr {
	uint32_t type, flags;
	uint64_t fence_id;
	uint32_t ctx_id;
	uint8_t ring_idx;
};

struct gpu_rect {
	uint32_t x, y, width, height;
};

/* A part of a texture: rows, columns, and slices or layers. */
struct gpu_box {
	uint32_t x, y, z, width, height, depth;
};

/* What a 3D resource is, in the numbers of the renderer's own protocol. */
struct gpu_texture {
	uint32_t target, format, bind;
	uint32_t width, height, depth, array_size;
	uint32_t last_level, nr_samples, flags;
};

/* How a picture lies in a blob: one plane. */
struct gpu_layout {
	uint32_t width, height, format;
	uint32_t stride, offset; // bytes
};

enum { GPU_CONTEXT_NAME_MAX = 64 };

/* A command of the control or the cursor queue; the member is that of hdr.type. */
struct gpu_request {
	struct gpu_hdr hdr;
	uint32_t resource_id; // of all commands that name one
	union {
		struct {
			uint32_t format, width, height;
		} create_2d;
		struct {
			struct gpu_rect rect;
			uint32_t scanout_id;
		} set_scanout;
		struct {
			struct gpu_rect rect;
		} flush;
		struct {
			struct gpu_rect rect;
			uint64_t offset;
		} transfer_2d;
		struct {
			uint32_t n_entries; // behind the command: gpu_wire_entry()
		} attach_backing;
		struct {
			uint32_t scanout_id;
		} get_edid;
		struct {
			uint32_t scanout_id, x, y, hot_x, hot_y;
		} cursor;
		struct {
			uint32_t index;
		} get_capset_info;
		struct {
			uint32_t id, version;
		} get_capset;
		struct {
			uint32_t init;     // of VIRTIO_GPU_F_CONTEXT_INIT
			uint32_t name_len; // at most GPU_CONTEXT_NAME_MAX
			char name[GPU_CONTEXT_NAME_MAX];
		} ctx_create;
		struct gpu_texture create_3d;
		struct {
			struct gpu_box box;
			uint64_t offset;
			uint32_t level, stride, layer_stride;
		} transfer_3d;
		struct {
			uint32_t size; // bytes behind the command: GPU_WIRE_STREAM_AT
		} submit;
		struct {
			uint32_t mem, flags;
			uint32_t n_entries; // behind the command: GPU_WIRE_BLOB_ENTRIES_AT
			uint64_t id, size;
		} create_blob;
		struct {
			struct gpu_rect rect;
			uint32_t scanout_id;
			struct gpu_layout layout;
		} set_scanout_blob;
		struct {
			uint64_t offset;
		} map_blob;
	};
};

struct gpu_mem_entry {
	uint64_t addr;
	uint32_t length;
};

/*
 * Reads the command that these pieces hold. 0, or the VIRTIO_GPU_RESP_ERR_* to answer: ERR_UNSPEC
 * for a command that is unknown or too short. r->hdr is filled as far as it came, zero beyond.
 */
uint32_t gpu_wire_decode(const struct iovec *iov, unsigned n, struct gpu_request *r);

/* How many bytes precede the entries of ATTACH_BACKING, and what one takes. */
#define GPU_WIRE_ENTRIES_AT sizeof(struct virtio_gpu_resource_attach_backing)
#define GPU_WIRE_ENTRY_SIZE sizeof(struct virtio_gpu_mem_entry)

#define GPU_WIRE_BLOB_ENTRIES_AT sizeof(struct virtio_gpu_resource_create_blob)

/* How many bytes precede the command stream of SUBMIT_3D. */
#define GPU_WIRE_STREAM_AT sizeof(struct virtio_gpu_cmd_submit)

struct gpu_mem_entry gpu_wire_entry(const struct virtio_gpu_mem_entry *wire);

/* The header of an answer of this type: it echoes the request's fence when it has one (5.7.6.7). */
struct virtio_gpu_ctrl_hdr gpu_wire_response(const struct gpu_hdr *request, uint32_t type);

struct virtio_gpu_rect gpu_wire_rect(const struct gpu_rect *rect);
