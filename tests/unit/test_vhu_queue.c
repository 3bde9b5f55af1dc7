/* SPDX-License-Identifier: MIT */
/* The rings of a vhost-user device: when they run, stop, break and begin again. */
#define _GNU_SOURCE
#include "unit.h"
#include "rig.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/virtio_config.h>

static struct rig rig;
static unsigned fds_before;

static int setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	rig_init(&rig);
	rig_negotiate(&rig, 0);
	rig_tell_u64(&rig, VHOST_USER_SET_FEATURES, 1ull << VHOST_USER_F_PROTOCOL_FEATURES);
	rig_set_memory(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_finish(&rig);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

/* Offers a chain: 4 bytes to read, 16 to write. */
static void offer(unsigned head)
{
	memcpy(hand_ptr(&rig.hand, HAND_BUF), "ping", 4);
	hand_desc(&rig.hand, head, HAND_BUF, 4, VRING_DESC_F_NEXT, head + 1);
	hand_desc(&rig.hand, head + 1, HAND_BUF + 64, 16, VRING_DESC_F_WRITE, 0);
	hand_offer(&rig.hand, head);
}

static uint16_t used(void)
{
	return hand_used_idx(&rig.hand);
}

/* ---- start ---- */

static void test_serves(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	offer(2);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 1);
	assert_int_equal(used(), 1);
	assert_int_equal(hand_used_id(&rig.hand, 0), 2);
	assert_int_equal(hand_used_len(&rig.hand, 0), 4);
	assert_memory_equal(hand_ptr(&rig.hand, HAND_BUF + 64), "ping", 5); // and not a byte more
	assert_int_equal(rig_count(rig.call), 1);
	rig_kick(&rig); // for nothing
	assert_int_equal(rig.dev.requests, 1);
	assert_int_equal(rig_count(rig.call), 0);
	assert_int_equal(rig_count(rig.err), 0);
}

/* What came before the ring was started needs no kick. */
static void test_serves_what_waits(void **state)
{
	(void)state;
	offer(0);
	rig_start(&rig, 1, 0);
	assert_int_equal(rig.dev.requests, 1);
	assert_int_equal(rig.dev.queue, 1);
}

/* A driver that does not kick is served when the device looks. */
static void test_poll(void **state)
{
	(void)state;
	assert_int_equal(vhu_poll(rig.vhu, 0), 0);
	rig_start(&rig, 0, 0);
	offer(0);
	offer(2);
	assert_int_equal(rig.dev.requests, 0);
	assert_int_equal(vhu_poll(rig.vhu, 0), 2);
	assert_int_equal(rig.dev.requests, 2);
	assert_int_equal(used(), 2);
	assert_int_equal(vhu_poll(rig.vhu, 0), 0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	offer(4);
	assert_int_equal(vhu_poll(rig.vhu, 0), 0);
	rig_stop(&rig, 0);
	assert_int_equal(vhu_poll(rig.vhu, 0), 0);
}

/* The device knows its connection from the first moment to the last. */
static void test_connection(void **state)
{
	(void)state;
	assert_ptr_equal(rig.dev.vhu, rig.vhu);
	rig_reconnect(&rig); // which looks that it was told of the end
	assert_ptr_equal(rig.dev.vhu, rig.vhu);
}

/* It runs when the last of kick, address, size and enable has come, whichever that is. */
static void test_start_in_any_order(void **state)
{
	(void)state;
	offer(0);
	for (unsigned last = 0; last < 4; last++) {
		rig_reconnect(&rig);
		rig_negotiate(&rig, 0);
		rig_set_memory(&rig);
		for (unsigned i = 1; i <= 4; i++) {
			assert_int_equal(rig.dev.requests, 0);
			switch ((last + i) % 4) {
			case 0:
				rig_tell_kick(&rig, rig.kick);
				break;
			case 1:
				rig_tell_addr(&rig, rig_ring_addr(0));
				break;
			case 2:
				rig_tell_state(&rig, VHOST_USER_SET_VRING_NUM, 0, 8);
				break;
			case 3:
				rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 1);
				break;
			}
		}
		/* Address and size start nothing by themselves: no front-end sends them last. */
		if (last == 1 || last == 2)
			rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 1);
		assert_int_equal(rig.dev.requests, 1);
		rig.hand.used[1] = 0;
	}
}

static void test_disabled(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(rig.dev.requests, 1);
}

/* Who does not know SET_VRING_ENABLE has rings that run at once. */
static void test_without_protocol_features(void **state)
{
	(void)state;
	rig_tell_u64(&rig, VHOST_USER_SET_FEATURES, 1ull << VIRTIO_F_VERSION_1);
	offer(0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_NUM, 0, 8);
	rig_tell_addr(&rig, rig_ring_addr(0));
	rig_tell_kick(&rig, rig.kick);
	assert_int_equal(rig.dev.requests, 1);
}

static void test_event_idx(void **state)
{
	(void)state;
	rig_tell_u64(&rig, VHOST_USER_SET_FEATURES,
		1ull << VHOST_USER_F_PROTOCOL_FEATURES | 1ull << VIRTIO_RING_F_EVENT_IDX);
	rig_start(&rig, 0, 0);
	*hand_used_event(&rig.hand) = 1;
	offer(0);
	rig_kick(&rig);
	assert_int_equal(*hand_avail_event(&rig.hand), 1);
	assert_int_equal(rig_count(rig.call), 1); // the first time always
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig_count(rig.call), 1);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig_count(rig.call), 0); // the driver has not moved its mark
	assert_int_equal(used(), 3);
}

static void test_gpa_addresses(void **state)
{
	const struct vhost_user_vring_addr addr = {.avail = HAND_AVAIL, .used = HAND_USED};
	uint64_t offered = rig_get(&rig, VHOST_USER_GET_PROTOCOL_FEATURES);

	(void)state;
	rig_tell_u64(&rig, VHOST_USER_SET_PROTOCOL_FEATURES, offered);
	offer(0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_NUM, 0, 8);
	rig_tell_addr(&rig, addr);
	rig_tell_kick(&rig, rig.kick);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(rig.dev.requests, 1);
}

/* Addresses that are nowhere are the guest's doing: it is told, and the front-end keeps us. */
static void test_addresses_outside(void **state)
{
	struct vhost_user_vring_addr addr = rig_ring_addr(0);

	(void)state;
	rig_start(&rig, 0, 0);
	rig_stop(&rig, 0);
	addr.used = 0x1234;
	rig_tell_addr(&rig, addr);
	rig_tell_kick(&rig, rig.kick);
	assert_int_equal(rig_count(rig.err), 1);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 0);
	rig_tell_addr(&rig, rig_ring_addr(0));
	rig_tell_kick(&rig, rig.kick);
	assert_int_equal(rig.dev.requests, 1);
}

/* What a running ring lies on cannot be changed under it. */
static void test_running_ring_refuses(void **state)
{
	const struct vhost_user_vring_addr addr = rig_ring_addr(0);

	(void)state;
	rig_start(&rig, 0, 0);
	assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_NUM, 0, 16), 0);
	assert_int_not_equal(rig_ack_state(&rig, VHOST_USER_SET_VRING_BASE, 0, 1), 0);
	assert_int_not_equal(rig_ack(&rig,
				     (struct rig_msg){.request = VHOST_USER_SET_VRING_ADDR,
					     .payload = &addr,
					     .size = sizeof(addr)}),
		0);
}

/* ---- eventfds ---- */

static void test_new_kick(void **state)
{
	int kick = eventfd(0, EFD_NONBLOCK);

	(void)state;
	rig_start(&rig, 0, 0);
	rig_tell_kick(&rig, kick);
	offer(0);
	rig_kick(&rig); // the old one
	assert_int_equal(rig.dev.requests, 0);
	assert_int_equal(eventfd_write(kick, 1), 0);
	rig_turns(&rig);
	assert_int_equal(rig.dev.requests, 1);
	close(kick);
}

/* Many kicks that nobody reads: the counter is never the reason that one is missed. */
static void test_kicks_are_not_read(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	for (unsigned i = 1; i < 50; i++) {
		offer(i % 7);
		rig_kick(&rig);
		assert_int_equal(rig.dev.requests, i);
	}
	assert_int_equal(rig_count(rig.kick), 49);
}

static void test_without_call_and_err(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig_tell_u64(&rig, VHOST_USER_SET_VRING_CALL, VHOST_USER_VRING_NOFD);
	rig_tell_u64(&rig, VHOST_USER_SET_VRING_ERR, VHOST_USER_VRING_NOFD);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(used(), 1);
	hand_offer(&rig.hand, 99);
	rig_kick(&rig);
	assert_int_equal(rig_count(rig.call) + rig_count(rig.err), 0);
}

static void test_no_interrupt(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig.hand.avail[0] = VRING_AVAIL_F_NO_INTERRUPT;
	offer(0);
	rig_kick(&rig);
	assert_int_equal(used(), 1);
	assert_int_equal(rig_count(rig.call), 0);
}

/* While a ring is served it wants no kicks; afterwards it does. */
static uint16_t flags_seen;

static void look_at_flags(void)
{
	flags_seen = rig.hand.used[0];
}

static void test_no_kicks_while_serving(void **state)
{
	(void)state;
	rig.dev.after = look_at_flags;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(flags_seen, VRING_USED_F_NO_NOTIFY);
	assert_int_equal(rig.hand.used[0], 0);
}

/* ---- turns ---- */

static void offer_again(void)
{
	hand_offer(&rig.hand, 0);
}

/* A driver that always has more does not keep the loop from others. */
static void test_endless_driver(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig.dev.after = offer_again;
	offer(0);
	assert_int_equal(eventfd_write(rig.kick, 1), 0);
	assert_int_equal(loop_turn(rig.loop, 0), 0);
	assert_in_range(rig.dev.requests, 4, 16); // a batch at least, two rings' length at most
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
	rig.dev.after = NULL;
	rig_turns(&rig);
	assert_int_equal(used(), (uint16_t)rig.dev.requests);
	assert_int_equal(rig.hand.avail[1], (uint16_t)rig.dev.requests); // none is left
}

static void test_late_answers(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	offer(2);
	offer(4);
	rig_kick(&rig);
	assert_int_equal(rig.dev.n_kept, 3);
	assert_int_equal(used(), 0);
	assert_int_equal(rig_count(rig.call), 0);
	vhu_finish(rig.dev.kept[1], "late", 4);
	vhu_finish_written(rig.dev.kept[2], 5);
	assert_int_equal(used(), 0); // at the end of the turn
	rig_turns(&rig);
	assert_int_equal(used(), 2);
	assert_int_equal(hand_used_id(&rig.hand, 0), 2);
	assert_int_equal(hand_used_len(&rig.hand, 0), 4);
	assert_int_equal(hand_used_id(&rig.hand, 1), 4);
	assert_int_equal(hand_used_len(&rig.hand, 1), 5);
	assert_int_equal(rig_count(rig.call), 1); // once for both
	rig.dev.n_kept = 1;
}

/* An answer that is longer than its room is cut, and said to be so long. */
static void test_long_answers(void **state)
{
	char reply[100];

	(void)state;
	memset(reply, 'x', sizeof(reply));
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	vhu_finish(rig.dev.kept[--rig.dev.n_kept], reply, sizeof(reply));
	rig_turns(&rig);
	assert_int_equal(hand_used_len(&rig.hand, 0), 16);
	assert_int_equal(*hand_ptr(&rig.hand, HAND_BUF + 79), 'x');
	assert_int_equal(*hand_ptr(&rig.hand, HAND_BUF + 80), 0);
}

/* More large chains than there is room for wait, and are served without another kick. */
static void test_starved(void **state)
{
	const unsigned n = VQ_LARGE + 2;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		hand_table(&rig.hand, HAND_FAR, i,
			(struct vring_desc){
				HAND_BUF, 1, i < 4 ? VRING_DESC_F_NEXT : 0, (uint16_t)(i + 1)});
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	for (unsigned i = 0; i < n; i++) {
		hand_desc(&rig.hand, i, HAND_FAR, 5 * 16, VRING_DESC_F_INDIRECT, 0);
		hand_offer(&rig.hand, i);
	}
	rig_kick(&rig);
	assert_int_equal(rig.dev.n_kept, VQ_LARGE);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, VQ_LARGE);
	vhu_finish(rig.dev.kept[--rig.dev.n_kept], NULL, 0);
	rig_turns(&rig);
	assert_int_equal(rig.dev.requests, VQ_LARGE + 1);
	rig.dev.keep = false;
	vhu_finish(rig.dev.kept[--rig.dev.n_kept], NULL, 0);
	rig_turns(&rig);
	assert_int_equal(rig.dev.requests, n);
	assert_int_equal(used(), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves),
		TEST(serves_what_waits),
		TEST(poll),
		TEST(connection),
		TEST(start_in_any_order),
		TEST(disabled),
		TEST(without_protocol_features),
		TEST(event_idx),
		TEST(gpa_addresses),
		TEST(addresses_outside),
		TEST(running_ring_refuses),
		TEST(new_kick),
		TEST(kicks_are_not_read),
		TEST(without_call_and_err),
		TEST(no_interrupt),
		TEST(no_kicks_while_serving),
		TEST(endless_driver),
		TEST(late_answers),
		TEST(long_answers),
		TEST(starved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
