/* SPDX-License-Identifier: MIT */
/* The rings of a vhost-user device: stopping, resets, broken rings, memory that changes. */
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

/* ---- stop ---- */

static void test_stop(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	offer(2);
	rig_kick(&rig);
	assert_int_equal(rig_stop(&rig, 0), 2);
	assert_int_equal(rig.dev.stops, 1);
	assert_int_equal(used(), 2); // the driver sees the end of what it asked for
	assert_int_equal(hand_used_len(&rig.hand, 0), 7);
	assert_int_equal(rig_count(rig.call), 1);
	offer(4);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 2);
	assert_int_equal(rig_stop(&rig, 0), 2); // stopped is stopped
	assert_int_equal(rig.dev.stops, 1);
}

/* A device may have its requests come again behind a pause, rather than end them for it. */
static void test_stop_takes_back(void **state)
{
	(void)state;
	rig.device.takes_back = true;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	offer(2);
	rig_kick(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	assert_int_equal(rig.dev.stops, 1);
	assert_int_equal(used(), 0);
	rig.dev.keep = false;
	rig_start(&rig, 0, 0);
	assert_int_equal(rig.dev.requests, 4);
	assert_int_equal(rig.dev.resets, 0);
	assert_int_equal(used(), 2);
}

/* What a device does not finish is finished for it. */
static void test_stop_without_the_device(void **state)
{
	(void)state;
	rig.device.queue_stop = NULL;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	offer(2);
	rig_kick(&rig);
	rig.dev.n_kept = 0; // forgotten
	assert_int_equal(rig_stop(&rig, 0), 2);
	assert_int_equal(used(), 2);
	assert_int_equal(hand_used_len(&rig.hand, 0) + hand_used_len(&rig.hand, 1), 0);
}

static void test_stop_what_never_ran(void **state)
{
	(void)state;
	assert_int_equal(rig_stop(&rig, 2), 0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_BASE, 2, 1234);
	assert_int_equal(rig_stop(&rig, 2), 1234);
	assert_int_equal(rig.dev.stops, 0);
}

/* A pause: what came meanwhile is served when it goes on. */
static void test_goes_on(void **state)
{
	uint32_t base;

	(void)state;
	rig_start(&rig, 0, 0);
	for (unsigned i = 0; i < 5; i++) {
		offer(0);
		rig_kick(&rig);
	}
	base = rig_stop(&rig, 0);
	assert_int_equal(base, 5);
	offer(3);
	rig_start(&rig, 0, (uint16_t)base);
	assert_int_equal(rig.dev.requests, 6);
	assert_int_equal(hand_used_id(&rig.hand, 5), 3);
	assert_int_equal(rig.dev.resets, 0);
}

/* Nothing is lost when a ring is stopped that still has requests waiting. */
static void test_stop_with_requests_waiting(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 0);
	offer(0);
	offer(2);
	rig_kick(&rig);
	assert_int_equal(rig_stop(&rig, 0), 0);
	rig_start(&rig, 0, 0);
	assert_int_equal(rig.dev.requests, 2);
}

static void restart_ring(uint16_t base)
{
	rig_tell_state(&rig, VHOST_USER_SET_VRING_BASE, 0, base);
	rig.hand.avail[1] = rig.hand.used[1] = base;
	rig_tell_kick(&rig, rig.kick);
}

/* A driver's reset may come as no more than all rings starting at 0 again. */
static void test_begins_anew(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig_start(&rig, 1, 0);
	assert_int_equal(rig.dev.resets, 0);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig_stop(&rig, 0), 1);
	restart_ring(0); // ring 1 runs: it was no reset
	assert_int_equal(rig.dev.resets, 0);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig_stop(&rig, 0), 1);
	rig_stop(&rig, 1);
	restart_ring(1); // goes on
	assert_int_equal(rig.dev.resets, 0);
	rig_stop(&rig, 0);
	restart_ring(0);
	assert_int_equal(rig.dev.resets, 1);
}

/* A reset that was told is not made twice. */
static void test_begins_anew_once(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	rig_stop(&rig, 0);
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_RESET_DEVICE});
	assert_int_equal(rig.dev.resets, 1);
	restart_ring(0);
	assert_int_equal(rig.dev.resets, 1);
}

/* ---- reset ---- */

static void assert_reset(struct rig_msg m)
{
	rig.dev.keep = true;
	rig_start(&rig, 0, rig.hand.avail[1]);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig.dev.n_kept, 1);
	memset(hand_ptr(&rig.hand, HAND_BUF + 64), 0, 16);
	rig_tell(&rig, m);
	assert_int_equal(rig.dev.n_kept, 0);
	assert_int_equal(rig_count(rig.call), 0);
	assert_int_equal(*hand_ptr(&rig.hand, HAND_BUF + 64), 0); // not a byte to the guest
}

static void test_reset(void **state)
{
	const uint64_t zero = 0;

	(void)state;
	assert_reset((struct rig_msg){.request = VHOST_USER_RESET_DEVICE});
	assert_int_equal(used(), 0);
	assert_int_equal(rig.dev.resets, 1);
	assert_reset((struct rig_msg){
		.request = VHOST_USER_SET_STATUS, .payload = &zero, .size = sizeof(zero)});
	assert_int_equal(used(), 0);
	assert_int_equal(rig.dev.resets, 2);
}

/* A reset disables the rings; the next start enables them. */
static void test_reset_disables(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_RESET_DEVICE});
	offer(0);
	rig_tell_kick(&rig, rig.kick);
	assert_int_equal(rig.dev.requests, 0);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	assert_int_equal(rig.dev.requests, 1);
}

/* The front-end is gone, and with it all right to the guest's memory. */
static void test_destroy_with_requests_in_flight(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	vhu_destroy(rig.vhu);
	rig.vhu = NULL;
	assert_int_equal(rig.dev.stops, 1);
	assert_int_equal(rig.dev.resets, 1);
	assert_int_equal(used(), 0);
	assert_int_equal(*hand_ptr(&rig.hand, HAND_BUF + 64), 0);
	assert_int_equal(rig_count(rig.call), 0);
	rig_turns(&rig); // no job is left
}

/* ---- broken rings ---- */

static void test_broken(void **state)
{
	(void)state;
	rig_start(&rig, 0, 0);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
	hand_offer(&rig.hand, 99);
	rig_kick(&rig);
	assert_int_equal(rig_count(rig.err), 1);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), VIRTIO_CONFIG_S_NEEDS_RESET);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 0);
	assert_int_equal(rig_count(rig.err), 0); // told once
	rig_tell(&rig, (struct rig_msg){.request = VHOST_USER_RESET_DEVICE});
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
	rig.hand.avail[1] = 0;
	offer(0);
	rig_start(&rig, 0, 0);
	assert_int_equal(rig.dev.requests, 1);
}

/* A broken ring stops as any other; where it stopped is before the bad chain. */
static void test_broken_ring_stops(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	hand_offer(&rig.hand, 99);
	rig_kick(&rig);
	assert_int_equal(rig.dev.n_kept, 1);
	assert_int_equal(rig_stop(&rig, 0), 1);
	assert_int_equal(rig.dev.n_kept, 0);
	assert_int_equal(used(), 0);
}

/* One ring's trouble is not another's. */
static void test_other_rings_go_on(void **state)
{
	struct vhost_user_vring_addr addr = rig_ring_addr(1);
	int kick = eventfd(0, EFD_NONBLOCK);
	const uint64_t one = 1;

	(void)state;
	rig_start(&rig, 0, 0);
	addr.desc = HAND_UVA + HAND_FAR; // nothing but zeroes: no request
	addr.avail = addr.desc + 0x1000;
	addr.used = addr.desc + 0x2000;
	rig_tell_addr(&rig, addr);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_NUM, 1, 8);
	rig_tell_state(&rig, VHOST_USER_SET_VRING_ENABLE, 1, 1);
	rig_tell(&rig,
		(struct rig_msg){.request = VHOST_USER_SET_VRING_KICK,
			.payload = &one,
			.size = 8,
			.fds = &kick,
			.n_fds = 1});
	*(uint16_t *)(void *)hand_ptr(&rig.hand, HAND_FAR + 0x1002) = 100; // jumps
	assert_int_equal(eventfd_write(kick, 1), 0);
	rig_turns(&rig);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 1);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), VIRTIO_CONFIG_S_NEEDS_RESET);
	close(kick);
}

/* ---- another memory map ---- */

/* The same memory again while a request is in flight: it ends as if nothing had been. */
static void test_memory_changes(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	rig_set_memory(&rig);
	assert_int_equal(rig.dev.memories, 2);
	vhu_finish(rig.dev.kept[--rig.dev.n_kept], "yes", 3);
	rig_turns(&rig);
	assert_int_equal(used(), 1);
	assert_memory_equal(hand_ptr(&rig.hand, HAND_BUF + 64), "yes", 3);
	offer(0);
	rig_kick(&rig);
	assert_int_equal(rig.dev.n_kept, 1);
}

static void take_memory_away(void)
{
	const uint8_t empty[8] = {0};

	rig_tell(&rig,
		(struct rig_msg){.request = VHOST_USER_SET_MEM_TABLE, .payload = empty, .size = 8});
}

/* A region is changed by removing it and adding it again: the ring in it goes on without a kick. */
static void test_memory_leaves_and_comes_back(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	take_memory_away();
	offer(2);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 1);
	assert_int_equal(rig_count(rig.err), 0);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), 0);
	rig_set_memory(&rig);
	assert_int_equal(rig.dev.requests, 2);
	while (rig.dev.n_kept)
		vhu_finish(rig.dev.kept[--rig.dev.n_kept], "yes", 3);
	rig_turns(&rig);
	assert_int_equal(used(), 2);
	assert_int_equal(rig_count(rig.call), 1);
}

/* An answer that cannot be given: the driver is told that only a reset helps. */
static void test_answer_while_memory_is_away(void **state)
{
	(void)state;
	rig.dev.keep = true;
	rig_start(&rig, 0, 0);
	offer(0);
	rig_kick(&rig);
	take_memory_away();
	vhu_finish(rig.dev.kept[--rig.dev.n_kept], "no", 2);
	rig_turns(&rig);
	assert_int_equal(used(), 0);
	assert_int_equal(rig_count(rig.err), 1);
	assert_int_equal(rig_get(&rig, VHOST_USER_GET_STATUS), VIRTIO_CONFIG_S_NEEDS_RESET);
	rig_set_memory(&rig);
	offer(2);
	rig_kick(&rig);
	assert_int_equal(rig.dev.requests, 1);
	assert_int_equal(rig_stop(&rig, 0), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stop),
		TEST(stop_takes_back),
		TEST(stop_without_the_device),
		TEST(stop_what_never_ran),
		TEST(goes_on),
		TEST(stop_with_requests_waiting),
		TEST(begins_anew),
		TEST(begins_anew_once),
		TEST(reset),
		TEST(reset_disables),
		TEST(destroy_with_requests_in_flight),
		TEST(broken),
		TEST(broken_ring_stops),
		TEST(other_rings_go_on),
		TEST(memory_changes),
		TEST(memory_leaves_and_comes_back),
		TEST(answer_while_memory_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
