/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "common/bytes.h"
#include "sound/card.h"

#include <math.h>

static struct card card;

static void begin(unsigned n_playback, unsigned n_capture)
{
	const struct card_config config = {n_playback, n_capture, true, true};

	card_init(&card, &config);
}

/* Streams of one number are one PCM device, and each has its eight maps. */
static void test_streams(void **state)
{
	struct virtio_snd_pcm_info pcm;
	struct virtio_snd_chmap_info map;

	(void)state;
	begin(3, 2);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(card_pcm_info(&card, i, &pcm), sizeof(pcm));
		assert_int_equal(le32(pcm.hdr.hda_fn_nid), i < 3 ? i : i - 3);
		assert_int_equal(pcm.direction, i < 3 ? VIRTIO_SND_D_OUTPUT : VIRTIO_SND_D_INPUT);
		assert_int_equal(pcm.channels_min, 1);
		assert_int_equal(pcm.channels_max, 8);
	}
	assert_int_equal(card_n_chmaps(&card), 40);
	for (unsigned i = 0; i < 40; i++) {
		card_chmap_info(&card, i, &map);
		card_pcm_info(&card, i / 8, &pcm);
		assert_int_equal(le32(map.hdr.hda_fn_nid), le32(pcm.hdr.hda_fn_nid));
		assert_int_equal(map.direction, pcm.direction);
		assert_int_equal(map.channels, i % 8 + 1);
		for (unsigned k = map.channels; k < VIRTIO_SND_CHMAP_MAX_SIZE; k++)
			assert_int_equal(map.positions[k], 0);
	}
}

/* T14: what a driver remaps is what it reads then; the rest of the value stays. */
static void test_t14_jacks(void **state)
{
	struct virtio_snd_jack_info before, after;

	(void)state;
	begin(1, 1);
	assert_int_equal(card.n_jacks, 2);
	card_jack_info(&card, 1, &before);
	assert_int_equal(card_remap(&card, 1, 9, 15), VIRTIO_SND_S_OK);
	card_jack_info(&card, 1, &after);
	assert_int_equal(le32(after.hda_reg_defconf) & 0xff, 0x9f);
	assert_int_equal(le32(after.hda_reg_defconf) >> 8, le32(before.hda_reg_defconf) >> 8);
	assert_int_equal(card_remap(&card, 2, 0, 0), VIRTIO_SND_S_BAD_MSG);
	assert_int_equal(card_remap(&card, 0, 16, 0), VIRTIO_SND_S_BAD_MSG);
	assert_int_equal(card_remap(&card, 0, 0, 16), VIRTIO_SND_S_BAD_MSG);
	begin(0, 1);
	assert_int_equal(card.n_jacks, 1);
	assert_int_equal(card.jacks[0].direction, VIRTIO_SND_D_INPUT);
}

/* Each element belongs to one place of one stream, and its name and index are its own. */
static void test_controls(void **state)
{
	struct virtio_snd_ctl_info info, other;

	(void)state;
	begin(3, 2);
	assert_int_equal(card.n_controls, 13);
	for (unsigned i = 0; i < 13; i++) {
		unsigned stream = card_control_stream(&card, i);
		enum card_kind kind = card_control_kind(&card, i);

		assert_int_equal(card_control(&card, stream, kind), i);
		card_ctl_info(&card, i, &info);
		assert_true(info.name[0] && !info.name[43]);
		assert_int_equal(le32(info.count), 1);
		if (kind == CARD_ROLE)
			assert_int_equal(le32(info.role), 0);
		else
			assert_int_equal(le32(info.role) & 1, card_direction(&card, stream));
		for (unsigned k = 0; k < i; k++) {
			card_ctl_info(&card, k, &other);
			assert_true(strcmp((char *)info.name, (char *)other.name)
				|| le32(info.index) != le32(other.index));
		}
	}
}

/* T11: no value below 0. */
static void test_t11_ranges(void **state)
{
	struct virtio_snd_ctl_info info;

	(void)state;
	begin(1, 1);
	card_ctl_info(&card, 0, &info);
	assert_int_equal(le32(info.value.integer.min), 0);
	assert_int_equal(le32(info.value.integer.max), CARD_VOLUME_MAX);
	card_ctl_info(&card, 2, &info);
	assert_int_equal(le32(info.value.enumerated.items), card_control_max(CARD_ROLE) + 1);
	assert_non_null(card_role(card_control_max(CARD_ROLE)));
	assert_null(card_role(card_control_max(CARD_ROLE) + 1));
}

static void test_volume(void **state)
{
	(void)state;
	begin(1, 0);
	assert_true(card_level(&card, 0).volume == 1); // exactly: nothing is scaled
	assert_false(card_level(&card, 0).mute);
	for (uint32_t v = 0; v <= CARD_VOLUME_MAX; v++) {
		card.values[0] = v;
		assert_int_equal(card_volume(card_level(&card, 0).volume), v);
	}
	card.values[0] = CARD_VOLUME_MAX - 40; // -20 dB
	assert_true(fabsf(card_level(&card, 0).volume - 0.1f) < 1e-4f);
	assert_int_equal(card_volume(-1), 0);
	assert_int_equal(card_volume(1e-9f), 0);
	assert_int_equal(card_volume(10), CARD_VOLUME_MAX);
	assert_int_equal(card_volume(NAN), 0);
	card.values[1] = 0;
	assert_true(card_level(&card, 0).mute);
}

static void test_tlv(void **state)
{
	__le32 tlv[4] = {0};
	uint8_t five[6] = {0, 0, 0, 0, 0, 0x55};

	(void)state;
	assert_int_equal(card_tlv(tlv, sizeof(tlv)), 16);
	assert_int_equal(le32(tlv[0]), 1); // DB_SCALE
	assert_int_equal(le32(tlv[1]), 8);
	assert_int_equal((int32_t)le32(tlv[2]), -50 * CARD_VOLUME_MAX);
	assert_int_equal(le32(tlv[3]), 0x10000 | 50);
	assert_int_equal(card_tlv(five, 5), 5);
	assert_int_equal(five[5], 0x55);
	assert_int_equal(card_tlv(five, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_t14_jacks),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_t11_ranges),
		cmocka_unit_test(test_volume),
		cmocka_unit_test(test_tlv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
