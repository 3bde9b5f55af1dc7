/* SPDX-License-Identifier: MIT */
#include "alsa_toy.h"

#include <errno.h>
#include <string.h>

#include "protocols/virtio_snd.h"

struct toy dev;

static int64_t slot(const struct toy *d, uint64_t n)
{
	return d->started
		+ (int64_t)(n * d->guest.setup.period * 1000000000u / d->guest.setup.rate);
}

static int request(struct toy *d, char letter)
{
	size_t n = strlen(d->requests);

	if (n < sizeof(d->requests) - 1)
		d->requests[n] = letter;
	return d->refuse == (uint32_t)letter ? -EINVAL : 0;
}

static int set_params(void *arg, uint32_t buffer_bytes, uint32_t period_bytes)
{
	assert_int_equal(buffer_bytes % period_bytes, 0);
	return request(arg, 'P');
}

static int prepare(void *arg)
{
	return request(arg, 'p');
}

static int start(void *arg)
{
	struct toy *d = arg;

	d->started = d->guest.now;
	d->slots = 0;
	d->due = d->manner == NEVER ? ALSA_NEVER : slot(d, 1);
	if (d->manner == AT_ONCE)
		d->due = d->started + MS;
	return request(d, '+');
}

static int stop(void *arg)
{
	struct toy *d = arg;

	d->due = ALSA_NEVER;
	return request(d, '-');
}

void toy_complete(struct toy *d, uint32_t len)
{
	struct queued *q = &d->queue[d->first++ % MAX];

	d->n--;
	d->done++;
	alsa_complete(&d->guest,
		&(struct alsa_used){.id = q->id,
			.len = len,
			.status = VIRTIO_SND_S_OK,
			.latency_bytes = d->latency},
		d->guest.now > d->now ? d->guest.now : d->now);
}

static int release(void *arg)
{
	struct toy *d = arg;

	while (d->n > 0 && !d->keeps)
		toy_complete(d, ALSA_STATUS);
	return request(d, 'r');
}

static void reset(void *arg)
{
	struct toy *d = arg;

	d->n = 0;
	d->due = ALSA_NEVER;
	request(d, '0');
}

static void queue(void *arg, uint32_t id, uint8_t *data, uint32_t bytes)
{
	struct toy *d = arg;

	d->queue[(d->first + d->n++) % MAX] = (struct queued){id, bytes, data};
}

const struct alsa_ops toy_ops = {set_params, prepare, start, stop, release, reset, queue};

/* The frames of the first message that waits: they are checked, or made. */
static void play(struct toy *d, uint32_t bytes)
{
	const struct queued *q = &d->queue[d->first % MAX];
	uint32_t size = d->guest.setup.frame_bytes;

	for (uint32_t at = 0; at < bytes; at += size) {
		if (d->guest.setup.capture)
			alsa_frame_put(q->data + at, size, ++d->played);
		else if (alsa_frame_number(q->data + at, size) == (uint32_t)(d->played + 1))
			d->played++;
		else
			d->wrong++;
	}
}

static void greedy_turn(struct toy *d)
{
	d->fill -= d->fill < 480 ? d->fill : 480;
	d->due += 10 * MS;
	while (d->n > 0 && d->fill < 2229) {
		uint32_t frames = (d->queue[d->first % MAX].bytes - d->taken) / 4;

		frames = frames < 2229 - d->fill ? frames : 2229 - d->fill;
		d->fill += frames;
		d->taken += frames * 4;
		if (d->taken < d->queue[d->first % MAX].bytes)
			break;
		d->taken = 0;
		toy_complete(d, ALSA_STATUS);
	}
}

/* What happens when it is due. */
static void turn(struct toy *d)
{
	uint32_t n = d->manner == PACED || d->manner == SHORT_ONE ? d->n > 0 : d->n;

	if (d->manner == GREEDY) {
		greedy_turn(d);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t bytes = d->queue[d->first % MAX].bytes;

		if (d->manner == SHORT_ONE && d->done == 5)
			bytes -= d->guest.setup.frame_bytes;
		play(d, bytes);
		toy_complete(d, ALSA_STATUS + (d->guest.setup.capture ? bytes : 0));
	}
	d->due = d->manner == AT_ONCE ? ALSA_NEVER : slot(d, ++d->slots + 1);
}

void toy_begin(const struct alsa_setup *setup, enum manner manner)
{
	alsa_guest_finish(&dev.guest);
	memset(&dev, 0, sizeof(dev));
	dev.manner = manner;
	dev.due = ALSA_NEVER;
	assert_int_equal(alsa_guest_init(&dev.guest, setup, &toy_ops, &dev), 0);
}

/* Lets both live until a point in time, or the guest's end. */
void toy_live(int64_t until)
{
	for (;;) {
		int64_t next = alsa_next(&dev.guest);

		next = dev.due < next ? dev.due : next;
		if (dev.guest.end != ALSA_RUNS || next > until)
			break;
		dev.now = next;
		if (dev.due == next)
			turn(&dev);
		alsa_run(&dev.guest, next);
	}
	if (dev.guest.end == ALSA_RUNS)
		dev.now = until;
}

int toy_end(void **state)
{
	(void)state;
	alsa_guest_finish(&dev.guest);
	return 0;
}

void toy_assert_no_fault(void)
{
	if (dev.guest.fault)
		fail_msg("the device: %s", dev.guest.fault);
}

void toy_assert_all_went_well(uint64_t total)
{
	const struct alsa_guest *g = &dev.guest;

	toy_assert_no_fault();
	assert_int_equal(g->end, ALSA_DRAINED);
	assert_int_equal(g->moved, total);
	assert_int_equal(g->xruns, 0);
	assert_int_equal(g->lag_min, 0);
	assert_int_equal(g->lag_max, 0);
	assert_int_equal(g->breaks, 0);
	assert_int_equal(g->silent, 0);
	assert_true(g->step_max <= g->setup.period);
	assert_true(g->fill_max <= g->setup.buffer);
}
