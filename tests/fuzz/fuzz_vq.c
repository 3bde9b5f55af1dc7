/* SPDX-License-Identifier: MIT */
/*
 * A ring that a guest may have filled with anything: what vq_pop() hands out lies within the
 * guest's memory, each head once, and there is an end to it.
 *
 * An input: how the queue is set up, where its parts lie and which memory there is, a seed for the
 * order in which requests return, then the bytes of the memory from address 0 on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/gmem.h"
#include "common/iov.h"
#include "common/vq.h"
#include "fuzz.h"

#define UVA 0x7f0000000000ull

enum { PART = 16384, PARTS = 3, MEMORY = PART * PARTS, MEMORY_CHANGES = 2 };

enum flags { FLAG_EVENT_IDX = 1, FLAG_BY_GPA = 2, FLAG_SPLIT = 4, FLAG_HOLE = 8, FLAG_SHRINK = 16 };

struct my_req {
	struct vq_req req;
	uint32_t mark;
};

struct run {
	struct fuzz_input in;
	uint8_t flags;
	uint32_t seed;
	int fd;
	uint8_t *host;
	struct gmem *mem;
	struct vq vq;
	struct my_req **flying; // those not returned
	unsigned n_flying;
	uint64_t popped, pushed;
};

static uint32_t pick(struct run *r, uint32_t below)
{
	r->seed = r->seed * 1664525 + 1013904223;
	return (r->seed >> 8) % below;
}

/* ---- memory: one region, or three that follow one another, or three with a hole ---- */

static struct gmem *with_region(struct run *r, struct gmem *mem, uint64_t off, uint64_t size)
{
	const struct gmem_desc desc = {off, size, UVA + off, off};
	struct gmem *more;

	FUZZ_CHECK(gmem_add(mem, &desc, r->fd, &more) == 0);
	gmem_unref(mem);
	return more;
}

static struct gmem *make_map(struct run *r)
{
	struct gmem *mem = gmem_create();

	FUZZ_CHECK(mem);
	if (!(r->flags & (FLAG_SPLIT | FLAG_HOLE)))
		return with_region(r, mem, 0, MEMORY);
	for (unsigned i = 0; i < PARTS; i++)
		if (i != 1 || !(r->flags & FLAG_HOLE))
			mem = with_region(r, mem, (uint64_t)i * PART, PART);
	return mem;
}

static void make_memory(struct run *r)
{
	r->fd = memfd_create("ring", MFD_CLOEXEC);
	FUZZ_CHECK(r->fd >= 0 && ftruncate(r->fd, MEMORY) == 0);
	r->host = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	FUZZ_CHECK(r->host != MAP_FAILED);
	r->mem = make_map(r);
}

/* True when these bytes are in a region of the map that the request holds. */
static bool is_guest_memory(const struct gmem *mem, const struct iovec *iov)
{
	for (unsigned i = 0; i < mem->n; i++) {
		const struct gmem_region *g = &mem->regions[i];
		uint64_t off = (uintptr_t)iov->iov_base - (uintptr_t)g->host;

		if (off < g->size && range_within(off, iov->iov_len, g->size))
			return true;
	}
	return false;
}

/* ---- requests ---- */

static void check_request(const struct run *r, const struct vq_req *req)
{
	const unsigned n = req->n_out + req->n_in;

	FUZZ_CHECK(req->vq == &r->vq && req->head < r->vq.cfg.size);
	FUZZ_CHECK(n <= 2 * (r->vq.cfg.size > VQ_CHAIN_MAX ? r->vq.cfg.size : VQ_CHAIN_MAX));
	for (unsigned i = 0; i < n; i++)
		FUZZ_CHECK(is_guest_memory(req->mem, &req->iov[i]));
	FUZZ_CHECK(iov_size(vq_req_out(req), req->n_out) == req->out_len);
	FUZZ_CHECK(iov_size(vq_req_in(req), req->n_in) == req->in_len);
}

static void take(struct run *r, struct vq_req *req)
{
	struct my_req *mine = (struct my_req *)req;

	check_request(r, req);
	for (unsigned i = 0; i < r->n_flying; i++)
		FUZZ_CHECK(r->flying[i] != mine);
	mine->mark = req->head ^ 0x5a5a5a5a;
	r->flying[r->n_flying++] = mine;
	r->popped++;
}

/* Answers a bit, which may well be over the ring itself, and returns the request. */
static void give_back(struct run *r, unsigned i)
{
	struct my_req *mine = r->flying[i];
	struct vq_req *req = &mine->req;
	const uint32_t answer[] = {r->seed, 0};

	FUZZ_CHECK(mine->mark == (req->head ^ 0x5a5a5a5a));
	r->flying[i] = r->flying[--r->n_flying];
	if (req->n_in)
		iov_write(vq_req_in(req), req->n_in, 0, answer, sizeof(answer));
	vq_push(req, req->in_len);
	FUZZ_CHECK(!req->vq);
	r->pushed++;
}

static void give_some_back(struct run *r, unsigned at_least)
{
	while (r->n_flying && (at_least || pick(r, 3))) {
		give_back(r, pick(r, r->n_flying));
		at_least -= at_least > 0;
	}
	if (pick(r, 2))
		vq_notify(&r->vq);
}

/* Until the ring is empty or broken, or has handed out a few times what it can hold. */
static void serve(struct run *r)
{
	unsigned budget = 3u * r->vq.cfg.size + 16;
	struct vq_req *req;

	vq_disable_kicks(&r->vq);
	for (; budget; budget--) {
		int got = vq_pop(&r->vq, &req);

		FUZZ_CHECK(got == 1 || got == 0 || got == -EAGAIN || got == -EPROTO);
		FUZZ_CHECK((got == -EPROTO) == r->vq.broken);
		if (got == 1)
			take(r, req);
		FUZZ_CHECK(got != -EAGAIN || r->n_flying >= VQ_LARGE);
		if (got == -EPROTO || (got == 0 && vq_enable_kicks(&r->vq)))
			break;
		give_some_back(r, got == -EAGAIN ? 1 : 0);
	}
	FUZZ_CHECK(r->vq.in_flight == r->n_flying);
}

static void change_memory(struct run *r)
{
	struct gmem *mem;

	if (r->flags & FLAG_SHRINK)
		r->flags ^= FLAG_HOLE;
	mem = make_map(r);
	FUZZ_CHECK((vq_move(&r->vq, mem) < 0) == r->vq.away);
	gmem_unref(r->mem);
	r->mem = mem;
}

/* ---- one input ---- */

static struct vq_config read_config(struct run *r)
{
	const uint8_t size = fuzz_u8(&r->in);
	struct vq_config c = {
		.size = (uint16_t)(1u << size % 16), .req_size = sizeof(struct my_req)};

	if (size & 0x80)
		c.size = (uint16_t)(c.size + size);
	r->flags = fuzz_u8(&r->in);
	c.iov_per_req = (uint16_t)(1 + fuzz_u8(&r->in) % 8);
	c.event_idx = r->flags & FLAG_EVENT_IDX;
	c.by_gpa = r->flags & FLAG_BY_GPA;
	c.avail_base = fuzz_u16(&r->in);
	c.desc = fuzz_u16(&r->in) + (c.by_gpa ? 0 : UVA);
	c.avail = fuzz_u16(&r->in) + (c.by_gpa ? 0 : UVA);
	c.used = fuzz_u16(&r->in) + (c.by_gpa ? 0 : UVA);
	r->seed = fuzz_u16(&r->in);
	return c;
}

static void use_ring(struct run *r, const struct vq_config *c)
{
	if (vq_start(&r->vq, c, r->mem) < 0) {
		FUZZ_CHECK(!r->vq.mem && !r->vq.reqs);
		return;
	}
	r->flying = calloc(c->size, sizeof(struct my_req *));
	FUZZ_CHECK(r->flying);
	serve(r);
	for (unsigned i = 0; i < MEMORY_CHANGES; i++) {
		change_memory(r);
		serve(r);
	}
	if (r->seed & 1)
		give_some_back(r, r->n_flying);
	FUZZ_CHECK(r->popped == r->pushed + r->n_flying);
	FUZZ_CHECK((vq_in_flight(&r->vq, 0) != NULL) == (r->n_flying > 0));
	vq_stop(&r->vq);
	free(r->flying);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.in = {data, size}};
	const unsigned fds = fuzz_count_fds();
	const struct vq_config c = read_config(&r);

	make_memory(&r);
	fuzz_read(&r.in, r.host, r.in.left < MEMORY ? r.in.left : MEMORY);
	use_ring(&r, &c);
	FUZZ_CHECK(r.mem->refs == 1); // requests and the queue have let go
	gmem_unref(r.mem);
	munmap(r.host, MEMORY);
	fd_close(&r.fd);
	FUZZ_CHECK(fuzz_count_fds() == fds);
	return 0;
}
