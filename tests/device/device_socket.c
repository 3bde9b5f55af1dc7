/* SPDX-License-Identifier: MIT */
/*
 * The display socket itself: a new one at each DRIVER_OK, what it is told of what is shown already,
 * and who answers for the monitors: QEMU's end where it can, else the daemon.
 */
#include "device.h"

#include <endian.h>
#include <unistd.h>

enum { OWN_WIDTH = 1600, OWN_HEIGHT = 900 };

static const struct virtio_gpu_rect all = {.width = 60, .height = 50};

/* QEMU 10 stops and starts the rings without a reset when the machine is paused. */
static void begin_pausable(void)
{
	device_begin(&(struct device_setup){.peer = true, .personality = "qemu10-gpu"});
}

/* Sockets */

static void exchanged_at_each_reset(void **state)
{
	int fds = 0;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	for (uint32_t i = 1; i <= 20; i++) {
		device_show(0, 1, 60, 50, i);
		device_assert_peer(0, 60, 50, i);
		assert_int_equal(dev.peer.count[VHOST_USER_GPU_SET_PROTOCOL_FEATURES], i);
		if (i == 1)
			fds = child_count_fds(&dev.child);
		assert_int_equal(child_count_fds(&dev.child), fds);
		device_reset();
		device_start();
	}
}

/* Several in one start, the last one counts; those before are closed. */
static void replaced_while_running(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	device_show(0, 1, 60, 50, 1);
	for (uint32_t i = 0; i < 5; i++) {
		struct display_peer other;
		int remote;

		assert_int_equal(display_peer_open(&other, &remote), 0);
		assert_int_equal(frontend_gpu_set_socket(&dev.fe, remote), 0);
		close(remote);
		device_settle();
		assert_int_equal(dev.peer.fd, -1);
		assert_int_equal(display_peer_wait(&other, VHOST_USER_GPU_UPDATE, 1, -1), 0);
		assert_int_equal(display_peer_crc(&other, 0), device_crc_of(60, 50, 1));
		display_peer_finish(&dev.peer);
		dev.peer = other;
	}
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	device_assert_peer(0, 60, 50, 1);
}

static void show_cursor(uint32_t x, uint32_t y)
{
	struct virtio_gpu_update_cursor c = {
		.pos = {.x = htole32(x), .y = htole32(y)}, .resource_id = htole32(9)};

	device_make(9, 64, 64, 0x80a0b0c0);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
}

static void assert_cursor(uint32_t x, uint32_t y)
{
	device_settle();
	assert_true(dev.peer.cursor.visible);
	assert_int_equal(dev.peer.cursor.pos.x, x);
	assert_int_equal(dev.peer.cursor.pos.y, y);
	assert_int_equal(dev.peer.cursor.data[0] & 0xffffff, 0xa0b0c0);
	assert_int_equal(dev.peer.cursor.data[4095] & 0xffffff, 0xa0b0c0);
}

static void forget_all(void)
{
	int remote;

	display_peer_finish(&dev.peer);
	assert_int_equal(display_peer_open(&dev.peer, &remote), 0);
	close(remote);
}

/* Without a command of the guest. */
static void told_everything_after_a_pause(void **state)
{
	(void)state;
	begin_pausable();
	device_show(0, 1, 60, 50, 1);
	device_show(3, 2, 20, 30, 2);
	show_cursor(5, 6);
	for (int i = 0; i < 3; i++) {
		device_settle();
		device_stop();
		forget_all();
		device_start();
		device_assert_peer(0, 60, 50, 1);
		device_assert_peer(3, 20, 30, 2);
		device_assert_peer(1, 0, 0, 0);
		assert_cursor(5, 6);
	}
	device_show(0, 3, 40, 40, 7);
	device_assert_peer(0, 40, 40, 7);
	assert_int_equal(dev.peer.screens[3].updates, 1);
}

/* A scanout that is set but was never flushed, and one that is off by then. */
static void told_what_is_set(void **state)
{
	(void)state;
	begin_pausable();
	device_show(0, 1, 60, 50, 1);
	device_show(1, 2, 60, 50, 2);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 1, 0, NOTHING), OK);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 2, all), OK);
	device_stop();
	forget_all();
	device_start();
	device_assert_peer(0, 60, 50, 2);
	device_assert_peer(1, 0, 0, 0);
}

/* The flush that was under way at the pause has ended, and its picture comes after it. */
static void paused_in_a_frame(void **state)
{
	struct virtio_gpu_rect whole = GPU_RECT(0, 0, 2200, 2200);
	int ticket;

	(void)state;
	begin_pausable();
	device_make(1, 2200, 2200, 8);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, whole), OK);
	dev.peer.stop_reading = true;
	ticket = device_submit_flush(1, whole);
	device_settle();
	assert_false(device_is_done(ticket));
	device_stop();
	device_collect(ticket);
	dev.peer.stop_reading = false;
	device_start();
	device_assert_peer(0, 2200, 2200, 8);
}

static void nothing_after_a_reset(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	device_show(0, 1, 60, 50, 1);
	show_cursor(5, 6);
	device_reset();
	forget_all();
	device_start();
	device_settle();
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_SCANOUT], 0);
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_UPDATE], 0);
	assert_false(dev.peer.cursor.visible);
	assert_int_equal(dev.peer.faults, 0);
}

/* Drawn while nobody looked; shown as soon as somebody does. */
static void drawn_without_a_socket(void **state)
{
	int remote;

	(void)state;
	device_begin(&(struct device_setup){.peer = true, .personality = "qemu11-generic"});
	device_show(0, 1, 60, 50, 4);
	assert_int_equal(display_peer_reopen(&dev.peer, &remote), 0);
	assert_int_equal(frontend_gpu_set_socket(&dev.fe, remote), 0);
	close(remote);
	device_assert_peer(0, 60, 50, 4);
}

/* Monitors */

static void begin_with_own(const struct device_setup *more)
{
	struct device_setup s = *more;

	s.args[0] = "--outputs=1600x900,640x480";
	device_begin(&s);
}

static uint32_t info_of(struct virtio_gpu_resp_display_info *info)
{
	uint32_t enabled = 0;

	assert_int_equal(gpu_driver_display_info(&dev.gpu, info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	for (int i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		enabled += le32toh(info->pmodes[i].enabled);
	return enabled;
}

static void assert_own_info(void)
{
	struct virtio_gpu_resp_display_info info;

	assert_int_equal(info_of(&info), 2);
	assert_int_equal(le32toh(info.pmodes[0].r.width), OWN_WIDTH);
	assert_int_equal(le32toh(info.pmodes[0].r.height), OWN_HEIGHT);
	assert_int_equal(le32toh(info.pmodes[1].r.width), 640);
}

/* The daemon's EDIDs have a model year; those of the peer do not. */
static bool edid_is_own(uint32_t scanout)
{
	struct virtio_gpu_resp_edid edid;

	assert_int_equal(gpu_driver_edid(&dev.gpu, scanout, &edid), VIRTIO_GPU_RESP_OK_EDID);
	assert_int_equal(edid.edid[12], scanout + (edid.edid[16] ? 1 : 0)); // the serial number
	return edid.edid[16];
}

static void answered_by_qemu(void **state)
{
	struct virtio_gpu_resp_display_info info;

	(void)state;
	begin_with_own(&(struct device_setup){.peer = true});
	dev.peer.modes[2] = (struct virtio_gpu_display_one){
		.r = {.x = 1, .y = 2, .width = 320, .height = 200}, .enabled = 1};
	assert_int_equal(info_of(&info), 2);
	assert_int_equal(info.pmodes[0].r.width, 1024);
	assert_int_equal(info.pmodes[2].r.y, 2);
	assert_int_equal(info.pmodes[2].r.width, 320);
	assert_false(edid_is_own(0));
	assert_false(edid_is_own(15));
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_GET_EDID], 2);
	assert_int_equal(dev.peer.faults, 0);
}

/* QEMU leaves the EDID of a scanout that it does not have unanswered; the next answer is the next's. */
static void own_where_qemu_has_none(void **state)
{
	struct virtio_gpu_cmd_get_edid m = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_GET_EDID), .scanout = htole32(3)};
	struct virtio_gpu_resp_display_info info;
	int edid;

	(void)state;
	begin_with_own(&(struct device_setup){.peer = true});
	dev.peer.outputs = 1;
	edid = device_submit(&m, sizeof(m));
	assert_int_equal(info_of(&info), 1);
	assert_int_equal(gpu_driver_collect(&dev.gpu, edid), VIRTIO_GPU_RESP_OK_EDID);
	assert_false(edid_is_own(0));
	device_make(1, 60, 50, 3);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	device_submit_flush(1, all);
	device_assert_peer(0, 60, 50, 3);
}

/* Its features are learnt before anything is asked, also when the guest is quick. */
static void edid_of_ones_own_without_the_feature(void **state)
{
	struct virtio_gpu_resp_display_info info;

	(void)state;
	begin_with_own(&(struct device_setup){.peer = true});
	device_reset();
	dev.peer.offered = 0;
	device_start();
	assert_true(edid_is_own(0));
	assert_true(edid_is_own(1));
	assert_int_equal(info_of(&info), 1);
	assert_int_equal(info.pmodes[0].r.width, 1024);
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_GET_EDID], 0);
	assert_int_equal(dev.peer.features, 0);
	assert_int_equal(dev.peer.faults, 0);
}

static void own_without_a_socket(void **state)
{
	(void)state;
	begin_with_own(&(struct device_setup){0});
	assert_own_info();
	assert_true(edid_is_own(0));
	assert_true(edid_is_own(1));
}

static int submit_question(uint32_t type)
{
	struct virtio_gpu_cmd_get_edid m = {.hdr.type = htole32(type)};

	return device_submit(&m, type == VIRTIO_GPU_CMD_GET_EDID ? sizeof(m) : sizeof(m.hdr));
}

/* Once the socket has gone, whoever still waits for it is answered. */
static void own_when_the_socket_leaves(void **state)
{
	int info, edid;

	(void)state;
	begin_with_own(&(struct device_setup){.peer = true});
	dev.peer.mute = true;
	info = submit_question(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	edid = submit_question(VIRTIO_GPU_CMD_GET_EDID);
	device_settle();
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_GET_EDID], 1);
	display_peer_close(&dev.peer);
	assert_int_equal(gpu_driver_collect(&dev.gpu, info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(gpu_driver_collect(&dev.gpu, edid), VIRTIO_GPU_RESP_OK_EDID);
	assert_own_info();
	assert_true(edid_is_own(0));
}

/* A socket that never says a word holds up nothing else, and the rings stop all the same. */
static void mute_from_the_start(void **state)
{
	int info, edid;

	(void)state;
	begin_with_own(&(struct device_setup){.peer = true});
	device_reset();
	dev.peer.mute = true;
	device_start();
	info = submit_question(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	edid = submit_question(VIRTIO_GPU_CMD_GET_EDID);
	device_make(1, 60, 50, 3);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	device_submit_flush(1, all);
	device_assert_peer(0, 60, 50, 3);
	assert_false(device_is_done(info) || device_is_done(edid));
	device_stop();
	assert_int_equal(gpu_driver_collect(&dev.gpu, info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(gpu_driver_collect(&dev.gpu, edid), VIRTIO_GPU_RESP_OK_EDID);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(exchanged_at_each_reset),
		TEST(replaced_while_running),
		TEST(told_everything_after_a_pause),
		TEST(told_what_is_set),
		TEST(paused_in_a_frame),
		TEST(nothing_after_a_reset),
		TEST(drawn_without_a_socket),
		TEST(answered_by_qemu),
		TEST(own_where_qemu_has_none),
		TEST(edid_of_ones_own_without_the_feature),
		TEST(own_without_a_socket),
		TEST(own_when_the_socket_leaves),
		TEST(mute_from_the_start),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_socket", tests, NULL, NULL);
}
