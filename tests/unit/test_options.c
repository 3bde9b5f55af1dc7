/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "unit.h"
#include "common/log.h"
#include "common/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { GOES_ON = -1, ARGS_MAX = 16, TEXT_MAX = 8192 };

struct own {
	const char *value;
	unsigned flags;
};

static struct own own;
static char out[TEXT_MAX], err[TEXT_MAX];
static char checked[64];

static int set_value(void *target, const char *value)
{
	((struct own *)target)->value = value;
	return strcmp(value, "bad") ? 0 : -EINVAL;
}

static int set_flag(void *target, const char *value)
{
	assert_null(value);
	((struct own *)target)->flags++;
	return 0;
}

static int set_either(void *target, const char *value)
{
	((struct own *)target)->value = value ? value : "none";
	return 0;
}

static int check(void *target, const char *kind, const char *binary)
{
	assert_ptr_equal(target, &own);
	snprintf(checked, sizeof(checked), "%s|%s", kind, binary);
	return EXIT_IMPOSSIBLE;
}

static const struct option_entry entries[] = {
	{"value", "X", "takes a value\nin two lines", set_value},
	{"flag", NULL, "takes none", set_flag},
	{"either", "Y", "takes one or none", set_either, .optional = true},
	{0},
};

static struct options o;
static const struct sandbox_profile sandbox;
static bool has_sandbox;

/* Redirects fd into a file without a name; returns what it was. */
static int redirect(int fd, FILE *to)
{
	int saved = dup(fd);

	assert_true(saved >= 0);
	assert_int_equal(dup2(fileno(to), fd), fd);
	return saved;
}

static void collect(int fd, int saved, FILE *from, char *text)
{
	size_t n;

	fflush(NULL);
	dup2(saved, fd);
	close(saved);
	rewind(from);
	n = fread(text, 1, TEXT_MAX - 1, from);
	text[n] = 0;
	fclose(from);
}

/* Parses a line of words; what it says is in out and err. */
static int parse(const char *line)
{
	static char words[512];
	char *argv[ARGS_MAX] = {(char *)"virga-test"};
	FILE *to[2] = {tmpfile(), tmpfile()};
	int argc = 1, r, saved[2];

	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	o = (struct options){.program = "virga-test",
		.summary = "A test.",
		.capabilities = "{\"type\": \"test\"}",
		.entries = entries,
		.target = &own,
		.check = check,
		.sandbox = has_sandbox ? &sandbox : NULL};
	own = (struct own){0};
	optind = 0;
	fflush(NULL);
	saved[0] = redirect(STDOUT_FILENO, to[0]);
	saved[1] = redirect(STDERR_FILENO, to[1]);
	r = options_parse(&o, argc, argv);
	collect(STDOUT_FILENO, saved[0], to[0], out);
	collect(STDERR_FILENO, saved[1], to[1], err);
	return r;
}

/* One line on stderr, with these words in it; nothing on stdout. */
static void assert_usage(const char *line, const char *words)
{
	assert_int_equal(parse(line), EXIT_USAGE);
	assert_string_equal(out, "");
	assert_ptr_equal(strstr(err, "virga-test: "), err);
	assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
	if (!strstr(err, words))
		fail_msg("'%s' says '%s', not '%s'", line, err, words);
}

static void test_where(void **state)
{
	(void)state;
	assert_int_equal(parse("--socket-path=/a/b"), GOES_ON);
	assert_string_equal(o.socket_path, "/a/b");
	assert_int_equal(o.fd, -1);
	assert_false(o.one_off);
	assert_int_equal(parse("--socket-path /a/b --one-off"), GOES_ON);
	assert_true(o.one_off);
	assert_int_equal(parse("--fd=0"), GOES_ON);
	assert_int_equal(o.fd, 0);
	assert_int_equal(parse("--fd 2147483647"), GOES_ON);
	assert_null(o.socket_path);
	assert_string_equal(err, "");
	assert_usage("", "give --socket-path=PATH");
	assert_usage("--one-off", "give --socket-path=PATH");
	assert_usage("--socket-path=/a --fd=3", "not both");
	assert_usage("--socket-path=", "--socket-path=PATH");
}

static void test_bad_fds(void **state)
{
	const char *const bad[] = {"--fd=", "--fd=x", "--fd=3x", "--fd=-1", "--fd=2147483648",
		"--fd=99999999999999999999", "--fd=0x3"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_usage(bad[i], "--fd=N");
}

static void test_own_entries(void **state)
{
	(void)state;
	assert_int_equal(parse("--value=1 --flag --fd=3 --value 2 --flag"), GOES_ON);
	assert_string_equal(own.value, "2");
	assert_int_equal(own.flags, 2);
	assert_usage("--fd=3 --value=bad", "--value=bad: not understood, wanted is --value=X");
	assert_usage("--fd=3 --value", "--value needs a value");
	assert_usage("--fd=3 --flag=1", "--flag=1");
	assert_int_equal(parse("--fd=3 --either"), GOES_ON);
	assert_string_equal(own.value, "none");
	assert_int_equal(parse("--either=1 --fd=3"), GOES_ON);
	assert_string_equal(own.value, "1");
	assert_usage("--fd=3 --either 1", "1: not an option"); // it is the next word
	assert_int_equal(parse("--help"), EXIT_OK);
	assert_non_null(strstr(out, "  --either[=Y]  "));
	assert_non_null(strstr(out, "  --value=X  "));
}

static void test_unknown(void **state)
{
	(void)state;
	assert_usage("--fd=3 --nothing", "--nothing");
	assert_usage("--fd=3 --nothing=5", "--nothing=5");
	assert_usage("--fd=3 -x", "-x");
	assert_usage("--fd=3 word", "word");
	assert_usage("word --fd=3", "word");
	assert_usage("--fd=3 -- word", "word");
}

static void test_log(void **state)
{
	(void)state;
	assert_int_equal(parse("--fd=3 --log=options-a:dbg,options-b:err"), GOES_ON);
	assert_true(log_enabled("options-a", LOG_DBG));
	assert_false(log_enabled("options-b", LOG_WARN));
	assert_usage("--fd=3 --log=loud", "--log=loud");
	assert_false(log_enabled("options-c", LOG_INFO));
	assert_int_equal(parse("--fd=3 -v"), GOES_ON);
	assert_true(log_enabled("options-c", LOG_INFO));
	assert_false(log_enabled("options-c", LOG_DBG));
	assert_int_equal(parse("--fd=3 -vv"), GOES_ON);
	assert_true(log_enabled("options-c", LOG_DBG));
	log_configure("warn");
}

static void test_answers(void **state)
{
	(void)state;
	assert_int_equal(parse("--version"), EXIT_OK);
	assert_string_equal(out, "virga-test " VIRGA_VERSION "\n");
	assert_int_equal(parse("--help"), EXIT_OK);
	assert_non_null(strstr(out, "Usage: virga-test "));
	assert_non_null(strstr(out, "A test."));
	assert_non_null(strstr(out, "--value=X"));
	assert_non_null(strstr(out, "in two lines"));
	assert_non_null(strstr(out, "--socket-path=PATH"));
	assert_non_null(strstr(out, "--check"));
	assert_string_equal(err, "");
	assert_int_equal(parse("-h"), EXIT_OK);
	assert_int_equal(parse("--flag --version --value=bad"), EXIT_OK);
}

static void test_seccomp(void **state)
{
	(void)state;
	assert_usage("--fd=3 --seccomp=kill", "no such option: --seccomp=kill");
	assert_int_equal(parse("--help"), EXIT_OK);
	assert_null(strstr(out, "--seccomp"));
	has_sandbox = true;
	assert_int_equal(parse("--fd=3"), GOES_ON);
	assert_int_equal(o.seccomp, SANDBOX_AUTO);
	assert_int_equal(parse("--fd=3 --seccomp=kill"), GOES_ON);
	assert_int_equal(o.seccomp, SANDBOX_KILL);
	assert_int_equal(parse("--fd=3 --seccomp trap"), GOES_ON);
	assert_int_equal(o.seccomp, SANDBOX_TRAP);
	assert_int_equal(parse("--fd=3 --seccomp=log --value=1"), GOES_ON);
	assert_int_equal(o.seccomp, SANDBOX_LOG);
	assert_string_equal(own.value, "1"); // the others find their target
	assert_int_equal(parse("--fd=3 --seccomp=none"), GOES_ON);
	assert_int_equal(o.seccomp, SANDBOX_NONE);
	assert_usage("--fd=3 --seccomp=", "wanted is --seccomp=kill|trap|log|none");
	assert_usage("--fd=3 --seccomp=auto", "wanted is --seccomp=kill|trap|log|none");
	assert_usage("--fd=3 --seccomp=KILL", "--seccomp=KILL: not understood");
	assert_int_equal(parse("--help"), EXIT_OK);
	assert_non_null(strstr(out, "--seccomp=kill|trap|log|none"));
	has_sandbox = false;
}

/* What a management tool asks is answered whatever else is on the line. */
static void test_capabilities(void **state)
{
	const char *const lines[] = {"--print-capabilities", "--print-capabilities --nothing word",
		"word --fd=x --print-capabilities", "--print-cap"};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		assert_int_equal(parse(lines[i]), EXIT_OK);
		assert_string_equal(out, "{\"type\": \"test\"}\n");
		assert_string_equal(err, "");
	}
}

static void test_check(void **state)
{
	(void)state;
	assert_int_equal(parse("--check"), EXIT_IMPOSSIBLE);
	assert_string_equal(checked, "|virga-test");
	assert_int_equal(parse("--flag --check=qemu --value=1"), EXIT_IMPOSSIBLE);
	assert_string_equal(checked, "qemu|virga-test");
	assert_string_equal(own.value, "1"); // all of the line is read first
	assert_int_equal(parse("--check=libvirt"), EXIT_IMPOSSIBLE);
	assert_usage("--check=xen", "--check=xen");
	assert_usage("--check=qem", "--check=qem");
}

static void test_listen_fds(void **state)
{
	char pid[32];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(parse(""), GOES_ON);
	assert_int_equal(o.fd, 3);
	assert_int_equal(parse("--fd=5"), GOES_ON); // said is said
	assert_int_equal(o.fd, 5);
	assert_int_equal(parse("--socket-path=/a"), GOES_ON);
	assert_int_equal(o.fd, -1);
	setenv("LISTEN_FDS", "0", 1);
	assert_usage("", "give --socket-path");
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", "1", 1); // meant for another
	assert_usage("", "give --socket-path");
	unsetenv("LISTEN_PID");
	assert_usage("", "give --socket-path");
	unsetenv("LISTEN_FDS");
}

static void test_fail(void **state)
{
	FILE *to = tmpfile();
	int saved;

	(void)state;
	o = (struct options){.program = "prog"};
	fflush(NULL);
	saved = redirect(STDERR_FILENO, to);
	assert_int_equal(options_fail(&o, 69, "%d of %s", 1, "two"), 69);
	collect(STDERR_FILENO, saved, to, err);
	assert_string_equal(err, "prog: 1 of two\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_bad_fds),
		cmocka_unit_test(test_own_entries),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_listen_fds),
		cmocka_unit_test(test_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
