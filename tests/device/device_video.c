/* SPDX-License-Identifier: MIT */
/* Playing through the device with the codec that has no library: whatever the order of things, each picture
 * that is due comes once, in its order, with its timestamp. */
#include "video.h"

#include <endian.h>
#include <string.h>

#include "driver/wait.h"
#include "video_units.h"

#define NV12 VIRTIO_VIDEO_FORMAT_NV12
#define I420 VIRTIO_VIDEO_FORMAT_YUV420
#define H264 VIRTIO_VIDEO_FORMAT_H264
#define VP8  VIRTIO_VIDEO_FORMAT_VP8

static struct clip clip;

static int begin(void **state)
{
	(void)state;
	video_begin(NULL);
	return 0;
}

static int end(void **state)
{
	clip_free(&clip);
	return video_end(state);
}

/* ---- what it says of itself ---- */

static struct virtio_video_format_desc description(unsigned i)
{
	const size_t size = sizeof(struct virtio_video_format_desc)
		+ sizeof(struct virtio_video_format_frame)
		+ sizeof(struct virtio_video_format_range);

	struct virtio_video_format_desc d;

	assert_true(vx.video.resp_len >= 16 + (i + 1) * size);
	memcpy(&d, vx.video.resp + 16 + i * size, sizeof(d));
	return d;
}

static void configuration(void **state)
{
	struct virtio_video_config c;

	(void)state;
	assert_ok(frontend_get_config(&vx.fe, 0, sizeof(c), &c));
	assert_int_equal(c.version, 0);
	assert_int_equal(vx.fe.features & FRONTEND_DEVICE_FEATURES, 3);
	assert_true(video_capability(&vx.video, INPUT) > 0);
	assert_int_equal(le32toh(c.max_caps_length), vx.video.resp_len);
	assert_true(le32toh(c.max_resp_length) >= vx.video.resp_len);
}

static void capabilities(void **state)
{
	static const uint32_t coded[] = {0x1002, 0x1003, 0x1004, 0x1005, 0x1000, 0x1001},
			      raw[] = {NV12, I420, VIRTIO_VIDEO_FORMAT_YVU420};

	(void)state;
	assert_int_equal(video_capability(&vx.video, INPUT), VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY);
	for (unsigned i = 0; i < COUNT(coded); i++) {
		assert_int_equal(le32toh(description(i).format), coded[i]);
		assert_int_equal(le64toh(description(i).mask), 7);
	}
	assert_int_equal(
		video_capability(&vx.video, OUTPUT), VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY);
	for (unsigned i = 0; i < COUNT(raw); i++) {
		assert_int_equal(le32toh(description(i).format), raw[i]);
		assert_int_equal(le64toh(description(i).mask), 0x3f);
		assert_int_equal(le32toh(description(i).planes_layout), 3);
	}
}

static void only_some_codecs(void **state)
{
	static const char *const args[] = {"--codecs=vp8,h264", NULL};

	(void)state;
	video_begin(args);
	assert_true(video_capability(&vx.video, INPUT) > 0);
	assert_int_equal(vx.video.resp[8], 2);
	assert_int_equal(le32toh(description(0).format), H264);
	assert_int_equal(le32toh(description(1).format), VP8);
	assert_int_equal(video_create(&vx.video, 1, VIRTIO_VIDEO_FORMAT_VP9), INVALID_PARAMETER);
	assert_int_equal(video_create(&vx.video, 1, VP8), OK);
}

/* A driver may say what its stream is after it has made it, and how large it will be. */
static void parameters(void **state)
{
	struct virtio_video_params p;

	(void)state;
	assert_int_equal(video_create(&vx.video, 1, VP8), OK);
	assert_true(video_get_params(&vx.video, 1, INPUT, &p) > 0);
	assert_int_equal(le32toh(p.format), VP8);
	p.format = htole32(H264);
	p.frame_width = htole32(321);
	p.frame_height = htole32(200);
	p.plane_formats[0].plane_size = htole32(99999);
	assert_int_equal(video_set_params(&vx.video, 1, &p), OK);
	assert_true(video_get_params(&vx.video, 1, INPUT, &p) > 0);
	assert_int_equal(le32toh(p.format), H264);
	assert_int_equal(le32toh(p.plane_formats[0].plane_size), 99999);
	assert_true(video_get_params(&vx.video, 1, OUTPUT, &p) > 0);
	assert_int_equal(le32toh(p.frame_width), 321);
	assert_int_equal(le32toh(p.num_planes), 1);
	assert_int_equal(le32toh(p.plane_formats[0].stride), 322);
	assert_int_equal(le32toh(p.plane_formats[0].plane_size), 322 * 200 * 3 / 2);
	p.num_planes = htole32(3);
	p.format = htole32(I420);
	assert_int_equal(video_set_params(&vx.video, 1, &p), OK);
	assert_true(video_get_params(&vx.video, 1, OUTPUT, &p) > 0);
	assert_int_equal(le32toh(p.num_planes), 3);
	assert_int_equal(le32toh(p.plane_formats[2].stride), 161);
	assert_int_equal(le32toh(p.plane_formats[2].plane_size), 161 * 100);
}

/* ---- playing ---- */

static void memories_and_formats(void **state)
{
	(void)state;
	units_make(&clip, 20, 70, 50);
	for (unsigned i = 0; i < 12; i++) {
		struct player p = {.stream = i,
			.coded = i % 2 ? H264 : VP8,
			.raw = i % 4 < 2 ? NV12 : I420,
			.memory = (enum player_memory)(i % 3),
			.per_plane = i >= 6};

		player_begin(&p);
		player_play(&p, &clip);
		assert_int_equal(p.n_formats, 1);
		assert_int_equal(p.n_canceled, 0);
		units_expect(&p, &clip, 0);
		player_end(&p);
	}
}

static void sizes_change(void **state)
{
	static const uint32_t sizes[][2] = {
		{64, 48}, {300, 200}, {31, 21}, {2, 2}, {64, 48}, {64, 50}};
	struct player p = {.stream = 3, .coded = H264, .memory = PLAYER_PAGES};

	(void)state;
	for (unsigned i = 0; i < COUNT(sizes); i++)
		units_make(&clip, 6, sizes[i][0], sizes[i][1]);
	player_begin(&p);
	player_play(&p, &clip);
	assert_int_equal(p.n_formats, COUNT(sizes));
	units_expect(&p, &clip, 0);
	player_end(&p);
}

static int make_output(uint32_t stream, uint32_t id, uint32_t bytes)
{
	const struct video_piece piece = {guest_alloc(&vx.guest, bytes, 4096), bytes};
	const struct video_memory m = {
		VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER, 1, {0}, {1}, &piece};

	return video_resource(&vx.video, stream, OUTPUT, id, &m);
}

static uint32_t flags_of(int ticket)
{
	struct virtio_video_resource_queue_resp resp;

	assert_int_equal(video_driver_collect(&vx.video, ticket), OK_QUEUE);
	memcpy(&resp, vx.video.resp, sizeof(resp));
	return le32toh(resp.flags);
}

/* A picture waits until no buffer from before is queued, and is not put into one that is too small. */
static void old_buffers_hold_it_back(void **state)
{
	struct player p = {.stream = 8, .coded = H264};
	const uint32_t bytes = 64 * 48 * 3 / 2;
	int before, too_small, large;

	(void)state;
	units_make(&clip, 1, 64, 48);
	player_begin(&p);
	assert_int_equal(make_output(8, 1, 100), OK);
	assert_int_equal(make_output(8, 2, bytes - 1), OK);
	assert_int_equal(make_output(8, 3, bytes), OK);
	before = video_queue_output(&vx.video, 8, 1);
	player_push(&p, &clip);
	while (vx.video.event_count == 0)
		assert_true(video_driver_wait(&vx.video, WAIT_DEFAULT) > 0);
	large = video_queue_output(&vx.video, 8, 3);
	assert_int_equal(video_clear(&vx.video, 8, OUTPUT), OK);
	assert_int_equal(flags_of(before), VIRTIO_VIDEO_BUFFER_FLAG_ERR);
	assert_int_equal(flags_of(large), VIRTIO_VIDEO_BUFFER_FLAG_ERR);

	too_small = video_queue_output(&vx.video, 8, 2);
	large = video_queue_output(&vx.video, 8, 3);
	assert_int_equal(video_clear(&vx.video, 8, OUTPUT), OK);
	assert_int_equal(flags_of(too_small), VIRTIO_VIDEO_BUFFER_FLAG_ERR);
	assert_int_equal(flags_of(large), VIRTIO_VIDEO_BUFFER_FLAG_ERR);

	large = video_queue_output(&vx.video, 8, 3);
	assert_int_equal(flags_of(large), 0);
	vx.video.event_count = 0;
	player_end(&p);
}

static void drains(void **state)
{
	struct player p = {.stream = 1, .coded = H264};

	(void)state;
	units_make(&clip, 3, 64, 48);
	units_add(&clip, 64, 48, true);
	units_add(&clip, 64, 48, true);
	player_begin(&p);
	for (unsigned round = 0; round < 3; round++) {
		player_feed(&p, &clip);
		if (round)
			player_wait(&p.n_pictures, 1);
		assert_true(p.n_pictures < clip.n); // two are held
		player_drain(&p);
		units_expect(&p, &clip, round * clip.n);
		assert_int_equal(p.n_eos, round + 1);
	}
	player_drain(&p); // with nothing
	assert_int_equal(p.n_eos, 4);
	assert_int_equal(p.n_pictures, 0);
	player_end(&p);
}

/* Nothing was decoded, and buffers are there all the same. */
static void drains_at_the_beginning(void **state)
{
	struct player p = {.stream = 1, .coded = H264, .n_outputs = 2};

	(void)state;
	player_begin(&p);
	player_restart_output(&p, true);
	player_drain(&p);
	assert_int_equal(p.n_eos, 1);
	units_make(&clip, 5, 64, 48);
	player_play(&p, &clip);
	units_expect(&p, &clip, 0);
	player_end(&p);
}

static void drains_once_at_a_time(void **state)
{
	struct player p = {.stream = 1, .coded = H264, .keeps = true, .n_outputs = 1};
	int first, second;

	(void)state;
	units_make(&clip, 1, 64, 48);
	player_begin(&p);
	player_feed(&p, &clip);
	player_wait(&p.n_pictures, 1);
	first = video_drain(&vx.video, p.stream);
	second = video_drain(&vx.video, p.stream);
	assert_int_equal(video_driver_collect(&vx.video, second), INVALID_OPERATION);
	player_restart_output(&p, false);
	player_wait(&p.n_eos, 1);
	assert_int_equal(video_driver_collect(&vx.video, first), OK);
	player_end(&p);
}

/* ---- seeking ---- */

/* What is queued and held is dropped; what comes next stands alone. */
static void seeks(void **state)
{
	struct player p = {.stream = 9, .coded = H264};
	struct clip then = {0};

	(void)state;
	units_make(&clip, 8, 64, 48);
	units_add(&clip, 64, 48, true);
	units_make(&then, 7, 64, 48);
	player_begin(&p);
	player_feed(&p, &clip);
	player_seek(&p);
	while (p.n_pictures && p.pictures[p.n_pictures - 1].pts < 8000)
		players_turn();
	assert_true(p.n_pictures <= 8);
	p.n_pictures = 0;
	player_play(&p, &then);
	units_expect(&p, &then, clip.n);
	player_end(&p);
	clip_free(&then);
}

/* Nobody takes the pictures: the codec stands still, with all inputs queued. */
static void seeks_while_it_stands(void **state)
{
	struct player p = {.stream = 9, .coded = H264, .keeps = true, .n_outputs = 2};
	const unsigned outputs = 2, at_work = 1;
	struct clip then = {0};

	(void)state;
	for (unsigned i = 0; i < outputs + at_work + PLAYER_INPUTS; i++)
		units_add(&clip, 64, 48, false);
	units_make(&then, 2, 64, 48);
	player_begin(&p);
	player_push(&p, &clip);
	player_wait(&p.taken, outputs + at_work);
	player_push(&p, &clip);
	player_wait(&p.n_pictures, outputs);
	assert_int_equal(p.fed, clip.n);
	player_seek(&p);
	assert_int_equal(p.taken, clip.n);
	assert_int_equal(p.n_broken, PLAYER_INPUTS);
	p.n_pictures = 0;
	p.keeps = false;
	player_restart_output(&p, false);
	player_play(&p, &then);
	units_expect(&p, &then, outputs + at_work);
	player_end(&p);
	clip_free(&then);
}

static void drain_ends_by_seek(void **state)
{
	struct player p = {.stream = 9, .coded = H264, .keeps = true};
	int ticket;

	(void)state;
	units_make(&clip, 1, 64, 48);
	player_begin(&p);
	player_feed(&p, &clip);
	player_wait(&p.n_pictures, 1);
	assert_int_equal(video_clear(&vx.video, p.stream, OUTPUT), OK);
	ticket = video_drain(&vx.video, p.stream); // no buffer for its end
	player_seek(&p);
	assert_int_equal(video_driver_collect(&vx.video, ticket), INVALID_OPERATION);
	player_end(&p);
}

/* ---- outputs ---- */

/* Stopped and begun again, with other buffers and with the same: no picture is lost. */
static void outputs_begin_again(void **state)
{
	struct player p = {.stream = 4, .coded = H264, .memory = PLAYER_RAGGED};

	(void)state;
	units_make(&clip, 30, 64, 48);
	player_begin(&p);
	p.clip = &clip;
	player_feed(&p, &clip);
	for (unsigned i = 0; i < 4; i++)
		player_restart_output(&p, i % 2);
	player_drain(&p);
	units_expect(&p, &clip, 0);
	player_end(&p);
}

/* ---- several ---- */

static void many_streams(void **state)
{
	static struct player players[12];
	int tickets[COUNT(players)];

	(void)state;
	units_make(&clip, 12, 64, 48);
	for (unsigned i = 0; i < COUNT(players); i++) {
		players[i] = (struct player){.stream = i * 1000,
			.coded = i % 2 ? H264 : VP8,
			.raw = i % 3 ? NV12 : I420,
			.memory = (enum player_memory)(i % 3)};
		player_begin(&players[i]);
	}
	for (unsigned i = 0; i < COUNT(players); i++)
		player_feed(&players[i], &clip);
	for (unsigned i = 0; i < COUNT(players); i++)
		tickets[i] = video_drain(&vx.video, players[i].stream);
	for (unsigned i = 0; i < COUNT(players); i++) {
		player_wait(&players[i].n_eos, 1);
		assert_int_equal(video_driver_collect(&vx.video, tickets[i]), OK);
		units_expect(&players[i], &clip, 0);
		player_end(&players[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(configuration, begin, end),
		cmocka_unit_test_setup_teardown(capabilities, begin, end),
		cmocka_unit_test_teardown(only_some_codecs, end),
		cmocka_unit_test_setup_teardown(parameters, begin, end),
		cmocka_unit_test_setup_teardown(memories_and_formats, begin, end),
		cmocka_unit_test_setup_teardown(sizes_change, begin, end),
		cmocka_unit_test_setup_teardown(old_buffers_hold_it_back, begin, end),
		cmocka_unit_test_setup_teardown(drains, begin, end),
		cmocka_unit_test_setup_teardown(drains_at_the_beginning, begin, end),
		cmocka_unit_test_setup_teardown(drains_once_at_a_time, begin, end),
		cmocka_unit_test_setup_teardown(seeks, begin, end),
		cmocka_unit_test_setup_teardown(seeks_while_it_stands, begin, end),
		cmocka_unit_test_setup_teardown(drain_ends_by_seek, begin, end),
		cmocka_unit_test_setup_teardown(outputs_begin_again, begin, end),
		cmocka_unit_test_setup_teardown(many_streams, begin, end),
	};

	video_main(argc, argv);
	return cmocka_run_group_tests_name("video", tests, NULL, NULL);
}
