/* SPDX-License-Identifier: MIT */
#include "dbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bytes.h"
#include "fd.h"

enum { SIDE_MAX = 16384, BYTES_A_PIXEL = 4, PAGE = 4096 };

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
		.budget = budget};
	r = map_memory(buf);
	if (r < 0) {
		dbuf_uncharge(budget, size);
		free(buf);
		return r;
	}
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
	munmap(buf->map, buf->size);
	fd_close(&buf->fd);
	dbuf_uncharge(buf->budget, buf->size);
	free(buf);
}
