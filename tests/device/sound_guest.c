/* SPDX-License-Identifier: MIT */
#include "sound_guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "driver/wait.h"
#include "graph_node.h"

#define MS INT64_C(1000000)

/* A graph that is later than this, and one cycle, is thought to be gone (sound/pace.c). */
enum { LATE_MS = 50, ROUNDS = 6 };

/* ---- a stream's messages ---- */

static int queue_one(struct sound_guest *s)
{
	uint32_t bytes = s->period * s->frame;
	uint8_t *data = NULL;
	int ticket;

	if (s->records) {
		ticket = snd_driver_rx(s->snd, s->id, bytes);
	} else {
		data = malloc(bytes);
		if (!data)
			return -ENOMEM;
		if (s->say)
			s->say(s, data, s->n_queued * s->period, s->period);
		else
			noise_write(
				s->format, s->channels, data, s->n_queued * s->period, s->period);
		ticket = snd_driver_tx(s->snd, s->id, data, bytes);
		free(data);
	}
	if (ticket < 0)
		return ticket;
	s->tickets[s->n_queued++ % SOUND_GUEST_PERIODS] = ticket;
	return 0;
}

static int keep(struct sound_guest *s, const struct snd_done *done)
{
	uint32_t bytes = s->period * s->frame;
	uint8_t *more;

	if (!s->records)
		return 0;
	if (done->bytes != bytes)
		return -EBADMSG;
	more = realloc(s->recorded, (s->n_back + 1) * bytes);
	if (!more)
		return -ENOMEM;
	s->recorded = more;
	memcpy(more + s->n_back * bytes, done->data, bytes);
	return 0;
}

static int take_one(struct sound_guest *s)
{
	struct snd_done done;
	int rc = snd_driver_take(s->snd, s->tickets[s->n_back % SOUND_GUEST_PERIODS], &done);

	if (rc == -EAGAIN)
		return rc;
	if (rc != VIRTIO_SND_S_OK && !s->failed)
		s->failed = rc;
	rc = keep(s, &done);
	if (rc < 0)
		return rc;
	if (s->last && done.when - s->last > s->longest)
		s->longest = done.when - s->last;
	s->last = done.when;
	s->n_back++;
	if (s->back)
		s->back(s, &done);
	return 0;
}

static int refill(struct sound_guest *s)
{
	int rc = 0;

	while (rc == 0 && s->n_queued - s->n_back < s->periods
		&& (!s->limit || s->n_queued < s->limit))
		rc = queue_one(s);
	return rc;
}

static int serve_guest(struct sound_guest *s)
{
	int rc = 0;

	while (rc == 0 && s->n_back < s->n_queued)
		rc = take_one(s);
	return rc == 0 || rc == -EAGAIN ? refill(s) : rc;
}

/* ---- the rig ---- */

int sound_rig_begin(struct sound_rig *r, const struct graph_setup *graph, const char *binary,
	const struct snd_setup *setup)
{
	int rc;

	memset(r, 0, sizeof(*r));
	rc = graph_begin(&r->graph, graph);
	if (rc == 0)
		rc = snd_stage_begin(&r->stage, binary, setup);
	if (*r->stage.failed)
		fprintf(stderr, "# %s\n", r->stage.failed);
	return rc;
}

void sound_rig_end(struct sound_rig *r)
{
	snd_stage_end(&r->stage);
	graph_end(&r->graph);
	memset(r, 0, sizeof(*r));
}

static void note_late(struct sound_rig *r, int64_t late)
{
	if (late > r->latest)
		r->latest = late;
}

bool sound_rig_was_late(struct sound_rig *r)
{
	bool late = r->latest > LATE_MS * MS;

	if (late)
		fprintf(stderr, "# this test was %lld ms late: once more\n",
			(long long)(r->latest / MS));
	r->latest = 0;
	return late;
}

int sound_rig_poll(struct sound_rig *r)
{
	int rc = snd_driver_poll(&r->stage.snd);

	for (unsigned i = 0; rc >= 0 && i < r->n_guests; i++)
		rc = serve_guest(r->guests[i]);
	return rc < 0 ? rc : 0;
}

static int serve(struct sound_rig *r)
{
	int rc = sound_rig_poll(r);

	return rc == 0 ? graph_turn(&r->graph, 0) : rc;
}

int sound_rig_serve(struct sound_rig *r, int64_t until)
{
	int rc = serve(r);
	int64_t left;

	while (rc == 0 && (left = until - loop_now()) > 0) {
		rc = snd_driver_wait(&r->stage.snd, (int)(left / MS) + 1);
		if (rc > 0 || rc == -ETIMEDOUT || rc == -ENOMSG) // its call may be on its way
			rc = serve(r);
	}
	return rc;
}

int sound_rig_cycle(struct sound_rig *r)
{
	int64_t due = graph_due(&r->graph);
	int rc = sound_rig_serve(r, due);

	for (int i = 0; i < ROUNDS && rc == 0; i++)
		rc = frontend_barrier(&r->stage.fe);
	if (rc == 0)
		rc = serve(r);
	if (rc == 0)
		rc = graph_step(&r->graph); // others are late here
	note_late(r, loop_now() - graph_due(&r->graph));
	return rc;
}

int sound_rig_cycles(struct sound_rig *r, unsigned n)
{
	int rc = 0;

	while (rc == 0 && n--)
		rc = sound_rig_cycle(r);
	return rc;
}

int sound_rig_play(struct sound_rig *r, const struct sound_guest *s, uint64_t messages)
{
	int64_t deadline = wait_deadline(30000);
	int rc = 0;

	while (rc == 0 && s->n_back < messages)
		rc = wait_left(deadline) ? sound_rig_cycle(r) : -ETIMEDOUT;
	return rc;
}

/* ---- a stream's life ---- */

static int ok(int status)
{
	return status == VIRTIO_SND_S_OK ? 0 : status < 0 ? status : -EPROTO;
}

void sound_guest_name(const struct sound_guest *s, char name[64])
{
	snprintf(name, 64, "virga-sound.%u.%s", s->records ? s->id - 1 : s->id,
		s->records ? "capture" : "playback");
}

/* The daemon and PipeWire have done all that they can. */
static int settle(struct sound_rig *r)
{
	int rc = frontend_barrier(&r->stage.fe);

	return rc == 0 ? graph_sync(&r->graph) : rc;
}

/* Its node has all its links. */
static int await_links(struct sound_rig *r, const struct sound_guest *s)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	unsigned links = 0;
	char name[64];
	int rc = 0;

	sound_guest_name(s, name);
	while (rc == 0 && (!graph_find(&r->graph, name, &links) || links < r->graph.setup.channels))
		rc = wait_left(deadline) ? sound_rig_cycle(r) : -ETIMEDOUT;
	return rc;
}

/*
 * No cycle comes before its node runs and our ends know of it: PipeWire begins with all at once, but each
 * program learns of that when its turn has come, and what it is sent before is lost.
 */
static int await_run(struct sound_rig *r, const struct sound_guest *s)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	struct graph_node node;
	char name[64];
	int rc;

	sound_guest_name(s, name);
	rc = graph_node_open(&node, &r->graph, name);
	while (rc == 0 && node.state != PW_NODE_STATE_RUNNING)
		rc = wait_left(deadline) ? graph_turn(&r->graph, 1) : -ETIMEDOUT;
	graph_node_close(&node);
	return rc == 0 ? graph_sync(&r->graph) : rc;
}

int sound_rig_prepare(struct sound_rig *r, struct sound_guest *s)
{
	uint32_t bytes = noise_bytes(s->format) * s->channels * s->period;
	const struct snd_params params = {.buffer_bytes = bytes * s->periods,
		.period_bytes = bytes,
		.channels = s->channels,
		.format = s->format,
		.rate = s->rate};
	int rc = ok(snd_set_params(&r->stage.snd, s->id, &params));

	s->snd = &r->stage.snd;
	s->frame = noise_bytes(s->format) * s->channels;
	if (rc == 0)
		rc = ok(snd_prepare(&r->stage.snd, s->id));
	if (rc == 0)
		rc = refill(s);
	r->guests[r->n_guests++] = s;
	return rc;
}

int sound_rig_link(struct sound_rig *r, const struct sound_guest *s)
{
	int rc = 0;

	for (int i = 0; i < ROUNDS && rc == 0; i++)
		rc = settle(r); // the node of before has gone
	return rc == 0 ? await_links(r, s) : rc;
}

int sound_rig_open(struct sound_rig *r, struct sound_guest *s)
{
	int rc;

	if (!r->n_guests)
		graph_rest(&r->graph);
	rc = sound_rig_prepare(r, s);
	return rc == 0 ? sound_rig_link(r, s) : rc;
}

int sound_rig_start(struct sound_rig *r, struct sound_guest *s)
{
	int rc = ok(snd_start(&r->stage.snd, s->id));

	s->last = loop_now();
	return rc == 0 ? await_run(r, s) : rc;
}

int sound_rig_close(struct sound_rig *r, struct sound_guest *s)
{
	int rc = ok(snd_stop(&r->stage.snd, s->id));
	struct snd_done done;
	unsigned at = 0;

	while (r->guests[at] != s)
		at++;
	r->guests[at] = r->guests[--r->n_guests];
	if (rc == 0)
		rc = ok(snd_release(&r->stage.snd, s->id));
	if (rc == 0)
		rc = snd_driver_poll(&r->stage.snd);
	for (uint64_t i = s->n_back; i < s->n_queued && rc >= 0; i++)
		rc = snd_driver_take(s->snd, s->tickets[i % SOUND_GUEST_PERIODS], &done);
	return rc < 0 ? rc : 0;
}
