/* SPDX-License-Identifier: MIT */
#include "alsa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alsa_virtio.h"

#define SECOND    1000000000ll
#define TOO_MANY  1000000u    /* turns at one time */
#define NUMBERING 0x9e3779b1u /* odd: frames as they count, multiplied, look like noise */
#define COUNTING  0x0e8b2f51u /* and back */

/* Frames */

void alsa_frame_put(uint8_t *frame, uint32_t bytes, uint64_t n)
{
	uint32_t noise = (uint32_t)n * NUMBERING;

	for (uint32_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(noise >> 8 * (i % 4));
}

uint64_t alsa_frame_number(const uint8_t *frame, uint32_t bytes)
{
	uint32_t noise = 0, mask = bytes < 4 ? (1u << 8 * bytes) - 1 : UINT32_MAX;

	for (uint32_t i = 0; i < bytes && i < 4; i++)
		noise |= (uint32_t)frame[i] << 8 * i;
	return noise * COUNTING & mask;
}

static uint8_t *frame_at(const struct alsa_guest *g, uint64_t at)
{
	return g->ring + at % g->setup.buffer * g->setup.frame_bytes;
}

/* Life */

static void defaults(struct alsa_setup *s)
{
	s->rate = s->rate ? s->rate : 48000;
	s->frame_bytes = s->frame_bytes ? s->frame_bytes : 4;
	s->chunk = s->chunk ? s->chunk : s->period;
	s->avail_min = s->avail_min ? s->avail_min : s->period;
	s->keep = s->keep && !s->capture ? s->keep : s->buffer;
	s->hz = s->hz ? s->hz : 250;
	if (!s->start_threshold)
		s->start_threshold = s->capture ? 1 : s->buffer;
}

int alsa_guest_init(
	struct alsa_guest *g, const struct alsa_setup *setup, const struct alsa_ops *ops, void *dev)
{
	*g = (struct alsa_guest){.setup = *setup, .ops = ops, .dev = dev};
	if (setup->period == 0 || setup->buffer < setup->period
		|| setup->buffer % setup->period != 0)
		return -EINVAL;
	defaults(&g->setup);
	g->n = setup->buffer / setup->period;
	g->buffer_bytes = g->setup.buffer * g->setup.frame_bytes;
	g->period_bytes = g->setup.period * g->setup.frame_bytes;
	g->irq_due = g->work_due = g->deadline = ALSA_NEVER;
	g->app_due = 0;
	g->fill_min = INT64_MAX;
	g->random = setup->seed;
	g->ring = calloc(g->setup.buffer, g->setup.frame_bytes);
	g->messages = calloc(g->n, sizeof(*g->messages));
	g->used = calloc(g->n, sizeof(*g->used));
	if (g->ring && g->messages && g->used)
		return 0;
	alsa_guest_finish(g);
	return -ENOMEM;
}

void alsa_guest_finish(struct alsa_guest *g)
{
	free(g->ring);
	free(g->messages);
	free(g->used);
	g->ring = NULL;
	g->messages = NULL;
	g->used = NULL;
}

int64_t alsa_later(struct alsa_guest *g, int64_t delay)
{
	uint64_t x = g->random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return delay + (int64_t)((x ^ x >> 31) % (uint64_t)(g->setup.jitter + 1));
}

/* The core */

/* What may be written or read: more than the buffer when it plays on beyond what was written. */
static int64_t available(const struct alsa_guest *g)
{
	return (int64_t)(g->hw - g->appl) + (g->setup.capture ? 0 : g->setup.buffer);
}

/* How long it waits for progress. */
static int64_t patience(const struct alsa_guest *g)
{
	int64_t ms = (int64_t)g->setup.buffer * 1100 / g->setup.rate;

	return (ms > 100 ? ms : 100) * 1000000;
}

static int64_t ticks(const struct alsa_guest *g)
{
	return g->now / (SECOND / g->setup.hz);
}

static bool is_running(const struct alsa_guest *g)
{
	return g->state == ALSA_RUNNING || g->state == ALSA_DRAINING;
}

/* The application has something to do. */
static void wake(struct alsa_guest *g)
{
	g->deadline = ALSA_NEVER;
	if (g->app_due == ALSA_NEVER)
		g->app_due = g->now + alsa_later(g, g->setup.app_delay);
}

static void prepare(struct alsa_guest *g)
{
	g->appl = g->hw = g->base = g->interrupt = 0;
	alsa_virtio_prepare(g);
	g->state = ALSA_PREPARED;
}

static void start(struct alsa_guest *g, enum alsa_state state)
{
	alsa_virtio_start(g);
	g->state = state;
	g->looked = ticks(g);
}

static void stop(struct alsa_guest *g, enum alsa_state state)
{
	alsa_virtio_stop(g);
	g->state = state;
	g->xruns += state == ALSA_XRUN;
	wake(g);
}

static void note(struct alsa_guest *g, uint64_t step)
{
	int64_t lag = (int64_t)(g->done / g->setup.frame_bytes - g->hw);
	int64_t fill = g->setup.capture ? available(g) : (int64_t)(g->appl - g->hw);

	g->consumed += step;
	if (step > g->step_max)
		g->step_max = (uint32_t)step;
	if (lag < g->lag_min)
		g->lag_min = lag;
	if (lag > g->lag_max)
		g->lag_max = lag;
	if (fill < g->fill_min)
		g->fill_min = fill;
	if (fill > g->fill_max)
		g->fill_max = fill;
}

/* After progress: is it the end, or what the application waits for? */
static void update_state(struct alsa_guest *g)
{
	int64_t avail = available(g);

	if (g->state == ALSA_DRAINING) {
		g->deadline = g->now + patience(g);
		if (avail >= g->setup.buffer)
			stop(g, ALSA_SETUP);
	} else if (avail >= g->setup.buffer) {
		stop(g, ALSA_XRUN);
	} else if (g->wakes_at > 0 && avail >= g->wakes_at) {
		wake(g);
	}
}

/*
 * Where does the device stand? From an interrupt the core expects a period more than at the last
 * one; if less is there, and half a buffer's time has gone by, it takes it that a whole buffer was
 * played unseen.
 */
static void look(struct alsa_guest *g, bool interrupt)
{
	int64_t pos = alsa_virtio_pointer(g), now = ticks(g);
	int64_t half = (int64_t)g->setup.buffer * g->setup.hz / g->setup.rate / 2;
	uint64_t base = g->base, step;

	if (pos < 0) {
		stop(g, ALSA_XRUN);
		return;
	}
	if (interrupt && base + pos < g->interrupt + g->setup.period && now - g->looked > half + 1)
		base += g->setup.buffer;
	else if (base + pos < g->hw)
		base += g->setup.buffer;
	step = base + pos - g->hw;
	if (step >= g->setup.buffer + g->setup.period)
		return; // not believed
	g->looked = now;
	if (step > 0 && interrupt)
		g->interrupt += (base + pos - g->interrupt) / g->setup.period * g->setup.period;
	g->base = base;
	g->hw += step;
	note(g, step);
	if (step > 0)
		update_state(g);
}

/* The application */

static void finish(struct alsa_guest *g, enum alsa_end end)
{
	if (is_running(g) || g->state == ALSA_PAUSED)
		stop(g, ALSA_SETUP);
	alsa_virtio_release(g);
	if (g->end == ALSA_RUNS)
		g->end = end;
}

/* After an xrun or in a machine that slept. */
static bool recover(struct alsa_guest *g)
{
	if (g->state == ALSA_SUSPENDED) {
		g->ops->release(g->dev); // whatever a device says that has just been reset
		alsa_virtio_params(g);
	} else if (g->setup.recover) {
		alsa_virtio_release(g);
	} else {
		finish(g, ALSA_BROKE);
		return false;
	}
	prepare(g);
	g->left = 0; // another call, and a capturing one starts the stream
	g->last_number = 0;
	g->app_due = ALSA_NEVER; // it is here already
	return g->end == ALSA_RUNS;
}

static void wait_for(struct alsa_guest *g, uint32_t avail)
{
	g->wakes_at = avail;
	g->deadline = g->now + patience(g);
}

/* All was written or read. */
static void conclude(struct alsa_guest *g)
{
	if (g->setup.capture) {
		finish(g, ALSA_DRAINED);
		return;
	}
	g->draining = true;
	if (g->state == ALSA_PREPARED)
		start(g, ALSA_DRAINING);
	g->state = ALSA_DRAINING;
	wait_for(g, 0);
}

/* Begins with the next chunk, if there is one. */
static bool next_chunk(struct alsa_guest *g)
{
	uint64_t left = g->setup.total ? g->setup.total - g->moved : g->setup.chunk;

	if (left == 0) {
		conclude(g);
		return false;
	}
	g->left = left < g->setup.chunk ? (uint32_t)left : g->setup.chunk;
	if (g->setup.capture && g->state == ALSA_PREPARED && g->left >= g->setup.start_threshold)
		start(g, ALSA_RUNNING);
	if (is_running(g))
		look(g, false);
	return g->state != ALSA_XRUN;
}

/* Silence may come in between, but what comes then has to go on from before it. */
static void read_frame(struct alsa_guest *g)
{
	uint64_t n = alsa_frame_number(frame_at(g, g->appl), g->setup.frame_bytes);
	uint8_t next[4];

	alsa_frame_put(next, sizeof(next), g->last_number + 1);
	if (n != alsa_frame_number(next, g->setup.frame_bytes)) {
		if (n == 0) {
			g->silent++;
			return;
		}
		if (g->last_number > 0 && g->breaks++ == 0)
			g->first_break = g->moved + 1;
	}
	g->last_number = n;
}

static void move(struct alsa_guest *g, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++, g->appl++, g->moved++) {
		if (g->setup.capture)
			read_frame(g);
		else
			alsa_frame_put(frame_at(g, g->appl), g->setup.frame_bytes, g->moved + 1);
	}
	g->left -= n;
	alsa_virtio_ack(g);
	if (!g->setup.capture && g->state == ALSA_PREPARED
		&& (int64_t)(g->appl - g->hw) >= g->setup.start_threshold)
		start(g, ALSA_RUNNING);
}

/* Reads or writes as far as it goes. */
static void transfer(struct alsa_guest *g)
{
	uint32_t spare = g->setup.buffer - g->setup.keep;

	while (g->end == ALSA_RUNS && g->state != ALSA_PAUSED) {
		int64_t avail;

		if (g->state == ALSA_XRUN || g->state == ALSA_SUSPENDED) {
			if (!recover(g))
				break;
		}
		if (g->left == 0 && !next_chunk(g)) {
			if (g->state == ALSA_XRUN)
				continue;
			break;
		}
		avail = available(g) - spare;
		if (avail <= 0) {
			wait_for(g,
				spare
					+ (g->left < g->setup.avail_min ? g->left
									: g->setup.avail_min));
			break;
		}
		move(g, avail < g->left ? (uint32_t)avail : g->left);
	}
}

static void act(struct alsa_guest *g)
{
	g->app_due = ALSA_NEVER;
	g->deadline = ALSA_NEVER;
	g->wakes_at = 0;
	if (g->state == ALSA_SETUP && !g->draining) {
		alsa_virtio_params(g);
		prepare(g);
	}
	if (!g->draining)
		transfer(g);
	else if (g->state == ALSA_DRAINING)
		wait_for(g, 0);
	else
		finish(g, g->state == ALSA_SETUP ? ALSA_DRAINED : ALSA_BROKE);
}

/* The clock */

int64_t alsa_next(const struct alsa_guest *g)
{
	int64_t next = g->irq_due < g->work_due ? g->irq_due : g->work_due;

	if (g->end != ALSA_RUNS)
		return ALSA_NEVER;
	next = g->app_due < next ? g->app_due : next;
	return g->deadline < next ? g->deadline : next;
}

static void turn(struct alsa_guest *g, int64_t due)
{
	if (g->irq_due == due) {
		alsa_virtio_interrupt(g);
	} else if (g->work_due == due) {
		g->work_due = ALSA_NEVER;
		if (is_running(g))
			look(g, true);
	} else if (g->app_due == due) {
		act(g);
	} else {
		finish(g, ALSA_EIO);
	}
}

int64_t alsa_run(struct alsa_guest *g, int64_t now)
{
	g->now = now;
	for (uint32_t i = 0; alsa_next(g) <= now; i++) {
		if (i == TOO_MANY) {
			alsa_fault(g, "the device leaves the guest no time");
			finish(g, ALSA_EIO);
			break;
		}
		turn(g, alsa_next(g));
	}
	return alsa_next(g);
}

/* Pauses. The core's coarse clock is set back, so that its first look does not trust it. */

bool alsa_pause(struct alsa_guest *g, int64_t now)
{
	alsa_run(g, now);
	if (g->state != ALSA_RUNNING || g->end != ALSA_RUNS)
		return false;
	look(g, false);
	if (g->state != ALSA_RUNNING)
		return false;
	g->looked = ticks(g) - 1000ll * g->setup.hz;
	alsa_virtio_stop(g);
	g->state = ALSA_PAUSED;
	g->app_due = g->deadline = ALSA_NEVER;
	return true;
}

bool alsa_resume(struct alsa_guest *g, int64_t now)
{
	alsa_run(g, now);
	if (g->state != ALSA_PAUSED || g->end != ALSA_RUNS)
		return false;
	start(g, ALSA_RUNNING);
	g->looked = ticks(g) - 1000ll * g->setup.hz;
	g->app_due = now;
	return true;
}

void alsa_suspend(struct alsa_guest *g, int64_t now)
{
	alsa_run(g, now);
	if (g->end != ALSA_RUNS || g->state == ALSA_SETUP)
		return;
	if (is_running(g))
		alsa_virtio_stop(g);
	alsa_virtio_reset(g);
	g->state = ALSA_SUSPENDED;
	g->app_due = g->deadline = ALSA_NEVER;
}

void alsa_wake(struct alsa_guest *g, int64_t now)
{
	alsa_run(g, now);
	if (g->state == ALSA_SUSPENDED)
		g->app_due = now;
}
