/* SPDX-License-Identifier: MIT */
/*
 * How frames go to QEMU's end of the display socket: merged when it is slow, one update a scanout
 * under way, no more than the damage, and never at the expense of the guest.
 */
#include "device.h"

#include <string.h>

#include "driver/wait.h"

enum {
	HEADER = sizeof(struct vhost_user_gpu_header),
	UPDATE = HEADER + sizeof(struct vhost_user_gpu_update),
	QUESTION = HEADER, // GET_PROTOCOL_FEATURES, behind each update
	HUGE_SIDE = 2200,  // 19 MB: more than any socket takes in
	FLUSHES = 200,
};

static uint64_t counted(uint32_t request)
{
	return dev.peer.count[request];
}

static uint64_t updates(void)
{
	return counted(VHOST_USER_GPU_UPDATE);
}

static void begin(void)
{
	device_begin(&(struct device_setup){.peer = true});
}

/* Merging */

/* Draws n colours, the last of which is n, and flushes each without waiting for it. */
static void flush_colours(uint32_t id, uint64_t gpa, struct virtio_gpu_rect r, int *tickets)
{
	for (uint32_t i = 1; i <= FLUSHES; i++) {
		device_fill(id, gpa, r, i);
		tickets[i - 1] = device_submit_flush(id, r);
	}
}

static unsigned int count_done(const int *tickets)
{
	unsigned int n = 0;

	for (int i = 0; i < FLUSHES; i++)
		n += device_is_done(tickets[i]);
	return n;
}

/* Only the update under way and the one that waits hold a flush; the guest goes on. */
static void merged_while_nobody_reads(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 400, 300);
	int tickets[FLUSHES];
	uint64_t gpa, before;

	(void)state;
	begin();
	gpa = device_show(0, 1, 400, 300, 0);
	device_settle();
	before = updates();
	dev.peer.stop_reading = true;
	flush_colours(1, gpa, all, tickets);
	device_settle();
	assert_true(count_done(tickets) >= FLUSHES - 2);
	assert_int_equal(updates(), before);
	dev.peer.stop_reading = false;
	for (int i = 0; i < FLUSHES; i++)
		device_collect(tickets[i]);
	device_assert_peer(0, 400, 300, FLUSHES);
	assert_in_range(updates() - before, 1, 3);
}

/* A large frame comes in bands, so that QEMU's big lock is let go between; not so the first of a size. */
static void large_frames_in_bands(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 1001, 701);
	int tickets[FLUSHES];
	uint64_t gpa, before;

	(void)state;
	begin();
	before = updates();
	gpa = device_show(0, 1, 1001, 701, 0);
	device_assert_peer(0, 1001, 701, 0);
	assert_int_equal(updates() - before, 1);
	before = updates();
	flush_colours(1, gpa, all, tickets);
	for (int i = 0; i < FLUSHES; i++)
		device_collect(tickets[i]);
	device_assert_peer(0, 1001, 701, FLUSHES);
	assert_in_range(updates() - before, 3, 3 * FLUSHES);
	assert_int_equal((updates() - before) % 3, 0); // 2.8 MB in bands of 1 MiB
	assert_int_equal(dev.peer.faults, 0);
}

/* Eventually everything that was flushed is there, however slowly it is read. */
static void merged_by_a_slow_reader(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 100, 80);
	int tickets[FLUSHES];
	uint64_t gpa, before;

	(void)state;
	begin();
	gpa = device_show(0, 1, 100, 80, 0);
	device_settle();
	before = updates();
	dev.peer.slow = 499;
	flush_colours(1, gpa, all, tickets);
	device_assert_peer(0, 100, 80, FLUSHES);
	for (int i = 0; i < FLUSHES; i++)
		device_collect(tickets[i]);
	assert_true(updates() - before < FLUSHES / 2);
}

/* Damage that lies apart stays apart when it is merged. */
static void damage_is_merged_by_place(void **state)
{
	uint64_t bytes;

	(void)state;
	begin();
	device_show(0, 1, 1000, 1000, 5);
	device_settle();
	dev.peer.mute = true;
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 1, 0, NOTHING), OK);
	device_submit_flush(1, GPU_RECT(500, 500, 1, 1));
	device_settle();
	bytes = dev.peer.bytes;
	for (int i = 0; i < 10; i++) {
		device_submit_flush(1, GPU_RECT(0, 0, 10, 10));
		device_submit_flush(1, GPU_RECT(990, 990, 10, 10));
	}
	device_settle();
	assert_int_equal(dev.peer.bytes, bytes);
	dev.peer.mute = false;
	device_answer_late();
	device_settle();
	assert_int_equal(dev.peer.bytes - bytes, 2 * (UPDATE + 400) + QUESTION);
}

/* Only damage */

static void damage_only(void **state)
{
	static const struct virtio_gpu_rect damage[] = {{10, 20, 30, 40}, {0, 0, 1000, 1},
		{999, 799, 1, 1}, {0, 400, 1000, 7}, {1, 1, 998, 2}};

	(void)state;
	begin();
	device_show(0, 1, 1000, 800, 5);
	device_settle();
	for (size_t i = 0; i < sizeof(damage) / sizeof(*damage); i++) {
		const struct display_screen *s = &dev.peer.screens[0];
		struct virtio_gpu_rect r = damage[i];
		uint64_t bytes = dev.peer.bytes;

		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, r), OK);
		device_settle();
		assert_int_equal(
			dev.peer.bytes - bytes, UPDATE + 4 * r.width * r.height + QUESTION);
		assert_true(s->x == r.x && s->y == r.y);
		assert_true(s->w == r.width && s->h == r.height);
	}
}

/* On a scanout of a part of the resource, damage counts from there and ends there. */
static void damage_of_a_part(void **state)
{
	const struct display_screen *s = &dev.peer.screens[0];
	uint64_t bytes;

	(void)state;
	begin();
	device_make(1, 300, 200, 5);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, GPU_RECT(50, 60, 100, 90)), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, GPU_RECT(0, 0, 300, 200)), OK);
	device_settle();
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, GPU_RECT(0, 100, 60, 100)), OK);
	device_settle();
	assert_true(s->x == 0 && s->y == 40 && s->w == 10 && s->h == 50);
	bytes = dev.peer.bytes;
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, GPU_RECT(150, 0, 150, 200)), OK);
	device_settle();
	assert_int_equal(dev.peer.bytes, bytes);
}

/* One at a time */

static void one_unacknowledged(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 50, 50);
	uint64_t gpa, before, questions;

	(void)state;
	begin();
	gpa = device_show(0, 1, 50, 50, 1);
	device_settle();
	before = updates();
	questions = counted(VHOST_USER_GPU_GET_PROTOCOL_FEATURES);
	dev.peer.mute = true;
	for (uint32_t i = 2; i < 10; i++) {
		device_fill(1, gpa, all, i);
		device_submit_flush(1, all);
		device_settle();
		assert_int_equal(updates(), before + 1);
	}
	assert_int_equal(counted(VHOST_USER_GPU_GET_PROTOCOL_FEATURES), questions + 1);
	device_answer_late();
	device_settle();
	assert_int_equal(updates(), before + 2);
	dev.peer.mute = false;
	device_answer_late();
	device_assert_peer(0, 50, 50, 9);
	assert_int_equal(updates(), before + 2);
}

static void other_scanouts_go_on(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 40, 40);
	uint64_t a, b;
	int stuck;

	(void)state;
	begin();
	a = device_show(0, 1, 40, 40, 1);
	b = device_show(1, 2, 40, 40, 2);
	device_settle();
	dev.peer.mute = true;
	device_submit_flush(1, all);
	device_settle();
	device_fill(1, a, all, 3);
	stuck = device_submit_flush(1, all);
	device_fill(2, b, all, 4);
	device_submit_flush(2, all);
	device_assert_peer(1, 40, 40, 4);
	device_assert_peer(0, 40, 40, 1);
	assert_false(device_is_done(stuck));
}

/* Nor does a resource on two scanouts wait for both with everything else. */
static void commands_go_on(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, HUGE_SIDE, HUGE_SIDE);
	uint8_t uuid[16];
	int stuck;

	(void)state;
	begin();
	device_make(1, HUGE_SIDE, HUGE_SIDE, 7);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.stop_reading = true;
	stuck = device_submit_flush(1, all);
	device_make(2, 64, 64, 3);
	assert_int_equal(gpu_driver_uuid(&dev.gpu, 2, uuid), VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR,
				 (struct virtio_gpu_update_cursor){.resource_id = 2}),
		0);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
	assert_false(device_is_done(stuck));
}

/* When a flush ends */

static void flush_waits_for_its_pixels(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, HUGE_SIDE, HUGE_SIDE);
	uint64_t bytes = (uint64_t)HUGE_SIDE * HUGE_SIDE * 4;
	int ticket;

	(void)state;
	begin();
	device_make(1, HUGE_SIDE, HUGE_SIDE, 7);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.stop_reading = true;
	ticket = device_submit_flush(1, all);
	for (int i = 0; i < 100; i++) {
		device_settle();
		assert_false(device_is_done(ticket));
	}
	dev.peer.stop_reading = false;
	while (!device_is_done(ticket))
		assert_true(display_peer_pump(&dev.peer, WAIT_DEFAULT) >= 0);
	assert_true(dev.peer.bytes > bytes / 2); // the rest is in the socket
	device_assert_peer(0, HUGE_SIDE, HUGE_SIDE, 7);
}

/* The socket is gone: there is nobody to wait for. */
static void flush_ends_with_the_socket(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, HUGE_SIDE, HUGE_SIDE);
	int first, second;

	(void)state;
	begin();
	device_make(1, HUGE_SIDE, HUGE_SIDE, 7);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.stop_reading = true;
	first = device_submit_flush(1, all);
	second = device_submit_flush(1, all);
	device_settle();
	assert_false(device_is_done(first) && device_is_done(second));
	display_peer_close(&dev.peer);
	device_collect(first);
	device_collect(second);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
}

/* So it is when the peer hangs up in the middle of what it reads. */
static void peer_hangs_up(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 600, 600);

	(void)state;
	for (uint64_t at = 1; at < 600 * 600 * 4; at = at * 3 + 1) {
		begin();
		device_make(1, 600, 600, 7);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
		dev.peer.hang_up = dev.peer.bytes + at;
		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
		assert_true(child_is_alive(&dev.child));
	}
}

/* What is half sent */

static void half_sent_and_unref(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 700, 500);
	int ticket;

	(void)state;
	begin();
	device_make(1, 700, 500, 7);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.slow = 3001;
	ticket = device_submit_flush(1, all);
	for (int i = 0; i < 20; i++)
		display_peer_pump(&dev.peer, WAIT_DEFAULT);
	assert_int_equal(updates(), 0);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	device_collect(ticket);
	device_settle();
	assert_int_equal(updates(), 1); // whole, as it was begun
	assert_int_equal(dev.peer.screens[0].w, 700);
	assert_int_equal(dev.peer.screens[0].h, 500);
	assert_int_equal(display_peer_crc(&dev.peer, 0), 0); // and then off
	assert_int_equal(dev.peer.faults, 0);
	dev.peer.slow = 0;
	device_show(0, 1, 30, 30, 4);
	device_assert_peer(0, 30, 30, 4);
}

static void half_sent_and_flip(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 700, 500);

	(void)state;
	begin();
	device_make(1, 700, 500, 7);
	device_make(2, 300, 900, 8);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.slow = 3001;
	for (uint32_t i = 0; i < 10; i++) {
		device_submit_flush(1, all);
		for (int k = 0; k < 15; k++)
			display_peer_pump(&dev.peer, WAIT_DEFAULT);
		all = GPU_RECT(0, 0, 300, 900);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 2, all), OK);
		device_submit_flush(2, all);
		all = GPU_RECT(i, i, 700 - i, 500 - i);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	}
	device_submit_flush(1, all);
	dev.peer.slow = 20011;
	device_assert_peer(0, 691, 491, 7);
}

/* A reset in the middle, with the memory of the next picture being that of the last. */
static void half_sent_and_reset(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 700, 500);

	(void)state;
	begin();
	for (uint32_t i = 1; i <= 5; i++) {
		device_make(1, 700, 500, i);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
		dev.peer.slow = 1000 * i;
		device_submit_flush(1, all);
		for (int k = 0; k < 7; k++)
			display_peer_pump(&dev.peer, WAIT_DEFAULT);
		dev.peer.slow = 0;
		device_reset();
		device_start();
	}
	device_show(0, 1, 30, 30, 9);
	device_assert_peer(0, 30, 30, 9);
}

/* Stopping */

static void terminated_in_a_frame(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, HUGE_SIDE, HUGE_SIDE);

	(void)state;
	begin();
	device_make(1, HUGE_SIDE, HUGE_SIDE, 7);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.stop_reading = true;
	device_submit_flush(1, all);
	device_settle();
	device_terminate();
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(merged_while_nobody_reads),
		TEST(large_frames_in_bands),
		TEST(merged_by_a_slow_reader),
		TEST(damage_is_merged_by_place),
		TEST(damage_only),
		TEST(damage_of_a_part),
		TEST(one_unacknowledged),
		TEST(other_scanouts_go_on),
		TEST(commands_go_on),
		TEST(flush_waits_for_its_pixels),
		TEST(flush_ends_with_the_socket),
		TEST(peer_hangs_up),
		TEST(half_sent_and_unref),
		TEST(half_sent_and_flip),
		TEST(half_sent_and_reset),
		TEST(terminated_in_a_frame),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_qemu", tests, NULL, NULL);
}
