/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

void fd_signal(int fd)
{
	const uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n; // full or dead: the peer sees to its own descriptor
}

int fd_memfd(const char *name, uint64_t size)
{
	_cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (size > INT64_MAX || ftruncate(fd, (off_t)size) < 0)
		return size > INT64_MAX ? -EFBIG : -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return -errno;
	return fd_take(&fd);
}

/* The lowest number that is free is taken first: beyond so many there are none. */
enum { LOOK_AT_MAX = 1 << 16, LOOK_AT_ONCE = 64 };

unsigned fd_count_open(void)
{
	struct pollfd fds[LOOK_AT_ONCE];
	unsigned open = 0;

	for (int from = 0; from < LOOK_AT_MAX; from += LOOK_AT_ONCE) {
		for (int i = 0; i < LOOK_AT_ONCE; i++)
			fds[i] = (struct pollfd){.fd = from + i};
		if (poll(fds, LOOK_AT_ONCE, 0) < 0)
			break;
		for (int i = 0; i < LOOK_AT_ONCE; i++)
			open += !(fds[i].revents & POLLNVAL);
	}
	return open;
}

unsigned fd_raise_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 1024;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		getrlimit(RLIMIT_NOFILE, &lim);
	return lim.rlim_cur > 1u << 20 ? 1u << 20 : (unsigned)lim.rlim_cur;
}
