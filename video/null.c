/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "codec"
#include "null.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "common/bytes.h"

enum { HELD_MAX = 16 };

struct null {
	struct {
		uint64_t number;
		uint32_t width, height;
	} held[HELD_MAX]; // in the order of decoding, as they are put out
	unsigned n;
};

static void list(struct codec *c)
{
	struct engine_answer a = {.what = ENGINE_CAPABILITY,
		.capability = {.element = "null",
			.min_width = 1,
			.max_width = ENGINE_SIZE_MAX,
			.min_height = 1,
			.max_height = ENGINE_SIZE_MAX,
			.n_fourccs = 3,
			.fourccs = {DRM_FORMAT_NV12, DRM_FORMAT_YUV420, DRM_FORMAT_YVU420}}};

	for (a.capability.codec = 0; a.capability.codec < ENGINE_CODECS; a.capability.codec++)
		codec_capability(c, &a);
}

static int open_null(struct codec *c)
{
	c->library = calloc(1, sizeof(struct null));
	return c->library ? 0 : -ENOMEM;
}

static void close_null(struct codec *c)
{
	free(c->library);
}

static uint8_t *draw(struct frame *f, uint64_t number)
{
	size_t chroma = (size_t)((f->width + 1) / 2) * ((f->height + 1) / 2);
	uint8_t *all = malloc((size_t)f->width * f->height + 2 * chroma), *at = all;

	for (unsigned i = 0; all && i < 3; i++) {
		f->plane[i] = at;
		f->stride[i] = frame_row_bytes(f->fourcc, i, f->width);
		for (uint32_t y = 0; y < frame_rows(f->fourcc, i, f->height); y++)
			for (uint32_t x = 0; x < f->stride[i]; x++)
				*at++ = null_pixel(number, i, x, y);
	}
	return all;
}

static int put_out(struct codec *c, uint64_t number, uint32_t width, uint32_t height)
{
	struct frame f = {.fourcc = DRM_FORMAT_YUV420, .width = width, .height = height};
	struct engine_answer a = {.format = {.min_buffers = 1,
					  .width = (width + 1) / 2 * 2,
					  .height = (height + 1) / 2 * 2,
					  .crop_width = width,
					  .crop_height = height}};
	struct codec_resource *res;
	struct frame_target t;
	uint8_t *pixels = draw(&f, number);

	if (!pixels)
		return -ENOMEM;
	codec_format(c, &a);
	res = codec_take(c, &t);
	if (res)
		codec_give(c, res, number, frame_put(&f, &t) ? ENGINE_KEY : ENGINE_BROKEN);
	free(pixels);
	return 0;
}

static int put_out_held(struct codec *c)
{
	struct null *n = c->library;
	int r = 0;

	for (unsigned i = 0; i < n->n && r == 0; i++)
		r = put_out(c, n->held[i].number, n->held[i].width, n->held[i].height);
	n->n = 0;
	return r;
}

static int decode(struct codec *c, uint8_t *bytes, size_t size, uint64_t number)
{
	struct null_unit u = {0};
	struct null *n = c->library;

	memcpy(&u, bytes, size < sizeof(u) ? size : sizeof(u));
	free(bytes);
	if (u.error)
		return -EIO;
	if (!u.width || !u.height || u.width > ENGINE_SIZE_MAX || u.height > ENGINE_SIZE_MAX)
		return 0;
	n->held[n->n].number = number;
	n->held[n->n].width = u.width;
	n->held[n->n].height = u.height;
	n->n++;
	return u.held && n->n < HELD_MAX ? 0 : put_out_held(c);
}

static int flush(struct codec *c)
{
	struct null *n = c->library;

	n->n = 0;
	return 0;
}

static const struct codec_ops ops = {
	.list = list,
	.open = open_null,
	.decode = decode,
	.drain = put_out_held,
	.flush = flush,
	.close = close_null,
};

static int run(int sock, const struct part_inside *inside)
{
	return codec_run(sock, inside, &ops);
}

const struct part_kind null_part = {.name = "null-codec", .run = run};
