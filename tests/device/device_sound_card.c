/* SPDX-License-Identifier: MIT */
/* What is on the card: streams, channel maps, jacks, control elements, and events about them. */
#include "sound.h"

#include <endian.h>
#include <string.h>

#include "driver/wait.h"

enum { VOLUME, SWITCH, ROLE };

static const char *const whole_card[] = {
	"--playback=2", "--capture=3", "--controls", "--jacks", NULL};

/* The features of a stream that plays are those of one that records. */
enum { PLAYBACK = 2, STREAMS = 5, CONTROLS = 12 };

static void begin(const char *const *args, uint32_t event_buffers)
{
	sound_begin(&(struct snd_setup){
		.args = args, .config_size = 16, .event_buffers = event_buffers});
	sx.snd.refill = false;
}

static void begin_whole_card(uint32_t event_buffers)
{
	begin(whole_card, event_buffers);
}

/* Which PCM device of the guest's a stream belongs to. */
static uint32_t device_of(uint32_t stream)
{
	return stream < PLAYBACK ? stream : stream - PLAYBACK;
}

/* ---- how many of everything ---- */

struct numbers {
	const char *const args[5];
	struct virtio_snd_config wanted;
};

static const struct numbers numbers[] = {
	{{NULL}, {0, 2, 16, 0}},
	{{"--capture=0", NULL}, {0, 1, 8, 0}},
	{{"--playback=0", "--jacks", NULL}, {1, 1, 8, 0}},
	{{"--playback=2", "--capture=3", "--controls", "--jacks", NULL}, {2, 5, 40, 12}},
	{{"--playback=32", "--capture=32", "--controls", NULL}, {0, 64, 512, 160}},
};

static void test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct virtio_snd_config c;

		begin(numbers[i].args, 0);
		c = snd_stage_config(&sx);
		assert_memory_equal(&c, &numbers[i].wanted, sizeof(c));
		assert_int_equal(sx.fe.offered & 1, numbers[i].wanted.controls > 0);
	}
}

/* All of what there can be at most is told in one answer. */
static void test_largest_card(void **state)
{
	static const char *const args[] = {"--playback=32", "--capture=32", "--controls", NULL};
	static struct virtio_snd_pcm_info streams[64];
	static struct virtio_snd_chmap_info maps[512];
	static struct virtio_snd_ctl_info elements[160];

	(void)state;
	begin(args, 0);
	assert_int_equal(snd_pcm_info(&sx.snd, 0, 64, streams), OK);
	assert_int_equal(streams[31].direction, VIRTIO_SND_D_OUTPUT);
	assert_int_equal(streams[32].direction, VIRTIO_SND_D_INPUT);
	assert_int_equal(streams[63].hdr.hda_fn_nid, 31);
	assert_int_equal(snd_chmap_info(&sx.snd, 0, 512, maps), OK);
	assert_int_equal(maps[511].channels, 8);
	assert_int_equal(snd_ctl_info(&sx.snd, 0, 160, elements), OK);
	assert_string_equal((char *)elements[159].name, "Capture Switch");
}

/* ---- streams and channel maps ---- */

static void test_streams(void **state)
{
	static const uint8_t formats[] = {VIRTIO_SND_PCM_FMT_MU_LAW, VIRTIO_SND_PCM_FMT_A_LAW,
		VIRTIO_SND_PCM_FMT_S8, VIRTIO_SND_PCM_FMT_U8, VIRTIO_SND_PCM_FMT_S16,
		VIRTIO_SND_PCM_FMT_S24_3, VIRTIO_SND_PCM_FMT_S24, VIRTIO_SND_PCM_FMT_S32,
		VIRTIO_SND_PCM_FMT_FLOAT, VIRTIO_SND_PCM_FMT_FLOAT64};
	struct virtio_snd_pcm_info info[STREAMS];
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++)
		all |= 1ull << formats[i];
	begin_whole_card(0);
	assert_int_equal(snd_pcm_info(&sx.snd, 0, STREAMS, info), OK);
	for (uint32_t i = 0; i < STREAMS; i++) {
		assert_int_equal(le32toh(info[i].hdr.hda_fn_nid), device_of(i));
		assert_int_equal(le32toh(info[i].features),
			1 << VIRTIO_SND_PCM_F_MSG_POLLING | 1 << VIRTIO_SND_PCM_F_EVT_XRUNS);
		assert_int_equal(le64toh(info[i].formats), all);
		assert_int_equal(le64toh(info[i].rates), (1 << VIRTIO_SND_PCM_RATE_COUNT) - 1);
		assert_int_equal(
			info[i].direction, i < PLAYBACK ? VIRTIO_SND_D_OUTPUT : VIRTIO_SND_D_INPUT);
		assert_int_equal(info[i].channels_min, 1);
		assert_int_equal(info[i].channels_max, 8);
	}
}

/* What a stream is told to do does not change what is said of it. */
static void test_streams_stay(void **state)
{
	struct virtio_snd_pcm_info before, after;
	struct tune t;

	(void)state;
	begin_whole_card(0);
	assert_int_equal(snd_pcm_info(&sx.snd, 0, 1, &before), OK);
	tune_init(&t, 0, 1);
	t.channels = 1;
	tune_make(&t, 1);
	tune_play(&t, 1);
	tune_free(&t);
	assert_int_equal(snd_pcm_info(&sx.snd, 0, 1, &after), OK);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void test_channel_maps(void **state)
{
	static const uint8_t eight[] = {VIRTIO_SND_CHMAP_FL, VIRTIO_SND_CHMAP_FR,
		VIRTIO_SND_CHMAP_RL, VIRTIO_SND_CHMAP_RR, VIRTIO_SND_CHMAP_FC, VIRTIO_SND_CHMAP_LFE,
		VIRTIO_SND_CHMAP_SL, VIRTIO_SND_CHMAP_SR};
	struct virtio_snd_chmap_info maps[8 * STREAMS];

	(void)state;
	begin_whole_card(0);
	assert_int_equal(snd_chmap_info(&sx.snd, 0, COUNT(maps), maps), OK);
	for (uint32_t i = 0; i < COUNT(maps); i++) {
		const struct virtio_snd_chmap_info *m = &maps[i];
		uint32_t stream = i / 8, channels = i % 8 + 1;

		assert_int_equal(le32toh(m->hdr.hda_fn_nid), device_of(stream));
		assert_int_equal(m->direction, stream >= PLAYBACK);
		assert_int_equal(m->channels, channels);
		if (channels == 1)
			assert_int_equal(m->positions[0], VIRTIO_SND_CHMAP_MONO);
		else if (channels != 3 && channels != 7)
			assert_memory_equal(m->positions, eight, channels);
		for (uint32_t c = channels; c < VIRTIO_SND_CHMAP_MAX_SIZE; c++)
			assert_int_equal(m->positions[c], 0);
	}
}

/* ---- jacks ---- */

/* There is always something that plays into a file, and something silent to record. */
static void test_jacks(void **state)
{
	struct virtio_snd_jack_info info[2];

	(void)state;
	begin_whole_card(0);
	assert_int_equal(snd_jack_info(&sx.snd, 0, 2, info), OK);
	for (int i = 0; i < 2; i++) {
		uint32_t device = le32toh(info[i].hda_reg_defconf) >> 20 & 0xf;

		assert_int_equal(le32toh(info[i].features), 1);
		assert_int_equal(device, i ? 0xa : 0); // microphone, line out
		assert_int_equal(le32toh(info[i].hda_reg_caps), 1 << 2 | 1 << (i ? 5 : 4));
		assert_int_equal(info[i].connected, 1);
	}
}

static void test_remap(void **state)
{
	struct virtio_snd_jack_info before[2], after[2];

	(void)state;
	begin_whole_card(0);
	assert_int_equal(snd_jack_info(&sx.snd, 0, 2, before), OK);
	assert_int_equal(snd_jack_remap(&sx.snd, 1, 9, 5), OK);
	assert_int_equal(snd_jack_info(&sx.snd, 0, 2, after), OK);
	assert_memory_equal(&before[0], &after[0], sizeof(before[0]));
	assert_int_equal(le32toh(after[1].hda_reg_defconf) & 0xff, 0x95);
	assert_int_equal(
		(le32toh(before[1].hda_reg_defconf) ^ le32toh(after[1].hda_reg_defconf)) & ~0xffu,
		0);
}

/* ---- control elements ---- */

static void assert_element(
	uint32_t id, uint32_t stream, int kind, const struct virtio_snd_ctl_info *e)
{
	static const char *const names[][3] = {
		{"Master Playback Volume", "Master Playback Switch", "Playback Role"},
		{"Capture Volume", "Capture Switch", NULL}};
	static const uint32_t types[] = {VIRTIO_SND_CTL_TYPE_INTEGER, VIRTIO_SND_CTL_TYPE_BOOLEAN,
		VIRTIO_SND_CTL_TYPE_ENUMERATED};
	bool records = stream >= PLAYBACK;

	assert_true(id < CONTROLS);
	assert_int_equal(le32toh(e->hdr.hda_fn_nid), device_of(stream));
	assert_int_equal(le32toh(e->type), types[kind]);
	assert_int_equal(le32toh(e->index), device_of(stream));
	assert_int_equal(le32toh(e->count), 1);
	assert_string_equal((const char *)e->name, names[records][kind]);
	assert_int_equal(
		le32toh(e->access), 3 | (kind == VOLUME ? 1 << VIRTIO_SND_CTL_ACCESS_TLV_READ : 0));
	if (kind == ROLE)
		assert_int_equal(le32toh(e->value.enumerated.items), 7);
	else
		assert_int_equal(le32toh(e->value.integer.max), kind == VOLUME ? 120 : 1);
	if (kind != ROLE)
		assert_int_equal(le32toh(e->value.integer.min), 0);
}

static void test_elements(void **state)
{
	struct virtio_snd_ctl_info elements[CONTROLS];
	uint32_t id = 0;

	(void)state;
	begin_whole_card(0);
	assert_int_equal(snd_ctl_info(&sx.snd, 0, CONTROLS, elements), OK);
	for (uint32_t stream = 0; stream < STREAMS; stream++)
		for (int kind = VOLUME; kind <= (stream < PLAYBACK ? ROLE : SWITCH); kind++, id++)
			assert_element(id, stream, kind, &elements[id]);
	assert_int_equal(id, CONTROLS);
}

static uint32_t read_element(uint32_t id)
{
	struct virtio_snd_ctl_value value;

	assert_int_equal(snd_ctl_read(&sx.snd, id, &value), OK);
	assert_int_equal(sx.snd.resp_len, 4 + sizeof(value));
	for (size_t i = 1; i < COUNT(value.value.integer); i++)
		assert_int_equal(value.value.integer[i], 0);
	return le32toh(value.value.integer[0]);
}

static void write_element(uint32_t id, uint32_t value)
{
	const __le32 wire = htole32(value);

	assert_int_equal(snd_ctl_write(&sx.snd, id, &wire, sizeof(wire)), OK);
}

/* As Linux writes them: the whole union. */
static void test_values(void **state)
{
	static const uint32_t defaults[] = {120, 1, 0, 120, 1, 0, 120, 1, 120, 1, 120, 1};
	struct virtio_snd_ctl_value whole = {0};

	(void)state;
	begin_whole_card(0);
	for (uint32_t id = 0; id < CONTROLS; id++)
		assert_int_equal(read_element(id), defaults[id]);
	whole.value.integer[0] = htole32(60);
	assert_int_equal(snd_ctl_write(&sx.snd, 6, &whole, sizeof(whole)), OK);
	for (uint32_t id = 0; id < CONTROLS; id++)
		assert_int_equal(read_element(id), id == 6 ? 60 : defaults[id]);
	write_element(5, 6);
	write_element(1, 0);
	assert_int_equal(read_element(5), 6);
	assert_int_equal(read_element(1), 0);
	sound_reset(); // a mixer's settings are no state of the guest's
	assert_int_equal(read_element(6), 60);
}

static void test_roles(void **state)
{
	struct virtio_snd_ctl_enum_item items[7];

	(void)state;
	begin_whole_card(0);
	assert_int_equal(snd_ctl_enum_items(&sx.snd, 2, 7, items), OK);
	assert_string_equal((char *)items[0].item, "Music");
	assert_string_equal((char *)items[6].item, "Production");
	assert_int_equal(snd_ctl_enum_items(&sx.snd, 5, 7, items), OK);
}

/* From -60 dB in steps of half a decibel; whoever has less room gets less. */
static void test_tlv(void **state)
{
	const uint32_t wanted[] = {1, 8, (uint32_t)-6000, 50 | 1 << 16};
	uint32_t tlv[8];

	(void)state;
	begin_whole_card(0);
	for (uint32_t room = 0; room <= sizeof(tlv); room++) {
		uint32_t len = room < sizeof(wanted) ? room : sizeof(wanted);

		assert_int_equal(snd_ctl_tlv_read(&sx.snd, 3, tlv, room), OK);
		assert_int_equal(sx.snd.resp_len, 4 + len);
		assert_memory_equal(tlv, wanted, len);
	}
}

/* ---- events ---- */

static void expect_notify(uint32_t id)
{
	uint32_t data;

	assert_int_equal(snd_driver_event(&sx.snd, &data, WAIT_DEFAULT), VIRTIO_SND_EVT_CTL_NOTIFY);
	assert_int_equal(data, id | 1u << VIRTIO_SND_CTL_EVT_MASK_VALUE << 16);
}

static void expect_no_event(void)
{
	assert_int_equal(snd_stage_settle(&sx), 0);
	assert_int_equal(sx.snd.event_count, 0);
}

/* All mixers of the guest hear of what one of them does, but only of what changes. */
static void test_t12_notify(void **state)
{
	(void)state;
	begin_whole_card(20);
	write_element(0, 60);
	expect_notify(0);
	write_element(0, 60);
	write_element(4, 1);
	expect_no_event();
	write_element(11, 0);
	write_element(2, 3);
	expect_notify(11);
	expect_notify(2);
	expect_no_event();
	assert_int_equal(sx.snd.event_buffers, 17);
}

/* Where there are no buffers, one event for each element waits for them. */
static void test_t19_events_wait(void **state)
{
	(void)state;
	begin_whole_card(0);
	for (uint32_t i = 0; i < 50; i++)
		for (uint32_t id = 0; id < 6; id += 3)
			write_element(id, i);
	assert_int_equal(snd_driver_fill(&sx.snd, 1), 0);
	expect_notify(0);
	expect_no_event();
	write_element(0, 99);
	assert_int_equal(snd_driver_fill(&sx.snd, 5), 0);
	expect_notify(0);
	expect_notify(3);
	expect_no_event();
	assert_int_equal(sx.snd.event_buffers, 3);
	assert_int_equal(read_element(0), 99);
}

/* A driver that begins anew reads all there is: nothing of before is told. */
static void test_events_are_forgotten(void **state)
{
	(void)state;
	begin_whole_card(0);
	write_element(0, 1);
	sound_reset();
	assert_int_equal(snd_driver_fill(&sx.snd, 4), 0);
	expect_no_event();
	write_element(3, 1);
	expect_notify(3);
	expect_no_event();
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, sound_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers),
		TEST(largest_card),
		TEST(streams),
		TEST(streams_stay),
		TEST(channel_maps),
		TEST(jacks),
		TEST(remap),
		TEST(elements),
		TEST(values),
		TEST(roles),
		TEST(tlv),
		TEST(t12_notify),
		TEST(t19_events_wait),
		TEST(events_are_forgotten),
	};

	sound_main(argc, argv);
	return cmocka_run_group_tests_name("device_sound_card", tests, NULL, NULL);
}
