/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "resource.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/iov.h"
#include "common/log.h"

enum { BYTES_A_PIXEL = 4, PIECES_A_REGION_BORDER = 16 };

/* ---- formats: VIRTIO names bytes in memory order, DRM names bits of a little-endian word ---- */

uint32_t gpu_format_fourcc(uint32_t format)
{
	switch (format) {
	case VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM:
		return DRM_FORMAT_ARGB8888;
	case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
		return DRM_FORMAT_XRGB8888;
	case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
		return DRM_FORMAT_BGRA8888;
	case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
		return DRM_FORMAT_BGRX8888;
	case VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM:
		return DRM_FORMAT_ABGR8888;
	case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
		return DRM_FORMAT_XBGR8888;
	case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
		return DRM_FORMAT_RGBA8888;
	case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
		return DRM_FORMAT_RGBX8888;
	default:
		return 0;
	}
}

bool gpu_rect_within(const struct gpu_rect *r, uint32_t width, uint32_t height)
{
	return r->width && r->height && range_within(r->x, r->width, width)
		&& range_within(r->y, r->height, height);
}

/* ---- the table ---- */

void gpu_resources_init(struct gpu_resources *rs, uint64_t max_bytes, unsigned max)
{
	*rs = (struct gpu_resources){.max = max, .budget.max = max_bytes};
}

struct gpu_resource *gpu_resource_find(struct gpu_resources *rs, uint32_t id)
{
	struct gpu_resource *res;

	LIST_FOREACH (res, &rs->buckets[id % GPU_RESOURCE_BUCKETS], link)
		if (res->id == id)
			return res;
	return NULL;
}

/* A place in the table for what is right otherwise. */
static uint32_t create(struct gpu_resources *rs, uint32_t id, struct gpu_resource **out)
{
	if (rs->n == rs->max)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	(*out)->id = id;
	(*out)->serial = ++rs->serials;
	return 0;
}

static void insert(struct gpu_resources *rs, struct gpu_resource *res)
{
	LIST_INSERT_HEAD(&rs->buckets[res->id % GPU_RESOURCE_BUCKETS], res, link);
	rs->n++;
}

static uint32_t make_buffer(struct gpu_resources *rs, struct gpu_resource *res, uint32_t format)
{
	int err = dbuf_create(
		&rs->budget, res->width, res->height, gpu_format_fourcc(format), &res->buf);

	if (err == -EINVAL)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return err < 0 ? (uint32_t)VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY : 0;
}

uint32_t gpu_resource_create_2d(struct gpu_resources *rs, const struct gpu_request *r)
{
	struct gpu_resource *res;
	uint32_t err;

	if (!r->resource_id || gpu_resource_find(rs, r->resource_id))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!gpu_format_fourcc(r->create_2d.format))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	err = create(rs, r->resource_id, &res);
	if (err)
		return err;
	res->width = r->create_2d.width;
	res->height = r->create_2d.height;
	err = make_buffer(rs, res, r->create_2d.format);
	if (err) {
		free(res);
		return err;
	}
	res->texture.format = r->create_2d.format;
	insert(rs, res);
	return 0;
}

/* ---- 3D ---- */

enum {
	TARGETS = 9, // buffers, and textures of eight kinds
	TARGET_BUFFER = 0,
	TARGET_2D = 2,
	FORMATS = 512,
	SIDE_MAX = 16384,
	LAYERS_MAX = 2048,
	LEVELS_MAX = 15,
	SAMPLES_MAX = 32,
};

static uint32_t at_least_1(uint32_t n)
{
	return n ? n : 1;
}

static bool is_texture(const struct gpu_texture *t)
{
	if (t->target >= TARGETS || t->format >= FORMATS || !t->width || !t->height || !t->depth
		|| t->array_size > LAYERS_MAX || t->last_level >= LEVELS_MAX
		|| t->nr_samples > SAMPLES_MAX)
		return false;
	if (t->target == TARGET_BUFFER)
		return t->height == 1 && t->depth == 1 && t->array_size <= 1;
	return t->width <= SIDE_MAX && t->height <= SIDE_MAX && t->depth <= LAYERS_MAX;
}

/* Those of virglrenderer's formats that take more than 4 bytes a pixel; of three channels, as of four. */
static uint32_t pixel_bytes(uint32_t format)
{
	static const struct {
		uint16_t first, last, bytes;
	} wide[] = {{24, 24, 8}, {25, 25, 16}, {26, 27, 32}, {29, 29, 8}, {30, 31, 16}, {33, 33, 8},
		{34, 35, 16}, {37, 37, 8}, {38, 39, 16}, {41, 41, 8}, {42, 43, 16}, {45, 45, 8},
		{46, 47, 16}, {50, 51, 8}, {54, 55, 8}, {58, 59, 8}, {62, 63, 8}, {88, 88, 8},
		{89, 90, 16}, {93, 94, 8}, {126, 126, 8}, {138, 138, 8}, {161, 161, 8},
		{187, 188, 8}, {191, 192, 8}, {194, 194, 8}, {195, 196, 16}, {198, 198, 8},
		{199, 200, 16}, {220, 220, 8}, {224, 224, 8}, {234, 238, 8}, {239, 241, 16},
		{246, 246, 8}, {251, 252, 8}};

	for (unsigned i = 0; i < ARRAY_SIZE(wide); i++)
		if (format >= wide[i].first && format <= wide[i].last)
			return wide[i].bytes;
	return BYTES_A_PIXEL;
}

/* About what the renderer takes for it. */
static uint64_t texture_bytes(const struct gpu_texture *t)
{
	uint64_t n = (uint64_t)t->width * t->height * t->depth * at_least_1(t->array_size)
		* at_least_1(t->nr_samples);

	if (t->target != TARGET_BUFFER)
		n *= pixel_bytes(t->format);
	return t->last_level ? n + n / 3 : n;
}

uint32_t gpu_resource_create_3d(struct gpu_resources *rs, const struct gpu_request *r)
{
	const struct gpu_texture *t = &r->create_3d;
	struct gpu_resource *res;
	uint32_t err;

	if (!r->resource_id || gpu_resource_find(rs, r->resource_id))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!is_texture(t))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	err = create(rs, r->resource_id, &res);
	if (err)
		return err;
	if (dbuf_charge(&rs->budget, texture_bytes(t)) < 0) {
		free(res);
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	res->charged = texture_bytes(t);
	res->width = t->width;
	res->height = t->height;
	res->is_3d = true;
	res->texture = *t;
	insert(rs, res);
	return 0;
}

uint32_t gpu_resource_make_buffer(struct gpu_resources *rs, struct gpu_resource *res)
{
	const struct gpu_texture *t = &res->texture;

	if (t->target != TARGET_2D || t->nr_samples > 1 || !gpu_format_fourcc(t->format))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return make_buffer(rs, res, t->format);
}

bool gpu_texture_has(const struct gpu_texture *t, uint32_t level, const struct gpu_box *box)
{
	uint32_t layers;

	if (level > t->last_level || !box->width || !box->height || !box->depth)
		return false;
	layers = t->array_size > 1 ? t->array_size : at_least_1(t->depth >> level);
	return range_within(box->x, box->width, at_least_1(t->width >> level))
		&& range_within(box->y, box->height, at_least_1(t->height >> level))
		&& range_within(box->z, box->depth, layers);
}

void gpu_resource_destroy(struct gpu_resources *rs, struct gpu_resource *res)
{
	gpu_resource_detach(rs, res);
	LIST_REMOVE(res, link);
	rs->n--;
	dbuf_uncharge(&rs->budget, res->charged);
	dbuf_unref(res->buf);
	dbuf_unref(res->dmabuf);
	free(res);
}

void gpu_resource_destroy_all(struct gpu_resources *rs)
{
	for (unsigned i = 0; i < GPU_RESOURCE_BUCKETS; i++)
		while (!LIST_EMPTY(&rs->buckets[i]))
			gpu_resource_destroy(rs, LIST_FIRST(&rs->buckets[i]));
}

/* ---- backing ---- */

/* Reads the entries and joins those that follow one another. */
static void read_entries(struct gpu_backing *b, struct iov_cursor *from, unsigned count)
{
	struct virtio_gpu_mem_entry wire;
	struct gpu_mem_entry *last = NULL;

	for (; count && iov_cursor_read(from, &wire, sizeof(wire)) == sizeof(wire); count--) {
		struct gpu_mem_entry e = gpu_wire_entry(&wire);

		b->size += e.length;
		if (last && last->addr + last->length == e.addr
			&& (uint64_t)last->length + e.length <= UINT32_MAX) {
			last->length += e.length;
			continue;
		}
		last = &b->entries[b->n_entries++];
		*last = e;
	}
}

/* Finds the entries in mem. False, and no pieces, when some of them is not there. */
static bool resolve(struct gpu_backing *b, struct gmem *mem)
{
	unsigned max = b->n_entries + PIECES_A_REGION_BORDER, hint = 0;
	uint64_t at = 0;

	gmem_unref(b->mem);
	b->mem = gmem_ref(mem);
	b->n_iov = 0;
	for (unsigned i = 0; i < b->n_entries; i++) {
		const struct gpu_mem_entry *e = &b->entries[i];
		int n = gmem_iov(mem, &hint, e->addr, e->length, &b->iov[b->n_iov], max - b->n_iov);

		if (n < 0) {
			b->n_iov = 0;
			return false;
		}
		for (; n; n--) {
			b->at[b->n_iov] = at;
			at += b->iov[b->n_iov++].iov_len;
		}
	}
	return true;
}

static void free_backing(struct gpu_resources *rs, struct gpu_backing *b)
{
	dbuf_uncharge(&rs->budget, b->charged);
	gmem_unref(b->mem);
	free(b->entries);
	free(b->iov);
	free(b->at);
	free(b);
}

static struct gpu_backing *alloc_backing(struct gpu_resources *rs, unsigned count)
{
	size_t pieces = (size_t)count + PIECES_A_REGION_BORDER;
	uint64_t bytes = count * sizeof(struct gpu_mem_entry)
		+ pieces * (sizeof(struct iovec) + sizeof(uint64_t));
	struct gpu_backing *b;

	if (dbuf_charge(&rs->budget, bytes) < 0)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (!b) {
		dbuf_uncharge(&rs->budget, bytes);
		return NULL;
	}
	b->charged = bytes;
	b->entries = calloc(count ? count : 1, sizeof(*b->entries));
	b->iov = calloc(pieces, sizeof(*b->iov));
	b->at = calloc(pieces, sizeof(*b->at));
	if (b->entries && b->iov && b->at)
		return b;
	free_backing(rs, b);
	return NULL;
}

/* The entries are all there. */
static uint32_t attach(struct gpu_resources *rs, struct gpu_resource *res, struct gmem *mem,
	unsigned count, struct iov_cursor entries)
{
	struct gpu_backing *b;

	b = alloc_backing(rs, count);
	if (!b)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	read_entries(b, &entries, count);
	if (!resolve(b, mem)) {
		log_peer("backing of resource %u is not all in guest memory", res->id);
		free_backing(rs, b);
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	res->backing = b;
	return 0;
}

static bool has_entries(unsigned count, size_t at, size_t command)
{
	return count <= GPU_BACKING_ENTRIES_MAX && command >= at + count * GPU_WIRE_ENTRY_SIZE;
}

uint32_t gpu_resource_attach(struct gpu_resources *rs, struct gpu_resource *res, struct gmem *mem,
	const struct gpu_request *r, const struct iovec *iov, unsigned n)
{
	unsigned count = r->attach_backing.n_entries;

	if (res->backing || res->blob.mem)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (!has_entries(count, GPU_WIRE_ENTRIES_AT, iov_size(iov, n)))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return attach(rs, res, mem, count, iov_cursor_at(iov, n, GPU_WIRE_ENTRIES_AT));
}

void gpu_resource_detach(struct gpu_resources *rs, struct gpu_resource *res)
{
	if (res->backing)
		free_backing(rs, res->backing);
	res->backing = NULL;
}

void gpu_resources_move(struct gpu_resources *rs, struct gmem *mem)
{
	struct gpu_resource *res;

	for (unsigned i = 0; i < GPU_RESOURCE_BUCKETS; i++)
		LIST_FOREACH (res, &rs->buckets[i], link)
			if (res->backing && !resolve(res->backing, mem))
				log_peer("backing of resource %u left guest memory", res->id);
}

/* ---- blobs ---- */

static bool is_blob(const struct gpu_request *r, size_t command)
{
	const uint32_t flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE
		| VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE | VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE;
	uint32_t mem = r->create_blob.mem;

	if (mem < VIRTIO_GPU_BLOB_MEM_GUEST || mem > VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST
		|| r->create_blob.flags & ~flags || !r->create_blob.size)
		return false;
	if (mem == VIRTIO_GPU_BLOB_MEM_HOST3D)
		return !r->create_blob.n_entries;
	return has_entries(r->create_blob.n_entries, GPU_WIRE_BLOB_ENTRIES_AT, command);
}

/* What of it is the guest's own, or memory of ours. */
static uint32_t provide(struct gpu_resources *rs, struct gpu_resource *res, struct gmem *mem,
	unsigned n_entries, struct iov_cursor entries)
{
	uint32_t err = 0;

	if (res->blob.mem != VIRTIO_GPU_BLOB_MEM_GUEST) {
		if (dbuf_charge(&rs->budget, res->blob.size) < 0)
			return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
		res->charged = res->blob.size;
	}
	if (res->blob.mem != VIRTIO_GPU_BLOB_MEM_HOST3D)
		err = attach(rs, res, mem, n_entries, entries);
	if (!err && res->backing && res->backing->size < res->blob.size)
		err = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return err;
}

uint32_t gpu_resource_create_blob(struct gpu_resources *rs, struct gmem *mem,
	const struct gpu_request *r, const struct iovec *iov, unsigned n)
{
	struct gpu_resource *res;
	uint32_t err;

	if (!r->resource_id || gpu_resource_find(rs, r->resource_id))
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!is_blob(r, iov_size(iov, n)))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	err = create(rs, r->resource_id, &res);
	if (err)
		return err;
	res->blob = (struct gpu_blob){.mem = r->create_blob.mem,
		.flags = r->create_blob.flags,
		.size = r->create_blob.size};
	res->is_3d = res->blob.mem != VIRTIO_GPU_BLOB_MEM_GUEST;
	insert(rs, res);
	err = provide(rs, res, mem, r->create_blob.n_entries,
		iov_cursor_at(iov, n, GPU_WIRE_BLOB_ENTRIES_AT));
	if (err)
		gpu_resource_destroy(rs, res);
	return err;
}

/* ---- the guest's pixels ---- */

/* The place `off` bytes into the backing; off lies within it. */
static struct iov_cursor backing_at(const struct gpu_backing *b, uint64_t off)
{
	unsigned lo = 0, hi = b->n_iov - 1;

	while (lo < hi) {
		unsigned mid = (lo + hi + 1) / 2;

		if (b->at[mid] <= off)
			lo = mid;
		else
			hi = mid - 1;
	}
	return (struct iov_cursor){b->iov + lo, b->n_iov - lo, off - b->at[lo]};
}

/* stride: of what is read. */
static void copy_rect(
	struct dbuf *buf, const struct gpu_rect *r, struct iov_cursor from, uint32_t stride)
{
	uint8_t *to = buf->map + (size_t)r->y * buf->stride + (size_t)r->x * BYTES_A_PIXEL;
	size_t row = (size_t)r->width * BYTES_A_PIXEL;

	if (row == buf->stride && row == stride) {
		iov_cursor_read(&from, to, row * r->height);
		return;
	}
	for (uint32_t y = 0; y < r->height; y++, to += buf->stride) {
		if (y)
			iov_cursor_skip(&from, stride - row);
		iov_cursor_read(&from, to, row);
	}
}

uint32_t gpu_resource_transfer(struct gpu_resource *res, const struct gpu_request *r)
{
	const struct gpu_rect *rect = &r->transfer_2d.rect;
	const struct gpu_backing *b = res->backing;
	unsigned faults = gmem_faults();
	uint64_t len;

	if (!gpu_rect_within(rect, res->buf->width, res->buf->height))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (!b || !b->n_iov)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	len = (uint64_t)(rect->height - 1) * res->buf->stride + rect->width * BYTES_A_PIXEL;
	if (!range_within(r->transfer_2d.offset, len, b->size))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	copy_rect(res->buf, rect, backing_at(b, r->transfer_2d.offset), res->buf->stride);
	return gmem_faults() == faults ? 0 : VIRTIO_GPU_RESP_ERR_UNSPEC;
}

uint32_t gpu_resource_view(struct gpu_resources *rs, struct gpu_resource *res,
	const struct gpu_layout *l, struct dbuf **out)
{
	const struct gpu_backing *b = res->backing;
	const struct dbuf_layout layout = {
		l->width, l->height, l->stride, gpu_format_fourcc(l->format), l->offset};
	int err = dbuf_view_pages(&rs->budget, &layout, b->iov, b->n_iov, out);

	if (err < 0)
		err = dbuf_create(&rs->budget, l->width, l->height, layout.fourcc, out);
	return err < 0 ? (uint32_t)VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY : 0;
}

void gpu_resource_copy(const struct gpu_resource *res, const struct gpu_layout *l,
	const struct gpu_rect *rect, struct dbuf *to)
{
	uint64_t at = (uint64_t)rect->y * l->stride + (uint64_t)rect->x * BYTES_A_PIXEL;

	if (to->size)
		copy_rect(to, rect, backing_at(res->backing, l->offset + at), l->stride);
}
