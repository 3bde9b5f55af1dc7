/* SPDX-License-Identifier: MIT */
#pragma once
/* A PNG file as libpng reads it: how large it is and what is in it. */
#include <stdint.h>

struct png_file {
	uint32_t width, height;
	uint32_t crc; // of its bytes R, G, B, row by row, as zlib counts
};

/* Returns 0, -ENOENT, or -EBADMSG for one that is not whole or not 8 bits of RGB. */
int png_file_read(const char *path, struct png_file *out);
