/* SPDX-License-Identifier: MIT */
#pragma once
/* Bytes as a guest may cut them: in pieces, each in memory of its own, so that reads beyond it are seen. */
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { PIECES_MAX = 32 };

struct pieces {
	struct iovec iov[PIECES_MAX];
	void *copies[PIECES_MAX];
	unsigned n; // 0 to begin with
};

void pieces_add(struct pieces *p, const uint8_t *bytes, size_t len);

/* All of it, cut at places that the seed says; some pieces are empty. */
void pieces_cut(struct pieces *p, const uint8_t *bytes, size_t len, uint32_t seed);
void pieces_forget(struct pieces *p);
