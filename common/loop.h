/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The daemon's only loop: epoll over fds, and jobs that want another turn. One thread.
 *
 * A source is embedded in the thing that it serves. Sources may be added and removed from inside
 * callbacks, their own included. Edge-triggered sources (EPOLLET) are for eventfds that are never
 * read: each signal is one event.
 */
#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop_source {
	int fd; // not owned
	void (*ready)(struct loop_source *source, uint32_t events);
	struct loop *loop; // NULL while not in a loop
};

/* A thing to do once, next turn, after the fds that are ready now have been served. */
struct loop_job {
	void (*run)(struct loop_job *job);
	struct loop_job *next;
	bool queued;
};

/* A thing to do at a time, once. */
struct loop_timer {
	struct loop_source source; // its fd is a timerfd, owned
	void (*expired)(struct loop_timer *timer);
	int64_t at; // ns of CLOCK_MONOTONIC; INT64_MAX: never
};

/* NULL when there is no memory or no epoll. */
struct loop *loop_create(void);
void loop_destroy(struct loop *loop); // NULL is fine

/* source->fd and source->ready are set by the caller. `events` as for epoll. 0 or negative errno.
 */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_modify(struct loop_source *source, uint32_t events);
/* Fine for a source that is in no loop. After it the callback is not called again. */
void loop_remove(struct loop_source *source);

/* timer->expired is set by the caller. 0 or negative errno. */
int loop_timer_init(struct loop *loop, struct loop_timer *timer);
void loop_timer_finish(struct loop_timer *timer);
void loop_timer_set(struct loop_timer *timer, int64_t at);
/* CLOCK_MONOTONIC in ns, as timers have it. */
int64_t loop_now(void);

void loop_defer(struct loop *loop, struct loop_job *job);
void loop_cancel(struct loop *loop, struct loop_job *job);

/* Serves until loop_quit(); returns what loop_quit() was given. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop, int status);

/* One turn: waits up to timeout_ms (-1: for ever, 0: not at all). 0 or negative errno. */
int loop_turn(struct loop *loop, int timeout_ms);
