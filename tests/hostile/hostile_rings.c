/* SPDX-License-Identifier: MIT */
/* Rings at wrong places, and started, stopped and reset at wrong times. */
#include "on_gpu.h"

#include <sys/eventfd.h>
#include <unistd.h>

#define DESC_LEN  (16ull * RING_NUM)
#define AVAIL_LEN (6 + 2ull * RING_NUM)
#define USED_LEN  (6 + 8ull * RING_NUM)

/* ---- addresses ---- */

enum part { DESC, AVAIL, USED };

struct place {
	const char *name;
	enum part part;
	uint64_t gpa;
};

static const struct place bad_places[] = {
	{"descriptors in no region", DESC, NO_GPA},
	{"an available ring in no region", AVAIL, NO_GPA},
	{"a used ring in no region", USED, NO_GPA},
	{"descriptors off by 8", DESC, LEFT_GPA + 8},
	{"descriptors off by 1", DESC, LEFT_GPA + 1},
	{"an available ring off by 1", AVAIL, LEFT_GPA + 1},
	{"a used ring off by 2", USED, LEFT_GPA + 2},
	{"a used ring off by 1", USED, LEFT_GPA + 1},
	{"descriptors behind a region's end", DESC, END_GPA - DESC_LEN + 16},
	{"an available ring behind a region's end", AVAIL, END_GPA - AVAIL_LEN + 4},
	{"its used_event behind a region's end", AVAIL, END_GPA - AVAIL_LEN + 2},
	{"a used ring behind a region's end", USED, END_GPA - USED_LEN + 8},
	{"its avail_event behind a region's end", USED, (END_GPA - USED_LEN + 4) & ~3ull},
	{"descriptors across two regions", DESC, BORDER_GPA - 16},
	{"an available ring across two regions", AVAIL, BORDER_GPA - 4},
	{"a used ring across two regions", USED, BORDER_GPA - 4},
	{"descriptors at the end of all addresses", DESC, (uint64_t)-16},
	{"an available ring at the end of all", AVAIL, (uint64_t)-2},
	{"a used ring at the end of all", USED, (uint64_t)-4},
	{"descriptors right behind a region", DESC, END_GPA},
	{"an available ring right behind a region", AVAIL, END_GPA},
	{"a used ring right behind a region", USED, END_GPA},
};

static const struct place odd_places[] = {
	{"descriptors up to a region's end", DESC, END_GPA - DESC_LEN},
	{"an available ring up to a region's end", AVAIL, END_GPA - AVAIL_LEN},
	{"a used ring up to a region's end", USED, (END_GPA - USED_LEN) & ~3ull},
	{"descriptors at address 0", DESC, 0},
	{"an available ring at address 0", AVAIL, 0},
	{"a used ring at address 0", USED, 0},
	{"an available ring off by 2", AVAIL, LEFT_GPA + 2},
	{"a used ring off by 4", USED, LEFT_GPA + 4},
};

static void move_part(struct drv_ring *r, const struct place *p)
{
	if (p->part == DESC) {
		r->desc_gpa = p->gpa;
		r->desc = guest_ptr(&hx.guest, p->gpa, DESC_LEN);
	} else if (p->part == AVAIL) {
		r->avail_gpa = p->gpa;
		r->avail = guest_ptr(&hx.guest, p->gpa, AVAIL_LEN);
	} else {
		r->used_gpa = p->gpa;
		r->used = guest_ptr(&hx.guest, p->gpa, USED_LEN);
	}
}

/* A ring that does not lie in memory does not start, with or without acks, and may be moved. */
static void bad_place(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL], wrong = *r;

	hostile_stop_ring(CONTROL);
	move_part(&wrong, arg);
	assert_int_equal(frontend_start_ring(&hx.fe, CONTROL, &wrong), -EREMOTEIO);
	assert_ok(drv_ring_wait_err(r, WAIT_DEFAULT));
	hx.fe.acks = false;
	assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, r->kick_fd));
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
	expect_ring_works(CURSOR);
	hx.fe.acks = true;
	hostile_restart_ring(CONTROL);
	assert_ok(drv_ring_wait_err(r, 0)); // of what was tried without acks
}

static void odd_place(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];

	hostile_stop_ring(CONTROL);
	move_part(r, arg);
	drv_ring_reset(r, 0);
	assert_ok(frontend_start_ring(&hx.fe, CONTROL, r));
	for (int i = 0; i < 3 * RING_NUM; i++)
		expect_ring_works(CONTROL);
}

/* The front-end's own addresses mean something only where regions have them. */
static void guest_addresses_for_user_addresses(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];
	struct vhost_user_vring_addr addr = {0, 0, r->desc_gpa, r->used_gpa, r->avail_gpa, 0};
	struct frontend_msg m = hostile_msg(VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));

	(void)arg;
	hx.protocol &= ~PROTOCOL(GPA_ADDRESSES);
	hostile_agree();
	hostile_give_memory();
	assert_ok(frontend_set_vring_num(&hx.fe, CONTROL, RING_NUM));
	expect_accepted(&m);
	assert_int_equal(frontend_set_vring_kick(&hx.fe, CONTROL, r->kick_fd), -EREMOTEIO);
	hostile_start_rings();
	expect_rings_work();
}

/* ---- started, stopped and enabled at odd times ---- */

/* A request that is there, and kicked for. */
static int ask(void)
{
	const struct virtio_gpu_ctrl_hdr h = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	int ticket = gpu_driver_submit(&hx.gpu, CONTROL, &h, sizeof(h), 1024);

	assert_true(ticket >= 0);
	assert_ok(drv_ring_kick_now(&hx.rings[CONTROL]));
	return ticket;
}

static void expect_told(int ticket)
{
	assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
}

/* All but ENABLE. */
static void start(uint32_t q, uint32_t base)
{
	struct drv_ring *r = &hx.rings[q];

	assert_ok(frontend_set_vring_num(&hx.fe, q, RING_NUM));
	assert_ok(frontend_set_vring_base(&hx.fe, q, base));
	assert_ok(frontend_set_vring_addr(&hx.fe, q, r));
	assert_ok(frontend_set_vring_call(&hx.fe, q, r->call_fd));
	assert_ok(frontend_set_vring_err(&hx.fe, q, r->err_fd));
	assert_ok(frontend_set_vring_kick(&hx.fe, q, r->kick_fd));
}

static void kick_before_enable(const void *arg)
{
	int ticket;

	(void)arg;
	hostile_stop_ring(CONTROL);
	drv_ring_reset(&hx.rings[CONTROL], 0);
	ticket = ask();
	start(CONTROL, 0);
	expect_pending(ticket);
	assert_ok(drv_ring_kick_now(&hx.rings[CONTROL]));
	expect_pending(ticket);
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
	expect_told(ticket);
}

static void disabled_while_running(const void *arg)
{
	int ticket;

	(void)arg;
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, false));
	ticket = ask();
	expect_pending(ticket);
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
	expect_told(ticket);
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
}

static void stopped(const void *arg)
{
	int ticket;

	(void)arg;
	hostile_stop_ring(CONTROL);
	ticket = ask();
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
	expect_pending(ticket);
	start(CONTROL, hx.rings[CONTROL].used_idx);
	expect_told(ticket);
}

/* What a running ring does not take. */
static void changed_while_running(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];

	(void)arg;
	assert_int_equal(frontend_set_vring_num(&hx.fe, CONTROL, RING_NUM), -EREMOTEIO);
	assert_int_equal(frontend_set_vring_num(&hx.fe, CONTROL, 2 * RING_NUM), -EREMOTEIO);
	assert_int_equal(frontend_set_vring_base(&hx.fe, CONTROL, 0), -EREMOTEIO);
	assert_int_equal(frontend_set_vring_addr(&hx.fe, CONTROL, r), -EREMOTEIO);
	expect_ring_works(CONTROL);
}

static void started_twice(const void *arg)
{
	struct drv_ring *r = &hx.rings[CONTROL];
	int other = eventfd(0, EFD_CLOEXEC), ticket;

	(void)arg;
	assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, r->kick_fd));
	expect_ring_works(CONTROL);
	assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, other));
	ticket = ask(); // with the old one
	assert_ok(eventfd_write(other, 1));
	expect_told(ticket);
	assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, r->kick_fd));
	close(other);
}

static void expect_base(uint32_t q, uint32_t wanted)
{
	uint32_t base;

	assert_ok(frontend_get_vring_base(&hx.fe, q, &base));
	assert_int_equal(base, wanted);
}

static void stopped_twice(const void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++)
		expect_ring_works(CONTROL);
	expect_base(CONTROL, 5);
	expect_base(CONTROL, 5);
	assert_ok(frontend_set_vring_base(&hx.fe, CONTROL, 7));
	expect_base(CONTROL, 7);
	start(CONTROL, 5);
	expect_ring_works(CONTROL);
	expect_base(CURSOR, 0);
	hostile_restart_ring(CURSOR);
	hostile_restart_ring(CONTROL);
}

static void never_started(const void *arg)
{
	const struct vhost_user_vring_addr addr = {.index = CURSOR};
	struct frontend_msg m = hostile_msg(VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));

	(void)arg;
	expect_base(CONTROL, 0);
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, true));
	assert_ok(frontend_set_vring_enable(&hx.fe, CURSOR, false));
	assert_ok(frontend_set_vring_kick(&hx.fe, CURSOR, hx.rings[CURSOR].kick_fd));
	expect_base(CURSOR, 0);
	expect_accepted(&m); // an address without a size, and a size without an address
	assert_ok(frontend_set_vring_kick(&hx.fe, CURSOR, hx.rings[CURSOR].kick_fd));
	assert_ok(frontend_set_vring_num(&hx.fe, CONTROL, RING_NUM));
	assert_ok(frontend_set_vring_kick(&hx.fe, CONTROL, hx.rings[CONTROL].kick_fd));
	assert_ok(drv_ring_kick_now(&hx.rings[CONTROL]));
	expect_answers();
}

/* The most that a ring can hold, up to its index's end and on. */
static void base_at_the_end(const void *arg)
{
	(void)arg;
	hostile_stop_ring(CONTROL);
	drv_ring_reset(&hx.rings[CONTROL], 0xfffe);
	assert_ok(frontend_start_ring(&hx.fe, CONTROL, &hx.rings[CONTROL]));
	for (int i = 0; i < 5; i++)
		expect_ring_works(CONTROL);
	expect_base(CONTROL, 3);
	hostile_restart_ring(CONTROL);
}

/* ---- without features ---- */

static void start_all_but_enable(void)
{
	hostile_give_memory();
	for (uint32_t q = 0; q < RINGS; q++) {
		drv_ring_reset(&hx.rings[q], 0);
		start(q, 0);
	}
}

/* Rings of a front-end that knows no protocol features are enabled from the start. */
static void enabled_from_the_start(const void *arg)
{
	(void)arg;
	hx.features &= ~(1ull << VHOST_USER_F_PROTOCOL_FEATURES);
	hx.features &= ~(DRV_EVENT_IDX | DRV_INDIRECT);
	hostile_agree();
	start_all_but_enable();
	expect_rings_work();
	assert_ok(frontend_set_vring_enable(&hx.fe, CONTROL, false));
	expect_ring_works(CURSOR);
	hostile_restart_ring(CONTROL);
	expect_rings_work();
}

/* Nor does one that says nothing of features have to enable them. */
static void no_features_at_all(const void *arg)
{
	(void)arg;
	start_all_but_enable();
	expect_rings_work();
	hostile_stop_ring(CONTROL);
	drv_ring_reset(&hx.rings[CONTROL], 0);
	start(CONTROL, 0);
	expect_rings_work();
}

static void enabled_by_features(const void *arg)
{
	int ticket;

	(void)arg;
	hx.features &= ~(DRV_EVENT_IDX | DRV_INDIRECT);
	hostile_agree();
	start_all_but_enable();
	ticket = ask();
	expect_pending(ticket);
	assert_ok(frontend_set_features(
		&hx.fe, hx.fe.features & ~(1ull << VHOST_USER_F_PROTOCOL_FEATURES)));
	expect_told(ticket);
	expect_rings_work();
}

/* ---- resets ---- */

static void make_resource(void)
{
	assert_ack(gpu_driver_create_2d(&hx.gpu, 7, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 4, 4));
}

static void expect_resource(bool there)
{
	int wanted = there ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;

	assert_int_equal(gpu_driver_unref(&hx.gpu, 7), wanted);
}

static void restart_all(void)
{
	for (uint32_t q = 0; q < RINGS; q++)
		drv_ring_reset(&hx.rings[q], 0);
	gpu_driver_reset(&hx.gpu);
	for (uint32_t q = 0; q < RINGS; q++)
		start(q, 0);
}

static void reset_device(const void *arg)
{
	int ticket;

	(void)arg;
	make_resource();
	assert_ok(frontend_reset_device(&hx.fe));
	assert_ok(drv_ring_kick_now(&hx.rings[CONTROL]));
	expect_nothing_used(CONTROL);
	restart_all();
	ticket = ask();
	expect_pending(ticket); // a reset disables
	for (uint32_t q = 0; q < RINGS; q++)
		assert_ok(frontend_set_vring_enable(&hx.fe, q, true));
	expect_told(ticket);
	expect_resource(false);
}

static void reset_again_and_again(const void *arg)
{
	int n = child_count_fds(&hx.child);

	(void)arg;
	for (int i = 0; i < 100; i++) {
		make_resource();
		assert_ok(frontend_reset_device(&hx.fe));
		assert_ok(frontend_reset_device(&hx.fe));
		restart_all();
		for (uint32_t q = 0; q < RINGS; q++)
			assert_ok(frontend_set_vring_enable(&hx.fe, q, true));
	}
	expect_fds(n);
}

/* A driver's reset may come as no more than all rings stopped and started from 0. */
static void reset_by_stopping(const void *arg)
{
	(void)arg;
	make_resource();
	for (unsigned q = 0; q < RINGS; q++)
		hostile_stop_ring(q);
	hostile_start_rings();
	expect_resource(false);
}

static void pause_is_no_reset(const void *arg)
{
	uint32_t base[RINGS];

	(void)arg;
	make_resource();
	for (uint32_t q = 0; q < RINGS; q++)
		assert_ok(frontend_get_vring_base(&hx.fe, q, &base[q]));
	for (uint32_t q = 0; q < RINGS; q++) {
		start(q, base[q]);
		assert_ok(frontend_set_vring_enable(&hx.fe, q, true));
	}
	expect_resource(true);
}

static void one_ring_is_no_reset(const void *arg)
{
	(void)arg;
	make_resource();
	hostile_restart_ring(CONTROL);
	expect_resource(true);
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"guest addresses where user's are wanted", CONNECTED, guest_addresses_for_user_addresses},
	{"kicks before ENABLE", RUNNING, kick_before_enable},
	{"kicks while disabled", RUNNING, disabled_while_running},
	{"kicks while stopped", RUNNING, stopped},
	{"NUM, BASE and ADDR while running", RUNNING, changed_while_running},
	{"a ring started twice", RUNNING, started_twice},
	{"a ring stopped twice", RUNNING, stopped_twice},
	{"a ring that was never started", AGREED, never_started},
	{"a base at the end of 16 bits", RUNNING, base_at_the_end},
	{"rings without ENABLE", CONNECTED, enabled_from_the_start},
	{"rings without SET_FEATURES", CONNECTED, no_features_at_all},
	{"rings enabled by SET_FEATURES", CONNECTED, enabled_by_features},
	{"RESET_DEVICE", RUNNING, reset_device},
	{"RESET_DEVICE again and again", RUNNING, reset_again_and_again},
	{"a reset by stopping all rings", RUNNING, reset_by_stopping},
	{"a pause that is no reset", RUNNING, pause_is_no_reset},
	{"one ring's restart that is no reset", RUNNING, one_ring_is_no_reset},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, bad_places, RUNNING, bad_place);
	HOSTILE_ADD_TABLE(&list, odd_places, RUNNING, odd_place);
	return hostile_main(argc, argv, list.cases, list.n);
}
