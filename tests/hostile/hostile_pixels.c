/* SPDX-License-Identifier: MIT */
/* Odd pictures and odd ways to show them: what is seen has to be right to the pixel. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIDE = 64, STRIDE = SIDE * 4, BYTES = SIDE * STRIDE, PIECES = 40 };

#define FORMAT VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define ALL    GPU_RECT(0, 0, SIDE, SIDE)

static uint32_t colour_of(uint32_t i)
{
	return i * 0x010305 & 0xffffff;
}

static void expect_picture(void)
{
	for (uint32_t i = 0; i < SIDE * SIDE; i++)
		assert_int_equal(display_peer_pixel(&hx.peer, 0, i % SIDE, i / SIDE), colour_of(i));
}

/* All that was flushed has been drawn, and nothing else comes. */
static void look(void)
{
	hostile_settle();
	while (display_peer_pump(&hx.peer, 20) >= 0)
		hostile_settle();
	assert_int_equal(hx.peer.faults, 0);
}

static void show(uint32_t id)
{
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, id, ALL));
	assert_ack(gpu_driver_flush(&hx.gpu, id, ALL));
	look();
}

/* ---- backing in pieces ---- */

/*
 * The picture in pieces of odd sizes, in turn in three regions. Some follow one another, as pages
 * of a guest do.
 */
static void scatter(struct virtio_gpu_mem_entry *e)
{
	uint64_t at[3] = {HAND_SIZE / 2, LEFT_GPA + 1, BORDER_GPA - 100};
	uint32_t pixels[SIDE * SIDE], done = 0;

	for (uint32_t i = 0; i < SIDE * SIDE; i++)
		pixels[i] = colour_of(i);
	for (unsigned i = 0; i < PIECES; i++) {
		uint32_t len = 1 + i * 20;
		uint64_t *to = &at[i / 2 % 3];

		if (i + 1 == PIECES)
			len = BYTES - done;
		e[i] = (struct virtio_gpu_mem_entry){.addr = *to, .length = len};
		assert_ok(guest_write(&hx.guest, *to, (char *)pixels + done, len));
		*to += len + (i % 2 ? 3 : 0);
		done += len;
	}
}

static void in_pieces(const void *arg)
{
	struct virtio_gpu_mem_entry e[PIECES];

	(void)arg;
	scatter(e);
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, SIDE, SIDE));
	assert_ack(gpu_driver_attach(&hx.gpu, 1, e, PIECES));
	assert_ack(gpu_driver_transfer(&hx.gpu, 1, ALL, 0));
	show(1);
	expect_picture();
}

static void in_tiles(const void *arg)
{
	const uint32_t tile = *(const uint32_t *)arg;
	struct virtio_gpu_mem_entry e[PIECES];

	scatter(e);
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, SIDE, SIDE));
	assert_ack(gpu_driver_attach(&hx.gpu, 1, e, PIECES));
	for (uint32_t y = 0; y < SIDE; y += tile)
		for (uint32_t x = 0; x < SIDE; x += tile) {
			uint32_t w = SIDE - x < tile ? SIDE - x : tile;
			uint32_t h = SIDE - y < tile ? SIDE - y : tile;

			assert_ack(gpu_driver_transfer(
				&hx.gpu, 1, GPU_RECT(x, y, w, h), y * STRIDE + x * 4));
		}
	show(1);
	expect_picture();
}

static const uint32_t tiles[] = {1, 7, 16, 63};

static struct guest_region big_region(uint64_t gpa, uint64_t size)
{
	struct guest_region r = {
		.gpa = gpa, .size = size, .user_addr = gpa, .fd = memfd_create("big", MFD_CLOEXEC)};

	assert_ok(ftruncate(r.fd, (off_t)size));
	assert_ok(frontend_add_region(&hx.fe, &r));
	return r;
}

/* Two entries in a row are one, but not if that is more than a length can say. */
static void beyond_4_gib(const void *arg)
{
	const uint64_t gpa = 1ull << 36, most = 0xfffff000, border = 0xf0000000;
	const struct guest_region low = big_region(gpa, border);
	const struct guest_region high = big_region(gpa + border, 1 << 29);
	const struct virtio_gpu_mem_entry e[2] = {
		{.addr = gpa, .length = (uint32_t)most}, {.addr = gpa + most, .length = 1 << 20}};
	uint32_t pixels[SIDE * SIDE];

	(void)arg;
	for (uint32_t i = 0; i < SIDE * SIDE; i++)
		pixels[i] = colour_of(i);
	assert_int_equal(pwrite(high.fd, pixels, BYTES, (off_t)(most - border) - 5000), BYTES);
	close(low.fd);
	close(high.fd);
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, SIDE, SIDE));
	assert_ack(gpu_driver_attach(&hx.gpu, 1, e, 2));
	assert_ack(gpu_driver_transfer(&hx.gpu, 1, ALL, most - 5000));
	show(1);
	expect_picture();
}

/* ---- flushes ---- */

static void shown_no_more(const void *arg)
{
	uint64_t updates;

	(void)arg;
	hostile_picture(1, SIDE, SIDE, 0x111111);
	hostile_picture(2, SIDE, SIDE, 0x222222);
	show(1);
	show(2);
	updates = hx.peer.count[VHOST_USER_GPU_UPDATE];
	assert_ack(gpu_driver_flush(&hx.gpu, 1, ALL));
	look();
	assert_int_equal(hx.peer.count[VHOST_USER_GPU_UPDATE], updates);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	look();
	assert_int_equal(display_peer_pixel(&hx.peer, 0, 0, 0), 0x222222);
}

/* Of the picture, but not of the part that is shown. */
static void not_in_the_scanout(const void *arg)
{
	static const struct virtio_gpu_rect outside[] = {
		{0, 0, 16, SIDE}, {32, 0, 32, SIDE}, {0, 0, SIDE, 8}, {16, 40, 16, 24}};
	uint64_t updates;

	(void)arg;
	hostile_picture(1, SIDE, SIDE, 0x111111);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(16, 8, 16, 32)));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, ALL));
	look();
	updates = hx.peer.count[VHOST_USER_GPU_UPDATE];
	for (size_t i = 0; i < COUNT(outside); i++)
		assert_ack(gpu_driver_flush(&hx.gpu, 1, outside[i]));
	look();
	assert_int_equal(hx.peer.count[VHOST_USER_GPU_UPDATE], updates);
	assert_ack(gpu_driver_flush(&hx.gpu, 1, GPU_RECT(31, 39, 20, 20)));
	look();
	assert_int_equal(hx.peer.screens[0].x, 15);
	assert_int_equal(hx.peer.screens[0].y, 31);
	assert_int_equal(hx.peer.screens[0].w, 1);
	assert_int_equal(hx.peer.screens[0].h, 1);
}

/* One picture on all scanouts, and its end takes it from all. */
static void on_all_scanouts(const void *arg)
{
	(void)arg;
	hostile_picture(1, SIDE, SIDE, 0x111111);
	for (uint32_t id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++)
		assert_ack(gpu_driver_set_scanout(&hx.gpu, id, 1, ALL));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, ALL));
	look();
	for (uint32_t id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++)
		assert_int_equal(display_peer_pixel(&hx.peer, id, 5, 5), 0x111111);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	look();
	for (uint32_t id = 0; id < VIRTIO_GPU_MAX_SCANOUTS; id++)
		assert_int_equal(hx.peer.screens[id].shown.width, 0);
}

/* ---- cursors ---- */

/* A move names no picture, and takes none away. */
static void cursor_moves(const void *arg)
{
	struct virtio_gpu_update_cursor c = {.pos = {.scanout_id = 2, .x = 3}, .resource_id = 1};

	(void)arg;
	hostile_picture(1, SIDE, SIDE, 0x111111);
	assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
	c.resource_id = 0;
	c.pos.x = 99;
	assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_MOVE_CURSOR, c), 0);
	look();
	assert_true(hx.peer.cursor.visible);
	assert_int_equal(hx.peer.cursor.pos.x, 99);
	assert_int_equal(hx.peer.cursor.data[0] & 0xffffff, 0x111111);
	assert_ok(frontend_reset_device(&hx.fe));
	look();
	assert_false(hx.peer.cursor.visible);
	hostile_start_rings();
	gpu_driver_reset(&hx.gpu);
}

/* Frames that become files have no cursor. */
static void cursor_among_files(const void *arg)
{
	struct virtio_gpu_update_cursor c = {.resource_id = 1};
	char folder[96], option[128], path[128];
	const char *const args[] = {option, NULL};
	struct daemon_child child;

	(void)arg;
	snprintf(folder, sizeof(folder), "%s/png", hx.dir);
	snprintf(option, sizeof(option), "--display=png:%s", folder);
	snprintf(path, sizeof(path), "%s/other", hx.dir);
	assert_ok(child_start_path(&child, hostile_binary, path, args));
	hostile_leave();
	assert_ok(frontend_connect(&hx.fe, path));
	assert_ok(frontend_setup(&hx.fe, &hx.guest, hx.rings, RINGS));
	hostile_picture(1, SIDE, SIDE, 0x111111);
	assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
	assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_MOVE_CURSOR, c), 0);
	assert_ok(frontend_reset_device(&hx.fe));
	hostile_leave();
	assert_int_equal(child_stop(&child), 0);
	assert_ok(rmdir(folder));
}

/* ---- the list ---- */

static const struct hostile_case cases[] = {
	{"backing in pieces of odd sizes", SHOWING, in_pieces},
	{"transfers of single pixels", SHOWING, in_tiles, &tiles[0]},
	{"transfers of 7x7", SHOWING, in_tiles, &tiles[1]},
	{"transfers of 16x16", SHOWING, in_tiles, &tiles[2]},
	{"transfers of 63x63 and what is left", SHOWING, in_tiles, &tiles[3]},
	{"backing of more than 4 GiB", SHOWING, beyond_4_gib},
	{"a flush of what is shown no more", SHOWING, shown_no_more},
	{"flushes outside the scanout", SHOWING, not_in_the_scanout},
	{"one picture on all scanouts", SHOWING, on_all_scanouts},
	{"a cursor that moves", SHOWING, cursor_moves},
	{"a cursor among files", CONNECTED, cursor_among_files},
};

int main(int argc, char **argv)
{
	return hostile_main(argc, argv, cases, COUNT(cases));
}
