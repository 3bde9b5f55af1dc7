/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "sound"
#include "pcm.h"

#include "common/bytes.h"
#include "common/log.h"
#include "pace.h"

enum {
	LINGER_NS = 1000000000
}; // an open stream outlives RELEASE by this, for a PREPARE that follows

void pcm_init(struct pcm *p, unsigned id, struct backend *backend)
{
	*p = (struct pcm){.id = id, .backend = backend, .event = -1};
	TAILQ_INIT(&p->ios);
}

/* ---- messages ---- */

void pcm_finish(struct pcm *p, struct pcm_io *io, uint32_t status, uint32_t latency)
{
	TAILQ_REMOVE(&p->ios, io, link);
	p->n_ios--;
	if (!io->taken_back)
		p->completed = io->end;
	p->owner->done(p, io, status, latency * p->format.frame);
}

void pcm_flush(struct pcm *p)
{
	struct pcm_io *io;

	p->next = NULL;
	while ((io = TAILQ_FIRST(&p->ios)))
		pcm_finish(p, io, VIRTIO_SND_S_IO_ERR, 0);
	p->queued = p->completed;
	if (p->moved < p->completed) { // what was given up is passed over
		p->offset += (int64_t)(p->completed - p->moved);
		p->moved = p->completed;
	}
}

bool pcm_queue(struct pcm *p, struct pcm_io *io, int64_t now)
{
	if (p->state < PCM_PREPARED)
		return false;
	io->moved = p->moved > p->queued ? (uint32_t)min_u64(p->moved - p->queued, io->frames) : 0;
	p->queued += io->frames;
	io->end = p->queued;
	io->taken_back = false;
	io->queued_at = now;
	TAILQ_INSERT_TAIL(&p->ios, io, link);
	if (++p->n_ios > p->most_ios)
		p->most_ios = p->n_ios;
	if (!p->next && io->moved < io->frames)
		p->next = io;
	if (p->state == PCM_RUNNING)
		pace_arrival(p, now);
	return true;
}

/* ---- the way to the host ---- */

static int open_stream(struct pcm *p)
{
	int r;

	p->feed = feed_create(&p->format, pace_room(&p->format), p->event);
	if (!p->feed)
		return -1;
	r = p->backend->ops->open(p->backend, p->id, p->feed, &p->stream);
	if (r < 0) {
		feed_destroy(p->feed);
		p->feed = NULL;
	}
	return r;
}

static void close_stream(struct pcm *p)
{
	if (p->feed) {
		feed_want_event(p->feed, false);
		p->backend->ops->close(p->stream);
	}
	p->feed = NULL;
	p->stream = NULL;
}

static bool same_format(const struct pcm_format *a, const struct pcm_format *b)
{
	return a->format == b->format && a->channels == b->channels && a->rate == b->rate
		&& a->period == b->period && a->buffer == b->buffer;
}

/* ---- requests ---- */

uint32_t pcm_set_params(
	struct pcm *p, const struct pcm_format *f, bool polling, bool evt_xruns, int64_t now)
{
	if (p->state == PCM_RUNNING)
		return VIRTIO_SND_S_BAD_MSG;
	pcm_flush(p);
	if (!same_format(&p->format, f))
		close_stream(p);
	p->format = *f;
	p->polling = polling;
	p->evt_xruns = evt_xruns;
	p->state = PCM_SET;
	p->close_at = now + LINGER_NS;
	return VIRTIO_SND_S_OK;
}

/* Linux prepares a stopped stream without releasing it when none of its messages is out. */
uint32_t pcm_prepare(struct pcm *p)
{
	if (p->state == PCM_NEW || p->state == PCM_RUNNING)
		return VIRTIO_SND_S_BAD_MSG;
	if (p->state == PCM_PREPARED)
		return VIRTIO_SND_S_OK;
	pcm_flush(p);
	if (!p->feed && open_stream(p) < 0)
		return VIRTIO_SND_S_IO_ERR;
	p->queued = p->moved = p->completed = 0;
	pace_prepare(p);
	p->state = PCM_PREPARED;
	return VIRTIO_SND_S_OK;
}

uint32_t pcm_start(struct pcm *p, int64_t now)
{
	if (p->state != PCM_PREPARED && p->state != PCM_STOPPED)
		return VIRTIO_SND_S_BAD_MSG;
	p->state = PCM_RUNNING;
	pace_start(p, now);
	p->backend->ops->start(p->stream);
	return VIRTIO_SND_S_OK;
}

uint32_t pcm_stop(struct pcm *p)
{
	if (p->state != PCM_RUNNING)
		return VIRTIO_SND_S_BAD_MSG;
	p->state = PCM_STOPPED;
	pace_stop(p);
	p->backend->ops->stop(p->stream);
	return VIRTIO_SND_S_OK;
}

uint32_t pcm_release(struct pcm *p, int64_t now)
{
	if (p->state == PCM_NEW || p->state == PCM_RUNNING)
		return VIRTIO_SND_S_BAD_MSG;
	pcm_flush(p);
	p->state = PCM_SET;
	p->close_at = now + LINGER_NS;
	return VIRTIO_SND_S_OK;
}

void pcm_reset(struct pcm *p)
{
	pcm_flush(p);
	if (p->state == PCM_RUNNING)
		pcm_stop(p);
	close_stream(p);
	p->state = PCM_NEW;
}

/* ---- time ---- */

int64_t pcm_run(struct pcm *p, int64_t now)
{
	if (p->state == PCM_RUNNING)
		return pace_run(p, now);
	if (p->state != PCM_SET || !p->feed)
		return INT64_MAX;
	if (now < p->close_at)
		return p->close_at;
	close_stream(p);
	return INT64_MAX;
}
