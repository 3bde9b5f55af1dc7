/* SPDX-License-Identifier: MIT */
#pragma once
/* Sample formats, rates and channel maps of virtio-sound (VIRTIO 1.4, 5.14.6.6 and 5.14.6.9). Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/virtio_snd.h"

enum { FORMAT_CHANNELS_MAX = 8, FORMAT_FRAME_MAX = FORMAT_CHANNELS_MAX * 8 };

/* What a stream carries. */
struct pcm_format {
	uint8_t direction; // VIRTIO_SND_D_*
	uint8_t format;    // VIRTIO_SND_PCM_FMT_*
	uint8_t channels;
	uint32_t rate;           // frames a second
	uint32_t frame;          // bytes of one
	uint32_t period, buffer; // frames: what the guest has between two completions, and in all
};

/* What a graph can carry without loss, as bit masks of VIRTIO_SND_PCM_FMT_* and _RATE_*. */
uint64_t format_all(void);
uint64_t format_rates(void);

/* Bytes of a sample; 0 for a format that is not carried. */
unsigned format_bytes(uint8_t format);

/* Frames a second; 0 for no such VIRTIO_SND_PCM_RATE_*. */
uint32_t format_rate(uint8_t rate);

/* Writes `frames` frames of silence. */
void format_silence(const struct pcm_format *f, void *buf, size_t frames);

/* VIRTIO_SND_CHMAP_* of each of `channels` channels, 1 to FORMAT_CHANNELS_MAX. */
const uint8_t *format_positions(unsigned channels);
