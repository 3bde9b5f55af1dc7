/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <assert.h>
#include <drm_fourcc.h>
#include <stddef.h>
#include <string.h>

#include "engine.h"

static_assert(VIDEO_FORMATS - VIDEO_RAW_END == (int)ENGINE_CODECS, "codecs are the engine's,");
static_assert(VIDEO_MPEG4 - VIDEO_RAW_END == (int)ENGINE_MPEG4, "in its order");

static const char *const names[VIDEO_FORMATS] = {
	[VIDEO_NV12] = "nv12",
	[VIDEO_I420] = "i420",
	[VIDEO_YV12] = "yv12",
	[VIDEO_BGRA] = "bgra",
	[VIDEO_H264] = "h264",
	[VIDEO_HEVC] = "hevc",
	[VIDEO_VP8] = "vp8",
	[VIDEO_VP9] = "vp9",
	[VIDEO_AV1] = "av1",
	[VIDEO_MPEG2] = "mpeg2",
	[VIDEO_MPEG4] = "mpeg4",
};

const char *video_format_name(enum video_format f)
{
	return f < VIDEO_FORMATS ? names[f] : NULL;
}

enum video_format video_format_named(const char *name, unsigned len)
{
	for (unsigned f = VIDEO_NONE + 1; f < VIDEO_FORMATS; f++)
		if (strlen(names[f]) == len && !memcmp(names[f], name, len))
			return (enum video_format)f;
	return VIDEO_NONE;
}

uint32_t video_format_fourcc(enum video_format f)
{
	static const uint32_t fourccs[VIDEO_RAW_END] = {
		[VIDEO_NV12] = DRM_FORMAT_NV12,
		[VIDEO_I420] = DRM_FORMAT_YUV420,
		[VIDEO_YV12] = DRM_FORMAT_YVU420,
		[VIDEO_BGRA] = DRM_FORMAT_ARGB8888,
	};

	return fourccs[f];
}

uint32_t video_format_codec(enum video_format f)
{
	return (uint32_t)f - VIDEO_RAW_END;
}

static void add_plane(struct video_layout *l, uint32_t stride, uint32_t rows)
{
	unsigned i = l->n_planes++;

	l->planes[i].stride = stride;
	l->planes[i].rows = rows;
	l->planes[i].size = stride * rows;
	l->size += stride * rows;
}

struct video_layout video_layout_of(enum video_format f, uint32_t width, uint32_t height)
{
	uint32_t half_width = (width + 1) / 2, half_height = (height + 1) / 2;
	struct video_layout l = {0};

	if (f == VIDEO_BGRA) {
		add_plane(&l, half_width * 8, height);
		return l;
	}
	add_plane(&l, half_width * 2, height);
	if (f == VIDEO_NV12) {
		add_plane(&l, half_width * 2, half_height);
	} else {
		add_plane(&l, half_width, half_height);
		add_plane(&l, half_width, half_height);
	}
	return l;
}
