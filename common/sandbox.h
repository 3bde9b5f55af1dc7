/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The daemon locks itself in once it has all that it needs. From then on it talks to those whom it
 * knows, and to memory: it can neither open a file nor make a socket, nor start or touch another
 * process, nor run code that was not there.
 */
#include <stdbool.h>
#include <sys/types.h>

/* What happens at a system call that a daemon never needs. */
enum sandbox_mode {
	SANDBOX_AUTO, // as KILL, but go on without what this kernel or container refuses
	SANDBOX_KILL, // the process ends, without a core dump
	SANDBOX_TRAP, // SIGSYS: a debugger or a core dump shows where
	SANDBOX_LOG,  // it is done, and the kernel's log tells of it; nothing is denied
	SANDBOX_NONE, // there is no sandbox
};

enum { SANDBOX_PATHS_MAX = 4 };

/* Folders that stay reachable, with what is below them; the array ends with an empty one. */
struct sandbox_path {
	const char *path;
	bool writable; // files may be made, written, renamed and removed, too; else: only read
};

struct sandbox_profile {
	bool makes_code; // memory may be made executable: a compiler of shaders is inside
	bool drives_gpu; // a render node is open and may be asked anything, and so may dmabufs
	struct sandbox_path paths[SANDBOX_PATHS_MAX + 1];
};

/*
 * Locks this process in, for good. 0, or the negative errno with which the filter of system calls
 * was refused; with SANDBOX_AUTO that is logged only. Landlock is used where there is one.
 *
 * The filter holds for all threads; what `paths` says holds for this one and those that it starts
 * from now on. A daemon that names paths starts its threads afterwards.
 */
int sandbox_enter(enum sandbox_mode mode, const struct sandbox_profile *profile);

/*
 * For a process that is about to become another program, which is then alone with a guest and has files to
 * load and may start more of itself. Weaker: it can read and run what its user can, write to devices only, talk
 * to whom it has a socket to, and look into no other process. With SANDBOX_LOG and SANDBOX_NONE nothing. 0 or
 * negative errno; with SANDBOX_AUTO what this kernel or container refuses is done without.
 */
int sandbox_become(enum sandbox_mode mode);

/* A process that removes a file when ours ends, however it does: from inside it cannot be done. */
struct sandbox_remover {
	pid_t pid;
	int alive; // a pipe that is closed by our end
};

#define SANDBOX_REMOVER_NONE                                                                       \
	{                                                                                          \
		.alive = -1                                                                        \
	}

/* For the file that is there now; another one that has taken its place is left alone. Negative
 * errno. */
int sandbox_remover_start(struct sandbox_remover *r, const char *path);

/* Has it removed now. Nothing, where none was started. */
void sandbox_remover_finish(struct sandbox_remover *r);
