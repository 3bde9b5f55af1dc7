/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The front-end's side of a device's shared memory region: what the back-end asks to be mapped is mapped
 * here, at the place where the driver would see it. It holds the back-end to the rules: nothing is mapped
 * over another mapping, unmapped other than whole, or smaller than it is said to be.
 */
#include "frontend.h"

#define WINDOW_MAPS 512

struct window {
	struct frontend *f; // not owned; its channel is that of the back-end
	uint8_t *base;      // what the driver sees; not to be read where nothing is mapped
	uint64_t size;
	struct {
		uint64_t at, len;
	} maps[WINDOW_MAPS];
	unsigned n_maps, asked; // that there are; that were asked for
	unsigned violations;    // of the rules; 0, or the back-end is wrong
	uint64_t refuse;        // is answered to all, and nothing done; 0: serve
	bool stop;              // do not read
};

/* 0 or negative errno. */
int window_open(struct window *w, struct frontend *f, uint64_t size);
void window_close(struct window *w);

/* Serves what was asked. Returns how much that was, or a negative errno. */
int window_pump(struct window *w);

/* As a device's reset does it. */
void window_reset(struct window *w);

/* True when something is mapped at `at`. */
bool window_has(const struct window *w, uint64_t at);
