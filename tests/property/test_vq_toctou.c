/* SPDX-License-Identifier: MIT */
/*
 * A driver that changes what it has offered while it is being read. A second thread writes one of
 * two versions of some words, again and again. What vq_pop() hands out is one of both where one word
 * changes, agrees with itself where several do, and lies in guest memory always; or the queue is
 * broken.
 */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/iov.h"

enum { SIZE = 8, POPS = 4000, MEMORY = 0x20000, IOV = 2 };

#define TABLE 0x8000ull

static struct guest guest;
static struct drv_ring ring;
static struct gmem *mem;
static struct vq q;

/* ---- the thread that flips ---- */

enum { WORDS = 4 };

static struct flip {
	uint64_t *at;
	uint64_t version[2];
} flips[WORDS];
static unsigned n_flips;
static bool index_changes; // so there may be nothing to pop
static int stop;           // atomic

static void *flip_all(void *arg)
{
	(void)arg;
	for (unsigned v = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); v ^= 1)
		for (unsigned i = 0; i < n_flips; i++)
			__atomic_store_n(flips[i].at, flips[i].version[v], __ATOMIC_RELAXED);
	return NULL;
}

/* The second words of two descriptors: len, flags, next. */
static uint64_t rest(uint32_t len, unsigned flags, unsigned next)
{
	return len | (uint64_t)flags << 32 | (uint64_t)next << 48;
}

static void flip(void *at, uint64_t a, uint64_t b)
{
	*(uint64_t *)at = a;
	flips[n_flips++] = (struct flip){at, {a, b}};
}

/* ---- the queue under it ---- */

static void begin(void)
{
	struct vq_config cfg;

	memset(ring.avail, 0, 4 + 2 * SIZE);
	memset(ring.used, 0, 4 + 8 * SIZE);
	cfg = world_config(&ring, IOV);
	cfg.avail_base = 0;
	CHECK(vq_start(&q, &cfg, mem) == 0);
}

static bool in_memory(const struct iovec *v)
{
	for (unsigned i = 0; i < mem->n; i++) {
		const struct gmem_region *r = &mem->regions[i];
		uintptr_t off = (uintptr_t)v->iov_base - (uintptr_t)r->host;

		if (off <= r->size && v->iov_len <= r->size - off)
			return true;
	}
	return false;
}

static void check_consistent(const struct vq_req *req)
{
	CHECK(iov_size(vq_req_out(req), req->n_out) == req->out_len);
	CHECK(iov_size(vq_req_in(req), req->n_in) == req->in_len);
	for (unsigned i = 0; i < req->n_out + req->n_in; i++)
		CHECK(in_memory(&req->iov[i]));
}

/* Offers head 0 again and again; each request that comes is checked. */
static void pop_under_fire(void (*check)(const struct vq_req *req))
{
	pthread_t thread;

	stop = 0;
	begin();
	CHECK(pthread_create(&thread, NULL, flip_all, NULL) == 0);
	for (unsigned i = 0; i < POPS; i++) {
		struct vq_req *req;
		int r;

		drv_ring_poke_avail(&ring, q.next_avail, 0);
		drv_ring_poke_avail_idx(&ring, (uint16_t)(q.next_avail + 1));
		r = vq_pop(&q, &req);
		if (r == -EPROTO) {
			vq_stop(&q);
			begin();
			continue;
		}
		if (r == 0 && index_changes)
			continue;
		CHECK(r == 1);
		check_consistent(req);
		if (check)
			check(req);
		vq_push(req, 0);
		vq_notify(&q);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	vq_stop(&q);
	n_flips = 0;
}

static uint64_t *word(unsigned desc, unsigned i)
{
	return (uint64_t *)(void *)&ring.desc[desc] + i;
}

static void set_desc(unsigned i, uint64_t addr, uint64_t second)
{
	*word(i, 0) = addr;
	*word(i, 1) = second;
}

/* ---- what changes ---- */

static void check_one_length(const struct vq_req *req)
{
	CHECK(req->out_len == 16 || req->out_len == 0x4000);
	CHECK(req->n_out == 1 && req->n_in == 0);
}

static void one_length(void)
{
	set_desc(0, 0x10000, 0);
	flip(word(0, 1), rest(16, 0, 0), rest(0x4000, 0, 0));
	pop_under_fire(check_one_length);
}

static void check_one_address(const struct vq_req *req)
{
	const uint8_t *a = guest_ptr(&guest, 0x10000, 1), *b = guest_ptr(&guest, 0x18000, 1);
	size_t off = (size_t)((uint8_t *)req->iov[0].iov_base - mem->regions[0].host);

	CHECK(off == (size_t)(a - guest.regions[0].host)
		|| off == (size_t)(b - guest.regions[0].host));
}

static void one_address(void)
{
	set_desc(0, 0, rest(64, 0, 0));
	flip(word(0, 0), 0x10000, 0x18000);
	pop_under_fire(check_one_address);
}

/* Both versions are right, and so is no mixture of them: then the queue is broken, no more. */
static void an_address_and_a_length(void)
{
	flip(word(0, 0), 0, MEMORY - 16);
	flip(word(0, 1), rest(MEMORY, 0, 0), rest(16, VRING_DESC_F_WRITE, 0));
	pop_under_fire(NULL);
}

static void check_direction(const struct vq_req *req)
{
	CHECK((req->out_len == 32 && req->in_len == 0) || (req->out_len == 0 && req->in_len == 32));
}

static void the_direction(void)
{
	set_desc(0, 0x10000, 0);
	flip(word(0, 1), rest(32, 0, 0), rest(32, VRING_DESC_F_WRITE, 0));
	pop_under_fire(check_direction);
}

static void check_length_of_chain(const struct vq_req *req)
{
	CHECK(req->out_len >= 1 && req->out_len <= SIZE); // it may come by the same one twice
	CHECK(req->n_out == req->out_len);
}

/* Chains grow, shrink and bite their tail. */
static void the_next(void)
{
	for (unsigned i = 0; i < 3; i++)
		set_desc(i, 0x10000, rest(1, 0, 0));
	flip(word(0, 1), rest(1, VRING_DESC_F_NEXT, 1), rest(1, 0, 0));
	flip(word(1, 1), rest(1, VRING_DESC_F_NEXT, 2), rest(1, 0, 7));
	flip(word(2, 1), rest(1, VRING_DESC_F_NEXT, 0), rest(1, 0, 0));
	pop_under_fire(check_length_of_chain);
}

/* A buffer or a table, at the same address: the table's bytes look like anything. */
static void a_table_or_a_buffer(void)
{
	uint64_t *table = guest_ptr(&guest, TABLE, 64);

	table[0] = table[2] = 0x10000;
	table[1] = rest(8, VRING_DESC_F_NEXT, 1);
	table[3] = rest(8, 0, 0);
	flip(word(0, 0), TABLE, TABLE);
	flip(word(0, 1), rest(32, VRING_DESC_F_INDIRECT, 0), rest(32, 0, 0));
	pop_under_fire(NULL);
}

/* The table's own words; at an address where words are whole, and at one where they are not. */
static void a_table_at(uint64_t gpa)
{
	uint8_t *table = guest_ptr(&guest, gpa & ~7ull, 64);

	set_desc(0, gpa, rest(32, VRING_DESC_F_INDIRECT, 0));
	memset(table, 0, 64);
	flip(table, 0x10000, UINT64_MAX);
	flip(table + 8, rest(100, VRING_DESC_F_NEXT, 1), rest(UINT32_MAX, 3, 1));
	flip(table + 16, MEMORY - 8, 0x12345);
	flip(table + 24, rest(8, 0, 0), rest(9, VRING_DESC_F_INDIRECT, 9));
	pop_under_fire(NULL);
}

static void check_table(const struct vq_req *req)
{
	CHECK(req->out_len == 8 || req->out_len == 16);
	CHECK(req->n_out == req->out_len / 8);
}

static void the_size_of_a_table(void)
{
	uint64_t *table = guest_ptr(&guest, TABLE, 64);

	table[0] = table[2] = 0x10000;
	table[1] = rest(8, VRING_DESC_F_NEXT, 1);
	table[3] = rest(8, 0, 0);
	set_desc(0, TABLE, rest(32, VRING_DESC_F_INDIRECT, 0));
	flip(&table[1], rest(8, VRING_DESC_F_NEXT, 1), rest(8, 0, 0));
	flip(word(0, 1), rest(32, VRING_DESC_F_INDIRECT, 0), rest(16, VRING_DESC_F_INDIRECT, 0));
	pop_under_fire(check_table);
}

/* Heads and indices, as far as the test's own writing of them lets it be. */
static void the_available_ring(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		set_desc(i, 0x10000, rest(i, 0, 0));
	index_changes = true;
	for (unsigned i = 0; i < 3; i++) // three words that cover most of it
		flip((void *)(((uintptr_t)ring.avail + 8 * i) & ~7ull), 0x0001000200030000 + i,
			0xffff000900080000 >> i);
	pop_under_fire(NULL);
	index_changes = false;
}

static void run_round(void)
{
	world_doing = "setup";
	CHECK(guest_init_flat(&guest, MEMORY) == 0);
	CHECK(drv_ring_init(&ring, &guest, SIZE, DRV_INDIRECT) == 0);
	mem = world_map(&guest);
	world_doing = "a length changes";
	one_length();
	world_doing = "an address changes";
	one_address();
	world_doing = "both change";
	an_address_and_a_length();
	world_doing = "the direction changes";
	the_direction();
	world_doing = "the next changes";
	the_next();
	world_doing = "a table comes and goes";
	a_table_or_a_buffer();
	world_doing = "a table changes";
	a_table_at(TABLE);
	a_table_at(TABLE + 4);
	world_doing = "the size of a table changes";
	the_size_of_a_table();
	world_doing = "the available ring changes";
	the_available_ring();
	CHECK(mem->refs == 1);
	gmem_unref(mem);
	drv_ring_finish(&ring);
	guest_finish(&guest);
}

int main(void)
{
	return world_run("vq_toctou", 3, run_round);
}
