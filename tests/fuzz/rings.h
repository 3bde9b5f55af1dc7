/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A whole back-end with a driver that keeps the rules of its rings whatever the requests say: each
 * one that is submitted has to come back once, with an answer that the device's check finds right.
 */
#include <stdbool.h>
#include <stdint.h>

#include "rig.h"

enum { RINGS_MAX = 4, RINGS_SLOTS = 16, RINGS_COMMAND_MAX = 1024, RINGS_ROOM_MAX = 1536 };

/* What room for an answer is filled with. */
enum { RINGS_UNTOUCHED = 0xa5 };

struct rings_slot {
	bool busy;
	uint32_t room;
	size_t len;
	uint64_t number;   // of all requests, 1 is the first
	uint8_t bytes[32]; // the request's first, as far as it has them
};

struct rings_ring {
	bool running;
	uint16_t avail_idx, used_idx, base;
	int kick;
	struct rings_slot slots[RINGS_SLOTS];
};

struct rings {
	struct rig rig;
	unsigned n; // of them
	struct rings_ring rings[RINGS_MAX];
	uint64_t submitted, answers; // requests, and those that came back
	/* Of these bytes len were written, the device says. RINGS_ROOM_MAX may be read. */
	void (*check)(struct rings *r, unsigned queue, const struct rings_slot *s,
		const uint8_t *answer, uint32_t len);
};

struct rings_command {
	const void *bytes;
	size_t len;
	unsigned cut;  // the readable part is cut here, if that is within it
	uint32_t room; // for the answer
	bool no_kick;
};

/* n and check are set, and then the rig is there: the device may be made. */
void rings_init(struct rings *r, const struct vhu_device *device, void *dev);

/* Agrees on features and starts all rings. */
void rings_begin(struct rings *r, uint64_t features);

/* Stops them, and the front-end leaves. */
void rings_end(struct rings *r);

/* Behind the device's end: nothing is left behind. */
void rings_finish(struct rings *r);

/* Puts a command on a ring. False when that stands or is full. */
bool rings_submit(struct rings *r, unsigned queue, const struct rings_command *c);

/* Lets the back-end work and takes in what came back. */
void rings_turn(struct rings *r, unsigned n);

/* How many commands are not answered. */
unsigned rings_busy(const struct rings *r);

/* Stops and starts the rings as a pause does. */
void rings_stop(struct rings *r);
void rings_start(struct rings *r);

/* The driver resets the device: commands on their way are forgotten. rings_start() comes next. */
void rings_reset(struct rings *r);

/* Nothing behind the first len bytes of an answer was written. */
bool rings_untouched(const uint8_t *answer, uint32_t len);
