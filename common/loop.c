/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "bytes.h"
#include "fd.h"

enum { EVENTS_A_TURN = 32 };

struct loop {
	int epoll;
	bool quit;
	int status;
	struct epoll_event events[EVENTS_A_TURN];
	int n_events, at; // what this turn found, and which is being served
	struct loop_job *jobs, **jobs_tail;
};

struct loop *loop_create(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->jobs_tail = &loop->jobs;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	fd_close(&loop->epoll);
	free(loop);
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = source};

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &ev) < 0)
		return -errno;
	source->loop = loop;
	return 0;
}

void loop_modify(struct loop_source *source, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = source};

	if (source->loop)
		epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &ev);
}

void loop_remove(struct loop_source *source)
{
	struct loop *loop = source->loop;

	if (!loop)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->loop = NULL;
	for (int i = loop->at + 1; i < loop->n_events; i++)
		if (loop->events[i].data.ptr == source)
			loop->events[i].data.ptr = NULL;
}

void loop_defer(struct loop *loop, struct loop_job *job)
{
	if (job->queued)
		return;
	job->queued = true;
	job->next = NULL;
	*loop->jobs_tail = job;
	loop->jobs_tail = &job->next;
}

void loop_cancel(struct loop *loop, struct loop_job *job)
{
	struct loop_job **at = &loop->jobs;

	if (!job->queued)
		return;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (!*at)
		loop->jobs_tail = at;
	job->queued = false;
}

int64_t loop_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Edge-triggered, and set again before it can matter what it counts: it is never read. */
static void on_timer(struct loop_source *source, uint32_t events)
{
	struct loop_timer *timer = CONTAINER_OF(source, struct loop_timer, source);

	(void)events;
	if (timer->at > loop_now()) // set again since
		return;
	timer->at = INT64_MAX;
	timer->expired(timer);
}

int loop_timer_init(struct loop *loop, struct loop_timer *timer)
{
	int r;

	timer->at = INT64_MAX;
	timer->source.ready = on_timer;
	timer->source.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (timer->source.fd < 0)
		return -errno;
	r = loop_add(loop, &timer->source, EPOLLIN | EPOLLET);
	if (r < 0)
		fd_close(&timer->source.fd);
	return r;
}

void loop_timer_finish(struct loop_timer *timer)
{
	loop_remove(&timer->source);
	fd_close(&timer->source.fd);
}

void loop_timer_set(struct loop_timer *timer, int64_t at)
{
	struct itimerspec when = {0};

	if (at == timer->at)
		return;
	timer->at = at;
	if (at < 1 || at == INT64_MAX)
		at = at == INT64_MAX ? 0 : 1; // 0 is off
	when.it_value.tv_sec = at / 1000000000;
	when.it_value.tv_nsec = at % 1000000000;
	timerfd_settime(timer->source.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run_jobs(struct loop *loop)
{
	unsigned n = 0; // those deferred while these run wait for the next turn

	for (struct loop_job *job = loop->jobs; job; job = job->next)
		n++;
	for (; n && loop->jobs; n--) {
		struct loop_job *job = loop->jobs;

		loop_cancel(loop, job);
		job->run(job);
	}
}

int loop_turn(struct loop *loop, int timeout_ms)
{
	int n = epoll_wait(loop->epoll, loop->events, EVENTS_A_TURN, loop->jobs ? 0 : timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	loop->n_events = n;
	for (loop->at = 0; loop->at < loop->n_events; loop->at++) {
		struct loop_source *source = loop->events[loop->at].data.ptr;

		if (source)
			source->ready(source, loop->events[loop->at].events);
	}
	loop->n_events = 0;
	run_jobs(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	while (!loop->quit) {
		int r = loop_turn(loop, -1);

		if (r < 0)
			return r;
	}
	return loop->status;
}

void loop_quit(struct loop *loop, int status)
{
	loop->quit = true;
	loop->status = status;
}
