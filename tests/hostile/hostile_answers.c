/* SPDX-License-Identifier: MIT */
/* Room for answers that is short, scattered or in a strange place, and what an answer must not tell. */
#include "on_gpu.h"

#include <string.h>

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define INFO   sizeof(struct virtio_gpu_resp_display_info)

enum { REQ = 0x1000, RESP = 0x4000, FILL = 0xa5, ROOM = 4096 };

/* Sends len bytes at REQ with these pieces of room, and waits. Returns the length used. */
static uint32_t send_with_room(const void *m, size_t len, const struct drv_seg *room, size_t n)
{
	struct drv_ring *r = &hx.rings[CONTROL];
	struct drv_seg segs[1024] = {{REQ, (uint32_t)len, false}};
	struct drv_used used;

	memcpy(&segs[1], room, n * sizeof(*room));
	assert_ok(guest_write(&hx.guest, REQ, m, len));
	assert_true(drv_ring_add_indirect(r, segs, n + 1, NULL) >= 0);
	assert_true(drv_ring_submit(r) >= 0);
	assert_ok(drv_ring_wait(r, WAIT_DEFAULT));
	assert_int_equal(drv_ring_reap(r, &used), 1);
	return used.len;
}

/* With room bytes of room at RESP, filled before. Copies all of ROOM out. */
static uint32_t send(const void *m, size_t len, uint32_t room, uint8_t *answer)
{
	const struct drv_seg seg = {RESP, room, true};
	uint32_t used;

	memset(guest_ptr(&hx.guest, RESP, ROOM), FILL, ROOM);
	used = send_with_room(m, len, &seg, room ? 1 : 0);
	assert_ok(guest_read(&hx.guest, RESP, answer, ROOM));
	return used;
}

static void expect_untouched(const uint8_t *answer, uint32_t from)
{
	for (uint32_t i = from; i < ROOM; i++)
		assert_int_equal(answer[i], FILL);
}

/* ---- short ---- */

static const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};

static void short_room(const void *arg)
{
	uint8_t whole[ROOM], part[ROOM];

	(void)arg;
	assert_int_equal(send(&ask, sizeof(ask), INFO, whole), INFO);
	for (uint32_t room = 0; room < INFO; room += room < 64 ? 1 : 43) {
		assert_int_equal(send(&ask, sizeof(ask), room, part), room);
		assert_memory_equal(part, whole, room);
		expect_untouched(part, room);
	}
	assert_int_equal(send(&ask, sizeof(ask), ROOM, part), INFO);
	assert_memory_equal(part, whole, INFO);
	expect_untouched(part, INFO);
}

/* Errors are as short as the room for them. */
static void short_room_for_an_error(const void *arg)
{
	const struct virtio_gpu_ctrl_hdr m = {.type = 0xffff};
	uint8_t part[ROOM];

	(void)arg;
	for (uint32_t room = 0; room <= sizeof(m); room++) {
		assert_int_equal(send(&m, sizeof(m), room, part), room);
		expect_untouched(part, room);
	}
}

static void no_room_but_done(const void *arg)
{
	struct virtio_gpu_resource_create_2d create = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = 1,
		.format = FORMAT,
		.width = 4,
		.height = 4};
	uint8_t answer[ROOM];

	(void)arg;
	assert_int_equal(send(&create, sizeof(create), 0, answer), 0);
	expect_untouched(answer, 0);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* ---- scattered ---- */

static void in_pieces(const void *arg)
{
	const uint32_t piece = *(const uint32_t *)arg;
	struct drv_seg room[INFO];
	uint8_t whole[ROOM], part[ROOM];
	size_t n = 0;

	assert_int_equal(send(&ask, sizeof(ask), INFO, whole), INFO);
	memset(guest_ptr(&hx.guest, RESP, ROOM), FILL, ROOM);
	for (uint32_t at = 0; at < INFO; at += piece)
		room[n++] = (struct drv_seg){RESP + at, piece, true};
	assert_int_equal(send_with_room(&ask, sizeof(ask), room, n), INFO);
	assert_ok(guest_read(&hx.guest, RESP, part, ROOM));
	assert_memory_equal(part, whole, INFO);
	expect_untouched(part, INFO);
}

static const uint32_t pieces[] = {1, 2, 23, 24, 25};

/* The last bytes first, and nothing but what is named. */
static void in_pieces_apart(const void *arg)
{
	struct drv_seg room[INFO];
	uint8_t whole[ROOM], part[ROOM];

	(void)arg;
	assert_int_equal(send(&ask, sizeof(ask), INFO, whole), INFO);
	memset(guest_ptr(&hx.guest, RESP, ROOM), FILL, ROOM);
	for (uint32_t i = 0; i < INFO; i++)
		room[i] = (struct drv_seg){RESP + 2 * ((uint32_t)INFO - i), 1, true};
	assert_int_equal(send_with_room(&ask, sizeof(ask), room, INFO), INFO);
	assert_ok(guest_read(&hx.guest, RESP, part, ROOM));
	for (uint32_t i = 0; i < INFO; i++) {
		assert_int_equal(part[2 * (INFO - i)], whole[i]);
		assert_int_equal(part[2 * (INFO - i) - 1], FILL);
	}
}

static void across_regions(const void *arg)
{
	uint8_t whole[ROOM], part[INFO];

	(void)arg;
	assert_int_equal(send(&ask, sizeof(ask), INFO, whole), INFO);
	for (uint32_t before = 1; before < INFO; before += 40) {
		const struct drv_seg room = {BORDER_GPA - before, INFO, true};

		assert_int_equal(send_with_room(&ask, sizeof(ask), &room, 1), INFO);
		assert_ok(guest_read(&hx.guest, room.gpa, part, INFO));
		assert_memory_equal(part, whole, INFO);
	}
}

/* ---- in a strange place ---- */

/* Where the request lies: it was copied before. */
static void over_the_request(const void *arg)
{
	const struct drv_seg room = {REQ, INFO, true};
	uint8_t whole[ROOM], part[INFO];

	(void)arg;
	assert_int_equal(send(&ask, sizeof(ask), INFO, whole), INFO);
	assert_int_equal(send_with_room(&ask, sizeof(ask), &room, 1), INFO);
	assert_ok(guest_read(&hx.guest, REQ, part, INFO));
	assert_memory_equal(part, whole, INFO);
}

/* Whatever that makes of the ring, a restart heals it. */
static void over_the_ring(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];
	const uint64_t parts[] = {r->desc_gpa, r->avail_gpa, r->used_gpa};

	(void)arg;
	for (size_t i = 0; i < COUNT(parts); i++) {
		const struct drv_seg segs[2] = {{REQ, sizeof(ask), false}, {parts[i], 24, true}};

		assert_ok(guest_write(&hx.guest, REQ, &ask, sizeof(ask)));
		assert_true(drv_ring_add(r, segs, 2, NULL) >= 0);
		assert_true(drv_ring_submit(r) >= 0);
		hostile_settle();
		hostile_restart_ring(CONTROL);
		drv_ring_wait_err(r, 0);
		expect_rings_work();
	}
}

/* ---- what it tells ---- */

/* Every byte of an answer is the device's word: what it has no word for is zero. */
static void expect_zeros(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], 0);
}

static void expect_bare_header(const uint8_t *answer, uint32_t type)
{
	const struct virtio_gpu_ctrl_hdr wanted = {.type = type};

	assert_memory_equal(answer, &wanted, sizeof(wanted));
}

static void display_info_says_no_more(const void *arg)
{
	struct virtio_gpu_resp_display_info info;
	uint8_t answer[ROOM];

	(void)arg;
	assert_int_equal(send(&ask, sizeof(ask), ROOM, answer), INFO);
	expect_bare_header(answer, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	memcpy(&info, answer, sizeof(info));
	assert_int_equal(info.pmodes[0].r.width, 1280);
	assert_int_equal(info.pmodes[0].enabled, 1);
	expect_zeros((const uint8_t *)&info.pmodes[0].flags, 4);
	expect_zeros(
		(const uint8_t *)&info.pmodes[1], sizeof(info.pmodes) - sizeof(info.pmodes[0]));
}

static void edid_says_no_more(const void *arg)
{
	struct virtio_gpu_cmd_get_edid m = {.hdr.type = VIRTIO_GPU_CMD_GET_EDID};
	struct virtio_gpu_resp_edid edid;
	uint8_t answer[ROOM];

	(void)arg;
	for (m.scanout = 0; m.scanout < VIRTIO_GPU_MAX_SCANOUTS; m.scanout++) {
		assert_int_equal(send(&m, sizeof(m), ROOM, answer), sizeof(edid));
		expect_bare_header(answer, VIRTIO_GPU_RESP_OK_EDID);
		memcpy(&edid, answer, sizeof(edid));
		assert_true(edid.size >= 128 && edid.size <= sizeof(edid.edid));
		assert_int_equal(edid.size % 128, 0);
		assert_int_equal(edid.padding, 0);
		expect_zeros(edid.edid + edid.size, sizeof(edid.edid) - edid.size);
	}
}

static void uuid_says_no_more(const void *arg)
{
	const struct virtio_gpu_resource_assign_uuid m = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, .resource_id = 1};
	struct virtio_gpu_resp_resource_uuid first, again;
	uint8_t answer[ROOM];

	(void)arg;
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 4, 4));
	assert_int_equal(send(&m, sizeof(m), ROOM, answer), sizeof(first));
	expect_bare_header(answer, VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	expect_untouched(answer, sizeof(first));
	memcpy(&first, answer, sizeof(first));
	assert_int_equal(first.uuid[6] >> 4, 4);
	assert_int_equal(first.uuid[8] >> 6, 2);
	assert_int_equal(send(&m, sizeof(m), ROOM, answer), sizeof(again));
	memcpy(&again, answer, sizeof(again));
	assert_memory_equal(first.uuid, again.uuid, 16);
}

/* A whole header of ones, of which the answer echoes the fence where there is one. */
static void fences(const void *arg)
{
	static const uint32_t flags[] = {0, VIRTIO_GPU_FLAG_FENCE, VIRTIO_GPU_FLAG_INFO_RING_IDX,
		VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX, ~0u, ~1u};
	struct virtio_gpu_ctrl_hdr m, wanted;
	uint8_t answer[ROOM];

	(void)arg;
	for (size_t i = 0; i < 2 * COUNT(flags); i++) {
		bool good = i % 2;

		memset(&m, 0xff, sizeof(m));
		m.type = good ? VIRTIO_GPU_CMD_GET_DISPLAY_INFO : 0xffff;
		m.flags = flags[i / 2];
		wanted = (struct virtio_gpu_ctrl_hdr){.type = good ? VIRTIO_GPU_RESP_OK_DISPLAY_INFO
								   : VIRTIO_GPU_RESP_ERR_UNSPEC};
		if (m.flags & VIRTIO_GPU_FLAG_FENCE) {
			wanted.flags = m.flags & 3;
			wanted.fence_id = ~0ull;
			wanted.ctx_id = ~0u;
			wanted.ring_idx = 0xff;
		}
		assert_int_equal(send(&m, sizeof(m), ROOM, answer), good ? INFO : sizeof(m));
		assert_memory_equal(answer, &wanted, sizeof(wanted));
	}
}

/* A header that is cut off is echoed as far as it came. */
static void fence_cut_off(const void *arg)
{
	struct virtio_gpu_ctrl_hdr m = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO,
		.flags = VIRTIO_GPU_FLAG_FENCE,
		.fence_id = ~0ull};
	struct virtio_gpu_ctrl_hdr wanted = {.type = VIRTIO_GPU_RESP_ERR_UNSPEC,
		.flags = VIRTIO_GPU_FLAG_FENCE,
		.fence_id = 0xffffffff};
	uint8_t answer[ROOM];

	(void)arg;
	assert_int_equal(send(&m, 12, ROOM, answer), sizeof(wanted));
	assert_memory_equal(answer, &wanted, sizeof(wanted));
}

/* ---- the list ---- */

static const struct hostile_case cases[] = {
	{"room for a part of an answer", RUNNING, short_room},
	{"room for a part of an error", RUNNING, short_room_for_an_error},
	{"no room for an answer", RUNNING, no_room_but_done},
	{"room in pieces of 1", RUNNING, in_pieces, &pieces[0]},
	{"room in pieces of 2", RUNNING, in_pieces, &pieces[1]},
	{"room in pieces of 23", RUNNING, in_pieces, &pieces[2]},
	{"room in pieces of 24", RUNNING, in_pieces, &pieces[3]},
	{"room in pieces of 25", RUNNING, in_pieces, &pieces[4]},
	{"room in pieces apart", RUNNING, in_pieces_apart},
	{"room across two regions", RUNNING, across_regions},
	{"room where the request is", RUNNING, over_the_request},
	{"room where the ring is", RUNNING, over_the_ring},
	{"display information says no more", RUNNING, display_info_says_no_more},
	{"an EDID says no more", RUNNING, edid_says_no_more},
	{"a UUID says no more", RUNNING, uuid_says_no_more},
	{"fences of ones", RUNNING, fences},
	{"half a fence", RUNNING, fence_cut_off},
};

int main(int argc, char **argv)
{
	return hostile_main(argc, argv, cases, COUNT(cases));
}
