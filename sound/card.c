/* SPDX-License-Identifier: MIT */
#include "card.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "format.h"

/* HDA 1.0a, 7.3.3.31 and 7.3.4.9: a 1/8" jack at the front; a pin that detects what is plugged in. */
enum {
	DEFCONF_LINE_OUT = 0x02014000,
	DEFCONF_MIC_IN = 0x02a19000,
	CAPS_DETECT = 1 << 2,
	CAPS_OUT = 1 << 4,
	CAPS_IN = 1 << 5,
	PLACE_MAX = 15, // of an association or a sequence
};

static const char *const roles[] = {
	"Music", "Movie", "Game", "Communication", "Notification", "Accessibility", "Production"};

void card_init(struct card *c, const struct card_config *config)
{
	*c = (struct card){.n_playback = config->n_playback,
		.n_streams = config->n_playback + config->n_capture};
	if (config->jacks && config->n_playback)
		c->jacks[c->n_jacks++] = (struct card_jack){VIRTIO_SND_D_OUTPUT, false, 1, 0};
	if (config->jacks && config->n_capture)
		c->jacks[c->n_jacks++] = (struct card_jack){VIRTIO_SND_D_INPUT, false, 2, 0};
	if (!config->controls)
		return;
	c->n_controls = 3 * config->n_playback + 2 * config->n_capture;
	for (unsigned i = 0; i < c->n_streams; i++) {
		c->values[card_control(c, i, CARD_VOLUME)] = CARD_VOLUME_MAX;
		c->values[card_control(c, i, CARD_SWITCH)] = 1;
		for (unsigned k = 0; i < c->n_playback && config->role && card_role(k); k++)
			if (!strcmp(card_role(k), config->role))
				c->values[card_control(c, i, CARD_ROLE)] = k;
	}
}

unsigned card_direction(const struct card *c, unsigned stream)
{
	return stream < c->n_playback ? VIRTIO_SND_D_OUTPUT : VIRTIO_SND_D_INPUT;
}

static struct virtio_snd_info group(const struct card *c, unsigned stream)
{
	return (struct virtio_snd_info){
		to_le32(stream < c->n_playback ? stream : stream - c->n_playback)};
}

/* ---- jacks, streams, channel maps ---- */

size_t card_jack_info(const struct card *c, unsigned i, void *item)
{
	const struct card_jack *j = &c->jacks[i];
	bool out = j->direction == VIRTIO_SND_D_OUTPUT;
	uint32_t defconf = out ? DEFCONF_LINE_OUT : DEFCONF_MIC_IN;
	struct virtio_snd_jack_info info = {
		.features = to_le32(BIT(VIRTIO_SND_JACK_F_REMAP)),
		.hda_reg_defconf = to_le32(defconf | (uint32_t)j->association << 4 | j->sequence),
		.hda_reg_caps = to_le32(CAPS_DETECT | (out ? CAPS_OUT : CAPS_IN)),
		.connected = j->connected,
	};

	memcpy(item, &info, sizeof(info));
	return sizeof(info);
}

uint32_t card_remap(struct card *c, unsigned jack, uint32_t association, uint32_t sequence)
{
	if (jack >= c->n_jacks || association > PLACE_MAX || sequence > PLACE_MAX)
		return VIRTIO_SND_S_BAD_MSG;
	c->jacks[jack].association = (uint8_t)association;
	c->jacks[jack].sequence = (uint8_t)sequence;
	return VIRTIO_SND_S_OK;
}

size_t card_pcm_info(const struct card *c, unsigned i, void *item)
{
	struct virtio_snd_pcm_info info = {
		.hdr = group(c, i),
		.features = to_le32(
			BIT(VIRTIO_SND_PCM_F_MSG_POLLING) | BIT(VIRTIO_SND_PCM_F_EVT_XRUNS)),
		.formats = to_le64(format_all()),
		.rates = to_le64(format_rates()),
		.direction = (uint8_t)card_direction(c, i),
		.channels_min = 1,
		.channels_max = FORMAT_CHANNELS_MAX,
	};

	memcpy(item, &info, sizeof(info));
	return sizeof(info);
}

unsigned card_n_chmaps(const struct card *c)
{
	return c->n_streams * FORMAT_CHANNELS_MAX;
}

size_t card_chmap_info(const struct card *c, unsigned i, void *item)
{
	unsigned stream = i / FORMAT_CHANNELS_MAX, channels = i % FORMAT_CHANNELS_MAX + 1;
	struct virtio_snd_chmap_info info = {
		.hdr = group(c, stream),
		.direction = (uint8_t)card_direction(c, stream),
		.channels = (uint8_t)channels,
	};

	memcpy(info.positions, format_positions(channels), channels);
	memcpy(item, &info, sizeof(info));
	return sizeof(info);
}

/* ---- control elements ---- */

unsigned card_control(const struct card *c, unsigned stream, enum card_kind kind)
{
	if (stream < c->n_playback)
		return 3 * stream + kind;
	return 3 * c->n_playback + 2 * (stream - c->n_playback) + kind;
}

unsigned card_control_stream(const struct card *c, unsigned control)
{
	unsigned playing = 3 * c->n_playback;

	return control < playing ? control / 3 : c->n_playback + (control - playing) / 2;
}

enum card_kind card_control_kind(const struct card *c, unsigned control)
{
	unsigned playing = 3 * c->n_playback;

	return control < playing ? control % 3 : (control - playing) % 2;
}

uint32_t card_control_max(enum card_kind kind)
{
	static const uint32_t most[] = {CARD_VOLUME_MAX, 1, ARRAY_SIZE(roles) - 1};

	return most[kind];
}

/* What each kind is, for playback and capture. ALSA's mixer goes by the names. */
static const struct {
	const char *name[2];
	uint32_t role, type, access;
} kinds[] = {
	[CARD_VOLUME] = {{"Master Playback Volume", "Capture Volume"}, VIRTIO_SND_CTL_ROLE_VOLUME,
		VIRTIO_SND_CTL_TYPE_INTEGER, BIT(VIRTIO_SND_CTL_ACCESS_TLV_READ)},
	[CARD_SWITCH] = {{"Master Playback Switch", "Capture Switch"}, VIRTIO_SND_CTL_ROLE_MUTE,
		VIRTIO_SND_CTL_TYPE_BOOLEAN, 0},
	[CARD_ROLE] = {{"Playback Role", NULL}, VIRTIO_SND_CTL_ROLE_UNDEFINED,
		VIRTIO_SND_CTL_TYPE_ENUMERATED, 0},
};

size_t card_ctl_info(const struct card *c, unsigned i, void *item)
{
	unsigned stream = card_control_stream(c, i), direction = card_direction(c, stream);
	enum card_kind kind = card_control_kind(c, i);
	uint32_t role = kinds[kind].role;
	struct virtio_snd_ctl_info info = {
		.hdr = group(c, stream),
		.role = to_le32(role ? role << 1 | direction : 0),
		.type = to_le32(kinds[kind].type),
		.access = to_le32(kinds[kind].access | BIT(VIRTIO_SND_CTL_ACCESS_READ)
			| BIT(VIRTIO_SND_CTL_ACCESS_WRITE)),
		.count = to_le32(1),
		.index = group(c, stream).hda_fn_nid,
	};

	snprintf((char *)info.name, sizeof(info.name), "%s", kinds[kind].name[direction]);
	if (kind == CARD_ROLE) {
		info.value.enumerated.items = to_le32(ARRAY_SIZE(roles));
	} else {
		info.value.integer.max = to_le32(card_control_max(kind));
		info.value.integer.step = to_le32(1);
	}
	memcpy(item, &info, sizeof(info));
	return sizeof(info);
}

const char *card_role(unsigned i)
{
	return i < ARRAY_SIZE(roles) ? roles[i] : NULL;
}

size_t card_tlv(void *buf, size_t room)
{
	/* SNDRV_CTL_TLVT_DB_SCALE: from -60.00 dB in steps of 0.50 dB, the lowest being silence. */
	const __le32 scale[] = {
		to_le32(1), to_le32(8), to_le32((uint32_t)-6000), to_le32(50 | 0x10000)};
	size_t len = room < sizeof(scale) ? room : sizeof(scale);

	memcpy(buf, scale, len);
	return len;
}

struct backend_level card_level(const struct card *c, unsigned stream)
{
	uint32_t volume = c->values[card_control(c, stream, CARD_VOLUME)];

	return (struct backend_level){
		.volume = !volume ? 0
			: volume == CARD_VOLUME_MAX
			? 1
			: powf(10, ((float)volume - CARD_VOLUME_MAX) / 40),
		.mute = !c->values[card_control(c, stream, CARD_SWITCH)],
	};
}

uint32_t card_volume(float linear)
{
	float steps = linear > 0 ? roundf(40 * log10f(linear)) + CARD_VOLUME_MAX : 0;

	return steps <= 0 ? 0 : steps >= CARD_VOLUME_MAX ? CARD_VOLUME_MAX : (uint32_t)steps;
}
