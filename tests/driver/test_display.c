/* SPDX-License-Identifier: MIT */
/*
 * The display peer, fed by hand as a back-end would, and the gpu driver on rings whose device
 * answers by hand too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "channel.h"
#include "display.h"
#include "gpu.h"
#include "wait.h"

static struct display_peer peer;
static int remote;

static int peer_up(void **state)
{
	(void)state;
	return display_peer_open(&peer, &remote);
}

static int peer_down(void **state)
{
	(void)state;
	if (remote >= 0)
		close(remote);
	display_peer_finish(&peer);
	return 0;
}

static void say(uint32_t request, const void *payload, uint32_t size)
{
	struct vhost_user_gpu_header h = {request, 0, size};
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	assert_int_equal(channel_send(remote, &h, sizeof(h), NULL, deadline), 0);
	assert_int_equal(channel_send(remote, payload, size, NULL, deadline), 0);
}

static void hear(uint32_t request, void *payload, uint32_t size)
{
	struct vhost_user_gpu_header h;
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	assert_int_equal(channel_recv(remote, &h, sizeof(h), NULL, deadline), 0);
	assert_int_equal(h.request, request);
	assert_int_equal(h.flags, VHOST_USER_GPU_REPLY_MASK);
	assert_int_equal(h.size, size);
	assert_int_equal(channel_recv(remote, payload, size, NULL, deadline), 0);
}

static void pump_one(uint32_t request, uint64_t n)
{
	assert_int_equal(display_peer_wait(&peer, request, n, -1), 0);
}

static void scanout(uint32_t id, uint32_t w, uint32_t h)
{
	struct vhost_user_gpu_scanout m = {id, w, h};

	say(VHOST_USER_GPU_SCANOUT, &m, sizeof(m));
}

/* An UPDATE of at most 16 pixels, numbered from first on. */
static void update(struct vhost_user_gpu_update m, uint32_t first)
{
	struct {
		struct vhost_user_gpu_update m;
		uint32_t pixels[16];
	} u = {.m = m};

	for (uint32_t i = 0; i < 16; i++)
		u.pixels[i] = first + i;
	say(VHOST_USER_GPU_UPDATE, &u, (uint32_t)sizeof(m) + m.width * m.height * 4);
}

/* The display */

static void crc_is_the_one_of_zlib(void **state)
{
	(void)state;
	assert_int_equal(display_crc32(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(display_crc32(display_crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
	assert_int_equal(display_crc32(0, "", 0), 0);
}

static void answers(void **state)
{
	struct virtio_gpu_resp_display_info info;
	struct vhost_user_gpu_edid_request ask = {.scanout_id = 3};
	struct virtio_gpu_resp_edid edid;
	uint64_t features;
	unsigned int sum = 0;

	(void)state;
	say(VHOST_USER_GPU_GET_PROTOCOL_FEATURES, NULL, 0);
	pump_one(VHOST_USER_GPU_GET_PROTOCOL_FEATURES, 1);
	hear(VHOST_USER_GPU_GET_PROTOCOL_FEATURES, &features, sizeof(features));
	assert_int_equal(features, 1);
	say(VHOST_USER_GPU_SET_PROTOCOL_FEATURES, &features, sizeof(features));
	say(VHOST_USER_GPU_GET_DISPLAY_INFO, NULL, 0);
	pump_one(VHOST_USER_GPU_GET_DISPLAY_INFO, 1);
	hear(VHOST_USER_GPU_GET_DISPLAY_INFO, &info, sizeof(info));
	assert_int_equal(info.pmodes[0].r.width, 1024);
	say(VHOST_USER_GPU_GET_EDID, &ask, sizeof(ask));
	pump_one(VHOST_USER_GPU_GET_EDID, 1);
	hear(VHOST_USER_GPU_GET_EDID, &edid, sizeof(edid));
	for (int i = 0; i < 128; i++)
		sum += edid.edid[i];
	assert_int_equal(sum % 256, 0);
	assert_int_equal(peer.faults, 0);
}

static void pictures(void **state)
{
	static const uint8_t rgb[] = {0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4};

	(void)state;
	scanout(1, 2, 2);
	pump_one(VHOST_USER_GPU_SCANOUT, 1);
	assert_int_equal(display_peer_crc(&peer, 1), 0);
	update((struct vhost_user_gpu_update){1, 0, 0, 2, 2}, 0xff000001);
	pump_one(VHOST_USER_GPU_UPDATE, 1);
	assert_int_equal(display_peer_crc(&peer, 1), display_crc32(0, rgb, sizeof(rgb)));
	update((struct vhost_user_gpu_update){1, 1, 1, 1, 1}, 0x123456);
	pump_one(VHOST_USER_GPU_UPDATE, 2);
	assert_int_equal(display_peer_pixel(&peer, 1, 1, 1), 0x123456);
	assert_int_equal(display_peer_pixel(&peer, 1, 0, 1), 3);
	assert_int_equal(display_peer_pixel(&peer, 1, 2, 1), 0);
	scanout(1, 4, 1); // the old picture stays until the next UPDATE
	pump_one(VHOST_USER_GPU_SCANOUT, 2);
	assert_int_equal(display_peer_pixel(&peer, 1, 0, 1), 3);
	update((struct vhost_user_gpu_update){1, 2, 0, 1, 1}, 9);
	pump_one(VHOST_USER_GPU_UPDATE, 3);
	assert_int_equal(peer.screens[1].shown.width, 4);
	assert_int_equal(display_peer_pixel(&peer, 1, 0, 0), 0);
	assert_int_equal(display_peer_pixel(&peer, 1, 2, 0), 9);
	scanout(1, 0, 0);
	pump_one(VHOST_USER_GPU_SCANOUT, 3);
	assert_int_equal(display_peer_crc(&peer, 1), 0);
	assert_int_equal(peer.faults, 0);
}

static void faults_are_counted(void **state)
{
	struct vhost_user_gpu_update off = {.scanout_id = 0, .width = 1, .height = 1};

	(void)state;
	update(off, 0);
	scanout(16, 2, 2);
	scanout(0, 2, 0);
	scanout(0, 2, 2);
	update((struct vhost_user_gpu_update){0, 1, 1, 2, 1}, 0);
	say(VHOST_USER_GPU_UPDATE, &off, sizeof(off));
	say(VHOST_USER_GPU_CURSOR_POS, &off, 4);
	say(77, NULL, 0);
	say(VHOST_USER_GPU_GET_DISPLAY_INFO, NULL, 0);
	pump_one(VHOST_USER_GPU_GET_DISPLAY_INFO, 1);
	assert_int_equal(peer.faults, 7);
	assert_string_equal(peer.fault, "a message without a name");
}

static void cursors(void **state)
{
	static struct vhost_user_gpu_cursor_update m = {
		.pos = {2, 30, 40}, .hot_x = 5, .hot_y = 6, .data = {[4095] = 0x80ff0000}};

	(void)state;
	say(VHOST_USER_GPU_CURSOR_UPDATE, &m, sizeof(m));
	pump_one(VHOST_USER_GPU_CURSOR_UPDATE, 1);
	assert_true(peer.cursor.visible);
	assert_int_equal(peer.cursor.hot_y, 6);
	assert_int_equal(peer.cursor.data[4095], 0x80ff0000);
	m.pos.x = 31;
	say(VHOST_USER_GPU_CURSOR_POS, &m.pos, sizeof(m.pos));
	say(VHOST_USER_GPU_CURSOR_POS_HIDE, &m.pos, sizeof(m.pos));
	pump_one(VHOST_USER_GPU_CURSOR_POS_HIDE, 1);
	assert_false(peer.cursor.visible);
	assert_int_equal(peer.cursor.pos.x, 31);
	assert_int_equal(peer.faults, 0);
}

static void bad_manners(void **state)
{
	struct pollfd p;

	(void)state;
	peer.stop_reading = true;
	scanout(0, 2, 2);
	assert_int_equal(display_peer_pump(&peer, -1), -ETIMEDOUT);
	peer.stop_reading = false;
	peer.slow = 5;
	for (int i = 0; i < 4; i++)
		assert_int_equal(display_peer_pump(&peer, -1), 0);
	assert_int_equal(display_peer_pump(&peer, -1), 1);
	peer.slow = 0;
	peer.mute = true;
	say(VHOST_USER_GPU_GET_DISPLAY_INFO, NULL, 0);
	pump_one(VHOST_USER_GPU_GET_DISPLAY_INFO, 1);
	p = (struct pollfd){remote, POLLIN, 0};
	assert_int_equal(poll(&p, 1, 0), 0);
	peer.hang_up = peer.bytes + 14;
	scanout(0, 4, 4);
	assert_int_equal(display_peer_pump(&peer, -1), 0);
	assert_int_equal(peer.fd, -1);
	assert_int_equal(display_peer_pump(&peer, -1), -ECONNRESET);
	close(remote);
	peer.hang_up = 0;
	assert_int_equal(display_peer_reopen(&peer, &remote), 0);
	scanout(0, 4, 4);
	pump_one(VHOST_USER_GPU_SCANOUT, 2);
	close(remote);
	remote = -1;
	assert_int_equal(display_peer_pump(&peer, -1), -ECONNRESET);
}

/* The gpu driver */

static struct guest guest;
static struct drv_ring rings[2];
static struct gpu_driver gpu;

static int gpu_up(void **state)
{
	(void)state;
	assert_int_equal(guest_init_flat(&guest, 4 << 20), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(drv_ring_init(&rings[i], &guest, 64, DRV_INDIRECT), 0);
	gpu_driver_init(&gpu, &guest, &rings[0], &rings[1]);
	return 0;
}

static int gpu_down(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		drv_ring_finish(&rings[i]);
	guest_finish(&guest);
	return 0;
}

/* Answers the chain in slot n of a ring with len bytes, written to its only writable descriptor. */
static void device_answer(struct drv_ring *r, uint16_t n, const void *bytes, uint32_t len)
{
	uint16_t head = r->avail->ring[n % r->num];
	struct vring_desc *table = r->desc, *d = &table[head];

	if (d->flags & VRING_DESC_F_INDIRECT)
		d = table = guest_ptr(&guest, d->addr, d->len);
	while (len > 0 && !(d->flags & VRING_DESC_F_WRITE))
		d = &table[d->next];
	if (len > 0)
		guest_write(&guest, d->addr, bytes, len);
	r->used->ring[n % r->num].id = head;
	r->used->ring[n % r->num].len = len;
	r->used->idx = (uint16_t)(n + 1);
	assert_int_equal(eventfd_write(r->call_fd, 1), 0);
}

static void late_answers(void **state)
{
	struct virtio_gpu_ctrl_hdr req = {.type = 0x100, .flags = 1, .fence_id = 77};
	struct virtio_gpu_ctrl_hdr resp = {.type = 0x1100, .flags = 1, .fence_id = 77};
	int a, b;

	(void)state;
	gpu.piece = 7;
	a = gpu_driver_submit(&gpu, 0, &req, sizeof(req), 24);
	gpu.indirect = true;
	b = gpu_driver_submit(&gpu, 0, &req, sizeof(req), 24);
	assert_true(a >= 0 && b >= 0 && a != b);
	gpu.timeout_ms = 0;
	assert_int_equal(gpu_driver_collect(&gpu, b), -ETIMEDOUT);
	device_answer(&rings[0], 0, &resp, sizeof(resp));
	gpu.timeout_ms = -1;
	assert_int_equal(gpu_driver_collect(&gpu, a), 0x1100);
	assert_int_equal(gpu.resp_len, 24);
	assert_false(gpu_driver_is_done(&gpu, b));
	resp.fence_id = 78;
	device_answer(&rings[0], 1, &resp, sizeof(resp));
	assert_int_equal(gpu_driver_poll(&gpu), 1);
	assert_true(gpu_driver_is_done(&gpu, b));
	assert_int_equal(gpu_driver_collect(&gpu, b), -EPROTO);
}

static void short_and_no_answers(void **state)
{
	struct virtio_gpu_ctrl_hdr req = {.type = 0x100}, resp = {.type = 0x1100};
	int ticket = gpu_driver_submit(&gpu, 0, &req, sizeof(req), 24);

	(void)state;
	device_answer(&rings[0], 0, &resp, 23);
	assert_int_equal(gpu_driver_collect(&gpu, ticket), -EBADMSG);
	ticket = gpu_driver_submit(&gpu, 1, &req, sizeof(req), 0);
	device_answer(&rings[1], 0, NULL, 0);
	assert_int_equal(gpu_driver_collect(&gpu, ticket), 0);
}

#define PEER_TEST(name) cmocka_unit_test_setup_teardown(name, peer_up, peer_down)
#define GPU_TEST(name)  cmocka_unit_test_setup_teardown(name, gpu_up, gpu_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_the_one_of_zlib),
		PEER_TEST(answers),
		PEER_TEST(pictures),
		PEER_TEST(faults_are_counted),
		PEER_TEST(cursors),
		PEER_TEST(bad_manners),
		GPU_TEST(late_answers),
		GPU_TEST(short_and_no_answers),
	};

	return cmocka_run_group_tests_name("display", tests, NULL, NULL);
}
