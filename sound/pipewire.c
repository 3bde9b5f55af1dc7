/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "pipewire"
#include "pipewire.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#include <pipewire/pipewire.h>
#include <pipewire/extensions/metadata.h>
#include <spa/param/audio/format-utils.h>
#include <spa/param/props.h>
#include <spa/utils/names.h>

#include "common/bytes.h"
#include "common/log.h"

enum { CYCLE_MOST = 8192 }; // frames: longer cycles are not asked for

/* A node that can be played to or recorded from. */
struct node {
	TAILQ_ENTRY(node) link;
	uint32_t id;
	bool serves[2]; // by direction
	char name[];
};

struct pipewire {
	struct pipewire_owner owner;
	struct loop *host;
	struct loop_source source; // its loop in ours
	struct loop_job gone;
	struct pw_loop *loop;
	struct pw_context *context;
	struct spa_handle *converter; // never used: it keeps its plugin loaded

	struct pw_core *core; // the connection; NULL: none
	struct pw_registry *registry;
	struct spa_hook core_listener, registry_listener;
	char version[32];   // empty until it has answered
	unsigned questions; // not answered yet: what there is, and which are the defaults
	TAILQ_HEAD(, node) nodes;
	struct pw_metadata *metadata; // NULL, or that which knows the defaults
	struct spa_hook metadata_listener;
	char defaults[2][128]; // names, by direction
};

struct pipewire_stream {
	struct pipewire *p;
	struct pw_stream *pw;
	struct spa_hook listener;
	struct feed *feed;
	void *arg;
	uint32_t latency;      // frames
	float master, loudest; // the volume that is for all channels, and the largest of theirs
	bool mute, setting;
};

/* ---- PipeWire's realtime thread: no lock, no memory, no line of log ---- */

static struct feed_cycle cycle_of(const struct pipewire_stream *s)
{
	const int64_t second = 1000000000;
	struct feed_cycle c = {0};
	struct pw_time t;

	pw_stream_get_time_n(s->pw, &t, sizeof(t));
	c.time = t.now;
	if (t.rate.denom)
		c.delay = t.delay * second / t.rate.denom * t.rate.num;
	c.delay += (int64_t)t.buffered * second / s->feed->format.rate;
	return c;
}

static void process_playback(void *stream)
{
	struct pipewire_stream *s = stream;
	const uint32_t frame = s->feed->format.frame;
	struct pw_buffer *buffer = pw_stream_dequeue_buffer(s->pw);
	struct feed_cycle c = cycle_of(s);
	struct spa_data *d;
	uint64_t wanted;

	if (!buffer)
		return;
	d = &buffer->buffer->datas[0];
	wanted = buffer->requested ? buffer->requested : s->latency;
	c.frames = (uint32_t)min_u64(wanted, d->maxsize / frame);
	feed_play(s->feed, d->data, &c);
	*d->chunk = (struct spa_chunk){.size = c.frames * frame, .stride = (int32_t)frame};
	buffer->size = c.frames;
	pw_stream_queue_buffer(s->pw, buffer);
}

static void process_capture(void *stream)
{
	struct pipewire_stream *s = stream;
	struct feed_cycle c = cycle_of(s);
	struct pw_buffer *buffer;

	while ((buffer = pw_stream_dequeue_buffer(s->pw))) {
		const struct spa_data *d = &buffer->buffer->datas[0];
		uint32_t offset = (uint32_t)min_u64(d->chunk->offset, d->maxsize);
		uint32_t size = (uint32_t)min_u64(d->chunk->size, d->maxsize - offset);

		c.frames = size / s->feed->format.frame;
		if (c.frames)
			feed_record(s->feed, (const uint8_t *)d->data + offset, &c);
		pw_stream_queue_buffer(s->pw, buffer);
	}
}

/* ---- streams ---- */

static void on_state(
	void *stream, enum pw_stream_state old, enum pw_stream_state state, const char *error)
{
	struct pipewire_stream *s = stream;

	(void)old;
	if (state == PW_STREAM_STATE_ERROR)
		log_info("a stream: %s", error ? error : "refused");
	state = pw_stream_get_state(s->pw, NULL); // an error may leave it as it was
	if (state == PW_STREAM_STATE_ERROR || state == PW_STREAM_STATE_UNCONNECTED)
		s->p->owner.ended(s->arg);
}

static void on_control(void *stream, uint32_t id, const struct pw_stream_control *control)
{
	struct pipewire_stream *s = stream;
	struct backend_level level;

	if (id == SPA_PROP_volume && control->n_values) {
		s->master = control->values[0];
	} else if (id == SPA_PROP_mute && control->n_values) {
		s->mute = control->values[0] >= 0.5f;
	} else if (id == SPA_PROP_channelVolumes) {
		s->loudest = 0;
		for (uint32_t i = 0; i < control->n_values; i++)
			s->loudest = fmaxf(s->loudest, control->values[i]);
	}
	level = (struct backend_level){s->master * s->loudest, s->mute};
	if (s->loudest >= 0 && !s->setting)
		s->p->owner.level(s->arg, &level);
}

static const struct pw_stream_events playback_events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = on_state,
	.control_info = on_control,
	.process = process_playback,
};

static const struct pw_stream_events capture_events = {
	PW_VERSION_STREAM_EVENTS,
	.state_changed = on_state,
	.control_info = on_control,
	.process = process_capture,
};

static bool plays(const struct feed *feed)
{
	return feed->format.direction == VIRTIO_SND_D_OUTPUT;
}

static struct pw_properties *properties_of(
	const struct pipewire_look *look, const struct feed *feed, uint32_t latency)
{
	struct pw_properties *p = pw_properties_new(PW_KEY_APP_NAME, look->machine,
		PW_KEY_MEDIA_TYPE, "Audio", PW_KEY_MEDIA_CATEGORY,
		plays(feed) ? "Playback" : "Capture", PW_KEY_NODE_ALWAYS_PROCESS, "false", NULL);

	if (!p)
		return NULL;
	pw_properties_setf(p, PW_KEY_NODE_NAME, "virga-sound.%u.%s", look->number,
		plays(feed) ? "playback" : "capture");
	pw_properties_setf(
		p, PW_KEY_NODE_DESCRIPTION, "%s: VirtIO PCM %u", look->machine, look->number);
	pw_properties_setf(p, PW_KEY_NODE_LATENCY, "%u/%u", latency, feed->format.rate);
	pw_properties_set(p, PW_KEY_MEDIA_ROLE, look->role);
	pw_properties_set(p, "target.object", look->target);
	pw_properties_set(p, "node.target", look->target); // for session managers of old
	if (feed->format.channels > 2)
		pw_properties_set(p, PW_KEY_STREAM_DONT_REMIX, "true");
	return p;
}

/* All are little-endian. */
static enum spa_audio_format format_of(uint8_t format)
{
	static const uint16_t formats[VIRTIO_SND_PCM_FMT_COUNT] = {
		[VIRTIO_SND_PCM_FMT_MU_LAW] = SPA_AUDIO_FORMAT_ULAW,
		[VIRTIO_SND_PCM_FMT_A_LAW] = SPA_AUDIO_FORMAT_ALAW,
		[VIRTIO_SND_PCM_FMT_S8] = SPA_AUDIO_FORMAT_S8,
		[VIRTIO_SND_PCM_FMT_U8] = SPA_AUDIO_FORMAT_U8,
		[VIRTIO_SND_PCM_FMT_S16] = SPA_AUDIO_FORMAT_S16_LE,
		[VIRTIO_SND_PCM_FMT_S24_3] = SPA_AUDIO_FORMAT_S24_LE,
		[VIRTIO_SND_PCM_FMT_S24] = SPA_AUDIO_FORMAT_S24_32_LE,
		[VIRTIO_SND_PCM_FMT_S32] = SPA_AUDIO_FORMAT_S32_LE,
		[VIRTIO_SND_PCM_FMT_FLOAT] = SPA_AUDIO_FORMAT_F32_LE,
		[VIRTIO_SND_PCM_FMT_FLOAT64] = SPA_AUDIO_FORMAT_F64_LE,
	};

	return formats[format];
}

static struct spa_audio_info_raw audio_of(const struct pcm_format *f)
{
	static const uint8_t positions[] = {
		[VIRTIO_SND_CHMAP_MONO] = SPA_AUDIO_CHANNEL_MONO,
		[VIRTIO_SND_CHMAP_FL] = SPA_AUDIO_CHANNEL_FL,
		[VIRTIO_SND_CHMAP_FR] = SPA_AUDIO_CHANNEL_FR,
		[VIRTIO_SND_CHMAP_RL] = SPA_AUDIO_CHANNEL_RL,
		[VIRTIO_SND_CHMAP_RR] = SPA_AUDIO_CHANNEL_RR,
		[VIRTIO_SND_CHMAP_FC] = SPA_AUDIO_CHANNEL_FC,
		[VIRTIO_SND_CHMAP_LFE] = SPA_AUDIO_CHANNEL_LFE,
		[VIRTIO_SND_CHMAP_SL] = SPA_AUDIO_CHANNEL_SL,
		[VIRTIO_SND_CHMAP_SR] = SPA_AUDIO_CHANNEL_SR,
		[VIRTIO_SND_CHMAP_RC] = SPA_AUDIO_CHANNEL_RC,
	};
	struct spa_audio_info_raw audio = {
		.format = format_of(f->format), .rate = f->rate, .channels = f->channels};

	for (unsigned i = 0; i < f->channels; i++)
		audio.position[i] = positions[format_positions(f->channels)[i]];
	return audio;
}

/* The pw_stream takes the properties, whatever comes of it. */
static int connect_stream(struct pipewire_stream *s, const char *name, struct pw_properties *props)
{
	struct spa_audio_info_raw audio = audio_of(&s->feed->format);
	uint8_t space[1024];
	struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
	const struct spa_pod *param =
		spa_format_audio_raw_build(&builder, SPA_PARAM_EnumFormat, &audio);

	s->pw = pw_stream_new(s->p->core, name, props);
	if (!s->pw)
		return -errno;
	pw_stream_add_listener(
		s->pw, &s->listener, plays(s->feed) ? &playback_events : &capture_events, s);
	return pw_stream_connect(s->pw, plays(s->feed) ? PW_DIRECTION_OUTPUT : PW_DIRECTION_INPUT,
		PW_ID_ANY,
		PW_STREAM_FLAG_AUTOCONNECT | PW_STREAM_FLAG_INACTIVE | PW_STREAM_FLAG_MAP_BUFFERS
			| PW_STREAM_FLAG_RT_PROCESS,
		&param, 1);
}

struct pipewire_stream *pipewire_stream_create(
	struct pipewire *p, const struct pipewire_look *look, struct feed *feed, void *arg)
{
	struct pipewire_stream *s = calloc(1, sizeof(*s));
	char name[32];
	int r;

	if (!s)
		return NULL;
	*s = (struct pipewire_stream){.p = p, .feed = feed, .arg = arg, .master = 1, .loudest = -1};
	s->latency = (uint32_t)min_u64(feed->format.period, CYCLE_MOST);
	snprintf(name, sizeof(name), "VirtIO PCM %u", look->number);
	r = connect_stream(s, name, properties_of(look, feed, s->latency));
	if (r == 0)
		return s;
	log_warn("%s cannot be shown to PipeWire: %s", name, strerror(-r));
	pipewire_stream_destroy(s);
	return NULL;
}

void pipewire_stream_destroy(struct pipewire_stream *s)
{
	if (!s)
		return;
	if (s->pw) {
		spa_hook_remove(&s->listener);
		pw_stream_destroy(s->pw);
	}
	free(s);
}

void pipewire_stream_set_active(struct pipewire_stream *s, bool active)
{
	pw_stream_set_active(s->pw, active);
}

void pipewire_stream_set_level(struct pipewire_stream *s, const struct backend_level *level)
{
	float volumes[FORMAT_CHANNELS_MAX], mute = level->mute, master = 1;
	unsigned n = s->feed->format.channels;

	for (unsigned i = 0; i < n; i++)
		volumes[i] = level->volume;
	s->setting = true;
	pw_stream_set_control(s->pw, SPA_PROP_volume, 1, &master, SPA_PROP_channelVolumes, n,
		volumes, SPA_PROP_mute, 1, &mute, 0);
	s->setting = false;
	s->master = 1;
	s->loudest = level->volume;
	s->mute = level->mute;
}

void pipewire_stream_set_role(struct pipewire_stream *s, const char *role)
{
	const struct spa_dict_item item = {PW_KEY_MEDIA_ROLE, role};

	pw_stream_update_properties(s->pw, &SPA_DICT_INIT(&item, 1));
}

/* ---- what there is to play to and to record from ---- */

static int on_property(
	void *data, uint32_t subject, const char *key, const char *type, const char *value)
{
	struct pipewire *p = data;
	bool sink = key && !strcmp(key, "default.audio.sink");
	char *name = p->defaults[sink ? VIRTIO_SND_D_OUTPUT : VIRTIO_SND_D_INPUT];

	(void)subject;
	(void)type;
	if (!sink && (!key || strcmp(key, "default.audio.source") != 0))
		return 0;
	if (!value || sscanf(value, " { \"name\" : \"%127[^\"]", name) != 1)
		*name = '\0';
	return 0;
}

static const struct pw_metadata_events metadata_events = {
	PW_VERSION_METADATA_EVENTS,
	.property = on_property,
};

static void add_node(struct pipewire *p, uint32_t id, const char *class, const char *name)
{
	bool both = !strcmp(class, "Audio/Duplex");
	bool sink = both || !strcmp(class, "Audio/Sink");
	bool source =
		both || !strcmp(class, "Audio/Source") || !strcmp(class, "Audio/Source/Virtual");
	struct node *node = sink || source ? malloc(sizeof(*node) + strlen(name) + 1) : NULL;

	if (!node)
		return;
	node->id = id;
	node->serves[VIRTIO_SND_D_OUTPUT] = sink;
	node->serves[VIRTIO_SND_D_INPUT] = source;
	memcpy(node->name, name, strlen(name) + 1);
	TAILQ_INSERT_TAIL(&p->nodes, node, link);
	p->owner.nodes(p->owner.arg);
}

static const char *value_of(const struct spa_dict *props, const char *key)
{
	const char *value = props ? spa_dict_lookup(props, key) : NULL;

	return value ? value : "";
}

static void ask(struct pipewire *p)
{
	pw_core_sync(p->core, PW_ID_CORE, 0);
	p->questions++;
}

static void on_global(void *data, uint32_t id, uint32_t permissions, const char *type,
	uint32_t version, const struct spa_dict *props)
{
	struct pipewire *p = data;

	(void)permissions;
	(void)version;
	if (!strcmp(type, PW_TYPE_INTERFACE_Node))
		add_node(p, id, value_of(props, PW_KEY_MEDIA_CLASS),
			value_of(props, PW_KEY_NODE_NAME));
	if (p->metadata || strcmp(type, PW_TYPE_INTERFACE_Metadata) != 0
		|| strcmp(value_of(props, PW_KEY_METADATA_NAME), "default") != 0)
		return;
	p->metadata = pw_registry_bind(p->registry, id, type, PW_VERSION_METADATA, 0);
	if (!p->metadata)
		return;
	pw_metadata_add_listener(p->metadata, &p->metadata_listener, &metadata_events, p);
	ask(p);
}

static void on_global_remove(void *data, uint32_t id)
{
	struct pipewire *p = data;
	struct node *node;

	TAILQ_FOREACH (node, &p->nodes, link)
		if (node->id == id)
			break;
	if (!node)
		return;
	TAILQ_REMOVE(&p->nodes, node, link);
	free(node);
	p->owner.nodes(p->owner.arg);
}

static const struct pw_registry_events registry_events = {
	PW_VERSION_REGISTRY_EVENTS,
	.global = on_global,
	.global_remove = on_global_remove,
};

bool pipewire_serves(const struct pipewire *p, unsigned direction)
{
	const struct node *node;

	TAILQ_FOREACH (node, &p->nodes, link)
		if (node->serves[direction])
			return true;
	return false;
}

void pipewire_names(const struct pipewire *p, unsigned direction, char *buf, size_t size)
{
	const struct node *node;
	size_t len = 0;

	*buf = '\0';
	TAILQ_FOREACH (node, &p->nodes, link) {
		bool first = !strcmp(node->name, p->defaults[direction]);

		if (node->serves[direction] && len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s%s", len ? ", " : "",
				node->name, first ? " (default)" : "");
	}
}

/* ---- the connection ---- */

static void on_info(void *data, const struct pw_core_info *info)
{
	struct pipewire *p = data;
	bool first = !*p->version;

	snprintf(p->version, sizeof(p->version), "%s", info->version ? info->version : "?");
	if (first)
		p->owner.answered(p->owner.arg);
}

static void on_done(void *data, uint32_t id, int seq)
{
	struct pipewire *p = data;

	(void)seq;
	if (id == PW_ID_CORE && p->questions)
		p->questions--;
}

static void on_error(void *data, uint32_t id, int seq, int res, const char *message)
{
	struct pipewire *p = data;

	(void)seq;
	log_dbg("object %u: %s (%s)", id, message, strerror(-res));
	if (id == PW_ID_CORE && (res == -EPIPE || !strcmp(message, "connection error")))
		loop_defer(p->host, &p->gone); // it calls this itself
}

static const struct pw_core_events core_events = {
	PW_VERSION_CORE_EVENTS,
	.info = on_info,
	.done = on_done,
	.error = on_error,
};

static void run_gone(struct loop_job *job)
{
	struct pipewire *p = CONTAINER_OF(job, struct pipewire, gone);

	p->owner.gone(p->owner.arg);
}

int pipewire_connect(struct pipewire *p, int sock)
{
	p->core = pw_context_connect_fd(p->context, sock, NULL, 0);
	if (!p->core)
		return errno ? -errno : -ENOMEM;
	pw_core_add_listener(p->core, &p->core_listener, &core_events, p);
	p->registry = pw_core_get_registry(p->core, PW_VERSION_REGISTRY, 0);
	if (!p->registry) {
		pipewire_disconnect(p);
		return -ENOMEM;
	}
	pw_registry_add_listener(p->registry, &p->registry_listener, &registry_events, p);
	ask(p);
	return 0;
}

void pipewire_disconnect(struct pipewire *p)
{
	struct node *node;

	while ((node = TAILQ_FIRST(&p->nodes))) {
		TAILQ_REMOVE(&p->nodes, node, link);
		free(node);
	}
	if (p->metadata) {
		spa_hook_remove(&p->metadata_listener);
		pw_proxy_destroy((struct pw_proxy *)p->metadata);
	}
	if (p->registry) {
		spa_hook_remove(&p->registry_listener);
		pw_proxy_destroy((struct pw_proxy *)p->registry);
	}
	if (p->core) {
		spa_hook_remove(&p->core_listener);
		pw_core_disconnect(p->core);
	}
	p->metadata = NULL;
	p->registry = NULL;
	p->core = NULL;
	p->version[0] = p->defaults[0][0] = p->defaults[1][0] = '\0';
	p->questions = 0;
	loop_cancel(p->host, &p->gone);
}

const char *pipewire_version(const struct pipewire *p)
{
	return *p->version ? p->version : NULL;
}

bool pipewire_listed(const struct pipewire *p)
{
	return *p->version && !p->questions;
}

/* ---- the beginning and the end ---- */

static void on_ready(struct loop_source *source, uint32_t events)
{
	(void)events;
	pw_loop_iterate(CONTAINER_OF(source, struct pipewire, source)->loop, 0);
}

/* The user's own client configuration counts; before 1.0 there was another one for realtime. */
static struct pw_context *make_context(struct pw_loop *loop)
{
	struct pw_properties *p =
		pw_properties_new(PW_KEY_APP_NAME, "virga-sound", "support.dbus", "false", NULL);
	struct pw_context *context;
	sigset_t all, before;

	if (!p)
		return NULL;
	if (!strncmp(pw_get_library_version(), "0.", 2))
		pw_properties_set(p, PW_KEY_CONFIG_NAME, "client-rt.conf");
	sigfillset(&all); // they are not for the realtime thread, which begins here
	pthread_sigmask(SIG_SETMASK, &all, &before);
	context = pw_context_new(loop, p, 0);
	if (context && !pw_context_get_data_loop(context)) {
		pw_context_destroy(context);
		context = NULL;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return context;
}

static int begin(struct pipewire *p)
{
	errno = ENOMEM;
	p->loop = pw_loop_new(NULL);
	if (!p->loop)
		return -errno;
	pw_loop_enter(p->loop);
	p->context = make_context(p->loop);
	if (p->context)
		p->converter = pw_context_load_spa_handle(p->context, SPA_NAME_AUDIO_CONVERT, NULL);
	if (!p->converter)
		return -errno;
	p->source.fd = pw_loop_get_fd(p->loop);
	p->source.ready = on_ready;
	return loop_add(p->host, &p->source, EPOLLIN);
}

int pipewire_create(struct loop *loop, const struct pipewire_owner *owner, struct pipewire **out)
{
	struct pipewire *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->owner = *owner;
	p->host = loop;
	p->gone.run = run_gone;
	TAILQ_INIT(&p->nodes);
	pw_init(NULL, NULL);
	r = begin(p);
	if (r < 0)
		pipewire_destroy(p);
	else
		*out = p;
	return r;
}

void pipewire_destroy(struct pipewire *p)
{
	if (!p)
		return;
	pipewire_disconnect(p);
	loop_remove(&p->source);
	if (p->converter)
		pw_unload_spa_handle(p->converter);
	if (p->context)
		pw_context_destroy(p->context);
	if (p->loop) {
		pw_loop_leave(p->loop);
		pw_loop_destroy(p->loop);
	}
	pw_deinit();
	free(p);
}

const char *pipewire_remote(const struct pipewire *p)
{
	const char *name =
		pw_properties_get(pw_context_get_properties(p->context), PW_KEY_REMOTE_NAME);

	return name ? name : "pipewire-0";
}
