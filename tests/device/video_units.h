/* SPDX-License-Identifier: MIT */
#pragma once
/* Bitstream for the codec without a library (video/null.h), and the pictures that it draws for it. */
#include <stdint.h>

#include "video.h"

/* Adds a unit of this size; held: its picture comes with the next one that is not, or the end. */
void units_add(struct clip *c, uint32_t width, uint32_t height, bool held);
/* One at which the codec gives up. */
void units_add_error(struct clip *c);

/* The pictures of these units, of which the first one is the stream's number `from`. raw: a number of
 * virtio-video's. */
void units_draw(struct clip_pictures *p, const struct clip *c, uint32_t raw, unsigned from);

/* n units of this size; every fourth is held. */
void units_make(struct clip *c, unsigned n, uint32_t width, uint32_t height);

/* A player has seen all pictures of these units, of which the first one is the stream's number `from`, and no
 * others since this was asked last. */
void units_expect(struct player *p, const struct clip *c, unsigned from);
