/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/loop.h"
#include "common/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop *loop;
static char dir[64], path[128];
static unsigned fds_before, resets;

static void on_request(void *dev, unsigned queue, struct vq_req *req)
{
	(void)dev;
	(void)queue;
	vhu_finish(req, NULL, 0);
}

static void on_reset(void *dev)
{
	(void)dev;
	resets++;
}

static const struct vhu_device device = {
	.name = "test", .n_queues = 1, .iov_per_req = 2, .request = on_request, .reset = on_reset};

static int setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	resets = 0;
	snprintf(dir, sizeof(dir), "/tmp/virga-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	loop = loop_create();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	unlink(path);
	assert_int_equal(rmdir(dir), 0); // nothing else was left there
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

static void turns(void)
{
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(loop_turn(loop, 0), 0);
}

/* A listening socket at path, or (backlog -1) one that is only bound. */
static int listen_at_path(int backlog)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof(addr.sun_path));
	memcpy(addr.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* A connection to path, or -1. */
static int connect_to_path(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	turns();
	return fd;
}

/* Does the other end answer GET_FEATURES? */
static bool is_served(int fd)
{
	const struct vhost_user_header ask = {VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0};
	char answer[sizeof(ask) + 8];

	assert_int_equal(send(fd, &ask, sizeof(ask), MSG_NOSIGNAL), sizeof(ask));
	turns();
	return recv(fd, answer, sizeof(answer), MSG_DONTWAIT) == sizeof(answer);
}

static int serve_path(struct server **s)
{
	const struct server_config cfg = {.path = path, .fd = -1};

	return server_create(loop, &cfg, &device, NULL, s);
}

static int serve_fd(int fd, struct server **s)
{
	const struct server_config cfg = {.fd = fd};

	return server_create(loop, &cfg, &device, NULL, s);
}

static bool exists(void)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* ---- a path ---- */

static void test_path(void **state)
{
	struct server *s;
	int fd;

	(void)state;
	assert_int_equal(serve_path(&s), 0);
	for (unsigned i = 1; i < 4; i++) { // one after the other
		fd = connect_to_path();
		assert_true(fd >= 0);
		assert_true(is_served(fd));
		close(fd);
		turns();
		assert_int_equal(resets, i);
	}
	server_destroy(s);
	assert_false(exists());
	server_destroy(NULL);
}

/* The second waits until the first has left, and what it said is not lost. */
static void test_one_at_a_time(void **state)
{
	struct server *s;
	int first, second;

	(void)state;
	assert_int_equal(serve_path(&s), 0);
	first = connect_to_path();
	second = connect_to_path();
	assert_true(is_served(first));
	assert_false(is_served(second));
	close(first);
	turns();
	assert_true(is_served(second)); // two answers wait; one is enough
	close(second);
	turns();
	server_destroy(s);
}

static void test_bad_front_end(void **state)
{
	struct server *s;
	char c;
	int fd;

	(void)state;
	assert_int_equal(serve_path(&s), 0);
	fd = connect_to_path();
	assert_int_equal(send(fd, "this is no vhost-user", 21, 0), 21);
	turns();
	assert_true(recv(fd, &c, 1, MSG_DONTWAIT) <= 0);
	close(fd);
	fd = connect_to_path();
	assert_true(is_served(fd));
	server_destroy(s); // while it is connected
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
}

static void test_one_off(void **state)
{
	const struct server_config cfg = {.path = path, .fd = -1, .one_off = true};
	struct server *s;
	int fd;

	(void)state;
	assert_int_equal(server_create(loop, &cfg, &device, NULL, &s), 0);
	fd = connect_to_path();
	assert_true(is_served(fd));
	close(fd);
	assert_int_equal(loop_run(loop), 0);
	server_destroy(s);
	assert_false(exists());
}

static void test_stale_socket(void **state)
{
	struct server *s;
	int fd;

	(void)state;
	close(listen_at_path(1)); // its process is gone, the file is not
	assert_true(exists());
	assert_int_equal(serve_path(&s), 0);
	fd = connect_to_path();
	assert_true(is_served(fd));
	close(fd);
	server_destroy(s);
}

static void test_served_socket(void **state)
{
	int other = listen_at_path(4), fd;
	struct server *s;

	(void)state;
	assert_int_equal(serve_path(&s), -EADDRINUSE);
	fd = connect_to_path(); // the other is still there
	assert_true(fd >= 0);
	close(fd);
	close(other);
}

/* As busy as can be is served, too. */
static void test_served_socket_with_a_full_backlog(void **state)
{
	int other = listen_at_path(0), fds[64];
	struct server *s;
	unsigned n = 0;

	(void)state;
	while (n < 64 && (fds[n] = connect_to_path()) >= 0)
		n++;
	assert_true(n > 0 && n < 64);
	assert_int_equal(serve_path(&s), -EADDRINUSE);
	assert_true(exists());
	while (n)
		close(fds[--n]);
	close(other);
}

static void test_something_else_there(void **state)
{
	struct server *s;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(serve_path(&s), -EEXIST);
	assert_true(exists());
	unlink(path);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_int_equal(serve_path(&s), -EEXIST);
	assert_true(exists());
}

/* The name under which it begins to listen: what an earlier process left there is no obstacle. */
static void test_something_at_the_other_name(void **state)
{
	char other[sizeof(path) + 1], keep[sizeof(path)];
	struct server *s;
	int fd;

	(void)state;
	memcpy(keep, path, sizeof(path));
	snprintf(other, sizeof(other), "%s~", path);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(serve_path(&s), -EEXIST);
	assert_int_equal(unlink(other), 0); // is still there
	memcpy(path, other, sizeof(path));
	close(listen_at_path(1));
	memcpy(path, keep, sizeof(path));
	assert_int_equal(serve_path(&s), 0);
	fd = connect_to_path();
	assert_true(is_served(fd));
	close(fd);
	server_destroy(s);
}

static void test_bad_paths(void **state)
{
	char keep[sizeof(path)];
	struct server *s;

	(void)state;
	memcpy(keep, path, sizeof(path));
	snprintf(path, sizeof(path), "%s/missing/sock", dir);
	assert_int_equal(serve_path(&s), -ENOENT);
	memset(path, 'x', 108);
	memcpy(path, "/tmp/", 5);
	path[108] = 0;
	assert_int_equal(serve_path(&s), -ENAMETOOLONG);
	snprintf(path, sizeof(path), "%s/%0*d", dir, (int)(107 - strlen(dir) - 1), 0);
	assert_int_equal(strlen(path), 107);
	assert_int_equal(serve_path(&s), 0);
	server_destroy(s);
	assert_false(exists());
	memcpy(path, keep, sizeof(path));
}

/* ---- a descriptor ---- */

static void test_listening_fd(void **state)
{
	struct server *s;
	int fd;

	(void)state;
	assert_int_equal(serve_fd(listen_at_path(1), &s), 0);
	for (unsigned i = 0; i < 2; i++) {
		fd = connect_to_path();
		assert_true(is_served(fd));
		close(fd);
		turns();
	}
	server_destroy(s);
	assert_true(exists()); // the path is not ours to remove
}

static void test_connected_fd(void **state)
{
	struct server *s;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(serve_fd(pair[1], &s), 0);
	assert_true(is_served(pair[0]));
	close(pair[0]);
	assert_int_equal(loop_run(loop), 0);
	server_destroy(s);
}

/* What was given is closed, also when it is of no use. */
static void test_bad_fds(void **state)
{
	struct server *s;
	int fds[] = {open("/dev/null", O_RDWR), eventfd(0, 0),
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};

	(void)state;
	assert_int_equal(serve_fd(fds[0], &s), -ENOTSOCK);
	assert_int_equal(serve_fd(fds[1], &s), -ENOTSOCK);
	assert_int_equal(serve_fd(fds[2], &s), -ESOCKTNOSUPPORT);
	assert_int_equal(serve_fd(fds[3], &s), -ESOCKTNOSUPPORT);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	assert_int_equal(serve_fd(1000, &s), -EBADF);
	assert_true(serve_fd(-1, &s) < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(path),
		TEST(one_at_a_time),
		TEST(bad_front_end),
		TEST(one_off),
		TEST(stale_socket),
		TEST(served_socket),
		TEST(served_socket_with_a_full_backlog),
		TEST(something_else_there),
		TEST(something_at_the_other_name),
		TEST(bad_paths),
		TEST(listening_fd),
		TEST(connected_fd),
		TEST(bad_fds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
