/* SPDX-License-Identifier: MIT */
/* Commands of virtio-gpu that are short, unknown, for another device, or name what is not there. */
#include "on_gpu.h"

#include <stdio.h>
#include <string.h>

#define OK          VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC      VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY   VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define NO_SCANOUT  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define NO_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define PARAMETER   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define FORMAT      VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

/* Any bytes as a command of ring q. Returns the answer's type. */
static int run(unsigned q, const void *bytes, size_t len)
{
	int ticket = gpu_driver_submit(&hx.gpu, q, bytes, len, 4096);

	assert_true(ticket >= 0);
	return gpu_driver_collect(&hx.gpu, ticket);
}

/* ---- what there is ---- */

struct command {
	const char *name;
	uint32_t type;
	unsigned queue;
	uint32_t size;
	int answer; // to one of zeros
};

static const struct command commands[] = {
	{"GET_DISPLAY_INFO", VIRTIO_GPU_CMD_GET_DISPLAY_INFO, CONTROL,
		sizeof(struct virtio_gpu_ctrl_hdr), VIRTIO_GPU_RESP_OK_DISPLAY_INFO},
	{"RESOURCE_CREATE_2D", VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, CONTROL,
		sizeof(struct virtio_gpu_resource_create_2d), NO_RESOURCE},
	{"RESOURCE_UNREF", VIRTIO_GPU_CMD_RESOURCE_UNREF, CONTROL,
		sizeof(struct virtio_gpu_resource_unref), NO_RESOURCE},
	{"SET_SCANOUT", VIRTIO_GPU_CMD_SET_SCANOUT, CONTROL, sizeof(struct virtio_gpu_set_scanout),
		OK},
	{"RESOURCE_FLUSH", VIRTIO_GPU_CMD_RESOURCE_FLUSH, CONTROL,
		sizeof(struct virtio_gpu_resource_flush), NO_RESOURCE},
	{"TRANSFER_TO_HOST_2D", VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, CONTROL,
		sizeof(struct virtio_gpu_transfer_to_host_2d), NO_RESOURCE},
	{"RESOURCE_ATTACH_BACKING", VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, CONTROL,
		sizeof(struct virtio_gpu_resource_attach_backing), NO_RESOURCE},
	{"RESOURCE_DETACH_BACKING", VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, CONTROL,
		sizeof(struct virtio_gpu_resource_detach_backing), NO_RESOURCE},
	{"GET_EDID", VIRTIO_GPU_CMD_GET_EDID, CONTROL, sizeof(struct virtio_gpu_cmd_get_edid),
		VIRTIO_GPU_RESP_OK_EDID},
	{"RESOURCE_ASSIGN_UUID", VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, CONTROL,
		sizeof(struct virtio_gpu_resource_assign_uuid), NO_RESOURCE},
	{"RESOURCE_CREATE_BLOB", VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, CONTROL,
		sizeof(struct virtio_gpu_resource_create_blob), NO_RESOURCE},
	{"SET_SCANOUT_BLOB", VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, CONTROL,
		sizeof(struct virtio_gpu_set_scanout_blob), OK},
	{"UPDATE_CURSOR", VIRTIO_GPU_CMD_UPDATE_CURSOR, CURSOR,
		sizeof(struct virtio_gpu_update_cursor), OK},
	{"MOVE_CURSOR", VIRTIO_GPU_CMD_MOVE_CURSOR, CURSOR, sizeof(struct virtio_gpu_update_cursor),
		OK},
};

/* A byte too little is too little; more than enough does no harm. */
static void sizes(const void *arg)
{
	const struct command *c = arg;
	uint8_t bytes[256] = {0};

	memcpy(bytes, &c->type, sizeof(c->type));
	for (uint32_t len = 0; len < c->size; len++)
		assert_int_equal(run(c->queue, bytes, len), UNSPEC);
	assert_int_equal(run(c->queue, bytes, c->size), c->answer);
	assert_int_equal(run(c->queue, bytes, c->size + 1), c->answer);
	assert_int_equal(run(c->queue, bytes, sizeof(bytes)), c->answer);
}

static void wrong_queue(const void *arg)
{
	const struct command *c = arg;
	uint8_t bytes[256] = {0};

	memcpy(bytes, &c->type, sizeof(c->type));
	assert_int_equal(run(!c->queue, bytes, c->size), UNSPEC);
}

/* Also in pieces of one byte, also by an indirect table. */
static void pieces(const void *arg)
{
	const struct command *c = arg;
	uint8_t bytes[256] = {0};

	memcpy(bytes, &c->type, sizeof(c->type));
	for (uint32_t piece = 1 + c->size / (RING_NUM - 4); piece < 30; piece++) {
		hx.gpu.piece = piece;
		for (int indirect = 0; indirect < 2; indirect++) {
			hx.gpu.indirect = indirect;
			assert_int_equal(run(c->queue, bytes, c->size), c->answer);
			assert_int_equal(run(c->queue, bytes, c->size - 1), UNSPEC);
		}
	}
}

static bool is_command(unsigned q, uint32_t type)
{
	for (size_t i = 0; i < COUNT(commands); i++)
		if (commands[i].type == type && commands[i].queue == q)
			return true;
	return false;
}

static void every_unknown_type(const void *arg)
{
	uint8_t bytes[256] = {0};

	(void)arg;
	for (uint32_t type = 0; type < 0x1300; type += type < 0x400 ? 1 : 0x80) {
		memcpy(bytes, &type, sizeof(type));
		for (unsigned q = 0; q < RINGS; q++)
			if (!is_command(q, type))
				assert_int_equal(run(q, bytes, sizeof(bytes)), UNSPEC);
	}
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(run(CONTROL, bytes, sizeof(bytes)), UNSPEC);
}

/* ---- 3D and capsets, which were not offered, and what is wrong with blobs ---- */

struct other {
	const char *name;
	uint32_t type;
	uint32_t words[20]; // behind the header
	int answer;         // 0: UNSPEC
};

static const struct other others[] = {
	{"GET_CAPSET_INFO", VIRTIO_GPU_CMD_GET_CAPSET_INFO, {0}},
	{"GET_CAPSET_INFO of an index beyond all", VIRTIO_GPU_CMD_GET_CAPSET_INFO, {~0u}},
	{"GET_CAPSET", VIRTIO_GPU_CMD_GET_CAPSET, {1, 1}},
	{"GET_CAPSET of a version beyond all", VIRTIO_GPU_CMD_GET_CAPSET, {2, ~0u}},
	{"RESOURCE_CREATE_BLOB of an id in use", VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		{1, 1, 1, 1, 0, 0, 4096}, NO_RESOURCE},
	{"RESOURCE_CREATE_BLOB of 2^64 - 1", VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		{1, 1, 1, ~0u, 0, 0, ~0u, ~0u}, NO_RESOURCE},
	{"SET_SCANOUT_BLOB of what is none", VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		{0, 0, 64, 64, 0, 1, 64, 64, 2}, NO_RESOURCE},
	{"SET_SCANOUT_BLOB with offsets that wrap", VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
		{0, 0, ~0u, ~0u, 0, 1, ~0u, ~0u, 2, 0, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u},
		NO_RESOURCE},
	{"CTX_CREATE", VIRTIO_GPU_CMD_CTX_CREATE, {4, 0, 0x74736574}},
	{"CTX_CREATE with a name of 4 GiB", VIRTIO_GPU_CMD_CTX_CREATE, {~0u}},
	{"CTX_DESTROY", VIRTIO_GPU_CMD_CTX_DESTROY, {0}},
	{"CTX_ATTACH_RESOURCE", VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, {1}},
	{"CTX_DETACH_RESOURCE", VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, {1}},
	{"RESOURCE_CREATE_3D", VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, {1, 2, 1, 2, 64, 64, 1, 1}},
	{"TRANSFER_TO_HOST_3D", VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, {0, 0, 0, 64, 64, 1, 0, 0, 1}},
	{"TRANSFER_FROM_HOST_3D", VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D,
		{0, 0, 0, 64, 64, 1, 0, 0, 1}},
	{"SUBMIT_3D", VIRTIO_GPU_CMD_SUBMIT_3D, {8, 0, 1, 2}},
	{"SUBMIT_3D of 4 GiB - 1", VIRTIO_GPU_CMD_SUBMIT_3D, {~0u}},
	{"SUBMIT_3D of 3 bytes", VIRTIO_GPU_CMD_SUBMIT_3D, {3}},
	{"RESOURCE_MAP_BLOB", VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, {1, 0, 0, 0}},
	{"RESOURCE_MAP_BLOB at the end of all", VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, {1, 0, ~0u, ~0u}},
	{"RESOURCE_UNMAP_BLOB", VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, {1}},
};

/* Refused, with the fence: a driver that waits for it must not wait for ever. */
static void other(const void *arg)
{
	const struct other *o = arg;
	struct {
		struct virtio_gpu_ctrl_hdr h;
		uint32_t words[20];
	} m = {.h = {.type = o->type,
		       .flags = VIRTIO_GPU_FLAG_FENCE,
		       .fence_id = 0x1122334455667788,
		       .ctx_id = 5}};

	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 64, 64));
	memcpy(m.words, o->words, sizeof(m.words));
	assert_int_equal(run(CONTROL, &m, sizeof(m)), o->answer ? o->answer : UNSPEC);
	assert_int_equal(hx.gpu.resp_len, sizeof(m.h));
	m.h.flags = 0;
	assert_int_equal(run(CONTROL, &m, sizeof(m)), o->answer ? o->answer : UNSPEC);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* ---- resources ---- */

struct size {
	const char *name;
	uint32_t w, h;
	int answer;
};

static const struct size resource_sizes[] = {
	{"a resource of 0x0", 0, 0, PARAMETER},
	{"a resource of 0x1", 0, 1, PARAMETER},
	{"a resource of 1x0", 1, 0, PARAMETER},
	{"a resource of 1x1", 1, 1, OK},
	{"a resource of 16384x1", 16384, 1, OK},
	{"a resource of 1x16384", 1, 16384, OK},
	{"a resource of 16385x1", 16385, 1, PARAMETER},
	{"a resource of 1x16385", 1, 16385, PARAMETER},
	{"a resource of 16384x16384", 16384, 16384, NO_MEMORY},
	{"a resource of 32768x32768", 32768, 32768, PARAMETER},
	{"a resource of 65536x65536", 65536, 65536, PARAMETER},
	{"a resource of 65536x16384", 65536, 16384, PARAMETER},
	{"a resource of 2^30 x 4", 1u << 30, 4, PARAMETER},
	{"a resource of 4 x 2^30", 4, 1u << 30, PARAMETER},
	{"a resource of 2^32 - 1 squared", ~0u, ~0u, PARAMETER},
};

static void resource_size(const void *arg)
{
	const struct size *s = arg;

	assert_int_equal(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, s->w, s->h), s->answer);
	assert_int_equal(gpu_driver_unref(&hx.gpu, 1), s->answer == OK ? OK : NO_RESOURCE);
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 4, 4));
}

static void every_format(const void *arg)
{
	static const uint8_t good[] = {1, 2, 3, 4, 67, 68, 121, 134};

	(void)arg;
	for (uint32_t format = 0; format <= 200; format++) {
		int answer = memchr(good, (int)format, sizeof(good)) ? OK : PARAMETER;

		assert_int_equal(gpu_driver_create_2d(&hx.gpu, 1, format, 4, 4), answer);
		assert_int_equal(gpu_driver_unref(&hx.gpu, 1), answer == OK ? OK : NO_RESOURCE);
	}
	assert_int_equal(gpu_driver_create_2d(&hx.gpu, 1, ~0u, 4, 4), PARAMETER);
	assert_int_equal(gpu_driver_create_2d(&hx.gpu, 1, 256 + 2, 4, 4), PARAMETER);
}

static void resource_0(const void *arg)
{
	(void)arg;
	assert_int_equal(gpu_driver_create_2d(&hx.gpu, 0, FORMAT, 4, 4), NO_RESOURCE);
	assert_int_equal(gpu_driver_unref(&hx.gpu, 0), NO_RESOURCE);
	assert_int_equal(gpu_driver_detach(&hx.gpu, 0), NO_RESOURCE);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 0, GPU_RECT(~0u, ~0u, ~0u, ~0u)));
}

static void resource_twice(const void *arg)
{
	(void)arg;
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 64, 48));
	assert_int_equal(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 4, 4), NO_RESOURCE);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 64, 48)));
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	assert_int_equal(gpu_driver_unref(&hx.gpu, 1), NO_RESOURCE);
}

/* Ids that lie in the same bucket of any small table are different. */
static void resources_alike(const void *arg)
{
	static const uint32_t ids[] = {1, 257, 513, 65537, 0x01000001, 0x80000001, 0xffffff01};
	uint8_t uuid[COUNT(ids)][16];

	(void)arg;
	for (size_t i = 0; i < COUNT(ids); i++)
		assert_ack(gpu_driver_create_2d(&hx.gpu, ids[i], FORMAT, 4, 4));
	for (size_t i = 0; i < COUNT(ids); i++)
		assert_int_equal(gpu_driver_uuid(&hx.gpu, ids[i], uuid[i]),
			VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	for (size_t i = 1; i < COUNT(ids); i++)
		assert_memory_not_equal(uuid[0], uuid[i], 16);
	for (size_t i = 0; i < COUNT(ids); i += 2)
		assert_ack(gpu_driver_unref(&hx.gpu, ids[i]));
	for (size_t i = 0; i < COUNT(ids); i++)
		assert_int_equal(gpu_driver_detach(&hx.gpu, ids[i]), i % 2 ? OK : NO_RESOURCE);
}

static void unknown_resource(const void *arg)
{
	struct virtio_gpu_mem_entry e = {.addr = 0, .length = 64};
	uint8_t uuid[16];

	(void)arg;
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 4, 4));
	assert_int_equal(gpu_driver_unref(&hx.gpu, 2), NO_RESOURCE);
	assert_int_equal(gpu_driver_attach(&hx.gpu, 2, &e, 1), NO_RESOURCE);
	assert_int_equal(gpu_driver_detach(&hx.gpu, 2), NO_RESOURCE);
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 2, GPU_RECT(0, 0, 4, 4), 0), NO_RESOURCE);
	assert_int_equal(gpu_driver_flush(&hx.gpu, 2, GPU_RECT(0, 0, 4, 4)), NO_RESOURCE);
	assert_int_equal(gpu_driver_set_scanout(&hx.gpu, 0, 2, GPU_RECT(0, 0, 4, 4)), NO_RESOURCE);
	assert_int_equal(gpu_driver_uuid(&hx.gpu, 2, uuid), NO_RESOURCE);
}

/* ---- scanouts ---- */

static void every_scanout(const void *arg)
{
	static const uint32_t wrong[] = {16, 17, 31, 32, 255, 256, 1u << 31, ~0u};
	struct virtio_gpu_resp_edid edid;

	(void)arg;
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 64, 48));
	for (uint32_t id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++) {
		assert_ack(gpu_driver_set_scanout(&hx.gpu, id, 1, GPU_RECT(0, 0, 64, 48)));
		assert_int_equal(gpu_driver_edid(&hx.gpu, id, &edid), VIRTIO_GPU_RESP_OK_EDID);
	}
	assert_ack(gpu_driver_flush(&hx.gpu, 1, GPU_RECT(0, 0, 64, 48)));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(gpu_driver_set_scanout(&hx.gpu, wrong[i], 1, GPU_RECT(0, 0, 4, 4)),
			NO_SCANOUT);
		assert_int_equal(gpu_driver_set_scanout(&hx.gpu, wrong[i], 0, GPU_RECT(0, 0, 4, 4)),
			NO_SCANOUT);
		assert_int_equal(gpu_driver_edid(&hx.gpu, wrong[i], &edid), NO_SCANOUT);
	}
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

struct rect {
	const char *name;
	uint32_t x, y, w, h;
	int answer;
};

/* In a resource of 64 x 48. */
static const struct rect rects[] = {
	{"a rectangle of nothing", 0, 0, 0, 0, PARAMETER},
	{"a rectangle without height", 0, 0, 64, 0, PARAMETER},
	{"a rectangle without width", 0, 0, 0, 48, PARAMETER},
	{"an empty rectangle at the end", 64, 48, 0, 0, PARAMETER},
	{"a rectangle of all", 0, 0, 64, 48, OK},
	{"the last pixel", 63, 47, 1, 1, OK},
	{"the last column", 63, 0, 1, 48, OK},
	{"the last row", 0, 47, 64, 1, OK},
	{"a column too wide", 0, 0, 65, 48, PARAMETER},
	{"a row too high", 0, 0, 64, 49, PARAMETER},
	{"a column outside", 1, 0, 64, 48, PARAMETER},
	{"a row outside", 0, 1, 64, 48, PARAMETER},
	{"a pixel right of it", 64, 0, 1, 1, PARAMETER},
	{"a pixel below it", 0, 48, 1, 1, PARAMETER},
	{"a rectangle whose width wraps", ~0u, 0, 2, 1, PARAMETER},
	{"a rectangle whose height wraps", 0, ~0u, 1, 2, PARAMETER},
	{"a rectangle that wraps to all of it", ~0u - 63, 0, 128, 48, PARAMETER},
	{"a rectangle as wide as can be", 0, 0, ~0u, 48, PARAMETER},
	{"a rectangle as high as can be", 0, 0, 64, ~0u, PARAMETER},
	{"a rectangle with the highest bits", 1u << 31, 1u << 31, 1u << 31, 1u << 31, PARAMETER},
};

static void rect(const void *arg)
{
	const struct rect *r = arg;
	const struct virtio_gpu_rect rect = GPU_RECT(r->x, r->y, r->w, r->h);

	hostile_picture(1, 64, 48, 0x123456);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 64, 48)));
	assert_int_equal(gpu_driver_flush(&hx.gpu, 1, rect), r->answer);
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 1, rect, 0), r->answer);
	assert_int_equal(gpu_driver_set_scanout(&hx.gpu, 0, 1, rect), r->answer);
	assert_int_equal(gpu_driver_set_scanout(&hx.gpu, 1, 1, rect), r->answer);
	assert_ack(gpu_driver_flush(&hx.gpu, 1, GPU_RECT(0, 0, 64, 48)));
	hostile_settle();
	while (display_peer_pump(&hx.peer, 0) >= 0)
		continue;
	assert_int_equal(hx.peer.faults, 0);
}

/* ---- cursors ---- */

static int cursor(uint32_t type, uint32_t scanout, uint32_t id, uint32_t hot)
{
	struct virtio_gpu_update_cursor m = {.hdr.type = type,
		.pos = {.scanout_id = scanout, .x = ~0u, .y = 1u << 31},
		.resource_id = id,
		.hot_x = hot,
		.hot_y = hot};

	return run(CURSOR, &m, sizeof(m));
}

#define UPDATE VIRTIO_GPU_CMD_UPDATE_CURSOR
#define MOVE   VIRTIO_GPU_CMD_MOVE_CURSOR

static void bad_cursors(const void *arg)
{
	static const uint32_t wrong[] = {16, 17, 255, 1u << 31, ~0u};

	(void)arg;
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 64, 64));
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(cursor(UPDATE, wrong[i], 1, 0), NO_SCANOUT);
		assert_int_equal(cursor(MOVE, wrong[i], 1, 0), NO_SCANOUT);
	}
	assert_int_equal(cursor(UPDATE, 0, 2, 0), NO_RESOURCE);
	assert_int_equal(cursor(MOVE, 0, 2, 0), OK);
	assert_int_equal(cursor(UPDATE, 15, 1, ~0u), OK);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	assert_int_equal(cursor(MOVE, 15, 1, 0), OK);
	assert_int_equal(cursor(UPDATE, 15, 1, 0), NO_RESOURCE);
	assert_int_equal(cursor(UPDATE, 15, 0, 0), OK);
}

static const struct size cursor_sizes[] = {
	{"a cursor of 64x64", 64, 64, OK},
	{"a cursor of 1x1", 1, 1, OK},
	{"a cursor of 63x65", 63, 65, OK},
	{"a cursor of 65x63", 65, 63, OK},
	{"a cursor of 256x256", 256, 256, OK},
	{"a cursor of 16384x1", 16384, 1, OK},
	{"a cursor of 1x16384", 1, 16384, OK},
	{"a cursor of 4096x4096", 4096, 4096, OK},
};

static void cursor_size(const void *arg)
{
	static const uint32_t hots[] = {0, 63, 64, 1u << 31, ~0u};
	const struct size *s = arg;

	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, s->w, s->h));
	for (size_t i = 0; i < COUNT(hots); i++)
		assert_int_equal(cursor(UPDATE, 0, 1, hots[i]), OK);
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_CURSOR_UPDATE, 1, WAIT_DEFAULT));
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	assert_int_equal(cursor(MOVE, 0, 1, 0), OK);
	assert_int_equal(cursor(UPDATE, 0, 0, 0), OK);
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_CURSOR_POS_HIDE, 1, WAIT_DEFAULT));
	assert_int_equal(hx.peer.faults, 0);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"every unknown type", RUNNING, every_unknown_type},
	{"every format number", RUNNING, every_format},
	{"resource 0", RUNNING, resource_0},
	{"a resource made twice", RUNNING, resource_twice},
	{"resources with like numbers", RUNNING, resources_alike},
	{"a resource that is not there", RUNNING, unknown_resource},
	{"every scanout number", SHOWING, every_scanout},
	{"cursors of nothing and nowhere", SHOWING, bad_cursors},
};

static struct hostile_list list;

static void add_command_cases(const struct command *c)
{
	static char names[3 * COUNT(commands)][48];
	static char(*name)[48] = names;
	struct hostile_case cases[3] = {
		{.run = sizes, .name = "in every size"},
		{.run = wrong_queue, .name = "on the other ring"},
		{.run = pieces, .name = "in pieces"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(*name, sizeof(*name), "%s %s", c->name, cases[i].name);
		cases[i].name = *name++;
		cases[i].stage = RUNNING;
		cases[i].arg = c;
	}
	hostile_add(&list, cases, COUNT(cases));
}

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	for (size_t i = 0; i < COUNT(commands); i++)
		add_command_cases(&commands[i]);
	HOSTILE_ADD_TABLE(&list, others, RUNNING, other);
	HOSTILE_ADD_TABLE(&list, resource_sizes, RUNNING, resource_size);
	HOSTILE_ADD_TABLE(&list, rects, SHOWING, rect);
	HOSTILE_ADD_TABLE(&list, cursor_sizes, SHOWING, cursor_size);
	return hostile_main(argc, argv, list.cases, list.n);
}
