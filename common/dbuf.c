/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "dbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bytes.h"
#include "fd.h"
#include "gmem.h"

enum {
	SIDE_MAX = 16384,
	BYTES_A_PIXEL = 4,
	PAGE = 4096,
	MOD_LINEAR = 0,
	PIECES_MAX = 16384, // of all views: Linux allows a process some 65000 mappings
};

int dbuf_charge(struct dbuf_budget *budget, uint64_t bytes)
{
	if (!range_within(budget->used, bytes, budget->max))
		return -ENOMEM;
	budget->used += bytes;
	return 0;
}

void dbuf_uncharge(struct dbuf_budget *budget, uint64_t bytes)
{
	budget->used -= bytes;
}

static int map_memory(struct dbuf *buf)
{
	buf->fd = fd_memfd("virga-dbuf", buf->size);
	if (buf->fd < 0)
		return buf->fd;
	buf->map = mmap(NULL, buf->size, PROT_READ | PROT_WRITE, MAP_SHARED, buf->fd, 0);
	if (buf->map == MAP_FAILED) {
		fd_close(&buf->fd);
		return -errno;
	}
	return 0;
}

int dbuf_create(struct dbuf_budget *budget, uint32_t width, uint32_t height, uint32_t fourcc,
	struct dbuf **out)
{
	uint64_t size = (uint64_t)width * height * BYTES_A_PIXEL;
	struct dbuf *buf;
	int r;

	if (!width || !height || width > SIDE_MAX || height > SIDE_MAX)
		return -EINVAL;
	size = (size + PAGE - 1) / PAGE * PAGE;
	r = dbuf_charge(budget, size);
	if (r < 0)
		return r;
	buf = calloc(1, sizeof(*buf));
	if (!buf) {
		dbuf_uncharge(budget, size);
		return -ENOMEM;
	}
	*buf = (struct dbuf){.refs = 1,
		.width = width,
		.height = height,
		.stride = width * BYTES_A_PIXEL,
		.fourcc = fourcc,
		.size = size,
		.budget = budget,
		.watch = -1};
	r = map_memory(buf);
	if (r < 0) {
		dbuf_uncharge(budget, size);
		free(buf);
		return r;
	}
	*out = buf;
	return 0;
}

/* ---- views ---- */

uint64_t dbuf_layout_end(const struct dbuf_layout *l)
{
	uint64_t row = (uint64_t)l->width * BYTES_A_PIXEL, rows, end;

	if (!row || !l->height || l->width > SIDE_MAX || l->height > SIDE_MAX || l->stride < row)
		return 0;
	rows = (uint64_t)(l->height - 1) * l->stride + row;
	return add_u64(l->offset, rows, &end) ? end : 0;
}

static struct dbuf *alloc_view(struct dbuf_budget *budget, const struct dbuf_layout *l)
{
	struct dbuf *buf = calloc(1, sizeof(*buf));

	if (buf)
		*buf = (struct dbuf){.refs = 1,
			.width = l->width,
			.height = l->height,
			.stride = l->stride,
			.fourcc = l->fourcc,
			.fd = -1,
			.budget = budget,
			.watch = -1};
	return buf;
}

/* Addresses with nothing behind them. */
static int reserve(struct dbuf *buf, uint64_t len)
{
	void *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -errno;
	buf->mapping = at;
	buf->mapped = len;
	return 0;
}

static bool is_whole(const struct iovec *v, bool is_last)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;

	return !((uintptr_t)v->iov_base & page) && v->iov_len && (is_last || !(v->iov_len & page));
}

static uint64_t page_up(uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

/* The same pages once more, one behind the other: what is mapped shared can be duplicated so. */
static int place(struct dbuf *buf, const struct iovec *iov, unsigned n)
{
	uint8_t *to = buf->mapping;

	for (unsigned i = 0; i < n; i++) {
		size_t len = page_up(iov[i].iov_len);

		if (!is_whole(&iov[i], i + 1 == n))
			return -EINVAL;
		if (mremap(iov[i].iov_base, 0, len, MREMAP_MAYMOVE | MREMAP_FIXED, to)
			== MAP_FAILED)
			return -errno;
		to += len;
	}
	return 0;
}

int dbuf_view_pages(struct dbuf_budget *budget, const struct dbuf_layout *l,
	const struct iovec *iov, unsigned n, struct dbuf **out)
{
	uint64_t len = 0;
	struct dbuf *buf;
	int r;

	for (unsigned i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (!dbuf_layout_end(l) || dbuf_layout_end(l) > len)
		return -EINVAL;
	buf = n > PIECES_MAX - budget->pieces ? NULL : alloc_view(budget, l);
	if (!buf)
		return -ENOMEM;
	buf->pieces = n;
	budget->pieces += n;
	r = reserve(buf, page_up(len));
	if (r == 0)
		r = place(buf, iov, n);
	if (r == 0)
		r = buf->watch = gmem_watch(buf->mapping, buf->mapped);
	if (r < 0) {
		dbuf_unref(buf);
		return r;
	}
	buf->map = buf->mapping + l->offset;
	*out = buf;
	return 0;
}

int dbuf_view_file(
	struct dbuf_budget *budget, const struct dbuf_layout *l, int fd, struct dbuf **out)
{
	uint64_t len = dbuf_layout_end(l);
	struct dbuf *buf = len ? alloc_view(budget, l) : NULL;
	void *at;

	if (!buf)
		return len ? -ENOMEM : -EINVAL;
	at = mmap(NULL, page_up(len), PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		free(buf);
		return -errno;
	}
	buf->mapping = at;
	buf->mapped = page_up(len);
	buf->map = buf->mapping + l->offset;
	buf->watch = gmem_watch(buf->mapping, buf->mapped);
	*out = buf;
	if (buf->watch >= 0)
		return 0;
	dbuf_unref(buf);
	return -ENOMEM;
}

/* Of tiles it is not known how many bytes they take. */
static bool fits(const struct dbuf *like, uint64_t size)
{
	const struct dbuf_layout l = {like->width, like->height, like->stride, like->fourcc, 0};
	uint64_t end = dbuf_layout_end(&l);

	return like->modifier != MOD_LINEAR || (end && end <= size);
}

int dbuf_import(const struct dbuf *like, int fd, struct dbuf **out)
{
	struct dbuf *buf;
	off_t size;

	if (!like->width || !like->height || !like->stride || like->width > SIDE_MAX
		|| like->height > SIDE_MAX)
		return -EINVAL;
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return -errno;
	if (!fits(like, (uint64_t)size))
		return -EINVAL;
	buf = calloc(1, sizeof(*buf));
	if (!buf)
		return -ENOMEM;
	*buf = (struct dbuf){.refs = 1,
		.width = like->width,
		.height = like->height,
		.stride = like->stride,
		.fourcc = like->fourcc,
		.modifier = like->modifier,
		.flipped = like->flipped,
		.fd = fd,
		.watch = -1};
	*out = buf;
	return 0;
}

struct dbuf *dbuf_ref(struct dbuf *buf)
{
	buf->refs++;
	return buf;
}

void dbuf_unref(struct dbuf *buf)
{
	if (!buf || --buf->refs)
		return;
	if (buf->watch >= 0)
		gmem_unwatch(buf->watch);
	if (buf->mapping)
		munmap(buf->mapping, buf->mapped);
	if (buf->size)
		munmap(buf->map, buf->size);
	fd_close(&buf->fd);
	if (buf->budget) {
		buf->budget->pieces -= buf->pieces;
		dbuf_uncharge(buf->budget, buf->size);
	}
	free(buf);
}
