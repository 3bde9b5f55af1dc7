/* SPDX-License-Identifier: MIT */
/* Displays that do not read, do not answer, or leave in the middle. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <string.h>
#include <unistd.h>

enum { WIDE = 1024, HIGH = 768, COLOUR = 0x123456 };

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define WHOLE  GPU_RECT(0, 0, WIDE, HIGH)

/* ---- the middle of a flush ---- */

/* Resource 1 fills scanout 0, and its flush is half in the socket. Returns the flush's ticket. */
static int stick(void)
{
	int ticket;

	hostile_picture(1, WIDE, HIGH, COLOUR);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, WHOLE));
	hx.peer.stop_reading = true;
	ticket = hostile_begin_flush(1, WIDE, HIGH);
	expect_pending(ticket);
	return ticket;
}

static void read_on(uint64_t updates)
{
	hx.peer.stop_reading = false;
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_UPDATE, updates, WAIT_DEFAULT));
	assert_int_equal(hx.peer.faults, 0);
}

static void expect_shown(uint32_t colour)
{
	assert_int_equal(display_peer_pixel(&hx.peer, 0, 0, 0), colour);
	assert_int_equal(display_peer_pixel(&hx.peer, 0, WIDE - 1, HIGH - 1), colour);
}

static void reads_in_the_end(const void *arg)
{
	int ticket = stick();

	(void)arg;
	read_on(1);
	expect_shown(COLOUR);
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
}

static void reads_slowly(const void *arg)
{
	int ticket = stick();

	(void)arg;
	hx.peer.slow = 4099;
	read_on(1);
	expect_shown(COLOUR);
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
}

/* Whatever does not go to this display goes on. */
static void stalls_nothing_else(const void *arg)
{
	struct virtio_gpu_update_cursor move = {.pos = {.x = 5}};
	int ticket = stick();
	uint8_t config[16];

	(void)arg;
	assert_ok(frontend_get_config(&hx.fe, 0, sizeof(config), config));
	hostile_picture(2, 64, 64, 1);
	assert_ack(gpu_driver_transfer(&hx.gpu, 1, WHOLE, 0));
	assert_ack(gpu_driver_flush(&hx.gpu, 2, GPU_RECT(0, 0, 64, 64)));
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 1, 2, GPU_RECT(0, 0, 64, 64)));
	for (int i = 0; i < 100; i++)
		assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_MOVE_CURSOR, move), 0);
	move.resource_id = 2;
	assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, move), 0);
	assert_ack(gpu_driver_unref(&hx.gpu, 2));
	expect_pending(ticket);
	read_on(1);
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
}

/* A flush that waits behind another is done when a third one comes: its damage goes with that. */
static void flushes_behind_it(const void *arg)
{
	int first = stick(), last = -1;

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		int ticket = hostile_begin_flush(1, WIDE, HIGH);

		if (last >= 0)
			assert_ack(gpu_driver_collect(&hx.gpu, last));
		last = ticket;
	}
	expect_pending(first);
	expect_pending(last);
	read_on(2);
	assert_ack(gpu_driver_collect(&hx.gpu, first));
	assert_ack(gpu_driver_collect(&hx.gpu, last));
}

/* What a display does not hear is not kept for it. */
static void cursors_behind_it(const void *arg)
{
	struct virtio_gpu_update_cursor c = {.resource_id = 2};
	int ticket = stick();
	long rss = 0;

	(void)arg;
	hostile_picture(2, 64, 64, 1);
	for (uint32_t i = 0; i < 3000; i++) {
		c.pos.scanout_id = i % 16;
		c.pos.x = i;
		assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
		if (i == 1000)
			rss = child_rss_kib(&hx.child);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 2048);
	read_on(1);
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_CURSOR_UPDATE, 16, WAIT_DEFAULT));
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
}

/* ---- what is shown changes in the middle ---- */

static void unref_in_the_middle(const void *arg)
{
	int ticket = stick();

	(void)arg;
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 3, 1, WHOLE));
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	assert_int_equal(
		gpu_driver_flush(&hx.gpu, 1, WHOLE), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	read_on(1);
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_SCANOUT, 2, WAIT_DEFAULT));
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	assert_int_equal(hx.peer.screens[0].shown.width, 0);
}

/* Its number is another one's now. */
static void another_of_the_same_number(const void *arg)
{
	int ticket = stick();

	(void)arg;
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	hostile_picture(1, 8, 8, 0x777777);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 8, 8)));
	hx.peer.stop_reading = false;
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, GPU_RECT(0, 0, 8, 8)));
	read_on(2);
	assert_int_equal(hx.peer.screens[0].shown.width, 8);
	assert_int_equal(display_peer_pixel(&hx.peer, 0, 7, 7), 0x777777);
}

static void another_scanout_in_the_middle(const void *arg)
{
	int ticket = stick();

	(void)arg;
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(8, 8, 16, 16)));
	assert_ack(gpu_driver_detach(&hx.gpu, 1));
	hx.peer.stop_reading = false;
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, WHOLE));
	read_on(2);
	assert_int_equal(hx.peer.screens[0].shown.width, 16);
	assert_int_equal(display_peer_pixel(&hx.peer, 0, 15, 15), COLOUR);
}

/* ---- the rings change in the middle ---- */

/* From here on the device writes nothing more to the guest. */
static void reset_in_the_middle(const void *arg)
{
	uint16_t used = hx.rings[CONTROL].used->idx;
	int ticket = stick();

	(void)arg;
	used = hx.rings[CONTROL].used->idx;
	assert_ok(frontend_reset_device(&hx.fe));
	hx.peer.stop_reading = false;
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_UPDATE, 1, WAIT_DEFAULT));
	hostile_settle();
	assert_int_equal(hx.rings[CONTROL].used->idx, used);
	assert_false(gpu_driver_is_done(&hx.gpu, ticket));
	gpu_driver_reset(&hx.gpu);
	hostile_start_rings();
	assert_int_equal(gpu_driver_unref(&hx.gpu, 1), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

/* The driver gets all that it has sent before the ring's place is told. */
static void stop_in_the_middle(const void *arg)
{
	int ticket = stick();
	uint32_t base;

	(void)arg;
	assert_ok(frontend_get_vring_base(&hx.fe, CONTROL, &base));
	assert_int_equal(drv_ring_used_count(&hx.rings[CONTROL]), 1);
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	assert_int_equal(base, hx.rings[CONTROL].avail_idx);
	hostile_restart_ring(CONTROL);
	read_on(1);
	assert_ack(gpu_driver_flush(&hx.gpu, 1, WHOLE));
}

static void leave_in_the_middle(const void *arg)
{
	uint16_t used;

	(void)arg;
	stick();
	used = hx.rings[CONTROL].used->idx;
	hostile_leave();
	hostile_connect();
	expect_answers();
	assert_int_equal(hx.rings[CONTROL].used->idx, used);
	hostile_leave();
}

static void break_in_the_middle(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];

	(void)arg;
	stick();
	drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 5000));
	assert_ok(drv_ring_kick_now(r));
	assert_ok(drv_ring_wait_err(r, WAIT_DEFAULT));
	read_on(1);
	expect_nothing_used(CONTROL);
	expect_ring_works(CURSOR);
	hostile_restart_ring(CONTROL);
}

/* ---- the socket goes in the middle ---- */

static void show_again(void)
{
	int remote;

	assert_ok(display_peer_reopen(&hx.peer, &remote));
	assert_ok(frontend_gpu_set_socket(&hx.fe, remote));
	close(remote);
}

/* All that was on the old socket is done; the new one is shown all of it. */
static void another_socket_in_the_middle(const void *arg)
{
	int ticket = stick(), n = child_count_fds(&hx.child);

	(void)arg;
	show_again();
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	expect_fds(n);
	read_on(1);
	expect_shown(COLOUR);
	assert_int_equal(hx.peer.count[VHOST_USER_GPU_SCANOUT], 1); // of the new one
}

static void closed_in_the_middle(const void *arg)
{
	int ticket = stick(), n = child_count_fds(&hx.child);

	(void)arg;
	display_peer_close(&hx.peer);
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	expect_fds(n - 1);
	assert_ack(gpu_driver_flush(&hx.gpu, 1, WHOLE));
	show_again();
	read_on(1);
	expect_shown(COLOUR);
}

/* After so many bytes: in a header, in a payload, in pixels, between two messages. */
static void hangs_up(const void *arg)
{
	uint64_t after = *(const uint64_t *)arg;
	int ticket, n;

	hostile_picture(1, WIDE, HIGH, COLOUR);
	n = child_count_fds(&hx.child);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, WHOLE));
	hx.peer.hang_up = hx.peer.bytes + after;
	ticket = hostile_begin_flush(1, WIDE, HIGH);
	while (hx.peer.fd >= 0)
		display_peer_pump(&hx.peer, WAIT_DEFAULT);
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
	expect_fds(n - 1);
	hx.peer.hang_up = 0;
	show_again();
	read_on(1);
	expect_shown(COLOUR);
}

static const uint64_t afters[] = {
	1, 11, 12, 13, 24, 25, 36, 37, 56, 57, 58, 5000, 1000000, 3145784};

static void sockets_again_and_again(const void *arg)
{
	int n;

	(void)arg;
	hostile_picture(1, WIDE, HIGH, COLOUR);
	n = child_count_fds(&hx.child);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, WHOLE));
	for (int i = 0; i < 200; i++) {
		if (i % 2)
			hostile_begin_flush(1, WIDE, HIGH);
		show_again();
		gpu_driver_poll(&hx.gpu);
	}
	expect_fds(n);
	gpu_driver_reset(&hx.gpu);
	hostile_restart_ring(CONTROL);
}

/* ---- no more room for requests ---- */

/* Long chains borrow one of few arrays. When all are lent the ring waits, and goes on by itself. */
static void all_arrays_lent(const void *arg)
{
	const struct virtio_gpu_transfer_to_host_2d short_one = {
		.hdr.type = VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		.r = GPU_RECT(0, 0, 64, 64),
		.resource_id = 2};
	int tickets[8], behind;

	(void)arg;
	for (uint32_t id = 2; id < 2 + COUNT(tickets); id++) {
		hostile_picture(id, 64, 64, id);
		assert_ack(gpu_driver_set_scanout(&hx.gpu, id, id, GPU_RECT(0, 0, 64, 64)));
	}
	stick();
	hx.gpu.piece = 1;
	hx.gpu.indirect = true;
	for (uint32_t i = 0; i < COUNT(tickets); i++)
		tickets[i] = hostile_begin_flush(2 + i, 64, 64);
	hx.gpu.indirect = false;
	hx.gpu.piece = 0;
	behind = gpu_driver_submit(&hx.gpu, CONTROL, &short_one, sizeof(short_one), 24);
	expect_pending(behind);
	hx.peer.stop_reading = false;
	for (size_t i = 0; i < COUNT(tickets); i++)
		assert_ack(gpu_driver_collect(&hx.gpu, tickets[i]));
	assert_ack(gpu_driver_collect(&hx.gpu, behind));
	read_on(1 + COUNT(tickets));
}

/* ---- no answers ---- */

static int begin_query(uint32_t type)
{
	const struct virtio_gpu_cmd_get_edid m = {.hdr.type = type};
	int ticket = gpu_driver_submit(&hx.gpu, CONTROL, &m, sizeof(m), 2048);

	assert_true(ticket >= 0);
	return ticket;
}

/* A front-end that waits for its configuration while its display keeps still must get it. */
static void mute(const void *arg)
{
	struct virtio_gpu_resp_display_info info;
	int info_ticket, edid_ticket;
	uint32_t base;
	uint8_t config[16];

	(void)arg;
	hx.peer.mute = true;
	info_ticket = begin_query(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	edid_ticket = begin_query(VIRTIO_GPU_CMD_GET_EDID);
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_GET_EDID, 1, WAIT_DEFAULT));
	expect_pending(info_ticket);
	expect_pending(edid_ticket);
	assert_ok(frontend_get_config(&hx.fe, 0, sizeof(config), config));
	expect_ring_works(CURSOR);
	hostile_picture(1, 64, 64, 1);
	assert_ok(frontend_get_vring_base(&hx.fe, CONTROL, &base));
	assert_int_equal(gpu_driver_collect(&hx.gpu, info_ticket), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	memcpy(&info, hx.gpu.resp, sizeof(info));
	assert_int_equal(info.pmodes[0].r.width, 1280); // the device's own
	assert_int_equal(gpu_driver_collect(&hx.gpu, edid_ticket), VIRTIO_GPU_RESP_OK_EDID);
	hx.peer.mute = false;
	show_again();
	hostile_restart_ring(CONTROL);
}

static void mute_and_reset(const void *arg)
{
	(void)arg;
	hx.peer.mute = true;
	for (int i = 0; i < 20; i++)
		begin_query(i % 2 ? VIRTIO_GPU_CMD_GET_DISPLAY_INFO : VIRTIO_GPU_CMD_GET_EDID);
	hostile_settle();
	assert_ok(frontend_reset_device(&hx.fe));
	gpu_driver_reset(&hx.gpu);
	hx.peer.mute = false;
	show_again();
	hostile_start_rings();
}

static void mute_and_gone(const void *arg)
{
	int ticket;

	(void)arg;
	hx.peer.mute = true;
	ticket = begin_query(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	expect_pending(ticket);
	display_peer_close(&hx.peer);
	assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

/* ---- front-ends that leave ---- */

/* What the next front-end shows is not for those who looked at the one before. */
static void eyes_left_behind(const void *arg)
{
	(void)arg;
	hostile_picture(1, 64, 64, COLOUR);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 64, 64)));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, GPU_RECT(0, 0, 64, 64)));
	hostile_leave();
	expect_fds(hx.idle_fds);
	while (display_peer_pump(&hx.peer, WAIT_DEFAULT) >= 0)
		continue;
	assert_int_equal(hx.peer.fd, -1);
}

static void leave_1(void)
{
	frontend_send_bytes(&hx.fe, "\1\0\0\0\1", 5);
}

static void leave_2(void)
{
	hostile_agree();
}

static void leave_3(void)
{
	hostile_agree();
	hostile_give_memory();
}

static void leave_4(void)
{
	leave_3();
	hostile_start_rings();
	expect_rings_work();
}

static void leave_5(void)
{
	leave_4();
	hostile_picture(1, WIDE, HIGH, COLOUR);
	begin_query(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
}

static void leave_6(void)
{
	leave_4();
	hostile_show();
	stick();
	hostile_begin_flush(1, WIDE, HIGH);
}

static void leave_7(void)
{
	leave_4();
	hostile_show();
	hx.peer.mute = true;
	begin_query(VIRTIO_GPU_CMD_GET_EDID);
}

static void leave_8(void)
{
	leave_4();
	drv_ring_poke_avail_idx(&hx.rings[CONTROL], 5000);
	assert_ok(drv_ring_kick_now(&hx.rings[CONTROL]));
}

static void leave_9(void)
{
	leave_4();
	assert_ok(frontend_remove_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
}

static void two_hundred(const void *arg)
{
	static void (*const ways[])(void) = {
		leave_1, leave_2, leave_3, leave_4, leave_5, leave_6, leave_7, leave_8, leave_9};
	long rss = 0;

	(void)arg;
	for (size_t i = 0; i < 200; i++) {
		ways[i % COUNT(ways)]();
		hostile_leave();
		hostile_renew_guest();
		if (i == 100)
			rss = child_rss_kib(&hx.child);
		hostile_connect();
	}
	expect_answers();
	expect_fds(hx.idle_fds + 1);
	assert_true(child_rss_kib(&hx.child) - rss < 4096);
}

/* ---- the list ---- */

#define HANGS_UP(i, where)                                                                         \
	{                                                                                          \
		"a display that leaves " where, SHOWING, hangs_up, &afters[i]                      \
	}

static const struct hostile_case cases[] = {
	{"a display that reads in the end", SHOWING, reads_in_the_end},
	{"a display that reads slowly", SHOWING, reads_slowly},
	{"a display that never reads stalls nothing else", SHOWING, stalls_nothing_else},
	{"a thousand flushes behind one", SHOWING, flushes_behind_it},
	{"three thousand cursors behind one", SHOWING, cursors_behind_it},
	{"a resource unref'd while it is sent", SHOWING, unref_in_the_middle},
	{"a resource made anew while it is sent", SHOWING, another_of_the_same_number},
	{"a scanout set while it is sent", SHOWING, another_scanout_in_the_middle},
	{"RESET_DEVICE in a flush", SHOWING, reset_in_the_middle},
	{"GET_VRING_BASE in a flush", SHOWING, stop_in_the_middle},
	{"a front-end that leaves in a flush", SHOWING, leave_in_the_middle},
	{"a ring that breaks in a flush", SHOWING, break_in_the_middle},
	{"a second socket in a flush", SHOWING, another_socket_in_the_middle},
	{"a socket closed in a flush", SHOWING, closed_in_the_middle},
	HANGS_UP(0, "after a byte"),
	HANGS_UP(1, "in a header"),
	HANGS_UP(2, "after a header"),
	HANGS_UP(3, "in a payload"),
	HANGS_UP(4, "after SCANOUT"),
	HANGS_UP(5, "before UPDATE"),
	HANGS_UP(6, "in UPDATE"),
	HANGS_UP(7, "in UPDATE's payload"),
	HANGS_UP(8, "before the pixels"),
	HANGS_UP(9, "in the first pixel"),
	HANGS_UP(10, "in the middle of a pixel"),
	HANGS_UP(11, "in the second row"),
	HANGS_UP(12, "after a third"),
	HANGS_UP(13, "before the last pixel"),
	{"200 sockets, one after the other", SHOWING, sockets_again_and_again},
	{"more long requests than arrays", SHOWING, all_arrays_lent},
	{"a display that never answers", SHOWING, mute},
	{"a reset while it does not answer", SHOWING, mute_and_reset},
	{"a display that leaves without an answer", SHOWING, mute_and_gone},
	{"a display that outlives its front-end", SHOWING, eyes_left_behind},
	{"200 front-ends that leave in all states", CONNECTED, two_hundred},
};

int main(int argc, char **argv)
{
	return hostile_main(argc, argv, cases, COUNT(cases));
}
