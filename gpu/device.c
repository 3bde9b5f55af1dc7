/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "device.h"

#include <string.h>
#include <sys/random.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "damage.h"
#include "edid.h"

/* ---- the end of a command ---- */

void gpu_cmd_reply(struct gpu_cmd *cmd, uint32_t type, void *response, uint32_t len)
{
	struct virtio_gpu_ctrl_hdr hdr = gpu_wire_response(&cmd->r.hdr, type);

	memcpy(response, &hdr, sizeof(hdr));
	vhu_finish(&cmd->req, response, len);
}

void gpu_cmd_finish(struct gpu_cmd *cmd, uint32_t type)
{
	struct virtio_gpu_ctrl_hdr hdr;

	if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC)
		log_peer("command 0x%x failed: 0x%x", cmd->r.hdr.type, type);
	gpu_cmd_reply(cmd, type, &hdr, sizeof(hdr));
}

/* err: 0 or a VIRTIO_GPU_RESP_ERR_* */
static void finish(struct gpu_cmd *cmd, uint32_t err)
{
	gpu_cmd_finish(cmd, err ? err : VIRTIO_GPU_RESP_OK_NODATA);
}

void gpu_cmd_shown(struct gpu_cmd *cmd)
{
	if (--cmd->waits == 0)
		finish(cmd, 0);
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
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	else
		ask_display(gpu, cmd);
}

/* ---- scanouts ---- */

static void set_scanout(
	struct gpu_device *gpu, unsigned id, struct gpu_resource *res, const struct gpu_rect *rect)
{
	struct gpu_scanout *s = &gpu->scanouts[id];
	struct gpu_frame frame;

	if (s->res)
		s->res->scanouts &= ~(1u << id);
	*s = (struct gpu_scanout){.res = res};
	if (res) {
		res->scanouts |= 1u << id;
		s->rect = *rect;
		frame = (struct gpu_frame){res->buf, *rect};
	}
	for (unsigned i = 0; i < gpu->n_displays; i++)
		gpu->displays[i]->ops->scanout(gpu->displays[i], id, res ? &frame : NULL);
}

static void run_set_scanout(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	const struct gpu_request *r = &cmd->r;
	unsigned id = r->set_scanout.scanout_id;
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, r->resource_id);

	if (id >= VIRTIO_GPU_MAX_SCANOUTS) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
		return;
	}
	if (r->resource_id && !res) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (res && !gpu_rect_within(&r->set_scanout.rect, res->buf->width, res->buf->height)) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		return;
	}
	set_scanout(gpu, id, res, &r->set_scanout.rect);
	finish(cmd, 0);
}

static void flush_scanout(struct gpu_device *gpu, unsigned id, struct gpu_cmd *cmd)
{
	const struct gpu_scanout *s = &gpu->scanouts[id];
	struct gpu_rect damage = rect_intersect(&cmd->r.flush.rect, &s->rect);

	if (!damage.width)
		return;
	damage.x -= s->rect.x;
	damage.y -= s->rect.y;
	for (unsigned i = 0; i < gpu->n_displays; i++) {
		cmd->waits++;
		gpu->displays[i]->ops->flush(gpu->displays[i], id, &damage, cmd);
	}
}

static void run_flush(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	if (!res) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (!gpu_rect_within(&cmd->r.flush.rect, res->buf->width, res->buf->height)) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
		return;
	}
	cmd->waits = 1; // not to end before all displays have it
	for (unsigned id = 0; res->scanouts >> id; id++)
		if (res->scanouts >> id & 1)
			flush_scanout(gpu, id, cmd);
	gpu_cmd_shown(cmd);
}

/* ---- the cursor ---- */

static void run_cursor(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	const struct gpu_request *r = &cmd->r;
	unsigned id = r->cursor.scanout_id;
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, r->resource_id);
	bool move = r->hdr.type == VIRTIO_GPU_CMD_MOVE_CURSOR;
	const struct gpu_cursor cursor = {
		r->cursor.x, r->cursor.y, r->cursor.hot_x, r->cursor.hot_y, res ? res->buf : NULL};

	if (id >= VIRTIO_GPU_MAX_SCANOUTS) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
		return;
	}
	if (!move && r->resource_id && !res) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	for (unsigned i = 0; i < gpu->n_displays; i++) {
		struct display *d = gpu->displays[i];

		if (!d->ops->cursor)
			continue;
		if (move)
			d->ops->cursor_move(d, id, r->cursor.x, r->cursor.y);
		else
			d->ops->cursor(d, id, &cursor);
	}
	finish(cmd, 0);
}

/* ---- resources ---- */

static void run_create_2d(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	finish(cmd, gpu_resource_create_2d(&gpu->resources, &cmd->r));
}

static void run_unref(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	if (!res) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	for (unsigned id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++)
		if (gpu->scanouts[id].res == res)
			set_scanout(gpu, id, NULL, NULL);
	gpu_resource_destroy(&gpu->resources, res);
	finish(cmd, 0);
}

static void run_transfer(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	finish(cmd,
		res ? gpu_resource_transfer(res, &cmd->r)
		    : (uint32_t)VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

static void run_attach(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	finish(cmd,
		res ? gpu_resource_attach(&gpu->resources, res, cmd->req.mem, &cmd->r,
			vq_req_out(&cmd->req), cmd->req.n_out)
		    : (uint32_t)VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

static void run_detach(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);

	if (!res) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	gpu_resource_detach(&gpu->resources, res);
	finish(cmd, 0);
}

/* A random UUID (RFC 9562, 5.4), the same for as long as the resource lives (5.7.6.8). */
static void run_assign_uuid(struct gpu_device *gpu, struct gpu_cmd *cmd)
{
	struct gpu_resource *res = gpu_resource_find(&gpu->resources, cmd->r.resource_id);
	struct virtio_gpu_resp_resource_uuid resp = {0};

	if (!res) {
		finish(cmd, VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
		return;
	}
	if (!res->has_uuid) {
		if (getrandom(res->uuid, sizeof(res->uuid), GRND_NONBLOCK) != sizeof(res->uuid)) {
			finish(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC);
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
	uint32_t err = gpu_wire_decode(vq_req_out(req), req->n_out, &cmd->r);
	const struct command *command = find_command(queue, cmd->r.hdr.type);

	cmd->gpu = dev;
	if (err || !command)
		finish(cmd, VIRTIO_GPU_RESP_ERR_UNSPEC);
	else
		command->run(dev, cmd);
}

/* ---- what the core calls ---- */

/* What displays hold may have come from this ring: flushes and queries are of the control queue. */
static void on_queue_stop(void *dev, unsigned queue)
{
	struct gpu_device *gpu = dev;

	for (unsigned i = 0; queue == GPU_CONTROL_QUEUE && i < gpu->n_displays; i++)
		gpu->displays[i]->ops->release(gpu->displays[i]);
}

static void on_reset(void *dev)
{
	struct gpu_device *gpu = dev;
	const struct gpu_cursor hidden = {0};

	for (unsigned id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++) {
		set_scanout(gpu, id, NULL, NULL);
		for (unsigned i = 0; i < gpu->n_displays; i++)
			if (gpu->displays[i]->ops->cursor)
				gpu->displays[i]->ops->cursor(gpu->displays[i], id, &hidden);
	}
	gpu_resource_destroy_all(&gpu->resources);
}

static void on_memory(void *dev, struct gmem *mem)
{
	struct gpu_device *gpu = dev;

	gpu_resources_move(&gpu->resources, mem);
}

static size_t get_config(void *dev, void *space)
{
	const struct gpu_device *gpu = dev;
	const struct virtio_gpu_config c = {
		.num_scanouts = to_le32(gpu->cfg.n_outputs),
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
	.features = BIT(VIRTIO_GPU_F_EDID) | BIT(VIRTIO_GPU_F_RESOURCE_UUID),
	.req_size = sizeof(struct gpu_cmd),
	.iov_per_req = 8,
	.request = on_request,
	.queue_stop = on_queue_stop,
	.reset = on_reset,
	.memory = on_memory,
	.get_config = get_config,
	.gpu_socket = on_gpu_socket,
};

void gpu_device_init(struct gpu_device *gpu, const struct gpu_config *cfg)
{
	*gpu = (struct gpu_device){.cfg = *cfg};
	gpu_resources_init(&gpu->resources, cfg->max_hostmem, cfg->max_resources);
}

void gpu_device_add_display(struct gpu_device *gpu, struct display *d)
{
	gpu->displays[gpu->n_displays++] = d;
	if (d->ops->query)
		gpu->qemu = d;
}

void gpu_device_finish(struct gpu_device *gpu)
{
	gpu_resource_destroy_all(&gpu->resources);
	for (unsigned i = 0; i < gpu->n_displays; i++)
		gpu->displays[i]->ops->destroy(gpu->displays[i]);
}
