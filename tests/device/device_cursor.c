/* SPDX-License-Identifier: MIT */
/* The cursor as QEMU's end sees it. */
#include "device.h"

#include <endian.h>

enum { SIDE = VHOST_USER_GPU_CURSOR_SIZE };

#define RED    0xffff0000u
#define GREEN  0xff00ff00u
#define BLUE   0xff0000ffu
#define YELLOW 0xffffff00u

/* A resource whose four quarters have four colours, a8r8g8b8; not for a scanout. */
static void make_quarters(uint32_t id, uint32_t w, uint32_t h)
{
	uint64_t gpa = gpu_driver_make_2d(&dev.gpu, id, BGRA, w, h);
	uint32_t *p = guest_ptr(&dev.guest, gpa, (uint64_t)w * h * 4);

	assert_non_null(p);
	for (uint32_t y = 0; y < h; y++)
		for (uint32_t x = 0; x < w; x++)
			p[y * w + x] = htole32(y < h / 2 ? (x < w / 2 ? RED : GREEN)
							 : (x < w / 2 ? BLUE : YELLOW));
	assert_int_equal(gpu_driver_transfer(&dev.gpu, id, GPU_RECT(0, 0, w, h), 0), OK);
}

struct place {
	uint32_t scanout, x, y, hot_x, hot_y;
};

static void send(uint32_t type, uint32_t id, struct place p)
{
	struct virtio_gpu_update_cursor c = {.resource_id = htole32(id),
		.pos = {.scanout_id = htole32(p.scanout), .x = htole32(p.x), .y = htole32(p.y)},
		.hot_x = htole32(p.hot_x),
		.hot_y = htole32(p.hot_y)};

	assert_int_equal(gpu_driver_cursor(&dev.gpu, type, c), 0);
	device_settle();
	if (dev.peer.faults)
		fail_msg("the peer says: %s", dev.peer.fault);
}

static void show(uint32_t id, struct place p)
{
	send(VIRTIO_GPU_CMD_UPDATE_CURSOR, id, p);
}

static void move(struct place p)
{
	send(VIRTIO_GPU_CMD_MOVE_CURSOR, 0, p);
}

static uint32_t at(uint32_t x, uint32_t y)
{
	return dev.peer.cursor.data[y * SIDE + x];
}

/* The middles of the four quarters of w x h. */
static void assert_quarters(uint32_t w, uint32_t h)
{
	assert_true(dev.peer.cursor.visible);
	assert_int_equal(at(w / 4, h / 4), RED);
	assert_int_equal(at(w * 3 / 4, h / 4), GREEN);
	assert_int_equal(at(w / 4, h * 3 / 4), BLUE);
	assert_int_equal(at(w * 3 / 4, h * 3 / 4), YELLOW);
}

/* Beyond w x h nothing is to be seen. */
static void assert_clear_beyond(uint32_t w, uint32_t h)
{
	for (uint32_t y = 0; y < SIDE; y++)
		for (uint32_t x = 0; x < SIDE; x++)
			if (x >= w || y >= h)
				assert_int_equal(at(x, y), 0);
}

static void assert_hot(uint32_t x, uint32_t y)
{
	assert_int_equal(dev.peer.cursor.hot_x, x);
	assert_int_equal(dev.peer.cursor.hot_y, y);
}

static void assert_at(uint32_t scanout, uint32_t x, uint32_t y)
{
	assert_int_equal(dev.peer.cursor.pos.scanout_id, scanout);
	assert_int_equal(dev.peer.cursor.pos.x, x);
	assert_int_equal(dev.peer.cursor.pos.y, y);
}

static int begin(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	return 0;
}

/* Sizes */

static void usual_size(void **state)
{
	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0, 10, 20, 3, 4});
	assert_quarters(SIDE, SIDE);
	assert_int_equal(at(31, 31), RED); // not a pixel is touched
	assert_int_equal(at(32, 31), GREEN);
	assert_int_equal(at(31, 32), BLUE);
	assert_int_equal(at(63, 63), YELLOW);
	assert_hot(3, 4);
	assert_at(0, 10, 20);
}

static void smaller(void **state)
{
	(void)state;
	make_quarters(1, 32, 20);
	show(1, (struct place){.hot_x = 31, .hot_y = 19});
	assert_quarters(32, 20);
	assert_int_equal(at(31, 19), YELLOW);
	assert_clear_beyond(32, 20);
	assert_hot(31, 19);
	make_quarters(2, 2, 2);
	show(2, (struct place){0});
	assert_int_equal(at(1, 1), YELLOW);
	assert_clear_beyond(2, 2); // what was there before has gone
}

static void larger(void **state)
{
	(void)state;
	make_quarters(1, 128, 128);
	show(1, (struct place){.hot_x = 127, .hot_y = 64});
	assert_quarters(SIDE, SIDE);
	assert_hot(63, 32);
	make_quarters(2, 512, 512);
	show(2, (struct place){.hot_x = 256, .hot_y = 8});
	assert_quarters(SIDE, SIDE);
	assert_hot(32, 1);
}

/* It keeps its shape. */
static void larger_and_not_square(void **state)
{
	(void)state;
	make_quarters(1, 256, 64);
	show(1, (struct place){.hot_x = 200, .hot_y = 40});
	assert_quarters(64, 16);
	assert_clear_beyond(64, 17);
	assert_hot(50, 10);
	make_quarters(2, 96, 128);
	show(2, (struct place){0});
	assert_quarters(48, 64);
	assert_clear_beyond(49, 64);
}

static void transparency(void **state)
{
	uint64_t gpa;
	uint32_t *p;

	(void)state;
	gpa = gpu_driver_make_2d(&dev.gpu, 1, VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, SIDE, SIDE);
	p = guest_ptr(&dev.guest, gpa, SIDE * SIDE * 4);
	p[0] = htole32(0x80302010);
	p[1] = htole32(0);
	assert_int_equal(gpu_driver_transfer(&dev.gpu, 1, GPU_RECT(0, 0, SIDE, SIDE), 0), OK);
	show(1, (struct place){0});
	assert_int_equal(at(0, 0), 0x80102030);
	assert_int_equal(at(1, 0), 0);
}

/* A format without transparency is opaque. */
static void opaque(void **state)
{
	(void)state;
	device_make(1, SIDE, SIDE, 0x00123456);
	show(1, (struct place){0});
	assert_int_equal(at(0, 0), 0xff123456);
	assert_int_equal(at(63, 63), 0xff123456);
}

/* Its life */

static void hidden_and_shown(void **state)
{
	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0, 5, 5, 0, 0});
	show(0, (struct place){0});
	assert_false(dev.peer.cursor.visible);
	move((struct place){0, 7, 8, 0, 0});
	assert_false(dev.peer.cursor.visible);
	show(1, (struct place){0, 9, 10, 0, 0});
	assert_quarters(SIDE, SIDE);
	assert_at(0, 9, 10);
}

/* The picture is sent once, moves are 24 bytes. */
static void moved(void **state)
{
	uint64_t bytes;

	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0, 1, 1, 9, 9});
	bytes = dev.peer.bytes;
	for (uint32_t i = 0; i < 50; i++) {
		move((struct place){0, i * 3, 1000 - i, 0, 0});
		assert_at(0, i * 3, 1000 - i);
	}
	assert_int_equal(dev.peer.bytes - bytes, 50 * 24);
	assert_quarters(SIDE, SIDE);
	assert_hot(9, 9);
}

/* A display that does not read finds the last place, not all those before. */
static void moves_are_merged(void **state)
{
	struct virtio_gpu_rect huge = GPU_RECT(0, 0, 2200, 2200);
	uint64_t moves;

	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0});
	moves = dev.peer.count[VHOST_USER_GPU_CURSOR_POS];
	device_make(2, 2200, 2200, 1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 2, huge), OK);
	dev.peer.stop_reading = true;
	device_submit_flush(2, huge);
	device_settle();
	for (uint32_t i = 1; i <= 500; i++)
		move((struct place){0, i, i, 0, 0});
	dev.peer.stop_reading = false;
	device_settle();
	assert_at(0, 500, 500);
	assert_in_range(dev.peer.count[VHOST_USER_GPU_CURSOR_POS] - moves, 1, 2);
}

static void on_all_scanouts(void **state)
{
	(void)state;
	make_quarters(1, SIDE, SIDE);
	for (uint32_t i = 0; i < 16; i++) {
		show(1, (struct place){i, 100 + i, i, i, 1});
		assert_at(i, 100 + i, i);
		assert_hot(i, 1);
	}
	for (uint32_t i = 0; i < 16; i++) {
		move((struct place){i, 200 + i, i, 0, 0});
		assert_at(i, 200 + i, i);
	}
	show(0, (struct place){.scanout = 7});
	assert_false(dev.peer.cursor.visible);
	assert_int_equal(dev.peer.cursor.pos.scanout_id, 7);
}

/* The picture is the daemon's own: the resource may go, and be drawn over. */
static void resource_has_gone(void **state)
{
	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0});
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	move((struct place){0, 3, 3, 0, 0});
	assert_quarters(SIDE, SIDE);
	assert_at(0, 3, 3);
}

/* What is wrong with a cursor is said, and it stays as it was. */
static void refused(void **state)
{
	struct virtio_gpu_update_cursor c = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_UPDATE_CURSOR), .resource_id = htole32(77)};
	int ticket;

	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0, 1, 2, 0, 0});
	ticket = gpu_driver_submit(&dev.gpu, 1, &c, sizeof(c), 24);
	assert_int_equal(
		gpu_driver_collect(&dev.gpu, ticket), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	c.resource_id = htole32(1);
	c.pos.scanout_id = htole32(16);
	ticket = gpu_driver_submit(&dev.gpu, 1, &c, sizeof(c), 24);
	assert_int_equal(
		gpu_driver_collect(&dev.gpu, ticket), VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	device_settle();
	assert_quarters(SIDE, SIDE);
	assert_at(0, 1, 2);
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_CURSOR_UPDATE], 1);
}

static void after_a_reset(void **state)
{
	(void)state;
	make_quarters(1, SIDE, SIDE);
	show(1, (struct place){0});
	device_reset();
	device_start();
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_CURSOR_UPDATE], 1);
	make_quarters(1, 32, 32);
	show(1, (struct place){2, 3, 4, 5, 6});
	assert_quarters(32, 32);
	assert_at(2, 3, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(usual_size),
		TEST(smaller),
		TEST(larger),
		TEST(larger_and_not_square),
		TEST(transparency),
		TEST(opaque),
		TEST(hidden_and_shown),
		TEST(moved),
		TEST(moves_are_merged),
		TEST(on_all_scanouts),
		TEST(resource_has_gone),
		TEST(refused),
		TEST(after_a_reset),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_cursor", tests, NULL, NULL);
}
