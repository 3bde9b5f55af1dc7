/* SPDX-License-Identifier: MIT */
/*
 * The backends null and file: a graph of our own, whose clock is a timer. What is played is thrown away,
 * or written to a WAV file for each time that a stream is opened; what is recorded is silence.
 */
#define LOG_TOPIC "sound"
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "wav.h"

enum { CYCLE_NS = 10000000, FRAMES_MOST = 384000 / 100, LATE_MOST = 20 };

struct backend_stream {
	TAILQ_ENTRY(backend_stream) link;
	struct soft *soft;
	struct feed *feed;
	struct wav wav;
	bool active, stopping, closed;
	uint64_t cycles, frames; // since it became active
};

struct soft {
	struct backend base; // first
	struct loop *loop;
	struct loop_timer timer;
	int64_t next; // when the next cycle begins; 0: none does
	int dir;      // -1: nothing is written
	unsigned opened[BACKEND_STREAMS_MAX];
	TAILQ_HEAD(, backend_stream) streams;
	uint8_t buf[FRAMES_MOST * FORMAT_FRAME_MAX];
};

static void free_stream(struct backend_stream *s)
{
	TAILQ_REMOVE(&s->soft->streams, s, link);
	wav_close(&s->wav);
	feed_destroy(s->feed);
	free(s);
}

/* It plays what waits, and then ends what it was asked to end. */
static void rest(struct backend_stream *s)
{
	if (!s->stopping || feed_fill(s->feed))
		return;
	s->active = s->stopping = false;
	if (s->wav.file)
		wav_sync(&s->wav);
	if (s->closed)
		free_stream(s);
}

static void cycle(struct backend_stream *s, int64_t time)
{
	const struct pcm_format *f = &s->feed->format;
	uint64_t until = ++s->cycles * f->rate * (CYCLE_NS / 1000) / 1000000;
	struct feed_cycle c = {.time = time, .frames = (uint32_t)(until - s->frames)};
	uint8_t *buf = s->soft->buf;

	s->frames = until;
	if (f->direction == VIRTIO_SND_D_INPUT) {
		format_silence(f, buf, c.frames);
		feed_record(s->feed, buf, &c);
		return;
	}
	feed_play(s->feed, buf, &c);
	if (s->wav.file)
		wav_write(&s->wav, buf, c.frames);
}

static void on_timer(struct loop_timer *timer)
{
	struct soft *soft = CONTAINER_OF(timer, struct soft, timer);
	struct backend_stream *s, *after;
	int64_t now = loop_now();
	bool active = false;

	if (now - soft->next > (int64_t)LATE_MOST * CYCLE_NS)
		soft->next = now;
	for (; soft->next <= now; soft->next += CYCLE_NS)
		TAILQ_FOREACH (s, &soft->streams, link)
			if (s->active)
				cycle(s, soft->next);
	for (s = TAILQ_FIRST(&soft->streams); s; s = after) {
		after = TAILQ_NEXT(s, link);
		active |= s->active;
		rest(s);
	}
	soft->next = active ? soft->next : 0;
	loop_timer_set(timer, active ? soft->next : INT64_MAX);
}

static int soft_open(
	struct backend *b, unsigned stream, struct feed *feed, struct backend_stream **out)
{
	struct soft *soft = CONTAINER_OF(b, struct soft, base);
	struct backend_stream *s = calloc(1, sizeof(*s));
	static struct log_limit limit;
	char name[64];
	int r;

	if (!s)
		return -ENOMEM;
	s->soft = soft;
	s->feed = feed;
	if (soft->dir >= 0 && feed->format.direction == VIRTIO_SND_D_OUTPUT) {
		snprintf(name, sizeof(name), "stream%u-%03u.wav", stream, ++soft->opened[stream]);
		r = wav_create(&s->wav, soft->dir, name, &feed->format);
		if (r < 0 && log_limit_pass(&limit, LOG_TOPIC))
			log_warn("%s: %s; what stream %u plays now is not written", name,
				strerror(-r), stream);
	}
	TAILQ_INSERT_TAIL(&soft->streams, s, link);
	*out = s;
	return 0;
}

static void soft_start(struct backend_stream *s)
{
	struct soft *soft = s->soft;

	s->stopping = false;
	if (s->active)
		return;
	s->active = true;
	s->cycles = s->frames = 0;
	if (soft->next)
		return;
	soft->next = loop_now();
	loop_timer_set(&soft->timer, soft->next);
}

static void soft_stop(struct backend_stream *s)
{
	if (s->feed->format.direction == VIRTIO_SND_D_INPUT)
		s->active = false;
	else
		s->stopping = s->active;
}

static void soft_close(struct backend_stream *s)
{
	s->closed = true;
	soft_stop(s);
	if (!s->active)
		free_stream(s);
}

static void soft_destroy(struct backend *b)
{
	struct soft *soft = CONTAINER_OF(b, struct soft, base);
	struct backend_stream *s;

	while ((s = TAILQ_FIRST(&soft->streams)))
		free_stream(s);
	loop_timer_finish(&soft->timer);
	fd_close(&soft->dir);
	free(soft);
}

static const struct backend_ops ops = {
	.open = soft_open,
	.start = soft_start,
	.stop = soft_stop,
	.close = soft_close,
	.destroy = soft_destroy,
};

int backend_null_create(
	struct loop *loop, const struct backend_config *config, struct backend **out)
{
	struct soft *soft = calloc(1, sizeof(*soft));
	int r;

	(void)config;
	if (!soft)
		return -ENOMEM;
	soft->base.ops = &ops;
	// There is always something to play to, and silence to record.
	soft->base.present[VIRTIO_SND_D_OUTPUT] = soft->base.present[VIRTIO_SND_D_INPUT] = true;
	soft->dir = -1;
	TAILQ_INIT(&soft->streams);
	soft->loop = loop;
	soft->timer.expired = on_timer;
	r = loop_timer_init(loop, &soft->timer);
	if (r < 0) {
		free(soft);
		return r;
	}
	*out = &soft->base;
	return 0;
}

int backend_file_create(
	struct loop *loop, const struct backend_config *config, struct backend **out)
{
	struct backend *b;
	int dir, r;

	if (mkdir(config->dir, 0777) < 0 && errno != EEXIST)
		return -errno;
	dir = open(config->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = backend_null_create(loop, config, &b);
	if (r < 0) {
		fd_close(&dir);
		return r;
	}
	CONTAINER_OF(b, struct soft, base)->dir = dir;
	*out = b;
	return 0;
}
