/* SPDX-License-Identifier: MIT */
/* Messages that are whole, with a wrong or an unusual thing in them. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATE(i, n) ((uint64_t)(i) | (uint64_t)(n) << 32) /* a struct vhost_user_vring_state */

/* ---- requests that a well-behaved front-end sends, one of each ---- */

struct request {
	const char *name;
	uint32_t request, size;
	uint64_t words[5]; // a payload that would be accepted
	uint32_t fds;      // descriptors that belong to it
	bool replies;
	uint64_t gate; // protocol feature without which it is refused
};

#define R(name) #name, VHOST_USER_##name

static const struct request requests[] = {
	{R(GET_FEATURES), .replies = true},
	{R(SET_FEATURES), 8, {1ull << VHOST_USER_F_PROTOCOL_FEATURES | 1ull << 32}},
	{R(SET_OWNER)},
	{R(RESET_OWNER)},
	{R(SET_VRING_NUM), 8, {STATE(0, 64)}},
	{R(SET_VRING_ADDR), 40, {0, 16, 32, 64}},
	{R(SET_VRING_BASE), 8, {STATE(0, 5)}},
	{R(GET_VRING_BASE), 8, {0}, .replies = true},
	{R(SET_VRING_KICK), 8, {1}, 1},
	{R(SET_VRING_CALL), 8, {1}, 1},
	{R(SET_VRING_ERR), 8, {1}, 1},
	{R(GET_PROTOCOL_FEATURES), .replies = true},
	{R(SET_PROTOCOL_FEATURES), 8, {~0ull}},
	{R(SET_VRING_ENABLE), 8, {STATE(1, 1)}},
	{R(GPU_SET_SOCKET), 0, {0}, 1},
	{R(GET_QUEUE_NUM), .replies = true, .gate = PROTOCOL(MQ)},
	{R(SET_BACKEND_REQ_FD), 0, {0}, 1, .gate = PROTOCOL(BACKEND_REQ)},
	{R(GET_CONFIG), 16, {STATE(0, 4), 0}, .replies = true, .gate = PROTOCOL(CONFIG)},
	{R(SET_CONFIG), 16, {STATE(0, 4), 0}, .gate = PROTOCOL(CONFIG)},
	{R(RESET_DEVICE), .gate = PROTOCOL(RESET_DEVICE)},
	{R(GET_MAX_MEM_SLOTS), .replies = true, .gate = PROTOCOL(CONFIGURE_MEM_SLOTS)},
	{R(ADD_MEM_REG), 40, {0, NO_GPA, 4096, NO_GPA, 0}, 1,
		.gate = PROTOCOL(CONFIGURE_MEM_SLOTS)},
	{R(SET_STATUS), 8, {0}, .gate = PROTOCOL(STATUS)},
	{R(GET_STATUS), .replies = true, .gate = PROTOCOL(STATUS)},
};

/* The descriptors that requests carry here: an eventfd serves for kick, call, err and sockets. */
static int event;

static struct frontend_msg good_msg(const struct request *r, const uint8_t *payload)
{
	struct frontend_msg m = hostile_msg(r->request, payload, r->size);

	m.fds = r->request == VHOST_USER_ADD_MEM_REG ? &hx.guest.regions[MAIN_REGION].fd : &event;
	m.nfds = r->fds;
	return m;
}

/* Refused, and where there can be no ack, closed: then there is a new front-end. */
static void expect_bad(const struct request *r, const struct frontend_msg *m)
{
	if (r->replies)
		assert_ok(frontend_send(&hx.fe, m));
	else
		assert_int_equal(frontend_ack(&hx.fe, m), -EREMOTEIO);
	if (!r->replies)
		return;
	expect_closed();
	hostile_connect();
	hostile_agree();
}

static void fill(uint8_t *payload, const struct request *r)
{
	memset(payload, 0, MAX_PAYLOAD);
	memcpy(payload, r->words, sizeof(r->words));
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(event >= 0);
}

static bool is_offered(const struct request *r)
{
	return !r->gate || r->gate & hx.fe.protocol_offered;
}

static void wrong_size(const void *arg)
{
	const struct request *r = arg;
	const uint32_t sizes[] = {0, 1, 4, 7, 8, 9, 12, 39, 40, 41, 44, r->size + 1, r->size - 1,
		(uint32_t)MAX_PAYLOAD};
	uint8_t payload[MAX_PAYLOAD];
	struct frontend_msg m;

	fill(payload, r);
	m = good_msg(r, payload);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		if (sizes[i] == r->size || sizes[i] > MAX_PAYLOAD)
			continue;
		m.size = sizes[i];
		m.len = sizes[i];
		expect_bad(r, &m);
	}
	close(event);
}

static void stray_descriptors(const void *arg)
{
	const struct request *r = arg;
	uint8_t payload[MAX_PAYLOAD];
	struct frontend_msg m;
	int fds[8];

	fill(payload, r);
	m = good_msg(r, payload);
	hostile_fds(fds, 8);
	fds[0] = m.fds[0];
	m.fds = fds;
	m.nfds = r->fds + 1;
	expect_bad(r, &m);
	m.nfds = 8;
	expect_bad(r, &m);
	close(event);
}

/* Not a single one is taken from elsewhere. */
static void missing_descriptor(const void *arg)
{
	const struct request *r = arg;
	uint8_t payload[MAX_PAYLOAD];
	struct frontend_msg m;

	fill(payload, r);
	m = good_msg(r, payload);
	m.nfds = 0;
	expect_bad(r, &m);
	close(event);
}

static void not_negotiated(const void *arg)
{
	const struct request *r = arg;
	uint8_t payload[MAX_PAYLOAD];
	struct frontend_msg m;

	hx.protocol = PROTOCOL(REPLY_ACK);
	hostile_agree();
	fill(payload, r);
	m = good_msg(r, payload);
	expect_bad(r, &m);
	if (!r->replies) {
		assert_ok(frontend_send(&hx.fe, &m));
		expect_closed();
	}
	close(event);
}

/* The rows above are good where they stand: else the cases made of them would show nothing. */
static void all_good_requests(const void *arg)
{
	uint8_t payload[MAX_PAYLOAD];

	(void)arg;
	for (size_t i = 0; i < COUNT(requests); i++) {
		const struct request *r = &requests[i];
		struct frontend_reply reply;
		struct frontend_msg m;

		if (!is_offered(r) || r->request == VHOST_USER_GPU_SET_SOCKET)
			continue;
		fill(payload, r);
		m = good_msg(r, payload);
		if (r->replies)
			assert_ok(frontend_ask(&hx.fe, m.request, m.payload, m.size, &reply));
		else
			assert_ok(frontend_ack(&hx.fe, &m));
		close(event);
	}
}

/* ---- one wrong value in a message that is well-formed otherwise ---- */

struct bad_value {
	const char *name;
	uint32_t request, size;
	uint64_t words[5];
	uint32_t fds;
	bool replies;
};

static const struct bad_value bad_values[] = {
	{"ring 2 in SET_VRING_NUM", VHOST_USER_SET_VRING_NUM, 8, {STATE(2, 64)}},
	{"ring 1000000 in SET_VRING_NUM", VHOST_USER_SET_VRING_NUM, 8, {STATE(1000000, 64)}},
	{"ring 0xffffffff in SET_VRING_NUM", VHOST_USER_SET_VRING_NUM, 8, {STATE(~0u, 64)}},
	{"ring 2 in SET_VRING_BASE", VHOST_USER_SET_VRING_BASE, 8, {2}},
	{"ring 1000000 in SET_VRING_BASE", VHOST_USER_SET_VRING_BASE, 8, {1000000}},
	{"ring 2 in GET_VRING_BASE", VHOST_USER_GET_VRING_BASE, 8, {2}, .replies = true},
	{"ring 1000000 in GET_VRING_BASE", VHOST_USER_GET_VRING_BASE, 8, {1000000},
		.replies = true},
	{"ring 2 in SET_VRING_ADDR", VHOST_USER_SET_VRING_ADDR, 40, {2}},
	{"ring 1000000 in SET_VRING_ADDR", VHOST_USER_SET_VRING_ADDR, 40, {1000000}},
	{"ring 2 in SET_VRING_ENABLE", VHOST_USER_SET_VRING_ENABLE, 8, {STATE(2, 1)}},
	{"ring 1000000 in SET_VRING_ENABLE", VHOST_USER_SET_VRING_ENABLE, 8, {STATE(1000000, 1)}},
	{"ring 1000000 in SET_VRING_ENABLE 0", VHOST_USER_SET_VRING_ENABLE, 8, {1000000}},
	{"ring 2 in SET_VRING_KICK", VHOST_USER_SET_VRING_KICK, 8, {2}, 1},
	{"ring 255 in SET_VRING_KICK", VHOST_USER_SET_VRING_KICK, 8, {255}, 1},
	{"ring 1000000 in SET_VRING_KICK", VHOST_USER_SET_VRING_KICK, 8, {1000000}, 1},
	{"ring 2 in SET_VRING_CALL", VHOST_USER_SET_VRING_CALL, 8, {2}, 1},
	{"ring 1000000 in SET_VRING_CALL", VHOST_USER_SET_VRING_CALL, 8, {1000000}, 1},
	{"ring 2 in SET_VRING_ERR", VHOST_USER_SET_VRING_ERR, 8, {2}, 1},
	{"ring 1000000 in SET_VRING_ERR", VHOST_USER_SET_VRING_ERR, 8, {1000000}, 1},

	{"SET_VRING_KICK with high bits", VHOST_USER_SET_VRING_KICK, 8, {1ull << 32}, 1},
	{"SET_VRING_CALL with bit 9", VHOST_USER_SET_VRING_CALL, 8, {1ull << 9}, 1},
	{"SET_VRING_ERR with bit 63", VHOST_USER_SET_VRING_ERR, 8, {1ull << 63}, 1},
	{"SET_VRING_KICK for polling", VHOST_USER_SET_VRING_KICK, 8, {1 << 8}},
	{"SET_VRING_KICK without a descriptor", VHOST_USER_SET_VRING_KICK, 8, {0}},
	{"SET_VRING_CALL without a descriptor", VHOST_USER_SET_VRING_CALL, 8, {0}},
	{"SET_VRING_ERR without a descriptor", VHOST_USER_SET_VRING_ERR, 8, {0}},
	{"SET_VRING_KICK with one that it denies", VHOST_USER_SET_VRING_KICK, 8, {1 << 8}, 1},
	{"SET_VRING_CALL with one that it denies", VHOST_USER_SET_VRING_CALL, 8, {1 << 8}, 1},
	{"SET_VRING_ERR with one that it denies", VHOST_USER_SET_VRING_ERR, 8, {1 << 8}, 1},

	{"a ring of 0", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 0)}},
	{"a ring of 1", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 1)}},
	{"a ring of 3", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 3)}},
	{"a ring of 65535", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 65535)}},
	{"a ring of 65536", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 65536)}},
	{"a ring of 1 << 31", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 1u << 31)}},
	{"a ring of 0xffffffff", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, ~0u)}},
	{"a base of 65536", VHOST_USER_SET_VRING_BASE, 8, {STATE(0, 65536)}},
	{"a base of 0xffffffff", VHOST_USER_SET_VRING_BASE, 8, {STATE(0, ~0u)}},
	{"a ring half enabled", VHOST_USER_SET_VRING_ENABLE, 8, {STATE(0, 2)}},
	{"a ring enabled by -1", VHOST_USER_SET_VRING_ENABLE, 8, {STATE(0, ~0u)}},

	{"GPU_SET_SOCKET without a socket", VHOST_USER_GPU_SET_SOCKET, 0, {0}},
	{"SET_BACKEND_REQ_FD without a socket", VHOST_USER_SET_BACKEND_REQ_FD, 0, {0}},
	{"SET_LOG_BASE", VHOST_USER_SET_LOG_BASE, 16, {4096, 0}, 1},
	{"SET_LOG_BASE of all memory", VHOST_USER_SET_LOG_BASE, 16, {~0ull, ~0ull}, 1},
	{"SET_LOG_BASE by an address", VHOST_USER_SET_LOG_BASE, 8, {0x1234}},
	{"SET_LOG_FD", VHOST_USER_SET_LOG_FD, 0, {0}, 1},
	{"SET_INFLIGHT_FD of 500 rings", VHOST_USER_SET_INFLIGHT_FD, 24, {4096, 0, 500}, 1},
	{"SET_INFLIGHT_FD beyond its file", VHOST_USER_SET_INFLIGHT_FD, 24, {~0ull, ~0ull, 2}, 1},
	{"GET_INFLIGHT_FD", VHOST_USER_GET_INFLIGHT_FD, 24, {0, 0, 2 | 64 << 16}},
	{"GET_INFLIGHT_FD with stray descriptors", VHOST_USER_GET_INFLIGHT_FD, 24, {0}, 8},

	{"SET_CONFIG beyond the space", VHOST_USER_SET_CONFIG, 16, {STATE(253, 4), 0}},
	{"SET_CONFIG at the end of the space", VHOST_USER_SET_CONFIG, 16, {STATE(256, 4), 0}},
	{"SET_CONFIG at 0xffffffff", VHOST_USER_SET_CONFIG, 16, {STATE(~0u, 4), 0}},
	{"SET_CONFIG of more than it brings", VHOST_USER_SET_CONFIG, 16, {STATE(0, 5), 0}},
	{"SET_CONFIG of less than it brings", VHOST_USER_SET_CONFIG, 16, {STATE(0, 3), 0}},
	{"SET_CONFIG of 257", VHOST_USER_SET_CONFIG, 16, {STATE(0, 257), 0}},
	{"SET_CONFIG whose size wraps", VHOST_USER_SET_CONFIG, 8, {STATE(0, 0xfffffffc)}},

	{"request 0", 0, 0, {0}},
	{"request 0 with payload", 0, 8, {0}},
	{"the first request without a name", VHOST_USER_REQUEST_COUNT, 0, {0}},
	{"request 1000", 1000, 8, {0}},
	{"request 0x7fffffff", 0x7fffffff, 0, {0}},
	{"request 0xffffffff", ~0u, 0, {0}},
	{"request 0xffffffff with descriptors", ~0u, 40, {0}, 8},
	{"the longest payload of no request", 1000, MAX_PAYLOAD, {0}},
};

static void bad_value(const void *arg)
{
	const struct bad_value *b = arg;
	struct frontend_msg m;
	uint8_t payload[MAX_PAYLOAD] = {0};
	int fds[8];

	memcpy(payload, b->words, sizeof(b->words));
	m = hostile_msg(b->request, payload, b->size);
	hostile_fds(fds, 8);
	fds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m.fds = fds;
	m.nfds = b->fds;
	if (b->replies) {
		assert_ok(frontend_send(&hx.fe, &m));
		expect_closed();
		hostile_connect();
		hostile_agree();
		m.flags = FRONTEND_NEED_REPLY; // there is no other way to say no
		assert_ok(frontend_send(&hx.fe, &m));
		expect_closed();
	} else {
		expect_refused(&m);
	}
	close(fds[0]);
}

/* All numbers that have no meaning here, those of other devices and of the future. */
static void every_unknown_request(const void *arg)
{
	static const uint8_t unknown[] = {
		6, 7, 19, 20, 22, 23, 26, 27, 28, 29, 30, 31, 32, 35, 41, 42, 43, 45, 46, 100, 255};
	uint8_t payload[64] = {0};

	(void)arg;
	for (size_t i = 0; i < COUNT(unknown); i++) {
		struct frontend_msg m = hostile_msg(unknown[i], payload, i % 2 ? 0 : 64);

		assert_int_equal(frontend_ack(&hx.fe, &m), -EREMOTEIO);
	}
}

/* ---- values that are unusual and work ---- */

static const struct bad_value odd_values[] = {
	{"a ring of 2", VHOST_USER_SET_VRING_NUM, 8, {STATE(0, 2)}},
	{"a ring of 32768", VHOST_USER_SET_VRING_NUM, 8, {STATE(1, 32768)}},
	{"a base of 65535", VHOST_USER_SET_VRING_BASE, 8, {STATE(0, 65535)}},
	{"no call descriptor", VHOST_USER_SET_VRING_CALL, 8, {1 << 8}},
	{"no err descriptor", VHOST_USER_SET_VRING_ERR, 8, {1 << 8}},
	{"features that nobody offered", VHOST_USER_SET_FEATURES, 8, {~0ull}},
	{"no features at all", VHOST_USER_SET_FEATURES, 8, {0}},
	{"ring addresses that mean nothing", VHOST_USER_SET_VRING_ADDR, 40,
		{0xffffffff00000000, ~0ull, ~0ull, ~0ull, ~0ull}},
	{"a socket message with a payload", VHOST_USER_GPU_SET_SOCKET, 40, {1, 2, 3}, 1},
	{"SET_CONFIG of all", VHOST_USER_SET_CONFIG, 12 + 256, {STATE(0, 256), 0}},
	{"SET_CONFIG of nothing at the end", VHOST_USER_SET_CONFIG, 12, {STATE(256, 0), 0}},
};

static void odd_value(const void *arg)
{
	const struct bad_value *b = arg;
	uint8_t payload[MAX_PAYLOAD] = {0};
	struct frontend_msg m;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	memcpy(payload, b->words, sizeof(b->words));
	m = hostile_msg(b->request, payload, b->size);
	m.fds = &fd;
	m.nfds = b->fds;
	expect_accepted(&m);
	close(fd);
}

/* ---- the configuration space ---- */

struct config_read {
	const char *name;
	uint32_t offset, size;
	uint32_t scanouts_at; // where in the answer their number lies, 0: nowhere
};

static const struct config_read config_reads[] = {
	{"configuration: nothing", 0, 0, 0},
	{"configuration: all", 0, 256, 8},
	{"configuration: a byte of it", 8, 1, 0},
	{"configuration: at 4", 4, 16, 4},
	{"configuration: the last byte", 255, 1, 0},
	{"configuration: beyond its end", 250, 256, 0},
	{"configuration: at its end", 256, 4, 0},
	{"configuration: at 257", 257, 256, 0},
	{"configuration: at 0xffffffff", ~0u, 256, 0},
	{"configuration: across 0xffffffff", ~0u - 2, 8, 0},
};

static void config_read(const void *arg)
{
	const struct config_read *c = arg;
	uint8_t space[256], zero[256] = {0};

	memset(space, 0xa5, sizeof(space));
	assert_ok(frontend_get_config(&hx.fe, c->offset, c->size, space));
	if (c->scanouts_at) {
		assert_int_equal(space[c->scanouts_at], 1);
		space[c->scanouts_at] = 0;
	}
	if (c->offset != 8)
		assert_memory_equal(space, zero, c->size);
	else
		assert_int_equal(space[0], 1);
}

struct config_ask {
	const char *name;
	uint32_t offset, size, payload;
};

static const struct config_ask config_asks[] = {
	{"configuration: 257 bytes", 0, 257, 12 + 256},
	{"configuration: 0xffffffff bytes", 0, ~0u, 12},
	{"configuration: more than was brought", 0, 8, 12 + 4},
	{"configuration: less than was brought", 0, 4, 12 + 8},
	{"configuration: a size that wraps to 8", 0, 0xfffffffc, 8},
	{"configuration: a size that wraps to 11", 0, ~0u, 11},
	{"configuration: half a header", 0, 0, 8},
	{"configuration: no header", 0, 0, 0},
};

static void config_ask(const void *arg)
{
	const struct config_ask *c = arg;
	struct vhost_user_config payload = {.offset = c->offset, .size = c->size};
	struct frontend_msg m = hostile_msg(VHOST_USER_GET_CONFIG, &payload, c->payload);

	assert_ok(frontend_send(&hx.fe, &m));
	expect_closed();
}

/* ---- features at strange times ---- */

static void features_twice(const void *arg)
{
	(void)arg;
	assert_ok(frontend_set_features(&hx.fe, hx.fe.features));
	assert_ok(frontend_set_features(&hx.fe, hx.fe.features));
	assert_ok(frontend_set_owner(&hx.fe));
	assert_ok(frontend_set_owner(&hx.fe));
}

static void features_while_running(const void *arg)
{
	(void)arg;
	expect_rings_work();
	assert_ok(frontend_set_features(&hx.fe, ~0ull));
	expect_rings_work();
	assert_ok(frontend_set_features(&hx.fe, hx.fe.offered));
	assert_ok(frontend_set_protocol(&hx.fe, hx.protocol));
}

static void owner_while_running(const void *arg)
{
	struct frontend_msg m = hostile_msg(VHOST_USER_RESET_OWNER, NULL, 0);

	(void)arg;
	expect_accepted(&m);
	assert_ok(frontend_set_owner(&hx.fe));
}

/* ---- the back-end's own channel ---- */

static void channel_again(const void *arg)
{
	int n = child_count_fds(&hx.child);

	(void)arg;
	for (int i = 0; i < 50; i++)
		assert_ok(frontend_open_channel(&hx.fe));
	expect_fds(n);
}

static void channel_closed(const void *arg)
{
	int n = child_count_fds(&hx.child);

	(void)arg;
	close(hx.fe.backend_fd);
	hx.fe.backend_fd = -1;
	expect_fds(n - 1);
	expect_rings_work();
}

static void channel_babbles(const void *arg)
{
	uint8_t junk[4096] = {1, 2, 3};
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	(void)arg;
	while (channel_send(hx.fe.backend_fd, junk, sizeof(junk), NULL, deadline) == 0)
		; // until the back-end has closed its end
	expect_rings_work();
}

static void tell_channel(int fd, int result)
{
	assert_int_equal(
		frontend_tell_fd(&hx.fe, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, fd), result);
	expect_answers();
}

static void channel_is_no_socket(const void *arg)
{
	int fd = eventfd(1, EFD_CLOEXEC), n = child_count_fds(&hx.child);

	(void)arg;
	tell_channel(fd, 0);
	expect_fds(n - 1); // neither the old one nor this
	tell_channel(hx.guest.regions[MAIN_REGION].fd, -EREMOTEIO);
	expect_fds(n - 1);
	close(fd);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"good requests are good", AGREED, all_good_requests},
	{"every unknown request", AGREED, every_unknown_request},
	{"SET_FEATURES and SET_OWNER twice", AGREED, features_twice},
	{"SET_FEATURES while rings run", RUNNING, features_while_running},
	{"RESET_OWNER while rings run", RUNNING, owner_while_running},
	{"SET_BACKEND_REQ_FD fifty times", RUNNING, channel_again},
	{"the back-end's channel closed", RUNNING, channel_closed},
	{"junk on the back-end's channel", RUNNING, channel_babbles},
	{"a back-end's channel that is no socket", RUNNING, channel_is_no_socket},
};

static struct hostile_list list;
static char names[4 * COUNT(requests)][48];

static void add_request_cases(const struct request *r)
{
	static char(*name)[48] = names;
	struct hostile_case c = {.stage = AGREED, .arg = r};

#define ADD(function, text)                                                                        \
	c.run = function;                                                                          \
	c.name = *name;                                                                            \
	snprintf(*name++, sizeof(*name), "%s %s", r->name, text);                                  \
	hostile_add(&list, &c, 1)

	ADD(stray_descriptors, "with stray descriptors");
	if (r->fds) {
		ADD(missing_descriptor, "without its descriptor");
	}
	if (r->request != VHOST_USER_GPU_SET_SOCKET) {
		ADD(wrong_size, "of a wrong size");
	}
	c.stage = CONNECTED;
	if (r->gate) {
		ADD(not_negotiated, "not negotiated");
	}
#undef ADD
}

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	for (size_t i = 0; i < COUNT(requests); i++)
		add_request_cases(&requests[i]);
	HOSTILE_ADD_TABLE(&list, bad_values, AGREED, bad_value);
	HOSTILE_ADD_TABLE(&list, odd_values, AGREED, odd_value);
	HOSTILE_ADD_TABLE(&list, config_reads, AGREED, config_read);
	HOSTILE_ADD_TABLE(&list, config_asks, AGREED, config_ask);
	return hostile_main(argc, argv, list.cases, list.n);
}
