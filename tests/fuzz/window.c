/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "window.h"

#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"

enum { PAGE = 4096, REGION = 1 };

void window_open(struct window *w, struct rig *r, uint64_t size)
{
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	*w = (struct window){.fd = pair[0], .size = size};
	rig_tell(r, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	fd_close(&pair[1]);
}

void window_close(struct window *w)
{
	fd_close(&w->fd);
	w->n = 0;
}

/* How much was there: none of it, or all. With a descriptor or -1. */
static size_t take(struct window *w, void *bytes, size_t len, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {bytes, len};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	ssize_t n = recvmsg(w->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;

	if (n == 0)
		window_close(w);
	if (n <= 0)
		return 0;
	FUZZ_CHECK((size_t)n == len);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return len;
}

static bool is_free(const struct window *w, const struct vhost_user_shmem_map *m)
{
	for (unsigned i = 0; i < w->n; i++)
		if (!w->ranges[i].refused && w->ranges[i].at < m->shm_offset + m->len
			&& m->shm_offset < w->ranges[i].at + w->ranges[i].len)
			return false;
	return true;
}

/* Whole pages of a file, within the window, and over nothing else. */
static void map(struct window *w, const struct vhost_user_shmem_map *m, int fd, bool refused)
{
	FUZZ_CHECK(fd >= 0 && m->flags == VHOST_USER_SHMEM_RW);
	FUZZ_CHECK(m->len && range_within(m->shm_offset, m->len, w->size));
	FUZZ_CHECK((m->len | m->shm_offset | m->fd_offset) % PAGE == 0);
	FUZZ_CHECK(is_free(w, m) && w->n < WINDOW_RANGES);
	w->ranges[w->n++] = (struct window_range){m->shm_offset, m->len, refused};
}

/* The whole of what was mapped at once. */
static void unmap(struct window *w, const struct vhost_user_shmem_map *m, int fd)
{
	unsigned found = w->n;

	FUZZ_CHECK(fd < 0);
	for (unsigned i = 0; i < w->n; i++)
		if (w->ranges[i].at == m->shm_offset && w->ranges[i].len == m->len
			&& (found == w->n || !w->ranges[i].refused))
			found = i;
	FUZZ_CHECK(found < w->n);
	w->ranges[found] = w->ranges[--w->n];
}

bool window_answer(struct window *w, bool refuse)
{
	struct {
		struct vhost_user_header hdr;
		uint64_t result;
	} __attribute__((packed)) reply = {.result = refuse};
	struct vhost_user_shmem_map m;
	int fd = -1, none = -1;

	if (w->fd < 0 || !take(w, &reply.hdr, sizeof(reply.hdr), &fd))
		return false;
	if (reply.hdr.request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG)
		return true;
	FUZZ_CHECK(reply.hdr.size == sizeof(m) && reply.hdr.flags & VHOST_USER_NEED_REPLY_MASK);
	FUZZ_CHECK(take(w, &m, sizeof(m), &none) == sizeof(m) && none < 0 && m.shmid == REGION);
	if (reply.hdr.request == VHOST_USER_BACKEND_SHMEM_MAP)
		map(w, &m, fd, refuse);
	else
		unmap(w, &m, fd);
	fd_close(&fd);
	reply.hdr.flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;
	reply.hdr.size = sizeof(reply.result);
	window_lie(w, &reply, sizeof(reply));
	return true;
}

void window_lie(struct window *w, const void *bytes, size_t len)
{
	if (w->fd >= 0 && len)
		send(w->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}
