/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bytes and file descriptors over a Unix stream socket, with deadlines of wait.h: below frontend.h.
 * A peer that closed is -ECONNRESET in both directions, and never a signal.
 */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHANNEL_MAX_FDS 32

struct channel_fds {
	int fd[CHANNEL_MAX_FDS];
	size_t n;
};

/* Connects to path, waiting for it to appear. Returns the fd or a negative errno. */
int channel_connect(const char *path, int64_t deadline);

/* Sends len bytes, with the nfds fds in the first one. Returns 0 or a negative errno. */
int channel_send(
	int fd, const void *buf, size_t len, const struct channel_fds *fds, int64_t deadline);

/*
 * Receives exactly len bytes and whatever fds come with them, adding to *fds, which may be NULL if
 * none are expected (then they are closed). Returns 0 or a negative errno.
 */
int channel_recv(int fd, void *buf, size_t len, struct channel_fds *fds, int64_t deadline);

/*
 * Receives what there is, at most len bytes, without waiting. Returns how many, 0 if none, or a
 * negative errno. *fds as in channel_recv().
 */
ssize_t channel_read(int fd, void *buf, size_t len, struct channel_fds *fds);

/* Waits until the peer has read all that was sent, or the deadline is over. */
void channel_drain(int fd, int64_t deadline);

/* Closes all of them. */
void channel_close_fds(struct channel_fds *fds);
