/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/vhu_sock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int ours = -1, theirs = -1, gift = -1;
static struct vhu_reader reader;
static unsigned fds_before;

static int setup(void **state)
{
	int pair[2];

	(void)state;
	fds_before = count_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	gift = eventfd(0, 0);
	ours = pair[0];
	theirs = pair[1];
	reader = (struct vhu_reader){0};
	return 0;
}

/* Whatever came, no descriptor is left behind. */
static int teardown(void **state)
{
	(void)state;
	vhu_reader_reset(&reader);
	close(gift);
	close(ours);
	if (theirs >= 0)
		close(theirs);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

static int read_message(void)
{
	return vhu_reader_read(&reader, ours);
}

static void send_bytes(const void *bytes, size_t len)
{
	assert_int_equal(send(theirs, bytes, len, MSG_NOSIGNAL), len);
}

/* Sends len bytes with n descriptors, more than vhu_send() would take. */
static void send_with_fds(const void *bytes, size_t len, unsigned n)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * 64)];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct msghdr mh = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (unsigned i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &gift, sizeof(int));
	assert_int_equal(sendmsg(theirs, &mh, MSG_NOSIGNAL), len);
}

static struct vhost_user_header header(uint32_t request, uint32_t size)
{
	return (struct vhost_user_header){request, VHOST_USER_VERSION, size};
}

struct u64_message {
	struct vhost_user_header hdr;
	uint64_t u64;
} __attribute__((packed));

static const struct u64_message message = {{2, 1, 8}, 0x1122334455667788};

static void assert_message(void)
{
	assert_int_equal(reader.msg.hdr.request, 2);
	assert_int_equal(reader.msg.p.u64, message.u64);
}

/* ---- reading ---- */

static void test_one(void **state)
{
	(void)state;
	assert_int_equal(read_message(), -EAGAIN);
	send_bytes(&message, sizeof(message));
	assert_int_equal(read_message(), 1);
	assert_message();
	vhu_reader_reset(&reader);
	assert_int_equal(reader.have, 0);
	assert_int_equal(reader.msg.p.u64, 0);
	assert_int_equal(read_message(), -EAGAIN);
}

static void test_without_payload(void **state)
{
	const struct vhost_user_header h = header(1, 0);

	(void)state;
	send_bytes(&h, sizeof(h));
	assert_int_equal(read_message(), 1);
	assert_int_equal(reader.msg.hdr.request, 1);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(message); i++) {
		assert_int_equal(read_message(), -EAGAIN);
		send_bytes((const char *)&message + i, 1);
	}
	assert_int_equal(read_message(), 1);
	assert_message();
}

static void test_several_at_once(void **state)
{
	const struct u64_message three[3] = {message, message, message};

	(void)state;
	send_bytes(three, sizeof(three));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(read_message(), 1);
		assert_message();
		vhu_reader_reset(&reader);
	}
	assert_int_equal(read_message(), -EAGAIN);
}

static void test_largest(void **state)
{
	struct {
		struct vhost_user_header hdr;
		union vhost_user_payload p;
	} __attribute__((packed)) m = {.hdr = header(5, sizeof(m.p))};

	(void)state;
	memset(&m.p, 0x77, sizeof(m.p));
	send_bytes(&m, sizeof(m));
	assert_int_equal(read_message(), 1);
	assert_memory_equal(&reader.msg.p, &m.p, sizeof(m.p));
}

static void test_spoofed_sizes(void **state)
{
	const uint32_t sizes[] = {
		sizeof(union vhost_user_payload) + 1, 0x7fffffff, 0x80000000, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		const struct vhost_user_header h = header(1, sizes[i]);

		send_bytes(&h, sizeof(h));
		assert_int_equal(read_message(), -EPROTO);
		vhu_reader_reset(&reader);
	}
}

/* A header that promises more than comes: nothing is handed out. */
static void test_promised_and_not_sent(void **state)
{
	struct u64_message m = message;

	(void)state;
	m.hdr.size = 100;
	send_bytes(&m, sizeof(m));
	assert_int_equal(read_message(), -EAGAIN);
	close(theirs);
	theirs = -1;
	assert_int_equal(read_message(), 0);
}

static void test_versions(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < 4; v++) {
		struct vhost_user_header h = {1, v | 0xc, 0};

		send_bytes(&h, sizeof(h));
		assert_int_equal(read_message(), v == 1 ? 1 : -EPROTO);
		vhu_reader_reset(&reader);
	}
}

static void test_peer_left(void **state)
{
	(void)state;
	send_bytes(&message, sizeof(message));
	close(theirs);
	theirs = -1;
	assert_int_equal(read_message(), 1);
	vhu_reader_reset(&reader);
	assert_int_equal(read_message(), 0);
	assert_int_equal(vhu_reader_read(&reader, -1), -EBADF);
}

/* ---- descriptors ---- */

static void test_fds(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= VHOST_USER_MAX_FDS; n++) {
		unsigned open = count_fds();

		send_with_fds(&message, sizeof(message), n);
		assert_int_equal(read_message(), 1);
		assert_int_equal(reader.msg.n_fds, n);
		assert_int_equal(count_fds(), open + n);
		assert_true(fcntl(reader.msg.fds[n - 1], F_GETFD) & FD_CLOEXEC);
		vhu_reader_reset(&reader);
		assert_int_equal(count_fds(), open);
	}
}

/* What a handler took is not closed. */
static void test_taken_fd(void **state)
{
	int taken;

	(void)state;
	send_with_fds(&message, sizeof(message), 2);
	assert_int_equal(read_message(), 1);
	taken = reader.msg.fds[1];
	reader.msg.fds[1] = -1;
	vhu_reader_reset(&reader);
	assert_true(fcntl(taken, F_GETFD) >= 0);
	close(taken);
}

static void test_too_many_fds(void **state)
{
	(void)state;
	for (unsigned n = VHOST_USER_MAX_FDS + 1; n < 64; n += 9) {
		unsigned open = count_fds();

		send_with_fds(&message, sizeof(message), n);
		assert_int_equal(read_message(), -EPROTO);
		vhu_reader_reset(&reader);
		assert_int_equal(count_fds(), open);
		while (recv(ours, &reader.msg.p, sizeof(reader.msg.p), MSG_DONTWAIT) > 0)
			;
		vhu_reader_reset(&reader);
	}
}

/* The first byte may bring them and the rest come later. */
static void test_fds_with_first_byte(void **state)
{
	(void)state;
	send_with_fds(&message, 1, 3);
	assert_int_equal(read_message(), -EAGAIN);
	send_bytes((const char *)&message + 1, sizeof(message) - 1);
	assert_int_equal(read_message(), 1);
	assert_int_equal(reader.msg.n_fds, 3);
	assert_message();
}

/* Later bytes may not. */
static void test_fds_with_later_bytes(void **state)
{
	const size_t cuts[] = {1, 11, 12, 13, 19};

	(void)state;
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		unsigned open = count_fds();

		send_bytes(&message, cuts[i]);
		assert_int_equal(read_message(), -EAGAIN);
		send_with_fds((const char *)&message + cuts[i], sizeof(message) - cuts[i], 2);
		assert_int_equal(read_message(), -EPROTO);
		vhu_reader_reset(&reader);
		assert_int_equal(count_fds(), open);
		while (recv(ours, &reader.msg.p, sizeof(reader.msg.p), MSG_DONTWAIT) > 0)
			;
		vhu_reader_reset(&reader);
	}
}

/* Half a message with descriptors, then the peer is gone. */
static void test_fds_of_half_a_message(void **state)
{
	(void)state;
	send_with_fds(&message, 15, 8);
	assert_int_equal(read_message(), -EAGAIN);
	close(theirs);
	theirs = -1;
	assert_int_equal(read_message(), 0);
}

/* ---- sending ---- */

static void test_send(void **state)
{
	const struct vhost_user_header h = header(3, 8);
	const uint64_t payload = 99;
	struct vhu_reader peer = {0};
	int fds[VHOST_USER_MAX_FDS];

	(void)state;
	for (unsigned i = 0; i < VHOST_USER_MAX_FDS; i++)
		fds[i] = gift;
	assert_int_equal(vhu_send(ours, &h, &payload, fds, VHOST_USER_MAX_FDS), 0);
	assert_int_equal(vhu_reader_read(&peer, theirs), 1);
	assert_int_equal(peer.msg.p.u64, 99);
	assert_int_equal(peer.msg.n_fds, VHOST_USER_MAX_FDS);
	vhu_reader_reset(&peer);
	assert_int_equal(vhu_send(ours, &(struct vhost_user_header){1, 1, 0}, NULL, NULL, 0), 0);
	assert_int_equal(vhu_reader_read(&peer, theirs), 1);
	assert_int_equal(peer.msg.n_fds, 0);
}

/* A peer that does not read holds nobody up. */
static void test_send_to_a_full_socket(void **state)
{
	const struct vhost_user_header h = header(3, 8);
	const uint64_t payload = 0;
	unsigned n = 0;
	int r;

	(void)state;
	while ((r = vhu_send(ours, &h, &payload, NULL, 0)) == 0)
		n++;
	assert_true(n > 10);
	assert_int_equal(r, -EAGAIN);
}

static void test_send_to_nobody(void **state)
{
	const struct vhost_user_header h = header(3, 0);

	(void)state;
	signal(SIGPIPE, SIG_DFL); // it is not raised
	close(theirs);
	theirs = -1;
	assert_int_equal(vhu_send(ours, &h, NULL, NULL, 0), -EPIPE);
	assert_int_equal(vhu_send(-1, &h, NULL, NULL, 0), -EBADF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one),
		TEST(without_payload),
		TEST(byte_by_byte),
		TEST(several_at_once),
		TEST(largest),
		TEST(spoofed_sizes),
		TEST(promised_and_not_sent),
		TEST(versions),
		TEST(peer_left),
		TEST(fds),
		TEST(taken_fd),
		TEST(too_many_fds),
		TEST(fds_with_first_byte),
		TEST(fds_with_later_bytes),
		TEST(fds_of_half_a_message),
		TEST(send),
		TEST(send_to_a_full_socket),
		TEST(send_to_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
