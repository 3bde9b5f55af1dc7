/* SPDX-License-Identifier: MIT */
/*
 * Requests of any bytes to virtio-video, through rings that are in order, with codecs that answer what
 * the input says, be it asked or not, late or never. Between them: pauses, resets, memory that goes.
 *
 * An input: a byte of flags, then records, each of a byte that says which and its fields.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <linux/virtio_ring.h>

#include "common/bytes.h"
#include "fuzz.h"
#include "protocols/virtio_video_v3.h"
#include "rings.h"
#include "video/device.h"

enum { RECORDS_MAX = 200, STREAMS = 4, ASKED = 64, HEADER = 8, EVENT = 8 };

enum flags { FLAG_EVENT_IDX = 1, FLAG_ONE_CODEC = 2 };

enum record {
	COMMAND,
	REQUEST, // as COMMAND, but one that is in order
	EVENT_BUFFER,
	TURN,
	DONE,     // what was asked, in its order
	RETURNED, // what is queued
	FORMAT,
	ANY_ANSWER,
	LOST,
	NO_ENGINE,
	MEMORY,
	PAUSE,
	RESET,
	RECORDS
};

/* ---- codecs ---- */

struct codec {
	struct engine *engine;
	uint32_t seq;
	struct {
		uint32_t what, seq, queue, res;
	} asked[ASKED]; // a ring: the last ones
	uint32_t next;  // to be answered
	uint32_t n;
};

static struct codec codecs[VIDEO_STREAMS_MAX];
static bool no_engine;

static struct codec *codec_of(const struct engine *e)
{
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++)
		if (codecs[i].engine == e)
			return &codecs[i];
	return NULL;
}

int __wrap_engine_start(struct engine *e, struct loop *loop, struct nursery *n, struct gmem *mem);
void __wrap_engine_finish(struct engine *e);
int __wrap_engine_ask(struct engine *e, struct engine_message *m, int fd);
int __wrap_engine_ask_resource(struct engine *e, uint32_t queue, uint32_t res,
	const struct engine_entry *entries, size_t n, uint32_t *seq);
void __wrap_engine_set_memory(struct engine *e, struct gmem *mem);

int __wrap_engine_start(struct engine *e, struct loop *loop, struct nursery *n, struct gmem *mem)
{
	struct codec *c = codec_of(NULL);

	(void)loop;
	(void)n;
	(void)mem;
	FUZZ_CHECK(e && e->heard && e->lost && !codec_of(e));
	if (no_engine)
		return -ENOMEM;
	FUZZ_CHECK(c);
	*c = (struct codec){.engine = e};
	return 0;
}

void __wrap_engine_finish(struct engine *e)
{
	struct codec *c = codec_of(e);

	FUZZ_CHECK(c);
	c->engine = NULL;
}

static int ask(struct engine *e, uint32_t what, uint32_t queue, uint32_t res, uint32_t *seq)
{
	struct codec *c = codec_of(e);

	FUZZ_CHECK(c && what < ENGINE_REQUESTS && queue < ENGINE_QUEUES);
	if (no_engine)
		return -ENOBUFS;
	*seq = ++c->seq;
	c->asked[c->n % ASKED].what = what;
	c->asked[c->n % ASKED].seq = c->seq;
	c->asked[c->n % ASKED].queue = queue;
	c->asked[c->n++ % ASKED].res = res;
	return 0;
}

int __wrap_engine_ask(struct engine *e, struct engine_message *m, int fd)
{
	FUZZ_CHECK(fd == -1);
	FUZZ_CHECK(m->what != ENGINE_QUEUE || m->buffer.size <= ENGINE_UNIT_MAX);
	FUZZ_CHECK(m->what != ENGINE_OUTPUT || (m->output.serial && m->output.stride[0]));
	return ask(e, m->what, m->queue, m->res, &m->seq);
}

int __wrap_engine_ask_resource(struct engine *e, uint32_t queue, uint32_t res,
	const struct engine_entry *entries, size_t n, uint32_t *seq)
{
	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(entries[i].len);
	return ask(e, ENGINE_RESOURCE, queue, res, seq);
}

void __wrap_engine_set_memory(struct engine *e, struct gmem *mem)
{
	FUZZ_CHECK(codec_of(e) && mem);
}

/* ---- one input ---- */

struct run {
	struct rings rings; // first
	struct video_device dev;
	struct fuzz_input in;
	bool memory_gone;
};

static uint32_t word(const uint8_t *bytes)
{
	__le32 v;

	memcpy(&v, bytes, sizeof(v));
	return le32(v);
}

/* What of this stream (and queue; 0: both) was asked before is back. */
static void check_all_back(struct rings *r, const struct rings_slot *by, uint32_t queue)
{
	for (unsigned i = 0; i < RINGS_SLOTS; i++) {
		const struct rings_slot *s = &r->rings[VIRTIO_VIDEO_VQ_COMMAND].slots[i];
		bool its = s->busy && s->len >= 12
			&& word(s->bytes) == VIRTIO_VIDEO_CMD_RESOURCE_QUEUE
			&& word(s->bytes + 4) == word(by->bytes + 4)
			&& (!queue || word(s->bytes + 8) == queue);

		FUZZ_CHECK(!its || s->number > by->number);
	}
}

static void check_command(
	struct rings *r, const struct rings_slot *s, const uint8_t *a, uint32_t len)
{
	static const uint32_t lengths[] = {HEADER, 0, 24, 120, 0, 16}; // 0: of its own
	uint32_t type;

	FUZZ_CHECK(rings_untouched(a, len));
	if (s->room < HEADER) {
		FUZZ_CHECK(len == s->room);
		return;
	}
	FUZZ_CHECK(len >= HEADER);
	type = word(a);
	FUZZ_CHECK(s->len < HEADER || word(a + 4) == word(s->bytes + 4));
	if (type >= VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION) {
		FUZZ_CHECK(type <= VIRTIO_VIDEO_RESP_ERR_UNSUPPORTED_CONTROL && len == HEADER);
		return;
	}
	type -= VIRTIO_VIDEO_RESP_OK_NODATA;
	FUZZ_CHECK(type < ARRAY_SIZE(lengths));
	FUZZ_CHECK(!lengths[type] || len == min_u64(lengths[type], s->room));
	if (word(s->bytes) == VIRTIO_VIDEO_CMD_QUEUE_CLEAR
		|| word(s->bytes) == VIRTIO_VIDEO_CMD_RESOURCE_DESTROY_ALL)
		check_all_back(r, s, word(s->bytes + 8));
	if (word(s->bytes) == VIRTIO_VIDEO_CMD_STREAM_DESTROY)
		check_all_back(r, s, 0);
}

static void check_answer(struct rings *r, unsigned queue, const struct rings_slot *s,
	const uint8_t *answer, uint32_t len)
{
	if (queue == VIRTIO_VIDEO_VQ_COMMAND) {
		check_command(r, s, answer, len);
		return;
	}
	FUZZ_CHECK(rings_untouched(answer, len) && (len == 0 || len == EVENT));
	FUZZ_CHECK(!len || word(answer) == VIRTIO_VIDEO_EVENT_ERROR
		|| word(answer) == VIRTIO_VIDEO_EVENT_DECODER_RESOLUTION_CHANGED);
}

static uint32_t check_queue(const struct video_queue_state *q)
{
	const struct video_resource *res;
	uint32_t entries = 0;
	unsigned n = 0, queued = 0;

	TAILQ_FOREACH (res, &q->resources, link) {
		entries += res->n_entries;
		queued += res->queued;
		n++;
		FUZZ_CHECK(!res->cmd || res->queued);
	}
	FUZZ_CHECK(n == q->n && n <= VIDEO_RESOURCES_MAX);
	TAILQ_FOREACH (res, &q->queued, queued_link) {
		FUZZ_CHECK(res->queued && queued);
		queued--;
	}
	FUZZ_CHECK(!queued);
	return entries;
}

static void check_streams(const struct run *r)
{
	const struct video_stream *s;
	uint32_t entries = 0;
	unsigned n = 0;

	LIST_FOREACH (s, &r->dev.streams, link) {
		FUZZ_CHECK(s->open == !!codec_of(&s->engine));
		FUZZ_CHECK(video_is_raw(s->raw) && video_is_coded(s->coded));
		for (unsigned q = 0; q < VIDEO_QUEUES; q++)
			entries += check_queue(&s->queues[q]);
		n++;
	}
	FUZZ_CHECK(n == r->dev.n_streams && entries == r->dev.n_entries);
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

union request {
	struct virtio_video_cmd_hdr hdr;
	struct virtio_video_queue_cmd queue;
	struct virtio_video_stream_create create;
	struct {
		struct virtio_video_resource_create c;
		struct virtio_video_mem_entry entries[2];
	} resource;
	struct virtio_video_resource_queue buffer;
	struct virtio_video_params_cmd params;
};

/* The fields: which and of which stream; queue, resource and what is special. */
static void request(struct run *r)
{
	const uint8_t what = fuzz_u8(&r->in), more = fuzz_u8(&r->in), size = fuzz_u8(&r->in);
	const uint32_t type = VIRTIO_VIDEO_CMD_QUERY_CAPABILITY + what / STREAMS % VIDEO_WHATS;
	const __le32 queue = to_le32(VIRTIO_VIDEO_QUEUE_TYPE_INPUT + more % 2);
	union request m = {.hdr = {to_le32(type), to_le32(what % STREAMS)}};
	const struct rings_command c = {&m, sizeof(m), UINT32_MAX, RINGS_ROOM_MAX, false};

	if (type == VIRTIO_VIDEO_CMD_STREAM_CREATE) {
		m.create.coded_format = to_le32(VIRTIO_VIDEO_FORMAT_MPEG2 + more % 6);
	} else if (type == VIRTIO_VIDEO_CMD_RESOURCE_CREATE) {
		m.resource.c.queue_type = queue;
		m.resource.c.resource_id = to_le32(more / 2 % 4);
		m.resource.c.planes_layout = to_le32(1 + more / 8 % 2);
		m.resource.c.num_planes = to_le32(1 + more / 8 % 2);
		m.resource.c.num_entries[0] = m.resource.c.num_entries[1] = to_le32(1);
		for (unsigned i = 0; i < 2; i++)
			m.resource.entries[i] = (struct virtio_video_mem_entry){
				to_le64(RIG_GPA_HIGH + more), to_le32(size * 64u)};
	} else if (type == VIRTIO_VIDEO_CMD_RESOURCE_QUEUE) {
		m.buffer.queue_type = queue;
		m.buffer.resource_id = to_le32(more / 2 % 4);
		m.buffer.num_data_sizes = to_le32(1);
		m.buffer.data_sizes[0] = to_le32(size);
	} else if (type == VIRTIO_VIDEO_CMD_SET_PARAMS) {
		m.params.params.queue_type = queue;
		m.params.params.format = to_le32(more % 2 ? 3 + more / 2 % 2 : 0x1000 + more % 6);
		m.params.params.frame_width = m.params.params.frame_height = to_le32(size);
		m.params.params.num_planes = to_le32(more / 8 % 4);
	} else {
		m.queue.queue_type = queue;
	}
	rings_submit(&r->rings, VIRTIO_VIDEO_VQ_COMMAND, &c);
	turn(r, 1);
}

static struct codec *any_codec(struct run *r)
{
	struct codec *c = &codecs[fuzz_u8(&r->in) % STREAMS];

	return c->engine ? c : NULL;
}

static void say(struct run *r, struct codec *c, const struct engine_answer *a)
{
	if (c)
		c->engine->heard(c->engine, a);
	turn(r, 1);
}

/* As codecs do it: what was asked is answered in its order, but for buffers, which come back. */
static void done(struct run *r)
{
	struct codec *c = any_codec(r);
	struct engine_answer a = {.what = ENGINE_DONE};

	while (c && c->next != c->n && c->asked[c->next % ASKED].what == ENGINE_QUEUE)
		c->next++;
	if (!c || c->next == c->n)
		return;
	a.seq = c->asked[c->next++ % ASKED].seq;
	say(r, c, &a);
}

static void returned(struct run *r)
{
	struct codec *c = any_codec(r);
	const uint8_t which = fuzz_u8(&r->in), flags = fuzz_u8(&r->in);
	struct engine_answer a = {.what = ENGINE_RETURNED, .picture = {77, flags % 16}};

	for (uint32_t i = 0, seen = 0; c && i < ASKED && i < c->n; i++) {
		uint32_t at = (c->n - 1 - i) % ASKED;

		if (c->asked[at].what != ENGINE_QUEUE || seen++ != which % 4)
			continue;
		a.seq = c->asked[at].seq;
		a.queue = c->asked[at].queue;
		a.res = c->asked[at].res;
		say(r, c, &a);
		return;
	}
}

static void format(struct run *r)
{
	struct codec *c = any_codec(r);
	const uint8_t size = fuzz_u8(&r->in), crop = fuzz_u8(&r->in);
	const struct engine_answer a = {.what = ENGINE_FORMAT,
		.format = {.serial = fuzz_u8(&r->in),
			.min_buffers = crop,
			.width = size + 1u,
			.height = size / 2 + 1u,
			.crop_width = crop > size ? 0 : size - crop + 1u,
			.crop_height = size / 2 + 1u,
			.rate_num = crop,
			.rate_den = size % 4}};

	say(r, c, &a);
}

/* What remote.c lets pass: a known answer, of a queue that there is. */
static void any_answer(struct run *r)
{
	struct codec *c = any_codec(r);
	struct engine_answer a = {.what = fuzz_u8(&r->in) % ENGINE_ANSWERS};

	a.seq = fuzz_u8(&r->in);
	a.queue = fuzz_u8(&r->in) % ENGINE_QUEUES;
	a.res = fuzz_u8(&r->in) % 4;
	if (a.what == ENGINE_FORMAT)
		return;
	a.result = (int8_t)fuzz_u8(&r->in);
	say(r, c, &a);
}

static void lost(struct run *r)
{
	struct codec *c = any_codec(r);

	if (c)
		c->engine->lost(c->engine);
	turn(r, 1);
}

/* The other memory comes and goes; resources may be in it, rings are not. */
static void memory(struct run *r)
{
	if (r->memory_gone)
		rig_add_memory(&r->rings.rig, 1);
	else
		rig_remove_memory(&r->rings.rig, 1);
	r->memory_gone = !r->memory_gone;
	turn(r, 1);
}

static void reset(struct run *r)
{
	rings_reset(&r->rings);
	FUZZ_CHECK(!r->dev.n_streams && !r->dev.n_entries);
	rings_start(&r->rings);
}

static void run_record(struct run *r)
{
	static void (*const runs[RECORDS])(struct run *) = {
		[REQUEST] = request,
		[DONE] = done,
		[RETURNED] = returned,
		[FORMAT] = format,
		[ANY_ANSWER] = any_answer,
		[LOST] = lost,
		[MEMORY] = memory,
		[RESET] = reset,
	};
	const enum record record = fuzz_u8(&r->in) % RECORDS;

	if (runs[record]) {
		runs[record](r);
	} else if (record == TURN) {
		turn(r, fuzz_u8(&r->in) % 4);
	} else if (record == NO_ENGINE) {
		no_engine = fuzz_u8(&r->in) & 1;
	} else if (record == PAUSE) {
		rings_stop(&r->rings);
		check_streams(r);
		rings_start(&r->rings);
	} else {
		submit(r, record == COMMAND ? VIRTIO_VIDEO_VQ_COMMAND : VIRTIO_VIDEO_VQ_EVENT);
	}
}

static void init(struct run *r, uint8_t flags)
{
	struct video_caps caps = {.n_raw = 2, .raw = {VIDEO_NV12, VIDEO_I420}};

	for (unsigned f = VIDEO_RAW_END; f < VIDEO_FORMATS; f++)
		if (f == VIDEO_H264 || !(flags & FLAG_ONE_CODEC))
			caps.coded[caps.n_coded++] = (struct video_coded){
				(enum video_format)f, f % 2 ? 3 : 2, 1, 8192, 1, 8192};
	memset(codecs, 0, sizeof(codecs));
	no_engine = false;
	r->rings.n = VIDEO_RINGS;
	r->rings.check = check_answer;
	rings_init(&r->rings, NULL, NULL);
	video_device_init(&r->dev, r->rings.rig.loop, &dialect_v3, &caps, NULL);
	rig_serve(&r->rings.rig, &r->dev.vhu_device, &r->dev);
	rings_begin(&r->rings, flags & FLAG_EVENT_IDX ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;

	r = (struct run){.in = {data, size}};
	init(&r, fuzz_u8(&r.in));
	for (unsigned i = 0; r.in.left && i < RECORDS_MAX; i++)
		run_record(&r);
	rings_end(&r.rings);
	FUZZ_CHECK(!r.dev.n_streams && !r.dev.n_entries);
	for (unsigned i = 0; i < ARRAY_SIZE(codecs); i++)
		FUZZ_CHECK(!codecs[i].engine);
	video_device_finish(&r.dev);
	rings_finish(&r.rings);
	return 0;
}
