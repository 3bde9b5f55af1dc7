/* SPDX-License-Identifier: MIT */
#pragma once
/* Copies in and out of scattered memory. Pure; every function stops at the end of the vector. */
#include <stddef.h>
#include <sys/uio.h>

size_t iov_size(const struct iovec *iov, unsigned n);

/* Copies up to len bytes that lie `skip` bytes into the vector. Returns how many there were. */
size_t iov_read(const struct iovec *iov, unsigned n, size_t skip, void *buf, size_t len);

/* Copies up to len bytes to `skip` bytes into the vector. Returns how many found room. */
size_t iov_write(const struct iovec *iov, unsigned n, size_t skip, const void *buf, size_t len);

/* A place in a vector, for reading it from front to back in pieces. */
struct iov_cursor {
	const struct iovec *iov;
	unsigned n;
	size_t off; // in iov[0]
};

struct iov_cursor iov_cursor_at(const struct iovec *iov, unsigned n, size_t skip);

/* Copies the next len bytes and moves on. Returns how many there were. */
size_t iov_cursor_read(struct iov_cursor *c, void *buf, size_t len);
/* Moves on without reading. Returns how many bytes were passed. */
size_t iov_cursor_skip(struct iov_cursor *c, size_t len);
