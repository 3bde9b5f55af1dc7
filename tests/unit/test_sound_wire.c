/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "common/bytes.h"
#include "sound/wire.h"

/* Decodes `len` bytes of a request, cut in two where it hurts. */
static uint32_t decode(const void *request, size_t len, size_t cut, struct sound_request *r)
{
	const struct iovec iov[] = {{(void *)(uintptr_t)request, cut < len ? cut : len},
		{(char *)(uintptr_t)request + cut, cut < len ? len - cut : 0}};

	return sound_wire_decode(iov, 2, r);
}

/* Every cut is read alike, every byte less is refused, and more is ignored. */
static struct sound_request check(const void *request, size_t len)
{
	struct sound_request r, first;
	char more[128] = {0};

	assert_int_equal(decode(request, len, len, &first), 0);
	for (size_t cut = 0; cut <= len; cut++) {
		memset(&r, 0x55, sizeof(r));
		assert_int_equal(decode(request, len, cut, &r), 0);
		assert_memory_equal(&r, &first, sizeof(r));
	}
	for (size_t less = 0; less < len; less++)
		assert_int_equal(decode(request, less, less, &r), VIRTIO_SND_S_BAD_MSG);
	memcpy(more, request, len);
	assert_int_equal(decode(more, sizeof(more), 7, &r), 0);
	return first;
}

static struct virtio_snd_hdr hdr(uint32_t code)
{
	return (struct virtio_snd_hdr){to_le32(code)};
}

static void test_queries(void **state)
{
	static const uint32_t codes[] = {VIRTIO_SND_R_JACK_INFO, VIRTIO_SND_R_PCM_INFO,
		VIRTIO_SND_R_CHMAP_INFO, VIRTIO_SND_R_CTL_INFO};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct virtio_snd_query_info q = {
			hdr(codes[i]), to_le32(5), to_le32(0xfffffffe), to_le32(32)};
		struct sound_request r = check(&q, sizeof(q));

		assert_int_equal(r.code, codes[i]);
		assert_int_equal(r.id, 5);
		assert_int_equal(r.query.count, 0xfffffffe);
		assert_int_equal(r.query.size, 32);
	}
}

static void test_remap(void **state)
{
	const struct virtio_snd_jack_remap m = {
		{hdr(VIRTIO_SND_R_JACK_REMAP), to_le32(1)}, to_le32(2), to_le32(3)};
	struct sound_request r = check(&m, sizeof(m));

	(void)state;
	assert_int_equal(r.id, 1);
	assert_int_equal(r.remap.association, 2);
	assert_int_equal(r.remap.sequence, 3);
}

static void test_streams(void **state)
{
	static const uint32_t codes[] = {VIRTIO_SND_R_PCM_PREPARE, VIRTIO_SND_R_PCM_RELEASE,
		VIRTIO_SND_R_PCM_START, VIRTIO_SND_R_PCM_STOP};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct virtio_snd_pcm_hdr m = {hdr(codes[i]), to_le32(0x01020304)};
		struct sound_request r = check(&m, sizeof(m));

		assert_int_equal(r.code, codes[i]);
		assert_int_equal(r.id, 0x01020304);
	}
}

static void test_params(void **state)
{
	const struct virtio_snd_pcm_set_params m = {{hdr(VIRTIO_SND_R_PCM_SET_PARAMS), to_le32(9)},
		to_le32(4096), to_le32(1024), to_le32(4), 2, 5, 7, 0xff};
	struct sound_request r = check(&m, sizeof(m));

	(void)state;
	assert_int_equal(r.id, 9);
	assert_int_equal(r.params.buffer_bytes, 4096);
	assert_int_equal(r.params.period_bytes, 1024);
	assert_int_equal(r.params.features, 4);
	assert_int_equal(r.params.channels, 2);
	assert_int_equal(r.params.format, 5);
	assert_int_equal(r.params.rate, 7);
}

static void test_controls(void **state)
{
	static const uint32_t codes[] = {VIRTIO_SND_R_CTL_ENUM_ITEMS, VIRTIO_SND_R_CTL_READ,
		VIRTIO_SND_R_CTL_TLV_READ, VIRTIO_SND_R_CTL_TLV_WRITE,
		VIRTIO_SND_R_CTL_TLV_COMMAND};
	const struct {
		struct virtio_snd_ctl_hdr hdr;
		__le32 value;
	} write = {{hdr(VIRTIO_SND_R_CTL_WRITE), to_le32(4)}, to_le32(77)};
	struct sound_request r;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		const struct virtio_snd_ctl_hdr m = {hdr(codes[i]), to_le32(3)};

		r = check(&m, sizeof(m));
		assert_int_equal(r.code, codes[i]);
		assert_int_equal(r.id, 3);
	}
	r = check(&write, sizeof(write));
	assert_int_equal(r.id, 4);
	assert_int_equal(r.value, 77);
}

static void test_unknown(void **state)
{
	static const uint32_t codes[] = {
		0, 3, 0xff, 0x106, 0x201, 0x307, 0x1000, 0x8000, 0xffffffff};
	struct sound_request r;

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		struct virtio_snd_query_info q = {.hdr = hdr(codes[i])};

		assert_int_equal(decode(&q, sizeof(q), 4, &r), VIRTIO_SND_S_NOT_SUPP);
		assert_int_equal(r.code, codes[i]);
		assert_int_equal(decode(&q, 3, 3, &r), VIRTIO_SND_S_BAD_MSG);
	}
}

static void test_stream_id(void **state)
{
	const struct virtio_snd_pcm_xfer xfer = {to_le32(0x00010203)};
	const struct iovec iov[] = {
		{(void *)(uintptr_t)&xfer, 3}, {(char *)(uintptr_t)&xfer + 3, 1}};
	uint32_t id = 7;

	(void)state;
	assert_false(sound_wire_stream_id(iov, 0, &id));
	assert_false(sound_wire_stream_id(iov, 1, &id));
	assert_int_equal(id, 7);
	assert_true(sound_wire_stream_id(iov, 2, &id));
	assert_int_equal(id, 0x00010203);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_stream_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
