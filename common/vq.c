/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "vq"
#include "vq.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <linux/virtio_ring.h>

#include "bytes.h"
#include "log.h"

enum { AVAIL_FLAGS = 0, AVAIL_IDX = 1, AVAIL_RING = 2, DESC_SIZE = 16 };

/* Kept out of the straight line of an ordinary chain. */
#define slow __attribute__((noinline))

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* A chain as it is gathered: into the head's own pieces, and into q->scratch when they are too few.
 */
struct chain {
	struct iovec *iov;
	unsigned n, max;       // pieces, and for how many there is room
	unsigned n_out;        // pieces to read
	uint64_t len, out_len; // bytes in all, to read
	bool writable;         // a writable descriptor was seen
};

static slow int broken(struct vq *q, const char *why, unsigned value)
{
	log_peer("queue broken until it is reset: %s (%u)", why, value);
	q->broken = true;
	return -EPROTO;
}

/* ---- the ring's own memory ---- */

static bool is_usable(const struct vq *q)
{
	return !q->broken && !q->away;
}

static uint16_t avail_load(const struct vq *q, unsigned i)
{
	return le16toh(q->avail[i]);
}

static uint16_t avail_idx_acquire(const struct vq *q)
{
	return le16toh(__atomic_load_n(&q->avail[AVAIL_IDX], __ATOMIC_ACQUIRE));
}

static volatile uint16_t *used_u16(const struct vq *q, unsigned i)
{
	return (volatile uint16_t *)q->used + i;
}

static volatile uint16_t *avail_event(const struct vq *q)
{
	return used_u16(q, 2 + 4u * q->cfg.size);
}

/* Two loads: the fields of one descriptor come from one moment or from two, never from three. */
static struct desc fetch_words(const volatile uint64_t *w)
{
	uint64_t addr = le64toh(w[0]), rest = le64toh(w[1]);

	return (struct desc){addr, (uint32_t)rest, (uint16_t)(rest >> 32), (uint16_t)(rest >> 48)};
}

/* ---- start and stop ---- */

static struct vq_req *req_at(const struct vq *q, unsigned head)
{
	return (struct vq_req *)(void *)(q->reqs + (size_t)head * q->cfg.req_size);
}

static int find_rings(struct vq *q, const struct gmem *mem)
{
	const struct vq_config *c = &q->cfg;

	q->desc = gmem_ring(mem, c->desc, (uint64_t)DESC_SIZE * c->size, 16, c->by_gpa);
	q->avail = gmem_ring(mem, c->avail, 6 + 2ull * c->size, 2, c->by_gpa);
	q->used = gmem_ring(mem, c->used, 6 + 8ull * c->size, 4, c->by_gpa);
	return q->desc && q->avail && q->used ? 0 : -EFAULT;
}

static int alloc(struct vq *q)
{
	size_t n = q->cfg.size, n_large = q->cfg.large ? q->cfg.large : VQ_LARGE;

	q->chain_max = 2 * (n > VQ_CHAIN_MAX ? (unsigned)n : VQ_CHAIN_MAX);
	q->reqs = calloc(n, q->cfg.req_size);
	q->iovs = calloc(n, sizeof(*q->iovs) * q->cfg.iov_per_req);
	q->scratch = calloc(q->chain_max, sizeof(*q->scratch));
	q->large = calloc(n_large, sizeof(struct iovec *));
	while (q->large && q->n_large < n_large) {
		q->large[q->n_large] = calloc(q->chain_max, sizeof(*q->scratch));
		if (!q->large[q->n_large])
			return -ENOMEM;
		q->n_large++;
	}
	return q->reqs && q->iovs && q->scratch && q->large ? 0 : -ENOMEM;
}

int vq_start(struct vq *q, const struct vq_config *cfg, struct gmem *mem)
{
	unsigned size = cfg->size;
	int r;

	if (size < 2 || (size & (size - 1)))
		return -EINVAL;
	*q = (struct vq){.cfg = *cfg, .mask = (uint16_t)(size - 1)};
	r = find_rings(q, mem);
	if (!r)
		r = alloc(q);
	q->mem = gmem_ref(mem);
	if (r < 0) {
		vq_stop(q);
		return r;
	}
	q->avail_idx = q->next_avail = cfg->avail_base;
	q->used_idx = q->signalled = le16toh(*used_u16(q, 1));
	return 0;
}

int vq_move(struct vq *q, struct gmem *mem)
{
	struct gmem *old = q->mem;

	q->mem = gmem_ref(mem);
	gmem_unref(old); // may be the same
	q->hint = 0;
	q->away = find_rings(q, mem) < 0;
	return q->away ? -EFAULT : 0;
}

void vq_stop(struct vq *q)
{
	for (unsigned i = 0; q->in_flight && i < q->cfg.size; i++) {
		struct vq_req *req = req_at(q, i);

		if (!req->vq)
			continue;
		gmem_unref(req->mem);
		q->in_flight--;
		if (req->iov != &q->iovs[(size_t)i * q->cfg.iov_per_req])
			free(req->iov);
	}
	while (q->n_large)
		free(q->large[--q->n_large]);
	free(q->large);
	free(q->scratch);
	free(q->iovs);
	free(q->reqs);
	gmem_unref(q->mem);
	*q = (struct vq){0};
}

/* ---- taking a chain ---- */

/* A buffer that lies in several regions, or one more than the head has pieces of its own. */
static slow int add_pieces(struct vq *q, struct chain *c, struct desc d)
{
	int n;

	if (c->iov != q->scratch) {
		memcpy(q->scratch, c->iov, c->n * sizeof(*c->iov));
		c->iov = q->scratch;
		c->max = q->chain_max;
	}
	n = gmem_iov(q->mem, &q->hint, d.addr, d.len, &c->iov[c->n], c->max - c->n);
	if (n < 0)
		return broken(q, "a buffer outside guest memory, or in too many pieces", c->n);
	c->n += (unsigned)n;
	return 0;
}

/* Adds what one descriptor describes to the chain. */
static inline int add_buffer(struct vq *q, struct chain *c, struct desc d)
{
	bool writable = d.flags & VRING_DESC_F_WRITE;
	uint64_t len = d.len;
	void *at;

	if (writable != c->writable) {
		if (c->writable)
			return broken(q, "a descriptor to read behind one to write", c->n);
		c->writable = true;
		c->n_out = c->n;
		c->out_len = c->len;
	}
	c->len += len;
	if (c->len > UINT32_MAX)
		return broken(q, "a chain of 4 GiB or more", c->n);
	at = gmem_at(q->mem, &q->hint, d.addr, &len);
	if (!at || len != d.len || c->n == c->max)
		return add_pieces(q, c, d);
	c->iov[c->n++] = (struct iovec){at, len};
	return 0;
}

static bool fetch_indirect(struct vq *q, uint64_t table, unsigned i, struct desc *d)
{
	uint64_t at, words[2], whole = DESC_SIZE;
	const void *p;

	if (!add_u64(table, (uint64_t)i * DESC_SIZE, &at))
		return false;
	p = gmem_at(q->mem, &q->hint, at, &whole);
	if (p && whole == DESC_SIZE && !((uintptr_t)p % sizeof(*words))) {
		*d = fetch_words(p);
		return true;
	}
	if (!gmem_read(q->mem, &q->hint, at, words, sizeof(words)))
		return false;
	*d = fetch_words(words);
	return true;
}

/* The table that an indirect descriptor points to, 2.7.5.3. */
static slow int walk_indirect(struct vq *q, struct chain *c, struct desc table)
{
	unsigned count = table.len / DESC_SIZE, next = 0, walked = 0;
	struct desc d;
	int r;

	if (table.len % DESC_SIZE || count > q->chain_max / 2)
		return broken(q, "an indirect table of a bad size", table.len);
	if (table.flags & VRING_DESC_F_NEXT)
		return broken(q, "an indirect descriptor with a next one", 0);
	do {
		if (next >= count || walked++ == count)
			return broken(q, "an indirect chain leaves its table or loops", next);
		if (!fetch_indirect(q, table.addr, next, &d))
			return broken(q, "an indirect table outside guest memory", next);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return broken(q, "an indirect descriptor within a table", next);
		r = add_buffer(q, c, d);
		if (r < 0)
			return r;
		next = d.next;
	} while (d.flags & VRING_DESC_F_NEXT);
	return 0;
}

static inline int walk(struct vq *q, struct chain *c, unsigned head)
{
	unsigned next = head, walked = 0;
	struct desc d;
	int r;

	do {
		if (next > q->mask || walked++ == q->cfg.size)
			return broken(q, "a chain leaves the table or loops", next);
		d = fetch_words((const volatile uint64_t *)q->desc + 2u * next);
		if (d.flags & VRING_DESC_F_INDIRECT)
			return walk_indirect(q, c, d);
		r = add_buffer(q, c, d);
		if (r < 0)
			return r;
		next = d.next;
	} while (d.flags & VRING_DESC_F_NEXT);
	return 0;
}

/* Gives the gathered pieces to the request; with them q->scratch, when they lie there. */
static int keep(struct vq *q, const struct chain *c, struct vq_req *req, unsigned head)
{
	if (c->iov == q->scratch) {
		if (!q->n_large)
			return -EAGAIN;
		q->scratch = q->large[--q->n_large];
	}
	*req = (struct vq_req){
		.vq = q,
		.head = (uint16_t)head,
		.n_out = c->writable ? c->n_out : c->n,
		.n_in = c->writable ? c->n - c->n_out : 0,
		.out_len = (uint32_t)(c->writable ? c->out_len : c->len),
		.in_len = (uint32_t)(c->writable ? c->len - c->out_len : 0),
		.iov = c->iov,
		.mem = gmem_ref(q->mem),
	};
	return 0;
}

/* The head to serve next: >= 0, or -ENOENT, or -EPROTO. */
static int next_head(struct vq *q)
{
	unsigned head;

	if (q->next_avail == q->avail_idx) {
		q->avail_idx = avail_idx_acquire(q);
		if (q->next_avail == q->avail_idx)
			return -ENOENT;
		if ((uint16_t)(q->avail_idx - q->next_avail) > q->cfg.size)
			return broken(q, "the available index jumped", q->avail_idx);
	}
	head = avail_load(q, AVAIL_RING + (unsigned)(q->next_avail & q->mask));
	if (head > q->mask)
		return broken(q, "a head outside the table", head);
	if (req_at(q, head)->vq)
		return broken(q, "a head that is in use", head);
	return (int)head;
}

int vq_pop(struct vq *q, struct vq_req **req)
{
	unsigned faults = gmem_faults();
	struct vq_req *taken;
	struct chain c;
	int head, r;

	if (q->broken)
		return -EPROTO;
	if (q->away)
		return 0;
	head = next_head(q);
	if (gmem_faults() != faults)
		return broken(q, "its ring's memory was taken away", 0);
	if (head == -ENOENT)
		return 0;
	if (head < 0)
		return head;
	taken = req_at(q, (unsigned)head);
	c = (struct chain){
		.iov = &q->iovs[(size_t)head * q->cfg.iov_per_req], .max = q->cfg.iov_per_req};
	r = walk(q, &c, (unsigned)head);
	if (!r && gmem_faults() != faults)
		r = broken(q, "memory of its descriptors was taken away", 0);
	if (!r)
		r = keep(q, &c, taken, (unsigned)head);
	if (r < 0)
		return r;
	q->next_avail++;
	q->in_flight++;
	*req = taken;
	return 1;
}

/* ---- giving it back ---- */

void vq_push(struct vq_req *req, uint32_t written)
{
	struct vq *q = req->vq;
	volatile uint32_t *elem;

	if (q->away && !req->taken_back)
		broken(q, "a request returned while its ring was not in guest memory", req->head);
	if (!q->broken && !req->taken_back) {
		elem = (volatile uint32_t *)q->used + 1 + 2u * (q->used_idx & q->mask);
		elem[0] = htole32(req->head);
		elem[1] = htole32(written);
		q->used_idx++;
	}
	if (req->iov != &q->iovs[(size_t)req->head * q->cfg.iov_per_req])
		q->large[q->n_large++] = req->iov;
	gmem_unref(req->mem);
	req->vq = NULL;
	q->in_flight--;
}

/* The driver's slots hold as many heads as there are places: none of those is written to meanwhile. */
unsigned vq_take_back(struct vq *q)
{
	unsigned n = 0;

	while (is_usable(q) && q->in_flight > n) {
		unsigned head =
			avail_load(q, AVAIL_RING + (unsigned)((q->next_avail - 1u) & q->mask));

		if (head > q->mask || !req_at(q, head)->vq || req_at(q, head)->taken_back)
			break;
		req_at(q, head)->taken_back = true;
		q->next_avail--;
		n++;
	}
	return n;
}

bool vq_notify(struct vq *q)
{
	uint16_t old = q->signalled, event;
	bool valid = q->signalled_valid;

	if (q->used_idx == old || !is_usable(q))
		return false;
	__atomic_store_n(used_u16(q, 1), htole16(q->used_idx), __ATOMIC_RELEASE);
	q->signalled = q->used_idx;
	q->signalled_valid = true;
	atomic_thread_fence(memory_order_seq_cst); // the index is out before we look at the wish
	if (!q->cfg.event_idx)
		return !(avail_load(q, AVAIL_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
	event = avail_load(q, AVAIL_RING + q->cfg.size);
	return !valid || vring_need_event(event, q->used_idx, old);
}

bool vq_has_more(const struct vq *q)
{
	return is_usable(q) && avail_idx_acquire(q) != q->next_avail;
}

void vq_disable_kicks(struct vq *q)
{
	if (!q->cfg.event_idx && is_usable(q))
		*used_u16(q, 0) = htole16(VRING_USED_F_NO_NOTIFY);
}

bool vq_enable_kicks(struct vq *q)
{
	if (!is_usable(q))
		return true;
	if (q->cfg.event_idx)
		*avail_event(q) = htole16(q->next_avail);
	else
		*used_u16(q, 0) = 0;
	atomic_thread_fence(memory_order_seq_cst); // the wish is out before we look at the index
	return avail_idx_acquire(q) == q->next_avail;
}

struct vq_req *vq_in_flight(struct vq *q, unsigned from)
{
	for (unsigned i = from; q->in_flight && i < q->cfg.size; i++)
		if (req_at(q, i)->vq)
			return req_at(q, i);
	return NULL;
}
