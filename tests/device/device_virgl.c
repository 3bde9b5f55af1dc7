/* SPDX-License-Identifier: MIT */
/* OpenGL by the real virglrenderer: what it draws, and where that is seen. */
#include "gl.h"

#include <errno.h>
#include <zlib.h>

enum { RED = 0xff0000, GREEN = 0x00ff00, BLUE = 0x0000ff };
enum {
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
};

/* ---- what it can do ---- */

static void capsets(void **state)
{
	static const uint32_t sizes[] = {308, 1376}; // of these there may be more
	struct virtio_gpu_resp_capset_info info;
	struct virtio_gpu_config config = {0};

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(config), &config), 0);
	assert_int_equal(le32toh(config.num_capsets), 2);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(
			gpu_driver_capset_info(&dev.gpu, i, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
		assert_int_equal(le32toh(info.capset_id), i + 1);
		assert_int_equal(le32toh(info.capset_max_version), i + 1);
		assert_true(le32toh(info.capset_max_size) >= sizes[i]);
		assert_int_equal(
			gpu_driver_capset(&dev.gpu, i + 1, i + 1), VIRTIO_GPU_RESP_OK_CAPSET);
		assert_int_equal(dev.gpu.resp_len,
			sizeof(struct virtio_gpu_ctrl_hdr) + le32toh(info.capset_max_size));
	}
	/* Of its bits the highest, that buffers may stay mapped, is the only one that we take away. */
	assert_int_equal(dev.gpu.resp[sizeof(struct virtio_gpu_ctrl_hdr) + 395] & 0xc0, 0x40);
	assert_int_equal(gpu_driver_capset_info(&dev.gpu, 2, &info), PARAMETER);
	assert_int_equal(gpu_driver_capset_info(&dev.gpu, UINT32_MAX, &info), PARAMETER);
	assert_int_equal(gpu_driver_capset(&dev.gpu, 3, 0), PARAMETER);
	assert_int_equal(gpu_driver_capset(&dev.gpu, 2, 3), PARAMETER);
	dev.gpu.resp_cap = 0; // no room at all, and too little
	assert_int_equal(gpu_driver_capset(&dev.gpu, 2, 2), 0);
	dev.gpu.resp_cap = 100;
	assert_int_equal(gpu_driver_capset(&dev.gpu, 2, 2), VIRTIO_GPU_RESP_OK_CAPSET);
	assert_int_equal(dev.gpu.resp_len, 100);
}

static void without_it(void **state)
{
	struct virtio_gpu_config config = {0};

	(void)state;
	device_begin(&(struct device_setup){0});
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(config), &config), 0);
	assert_int_equal(config.num_capsets, 0);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), VIRTIO_GPU_RESP_ERR_UNSPEC);
}

/* ---- pixels ---- */

static void clear_and_read(void **state)
{
	uint64_t gpa;

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	gpa = make(1, BGRX, 0);
	clear(1, BGRX, MARK);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
		OK);
	assert_pixels(gpa, MARK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), NO_RESOURCE);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, CTX), OK);
	assert_int_equal(
		gpu_driver_ctx_destroy(&dev.gpu, CTX), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	device_terminate();
}

/* On QEMU's display and as a file. */
static void shown(void **state)
{
	static const uint32_t formats[] = {BGRX, BGRA, RGBX};
	unsigned frame = 1;

	(void)state;
	begin((struct device_setup){.peer = true, .png = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	for (uint32_t id = 1; id <= 3; id++) {
		make(id, formats[id - 1], 0);
		clear(id, formats[id - 1], MARK + id);
		show(id);
		device_assert_peer(0, SIDE, SIDE, MARK + id);
		device_assert_frame(0, frame++, SIDE, SIDE, device_crc_of(SIDE, SIDE, MARK + id));
	}
}

/* The same pixels in the guest's pages, and the CRC of what is to be seen of them. */
static uint32_t draw_golden(uint64_t gpa)
{
	uint32_t *p = guest_ptr(&dev.guest, gpa, SIDE * SIDE * 4);
	uLong crc = crc32(0, NULL, 0);

	for (uint32_t i = 0; i < SIDE * SIDE; i++) {
		uint32_t pixel = i * 0x9e3779b9u;
		uint8_t rgb[] = {(uint8_t)(pixel >> 16), (uint8_t)(pixel >> 8), (uint8_t)pixel};

		p[i] = htole32(pixel);
		crc = crc32(crc, rgb, sizeof(rgb));
	}
	return (uint32_t)crc;
}

/* By the device itself, by the renderer, by both; to QEMU and to a file: it is one picture. */
static void golden(void **state)
{
	enum { SOFT, VIRGL, BOTH, WAYS };

	(void)state;
	begin((struct device_setup){.peer = true, .png = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	for (uint32_t way = SOFT, frame = 1; way < WAYS; way++) {
		uint32_t id = way + 1, crc;
		uint64_t gpa = way == VIRGL ? make(id, BGRX, VIRGL_Y_0_TOP)
					    : gpu_driver_make_2d(&dev.gpu, id, BGRX, SIDE, SIDE);

		crc = draw_golden(gpa);
		if (way == BOTH)
			assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, id), OK);
		if (way == VIRGL)
			assert_int_equal(gpu_driver_transfer_3d(&dev.gpu,
						 VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, CTX, id, ALL),
				OK);
		else
			assert_int_equal(gpu_driver_transfer(&dev.gpu, id, ALL, 0), OK);
		show(id);
		device_settle();
		assert_int_equal(display_peer_crc(&dev.peer, 0), crc);
		device_assert_frame(0, frame++, SIDE, SIDE, crc);
		device_show(0, 50 + id, SIDE, SIDE, GREEN); // the same once more would be no frame
		device_assert_frame(0, frame++, SIDE, SIDE, device_crc_of(SIDE, SIDE, GREEN));
	}
}

/* What a query counts is there when a fence behind it is: the library wants to be polled for it. */
static void queries(void **state)
{
	enum { PICTURE = 1, NUMBER = 2, CLEARS = 50, LARGE = 2048 };
	static uint32_t words[VIRGL_COUNT_WORDS + CLEARS * VIRGL_CLEAR_WORDS];
	static uint8_t stream[sizeof(words) + 64];
	const struct gpu_driver_texture picture = VIRGL_PICTURE(BGRX, LARGE, LARGE);
	uint32_t n = virgl_count_clears(words, CLEARS, PICTURE, BGRX, NUMBER);
	uint64_t gpa;

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, PICTURE, picture), OK);
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, NUMBER, VIRGL_QUERY), OK);
	gpa = back(NUMBER, 4096);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, PICTURE), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, NUMBER), OK);
	assert_int_equal(
		gpu_driver_run(&dev.gpu, stream, gpu_driver_stream(stream, CTX, 1, words, n)), OK);
	assert_int_equal(le32toh(*(uint32_t *)guest_ptr(&dev.guest, gpa, 4)), VIRGL_QUERY_DONE);
}

/* Only what was flushed is read back: the rest of the picture is as before. */
static void damage_only(void **state)
{
	const struct virtio_gpu_rect part = GPU_RECT(8, 16, 24, 4);
	const struct display_picture *seen;

	(void)state;
	begin((struct device_setup){.peer = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	make(1, BGRX, 0);
	clear(1, BGRX, RED);
	show(1);
	clear(1, BGRX, BLUE);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, part), OK);
	device_settle();
	seen = &dev.peer.screens[0].shown;
	for (uint32_t y = 0; y < SIDE; y++)
		for (uint32_t x = 0; x < SIDE; x++) {
			bool in = x >= 8 && x < 32 && y >= 16 && y < 20;

			assert_int_equal(
				seen->pixels[y * seen->width + x] & 0xffffff, in ? BLUE : RED);
		}
}

/* Pictures are shown the right way up whichever way the texture lies. */
static void rows_in_order(void **state)
{
	(void)state;
	begin((struct device_setup){.peer = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	for (uint32_t id = 1; id <= 2; id++) {
		uint64_t gpa = make(id, BGRX, id == 2 ? VIRGL_Y_0_TOP : 0);
		uint32_t *p = guest_ptr(&dev.guest, gpa, SIDE * SIDE * 4);
		const struct display_picture *seen = &dev.peer.screens[0].shown;

		for (uint32_t i = 0; i < SIDE * SIDE; i++)
			p[i] = htole32(i * 7 + id);
		assert_int_equal(gpu_driver_transfer_3d(
					 &dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, id, ALL),
			OK);
		show(id);
		device_settle();
		for (uint32_t i = 0; i < SIDE * SIDE; i++)
			assert_int_equal(seen->pixels[i] & 0xffffff, i * 7 + id);
	}
}

/* A 2D resource that a context draws on: its pixels go there, and come back. */
static void of_2d(void **state)
{
	uint64_t gpa;

	(void)state;
	begin((struct device_setup){.peer = true});
	gpa = device_show(0, 1, SIDE, SIDE, GREEN);
	device_assert_peer(0, SIDE, SIDE, GREEN);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 1), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, GREEN); // through the renderer
	clear(1, BGRX, RED);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, RED);
	device_fill(1, gpa, ALL, BLUE);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, BLUE);
	assert_int_equal(gpu_driver_ctx_detach(&dev.gpu, CTX, 1), OK);
	assert_int_equal(gpu_driver_ctx_detach(&dev.gpu, CTX + 70, 1), OK); // as Linux does it
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX + 70, 1),
		VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
}

static void as_cursor(void **state)
{
	struct virtio_gpu_update_cursor c = {.resource_id = htole32(1), .hot_x = htole32(3)};

	(void)state;
	begin((struct device_setup){.peer = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	make(1, BGRA, 0);
	clear(1, BGRA, MARK);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
	device_settle();
	assert_int_equal(dev.peer.cursor.data[100] & 0xffffff, MARK);
	assert_int_equal(dev.peer.cursor.hot_x, 3);
}

/* The guest's memory is given anew when the rings start: pages are found again. */
static void memory_again(void **state)
{
	uint64_t gpa;

	(void)state;
	begin((struct device_setup){.personality = "cloud-hypervisor"});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	gpa = make(1, BGRX, 0);
	for (uint32_t i = 1; i < 4; i++) {
		clear(1, BGRX, i);
		device_stop();
		device_start();
		assert_int_equal(gpu_driver_transfer_3d(&dev.gpu,
					 VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
			OK);
		assert_pixels(gpa, i);
	}
}

static void reset(void **state)
{
	int fds;

	(void)state;
	begin((struct device_setup){.personality = "qemu11-gpu"});
	fds = child_count_fds(&dev.child);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t gpa;

		assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
		gpa = make(1, BGRX, 0);
		clear(1, BGRX, i);
		show(1);
		assert_int_equal(gpu_driver_transfer_3d(&dev.gpu,
					 VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
			OK);
		assert_pixels(gpa, i);
		device_reset();
		device_start();
		assert_int_equal(gpu_driver_unref(&dev.gpu, 1), NO_RESOURCE);
	}
	assert_int_equal(child_count_fds(&dev.child), fds);
}

/* As --isolate=none has it. */
static void as_thread(void **state)
{
	uint64_t gpa;

	(void)state;
	if (SANITIZED)
		skip(); // Mesa's memory would count as lost
	begin((struct device_setup){.args = {"--isolate=none"}});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	gpa = make(1, BGRX, 0);
	clear(1, BGRX, MARK);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
		OK);
	assert_pixels(gpa, MARK);
	device_terminate();
}

/* ---- what it must bear ---- */

static uint32_t chance(void)
{
	static uint64_t seed = 1;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

/* Commands of virgl's by number, of any length and with anything in them. It may die of that. */
static void noise(void **state)
{
	static uint32_t stream[64];

	(void)state;
	begin((struct device_setup){.peer = true});
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t n = 0, len;

		if (i % 50 == 0) {
			gpu_driver_ctx_destroy(&dev.gpu, CTX);
			gpu_driver_ctx_create(&dev.gpu, CTX);
		}
		while (n < 40) {
			len = chance() % 12;
			stream[n++] = len << 16 | chance() % 16 << 8 | chance() % 60;
			while (len-- && n < 64)
				stream[n++] = chance() % 4 ? chance() % 8 : chance();
		}
		assert_true(gpu_driver_submit_3d(&dev.gpu, CTX, stream, n) > 0);
	}
	device_show(0, 1, SIDE, SIDE, GREEN);
	device_assert_peer(0, SIDE, SIDE, GREEN);
	device_terminate();
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(capsets),
		TEST(without_it),
		TEST(clear_and_read),
		TEST(shown),
		TEST(golden),
		TEST(queries),
		TEST(damage_only),
		TEST(rows_in_order),
		TEST(of_2d),
		TEST(as_cursor),
		TEST(memory_again),
		TEST(reset),
		TEST(as_thread),
		TEST(noise),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_virgl", tests, NULL, NULL);
}
