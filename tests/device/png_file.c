/* SPDX-License-Identifier: MIT */
#include "png_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <png.h>
#include <zlib.h>

static int read_rows(png_structp png, png_infop info, struct png_file *out)
{
	size_t stride = png_get_rowbytes(png, info);
	uLong crc = crc32(0, NULL, 0);
	png_bytep row;

	if (png_get_color_type(png, info) != PNG_COLOR_TYPE_RGB
		|| png_get_bit_depth(png, info) != 8)
		return -EBADMSG;
	row = png_malloc(png, stride);
	for (uint32_t y = 0; y < out->height; y++) {
		png_read_row(png, row, NULL);
		crc = crc32(crc, row, (uInt)stride);
	}
	png_read_end(png, NULL);
	png_free(png, row);
	out->crc = (uint32_t)crc;
	return 0;
}

static int read_open_file(FILE *f, struct png_file *out)
{
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;
	int rc;

	if (!info || setjmp(png_jmpbuf(png))) {
		png_destroy_read_struct(&png, &info, NULL);
		return -EBADMSG;
	}
	png_init_io(png, f);
	png_read_info(png, info);
	out->width = png_get_image_width(png, info);
	out->height = png_get_image_height(png, info);
	rc = read_rows(png, info, out);
	png_destroy_read_struct(&png, &info, NULL);
	return rc;
}

int png_file_read(const char *path, struct png_file *out)
{
	FILE *f = fopen(path, "rbe");
	int rc;

	if (!f)
		return -errno;
	rc = read_open_file(f, out);
	fclose(f);
	return rc;
}
