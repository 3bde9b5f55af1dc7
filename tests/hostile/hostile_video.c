/* SPDX-License-Identifier: MIT */
/* Commands of virtio-video that are short, unknown, out of turn, or about no such stream. */
#include "on_video.h"

#include <stdio.h>
#include <string.h>

enum { ONE = 1, TWO, NEW = 3, STREAMS = 32 };

/* ---- what there is ---- */

struct command {
	const char *name;
	uint32_t type;
	uint32_t size;      // so many bytes are needed
	uint32_t words[28]; // behind the header, for an answer that is OK
	int answer;
	uint32_t room; // that the answer fills
	bool of_stream, is_new;
};

static const struct command commands[] = {
	{"QUERY_CAPABILITY", 0x100, 16, {INPUT}, OK_CAPABILITY, 16 + 6 * 80},
	{"STREAM_CREATE", 0x101, 88, {0, 0, H264}, OK, 8, .is_new = true},
	{"RESOURCE_CREATE", 0x104, 88, {INPUT, 9, 1, 1}, INVALID_PARAMETER, 8, .of_stream = true},
	{"RESOURCE_DESTROY_ALL", 0x106, 16, {INPUT}, OK, 8, .of_stream = true},
	{"QUEUE_CLEAR", 0x107, 16, {INPUT}, OK, 8, .of_stream = true},
	{"GET_PARAMS", 0x108, 16, {OUTPUT}, OK_PARAMS, 120, .of_stream = true},
	{"SET_PARAMS", 0x109, 120, {INPUT, H264}, OK, 8, .of_stream = true},
	{"QUERY_CONTROL", 0x10a, 16, {2, 0, H264}, UNSUPPORTED_CONTROL, 8},
	{"GET_CONTROL", 0x10b, 16, {2}, OK_CONTROL, 16, .of_stream = true},
	{"SET_CONTROL", 0x10c, 24, {2, 0, 0x101}, OK, 8, .of_stream = true},
};

static int ask_of(const struct command *c, uint32_t stream, size_t len, uint32_t room)
{
	uint8_t bytes[2048] = {0};

	memcpy(bytes, &c->type, 4);
	memcpy(bytes + 4, &stream, 4);
	memcpy(bytes + 8, c->words, sizeof(c->words));
	return video_run(bytes, len, room);
}

/* Creates what the command is about, or sees to it that there is no such stream. A stream's resources
 * would have its codec started. */
static int ask(const struct command *c, size_t len, uint32_t room)
{
	video_destroy(&hx.video, c->is_new ? NEW : ONE);
	if (c->of_stream)
		assert_int_equal(video_create(&hx.video, ONE, H264), OK);
	return ask_of(c, c->is_new ? NEW : ONE, len, room);
}

/* A byte too little is too little; more than enough does no harm. */
static void sizes(const void *arg)
{
	const struct command *c = arg;
	static const uint32_t more[] = {0, 1, 3, 500, 1500};

	for (uint32_t len = 8; len < c->size; len++) {
		assert_int_equal(ask(c, len, 1024), INVALID_PARAMETER);
		assert_int_equal(hx.video.resp_len, 8);
	}
	for (size_t i = 0; i < COUNT(more); i++) {
		bool with_format = c->type == 0x10a && more[i] >= 2;
		int right = with_format ? OK_QUERY_CONTROL : c->answer;

		assert_int_equal(ask(c, c->size + more[i], 1024), right);
		assert_int_equal(hx.video.resp_len, with_format ? 16 + 3 * 4 : c->room);
	}
}

static void pieces(const void *arg)
{
	const struct command *c = arg;

	for (uint32_t piece = 1; piece < c->size + 2; piece += 1 + piece / 8) {
		for (int indirect = c->size / piece > 50; indirect < 2; indirect++) {
			hx.video.piece = 0;
			hx.video.indirect = indirect;
			video_destroy(&hx.video, c->is_new ? NEW : ONE);
			if (c->of_stream)
				assert_int_equal(video_create(&hx.video, ONE, H264), OK);
			hx.video.piece = piece;
			assert_int_equal(
				ask_of(c, c->is_new ? NEW : ONE, c->size, 1024), c->answer);
		}
	}
}

/* The command is done, and as much is said of it as there is room for. */
static void little_room(const void *arg)
{
	const struct command *c = arg;

	for (uint32_t room = 0; room < c->room; room++) {
		int rc = ask(c, c->size, room);

		assert_int_equal(rc, room < 8 ? 0 : c->answer);
		assert_int_equal(hx.video.resp_len, room);
	}
}

static void other_streams(const void *arg)
{
	const struct command *c = arg;
	static const uint32_t others[] = {0, 2, 77, UINT32_MAX};

	video_open(ONE);
	for (size_t i = 0; i < COUNT(others) && c->of_stream; i++)
		assert_int_equal(ask_of(c, others[i], c->size, 1024), INVALID_STREAM);
	expect_decodes(ONE);
}

static void unknown_commands(const void *arg)
{
	uint8_t bytes[256] = {0};

	(void)arg;
	for (uint32_t type = 0; type < 0x1000; type++) {
		if (type >= 0x100 && type <= 0x10c)
			continue;
		memcpy(bytes, &type, 4);
		assert_int_equal(video_run(bytes, sizeof(bytes), 64), INVALID_OPERATION);
	}
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(video_run(bytes, sizeof(bytes), 64), INVALID_OPERATION);
}

/* Less than a header, or nothing at all. */
static void no_header(const void *arg)
{
	const uint8_t bytes[8] = {0};

	(void)arg;
	for (size_t len = 1; len < sizeof(bytes); len++)
		assert_int_equal(video_run(bytes, len, 64), INVALID_OPERATION);
	assert_int_equal(video_run(bytes, 0, 64), INVALID_OPERATION);
}

static void no_stream(const void *arg)
{
	(void)arg;
	assert_int_equal(video_destroy(&hx.video, ONE), INVALID_STREAM);
	assert_int_equal(video_answer(video_drain(&hx.video, ONE)), INVALID_STREAM);
	assert_int_equal(video_answer(video_queue_input(&hx.video, ONE, 1, 1, 1)), INVALID_STREAM);
	assert_int_equal(video_answer(video_queue_output(&hx.video, ONE, 1)), INVALID_STREAM);
}

static void wrong_queues(const void *arg)
{
	static const uint32_t queues[] = {0, 1, 0xff, 0x102, 0x10000100, UINT32_MAX};
	struct virtio_video_params p = {0};

	(void)arg;
	video_open(ONE);
	for (size_t i = 0; i < COUNT(queues); i++) {
		p.queue_type = queues[i];
		assert_int_equal(video_capability(&hx.video, queues[i]), INVALID_PARAMETER);
		assert_int_equal(video_clear(&hx.video, ONE, queues[i]), INVALID_PARAMETER);
		assert_int_equal(video_destroy_all(&hx.video, ONE, queues[i]), INVALID_PARAMETER);
		assert_int_equal(
			video_get_params(&hx.video, ONE, queues[i], &p), INVALID_PARAMETER);
		assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_PARAMETER);
		assert_int_equal(video_plain(ONE, queues[i], 9, 0x1000, 4096), INVALID_PARAMETER);
	}
	expect_decodes(ONE);
}

/* ---- streams ---- */

static void same_stream_again(const void *arg)
{
	(void)arg;
	video_open(ONE);
	assert_int_equal(video_create(&hx.video, ONE, H264), INVALID_STREAM);
	expect_decodes(ONE);
	assert_int_equal(video_destroy(&hx.video, ONE), OK);
	assert_int_equal(video_destroy(&hx.video, ONE), INVALID_STREAM);
}

static void wrong_formats(const void *arg)
{
	static const uint32_t formats[] = {0, 1, NV12, 0x999, 0x1006, UINT32_MAX};
	static const uint32_t types[] = {1, 2, UINT32_MAX};
	struct virtio_video_stream_create c = {{0x101, NEW}};

	(void)arg;
	for (size_t i = 0; i < COUNT(formats); i++)
		assert_int_equal(video_create(&hx.video, NEW, formats[i]), INVALID_PARAMETER);
	c.coded_format = H264;
	for (size_t i = 0; i < COUNT(types); i++) {
		c.in_mem_type = types[i];
		assert_int_equal(video_run(&c, sizeof(c), 64), INVALID_PARAMETER);
		c.out_mem_type = types[i];
		c.in_mem_type = 0;
		assert_int_equal(video_run(&c, sizeof(c), 64), INVALID_PARAMETER);
		c.out_mem_type = 0;
	}
}

/* As many as there may be, with any numbers; then one goes, and one comes. */
static void streams_without_end(const void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < STREAMS; i++)
		assert_int_equal(video_create(&hx.video, i * 0x08080808, VP8), OK);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(video_create(&hx.video, 77 + i, VP8), OUT_OF_MEMORY);
	assert_int_equal(video_destroy(&hx.video, 0x08080808), OK);
	video_open(ONE);
	assert_int_equal(video_create(&hx.video, TWO, VP8), OUT_OF_MEMORY);
	expect_decodes(ONE);
}

/* Each with a process. */
static void streams_at_work(const void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < STREAMS; i++)
		video_open(i);
	for (uint32_t i = 0; i < STREAMS; i += 5)
		expect_decodes(i);
	for (uint32_t i = 0; i < STREAMS; i++)
		assert_int_equal(video_destroy(&hx.video, i), OK);
}

/* Made and gone, with what it takes, without a trace. */
static void streams_come_and_go(const void *arg)
{
	long rss = 0;

	(void)arg;
	for (int i = 0; i < 30; i++) {
		video_open(ONE);
		assert_true(video_queue_output(&hx.video, ONE, 2) >= 0);
		assert_int_equal(video_destroy(&hx.video, ONE), OK);
		assert_true(video_driver_poll(&hx.video) >= 0);
		video_driver_reset(&hx.video);
		if (i == 10)
			rss = child_rss_kib(&hx.child);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 1024);
}

/* ---- controls and parameters ---- */

static void wrong_controls(const void *arg)
{
	static const uint32_t ids[] = {0, 1, 4, 7, UINT32_MAX};
	static const uint32_t values[] = {0, 0x102, 0x200, 0x10f, UINT32_MAX};
	uint32_t value = 0;

	(void)arg;
	video_open(ONE);
	for (size_t i = 0; i < COUNT(ids); i++) {
		assert_int_equal(video_query_control(&hx.video, ids[i], H264), UNSUPPORTED_CONTROL);
		assert_int_equal(
			video_get_control(&hx.video, ONE, ids[i], &value), UNSUPPORTED_CONTROL);
		assert_int_equal(video_set_control(&hx.video, ONE, ids[i], 1), UNSUPPORTED_CONTROL);
	}
	for (size_t i = 0; i < COUNT(values); i++)
		assert_int_equal(
			video_set_control(&hx.video, ONE, 2, values[i]), INVALID_PARAMETER);
	for (size_t i = 0; i < COUNT(values); i++)
		assert_int_equal(video_query_control(&hx.video, 2, values[i]), UNSUPPORTED_CONTROL);
	assert_int_equal(video_query_control(&hx.video, 3, VP8), UNSUPPORTED_CONTROL);
	assert_int_equal(video_set_control(&hx.video, ONE, 2, 0x103), OK);
	assert_int_equal(video_get_control(&hx.video, ONE, 2, &value), OK_CONTROL);
	assert_int_equal(value, 0x103);
	expect_decodes(ONE);
}

/* Whatever is asked for, what is answered can be had. */
static void wild_params(const void *arg)
{
	static const uint32_t sides[] = {0, 1, 8192, 8193, 65536, UINT32_MAX};
	struct virtio_video_params p, now;

	(void)arg;
	assert_int_equal(video_create(&hx.video, ONE, H264), OK);
	for (size_t i = 0; i < COUNT(sides) * COUNT(sides); i++) {
		memset(&p, 0xff, sizeof(p));
		p.queue_type = INPUT;
		p.format = H264;
		p.num_planes = (uint32_t)i % 3;
		p.frame_width = sides[i % COUNT(sides)];
		p.frame_height = sides[i / COUNT(sides)];
		p.plane_formats[0].plane_size = sides[i % COUNT(sides)];
		assert_int_equal(video_set_params(&hx.video, ONE, &p), OK);
		assert_int_equal(video_get_params(&hx.video, ONE, INPUT, &now), OK_PARAMS);
		assert_in_range(now.plane_formats[0].plane_size, 4096, 32 << 20);
		p.queue_type = OUTPUT;
		p.format = NV12;
		p.num_planes = (uint32_t)i % 9;
		assert_int_equal(video_set_params(&hx.video, ONE, &p), OK);
		assert_int_equal(video_get_params(&hx.video, ONE, OUTPUT, &now), OK_PARAMS);
		assert_in_range(now.frame_width, 1, 8192);
		assert_in_range(now.frame_height, 1, 8192);
		assert_int_equal(now.num_planes, p.num_planes > 1 ? 2 : 1);
		assert_true(now.plane_formats[0].plane_size >= now.frame_width * now.frame_height);
	}
	p.num_planes = 9;
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_PARAMETER);
}

static void wrong_param_formats(const void *arg)
{
	struct virtio_video_params p = {INPUT, NV12};

	(void)arg;
	video_open(ONE);
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_PARAMETER);
	p.format = VP8; // it has resources
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_OPERATION);
	p.queue_type = OUTPUT;
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_PARAMETER);
	p.format = VIRTIO_VIDEO_FORMAT_YUV420;
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_OPERATION);
	p.format = 0;
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_PARAMETER);
	expect_decodes(ONE);
	assert_int_equal(video_destroy_all(&hx.video, ONE, INPUT), OK);
	p = (struct virtio_video_params){INPUT, VP8};
	assert_int_equal(video_set_params(&hx.video, ONE, &p), INVALID_OPERATION);
	assert_int_equal(video_destroy_all(&hx.video, ONE, OUTPUT), OK);
	assert_int_equal(video_set_params(&hx.video, ONE, &p), OK);
	assert_int_equal(video_plain(ONE, INPUT, 1, video_input_at(ONE), UNIT), OK);
	assert_int_equal(video_plain(ONE, OUTPUT, 2, video_output_at(ONE), PICTURE), OK);
	expect_decodes(ONE);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"unknown commands", RUNNING, unknown_commands},
	{"less than a header", RUNNING, no_header},
	{"commands without a stream", RUNNING, no_stream},
	{"wrong queues", RUNNING, wrong_queues},
	{"the same stream again", RUNNING, same_stream_again},
	{"wrong formats and kinds of memory", RUNNING, wrong_formats},
	{"streams without end", RUNNING, streams_without_end},
	{"all streams at work", RUNNING, streams_at_work},
	{"streams that come and go", RUNNING, streams_come_and_go},
	{"wrong controls", RUNNING, wrong_controls},
	{"wild parameters", RUNNING, wild_params},
	{"formats of the other queue, and too late", RUNNING, wrong_param_formats},
};

static struct hostile_list list;

static void add_commands(const char *what, void (*run)(const void *arg))
{
	static char names[4 * COUNT(commands)][64];
	static size_t n;

	for (size_t i = 0; i < COUNT(commands); i++, n++) {
		struct hostile_case c = {names[n], RUNNING, run, &commands[i]};

		snprintf(names[n], sizeof(names[n]), "%s: %s", commands[i].name, what);
		hostile_add(&list, &c, 1);
	}
}

int main(int argc, char **argv)
{
	add_commands("all sizes", sizes);
	add_commands("in pieces", pieces);
	add_commands("little room for the answer", little_room);
	add_commands("of other streams", other_streams);
	hostile_add(&list, plain, COUNT(plain));
	return hostile_main(argc, argv, list.cases, list.n);
}
