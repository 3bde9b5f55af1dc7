/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "sound/realtime.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int policy(void)
{
	return sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
}

/* Who sleeps now and then keeps the priority; who does not has lost it soon. */
static void test_busy(void **state)
{
	double begin;

	(void)state;
	if (realtime_begin() != REALTIME_RR) {
		print_message("skipped: no realtime priority is permitted here\n");
		skip();
	}
	assert_int_equal(policy(), SCHED_RR);
	for (unsigned i = 0; i < 10; i++) {
		begin = cpu_seconds();
		while (cpu_seconds() < begin + 0.02)
			;
		usleep(1000);
	}
	assert_int_equal(policy(), SCHED_RR);
	begin = cpu_seconds();
	while (policy() == SCHED_RR && cpu_seconds() < begin + 10)
		;
	assert_int_equal(policy(), SCHED_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
