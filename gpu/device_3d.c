/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "device_3d.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "remote.h"

enum { BIND_RENDER_TARGET = 1 << 1, BIND_SAMPLER_VIEW = 1 << 3, TARGET_2D = 2 };

/* ---- asking ---- */

uint32_t gpu_3d_error(int err)
{
	return err == -ENOMEM || err == -ENOBUFS || err == -EMFILE
		? (uint32_t)VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
		: (uint32_t)VIRTIO_GPU_RESP_ERR_UNSPEC;
}

/* The command's answer is that of the renderer, at its fence when it has one. */
static void prepare(struct gpu_device *gpu, struct gpu_cmd *cmd, struct renderer_message *m)
{
	cmd->done = gpu_cmd_end;
	m->fence = cmd->r.hdr.flags & VIRTIO_GPU_FLAG_FENCE ? 1 : 0;
	m->ring = gpu_fence_ring(cmd);
	gpu_fences_begin(&gpu->fences, cmd);
}

static void ask(struct remote *renderer, struct gpu_cmd *cmd, struct renderer_message *m)
{
	int err;

	prepare(cmd->gpu, cmd, m);
	err = remote_ask(renderer, m, -1, cmd);
	if (err < 0)
		cmd->done(cmd, gpu_3d_error(err));
}

static void ask_with(struct remote *renderer, struct gpu_cmd *cmd, struct renderer_message *m,
	struct iov_cursor from)
{
	int err;

	prepare(cmd->gpu, cmd, m);
	err = remote_ask_with(renderer, m, from, cmd);
	if (err < 0)
		cmd->done(cmd, gpu_3d_error(err));
}

void gpu_3d_tell(struct remote *renderer, struct renderer_message *m, int fd)
{
	int err = remote_ask(renderer, m, fd, NULL);

	if (err < 0 && err != -ENOTCONN)
		part_kill(&renderer->part, "does not keep up");
}

/* ---- capability sets ---- */

uint32_t gpu_3d_count_capsets(const struct gpu_device *gpu)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < gpu->n_renderers; i++)
		n += gpu->renderers[i]->n_capsets;
	return n;
}

/* Those of all renderers in a row. NULL: there are not so many. */
static const struct renderer_capset *capset_at(const struct gpu_device *gpu, uint32_t index)
{
	for (unsigned i = 0; i < gpu->n_renderers; i++) {
		const struct remote *r = gpu->renderers[i];

		if (index < r->n_capsets)
			return &r->capsets[index];
		index -= r->n_capsets;
	}
	return NULL;
}

void gpu_3d_get_capset_info(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct virtio_gpu_resp_capset_info resp = {0};
	const struct renderer_capset *c = capset_at(gpu, cmd->r.get_capset_info.index);

	if (!c) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		return;
	}
	resp.capset_id = to_le32(c->id);
	resp.capset_max_version = to_le32(c->max_version);
	resp.capset_max_size = to_le32(c->size);
	gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_CAPSET_INFO, &resp, sizeof(resp));
}

void gpu_3d_get_capset(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct {
		struct virtio_gpu_ctrl_hdr hdr;
		uint8_t bytes[RENDERER_CAPSET_BYTES];
	} resp;

	const struct renderer_capset *c;

	for (uint32_t i = 0; (c = capset_at(gpu, i)); i++) {
		if (c->id != cmd->r.get_capset.id || cmd->r.get_capset.version > c->max_version)
			continue;
		memcpy(resp.bytes, c->bytes, c->size);
		gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_CAPSET, &resp,
			(uint32_t)sizeof(resp.hdr) + c->size);
		return;
	}
	gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
}

/* ---- contexts ---- */

/* The context that a command is in. False, and the command has ended: there is none. */
static bool find_context(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_context **out)
{
	*out = gpu_context_find(&gpu->contexts, cmd->r.hdr.ctx_id);
	if (*out)
		return true;
	gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	return false;
}

static void context_made(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_context *c = gpu_context_find(&cmd->gpu->contexts, cmd->r.hdr.ctx_id);

	if (err && c)
		gpu_context_destroy(&cmd->gpu->contexts, c);
	gpu_cmd_end(cmd, err);
}

/* Who has contexts of this capability set; 0: the driver did not say of which. NULL: nobody. */
static struct remote *renderer_of(const struct gpu_device *gpu, uint32_t capset)
{
	for (unsigned i = 0; capset && i < gpu->n_renderers; i++)
		for (unsigned k = 0; k < gpu->renderers[i]->n_capsets; k++)
			if (gpu->renderers[i]->capsets[k].id == capset)
				return gpu->renderers[i];
	return capset ? NULL : gpu->renderers[0];
}

void gpu_3d_ctx_create(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct renderer_message m = {.what = RENDERER_CONTEXT_CREATE, .ctx = cmd->r.hdr.ctx_id};
	uint32_t capset = cmd->r.ctx_create.init & VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK;
	struct remote *renderer = renderer_of(gpu, capset);
	uint32_t err = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	int sent;

	if (renderer)
		err = gpu_context_create(&gpu->contexts, cmd->r.hdr.ctx_id, renderer);
	if (err) {
		gpu_cmd_end(cmd, err);
		return;
	}
	m.context.capset = capset;
	m.context.name_len = cmd->r.ctx_create.name_len;
	memcpy(m.context.name, cmd->r.ctx_create.name, m.context.name_len);
	prepare(gpu, cmd, &m);
	cmd->done = context_made;
	sent = remote_ask(renderer, &m, -1, cmd);
	if (sent < 0)
		cmd->done(cmd, gpu_3d_error(sent));
}

void gpu_3d_ctx_destroy(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct renderer_message m = {.what = RENDERER_CONTEXT_DESTROY, .ctx = cmd->r.hdr.ctx_id};
	struct remote *renderer;
	struct gpu_context *c;

	if (!find_context(gpu, cmd, &c))
		return;
	renderer = c->lost ? NULL : c->renderer;
	gpu_context_destroy(&gpu->contexts, c);
	if (renderer)
		ask(renderer, cmd, &m);
	else
		gpu_cmd_end(cmd, 0);
}

static void tell_with_pages(
	struct gpu_resource *res, struct renderer_message *m, struct gpu_cmd *cmd);
static void tell_backing(struct gpu_resource *res, struct gpu_cmd *cmd);

/* The renderer gets to know of the guest's pages. */
static void bring_in_blob(struct remote *to, struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_BLOB, .res = res->id};

	m.blob.mem = res->blob.mem;
	m.blob.flags = res->blob.flags;
	m.blob.size = res->blob.size;
	if (!res->backing->n_iov)
		return;
	res->renderer = to;
	tell_with_pages(res, &m, NULL);
}

/* One of 2D becomes known to the renderer: a texture of its own, with the same pixels. */
static void bring_in(struct remote *to, struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_CREATE, .res = res->id};
	const struct gpu_rect all = {0, 0, res->width, res->height};

	m.texture = (struct gpu_texture){.target = TARGET_2D,
		.format = res->texture.format,
		.bind = BIND_RENDER_TARGET | BIND_SAMPLER_VIEW,
		.width = res->width,
		.height = res->height,
		.depth = 1,
		.array_size = 1};
	gpu_3d_tell(to, &m, -1);
	res->renderer = to;
	gpu_3d_tell_buffer(res);
	gpu_3d_upload(res, &all);
	if (res->backing && res->backing->n_iov)
		tell_backing(res, NULL);
}

/* One of 3D says only by the first context that attaches it whose it is. */
static void move(struct remote *to, struct gpu_resource *res)
{
	struct renderer_message unref = {.what = RENDERER_UNREF, .res = res->id};
	struct renderer_message create = {
		.what = RENDERER_CREATE, .res = res->id, .texture = res->texture};

	gpu_3d_tell(res->renderer, &unref, -1);
	gpu_3d_tell(to, &create, -1);
	res->renderer = to;
	if (res->buf)
		gpu_3d_tell_buffer(res);
	if (res->backing && res->backing->n_iov)
		tell_backing(res, NULL);
}

/* Sees to it that the renderer has it, if it can be. A resource is known to one renderer at most. */
static void give(struct remote *to, struct gpu_resource *res)
{
	if (res->is_3d && !res->blob.mem && res->renderer && res->renderer != to
		&& !res->is_attached)
		move(to, res);
	else if (!res->is_3d && !res->renderer && res->blob.mem)
		bring_in_blob(to, res);
	else if (!res->is_3d && !res->renderer)
		bring_in(to, res);
}

void gpu_3d_ctx_resource(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	bool attach = cmd->r.hdr.type == VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE;
	struct renderer_message m = {
		.what = attach ? RENDERER_CONTEXT_ATTACH : RENDERER_CONTEXT_DETACH,
		.ctx = cmd->r.hdr.ctx_id,
		.res = cmd->r.resource_id};
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	struct gpu_context *c;

	/* Linux does so at each boot, with a context that it has not made, and complains of errors. */
	if (!attach && res && !gpu_context_find(&gpu->contexts, cmd->r.hdr.ctx_id)) {
		gpu_cmd_end(cmd, 0);
		return;
	}
	if (!find_context(gpu, cmd, &c))
		return;
	if (!res) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (attach && !c->lost)
		give(c->renderer, res);
	if (c->lost || res->renderer != c->renderer) {
		gpu_cmd_end(cmd, attach ? VIRTIO_GPU_RESP_ERR_UNSPEC : 0);
		return;
	}
	res->is_attached = true;
	ask(c->renderer, cmd, &m);
}

void gpu_3d_submit(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct renderer_message m = {.what = RENDERER_SUBMIT, .ctx = cmd->r.hdr.ctx_id};
	const struct iovec *iov = vq_req_out(&cmd->req);
	uint32_t size = cmd->r.submit.size;
	struct gpu_context *c;

	if (!find_context(gpu, cmd, &c))
		return;
	if (size % 4 || size > RENDERER_STREAM_MAX
		|| cmd->req.out_len < GPU_WIRE_STREAM_AT + size) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		return;
	}
	if (c->lost) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
		return;
	}
	m.bytes.size = size;
	if (!size) // only its fence is wanted
		ask(c->renderer, cmd, &m);
	else
		ask_with(c->renderer, cmd, &m,
			iov_cursor_at(iov, cmd->req.n_out, GPU_WIRE_STREAM_AT));
}

/* ---- resources ---- */

struct gpu_resource *gpu_3d_find_again(struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&cmd->gpu->resources, cmd->r.resource_id);

	return res && res->serial == cmd->serial ? res : NULL;
}

static void made(struct gpu_cmd *cmd, uint32_t err)
{
	struct gpu_resource *res = gpu_3d_find_again(cmd);

	if (err && res && !res->scanouts)
		gpu_resource_destroy(&cmd->gpu->resources, res);
	gpu_cmd_end(cmd, err);
}

void gpu_3d_create(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct renderer_message m = {
		.what = RENDERER_CREATE, .res = cmd->r.resource_id, .texture = cmd->r.create_3d};
	uint32_t err = gpu_resource_create_3d(&gpu->resources, &cmd->r);
	struct gpu_resource *res;
	int sent;

	if (err) {
		gpu_cmd_end(cmd, err);
		return;
	}
	res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	res->renderer = gpu->renderers[0];
	cmd->serial = res->serial;
	prepare(gpu, cmd, &m);
	cmd->done = made;
	sent = remote_ask(res->renderer, &m, -1, cmd);
	if (sent < 0)
		cmd->done(cmd, gpu_3d_error(sent));
}

void gpu_3d_create_blob(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct renderer_message m = {
		.what = RENDERER_BLOB, .ctx = cmd->r.hdr.ctx_id, .res = cmd->r.resource_id};
	struct gpu_context *c;
	struct gpu_resource *res;
	struct iovec entries = {0};
	uint32_t err;
	int sent;

	if (!find_context(gpu, cmd, &c))
		return;
	err = c->lost ? (uint32_t)VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
		      : gpu_resource_create_blob(&gpu->resources, cmd->req.mem, &cmd->r,
			      vq_req_out(&cmd->req), cmd->req.n_out);
	if (err) {
		gpu_cmd_end(cmd, err);
		return;
	}
	res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	res->renderer = c->renderer;
	cmd->serial = res->serial;
	prepare(gpu, cmd, &m);
	cmd->done = made;
	m.blob.mem = res->blob.mem;
	m.blob.flags = res->blob.flags;
	m.blob.id = cmd->r.create_blob.id;
	m.blob.size = res->blob.size;
	if (res->backing)
		entries = (struct iovec){res->backing->entries,
			res->backing->n_entries * sizeof(res->backing->entries[0])};
	m.bytes.size = (uint32_t)entries.iov_len;
	sent = entries.iov_len
		? remote_ask_with(c->renderer, &m, iov_cursor_at(&entries, 1, 0), cmd)
		: remote_ask(c->renderer, &m, -1, cmd);
	if (sent < 0)
		cmd->done(cmd, gpu_3d_error(sent));
}

void gpu_3d_export(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res,
	void (*done)(struct gpu_cmd *cmd, uint32_t err))
{
	struct renderer_message m = {.what = RENDERER_EXPORT, .res = res->id};
	int sent;

	cmd->serial = res->serial;
	prepare(gpu, cmd, &m);
	cmd->done = done;
	m.fence = 0; // the answer is the descriptor
	sent = remote_ask(res->renderer, &m, -1, cmd);
	if (sent < 0)
		cmd->done(cmd, gpu_3d_error(sent));
}

void gpu_3d_unref(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_UNREF, .res = res->id};
	struct remote *renderer = res->renderer;

	gpu_resource_destroy(&gpu->resources, res);
	ask(renderer, cmd, &m); // its pages are the guest's again when it is answered
}

/* With the pages as they are now; cmd may be NULL. */
static void tell_with_pages(
	struct gpu_resource *res, struct renderer_message *m, struct gpu_cmd *cmd)
{
	struct gpu_backing *b = res->backing;
	struct iovec entries = {b->entries, b->n_entries * sizeof(b->entries[0])};
	int err;

	m->bytes.size = (uint32_t)entries.iov_len;
	if (cmd) {
		ask_with(res->renderer, cmd, m, iov_cursor_at(&entries, 1, 0));
		return;
	}
	err = remote_ask_with(res->renderer, m, iov_cursor_at(&entries, 1, 0), NULL);
	if (err < 0 && err != -ENOTCONN)
		part_kill(&res->renderer->part, "does not keep up");
}

static void tell_backing(struct gpu_resource *res, struct gpu_cmd *cmd)
{
	struct renderer_message m = {.what = RENDERER_BACKING_ATTACH, .res = res->id};

	tell_with_pages(res, &m, cmd);
}

void gpu_3d_attach(struct gpu_cmd *cmd, struct gpu_resource *res)
{
	if (res->backing->n_entries)
		tell_backing(res, cmd);
	else
		gpu_cmd_end(cmd, 0);
}

void gpu_3d_detach(struct gpu_cmd *cmd, struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_BACKING_DETACH, .res = res->id};

	ask(res->renderer, cmd, &m);
}

/*
 * What lies where in the backing depends on the format, of which only the library knows how many bytes
 * it takes: it checks that the transfer ends within the pages.
 */
static uint32_t check_transfer(struct gpu_device *gpu, const struct gpu_request *r)
{
	const struct gpu_resource *res = gpu_resource_find(&gpu->resources, r->resource_id);
	const struct gpu_context *c = gpu_context_find(&gpu->contexts, r->hdr.ctx_id);

	if (!res || !res->is_3d)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (r->hdr.ctx_id && !c)
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	if (!res->renderer || (c && (c->lost || c->renderer != res->renderer)) || !res->backing
		|| !res->backing->n_iov)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if ((!res->blob.mem
		    && !gpu_texture_has(&res->texture, r->transfer_3d.level, &r->transfer_3d.box))
		|| r->transfer_3d.offset >= res->backing->size)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return 0;
}

void gpu_3d_transfer(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	const struct gpu_request *r = &cmd->r;
	bool to_host = r->hdr.type == VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D;
	struct renderer_message m = {.what = to_host ? RENDERER_TO_HOST : RENDERER_FROM_HOST,
		.ctx = r->hdr.ctx_id,
		.res = r->resource_id,
		.transfer = {r->transfer_3d.box, r->transfer_3d.offset, r->transfer_3d.level,
			r->transfer_3d.stride, r->transfer_3d.layer_stride}};
	uint32_t err = check_transfer(gpu, r);

	if (err)
		gpu_cmd_end(cmd, err);
	else
		ask(gpu_resource_find(&gpu->resources, r->resource_id)->renderer, cmd, &m);
}

/* ---- what happens to all ---- */

static void for_all(struct gpu_device *gpu, void (*run)(struct gpu_resource *res))
{
	struct gpu_resource *res;

	for (unsigned i = 0; i < GPU_RESOURCE_BUCKETS; i++)
		LIST_FOREACH (res, &gpu->resources.buckets[i], link)
			if (res->renderer)
				run(res);
}

static void take_pages(struct gpu_resource *res)
{
	struct renderer_message m = {.what = RENDERER_BACKING_DETACH, .res = res->id};

	if (res->backing)
		gpu_3d_tell(res->renderer, &m, -1);
}

static void give_pages(struct gpu_resource *res)
{
	if (res->backing && res->backing->n_iov)
		tell_backing(res, NULL);
}

void gpu_3d_memory(struct gpu_device *gpu, struct gmem *mem)
{
	for_all(gpu, take_pages);
	for (unsigned i = 0; i < gpu->n_renderers; i++)
		remote_set_memory(gpu->renderers[i], mem);
	for_all(gpu, give_pages);
}

void gpu_3d_lost(struct gpu_device *gpu, const struct remote *renderer)
{
	struct gpu_resource *res;

	gpu_contexts_lose(&gpu->contexts, renderer);
	for (unsigned i = 0; i < GPU_RESOURCE_BUCKETS; i++)
		LIST_FOREACH (res, &gpu->resources.buckets[i], link)
			if (res->renderer == renderer)
				res->renderer = NULL;
}

void gpu_3d_reset(struct gpu_device *gpu)
{
	gpu_3d_tell_copies(gpu);
	gpu_contexts_destroy(&gpu->contexts);
	for (unsigned i = 0; i < gpu->n_renderers; i++)
		remote_reset(gpu->renderers[i]);
}
