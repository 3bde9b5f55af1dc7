/* SPDX-License-Identifier: MIT */
#include "on_video.h"

#include <endian.h>
#include <string.h>

#include "video/null.h"

enum { BUFFERS = 1 << 20, STEP = 32 << 10, EVENTS = 4 };

uint64_t video_input_at(uint32_t stream)
{
	return BUFFERS + stream % 128 * STEP;
}

uint64_t video_output_at(uint32_t stream)
{
	return video_input_at(stream) + UNIT;
}

void video_put_unit(uint64_t gpa, bool error)
{
	const struct null_unit u = {WIDTH, HEIGHT, 0, error};

	assert_ok(guest_write(&hx.guest, gpa, &u, sizeof(u)));
}

int video_plain(uint32_t stream, uint32_t queue, uint32_t id, uint64_t gpa, uint32_t len)
{
	const struct video_piece piece = {gpa, len};
	const struct video_memory m = {
		VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER, 1, {0}, {1}, &piece};

	return video_resource(&hx.video, stream, queue, id, &m);
}

int video_run(const void *bytes, size_t len, uint32_t room)
{
	return video_driver_run(&hx.video, bytes, len, room);
}

int video_answer(int ticket)
{
	assert_true(ticket >= 0);
	return video_driver_collect(&hx.video, ticket);
}

void expect_buffer(int ticket, uint32_t flags)
{
	struct virtio_video_resource_queue_resp resp;

	assert_int_equal(video_answer(ticket), OK_QUEUE);
	memcpy(&resp, hx.video.resp, sizeof(resp));
	assert_int_equal(le32toh(resp.flags), flags);
}

void video_open(uint32_t stream)
{
	if (!hx.rings[EVENT].outstanding)
		assert_ok(video_driver_fill(&hx.video, EVENTS));
	video_put_unit(video_input_at(stream), false);
	assert_int_equal(video_create(&hx.video, stream, H264), OK);
	assert_int_equal(video_plain(stream, INPUT, 1, video_input_at(stream), UNIT), OK);
	assert_int_equal(video_plain(stream, OUTPUT, 2, video_output_at(stream), PICTURE), OK);
}

/* Its first row is what the codec draws for some unit. */
static void expect_picture(uint64_t gpa)
{
	uint8_t row[WIDTH];

	assert_ok(guest_read(&hx.guest, gpa, row, sizeof(row)));
	for (unsigned x = 1; x < WIDTH; x++)
		assert_int_equal(row[x], (uint8_t)(row[0] + x));
}

/* Waits for an output. False: it was cleared because of a format, and is queued again. */
static bool has_come(uint32_t stream, int *out)
{
	struct virtio_video_resource_queue_resp resp;
	uint32_t of;

	while (!video_driver_is_answered(&hx.video, *out)) {
		while (video_driver_event(&hx.video, &of, 0) > 0)
			assert_int_equal(video_clear(&hx.video, stream, OUTPUT), OK);
		if (!video_driver_is_answered(&hx.video, *out))
			assert_true(video_driver_wait(&hx.video, WAIT_DEFAULT) >= 0);
	}
	assert_int_equal(video_answer(*out), OK_QUEUE);
	memcpy(&resp, hx.video.resp, sizeof(resp));
	if (!(le32toh(resp.flags) & VIRTIO_VIDEO_BUFFER_FLAG_ERR))
		return true;
	*out = video_queue_output(&hx.video, stream, 2);
	return false;
}

void expect_decodes(uint32_t stream)
{
	static const uint8_t zeros[WIDTH];
	int in, out, drain;

	assert_ok(guest_write(&hx.guest, video_output_at(stream), zeros, sizeof(zeros)));
	assert_int_equal(video_clear(&hx.video, stream, INPUT), OK);
	assert_int_equal(video_clear(&hx.video, stream, OUTPUT), OK);
	in = video_queue_input(&hx.video, stream, 1, UNIT, 7);
	drain = video_drain(&hx.video, stream);
	expect_buffer(in, 0);
	out = video_queue_output(&hx.video, stream, 2);
	while (!has_come(stream, &out))
		;
	expect_picture(video_output_at(stream));
	expect_buffer(video_queue_output(&hx.video, stream, 2), VIRTIO_VIDEO_BUFFER_FLAG_EOS);
	assert_int_equal(video_answer(drain), OK);
}

/* ---- the target ---- */

static void begin(void)
{
	video_driver_init(&hx.video, &hx.guest, hx.rings);
}

static void forget(void)
{
	video_driver_reset(&hx.video);
}

/* A buffer for less than an event comes back at once. */
static void takes_buffers(void)
{
	const struct drv_seg seg = {HAND_SIZE / 2, 4, true};
	struct drv_ring *r = &hx.rings[EVENT];
	uint32_t before = r->outstanding;

	assert_true(drv_ring_add(r, &seg, 1, NULL) >= 0);
	assert_true(drv_ring_submit(r) >= 0);
	while (r->outstanding > before)
		assert_true(video_driver_wait(&hx.video, WAIT_DEFAULT) > 0);
}

static void works(unsigned q)
{
	if (q == COMMAND)
		assert_int_equal(video_capability(&hx.video, INPUT), OK_CAPABILITY);
	else
		takes_buffers();
}

const struct hostile_target hostile_target = {
	.variable = "VIRGA_VIDEO",
	.program = "virga-video-null",
	.n_rings = RINGS,
	.begin = begin,
	.forget = forget,
	.works = works,
};
