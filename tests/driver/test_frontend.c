/* SPDX-License-Identifier: MIT */
/*
 * The front-end half against a back-end that a thread plays: it answers every request as a good one
 * would, whatever the order, and notes what came.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "frontend.h"
#include "personality.h"
#include "wait.h"

#define LOG_MAX 256

/* What the thread offers and what it saw. Read it only after a barrier or the join. */
struct backend {
	pthread_t thread;
	int fd;
	uint64_t features, protocol;
	uint64_t error; // of every ack
	struct vhost_user_header log[LOG_MAX];
	size_t nfds[LOG_MAX];
	size_t n;
	int channel; // of SET_BACKEND_REQ_FD, -1 if none
};

static struct backend be;
static struct frontend fe;

static void reply(uint32_t request, const void *payload, uint32_t size, struct channel_fds *fds)
{
	struct vhost_user_header h = {request, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, size};

	channel_send(be.fd, &h, sizeof(h), fds, wait_deadline(WAIT_DEFAULT));
	channel_send(be.fd, payload, size, NULL, wait_deadline(WAIT_DEFAULT));
}

static void reply_u64(uint32_t request, uint64_t value)
{
	reply(request, &value, sizeof(value), NULL);
}

static void reply_inflight(const void *payload)
{
	struct channel_fds fds = {.n = 1};
	struct frontend_inflight m;

	memcpy(&m, payload, sizeof(m));
	m.mmap_size = 4096;
	fds.fd[0] = be.fd;
	reply(VHOST_USER_GET_INFLIGHT_FD, &m, sizeof(m), &fds);
}

static void respond(const struct vhost_user_header *h, const uint8_t *payload)
{
	uint8_t shmem[8 + 256 * 8] = {0};

	switch (h->request) {
	case VHOST_USER_GET_FEATURES:
		return reply_u64(h->request, be.features);
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		return reply_u64(h->request, be.protocol);
	case VHOST_USER_GET_QUEUE_NUM:
		return reply_u64(h->request, 2);
	case VHOST_USER_GET_MAX_MEM_SLOTS:
		return reply_u64(h->request, 509);
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_CONFIG:
		return reply(h->request, payload, h->size, NULL);
	case VHOST_USER_GET_STATUS:
		return reply_u64(h->request, 0);
	case VHOST_USER_GET_SHMEM_CONFIG:
		return reply(h->request, shmem, sizeof(shmem), NULL);
	case VHOST_USER_GET_INFLIGHT_FD:
		return reply_inflight(payload);
	default:
		if (h->flags & VHOST_USER_NEED_REPLY_MASK)
			reply_u64(h->request, be.error);
	}
}

static void *serve(void *arg)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	struct vhost_user_header h;
	uint8_t payload[4096];

	for (;;) {
		struct channel_fds fds = {.n = 0};

		if (channel_recv(be.fd, &h, sizeof(h), &fds, deadline) < 0)
			break;
		if (h.request == 0 || h.size > sizeof(payload))
			break;
		channel_recv(be.fd, payload, h.size, &fds, deadline);
		if (be.n < LOG_MAX) {
			be.log[be.n] = h;
			be.nfds[be.n++] = fds.n;
		}
		if (h.request == VHOST_USER_SET_BACKEND_REQ_FD && fds.n == 1)
			be.channel = fds.fd[--fds.n];
		channel_close_fds(&fds);
		respond(&h, payload);
	}
	close(be.fd);
	return arg;
}

static int backend_up(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	be = (struct backend){.fd = pair[1],
		.channel = -1,
		.features = FRONTEND_FEATURES | 2,
		.protocol = FRONTEND_PROTOCOL};
	frontend_adopt(&fe, pair[0]);
	return pthread_create(&be.thread, NULL, serve, NULL);
}

static int backend_down(void **state)
{
	(void)state;
	frontend_close(&fe);
	pthread_join(be.thread, NULL);
	if (be.channel >= 0)
		close(be.channel);
	return 0;
}

/* Messages */

static void questions(void **state)
{
	uint64_t value;
	uint8_t config[8];

	(void)state;
	assert_int_equal(frontend_get_features(&fe), 0);
	assert_true(fe.offered == be.features);
	assert_int_equal(frontend_get_u64(&fe, VHOST_USER_GET_QUEUE_NUM, &value), 0);
	assert_int_equal(value, 2);
	assert_int_equal(frontend_get_config(&fe, 3, 8, config), 0);
	assert_int_equal(frontend_get_config(&fe, 0, 257, config), -EINVAL);
	assert_int_equal(be.log[2].size, VHOST_USER_CONFIG_HEADER_SIZE + 8);
}

static void acks(void **state)
{
	struct frontend_msg msg = {.request = VHOST_USER_SET_OWNER, .flags = VHOST_USER_VERSION};

	(void)state;
	assert_int_equal(frontend_ack(&fe, &msg), 0);
	be.error = 1;
	assert_int_equal(frontend_ack(&fe, &msg), -EREMOTEIO);
	// without the feature or the wish there is none
	fe.acks = true;
	assert_int_equal(frontend_set_owner(&fe), 0);
	assert_int_equal(frontend_negotiate(&fe, 0, FRONTEND_PROTOCOL), -EREMOTEIO);
	fe.acks = false;
	assert_int_equal(frontend_set_owner(&fe), 0);
	assert_int_equal(frontend_barrier(&fe), 0);
	assert_int_equal(be.log[2].flags, VHOST_USER_VERSION);
}

static void pieces(void **state)
{
	static const size_t cuts[] = {1, 4, 11, 12, 13, 19};
	uint64_t value = 0x8877665544332211;
	struct frontend_msg msg = {.request = VHOST_USER_SET_FEATURES,
		.flags = FRONTEND_NEED_REPLY,
		.size = sizeof(value),
		.payload = &value,
		.len = sizeof(value),
		.fds = &fe.fd,
		.nfds = 1};

	(void)state;
	assert_int_equal(frontend_send_pieces(&fe, &msg, cuts, 6), 0);
	assert_int_equal(frontend_read_ack(&fe, msg.request), 0);
	assert_int_equal(be.n, 1);
	assert_int_equal(be.nfds[0], 1);
	assert_int_equal(be.log[0].size, 8);
}

static void malformed_and_closed(void **state)
{
	struct frontend_msg msg = {.request = VHOST_USER_SET_OWNER, .nfds = 33};
	uint8_t bytes[12] = {0};
	uint64_t value;

	(void)state;
	assert_int_equal(frontend_send(&fe, &msg), -EINVAL);
	assert_int_equal(frontend_send_bytes(&fe, bytes, sizeof(bytes)), 0);
	assert_int_equal(frontend_wait_close(&fe), 0);
	assert_int_equal(frontend_get_u64(&fe, VHOST_USER_GET_FEATURES, &value), -ECONNRESET);
}

static void silence_is_a_timeout(void **state)
{
	struct frontend_reply r;

	(void)state;
	fe.timeout_ms = 1;
	assert_int_equal(frontend_recv(&fe, &r), -ETIMEDOUT);
}

static void channel_of_the_backend(void **state)
{
	struct vhost_user_header h = {VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, FRONTEND_NEED_REPLY, 0};
	struct frontend_reply r;
	uint8_t answer[20];
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	(void)state;
	assert_int_equal(frontend_open_channel(&fe), 0);
	assert_int_equal(frontend_barrier(&fe), 0);
	assert_true(be.channel >= 0);
	assert_int_equal(channel_send(be.channel, &h, sizeof(h), NULL, deadline), 0);
	assert_int_equal(frontend_channel_recv(&fe, &r), 0);
	assert_int_equal(r.header.request, VHOST_USER_BACKEND_CONFIG_CHANGE_MSG);
	assert_int_equal(frontend_channel_answer(&fe, r.header.request, 0), 0);
	assert_int_equal(channel_recv(be.channel, answer, sizeof(answer), NULL, deadline), 0);
	assert_int_equal(answer[4], VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
}

/* Bring-up */

static void complete_setup(void **state)
{
	static const uint32_t ring[] = {VHOST_USER_SET_VRING_NUM, VHOST_USER_SET_VRING_BASE,
		VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_ERR,
		VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE};
	struct drv_ring rings[2];
	struct guest g;

	(void)state;
	assert_int_equal(guest_init_flat(&g, 1 << 20), 0);
	assert_int_equal(guest_add_region(&g, 1 << 30, 1 << 20, 4096), 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(drv_ring_init(&rings[i], &g, 64, 0), 0);
	be.features &= ~DRV_EVENT_IDX;
	assert_int_equal(frontend_setup(&fe, &g, rings, 2), 0);
	assert_true(rings[1].features == DRV_INDIRECT);
	for (size_t i = 0; i < 14; i++)
		assert_int_equal(be.log[be.n - 14 + i].request, ring[i % 7]);
	assert_int_equal(frontend_stop_ring(&fe, 0, &rings[0]), 0);
	assert_int_equal(frontend_remove_region(&fe, &g.regions[1]), 0);
	for (int i = 0; i < 2; i++)
		drv_ring_finish(&rings[i]);
	guest_finish(&g);
}

static uint32_t config_asked; // in the place of the personality's

/* One device's life in the hands of a personality: twice up and down. */
static void live(const struct personality *p)
{
	struct personality_run run = {.p = p, .f = &fe, .n = 2, .config_size = config_asked};
	struct drv_ring rings[2];
	struct guest g;

	assert_int_equal(guest_init_flat(&g, 1 << 20), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(drv_ring_init(&rings[i], &g, 64, FRONTEND_FEATURES), 0);
	run.guest = &g;
	run.rings = rings;
	assert_int_equal(personality_realize(&run), 0);
	for (int i = 0; i < 2; i++) {
		run.gpu_fd = dup(fe.fd);
		assert_int_equal(personality_start(&run), 0);
		assert_true((run.gpu_fd < 0) == p->gpu_socket);
		if (run.gpu_fd >= 0)
			close(run.gpu_fd);
		assert_int_equal(personality_stop(&run), 0);
	}
	for (int i = 0; i < 2; i++)
		drv_ring_finish(&rings[i]);
	guest_finish(&g);
}

static size_t count(uint32_t request)
{
	size_t n = 0;

	for (size_t i = 0; i < be.n; i++)
		n += be.log[i].request == request;
	return n;
}

static void all_personalities(void **state)
{
	for (const struct personality *p = personalities; p->name; p++) {
		assert_ptr_equal(personality_find(p->name), p);
		backend_up(state);
		be.protocol = 0xffffffffffffull & ~(1ull << VHOST_USER_PROTOCOL_F_GPA_ADDRESSES);
		live(p);
		assert_int_equal(count(VHOST_USER_GET_VRING_BASE), 4);
		assert_int_equal(count(VHOST_USER_GPU_SET_SOCKET), p->gpu_socket ? 2 : 0);
		backend_down(state);
	}
	assert_null(personality_find("none"));
}

static uint32_t config_size(void)
{
	for (size_t i = 0; i < be.n; i++) {
		if (be.log[i].request == VHOST_USER_GET_CONFIG)
			return be.log[i].size - 12; // offset, size, flags
	}
	return 0;
}

/* What distinguishes some of them. */
static void manners(void **state)
{
	backend_up(state);
	be.protocol = 0xffffffffffffull & ~(1ull << VHOST_USER_PROTOCOL_F_GPA_ADDRESSES);
	live(personality_find("qemu11-snd"));
	assert_int_equal(config_size(), 12);
	assert_int_equal(count(VHOST_USER_GET_SHMEM_CONFIG), 1);
	assert_int_equal(count(VHOST_USER_RESET_DEVICE), 0);
	assert_true(fe.features >> 40 & 1);
	backend_down(state);

	backend_up(state);
	live(personality_find("crosvm"));
	assert_int_equal(be.log[0].request, VHOST_USER_SET_OWNER);
	assert_int_equal(count(VHOST_USER_SET_MEM_TABLE), 2);
	for (size_t i = 0; i < be.n; i++)
		assert_false(be.log[i].flags & VHOST_USER_NEED_REPLY_MASK);
	backend_down(state);

	backend_up(state);
	live(personality_find("qemu11-gpu"));
	assert_int_equal(count(VHOST_USER_ADD_MEM_REG), 1);
	assert_int_equal(count(VHOST_USER_RESET_DEVICE), 4);
	assert_true(fe.features >> 40 & 1);
	backend_down(state);

	backend_up(state);
	live(personality_find("cloud-hypervisor"));
	assert_int_equal(count(VHOST_USER_GET_CONFIG), 16);
	assert_int_equal(be.log[be.n - 1].request, VHOST_USER_GET_FEATURES); // the barrier
	assert_false(fe.features & FRONTEND_DEVICE_FEATURES);
	backend_down(state);

	backend_up(state);
	config_asked = 12;
	live(personality_find("crosvm"));
	config_asked = 0;
	assert_int_equal(count(VHOST_USER_GET_CONFIG), 3);
	assert_int_equal(config_size(), 4);
	backend_down(state);
}

/* Daemons */

static void child_says_and_ends(void **state)
{
	static const char *const args[] = {"-c", "echo one; echo two; exit 7", NULL};
	struct daemon_child d;
	char line[16];

	(void)state;
	assert_int_equal(child_start(&d, "/bin/sh", args), 0);
	assert_int_equal(child_line(&d, line, sizeof(line), -1), 0);
	assert_string_equal(line, "one");
	assert_int_equal(child_line(&d, line, sizeof(line), -1), 0);
	assert_string_equal(line, "two");
	assert_int_equal(child_line(&d, line, sizeof(line), -1), -ECONNRESET);
	assert_int_equal(child_wait(&d, -1), 7);
	assert_false(child_is_alive(&d));
	child_kill(&d);
	assert_int_equal(child_start(&d, "/no/such/file", NULL), 0);
	assert_int_equal(child_wait(&d, -1), 127);
	child_kill(&d);
}

/* A shell cannot be told --fd=N before -c: a script in its place looks at its argument. */
static void child_gets_its_end(void **state)
{
	static const char script[] =
		"#!/bin/sh\neval \"exec 0<&${1#--fd=}\"\necho $2\nread x\nkill $$\n";
	char path[] = "/tmp/virga-test-XXXXXX";
	const char *const args[] = {"more", NULL};
	struct daemon_child d;
	char line[16];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, script, sizeof(script) - 1), sizeof(script) - 1);
	assert_int_equal(fchmod(fd, 0700), 0);
	close(fd);
	assert_int_equal(child_start_fd(&d, path, args), 0);
	assert_int_equal(child_line(&d, line, sizeof(line), -1), 0);
	assert_string_equal(line, "more");
	assert_true(child_is_alive(&d));
	assert_true(child_rss_kib(&d) > 0);
	assert_int_equal(child_wait(&d, 0), -ETIMEDOUT);
	fd = child_take_fd(&d);
	close(fd);
	assert_int_equal(child_wait(&d, -1), CHILD_KILLED + SIGTERM);
	child_kill(&d);
	unlink(path);
}

static void child_is_asked(void **state)
{
	const char *const args[] = {"-c",
		"trap 'echo frame=1; echo descriptors=7' USR1; echo; while sleep 0.01; do :; done",
		NULL};
	struct daemon_child d;
	char line[16];

	(void)state;
	assert_int_equal(child_start(&d, "/bin/sh", args), 0);
	assert_int_equal(child_line(&d, line, sizeof(line), -1), 0);
	assert_int_equal(child_count_fds(&d), 7);
	child_kill(&d);
	assert_true(child_count_fds(&d) < 0);
}

static void child_is_stopped(void **state)
{
	static const char *const args[] = {"100", NULL};
	struct daemon_child d;

	(void)state;
	assert_int_equal(child_start(&d, "/bin/sleep", args), 0);
	assert_true(child_is_alive(&d));
	assert_int_equal(child_stop(&d), CHILD_KILLED + SIGTERM);
	assert_int_equal(child_signal(&d, SIGTERM), -ESRCH);
}

#define WITH_BACKEND(name) cmocka_unit_test_setup_teardown(name, backend_up, backend_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_BACKEND(questions),
		WITH_BACKEND(acks),
		WITH_BACKEND(pieces),
		WITH_BACKEND(malformed_and_closed),
		WITH_BACKEND(silence_is_a_timeout),
		WITH_BACKEND(channel_of_the_backend),
		WITH_BACKEND(complete_setup),
		cmocka_unit_test(all_personalities),
		cmocka_unit_test(manners),
		cmocka_unit_test(child_says_and_ends),
		cmocka_unit_test(child_gets_its_end),
		cmocka_unit_test(child_is_asked),
		cmocka_unit_test(child_is_stopped),
	};

	return cmocka_run_group_tests_name("frontend", tests, NULL, NULL);
}
