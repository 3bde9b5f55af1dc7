/* SPDX-License-Identifier: MIT */
/*
 * Requests and messages of any bytes to virtio-sound, through rings that are in order, with graphs
 * whose cycles come when the input says so, on a clock that the input moves. Between them: pauses,
 * resets, memory that goes.
 *
 * An input: a byte of flags, then records, each of a byte that says which and its fields.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_ring.h>

#include "common/bytes.h"
#include "fuzz.h"
#include "rings.h"
#include "sound/device.h"

enum { RECORDS_MAX = 200, PLAYBACK = 2, CAPTURE = 2, STREAMS = PLAYBACK + CAPTURE };
enum { GRAPH_FRAMES = 4096, LAPSE_US = 100, STATUS = sizeof(struct virtio_snd_pcm_status) };

enum flags { FLAG_EVENT_IDX = 1, FLAG_NO_CONTROLS = 2, FLAG_NO_JACKS = 4, FLAG_NO_CTLS = 8 };

enum record {
	CONTROL,
	REQUEST, // as CONTROL, but one that is in order
	EVENT,
	TX,
	RX,
	TURN,
	LAPSE,
	CYCLE,
	GRAPHS, // a cycle of all
	LEVEL,
	PRESENT,
	NO_MEMORY,
	PAUSE,
	RESET,
	RECORDS
};

/* ---- time ---- */

/*
 * Each look at the clock moves it by a microsecond: nobody waits for it in vain. Timers expire when an
 * input lets time pass.
 */
static int64_t now;
static struct loop_timer *timer;

int64_t __wrap_loop_now(void);
int __wrap_loop_timer_init(struct loop *loop, struct loop_timer *t);
void __wrap_loop_timer_set(struct loop_timer *t, int64_t at);
void __wrap_loop_timer_finish(struct loop_timer *t);

int64_t __wrap_loop_now(void)
{
	return now += 1000;
}

int __wrap_loop_timer_init(struct loop *loop, struct loop_timer *t)
{
	(void)loop;
	FUZZ_CHECK(!timer);
	timer = t;
	t->at = INT64_MAX;
	return 0;
}

void __wrap_loop_timer_set(struct loop_timer *t, int64_t at)
{
	t->at = at;
}

void __wrap_loop_timer_finish(struct loop_timer *t)
{
	FUZZ_CHECK(timer == t);
	timer = NULL;
}

/* ---- graphs ---- */

struct backend_stream {
	struct feed *feed; // NULL: not open
	bool active;
};

struct graphs {
	struct backend backend;
	struct backend_stream streams[STREAMS];
	bool no_memory;
};

static int graph_open(
	struct backend *b, unsigned stream, struct feed *feed, struct backend_stream **out)
{
	struct graphs *g = CONTAINER_OF(b, struct graphs, backend);

	FUZZ_CHECK(stream < STREAMS && !g->streams[stream].feed);
	if (g->no_memory)
		return -ENOMEM;
	g->streams[stream] = (struct backend_stream){.feed = feed};
	*out = &g->streams[stream];
	return 0;
}

static void graph_start(struct backend_stream *s)
{
	FUZZ_CHECK(s->feed);
	s->active = true;
}

static void graph_stop(struct backend_stream *s)
{
	FUZZ_CHECK(s->feed && s->active);
	if (s->feed->format.direction == VIRTIO_SND_D_INPUT)
		s->active = false;
}

static void graph_close(struct backend_stream *s)
{
	FUZZ_CHECK(s->feed);
	feed_destroy(s->feed);
	*s = (struct backend_stream){0};
}

static void graph_set_level(struct backend *b, unsigned stream, const struct backend_level *level)
{
	(void)b;
	FUZZ_CHECK(stream < STREAMS && level->volume >= 0 && level->volume <= 1);
}

static void graph_set_role(struct backend *b, unsigned stream, const char *role)
{
	(void)b;
	FUZZ_CHECK(stream < PLAYBACK && role && *role);
}

static const struct backend_ops graph_ops = {
	.open = graph_open,
	.start = graph_start,
	.stop = graph_stop,
	.close = graph_close,
	.set_level = graph_set_level,
	.set_role = graph_set_role,
};

/* ---- one input ---- */

struct run {
	struct rings rings; // first
	struct sound_device dev;
	struct graphs graphs;
	struct fuzz_input in;
};

static bool is_status(uint32_t code)
{
	return code >= VIRTIO_SND_S_OK && code <= VIRTIO_SND_S_IO_ERR;
}

static uint32_t word(const uint8_t *bytes)
{
	__le32 v;

	memcpy(&v, bytes, sizeof(v));
	return le32(v);
}

/* All messages that this stream was given before are back when its release is answered. */
static void check_released(struct rings *r, const struct rings_slot *release)
{
	for (unsigned queue = VIRTIO_SND_VQ_TX; queue <= VIRTIO_SND_VQ_RX; queue++)
		for (unsigned i = 0; i < RINGS_SLOTS; i++) {
			const struct rings_slot *s = &r->rings[queue].slots[i];
			bool its = s->busy && s->len >= 4
				&& word(s->bytes) == word(release->bytes + 4);

			FUZZ_CHECK(!its || s->number > release->number);
		}
}

static void check_control(
	struct rings *r, const struct rings_slot *s, const uint8_t *a, uint32_t len)
{
	FUZZ_CHECK(rings_untouched(a, len));
	if (s->room < 4) {
		FUZZ_CHECK(len == s->room);
		return;
	}
	FUZZ_CHECK(len >= 4 && is_status(word(a)));
	FUZZ_CHECK(len == 4 || word(a) == VIRTIO_SND_S_OK);
	if (s->len >= 8 && word(s->bytes) == VIRTIO_SND_R_PCM_RELEASE && word(a) == VIRTIO_SND_S_OK)
		check_released(r, s);
}

static void check_event(const struct rings_slot *s, const uint8_t *a, uint32_t len)
{
	FUZZ_CHECK(rings_untouched(a, len));
	FUZZ_CHECK(len == 0 || len == sizeof(struct virtio_snd_event));
	if (!len)
		return;
	FUZZ_CHECK(s->room >= len);
	FUZZ_CHECK(word(a) == VIRTIO_SND_EVT_JACK_CONNECTED
		|| word(a) == VIRTIO_SND_EVT_JACK_DISCONNECTED || word(a) == VIRTIO_SND_EVT_PCM_XRUN
		|| word(a) == VIRTIO_SND_EVT_CTL_NOTIFY);
}

/* A status: in front, or at the end, behind all that was recorded or nothing. */
static void check_io(unsigned queue, const struct rings_slot *s, const uint8_t *a, uint32_t len)
{
	uint32_t at = queue == VIRTIO_SND_VQ_RX ? s->room - STATUS : 0;
	bool ok;

	if (s->room < STATUS) {
		FUZZ_CHECK(len == s->room && rings_untouched(a, len));
		return;
	}
	FUZZ_CHECK(is_status(word(a + at)));
	FUZZ_CHECK(rings_untouched(a, s->room));
	ok = word(a + at) == VIRTIO_SND_S_OK;
	FUZZ_CHECK(len == (ok && queue == VIRTIO_SND_VQ_RX ? s->room : STATUS));
}

static void check_answer(struct rings *r, unsigned queue, const struct rings_slot *s,
	const uint8_t *answer, uint32_t len)
{
	if (queue == VIRTIO_SND_VQ_CONTROL)
		check_control(r, s, answer, len);
	else if (queue == VIRTIO_SND_VQ_EVENT)
		check_event(s, answer, len);
	else
		check_io(queue, s, answer, len);
}

static bool same_format(const struct pcm_format *a, const struct pcm_format *b)
{
	return a->format == b->format && a->channels == b->channels && a->frame == b->frame
		&& a->rate == b->rate && a->period == b->period && a->buffer == b->buffer;
}

static void check_streams(const struct run *r)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		const struct pcm *p = &r->dev.streams[i].pcm;
		const struct pcm_io *io;
		unsigned n = 0;

		TAILQ_FOREACH (io, &p->ios, link) {
			FUZZ_CHECK(io->moved <= io->frames && io->end <= p->queued);
			n++;
		}
		FUZZ_CHECK(n == p->n_ios && p->completed <= p->queued);
		FUZZ_CHECK(!p->feed == (p->state == PCM_NEW) || p->state == PCM_SET);
		FUZZ_CHECK(p->feed == r->graphs.streams[i].feed);
		FUZZ_CHECK(!p->feed || same_format(&p->feed->format, &p->format));
	}
}

static void turn(struct run *r, unsigned n)
{
	rings_turn(&r->rings, n);
	check_streams(r);
}

/* ---- records ---- */

/* The fields: where it is cut, room for the answer, how long, the bytes. */
static void submit(struct run *r, unsigned queue)
{
	struct rings_command c = {.cut = fuzz_u8(&r->in)};

	c.no_kick = c.cut & 0x80;
	c.room = fuzz_u16(&r->in) % (RINGS_ROOM_MAX + 1);
	c.len = fuzz_u16(&r->in) % (RINGS_COMMAND_MAX + 1);
	c.bytes = fuzz_take(&r->in, &c.len);
	rings_submit(&r->rings, queue, &c);
	turn(r, 1);
}

/* The fields: which and of which stream, and the parameters. */
static void request(struct run *r)
{
	const uint8_t what = fuzz_u8(&r->in), format = fuzz_u8(&r->in);
	const uint32_t period = fuzz_u8(&r->in),
		       frame = format_bytes(format / 8) * (format % 8 + 1u);
	struct virtio_snd_pcm_set_params m = {
		.hdr.hdr.code = to_le32(VIRTIO_SND_R_PCM_SET_PARAMS + what / 4 % 5),
		.hdr.stream_id = to_le32(what % 4),
		.buffer_bytes = to_le32(frame * period * 4),
		.period_bytes = to_le32(frame * period),
		.features = to_le32(what & 0x80 ? BIT(VIRTIO_SND_PCM_F_EVT_XRUNS)
					| BIT(VIRTIO_SND_PCM_F_MSG_POLLING)
						: 0),
		.channels = format % 8 + 1,
		.format = format / 8,
		.rate = period % VIRTIO_SND_PCM_RATE_COUNT,
	};
	const struct rings_command c = {&m, sizeof(m), UINT32_MAX, 4, false};

	rings_submit(&r->rings, VIRTIO_SND_VQ_CONTROL, &c);
	turn(r, 1);
}

/* Time goes on, and what is due is done at its time. */
static void lapse(struct run *r)
{
	int64_t until = now + (int64_t)fuzz_u16(&r->in) * LAPSE_US * 1000;

	for (unsigned i = 0; i < 200 && timer->at <= until; i++) {
		now = timer->at > now ? timer->at : now;
		timer->at = INT64_MAX;
		timer->expired(timer);
		turn(r, 1);
	}
	now = until > now ? until : now;
}

static void cycle(struct backend_stream *s, uint32_t frames, int64_t delay)
{
	static uint8_t buf[GRAPH_FRAMES * FORMAT_FRAME_MAX];
	const struct feed_cycle c = {.time = now, .frames = frames, .delay = delay};

	if (!s->feed || !s->active)
		return;
	if (s->feed->format.direction == VIRTIO_SND_D_OUTPUT)
		feed_play(s->feed, buf, &c);
	else
		feed_record(s->feed, buf, &c);
}

static void cycles(struct run *r, unsigned which)
{
	uint32_t frames = fuzz_u16(&r->in) % GRAPH_FRAMES;

	for (unsigned i = 0; i < STREAMS; i++)
		if (which == i || which == STREAMS)
			cycle(&r->graphs.streams[i], frames, frames * 1000);
	turn(r, 1);
}

static void backend_says(struct run *r, enum record record)
{
	const struct backend_listener *l = &r->graphs.backend.listener;
	const uint8_t what = fuzz_u8(&r->in);
	const struct backend_level level = {(float)(int8_t)fuzz_u8(&r->in) / 50, what & 0x80};

	if (record == LEVEL)
		l->level(l->arg, what % STREAMS, &level);
	else if (record == PRESENT)
		l->present(l->arg, what & 1, what & 2);
	else
		r->graphs.no_memory = what & 1;
	turn(r, 1);
}

static void reset(struct run *r)
{
	rings_reset(&r->rings);
	for (unsigned i = 0; i < STREAMS; i++)
		FUZZ_CHECK(r->dev.streams[i].pcm.state == PCM_NEW && !r->graphs.streams[i].feed);
	FUZZ_CHECK(timer->at == INT64_MAX);
	rings_start(&r->rings);
}

static void run_record(struct run *r)
{
	const enum record record = fuzz_u8(&r->in) % RECORDS;

	if (record == CONTROL)
		submit(r, VIRTIO_SND_VQ_CONTROL);
	else if (record == REQUEST)
		request(r);
	else if (record <= RX)
		submit(r, record - EVENT + VIRTIO_SND_VQ_EVENT);
	else if (record == TURN)
		turn(r, fuzz_u8(&r->in) % 4);
	else if (record == LAPSE)
		lapse(r);
	else if (record <= GRAPHS)
		cycles(r, record == GRAPHS ? STREAMS : fuzz_u8(&r->in) % STREAMS);
	else if (record <= NO_MEMORY)
		backend_says(r, record);
	else if (record == RESET)
		reset(r);
	else {
		rings_stop(&r->rings);
		rings_start(&r->rings);
	}
}

static void init(struct run *r, uint8_t flags)
{
	const struct card_config config = {
		PLAYBACK, CAPTURE, !(flags & FLAG_NO_JACKS), !(flags & FLAG_NO_CONTROLS)};
	uint64_t features = flags & FLAG_EVENT_IDX ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0;

	now = 1000000000;
	r->graphs.backend.ops = &graph_ops;
	r->rings.n = SOUND_QUEUES;
	r->rings.check = check_answer;
	rings_init(&r->rings, NULL, NULL);
	FUZZ_CHECK(sound_device_init(&r->dev, r->rings.rig.loop, &config, &r->graphs.backend) == 0);
	rig_serve(&r->rings.rig, &r->dev.vhu_device, &r->dev);
	rings_begin(&r->rings, features | (flags & FLAG_NO_CTLS ? 0 : BIT(VIRTIO_SND_F_CTLS)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;

	r = (struct run){.in = {data, size}};
	init(&r, fuzz_u8(&r.in));
	for (unsigned i = 0; r.in.left && i < RECORDS_MAX; i++)
		run_record(&r);
	rings_end(&r.rings);
	check_streams(&r);
	sound_device_finish(&r.dev);
	FUZZ_CHECK(!timer);
	rings_finish(&r.rings);
	return 0;
}
