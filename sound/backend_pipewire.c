/* SPDX-License-Identifier: MIT */
/*
 * Sound through PipeWire. It may be absent, and may go and come back: its streams go with it, ours stay,
 * and are shown to the next one. Meanwhile there are no cycles. A child makes the connections.
 */
#define LOG_TOPIC "pipewire"
#include "backend.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/bytes.h"
#include "common/log.h"
#include "connector.h"
#include "pipewire.h"

static const int64_t MS = 1000000;

enum {
	RETRY_MS = 250,   // between two attempts to connect
	RENEW_MS = 1000,  // until a stream that PipeWire has ended is made again
	EMPTY_MS = 20,    // between two looks whether a feed is empty
	LINGER_MS = 2000, // and no longer than this
	CHECK_MS = 2000,
};

struct backend_stream {
	TAILQ_ENTRY(backend_stream) link;
	struct backend_pipewire *b;
	unsigned number;
	struct feed *feed;
	struct pipewire_stream *pw; // NULL: PipeWire is away, or has refused it
	bool started, closing, ended;
	int64_t until; // stopped, and plays what is left, until then at most; 0: it does not
	struct backend_level heard;
	bool told, settled; // of its level by PipeWire; and was given the one that is kept
};

struct backend_pipewire {
	struct backend base;
	struct backend_config config;
	struct loop *loop;
	struct pipewire *pipewire;
	struct connector connector;
	struct loop_timer retry, linger;
	struct loop_job settle;
	bool said_away;
	TAILQ_HEAD(, backend_stream) streams;
	struct {
		struct backend_level level;
		char *role;
	} kept[BACKEND_STREAMS_MAX]; // by a stream's number
};

static struct backend_pipewire *of(struct backend *b)
{
	return CONTAINER_OF(b, struct backend_pipewire, base);
}

static void arm(struct loop_timer *timer, int ms)
{
	loop_timer_set(timer, loop_now() + ms * MS);
}

static bool plays(const struct backend_stream *s)
{
	return s->feed->format.direction == VIRTIO_SND_D_OUTPUT;
}

/* ---- levels ---- */

static bool same_level(const struct backend_level *a, const struct backend_level *b)
{
	return a->mute == b->mute && fabsf(a->volume - b->volume) < 1e-4f;
}

/* Nothing is touched where it is right already: what is not scaled stays bit exact. */
static void apply_level(struct backend_stream *s)
{
	const struct backend_level *kept = &s->b->kept[s->number].level;

	if (!s->settled || same_level(kept, &s->heard))
		return;
	s->heard = *kept;
	pipewire_stream_set_level(s->pw, kept);
}

static void run_settle(struct loop_job *job)
{
	struct backend_pipewire *b = CONTAINER_OF(job, struct backend_pipewire, settle);
	struct backend_stream *s;

	TAILQ_FOREACH (s, &b->streams, link) {
		if (s->settled || !s->told)
			continue;
		s->settled = true;
		apply_level(s);
	}
}

/*
 * A new stream tells its level as soon as it has one, and is given the one that is kept. What it tells
 * then is the host's doing; so is what a session manager remembers of it.
 */
static void on_level(void *stream, const struct backend_level *level)
{
	struct backend_stream *s = stream;
	struct backend_pipewire *b = s->b;

	s->heard = *level;
	s->told = true;
	if (!s->settled) {
		loop_defer(b->loop, &b->settle);
	} else if (!s->closing && !same_level(level, &b->kept[s->number].level)) {
		b->kept[s->number].level = *level;
		b->base.listener.level(b->base.listener.arg, s->number, level);
	}
}

static void set_level(struct backend *base, unsigned stream, const struct backend_level *level)
{
	struct backend_pipewire *b = of(base);
	struct backend_stream *s;

	b->kept[stream].level = *level;
	TAILQ_FOREACH (s, &b->streams, link)
		if (s->number == stream)
			apply_level(s);
}

/* ---- streams ---- */

static const char *role_of(const struct backend_stream *s)
{
	const char *own = s->b->kept[s->number].role;

	return own ? own : s->b->config.role;
}

static void unmake(struct backend_stream *s)
{
	pipewire_stream_destroy(s->pw);
	s->pw = NULL;
	s->told = s->settled = s->ended = false;
	s->until = 0;
}

static void make(struct backend_stream *s)
{
	const struct backend_config *config = &s->b->config;
	const struct pipewire_look look = {
		.number = plays(s) ? s->number : s->number - config->n_playback,
		.machine = config->name,
		.role = role_of(s),
		.target = config->target};

	s->pw = pipewire_stream_create(s->b->pipewire, &look, s->feed, s);
	if (s->pw && s->started)
		pipewire_stream_set_active(s->pw, true);
}

/*
 * What waits in a feed is of the past by now. It is the next graph's first cycle that forgets it, so that
 * where there is nothing this must not be asked for: it would be what has come until then.
 */
static void remake(struct backend_stream *s)
{
	unmake(s);
	if (plays(s) && feed_fill(s->feed))
		atomic_fetch_add(&s->feed->flush, 1);
	make(s);
}

static void end(struct backend_stream *s)
{
	unmake(s);
	TAILQ_REMOVE(&s->b->streams, s, link);
	feed_destroy(s->feed);
	free(s);
}

static void on_ended(void *stream)
{
	struct backend_stream *s = stream;

	s->ended = true;
	arm(&s->b->retry, RENEW_MS);
}

/* Frames that wait, or one that a resampler may still hold: silence has not followed it yet. */
static bool has_more(const struct backend_stream *s)
{
	return feed_fill(s->feed) || feed_last_report(s->feed).open;
}

static void on_linger(struct loop_timer *timer)
{
	struct backend_pipewire *b = CONTAINER_OF(timer, struct backend_pipewire, linger);
	struct backend_stream *s, *next;

	for (s = TAILQ_FIRST(&b->streams); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!s->until)
			continue;
		if (has_more(s) && loop_now() < s->until) {
			arm(timer, EMPTY_MS);
			continue;
		}
		s->until = 0;
		if (s->closing)
			end(s);
		else
			pipewire_stream_set_active(s->pw, false);
	}
}

static int open_stream(
	struct backend *base, unsigned number, struct feed *feed, struct backend_stream **out)
{
	struct backend_pipewire *b = of(base);
	struct backend_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->b = b;
	s->number = number;
	s->feed = feed;
	TAILQ_INSERT_TAIL(&b->streams, s, link);
	if (pipewire_version(b->pipewire))
		make(s);
	*out = s;
	return 0;
}

static void start(struct backend_stream *s)
{
	s->started = true;
	s->until = 0;
	if (s->pw)
		pipewire_stream_set_active(s->pw, true);
}

static void stop(struct backend_stream *s)
{
	if (s->pw && s->started && plays(s) && has_more(s)) {
		s->until = loop_now() + LINGER_MS * MS;
		arm(&s->b->linger, EMPTY_MS);
	} else if (s->pw && !s->until) {
		pipewire_stream_set_active(s->pw, false);
	}
	s->started = false;
}

static void close_stream(struct backend_stream *s)
{
	stop(s);
	s->closing = true;
	if (!s->until)
		end(s);
}

static void set_role(struct backend *base, unsigned stream, const char *role)
{
	struct backend_pipewire *b = of(base);
	struct backend_stream *s;

	free(b->kept[stream].role);
	b->kept[stream].role = role ? strdup(role) : NULL;
	TAILQ_FOREACH (s, &b->streams, link)
		if (s->number == stream && s->pw)
			pipewire_stream_set_role(s->pw, role_of(s));
}

/* ---- PipeWire comes and goes ---- */

static void on_nodes(void *arg)
{
	struct backend_pipewire *b = arg;

	for (unsigned i = 0; i < 2; i++) {
		bool present = pipewire_serves(b->pipewire, i);

		if (present == b->base.present[i])
			continue;
		b->base.present[i] = present;
		b->base.listener.present(b->base.listener.arg, i, present);
	}
}

static void say_away(struct backend_pipewire *b, const char *why)
{
	if (!b->said_away)
		log_warn("PipeWire is away (%s): no sound until it is there", why);
	b->said_away = true;
}

static void on_answered(void *arg)
{
	struct backend_pipewire *b = arg;
	struct backend_stream *s;

	if (b->said_away)
		log_info("PipeWire %s is there", pipewire_version(b->pipewire));
	b->said_away = false;
	TAILQ_FOREACH (s, &b->streams, link)
		remake(s);
}

/* Whoever hangs up before he has answered is asked again later. */
static void on_gone(void *arg)
{
	struct backend_pipewire *b = arg;
	struct backend_stream *s, *next;
	bool at_once = pipewire_version(b->pipewire) != NULL;

	for (s = TAILQ_FIRST(&b->streams); s; s = next) {
		next = TAILQ_NEXT(s, link);
		unmake(s);
		if (s->closing)
			end(s);
	}
	pipewire_disconnect(b->pipewire);
	on_nodes(b);
	say_away(b, "it has gone");
	loop_timer_set(&b->retry, INT64_MAX);
	if (at_once)
		connector_ask(&b->connector);
	else
		arm(&b->retry, RETRY_MS);
}

static void on_connection(struct connector *c, int sock)
{
	struct backend_pipewire *b = CONTAINER_OF(c, struct backend_pipewire, connector);
	int r = sock < 0 ? sock : pipewire_connect(b->pipewire, sock);

	if (r == 0)
		return;
	say_away(b, strerror(-r));
	arm(&b->retry, RETRY_MS);
}

/* Time to connect again, or to make streams again that PipeWire has ended. */
static void on_retry(struct loop_timer *timer)
{
	struct backend_pipewire *b = CONTAINER_OF(timer, struct backend_pipewire, retry);
	struct backend_stream *s, *next;

	if (!pipewire_version(b->pipewire)) {
		connector_ask(&b->connector);
		return;
	}
	for (s = TAILQ_FIRST(&b->streams); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->ended && s->closing)
			end(s);
		else if (s->ended)
			remake(s);
	}
}

/* ---- the beginning and the end ---- */

static int begin(struct backend_pipewire *b)
{
	const struct pipewire_owner owner = {on_answered, on_gone, on_nodes, on_level, on_ended, b};
	int r = connector_init(&b->connector, b->loop); // before there are threads

	if (r == 0)
		r = pipewire_create(b->loop, &owner, &b->pipewire);
	if (r == 0)
		r = loop_timer_init(b->loop, &b->retry);
	if (r == 0)
		r = loop_timer_init(b->loop, &b->linger);
	if (r < 0)
		return r;
	connector_set_name(&b->connector, pipewire_remote(b->pipewire));
	connector_ask(&b->connector);
	return 0;
}

static void destroy(struct backend *base)
{
	struct backend_pipewire *b = of(base);
	struct backend_stream *s;

	while ((s = TAILQ_FIRST(&b->streams)))
		end(s);
	loop_cancel(b->loop, &b->settle);
	loop_timer_finish(&b->retry);
	loop_timer_finish(&b->linger);
	connector_finish(&b->connector);
	pipewire_destroy(b->pipewire);
	for (unsigned i = 0; i < BACKEND_STREAMS_MAX; i++)
		free(b->kept[i].role);
	free(b);
}

static const struct backend_ops ops = {
	.open = open_stream,
	.start = start,
	.stop = stop,
	.close = close_stream,
	.set_level = set_level,
	.set_role = set_role,
	.destroy = destroy,
};

int backend_pipewire_create(
	struct loop *loop, const struct backend_config *config, struct backend **out)
{
	struct backend_pipewire *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	b->base.ops = &ops;
	b->config = *config;
	b->loop = loop;
	b->connector.answer = on_connection;
	b->retry.expired = on_retry;
	b->linger.expired = on_linger;
	b->retry.source.fd = b->linger.source.fd = -1;
	b->settle.run = run_settle;
	TAILQ_INIT(&b->streams);
	for (unsigned i = 0; i < BACKEND_STREAMS_MAX; i++)
		b->kept[i].level.volume = 1;
	r = begin(b);
	if (r < 0) {
		destroy(&b->base);
		return r;
	}
	*out = &b->base;
	return 0;
}

/* ---- for the doctor ---- */

static void ignore_present(void *arg, unsigned direction, bool present)
{
	(void)arg;
	(void)direction;
	(void)present;
}

static int report(const struct pipewire *p)
{
	char sinks[256], sources[256];

	if (!pipewire_version(p)) {
		printf("# PipeWire does not answer: there will be no sound until it runs for this "
		       "user\n"
		       "# (systemctl --user start pipewire) and XDG_RUNTIME_DIR says where.\n");
		return -EHOSTDOWN;
	}
	pipewire_names(p, VIRTIO_SND_D_OUTPUT, sinks, sizeof(sinks));
	pipewire_names(p, VIRTIO_SND_D_INPUT, sources, sizeof(sources));
	printf("# PipeWire %s answers; to play to: %s; to record from: %s\n", pipewire_version(p),
		*sinks ? sinks : "nothing", *sources ? sources : "nothing");
	return 0;
}

int backend_pipewire_check(void)
{
	const struct backend_config config = {0};
	int64_t until = loop_now() + CHECK_MS * MS;
	struct loop *loop = loop_create();
	struct backend *backend;
	int r;

	if (!loop)
		return -ENOMEM;
	r = backend_pipewire_create(loop, &config, &backend);
	if (r == 0) {
		struct backend_pipewire *b = of(backend);

		backend->listener.present = ignore_present;
		while (!b->said_away && !pipewire_listed(b->pipewire) && loop_now() < until)
			loop_turn(loop, 50);
		r = report(b->pipewire);
		destroy(backend);
	}
	loop_destroy(loop);
	return r;
}
