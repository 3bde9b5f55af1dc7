/* SPDX-License-Identifier: MIT */
/* What a daemon does from inside the sandbox, the folders that are left to it, and its end. */
#define _GNU_SOURCE
#include "cage.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 30000, MEMORY = 1 << 20 };

/* ---- what a daemon does ---- */

static void *add_one(void *arg)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
	prctl(PR_SET_NAME, "worker");
	return NULL;
}

static void *wait_for_cancel(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *exit_with(void *arg)
{
	pthread_exit(arg);
}

/* Both want a library that is loaded when it is needed first. */
static int end_threads(void)
{
	pthread_t thread;
	void *value = NULL;

	if (pthread_create(&thread, NULL, wait_for_cancel, NULL) || pthread_cancel(thread)
		|| pthread_join(thread, &value) || value != PTHREAD_CANCELED)
		return EINVAL;
	if (pthread_create(&thread, NULL, exit_with, &cage) || pthread_join(thread, &value))
		return EINVAL;
	return value == &cage ? 0 : EINVAL;
}

static int use_threads(void)
{
	pthread_t threads[4];
	int count = 0;

	for (unsigned i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, add_one, &count))
			return EAGAIN;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return count == 4 ? 0 : EINVAL;
}

static int use_scheduler(void)
{
	const struct sched_param param = {0};

	if (sched_get_priority_max(SCHED_FIFO) < 0 || sched_setscheduler(0, SCHED_OTHER, &param) < 0
		|| sched_getscheduler(0) < 0)
		return errno;
	return cage_result(setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)));
}

/* A message of one byte with room for a descriptor. */
struct message {
	char byte;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov;
	struct msghdr msg;
};

static struct msghdr *message_init(struct message *m)
{
	*m = (struct message){.byte = 'x'};
	m->iov = (struct iovec){&m->byte, 1};
	m->msg = (struct msghdr){.msg_iov = &m->iov,
		.msg_iovlen = 1,
		.msg_control = m->control,
		.msg_controllen = sizeof(m->control)};
	return &m->msg;
}

static int pass(const int *pair, int fd)
{
	struct message m;
	struct cmsghdr *c = CMSG_FIRSTHDR(message_init(&m));

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(pair[0], &m.msg, MSG_NOSIGNAL) != 1
		|| recvmsg(pair[1], message_init(&m), MSG_CMSG_CLOEXEC) != 1
		|| !CMSG_FIRSTHDR(&m.msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m.msg)), sizeof(fd));
	return fd;
}

static int use_received_memory(void)
{
	int memory = fd_memfd("guest", MEMORY), pair[2];
	struct stat st;
	char *map;

	if (memory < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	memory = pass(pair, memory);
	if (fstat(memory, &st) < 0 || st.st_size != MEMORY)
		return EBADF;
	map = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (map == MAP_FAILED)
		return errno;
	map[4096] = 'y';
	if (madvise(map, MEMORY, MADV_DONTDUMP) < 0 || mprotect(map, MEMORY, PROT_READ) < 0)
		return errno;
	return cage_result(munmap(map, MEMORY));
}

static int use_memory(void)
{
	char *p = malloc(MEMORY), *q;

	memset(p, 1, MEMORY);
	q = realloc(p, 16 * MEMORY);
	if (!q || q[1] != 1)
		return ENOMEM;
	free(q);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mremap(p, 4096, 8192, MREMAP_MAYMOVE) == MAP_FAILED ? errno : 0;
}

/* An eventfd, a timer and a signal are seen by epoll, each once. */
static int use_events(void)
{
	const struct itimerspec soon = {.it_value = {.tv_nsec = 1}};
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT};
	int loop = epoll_create1(EPOLL_CLOEXEC), fds[3];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fds[0] = eventfd(0, EFD_NONBLOCK);
	fds[1] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	fds[2] = signalfd(-1, &set, SFD_CLOEXEC);
	for (unsigned i = 0; i < 3; i++)
		if (epoll_ctl(loop, EPOLL_CTL_ADD, fds[i], &ev) < 0)
			return errno;
	fd_signal(fds[0]);
	timerfd_settime(fds[1], 0, &soon, NULL);
	raise(SIGTERM);
	for (unsigned i = 0; i < 3; i++)
		if (epoll_wait(loop, &ev, 1, WAIT_MS) != 1)
			return ETIME;
	return -fd_set_nonblock(fds[2]);
}

/* A listener with one who waits. */
static int listener_before(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", cage.dir);
	unlink(addr.sun_path);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 4) < 0
		|| connect(client, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return fd;
}

static int accept_client(void)
{
	int fd = accept4(cage.early, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? errno : cage_result(shutdown(fd, SHUT_RDWR));
}

static int file_before(void)
{
	return open(cage_path(cage.dir, "file"), O_CREAT | O_RDWR, 0600);
}

static int write_file(void)
{
	struct iovec iov = {(char *)"data", 4};

	if (pwrite(cage.early, "RIFF", 4, 0) != 4 || lseek(cage.early, 44, SEEK_SET) != 44
		|| writev(cage.early, &iov, 1) != 4)
		return errno;
	return cage_result(fsync(cage.early));
}

static int use_stdio(void)
{
	FILE *f = fdopen(cage.early, "w");

	if (!f || fprintf(f, "%s %ld", "words", 5L) < 0)
		return EIO;
	return cage_result(fclose(f));
}

/* What looks for files and does without. */
static int use_libc(void)
{
	const struct timespec t = {.tv_nsec = 1000};
	struct rusage usage;
	struct rlimit lim;

	nanosleep(&t, NULL);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	sched_yield();
	tzset();
	if (sysconf(_SC_NPROCESSORS_ONLN) < 1 || getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return errno;
	return cage_result(getrusage(RUSAGE_SELF, &usage));
}

static int end_by_abort(void)
{
	abort();
}

static void test_works(void **state)
{
	static const struct cage_attempt works[] = {
		{"threads", NULL, use_threads},
		{"threads that end early", NULL, end_threads},
		{"scheduling", NULL, use_scheduler},
		{"received memory", NULL, use_received_memory},
		{"memory", NULL, use_memory},
		{"events", NULL, use_events},
		{"accept4", listener_before, accept_client},
		{"an open file", file_before, write_file},
		{"stdio", file_before, use_stdio},
		{"libc", NULL, use_libc},
	};
	const struct cage_attempt aborts = {"abort", NULL, end_by_abort};

	(void)state;
	CAGE_SKIP;
	for (int mode = SANDBOX_AUTO; mode <= SANDBOX_NONE; mode++) {
		for (unsigned i = 0; i < sizeof(works) / sizeof(*works); i++)
			cage_assert((enum sandbox_mode)mode, &works[i], 0);
		cage_assert((enum sandbox_mode)mode, &aborts, SIGNALLED + SIGABRT);
	}
}

/* ---- folders that are left open ---- */

static int old_before(void)
{
	int fd = open(cage_path(cage.other, "old"), O_CREAT | O_WRONLY, 0600);

	return write(fd, "x", 1) == 1 ? fd : -1;
}

static int read_old(void)
{
	char byte;
	int fd = open(cage_path(cage.other, "old"), O_RDONLY);

	return fd < 0 ? errno : read(fd, &byte, 1) != 1;
}

static int write_picture(void)
{
	int dir = cage.early, fd = openat(dir, "part", O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd < 0 || write(fd, "x", 1) != 1 || renameat(dir, "part", dir, "whole") < 0)
		return errno;
	return cage_result(unlinkat(dir, "whole", 0));
}

static int dir_before(void)
{
	return open(cage.dir, O_RDONLY | O_DIRECTORY);
}

static int truncate_old(void)
{
	return cage_result(open(cage_path(cage.other, "old"), O_WRONLY | O_TRUNC));
}

static int remove_old(void)
{
	return cage_result(unlink(cage_path(cage.other, "old")));
}

static int link_out(void) // out of the folder
{
	char from[128];

	snprintf(from, sizeof(from), "%s", cage_path(cage.dir, "file"));
	return cage_result(rename(from, cage_path(cage.other, "file")));
}

static int read_written(void)
{
	return cage_result(open(cage_path(cage.dir, "file"), O_RDONLY));
}

static int make_dir(void)
{
	return cage_result(mkdir(cage_path(cage.dir, "dir"), 0700));
}

static int open_passwd(void)
{
	return cage_result(open("/etc/passwd", O_RDONLY));
}

static int connect_out(void)
{
	return cage_result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void test_folders(void **state)
{
	static const struct cage_attempt attempts[] = {
		{"reading", old_before, read_old, 0},
		{"writing", dir_before, write_picture, 0},
		{"truncating what is to be read", old_before, truncate_old, EACCES},
		{"removing what is to be read", old_before, remove_old, EACCES},
		{"a rename elsewhere", file_before, link_out, EACCES},
		{"reading what was written", file_before, read_written, 0},
		{"a new folder", NULL, make_dir, EACCES},
		{"reading elsewhere", NULL, open_passwd, EACCES},
		{"socket", NULL, connect_out, EACCES},
	};

	(void)state;
	CAGE_SKIP;
	if (!has_landlock())
		skip();
	cage.profile.paths[0] = (struct sandbox_path){cage.dir, true};
	cage.profile.paths[1] = (struct sandbox_path){"/missing", true}; // said, and no more
	cage.profile.paths[2] = (struct sandbox_path){cage.other, false};
	for (unsigned i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
		cage_assert(SANDBOX_KILL, &attempts[i], attempts[i].error);
		cage_assert(SANDBOX_TRAP, &attempts[i], attempts[i].error);
	}
}

/* ---- the remover ---- */

static struct sandbox_remover remover;

static void make_file(const char *name)
{
	int fd = open(cage_path(cage.dir, name), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool exists(const char *name)
{
	struct stat st;

	return lstat(cage_path(cage.dir, name), &st) == 0;
}

static void test_removes_at_the_end(void **state)
{
	unsigned fds = count_fds();

	(void)state;
	make_file("sock");
	assert_int_equal(sandbox_remover_start(&remover, cage_path(cage.dir, "sock")), 0);
	assert_true(exists("sock"));
	sandbox_remover_finish(&remover);
	assert_false(exists("sock"));
	assert_int_equal(count_fds(), fds);
	remover = (struct sandbox_remover)SANDBOX_REMOVER_NONE;
	sandbox_remover_finish(&remover);
	assert_int_equal(sandbox_remover_start(&remover, cage_path(cage.dir, "sock")), -ENOENT);
	assert_int_equal(count_fds(), fds);
}

static void test_removes_when_killed(void **state)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	int said[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	make_file("sock");
	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		sandbox_remover_start(&remover, cage_path(cage.dir, "sock"));
		if (sandbox_enter(SANDBOX_KILL, &cage.profile) == 0)
			write(said[1], "x", 1) == 1 ? pause() : 0;
		_exit(1);
	}
	close(said[1]);
	assert_int_equal(read(said[0], &byte, 1), 1);
	assert_true(exists("sock"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(cage_wait(pid), SIGNALLED + SIGKILL);
	for (unsigned i = 0; i < WAIT_MS && exists("sock"); i++)
		nanosleep(&moment, NULL);
	assert_false(exists("sock"));
	assert_int_equal(read(said[0], &byte, 1), 0); // it has kept nothing of ours open
	close(said[0]);
}

/* Another daemon serves there now. */
static void test_leaves_another_file(void **state)
{
	char from[128];

	(void)state;
	make_file("sock");
	make_file("sock~");
	assert_int_equal(sandbox_remover_start(&remover, cage_path(cage.dir, "sock")), 0);
	snprintf(from, sizeof(from), "%s", cage_path(cage.dir, "sock~"));
	assert_int_equal(rename(from, cage_path(cage.dir, "sock")), 0);
	sandbox_remover_finish(&remover);
	assert_true(exists("sock"));
}

/* It has got the number of the one before. */
static void test_leaves_a_later_file(void **state)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000}};

	(void)state;
	make_file("sock");
	assert_int_equal(sandbox_remover_start(&remover, cage_path(cage.dir, "sock")), 0);
	assert_int_equal(utimensat(AT_FDCWD, cage_path(cage.dir, "sock"), times, 0), 0);
	sandbox_remover_finish(&remover);
	assert_true(exists("sock"));
}

/* ---- another program ---- */

/* The number of what went otherwise than it should; 0: none did. */
static int become_and_try(void)
{
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
	int fd, pair[2], status;
	pid_t child;

	if (sandbox_become(SANDBOX_KILL) < 0)
		return REFUSED;
	fd = open("/proc/self/exe", O_RDONLY);
	if (fd < 0)
		return 1;
	if (open("/dev/null", O_RDWR) < 0)
		return 2;
	if (has_landlock() && open(cage_path(cage.dir, "written"), O_CREAT | O_WRONLY, 0600) >= 0)
		return 3;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return 4;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)&nowhere, sizeof(nowhere)) == 0 || errno != EACCES)
		return 5;
	if (ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 || errno != EACCES)
		return 6;
	child = fork();
	if (child == 0)
		execl("/bin/true", "true", NULL);
	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		return 7;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 8;
}

static void test_becomes_another(void **state)
{
	int pid = fork(), r;

	(void)state;
	if (pid == 0)
		_exit(become_and_try() & 0xff);
	r = cage_wait(pid);
	if (r == (REFUSED & 0xff))
		skip();
	assert_int_equal(r, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, cage_setup, cage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAGE_TEST(works),
		CAGE_TEST(folders),
		TEST(becomes_another),
		TEST(removes_at_the_end),
		TEST(removes_when_killed),
		TEST(leaves_another_file),
		TEST(leaves_a_later_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
