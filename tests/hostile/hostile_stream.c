/* SPDX-License-Identifier: MIT */
/* Bytes and descriptors that are not the messages they should be, and floods of good ones. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* ---- headers ---- */

static void version(const void *arg)
{
	uint32_t flags = *(const uint32_t *)arg;
	struct frontend_msg m = {.request = VHOST_USER_GET_FEATURES, .flags = flags};

	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

static const uint32_t versions[] = {0, 2, 3, 0xfffffffc, 8};

static void unknown_flags(const void *arg)
{
	struct frontend_msg m = {.request = VHOST_USER_GET_FEATURES, .flags = 0xfffffff1};
	struct frontend_reply reply;

	(void)arg;
	assert_ok(frontend_send(&hx.fe, &m));
	assert_ok(frontend_recv(&hx.fe, &reply));
	assert_int_equal(reply.header.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	assert_int_equal(reply.header.size, 8);
}

static void payload_too_long(const void *arg)
{
	struct frontend_msg m = hostile_msg(1000, NULL, *(const uint32_t *)arg);

	m.len = 0;
	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

static const uint32_t too_long[] = {MAX_PAYLOAD + 1, 65536, 0x7fffffff, 0x80000000, ~0u - 11, ~0u};

/* A GET_* that asks for an ack as well gets one answer, the reply. */
static void reply_and_ack(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);
	struct frontend_reply reply;

	(void)arg;
	m.flags = FRONTEND_NEED_REPLY;
	assert_ok(frontend_send(&hx.fe, &m));
	assert_ok(frontend_recv(&hx.fe, &reply));
	assert_int_equal(reply.header.size, 8);
	assert_ok(frontend_get_protocol(&hx.fe));
}

static void ack_not_negotiated(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_SET_OWNER, NULL, 0);

	(void)arg;
	m.flags = FRONTEND_NEED_REPLY;
	assert_ok(frontend_send(&hx.fe, &m));
	assert_ok(frontend_get_features(&hx.fe));
	m.request = 1000;
	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

/* Not offered is not had, whatever the front-end says. */
static void protocol_not_offered(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_STATUS, NULL, 0);
	const uint64_t inflight = PROTOCOL(INFLIGHT_SHMFD) | PROTOCOL(LOG_SHMFD);

	(void)arg;
	assert_ok(frontend_get_protocol(&hx.fe));
	assert_int_equal(hx.fe.protocol_offered & (PROTOCOL(STATUS) | inflight), 0);
	assert_ok(frontend_set_protocol(&hx.fe, ~0ull));
	assert_int_equal(frontend_ack(&hx.fe, &(struct frontend_msg){.request = 31}), -EREMOTEIO);
	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

/* ---- pieces and ends ---- */

#define TABLE_BYTES (sizeof(struct vhost_user_header) + 8 + 3 * 32)

/* The message that gives all of the guest's memory. */
struct table_msg {
	struct vhost_user_mem_table table;
	int fds[3];
	struct frontend_msg msg;
};

static void make_table(struct table_msg *t)
{
	*t = (struct table_msg){.table.nregions = 3};
	for (size_t i = 0; i < 3; i++) {
		const struct guest_region *r = &hx.guest.regions[i];

		t->fds[i] = r->fd;
		t->table.regions[i] =
			(struct vhost_user_region){r->gpa, r->size, r->gpa, r->mmap_offset};
	}
	t->msg = hostile_msg(VHOST_USER_SET_MEM_TABLE, &t->table, TABLE_BYTES - 12);
	t->msg.fds = t->fds;
	t->msg.nfds = 3;
}

static void header_in_two(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);
	struct frontend_reply reply;

	(void)arg;
	for (size_t cut = 1; cut < sizeof(struct vhost_user_header); cut++) {
		assert_ok(frontend_send_pieces(&hx.fe, &m, &cut, 1));
		assert_ok(frontend_recv(&hx.fe, &reply));
		assert_int_equal(reply.header.request, VHOST_USER_GET_FEATURES);
	}
}

static void payload_in_two(const void *arg)
{
	struct table_msg t;

	(void)arg;
	make_table(&t);
	t.msg.flags = FRONTEND_NEED_REPLY;
	for (size_t cut = 1; cut < TABLE_BYTES; cut += 5) {
		assert_ok(frontend_send_pieces(&hx.fe, &t.msg, &cut, 1));
		assert_ok(frontend_read_ack(&hx.fe, VHOST_USER_SET_MEM_TABLE));
	}
	hx.fe.guest = &hx.guest;
	hostile_start_rings();
	expect_rings_work();
}

static void byte_by_byte(const void *arg)
{
	size_t cuts[TABLE_BYTES - 1];
	struct table_msg t;

	(void)arg;
	make_table(&t);
	t.msg.flags = FRONTEND_NEED_REPLY;
	for (size_t i = 0; i < COUNT(cuts); i++)
		cuts[i] = i + 1;
	assert_ok(frontend_send_pieces(&hx.fe, &t.msg, cuts, COUNT(cuts)));
	assert_ok(frontend_read_ack(&hx.fe, VHOST_USER_SET_MEM_TABLE));
}

static void end_at_every_byte(const void *arg)
{
	uint8_t bytes[TABLE_BYTES];
	struct channel_fds fds = {.n = 3};
	struct vhost_user_header h;
	struct table_msg t;

	(void)arg;
	make_table(&t);
	h = (struct vhost_user_header){t.msg.request, t.msg.flags, t.msg.size};
	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &t.table, TABLE_BYTES - sizeof(h));
	memcpy(fds.fd, t.fds, sizeof(t.fds));
	for (size_t n = 1; n <= TABLE_BYTES; n++) {
		assert_ok(channel_send(hx.fe.fd, bytes, n, &fds, wait_deadline(WAIT_DEFAULT)));
		hostile_leave();
		hostile_connect();
	}
}

/* The front-end says no more, but wants to hear the answers. */
static void half_closed(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);
	struct frontend_reply reply;

	(void)arg;
	assert_ok(frontend_send(&hx.fe, &m));
	assert_ok(frontend_send(&hx.fe, &m));
	assert_ok(shutdown(hx.fe.fd, SHUT_WR));
	assert_ok(frontend_recv(&hx.fe, &reply));
	assert_ok(frontend_recv(&hx.fe, &reply));
	expect_closed();
}

static void deaf(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);

	(void)arg;
	assert_ok(shutdown(hx.fe.fd, SHUT_RD));
	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

/* ---- descriptors ---- */

/* Eight slices of one region: as many as a message can describe. */
static void make_slices(struct vhost_user_mem_table *t)
{
	*t = (struct vhost_user_mem_table){.nregions = 8};
	for (uint64_t i = 0; i < 8; i++)
		t->regions[i] = (struct vhost_user_region){i << 20, 1 << 20, i << 20, i << 20};
}

static void send_slices(size_t nfds)
{
	struct vhost_user_mem_table table;
	struct frontend_msg m;
	int fds[CHANNEL_MAX_FDS];

	make_slices(&table);
	m = hostile_msg(VHOST_USER_SET_MEM_TABLE, &table, sizeof(table));
	hostile_fds(fds, COUNT(fds));
	m.flags = FRONTEND_NEED_REPLY;
	m.fds = fds;
	m.nfds = nfds;
	assert_ok(frontend_send(&hx.fe, &m));
}

static void eight_descriptors(const void *arg)
{
	(void)arg;
	send_slices(8);
	assert_ok(frontend_read_ack(&hx.fe, VHOST_USER_SET_MEM_TABLE));
}

static void too_many_descriptors(const void *arg)
{
	(void)arg;
	send_slices(9);
	expect_closed();
	hostile_connect();
	hostile_agree();
	send_slices(32);
	expect_closed();
}

/* The header's first bytes without, the rest with the descriptor of a message that takes one. */
static void descriptors_in_the_middle(const void *arg)
{
	const size_t at = *(const size_t *)arg;
	struct channel_fds fds = {.n = 1, .fd = {hx.rings[0].call_fd}};
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	struct {
		struct vhost_user_header h;
		uint8_t index[8];
	} m = {{VHOST_USER_SET_VRING_CALL, FRONTEND_NEED_REPLY, 8}, {0}};

	assert_ok(channel_send(hx.fe.fd, &m, at, NULL, deadline));
	channel_drain(hx.fe.fd, deadline);
	assert_ok(channel_send(hx.fe.fd, (char *)&m + at, sizeof(m) - at, &fds, deadline));
	expect_closed();
}

static const size_t middles[] = {1, 4, 11, 12, 19};

static void stray_600_times(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_SET_OWNER, NULL, 0);
	int fds[8], n = child_count_fds(&hx.child);

	(void)arg;
	hostile_fds(fds, 8);
	m.nfds = 8;
	m.fds = fds;
	for (int i = 0; i < 600; i++)
		assert_int_equal(frontend_ack(&hx.fe, &m), -EREMOTEIO);
	expect_fds(n);
}

static void stray_600_questions(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);
	int fds[8];

	(void)arg;
	hostile_fds(fds, 8);
	m.nfds = 8;
	m.fds = fds;
	for (int i = 0; i < 600; i++) {
		assert_ok(frontend_send(&hx.fe, &m));
		expect_closed();
		hostile_connect();
	}
}

/* ---- floods ---- */

static void never_reads(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);
	int r = 0;

	(void)arg;
	for (int i = 0; i < 100000 && r == 0; i++)
		r = frontend_send(&hx.fe, &m);
	assert_int_equal(r, -ECONNRESET);
	hostile_leave();
}

static void asks_and_leaves(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);

	(void)arg;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			assert_ok(frontend_send(&hx.fe, &m));
		hostile_leave();
		hostile_connect();
	}
}

/* More than a turn of the loop takes, in one write. */
static void many_at_once(const void *arg)
{
	struct vhost_user_header h[100];
	struct frontend_reply reply;

	(void)arg;
	for (size_t i = 0; i < COUNT(h); i++)
		h[i] = (struct vhost_user_header){
			i % 2 ? VHOST_USER_GET_FEATURES : VHOST_USER_GET_PROTOCOL_FEATURES,
			VHOST_USER_VERSION, 0};
	assert_ok(frontend_send_bytes(&hx.fe, h, sizeof(h)));
	for (size_t i = 0; i < COUNT(h); i++) {
		assert_ok(frontend_recv(&hx.fe, &reply));
		assert_int_equal(reply.header.request, h[i].request);
	}
}

static void zeros(const void *arg)
{
	static const uint8_t nothing[4096];

	(void)arg;
	assert_ok(frontend_send_bytes(&hx.fe, nothing, sizeof(nothing)));
	expect_closed();
}

/* Those behind it wait until the first one has left. */
static void second_frontend(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_FEATURES, NULL, 0);
	struct frontend first = hx.fe;
	struct frontend_reply reply;

	(void)arg;
	hostile_connect();
	assert_ok(frontend_send(&hx.fe, &m));
	assert_ok(frontend_barrier(&first));
	hx.fe.timeout_ms = 0;
	assert_int_equal(frontend_recv(&hx.fe, &reply), -ETIMEDOUT);
	hx.fe.timeout_ms = WAIT_DEFAULT;
	frontend_close(&first);
	assert_ok(frontend_recv(&hx.fe, &reply));
}

/* ---- a daemon that was given its one connection ---- */

static void one_connection(const void *arg)
{
	uint32_t flags = *(const uint32_t *)arg;
	struct frontend_msg m = {.request = VHOST_USER_GET_FEATURES, .flags = flags};
	struct daemon_child child;

	assert_ok(child_start_fd(&child, hostile_binary, NULL));
	hostile_leave();
	frontend_adopt(&hx.fe, child_take_fd(&child));
	expect_answers();
	assert_ok(frontend_send(&hx.fe, &m));
	if (flags != VHOST_USER_VERSION)
		expect_closed();
	hostile_leave();
	assert_int_equal(child_wait(&child, WAIT_DEFAULT), 0);
	child_kill(&child);
}

static const uint32_t last_flags[] = {VHOST_USER_VERSION, 0};

/* ---- the list ---- */

static const struct hostile_case cases[] = {
	{"version 0", CONNECTED, version, &versions[0]},
	{"version 2", CONNECTED, version, &versions[1]},
	{"version 3", CONNECTED, version, &versions[2]},
	{"version 0 and all flags", CONNECTED, version, &versions[3]},
	{"version 0 and NEED_REPLY", AGREED, version, &versions[4]},
	{"flags that nobody knows", CONNECTED, unknown_flags},
	{"a payload one byte too long", AGREED, payload_too_long, &too_long[0]},
	{"a payload of 64 KiB", AGREED, payload_too_long, &too_long[1]},
	{"a payload of 2 GiB - 1", AGREED, payload_too_long, &too_long[2]},
	{"a payload of 2 GiB", AGREED, payload_too_long, &too_long[3]},
	{"a payload that wraps with its header", AGREED, payload_too_long, &too_long[4]},
	{"a payload of 4 GiB - 1", CONNECTED, payload_too_long, &too_long[5]},
	{"a question that asks for an ack too", AGREED, reply_and_ack},
	{"NEED_REPLY that was not negotiated", CONNECTED, ack_not_negotiated},
	{"protocol features that were not offered", AGREED, protocol_not_offered},
	{"a header in two pieces", CONNECTED, header_in_two},
	{"a payload in two pieces", AGREED, payload_in_two},
	{"a message byte by byte", AGREED, byte_by_byte},
	{"an end at every byte of a message", CONNECTED, end_at_every_byte},
	{"a connection closed in one direction", CONNECTED, half_closed},
	{"a front-end that cannot be answered", CONNECTED, deaf},
	{"eight descriptors", AGREED, eight_descriptors},
	{"more than eight descriptors", AGREED, too_many_descriptors},
	{"a descriptor with byte 1", AGREED, descriptors_in_the_middle, &middles[0]},
	{"a descriptor with byte 4", AGREED, descriptors_in_the_middle, &middles[1]},
	{"a descriptor with byte 11", AGREED, descriptors_in_the_middle, &middles[2]},
	{"a descriptor with the payload", AGREED, descriptors_in_the_middle, &middles[3]},
	{"a descriptor with the last byte", AGREED, descriptors_in_the_middle, &middles[4]},
	{"600 messages with 8 stray descriptors", AGREED, stray_600_times},
	{"600 questions with 8 stray descriptors", CONNECTED, stray_600_questions},
	{"a front-end that never reads", CONNECTED, never_reads},
	{"front-ends that ask and leave", CONNECTED, asks_and_leaves},
	{"a hundred messages in one write", CONNECTED, many_at_once},
	{"nothing but zeros", CONNECTED, zeros},
	{"a second front-end", CONNECTED, second_frontend},
	{"the only connection leaves", CONNECTED, one_connection, &last_flags[0]},
	{"the only connection is sent away", CONNECTED, one_connection, &last_flags[1]},
};

int main(int argc, char **argv)
{
	return hostile_main(argc, argv, cases, COUNT(cases));
}
