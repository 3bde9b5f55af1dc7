/* SPDX-License-Identifier: MIT */
/* What is said to a stream's codec and what it answers, with the codec that only draws patterns. */
#include "engine_clip.h"
#include "engine_rig.h"
#include "unit/unit.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "video/null.h"

static void feed(struct rig *r, struct null_unit u, uint64_t timestamp)
{
	rig_feed(r, &u, sizeof(u), timestamp);
}

static void feed_many(struct rig *r, unsigned n, uint32_t width, uint32_t height, uint32_t held)
{
	for (unsigned i = 0; i < n; i++)
		feed(r, (struct null_unit){width, height, held, 0}, 1000 + i);
}

static uint64_t hash_of(uint64_t number, uint32_t fourcc, uint32_t width, uint32_t height)
{
	uint8_t row[4096];
	uint64_t hash = 0;
	bool pairs = fourcc == DRM_FORMAT_NV12, swapped = fourcc == DRM_FORMAT_YVU420;

	for (unsigned p = 0; p < frame_planes(fourcc); p++)
		for (uint32_t y = 0; y < frame_rows(fourcc, p, height); y++) {
			uint32_t n = frame_row_bytes(fourcc, p, width);

			for (uint32_t x = 0; x < n; x++)
				row[x] = p && pairs
					? null_pixel(number, 1 + x % 2, x / 2, y)
					: null_pixel(number, p && swapped ? 3 - p : p, x, y);
			hash = clip_hash(hash, row, n);
		}
	return hash;
}

static void check(
	const struct rig *r, unsigned at, uint64_t number, uint32_t width, uint32_t height)
{
	const struct rig_picture *p = &r->pictures[at];

	assert_true(at < r->n_pictures);
	assert_true(p->width == width && p->height == height && p->flags == ENGINE_KEY);
	assert_true(p->hash == hash_of(number, r->fourcc, width, height));
}

/* ---- pictures ---- */

static void test_formats(void **state)
{
	static const uint32_t fourccs[] = {DRM_FORMAT_NV12, DRM_FORMAT_YUV420, DRM_FORMAT_YVU420};

	(void)state;
	for (unsigned f = 0; f < ARRAY_SIZE(fourccs); f++)
		for (unsigned m = RIG_CONTIGUOUS; m <= RIG_RAGGED; m++) {
			struct rig r = {.fourcc = fourccs[f],
				.memory = (enum rig_memory)m,
				.pixels_queued = true};

			rig_open(&r, ENGINE_H264, "null");
			feed_many(&r, 5, 99, 77, 0);
			assert_int_equal(rig_drain(&r), 0);
			assert_int_equal(r.n_pictures, 5);
			for (unsigned i = 0; i < 5; i++) {
				check(&r, i, i, 99, 77);
				assert_int_equal(r.pictures[i].timestamp, 1000 + i);
			}
			assert_true(r.format.format.width == 100 && r.format.format.height == 78);
			rig_close(&r);
		}
}

static void test_sizes(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};

	(void)state;
	rig_open(&r, ENGINE_VP9, "null");
	feed_many(&r, 3, 64, 48, 0);
	feed_many(&r, 3, 128, 96, 0);
	feed_many(&r, 3, 127, 96, 0); // what is seen of the same
	feed_many(&r, 3, 64, 48, 0);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(r.n_formats, 4);
	assert_int_equal(r.n_pictures, 12);
	check(&r, 2, 2, 64, 48);
	check(&r, 3, 3, 128, 96);
	check(&r, 6, 6, 127, 96);
	check(&r, 11, 11, 64, 48);
	assert_int_equal(r.n_broken, 0);
	rig_close(&r);
}

/* ---- the end, and what follows ---- */

static void test_drain(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 4, 64, 48, 1);
	rig_fed(&r);
	rig_settle(&r);
	assert_int_equal(r.n_pictures, 0); // they are held back
	assert_int_equal(rig_drain(&r), 0);
	assert_true(r.n_pictures == 4 && r.n_lasts == 1);
	feed_many(&r, 2, 64, 48, 0); // no other word is needed
	assert_int_equal(rig_drain(&r), 0);
	assert_true(r.n_pictures == 6 && r.n_lasts == 2 && r.n_formats == 1);
	assert_int_equal(rig_drain(&r), 0); // of nothing
	assert_true(r.n_pictures == 6 && r.n_lasts == 3);
	rig_close(&r);
}

static void test_drain_of_nothing(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	uint32_t seq;

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	seq = rig_tell(&r, (struct engine_message){.what = ENGINE_DRAIN});
	assert_int_equal(rig_ask(&r, (struct engine_message){.what = ENGINE_DRAIN}), -EBUSY);
	rig_settle(&r);
	assert_int_equal(r.n_lasts, 0); // there is no buffer to say it with
	assert_int_equal(rig_make_buffer(&r, ENGINE_PIXELS, 0, 16), 0);
	rig_queue_pixels(&r);
	assert_int_equal(rig_wait_done(&r, seq), 0);
	assert_true(r.n_lasts == 1 && r.n_pictures == 0);
	rig_close(&r);
}

static int clear(struct rig *r, uint32_t queue)
{
	return rig_ask(r, (struct engine_message){.what = ENGINE_CLEAR, .queue = queue});
}

static void test_seek(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	uint32_t drain;

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 4, 64, 48, 0);
	assert_true(rig_wait(&r, &r.n_formats, 1));
	rig_settle(&r);
	assert_int_equal(r.n_returned, 1); // the first waits for a buffer, and so do all
	drain = rig_tell(&r, (struct engine_message){.what = ENGINE_DRAIN});
	assert_int_equal(clear(&r, ENGINE_BITSTREAM), 0);
	assert_true(r.n_returned == 4 && r.n_canceled == 3);
	assert_int_equal(rig_wait_done(&r, drain), -ECANCELED);
	r.pixels_queued = true;
	rig_make_pixels(&r);
	feed_many(&r, 3, 64, 48, 0);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(r.n_pictures, 3);
	check(&r, 0, 1, 64, 48); // that it had copied is dropped
	rig_close(&r);
}

static void test_clear_pixels(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true, .n_pixels = 3};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 2, 64, 48, 0);
	rig_fed(&r);
	assert_true(rig_wait(&r, &r.n_pictures, 2));
	assert_int_equal(clear(&r, ENGINE_PIXELS), 0);
	assert_int_equal(r.n_canceled, 3);
	feed_many(&r, 3, 64, 48, 0);
	rig_settle(&r);
	assert_int_equal(r.n_pictures, 2);
	rig_queue_pixels(&r);
	assert_int_equal(rig_drain(&r), 0);
	assert_int_equal(r.n_pictures, 5);
	check(&r, 2, 2, 64, 48);
	rig_close(&r);
}

/* A stream that nobody takes pictures from takes no bitstream, and answers all the same. */
static void test_backpressure(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 4, 64, 48, 0);
	assert_true(rig_wait(&r, &r.n_formats, 1));
	rig_settle(&r);
	assert_true(r.n_returned == 1 && r.n_pictures == 0);
	r.n_pixels = 1;
	rig_make_pixels(&r);
	for (unsigned i = 1; i <= 4; i++) {
		rig_queue_pixels(&r);
		assert_true(rig_wait(&r, &r.n_pictures, i));
		rig_settle(&r);
		assert_int_equal(r.n_pictures, i);
	}
	rig_close(&r);
}

/* ---- what is wrong ---- */

static uint32_t queue(struct rig *r, uint32_t q, uint32_t id, uint64_t offset, uint64_t size)
{
	struct engine_message m = {.what = ENGINE_QUEUE,
		.queue = q,
		.res = id,
		.buffer = {.timestamp = 7, .size = size, .offset = {offset}}};
	struct rig_buffer *b = q == ENGINE_PIXELS ? &r->pixels[id] : &r->bitstream[id];

	b->queued = true;
	b->seq = rig_tell(r, m);
	return b->seq;
}

static void refuse_unit(struct rig *r, uint32_t id, uint64_t offset, uint64_t size)
{
	unsigned broken = r->n_broken;

	queue(r, ENGINE_BITSTREAM, id, offset, size);
	assert_true(rig_wait(r, &r->n_broken, broken + 1));
}

static void test_wrong_units(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	refuse_unit(&r, 9, 0, 16);            // there is none such
	refuse_unit(&r, 0, 0, 0);             // nothing
	refuse_unit(&r, 0, 0, (1 << 20) + 1); // more than there is
	refuse_unit(&r, 0, 1, 1 << 20);
	refuse_unit(&r, 0, UINT64_MAX, 2);
	refuse_unit(&r, 0, 0, UINT64_MAX);
	assert_int_equal(
		rig_make_buffer(&r, ENGINE_BITSTREAM, 8, (uint64_t)ENGINE_UNIT_MAX + 16), 0);
	refuse_unit(&r, 8, 0, (uint64_t)ENGINE_UNIT_MAX + 1);
	feed_many(&r, 1, 64, 48, 0);
	assert_int_equal(rig_drain(&r), 0);
	check(&r, 0, 0, 64, 48);
	rig_close(&r);
}

/* One that is queued is not queued again. */
static void test_twice(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	uint32_t first;

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	assert_int_equal(rig_make_buffer(&r, ENGINE_PIXELS, 0, 16), 0);
	first = queue(&r, ENGINE_PIXELS, 0, 0, 0);
	queue(&r, ENGINE_PIXELS, 0, 0, 0);
	assert_true(rig_wait(&r, &r.n_broken, 1));
	r.pixels[0].queued = true;
	r.pixels[0].seq = first;
	assert_int_equal(clear(&r, ENGINE_PIXELS), 0);
	assert_int_equal(r.n_canceled, 1);
	rig_close(&r);
}

static void test_small_buffers(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	uint64_t size = 24 + 64 * 48 + 40 + 72 * 23 + 64; // to the last byte

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 1, 64, 48, 0);
	assert_true(rig_wait(&r, &r.n_formats, 1));
	rig_make_pixels(&r);
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t offset[ENGINE_PLANES_MAX] = {24, 24 + 64 * 48 + 40};

		assert_int_equal(
			rig_ask(&r,
				(struct engine_message){
					.what = ENGINE_FORGET, .queue = ENGINE_PIXELS, .res = i}),
			0);
		assert_int_equal(rig_make_buffer(&r, ENGINE_PIXELS, i, size - 1 + i), 0);
		memcpy(r.pixels[i].offset, offset, sizeof(offset));
	}
	r.n_pixels = 2;
	rig_queue_pixels(
		&r); // the first is a byte too short, and comes back; the picture is in the next
	assert_true(rig_wait(&r, &r.n_pictures, 2));
	assert_true(r.n_broken == 1 && r.pictures[0].flags == ENGINE_BROKEN);
	check(&r, 1, 0, 64, 48);
	rig_close(&r);
}

static void test_wrong_output(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	struct engine_message m = {
		.what = ENGINE_OUTPUT, .output = {.fourcc = DRM_FORMAT_NV12, .stride = {64, 64}}};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	assert_int_equal(rig_ask(&r, m), -ESTALE); // before there is a format
	feed_many(&r, 1, 64, 48, 0);
	assert_true(rig_wait(&r, &r.n_formats, 1));
	m.output.serial = 2;
	assert_int_equal(rig_ask(&r, m), -ESTALE);
	m.output.serial = 1;
	m.output.fourcc = DRM_FORMAT_YUYV;
	assert_int_equal(rig_ask(&r, m), -EINVAL);
	m.output.fourcc = DRM_FORMAT_NV12;
	m.output.stride[1] = 63; // rows would lie in each other: each buffer is too small
	assert_int_equal(rig_ask(&r, m), 0);
	assert_int_equal(rig_make_buffer(&r, ENGINE_PIXELS, 0, 65536), 0);
	queue(&r, ENGINE_PIXELS, 0, 0, 0);
	assert_true(rig_wait(&r, &r.n_broken, 1));
	rig_close(&r);
}

/* Of a device that has not heard of the newer format. */
static void test_late_output(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .n_pixels = 2};
	struct engine_message m = {.what = ENGINE_OUTPUT,
		.output = {.serial = 1, .fourcc = DRM_FORMAT_NV12, .stride = {64, 64}}};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 1, 64, 48, 0);
	assert_true(rig_wait(&r, &r.n_formats, 1));
	rig_make_pixels(&r);
	rig_queue_pixels(&r);
	feed_many(&r, 1, 32, 16, 0);
	assert_true(rig_wait(&r, &r.n_formats, 2));
	assert_int_equal(rig_ask(&r, m), 0);
	rig_settle(&r);
	assert_int_equal(r.n_pictures, 1); // though there is a buffer that is large enough
	rig_make_pixels(&r);
	rig_queue_pixels(&r);
	assert_true(rig_wait(&r, &r.n_pictures, 2));
	check(&r, 1, 1, 32, 16);
	rig_close(&r);
}

static void test_wrong_resources(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	struct engine_entry outside = {1ull << 40, 4096}, wraps = {UINT64_MAX - 10, 100};
	uint32_t seq;

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	engine_ask_resource(&r.engine, ENGINE_PIXELS, 1, &outside, 1, &seq);
	assert_int_equal(rig_wait_done(&r, seq), -EFAULT);
	engine_ask_resource(&r.engine, ENGINE_PIXELS, 1, &wraps, 1, &seq);
	assert_int_equal(rig_wait_done(&r, seq), -EFAULT);
	engine_ask_resource(&r.engine, ENGINE_PIXELS, 1, NULL, 0, &seq);
	assert_int_equal(rig_wait_done(&r, seq), 0); // empty: any picture is too big for it
	engine_ask_resource(&r.engine, ENGINE_PIXELS, 1, NULL, 0, &seq);
	assert_int_equal(rig_wait_done(&r, seq), -EEXIST);
	assert_int_equal(
		rig_ask(&r, (struct engine_message){.what = ENGINE_FORGET, .res = 77}), -ENOENT);
	assert_int_equal(
		rig_ask(&r, (struct engine_message){.what = ENGINE_OPEN}), -EINVAL); // again
	rig_close(&r);
}

/* Memory of a descriptor's, and not the guest's. */
static void test_descriptor(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12};
	struct engine_message m = {
		.what = ENGINE_RESOURCE, .queue = ENGINE_BITSTREAM, .res = 9, .size = 4096};
	const struct null_unit u = {64, 48, 0, 0};
	int fd = fd_memfd("unit", 4096);

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	assert_int_equal(pwrite(fd, &u, sizeof(u), 100), sizeof(u));
	assert_int_equal(engine_ask(&r.engine, &m, fd), 0);
	close(fd);
	assert_int_equal(rig_wait_done(&r, m.seq), 0);
	queue(&r, ENGINE_BITSTREAM, 9, 100, sizeof(u));
	assert_true(rig_wait(&r, &r.n_formats, 1));
	assert_int_equal(r.format.format.width, 64);
	rig_close(&r);
}

static void test_forget(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
	struct engine_message m = {.what = ENGINE_FORGET, .queue = ENGINE_PIXELS, .res = 1};

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 1, 64, 48, 0);
	rig_fed(&r);
	assert_true(rig_wait(&r, &r.n_pictures, 1));
	assert_int_equal(rig_ask(&r, m), 0);
	assert_int_equal(r.n_canceled, 1);
	m.res = ENGINE_ALL;
	assert_int_equal(rig_ask(&r, m), 0);
	assert_int_equal(r.n_canceled, 3);
	assert_int_equal(rig_ask(&r, m), 0); // of none
	rig_close(&r);
}

static void test_error(void **state)
{
	struct rig r = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true};
	uint32_t drain;

	(void)state;
	rig_open(&r, ENGINE_H264, "null");
	feed_many(&r, 1, 64, 48, 0);
	rig_fed(&r);
	assert_true(rig_wait(&r, &r.n_pictures, 1));
	feed(&r, (struct null_unit){.error = 1}, 0);
	drain = rig_tell(&r, (struct engine_message){.what = ENGINE_DRAIN});
	assert_int_equal(rig_wait_done(&r, drain), -EIO);
	assert_int_equal(r.error, -EIO);
	assert_true(rig_wait(&r, &r.n_broken, 3)); // what was queued for pictures
	refuse_unit(&r, 0, 0, 16);
	assert_int_equal(rig_ask(&r, (struct engine_message){.what = ENGINE_DRAIN}), -EIO);
	assert_int_equal(clear(&r, ENGINE_BITSTREAM), 0);
	rig_close(&r);
}

/* ---- death ---- */

/* The processes that this one started, by way of the nursery. */
static unsigned kill_one_part(void)
{
	char path[64], line[256] = "";
	unsigned n = 0;
	int pid, last = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", rig_nursery.pid, rig_nursery.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	for (char *at = line; sscanf(at, "%d", &pid) == 1 && (at = strchr(at, ' ')); n++, at++)
		last = last ? last : pid;
	kill(last, SIGKILL);
	return n;
}

static void test_death(void **state)
{
	struct rig a = {.fourcc = DRM_FORMAT_NV12, .pixels_queued = true}, b = a;
	unsigned lost = 0;

	(void)state;
	rig_open(&a, ENGINE_H264, "null");
	rig_open(&b, ENGINE_VP8, "null");
	feed_many(&a, 2, 64, 48, 0);
	feed_many(&b, 2, 64, 48, 0);
	assert_int_equal(kill_one_part(), 2);
	for (unsigned i = 0; i < 1000 && !lost; i++) {
		loop_turn(rig_loop, 100);
		lost = a.lost + b.lost;
	}
	assert_int_equal(lost, 1);
	assert_int_equal(rig_drain(a.lost ? &b : &a), 0);
	assert_int_equal((a.lost ? &b : &a)->n_pictures, 2);
	assert_int_equal(a.lost + b.lost, 1);
	rig_close(&a);
	rig_close(&b);
}

/* ---- what there is ---- */

static void test_list(void **state)
{
	struct engine_list l;

	(void)state;
	assert_true(engine_list(&l, rig_loop, &rig_nursery, 60000000000ll));
	assert_int_equal(l.n, ENGINE_CODECS);
	for (unsigned i = 0; i < l.n; i++) {
		assert_int_equal(l.capabilities[i].capability.codec, i);
		assert_string_equal(l.capabilities[i].capability.element, "null");
	}
}

static int begin(void **state)
{
	(void)state;
	rig_begin(&null_part, false);
	return 0;
}

static int begin_threads(void **state)
{
	(void)state;
	rig_begin(&null_part, true);
	return 0;
}

static int end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_drain_of_nothing),
		cmocka_unit_test(test_seek),
		cmocka_unit_test(test_clear_pixels),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_wrong_units),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_wrong_output),
		cmocka_unit_test(test_late_output),
		cmocka_unit_test(test_wrong_resources),
		cmocka_unit_test(test_descriptor),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_death),
	};
	int failed = cmocka_run_group_tests_name("processes", tests, begin, end);

	/* All but the last: nobody can kill a thread. */
	return failed
		+ _cmocka_run_group_tests(
			"threads", tests, ARRAY_SIZE(tests) - 1, begin_threads, end);
}
