/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "common/dbuf.h"

#include <errno.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
