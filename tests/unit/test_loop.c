/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/bytes.h"
#include "common/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { N = 40 }; // more than one turn takes at once

static struct loop *loop;
static unsigned fds_before;

/* A source that counts, and what else it is to do when it is called. */
static struct thing {
	struct loop_source source;
	unsigned calls;
	uint32_t events;
	bool read, quit;
	struct thing *remove; // itself or another
	struct thing *add;
	struct loop_job *defer;
} things[N];

static void on_ready(struct loop_source *source, uint32_t events)
{
	struct thing *t = CONTAINER_OF(source, struct thing, source);
	eventfd_t count;

	t->calls++;
	t->events = events;
	if (t->read)
		eventfd_read(source->fd, &count);
	if (t->defer)
		loop_defer(loop, t->defer);
	if (t->quit)
		loop_quit(loop, 5);
	if (t->add)
		assert_int_equal(loop_add(loop, &t->add->source, EPOLLIN), 0);
	if (t->remove)
		loop_remove(&t->remove->source);
}

static int setup(void **state)
{
	(void)state;
	fds_before = count_fds();
	loop = loop_create();
	assert_non_null(loop);
	memset(things, 0, sizeof(things));
	for (unsigned i = 0; i < N; i++) {
		things[i].source.fd = eventfd(0, EFD_NONBLOCK);
		things[i].source.ready = on_ready;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	for (unsigned i = 0; i < N; i++)
		close(things[i].source.fd);
	assert_int_equal(count_fds(), fds_before);
	return 0;
}

static void add(unsigned i, uint32_t events)
{
	assert_int_equal(loop_add(loop, &things[i].source, events), 0);
}

static void signal_fd(unsigned i)
{
	assert_int_equal(eventfd_write(things[i].source.fd, 1), 0);
}

static void turn(void)
{
	assert_int_equal(loop_turn(loop, 0), 0);
}

static void test_level(void **state)
{
	(void)state;
	add(0, EPOLLIN);
	turn();
	assert_int_equal(things[0].calls, 0);
	signal_fd(0);
	turn();
	turn();
	assert_int_equal(things[0].calls, 2);
	assert_int_equal(things[0].events, EPOLLIN);
	things[0].read = true;
	turn();
	turn();
	assert_int_equal(things[0].calls, 3);
}

/* Never read, each signal is one event. */
static void test_edge(void **state)
{
	(void)state;
	add(0, EPOLLIN | EPOLLET);
	for (unsigned i = 1; i < 4; i++) {
		signal_fd(0);
		turn();
		turn();
		assert_int_equal(things[0].calls, i);
	}
}

static void test_signalled_before_it_was_added(void **state)
{
	(void)state;
	signal_fd(0);
	add(0, EPOLLIN | EPOLLET);
	turn();
	assert_int_equal(things[0].calls, 1);
}

static void test_modify(void **state)
{
	(void)state;
	loop_modify(&things[0].source, EPOLLIN); // in no loop: nothing happens
	add(0, EPOLLIN);
	signal_fd(0);
	loop_modify(&things[0].source, 0);
	turn();
	assert_int_equal(things[0].calls, 0);
	loop_modify(&things[0].source, EPOLLIN | EPOLLOUT);
	turn();
	assert_int_equal(things[0].events, EPOLLIN | EPOLLOUT);
}

static void test_remove(void **state)
{
	(void)state;
	loop_remove(&things[0].source); // in no loop
	add(0, EPOLLIN);
	signal_fd(0);
	loop_remove(&things[0].source);
	loop_remove(&things[0].source);
	assert_null(things[0].source.loop);
	turn();
	assert_int_equal(things[0].calls, 0);
	add(0, EPOLLIN);
	turn();
	assert_int_equal(things[0].calls, 1);
}

static void test_bad_fd(void **state)
{
	struct loop_source bad = {.fd = -1, .ready = on_ready};

	(void)state;
	assert_int_equal(loop_add(loop, &bad, EPOLLIN), -EBADF);
	assert_null(bad.loop);
	loop_remove(&bad);
	add(0, EPOLLIN);
	assert_int_equal(loop_add(loop, &things[0].source, EPOLLIN), -EEXIST);
}

/* Each callback takes away its neighbour, which is due in the same turn. */
static void test_remove_inside(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		add(i, EPOLLIN);
		signal_fd(i);
		things[i].remove = &things[i ^ 1];
	}
	turn();
	for (unsigned i = 0; i < 8; i += 2)
		assert_int_equal(things[i].calls + things[i + 1].calls, 1);
}

static void test_remove_itself(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		add(i, EPOLLIN);
		signal_fd(i);
		things[i].remove = &things[i];
	}
	turn();
	turn();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(things[i].calls, 1);
}

static void test_add_inside(void **state)
{
	(void)state;
	things[0].add = &things[1];
	things[0].remove = &things[0];
	add(0, EPOLLIN);
	signal_fd(0);
	signal_fd(1);
	turn();
	assert_int_equal(things[1].calls, 0);
	turn();
	assert_int_equal(things[1].calls, 1);
}

/* Nobody starves when more are ready than one turn takes. */
static void test_many(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		add(i, EPOLLIN);
		signal_fd(i);
	}
	for (unsigned i = 0; i < 4; i++)
		turn();
	for (unsigned i = 0; i < N; i++)
		assert_true(things[i].calls >= 2);
}

/* ---- jobs ---- */

static char order[32];

static struct job {
	struct loop_job job;
	char name;
	struct job *then;   // defers this
	struct job *cancel; // cancels this
} jobs[4];

static void on_job(struct loop_job *job)
{
	struct job *j = CONTAINER_OF(job, struct job, job);

	order[strlen(order)] = j->name;
	if (j->then)
		loop_defer(loop, &j->then->job);
	if (j->cancel)
		loop_cancel(loop, &j->cancel->job);
}

static int setup_jobs(void **state)
{
	setup(state);
	memset(order, 0, sizeof(order));
	for (unsigned i = 0; i < 4; i++)
		jobs[i] = (struct job){.job.run = on_job, .name = (char)('a' + i)};
	return 0;
}

static void test_jobs(void **state)
{
	(void)state;
	loop_defer(loop, &jobs[1].job);
	loop_defer(loop, &jobs[0].job);
	loop_defer(loop, &jobs[1].job); // once is enough
	assert_string_equal(order, "");
	assert_int_equal(loop_turn(loop, -1), 0); // does not sleep while there are jobs
	assert_string_equal(order, "ba");
	turn();
	assert_string_equal(order, "ba");
}

static void test_cancel(void **state)
{
	(void)state;
	loop_cancel(loop, &jobs[0].job);
	for (unsigned i = 0; i < 4; i++)
		loop_defer(loop, &jobs[i].job);
	loop_cancel(loop, &jobs[3].job);
	loop_cancel(loop, &jobs[1].job);
	loop_cancel(loop, &jobs[0].job);
	loop_defer(loop, &jobs[1].job);
	turn();
	assert_string_equal(order, "cb");
	for (unsigned i = 0; i < 4; i++) {
		loop_defer(loop, &jobs[i].job);
		loop_cancel(loop, &jobs[i].job);
	}
	loop_defer(loop, &jobs[3].job);
	turn();
	assert_string_equal(order, "cbd");
}

/* A job that wants another turn gets it after the fds, and keeps nobody else from theirs. */
static void test_job_again(void **state)
{
	(void)state;
	jobs[0].then = &jobs[0];
	jobs[1].then = &jobs[2];
	loop_defer(loop, &jobs[0].job);
	loop_defer(loop, &jobs[1].job);
	add(0, EPOLLIN);
	signal_fd(0);
	turn();
	assert_string_equal(order, "ab");
	turn();
	assert_string_equal(order, "abac");
	assert_int_equal(things[0].calls, 2);
	loop_cancel(loop, &jobs[0].job);
}

static void test_job_cancels_another(void **state)
{
	(void)state;
	jobs[0].cancel = &jobs[1];
	jobs[0].then = &jobs[3];
	for (unsigned i = 0; i < 3; i++)
		loop_defer(loop, &jobs[i].job);
	turn();
	turn();
	assert_string_equal(order, "acd");
}

static void test_job_from_source(void **state)
{
	(void)state;
	things[0].defer = &jobs[0].job;
	things[0].read = true;
	add(0, EPOLLIN);
	signal_fd(0);
	turn();
	assert_string_equal(order, "a");
}

/* ---- run ---- */

static void test_run(void **state)
{
	(void)state;
	things[0].quit = true;
	add(0, EPOLLIN);
	signal_fd(0);
	assert_int_equal(loop_run(loop), 5);
	assert_int_equal(things[0].calls, 1);
}

static void on_alarm(int sig)
{
	(void)sig;
	signal_fd(0);
}

/* A signal's handler is no reason to stop. */
static void test_interrupted(void **state)
{
	struct sigaction sa = {.sa_handler = on_alarm}, old;

	(void)state;
	things[0].quit = true;
	add(0, EPOLLIN);
	sigaction(SIGALRM, &sa, &old);
	ualarm(1000, 0);
	assert_int_equal(loop_run(loop), 5);
	sigaction(SIGALRM, &old, NULL);
}

/* ---- timers ---- */

static struct ticker {
	struct loop_timer timer;
	unsigned calls;
	int64_t again; // ns later
} ticker;

static void on_expired(struct loop_timer *timer)
{
	struct ticker *t = CONTAINER_OF(timer, struct ticker, timer);

	assert_true(timer->at == INT64_MAX); // it may be set from here
	t->calls++;
	if (t->again)
		loop_timer_set(timer, loop_now() + t->again);
	t->again = 0;
}

static void begin_timer(void)
{
	ticker = (struct ticker){.timer.expired = on_expired};
	assert_int_equal(loop_timer_init(loop, &ticker.timer), 0);
}

static void test_timer(void **state)
{
	int64_t at = loop_now() + 2000000;

	(void)state;
	begin_timer();
	assert_int_equal(loop_turn(loop, 0), 0);
	loop_timer_set(&ticker.timer, at);
	ticker.again = 1000000;
	while (ticker.calls < 1)
		assert_int_equal(loop_turn(loop, 5000), 0);
	assert_true(loop_now() >= at);
	while (ticker.calls < 2)
		assert_int_equal(loop_turn(loop, 5000), 0);
	assert_int_equal(loop_turn(loop, 3), 0); // once each
	assert_int_equal(ticker.calls, 2);
	loop_timer_finish(&ticker.timer);
}

/* A time that is over, or 0, is at once; a later one takes its place; never is never. */
static void test_timer_set_again(void **state)
{
	(void)state;
	begin_timer();
	loop_timer_set(&ticker.timer, 0);
	assert_int_equal(loop_turn(loop, 5000), 0);
	assert_int_equal(ticker.calls, 1);
	loop_timer_set(&ticker.timer, loop_now() - 1);
	loop_timer_set(&ticker.timer, loop_now() + 3600ll * 1000000000);
	assert_int_equal(loop_turn(loop, 3), 0);
	loop_timer_set(&ticker.timer, loop_now());
	loop_timer_set(&ticker.timer, INT64_MAX);
	assert_int_equal(loop_turn(loop, 3), 0);
	assert_int_equal(ticker.calls, 1);
	loop_timer_finish(&ticker.timer);
}

static void test_destroy_nothing(void **state)
{
	(void)state;
	loop_destroy(NULL);
}

#define TEST(name)     cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
#define TEST_JOB(name) cmocka_unit_test_setup_teardown(test_##name, setup_jobs, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(level),
		TEST(edge),
		TEST(signalled_before_it_was_added),
		TEST(modify),
		TEST(remove),
		TEST(bad_fd),
		TEST(remove_inside),
		TEST(remove_itself),
		TEST(add_inside),
		TEST(many),
		TEST_JOB(jobs),
		TEST_JOB(cancel),
		TEST_JOB(job_again),
		TEST_JOB(job_cancels_another),
		TEST_JOB(job_from_source),
		TEST(run),
		TEST(interrupted),
		TEST(timer),
		TEST(timer_set_again),
		TEST(destroy_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
