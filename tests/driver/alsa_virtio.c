/* SPDX-License-Identifier: MIT */
#include "alsa_virtio.h"

#include <string.h>

#include "protocols/virtio_snd.h"

void alsa_fault(struct alsa_guest *g, const char *what)
{
	if (!g->fault)
		g->fault = what;
}

/* Messages */

static void send_message(struct alsa_guest *g, uint32_t id)
{
	struct alsa_message *m = &g->messages[id];

	m->queued = true;
	m->number = ++g->sent;
	g->last = id;
	g->queued++;
	g->ops->queue(g->dev, id, g->ring + id * g->period_bytes, g->period_bytes);
}

/* 6.1: all that are not with the device, in the order of the buffer. */
static void send_all(struct alsa_guest *g)
{
	while (g->queued < g->n) {
		uint32_t id = (g->last + 1) % g->n;

		g->messages[id].length = g->period_bytes;
		send_message(g, id);
	}
}

/* 6.7: bytes at offset have come; a message goes out when it is complete. */
static void send_bytes(struct alsa_guest *g, uint32_t offset, uint32_t bytes)
{
	while (bytes > 0) {
		uint32_t id = offset / g->period_bytes;
		struct alsa_message *m = &g->messages[id];
		uint32_t here = g->period_bytes - offset % g->period_bytes;

		if (here > bytes)
			here = bytes;
		m->length += here;
		if (m->length == g->period_bytes && !m->queued)
			send_message(g, id);
		offset += here;
		bytes -= here;
	}
}

/*
 * 6.7 plays and records by way of a second buffer which is the same one: what the application has
 * written and is not handed over (sw) goes to the device (hw) as far as there is room; what the
 * device has captured (hw) goes to the application (sw), and its messages back to the device.
 */
static void transfer(struct alsa_guest *g)
{
	int64_t size = g->buffer_bytes;
	int64_t moved = (int64_t)(g->appl - g->indirect.appl) * g->setup.frame_bytes;
	int64_t *from = g->setup.capture ? &g->indirect.hw : &g->indirect.sw;
	int64_t *to = g->setup.capture ? &g->indirect.sw : &g->indirect.hw;

	g->indirect.appl = g->appl;
	g->indirect.sw += g->setup.capture ? -moved : moved;
	while (*from > 0 && *to < size) {
		int64_t n = size - g->indirect.next;

		if (n > *from)
			n = *from;
		if (n > size - *to)
			n = size - *to;
		send_bytes(g, g->indirect.next, (uint32_t)n);
		g->indirect.next = (uint32_t)((g->indirect.next + n) % size);
		*from -= n;
		*to += n;
	}
}

void alsa_virtio_ack(struct alsa_guest *g)
{
	if (g->setup.generation == ALSA_6_7)
		transfer(g);
}

int64_t alsa_virtio_pointer(struct alsa_guest *g)
{
	int64_t moved = (int64_t)g->hw_ptr - g->indirect.seen;

	if (g->setup.generation == ALSA_6_1)
		return g->hw_ptr / g->setup.frame_bytes;
	if (moved < 0)
		moved += g->buffer_bytes;
	g->indirect.seen = g->hw_ptr;
	g->indirect.hw += g->setup.capture ? moved : -moved;
	if (g->setup.capture && g->indirect.hw > g->buffer_bytes)
		return -1;
	g->indirect.position = (uint32_t)((g->indirect.position + moved) % g->buffer_bytes);
	transfer(g);
	return g->indirect.position / g->setup.frame_bytes;
}

/* Completions */

static void check(struct alsa_guest *g, const struct alsa_message *m, const struct alsa_used *u)
{
	uint32_t most = ALSA_STATUS + (g->setup.capture ? g->period_bytes : 0);

	if (m->number != g->answered + 1)
		alsa_fault(g, "messages completed out of order");
	if (u->len > most)
		alsa_fault(g, "a used length of more than was writable");
	if (u->len < ALSA_STATUS)
		alsa_fault(g, "a used length without a status");
	if (u->status != VIRTIO_SND_S_OK)
		g->failed++;
}

/* The status does not matter to Linux, and without data the whole message counts. */
static void take(struct alsa_guest *g, const struct alsa_used *u)
{
	struct alsa_message *m = &g->messages[u->id];
	uint32_t bytes = m->length;

	check(g, m, u);
	if (g->setup.capture && u->len > ALSA_STATUS)
		bytes = u->len - ALSA_STATUS;
	g->hw_ptr = (g->hw_ptr + bytes) % g->buffer_bytes;
	g->done += bytes;
	g->answered = m->number;
	m->queued = false;
	m->length = 0;
	g->queued--;
	if (!g->transfers)
		return;
	g->delay = u->latency_bytes / g->setup.frame_bytes;
	if (g->work_due == ALSA_NEVER)
		g->work_due = g->now + alsa_later(g, g->setup.look_delay);
	if (g->setup.generation == ALSA_6_1)
		send_all(g);
}

void alsa_complete(struct alsa_guest *g, const struct alsa_used *used, int64_t now)
{
	bool known = used->id < g->n && g->messages[used->id].queued;

	for (uint32_t i = 0; i < g->used_count && known; i++)
		known = g->used[(g->used_first + i) % g->n].id != used->id;
	if (!known) {
		alsa_fault(g, "a message completed that was not with the device");
		return;
	}
	g->used[(g->used_first + g->used_count++) % g->n] = *used;
	if (g->irq_due == ALSA_NEVER)
		g->irq_due = now + alsa_later(g, g->setup.irq_delay);
}

/* What is completed in return to what is sent here is another interrupt's. */
void alsa_virtio_interrupt(struct alsa_guest *g)
{
	uint32_t n = g->used_count;

	g->irq_due = ALSA_NEVER;
	for (uint32_t i = 0; i < n; i++) {
		struct alsa_used u = g->used[g->used_first];

		g->used_first = (g->used_first + 1) % g->n;
		g->used_count--;
		take(g, &u);
	}
}

/* Control requests */

static void ask(struct alsa_guest *g, int (*op)(void *dev), const char *refused)
{
	if (g->end == ALSA_RUNS && op(g->dev) < 0) {
		alsa_fault(g, refused);
		g->end = ALSA_REFUSED;
	}
}

void alsa_virtio_params(struct alsa_guest *g)
{
	if (g->ops->set_params(g->dev, g->buffer_bytes, g->period_bytes) < 0) {
		alsa_fault(g, "SET_PARAMS refused");
		g->end = ALSA_REFUSED;
	}
}

/*
 * Linux does not clear the lengths of messages that are half written or never came back, nor its
 * position after a suspend: then such streams stall. No device can help it, so it is not done here.
 */
void alsa_virtio_prepare(struct alsa_guest *g)
{
	memset(&g->indirect, 0, sizeof(g->indirect));
	for (uint32_t i = 0; i < g->n; i++)
		g->messages[i].length = 0;
	g->last = g->n - 1;
	g->hw_ptr = 0;
	g->done = 0;
	ask(g, g->ops->prepare, "PREPARE refused");
}

void alsa_virtio_start(struct alsa_guest *g)
{
	g->transfers = true;
	if (g->setup.generation == ALSA_6_1)
		send_all(g);
	else if (g->setup.capture)
		send_bytes(g, 0, g->buffer_bytes);
	ask(g, g->ops->start, "START refused");
}

void alsa_virtio_stop(struct alsa_guest *g)
{
	g->transfers = false;
	ask(g, g->ops->stop, "STOP refused");
}

void alsa_virtio_release(struct alsa_guest *g)
{
	ask(g, g->ops->release, "RELEASE refused");
	alsa_virtio_interrupt(g);
	g->work_due = ALSA_NEVER;
	if (g->queued > 0)
		alsa_fault(g, "RELEASE left messages");
}

void alsa_virtio_reset(struct alsa_guest *g)
{
	g->transfers = false;
	g->irq_due = g->work_due = ALSA_NEVER;
	g->used_count = 0;
	for (uint32_t i = 0; i < g->n; i++)
		g->messages[i].queued = false;
	g->queued = 0;
	g->answered = g->sent;
	g->ops->reset(g->dev);
}
