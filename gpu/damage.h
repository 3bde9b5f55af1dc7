/* SPDX-License-Identifier: MIT */
#pragma once
/* What of a picture has changed: a few rectangles, joined where that costs little. Pure. */
#include "wire.h"

enum { DAMAGE_RECTS = 8 };

struct damage {
	unsigned n;
	struct gpu_rect rects[DAMAGE_RECTS];
};

/* Adds a rectangle. What was added stays covered; a little around it may be, too. */
void damage_add(struct damage *d, const struct gpu_rect *rect);

/* The rectangle around all of it; empty when nothing was added. */
struct gpu_rect damage_bounds(const struct damage *d);

/* The part of a that lies in b; of width 0 when there is none. */
struct gpu_rect rect_intersect(const struct gpu_rect *a, const struct gpu_rect *b);
