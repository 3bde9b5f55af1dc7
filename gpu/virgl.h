/* SPDX-License-Identifier: MIT */
#pragma once
/* OpenGL and Vulkan for guests, by virglrenderer: the inside of a part. */
#include "common/part.h"
#include "options.h"

/* What it is to offer. Set before the nursery is started. */
extern struct gpu_offers virgl_offers;

extern const struct part_kind virgl_part;

#ifdef HAVE_VIRGL
#define VIRGL_PART (&virgl_part)
#else
#define VIRGL_PART NULL
#endif
