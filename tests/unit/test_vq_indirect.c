/* SPDX-License-Identifier: MIT */
/* The ring: indirect tables (VIRTIO 1.3, 2.7.5.3) and chains of many pieces. */
#include "unit.h"
#include "hand.h"

#include <errno.h>

#define TABLE (HAND_BUF + 0x80000)

static struct hand hand;
static struct vq q;
static struct vq_req *req;

static int setup(void **state)
{
	struct vq_config cfg;

	(void)state;
	hand_init(&hand, 8);
	cfg = hand_config(&hand);
	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
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

static void again(void)
{
	teardown(NULL);
	setup(NULL);
}

static void assert_broken(void)
{
	assert_int_equal(vq_pop(&q, &req), -EPROTO);
	assert_int_equal(q.in_flight, 0);
}

/* Offers head as an indirect descriptor of `bytes` bytes of table. */
static void offer_table(unsigned head, uint64_t gpa, uint32_t bytes)
{
	hand_desc(&hand, head, gpa, bytes, VRING_DESC_F_INDIRECT, 0);
	hand_offer(&hand, head);
}

/* A table of n readable pieces, each of 1 byte, one behind the other in HAND_BUF. */
static void fill_table(uint64_t gpa, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		hand_table(&hand, gpa, i,
			(struct vring_desc){HAND_BUF + i, 1, i + 1 < n ? VRING_DESC_F_NEXT : 0,
				(uint16_t)(i + 1)});
}

static void assert_table_popped(unsigned n)
{
	assert_int_equal(vq_pop(&q, &req), 1);
	assert_int_equal(req->n_out, n);
	assert_int_equal(req->out_len, n);
	for (unsigned i = 0; i < n; i++) {
		*hand_ptr(&hand, HAND_BUF + i) = (uint8_t)(i + 1);
		assert_int_equal(*(uint8_t *)req->iov[i].iov_base, (uint8_t)(i + 1));
		assert_int_equal(req->iov[i].iov_len, 1);
	}
}

static void test_table(void **state)
{
	(void)state;
	fill_table(TABLE, 3);
	offer_table(4, TABLE, 3 * 16);
	assert_table_popped(3);
	assert_int_equal(req->head, 4);
	vq_push(req, 0);
	vq_notify(&q);
	assert_int_equal(hand_used_id(&hand, 0), 4);
}

/* The entries need not be in order, nor all be used; WRITE on the table means nothing. */
static void test_table_out_of_order(void **state)
{
	(void)state;
	hand_table(&hand, TABLE, 0, (struct vring_desc){HAND_BUF, 7, VRING_DESC_F_NEXT, 3});
	hand_table(&hand, TABLE, 3,
		(struct vring_desc){HAND_BUF, 9, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1});
	hand_table(&hand, TABLE, 1, (struct vring_desc){HAND_BUF, 11, VRING_DESC_F_WRITE, 77});
	hand_desc(&hand, 0, TABLE, 4 * 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	hand_offer(&hand, 0);
	assert_int_equal(vq_pop(&q, &req), 1);
	assert_int_equal(req->out_len, 7);
	assert_int_equal(req->in_len, 20);
	assert_int_equal(req->n_in, 2);
}

static void test_behind_direct_ones(void **state)
{
	(void)state;
	hand_desc(&hand, 0, HAND_BUF, 100, VRING_DESC_F_NEXT, 1);
	hand_desc(&hand, 1, HAND_BUF, 200, VRING_DESC_F_NEXT, 2);
	hand_desc(&hand, 2, TABLE, 2 * 16, VRING_DESC_F_INDIRECT, 0);
	fill_table(TABLE, 2);
	hand_offer(&hand, 0);
	assert_int_equal(vq_pop(&q, &req), 1);
	assert_int_equal(req->n_out, 4);
	assert_int_equal(req->out_len, 302);
}

/* The order of readable and writable holds over both. */
static void test_behind_a_writable_one(void **state)
{
	(void)state;
	hand_desc(&hand, 0, HAND_BUF, 100, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	hand_desc(&hand, 1, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
	fill_table(TABLE, 1);
	hand_offer(&hand, 0);
	assert_broken();
}

/* A table may lie anywhere: across two regions within one entry, and at any address. */
static void test_table_anywhere(void **state)
{
	const uint64_t places[] = {TABLE + 8, TABLE + 4, TABLE + 1, TABLE + 15, HAND_NEXT - 24,
		HAND_NEXT - 17, HAND_NEXT - 16, HAND_TAIL - 40, HAND_TOP, 0 - 5 * 16};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		fill_table(places[i], 5);
		offer_table(i % 8, places[i], 5 * 16);
		assert_table_popped(5);
		vq_push(req, 0);
	}
}

static void test_table_outside(void **state)
{
	const uint64_t places[] = {HAND_TAIL + HAND_SIZE, HAND_TAIL + HAND_SIZE - 16,
		HAND_TAIL + HAND_SIZE - 24, HAND_FAR - 1, HAND_UVA, 0 - 16, 0 - 24, UINT64_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++) {
		again();
		/* An entry that can be read goes on to the one that cannot. */
		if (places[i] - HAND_TAIL <= HAND_SIZE - 16
			|| places[i] - HAND_TOP <= HAND_SIZE - 16)
			hand_table(&hand, places[i], 0,
				(struct vring_desc){HAND_BUF, 1, VRING_DESC_F_NEXT, 1});
		hand_desc(&hand, 1, places[i], 32, VRING_DESC_F_INDIRECT, 0);
		hand_desc(&hand, 0, HAND_BUF, 1, 0, 0);
		hand_offer(&hand, 1);
		assert_broken();
	}
}

static void test_table_sizes(void **state)
{
	const uint32_t bad[] = {0, 1, 15, 17, 16 * 1025, 0xfffffff0, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		again();
		fill_table(TABLE, 1);
		offer_table(0, TABLE, bad[i]);
		assert_broken();
	}
	again();
	fill_table(TABLE, 1024);
	offer_table(0, TABLE, 16 * 1024);
	assert_table_popped(1024);
}

static void test_with_next(void **state)
{
	(void)state;
	fill_table(TABLE, 1);
	hand_desc(&hand, 0, TABLE, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1);
	hand_desc(&hand, 1, HAND_BUF, 1, 0, 0);
	hand_offer(&hand, 0);
	assert_broken();
}

static void test_leaves_its_table(void **state)
{
	(void)state;
	fill_table(TABLE, 4);
	offer_table(0, TABLE, 3 * 16);
	assert_broken();
}

/* Behind the table lies what would do. */
static void test_jumps_out_of_its_table(void **state)
{
	const uint16_t next[] = {2, 3, 65535};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		again();
		for (unsigned e = 1; e < 5; e++)
			hand_table(&hand, TABLE, e, (struct vring_desc){HAND_BUF, 1, 0, 0});
		hand_table(&hand, TABLE, 0,
			(struct vring_desc){HAND_BUF, 1, VRING_DESC_F_NEXT, next[i]});
		offer_table(0, TABLE, 2 * 16);
		assert_broken();
	}
}

static void test_table_loops(void **state)
{
	(void)state;
	hand_table(&hand, TABLE, 0, (struct vring_desc){HAND_BUF, 0, VRING_DESC_F_NEXT, 1});
	hand_table(&hand, TABLE, 1, (struct vring_desc){HAND_BUF, 0, VRING_DESC_F_NEXT, 0});
	offer_table(0, TABLE, 2 * 16);
	assert_broken();
}

static void test_indirect_in_indirect(void **state)
{
	(void)state;
	hand_table(
		&hand, TABLE, 0, (struct vring_desc){TABLE + 4096, 16, VRING_DESC_F_INDIRECT, 0});
	fill_table(TABLE + 4096, 1);
	offer_table(0, TABLE, 16);
	assert_broken();
}

static void test_bad_piece_in_table(void **state)
{
	(void)state;
	hand_table(&hand, TABLE, 0, (struct vring_desc){HAND_UVA, 16, 0, 0});
	offer_table(0, TABLE, 16);
	assert_broken();
}

/* ---- many pieces ---- */

/* As many pieces as fit: each entry has two, then three, which is too many. */
static void test_most_pieces(void **state)
{
	(void)state;
	fill_table(TABLE, 1024);
	for (unsigned i = 0; i < 1024; i++)
		hand_table(&hand, TABLE, i,
			(struct vring_desc){HAND_NEXT - 1, 2, i < 1023 ? VRING_DESC_F_NEXT : 0,
				(uint16_t)(i + 1)});
	offer_table(0, TABLE, 16 * 1024);
	assert_int_equal(vq_pop(&q, &req), 1);
	assert_int_equal(req->n_out, 2048);
	vq_push(req, 0);
	hand_table(&hand, TABLE, 0,
		(struct vring_desc){HAND_NEXT - 1, HAND_SIZE + 2, VRING_DESC_F_NEXT, 1});
	offer_table(0, TABLE, 16 * 1024);
	assert_broken();
}

/* A chain of more than iov_per_req pieces borrows an array; five at a time find one. */
static void test_large_chains(void **state)
{
	struct vq_req *reqs[8];
	unsigned n;

	(void)state;
	fill_table(TABLE, 5);
	for (unsigned i = 0; i < 6; i++)
		offer_table(i, TABLE, 5 * 16);
	hand_simple(&hand, 6, 8);
	for (n = 0; vq_pop(&q, &reqs[n]) == 1; n++)
		assert_int_equal(reqs[n]->n_out, 5);
	assert_int_equal(n, VQ_LARGE);
	assert_int_equal(vq_pop(&q, &req), -EAGAIN); // and not the small one behind it
	assert_true(vq_has_more(&q));
	assert_false(q.broken);
	assert_int_equal(q.in_flight, VQ_LARGE);
	vq_push(reqs[2], 0);
	assert_int_equal(vq_pop(&q, &req), 1);
	assert_int_equal(req->head, VQ_LARGE);
	assert_int_equal(vq_pop(&q, &req), -EAGAIN);
	vq_push(reqs[0], 0);
	vq_push(reqs[1], 0);
	assert_int_equal(vq_pop(&q, &reqs[0]), 1);
	assert_int_equal(vq_pop(&q, &reqs[1]), 1);
	assert_int_equal(reqs[1]->n_out, 1);
	assert_int_equal(vq_pop(&q, &req), 0);
}

/* The pieces of one that is in flight stay what they are while others come and go. */
static void test_large_chains_are_apart(void **state)
{
	struct vq_req *first;
	void *base;

	(void)state;
	fill_table(TABLE, 6);
	offer_table(0, TABLE, 6 * 16);
	assert_int_equal(vq_pop(&q, &first), 1);
	base = first->iov[5].iov_base;
	for (unsigned i = 0; i < 20; i++) {
		fill_table(TABLE + 4096, 7 + i);
		offer_table(1, TABLE + 4096, (7 + i) * 16);
		assert_table_popped(7 + i);
		assert_ptr_not_equal(req->iov, first->iov);
		vq_push(req, 0);
	}
	assert_ptr_equal(first->iov[5].iov_base, base);
	vq_push(first, 0);
	vq_notify(&q);
	assert_int_equal(hand_used_idx(&hand), 21);
}

/* Exactly iov_per_req pieces are an ordinary chain. */
static void test_ordinary_chains_borrow_nothing(void **state)
{
	(void)state;
	fill_table(TABLE, 4);
	for (unsigned i = 0; i < 8; i++) {
		offer_table(i, TABLE, 4 * 16);
		assert_int_equal(vq_pop(&q, &req), 1);
	}
	assert_int_equal(q.n_large, VQ_LARGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(table),
		TEST(table_out_of_order),
		TEST(behind_direct_ones),
		TEST(behind_a_writable_one),
		TEST(table_anywhere),
		TEST(table_outside),
		TEST(table_sizes),
		TEST(with_next),
		TEST(leaves_its_table),
		TEST(jumps_out_of_its_table),
		TEST(table_loops),
		TEST(indirect_in_indirect),
		TEST(bad_piece_in_table),
		TEST(most_pieces),
		TEST(large_chains),
		TEST(large_chains_are_apart),
		TEST(ordinary_chains_borrow_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
