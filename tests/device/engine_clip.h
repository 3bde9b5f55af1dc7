/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Clips made on the spot by GStreamer's encoders, and what the same elements make of them in a pipeline of
 * their own: what the codec of a stream is compared with.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct clip_unit {
	uint8_t *bytes;
	size_t size;
	uint64_t pts;
};

struct clip {
	struct clip_unit *units;
	unsigned n;
};

struct clip_picture {
	uint32_t width, height;
	uint64_t pts, hash; // of the visible rows of all planes, by clip_hash()
};

struct clip_pictures {
	struct clip_picture *pictures;
	unsigned n;
};

enum { CLIP_HASH_BEGIN = 0 };

/* Of rows of pixels, one after the other. */
static inline uint64_t clip_hash(uint64_t hash, const uint8_t *bytes, size_t n)
{
	for (; n >= 8; n -= 8, bytes += 8) {
		uint64_t word;

		memcpy(&word, bytes, 8);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 29;
	}
	while (n--)
		hash = (hash ^ *bytes++) * 0x100000001b3ull;
	return hash;
}

void clip_begin(void);

/* True when there are all of these elements, which are separated by spaces. */
bool clip_has(const char *elements);

/* Adds what a description of elements, from a source to an encoder or parser, makes. */
void clip_add(struct clip *c, const char *description);
void clip_free(struct clip *c);

/* Decodes by `elements` ("h264parse ! avdec_h264") to a format of GStreamer's name. */
void clip_decode(struct clip_pictures *p, const struct clip *c, const char *caps,
	const char *elements, const char *format);
/* As clip_decode() without a look at the pictures; "" as the format: as they are decoded. How many, and how
 * long it took. */
unsigned clip_run(const struct clip *c, const char *caps, const char *elements, const char *format,
	double *wall_ms, double *cpu_ms);
void clip_free_pictures(struct clip_pictures *p);
