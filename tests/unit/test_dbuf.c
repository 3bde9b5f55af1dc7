/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/dbuf.h"
#include "common/fd.h"
#include "common/gmem.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FOURCC = 0x34325258 };

static void test_budget(void **state)
{
	struct dbuf_budget b = {.max = 100};

	(void)state;
	assert_int_equal(dbuf_charge(&b, 60), 0);
	assert_int_equal(dbuf_charge(&b, 41), -ENOMEM);
	assert_int_equal(dbuf_charge(&b, UINT64_MAX), -ENOMEM);
	assert_int_equal(b.used, 60);
	assert_int_equal(dbuf_charge(&b, 40), 0);
	dbuf_uncharge(&b, 60);
	assert_int_equal(b.used, 40);
}

static void test_create(void **state)
{
	struct dbuf_budget b = {.max = 1 << 20};
	unsigned before = count_fds();
	struct dbuf *buf = NULL;

	(void)state;
	assert_int_equal(dbuf_create(&b, 100, 50, FOURCC, &buf), 0);
	assert_int_equal(buf->stride, 400);
	assert_int_equal(buf->fourcc, FOURCC);
	assert_true(buf->size >= 20000 && buf->size % 4096 == 0);
	assert_int_equal(b.used, buf->size);
	assert_int_equal(lseek(buf->fd, 0, SEEK_END), buf->size);
	for (uint64_t i = 0; i < buf->size; i++)
		assert_int_equal(buf->map[i], 0);
	memset(buf->map, 0xff, buf->size);
	assert_ptr_equal(dbuf_ref(buf), buf);
	dbuf_unref(buf);
	assert_int_equal(buf->width, 100); // still here
	dbuf_unref(buf);
	dbuf_unref(NULL);
	assert_int_equal(b.used, 0);
	assert_int_equal(count_fds(), before);
}

static void test_limits(void **state)
{
	const uint32_t bad[][2] = {
		{0, 1}, {1, 0}, {0, 0}, {16385, 1}, {1, 16385}, {UINT32_MAX, UINT32_MAX}};
	struct dbuf_budget b = {.max = UINT64_MAX};
	struct dbuf *buf = NULL;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(dbuf_create(&b, bad[i][0], bad[i][1], FOURCC, &buf), -EINVAL);
	assert_int_equal(dbuf_create(&b, 16384, 16384, FOURCC, &buf), 0);
	assert_int_equal(buf->size, 1ull << 30);
	dbuf_unref(buf);
	buf = NULL;
	b.max = 4096;
	assert_int_equal(dbuf_create(&b, 32, 32, FOURCC, &buf), 0);
	assert_int_equal(dbuf_create(&b, 1, 1, FOURCC, &buf), -ENOMEM);
	assert_int_equal(b.used, 4096);
	dbuf_unref(buf);
}

enum { PAGE = 4096, PAGES = 4 };

static uint8_t *memory;
static int memory_fd;

static void make_memory(void)
{
	memory_fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memory_fd, PAGES * PAGE), 0);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	for (unsigned i = 0; i < PAGES; i++)
		memset(memory + i * PAGE, (int)i, PAGE);
}

static void drop_memory(void)
{
	munmap(memory, PAGES * PAGE);
	close(memory_fd);
}

/* Pages in any order, the last one not whole: one picture, in which the guest's writing is seen. */
static void test_view(void **state)
{
	struct dbuf_budget b = {.max = 100};
	const struct dbuf_layout l = {100, 20, 404, FOURCC, 300};
	const struct iovec iov[] = {{memory + 2 * PAGE, PAGE}, {memory, PAGE},
		{memory + 3 * PAGE, 20 * 404 + 300 - 2 * PAGE}};
	struct dbuf *buf;

	(void)state;
	assert_int_equal(dbuf_view_pages(&b, &l, iov, 3, &buf), 0);
	assert_int_equal(buf->stride, 404);
	assert_int_equal(buf->fd, -1);
	assert_int_equal(b.used, 0);
	assert_int_equal(b.pieces, 3);
	assert_int_equal(buf->map[0], 2);
	assert_int_equal(buf->map[PAGE - 301], 2);
	assert_int_equal(buf->map[PAGE - 300], 0);
	assert_int_equal(buf->map[19 * 404 + 399], 3);
	memory[0] = 77;
	assert_int_equal(buf->map[PAGE - 300], 77);
	/* It is guest memory for a fault, too. */
	gmem_catch_faults();
	assert_int_equal(ftruncate(memory_fd, 0), 0);
	assert_int_equal(buf->map[0], 0);
	assert_int_not_equal(gmem_faults(), 0);
	dbuf_unref(buf);
	assert_int_equal(b.pieces, 0);
}

static void test_no_view(void **state)
{
	struct dbuf_budget b = {.max = 100};
	struct dbuf_layout l = {10, 10, 40, FOURCC, 0};
	const struct iovec skewed[] = {{memory + 1, PAGE}},
			   cut[] = {{memory, 80}, {memory + PAGE, PAGE}},
			   whole[] = {{memory, PAGE}};
	static struct iovec many[16385];
	struct dbuf *buf;

	(void)state;
	assert_int_equal(dbuf_view_pages(&b, &l, skewed, 1, &buf), -EINVAL);
	assert_int_equal(dbuf_view_pages(&b, &l, cut, 2, &buf), -EINVAL);
	for (unsigned i = 0; i < 16385; i++)
		many[i] = (struct iovec){memory + i % PAGES * PAGE, PAGE};
	assert_int_equal(dbuf_view_pages(&b, &l, many, 16385, &buf), -ENOMEM);
	assert_int_equal(b.pieces, 0);
	l.offset = PAGE - 399; // one byte too many
	assert_int_equal(dbuf_view_pages(&b, &l, whole, 1, &buf), -EINVAL);
	l.offset = PAGE - 400;
	assert_int_equal(dbuf_view_pages(&b, &l, whole, 1, &buf), 0);
	dbuf_unref(buf);
}

static void test_view_of_file(void **state)
{
	struct dbuf_budget b = {.max = 100};
	const struct dbuf_layout l = {10, 10, 40, FOURCC, PAGE};
	struct dbuf *buf;

	(void)state;
	assert_int_equal(dbuf_view_file(&b, &l, memory_fd, &buf), 0);
	assert_int_equal(buf->map[0], 1);
	memory[PAGE] = 9;
	assert_int_equal(buf->map[0], 9);
	dbuf_unref(buf);
	assert_int_equal(dbuf_view_file(&b, &l, -1, &buf), -EBADF);
}

static void test_layouts(void **state)
{
	static const struct {
		struct dbuf_layout l;
		uint64_t end;
	} rows[] = {
		{{1, 1, 4, FOURCC, 0}, 4},
		{{10, 3, 40, FOURCC, 8}, 128},
		{{10, 3, 100, FOURCC, 8}, 248},
		{{10, 3, 39, FOURCC, 0}, 0},
		{{0, 3, 40, FOURCC, 0}, 0},
		{{10, 0, 40, FOURCC, 0}, 0},
		{{16385, 1, 65540, FOURCC, 0}, 0},
		{{1, 16385, 4, FOURCC, 0}, 0},
		{{16384, 16384, UINT32_MAX, FOURCC, 0}, 16383ull * UINT32_MAX + 65536},
		{{1, 1, 4, FOURCC, UINT64_MAX - 3}, 0},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(dbuf_layout_end(&rows[i].l), rows[i].end);
}

static int setup(void **state)
{
	(void)state;
	make_memory();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	drop_memory();
	return 0;
}

#define WITH_MEMORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_import(void **state)
{
	enum { SIZE = 64 * 4 * 31 + 50 * 4 };
	const struct dbuf good = {
		.width = 50, .height = 32, .stride = 64 * 4, .fourcc = FOURCC, .flipped = true};
	const struct bad {
		uint32_t width, height, stride;
	} bad[] = {{0, 32, 256}, {50, 0, 256}, {50, 32, 0}, {50, 32, 199}, {51, 32, 256},
		{50, 33, 256}, {50, 32, 257}, {50, 32, UINT32_MAX}, {16385, 1, UINT32_MAX},
		{1, 16385, 4}};
	unsigned before = count_fds();
	int fd = fd_memfd("test", SIZE), pair[2];
	struct dbuf *buf = NULL, like;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		like = good;
		like.width = bad[i].width;
		like.height = bad[i].height;
		like.stride = bad[i].stride;
		assert_int_equal(dbuf_import(&like, fd, &buf), -EINVAL);
	}
	assert_int_equal(dbuf_import(&good, -1, &buf), -EBADF);
	assert_int_equal(pipe(pair), 0);
	assert_int_equal(dbuf_import(&good, pair[0], &buf), -ESPIPE);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(dbuf_import(&good, fd, &buf), 0);
	assert_true(buf->fd == fd && buf->width == 50 && buf->height == 32 && buf->stride == 256
		&& buf->fourcc == FOURCC && !buf->modifier && buf->flipped && !buf->map);
	dbuf_unref(buf);
	assert_int_equal(count_fds(), before);
	like = good;
	like.modifier = 1; // tiles: who knows how many
	like.stride = 1;
	assert_int_equal(dbuf_import(&like, fd_memfd("test", 1), &buf), 0);
	dbuf_unref(buf);
	assert_int_equal(count_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_import),
		WITH_MEMORY(test_view),
		WITH_MEMORY(test_no_view),
		WITH_MEMORY(test_view_of_file),
		cmocka_unit_test(test_layouts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
