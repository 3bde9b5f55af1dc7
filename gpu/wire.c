/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include <assert.h>
#include <string.h>

#include "common/bytes.h"
#include "common/iov.h"

/* Every command that we read, as it lies in guest memory. */
union command {
	struct virtio_gpu_ctrl_hdr hdr;
	struct virtio_gpu_resource_unref unref; // also detach_backing, assign_uuid
	struct virtio_gpu_resource_create_2d create_2d;
	struct virtio_gpu_set_scanout set_scanout;
	struct virtio_gpu_resource_flush flush;
	struct virtio_gpu_transfer_to_host_2d transfer_2d;
	struct virtio_gpu_resource_attach_backing attach_backing;
	struct virtio_gpu_cmd_get_edid get_edid;
	struct virtio_gpu_update_cursor cursor;
	struct virtio_gpu_get_capset_info get_capset_info;
	struct virtio_gpu_get_capset get_capset;
	struct virtio_gpu_ctx_create ctx_create;
	struct virtio_gpu_ctx_resource ctx_resource;
	struct virtio_gpu_resource_create_3d create_3d;
	struct virtio_gpu_transfer_host_3d transfer_3d;
	struct virtio_gpu_cmd_submit submit;
	struct virtio_gpu_resource_create_blob create_blob;
	struct virtio_gpu_set_scanout_blob set_scanout_blob;
	struct virtio_gpu_resource_map_blob map_blob;
};

static_assert(offsetof(struct virtio_gpu_resource_detach_backing, resource_id)
		== offsetof(struct virtio_gpu_resource_unref, resource_id),
	"both name their resource at the same place");
static_assert(offsetof(struct virtio_gpu_ctx_resource, resource_id)
		== offsetof(struct virtio_gpu_resource_unref, resource_id),
	"both name their resource at the same place");
static_assert(offsetof(struct virtio_gpu_resource_unmap_blob, resource_id)
		== offsetof(struct virtio_gpu_resource_unref, resource_id),
	"both name their resource at the same place");
static_assert(offsetof(struct virtio_gpu_resource_assign_uuid, resource_id)
		== offsetof(struct virtio_gpu_resource_unref, resource_id),
	"both name their resource at the same place");

static struct gpu_hdr read_hdr(const struct virtio_gpu_ctrl_hdr *h)
{
	return (struct gpu_hdr){
		.type = le32(h->type),
		.flags = le32(h->flags),
		.fence_id = le64(h->fence_id),
		.ctx_id = le32(h->ctx_id),
		.ring_idx = h->ring_idx,
	};
}

static struct gpu_rect read_rect(const struct virtio_gpu_rect *r)
{
	return (struct gpu_rect){le32(r->x), le32(r->y), le32(r->width), le32(r->height)};
}

static void read_nothing(const union command *c, struct gpu_request *r)
{
	(void)c;
	(void)r;
}

static void read_resource(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->unref.resource_id);
}

static void read_create_2d(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->create_2d.resource_id);
	r->create_2d.format = le32(c->create_2d.format);
	r->create_2d.width = le32(c->create_2d.width);
	r->create_2d.height = le32(c->create_2d.height);
}

static void read_set_scanout(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->set_scanout.resource_id);
	r->set_scanout.rect = read_rect(&c->set_scanout.r);
	r->set_scanout.scanout_id = le32(c->set_scanout.scanout_id);
}

static void read_flush(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->flush.resource_id);
	r->flush.rect = read_rect(&c->flush.r);
}

static void read_transfer_2d(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->transfer_2d.resource_id);
	r->transfer_2d.rect = read_rect(&c->transfer_2d.r);
	r->transfer_2d.offset = le64(c->transfer_2d.offset);
}

static void read_attach_backing(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->attach_backing.resource_id);
	r->attach_backing.n_entries = le32(c->attach_backing.nr_entries);
}

static void read_get_edid(const union command *c, struct gpu_request *r)
{
	r->get_edid.scanout_id = le32(c->get_edid.scanout);
}

static void read_cursor(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->cursor.resource_id);
	r->cursor.scanout_id = le32(c->cursor.pos.scanout_id);
	r->cursor.x = le32(c->cursor.pos.x);
	r->cursor.y = le32(c->cursor.pos.y);
	r->cursor.hot_x = le32(c->cursor.hot_x);
	r->cursor.hot_y = le32(c->cursor.hot_y);
}

static void read_get_capset_info(const union command *c, struct gpu_request *r)
{
	r->get_capset_info.index = le32(c->get_capset_info.capset_index);
}

static void read_get_capset(const union command *c, struct gpu_request *r)
{
	r->get_capset.id = le32(c->get_capset.capset_id);
	r->get_capset.version = le32(c->get_capset.capset_version);
}

/* A name that is too long is cut: it is for people. */
static void read_ctx_create(const union command *c, struct gpu_request *r)
{
	r->ctx_create.init = le32(c->ctx_create.context_init);
	r->ctx_create.name_len =
		(uint32_t)min_u64(le32(c->ctx_create.nlen), sizeof(r->ctx_create.name));
	memcpy(r->ctx_create.name, c->ctx_create.debug_name, r->ctx_create.name_len);
}

static void read_create_3d(const union command *c, struct gpu_request *r)
{
	const struct virtio_gpu_resource_create_3d *w = &c->create_3d;

	r->resource_id = le32(w->resource_id);
	r->create_3d = (struct gpu_texture){
		.target = le32(w->target),
		.format = le32(w->format),
		.bind = le32(w->bind),
		.width = le32(w->width),
		.height = le32(w->height),
		.depth = le32(w->depth),
		.array_size = le32(w->array_size),
		.last_level = le32(w->last_level),
		.nr_samples = le32(w->nr_samples),
		.flags = le32(w->flags),
	};
}

static void read_transfer_3d(const union command *c, struct gpu_request *r)
{
	const struct virtio_gpu_transfer_host_3d *w = &c->transfer_3d;

	r->resource_id = le32(w->resource_id);
	r->transfer_3d.box = (struct gpu_box){le32(w->box.x), le32(w->box.y), le32(w->box.z),
		le32(w->box.w), le32(w->box.h), le32(w->box.d)};
	r->transfer_3d.offset = le64(w->offset);
	r->transfer_3d.level = le32(w->level);
	r->transfer_3d.stride = le32(w->stride);
	r->transfer_3d.layer_stride = le32(w->layer_stride);
}

static void read_submit(const union command *c, struct gpu_request *r)
{
	r->submit.size = le32(c->submit.size);
}

static void read_create_blob(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->create_blob.resource_id);
	r->create_blob.mem = le32(c->create_blob.blob_mem);
	r->create_blob.flags = le32(c->create_blob.blob_flags);
	r->create_blob.n_entries = le32(c->create_blob.nr_entries);
	r->create_blob.id = le64(c->create_blob.blob_id);
	r->create_blob.size = le64(c->create_blob.size);
}

static void read_set_scanout_blob(const union command *c, struct gpu_request *r)
{
	const struct virtio_gpu_set_scanout_blob *w = &c->set_scanout_blob;

	r->resource_id = le32(w->resource_id);
	r->set_scanout_blob.rect = read_rect(&w->r);
	r->set_scanout_blob.scanout_id = le32(w->scanout_id);
	r->set_scanout_blob.layout = (struct gpu_layout){le32(w->width), le32(w->height),
		le32(w->format), le32(w->strides[0]), le32(w->offsets[0])};
}

static void read_map_blob(const union command *c, struct gpu_request *r)
{
	r->resource_id = le32(c->map_blob.resource_id);
	r->map_blob.offset = le64(c->map_blob.offset);
}

struct reader {
	uint32_t type;
	uint32_t size; // bytes that the command has at least
	void (*read)(const union command *c, struct gpu_request *r);
};

#define COMMAND(name, member, reader)                                                              \
	{                                                                                          \
		VIRTIO_GPU_CMD_##name, sizeof(((union command *)0)->member), reader                \
	}

static const struct reader readers[] = {
	COMMAND(GET_DISPLAY_INFO, hdr, read_nothing),
	COMMAND(RESOURCE_CREATE_2D, create_2d, read_create_2d),
	COMMAND(RESOURCE_UNREF, unref, read_resource),
	COMMAND(SET_SCANOUT, set_scanout, read_set_scanout),
	COMMAND(RESOURCE_FLUSH, flush, read_flush),
	COMMAND(TRANSFER_TO_HOST_2D, transfer_2d, read_transfer_2d),
	COMMAND(RESOURCE_ATTACH_BACKING, attach_backing, read_attach_backing),
	COMMAND(RESOURCE_DETACH_BACKING, unref, read_resource),
	COMMAND(GET_EDID, get_edid, read_get_edid),
	COMMAND(RESOURCE_ASSIGN_UUID, unref, read_resource),
	COMMAND(GET_CAPSET_INFO, get_capset_info, read_get_capset_info),
	COMMAND(GET_CAPSET, get_capset, read_get_capset),
	COMMAND(CTX_CREATE, ctx_create, read_ctx_create),
	COMMAND(CTX_DESTROY, hdr, read_nothing),
	COMMAND(CTX_ATTACH_RESOURCE, ctx_resource, read_resource),
	COMMAND(CTX_DETACH_RESOURCE, ctx_resource, read_resource),
	COMMAND(RESOURCE_CREATE_3D, create_3d, read_create_3d),
	COMMAND(TRANSFER_TO_HOST_3D, transfer_3d, read_transfer_3d),
	COMMAND(TRANSFER_FROM_HOST_3D, transfer_3d, read_transfer_3d),
	COMMAND(SUBMIT_3D, submit, read_submit),
	COMMAND(RESOURCE_CREATE_BLOB, create_blob, read_create_blob),
	COMMAND(SET_SCANOUT_BLOB, set_scanout_blob, read_set_scanout_blob),
	COMMAND(RESOURCE_MAP_BLOB, map_blob, read_map_blob),
	COMMAND(RESOURCE_UNMAP_BLOB, unref, read_resource),
	COMMAND(UPDATE_CURSOR, cursor, read_cursor),
	COMMAND(MOVE_CURSOR, cursor, read_cursor),
};

uint32_t gpu_wire_decode(const struct iovec *iov, unsigned n, struct gpu_request *r)
{
	union command c = {0};
	size_t len = iov_read(iov, n, 0, &c, sizeof(c));

	*r = (struct gpu_request){.hdr = read_hdr(&c.hdr)};
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		if (readers[i].type != r->hdr.type)
			continue;
		if (len < readers[i].size)
			return VIRTIO_GPU_RESP_ERR_UNSPEC;
		readers[i].read(&c, r);
		return 0;
	}
	return VIRTIO_GPU_RESP_ERR_UNSPEC;
}

struct gpu_mem_entry gpu_wire_entry(const struct virtio_gpu_mem_entry *wire)
{
	return (struct gpu_mem_entry){le64(wire->addr), le32(wire->length)};
}

struct virtio_gpu_ctrl_hdr gpu_wire_response(const struct gpu_hdr *request, uint32_t type)
{
	struct virtio_gpu_ctrl_hdr h = {.type = to_le32(type)};

	if (request->flags & VIRTIO_GPU_FLAG_FENCE) {
		h.flags = to_le32(
			request->flags & (VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX));
		h.fence_id = to_le64(request->fence_id);
		h.ctx_id = to_le32(request->ctx_id);
		h.ring_idx = request->ring_idx;
	}
	return h;
}

struct virtio_gpu_rect gpu_wire_rect(const struct gpu_rect *r)
{
	return (struct virtio_gpu_rect){
		to_le32(r->x), to_le32(r->y), to_le32(r->width), to_le32(r->height)};
}
