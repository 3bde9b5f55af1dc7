/* SPDX-License-Identifier: MIT */
/* What cannot be done from inside the sandbox, by a daemon that a guest has taken over. */
#define _GNU_SOURCE
#include "cage.h"

#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- files ---- */

static int open_passwd(void)
{
	return cage_result(open("/etc/passwd", O_RDONLY));
}

static int open_beside(void)
{
	return cage_result(openat(cage.early, "passwd", O_RDONLY));
}

static int open_beside_before(void)
{
	return open("/etc", O_PATH | O_DIRECTORY);
}

static int open_by_struct(void)
{
	uint64_t how[3] = {O_RDONLY};

	return cage_result(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof(how)));
}

static int create_file(void)
{
	return cage_result(open(cage_path(cage.dir, "new"), O_CREAT | O_WRONLY, 0600));
}

static int remove_file(void)
{
	return cage_result(unlink(cage_path(cage.dir, "old")));
}

static int remove_file_before(void)
{
	return open(cage_path(cage.dir, "old"), O_CREAT | O_WRONLY, 0600);
}

static int stat_passwd(void)
{
	struct stat st;

	return cage_result(stat("/etc/passwd", &st));
}

static int read_link(void)
{
	char buf[64];

	return cage_result(readlink("/proc/self/exe", buf, sizeof(buf)));
}

/* ---- sockets, and what else carries signals and words ---- */

static int make_socket(void)
{
	return cage_result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static struct sockaddr_un address(const char *name)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", cage.dir, name);
	return addr;
}

/* Another's socket, and one of ours that is not connected yet. */
static int connect_before(void)
{
	const struct sockaddr_un addr = address("service");
	int listener = unix_socket();

	unlink(addr.sun_path);
	if (bind(listener, (const struct sockaddr *)&addr, sizeof(addr)) < 0
		|| listen(listener, 4) < 0)
		return -1;
	return unix_socket();
}

static int connect_to_it(void)
{
	const struct sockaddr_un addr = address("service");

	return cage_result(connect(cage.early, (const struct sockaddr *)&addr, sizeof(addr)));
}

static int bind_it(void)
{
	const struct sockaddr_un addr = address("bound");

	return cage_result(bind(cage.early, (const struct sockaddr *)&addr, sizeof(addr)));
}

static int bind_before(void)
{
	unlink(cage_path(cage.dir, "bound"));
	return unix_socket();
}

static int make_datagrams(void)
{
	int pair[2];

	return cage_result(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
}

static int pipe_before(void)
{
	int p[2];

	return pipe(p) < 0 ? -1 : p[0];
}

static int own_it(void) // whoever owns it gets the signal that F_SETSIG says
{
	return cage_result(fcntl(cage.early, F_SETOWN, getppid()));
}

static int signal_parent(void)
{
	return cage_result(kill(getppid(), 0));
}

static int signal_parents_thread(void)
{
	return cage_result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

/* ---- processes ---- */

static int execute(void)
{
	char *args[] = {(char *)"true", NULL};

	execv("/bin/true", args);
	return errno;
}

static int true_before(void)
{
	return open("/bin/true", O_PATH | O_CLOEXEC);
}

static int execute_it(void)
{
	char *args[] = {(char *)"true", NULL};

	syscall(SYS_execveat, cage.early, "", args, args + 1, AT_EMPTY_PATH);
	return errno;
}

static int start_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return cage_result(pid);
}

static int be_traced(void)
{
	return cage_result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int read_process(void)
{
	char from = 'x', to;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	return cage_result(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

static int limit_parent(void)
{
	struct rlimit lim;

	return cage_result(prlimit(getppid(), RLIMIT_CORE, NULL, &lim));
}

static int be_dumpable(void)
{
	return cage_result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

/* ---- memory and the kernel ---- */

static void *map(int prot)
{
	return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int map_code(void)
{
	return map(PROT_READ | PROT_EXEC) == MAP_FAILED ? errno : 0;
}

static int turn_into_code(void)
{
	return cage_result(mprotect(map(PROT_READ | PROT_WRITE), 4096, PROT_READ | PROT_EXEC));
}

static int leave_namespace(void)
{
	return cage_result(unshare(CLONE_NEWUSER));
}

static int mount_something(void)
{
	return cage_result(mount("none", cage.dir, "tmpfs", 0, NULL));
}

static int set_up_io_uring(void)
{
	return cage_result(syscall(SYS_io_uring_setup, 1, NULL));
}

static int load_bpf(void)
{
	return cage_result(syscall(SYS_bpf, 0, NULL, 0));
}

static int make_key(void)
{
	return cage_result(syscall(SYS_add_key, "user", "name", "x", 1, 0));
}

static int count_events(void)
{
	return cage_result(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}

static int clone_by_struct(void)
{
	return cage_result(syscall(SYS_clone3, NULL, 0));
}

static const struct cage_attempt attempts[] = {
	{"open", NULL, open_passwd, EACCES, true},
	{"openat", open_beside_before, open_beside, EACCES, true},
	{"openat2", NULL, open_by_struct, EACCES, true},
	{"creating a file", NULL, create_file, EACCES, true},
	{"unlink", remove_file_before, remove_file, EACCES, true},
	{"stat", NULL, stat_passwd, EACCES, true},
	{"readlink", NULL, read_link, EACCES, true},
	{"socket", NULL, make_socket, EACCES, true},
	{"connect", connect_before, connect_to_it, EACCES, true},
	{"bind", bind_before, bind_it, 0, true},
	{"a pair of datagram sockets", NULL, make_datagrams, 0, true},
	{"F_SETOWN", pipe_before, own_it, 0, true},
	{"kill", NULL, signal_parent, 0, true},
	{"tgkill", NULL, signal_parents_thread, 0, true},
	{"execve", NULL, execute, 0, true},
	{"execveat", true_before, execute_it, 0, true},
	{"fork", NULL, start_process, 0, true},
	{"ptrace", NULL, be_traced, 0, true},
	{"process_vm_readv", NULL, read_process, 0, true},
	{"prlimit of another", NULL, limit_parent, 0, true},
	{"PR_SET_DUMPABLE", NULL, be_dumpable, 0, true},
	{"mapping code", NULL, map_code, EACCES, true},
	{"turning memory into code", NULL, turn_into_code, EACCES, true},
	{"unshare", NULL, leave_namespace, 0, false},
	{"mount", NULL, mount_something, 0, false},
	{"io_uring", NULL, set_up_io_uring, 0, false},
	{"bpf", NULL, load_bpf, 0, false},
	{"add_key", NULL, make_key, 0, false},
	{"perf_event_open", NULL, count_events, 0, false},
	{"clone3", NULL, clone_by_struct, ENOSYS, false},
};

enum { N_ATTEMPTS = sizeof(attempts) / sizeof(*attempts) };

static void test_denied(void **state)
{
	(void)state;
	CAGE_SKIP;
	for (unsigned i = 0; i < N_ATTEMPTS; i++) {
		int wanted = attempts[i].error ? attempts[i].error : SIGNALLED + SIGSYS;

		cage_assert(SANDBOX_KILL, &attempts[i], wanted);
		cage_assert(SANDBOX_TRAP, &attempts[i], wanted);
	}
}

/* It is the sandbox that denies them, and nothing else. */
static void test_possible_without(void **state)
{
	(void)state;
	CAGE_SKIP;
	for (unsigned i = 0; i < N_ATTEMPTS; i++) {
		if (!attempts[i].possible)
			continue;
		cage_assert(SANDBOX_NONE, &attempts[i], 0);
		cage_assert(SANDBOX_LOG, &attempts[i], 0);
	}
}

/* A library that compiles what it runs is left that, and no more. */
static void test_makes_code(void **state)
{
	const struct cage_attempt code[] = {
		{"mmap", NULL, map_code}, {"mprotect", NULL, turn_into_code}};
	const struct cage_attempt file = {"open", NULL, open_passwd};

	(void)state;
	CAGE_SKIP;
	cage.profile.makes_code = true;
	cage_assert(SANDBOX_KILL, &code[0], 0);
	cage_assert(SANDBOX_KILL, &code[1], 0);
	cage_assert(SANDBOX_KILL, &file, EACCES);
}

static int ask_driver(void)
{
	return cage_result(ioctl(STDIN_FILENO, DRM_IOCTL_VERSION, NULL));
}

static int ask_dmabuf(void)
{
	return cage_result(ioctl(STDIN_FILENO, DMA_BUF_IOCTL_SYNC, NULL));
}

static int type_for_user(void)
{
	return cage_result(ioctl(STDIN_FILENO, TIOCSTI, "x"));
}

/* Standard input is no GPU: what is let through is refused by the kernel. */
static void test_drives_gpu(void **state)
{
	const struct cage_attempt driver[] = {
		{"of the driver", NULL, ask_driver}, {"of a dmabuf", NULL, ask_dmabuf}};
	const struct cage_attempt other = {"of a terminal", NULL, type_for_user};

	(void)state;
	CAGE_SKIP;
	for (unsigned i = 0; i < 2; i++) {
		cage.profile.drives_gpu = false;
		cage_assert(SANDBOX_KILL, &driver[i], EACCES);
		cage.profile.drives_gpu = true;
		assert_int_not_equal(cage_try(SANDBOX_KILL, &driver[i]), EACCES);
		assert_true(cage_try(SANDBOX_KILL, &driver[i]) < REFUSED);
	}
	cage_assert(SANDBOX_KILL, &other, SIGNALLED + SIGSYS);
}

/* ---- a thread that was there before ---- */

static int went, came, thread_errno;

static void *open_when_told(void *arg)
{
	eventfd_t n;

	eventfd_read(went, &n);
	thread_errno = open_passwd();
	eventfd_write(came, 1);
	return arg;
}

static int let_thread_open(void)
{
	eventfd_t n;

	eventfd_write(went, 1);
	eventfd_read(came, &n);
	return thread_errno;
}

/* The process that is outside locks itself in; threads do not come along by fork(). */
static int lock_in_with_thread(void)
{
	pthread_t thread;
	int r;

	went = eventfd(0, 0);
	came = eventfd(0, 0);
	if (pthread_create(&thread, NULL, open_when_told, NULL))
		return EAGAIN;
	r = sandbox_enter(SANDBOX_KILL, &cage.profile);
	return r < 0 ? -r : let_thread_open();
}

static void test_threads_from_before(void **state)
{
	const struct cage_attempt a = {"a thread's open", NULL, lock_in_with_thread};

	(void)state;
	CAGE_SKIP;
	cage_assert(SANDBOX_NONE, &a, EACCES);
}

/* ---- where the kernel or a container denies the sandbox itself ---- */

static int refuse(const char *const *calls)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r = f ? 0 : -1;

	for (; r == 0 && *calls; calls++)
		r = seccomp_rule_add(
			f, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(*calls), 0);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

static int without_landlock(void)
{
	return refuse((const char *const[]){"landlock_create_ruleset", NULL});
}

static int without_both(void)
{
	return refuse((const char *const[]){"landlock_create_ruleset", "seccomp", NULL});
}

static void test_goes_without(void **state)
{
	const struct cage_attempt half = {"open", without_landlock, open_passwd};
	const struct cage_attempt none = {"open", without_both, open_passwd};

	(void)state;
	CAGE_SKIP;
	cage_assert(SANDBOX_KILL, &half, EACCES);
	cage_assert(SANDBOX_AUTO, &none, 0);
	cage_assert(SANDBOX_KILL, &none, REFUSED);
	cage_assert(SANDBOX_TRAP, &none, REFUSED);
}

/* ---- what /proc says of it ---- */

static int status_has(const char *line)
{
	char text[4096] = {0};
	int fd = open("/proc/self/status", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return EIO;
	return strstr(text, line) ? 0 : ENOENT;
}

static int status_filter(void)
{
	return status_has("Seccomp:\t2\n");
}

static int status_privileges(void)
{
	return status_has("NoNewPrivs:\t1\n");
}

static int not_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE);
}

static void test_status(void **state)
{
	const struct cage_attempt filter = {"Seccomp", NULL, status_filter};
	const struct cage_attempt privileges = {"NoNewPrivs", NULL, status_privileges};
	const struct cage_attempt dumpable = {"dumpable", NULL, not_dumpable};

	(void)state;
	CAGE_SKIP;
	cage.profile.paths[0] = (struct sandbox_path){"/proc", false};
	cage_assert(SANDBOX_KILL, &filter, 0);
	cage_assert(SANDBOX_KILL, &privileges, 0);
	cage_assert(SANDBOX_LOG, &filter, 0);
	cage_assert(SANDBOX_NONE, &filter, ENOENT);
	cage_assert(SANDBOX_KILL, &dumpable, 0);
	cage_assert(SANDBOX_TRAP, &dumpable, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CAGE_TEST(denied),
		CAGE_TEST(possible_without),
		CAGE_TEST(makes_code),
		CAGE_TEST(drives_gpu),
		CAGE_TEST(threads_from_before),
		CAGE_TEST(goes_without),
		CAGE_TEST(status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
