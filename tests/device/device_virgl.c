/* SPDX-License-Identifier: MIT */
/* OpenGL by the real virglrenderer: pixels, and what remains when its process is killed. */
#define _GNU_SOURCE
#include "device.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver/gpu_3d.h"

enum { CTX = 1, SIDE = 64, RED = 0xff0000, GREEN = 0x00ff00, BLUE = 0x0000ff, MARK = 0x123456 };
enum {
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
};

#define ALL GPU_RECT(0, 0, SIDE, SIDE)

static uint32_t words[VIRGL_CLEAR_WORDS];

static void begin(struct device_setup setup)
{
	size_t n = 0;

	while (setup.args[n])
		n++;
	setup.args[n] = "--virgl";
	device_begin(&setup);
}

static uint64_t back(uint32_t id, size_t size)
{
	uint64_t gpa = guest_alloc(&dev.guest, size, 4096);
	const struct virtio_gpu_mem_entry e = {
		.addr = htole64(gpa), .length = htole32((uint32_t)size)};

	assert_true(gpa != GUEST_NOMEM);
	assert_int_equal(gpu_driver_attach(&dev.gpu, id, &e, 1), OK);
	return gpa;
}

/* A picture that contexts may draw on, with pages. */
static uint64_t make(uint32_t id, uint32_t format, uint32_t flags)
{
	struct gpu_driver_texture t = VIRGL_PICTURE(format, SIDE, SIDE);
	uint64_t gpa;

	t.flags = flags;
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, id, t), OK);
	gpa = back(id, SIDE * SIDE * 4);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, id), OK);
	return gpa;
}

static void clear(uint32_t id, uint32_t format, uint32_t colour)
{
	uint32_t n = virgl_clear(words, id, format, colour);

	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, words, n), OK);
}

static void show(uint32_t id)
{
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, id, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, ALL), OK);
}

static void assert_pixels(uint64_t gpa, uint32_t colour)
{
	const uint32_t *p = guest_ptr(&dev.guest, gpa, SIDE * SIDE * 4);

	for (unsigned i = 0; i < SIDE * SIDE; i++)
		assert_int_equal(le32toh(p[i]) & 0xffffff, colour);
}

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

/* ---- when it is killed ---- */

static bool read_stat(const char *pid, pid_t *parent, char *name, size_t room)
{
	char path[64], line[256] = "", *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	end = strrchr(line, ')');
	if (!end || !strchr(line, '(') || end[2] == 'Z')
		return false;
	*end = '\0';
	snprintf(name, room, "%s", strchr(line, '(') + 1);
	*parent = atoi(end + 4);
	return true;
}

/* The process of this name whose parent is this one. 0: there is none. */
static pid_t child_of(pid_t parent, const char *wanted)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	pid_t found = 0, of;
	char name[64];

	while (!found && (e = readdir(proc)))
		if (atoi(e->d_name) && read_stat(e->d_name, &of, name, sizeof(name)) && of == parent
			&& !strcmp(name, wanted))
			found = atoi(e->d_name);
	closedir(proc);
	return found;
}

static pid_t renderer(void)
{
	return child_of(child_of(dev.child.pid, "nursery"), "virgl");
}

enum { OUTSTANDING = 24, KILLS = 20, LIFE_MS = 2200 };

static uint64_t fence_id;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void submit_clears(int *tickets)
{
	uint8_t bytes[256];
	uint32_t n = virgl_clear(words, 1, BGRX, MARK);

	for (unsigned i = 0; i < OUTSTANDING; i++)
		tickets[i] =
			device_submit(bytes, gpu_driver_stream(bytes, CTX, ++fence_id, words, n));
}

/* Each is answered once, with its fence, as the driver sees to. */
static void collect_all(int *tickets)
{
	for (unsigned i = 0; i < OUTSTANDING; i++)
		assert_int_equal(
			gpu_driver_collect(&dev.gpu, tickets[i]), VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static void console_goes_on(uint32_t colour)
{
	const struct virtio_gpu_update_cursor c = {0};
	uint64_t gpa = device_show(0, 100, SIDE, SIDE, colour);

	device_assert_peer(0, SIDE, SIDE, colour);
	device_fill(100, gpa, ALL, colour + 1);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 100, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, colour + 1);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_MOVE_CURSOR, c), 0);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 100), OK);
}

static void draws_again(uint32_t colour)
{
	uint64_t gpa;

	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	gpa = make(1, BGRX, 0);
	clear(1, BGRX, colour);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, CTX, 1, ALL),
		OK);
	assert_pixels(gpa, colour);
	show(1);
	device_assert_peer(0, SIDE, SIDE, colour);
}

/* What is left of 3D is the guest's to clear away. */
static void clear_away(void)
{
	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, words, 4),
		VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 1, ALL),
		VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK); // what was seen last
	assert_int_equal(gpu_driver_detach(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, CTX), OK);
}

static void killed(void **state)
{
	int tickets[OUTSTANDING], fds = 0;
	pid_t last = 0;

	(void)state;
	begin((struct device_setup){.peer = true});
	for (uint32_t i = 0; i < KILLS; i++) {
		int64_t begin_ms = now_ms(); // one that dies often is not started again
		pid_t pid;

		guest_rewind(&dev.guest);
		draws_again(MARK + i);
		pid = renderer();
		assert_true(pid > 0 && pid != last);
		last = pid;
		if (i == 1)
			fds = child_count_fds(&dev.child);
		while (now_ms() - begin_ms < LIFE_MS)
			usleep(10000);
		assert_int_equal(kill(pid, SIGSTOP), 0); // so that all of it is outstanding
		submit_clears(tickets);
		device_settle();
		assert_false(device_is_done(tickets[0]));
		assert_int_equal(kill(pid, SIGKILL), 0);
		collect_all(tickets);
		console_goes_on(MARK * i);
		clear_away();
	}
	draws_again(MARK);
	assert_int_equal(child_count_fds(&dev.child), fds);
	device_terminate();
	assert_int_equal(renderer(), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(capsets),
		TEST(without_it),
		TEST(clear_and_read),
		TEST(shown),
		TEST(damage_only),
		TEST(rows_in_order),
		TEST(of_2d),
		TEST(as_cursor),
		TEST(memory_again),
		TEST(reset),
		TEST(as_thread),
		TEST(noise),
		TEST(killed),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_virgl", tests, NULL, NULL);
}
