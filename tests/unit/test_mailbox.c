/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "common/mailbox.h"

#include <poll.h>
#include <pthread.h>

static bool is_ready(struct mailbox *m)
{
	struct pollfd p = {.fd = m->event, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void test_order(void **state)
{
	unsigned before = count_fds();
	struct mailbox m;
	char items[3];

	(void)state;
	assert_int_equal(mailbox_init(&m, false), 0);
	assert_null(mailbox_get(&m));
	assert_false(is_ready(&m));
	for (unsigned i = 0; i < 3; i++)
		assert_true(mailbox_put(&m, &items[i]));
	assert_true(is_ready(&m));
	mailbox_wait(&m);
	assert_false(is_ready(&m));
	for (unsigned i = 0; i < 3; i++)
		assert_ptr_equal(mailbox_get(&m), &items[i]);
	assert_null(mailbox_get(&m));
	mailbox_wait(&m); // does not block
	mailbox_finish(&m);
	assert_int_equal(count_fds(), before);
}

static void test_full(void **state)
{
	char items[MAILBOX_SIZE + 1];
	struct mailbox m;

	(void)state;
	assert_int_equal(mailbox_init(&m, false), 0);
	m.head = m.tail = UINT32_MAX - 5; // the counters run over on the way
	for (unsigned i = 0; i < MAILBOX_SIZE; i++)
		assert_true(mailbox_put(&m, &items[i]));
	assert_false(mailbox_put(&m, &items[MAILBOX_SIZE]));
	assert_ptr_equal(mailbox_get(&m), &items[0]);
	assert_true(mailbox_put(&m, &items[MAILBOX_SIZE]));
	for (unsigned i = 1; i <= MAILBOX_SIZE; i++)
		assert_ptr_equal(mailbox_get(&m), &items[i]);
	assert_null(mailbox_get(&m));
	mailbox_finish(&m);
}

enum { ITEMS = 100000 };

static unsigned numbers[ITEMS];

static void *send_all(void *arg)
{
	for (unsigned i = 0; i < ITEMS; i++) {
		numbers[i] = i;
		while (!mailbox_put(arg, &numbers[i]))
			sched_yield();
	}
	return NULL;
}

/* What a blocked receiver gets is in order, and filled before it was sent. */
static void test_threads(void **state)
{
	struct mailbox m;
	pthread_t sender;
	unsigned n = 0;

	(void)state;
	assert_int_equal(mailbox_init(&m, true), 0);
	assert_int_equal(pthread_create(&sender, NULL, send_all, &m), 0);
	while (n < ITEMS) {
		unsigned *item;

		mailbox_wait(&m);
		for (; (item = mailbox_get(&m)); n++)
			assert_int_equal(*item, n);
	}
	pthread_join(sender, NULL);
	mailbox_finish(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
