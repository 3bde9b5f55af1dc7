/* SPDX-License-Identifier: MIT */
#pragma once
/* Pictures in planes: what a fourcc's planes are, and copies into scattered memory. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "engine.h"

/* Planes that are read. */
struct frame {
	uint32_t fourcc, width, height; // as it is seen; may be odd
	const uint8_t *plane[ENGINE_PLANES_MAX];
	uint32_t stride[ENGINE_PLANES_MAX];
};

/* Where a picture goes: planes at offsets of scattered memory. */
struct frame_target {
	uint32_t fourcc;
	uint32_t stride[ENGINE_PLANES_MAX];
	uint64_t offset[ENGINE_PLANES_MAX];
	const struct iovec *iov;
	unsigned n_iov;
};

/* How many planes a fourcc has; 0: it is none that pictures are put out in. */
unsigned frame_planes(uint32_t fourcc);

/* Bytes of a row of one of its planes, without padding, and its rows, for a width and height in pixels. */
uint32_t frame_row_bytes(uint32_t fourcc, unsigned plane, uint32_t width);
uint32_t frame_rows(uint32_t fourcc, unsigned plane, uint32_t height);

/* True when all rows of a picture of that size lie within `size` bytes. */
bool frame_fits(const struct frame_target *t, uint32_t width, uint32_t height, uint64_t size);

/* Where each plane begins, when each lies in one piece; it fits. False: one does not. */
bool frame_linear(const struct frame_target *t, uint32_t width, uint32_t height,
	uint8_t *planes[ENGINE_PLANES_MAX]);

/*
 * Copies or converts in one pass: what has the same fourcc, or both of YUV420, YVU420 and NV12. False: not
 * this pair; nothing was written. The target fits.
 */
bool frame_put(const struct frame *f, const struct frame_target *t);
