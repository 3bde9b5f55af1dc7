/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The other end of the VHOST_USER_GPU_SET_SOCKET socket, as QEMU plays it: it answers what the
 * back-end asks and keeps what the back-end draws, one picture a scanout and one cursor. It can be
 * told to behave badly. Nothing happens but inside of display_peer_pump().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/virtio_gpu.h>

#include "protocols/vhost_user_gpu.h"

#define DISPLAY_PEER_SCREENS  VIRTIO_GPU_MAX_SCANOUTS
#define DISPLAY_PEER_REQUESTS 16

struct display_picture {
	uint32_t width, height;
	uint32_t *pixels; // x8r8g8b8, width * height of them, NULL if there is none
};

struct display_screen {
	struct display_picture next;  // of the last SCANOUT, drawn to by UPDATE
	struct display_picture shown; // what a person sees; QEMU swaps at the first UPDATE
	bool swapped;                 // next has been shown: its pixels lie in shown
	uint32_t x, y, w, h;          // of the last UPDATE
	uint64_t updates;
	int dmabuf;                               // of the last DMABUF_SCANOUT, owned, -1 if none
	struct vhost_user_gpu_dmabuf_scanout2 as; // what it said of it
	struct vhost_user_gpu_update seen;        // the last DMABUF_UPDATE
};

struct display_cursor {
	bool visible;
	struct vhost_user_gpu_cursor_pos pos;
	uint32_t hot_x, hot_y;
	uint32_t data[VHOST_USER_GPU_CURSOR_SIZE * VHOST_USER_GPU_CURSOR_SIZE];
};

struct display_peer {
	int fd; // our end, non-blocking, owned, -1 when closed

	// set these before or between pumps
	uint64_t offered; // protocol features, by default EDID
	struct virtio_gpu_display_one modes[DISPLAY_PEER_SCREENS]; // by default one, 1024x768
	uint32_t outputs; // QEMU's max_outputs: no EDID is answered beyond; by default all
	bool stop_reading;
	size_t slow;      // reads at most so many bytes a pump, 0 is no limit
	bool mute;        // counts questions but never answers
	bool busy;        // DMABUF_UPDATE is not answered before display_peer_see()
	uint64_t hang_up; // closes after having read so many bytes in all, 0 is never

	// what was seen
	uint64_t features;                     // of SET_PROTOCOL_FEATURES
	uint64_t count[DISPLAY_PEER_REQUESTS]; // by request
	uint64_t bytes;                        // read in all
	unsigned unseen;                       // DMABUF_UPDATEs that are not answered
	uint64_t faults;                       // messages that QEMU would choke on
	const char *fault;                     // the last of them, NULL if none
	struct display_screen screens[DISPLAY_PEER_SCREENS];
	struct display_cursor cursor;

	uint8_t *buf; // a message that is not complete
	size_t len, room;
	int fd_in; // that came with it, -1 if none
};

/*
 * Makes the pair of sockets. *remote is the end to send with GPU_SET_SOCKET and then to close; it
 * is the caller's. Returns 0 or a negative errno.
 */
int display_peer_open(struct display_peer *d, int *remote);

/* A new pair of sockets for the same peer, as QEMU makes at each start; what was seen stays. */
int display_peer_reopen(struct display_peer *d, int *remote);

/* Closes our end. What was seen stays until display_peer_finish(). */
void display_peer_close(struct display_peer *d);
void display_peer_finish(struct display_peer *d);

/*
 * Waits for something to read and handles what there is. Returns how many messages that were (0 if
 * incomplete), -ETIMEDOUT, -ECONNRESET when the back-end closed (then our end is closed too), or
 * another negative errno. With stop_reading it is always -ETIMEDOUT, at once.
 */
int display_peer_pump(struct display_peer *d, int timeout_ms);

/* Pumps until request was counted n times in all. Returns 0 or as display_peer_pump(). */
int display_peer_wait(struct display_peer *d, uint32_t request, uint64_t n, int timeout_ms);

/* Answers the DMABUF_UPDATE that waits. Returns 0 or a negative errno. */
int display_peer_see(struct display_peer *d);

/* Says any message. Returns 0 or a negative errno. */
int display_peer_say(struct display_peer *d, const struct vhost_user_gpu_header *h);

/*
 * The zlib CRC-32 of what a scanout shows: three bytes a pixel, R G B, row by row, without header.
 * 0 for a scanout that is off.
 */
uint32_t display_peer_crc(const struct display_peer *d, uint32_t scanout);

/* The pixel at x, y of what a scanout shows, as 0xRRGGBB. Outside it is 0. */
uint32_t display_peer_pixel(const struct display_peer *d, uint32_t scanout, uint32_t x, uint32_t y);

/* zlib's crc32(), continued from crc (0 to begin). */
uint32_t display_crc32(uint32_t crc, const void *data, size_t len);
