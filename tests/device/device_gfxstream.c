/* SPDX-License-Identifier: MIT */
/*
 * gfxstream's part with a library that does as it is told (gfxstream_lib.h): rings in the window, fences of
 * another thread, its errors and its death, beside the renderer of OpenGL.
 */
#define _GNU_SOURCE
#include "device.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "driver/gpu_3d.h"
#include "driver/gpu_blob.h"
#include "gfxstream_lib.h"

enum { CTX = 1, CTX_GL = 2, PAGE = 4096, SIZE = 3 * PAGE, WINDOW = 1 << 20, SIDE = 64 };
enum { CAPSET_GL = 2, CAPSET = 3, CAPSET_SIZE = 104, WORD = 0x5a5a1234 };
enum {
	MAPPED = VIRTIO_GPU_RESP_OK_MAP_INFO,
	UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
	NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	NO_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
};

#define ALL GPU_RECT(0, 0, SIDE, SIDE)

static char option[512]; // --gfxstream=LIBRARY

static void begin(struct device_setup s)
{
	size_t n = 0;

	while (s.args[n])
		n++;
	s.args[n] = option;
	s.window = WINDOW;
	device_begin(&s);
}

static int order(uint32_t what, uint32_t a, uint32_t b)
{
	const uint32_t words[] = {what, a, b};

	return gpu_driver_submit_3d(&dev.gpu, CTX, words, 3);
}

/* With a fence of the queue's, or of a context's ring. Not waited for. */
static int order_fenced(uint32_t what, uint64_t fence, int ring)
{
	uint8_t bytes[64];
	const uint32_t words[] = {what, what == ORDER_SLEEP ? 2000 : 0};
	size_t len = gpu_driver_stream(bytes, CTX, fence, words, 2);
	struct virtio_gpu_ctrl_hdr hdr;

	memcpy(&hdr, bytes, sizeof(hdr));
	if (ring >= 0) {
		hdr.flags |= htole32(VIRTIO_GPU_FLAG_INFO_RING_IDX);
		hdr.ring_idx = (uint8_t)ring;
	}
	memcpy(bytes, &hdr, sizeof(hdr));
	return device_submit(bytes, len);
}

static int create(uint32_t id, uint64_t kind)
{
	return gpu_driver_create_blob(&dev.gpu, CTX,
		(struct gpu_driver_blob){.id = id,
			.mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
			.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
			.blob_id = kind,
			.size = SIZE});
}

static uint32_t *seen(uint64_t at)
{
	assert_true(window_has(&dev.window, at));
	return (uint32_t *)(void *)(dev.window.base + at);
}

static void make_context(void)
{
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, CTX, CAPSET), OK);
}

/* ---- what works ---- */

static void capset(void **state)
{
	struct virtio_gpu_resp_capset_info info;
	struct virtio_gpu_config config = {0};

	(void)state;
	begin((struct device_setup){0});
	assert_true(dev.fe.offered >> VIRTIO_GPU_F_VIRGL & 1);
	assert_true(dev.fe.offered >> VIRTIO_GPU_F_CONTEXT_INIT & 1);
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(config), &config), 0);
	assert_int_equal(le32toh(config.num_capsets), 1);
	assert_int_equal(
		gpu_driver_capset_info(&dev.gpu, 0, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	assert_int_equal(le32toh(info.capset_id), CAPSET);
	assert_int_equal(le32toh(info.capset_max_version), 1); // though the library says none
	assert_int_equal(le32toh(info.capset_max_size), CAPSET_SIZE);
	assert_int_equal(gpu_driver_capset(&dev.gpu, CAPSET, 0), VIRTIO_GPU_RESP_OK_CAPSET);
	assert_int_equal(dev.gpu.resp_len, sizeof(struct virtio_gpu_ctrl_hdr) + CAPSET_SIZE);
	assert_int_equal(dev.gpu.resp[dev.gpu.resp_len - 1], CAPSET);
	assert_int_equal(gpu_driver_capset_info(&dev.gpu, 1, &info), PARAMETER);
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, CTX, CAPSET_GL), PARAMETER); // nobody's
	device_terminate();
}

/* The driver and the library see the same bytes of a ring. */
static void rings(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	make_context();
	assert_int_equal(create(1, KIND_FINE), OK);
	assert_int_equal(gpu_driver_map_blob(&dev.gpu, 1, PAGE), MAPPED);
	assert_int_equal(order(ORDER_PAINT, 1, WORD), OK);
	assert_int_equal(seen(PAGE)[SIZE / 4 - 1], WORD);
	assert_int_equal(order(ORDER_READ, 1, WORD), OK);
	seen(PAGE)[5]++;
	assert_int_equal(order(ORDER_READ, 1, WORD), PARAMETER);
	assert_int_equal(create(2, KIND_DMABUF), OK);
	assert_int_equal(gpu_driver_map_blob(&dev.gpu, 2, PAGE + SIZE), MAPPED);
	assert_int_equal(gpu_driver_unmap_blob(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(order(ORDER_READ, 1, WORD), PARAMETER);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, CTX), OK);
	assert_int_equal(order(ORDER_NOTHING, 0, 0), NO_CONTEXT);
	make_context(); // the library has forgotten the last one
	device_terminate();
}

/* Memory of the guest's own. */
static void guest_pages(void **state)
{
	uint64_t gpa;
	uint32_t *p;
	struct virtio_gpu_mem_entry e[2];

	(void)state;
	begin((struct device_setup){0});
	make_context();
	gpa = guest_alloc(&dev.guest, SIZE, PAGE);
	p = guest_ptr(&dev.guest, gpa, SIZE);
	for (unsigned i = 0; i < SIZE / 4; i++)
		p[i] = WORD;
	e[0] = (struct virtio_gpu_mem_entry){
		.addr = htole64(gpa + PAGE), .length = htole32(2 * PAGE)};
	e[1] = (struct virtio_gpu_mem_entry){.addr = htole64(gpa), .length = htole32(PAGE)};
	assert_int_equal(gpu_driver_create_blob(&dev.gpu, CTX,
				 (struct gpu_driver_blob){.id = 1,
					 .mem = VIRTIO_GPU_BLOB_MEM_GUEST,
					 .size = SIZE,
					 .entries = e,
					 .n = 2}),
		OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 1), OK);
	assert_int_equal(order(ORDER_READ, 1, WORD), OK);
	assert_int_equal(gpu_driver_ctx_detach(&dev.gpu, CTX, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
}

/* A picture that the library has, brought there and back, and shown. */
static void pictures(void **state)
{
	struct gpu_driver_texture t = VIRGL_PICTURE(BGRX, SIDE, SIDE);
	uint64_t gpa;
	uint32_t *p;
	struct virtio_gpu_mem_entry e;

	(void)state;
	begin((struct device_setup){.png = true});
	make_context();
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, 1, t), OK);
	gpa = guest_alloc(&dev.guest, SIDE * SIDE * 4, PAGE);
	e = (struct virtio_gpu_mem_entry){.addr = htole64(gpa), .length = htole32(SIDE * SIDE * 4)};
	assert_int_equal(gpu_driver_attach(&dev.gpu, 1, &e, 1), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 1), OK);
	p = guest_ptr(&dev.guest, gpa, SIDE * SIDE * 4);
	for (unsigned i = 0; i < SIDE * SIDE; i++)
		p[i] = htole32(0x123456);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, CTX, 1, ALL),
		OK);
	memset(p, 0, SIDE * SIDE * 4);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
		OK);
	assert_int_equal(le32toh(p[SIDE * SIDE - 1]), 0x123456);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_frame(0, 1, SIDE, SIDE, device_crc_of(SIDE, SIDE, 0x123456));
	assert_int_equal(gpu_driver_detach(&dev.gpu, 1), OK);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, CTX, 1, ALL),
		UNSPEC);
	assert_int_equal(gpu_driver_attach(&dev.gpu, 1, &e, 1), OK); // once more
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
		OK);
	/* One of 2D comes there with its pixels. */
	device_make(2, SIDE, SIDE, 0x654321);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 2), OK);
	assert_int_equal(order(ORDER_READ, 2, htole32(0x654321)), OK);
}

static void fences(void **state)
{
	int held, ring, other, last;

	(void)state;
	begin((struct device_setup){0});
	make_context();
	device_collect(order_fenced(ORDER_NOTHING, 1, -1));
	device_collect(order_fenced(ORDER_NOTHING, 2, 0));
	device_collect(order_fenced(ORDER_AT_ONCE, 3, 1));
	held = order_fenced(ORDER_HOLD, 4, -1);
	ring = order_fenced(ORDER_NOTHING, 5, 1);
	other = order_fenced(ORDER_NOTHING, 6, -1);
	assert_int_equal(order(ORDER_NOTHING, 0, 0), OK); // without a fence: at once
	device_settle();
	assert_false(device_is_done(held) || device_is_done(ring) || device_is_done(other));
	last = order_fenced(ORDER_LET_GO, 7, -1);
	device_collect(held);
	device_collect(ring);
	device_collect(other);
	device_collect(last);
	assert_int_equal(
		gpu_driver_collect(&dev.gpu, order_fenced(ORDER_NO_FENCE, 8, -1)), PARAMETER);
	device_collect(order_fenced(ORDER_NOTHING, 9, -1));
	device_terminate();
}

static void reset(void **state)
{
	int fds;

	(void)state;
	begin((struct device_setup){0});
	fds = child_count_fds(&dev.child);
	for (unsigned i = 0; i < 5; i++) {
		make_context();
		assert_int_equal(create(1, KIND_FINE), OK);
		assert_int_equal(gpu_driver_map_blob(&dev.gpu, 1, 0), MAPPED);
		assert_int_equal(order(ORDER_PAINT, 1, i), OK);
		device_reset();
		window_reset(&dev.window);
		device_start();
		assert_int_equal(order(ORDER_NOTHING, 0, 0), NO_CONTEXT);
	}
	assert_int_equal(child_count_fds(&dev.child), fds);
	device_terminate();
}

static void as_thread(void **state)
{
	(void)state;
	begin((struct device_setup){.args = {"--isolate=none"}});
	make_context();
	assert_int_equal(create(1, KIND_FINE), OK);
	assert_int_equal(order(ORDER_PAINT, 1, WORD), OK);
	device_collect(order_fenced(ORDER_NOTHING, 1, 0));
	device_terminate();
}

/* ---- what it must bear ---- */

static void errors(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	make_context();
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, CTX, CAPSET), NO_CONTEXT);
	assert_int_equal(
		gpu_driver_ctx_create(&dev.gpu, CTX + 1), PARAMETER); // as the library says
	assert_int_equal(order(ORDER_FAIL, 12, 0), NO_MEMORY);
	assert_int_equal(order(ORDER_FAIL, 22, 0), PARAMETER);
	assert_int_equal(order(ORDER_TALK, 0, 0), OK);
	assert_int_equal(create(1, KIND_FAILS), PARAMETER);
	assert_int_equal(
		gpu_driver_map_blob(&dev.gpu, 1, 0), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(create(2, KIND_KEPT), OK);
	assert_int_equal(gpu_driver_map_blob(&dev.gpu, 2, 0), UNSPEC);
	assert_int_equal(create(3, KIND_SMALL), OK);
	assert_int_equal(gpu_driver_map_blob(&dev.gpu, 3, 0), PARAMETER);
	assert_int_equal(create(4, KIND_OPAQUE), OK);
	assert_int_equal(gpu_driver_map_blob(&dev.gpu, 4, 0), UNSPEC);
	device_settle();
	assert_int_equal(dev.window.n_maps, 0);
	assert_int_equal(dev.window.violations, 0);
	assert_int_equal(order(ORDER_NOTHING, 0, 0), OK);
}

/* What is not done when the driver resets is not waited for, and 2D waits for none of it. */
static void slow(void **state)
{
	(void)state;
	begin((struct device_setup){.peer = true, .personality = "qemu11-gpu"});
	for (unsigned i = 0; i < 3; i++) {
		make_context();
		order_fenced(i % 2 ? ORDER_HOLD : ORDER_SLEEP, 1, 0);
		device_show(0, 100, SIDE, SIDE, 0x00ffff - i);
		device_assert_peer(0, SIDE, SIDE, 0x00ffff - i);
		device_reset();
		device_start();
	}
	make_context();
	device_collect(order_fenced(ORDER_NOTHING, 2, 0));
	device_terminate();
}

/* It reads what Vulkan's loader reads, also where that was told of a driver, and no other file. */
static void locked_in(void **state)
{
	char folder[] = "/tmp/virga-drivers.XXXXXX", file[64];
	int fd;

	(void)state;
	if (SANITIZED
		|| syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)
			< 1)
		skip(); // whose daemon is not locked in, or not by folders
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/driver.json", folder);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	setenv("VK_DRIVER_FILES", file, 1);
	begin((struct device_setup){0});
	unsetenv("VK_DRIVER_FILES");
	make_context();
	assert_int_equal(order(ORDER_OPEN, 0, 0), OK);
	unlink(file);
	rmdir(folder);
}

/* ---- beside the renderer of OpenGL ---- */

static uint32_t words[VIRGL_CLEAR_WORDS];

static void draw_gl(uint32_t id, uint32_t colour)
{
	uint32_t n = virgl_clear(words, id, BGRX, colour);

	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX_GL, words, n), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, colour);
}

static void begin_both(void)
{
	struct virtio_gpu_mem_entry e = {.length = htole32(SIDE * SIDE * 4)};

	begin((struct device_setup){
		.peer = true, .personality = "qemu11-gpu", .args = {"--virgl"}});
	make_context();
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, CTX_GL, CAPSET_GL), OK);
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, 1, (VIRGL_PICTURE(BGRX, SIDE, SIDE))), OK);
	e.addr = htole64(guest_alloc(&dev.guest, SIDE * SIDE * 4, PAGE));
	assert_int_equal(gpu_driver_attach(&dev.gpu, 1, &e, 1), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX_GL, 1), OK);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	draw_gl(1, 0xff0000);
}

static void side_by_side(void **state)
{
	struct virtio_gpu_resp_capset_info info;
	static const uint32_t ids[] = {1, 2, CAPSET};

	(void)state;
	begin_both();
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(
			gpu_driver_capset_info(&dev.gpu, i, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
		assert_int_equal(le32toh(info.capset_id), ids[i]);
	}
	assert_int_equal(create(2, KIND_FINE), OK);
	assert_int_equal(order(ORDER_PAINT, 2, WORD), OK);
	/* What one has, the other has not. */
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX_GL, 2), UNSPEC);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 1), UNSPEC);
	assert_int_equal(gpu_driver_ctx_detach(&dev.gpu, CTX, 1), OK);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, CTX, 1, ALL),
		UNSPEC);
	/* A texture that nobody has used yet goes to who does first. */
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, 3, (VIRGL_PICTURE(BGRX, SIDE, SIDE))), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 3), OK);
	assert_int_equal(order(ORDER_READ, 3, 0), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX_GL, 3), UNSPEC);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 3), OK);
	draw_gl(1, 0x00ff00);
	device_terminate();
}

/* Its death costs what is its own: the other renderer and 2D go on. */
static void dies(void **state)
{
	int outstanding, dead;

	(void)state;
	begin_both();
	assert_int_equal(create(2, KIND_FINE), OK);
	outstanding = order_fenced(ORDER_HOLD, 1, 0);
	device_settle();
	dead = order_fenced(ORDER_ABORT, 2, 0);
	assert_int_equal(gpu_driver_collect(&dev.gpu, outstanding), UNSPEC);
	assert_int_equal(gpu_driver_collect(&dev.gpu, dead), UNSPEC);
	assert_int_equal(order(ORDER_NOTHING, 0, 0), NO_CONTEXT);
	assert_int_equal(create(4, KIND_FINE), NO_CONTEXT);
	draw_gl(1, 0x0000ff);
	device_show(0, 100, SIDE, SIDE, 0x00ffff);
	device_assert_peer(0, SIDE, SIDE, 0x00ffff);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, CTX), OK);
	make_context(); // of the next one
	assert_int_equal(create(2, KIND_FINE), OK);
	assert_int_equal(order(ORDER_PAINT, 2, WORD), OK);
	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX_GL, words, 0), OK);
	device_terminate();
}

/* ---- when it cannot be had ---- */

static void assert_impossible(const char *with, const char *told)
{
	const char *const args[] = {with, "--hostmem=1M", "--fd=0", NULL};
	struct daemon_child child = {0};

	if (told)
		setenv(GFXSTREAM_STAND_IN, told, 1);
	assert_int_equal(child_start(&child, device_binary, args), 0);
	unsetenv(GFXSTREAM_STAND_IN);
	assert_int_equal(child_wait(&child, 30000), 69);
	child_kill(&child);
}

static void impossible(void **state)
{
	(void)state;
	assert_impossible("--gfxstream=/nowhere/libgfxstream_backend.so.0", NULL);
	assert_impossible("--gfxstream=libc.so.6", NULL); // which has none of its functions
	assert_impossible(option, STAND_IN_NO_VULKAN);
	assert_impossible(option, STAND_IN_NO_CAPSET);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(capset),
		TEST(rings),
		TEST(guest_pages),
		TEST(pictures),
		TEST(fences),
		TEST(reset),
		TEST(as_thread),
		TEST(errors),
		TEST(slow),
		TEST(locked_in),
		TEST(side_by_side),
		TEST(dies),
		TEST(impossible),
	};

	device_main(argc, argv);
	snprintf(option, sizeof(option), "--gfxstream=%s", argc > 2 ? argv[2] : "");
	return cmocka_run_group_tests_name("device_gfxstream", tests, NULL, NULL);
}
