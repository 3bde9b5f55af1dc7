/* SPDX-License-Identifier: MIT */
#pragma once
/* The codecs of GStreamer: the inside of a stream's part, and the only one that knows the library. */
#include "common/part.h"

#ifdef HAVE_GSTREAMER
extern const struct part_kind gst_part;
#define GST_PART (&gst_part)
#else
#define GST_PART NULL
#endif
