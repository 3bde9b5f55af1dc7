/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sound devices for the model of Linux's driver (alsa.h) that are so simple that it is known what
 * has to come out, and the clock that both live by.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alsa.h"

#define MS  1000000ll
#define MAX 1024 /* messages */

/* How a device goes about it. */
enum manner {
	PACED,     // a period each period's time
	BURSTS,    // all that is there each period's time
	AT_ONCE,   // all that is there at START, and nothing after
	GREEDY,    // every 10 ms as much as its own buffer of 2229 frames has room for
	NEVER,     // nothing
	SHORT_ONE, // as PACED, but the sixth captured message lacks a frame
};

struct queued {
	uint32_t id, bytes;
	uint8_t *data;
};

extern struct toy {
	struct alsa_guest guest;
	enum manner manner;
	int64_t now, due;
	int64_t started;      // at START,
	uint64_t slots;       // so many periods ago
	uint64_t done;        // messages
	uint32_t taken, fill; // of GREEDY: bytes of the first message, frames

	struct queued queue[MAX];
	uint32_t first, n;
	uint64_t played, wrong; // frames in their order, and those that were not
	char requests[512];     // a letter each: P params, p prepare, + - r release, 0 reset

	// what a test may say
	uint32_t latency; // bytes
	uint32_t refuse;  // the request with this letter
	bool keeps;       // messages at RELEASE
} dev;

/* What the guest may ask of it: with &dev as the device. */
extern const struct alsa_ops toy_ops;

/* A new guest with a new device of this manner. */
void toy_begin(const struct alsa_setup *setup, enum manner manner);

/* Lets both live until a point in time, or the guest's end. */
void toy_live(int64_t until);

/* Gives the first message back, whatever the manner. */
void toy_complete(struct toy *d, uint32_t len);

void toy_assert_no_fault(void);

/* So many frames came through: no xrun, nothing missed, nothing wrong. */
void toy_assert_all_went_well(uint64_t total);

/* As a teardown. */
int toy_end(void **state);
