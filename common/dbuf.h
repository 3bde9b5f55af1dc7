/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Buffers of pixels that more than one party looks at. A dbuf is made by one producer, lent to many
 * consumers by reference, and freed when the last lets go. Its memory is a memfd, so that a
 * display, a part or another daemon can map the very same pages.
 *
 * Others are views of memory that is somebody else's: the guest's pages, side by side, or a file. What is
 * in them may change at any time. And there are dmabufs of a GPU's, which are not mapped here.
 *
 * One plane of 4 bytes a pixel. References are of the loop's thread only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* How much memory a set of buffers may take, and takes. */
struct dbuf_budget {
	uint64_t max, used; // bytes
	unsigned pieces;    // of views
};

struct dbuf {
	unsigned refs;
	uint32_t width, height; // pixels
	uint32_t stride;        // bytes a row
	uint32_t fourcc;        // DRM_FORMAT_*
	uint64_t modifier;      // DRM_FORMAT_MOD_*: how a dmabuf lies in memory
	bool flipped;           // its first row is the lowest
	int fd;                 // memfd of `size` bytes, or a dmabuf; -1: a view
	uint8_t *
		map; // where the first row begins, readable; a view is not to be written to; NULL: a dmabuf
	uint64_t size;              // bytes, whole pages; 0: a view or a dmabuf
	struct dbuf_budget *budget; // NULL: a dmabuf
	/* Of a view. */
	uint8_t *mapping;
	uint64_t mapped; // bytes
	unsigned pieces;
	int watch; // of gmem_watch(); -1: none
};

/* How a picture lies in what it is a view of. All but the first two in bytes. */
struct dbuf_layout {
	uint32_t width, height, stride, fourcc;
	uint64_t offset;
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

/* How many bytes of memory the picture needs; 0 for one that can be nowhere. */
uint64_t dbuf_layout_end(const struct dbuf_layout *l);

/*
 * A view of these pieces of guest memory, each of which begins and ends with a page (but for the end of
 * the last one). -EINVAL for other ones, -ENOMEM for too many or none; then the pixels have to be copied.
 */
int dbuf_view_pages(struct dbuf_budget *budget, const struct dbuf_layout *l,
	const struct iovec *iov, unsigned n, struct dbuf **out);
/* A view of a file, which has to be large enough; fd stays the caller's. */
int dbuf_view_file(
	struct dbuf_budget *budget, const struct dbuf_layout *l, int fd, struct dbuf **out);

/*
 * A dmabuf that somebody else has made, of the measures, stride, fourcc, modifier and direction in
 * `like`, from its beginning on. fd is owned by the buffer unless this fails: -EINVAL for measures that
 * cannot be or do not fit into it, else what the kernel says of it.
 */
int dbuf_import(const struct dbuf *like, int fd, struct dbuf **out);

struct dbuf *dbuf_ref(struct dbuf *buf);
void dbuf_unref(struct dbuf *buf); // NULL is fine
