/* SPDX-License-Identifier: MIT */
#pragma once
/* Vulkan for guests, by gfxstream's library, which is looked for when it is wanted: the inside of a part. */
#include "common/part.h"

/* The part that loads this library (a name or a path, which stays the caller's). Once a process. */
const struct part_kind *gfxstream_part(const char *library);

/* Can it be loaded, and is all there that is used? NULL, or what is wrong. For a process that ends then. */
const char *gfxstream_check(const char *library);
