/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Attempts from inside the sandbox. Each is made by a process of its own, which locks itself in;
 * one around it has the user's rights that are tried. Both leave by _exit(): AddressSanitizer's
 * search for leaks starts a process, which is one of the things that are denied.
 */
#include "unit.h"
#include "common/sandbox.h"

enum { SIGNALLED = 1000, REFUSED = 999 };

struct cage_attempt {
	const char *name;
	int (*before)(void); // outside, may be NULL; what it returns is in cage.early
	int (*run)(void);    // inside; returns 0 or an errno
	int error;           // what comes of it; 0: the mode's action
	bool possible;       // without a sandbox, for everyone
};

extern struct cage {
	char dir[64], other[64]; // two folders of everyone's
	struct sandbox_profile profile;
	bool as_nobody;
	int early;
} cage;

/* cmocka's; *state is not NULL for tests as nobody. */
int cage_setup(void **state);
int cage_teardown(void **state);

/* dir/name, valid until the next call. */
const char *cage_path(const char *dir, const char *name);

/* 0 or errno. */
int cage_result(long r);

/* SIGNALLED + a signal, or the exit status. */
int cage_wait(int pid);

/* What run() returned, SIGNALLED + a signal, or REFUSED: there was no locking in. */
int cage_try(enum sandbox_mode mode, const struct cage_attempt *a);

void cage_assert(enum sandbox_mode mode, const struct cage_attempt *a, int wanted);

/* Only root can be nobody as well. */
#define CAGE_SKIP                                                                                  \
	do {                                                                                       \
		if (cage.as_nobody && geteuid() != 0)                                              \
			skip();                                                                    \
	} while (0)

#define CAGE_TEST(name)                                                                            \
	{#name, test_##name, cage_setup, cage_teardown, NULL},                                     \
	{                                                                                          \
#name "_as_nobody", test_##name, cage_setup, cage_teardown, &cage                  \
	}
