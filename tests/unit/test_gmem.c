/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ull
#define UVA  0x7f0000000000ull

static struct gmem *mem;
static int file; // of 16 pages, each filled with its number
static unsigned hint;

enum { FILE_PAGES = 16 };

static int setup(void **state)
{
	uint8_t page[PAGE];

	(void)state;
	mem = gmem_create();
	hint = 0;
	file = memfd_create("test", MFD_CLOEXEC);
	if (!mem || file < 0)
		return -1;
	for (unsigned i = 0; i < FILE_PAGES; i++) {
		memset(page, (int)i, sizeof(page));
		if (write(file, page, sizeof(page)) != sizeof(page))
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(mem->refs, 1);
	gmem_unref(mem);
	close(file);
	return 0;
}

static struct gmem_desc region(uint64_t gpa, uint64_t size, uint64_t offset)
{
	return (struct gmem_desc){gpa, size, UVA + gpa % (1ull << 40), offset};
}

/* Tries to add a region to mem; mem is the new map when that went well. */
static int add_desc(struct gmem_desc desc)
{
	struct gmem *more = (void *)&hint;
	int r = gmem_add(mem, &desc, file, &more);

	if (r < 0) {
		assert_ptr_equal(more, &hint); // is written on success only
		return r;
	}
	gmem_unref(mem);
	mem = more;
	hint = 0;
	return 0;
}

static int add(uint64_t gpa, uint64_t size, uint64_t offset)
{
	return add_desc(region(gpa, size, offset));
}

static int take_away(uint64_t gpa, uint64_t size)
{
	struct gmem_desc desc = region(gpa, size, 0);
	struct gmem *less = (void *)&hint;
	int r = gmem_remove(mem, &desc, &less);

	if (r < 0) {
		assert_ptr_equal(less, &hint);
		return r;
	}
	gmem_unref(mem);
	mem = less;
	hint = 0;
	return 0;
}

/* The byte at gpa, or -1. */
static int at(uint64_t gpa)
{
	uint64_t len = 1;
	const uint8_t *p = gmem_at(mem, &hint, gpa, &len);

	return p && len == 1 ? *p : -1;
}

/* ---- regions ---- */

static void test_empty(void **state)
{
	const struct gmem_desc nothing = {0};
	struct gmem *less;
	struct iovec iov;
	char byte;

	(void)state;
	assert_int_equal(at(0), -1);
	assert_int_equal(at(UINT64_MAX), -1);
	assert_null(gmem_find(mem, 0));
	assert_false(gmem_read(mem, &hint, 0, &byte, 1));
	assert_true(gmem_read(mem, &hint, 0, &byte, 0));
	assert_int_equal(gmem_iov(mem, &hint, 0, 1, &iov, 1), -EFAULT);
	assert_int_equal(gmem_iov(mem, &hint, 0, 0, &iov, 0), 0);
	assert_null(gmem_ring(mem, 0, 1, 1, true));
	assert_int_equal(take_away(0, PAGE), -ENOENT);
	assert_int_equal(gmem_remove(mem, &nothing, &less), -ENOENT);
	gmem_unref(NULL);
}

static void test_address_zero(void **state)
{
	(void)state;
	assert_int_equal(add(0, PAGE, 3 * PAGE), 0);
	assert_int_equal(at(0), 3);
	assert_int_equal(at(PAGE - 1), 3);
	assert_int_equal(at(PAGE), -1);
	assert_int_equal(at(UINT64_MAX), -1);
}

static void test_last_address(void **state)
{
	(void)state;
	assert_int_equal(add(0 - PAGE, PAGE, PAGE), 0);
	assert_int_equal(at(UINT64_MAX), 1);
	assert_int_equal(at(0 - PAGE), 1);
	assert_int_equal(at(0 - PAGE - 1), -1);
	assert_int_equal(at(0), -1);
}

/* Regions come in any order and are found by address. */
static void test_sorted(void **state)
{
	const unsigned order[] = {5, 1, 7, 0, 6, 3, 2, 4};

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(add(order[i] * 0x100000ull, PAGE, order[i] * PAGE), 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(mem->regions[i].gpa, i * 0x100000ull);
		assert_int_equal(at(i * 0x100000ull), i);
		assert_int_equal(at(i * 0x100000ull + PAGE), -1);
		assert_ptr_equal(gmem_find(mem, i * 0x100000ull + 17), &mem->regions[i]);
	}
}

static void test_bad_regions(void **state)
{
	const uint64_t end = FILE_PAGES * PAGE;
	const struct gmem_desc bad[] = {
		{0, 0, 0, 10},                  // empty, also when its page would not be
		{0, 0, UVA, 0},                 // empty
		{UINT64_MAX, 2, UVA, 0},        // wraps in gpa
		{1, UINT64_MAX, 0, 0},          // so large that it does, too
		{0, 2, UINT64_MAX, 0},          // wraps in uva
		{0, PAGE, UVA, UINT64_MAX},     // wraps in the file
		{0, PAGE, UVA, INT64_MAX},      // beyond what a file offset can be
		{0, PAGE, UVA, end},            // behind the file
		{0, PAGE + 1, UVA, end - PAGE}, // half of it behind
		{0, end + 1, UVA, 0},           // larger than the file
		{0, UINT64_MAX, 0, 0},          // much larger
		{0, 1ull << 63, 0, 0},          // just more than an offset can be
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(add_desc(bad[i]), -EINVAL);
	assert_int_equal(mem->n, 0);
}

static void test_overlap(void **state)
{
	const uint64_t g = 0x100000;
	const uint64_t bad[][2] = {{g, 1}, {g, 4 * PAGE}, {g + 3 * PAGE, PAGE},
		{g + 4 * PAGE - 1, 1}, {g - PAGE, PAGE + 1}, {g - PAGE, 8 * PAGE}, {g + PAGE, PAGE},
		{g + PAGE, 8 * PAGE}, {0, g + 1}, {g - 1, 2}};

	(void)state;
	assert_int_equal(ftruncate(file, 0x200000), 0);
	assert_int_equal(add(g, 4 * PAGE, 0), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(add(bad[i][0], bad[i][1], 0), -EINVAL);
	assert_int_equal(add(g - PAGE, PAGE, 0), 0);     // right before
	assert_int_equal(add(g + 4 * PAGE, PAGE, 0), 0); // right behind
	assert_int_equal(mem->n, 3);
}

static void test_offset_off_the_page(void **state)
{
	(void)state;
	assert_int_equal(add(0, 2 * PAGE, PAGE / 2), 0);
	assert_int_equal(at(0), 0);
	assert_int_equal(at(PAGE / 2 - 1), 0);
	assert_int_equal(at(PAGE / 2), 1);
	assert_int_equal(at(3 * PAGE / 2), 2);
	assert_int_equal(at(2 * PAGE - 1), 2);
	assert_int_equal(at(2 * PAGE), -1);
	assert_int_equal(add(0x10000, 10, 16 * PAGE - 10), 0);
	assert_int_equal(at(0x10009), 15);
	assert_int_equal(at(0x1000a), -1);
}

static void test_bad_files(void **state)
{
	struct gmem_desc desc = region(0, PAGE, 0);
	struct gmem *more;
	int fd;

	(void)state;
	assert_int_equal(gmem_add(mem, &desc, -1, &more), -EBADF);
	fd = open("/proc/self/mem", O_RDONLY);
	assert_true(gmem_add(mem, &desc, fd, &more) < 0);
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY); // cannot be written to
	assert_int_equal(gmem_add(mem, &desc, fd, &more), -EACCES);
	close(fd);
	fd = open("/dev/zero", O_RDWR); // has no end of its own
	desc.mmap_offset = INT64_MAX - PAGE / 2;
	assert_int_equal(gmem_add(mem, &desc, fd, &more), -EINVAL);
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	assert_true(gmem_add(mem, &desc, fd, &more) < 0);
	close(fd);
}

/* A file may be larger than anybody has memory for; nothing is touched by mapping it. */
static void test_huge_region(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(file, 1ll << 40), 0);
	assert_int_equal(add(0, 1ull << 40, 0), 0);
	assert_int_equal(at(5 * PAGE), 5);
	assert_int_equal(at((1ull << 40) - 1), 0);
}

static void test_most_regions(void **state)
{
	unsigned before = count_fds();

	(void)state;
	for (uint64_t i = 0; i < GMEM_MAX_REGIONS; i++)
		assert_int_equal(add(i * 2 * PAGE, PAGE, i % FILE_PAGES * PAGE), 0);
	assert_int_equal(add(1ull << 40, PAGE, 0), -ENOSPC);
	for (uint64_t i = 0; i < GMEM_MAX_REGIONS; i++) {
		assert_int_equal(at(i * 2 * PAGE), i % FILE_PAGES);
		assert_int_equal(at(i * 2 * PAGE + PAGE), -1);
	}
	assert_int_equal(take_away(100 * PAGE, PAGE), 0);
	assert_int_equal(add(1ull << 40, PAGE, 9 * PAGE), 0);
	assert_int_equal(at(1ull << 40), 9);
	assert_int_equal(count_fds(), before); // no fd is kept
}

/* Two whole maps at once: what a front-end's new table needs while the old one is in use. */
static void test_two_full_maps(void **state)
{
	struct gmem *old;

	(void)state;
	for (uint64_t i = 0; i < GMEM_MAX_REGIONS; i++)
		assert_int_equal(add(i * PAGE, PAGE, 0), 0);
	old = mem;
	mem = gmem_create();
	for (uint64_t i = 0; i < GMEM_MAX_REGIONS; i++)
		assert_int_equal(add(i * PAGE, PAGE, PAGE), 0);
	assert_int_equal(at(7 * PAGE), 1);
	gmem_unref(old);
	assert_int_equal(at(7 * PAGE), 1);
}

static void test_remove(void **state)
{
	struct gmem_desc other;
	struct gmem *less;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(i * PAGE, PAGE, i * PAGE), 0);
	other = region(PAGE, PAGE, 0);
	other.uva++;
	assert_int_equal(gmem_remove(mem, &other, &less), -ENOENT);
	other = region(PAGE, PAGE, 0);
	other.gpa++;
	assert_int_equal(gmem_remove(mem, &other, &less), -ENOENT);
	assert_int_equal(take_away(PAGE, 2 * PAGE), -ENOENT);
	assert_int_equal(take_away(PAGE + 1, PAGE - 1), -ENOENT);
	assert_int_equal(take_away(9 * PAGE, PAGE), -ENOENT);
	assert_int_equal(take_away(PAGE, PAGE), 0);
	assert_int_equal(at(PAGE), -1);
	assert_int_equal(at(0), 0);
	assert_int_equal(at(2 * PAGE), 2);
	assert_int_equal(take_away(3 * PAGE, PAGE), 0);
	assert_int_equal(take_away(0, PAGE), 0);
	assert_int_equal(take_away(2 * PAGE, PAGE), 0);
	assert_int_equal(mem->n, 0);
}

/* Who holds a reference to an old map can use its memory, also of regions that are gone. */
static void test_old_maps_stay(void **state)
{
	struct gmem *old;
	uint64_t len = 1;
	unsigned h = 0;
	uint8_t *p;

	(void)state;
	assert_int_equal(add(0, PAGE, 2 * PAGE), 0);
	assert_int_equal(add(PAGE, PAGE, 3 * PAGE), 0);
	old = gmem_ref(mem);
	assert_int_equal(take_away(0, PAGE), 0);
	p = gmem_at(old, &h, 0, &len);
	assert_int_equal(*p, 2);
	*p = 77;
	p = gmem_at(old, &h, PAGE, &len);
	*p = 78;
	assert_int_equal(at(PAGE), 78);
	assert_int_equal(old->refs, 1);
	gmem_unref(old);
	assert_int_equal(at(PAGE), 78);
}

/* ---- look-up ---- */

static void test_at_cuts(void **state)
{
	uint64_t len = UINT64_MAX;
	uint8_t *p;

	(void)state;
	assert_int_equal(add(PAGE, 2 * PAGE, 0), 0);
	assert_int_equal(add(3 * PAGE, PAGE, 5 * PAGE), 0); // adjacent, another mapping
	p = gmem_at(mem, &hint, PAGE + 10, &len);
	assert_int_equal(len, 2 * PAGE - 10);
	assert_ptr_equal(p, mem->regions[0].host + 10);
	len = 5;
	assert_non_null(gmem_at(mem, &hint, PAGE, &len));
	assert_int_equal(len, 5);
	len = 0;
	assert_non_null(gmem_at(mem, &hint, 3 * PAGE, &len));
	assert_int_equal(len, 0);
}

/* The hint remembers the region, and a wrong one does no harm. */
static void test_hint(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(add(i * 4 * PAGE, PAGE, i * PAGE), 0);
	for (unsigned start = 0; start <= 5; start++) {
		for (unsigned i = 0; i < 5; i++) {
			hint = start;
			assert_int_equal(at(i * 4 * PAGE + 9), i);
			assert_int_equal(hint, i);
			hint = start;
			assert_int_equal(at(i * 4 * PAGE + PAGE), -1);
		}
	}
	hint = 0;
}

static void test_iov(void **state)
{
	struct iovec iov[4];

	(void)state;
	assert_int_equal(add(0, PAGE, 0), 0);
	assert_int_equal(add(PAGE, PAGE, 7 * PAGE), 0);
	assert_int_equal(add(2 * PAGE, PAGE, 3 * PAGE), 0);
	assert_int_equal(add(0 - PAGE, PAGE, PAGE), 0);
	assert_int_equal(gmem_iov(mem, &hint, 10, 20, iov, 4), 1);
	assert_int_equal(iov[0].iov_len, 20);
	assert_int_equal(gmem_iov(mem, &hint, PAGE - 1, PAGE + 2, iov, 4), 3);
	assert_int_equal(iov[0].iov_len, 1);
	assert_int_equal(*(uint8_t *)iov[1].iov_base, 7);
	assert_int_equal(iov[1].iov_len, PAGE);
	assert_int_equal(*(uint8_t *)iov[2].iov_base, 3);
	assert_int_equal(gmem_iov(mem, &hint, PAGE - 1, PAGE + 2, iov, 2), -E2BIG);
	assert_int_equal(gmem_iov(mem, &hint, 0, 3 * PAGE, iov, 3), 3);
	assert_int_equal(gmem_iov(mem, &hint, 0, 3 * PAGE + 1, iov, 4), -EFAULT);
	assert_int_equal(gmem_iov(mem, &hint, 3 * PAGE, 1, iov, 4), -EFAULT);
	assert_int_equal(gmem_iov(mem, &hint, 0 - PAGE, PAGE, iov, 4), 1);
	assert_int_equal(gmem_iov(mem, &hint, 0 - PAGE, PAGE + 1, iov, 4), -EFAULT); // no way round
	assert_int_equal(gmem_iov(mem, &hint, 1, UINT64_MAX, iov, 4), -EFAULT);
}

static void test_read(void **state)
{
	uint8_t buf[PAGE + 2];

	(void)state;
	assert_int_equal(add(0, PAGE, 0), 0);
	assert_int_equal(add(PAGE, PAGE, 7 * PAGE), 0);
	assert_int_equal(add(2 * PAGE, PAGE, 3 * PAGE), 0);
	assert_int_equal(add(0 - PAGE, PAGE, PAGE), 0);
	assert_true(gmem_read(mem, &hint, PAGE - 1, buf, sizeof(buf)));
	assert_int_equal(buf[0], 0);
	assert_int_equal(buf[1], 7);
	assert_int_equal(buf[PAGE], 7);
	assert_int_equal(buf[PAGE + 1], 3);
	assert_false(gmem_read(mem, &hint, 3 * PAGE - 1, buf, 2));
	assert_false(gmem_read(mem, &hint, UINT64_MAX, buf, 2));
	assert_true(gmem_read(mem, &hint, UINT64_MAX, buf, 1));
}

static void test_ring(void **state)
{
	(void)state;
	assert_int_equal(add(0x10000, PAGE, 0), 0);
	assert_int_equal(add(0x10000 + PAGE, PAGE, PAGE + 8), 0);
	assert_ptr_equal(gmem_ring(mem, UVA + 0x10010, 16, 16, false), mem->regions[0].host + 16);
	assert_ptr_equal(gmem_ring(mem, 0x10010, 16, 16, true), mem->regions[0].host + 16);
	assert_null(gmem_ring(mem, 0x10010, 16, 16, false));
	assert_null(gmem_ring(mem, UVA + 0x10010, 16, 16, true));
	assert_null(gmem_ring(mem, 0x10008, 16, 16, true)); // not aligned
	assert_non_null(gmem_ring(mem, 0x10000, PAGE, 16, true));
	assert_null(gmem_ring(mem, 0x10000, PAGE + 1, 16, true)); // in two pieces
	assert_null(gmem_ring(mem, 0x10000 + PAGE - 16, 32, 16, true));
	assert_null(gmem_ring(mem, 0x10000, UINT64_MAX, 16, true));
	assert_null(gmem_ring(mem, UINT64_MAX - 15, 32, 16, true));
	/* What counts is where it lies in our memory. */
	assert_null(gmem_ring(mem, 0x10000 + PAGE, 16, 16, true));
	assert_non_null(gmem_ring(mem, 0x10000 + PAGE + 8, 16, 16, true));
}

/* ---- memory that is taken away ---- */

static void test_fault(void **state)
{
	unsigned before = gmem_faults();

	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	assert_int_equal(add(0, 8 * PAGE, PAGE / 2), 0);
	assert_int_equal(at(0), 0);
	assert_int_equal(gmem_faults(), before);
	assert_int_equal(ftruncate(file, PAGE), 0);
	assert_int_equal(at(0), 0);
	assert_int_equal(gmem_faults(), before);
	assert_int_equal(at(PAGE), 0); // was 1
	assert_int_equal(gmem_faults(), before + 1);
	assert_int_equal(at(PAGE + 1), 0); // the page is ours now
	assert_int_equal(gmem_faults(), before + 1);
	memset(mem->regions[0].host + 2 * PAGE, 5, 4 * PAGE);
	assert_int_equal(gmem_faults(), before + 6); // it begins and ends within a page
	assert_int_equal(at(3 * PAGE), 5);
}

static void test_fault_keeps_errno(void **state)
{
	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	assert_int_equal(add(0, PAGE, 0), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	errno = EXDEV;
	assert_int_equal(at(0), 0);
	assert_int_equal(errno, EXDEV);
}

static void *touch(void *arg)
{
	unsigned before = gmem_faults();

	*(volatile uint8_t *)arg = 1;
	return (void *)(uintptr_t)(gmem_faults() - before);
}

/* A fault is its own thread's. */
static void test_fault_in_another_thread(void **state)
{
	unsigned before = gmem_faults();
	pthread_t thread;
	void *faults;

	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	assert_int_equal(add(0, PAGE, 0), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, touch, mem->regions[0].host), 0);
	pthread_join(thread, &faults);
	assert_int_equal((uintptr_t)faults, 1);
	assert_int_equal(gmem_faults(), before);
}

/* A child runs this: it must be killed by SIGBUS. */
static int die_by_sigbus(uint8_t *at_fault)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		*(volatile uint8_t *)at_fault = 1;
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* What is not guest memory, or no longer, is not caught: that is a mistake of our own. */
static void test_fault_elsewhere(void **state)
{
	uint8_t *other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	assert_int_equal(add(0, PAGE, 0), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(die_by_sigbus(other), SIGBUS);
	assert_int_equal(die_by_sigbus(mem->regions[0].host), 0);
	munmap(other, PAGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty),
		TEST(address_zero),
		TEST(last_address),
		TEST(sorted),
		TEST(bad_regions),
		TEST(overlap),
		TEST(offset_off_the_page),
		TEST(bad_files),
		TEST(huge_region),
		TEST(most_regions),
		TEST(two_full_maps),
		TEST(remove),
		TEST(old_maps_stay),
		TEST(at_cuts),
		TEST(hint),
		TEST(iov),
		TEST(read),
		TEST(ring),
		TEST(fault),
		TEST(fault_keeps_errno),
		TEST(fault_in_another_thread),
		TEST(fault_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
