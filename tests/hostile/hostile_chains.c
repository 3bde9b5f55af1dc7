/* SPDX-License-Identifier: MIT */
/* What a driver can put into a ring: chains that loop, leave memory, are too long, or look so. */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Places in the memory for what is written by hand. */
enum { REQ = 0x1000, RESP = 0x2000, TABLE = 0x8000 };

#define ASK    sizeof(struct virtio_gpu_resource_create_2d) /* as long as any that is sent here */
#define ANSWER sizeof(struct virtio_gpu_resp_display_info)
#define TOP    0xfffffffffffff000 /* a page can be given here: see give_top() */
#define N      VRING_DESC_F_NEXT
#define W      VRING_DESC_F_WRITE
#define I      VRING_DESC_F_INDIRECT

static void put(uint64_t gpa, const void *bytes, size_t len)
{
	assert_ok(guest_write(&hx.guest, gpa, bytes, len));
}

static void put_request(uint64_t gpa)
{
	const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};

	put(gpa, &ask, sizeof(ask));
}

/* Publishes head of ring q as it stands in the table, or out of it. */
static void publish(unsigned q, uint16_t head)
{
	struct drv_ring *r = &hx.rings[q];

	if (head < RING_NUM) {
		assert_ok(drv_ring_publish_raw(r, head, 1 << 20));
	} else {
		drv_ring_poke_avail(r, r->avail_idx, head);
		drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 1));
	}
	assert_ok(drv_ring_kick_now(r));
}

/* The chain is taken and answered with len bytes at resp. */
static void expect_answer(uint64_t resp, uint32_t len)
{
	struct virtio_gpu_ctrl_hdr h = {0};
	struct drv_used used;

	assert_ok(drv_ring_wait(&hx.rings[CONTROL], WAIT_DEFAULT));
	assert_int_equal(drv_ring_reap(&hx.rings[CONTROL], &used), 1);
	assert_int_equal(used.len, len);
	assert_ok(guest_read(&hx.guest, resp, &h, sizeof(h)));
	if (len)
		assert_int_equal(h.type, VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

/* A last page of all addresses: the right region's first, once more. */
static uint8_t *give_top(void)
{
	const struct guest_region *right = &hx.guest.regions[RIGHT_REGION];
	const struct guest_region top = {
		.gpa = TOP, .size = 4096, .user_addr = TOP, .fd = right->fd};

	assert_ok(frontend_add_region(&hx.fe, &top));
	return right->host;
}

/* ---- chains of a few descriptors ---- */

struct chain {
	const char *name;
	struct vring_desc d[4]; // slots 0 to 3 of the ring
	uint16_t head;
	struct vring_desc t[4]; // what lies at TABLE
};

static const struct chain bad_chains[] = {
	{"a loop of one", {{REQ, ASK, N, 0}}},
	{"a loop of two", {{REQ, ASK, N, 1}, {REQ, ASK, N, 0}}},
	{"a loop behind a good chain", {{REQ, ASK, N, 1}, {RESP, ANSWER, N | W, 1}}},
	{"a loop of nothing", {{REQ, 0, N, 1}, {REQ, 0, N, 0}}},
	{"a loop of nothing in no region", {{NO_GPA, 0, N, 1}, {NO_GPA, 0, N, 0}}},
	{"a next one outside the table", {{REQ, ASK, N, RING_NUM}}},
	{"a next one far outside the table", {{REQ, ASK, N, 0xffff}}},
	{"a head outside the table", {{REQ, ASK, 0, 0}}, RING_NUM},
	{"a head far outside the table", {{REQ, ASK, 0, 0}}, 0xffff},
	{"to read behind to write", {{RESP, ANSWER, N | W, 1}, {REQ, ASK, 0, 0}}},
	{"nothing to read behind to write", {{RESP, ANSWER, N | W, 1}, {REQ, 0, 0, 0}}},
	{"to read in no region", {{NO_GPA, ASK, N, 1}, {RESP, ANSWER, W, 0}}},
	{"to write in no region", {{REQ, ASK, N, 1}, {NO_GPA, ANSWER, W, 0}}},
	{"a byte below a region", {{LEFT_GPA - 1, ASK, 0, 0}}},
	{"a byte behind a region", {{END_GPA - ASK + 1, ASK, 0, 0}}},
	{"right behind a region", {{END_GPA, ASK, 0, 0}}},
	{"the last byte of all", {{~0ull, 1, 0, 0}}},
	{"a buffer that wraps", {{(uint64_t)-8, ASK, 0, 0}}},
	{"a buffer of 4 GiB - 1", {{REQ, ~0u, 0, 0}}},
	{"an empty indirect table", {{TABLE, 0, I, 0}}},
	{"half an indirect entry", {{TABLE, 8, I, 0}}, 0, {{REQ, ASK, 0, 0}}},
	{"a byte more than an indirect entry", {{TABLE, 17, I, 0}}, 0, {{REQ, ASK, 0, 0}}},
	{"a byte less than two indirect entries", {{TABLE, 31, I, 0}}, 0, {{REQ, ASK, 0, 0}}},
	{"an indirect table of 4 GiB", {{TABLE, 0xfffffff0, I, 0}}, 0, {{REQ, ASK, 0, 0}}},
	{"an indirect table too long", {{TABLE, 1025 * 16, I, 0}}, 0, {{REQ, ASK, 0, 0}}},
	{"an indirect table in no region", {{NO_GPA, 32, I, 0}}},
	{"an indirect table half in a region", {{END_GPA - 16, 32, I, 0}}, 0, {{REQ, ASK, N, 1}}},
	{"an indirect table that wraps", {{(uint64_t)-16, 32, I, 0}}},
	{"an indirect table with a next one", {{TABLE, 16, I | N, 1}, {RESP, ANSWER, W, 0}}, 0,
		{{REQ, ASK, 0, 0}}},
	{"an indirect table in another", {{TABLE, 16, I, 0}}, 0, {{TABLE + 16, 16, I, 0}}},
	{"an indirect table that holds itself", {{TABLE, 16, I, 0}}, 0, {{TABLE, 16, I, 0}}},
	{"an indirect loop of one", {{TABLE, 16, I, 0}}, 0, {{REQ, ASK, N, 0}}},
	{"an indirect loop of two", {{TABLE, 32, I, 0}}, 0, {{REQ, ASK, N, 1}, {REQ, ASK, N, 0}}},
	{"an indirect loop of nothing in no region", {{TABLE, 32, I, 0}}, 0,
		{{NO_GPA, 0, N, 1}, {NO_GPA, 0, N, 0}}},
	{"an indirect next one outside", {{TABLE, 32, I, 0}}, 0,
		{{REQ, ASK, N, 2}, {0}, {RESP, ANSWER, W, 0}}},
	{"an indirect next one far outside", {{TABLE, 16, I, 0}}, 0, {{REQ, ASK, N, 0xffff}}},
	{"an indirect buffer in no region", {{TABLE, 16, I, 0}}, 0, {{NO_GPA, ASK, 0, 0}}},
	{"indirect to write in no region", {{TABLE, 32, I, 0}}, 0,
		{{REQ, ASK, N, 1}, {NO_GPA, ANSWER, W, 0}}},
	{"indirect to read behind to write", {{TABLE, 32, I, 0}}, 0,
		{{RESP, ANSWER, W | N, 1}, {REQ, ASK, 0, 0}}},
	{"indirect to read behind direct to write", {{RESP, ANSWER, W | N, 1}, {TABLE, 16, I, 0}},
		0, {{REQ, ASK, 0, 0}}},
};

static const struct chain odd_chains[] = {
	{"a direct chain", {{REQ, ASK, N, 1}, {RESP, ANSWER, W, 0}}},
	{"a chain from the last slot", {{REQ, ASK, N, 3}, {0}, {0}, {RESP, ANSWER, W, 0}}},
	{"a chain that goes backwards", {{RESP, ANSWER, W, 0}, {REQ, ASK, N, 0}}, 1},
	{"flags that nobody knows", {{REQ, ASK, N | 0xfff0, 1}, {RESP, ANSWER, W | 0xfff8, 0}}},
	{"empty buffers in between",
		{{REQ, 0, N, 1}, {REQ, ASK, N, 2}, {RESP, 0, W | N, 3}, {RESP, ANSWER, W, 0}}},
	{"empty buffers in no region",
		{{NO_GPA, 0, N, 1}, {REQ, ASK, N, 2}, {NO_GPA, 0, W | N, 3}, {RESP, ANSWER, W, 0}}},
	{"an indirect chain", {{TABLE, 32, I, 0}}, 0, {{REQ, ASK, N, 1}, {RESP, ANSWER, W, 0}}},
	{"an indirect chain to write", {{TABLE, 32, I | W, 0}}, 0,
		{{REQ, ASK, N, 1}, {RESP, ANSWER, W, 0}}},
	{"an indirect chain backwards", {{TABLE, 48, I, 0}}, 0,
		{{REQ, ASK, N, 2}, {0}, {RESP, ANSWER, W, 0}}},
	{"an indirect table off by a byte", {{TABLE + 1, 32, I, 0}}, 0,
		{{REQ, ASK, N, 1}, {RESP, ANSWER, W, 0}}},
	{"direct, then indirect", {{REQ, ASK, N, 1}, {TABLE, 16, I, 0}}, 0, {{RESP, ANSWER, W, 0}}},
	{"entries behind the end of a chain", {{TABLE, 64, I, 0}}, 0,
		{{REQ, ASK, N, 1}, {RESP, ANSWER, W, 3}, {0}, {NO_GPA, ~0u, I | N, 0}}},
};

static void put_chain(unsigned q, const struct chain *c)
{
	const struct vring_desc *first = &c->d[0];

	put_request(REQ);
	guest_write(&hx.guest, first->flags & I ? first->addr : TABLE, c->t, sizeof(c->t));
	for (unsigned i = 0; i < COUNT(c->d); i++)
		drv_ring_poke_desc(&hx.rings[q], i, &c->d[i]);
}

/* Nothing that it asks for is done, though its first descriptors ask for it. */
static void bad_chain(const void *arg)
{
	const struct virtio_gpu_resource_create_2d create = {
		.hdr.type = VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		.resource_id = 9,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.width = 4,
		.height = 4};
	const struct chain *c = arg;

	put_chain(CONTROL, c);
	put(REQ, &create, sizeof(create));
	publish(CONTROL, c->head);
	expect_broken(CONTROL);
	assert_int_equal(gpu_driver_unref(&hx.gpu, 9), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
}

static void odd_chain(const void *arg)
{
	const struct chain *c = arg;

	put_chain(CONTROL, c);
	publish(CONTROL, c->head);
	expect_answer(RESP, ANSWER);
}

/* All of the first table again, on the other ring, one after the other. */
static void on_the_cursor_ring(const void *arg)
{
	(void)arg;
	for (size_t i = 0; i < COUNT(bad_chains); i++) {
		put_chain(CURSOR, &bad_chains[i]);
		publish(CURSOR, bad_chains[i].head);
		expect_broken(CURSOR);
	}
}

/* ---- across the end of all addresses ---- */

static const struct vring_desc good_pair[2] = {{REQ, ASK, N, 1}, {RESP, ANSWER, W, 0}};

static void send_table(uint64_t gpa, uint32_t len)
{
	const struct vring_desc d = {gpa, len, I, 0};

	put_request(REQ);
	drv_ring_poke_desc(&hx.rings[CONTROL], 0, &d);
	publish(CONTROL, 0);
}

static void buffer_at_the_top(const void *arg)
{
	const struct vring_desc d[2] = {{TOP + 4096 - ASK, ASK, N, 1}, {RESP, ANSWER, W, 0}};
	uint8_t *top = give_top();

	(void)arg;
	put_request(BORDER_GPA);
	memcpy(top + 4096 - ASK, top, ASK);
	for (unsigned i = 0; i < 2; i++)
		drv_ring_poke_desc(&hx.rings[CONTROL], i, &d[i]);
	publish(CONTROL, 0);
	expect_answer(RESP, ANSWER);
}

/* Address 0 is a region, too, but it does not follow. */
static void buffer_over_the_top(const void *arg)
{
	const struct vring_desc d[2] = {{TOP + 4096 - 12, ASK, N, 1}, {RESP, ANSWER, W, 0}};

	(void)arg;
	give_top();
	for (unsigned i = 0; i < 2; i++)
		drv_ring_poke_desc(&hx.rings[CONTROL], i, &d[i]);
	publish(CONTROL, 0);
	expect_broken(CONTROL);
}

static void table_over_the_top(const void *arg)
{
	const size_t before = *(const size_t *)arg;
	uint8_t *top = give_top();

	memcpy(top + 4096 - before, good_pair, before);
	put(0, (const char *)good_pair + before, sizeof(good_pair) - before);
	send_table(TOP + 4096 - before, sizeof(good_pair));
	expect_broken(CONTROL);
}

static const size_t befores[] = {16, 8, 24};

static void backing_over_the_top(const void *arg)
{
	struct virtio_gpu_mem_entry e = {.addr = TOP, .length = 8192};

	(void)arg;
	give_top();
	assert_ack(gpu_driver_create_2d(&hx.gpu, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 32, 32));
	assert_int_equal(
		gpu_driver_attach(&hx.gpu, 1, &e, 1), VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER);
	e.length = 4096;
	assert_ack(gpu_driver_attach(&hx.gpu, 1, &e, 1));
}

/* ---- across two regions ---- */

/* The table's second part lies in the other region: also where that cuts an entry. */
static void table_across_regions(const void *arg)
{
	const size_t before = *(const size_t *)arg;

	put(BORDER_GPA - before, good_pair, sizeof(good_pair));
	send_table(BORDER_GPA - before, sizeof(good_pair));
	expect_answer(RESP, ANSWER);
}

static const size_t borders[] = {16, 8, 24, 1, 31, 12};

/* n entries; the last one is to write, the first one brings the request, others nothing. */
static void put_long_table(uint64_t gpa, unsigned n, uint64_t req, uint64_t resp)
{
	for (unsigned i = 0; i < n; i++) {
		struct vring_desc d = {req, i ? 0 : ASK, N, (uint16_t)(i + 1)};

		if (i + 1 == n)
			d = (struct vring_desc){resp, ANSWER, W, 0};
		put(gpa + 16 * i, &d, sizeof(d));
	}
}

static void longest_table(const void *arg)
{
	(void)arg;
	put_long_table(TABLE, 1024, REQ, RESP);
	send_table(TABLE, 1024 * 16);
	expect_answer(RESP, ANSWER);
}

/* The one that overran other back-ends: 1024 entries, of which one lies on the border. */
static void longest_table_across_regions(const void *arg)
{
	(void)arg;
	for (unsigned offset = 0; offset < 16; offset += 4) {
		put_long_table(BORDER_GPA - 512 * 16 - offset, 1024, REQ, RESP);
		send_table(BORDER_GPA - 512 * 16 - offset, 1024 * 16);
		expect_answer(RESP, ANSWER);
	}
}

/* 1024 entries of two pieces each are what fits, and a direct one before them is too much. */
static void put_pieces(void)
{
	for (unsigned i = 0; i < 1024; i++) {
		struct vring_desc d = {BORDER_GPA - 12, ASK, N, (uint16_t)(i + 1)};

		if (i == 1023)
			d = (struct vring_desc){BORDER_GPA - 1000, ANSWER + 1000, W, 0};
		put(TABLE + 16 * i, &d, sizeof(d));
	}
	put_request(BORDER_GPA - 12);
}

static void most_pieces(const void *arg)
{
	(void)arg;
	put_pieces();
	send_table(TABLE, 1024 * 16);
	expect_answer(BORDER_GPA - 1000, ANSWER);
}

static void too_many_pieces(const void *arg)
{
	const struct vring_desc d[2] = {{REQ, ASK, N, 1}, {TABLE, 1024 * 16, I, 0}};

	(void)arg;
	put_pieces();
	put_request(REQ);
	for (unsigned i = 0; i < 2; i++)
		drv_ring_poke_desc(&hx.rings[CONTROL], i, &d[i]);
	publish(CONTROL, 0);
	expect_broken(CONTROL);
}

/* ---- long chains ---- */

/* n descriptors, of which the last one leads to `then`. */
static void put_long_chain(unsigned n, unsigned then)
{
	put_request(REQ);
	for (unsigned i = 0; i < n; i++) {
		struct vring_desc d = {REQ, i ? 0 : ASK, N, (uint16_t)(i + 1)};

		if (i + 1 == n)
			d = (struct vring_desc){
				RESP, ANSWER, W | (then < RING_NUM ? N : 0), (uint16_t)then};
		drv_ring_poke_desc(&hx.rings[CONTROL], i, &d);
	}
}

static void as_long_as_the_ring(const void *arg)
{
	(void)arg;
	put_long_chain(RING_NUM, RING_NUM);
	publish(CONTROL, 0);
	expect_answer(RESP, ANSWER);
}

static void longer_than_the_ring(const void *arg)
{
	(void)arg;
	put_long_chain(RING_NUM, RING_NUM - 1);
	publish(CONTROL, 0);
	expect_broken(CONTROL);
}

/* 32 times 128 MiB are one byte more than a length can say. */
static void four_gib(const void *arg)
{
	const uint64_t left_out = *(const uint64_t *)arg;
	const struct guest_region huge = {.gpa = 1ull << 36,
		.size = 128 << 20,
		.user_addr = 1ull << 36,
		.fd = memfd_create("huge", MFD_CLOEXEC)};

	assert_ok(ftruncate(huge.fd, 128 << 20));
	assert_ok(frontend_add_region(&hx.fe, &huge));
	close(huge.fd);
	for (unsigned i = 0; i < 33; i++) {
		struct vring_desc d = {huge.gpa, 128 << 20, N | W, (uint16_t)(i + 1)};

		if (i == 0)
			d = (struct vring_desc){REQ, ASK, N, 1};
		else if (i == 32)
			d = (struct vring_desc){huge.gpa, (uint32_t)((128 << 20) - left_out), W, 0};
		drv_ring_poke_desc(&hx.rings[CONTROL], i, &d);
	}
	put_request(REQ);
	publish(CONTROL, 0);
	if (left_out > ASK) {
		assert_ok(drv_ring_wait(&hx.rings[CONTROL], WAIT_DEFAULT));
		hostile_restart_ring(CONTROL);
	} else {
		expect_broken(CONTROL);
	}
}

static const uint64_t left_outs[] = {ASK, ASK + 1, 0};

static void nothing_at_all(const void *arg)
{
	const struct vring_desc empty = {0};

	(void)arg;
	drv_ring_poke_desc(&hx.rings[CONTROL], 0, &empty);
	publish(CONTROL, 0);
	expect_answer(RESP, 0);
}

/* ---- the available ring ---- */

static void index_jumps(const void *arg)
{
	const uint16_t by = *(const uint16_t *)arg;
	struct drv_ring *r = &hx.rings[CONTROL];

	expect_rings_work();
	drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + by));
	assert_ok(drv_ring_kick_now(r));
	expect_broken(CONTROL);
}

static const uint16_t jumps[] = {RING_NUM + 1, 5000, 0xffff, 0x8000};

/* As far as it may: all places of the ring are filled. */
static void index_at_its_most(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];
	struct drv_used used;

	(void)arg;
	put_request(REQ);
	for (uint16_t i = 0; i < RING_NUM; i++) {
		const struct vring_desc d = {REQ, ASK, 0, 0};

		drv_ring_poke_desc(r, i, &d);
		assert_ok(drv_ring_publish_raw(r, i, 0));
	}
	assert_ok(drv_ring_kick_now(r));
	for (int i = 0; i < RING_NUM; i++) {
		assert_ok(drv_ring_wait(r, WAIT_DEFAULT));
		assert_int_equal(drv_ring_reap(r, &used), 1);
	}
}

static void kicks_for_nothing(const void *arg)
{
	(void)arg;
	for (int i = 0; i < 1000; i++)
		for (unsigned q = 0; q < RINGS; q++)
			assert_ok(drv_ring_kick_now(&hx.rings[q]));
	for (unsigned q = 0; q < RINGS; q++) {
		expect_nothing_used(q);
		assert_int_equal(drv_ring_wait_call(&hx.rings[q], 0), -ETIMEDOUT);
	}
}

/* ---- requests that are still under way ---- */

static int begin_flush(void)
{
	hostile_picture(1, 1024, 768, 0x123456);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 1024, 768)));
	hx.peer.stop_reading = true;
	return hostile_begin_flush(1, 1024, 768);
}

static uint16_t head_of_flush(void)
{
	const struct drv_ring *r = &hx.rings[CONTROL];

	return r->avail->ring[(r->avail_idx - 1) % RING_NUM];
}

static void head_in_use(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];
	int ticket = begin_flush();

	(void)arg;
	expect_pending(ticket);
	drv_ring_poke_avail(r, r->avail_idx, head_of_flush());
	drv_ring_poke_avail_idx(r, (uint16_t)(r->avail_idx + 1));
	assert_ok(drv_ring_kick_now(r));
	assert_ok(drv_ring_wait_err(r, WAIT_DEFAULT));
	hx.peer.stop_reading = false;
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_UPDATE, 1, WAIT_DEFAULT));
	expect_nothing_used(CONTROL); // what ends late is not given to a broken ring
	hostile_restart_ring(CONTROL);
}

/* The used ring names the head that was taken, whatever became of its descriptors meanwhile. */
static void chain_changed_under_way(const void *arg)
{
	const struct vring_desc bad = {NO_GPA, ~0u, N, 0};
	int ticket = begin_flush();

	(void)arg;
	expect_pending(ticket);
	for (unsigned i = 0; i < RING_NUM; i++)
		drv_ring_poke_desc(&hx.rings[CONTROL], i, &bad);
	hx.peer.stop_reading = false;
	assert_ack(gpu_driver_collect(&hx.gpu, ticket));
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"each of them on the cursor ring", RUNNING, on_the_cursor_ring},
	{"a buffer at the end of all addresses", RUNNING, buffer_at_the_top},
	{"a buffer over the end of all addresses", RUNNING, buffer_over_the_top},
	{"an indirect table over that end", RUNNING, table_over_the_top, &befores[0]},
	{"an indirect entry over that end", RUNNING, table_over_the_top, &befores[1]},
	{"a second indirect entry over that end", RUNNING, table_over_the_top, &befores[2]},
	{"backing over that end", RUNNING, backing_over_the_top},
	{"an indirect table across regions", RUNNING, table_across_regions, &borders[0]},
	{"an indirect entry across regions", RUNNING, table_across_regions, &borders[1]},
	{"a second entry across regions", RUNNING, table_across_regions, &borders[2]},
	{"a table but for its first byte", RUNNING, table_across_regions, &borders[3]},
	{"a table but for its last byte", RUNNING, table_across_regions, &borders[4]},
	{"a table cut at 12", RUNNING, table_across_regions, &borders[5]},
	{"the longest indirect table", RUNNING, longest_table},
	{"the longest table across regions", RUNNING, longest_table_across_regions},
	{"as many pieces as can be", RUNNING, most_pieces},
	{"more pieces than can be", RUNNING, too_many_pieces},
	{"a chain as long as the ring", RUNNING, as_long_as_the_ring},
	{"a chain longer than the ring", RUNNING, longer_than_the_ring},
	{"a chain of 4 GiB", RUNNING, four_gib, &left_outs[0]},
	{"a chain of a byte less", RUNNING, four_gib, &left_outs[1]},
	{"a chain of more than 4 GiB", RUNNING, four_gib, &left_outs[2]},
	{"a chain of nothing", RUNNING, nothing_at_all},
	{"an index one too far", RUNNING, index_jumps, &jumps[0]},
	{"an index that jumps", RUNNING, index_jumps, &jumps[1]},
	{"an index that goes back", RUNNING, index_jumps, &jumps[2]},
	{"an index half way round", RUNNING, index_jumps, &jumps[3]},
	{"an index as far as it may", RUNNING, index_at_its_most},
	{"a thousand kicks for nothing", RUNNING, kicks_for_nothing},
	{"a head that is in use", SHOWING, head_in_use},
	{"a chain changed under way", SHOWING, chain_changed_under_way},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, bad_chains, RUNNING, bad_chain);
	HOSTILE_ADD_TABLE(&list, odd_chains, RUNNING, odd_chain);
	return hostile_main(argc, argv, list.cases, list.n);
}
