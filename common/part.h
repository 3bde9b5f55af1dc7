/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A part is a child process that is the inside of one library: one that a guest can crash, or that
 * takes its time. It is reached by messages over a SOCK_SEQPACKET socket; answers come late, and
 * nothing here ever waits.
 *
 * Once a daemon serves, its sandbox lets it start no process. So parts are started by a nursery, a
 * small process that is forked before the sandbox, and before any thread. It knows what can be
 * started; what it is told is only which, and with which socket. A part loads its library, then locks
 * itself in, in a sandbox of its own.
 *
 *	daemon ---- start, end ----> nursery ---- fork ----> part
 *	   |                                                   |
 *	   +---------------------- messages -------------------+
 *
 * A part that dies is started again: at once the first time, then with growing delays. One that dies
 * again and again before it works is left dead.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "loop.h"
#include "sandbox.h"

enum { PART_MESSAGE_MAX = 8192, PART_QUEUE_MAX = 8 << 20 };

struct part_inside;

/* What can be started. A const table, known to the nursery when it is forked. */
struct part_kind {
	const char *name; // of the process, and in the log
	/*
	 * The inside. Serves `sock` (owned) until its other end is closed; what it returns is the
	 * process's exit status. When its library is ready it calls part_lock_in().
	 */
	int (*run)(int sock, const struct part_inside *inside);
	struct sandbox_profile sandbox;
	/* NULL, or what is done once, before any part is forked, so that each begins with it: loading a
	 * library. It leaves no thread and no descriptor behind. */
	void (*prepare)(void);
	const char *device; // a path, for the inside to open before it locks itself in; NULL: none
};

/* What the inside is given. */
struct part_inside {
	const struct part_kind *kind;
	enum sandbox_mode seccomp;
	bool is_thread;  // of the daemon, whose sandbox is then all there is
	uint64_t memory; // bytes of its own that it may take from part_lock_in() on
};

/*
 * For the inside: from here on it has what is open, and so much memory (RLIMIT_DATA: what is shared
 * with others is not counted). 0 or negative errno.
 */
int part_lock_in(const struct part_inside *inside);

/* For the inside: the next message, and a descriptor that came with it (-1: none) in *fd, owned. Waits
 * for it. Its length; 0: the other end is closed; negative errno. */
ssize_t part_receive(int sock, void *message, size_t room, int *fd);
/* For the inside: says it, with a descriptor unless fd is -1. Waits until there is room. 0 or negative
 * errno. */
int part_say(int sock, const void *message, size_t len, int fd);

/* ---- the nursery ---- */

struct nursery {
	const struct part_kind *kind;
	enum sandbox_mode seccomp;
	uint64_t memory;
	bool threads; // there is no process: parts are threads of ours, to look at and to measure
	int sock;     // -1: none
	pid_t pid;
	uint32_t last_id; // of its parts
	/* Of `threads`. */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned n_threads;
	pthread_t last; // to end, if any has: it has joined the one before
	bool has_last;
};

/*
 * Forks it. There may be no other thread yet. `seccomp`, `memory` (bytes): of each part. `threads`:
 * --isolate=none, which has no limits. 0 or negative errno.
 */
int nursery_start(struct nursery *n, const struct part_kind *kind, enum sandbox_mode seccomp,
	uint64_t memory, bool threads);
/*
 * Ends it and all parts. Those that are threads are waited for, their sockets are closed by now; where
 * one does not end it ends the process. Fine for one that was not started (all zeros).
 */
void nursery_finish(struct nursery *n);

/* ---- the daemon's half of a part ---- */

/* It is given up when so many in a row died before they worked. */
enum { PART_LIVES = 5 };

struct part_queued;

struct part {
	/* A new process: nothing was said to it yet. */
	void (*begun)(struct part *p);
	/* A message of it, and a descriptor that came with it (-1: none), closed afterwards unless it was
	 * taken (*fd = -1). It may be anything: who says it may have been taken over. */
	void (*message)(struct part *p, const void *bytes, size_t len, int *fd);
	/* It is gone, with all that it knew. `for_good`: none will follow; said once more if the next one
	 * cannot be started. */
	void (*died)(struct part *p, bool for_good);

	unsigned lives; // PART_LIVES; set by the caller
	bool works;     // this process has shown it; set by the caller, when it is so
	struct nursery *nursery;
	struct loop *loop;
	struct loop_source source; // fd: owned; -1: there is none now
	struct loop_timer again;
	struct loop_job doomed;
	uint32_t id; // of the process, to the nursery
	pid_t pid; // of the process, as the kernel says with its first message; 0: none yet, -1: it does not
	bool wants_out, for_good;
	int64_t died_at;
	unsigned deaths;   // each within 2 s of the one before
	unsigned failures; // in a row, of those that never worked
	int64_t delay_ns;  // of the next start
	STAILQ_HEAD(, part_queued) queue;
	size_t queued; // bytes
};

/* Starts one; the callbacks are set by the caller and may be called before this returns. 0 or negative
 * errno. */
int part_init(struct part *p, struct loop *loop, struct nursery *n);
/* Ends it; no callback is called. Fine for one that is all zeros. */
void part_finish(struct part *p);

/*
 * Sends a message, with a descriptor (-1: none; it stays the caller's). What the socket does not take
 * waits here. -ENOTCONN while there is no process, -ENOBUFS when too much waits already.
 */
int part_send(struct part *p, const void *bytes, size_t len, int fd);

/* Ends the process because of what it did. died() follows, next turn. */
void part_kill(struct part *p, const char *why);

/*
 * Has another process take its place, through no fault of its own: begun() is called, and died() only
 * if there can be none. False, and nothing was done: it is a thread, or not there.
 */
bool part_restart(struct part *p);

/* How long the process has worked, all threads together: ns; 0 while that is not known. */
int64_t part_cpu_time(const struct part *p);

static inline bool part_is_there(const struct part *p)
{
	return p->source.loop;
}
