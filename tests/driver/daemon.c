/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wait.h"

const char *child_binary(const char *name, int argc, char **argv)
{
	return argc > 1 ? argv[1] : getenv(name);
}

/* Starting */

struct plan {
	const char *argv[CHILD_MAX_ARGS];
	size_t argc;
	int keep; // an fd that the child inherits, -1 if none
};

static int plan_make(struct plan *p, const char *binary, const char *first, const char *const *args)
{
	*p = (struct plan){.argv = {binary}, .argc = 1, .keep = -1};
	if (first)
		p->argv[p->argc++] = first;
	for (; args && *args; args++) {
		if (p->argc == CHILD_MAX_ARGS - 1)
			return -E2BIG;
		p->argv[p->argc++] = *args;
	}
	return 0;
}

/* In the child, between fork and exec. */
static void become(const struct plan *p, int out, pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(out, STDOUT_FILENO);
	if (p->keep >= 0)
		fcntl(p->keep, F_SETFD, 0);
	execv(p->argv[0], (char *const *)(uintptr_t)p->argv);
	_exit(127);
}

static int launch(struct daemon_child *d, const struct plan *p)
{
	pid_t parent = getpid();
	int out[2];

	*d = (struct daemon_child){.pidfd = -1, .out = -1, .fd = -1};
	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	d->pid = fork();
	if (d->pid == 0)
		become(p, out[1], parent);
	close(out[1]);
	d->out = out[0];
	fcntl(d->out, F_SETFL, O_NONBLOCK);
	if (d->pid > 0)
		d->pidfd = pidfd_open(d->pid, 0);
	if (d->pidfd < 0) {
		int rc = -errno;

		child_kill(d);
		return rc;
	}
	return 0;
}

int child_start(struct daemon_child *d, const char *binary, const char *const *args)
{
	struct plan p;
	int rc = plan_make(&p, binary, NULL, args);

	return rc < 0 ? rc : launch(d, &p);
}

int child_start_fd(struct daemon_child *d, const char *binary, const char *const *args)
{
	struct plan p;
	char option[32];
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	snprintf(option, sizeof(option), "--fd=%d", pair[1]);
	rc = plan_make(&p, binary, option, args);
	p.keep = pair[1];
	if (rc == 0)
		rc = launch(d, &p);
	close(pair[1]);
	if (rc < 0)
		close(pair[0]);
	else
		d->fd = pair[0];
	return rc;
}

int child_start_path(
	struct daemon_child *d, const char *binary, const char *path, const char *const *args)
{
	struct plan p;
	char option[256];
	int rc;

	snprintf(option, sizeof(option), "--socket-path=%s", path);
	rc = plan_make(&p, binary, option, args);
	return rc < 0 ? rc : launch(d, &p);
}

int child_take_fd(struct daemon_child *d)
{
	int fd = d->fd;

	d->fd = -1;
	return fd;
}

/* Looking at it */

/* Moves a line from d->line to buf. Returns 1 if there was one, 0 if not, or a negative errno. */
static int cut_line(struct daemon_child *d, char *buf, size_t room)
{
	char *end = memchr(d->line, '\n', d->len);
	size_t len;

	if (!end)
		return d->len == sizeof(d->line) ? -EMSGSIZE : 0;
	len = (size_t)(end - d->line);
	if (len >= room)
		return -EMSGSIZE;
	memcpy(buf, d->line, len);
	buf[len] = '\0';
	d->len -= len + 1;
	memmove(d->line, end + 1, d->len);
	return 1;
}

int child_line(struct daemon_child *d, char *buf, size_t room, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	int rc;

	while ((rc = cut_line(d, buf, room)) == 0) {
		ssize_t n;

		rc = wait_fd(d->out, POLLIN, deadline);
		if (rc < 0)
			return rc;
		n = read(d->out, d->line + d->len, sizeof(d->line) - d->len);
		if (n == 0)
			return -ECONNRESET;
		if (n > 0)
			d->len += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return rc < 0 ? rc : 0;
}

bool child_is_alive(const struct daemon_child *d)
{
	return d->pid > 0 && wait_fd(d->pidfd, POLLIN, wait_deadline(0)) == -ETIMEDOUT;
}

int child_count_fds(struct daemon_child *d)
{
	int rc = child_signal(d, SIGUSR1), n;
	char line[256];

	while (rc == 0) {
		rc = child_line(d, line, sizeof(line), WAIT_DEFAULT);
		if (rc == 0 && sscanf(line, "descriptors=%d", &n) == 1)
			return n;
	}
	return rc;
}

long child_rss_kib(const struct daemon_child *d)
{
	char path[64];
	long size, pages;
	FILE *file;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)d->pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	n = fscanf(file, "%ld %ld", &size, &pages);
	fclose(file);
	return n == 2 ? pages * (sysconf(_SC_PAGESIZE) / 1024) : -EIO;
}

/* Ending it */

int child_signal(const struct daemon_child *d, int signal)
{
	if (d->pid <= 0)
		return -ESRCH;
	return pidfd_send_signal(d->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int child_wait(struct daemon_child *d, int timeout_ms)
{
	int status, rc;

	if (d->pid <= 0)
		return d->status;
	rc = wait_fd(d->pidfd, POLLIN, wait_deadline(timeout_ms));
	if (rc < 0)
		return rc;
	if (waitpid(d->pid, &status, 0) < 0)
		return -errno;
	d->pid = 0;
	d->status = WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_KILLED + WTERMSIG(status);
	return d->status;
}

int child_stop(struct daemon_child *d)
{
	int rc;

	child_signal(d, SIGTERM);
	rc = child_wait(d, WAIT_DEFAULT);
	child_kill(d);
	return rc;
}

void child_kill(struct daemon_child *d)
{
	int *fds[] = {&d->pidfd, &d->out, &d->fd};

	if (d->pid > 0) {
		kill(d->pid, SIGKILL);
		waitpid(d->pid, NULL, 0);
		d->pid = 0;
	}
	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}
