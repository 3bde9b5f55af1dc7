/* SPDX-License-Identifier: MIT */
#pragma once
/* Pixels from any of the eight 2D formats to the one that displays take, by pixman. */
#include <stdbool.h>
#include <stdint.h>

#include "common/dbuf.h"
#include "wire.h"

/* True when the buffer's bytes are x8r8g8b8 words already (the alpha of others is not looked at).
 */
bool pixels_are_xrgb(const struct dbuf *buf);

/* Writes a rectangle of buf, which lies within it, as x8r8g8b8 words of `stride` bytes a row. */
void pixels_to_xrgb(
	const struct dbuf *buf, const struct gpu_rect *rect, uint32_t *to, uint32_t stride);

/*
 * Makes a square a8r8g8b8 cursor of `side` pixels: a smaller image is padded, a larger one scaled
 * down as a whole. *hot_x and *hot_y follow.
 */
void pixels_to_cursor(
	const struct dbuf *buf, uint32_t *to, uint32_t side, uint32_t *hot_x, uint32_t *hot_y);
