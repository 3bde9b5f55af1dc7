/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where frames go. A display keeps what it shows (a reference to the buffer) and never makes the
 * device wait: what it is not done with when a call returns, it ends later with gpu_cmd_shown().
 * All on the loop's thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "wire.h"

struct dbuf;
struct gpu_cmd;

/* What a scanout shows: a part of a buffer. */
struct gpu_frame {
	struct dbuf *buf;
	struct gpu_rect rect; // within buf
	/* All of the same as a dmabuf; NULL: there is none. buf is not up to date where each display takes
	 * it instead. */
	struct dbuf *dmabuf;
};

struct gpu_cursor {
	uint32_t x, y;         // on the scanout
	uint32_t hot_x, hot_y; // in the image
	struct dbuf *image;    // NULL: hidden
};

struct display {
	const struct display_ops *ops;
};

struct display_ops {
	/* The scanout shows this frame from its next flush on; NULL: nothing, at once. */
	void (*scanout)(struct display *d, unsigned id, const struct gpu_frame *frame);
	/*
	 * The frame changed within `damage` (relative to the frame). Ends in one gpu_cmd_shown(),
	 * now or later.
	 */
	void (*flush)(
		struct display *d, unsigned id, const struct gpu_rect *damage, struct gpu_cmd *cmd);
	/* A new image and place. NULL: not shown by this display. */
	void (*cursor)(struct display *d, unsigned id, const struct gpu_cursor *cursor);
	/* The same image at a new place. */
	void (*cursor_move)(struct display *d, unsigned id, uint32_t x, uint32_t y);
	/*
	 * Takes GET_DISPLAY_INFO or GET_EDID to ask whoever looks at the display. False: the device
	 * answers. NULL: likewise.
	 */
	bool (*query)(struct display *d, struct gpu_cmd *cmd);
	/* Shows this dmabuf (NULL: some) as it lies. NULL: never does. */
	bool (*takes)(struct display *d, const struct dbuf *dmabuf);
	/* Ends all commands that are held: the queue stops. */
	void (*release)(struct display *d);
	void (*destroy)(struct display *d);
};

/* QEMU's window, behind the socket that it sends (display_qemu.c). NULL when there is no memory. */
struct display *display_qemu_create(struct loop *loop);

/* Shows everything on this socket, or on none (-1). fd is owned; one from before is closed. */
void display_qemu_connect(struct display *d, int fd);

/*
 * A PNG for each changed frame in `dir`, which is made when it is not there, and a line for it on
 * stdout (display_png.c). Negative errno.
 */
int display_png_create(struct loop *loop, const char *dir, struct display **out);
