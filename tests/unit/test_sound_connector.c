/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "sound/connector.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/fd.h"

#define NAME "virga-test-0"

static char folder[] = "/tmp/virga-connector.XXXXXX";
static struct loop *loop;
static struct connector c;
static int listener = -1, answer;
static unsigned answers, fds;

static void on_answer(struct connector *from, int sock)
{
	assert_ptr_equal(from, &c);
	answer = sock;
	answers++;
}

static void path_of(const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", folder, name);
}

static void listen_at(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	path_of(name, at.sun_path, sizeof(at.sun_path));
	unlink(at.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 4), 0);
}

static int begin(void **state)
{
	(void)state;
	setenv("XDG_RUNTIME_DIR", folder, 1);
	unsetenv("PIPEWIRE_RUNTIME_DIR");
	unsetenv("PIPEWIRE_REMOTE");
	fds = count_fds();
	loop = loop_create();
	c.answer = on_answer;
	answers = 0;
	return loop ? 0 : -1;
}

static int finish(void **state)
{
	pid_t child = c.child;
	char path[64];

	(void)state;
	connector_finish(&c);
	assert_true(child <= 0 || (kill(child, 0) < 0 && errno == ESRCH)); // no zombie either
	loop_destroy(loop);
	fd_close(&listener);
	path_of(NAME, path, sizeof(path));
	unlink(path);
	path_of("other", path, sizeof(path));
	unlink(path);
	assert_int_equal(count_fds(), fds);
	return 0;
}

/* The child has the environment of now. */
static void start(const char *name)
{
	assert_int_equal(connector_init(&c, loop), 0);
	connector_set_name(&c, name);
}

static int ask(void)
{
	unsigned before = answers;

	connector_ask(&c);
	while (answers == before)
		assert_int_equal(loop_turn(loop, 10000), 0);
	return answer;
}

/* The answer is a connection to the listener. */
static void assert_connected(int sock)
{
	int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char byte = 0;

	assert_true(sock >= 0 && peer >= 0);
	assert_int_equal(write(peer, "x", 1), 1);
	assert_int_equal(recv(sock, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	assert_true(accept4(listener, NULL, NULL, 0) < 0); // one, not more
	close(peer);
	close(sock);
}

static void test_absent_then_there(void **state)
{
	(void)state;
	start(NAME);
	assert_int_equal(ask(), -ENOENT);
	listen_at(NAME);
	assert_connected(ask());
	fd_close(&listener);
	assert_int_equal(ask(), -ECONNREFUSED);
	listen_at(NAME);
	assert_connected(ask());
}

static void test_runtime_dir(void **state)
{
	(void)state;
	setenv("PIPEWIRE_RUNTIME_DIR", folder, 1);
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	listen_at(NAME);
	start(NAME);
	assert_connected(ask());
}

static void test_remote(void **state)
{
	(void)state;
	setenv("PIPEWIRE_REMOTE", "other", 1);
	listen_at("other");
	start(NAME);
	assert_connected(ask());
}

static void test_remote_path(void **state)
{
	char path[64];

	(void)state;
	path_of("other", path, sizeof(path));
	setenv("PIPEWIRE_REMOTE", path, 1);
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	listen_at("other");
	start(NAME);
	assert_connected(ask());
}

static void test_too_long(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	start(name);
	assert_int_equal(ask(), -ENAMETOOLONG);
}

static void test_one_at_a_time(void **state)
{
	(void)state;
	listen_at(NAME);
	start(NAME);
	connector_ask(&c);
	connector_ask(&c);
	assert_connected(ask());
}

static unsigned status_of(pid_t pid, const char *key)
{
	char path[32], line[128];
	unsigned value = ~0u;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = (unsigned)atoi(line + strlen(key));
	fclose(f);
	return value;
}

static void test_child_is_bare(void **state)
{
	char path[32];
	struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	(void)state;
	start(NAME);
	assert_int_equal(ask(), -ENOENT);
	assert_int_equal(status_of(c.child, "NoNewPrivs:"), 1);
	snprintf(path, sizeof(path), "/proc/%d/fd", c.child);
	dir = opendir(path);
	if (!dir) // not dumpable: only root may look
		return;
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	assert_int_equal(n, 1);
}

static void test_child_killed(void **state)
{
	(void)state;
	start(NAME);
	assert_int_equal(ask(), -ENOENT);
	kill(c.child, SIGKILL);
	while (c.source.loop)
		assert_int_equal(loop_turn(loop, 10000), 0);
	connector_ask(&c); // nobody answers, nobody is hurt
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(answers, 1);
}

static void test_zeros(void **state)
{
	(void)state;
	connector_finish(&(struct connector){0});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_absent_then_there),
		TEST(test_runtime_dir),
		TEST(test_remote),
		TEST(test_remote_path),
		TEST(test_too_long),
		TEST(test_one_at_a_time),
		TEST(test_child_is_bare),
		TEST(test_child_killed),
		TEST(test_zeros),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
