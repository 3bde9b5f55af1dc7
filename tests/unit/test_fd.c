/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static void test_close(void **state)
{
	unsigned before = count_fds();
	int fd = eventfd(0, 0), none = -1;

	(void)state;
	errno = EXDEV;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	fd_close(&fd);
	fd_close(&none);
	fd = 1000000; // is not open: errno is kept all the same
	fd_close(&fd);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(count_fds(), before);
}

static int make_and_take(bool take)
{
	_cleanup_fd_ int fd = eventfd(0, 0);

	return take ? fd_take(&fd) : -1;
}

static void test_take(void **state)
{
	unsigned before = count_fds();
	int fd;

	(void)state;
	make_and_take(false);
	assert_int_equal(count_fds(), before);
	fd = make_and_take(true);
	assert_int_equal(count_fds(), before + 1);
	close(fd);
}

static void test_nonblock(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_set_nonblock(p[0]), 0);
	assert_int_equal(fd_set_nonblock(p[0]), 0);
	assert_true(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	close(p[0]);
	close(p[1]);
	assert_int_equal(fd_set_nonblock(p[0]), -EBADF);
	assert_int_equal(fd_set_nonblock(-1), -EBADF);
}

/* A full eventfd, or one that is none at all, must not hold us up. */
static void test_signal(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	eventfd_t count = UINT64_MAX - 1;

	(void)state;
	fd_signal(fd);
	fd_signal(fd);
	assert_int_equal(eventfd_read(fd, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(eventfd_write(fd, UINT64_MAX - 1), 0);
	fd_signal(fd);
	close(fd);
	fd_signal(fd);
	fd_signal(-1);
}

static void test_count_open(void **state)
{
	unsigned before = fd_count_open();
	int pair[2], high;

	(void)state;
	assert_int_equal(
		before, count_fds() - 3); // which counts the folder that it reads, and its dots
	assert_int_equal(pipe(pair), 0);
	high = fcntl(pair[0], F_DUPFD, 900);
	assert_true(high >= 900);
	assert_int_equal(fd_count_open(), before + 3);
	close(high);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(fd_count_open(), before);
}

static void test_memfd(void **state)
{
	unsigned before = count_fds();
	int fd = fd_memfd("test", 12345);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 12345);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 20000), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(fd_memfd("test", UINT64_MAX), -EFBIG);
	assert_int_equal(count_fds(), before);
}

static void test_raise_limit(void **state)
{
	struct rlimit lim, now;
	unsigned n;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	n = fd_raise_limit();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	assert_true(now.rlim_cur >= lim.rlim_cur);
	assert_true(n >= 3 && n <= now.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &lim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_nonblock),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_count_open),
		cmocka_unit_test(test_memfd),
		cmocka_unit_test(test_raise_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
