/* SPDX-License-Identifier: MIT */
/* The process of the real virglrenderer: what remains when it is killed, and when it is at no end. */
#define _GNU_SOURCE
#include "gl.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { GROWTH_KIB = 1024 };

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

enum { OUTSTANDING = 24, KILLS = 20, PATIENCE_MS = 100000 };

static uint64_t fence_id;

static void submit_clears(int *tickets)
{
	uint8_t bytes[256];
	uint32_t words[VIRGL_CLEAR_WORDS], n = virgl_clear(words, 1, BGRX, MARK);

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

/* As soon as there is a renderer. */
static void draws_again(uint32_t colour)
{
	uint64_t gpa;
	int r = 0;

	for (unsigned i = 0; i < PATIENCE_MS && r != OK; i++) {
		usleep(r ? 1000 : 0);
		r = gpu_driver_ctx_create(&dev.gpu, CTX);
	}
	assert_int_equal(r, OK);
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
	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, NULL, 0),
		VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(
		gpu_driver_transfer_3d(&dev.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 0, 1, ALL),
		VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK); // what was seen last
	assert_int_equal(gpu_driver_detach(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, CTX), OK);
}

/* VIRGA_KILLS times: so often that it would be seen if something stayed. */
static unsigned kills(void)
{
	const char *value = getenv("VIRGA_KILLS");

	return value ? (unsigned)atoi(value) : KILLS;
}

static void kill_it(pid_t pid, uint32_t colour)
{
	int tickets[OUTSTANDING];

	assert_int_equal(kill(pid, SIGSTOP), 0); // so that all of it is outstanding
	submit_clears(tickets);
	device_settle();
	assert_false(device_is_done(tickets[0]));
	assert_int_equal(kill(pid, SIGKILL), 0);
	collect_all(tickets);
	console_goes_on(colour);
	clear_away();
}

static void killed(void **state)
{
	struct daemon_child nursery;
	pid_t last = 0, pid;
	int fds = 0;
	long rss = 0, nursery_rss = 0;

	(void)state;
	begin((struct device_setup){.peer = true});
	nursery = (struct daemon_child){.pid = child_of(dev.child.pid, "nursery")};
	for (uint32_t i = 0; i < kills(); i++) {
		guest_rewind(&dev.guest);
		draws_again(MARK + i);
		pid = renderer();
		assert_true(pid > 0 && pid != last);
		last = pid;
		if (i == 5) {
			fds = child_count_fds(&dev.child);
			rss = child_rss_kib(&dev.child);
			nursery_rss = child_rss_kib(&nursery);
		}
		kill_it(pid, MARK * i);
	}
	draws_again(MARK);
	assert_int_equal(child_count_fds(&dev.child), fds);
	assert_true(child_rss_kib(&dev.child) - rss < GROWTH_KIB);
	assert_true(child_rss_kib(&nursery) - nursery_rss < GROWTH_KIB);
	device_terminate();
	assert_int_equal(renderer(), 0);
}

/* ---- what has limits ---- */

/* Of the renderer, in bytes, hard and soft. */
static void assert_limit(
	pid_t pid, const char *name, unsigned long long min, unsigned long long max)
{
	unsigned long long soft = 0, hard = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			sscanf(line + strlen(name), "%llu %llu", &soft, &hard);
	fclose(f);
	assert_true(soft == hard && soft > min && soft < max);
}

/* What it may take is what the guest's textures may, twice, 1 GiB, and what the library has. */
static void memory_has_an_end(void **state)
{
	(void)state;
	if (SANITIZED)
		skip(); // its shadow is beyond all numbers
	begin((struct device_setup){.args = {"--max-hostmem=256M"}});
	assert_limit(renderer(), "Max data size", 3ull << 29, 7ull << 29);
}

/* ---- what does not end ---- */

enum {
	SHADER_CREATE = 4 << 8 | 1,
	BIND_SHADER = 31,
	SHADER_BUFFERS = 34,
	LAUNCH_GRID = 37,
	COMPUTE = 5
};

/*
 * A compute shader that loops until a word of a buffer is not 0. Mesa's software renderer leaves a loop
 * after 65535 rounds, so there is a large grid of them.
 */
static uint32_t endless_shader(uint32_t *to, uint32_t buffer)
{
	static const char text[] = "COMP\n"
				   "PROPERTY CS_FIXED_BLOCK_WIDTH 1\n"
				   "PROPERTY CS_FIXED_BLOCK_HEIGHT 1\n"
				   "PROPERTY CS_FIXED_BLOCK_DEPTH 1\n"
				   "DCL BUFFER[0]\n"
				   "DCL TEMP[0], LOCAL\n"
				   "IMM[0] UINT32 {0, 1, 0, 0}\n"
				   "BGNLOOP\n"
				   "LOAD TEMP[0].x, BUFFER[0], IMM[0].xxxx\n"
				   "UIF TEMP[0].xxxx\nBRK\nENDIF\n"
				   "STORE BUFFER[0].x, IMM[0].xxxx, TEMP[0].xxxx\n"
				   "ENDLOOP\n"
				   "END\n";
	const uint32_t text_words = (sizeof(text) + 3) / 4;
	const uint32_t head[] = {
		SHADER_CREATE | (5 + text_words) << 16, 7, COMPUTE, sizeof(text), 300, 0};
	const uint32_t tail[] = {BIND_SHADER | 2 << 16, 7, COMPUTE, SHADER_BUFFERS | 5 << 16,
		COMPUTE, 0, 0, 4096, buffer, LAUNCH_GRID | 8 << 16, 1, 1, 1, 65535, 32000, 1, 0, 0};

	memcpy(to, head, sizeof(head));
	memset(to + COUNT(head), 0, text_words * 4);
	memcpy(to + COUNT(head), text, sizeof(text));
	memcpy(to + COUNT(head) + text_words, tail, sizeof(tail));
	return COUNT(head) + text_words + COUNT(tail);
}

static void shader_without_end(void **state)
{
	struct gpu_driver_texture t = {.format = 64 /* R8 */,
		.bind = 1 << 14 /* of shaders */,
		.width = 4096,
		.height = 1,
		.depth = 1,
		.array_size = 1};
	static uint32_t stream[256];
	uint8_t bytes[1200];
	int ticket;

	(void)state;
	begin((struct device_setup){.peer = true, .args = {"--max-command-time=1"}});
	dev.gpu.timeout_ms = 100000; // the renderer gets little of a busy machine
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, 2, t), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 2), OK);
	ticket = device_submit(bytes,
		gpu_driver_stream(bytes, CTX, ++fence_id, stream, endless_shader(stream, 2)));
	console_goes_on(MARK);
	assert_false(device_is_done(ticket));
	assert_int_equal(gpu_driver_collect(&dev.gpu, ticket), VIRTIO_GPU_RESP_ERR_UNSPEC);
	console_goes_on(MARK + 2);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, CTX), OK);
	draws_again(MARK);
	device_terminate();
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(killed),
		TEST(memory_has_an_end),
		TEST(shader_without_end),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_virgl_life", tests, NULL, NULL);
}
