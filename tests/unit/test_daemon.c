/* SPDX-License-Identifier: MIT */
/* A daemon's life within this process: it ends by signals, by its front-end, or does not begin. */
#define _GNU_SOURCE
#include "unit.h"
#include "common/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop *loop;
static struct options o;
static char dir[64], path[128];
static unsigned fds_before;
static sigset_t mask_before;
static struct rlimit limit_before;

static void on_request(void *dev, unsigned queue, struct vq_req *req)
{
	(void)dev;
	(void)queue;
	vhu_finish(req, NULL, 0);
}

static void on_reset(void *dev)
{
	(void)dev;
}

static const struct vhu_device device = {
	.name = "test", .n_queues = 1, .iov_per_req = 2, .request = on_request, .reset = on_reset};

static int setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	sigprocmask(SIG_BLOCK, NULL, &mask_before);
	getrlimit(RLIMIT_NOFILE, &limit_before);
	snprintf(dir, sizeof(dir), "/tmp/virga-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	o = (struct options){.program = "virga-test", .fd = -1};
	loop = daemon_loop();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
	setrlimit(RLIMIT_NOFILE, &limit_before);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

/* Serves, with what is said on stderr in `said`. */
static char said[1024];

static int serve(void)
{
	int saved = dup(STDERR_FILENO), p[2], r;
	ssize_t n;

	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	fflush(stderr);
	dup2(p[1], STDERR_FILENO);
	r = daemon_serve(loop, &o, &device, NULL);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	n = read(p[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = 0;
	close(saved);
	close(p[0]);
	close(p[1]);
	return r;
}

static void test_ends_by_signal(void **state)
{
	const int signals[] = {SIGTERM, SIGINT};
	sigset_t pending;
	struct stat st;

	(void)state;
	o.socket_path = path;
	for (unsigned i = 0; i < 2; i++) {
		loop_destroy(loop);
		loop = daemon_loop();
		raise(signals[i]); // waits until it is looked for
		assert_int_equal(serve(), EXIT_OK);
		assert_int_equal(stat(path, &st), -1);
		assert_string_equal(said, "");
		sigemptyset(&pending);
		sigaddset(&pending, signals[i]);
		assert_int_equal(sigwaitinfo(&pending, NULL), signals[i]); // not read, only seen
	}
}

static void test_front_end_leaves(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[0]);
	o.fd = pair[1];
	assert_int_equal(serve(), EXIT_OK);
}

/* A peer that is gone while we write to it is no reason to die. */
static void test_sigpipe(void **state)
{
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	close(p[0]);
	assert_int_equal(write(p[1], "x", 1), -1);
	close(p[1]);
}

/*
 * One that is locked in ends in the same way, and its socket is gone. As the sandbox stays, it is
 * another process, which leaves without AddressSanitizer's search for leaks: that is denied to it.
 */
static void test_locked_in(void **state)
{
	static const struct sandbox_profile nothing;
	const enum sandbox_mode modes[] = {SANDBOX_AUTO, SANDBOX_KILL, SANDBOX_LOG, SANDBOX_NONE};
	int status;
	pid_t pid;

	(void)state;
	o.socket_path = path;
	o.sandbox = &nothing;
	for (unsigned i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		o.seccomp = modes[i];
		pid = fork();
		if (pid == 0) {
			raise(SIGTERM);
			_exit(daemon_serve(loop, &o, &device, NULL));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void assert_does_not_begin(const char *words)
{
	assert_int_equal(serve(), EXIT_RUNTIME);
	assert_ptr_equal(strstr(said, "virga-test: "), said);
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	if (!strstr(said, words))
		fail_msg("'%s' does not say '%s'", said, words);
}

static void test_does_not_begin(void **state)
{
	char elsewhere[160];

	(void)state;
	o.fd = open("/dev/null", O_RDWR);
	assert_does_not_begin("must be an open stream socket");
	o.socket_path = elsewhere;
	snprintf(elsewhere, sizeof(elsewhere), "%s/missing/sock", dir);
	assert_does_not_begin("its folder does not exist");
	o.socket_path = path;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_does_not_begin("a file that is no socket is there");
	o.socket_path = "/proc/sock";
	assert_int_equal(serve(), EXIT_RUNTIME);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ends_by_signal),
		TEST(front_end_leaves),
		TEST(sigpipe),
		TEST(locked_in),
		TEST(does_not_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
