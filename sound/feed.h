/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Between the loop's thread, which knows the guest, and the thread of a graph, which wants a cycle's
 * frames now: a ring of frames with one writer and one reader, and what each has to tell the other.
 * Neither waits, locks or allocates. The graph's thread sees no guest memory.
 *
 *	playback	pcm.c  --feed_put()-->   ring  --feed_play()-->   graph
 *	capture		graph  --feed_record()--> ring  --feed_take()-->  pcm.c
 *
 * Playback begins, and begins again after it ran dry, when the stream's clock has come by more than
 * `margin` frames: then so much silence goes ahead of them that at the next cycle the clock is a cycle
 * and the margin ahead. Neither frames are lost by it, nor does the clock have to jump.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "format.h"

/* One cycle of a graph, as its thread sees it. */
struct feed_cycle {
	int64_t time;    // CLOCK_MONOTONIC in ns: when it began
	uint32_t frames; // wanted or brought
	int64_t delay;   // ns from then until its first frame is heard, or since it was heard
};

/* What the graph's thread has seen last. */
struct feed_report {
	uint64_t cycles; // so far; 0: none, and nothing else is said
	int64_t time;    // of the last one's beginning
	/* Playback: the frame, counted in feed_put()'s, that begins with the cycle (negative when silence
	 * goes ahead of the first). Capture: how many had been recorded when it began. */
	int64_t position;
	uint64_t frames; // of one cycle
	int64_t delay;
	uint64_t open;        // playback: 1 while frames are taken
	uint64_t opened;      // playback: how often it has begun
	uint64_t gap_at, gap; // playback: the silence before it began last, and where
	uint64_t flushed;     // requests to flush that were done
	uint64_t dropped;     // capture: frames that found no room
};

#define FEED_ENDLESS UINT64_MAX

enum { FEED_REPORT_WORDS = sizeof(struct feed_report) / 8 };

struct feed {
	struct pcm_format format;
	uint8_t *ring;
	uint32_t size; // frames, a power of two
	int event;     // eventfd, not owned: signalled once after feed_want_event()
	_Atomic uint64_t written, read; // frames in all

	// the loop's thread sets these
	_Atomic uint32_t margin;
	_Atomic int64_t ready_at; // playback: when the stream's clock is at the last frame put in
	_Atomic uint64_t limit;   // playback: where it ends, margin or not; FEED_ENDLESS: no end
	_Atomic uint32_t flush;   // playback: how often all that waits shall be forgotten
	_Atomic uint32_t want_event;

	// the graph's thread
	bool armed; // playback begins in the next cycle
	struct feed_report now;
	_Atomic uint64_t sequence; // odd while the report is written
	_Atomic uint64_t report[FEED_REPORT_WORDS];
};

/* Room for at least `frames`. NULL when there is no memory. `event` may be -1. */
struct feed *feed_create(const struct pcm_format *format, uint32_t frames, int event);
void feed_destroy(struct feed *f); // NULL is fine; the graph has let go of it

/* Frames that wait. Either thread. */
static inline uint32_t feed_fill(const struct feed *f)
{
	uint64_t read = atomic_load(&f->read), end = atomic_load(&f->written),
		 limit = atomic_load(&f->limit);

	if (end > limit)
		end = limit;
	return end > read ? (uint32_t)(end - read) : 0;
}

/* ---- the loop's thread ---- */

/* Playback: copies up to `frames` frames, `skip` bytes into the vector. Returns how many found room. */
uint32_t feed_put(
	struct feed *f, const struct iovec *iov, unsigned n, size_t skip, uint32_t frames);

/* Playback: what was put in is played up to this frame and not further, with nothing to follow it. */
void feed_drain(struct feed *f, uint64_t limit);

/* Ends that: what lies behind the limit is forgotten, if it was not played before. */
void feed_resume(struct feed *f);

/* Capture: moves up to `frames` frames to `skip` bytes into the vector. Returns how many there were. */
uint32_t feed_take(
	struct feed *f, const struct iovec *iov, unsigned n, size_t skip, uint32_t frames);

/* Capture: forgets all but the last `keep` frames. */
void feed_skip(struct feed *f, uint32_t keep);

/* Reads the last report. */
struct feed_report feed_last_report(struct feed *f);

/* Has f->event signalled at the next cycle, or not. */
void feed_want_event(struct feed *f, bool want);

/* ---- the graph's thread ---- */

/* Fills c->frames frames at dst, with silence where there are none. */
void feed_play(struct feed *f, void *dst, const struct feed_cycle *c);

/* Takes in c->frames frames. */
void feed_record(struct feed *f, const void *src, const struct feed_cycle *c);
