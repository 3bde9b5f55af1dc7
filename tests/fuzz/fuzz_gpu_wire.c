/* SPDX-License-Identifier: MIT */
/* What a command says does not depend on how the guest has cut it into pieces. */
#include <stdbool.h>
#include <string.h>

#include "common/iov.h"
#include "fuzz.h"
#include "gpu/wire.h"
#include "pieces.h"

enum { COMMAND_MAX = 512, SPLITS = 8 };

static void check_header(const struct gpu_hdr *h, const uint8_t *bytes, size_t len)
{
	struct virtio_gpu_ctrl_hdr wire = {0};

	memcpy(&wire, bytes, len < sizeof(wire) ? len : sizeof(wire));
	FUZZ_CHECK(h->type == wire.type && h->flags == wire.flags && h->fence_id == wire.fence_id);
	FUZZ_CHECK(h->ctx_id == wire.ctx_id && h->ring_idx == wire.ring_idx);
}

static void check_response(const struct gpu_hdr *h)
{
	const struct virtio_gpu_ctrl_hdr r = gpu_wire_response(h, VIRTIO_GPU_RESP_OK_NODATA);

	FUZZ_CHECK(r.type == VIRTIO_GPU_RESP_OK_NODATA);
	FUZZ_CHECK((r.flags & VIRTIO_GPU_FLAG_FENCE) == (h->flags & VIRTIO_GPU_FLAG_FENCE));
	FUZZ_CHECK(r.fence_id == (h->flags & VIRTIO_GPU_FLAG_FENCE ? h->fence_id : 0));
}

static bool same_transfer(const struct gpu_request *a, const struct gpu_request *b)
{
	return !memcmp(&a->transfer_3d.box, &b->transfer_3d.box, sizeof(a->transfer_3d.box))
		&& a->transfer_3d.offset == b->transfer_3d.offset
		&& a->transfer_3d.level == b->transfer_3d.level
		&& a->transfer_3d.stride == b->transfer_3d.stride
		&& a->transfer_3d.layer_stride == b->transfer_3d.layer_stride;
}

static bool same_member_3d(const struct gpu_request *a, const struct gpu_request *b)
{
	switch (a->hdr.type) {
	case VIRTIO_GPU_CMD_GET_CAPSET_INFO:
		return a->get_capset_info.index == b->get_capset_info.index;
	case VIRTIO_GPU_CMD_GET_CAPSET:
		return !memcmp(&a->get_capset, &b->get_capset, sizeof(a->get_capset));
	case VIRTIO_GPU_CMD_CTX_CREATE:
		FUZZ_CHECK(a->ctx_create.name_len <= sizeof(a->ctx_create.name));
		return !memcmp(&a->ctx_create, &b->ctx_create, sizeof(a->ctx_create));
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_3D:
		return !memcmp(&a->create_3d, &b->create_3d, sizeof(a->create_3d));
	case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D:
	case VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D:
		return same_transfer(a, b);
	case VIRTIO_GPU_CMD_SUBMIT_3D:
		return a->submit.size == b->submit.size;
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
		return a->create_blob.id == b->create_blob.id
			&& a->create_blob.size == b->create_blob.size
			&& a->create_blob.n_entries == b->create_blob.n_entries
			&& a->create_blob.mem == b->create_blob.mem
			&& a->create_blob.flags == b->create_blob.flags;
	case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
		return !memcmp(
			&a->set_scanout_blob, &b->set_scanout_blob, sizeof(a->set_scanout_blob));
	case VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
		return a->map_blob.offset == b->map_blob.offset;
	default:
		return true;
	}
}

/* The member of the command's type; what lies beside it says nothing. */
static bool same_member(const struct gpu_request *a, const struct gpu_request *b)
{
	switch (a->hdr.type) {
	case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
		return !memcmp(&a->create_2d, &b->create_2d, sizeof(a->create_2d));
	case VIRTIO_GPU_CMD_SET_SCANOUT:
		return !memcmp(&a->set_scanout, &b->set_scanout, sizeof(a->set_scanout));
	case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
		return !memcmp(&a->flush, &b->flush, sizeof(a->flush));
	case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
		return !memcmp(&a->transfer_2d, &b->transfer_2d, sizeof(a->transfer_2d));
	case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
		return a->attach_backing.n_entries == b->attach_backing.n_entries;
	case VIRTIO_GPU_CMD_GET_EDID:
		return a->get_edid.scanout_id == b->get_edid.scanout_id;
	case VIRTIO_GPU_CMD_UPDATE_CURSOR:
	case VIRTIO_GPU_CMD_MOVE_CURSOR:
		return !memcmp(&a->cursor, &b->cursor, sizeof(a->cursor));
	default:
		return same_member_3d(a, b);
	}
}

static void check_entries(const struct pieces *whole, const struct pieces *p)
{
	struct iov_cursor a = iov_cursor_at(whole->iov, whole->n, GPU_WIRE_ENTRIES_AT);
	struct iov_cursor b = iov_cursor_at(p->iov, p->n, GPU_WIRE_ENTRIES_AT);
	struct virtio_gpu_mem_entry ea, eb;

	while (iov_cursor_read(&a, &ea, sizeof(ea)) == sizeof(ea)) {
		FUZZ_CHECK(iov_cursor_read(&b, &eb, sizeof(eb)) == sizeof(eb));
		FUZZ_CHECK(gpu_wire_entry(&ea).addr == gpu_wire_entry(&eb).addr);
		FUZZ_CHECK(gpu_wire_entry(&ea).length == gpu_wire_entry(&eb).length);
	}
	FUZZ_CHECK(iov_cursor_read(&b, &eb, sizeof(eb)) < sizeof(eb));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gpu_request whole_r, r;
	struct pieces whole = {0}, p;
	uint32_t err;

	size = size > COMMAND_MAX ? COMMAND_MAX : size;
	pieces_add(&whole, data, size);
	err = gpu_wire_decode(whole.iov, whole.n, &whole_r);
	FUZZ_CHECK(err == 0 || err == VIRTIO_GPU_RESP_ERR_UNSPEC);
	check_header(&whole_r.hdr, data, size);
	check_response(&whole_r.hdr);
	for (uint32_t seed = 0; seed < SPLITS; seed++) {
		pieces_cut(&p, data, size, seed);
		FUZZ_CHECK(gpu_wire_decode(p.iov, p.n, &r) == err);
		check_header(&r.hdr, data, size);
		FUZZ_CHECK(r.resource_id == whole_r.resource_id);
		FUZZ_CHECK(err || same_member(&r, &whole_r));
		check_entries(&whole, &p);
		pieces_forget(&p);
	}
	pieces_forget(&whole);
	return 0;
}
