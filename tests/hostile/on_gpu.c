/* SPDX-License-Identifier: MIT */
#include "on_gpu.h"

#include <unistd.h>

static void begin(void)
{
	gpu_driver_init(&hx.gpu, &hx.guest, &hx.rings[CONTROL], &hx.rings[CURSOR]);
}

static void forget(void)
{
	gpu_driver_reset(&hx.gpu);
}

static void end(void)
{
	if (hx.gpu.display)
		display_peer_finish(&hx.peer);
	hx.gpu.display = NULL;
}

static void works(unsigned q)
{
	struct virtio_gpu_update_cursor cursor = {.pos = {.x = 1}};
	struct virtio_gpu_resp_display_info info;

	if (q == CONTROL)
		assert_int_equal(
			gpu_driver_display_info(&hx.gpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	else
		assert_int_equal(gpu_driver_cursor(&hx.gpu, VIRTIO_GPU_CMD_MOVE_CURSOR, cursor), 0);
}

const struct hostile_target hostile_target = {
	.variable = "VIRGA_GPU",
	.program = "virga-gpu",
	.n_rings = RINGS,
	.begin = begin,
	.forget = forget,
	.end = end,
	.works = works,
	.show = hostile_show,
};

void hostile_show(void)
{
	int remote;

	assert_ok(display_peer_open(&hx.peer, &remote));
	hx.gpu.display = &hx.peer;
	assert_ok(frontend_gpu_set_socket(&hx.fe, remote));
	close(remote);
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_SET_PROTOCOL_FEATURES, 1, -1));
}

void expect_pending(int ticket)
{
	hostile_settle();
	assert_true(gpu_driver_poll(&hx.gpu) >= 0);
	assert_false(gpu_driver_is_done(&hx.gpu, ticket));
}

uint64_t hostile_picture(uint32_t id, uint32_t w, uint32_t h, uint32_t colour)
{
	uint64_t gpa = gpu_driver_make_2d(&hx.gpu, id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, w, h);
	uint32_t *pixels = guest_ptr(&hx.guest, gpa, 4ull * w * h);

	assert_non_null(pixels);
	for (size_t i = 0; i < (size_t)w * h; i++)
		pixels[i] = colour;
	assert_ack(gpu_driver_transfer(&hx.gpu, id, GPU_RECT(0, 0, w, h), 0));
	return gpa;
}

int hostile_begin_flush(uint32_t id, uint32_t w, uint32_t h)
{
	struct virtio_gpu_resource_flush m = {.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = GPU_RECT(0, 0, w, h),
		.resource_id = id};
	int ticket = gpu_driver_submit(&hx.gpu, CONTROL, &m, sizeof(m), sizeof(m.hdr));

	assert_true(ticket >= 0);
	return ticket;
}
