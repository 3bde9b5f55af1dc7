/* SPDX-License-Identifier: MIT */
/* What a stream says to its codec, and what comes of its answers. */
#define LOG_TOPIC "video"
#include "stream_codec.h"

#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "device.h"

static_assert((int)ENGINE_BITSTREAM == (int)VIDEO_INPUT && (int)ENGINE_PIXELS == (int)VIDEO_OUTPUT,
	"queues are the same");
static_assert((int)VIDEO_PLANES_MAX == (int)ENGINE_PLANES_MAX, "and planes,");
static_assert((int)VIDEO_SIDE_MAX == (int)ENGINE_SIZE_MAX, "and sizes");

struct video_layout stream_layout(const struct video_stream *s)
{
	return video_layout_of(s->raw, s->format.width, s->format.height);
}

unsigned stream_raw_index(const struct video_stream *s)
{
	unsigned i = 0;

	while (i < s->dev->caps.n_raw && s->dev->caps.raw[i] != s->raw)
		i++;
	return i;
}

/* ---- answers to the driver ---- */

static void finish_pending(struct video_stream *s, struct video_pending *p, enum video_error error)
{
	struct video_cmd *cmd = p->cmd;

	*p = (struct video_pending){.again = p->again, .done = p->again, .error = error};
	if (cmd)
		video_reply_error(s->dev, cmd, error);
}

static void reply_buffer(struct video_stream *s, enum video_queue queue, struct video_resource *res,
	uint32_t flags, uint64_t timestamp)
{
	struct video_cmd *cmd = res->cmd;
	struct video_response r = {.buffer = {.timestamp = timestamp, .flags = flags}};

	res->cmd = NULL;
	if (queue == VIDEO_OUTPUT && !flags)
		r.buffer.size = stream_layout(s).size;
	if (cmd)
		video_reply(s->dev, cmd, &r);
}

static void unqueue(struct video_queue_state *q, struct video_resource *res)
{
	TAILQ_REMOVE(&q->queued, res, queued_link);
	res->queued = res->again = res->returned = false;
	res->seq = 0;
}

void stream_finish_buffer(struct video_stream *s, enum video_queue queue,
	struct video_resource *res, uint32_t flags, uint64_t timestamp)
{
	unqueue(&s->queues[queue], res);
	reply_buffer(s, queue, res, flags, timestamp);
}

/* Nobody will come for it with an error in hand, or it has nothing to say. */
static void cancel(struct video_stream *s, enum video_queue queue, struct video_resource *res)
{
	stream_finish_buffer(s, queue, res, VIDEO_BUFFER_ERROR, res->timestamp);
}

void stream_cleared(struct video_stream *s, enum video_queue queue, uint32_t seq)
{
	struct video_queue_state *q = &s->queues[queue];
	struct video_resource *res, *next;

	for (res = TAILQ_FIRST(&q->queued); res; res = next) {
		next = TAILQ_NEXT(res, queued_link);
		if (!seq || (res->seq && (int32_t)(res->seq - seq) <= 0))
			cancel(s, queue, res);
	}
	finish_pending(s, &q->clear, VIDEO_OK);
}

void stream_drop_resources(struct video_stream *s, enum video_queue queue)
{
	struct video_queue_state *q = &s->queues[queue];
	struct video_resource *res;

	while ((res = TAILQ_FIRST(&q->resources))) {
		TAILQ_REMOVE(&q->resources, res, link);
		video_resource_destroy(res, &s->dev->n_entries);
	}
	TAILQ_INIT(&q->queued);
	q->n = 0;
	q->moving = 0;
}

void stream_forgotten(struct video_stream *s, enum video_queue queue)
{
	struct video_queue_state *q = &s->queues[queue];

	stream_cleared(s, queue, 0);
	stream_drop_resources(s, queue);
	finish_pending(s, &q->forget, VIDEO_OK);
}

void stream_closed(struct video_stream *s)
{
	for (unsigned q = 0; q < VIDEO_QUEUES; q++)
		stream_forgotten(s, (enum video_queue)q);
	finish_pending(s, &s->drain, VIDEO_ERR_INVALID_OPERATION);
	finish_pending(s, &s->destroy, VIDEO_OK);
	loop_timer_set(&s->impatient, INT64_MAX);
	if (!s->destroy.again)
		video_stream_bury(s);
	else
		stream_shut(s);
}

/* It cannot go on. What is queued ends in an error that is one of the stream, not of a buffer. */
static void break_stream(struct video_stream *s, const char *why)
{
	struct video_resource *res;

	if (s->closing) {
		stream_closed(s);
		return;
	}
	log_info("stream %u: %s", s->id, why);
	s->broken = true;
	s->open = false;
	engine_finish(&s->engine);
	for (unsigned i = 0; i < VIDEO_QUEUES; i++) {
		struct video_queue_state *q = &s->queues[i];

		while ((res = TAILQ_FIRST(&q->queued))) {
			struct video_cmd *cmd = res->cmd;

			unqueue(q, res);
			res->cmd = NULL;
			if (cmd)
				video_reply_error(s->dev, cmd, VIDEO_ERR_INVALID_OPERATION);
		}
		if (q->clear.seq)
			finish_pending(s, &q->clear, VIDEO_OK);
		if (q->forget.seq)
			stream_forgotten(s, (enum video_queue)i);
	}
	finish_pending(s, &s->drain, VIDEO_ERR_INVALID_OPERATION);
	s->events[VIDEO_EVENT_ERROR] = true;
	video_send_events(s->dev);
}

/* ---- asking ---- */

static bool ask(struct video_stream *s, struct engine_message *m)
{
	return engine_ask(&s->engine, m, -1) == 0;
}

static uint32_t ask_of(struct video_stream *s, uint32_t what, uint32_t queue, uint32_t res)
{
	struct engine_message m = {.what = what, .queue = queue, .res = res};

	return ask(s, &m) ? m.seq : 0;
}

bool stream_tell_resource(
	struct video_stream *s, enum video_queue queue, const struct video_resource *res)
{
	uint32_t seq;

	return engine_ask_resource(&s->engine, queue, res->id, res->entries, res->n_entries, &seq)
		== 0;
}

bool stream_tell_output(struct video_stream *s)
{
	const struct video_layout l = stream_layout(s);
	struct engine_message m = {.what = ENGINE_OUTPUT,
		.output = {.serial = s->format.serial, .fourcc = video_format_fourcc(s->raw)}};

	for (unsigned i = 0; i < l.n_planes; i++)
		m.output.stride[i] = l.planes[i].stride;
	return ask(s, &m);
}

bool stream_tell_buffer(struct video_stream *s, enum video_queue queue, struct video_resource *res)
{
	struct engine_message m = {.what = ENGINE_QUEUE,
		.queue = queue,
		.res = res->id,
		.buffer = {.timestamp = res->timestamp, .size = res->bytes}};
	const struct video_layout l = stream_layout(s);

	if (queue == VIDEO_INPUT)
		m.buffer.offset[0] = res->begin[0];
	else
		video_resource_place(res, &l, m.buffer.offset);
	if (!ask(s, &m))
		return false;
	res->seq = m.seq;
	return true;
}

uint32_t stream_ask_forget(struct video_stream *s, enum video_queue queue)
{
	return ask_of(s, ENGINE_FORGET, queue, ENGINE_ALL);
}

uint32_t stream_ask_clear(struct video_stream *s, enum video_queue queue)
{
	return ask_of(s, ENGINE_CLEAR, queue, 0);
}

uint32_t stream_ask_drain(struct video_stream *s)
{
	return ask_of(s, ENGINE_DRAIN, 0, 0);
}

/* Both queues, in this order: when the second one is done, the codec touches nothing more. */
bool stream_ask_close(struct video_stream *s)
{
	if (!stream_ask_forget(s, VIDEO_INPUT))
		return false;
	s->destroy.seq = stream_ask_forget(s, VIDEO_OUTPUT);
	return s->destroy.seq;
}

/* ---- the guest's memory ---- */

/* A resource that was made of other memory is made again, and what it was queued for with it. */
static void begin_move(struct video_stream *s, enum video_queue queue)
{
	struct video_queue_state *q = &s->queues[queue];

	if (q->forget.seq || s->closing)
		return;
	q->moving = stream_ask_forget(s, queue);
	if (!q->moving)
		break_stream(s, "its codec takes no more");
}

static void end_move(struct video_stream *s, enum video_queue queue)
{
	struct video_queue_state *q = &s->queues[queue];
	struct video_resource *res, *next;
	bool told = true;

	q->moving = 0;
	TAILQ_FOREACH (res, &q->resources, link)
		told = told && video_resource_is_in(res, s->dev->mem)
			&& stream_tell_resource(s, queue, res);
	for (res = TAILQ_FIRST(&q->queued); res && told; res = next) {
		next = TAILQ_NEXT(res, queued_link);
		if (q->clear.seq)
			cancel(s, queue, res);
		else if (!res->returned)
			told = stream_tell_buffer(s, queue, res);
	}
	if (!told)
		break_stream(s, "its buffers are not in the guest's memory any more");
}

static bool all_same(
	const struct video_queue_state *q, const struct gmem *from, const struct gmem *to)
{
	struct video_resource *res;

	TAILQ_FOREACH (res, &q->resources, link)
		if (!from || !video_resource_is_same(res, from, to))
			return false;
	return true;
}

void video_stream_move(struct video_stream *s, struct gmem *from, struct gmem *to)
{
	if (!s->open)
		return;
	engine_set_memory(&s->engine, to);
	for (unsigned i = 0; i < VIDEO_QUEUES && s->open; i++)
		if (!all_same(&s->queues[i], from, to))
			begin_move(s, (enum video_queue)i);
}

/* ---- its answers ---- */

static struct video_resource *find_queued(
	struct video_queue_state *q, const struct engine_answer *a)
{
	struct video_resource *res;

	TAILQ_FOREACH (res, &q->queued, queued_link)
		if (res->id == a->res && res->seq == a->seq && !res->returned)
			return res;
	return NULL;
}

/* The driver had been answered while its ring was paused, and has come back with more meanwhile, or
 * not. */
static bool was_answered(struct video_stream *s, enum video_queue queue, struct video_resource *res)
{
	if (!res->again)
		return false;
	res->again = false;
	if (!res->cmd)
		unqueue(&s->queues[queue], res);
	else if (!stream_tell_buffer(s, queue, res))
		break_stream(s, "its codec takes no more");
	return true;
}

static void on_returned(struct video_stream *s, const struct engine_answer *a)
{
	enum video_queue queue = (enum video_queue)a->queue;
	struct video_queue_state *q = &s->queues[queue];
	struct video_resource *res = find_queued(q, a);
	uint32_t flags = 0;

	if (!res)
		return;
	if (a->picture.flags & ENGINE_CANCELED && q->moving) {
		res->seq = 0;
		return;
	}
	if (was_answered(s, queue, res))
		return;
	if (a->picture.flags & (ENGINE_CANCELED | ENGINE_BROKEN))
		flags |= VIDEO_BUFFER_ERROR;
	if (a->picture.flags & ENGINE_LAST)
		flags |= VIDEO_BUFFER_EOS;
	res->flags = flags;
	res->picture = queue == VIDEO_INPUT ? res->timestamp : a->picture.timestamp;
	res->returned = true;
	if (res->cmd || a->picture.flags & ENGINE_CANCELED)
		stream_finish_buffer(s, queue, res, flags, res->picture);
}

static void on_format(struct video_stream *s, const struct engine_answer *a)
{
	uint32_t num = a->format.rate_num, den = a->format.rate_den;

	if (!a->format.serial || !a->format.crop_width || !a->format.crop_height) {
		break_stream(s, "its codec tells of a picture that is none");
		return;
	}
	s->format.serial = a->format.serial;
	s->format.width = a->format.width;
	s->format.height = a->format.height;
	s->format.left = a->format.left;
	s->format.top = a->format.top;
	s->format.crop_width = a->format.crop_width;
	s->format.crop_height = a->format.crop_height;
	s->format.rate = den ? (uint32_t)(((uint64_t)num + den / 2) / den) : 0;
	s->format.min_buffers = (uint32_t)min_u64(a->format.min_buffers, VIDEO_BUFFERS_MAX);
	s->pending = true;
	s->fresh = !s->queues[VIDEO_OUTPUT].n;
	s->events[VIDEO_EVENT_RESOLUTION_CHANGED] = true;
	video_send_events(s->dev);
}

/* Questions whose answer nobody waits for are answered when they fail, with the end of the stream. */
static void on_done(struct video_stream *s, const struct engine_answer *a)
{
	if (s->destroy.seq && a->seq == s->destroy.seq) {
		stream_closed(s);
		return;
	}
	if (s->drain.seq && a->seq == s->drain.seq) {
		finish_pending(s, &s->drain, a->result ? VIDEO_ERR_INVALID_OPERATION : VIDEO_OK);
		return;
	}
	for (unsigned i = 0; i < VIDEO_QUEUES; i++) {
		struct video_queue_state *q = &s->queues[i];

		if (q->clear.seq && a->seq == q->clear.seq) {
			stream_cleared(s, (enum video_queue)i, a->seq);
			return;
		}
		if (q->forget.seq && a->seq == q->forget.seq) {
			stream_forgotten(s, (enum video_queue)i);
			return;
		}
		if (q->moving && a->seq == q->moving) {
			end_move(s, (enum video_queue)i);
			return;
		}
	}
	if (a->result < 0)
		break_stream(s, strerror(-a->result));
}

static struct video_stream *of(struct engine *e)
{
	return CONTAINER_OF(e, struct video_stream, engine);
}

static void on_answer(struct engine *e, const struct engine_answer *a)
{
	if (a->what == ENGINE_RETURNED)
		on_returned(of(e), a);
	else if (a->what == ENGINE_DONE)
		on_done(of(e), a);
	else if (a->what == ENGINE_FORMAT && !of(e)->closing)
		on_format(of(e), a);
	else if (a->what == ENGINE_ERROR && !of(e)->closing)
		break_stream(of(e), "its codec gives up");
}

static void on_lost(struct engine *e)
{
	break_stream(of(e), "its codec died");
}

/* ---- its life ---- */

enum video_error stream_open(struct video_stream *s)
{
	struct engine_message m = {
		.what = ENGINE_OPEN, .open = {.codec = video_format_codec(s->coded)}};

	if (s->open)
		return VIDEO_OK;
	s->engine.heard = on_answer;
	s->engine.lost = on_lost;
	if (engine_start(&s->engine, s->dev->loop, s->dev->nursery, s->dev->mem) < 0)
		return VIDEO_ERR_OUT_OF_MEMORY;
	s->open = true;
	return ask(s, &m) ? VIDEO_OK : VIDEO_ERR_OUT_OF_MEMORY;
}

void stream_shut(struct video_stream *s)
{
	if (!s->open)
		return;
	engine_finish(&s->engine);
	s->engine = (struct engine){0};
	s->open = s->pending = s->fresh = false;
	s->format.serial = 0;
	s->events[VIDEO_EVENT_RESOLUTION_CHANGED] = false;
}

/* ---- a ring that pauses ---- */

static void pause_pending(struct video_stream *s, struct video_pending *p)
{
	struct video_cmd *cmd = p->cmd;

	if (!cmd)
		return;
	p->cmd = NULL;
	p->again = cmd->req.taken_back;
	if (!p->again)
		video_reply_error(s->dev, cmd, VIDEO_OK);
}

/* The codec has it still. A picture that comes into it is told when the driver asks next time. */
static void pause_buffer(struct video_stream *s, enum video_queue queue, struct video_resource *res)
{
	bool input = queue == VIDEO_INPUT;

	if (!res->cmd)
		return;
	if (res->cmd->req.taken_back)
		res->cmd = NULL;
	else {
		res->again = input;
		reply_buffer(s, queue, res, input ? 0 : VIDEO_BUFFER_ERROR, res->timestamp);
	}
}

void video_stream_pause(struct video_stream *s)
{
	struct video_resource *res;

	for (unsigned q = 0; q < VIDEO_QUEUES; q++) {
		TAILQ_FOREACH (res, &s->queues[q].queued, queued_link)
			pause_buffer(s, (enum video_queue)q, res);
		pause_pending(s, &s->queues[q].clear);
		pause_pending(s, &s->queues[q].forget);
	}
	pause_pending(s, &s->drain);
	pause_pending(s, &s->destroy);
}
