/* SPDX-License-Identifier: MIT */
/* The ring: who wants to be told what (VIRTIO 1.3, 2.7.7 and 2.7.10). */
#include "unit.h"
#include "hand.h"

static struct hand hand;
static struct vq q;

static void start(bool event_idx, uint16_t base)
{
	struct vq_config cfg = hand_config(&hand);

	cfg.event_idx = event_idx;
	cfg.avail_base = hand.avail[1] = hand.used[1] = base;
	assert_int_equal(vq_start(&q, &cfg, hand.mem), 0);
}

static int setup(void **state)
{
	(void)state;
	hand_init(&hand, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vq_stop(&q);
	hand_finish(&hand);
	return 0;
}

/* n requests go through; published at once. True: the driver is to be told. */
static bool serve(unsigned n)
{
	struct vq_req *req;

	while (n--) {
		hand_simple(&hand, 0, 8);
		assert_int_equal(vq_pop(&q, &req), 1);
		vq_push(req, 0);
	}
	return vq_notify(&q);
}

/* ---- flags ---- */

static void test_no_interrupt(void **state)
{
	(void)state;
	start(false, 0);
	assert_true(serve(1));
	hand.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(serve(1));
	assert_int_equal(hand_used_idx(&hand), 2); // published all the same
	hand.avail[0] = 0xfffe;                    // other bits say nothing
	assert_true(serve(1));
}

static void test_no_notify(void **state)
{
	(void)state;
	start(false, 0);
	vq_disable_kicks(&q);
	assert_int_equal(hand.used[0], VRING_USED_F_NO_NOTIFY);
	assert_true(vq_enable_kicks(&q));
	assert_int_equal(hand.used[0], 0);
}

/* What came between the last look and the wish for kicks is noticed. */
static void test_enable_kicks_sees_more(void **state)
{
	(void)state;
	for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
		start(event_idx, 0);
		vq_disable_kicks(&q);
		hand_simple(&hand, 0, 8);
		assert_false(vq_enable_kicks(&q));
		assert_true(vq_has_more(&q));
		vq_stop(&q);
	}
}

/* ---- EVENT_IDX, the driver's wish ---- */

static void test_first_is_told(void **state)
{
	(void)state;
	start(true, 0);
	*hand_used_event(&hand) = 500; // the first time nobody knows what the driver has seen
	assert_true(serve(1));
	assert_false(serve(1));
}

static void test_used_event(void **state)
{
	(void)state;
	start(true, 0);
	serve(1);
	*hand_used_event(&hand) = 1; // "when the index passes 1": with the second
	assert_true(serve(1));
	assert_false(serve(1));
	*hand_used_event(&hand) = 5; // with the sixth
	assert_false(serve(1));
	assert_false(serve(1));
	assert_true(serve(1));
	*hand_used_event(&hand) = 2; // long ago
	assert_false(serve(1));
}

static void test_used_event_within_a_batch(void **state)
{
	(void)state;
	start(true, 0);
	serve(1);
	*hand_used_event(&hand) = 3;
	assert_true(serve(5)); // 2 to 6
	*hand_used_event(&hand) = 6;
	assert_true(serve(3)); // its first
	*hand_used_event(&hand) = 11;
	assert_true(serve(3)); // its last
	*hand_used_event(&hand) = 15;
	assert_false(serve(3)); // not yet
}

/* NO_INTERRUPT has no meaning then. */
static void test_flags_do_not_count(void **state)
{
	(void)state;
	start(true, 0);
	serve(1);
	hand.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	*hand_used_event(&hand) = 1;
	assert_true(serve(1));
	vq_disable_kicks(&q);
	assert_int_equal(hand.used[0], 0);
}

static void test_used_event_wraps(void **state)
{
	(void)state;
	start(true, 65533);
	serve(1); // 65534
	*hand_used_event(&hand) = 65535;
	assert_false(serve(1));
	assert_true(serve(1)); // 0
	*hand_used_event(&hand) = 1;
	assert_false(serve(1));
	assert_true(serve(1));
	*hand_used_event(&hand) = 65534;
	assert_false(serve(1));
}

/* ---- EVENT_IDX, our wish ---- */

static void test_avail_event(void **state)
{
	(void)state;
	start(true, 65535);
	assert_true(vq_enable_kicks(&q));
	assert_int_equal(*hand_avail_event(&hand), 65535);
	serve(1);
	assert_true(vq_enable_kicks(&q));
	assert_int_equal(*hand_avail_event(&hand), 0);
	hand_simple(&hand, 0, 8);
	assert_false(vq_enable_kicks(&q)); // it wants no kick for what it has not served
	assert_int_equal(*hand_avail_event(&hand), 0);
}

static void test_nothing_without_event_idx(void **state)
{
	(void)state;
	start(false, 0);
	*hand_avail_event(&hand) = 0x1234;
	serve(3);
	vq_disable_kicks(&q);
	vq_enable_kicks(&q);
	assert_int_equal(*hand_avail_event(&hand), 0x1234);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_interrupt),
		TEST(no_notify),
		TEST(enable_kicks_sees_more),
		TEST(first_is_told),
		TEST(used_event),
		TEST(used_event_within_a_batch),
		TEST(flags_do_not_count),
		TEST(used_event_wraps),
		TEST(avail_event),
		TEST(nothing_without_event_idx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
