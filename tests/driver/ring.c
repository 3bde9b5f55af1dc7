/* SPDX-License-Identifier: MIT */
#include "ring.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "wait.h"

static bool has(const struct drv_ring *r, uint64_t feature)
{
	return r->features & feature;
}

static __u16 *used_event(const struct drv_ring *r)
{
	return (__u16 *)&r->avail->ring[r->num];
}

static const __u16 *avail_event(const struct drv_ring *r)
{
	return (const __u16 *)(const void *)&r->used->ring[r->num];
}

static void store16(void *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELEASE);
}

static uint16_t load16(const void *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE));
}

/* Life */

static int place(struct drv_ring *r)
{
	uint64_t avail_size = sizeof(struct vring_avail) + 2ull * r->num + 2;
	uint64_t used_size = sizeof(struct vring_used) + 8ull * r->num + 2;

	r->desc_gpa = guest_alloc_keep(r->guest, 16ull * r->num, 16);
	r->avail_gpa = guest_alloc_keep(r->guest, avail_size, 2);
	r->used_gpa = guest_alloc_keep(r->guest, used_size, 4);
	if (r->desc_gpa == GUEST_NOMEM || r->avail_gpa == GUEST_NOMEM || r->used_gpa == GUEST_NOMEM)
		return -ENOMEM;
	r->desc = guest_ptr(r->guest, r->desc_gpa, 16ull * r->num);
	r->avail = guest_ptr(r->guest, r->avail_gpa, avail_size);
	r->used = guest_ptr(r->guest, r->used_gpa, used_size);
	return 0;
}

static int make_eventfds(struct drv_ring *r)
{
	r->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return r->kick_fd < 0 || r->call_fd < 0 || r->err_fd < 0 ? -errno : 0;
}

int drv_ring_init(struct drv_ring *r, struct guest *g, uint32_t num, uint64_t features)
{
	int rc;

	*r = (struct drv_ring){.guest = g, .num = num, .features = features};
	r->kick_fd = r->call_fd = r->err_fd = -1;
	r->calls = true;
	if (num < 2 || num > 32768 || (num & (num - 1)) != 0)
		return -EINVAL;
	r->heads = calloc(num, sizeof(*r->heads));
	r->free = calloc(num, sizeof(*r->free));
	r->next = calloc(num, sizeof(*r->next));
	rc = r->heads && r->free && r->next ? place(r) : -ENOMEM;
	if (rc == 0)
		rc = make_eventfds(r);
	if (rc < 0) {
		drv_ring_finish(r);
		return rc;
	}
	drv_ring_reset(r, 0);
	return 0;
}

void drv_ring_finish(struct drv_ring *r)
{
	int *fds[] = {&r->kick_fd, &r->call_fd, &r->err_fd};

	for (size_t i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	free(r->heads);
	free(r->free);
	free(r->next);
	r->heads = NULL;
	r->free = r->next = NULL;
}

void drv_ring_reset(struct drv_ring *r, uint16_t base)
{
	for (uint32_t i = 0; i < r->num; i++) {
		r->heads[i].outstanding = false;
		r->free[i] = (uint16_t)(r->num - 1 - i);
	}
	r->nfree = r->num;
	r->outstanding = r->pending = 0;
	r->avail_idx = r->used_idx = r->kicked_at = base;
	r->error = NULL;
	memset(r->desc, 0, sizeof(*r->desc) * r->num);
	memset(r->used, 0, sizeof(*r->used) + sizeof(r->used->ring[0]) * r->num + 2);
	store16(&r->avail->idx, base);
	store16(&r->used->idx, base);
	drv_ring_want_calls(r, r->calls);
}

void drv_ring_shuffle(struct drv_ring *r, uint64_t seed)
{
	for (uint32_t i = r->nfree; i > 1; i--) {
		uint32_t j;
		uint16_t swap;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		j = (uint32_t)((seed >> 33) % i);
		swap = r->free[i - 1];
		r->free[i - 1] = r->free[j];
		r->free[j] = swap;
	}
}

/* Adding */

static int check_segs(const struct drv_seg *segs, size_t n)
{
	if (n == 0)
		return -EINVAL;
	for (size_t i = 1; i < n; i++) {
		if (segs[i - 1].writable && !segs[i].writable)
			return -EINVAL;
	}
	return 0;
}

static void write_desc(struct vring_desc *d, const struct drv_seg *seg, bool more, uint16_t next)
{
	unsigned int flags = more ? VRING_DESC_F_NEXT : 0;

	if (seg->writable)
		flags |= VRING_DESC_F_WRITE;
	d->addr = htole64(seg->gpa);
	d->len = htole32(seg->len);
	d->flags = htole16((uint16_t)flags);
	d->next = htole16(next);
}

static uint64_t writable_bytes(const struct drv_seg *segs, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += segs[i].writable ? segs[i].len : 0;
	return sum;
}

static void enter(
	struct drv_ring *r, uint16_t head, uint16_t ndesc, uint64_t writable, void *cookie)
{
	struct drv_head *h = &r->heads[head];

	h->outstanding = true;
	h->ndesc = ndesc;
	h->writable = writable;
	h->cookie = cookie;
	store16(&r->avail->ring[r->avail_idx % r->num], head);
	r->avail_idx++;
	r->pending++;
}

int drv_ring_add(struct drv_ring *r, const struct drv_seg *segs, size_t n, void *cookie)
{
	int rc = check_segs(segs, n);
	uint16_t head, slot;

	if (rc < 0)
		return rc;
	if (n > r->nfree)
		return -ENOSPC;
	head = slot = r->free[r->nfree - 1];
	for (size_t i = 0; i < n; i++) {
		bool more = i + 1 < n;
		uint16_t next;

		r->nfree--;
		next = more ? r->free[r->nfree - 1] : 0;
		write_desc(&r->desc[slot], &segs[i], more, next);
		r->next[slot] = next;
		slot = next;
	}
	enter(r, head, (uint16_t)n, writable_bytes(segs, n), cookie);
	return head;
}

/* The indirect table of a head, with room for n. */
static struct vring_desc *head_table(struct drv_ring *r, struct drv_head *h, uint32_t n)
{
	if (h->table_max < n) {
		uint64_t table = guest_alloc_keep(r->guest, 16ull * n, 16);

		if (table == GUEST_NOMEM)
			return NULL;
		h->table = table;
		h->table_max = n;
	}
	return guest_ptr(r->guest, h->table, 16ull * n);
}

int drv_ring_add_indirect(struct drv_ring *r, const struct drv_seg *segs, size_t n, void *cookie)
{
	int rc = check_segs(segs, n);
	struct vring_desc *table, *d;
	uint16_t head;

	if (rc < 0 || n > UINT16_MAX)
		return -EINVAL;
	if (r->nfree == 0)
		return -ENOSPC;
	head = r->free[r->nfree - 1];
	table = head_table(r, &r->heads[head], (uint32_t)n);
	if (!table)
		return -ENOMEM;
	r->nfree--;
	for (size_t i = 0; i < n; i++)
		write_desc(&table[i], &segs[i], i + 1 < n, (uint16_t)(i + 1 < n ? i + 1 : 0));
	d = &r->desc[head];
	d->addr = htole64(r->heads[head].table);
	d->len = htole32((uint32_t)n * 16);
	d->flags = htole16(VRING_DESC_F_INDIRECT);
	d->next = 0;
	enter(r, head, 1, writable_bytes(segs, n), cookie);
	return head;
}

void drv_ring_publish(struct drv_ring *r)
{
	store16(&r->avail->idx, r->avail_idx);
	r->outstanding += r->pending;
	r->pending = 0;
}

int drv_ring_kick(struct drv_ring *r)
{
	uint16_t from = r->kicked_at;
	int wanted, rc;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); // the index is out before their wish is read
	if (has(r, DRV_EVENT_IDX))
		wanted = vring_need_event(load16(avail_event(r)), r->avail_idx, from);
	else
		wanted =
			r->avail_idx != from && !(load16(&r->used->flags) & VRING_USED_F_NO_NOTIFY);
	r->kicked_at = r->avail_idx;
	if (!wanted)
		return 0;
	rc = drv_ring_kick_now(r);
	return rc < 0 ? rc : 1;
}

int drv_ring_kick_now(struct drv_ring *r)
{
	uint64_t one = 1;

	if (write(r->kick_fd, &one, sizeof(one)) != sizeof(one))
		return -errno;
	r->nkicks++;
	return 0;
}

int drv_ring_submit(struct drv_ring *r)
{
	drv_ring_publish(r);
	return drv_ring_kick(r);
}

/* Reaping */

static int broken(struct drv_ring *r, const char *how)
{
	if (!r->error)
		r->error = how;
	return -EPROTO;
}

int drv_ring_used_count(struct drv_ring *r)
{
	uint16_t n = (uint16_t)(load16(&r->used->idx) - r->used_idx);

	if (r->error)
		return -EPROTO;
	return n > r->outstanding ? broken(r, "used index is ahead of what is outstanding") : n;
}

static void release(struct drv_ring *r, uint16_t head)
{
	struct drv_head *h = &r->heads[head];
	uint16_t slot = head;

	for (uint16_t i = 0; i < h->ndesc; i++) {
		uint16_t next = r->next[slot];

		r->free[r->nfree++] = slot;
		slot = next;
	}
	h->outstanding = false;
	r->outstanding--;
}

int drv_ring_reap(struct drv_ring *r, struct drv_used *used)
{
	int n = drv_ring_used_count(r);
	struct vring_used_elem e;
	struct drv_head *h;
	uint32_t id;

	if (n <= 0)
		return n;
	e = r->used->ring[r->used_idx % r->num];
	id = le32toh(e.id);
	if (id >= r->num)
		return broken(r, "used id is not a descriptor");
	h = &r->heads[id];
	if (!h->outstanding)
		return broken(r, "used id is not an outstanding head");
	if (le32toh(e.len) > h->writable)
		return broken(r, "used length is more than was writable");
	*used = (struct drv_used){.head = (uint16_t)id, .len = le32toh(e.len), .cookie = h->cookie};
	release(r, (uint16_t)id);
	r->used_idx++;
	if (r->calls && has(r, DRV_EVENT_IDX))
		store16(used_event(r), r->used_idx);
	return 1;
}

/* Notifications */

bool drv_ring_want_calls(struct drv_ring *r, bool on)
{
	r->calls = on;
	if (has(r, DRV_EVENT_IDX)) {
		store16(&r->avail->flags, 0);
		store16(used_event(r), (uint16_t)(on ? r->used_idx : r->used_idx - 1));
	} else {
		store16(&r->avail->flags, on ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST); // the wish is out before the index is read
	return load16(&r->used->idx) != r->used_idx;
}

void drv_ring_delay_calls(struct drv_ring *r, uint16_t n)
{
	r->calls = true;
	store16(used_event(r), (uint16_t)(r->used_idx + n - 1));
}

/* Empties an eventfd and adds what it held to *count. */
static int drain(int fd, uint64_t *count)
{
	uint64_t n;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return errno == EAGAIN ? 0 : -errno;
	*count += n;
	return 1;
}

static int wait_eventfd(int fd, uint64_t *count, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	int rc = 0;

	while (rc == 0) {
		rc = wait_fd(fd, POLLIN, deadline);
		if (rc == 0)
			rc = drain(fd, count);
	}
	return rc < 0 ? rc : 0;
}

int drv_ring_wait_call(struct drv_ring *r, int timeout_ms)
{
	return wait_eventfd(r->call_fd, &r->ncalls, timeout_ms);
}

int drv_ring_wait_err(struct drv_ring *r, int timeout_ms)
{
	return wait_eventfd(r->err_fd, &r->nerrs, timeout_ms);
}

int drv_rings_wait(struct drv_ring *rings, unsigned n, int64_t deadline)
{
	struct pollfd p[2 * DRV_RINGS_MAX];
	int ready;

	for (unsigned i = 0; i < n; i++) {
		p[2 * i] = (struct pollfd){rings[i].call_fd, POLLIN, 0};
		p[2 * i + 1] = (struct pollfd){rings[i].err_fd, POLLIN, 0};
	}
	ready = poll(p, 2 * n, wait_left(deadline));
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	for (unsigned i = 0; i < n; i++) {
		if (p[2 * i].revents)
			drv_ring_wait_call(&rings[i], 0);
		if (p[2 * i + 1].revents && drv_ring_wait_err(&rings[i], 0) == 0)
			return -EIO;
		if (ready == 0 && drv_ring_used_count(&rings[i]) > 0)
			return -ENOMSG;
	}
	return ready == 0 ? -ETIMEDOUT : 0;
}

int drv_ring_wait(struct drv_ring *r, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	bool quiet = !r->calls;
	int rc;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); // reaping has moved used_event
	rc = drv_ring_used_count(r);
	if (rc == 0 && quiet && drv_ring_want_calls(r, true))
		rc = 1;
	while (rc == 0) {
		rc = drv_rings_wait(r, 1, deadline);
		if (rc == 0)
			rc = drv_ring_used_count(r);
	}
	if (quiet)
		drv_ring_want_calls(r, false);
	return rc < 0 ? rc : 0;
}

/* Raw access */

void drv_ring_poke_desc(struct drv_ring *r, uint32_t slot, const struct vring_desc *desc)
{
	r->desc[slot % r->num] = *desc;
}

void drv_ring_poke_avail(struct drv_ring *r, uint32_t slot, uint16_t head)
{
	store16(&r->avail->ring[slot % r->num], head);
}

void drv_ring_poke_avail_idx(struct drv_ring *r, uint16_t idx)
{
	store16(&r->avail->idx, idx);
}

void drv_ring_poke_avail_flags(struct drv_ring *r, uint16_t flags)
{
	store16(&r->avail->flags, flags);
}

void drv_ring_poke_used_event(struct drv_ring *r, uint16_t event)
{
	store16(used_event(r), event);
}

int drv_ring_publish_raw(struct drv_ring *r, uint16_t head, uint64_t writable)
{
	if (head >= r->num || r->heads[head].outstanding)
		return -EINVAL;
	for (uint32_t i = 0; i < r->nfree; i++) {
		if (r->free[i] == head) {
			r->free[i] = r->free[--r->nfree];
			break;
		}
	}
	enter(r, head, 1, writable, NULL);
	drv_ring_publish(r);
	return 0;
}
