/* SPDX-License-Identifier: MIT */
/*
 * A parser and a decoder, between two pads of ours. No pipeline, no bus and no thread: a unit that is pushed
 * in is parsed and decoded on the worker's thread, and its picture comes out of the other pad before the
 * push returns (decoders of hardware have threads of their own: codec.h copes). When there is no buffer for
 * it, it waits there, and so does all that comes after.
 *
 * Timestamps belong to the guest. What goes in is stamped with its number instead, in seconds, which a
 * parser in front of a decoder leaves alone; over the decoder, which puts pictures into their order and
 * corrects timestamps that surprise it, the number goes as a meta.
 */
#define LOG_TOPIC "gst"
#include "gst.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include "codec.h"
#include "common/bytes.h"
#include "common/log.h"

struct gst {
	struct codec *codec;
	GstElement *parser, *decoder; // no parser: the decoder takes units as they are
	GstPad *in, *out;             // ours: what goes in, what comes out
	GstVideoInfo info;            // of what comes out, and
	struct engine_answer format;  // what is said of it
	GstVideoConverter *converter; // to `converted`; NULL: none was needed yet
	GstVideoInfo converted;
	GstBuffer *bounce; // a picture of that, where it cannot be written straight
	bool fresh, ended; // nothing went in since the beginning; all came out
};

/* Of whole units. What is not said is found by the parser. codec-alpha: not the pairs of streams that have
 * it. */
static const char *const unit_caps[ENGINE_CODECS] = {
	[ENGINE_H264] = "video/x-h264, stream-format=byte-stream, alignment=au",
	[ENGINE_HEVC] = "video/x-h265, stream-format=byte-stream, alignment=au",
	[ENGINE_VP8] = "video/x-vp8, codec-alpha=(boolean)false",
	[ENGINE_VP9] = "video/x-vp9, codec-alpha=(boolean)false, alignment=super-frame",
	[ENGINE_AV1] = "video/x-av1, stream-format=obu-stream, alignment=tu",
	[ENGINE_MPEG2] = "video/mpeg, mpegversion=2, systemstream=(boolean)false",
	[ENGINE_MPEG4] = "video/mpeg, mpegversion=4, systemstream=(boolean)false",
};

static const struct {
	uint32_t fourcc;
	GstVideoFormat format;
} formats[] = {
	{DRM_FORMAT_NV12, GST_VIDEO_FORMAT_NV12},
	{DRM_FORMAT_YUV420, GST_VIDEO_FORMAT_I420},
	{DRM_FORMAT_YVU420, GST_VIDEO_FORMAT_YV12},
	{DRM_FORMAT_ARGB8888, GST_VIDEO_FORMAT_BGRA},
	{DRM_FORMAT_XRGB8888, GST_VIDEO_FORMAT_BGRx},
	{DRM_FORMAT_BGRA8888, GST_VIDEO_FORMAT_ARGB},
	{DRM_FORMAT_ABGR8888, GST_VIDEO_FORMAT_RGBA},
	{DRM_FORMAT_RGBA8888, GST_VIDEO_FORMAT_ABGR},
};

static GstVideoFormat format_of(uint32_t fourcc)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].fourcc == fourcc)
			return formats[i].format;
	return GST_VIDEO_FORMAT_UNKNOWN;
}

/* ---- what is installed ---- */

static bool is_hardware(GstElementFactory *f)
{
	const char *klass = gst_element_factory_get_metadata(f, GST_ELEMENT_METADATA_KLASS);

	return klass && strstr(klass, "Hardware");
}

/* By rank; but what drives hardware needs more of the sandbox, and is taken when it is named, or alone. */
static int better_first(gconstpointer a, gconstpointer b)
{
	bool hard_a = is_hardware((gpointer)(uintptr_t)a),
	     hard_b = is_hardware((gpointer)(uintptr_t)b);

	return hard_a != hard_b ? hard_a - hard_b : gst_plugin_feature_rank_compare_func(a, b);
}

/* Elements that take these units, the better ones first. Owned: gst_plugin_feature_list_free(). */
static GList *find(GstElementFactoryListType type, uint32_t codec)
{
	GstCaps *caps = gst_caps_from_string(unit_caps[codec]);
	GList *all = gst_element_factory_list_get_elements(type, GST_RANK_MARGINAL);
	GList *some = gst_element_factory_list_filter(all, caps, GST_PAD_SINK, FALSE);

	gst_plugin_feature_list_free(all);
	gst_caps_unref(caps);
	return g_list_sort(some, better_first);
}

static GList *find_decoders(uint32_t codec)
{
	return find(GST_ELEMENT_FACTORY_TYPE_DECODER | GST_ELEMENT_FACTORY_TYPE_MEDIA_VIDEO, codec);
}

static GList *find_parsers(uint32_t codec)
{
	return find(GST_ELEMENT_FACTORY_TYPE_PARSER, codec);
}

/* One number or the ends of a range, kept within what there was. */
static void limit(const GstStructure *s, const char *field, uint32_t *min, uint32_t *max)
{
	const GValue *v = gst_structure_get_value(s, field);
	int from, to;

	if (v && GST_VALUE_HOLDS_INT_RANGE(v)) {
		from = gst_value_get_int_range_min(v);
		to = gst_value_get_int_range_max(v);
	} else if (!gst_structure_get_int(s, field, &from)) {
		return;
	} else {
		to = from;
	}
	if (from > 0 && (uint32_t)from > *min)
		*min = (uint32_t)from;
	if (to >= 0 && (uint32_t)to < *max)
		*max = (uint32_t)to;
}

/* Of the first of a template's caps that are in system memory. False: none are. */
static bool look_at_template(const GstStaticPadTemplate *t, struct engine_answer *a)
{
	GstCaps *caps = gst_static_caps_get((GstStaticCaps *)(uintptr_t)&t->static_caps);
	bool found = false;

	for (guint i = 0; i < gst_caps_get_size(caps) && !found; i++) {
		const GstStructure *s = gst_caps_get_structure(caps, i);

		if (!gst_caps_features_is_equal(
			    gst_caps_get_features(caps, i), GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY))
			continue;
		limit(s, "width", &a->capability.min_width, &a->capability.max_width);
		limit(s, "height", &a->capability.min_height, &a->capability.max_height);
		found = true;
	}
	gst_caps_unref(caps);
	return found;
}

/* False: nothing comes out of it that we could read. */
static bool describe(GstElementFactory *f, struct engine_answer *a)
{
	const GList *templates = gst_element_factory_get_static_pad_templates(f);
	bool usable = true;

	a->capability.hardware = is_hardware(f);
	a->capability.min_width = a->capability.min_height = 1;
	a->capability.max_width = a->capability.max_height = ENGINE_SIZE_MAX;
	g_strlcpy(a->capability.element, GST_OBJECT_NAME(f), ENGINE_NAME_MAX);
	for (; templates; templates = templates->next)
		if (!look_at_template(templates->data, a))
			usable = false;
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		a->capability.fourccs[i] = formats[i].fourcc;
	a->capability.n_fourccs = ARRAY_SIZE(formats);
	return usable && strlen(GST_OBJECT_NAME(f)) < ENGINE_NAME_MAX;
}

static void list(struct codec *c)
{
	for (uint32_t codec = 0; codec < ENGINE_CODECS; codec++) {
		GList *decoders = find_decoders(codec);

		for (GList *d = decoders; d; d = d->next) {
			struct engine_answer a = {.what = ENGINE_CAPABILITY, .capability = {codec}};

			if (describe(d->data, &a))
				codec_capability(c, &a);
		}
		gst_plugin_feature_list_free(decoders);
	}
}

/* ---- what comes out ---- */

static struct gst *of(GstPad *pad)
{
	return gst_pad_get_element_private(pad);
}

static void drop_converter(struct gst *g)
{
	g_clear_pointer(&g->converter, gst_video_converter_free);
	gst_clear_buffer(&g->bounce);
}

/* False: there are no such pictures. */
static bool fill_format(struct engine_answer *a, int width, int height, int rate_num, int rate_den)
{
	if (width <= 0 || height <= 0 || width > ENGINE_SIZE_MAX || height > ENGINE_SIZE_MAX)
		return false;
	a->format.min_buffers = 1;
	a->format.crop_width = (uint32_t)width;
	a->format.crop_height = (uint32_t)height;
	a->format.width = (a->format.crop_width + 1) / 2 * 2;
	a->format.height = (a->format.crop_height + 1) / 2 * 2;
	a->format.rate_num = (uint32_t)rate_num;
	a->format.rate_den = (uint32_t)rate_den;
	return true;
}

static bool on_caps(struct gst *g, GstCaps *caps)
{
	if (!gst_video_info_from_caps(&g->info, caps))
		return false;
	drop_converter(g);
	return fill_format(&g->format, GST_VIDEO_INFO_WIDTH(&g->info),
		GST_VIDEO_INFO_HEIGHT(&g->info), GST_VIDEO_INFO_FPS_N(&g->info),
		GST_VIDEO_INFO_FPS_D(&g->info));
}

static gboolean on_event(GstPad *pad, GstObject *parent, GstEvent *event)
{
	struct gst *g = of(pad);
	GstCaps *caps;
	bool ok = true;

	(void)parent;
	if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
		gst_event_parse_caps(event, &caps);
		ok = on_caps(g, caps);
	} else if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
		codec_set(g->codec, &g->ended);
	}
	gst_event_unref(event);
	return ok;
}

/* Decoders may hand out their own pictures, with rows as long as they like. */
static gboolean on_query(GstPad *pad, GstObject *parent, GstQuery *query)
{
	if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION)
		return gst_pad_query_default(pad, parent, query);
	gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, NULL);
	return TRUE;
}

static uint32_t fourcc_of(GstVideoFormat format)
{
	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].format == format)
			return formats[i].fourcc;
	return 0;
}

static struct frame planes_of(const GstVideoFrame *v)
{
	struct frame f = {fourcc_of(GST_VIDEO_FRAME_FORMAT(v)), (uint32_t)GST_VIDEO_FRAME_WIDTH(v),
		(uint32_t)GST_VIDEO_FRAME_HEIGHT(v)};

	for (unsigned i = 0; i < GST_VIDEO_FRAME_N_PLANES(v) && i < ENGINE_PLANES_MAX; i++) {
		f.plane[i] = GST_VIDEO_FRAME_PLANE_DATA(v, i);
		f.stride[i] = (uint32_t)GST_VIDEO_FRAME_PLANE_STRIDE(v, i);
	}
	return f;
}

/* From what comes out now to another format of the same size and colours. */
static bool need_converter(struct gst *g, GstVideoFormat format)
{
	GstVideoInfo *to = &g->converted;

	if (g->converter && GST_VIDEO_INFO_FORMAT(to) == format)
		return true;
	drop_converter(g);
	gst_video_info_set_format(to, format, (guint)GST_VIDEO_INFO_WIDTH(&g->info),
		(guint)GST_VIDEO_INFO_HEIGHT(&g->info));
	GST_VIDEO_INFO_FPS_N(to) = GST_VIDEO_INFO_FPS_N(&g->info);
	GST_VIDEO_INFO_FPS_D(to) = GST_VIDEO_INFO_FPS_D(&g->info);
	GST_VIDEO_INFO_INTERLACE_MODE(to) = GST_VIDEO_INFO_INTERLACE_MODE(&g->info);
	if (GST_VIDEO_INFO_IS_YUV(to)) {
		to->colorimetry = g->info.colorimetry;
		to->chroma_site = g->info.chroma_site;
	}
	g->converter = gst_video_converter_new(&g->info, to, NULL);
	return g->converter;
}

/* By way of a picture of our own. */
static bool convert_twice(struct gst *g, const GstVideoFrame *from, const struct frame_target *t)
{
	GstVideoFrame to;
	struct frame f;
	bool ok;

	if (!g->bounce)
		g->bounce = gst_buffer_new_allocate(NULL, GST_VIDEO_INFO_SIZE(&g->converted), NULL);
	if (!g->bounce || !gst_video_frame_map(&to, &g->converted, g->bounce, GST_MAP_READWRITE))
		return false;
	gst_video_converter_frame(g->converter, from, &to);
	f = planes_of(&to);
	ok = frame_put(&f, t);
	gst_video_frame_unmap(&to);
	return ok;
}

/* By the library: straight into the buffer, where each of its planes lies in one piece. */
static bool convert(struct gst *g, const GstVideoFrame *from, const struct frame_target *t)
{
	GstVideoFrame to = {0};
	uint8_t *planes[ENGINE_PLANES_MAX];

	if (!need_converter(g, format_of(t->fourcc)))
		return false;
	to.info = g->converted;
	if (!frame_linear(t, (uint32_t)GST_VIDEO_INFO_WIDTH(&to.info),
		    (uint32_t)GST_VIDEO_INFO_HEIGHT(&to.info), planes))
		return convert_twice(g, from, t);
	for (unsigned i = 0; i < GST_VIDEO_INFO_N_PLANES(&to.info); i++) {
		to.data[i] = planes[i];
		to.info.stride[i] = (int)t->stride[i];
	}
	gst_video_converter_frame(g->converter, from, &to);
	return true;
}

static bool put(struct gst *g, const GstVideoFrame *v, const struct frame_target *t)
{
	struct frame f = planes_of(v);

	return frame_put(&f, t) || convert(g, v, t);
}

/* ---- numbers over the decoder ---- */

static GstCaps *number_caps(void)
{
	static GstStaticCaps caps = GST_STATIC_CAPS("timestamp/x-unit");

	return gst_static_caps_get(&caps);
}

/* The duration says whether the unit stands alone, which a parser knows. */
static GstPadProbeReturn on_unit(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
	const struct gst *g = data;
	GstBuffer *buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
	GstCaps *caps = number_caps();

	(void)pad;
	if (GST_BUFFER_PTS_IS_VALID(buffer))
		gst_buffer_add_reference_timestamp_meta(buffer, caps, GST_BUFFER_PTS(buffer),
			g->parser && !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT));
	gst_caps_unref(caps);
	GST_PAD_PROBE_INFO_DATA(info) = buffer;
	return GST_PAD_PROBE_OK;
}

static uint64_t number_of(GstBuffer *buffer, uint32_t *flags)
{
	GstCaps *caps = number_caps();
	const GstReferenceTimestampMeta *m = gst_buffer_get_reference_timestamp_meta(buffer, caps);

	gst_caps_unref(caps);
	if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED))
		*flags |= ENGINE_BROKEN;
	if (m && m->duration == 1)
		*flags |= ENGINE_KEY;
	return (m ? m->timestamp : GST_BUFFER_PTS(buffer)) / GST_SECOND;
}

static GstFlowReturn on_picture(GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
	struct gst *g = of(pad);
	struct codec_resource *res;
	struct frame_target t;
	GstVideoFrame v;
	uint32_t flags = 0;
	uint64_t number = number_of(buffer, &flags);

	(void)parent;
	if (!gst_video_frame_map(&v, &g->info, buffer, GST_MAP_READ)) {
		gst_buffer_unref(buffer);
		return GST_FLOW_ERROR;
	}
	codec_format(g->codec, &g->format);
	res = codec_take(g->codec, &t);
	if (res)
		codec_give(g->codec, res, number, put(g, &v, &t) ? flags : ENGINE_BROKEN);
	gst_video_frame_unmap(&v);
	gst_buffer_unref(buffer);
	return res ? GST_FLOW_OK : GST_FLOW_FLUSHING;
}

/* ---- what goes in ---- */

/* A parser says the size when it has seen headers; a decoder that holds pictures back, with the first one
 * that comes out. */
static GstPadProbeReturn on_headers(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
	const struct gst *g = data;
	struct engine_answer a = {0};
	int width, height, num = 0, den = 0;
	const GstStructure *s;
	GstCaps *caps;

	(void)pad;
	if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) != GST_EVENT_CAPS)
		return GST_PAD_PROBE_OK;
	gst_event_parse_caps(GST_PAD_PROBE_INFO_EVENT(info), &caps);
	s = gst_caps_get_structure(caps, 0);
	gst_structure_get_fraction(s, "framerate", &num, &den);
	if (gst_structure_get_int(s, "width", &width) && gst_structure_get_int(s, "height", &height)
		&& fill_format(&a, width, height, num, den))
		codec_format_early(g->codec, &a);
	return GST_PAD_PROBE_OK;
}

static void push_segment(struct gst *g)
{
	GstSegment segment;

	gst_segment_init(&segment, GST_FORMAT_TIME);
	gst_pad_push_event(g->in, gst_event_new_segment(&segment));
	g->fresh = true;
	g->ended = false;
}

static int decode(struct codec *c, uint8_t *bytes, size_t size, uint64_t number)
{
	struct gst *g = c->library;
	GstBuffer *buffer = gst_buffer_new_wrapped_full(
		GST_MEMORY_FLAG_READONLY, bytes, size + CODEC_PADDING, 0, size, bytes, free);
	GstFlowReturn r;

	GST_BUFFER_PTS(buffer) = number * GST_SECOND;
	if (g->fresh)
		GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
	g->fresh = false;
	r = gst_pad_push(g->in, buffer);
	if (r == GST_FLOW_OK || r == GST_FLOW_FLUSHING)
		return 0;
	log_info("%s: %s", GST_OBJECT_NAME(g->decoder), gst_flow_get_name(r));
	return r == GST_FLOW_NOT_NEGOTIATED || r == GST_FLOW_NOT_SUPPORTED ? -EOPNOTSUPP : -EIO;
}

static int flush(struct codec *c)
{
	struct gst *g = c->library;

	gst_pad_push_event(g->in, gst_event_new_flush_start());
	gst_pad_push_event(g->in, gst_event_new_flush_stop(TRUE));
	push_segment(g);
	return 0;
}

static int drain(struct codec *c)
{
	struct gst *g = c->library;

	gst_pad_push_event(g->in, gst_event_new_eos());
	codec_wait(c, &g->ended);
	return flush(c);
}

/* ---- the chain ---- */

/* One thread and no frames in it: no more delay than the codec's own. Streams fill the processors. */
static void set_up(GstElement *decoder)
{
	static const struct {
		const char *name, *value;
	} properties[] = {
		{"max-threads", "1"}, {"threads", "1"}, {"max-errors", "-1"}, {"qos", "false"}};

	for (unsigned i = 0; i < ARRAY_SIZE(properties); i++)
		if (g_object_class_find_property(G_OBJECT_GET_CLASS(decoder), properties[i].name))
			gst_util_set_object_arg(
				G_OBJECT(decoder), properties[i].name, properties[i].value);
}

static GstElement *make(GList *factories, const char *name)
{
	GstElement *e = NULL;

	for (GList *f = factories; f && !e; f = f->next)
		if (!name[0] || !strcmp(GST_OBJECT_NAME(f->data), name))
			e = gst_element_factory_create(f->data, NULL);
	gst_plugin_feature_list_free(factories);
	return e ? gst_object_ref_sink(e) : NULL;
}

static bool link_pads(GstPad *from, GstPad *to)
{
	bool ok = from && to && gst_pad_link(from, to) == GST_PAD_LINK_OK;

	gst_clear_object(&from);
	gst_clear_object(&to);
	return ok;
}

static bool link_chain(struct gst *g)
{
	GstElement *first = g->parser ? g->parser : g->decoder;
	GstPad *sink = gst_element_get_static_pad(g->decoder, "sink");
	bool probed = sink && gst_pad_add_probe(sink, GST_PAD_PROBE_TYPE_BUFFER, on_unit, g, NULL)
		&& gst_pad_add_probe(
			sink, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_headers, g, NULL);

	gst_clear_object(&sink);
	return probed
		&& (!g->parser
			|| link_pads(gst_element_get_static_pad(g->parser, "src"),
				gst_element_get_static_pad(g->decoder, "sink")))
		&& link_pads(gst_object_ref(g->in), gst_element_get_static_pad(first, "sink"))
		&& link_pads(gst_element_get_static_pad(g->decoder, "src"), gst_object_ref(g->out));
}

static void make_pads(struct gst *g)
{
	static GstStaticPadTemplate raw = GST_STATIC_PAD_TEMPLATE(
		"sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS("video/x-raw"));

	g->in = gst_object_ref_sink(gst_pad_new("in", GST_PAD_SRC));
	g->out = gst_object_ref_sink(gst_pad_new_from_static_template(&raw, "out"));
	gst_pad_set_element_private(g->out, g);
	gst_pad_set_chain_function(g->out, on_picture);
	gst_pad_set_event_function(g->out, on_event);
	gst_pad_set_query_function(g->out, on_query);
	gst_pad_set_active(g->out, TRUE);
	gst_pad_set_active(g->in, TRUE);
}

static bool start(struct gst *g)
{
	const struct engine_message *m = &g->codec->open;
	GstCaps *caps = gst_caps_from_string(unit_caps[m->open.codec]);
	bool ok = gst_element_set_state(g->decoder, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE
		&& (!g->parser
			|| gst_element_set_state(g->parser, GST_STATE_PLAYING)
				!= GST_STATE_CHANGE_FAILURE);

	if (m->open.pieces) // the parser looks for their borders
		gst_structure_remove_field(gst_caps_get_structure(caps, 0), "alignment");
	gst_pad_push_event(g->in, gst_event_new_stream_start("stream"));
	ok = gst_pad_push_event(g->in, gst_event_new_caps(caps)) && ok;
	gst_caps_unref(caps);
	push_segment(g);
	return ok;
}

static void stop(GstElement **element)
{
	if (*element)
		gst_element_set_state(*element, GST_STATE_NULL);
	gst_clear_object(element);
}

static void close_stream(struct codec *c)
{
	struct gst *g = c->library;

	stop(&g->parser);
	stop(&g->decoder);
	gst_clear_object(&g->in);
	gst_clear_object(&g->out);
	drop_converter(g);
	free(g);
}

static int open_stream(struct codec *c)
{
	uint32_t codec = c->open.open.codec;
	struct gst *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	c->library = g;
	g->codec = c;
	c->open.open.element[ENGINE_NAME_MAX - 1] = '\0';
	g->decoder = make(find_decoders(codec), c->open.open.element);
	g->parser = make(find_parsers(codec), "");
	make_pads(g);
	if (g->decoder) {
		set_up(g->decoder);
		c->hardware = is_hardware(gst_element_get_factory(g->decoder));
	}
	if (g->decoder && link_chain(g) && start(g))
		return 0;
	close_stream(c);
	return -EOPNOTSUPP;
}

/* ---- the part ---- */

static const struct codec_ops ops = {
	.list = list,
	.open = open_stream,
	.decode = decode,
	.drain = drain,
	.flush = flush,
	.close = close_stream,
};

/* Plugins of software are loaded, and their classes made, once for all streams. */
static void load(GList *factories)
{
	for (GList *f = factories; f; f = f->next) {
		GstElement *e =
			is_hardware(f->data) ? NULL : gst_element_factory_create(f->data, NULL);

		if (e)
			gst_object_unref(gst_object_ref_sink(e));
	}
	gst_plugin_feature_list_free(factories);
}

static void prepare(void)
{
	/* What it would compile at run time the sandbox does not let run. */
	setenv("ORC_CODE", "backup", 1);
	gst_init(NULL, NULL);
	for (uint32_t codec = 0; codec < ENGINE_CODECS; codec++) {
		load(find_decoders(codec));
		load(find_parsers(codec));
	}
}

static int run(int sock, const struct part_inside *inside)
{
	return codec_run(sock, inside, &ops);
}

const struct part_kind gst_part = {.name = "codec", .run = run, .prepare = prepare};
