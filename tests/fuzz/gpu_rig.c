/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "gpu_rig.h"

#include <string.h>
#include <sys/eventfd.h>
#include <linux/virtio_ring.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"

enum {
	DESCS_A_SLOT = 4,
	RING_SIZE = GPU_RIG_SLOTS * DESCS_A_SLOT,
	RING_BYTES = 0x1000, // where its parts lie in that
	AVAIL_AT = 0x600,
	USED_AT = 0x800,
	COMMANDS_AT = 0x4000,
	ANSWERS_AT = 0x10000,
	UNTOUCHED = 0xa5, // what room for an answer is filled with
};

/* ---- the rings in guest memory ---- */

static uint8_t *low(struct gpu_rig *g, uint64_t gpa)
{
	return g->rig.memory[0].host + gpa;
}

static struct vring_desc *desc_of(struct gpu_rig *g, unsigned queue)
{
	return (struct vring_desc *)(void *)low(g, queue * RING_BYTES);
}

static struct vring_avail *avail_of(struct gpu_rig *g, unsigned queue)
{
	return (struct vring_avail *)(void *)low(g, queue * RING_BYTES + AVAIL_AT);
}

static struct vring_used *used_of(struct gpu_rig *g, unsigned queue)
{
	return (struct vring_used *)(void *)low(g, queue * RING_BYTES + USED_AT);
}

static uint64_t command_gpa(unsigned queue, unsigned slot)
{
	return COMMANDS_AT + (uint64_t)(queue * GPU_RIG_SLOTS + slot) * GPU_RIG_COMMAND_MAX;
}

static uint64_t answer_gpa(unsigned queue, unsigned slot)
{
	return ANSWERS_AT + (uint64_t)(queue * GPU_RIG_SLOTS + slot) * GPU_RIG_ROOM_MAX;
}

static int free_slot(const struct gpu_rig_ring *ring)
{
	for (int i = 0; i < GPU_RIG_SLOTS; i++)
		if (!ring->slots[i].busy)
			return i;
	return -1;
}

static void publish(struct gpu_rig *g, unsigned queue, uint16_t head)
{
	struct gpu_rig_ring *ring = &g->rings[queue];
	struct vring_avail *avail = avail_of(g, queue);

	avail->ring[ring->avail_idx % RING_SIZE] = head;
	avail->ring[RING_SIZE] = ring->used_idx; // used_event: always tell
	__atomic_store_n(&avail->idx, ++ring->avail_idx, __ATOMIC_RELEASE);
	fd_signal(ring->kick);
}

/* The descriptors of a slot: the command in one or two pieces, the answer if it has room. */
static void describe(
	struct gpu_rig *g, unsigned queue, unsigned slot, const struct gpu_rig_command *c)
{
	struct vring_desc *d = desc_of(g, queue) + slot * DESCS_A_SLOT;
	const uint16_t head = (uint16_t)(slot * DESCS_A_SLOT);
	const uint32_t first = c->cut < c->len ? c->cut : (uint32_t)c->len;
	unsigned n = 0;

	d[n++] = (struct vring_desc){command_gpa(queue, slot), first, 0, 0};
	if (first < c->len)
		d[n++] = (struct vring_desc){
			command_gpa(queue, slot) + first, (uint32_t)c->len - first, 0, 0};
	if (c->room)
		d[n++] = (struct vring_desc){
			answer_gpa(queue, slot), c->room, VRING_DESC_F_WRITE, 0};
	for (unsigned i = 0; i + 1 < n; i++) {
		d[i].flags |= VRING_DESC_F_NEXT;
		d[i].next = (uint16_t)(head + i + 1);
	}
}

bool gpu_rig_submit(struct gpu_rig *g, unsigned queue, const struct gpu_rig_command *c)
{
	struct gpu_rig_ring *ring = &g->rings[queue];
	int slot = free_slot(ring);

	if (!ring->running || slot < 0)
		return false;
	FUZZ_CHECK(c->len <= GPU_RIG_COMMAND_MAX && c->room <= GPU_RIG_ROOM_MAX);
	ring->slots[slot] = (struct gpu_rig_slot){.busy = true, .room = c->room, .len = c->len};
	memcpy(&ring->slots[slot].hdr, c->bytes, min_u64(c->len, sizeof(ring->slots[slot].hdr)));
	memcpy(low(g, command_gpa(queue, (unsigned)slot)), c->bytes, c->len);
	memset(low(g, answer_gpa(queue, (unsigned)slot)), UNTOUCHED, GPU_RIG_ROOM_MAX);
	describe(g, queue, (unsigned)slot, c);
	publish(g, queue, (uint16_t)(slot * DESCS_A_SLOT));
	return true;
}

/* ---- what comes back ---- */

/* The answer is one, it echoes the fence, and nothing behind it was written. */
static void check_answer(const struct gpu_rig_slot *s, const uint8_t *answer, uint32_t len)
{
	struct virtio_gpu_ctrl_hdr h;

	FUZZ_CHECK(len <= s->room);
	FUZZ_CHECK(len == GPU_RIG_ROOM_MAX || answer[len] == UNTOUCHED);
	FUZZ_CHECK(len + 1 >= GPU_RIG_ROOM_MAX
		|| !memcmp(answer + len, answer + len + 1, GPU_RIG_ROOM_MAX - len - 1));
	if (s->room < sizeof(h)) {
		FUZZ_CHECK(len == s->room);
		return;
	}
	FUZZ_CHECK(len >= sizeof(h));
	memcpy(&h, answer, sizeof(h));
	FUZZ_CHECK((h.type >= VIRTIO_GPU_RESP_OK_NODATA && h.type <= VIRTIO_GPU_RESP_OK_MAP_INFO)
		|| (h.type >= VIRTIO_GPU_RESP_ERR_UNSPEC
			&& h.type <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER));
	FUZZ_CHECK((h.flags & VIRTIO_GPU_FLAG_FENCE) == (s->hdr.flags & VIRTIO_GPU_FLAG_FENCE));
	FUZZ_CHECK(h.fence_id == (h.flags & VIRTIO_GPU_FLAG_FENCE ? s->hdr.fence_id : 0));
}

static void reap(struct gpu_rig *g, unsigned queue)
{
	struct gpu_rig_ring *ring = &g->rings[queue];
	const struct vring_used *used = used_of(g, queue);

	while (ring->used_idx != __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE)) {
		const struct vring_used_elem *e = &used->ring[ring->used_idx % RING_SIZE];
		const unsigned slot = e->id / DESCS_A_SLOT;
		struct gpu_rig_slot *s = &ring->slots[slot];

		FUZZ_CHECK(e->id < RING_SIZE && e->id % DESCS_A_SLOT == 0 && s->busy);
		check_answer(s, low(g, answer_gpa(queue, slot)), e->len);
		s->busy = false;
		ring->used_idx++;
		g->answers++;
	}
}

void gpu_rig_turn(struct gpu_rig *g, unsigned n)
{
	rig_turn(&g->rig, n);
	for (unsigned i = 0; i < GPU_QUEUES; i++)
		if (g->rings[i].running)
			reap(g, i);
}

static unsigned busy_in(const struct gpu_rig_ring *ring)
{
	unsigned n = 0;

	for (unsigned i = 0; i < GPU_RIG_SLOTS; i++)
		n += ring->slots[i].busy;
	return n;
}

unsigned gpu_rig_busy(const struct gpu_rig *g)
{
	return busy_in(&g->rings[0]) + busy_in(&g->rings[1]);
}

/* ---- start and stop ---- */

static void start_ring(struct gpu_rig *g, unsigned queue)
{
	const uint64_t at = RIG_UVA + queue * RING_BYTES;
	const struct vhost_user_vring_state num = {queue, RING_SIZE}, enable = {queue, 1};
	const struct vhost_user_vring_state base = {queue, g->rings[queue].base};
	const struct vhost_user_vring_addr addr = {queue, 0, at, at + USED_AT, at + AVAIL_AT, 0};
	const uint64_t index = queue;

	rig_tell(&g->rig, VHOST_USER_SET_VRING_NUM, &num, sizeof(num), -1);
	rig_tell(&g->rig, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), -1);
	rig_tell(&g->rig, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	rig_tell(&g->rig, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), g->rings[queue].kick);
	rig_tell(&g->rig, VHOST_USER_SET_VRING_ENABLE, &enable, sizeof(enable), -1);
	g->rings[queue].running = true;
}

void gpu_rig_start(struct gpu_rig *g)
{
	for (unsigned i = 0; i < GPU_QUEUES; i++)
		if (!g->rings[i].running)
			start_ring(g, i);
	FUZZ_CHECK(g->rig.vhu); // nothing that it could refuse
}

/* The back-end may stop before it has looked at the ring's last requests; they stay. */
static void stop_ring(struct gpu_rig *g, unsigned queue)
{
	struct gpu_rig_ring *ring = &g->rings[queue];
	const struct vhost_user_vring_state state = {queue, 0};

	if (!ring->running)
		return;
	rig_tell(&g->rig, VHOST_USER_GET_VRING_BASE, &state, sizeof(state), -1);
	reap(g, queue);
	ring->base = (uint16_t)(g->rig.last >> 32);
	FUZZ_CHECK((uint16_t)(ring->avail_idx - ring->base) == busy_in(ring));
	ring->running = false;
}

void gpu_rig_stop(struct gpu_rig *g)
{
	for (unsigned i = 0; i < GPU_QUEUES; i++)
		stop_ring(g, i);
}

static void forget_commands(struct gpu_rig *g, unsigned queue)
{
	struct gpu_rig_ring *ring = &g->rings[queue];

	*ring = (struct gpu_rig_ring){.kick = ring->kick};
	memset(low(g, queue * RING_BYTES), 0, RING_BYTES);
}

static void check_power_on(const struct gpu_rig *g)
{
	FUZZ_CHECK(g->gpu.resources.n == 0);
	for (unsigned i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		FUZZ_CHECK(!g->gpu.scanouts[i].res);
	if (g->peer.fd < 0) // else a picture may be half said
		FUZZ_CHECK(g->gpu.resources.budget.used == 0);
}

void gpu_rig_reset(struct gpu_rig *g)
{
	rig_tell(&g->rig, VHOST_USER_RESET_DEVICE, NULL, 0, -1);
	check_power_on(g);
	for (unsigned i = 0; i < GPU_QUEUES; i++)
		forget_commands(g, i);
	gpu_rig_start(g);
}

void gpu_rig_connect_peer(struct gpu_rig *g, uint64_t offered)
{
	int remote = peer_open(&g->peer, offered);

	rig_tell(&g->rig, VHOST_USER_GPU_SET_SOCKET, NULL, 0, remote);
	fd_close(&remote);
}

void gpu_rig_init(struct gpu_rig *g, uint64_t features, uint64_t max_hostmem, struct display *other)
{
	const struct gpu_config cfg = {.outputs = {{640, 480}, {320, 200}},
		.n_outputs = 2,
		.max_hostmem = max_hostmem,
		.max_resources = 16};

	*g = (struct gpu_rig){.peer.fd = -1};
	rig_init(&g->rig, &gpu_vhu_device, &g->gpu);
	gpu_device_init(&g->gpu, &cfg);
	gpu_device_add_display(&g->gpu, display_qemu_create(g->rig.loop));
	if (other)
		gpu_device_add_display(&g->gpu, other);
	for (unsigned i = 0; i < GPU_QUEUES; i++)
		g->rings[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rig_tell_u64(&g->rig, VHOST_USER_SET_FEATURES,
		features | BIT(VHOST_USER_F_PROTOCOL_FEATURES) | BIT(32));
	rig_tell_u64(&g->rig, VHOST_USER_SET_PROTOCOL_FEATURES, UINT64_MAX & ~BIT(21));
	for (unsigned i = 0; i < RIG_MEMORIES; i++)
		rig_add_memory(&g->rig, i);
	gpu_rig_start(g);
}

void gpu_rig_finish(struct gpu_rig *g)
{
	gpu_rig_turn(g, 1);
	gpu_rig_stop(g);
	rig_leave(&g->rig);
	peer_close(&g->peer);
	FUZZ_CHECK(g->gpu.resources.n == 0);
	gpu_device_finish(&g->gpu);
	FUZZ_CHECK(g->gpu.resources.budget.used == 0);
	for (unsigned i = 0; i < GPU_QUEUES; i++)
		fd_close(&g->rings[i].kick);
	rig_finish(&g->rig);
}
