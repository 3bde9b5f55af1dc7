/* SPDX-License-Identifier: MIT */
/* The ring: starting and stopping, direct chains, all that a driver may not do with them. */
#define _GNU_SOURCE
#include "unit.h"
#include "common/iov.h"
#include "hand.h"

#include <errno.h>
#include <unistd.h>

static struct hand hand;
static struct vq q;
static struct vq_req *req;

static void start(void)
{
	struct vq_config cfg = hand_config(&hand);

	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
}

static int setup(void **state)
{
	(void)state;
	hand_init(&hand, 8);
	start();
	req = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vq_stop(&q);
	assert_int_equal(hand.mem->refs, 1);
	hand_finish(&hand);
	return 0;
}

/* The same again with a ring of another size. */
static void resize(unsigned size)
{
	teardown(NULL);
	hand_init(&hand, size);
	start();
}

static void pop_ok(void)
{
	assert_int_equal(vq_pop(&q, &req), 1);
}

/* What the driver did wrong is noticed, and stays so whatever it does then. */
static void assert_broken(void)
{
	req = NULL;
	assert_int_equal(vq_pop(&q, &req), -EPROTO);
	assert_true(q.broken);
	assert_null(req);
	assert_int_equal(q.in_flight, 0);
	assert_int_equal(vq_pop(&q, &req), -EPROTO);
	assert_false(vq_has_more(&q));
}

/* ---- chains that are right ---- */

static void test_empty(void **state)
{
	(void)state;
	assert_int_equal(vq_pop(&q, &req), 0);
	assert_false(vq_has_more(&q));
	assert_false(vq_notify(&q));
	assert_null(vq_in_flight(&q, 0));
}

static void test_one_chain(void **state)
{
	const struct iovec *in;

	(void)state;
	hand_desc(&hand, 5, HAND_BUF, 100, VRING_DESC_F_NEXT, 2);
	hand_desc(&hand, 2, HAND_FAR + 7, 50, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 7);
	hand_desc(&hand, 7, HAND_BUF + 4096, 25, VRING_DESC_F_WRITE, 1);
	hand_offer(&hand, 5);
	assert_true(vq_has_more(&q));
	pop_ok();
	assert_int_equal(req->head, 5);
	assert_ptr_equal(req->vq, &q);
	assert_int_equal(req->n_out, 1);
	assert_int_equal(req->n_in, 2);
	assert_int_equal(req->out_len, 100);
	assert_int_equal(req->in_len, 75);
	assert_int_equal(vq_req_out(req)[0].iov_len, 100);
	in = vq_req_in(req);
	memset(in[0].iov_base, 0xa5, in[0].iov_len);
	memset(in[1].iov_base, 0x5a, in[1].iov_len);
	assert_int_equal(*hand_ptr(&hand, HAND_FAR + 6), 0);
	assert_int_equal(*hand_ptr(&hand, HAND_FAR + 7), 0xa5);
	assert_int_equal(*hand_ptr(&hand, HAND_FAR + 56), 0xa5);
	assert_int_equal(*hand_ptr(&hand, HAND_FAR + 57), 0);
	assert_int_equal(*hand_ptr(&hand, HAND_BUF + 4096 + 24), 0x5a);
	assert_int_equal(vq_pop(&q, &req), 0);
}

/* Address 0 is memory as any other, and so is the last byte. */
static void test_first_and_last_address(void **state)
{
	(void)state;
	hand_desc(&hand, 0, 0, 16, VRING_DESC_F_NEXT, 1);
	hand_desc(&hand, 1, UINT64_MAX, 1, 0, 0);
	hand_offer(&hand, 0);
	pop_ok();
	assert_int_equal(req->n_out, 2);
	assert_memory_equal(req->iov[0].iov_base, hand.desc, 16);
}

static void test_chain_as_long_as_the_ring(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		hand_desc(&hand, i, HAND_BUF, 1, i < 7 ? VRING_DESC_F_NEXT : 0, i + 1);
	hand_offer(&hand, 0);
	pop_ok();
	assert_int_equal(req->n_out, 8);
}

/* Without bytes the address says nothing. */
static void test_empty_buffers(void **state)
{
	const uint64_t places[] = {HAND_BUF, HAND_UVA, HAND_TAIL + HAND_SIZE, UINT64_MAX};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		hand_desc(&hand, 0, places[i], 0, VRING_DESC_F_NEXT, 1);
		hand_desc(&hand, 1, HAND_BUF, 2, VRING_DESC_F_NEXT, 2);
		hand_desc(&hand, 2, places[i], 0, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 3);
		hand_desc(&hand, 3, HAND_BUF, 3, VRING_DESC_F_WRITE, 0);
		hand_offer(&hand, 0);
		pop_ok();
		assert_int_equal(req->out_len, 2);
		assert_int_equal(iov_size(vq_req_out(req), req->n_out), 2);
		assert_int_equal(req->in_len, 3);
		assert_int_equal(iov_size(vq_req_in(req), req->n_in), 3);
		vq_push(req, 0);
	}
}

static void test_buffer_across_regions(void **state)
{
	(void)state;
	hand_desc(&hand, 0, HAND_NEXT - 1, HAND_SIZE + 2, 0, 0);
	hand_offer(&hand, 0);
	pop_ok();
	assert_int_equal(req->n_out, 3);
	assert_int_equal(req->out_len, HAND_SIZE + 2);
	assert_int_equal(req->iov[0].iov_len, 1);
	assert_int_equal(req->iov[1].iov_len, HAND_SIZE);
	assert_int_equal(req->iov[2].iov_len, 1);
}

/* Just below 4 GiB in one chain, by pointing again and again to the same memory. */
static void test_chain_of_almost_4gib(void **state)
{
	const unsigned n = 2048;

	(void)state;
	resize(2 * n);
	for (unsigned i = 0; i < n; i++)
		hand_desc(&hand, i, 0, HAND_LOW_SIZE, VRING_DESC_F_NEXT, i + 1);
	hand_desc(&hand, n - 1, 0, HAND_LOW_SIZE - 1, 0, 0);
	hand_offer(&hand, 0);
	pop_ok();
	assert_int_equal(req->out_len, UINT32_MAX);
	vq_push(req, 0);
	hand_desc(&hand, n - 1, 0, HAND_LOW_SIZE, VRING_DESC_F_WRITE, 0);
	hand_offer(&hand, 0);
	assert_broken();
}

/* ---- chains that are wrong ---- */

static void test_readable_behind_writable(void **state)
{
	(void)state;
	hand_desc(&hand, 0, HAND_BUF, 8, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	hand_desc(&hand, 1, HAND_BUF, 8, 0, 0);
	hand_offer(&hand, 0);
	assert_broken();
}

static void test_buffer_outside(void **state)
{
	const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{HAND_TAIL + HAND_SIZE, 1},
		{HAND_TAIL + HAND_SIZE - 1, 2},
		{HAND_FAR - 1, 2},
		{HAND_FAR + HAND_SIZE, 1},
		{HAND_FAR, UINT32_MAX},
		{HAND_UVA, 1},
		{UINT64_MAX, 2}, // does not go on at 0
		{HAND_TOP, HAND_SIZE + 1},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		resize(8);
		hand_desc(&hand, 0, bad[i].addr, bad[i].len, i % 2 ? VRING_DESC_F_WRITE : 0, 0);
		hand_offer(&hand, 0);
		assert_broken();
	}
}

static void test_next_outside(void **state)
{
	(void)state;
	hand_desc(&hand, 0, HAND_BUF, 8, VRING_DESC_F_NEXT, 8);
	hand_desc(&hand, 8, HAND_BUF, 8, 0, 0); // behind the table lies something that would do
	hand_offer(&hand, 0);
	assert_broken();
	resize(8);
	hand_desc(&hand, 0, HAND_BUF, 8, VRING_DESC_F_NEXT, 65535);
	hand_offer(&hand, 0);
	assert_broken();
}

static void test_loop(void **state)
{
	(void)state;
	hand_desc(&hand, 3, HAND_BUF, 0, VRING_DESC_F_NEXT, 3);
	hand_offer(&hand, 3);
	assert_broken();
	resize(8);
	hand_desc(&hand, 0, HAND_BUF, 1, VRING_DESC_F_NEXT, 1);
	hand_desc(&hand, 1, HAND_BUF, 1, VRING_DESC_F_NEXT, 0);
	hand_offer(&hand, 0);
	assert_broken();
}

static void test_head_outside(void **state)
{
	(void)state;
	hand_desc(&hand, 8, HAND_BUF, 8, 0, 0);
	hand_offer(&hand, 8);
	assert_broken();
	resize(8);
	hand_offer(&hand, 65535);
	assert_broken();
}

static void test_head_in_use(void **state)
{
	(void)state;
	hand_simple(&hand, 2, 8);
	pop_ok();
	hand_offer(&hand, 2);
	assert_int_equal(vq_pop(&q, &req), -EPROTO);
	assert_int_equal(q.in_flight, 1);
	vq_push(req, 0);
	assert_int_equal(q.in_flight, 0);
	assert_false(vq_notify(&q));
	assert_int_equal(hand_used_idx(&hand), 0); // nothing is written to a broken ring
	assert_int_equal(hand_used_id(&hand, 0), 0);
}

static void test_avail_index_jumps(void **state)
{
	(void)state;
	hand.avail[1] = 8;
	for (unsigned i = 0; i < 8; i++) {
		hand_desc(&hand, i, HAND_BUF, 8, 0, 0);
		hand_put(&hand, i, i);
	}
	pop_ok(); // as many as there are is right
	resize(8);
	hand.avail[1] = 9;
	assert_broken();
	resize(8);
	hand.avail[1] = UINT16_MAX; // backwards is a jump, too
	assert_broken();
}

/* The memory of the descriptors is taken away: what reads as zeroes then is no chain. */
static void test_memory_taken_away(void **state)
{
	struct vq_config cfg = hand_config(&hand);

	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	vq_stop(&q);
	cfg.desc = HAND_UVA + HAND_FAR;
	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
	hand_offer(&hand, 0);
	assert_int_equal(ftruncate(hand.regions[3].fd, 0), 0);
	assert_broken();
}

/* All of the ring's memory, when it has been in use. */
static void test_whole_ring_taken_away(void **state)
{
	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	hand_simple(&hand, 0, 8);
	pop_ok();
	vq_push(req, 0);
	assert_int_equal(ftruncate(hand.regions[0].fd, 0), 0);
	assert_broken();
}

/* It has served nothing yet, and what is left reads as an empty one. */
static void test_new_ring_taken_away(void **state)
{
	(void)state;
	assert_int_equal(gmem_catch_faults(), 0);
	hand_simple(&hand, 0, 8);
	assert_int_equal(ftruncate(hand.regions[0].fd, 0), 0);
	assert_broken();
}

/* ---- giving back ---- */

static void test_push_and_notify(void **state)
{
	struct vq_req *second;

	(void)state;
	hand_simple(&hand, 6, 8);
	hand_simple(&hand, 1, 8);
	pop_ok();
	assert_int_equal(vq_pop(&q, &second), 1);
	vq_push(second, 77);
	assert_int_equal(hand_used_idx(&hand), 0); // not before vq_notify()
	vq_push(req, 0xfffffff0);
	assert_true(vq_notify(&q));
	assert_int_equal(hand_used_idx(&hand), 2);
	assert_int_equal(hand_used_id(&hand, 0), 1);
	assert_int_equal(hand_used_len(&hand, 0), 77);
	assert_int_equal(hand_used_id(&hand, 1), 6);
	assert_int_equal(hand_used_len(&hand, 1), 0xfffffff0);
	assert_false(vq_notify(&q)); // nothing new
}

/* The 16-bit indices run over while requests return in another order. */
static void test_index_wraps(void **state)
{
	struct vq_config cfg = hand_config(&hand);
	struct vq_req *reqs[3];

	(void)state;
	vq_stop(&q);
	cfg.avail_base = 65530;
	hand.avail[1] = hand.used[1] = 65530;
	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 3; i++)
			hand_simple(&hand, i + round % 4, 10 + i);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(vq_pop(&q, &reqs[i]), 1);
		for (unsigned i = 3; i-- > 0;)
			vq_push(reqs[i], i);
		assert_true(vq_notify(&q));
		assert_int_equal(hand_used_idx(&hand), (uint16_t)(65530 + 3 * (round + 1)));
		assert_int_equal(hand_used_id(&hand, 65530 + 3 * round), 2 + round % 4);
	}
	assert_int_equal(vq_pop(&q, &req), 0);
}

/* A queue that is started again goes on where the used ring is, and where it is told. */
static void test_goes_on(void **state)
{
	struct vq_config cfg = hand_config(&hand);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		hand_simple(&hand, i, 8);
		pop_ok();
		vq_push(req, i);
	}
	vq_notify(&q);
	vq_stop(&q);
	cfg.avail_base = 5;
	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
	assert_int_equal(vq_pop(&q, &req), 0);
	hand_simple(&hand, 7, 8);
	pop_ok();
	vq_push(req, 9);
	assert_true(vq_notify(&q));
	assert_int_equal(hand_used_idx(&hand), 6);
	assert_int_equal(hand_used_id(&hand, 5), 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(empty),
		TEST(one_chain),
		TEST(first_and_last_address),
		TEST(chain_as_long_as_the_ring),
		TEST(empty_buffers),
		TEST(buffer_across_regions),
		TEST(chain_of_almost_4gib),
		TEST(readable_behind_writable),
		TEST(buffer_outside),
		TEST(next_outside),
		TEST(loop),
		TEST(head_outside),
		TEST(head_in_use),
		TEST(avail_index_jumps),
		TEST(memory_taken_away),
		TEST(whole_ring_taken_away),
		TEST(new_ring_taken_away),
		TEST(push_and_notify),
		TEST(index_wraps),
		TEST(goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
