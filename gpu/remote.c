/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "remote.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/gmem.h"
#include "common/log.h"
#include "device.h"

enum { RING_SIZE = RENDERER_RING_DATA + RENDERER_RING_BYTES, RING_ALIGN = 16 };

static struct remote *of(struct part *p)
{
	return CONTAINER_OF(p, struct remote, part);
}

/* ---- patience ---- */

enum { LOOKS = 8 }; // while one's patience lasts

/* In place of a command's number, for what a process does before it is ready. */
static const uint32_t BEGINNING = UINT32_MAX;

/* Its fence is open, on a context's own timeline: that may wait for what the guest has still to do. */
static bool is_open(const struct gpu_cmd *cmd)
{
	return cmd->by_fence && cmd->ring != RENDERER_GLOBAL;
}

/* The first one that is not known to be done but for such a fence. */
static const struct gpu_cmd *first_asked(const struct remote *r)
{
	const struct gpu_cmd *cmd;

	TAILQ_FOREACH (cmd, &r->asked, link)
		if (!is_open(cmd) || (int32_t)(cmd->seq - r->answered) > 0)
			break;
	return cmd;
}

/* Whether it is done is known from the answer to what is asked behind it. */
static void ask_whether_done(struct remote *r)
{
	const struct gpu_cmd *first = first_asked(r);
	struct renderer_message m = {.what = RENDERER_FINISH};

	if (first && is_open(first) && (int32_t)(first->seq - r->plain) > 0)
		remote_ask(r, &m, -1, NULL);
}

/*
 * What everything else waits for. 0: nothing. Where no command waits there may still be something that
 * the device itself has told; fences that nobody waits for any more tell nothing.
 */
static uint32_t waited_for(const struct remote *r)
{
	const struct gpu_cmd *first = first_asked(r);

	return !part_is_there(&r->part)                 ? 0
		: first                                 ? first->seq
		: (int32_t)(r->plain - r->answered) > 0 ? r->answered + 1
							: 0;
}

static void watch(struct remote *r)
{
	if (!r->watch.set)
		loop_timer_set(&r->watch.timer, loop_now() + r->patience / LOOKS);
	r->watch.set = true;
}

static void look(struct remote *r, uint32_t seq)
{
	int64_t now = loop_now(), cpu = part_cpu_time(&r->part);
	int64_t waited = now - r->watch.since, worked = cpu - r->watch.cpu;
	int64_t patience = r->part.works ? r->patience : r->patience * REMOTE_SLOW;

	if (!r->part.works)
		seq = BEGINNING;
	if (seq != r->watch.seq) {
		r->watch.seq = seq;
		r->watch.since = now;
		r->watch.cpu = cpu;
	} else if (waited >= r->patience * REMOTE_SLOW && worked < waited / REMOTE_NOTHING) {
		part_kill(&r->part, "does not answer");
	} else if (waited >= patience && worked >= patience) {
		part_kill(&r->part, "takes too long for a command (see --max-command-time)");
	}
}

static void on_look(struct loop_timer *timer)
{
	struct remote *r = CONTAINER_OF(timer, struct remote, watch.timer);
	uint32_t seq = waited_for(r);

	r->watch.set = false;
	if (!seq)
		return;
	look(r, seq);
	ask_whether_done(r);
	watch(r);
}

/* ---- asking ---- */

int remote_ask(struct remote *r, struct renderer_message *m, int fd, struct gpu_cmd *cmd)
{
	int err;

	m->seq = r->seq + 1;
	err = part_send(&r->part, m, sizeof(*m), fd);
	if (err < 0)
		return err;
	r->seq = m->seq;
	if (!m->fence)
		r->plain = m->seq;
	watch(r);
	if (m->what >= RENDERER_TO_HOST)
		r->touching = m->seq;
	if (!cmd)
		return 0;
	cmd->seq = m->seq;
	cmd->by_fence = m->fence;
	cmd->ring = m->ring;
	TAILQ_INSERT_TAIL(&r->asked, cmd, link);
	return 0;
}

/* How much of the ring is free. What the renderer says of it must be possible. */
static uint64_t ring_room(struct remote *r)
{
	const struct renderer_ring *shared = (const void *)r->ring.map;
	uint64_t consumed = __atomic_load_n(&shared->consumed, __ATOMIC_ACQUIRE);

	if (consumed < r->ring.consumed || consumed > r->ring.produced) {
		part_kill(&r->part, "claims to have read what was not written");
		return 0;
	}
	r->ring.consumed = consumed;
	return RENDERER_RING_BYTES - (r->ring.produced - consumed);
}

/* A piece of the ring. NULL: there is none of that size now. */
static uint8_t *take_ring(struct remote *r, struct renderer_message *m)
{
	uint64_t size = (m->bytes.size + RING_ALIGN - 1u) / RING_ALIGN * RING_ALIGN;
	uint64_t at = r->ring.produced % RENDERER_RING_BYTES;
	uint64_t skip = at + size > RENDERER_RING_BYTES ? RENDERER_RING_BYTES - at : 0;

	if (size > RENDERER_RING_BYTES / 2 || ring_room(r) < skip + size)
		return NULL;
	r->ring.produced += skip + size;
	m->bytes.at = (uint32_t)(skip ? 0 : at);
	m->ring_end = r->ring.produced;
	return r->ring.map + RENDERER_RING_DATA + m->bytes.at;
}

/* Memory of its own, where the ring has no place. */
static int ask_beside(
	struct remote *r, struct renderer_message *m, struct iov_cursor from, struct gpu_cmd *cmd)
{
	_cleanup_fd_ int fd = fd_memfd("virga-stream", m->bytes.size);
	void *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, m->bytes.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	iov_cursor_read(&from, map, m->bytes.size);
	munmap(map, m->bytes.size);
	m->bytes.at = RENDERER_NOT_IN_RING;
	return remote_ask(r, m, fd, cmd);
}

static int ask_charged(
	struct remote *r, struct renderer_message *m, struct iov_cursor from, struct gpu_cmd *cmd)
{
	struct dbuf_budget *budget = &cmd->gpu->resources.budget;
	int err = dbuf_charge(budget, m->bytes.size);

	if (err < 0)
		return err;
	err = ask_beside(r, m, from, cmd);
	if (err < 0)
		dbuf_uncharge(budget, m->bytes.size);
	else
		cmd->charged = m->bytes.size;
	return err;
}

int remote_ask_with(
	struct remote *r, struct renderer_message *m, struct iov_cursor from, struct gpu_cmd *cmd)
{
	uint8_t *to;

	if (!part_is_there(&r->part))
		return -ENOTCONN;
	to = take_ring(r, m);
	if (!to)
		return cmd ? ask_charged(r, m, from, cmd) : ask_beside(r, m, from, NULL);
	iov_cursor_read(&from, to, m->bytes.size);
	return remote_ask(r, m, -1, cmd);
}

/* ---- answers ---- */

static void answer(struct remote *r, struct gpu_cmd *cmd, uint32_t result)
{
	TAILQ_REMOVE(&r->asked, cmd, link);
	dbuf_uncharge(&cmd->gpu->resources.budget, cmd->charged);
	cmd->charged = 0;
	cmd->done(cmd, result);
}

/* What came before has been done, too. */
static void heard(struct remote *r, uint32_t seq)
{
	if ((int32_t)(seq - r->answered) > 0)
		r->answered = seq;
}

static uint32_t result_of(uint32_t result)
{
	bool known = result >= VIRTIO_GPU_RESP_ERR_UNSPEC
		&& result <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;

	return !result || known ? result : (uint32_t)VIRTIO_GPU_RESP_ERR_UNSPEC;
}

/* Nobody may be waiting for it: what the ring had forgotten when it stopped is answered all the same. */
static void on_done(struct remote *r, const struct renderer_answer *a)
{
	struct gpu_cmd *cmd;

	heard(r, a->seq);

	TAILQ_FOREACH (cmd, &r->asked, link) {
		if (cmd->seq != a->seq)
			continue;
		answer(r, cmd, result_of(a->result));
		return;
	}
}

static bool is_on(const struct gpu_cmd *cmd, const struct renderer_answer *a)
{
	return cmd->ring == a->ring && (a->ring == RENDERER_GLOBAL || cmd->r.hdr.ctx_id == a->ctx);
}

static void on_fence(struct remote *r, const struct renderer_answer *a)
{
	struct gpu_cmd *cmd, *next;

	if (a->ring == RENDERER_GLOBAL)
		heard(r, a->seq);
	for (cmd = TAILQ_FIRST(&r->asked); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, link);
		if ((int32_t)(a->seq - cmd->seq) < 0)
			break;
		if (cmd->by_fence && is_on(cmd, a))
			answer(r, cmd, 0);
	}
}

static void on_exported(struct remote *r, const struct renderer_answer *a, int *fd)
{
	r->exported.fd = fd_take(fd);
	r->exported.map_info = a->map_info;
	r->exported.offset = a->offset;
	on_done(r, a);
	fd_close(&r->exported.fd);
}

/* One that was started again tells of them once more: they are the same. */
static void on_capset(struct remote *r, const struct renderer_capset *c)
{
	if (r->ready || r->n_capsets == RENDERER_CAPSETS_MAX || !c->size
		|| c->size > sizeof(c->bytes))
		return;
	r->capsets[r->n_capsets++] = *c;
}

static void on_dmabuf(struct remote *r, const void *bytes, int *fd)
{
	struct renderer_dmabuf d;

	memcpy(&d, bytes, sizeof(d));
	r->dmabuf(r, &d, fd);
}

static void on_message(struct part *p, const void *bytes, size_t len, int *fd)
{
	struct remote *r = of(p);
	struct renderer_answer a = {.what = UINT32_MAX};
	static struct renderer_capset c;

	memcpy(&a, bytes, len < sizeof(a) ? len : sizeof(a));
	if (len == sizeof(c) && a.what == RENDERER_CAPSET) {
		memcpy(&c, bytes, sizeof(c));
		on_capset(r, &c);
	} else if (len == sizeof(a) && a.what == RENDERER_READY) {
		r->ready = true;
		r->part.works = true;
		r->has_dmabufs = a.result == 1;
		r->part.lives = PART_LIVES;
	} else if (len == sizeof(a) && a.what == RENDERER_DONE) {
		on_done(r, &a);
	} else if (len == sizeof(a) && a.what == RENDERER_FENCE) {
		on_fence(r, &a);
	} else if (len == sizeof(a) && a.what == RENDERER_EXPORTED) {
		on_exported(r, &a, fd);
	} else if (len == sizeof(struct renderer_dmabuf) && a.what == RENDERER_DMABUF_IS) {
		on_dmabuf(r, bytes, fd);
	} else {
		part_kill(p, "says what is no answer");
	}
}

/* ---- guest memory ---- */

static void tell_region(struct remote *r, const struct gmem_region *region, uint32_t what)
{
	struct gmem_desc desc;
	int fd = gmem_region_fd(region, &desc);
	struct renderer_message m = {
		.what = what, .memory = {desc.gpa, desc.size, desc.mmap_offset}};
	int err = remote_ask(r, &m, what == RENDERER_MEMORY_ADD ? fd : -1, NULL);

	if (err == -ENOBUFS || err == -ENOMEM)
		part_kill(&r->part, "does not take what it must know of memory");
}

void remote_set_memory(struct remote *r, struct gmem *mem)
{
	struct gmem *old = r->mem;

	if (mem == old)
		return;
	r->mem = mem ? gmem_ref(mem) : NULL;
	for (unsigned i = 0; old && i < old->n; i++)
		tell_region(r, &old->regions[i], RENDERER_MEMORY_REMOVE);
	for (unsigned i = 0; mem && i < mem->n; i++)
		tell_region(r, &mem->regions[i], RENDERER_MEMORY_ADD);
	gmem_unref(old);
}

/* ---- life ---- */

static void drop_ring(struct remote *r)
{
	if (r->ring.map)
		munmap(r->ring.map, RING_SIZE);
	fd_close(&r->ring.fd);
	r->ring.map = NULL;
}

/* A new one for each renderer: one that was taken over may still be looking at the last one. */
static int make_ring(struct remote *r)
{
	void *map;

	drop_ring(r);
	r->ring.produced = r->ring.consumed = 0;
	r->answered = r->seq;
	r->ring.fd = fd_memfd("virga-ring", RING_SIZE);
	if (r->ring.fd < 0)
		return r->ring.fd;
	map = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, r->ring.fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r->ring.map = map;
	return 0;
}

static void on_begun(struct part *p)
{
	struct remote *r = of(p);
	struct renderer_message hello = {.what = RENDERER_HELLO};

	if (make_ring(r) < 0) {
		part_kill(p, "cannot be used: no memory");
		return;
	}
	remote_ask(r, &hello, r->ring.fd, NULL);
	for (unsigned i = 0; r->mem && i < r->mem->n; i++)
		tell_region(r, &r->mem->regions[i], RENDERER_MEMORY_ADD);
}

void remote_release(struct remote *r, unsigned queue, uint32_t result)
{
	struct gpu_cmd *cmd, *next;

	for (cmd = TAILQ_FIRST(&r->asked); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, link);
		if (cmd->queue == queue)
			answer(r, cmd, result);
	}
}

void remote_reset(struct remote *r)
{
	struct renderer_message m = {.what = RENDERER_RESET};

	if ((int32_t)(r->touching - r->answered) > 0 && part_restart(&r->part))
		return;
	remote_ask(r, &m, -1, NULL);
}

static void on_death(struct part *p, bool for_good)
{
	struct remote *r = of(p);

	r->dead = for_good;
	r->watch.seq = 0;
	r->lost(r);
	for (unsigned queue = 0; queue < GPU_QUEUES; queue++)
		remote_release(r, queue, VIRTIO_GPU_RESP_ERR_UNSPEC);
}

int remote_init(struct remote *r, struct loop *loop, struct nursery *n)
{
	int err;

	r->watch.timer.expired = on_look;
	err = loop_timer_init(loop, &r->watch.timer);
	if (err < 0)
		return err;
	TAILQ_INIT(&r->asked);
	r->ring.fd = r->exported.fd = -1;
	r->part.lives = 1; // what does not begin never will
	r->part.begun = on_begun;
	r->part.message = on_message;
	r->part.died = on_death;
	return part_init(&r->part, loop, n);
}

bool remote_wait_ready(struct remote *r, struct loop *loop, int64_t timeout_ns)
{
	int64_t end = loop_now() + timeout_ns, left;

	while (!r->ready && !r->dead && (left = end - loop_now()) > 0)
		if (loop_turn(loop, (int)(left / 1000000) + 1) < 0)
			return false;
	return r->ready;
}

void remote_finish(struct remote *r)
{
	if (!r->part.loop)
		return;
	part_finish(&r->part);
	loop_timer_finish(&r->watch.timer);
	drop_ring(r);
	gmem_unref(r->mem);
}
