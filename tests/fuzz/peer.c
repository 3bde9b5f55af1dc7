/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"

enum { HEAD = sizeof(struct vhost_user_gpu_header), BYTES_A_PIXEL = 4, SIDE_MAX = 16384 };

int peer_open(struct peer *p, uint64_t offered)
{
	int pair[2];

	peer_close(p);
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	FUZZ_CHECK(fd_set_nonblock(pair[0]) == 0);
	p->fd = pair[0];
	p->offered = offered;
	return pair[1];
}

void peer_close(struct peer *p)
{
	fd_close(&p->fd);
	for (unsigned i = 0; i < PEER_SCREENS; i++)
		free(p->screens[i].pixels);
	*p = (struct peer){.fd = -1};
}

/* ---- what the back-end says ---- */

/* Bytes of a message's payload, without pixels. */
static uint32_t payload_size(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GPU_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GPU_GET_DISPLAY_INFO:
		return 0;
	case VHOST_USER_GPU_SET_PROTOCOL_FEATURES:
		return sizeof(uint64_t);
	case VHOST_USER_GPU_CURSOR_POS:
	case VHOST_USER_GPU_CURSOR_POS_HIDE:
		return sizeof(struct vhost_user_gpu_cursor_pos);
	case VHOST_USER_GPU_CURSOR_UPDATE:
		return sizeof(struct vhost_user_gpu_cursor_update);
	case VHOST_USER_GPU_SCANOUT:
		return sizeof(struct vhost_user_gpu_scanout);
	case VHOST_USER_GPU_UPDATE:
		return sizeof(struct vhost_user_gpu_update);
	case VHOST_USER_GPU_GET_EDID:
		return sizeof(struct vhost_user_gpu_edid_request);
	default:
		return UINT32_MAX;
	}
}

static void check_header(const struct peer *p)
{
	const struct vhost_user_gpu_header *h = &p->m.hdr;
	uint32_t size = payload_size(h->request);

	FUZZ_CHECK(size != UINT32_MAX && h->flags == 0);
	if (h->request == VHOST_USER_GPU_UPDATE)
		FUZZ_CHECK(h->size > size);
	else
		FUZZ_CHECK(h->size == size);
}

/* An update lies within what its scanout was last said to be. */
static void check_update(const struct peer *p)
{
	const struct vhost_user_gpu_update *u = &p->m.update;
	const struct peer_screen *s = &p->screens[u->scanout_id];

	FUZZ_CHECK(u->scanout_id < PEER_SCREENS && s->pixels);
	FUZZ_CHECK(u->width && range_within(u->x, u->width, s->width));
	FUZZ_CHECK(u->height && range_within(u->y, u->height, s->height));
	FUZZ_CHECK(p->m.hdr.size == sizeof(*u) + (uint64_t)u->width * u->height * BYTES_A_PIXEL);
}

static void on_features(struct peer *p)
{
	FUZZ_CHECK(!p->has_features); // told once
	FUZZ_CHECK(p->lied || (p->told_features && !(p->m.u64 & ~p->offered)));
	p->has_features = true;
	p->features = p->m.u64;
}

static void on_scanout(struct peer *p)
{
	const struct vhost_user_gpu_scanout *m = &p->m.scanout;
	struct peer_screen *s = &p->screens[m->scanout_id];

	FUZZ_CHECK(m->scanout_id < PEER_SCREENS && !m->width == !m->height);
	FUZZ_CHECK(m->width <= SIDE_MAX && m->height <= SIDE_MAX);
	free(s->pixels);
	*s = (struct peer_screen){m->width, m->height, NULL};
	if (!m->width)
		return;
	s->pixels = calloc((size_t)m->width * m->height, BYTES_A_PIXEL);
	FUZZ_CHECK(s->pixels);
}

static void on_cursor(struct peer *p)
{
	const struct vhost_user_gpu_cursor_pos *pos = &p->m.pos;
	const bool hide = p->m.hdr.request == VHOST_USER_GPU_CURSOR_POS_HIDE;

	FUZZ_CHECK(pos->scanout_id < PEER_SCREENS);
	p->cursors[pos->scanout_id] = (struct peer_cursor){true, !hide, pos->x, pos->y};
}

static void on_question(struct peer *p)
{
	if (p->m.hdr.request == VHOST_USER_GPU_GET_EDID)
		FUZZ_CHECK(p->lied || p->features & BIT(VHOST_USER_GPU_PROTOCOL_F_EDID));
	if (p->m.hdr.request != VHOST_USER_GPU_GET_PROTOCOL_FEATURES)
		FUZZ_CHECK(p->has_features);
	FUZZ_CHECK(p->asked - p->answered < PEER_QUESTIONS);
	p->questions[p->asked++ % PEER_QUESTIONS] = p->m.hdr.request;
}

static void on_message(struct peer *p)
{
	switch (p->m.hdr.request) {
	case VHOST_USER_GPU_SET_PROTOCOL_FEATURES:
		on_features(p);
		break;
	case VHOST_USER_GPU_SCANOUT:
		on_scanout(p);
		break;
	case VHOST_USER_GPU_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GPU_GET_DISPLAY_INFO:
	case VHOST_USER_GPU_GET_EDID:
		on_question(p);
		break;
	case VHOST_USER_GPU_CURSOR_POS:
	case VHOST_USER_GPU_CURSOR_POS_HIDE:
	case VHOST_USER_GPU_CURSOR_UPDATE:
		on_cursor(p);
		break;
	default:
		break;
	}
}

/* Pixels of the update under way, `off` bytes behind its first one. Returns how many fit a row. */
static size_t draw(struct peer *p, size_t off, const uint8_t *bytes, size_t len)
{
	const struct vhost_user_gpu_update *u = &p->m.update;
	const struct peer_screen *s = &p->screens[u->scanout_id];
	const size_t stride = (size_t)u->width * BYTES_A_PIXEL, x = off % stride;
	const size_t y = u->y + off / stride;

	if (len > stride - x)
		len = stride - x;
	memcpy((uint8_t *)(s->pixels + y * s->width + u->x) + x, bytes, len);
	return len;
}

/* Takes what belongs to one part of the message under way. Returns how many bytes that were. */
static size_t feed(struct peer *p, const uint8_t *bytes, size_t len)
{
	const size_t fixed = HEAD + (p->have < HEAD ? 0 : payload_size(p->m.hdr.request));

	if (p->have >= fixed && p->have > HEAD) {
		len = draw(p, p->have - fixed, bytes, len);
		p->have += len;
	} else {
		if (len > fixed - p->have)
			len = fixed - p->have;
		memcpy(p->have < HEAD ? (uint8_t *)&p->m.hdr + p->have
				      : (uint8_t *)&p->m.u64 + (p->have - HEAD),
			bytes, len);
		p->have += len;
		if (p->have == HEAD)
			check_header(p);
		else if (p->have == fixed && p->m.hdr.request == VHOST_USER_GPU_UPDATE)
			check_update(p);
	}
	if (p->have >= HEAD && p->have == HEAD + (size_t)p->m.hdr.size) {
		on_message(p);
		p->have = 0;
	}
	return len;
}

bool peer_read(struct peer *p, size_t max)
{
	static uint8_t buf[65536];
	ssize_t n;

	if (p->fd < 0)
		return false;
	n = recv(p->fd, buf, max > sizeof(buf) ? sizeof(buf) : max, MSG_DONTWAIT);
	FUZZ_CHECK(n != 0 || p->lied); // nobody leaves one that keeps the rules
	for (ssize_t at = 0; at < n;)
		at += (ssize_t)feed(p, buf + at, (size_t)(n - at));
	return n > 0;
}

/* ---- what we say ---- */

static void say(struct peer *p, const void *bytes, size_t len)
{
	ssize_t n = p->fd < 0 ? 0 : send(p->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)n; // the back-end may have gone, or reads nothing more
}

void peer_leave(struct peer *p, int how)
{
	p->lied = true;
	if (p->fd >= 0)
		shutdown(p->fd, how);
}

void peer_lie(struct peer *p, const void *bytes, size_t len)
{
	p->lied = true;
	say(p, bytes, len);
}

bool peer_answer(struct peer *p)
{
	union {
		uint64_t u64;
		struct virtio_gpu_resp_display_info info;
		struct virtio_gpu_resp_edid edid;
	} m = {0};
	struct vhost_user_gpu_header hdr = {0, VHOST_USER_GPU_REPLY_MASK, sizeof(m.u64)};

	if (p->fd < 0 || p->asked == p->answered)
		return false;
	hdr.request = p->questions[p->answered++ % PEER_QUESTIONS];
	if (hdr.request == VHOST_USER_GPU_GET_DISPLAY_INFO) {
		hdr.size = sizeof(m.info);
	} else if (hdr.request == VHOST_USER_GPU_GET_EDID) {
		hdr.size = sizeof(m.edid);
		m.edid.size = to_le32(128);
	} else {
		m.u64 = p->offered;
		p->told_features = true;
	}
	say(p, &hdr, sizeof(hdr));
	say(p, &m, hdr.size);
	return true;
}
