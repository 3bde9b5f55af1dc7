/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A daemon under test as a child process: started with a connected socket or with a path to listen
 * on, its stdout read by line, its open files and memory counted, stopped and its end looked at. It
 * dies with the test.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_MAX_ARGS 32
#define CHILD_KILLED   128 /* plus the signal: how child_wait() reports one */

/* Whether the test, and so its daemon, has a sanitizer, whose memory is beyond all limits. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct daemon_child {
	pid_t pid;  // 0 when there is none
	int pidfd;  // owned
	int out;    // its stdout, owned, non-blocking
	int fd;     // child_start_fd(): our end; take it with child_take_fd()
	int status; // what child_wait() said
	char line[4096];
	size_t len; // of what is in line
};

/*
 * The binary to test: argv[1] of the test if it has one, else what the environment variable name
 * (such as VIRGA_GPU) holds, else NULL.
 */
const char *child_binary(const char *name, int argc, char **argv);

/* Starts binary with args (NULL at the end, or NULL for none). Returns 0 or a negative errno. */
int child_start(struct daemon_child *d, const char *binary, const char *const *args);

/* The same with --fd=N before args: one end of a socket pair, whose other end is d->fd. */
int child_start_fd(struct daemon_child *d, const char *binary, const char *const *args);

/* The same with --socket-path=path before args. frontend_connect() waits for it to listen. */
int child_start_path(
	struct daemon_child *d, const char *binary, const char *path, const char *const *args);

/* Hands out d->fd, for frontend_adopt(). */
int child_take_fd(struct daemon_child *d);

/*
 * Reads a line of its stdout into buf, without its end. Returns 0, -ETIMEDOUT, -ECONNRESET at the
 * end, or -EMSGSIZE for a line that does not fit.
 */
int child_line(struct daemon_child *d, char *buf, size_t room, int timeout_ms);

/* Does it run? One that has ended and is not waited for does not. */
bool child_is_alive(const struct daemon_child *d);

/*
 * How many files it has open: of a daemon, which is asked by SIGUSR1; other lines of its stdout before
 * the answer are lost. And its resident memory in KiB. Negative errno when it is gone.
 */
int child_count_fds(struct daemon_child *d);
long child_rss_kib(const struct daemon_child *d);

/* Sends it a signal. */
int child_signal(const struct daemon_child *d, int signal);

/*
 * Waits for its end. Returns its exit status, CHILD_KILLED + the signal that ended it, or
 * -ETIMEDOUT.
 */
int child_wait(struct daemon_child *d, int timeout_ms);

/* SIGTERM, child_wait(), SIGKILL when that takes too long (then -ETIMEDOUT), and all is closed. */
int child_stop(struct daemon_child *d);

/* Kills it if it runs and closes all: for the end of a test, however that came about. */
void child_kill(struct daemon_child *d);
