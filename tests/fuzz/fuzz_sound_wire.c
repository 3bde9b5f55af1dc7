/* SPDX-License-Identifier: MIT */
/* What a request of virtio-sound says does not depend on how the guest has cut it; and what is pure of
 * the device: cards of all sizes, formats, levels. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "fuzz.h"
#include "pieces.h"
#include "sound/card.h"
#include "sound/format.h"
#include "sound/wire.h"

enum { REQUEST_MAX = 64, SPLITS = 8 };

static bool same(const struct sound_request *a, const struct sound_request *b)
{
	if (a->code != b->code || a->id != b->id)
		return false;
	if (a->code == VIRTIO_SND_R_PCM_SET_PARAMS)
		return a->params.buffer_bytes == b->params.buffer_bytes
			&& a->params.period_bytes == b->params.period_bytes
			&& a->params.features == b->params.features
			&& a->params.channels == b->params.channels
			&& a->params.format == b->params.format && a->params.rate == b->params.rate;
	return a->query.count == b->query.count && a->query.size == b->query.size;
}

static void check_request(const uint8_t *data, size_t size)
{
	struct sound_request whole_r, r;
	struct pieces whole = {0}, p;
	uint32_t status, id, whole_id = 0;
	bool has_id;

	pieces_add(&whole, data, size);
	status = sound_wire_decode(whole.iov, whole.n, &whole_r);
	has_id = sound_wire_stream_id(whole.iov, whole.n, &whole_id);
	FUZZ_CHECK(
		status == 0 || status == VIRTIO_SND_S_BAD_MSG || status == VIRTIO_SND_S_NOT_SUPP);
	FUZZ_CHECK(has_id == (size >= 4));
	FUZZ_CHECK(!has_id || whole_id == whole_r.code);
	for (uint32_t seed = 0; seed < SPLITS; seed++) {
		pieces_cut(&p, data, size, seed);
		FUZZ_CHECK(sound_wire_decode(p.iov, p.n, &r) == status);
		FUZZ_CHECK(same(&r, &whole_r));
		FUZZ_CHECK(sound_wire_stream_id(p.iov, p.n, &id) == has_id);
		FUZZ_CHECK(!has_id || id == whole_id);
		pieces_forget(&p);
	}
	pieces_forget(&whole);
}

/* ---- the card ---- */

static void check_items(const struct card *c)
{
	uint8_t item[SOUND_WIRE_ITEM_MAX];

	for (unsigned i = 0; i < c->n_jacks; i++)
		FUZZ_CHECK(card_jack_info(c, i, item) == sizeof(struct virtio_snd_jack_info));
	for (unsigned i = 0; i < c->n_streams; i++)
		FUZZ_CHECK(card_pcm_info(c, i, item) == sizeof(struct virtio_snd_pcm_info));
	for (unsigned i = 0; i < card_n_chmaps(c); i++)
		FUZZ_CHECK(card_chmap_info(c, i, item) == sizeof(struct virtio_snd_chmap_info));
}

static void check_controls(struct card *c, struct fuzz_input *in)
{
	struct virtio_snd_ctl_info info;

	for (unsigned i = 0; i < c->n_controls; i++) {
		unsigned stream = card_control_stream(c, i);
		enum card_kind kind = card_control_kind(c, i);
		struct backend_level level;

		FUZZ_CHECK(stream < c->n_streams && card_control(c, stream, kind) == i);
		FUZZ_CHECK(card_ctl_info(c, i, &info) == sizeof(info));
		FUZZ_CHECK(memchr(info.name, 0, sizeof(info.name)));
		c->values[i] = fuzz_u8(in) % (card_control_max(kind) + 1);
		level = card_level(c, stream);
		FUZZ_CHECK(level.volume >= 0 && level.volume <= 1);
		FUZZ_CHECK(kind != CARD_VOLUME || card_volume(level.volume) == c->values[i]);
		FUZZ_CHECK(kind != CARD_ROLE || card_role(c->values[i]));
	}
}

static void check_card(struct fuzz_input *in)
{
	struct card_config config = {.n_playback = fuzz_u8(in) % 33, .n_capture = fuzz_u8(in) % 33};
	const uint8_t what = fuzz_u8(in);
	static struct card c;
	uint32_t at = fuzz_u32(in), sequence = fuzz_u32(in), status;

	config.jacks = what & 1;
	config.controls = what & 2;
	card_init(&c, &config);
	status = card_remap(&c, what >> 2 & 3, at, sequence);
	FUZZ_CHECK(status == VIRTIO_SND_S_BAD_MSG || (at < 16 && sequence < 16));
	check_items(&c);
	check_controls(&c, in);
}

/* ---- numbers ---- */

static void check_format(uint8_t format, uint8_t channels, uint8_t rate)
{
	struct pcm_format f = {.format = format, .channels = channels % 8 + 1u};
	uint8_t *silence;

	FUZZ_CHECK(!format_rate(rate) == !(rate < 64 && format_rates() >> rate & 1));
	FUZZ_CHECK(!format_bytes(format) == !(format < 64 && format_all() >> format & 1));
	if (!format_bytes(format))
		return;
	f.frame = format_bytes(format) * f.channels;
	silence = malloc(3 * f.frame);
	FUZZ_CHECK(silence);
	format_silence(&f, silence, 3);
	free(silence);
	for (unsigned i = 0; i < f.channels; i++)
		FUZZ_CHECK(format_positions(f.channels)[i] >= VIRTIO_SND_CHMAP_MONO);
}

static void check_volume(uint32_t bits, uint8_t room)
{
	uint8_t *tlv = malloc(room ? room : 1);
	float linear;

	FUZZ_CHECK(tlv && card_tlv(tlv, room) == min_u64(room, 16));
	free(tlv);
	memcpy(&linear, &bits, sizeof(linear));
	if (!isnan(linear))
		FUZZ_CHECK(card_volume(linear) <= CARD_VOLUME_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};

	check_request(data, size > REQUEST_MAX ? REQUEST_MAX : size);
	check_card(&in);
	check_format(fuzz_u8(&in), fuzz_u8(&in), fuzz_u8(&in));
	check_volume(fuzz_u32(&in), fuzz_u8(&in));
	return 0;
}
