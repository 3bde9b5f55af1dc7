/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the device and a renderer say to one another. A renderer is the inside of a part
 * (common/part.h): whatever it is named here it has to look up for itself, so there are ids, places in
 * shared memory and descriptors, and no pointers.
 *
 * The device's messages are done in their order. A message with a number of its own (seq) is answered
 * once: by RENDERER_DONE when it is done, or, when it was right and asked for a fence, by
 * RENDERER_FENCE when the GPU has done all that came before. A fence answers for all earlier ones, too; one
 * of a context's own timeline for those of this timeline.
 *
 * Bytes of any length (command streams, lists of pages) lie in memory that both have mapped: a ring in
 * which the device moves ahead and the renderer follows, telling how far it has read in its first
 * words, or, when the ring is full, a memfd that comes with the message.
 *
 * Both sides are of one program, and in one byte order.
 */
#include <assert.h>
#include <stdint.h>

#include "wire.h"

enum {
	RENDERER_RING_BYTES = 2 << 20, // of data; a power of 2
	RENDERER_RING_DATA = 4096,     // where it begins, behind struct renderer_ring
	RENDERER_STREAM_MAX = 4 << 20, // bytes of one command stream
	RENDERER_CAPSETS_MAX = 8,
	RENDERER_CAPSET_BYTES = 4096,
	RENDERER_NOT_IN_RING = 1u << 31, // renderer_bytes.at: it is the message's descriptor
};

/* What the device asks for. Each says what comes with it. */
#define RENDERER_GLOBAL UINT32_MAX // the timeline of fences that are of no context's ring

enum renderer_request {
	RENDERER_HELLO,          // the ring's descriptor
	RENDERER_MEMORY_ADD,     // memory, a descriptor: a region of guest memory
	RENDERER_MEMORY_REMOVE,  // memory
	RENDERER_RESET,          // contexts, resources: none of them is left
	RENDERER_CONTEXT_CREATE, // ctx, context
	RENDERER_CONTEXT_DESTROY,
	RENDERER_CONTEXT_ATTACH, // ctx, res
	RENDERER_CONTEXT_DETACH,
	RENDERER_CREATE,         // res, texture
	RENDERER_UNREF,          // res
	RENDERER_BLOB,           // ctx, res, blob: with the bytes of its pages, where it has some
	RENDERER_EXPORT,         // res: answered by RENDERER_EXPORTED
	RENDERER_BACKING_ATTACH, // res, bytes: of struct gpu_mem_entry
	RENDERER_BACKING_DETACH,
	RENDERER_BUFFER,  // res, buffer, a descriptor: where it is shown
	RENDERER_SHOW,    // res, rect: from the texture to the buffer
	RENDERER_UPLOAD,  // res, rect: from the buffer to the texture
	RENDERER_DMABUF,  // res: answered by RENDERER_DMABUF_IS
	RENDERER_FINISH,  // nothing; for its fence, or to see that all before it is done
	RENDERER_TO_HOST, // ctx, res, transfer: from the backing to the texture
	RENDERER_FROM_HOST,
	RENDERER_SUBMIT, // ctx, bytes
	RENDERER_REQUESTS,
};

struct renderer_bytes {
	uint32_t at, size; // in the ring's data; see RENDERER_NOT_IN_RING
};

struct renderer_message {
	uint32_t what;
	uint32_t seq;
	uint32_t fence; // 1: answered by a fence
	uint32_t ring;  // of the context, whose timeline it is; or RENDERER_GLOBAL
	uint32_t ctx, res;
	uint64_t ring_end; // the ring's place behind the bytes of this message
	union {
		struct {
			uint64_t gpa, size, offset;
		} memory;
		struct {
			uint32_t capset; // whose commands it takes; 0: virgl's
			uint32_t name_len;
			char name[GPU_CONTEXT_NAME_MAX];
		} context;
		struct gpu_texture texture;
		struct renderer_bytes bytes;
		struct {
			struct renderer_bytes bytes; // the same
			uint32_t mem, flags;
			uint64_t id, size;
		} blob;
		struct {
			uint32_t stride;
			uint64_t size;
		} buffer;
		struct gpu_rect rect;
		struct {
			struct gpu_box box;
			uint64_t offset;
			uint32_t level, stride, layer_stride;
		} transfer;
	};
};

/* What begins the ring. Counts bytes from the beginning; the device's own count is not shared. */
struct renderer_ring {
	uint64_t consumed; // atomic
};

enum renderer_answer_what {
	RENDERER_CAPSET,   // one of those that there are; before READY
	RENDERER_READY,    // it works; result: 1 when there are dmabufs
	RENDERER_DONE,     // seq, result
	RENDERER_FENCE,    // seq, ctx, ring
	RENDERER_EXPORTED, // seq, result, map_info, offset, a descriptor: of the blob's bytes
	RENDERER_DMABUF_IS, // a descriptor; before DONE, which alone is the answer when there is none
};

struct renderer_answer {
	uint32_t what;
	uint32_t seq;
	uint32_t result; // 0 or a VIRTIO_GPU_RESP_ERR_*
	uint32_t ctx, ring;
	uint32_t map_info; // VIRTIO_GPU_MAP_CACHE_*
	uint64_t offset;   // where in the file the blob begins
};

/* A dmabuf of one plane, from its beginning on. */
struct renderer_dmabuf {
	uint32_t what; // RENDERER_DMABUF_IS
	uint32_t seq;
	uint32_t stride, fourcc;
	uint64_t modifier; // DRM_FORMAT_MOD_*
};

struct renderer_capset {
	uint32_t what; // RENDERER_CAPSET
	uint32_t id, max_version, size;
	uint8_t bytes[RENDERER_CAPSET_BYTES];
};
