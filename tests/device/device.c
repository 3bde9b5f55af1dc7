/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "device.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "driver/wait.h"
#include "png_file.h"

struct device dev;
const char *device_binary;

void device_main(int argc, char **argv)
{
	device_binary = child_binary("VIRGA_GPU", argc, argv);
	if (!device_binary) {
		fprintf(stderr, "no binary: say it as the first argument, or in VIRGA_GPU\n");
		exit(2);
	}
}

/* The folder */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static void make_folder(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dev.dir, sizeof(dev.dir), "%.60s/virga-device-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dev.dir));
	snprintf(dev.socket, sizeof(dev.socket), "%.80s/sock", dev.dir);
	snprintf(dev.pictures, sizeof(dev.pictures), "%.80s/pictures", dev.dir);
	snprintf(dev.errors, sizeof(dev.errors), "%.80s/errors", dev.dir);
}

/* The daemon */

/* Its stderr is ours, or a file that takes our place while it is started. */
static int swap_stderr(const char *path)
{
	int ours = dup(STDERR_FILENO);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	assert_true(ours >= 0 && fd >= 0);
	fcntl(ours, F_SETFD, FD_CLOEXEC);
	dup2(fd, STDERR_FILENO);
	close(fd);
	return ours;
}

/* strace is given what counts the system calls of what follows. */
static size_t put_trace(const char **args)
{
	size_t n = 0;

	snprintf(dev.trace, sizeof(dev.trace), "%.80s/trace", dev.dir);
	args[n++] = "-f";
	args[n++] = "-c";
	args[n++] = "-o";
	args[n++] = dev.trace;
	args[n++] = device_binary;
	return n;
}

static void start_daemon(const struct device_setup *s)
{
	const char *args[20];
	char display[PATH_MAX_LEN + 16], listen[PATH_MAX_LEN + 16], hostmem[40];
	size_t n = s->strace ? put_trace(args) : 0;
	int ours = s->keep_stderr ? swap_stderr(dev.errors) : -1;
	int rc;

	snprintf(listen, sizeof(listen), "--socket-path=%s", dev.socket);
	snprintf(display, sizeof(display), "--display=png:%s", dev.pictures);
	args[n++] = listen;
	if (!s->no_sandbox)
		args[n++] = SANITIZED ? "--seccomp=log" : "--seccomp=kill";
	for (size_t i = 0; s->args[i]; i++)
		args[n++] = s->args[i];
	snprintf(hostmem, sizeof(hostmem), "--hostmem=%lluK", (unsigned long long)s->window >> 10);
	if (s->png)
		args[n++] = display;
	if (s->window)
		args[n++] = hostmem;
	args[n] = NULL;
	rc = child_start(&dev.child, s->strace ? s->strace : device_binary, args);
	if (ours >= 0) {
		dup2(ours, STDERR_FILENO);
		close(ours);
	}
	assert_int_equal(rc, 0);
}

static void make_guest(const struct device_setup *s)
{
	uint64_t size = s->memory ? s->memory : 64 << 20;
	uint32_t num = s->ring_size ? s->ring_size : 256;

	assert_int_equal(guest_init_flat(&dev.guest, size), 0);
	dev.guest_is_made = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			drv_ring_init(&dev.rings[i], &dev.guest, num, FRONTEND_FEATURES), 0);
	gpu_driver_init(&dev.gpu, &dev.guest, &dev.rings[0], &dev.rings[1]);
}

static void open_peer(uint64_t offered)
{
	int remote;

	assert_int_equal(display_peer_open(&dev.peer, &remote), 0);
	close(remote); // device_start() makes another
	dev.peer.offered |= offered;
	dev.peer_is_open = true;
	dev.gpu.display = &dev.peer;
}

void device_begin(const struct device_setup *s)
{
	const char *usual = s->peer ? "qemu11-gpu" : "qemu11-generic";
	const struct personality *p = personality_find(s->personality ? s->personality : usual);

	device_end(NULL);
	assert_non_null(p);
	make_folder();
	start_daemon(s);
	make_guest(s);
	if (s->peer)
		open_peer(s->offered);
	if (s->window) {
		assert_int_equal(window_open(&dev.window, &dev.fe, s->window), 0);
		dev.gpu.window = &dev.window;
	}
	dev.run = (struct personality_run){.p = p,
		.f = &dev.fe,
		.guest = &dev.guest,
		.rings = dev.rings,
		.n = s->one_ring ? 1 : 2,
		.gpu_fd = -1};
	if (!s->wait_for_client)
		device_connect();
}

int device_end(void **state)
{
	(void)state;
	device_disconnect();
	if (dev.child.pid > 0 || dev.child.pidfd > 0)
		child_kill(&dev.child);
	if (dev.peer_is_open)
		display_peer_finish(&dev.peer);
	window_close(&dev.window);
	for (int i = 0; dev.guest_is_made && i < 2; i++)
		drv_ring_finish(&dev.rings[i]);
	if (dev.guest_is_made)
		guest_finish(&dev.guest);
	if (*dev.dir)
		nftw(dev.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	memset(&dev, 0, sizeof(dev));
	return 0;
}

void device_terminate(void)
{
	assert_int_equal(child_signal(&dev.child, SIGTERM), 0);
	assert_int_equal(child_wait(&dev.child, 30000), 0);
}

/* A device's life */

static void phase(int (*run)(struct personality_run *run))
{
	int rc = run(&dev.run);

	if (rc < 0)
		fail_msg("%s: %s failed at step 0x%x: %s", dev.run.p->name, dev.run.failed,
			(unsigned int)dev.run.step, strerror(-rc));
}

static void forget(void)
{
	for (int i = 0; i < 2; i++) {
		drv_ring_wait_err(&dev.rings[i], 0);
		drv_ring_reset(&dev.rings[i], 0);
	}
	gpu_driver_reset(&dev.gpu);
	guest_rewind(&dev.guest);
}

void device_connect(void)
{
	assert_int_equal(frontend_connect(&dev.fe, dev.socket), 0);
	dev.fe_is_open = true;
	dev.run.memory_given = false;
	phase(personality_realize);
	forget(); // only now is the daemon done with the last front-end's rings
	device_start();
}

void device_disconnect(void)
{
	if (dev.fe_is_open)
		frontend_close(&dev.fe);
	dev.fe_is_open = false;
}

void device_start(void)
{
	int remote;

	if (dev.peer_is_open && dev.run.p->gpu_socket) {
		assert_int_equal(display_peer_reopen(&dev.peer, &remote), 0);
		dev.run.gpu_fd = remote;
	}
	phase(personality_start);
	device_settle();
}

void device_stop(void)
{
	phase(personality_stop);
	assert_true(gpu_driver_poll(&dev.gpu) >= 0);
}

void device_reset(void)
{
	device_stop();
	forget();
}

/*
 * The daemon may take several messages in a row before it looks at anything else: so many round
 * trips with nothing new, and it has been through its loop more than once.
 */
enum { SETTLED = 40 };

void device_settle(void)
{
	for (int quiet = 0; quiet < SETTLED; quiet++) {
		if (dev.peer_is_open && !dev.peer.stop_reading)
			while (display_peer_pump(&dev.peer, 0) >= 0)
				quiet = 0;
		if (dev.window.base && window_pump(&dev.window) > 0)
			quiet = 0;
		assert_int_equal(frontend_barrier(&dev.fe), 0);
	}
	assert_true(gpu_driver_poll(&dev.gpu) >= 0);
}

/* Commands */

int device_submit(const void *command, size_t len)
{
	int ticket = gpu_driver_submit(&dev.gpu, 0, command, len, dev.gpu.resp_cap);

	assert_true(ticket >= 0);
	return ticket;
}

static struct virtio_gpu_rect wire(struct virtio_gpu_rect r)
{
	return (struct virtio_gpu_rect){
		htole32(r.x), htole32(r.y), htole32(r.width), htole32(r.height)};
}

int device_submit_flush(uint32_t id, struct virtio_gpu_rect r)
{
	struct virtio_gpu_resource_flush m = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_FLUSH), .r = wire(r)};

	m.resource_id = htole32(id);
	return device_submit(&m, sizeof(m));
}

int device_submit_transfer(uint32_t id, struct virtio_gpu_rect r, uint64_t offset)
{
	struct virtio_gpu_transfer_to_host_2d m = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D), .r = wire(r)};

	m.resource_id = htole32(id);
	m.offset = htole64(offset);
	return device_submit(&m, sizeof(m));
}

bool device_is_done(int ticket)
{
	assert_true(gpu_driver_poll(&dev.gpu) >= 0);
	return gpu_driver_is_done(&dev.gpu, ticket);
}

void device_collect(int ticket)
{
	assert_int_equal(gpu_driver_collect(&dev.gpu, ticket), OK);
}

/* Pictures of one colour */

void device_fill(uint32_t id, uint64_t gpa, struct virtio_gpu_rect whole, uint32_t colour)
{
	size_t n = (size_t)whole.width * whole.height;
	uint32_t *p = guest_ptr(&dev.guest, gpa, n * 4);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = htole32(colour);
	assert_int_equal(gpu_driver_transfer(&dev.gpu, id, whole, 0), OK);
}

uint64_t device_make(uint32_t id, uint32_t w, uint32_t h, uint32_t colour)
{
	uint64_t gpa = gpu_driver_make_2d(&dev.gpu, id, BGRX, w, h);

	assert_true(gpa != GUEST_NOMEM);
	device_fill(id, gpa, GPU_RECT(0, 0, w, h), colour);
	return gpa;
}

uint64_t device_show(uint32_t scanout, uint32_t id, uint32_t w, uint32_t h, uint32_t colour)
{
	uint64_t gpa = device_make(id, w, h, colour);
	struct virtio_gpu_rect all = GPU_RECT(0, 0, w, h);

	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, scanout, id, all), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, all), OK);
	return gpa;
}

uint32_t device_crc_of(uint32_t w, uint32_t h, uint32_t colour)
{
	uint8_t rgb[3] = {(uint8_t)(colour >> 16), (uint8_t)(colour >> 8), (uint8_t)colour};
	uLong crc = crc32(0, NULL, 0);

	for (size_t i = 0; i < (size_t)w * h; i++)
		crc = crc32(crc, rgb, sizeof(rgb));
	return (uint32_t)crc;
}

void device_answer_late(void)
{
	struct {
		struct vhost_user_gpu_header h;
		uint64_t features;
	} __attribute__((packed))
	m = {{VHOST_USER_GPU_GET_PROTOCOL_FEATURES, VHOST_USER_GPU_REPLY_MASK, 8}, 1};

	assert_int_equal(
		channel_send(dev.peer.fd, &m, sizeof(m), NULL, wait_deadline(WAIT_DEFAULT)), 0);
}

void device_assert_peer(uint32_t scanout, uint32_t w, uint32_t h, uint32_t colour)
{
	const struct display_picture *shown = &dev.peer.screens[scanout].shown;

	device_settle();
	if (dev.peer.faults)
		fail_msg("the peer says: %s", dev.peer.fault);
	assert_int_equal(shown->width, w);
	assert_int_equal(shown->height, h);
	assert_int_equal(display_peer_crc(&dev.peer, scanout), device_crc_of(w, h, colour));
}

/* What the daemon says */

void device_line(char *buf, size_t room)
{
	assert_int_equal(child_line(&dev.child, buf, room, 30000), 0);
}

void device_assert_silent(void)
{
	char line[128];
	int rc;

	assert_int_equal(frontend_barrier(&dev.fe), 0);
	rc = child_line(&dev.child, line, sizeof(line), 0);
	if (rc == 0)
		fail_msg("it says \"%s\"", line);
	assert_int_equal(rc, -ETIMEDOUT);
}

void device_frame_path(char *buf, uint32_t scanout, unsigned int frame)
{
	snprintf(buf, PATH_MAX_LEN, "%.100s/scanout%u-%06u.png", dev.pictures, scanout, frame);
}

void device_assert_frame(uint32_t scanout, unsigned int frame, uint32_t w, uint32_t h, uint32_t crc)
{
	char line[128], wanted[128], path[PATH_MAX_LEN];
	struct png_file png;

	snprintf(wanted, sizeof(wanted), "scanout=%u frame=%u size=%ux%u crc=%08x", scanout, frame,
		w, h, crc);
	device_line(line, sizeof(line));
	assert_string_equal(line, wanted);
	device_frame_path(path, scanout, frame);
	assert_int_equal(png_file_read(path, &png), 0);
	assert_int_equal(png.width, w);
	assert_int_equal(png.height, h);
	assert_int_equal(png.crc, crc);
}
