/* SPDX-License-Identifier: MIT */
#include "feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "common/iov.h"

static_assert(sizeof(struct feed_report) == 8 * FEED_REPORT_WORDS, "a report is read word by word");

struct feed *feed_create(const struct pcm_format *format, uint32_t frames, int event)
{
	struct feed *f = calloc(1, sizeof(*f));
	uint32_t size = 1;

	if (!f)
		return NULL;
	while (size < frames)
		size *= 2;
	f->format = *format;
	f->size = size;
	f->ring = malloc((size_t)size * format->frame);
	f->event = event;
	f->limit = FEED_ENDLESS;
	if (f->ring)
		return f;
	free(f);
	return NULL;
}

void feed_destroy(struct feed *f)
{
	if (!f)
		return;
	free(f->ring);
	free(f);
}

/* Where frame `at` lies; *frames is cut to what lies behind it in one piece. */
static uint8_t *place(const struct feed *f, uint64_t at, uint32_t *frames)
{
	uint32_t slot = (uint32_t)at & (f->size - 1);

	if (*frames > f->size - slot)
		*frames = f->size - slot;
	return f->ring + (size_t)slot * f->format.frame;
}

/* Copies frames into the ring at `at` and on, from `skip` bytes into the vector. */
static void copy_in(struct feed *f, uint64_t at, const struct iovec *iov, unsigned n, size_t skip,
	uint32_t frames)
{
	while (frames) {
		uint32_t part = frames;
		uint8_t *to = place(f, at, &part);

		iov_read(iov, n, skip, to, (size_t)part * f->format.frame);
		skip += (size_t)part * f->format.frame;
		at += part;
		frames -= part;
	}
	atomic_store_explicit(&f->written, at, memory_order_release);
}

/* The same the other way. */
static void copy_out(struct feed *f, uint64_t at, const struct iovec *iov, unsigned n, size_t skip,
	uint32_t frames)
{
	while (frames) {
		uint32_t part = frames;
		const uint8_t *from = place(f, at, &part);

		iov_write(iov, n, skip, from, (size_t)part * f->format.frame);
		skip += (size_t)part * f->format.frame;
		at += part;
		frames -= part;
	}
	atomic_store_explicit(&f->read, at, memory_order_release);
}

/* ---- the loop's thread ---- */

uint32_t feed_put(struct feed *f, const struct iovec *iov, unsigned n, size_t skip, uint32_t frames)
{
	uint32_t room = f->size - feed_fill(f);

	frames = frames < room ? frames : room;
	copy_in(f, atomic_load_explicit(&f->written, memory_order_relaxed), iov, n, skip, frames);
	return frames;
}

void feed_drain(struct feed *f, uint64_t limit)
{
	atomic_store(&f->limit, limit);
}

/* The graph's thread reads no further than the limit, so that `written` may be taken back to it. */
void feed_resume(struct feed *f)
{
	uint64_t read = atomic_load(&f->read), limit = atomic_load(&f->limit);

	if (limit < atomic_load(&f->written))
		atomic_store(&f->written, read > limit ? read : limit);
	atomic_store(&f->limit, FEED_ENDLESS);
}

uint32_t feed_take(
	struct feed *f, const struct iovec *iov, unsigned n, size_t skip, uint32_t frames)
{
	uint32_t fill = feed_fill(f);

	frames = frames < fill ? frames : fill;
	copy_out(f, atomic_load_explicit(&f->read, memory_order_relaxed), iov, n, skip, frames);
	return frames;
}

void feed_skip(struct feed *f, uint32_t keep)
{
	uint32_t fill = feed_fill(f);

	if (fill > keep)
		atomic_fetch_add_explicit(&f->read, fill - keep, memory_order_release);
}

struct feed_report feed_last_report(struct feed *f)
{
	uint64_t words[FEED_REPORT_WORDS], before, after;
	struct feed_report r;

	do {
		before = atomic_load_explicit(&f->sequence, memory_order_acquire);
		for (unsigned i = 0; i < FEED_REPORT_WORDS; i++)
			words[i] = atomic_load_explicit(&f->report[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&f->sequence, memory_order_relaxed);
	} while (before != after || before & 1);
	memcpy(&r, words, sizeof(r));
	return r;
}

void feed_want_event(struct feed *f, bool want)
{
	atomic_store(&f->want_event, want);
}

/* ---- the graph's thread ---- */

static void publish(struct feed *f, const struct feed_cycle *c, int64_t position)
{
	uint64_t words[FEED_REPORT_WORDS];

	f->now.cycles++;
	f->now.time = c->time;
	f->now.position = position;
	f->now.frames = c->frames;
	f->now.delay = c->delay;
	memcpy(words, &f->now, sizeof(words));
	atomic_fetch_add_explicit(&f->sequence, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (unsigned i = 0; i < FEED_REPORT_WORDS; i++)
		atomic_store_explicit(&f->report[i], words[i], memory_order_relaxed);
	atomic_fetch_add_explicit(&f->sequence, 1, memory_order_release);
	if (atomic_load_explicit(&f->want_event, memory_order_relaxed)
		&& atomic_exchange(&f->want_event, 0))
		fd_signal(f->event);
}

/* How many of the frames that wait the stream's clock has come by: pieces are put in at their beginning. */
static uint32_t passed(struct feed *f, uint32_t fill, int64_t time)
{
	int64_t ns = atomic_load_explicit(&f->ready_at, memory_order_relaxed) - time, ahead;

	if (ns <= 0)
		return fill;
	ahead = ns / 1000 * f->format.rate / 1000000;
	return ahead < fill ? fill - (uint32_t)ahead : 0;
}

/*
 * While playback has not begun: how much silence goes ahead of what waits; all of the cycle when it
 * does not begin. It begins a cycle after it is known that it can: to begin when a threshold is seen to
 * be passed would be to begin in cycles that are late, and to be early ever after.
 */
static uint32_t lead(struct feed *f, uint32_t fill, const struct feed_cycle *c)
{
	uint32_t margin = atomic_load_explicit(&f->margin, memory_order_relaxed);
	uint32_t clock = passed(f, fill, c->time);

	bool armed = f->armed;

	f->armed = clock + c->frames > margin;
	if (!armed || !clock || clock + c->frames / 2 <= margin)
		return c->frames;
	f->armed = false;
	f->now.open = true;
	f->now.opened++;
	clock = clock > margin ? clock - margin : 0;
	return clock < c->frames ? c->frames - clock : 0;
}

/* The same when no more will come: at once. */
static uint32_t lead_of_last(struct feed *f, uint32_t fill, const struct feed_cycle *c)
{
	if (!fill)
		return c->frames;
	f->now.open = true;
	f->now.opened++;
	return 0;
}

void feed_play(struct feed *f, void *dst, const struct feed_cycle *c)
{
	uint64_t written = atomic_load_explicit(&f->written, memory_order_acquire);
	uint64_t read = atomic_load_explicit(&f->read, memory_order_relaxed);
	uint64_t limit = atomic_load_explicit(&f->limit, memory_order_acquire);
	uint32_t flush = atomic_load_explicit(&f->flush, memory_order_relaxed);
	const struct iovec to = {dst, (size_t)c->frames * f->format.frame};
	uint32_t fill, silent = 0, taken;

	if (flush != f->now.flushed) {
		f->now.flushed = flush;
		f->now.open = f->armed = false;
		read = written;
		atomic_store_explicit(&f->read, read, memory_order_release);
	}
	if (written > limit)
		written = limit > read ? limit : read;
	fill = (uint32_t)(written - read);
	if (!f->now.open)
		silent = limit == FEED_ENDLESS ? lead(f, fill, c) : lead_of_last(f, fill, c);
	format_silence(&f->format, dst, silent);
	taken = c->frames - silent < fill ? c->frames - silent : fill;
	if (!f->now.open)
		taken = 0;
	copy_out(f, read, &to, 1, (size_t)silent * f->format.frame, taken);
	f->now.gap += silent;
	if (silent + taken < c->frames) { // ran dry
		format_silence(&f->format,
			(uint8_t *)dst + (size_t)(silent + taken) * f->format.frame,
			c->frames - silent - taken);
		f->now.open = false;
		f->armed = true;
		f->now.gap_at = read + taken;
		f->now.gap = c->frames - silent - taken;
	}
	publish(f, c, (int64_t)read - (f->now.open || taken ? silent : 0));
}

void feed_record(struct feed *f, const void *src, const struct feed_cycle *c)
{
	const struct iovec from = {(void *)(uintptr_t)src, (size_t)c->frames * f->format.frame};
	uint64_t at = atomic_load_explicit(&f->written, memory_order_relaxed);
	uint32_t room = f->size - feed_fill(f), frames = c->frames < room ? c->frames : room;

	f->now.dropped += c->frames - frames;
	copy_in(f, at, &from, 1, 0, frames);
	publish(f, c, (int64_t)at);
}
