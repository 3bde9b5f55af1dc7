/* SPDX-License-Identifier: MIT */
/* The life of a stream: which request is taken when, and what becomes of messages. */
#include "unit.h"
#include "sound/pcm.h"

#define MS  INT64_C(1000000)
#define NOW (1000 * MS)

enum request { SET, PREPARE, START, STOP, RELEASE, REQUESTS };

static struct world {
	struct pcm pcm;
	struct backend backend;
	struct feed *feed; // what the backend has
	unsigned opened, started, stopped, closed;
	int refuse;
	struct pcm_io ios[8];
	uint8_t bytes[480 * 4];
	struct iovec iov;
	unsigned done, errors, last;
} w;

static int on_open(
	struct backend *b, unsigned stream, struct feed *feed, struct backend_stream **out)
{
	(void)b;
	assert_int_equal(stream, 3);
	if (w.refuse)
		return w.refuse;
	w.feed = feed;
	w.opened++;
	*out = (struct backend_stream *)&w;
	return 0;
}

static void on_start(struct backend_stream *s)
{
	(void)s;
	w.started++;
}

static void on_stop(struct backend_stream *s)
{
	(void)s;
	w.stopped++;
}

static void on_close(struct backend_stream *s)
{
	(void)s;
	w.closed++;
	feed_destroy(w.feed);
}

static const struct backend_ops ops = {
	.open = on_open, .start = on_start, .stop = on_stop, .close = on_close};

static void on_done(struct pcm *p, struct pcm_io *io, uint32_t status, uint32_t latency)
{
	(void)latency;
	assert_ptr_equal(p, &w.pcm);
	w.done++;
	w.errors += status != VIRTIO_SND_S_OK;
	w.last = (unsigned)(io - w.ios);
}

static void on_xrun(struct pcm *p)
{
	(void)p;
}

static const struct pcm_owner owner = {on_done, on_xrun};

static struct pcm_format format(uint32_t period)
{
	return (struct pcm_format){.direction = VIRTIO_SND_D_OUTPUT,
		.format = VIRTIO_SND_PCM_FMT_S16,
		.channels = 2,
		.rate = 48000,
		.frame = 4,
		.period = period,
		.buffer = 4 * period};
}

static uint32_t ask(enum request request)
{
	const struct pcm_format f = format(480);

	switch (request) {
	case SET:
		return pcm_set_params(&w.pcm, &f, false, false, NOW);
	case PREPARE:
		return pcm_prepare(&w.pcm);
	case START:
		return pcm_start(&w.pcm, NOW);
	case STOP:
		return pcm_stop(&w.pcm);
	default:
		return pcm_release(&w.pcm, NOW);
	}
}

static bool queue(unsigned i)
{
	w.ios[i] = (struct pcm_io){.iov = &w.iov, .n_iov = 1, .frames = 480};
	return pcm_queue(&w.pcm, &w.ios[i], NOW);
}

/* Brings a new stream to a state. */
static void begin(enum pcm_state state)
{
	w = (struct world){.backend.ops = &ops, .iov = {w.bytes, sizeof(w.bytes)}};
	pcm_init(&w.pcm, 3, &w.backend);
	w.pcm.owner = &owner;
	for (unsigned i = 0; i < state; i++)
		assert_int_equal(ask(i), VIRTIO_SND_S_OK);
	assert_int_equal(w.pcm.state, state);
}

static void end(void)
{
	pcm_reset(&w.pcm);
	assert_int_equal(w.opened, w.closed);
	assert_int_equal(w.pcm.n_ios, 0);
}

static void test_every_request_in_every_state(void **state)
{
	/* What it leads to; -1: refused. Linux also prepares and sets up what it only stopped. */
	static const int to[][REQUESTS] = {
		[PCM_NEW] = {PCM_SET, -1, -1, -1, -1},
		[PCM_SET] = {PCM_SET, PCM_PREPARED, -1, -1, PCM_SET},
		[PCM_PREPARED] = {PCM_SET, PCM_PREPARED, PCM_RUNNING, -1, PCM_SET},
		[PCM_RUNNING] = {-1, -1, -1, PCM_STOPPED, -1},
		[PCM_STOPPED] = {PCM_SET, PCM_PREPARED, PCM_RUNNING, -1, PCM_SET},
	};

	(void)state;
	for (unsigned from = PCM_NEW; from <= PCM_STOPPED; from++)
		for (unsigned r = 0; r < REQUESTS; r++) {
			uint32_t status;

			begin(from);
			status = ask(r);
			assert_int_equal(
				status, to[from][r] < 0 ? VIRTIO_SND_S_BAD_MSG : VIRTIO_SND_S_OK);
			assert_int_equal(
				w.pcm.state, to[from][r] < 0 ? from : (unsigned)to[from][r]);
			end();
		}
}

/* T17: messages are taken where they can be played, and nowhere else. */
static void test_messages_in_every_state(void **state)
{
	(void)state;
	for (unsigned from = PCM_NEW; from <= PCM_STOPPED; from++) {
		begin(from);
		assert_int_equal(queue(0), from >= PCM_PREPARED);
		end();
		assert_int_equal(w.done, from >= PCM_PREPARED);
	}
}

/* T5: all of them are back, in order, when RELEASE is answered. */
static void test_t5_release(void **state)
{
	static const enum pcm_state from[] = {PCM_PREPARED, PCM_STOPPED};

	(void)state;
	for (unsigned s = 0; s < 2; s++) {
		begin(from[s]);
		for (unsigned i = 0; i < 4; i++)
			assert_true(queue(i));
		assert_int_equal(ask(RELEASE), VIRTIO_SND_S_OK);
		assert_int_equal(w.done, 4);
		assert_int_equal(w.errors, 4);
		assert_int_equal(w.last, 3);
		end();
	}
}

/* The machine is paused: messages that are taken back come again, and go on where they were. */
static void test_taken_back(void **state)
{
	(void)state;
	begin(PCM_RUNNING);
	for (unsigned i = 0; i < 3; i++)
		assert_true(queue(i));
	pcm_run(&w.pcm, NOW + 25 * MS); // no cycle has come: it ticks from now on
	pcm_run(&w.pcm, NOW + 37 * MS);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.pcm.moved, 960);
	w.ios[1].taken_back = w.ios[2].taken_back = true;
	pcm_flush(&w.pcm);
	assert_int_equal(w.done, 3);
	assert_int_equal(w.pcm.completed, 480);
	for (unsigned i = 1; i < 3; i++)
		assert_true(queue(i));
	assert_int_equal(w.ios[1].moved, 480);
	assert_int_equal(w.ios[1].end, 960);
	assert_ptr_equal(w.pcm.next, &w.ios[2]);
	pcm_flush(&w.pcm); // and those that are not are passed over
	assert_int_equal(w.pcm.completed, 1440);
	assert_int_equal(w.pcm.moved, 1440);
	end();
}

/* So they are after other requests that end a stream's use. */
static void test_set_params_flushes(void **state)
{
	(void)state;
	begin(PCM_PREPARED);
	queue(0);
	assert_int_equal(ask(SET), VIRTIO_SND_S_OK);
	assert_int_equal(w.errors, 1);
	end();
}

/* T10: the last message of a stream may be short. Linux sends none such, others do. */
static void test_t10_a_short_end(void **state)
{
	(void)state;
	begin(PCM_RUNNING);
	assert_true(queue(0));
	w.ios[1] = (struct pcm_io){.iov = &w.iov, .n_iov = 1, .frames = 7};
	assert_true(pcm_queue(&w.pcm, &w.ios[1], NOW));
	pcm_run(&w.pcm, NOW + 25 * MS);
	pcm_run(&w.pcm, NOW + 40 * MS);
	pcm_run(&w.pcm, NOW + 120 * MS);
	assert_int_equal(w.done, 2);
	assert_int_equal(w.errors, 0);
	assert_int_equal(w.pcm.completed, 487);
	end();
}

/* An xrun's STOP, RELEASE, PREPARE, START finds the stream to the host as it was. */
static void test_recovery_keeps_the_stream(void **state)
{
	(void)state;
	begin(PCM_RUNNING);
	ask(STOP);
	ask(RELEASE);
	assert_int_equal(ask(PREPARE), VIRTIO_SND_S_OK);
	assert_int_equal(ask(START), VIRTIO_SND_S_OK);
	assert_int_equal(w.opened, 1);
	assert_int_equal(w.closed, 0);
	assert_int_equal(w.started, 2);
	assert_int_equal(w.pcm.queued + w.pcm.moved + w.pcm.completed, 0);
	end();
	assert_int_equal(w.stopped, 2); // a reset stops what runs
}

/* What was released is closed after a while; another format closes it at once. */
static void test_closing(void **state)
{
	const struct pcm_format other = format(240);
	int64_t at;

	(void)state;
	begin(PCM_PREPARED);
	ask(RELEASE);
	at = pcm_run(&w.pcm, NOW);
	assert_true(at > NOW);
	assert_int_equal(w.closed, 0);
	assert_true(pcm_run(&w.pcm, at) == INT64_MAX);
	assert_int_equal(w.closed, 1);
	assert_int_equal(ask(PREPARE), VIRTIO_SND_S_OK);
	assert_int_equal(w.opened, 2);
	assert_int_equal(pcm_set_params(&w.pcm, &other, false, false, NOW), VIRTIO_SND_S_OK);
	assert_int_equal(w.closed, 2);
	end();
}

static void test_backend_refuses(void **state)
{
	(void)state;
	begin(PCM_SET);
	w.refuse = -12;
	assert_int_equal(ask(PREPARE), VIRTIO_SND_S_IO_ERR);
	assert_int_equal(w.pcm.state, PCM_SET);
	w.refuse = 0;
	assert_int_equal(ask(PREPARE), VIRTIO_SND_S_OK);
	end();
}

/* T9: frames of a period do not decide how often we wake up. */
static void test_t9_tiny_periods(void **state)
{
	const struct pcm_format tiny = format(7);
	int64_t now = NOW;
	unsigned runs = 0;

	(void)state;
	begin(PCM_SET);
	pcm_set_params(&w.pcm, &tiny, false, false, NOW);
	pcm_prepare(&w.pcm);
	pcm_start(&w.pcm, now);
	while (now < NOW + 1000 * MS) {
		int64_t next = pcm_run(&w.pcm, now);

		assert_true(next > now);
		now = next;
		runs++;
		for (unsigned i = 0; i < 4 && w.pcm.n_ios < 4; i++) {
			struct pcm_io *io = &w.ios[w.pcm.queued / 7 % 8];

			*io = (struct pcm_io){.iov = &w.iov, .n_iov = 1, .frames = 7};
			pcm_queue(&w.pcm, io, now);
		}
	}
	assert_in_range(runs, 10, 5000 + 10);
	assert_in_range(w.done * 7, 40000, 48000);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_request_in_every_state),
		cmocka_unit_test(test_messages_in_every_state),
		cmocka_unit_test(test_t5_release),
		cmocka_unit_test(test_taken_back),
		cmocka_unit_test(test_set_params_flushes),
		cmocka_unit_test(test_t10_a_short_end),
		cmocka_unit_test(test_recovery_keeps_the_stream),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_backend_refuses),
		cmocka_unit_test(test_t9_tiny_periods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
