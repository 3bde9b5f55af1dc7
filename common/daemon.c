/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "fd.h"
#include "gmem.h"
#include "server.h"

struct loop *daemon_loop(void)
{
	sigset_t ours;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGUSR1);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	fd_raise_limit();
	if (gmem_catch_faults() < 0)
		return NULL;
	return loop_create();
}

static void on_end(struct loop_source *source, uint32_t events)
{
	(void)events;
	loop_quit(source->loop, EXIT_OK);
}

/* Once it is locked in, nobody but root can count them from outside. */
static void on_question(struct loop_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	while (read(source->fd, &info, sizeof(info)) > 0)
		;
	printf("descriptors=%u\n", fd_count_open());
	fflush(stdout);
}

static int watch_signals(struct loop *loop, struct loop_source *source, const int *signals,
	void (*ready)(struct loop_source *source, uint32_t events))
{
	sigset_t set;

	sigemptyset(&set);
	for (; *signals; signals++)
		sigaddset(&set, *signals);
	source->ready = ready;
	source->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return source->fd < 0 ? -errno : loop_add(loop, source, EPOLLIN);
}

static int explain(const struct options *o, int error)
{
	if (!o->socket_path)
		return options_fail(o, EXIT_RUNTIME,
			"--fd=%d: %s; it must be an open stream socket", o->fd, strerror(-error));
	switch (error) {
	case -EADDRINUSE:
		return options_fail(o, EXIT_RUNTIME,
			"%s: another process serves this socket; end it or choose another path",
			o->socket_path);
	case -EEXIST:
		return options_fail(o, EXIT_RUNTIME,
			"%s: a file that is no socket is there; remove it or choose another path",
			o->socket_path);
	case -EACCES:
	case -EPERM:
		return options_fail(o, EXIT_RUNTIME,
			"%s: no permission to make a socket there; choose a folder of your own, "
			"such as $XDG_RUNTIME_DIR",
			o->socket_path);
	case -ENOENT:
		return options_fail(o, EXIT_RUNTIME, "%s: its folder does not exist; make it first",
			o->socket_path);
	case -ENAMETOOLONG:
		return options_fail(o, EXIT_RUNTIME,
			"%s: longer than the 107 bytes of a socket's path; choose a shorter one",
			o->socket_path);
	default:
		return options_fail(o, EXIT_RUNTIME, "%s: %s", o->socket_path, strerror(-error));
	}
}

/*
 * What is here by now stays: sockets, threads, the signals' descriptor. The socket's path can no
 * longer be removed from inside.
 */
static int lock_in(const struct options *o, struct sandbox_remover *remover)
{
	int r;

	if (!o->sandbox || o->seccomp == SANDBOX_NONE)
		return EXIT_OK;
	r = o->socket_path ? sandbox_remover_start(remover, o->socket_path) : 0;
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME, "no process can be started: %s", strerror(-r));
	r = sandbox_enter(o->seccomp, o->sandbox);
	if (r < 0)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--seccomp: this kernel or container refuses it (%s); leave the option out "
			"to go on without",
			strerror(-r));
	return EXIT_OK;
}

int daemon_serve(
	struct loop *loop, const struct options *o, const struct vhu_device *device, void *dev)
{
	const struct server_config cfg = {o->socket_path, o->fd, o->one_off};
	struct sandbox_remover remover = SANDBOX_REMOVER_NONE;
	struct loop_source ends = {.fd = -1}, questions = {.fd = -1};
	struct server *server;
	int status;
	int r = watch_signals(loop, &ends, (const int[]){SIGTERM, SIGINT, 0}, on_end);

	if (r == 0)
		r = watch_signals(loop, &questions, (const int[]){SIGUSR1, 0}, on_question);
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME, "no signalfd: %s", strerror(-r));
	r = server_create(loop, &cfg, device, dev, &server);
	if (r < 0) {
		fd_close(&ends.fd);
		fd_close(&questions.fd);
		return explain(o, r);
	}
	status = lock_in(o, &remover);
	if (status == EXIT_OK) {
		r = loop_run(loop);
		status = r < 0
			? options_fail(o, EXIT_RUNTIME, "the event loop ended: %s", strerror(-r))
			: r;
	}
	server_destroy(server);
	sandbox_remover_finish(&remover);
	fd_close(&ends.fd);
	fd_close(&questions.fd);
	return status;
}
