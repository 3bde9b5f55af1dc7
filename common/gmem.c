/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "fd.h"

struct gmem_mapping {
	unsigned refs;
	int slot;
	uint8_t *base;
	size_t len;
	int fd;          // -1: not kept
	uint64_t offset; // as it was described
};

enum { WATCHES = 256 };

bool gmem_keep_fds;

/* What the fault handler may know: address ranges, published base last, withdrawn base first. */
static struct {
	uintptr_t base; // atomic
	size_t len, page;
	bool taken; // atomic: a part that is a thread has maps of its own
} slots[GMEM_MAX_REGIONS * 2 + WATCHES];

_Thread_local volatile unsigned gmem_fault_count;

/* A fault that is not in guest memory is a bug of ours: the default action tells. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved = errno;

	(void)context;
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		uintptr_t base = __atomic_load_n(&slots[i].base, __ATOMIC_ACQUIRE);

		if (!base || at - base >= slots[i].len)
			continue;
		at -= (at - base) % slots[i].page;
		if (mmap((void *)at, slots[i].page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
			== MAP_FAILED)
			break;
		gmem_fault_count++;
		errno = saved;
		return;
	}
	signal(sig, SIG_DFL);
}

int gmem_catch_faults(void)
{
	struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	return sigaction(SIGBUS, &sa, NULL) < 0 ? -errno : 0;
}

/* The unit in which this file can be mapped: hugetlbfs tells it as its block size. */
static uint64_t map_unit(const struct stat *st)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), block = (uint64_t)st->st_blksize;
	bool huge = S_ISREG(st->st_mode) && block > page && !(block & (block - 1));

	return huge ? block : page;
}

static int check_desc(const struct gmem_desc *d, const struct stat *st)
{
	uint64_t end;

	if (!d->size || !add_u64(d->gpa, d->size - 1, &end) || !add_u64(d->uva, d->size - 1, &end))
		return -EINVAL;
	if (!add_u64(d->mmap_offset, d->size, &end) || end > INT64_MAX)
		return -EINVAL;
	if (S_ISREG(st->st_mode) && end > (uint64_t)st->st_size)
		return -EINVAL;
	return 0;
}

static int take_slot(uint8_t *base, size_t len, size_t page)
{
	for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
		if (__atomic_exchange_n(&slots[i].taken, true, __ATOMIC_ACQUIRE))
			continue;
		slots[i].len = len;
		slots[i].page = page;
		__atomic_store_n(&slots[i].base, (uintptr_t)base, __ATOMIC_RELEASE);
		return (int)i;
	}
	return -ENOSPC;
}

int gmem_watch(uint8_t *base, size_t len)
{
	return take_slot(base, len, (size_t)sysconf(_SC_PAGESIZE));
}

void gmem_unwatch(int watch)
{
	__atomic_store_n(&slots[watch].base, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&slots[watch].taken, false, __ATOMIC_RELEASE);
}

static void unmap(struct gmem_mapping *m)
{
	gmem_unwatch(m->slot);
	munmap(m->base, m->len);
	fd_close(&m->fd);
	free(m);
}

static int map(const struct gmem_desc *d, int fd, struct gmem_region *out)
{
	struct gmem_mapping *m;
	struct stat st;
	uint64_t unit, skip;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = check_desc(d, &st);
	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	unit = map_unit(&st);
	skip = d->mmap_offset % unit;
	m->refs = 1;
	m->fd = -1;
	m->offset = d->mmap_offset;
	m->len = (d->size + skip + unit - 1) / unit * unit;
	m->base = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		(off_t)(d->mmap_offset - skip));
	r = m->base == MAP_FAILED ? -errno : take_slot(m->base, m->len, unit);
	if (r < 0) {
		if (m->base != MAP_FAILED)
			munmap(m->base, m->len);
		free(m);
		return r;
	}
	m->slot = r;
	madvise(m->base, m->len, MADV_DONTDUMP);
	if (gmem_keep_fds)
		m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	*out = (struct gmem_region){d->gpa, d->size, d->uva, m->base + skip, m};
	return 0;
}

static struct gmem *alloc_map(unsigned n)
{
	struct gmem *mem = calloc(1, sizeof(*mem) + (n + 1) * sizeof(mem->regions[0]));

	if (mem) {
		mem->refs = 1;
		mem->n = n;
	}
	return mem;
}

struct gmem *gmem_create(void)
{
	return alloc_map(0);
}

void gmem_free(struct gmem *mem)
{
	for (unsigned i = 0; i < mem->n; i++)
		if (!--mem->regions[i].mapping->refs)
			unmap(mem->regions[i].mapping);
	free(mem);
}

/* Where a region at gpa belongs: the first that ends behind it. */
static unsigned position(const struct gmem *mem, uint64_t gpa)
{
	unsigned lo = 0, hi = mem->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		const struct gmem_region *r = &mem->regions[mid];

		if (gpa > r->gpa && gpa - r->gpa >= r->size)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int gmem_region_fd(const struct gmem_region *r, struct gmem_desc *desc)
{
	*desc = (struct gmem_desc){r->gpa, r->size, r->uva, r->mapping->offset};
	return r->mapping->fd;
}

const struct gmem_region *gmem_find(const struct gmem *mem, uint64_t gpa)
{
	const struct gmem_region *r = &mem->regions[position(mem, gpa)];

	return gpa - r->gpa < r->size ? r : NULL;
}

static void copy_regions(struct gmem_region *to, const struct gmem_region *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].mapping->refs++;
	}
}

int gmem_add(const struct gmem *mem, const struct gmem_desc *desc, int fd, struct gmem **out)
{
	unsigned at = position(mem, desc->gpa);
	const struct gmem_region *next = &mem->regions[at];
	struct gmem *new;
	int r;

	if (mem->n == GMEM_MAX_REGIONS)
		return -ENOSPC;
	if (next->size && (next->gpa <= desc->gpa || next->gpa - desc->gpa < desc->size))
		return -EINVAL;
	new = alloc_map(mem->n + 1);
	if (!new)
		return -ENOMEM;
	r = map(desc, fd, &new->regions[at]);
	if (r < 0) {
		free(new);
		return r;
	}
	copy_regions(new->regions, mem->regions, at);
	copy_regions(&new->regions[at + 1], next, mem->n - at);
	*out = new;
	return 0;
}

int gmem_remove(const struct gmem *mem, const struct gmem_desc *desc, struct gmem **out)
{
	unsigned at = position(mem, desc->gpa);
	const struct gmem_region *r = &mem->regions[at];
	struct gmem *new;

	if (!r->size || r->gpa != desc->gpa || r->size != desc->size || r->uva != desc->uva)
		return -ENOENT;
	new = alloc_map(mem->n - 1);
	if (!new)
		return -ENOMEM;
	copy_regions(new->regions, mem->regions, at);
	copy_regions(&new->regions[at], r + 1, mem->n - at - 1);
	*out = new;
	return 0;
}

int gmem_iov(const struct gmem *mem, unsigned *hint, uint64_t gpa, uint64_t len, struct iovec *iov,
	unsigned max)
{
	unsigned n = 0;

	while (len) {
		uint64_t piece = len;
		void *at = gmem_at(mem, hint, gpa, &piece);

		if (!at)
			return -EFAULT;
		if (n == max)
			return -E2BIG;
		iov[n++] = (struct iovec){at, piece};
		len -= piece;
		if (len && !add_u64(gpa, piece, &gpa))
			return -EFAULT;
	}
	return (int)n;
}

bool gmem_read(const struct gmem *mem, unsigned *hint, uint64_t gpa, void *buf, size_t len)
{
	while (len) {
		uint64_t piece = len;
		const void *at = gmem_at(mem, hint, gpa, &piece);

		if (!at)
			return false;
		memcpy(buf, at, piece);
		buf = (char *)buf + piece;
		len -= piece;
		if (len && !add_u64(gpa, piece, &gpa))
			return false;
	}
	return true;
}

void *gmem_ring(const struct gmem *mem, uint64_t addr, uint64_t len, unsigned align, bool by_gpa)
{
	for (unsigned i = 0; i < mem->n; i++) {
		const struct gmem_region *r = &mem->regions[i];
		uint64_t off = addr - (by_gpa ? r->gpa : r->uva);

		if (off < r->size && range_within(off, len, r->size)
			&& !((uintptr_t)(r->host + off) % align))
			return r->host + off;
	}
	return NULL;
}
