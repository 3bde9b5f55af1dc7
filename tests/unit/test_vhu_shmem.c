/* SPDX-License-Identifier: MIT */
/* A device's shared memory region: what the front-end is asked to map in it, and what it answers. */
#define _GNU_SOURCE
#include "unit.h"
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, SHMID = 3 };

#define PROTO(name) (1ull << VHOST_USER_PROTOCOL_F_##name)
#define MAP         VHOST_USER_BACKEND_SHMEM_MAP
#define UNMAP       VHOST_USER_BACKEND_SHMEM_UNMAP

static struct rig rig;
static struct vhu_reader heard; // of the channel
static int channel, file;
static unsigned fds_before;

static void give_channel(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	rig_tell(&rig,
		(struct rig_msg){
			.request = VHOST_USER_SET_BACKEND_REQ_FD, .fds = &pair[1], .n_fds = 1});
	close(pair[1]);
	if (channel >= 0)
		close(channel);
	channel = pair[0];
}

static int setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	channel = -1;
	rig_init(&rig);
	rig_negotiate(&rig, 0);
	give_channel();
	file = memfd_create("shown", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, RIG_SHMEM_SIZE), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_finish(&rig);
	vhu_reader_reset(&heard);
	if (channel >= 0)
		close(channel);
	close(file);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

/* ---- both sides ---- */

static int map(uint64_t at, uint64_t len, uint32_t *ticket)
{
	const struct vhu_shmem s = {at, len, file, PAGE};

	return vhu_shmem_map(rig.vhu, &s, ticket);
}

static void maps(uint64_t at, uint64_t len)
{
	uint32_t ticket;

	assert_int_equal(map(at, len, &ticket), 0);
}

static void unmaps(uint64_t at)
{
	uint32_t ticket;

	assert_int_equal(vhu_shmem_unmap(rig.vhu, at, &ticket), 0);
}

/* What the front-end is asked next; false: nothing. */
static bool hear(struct vhost_user_shmem_map *what, uint32_t *request)
{
	vhu_reader_reset(&heard);
	rig_turns(&rig);
	if (vhu_reader_read(&heard, channel) != 1)
		return false;
	*request = heard.msg.hdr.request;
	assert_int_equal(heard.msg.hdr.size, sizeof(*what));
	assert_true(heard.msg.hdr.flags & VHOST_USER_NEED_REPLY_MASK);
	memcpy(what, &heard.msg.p, sizeof(*what));
	return true;
}

static void assert_asked(uint32_t wanted, uint64_t at, uint64_t len)
{
	struct vhost_user_shmem_map what;
	uint32_t request;
	struct stat a, b;

	assert_true(hear(&what, &request));
	assert_int_equal(request, wanted);
	assert_int_equal(what.shmid, SHMID);
	assert_int_equal(what.shm_offset, at);
	assert_int_equal(what.len, len);
	assert_int_equal(heard.msg.n_fds, wanted == MAP ? 1 : 0);
	if (wanted == UNMAP)
		return;
	assert_int_equal(what.fd_offset, PAGE);
	assert_int_equal(what.flags, VHOST_USER_SHMEM_RW);
	assert_int_equal(fstat(heard.msg.fds[0], &a) | fstat(file, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
}

static void assert_asked_nothing(void)
{
	struct vhost_user_shmem_map what;
	uint32_t request;

	assert_false(hear(&what, &request));
}

static void answer(uint32_t request, uint64_t result)
{
	const struct vhost_user_header h = {
		request, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, sizeof(result)};

	assert_int_equal(vhu_send(channel, &h, &result, NULL, 0), 0);
	rig_turns(&rig);
}

static void assert_answers(unsigned n, int last)
{
	assert_int_equal(rig.dev.n_answers, n);
	assert_int_equal(rig.dev.answers[(n - 1) % RIG_KEPT].result, last);
}

/* ---- what works ---- */

static void test_config(void **state)
{
	struct rig_msg m = {.request = VHOST_USER_GET_SHMEM_CONFIG};

	(void)state;
	assert_true(rig_get(&rig, VHOST_USER_GET_PROTOCOL_FEATURES) & PROTO(SHMEM));
	rig_send(&rig, m);
	assert_int_equal(rig_reply(&rig), 1);
	assert_int_equal(rig.in.msg.hdr.size, 2056);
	assert_int_equal(rig.in.msg.p.shmem_config.nregions, 1);
	for (unsigned i = 0; i < VHOST_USER_MAX_SHMEM_REGIONS; i++)
		assert_int_equal(
			rig.in.msg.p.shmem_config.sizes[i], i == SHMID ? RIG_SHMEM_SIZE : 0);
}

static void test_map_and_unmap(void **state)
{
	uint32_t first, second;

	(void)state;
	assert_true(vhu_has_shmem(rig.vhu));
	assert_int_equal(map(PAGE, 2 * PAGE, &first), 0);
	assert_asked(MAP, PAGE, 2 * PAGE);
	assert_int_equal(rig.dev.n_answers, 0);
	answer(MAP, 0);
	assert_answers(1, 0);
	assert_int_equal(rig.dev.answers[0].ticket, first);
	assert_int_equal(vhu_shmem_unmap(rig.vhu, PAGE, &second), 0);
	assert_asked(UNMAP, PAGE, 2 * PAGE);
	answer(UNMAP, 0);
	assert_answers(2, 0);
	assert_int_equal(rig.dev.answers[1].ticket, second);
	assert_int_not_equal(first, second);
	assert_asked_nothing();
}

/* Several questions are under way at a time, and a place is free for the next from the unmap on. */
static void test_no_waiting(void **state)
{
	(void)state;
	maps(0, PAGE);
	maps(PAGE, PAGE);
	unmaps(0);
	maps(0, PAGE);
	assert_asked(MAP, 0, PAGE);
	assert_asked(MAP, PAGE, PAGE);
	assert_asked(UNMAP, 0, PAGE);
	assert_asked(MAP, 0, PAGE);
	answer(MAP, 0);
	answer(MAP, 0);
	answer(UNMAP, 0);
	answer(MAP, 0);
	assert_answers(4, 0);
	unmaps(0);
	assert_asked(UNMAP, 0, PAGE);
}

static void test_nobody_reads(void **state)
{
	unsigned n = RIG_SHMEM_SIZE / PAGE, fds;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		maps(i * PAGE, PAGE);
	fds = count_fds();
	assert_true(fds > fds_before);
	for (unsigned i = 0; i < n; i++)
		assert_asked(MAP, i * PAGE, PAGE); // in their order, when there is room
	assert_asked_nothing();
}

/* ---- what is refused ---- */

static void test_bounds(void **state)
{
	static const struct {
		uint64_t at, len;
		int err;
	} wrong[] = {
		{0, 0, -EINVAL},
		{1, PAGE, -EINVAL},
		{0, PAGE + 1, -EINVAL},
		{0, RIG_SHMEM_SIZE + PAGE, -EINVAL},
		{RIG_SHMEM_SIZE, PAGE, -EINVAL},
		{PAGE, RIG_SHMEM_SIZE, -EINVAL},
		{UINT64_MAX - PAGE + 1, PAGE, -EINVAL},
		{PAGE, UINT64_MAX - PAGE + 1, -EINVAL},
	};
	const struct vhu_shmem part_of_page = {0, PAGE, file, 1}, no_file = {0, PAGE, -1, 0};
	uint32_t t;

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(map(wrong[i].at, wrong[i].len, &t), wrong[i].err);
	assert_int_equal(vhu_shmem_map(rig.vhu, &part_of_page, &t), -EINVAL);
	assert_int_equal(vhu_shmem_map(rig.vhu, &no_file, &t), -EBADF);
	maps(0, RIG_SHMEM_SIZE);
}

static void test_overlaps(void **state)
{
	uint32_t t;

	(void)state;
	maps(2 * PAGE, 2 * PAGE);
	assert_int_equal(map(2 * PAGE, 2 * PAGE, &t), -EBUSY);
	assert_int_equal(map(PAGE, 2 * PAGE, &t), -EBUSY);
	assert_int_equal(map(3 * PAGE, PAGE, &t), -EBUSY);
	assert_int_equal(map(0, 8 * PAGE, &t), -EBUSY);
	maps(PAGE, PAGE);
	maps(4 * PAGE, PAGE);
	assert_int_equal(vhu_shmem_unmap(rig.vhu, 3 * PAGE, &t), -ENOENT); // a part of one
	assert_int_equal(vhu_shmem_unmap(rig.vhu, 0, &t), -ENOENT);
	unmaps(2 * PAGE);
	assert_int_equal(vhu_shmem_unmap(rig.vhu, 2 * PAGE, &t), -ENOENT);
}

static void test_without_feature(void **state)
{
	static const uint64_t needed[] = {PROTO(SHMEM), PROTO(REPLY_ACK), PROTO(BACKEND_REQ)};
	uint32_t t;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		rig_negotiate(&rig, needed[i]);
		assert_false(vhu_has_shmem(rig.vhu));
		assert_int_equal(map(0, PAGE, &t), -ENOTCONN);
	}
	rig_negotiate(&rig, PROTO(SHMEM));
	rig_refused(&rig, (struct rig_msg){.request = VHOST_USER_GET_SHMEM_CONFIG});
	rig_negotiate(&rig, 0);
	assert_int_equal(map(0, PAGE, &t), -ENOTCONN); // no channel yet
	rig.device.shmem_size = 0;
	assert_false(rig_get(&rig, VHOST_USER_GET_PROTOCOL_FEATURES) & PROTO(SHMEM));
}

/* ---- what the front-end may do ---- */

static void test_map_fails(void **state)
{
	(void)state;
	maps(0, PAGE);
	answer(MAP, 22);
	assert_answers(1, -EIO);
	maps(0, PAGE); // nothing is there
	assert_asked(MAP, 0, PAGE);
	assert_asked(MAP, 0, PAGE);
	unmaps(0); // not known yet that it fails, too
	answer(MAP, 22);
	answer(UNMAP, 22);
	assert_answers(3, -EIO);
}

static void test_unmap_fails(void **state)
{
	(void)state;
	maps(0, PAGE);
	answer(MAP, 0);
	unmaps(0);
	answer(UNMAP, 1);
	assert_answers(2, -EIO);
	maps(0, PAGE);
}

/* Whatever it says that is no answer ends the channel, and all questions with it. */
static void test_nonsense(void **state)
{
	static const struct vhost_user_header wrong[] = {
		{UNMAP, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, 8},
		{MAP, VHOST_USER_VERSION, 8},
		{MAP, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, 4},
		{77, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, 8},
		{MAP, VHOST_USER_REPLY_MASK, 8},
		{MAP, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, UINT32_MAX},
	};
	const char more[8] = {0};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		maps(PAGE * 2 * i, PAGE);
		maps(PAGE * (2 * i + 1), PAGE);
		assert_true(send(channel, &wrong[i], sizeof(wrong[i]), 0) > 0);
		send(channel, more, sizeof(more), MSG_NOSIGNAL);
		rig_turns(&rig);
		assert_answers(2 * (i + 1), -ECONNRESET);
		give_channel();
	}
	answer(MAP, 0); // that was not asked
	assert_int_equal(vhu_config_changed(rig.vhu), -ENOTCONN);
}

static void test_descriptor_in_answer(void **state)
{
	const struct vhost_user_header h = {MAP, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, 8};
	const uint64_t done = 0;

	(void)state;
	maps(0, PAGE);
	assert_int_equal(vhu_send(channel, &h, &done, &file, 1), 0);
	rig_turns(&rig);
	assert_answers(1, -ECONNRESET);
}

/* What is mapped stays when the channel goes, and can be unmapped by the next. */
static void test_another_channel(void **state)
{
	uint32_t t;

	(void)state;
	maps(0, PAGE);
	answer(MAP, 0);
	maps(PAGE, PAGE);
	give_channel();
	assert_answers(2, -ECONNRESET);
	assert_int_equal(map(0, PAGE, &t), -EBUSY);
	unmaps(0);
	assert_asked(UNMAP, 0, PAGE);
	answer(UNMAP, 0);
	assert_answers(3, 0);
	maps(0, PAGE);
	answer(MAP, 0);
	close(channel);
	channel = -1;
	rig_turns(&rig);
	assert_int_equal(vhu_shmem_unmap(rig.vhu, 0, &t), -ENOTCONN);
	assert_int_equal(vhu_shmem_unmap(rig.vhu, 0, &t), -ENOENT);
}

/* ---- the end ---- */

static void test_reset(void **state)
{
	(void)state;
	maps(0, PAGE);
	answer(MAP, 0);
	maps(PAGE, PAGE);
	assert_asked(MAP, 0, PAGE);
	assert_asked(MAP, PAGE, PAGE);
	rig_ack(&rig, (struct rig_msg){.request = VHOST_USER_RESET_DEVICE});
	maps(0, 2 * PAGE); // all of it is free
	assert_asked(UNMAP, PAGE, PAGE);
	assert_asked(UNMAP, 0, PAGE);
	assert_asked(MAP, 0, 2 * PAGE);
	answer(MAP, 0);
	answer(UNMAP, 1); // the front-end may have done it of itself
	answer(UNMAP, 1);
	answer(MAP, 0);
	assert_answers(5, 0);
}

static void test_front_end_leaves(void **state)
{
	(void)state;
	maps(0, PAGE);
	answer(MAP, 0);
	maps(PAGE, PAGE);
	unmaps(0);
	rig_reconnect(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_map_and_unmap),
		TEST(test_no_waiting),
		TEST(test_nobody_reads),
		TEST(test_bounds),
		TEST(test_overlaps),
		TEST(test_without_feature),
		TEST(test_map_fails),
		TEST(test_unmap_fails),
		TEST(test_nonsense),
		TEST(test_descriptor_in_answer),
		TEST(test_another_channel),
		TEST(test_reset),
		TEST(test_front_end_leaves),
	};

	return cmocka_run_group_tests_name("vhu_shmem", tests, NULL, NULL);
}
