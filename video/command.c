/* SPDX-License-Identifier: MIT */
/* The commands of the command queue. */
#define LOG_TOPIC "video"
#include "device.h"

#include "common/bytes.h"
#include "common/log.h"
#include "controls.h"

static void finish(struct video_device *dev, struct video_cmd *cmd)
{
	video_reply_error(dev, cmd, VIDEO_OK);
}

/* NULL where there is none, or one that is about to end. */
static struct video_stream *find(struct video_device *dev, uint32_t id)
{
	struct video_stream *s;

	LIST_FOREACH (s, &dev->streams, link)
		if (s->id == id)
			return s;
	return NULL;
}

/* ---- without a stream ---- */

static enum video_error run_query_capability(
	struct video_device *dev, struct video_cmd *cmd, const struct video_request *r)
{
	struct video_response response = {.capability = {&dev->caps, r->queue}};

	video_reply(dev, cmd, &response);
	return VIDEO_OK;
}

static enum video_error run_query_control(
	struct video_device *dev, struct video_cmd *cmd, const struct video_request *r)
{
	struct video_response response = {0};

	response.list.values =
		video_control_values(r->control.id, r->control.format, &response.list.n);
	if (!response.list.n)
		return VIDEO_ERR_UNSUPPORTED_CONTROL;
	video_reply(dev, cmd, &response);
	return VIDEO_OK;
}

static enum video_error run_create(
	struct video_device *dev, struct video_cmd *cmd, const struct video_request *r)
{
	struct video_stream *s;

	if (find(dev, r->stream))
		return VIDEO_ERR_INVALID_STREAM_ID;
	if (!r->create.pages || !video_find_coded(dev, r->create.coded))
		return VIDEO_ERR_INVALID_PARAMETER;
	if (dev->n_streams == VIDEO_STREAMS_MAX)
		return VIDEO_ERR_OUT_OF_MEMORY;
	s = video_stream_create(dev, r->stream, r->create.coded);
	if (!s)
		return VIDEO_ERR_OUT_OF_MEMORY;
	log_dbg("stream %u: %s", s->id, video_format_name(s->coded));
	finish(dev, cmd);
	return VIDEO_OK;
}

/* ---- of a stream ---- */

static enum video_error run_destroy(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	(void)r;
	return video_stream_destroy(s, cmd);
}

static enum video_error run_drain(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	(void)r;
	return video_stream_drain(s, cmd);
}

static enum video_error run_resource_create(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	struct video_device *dev = s->dev;
	struct video_resource *res;
	enum video_error error = video_resource_create(
		dev->dialect, vq_req_out(&cmd->req), cmd->req.n_out, r, &dev->n_entries, &res);

	if (!error)
		error = video_stream_add(s, r->queue, res);
	if (!error)
		finish(dev, cmd);
	return error;
}

static enum video_error run_resource_queue(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	return video_stream_queue(s, r, cmd);
}

static enum video_error run_destroy_all(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	return video_stream_destroy_all(s, r->queue, cmd);
}

static enum video_error run_clear(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	return video_stream_clear(s, r->queue, cmd);
}

static enum video_error run_get_params(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	const struct video_params p = video_stream_params(s, r->queue);
	struct video_response response = {.params = &p};

	video_reply(s->dev, cmd, &response);
	return VIDEO_OK;
}

static enum video_error run_set_params(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	enum video_error error = video_stream_set_params(s, &r->params);

	if (!error)
		finish(s->dev, cmd);
	return error;
}

/* A decoder's profile and level: what the driver says of its stream. The codec finds out by itself. */
static uint32_t *control_of(struct video_stream *s, enum video_control id)
{
	return id == VIDEO_PROFILE ? &s->profile : &s->level;
}

static enum video_error run_get_control(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	struct video_response response = {0};
	unsigned n;
	const uint32_t *values = video_control_values(r->control.id, s->coded, &n);

	if (!n)
		return VIDEO_ERR_UNSUPPORTED_CONTROL;
	response.value = *control_of(s, r->control.id);
	if (!response.value)
		response.value = values[0];
	video_reply(s->dev, cmd, &response);
	return VIDEO_OK;
}

static enum video_error run_set_control(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r)
{
	unsigned n;
	const uint32_t *values = video_control_values(r->control.id, s->coded, &n);

	if (!n)
		return VIDEO_ERR_UNSUPPORTED_CONTROL;
	for (unsigned i = 0; i < n; i++) {
		if (values[i] != r->control.value)
			continue;
		*control_of(s, r->control.id) = r->control.value;
		finish(s->dev, cmd);
		return VIDEO_OK;
	}
	return VIDEO_ERR_INVALID_PARAMETER;
}

/* ---- the table ---- */

typedef enum video_error run_device(
	struct video_device *dev, struct video_cmd *cmd, const struct video_request *r);
typedef enum video_error run_stream(
	struct video_stream *s, struct video_cmd *cmd, const struct video_request *r);

/* A command is of the device, or of a stream, which is there then. What is not answered with an error
 * answers for itself. */
static const struct {
	run_device *run;
	run_stream *run_stream;
} commands[VIDEO_WHATS] = {
	[VIDEO_QUERY_CAPABILITY] = {.run = run_query_capability},
	[VIDEO_QUERY_CONTROL] = {.run = run_query_control},
	[VIDEO_STREAM_CREATE] = {.run = run_create},
	[VIDEO_STREAM_DESTROY] = {.run_stream = run_destroy},
	[VIDEO_STREAM_DRAIN] = {.run_stream = run_drain},
	[VIDEO_RESOURCE_CREATE] = {.run_stream = run_resource_create},
	[VIDEO_RESOURCE_QUEUE] = {.run_stream = run_resource_queue},
	[VIDEO_RESOURCE_DESTROY_ALL] = {.run_stream = run_destroy_all},
	[VIDEO_QUEUE_CLEAR] = {.run_stream = run_clear},
	[VIDEO_GET_PARAMS] = {.run_stream = run_get_params},
	[VIDEO_SET_PARAMS] = {.run_stream = run_set_params},
	[VIDEO_GET_CONTROL] = {.run_stream = run_get_control},
	[VIDEO_SET_CONTROL] = {.run_stream = run_set_control},
};

static enum video_error run(
	struct video_device *dev, struct video_cmd *cmd, const struct video_request *r)
{
	struct video_stream *s;

	if (commands[r->what].run)
		return commands[r->what].run(dev, cmd, r);
	s = find(dev, r->stream);
	if (!s || (s->closing && r->what != VIDEO_STREAM_DESTROY))
		return VIDEO_ERR_INVALID_STREAM_ID;
	return commands[r->what].run_stream(s, cmd, r);
}

void video_command(struct video_device *dev, struct video_cmd *cmd)
{
	struct video_request r;
	enum video_error error = dev->dialect->decode(vq_req_out(&cmd->req), cmd->req.n_out, &r);

	cmd->what = r.what;
	cmd->stream = r.stream;
	if (!error)
		error = run(dev, cmd, &r);
	if (!error)
		return;
	log_peer("stream %u: request %u refused: %u", r.stream, r.what, error);
	video_reply_error(dev, cmd, error);
}
