/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * 2D resources (VIRTIO 1.3, 5.7.6.8): pixels of the daemon's own in shared memory, and the guest's
 * pages that TRANSFER_TO_HOST_2D copies them from, or that are shown where they lie. Functions answer with 0 or a
 * VIRTIO_GPU_RESP_ERR_*.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/dbuf.h"
#include "common/gmem.h"
#include "wire.h"

enum { GPU_RESOURCE_BUCKETS = 256, GPU_BACKING_ENTRIES_MAX = 1 << 18 };

/* The guest's pages of a resource, adjacent ones joined. */
struct remote;

struct gpu_backing {
	struct gmem *mem;              // a reference: what iov points into stays
	struct gpu_mem_entry *entries; // as the guest named them, n_entries; to resolve again
	struct iovec *iov;             // n_iov pieces in our memory; none while it is not all there
	uint64_t *at;                  // where in the backing each piece begins
	unsigned n_entries, n_iov;
	uint64_t size;    // bytes
	uint64_t charged; // to the budget
};

/* Of a resource that is plain bytes (VIRTIO_GPU_F_RESOURCE_BLOB). */
struct gpu_blob {
	uint32_t mem, flags; // VIRTIO_GPU_BLOB_*; mem is 0 for what is no blob
	uint64_t size;       // bytes
	bool mapped;         // or going to be: the driver sees it
	uint64_t at;         // where, in the window
	uint32_t ticket;     // of that question to the front-end
	uint32_t map_info;
};

enum gpu_export { EXPORT_UNASKED, EXPORT_ASKED, EXPORT_DONE };

struct gpu_resource {
	LIST_ENTRY(gpu_resource) link; // gpu_resources.buckets
	uint32_t id;
	uint64_t serial;                                // no other one has ever had it
	uint32_t width, height;                         // pixels
	uint32_t scanouts;                              // a bit for each that shows it
	struct gpu_rect views[VIRTIO_GPU_MAX_SCANOUTS]; // what of it each of them shows, or showed
	struct dbuf *buf;                               // NULL: of 3D, and never shown
	struct dbuf *dmabuf;                            // of 3D, as the renderer has it; NULL: none
	enum gpu_export export;                         // of that
	uint32_t export_seq;                            // of the question
	bool is_3d;                                     // its pixels are the renderer's
	struct remote *renderer;                        // that has it, too; NULL: none
	bool is_attached;                               // to a context, or has been
	bool stale;                                     // the next flush is of all that is shown
	struct gpu_texture texture;                     // of 3D
	struct gpu_blob blob;
	struct gpu_layout layout;    // of buf, when it is of a blob
	uint64_t charged;            // to the budget, for what the renderer takes
	struct gpu_backing *backing; // NULL while none is attached
	bool has_uuid;
	uint8_t uuid[16];
};

struct gpu_resources {
	LIST_HEAD(, gpu_resource) buckets[GPU_RESOURCE_BUCKETS];
	unsigned n, max;
	uint64_t serials;
	struct dbuf_budget budget;
};

/* max_bytes: of pixels and page lists together. max: of resources, each of which holds an fd. */
void gpu_resources_init(struct gpu_resources *rs, uint64_t max_bytes, unsigned max);

/* NULL when there is none of this id. */
struct gpu_resource *gpu_resource_find(struct gpu_resources *rs, uint32_t id);

uint32_t gpu_resource_create_2d(struct gpu_resources *rs, const struct gpu_request *r);

/* Of 3D there is only what must be known here: its measures, its place in the table. */
uint32_t gpu_resource_create_3d(struct gpu_resources *rs, const struct gpu_request *r);

/* Of a blob: its size, and the guest's pages where it has some, as for gpu_resource_attach(). */
uint32_t gpu_resource_create_blob(struct gpu_resources *rs, struct gmem *mem,
	const struct gpu_request *r, const struct iovec *iov, unsigned n);

/* What the renderer draws and has to be asked for; a blob's bytes are there for all to see. */
static inline bool gpu_resource_is_drawn(const struct gpu_resource *res)
{
	return res->renderer && !res->blob.mem;
}

/* Makes the buffer that a 3D resource is shown from. ERR_INVALID_PARAMETER for what is no picture. */
uint32_t gpu_resource_make_buffer(struct gpu_resources *rs, struct gpu_resource *res);

/* True when the box is not empty and lies within this level of the texture. */
bool gpu_texture_has(const struct gpu_texture *t, uint32_t level, const struct gpu_box *box);
void gpu_resource_destroy(struct gpu_resources *rs, struct gpu_resource *res);
void gpu_resource_destroy_all(struct gpu_resources *rs);

/*
 * Reads r's entries from behind the command, wherever they lie in iov, and resolves them in mem. A
 * resource that has backing keeps it and the answer is ERR_UNSPEC.
 */
uint32_t gpu_resource_attach(struct gpu_resources *rs, struct gpu_resource *res, struct gmem *mem,
	const struct gpu_request *r, const struct iovec *iov, unsigned n);
/* Fine when nothing is attached. */
void gpu_resource_detach(struct gpu_resources *rs, struct gpu_resource *res);

/* Copies a rectangle from the guest's pages. Pages taken away under us cost the request an error.
 */
uint32_t gpu_resource_transfer(struct gpu_resource *res, const struct gpu_request *r);

/*
 * The picture that lies so in the guest's pages: a view of them where that is possible, else a buffer of its
 * own, which gpu_resource_copy() fills. *out is owned by the caller.
 */
uint32_t gpu_resource_view(struct gpu_resources *rs, struct gpu_resource *res,
	const struct gpu_layout *l, struct dbuf **out);
/* Brings a rectangle up to date; nothing for a view. */
void gpu_resource_copy(const struct gpu_resource *res, const struct gpu_layout *l,
	const struct gpu_rect *rect, struct dbuf *to);

/* Resolves all backing in a new memory map; what is not whole there fails its transfers. */
void gpu_resources_move(struct gpu_resources *rs, struct gmem *mem);

/* The DRM fourcc of a VIRTIO_GPU_FORMAT_*, 0 for what is none. */
uint32_t gpu_format_fourcc(uint32_t format);

/* True when the scanout's view is all of it. */
static inline bool gpu_resource_shows_all(const struct gpu_resource *res, unsigned scanout)
{
	const struct gpu_rect *v = &res->views[scanout];

	return v->width == res->width && v->height == res->height;
}

/* True when the rectangle is not empty and lies within width x height. */
bool gpu_rect_within(const struct gpu_rect *r, uint32_t width, uint32_t height);
