/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Noise of which each frame tells which one it is: in a format of virtio-sound's, as it should come out
 * of a graph, and found again there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NOISE_AHEAD = 480000 }; // so many frames may be missing

/* Noise of a channel in a frame; of the first frame it is not silence in any format. */
int32_t noise_at(uint64_t frame, unsigned channel);
/* What a graph gets of it in a format: VIRTIO_SND_PCM_FMT_*, which keeps its upper bits. */
double noise_level(uint8_t format, uint64_t frame, unsigned channel);
/* Writes n frames from number `first` on. */
void noise_write(uint8_t format, unsigned channels, void *to, uint64_t first, uint32_t n);

/* What is written in a format, as a graph would get it. */
void noise_read(uint8_t format, const void *from, float *to, size_t samples);

/* Bytes of a sample. */
uint32_t noise_bytes(uint8_t format);

struct noise_search {
	uint8_t format; // it was written in
	unsigned channels;
	const uint8_t *map; // which channel of the noise is which here; NULL: in order
	uint64_t from;      // the lowest number that could come
};

/* What there is of it, in order, with silence or leaps between. */
struct noise_found {
	uint64_t frames;            // of the noise, in all
	uint64_t first, end;        // the first one's number, and that behind the last
	uint64_t first_at, last_at; // where these are
	uint64_t gaps, silence;     // how often there is silence between, and of how many frames
	uint64_t lost;              // frames that were leapt over
	uint64_t strange;           // neither noise that could come here nor silence; the first 100
};

struct noise_found noise_find(const struct noise_search *s, const float *frames, uint64_t n);
