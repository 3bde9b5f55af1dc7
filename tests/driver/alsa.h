/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A model of the other end of a PCM stream: Linux's virtio-snd driver, the ALSA core above it and
 * an application that plays or records, on a clock that the caller turns. No rings, no files, one
 * thread. What the guest wants of the device are calls of alsa_ops; what the device answers is
 * alsa_complete(). All that the guest does, it does within alsa_run(), pause, resume, suspend.
 *
 *	alsa_guest_init(&g, &setup, &ops, dev);
 *	for (now = 0; g.end == ALSA_RUNS; now = min(next of the device, alsa_next(&g))) {
 *		the device's turn: alsa_complete(&g, ...)
 *		alsa_run(&g, now);
 *	}
 *
 * The driver's only clock are completions, and it keeps its position modulo the buffer: if a whole
 * buffer is completed between two looks, nothing seems to have happened. All of that is here.
 *
 * The frames are numbered from 1 on and look like noise, so that each can be told from the others;
 * silence is number 0.
 */
#include <stdbool.h>
#include <stdint.h>

#define ALSA_NEVER  INT64_MAX
#define ALSA_STATUS 8 /* bytes of a message's status: used lengths include them */

/* How the driver hands over messages. */
enum alsa_generation {
	ALSA_6_1, // all of them at START, and again in the interrupt that completes them
	ALSA_6_7, // whole periods as they are written, before START, too
};

/* Sizes are frames; 0 is what the comment says. */
struct alsa_setup {
	enum alsa_generation generation;
	bool capture;
	uint32_t rate, frame_bytes; // 48000, 4
	uint32_t period, buffer;    // buffer is a multiple of period
	uint64_t total;             // to play and drain, or to record: no end
	uint32_t chunk;             // that the application reads or writes at a time: period
	uint32_t avail_min;         // period
	uint32_t keep;              // at most so many frames are written ahead: buffer
	uint32_t start_threshold;   // buffer, and 1 where it captures
	bool recover;               // goes on after an xrun
	uint32_t hz;                // of the kernel's coarse clock: 250

	// ns: from completion to interrupt, to the core's look, to the application's turn; and what
	// chance adds to each of them, at most
	int64_t irq_delay, look_delay, app_delay, jitter;
	uint64_t seed;
};

/*
 * What the guest asks of the device; guest.now is the time. The control requests return 0 or an
 * error, which ends the guest; any of them may be answered by completions first, and RELEASE has
 * to be for all that is queued. The device may read and write data until it completes the message.
 */
struct alsa_ops {
	int (*set_params)(void *dev, uint32_t buffer_bytes, uint32_t period_bytes);
	int (*prepare)(void *dev);
	int (*start)(void *dev);
	int (*stop)(void *dev);
	int (*release)(void *dev);
	void (*reset)(void *dev); // forgets parameters and messages; alsa_suspend() needs it
	void (*queue)(void *dev, uint32_t id, uint8_t *data, uint32_t bytes);
};

/* A completion, as the used ring and the status say it. */
struct alsa_used {
	uint32_t id;
	uint32_t len; // ALSA_STATUS, and the bytes captured
	uint32_t status, latency_bytes;
};

enum alsa_state {
	ALSA_SETUP,
	ALSA_PREPARED,
	ALSA_RUNNING,
	ALSA_XRUN,
	ALSA_DRAINING,
	ALSA_PAUSED,
	ALSA_SUSPENDED,
};

/* How it came out. */
enum alsa_end {
	ALSA_RUNS,
	ALSA_DRAINED, // all was played or recorded
	ALSA_BROKE,   // an xrun, and the application gave up
	ALSA_EIO,     // no progress for so long that the kernel did
	ALSA_REFUSED, // the device refused a request: fault says which
};

/* One period of the buffer on its way. */
struct alsa_message {
	uint32_t length; // bytes that it stands for
	bool queued;     // with the device,
	uint64_t number; // as this one of all
};

struct alsa_guest {
	struct alsa_setup setup; // with what 0 stands for
	const struct alsa_ops *ops;
	void *dev;
	int64_t now;

	// results
	enum alsa_end end;
	enum alsa_state state;
	const char *fault;          // the first thing that the device did wrong, NULL if none
	uint64_t consumed;          // frames that the core saw played or captured
	uint64_t moved;             // frames that the application has written or read
	uint32_t xruns;             // how often
	int64_t lag_min, lag_max;   // completed frames that the core did not see when it looked:
				    // 0, unless it was fooled
	uint32_t step_max;          // the most that it saw at one look
	int64_t fill_min, fill_max; // frames in the buffer after a look
	uint32_t delay;             // frames: the device's latency, as the guest was told last
	uint32_t failed;            // completions whose status was not OK
	uint64_t breaks;            // captured frames that do not follow the one before
	uint64_t first_break;       // the number of the first of them as the application counts
	uint64_t silent;            // captured frames of silence

	// the driver
	uint8_t *ring;                 // setup.buffer frames, owned
	struct alsa_message *messages; // n of them, owned
	struct alsa_used *used;        // a FIFO of n, owned
	uint32_t n, used_first, used_count;
	uint64_t sent, answered;             // counts messages, to check their order
	uint32_t queued, last;               // with the device; the last one sent
	uint32_t buffer_bytes, period_bytes; // setup's
	uint32_t hw_ptr;                     // bytes, below buffer_bytes
	bool transfers;                      // between START and STOP
	struct {
		uint32_t seen, position, next; // bytes, below buffer_bytes
		int64_t hw, sw; // bytes in the device's and in the application's hand
		uint64_t appl;  // frames
	} indirect;

	// the core; frames since PREPARE
	uint64_t appl, hw, base, interrupt;
	uint64_t done;  // bytes that were completed
	int64_t looked; // ticks of hz

	// the application
	uint32_t left, wakes_at; // of its chunk; the avail that it waits for, 0 if it does not
	uint64_t last_number;    // of the last captured frame
	bool draining;
	int64_t irq_due, work_due, app_due, deadline;
	uint64_t random;
};

/* The device's functions have to be there until alsa_guest_finish(). Returns 0, -EINVAL or -ENOMEM.
 */
int alsa_guest_init(struct alsa_guest *g, const struct alsa_setup *setup,
	const struct alsa_ops *ops, void *dev);
void alsa_guest_finish(struct alsa_guest *g);

/* The device is done with a message. The guest will notice in alsa_run(). */
void alsa_complete(struct alsa_guest *g, const struct alsa_used *used, int64_t now);

/* Does all that is due at now. Returns alsa_next(). */
int64_t alsa_run(struct alsa_guest *g, int64_t now);

/* When the guest wants to run next, ALSA_NEVER if it waits for the device without a time-out. */
int64_t alsa_next(const struct alsa_guest *g);

/* STOP and START with messages left where they are. Return false where the state forbids it. */
bool alsa_pause(struct alsa_guest *g, int64_t now);
bool alsa_resume(struct alsa_guest *g, int64_t now);

/*
 * The whole machine goes to sleep: STOP if the stream runs, and a device reset, in which messages
 * vanish. After alsa_wake() the application goes on, with SET_PARAMS and PREPARE.
 */
void alsa_suspend(struct alsa_guest *g, int64_t now);
void alsa_wake(struct alsa_guest *g, int64_t now);

/* Frame number n of so many bytes; and the number of a frame, modulo 2^32 or what fits into it. */
void alsa_frame_put(uint8_t *frame, uint32_t bytes, uint64_t n);
uint64_t alsa_frame_number(const uint8_t *frame, uint32_t bytes);
