/* SPDX-License-Identifier: MIT */
#include "iov.h"

#include <string.h>

size_t iov_size(const struct iovec *iov, unsigned n)
{
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += iov[i].iov_len;
	return size;
}

/* Takes the next piece of at most len bytes. NULL at the end of the vector. */
static char *next_piece(struct iov_cursor *c, size_t *len)
{
	char *at;

	while (c->n && c->off == c->iov->iov_len) {
		c->iov++;
		c->n--;
		c->off = 0;
	}
	if (!c->n)
		return NULL;
	if (*len > c->iov->iov_len - c->off)
		*len = c->iov->iov_len - c->off;
	at = (char *)c->iov->iov_base + c->off;
	c->off += *len;
	return at;
}

size_t iov_cursor_skip(struct iov_cursor *c, size_t len)
{
	size_t done = 0, piece;

	while (done < len && (piece = len - done, next_piece(c, &piece)))
		done += piece;
	return done;
}

size_t iov_cursor_read(struct iov_cursor *c, void *buf, size_t len)
{
	size_t done = 0, piece;
	const char *at;

	while (done < len && (piece = len - done, at = next_piece(c, &piece))) {
		memcpy((char *)buf + done, at, piece);
		done += piece;
	}
	return done;
}

struct iov_cursor iov_cursor_at(const struct iovec *iov, unsigned n, size_t skip)
{
	struct iov_cursor c = {.iov = iov, .n = n};

	iov_cursor_skip(&c, skip);
	return c;
}

size_t iov_read(const struct iovec *iov, unsigned n, size_t skip, void *buf, size_t len)
{
	struct iov_cursor c = iov_cursor_at(iov, n, skip);

	return iov_cursor_read(&c, buf, len);
}

size_t iov_write(const struct iovec *iov, unsigned n, size_t skip, const void *buf, size_t len)
{
	struct iov_cursor c = iov_cursor_at(iov, n, skip);
	size_t done = 0, piece;
	char *at;

	while (done < len && (piece = len - done, at = next_piece(&c, &piece))) {
		memcpy(at, (const char *)buf + done, piece);
		done += piece;
	}
	return done;
}
