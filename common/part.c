/* SPDX-License-Identifier: MIT */
/* The daemon's half of a part: its messages, its deaths, its next life. */
#define _GNU_SOURCE
#define LOG_TOPIC "part"
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "bytes.h"
#include "fd.h"
#include "log.h"
#include "nursery.h"

enum { MESSAGES_A_TURN = 64 };

#define MS               1000000ll
#define DELAY            (25 * MS)   // doubled with each death
#define LIFE_THAT_CLEARS (2000 * MS) // after which a death is again the first one
enum { DOUBLINGS_MAX = 4 };

struct part_queued {
	STAILQ_ENTRY(part_queued) link;
	int fd; // -1: none
	size_t len;
	uint8_t bytes[];
};

/* There, and not about to be ended for what it did. */
static bool is_alive(const struct part *p)
{
	return part_is_there(p) && !p->doomed.queued;
}

/* ---- sending ---- */

static void want_out(struct part *p, bool want)
{
	if (want != p->wants_out)
		loop_modify(&p->source, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
	p->wants_out = want;
}

static void drop_first(struct part *p)
{
	struct part_queued *q = STAILQ_FIRST(&p->queue);

	STAILQ_REMOVE_HEAD(&p->queue, link);
	p->queued -= q->len;
	fd_close(&q->fd);
	free(q);
}

/* A socket that is of no use any more is seen as a death by who reads it. */
static void pump(struct part *p)
{
	struct part_queued *q;

	while ((q = STAILQ_FIRST(&p->queue))) {
		int r = nursery_send(p->source.fd, q->bytes, q->len, q->fd, MSG_DONTWAIT);

		if (r == -EAGAIN || r == -ETOOMANYREFS)
			break;
		drop_first(p);
	}
	want_out(p, q != NULL);
}

static int enqueue(struct part *p, const void *bytes, size_t len, int fd)
{
	struct part_queued *q;

	if (p->queued + len > PART_QUEUE_MAX)
		return -ENOBUFS;
	q = malloc(sizeof(*q) + len);
	if (!q)
		return -ENOMEM;
	q->len = len;
	q->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && q->fd < 0) {
		free(q);
		return -errno;
	}
	memcpy(q->bytes, bytes, len);
	STAILQ_INSERT_TAIL(&p->queue, q, link);
	p->queued += len;
	want_out(p, true);
	return 0;
}

int part_send(struct part *p, const void *bytes, size_t len, int fd)
{
	int r;

	if (!is_alive(p))
		return -ENOTCONN;
	if (!STAILQ_EMPTY(&p->queue))
		return enqueue(p, bytes, len, fd);
	r = nursery_send(p->source.fd, bytes, len, fd, MSG_DONTWAIT);
	return r == -EAGAIN || r == -ETOOMANYREFS ? enqueue(p, bytes, len, fd)
		: r == -EPIPE || r == -ECONNRESET ? -ENOTCONN
						  : r;
}

/* ---- life and death ---- */

static void let_go(struct part *p)
{
	if (!part_is_there(p))
		return;
	loop_remove(&p->source);
	fd_close(&p->source.fd);
	while (!STAILQ_EMPTY(&p->queue))
		drop_first(p);
	p->wants_out = false;
	loop_cancel(p->loop, &p->doomed);
	nursery_end(p->nursery, p->id);
}

static unsigned deaths_in_a_row(const struct part *p, int64_t now)
{
	return now - p->died_at > LIFE_THAT_CLEARS ? 0 : p->deaths;
}

static void count_death(struct part *p)
{
	int64_t now = loop_now();

	p->deaths = deaths_in_a_row(p, now);
	p->died_at = now;
	p->delay_ns =
		p->deaths ? DELAY << (p->deaths < DOUBLINGS_MAX ? p->deaths : DOUBLINGS_MAX) : 0;
	p->deaths++;
	p->failures = p->works ? 0 : p->failures + 1;
	p->works = false;
}

/* Who can make it die can do it again and again: no more is said of that than of other mistakes. */
static void tell_death(const struct part *p)
{
	static struct log_limit limit; // for a part that is one of many, and has one life
	const char *name = p->nursery->kind->name;

	if (p->nursery->threads) // what it left behind in this process cannot be told
		log_err("%s has ended, and as a thread (--isolate=none) is not started again",
			name);
	else if (p->for_good && p->lives == 1 && log_limit_pass(&limit, LOG_TOPIC))
		log_err("%s died, and is not started again", name);
	else if (p->for_good && p->lives == 1)
		return;
	else if (p->for_good)
		log_err("%s died %u times before it worked, and is not started again", name,
			p->failures);
	else if (p->deaths <= NURSERY_TOLD_DEATHS)
		log_warn("%s died: what it had is lost, and it is started again", name);
	else
		log_peer("%s died once more, as %u times before", name, p->deaths - 1);
}

static void begin(struct part *p);

static void on_death(struct part *p)
{
	let_go(p);
	count_death(p);
	p->for_good = p->nursery->threads || p->failures >= p->lives;
	p->died(p, p->for_good);
	tell_death(p);
	if (p->for_good)
		return;
	if (p->delay_ns)
		loop_timer_set(&p->again, loop_now() + p->delay_ns);
	else
		begin(p);
}

/* The first message, with which the kernel says whose it is. As nursery_receive(). */
static ssize_t receive_first(struct part *p, void *bytes, size_t len, int *fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_LEN(sizeof(int))];
	} control = {0};
	struct iovec iov = {bytes, len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_SPACE(sizeof(struct ucred)) + CMSG_LEN(sizeof(int))};
	ssize_t n = recvmsg(p->source.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int no = 0;

	if (n <= 0)
		return n < 0 ? -errno : 0;
	p->pid = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct ucred who;

		if (c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(*fd)))
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
		if (c->cmsg_type != SCM_CREDENTIALS || c->cmsg_len != CMSG_LEN(sizeof(who)))
			continue;
		memcpy(&who, CMSG_DATA(c), sizeof(who));
		p->pid = who.pid;
	}
	setsockopt(p->source.fd, SOL_SOCKET, SO_PASSCRED, &no, sizeof(no));
	return n;
}

/*
 * 1: a message was taken, 0: none is there, -EPIPE: it has ended. One that ends before it has read all
 * is told by an error, once, in front of what it said last.
 */
static int take_message(struct part *p)
{
	uint8_t bytes[PART_MESSAGE_MAX];
	_cleanup_fd_ int fd = -1;
	ssize_t n = p->pid ? nursery_receive(p->source.fd, bytes, sizeof(bytes), &fd, MSG_DONTWAIT)
			   : receive_first(p, bytes, sizeof(bytes), &fd);

	if (n < 0)
		return n == -EAGAIN ? 0 : n == -ECONNRESET ? 1 : -EPIPE;
	if (n == 0)
		return -EPIPE;
	p->message(p, bytes, (size_t)n, &fd);
	return 1;
}

static void on_socket(struct loop_source *source, uint32_t events)
{
	struct part *p = CONTAINER_OF(source, struct part, source);
	int r = 1;

	if (events & EPOLLOUT)
		pump(p);
	for (unsigned i = 0; i < MESSAGES_A_TURN && r == 1 && is_alive(p); i++)
		r = take_message(p);
	if (r == -EPIPE)
		on_death(p);
}

static void on_doomed(struct loop_job *job)
{
	on_death(CONTAINER_OF(job, struct part, doomed));
}

static void on_again(struct loop_timer *timer)
{
	begin(CONTAINER_OF(timer, struct part, again));
}

static void begin(struct part *p)
{
	int r;

	p->id = ++p->nursery->last_id;
	p->pid = 0;
	r = nursery_begin(p->nursery, p->id);
	if (r >= 0) {
		p->source.fd = r;
		r = loop_add(p->loop, &p->source, EPOLLIN);
		if (r < 0)
			fd_close(&p->source.fd);
	}
	if (r < 0) {
		log_err("%s cannot be started: %s", p->nursery->kind->name, strerror(-r));
		p->for_good = true;
		p->died(p, true);
		return;
	}
	p->begun(p);
}

void part_kill(struct part *p, const char *why)
{
	if (!is_alive(p))
		return;
	if (deaths_in_a_row(p, loop_now()) < NURSERY_TOLD_DEATHS)
		log_warn("%s %s", p->nursery->kind->name, why);
	else
		log_peer("%s %s", p->nursery->kind->name, why);
	nursery_end(p->nursery, p->id);
	loop_defer(p->loop, &p->doomed);
}

bool part_restart(struct part *p)
{
	if (!is_alive(p) || p->nursery->threads)
		return false;
	let_go(p);
	begin(p);
	return true;
}

int64_t part_cpu_time(const struct part *p)
{
	struct timespec t;
	clockid_t clock;

	if (p->pid <= 0 || clock_getcpuclockid(p->pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
		return 0;
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

int part_init(struct part *p, struct loop *loop, struct nursery *n)
{
	int r = loop_timer_init(loop, &p->again);

	if (r < 0)
		return r;
	p->loop = loop;
	p->nursery = n;
	p->again.expired = on_again;
	p->doomed.run = on_doomed;
	p->source.ready = on_socket;
	p->source.fd = -1;
	STAILQ_INIT(&p->queue);
	begin(p);
	return 0;
}

void part_finish(struct part *p)
{
	if (!p->loop)
		return;
	let_go(p);
	loop_timer_finish(&p->again);
	p->loop = NULL;
}
