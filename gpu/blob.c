/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "blob.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/log.h"
#include "device_3d.h"
#include "remote.h"
#include "protocols/virtio_gpu.h"

/*
 * QEMU takes what it maps for memory of the guest, and tells us of each as a region: there have to be
 * places left for the guest's own.
 */
enum { CURSOR_SIDE = 64, MAPPED_MAX = GMEM_MAX_REGIONS - 125 };

static bool is_aligned(const struct gpu_device *gpu, uint64_t size)
{
	return !vhu_has_feature(gpu->vhu, VIRTIO_GPU_F_BLOB_ALIGNMENT) || size % gpu->cfg.page == 0;
}

void gpu_blob_create(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	uint32_t mem = cmd->r.create_blob.mem;
	bool of_host = mem == VIRTIO_GPU_BLOB_MEM_HOST3D || mem == VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;

	if (!is_aligned(gpu, cmd->r.create_blob.size) || (of_host && !gpu->n_renderers))
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	else if (of_host)
		gpu_3d_create_blob(gpu, cmd);
	else
		gpu_cmd_end(cmd,
			gpu_resource_create_blob(&gpu->resources, cmd->req.mem, &cmd->r,
				vq_req_out(&cmd->req), cmd->req.n_out));
}

/* ---- what is shown ---- */

static bool is_same(const struct gpu_layout *a, const struct gpu_layout *b)
{
	return a->width == b->width && a->height == b->height && a->format == b->format
		&& a->stride == b->stride && a->offset == b->offset;
}

/* A layout that is there already keeps its view: drivers go back and forth between two or three blobs. */
static uint32_t lay_out(
	struct gpu_device *gpu, struct gpu_resource *res, const struct gpu_layout *l)
{
	struct dbuf *buf;
	uint32_t err;

	if (res->buf && is_same(&res->layout, l))
		return 0;
	if (!res->backing->n_iov)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	err = gpu_resource_view(&gpu->resources, res, l, &buf);
	if (err)
		return err;
	dbuf_unref(res->buf);
	res->buf = buf;
	res->layout = *l;
	return 0;
}

static uint32_t check_scanout(const struct gpu_request *r, const struct gpu_resource *res)
{
	const struct gpu_layout *l = &r->set_scanout_blob.layout;
	const struct dbuf_layout layout = {
		l->width, l->height, l->stride, gpu_format_fourcc(l->format), l->offset};
	uint64_t end = dbuf_layout_end(&layout);

	if (!res || !res->blob.mem)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!layout.fourcc || !end || end > res->blob.size
		|| !gpu_rect_within(&r->set_scanout_blob.rect, l->width, l->height))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return 0;
}

static void show(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res)
{
	const struct gpu_request *r = &cmd->r;

	res->width = res->layout.width;
	res->height = res->layout.height;
	gpu_device_set_scanout(gpu, r->set_scanout_blob.scanout_id, res, &r->set_scanout_blob.rect);
	gpu_cmd_end(cmd, 0);
}

/* The file that the renderer's blob is in. Negative errno for one that does not hold all of it. */
static int check_file(const struct gpu_resource *res)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	struct stat st;

	if (!res->renderer || res->renderer->exported.fd < 0
		|| fstat(res->renderer->exported.fd, &st) < 0)
		return -EBADF;
	if (res->blob.size > UINT64_MAX - page
		|| !range_within(res->renderer->exported.offset, (res->blob.size + page) & ~page,
			(uint64_t)st.st_size))
		return -EINVAL;
	return 0;
}

static void show_exported(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_device *gpu = cmd->gpu;
	struct gpu_resource *res = gpu_3d_find_again(cmd);
	const struct gpu_layout *l = &cmd->r.set_scanout_blob.layout;
	struct dbuf_layout layout = {
		l->width, l->height, l->stride, gpu_format_fourcc(l->format), l->offset};
	struct dbuf *buf;

	if (!err && (!res || check_file(res) < 0))
		err = VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (!err) {
		layout.offset += res->renderer->exported.offset;
		if (dbuf_view_file(
			    &gpu->resources.budget, &layout, res->renderer->exported.fd, &buf)
			< 0)
			err = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	}
	if (err) {
		gpu_cmd_end(cmd, err);
		return;
	}
	dbuf_unref(res->buf);
	res->buf = buf;
	res->layout = *l;
	show(gpu, cmd, res);
}

void gpu_blob_set_scanout(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	const struct gpu_request *r = &cmd->r;
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, r->resource_id);
	bool exported;
	uint32_t err;

	if (r->set_scanout_blob.scanout_id >= VIRTIO_GPU_MAX_SCANOUTS) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
		return;
	}
	if (!r->resource_id) {
		gpu_device_set_scanout(gpu, r->set_scanout_blob.scanout_id, NULL, NULL);
		gpu_cmd_end(cmd, 0);
		return;
	}
	err = check_scanout(r, res);
	exported = !err && res->blob.mem == VIRTIO_GPU_BLOB_MEM_HOST3D
		&& !(res->buf && is_same(&res->layout, &r->set_scanout_blob.layout));
	if (exported && !res->renderer) {
		err = VIRTIO_GPU_RESP_ERR_UNSPEC; // it died
	} else if (exported) {
		gpu_3d_export(gpu, cmd, res, show_exported);
		return;
	}
	if (!err && res->backing)
		err = lay_out(gpu, res, &r->set_scanout_blob.layout);
	if (err)
		gpu_cmd_end(cmd, err);
	else
		show(gpu, cmd, res);
}

void gpu_blob_refresh(const struct gpu_scanout *s, const struct gpu_rect *rect)
{
	if (s->res->backing && s->res->backing->n_iov)
		gpu_resource_copy(s->res, &s->layout, rect, s->buf);
}

uint32_t gpu_blob_cursor(struct gpu_device *gpu, struct gpu_resource *res, struct dbuf **out)
{
	const struct gpu_layout l = {
		CURSOR_SIDE, CURSOR_SIDE, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, CURSOR_SIDE * 4, 0};
	const struct gpu_rect all = {0, 0, CURSOR_SIDE, CURSOR_SIDE};
	uint32_t err;

	if (!res->backing || !res->backing->n_iov
		|| res->blob.size < (uint64_t)l.stride * CURSOR_SIDE)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	err = gpu_resource_view(&gpu->resources, res, &l, out);
	if (!err)
		gpu_resource_copy(res, &l, &all, *out);
	return err;
}

/* ---- the window ---- */

static uint32_t error_of(int err)
{
	switch (err) {
	case -EINVAL:
	case -EBUSY:
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	case -ENOMEM:
	case -EMFILE:
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	default:
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
}

static void wait_for(struct gpu_device *gpu, struct gpu_cmd *cmd, uint32_t ticket,
	void (*done)(struct gpu_cmd *cmd, uint32_t err))
{
	cmd->seq = ticket;
	cmd->done = done;
	TAILQ_INSERT_TAIL(&gpu->at_front_end, cmd, link);
}

static void end_waiting(struct gpu_device *gpu, struct gpu_cmd *cmd, uint32_t err)
{
	TAILQ_REMOVE(&gpu->at_front_end, cmd, link);
	cmd->done(cmd, err);
}

void gpu_blob_answered(void *dev, uint32_t ticket, int result)
{
	struct gpu_device *gpu = dev;
	struct gpu_cmd *cmd;

	TAILQ_FOREACH (cmd, &gpu->at_front_end, link) {
		if (cmd->seq != ticket)
			continue;
		end_waiting(gpu, cmd, result < 0 ? (uint32_t)VIRTIO_GPU_RESP_ERR_UNSPEC : 0);
		return;
	}
}

void gpu_blob_release(struct gpu_device *gpu)
{
	while (!TAILQ_EMPTY(&gpu->at_front_end))
		end_waiting(gpu, TAILQ_FIRST(&gpu->at_front_end), VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static void mapped(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_resource *res = gpu_3d_find_again(cmd);
	struct virtio_gpu_resp_map_info resp = {0};

	if (err && res && res->blob.mapped && res->blob.ticket == cmd->seq)
		gpu_blob_forget(cmd->gpu, res);
	if (!err && !res)
		err = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (err) {
		gpu_cmd_end(cmd, err);
		return;
	}
	resp.map_info = (force_cast uint32_t)to_le32(res->blob.map_info);
	gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_MAP_INFO, &resp, sizeof(resp));
}

static void map_exported(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_device *gpu = cmd->gpu;
	struct gpu_resource *res = gpu_3d_find_again(cmd);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	struct vhu_shmem what = {.at = cmd->r.map_blob.offset};
	int r;

	if (err || !res) {
		gpu_cmd_end(cmd, err ? err : (uint32_t)VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	r = check_file(res);
	if (r < 0)
		log_peer("blob %u of %llu bytes cannot be mapped: %s", res->id,
			(unsigned long long)res->blob.size,
			r == -EINVAL ? "what the renderer gives is smaller" : "it has no memory");
	what.len = (res->blob.size + page) & ~page;
	what.fd = res->renderer->exported.fd;
	what.offset = res->renderer->exported.offset;
	if (r == 0)
		r = res->blob.mapped ? -EBUSY
			: gpu->n_mapped >= MAPPED_MAX
			? -ENOMEM
			: vhu_shmem_map(gpu->vhu, &what, &res->blob.ticket);
	if (r < 0) {
		gpu_cmd_end(cmd, error_of(r));
		return;
	}
	res->blob.mapped = true;
	gpu->n_mapped++;
	res->blob.at = what.at;
	res->blob.map_info = res->renderer->exported.map_info;
	wait_for(gpu, cmd, res->blob.ticket, mapped);
}

void gpu_blob_map(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	uint32_t err = 0;

	if (!res || !(res->blob.flags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE)
		|| res->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST)
		err = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	else if (res->blob.mapped || !res->renderer || !vhu_has_shmem(gpu->vhu))
		err = VIRTIO_GPU_RESP_ERR_UNSPEC;
	else if (!range_within(cmd->r.map_blob.offset, res->blob.size, gpu->cfg.hostmem)
		|| !is_aligned(gpu, cmd->r.map_blob.offset))
		err = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (err)
		gpu_cmd_end(cmd, err);
	else
		gpu_3d_export(gpu, cmd, res, map_exported);
}

void gpu_blob_unmap(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	uint32_t ticket;
	int r;

	if (!res || !res->blob.mem) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (!res->blob.mapped) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC);
		return;
	}
	res->blob.mapped = false;
	gpu->n_mapped--;
	r = vhu_shmem_unmap(gpu->vhu, res->blob.at, &ticket);
	gpu_fences_begin(&gpu->fences, cmd);
	if (r < 0)
		gpu_cmd_end(cmd, error_of(r));
	else
		wait_for(gpu, cmd, ticket, gpu_cmd_end);
}

void gpu_blob_forget(struct gpu_device *gpu, struct gpu_resource *res)
{
	uint32_t nobody;

	if (!res->blob.mapped)
		return;
	vhu_shmem_unmap(gpu->vhu, res->blob.at, &nobody);
	res->blob.mapped = false;
	gpu->n_mapped--;
}
