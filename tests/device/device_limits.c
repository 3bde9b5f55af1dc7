/* SPDX-License-Identifier: MIT */
/* What the daemon takes: memory for the guest, memory of its own, system calls; and how it ends. */
#include "device.h"

#include <endian.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REST_KIB = 20 * 1024, REQUESTS = 300, OOM = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY };

/* --max-hostmem */

static void begin_with(const char *option)
{
	device_begin(&(struct device_setup){.peer = true, .args = {option}});
}

/* w * h * 4 bytes. */
static int create(uint32_t id, uint32_t w, uint32_t h)
{
	return gpu_driver_create_2d(&dev.gpu, id, BGRX, w, h);
}

static void out_of_memory(void **state)
{
	(void)state;
	begin_with("--max-hostmem=8M");
	assert_int_equal(create(1, 1024, 1024), OK);
	assert_int_equal(create(2, 1024, 1024), OK);
	assert_int_equal(create(3, 1, 1), OOM);
	assert_int_equal(create(4, 16384, 16384), OOM);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 3), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(create(3, 1, 1), OK);
	assert_int_equal(create(1, 1024, 1023), OK);
	assert_int_equal(create(5, 1, 1), OOM);
}

static void given_back(void **state)
{
	(void)state;
	begin_with("--max-hostmem=8M");
	for (int i = 0; i < 300; i++) {
		assert_int_equal(create(1, 1024, 2048), OK);
		assert_int_equal(create(2, 1, 1), OOM);
		assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	}
}

static void given_back_by_reset(void **state)
{
	(void)state;
	begin_with("--max-hostmem=8M");
	for (int i = 0; i < 5; i++) {
		assert_int_equal(create(1, 1024, 2048), OK);
		assert_int_equal(create(2, 1, 1), OOM);
		device_reset();
		device_start();
	}
}

static void given_back_by_leaving(void **state)
{
	(void)state;
	begin_with("--max-hostmem=8M");
	for (int i = 0; i < 5; i++) {
		assert_int_equal(create(1, 1024, 2048), OK);
		assert_int_equal(create(2, 1, 1), OOM);
		device_disconnect();
		device_connect();
	}
}

/* n entries that do not follow one another. */
static int attach_pages(uint32_t id, uint32_t n)
{
	struct virtio_gpu_mem_entry *e = calloc(n, sizeof(*e));
	int rc;

	assert_non_null(e);
	for (uint32_t i = 0; i < n; i++)
		e[i] = (struct virtio_gpu_mem_entry){
			.addr = htole64((i & 1) * 8192), .length = htole32(4096)};
	rc = gpu_driver_attach(&dev.gpu, id, e, n);
	free(e);
	return rc;
}

/* A list of pages is memory of ours as well. */
static void backing_counts(void **state)
{
	uint32_t n = 1;
	int rc = OK;

	(void)state;
	begin_with("--max-hostmem=1M");
	assert_int_equal(create(1, 8, 8), OK);
	for (; rc == OK && n < 1 << 18; n *= 2) {
		rc = attach_pages(1, n);
		assert_true(rc == OK || rc == OOM);
		if (rc == OK)
			assert_int_equal(gpu_driver_detach(&dev.gpu, 1), OK);
	}
	assert_int_equal(rc, OOM);
	assert_true(n > 8192);
	assert_int_equal(create(2, 512, 500), OK); // all of that was given back
	assert_int_equal(attach_pages(1, n / 4), OOM);
}

/* What is being sent is still there, and is given back when it has been sent. */
static void held_until_it_is_sent(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 2200, 2200);
	int ticket;

	(void)state;
	begin_with("--max-hostmem=20M");
	device_make(1, 2200, 2200, 3);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	dev.peer.stop_reading = true;
	ticket = device_submit_flush(1, all);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(create(1, 2200, 2200), OOM);
	dev.peer.stop_reading = false;
	device_collect(ticket);
	device_settle();
	assert_int_equal(create(1, 2200, 2200), OK);
}

/* Chains of many pieces */

/* Few of them can be under way; those behind wait, and nothing is lost. */
static void long_chains_wait(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 1100, 1100);
	int tickets[16];

	(void)state;
	device_begin(&(struct device_setup){.peer = true, .ring_size = 1024, .memory = 256 << 20});
	for (uint32_t i = 0; i < 16; i++) {
		device_make(i + 1, 1100, 1100, i);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, i, i + 1, all), OK);
	}
	dev.gpu.piece = 1;
	dev.peer.stop_reading = true;
	for (uint32_t i = 0; i < 16; i++)
		tickets[i] = device_submit_flush(i + 1, all);
	device_settle();
	assert_false(device_is_done(tickets[15]));
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR,
				 (struct virtio_gpu_update_cursor){.resource_id = 0}),
		0);
	dev.peer.stop_reading = false;
	for (uint32_t i = 0; i < 16; i++)
		device_collect(tickets[i]);
	for (uint32_t i = 0; i < 16; i++)
		device_assert_peer(i, 1100, 1100, i);
}

/* At rest */

static void assert_small(void)
{
	long kib;

	device_settle();
	kib = child_rss_kib(&dev.child);
	assert_true(kib > 0);
	if (kib >= REST_KIB)
		fail_msg("%ld KiB are resident", kib);
}

/* Draws with little guest memory, which counts as resident too. */
static void show_strips(uint32_t scanout, uint32_t id)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 2200, 2200);
	uint32_t len = 2200 * 100 * 4;
	struct virtio_gpu_mem_entry e = {
		.addr = htole64(guest_alloc(&dev.guest, len, 4096)), .length = htole32(len)};

	assert_int_equal(create(id, all.width, all.height), OK);
	assert_int_equal(gpu_driver_attach(&dev.gpu, id, &e, 1), OK);
	for (uint32_t y = 0; y < all.height; y += 100)
		assert_int_equal(
			gpu_driver_transfer(&dev.gpu, id, GPU_RECT(0, y, 2200, 100), 0), OK);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, scanout, id, all), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, all), OK);
}

static void memory_at_rest(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	device_begin(&(struct device_setup){.peer = true});
	assert_small();
	for (uint32_t i = 0; i < 4; i++)
		show_strips(i, i + 1);
	device_settle();
	assert_true(child_rss_kib(&dev.child) > 4 * 2200 * 2200 * 4 / 1024);
	device_reset();
	device_start();
	assert_small();
}

static void memory_at_rest_with_files(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	device_begin(&(struct device_setup){.png = true});
	assert_small();
	for (uint32_t i = 0; i < 5; i++) {
		show_strips(0, 1);
		assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
		guest_rewind(&dev.guest);
	}
	device_reset();
	device_start();
	assert_small();
}

/* System calls */

static const char *const straces[] = {"/usr/bin/strace", "/bin/strace", "/usr/local/bin/strace"};

/* Where strace is, if it may trace anything. */
static const char *find_strace(void)
{
	static const char *const args[] = {"-o", "/dev/null", "/bin/true", NULL};
	struct daemon_child c;

	for (size_t i = 0; i < sizeof(straces) / sizeof(*straces); i++) {
		int rc;

		if (access(straces[i], X_OK) < 0)
			continue;
		assert_int_equal(child_start(&c, straces[i], args), 0);
		rc = child_wait(&c, 30000);
		child_kill(&c);
		if (rc == 0)
			return straces[i];
	}
	return NULL;
}

/* The sum of strace's fourth column. */
static long read_trace(void)
{
	FILE *f = fopen(dev.trace, "re");
	char line[256];
	long sum = 0, calls;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strstr(line, "total") && sscanf(line, "%*f %*f %*d %ld", &calls) == 1)
			sum += calls;
	fclose(f);
	return sum;
}

/* How many calls the daemon makes in a life with n requests, each of them alone. */
static long count_calls(const char *strace, int n)
{
	setenv("ASAN_OPTIONS", "detect_leaks=0", 1); // which cannot be while it is traced
	device_begin(&(struct device_setup){.strace = strace, .args = {"--one-off"}});
	unsetenv("ASAN_OPTIONS");
	device_make(1, 64, 64, 1);
	for (int i = 0; i < n; i++) {
		assert_int_equal(gpu_driver_transfer(&dev.gpu, 1, GPU_RECT(0, 0, 8, 8), 0), OK);
		usleep(1000); // so that it sleeps by then, else it needs fewer calls
	}
	device_disconnect();
	assert_int_equal(child_wait(&dev.child, 60000), 0);
	return read_trace();
}

static void two_calls_a_request(void **state)
{
	const char *strace = find_strace();
	long one, two;

	(void)state;
	if (!strace)
		skip();
	one = count_calls(strace, REQUESTS);
	two = count_calls(strace, 2 * REQUESTS);
	assert_true(one > REQUESTS); // it did trace the daemon
	// on a busy machine a kick may come late and find its request served: one more call
	if (two - one > 2 * REQUESTS + REQUESTS / 4)
		fail_msg("%ld system calls for %d requests", two - one, REQUESTS);
}

/* Ending */

static void ends_by(int signal)
{
	device_begin(&(struct device_setup){.peer = true});
	device_show(0, 1, 30, 30, 1);
	assert_int_equal(child_signal(&dev.child, signal), 0);
	assert_int_equal(child_wait(&dev.child, 30000), 0);
	assert_int_equal(access(dev.socket, F_OK), -1);
}

static void ends_by_signals(void **state)
{
	(void)state;
	ends_by(SIGTERM);
	ends_by(SIGINT);
}

/* With nobody connected, with a half-made front-end, and with commands that wait. */
static void ends_at_any_time(void **state)
{
	struct virtio_gpu_cmd_get_edid edid = {.hdr.type = htole32(VIRTIO_GPU_CMD_GET_EDID)};

	(void)state;
	device_begin(&(struct device_setup){.wait_for_client = true});
	assert_int_equal(frontend_connect(&dev.fe, dev.socket), 0);
	dev.fe_is_open = true;
	device_terminate();
	device_begin(&(struct device_setup){.peer = true});
	device_disconnect();
	device_terminate();
	device_begin(&(struct device_setup){.peer = true});
	dev.peer.mute = true;
	device_submit(&edid, sizeof(edid));
	device_settle();
	device_terminate();
}

static void one_off(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.peer = true, .args = {"--one-off"}});
	device_show(0, 1, 30, 30, 1);
	device_disconnect();
	assert_int_equal(child_wait(&dev.child, 30000), 0);
	assert_int_equal(access(dev.socket, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(out_of_memory),
		TEST(given_back),
		TEST(given_back_by_reset),
		TEST(given_back_by_leaving),
		TEST(backing_counts),
		TEST(held_until_it_is_sent),
		TEST(long_chains_wait),
		TEST(memory_at_rest),
		TEST(memory_at_rest_with_files),
		TEST(two_calls_a_request),
		TEST(ends_by_signals),
		TEST(ends_at_any_time),
		TEST(one_off),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_limits", tests, NULL, NULL);
}
