/* SPDX-License-Identifier: MIT */
/* The ring: starting and stopping, requests in flight, another memory map. */
#define _GNU_SOURCE
#include "unit.h"
#include "hand.h"

#include <errno.h>

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

/* ---- start ---- */

static void test_start_sizes(void **state)
{
	const uint16_t bad[] = {0, 1, 3, 6, 100, 32767, 32769, 65535};
	struct vq other;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct vq_config cfg = hand_config(&hand);

		cfg.size = bad[i];
		assert_int_equal(vq_start(&other, &cfg, hand.mem), -EINVAL);
	}
	for (unsigned size = 2; size <= VQ_MAX_SIZE; size *= 2) {
		resize(size);
		hand_simple(&hand, size - 1, 10);
		pop_ok();
		assert_int_equal(req->head, size - 1);
		vq_push(req, 0);
		assert_true(vq_notify(&q));
		assert_int_equal(hand_used_id(&hand, 0), size - 1);
	}
}

static void assert_no_start(const struct vq_config *cfg)
{
	unsigned refs = hand.mem->refs;
	struct vq other;

	assert_int_equal(vq_start(&other, cfg, hand.mem), -EFAULT);
	assert_int_equal(hand.mem->refs, refs);
	assert_null(other.reqs);
}

static void test_start_alignment(void **state)
{
	struct vq_config cfg = hand_config(&hand);

	(void)state;
	cfg.desc += 8;
	assert_no_start(&cfg);
	cfg = hand_config(&hand);
	cfg.avail += 1;
	assert_no_start(&cfg);
	cfg = hand_config(&hand);
	cfg.used += 2;
	assert_no_start(&cfg);
}

/* Each part must lie in one piece: directly adjacent regions are two. */
static void test_start_outside(void **state)
{
	const uint64_t ends[] = {HAND_NEXT, HAND_FAR + HAND_SIZE, HAND_NEXT + HAND_SIZE};

	(void)state;
	for (unsigned i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct vq_config cfg = hand_config(&hand);

		cfg.desc = HAND_UVA + ends[i] - 16 * 7;
		assert_no_start(&cfg);
		cfg = hand_config(&hand);
		cfg.avail = HAND_UVA + ends[i] - (4 + 2 * 8);
		assert_no_start(&cfg);
		cfg = hand_config(&hand);
		cfg.used = HAND_UVA + ends[i] - (4 + 8 * 8);
		assert_no_start(&cfg);
	}
}

/* With the same byte counts, the last place that is still whole. */
static void test_start_at_the_end(void **state)
{
	const uint64_t end = HAND_UVA + HAND_FAR + HAND_SIZE;
	struct vq_config cfg = hand_config(&hand);
	struct vq other;

	(void)state;
	cfg.desc = end - 16 * 8;
	cfg.avail = end - (6 + 2 * 8);
	cfg.used = end - 4 - (6 + 8 * 8 - 2); // the next below that is aligned to 4
	assert_int_equal(vq_start(&other, &cfg, hand.mem), 0);
	vq_stop(&other);
}

static void test_start_by_gpa(void **state)
{
	struct vq_config cfg = hand_config(&hand);
	struct vq other;

	(void)state;
	cfg.by_gpa = true;
	assert_no_start(&cfg);
	cfg.desc -= HAND_UVA;
	cfg.avail -= HAND_UVA;
	cfg.used -= HAND_UVA;
	hand_simple(&hand, 3, 10);
	assert_int_equal(vq_start(&other, &cfg, hand.mem), 0);
	assert_int_equal(vq_pop(&other, &req), 1);
	vq_stop(&other);
	cfg.by_gpa = false;
	assert_no_start(&cfg);
}

/* ---- in flight ---- */

static void test_in_flight(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i += 3) {
		hand_simple(&hand, i, 8);
		pop_ok();
	}
	assert_int_equal(q.in_flight, 3);
	assert_int_equal(vq_in_flight(&q, 0)->head, 0);
	assert_int_equal(vq_in_flight(&q, 1)->head, 3);
	assert_int_equal(vq_in_flight(&q, 4)->head, 6);
	assert_null(vq_in_flight(&q, 7));
	assert_null(vq_in_flight(&q, 8));
	vq_push(vq_in_flight(&q, 3), 0);
	assert_int_equal(vq_in_flight(&q, 1)->head, 6);
}

static void test_stop_with_requests_in_flight(void **state)
{
	(void)state;
	hand_simple(&hand, 0, 8);
	pop_ok();
	hand_desc(&hand, 1, HAND_NEXT - 1, HAND_SIZE + 2, VRING_DESC_F_NEXT, 2);
	hand_desc(&hand, 2, HAND_NEXT - 1, HAND_SIZE + 2, 0, 0);
	hand_offer(&hand, 1);
	pop_ok(); // 6 pieces: a large one
	assert_int_equal(hand.mem->refs, 4);
	vq_stop(&q);
	assert_int_equal(hand.mem->refs, 1);
	assert_null(q.reqs);
}

/* A device's own request lies around struct vq_req, and is its own until it is pushed. */
static void test_req_size(void **state)
{
	struct own {
		struct vq_req req;
		char more[1000];
	};
	struct vq_config cfg = hand_config(&hand);

	(void)state;
	vq_stop(&q);
	cfg.req_size = sizeof(struct own);
	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
	for (unsigned i = 0; i < 8; i++) {
		hand_simple(&hand, i, 8);
		pop_ok();
		memset(((struct own *)(void *)req)->more, (int)i, sizeof(((struct own *)0)->more));
	}
	for (unsigned i = 0; i < 8; i++) {
		struct own *own = (void *)vq_in_flight(&q, i);

		assert_int_equal(own->req.head, i);
		assert_int_equal(own->more[0], i);
		assert_int_equal(own->more[999], i);
	}
}

/* ---- another memory map ---- */

static void test_move(void **state)
{
	struct gmem *old = hand.mem, *mem;

	(void)state;
	hand_simple(&hand, 0, 8);
	pop_ok();
	assert_int_equal(gmem_remove(old, &hand.regions[3].desc, &mem), 0);
	assert_int_equal(vq_move(&q, mem), 0);
	assert_int_equal(old->refs, 2); // of hand, and of the request in flight
	assert_ptr_equal(req->mem, old);
	memset(req->iov[0].iov_base, 1, req->iov[0].iov_len);
	vq_push(req, 3);
	assert_int_equal(old->refs, 1);
	assert_true(vq_notify(&q));
	assert_int_equal(hand_used_len(&hand, 0), 3);
	hand_desc(&hand, 1, HAND_FAR, 8, 0, 0); // was memory before
	hand_offer(&hand, 1);
	assert_broken();
	gmem_unref(old);
	hand.mem = mem;
}

/* What the last look-up found says nothing of a map with fewer regions. */
static void test_move_forgets_where_it_looked(void **state)
{
	struct gmem *mem = gmem_create(), *old = hand.mem;

	(void)state;
	hand_desc(&hand, 0, HAND_TOP, 8, 0, 0); // in the last region of five
	hand_offer(&hand, 0);
	pop_ok();
	vq_push(req, 0);
	assert_int_equal(gmem_add(mem, &hand.regions[0].desc, hand.regions[0].fd, &hand.mem), 0);
	gmem_unref(mem);
	assert_int_equal(vq_move(&q, hand.mem), 0);
	gmem_unref(old);
	hand_simple(&hand, 1, 8);
	pop_ok();
	assert_ptr_equal(req->iov[0].iov_base, hand.mem->regions[0].host + HAND_BUF);
	vq_push(req, 0);
}

static void test_move_keeps_a_map_that_only_the_queue_holds(void **state)
{
	struct gmem *mem = hand.mem;

	(void)state;
	hand.mem = gmem_create();
	gmem_unref(mem); // now the queue's reference is the last
	assert_int_equal(vq_move(&q, mem), 0);
	hand_simple(&hand, 0, 8);
	pop_ok();
	vq_push(req, 0);
	gmem_ref(mem);
	gmem_unref(hand.mem);
	hand.mem = mem;
}

/* A ring that is not in memory is not touched, whatever is asked of it, and goes on when it is back. */
static void test_move_away_and_back(void **state)
{
	struct gmem *mem;

	(void)state;
	hand_simple(&hand, 0, 8);
	assert_int_equal(gmem_remove(hand.mem, &hand.regions[0].desc, &mem), 0);
	assert_int_equal(vq_move(&q, mem), -EFAULT);
	gmem_unref(mem);
	assert_false(q.broken);
	assert_int_equal(vq_pop(&q, &req), 0);
	assert_false(vq_notify(&q));
	assert_false(vq_has_more(&q));
	vq_disable_kicks(&q);
	assert_true(vq_enable_kicks(&q));
	assert_int_equal(vq_move(&q, hand.mem), 0);
	pop_ok();
	vq_push(req, 0);
	assert_true(vq_notify(&q));
}

/* What was returned before is not published once the guest is not to be written to any more. */
static void test_nothing_is_published(void **state)
{
	struct gmem *mem;

	(void)state;
	hand_simple(&hand, 0, 8);
	pop_ok();
	vq_push(req, 0);
	assert_int_equal(gmem_remove(hand.mem, &hand.regions[0].desc, &mem), 0);
	assert_int_equal(vq_move(&q, mem), -EFAULT);
	gmem_unref(mem);
	assert_false(vq_notify(&q));
	assert_int_equal(vq_move(&q, hand.mem), 0);
	q.broken = true;
	assert_false(vq_notify(&q));
	assert_int_equal(hand_used_idx(&hand), 0);
	q.broken = false;
	assert_true(vq_notify(&q));
	assert_int_equal(hand_used_idx(&hand), 1);
}

/* Its element cannot be written, and the driver would wait for it: only a reset helps. */
static void test_return_while_away(void **state)
{
	struct gmem *mem;

	(void)state;
	hand_simple(&hand, 0, 8);
	pop_ok();
	assert_int_equal(gmem_remove(hand.mem, &hand.regions[0].desc, &mem), 0);
	assert_int_equal(vq_move(&q, mem), -EFAULT);
	gmem_unref(mem);
	vq_push(req, 0);
	assert_true(q.broken);
	assert_int_equal(vq_pop(&q, &req), -EPROTO);
}

/* ---- taking back ---- */

/* Those popped last, in a row, come again; what was finished in between does not. */
static void test_take_back(void **state)
{
	struct vq_req *reqs[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		hand_simple(&hand, i, 8);
		pop_ok();
		reqs[i] = req;
	}
	vq_push(reqs[2], 0);
	assert_int_equal(vq_take_back(&q), 2);
	assert_int_equal(q.next_avail, 3);
	assert_int_equal(vq_take_back(&q), 0); // once
	vq_push(reqs[0], 0);
	vq_push(reqs[3], 0);
	vq_push(reqs[1], 0);
	vq_push(reqs[4], 0);
	vq_notify(&q);
	assert_int_equal(hand_used_idx(&hand), 3);
	assert_int_equal(hand_used_id(&hand, 0), 2);
	assert_int_equal(hand_used_id(&hand, 1), 0);
	assert_int_equal(hand_used_id(&hand, 2), 1);
	assert_int_equal(q.in_flight, 0);
	pop_ok();
	assert_int_equal(req->head, 3);
	assert_false(req->taken_back);
	vq_push(req, 0);
}

/* A driver that writes other heads over its ring meanwhile harms nobody. */
static void test_take_back_what_is_not_there(void **state)
{
	(void)state;
	hand_simple(&hand, 1, 8);
	pop_ok();
	hand_put(&hand, 0, 5);
	assert_int_equal(vq_take_back(&q), 0);
	hand_put(&hand, 0, 0xffff);
	assert_int_equal(vq_take_back(&q), 0);
	hand_put(&hand, 0, 1);
	hand_put(&hand, 7, 1);
	assert_int_equal(vq_take_back(&q), 1);
	assert_int_equal(q.next_avail, 0);
	vq_push(req, 0);
	assert_int_equal(vq_take_back(&q), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_sizes),
		TEST(start_alignment),
		TEST(start_outside),
		TEST(start_at_the_end),
		TEST(start_by_gpa),
		TEST(in_flight),
		TEST(stop_with_requests_in_flight),
		TEST(req_size),
		TEST(move),
		TEST(move_forgets_where_it_looked),
		TEST(move_keeps_a_map_that_only_the_queue_holds),
		TEST(move_away_and_back),
		TEST(nothing_is_published),
		TEST(return_while_away),
		TEST(take_back),
		TEST(take_back_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
