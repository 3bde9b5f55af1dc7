/* SPDX-License-Identifier: MIT */
#include "frontend.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wait.h"

#define MAX_MESSAGE 65536
#define CONNECT_MS  60000
#define PIECE_MS    100 /* for a back-end that leaves a part of a message unread */

/* Life */

void frontend_adopt(struct frontend *f, int fd)
{
	*f = (struct frontend){.fd = fd, .backend_fd = -1, .timeout_ms = WAIT_DEFAULT};
}

int frontend_connect(struct frontend *f, const char *path)
{
	int fd = channel_connect(path, wait_deadline(CONNECT_MS)); // it may be beginning

	frontend_adopt(f, fd);
	return fd < 0 ? fd : 0;
}

void frontend_close(struct frontend *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->backend_fd >= 0)
		close(f->backend_fd);
	f->fd = f->backend_fd = -1;
}

/* Messages */

static int collect_fds(struct channel_fds *to, const struct frontend_msg *msg)
{
	to->n = msg->nfds;
	if (msg->nfds > CHANNEL_MAX_FDS)
		return -EINVAL;
	if (msg->nfds > 0)
		memcpy(to->fd, msg->fds, msg->nfds * sizeof(int));
	return 0;
}

int frontend_send(struct frontend *f, const struct frontend_msg *msg)
{
	return frontend_send_pieces(f, msg, NULL, 0);
}

int frontend_send_pieces(
	struct frontend *f, const struct frontend_msg *msg, const size_t *cuts, size_t n)
{
	struct vhost_user_header header = {msg->request, msg->flags, msg->size};
	size_t begin = 0, len = sizeof(header) + msg->len;
	int64_t deadline = wait_deadline(f->timeout_ms);
	struct channel_fds fds;
	uint8_t buf[MAX_MESSAGE];
	int rc = collect_fds(&fds, msg);

	if (rc < 0 || len > sizeof(buf))
		return -EINVAL;
	memcpy(buf, &header, sizeof(header));
	if (msg->len > 0)
		memcpy(buf + sizeof(header), msg->payload, msg->len);
	for (size_t i = 0; rc == 0 && i <= n; i++) {
		size_t end = i < n ? cuts[i] : len;

		if (i > 0)
			channel_drain(f->fd, wait_deadline(PIECE_MS));
		rc = channel_send(f->fd, buf + begin, end - begin, i ? NULL : &fds, deadline);
		begin = end;
	}
	return rc;
}

int frontend_send_bytes(struct frontend *f, const void *bytes, size_t len)
{
	return channel_send(f->fd, bytes, len, NULL, wait_deadline(f->timeout_ms));
}

static int recv_on(int fd, struct frontend_reply *reply, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	int rc;

	reply->fds.n = 0;
	rc = channel_recv(fd, &reply->header, sizeof(reply->header), &reply->fds, deadline);
	if (rc == 0 && reply->header.size > sizeof(reply->payload))
		rc = -EBADMSG;
	if (rc == 0)
		rc = channel_recv(fd, reply->payload, reply->header.size, &reply->fds, deadline);
	if (rc < 0)
		frontend_reply_close(reply);
	return rc;
}

int frontend_recv(struct frontend *f, struct frontend_reply *reply)
{
	return recv_on(f->fd, reply, f->timeout_ms);
}

void frontend_reply_close(struct frontend_reply *reply)
{
	channel_close_fds(&reply->fds);
}

int frontend_wait_close(struct frontend *f)
{
	struct frontend_reply reply;
	int rc = frontend_recv(f, &reply);

	if (rc == 0)
		frontend_reply_close(&reply);
	return rc == -ECONNRESET ? 0 : rc == 0 || rc == -EBADMSG ? -EBUSY : rc;
}

/* Reads the reply to request. */
static int recv_reply(struct frontend *f, uint32_t request, struct frontend_reply *reply)
{
	uint32_t flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK;
	int rc = frontend_recv(f, reply);

	if (rc < 0)
		return rc;
	if (reply->header.request == request && reply->header.flags == flags)
		return 0;
	frontend_reply_close(reply);
	return -EBADMSG;
}

/* Takes the u64 out of a reply that has to be nothing else. */
static int take_u64(struct frontend_reply *reply, uint64_t *value)
{
	size_t nfds = reply->fds.n;

	frontend_reply_close(reply);
	if (reply->header.size != sizeof(*value) || nfds > 0)
		return -EBADMSG;
	memcpy(value, reply->payload, sizeof(*value));
	return 0;
}

int frontend_ask(struct frontend *f, uint32_t request, const void *payload, uint32_t size,
	struct frontend_reply *reply)
{
	struct frontend_msg msg = {.request = request,
		.flags = VHOST_USER_VERSION,
		.size = size,
		.payload = payload,
		.len = size};
	int rc = frontend_send(f, &msg);

	return rc < 0 ? rc : recv_reply(f, request, reply);
}

int frontend_get_u64(struct frontend *f, uint32_t request, uint64_t *value)
{
	struct frontend_reply reply;
	int rc = frontend_ask(f, request, NULL, 0, &reply);

	return rc < 0 ? rc : take_u64(&reply, value);
}

int frontend_read_ack(struct frontend *f, uint32_t request)
{
	struct frontend_reply reply;
	uint64_t error;
	int rc = recv_reply(f, request, &reply);

	if (rc == 0)
		rc = take_u64(&reply, &error);
	return rc < 0 ? rc : error ? -EREMOTEIO : 0;
}

int frontend_ack(struct frontend *f, const struct frontend_msg *msg)
{
	struct frontend_msg with = *msg;
	int rc;

	with.flags |= FRONTEND_NEED_REPLY;
	rc = frontend_send(f, &with);
	return rc < 0 ? rc : frontend_read_ack(f, msg->request);
}

int frontend_tell_fd(
	struct frontend *f, uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct frontend_msg msg = {.request = request,
		.flags = VHOST_USER_VERSION,
		.size = size,
		.payload = payload,
		.len = size,
		.fds = &fd,
		.nfds = fd >= 0};

	if (f->acks && f->protocol >> VHOST_USER_PROTOCOL_F_REPLY_ACK & 1)
		return frontend_ack(f, &msg);
	return frontend_send(f, &msg);
}

int frontend_tell(struct frontend *f, uint32_t request, const void *payload, uint32_t size)
{
	return frontend_tell_fd(f, request, payload, size, -1);
}

int frontend_tell_u64(struct frontend *f, uint32_t request, uint64_t value)
{
	return frontend_tell(f, request, &value, sizeof(value));
}

int frontend_barrier(struct frontend *f)
{
	uint64_t ignored;

	return frontend_get_u64(f, VHOST_USER_GET_FEATURES, &ignored);
}

/* The back-end's channel */

int frontend_open_channel(struct frontend *f)
{
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (f->backend_fd >= 0)
		close(f->backend_fd);
	f->backend_fd = pair[0];
	rc = frontend_tell_fd(f, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, pair[1]);
	close(pair[1]);
	return rc;
}

int frontend_channel_recv(struct frontend *f, struct frontend_reply *request)
{
	return recv_on(f->backend_fd, request, f->timeout_ms);
}

int frontend_channel_answer(struct frontend *f, uint32_t request, uint64_t value)
{
	struct {
		struct vhost_user_header header;
		uint8_t value[sizeof(value)];
	} answer = {.header = {.request = request,
			    .flags = VHOST_USER_VERSION | VHOST_USER_REPLY_MASK,
			    .size = sizeof(value)}};

	memcpy(answer.value, &value, sizeof(value));
	return channel_send(
		f->backend_fd, &answer, sizeof(answer), NULL, wait_deadline(f->timeout_ms));
}
