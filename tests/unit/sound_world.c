/* SPDX-License-Identifier: MIT */
#include "sound_world.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

enum { CYCLE_MOST = 16384 };

const struct world_pair world_pairs[WORLD_PAIRS] = {{64, 128}, {64, 256}, {128, 512}, {128, 256},
	{256, 1024}, {480, 960}, {480, 1920}, {512, 1024}, {1024, 2048}, {1024, 4096}, {1200, 2400},
	{4096, 8192}, {4800, 48000}};

static double chance(struct world *w) // 0 to 1
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(w->random >> 33) / (double)(1u << 31);
}

/* ---- the graph ---- */

static void plan_cycle(struct world *w)
{
	double nominal = w->quantum * 1e9 / w->alsa.setup.rate * (1 + w->ppm / 1e6);

	w->cycle_at = w->began
		+ (int64_t)(((double)w->cycle + (chance(w) - 0.5) * 2 * w->jitter) * nominal);
	if (w->cycle_at < w->now)
		w->cycle_at = w->now;
}

static void begin_graph(struct world *w)
{
	if (!w->active || w->away || !w->feed)
		return;
	w->began = w->now + w->begins;
	w->cycle = 0;
	plan_cycle(w);
}

static int graph_open(
	struct backend *b, unsigned stream, struct feed *feed, struct backend_stream **out)
{
	struct world *w = CONTAINER_OF(b, struct world, backend);

	(void)stream;
	w->feed = feed;
	*out = (struct backend_stream *)w;
	return 0;
}

static void graph_start(struct backend_stream *s)
{
	struct world *w = (struct world *)s;

	w->stopping = false;
	if (w->active)
		return;
	w->active = true;
	begin_graph(w);
}

static void graph_rest(struct world *w)
{
	w->active = w->stopping = false;
	w->cycle_at = INT64_MAX;
}

static void graph_stop(struct backend_stream *s)
{
	struct world *w = (struct world *)s;

	w->stopping = true;
	if (w->pcm.format.direction == VIRTIO_SND_D_INPUT || w->away)
		graph_rest(w);
}

static void graph_close(struct backend_stream *s)
{
	struct world *w = (struct world *)s;

	graph_rest(w);
	feed_destroy(w->feed);
	w->feed = NULL;
}

static const struct backend_ops graph_ops = {
	.open = graph_open, .start = graph_start, .stop = graph_stop, .close = graph_close};

static void hear(struct world *w, const uint8_t *buf, uint32_t frames)
{
	uint32_t bytes = w->pcm.format.frame;

	for (uint32_t i = 0; i < frames; i++) {
		uint64_t n = alsa_frame_number(buf + (size_t)i * bytes, bytes);

		if (!n) {
			w->silent = w->heard > 0;
			continue;
		}
		w->gaps += w->silent;
		w->silent = false;
		w->wrong += n != ((w->last + 1) & 0xffffffff);
		w->last = n;
		w->heard++;
	}
}

static void speak(struct world *w, uint8_t *buf, uint32_t frames)
{
	uint32_t bytes = w->pcm.format.frame;

	for (uint32_t i = 0; i < frames; i++)
		alsa_frame_put(buf + (size_t)i * bytes, bytes, ++w->recorded);
}

static void run_cycle(struct world *w)
{
	static uint8_t buf[CYCLE_MOST * FORMAT_FRAME_MAX];
	const struct feed_cycle c = {w->now, w->quantum, w->delay};
	bool wanted = w->feed->want_event;

	if (w->pcm.format.direction == VIRTIO_SND_D_OUTPUT) {
		feed_play(w->feed, buf, &c);
		hear(w, buf, w->quantum);
	} else {
		speak(w, buf, w->quantum);
		feed_record(w->feed, buf, &c);
	}
	if (wanted && !w->feed->want_event)
		w->pcm_next = w->now;
	w->cycle++;
	plan_cycle(w);
	if (w->stopping && !feed_fill(w->feed))
		graph_rest(w);
}

void world_lose_graph(struct world *w)
{
	w->away = true;
	w->cycle_at = INT64_MAX;
}

void world_find_graph(struct world *w)
{
	w->away = false;
	begin_graph(w);
}

/* ---- the device ---- */

static void on_done(struct pcm *p, struct pcm_io *io, uint32_t status, uint32_t latency)
{
	struct world *w = CONTAINER_OF(p, struct world, pcm);
	struct world_message *m = CONTAINER_OF(io, struct world_message, io);
	bool recorded = p->format.direction == VIRTIO_SND_D_INPUT && status == VIRTIO_SND_S_OK;
	const struct alsa_used used = {m->id,
		ALSA_STATUS + (recorded ? io->frames * p->format.frame : 0), status, latency};

	m->busy = false;
	w->completions++;
	w->burst = w->now == w->last_completion ? w->burst + 1 : 1;
	if (w->burst > w->burst_most && status == VIRTIO_SND_S_OK)
		w->burst_most = w->burst;
	w->last_completion = w->now;
	alsa_complete(&w->alsa, &used, w->now);
}

static void on_xrun(struct pcm *p)
{
	CONTAINER_OF(p, struct world, pcm)->xruns++;
}

static const struct pcm_owner owner = {on_done, on_xrun};

/* ---- what the guest wants ---- */

static int guest_params(void *dev, uint32_t buffer_bytes, uint32_t period_bytes)
{
	struct world *w = dev;
	const struct alsa_setup *g = &w->alsa.setup;
	struct pcm_format f = {
		.direction = g->capture ? VIRTIO_SND_D_INPUT : VIRTIO_SND_D_OUTPUT,
		.format = VIRTIO_SND_PCM_FMT_S16,
		.channels = (uint8_t)(g->frame_bytes / 2),
		.rate = g->rate,
		.frame = g->frame_bytes,
		.period = period_bytes / g->frame_bytes,
		.buffer = buffer_bytes / g->frame_bytes,
	};

	return pcm_set_params(&w->pcm, &f, w->polling, false, w->now) != VIRTIO_SND_S_OK;
}

static int guest_prepare(void *dev)
{
	return pcm_prepare(&((struct world *)dev)->pcm) != VIRTIO_SND_S_OK;
}

static int guest_start(void *dev)
{
	struct world *w = dev;

	w->pcm_next = w->now;
	return pcm_start(&w->pcm, w->now) != VIRTIO_SND_S_OK;
}

static int guest_stop(void *dev)
{
	return pcm_stop(&((struct world *)dev)->pcm) != VIRTIO_SND_S_OK;
}

static int guest_release(void *dev)
{
	struct world *w = dev;

	w->pcm_next = w->now;
	return pcm_release(&w->pcm, w->now) != VIRTIO_SND_S_OK;
}

/* Messages are gone before the device lets go of them. */
static void guest_reset(void *dev)
{
	struct world *w = dev;
	struct pcm_io *io;

	w->pcm.next = NULL;
	while ((io = TAILQ_FIRST(&w->pcm.ios))) {
		TAILQ_REMOVE(&w->pcm.ios, io, link);
		w->pcm.n_ios--;
		CONTAINER_OF(io, struct world_message, io)->busy = false;
	}
	pcm_reset(&w->pcm);
}

static void guest_queue(void *dev, uint32_t id, uint8_t *data, uint32_t bytes)
{
	struct world *w = dev;
	unsigned i = 0;

	while (w->messages[i].busy)
		i++;
	w->messages[i] = (struct world_message){.id = id, .busy = true, .iov = {data, bytes}};
	w->messages[i].io.iov = &w->messages[i].iov;
	w->messages[i].io.n_iov = 1;
	w->messages[i].io.frames = bytes / w->pcm.format.frame;
	if (pcm_queue(&w->pcm, &w->messages[i].io, w->now) && w->pcm.state == PCM_RUNNING
		&& !w->polling)
		w->pcm_next = w->now;
}

static const struct alsa_ops guest_ops = {.set_params = guest_params,
	.prepare = guest_prepare,
	.start = guest_start,
	.stop = guest_stop,
	.release = guest_release,
	.reset = guest_reset,
	.queue = guest_queue};

/* ---- time ---- */

struct world world_setup(uint32_t period, uint32_t buffer, uint32_t quantum, uint64_t total)
{
	return (struct world){
		.guest = {.generation = ALSA_6_7,
			.period = period,
			.buffer = buffer,
			.total = total,
			.recover = true},
		.quantum = quantum,
		.begins = 3 * MS,
	};
}

void world_init(struct world *w)
{
	w->now = 100 * SEC;
	w->pcm_next = w->cycle_at = INT64_MAX;
	w->random = w->guest.seed + 1;
	w->backend.ops = &graph_ops;
	pcm_init(&w->pcm, 0, &w->backend);
	w->pcm.owner = &owner;
	if (!w->guest.rate)
		w->guest.rate = 48000;
	if (!w->guest.frame_bytes)
		w->guest.frame_bytes = 4;
	assert_int_equal(alsa_guest_init(&w->alsa, &w->guest, &guest_ops, w), 0);
	alsa_run(&w->alsa, w->now);
}

void world_finish(struct world *w)
{
	guest_reset(w);
	alsa_guest_finish(&w->alsa);
}

static void run_pcm(struct world *w)
{
	int64_t next = pcm_run(&w->pcm, w->now);

	w->pcm_next = next;
	if (next != INT64_MAX && w->late)
		w->pcm_next += (int64_t)(chance(w) * (double)w->late);
}

void world_run(struct world *w, int64_t until)
{
	while (w->alsa.end == ALSA_RUNS) {
		int64_t next = alsa_next(&w->alsa);

		if (w->pcm_next < next)
			next = w->pcm_next;
		if (w->cycle_at < next)
			next = w->cycle_at;
		if (next > until)
			break;
		if (next > w->now)
			w->now = next;
		if (w->cycle_at <= w->now)
			run_cycle(w);
		if (w->pcm_next <= w->now)
			run_pcm(w);
		alsa_run(&w->alsa, w->now);
	}
	if (w->alsa.end == ALSA_RUNS)
		w->now = until;
}

/* What waits in the feed is still heard. */
void world_run_out(struct world *w)
{
	world_run(w, INT64_MAX - 1);
	while (w->cycle_at != INT64_MAX && w->feed) {
		w->now = w->cycle_at;
		run_cycle(w);
	}
}

void world_assert_played(const struct world *w, const char *what)
{
	const struct alsa_guest *g = &w->alsa;

	if (g->end == ALSA_DRAINED && !w->gaps && !w->wrong && w->heard == w->guest.total
		&& !g->fault && !g->lag_max)
		return;
	printf("%s: %u/%u generation %d quantum %u: end %d, heard %llu of %llu, gaps %llu, wrong "
	       "%llu, "
	       "xruns %u, unseen %lld, fault %s\n",
		what, w->guest.period, w->guest.buffer, w->guest.generation, w->quantum, g->end,
		(unsigned long long)w->heard, (unsigned long long)w->guest.total,
		(unsigned long long)w->gaps, (unsigned long long)w->wrong, g->xruns,
		(long long)g->lag_max, g->fault ? g->fault : "-");
	fail();
}
