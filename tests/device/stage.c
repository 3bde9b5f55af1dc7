/* SPDX-License-Identifier: MIT */
#include "stage.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct stage_shown {
	struct stage_res *res; // NULL: off
	struct virtio_gpu_rect r;
	uint32_t w, h, crc; // what was there to see after the last flush, 0 x 0 if nothing
	unsigned int frame; // of the last file
	uint32_t file_w, file_h, file_crc;
};

static struct {
	struct stage_displays displays;
	struct stage_res res[STAGE_RESOURCES];
	uint32_t n_res;
	struct stage_shown scanouts[STAGE_SCANOUTS];
} stage;

/* Where a pixel's bytes are; a format's name has them in this order. */
static const struct layout {
	uint32_t format;
	uint8_t r, g, b, rest;
} layouts[] = {
	{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, .b = 0, .g = 1, .r = 2, .rest = 3},
	{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, .b = 0, .g = 1, .r = 2, .rest = 3},
	{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, .rest = 0, .r = 1, .g = 2, .b = 3},
	{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, .rest = 0, .r = 1, .g = 2, .b = 3},
	{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, .r = 0, .g = 1, .b = 2, .rest = 3},
	{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, .rest = 0, .b = 1, .g = 2, .r = 3},
	{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, .rest = 0, .b = 1, .g = 2, .r = 3},
	{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, .r = 0, .g = 1, .b = 2, .rest = 3},
};

void stage_begin(const struct stage_displays *displays)
{
	stage_end(NULL);
	stage.displays = *displays;
	device_begin(&(struct device_setup){.peer = displays->peer, .png = displays->png});
}

static void free_res(struct stage_res *res)
{
	free(res->painted);
	free(res->host);
	free(res->entries);
	*res = (struct stage_res){0};
}

int stage_end(void **state)
{
	for (uint32_t i = 0; i < stage.n_res; i++)
		free_res(&stage.res[i]);
	memset(&stage, 0, sizeof(stage));
	return device_end(state);
}

/* Backing */

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	return b ? common_divisor(b, a % b) : a;
}

/* Cuts size bytes of guest memory into entries that take their places in a mixed order. */
static void make_entries(struct stage_res *res, uint32_t size)
{
	uint32_t piece = res->backing.piece ? res->backing.piece : size;
	uint32_t n = (size + piece - 1) / piece, step = n / 2 + 1;
	uint64_t gpa = guest_alloc(&dev.guest, (uint64_t)n * piece + res->backing.shift, 4096);

	assert_true(gpa != GUEST_NOMEM);
	while (common_divisor(n, step) != 1)
		step++;
	res->n = n;
	res->entries = calloc(n, sizeof(*res->entries));
	assert_non_null(res->entries);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t place = (uint32_t)((uint64_t)(n - 1 - i) * step % n);

		res->entries[i].addr = gpa + res->backing.shift + (uint64_t)place * piece;
		res->entries[i].length = i == n - 1 ? size - i * piece : piece;
	}
}

static void attach(const struct stage_res *res)
{
	struct virtio_gpu_mem_entry *wire = calloc(res->n, sizeof(*wire));
	int rc;

	assert_non_null(wire);
	for (uint32_t i = 0; i < res->n; i++) {
		wire[i].addr = htole64(res->entries[i].addr);
		wire[i].length = htole32(res->entries[i].length);
	}
	rc = gpu_driver_attach(&dev.gpu, res->id, wire, res->n);
	free(wire);
	assert_int_equal(rc, OK);
}

/* The guest's byte number at of a resource. */
static uint8_t *byte_at(const struct stage_res *res, uint32_t at)
{
	uint32_t piece = res->backing.piece ? res->backing.piece : UINT32_MAX;
	uint8_t *p = guest_ptr(&dev.guest, res->entries[at / piece].addr + at % piece, 1);

	assert_non_null(p);
	return p;
}

/* Resources */

struct stage_res *stage_create(uint32_t format, uint32_t w, uint32_t h, struct stage_backing b)
{
	struct stage_res *res = &stage.res[stage.n_res++];

	assert_true(stage.n_res <= STAGE_RESOURCES);
	*res = (struct stage_res){
		.id = stage.n_res, .format = format, .w = w, .h = h, .backing = b};
	res->painted = calloc((size_t)w * h, sizeof(*res->painted));
	res->host = calloc((size_t)w * h, sizeof(*res->host));
	assert_true(res->painted && res->host);
	make_entries(res, w * h * 4);
	assert_int_equal(gpu_driver_create_2d(&dev.gpu, res->id, format, w, h), OK);
	attach(res);
	return res;
}

static void forget(struct stage_shown *s)
{
	s->res = NULL;
	s->w = s->h = s->crc = 0;
}

void stage_unref(struct stage_res *res)
{
	assert_int_equal(gpu_driver_unref(&dev.gpu, res->id), OK);
	for (uint32_t i = 0; i < STAGE_SCANOUTS; i++)
		if (stage.scanouts[i].res == res)
			forget(&stage.scanouts[i]);
}

/* Drawing */

static uint32_t pattern(uint32_t x, uint32_t y, uint32_t seed)
{
	uint32_t r = x * 5 + seed * 37;
	uint32_t g = y * 3 + (x >> 4) * 29 + seed;
	uint32_t b = (x + y) * 2 + ((x / 8 + y / 8) % 2) * 100;

	return (r & 0xff) << 16 | (g & 0xff) << 8 | (b & 0xff);
}

static const struct layout *layout_of(uint32_t format)
{
	size_t i = 0;

	while (layouts[i].format != format)
		i++;
	return &layouts[i];
}

/* What is no colour in a pixel is filled with anything. */
static void paint_pixel(struct stage_res *res, uint32_t x, uint32_t y, uint32_t colour)
{
	const struct layout *l = layout_of(res->format);
	uint32_t at = (y * res->w + x) * 4;

	*byte_at(res, at + l->r) = (uint8_t)(colour >> 16);
	*byte_at(res, at + l->g) = (uint8_t)(colour >> 8);
	*byte_at(res, at + l->b) = (uint8_t)colour;
	*byte_at(res, at + l->rest) = (uint8_t)(x * 11 + y);
	res->painted[y * res->w + x] = colour;
}

void stage_paint(struct stage_res *res, struct virtio_gpu_rect r, uint32_t seed)
{
	for (uint32_t y = r.y; y < r.y + r.height; y++)
		for (uint32_t x = r.x; x < r.x + r.width; x++)
			paint_pixel(res, x, y, pattern(x, y, seed));
}

void stage_transfer_from(struct stage_res *res, struct virtio_gpu_rect r, uint32_t from)
{
	assert_int_equal(gpu_driver_transfer(&dev.gpu, res->id, r, (uint64_t)from * 4), OK);
	for (uint32_t y = 0; y < r.height; y++)
		for (uint32_t x = 0; x < r.width; x++)
			res->host[(r.y + y) * res->w + r.x + x] =
				res->painted[from + y * res->w + x];
}

void stage_transfer(struct stage_res *res, struct virtio_gpu_rect r)
{
	stage_transfer_from(res, r, r.y * res->w + r.x);
}

/* Showing */

void stage_scanout(uint32_t scanout, struct stage_res *res, struct virtio_gpu_rect r)
{
	struct stage_shown *s = &stage.scanouts[scanout];

	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, scanout, res ? res->id : 0, r), OK);
	s->res = res;
	s->r = r;
	if (!res)
		forget(s);
}

static uint32_t reference(const struct stage_shown *s)
{
	uLong crc = crc32(0, NULL, 0);

	for (uint32_t y = s->r.y; y < s->r.y + s->r.height; y++)
		for (uint32_t x = s->r.x; x < s->r.x + s->r.width; x++) {
			uint32_t p = s->res->host[y * s->res->w + x];
			uint8_t rgb[3] = {(uint8_t)(p >> 16), (uint8_t)(p >> 8), (uint8_t)p};

			crc = crc32(crc, rgb, sizeof(rgb));
		}
	return (uint32_t)crc;
}

static bool overlap(const struct virtio_gpu_rect *a, const struct virtio_gpu_rect *b)
{
	return a->x < b->x + b->width && b->x < a->x + a->width && a->y < b->y + b->height
		&& b->y < a->y + a->height;
}

/* The file of the frame that a scanout shows now, if it is another than that of the last one. */
static void check_file(uint32_t scanout)
{
	struct stage_shown *s = &stage.scanouts[scanout];

	if (s->frame && s->file_w == s->w && s->file_h == s->h && s->file_crc == s->crc)
		return;
	s->frame++;
	s->file_w = s->w;
	s->file_h = s->h;
	s->file_crc = s->crc;
	device_assert_frame(scanout, s->frame, s->w, s->h, s->crc);
}

static void check_peer(uint32_t scanout)
{
	const struct display_picture *p = &dev.peer.screens[scanout].shown;
	const struct stage_shown *s = &stage.scanouts[scanout];

	assert_int_equal(p->width, s->w);
	assert_int_equal(p->height, s->h);
	assert_int_equal(display_peer_crc(&dev.peer, scanout), s->crc);
}

void stage_flush(struct stage_res *res, struct virtio_gpu_rect r)
{
	assert_int_equal(gpu_driver_flush(&dev.gpu, res->id, r), OK);
	for (uint32_t i = 0; i < STAGE_SCANOUTS; i++) {
		struct stage_shown *s = &stage.scanouts[i];

		if (s->res != res || !overlap(&s->r, &r))
			continue;
		s->w = s->r.width;
		s->h = s->r.height;
		s->crc = reference(s);
		if (stage.displays.png)
			check_file(i);
	}
	if (stage.displays.png)
		device_assert_silent();
	device_settle();
	for (uint32_t i = 0; stage.displays.peer && i < STAGE_SCANOUTS; i++)
		check_peer(i);
	assert_int_equal(dev.peer.faults, 0);
}

void stage_draw(struct stage_res *res, struct virtio_gpu_rect r, uint32_t seed)
{
	stage_paint(res, r, seed);
	stage_transfer(res, r);
	stage_flush(res, r);
}

uint32_t stage_crc(uint32_t scanout)
{
	return stage.scanouts[scanout].crc;
}
