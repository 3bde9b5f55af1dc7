/* SPDX-License-Identifier: MIT */
#pragma once
/* OpenGL for guests, by virglrenderer: the inside of a part. */
#include "common/part.h"

extern const struct part_kind virgl_part;

#ifdef HAVE_VIRGL
#define VIRGL_PART (&virgl_part)
#else
#define VIRGL_PART NULL
#endif
