/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include <drm_fourcc.h>
#include <string.h>

#include "common/bytes.h"

/* ---- what planes are ---- */

static bool is_rgb(uint32_t fourcc)
{
	switch (fourcc) {
	case DRM_FORMAT_ARGB8888:
	case DRM_FORMAT_XRGB8888:
	case DRM_FORMAT_ABGR8888:
	case DRM_FORMAT_XBGR8888:
	case DRM_FORMAT_BGRA8888:
	case DRM_FORMAT_RGBA8888:
		return true;
	default:
		return false;
	}
}

unsigned frame_planes(uint32_t fourcc)
{
	if (fourcc == DRM_FORMAT_YUV420 || fourcc == DRM_FORMAT_YVU420)
		return 3;
	return fourcc == DRM_FORMAT_NV12 ? 2 : is_rgb(fourcc) ? 1 : 0;
}

uint32_t frame_row_bytes(uint32_t fourcc, unsigned plane, uint32_t width)
{
	uint32_t half = width / 2 + width % 2;

	if (is_rgb(fourcc))
		return width * 4;
	return plane == 0 ? width : fourcc == DRM_FORMAT_NV12 ? half * 2 : half;
}

uint32_t frame_rows(uint32_t fourcc, unsigned plane, uint32_t height)
{
	(void)fourcc;
	return plane == 0 ? height : height / 2 + height % 2;
}

bool frame_fits(const struct frame_target *t, uint32_t width, uint32_t height, uint64_t size)
{
	unsigned n = frame_planes(t->fourcc);

	for (unsigned i = 0; i < n; i++) {
		uint64_t row = frame_row_bytes(t->fourcc, i, width);
		uint64_t rows = frame_rows(t->fourcc, i, height);

		if (t->stride[i] < row
			|| !range_within(t->offset[i], t->stride[i] * (rows - 1) + row, size))
			return false;
	}
	return n > 0;
}

/* ---- rows into scattered memory ---- */

/* A place that moves forward only. */
struct cursor {
	const struct iovec *iov;
	uint64_t begin; // of *iov, in the whole
};

/* Where `at` is, and how much of *len is there in one piece. It exists: the target fits. */
static uint8_t *place(struct cursor *c, uint64_t at, size_t *len)
{
	size_t left;

	while (at - c->begin >= c->iov->iov_len) {
		c->begin += c->iov->iov_len;
		c->iov++;
	}
	left = c->iov->iov_len - (at - c->begin);
	if (*len > left)
		*len = left;
	return (uint8_t *)c->iov->iov_base + (at - c->begin);
}

static void put_row(struct cursor *c, uint64_t at, const uint8_t *from, size_t n)
{
	while (n) {
		size_t len = n;
		uint8_t *to = place(c, at, &len);

		memcpy(to, from, len);
		at += len;
		from += len;
		n -= len;
	}
}

/* As vectors, which is what compilers make of such a loop. */
static void interleave(
	uint8_t *restrict to, const uint8_t *restrict u, const uint8_t *restrict v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[2 * i] = u[i];
		to[2 * i + 1] = v[i];
	}
}

/* n pairs; a piece may end within one. */
static void put_pairs(struct cursor *c, uint64_t at, const uint8_t *u, const uint8_t *v, size_t n)
{
	while (n) {
		size_t len = n * 2;
		uint8_t *to = place(c, at, &len);

		if (len == 1) {
			const uint8_t pair[2] = {*u, *v};

			put_row(c, at, pair, 2);
			len = 2;
		} else {
			interleave(to, u, v, len / 2);
		}
		at += len / 2 * 2;
		u += len / 2;
		v += len / 2;
		n -= len / 2;
	}
}

static struct cursor begin(const struct frame_target *t)
{
	return (struct cursor){t->iov, 0};
}

static void put_plane(
	const struct frame *f, unsigned from, const struct frame_target *t, unsigned to)
{
	uint32_t n = frame_row_bytes(t->fourcc, to, f->width),
		 rows = frame_rows(t->fourcc, to, f->height);
	struct cursor c = begin(t);

	for (uint32_t y = 0; y < rows; y++)
		put_row(&c, t->offset[to] + (uint64_t)y * t->stride[to],
			f->plane[from] + (size_t)y * f->stride[from], n);
}

static void put_chroma_pairs(const struct frame *f, unsigned u, const struct frame_target *t)
{
	uint32_t n = frame_row_bytes(f->fourcc, 1, f->width),
		 rows = frame_rows(f->fourcc, 1, f->height);
	struct cursor c = begin(t);

	for (uint32_t y = 0; y < rows; y++)
		put_pairs(&c, t->offset[1] + (uint64_t)y * t->stride[1],
			f->plane[u] + (size_t)y * f->stride[u],
			f->plane[3 - u] + (size_t)y * f->stride[3 - u], n);
}

/* The chroma of NV12 into one of two planes: every other byte. */
static void put_every_other(
	const struct frame *f, unsigned first, const struct frame_target *t, unsigned to)
{
	uint32_t width = frame_row_bytes(t->fourcc, to, f->width),
		 rows = frame_rows(t->fourcc, to, f->height);
	struct cursor c = begin(t);

	for (uint32_t y = 0; y < rows; y++) {
		const uint8_t *from = f->plane[1] + (size_t)y * f->stride[1] + first;
		uint64_t at = t->offset[to] + (uint64_t)y * t->stride[to];

		for (size_t n = width, len = n; n; n -= len, at += len, len = n) {
			uint8_t *out = place(&c, at, &len);

			for (size_t i = 0; i < len; i++, from += 2)
				out[i] = *from;
		}
	}
}

static bool is_420(uint32_t fourcc)
{
	return frame_planes(fourcc) > 1;
}

bool frame_put(const struct frame *f, const struct frame_target *t)
{
	/* In the order of YUV420. */
	unsigned from_u = f->fourcc == DRM_FORMAT_YVU420 ? 2 : 1,
		 to_u = t->fourcc == DRM_FORMAT_YVU420 ? 2 : 1;

	if (f->fourcc == t->fourcc) {
		for (unsigned i = 0; i < frame_planes(f->fourcc); i++)
			put_plane(f, i, t, i);
		return true;
	}
	if (!is_420(f->fourcc) || !is_420(t->fourcc))
		return false;
	put_plane(f, 0, t, 0);
	if (t->fourcc == DRM_FORMAT_NV12) {
		put_chroma_pairs(f, from_u, t);
	} else if (f->fourcc == DRM_FORMAT_NV12) {
		put_every_other(f, 0, t, to_u);
		put_every_other(f, 1, t, 3 - to_u);
	} else {
		put_plane(f, from_u, t, to_u);
		put_plane(f, 3 - from_u, t, 3 - to_u);
	}
	return true;
}

bool frame_linear(const struct frame_target *t, uint32_t width, uint32_t height,
	uint8_t *planes[ENGINE_PLANES_MAX])
{
	for (unsigned i = 0; i < frame_planes(t->fourcc); i++) {
		size_t all = (size_t)t->stride[i] * (frame_rows(t->fourcc, i, height) - 1)
			+ frame_row_bytes(t->fourcc, i, width);
		size_t len = all;
		struct cursor c = begin(t);

		planes[i] = place(&c, t->offset[i], &len);
		if (len < all)
			return false;
	}
	return true;
}
