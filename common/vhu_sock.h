/* SPDX-License-Identifier: MIT */
#pragma once
/* One vhost-user message at a time over a stream socket that may deliver it in pieces, with its
 * fds. */
#include <stddef.h>
#include <stdint.h>

#include "../protocols/vhost_user.h"

struct vhu_msg {
	struct vhost_user_header hdr;
	union vhost_user_payload p;
	int fds[VHOST_USER_MAX_FDS]; // owned by the message; a handler takes what it keeps
	unsigned n_fds;
};

/* What has arrived of the message under way. All zero to begin with. */
struct vhu_reader {
	struct vhu_msg msg;
	size_t have; // bytes, header included
};

/*
 * Goes on reading. 1: r->msg is whole, to be given back with vhu_reader_reset(); -EAGAIN: more is
 * to come; 0: the peer left; -EPROTO: a wrong version, a payload beyond every known one,
 * descriptors elsewhere than with the first byte or more than fit; other negative errno.
 */
int vhu_reader_read(struct vhu_reader *r, int sock);

/* Forgets the message and closes the fds that nobody took. */
void vhu_reader_reset(struct vhu_reader *r);

/*
 * Sends header, payload and fds whole, without blocking: -EAGAIN (nothing was sent) or another
 * negative errno. A part of a message can be left unsent only when the peer lets its socket fill
 * up: -EPIPE.
 */
int vhu_send(int sock, const struct vhost_user_header *hdr, const void *payload, const int *fds,
	unsigned n_fds);
