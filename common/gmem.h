/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Guest memory: a map from guest-physical addresses to memory of ours, made of the fds that a
 * front-end sends. A map never changes; a change of the memory table makes a new one, and whoever
 * still uses the old one holds a reference. Address 0 is a legal address.
 *
 * A front-end may shrink its file under us. The fault is caught: anonymous pages take the place of
 * the lost ones, and gmem_faults() tells the thread that its last accesses were not what they
 * seemed.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { GMEM_MAX_REGIONS = 509 };

struct gmem_mapping; // one mmap, shared by the maps that contain it

struct gmem_region {
	uint64_t gpa, size;
	uint64_t uva; // the front-end's own address of it
	uint8_t *host;
	struct gmem_mapping *mapping;
};

struct gmem {
	unsigned refs; // of the loop's thread only
	unsigned n;
	struct gmem_region regions[]; // sorted by gpa; one of size 0 behind the last
};

/* What a region is, in the words of SET_MEM_TABLE and ADD_MEM_REG. */
struct gmem_desc {
	uint64_t gpa, size, uva, mmap_offset;
};

/* A map without memory. NULL when there is no memory for it either. */
struct gmem *gmem_create(void);

static inline struct gmem *gmem_ref(struct gmem *mem)
{
	mem->refs++;
	return mem;
}

void gmem_free(struct gmem *mem); // of nobody any more

static inline void gmem_unref(struct gmem *mem) // NULL is fine
{
	if (mem && --mem->refs == 0)
		gmem_free(mem);
}

/*
 * A new map that has one region more. The fd stays the caller's. -EINVAL for an empty, wrapping or
 * overlapping region or one beyond the end of its file, -ENOSPC beyond GMEM_MAX_REGIONS, else what
 * mmap() says. *out is written on success only, and owned by the caller.
 */
int gmem_add(const struct gmem *mem, const struct gmem_desc *desc, int fd, struct gmem **out);

/* A new map without the region of that gpa, uva and size. -ENOENT when there is none such. */
int gmem_remove(const struct gmem *mem, const struct gmem_desc *desc, struct gmem **out);

/*
 * True: the descriptors of regions are kept, so that another process can be given the same memory.
 * To be set before there is any map.
 */
extern bool gmem_keep_fds;

/* The descriptor of a region, and how it was described; the descriptor stays the map's. -1 where none
 * was kept. */
int gmem_region_fd(const struct gmem_region *r, struct gmem_desc *desc);

const struct gmem_region *gmem_find(const struct gmem *mem, uint64_t gpa);

/*
 * The one accessor. Where [gpa, gpa + *len) begins in our memory, with *len cut to what lies in one
 * piece there; NULL when gpa is in no region. *hint (start with 0) makes the next look-up near by
 * cheap; it belongs to the caller and to this map.
 */
static inline void *gmem_at(const struct gmem *mem, unsigned *hint, uint64_t gpa, uint64_t *len)
{
	const struct gmem_region *r = &mem->regions[*hint];
	uint64_t off = gpa - r->gpa;

	if (off >= r->size) {
		r = gmem_find(mem, gpa);
		if (!r)
			return NULL;
		*hint = (unsigned)(r - mem->regions);
		off = gpa - r->gpa;
	}
	if (*len > r->size - off)
		*len = r->size - off;
	return r->host + off;
}

/*
 * Spreads [gpa, gpa + len) over iovecs. Returns how many; -EFAULT when a byte of it is in no
 * region, -E2BIG when it takes more than max.
 */
int gmem_iov(const struct gmem *mem, unsigned *hint, uint64_t gpa, uint64_t len, struct iovec *iov,
	unsigned max);

/* Copies len bytes, across regions if need be. False when some are in no region. */
bool gmem_read(const struct gmem *mem, unsigned *hint, uint64_t gpa, void *buf, size_t len);

/*
 * A ring's part: len bytes in one piece and aligned to `align`, by the front-end's own address (or
 * by guest-physical ones when `by_gpa`). NULL when there is no such piece.
 */
void *gmem_ring(const struct gmem *mem, uint64_t addr, uint64_t len, unsigned align, bool by_gpa);

/*
 * Pages of guest memory that are mapped once more: a fault there is one in guest memory, too. What
 * gmem_unwatch() wants, before they are unmapped, or -ENOSPC.
 */
int gmem_watch(uint8_t *base, size_t len);
void gmem_unwatch(int watch);

/* Installs the SIGBUS handler, once for the process. 0 or negative errno. */
int gmem_catch_faults(void);

/* How many faults this thread has had in guest memory. Compare before and after. */
extern _Thread_local volatile unsigned gmem_fault_count;

static inline unsigned gmem_faults(void)
{
	return gmem_fault_count;
}
