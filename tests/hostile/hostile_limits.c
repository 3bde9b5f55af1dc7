/* SPDX-License-Identifier: MIT */
/* Backing of odd numbers, transfers beyond it, and as much of everything as can be had. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OK          VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC      VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY   VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define NO_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define PARAMETER   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define FORMAT      VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

/* ---- the number of entries ---- */

struct count {
	const char *name;
	uint32_t said;
	uint32_t bytes; // of entries that are really there
	int answer;
};

enum { ENTRY = sizeof(struct virtio_gpu_mem_entry), MOST = 1 << 18 };

static const struct count counts[] = {
	{"no entries", 0, 0, OK},
	{"no entries, but some bytes", 0, 100, OK},
	{"one entry", 1, ENTRY, OK},
	{"an entry but for a byte", 1, ENTRY - 1, PARAMETER},
	{"an entry that is not there", 1, 0, PARAMETER},
	{"two entries, and a half more", 2, 2 * ENTRY + ENTRY / 2, OK},
	{"three entries, and one is a half", 3, 2 * ENTRY + ENTRY / 2, PARAMETER},
	{"16384 entries", 16384, 16384 * ENTRY, OK},
	{"16385 entries", 16385, 16385 * ENTRY, OK},
	{"16385 entries of one", 16385, ENTRY, PARAMETER},
	{"2^18 entries", MOST, MOST *ENTRY, OK},
	{"2^18 + 1 entries", MOST + 1, (MOST + 1) * ENTRY, PARAMETER},
	{"2^28 entries, whose size wraps", 1u << 28, ENTRY, PARAMETER},
	{"2^28 + 1 entries, whose size wraps", (1u << 28) + 1, ENTRY, PARAMETER},
	{"2^31 entries", 1u << 31, ENTRY, PARAMETER},
	{"2^32 - 1 entries", ~0u, ENTRY, PARAMETER},
};

/* ATTACH_BACKING by hand; the entries are zeros of the main region, or what is put there. */
static int attach_by_hand(uint32_t id, uint32_t said, uint64_t entries, uint32_t bytes)
{
	const struct virtio_gpu_resource_attach_backing m = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		.resource_id = id,
		.nr_entries = said};
	struct drv_seg segs[3] = {{0x1000, sizeof(m), false}, {entries, bytes, false},
		{0x2000, sizeof(struct virtio_gpu_ctrl_hdr), true}};
	struct drv_ring *r = &hx.rings[CONTROL];
	struct virtio_gpu_ctrl_hdr answer;
	struct drv_used used;

	assert_ok(guest_write(&hx.guest, 0x1000, &m, sizeof(m)));
	assert_true(drv_ring_add(r, segs, 3, NULL) >= 0);
	assert_true(drv_ring_submit(r) >= 0);
	assert_ok(drv_ring_wait(r, WAIT_DEFAULT));
	assert_int_equal(drv_ring_reap(r, &used), 1);
	assert_ok(guest_read(&hx.guest, 0x2000, &answer, sizeof(answer)));
	return (int)answer.type;
}

static void count(const void *arg)
{
	const struct count *c = arg;

	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, 4, 4));
	assert_int_equal(attach_by_hand(1, c->said, HAND_SIZE, c->bytes), c->answer);
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, 0, 4, 4), 0), UNSPEC);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* ---- transfers ---- */

struct transfer {
	const char *name;
	uint32_t x, y, w, h;
	uint64_t offset;
	int answer;
};

enum { SIDE = 64, STRIDE = SIDE * 4, BYTES = SIDE * STRIDE, BACKED = BYTES - STRIDE };

/* In 64 x 64, with backing that lacks the last row. */
static const struct transfer transfers[] = {
	{"all that is backed", 0, 0, SIDE, SIDE - 1, 0, OK},
	{"a row more than is backed", 0, 0, SIDE, SIDE, 0, PARAMETER},
	{"a pixel of the row more", 0, 0, 1, SIDE, 0, PARAMETER},
	{"the last pixel, from the last that is backed", SIDE - 1, SIDE - 1, 1, 1, BACKED - 4, OK},
	{"the last pixel, from a byte further", SIDE - 1, SIDE - 1, 1, 1, BACKED - 3, PARAMETER},
	{"a pixel from the end of backing", 0, 0, 1, 1, BACKED, PARAMETER},
	{"a pixel from behind it", 0, 0, 1, 1, 1ull << 32, PARAMETER},
	{"a pixel from the end of all", 0, 0, 1, 1, ~0ull, PARAMETER},
	{"a pixel from an offset that wraps", 0, 0, 1, 1, (uint64_t)-4, PARAMETER},
	{"rows from an offset that wraps", 0, 0, SIDE, 2, (uint64_t)-STRIDE, PARAMETER},
	{"a row from an odd offset", 0, 0, SIDE, 1, 3, OK},
	{"two columns down to the end", 0, 0, 2, SIDE - 1, STRIDE - 8, OK},
	{"two columns a byte beyond it", 0, 0, 2, SIDE - 1, STRIDE - 7, PARAMETER},
};

static void transfer(const void *arg)
{
	const struct transfer *t = arg;
	struct virtio_gpu_mem_entry e[2] = {
		{.addr = LEFT_GPA, .length = 100}, {.addr = 0, .length = BACKED - 100}};

	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, SIDE, SIDE));
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, 0, 1, 1), 0), UNSPEC);
	assert_ack(gpu_driver_attach(&hx.gpu, 1, e, 2));
	assert_int_equal(
		gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(t->x, t->y, t->w, t->h), t->offset),
		t->answer);
	assert_ack(gpu_driver_detach(&hx.gpu, 1));
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, 0, 1, 1), 0), UNSPEC);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* The second one is refused, and the first one stays. */
static void attach_twice(const void *arg)
{
	const struct virtio_gpu_mem_entry big = {.addr = 0, .length = BYTES};
	const struct virtio_gpu_mem_entry small = {.addr = LEFT_GPA, .length = 64};

	(void)arg;
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, SIDE, SIDE));
	assert_ack(gpu_driver_attach(&hx.gpu, 1, &big, 1));
	assert_int_equal(gpu_driver_attach(&hx.gpu, 1, &small, 1), UNSPEC);
	assert_ack(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, 0, SIDE, SIDE), 0));
	assert_ack(gpu_driver_detach(&hx.gpu, 1));
	assert_ack(gpu_driver_detach(&hx.gpu, 1));
	assert_ack(gpu_driver_attach(&hx.gpu, 1, &small, 1));
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, 0, SIDE, SIDE), 0), PARAMETER);
}

/* ---- --max-hostmem ---- */

static const char *const one_mib[] = {"--max-hostmem=1M", NULL};

static int create(uint32_t id, uint32_t w, uint32_t h)
{
	return gpu_driver_create_2d(&hx.gpu, id, FORMAT, w, h);
}

static void out_of_memory(const void *arg)
{
	(void)arg;
	for (uint32_t id = 1; id <= 4; id++)
		assert_ack(create(id, 256, 256));
	assert_int_equal(create(5, 1, 1), NO_MEMORY);
	assert_int_equal(create(5, 256, 256), NO_MEMORY);
	assert_int_equal(gpu_driver_unref(&hx.gpu, 5), NO_RESOURCE);
	assert_ack(gpu_driver_unref(&hx.gpu, 2));
	assert_ack(create(5, 256, 256));
	assert_int_equal(create(2, 1, 1), NO_MEMORY);
	assert_int_equal(create(2, 16384, 16384), NO_MEMORY);
	assert_ok(frontend_reset_device(&hx.fe));
	hostile_start_rings();
	gpu_driver_reset(&hx.gpu);
	assert_ack(create(1, 512, 512));
}

/* Long lists of pages count as well. */
static void out_of_memory_for_pages(const void *arg)
{
	const uint32_t n = 30000;

	(void)arg;
	assert_ack(create(1, 4, 4));
	assert_ack(create(2, 4, 4));
	assert_int_equal(attach_by_hand(1, n, HAND_SIZE, n * ENTRY), NO_MEMORY);
	assert_ack(attach_by_hand(1, 16384, HAND_SIZE, 16384 * ENTRY));
	assert_int_equal(attach_by_hand(2, 16384, HAND_SIZE, 16384 * ENTRY), NO_MEMORY);
	assert_int_equal(create(3, 512, 511), NO_MEMORY);
	for (int i = 0; i < 10; i++) {
		assert_ack(gpu_driver_unref(&hx.gpu, 1));
		assert_ack(attach_by_hand(2, 16384, HAND_SIZE, 16384 * ENTRY));
		assert_ack(gpu_driver_detach(&hx.gpu, 2));
		assert_ack(create(1, 4, 4));
		assert_ack(attach_by_hand(1, 16384, HAND_SIZE, 16384 * ENTRY));
	}
}

/* What was refused has cost nothing. */
static void refusals_cost_nothing(const void *arg)
{
	const struct virtio_gpu_mem_entry nowhere = {.addr = NO_GPA, .length = 4096};

	(void)arg;
	assert_ack(create(1, 256, 255));
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(create(2, 0, 256), PARAMETER);
		assert_int_equal(create(1, 64, 64), NO_RESOURCE);
		assert_int_equal(create(2, 1024, 1024), NO_MEMORY);
		assert_int_equal(gpu_driver_attach(&hx.gpu, 1, &nowhere, 1), PARAMETER);
	}
	assert_ack(create(2, 512, 383));
}

/* ---- how many ---- */

/* A batch of commands without a kick for each. */
struct batch {
	int tickets[RING_NUM];
	unsigned n;
};

static void add(struct batch *b, const void *m, size_t len)
{
	int ticket = gpu_driver_add(&hx.gpu, CONTROL, m, len, 24);

	assert_true(ticket >= 0);
	b->tickets[b->n++] = ticket;
}

static void finish(struct batch *b)
{
	assert_true(drv_ring_submit(&hx.rings[CONTROL]) >= 0);
	for (unsigned i = 0; i < b->n; i++)
		assert_ack(gpu_driver_collect(&hx.gpu, b->tickets[i]));
	b->n = 0;
}

static void create_and_unref(uint32_t first, unsigned n)
{
	struct batch b = {.n = 0};

	for (unsigned i = 0; i < n; i++) {
		const struct virtio_gpu_resource_create_2d c = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
			.resource_id = first + i,
			.format = FORMAT,
			.width = 16,
			.height = 16};
		const struct virtio_gpu_resource_unref u = {
			.hdr.type = VIRTIO_GPU_CMD_RESOURCE_UNREF, .resource_id = first + i};

		add(&b, &c, sizeof(c));
		add(&b, &u, sizeof(u));
	}
	finish(&b);
}

static void a_hundred_thousand(const void *arg)
{
	int n = child_count_fds(&hx.child);
	long rss = 0;

	(void)arg;
	for (uint32_t i = 0; i < 100000; i += 16) {
		create_and_unref(i + 1, 16);
		if (i == 16000)
			rss = child_rss_kib(&hx.child);
	}
	expect_fds(n);
	assert_true(child_rss_kib(&hx.child) - rss < 4096);
}

/* Attach, attach again, unref without detach: nothing stays. */
static void backing_ten_thousand_times(const void *arg)
{
	const struct virtio_gpu_mem_entry e[2] = {
		{.addr = 0, .length = 1024}, {.addr = LEFT_GPA, .length = 1024}};
	long rss = 0;

	(void)arg;
	for (int i = 0; i < 10000; i++) {
		assert_ack(create(1, 16, 16));
		assert_ack(gpu_driver_attach(&hx.gpu, 1, e, 2));
		assert_int_equal(gpu_driver_attach(&hx.gpu, 1, e, 2), UNSPEC);
		if (i % 2)
			assert_ack(gpu_driver_detach(&hx.gpu, 1));
		assert_ack(gpu_driver_unref(&hx.gpu, 1));
		if (i == 2000)
			rss = child_rss_kib(&hx.child);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 4096);
}

/* ---- no more files ---- */

/* From now on it may open none but the first n. Returns what it might before. */
static struct rlimit limit_files(int n)
{
	struct rlimit old, now;

	assert_ok(prlimit(hx.child.pid, RLIMIT_NOFILE, NULL, &old));
	now = old;
	now.rlim_cur = (rlim_t)n;
	assert_ok(prlimit(hx.child.pid, RLIMIT_NOFILE, &now, NULL));
	return old;
}

static void free_files(const struct rlimit *old)
{
	assert_ok(prlimit(hx.child.pid, RLIMIT_NOFILE, old, NULL));
}

static void no_file_for_a_resource(const void *arg)
{
	struct rlimit old = limit_files(child_count_fds(&hx.child) + 2);
	uint32_t id = 1;
	int r;

	(void)arg;
	while ((r = create(id, 4, 4)) == VIRTIO_GPU_RESP_OK_NODATA)
		id++;
	assert_int_equal(r, NO_MEMORY);
	assert_in_range(id, 3, 10); // there may have been gaps
	expect_rings_work();
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	assert_ack(create(id, 4, 4));
	free_files(&old);
}

/* It cannot be taken, so the message is not what it should be. */
static void no_file_for_a_descriptor(const void *arg)
{
	struct rlimit old = limit_files(0);

	(void)arg;
	hx.fe.acks = false;
	assert_ok(frontend_set_vring_call(&hx.fe, CONTROL, hx.rings[CONTROL].call_fd));
	expect_closed();
	free_files(&old);
}

static void no_file_for_a_frontend(const void *arg)
{
	struct rlimit old;
	struct frontend_reply reply;
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);

	(void)arg;
	hostile_leave();
	expect_fds(hx.idle_fds);
	old = limit_files(0);
	hostile_connect();
	assert_ok(frontend_send(&hx.fe, &m));
	hx.fe.timeout_ms = 10;
	assert_int_equal(frontend_recv(&hx.fe, &reply), -ETIMEDOUT);
	hx.fe.timeout_ms = WAIT_DEFAULT;
	free_files(&old);
	assert_ok(frontend_recv(&hx.fe, &reply));
}

/* A daemon that may open few files has few resources, and files left for all else. */
static void few_files(const void *arg)
{
	const unsigned *numbers = arg; // files, and the resources that they are enough for
	struct daemon_child child;
	char script[64], path[128];
	const char *const args[] = {"-c", script, hostile_binary, path, NULL};

	snprintf(script, sizeof(script), "ulimit -n %u && exec \"$0\" \"$@\"", numbers[0]);
	snprintf(path, sizeof(path), "--socket-path=%s/few", hx.dir);
	assert_ok(child_start(&child, "/bin/sh", args));
	hostile_leave();
	assert_ok(frontend_connect(&hx.fe, strchr(path, '=') + 1));
	assert_ok(frontend_setup(&hx.fe, &hx.guest, hx.rings, RINGS));
	for (uint32_t id = 1; id <= numbers[1]; id++)
		assert_ack(create(id, 1, 1));
	assert_int_equal(create(numbers[1] + 1, 1, 1), NO_MEMORY);
	expect_rings_work();
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
	assert_ack(create(numbers[1] + 1, 1, 1));
	hostile_leave();
	assert_int_equal(child_stop(&child), 0);
}

static const unsigned files[][2] = {{300, 172}, {100, 50}};

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"backing attached twice", RUNNING, attach_twice},
	{"no more memory for pixels", RUNNING, out_of_memory, NULL, one_mib},
	{"no more memory for pages", RUNNING, out_of_memory_for_pages, NULL, one_mib},
	{"refusals cost no memory", RUNNING, refusals_cost_nothing, NULL, one_mib},
	{"100000 resources, one after the other", RUNNING, a_hundred_thousand},
	{"backing 10000 times", RUNNING, backing_ten_thousand_times},
	{"no file for a resource", RUNNING, no_file_for_a_resource},
	{"no file for a descriptor", RUNNING, no_file_for_a_descriptor},
	{"no file for a front-end", CONNECTED, no_file_for_a_frontend},
	{"more resources than files", CONNECTED, few_files, files[0]},
	{"more resources than very few files", CONNECTED, few_files, files[1]},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, counts, RUNNING, count);
	HOSTILE_ADD_TABLE(&list, transfers, RUNNING, transfer);
	return hostile_main(argc, argv, list.cases, list.n);
}
