/* SPDX-License-Identifier: MIT */
/* What is shown of what the renderer draws. */
#include <string.h>

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

	cmd->serial = res->serial;
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
	res->stale = false;
	cmd->till_drawn = true;
	gpu_fences_pace(&cmd->gpu->fences, cmd);
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
