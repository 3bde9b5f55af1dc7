/* SPDX-License-Identifier: MIT */
/*
 * The device in the hands of each virtual machine monitor: its whole life, its resets and pauses,
 * and what comes at odd times.
 */
#include "device.h"

#include <endian.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static const struct virtio_gpu_rect all = {.width = 60, .height = 50};

static bool negotiated(unsigned int bit)
{
	return dev.fe.protocol >> bit & 1;
}

/* Does its stop tell the device of a reset? */
static bool stop_resets(const struct personality *p)
{
	for (const uint16_t *s = p->stop; *s != STEP_END; s++)
		if ((*s & ~STEP_ACK) == STEP_RESET_DEVICE)
			return negotiated(VHOST_USER_PROTOCOL_F_RESET_DEVICE);
	return false;
}

/* The frame is in its file, and in QEMU's window where there is one. */
static void assert_shown(unsigned int frame, uint32_t colour)
{
	device_assert_frame(0, frame, 60, 50, device_crc_of(60, 50, colour));
	if (dev.run.p->gpu_socket)
		device_assert_peer(0, 60, 50, colour);
}

static void assert_config(void)
{
	uint32_t scanouts;

	memcpy(&scanouts, dev.run.config + 8, sizeof(scanouts));
	assert_int_equal(le32toh(scanouts), 1);
	if (negotiated(VHOST_USER_PROTOCOL_F_MQ))
		assert_int_equal(dev.run.queue_num, 2);
}

/* Stopped and started where they stood, the rings go on and nothing is lost. */
static void pause_and_resume(uint64_t gpa)
{
	device_stop();
	device_start();
	device_fill(1, gpa, all, 2);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	assert_shown(2, 2);
}

static void reset_and_draw(unsigned int frame)
{
	device_reset();
	device_start();
	assert_int_equal(
		gpu_driver_flush(&dev.gpu, 1, all), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	if (dev.run.p->gpu_socket && !stop_resets(dev.run.p))
		device_assert_peer(0, 0, 0, 0); // the new socket was told of it
	device_show(0, 1, 60, 50, frame);
	assert_shown(frame, frame);
}

static void life(void **state)
{
	const struct personality *p = *state;
	uint64_t gpa;

	device_begin(&(struct device_setup){.peer = true, .png = true, .personality = p->name});
	assert_config();
	gpa = device_show(0, 1, 60, 50, 1);
	assert_shown(1, 1);
	if (stop_resets(p))
		reset_and_draw(2);
	else
		pause_and_resume(gpa);
	reset_and_draw(3);
	reset_and_draw(4);
	device_disconnect();
	device_connect();
	device_show(0, 1, 60, 50, 5);
	assert_shown(5, 5);
	device_terminate();
}

/* Requests that were there before the rings started, and while they stood still. */
static void requests_while_stopped(void **state)
{
	const struct personality *p = *state;
	int tickets[8];

	device_begin(&(struct device_setup){.personality = p->name});
	device_make(1, 60, 50, 1);
	for (int i = 0; i < 3 && !stop_resets(p); i++) {
		device_stop();
		for (int k = 0; k < 8; k++)
			tickets[k] = device_submit_flush(1, all);
		assert_int_equal(frontend_barrier(&dev.fe), 0);
		assert_false(device_is_done(tickets[0]));
		device_start();
		for (int k = 0; k < 8; k++)
			device_collect(tickets[k]);
	}
	device_reset();
	tickets[0] = device_submit_flush(1, all);
	device_start();
	assert_int_equal(
		gpu_driver_collect(&dev.gpu, tickets[0]), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

/* One daemon, all of them in turn; each leaves in the middle of something. */
static void one_after_another(void **state)
{
	int fds = 0;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	for (int round = 0; round < 3; round++)
		for (const struct personality *p = personalities; p->name; p++) {
			device_disconnect();
			dev.run.p = p;
			device_connect();
			device_show(0, 1, 60, 50, 7);
			device_submit_flush(1, all);
			device_submit_transfer(1, all, 0);
			if (p == personalities && round == 0)
				fds = child_count_fds(&dev.child);
			else if (p == personalities)
				assert_int_equal(child_count_fds(&dev.child), fds);
		}
}

/* A front-end waits its turn while another is served. */
static void the_second_waits(void **state)
{
	struct frontend other;

	(void)state;
	device_begin(&(struct device_setup){0});
	assert_int_equal(frontend_connect(&other, dev.socket), 0);
	device_show(0, 1, 60, 50, 7);
	device_disconnect();
	assert_int_equal(frontend_get_features(&other), 0);
	assert_true(other.offered >> VIRTIO_GPU_F_EDID & 1);
	frontend_close(&other);
}

/* The channel of the back-end's requests */

static void channels_come_late_and_again(void **state)
{
	int fds;

	(void)state;
	device_begin(&(struct device_setup){.personality = "cloud-hypervisor"});
	device_make(1, 60, 50, 1);
	fds = child_count_fds(&dev.child);
	for (int i = 0; i < 10; i++) {
		struct pollfd old = {.fd = dup(dev.fe.backend_fd)};

		assert_int_equal(frontend_open_channel(&dev.fe), 0);
		device_settle();
		assert_int_equal(poll(&old, 1, 0), 1); // the daemon has closed its end
		assert_true(old.revents & POLLHUP);
		close(old.fd);
		assert_int_equal(child_count_fds(&dev.child), fds);
		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	}
	close(dev.fe.backend_fd); // nobody listens any more: that is noticed
	dev.fe.backend_fd = -1;
	device_settle();
	assert_int_equal(child_count_fds(&dev.child), fds - 1);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
}

/* The configuration space */

static void config_before_the_owner(void **state)
{
	uint8_t whole[24] = {0}, byte;

	(void)state;
	device_begin(&(struct device_setup){
		.wait_for_client = true, .args = {"--outputs=1x1,2x2,3x3,4x4,5x5"}});
	assert_int_equal(frontend_connect(&dev.fe, dev.socket), 0);
	dev.fe_is_open = true;
	assert_int_equal(frontend_get_features(&dev.fe), 0);
	assert_int_equal(frontend_get_protocol(&dev.fe), 0);
	assert_int_equal(frontend_set_protocol(&dev.fe, 1ull << VHOST_USER_PROTOCOL_F_CONFIG), 0);
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(whole), whole), 0);
	assert_int_equal(whole[8], 5);
	for (uint32_t i = 0; i < sizeof(whole); i++) {
		assert_int_equal(frontend_get_config(&dev.fe, i, 1, &byte), 0);
		assert_int_equal(byte, whole[i]);
	}
}

/* Rings */

/* A request in so many descriptors that the ring is full with it. */
static void whole_ring_in_a_chain(uint32_t num)
{
	uint32_t readable = num > 4000 ? 4000 : num - 1;
	uint8_t request[8192] = {0};
	struct virtio_gpu_ctrl_hdr hdr = {.type = htole32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
		.flags = htole32(VIRTIO_GPU_FLAG_FENCE),
		.fence_id = htole64(num)};

	memcpy(request, &hdr, sizeof(hdr));
	dev.gpu.piece = (uint32_t)(sizeof(hdr) + readable - 1) / readable;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(gpu_driver_run(&dev.gpu, request, dev.gpu.piece * readable),
			VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	dev.gpu.piece = 0;
}

/* n requests, as many at a time as there is room for. Each answer is that to its request. */
static void many_requests(uint32_t num, uint32_t n)
{
	uint32_t batch = dev.gpu.indirect ? num : num / 2;
	int tickets[GPU_DRIVER_COMMANDS];

	if (batch > GPU_DRIVER_COMMANDS)
		batch = GPU_DRIVER_COMMANDS;
	for (uint32_t i = 0; i < n; i += batch) {
		for (uint32_t k = 0; k < batch; k++) {
			struct virtio_gpu_resource_unref m = {
				.hdr = {.type = htole32(VIRTIO_GPU_CMD_RESOURCE_UNREF),
					.flags = htole32(VIRTIO_GPU_FLAG_FENCE),
					.fence_id = htole64(i + k)},
				.resource_id = htole32(99)};

			tickets[k] = gpu_driver_add(&dev.gpu, 0, &m, sizeof(m), 24);
			assert_true(tickets[k] >= 0);
		}
		assert_true(drv_ring_submit(&dev.rings[0]) >= 0);
		for (uint32_t k = 0; k < batch; k++)
			assert_int_equal(gpu_driver_collect(&dev.gpu, tickets[k]),
				VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	}
}

static const uint32_t ring_sizes[] = {2, 16, 64, 256, 1024, 32768};

/* Also beyond the end of their 16-bit indices. */
static void ring_size(void **state)
{
	uint32_t num = *(const uint32_t *)*state;

	device_begin(&(struct device_setup){.ring_size = num, .personality = "crosvm"});
	whole_ring_in_a_chain(num);
	many_requests(num, 4 * num);
	dev.gpu.indirect = true;
	whole_ring_in_a_chain(num);
	many_requests(num, num < 64 ? 1000 : 66000);
	device_show(0, 1, 60, 50, 1);
	device_reset();
	device_start();
	many_requests(num, 100);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)
#define RING(n, at)                                                                                \
	{                                                                                          \
		"ring_of_" #n, ring_size, NULL, device_end, (void *)(uintptr_t)&ring_sizes[at]     \
	}
#define MAX_PERSONALITIES 16

static int run_personalities(const char *name, CMUnitTestFunction function)
{
	struct CMUnitTest tests[MAX_PERSONALITIES];
	size_t n = 0;

	for (const struct personality *p = personalities; p->name && n < MAX_PERSONALITIES; p++)
		tests[n++] = (struct CMUnitTest){.name = p->name,
			.test_func = function,
			.teardown_func = device_end,
			.initial_state = (void *)(uintptr_t)p};
	return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(one_after_another),
		TEST(the_second_waits),
		TEST(channels_come_late_and_again),
		TEST(config_before_the_owner),
		RING(2, 0),
		RING(16, 1),
		RING(64, 2),
		RING(256, 3),
		RING(1024, 4),
		RING(32768, 5),
	};
	int failed;

	device_main(argc, argv);
	failed = run_personalities("a whole life", life);
	failed += run_personalities("requests while stopped", requests_while_stopped);
	failed += cmocka_run_group_tests_name("device_frontends", tests, NULL, NULL);
	return failed != 0;
}
