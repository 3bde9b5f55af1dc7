/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct hostile hx;

enum { FAILURES_MAX = 3 }; // then it is not worth waiting for more of them

const char *hostile_binary;
static unsigned n_failed;
static struct frontend nobody = {.fd = -1, .backend_fd = -1};

static void pause_ms(long ms)
{
	struct timespec t = {.tv_nsec = ms * 1000000};

	nanosleep(&t, NULL);
}

/* ---- the daemon ---- */

void expect_fds(int n)
{
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	int now;

	while ((now = child_count_fds(&hx.child)) != n && wait_left(deadline))
		pause_ms(1);
	assert_int_equal(now, n);
}

/* With a sanitizer, the daemon says at its end whether it has lost memory. */
static void stop_daemon(void)
{
	if (child_is_alive(&hx.child))
		assert_ok(child_stop(&hx.child));
	child_kill(&hx.child);
	unlink(hx.path);
}

/* Locked in as for users; what denies nothing shows more faults to a sanitizer. */
#ifdef __SANITIZE_ADDRESS__
#define SECCOMP "--seccomp=log"
#else
#define SECCOMP "--seccomp=kill"
#endif

static void start_daemon(const char *const *args)
{
	const char *all[CHILD_MAX_ARGS] = {SECCOMP};

	for (size_t i = 0; args && args[i]; i++)
		all[i + 1] = args[i];
	stop_daemon();
	assert_ok(child_start_path(&hx.child, hostile_binary, hx.path, all));
	hx.args = args;
	hostile_connect();
	expect_answers();
	hx.idle_fds = child_count_fds(&hx.child) - 1;
	hostile_leave();
	expect_fds(hx.idle_fds);
}

/* A message without its descriptor must not be given descriptor 0: this makes it worth taking. */
static void make_stdin_tempting(void)
{
	int fd = memfd_create("stdin", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 64 << 20) < 0 || dup2(fd, STDIN_FILENO) < 0)
		abort();
	close(fd);
}

/* Faults end the daemon, and memory that was freed counts as free soon. */
static void set_sanitizers(void)
{
	static const char asan[] = "halt_on_error=1:abort_on_error=1:quarantine_size_mb=1:"
				   "thread_local_quarantine_size_kb=64";

	setenv("ASAN_OPTIONS", asan, 1);
	setenv("UBSAN_OPTIONS", "halt_on_error=1:abort_on_error=1:print_stacktrace=1", 1);
}

/* ---- a front-end ---- */

void hostile_connect(void)
{
	assert_ok(frontend_connect(&hx.fe, hx.path));
}

void hostile_agree(void)
{
	hx.fe.acks = true;
	assert_ok(frontend_negotiate(&hx.fe, hx.features, hx.protocol));
}

void hostile_give_memory(void)
{
	assert_ok(frontend_set_memory(&hx.fe, &hx.guest));
}

void hostile_start_rings(void)
{
	for (uint32_t i = 0; i < hostile_target.n_rings; i++) {
		struct drv_ring *r = &hx.rings[i];

		r->features = hx.fe.features & (DRV_EVENT_IDX | DRV_INDIRECT);
		drv_ring_reset(r, 0);
		assert_ok(frontend_start_ring(&hx.fe, i, r));
	}
}

void hostile_leave(void)
{
	frontend_close(&hx.fe);
}

static void make_guest(void)
{
	assert_ok(guest_init(&hx.guest));
	assert_int_equal(guest_add_region(&hx.guest, 0, MAIN_SIZE, 0), MAIN_REGION);
	assert_int_equal(guest_add_region(&hx.guest, LEFT_GPA, SIDE_SIZE, 4096), LEFT_REGION);
	assert_int_equal(guest_add_region(&hx.guest, BORDER_GPA, SIDE_SIZE, 0), RIGHT_REGION);
	assert_int_equal(guest_alloc(&hx.guest, HAND_SIZE, 1), 0);
	for (unsigned i = 0; i < hostile_target.n_rings; i++)
		assert_ok(drv_ring_init(&hx.rings[i], &hx.guest, RING_NUM, 0));
	hostile_target.begin();
}

static void drop_guest(void)
{
	if (!hx.guest.regions)
		return;
	if (hostile_target.end)
		hostile_target.end();
	for (unsigned i = 0; i < hostile_target.n_rings; i++)
		drv_ring_finish(&hx.rings[i]);
	guest_finish(&hx.guest);
}

void hostile_renew_guest(void)
{
	drop_guest();
	make_guest();
}

/* ---- what can be expected ---- */

void expect_closed(void)
{
	assert_ok(frontend_wait_close(&hx.fe));
	hostile_leave();
}

void expect_answers(void)
{
	assert_ok(frontend_barrier(&hx.fe));
}

void hostile_fds(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fds[i] = hx.guest.regions[MAIN_REGION].fd;
}

struct frontend_msg hostile_msg(uint32_t request, const void *payload, uint32_t len)
{
	return (struct frontend_msg){.request = request,
		.flags = VHOST_USER_VERSION,
		.size = len,
		.payload = payload,
		.len = len};
}

void expect_refused(const struct frontend_msg *msg)
{
	assert_int_equal(frontend_ack(&hx.fe, msg), -EREMOTEIO);
	expect_answers();
	assert_ok(frontend_send(&hx.fe, msg));
	expect_closed();
}

void expect_accepted(const struct frontend_msg *msg)
{
	assert_ok(frontend_ack(&hx.fe, msg));
	expect_answers();
}

void expect_ring_works(unsigned q)
{
	hostile_target.works(q);
}

static void expect_others_work(unsigned broken)
{
	for (unsigned q = 0; q < hostile_target.n_rings; q++)
		if (q != broken)
			expect_ring_works(q);
}

void expect_rings_work(void)
{
	expect_others_work(hostile_target.n_rings);
}

/* A turn of the daemon's loop answers some messages at most: after more than two such turns hold,
 * whatever was asked of it before is done. */
void hostile_settle(void)
{
	for (int i = 0; i < 40; i++)
		expect_answers();
}

void expect_nothing_used(unsigned q)
{
	hostile_settle();
	assert_int_equal(drv_ring_used_count(&hx.rings[q]), 0);
}

void expect_too_short(unsigned q, uint32_t bytes)
{
	struct drv_ring *r = &hx.rings[q];
	struct drv_used used;

	for (uint32_t len = 0; len < bytes; len++)
		for (int writable = 0; writable < 2; writable++) {
			const struct drv_seg seg = {0x1000, writable ? len : len + bytes, writable};

			assert_true(drv_ring_add(r, &seg, 1, NULL) >= 0);
			assert_true(drv_ring_submit(r) >= 0);
			assert_ok(drv_ring_wait(r, WAIT_DEFAULT));
			assert_int_equal(drv_ring_reap(r, &used), 1);
			assert_int_equal(used.len, 0);
		}
}

void hostile_stop_ring(unsigned q)
{
	uint32_t base;

	assert_ok(frontend_set_vring_enable(&hx.fe, q, false));
	assert_ok(frontend_get_vring_base(&hx.fe, q, &base));
	assert_true(base <= UINT16_MAX);
}

void hostile_restart_ring(unsigned q)
{
	hostile_stop_ring(q);
	drv_ring_reset(&hx.rings[q], 0);
	hostile_target.forget();
	assert_ok(frontend_start_ring(&hx.fe, q, &hx.rings[q]));
}

void expect_broken(unsigned q)
{
	struct drv_ring *r = &hx.rings[q];

	assert_ok(drv_ring_wait_err(r, WAIT_DEFAULT));
	expect_others_work(q);
	for (unsigned i = 0; i < hostile_target.n_rings; i++)
		assert_int_equal(drv_ring_wait_err(&hx.rings[i], 0), -ETIMEDOUT);
	assert_ok(drv_ring_kick_now(r));
	expect_nothing_used(q);
	hostile_restart_ring(q);
	expect_rings_work();
	assert_int_equal(drv_ring_wait_err(r, 0), -ETIMEDOUT);
}

/* ---- a case from end to end ---- */

static void prepare(const struct hostile_case *c)
{
	hx.features = FRONTEND_FEATURES | FRONTEND_DEVICE_FEATURES;
	hx.protocol = FRONTEND_PROTOCOL;
	make_guest();
	hostile_connect();
	if (c->stage >= AGREED)
		hostile_agree();
	if (c->stage >= RUNNING) {
		hostile_give_memory();
		assert_ok(frontend_open_channel(&hx.fe));
		hostile_start_rings();
	}
	if (c->stage >= SHOWING)
		hostile_target.show();
}

/* The next front-end gets all of it, and then the daemon is as it was before. */
static void look_after(void)
{
	hostile_leave();
	drop_guest();
	assert_true(child_is_alive(&hx.child));
	hx.features = FRONTEND_FEATURES | FRONTEND_DEVICE_FEATURES;
	make_guest();
	hostile_connect();
	assert_ok(frontend_setup(&hx.fe, &hx.guest, hx.rings, hostile_target.n_rings));
	expect_rings_work();
	hostile_leave();
	expect_fds(hx.idle_fds);
}

static void run_case(void **state)
{
	const struct hostile_case *c = *state;
	const char *const *args = c->args ? c->args : hostile_target.args;

	hx.passed = n_failed >= FAILURES_MAX;
	if (hx.passed)
		skip();
	if (!child_is_alive(&hx.child) || hx.args != args)
		start_daemon(args);
	prepare(c);
	c->run(c->arg);
	if (hx.fe.fd >= 0)
		expect_answers();
	if (hx.fe.fd >= 0 && c->stage >= RUNNING)
		expect_rings_work();
	look_after();
	hx.passed = true;
}

/* A daemon in which a case failed is not trusted with the next one. */
static int tear_down(void **state)
{
	(void)state;
	hostile_leave();
	drop_guest();
	if (!hx.passed) {
		child_kill(&hx.child);
		n_failed++;
	}
	return 0;
}

static int group_up(void **state)
{
	(void)state;
	hx.fe = nobody;
	hx.child.pidfd = hx.child.out = hx.child.fd = -1;
	strcpy(hx.dir, "/tmp/virga-hostile-XXXXXX");
	if (!mkdtemp(hx.dir))
		return -1;
	snprintf(hx.path, sizeof(hx.path), "%s/socket", hx.dir);
	make_stdin_tempting();
	return 0;
}

static void ends_cleanly(void **state)
{
	(void)state;
	stop_daemon();
}

static int group_down(void **state)
{
	(void)state;
	child_kill(&hx.child);
	unlink(hx.path);
	rmdir(hx.dir);
	return 0;
}

void hostile_add(struct hostile_list *list, const struct hostile_case *more, size_t n)
{
	if (n > COUNT(list->cases) - list->n)
		abort();
	memcpy(&list->cases[list->n], more, n * sizeof(*more));
	list->n += n;
}

int hostile_main(int argc, char **argv, const struct hostile_case *cases, size_t n)
{
	struct CMUnitTest *tests = calloc(n + 1, sizeof(*tests));
	const char *name = strrchr(argv[0], '/');
	int failed;

	hostile_binary = child_binary(hostile_target.variable, argc, argv);
	if (!hostile_binary || !tests) {
		fprintf(stderr, "usage: %s path/to/%s\n", argv[0], hostile_target.program);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	set_sanitizers();
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){.name = cases[i].name,
			.test_func = run_case,
			.teardown_func = tear_down,
			.initial_state = (void *)(uintptr_t)&cases[i]};
	tests[n] = (struct CMUnitTest)cmocka_unit_test(ends_cleanly);
	failed = _cmocka_run_group_tests(
		name ? name + 1 : argv[0], tests, n + 1, group_up, group_down);
	free(tests);
	return failed;
}
