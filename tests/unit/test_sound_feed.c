/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "sound/feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { QUANTUM = 100, MARGIN = 40 };

static const struct pcm_format mono = {.format = VIRTIO_SND_PCM_FMT_S32,
	.channels = 1,
	.rate = 1000000, // a frame is a microsecond
	.frame = 4,
	.period = 100,
	.buffer = 400};

static struct feed *f;
static uint32_t next_in; // frames are numbered
static int64_t now;
static uint32_t out[QUANTUM];

static int setup(void **state)
{
	(void)state;
	f = feed_create(&mono, 512, -1);
	assert_non_null(f);
	assert_int_equal(f->size, 512);
	f->margin = MARGIN;
	next_in = 1;
	now = 1000000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	feed_destroy(f);
	return 0;
}

/* Puts frames in, in two vectors that cut a frame; the clock has passed them all. */
static uint32_t put(uint32_t frames)
{
	uint32_t bytes[1024], done;
	const struct iovec iov[] = {{bytes, 6}, {(char *)bytes + 6, sizeof(bytes) - 6}};

	for (uint32_t i = 0; i < frames; i++)
		bytes[i + 1] = next_in + i;
	done = feed_put(f, iov, 2, 4, frames);
	next_in += done;
	f->ready_at = now;
	return done;
}

static struct feed_report play(void)
{
	const struct feed_cycle c = {.time = now, .frames = QUANTUM, .delay = 77};

	feed_play(f, out, &c);
	now += 100000;
	return feed_last_report(f);
}

static void assert_out(uint32_t silent, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < QUANTUM; i++)
		assert_int_equal(out[i], i < silent || i >= silent + n ? 0 : first + i - silent);
}

/* Silence goes ahead of the first frame, so that a cycle and the margin wait from then on. */
static void test_begins(void **state)
{
	struct feed_report r = play();

	(void)state;
	assert_int_equal(r.cycles, 1);
	assert_int_equal(r.open, 0);
	assert_int_equal(r.delay, 77);
	assert_out(0, 0, 0);
	put(70);
	r = play();
	assert_int_equal(r.open, 1);
	assert_int_equal(r.opened, 1);
	assert_int_equal(r.position, -70);
	assert_out(70, 1, 30);
	put(100); // a cycle later as many more
	assert_int_equal(feed_fill(f), 140);
	r = play();
	assert_int_equal(r.position, 30);
	assert_out(0, 31, 100);
}

/* With less than the margin it waits; frames that the clock has not come by do not count. */
static void test_waits_for_the_margin(void **state)
{
	(void)state;
	play();
	put(30);
	f->margin = 90;
	assert_int_equal(play().open, 0);
	put(200);
	f->ready_at = now + 200000; // they lie there a cycle early
	assert_int_equal(play().open, 0);
	assert_int_equal(play().open, 1);
}

/* Dry: silence, its place and length are known, and it begins again in step. */
static void test_gap(void **state)
{
	struct feed_report r;

	(void)state;
	play();
	put(200);
	play();
	put(20);
	while ((r = play()).open)
		;
	assert_int_equal(r.gap_at, 220);
	play();
	put(150);
	r = play();
	assert_int_equal(r.open, 1);
	assert_int_equal(r.opened, 2);
	assert_true(r.gap > QUANTUM);
	assert_out(0, 221, 100);
}

/* No frame is lost or comes twice, whatever is put in when. */
static void test_all_in_order(void **state)
{
	uint32_t expected = 1;

	(void)state;
	srand(7);
	for (unsigned i = 0; i < 20000; i++) {
		put((uint32_t)rand() % 220);
		play();
		for (unsigned k = 0; k < QUANTUM; k++)
			if (out[k])
				assert_int_equal(out[k], expected++);
	}
	assert_true(expected > 1000000);
}

static void test_full(void **state)
{
	(void)state;
	assert_int_equal(put(500), 500);
	assert_int_equal(put(500), 12);
	assert_int_equal(put(1), 0);
}

static void test_flush(void **state)
{
	struct feed_report r;

	(void)state;
	play();
	put(300);
	play();
	f->flush++;
	r = play();
	assert_int_equal(r.flushed, 1);
	assert_int_equal(r.open, 0);
	assert_out(0, 0, 0);
	assert_int_equal(feed_fill(f), 0);
}

/* The last frames are played without a margin, and no further than the limit. */
static void test_drain(void **state)
{
	struct feed_report r;

	(void)state;
	put(30);
	feed_drain(f, 20);
	assert_int_equal(feed_fill(f), 20);
	play();
	assert_out(0, 1, 20);
	assert_int_equal(feed_fill(f), 0);
	feed_resume(f); // what was behind the limit is not there any more
	assert_int_equal(feed_fill(f), 0);
	next_in = 21;
	put(150);
	r = play();
	assert_int_equal(r.open, 1);
	assert_out(0, 21, 100);
}

/* A limit that the graph has passed already takes nothing back that was heard. */
static void test_drain_behind(void **state)
{
	(void)state;
	play();
	put(300);
	play();
	play();
	feed_drain(f, 10);
	assert_int_equal(feed_fill(f), 0);
	play();
	assert_out(0, 0, 0);
	feed_resume(f);
	assert_int_equal(f->written, f->read);
}

static void test_records(void **state)
{
	uint32_t in[QUANTUM], got[300];
	const struct iovec iov = {got, sizeof(got)};
	struct feed_cycle c = {.time = now, .frames = QUANTUM};

	(void)state;
	for (unsigned round = 0; round < 7; round++) {
		for (unsigned i = 0; i < QUANTUM; i++)
			in[i] = next_in++;
		feed_record(f, in, &c);
	}
	assert_int_equal(feed_fill(f), 512);
	assert_int_equal(feed_last_report(f).dropped, 700 - 512);
	assert_int_equal(feed_last_report(f).position, 512);
	assert_int_equal(feed_take(f, &iov, 1, 8, 50), 50);
	assert_int_equal(got[2], 1);
	feed_skip(f, 60);
	assert_int_equal(feed_take(f, &iov, 1, 0, 300), 60);
	assert_int_equal(got[0], 512 - 60 + 1);
	feed_skip(f, 60);
	assert_int_equal(feed_fill(f), 0);
}

static void test_event(void **state)
{
	eventfd_t n;

	(void)state;
	f->event = eventfd(0, EFD_NONBLOCK);
	play();
	assert_int_equal(eventfd_read(f->event, &n), -1);
	feed_want_event(f, true);
	play();
	play();
	assert_int_equal(eventfd_read(f->event, &n), 0);
	assert_int_equal(n, 1);
	feed_want_event(f, true);
	feed_want_event(f, false);
	play();
	assert_int_equal(eventfd_read(f->event, &n), -1);
	close(f->event);
}

/* ---- two threads ---- */

static _Atomic bool done;

static void *graph_thread(void *arg)
{
	uint32_t *last = arg;

	while (!done || feed_fill(f)) {
		struct feed_cycle c = {.time = 1, .frames = QUANTUM};

		feed_play(f, out, &c);
		for (unsigned i = 0; i < QUANTUM; i++)
			if (out[i] && out[i] != ++*last)
				return NULL;
	}
	return last;
}

/* Frames and reports arrive whole. */
static void test_two_threads(void **state)
{
	uint32_t last = 0;
	pthread_t thread;
	void *result;

	(void)state;
	done = false;
	f->margin = 0;
	assert_int_equal(pthread_create(&thread, NULL, graph_thread, &last), 0);
	for (unsigned i = 0; i < 200000; i++) {
		struct feed_report r;

		put(i % 150);
		r = feed_last_report(f);
		assert_true(r.cycles == 0 || r.frames == QUANTUM);
	}
	feed_drain(f, f->written);
	done = true;
	pthread_join(thread, &result);
	assert_ptr_equal(result, &last);
	assert_int_equal(last, next_in - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begins),
		TEST(waits_for_the_margin),
		TEST(gap),
		TEST(all_in_order),
		TEST(full),
		TEST(flush),
		TEST(drain),
		TEST(drain_behind),
		TEST(records),
		TEST(event),
		TEST(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
