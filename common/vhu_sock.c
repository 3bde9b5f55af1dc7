/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "vhu_sock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "fd.h"

/* Descriptors come with the first byte of a header only; others are closed and held against the
 * peer. */
static int take_fds(struct vhu_reader *r, struct msghdr *mh)
{
	int res = mh->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		const unsigned char *data = CMSG_DATA(c);
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
			if (r->have || r->msg.n_fds == VHOST_USER_MAX_FDS) {
				fd_close(&fd);
				res = -EPROTO;
			} else {
				r->msg.fds[r->msg.n_fds++] = fd;
			}
		}
	}
	return res;
}

static ssize_t receive(struct vhu_reader *r, int sock, void *buf, size_t len)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {buf, len};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	ssize_t n = recvmsg(sock, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int res;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	res = take_fds(r, &mh);
	return res < 0 ? res : n;
}

static int check_header(const struct vhost_user_header *h)
{
	if ((h->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return -EPROTO;
	return h->size > sizeof(union vhost_user_payload) ? -EPROTO : 0;
}

int vhu_reader_read(struct vhu_reader *r, int sock)
{
	const size_t head = sizeof(r->msg.hdr);

	for (;;) {
		size_t want = r->have < head ? head : head + r->msg.hdr.size;
		char *part = r->have < head ? (char *)&r->msg.hdr + r->have
					    : (char *)&r->msg.p + (r->have - head);
		ssize_t n = receive(r, sock, part, want - r->have);

		if (n <= 0)
			return (int)n;
		r->have += (size_t)n;
		if (r->have == head && check_header(&r->msg.hdr) < 0)
			return -EPROTO;
		if (r->have >= head && r->have == head + r->msg.hdr.size)
			return 1;
	}
}

void vhu_reader_reset(struct vhu_reader *r)
{
	for (unsigned i = 0; i < r->msg.n_fds; i++)
		fd_close(&r->msg.fds[i]);
	*r = (struct vhu_reader){0};
}

int vhu_send(int sock, const struct vhost_user_header *hdr, const void *payload, const int *fds,
	unsigned n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_FDS)];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov[2] = {
		{(void *)(uintptr_t)hdr, sizeof(*hdr)}, {(void *)(uintptr_t)payload, hdr->size}};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = hdr->size ? 2 : 1};
	ssize_t n;

	if (n_fds) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int) * n_fds)};
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)n == sizeof(*hdr) + hdr->size ? 0 : -EPIPE;
}
