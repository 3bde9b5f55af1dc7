/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "codec"
#include "codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/gmem.h"
#include "common/iov.h"
#include "codec_memory.h"
#include "common/log.h"

/* ---- answers ---- */

/* A socket that takes nothing holds us: the device reads always. */
static void say(const struct codec *c, const struct engine_answer *a)
{
	part_say(c->sock, a, sizeof(*a), -1);
}

static void done(const struct codec *c, uint32_t seq, int result)
{
	say(c, &(struct engine_answer){.what = ENGINE_DONE, .seq = seq, .result = result});
}

static void returned(
	const struct codec *c, const struct engine_message *m, uint64_t timestamp, uint32_t flags)
{
	say(c,
		&(struct engine_answer){.what = ENGINE_RETURNED,
			.seq = m->seq,
			.queue = m->queue,
			.res = m->res,
			.picture = {timestamp, flags}});
}

void codec_capability(struct codec *c, const struct engine_answer *capability)
{
	say(c, capability);
}

/* ---- the queues ---- */

static void unqueue(struct codec *c, struct codec_resource *res)
{
	TAILQ_REMOVE(&c->queues[res->m.queue], res, queued);
	res->is_queued = false;
}

static void give_back(
	struct codec *c, struct codec_resource *res, uint64_t timestamp, uint32_t flags)
{
	unqueue(c, res);
	returned(c, &res->m, timestamp, flags);
}

static void return_all(struct codec *c, uint32_t queue, uint32_t flags, int result)
{
	struct codec_resource *res;

	while ((res = TAILQ_FIRST(&c->queues[queue]))) {
		if (res == &c->drain) {
			unqueue(c, res);
			done(c, res->m.seq, result);
		} else {
			give_back(c, res, res->m.buffer.timestamp, flags);
		}
	}
}

static void put_last(struct codec *c, struct codec_resource *res, const struct engine_message *m)
{
	res->m = *m;
	res->is_queued = true;
	TAILQ_INSERT_TAIL(&c->queues[m->queue], res, queued);
	pthread_cond_broadcast(&c->changed);
}

/* It does what it still can: answer. */
static void fail(struct codec *c, int error)
{
	if (c->broken)
		return;
	c->broken = true;
	log_info("the stream cannot go on: %s", strerror(-error));
	say(c, &(struct engine_answer){.what = ENGINE_ERROR, .result = error});
	for (uint32_t q = 0; q < ENGINE_QUEUES; q++)
		return_all(c, q, ENGINE_BROKEN, error);
}

/* What is decoded now is of no use. */
static bool is_dropping(const struct codec *c)
{
	return c->flushing || c->ending || c->broken;
}

/* ---- pictures ---- */

static void tell_use(const struct codec *c, const char *when)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	log_info("%s: %llu units, %llu pictures, %ld KiB of memory at most", when,
		(unsigned long long)c->units, (unsigned long long)c->pictures, use.ru_maxrss);
}

static bool is_same(const struct engine_answer *a, const struct engine_answer *b)
{
	return a->format.width == b->format.width && a->format.height == b->format.height
		&& a->format.crop_width == b->format.crop_width
		&& a->format.crop_height == b->format.crop_height;
}

static void say_format(struct codec *c, struct engine_answer *format)
{
	format->what = ENGINE_FORMAT;
	format->format.serial = c->format.format.serial + 1;
	c->format = *format;
	say(c, format);
	tell_use(c, "another format");
}

void codec_format(struct codec *c, struct engine_answer *format)
{
	pthread_mutex_lock(&c->lock);
	if (!c->format.format.serial || !is_same(format, &c->format))
		say_format(c, format);
	pthread_mutex_unlock(&c->lock);
}

void codec_format_early(struct codec *c, struct engine_answer *format)
{
	pthread_mutex_lock(&c->lock);
	if (!c->format.format.serial || (c->early && !is_same(format, &c->format)))
		say_format(c, format);
	c->early = 0;
	pthread_mutex_unlock(&c->lock);
}

static struct frame_target target_of(const struct codec *c, const struct codec_resource *res)
{
	struct frame_target t = {
		.fourcc = c->output.output.fourcc, .iov = res->iov, .n_iov = res->n_iov};

	memcpy(t.stride, c->output.output.stride, sizeof(t.stride));
	memcpy(t.offset, res->m.buffer.offset, sizeof(t.offset));
	return t;
}

struct codec_resource *codec_take(struct codec *c, struct frame_target *t)
{
	struct codec_resource *res;

	pthread_mutex_lock(&c->lock);
	while (!is_dropping(c)) {
		res = TAILQ_FIRST(&c->queues[ENGINE_PIXELS]);
		if (!res || c->output.output.serial != c->format.format.serial) {
			pthread_cond_wait(&c->changed, &c->lock);
			continue;
		}
		*t = target_of(c, res);
		c->faults = gmem_faults();
		if (frame_fits(t, c->format.format.width, c->format.format.height, res->size))
			return res;
		give_back(c, res, 0, ENGINE_BROKEN);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

void codec_give(struct codec *c, struct codec_resource *res, uint64_t number, uint32_t flags)
{
	if (gmem_faults() != c->faults)
		flags |= ENGINE_BROKEN;
	give_back(c, res, c->times[number % CODEC_TIMES], flags);
	c->pictures++;
	pthread_mutex_unlock(&c->lock);
}

bool codec_wait(struct codec *c, const bool *flag)
{
	bool set;

	pthread_mutex_lock(&c->lock);
	while (!*flag && !is_dropping(c))
		pthread_cond_wait(&c->changed, &c->lock);
	set = *flag;
	pthread_mutex_unlock(&c->lock);
	return set;
}

void codec_set(struct codec *c, bool *flag)
{
	pthread_mutex_lock(&c->lock);
	*flag = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the worker ---- */

/* A parser that looks for the end of a unit sees it when the next one begins. */
enum { EARLY_UNITS = 2 };

/* A copy of our own, which nobody changes while it is read. NULL: it cannot be had. */
static uint8_t *copy_unit(const struct codec_resource *res, size_t size)
{
	struct iov_cursor from = iov_cursor_at(res->iov, res->n_iov, res->m.buffer.offset[0]);
	unsigned faults = gmem_faults();
	uint8_t *bytes = malloc(size + CODEC_PADDING);

	if (!bytes)
		return NULL;
	iov_cursor_read(&from, bytes, size);
	memset(bytes + size, 0, CODEC_PADDING);
	if (gmem_faults() == faults)
		return bytes;
	free(bytes);
	return NULL;
}

static void run_unit(struct codec *c, struct codec_resource *res)
{
	size_t size = res->m.buffer.size;
	uint8_t *bytes = copy_unit(res, size);
	uint64_t number = c->units;
	int r;

	c->times[number % CODEC_TIMES] = res->m.buffer.timestamp;
	give_back(c, res, res->m.buffer.timestamp, bytes ? 0 : ENGINE_BROKEN);
	if (!bytes)
		return;
	c->units++;
	pthread_mutex_unlock(&c->lock);
	r = c->ops->decode(c, bytes, size, number);
	pthread_mutex_lock(&c->lock);
	if (c->early)
		c->early--;
	if (r < 0 && !c->flushing)
		fail(c, r);
}

static void run_drain(struct codec *c)
{
	struct codec_resource *res;
	int r;

	pthread_mutex_unlock(&c->lock);
	r = c->ops->drain(c);
	pthread_mutex_lock(&c->lock);
	c->early = EARLY_UNITS;
	if (r < 0 && !c->flushing)
		fail(c, r);
	while (!is_dropping(c) && !(res = TAILQ_FIRST(&c->queues[ENGINE_PIXELS])))
		pthread_cond_wait(&c->changed, &c->lock);
	if (is_dropping(c))
		return; // and it was answered
	give_back(c, res, 0, ENGINE_LAST);
	unqueue(c, &c->drain);
	done(c, c->drain.m.seq, 0);
	tell_use(c, "drained");
}

static void run_flush(struct codec *c)
{
	int r;

	pthread_mutex_unlock(&c->lock);
	r = c->ops->flush(c);
	pthread_mutex_lock(&c->lock);
	c->early = EARLY_UNITS;
	c->flushing = false;
	pthread_cond_broadcast(&c->changed);
	if (r < 0)
		fail(c, r);
}

static void *work(void *arg)
{
	struct codec *c = arg;
	struct codec_resource *res;

	pthread_mutex_lock(&c->lock);
	while (!c->ending) {
		res = TAILQ_FIRST(&c->queues[ENGINE_BITSTREAM]);
		if (c->flushing)
			run_flush(c);
		else if (!res)
			pthread_cond_wait(&c->changed, &c->lock);
		else if (res == &c->drain)
			run_drain(c);
		else
			run_unit(c, res);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* ---- resources ---- */

static struct codec_resource *find(struct codec *c, uint32_t queue, uint32_t id)
{
	struct codec_resource *res;

	LIST_FOREACH (res, &c->resources[queue], link)
		if (res->id == id)
			return res;
	return NULL;
}

static void forget(struct codec *c, uint32_t queue, struct codec_resource *res)
{
	(void)c;
	(void)queue;
	LIST_REMOVE(res, link);
	if (res->is_queued)
		give_back(c, res, res->m.buffer.timestamp, ENGINE_CANCELED);
	codec_memory_drop(res);
	free(res);
}

/* ---- messages: results are those of ENGINE_DONE; LATE: it is said by others ---- */

enum { LATE = 1 };

static int list(struct codec *c, const struct engine_message *m, int fd)
{
	(void)m;
	(void)fd;
	c->ops->list(c);
	return 0;
}

static int lock_in(const struct codec *c)
{
	struct part_kind kind = *c->of->kind;
	struct part_inside of = *c->of;

	kind.sandbox.drives_gpu = c->hardware;
	of.kind = &kind;
	return part_lock_in(&of);
}

/* From here on there is what is open, and memory; the first byte of a guest comes later. */
static int open_stream(struct codec *c, const struct engine_message *m, int fd)
{
	int r;

	(void)fd;
	if (c->opened || m->open.codec >= ENGINE_CODECS)
		return -EINVAL;
	c->open = *m;
	r = c->ops->open(c);
	if (r == 0)
		r = lock_in(c);
	if (r == 0)
		r = -pthread_create(&c->worker, NULL, work, c);
	c->opened = r == 0;
	return r;
}

static int add_resource(struct codec *c, const struct engine_message *m, int fd)
{
	struct codec_resource *res;
	int r;

	if (find(c, m->queue, m->res))
		return -EEXIST;
	res = calloc(1, sizeof(*res));
	if (!res)
		return -ENOMEM;
	res->id = m->res;
	LIST_INSERT_HEAD(&c->resources[m->queue], res, link);
	r = fd >= 0 ? codec_memory_map(res, m->size, fd) : codec_memory_resolve(c, res);
	if (r < 0)
		forget(c, m->queue, res);
	return r;
}

static int resource(struct codec *c, const struct engine_message *m, int fd)
{
	int r = add_resource(c, m, fd);

	codec_memory_drop_entries(c);
	return r;
}

static int forget_resource(struct codec *c, const struct engine_message *m, int fd)
{
	struct codec_resource *res, *next;
	int r = m->res == ENGINE_ALL ? 0 : -ENOENT;

	(void)fd;
	for (res = LIST_FIRST(&c->resources[m->queue]); res; res = next) {
		next = LIST_NEXT(res, link);
		if (m->res != ENGINE_ALL && m->res != res->id)
			continue;
		forget(c, m->queue, res);
		r = 0;
	}
	return r;
}

/* For a format of before: the newer one is under way to who asks. */
static int output(struct codec *c, const struct engine_message *m, int fd)
{
	(void)fd;
	if (!m->output.serial || m->output.serial > c->format.format.serial)
		return -ESTALE;
	if (!frame_planes(m->output.fourcc))
		return -EINVAL;
	c->output = *m;
	pthread_cond_broadcast(&c->changed);
	return 0;
}

/* Whether one of bitstream lies where it should; pixels are looked at when there is a picture. */
static bool is_usable(
	const struct codec *c, const struct codec_resource *res, const struct engine_message *m)
{
	if (!c->opened || c->broken || !res || res->is_queued)
		return false;
	return m->queue == ENGINE_PIXELS
		|| (m->buffer.size && m->buffer.size <= ENGINE_UNIT_MAX
			&& range_within(m->buffer.offset[0], m->buffer.size, res->size));
}

static int queue(struct codec *c, const struct engine_message *m, int fd)
{
	struct codec_resource *res = find(c, m->queue, m->res);

	(void)fd;
	if (is_usable(c, res, m))
		put_last(c, res, m);
	else
		returned(c, m, m->buffer.timestamp, ENGINE_BROKEN);
	return LATE;
}

static int drain(struct codec *c, const struct engine_message *m, int fd)
{
	struct engine_message in_bitstream = *m;

	(void)fd;
	if (!c->opened || c->broken)
		return -EIO;
	if (c->drain.is_queued)
		return -EBUSY;
	in_bitstream.queue = ENGINE_BITSTREAM;
	put_last(c, &c->drain, &in_bitstream);
	return LATE;
}

/* The worker is waited for, which is in the library, or on its way out of it. */
static int clear(struct codec *c, const struct engine_message *m, int fd)
{
	(void)fd;
	return_all(c, m->queue, ENGINE_CANCELED, -ECANCELED);
	if (m->queue != ENGINE_BITSTREAM || !c->opened || c->broken)
		return 0;
	c->flushing = true;
	pthread_cond_broadcast(&c->changed);
	while (c->flushing)
		pthread_cond_wait(&c->changed, &c->lock);
	return 0;
}

static int (*const handlers[ENGINE_REQUESTS])(
	struct codec *c, const struct engine_message *m, int fd) = {
	[ENGINE_LIST] = list,
	[ENGINE_MEMORY_ADD] = codec_memory_change,
	[ENGINE_MEMORY_REMOVE] = codec_memory_change,
	[ENGINE_OPEN] = open_stream,
	[ENGINE_RESOURCE] = resource,
	[ENGINE_FORGET] = forget_resource,
	[ENGINE_OUTPUT] = output,
	[ENGINE_QUEUE] = queue,
	[ENGINE_DRAIN] = drain,
	[ENGINE_CLEAR] = clear,
};

static int obey(struct codec *c, const struct engine_message *m, size_t len, int fd)
{
	int r = -EPROTO;

	if (len < sizeof(*m) || m->what >= ENGINE_REQUESTS || m->queue >= ENGINE_QUEUES)
		return -EPROTO;
	pthread_mutex_lock(&c->lock);
	if (m->what == ENGINE_ENTRIES) {
		if (len == sizeof(*m) + m->n_entries * sizeof(struct engine_entry))
			r = codec_memory_add_entries(c, m);
	} else if (len == sizeof(*m)) {
		r = handlers[m->what](c, m, fd);
		if (r != LATE)
			done(c, m->seq, r);
		r = 0;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

static int turn(struct codec *c)
{
	union {
		struct engine_message m;
		uint8_t bytes[PART_MESSAGE_MAX];
	} message;
	_cleanup_fd_ int fd = -1;
	ssize_t n = part_receive(c->sock, &message, sizeof(message), &fd);

	return n <= 0 ? -EPIPE : obey(c, &message.m, (size_t)n, fd);
}

/* ---- life ---- */

static int begin(struct codec *c)
{
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	for (unsigned i = 0; i < ENGINE_QUEUES; i++) {
		LIST_INIT(&c->resources[i]);
		TAILQ_INIT(&c->queues[i]);
	}
	c->mem = gmem_create();
	return c->mem ? gmem_catch_faults() : -ENOMEM;
}

/* For one that is a thread; else all of it ends with the process. */
static void finish(struct codec *c)
{
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (c->opened) {
		pthread_join(c->worker, NULL);
		c->ops->close(c);
	}
	for (uint32_t q = 0; q < ENGINE_QUEUES; q++)
		while (!LIST_EMPTY(&c->resources[q]))
			forget(c, q, LIST_FIRST(&c->resources[q]));
	gmem_unref(c->mem);
	codec_memory_drop_entries(c);
}

int codec_run(int sock, const struct part_inside *of, const struct codec_ops *ops)
{
	struct codec *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	if (r < 0)
		return 1;
	c->sock = sock;
	c->of = of;
	c->ops = ops;
	r = begin(c);
	while (r == 0)
		r = turn(c);
	if (of->is_thread) {
		finish(c);
		free(c);
	}
	return r == -EPIPE ? 0 : 1;
}
