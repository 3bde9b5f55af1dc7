/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The memory of a guest that does not exist: one or several memfd regions, mapped here and
 * described to a back-end as a front-end would. A bump allocator hands it out: scratch memory from
 * the bottom of the regions, which guest_rewind() takes back at once, and memory to keep (rings,
 * tables) from their top.
 */
#include <stddef.h>
#include <stdint.h>

#define GUEST_MAX_REGIONS 512
#define GUEST_NOMEM       UINT64_MAX /* no guest physical address */

struct guest_region {
	uint64_t gpa, size;
	uint64_t user_addr;   // what SET_MEM_TABLE says; the mapping's address unless changed
	uint64_t mmap_offset; // where in fd the region begins
	int fd;               // owned
	uint8_t *host;        // the region's first byte, owned
	uint64_t low, high;   // offsets: scratch memory ends at low, kept memory begins at high
};

struct guest {
	struct guest_region *regions; // n of them, at most GUEST_MAX_REGIONS
	size_t n;
};

/* An empty guest. Returns 0 or -ENOMEM. */
int guest_init(struct guest *g);

/* A guest with one region of size bytes (whole pages) at address 0. Returns 0 or a negative errno.
 */
int guest_init_flat(struct guest *g, uint64_t size);

/* Unmaps and closes everything. */
void guest_finish(struct guest *g);

/*
 * Adds size bytes of zeroed memory at gpa; mmap_offset leaves a hole in front of it in the memfd.
 * All are multiples of the page size. Returns the region's index, -EINVAL, -EEXIST when it would
 * overlap another, -ENOSPC, or what memfd_create(2) and mmap(2) say.
 */
int guest_add_region(struct guest *g, uint64_t gpa, uint64_t size, uint64_t mmap_offset);

/* Unmaps region index and closes its fd; the ones behind it move up by one. */
void guest_remove_region(struct guest *g, size_t index);

/* The region that holds gpa, or NULL. */
struct guest_region *guest_find(const struct guest *g, uint64_t gpa);

/* The host address of [gpa, gpa + len), or NULL when that does not lie within one region. */
void *guest_ptr(const struct guest *g, uint64_t gpa, uint64_t len);

/* As guest_ptr(), but the user address that a front-end would send for gpa. Returns 0 if none. */
uint64_t guest_user_addr(const struct guest *g, uint64_t gpa);

/*
 * Copies between guest memory and buf, across adjacent regions too. Return 0, or -EFAULT when a
 * byte lies outside (then some may have been copied).
 */
int guest_read(const struct guest *g, uint64_t gpa, void *buf, size_t len);
int guest_write(struct guest *g, uint64_t gpa, const void *buf, size_t len);

/*
 * Allocates len bytes, aligned to align (a power of two), contiguous in one region: the first that
 * has room. guest_alloc() is scratch memory, guest_alloc_keep() lasts until guest_finish(). What
 * the memory holds is what was left there. Return the address or GUEST_NOMEM.
 */
uint64_t guest_alloc(struct guest *g, uint64_t len, uint64_t align);
uint64_t guest_alloc_keep(struct guest *g, uint64_t len, uint64_t align);

/* As guest_alloc(), in region index only. */
uint64_t guest_alloc_in(struct guest *g, size_t index, uint64_t len, uint64_t align);

/* Takes back all scratch memory. */
void guest_rewind(struct guest *g);
