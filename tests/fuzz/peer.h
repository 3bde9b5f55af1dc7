/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The other end of the display's socket: what the back-end says is checked as it comes, down to
 * every rectangle, and answered when the target wants it, rightly or wrongly.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_gpu.h>

#include "protocols/vhost_user_gpu.h"

enum { PEER_SCREENS = VIRTIO_GPU_MAX_SCANOUTS, PEER_QUESTIONS = 256 };

struct peer_screen {
	uint32_t width, height;
	uint32_t *pixels; // NULL: off
};

struct peer_cursor {
	bool known, visible;
	uint32_t x, y;
};

struct peer {
	int fd;           // -1: closed
	uint64_t offered; // features
	bool told_features, has_features;
	bool lied; // or left: the back-end may leave, too
	uint64_t features;
	uint32_t questions[PEER_QUESTIONS]; // not answered yet
	unsigned asked, answered;
	struct peer_screen screens[PEER_SCREENS];
	struct peer_cursor cursors[PEER_SCREENS];
	struct {
		struct vhost_user_gpu_header hdr;
		union {
			uint64_t u64;
			struct vhost_user_gpu_cursor_pos pos;
			struct vhost_user_gpu_cursor_update cursor;
			struct vhost_user_gpu_scanout scanout;
			struct vhost_user_gpu_update update;
			struct vhost_user_gpu_edid_request edid;
		};
	} m;
	size_t have; // of the message under way, its pixels too
};

/* A new pair of sockets; one from before is closed. Returns the back-end's end. */
int peer_open(struct peer *p, uint64_t offered);
void peer_close(struct peer *p);

/* Reads up to max bytes. True when there were any. */
bool peer_read(struct peer *p, size_t max);

/* Gives the next right answer. False when there is no question. */
bool peer_answer(struct peer *p);

/* Closes one direction: SHUT_RD or SHUT_WR. */
void peer_leave(struct peer *p, int how);

/* Says anything. */
void peer_lie(struct peer *p, const void *bytes, size_t len);
