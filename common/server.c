/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define LOG_TOPIC "server"
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bytes.h"
#include "fd.h"
#include "log.h"

struct server {
	struct loop *loop;
	struct server_config cfg;
	const struct vhu_device *device;
	void *dev;
	int listener; // -1: the one front-end came by descriptor
	struct loop_source source;
	struct vhu *vhu; // NULL while nobody is connected
	struct loop_job ended;
};

static void on_closed(void *arg)
{
	struct server *s = arg;

	loop_defer(s->loop, &s->ended);
}

static int serve(struct server *s, int sock)
{
	s->vhu = vhu_create(s->loop, sock, s->device, s->dev, on_closed, s);
	return s->vhu ? 0 : -ENOMEM;
}

static void on_ended(struct loop_job *job)
{
	struct server *s = CONTAINER_OF(job, struct server, ended);

	vhu_destroy(s->vhu);
	s->vhu = NULL;
	if (s->cfg.one_off || s->listener < 0)
		loop_quit(s->loop, 0);
	else
		loop_modify(&s->source, EPOLLIN);
}

/* Others wait in the backlog while one is served. */
static void on_listener(struct loop_source *source, uint32_t events)
{
	struct server *s = CONTAINER_OF(source, struct server, source);
	int sock = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (sock < 0)
		return;
	if (serve(s, sock) == 0) {
		log_info("front-end connected");
		loop_modify(source, 0);
	}
}

static bool is_served(const struct sockaddr_un *addr)
{
	_cleanup_fd_ int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return connect(probe, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN;
}

/* Leaves `path` free, or says why not: a socket that nobody serves is replaced, nothing else is. */
static int check_place(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	return is_served(&addr) ? -EADDRINUSE : 0;
}

/*
 * Listens under another name first, where that fits: whoever sees the path can connect to it at
 * once.
 */
static int listen_on(const char *path)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	struct stat st;
	int r;

	if (fd < 0)
		return -errno;
	if (len >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	r = check_place(path);
	if (r < 0)
		return r;
	memcpy(addr.sun_path, path, len + 1);
	if (len + 1 < sizeof(addr.sun_path))
		addr.sun_path[len] = '~';
	if (lstat(addr.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(addr.sun_path);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return errno == EADDRINUSE ? -EEXIST : -errno;
	if (listen(fd, 8) < 0 || rename(addr.sun_path, path) < 0) {
		r = -errno;
		unlink(addr.sun_path);
		return r;
	}
	return fd_take(&fd);
}

/* 1 for a listening socket, 0 for a connected one, negative errno for what is no stream socket. */
static int is_listening(int fd)
{
	int type = 0, accepts = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0
		|| getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) < 0)
		return -errno;
	return type == SOCK_STREAM ? accepts : -ESOCKTNOSUPPORT;
}

static int begin(struct server *s)
{
	int fd = s->cfg.path ? listen_on(s->cfg.path) : s->cfg.fd;
	int listening = fd < 0 ? fd : is_listening(fd);
	int r;

	if (listening <= 0) {
		if (listening == 0)
			return serve(s, fd);
		if (fd >= 0)
			fd_close(&fd);
		return listening;
	}
	s->listener = s->source.fd = fd;
	r = fd_set_nonblock(fd);
	return r < 0 ? r : loop_add(s->loop, &s->source, EPOLLIN);
}

int server_create(struct loop *loop, const struct server_config *config,
	const struct vhu_device *device, void *dev, struct server **out)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct server){
		.loop = loop, .cfg = *config, .device = device, .dev = dev, .listener = -1};
	s->source.ready = on_listener;
	s->ended.run = on_ended;
	r = begin(s);
	if (r < 0) {
		s->cfg.path = s->listener < 0 ? NULL : s->cfg.path; // not ours to remove
		server_destroy(s);
		return r;
	}
	*out = s;
	return 0;
}

void server_destroy(struct server *s)
{
	if (!s)
		return;
	vhu_destroy(s->vhu);
	loop_cancel(s->loop, &s->ended);
	loop_remove(&s->source);
	fd_close(&s->listener);
	if (s->cfg.path)
		unlink(s->cfg.path);
	free(s);
}
