/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Buffers of pixels that more than one party looks at. A dbuf is made by one producer, lent to many
 * consumers by reference, and freed when the last lets go. Its memory is a memfd, so that a
 * display, a part or another daemon can map the very same pages.
 *
 * One plane of 4 bytes a pixel, rows packed. References are of the loop's thread only.
 */
#include <stddef.h>
#include <stdint.h>

/* How much memory a set of buffers may take, and takes. */
struct dbuf_budget {
	uint64_t max, used; // bytes
};

struct dbuf {
	unsigned refs;
	uint32_t width, height; // pixels
	uint32_t stride;        // bytes a row
	uint32_t fourcc;        // DRM_FORMAT_*
	int fd;                 // memfd of `size` bytes
	uint8_t *map;           // all of it, readable and writable
	uint64_t size;          // bytes, whole pages
	struct dbuf_budget *budget;
};

/* Takes `bytes` from the budget, or says -ENOMEM. */
int dbuf_charge(struct dbuf_budget *budget, uint64_t bytes);
void dbuf_uncharge(struct dbuf_budget *budget, uint64_t bytes);

/*
 * A buffer full of zeroes. -EINVAL for a side of 0 or beyond 16384, -ENOMEM beyond the budget, else
 * what the kernel says. The budget must outlive it.
 */
int dbuf_create(struct dbuf_budget *budget, uint32_t width, uint32_t height, uint32_t fourcc,
	struct dbuf **out);
struct dbuf *dbuf_ref(struct dbuf *buf);
void dbuf_unref(struct dbuf *buf); // NULL is fine
