/* SPDX-License-Identifier: MIT */
#include "on_sound.h"

#include <time.h>

const struct snd_params sound_params = {.buffer_bytes = BUFFER,
	.period_bytes = PERIOD,
	.channels = 2,
	.format = VIRTIO_SND_PCM_FMT_S16,
	.rate = VIRTIO_SND_PCM_RATE_48000};

void sound_set(uint32_t stream, const struct snd_params *p)
{
	sound_end(stream);
	assert_int_equal(snd_set_params(&hx.snd, stream, p), OK);
}

void sound_prepare(uint32_t stream)
{
	sound_set(stream, &sound_params);
	assert_int_equal(snd_prepare(&hx.snd, stream), OK);
}

void sound_start(uint32_t stream)
{
	sound_prepare(stream);
	assert_int_equal(snd_start(&hx.snd, stream), OK);
}

void sound_end(uint32_t stream)
{
	assert_true(snd_stop(&hx.snd, stream) >= OK);
	assert_true(snd_release(&hx.snd, stream) >= OK);
}

int sound_send_io(const struct snd_io *io)
{
	int ticket = snd_driver_send(&hx.snd, io);

	assert_true(ticket >= 0);
	return ticket;
}

int sound_send(uint32_t stream, uint32_t bytes)
{
	return sound_send_io(
		&(struct snd_io){.queue = sound_queue(stream), .stream = stream, .bytes = bytes});
}

void expect_back(int ticket, int status)
{
	const struct snd_message *m = &hx.snd.messages[ticket];
	bool filled = m->queue == RX && status == OK;
	uint32_t bytes = m->bytes;
	struct snd_done done;

	assert_int_equal(snd_driver_finish(&hx.snd, ticket, &done), status);
	assert_int_equal(done.bytes, filled ? bytes : 0);
}

void expect_kept(int ticket)
{
	hostile_settle();
	assert_true(snd_driver_poll(&hx.snd) >= 0);
	assert_false(snd_driver_is_back(&hx.snd, ticket));
}

void sound_take(void)
{
	struct snd_done done;

	assert_true(snd_driver_poll(&hx.snd) >= 0);
	for (int i = 0; i < SND_DRIVER_MESSAGES; i++)
		if (snd_driver_is_back(&hx.snd, i) && hx.snd.messages[i].busy)
			assert_true(snd_driver_take(&hx.snd, i, &done) >= 0);
}

void sound_pass(long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

/* ---- the target ---- */

static void begin(void)
{
	snd_driver_init(&hx.snd, &hx.guest, hx.rings);
	hx.snd.refill = false;
}

static void forget(void)
{
	snd_driver_reset(&hx.snd);
}

static void plays(uint32_t stream)
{
	sound_prepare(stream);
	int ticket = sound_send(stream, PERIOD);

	assert_int_equal(snd_start(&hx.snd, stream), OK);
	expect_back(ticket, OK);
	sound_end(stream);
}

/* A buffer for less than an event comes back at once. */
static void takes_buffers(void)
{
	const struct drv_seg seg = {HAND_SIZE / 2, 4, true};
	struct drv_ring *r = &hx.rings[EVENT];
	uint32_t before = r->outstanding;

	assert_true(drv_ring_add(r, &seg, 1, NULL) >= 0);
	assert_true(drv_ring_submit(r) >= 0);
	while (r->outstanding > before)
		assert_true(snd_driver_wait(&hx.snd, WAIT_DEFAULT) > 0);
}

static void works(unsigned q)
{
	struct virtio_snd_pcm_info info;

	if (q == CONTROL)
		assert_int_equal(snd_pcm_info(&hx.snd, 0, 1, &info), OK);
	else if (q == EVENT)
		takes_buffers();
	else
		plays(q == TX ? PLAYS : RECORDS);
}

static const char *const args[] = {
	"--backend=null", "--playback=2", "--capture=2", "--controls", "--jacks", NULL};

const struct hostile_target hostile_target = {
	.variable = "VIRGA_SOUND",
	.program = "virga-sound",
	.n_rings = RINGS,
	.args = args,
	.begin = begin,
	.forget = forget,
	.works = works,
};
