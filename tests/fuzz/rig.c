/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "rig.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"

enum { MAX_FDS = 32, TURNS_TO_LEAVE = 4 };

static void on_closed(void *arg)
{
	struct rig *r = arg;

	FUZZ_CHECK(!r->left); // told once only
	r->left = true;
}

static void connect_rig(struct rig *r)
{
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	r->sock = pair[0];
	r->left = false;
	r->in.have = 0;
	r->vhu = vhu_create(r->loop, pair[1], r->device, r->dev, on_closed, r);
	FUZZ_CHECK(r->vhu);
}

static void make_memory(struct rig_memory *m)
{
	m->fd = memfd_create("rig", MFD_CLOEXEC);
	FUZZ_CHECK(m->fd >= 0 && ftruncate(m->fd, RIG_MEMORY_SIZE) == 0);
	m->host = mmap(NULL, RIG_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	FUZZ_CHECK(m->host != MAP_FAILED);
}

void rig_init(struct rig *r, const struct vhu_device *device, void *dev)
{
	*r = (struct rig){.sock = -1, .fds_before = fuzz_count_fds()};
	r->loop = loop_create();
	FUZZ_CHECK(r->loop);
	for (unsigned i = 0; i < RIG_MEMORIES; i++)
		make_memory(&r->memory[i]);
	if (device)
		rig_serve(r, device, dev);
}

void rig_serve(struct rig *r, const struct vhu_device *device, void *dev)
{
	r->device = device;
	r->dev = dev;
	connect_rig(r);
}

static void drop_backend(struct rig *r)
{
	vhu_destroy(r->vhu);
	r->vhu = NULL;
	fd_close(&r->sock);
}

void rig_leave(struct rig *r)
{
	if (r->vhu) {
		shutdown(r->sock, SHUT_RDWR);
		rig_turn(r, TURNS_TO_LEAVE);
	}
	FUZZ_CHECK(!r->vhu);
}

void rig_finish(struct rig *r)
{
	FUZZ_CHECK(loop_turn(r->loop, 0) == 0); // nothing is left that could run
	loop_destroy(r->loop);
	for (unsigned i = 0; i < RIG_MEMORIES; i++) {
		munmap(r->memory[i].host, RIG_MEMORY_SIZE);
		fd_close(&r->memory[i].fd);
	}
	FUZZ_CHECK(fuzz_count_fds() == r->fds_before);
}

void rig_reconnect(struct rig *r)
{
	if (!r->vhu)
		connect_rig(r);
}

void rig_turn(struct rig *r, unsigned n)
{
	for (; n; n--) {
		FUZZ_CHECK(loop_turn(r->loop, 0) == 0);
		if (r->left && r->vhu)
			drop_backend(r);
	}
}

/* ---- replies ---- */

static void check_reply(struct rig *r)
{
	const struct vhost_user_header *h = &r->in.hdr;

	FUZZ_CHECK(h->flags == (VHOST_USER_VERSION | VHOST_USER_REPLY_MASK));
	FUZZ_CHECK(h->size >= sizeof(uint64_t) && h->size <= sizeof(r->in.payload));
}

void rig_read(struct rig *r)
{
	const size_t head = sizeof(r->in.hdr);

	while (r->sock >= 0) {
		size_t want = r->in.have < head ? head : head + r->in.hdr.size;
		char *to = r->in.have < head ? (char *)&r->in.hdr + r->in.have
					     : (char *)&r->in.payload + (r->in.have - head);
		ssize_t n = recv(r->sock, to, want - r->in.have, MSG_DONTWAIT);

		if (n <= 0)
			return;
		r->in.have += (size_t)n;
		if (r->in.have == head)
			check_reply(r);
		if (r->in.have > head && r->in.have == head + r->in.hdr.size) {
			r->last = r->in.payload.u64;
			r->replies++;
			r->in.have = 0;
		}
	}
}

/* ---- requests ---- */

void rig_send(struct rig *r, const void *bytes, size_t len, const int *fds, unsigned n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * MAX_FDS)];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (r->sock < 0 || !len)
		return;
	if (n_fds) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(sizeof(int) * n_fds)};
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	n = sendmsg(r->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)n;
}

void rig_tell(struct rig *r, uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct {
		struct vhost_user_header hdr;
		uint8_t payload[sizeof(union vhost_user_payload)];
	} m = {.hdr = {request, VHOST_USER_VERSION, size}};

	if (size)
		memcpy(m.payload, payload, size);
	rig_send(r, &m, sizeof(m.hdr) + size, &fd, fd >= 0);
	rig_turn(r, 1);
	rig_read(r);
}

void rig_tell_u64(struct rig *r, uint32_t request, uint64_t value)
{
	rig_tell(r, request, &value, sizeof(value), -1);
}

static struct vhost_user_single_region region_of(unsigned i)
{
	const uint64_t gpa = i ? RIG_GPA_HIGH : RIG_GPA_LOW;

	return (struct vhost_user_single_region){
		.region = {gpa, RIG_MEMORY_SIZE, RIG_UVA + gpa, 0}};
}

void rig_add_memory(struct rig *r, unsigned i)
{
	const struct vhost_user_single_region reg = region_of(i);

	rig_tell(r, VHOST_USER_ADD_MEM_REG, &reg, sizeof(reg), r->memory[i].fd);
}

void rig_remove_memory(struct rig *r, unsigned i)
{
	const struct vhost_user_single_region reg = region_of(i);

	rig_tell(r, VHOST_USER_REM_MEM_REG, &reg, sizeof(reg), -1);
}
