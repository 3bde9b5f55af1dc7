/* SPDX-License-Identifier: MIT */
#include "engine_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "engine_clip.h"
#include "unit/unit.h"

enum { MEMORY_SIZE = 256 << 20, PAGE = 4096, UNIT_SIZE = 1 << 20, UNITS = 4, WAIT_S = 60 };

static const uint64_t GPA = 0x10000;

struct loop *rig_loop;
struct nursery rig_nursery;
static struct gmem *memory;
static uint8_t *host;

/* ---- what all streams of a test have ---- */

void rig_begin(const struct part_kind *kind, bool threads)
{
	const struct gmem_desc desc = {GPA, MEMORY_SIZE, GPA, 0};
	struct gmem *none;
	int fd = fd_memfd("guest", MEMORY_SIZE);

	gmem_keep_fds = true;
	assert_int_equal(nursery_start(&rig_nursery, kind, SANDBOX_AUTO, 1ull << 30, threads), 0);
	rig_loop = loop_create();
	none = gmem_create();
	assert_true(rig_loop && none && fd >= 0);
	assert_int_equal(gmem_add(none, &desc, fd, &memory), 0);
	gmem_unref(none);
	host = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(host, MAP_FAILED);
	fd_close(&fd);
}

void rig_end(void)
{
	nursery_finish(&rig_nursery);
	gmem_unref(memory);
	munmap(host, MEMORY_SIZE);
	loop_destroy(rig_loop);
}

/* ---- waiting ---- */

static bool is_over(const struct rig *r, int64_t end)
{
	if (loop_now() >= end)
		print_error("nothing came for %d s\n", WAIT_S);
	return r->lost || loop_now() >= end;
}

static int64_t deadline(void)
{
	return loop_now() + WAIT_S * 1000000000ll;
}

/* What a guest would do now. */
static void turn(struct rig *r, int timeout_ms)
{
	loop_turn(rig_loop, timeout_ms);
	if (r->n_formats != r->followed && r->pixels_queued)
		rig_make_pixels(r);
}

bool rig_wait(struct rig *r, const unsigned *count, unsigned wanted)
{
	int64_t end = deadline();

	while (*count < wanted && !is_over(r, end))
		turn(r, 100);
	return *count >= wanted;
}

/* What is asked now is answered when the codec's thread has done what was before. */
void rig_settle(struct rig *r)
{
	for (unsigned i = 0; i < 20 && !r->lost; i++) {
		loop_turn(rig_loop, 10);
		rig_ask(r, (struct engine_message){.what = ENGINE_FORGET, .res = 0xffff});
	}
}

uint32_t rig_tell(struct rig *r, struct engine_message m)
{
	int sent = engine_ask(&r->engine, &m, -1);

	assert_true(sent == 0 || (sent == -ENOTCONN && !part_is_there(&r->engine.part)));
	return m.seq;
}

int rig_wait_done(struct rig *r, uint32_t seq)
{
	int64_t end = deadline();

	for (;;) {
		for (unsigned i = 0; i < ARRAY_SIZE(r->done); i++)
			if (r->done[i].seq == seq)
				return r->done[i].result;
		if (is_over(r, end))
			return -EPIPE;
		loop_turn(rig_loop, 100);
	}
}

int rig_ask(struct rig *r, struct engine_message m)
{
	return rig_wait_done(r, rig_tell(r, m));
}

/* ---- buffers ---- */

static void add_entry(struct rig_buffer *b, uint64_t at, uint64_t len)
{
	b->entries[b->n_entries] = (struct engine_entry){GPA + at, len};
	b->iov[b->n_entries++] = (struct iovec){host + at, len};
}

/* Pages are taken from the end of their range, so that none follows the one before. */
static void lay_out(struct rig *r, struct rig_buffer *b, uint64_t size)
{
	uint64_t pages = (size + PAGE - 1) / PAGE + 1,
		 piece = r->memory == RIG_RAGGED ? 1237 : PAGE;
	uint64_t base = r->used, odd = r->memory == RIG_RAGGED ? 13 : 0;
	unsigned n = (unsigned)(size / piece + 2);

	b->entries = calloc(n, sizeof(*b->entries));
	b->iov = calloc(n, sizeof(*b->iov));
	b->n_entries = 0;
	b->size = size;
	r->used += r->memory == RIG_RAGGED ? pages * PAGE * 4 : pages * PAGE;
	assert_true(r->used <= MEMORY_SIZE);
	if (r->memory == RIG_CONTIGUOUS) {
		add_entry(b, base, size);
		return;
	}
	for (uint64_t left = size, at = r->used; left;) {
		uint64_t len = left < piece ? left : piece;

		at -= PAGE;
		add_entry(b, at + odd, len);
		left -= len;
	}
}

static void drop(struct rig_buffer *b)
{
	free(b->entries);
	free(b->iov);
	*b = (struct rig_buffer){0};
}

static struct rig_buffer *buffer_of(struct rig *r, uint32_t queue, uint32_t id)
{
	assert_true(id < RIG_BUFFERS_MAX);
	return queue == ENGINE_PIXELS ? &r->pixels[id] : &r->bitstream[id];
}

int rig_make_buffer(struct rig *r, uint32_t queue, uint32_t id, uint64_t size)
{
	struct rig_buffer *b = buffer_of(r, queue, id);
	uint32_t seq;

	drop(b);
	lay_out(r, b, size);
	engine_ask_resource(&r->engine, queue, id, b->entries, b->n_entries, &seq);
	return rig_wait_done(r, seq);
}

static void queue_pixels(struct rig *r, uint32_t id)
{
	struct rig_buffer *b = &r->pixels[id];
	struct engine_message m = {.what = ENGINE_QUEUE, .queue = ENGINE_PIXELS, .res = id};

	memcpy(m.buffer.offset, b->offset, sizeof(b->offset));
	b->queued = true;
	b->seq = rig_tell(r, m);
}

void rig_queue_pixels(struct rig *r)
{
	for (uint32_t i = 0; i < r->n_pixels; i++)
		if (r->pixels[i].entries && !r->pixels[i].queued)
			queue_pixels(r, i);
}

/* Strides and gaps that nobody would expect. */
static uint64_t layout(struct rig *r, uint64_t *offset)
{
	uint64_t end = 24;

	for (unsigned i = 0; i < frame_planes(r->fourcc); i++) {
		r->stride[i] = frame_row_bytes(r->fourcc, i, r->format.format.width) + 8 * i;
		offset[i] = end;
		end += (uint64_t)r->stride[i] * frame_rows(r->fourcc, i, r->format.format.height)
			+ 40;
	}
	return end;
}

void rig_make_pixels(struct rig *r)
{
	struct engine_message m = {.what = ENGINE_OUTPUT,
		.output = {.serial = r->format.format.serial, .fourcc = r->fourcc}};
	uint64_t offset[ENGINE_PLANES_MAX] = {0}, size = layout(r, offset), used = r->used;
	struct engine_message all = {
		.what = ENGINE_FORGET, .queue = ENGINE_PIXELS, .res = ENGINE_ALL};
	bool queued = r->pixels_queued;

	r->followed = r->n_formats;
	r->pixels_queued = false; // what comes back now is forgotten
	rig_ask(r, all);
	for (uint32_t i = 0; i < r->n_pixels; i++) {
		assert_int_equal(rig_make_buffer(r, ENGINE_PIXELS, i, size), 0);
		memcpy(r->pixels[i].offset, offset, sizeof(offset));
	}
	r->used = used; // the next ones take their place
	memcpy(m.output.stride, r->stride, sizeof(r->stride));
	assert_int_equal(rig_ask(r, m), 0);
	r->pixels_queued = queued;
	if (queued)
		rig_queue_pixels(r);
}

/* ---- what it answers ---- */

static uint64_t hash_row(
	const struct rig_buffer *b, uint64_t at, size_t n, uint64_t hash, uint8_t *row)
{
	size_t got = 0;

	for (unsigned i = 0; i < b->n_entries && got < n; i++) {
		size_t len = b->iov[i].iov_len;

		if (at >= len) {
			at -= len;
			continue;
		}
		len = len - at < n - got ? len - at : n - got;
		memcpy(row + got, (uint8_t *)b->iov[i].iov_base + at, len);
		got += len;
		at = 0;
	}
	return clip_hash(hash, row, n);
}

static uint64_t hash_picture(const struct rig *r, const struct rig_buffer *b)
{
	static uint8_t row[ENGINE_SIZE_MAX * 4];
	uint32_t width = r->format.format.crop_width, height = r->format.format.crop_height;
	uint64_t hash = 0;

	for (unsigned i = 0; i < frame_planes(r->fourcc); i++)
		for (uint32_t y = 0; y < frame_rows(r->fourcc, i, height); y++)
			hash = hash_row(b, b->offset[i] + (uint64_t)y * r->stride[i],
				frame_row_bytes(r->fourcc, i, width), hash, row);
	return hash;
}

static void on_picture(struct rig *r, struct rig_buffer *b, const struct engine_answer *a)
{
	struct rig_picture *p = &r->pictures[r->n_pictures];

	assert_true(r->n_pictures < RIG_PICTURES_MAX);
	*p = (struct rig_picture){r->format.format.crop_width, r->format.format.crop_height,
		a->picture.flags, a->picture.timestamp, r->unread ? 0 : hash_picture(r, b)};
	r->n_pictures++;
}

static void on_returned(struct rig *r, const struct engine_answer *a)
{
	struct rig_buffer *b = buffer_of(r, a->queue, a->res);
	uint32_t flags = a->picture.flags;

	assert_true(b->queued && b->seq == a->seq);
	b->queued = false;
	r->n_canceled += !!(flags & ENGINE_CANCELED);
	r->n_broken += !!(flags & ENGINE_BROKEN);
	r->n_lasts += !!(flags & ENGINE_LAST);
	if (a->queue == ENGINE_BITSTREAM)
		r->n_returned++;
	else if (!(flags & (ENGINE_CANCELED | ENGINE_LAST)))
		on_picture(r, b, a);
	if (a->queue == ENGINE_PIXELS && r->pixels_queued && !(flags & ENGINE_CANCELED)
		&& !r->error)
		queue_pixels(r, a->res);
}

static void on_heard(struct engine *e, const struct engine_answer *a)
{
	struct rig *r = CONTAINER_OF(e, struct rig, engine);
	unsigned at = r->n_done % ARRAY_SIZE(r->done);

	if (a->what == ENGINE_RETURNED) {
		on_returned(r, a);
	} else if (a->what == ENGINE_FORMAT) {
		r->format = *a;
		r->n_formats++;
	} else if (a->what == ENGINE_ERROR) {
		r->error = a->result;
	} else if (a->what == ENGINE_DONE) {
		r->done[at].seq = a->seq;
		r->done[at].result = a->result;
		r->n_done++;
	}
}

static void on_lost(struct engine *e)
{
	CONTAINER_OF(e, struct rig, engine)->lost = true;
}

/* ---- a stream ---- */

void rig_open(struct rig *r, uint32_t codec, const char *element)
{
	struct engine_message m = {
		.what = ENGINE_OPEN, .open = {.codec = codec, .pieces = r->pieces}};

	strncpy(m.open.element, element, ENGINE_NAME_MAX - 1);
	r->engine.heard = on_heard;
	r->engine.lost = on_lost;
	r->pictures = calloc(RIG_PICTURES_MAX, sizeof(*r->pictures));
	if (!r->n_pixels)
		r->n_pixels = 3;
	assert_int_equal(engine_start(&r->engine, rig_loop, &rig_nursery, memory), 0);
	assert_int_equal(rig_ask(r, m), 0);
	for (uint32_t i = 0; i < UNITS; i++)
		assert_int_equal(rig_make_buffer(r, ENGINE_BITSTREAM, i, UNIT_SIZE), 0);
}

void rig_close(struct rig *r)
{
	engine_finish(&r->engine);
	for (uint32_t i = 0; i < RIG_BUFFERS_MAX; i++) {
		drop(&r->pixels[i]);
		drop(&r->bitstream[i]);
	}
	free(r->pictures);
}

static struct rig_buffer *free_unit(struct rig *r, uint32_t *id)
{
	for (*id = 0; *id < UNITS; (*id)++)
		if (!r->bitstream[*id].queued)
			return &r->bitstream[*id];
	return NULL;
}

static void write_buffer(const struct rig_buffer *b, const void *bytes, size_t size)
{
	const uint8_t *from = bytes;

	for (unsigned i = 0; i < b->n_entries && size; i++) {
		size_t len = b->iov[i].iov_len < size ? b->iov[i].iov_len : size;

		memcpy(b->iov[i].iov_base, from, len);
		from += len;
		size -= len;
	}
}

void rig_feed(struct rig *r, const void *bytes, size_t size, uint64_t timestamp)
{
	struct engine_message m = {.what = ENGINE_QUEUE,
		.queue = ENGINE_BITSTREAM,
		.buffer = {.timestamp = timestamp, .size = size}};
	int64_t end = deadline();
	struct rig_buffer *b;

	assert_true(size <= UNIT_SIZE);
	while (!(b = free_unit(r, &m.res)) && !is_over(r, end)) {
		turn(r, 100);
	}
	if (!b)
		return;
	write_buffer(b, bytes, size);
	b->queued = true;
	b->seq = rig_tell(r, m);
	turn(r, 0);
}

bool rig_fed(struct rig *r)
{
	int64_t end = deadline();
	bool queued = true;

	while (queued && !is_over(r, end)) {
		queued = false;
		for (uint32_t i = 0; i < UNITS; i++)
			queued |= r->bitstream[i].queued;
		if (queued)
			turn(r, 100);
	}
	return !queued && !r->error;
}

int rig_drain(struct rig *r)
{
	uint32_t seq = rig_tell(r, (struct engine_message){.what = ENGINE_DRAIN});
	int64_t end = deadline();

	for (;;) {
		for (unsigned i = 0; i < ARRAY_SIZE(r->done); i++)
			if (r->done[i].seq == seq)
				return r->done[i].result;
		if (is_over(r, end))
			return -EPIPE;
		turn(r, 100);
	}
}
