/* SPDX-License-Identifier: MIT */
/*
 * What a GPU drew, as a display sees it that is given the memory itself: the right pixels, the right way
 * up, of each format, and nothing is copied. Arguments: the daemon, and the render node; without one the
 * processor draws, into dmabufs of /dev/udmabuf.
 */
#define _GNU_SOURCE
#include "device.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "driver/gpu_3d.h"
#include "eye.h"

enum { CTX = 1, WIDTH = 200, HEIGHT = 100, MARK = 0x123456 };
enum { SCANOUT = 1 << 18 };

#define ALL GPU_RECT(0, 0, WIDTH, HEIGHT)

static const char *node;
static uint32_t seen[WIDTH * HEIGHT];

static void begin(struct device_setup s)
{
	static char option[PATH_MAX_LEN];
	size_t n = 0;

	while (s.args[n])
		n++;
	s.args[n++] = "--virgl";
	s.args[n++] = "--scanout=dmabuf";
	s.args[n++] = "--seccomp=kill";
	s.args[n++] = "--max-command-time=600"; // Mesa loads slowly where all is emulated
	if (node) {
		snprintf(option, sizeof(option), "--render-node=%.100s", node);
		s.args[n++] = option;
	}
	s.peer = true;
	s.offered = 1u << VHOST_USER_GPU_PROTOCOL_F_DMABUF2;
	device_begin(&s);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
}

static uint64_t make(uint32_t id, uint32_t format, uint32_t flags)
{
	struct gpu_driver_texture t = VIRGL_PICTURE(format, WIDTH, HEIGHT);
	const size_t size = WIDTH * HEIGHT * 4;
	uint64_t gpa = guest_alloc(&dev.guest, size, 4096);
	const struct virtio_gpu_mem_entry e = {
		.addr = htole64(gpa), .length = htole32((uint32_t)size)};

	t.flags = flags;
	t.bind |= SCANOUT;
	assert_true(gpa != GUEST_NOMEM);
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, id, t), OK);
	assert_int_equal(gpu_driver_attach(&dev.gpu, id, &e, 1), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, id), OK);
	return gpa;
}

static void clear(uint32_t id, uint32_t format, uint32_t colour)
{
	uint32_t words[VIRGL_CLEAR_WORDS], n = virgl_clear(words, id, format, colour);

	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, words, n), OK);
}

static void show(uint32_t id)
{
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, id, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, ALL), OK);
}

static void look(void)
{
	const struct display_screen *s = &dev.peer.screens[0];

	device_settle();
	if (dev.peer.faults)
		fail_msg("the peer says: %s", dev.peer.fault);
	assert_true(s->dmabuf >= 0);
	assert_true(eye_see(&s->as, s->dmabuf, seen));
}

static void assert_colour(uint32_t colour)
{
	look();
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		assert_int_equal(seen[i], colour);
}

/* Not one pixel went through the socket. */
static void assert_nothing_copied(void)
{
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_UPDATE], 0);
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_SCANOUT], 0);
}

static void colours(void **state)
{
	static const uint32_t formats[] = {BGRX, BGRA, RGBX};

	(void)state;
	begin((struct device_setup){0});
	for (uint32_t i = 0; i < 6; i++) {
		make(i + 1, formats[i / 2], i % 2 ? VIRGL_Y_0_TOP : 0);
		clear(i + 1, formats[i / 2], MARK + i);
		show(i + 1);
		assert_colour(MARK + i);
	}
	assert_nothing_copied();
	print_message("%.4s, modifier 0x%llx, %u bytes a row\n",
		(const char *)&dev.peer.screens[0].as.scanout.fd_drm_fourcc,
		(unsigned long long)dev.peer.screens[0].as.modifier,
		dev.peer.screens[0].as.scanout.fd_stride);
	device_terminate();
}

/* Pictures that the guest uploads: each pixel in its place, whichever way the texture lies. */
static void rows_in_order(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	for (uint32_t id = 1; id <= 2; id++) {
		uint64_t gpa = make(id, BGRX, id == 2 ? VIRGL_Y_0_TOP : 0);
		uint32_t *p = guest_ptr(&dev.guest, gpa, WIDTH * HEIGHT * 4);

		for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
			p[i] = htole32(i * 7 + id);
		assert_int_equal(gpu_driver_transfer_3d(
					 &dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, id, ALL),
			OK);
		show(id);
		look();
		for (uint32_t i = 0; i < WIDTH * HEIGHT; i++)
			assert_int_equal(seen[i], i * 7 + id);
	}
	assert_nothing_copied();
}

/* Two pictures in turns, as programs draw: each frame is the one that was flushed. */
static void flips(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	make(1, BGRX, 0);
	make(2, BGRX, 0);
	for (uint32_t i = 0; i < 20; i++) {
		clear(i % 2 + 1, BGRX, MARK * i % 0x1000000);
		show(i % 2 + 1);
		assert_colour(MARK * i % 0x1000000);
	}
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_DMABUF_UPDATE], 20);
	assert_nothing_copied();
}

/* What is read back for a file is the same picture. */
static void beside_a_file(void **state)
{
	(void)state;
	begin((struct device_setup){.png = true});
	make(1, BGRX, VIRGL_Y_0_TOP);
	clear(1, BGRX, MARK);
	show(1);
	assert_colour(MARK);
	device_assert_frame(0, 1, WIDTH, HEIGHT, device_crc_of(WIDTH, HEIGHT, MARK));
}

/* A new machine, the same daemon: nothing is left of the last one. */
static void resets(void **state)
{
	int fds = 0;

	(void)state;
	begin((struct device_setup){0});
	for (uint32_t i = 0; i < 3; i++) {
		make(1, BGRX, 0);
		clear(1, BGRX, MARK + i);
		show(1);
		assert_colour(MARK + i);
		device_reset();
		if (i == 0)
			fds = child_count_fds(&dev.child);
		assert_int_equal(child_count_fds(&dev.child), fds);
		device_start();
		assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	}
	device_terminate();
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(colours),
		TEST(rows_in_order),
		TEST(flips),
		TEST(beside_a_file),
		TEST(resets),
	};

	device_main(argc, argv);
	node = argc > 2 ? argv[2] : NULL;
	if (!eye_open(node)) {
		fprintf(stderr, "%s: EGL cannot draw on it\n", node);
		return 1;
	}
	return cmocka_run_group_tests_name("device_gpu", tests, NULL, NULL);
}
