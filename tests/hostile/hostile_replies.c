/* SPDX-License-Identifier: MIT */
/* A display that answers wrongly, in pieces, late, unasked or not at all. */
#include "on_gpu.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY VHOST_USER_GPU_REPLY_MASK
#define HELLO VHOST_USER_GPU_GET_PROTOCOL_FEATURES
#define INFO  VHOST_USER_GPU_GET_DISPLAY_INFO
#define EDID  VHOST_USER_GPU_GET_EDID

/* ---- our end of the socket ---- */

static int display = -1;

static void open_display(void)
{
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	assert_ok(frontend_gpu_set_socket(&hx.fe, fds[1]));
	close(fds[1]);
	display = fds[0];
}

static void close_display(void)
{
	close(display);
	display = -1;
}

static int64_t soon(void)
{
	return wait_deadline(WAIT_DEFAULT);
}

/* The next message has to be this, with a payload of so many bytes. */
static void hear(uint32_t request, uint32_t size)
{
	struct vhost_user_gpu_header h;
	uint8_t payload[64];

	assert_ok(channel_recv(display, &h, sizeof(h), NULL, soon()));
	assert_int_equal(h.request, request);
	assert_int_equal(h.flags, 0);
	assert_int_equal(h.size, size);
	assert_ok(channel_recv(display, payload, size, NULL, soon()));
}

/* A header, and len bytes of payload behind it. */
static void say(struct vhost_user_gpu_header h, const void *payload, size_t len)
{
	assert_ok(channel_send(display, &h, sizeof(h), NULL, soon()));
	assert_ok(channel_send(display, payload, len, NULL, soon()));
}

static void say_hello(uint64_t features)
{
	hear(HELLO, 0);
	say((struct vhost_user_gpu_header){HELLO, REPLY, 8}, &features, sizeof(features));
	hear(VHOST_USER_GPU_SET_PROTOCOL_FEATURES, 8);
}

static void say_info(uint32_t width)
{
	struct virtio_gpu_resp_display_info info = {.hdr.type = VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
		.pmodes = {{.r = {.width = width, .height = 1}, .enabled = 1}}};

	say((struct vhost_user_gpu_header){INFO, REPLY, sizeof(info)}, &info, sizeof(info));
}

/* The daemon has closed its end. */
static void expect_hung_up(void)
{
	uint8_t bytes[4096];
	int r;

	while ((r = channel_recv(display, bytes, 1, NULL, soon())) == 0)
		continue;
	assert_int_equal(r, -ECONNRESET);
	close_display();
}

/* ---- questions of the guest ---- */

static int ask(uint32_t type)
{
	const struct virtio_gpu_cmd_get_edid m = {.hdr.type = type};
	int ticket = gpu_driver_submit(&hx.gpu, CONTROL, &m, sizeof(m), 2048);

	assert_true(ticket >= 0);
	return ticket;
}

/* 1280 is the device's own answer. */
static void expect_width(int ticket, uint32_t width)
{
	struct virtio_gpu_resp_display_info info;

	assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	memcpy(&info, hx.gpu.resp, sizeof(info));
	assert_int_equal(info.hdr.type, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(info.pmodes[0].r.width, width);
}

/* ---- wrong answers ---- */

struct answer {
	const char *name;
	struct vhost_user_gpu_header h;
};

static const struct answer to_hello[] = {
	{"hello: an answer of another request", {INFO, REPLY, 8}},
	{"hello: an answer of request 0", {0, REPLY, 8}},
	{"hello: an answer of no request", {~0u, REPLY, 8}},
	{"hello: a request in place of an answer", {HELLO, 0, 8}},
	{"hello: flags but for the one", {HELLO, ~REPLY, 8}},
	{"hello: an empty answer", {HELLO, REPLY, 0}},
	{"hello: an answer of 7 bytes", {HELLO, REPLY, 7}},
	{"hello: an answer of 9 bytes", {HELLO, REPLY, 9}},
	{"hello: an answer of 1056 bytes", {HELLO, REPLY, 1056}},
	{"hello: an answer of 2000 bytes", {HELLO, REPLY, 2000}},
	{"hello: an answer of 4 GiB - 1", {HELLO, REPLY, ~0u}},
	{"hello: an answer of 4 GiB - 12", {HELLO, REPLY, ~0u - 11}},
};

static const struct answer to_info[] = {
	{"information: an answer of another request", {EDID, REPLY, 408}},
	{"information: an answer to hello", {HELLO, REPLY, 8}},
	{"information: a request in place of an answer", {INFO, 0, 408}},
	{"information: an empty answer", {INFO, REPLY, 0}},
	{"information: an answer of 24 bytes", {INFO, REPLY, 24}},
	{"information: an answer of 407 bytes", {INFO, REPLY, 407}},
	{"information: an answer of 409 bytes", {INFO, REPLY, 409}},
	{"information: an answer of 64 KiB", {INFO, REPLY, 65536}},
	{"information: an answer of 4 GiB - 1", {INFO, REPLY, ~0u}},
};

static void say_wrong(const struct vhost_user_gpu_header *h)
{
	static const uint8_t junk[4096] = {1, 2, 3};

	channel_send(display, h, sizeof(*h), NULL, soon());
	channel_send(display, junk, h->size < sizeof(junk) ? h->size : sizeof(junk), NULL, soon());
}

/* It is not shown to any more, and who waits gets the device's own answer. */
static void wrong_hello(const void *arg)
{
	const struct answer *a = arg;
	int ticket, n = child_count_fds(&hx.child);

	open_display();
	ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(HELLO, 0);
	say_wrong(&a->h);
	expect_hung_up();
	expect_width(ticket, 1280);
	expect_fds(n);
}

static void wrong_info(const void *arg)
{
	const struct answer *a = arg;
	int ticket, n = child_count_fds(&hx.child);

	open_display();
	say_hello(1);
	ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(INFO, 0);
	say_wrong(&a->h);
	expect_hung_up();
	expect_width(ticket, 1280);
	expect_fds(n);
}

static void wrong_edid_size(const void *arg)
{
	static const uint32_t sizes[] = {1025, 65536, 1u << 31, ~0u};
	struct virtio_gpu_resp_edid edid = {.hdr.type = ~0u, .size = 0};

	(void)arg;
	open_display();
	say_hello(1);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int ticket = ask(VIRTIO_GPU_CMD_GET_EDID);

		edid.size = sizes[i];
		hear(EDID, 4);
		say((struct vhost_user_gpu_header){EDID, REPLY, sizeof(edid)}, &edid, sizeof(edid));
		assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), VIRTIO_GPU_RESP_OK_EDID);
		memcpy(&edid, hx.gpu.resp, sizeof(edid));
		assert_true(edid.size <= sizeof(edid.edid));
	}
	close_display();
}

/* Whatever type it says, the guest gets the one that belongs to its question. */
static void wrong_type(const void *arg)
{
	struct virtio_gpu_resp_display_info info;
	int ticket;

	(void)arg;
	memset(&info, 0xff, sizeof(info));
	open_display();
	say_hello(1);
	ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(INFO, 0);
	say((struct vhost_user_gpu_header){INFO, REPLY, sizeof(info)}, &info, sizeof(info));
	expect_width(ticket, ~0u);
	close_display();
}

static void unknown_flags(const void *arg)
{
	uint64_t features = 0;

	(void)arg;
	open_display();
	hear(HELLO, 0);
	say((struct vhost_user_gpu_header){HELLO, ~0u, 8}, &features, sizeof(features));
	hear(VHOST_USER_GPU_SET_PROTOCOL_FEATURES, 8);
	close_display();
}

/* A display that has no EDID is not asked for one. */
static void no_edid(const void *arg)
{
	int before, after;

	(void)arg;
	open_display();
	before = ask(VIRTIO_GPU_CMD_GET_EDID);
	say_hello(~1ull);
	after = ask(VIRTIO_GPU_CMD_GET_EDID);
	assert_int_equal(gpu_driver_collect(&hx.gpu, before), VIRTIO_GPU_RESP_OK_EDID);
	assert_int_equal(gpu_driver_collect(&hx.gpu, after), VIRTIO_GPU_RESP_OK_EDID);
	close_display();
}

/* Nothing but the question waits for it, and that only until the ring stops. */
static void hello_withheld(const void *arg)
{
	int info, edid;
	uint8_t config[16];
	uint32_t base;

	(void)arg;
	open_display();
	hear(HELLO, 0);
	info = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	edid = ask(VIRTIO_GPU_CMD_GET_EDID);
	expect_pending(info);
	expect_pending(edid);
	assert_ok(frontend_get_config(&hx.fe, 0, sizeof(config), config));
	hostile_picture(1, 64, 64, 1);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 64, 64)));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, GPU_RECT(0, 0, 64, 64)));
	expect_ring_works(CURSOR);
	assert_ok(frontend_get_vring_base(&hx.fe, CONTROL, &base));
	assert_int_equal(drv_ring_used_count(&hx.rings[CONTROL]), 2);
	expect_width(info, 1280);
	assert_int_equal(gpu_driver_collect(&hx.gpu, edid), VIRTIO_GPU_RESP_OK_EDID);
	close_display();
	hostile_restart_ring(CONTROL);
}

/* A display that comes before features, memory and rings is there when they are. */
static void before_all_else(const void *arg)
{
	int ticket;

	(void)arg;
	open_display();
	say_hello(1);
	hostile_agree();
	hostile_give_memory();
	hostile_start_rings();
	ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(INFO, 0);
	say_info(77);
	expect_width(ticket, 77);
	close_display();
}

/* ---- unasked and late ---- */

static void unasked(const void *arg)
{
	const struct vhost_user_gpu_header *h = arg;

	open_display();
	say_hello(1);
	say_wrong(h);
	expect_hung_up();
	expect_width(ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO), 1280);
}

static const struct vhost_user_gpu_header nobody_asked[] = {
	{HELLO, REPLY, 8}, {INFO, REPLY, 408}, {EDID, REPLY, 1056}, {8, REPLY, 0}, {0, 0, 0}};

static void before_hello(const void *arg)
{
	(void)arg;
	open_display();
	say_wrong(&nobody_asked[1]);
	expect_hung_up();
}

/* What was asked before a reset is answered to nobody, and the next question gets the next one. */
static void late(const void *arg)
{
	int ticket;

	(void)arg;
	open_display();
	say_hello(1);
	ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(INFO, 0);
	hear(INFO, 0);
	assert_ok(frontend_reset_device(&hx.fe));
	gpu_driver_reset(&hx.gpu);
	hostile_start_rings();
	ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(INFO, 0);
	say_info(111);
	expect_pending(ticket);
	say_info(222);
	expect_pending(ticket);
	say_info(333);
	expect_width(ticket, 333);
	close_display();
}

static void twice_late(const void *arg)
{
	int ticket = -1;

	(void)arg;
	open_display();
	say_hello(1);
	for (int i = 0; i < 3; i++) {
		ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
		hear(INFO, 0);
		if (i == 2)
			break;
		assert_ok(frontend_reset_device(&hx.fe));
		gpu_driver_reset(&hx.gpu);
		hostile_start_rings();
	}
	for (uint32_t i = 1; i <= 3; i++)
		say_info(i);
	expect_width(ticket, 3);
	close_display();
}

/* ---- pieces ---- */

static void byte_by_byte(const void *arg)
{
	struct {
		struct vhost_user_gpu_header h;
		uint8_t features[8];
	} m = {{HELLO, REPLY, 8}, {1}};

	(void)arg;
	open_display();
	hear(HELLO, 0);
	for (size_t i = 0; i < sizeof(m); i++) {
		assert_ok(channel_send(display, (char *)&m + i, 1, NULL, soon()));
		channel_drain(display, soon());
	}
	hear(VHOST_USER_GPU_SET_PROTOCOL_FEATURES, 8);
	close_display();
}

/* Ends after so many bytes of an answer of 420. */
static void half_an_answer(const void *arg)
{
	static const size_t lengths[] = {0, 1, 11, 12, 13, 36, 419};
	int n = child_count_fds(&hx.child);

	(void)arg;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		uint8_t bytes[420] = {INFO, 0, 0, 0, REPLY, 0, 0, 0, 408 & 0xff, 408 >> 8};
		int ticket;

		open_display();
		say_hello(1);
		ticket = ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
		hear(INFO, 0);
		assert_ok(channel_send(display, bytes, lengths[i], NULL, soon()));
		expect_pending(ticket);
		close_display();
		expect_width(ticket, 1280);
		expect_fds(n);
	}
}

static void half_an_answer_and_a_new_socket(const void *arg)
{
	const uint8_t half[] = {INFO, 0, 0, 0, REPLY, 0, 0, 0};
	int old;

	(void)arg;
	open_display();
	say_hello(1);
	ask(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	hear(INFO, 0);
	assert_ok(channel_send(display, half, sizeof(half), NULL, soon()));
	old = display;
	open_display();
	close(old);
	say_hello(1);
	gpu_driver_poll(&hx.gpu);
	hostile_restart_ring(CONTROL);
	close_display();
}

static void with_descriptors(const void *arg)
{
	const struct vhost_user_gpu_header h = {HELLO, REPLY, 8};
	struct channel_fds fds = {.n = 8};
	uint64_t features = 1;
	int n;

	(void)arg;
	hostile_fds(fds.fd, 8);
	open_display();
	hear(HELLO, 0);
	n = child_count_fds(&hx.child);
	assert_ok(channel_send(display, &h, sizeof(h), &fds, soon()));
	assert_ok(channel_send(display, &features, sizeof(features), &fds, soon()));
	hear(VHOST_USER_GPU_SET_PROTOCOL_FEATURES, 8);
	expect_fds(n);
	close_display();
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"an EDID longer than it can be", RUNNING, wrong_edid_size},
	{"an answer of another type within", RUNNING, wrong_type},
	{"an answer with all flags", RUNNING, unknown_flags},
	{"a display without EDID", RUNNING, no_edid},
	{"a hello that is never answered", RUNNING, hello_withheld},
	{"a display before all else", CONNECTED, before_all_else},
	{"a second hello", RUNNING, unasked, &nobody_asked[0]},
	{"information that nobody asked for", RUNNING, unasked, &nobody_asked[1]},
	{"an EDID that nobody asked for", RUNNING, unasked, &nobody_asked[2]},
	{"an answer to UPDATE", RUNNING, unasked, &nobody_asked[3]},
	{"nothing but zeros", RUNNING, unasked, &nobody_asked[4]},
	{"an answer before hello", RUNNING, before_hello},
	{"answers after a reset", RUNNING, late},
	{"answers after two resets", RUNNING, twice_late},
	{"an answer byte by byte", RUNNING, byte_by_byte},
	{"half an answer", RUNNING, half_an_answer},
	{"half an answer, and a new socket", RUNNING, half_an_answer_and_a_new_socket},
	{"answers with descriptors", RUNNING, with_descriptors},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, to_hello, RUNNING, wrong_hello);
	HOSTILE_ADD_TABLE(&list, to_info, RUNNING, wrong_info);
	return hostile_main(argc, argv, list.cases, list.n);
}
