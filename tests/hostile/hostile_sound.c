/* SPDX-License-Identifier: MIT */
/* Control requests of virtio-sound that are short, unknown, out of turn, or about no such stream. */
#include "on_sound.h"

#include <stdio.h>
#include <string.h>

/* Any bytes as a request. Returns the status. */
static int run(const void *bytes, size_t len, uint32_t room)
{
	return snd_driver_run(&hx.snd, bytes, len, room);
}

/* ---- what there is ---- */

struct request {
	const char *name;
	uint32_t code;
	uint32_t size;     // so many bytes are needed
	uint32_t words[6]; // behind the code, for an answer that is OK
	uint32_t room;     // that this answer fills
};

#define S16_STEREO (2 | VIRTIO_SND_PCM_FMT_S16 << 8 | VIRTIO_SND_PCM_RATE_48000 << 16)
#define ITEM(type) (4 + sizeof(type))

/* The first words are start, count and size of an item; a jack, stream or element elsewhere. */
static const struct request requests[] = {
	{"JACK_INFO", VIRTIO_SND_R_JACK_INFO, 16, {0, 1, 24}, ITEM(struct virtio_snd_jack_info)},
	{"JACK_REMAP", VIRTIO_SND_R_JACK_REMAP, 16, {0, 1, 2}, 4},
	{"PCM_INFO", VIRTIO_SND_R_PCM_INFO, 16, {0, 1, 32}, ITEM(struct virtio_snd_pcm_info)},
	{"PCM_SET_PARAMS", VIRTIO_SND_R_PCM_SET_PARAMS, 24, {0, BUFFER, PERIOD, 0, S16_STEREO}, 4},
	{"PCM_PREPARE", VIRTIO_SND_R_PCM_PREPARE, 8, {0}, 4},
	{"PCM_RELEASE", VIRTIO_SND_R_PCM_RELEASE, 8, {0}, 4},
	{"PCM_START", VIRTIO_SND_R_PCM_START, 8, {0}, 4},
	{"PCM_STOP", VIRTIO_SND_R_PCM_STOP, 8, {0}, 4},
	{"CHMAP_INFO", VIRTIO_SND_R_CHMAP_INFO, 16, {0, 1, 24}, ITEM(struct virtio_snd_chmap_info)},
	{"CTL_INFO", VIRTIO_SND_R_CTL_INFO, 16, {0, 1, sizeof(struct virtio_snd_ctl_info)},
		ITEM(struct virtio_snd_ctl_info)},
	{"CTL_ENUM_ITEMS", VIRTIO_SND_R_CTL_ENUM_ITEMS, 8, {ROLE}, 4 + 7 * 64},
	{"CTL_READ", VIRTIO_SND_R_CTL_READ, 8, {VOLUME}, ITEM(struct virtio_snd_ctl_value)},
	{"CTL_WRITE", VIRTIO_SND_R_CTL_WRITE, 12, {VOLUME, 100}, 4},
	{"CTL_TLV_READ", VIRTIO_SND_R_CTL_TLV_READ, 8, {VOLUME}, 4 + 16},
};

/* The stream is where this request is in its turn. */
static void get_ready(const struct request *r)
{
	if (r->code == VIRTIO_SND_R_PCM_STOP)
		sound_start(PLAYS);
	else
		sound_prepare(PLAYS);
}

/* Its bytes, and as many zeros behind them. */
static int ask(const struct request *r, size_t len, uint32_t room)
{
	uint8_t bytes[1024] = {0};

	memcpy(bytes, &r->code, sizeof(r->code));
	memcpy(bytes + sizeof(r->code), r->words, sizeof(r->words));
	return run(bytes, len, room);
}

/* A byte too little is too little; more than enough does no harm. */
static void sizes(const void *arg)
{
	const struct request *r = arg;
	static const uint32_t more[] = {0, 1, 3, 500, 900};

	for (uint32_t len = 0; len < r->size; len++) {
		get_ready(r);
		assert_int_equal(ask(r, len, 1024), BAD_MSG);
		assert_int_equal(hx.snd.resp_len, 4);
	}
	for (size_t i = 0; i < COUNT(more); i++) {
		get_ready(r);
		assert_int_equal(ask(r, r->size + more[i], 1024), OK);
		assert_int_equal(hx.snd.resp_len, r->room);
	}
}

static void pieces(const void *arg)
{
	const struct request *r = arg;

	for (uint32_t piece = 1; piece < r->size + 2; piece++) {
		hx.snd.piece = piece;
		for (int indirect = 0; indirect < 2; indirect++) {
			hx.snd.indirect = indirect;
			get_ready(r);
			assert_int_equal(ask(r, r->size - 1, 1024), BAD_MSG);
			get_ready(r);
			assert_int_equal(ask(r, r->size, 1024), OK);
		}
	}
}

/* The request is done, and as much is said of it as there is room for. */
static void little_room(const void *arg)
{
	static const uint8_t status[] = {0, 0x80, 0, 0};
	const struct request *r = arg;

	for (uint32_t room = 0; room < sizeof(status); room++) {
		get_ready(r);
		assert_int_equal(ask(r, r->size, room), 0);
		assert_int_equal(hx.snd.resp_len, room);
		if (room && r->size != 16) // a query's answer is refused, that is
			assert_memory_equal(hx.snd.resp, status, room);
	}
	for (uint32_t room = sizeof(status); room < r->room; room++) {
		int rc = ask(r, r->size, room);

		assert_int_equal(rc, r->size == 16 ? BAD_MSG : OK);
		assert_int_equal(hx.snd.resp_len, rc == OK ? room : 4);
	}
}

static bool is_request(uint32_t code)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		if (requests[i].code == code)
			return true;
	return code == VIRTIO_SND_R_CTL_TLV_WRITE || code == VIRTIO_SND_R_CTL_TLV_COMMAND;
}

static void unknown_codes(const void *arg)
{
	uint8_t bytes[256] = {0};

	(void)arg;
	for (uint32_t code = 0; code < 0x9000; code += code < 0x1300 ? 1 : 0x55) {
		memcpy(bytes, &code, sizeof(code));
		if (!is_request(code))
			assert_int_equal(run(bytes, sizeof(bytes), 64), NOT_SUPP);
	}
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(run(bytes, sizeof(bytes), 64), NOT_SUPP);
	assert_int_equal(run(bytes, 4, 4), NOT_SUPP);
	for (uint32_t len = 0; len < 4; len++)
		assert_int_equal(run(bytes, len, 4), BAD_MSG);
}

/* As many as the ring can hold, and then they are answered. */
static void flood(const void *arg)
{
	const uint32_t codes[] = {VIRTIO_SND_R_PCM_PREPARE, 0x999, VIRTIO_SND_R_PCM_START};
	int tickets[RING_NUM / 2];

	(void)arg;
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < COUNT(tickets); i++) {
			const uint32_t m[2] = {codes[i % 3], (uint32_t)i};

			tickets[i] = snd_driver_submit(&hx.snd, m, sizeof(m), 4);
			assert_true(tickets[i] >= 0);
		}
		for (size_t i = 0; i < COUNT(tickets); i++)
			assert_true(snd_driver_collect(&hx.snd, tickets[i]) > OK);
	}
}

/* ---- queries ---- */

struct query {
	const char *name;
	bool from_end, all; // start counts from the number of items, count is that and more
	uint32_t start, count;
	uint32_t size; // of an item, 0: the right one
	int answer;
};

#define NO_BYTES 0x5a5a5a5a /* as a size: 0 */

static const struct query queries[] = {
	{"a query of all", false, true, 0, 0, 0, OK},
	{"a query of none", false, false, 0, 0, 0, OK},
	{"a query of the last one", true, false, ~0u, 1, 0, OK},
	{"a query of none behind the last", true, false, 0, 0, 0, OK},
	{"a query of one behind the last", true, false, 0, 1, 0, BAD_MSG},
	{"a query of none far behind", true, false, 1, 0, 0, BAD_MSG},
	{"a query of one more than there are", false, true, 0, 1, 0, BAD_MSG},
	{"a query of all from the second on", false, true, 1, 0, 0, BAD_MSG},
	{"a query from the end of 32 bits", false, false, ~0u, 1, 0, BAD_MSG},
	{"a query that wraps to the first", false, false, ~0u, 2, 0, BAD_MSG},
	{"a query that wraps to all", false, true, ~0u, 1, 0, BAD_MSG},
	{"a query of 4 Gi - 1 items", false, false, 0, ~0u, 0, BAD_MSG},
	{"a query of 2 Gi items of 2 bytes", false, false, 0, 1u << 31, 2, BAD_MSG},
	{"a query of 1 Gi items of 4 bytes", false, false, 0, 1u << 30, 4, BAD_MSG},
	{"a query of items of no bytes", false, true, 0, 0, NO_BYTES, BAD_MSG},
	{"a query of items of a byte", false, true, 0, 0, 1, BAD_MSG},
	{"a query of items of 3 bytes", false, true, 0, 0, 3, BAD_MSG},
	{"a query of items of 4 bytes", false, true, 0, 0, 4, OK},
	{"a query of items of 5 bytes", false, true, 0, 0, 5, OK},
	{"a query of items of 256 bytes", false, true, 0, 0, 256, OK},
	{"a query of items of 257 bytes", false, true, 0, 0, 257, BAD_MSG},
	{"a query of none of 257 bytes", false, false, 0, 0, 257, BAD_MSG},
	{"a query of items of 4 GiB - 1", false, false, 0, 1, ~0u, BAD_MSG},
	{"a query of items whose size wraps", false, false, 0, 2, 1u << 31, BAD_MSG},
};

static void query(const void *arg)
{
	static const struct {
		uint32_t code, n, size;
	} kinds[] = {
		{VIRTIO_SND_R_JACK_INFO, JACKS, sizeof(struct virtio_snd_jack_info)},
		{VIRTIO_SND_R_PCM_INFO, STREAMS, sizeof(struct virtio_snd_pcm_info)},
		{VIRTIO_SND_R_CHMAP_INFO, CHMAPS, sizeof(struct virtio_snd_chmap_info)},
		{VIRTIO_SND_R_CTL_INFO, CONTROLS, sizeof(struct virtio_snd_ctl_info)},
	};
	const struct query *q = arg;

	for (size_t i = 0; i < COUNT(kinds); i++) {
		uint32_t n = kinds[i].n, size = q->size ? q->size : kinds[i].size;
		uint32_t start = q->start + (q->from_end ? n : 0);
		uint32_t count = q->count + (q->all ? n : 0);

		size = size == NO_BYTES ? 0 : size;
		assert_int_equal(snd_query(&hx.snd, kinds[i].code, start, count, size), q->answer);
		assert_int_equal(hx.snd.resp_len, q->answer == OK ? 4 + count * size : 4);
	}
}

/* ---- parameters of a stream ---- */

struct params {
	const char *name;
	struct snd_params p;
	int answer;
};

enum {
	S16 = VIRTIO_SND_PCM_FMT_S16,
	R48 = VIRTIO_SND_PCM_RATE_48000,
	F64 = VIRTIO_SND_PCM_FMT_FLOAT64,
	XRUNS = 1 << VIRTIO_SND_PCM_F_EVT_XRUNS,
};

static const struct params params[] = {
	{"a period of 0", {BUFFER, 0, 0, 2, S16, R48}, BAD_MSG},
	{"a buffer of 0", {0, PERIOD, 0, 2, S16, R48}, BAD_MSG},
	{"neither period nor buffer", {0, 0, 0, 2, S16, R48}, BAD_MSG},
	{"a period of a byte", {BUFFER, 1, 0, 2, S16, R48}, BAD_MSG},
	{"a period of half a frame", {BUFFER, 2, 0, 2, S16, R48}, BAD_MSG},
	{"a period of a frame", {BUFFER, 4, 0, 2, S16, R48}, OK},
	{"a period of a frame and a half", {BUFFER, 6, 0, 2, S16, R48}, BAD_MSG},
	{"a period larger than the buffer", {PERIOD, BUFFER, 0, 2, S16, R48}, BAD_MSG},
	{"a buffer of one period", {PERIOD, PERIOD, 0, 2, S16, R48}, OK},
	{"a buffer of one frame", {4, 4, 0, 2, S16, R48}, OK},
	{"a buffer of a period and a half", {PERIOD * 3 / 2, PERIOD, 0, 2, S16, R48}, BAD_MSG},
	{"a buffer of a byte more", {BUFFER + 1, PERIOD, 0, 2, S16, R48}, BAD_MSG},
	{"a buffer of 4 GiB - 4", {~3u, 4, 0, 2, S16, R48}, OK},
	{"a buffer of 4 GiB - 1", {~0u, PERIOD, 0, 2, S16, R48}, BAD_MSG},
	{"a period of 4 GiB - 4", {~3u, ~3u, 0, 2, S16, R48}, OK},
	{"a period of 4 GiB - 1", {~0u, ~0u, 0, 2, S16, R48}, BAD_MSG},
	{"a period of 4 GiB - 1 of bytes", {~0u, ~0u, 0, 1, VIRTIO_SND_PCM_FMT_U8, R48}, OK},
	{"a period of 2 GiB", {1u << 31, 1u << 31, 0, 8, F64, VIRTIO_SND_PCM_RATE_384000}, OK},
	{"shared memory of the host", {BUFFER, PERIOD, 1, 2, S16, R48}, NOT_SUPP},
	{"shared memory of the guest", {BUFFER, PERIOD, 2, 2, S16, R48}, NOT_SUPP},
	{"events of shared memory", {BUFFER, PERIOD, 8 | XRUNS, 2, S16, R48}, NOT_SUPP},
	{"the highest feature", {BUFFER, PERIOD, 1u << 31, 2, S16, R48}, NOT_SUPP},
	{"all features", {BUFFER, PERIOD, ~0u, 2, S16, R48}, NOT_SUPP},
	{"nothing but zeros", {0}, NOT_SUPP},
	{"nothing but ones", {~0u, ~0u, ~0u, 255, 255, 255}, NOT_SUPP},
	{"the highest of all", {~0u, ~0u, XRUNS, 255, 255, 255}, NOT_SUPP},
};

/* What was set before stays when other parameters are refused. */
static void set_params(const void *arg)
{
	const struct params *row = arg;

	for (uint32_t stream = 0; stream < STREAMS; stream++) {
		assert_int_equal(snd_prepare(&hx.snd, stream), BAD_MSG);
		assert_int_equal(snd_set_params(&hx.snd, stream, &row->p), row->answer);
		assert_int_equal(snd_prepare(&hx.snd, stream), row->answer == OK ? OK : BAD_MSG);
		assert_int_equal(snd_set_params(&hx.snd, stream, &sound_params), OK);
		assert_int_equal(snd_prepare(&hx.snd, stream), OK);
		assert_int_equal(snd_set_params(&hx.snd, stream, &row->p), row->answer);
		assert_int_equal(snd_start(&hx.snd, stream), row->answer == OK ? BAD_MSG : OK);
		sound_end(stream);
	}
}

/* Those that PCM_INFO offers are taken, and no others. */
static void every_value(const void *arg)
{
	struct virtio_snd_pcm_info info;

	(void)arg;
	assert_int_equal(snd_pcm_info(&hx.snd, PLAYS, 1, &info), OK);
	for (unsigned i = 0; i < 256; i++) {
		struct snd_params format = sound_params, rate = sound_params;
		struct snd_params channels = sound_params;

		format.format = rate.rate = channels.channels = (uint8_t)i;
		channels.period_bytes = channels.buffer_bytes = 1680;
		assert_int_equal(snd_set_params(&hx.snd, PLAYS, &format),
			i < 64 && info.formats >> i & 1 ? OK : NOT_SUPP);
		assert_int_equal(snd_set_params(&hx.snd, PLAYS, &rate),
			i < 64 && info.rates >> i & 1 ? OK : NOT_SUPP);
		assert_int_equal(snd_set_params(&hx.snd, PLAYS, &channels),
			i >= info.channels_min && i <= info.channels_max ? OK : NOT_SUPP);
	}
	for (unsigned bit = 0; bit < 32; bit++) {
		struct snd_params p = sound_params;

		p.features = 1u << bit;
		assert_int_equal(snd_set_params(&hx.snd, PLAYS, &p),
			info.features >> bit & 1 ? OK : NOT_SUPP);
	}
	assert_false(info.formats >> VIRTIO_SND_PCM_FMT_S20 & 1);
	assert_false(info.formats >> VIRTIO_SND_PCM_FMT_IMA_ADPCM & 1);
	assert_false(info.formats >> VIRTIO_SND_PCM_FMT_DSD_U8 & 1);
}

/* ---- what comes in its turn, and what does not ---- */

enum state { NEW, SET, PREPARED, RUNNING_NOW, STOPPED, REFUSED };

static int change(uint32_t stream, unsigned which)
{
	switch (which) {
	case 0:
		return snd_set_params(&hx.snd, stream, &sound_params);
	case 1:
		return snd_prepare(&hx.snd, stream);
	case 2:
		return snd_start(&hx.snd, stream);
	case 3:
		return snd_stop(&hx.snd, stream);
	default:
		return snd_release(&hx.snd, stream);
	}
}

/* Each of the five requests behind each sequence of four. */
static void every_turn(const void *arg)
{
	static const uint8_t next[][5] = {
		[NEW] = {SET, REFUSED, REFUSED, REFUSED, REFUSED},
		[SET] = {SET, PREPARED, REFUSED, REFUSED, SET},
		[PREPARED] = {SET, PREPARED, RUNNING_NOW, REFUSED, SET},
		[RUNNING_NOW] = {REFUSED, REFUSED, REFUSED, STOPPED, REFUSED},
		[STOPPED] = {SET, PREPARED, RUNNING_NOW, REFUSED, SET},
	};
	const uint32_t stream = *(const uint32_t *)arg;
	unsigned state = NEW;

	for (unsigned i = 0; i < 3125; i++)
		for (unsigned digits = i, n = 0; n < 5; n++, digits /= 5) {
			unsigned after = next[state][digits % 5];

			assert_int_equal(
				change(stream, digits % 5), after == REFUSED ? BAD_MSG : OK);
			state = after == REFUSED ? state : after;
		}
}

static const uint32_t directions[] = {PLAYS_TOO, RECORDS_TOO};

/* Refused where there is nothing to begin with, and again after a reset. */
static void new_streams(const void *arg)
{
	(void)arg;
	for (int round = 0; round < 2; round++) {
		for (uint32_t stream = 0; stream < STREAMS; stream++) {
			for (unsigned which = 1; which < 5; which++)
				assert_int_equal(change(stream, which), BAD_MSG);
			for (unsigned which = 0; which < 3; which++)
				assert_int_equal(change(stream, which), OK);
		}
		assert_ok(frontend_reset_device(&hx.fe));
		hostile_start_rings();
		snd_driver_reset(&hx.snd);
	}
}

static void no_such_stream(const void *arg)
{
	static const uint32_t wrong[] = {STREAMS, STREAMS + 1, 63, 64, 255, 256, 1u << 31, ~0u};

	(void)arg;
	for (size_t i = 0; i < COUNT(wrong); i++)
		for (unsigned which = 0; which < 5; which++)
			assert_int_equal(change(wrong[i], which), BAD_MSG);
}

/* Other parameters each time, before what went before is over: nothing piles up. */
static void changed_again_and_again(const void *arg)
{
	int n = child_count_fds(&hx.child);
	struct snd_params p = sound_params;
	long rss = 0;

	(void)arg;
	for (unsigned i = 0; i < 4000; i++) {
		p.channels = (uint8_t)(i % 8 + 1);
		p.period_bytes = p.buffer_bytes = 1680;
		assert_int_equal(snd_set_params(&hx.snd, i % STREAMS, &p), OK);
		assert_int_equal(snd_prepare(&hx.snd, i % STREAMS), OK);
		assert_int_equal(snd_start(&hx.snd, i % STREAMS), OK);
		assert_int_equal(snd_stop(&hx.snd, i % STREAMS), OK);
		if (i == 1000)
			rss = child_rss_kib(&hx.child);
	}
	expect_fds(n);
	assert_true(child_rss_kib(&hx.child) - rss < 16384);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"every unknown code", RUNNING, unknown_codes},
	{"requests in floods", RUNNING, flood},
	{"every format, rate, number of channels, feature", RUNNING, every_value},
	{"every order of a playback stream's requests", RUNNING, every_turn, &directions[0]},
	{"every order of a capture stream's requests", RUNNING, every_turn, &directions[1]},
	{"requests to new streams", RUNNING, new_streams},
	{"streams that are not there", RUNNING, no_such_stream},
	{"parameters changed 4000 times", RUNNING, changed_again_and_again},
};

static struct hostile_list list;

static void add_request_cases(const struct request *r)
{
	static char names[3 * COUNT(requests)][48];
	static char(*name)[48] = names;
	struct hostile_case cases[3] = {
		{.run = sizes, .name = "in every size"},
		{.run = little_room, .name = "without room for an answer"},
		{.run = pieces, .name = "in pieces"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(*name, sizeof(*name), "%s %s", r->name, cases[i].name);
		cases[i].name = *name++;
		cases[i].stage = RUNNING;
		cases[i].arg = r;
	}
	hostile_add(&list, cases, COUNT(cases));
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		add_request_cases(&requests[i]);
	HOSTILE_ADD_TABLE(&list, queries, RUNNING, query);
	HOSTILE_ADD_TABLE(&list, params, RUNNING, set_params);
	hostile_add(&list, plain, COUNT(plain));
	return hostile_main(argc, argv, list.cases, list.n);
}
