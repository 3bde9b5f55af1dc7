/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "connector.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_TOPIC "pipewire"
#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"

enum { NAME_LEN = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* An answer is an errno, 0 with a descriptor beside it. */
union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* ---- the child ---- */

/* A connected socket or negative errno. A daemon that is too busy is asked again later. */
static int try_path(const char *folder, const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n = snprintf(
		at.sun_path, sizeof(at.sun_path), "%s%s%s", folder, *folder ? "/" : "", name);
	_cleanup_fd_ int sock = -1;

	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return fd_take(&sock);
}

static int connect_to(const char *name)
{
	const char *folder = getenv("PIPEWIRE_RUNTIME_DIR");
	int sock, other;

	if (*name == '/')
		return try_path("", name);
	if (!folder)
		folder = getenv("XDG_RUNTIME_DIR");
	sock = folder ? try_path(folder, name) : -ENOENT;
	if (sock >= 0)
		return sock;
	other = try_path("/run/pipewire", name);
	return other >= 0 ? other : sock; // the error is that of the user's own folder
}

static int send_answer(int to, int sock)
{
	int error = sock < 0 ? -sock : 0;
	struct iovec iov = {&error, sizeof(error)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};

	if (sock >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.align), &sock, sizeof(sock));
	}
	return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* All that the parent has is closed, stderr too: what there is to say is said by errno. */
static void let_go(int sock, pid_t parent)
{
	dup2(sock, 0);
	if (close_range(1, ~0u, 0) < 0)
		for (int fd = 1, n = (int)fd_raise_limit(); fd < n; fd++)
			close(fd);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
}

/* The first message is the remote's name, each one behind it asks for a connection. */
static void __attribute__((noreturn)) serve(int to, pid_t parent)
{
	char name[NAME_LEN] = "", byte;
	const char *remote;

	let_go(to, parent);
	if (recv(0, name, sizeof(name) - 1, 0) <= 0)
		_exit(0);
	remote = getenv("PIPEWIRE_REMOTE");
	if (!remote || !*remote)
		remote = name;
	while (recv(0, &byte, 1, 0) > 0) {
		_cleanup_fd_ int sock = connect_to(remote);

		if (send_answer(0, sock) < 0)
			break;
	}
	_exit(0);
}

/* ---- the parent ---- */

/* True: *sock is the answer, a descriptor or negative errno. -EPIPE: the child has ended. */
static bool take_answer(int from, int *sock)
{
	int error = EPIPE;
	struct iovec iov = {&error, sizeof(error)};
	union control control = {0};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space)};
	ssize_t n = recvmsg(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	if (n < 0)
		return false;
	*sock = error ? -error : -EMFILE; // no descriptor came with it: none is free
	if (!error && c && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(sock, CMSG_DATA(c), sizeof(*sock));
	return true;
}

static void on_answer(struct loop_source *source, uint32_t events)
{
	struct connector *c = CONTAINER_OF(source, struct connector, source);
	int sock;

	(void)events;
	if (!take_answer(source->fd, &sock))
		return;
	c->asked = false;
	if (sock == -EPIPE) {
		log_warn("the process that connects to PipeWire was killed: no way back to it");
		loop_remove(source);
	} else {
		c->answer(c, sock);
	}
}

int connector_init(struct connector *c, struct loop *loop)
{
	pid_t parent = getpid();
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	c->child = fork();
	if (c->child == 0)
		serve(pair[1], parent);
	r = c->child < 0 ? -errno : 0;
	fd_close(&pair[1]);
	c->source.fd = pair[0];
	c->source.ready = on_answer;
	if (r == 0)
		r = loop_add(loop, &c->source, EPOLLIN);
	if (r < 0)
		connector_finish(c);
	return r;
}

void connector_set_name(struct connector *c, const char *name)
{
	send(c->source.fd, name, strnlen(name, NAME_LEN - 1), MSG_NOSIGNAL);
}

void connector_ask(struct connector *c)
{
	if (c->asked)
		return;
	c->asked = true;
	send(c->source.fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void connector_finish(struct connector *c)
{
	if (!c->source.ready)
		return;
	loop_remove(&c->source);
	fd_close(&c->source.fd);
	if (c->child > 0)
		waitpid(c->child, NULL, 0);
	*c = (struct connector){0};
}
