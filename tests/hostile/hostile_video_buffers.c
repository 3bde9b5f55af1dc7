/* SPDX-License-Identifier: MIT */
/* Buffers of virtio-video that lie nowhere or are too small, queued wrongly or in any order; codecs that end;
 * rings and front-ends that go in the midst. */
#include "on_video.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ONE = 1, TWO, RESOURCES = 64, ENTRIES_MAX = 1 << 14 };

/* ---- where buffers lie ---- */

struct shape {
	const char *name;
	uint32_t queue, layout, n_planes, offsets[3], n_entries[3];
	struct video_piece pieces[4];
	int answer;
};

static const struct shape shapes[] = {
	{"one piece", INPUT, 1, 1, {0}, {1}, {{0x1000, 4096}}, OK},
	{"an odd place", INPUT, 1, 1, {0}, {1}, {{0x1001, 33}}, OK},
	{"address 0", INPUT, 1, 1, {0}, {1}, {{0, 4096}}, OK},
	{"the last byte", INPUT, 1, 1, {0}, {1}, {{END_GPA - 1, 1}}, OK},
	{"a byte too far", INPUT, 1, 1, {0}, {1}, {{END_GPA - 1, 2}}, INVALID_PARAMETER},
	{"across regions that touch", INPUT, 1, 1, {0}, {1}, {{BORDER_GPA - 100, 200}}, OK},
	{"in no region", INPUT, 1, 1, {0}, {1}, {{NO_GPA, 4096}}, INVALID_PARAMETER},
	{"the second in no region", INPUT, 1, 1, {0}, {2}, {{0x1000, 64}, {NO_GPA, 64}},
		INVALID_PARAMETER},
	{"an address that wraps", INPUT, 1, 1, {0}, {1}, {{UINT64_MAX - 10, 4096}},
		INVALID_PARAMETER},
	{"all of 4 GiB", INPUT, 1, 1, {0}, {1}, {{0x1000, UINT32_MAX}}, INVALID_PARAMETER},
	{"no bytes", INPUT, 1, 1, {0}, {1}, {{0x1000, 0}}, INVALID_PARAMETER},
	{"no bytes in the second", INPUT, 1, 1, {0}, {2}, {{0x1000, 4}, {0x2000, 0}},
		INVALID_PARAMETER},
	{"no entries", INPUT, 1, 1, {0}, {0}, {{0}}, INVALID_PARAMETER},
	{"no planes", INPUT, 1, 0, {0}, {1}, {{0x1000, 4096}}, INVALID_PARAMETER},
	{"nine planes", INPUT, 1, 9, {0}, {1}, {{0x1000, 4096}}, INVALID_PARAMETER},
	{"an endless number of planes", INPUT, 1, UINT32_MAX, {0}, {1}, {{0x1000, 4096}},
		INVALID_PARAMETER},
	{"no layout", INPUT, 0, 1, {0}, {1}, {{0x1000, 4096}}, INVALID_PARAMETER},
	{"both layouts", INPUT, 3, 1, {0}, {1}, {{0x1000, 4096}}, INVALID_PARAMETER},
	{"two planes of bitstream", INPUT, 2, 2, {0}, {1, 1}, {{0x1000, 64}, {0x2000, 64}},
		INVALID_PARAMETER},
	{"an offset", INPUT, 1, 1, {64}, {1}, {{0x1000, 4096}}, OK},
	{"an offset at the end", INPUT, 1, 1, {4096}, {1}, {{0x1000, 4096}}, INVALID_PARAMETER},
	{"an offset far beyond", INPUT, 1, 1, {UINT32_MAX}, {1}, {{0x1000, 4096}},
		INVALID_PARAMETER},
	{"two planes at offsets", OUTPUT, 1, 2, {0, 3072}, {1}, {{0x1000, PICTURE}}, OK},
	{"two planes in entries", OUTPUT, 2, 2, {0}, {1, 1}, {{0x1000, 3072}, {0x9000, 1536}}, OK},
	{"a plane without entries", OUTPUT, 2, 2, {0}, {1, 0}, {{0x1000, 3072}}, INVALID_PARAMETER},
	{"three planes of NV12", OUTPUT, 2, 3, {0}, {1, 1, 1}, {{0, 64}, {64, 64}, {128, 64}},
		INVALID_PARAMETER},
	{"entries that overlap", OUTPUT, 1, 1, {0}, {3}, {{0, 2048}, {1024, 2048}, {0, 2048}}, OK},
};

static void shape(const void *arg)
{
	const struct shape *s = arg;
	struct video_memory m = {s->layout, s->n_planes, {0}, {0}, s->pieces};

	memcpy(m.offsets, s->offsets, sizeof(s->offsets));
	memcpy(m.n_entries, s->n_entries, sizeof(s->n_entries));
	video_open(ONE);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(video_resource(&hx.video, ONE, s->queue, 10 + i, &m), s->answer);
		expect_decodes(ONE);
	}
}

/* Numbers of entries that the command does not have, or nobody could. */
static void numbers_of_entries(const void *arg)
{
	static const uint32_t numbers[] = {
		2, 3, 1000, ENTRIES_MAX, ENTRIES_MAX + 1, 1 << 20, 1u << 31, UINT32_MAX};
	struct {
		struct virtio_video_resource_create c;
		struct virtio_video_mem_entry entry;
	} r = {.c = {{0x104, ONE}, INPUT, 9, 2, 1}, .entry = {0x1000, 64}};

	(void)arg;
	video_open(ONE);
	for (size_t i = 0; i < COUNT(numbers); i++)
		for (unsigned plane = 0; plane < 2; plane++) {
			r.c.num_planes = plane + 1;
			r.c.num_entries[0] = plane ? 1 : numbers[i];
			r.c.num_entries[1] = numbers[i];
			assert_int_equal(video_run(&r, sizeof(r), 64), INVALID_PARAMETER);
		}
	r.c.num_planes = 2;
	r.c.num_entries[0] = r.c.num_entries[1] = 1u << 31; // whose sum is 0
	assert_int_equal(video_run(&r, sizeof(r), 64), INVALID_PARAMETER);
	expect_decodes(ONE);
}

/* As many lists as the device keeps, and one more; they are forgotten with their streams. */
static void lists_without_end(const void *arg)
{
	static struct video_piece pieces[VIDEO_DRIVER_ENTRIES];
	const struct video_memory m = {1, 1, {0}, {VIDEO_DRIVER_ENTRIES}, pieces};
	int rc = OK;
	uint32_t n = 0;

	(void)arg;
	for (size_t i = 0; i < COUNT(pieces); i++)
		pieces[i] = (struct video_piece){i % 2 * 8192, 4096};
	for (int round = 0; round < 2; round++, n = 0) {
		for (uint32_t stream = 0; stream < 8; stream++)
			assert_int_equal(video_create(&hx.video, stream, H264), OK);
		do
			rc = video_resource(&hx.video, n / RESOURCES, OUTPUT, n % RESOURCES, &m);
		while (rc == OK && ++n < 8 * RESOURCES);
		assert_int_equal(rc, OUT_OF_MEMORY);
		assert_int_equal(n, (1 << 20) / VIDEO_DRIVER_ENTRIES);
		for (uint32_t stream = 0; stream < 8; stream++)
			assert_int_equal(video_destroy(&hx.video, stream), OK);
	}
}

static void resources_without_end(const void *arg)
{
	(void)arg;
	video_open(ONE);
	for (uint32_t i = 0; i < RESOURCES - 1; i++)
		assert_int_equal(video_plain(ONE, INPUT, 100 + i, 0x1000, 64), OK);
	assert_int_equal(video_plain(ONE, INPUT, 99, 0x1000, 64), OUT_OF_MEMORY);
	assert_int_equal(video_plain(ONE, INPUT, 100, 0x1000, 64), INVALID_RESOURCE);
	assert_int_equal(video_plain(ONE, OUTPUT, 100, 0x1000, 64), OK); // another queue's
	expect_decodes(ONE);
	assert_int_equal(video_destroy_all(&hx.video, ONE, INPUT), OK);
	assert_int_equal(
		video_answer(video_queue_input(&hx.video, ONE, 1, 1, 1)), INVALID_RESOURCE);
	assert_int_equal(video_plain(ONE, INPUT, 1, video_input_at(ONE), UNIT), OK);
	expect_decodes(ONE);
}

/* ---- what is queued ---- */

static int queue_sizes(uint32_t n, uint32_t size)
{
	const struct virtio_video_resource_queue q = {{0x105, ONE}, INPUT, 1, 0, n, {size, size}};

	return video_run(&q, sizeof(q), 64);
}

static void wrong_sizes(const void *arg)
{
	(void)arg;
	video_open(ONE);
	assert_int_equal(queue_sizes(1, UNIT + 1), INVALID_PARAMETER);
	assert_int_equal(queue_sizes(1, UINT32_MAX), INVALID_PARAMETER);
	assert_int_equal(queue_sizes(0, UNIT), INVALID_PARAMETER);
	assert_int_equal(queue_sizes(2, UNIT / 2), INVALID_PARAMETER);
	assert_int_equal(queue_sizes(9, UNIT), INVALID_PARAMETER);
	assert_int_equal(queue_sizes(UINT32_MAX, UNIT), INVALID_PARAMETER);
	assert_int_equal(queue_sizes(1, 0), OK_QUEUE); // and it is none
	expect_decodes(ONE);
}

static void no_such_buffer(const void *arg)
{
	static const uint32_t ids[] = {0, 3, UINT32_MAX};

	(void)arg;
	video_open(ONE);
	for (size_t i = 0; i < COUNT(ids); i++) {
		assert_int_equal(video_answer(video_queue_input(&hx.video, ONE, ids[i], 1, 1)),
			INVALID_RESOURCE);
		assert_int_equal(
			video_answer(video_queue_output(&hx.video, ONE, ids[i])), INVALID_RESOURCE);
	}
	assert_int_equal(
		video_answer(video_queue_input(&hx.video, ONE, 2, 1, 1)), INVALID_RESOURCE);
	assert_int_equal(video_answer(video_queue_output(&hx.video, ONE, 1)), INVALID_RESOURCE);
	expect_decodes(ONE);
}

static void queued_twice(const void *arg)
{
	int first;

	(void)arg;
	video_open(ONE);
	first = video_queue_output(&hx.video, ONE, 2);
	for (int i = 0; i < 20; i++)
		assert_int_equal(
			video_answer(video_queue_output(&hx.video, ONE, 2)), INVALID_OPERATION);
	assert_int_equal(video_clear(&hx.video, ONE, OUTPUT), OK);
	assert_true(video_driver_is_answered(&hx.video, first));
	expect_buffer(first, VIRTIO_VIDEO_BUFFER_FLAG_ERR);
	expect_decodes(ONE);
}

/* For the picture that is known to come; nothing is written there. */
static void too_small_for_its_picture(const void *arg)
{
	(void)arg;
	video_open(ONE);
	expect_decodes(ONE);
	assert_int_equal(video_plain(ONE, OUTPUT, 3, 0x1000, PICTURE - 1), OK);
	assert_int_equal(video_answer(video_queue_output(&hx.video, ONE, 3)), INVALID_PARAMETER);
	expect_decodes(ONE);
}

/* All that is held is back when they are answered, which is once each. */
static void ends_while_held(const void *arg)
{
	int held, clears[2], forgets[2], drains[2], destroy;
	const struct virtio_video_cmd_hdr d = {0x102, ONE};

	(void)arg;
	video_open(ONE);
	held = video_queue_output(&hx.video, ONE, 2);
	for (int i = 0; i < 2; i++)
		drains[i] = video_drain(&hx.video, ONE);
	for (int i = 0; i < 2; i++)
		clears[i] = video_submit_queue_cmd(&hx.video, 0x107, ONE, OUTPUT);
	for (int i = 0; i < 2; i++)
		forgets[i] = video_submit_queue_cmd(&hx.video, 0x106, ONE, OUTPUT);
	destroy = video_driver_submit(&hx.video, &d, sizeof(d), 64);
	assert_int_equal(video_answer(destroy), OK);
	assert_true(video_driver_is_answered(&hx.video, held));
	assert_int_equal(video_answer(held), OK_QUEUE);
	for (int i = 0; i < 2; i++) {
		int right[] = {
			video_answer(drains[i]), video_answer(clears[i]), video_answer(forgets[i])};

		for (int k = 0; k < 3; k++)
			assert_true(right[k] == OK || right[k] == INVALID_OPERATION);
	}
	assert_int_equal(video_run(&d, sizeof(d), 64), INVALID_STREAM);
}

/* ---- in any order ---- */

enum { TICKETS = 256, STEPS = 3000, STREAMS = 3, IDS = 4 };

static struct {
	int ticket;
	uint32_t stream;
	bool busy;
} asked[TICKETS];

static void remember(int ticket, uint32_t stream)
{
	for (int i = 0; i < TICKETS; i++) {
		if (asked[i].busy)
			continue;
		asked[i].ticket = ticket;
		asked[i].stream = stream;
		asked[i].busy = true;
		return;
	}
	fail();
}

/* Takes in what is answered. Returns how many of this stream are not. */
static unsigned take(uint32_t stream)
{
	unsigned left = 0;

	assert_true(video_driver_poll(&hx.video) >= 0);
	for (int i = 0; i < TICKETS; i++) {
		if (!asked[i].busy)
			continue;
		if (!video_driver_is_answered(&hx.video, asked[i].ticket)) {
			left += asked[i].stream == stream;
			continue;
		}
		asked[i].busy = false;
		assert_true(video_answer(asked[i].ticket) > 0);
	}
	return left;
}

static void do_any(uint32_t stream, uint32_t what, uint32_t id)
{
	uint32_t queue = INPUT + id % 2;
	uint64_t gpa = 0x10000ull * (stream * IDS + id + 1);

	if (what < 4)
		remember(video_queue_input(&hx.video, stream, id, 64, what), stream);
	else if (what < 8)
		remember(video_queue_output(&hx.video, stream, id), stream);
	else if (what < 10)
		video_plain(stream, queue, id, gpa, PICTURE);
	else if (what == 10)
		video_create(&hx.video, stream, H264);
	else if (what == 11)
		remember(video_drain(&hx.video, stream), stream);
	else if (what == 12)
		remember(video_submit_queue_cmd(&hx.video, 0x107, stream, queue), stream);
	else if (what == 13)
		remember(video_submit_queue_cmd(&hx.video, 0x106, stream, queue), stream);
	else if (what == 14 && id == 0)
		assert_true(video_destroy(&hx.video, stream) >= OK);
}

/* Ends the stream, and all that was asked of it is answered. */
static void end_stream(uint32_t stream)
{
	assert_true(video_destroy(&hx.video, stream) >= OK);
	assert_int_equal(take(stream), 0);
}

static void any_order(const void *arg)
{
	unsigned random = *(const unsigned *)arg;

	memset(asked, 0, sizeof(asked));
	hx.video.indirect = true;
	assert_ok(video_driver_fill(&hx.video, 4));
	for (uint32_t i = 0; i < IDS * STREAMS + 1; i++)
		video_put_unit(0x10000ull * (i + 1), false);
	for (int i = 0; i < STEPS; i++) {
		uint32_t stream = (uint32_t)rand_r(&random) % STREAMS;

		do_any(stream, (uint32_t)rand_r(&random) % 15, (uint32_t)rand_r(&random) % IDS);
		take(stream);
		if (hx.rings[COMMAND].nfree < 8)
			end_stream(stream);
	}
	for (uint32_t stream = 0; stream < STREAMS; stream++)
		end_stream(stream);
	assert_int_equal(hx.rings[COMMAND].outstanding, 0);
	hx.video.indirect = false;
}

static const unsigned seeds[] = {1, 22, 333};

/* ---- codecs that end ---- */

static void gives_up(const void *arg)
{
	int in, out;
	uint32_t of;

	(void)arg;
	video_open(ONE);
	video_open(TWO);
	out = video_queue_output(&hx.video, ONE, 2);
	video_put_unit(video_input_at(ONE), true);
	in = video_queue_input(&hx.video, ONE, 1, UNIT, 1);
	assert_int_equal(
		video_driver_event(&hx.video, &of, WAIT_DEFAULT), VIRTIO_VIDEO_EVENT_ERROR);
	assert_int_equal(of, ONE);
	assert_true(video_answer(in) > 0);
	assert_true(video_answer(out) > 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			video_answer(video_queue_output(&hx.video, ONE, 2)), INVALID_OPERATION);
		assert_int_equal(video_answer(video_drain(&hx.video, ONE)), INVALID_OPERATION);
		assert_int_equal(video_plain(ONE, INPUT, 50, 0x1000, 64), INVALID_OPERATION);
		assert_int_equal(video_clear(&hx.video, ONE, OUTPUT), OK);
	}
	assert_int_equal(video_destroy_all(&hx.video, ONE, OUTPUT), OK);
	expect_decodes(TWO);
	assert_int_equal(video_destroy(&hx.video, ONE), OK);
	video_open(ONE);
	expect_decodes(ONE);
}

/* The file of what a stream is made of shrinks: its buffers are of no use, and nobody dies. */
static void memory_shrinks(const void *arg)
{
	int in;

	(void)arg;
	video_open(ONE);
	video_open(TWO);
	expect_decodes(ONE); // its codec has all memory by now
	assert_int_equal(video_plain(ONE, INPUT, 5, LEFT_GPA, UNIT), OK);
	assert_ok(ftruncate(hx.guest.regions[LEFT_REGION].fd, 0));
	in = video_queue_input(&hx.video, ONE, 5, UNIT, 1);
	expect_buffer(in, VIRTIO_VIDEO_BUFFER_FLAG_ERR);
	expect_decodes(TWO);
	assert_int_equal(video_destroy(&hx.video, ONE), OK);
	hostile_leave();
	hostile_renew_guest();
	hostile_connect();
	hostile_agree();
	hostile_give_memory();
	hostile_start_rings();
}

/* ---- rings and front-ends that go ---- */

/* A ring that is broken while much is held: its streams are gone with the driver's reset. */
static void broken_while_held(const void *arg)
{
	struct drv_ring *r = &hx.rings[COMMAND];

	(void)arg;
	video_open(ONE);
	assert_true(video_queue_output(&hx.video, ONE, 2) >= 0);
	drv_ring_poke_avail(r, r->avail_idx, RING_NUM + 5);
	drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 1));
	assert_ok(drv_ring_kick_now(r));
	expect_broken(COMMAND);
}

static void leaves_while_held(const void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		for (uint32_t stream = 0; stream < 4; stream++) {
			video_open(stream);
			assert_true(video_queue_output(&hx.video, stream, 2) >= 0);
			assert_true(video_queue_input(&hx.video, stream, 1, UNIT, 1) >= 0);
			assert_true(video_drain(&hx.video, stream) >= 0);
		}
		hostile_leave();
		hostile_renew_guest();
		hostile_connect();
		hostile_agree();
		hostile_give_memory();
		hostile_start_rings();
	}
}

/* A guest that is paused again and again; what is held is not lost, and nothing is answered twice. */
static void pauses_while_held(const void *arg)
{
	struct drv_ring *r = &hx.rings[COMMAND];
	int drain;

	(void)arg;
	video_open(ONE);
	for (int i = 0; i < 20; i++) {
		int out = video_queue_output(&hx.video, ONE, 2);

		if (i % 3 == 0)
			assert_int_equal(video_capability(&hx.video, INPUT), OK_CAPABILITY);
		drain = i % 2 ? -1 : video_drain(&hx.video, ONE);
		assert_ok(frontend_stop_ring(&hx.fe, COMMAND, r));
		assert_true(video_driver_poll(&hx.video) >= 0);
		assert_ok(frontend_start_ring(&hx.fe, COMMAND, r));
		if (drain >= 0)
			assert_true(video_answer(drain) > 0);
		assert_int_equal(video_clear(&hx.video, ONE, OUTPUT), OK);
		assert_int_equal(video_clear(&hx.video, ONE, INPUT), OK);
		assert_int_equal(video_answer(out), OK_QUEUE);
	}
	expect_decodes(ONE);
}

static void short_event_buffers(const void *arg)
{
	(void)arg;
	expect_too_short(EVENT, 8);
}

/* Events of more streams than there are buffers: each comes, once. */
static void few_event_buffers(const void *arg)
{
	bool seen[8] = {false};
	uint32_t of;

	(void)arg;
	hx.video.refill = false;
	for (uint32_t i = 0; i < COUNT(seen); i++) {
		video_open(i);
		assert_true(video_queue_input(&hx.video, i, 1, UNIT, 1) >= 0);
	}
	for (size_t i = 0; i < COUNT(seen); i++) {
		assert_int_equal(video_driver_event(&hx.video, &of, WAIT_DEFAULT),
			VIRTIO_VIDEO_EVENT_DECODER_RESOLUTION_CHANGED);
		assert_true(of < COUNT(seen) && !seen[of]);
		seen[of] = true;
		if (i >= 3)
			assert_ok(video_driver_fill(&hx.video, 1));
	}
	hx.video.refill = true;
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"numbers of entries", RUNNING, numbers_of_entries},
	{"lists without end", RUNNING, lists_without_end},
	{"resources without end", RUNNING, resources_without_end},
	{"wrong sizes", RUNNING, wrong_sizes},
	{"no such buffer", RUNNING, no_such_buffer},
	{"queued twice", RUNNING, queued_twice},
	{"too small for its picture", RUNNING, too_small_for_its_picture},
	{"all ends at once while it is held", RUNNING, ends_while_held},
	{"any order", RUNNING, any_order, &seeds[0]},
	{"another order", RUNNING, any_order, &seeds[1]},
	{"a third order", RUNNING, any_order, &seeds[2]},
	{"a codec that gives up", RUNNING, gives_up},
	{"memory that shrinks", RUNNING, memory_shrinks},
	{"a ring that breaks while buffers are held", RUNNING, broken_while_held},
	{"front-ends that leave while buffers are held", RUNNING, leaves_while_held},
	{"pauses while buffers are held", RUNNING, pauses_while_held},
	{"event buffers that are too short", RUNNING, short_event_buffers},
	{"few event buffers", RUNNING, few_event_buffers},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	HOSTILE_ADD_TABLE(&list, shapes, RUNNING, shape);
	hostile_add(&list, plain, COUNT(plain));
	return hostile_main(argc, argv, list.cases, list.n);
}
