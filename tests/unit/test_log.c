/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "test"
#define _GNU_SOURCE
#include "unit.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int saved = -1, captured = -1;

static int setup(void **state)
{
	int p[2];

	(void)state;
	if (pipe2(p, O_NONBLOCK | O_CLOEXEC) < 0)
		return -1;
	saved = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	captured = p[0];
	return log_configure("warn");
}

static int teardown(void **state)
{
	(void)state;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(captured);
	return 0;
}

/* What was logged since the last time, as a string. */
static const char *logged(void)
{
	static char text[4096];
	ssize_t n = read(captured, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void test_levels(void **state)
{
	(void)state;
	log_err("%s %d", "one", 1);
	assert_string_equal(logged(), "test err: one 1\n");
	log_warn("two");
	assert_string_equal(logged(), "test warn: two\n");
	log_info("three");
	log_dbg("four");
	assert_string_equal(logged(), "");
	assert_int_equal(log_configure("info"), 0);
	log_info("three");
	log_dbg("four");
	assert_string_equal(logged(), "test info: three\n");
	assert_int_equal(log_configure("err"), 0);
	log_warn("two");
	assert_string_equal(logged(), "");
}

static void test_topics(void **state)
{
	(void)state;
	assert_false(log_enabled("a", LOG_INFO));
	assert_int_equal(log_configure("a:dbg,info,b:err"), 0);
	assert_true(log_enabled("a", LOG_DBG));
	assert_false(log_enabled("b", LOG_WARN));
	assert_true(log_enabled("c", LOG_INFO));
	assert_false(log_enabled("c", LOG_DBG));
	assert_false(log_enabled("aa", LOG_DBG));
	assert_int_equal(log_configure("a:warn"), 0); // the last word counts
	assert_false(log_enabled("a", LOG_INFO));
}

static void test_bad_specs(void **state)
{
	const char *const bad[] = {"", "loud", "a:", "a:loud", ":info", "err,", "err,,err",
		"a:b:err", "inf", "infos", "sixteen-letters-:err", "a:err,b"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(log_configure(bad[i]), -EINVAL);
	assert_int_equal(log_configure("fifteen-letters:dbg"), 0);
	assert_true(log_enabled("fifteen-letters", LOG_DBG));
}

static void test_long_lines(void **state)
{
	char text[2000];
	const char *line;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_err("%s", text);
	line = logged();
	assert_true(strlen(line) > 400 && strlen(line) <= 512);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_errno(void **state)
{
	(void)state;
	errno = EXDEV;
	log_err("%m");
	assert_int_equal(errno, EXDEV);
	assert_string_equal(logged(), "test err: Invalid cross-device link\n");
	log_dbg("not shown");
	assert_int_equal(errno, EXDEV);
	close(STDERR_FILENO);
	log_err("nowhere to write to");
	assert_int_equal(errno, EXDEV);
}

/* Ten in a second, then silence: with a clock that stands or moves on once meanwhile. */
static void test_limit(void **state)
{
	struct log_limit limit = {0};
	unsigned passed = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		passed += log_limit_pass(&limit, "test");
	assert_true(passed >= 10 && passed <= 20);
	assert_true(limit.dropped > 0);
	limit.second--; // as if the second were over
	assert_int_equal(log_configure("dbg"), 0);
	assert_true(log_limit_pass(&limit, "test"));
	assert_non_null(strstr(logged(), "lines like the next left out"));
	assert_int_equal(limit.dropped, 0);
}

static void test_peer(void **state)
{
	unsigned lines = 0;
	const char *text;

	(void)state;
	log_peer("not at this level");
	assert_string_equal(logged(), "");
	assert_int_equal(log_configure("dbg"), 0);
	for (unsigned i = 0; i < 100; i++)
		log_peer("a mistake");
	text = logged();
	while ((text = strchr(text, '\n'))) {
		text++;
		lines++;
	}
	assert_true(lines >= 10 && lines <= 22);
}

/* The table of topics has an end. */
static void test_many_topics(void **state)
{
	unsigned n = 0;

	(void)state;
	while (log_configure("topic:dbg") == 0)
		n++;
	assert_true(n >= 4 && n < 100);
	assert_int_equal(log_configure("topic:dbg"), -EINVAL);
	assert_int_equal(log_configure("info"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(levels), TEST(topics), TEST(bad_specs), TEST(long_lines), TEST(errno),
		TEST(limit), TEST(peer),
		TEST(many_topics), // the last: it fills the table
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
