/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wait.h"

union control {
	char buf[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))];
	struct cmsghdr align;
};

int channel_connect(const char *path, int64_t deadline)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timespec pause = {.tv_nsec = 5000000};
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int rc = -errno;

		if ((rc != -ENOENT && rc != -ECONNREFUSED && rc != -EINTR)
			|| !wait_left(deadline)) {
			close(fd);
			return rc;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

static void attach(struct msghdr *m, union control *c, const struct channel_fds *fds)
{
	size_t bytes = fds->n * sizeof(int);
	struct cmsghdr *h;

	memset(c, 0, sizeof(*c));
	m->msg_control = c->buf;
	m->msg_controllen = CMSG_SPACE(bytes);
	h = CMSG_FIRSTHDR(m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(h), fds->fd, bytes);
}

static int gone(int error)
{
	return error == EPIPE ? -ECONNRESET : -error;
}

int channel_send(
	int fd, const void *buf, size_t len, const struct channel_fds *fds, int64_t deadline)
{
	const char *p = buf;
	union control c;

	while (len > 0) {
		struct iovec iov = {(void *)(uintptr_t)p, len};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		if (p == buf && fds && fds->n > 0)
			attach(&m, &c, fds);
		n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			int rc = wait_fd(fd, POLLOUT, deadline);

			if (rc < 0)
				return rc;
		} else if (n < 0 && errno != EINTR) {
			return gone(errno);
		} else if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Adds the fds of m to *fds, or closes them. */
static void detach(struct msghdr *m, struct channel_fds *fds)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (fds && fds->n < CHANNEL_MAX_FDS)
				fds->fd[fds->n++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t channel_read(int fd, void *buf, size_t len, struct channel_fds *fds)
{
	union control c;
	struct iovec iov = {buf, len};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = c.buf,
		.msg_controllen = sizeof(c.buf)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	detach(&m, fds);
	return n;
}

int channel_recv(int fd, void *buf, size_t len, struct channel_fds *fds, int64_t deadline)
{
	char *p = buf;

	while (len > 0) {
		int rc = wait_fd(fd, POLLIN, deadline);
		ssize_t n;

		if (rc < 0)
			return rc;
		n = channel_read(fd, p, len, fds);
		if (n < 0)
			return (int)n;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

void channel_drain(int fd, int64_t deadline)
{
	struct timespec pause = {.tv_nsec = 200000};
	int queued = 0;

	while (ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0 && wait_left(deadline) > 0)
		nanosleep(&pause, NULL);
}

void channel_close_fds(struct channel_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		close(fds->fd[i]);
	fds->n = 0;
}
