/* SPDX-License-Identifier: MIT */
/*
 * Pops and pushes N chains of two descriptors with EVENT_IDX on, one at a time, for counting
 * instructions from outside: ring-cost N. The driver's part is the two stores that make a chain
 * available.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_ring.h>

#include "common/gmem.h"
#include "common/vq.h"

enum { SIZE = 256, AVAIL_AT = 0x2000, USED_AT = 0x3000, DATA_AT = 0x8000, MEMORY = 0x10000 };

static struct gmem *make_memory(uint8_t **map)
{
	const struct gmem_desc desc = {.size = MEMORY};
	int fd = memfd_create("ring-cost", MFD_CLOEXEC);
	struct gmem *none = gmem_create(), *mem = NULL;

	if (fd < 0 || ftruncate(fd, MEMORY) < 0 || gmem_add(none, &desc, fd, &mem) < 0)
		exit(1);
	gmem_unref(none);
	*map = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return mem;
}

static void fill_ring(uint8_t *map)
{
	struct vring_desc *desc = (struct vring_desc *)(void *)map;
	uint16_t *avail = (uint16_t *)(void *)(map + AVAIL_AT);

	for (unsigned i = 0; i < SIZE; i += 2) {
		desc[i] = (struct vring_desc){.addr = htole64(DATA_AT),
			.len = htole32(32),
			.flags = htole16(VRING_DESC_F_NEXT),
			.next = htole16((uint16_t)(i + 1))};
		desc[i + 1] = (struct vring_desc){.addr = htole64(DATA_AT + 64),
			.len = htole32(24),
			.flags = htole16(VRING_DESC_F_WRITE)};
	}
	for (unsigned i = 0; i < SIZE; i++)
		avail[2 + i] = htole16((uint16_t)(2 * i % SIZE));
}

int main(int argc, char **argv)
{
	const struct vq_config cfg = {.size = SIZE,
		.iov_per_req = 8,
		.req_size = sizeof(struct vq_req),
		.event_idx = true,
		.avail = AVAIL_AT,
		.used = USED_AT,
		.by_gpa = true};
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 1000, notified = 0;
	uint16_t *avail;
	struct gmem *mem;
	struct vq_req *req;
	uint8_t *map;
	struct vq q;

	mem = make_memory(&map);
	fill_ring(map);
	avail = (uint16_t *)(void *)(map + AVAIL_AT);
	if (vq_start(&q, &cfg, mem) < 0)
		return 1;
	for (unsigned i = 0; i < n; i++) {
		__atomic_store_n(&avail[1], htole16((uint16_t)(i + 1)), __ATOMIC_RELEASE);
		if (vq_pop(&q, &req) != 1)
			return 1;
		vq_push(req, 24);
		notified += vq_notify(&q);
		vq_enable_kicks(&q);
	}
	printf("%u chains, %u notifications\n", n, notified);
	vq_stop(&q);
	gmem_unref(mem);
	return 0;
}
