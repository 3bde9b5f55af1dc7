/* SPDX-License-Identifier: MIT */
/* Displays that are no stream sockets, or the daemon's own ones. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int a_memfd(void)
{
	return memfd_create("display", MFD_CLOEXEC);
}

static int an_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int an_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int by_path(void)
{
	return open("/dev/null", O_PATH | O_CLOEXEC);
}

static int a_pipe(void)
{
	int fds[2];

	assert_ok(pipe2(fds, O_CLOEXEC));
	close(fds[0]);
	return fds[1];
}

static int dead_socket(void)
{
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	close(fds[1]);
	return fds[0];
}

static int deaf_socket(void)
{
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	assert_ok(shutdown(fds[0], SHUT_RDWR));
	close(fds[1]);
	return fds[0];
}

static int lonely_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int lonely_datagrams(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int listening_socket(void)
{
	const struct sockaddr_un nameless = {.sun_family = AF_UNIX};
	int fd = lonely_socket();

	assert_ok(bind(fd, (const struct sockaddr *)&nameless, sizeof(sa_family_t)));
	assert_ok(listen(fd, 1));
	return fd;
}

struct no_socket {
	const char *name;
	int (*make)(void);
};

static const struct no_socket no_sockets[] = {
	{"a file as display", a_memfd},
	{"an eventfd as display", an_eventfd},
	{"an epoll as display", an_epoll},
	{"/dev/null as display", null},
	{"no more than a path as display", by_path},
	{"a dead pipe as display", a_pipe},
	{"a dead socket as display", dead_socket},
	{"a socket shut down as display", deaf_socket},
	{"a socket without peer as display", lonely_socket},
	{"datagrams without peer as display", lonely_datagrams},
	{"a listening socket as display", listening_socket},
};

/* Dropped at once; the display that was there before is gone as well. */
static void no_socket(const void *arg)
{
	const struct no_socket *kind = arg;
	struct virtio_gpu_resp_display_info info;
	int n = child_count_fds(&hx.child), fd = kind->make();

	assert_true(fd >= 0);
	assert_ok(frontend_gpu_set_socket(&hx.fe, fd));
	close(fd);
	while (display_peer_pump(&hx.peer, WAIT_DEFAULT) >= 0)
		continue;
	assert_int_equal(hx.peer.fd, -1);
	expect_fds(n - 1);
	assert_int_equal(gpu_driver_display_info(&hx.gpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, 1280); // the device's own
}

/* Messages that are not bytes in a row are cut off where a header ends. */
static void packets(const void *arg)
{
	const int type = *(const int *)arg;
	const struct vhost_user_gpu_header h = {
		VHOST_USER_GPU_GET_PROTOCOL_FEATURES, VHOST_USER_GPU_REPLY_MASK, 8};
	int fds[2], n = child_count_fds(&hx.child);
	uint8_t bytes[20];

	assert_ok(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
	assert_ok(frontend_gpu_set_socket(&hx.fe, fds[1]));
	close(fds[1]);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &h, sizeof(h));
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(fds[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	expect_fds(n);
	close(fds[0]);
}

static const int packet_types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

/* Its other end is the daemon's own: it talks to itself, and sends itself away. */
static void its_own_connection(const void *arg)
{
	(void)arg;
	hx.fe.acks = false;
	assert_ok(frontend_gpu_set_socket(&hx.fe, hx.fe.fd));
	expect_closed();
}

static void its_own_listener(const void *arg)
{
	struct frontend other;

	(void)arg;
	assert_ok(frontend_connect(&other, hx.path));
	assert_ok(frontend_gpu_set_socket(&hx.fe, other.fd));
	frontend_close(&other);
	hostile_leave(); // then it comes to serve itself, and the next one
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"a socket of datagrams", RUNNING, packets, &packet_types[0]},
	{"a socket of packets", RUNNING, packets, &packet_types[1]},
	{"the front-end's own connection", RUNNING, its_own_connection},
	{"a connection to its own listener", RUNNING, its_own_listener},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, no_sockets, SHOWING, no_socket);
	return hostile_main(argc, argv, list.cases, list.n);
}
