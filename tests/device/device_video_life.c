/* SPDX-License-Identifier: MIT */
/* What comes and goes around the decoder's streams: codecs that end, pauses, other memory, resets. What else
 * plays does not notice. */
#include "video.h"

#include <endian.h>
#include <signal.h>
#include <string.h>

#include "video_units.h"

#define NV12 VIRTIO_VIDEO_FORMAT_NV12
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

/* ---- codecs that end ---- */

static int victims_pid;

/* It is started by another process: in a moment. */
static void expect_codecs(unsigned n)
{
	for (unsigned i = 0; video_codecs(&victims_pid, 1) != n && i < 10000; i++)
		assert_true(video_capability(&vx.video, INPUT) > 0);
	assert_int_equal(video_codecs(&victims_pid, 1), n);
}

/* What is asked of a stream that is broken. */
static void expect_broken(struct player *p)
{
	const struct video_memory m = p->inputs[0].memory;
	int ticket = video_drain(&vx.video, p->stream);

	assert_int_equal(video_driver_collect(&vx.video, ticket), INVALID_OPERATION);
	ticket = video_queue_input(&vx.video, p->stream, 0, 16, 0);
	assert_int_equal(video_driver_collect(&vx.video, ticket), INVALID_OPERATION);
	assert_int_equal(video_resource(&vx.video, p->stream, INPUT, 77, &m), INVALID_OPERATION);
	assert_int_equal(video_clear(&vx.video, p->stream, INPUT), OK);
	assert_int_equal(video_destroy_all(&vx.video, p->stream, OUTPUT), OK);
}

/* One of two streams ends in the midst, the other plays on, and the number can be used again. */
static void play_beside(void (*harm)(struct player *p))
{
	struct player victim = {.stream = 1, .coded = H264}, other = {.stream = 2, .coded = VP8};
	unsigned pictures;

	units_make(&clip, 8, 64, 48);
	player_begin(&victim);
	expect_codecs(1);
	player_begin(&other);
	player_feed(&other, &clip);
	player_feed(&victim, &clip);
	player_wait(&victim.n_formats, 1);
	harm(&victim);
	while (!victim.lost)
		players_turn();
	assert_true(victim.n_refused + victim.n_canceled > 0);
	expect_broken(&victim);
	player_end(&victim);

	player_drain(&other);
	pictures = other.n_pictures;
	units_expect(&other, &clip, 0);
	assert_int_equal(pictures, clip.n);
	player_play(&other, &clip);
	units_expect(&other, &clip, clip.n);
	player_end(&other);

	victim = (struct player){.stream = 1, .coded = H264};
	player_begin(&victim);
	player_play(&victim, &clip);
	units_expect(&victim, &clip, 0);
	player_end(&victim);
}

static void give_up(struct player *p)
{
	static struct clip bad;

	units_add_error(&bad);
	player_feed(p, &bad);
	clip_free(&bad);
}

static void gives_up(void **state)
{
	(void)state;
	play_beside(give_up);
}

static void kill_it(struct player *p)
{
	(void)p;
	assert_ok(kill(victims_pid, SIGKILL));
}

static void is_killed(void **state)
{
	(void)state;
	play_beside(kill_it);
}

static void abort_it(struct player *p)
{
	(void)p;
	assert_ok(kill(victims_pid, SIGABRT));
}

static void aborts(void **state)
{
	(void)state;
	play_beside(abort_it);
}

/* One that does not even answer is ended, and nobody waits for ever. Meanwhile nothing else is begun. */
static void stands_still(void **state)
{
	const struct virtio_video_cmd_hdr destroy = {htole32(VIRTIO_VIDEO_CMD_STREAM_DESTROY), 1};
	struct player p = {.stream = 1, .coded = H264};
	struct virtio_video_params params;
	int all, end;

	(void)state;
	units_make(&clip, 2, 64, 48);
	player_begin(&p);
	expect_codecs(1);
	assert_ok(kill(victims_pid, SIGSTOP));
	all = video_submit_queue_cmd(&vx.video, VIRTIO_VIDEO_CMD_RESOURCE_DESTROY_ALL, 1, INPUT);
	assert_int_equal(video_driver_collect(&vx.video, video_queue_input(&vx.video, 1, 0, 16, 0)),
		INVALID_OPERATION);
	assert_int_equal(
		video_resource(&vx.video, 1, INPUT, 9, &p.inputs[0].memory), INVALID_OPERATION);
	assert_int_equal(video_destroy_all(&vx.video, 1, INPUT), INVALID_OPERATION);
	end = video_driver_submit(&vx.video, &destroy, sizeof(destroy), 64);
	assert_int_equal(video_get_params(&vx.video, 1, INPUT, &params), INVALID_STREAM);
	assert_int_equal(video_create(&vx.video, 1, H264), INVALID_STREAM);
	assert_int_equal(video_destroy(&vx.video, 1), INVALID_STREAM);
	assert_int_equal(video_driver_collect(&vx.video, end), OK);
	assert_true(video_driver_is_answered(&vx.video, all));
	assert_int_equal(video_driver_collect(&vx.video, all), OK);
	player_forget(&p);
	p = (struct player){.stream = 1, .coded = H264};
	player_begin(&p);
	player_play(&p, &clip);
	units_expect(&p, &clip, 0);
	player_end(&p);
}

/* Each has a process while it has something to do, and none is left behind. */
static void processes(void **state)
{
	struct player p[3];

	(void)state;
	units_make(&clip, 2, 64, 48);
	assert_int_equal(video_create(&vx.video, 50, H264), OK);
	expect_codecs(0); // it was only looked at
	for (unsigned i = 0; i < 3; i++) {
		p[i] = (struct player){.stream = i, .coded = H264};
		player_begin(&p[i]);
		expect_codecs(i + 1);
	}
	for (unsigned i = 0; i < 3; i++)
		player_end(&p[i]);
	expect_codecs(0);
}

/* ---- pauses ---- */

static void paused(void **state)
{
	struct player p = {.stream = 5, .coded = H264, .memory = PLAYER_PAGES};
	unsigned n = 40;

	(void)state;
	units_make(&clip, n, 64, 48);
	player_begin(&p);
	p.clip = &clip;
	for (unsigned i = 0; i < n; i += 10) {
		struct clip part = {clip.units + i, 10};

		player_feed(&p, &part);
		video_pause();
		video_resume();
	}
	player_drain(&p);
	units_expect(&p, &clip, 0);
	player_end(&p);
}

/* ---- memory ---- */

/* The same memory by another map, as a front-end without slots tells of any change; and one region more,
 * which moves nothing. */
static void memory_changes(void **state)
{
	struct player p = {.stream = 5, .coded = H264, .memory = PLAYER_PAGES};
	unsigned n = 40;

	(void)state;
	units_make(&clip, n, 64, 48);
	player_begin(&p);
	for (unsigned i = 0; i < n; i += 10) {
		struct clip part = {clip.units + i, 10};

		player_feed(&p, &part);
		assert_ok(frontend_set_mem_table(&vx.fe, &vx.guest));
		if (i != 10)
			continue;
		assert_true(guest_add_region(&vx.guest, 1ull << 40, 1 << 20, 0) > 0);
		assert_ok(frontend_add_region(&vx.fe, &vx.guest.regions[1]));
	}
	player_drain(&p);
	units_expect(&p, &clip, 0);
	assert_int_equal(p.n_refused, 0);
	player_end(&p);
}

/* What it was made of is gone: the stream, and no other. */
static void memory_goes(void **state)
{
	struct player victim = {.stream = 1, .coded = H264}, other = {.stream = 2, .coded = H264};
	const struct video_piece piece = {1ull << 40, 4096};
	const struct video_memory m = {
		VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER, 1, {0}, {1}, &piece};

	(void)state;
	units_make(&clip, 6, 64, 48);
	player_begin(&victim);
	assert_int_equal(video_resource(&vx.video, 1, INPUT, 99, &m), INVALID_PARAMETER);
	assert_true(guest_add_region(&vx.guest, 1ull << 40, 1 << 20, 0) > 0);
	assert_ok(frontend_add_region(&vx.fe, &vx.guest.regions[1]));
	assert_int_equal(video_resource(&vx.video, 1, INPUT, 99, &m), OK);
	player_begin(&other);
	player_feed(&other, &clip);
	assert_ok(frontend_remove_region(&vx.fe, &vx.guest.regions[1]));
	while (!victim.lost)
		players_turn();
	player_end(&victim);
	player_drain(&other);
	units_expect(&other, &clip, 0);
	player_end(&other);
}

/* ---- front-ends ---- */

/* The driver's reset ends all streams, and their codecs. */
static void reset(void **state)
{
	struct player p[2] = {{.stream = 1, .coded = H264}, {.stream = 2, .coded = VP8}};

	(void)state;
	units_make(&clip, 6, 64, 48);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < COUNT(p); i++) {
			p[i] = (struct player){.stream = i, .coded = H264};
			player_begin(&p[i]);
			player_feed(&p[i], &clip);
		}
		player_drain(&p[0]);
		units_expect(&p[0], &clip, 0);
		video_reset();
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_up, begin, end),
		cmocka_unit_test_setup_teardown(is_killed, begin, end),
		cmocka_unit_test_setup_teardown(aborts, begin, end),
		cmocka_unit_test_setup_teardown(stands_still, begin, end),
		cmocka_unit_test_setup_teardown(processes, begin, end),
		cmocka_unit_test_setup_teardown(paused, begin, end),
		cmocka_unit_test_setup_teardown(memory_changes, begin, end),
		cmocka_unit_test_setup_teardown(memory_goes, begin, end),
		cmocka_unit_test_setup_teardown(reset, begin, end),
	};

	video_main(argc, argv);
	return cmocka_run_group_tests_name("video_life", tests, NULL, NULL);
}
