/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A stream's codec with everything around it but a device: memory of a guest, buffers in it, and who queues
 * and takes them back. Deadlines only ever bound a failure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/gmem.h"
#include "video/frame.h"
#include "video/remote.h"

enum { RIG_BUFFERS_MAX = 16, RIG_PICTURES_MAX = 4096 };

/* How buffers lie in the guest's memory. */
enum rig_memory {
	RIG_CONTIGUOUS,
	RIG_PAGES,  // each page elsewhere
	RIG_RAGGED, // pieces of odd lengths at odd places
};

struct rig_buffer {
	struct engine_entry *entries;
	unsigned n_entries;
	struct iovec *iov;
	uint64_t size, offset[ENGINE_PLANES_MAX];
	bool queued;
	uint32_t seq;
};

struct rig_picture {
	uint32_t width, height, flags;
	uint64_t timestamp, hash;
};

struct rig {
	struct engine engine;
	enum rig_memory memory;
	uint32_t fourcc;
	unsigned n_pixels;  // buffers that are queued for pictures
	bool unread;        // pictures are counted only
	bool pieces;        // of bitstream, and not whole units
	bool pixels_queued; // false: what comes back is not queued again, and nothing is at first

	struct rig_buffer pixels[RIG_BUFFERS_MAX], bitstream[RIG_BUFFERS_MAX];
	uint64_t used; // of the guest's memory
	struct engine_answer format;
	uint32_t stride[ENGINE_PLANES_MAX];
	struct rig_picture *pictures; // that came out
	unsigned followed;            // formats for which there are buffers
	unsigned n_pictures, n_lasts, n_formats, n_returned, n_canceled, n_broken;
	struct {
		uint32_t seq;
		int result;
	} done[64]; // the last ones
	unsigned n_done;
	bool lost;
	int error; // of ENGINE_ERROR
};

/* The memory, a loop and a nursery, for all streams of a test. Before any thread. */
void rig_begin(const struct part_kind *kind, bool threads);
void rig_end(void);
extern struct loop *rig_loop;
extern struct nursery rig_nursery;

void rig_open(struct rig *r, uint32_t codec, const char *element);
void rig_close(struct rig *r);

/* Asks, and waits for ENGINE_DONE: its result. */
int rig_ask(struct rig *r, struct engine_message m);
/* Asks; wait for it by rig_wait_done(). */
uint32_t rig_tell(struct rig *r, struct engine_message m);
int rig_wait_done(struct rig *r, uint32_t seq);

/* Waits for a buffer of bitstream and queues these bytes. */
void rig_feed(struct rig *r, const void *bytes, size_t size, uint64_t timestamp);
/* Waits until all are back. False: lost or broken. */
bool rig_fed(struct rig *r);
/* Drains: what ENGINE_DONE says. */
int rig_drain(struct rig *r);

/* Makes buffers for the last format, and queues them. */
void rig_make_pixels(struct rig *r);
void rig_queue_pixels(struct rig *r);

/* A buffer of that size, told to the codec. Its answer. */
int rig_make_buffer(struct rig *r, uint32_t queue, uint32_t id, uint64_t size);

/* Waits until *count is at least that. False: it will not be. */
bool rig_wait(struct rig *r, const unsigned *count, unsigned wanted);
/* Lets the codec do what it does, when nothing is to be waited for. */
void rig_settle(struct rig *r);
