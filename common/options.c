/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"

enum { OPTIONS_MAX = 48, FIRST_ACTIVATED_FD = 3, HELP_COLUMN = 26 };

static int set_socket_path(void *target, const char *value)
{
	((struct options *)target)->socket_path = value;
	return *value ? 0 : -EINVAL;
}

static int set_fd(void *target, const char *value)
{
	char *end;
	long fd = strtol(value, &end, 10);

	if (!*value || *end || fd < 0 || fd > INT_MAX)
		return -EINVAL;
	((struct options *)target)->fd = (int)fd;
	return 0;
}

static int set_one_off(void *target, const char *value)
{
	(void)value;
	((struct options *)target)->one_off = true;
	return 0;
}

static int set_log(void *target, const char *value)
{
	(void)target;
	return log_configure(value);
}

static int set_seccomp(void *target, const char *value)
{
	static const char *const names[] = {[SANDBOX_KILL] = "kill",
		[SANDBOX_TRAP] = "trap",
		[SANDBOX_LOG] = "log",
		[SANDBOX_NONE] = "none"};

	for (unsigned i = SANDBOX_KILL; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(value, names[i])) {
			((struct options *)target)->seccomp = (enum sandbox_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

static const struct option_entry common_entries[] = {
	{"socket-path", "PATH", "listen on this socket for a front-end", set_socket_path},
	{"fd", "N", "serve this open socket, listening or connected", set_fd},
	{"one-off", NULL, "end when the first front-end has left", set_one_off},
	{"log", "[TOPIC:]LEVEL,...", "say more: err, warn (default), info, dbg", set_log},
	{0},
};

/* For programs that have a sandbox. */
static const struct option_entry sandbox_entries[] = {
	{"seccomp", "kill|trap|log|none",
		"at a system call that is never needed: end (kill,\nthe default), send SIGSYS, "
		"or only tell the kernel's\nlog; none: without any sandbox",
		set_seccomp},
	{0},
};

uint64_t options_size(const char *value)
{
	static const char units[] = "KMGT";
	char *end;
	unsigned long long size = strtoull(value, &end, 10); // ULLONG_MAX for all beyond
	const char *unit = *end ? strchr(units, *end) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;

	if (*value < '0' || *value > '9' || (*end && (!unit || end[1])) || !size
		|| size > (ULLONG_MAX - 1) >> shift)
		return 0;
	return size << shift;
}

int options_fail(const struct options *o, int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", o->program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static void print_help_lines(const char *help)
{
	for (;;) {
		size_t len = strcspn(help, "\n");

		printf("%.*s\n", (int)len, help);
		if (!help[len])
			return;
		help += len + 1;
		printf("%*s", HELP_COLUMN + 2, "");
	}
}

static void print_entries(const struct option_entry *e)
{
	for (; e->name; e++) {
		const char *equals = !e->arg ? "" : e->optional ? "[=" : "=";
		int n = printf("  --%s%s%s%s", e->name, equals, e->arg ? e->arg : "",
			e->optional ? "]" : "");

		if (n >= HELP_COLUMN) {
			putchar('\n');
			n = 0;
		}
		printf("%*s  ", HELP_COLUMN - n, "");
		print_help_lines(e->help);
	}
}

static void print_help(const struct options *o)
{
	printf("Usage: %s --socket-path=PATH [OPTION]...\n%s\n\n", o->program, o->summary);
	print_entries(o->entries);
	putchar('\n');
	print_entries(common_entries);
	if (o->sandbox)
		print_entries(sandbox_entries);
	printf("  -v                        like --log=info; twice: --log=dbg\n");
	if (o->check)
		printf("  --check[=qemu|libvirt]    say what works here, and print the lines to "
		       "use\n");
	printf("  --print-capabilities      answer a management tool with JSON and end\n"
	       "  --version, --help\n");
}

/* The places of the long options in getopt's table; behind the daemon's own come the common ones.
 */
struct table {
	struct option opts[OPTIONS_MAX];
	const struct option_entry *entries[OPTIONS_MAX];
	unsigned n, n_own;
};

enum { KEY_TABLE = 256, KEY_CAPABILITIES = 512, KEY_CHECK, KEY_VERSION, KEY_HELP };

static void add_entries(struct table *t, const struct option_entry *e)
{
	for (; e->name && t->n < OPTIONS_MAX - 5; e++) {
		int has_arg = !e->arg ? no_argument
			: e->optional ? optional_argument
				      : required_argument;

		t->entries[t->n] = e;
		t->opts[t->n] = (struct option){e->name, has_arg, NULL, KEY_TABLE + (int)t->n};
		t->n++;
	}
}

static void build_table(struct table *t, const struct options *o)
{
	add_entries(t, o->entries);
	t->n_own = t->n;
	add_entries(t, common_entries);
	if (o->sandbox)
		add_entries(t, sandbox_entries);
	t->opts[t->n] = (struct option){"print-capabilities", no_argument, NULL, KEY_CAPABILITIES};
	t->opts[t->n + 1] = (struct option){"version", no_argument, NULL, KEY_VERSION};
	t->opts[t->n + 2] = (struct option){"help", no_argument, NULL, KEY_HELP};
	if (o->check)
		t->opts[t->n + 3] = (struct option){"check", optional_argument, NULL, KEY_CHECK};
}

/* Management tools add --print-capabilities to a line that need not make sense otherwise. */
static bool asks_capabilities(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--print-capabilities"))
			return true;
	return false;
}

static int take_entry(struct options *o, const struct table *t, unsigned i)
{
	const struct option_entry *e = t->entries[i];

	if (e->set(i < t->n_own ? o->target : o, optarg) == 0)
		return -1;
	return options_fail(o, EXIT_USAGE, "--%s=%s: not understood, wanted is --%s=%s", e->name,
		optarg ? optarg : "", e->name, e->arg ? e->arg : "");
}

/* optopt says what getopt_long() did not take: an option's key when it was given a value in vain, a
 * short option's letter (word is another one then, if more letters follow), 0 for a long option.
 */
static int refuse_option(const struct options *o, const char *word)
{
	if (optopt >= KEY_TABLE)
		return options_fail(o, EXIT_USAGE, "%s: this option takes no value", word);
	if (optopt)
		return options_fail(
			o, EXIT_USAGE, "no such option: -%c; see %s --help", optopt, o->program);
	return options_fail(o, EXIT_USAGE, "no such option: %s; see %s --help", word, o->program);
}

static int take(struct options *o, const struct table *t, int key, const char **check, char **argv)
{
	static const char *const verbose[] = {"info", "dbg"};
	static unsigned n_verbose;

	switch (key) {
	case 'v':
		log_configure(verbose[n_verbose ? 1 : 0]);
		n_verbose++;
		return -1;
	case KEY_CAPABILITIES: // abbreviated: see asks_capabilities()
		puts(o->capabilities);
		return EXIT_OK;
	case KEY_VERSION:
		printf("%s %s\n", o->program, VIRGA_VERSION);
		return EXIT_OK;
	case KEY_HELP:
	case 'h':
		print_help(o);
		return EXIT_OK;
	case KEY_CHECK:
		*check = optarg ? optarg : "";
		return -1;
	case ':':
		return options_fail(o, EXIT_USAGE, "%s needs a value; see %s --help",
			argv[optind - 1], o->program);
	case '?':
		return refuse_option(o, argv[optind - 1]);
	default:
		return take_entry(o, t, (unsigned)(key - KEY_TABLE));
	}
}

/* Socket activation, sd_listen_fds(3): one descriptor is enough. */
static int activated_fd(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (!pid || !n || atol(pid) != getpid() || atoi(n) < 1)
		return -1;
	return FIRST_ACTIVATED_FD;
}

static int where_to_serve(struct options *o)
{
	if (o->socket_path && o->fd >= 0)
		return options_fail(o, EXIT_USAGE, "give --socket-path or --fd, not both");
	if (!o->socket_path && o->fd < 0)
		o->fd = activated_fd();
	if (!o->socket_path && o->fd < 0)
		return options_fail(o, EXIT_USAGE,
			"give --socket-path=PATH (or --fd=N); see %s --help", o->program);
	return -1;
}

int options_parse(struct options *o, int argc, char **argv)
{
	struct table t = {0};
	const char *check = NULL;
	int key, r;

	o->fd = -1;
	if (asks_capabilities(argc, argv)) {
		puts(o->capabilities);
		return EXIT_OK;
	}
	build_table(&t, o);
	while ((key = getopt_long(argc, argv, "+:vh", t.opts, NULL)) != -1) {
		r = take(o, &t, key, &check, argv);
		if (r >= 0)
			return r;
	}
	if (optind < argc)
		return options_fail(o, EXIT_USAGE, "%s: not an option; see %s --help", argv[optind],
			o->program);
	if (check && *check && strcmp(check, "qemu") && strcmp(check, "libvirt"))
		return options_fail(o, EXIT_USAGE, "--check=%s: it is qemu or libvirt", check);
	return check ? o->check(o->target, check, argv[0]) : where_to_serve(o);
}
