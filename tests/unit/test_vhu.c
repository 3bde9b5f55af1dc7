/* SPDX-License-Identifier: MIT */
/* The messages of a front-end: what is answered, refused, and what it costs. */
#define _GNU_SOURCE
#include "unit.h"
#include "rig.h"

#include <fcntl.h>
#include <unistd.h>
#include <linux/virtio_config.h>

#define PROTO(name) (1ull << VHOST_USER_PROTOCOL_F_##name)

static struct rig rig;
static unsigned fds_before;

static int setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	rig_init(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_finish(&rig);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

/* ---- features ---- */

static void test_features(void **state)
{
	const uint64_t core = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX
		| 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VHOST_USER_F_PROTOCOL_FEATURES;
	uint64_t offered = rig_get(&rig, VHOST_USER_GET_FEATURES);

	(void)state;
	assert_int_equal(offered & core, core);
	assert_int_equal(offered & 0xffffff, 5); // the device's own
	assert_false(vhu_has_feature(rig.vhu, 0));
	rig_tell_u64(&rig, VHOST_USER_SET_FEATURES, 1 | 1ull << VIRTIO_F_VERSION_1);
	assert_true(vhu_has_feature(rig.vhu, 0));
	assert_false(vhu_has_feature(rig.vhu, 2));
	assert_true(vhu_has_feature(rig.vhu, VIRTIO_F_VERSION_1));
}

static void test_protocol_features(void **state)
{
	uint64_t offered = rig_get(&rig, VHOST_USER_GET_PROTOCOL_FEATURES);

	(void)state;
	assert_true(offered & PROTO(REPLY_ACK));
	assert_true(offered & PROTO(CONFIG)); // the device has a configuration space
	assert_true(offered & PROTO(STATUS)); // its own choice
	assert_false(offered & PROTO(INBAND_NOTIFICATIONS));
	assert_false(offered & PROTO(LOG_SHMFD));
	assert_false(offered & PROTO(INFLIGHT_SHMFD));
	/* What was not offered is not there. */
	rig_tell_u64(&rig, VHOST_USER_SET_PROTOCOL_FEATURES, UINT64_MAX & ~PROTO(MQ));
	rig_refused(&rig, (struct rig_msg){.request = VHOST_USER_GET_QUEUE_NUM});
}

static void test_queue_num(void **state)
{
	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_QUEUE_NUM), RIG_QUEUES);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_MAX_MEM_SLOTS), GMEM_MAX_REGIONS);
}

static void test_owner(void **state)
{
	(void)state;
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_SET_OWNER});
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_RESET_OWNER});
}

/* ---- acks ---- */

static void test_acks(void **state)
{
	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 0, 8), 0);
	assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 0, 7), 0);
	assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 99, 8), 0);
	assert_int_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 2, 16), 0); // still there
	rig_tell_state(&rig, VHOST_USER_SET_VRING_NUM, 1, 32); // not asked for, not given
}

/* Whoever did not negotiate acks gets none, however much is asked for. */
static void test_no_acks(void **state)
{
	const struct vhost_user_vring_state good = {0, 8}, bad = {0, 7};
	struct rig_msg m = {.request = VHOST_USER_SET_VRING_NUM,
		.flags = VHOST_USER_NEED_REPLY_MASK,
		.payload = &good,
		.size = sizeof(good)};

	(void)state;
	rig_negotiate(&rig, PROTO(REPLY_ACK));
	rig_tell(&rig, m);
	m.payload = &bad;
	rig_refused(&rig, m);
}

/* What is answered anyway is answered once. */
static void test_no_second_answer(void **state)
{
	struct rig_msg m = {
		.request = VHOST_USER_GET_FEATURES, .flags = VHOST_USER_NEED_REPLY_MASK};

	(void)state;
	rig_negotiate(&rig, 0);
	rig_send(&rig, m);
	assert_int_equal(rig_reply(&rig), 1);
	assert_int_equal(rig.in.msg.p.u64 & 0xffffff, 5);
	assert_int_equal(rig_reply(&rig), 0);
}

/* ---- what is refused before any handler runs ---- */

static void test_unknown_requests(void **state)
{
	const uint32_t unknown[] = {0, VHOST_USER_SET_LOG_BASE, VHOST_USER_SET_LOG_FD, 19, 20, 22,
		23, 26, 27, 28, 29, 30, VHOST_USER_GET_INFLIGHT_FD, 35, 41,
		VHOST_USER_REQUEST_COUNT, 1000, 0x80000000, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		rig_negotiate(&rig, 0);
		assert_int_not_equal(rig_ack_u64(&rig, unknown[i], 0), 0);
		rig_refused(&rig, (struct rig_msg){.request = unknown[i]});
	}
}

/* Each request's payload, its descriptors at most, and the feature that it needs. */
static const struct {
	uint32_t request, size;
	unsigned fds;
	uint64_t feature;
} rules[] = {
	{VHOST_USER_GET_FEATURES, 0, 0, 0},
	{VHOST_USER_SET_FEATURES, 8, 0, 0},
	{VHOST_USER_SET_OWNER, 0, 0, 0},
	{VHOST_USER_RESET_OWNER, 0, 0, 0},
	{VHOST_USER_SET_VRING_NUM, 8, 0, 0},
	{VHOST_USER_SET_VRING_ADDR, 40, 0, 0},
	{VHOST_USER_SET_VRING_BASE, 8, 0, 0},
	{VHOST_USER_GET_VRING_BASE, 8, 0, 0},
	{VHOST_USER_SET_VRING_KICK, 8, 1, 0},
	{VHOST_USER_SET_VRING_CALL, 8, 1, 0},
	{VHOST_USER_SET_VRING_ERR, 8, 1, 0},
	{VHOST_USER_GET_PROTOCOL_FEATURES, 0, 0, 0},
	{VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, 0},
	{VHOST_USER_GET_QUEUE_NUM, 0, 0, PROTO(MQ)},
	{VHOST_USER_SET_VRING_ENABLE, 8, 0, 0},
	{VHOST_USER_SET_BACKEND_REQ_FD, 0, 1, PROTO(BACKEND_REQ)},
	{VHOST_USER_RESET_DEVICE, 0, 0, PROTO(RESET_DEVICE)},
	{VHOST_USER_GET_MAX_MEM_SLOTS, 0, 0, PROTO(CONFIGURE_MEM_SLOTS)},
	{VHOST_USER_ADD_MEM_REG, 40, 1, PROTO(CONFIGURE_MEM_SLOTS)},
	{VHOST_USER_REM_MEM_REG, 40, 1, PROTO(CONFIGURE_MEM_SLOTS)},
	{VHOST_USER_SET_STATUS, 8, 0, PROTO(STATUS)},
	{VHOST_USER_GET_STATUS, 0, 0, PROTO(STATUS)},
};

enum { N_RULES = sizeof(rules) / sizeof(*rules) };

/* A message that is right by the rules, with zeroes in it. */
static struct rig_msg by_rule(unsigned i, const int *fds)
{
	static const uint8_t zeroes[64];

	return (struct rig_msg){.request = rules[i].request,
		.payload = zeroes,
		.size = rules[i].size,
		.fds = fds,
		.n_fds = rules[i].fds};
}

static void test_payload_sizes(void **state)
{
	int fds[8] = {rig.kick};

	(void)state;
	for (unsigned i = 0; i < N_RULES; i++) {
		struct rig_msg m = by_rule(i, fds);

		rig_negotiate(&rig, 0);
		m.size++;
		rig_refused(&rig, m);
		if (m.size < 2)
			continue;
		rig_negotiate(&rig, 0);
		m.size -= 2;
		rig_refused(&rig, m);
	}
}

static void test_too_many_fds(void **state)
{
	int fds[8] = {rig.kick, rig.kick, rig.kick, rig.kick};

	(void)state;
	for (unsigned i = 0; i < N_RULES; i++) {
		struct rig_msg m = by_rule(i, fds);

		rig_negotiate(&rig, 0);
		m.n_fds++;
		rig_refused(&rig, m);
	}
}

static void test_gates(void **state)
{
	int fds[8] = {rig.kick};

	(void)state;
	for (unsigned i = 0; i < N_RULES; i++) {
		if (!rules[i].feature)
			continue;
		rig_negotiate(&rig, rules[i].feature);
		rig_refused(&rig, by_rule(i, fds));
	}
	rig_negotiate(&rig, PROTO(CONFIG));
	rig_refused(&rig, (struct rig_msg){.request = VHOST_USER_GET_CONFIG});
	rig_negotiate(&rig, PROTO(CONFIG));
	rig_refused(&rig, (struct rig_msg){.request = VHOST_USER_SET_CONFIG});
}

/* Every request that names a ring, with one that is not there. */
static void test_queue_indices(void **state)
{
	const uint32_t bad[] = {RIG_QUEUES, RIG_QUEUES + 1, 255, 0x7fffffff, UINT32_MAX};
	const uint32_t by_state[] = {
		VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE, VHOST_USER_SET_VRING_ENABLE};
	const uint32_t by_u64[] = {
		VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR};

	(void)state;
	rig_negotiate(&rig, 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct vhost_user_vring_addr addr = rig_ring_addr(bad[i]);
		struct rig_msg m = {.request = VHOST_USER_SET_VRING_ADDR,
			.payload = &addr,
			.size = sizeof(addr)};

		assert_int_not_equal(rig_ack(&rig, m), 0);
		for (unsigned j = 0; j < 3; j++) {
			assert_int_not_equal(rig_ack_state(&rig, by_state[j], bad[i], 0), 0);
			assert_int_not_equal(
				rig_ack_u64(&rig, by_u64[j], bad[i] | VHOST_USER_VRING_NOFD), 0);
		}
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const struct vhost_user_vring_state s = {.index = bad[i]};

		rig_negotiate(&rig, 0);
		rig_refused(&rig,
			(struct rig_msg){.request = VHOST_USER_GET_VRING_BASE,
				.payload = &s,
				.size = sizeof(s)});
	}
}

static void test_ring_values(void **state)
{
	const uint32_t sizes[] = {0, 1, 3, 32767, 32769, 65536, 0x80000000, UINT32_MAX};

	(void)state;
	rig_negotiate(&rig, 0);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 0, sizes[i]), 0);
	for (uint32_t size = 2; size <= VQ_MAX_SIZE; size *= 2)
		assert_int_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 0, size), 0);
	assert_int_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_BASE, 0, 65535), 0);
	assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_BASE, 0, 65536), 0);
	assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 2), 0);
}

/* Descriptors and the flag that says there is none must agree; polling is not offered. */
static void test_ring_fds(void **state)
{
	const uint32_t requests[] = {
		VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR, VHOST_USER_SET_VRING_KICK};
	uint64_t index = VHOST_USER_VRING_NOFD;
	struct rig_msg m = {.payload = &index, .size = sizeof(index), .fds = &rig.call, .n_fds = 1};
	int file;

	(void)state;
	rig_negotiate(&rig, 0);
	for (unsigned i = 0; i < 3; i++) {
		m.request = requests[i];
		assert_int_not_equal(rig_ack(&rig, m), 0);
		assert_int_not_equal(rig_ack_u64(&rig, requests[i], 0), 0);
		assert_int_not_equal(rig_ack_u64(&rig, requests[i], 1ull << 9 | 1 << 8), 0);
		assert_int_not_equal(rig_ack_u64(&rig, requests[i], 1ull << 63 | 1 << 8), 0);
	}
	assert_int_equal(rig_ack_u64(&rig, requests[0], VHOST_USER_VRING_NOFD), 0);
	assert_int_equal(rig_ack_u64(&rig, requests[1], VHOST_USER_VRING_NOFD), 0);
	assert_int_not_equal(rig_ack_u64(&rig, requests[2], VHOST_USER_VRING_NOFD), 0);
	file = open("/proc/self/exe", O_RDONLY); // nothing that could be waited for
	index = 0;
	m.fds = &file;
	assert_int_not_equal(rig_ack(&rig, m), 0);
	close(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(features),
		TEST(protocol_features),
		TEST(queue_num),
		TEST(owner),
		TEST(acks),
		TEST(no_acks),
		TEST(no_second_answer),
		TEST(unknown_requests),
		TEST(payload_sizes),
		TEST(too_many_fds),
		TEST(gates),
		TEST(queue_indices),
		TEST(ring_values),
		TEST(ring_fds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
