/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include <string.h>

#include "caps.h"
#include "common/bytes.h"
#include "common/fd.h"

#define LIST_WITHIN (60ll * 1000000000)

bool video_list_codecs(const struct video_options *v, struct engine_list *list)
{
	struct loop *loop = loop_create();
	struct nursery nursery = {0};
	bool right = false;

	if (loop && v->codecs
		&& nursery_start(&nursery, v->codecs, SANDBOX_AUTO, v->max_memory, false) == 0)
		right = engine_list(list, loop, &nursery, LIST_WITHIN);
	nursery_finish(&nursery);
	loop_destroy(loop);
	return right;
}

static int check_options(const struct options *o, const struct video_options *v)
{
	if (v->encoder)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--device=encoder: there is no encoder yet; leave the option out for a "
			"decoder");
	if (strcmp(v->dialect, "auto") && strcmp(v->dialect, dialect_v3.name))
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--dialect=%s: there is no such dialect yet; --dialect=v3 is for drivers "
			"of the draft of 2020",
			v->dialect);
	if (v->threads && o->seccomp != SANDBOX_NONE)
		return options_fail(o, EXIT_USAGE,
			"--isolate=none: codecs open their files when a stream begins; add "
			"--seccomp=none");
	if (!v->codecs)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"built without GStreamer; install its development files and build again");
	return EXIT_OK;
}

/* Codecs that were asked for by name must be there. */
static int check_wanted(
	const struct options *o, const struct video_options *v, const struct video_caps *caps)
{
	if (!caps->n_coded && !v->wanted)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"nothing can be decoded here; install gstreamer1.0-libav or "
			"gstreamer1.0-plugins-good, and see what --check says");
	for (unsigned f = VIDEO_RAW_END; f < VIDEO_FORMATS; f++) {
		bool there = false;

		for (unsigned i = 0; i < caps->n_coded; i++)
			there |= caps->coded[i].format == f;
		if (v->wanted >> f & 1 && !there)
			return options_fail(o, EXIT_IMPOSSIBLE,
				"--codecs: %s cannot be decoded here; install gstreamer1.0-libav, "
				"or see what --check says",
				video_format_name((enum video_format)f));
	}
	return EXIT_OK;
}

int video_setup_begin(struct video_setup *s, struct loop *loop, const struct options *o,
	const struct video_options *v)
{
	struct engine_list list = {0};
	struct video_caps caps;
	int status = check_options(o, v), r;

	if (status != EXIT_OK)
		return status;
	gmem_keep_fds = true;
	r = nursery_start(&s->nursery, v->codecs, o->seccomp, v->max_memory, v->threads);
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME, "no process can be started: %s", strerror(-r));
	engine_list(
		&list, loop, &s->nursery, LIST_WITHIN); // where it fails, there is nothing in it
	caps = video_caps_of(&list, &dialect_v3, v->wanted ? v->wanted : UINT32_MAX);
	status = check_wanted(o, v, &caps);
	if (status == EXIT_OK)
		video_device_init(&s->video, loop, &dialect_v3, &caps, &s->nursery);
	return status;
}

void video_setup_finish(struct video_setup *s)
{
	if (s->video.loop)
		video_device_finish(&s->video);
	nursery_finish(&s->nursery);
}
