/* SPDX-License-Identifier: MIT */
#include "noise.h"

#include <endian.h>
#include <string.h>

#include "protocols/virtio_snd.h"

enum { STRANGE_MOST = 100, RUN = 4 }; // there is no sense in looking any further

int32_t noise_at(uint64_t frame, unsigned channel)
{
	uint64_t x =
		(frame + 1) * UINT64_C(0x9e3779b97f4a7c15) + channel * UINT64_C(0xd1b54a32d192ed03);

	if (frame == 0) // is not silence in any format
		return 0x50000000 + (int32_t)(channel << 24);
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return (int32_t)(x >> 32);
}

/* How many bits of it a format takes. */
static unsigned bits_of(uint8_t format)
{
	switch (format) {
	case VIRTIO_SND_PCM_FMT_S8:
	case VIRTIO_SND_PCM_FMT_U8:
		return 8;
	case VIRTIO_SND_PCM_FMT_S16:
		return 16;
	case VIRTIO_SND_PCM_FMT_S32:
		return 32;
	default:
		return 24;
	}
}

uint32_t noise_bytes(uint8_t format)
{
	switch (format) {
	case VIRTIO_SND_PCM_FMT_S24:
	case VIRTIO_SND_PCM_FMT_FLOAT:
		return 4;
	case VIRTIO_SND_PCM_FMT_FLOAT64:
		return 8;
	default:
		return bits_of(format) / 8;
	}
}

static int32_t cut(uint8_t format, uint64_t frame, unsigned channel)
{
	return noise_at(frame, channel) >> (32 - bits_of(format));
}

double noise_level(uint8_t format, uint64_t frame, unsigned channel)
{
	return cut(format, frame, channel) / (double)(UINT64_C(1) << (bits_of(format) - 1));
}

static void write_sample(uint8_t *to, uint8_t format, uint64_t frame, unsigned channel)
{
	double level = noise_level(format, frame, channel);
	float single = (float)level;
	uint32_t value = htole32((uint32_t)cut(format, frame, channel));

	if (format == VIRTIO_SND_PCM_FMT_U8)
		value ^= htole32(0x80);
	if (format == VIRTIO_SND_PCM_FMT_FLOAT)
		memcpy(to, &single, sizeof(single));
	else if (format == VIRTIO_SND_PCM_FMT_FLOAT64)
		memcpy(to, &level, sizeof(level));
	else
		memcpy(to, &value, noise_bytes(format));
}

void noise_write(uint8_t format, unsigned channels, void *to, uint64_t first, uint32_t n)
{
	uint8_t *p = to;

	for (uint32_t i = 0; i < n; i++)
		for (unsigned c = 0; c < channels; c++, p += noise_bytes(format))
			write_sample(p, format, first + i, c);
}

/* Little-endian and aligned to the top, as floating point. */
static float read_sample(const uint8_t *from, uint8_t format)
{
	uint32_t value = 0, bits = bits_of(format);
	float single;
	double level;

	if (format == VIRTIO_SND_PCM_FMT_FLOAT) {
		memcpy(&single, from, sizeof(single));
		return single;
	}
	if (format == VIRTIO_SND_PCM_FMT_FLOAT64) {
		memcpy(&level, from, sizeof(level));
		return (float)level;
	}
	memcpy(&value, from, (bits + 7) / 8);
	value = le32toh(value) << (32 - bits);
	if (format == VIRTIO_SND_PCM_FMT_U8)
		value ^= UINT32_C(1) << 31;
	return (float)((int32_t)value / 2147483648.0);
}

void noise_read(uint8_t format, const void *from, float *to, size_t samples)
{
	const uint8_t *p = from;

	for (size_t i = 0; i < samples; i++, p += noise_bytes(format))
		to[i] = read_sample(p, format);
}

/* ---- looking for it ---- */

static bool is_silent(const struct noise_search *s, const float *frame)
{
	for (unsigned c = 0; c < s->channels; c++)
		if (frame[c] != 0)
			return false;
	return true;
}

static bool is_frame(const struct noise_search *s, const float *frame, uint64_t number)
{
	double tolerance = s->format == VIRTIO_SND_PCM_FMT_S32 ? 0x1p-23 : 0;

	for (unsigned c = 0; c < s->channels; c++) {
		double more = frame[c] - noise_level(s->format, number, s->map ? s->map[c] : c);

		if (more < -tolerance || more > tolerance)
			return false;
	}
	return true;
}

/* How many frames tell where in the noise they are: those of few bits need some more. */
static uint64_t run_of(const struct noise_search *s)
{
	return s->map || bits_of(s->format) * s->channels < 32 ? RUN : 1;
}

/* Frames may be left out: which one is it? */
static bool look_ahead(
	const struct noise_search *s, const float *frames, uint64_t left, uint64_t *number)
{
	uint64_t run = left < run_of(s) ? left : run_of(s), n;

	for (uint64_t i = *number; i < *number + NOISE_AHEAD; i++) {
		for (n = 0; n < run && is_frame(s, frames + n * s->channels, i + n); n++)
			;
		if (n < run)
			continue;
		*number = i;
		return true;
	}
	return false;
}

static void note(struct noise_found *f, uint64_t at, uint64_t number, uint64_t gap)
{
	if (!f->frames) {
		f->first_at = at;
		f->first = number;
	} else {
		f->gaps += gap > 0;
		f->silence += gap;
		f->lost += number - f->end;
	}
	f->frames++;
	f->last_at = at;
	f->end = number + 1;
}

struct noise_found noise_find(const struct noise_search *s, const float *frames, uint64_t n)
{
	struct noise_found f = {.end = s->from};
	uint64_t gap = 0, number;

	for (uint64_t i = 0; i < n && f.strange < STRANGE_MOST; i++, frames += s->channels) {
		number = f.end;
		if (is_frame(s, frames, number)
			|| (!is_silent(s, frames) && look_ahead(s, frames, n - i, &number))) {
			note(&f, i, number, gap);
			gap = 0;
		} else if (is_silent(s, frames)) {
			gap++;
		} else {
			f.strange++;
		}
	}
	return f;
}
