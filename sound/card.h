/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What is on the card besides streams: jacks, channel maps and control elements, and the answers
 * about all of them (VIRTIO 1.4, 5.14.6.4, .6.5 and .6.9 to .6.10). No I/O, no time.
 *
 * Streams 0 .. n_playback - 1 play, the rest record. Playback stream i and capture stream i are one
 * PCM device of the guest, function group i. Each stream has a volume and a switch, a playback
 * stream also a role.
 */
#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "protocols/virtio_snd.h"

enum {
	CARD_JACKS = 2, // at most: what is played to, what is recorded from
	CARD_CONTROLS_A_STREAM = 3,
	CARD_CONTROLS_MAX = BACKEND_STREAMS_MAX * CARD_CONTROLS_A_STREAM,
	CARD_VOLUME_MAX = 120, // 0 dB, in steps of half a decibel; 0 is silence
};

/* Kinds of control elements, in the order of their places on a stream. */
enum card_kind { CARD_VOLUME, CARD_SWITCH, CARD_ROLE };

struct card_jack {
	uint8_t direction; // VIRTIO_SND_D_*
	bool connected;
	uint8_t association, sequence;
};

struct card {
	unsigned n_playback, n_streams, n_jacks, n_controls;
	struct card_jack jacks[CARD_JACKS];
	uint32_t values[CARD_CONTROLS_MAX];
};

struct card_config {
	unsigned n_playback, n_capture; // at most BACKEND_STREAMS_MAX in all
	bool jacks, controls;
	const char *role; // of what is played, as long as the guest chooses none; NULL: the first
};

void card_init(struct card *c, const struct card_config *config);

unsigned card_direction(const struct card *c, unsigned stream); // VIRTIO_SND_D_*

/* The items of the four kinds of queries. Each fills one item and says how many bytes it has. */
size_t card_jack_info(const struct card *c, unsigned i, void *item);
size_t card_pcm_info(const struct card *c, unsigned i, void *item);
size_t card_chmap_info(const struct card *c, unsigned i, void *item);
size_t card_ctl_info(const struct card *c, unsigned i, void *item);
unsigned card_n_chmaps(const struct card *c);

/* Changes a jack's place. VIRTIO_SND_S_*. */
uint32_t card_remap(struct card *c, unsigned jack, uint32_t association, uint32_t sequence);

/* Control elements, by a number below n_controls. */
unsigned card_control(const struct card *c, unsigned stream, enum card_kind kind);
unsigned card_control_stream(const struct card *c, unsigned control);
enum card_kind card_control_kind(const struct card *c, unsigned control);
uint32_t card_control_max(enum card_kind kind);

/* An enumerated element's items; NULL behind the last. What PipeWire calls them is their media.role. */
const char *card_role(unsigned i);

/* A volume's scale in decibels, as ALSA's TLV: writes up to `room` bytes and says how many. */
size_t card_tlv(void *buf, size_t room);

/* How loud a stream is by its control elements, and the other way round. */
struct backend_level card_level(const struct card *c, unsigned stream);
uint32_t card_volume(float linear);
