/* SPDX-License-Identifier: MIT */
/* The messages of a front-end about memory, configuration, status, and the other way. */
#define _GNU_SOURCE
#include "unit.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* ---- the configuration space ---- */

static struct vhost_user_config config;

/* Asks for it; its header is answered too. Returns the bytes, or NULL when the connection is lost.
 */
static const uint8_t *ask_config(uint32_t off, uint32_t size, uint32_t sent)
{
	const union vhost_user_payload p = {.config = {.offset = off, .size = size}};

	rig_negotiate(&rig, 0);
	rig_send(&rig,
		(struct rig_msg){.request = VHOST_USER_GET_CONFIG, .payload = &p, .size = sent});
	if (rig_reply(&rig) < 0) {
		rig_reconnect(&rig);
		return NULL;
	}
	assert_int_equal(rig.in.msg.hdr.size, VHOST_USER_CONFIG_HEADER_SIZE + size);
	assert_int_equal(rig.in.msg.p.config.offset, off);
	assert_int_equal(rig.in.msg.p.config.size, size);
	return rig.in.msg.p.config.data;
}

/* At each offset and with each length; what lies beyond the device's own bytes is zero. */
static void test_get_config(void **state)
{
	const uint32_t offs[] = {0, 1, 19, 20, 21, 255, 256, 257, 0x7fffffff, UINT32_MAX};
	const uint32_t sizes[] = {0, 1, 4, 19, 20, 21, 100, 256};

	(void)state;
	for (unsigned i = 0; i < sizeof(offs) / sizeof(*offs); i++) {
		for (unsigned j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			const uint8_t *data = ask_config(offs[i], sizes[j], 12 + sizes[j]);

			assert_non_null(data);
			for (uint64_t b = 0; b < sizes[j]; b++)
				assert_int_equal(data[b], offs[i] + b < 20 ? offs[i] + b + 1 : 0);
		}
	}
}

static void test_get_config_refused(void **state)
{
	(void)state;
	assert_null(ask_config(0, 257, 269));
	assert_null(ask_config(0, 260, 272));
	assert_null(ask_config(0, 257, 268));
	assert_null(ask_config(0, UINT32_MAX, 12));
	assert_null(ask_config(0, 0xfffffff4, 0)); // + 12 wraps
	assert_null(ask_config(0, 20, 12));
	assert_null(ask_config(0, 20, 31));
	assert_null(ask_config(0, 20, 33));
	assert_null(ask_config(0, 0, 4));
}

static uint64_t write_config(uint32_t off, uint32_t size, uint32_t sent)
{
	config = (struct vhost_user_config){.offset = off, .size = size};
	memset(config.data, 0xcc, sizeof(config.data));
	return rig_ack(&rig,
		(struct rig_msg){
			.request = VHOST_USER_SET_CONFIG, .payload = &config, .size = sent});
}

static void test_set_config(void **state)
{
	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_equal(write_config(4, 4, 16), 0);
	assert_int_equal(rig.dev.written_off, 4);
	assert_int_equal(rig.dev.written_len, 4);
	assert_int_equal(rig.dev.config[4], 0xcc);
	assert_int_equal(rig.dev.config[8], 9);
	assert_int_equal(write_config(0, 256, 268), 0);
	assert_int_equal(write_config(255, 1, 13), 0);
	rig.dev.written_len = 0;
	assert_int_not_equal(write_config(256, 1, 13), 0);
	assert_int_not_equal(write_config(1, 256, 268), 0);
	assert_int_not_equal(write_config(UINT32_MAX, 2, 14), 0);
	assert_int_not_equal(write_config(0, UINT32_MAX, 268), 0);
	assert_int_not_equal(write_config(0, 0xfffffff4, 0), 0);
	assert_int_not_equal(write_config(0, 4, 15), 0);
	assert_int_not_equal(write_config(0, 4, 17), 0);
	assert_int_equal(rig.dev.written_len, 0);
}

/* ---- memory ---- */

static void test_mem_table(void **state)
{
	struct vhost_user_mem_table table = {0};
	int fds[8] = {rig.hand.regions[0].fd, rig.hand.regions[1].fd};
	struct rig_msg m = {
		.request = VHOST_USER_SET_MEM_TABLE, .payload = &table, .fds = fds, .size = 8};

	(void)state;
	rig_negotiate(&rig, 0);
	rig_set_memory(&rig);
	assert_int_equal(vhu_memory(rig.vhu)->n, HAND_REGIONS);
	assert_int_equal(rig.dev.memories, 1);
	table.nregions = 2;
	table.regions[0] = (struct vhost_user_region){0, 4096, HAND_UVA, 0};
	table.regions[1] = (struct vhost_user_region){4096, 4096, HAND_UVA + 4096, 0};
	m.size = 8 + 64;
	m.n_fds = 1;
	assert_int_not_equal(rig_ack(&rig, m), 0); // fewer descriptors
	m.n_fds = 3;
	assert_int_not_equal(rig_ack(&rig, m), 0); // more
	m.n_fds = 2;
	m.size = 8 + 63;
	assert_int_not_equal(rig_ack(&rig, m), 0); // not all of it sent
	m.size = 8 + 64;
	table.regions[1].guest_addr = 4095;
	assert_int_not_equal(rig_ack(&rig, m), 0); // overlapping
	table.regions[1].size = 1ull << 40;
	assert_int_not_equal(rig_ack(&rig, m), 0);              // beyond the file
	assert_int_equal(vhu_memory(rig.vhu)->n, HAND_REGIONS); // still the old one
	assert_int_equal(rig.dev.memories, 1);
	table.regions[1] = (struct vhost_user_region){4096, 4096, HAND_UVA + 4096, 0};
	assert_int_equal(rig_ack(&rig, m), 0);
	assert_int_equal(vhu_memory(rig.vhu)->n, 2);
	table.nregions = 0;
	m.n_fds = 0;
	m.size = 8;
	assert_int_equal(rig_ack(&rig, m), 0); // none at all
	assert_int_equal(vhu_memory(rig.vhu)->n, 0);
}

static void test_mem_table_spoofed(void **state)
{
	const uint32_t counts[] = {9, 255, 0x08000000, 0x80000000, UINT32_MAX};
	int fds[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		fds[i] = rig.hand.regions[0].fd;
	rig_negotiate(&rig, 0);
	for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct vhost_user_mem_table table = {.nregions = counts[i]};
		struct rig_msg m = {.request = VHOST_USER_SET_MEM_TABLE,
			.payload = &table,
			.size = sizeof(table),
			.fds = fds,
			.n_fds = 8};

		assert_int_not_equal(rig_ack(&rig, m), 0);
	}
	assert_int_not_equal(
		rig_ack(&rig, (struct rig_msg){.request = VHOST_USER_SET_MEM_TABLE}), 0);
}

static void test_mem_regions(void **state)
{
	struct vhost_user_single_region reg = {.region = {0x100000, 4096, HAND_UVA, 0}};
	struct rig_msg add = {.request = VHOST_USER_ADD_MEM_REG,
		.payload = &reg,
		.size = sizeof(reg),
		.fds = &rig.hand.regions[0].fd,
		.n_fds = 1};
	struct rig_msg remove = add;

	(void)state;
	remove.request = VHOST_USER_REM_MEM_REG; // some send a descriptor, too
	rig_negotiate(&rig, 0);
	assert_int_not_equal(rig_ack(&rig, remove), 0);
	add.n_fds = 0;
	assert_int_not_equal(rig_ack(&rig, add), 0);
	add.n_fds = 1;
	assert_int_equal(rig_ack(&rig, add), 0);
	assert_int_not_equal(rig_ack(&rig, add), 0); // it overlaps itself
	assert_int_equal(vhu_memory(rig.vhu)->n, 1);
	assert_int_equal(rig_ack(&rig, remove), 0);
	assert_int_equal(rig_ack(&rig, add), 0);
	remove.n_fds = 0;
	assert_int_equal(rig_ack(&rig, remove), 0);
	assert_int_equal(rig.dev.memories, 4);
	assert_int_equal(vhu_memory(rig.vhu)->n, 0);
}

/* ---- the channel to the front-end ---- */

static int give_channel(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	rig_tell(&rig,
		(struct rig_msg){
			.request = VHOST_USER_SET_BACKEND_REQ_FD, .fds = &pair[1], .n_fds = 1});
	close(pair[1]);
	return pair[0];
}

static void assert_config_change(int channel)
{
	struct vhost_user_header h;

	assert_int_equal(vhu_config_changed(rig.vhu), 0);
	assert_int_equal(recv(channel, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(h.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	assert_int_equal(h.size, 0);
	assert_false(h.flags & (VHOST_USER_REPLY_MASK | VHOST_USER_NEED_REPLY_MASK));
}

static void test_channel(void **state)
{
	const struct vhost_user_header unasked = {VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, 0};
	int first, second;
	char c;

	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_equal(vhu_config_changed(rig.vhu), -ENOTCONN);
	first = give_channel();
	assert_config_change(first);
	second = give_channel(); // comes again: the old one is closed
	assert_int_equal(recv(first, &c, 1, 0), 0);
	assert_config_change(second);
	assert_int_equal(send(second, &unasked, sizeof(unasked), 0), sizeof(unasked));
	rig_turns(&rig);
	assert_config_change(second);
	close(second);
	rig_turns(&rig);
	assert_int_equal(vhu_config_changed(rig.vhu), -ENOTCONN);
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_SET_OWNER}); // all else goes on
	close(first);
}

static void test_channel_that_nobody_reads(void **state)
{
	int channel, r;

	(void)state;
	rig_negotiate(&rig, 0);
	channel = give_channel();
	while ((r = vhu_config_changed(rig.vhu)) == 0)
		;
	assert_int_equal(r, -EAGAIN);
	close(channel);
}

static void test_channel_without_fd(void **state)
{
	int file = open("/proc/self/exe", O_RDONLY);
	struct rig_msg m = {.request = VHOST_USER_SET_BACKEND_REQ_FD};

	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_not_equal(rig_ack(&rig, m), 0);
	m.fds = &file;
	m.n_fds = 1;
	assert_int_not_equal(rig_ack(&rig, m), 0); // no socket
	assert_int_equal(vhu_config_changed(rig.vhu), -ENOTCONN);
	close(file);
}

static void test_gpu_socket(void **state)
{
	struct rig_msg m = {.request = VHOST_USER_GPU_SET_SOCKET};

	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_not_equal(rig_ack(&rig, m), 0);
	m.fds = &rig.kick;
	m.n_fds = 1;
	assert_int_equal(rig_ack(&rig, m), 0);
	assert_true(rig.dev.gpu_fd >= 0);
	assert_int_equal(rig_ack(&rig, m), 0);
	vhu_destroy(rig.vhu); // whom the front-end let see has to go with it
	rig.vhu = NULL;
	assert_int_equal(rig.dev.gpu_fd, -1);
}

/* A device that has only what every device has. */
static void test_plain_device(void **state)
{
	struct rig_msg m = {.request = VHOST_USER_GPU_SET_SOCKET, .fds = &rig.kick, .n_fds = 1};

	(void)state;
	rig.device.memory = NULL;
	rig.device.gpu_socket = NULL;
	rig.device.set_config = NULL;
	rig_reconnect(&rig);
	rig_negotiate(&rig, 0);
	rig_set_memory(&rig);
	assert_int_not_equal(rig_ack(&rig, m), 0);
	assert_int_equal(write_config(4, 4, 16), 0); // into nothing
	assert_int_equal(rig.dev.written_len, 0);
	rig.device.get_config = NULL;
	rig_reconnect(&rig);
	assert_false(rig_get(&rig, VHOST_USER_GET_PROTOCOL_FEATURES)
		& 1ull << VHOST_USER_PROTOCOL_F_CONFIG);
	rig_negotiate(&rig, 0);
	m = (struct rig_msg){.request = VHOST_USER_GET_CONFIG, .payload = &config, .size = 12};
	rig_refused(&rig, m);
}

/* ---- status and the connection ---- */

static void test_status(void **state)
{
	(void)state;
	rig_negotiate(&rig, 0);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
	rig_tell_u64(&rig, VHOST_USER_SET_STATUS, 0x0f);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0x0f);
	assert_int_not_equal(rig_ack_u64(&rig, VHOST_USER_SET_STATUS, 256), 0);
	assert_int_equal(rig.dev.resets, 0);
	rig_tell_u64(&rig, VHOST_USER_SET_STATUS, 0);
	assert_int_equal(rig.dev.resets, 1);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
	rig_tell_u64(&rig, VHOST_USER_SET_STATUS, 3);
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_RESET_DEVICE});
	assert_int_equal(rig.dev.resets, 2);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
}

static void test_leaves(void **state)
{
	(void)state;
	shutdown(rig.fd, SHUT_RDWR);
	rig_turns(&rig);
	assert_int_equal(rig.closed, 1);
	rig_turns(&rig);
	assert_int_equal(rig.closed, 1); // said once
	assert_int_equal(rig.dev.resets, 0);
	vhu_destroy(NULL);
}

/* Many messages at once are served in their order, over several turns. */
static void test_many_messages(void **state)
{
	const struct vhost_user_header h = {VHOST_USER_GET_FEATURES, VHOST_USER_VERSION, 0};

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(vhu_send(rig.fd, &h, NULL, NULL, 0), 0);
	rig_turns(&rig);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(rig_reply(&rig), 1);
	assert_int_equal(rig_reply(&rig), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(get_config),
		TEST(get_config_refused),
		TEST(set_config),
		TEST(mem_table),
		TEST(mem_table_spoofed),
		TEST(mem_regions),
		TEST(channel),
		TEST(channel_that_nobody_reads),
		TEST(channel_without_fd),
		TEST(gpu_socket),
		TEST(plain_device),
		TEST(status),
		TEST(leaves),
		TEST(many_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
