/* SPDX-License-Identifier: MIT */
/* What becomes of sound that is under way when its rings, its memory or its front-end go. */
#define _GNU_SOURCE
#include "on_sound.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum state { PREPARED, PLAYING, STOPPED, STATES };
enum { LONG = 480 * FRAME, MESSAGES = 6 }; // 10 ms each

static const uint32_t both[] = {PLAYS, RECORDS};
static const struct snd_params long_params = {.buffer_bytes = MESSAGES * LONG,
	.period_bytes = LONG,
	.channels = 2,
	.format = VIRTIO_SND_PCM_FMT_S16,
	.rate = VIRTIO_SND_PCM_RATE_48000};

/* A front-end with rings that begin at 0, the same one or another. */
static void begin_anew(void)
{
	if (hx.fe.fd < 0) {
		hostile_renew_guest();
		hostile_connect();
		hostile_agree();
		hostile_give_memory();
	} else {
		assert_ok(frontend_reset_device(&hx.fe));
	}
	hostile_start_rings();
	snd_driver_reset(&hx.snd);
}

/* Messages at gpa, or in memory of their own, under way in a stream of this state. */
static void get_under_way(uint32_t stream, enum state state, uint64_t gpa, int *tickets)
{
	sound_set(stream, &long_params);
	assert_int_equal(snd_prepare(&hx.snd, stream), OK);
	for (uint32_t i = 0; i < MESSAGES; i++)
		tickets[i] = sound_send_io(&(struct snd_io){.queue = sound_queue(stream),
			.stream = stream,
			.bytes = LONG,
			.placed = gpa,
			.gpa = gpa + i * LONG});
	if (state != PREPARED)
		assert_int_equal(snd_start(&hx.snd, stream), OK);
	if (state == PLAYING)
		expect_back(tickets[0], OK);
	if (state == STOPPED)
		assert_int_equal(snd_stop(&hx.snd, stream), OK);
}

static uint8_t *copy_memory(void)
{
	const struct guest_region *r = &hx.guest.regions[MAIN_REGION];
	uint8_t *copy = malloc(r->size);

	assert_non_null(copy);
	memcpy(copy, r->host, r->size);
	return copy;
}

/* Nothing was written to the guest since, nor is for a while, though there would be something. */
static void expect_untouched_since(uint8_t *copy)
{
	const struct guest_region *r = &hx.guest.regions[MAIN_REGION];

	sound_pass(80);
	assert_memory_equal(copy, r->host, r->size);
	free(copy);
}

static void expect_untouched(void)
{
	expect_untouched_since(copy_memory());
}

/* ---- ends in the middle ---- */

static void ring_stops(uint32_t stream)
{
	unsigned q = sound_queue(stream);

	assert_ok(frontend_stop_ring(&hx.fe, q, &hx.rings[q]));
}

static void rings_stop(uint32_t stream)
{
	(void)stream;
	for (unsigned q = 0; q < RINGS; q++)
		assert_ok(frontend_stop_ring(&hx.fe, q, &hx.rings[q]));
}

static void device_is_reset(uint32_t stream)
{
	(void)stream;
	assert_ok(frontend_reset_device(&hx.fe));
}

/* Only when it answers the next one has the daemon noticed that this one has left. */
static void frontend_leaves(uint32_t stream)
{
	(void)stream;
	hostile_leave();
	hostile_connect();
	expect_answers();
}

/* It has begun to stop when its rings do, and the memory goes at once. */
static void memory_goes(uint32_t stream)
{
	struct guest none = {0};

	rings_stop(stream);
	assert_ok(frontend_set_mem_table(&hx.fe, &none));
}

struct ending {
	const char *name;
	void (*end)(uint32_t stream);
	bool leaves; // or nobody serves it any more
	bool quiet;  // nothing is written for it, not even that messages are over
};

static const struct ending endings[] = {
	{"GET_VRING_BASE of a stream's ring", ring_stops},
	{"GET_VRING_BASE of all rings", rings_stop},
	{"RESET_DEVICE with messages under way", device_is_reset, false, true},
	{"a front-end that leaves with messages under way", frontend_leaves, true, true},
	{"rings and memory that go with messages under way", memory_goes, true},
};

static void ending(const void *arg)
{
	const struct ending *e = arg;
	int tickets[MESSAGES];
	uint8_t *copy;

	for (enum state state = PREPARED; state < STATES; state++)
		for (size_t i = 0; i < COUNT(both); i++) {
			begin_anew();
			get_under_way(both[i], state, 0, tickets);
			for (int turn = 0; turn < 6; turn++) // it has seen all messages
				expect_answers();
			copy = state == PLAYING ? NULL : copy_memory();
			e->end(both[i]);
			if (copy && e->quiet)
				expect_untouched_since(copy);
			else
				free(copy);
			expect_untouched();
			if (e->leaves)
				hostile_leave();
		}
	begin_anew();
}

/* RELEASE comes while the daemon has not seen all messages, and none is left behind it. */
static void released(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	int tickets[MESSAGES];

	hx.snd.polling = true; // that is, without a kick
	for (enum state state = PREPARED; state < STATES; state++) {
		if (state == PLAYING)
			continue;
		get_under_way(stream, state, 0, tickets);
		assert_int_equal(snd_release(&hx.snd, stream), OK);
		assert_int_equal(hx.rings[sound_queue(stream)].outstanding, 0);
		expect_untouched();
		sound_take();
	}
	hx.snd.polling = false;
}

static void reset_again_and_again(const void *arg)
{
	int n = child_count_fds(&hx.child), tickets[MESSAGES];
	long rss = 0;

	(void)arg;
	for (int i = 0; i < 200; i++) {
		for (size_t k = 0; k < COUNT(both); k++) {
			get_under_way(both[k], PREPARED, 0, tickets);
			assert_int_equal(snd_start(&hx.snd, both[k]), OK);
		}
		begin_anew();
		if (i == 50)
			rss = child_rss_kib(&hx.child);
	}
	expect_fds(n);
	assert_true(child_rss_kib(&hx.child) - rss < 16384);
}

static void twenty_frontends(const void *arg)
{
	int tickets[MESSAGES];

	(void)arg;
	for (unsigned i = 0; i < 20; i++) {
		begin_anew();
		assert_ok(snd_driver_fill(&hx.snd, 8));
		for (size_t k = 0; k < COUNT(both); k++)
			get_under_way(both[k], (i + k) % STATES, 0, tickets);
		hostile_leave();
		expect_fds(hx.idle_fds);
	}
	begin_anew();
}

/* ---- pauses ---- */

struct pause {
	const char *name;
	unsigned first, last; // of the rings that stop
	uint32_t stream;
};

static const struct pause pauses[] = {
	{"a pause of all rings while it plays", CONTROL, RX, PLAYS},
	{"a pause of all rings while it records", CONTROL, RX, RECORDS},
	{"a pause of tx while it plays", TX, TX, PLAYS},
	{"a pause of rx while it records", RX, RX, RECORDS},
	{"a pause of the other rings while it plays", CONTROL, EVENT, PLAYS},
	{"a pause of the other rings while it records", CONTROL, EVENT, RECORDS},
};

/* It goes on where it was: all messages come back, in their order, once and right. */
static void go_on(const void *arg)
{
	const struct pause *p = arg;
	int tickets[MESSAGES];

	for (int round = 0; round < 3; round++) {
		get_under_way(p->stream, PLAYING, 0, tickets);
		for (unsigned q = p->first; q <= p->last; q++)
			assert_ok(frontend_stop_ring(&hx.fe, q, &hx.rings[q]));
		assert_true(snd_driver_poll(&hx.snd) >= 0); // rings go on behind what was seen
		sound_pass(20 * round);
		for (unsigned q = p->first; q <= p->last; q++)
			assert_ok(frontend_start_ring(&hx.fe, q, &hx.rings[q]));
		for (int i = 1; i < MESSAGES; i++)
			expect_back(tickets[i], OK);
	}
}

/* What was to be played for hours is forgotten with its ring, and nobody waits for it. */
static void forgotten_messages(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	const struct snd_params p = {.buffer_bytes = 4 << 20,
		.period_bytes = 1 << 20,
		.channels = 1,
		.format = VIRTIO_SND_PCM_FMT_U8,
		.rate = VIRTIO_SND_PCM_RATE_8000};

	sound_set(stream, &p);
	assert_int_equal(snd_prepare(&hx.snd, stream), OK);
	for (int i = 0; i < 4; i++)
		sound_send(stream, 1 << 20);
	assert_int_equal(snd_start(&hx.snd, stream), OK);
	sound_pass(50);
	hostile_restart_ring(sound_queue(stream));
	for (int i = 0; i < 3; i++)
		expect_back(sound_send(stream, 80), OK);
}

/* ---- memory that goes under it ---- */

/* In whose memory sound lies, which is taken away. */
static void region_removed(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	struct guest_region left = hx.guest.regions[LEFT_REGION];
	int tickets[MESSAGES];

	for (enum state state = PREPARED; state < STATES; state++) {
		get_under_way(stream, state, LEFT_GPA, tickets);
		assert_ok(frontend_remove_region(&hx.fe, &left));
		if (state != PLAYING)
			assert_int_equal(snd_start(&hx.snd, stream), OK);
		for (int i = state == PLAYING; i < MESSAGES; i++)
			expect_back(tickets[i], OK);
		expect_back(sound_send(stream, LONG), OK);
		assert_ok(frontend_add_region(&hx.fe, &left));
	}
}

/* A message in no memory breaks its ring; those before it are kept. */
static void message_in_no_memory(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	const struct guest_region left = hx.guest.regions[LEFT_REGION];
	int tickets[MESSAGES];

	get_under_way(stream, PLAYING, LEFT_GPA, tickets);
	assert_ok(frontend_remove_region(&hx.fe, &left));
	sound_send_io(&(struct snd_io){.queue = sound_queue(stream),
		.stream = stream,
		.bytes = LONG,
		.placed = true,
		.gpa = LEFT_GPA});
	expect_broken(sound_queue(stream));
	assert_ok(frontend_add_region(&hx.fe, &left));
}

static void table_changed(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	struct guest main_only = {hx.guest.regions, 1};
	int tickets[MESSAGES];

	get_under_way(stream, PLAYING, LEFT_GPA, tickets);
	for (int i = 1; i < MESSAGES; i++) {
		assert_ok(frontend_set_mem_table(&hx.fe, i % 2 ? &main_only : &hx.guest));
		expect_back(tickets[i], OK);
	}
	assert_ok(frontend_set_mem_table(&hx.fe, &hx.guest));
	get_under_way(stream, PLAYING, LEFT_GPA, tickets);
}

/* The file that sound lies in ends, under a daemon that reads and writes there. */
static void file_shrinks(const void *arg)
{
	const uint32_t stream = *(const uint32_t *)arg;
	const struct guest_region *left = &hx.guest.regions[LEFT_REGION];
	int tickets[MESSAGES];

	for (enum state state = PREPARED; state < STATES; state++) {
		get_under_way(stream, state, LEFT_GPA, tickets);
		assert_ok(ftruncate(left->fd, 0));
		if (state != PLAYING)
			assert_int_equal(snd_start(&hx.snd, stream), OK);
		for (int i = state == PLAYING; i < MESSAGES; i++) {
			struct snd_done done;

			assert_true(snd_driver_finish(&hx.snd, tickets[i], &done) >= OK);
		}
		expect_back(sound_send(stream, LONG), OK);
		assert_ok(ftruncate(left->fd, (off_t)(left->mmap_offset + left->size)));
		assert_ok(frontend_remove_region(&hx.fe, left));
		assert_ok(frontend_add_region(&hx.fe, left));
	}
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"RELEASE of tx that was not kicked for", RUNNING, released, &both[0]},
	{"RELEASE of rx that was not kicked for", RUNNING, released, &both[1]},
	{"RESET_DEVICE again and again", RUNNING, reset_again_and_again},
	{"twenty front-ends", RUNNING, twenty_frontends},
	{"tx for hours, forgotten with its ring", RUNNING, forgotten_messages, &both[0]},
	{"rx for hours, forgotten with its ring", RUNNING, forgotten_messages, &both[1]},
	{"a region that goes while it plays", RUNNING, region_removed, &both[0]},
	{"a region that goes while it records", RUNNING, region_removed, &both[1]},
	{"tx in no memory while it plays", RUNNING, message_in_no_memory, &both[0]},
	{"rx in no memory while it records", RUNNING, message_in_no_memory, &both[1]},
	{"tables that change while it plays", RUNNING, table_changed, &both[0]},
	{"tables that change while it records", RUNNING, table_changed, &both[1]},
	{"a file that shrinks while it plays", RUNNING, file_shrinks, &both[0]},
	{"a file that shrinks while it records", RUNNING, file_shrinks, &both[1]},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	HOSTILE_ADD_TABLE(&list, endings, RUNNING, ending);
	HOSTILE_ADD_TABLE(&list, pauses, RUNNING, go_on);
	hostile_add(&list, plain, COUNT(plain));
	return hostile_main(argc, argv, list.cases, list.n);
}
