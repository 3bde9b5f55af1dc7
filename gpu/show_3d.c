/* SPDX-License-Identifier: MIT */
/* What is shown of what the renderer draws. */
#define LOG_TOPIC "gpu"
#include <drm_fourcc.h>
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "damage.h"
#include "device_3d.h"
#include "remote.h"

void gpu_3d_tell_buffer(struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_BUFFER,
		.res = res->id,
		.buffer = {res->buf->stride, res->buf->size}};

	gpu_3d_tell(res->renderer, &m, res->buf->fd);
}

void gpu_3d_upload(struct gpu_resource *res, const struct gpu_rect *rect)
{
	struct renderer_message m = {.what = RENDERER_UPLOAD, .res = res->id, .rect = *rect};

	gpu_3d_tell(res->renderer, &m, -1);
}

uint32_t gpu_3d_show(struct gpu_device *gpu, struct gpu_resource *res)
{
	uint32_t err;

	res->stale = true;
	if (res->buf)
		return 0;
	err = gpu_resource_make_buffer(&gpu->resources, res);
	if (!err && res->renderer)
		gpu_3d_tell_buffer(res);
	return err;
}

/* A renderer that fails has still the picture from before. */
static void flushed(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_resource *res = gpu_3d_find_again(cmd);

	if (err && res)
		res->stale = true;
	if (!res || (err && res->is_3d))
		gpu_cmd_end(cmd, err);
	else
		gpu_device_show(cmd, res);
}

/* All that scanouts show of it, or of that what the flush names. */
static struct gpu_rect shown_part(const struct gpu_resource *res)
{
	struct damage all = {0};

	for (unsigned id = 0; res->scanouts >> id; id++)
		if (res->scanouts >> id & 1)
			damage_add(&all, &res->views[id]);
	if (all.n == 1)
		return all.rects[0];
	return (struct gpu_rect){0, 0, res->width, res->height};
}

static void ask_for_pixels(
	struct gpu_cmd *cmd, struct gpu_resource *res, const struct gpu_rect *rect)
{
	struct renderer_message m = {.what = RENDERER_SHOW, .res = res->id, .rect = *rect};
	int err;

	cmd->gpu->copied.frames++;
	cmd->gpu->copied.pixels += (uint64_t)rect->width * rect->height;
	cmd->serial = res->serial;
	err = remote_ask(res->renderer, &m, -1, cmd);
	if (err < 0)
		cmd->done(cmd, gpu_3d_error(err));
}

void gpu_3d_tell_copies(struct gpu_device *gpu)
{
	if (gpu->copied.frames || gpu->copied.not_at_all)
		log_info("drawn by the renderer: %llu frames shown as they lay, %llu copied (%llu "
			 "pixels)",
			(unsigned long long)gpu->copied.not_at_all,
			(unsigned long long)gpu->copied.frames,
			(unsigned long long)gpu->copied.pixels);
	memset(&gpu->copied, 0, sizeof(gpu->copied));
}

/* ---- as a dmabuf ---- */

/* Fourccs whose fourth byte is alpha: what lies there is not for a screen. */
static uint32_t opaque(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_ARGB8888:
		return DRM_FORMAT_XRGB8888;
	case DRM_FORMAT_ABGR8888:
		return DRM_FORMAT_XBGR8888;
	case DRM_FORMAT_RGBA8888:
		return DRM_FORMAT_RGBX8888;
	case DRM_FORMAT_BGRA8888:
		return DRM_FORMAT_BGRX8888;
	case DRM_FORMAT_XRGB8888:
	case DRM_FORMAT_XBGR8888:
	case DRM_FORMAT_RGBX8888:
	case DRM_FORMAT_BGRX8888:
		return fourcc;
	default:
		return 0;
	}
}

/* The resource of this question; what is not the answer to one is of none. */
static struct gpu_resource *find_asked(
	struct gpu_device *gpu, const struct remote *renderer, uint32_t seq)
{
	struct gpu_resource *res;

	for (unsigned i = 0; i < GPU_RESOURCE_BUCKETS; i++)
		LIST_FOREACH (res, &gpu->resources.buckets[i], link)
			if (res->export == EXPORT_ASKED && res->renderer == renderer
				&& res->export_seq == seq)
				return res;
	return NULL;
}

void gpu_3d_dmabuf(struct gpu_device *gpu, const struct remote *renderer,
	const struct renderer_dmabuf *d, int *fd)
{
	struct gpu_resource *res = find_asked(gpu, renderer, d->seq);
	struct dbuf like = {.stride = d->stride,
		.fourcc = opaque(d->fourcc),
		.modifier = d->modifier,
		.flipped = res && res->texture.flags & VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP};
	int r;

	if (!res || *fd < 0)
		return;
	res->export = EXPORT_DONE;
	like.width = res->width;
	like.height = res->height;
	r = like.fourcc ? dbuf_import(&like, *fd, &res->dmabuf) : -EINVAL;
	if (r < 0) {
		log_peer("resource %u cannot be shown as it lies: fourcc 0x%x, %u bytes a row, "
			 "modifier 0x%llx: %s",
			res->id, d->fourcc, d->stride, (unsigned long long)d->modifier,
			strerror(-r));
		return;
	}
	*fd = -1;
}

static void ask_for_export(struct gpu_device *gpu, struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_DMABUF, .res = res->id};

	if (res->export != EXPORT_UNASKED || !res->is_3d || !gpu->cfg.dmabufs
		|| !res->renderer->has_dmabufs)
		return;
	gpu_3d_tell(res->renderer, &m, -1);
	res->export = EXPORT_ASKED;
	res->export_seq = m.seq;
}

/* Somebody is to see it who does not take it as it lies. What has been asked for is hoped for. */
static bool wants_pixels(const struct gpu_device *gpu, const struct gpu_resource *res)
{
	if (!res->dmabuf && res->export != EXPORT_ASKED)
		return true;
	for (unsigned id = 0; res->scanouts >> id; id++)
		if (res->scanouts >> id & 1 && !gpu_resource_shows_all(res, id))
			return true;
	for (unsigned i = 0; i < gpu->n_displays; i++) {
		const struct display_ops *ops = gpu->displays[i]->ops;

		if (!ops->takes || !ops->takes(gpu->displays[i], res->dmabuf))
			return true;
	}
	return false;
}

/* All is drawn; displays, and what came of the export, may be others by now. */
static void drawn(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_resource *res = gpu_3d_find_again(cmd);
	struct gpu_rect shown;

	if (res && res->export == EXPORT_ASKED)
		res->export = EXPORT_DONE;
	if (err || !res || !res->scanouts || !wants_pixels(cmd->gpu, res)) {
		cmd->gpu->copied.not_at_all++;
		flushed(cmd, err);
		return;
	}
	shown = shown_part(res);
	res->stale = false;
	cmd->done = flushed;
	ask_for_pixels(cmd, res, &shown);
}

/* Its buffer is behind from now on. */
static void finish_drawing(struct gpu_cmd *cmd, struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_FINISH, .fence = 1, .ring = RENDERER_GLOBAL};
	int err;

	res->stale = true;
	cmd->serial = res->serial;
	cmd->done = drawn;
	err = remote_ask(res->renderer, &m, -1, cmd);
	if (err < 0)
		cmd->done(cmd, gpu_3d_error(err));
}

void gpu_3d_flush(struct gpu_cmd *cmd, struct gpu_resource *res)
{
	struct gpu_rect shown = shown_part(res), rect = shown;

	if (!res->scanouts) {
		gpu_cmd_end(cmd, 0);
		return;
	}
	if (!res->stale)
		rect = rect_intersect(&cmd->r.flush.rect, &shown);
	if (!rect.width) {
		gpu_cmd_end(cmd, 0);
		return;
	}
	cmd->till_drawn = true;
	gpu_fences_pace(&cmd->gpu->fences, cmd);
	ask_for_export(cmd->gpu, res);
	if (!wants_pixels(cmd->gpu, res)) {
		finish_drawing(cmd, res);
		return;
	}
	res->stale = false;
	cmd->done = flushed;
	ask_for_pixels(cmd, res, &rect);
}

static void cursor_read(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_resource *res = gpu_3d_find_again(cmd);

	if (err || !res)
		gpu_cmd_end(cmd, err);
	else
		gpu_device_show_cursor(cmd, res);
}

void gpu_3d_cursor(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res)
{
	const struct gpu_rect all = {0, 0, res->width, res->height};
	uint32_t err = gpu_3d_show(gpu, res);

	if (err) {
		gpu_cmd_end(cmd, err);
		return;
	}
	cmd->done = cursor_read;
	ask_for_pixels(cmd, res, &all);
}
