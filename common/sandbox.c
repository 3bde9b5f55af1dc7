/* SPDX-License-Identifier: MIT */
/*
 * Three layers, each of which holds without the others: no_new_privs, so that no program gives more
 * rights than there are; Landlock, which takes the file system away; seccomp, by libseccomp, which
 * leaves the system calls that are needed to serve. What is not in the lists below gets the mode's
 * action. What a library may try in good faith, and can do without, fails with an errno.
 */
#define _GNU_SOURCE
#define LOG_TOPIC "sandbox"
#include "sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bytes.h"
#include "fd.h"
#include "log.h"

/*
 * AddressSanitizer's search for leaks, at the very end, makes a process that traces ours: both are
 * denied here. And the lists are those of 64-bit architectures.
 */
#if defined(__SANITIZE_ADDRESS__) || !defined(__LP64__)
enum { AUTO_MODE = SANDBOX_LOG };
#else
enum { AUTO_MODE = SANDBOX_KILL };
#endif

/* ---- Landlock ---- */

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE // Linux 6.2
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

/* struct landlock_ruleset_attr; the headers of Linux 6.1 know its first member only. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};

enum {
	READ_RIGHTS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	WRITE_RIGHTS = READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG
		| LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE,
	NET_TCP = 3,             // bind and connect, since ABI 4
	SCOPE_ABSTRACT_UNIX = 1, // since ABI 6
};

/* All that this kernel can take away. Rights are numbered in the order in which they came. */
static struct ruleset_attr everything(long abi)
{
	unsigned n_rights = abi == 1 ? 13 : abi == 2 ? 14 : abi < 5 ? 15 : 16;

	return (struct ruleset_attr){
		.fs = (1ull << n_rights) - 1,
		.net = abi >= 4 ? NET_TCP : 0,
		.scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX : 0,
	};
}

static int leave(int ruleset, const struct sandbox_path *p, uint64_t handled)
{
	_cleanup_fd_ int fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = (p->writable ? WRITE_RIGHTS : READ_RIGHTS) & handled,
		.parent_fd = fd,
	};

	if (fd < 0)
		return -errno;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		? -errno
		: 0;
}

static int restrict_files(const struct sandbox_profile *profile)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset_attr attr = everything(abi);
	_cleanup_fd_ int ruleset = -1;

	if (abi < 1)
		return -errno;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return -errno;
	for (const struct sandbox_path *p = profile->paths; p->path; p++) {
		int r = leave(ruleset, p, attr.fs);

		if (r < 0)
			log_info("%s cannot be left open: %s", p->path, strerror(-r));
	}
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

/* ---- seccomp ---- */

static const char *const allowed[] = {
	/* what is open */
	"accept", "accept4", "close", "close_range", "dup", "dup2", "dup3", "epoll_create1",
	"epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "fallocate",
	"fdatasync", "fstat", "fsync", "ftruncate", "getpeername", "getsockname", "getsockopt",
	"lseek", "memfd_create", "pipe2", "poll", "ppoll", "pread64", "preadv", "pselect6",
	"pwrite64", "pwritev", "read", "readv", "recvfrom", "recvmmsg", "recvmsg", "select",
	"sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "signalfd4", "timerfd_create",
	"timerfd_gettime", "timerfd_settime", "write", "writev",
	/* memory */
	"brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mremap", "msync", "munlock",
	"munmap",
	/* threads and their processors */
	"exit", "exit_group", "futex", "futex_waitv", "get_robust_list", "getcpu", "getpriority",
	"rseq", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity",
	"sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
	"set_robust_list", "set_tid_address", "setpriority",
	/* signals; the remover's end */
	"pause", "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
	"rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "sigaltstack", "wait4", "waitid",
	/* time, chance, and who we are */
	"clock_getres", "clock_gettime", "clock_nanosleep", "getegid", "geteuid", "getgid",
	"getgroups", "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresuid",
	"getrlimit", "getrusage", "gettid", "gettimeofday", "getuid", "nanosleep", "sysinfo",
	"time", "times", "uname", NULL};

/* Libraries look for configuration, locales, the number of processors: there is none of it. */
static const char *const by_path[] = {"access", "faccessat", "faccessat2", "getdents64", "lstat",
	"open", "openat", "readlink", "readlinkat", "rename", "renameat", "renameat2", "stat",
	"unlink", "unlinkat", NULL};

static const char *const refused[] = {"chdir", "connect", "creat", "getcwd", "inotify_add_watch",
	"inotify_init1", "mkdir", "mkdirat", "openat2", "rmdir", "socket", "statfs", NULL};

#define REFUSE(error) SCMP_ACT_ERRNO(error)
/* Allowed when paths are named, which Landlock looks at then; else refused. */
#define BY_PATH UINT32_MAX
/* Allowed when the profile says so; else refused. */
#define NEW_CODE  (UINT32_MAX - 1)
#define DRIVE_GPU (UINT32_MAX - 2)

/* The arguments of a call, of which an int is the lower half of its register. */
#define HAS(n, mask, value)                                                                        \
	{                                                                                          \
		(n), SCMP_CMP_MASKED_EQ, (mask), (value)                                           \
	}
#define IS(n, value) HAS(n, UINT32_MAX, (uint32_t)(value))
/* All requests of one kind, which is their second byte. */
#define IOCTLS(kind) HAS(1, 0xff00, (kind) << 8)

#define CLONE_NEW_ALL                                                                              \
	(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID                \
		| CLONE_NEWUSER | CLONE_NEWUTS)

static const struct rule {
	const char *call;
	uint32_t action;
	struct scmp_arg_cmp args[2]; // the second may be empty
} rules[] = {
	/* Threads. What clone3() is asked for cannot be seen: libc falls back to clone(). */
	{"clone", SCMP_ACT_ALLOW, {HAS(0, CLONE_THREAD | CLONE_NEW_ALL, CLONE_THREAD)}},
	/* No new code, where a library does not make some: not from a guest's memory, not from a file. */
	{"mmap", SCMP_ACT_ALLOW, {HAS(2, PROT_EXEC, 0)}},
	{"mmap", NEW_CODE, {HAS(2, PROT_EXEC, PROT_EXEC)}},
	{"mprotect", SCMP_ACT_ALLOW, {HAS(2, PROT_EXEC, 0)}},
	{"mprotect", NEW_CODE, {HAS(2, PROT_EXEC, PROT_EXEC)}},
	/* fstat() is one of these with an empty path. */
	{"newfstatat", SCMP_ACT_ALLOW, {HAS(3, AT_EMPTY_PATH, AT_EMPTY_PATH)}},
	{"newfstatat", BY_PATH, {HAS(3, AT_EMPTY_PATH, 0)}},
	{"statx", SCMP_ACT_ALLOW, {HAS(2, AT_EMPTY_PATH, AT_EMPTY_PATH)}},
	{"statx", BY_PATH, {HAS(2, AT_EMPTY_PATH, 0)}},
	/* A pair of datagrams could be sent from to any address. */
	{"socketpair", SCMP_ACT_ALLOW, {IS(0, AF_UNIX), HAS(1, 0xf, SOCK_STREAM)}},
	{"socketpair", SCMP_ACT_ALLOW, {IS(0, AF_UNIX), HAS(1, 0xf, SOCK_SEQPACKET)}},
	/* F_SETOWN and F_SETSIG would be a way to send any signal to anyone. */
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_DUPFD)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_DUPFD_CLOEXEC)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_GETFD)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_SETFD)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_GETFL)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_SETFL)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_ADD_SEALS)}},
	{"fcntl", SCMP_ACT_ALLOW, {IS(1, F_GET_SEALS)}},
	{"ioctl", SCMP_ACT_ALLOW, {IS(1, TCGETS)}}, // stdio: is it a terminal?
	{"ioctl", SCMP_ACT_ALLOW, {IS(1, FIONREAD)}},
	{"ioctl", SCMP_ACT_ALLOW, {IS(1, FIONBIO)}},
	/* A driver's: the render node, the dmabufs that it shares, their fences. */
	{"ioctl", DRIVE_GPU, {IOCTLS('d')}},
	{"ioctl", DRIVE_GPU, {IOCTLS('b')}},
	{"ioctl", DRIVE_GPU, {IOCTLS('>')}},
	{"ioctl", DRIVE_GPU, {IOCTLS('u')}}, // buffers of memory, where the processor draws
	{"prctl", SCMP_ACT_ALLOW, {IS(0, PR_SET_NAME)}},
	{"prctl", SCMP_ACT_ALLOW, {IS(0, PR_GET_NAME)}},
	{"prctl", SCMP_ACT_ALLOW, {IS(0, PR_SET_TIMERSLACK)}},
	{"prctl", SCMP_ACT_ALLOW, {IS(0, PR_GET_DUMPABLE)}},
	{"prctl", SCMP_ACT_ALLOW, {IS(0, PR_SET_VMA)}}, // names of malloc's, for /proc
	/* Root could raise the limits that it was given. That of realtime is set by who wants to be. */
	{"setrlimit", SCMP_ACT_ALLOW, {IS(0, RLIMIT_RTTIME)}},
	{"setrlimit", REFUSE(EPERM), {{0, SCMP_CMP_NE, RLIMIT_RTTIME}}},
	{"prlimit64", SCMP_ACT_ALLOW, {IS(0, 0), {2, SCMP_CMP_EQ, 0}}},
	{"prlimit64", SCMP_ACT_ALLOW, {IS(0, 0), IS(1, RLIMIT_RTTIME)}},
	{"prlimit64", REFUSE(EPERM), {{1, SCMP_CMP_NE, RLIMIT_RTTIME}, {2, SCMP_CMP_NE, 0}}},
};

static int add(scmp_filter_ctx f, uint32_t action, const char *call, unsigned n_args,
	const struct scmp_arg_cmp *args)
{
	int nr = seccomp_syscall_resolve_name(call);

	/* An older libseccomp does not know it, and neither does what was built with it. */
	return nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(f, action, nr, n_args, args);
}

static int add_all(scmp_filter_ctx f, uint32_t action, const char *const *calls)
{
	int r = 0;

	for (; *calls && r == 0; calls++)
		r = add(f, action, *calls, 0, NULL);
	return r;
}

static uint32_t resolve_action(uint32_t action, const struct sandbox_profile *profile)
{
	if (action == BY_PATH)
		return profile->paths[0].path ? SCMP_ACT_ALLOW : REFUSE(EACCES);
	if (action == DRIVE_GPU)
		return profile->drives_gpu ? SCMP_ACT_ALLOW : REFUSE(EACCES);
	if (action == NEW_CODE)
		return profile->makes_code ? SCMP_ACT_ALLOW : REFUSE(EACCES);
	return action;
}

static int add_rules(scmp_filter_ctx f, const struct sandbox_profile *profile, bool only_log)
{
	const struct scmp_arg_cmp self = IS(0, getpid());
	int r = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(rules) && r == 0; i++) {
		uint32_t action = resolve_action(rules[i].action, profile);

		if (action == SCMP_ACT_ALLOW || !only_log)
			r = add(f, action, rules[i].call, rules[i].args[1].op ? 2 : 1,
				rules[i].args);
	}
	if (r == 0)
		r = add(f, SCMP_ACT_ALLOW, "kill", 1, &self);
	if (r == 0)
		r = add(f, SCMP_ACT_ALLOW, "tgkill", 1, &self); // abort(), raise()
	return r;
}

static int fill(scmp_filter_ctx f, const struct sandbox_profile *profile, bool only_log)
{
	bool paths = profile->paths[0].path;
	int r = add_all(f, SCMP_ACT_ALLOW, allowed);

	if (r == 0)
		r = add_rules(f, profile, only_log);
	if (r == 0 && (paths || !only_log))
		r = add_all(f, paths ? SCMP_ACT_ALLOW : REFUSE(EACCES), by_path);
	if (r == 0 && !only_log)
		r = add_all(f, REFUSE(EACCES), refused);
	if (r == 0 && !only_log)
		r = add(f, REFUSE(ENOSYS), "clone3", 0, NULL);
	return r;
}

static int load_filter(enum sandbox_mode mode, const struct sandbox_profile *profile)
{
	static const uint32_t actions[] = {
		[SANDBOX_KILL] = SCMP_ACT_KILL_PROCESS,
		[SANDBOX_TRAP] = SCMP_ACT_TRAP,
		[SANDBOX_LOG] = SCMP_ACT_LOG,
	};
	scmp_filter_ctx f = seccomp_init(actions[mode]);
	int r;

	if (!f)
		return -EOPNOTSUPP; // this kernel, or who looks over it, has no such action
	seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); // a tree, no list
	seccomp_attr_set(f, SCMP_FLTATR_API_SYSRAWRC, 1); // the kernel's errno
	r = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = fill(f, profile, mode == SANDBOX_LOG);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r > 0 ? -ESRCH : r; // a thread's number: it has a filter of its own
}

/* pthread_exit() and pthread_cancel() load this library, and abort where they cannot. */
static void load_ahead(void)
{
	dlopen("libgcc_s.so.1", RTLD_NOW);
}

int sandbox_enter(enum sandbox_mode mode, const struct sandbox_profile *profile)
{
	bool required = mode != SANDBOX_AUTO;
	int r;

	if (mode == SANDBOX_AUTO)
		mode = (enum sandbox_mode)AUTO_MODE;
	if (mode == SANDBOX_NONE)
		return 0;
	load_ahead();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (mode == SANDBOX_KILL) // with TRAP somebody wants to look
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (mode != SANDBOX_LOG) {
		r = restrict_files(profile);
		if (r < 0)
			log_info("no Landlock here: %s", strerror(-r));
	}
	r = load_filter(mode, profile);
	if (r < 0 && !required)
		log_info("no filter of system calls here: %s", strerror(-r));
	return required ? r : 0;
}

/* ---- another program ---- */

enum {
	RUN_RIGHTS = READ_RIGHTS | LANDLOCK_ACCESS_FS_EXECUTE,
	DEVICE_RIGHTS = RUN_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE
};

static int allow_below(int ruleset, const char *path, uint64_t rights)
{
	_cleanup_fd_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};

	if (fd < 0)
		return -errno;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		? -errno
		: 0;
}

static int restrict_writing(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset_attr attr = everything(abi);
	_cleanup_fd_ int ruleset = -1;
	int r;

	if (abi < 1)
		return -errno;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return -errno;
	r = allow_below(ruleset, "/", RUN_RIGHTS);
	if (r == 0)
		r = allow_below(ruleset, "/dev", DEVICE_RIGHTS);
	if (r < 0)
		return r;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

/* What a library that draws has no need of, and who has taken it over would like. */
static const char *const never[] = {"add_key", "bind", "bpf", "connect", "fanotify_init",
	"io_uring_enter", "io_uring_register", "io_uring_setup", "kcmp", "keyctl", "mount",
	"move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "pidfd_getfd",
	"pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "request_key", "setns",
	"umount2", "unshare", "userfaultfd", NULL};

static int deny_calls(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int r = f ? 0 : -ENOMEM;

	if (r == 0)
		r = add_all(f, REFUSE(EACCES), never);
	if (r == 0)
		r = seccomp_load(f);
	seccomp_release(f);
	return r;
}

int sandbox_become(enum sandbox_mode mode)
{
	bool required = mode != SANDBOX_AUTO;
	int r;

	if (mode == SANDBOX_LOG || mode == SANDBOX_NONE)
		return 0;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	restrict_writing(); // where there is Landlock
	r = deny_calls();
	return required ? r : 0;
}

/* ---- the remover ---- */

/* A later file may have the same number; but what is still the first one was made when that was. */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino
		&& a->st_mtim.tv_sec == b->st_mtim.tv_sec
		&& a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* In the new process, which has all that ours had. */
static void wait_and_remove(int end, const char *path, const struct stat *file)
{
	struct stat now;
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL); // what ends us by a terminal is not for it
	prctl(PR_SET_NAME, "socket-remover");
	if (end > 0)
		close_range(0, (unsigned)end - 1, 0);
	close_range((unsigned)end + 1, UINT32_MAX, 0);
	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	if (lstat(path, &now) == 0 && is_same_file(&now, file))
		unlink(path);
	_exit(0);
}

int sandbox_remover_start(struct sandbox_remover *r, const char *path)
{
	struct stat file;
	int ends[2];

	if (lstat(path, &file) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	r->pid = fork();
	if (r->pid == 0)
		wait_and_remove(ends[0], path, &file);
	fd_close(&ends[0]);
	if (r->pid < 0) {
		fd_close(&ends[1]);
		return -errno;
	}
	r->alive = ends[1];
	return 0;
}

void sandbox_remover_finish(struct sandbox_remover *r)
{
	if (r->alive < 0)
		return;
	fd_close(&r->alive);
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
