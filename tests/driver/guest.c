/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

int guest_init(struct guest *g)
{
	*g = (struct guest){.regions = calloc(GUEST_MAX_REGIONS, sizeof(*g->regions))};
	return g->regions ? 0 : -ENOMEM;
}

int guest_init_flat(struct guest *g, uint64_t size)
{
	int rc = guest_init(g);

	if (rc < 0)
		return rc;
	rc = guest_add_region(g, 0, size, 0);
	if (rc < 0)
		guest_finish(g);
	return rc < 0 ? rc : 0;
}

void guest_finish(struct guest *g)
{
	while (g->n > 0)
		guest_remove_region(g, g->n - 1);
	free(g->regions);
	g->regions = NULL;
}

static bool overlaps(const struct guest *g, uint64_t gpa, uint64_t size)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct guest_region *r = &g->regions[i];

		if (gpa < r->gpa + r->size && r->gpa < gpa + size)
			return true;
	}
	return false;
}

/* Makes the memory of r, whose addresses are already set. */
static int region_map(struct guest_region *r)
{
	void *host;
	int rc;

	r->fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0)
		return -errno;
	host = MAP_FAILED;
	if (ftruncate(r->fd, (off_t)(r->mmap_offset + r->size)) == 0)
		host = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			(off_t)r->mmap_offset);
	if (host == MAP_FAILED) {
		rc = -errno;
		close(r->fd);
		return rc;
	}
	r->host = host;
	r->user_addr = (uint64_t)(uintptr_t)host;
	return 0;
}

int guest_add_region(struct guest *g, uint64_t gpa, uint64_t size, uint64_t mmap_offset)
{
	struct guest_region r = {
		.gpa = gpa, .size = size, .mmap_offset = mmap_offset, .high = size};
	int rc;

	if (size == 0 || (gpa | size | mmap_offset) % PAGE != 0 || gpa + size < gpa)
		return -EINVAL;
	if (overlaps(g, gpa, size))
		return -EEXIST;
	if (g->n == GUEST_MAX_REGIONS)
		return -ENOSPC;
	rc = region_map(&r);
	if (rc < 0)
		return rc;
	g->regions[g->n] = r;
	return (int)g->n++;
}

void guest_remove_region(struct guest *g, size_t index)
{
	struct guest_region *r = &g->regions[index];

	munmap(r->host, r->size);
	close(r->fd);
	g->n--;
	memmove(r, r + 1, (g->n - index) * sizeof(*r));
}

struct guest_region *guest_find(const struct guest *g, uint64_t gpa)
{
	for (size_t i = 0; i < g->n; i++) {
		struct guest_region *r = &g->regions[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return r;
	}
	return NULL;
}

void *guest_ptr(const struct guest *g, uint64_t gpa, uint64_t len)
{
	const struct guest_region *r = guest_find(g, gpa);

	if (!r || len > r->size - (gpa - r->gpa))
		return NULL;
	return r->host + (gpa - r->gpa);
}

uint64_t guest_user_addr(const struct guest *g, uint64_t gpa)
{
	const struct guest_region *r = guest_find(g, gpa);

	return r ? r->user_addr + (gpa - r->gpa) : 0;
}

/* The bytes at gpa that lie in one region, at most len. Sets *here to how many. */
static uint8_t *span(const struct guest *g, uint64_t gpa, size_t len, size_t *here)
{
	const struct guest_region *r = guest_find(g, gpa);
	uint64_t left;

	if (!r)
		return NULL;
	left = r->size - (gpa - r->gpa);
	*here = left < len ? (size_t)left : len;
	return r->host + (gpa - r->gpa);
}

int guest_read(const struct guest *g, uint64_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len > 0) {
		size_t here;
		uint8_t *p = span(g, gpa, len, &here);

		if (!p)
			return -EFAULT;
		memcpy(to, p, here);
		to += here, gpa += here, len -= here;
	}
	return 0;
}

int guest_write(struct guest *g, uint64_t gpa, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	while (len > 0) {
		size_t here;
		uint8_t *p = span(g, gpa, len, &here);

		if (!p)
			return -EFAULT;
		memcpy(p, from, here);
		from += here, gpa += here, len -= here;
	}
	return 0;
}

uint64_t guest_alloc_in(struct guest *g, size_t index, uint64_t len, uint64_t align)
{
	struct guest_region *r = &g->regions[index];
	uint64_t at = (r->gpa + r->low + align - 1) & ~(align - 1);
	uint64_t offset = at - r->gpa;

	if (at < r->gpa || offset > r->high || len > r->high - offset)
		return GUEST_NOMEM;
	r->low = offset + len;
	return at;
}

uint64_t guest_alloc(struct guest *g, uint64_t len, uint64_t align)
{
	for (size_t i = 0; i < g->n; i++) {
		uint64_t at = guest_alloc_in(g, i, len, align);

		if (at != GUEST_NOMEM)
			return at;
	}
	return GUEST_NOMEM;
}

static uint64_t alloc_top(struct guest_region *r, uint64_t len, uint64_t align)
{
	uint64_t at;

	if (len > r->high - r->low)
		return GUEST_NOMEM;
	at = (r->gpa + r->high - len) & ~(align - 1);
	if (at < r->gpa + r->low)
		return GUEST_NOMEM;
	r->high = at - r->gpa;
	return at;
}

uint64_t guest_alloc_keep(struct guest *g, uint64_t len, uint64_t align)
{
	for (size_t i = 0; i < g->n; i++) {
		uint64_t at = alloc_top(&g->regions[i], len, align);

		if (at != GUEST_NOMEM)
			return at;
	}
	return GUEST_NOMEM;
}

void guest_rewind(struct guest *g)
{
	for (size_t i = 0; i < g->n; i++)
		g->regions[i].low = 0;
}
