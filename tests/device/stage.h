/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Drawing with a reference beside it: each step goes to the daemon and is repeated here in the
 * plainest way, one pixel at a time, so that after each flush it is known what every scanout has to
 * show. The displays are held against that.
 */
#include "device.h"

#define STAGE_RESOURCES 4
#define STAGE_SCANOUTS  VIRTIO_GPU_MAX_SCANOUTS

/* How a resource's bytes lie in guest memory. */
struct stage_backing {
	uint32_t piece; // in pieces of so many bytes, mixed up; 0: in one
	uint32_t shift; // beginning so many bytes behind a page's begin
};

struct stage_res {
	uint32_t id, format, w, h;
	uint32_t *painted;                    // 0xRRGGBB, as the guest's memory has it
	uint32_t *host;                       // as it was transferred
	struct virtio_gpu_mem_entry *entries; // n of them, host byte order
	uint32_t n;
	struct stage_backing backing;
};

/* Which display is to be looked at. */
struct stage_displays {
	bool peer, png;
};

void stage_begin(const struct stage_displays *displays);
/* As a teardown. */
int stage_end(void **state);

struct stage_res *stage_create(uint32_t format, uint32_t w, uint32_t h, struct stage_backing b);
void stage_unref(struct stage_res *res);

/* Paints a pattern into guest memory. Another seed is another picture. */
void stage_paint(struct stage_res *res, struct virtio_gpu_rect r, uint32_t seed);
void stage_transfer(struct stage_res *res, struct virtio_gpu_rect r);
/* The rectangle's pixels begin at pixel number `from` of the backing. */
void stage_transfer_from(struct stage_res *res, struct virtio_gpu_rect r, uint32_t from);

/* NULL: off. */
void stage_scanout(uint32_t scanout, struct stage_res *res, struct virtio_gpu_rect r);

/* Flushes, and looks at all displays. What was transferred to a shown place is flushed with it. */
void stage_flush(struct stage_res *res, struct virtio_gpu_rect r);

/* All of it: paints, transfers and flushes the rectangle. */
void stage_draw(struct stage_res *res, struct virtio_gpu_rect r, uint32_t seed);

/* What the reference says that a scanout shows: its CRC, 0 for one that is off. */
uint32_t stage_crc(uint32_t scanout);
