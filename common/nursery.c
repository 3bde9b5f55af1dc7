/* SPDX-License-Identifier: MIT */
/* The process that starts parts, and what a part does first. */
#define _GNU_SOURCE
#define LOG_TOPIC "part"
#include "nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"

enum { PARTS_MAX = 64, NURSERY_FD = 3, PART_FD = 3, SIGNAL_FD = 4, THREADS_END_WITHIN = 5 };

/* A guest can make libraries complain without end. Who looks for a fault wants to hear it. */
static int silence_libraries(enum sandbox_mode mode)
{
#ifdef __SANITIZE_ADDRESS__
	bool wanted = false; // nor who reads its report
#else
	bool wanted = mode == SANDBOX_AUTO || mode == SANDBOX_KILL;
#endif
	(void)mode;
	return wanted ? log_keep_stderr() : 0;
}

/* What it has by now is the library's; what follows is the guest's. */
static int limit_memory(uint64_t more)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	int n = f ? fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) : 0;
	uint64_t has = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
	const struct rlimit limit = {has + more, has + more};

	if (f)
		fclose(f);
	if (n != 1)
		return -EIO;
	return has + more < has || setrlimit(RLIMIT_DATA, &limit) == 0 ? 0 : -errno;
}

int part_lock_in(const struct part_inside *inside)
{
	int r;

	if (inside->is_thread)
		return 0;
	r = limit_memory(inside->memory);
	if (r == 0)
		r = silence_libraries(inside->seccomp);
	return r < 0 ? r : sandbox_enter(inside->seccomp, &inside->kind->sandbox);
}

/* Room for one descriptor and not, as there would be with CMSG_SPACE(), for two. */
ssize_t nursery_receive(int sock, void *message, size_t room, int *fd, int flags)
{
	struct iovec iov = {message, room};
	union nursery_control control = {0};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_LEN(sizeof(int))};
	const struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | flags);
	while (n < 0 && errno == EINTR);
	*fd = -1;
	c = CMSG_FIRSTHDR(&msg);
	if (n >= 0 && c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n < 0 ? -errno : n;
}

ssize_t part_receive(int sock, void *message, size_t room, int *fd)
{
	return nursery_receive(sock, message, room, fd, 0);
}

int part_say(int sock, const void *message, size_t len, int fd)
{
	return nursery_send(sock, message, len, fd, 0);
}

/* ---- in the nursery ---- */

struct child {
	pid_t pid; // 0: free
	uint32_t id;
	bool asked_to_end;
};

/* Nothing of the parent's is left but stderr. */
static void keep_only(int sock, int as)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(sock, as);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (close_range((unsigned)as + 1, ~0u, 0) < 0)
		for (int fd = as + 1, n = (int)fd_raise_limit(); fd < n; fd++)
			close(fd);
}

static void die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
}

/* Where the host has no memory left, it goes before what the user minds more. */
static void go_first(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : write(fd, "500", 3);

	(void)n; // more than is asked already
	close(fd);
}

static void __attribute__((noreturn)) become_part(const struct nursery *n, int sock, pid_t parent)
{
	const struct part_inside inside = {n->kind, n->seccomp, false, n->memory};
	sigset_t none;

	keep_only(sock, PART_FD);
	die_with(parent);
	go_first();
	prctl(PR_SET_NAME, n->kind->name);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(n->kind->run(PART_FD, &inside));
}

static void start(const struct nursery *n, struct child *children, uint32_t id, int sock)
{
	pid_t parent = getpid();

	for (unsigned i = 0; i < PARTS_MAX; i++) {
		if (children[i].pid)
			continue;
		children[i] = (struct child){fork(), id, false};
		if (children[i].pid == 0)
			become_part(n, sock, parent);
		if (children[i].pid < 0) {
			log_err("%s: no process can be started: %s", n->kind->name,
				strerror(errno));
			children[i].pid = 0;
		}
		return; // where none was started the socket closes, which is a death
	}
}

static void end(struct child *children, uint32_t id)
{
	for (unsigned i = 0; i < PARTS_MAX; i++) {
		if (!children[i].pid || children[i].id != id)
			continue;
		children[i].asked_to_end = true;
		kill(children[i].pid, SIGKILL); // not reaped yet: it is still this one's number
	}
}

/* Who can make them die can do it again and again, for the sake of the log. */
static enum log_level level_of_death(void)
{
	static unsigned in_a_row;
	static time_t last;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	in_a_row = now.tv_sec - last <= 2 ? in_a_row + 1 : 1;
	last = now.tv_sec;
	return in_a_row <= NURSERY_TOLD_DEATHS ? LOG_WARN : LOG_DBG;
}

static void reap(const struct nursery *n, struct child *children)
{
	struct signalfd_siginfo info;
	int status;

	while (read(SIGNAL_FD, &info, sizeof(info)) > 0)
		;
	for (unsigned i = 0; i < PARTS_MAX; i++) {
		if (!children[i].pid || waitpid(children[i].pid, &status, WNOHANG) <= 0)
			continue;
		/* Who is asked to end may have been about to: the first signal is what counts. */
		if (WIFSIGNALED(status)
			&& (WTERMSIG(status) != SIGKILL || !children[i].asked_to_end))
			log_write(LOG_TOPIC, level_of_death(), "%s ended by signal %d",
				n->kind->name, WTERMSIG(status));
		else if (WIFEXITED(status) && WEXITSTATUS(status))
			log_write(LOG_TOPIC, level_of_death(), "%s ended with status %d",
				n->kind->name, WEXITSTATUS(status));
		children[i].pid = 0;
	}
}

static void obey(const struct nursery *n, struct child *children)
{
	struct nursery_message m;
	_cleanup_fd_ int sock = -1;
	ssize_t len = part_receive(NURSERY_FD, &m, sizeof(m), &sock);

	if (len <= 0)
		_exit(0); // the daemon has ended, and parts end with us
	if (len != sizeof(m))
		return;
	if (m.what == NURSERY_START && sock >= 0)
		start(n, children, m.id, sock);
	else if (m.what == NURSERY_END)
		end(children, m.id);
}

static void __attribute__((noreturn)) serve(const struct nursery *n, int sock, pid_t parent)
{
	struct child children[PARTS_MAX] = {0};
	struct pollfd fds[] = {{NURSERY_FD, POLLIN, 0}, {SIGNAL_FD, POLLIN, 0}};
	sigset_t all, ended;
	int signals;

	sigfillset(&all); // what ends the daemon by a terminal is not for us
	sigprocmask(SIG_SETMASK, &all, NULL);
	keep_only(sock, NURSERY_FD);
	die_with(parent);
	prctl(PR_SET_NAME, "nursery");
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	signal(SIGCHLD, SIG_DFL);
	signals = signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals != SIGNAL_FD)
		_exit(1);
	if (n->kind->prepare)
		n->kind->prepare();
	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			reap(n, children);
		if (fds[0].revents)
			obey(n, children);
	}
}

/* ---- in the daemon ---- */

int nursery_start(struct nursery *n, const struct part_kind *kind, enum sandbox_mode seccomp,
	uint64_t memory, bool threads)
{
	pid_t parent = getpid();
	int pair[2], r = 0;

	*n = (struct nursery){
		.kind = kind, .seccomp = seccomp, .memory = memory, .threads = threads, .sock = -1};
	if (threads) {
		pthread_mutex_init(&n->lock, NULL);
		pthread_cond_init(&n->ended, NULL);
		if (kind->prepare)
			kind->prepare();
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	n->pid = fork();
	if (n->pid == 0)
		serve(n, pair[1], parent);
	if (n->pid < 0)
		r = -errno;
	fd_close(&pair[1]);
	if (r < 0)
		fd_close(&pair[0]);
	n->sock = pair[0];
	return r;
}

/* None can be left behind, neither in the middle of something nor at its very end, where libraries let go of
 * what was that thread's: they use what exit() takes down. */
static void await_threads(struct nursery *n)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += THREADS_END_WITHIN;
	pthread_mutex_lock(&n->lock);
	while (n->n_threads && r == 0)
		r = pthread_cond_timedwait(&n->ended, &n->lock, &until);
	pthread_mutex_unlock(&n->lock);
	if (r == 0 && n->has_last)
		pthread_join(n->last, NULL);
	n->has_last = false;
	if (r == 0)
		return;
	log_err("%s does not end; as a thread (--isolate=none) it cannot be ended alone",
		n->kind->name);
	_exit(EXIT_FAILURE);
}

void nursery_finish(struct nursery *n)
{
	if (n->threads)
		await_threads(n);
	if (!n->kind || n->sock < 0)
		return;
	fd_close(&n->sock);
	while (waitpid(n->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int nursery_send(int to, const void *bytes, size_t len, int fd, int flags)
{
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union nursery_control control = {0};
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	do
		n = sendmsg(to, &msg, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- a part as a thread ---- */

struct thread {
	struct nursery *nursery;
	int sock;
};

static void count_threads(struct nursery *n, int more)
{
	pthread_mutex_lock(&n->lock);
	n->n_threads += (unsigned)more;
	pthread_cond_signal(&n->ended);
	pthread_mutex_unlock(&n->lock);
}

/* This thread ends. */
static void leave(struct nursery *n)
{
	bool joins;
	pthread_t before;

	pthread_mutex_lock(&n->lock);
	joins = n->has_last;
	before = n->last;
	n->last = pthread_self();
	n->has_last = true;
	pthread_mutex_unlock(&n->lock);
	if (joins)
		pthread_join(before, NULL);
	count_threads(n, -1);
}

static void *run_thread(void *arg)
{
	struct thread t = *(struct thread *)arg;
	const struct part_inside inside = {t.nursery->kind, SANDBOX_NONE, true, 0};

	free(arg);
	t.nursery->kind->run(t.sock, &inside);
	close(t.sock);
	leave(t.nursery);
	return NULL;
}

static int start_thread(struct nursery *n, int sock)
{
	struct thread *t = malloc(sizeof(*t));
	sigset_t all, before;
	pthread_t thread;
	int r;

	if (!t)
		return -ENOMEM;
	*t = (struct thread){n, sock};
	sigfillset(&all);
	sigdelset(&all, SIGBUS); // guest memory may go away under it
	pthread_sigmask(SIG_SETMASK, &all, &before);
	count_threads(n, 1);
	r = pthread_create(&thread, NULL, run_thread, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		count_threads(n, -1);
		free(t);
	}
	return -r;
}

int nursery_begin(struct nursery *n, uint32_t id)
{
	const struct nursery_message m = {NURSERY_START, id};
	int pair[2], yes = 1, r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes));
	if (n->threads) {
		r = start_thread(n, pair[1]);
		if (r == 0)
			return pair[0];
	} else {
		r = nursery_send(n->sock, &m, sizeof(m), pair[1], MSG_DONTWAIT);
	}
	fd_close(&pair[1]);
	if (r < 0)
		fd_close(&pair[0]);
	return r < 0 ? r : pair[0];
}

void nursery_end(const struct nursery *n, uint32_t id)
{
	const struct nursery_message m = {NURSERY_END, id};

	if (!n->threads)
		nursery_send(n->sock, &m, sizeof(m), -1, MSG_DONTWAIT);
}
