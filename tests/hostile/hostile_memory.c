/* SPDX-License-Identifier: MIT */
/* Tables of memory that is not there, too much, in two places, or no memory at all. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGE = 4096, SLOTS = 509 };

/* ---- SET_MEM_TABLE ---- */

struct table {
	const char *name;
	uint32_t nregions, nfds;
	uint32_t len; // of the payload, 0: as nregions wants it
	struct vhost_user_region r[8];
};

#define TOP   0xfffffffffffff000
#define FAR   (1ull << 33)
#define WHOLE MAIN_SIZE

static const struct table bad_tables[] = {
	{"1000 regions with 8 descriptors", 1000, 8, 8 + 8 * 32, {{FAR, PAGE, FAR, 0}}},
	{"9 regions with 8 descriptors", 9, 8, 8 + 8 * 32, {{FAR, PAGE, FAR, 0}}},
	{"0xffffffff regions", ~0u, 8, 8 + 8 * 32, {{FAR, PAGE, FAR, 0}}},
	{"0x20000000 regions, whose size wraps", 0x20000000, 1, 8, {{FAR, PAGE, FAR, 0}}},
	{"a region without descriptor", 1, 0, 0, {{FAR, PAGE, FAR, 0}}},
	{"two regions with one descriptor", 2, 1, 0, {{FAR, PAGE, FAR, 0}, {0, PAGE, 0, 0}}},
	{"a region with two descriptors", 1, 2, 0, {{FAR, PAGE, FAR, 0}}},
	{"a region with eight descriptors", 1, 8, 0, {{FAR, PAGE, FAR, 0}}},
	{"no region with a descriptor", 0, 1, 0, {{0}}},
	{"two regions in the space of one", 2, 2, 8 + 32, {{FAR, PAGE, FAR, 0}}},
	{"a region in half its space", 1, 1, 8 + 16, {{FAR, PAGE, FAR, 0}}},
	{"a table without regions", 1, 1, 8, {{0}}},
	{"a table of 7 bytes", 0, 0, 7, {{0}}},
	{"a region of no size", 1, 1, 0, {{FAR, 0, FAR, 0}}},
	{"a second region of no size", 2, 2, 0, {{FAR, PAGE, FAR, 0}, {0, 0, 0, 0}}},
	{"a region that wraps", 1, 1, 0, {{TOP, 2 * PAGE, FAR, 0}}},
	{"a region of all but the first byte", 1, 1, 0, {{1, ~0ull, 1, 0}}},
	{"a region that wraps for the front-end", 1, 1, 0, {{FAR, 2 * PAGE, TOP, 0}}},
	{"a region whose offset wraps", 1, 1, 0, {{FAR, 2 * PAGE, FAR, TOP}}},
	{"an offset beyond 63 bits", 1, 1, 0, {{FAR, PAGE, FAR, 1ull << 63}}},
	{"a region beyond the end of its file", 1, 1, 0, {{FAR, PAGE, FAR, WHOLE}}},
	{"a region far beyond its file", 1, 1, 0, {{FAR, PAGE, FAR, 1ull << 40}}},
	{"a region longer than its file", 1, 1, 0, {{FAR, WHOLE + 1, FAR, 0}}},
	{"a page longer than its file", 1, 1, 0, {{FAR, WHOLE, FAR, PAGE}}},
	{"a region of 2^62 bytes", 1, 1, 0, {{FAR, 1ull << 62, FAR, 0}}},
	{"the same region twice", 2, 2, 0, {{FAR, PAGE, FAR, 0}, {FAR, PAGE, FAR, 0}}},
	{"overlap by a byte, from below", 2, 2, 0,
		{{FAR, PAGE, FAR, 0}, {FAR - PAGE, PAGE + 1, 0, 0}}},
	{"overlap by a byte, from above", 2, 2, 0,
		{{FAR, PAGE + 1, FAR, 0}, {FAR + PAGE, PAGE, 0, 0}}},
	{"a region within another", 2, 2, 0, {{FAR, 4 * PAGE, FAR, 0}, {FAR + PAGE, PAGE, 0, 0}}},
	{"a region around another", 2, 2, 0, {{FAR, PAGE, FAR, 0}, {FAR - PAGE, 4 * PAGE, 0, 0}}},
	{"a last region that overlaps the first", 3, 3, 0,
		{{0, PAGE, 0, 0}, {FAR, PAGE, FAR, 0}, {1, PAGE, 0, 0}}},
};

static struct frontend_msg table_msg(
	const struct table *t, struct vhost_user_mem_table *payload, int *fds)
{
	struct frontend_msg m;

	*payload = (struct vhost_user_mem_table){.nregions = t->nregions};
	memcpy(payload->regions, t->r, sizeof(t->r));
	hostile_fds(fds, 8);
	m = hostile_msg(VHOST_USER_SET_MEM_TABLE, payload, t->len ? t->len : 8 + t->nregions * 32);
	m.fds = fds;
	m.nfds = t->nfds;
	return m;
}

/* Refused, and the rings run on in the memory that they had. */
static void bad_table(const void *arg)
{
	struct vhost_user_mem_table payload;
	int fds[8], n = child_count_fds(&hx.child);
	struct frontend_msg m = table_msg(arg, &payload, fds);

	assert_int_equal(frontend_ack(&hx.fe, &m), -EREMOTEIO);
	expect_fds(n);
	expect_rings_work();
	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

static const struct table odd_tables[] = {
	{"no regions at all", 0, 0, 0, {{0}}},
	{"regions from top to bottom", 3, 3, 0,
		{{FAR, PAGE, FAR, 0}, {2 * PAGE, PAGE, 0, 0}, {0, PAGE, 0, 0}}},
	{"eight regions that touch", 8, 8, 0,
		{{0, PAGE, 0, 0}, {PAGE, PAGE, 0, 0}, {2 * PAGE, PAGE, 0, 0},
			{3 * PAGE, PAGE, 0, 0}, {4 * PAGE, PAGE, 0, 0}, {5 * PAGE, PAGE, 0, 0},
			{6 * PAGE, PAGE, 0, 0}, {7 * PAGE, PAGE, 0, 0}}},
	{"the last page there is", 1, 1, 0, {{TOP, PAGE, TOP, 0}}},
	{"an offset within a page", 1, 1, 0, {{FAR, PAGE, FAR, 100}}},
	{"a region of a byte", 1, 1, 0, {{FAR, 1, FAR, 0}}},
	{"the file's last byte", 1, 1, 0, {{FAR, 1, FAR, WHOLE - 1}}},
	{"a table with bytes behind it", 1, 1, 8 + 64, {{FAR, PAGE, FAR, 0}}},
};

static void odd_table(const void *arg)
{
	struct vhost_user_mem_table payload;
	int fds[8];
	struct frontend_msg m = table_msg(arg, &payload, fds);

	expect_accepted(&m);
}

/* ---- files that are no memory ---- */

static int from_memfd(int flags, unsigned seals)
{
	int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING), again;
	char path[64];

	assert_ok(ftruncate(fd, SIDE_SIZE));
	assert_ok(fcntl(fd, F_ADD_SEALS, seals));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	close(fd);
	return again;
}

static int read_only(void)
{
	return from_memfd(O_RDONLY, 0);
}

static int write_sealed(void)
{
	return from_memfd(O_RDWR, F_SEAL_WRITE);
}

static int path_only(void)
{
	return from_memfd(O_PATH, 0);
}

static int pipe_end(void)
{
	int fds[2];

	assert_ok(pipe2(fds, O_CLOEXEC));
	close(fds[1]);
	return fds[0];
}

static int dead_socket(void)
{
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	close(fds[1]);
	return fds[0];
}

static int event(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int dev_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int empty_file(void)
{
	return memfd_create("hostile", MFD_CLOEXEC);
}

struct no_memory {
	const char *name;
	int (*make)(void);
};

static const struct no_memory no_memories[] = {{"memory that can only be read", read_only},
	{"memory sealed against writing", write_sealed}, {"memory by path only", path_only},
	{"a pipe as memory", pipe_end}, {"a socket as memory", dead_socket},
	{"an eventfd as memory", event}, {"an epoll as memory", epoll},
	{"a directory as memory", directory}, {"/dev/null as memory", dev_null},
	{"an empty file as memory", empty_file}};

static void no_memory(const void *arg)
{
	const struct no_memory *kind = arg;
	const struct guest_region r = {
		.gpa = FAR, .size = PAGE, .user_addr = FAR, .fd = kind->make()};
	struct guest g = {(struct guest_region *)(uintptr_t)&r, 1};
	int n = child_count_fds(&hx.child);

	assert_true(r.fd >= 0);
	assert_int_equal(frontend_add_region(&hx.fe, &r), -EREMOTEIO);
	assert_int_equal(frontend_set_mem_table(&hx.fe, &g), -EREMOTEIO);
	expect_fds(n);
	close(r.fd);
}

/* A device has no size, but it may be memory all the same. */
static void device_memory(const void *arg)
{
	const struct guest_region r = {.gpa = FAR,
		.size = PAGE,
		.user_addr = FAR,
		.fd = open("/dev/zero", O_RDWR | O_CLOEXEC)};

	(void)arg;
	assert_ok(frontend_add_region(&hx.fe, &r));
	close(r.fd);
	assert_ok(frontend_remove_region(&hx.fe, &r));
}

/* ---- single regions ---- */

static struct guest_region far_region(void)
{
	return (struct guest_region){.gpa = FAR,
		.size = 4 * PAGE,
		.user_addr = FAR,
		.fd = hx.guest.regions[MAIN_REGION].fd};
}

struct removal {
	const char *name;
	uint64_t gpa, size, user_addr; // what is said more than is true
};

static const struct removal bad_removals[] = {
	{"removal at another address", PAGE, 0, PAGE},
	{"removal at another guest address", PAGE, 0, 0},
	{"removal of less than a region", 0, (uint64_t)-PAGE, 0},
	{"removal of more than a region", 0, PAGE, 0},
	{"removal of nothing", 0, -4ull * PAGE, 0},
	{"removal by another user address", 0, 0, PAGE},
	{"removal of an address in no region", FAR, 0, FAR},
};

static void bad_removal(const void *arg)
{
	const struct removal *what = arg;
	struct guest_region r = far_region();
	struct vhost_user_single_region m = {0};
	struct frontend_msg msg = hostile_msg(VHOST_USER_REM_MEM_REG, &m, sizeof(m));

	assert_ok(frontend_add_region(&hx.fe, &r));
	m.region = (struct vhost_user_region){
		r.gpa + what->gpa, r.size + what->size, FAR + what->user_addr, 0};
	assert_int_equal(frontend_ack(&hx.fe, &msg), -EREMOTEIO);
	assert_ok(frontend_remove_region(&hx.fe, &r));
	expect_refused(&msg);
}

static void remove_from_nothing(const void *arg)
{
	const struct vhost_user_single_region zeros = {0};
	struct frontend_msg msg = hostile_msg(VHOST_USER_REM_MEM_REG, &zeros, sizeof(zeros));

	(void)arg;
	expect_refused(&msg);
}

static void remove_twice(const void *arg)
{
	struct guest_region r = far_region();

	(void)arg;
	assert_int_equal(frontend_remove_region(&hx.fe, &r), -EREMOTEIO);
	assert_ok(frontend_add_region(&hx.fe, &r));
	assert_ok(frontend_remove_region(&hx.fe, &r));
	assert_int_equal(frontend_remove_region(&hx.fe, &r), -EREMOTEIO);
}

/* Older front-ends send one, and it is of no use. */
static void remove_with_descriptor(const void *arg)
{
	struct guest_region r = far_region();
	struct vhost_user_single_region m = {
		.region = {r.gpa, r.size, FAR, 0},
	};
	int n = child_count_fds(&hx.child);

	(void)arg;
	assert_ok(frontend_add_region(&hx.fe, &r));
	assert_ok(frontend_tell_fd(&hx.fe, VHOST_USER_REM_MEM_REG, &m, sizeof(m), r.fd));
	expect_fds(n);
}

static void add_overlapping(const void *arg)
{
	struct guest_region r = far_region();

	(void)arg;
	assert_ok(frontend_add_region(&hx.fe, &r));
	assert_int_equal(frontend_add_region(&hx.fe, &r), -EREMOTEIO);
	r.gpa += PAGE;
	assert_int_equal(frontend_add_region(&hx.fe, &r), -EREMOTEIO);
	r.gpa -= 2 * PAGE;
	assert_int_equal(frontend_add_region(&hx.fe, &r), -EREMOTEIO);
	r.gpa -= 3 * PAGE;
	assert_ok(frontend_add_region(&hx.fe, &r));
	r.gpa += 7 * PAGE;
	assert_int_equal(frontend_add_region(&hx.fe, &r), -EREMOTEIO);
	r.gpa += PAGE;
	assert_ok(frontend_add_region(&hx.fe, &r));
}

/* All slots are taken, one more is refused; one less makes room for one. */
static void all_slots(const void *arg)
{
	struct guest_region r = far_region();
	uint64_t slots;

	(void)arg;
	assert_ok(frontend_get_u64(&hx.fe, VHOST_USER_GET_MAX_MEM_SLOTS, &slots));
	assert_int_equal(slots, SLOTS);
	r.size = PAGE;
	for (uint64_t i = hx.guest.n; i < slots; i++, r.gpa += PAGE)
		assert_ok(frontend_add_region(&hx.fe, &r));
	assert_int_equal(frontend_add_region(&hx.fe, &r), -EREMOTEIO);
	expect_rings_work();
	r.gpa = FAR;
	assert_ok(frontend_remove_region(&hx.fe, &r));
	assert_ok(frontend_add_region(&hx.fe, &r));
	assert_ok(frontend_set_mem_table(&hx.fe, &hx.guest));
}

static void add_and_remove(const void *arg)
{
	struct guest_region r = far_region();
	int n = child_count_fds(&hx.child);
	long rss = 0;

	(void)arg;
	for (int i = 0; i < 3000; i++) {
		assert_ok(frontend_add_region(&hx.fe, &r));
		assert_ok(frontend_remove_region(&hx.fe, &r));
		if (i == 1000)
			rss = child_rss_kib(&hx.child);
	}
	expect_fds(n);
	assert_true(child_rss_kib(&hx.child) - rss < 2048);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"memory of a device", AGREED, device_memory},
	{"removal of nothing from nothing", AGREED, remove_from_nothing},
	{"a region removed twice", AGREED, remove_twice},
	{"a region removed with a descriptor", AGREED, remove_with_descriptor},
	{"regions that overlap, one by one", AGREED, add_overlapping},
	{"more regions than slots", RUNNING, all_slots},
	{"a region that comes and goes", AGREED, add_and_remove},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, bad_tables, RUNNING, bad_table);
	HOSTILE_ADD_TABLE(&list, odd_tables, AGREED, odd_table);
	HOSTILE_ADD_TABLE(&list, no_memories, AGREED, no_memory);
	HOSTILE_ADD_TABLE(&list, bad_removals, AGREED, bad_removal);
	return hostile_main(argc, argv, list.cases, list.n);
}
