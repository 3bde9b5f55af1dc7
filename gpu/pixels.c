/* SPDX-License-Identifier: MIT */
#include "pixels.h"

#include <drm_fourcc.h>
#include <pixman.h>
#include <string.h>

static pixman_format_code_t pixman_format(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_ARGB8888:
		return PIXMAN_a8r8g8b8;
	case DRM_FORMAT_BGRA8888:
		return PIXMAN_b8g8r8a8;
	case DRM_FORMAT_BGRX8888:
		return PIXMAN_b8g8r8x8;
	case DRM_FORMAT_ABGR8888:
		return PIXMAN_a8b8g8r8;
	case DRM_FORMAT_XBGR8888:
		return PIXMAN_x8b8g8r8;
	case DRM_FORMAT_RGBA8888:
		return PIXMAN_r8g8b8a8;
	case DRM_FORMAT_RGBX8888:
		return PIXMAN_r8g8b8x8;
	default:
		return PIXMAN_x8r8g8b8;
	}
}

bool pixels_are_xrgb(const struct dbuf *buf)
{
	return buf->fourcc == DRM_FORMAT_XRGB8888 || buf->fourcc == DRM_FORMAT_ARGB8888;
}

static pixman_image_t *wrap(const struct dbuf *buf)
{
	return pixman_image_create_bits_no_clear(pixman_format(buf->fourcc), (int)buf->width,
		(int)buf->height, (uint32_t *)(void *)buf->map, (int)buf->stride);
}

void pixels_to_xrgb(const struct dbuf *buf, const struct gpu_rect *r, uint32_t *to, uint32_t stride)
{
	pixman_image_t *from = wrap(buf);
	pixman_image_t *out = pixman_image_create_bits_no_clear(
		PIXMAN_x8r8g8b8, (int)r->width, (int)r->height, to, (int)stride);

	if (from && out)
		pixman_image_composite32(PIXMAN_OP_SRC, from, NULL, out, (int)r->x, (int)r->y, 0, 0,
			0, 0, (int)r->width, (int)r->height);
	if (from)
		pixman_image_unref(from);
	if (out)
		pixman_image_unref(out);
}

static void shrink(pixman_image_t *from, uint32_t longest, uint32_t side)
{
	pixman_fixed_t scale = (pixman_fixed_t)(((uint64_t)longest << 16) / side);
	pixman_transform_t t;

	pixman_transform_init_scale(&t, scale, scale);
	pixman_image_set_transform(from, &t);
	pixman_image_set_filter(from, PIXMAN_FILTER_BILINEAR, NULL, 0);
}

void pixels_to_cursor(
	const struct dbuf *buf, uint32_t *to, uint32_t side, uint32_t *hot_x, uint32_t *hot_y)
{
	uint32_t longest = buf->width > buf->height ? buf->width : buf->height;
	pixman_image_t *from = wrap(buf);
	pixman_image_t *out = pixman_image_create_bits_no_clear(
		PIXMAN_a8r8g8b8, (int)side, (int)side, to, (int)(side * sizeof(*to)));

	memset(to, 0, side * side * sizeof(*to));
	if (longest > side && from) {
		shrink(from, longest, side);
		*hot_x = (uint32_t)((uint64_t)*hot_x * side / longest);
		*hot_y = (uint32_t)((uint64_t)*hot_y * side / longest);
	}
	if (from && out)
		pixman_image_composite32(
			PIXMAN_OP_SRC, from, NULL, out, 0, 0, 0, 0, 0, 0, (int)side, (int)side);
	if (from)
		pixman_image_unref(from);
	if (out)
		pixman_image_unref(out);
}
