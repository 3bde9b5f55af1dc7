/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "rings.h"

#include <string.h>
#include <sys/eventfd.h>
#include <linux/virtio_ring.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"

enum {
	DESCS_A_SLOT = 4,
	RING_SIZE = RINGS_SLOTS * DESCS_A_SLOT,
	RING_BYTES = 0x1000, // where its parts lie in that
	AVAIL_AT = 0x600,
	USED_AT = 0x800,
	COMMANDS_AT = RINGS_MAX * RING_BYTES, // and answers behind them
};

/* ---- the rings in guest memory ---- */

static uint8_t *low(struct rings *r, uint64_t gpa)
{
	return r->rig.memory[0].host + gpa;
}

static struct vring_desc *desc_of(struct rings *r, unsigned queue)
{
	return (struct vring_desc *)(void *)low(r, queue * RING_BYTES);
}

static struct vring_avail *avail_of(struct rings *r, unsigned queue)
{
	return (struct vring_avail *)(void *)low(r, queue * RING_BYTES + AVAIL_AT);
}

static struct vring_used *used_of(struct rings *r, unsigned queue)
{
	return (struct vring_used *)(void *)low(r, queue * RING_BYTES + USED_AT);
}

static uint64_t command_gpa(unsigned queue, unsigned slot)
{
	return COMMANDS_AT + (uint64_t)(queue * RINGS_SLOTS + slot) * RINGS_COMMAND_MAX;
}

static uint64_t answer_gpa(const struct rings *r, unsigned queue, unsigned slot)
{
	return command_gpa(r->n, 0) + (uint64_t)(queue * RINGS_SLOTS + slot) * RINGS_ROOM_MAX;
}

static int free_slot(const struct rings_ring *ring)
{
	for (int i = 0; i < RINGS_SLOTS; i++)
		if (!ring->slots[i].busy)
			return i;
	return -1;
}

static void publish(struct rings *r, unsigned queue, uint16_t head)
{
	struct rings_ring *ring = &r->rings[queue];
	struct vring_avail *avail = avail_of(r, queue);

	avail->ring[ring->avail_idx % RING_SIZE] = head;
	avail->ring[RING_SIZE] = ring->used_idx; // used_event: always tell
	__atomic_store_n(&avail->idx, ++ring->avail_idx, __ATOMIC_RELEASE);
}

/* The descriptors of a slot: the command in one or two pieces, the answer if it has room. */
static void describe(struct rings *r, unsigned queue, unsigned slot, const struct rings_command *c)
{
	struct vring_desc *d = desc_of(r, queue) + slot * DESCS_A_SLOT;
	const uint16_t head = (uint16_t)(slot * DESCS_A_SLOT);
	const uint32_t first = c->cut < c->len ? c->cut : (uint32_t)c->len;
	unsigned n = 0;

	d[n++] = (struct vring_desc){command_gpa(queue, slot), first, 0, 0};
	if (first < c->len)
		d[n++] = (struct vring_desc){
			command_gpa(queue, slot) + first, (uint32_t)c->len - first, 0, 0};
	if (c->room)
		d[n++] = (struct vring_desc){
			answer_gpa(r, queue, slot), c->room, VRING_DESC_F_WRITE, 0};
	for (unsigned i = 0; i + 1 < n; i++) {
		d[i].flags |= VRING_DESC_F_NEXT;
		d[i].next = (uint16_t)(head + i + 1);
	}
}

bool rings_submit(struct rings *r, unsigned queue, const struct rings_command *c)
{
	struct rings_ring *ring = &r->rings[queue];
	int slot = free_slot(ring);
	struct rings_slot *s = &ring->slots[slot < 0 ? 0 : slot];

	if (!ring->running || slot < 0)
		return false;
	FUZZ_CHECK(c->len <= RINGS_COMMAND_MAX && c->room <= RINGS_ROOM_MAX);
	*s = (struct rings_slot){
		.busy = true, .room = c->room, .len = c->len, .number = ++r->submitted};
	memcpy(s->bytes, c->bytes, min_u64(c->len, sizeof(s->bytes)));
	memcpy(low(r, command_gpa(queue, (unsigned)slot)), c->bytes, c->len);
	memset(low(r, answer_gpa(r, queue, (unsigned)slot)), RINGS_UNTOUCHED, RINGS_ROOM_MAX);
	describe(r, queue, (unsigned)slot, c);
	publish(r, queue, (uint16_t)(slot * DESCS_A_SLOT));
	if (!c->no_kick)
		fd_signal(ring->kick);
	return true;
}

/* ---- what comes back ---- */

bool rings_untouched(const uint8_t *answer, uint32_t len)
{
	return len == RINGS_ROOM_MAX
		|| (answer[len] == RINGS_UNTOUCHED
			&& !memcmp(answer + len, answer + len + 1, RINGS_ROOM_MAX - len - 1));
}

static void reap(struct rings *r, unsigned queue)
{
	struct rings_ring *ring = &r->rings[queue];
	const struct vring_used *used = used_of(r, queue);

	while (ring->used_idx != __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE)) {
		const struct vring_used_elem *e = &used->ring[ring->used_idx % RING_SIZE];
		const unsigned slot = e->id / DESCS_A_SLOT;
		struct rings_slot *s = &ring->slots[slot];

		FUZZ_CHECK(e->id < RING_SIZE && e->id % DESCS_A_SLOT == 0 && s->busy);
		FUZZ_CHECK(e->len <= s->room);
		s->busy = false;
		ring->used_idx++;
		r->answers++;
		r->check(r, queue, s, low(r, answer_gpa(r, queue, slot)), e->len);
	}
}

/* The first ring is that of control: what its answers say of the others can be looked at there. */
void rings_turn(struct rings *r, unsigned n)
{
	rig_turn(&r->rig, n);
	for (unsigned i = r->n; i-- > 0;)
		if (r->rings[i].running)
			reap(r, i);
}

static unsigned busy_in(const struct rings_ring *ring)
{
	unsigned n = 0;

	for (unsigned i = 0; i < RINGS_SLOTS; i++)
		n += ring->slots[i].busy;
	return n;
}

unsigned rings_busy(const struct rings *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++)
		n += busy_in(&r->rings[i]);
	return n;
}

/* ---- start and stop ---- */

static void start_ring(struct rings *r, unsigned queue)
{
	const uint64_t at = RIG_UVA + queue * RING_BYTES;
	const struct vhost_user_vring_state num = {queue, RING_SIZE}, enable = {queue, 1};
	const struct vhost_user_vring_state base = {queue, r->rings[queue].base};
	const struct vhost_user_vring_addr addr = {queue, 0, at, at + USED_AT, at + AVAIL_AT, 0};
	const uint64_t index = queue;

	rig_tell(&r->rig, VHOST_USER_SET_VRING_NUM, &num, sizeof(num), -1);
	rig_tell(&r->rig, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), -1);
	rig_tell(&r->rig, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	rig_tell(&r->rig, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), r->rings[queue].kick);
	rig_tell(&r->rig, VHOST_USER_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	r->rings[queue].running = true;
}

void rings_start(struct rings *r)
{
	for (unsigned i = 0; i < r->n; i++)
		if (!r->rings[i].running)
			start_ring(r, i);
	FUZZ_CHECK(r->rig.vhu); // nothing that it could refuse
}

/* The back-end may stop before it has looked at the ring's last requests; they stay. */
static void stop_ring(struct rings *r, unsigned queue)
{
	struct rings_ring *ring = &r->rings[queue];
	const struct vhost_user_vring_state state = {queue, 0};

	if (!ring->running)
		return;
	rig_tell(&r->rig, VHOST_USER_GET_VRING_BASE, &state, sizeof(state), -1);
	reap(r, queue);
	ring->base = (uint16_t)(r->rig.last >> 32);
	FUZZ_CHECK((uint16_t)(ring->avail_idx - ring->base) == busy_in(ring));
	ring->running = false;
}

void rings_stop(struct rings *r)
{
	for (unsigned i = 0; i < r->n; i++)
		stop_ring(r, i);
}

void rings_reset(struct rings *r)
{
	rig_tell(&r->rig, VHOST_USER_RESET_DEVICE, NULL, 0, -1);
	for (unsigned i = 0; i < r->n; i++) {
		r->rings[i] = (struct rings_ring){.kick = r->rings[i].kick};
		memset(low(r, i * RING_BYTES), 0, RING_BYTES);
	}
}

void rings_init(struct rings *r, const struct vhu_device *device, void *dev)
{
	rig_init(&r->rig, device, dev);
	for (unsigned i = 0; i < r->n; i++)
		r->rings[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void rings_begin(struct rings *r, uint64_t features)
{
	rig_tell_u64(&r->rig, VHOST_USER_SET_FEATURES,
		features | BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(32));
	rig_tell_u64(&r->rig, VHOST_USER_SET_PROTOCOL_FEATURES, UINT64_MAX & ~BIT(21));
	for (unsigned i = 0; i < RIG_MEMORIES; i++)
		rig_add_memory(&r->rig, i);
	rings_start(r);
}

void rings_end(struct rings *r)
{
	rings_turn(r, 1);
	rings_stop(r);
	rig_leave(&r->rig);
}

void rings_finish(struct rings *r)
{
	for (unsigned i = 0; i < r->n; i++)
		fd_close(&r->rings[i].kick);
	rig_finish(&r->rig);
}
