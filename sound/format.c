/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <string.h>

#include "common/bytes.h"

/*
 * Signed and floating formats of whole bytes, unsigned ones of 8 bits, and the two laws: what PipeWire
 * takes in and gives back without loss (32 bits to 24 of them). It knows other unsigned formats by name
 * but stays silent; ADPCM, DSD and formats of 18 and 20 bits it does not know.
 */
static const struct {
	uint8_t bytes;
	uint8_t silence; // each byte of it
} formats[VIRTIO_SND_PCM_FMT_COUNT] = {
	[VIRTIO_SND_PCM_FMT_MU_LAW] = {1, 0xff},
	[VIRTIO_SND_PCM_FMT_A_LAW] = {1, 0xd5},
	[VIRTIO_SND_PCM_FMT_S8] = {1, 0},
	[VIRTIO_SND_PCM_FMT_U8] = {1, 0x80},
	[VIRTIO_SND_PCM_FMT_S16] = {2, 0},
	[VIRTIO_SND_PCM_FMT_S24_3] = {3, 0},
	[VIRTIO_SND_PCM_FMT_S24] = {4, 0},
	[VIRTIO_SND_PCM_FMT_S32] = {4, 0},
	[VIRTIO_SND_PCM_FMT_FLOAT] = {4, 0},
	[VIRTIO_SND_PCM_FMT_FLOAT64] = {8, 0},
};

static const uint32_t rates[VIRTIO_SND_PCM_RATE_COUNT] = {5512, 8000, 11025, 16000, 22050, 32000,
	44100, 48000, 64000, 88200, 96000, 176400, 192000, 384000, 12000, 24000};

uint64_t format_all(void)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].bytes)
			all |= BIT(i);
	return all;
}

uint64_t format_rates(void)
{
	return BIT(ARRAY_SIZE(rates)) - 1;
}

unsigned format_bytes(uint8_t format)
{
	return format < ARRAY_SIZE(formats) ? formats[format].bytes : 0;
}

uint32_t format_rate(uint8_t rate)
{
	return rate < ARRAY_SIZE(rates) ? rates[rate] : 0;
}

void format_silence(const struct pcm_format *f, void *buf, size_t frames)
{
	memset(buf, formats[f->format].silence, frames * f->frame);
}

const uint8_t *format_positions(unsigned channels)
{
	/* As ALSA orders them, which is also how WAV files and surround PCM devices do. */
	static const uint8_t maps[FORMAT_CHANNELS_MAX][FORMAT_CHANNELS_MAX] = {
		{VIRTIO_SND_CHMAP_MONO},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR, VIRTIO_SND_CHMAP_LFE},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR, VIRTIO_SND_CHMAP_RL,
			VIRTIO_SND_CHMAP_RR},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR, VIRTIO_SND_CHMAP_RL, VIRTIO_SND_CHMAP_RR,
			VIRTIO_SND_CHMAP_FC},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR, VIRTIO_SND_CHMAP_RL, VIRTIO_SND_CHMAP_RR,
			VIRTIO_SND_CHMAP_FC, VIRTIO_SND_CHMAP_LFE},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR, VIRTIO_SND_CHMAP_RL, VIRTIO_SND_CHMAP_RR,
			VIRTIO_SND_CHMAP_FC, VIRTIO_SND_CHMAP_LFE, VIRTIO_SND_CHMAP_RC},
		{VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR, VIRTIO_SND_CHMAP_RL, VIRTIO_SND_CHMAP_RR,
			VIRTIO_SND_CHMAP_FC, VIRTIO_SND_CHMAP_LFE, VIRTIO_SND_CHMAP_SL,
			VIRTIO_SND_CHMAP_SR},
	};

	return maps[channels - 1];
}
