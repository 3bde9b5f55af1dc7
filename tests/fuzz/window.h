/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The front-end's end of the channel on which the back-end asks for what is to be seen in the window: what it
 * asks is checked, and answered when the target wants it, rightly or wrongly.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rig.h"

enum { WINDOW_RANGES = 1024 };

struct window {
	int fd; // -1: closed
	uint64_t size;
	struct window_range {
		uint64_t at, len;
		bool refused; // and yet it may be unmapped: that was asked before this was known
	} ranges[WINDOW_RANGES];
	unsigned n;
};

/* Gives the back-end its end. */
void window_open(struct window *w, struct rig *r, uint64_t size);
void window_close(struct window *w);

/* Answers the next question. False when there is none. */
bool window_answer(struct window *w, bool refuse);

/* Says anything. */
void window_lie(struct window *w, const void *bytes, size_t len);
