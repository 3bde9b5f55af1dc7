/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A codec without a library, for tests of all that is around one: what its bitstream says, a pattern is
 * drawn from. It says that it decodes all codecs.
 */
#include <stdint.h>

#include "common/part.h"

extern const struct part_kind null_part;

/* A unit of bitstream; all in the machine's byte order. */
struct null_unit {
	uint32_t width, height; // of its picture; 0: it has none
	uint32_t held;          // 1: the picture is held back until one that is not, or the end
	uint32_t error;         // 1: the stream cannot go on
};

/* Of picture `number` (as units are counted from the beginning of the stream): a byte of a plane of I420. */
static inline uint8_t null_pixel(uint64_t number, unsigned plane, uint32_t x, uint32_t y)
{
	return (uint8_t)(number * 7 + plane * 85 + x + y * 3);
}
