/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One PCM stream: its life (VIRTIO 1.4, 5.14.6.6.1) and its pacing. The guest's only clock is when its
 * messages come back, so the stream has a clock that runs evenly, at the graph's rate, and by which all
 * is done. Positions are frames since PREPARE:
 *
 *	played   completed   clock   moved        queued
 *	---|---------|---------|=======|============|----->
 *	   |<------ in the feed ------>|   not looked at yet: Linux up to 6.6 may not have written it
 *
 * Playback: a piece of a message is moved to the feed when the clock reaches its first frame, as late
 * as hardware would, and the message comes back when the clock is behind its last. The clock is kept so
 * far ahead of the graph that a cycle's frames and a margin lie in the feed when the graph wants a
 * cycle's: a guest of two short periods feeds a long cycle piece by piece. Capture: a message is filled
 * and comes back when the clock is behind its last frame; the clock is kept a margin behind the graph.
 *
 * All on the loop's thread; time is an argument, CLOCK_MONOTONIC in ns.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "backend.h"
#include "clock.h"
#include "feed.h"
#include "format.h"

enum pcm_state { PCM_NEW, PCM_SET, PCM_PREPARED, PCM_RUNNING, PCM_STOPPED };

/* One I/O message in flight; a part of the device's request. */
struct pcm_io {
	TAILQ_ENTRY(pcm_io) link;
	const struct iovec *iov; // `frames` frames begin `skip` bytes into it
	unsigned n_iov;
	size_t skip;
	uint32_t frames, moved; // of them
	uint64_t end;           // the position behind it
	bool taken_back; // it ends without having ended for the guest: it will be queued again
	int64_t queued_at;
};

struct pcm;

/* What a stream tells its device. */
struct pcm_owner {
	/* The message is over; status is VIRTIO_SND_S_*. */
	void (*done)(struct pcm *p, struct pcm_io *io, uint32_t status, uint32_t latency_bytes);
	/* The guest was too late. */
	void (*xrun)(struct pcm *p);
};

struct pcm {
	unsigned id;
	const struct pcm_owner *owner;
	struct backend *backend;
	int event; // eventfd, not owned: signalled when the graph of a running stream begins
	struct pcm_format format;
	enum pcm_state state;
	bool polling;   // MSG_POLLING: the guest does not kick
	bool evt_xruns; // it wants to hear of them
	bool crowded;   // set by the device: many streams run, and are served together

	struct feed *feed; // NULL: not open
	struct backend_stream *stream;
	int64_t close_at; // released, and open for a little longer

	TAILQ_HEAD(pcm_ios, pcm_io) ios; // in order; those not moved at the end
	struct pcm_io *next;             // the first that is not all moved
	unsigned n_ios, most_ios;        // now, and at once since START
	uint64_t queued, moved, completed;

	struct clock clock;
	bool ticking; // it runs: the graph's first cycle was seen or waited for long enough
	int64_t started_at;
	uint32_t margin, quantum; // frames
	int64_t offset;           // a position less the feed's own

	struct feed_report seen;
	bool live;    // the graph has cycles
	bool gone;    // it has none, and is no longer waited for
	bool starved; // the guest is late,
	int64_t starved_at;
	bool opened; // sound was put out since START
};

/* owner and event are set by the caller, too. */
void pcm_init(struct pcm *p, unsigned id, struct backend *backend);

/* The requests. Each returns VIRTIO_SND_S_*. The format was checked by the caller. */
uint32_t pcm_set_params(
	struct pcm *p, const struct pcm_format *f, bool polling, bool evt_xruns, int64_t now);
uint32_t pcm_prepare(struct pcm *p);
uint32_t pcm_start(struct pcm *p, int64_t now);
uint32_t pcm_stop(struct pcm *p);
/* All messages are done when it returns. */
uint32_t pcm_release(struct pcm *p, int64_t now);

/* Takes a message, whose iov, n_iov, skip and frames are set. False: not now, it is the caller's. */
bool pcm_queue(struct pcm *p, struct pcm_io *io, int64_t now);

/*
 * Does what is due: moves frames, ends messages. Returns when to be called again, INT64_MAX: never of
 * itself. To be called at that time, behind pcm_queue() and pcm_start(), and at the feed's event.
 */
int64_t pcm_run(struct pcm *p, int64_t now);

/* Ends all messages with an I/O error, in whatever state; those at the end may be taken back. */
void pcm_flush(struct pcm *p);

/* Back to PCM_NEW; messages are flushed. */
void pcm_reset(struct pcm *p);
