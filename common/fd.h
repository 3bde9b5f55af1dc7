/* SPDX-License-Identifier: MIT */
#pragma once
/* File descriptors: who owns one is always plain to see. -1 means none. */
#include <stddef.h>
#include <stdint.h>

/* Closes *fd when there is one and leaves -1. errno is kept. */
void fd_close(int *fd);

/* Moves the descriptor out: the caller owns it, *fd is left -1. */
int fd_take(int *fd);

#define _cleanup_fd_ __attribute__((cleanup(fd_close)))

/* Sets O_NONBLOCK and FD_CLOEXEC. 0 or negative errno. */
int fd_set_nonblock(int fd);

/* Adds 1 to an eventfd without ever blocking (the fd is nonblocking). Errors are the peer's. */
void fd_signal(int fd);

/* A sealed-against-shrinking memfd of `size` bytes, named for /proc. Owned by the caller; negative
 * errno. */
int fd_memfd(const char *name, uint64_t size);

/* How many descriptors this process has open, also where it may not look into /proc. */
unsigned fd_count_open(void);

/* Raises the soft limit of open files to the hard one and returns what is then in force. */
unsigned fd_raise_limit(void);
