/* SPDX-License-Identifier: MIT */
#pragma once
/* Bitstream for the codec without a library (video/null.h), and the pictures that it draws for it. */
#include <stdint.h>

#include "engine_clip.h"

/* Adds a unit of this size; held: its picture comes with the next one that is not, or the end. */
void units_add(struct clip *c, uint32_t width, uint32_t height, bool held);
/* One at which the codec gives up. */
void units_add_error(struct clip *c);

/* The pictures of these units, of which the first one is the stream's number `from`. raw: a number of
 * virtio-video's. */
void units_draw(struct clip_pictures *p, const struct clip *c, uint32_t raw, unsigned from);
