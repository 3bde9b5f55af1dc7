/* SPDX-License-Identifier: MIT */
/* Command lines: an input is the arguments, one a line. What is accepted makes sense. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/options.h"

enum { ARGS_MAX = 16, TEXT_MAX = 2048 };

/* What the parser says is of no interest here. */
static FILE *nowhere(void)
{
	static FILE *f;

	if (!f)
		f = fopen("/dev/null", "w");
	FUZZ_CHECK(f);
	return f;
}

static int cut_lines(char *text, char **argv)
{
	int argc = 1;

	argv[0] = (char *)(uintptr_t) "virga-gpu";
	for (char *line = strtok(text, "\n"); line && argc < ARGS_MAX; line = strtok(NULL, "\n"))
		argv[argc++] = line;
	argv[argc] = NULL;
	return argc;
}

static void check_outputs(const struct gpu_config *c)
{
	FUZZ_CHECK(c->n_outputs >= 1 && c->n_outputs <= VIRTIO_GPU_MAX_SCANOUTS);
	for (unsigned i = 0; i < c->n_outputs; i++) {
		FUZZ_CHECK(c->outputs[i].width >= 1 && c->outputs[i].width <= 16384);
		FUZZ_CHECK(c->outputs[i].height >= 1 && c->outputs[i].height <= 16384);
	}
}

/* Each value by itself, too: a line ends at the first that is wrong. */
static void try_values(const char *value)
{
	struct gpu_options g = GPU_OPTIONS_DEFAULT;
	const struct options o = gpu_command_line(&g);

	for (const struct option_entry *e = o.entries; e->name; e++) {
		int r = e->set(&g, value);

		FUZZ_CHECK(r == 0 || r == -EINVAL);
		if (r == 0 && !strcmp(e->name, "outputs"))
			check_outputs(&g.device);
		FUZZ_CHECK(g.device.max_hostmem);
	}
}

static void parse(int argc, char **argv)
{
	struct gpu_options g = GPU_OPTIONS_DEFAULT;
	struct options o = gpu_command_line(&g);
	int status;

	optind = 0; // begin again
	status = options_parse(&o, argc, argv);
	FUZZ_CHECK(status == -1 || status == EXIT_OK || status == EXIT_USAGE);
	if (status != -1)
		return;
	check_outputs(&g.device);
	FUZZ_CHECK(g.device.max_hostmem);
	FUZZ_CHECK(o.fd >= 0 || (o.socket_path && *o.socket_path));
}

static void try_all(char *text)
{
	char *argv[ARGS_MAX + 1];
	int argc;

	try_values(text);
	argc = cut_lines(text, argv);
	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		try_values(value ? value + 1 : argv[i]);
	}
	parse(argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *out = stdout, *err = stderr;
	char text[TEXT_MAX];

	stdout = stderr = nowhere();
	size = size >= sizeof(text) ? sizeof(text) - 1 : size;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	try_all(text);
	stdout = out;
	stderr = err;
	return 0;
}
