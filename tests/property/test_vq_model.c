/* SPDX-License-Identifier: MIT */
/*
 * A random driver and a random device on one ring, watched by a model that knows what each may see:
 * no chain is lost, doubled or out of order; its bytes arrive; not a byte outside a buffer changes;
 * who sleeps is woken.
 */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/iov.h"

enum {
	OPERATIONS = 1500, // in a round
	REGIONS = 4,       // of buffers; the first three lie side by side
	REGION_SIZE = 0x10000,
	CELL = 512, // buffers lie in cells that no two chains share
	CELLS = REGIONS * REGION_SIZE / CELL,
	SEGS_MAX = 40,
	BYTES_MAX = SEGS_MAX * 2 * CELL,
	RING_REGION = 32 << 20,
};

#define BUFFERS 0x10000000ull
#define FAR     0x8000000000ull

struct cell {
	uint64_t gpa;
	uint32_t size;
	bool split; // by the border of two regions
};

/* A chain from the driver's drv_ring_add() to its drv_ring_reap(). */
struct chain {
	struct drv_seg segs[SEGS_MAX];
	struct cell cells[SEGS_MAX];
	unsigned n;
	bool ordinary; // never needs one of the queue's large arrays,
	bool large;    // which this one has
	uint16_t head;
	uint32_t out_len, in_len, written;
	enum { UNUSED, ADDED, POPPED, PUSHED } stage;
	struct vq_req *req;
};

static struct guest guest;
static struct drv_ring ring;
static struct gmem *mem;
static struct vq q;
static uint16_t iov_per_req;

static uint8_t *shadow[REGIONS]; // what the regions of buffers have to hold
static struct cell cells[CELLS];
static unsigned n_cells;     // free ones
static struct chain *chains; // ring.num of them
static struct chain **line;  // those that wait for the device, in order
static uint64_t added, published, popped, pushed, reaped;
static unsigned lent; // large arrays

static bool device_sleeps, driver_sleeps;
static uint16_t driver_wakes_at; // elements used that it waits for

/* ---- memory ---- */

static uint64_t region_gpa(unsigned i)
{
	return i < 3 ? BUFFERS + i * (uint64_t)REGION_SIZE : FAR;
}

static uint8_t *shadow_at(uint64_t gpa)
{
	for (unsigned i = 0; i < REGIONS; i++)
		if (gpa - region_gpa(i) < REGION_SIZE)
			return &shadow[i][gpa - region_gpa(i)];
	world_fail(__FILE__, __LINE__, "the address lies in a region of buffers");
}

static void check_memory(void)
{
	for (unsigned i = 0; i < REGIONS; i++)
		CHECK(!memcmp(shadow[i], guest.regions[i + 1].host, REGION_SIZE));
}

static void make_cells(void)
{
	n_cells = 0;
	for (unsigned i = 0; i < CELLS; i++) {
		uint64_t off = i % (REGION_SIZE / CELL) * CELL;
		uint64_t gpa = region_gpa(i / (REGION_SIZE / CELL)) + off;
		bool first = off == 0 && gpa != BUFFERS && gpa != FAR;

		if (first)
			cells[n_cells - 1] = (struct cell){gpa - CELL, 2 * CELL, true};
		else
			cells[n_cells++] = (struct cell){gpa, CELL, false};
	}
}

static struct cell take_cell(void)
{
	unsigned i = world_below(n_cells);
	struct cell c = cells[i];

	cells[i] = cells[--n_cells];
	return c;
}

/* ---- the driver ---- */

static struct drv_seg seg_in(const struct cell *c, bool writable)
{
	uint32_t off = world_below(CELL), len = world_below(c->size - off) + 1;

	if (c->split && off + len <= CELL)
		len = CELL - off + 1 + world_below(CELL);
	else if (world_once_in(20))
		len = 0;
	return (struct drv_seg){c->gpa + off, len, writable};
}

static void fill(const struct drv_seg *s)
{
	for (uint32_t i = 0; i < s->len; i++) {
		uint8_t byte = (uint8_t)world_random();

		*shadow_at(s->gpa + i) = byte;
		CHECK(guest_write(&guest, s->gpa + i, &byte, 1) == 0);
	}
}

static void make_chain(struct chain *c, unsigned n)
{
	unsigned n_out = world_below(n + 1);

	*c = (struct chain){.n = n, .stage = ADDED, .ordinary = n <= iov_per_req};
	for (unsigned i = 0; i < n; i++) {
		struct drv_seg *s = &c->segs[i];

		c->cells[i] = take_cell();
		*s = seg_in(&c->cells[i], i >= n_out);
		*(s->writable ? &c->in_len : &c->out_len) += s->len;
		if (c->cells[i].split)
			c->ordinary = false;
		if (!s->writable)
			fill(s);
	}
}

static void put_cells_back(struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++)
		cells[n_cells++] = c->cells[i];
	c->stage = UNUSED;
}

static struct chain *unused_chain(void)
{
	for (unsigned i = 0; i < ring.num; i++)
		if (chains[i].stage == UNUSED)
			return &chains[i];
	return NULL;
}

static void driver_adds(void)
{
	unsigned max = world_once_in(10) ? SEGS_MAX : 4;
	struct chain *c = unused_chain();
	int head;

	max = max < n_cells ? max : n_cells;
	if (!c || !max)
		return;
	make_chain(c, 1 + world_below(max));
	head = world_once_in(2) ? drv_ring_add(&ring, c->segs, c->n, c)
				: drv_ring_add_indirect(&ring, c->segs, c->n, c);
	if (head < 0) {
		CHECK(head == -ENOSPC);
		put_cells_back(c);
		return;
	}
	c->head = (uint16_t)head;
	line[added++ % ring.num] = c;
}

static void driver_publishes(void)
{
	bool more = published != added;
	int kicked = drv_ring_submit(&ring);

	CHECK(kicked >= 0);
	published = added;
	if (device_sleeps && more)
		CHECK(kicked == 1); // else it would sleep for ever
	if (kicked)
		device_sleeps = false;
}

static void driver_reaps(void)
{
	unsigned n = 1 + world_below(ring.num);
	struct drv_used used;
	int r = 0;

	if (driver_sleeps)
		return;
	while (n-- && (r = drv_ring_reap(&ring, &used)) == 1) {
		struct chain *c = used.cookie;

		CHECK(c->stage == PUSHED);
		CHECK(used.head == c->head);
		CHECK(used.len == c->written);
		put_cells_back(c);
		reaped++;
	}
	CHECK(r >= 0);
}

/* It goes to sleep only when nothing waits that it has not seen, as any driver. */
static void driver_sleeps_in(uint16_t n)
{
	bool waiting = drv_ring_want_calls(&ring, true);

	if (n > 1 && ring.features & DRV_EVENT_IDX) {
		drv_ring_delay_calls(&ring, n);
		waiting = drv_ring_used_count(&ring) >= n;
	} else {
		n = 1;
	}
	driver_sleeps = !waiting;
	driver_wakes_at = n;
}

static void driver_rests(void)
{
	if (driver_sleeps)
		return;
	if (world_once_in(3))
		drv_ring_want_calls(&ring, false);
	else
		driver_sleeps_in((uint16_t)(1 + world_below(world_once_in(2) ? 1 : ring.num)));
}

/* ---- the device ---- */

static void check_request(const struct chain *c, const struct vq_req *req)
{
	static uint8_t got[BYTES_MAX];
	size_t at = 0;

	CHECK(req->head == c->head);
	CHECK(req->out_len == c->out_len && req->in_len == c->in_len);
	CHECK(iov_size(vq_req_out(req), req->n_out) == c->out_len);
	CHECK(iov_size(vq_req_in(req), req->n_in) == c->in_len);
	CHECK(iov_read(vq_req_out(req), req->n_out, 0, got, sizeof(got)) == c->out_len);
	for (unsigned i = 0; i < c->n; i++)
		for (uint32_t b = 0; !c->segs[i].writable && b < c->segs[i].len; b++)
			CHECK(got[at++] == *shadow_at(c->segs[i].gpa + b));
}

static bool device_pops(void)
{
	struct chain *c = line[popped % ring.num];
	struct vq_req *req;
	int r;

	CHECK(vq_has_more(&q) == (popped != published));
	r = vq_pop(&q, &req);
	if (popped == published) {
		CHECK(r == 0);
		return false;
	}
	if (r == -EAGAIN) {
		CHECK(lent == VQ_LARGE && !c->ordinary);
		return false;
	}
	CHECK(r == 1);
	check_request(c, req);
	c->large = req->iov < q.iovs || req->iov >= q.iovs + (size_t)ring.num * iov_per_req;
	CHECK(!c->large || !c->ordinary);
	lent += c->large;
	c->req = req;
	c->stage = POPPED;
	popped++;
	return true;
}

static void device_serves(void)
{
	unsigned n = 1 + world_below(ring.num);

	if (device_sleeps)
		return;
	vq_disable_kicks(&q);
	while (n-- && device_pops())
		;
}

/* One in flight, whichever. */
static struct chain *any_popped(void)
{
	unsigned from = world_below(ring.num);

	for (unsigned i = 0; i < ring.num; i++) {
		struct chain *c = &chains[(from + i) % ring.num];

		if (c->stage == POPPED)
			return c;
	}
	return NULL;
}

/* Writes the first c->written bytes of its writable part, and into the shadow where they belong. */
static void answer(struct chain *c)
{
	uint32_t left = c->written;
	uint8_t bytes[64];

	for (uint32_t at = 0; at < c->written; at += sizeof(bytes)) {
		uint32_t n = c->written - at < sizeof(bytes) ? c->written - at : sizeof(bytes);

		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(c->head + at + i + pushed);
		CHECK(iov_write(vq_req_in(c->req), c->req->n_in, at, bytes, n) == n);
	}
	for (unsigned i = 0; i < c->n; i++)
		for (uint32_t b = 0; c->segs[i].writable && b < c->segs[i].len && left; b++, left--)
			*shadow_at(c->segs[i].gpa + b) =
				(uint8_t)(c->head + (c->written - left) + pushed);
	CHECK(!left);
}

static void device_finishes(void)
{
	struct chain *c = any_popped();

	if (!c)
		return;
	c->written = c->in_len ? world_below(c->in_len + 1) : 0;
	answer(c);
	vq_push(c->req, c->written);
	lent -= c->large;
	c->stage = PUSHED;
	pushed++;
}

static void device_notifies(void)
{
	bool told = vq_notify(&q);
	int waiting = drv_ring_used_count(&ring);

	CHECK(waiting == (int)(pushed - reaped)); // all is published
	if (driver_sleeps && waiting >= driver_wakes_at)
		CHECK(told); // else it would sleep for ever
	if (told)
		driver_sleeps = false;
	if (!(ring.features & DRV_EVENT_IDX) && !ring.calls)
		CHECK(!told); // it said that it wants none
}

static void device_rests(void)
{
	bool nothing = vq_enable_kicks(&q);

	CHECK(nothing == (popped == published));
	device_sleeps = nothing;
}

/* Another map of the same memory, as when a region elsewhere is plugged. */
static void device_moves(void)
{
	struct gmem *again = world_map(&guest);

	CHECK(vq_move(&q, again) == 0);
	gmem_unref(mem);
	mem = again;
}

static void start(void)
{
	struct vq_config cfg = world_config(&ring, iov_per_req);

	cfg.avail_base = (uint16_t)(ring.avail_idx - (added - popped));
	CHECK(vq_start(&q, &cfg, mem) == 0);
	device_sleeps = false; // it looks at the ring when it starts
}

static void finish_all(void)
{
	while (any_popped())
		device_finishes();
	device_notifies();
}

/* A pause of the guest: what is in flight ends, what waits is served afterwards. */
static void device_stops_and_starts(void)
{
	finish_all();
	CHECK(q.next_avail == (uint16_t)(ring.avail_idx - (added - popped)));
	vq_stop(&q);
	CHECK(lent == 0);
	start();
}

/* ---- a round ---- */

static void setup(void)
{
	const uint64_t features = (world_once_in(2) ? DRV_EVENT_IDX : 0) | DRV_INDIRECT;
	const uint32_t num = 2u << world_below(world_once_in(4) ? 10 : 6);

	world_doing = "setup";
	CHECK(guest_init(&guest) == 0);
	CHECK(guest_add_region(&guest, 0, RING_REGION, 0) == 0);
	for (unsigned i = 0; i < REGIONS; i++) {
		CHECK(guest_add_region(&guest, region_gpa(i), REGION_SIZE, i * 0x3000) >= 0);
		shadow[i] = calloc(1, REGION_SIZE);
		CHECK(shadow[i]);
	}
	make_cells();
	CHECK(drv_ring_init(&ring, &guest, num, features) == 0);
	drv_ring_reset(&ring, (uint16_t)world_random());
	drv_ring_shuffle(&ring, world_random());
	chains = calloc(num, sizeof(*chains));
	line = calloc(num, sizeof(struct chain *));
	CHECK(chains && line);
	added = published = popped = pushed = reaped = lent = 0;
	driver_sleeps = false;
	iov_per_req = (uint16_t)(1 + world_below(8));
	mem = world_map(&guest);
	start();
}

static void finish(void)
{
	world_doing = "the end";
	device_sleeps = driver_sleeps = false;
	driver_publishes();
	while (popped < added) {
		while (device_pops())
			;
		finish_all();
	}
	finish_all();
	while (reaped < pushed)
		driver_reaps();
	check_memory();
	CHECK(reaped == added);
	CHECK(ring.nfree == ring.num && !ring.outstanding);
	vq_stop(&q);
	CHECK(mem->refs == 1);
	gmem_unref(mem);
	drv_ring_finish(&ring);
	guest_finish(&guest);
	free(chains);
	free(line);
	for (unsigned i = 0; i < REGIONS; i++)
		free(shadow[i]);
}

static const struct operation {
	const char *name;
	void (*run)(void);
	unsigned weight;
} operations[] = {
	{"the driver adds", driver_adds, 30},
	{"the driver publishes", driver_publishes, 12},
	{"the driver reaps", driver_reaps, 10},
	{"the driver rests", driver_rests, 8},
	{"the device serves", device_serves, 12},
	{"the device finishes", device_finishes, 30},
	{"the device notifies", device_notifies, 12},
	{"the device rests", device_rests, 6},
	{"the device moves", device_moves, 1},
	{"the device stops and starts", device_stops_and_starts, 1},
	{"the memory", check_memory, 3},
};

enum { N_OPERATIONS = sizeof(operations) / sizeof(*operations) };

static void operate(void)
{
	unsigned sum = 0, pick, i;

	for (i = 0; i < N_OPERATIONS; i++)
		sum += operations[i].weight;
	pick = world_below(sum);
	for (i = 0; pick >= operations[i].weight; i++)
		pick -= operations[i].weight;
	world_doing = operations[i].name;
	operations[i].run();
}

static void run_round(void)
{
	setup();
	for (unsigned i = 0; i < OPERATIONS; i++)
		operate();
	finish();
}

int main(void)
{
	return world_run("vq_model", 500, run_round);
}
