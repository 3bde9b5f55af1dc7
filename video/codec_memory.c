/* SPDX-License-Identifier: MIT */
#include "codec_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/gmem.h"

int codec_memory_change(struct codec *c, const struct engine_message *m, int fd)
{
	const struct gmem_desc desc = {
		m->memory.gpa, m->memory.size, m->memory.gpa, m->memory.offset};
	struct gmem *mem;
	int r = m->what == ENGINE_MEMORY_ADD ? gmem_add(c->mem, &desc, fd, &mem)
					     : gmem_remove(c->mem, &desc, &mem);

	if (r < 0)
		return r;
	gmem_unref(c->mem);
	c->mem = mem;
	return 0;
}

int codec_memory_add_entries(struct codec *c, const struct engine_message *m)
{
	const struct engine_entry *more = (const void *)(m + 1);
	uint32_t n = c->n_entries + m->n_entries;
	struct engine_entry *all = realloc(c->entries, n * sizeof(*all));

	if (!all)
		return -ENOMEM;
	memcpy(&all[c->n_entries], more, m->n_entries * sizeof(*more));
	c->entries = all;
	c->n_entries = n;
	return 0;
}

void codec_memory_drop_entries(struct codec *c)
{
	free(c->entries);
	c->entries = NULL;
	c->n_entries = 0;
}

/* Where one piece ends where the next begins, they are one. */
static void add_pieces(struct codec_resource *res, const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++) {
		struct iovec *last = res->n_iov ? &res->iov[res->n_iov - 1] : NULL;

		res->size += iov[i].iov_len;
		if (last && (uint8_t *)last->iov_base + last->iov_len == iov[i].iov_base)
			last->iov_len += iov[i].iov_len;
		else
			res->iov[res->n_iov++] = iov[i];
	}
}

int codec_memory_resolve(struct codec *c, struct codec_resource *res)
{
	unsigned max = c->n_entries + c->mem->n, hint = 0;
	struct iovec pieces[GMEM_MAX_REGIONS];

	res->iov = calloc(max ? max : 1, sizeof(*res->iov));
	if (!res->iov)
		return -ENOMEM;
	res->mem = gmem_ref(c->mem);
	for (uint32_t i = 0; i < c->n_entries; i++) {
		const struct engine_entry *e = &c->entries[i];
		int n = gmem_iov(c->mem, &hint, e->gpa, e->len, pieces, ARRAY_SIZE(pieces));

		if (n < 0)
			return n;
		if (res->n_iov + (unsigned)n > max)
			return -E2BIG;
		add_pieces(res, pieces, n);
	}
	return 0;
}

int codec_memory_map(struct codec_resource *res, uint64_t size, int fd)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	res->map = map;
	res->size = size;
	res->iov = malloc(sizeof(*res->iov));
	if (!res->iov)
		return -ENOMEM;
	res->iov[0] = (struct iovec){map, size};
	res->n_iov = 1;
	return 0;
}

void codec_memory_drop(struct codec_resource *res)
{
	if (res->map)
		munmap(res->map, res->size);
	gmem_unref(res->mem);
	free(res->iov);
}
