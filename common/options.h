/* SPDX-License-Identifier: MIT */
#pragma once
/* Command lines: the options that all daemons share, and a table of a daemon's own. */
#include <stdbool.h>
#include <stdint.h>

#include "sandbox.h"

/* What main() returns. */
enum exit_status { EXIT_OK = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2, EXIT_IMPOSSIBLE = 69 };

struct option_entry {
	const char *name; // without the dashes
	const char *arg;  // what is shown for its value; NULL: it takes none
	const char *help; // lines are separated by \n
	/* Takes the value (NULL without one). -EINVAL: not such a value. */
	int (*set)(void *target, const char *value);
	bool optional; // it may be given without its value
};

struct options {
	/* What the program is. */
	const char *program, *summary;
	const char *capabilities;           // the JSON of --print-capabilities
	const struct option_entry *entries; // ends with an empty one
	void *target;                       // for the entries' set()
	/* Prints the doctor's report, for "" or "qemu" or "libvirt". An exit_status. NULL: none. */
	int (*check)(void *target, const char *kind, const char *binary);
	/* What its sandbox leaves it. NULL: this program has no sandbox. */
	const struct sandbox_profile *sandbox;
	/* What was asked for. */
	const char *socket_path;
	int fd; // -1: none
	bool one_off;
	enum sandbox_mode seccomp; // SANDBOX_AUTO: nothing was said
};

/*
 * Reads the command line and LISTEN_FDS. -1: go on. Otherwise an exit_status: --help and its like
 * have been answered on stdout, or one line on stderr says what is wrong and what to do.
 */
int options_parse(struct options *o, int argc, char **argv);

/* For an entry's set(): bytes, which may be given with K, M, G or T. 0: it is no such number, or 0. */
uint64_t options_size(const char *value);

/* One line on stderr, headed by the program's name; returns status. */
int options_fail(const struct options *o, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
