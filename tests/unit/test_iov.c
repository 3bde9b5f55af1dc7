/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "common/iov.h"

static char mem[16];
static const struct iovec vec[] = {
	{&mem[0], 3}, {&mem[4], 0}, {&mem[4], 1}, {&mem[6], 5}, {&mem[12], 0}};
enum { N = sizeof(vec) / sizeof(*vec), SIZE = 9 };

static int setup(void **state)
{
	(void)state;
	memcpy(mem, "abc-d-efghi-----", sizeof(mem));
	return 0;
}

static void test_size(void **state)
{
	(void)state;
	assert_int_equal(iov_size(vec, N), SIZE);
	assert_int_equal(iov_size(vec, 0), 0);
	assert_int_equal(iov_size(NULL, 0), 0);
}

/* Each skip and length, against the same text in one piece. */
static void test_read(void **state)
{
	const char text[] = "abcdefghi";

	(void)state;
	for (size_t skip = 0; skip < SIZE + 3; skip++) {
		for (size_t len = 0; len < SIZE + 3; len++) {
			size_t there = skip < SIZE ? SIZE - skip : 0;
			size_t want = len < there ? len : there;
			char buf[SIZE + 4];

			memset(buf, '#', sizeof(buf));
			assert_int_equal(iov_read(vec, N, skip, buf, len), want);
			if (want)
				assert_memory_equal(buf, text + skip, want);
			assert_int_equal(buf[want], '#');
		}
	}
	assert_int_equal(iov_read(NULL, 0, 0, mem, 5), 0);
}

static void test_write(void **state)
{
	(void)state;
	assert_int_equal(iov_write(vec, N, 2, "1234", 4), 4);
	assert_memory_equal(mem, "ab1-2-34ghi-----", sizeof(mem));
	assert_int_equal(iov_write(vec, N, 7, "56789", 5), 2);
	assert_memory_equal(mem, "ab1-2-34g56-----", sizeof(mem));
	assert_int_equal(iov_write(vec, N, SIZE, "x", 1), 0);
	assert_int_equal(iov_write(vec, N, SIZE + 1, "x", 1), 0);
	assert_int_equal(iov_write(vec, N, 0, "x", 0), 0);
	assert_memory_equal(mem, "ab1-2-34g56-----", sizeof(mem));
}

static void test_cursor(void **state)
{
	struct iov_cursor c = iov_cursor_at(vec, N, 1);
	char buf[4] = {0};

	(void)state;
	assert_int_equal(iov_cursor_read(&c, buf, 3), 3);
	assert_memory_equal(buf, "bcd", 3);
	assert_int_equal(iov_cursor_skip(&c, 2), 2);
	assert_int_equal(iov_cursor_read(&c, buf, 2), 2);
	assert_memory_equal(buf, "gh", 2);
	assert_int_equal(iov_cursor_skip(&c, 2), 1);
	assert_int_equal(iov_cursor_read(&c, buf, 1), 0);
	assert_int_equal(iov_cursor_skip(&c, 1), 0);
	c = iov_cursor_at(vec, N, 100);
	assert_int_equal(iov_cursor_read(&c, buf, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_size, setup),
		cmocka_unit_test_setup(test_read, setup),
		cmocka_unit_test_setup(test_write, setup),
		cmocka_unit_test_setup(test_cursor, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
