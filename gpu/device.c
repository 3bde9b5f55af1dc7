/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "device.h"

#include <string.h>
#include <sys/random.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "blob.h"
#include "damage.h"
#include "device_3d.h"
#include "edid.h"
#include "remote.h"
#include "protocols/virtio_gpu.h"

/* ---- the end of a command ---- */

void gpu_cmd_reply(struct gpu_cmd *cmd, uint32_t type, void *response, uint32_t len)
{
	struct virtio_gpu_ctrl_hdr hdr = gpu_wire_response(&cmd->r.hdr, type);

	memcpy(response, &hdr, sizeof(hdr));
	gpu_fences_end(&cmd->gpu->fences, cmd, vhu_write(&cmd->req, response, len));
}

void gpu_cmd_finish(struct gpu_cmd *cmd, uint32_t type)
{
	struct virtio_gpu_ctrl_hdr hdr;

	if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		log_peer("command 0x%x failed: 0x%x", cmd->r.hdr.type, type);
	gpu_cmd_reply(cmd, type, &hdr, sizeof(hdr));
}

void gpu_cmd_end(struct gpu_cmd *cmd, uint32_t err)
{
	gpu_cmd_finish(cmd, err ? err : VIRTIO_GPU_RESP_OK_NODATA);
}

void gpu_cmd_shown(struct gpu_cmd *cmd)
{
	if (--cmd->waits == 0)
		gpu_cmd_end(cmd, 0);
}

/* ---- display information ---- */

static void answer_display_info(struct gpu_cmd *cmd)
{
	const struct gpu_config *cfg = &cmd->gpu->cfg;
	struct virtio_gpu_resp_display_info info = {0};

	for (unsigned i = 0; i < cfg->n_outputs; i++) {
		struct gpu_rect r = {0, 0, cfg->outputs[i].width, cfg->outputs[i].height};

		info.pmodes[i].r = gpu_wire_rect(&r);
		info.pmodes[i].enabled = to_le32(1);
	}
	gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, &info, sizeof(info));
}

static void answer_edid(struct gpu_cmd *cmd)
{
	const struct gpu_config *cfg = &cmd->gpu->cfg;
	unsigned id = cmd->r.get_edid.scanout_id;
	const struct gpu_output *o = &cfg->outputs[id < cfg->n_outputs ? id : 0];
	struct virtio_gpu_resp_edid resp = {0};
	char name[] = "Virga  1";
	struct edid_info info = {.width = o->width, .height = o->height, .name = name};

	if (id + 1 >= 10)
		name[6] = '1';
	name[7] = (char)('0' + (id + 1) % 10);
	info.serial = id + 1;
	resp.size = to_le32((uint32_t)edid_generate(&info, resp.edid));
	gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_EDID, &resp, sizeof(resp));
}

void gpu_cmd_answer_locally(struct gpu_cmd *cmd)
{
	if (cmd->r.hdr.type == VIRTIO_GPU_CMD_GET_EDID)
		answer_edid(cmd);
	else
		answer_display_info(cmd);
}

static void ask_display(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	if (!gpu->qemu || !gpu->qemu->ops->query(gpu->qemu, cmd))
		gpu_cmd_answer_locally(cmd);
}

static void run_get_edid(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	if (cmd->r.get_edid.scanout_id >= VIRTIO_GPU_MAX_SCANOUTS)
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	else
		ask_display(gpu, cmd);
}

/* ---- scanouts ---- */

static void tell_displays(struct gpu_device *gpu, unsigned id, struct gpu_resource *res)
{
	struct gpu_scanout *s = &gpu->scanouts[id];
	struct gpu_frame frame;

	s->told_serial = res ? res->serial : 0;
	if (res) {
		s->told_rect = res->views[id];
		frame = (struct gpu_frame){s->buf ? s->buf : res->buf, s->told_rect,
			gpu_resource_shows_all(res, id) ? res->dmabuf : NULL};
	}
	for (unsigned i = 0; i < gpu->n_displays; i++)
		gpu->displays[i]->ops->scanout(gpu->displays[i], id, res ? &frame : NULL);
}

/*
 * What the renderer draws is told to displays by the flush that has read it: flushes of the last
 * picture may still be on their way. All else is told at once, and those come too late.
 */
void gpu_device_set_scanout(
	struct gpu_device *gpu, unsigned id, struct gpu_resource *res, const struct gpu_rect *rect)
{
	struct gpu_scanout *s = &gpu->scanouts[id];

	if (s->res)
		s->res->scanouts &= ~(1u << id);
	dbuf_unref(s->buf);
	s->res = res;
	s->buf = NULL;
	if (res) {
		res->scanouts |= 1u << id;
		res->views[id] = *rect;
	}
	if (res && res->blob.mem) {
		s->buf = dbuf_ref(res->buf);
		s->layout = res->layout;
	}
	if (res && gpu_resource_is_drawn(res))
		return;
	tell_displays(gpu, id, res);
	s->switched = ++gpu->switches;
}

static void run_set_scanout(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	const struct gpu_request *r = &cmd->r;
	unsigned id = r->set_scanout.scanout_id;
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, r->resource_id);
	uint32_t err = 0;

	if (id >= VIRTIO_GPU_MAX_SCANOUTS) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
		return;
	}
	if (r->resource_id && !res) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (res && res->blob.mem)
		err = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID; // how it lies is not said
	else if (res && !gpu_rect_within(&r->set_scanout.rect, res->width, res->height))
		err = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	else if (res)
		err = gpu_3d_show(gpu, res);
	if (!err)
		gpu_device_set_scanout(gpu, id, res, &r->set_scanout.rect);
	gpu_cmd_end(cmd, err);
}

static void flush_scanout(struct gpu_cmd *cmd, unsigned id, struct gpu_resource *res)
{
	struct gpu_device *gpu = cmd->gpu;
	const struct gpu_scanout *s = &gpu->scanouts[id];
	const struct gpu_rect *view = &res->views[id];
	struct gpu_rect damage = rect_intersect(&cmd->r.flush.rect, view);

	if (!damage.width || s->switched > cmd->switches)
		return;
	if (s->told_serial != res->serial || memcmp(&s->told_rect, view, sizeof(*view)))
		tell_displays(gpu, id, res);
	if (s->buf)
		gpu_blob_refresh(s, &damage);
	damage.x -= view->x;
	damage.y -= view->y;
	for (unsigned i = 0; i < gpu->n_displays; i++) {
		cmd->waits++;
		gpu->displays[i]->ops->flush(gpu->displays[i], id, &damage, cmd);
	}
}

void gpu_device_show(struct gpu_cmd *cmd, struct gpu_resource *res)
{
	cmd->waits = 1; // not to end before all displays have it
	for (unsigned id = 0; cmd->shown_on >> id; id++)
		if (cmd->shown_on >> id & 1)
			flush_scanout(cmd, id, res);
	gpu_cmd_shown(cmd);
}

static void run_flush(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	if (!res) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (res->blob.mem && !res->buf) { // shown nowhere, and of no measures
		gpu_cmd_end(cmd, 0);
		return;
	}
	if (!gpu_rect_within(&cmd->r.flush.rect, res->width, res->height)) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		return;
	}
	cmd->till_drawn = false;
	cmd->shown_on = res->scanouts;
	cmd->switches = gpu->switches;
	if (gpu_resource_is_drawn(res))
		gpu_3d_flush(cmd, res);
	else
		gpu_device_show(cmd, res);
}

/* ---- the cursor ---- */

static void show_cursor(struct gpu_cmd *cmd, struct dbuf *buf)
{
	struct gpu_device *gpu = cmd->gpu;
	const struct gpu_request *r = &cmd->r;
	unsigned id = r->cursor.scanout_id;
	const struct gpu_cursor cursor = {
		gpu->cursors[id].x, gpu->cursors[id].y, r->cursor.hot_x, r->cursor.hot_y, buf};

	for (unsigned i = 0; i < gpu->n_displays; i++)
		if (gpu->displays[i]->ops->cursor)
			gpu->displays[i]->ops->cursor(gpu->displays[i], id, &cursor);
	gpu_cmd_end(cmd, 0);
}

void gpu_device_show_cursor(struct gpu_cmd *cmd, struct gpu_resource *res)
{
	show_cursor(cmd, res ? res->buf : NULL);
}

static void show_cursor_blob(struct gpu_device *gpu, struct gpu_cmd *cmd, struct gpu_resource *res)
{
	struct dbuf *buf = NULL;
	uint32_t err = gpu_blob_cursor(gpu, res, &buf);

	if (err)
		gpu_cmd_end(cmd, err);
	else
		show_cursor(cmd, buf);
	dbuf_unref(buf);
}

static void move_cursor(struct gpu_cmd *cmd)
{
	struct gpu_device *gpu = cmd->gpu;
	const struct gpu_request *r = &cmd->r;

	for (unsigned i = 0; i < gpu->n_displays; i++)
		if (gpu->displays[i]->ops->cursor_move)
			gpu->displays[i]->ops->cursor_move(
				gpu->displays[i], r->cursor.scanout_id, r->cursor.x, r->cursor.y);
	gpu_cmd_end(cmd, 0);
}

static void run_cursor(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	const struct gpu_request *r = &cmd->r;
	unsigned id = r->cursor.scanout_id;
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, r->resource_id);
	bool move = r->hdr.type == VIRTIO_GPU_CMD_MOVE_CURSOR;

	if (id >= VIRTIO_GPU_MAX_SCANOUTS) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
		return;
	}
	if (!move && r->resource_id && !res) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	gpu->cursors[id] = (struct gpu_cursor_place){r->cursor.x, r->cursor.y};
	if (move)
		move_cursor(cmd);
	else if (res && res->blob.mem)
		show_cursor_blob(gpu, cmd, res);
	else if (res && res->renderer)
		gpu_3d_cursor(gpu, cmd, res);
	else
		gpu_device_show_cursor(cmd, res);
}

/* ---- resources ---- */

static void run_create_2d(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	gpu_cmd_end(cmd, gpu_resource_create_2d(&gpu->resources, &cmd->r));
}

static void run_unref(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	if (!res) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	for (unsigned id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++)
		if (gpu->scanouts[id].res == res)
			gpu_device_set_scanout(gpu, id, NULL, NULL);
	gpu_blob_forget(gpu, res);
	if (res->renderer) {
		gpu_3d_unref(gpu, cmd, res);
		return;
	}
	gpu_resource_destroy(&gpu->resources, res);
	gpu_cmd_end(cmd, 0);
}

static void run_transfer(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	uint32_t err = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;

	if (res && res->backing && res->blob.mem)
		err = 0; // it lies there already: Linux asks for it with cursors
	else if (res && !res->is_3d)
		err = gpu_resource_transfer(res, &cmd->r);
	if (!err && gpu_resource_is_drawn(res))
		gpu_3d_upload(res, &cmd->r.transfer_2d.rect);
	gpu_cmd_end(cmd, err);
}

static void run_attach(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	uint32_t err = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;

	if (res)
		err = gpu_resource_attach(&gpu->resources, res, cmd->req.mem, &cmd->r,
			vq_req_out(&cmd->req), cmd->req.n_out);
	if (!err && res->renderer)
		gpu_3d_attach(cmd, res);
	else
		gpu_cmd_end(cmd, err);
}

static void run_detach(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	if (!res || res->blob.mem) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	gpu_resource_detach(&gpu->resources, res);
	if (res->renderer)
		gpu_3d_detach(cmd, res);
	else
		gpu_cmd_end(cmd, 0);
}

/* A random UUID (RFC 9562, 5.4), the same for as long as the resource lives (5.7.6.8). */
static void run_assign_uuid(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	struct virtio_gpu_resp_resource_uuid resp = {0};

	if (!res) {
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (!res->has_uuid) {
		if (getrandom(res->uuid, sizeof(res->uuid), GRND_NONBLOCK) != sizeof(res->uuid)) {
			gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC);
			return;
		}
		res->uuid[6] = (uint8_t)((res->uuid[6] & 0x0f) | 0x40);
		res->uuid[8] = (uint8_t)((res->uuid[8] & 0x3f) | 0x80);
		res->has_uuid = true;
	}
	memcpy(resp.uuid, res->uuid, sizeof(resp.uuid));
	gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_RESOURCE_UUID, &resp, sizeof(resp));
}

/* ---- the command table ---- */

struct command {
	uint32_t type;
	unsigned queue;
	void (*run)(struct gpu_device *gpu, struct gpu_cmd *cmd);
	bool is_3d; // there must be a renderer
};

static const struct command commands[] = {
	{VIRTIO_GPU_CMD_GET_DISPLAY_INFO, GPU_CONTROL_QUEUE, ask_display},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, GPU_CONTROL_QUEUE, run_create_2d},
	{VIRTIO_GPU_CMD_RESOURCE_UNREF, GPU_CONTROL_QUEUE, run_unref},
	{VIRTIO_GPU_CMD_SET_SCANOUT, GPU_CONTROL_QUEUE, run_set_scanout},
	{VIRTIO_GPU_CMD_RESOURCE_FLUSH, GPU_CONTROL_QUEUE, run_flush},
	{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, GPU_CONTROL_QUEUE, run_transfer},
	{VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, GPU_CONTROL_QUEUE, run_attach},
	{VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, GPU_CONTROL_QUEUE, run_detach},
	{VIRTIO_GPU_CMD_GET_EDID, GPU_CONTROL_QUEUE, run_get_edid},
	{VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, GPU_CONTROL_QUEUE, run_assign_uuid},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, GPU_CONTROL_QUEUE, gpu_blob_create},
	{VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, GPU_CONTROL_QUEUE, gpu_blob_set_scanout},
	{VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, GPU_CONTROL_QUEUE, gpu_blob_map, true},
	{VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, GPU_CONTROL_QUEUE, gpu_blob_unmap, true},
	{VIRTIO_GPU_CMD_GET_CAPSET_INFO, GPU_CONTROL_QUEUE, gpu_3d_get_capset_info, true},
	{VIRTIO_GPU_CMD_GET_CAPSET, GPU_CONTROL_QUEUE, gpu_3d_get_capset, true},
	{VIRTIO_GPU_CMD_CTX_CREATE, GPU_CONTROL_QUEUE, gpu_3d_ctx_create, true},
	{VIRTIO_GPU_CMD_CTX_DESTROY, GPU_CONTROL_QUEUE, gpu_3d_ctx_destroy, true},
	{VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, GPU_CONTROL_QUEUE, gpu_3d_ctx_resource, true},
	{VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, GPU_CONTROL_QUEUE, gpu_3d_ctx_resource, true},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, GPU_CONTROL_QUEUE, gpu_3d_create, true},
	{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, GPU_CONTROL_QUEUE, gpu_3d_transfer, true},
	{VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, GPU_CONTROL_QUEUE, gpu_3d_transfer, true},
	{VIRTIO_GPU_CMD_SUBMIT_3D, GPU_CONTROL_QUEUE, gpu_3d_submit, true},
	{VIRTIO_GPU_CMD_UPDATE_CURSOR, GPU_CURSOR_QUEUE, run_cursor},
	{VIRTIO_GPU_CMD_MOVE_CURSOR, GPU_CURSOR_QUEUE, run_cursor},
};

static const struct command *find_command(unsigned queue, uint32_t type)
{
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].type == type && commands[i].queue == queue)
			return &commands[i];
	return NULL;
}

static void on_request(void *dev, unsigned queue, struct vq_req *req)
{
	struct gpu_cmd *cmd = CONTAINER_OF(req, struct gpu_cmd, req);
	struct gpu_device *gpu = dev;
	uint32_t err = gpu_wire_decode(vq_req_out(req), req->n_out, &cmd->r);
	const struct command *command = find_command(queue, cmd->r.hdr.type);

	cmd->gpu = gpu;
	cmd->queue = queue;
	cmd->fence = (struct gpu_fence){0};
	if (queue == GPU_CONTROL_QUEUE)
		gpu_fences_arrived(&gpu->fences, cmd);
	if (err || !command || (command->is_3d && !gpu->n_renderers))
		gpu_cmd_end(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC);
	else
		command->run(gpu, cmd);
}

/* ---- what the core calls ---- */

/* What displays hold may have come from this ring: flushes and queries are of the control queue. */
static void on_queue_stop(void *dev, unsigned queue)
{
	struct gpu_device *gpu = dev;

	for (unsigned i = 0; i < gpu->n_renderers; i++)
		remote_release(gpu->renderers[i], queue, 0);
	if (queue != GPU_CONTROL_QUEUE)
		return;
	for (unsigned i = 0; i < gpu->n_displays; i++)
		gpu->displays[i]->ops->release(gpu->displays[i]);
	gpu_blob_release(gpu);
	gpu_fences_release(&gpu->fences);
}

static void on_reset(void *dev)
{
	struct gpu_device *gpu = dev;
	const struct gpu_cursor hidden = {0};

	for (unsigned id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++) {
		gpu_device_set_scanout(gpu, id, NULL, NULL);
		for (unsigned i = 0; i < gpu->n_displays; i++)
			if (gpu->displays[i]->ops->cursor)
				gpu->displays[i]->ops->cursor(gpu->displays[i], id, &hidden);
	}
	gpu_resource_destroy_all(&gpu->resources);
	gpu->n_mapped = 0;
	gpu_3d_reset(gpu);
}

static void on_memory(void *dev, struct gmem *mem)
{
	struct gpu_device *gpu = dev;

	gpu_resources_move(&gpu->resources, mem);
	gpu_3d_memory(gpu, mem);
}

/* The memory of a front-end that has left is nobody's here, nor in the renderer. */
static void on_connection(void *dev, struct vhu *vhu)
{
	struct gpu_device *gpu = dev;

	gpu->vhu = vhu;
	for (unsigned i = 0; !vhu && i < gpu->n_renderers; i++)
		remote_set_memory(gpu->renderers[i], NULL);
}

static size_t get_config(void *dev, void *space)
{
	const struct gpu_device *gpu = dev;
	bool aligned = gpu->vhu_device.features >> VIRTIO_GPU_F_BLOB_ALIGNMENT & 1;
	const struct virtio_gpu_space c = {
		.num_scanouts = to_le32(gpu->cfg.n_outputs),
		.num_capsets = to_le32(gpu_3d_count_capsets(gpu)),
		.blob_alignment = to_le32(aligned ? gpu->cfg.page : 0),
	};

	memcpy(space, &c, sizeof(c));
	return sizeof(c);
}

static void on_gpu_socket(void *dev, int fd)
{
	struct gpu_device *gpu = dev;

	if (gpu->qemu)
		display_qemu_connect(gpu->qemu, fd);
	else
		fd_close(&fd);
}

const struct vhu_device gpu_vhu_device = {
	.name = "gpu",
	.n_queues = GPU_QUEUES,
	.features = BIT(VIRTIO_GPU_F_EDID) | BIT(VIRTIO_GPU_F_RESOURCE_UUID)
		| BIT(VIRTIO_GPU_F_RESOURCE_BLOB),
	.req_size = sizeof(struct gpu_cmd),
	.iov_per_req = 8,
	.request = on_request,
	.queue_stop = on_queue_stop,
	.reset = on_reset,
	.memory = on_memory,
	.get_config = get_config,
	.connection = on_connection,
	.gpu_socket = on_gpu_socket,
	.shmem_id = VIRTIO_GPU_SHM_ID_HOST_VISIBLE,
	.shmem_answered = gpu_blob_answered,
};

void gpu_device_init(struct gpu_device *gpu, const struct gpu_config *cfg)
{
	*gpu = (struct gpu_device){.cfg = *cfg, .vhu_device = gpu_vhu_device};
	gpu_resources_init(&gpu->resources, cfg->max_hostmem, cfg->max_resources);
	gpu_fences_init(&gpu->fences);
	TAILQ_INIT(&gpu->at_front_end);
}

void gpu_device_add_display(struct gpu_device *gpu, struct display *d)
{
	gpu->displays[gpu->n_displays++] = d;
	if (d->ops->query)
		gpu->qemu = d;
}

void gpu_device_add_renderer(struct gpu_device *gpu, struct remote *renderer)
{
	gpu->renderers[gpu->n_renderers++] = renderer;
	gpu->vhu_device.features |= BIT(VIRTIO_GPU_F_VIRGL) | BIT(VIRTIO_GPU_F_CONTEXT_INIT);
	gpu->vhu_device.shmem_size = gpu->cfg.hostmem;
	/* Every guest knows of 4 KiB; told of them, those that round nothing up themselves would fail. */
	if (gpu->cfg.hostmem && gpu->cfg.page > 4096)
		gpu->vhu_device.features |= BIT(VIRTIO_GPU_F_BLOB_ALIGNMENT);
}

void gpu_device_finish(struct gpu_device *gpu)
{
	gpu_3d_tell_copies(gpu);
	gpu_contexts_destroy(&gpu->contexts);
	gpu_resource_destroy_all(&gpu->resources);
	for (unsigned i = 0; i < gpu->n_displays; i++)
		gpu->displays[i]->ops->destroy(gpu->displays[i]);
}
