/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "video"
#include "device.h"

#include "common/bytes.h"
#include "common/iov.h"
#include "common/log.h"
#include "protocols/virtio_video_v3.h"

enum {
	IOV_PER_REQ = 16, // a request, its list of pages, a response
	LARGE = 16,       // a list of pages may be in many pieces, and is not kept
};

const struct video_coded *video_find_coded(const struct video_device *dev, enum video_format format)
{
	for (unsigned i = 0; i < dev->caps.n_coded; i++)
		if (dev->caps.coded[i].format == format)
			return &dev->caps.coded[i];
	return NULL;
}

/* ---- answers and events ---- */

void video_reply(struct video_device *dev, struct video_cmd *cmd, struct video_response *r)
{
	uint8_t bytes[VIDEO_RESPONSE_MAX] = {0};

	r->what = cmd->what;
	r->stream = cmd->stream;
	vhu_finish(&cmd->req, bytes, (uint32_t)dev->dialect->encode(r, bytes));
}

void video_reply_error(struct video_device *dev, struct video_cmd *cmd, enum video_error error)
{
	struct video_response r = {.error = error};

	video_reply(dev, cmd, &r);
}

/* The next event that waits. False: there is none. */
static bool next_event(struct video_device *dev, enum video_event *event, uint32_t *stream)
{
	struct video_stream *s;

	LIST_FOREACH (s, &dev->streams, link)
		for (unsigned i = 0; i < VIDEO_EVENTS; i++) {
			if (!s->events[i])
				continue;
			s->events[i] = false;
			*event = (enum video_event)i;
			*stream = s->id;
			return true;
		}
	return false;
}

void video_send_events(struct video_device *dev)
{
	uint8_t bytes[VIDEO_EVENT_MAX];
	enum video_event event;
	struct video_cmd *cmd;
	uint32_t stream;

	while ((cmd = TAILQ_FIRST(&dev->buffers)) && next_event(dev, &event, &stream)) {
		TAILQ_REMOVE(&dev->buffers, cmd, link);
		vhu_finish(&cmd->req, bytes, (uint32_t)dev->dialect->event(event, stream, bytes));
	}
}

static void on_event_buffer(struct video_device *dev, struct video_cmd *cmd)
{
	uint8_t bytes[VIDEO_EVENT_MAX];

	if (cmd->req.in_len < dev->dialect->event(VIDEO_EVENT_ERROR, 0, bytes)) {
		log_peer("an event buffer of %u bytes", cmd->req.in_len);
		vhu_finish_written(&cmd->req, 0);
		return;
	}
	TAILQ_INSERT_TAIL(&dev->buffers, cmd, link);
	video_send_events(dev);
}

/* ---- what the core calls ---- */

static void on_request(void *arg, unsigned queue, struct vq_req *req)
{
	struct video_cmd *cmd = CONTAINER_OF(req, struct video_cmd, req);

	if (queue == VIRTIO_VIDEO_VQ_COMMAND)
		video_command(arg, cmd);
	else
		on_event_buffer(arg, cmd);
}

/* A guest that is paused finds its requests where they were, and goes on. */
static void on_queue_stop(void *arg, unsigned queue)
{
	struct video_device *dev = arg;
	struct video_stream *s;
	struct video_cmd *cmd;

	if (queue == VIRTIO_VIDEO_VQ_COMMAND)
		LIST_FOREACH (s, &dev->streams, link)
			video_stream_pause(s);
	while (queue == VIRTIO_VIDEO_VQ_EVENT && (cmd = TAILQ_FIRST(&dev->buffers))) {
		TAILQ_REMOVE(&dev->buffers, cmd, link);
		vhu_finish_written(&cmd->req, 0);
	}
}

static void on_job(struct loop_job *job)
{
	struct video_device *dev = CONTAINER_OF(job, struct video_device, job);

	while (!LIST_EMPTY(&dev->buried))
		video_stream_free(LIST_FIRST(&dev->buried));
}

static void on_reset(void *arg)
{
	struct video_device *dev = arg;

	while (!LIST_EMPTY(&dev->streams))
		video_stream_bury(LIST_FIRST(&dev->streams));
}

static void on_memory(void *arg, struct gmem *mem)
{
	struct video_device *dev = arg;
	struct gmem *before = dev->mem;
	struct video_stream *s;

	dev->mem = gmem_ref(mem);
	LIST_FOREACH (s, &dev->streams, link)
		video_stream_move(s, before, mem);
	gmem_unref(before);
}

static size_t get_config(void *arg, void *space)
{
	const struct video_device *dev = arg;

	return dev->dialect->config(&dev->caps, space);
}

/* The next front-end brings its own memory. */
static void on_connection(void *arg, struct vhu *vhu)
{
	struct video_device *dev = arg;

	if (vhu)
		return;
	gmem_unref(dev->mem);
	dev->mem = NULL;
}

void video_device_init(struct video_device *dev, struct loop *loop, const struct dialect *dialect,
	const struct video_caps *caps, struct nursery *nursery)
{
	*dev = (struct video_device){
		.dialect = dialect, .caps = *caps, .loop = loop, .nursery = nursery};
	dev->vhu_device = (struct vhu_device){
		.name = "video",
		.n_queues = VIDEO_RINGS,
		.features = BIT(VIRTIO_VIDEO_F_RESOURCE_GUEST_PAGES)
			| BIT(VIRTIO_VIDEO_F_RESOURCE_NON_CONTIG),
		.req_size = sizeof(struct video_cmd),
		.iov_per_req = IOV_PER_REQ,
		.large = LARGE,
		.takes_back = true,
		.request = on_request,
		.queue_stop = on_queue_stop,
		.reset = on_reset,
		.memory = on_memory,
		.get_config = get_config,
		.connection = on_connection,
	};
	LIST_INIT(&dev->streams);
	LIST_INIT(&dev->buried);
	TAILQ_INIT(&dev->buffers);
	dev->job.run = on_job;
}

void video_device_finish(struct video_device *dev)
{
	on_reset(dev);
	on_job(&dev->job);
	loop_cancel(dev->loop, &dev->job);
	gmem_unref(dev->mem);
}
