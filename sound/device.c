/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "sound"
#include "device.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/iov.h"
#include "common/log.h"

enum {
	IOV_PER_REQ = 32, // a period is a page or two;
	LARGE = 64,       // the longest are of hundreds, and wait here for their time
	CROWD = 4, // from so many running streams on they are served together, a little early
};

static struct sound_cmd *cmd_of(struct pcm_io *io)
{
	return CONTAINER_OF(io, struct sound_cmd, io);
}

static struct sound_stream *stream_of(struct pcm *p)
{
	return CONTAINER_OF(p, struct sound_stream, pcm);
}

/* ---- time ---- */

static void run_streams(struct sound_device *dev)
{
	int64_t now = loop_now(), next = INT64_MAX;
	bool polls[SOUND_QUEUES] = {false};
	unsigned running = 0;

	for (unsigned i = 0; i < dev->card.n_streams; i++) {
		struct sound_stream *s = &dev->streams[i];
		unsigned queue = VIRTIO_SND_VQ_TX + card_direction(&dev->card, i);

		running += s->pcm.state == PCM_RUNNING;
		if (s->pcm.polling && s->pcm.state == PCM_RUNNING && s->next <= now && dev->vhu
			&& !polls[queue]) {
			polls[queue] = true;
			vhu_poll(dev->vhu, queue);
		}
	}
	for (unsigned i = 0; i < dev->card.n_streams; i++) {
		struct sound_stream *s = &dev->streams[i];

		s->pcm.crowded = running >= CROWD && s->pcm.state == PCM_RUNNING;
		if (s->next <= now || s->pcm.crowded)
			s->next = pcm_run(&s->pcm, now);
		if (s->next < next)
			next = s->next;
	}
	loop_timer_set(&dev->timer, next);
}

static void on_timer(struct loop_timer *timer)
{
	run_streams(CONTAINER_OF(timer, struct sound_device, timer));
}

static void on_job(struct loop_job *job)
{
	run_streams(CONTAINER_OF(job, struct sound_device, job));
}

void sound_run_soon(struct sound_device *dev, struct sound_stream *stream)
{
	stream->next = 0;
	loop_defer(dev->loop, &dev->job);
}

/* The eventfd is never read: it is edge-triggered. */
static void on_graph(struct loop_source *source, uint32_t events)
{
	struct sound_device *dev = CONTAINER_OF(source, struct sound_device, event);

	(void)events;
	for (unsigned i = 0; i < dev->card.n_streams; i++)
		if (dev->streams[i].pcm.state == PCM_RUNNING && !dev->streams[i].pcm.live)
			sound_run_soon(dev, &dev->streams[i]);
}

/* ---- I/O messages ---- */

/* The status follows what is recorded: all of it fits, or the message was refused. */
static void answer_io(
	struct sound_cmd *cmd, uint32_t status, uint32_t latency, bool records, size_t recorded)
{
	struct vq_req *req = &cmd->req;
	const struct virtio_snd_pcm_status s = {to_le32(status), to_le32(latency)};
	size_t at = records && req->in_len >= sizeof(s) ? req->in_len - sizeof(s) : 0, n;

	n = req->vq->broken ? 0 : iov_write(vq_req_in(req), req->n_in, at, &s, sizeof(s));
	vhu_finish_written(req, (uint32_t)(n + recorded));
}

static void on_done(struct pcm *p, struct pcm_io *io, uint32_t status, uint32_t latency)
{
	bool records = p->format.direction == VIRTIO_SND_D_INPUT;
	size_t bytes = (size_t)io->frames * p->format.frame;

	answer_io(cmd_of(io), status, latency, records,
		records && status == VIRTIO_SND_S_OK ? bytes : 0);
}

static void on_xrun(struct pcm *p)
{
	struct sound_stream *s = stream_of(p);

	if (!p->evt_xruns)
		return;
	s->xrun = true;
	sound_send_events(s->dev);
}

static const struct pcm_owner owner = {on_done, on_xrun};

/* Where a message's frames lie, and how many there are. False when it is not a whole number of them. */
static bool find_frames(struct sound_cmd *cmd, const struct pcm_format *f)
{
	const struct vq_req *req = &cmd->req;
	const size_t status = sizeof(struct virtio_snd_pcm_status);
	size_t len;

	if (req->in_len < status)
		return false;
	if (f->direction == VIRTIO_SND_D_OUTPUT) {
		cmd->io.iov = vq_req_out(req);
		cmd->io.n_iov = req->n_out;
		cmd->io.skip = sizeof(struct virtio_snd_pcm_xfer);
		len = req->out_len - cmd->io.skip;
	} else {
		cmd->io.iov = vq_req_in(req);
		cmd->io.n_iov = req->n_in;
		cmd->io.skip = 0;
		len = req->in_len - status;
	}
	if (!f->frame || !len || len % f->frame || len > (size_t)f->buffer * f->frame)
		return false;
	cmd->io.frames = (uint32_t)(len / f->frame);
	return true;
}

static void on_message(struct sound_device *dev, unsigned queue, struct sound_cmd *cmd)
{
	struct sound_stream *s;
	uint32_t id;

	if (!sound_wire_stream_id(vq_req_out(&cmd->req), cmd->req.n_out, &id)
		|| id >= dev->card.n_streams
		|| queue != VIRTIO_SND_VQ_TX + card_direction(&dev->card, id)) {
		log_peer("an I/O message without a stream of its queue");
		answer_io(cmd, VIRTIO_SND_S_BAD_MSG, 0, queue == VIRTIO_SND_VQ_RX, 0);
		return;
	}
	s = &dev->streams[id];
	if (!find_frames(cmd, &s->pcm.format) || !pcm_queue(&s->pcm, &cmd->io, loop_now())) {
		log_peer("stream %u: an I/O message of a bad size or at a bad time", id);
		answer_io(cmd, VIRTIO_SND_S_IO_ERR, 0, queue == VIRTIO_SND_VQ_RX, 0);
		return;
	}
	if (s->pcm.state == PCM_RUNNING)
		sound_run_soon(dev, s);
}

/* ---- events ---- */

static void send_event(struct sound_cmd *cmd, uint32_t code, uint32_t data)
{
	const struct virtio_snd_event e = {{to_le32(code)}, to_le32(data)};

	vhu_finish(&cmd->req, &e, sizeof(e));
}

/* The next event that waits. False: there is none. */
static bool next_event(struct sound_device *dev, uint32_t *code, uint32_t *data)
{
	for (unsigned i = 0; i < dev->card.n_jacks; i++) {
		if (!dev->jack_changed[i])
			continue;
		dev->jack_changed[i] = false;
		*code = dev->card.jacks[i].connected ? VIRTIO_SND_EVT_JACK_CONNECTED
						     : VIRTIO_SND_EVT_JACK_DISCONNECTED;
		*data = i;
		return true;
	}
	for (unsigned i = 0; i < dev->card.n_streams; i++) {
		if (!dev->streams[i].xrun)
			continue;
		dev->streams[i].xrun = false;
		*code = VIRTIO_SND_EVT_PCM_XRUN;
		*data = i;
		return true;
	}
	for (unsigned i = 0; i < dev->card.n_controls; i++) {
		if (!dev->control_changed[i] || !vhu_has_feature(dev->vhu, VIRTIO_SND_F_CTLS))
			continue;
		dev->control_changed[i] = false;
		*code = VIRTIO_SND_EVT_CTL_NOTIFY;
		*data = i | BIT(VIRTIO_SND_CTL_EVT_MASK_VALUE) << 16;
		return true;
	}
	return false;
}

/* What has no buffer waits, once for each thing that changed. */
void sound_send_events(struct sound_device *dev)
{
	struct sound_cmd *cmd;
	uint32_t code, data;

	while ((cmd = TAILQ_FIRST(&dev->buffers)) && next_event(dev, &code, &data)) {
		TAILQ_REMOVE(&dev->buffers, cmd, link);
		send_event(cmd, code, data);
	}
}

static void on_event_buffer(struct sound_device *dev, struct sound_cmd *cmd)
{
	if (cmd->req.in_len < sizeof(struct virtio_snd_event)) {
		log_peer("an event buffer of %u bytes", cmd->req.in_len);
		vhu_finish_written(&cmd->req, 0);
		return;
	}
	TAILQ_INSERT_TAIL(&dev->buffers, cmd, link);
	sound_send_events(dev);
}

/* ---- what the backend says ---- */

static void on_level(void *arg, unsigned stream, const struct backend_level *level)
{
	struct sound_device *dev = arg;
	struct card *c = &dev->card;
	const uint32_t values[] = {card_volume(level->volume), !level->mute};

	for (unsigned kind = CARD_VOLUME; c->n_controls && kind <= CARD_SWITCH; kind++) {
		unsigned id = card_control(c, stream, kind);

		if (c->values[id] == values[kind])
			continue;
		c->values[id] = values[kind];
		dev->control_changed[id] = true;
	}
	sound_send_events(dev);
}

static void on_present(void *arg, unsigned direction, bool present)
{
	struct sound_device *dev = arg;

	for (unsigned i = 0; i < dev->card.n_jacks; i++) {
		struct card_jack *j = &dev->card.jacks[i];

		if (j->direction != direction || j->connected == present)
			continue;
		j->connected = present;
		dev->jack_changed[i] = true;
	}
	sound_send_events(dev);
}

/* ---- what the core calls ---- */

static void on_request(void *arg, unsigned queue, struct vq_req *req)
{
	struct sound_cmd *cmd = CONTAINER_OF(req, struct sound_cmd, req);

	if (queue == VIRTIO_SND_VQ_CONTROL)
		sound_control(arg, cmd);
	else if (queue == VIRTIO_SND_VQ_EVENT)
		on_event_buffer(arg, cmd);
	else
		on_message(arg, queue, cmd);
}

/* A guest that is paused finds its messages where they were, and goes on. */
static void flush_stream(struct pcm *p)
{
	struct pcm_io *io;

	TAILQ_FOREACH (io, &p->ios, link)
		io->taken_back = cmd_of(io)->req.taken_back;
	pcm_flush(p);
}

static void on_queue_stop(void *arg, unsigned queue)
{
	struct sound_device *dev = arg;
	struct sound_cmd *cmd;

	for (unsigned i = 0; i < dev->card.n_streams; i++)
		if (queue == VIRTIO_SND_VQ_TX + card_direction(&dev->card, i))
			flush_stream(&dev->streams[i].pcm);
	while (queue == VIRTIO_SND_VQ_EVENT && (cmd = TAILQ_FIRST(&dev->buffers))) {
		TAILQ_REMOVE(&dev->buffers, cmd, link);
		vhu_finish_written(&cmd->req, 0);
	}
}

/* A driver that begins reads how all is. */
static void forget_events(struct sound_device *dev)
{
	for (unsigned i = 0; i < dev->card.n_streams; i++)
		dev->streams[i].xrun = false;
	memset(dev->jack_changed, 0, sizeof(dev->jack_changed));
	memset(dev->control_changed, 0, sizeof(dev->control_changed));
}

static void on_reset(void *arg)
{
	struct sound_device *dev = arg;

	for (unsigned i = 0; i < dev->card.n_streams; i++) {
		pcm_reset(&dev->streams[i].pcm);
		dev->streams[i].next = INT64_MAX;
	}
	forget_events(dev);
	loop_cancel(dev->loop, &dev->job);
	loop_timer_set(&dev->timer, INT64_MAX);
}

static size_t get_config(void *arg, void *space)
{
	const struct sound_device *dev = arg;
	const struct virtio_snd_config c = {
		.jacks = to_le32(dev->card.n_jacks),
		.streams = to_le32(dev->card.n_streams),
		.chmaps = to_le32(card_n_chmaps(&dev->card)),
		.controls = to_le32(dev->card.n_controls),
	};

	memcpy(space, &c, sizeof(c));
	return sizeof(c);
}

static void on_connection(void *arg, struct vhu *vhu)
{
	struct sound_device *dev = arg;

	dev->vhu = vhu;
	forget_events(dev);
}

int sound_device_init(struct sound_device *dev, struct loop *loop, const struct card_config *config,
	struct backend *backend)
{
	int r;

	*dev = (struct sound_device){.loop = loop, .backend = backend};
	dev->vhu_device = (struct vhu_device){
		.name = "sound",
		.n_queues = SOUND_QUEUES,
		.features = config->controls ? BIT(VIRTIO_SND_F_CTLS) : 0,
		.req_size = sizeof(struct sound_cmd),
		.iov_per_req = IOV_PER_REQ,
		.large = LARGE,
		.takes_back = true,
		.request = on_request,
		.queue_stop = on_queue_stop,
		.reset = on_reset,
		.get_config = get_config,
		.connection = on_connection,
	};
	card_init(&dev->card, config);
	TAILQ_INIT(&dev->buffers);
	dev->job.run = on_job;
	dev->timer.expired = on_timer;
	dev->event.ready = on_graph;
	dev->event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (unsigned i = 0; i < dev->card.n_streams; i++) {
		struct sound_stream *s = &dev->streams[i];

		s->dev = dev;
		s->next = INT64_MAX;
		pcm_init(&s->pcm, i, backend);
		s->pcm.owner = &owner;
		s->pcm.event = dev->event.fd;
	}
	backend->listener = (struct backend_listener){on_level, on_present, dev};
	for (unsigned i = 0; i < dev->card.n_jacks; i++)
		dev->card.jacks[i].connected = backend->present[dev->card.jacks[i].direction];
	r = dev->event.fd < 0 ? -errno : loop_add(loop, &dev->event, EPOLLIN | EPOLLET);
	return r < 0 ? r : loop_timer_init(loop, &dev->timer);
}

void sound_device_finish(struct sound_device *dev)
{
	on_reset(dev);
	dev->backend->listener = (struct backend_listener){0};
	loop_timer_finish(&dev->timer);
	loop_remove(&dev->event);
	fd_close(&dev->event.fd);
}
