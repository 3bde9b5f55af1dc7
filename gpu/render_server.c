/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define LOG_TOPIC "virgl"
#include "render_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

enum { SERVER_FD = 3 };

static pid_t server; // 0: none was started

/* Where Debian and most others have it. virglrenderer 1.0 and newer look at the variable, too. */
static const char *path_of_server(void)
{
	const char *path = getenv("RENDER_SERVER_EXEC_PATH");

	return path && *path ? path : "/usr/libexec/virgl_render_server";
}

/* A guest can make it complain without end: who looks for a fault wants to hear it. */
static bool is_heard(enum sandbox_mode seccomp)
{
	return seccomp != SANDBOX_AUTO && seccomp != SANDBOX_KILL;
}

/* Of memory that is not shared with anybody. */
static void limit_memory(const struct part_inside *part)
{
	const struct rlimit limit = {part->memory, part->memory};

	if (!part->is_thread)
		setrlimit(RLIMIT_DATA, &limit);
}

static void __attribute__((noreturn))
become_server(int sock, const char *path, const struct part_inside *part)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	dup2(sock, SERVER_FD);
	if (!is_heard(part->seccomp))
		dup2(null, STDERR_FILENO);
	close_range(SERVER_FD + 1, ~0u, 0);
	limit_memory(part);
	if (sandbox_become(part->seccomp) == 0)
		execl(path, "virgl_render_server", "--socket-fd", "3", NULL);
	_exit(1);
}

int render_server_start(const struct part_inside *part)
{
	const char *path = path_of_server();
	int pair[2];

	if (access(path, X_OK) < 0) {
		log_err("%s: %s; Vulkan needs it (Debian's package virgl-server)", path,
			strerror(errno));
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	server = fork();
	if (server == 0)
		become_server(pair[1], path, part);
	fd_close(&pair[1]);
	if (server < 0)
		fd_close(&pair[0]);
	return server < 0 ? -1 : pair[0];
}

bool render_server_has_ended(void)
{
	return server > 0 && waitpid(server, NULL, WNOHANG) != 0;
}
