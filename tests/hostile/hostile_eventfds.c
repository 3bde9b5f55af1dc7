/* SPDX-License-Identifier: MIT */
/* Kick, call and err descriptors that are not the eventfds they should be. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int dead_socket(void)
{
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	close(fds[1]);
	return fds[0];
}

static int other_end = -1;

/* A pipe that blocks, and is full. Its reading end stays open. */
static int full_pipe(void)
{
	static const char page[4096];
	int fds[2];

	assert_ok(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	while (write(fds[1], page, sizeof(page)) > 0)
		continue;
	assert_ok(fcntl(fds[1], F_SETFL, 0));
	other_end = fds[0];
	return fds[1];
}

static void close_both(int fd)
{
	close(fd);
	if (other_end >= 0)
		close(other_end);
	other_end = -1;
}

static int dead_pipe(void)
{
	int fds[2];

	assert_ok(pipe2(fds, O_CLOEXEC));
	close(fds[0]);
	return fds[1];
}

static int reading_end(void)
{
	int fds[2];

	assert_ok(pipe2(fds, O_CLOEXEC));
	close(fds[1]);
	return fds[0];
}

static int full_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_ok(eventfd_write(fd, UINT64_MAX - 1));
	return fd;
}

static int regular_file(void)
{
	return memfd_create("file", MFD_CLOEXEC);
}

static int null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int null_to_read(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int by_path(void)
{
	return open("/dev/null", O_PATH | O_CLOEXEC);
}

static int an_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int timer(void)
{
	const struct itimerspec often = {{0, 1000000}, {0, 1000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	assert_ok(timerfd_settime(fd, 0, &often, NULL));
	return fd;
}

struct odd_fd {
	const char *name;
	int (*make)(void);
	bool refused;
};

/* Those that are told. */
static const struct odd_fd signals[] = {
	{"call: a dead socket", dead_socket, false},
	{"call: a full pipe that blocks", full_pipe, false},
	{"call: a dead pipe", dead_pipe, false},
	{"call: a pipe's reading end", reading_end, false},
	{"call: a full eventfd that blocks", full_eventfd, false},
	{"call: a file", regular_file, false},
	{"call: /dev/null", null, false},
	{"call: /dev/null to read", null_to_read, false},
	{"call: no more than a path", by_path, true},
	{"call: an epoll", an_epoll, false},
	{"call: a timer", timer, false},
};

static void odd_call(const void *arg)
{
	const struct odd_fd *odd = arg;
	const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	int fd = odd->make(), ticket;

	assert_int_equal(
		frontend_set_vring_call(&hx.fe, CONTROL, fd), odd->refused ? -EREMOTEIO : 0);
	for (int i = 0; i < 3; i++) {
		ticket = gpu_driver_submit(&hx.gpu, CONTROL, &ask, sizeof(ask), 1024);
		hostile_settle();
		assert_int_equal(drv_ring_used_count(&hx.rings[CONTROL]), 1);
		assert_int_equal(
			gpu_driver_collect(&hx.gpu, ticket), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	}
	assert_ok(frontend_set_vring_call(&hx.fe, CONTROL, hx.rings[CONTROL].call_fd));
	close_both(fd);
}

static void odd_err(const void *arg)
{
	const struct odd_fd *odd = arg;
	struct drv_ring *r = &hx.rings[CONTROL];
	int fd = odd->make();

	assert_int_equal(
		frontend_set_vring_err(&hx.fe, CONTROL, fd), odd->refused ? -EREMOTEIO : 0);
	for (int i = 0; i < 3; i++) {
		drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 5000));
		assert_ok(drv_ring_kick_now(r));
		expect_nothing_used(CONTROL);
		hostile_stop_ring(CONTROL);
		drv_ring_reset(r, 0);
		assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, r->kick_fd));
		assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
	}
	close_both(fd);
	assert_ok(frontend_set_vring_err(&hx.fe, CONTROL, r->err_fd));
	hostile_restart_ring(CONTROL);
}

/* Those that are waited for: epoll takes no files. */
static const struct odd_fd kicks[] = {
	{"kick: a dead socket", dead_socket, false},
	{"kick: a full pipe", full_pipe, false},
	{"kick: a dead pipe", dead_pipe, false},
	{"kick: a pipe's reading end", reading_end, false},
	{"kick: an eventfd that is never read", full_eventfd, false},
	{"kick: a file", regular_file, true},
	{"kick: /dev/null", null, true},
	{"kick: no more than a path", by_path, true},
	{"kick: an epoll", an_epoll, false},
	{"kick: a timer", timer, false},
};

static void odd_kick(const void *arg)
{
	const struct odd_fd *odd = arg;
	int fd = odd->make(), n = child_count_fds(&hx.child);

	assert_int_equal(
		frontend_set_vring_kick(&hx.fe, CONTROL, fd), odd->refused ? -EREMOTEIO : 0);
	expect_ring_works(CURSOR);
	expect_fds(odd->refused ? n - 1 : n);
	assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, hx.rings[CONTROL].kick_fd));
	expect_fds(n);
	close_both(fd);
}

static void no_call_at_all(const void *arg)
{
	const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	int ticket;

	(void)arg;
	assert_ok(frontend_set_vring_call(&hx.fe, CONTROL, -1));
	ticket = gpu_driver_submit(&hx.gpu, CONTROL, &ask, sizeof(ask), 1024);
	hostile_settle();
	assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(drv_ring_wait_call(&hx.rings[CONTROL], 0), -ETIMEDOUT);
	assert_ok(frontend_set_vring_call(&hx.fe, CONTROL, hx.rings[CONTROL].call_fd));
}

static void descriptors_again_and_again(const void *arg)
{
	const struct drv_ring *r = &hx.rings[CONTROL];
	int n = child_count_fds(&hx.child);

	(void)arg;
	for (int i = 0; i < 200; i++) {
		assert_ok(frontend_set_vring_call(&hx.fe, CONTROL, r->call_fd));
		assert_ok(frontend_set_vring_err(&hx.fe, CONTROL, r->err_fd));
		assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, r->kick_fd));
	}
	expect_fds(n);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"no call descriptor at all", RUNNING, no_call_at_all},
	{"descriptors 200 times", RUNNING, descriptors_again_and_again},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	static struct odd_fd errs[COUNT(signals)];
	static char names[COUNT(signals)][48];

	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, signals, RUNNING, odd_call);
	HOSTILE_ADD_TABLE(&list, kicks, RUNNING, odd_kick);
	for (size_t i = 0; i < COUNT(errs); i++) {
		errs[i] = signals[i];
		errs[i].name = names[i];
		snprintf(names[i], sizeof(names[i]), "err%s", signals[i].name + strlen("call"));
	}
	HOSTILE_ADD_TABLE(&list, errs, RUNNING, odd_err);
	return hostile_main(argc, argv, list.cases, list.n);
}
