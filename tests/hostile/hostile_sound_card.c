/* SPDX-License-Identifier: MIT */
/* Jacks and control elements that are not there, or not what a request takes them for. */
#include "on_sound.h"

/* ---- jacks and control elements ---- */

static void jacks(const void *arg)
{
	static const uint32_t wrong[] = {JACKS, JACKS + 1, 255, 256, 1u << 31, ~0u};

	(void)arg;
	assert_int_equal(snd_jack_remap(&hx.snd, 0, 15, 15), OK);
	assert_int_equal(snd_jack_remap(&hx.snd, 1, 0, 0), OK);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		assert_int_equal(snd_jack_remap(&hx.snd, wrong[i], 1, 0), BAD_MSG);
		assert_int_equal(snd_jack_remap(&hx.snd, 0, 16 + wrong[i] / 2, 0), BAD_MSG);
		assert_int_equal(snd_jack_remap(&hx.snd, 0, 0, 16 + wrong[i] / 2), BAD_MSG);
	}
}

static void no_jacks(const void *arg)
{
	(void)arg;
	assert_int_equal(snd_jack_remap(&hx.snd, 0, 1, 0), BAD_MSG);
	assert_int_equal(snd_query(&hx.snd, VIRTIO_SND_R_JACK_INFO, 0, 0, 24), OK);
	assert_int_equal(snd_query(&hx.snd, VIRTIO_SND_R_JACK_INFO, 0, 1, 24), BAD_MSG);
}

/* All requests about an element are refused so. */
static void expect_no_control(uint32_t id, int status)
{
	struct virtio_snd_ctl_enum_item items[7];
	struct virtio_snd_ctl_value value = {0};
	uint8_t tlv[64] = {0};

	assert_int_equal(snd_ctl_enum_items(&hx.snd, id, 7, items), status);
	assert_int_equal(snd_ctl_read(&hx.snd, id, &value), status);
	assert_int_equal(snd_ctl_write(&hx.snd, id, &value, sizeof(value)), status);
	assert_int_equal(snd_ctl_tlv_read(&hx.snd, id, tlv, sizeof(tlv)), status);
	assert_int_equal(snd_ctl_tlv_write(&hx.snd, id, tlv, sizeof(tlv)), status);
	assert_int_equal(snd_ctl_tlv_command(&hx.snd, id, tlv, sizeof(tlv)), status);
}

static void no_such_control(const void *arg)
{
	static const uint32_t wrong[] = {CONTROLS, CONTROLS + 1, 191, 192, 193, 65536, ~0u};

	(void)arg;
	for (size_t i = 0; i < COUNT(wrong); i++)
		expect_no_control(wrong[i], BAD_MSG);
}

static void no_controls(const void *arg)
{
	(void)arg;
	expect_no_control(0, NOT_SUPP);
	expect_no_control(~0u, NOT_SUPP);
	assert_true(snd_query(&hx.snd, VIRTIO_SND_R_CTL_INFO, 0, 1, 256) > OK);
}

static int write_control(uint32_t id, uint32_t value)
{
	return snd_ctl_write(&hx.snd, id, &value, sizeof(value));
}

/* A value beyond an element's is refused and changes nothing. */
static void wrong_values(const void *arg)
{
	static const uint32_t most[] = {120, 1, 6}, more[] = {0, 1, 100, 1u << 16, ~0u - 200};
	struct virtio_snd_ctl_value value;

	(void)arg;
	for (uint32_t id = 0; id < CONTROLS; id++) {
		uint32_t top = most[id < 6 ? id % 3 : (id - 6) % 2];

		assert_int_equal(write_control(id, 0), OK);
		assert_int_equal(write_control(id, top), OK);
		for (size_t i = 0; i < COUNT(more); i++)
			assert_int_equal(write_control(id, top + 1 + more[i]), BAD_MSG);
		assert_int_equal(snd_ctl_read(&hx.snd, id, &value), OK);
		assert_int_equal(value.value.integer[0], top);
	}
}

static void of_another_kind(const void *arg)
{
	struct virtio_snd_ctl_enum_item items[7];
	uint8_t tlv[64] = {0};

	(void)arg;
	for (uint32_t id = 0; id < CONTROLS; id++) {
		bool role = id < 6 && id % 3 == ROLE;
		bool volume = id < 6 ? id % 3 == VOLUME : id % 2 == 0;

		assert_int_equal(snd_ctl_enum_items(&hx.snd, id, 7, items), role ? OK : BAD_MSG);
		assert_int_equal(snd_ctl_tlv_read(&hx.snd, id, tlv, 16), volume ? OK : NOT_SUPP);
		assert_int_equal(snd_ctl_tlv_write(&hx.snd, id, tlv, 16), NOT_SUPP);
		assert_int_equal(snd_ctl_tlv_command(&hx.snd, id, tlv, 64), NOT_SUPP);
	}
}

/* A driver that knows nothing of elements is told nothing of them. */
static void not_agreed(const void *arg)
{
	struct virtio_snd_config config;

	(void)arg;
	hx.features &= ~(1ull << VIRTIO_SND_F_CTLS);
	hostile_agree();
	hostile_give_memory();
	hostile_start_rings();
	assert_ok(frontend_get_config(&hx.fe, 0, 12, &config));
	assert_int_equal(config.streams, STREAMS);
	assert_ok(snd_driver_fill(&hx.snd, 2));
	for (uint32_t id = 0; id < CONTROLS; id++)
		assert_true(write_control(id, id % 2) >= OK);
	hostile_settle();
	assert_true(snd_driver_poll(&hx.snd) >= 0);
	assert_int_equal(hx.snd.event_count, 0);
	hostile_restart_ring(EVENT);
	expect_rings_work();
}

/* Nobody gives event buffers: what is to be told waits, once for each element. */
static void written_again_and_again(const void *arg)
{
	long rss = 0;

	(void)arg;
	for (uint32_t i = 0; i < 20000; i++) {
		assert_int_equal(write_control(i % CONTROLS, i / CONTROLS % 2), OK);
		if (i == 1000)
			rss = child_rss_kib(&hx.child);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 4096);
}

/* ---- the list ---- */

static const char *const plain_card[] = {"--backend=null", "--playback=2", "--capture=2", NULL};

static const struct hostile_case cases[] = {
	{"jacks that are not there, and wrong places", RUNNING, jacks},
	{"a card without jacks", RUNNING, no_jacks, NULL, plain_card},
	{"elements that are not there", RUNNING, no_such_control},
	{"T13: a card without elements", RUNNING, no_controls, NULL, plain_card},
	{"values beyond an element's", RUNNING, wrong_values},
	{"requests about an element of another kind", RUNNING, of_another_kind},
	{"elements that were not agreed on", CONNECTED, not_agreed},
	{"elements written 20000 times", RUNNING, written_again_and_again},
};

int main(int argc, char **argv)
{
	return hostile_main(argc, argv, cases, COUNT(cases));
}
