/* SPDX-License-Identifier: MIT */
#include "engine_clip.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <gst/gst.h>
#include <gst/video/video.h>

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void clip_begin(void)
{
	gst_init(NULL, NULL);
}

bool clip_has(const char *elements)
{
	char **names = g_strsplit(elements, " ", -1);
	bool all = true;

	for (char **n = names; *n; n++) {
		GstElementFactory *f = gst_element_factory_find(*n);

		all = all && f;
		gst_clear_object(&f);
	}
	g_strfreev(names);
	return all;
}

/* ---- a pipeline that ends in a sink of ours ---- */

static GstElement *launch(const char *description, GCallback taken, void *data)
{
	char *all = g_strdup_printf(
		"%s ! fakesink name=out signal-handoffs=true sync=false", description);
	GError *error = NULL;
	GstElement *pipeline = gst_parse_launch(all, &error);
	GstElement *sink;

	if (!pipeline || error)
		die("%s: %s", all, error ? error->message : "no pipeline");
	sink = gst_bin_get_by_name(GST_BIN(pipeline), "out");
	g_signal_connect(sink, "handoff", taken, data);
	gst_object_unref(sink);
	g_free(all);
	return pipeline;
}

static void run_to_end(GstElement *pipeline)
{
	GstBus *bus = gst_element_get_bus(pipeline);
	GstMessage *m;

	gst_element_set_state(pipeline, GST_STATE_PLAYING);
	m = gst_bus_timed_pop_filtered(
		bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
	if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR) {
		GError *error = NULL;

		gst_message_parse_error(m, &error, NULL);
		die("a clip: %s", error->message);
	}
	gst_message_unref(m);
	gst_object_unref(bus);
	gst_element_set_state(pipeline, GST_STATE_NULL);
	gst_object_unref(pipeline);
}

/* ---- encoding ---- */

static void on_unit(GstElement *sink, GstBuffer *buffer, GstPad *pad, void *data)
{
	struct clip *c = data;
	struct clip_unit *u;

	(void)sink;
	(void)pad;
	c->units = realloc(c->units, (c->n + 1) * sizeof(*c->units));
	u = &c->units[c->n++];
	u->size = gst_buffer_get_size(buffer);
	u->bytes = malloc(u->size);
	u->pts = GST_BUFFER_PTS(buffer);
	gst_buffer_extract(buffer, 0, u->bytes, u->size);
}

void clip_add(struct clip *c, const char *description)
{
	run_to_end(launch(description, G_CALLBACK(on_unit), c));
}

void clip_free(struct clip *c)
{
	for (unsigned i = 0; i < c->n; i++)
		free(c->units[i].bytes);
	free(c->units);
	*c = (struct clip){0};
}

/* ---- decoding ---- */

static uint64_t hash_planes(const GstVideoFrame *f)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < GST_VIDEO_FRAME_N_PLANES(f); i++) {
		const uint8_t *row = GST_VIDEO_FRAME_PLANE_DATA(f, i);
		int comp[GST_VIDEO_MAX_COMPONENTS];
		size_t n;

		gst_video_format_info_component(f->info.finfo, i, comp);
		n = (size_t)GST_VIDEO_FRAME_COMP_WIDTH(f, comp[0])
			* (size_t)GST_VIDEO_FRAME_COMP_PSTRIDE(f, comp[0]);
		for (int y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT(f, comp[0]); y++)
			hash = clip_hash(hash, row + y * GST_VIDEO_FRAME_PLANE_STRIDE(f, i), n);
	}
	return hash;
}

static void on_picture(GstElement *sink, GstBuffer *buffer, GstPad *pad, void *data)
{
	struct clip_pictures *p = data;
	GstCaps *caps = gst_pad_get_current_caps(pad);
	GstVideoInfo info;
	GstVideoFrame f;

	(void)sink;
	gst_video_info_from_caps(&info, caps);
	gst_caps_unref(caps);
	p->pictures = realloc(p->pictures, (p->n + 1) * sizeof(*p->pictures));
	if (!gst_video_frame_map(&f, &info, buffer, GST_MAP_READ))
		die("a picture cannot be read");
	p->pictures[p->n++] = (struct clip_picture){(uint32_t)GST_VIDEO_INFO_WIDTH(&info),
		(uint32_t)GST_VIDEO_INFO_HEIGHT(&info), GST_BUFFER_PTS(buffer), hash_planes(&f)};
	gst_video_frame_unmap(&f);
}

static void push_all(GstElement *pipeline, const struct clip *c)
{
	GstElement *source = gst_bin_get_by_name(GST_BIN(pipeline), "in");
	GstFlowReturn r = GST_FLOW_OK;

	for (unsigned i = 0; i < c->n; i++) {
		GstBuffer *b = gst_buffer_new_memdup(c->units[i].bytes, c->units[i].size);

		GST_BUFFER_PTS(b) = c->units[i].pts;
		g_signal_emit_by_name(source, "push-buffer", b, &r);
		gst_buffer_unref(b);
	}
	g_signal_emit_by_name(source, "end-of-stream", &r);
	gst_object_unref(source);
}

void clip_decode(struct clip_pictures *p, const struct clip *c, const char *caps,
	const char *elements, const char *format)
{
	char *all = g_strdup_printf(
		"appsrc name=in format=time max-bytes=0 caps=\"%s\" ! %s ! videoconvert "
		"! video/x-raw,format=%s",
		caps, elements, format);
	GstElement *pipeline = launch(all, G_CALLBACK(on_picture), p);

	push_all(pipeline, c);
	run_to_end(pipeline);
	g_free(all);
}

static void on_counted(GstElement *sink, GstBuffer *buffer, GstPad *pad, void *data)
{
	(void)sink;
	(void)buffer;
	(void)pad;
	++*(unsigned *)data;
}

static double cpu_ms_now(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3
		+ (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

unsigned clip_run(const struct clip *c, const char *caps, const char *elements, const char *format,
	double *wall_ms, double *cpu_ms)
{
	char *convert =
		g_strdup_printf("! videoconvert n-threads=1 ! video/x-raw,format=%s", format);
	char *all = g_strdup_printf("appsrc name=in format=time max-bytes=0 caps=\"%s\" ! %s %s",
		caps, elements, format[0] ? convert : "");
	unsigned n = 0;
	GstElement *pipeline = launch(all, G_CALLBACK(on_counted), &n);
	gint64 begin;

	push_all(pipeline, c);
	*cpu_ms = cpu_ms_now();
	begin = g_get_monotonic_time();
	run_to_end(pipeline);
	*wall_ms = (double)(g_get_monotonic_time() - begin) / 1e3;
	*cpu_ms = cpu_ms_now() - *cpu_ms;
	g_free(convert);
	g_free(all);
	return n;
}

void clip_free_pictures(struct clip_pictures *p)
{
	free(p->pictures);
	*p = (struct clip_pictures){0};
}
