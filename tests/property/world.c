/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t world_seed;
const char *world_doing = "";

static uint64_t state;

void world_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not so: %s\n(%s; again: VIRGA_SEED=%" PRIu64 " VIRGA_ROUNDS=1)\n",
		file, line, what, world_doing, world_seed);
	exit(1);
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 0) : otherwise;
}

int world_run(const char *name, unsigned rounds, void (*round)(void))
{
	uint64_t first = from_environment("VIRGA_SEED", 1);
	uint64_t n = from_environment("VIRGA_ROUNDS", rounds);

	printf("%s: %" PRIu64 " rounds from VIRGA_SEED=%" PRIu64 "\n", name, n, first);
	fflush(stdout);
	for (uint64_t i = 0; i < n; i++) {
		world_seed = first + i;
		state = world_seed;
		round();
	}
	return 0;
}

/* Weyl's sequence, and then mixed well: any seed will do. */
uint64_t world_random(void)
{
	uint64_t x = state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

uint32_t world_below(uint32_t n)
{
	return (uint32_t)(world_random() % n);
}

bool world_once_in(uint32_t n)
{
	return world_below(n) == 0;
}

struct gmem *world_map(const struct guest *g)
{
	struct gmem *mem = gmem_create();

	CHECK(mem);
	for (size_t i = 0; i < g->n; i++) {
		const struct guest_region *r = &g->regions[i];
		const struct gmem_desc desc = {r->gpa, r->size, r->user_addr, r->mmap_offset};
		struct gmem *more;

		CHECK(gmem_add(mem, &desc, r->fd, &more) == 0);
		gmem_unref(mem);
		mem = more;
	}
	return mem;
}

struct vq_config world_config(const struct drv_ring *r, uint16_t iov_per_req)
{
	return (struct vq_config){.size = (uint16_t)r->num,
		.iov_per_req = iov_per_req,
		.req_size = sizeof(struct vq_req),
		.event_idx = r->features & DRV_EVENT_IDX,
		.avail_base = r->avail_idx,
		.desc = guest_user_addr(r->guest, r->desc_gpa),
		.avail = guest_user_addr(r->guest, r->avail_gpa),
		.used = guest_user_addr(r->guest, r->used_gpa)};
}
