/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What display_qemu.c (the connection, and what the device says) and display_qemu_send.c (the next
 * message, and its pixels) share: the state of QEMU's display.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "../protocols/vhost_user_gpu.h"
#include "damage.h"
#include "device.h"
#include "display.h"

enum {
	HEADS = VIRTIO_GPU_MAX_SCANOUTS,
	ROWS_A_SEND = 64, // pieces of one sendmsg()
	SENDS_A_TURN = 16,
	STAGE_BYTES = 64 * 1024,   // of pixels that must be converted first
	BAND_BYTES = 1 << 20,      // of pixels in one message, but for a new surface's first
	REPLIES_MAX = 128,         // that we wait for
	SOCKET_BYTES = 208 * 1024, // of its buffer: Linux doubles it and allows no more by default
	BYTES_A_PIXEL = 4,
};

/* Where the update of one scanout stands. */
enum update { IDLE, SENDING, ASKING, UNACKNOWLEDGED };

struct head {
	struct gpu_frame frame; // frame.buf: a reference; NULL: off
	bool mode_changed;      // SCANOUT is to be sent
	bool dmabuf_changed;    // DMABUF_SCANOUT is to be sent
	bool by_dmabuf;         // it was sent last
	bool new_surface;       // it was sent, and nothing since
	uint32_t width, height; // as last told to QEMU
	bool stale;             // the next flush is of all
	bool armed;             // damage is to be sent
	struct damage damage;   // flushed, not yet being sent
	struct damage sending;  // what is left of the update under way
	struct gpu_frame sent; // of which these are; sent.buf: a reference; NULL: none is under way
	enum update update;
	struct gpu_cmd *sent_for, *waiting; // flushes: of the update under way, of the damage
	struct vhost_user_gpu_cursor_update *cursor; // NULL: never shown
	bool cursor_changed, cursor_moved, cursor_visible;
};

/* The message that is being sent: bytes of ours, and perhaps pixels behind them. */
struct message {
	struct {
		struct vhost_user_gpu_header hdr;
		uint8_t payload[sizeof(struct vhost_user_gpu_cursor_update)];
	} bytes;
	size_t len, sent;    // of bytes, then of pixels
	struct dbuf *buf;    // a reference; NULL: no pixels
	struct dbuf *dmabuf; // a reference, whose descriptor goes with the first byte; NULL: none
	struct gpu_rect rect;
	struct head *head;
	uint8_t *stage; // converted rows
	uint32_t stage_from, stage_to;
};

enum reply { REPLY_HELLO, REPLY_SHOWN, REPLY_QUERY };

struct expected {
	enum reply what;
	uint32_t request;
	struct head *head;
};

struct display_qemu {
	struct display display;
	struct loop *loop;
	int sock; // -1: nobody looks
	struct loop_source source;
	bool wants_out;
	bool hello_sent, hello_done, features_sent;
	uint64_t features;
	struct head heads[HEADS];
	struct message out;
	TAILQ_HEAD(cmds, gpu_cmd) to_ask, asked;
	unsigned n_asked, orphans; // questions without reply; those whose command has ended
	/* Its DMABUF_UPDATE has not been acknowledged. There is one at a time: QEMU keeps no count. */
	struct head *showing;
	struct expected expected[REPLIES_MAX];
	unsigned expected_from, expected_to;
	struct {
		struct vhost_user_gpu_header hdr;
		union {
			uint64_t u64;
			struct virtio_gpu_resp_display_info info;
			struct virtio_gpu_resp_edid edid;
		};
		size_t have;
	} in;
};

/* QEMU is shown this dmabuf itself, not its pixels. Which of them is known once its features are. */
bool display_qemu_takes(const struct display_qemu *d, const struct dbuf *dmabuf);

/* This flush is done, if there is one. */
void display_qemu_shown(struct gpu_cmd **cmd);

/* The pixels of the update under way are in the socket, or given up. */
void display_qemu_sent(struct head *h);

/*
 * Makes the next message if none is under way, and sends of it what the socket takes. 1: there may be
 * more; 0: all is said; -EAGAIN: the socket is full; other negative errno: it is of no use any more.
 */
int display_qemu_send(struct display_qemu *d);

/* The message under way is finished, or given up. */
void display_qemu_message_done(struct message *m);
