/* SPDX-License-Identifier: MIT */
/* What a driver does with its stream. What its codec answers is in stream_codec.c. */
#define LOG_TOPIC "video"
#include "stream.h"

#include <stdlib.h>

#include "common/bytes.h"
#include "common/log.h"
#include "device.h"
#include "stream_codec.h"

enum { UNIT_DEFAULT = 1 << 20, UNIT_MIN = 1 << 12, WIDTH_DEFAULT = 640, HEIGHT_DEFAULT = 480 };

#define PATIENCE (4000ll * 1000000) // less than what Linux has with us

/* ---- life ---- */

static void on_impatient(struct loop_timer *timer)
{
	struct video_stream *s = CONTAINER_OF(timer, struct video_stream, impatient);

	log_info("stream %u: its codec does not close, and is ended", s->id);
	stream_closed(s);
}

struct video_stream *video_stream_create(
	struct video_device *dev, uint32_t id, enum video_format coded)
{
	struct video_stream *s = calloc(1, sizeof(*s));

	if (!s || loop_timer_init(dev->loop, &s->impatient) < 0) {
		free(s);
		return NULL;
	}
	s->dev = dev;
	s->id = id;
	s->coded = coded;
	s->raw = dev->caps.raw[__builtin_ctz(video_find_coded(dev, coded)->raw)];
	s->unit_size = UNIT_DEFAULT;
	s->format.width = s->format.crop_width = WIDTH_DEFAULT;
	s->format.height = s->format.crop_height = HEIGHT_DEFAULT;
	s->impatient.expired = on_impatient;
	for (unsigned q = 0; q < VIDEO_QUEUES; q++) {
		TAILQ_INIT(&s->queues[q].resources);
		TAILQ_INIT(&s->queues[q].queued);
	}
	LIST_INSERT_HEAD(&dev->streams, s, link);
	dev->n_streams++;
	return s;
}

void video_stream_bury(struct video_stream *s)
{
	struct video_device *dev = s->dev;

	if (s->open)
		engine_finish(&s->engine);
	loop_timer_set(&s->impatient, INT64_MAX);
	LIST_REMOVE(s, link);
	LIST_INSERT_HEAD(&dev->buried, s, link);
	dev->n_streams--;
	for (unsigned q = 0; q < VIDEO_QUEUES; q++)
		stream_drop_resources(s, (enum video_queue)q);
	loop_defer(dev->loop, &dev->job);
}

void video_stream_free(struct video_stream *s)
{
	LIST_REMOVE(s, link);
	loop_timer_finish(&s->impatient);
	free(s);
}

/* ---- its end ---- */

enum video_error video_stream_destroy(struct video_stream *s, struct video_cmd *cmd)
{
	bool closing = s->closing;

	if (closing && !s->destroy.again)
		return VIDEO_ERR_INVALID_STREAM_ID;
	s->destroy.cmd = cmd;
	s->destroy.again = false;
	s->closing = true;
	if (!s->open || (!closing && !stream_ask_close(s)))
		stream_closed(s);
	else if (!closing)
		loop_timer_set(&s->impatient, loop_now() + PATIENCE);
	return VIDEO_OK;
}

/* ---- resources ---- */

static struct video_resource *find(struct video_queue_state *q, uint32_t id)
{
	struct video_resource *res;

	TAILQ_FOREACH (res, &q->resources, link)
		if (res->id == id)
			return res;
	return NULL;
}

static enum video_error may_add(
	struct video_stream *s, enum video_queue queue, const struct video_resource *res)
{
	struct video_queue_state *q = &s->queues[queue];
	unsigned n_planes = queue == VIDEO_INPUT ? 1 : video_layout_of(s->raw, 2, 2).n_planes;

	if (s->broken || q->forget.seq)
		return VIDEO_ERR_INVALID_OPERATION;
	if (find(q, res->id))
		return VIDEO_ERR_INVALID_RESOURCE_ID;
	if (res->n_planes != 1 && res->n_planes != n_planes)
		return VIDEO_ERR_INVALID_PARAMETER;
	if (q->n == VIDEO_RESOURCES_MAX)
		return VIDEO_ERR_OUT_OF_MEMORY;
	if (!video_resource_is_in(res, s->dev->mem))
		return VIDEO_ERR_INVALID_PARAMETER;
	return stream_open(s);
}

enum video_error video_stream_add(
	struct video_stream *s, enum video_queue queue, struct video_resource *res)
{
	struct video_queue_state *q = &s->queues[queue];
	enum video_error error = may_add(s, queue, res);

	if (!error && !q->moving && !stream_tell_resource(s, queue, res))
		error = VIDEO_ERR_OUT_OF_MEMORY;
	if (error) {
		video_resource_destroy(res, &s->dev->n_entries);
		return error;
	}
	TAILQ_INSERT_TAIL(&q->resources, res, link);
	q->n++;
	return VIDEO_OK;
}

/* No buffer from before is left once this is done: those that come are meant for the new format. */
static void refresh(struct video_stream *s, enum video_queue queue)
{
	if (queue == VIDEO_OUTPUT)
		s->fresh = true;
}

enum video_error video_stream_destroy_all(
	struct video_stream *s, enum video_queue queue, struct video_cmd *cmd)
{
	struct video_queue_state *q = &s->queues[queue];

	if (q->forget.cmd)
		return VIDEO_ERR_INVALID_OPERATION;
	refresh(s, queue);
	q->forget = (struct video_pending){
		.seq = s->open ? stream_ask_forget(s, queue) : 0, .cmd = cmd};
	if (!q->forget.seq)
		stream_forgotten(s, queue);
	return VIDEO_OK;
}

/* ---- what is queued ---- */

/* What the driver has been answered for already, or has never heard of: it is told now. */
static enum video_error take_up(struct video_stream *s, enum video_queue queue,
	struct video_resource *res, const struct video_request *r, struct video_cmd *cmd)
{
	if (res->cmd)
		return VIDEO_ERR_INVALID_OPERATION;
	res->cmd = cmd;
	if (res->again) {
		TAILQ_REMOVE(&s->queues[queue].queued, res, queued_link);
		TAILQ_INSERT_TAIL(&s->queues[queue].queued, res, queued_link);
		res->timestamp = r->buffer.timestamp;
		res->bytes = r->buffer.sizes[0];
	}
	if (res->returned)
		stream_finish_buffer(s, queue, res, res->flags, res->picture);
	return VIDEO_OK;
}

static bool fits(const struct video_stream *s, enum video_queue queue,
	const struct video_resource *res, const struct video_request *r)
{
	uint64_t offsets[VIDEO_PLANES_MAX];
	struct video_layout layout;

	if (queue == VIDEO_INPUT)
		return r->buffer.n_sizes == 1
			&& range_within(res->begin[0], r->buffer.sizes[0], res->size)
			&& r->buffer.sizes[0] <= ENGINE_UNIT_MAX;
	layout = stream_layout(s);
	return video_resource_place(res, &layout, offsets);
}

/*
 * The first buffer for a new format has the codec told of it. One that is too small comes of a driver
 * that has not heard of the new format yet.
 */
static bool accept_format(
	struct video_stream *s, const struct video_resource *res, const struct video_request *r)
{
	if (!s->pending && !s->unsaid)
		return true;
	s->fresh = s->fresh && fits(s, VIDEO_OUTPUT, res, r);
	if (s->pending && !s->fresh)
		return true;
	if (!stream_tell_output(s))
		return false;
	s->pending = s->unsaid = false;
	return true;
}

enum video_error video_stream_queue(
	struct video_stream *s, const struct video_request *r, struct video_cmd *cmd)
{
	enum video_queue queue = r->queue;
	struct video_queue_state *q = &s->queues[queue];
	struct video_resource *res = find(q, r->buffer.id);

	if (!res)
		return VIDEO_ERR_INVALID_RESOURCE_ID;
	if (s->broken || q->forget.seq)
		return VIDEO_ERR_INVALID_OPERATION;
	if (!fits(s, queue, res, r) && (queue == VIDEO_INPUT || (s->format.serial && !s->pending)))
		return VIDEO_ERR_INVALID_PARAMETER;
	if (res->queued)
		return take_up(s, queue, res, r, cmd);
	res->timestamp = r->buffer.timestamp;
	res->bytes = queue == VIDEO_INPUT ? r->buffer.sizes[0] : 0;
	if (queue == VIDEO_OUTPUT && s->format.serial && !accept_format(s, res, r))
		return VIDEO_ERR_OUT_OF_MEMORY;
	if (!q->moving && !stream_tell_buffer(s, queue, res))
		return VIDEO_ERR_OUT_OF_MEMORY;
	res->cmd = cmd;
	res->queued = true;
	TAILQ_INSERT_TAIL(&q->queued, res, queued_link);
	return VIDEO_OK;
}

enum video_error video_stream_clear(
	struct video_stream *s, enum video_queue queue, struct video_cmd *cmd)
{
	struct video_queue_state *q = &s->queues[queue];

	if (q->clear.cmd)
		return VIDEO_ERR_INVALID_OPERATION;
	refresh(s, queue);
	q->clear =
		(struct video_pending){.seq = s->open ? stream_ask_clear(s, queue) : 0, .cmd = cmd};
	if (!q->clear.seq)
		stream_cleared(s, queue, 0);
	return VIDEO_OK;
}

enum video_error video_stream_drain(struct video_stream *s, struct video_cmd *cmd)
{
	enum video_error error;

	if (s->drain.done) {
		error = s->drain.error;
		s->drain = (struct video_pending){0};
		video_reply_error(s->dev, cmd, error);
		return VIDEO_OK;
	}
	if (s->broken || s->drain.cmd)
		return VIDEO_ERR_INVALID_OPERATION;
	if (!s->drain.seq) {
		error = stream_open(s);
		if (error)
			return error;
		s->drain.seq = stream_ask_drain(s);
		if (!s->drain.seq)
			return VIDEO_ERR_OUT_OF_MEMORY;
	}
	s->drain.cmd = cmd;
	s->drain.again = false;
	return VIDEO_OK;
}

/* ---- parameters ---- */

static void input_params(const struct video_stream *s, struct video_params *p)
{
	p->format = s->coded;
	p->min_buffers = 1;
	p->n_planes = 1;
	p->planes[0].size = s->unit_size;
}

static void output_params(const struct video_stream *s, struct video_params *p)
{
	const struct video_layout l = stream_layout(s);

	p->format = s->raw;
	p->min_buffers = s->format.min_buffers ? s->format.min_buffers : 1;
	p->n_planes = s->per_plane ? l.n_planes : 1;
	for (unsigned i = 0; i < p->n_planes; i++) {
		p->planes[i].size = s->per_plane ? l.planes[i].size : l.size;
		p->planes[i].stride = l.planes[i].stride;
	}
}

struct video_params video_stream_params(const struct video_stream *s, enum video_queue queue)
{
	struct video_params p = {
		.queue = queue,
		.width = s->format.width,
		.height = s->format.height,
		.max_buffers = VIDEO_BUFFERS_MAX,
		.crop = {s->format.left, s->format.top, s->format.crop_width,
			s->format.crop_height},
		.frame_rate = s->format.rate,
	};

	if (queue == VIDEO_INPUT)
		input_params(s, &p);
	else
		output_params(s, &p);
	return p;
}

static uint32_t between(uint32_t value, uint32_t min, uint32_t max)
{
	return value < min ? min : value > max ? max : value;
}

/* Until the stream says it better, its size is what the driver believes. */
static void believe(
	struct video_stream *s, const struct video_coded *c, const struct video_params *p)
{
	if (s->format.serial || !p->width || !p->height)
		return;
	s->format.width = between(p->width, c->min_width, c->max_width);
	s->format.height = between(p->height, c->min_height, c->max_height);
	s->format.crop_width = s->format.width;
	s->format.crop_height = s->format.height;
}

/* Another codec, for a driver that says what its stream is after it has made it. */
static enum video_error set_coded(struct video_stream *s, const struct video_coded *c)
{
	if (c->format == s->coded)
		return VIDEO_OK;
	if (s->broken || s->queues[VIDEO_INPUT].n || s->queues[VIDEO_OUTPUT].n || s->drain.seq)
		return VIDEO_ERR_INVALID_OPERATION;
	stream_shut(s);
	s->coded = c->format;
	s->profile = s->level = 0;
	if (!(c->raw >> stream_raw_index(s) & 1))
		s->raw = s->dev->caps.raw[__builtin_ctz(c->raw)];
	return VIDEO_OK;
}

static enum video_error set_input(struct video_stream *s, const struct video_params *p)
{
	const struct video_coded *c = video_find_coded(s->dev, p->format);
	enum video_error error = c ? set_coded(s, c) : VIDEO_ERR_INVALID_PARAMETER;

	if (error)
		return error;
	believe(s, c, p);
	if (p->n_planes && p->planes[0].size)
		s->unit_size = between(p->planes[0].size, UNIT_MIN, ENGINE_UNIT_MAX);
	return VIDEO_OK;
}

static enum video_error set_output(struct video_stream *s, const struct video_params *p)
{
	const struct video_coded *c = video_find_coded(s->dev, s->coded);
	enum video_format before = s->raw;

	s->raw = p->format;
	if (!(c->raw >> stream_raw_index(s) & 1)) {
		s->raw = before;
		return VIDEO_ERR_INVALID_PARAMETER;
	}
	if (s->raw != before && s->queues[VIDEO_OUTPUT].n) {
		s->raw = before;
		return VIDEO_ERR_INVALID_OPERATION;
	}
	s->unsaid |= s->raw != before;
	s->per_plane = p->n_planes > 1;
	return VIDEO_OK;
}

enum video_error video_stream_set_params(struct video_stream *s, const struct video_params *p)
{
	return p->queue == VIDEO_INPUT ? set_input(s, p) : set_output(s, p);
}
