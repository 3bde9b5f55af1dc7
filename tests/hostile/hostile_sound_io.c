/* SPDX-License-Identifier: MIT */
/* I/O messages and event buffers of odd shapes, at wrong times, and far too many of them. */
#include "on_sound.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a stream is that a message is for. */
enum state { NEW, SET, PREPARED, RUNNING_NOW, STOPPED, RELEASED, STATES };

static void bring_to(uint32_t stream, enum state state)
{
	if (state == SET)
		sound_set(stream, &sound_params);
	if (state >= PREPARED)
		sound_prepare(stream);
	if (state == RUNNING_NOW || state == STOPPED)
		assert_int_equal(snd_start(&hx.snd, stream), OK);
	if (state == STOPPED)
		assert_int_equal(snd_stop(&hx.snd, stream), OK);
	if (state == RELEASED)
		assert_int_equal(snd_release(&hx.snd, stream), OK);
}

/* ---- messages that are none ---- */

struct bad {
	const char *name;
	unsigned queue;
	uint32_t stream, header_len, bytes, status_lacks;
	int answer; // 0: there is no room for it
};

static const struct bad bad_messages[] = {
	{"tx to a stream behind the last", TX, STREAMS, 4, PERIOD, 0, BAD_MSG},
	{"tx to stream 2^32 - 1", TX, ~0u, 4, PERIOD, 0, BAD_MSG},
	{"tx to a stream that records", TX, RECORDS, 4, PERIOD, 0, BAD_MSG},
	{"rx of a stream behind the last", RX, STREAMS, 4, PERIOD, 0, BAD_MSG},
	{"rx of stream 2^32 - 1", RX, ~0u, 4, PERIOD, 0, BAD_MSG},
	{"rx of a stream that plays", RX, PLAYS, 4, PERIOD, 0, BAD_MSG},
	{"tx without a header", TX, PLAYS, 0, 0, 0, BAD_MSG},
	{"tx with a byte of a header", TX, PLAYS, 1, 0, 0, BAD_MSG},
	{"tx with 3 bytes of a header", TX, PLAYS, 3, 0, 0, BAD_MSG},
	{"tx with 3 bytes in all", TX, PLAYS, 0, 3, 0, BAD_MSG},
	{"rx without a header", RX, RECORDS, 0, PERIOD, 0, BAD_MSG},
	{"rx with a byte of a header", RX, RECORDS, 1, PERIOD, 0, BAD_MSG},
	{"rx with 3 bytes of a header", RX, RECORDS, 3, PERIOD, 0, BAD_MSG},
	{"rx without a header, and no room", RX, RECORDS, 1, 0, 8, 0},
	{"tx without data", TX, PLAYS, 4, 0, 0, IO_ERR},
	{"rx without room for data", RX, RECORDS, 4, 0, 0, IO_ERR},
	{"tx of a byte", TX, PLAYS, 4, 1, 0, IO_ERR},
	{"rx of a byte", RX, RECORDS, 4, 1, 0, IO_ERR},
	{"tx of half a frame", TX, PLAYS, 4, FRAME / 2, 0, IO_ERR},
	{"tx of a frame and a byte", TX, PLAYS, 4, FRAME + 1, 0, IO_ERR},
	{"rx of a frame but for a byte", RX, RECORDS, 4, FRAME - 1, 0, IO_ERR},
	{"tx of a period and a byte", TX, PLAYS, 4, PERIOD + 1, 0, IO_ERR},
	{"rx of a period but for a byte", RX, RECORDS, 4, PERIOD - 1, 0, IO_ERR},
	{"tx of a frame more than the buffer", TX, PLAYS, 4, BUFFER + FRAME, 0, IO_ERR},
	{"rx of a frame more than the buffer", RX, RECORDS, 4, BUFFER + FRAME, 0, IO_ERR},
	{"tx of a MiB", TX, PLAYS, 4, 1 << 20, 0, IO_ERR},
	{"rx of a MiB", RX, RECORDS, 4, 1 << 20, 0, IO_ERR},
	{"tx without room for a status", TX, PLAYS, 4, PERIOD, 8, 0},
	{"tx with a byte of room", TX, PLAYS, 4, PERIOD, 7, 0},
	{"tx with 4 bytes of room", TX, PLAYS, 4, PERIOD, 4, 0},
	{"tx with 7 bytes of room", TX, PLAYS, 4, PERIOD, 1, 0},
	{"rx without room for anything", RX, RECORDS, 4, 0, 8, 0},
	{"rx with a byte of room", RX, RECORDS, 4, 0, 7, 0},
	{"rx with 7 bytes of room", RX, RECORDS, 4, 0, 1, 0},
};

static void expect_answer(int ticket, const struct bad *b)
{
	struct snd_done done;

	assert_int_equal(snd_driver_finish(&hx.snd, ticket, &done), b->answer);
	assert_int_equal(done.len, 8 - b->status_lacks);
	assert_int_equal(done.latency_bytes, 0);
}

/* Refused at once, and the stream does not notice. */
static void bad_message(const void *arg)
{
	const struct bad *b = arg;
	const uint32_t streams[2] = {PLAYS, RECORDS}, lengths[2] = {PERIOD, BUFFER};

	for (enum state state = PREPARED; state <= STOPPED; state++) {
		const uint8_t header[4] = {(uint8_t)b->stream, 0, 0, 0};
		struct snd_io io = {.queue = b->queue,
			.stream = b->stream,
			.header = b->header_len < 4 ? header : NULL,
			.header_len = b->header_len,
			.bytes = b->bytes,
			.status_lacks = b->status_lacks};
		int good[2];

		for (int i = 0; i < 2; i++) {
			bring_to(streams[i], state);
			good[i] = sound_send(streams[i], lengths[i]);
		}
		expect_answer(sound_send_io(&io), b);
		for (int i = 0; i < 2 && state != RUNNING_NOW; i++) {
			expect_kept(good[i]);
			assert_int_equal(snd_start(&hx.snd, streams[i]), OK);
		}
		for (int i = 0; i < 2; i++)
			expect_back(good[i], OK);
	}
}

static void at_wrong_times(const void *arg)
{
	static const enum state wrong[] = {NEW, SET, RELEASED};

	(void)arg;
	for (size_t i = 0; i < COUNT(wrong); i++)
		for (uint32_t stream = 0; stream < STREAMS; stream++) {
			bring_to(stream, wrong[i]);
			expect_back(sound_send(stream, PERIOD), IO_ERR);
			expect_back(sound_send(stream, 3), IO_ERR);
		}
}

/* A status goes to the end of what may be written, or the beginning; no more is said than that. */
static void more_room_than_wanted(const void *arg)
{
	const struct drv_seg segs[] = {{0x1000, 4, false}, {0x2000, PERIOD, false},
		{0x3000, 100, true}, {0x4000, 5, true}};
	const __le32 stream = PLAYS;
	struct drv_used used;

	(void)arg;
	assert_ok(guest_write(&hx.guest, 0x1000, &stream, sizeof(stream)));
	sound_prepare(PLAYS);
	assert_true(drv_ring_add(&hx.rings[TX], segs, COUNT(segs), NULL) >= 0);
	assert_true(drv_ring_submit(&hx.rings[TX]) >= 0);
	assert_int_equal(snd_start(&hx.snd, PLAYS), OK);
	assert_ok(drv_ring_wait(&hx.rings[TX], WAIT_DEFAULT));
	assert_int_equal(drv_ring_reap(&hx.rings[TX], &used), 1);
	assert_true(used.len >= 8);
}

/* A header that is in the pieces of the data. */
static void headers_cut(const void *arg)
{
	static const uint32_t ones[] = {1};
	static const uint8_t zeros[PERIOD + 4];

	(void)arg;
	sound_start(PLAYS);
	for (uint32_t cut = 0; cut < 4; cut++) {
		struct snd_io io = {.queue = TX,
			.header = zeros,
			.header_len = cut,
			.data = zeros,
			.bytes = PERIOD + 4 - cut};

		expect_back(sound_send_io(&io), OK);
		hx.snd.indirect = true;
		io.pieces = ones;
		io.n_pieces = 1;
		expect_back(sound_send_io(&io), OK);
		hx.snd.indirect = false;
	}
}

/* The ring is broken for its driver, the other one plays on. */
static void to_write_before_to_read(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	struct drv_ring *r = &hx.rings[sound_queue(stream)];
	const struct vring_desc wrong[] = {
		{0x3000, PERIOD, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 62}, {0x1000, 4, 0, 0}};

	for (enum state state = SET; state <= STOPPED; state++) {
		bring_to(stream, state);
		if (state != SET)
			sound_send(stream, BUFFER);
		drv_ring_poke_desc(r, 63, &wrong[0]);
		drv_ring_poke_desc(r, 62, &wrong[1]);
		drv_ring_poke_avail(r, r->avail_idx, 63);
		drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 1));
		assert_ok(drv_ring_kick_now(r));
		expect_broken(sound_queue(stream));
	}
}

/* ---- many messages ---- */

/* As many as the ring holds, of a size. Returns how many those are. */
static unsigned fill_ring(uint32_t stream, uint32_t bytes, int *tickets)
{
	unsigned n = 0;

	hx.snd.indirect = true;
	while (hx.rings[sound_queue(stream)].nfree > 0)
		tickets[n++] = sound_send(stream, bytes);
	hx.snd.indirect = false;
	return n;
}

/* RELEASE brings all back before it is answered, which nobody else does. */
static void expect_released(uint32_t stream, const int *tickets, unsigned n)
{
	assert_int_equal(snd_release(&hx.snd, stream), OK);
	for (unsigned i = 0; i < n; i++) {
		assert_true(snd_driver_is_back(&hx.snd, tickets[i]));
		expect_back(tickets[i], IO_ERR);
	}
}

static void thousands_without_start(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	int tickets[RING_NUM];
	unsigned n;
	long rss = 0;

	for (int round = 0; round < 50; round++) {
		sound_prepare(stream);
		n = fill_ring(stream, round % 2 ? BUFFER : FRAME, tickets);
		assert_int_equal(n, RING_NUM);
		expect_kept(tickets[0]);
		expect_released(stream, tickets, n);
		if (round == 10)
			rss = child_rss_kib(&hx.child);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 1024);
}

/* Each request that ends what was queued, and what does not. */
static void flushed_by_requests(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	int ticket;

	sound_prepare(stream);
	ticket = sound_send(stream, PERIOD);
	assert_int_equal(snd_prepare(&hx.snd, stream), OK);
	expect_kept(ticket);
	assert_int_equal(snd_set_params(&hx.snd, stream, &sound_params), OK);
	expect_back(ticket, IO_ERR);

	sound_start(stream);
	assert_int_equal(snd_stop(&hx.snd, stream), OK);
	ticket = sound_send(stream, PERIOD);
	expect_kept(ticket);
	assert_int_equal(snd_prepare(&hx.snd, stream), OK);
	expect_back(ticket, IO_ERR);

	ticket = sound_send(stream, PERIOD);
	assert_int_equal(snd_start(&hx.snd, stream), OK);
	expect_back(ticket, OK);
}

/* Tickets of messages under way, and whose they are. */
static uint32_t stream_of[SND_DRIVER_MESSAGES];

static bool has_messages(uint32_t stream)
{
	for (int i = 0; i < SND_DRIVER_MESSAGES; i++)
		if (hx.snd.messages[i].busy && stream_of[i] == stream)
			return true;
	return false;
}

/* Any of the five requests, or most often a message. True: the stream must have none left. */
static bool do_any(uint32_t stream, unsigned what)
{
	int rc = OK;

	if (what == 0)
		rc = snd_set_params(&hx.snd, stream, &sound_params);
	else if (what == 1)
		rc = snd_release(&hx.snd, stream);
	else if (what == 2)
		rc = snd_start(&hx.snd, stream);
	else if (what == 3)
		rc = snd_stop(&hx.snd, stream);
	else if (what == 4)
		rc = snd_prepare(&hx.snd, stream);
	else if (hx.rings[sound_queue(stream)].nfree > 3)
		stream_of[sound_send(stream, PERIOD * (what % 4 + 1))] = stream;
	assert_true(rc == OK || rc == BAD_MSG);
	sound_take();
	return what == 1 && rc == OK;
}

/* Requests and messages in any order: all are back when RELEASE is answered. */
static void any_order(const void *arg)
{
	unsigned random = *(const unsigned *)arg;

	for (int i = 0; i < 5000; i++) {
		uint32_t stream = (uint32_t)rand_r(&random) % STREAMS;

		if (do_any(stream, (unsigned)rand_r(&random) % 9))
			assert_false(has_messages(stream));
	}
	for (uint32_t stream = 0; stream < STREAMS; stream++)
		sound_end(stream);
	sound_take();
	for (unsigned q = TX; q <= RX; q++)
		assert_int_equal(hx.rings[q].outstanding, 0);
}

static const unsigned seeds[] = {1, 22, 333};

/* ---- tiny and long ones, while it plays ---- */

/* Keeps the ring full until so many messages are back. */
static void keep_going(uint32_t stream, uint32_t bytes, unsigned wanted)
{
	int tickets[RING_NUM];
	unsigned n = fill_ring(stream, bytes, tickets);

	assert_int_equal(snd_start(&hx.snd, stream), OK);
	hx.snd.indirect = true;
	for (unsigned back = 0; back < wanted; back++) {
		expect_back(tickets[back % n], OK);
		tickets[back % n] = sound_send(stream, bytes);
	}
	hx.snd.indirect = false;
	assert_int_equal(snd_stop(&hx.snd, stream), OK);
	assert_int_equal(snd_release(&hx.snd, stream), OK);
	sound_take();
	assert_int_equal(hx.rings[sound_queue(stream)].outstanding, 0);
}

static void tiny_periods(const void *arg)
{
	const uint32_t frames = *(const uint32_t *)arg;

	for (uint32_t stream = PLAYS; stream < STREAMS; stream += RECORDS)
		for (uint32_t polling = 0; polling < 2; polling++) {
			struct snd_params p = {.period_bytes = frames * FRAME,
				.buffer_bytes = frames * FRAME * RING_NUM,
				.features = polling << VIRTIO_SND_PCM_F_MSG_POLLING,
				.channels = 2,
				.format = VIRTIO_SND_PCM_FMT_S16,
				.rate = VIRTIO_SND_PCM_RATE_48000};

			hx.snd.polling = polling;
			sound_set(stream, &p);
			assert_int_equal(snd_prepare(&hx.snd, stream), OK);
			keep_going(stream, frames * FRAME, 1000);
			hx.snd.polling = false;
		}
}

static const uint32_t tiny[] = {1, 7};

/* Hundreds of descriptors each, more than the ring has large places for. */
static void long_chains(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg, ones[] = {1};
	struct snd_io io = {.queue = sound_queue(stream),
		.stream = stream,
		.bytes = PERIOD,
		.pieces = ones,
		.n_pieces = 1};
	int tickets[RING_NUM];

	hx.snd.indirect = true;
	for (int round = 0; round < 2; round++) {
		sound_prepare(stream);
		for (int i = 0; i < RING_NUM; i++)
			tickets[i] = sound_send_io(&io);
		expect_kept(tickets[0]);
		if (round == 0) {
			expect_released(stream, tickets, RING_NUM);
			continue;
		}
		assert_int_equal(snd_start(&hx.snd, stream), OK);
		for (int i = 0; i < RING_NUM; i++)
			expect_back(tickets[i], OK);
	}
	hx.snd.indirect = false;
}

/* A stream that does not move holds up no other one on its ring. */
static void behind_long_chains(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg, ones[] = {1};
	struct snd_io io = {.queue = sound_queue(stream),
		.stream = stream,
		.bytes = PERIOD,
		.pieces = ones,
		.n_pieces = 1};
	int behind;

	hx.snd.indirect = true;
	sound_prepare(stream);
	for (int i = 0; i < 8; i++)
		sound_send_io(&io);
	sound_prepare(stream + 1);
	behind = sound_send(stream + 1, PERIOD);
	assert_int_equal(snd_start(&hx.snd, stream + 1), OK);
	expect_back(behind, OK);
	assert_int_equal(snd_stop(&hx.snd, stream + 1), OK);
	expect_released(stream + 1, &(int){sound_send(stream + 1, PERIOD)}, 1);
	hx.snd.indirect = false;
}

/* ---- event buffers ---- */

static void short_event_buffers(const void *arg)
{
	(void)arg;
	expect_too_short(EVENT, 8);
}

/* What is more than an event, or to be read, does no harm. */
static void odd_event_buffers(const void *arg)
{
	const struct drv_seg segs[] = {{0x1000, 16, false}, {0x2000, 3, true}, {0x3000, 64, true}};
	const uint8_t wanted[8] = {0, 0x12, 0, 0, 0, 0, 1, 0};
	struct drv_ring *r = &hx.rings[EVENT];
	const uint32_t value = 7;
	uint8_t event[8];

	(void)arg;
	assert_true(drv_ring_add(r, segs, 3, NULL) >= 0);
	assert_true(drv_ring_submit(r) >= 0);
	expect_nothing_used(EVENT);
	assert_int_equal(snd_ctl_write(&hx.snd, 0, &value, sizeof(value)), OK);
	while (r->outstanding > 0)
		assert_true(snd_driver_wait(&hx.snd, WAIT_DEFAULT) > 0);
	assert_ok(guest_read(&hx.guest, 0x2000, event, 3));
	assert_ok(guest_read(&hx.guest, 0x3000, event + 3, 5));
	assert_memory_equal(event, wanted, sizeof(event));
}

/* Time that the daemon was running, in ns. */
static uint64_t busy_ns(void)
{
	char path[64];
	unsigned long long ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)hx.child.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &ns), 1);
	fclose(f);
	return ns;
}

/* Whoever does not read the eventfd of a ring that it does not look at runs for ever. */
static void event_kicks(const void *arg)
{
	uint64_t before;

	(void)arg;
	for (int i = 0; i < 1000; i++)
		assert_ok(drv_ring_kick_now(&hx.rings[EVENT]));
	assert_ok(snd_driver_fill(&hx.snd, 1));
	assert_ok(drv_ring_kick_now(&hx.rings[EVENT]));
	hostile_settle();
	before = busy_ns();
	sound_pass(100);
	assert_true(busy_ns() - before < 50000000);
	hostile_restart_ring(EVENT);
}

/* What waits in a ring that stops is not lost: events come when it goes on. */
static void event_ring_full(const void *arg)
{
	static const uint32_t volumes[] = {0, 3, 6, 8};
	const struct drv_seg seg = {0x1000, 8, true};
	struct drv_ring *r = &hx.rings[EVENT];

	(void)arg;
	for (uint32_t i = 0; i < RING_NUM; i++)
		assert_true(drv_ring_add(r, &seg, 1, NULL) >= 0);
	assert_true(drv_ring_submit(r) >= 0);
	for (uint32_t round = 0; round < 6; round++) {
		expect_nothing_used(EVENT);
		assert_ok(frontend_stop_ring(&hx.fe, EVENT, r));
		for (size_t i = 0; i < COUNT(volumes); i++)
			assert_int_equal(snd_ctl_write(&hx.snd, volumes[i], &round, 4), OK);
		expect_nothing_used(EVENT);
		assert_ok(frontend_start_ring(&hx.fe, EVENT, r));
		while (r->outstanding > RING_NUM - COUNT(volumes) * (round + 1))
			assert_true(snd_driver_wait(&hx.snd, WAIT_DEFAULT) > 0);
	}
	hostile_restart_ring(EVENT);
}

/* The ring of events breaks while buffers wait in it: nothing is written there any more. */
static void event_ring_broken(const void *arg)
{
	struct drv_ring *r = &hx.rings[EVENT];
	uint32_t value = 9;

	(void)arg;
	assert_ok(snd_driver_fill(&hx.snd, 4));
	drv_ring_poke_avail(r, r->avail_idx, RING_NUM + 5);
	drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 1));
	assert_ok(drv_ring_kick_now(r));
	assert_ok(drv_ring_wait_err(r, WAIT_DEFAULT));
	assert_int_equal(snd_ctl_write(&hx.snd, 0, &value, 4), OK);
	expect_nothing_used(EVENT);
	hostile_restart_ring(EVENT);
}

/* ---- the list ---- */

static const uint32_t both[] = {PLAYS, RECORDS};

static const struct hostile_case plain[] = {
	{"messages before SET_PARAMS, PREPARE, and behind RELEASE", RUNNING, at_wrong_times},
	{"tx with more room than a status wants", RUNNING, more_room_than_wanted},
	{"a header in the pieces of data", RUNNING, headers_cut},
	{"to write before to read on tx", RUNNING, to_write_before_to_read, &both[0]},
	{"to write before to read on rx", RUNNING, to_write_before_to_read, &both[1]},
	{"thousands of tx without START", RUNNING, thousands_without_start, &both[0]},
	{"thousands of rx without START", RUNNING, thousands_without_start, &both[1]},
	{"tx that requests end", RUNNING, flushed_by_requests, &both[0]},
	{"rx that requests end", RUNNING, flushed_by_requests, &both[1]},
	{"requests and messages in any order", RUNNING, any_order, &seeds[0]},
	{"requests and messages in another order", RUNNING, any_order, &seeds[1]},
	{"requests and messages in a third order", RUNNING, any_order, &seeds[2]},
	{"periods of a frame", RUNNING, tiny_periods, &tiny[0]},
	{"periods of seven frames", RUNNING, tiny_periods, &tiny[1]},
	{"tx in hundreds of descriptors", RUNNING, long_chains, &both[0]},
	{"rx in hundreds of descriptors", RUNNING, long_chains, &both[1]},
	{"a stream behind tx of hundreds of descriptors", RUNNING, behind_long_chains, &both[0]},
	{"a stream behind rx of hundreds of descriptors", RUNNING, behind_long_chains, &both[1]},
	{"event buffers that are too short", RUNNING, short_event_buffers},
	{"an event buffer of odd pieces", RUNNING, odd_event_buffers},
	{"kicks of the event ring", RUNNING, event_kicks},
	{"an event ring that is full", RUNNING, event_ring_full},
	{"an event ring that is broken", RUNNING, event_ring_broken},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	HOSTILE_ADD_TABLE(&list, bad_messages, RUNNING, bad_message);
	hostile_add(&list, plain, COUNT(plain));
	return hostile_main(argc, argv, list.cases, list.n);
}
