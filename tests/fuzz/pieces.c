/* SPDX-License-Identifier: MIT */
#include "pieces.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

void pieces_add(struct pieces *p, const uint8_t *bytes, size_t len)
{
	void *copy = malloc(len ? len : 1);

	FUZZ_CHECK(copy);
	if (len)
		memcpy(copy, bytes, len);
	p->copies[p->n] = copy;
	p->iov[p->n++] = (struct iovec){copy, len};
}

void pieces_cut(struct pieces *p, const uint8_t *bytes, size_t len, uint32_t seed)
{
	p->n = 0;
	while (p->n + 1 < PIECES_MAX && len) {
		size_t piece = (seed = seed * 1664525 + 1013904223) >> 16 & 31;

		piece = piece > len ? len : piece;
		pieces_add(p, bytes, piece);
		bytes += piece;
		len -= piece;
	}
	pieces_add(p, bytes, len);
}

void pieces_forget(struct pieces *p)
{
	while (p->n)
		free(p->copies[--p->n]);
}
