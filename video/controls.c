/* SPDX-License-Identifier: MIT */
#include "controls.h"

#include <stddef.h>

#include "common/bytes.h"
#include "protocols/virtio_video_v3.h"

/* All of 4:2:0 with 8 bits. */
static const uint32_t h264_profiles[] = {VIRTIO_VIDEO_PROFILE_H264_BASELINE,
	VIRTIO_VIDEO_PROFILE_H264_MAIN, VIRTIO_VIDEO_PROFILE_H264_HIGH};
static const uint32_t hevc_profiles[] = {VIRTIO_VIDEO_PROFILE_HEVC_MAIN};
static const uint32_t vp8_profiles[] = {VIRTIO_VIDEO_PROFILE_VP8_0, VIRTIO_VIDEO_PROFILE_VP8_1,
	VIRTIO_VIDEO_PROFILE_VP8_2, VIRTIO_VIDEO_PROFILE_VP8_3};
static const uint32_t vp9_profiles[] = {VIRTIO_VIDEO_PROFILE_VP9_0};

/* 1.0 to 5.1 */
static const uint32_t h264_levels[] = {0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x106, 0x107,
	0x108, 0x109, 0x10a, 0x10b, 0x10c, 0x10d, VIRTIO_VIDEO_LEVEL_H264_5_1};

struct list {
	const uint32_t *values;
	unsigned n;
};

#define LIST(array)                                                                                \
	{                                                                                          \
		array, ARRAY_SIZE(array)                                                           \
	}

static const struct list profiles[VIDEO_FORMATS] = {
	[VIDEO_H264] = LIST(h264_profiles),
	[VIDEO_HEVC] = LIST(hevc_profiles),
	[VIDEO_VP8] = LIST(vp8_profiles),
	[VIDEO_VP9] = LIST(vp9_profiles),
};

static const struct list levels[VIDEO_FORMATS] = {
	[VIDEO_H264] = LIST(h264_levels),
};

const uint32_t *video_control_values(
	enum video_control control, enum video_format format, unsigned *n)
{
	const struct list none = {0};
	struct list l = control == VIDEO_PROFILE ? profiles[format]
		: control == VIDEO_LEVEL         ? levels[format]
						 : none;

	*n = l.n;
	return l.values;
}
