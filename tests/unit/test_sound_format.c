/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "sound/format.h"

static void test_what_is_carried(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(i < 64 && format_all() >> i & 1, format_bytes((uint8_t)i) != 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_S16), 2);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_S24), 4); // T18: 24 bits in 32
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_S24_3), 3);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_FLOAT64), 8);
	/* T18: what few sinks have */
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_S20), 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_S18_3), 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_IMA_ADPCM), 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_DSD_U8), 0);
	/* what PipeWire is silent about */
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_U16), 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_U24), 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_U24_3), 0);
	assert_int_equal(format_bytes(VIRTIO_SND_PCM_FMT_U32), 0);
}

static void test_rates(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(i < 64 && format_rates() >> i & 1, format_rate((uint8_t)i) != 0);
	assert_int_equal(format_rate(VIRTIO_SND_PCM_RATE_5512), 5512);
	assert_int_equal(format_rate(VIRTIO_SND_PCM_RATE_384000), 384000);
	assert_int_equal(format_rate(VIRTIO_SND_PCM_RATE_12000), 12000);
	assert_int_equal(format_rate(VIRTIO_SND_PCM_RATE_24000), 24000);
}

static void assert_silence(uint8_t format, const void *sample, size_t bytes)
{
	const struct pcm_format f = {
		.format = format, .channels = 3, .frame = 3 * format_bytes(format)};
	uint8_t buf[3 * 8 * 5 + 1];

	assert_int_equal(format_bytes(format), bytes);
	memset(buf, 0x55, sizeof(buf));
	format_silence(&f, buf, 5);
	for (size_t i = 0; i < 15; i++)
		assert_memory_equal(buf + i * bytes, sample, bytes);
	assert_int_equal(buf[15 * bytes], 0x55);
}

static void test_silence(void **state)
{
	(void)state;
	assert_silence(VIRTIO_SND_PCM_FMT_MU_LAW, "\xff", 1);
	assert_silence(VIRTIO_SND_PCM_FMT_A_LAW, "\xd5", 1);
	assert_silence(VIRTIO_SND_PCM_FMT_S8, "\0", 1);
	assert_silence(VIRTIO_SND_PCM_FMT_U8, "\x80", 1);
	assert_silence(VIRTIO_SND_PCM_FMT_S16, "\0\0", 2);
	assert_silence(VIRTIO_SND_PCM_FMT_FLOAT64, "\0\0\0\0\0\0\0\0", 8);
}

/* No map has a place twice, nor one that is none. */
static void test_positions(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= FORMAT_CHANNELS_MAX; n++) {
		uint64_t seen = 0;

		for (unsigned i = 0; i < n; i++) {
			unsigned p = format_positions(n)[i];

			assert_true(p >= VIRTIO_SND_CHMAP_MONO && p <= VIRTIO_SND_CHMAP_RC);
			assert_int_equal(seen >> p & 1, 0);
			seen |= 1ull << p;
		}
	}
	assert_int_equal(format_positions(1)[0], VIRTIO_SND_CHMAP_MONO);
	assert_int_equal(format_positions(6)[4], VIRTIO_SND_CHMAP_FC);
	assert_int_equal(format_positions(8)[7], VIRTIO_SND_CHMAP_SR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_carried),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
