/* SPDX-License-Identifier: MIT */
#pragma once
/* Formats by names of our own (each dialect has numbers of its own for them), and how a picture lies in
 * memory. Pure. */
#include <stdbool.h>
#include <stdint.h>

enum video_format {
	VIDEO_NONE,
	VIDEO_NV12, // raw: 4:2:0, a plane Y, a plane of U and V in turns
	VIDEO_I420, // three planes Y, U, V
	VIDEO_YV12, // three planes Y, V, U
	VIDEO_BGRA, // one plane: bytes B, G, R, A
	VIDEO_RAW_END,
	VIDEO_H264 = VIDEO_RAW_END, // coded
	VIDEO_HEVC,
	VIDEO_VP8,
	VIDEO_VP9,
	VIDEO_AV1,
	VIDEO_MPEG2,
	VIDEO_MPEG4,
	VIDEO_FORMATS
};

enum { VIDEO_PLANES_MAX = 3, VIDEO_SIDE_MAX = 8192 };

/* The planes of a picture, one behind the other. */
struct video_layout {
	unsigned n_planes;
	struct {
		uint32_t stride, rows; // bytes; rows
		uint32_t size;         // bytes: stride * rows
	} planes[VIDEO_PLANES_MAX];
	uint32_t size; // bytes of all planes
};

static inline bool video_is_raw(enum video_format f)
{
	return f > VIDEO_NONE && f < VIDEO_RAW_END;
}

static inline bool video_is_coded(enum video_format f)
{
	return f >= VIDEO_RAW_END && f < VIDEO_FORMATS;
}

/* As on the command line: "h264", "nv12". NULL for VIDEO_NONE. */
const char *video_format_name(enum video_format f);

/* VIDEO_NONE: there is none of that name, which is not ended by more than `len` says. */
enum video_format video_format_named(const char *name, unsigned len);

/* DRM_FORMAT_* of a raw one; enum engine_codec of a coded one. */
uint32_t video_format_fourcc(enum video_format f);
uint32_t video_format_codec(enum video_format f);

/* A raw picture of 1 to VIDEO_SIDE_MAX pixels a side, without padding but for odd sides. */
struct video_layout video_layout_of(enum video_format f, uint32_t width, uint32_t height);
