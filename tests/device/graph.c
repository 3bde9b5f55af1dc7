/* SPDX-License-Identifier: MIT */
#include "graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <spa/param/audio/format-utils.h>
#include <spa/param/latency-utils.h>

#include "driver/wait.h"

static const int64_t SECOND = 1000000000;

enum { IDLE_MS = 5 };

/* PipeWire 0.3 does not end a cycle in which a node leaves the graph after its turn was announced. */
enum { UNFINISHED_MS = 1000, UNFINISHED_MOST = 10 };

/* A node, or a link with its two. */
struct graph_object {
	TAILQ_ENTRY(graph_object) link;
	uint32_t id, ends[2];
	char name[64]; // of a node
};

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

/* ---- cycles: on PipeWire's realtime thread, but for io and done ---- */

static void on_io(void *data, uint32_t id, void *area, uint32_t size)
{
	struct graph_end *e = data;

	(void)size;
	if (id == SPA_IO_Position)
		e->graph->position = area;
}

static void on_done(void *data)
{
	((struct graph_end *)data)->graph->done = true;
}

static void process_sink(void *data)
{
	struct graph_end *e = data;
	struct graph *g = e->graph;
	struct pw_buffer *buffer = pw_stream_dequeue_buffer(e->stream);
	uint32_t frame = g->setup.channels * (uint32_t)sizeof(float), n;
	uint64_t at = g->n_heard;
	const struct spa_data *d;

	if (!buffer)
		return;
	d = &buffer->buffer->datas[0];
	n = d->chunk->size / frame;
	if (n > g->setup.room - at)
		n = (uint32_t)(g->setup.room - at);
	memcpy(g->heard + at * g->setup.channels, (const uint8_t *)d->data + d->chunk->offset,
		(size_t)n * frame);
	g->n_heard = at + n;
	pw_stream_queue_buffer(e->stream, buffer);
}

/* What was heard in the last cycle. */
static void echo(const struct graph *g, float *frames, uint32_t n)
{
	uint64_t heard = g->n_heard;
	size_t size = n * g->setup.channels * sizeof(float);

	if (heard < n)
		memset(frames, 0, size);
	else
		memcpy(frames, graph_frame(g, heard - n), size);
}

static void produce(struct graph_end *e, float *frames, uint32_t n)
{
	struct graph *g = e->graph;

	if (e == &g->keeper)
		memset(frames, 0, n * g->setup.channels * sizeof(float));
	else if (g->setup.echo)
		echo(g, frames, n);
	else
		g->setup.say(frames, g->said, n, g->setup.channels);
	if (e == &g->source)
		g->said += n;
}

static void process_source(void *data)
{
	struct graph_end *e = data;
	struct pw_buffer *buffer = pw_stream_dequeue_buffer(e->stream);
	uint32_t frame = e->graph->setup.channels * (uint32_t)sizeof(float), n;
	struct spa_data *d;

	if (!buffer)
		return;
	d = &buffer->buffer->datas[0];
	n = (uint32_t)(buffer->requested ? buffer->requested : graph_quantum(e->graph));
	if (n > d->maxsize / frame)
		n = d->maxsize / frame;
	produce(e, d->data, n);
	*d->chunk = (struct spa_chunk){.size = n * frame, .stride = (int32_t)frame};
	pw_stream_queue_buffer(e->stream, buffer);
}

static const struct pw_stream_events sink_events = {
	PW_VERSION_STREAM_EVENTS,
	.io_changed = on_io,
	.process = process_sink,
	.trigger_done = on_done,
};

static const struct pw_stream_events source_events = {
	PW_VERSION_STREAM_EVENTS,
	.process = process_source,
};

uint32_t graph_quantum(const struct graph *g)
{
	return (uint32_t)g->position->clock.duration;
}

int64_t graph_due(const struct graph *g)
{
	return g->time + graph_quantum(g) * SECOND / GRAPH_RATE;
}

void graph_rest(struct graph *g)
{
	g->time = now_ns() - graph_quantum(g) * SECOND / GRAPH_RATE;
}

int graph_step(struct graph *g)
{
	int64_t deadline = wait_deadline(UNFINISHED_MS);
	struct spa_io_clock *c = &g->position->clock;
	int rc = 0;

	g->time = graph_due(g);
	c->nsec = (uint64_t)g->time;
	c->position += c->duration;
#if PW_CHECK_VERSION(0, 3, 68)
	c->duration = c->target_duration;
	c->rate = c->target_rate;
#endif
	c->rate_diff = 1;
	c->next_nsec = (uint64_t)graph_due(g);
	g->done = false;
	pw_stream_trigger_process(g->sink.stream);
	while (rc == 0 && !g->done && wait_left(deadline))
		rc = graph_turn(g, 100);
	g->unfinished += !g->done;
	return rc == 0 && g->unfinished > UNFINISHED_MOST ? -ETIMEDOUT : rc;
}

/* ---- the two ends ---- */

static const uint32_t positions[GRAPH_CHANNELS + 1][GRAPH_CHANNELS] = {
	[1] = {SPA_AUDIO_CHANNEL_MONO},
	[2] = {SPA_AUDIO_CHANNEL_FL, SPA_AUDIO_CHANNEL_FR},
	[6] = {SPA_AUDIO_CHANNEL_FL, SPA_AUDIO_CHANNEL_FR, SPA_AUDIO_CHANNEL_FC,
		SPA_AUDIO_CHANNEL_LFE, SPA_AUDIO_CHANNEL_RL, SPA_AUDIO_CHANNEL_RR},
	[8] = {SPA_AUDIO_CHANNEL_FL, SPA_AUDIO_CHANNEL_FR, SPA_AUDIO_CHANNEL_FC,
		SPA_AUDIO_CHANNEL_LFE, SPA_AUDIO_CHANNEL_RL, SPA_AUDIO_CHANNEL_RR,
		SPA_AUDIO_CHANNEL_SL, SPA_AUDIO_CHANNEL_SR},
};

/*
 * Sink and source are of one group, of which the sink is the driver. Cycles there are only for what is
 * linked: the keeper is, and silent.
 */
static struct pw_properties *properties_of(const struct graph *g, const struct graph_end *e)
{
	const char *name = e == &g->sink ? GRAPH_SINK : GRAPH_SOURCE;
	struct pw_properties *p;

	if (e == &g->keeper)
		return pw_properties_new(PW_KEY_NODE_NAME, "graph-keeper", PW_KEY_MEDIA_TYPE,
			"Audio", "target.object", GRAPH_SINK, "node.target", GRAPH_SINK, NULL);
	p = pw_properties_new(PW_KEY_NODE_NAME, name, PW_KEY_MEDIA_CLASS,
		e == &g->sink ? "Audio/Sink" : "Audio/Source", PW_KEY_NODE_GROUP, "graph",
		PW_KEY_PRIORITY_DRIVER, e == &g->sink ? "9000" : "1", PW_KEY_PRIORITY_SESSION,
		g->setup.ordinary ? "10" : "9000", NULL);
	if (p && g->setup.quantum && e == &g->sink)
		pw_properties_setf(p, "node.force-quantum", "%u", g->setup.quantum);
	return p;
}

static enum pw_stream_flags flags_of(const struct graph *g, const struct graph_end *e)
{
	return PW_STREAM_FLAG_MAP_BUFFERS | PW_STREAM_FLAG_RT_PROCESS
		| (e == &g->sink ? PW_STREAM_FLAG_DRIVER : 0)
		| (e == &g->keeper ? PW_STREAM_FLAG_AUTOCONNECT : 0);
}

static int connect_end(struct graph *g, struct graph_end *e)
{
	struct spa_audio_info_raw audio = {
		.format = SPA_AUDIO_FORMAT_F32, .rate = GRAPH_RATE, .channels = g->setup.channels};
	uint8_t space[1024];
	struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_latency_info latency = SPA_LATENCY_INFO(SPA_DIRECTION_INPUT,
		.min_ns = (uint64_t)g->setup.latency, .max_ns = (uint64_t)g->setup.latency);
	const struct spa_pod *params[2];
	bool sink = e == &g->sink;

	memcpy(audio.position, positions[g->setup.channels], sizeof(positions[0]));
	params[0] = spa_format_audio_raw_build(&builder, SPA_PARAM_EnumFormat, &audio);
	params[1] = spa_latency_build(&builder, SPA_PARAM_Latency, &latency);
	e->graph = g;
	e->stream = pw_stream_new(g->core, "graph", properties_of(g, e));
	if (!e->stream)
		return -errno;
	pw_stream_add_listener(e->stream, &e->listener, sink ? &sink_events : &source_events, e);
	return pw_stream_connect(e->stream, sink ? PW_DIRECTION_INPUT : PW_DIRECTION_OUTPUT,
		PW_ID_ANY, flags_of(g, e), params, sink ? 2 : 1);
}

int graph_set_quantum(struct graph *g, uint32_t quantum)
{
	char words[16];
	const struct spa_dict_item item = {"node.force-quantum", words};

	snprintf(words, sizeof(words), "%u", quantum);
	pw_stream_update_properties(g->sink.stream, &SPA_DICT_INIT(&item, 1));
	return graph_sync(g);
}

/* ---- what else PipeWire has ---- */

static uint32_t number(const struct spa_dict *props, const char *key)
{
	const char *value = spa_dict_lookup(props, key);

	return value ? (uint32_t)strtoul(value, NULL, 10) : 0;
}

static void on_global(void *data, uint32_t id, uint32_t permissions, const char *type,
	uint32_t version, const struct spa_dict *props)
{
	struct graph *g = data;
	bool node = !strcmp(type, PW_TYPE_INTERFACE_Node);
	const char *name = props ? spa_dict_lookup(props, PW_KEY_NODE_NAME) : NULL;
	struct graph_object *o;

	(void)permissions;
	(void)version;
	if ((!node && strcmp(type, PW_TYPE_INTERFACE_Link) != 0) || !props)
		return;
	o = calloc(1, sizeof(*o));
	if (!o)
		return;
	o->id = id;
	if (node)
		snprintf(o->name, sizeof(o->name), "%s", name ? name : "");
	o->ends[0] = number(props, PW_KEY_LINK_OUTPUT_NODE);
	o->ends[1] = number(props, PW_KEY_LINK_INPUT_NODE);
	TAILQ_INSERT_TAIL(&g->objects, o, link);
}

static void on_global_remove(void *data, uint32_t id)
{
	struct graph *g = data;
	struct graph_object *o;

	TAILQ_FOREACH (o, &g->objects, link)
		if (o->id == id)
			break;
	if (!o)
		return;
	TAILQ_REMOVE(&g->objects, o, link);
	free(o);
}

static const struct pw_registry_events registry_events = {
	PW_VERSION_REGISTRY_EVENTS,
	.global = on_global,
	.global_remove = on_global_remove,
};

uint32_t graph_find(const struct graph *g, const char *node, unsigned *links)
{
	const struct graph_object *o;
	uint32_t id = 0;

	TAILQ_FOREACH (o, &g->objects, link)
		if (!strcmp(o->name, node))
			id = o->id;
	*links = 0;
	TAILQ_FOREACH (o, &g->objects, link)
		*links += id && !*o->name && (o->ends[0] == id || o->ends[1] == id);
	return id;
}

/* ---- the connection ---- */

static void on_answer(void *data, uint32_t id, int seq)
{
	struct graph *g = data;

	if (id == PW_ID_CORE)
		g->answer = seq;
}

static void on_error(void *data, uint32_t id, int seq, int res, const char *message)
{
	struct graph *g = data;

	(void)seq;
	fprintf(stderr, "# PipeWire, object %u: %s (%s)\n", id, message, strerror(-res));
	if (id == PW_ID_CORE && res == -EPIPE)
		g->gone = true;
}

static const struct pw_core_events core_events = {
	PW_VERSION_CORE_EVENTS,
	.done = on_answer,
	.error = on_error,
};

int graph_turn(struct graph *g, int timeout_ms)
{
	int rc;

	if (g->setup.idle)
		g->setup.idle(g->setup.arg);
	rc = pw_loop_iterate(g->loop, g->setup.idle && timeout_ms > IDLE_MS ? IDLE_MS : timeout_ms);

	if (g->gone)
		return -EPIPE;
	return rc < 0 && rc != -EINTR ? rc : 0;
}

int graph_sync(struct graph *g)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	int seq = pw_core_sync(g->core, PW_ID_CORE, 0), rc = 0;

	while (rc == 0 && g->answer != seq)
		rc = wait_left(deadline) ? graph_turn(g, 100) : -ETIMEDOUT;
	return rc;
}

static int open_connection(struct graph *g)
{
	pw_init(NULL, NULL);
	TAILQ_INIT(&g->objects);
	g->loop = pw_loop_new(NULL);
	if (!g->loop)
		return -errno;
	pw_loop_enter(g->loop);
	g->context = pw_context_new(g->loop, NULL, 0);
	if (!g->context)
		return -errno;
	g->core = pw_context_connect(g->context, NULL, 0);
	if (!g->core)
		return -errno;
	pw_core_add_listener(g->core, &g->core_listener, &core_events, g);
	g->registry = pw_core_get_registry(g->core, PW_VERSION_REGISTRY, 0);
	if (!g->registry)
		return -errno;
	pw_registry_add_listener(g->registry, &g->registry_listener, &registry_events, g);
	return graph_sync(g);
}

/* It drives when the session manager has given it its ports. */
static int await_drive(struct graph *g)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	int rc = 0;

	while (rc == 0
		&& (!pw_stream_is_driving(g->sink.stream)
			|| pw_stream_get_state(g->sink.stream, NULL) != PW_STREAM_STATE_STREAMING))
		rc = wait_left(deadline) ? graph_turn(g, 100) : -ETIMEDOUT;
	return rc;
}

int graph_begin(struct graph *g, const struct graph_setup *setup)
{
	int rc;

	*g = (struct graph){.setup = *setup};
	if (!g->setup.channels)
		g->setup.channels = 2;
	if (!g->setup.room)
		g->setup.room = (size_t)30 * GRAPH_RATE;
	g->heard = malloc(g->setup.room * g->setup.channels * sizeof(float));
	if (!g->heard)
		return -ENOMEM;
	rc = open_connection(g);
	if (rc == 0)
		rc = connect_end(g, &g->sink);
	if (rc == 0 && (g->setup.say || g->setup.echo))
		rc = connect_end(g, &g->source);
	if (rc == 0)
		rc = connect_end(g, &g->keeper);
	if (rc == 0)
		rc = await_drive(g);
	if (rc == 0)
		graph_rest(g);
	return rc;
}

static void end_stream(struct graph_end *e)
{
	if (!e->stream)
		return;
	spa_hook_remove(&e->listener);
	pw_stream_destroy(e->stream);
}

void graph_end(struct graph *g)
{
	struct graph_object *o;

	if (!g->loop)
		return;
	end_stream(&g->keeper);
	end_stream(&g->source);
	end_stream(&g->sink);
	if (g->registry) {
		spa_hook_remove(&g->registry_listener);
		pw_proxy_destroy((struct pw_proxy *)g->registry);
	}
	if (g->core) {
		spa_hook_remove(&g->core_listener);
		pw_core_disconnect(g->core);
	}
	while ((o = TAILQ_FIRST(&g->objects))) {
		TAILQ_REMOVE(&g->objects, o, link);
		free(o);
	}
	if (g->context)
		pw_context_destroy(g->context);
	pw_loop_leave(g->loop);
	pw_loop_destroy(g->loop);
	pw_deinit();
	free(g->heard);
	*g = (struct graph){0};
}
