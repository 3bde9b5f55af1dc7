/* SPDX-License-Identifier: MIT */
/*
 * The driver half against a device half that is written here in the plainest way, one descriptor
 * after the other, so that the two have nothing in common but the specification.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest.h"
#include "ring.h"

#define MEMORY (8u << 20)

/* The device half */

struct device {
	struct drv_ring *r;
	uint16_t avail, used;
};

/* What a chain held: segments in order, at most 64. */
struct chain {
	uint16_t head;
	size_t n;
	struct drv_seg segs[64];
};

static void walk(struct device *d, struct chain *c, const struct vring_desc *table, uint16_t at)
{
	for (;;) {
		const struct vring_desc *e = &table[at];

		if (e->flags & VRING_DESC_F_INDIRECT) {
			walk(d, c, guest_ptr(d->r->guest, e->addr, e->len), 0);
			return;
		}
		c->segs[c->n++] =
			(struct drv_seg){e->addr, e->len, (e->flags & VRING_DESC_F_WRITE) != 0};
		if (!(e->flags & VRING_DESC_F_NEXT))
			return;
		at = e->next;
	}
}

static bool device_pop(struct device *d, struct chain *c)
{
	struct drv_ring *r = d->r;

	if (d->avail == r->avail->idx)
		return false;
	c->n = 0;
	c->head = r->avail->ring[d->avail++ % r->num];
	walk(d, c, r->desc, c->head);
	return true;
}

static void device_push(struct device *d, uint32_t id, uint32_t len)
{
	struct drv_ring *r = d->r;

	r->used->ring[d->used % r->num].id = id;
	r->used->ring[d->used % r->num].len = len;
	r->used->idx = ++d->used;
}

static void device_call(struct device *d)
{
	assert_int_equal(eventfd_write(d->r->call_fd, 1), 0);
}

struct fixture {
	struct guest guest;
	struct drv_ring ring;
	struct device device;
};

static struct fixture fx;

static void ring_up(uint32_t num, uint64_t features, uint16_t base)
{
	assert_int_equal(guest_init_flat(&fx.guest, MEMORY), 0);
	assert_int_equal(drv_ring_init(&fx.ring, &fx.guest, num, features), 0);
	drv_ring_reset(&fx.ring, base);
	fx.device = (struct device){&fx.ring, base, base};
}

static int ring_down(void **state)
{
	(void)state;
	drv_ring_finish(&fx.ring);
	guest_finish(&fx.guest);
	return 0;
}

/* Guest memory */

static void guest_memory(void **state)
{
	struct guest g;
	uint64_t value = 0x1122334455667788, back = 0;

	(void)state;
	assert_int_equal(guest_init(&g), 0);
	assert_int_equal(guest_add_region(&g, 0, 8192, 0), 0);
	assert_int_equal(guest_add_region(&g, 8192, 4096, 16384), 1);
	assert_int_equal(guest_add_region(&g, 1ull << 40, 4096, 0), 2);
	assert_int_equal(guest_add_region(&g, 4096, 8192, 0), -EEXIST);
	assert_int_equal(guest_add_region(&g, 100, 4096, 0), -EINVAL);
	assert_int_equal(guest_write(&g, 8188, &value, 8), 0);
	assert_int_equal(guest_read(&g, 8188, &back, 8), 0);
	assert_true(back == value);
	assert_null(guest_ptr(&g, 8188, 8));
	assert_non_null(guest_ptr(&g, 8188, 4));
	assert_int_equal(guest_read(&g, 12284, &back, 8), -EFAULT);
	assert_true(guest_alloc(&g, 10, 1) == 0);
	assert_true(guest_alloc(&g, 10, 16) == 16);
	assert_true(guest_alloc_keep(&g, 4096, 4096) == 4096);
	assert_true(guest_alloc(&g, 4096, 4096) == 8192);
	assert_true(guest_alloc(&g, 8192, 1) == GUEST_NOMEM);
	guest_rewind(&g);
	assert_true(guest_alloc(&g, 4096, 1) == 0);
	assert_true(guest_user_addr(&g, (1ull << 40) + 5) == g.regions[2].user_addr + 5);
	guest_remove_region(&g, 1);
	assert_null(guest_find(&g, 8192));
	assert_non_null(guest_find(&g, 1ull << 40));
	guest_finish(&g);
}

/* Rings */

static void round_trip(bool indirect, size_t n)
{
	struct drv_seg segs[64];
	struct drv_used used;
	struct chain c;
	int head, cookie;

	for (size_t i = 0; i < n; i++)
		segs[i] = (struct drv_seg){i * 100, (uint32_t)i + 1, i >= n / 2};
	head = indirect ? drv_ring_add_indirect(&fx.ring, segs, n, &cookie)
			: drv_ring_add(&fx.ring, segs, n, &cookie);
	assert_true(head >= 0);
	assert_false(device_pop(&fx.device, &c));
	assert_int_equal(drv_ring_submit(&fx.ring), 1);
	assert_true(device_pop(&fx.device, &c));
	assert_int_equal(c.n, n);
	for (size_t i = 0; i < n; i++) {
		assert_true(c.segs[i].gpa == segs[i].gpa);
		assert_int_equal(c.segs[i].len, segs[i].len);
		assert_int_equal(c.segs[i].writable, segs[i].writable);
	}
	assert_int_equal(drv_ring_reap(&fx.ring, &used), 0);
	device_push(&fx.device, c.head, segs[n - 1].len);
	assert_int_equal(drv_ring_reap(&fx.ring, &used), 1);
	assert_int_equal(used.head, head);
	assert_int_equal(used.len, segs[n - 1].len);
	assert_ptr_equal(used.cookie, &cookie);
}

static void chains_direct_and_indirect(void **state)
{
	(void)state;
	ring_up(16, 0, 0);
	for (size_t n = 1; n <= 16; n++)
		round_trip(false, n);
	for (size_t n = 1; n <= 64; n++)
		round_trip(true, n);
	assert_int_equal(fx.ring.nfree, 16);
}

static void indices_wrap(void **state)
{
	(void)state;
	ring_up(8, 0, 65530);
	for (int i = 0; i < 70000; i++)
		round_trip(i % 2, 1 + (size_t)i % 5);
	ring_down(NULL);
	ring_up(32768, 0, 65000);
	for (int i = 0; i < 2000; i++)
		round_trip(false, 3);
}

static void refuses_bad_chains(void **state)
{
	struct drv_seg wrong[2] = {{0, 1, true}, {0, 1, false}}, ok[3] = {{0, 1, false}};
	struct drv_ring r;

	(void)state;
	ring_up(2, 0, 0);
	assert_int_equal(drv_ring_add(&fx.ring, wrong, 2, NULL), -EINVAL);
	assert_int_equal(drv_ring_add(&fx.ring, ok, 0, NULL), -EINVAL);
	assert_int_equal(drv_ring_add(&fx.ring, ok, 3, NULL), -ENOSPC);
	assert_true(drv_ring_add(&fx.ring, ok, 2, NULL) >= 0);
	assert_int_equal(drv_ring_add(&fx.ring, ok, 1, NULL), -ENOSPC);
	assert_int_equal(drv_ring_add_indirect(&fx.ring, ok, 1, NULL), -ENOSPC);
	assert_int_equal(drv_ring_init(&r, &fx.guest, 3, 0), -EINVAL);
	assert_int_equal(drv_ring_init(&r, &fx.guest, 65536, 0), -EINVAL);
}

/* Chains of a shuffled ring finish out of order, and none is lost or mixed up. */
static void out_of_order(void **state)
{
	struct drv_seg segs[3] = {{0, 8, false}, {8, 8, true}, {16, 8, true}};
	struct chain c[10];
	struct drv_used used;

	(void)state;
	ring_up(32, 0, 0);
	drv_ring_shuffle(&fx.ring, 42);
	for (int round = 0; round < 100; round++) {
		for (uintptr_t i = 0; i < 10; i++)
			assert_true(drv_ring_add(&fx.ring, segs, 1 + i % 3, (void *)(i + 1)) >= 0);
		assert_int_equal(drv_ring_submit(&fx.ring), 1);
		for (size_t i = 0; i < 10; i++)
			assert_true(device_pop(&fx.device, &c[i]));
		for (size_t i = 10; i-- > 0;)
			device_push(&fx.device, c[i].head, 0);
		assert_int_equal(drv_ring_used_count(&fx.ring), 10);
		for (uintptr_t i = 10; i-- > 0;) {
			assert_int_equal(drv_ring_reap(&fx.ring, &used), 1);
			assert_ptr_equal(used.cookie, (void *)(i + 1));
		}
	}
	assert_int_equal(fx.ring.nfree, 32);
}

/* Every lie that a device can tell in the used ring, and that the ring recovers by a reset. */
static void refuses_bad_used(void **state)
{
	static const struct {
		uint32_t id, len;
		uint16_t idx;
	} lies[] = {
		{99, 0, 1}, {0xffffffff, 0, 1}, {3, 0, 1}, {15, 9, 1}, {15, 8, 2}, {15, 8, 65535}};
	struct drv_seg seg = {0, 8, true};
	struct drv_used used;

	(void)state;
	ring_up(16, 0, 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		drv_ring_reset(&fx.ring, 0);
		fx.device.used = 0;
		assert_int_equal(drv_ring_add(&fx.ring, &seg, 1, NULL), 0);
		assert_int_equal(drv_ring_submit(&fx.ring), 1);
		device_push(&fx.device, lies[i].id == 15 ? 0 : lies[i].id, lies[i].len);
		fx.ring.used->idx = lies[i].idx;
		assert_int_equal(drv_ring_reap(&fx.ring, &used), -EPROTO);
		assert_non_null(fx.ring.error);
		assert_int_equal(drv_ring_wait(&fx.ring, 0), -EPROTO);
	}
	drv_ring_reset(&fx.ring, 0);
	fx.device = (struct device){&fx.ring, 0, 0};
	round_trip(false, 2);
}

/* The same chain finished twice. */
static void refuses_double_use(void **state)
{
	struct drv_seg seg = {0, 8, true};
	struct drv_used used;

	(void)state;
	ring_up(16, 0, 0);
	assert_int_equal(drv_ring_add(&fx.ring, &seg, 1, NULL), 0);
	assert_int_equal(drv_ring_add(&fx.ring, &seg, 1, NULL), 1);
	drv_ring_submit(&fx.ring);
	device_push(&fx.device, 0, 0);
	device_push(&fx.device, 0, 0);
	assert_int_equal(drv_ring_reap(&fx.ring, &used), 1);
	assert_int_equal(drv_ring_reap(&fx.ring, &used), -EPROTO);
}

/* Notifications */

static void add_one(void)
{
	struct drv_seg seg = {0, 8, true};

	assert_true(drv_ring_add(&fx.ring, &seg, 1, NULL) >= 0);
}

static void kicks_by_flag(void **state)
{
	(void)state;
	ring_up(16, 0, 0);
	fx.ring.used->flags = VRING_USED_F_NO_NOTIFY;
	add_one();
	assert_int_equal(drv_ring_submit(&fx.ring), 0);
	fx.ring.used->flags = 0;
	assert_int_equal(drv_ring_submit(&fx.ring), 0);
	add_one();
	assert_int_equal(drv_ring_submit(&fx.ring), 1);
	assert_int_equal(fx.ring.nkicks, 1);
}

static void kicks_by_event(void **state)
{
	uint16_t *event;

	(void)state;
	ring_up(16, DRV_EVENT_IDX, 65534);
	event = (uint16_t *)(void *)&fx.ring.used->ring[16];
	*event = 65535;
	add_one();
	assert_int_equal(drv_ring_submit(&fx.ring), 0);
	add_one();
	assert_int_equal(drv_ring_submit(&fx.ring), 1);
	add_one();
	assert_int_equal(drv_ring_submit(&fx.ring), 0);
	*event = 2;
	add_one();
	add_one();
	add_one();
	assert_int_equal(drv_ring_submit(&fx.ring), 1);
	assert_int_equal(fx.ring.nkicks, 2);
}

static uint16_t used_event(void)
{
	return *(uint16_t *)&fx.ring.avail->ring[fx.ring.num];
}

static void calls_wanted(void **state)
{
	struct drv_used used;
	struct chain c;

	(void)state;
	ring_up(16, 0, 0);
	assert_false(drv_ring_want_calls(&fx.ring, false));
	assert_int_equal(fx.ring.avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	assert_false(drv_ring_want_calls(&fx.ring, true));
	assert_int_equal(fx.ring.avail->flags, 0);
	ring_down(NULL);
	ring_up(16, DRV_EVENT_IDX, 65535);
	assert_int_equal(used_event(), 65535);
	add_one();
	drv_ring_submit(&fx.ring);
	assert_true(device_pop(&fx.device, &c));
	device_push(&fx.device, c.head, 0);
	assert_int_equal(drv_ring_reap(&fx.ring, &used), 1);
	assert_int_equal(used_event(), 0);
	drv_ring_delay_calls(&fx.ring, 5);
	assert_int_equal(used_event(), 4);
	drv_ring_want_calls(&fx.ring, false);
	assert_int_equal(used_event(), 65535);
}

static void waiting(void **state)
{
	struct drv_used used;
	struct chain c;

	(void)state;
	ring_up(16, DRV_EVENT_IDX, 0);
	add_one();
	add_one();
	drv_ring_submit(&fx.ring);
	assert_int_equal(drv_ring_wait(&fx.ring, 0), -ETIMEDOUT);
	device_call(&fx.device); // a spurious one
	assert_int_equal(drv_ring_wait(&fx.ring, 1), -ETIMEDOUT);
	assert_true(device_pop(&fx.device, &c));
	device_push(&fx.device, c.head, 0);
	device_call(&fx.device);
	assert_int_equal(drv_ring_wait(&fx.ring, -1), 0);
	assert_int_equal(drv_ring_reap(&fx.ring, &used), 1);
	assert_int_equal(drv_ring_wait_call(&fx.ring, -1), 0);
	assert_int_equal(fx.ring.ncalls, 2);
	assert_int_equal(eventfd_write(fx.ring.err_fd, 1), 0);
	assert_int_equal(drv_ring_wait(&fx.ring, -1), -EIO);
}

/* Finishes the chain when the driver is most likely asleep, and does not call. */
static void *finish_late(void *arg)
{
	struct chain *c = arg;

	usleep(50000);
	device_push(&fx.device, c->head, 0);
	return NULL;
}

/* A used element whose call never comes is told apart from nothing at all. */
static void missing_call(void **state)
{
	struct chain c;
	pthread_t thread;

	(void)state;
	ring_up(16, DRV_EVENT_IDX, 0);
	add_one();
	drv_ring_submit(&fx.ring);
	assert_true(device_pop(&fx.device, &c));
	assert_int_equal(pthread_create(&thread, NULL, finish_late, &c), 0);
	assert_int_equal(drv_ring_wait(&fx.ring, 1000), -ENOMSG);
	pthread_join(thread, NULL);
	assert_int_equal(drv_ring_wait(&fx.ring, 0), 0);
}

static void raw_access(void **state)
{
	struct vring_desc desc = {.addr = 7, .len = 5, .flags = VRING_DESC_F_WRITE};
	struct drv_used used;
	struct chain c;

	(void)state;
	ring_up(16, DRV_EVENT_IDX, 0);
	drv_ring_poke_desc(&fx.ring, 9, &desc);
	assert_int_equal(drv_ring_publish_raw(&fx.ring, 16, 5), -EINVAL);
	assert_int_equal(drv_ring_publish_raw(&fx.ring, 9, 5), 0);
	assert_int_equal(drv_ring_publish_raw(&fx.ring, 9, 5), -EINVAL);
	assert_int_equal(fx.ring.nfree, 15);
	assert_true(device_pop(&fx.device, &c));
	assert_int_equal(c.head, 9);
	assert_int_equal(c.segs[0].gpa, 7);
	device_push(&fx.device, 9, 5);
	assert_int_equal(drv_ring_reap(&fx.ring, &used), 1);
	assert_int_equal(fx.ring.nfree, 16);
	drv_ring_poke_avail(&fx.ring, 17, 77);
	drv_ring_poke_avail_idx(&fx.ring, 5000);
	drv_ring_poke_avail_flags(&fx.ring, 1);
	drv_ring_poke_used_event(&fx.ring, 3);
	assert_int_equal(fx.ring.avail->ring[1], 77);
	assert_int_equal(fx.ring.avail->idx, 5000);
	assert_int_equal(fx.ring.avail->flags, 1);
	assert_int_equal(used_event(), 3);
	drv_ring_reset(&fx.ring, 0);
	fx.device = (struct device){&fx.ring, 0, 0};
	round_trip(false, 2);
}

#define RING_TEST(name) cmocka_unit_test_teardown(name, ring_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_memory),
		RING_TEST(chains_direct_and_indirect),
		RING_TEST(indices_wrap),
		RING_TEST(refuses_bad_chains),
		RING_TEST(out_of_order),
		RING_TEST(refuses_bad_used),
		RING_TEST(refuses_double_use),
		RING_TEST(kicks_by_flag),
		RING_TEST(kicks_by_event),
		RING_TEST(calls_wanted),
		RING_TEST(waiting),
		RING_TEST(missing_call),
		RING_TEST(raw_access),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
