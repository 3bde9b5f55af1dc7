/* SPDX-License-Identifier: MIT */
/*
 * QEMU's end of the display socket, which answers rightly, wrongly, in pieces, late or not at all,
 * while a driver draws. At the end QEMU does all as it should, on the same socket if it always did
 * and on a new one: then every command is answered, and it shows what is in the resources.
 *
 * An input: records, each of a byte that says which and its fields.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"
#include "gpu_rig.h"

enum { RECORDS_MAX = 250, RESOURCES = 8, SCANOUTS = 3, SETTLE_TURNS = 4000, MAX_HOSTMEM = 8 << 20 };

enum record {
	FLUSH,
	SCANOUT,
	CURSOR,
	MOVE,
	INFO,
	EDID,
	TURN,
	READ,
	ANSWER,
	SAY,
	CLOSE,
	OPEN,
	HALF_CLOSE,
	TRANSFER,
	UNREF,
	PAUSE,
	RESET,
	NARROW,
	RECORDS
};

/* Where red, green and blue lie in the four bytes of a pixel. */
static const struct resource {
	uint32_t format, width, height;
	uint8_t red, green, blue;
} resources[RESOURCES] = {
	{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 64, 64, 2, 1, 0},
	{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 100, 80, 0, 1, 2},
	{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 300, 200, 2, 1, 0},
	{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 120, 170, 3, 2, 1},
	{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 17, 16, 1, 2, 3},
	{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 16, 17, 1, 2, 3},
	{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 15, 16, 3, 2, 1},
	{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 16, 15, 0, 1, 2},
};

struct run {
	struct gpu_rig g;
	struct fuzz_input in;
	uint64_t fence;
	uint8_t fill;
	struct peer_cursor cursors[SCANOUTS]; // as they are to be seen
};

/* ---- commands ---- */

static struct virtio_gpu_ctrl_hdr header(struct run *r, uint32_t type)
{
	return (struct virtio_gpu_ctrl_hdr){
		.type = type, .flags = VIRTIO_GPU_FLAG_FENCE, .fence_id = ++r->fence};
}

static void command(struct run *r, unsigned queue, const void *bytes, size_t len)
{
	const struct rings_command c = {bytes, len, UINT32_MAX, RINGS_ROOM_MAX};

	rings_submit(&r->g.rings, queue, &c);
	rings_turn(&r->g.rings, 1);
}

/* The backing is the same 128 KiB again and again. */
static void make_resource(struct run *r, unsigned i)
{
	const struct virtio_gpu_resource_create_2d create = {
		header(r, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D), i + 1, resources[i].format,
		resources[i].width, resources[i].height};
	struct {
		struct virtio_gpu_resource_attach_backing attach;
		struct virtio_gpu_mem_entry entries[4];
	} m = {.attach = {header(r, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING), i + 1, 4}};

	for (unsigned e = 0; e < 4; e++)
		m.entries[e] = (struct virtio_gpu_mem_entry){GPU_RIG_FREE, 128 * 1024, 0};
	command(r, GPU_CONTROL_QUEUE, &create, sizeof(create));
	command(r, GPU_CONTROL_QUEUE, &m, sizeof(m));
}

/* A rectangle within a resource, or now and then not. */
static struct virtio_gpu_rect read_rect(struct run *r, unsigned resource)
{
	const struct resource *res = &resources[resource % RESOURCES];
	const uint32_t x = fuzz_u8(&r->in), y = fuzz_u8(&r->in);
	const uint32_t w = fuzz_u8(&r->in), h = fuzz_u8(&r->in);

	if (!w && !h)
		return (struct virtio_gpu_rect){0, 0, res->width, res->height};
	return (struct virtio_gpu_rect){x, y, w * 2, h * 2};
}

static void flush(struct run *r, unsigned resource, struct virtio_gpu_rect rect)
{
	const struct virtio_gpu_resource_flush c = {
		header(r, VIRTIO_GPU_CMD_RESOURCE_FLUSH), rect, resource + 1, 0};

	command(r, GPU_CONTROL_QUEUE, &c, sizeof(c));
}

static void flush_some(struct run *r)
{
	const unsigned resource = fuzz_u8(&r->in) % RESOURCES;

	flush(r, resource, read_rect(r, resource));
}

/* id: of the resource, 0 is none. */
static void set_scanout(struct run *r, unsigned scanout, uint32_t id, struct virtio_gpu_rect rect)
{
	const struct virtio_gpu_set_scanout c = {
		header(r, VIRTIO_GPU_CMD_SET_SCANOUT), rect, scanout, id};

	command(r, GPU_CONTROL_QUEUE, &c, sizeof(c));
}

static void set_some_scanout(struct run *r)
{
	const unsigned scanout = fuzz_u8(&r->in) % SCANOUTS;
	const unsigned resource = fuzz_u8(&r->in) % (RESOURCES + 1);

	set_scanout(r, scanout, (resource + 1) % (RESOURCES + 1), read_rect(r, resource));
}

/* A cursor that was never shown is not moved. */
static void expect_cursor(struct run *r, const struct virtio_gpu_update_cursor *c)
{
	struct peer_cursor *cursor = &r->cursors[c->pos.scanout_id];
	const bool update = c->hdr.type == VIRTIO_GPU_CMD_UPDATE_CURSOR;
	const bool found = gpu_resource_find(&r->g.gpu.resources, c->resource_id) != NULL;

	if ((update && c->resource_id && !found) || (!cursor->known && (!update || !found)))
		return;
	cursor->known = true;
	if (update)
		cursor->visible = found;
	cursor->x = c->pos.x;
	cursor->y = c->pos.y;
}

static void cursor(struct run *r, uint32_t type)
{
	const uint8_t which = fuzz_u8(&r->in);
	const struct virtio_gpu_update_cursor c = {.hdr = header(r, type),
		.pos = {which % SCANOUTS, fuzz_u8(&r->in), fuzz_u8(&r->in), 0},
		.resource_id = which / 16u % (RESOURCES + 1),
		.hot_x = which};

	command(r, GPU_CURSOR_QUEUE, &c, sizeof(c));
	expect_cursor(r, &c);
}

static void ask_info(struct run *r)
{
	const struct virtio_gpu_ctrl_hdr c = header(r, VIRTIO_GPU_CMD_GET_DISPLAY_INFO);

	command(r, GPU_CONTROL_QUEUE, &c, sizeof(c));
}

static void ask_edid(struct run *r)
{
	const struct virtio_gpu_cmd_get_edid c = {
		header(r, VIRTIO_GPU_CMD_GET_EDID), fuzz_u8(&r->in) % 17, 0};

	command(r, GPU_CONTROL_QUEUE, &c, sizeof(c));
}

/* New pixels for all of a resource. */
static void transfer(struct run *r, unsigned i)
{
	const struct virtio_gpu_transfer_to_host_2d c = {
		header(r, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D),
		{0, 0, resources[i].width, resources[i].height}, 0, i + 1, 0};
	uint8_t *pixels = r->g.rings.rig.memory[0].host + GPU_RIG_FREE;

	r->fill = (uint8_t)(r->fill + 37);
	for (unsigned at = r->fill; at < 128 * 1024; at += 509)
		pixels[at] = (uint8_t)(r->fill ^ at);
	command(r, GPU_CONTROL_QUEUE, &c, sizeof(c));
}

static void unref(struct run *r)
{
	const unsigned i = fuzz_u8(&r->in) % RESOURCES;
	const struct virtio_gpu_resource_unref c = {
		header(r, VIRTIO_GPU_CMD_RESOURCE_UNREF), i + 1, 0};

	command(r, GPU_CONTROL_QUEUE, &c, sizeof(c));
	make_resource(r, i);
}

/* ---- QEMU ---- */

static void say(struct run *r)
{
	size_t len = fuzz_u8(&r->in);
	const uint8_t *bytes = fuzz_take(&r->in, &len);

	peer_lie(&r->g.peer, bytes, len);
	rings_turn(&r->g.rings, 1);
}

/* Some come together with the next command. */
static void answer(struct run *r)
{
	const uint8_t how = fuzz_u8(&r->in);

	for (unsigned n = 1 + how % 4; n; n--)
		peer_answer(&r->g.peer);
	if (!(how & 0x80))
		rings_turn(&r->g.rings, 1);
}

static void read_some(struct run *r)
{
	peer_read(&r->g.peer, 1 + (size_t)fuzz_u16(&r->in) * 2);
	rings_turn(&r->g.rings, 1);
}

/* Each step of the loop fits little into the socket, and ends within a row or a message. */
static void narrow(struct run *r)
{
	const int bytes = 1024 + fuzz_u8(&r->in) * 16;
	int remote = peer_open(&r->g.peer, UINT64_MAX);

	setsockopt(remote, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	rig_tell(&r->g.rings.rig, VHOST_USER_GPU_SET_SOCKET, NULL, 0, remote);
	fd_close(&remote);
}

/* QEMU keeps up, until there is nothing left to say. */
static void settle(struct run *r)
{
	unsigned idle = 0;

	for (unsigned i = 0; idle < 8; i++) {
		FUZZ_CHECK(i < SETTLE_TURNS);
		rings_turn(&r->g.rings, 1);
		idle++;
		while (peer_read(&r->g.peer, SIZE_MAX) || peer_answer(&r->g.peer))
			idle = 0;
	}
	FUZZ_CHECK(rings_busy(&r->g.rings) == 0);
}

/* Pixels of a row as they have to be seen; of those that were converted only some are looked at. */
static bool same_row(const struct resource *f, const uint8_t *from, const uint32_t *seen, size_t n)
{
	uint32_t wrong = 0;

	if (f->red == 2)
		return !memcmp(seen, from, n * sizeof(*seen));
	for (size_t x = 0; x < n; x += 11) {
		const uint8_t *p = from + x * sizeof(*seen);

		wrong |= seen[x] ^ (uint32_t)(p[f->red] << 16 | p[f->green] << 8 | p[f->blue]);
	}
	return !(wrong & 0xffffff);
}

static void check_pixels(const struct peer_screen *seen, const struct gpu_scanout *s)
{
	const struct resource *f = &resources[s->res->id - 1];
	const struct dbuf *buf = s->res->buf;
	const uint8_t *from = buf->map + (size_t)s->told_rect.y * buf->stride + s->told_rect.x * 4;

	FUZZ_CHECK(seen->pixels && seen->width == s->told_rect.width
		&& seen->height == s->told_rect.height);
	for (size_t y = 0; y < seen->height; y++)
		FUZZ_CHECK(same_row(
			f, from + y * buf->stride, seen->pixels + y * seen->width, seen->width));
}

static void check_pictures(const struct run *r)
{
	for (unsigned i = 0; i < SCANOUTS; i++) {
		const struct gpu_scanout *s = &r->g.gpu.scanouts[i];

		if (s->res)
			check_pixels(&r->g.peer.screens[i], s);
		else
			FUZZ_CHECK(!r->g.peer.screens[i].pixels);
	}
}

static void check_cursors(const struct run *r)
{
	for (unsigned i = 0; i < SCANOUTS; i++) {
		const struct peer_cursor *seen = &r->g.peer.cursors[i], *c = &r->cursors[i];

		FUZZ_CHECK(seen->known == c->known && seen->visible == c->visible);
		FUZZ_CHECK(seen->x == c->x && seen->y == c->y);
	}
}

/* All is flushed, and seen. */
static void check_flushes(struct run *r)
{
	settle(r);
	for (unsigned i = 0; i < RESOURCES; i++)
		flush(r, i,
			(struct virtio_gpu_rect){0, 0, resources[i].width, resources[i].height});
	settle(r);
	check_pictures(r);
	check_cursors(r);
}

/* A scanout that was set is seen as a whole after the flush of one pixel of it. */
static void check_scanouts(struct run *r)
{
	for (unsigned i = 0; i < RESOURCES; i++)
		transfer(r, i);
	for (unsigned i = 0; i < SCANOUTS; i++) {
		const struct gpu_scanout s = r->g.gpu.scanouts[i];
		const struct virtio_gpu_rect rect = gpu_wire_rect(&s.told_rect);

		if (!s.res)
			continue;
		set_scanout(r, i, s.res->id, rect);
		flush(r, s.res->id - 1, (struct virtio_gpu_rect){rect.x, rect.y, 1, 1});
	}
	settle(r);
	check_pictures(r);
}

/* ---- one input ---- */

static void begin(struct run *r)
{
	for (unsigned i = 0; i < RESOURCES; i++)
		make_resource(r, i);
}

/* All cursors are hidden, at the origin. */
static void reset(struct run *r)
{
	gpu_rig_reset(&r->g);
	for (unsigned i = 0; i < SCANOUTS; i++)
		r->cursors[i] = (struct peer_cursor){.known = r->cursors[i].known};
	begin(r);
}

static void driver_record(struct run *r, enum record record)
{
	switch (record) {
	case FLUSH:
		flush_some(r);
		break;
	case SCANOUT:
		set_some_scanout(r);
		break;
	case CURSOR:
	case MOVE:
		cursor(r,
			record == MOVE ? VIRTIO_GPU_CMD_MOVE_CURSOR : VIRTIO_GPU_CMD_UPDATE_CURSOR);
		break;
	case INFO:
		ask_info(r);
		break;
	case EDID:
		ask_edid(r);
		break;
	case TRANSFER:
		transfer(r, fuzz_u8(&r->in) % RESOURCES);
		break;
	default:
		unref(r);
		break;
	}
}

static void peer_record(struct run *r, enum record record)
{
	switch (record) {
	case READ:
		read_some(r);
		break;
	case ANSWER:
		answer(r);
		break;
	case SAY:
		say(r);
		break;
	case CLOSE:
		peer_close(&r->g.peer);
		break;
	case OPEN:
		gpu_rig_connect_peer(&r->g, fuzz_u8(&r->in));
		break;
	case HALF_CLOSE:
		peer_leave(&r->g.peer, fuzz_u8(&r->in) & 1 ? SHUT_WR : SHUT_RD);
		break;
	default:
		narrow(r);
		break;
	}
}

static void run_record(struct run *r)
{
	const enum record record = fuzz_u8(&r->in) % RECORDS;

	switch (record) {
	case TURN:
		rings_turn(&r->g.rings, fuzz_u8(&r->in) % 4);
		break;
	case PAUSE:
		rings_stop(&r->g.rings);
		rings_start(&r->g.rings);
		break;
	case RESET:
		reset(r);
		break;
	case READ:
	case ANSWER:
	case SAY:
	case CLOSE:
	case OPEN:
	case HALF_CLOSE:
	case NARROW:
		peer_record(r, record);
		break;
	default:
		driver_record(r, record);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;

	r = (struct run){.in = {data, size}};
	gpu_rig_init(&r.g, 0, MAX_HOSTMEM, NULL);
	begin(&r);
	gpu_rig_connect_peer(&r.g, UINT64_MAX);
	for (unsigned i = 0; r.in.left && i < RECORDS_MAX; i++)
		run_record(&r);
	if (r.g.peer.fd >= 0 && !r.g.peer.lied)
		check_flushes(&r);
	gpu_rig_connect_peer(&r.g, BIT(VHOST_USER_GPU_PROTOCOL_F_EDID));
	settle(&r);
	check_pictures(&r);
	check_cursors(&r);
	check_scanouts(&r);
	gpu_rig_finish(&r.g);
	return 0;
}
