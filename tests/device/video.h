/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virga-video with our driver, and players: each is what a program with a decoder of V4L2 does, on a
 * stream of its own. Several play at once. Deadlines only ever bound a failure.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver/daemon.h"
#include "driver/frontend.h"
#include "driver/video.h"
#include "engine_clip.h"

enum {
	OK = VIRTIO_VIDEO_RESP_OK_NODATA,
	OK_QUEUE = VIRTIO_VIDEO_RESP_OK_RESOURCE_QUEUE,
	INVALID_OPERATION = VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION,
	OUT_OF_MEMORY = VIRTIO_VIDEO_RESP_ERR_OUT_OF_MEMORY,
	INVALID_STREAM = VIRTIO_VIDEO_RESP_ERR_INVALID_STREAM_ID,
	INVALID_RESOURCE = VIRTIO_VIDEO_RESP_ERR_INVALID_RESOURCE_ID,
	INVALID_PARAMETER = VIRTIO_VIDEO_RESP_ERR_INVALID_PARAMETER,
	UNSUPPORTED_CONTROL = VIRTIO_VIDEO_RESP_ERR_UNSUPPORTED_CONTROL,
	INPUT = VIRTIO_VIDEO_QUEUE_TYPE_INPUT,
	OUTPUT = VIRTIO_VIDEO_QUEUE_TYPE_OUTPUT,
};

#define COUNT(array)          (sizeof(array) / sizeof(*(array)))
#define assert_ok(expression) assert_int_equal((expression), 0)

struct video_stage {
	struct daemon_child child;
	struct frontend fe;
	struct guest guest;
	struct drv_ring rings[VIDEO_DRIVER_RINGS];
	struct video_driver video;
};

extern struct video_stage vx;

/* Where the program under test is. main() calls it first. */
void video_main(int argc, char **argv);

/* Starts a daemon and brings it up. args: NULL at the end, or NULL for none. */
void video_begin(const char *const *args);
int video_end(void **state); // as a teardown
void video_terminate(void);  // it exits with 0

/* The processes of the codecs that there are. Returns how many. */
unsigned video_codecs(int *pids, unsigned max);

/* A guest that is paused, and goes on. */
void video_pause(void);
void video_resume(void);

/* The driver's reset, and rings that begin anew. No player is left. */
void video_reset(void);

/* ---- players ---- */

enum { PLAYER_INPUTS = 4, PLAYER_OUTPUTS_MAX = 12, PLAYER_PIECES = 512, PLAYER_PICTURES = 512 };

/* How its buffers lie in the guest's memory. */
enum player_memory {
	PLAYER_CONTIGUOUS,
	PLAYER_PAGES,  // each page elsewhere
	PLAYER_RAGGED, // pieces of odd lengths at odd places
};

struct player_buffer {
	struct video_piece pieces[PLAYER_PIECES];
	struct video_memory memory;
	int ticket; // -1: it is not queued
};

struct player {
	uint32_t stream, coded, raw; // VIRTIO_VIDEO_FORMAT_*; raw 0: what the device has first
	enum player_memory memory;
	bool per_plane;
	unsigned n_outputs;   // 0: as few as the device wants, and one
	bool keeps;           // what comes back is not queued again
	uint32_t input_bytes; // of a buffer; 0: 256 KiB

	const struct clip *clip;
	unsigned fed, taken; // units queued, and back
	struct player_buffer inputs[PLAYER_INPUTS], outputs[PLAYER_OUTPUTS_MAX];
	unsigned n_made; // outputs that there are
	struct virtio_video_params params;
	struct clip_picture pictures[PLAYER_PICTURES];
	unsigned n_pictures, n_formats, n_eos, n_canceled, n_broken, n_refused;
	bool lost; // VIRTIO_VIDEO_EVENT_ERROR
};

/* Makes its stream. */
void player_begin(struct player *p);
void player_end(struct player *p);    // destroys it
void player_forget(struct player *p); // whose stream is gone already

/* Takes in what is there, or waits for something, for all players. */
void players_turn(void);

/* Feeds the clip until all is copied, drains, and waits for its end. */
void player_play(struct player *p, const struct clip *clip);
void player_feed(struct player *p, const struct clip *clip);
/* Queues as much of it as there are buffers for, behind what was fed. */
void player_push(struct player *p, const struct clip *clip);
void player_drain(struct player *p);
/* Waits until *count is at least that. */
void player_wait(const unsigned *count, unsigned wanted);

/* Stops the input and begins again, as a seek does. */
void player_seek(struct player *p);
/* Stops the output and begins again, with other buffers if `anew`. */
void player_restart_output(struct player *p, bool anew);

/* All pictures as the host has them. */
void player_compare(const struct player *p, const struct clip_pictures *wanted);
