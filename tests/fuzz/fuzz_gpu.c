/* SPDX-License-Identifier: MIT */
/*
 * Commands of any bytes to virtio-gpu, through a ring that is in order, with QEMU's display and a
 * second one that takes its time. Between them: resets, pauses, memory that comes and goes.
 *
 * An input: a byte of flags, then records, each of a byte that says which and its fields.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_ring.h>

#include "common/bytes.h"
#include "fuzz.h"
#include "gpu_rig.h"

enum { RECORDS_MAX = 200, HELD_MAX = 64, MAX_HOSTMEM = 2 << 20 };

enum flags { FLAG_EVENT_IDX = 1, FLAG_SLOW_DISPLAY = 2, FLAG_NO_PEER = 4 };

enum record {
	CONTROL,
	CURSOR,
	TURN,
	PEER_READ,
	PEER_ANSWER,
	PEER_SAY,
	PEER_NEW,
	PEER_CLOSE,
	SHOWN,
	POKE,
	PAUSE,
	RESET,
	MEMORY_GOES,
	MEMORY_COMES,
	TRUNCATE,
	RECORDS
};

/* ---- a display that keeps flushes ---- */

struct slow {
	struct display display;
	struct gpu_cmd *held[HELD_MAX];
	unsigned n_held;
	struct gpu_frame frames[VIRTIO_GPU_MAX_SCANOUTS];
};

static void slow_scanout(struct display *d, unsigned id, const struct gpu_frame *frame)
{
	struct slow *s = CONTAINER_OF(d, struct slow, display);
	struct dbuf *old = s->frames[id].buf;

	s->frames[id] = frame ? *frame : (struct gpu_frame){0};
	if (frame) {
		const struct gpu_rect *r = &frame->rect;

		dbuf_ref(frame->buf);
		FUZZ_CHECK(r->width && range_within(r->x, r->width, frame->buf->width));
		FUZZ_CHECK(r->height && range_within(r->y, r->height, frame->buf->height));
	}
	dbuf_unref(old);
}

static void slow_flush(
	struct display *d, unsigned id, const struct gpu_rect *damage, struct gpu_cmd *cmd)
{
	struct slow *s = CONTAINER_OF(d, struct slow, display);
	const struct gpu_rect *r = &s->frames[id].rect;

	FUZZ_CHECK(s->frames[id].buf);
	FUZZ_CHECK(damage->width && range_within(damage->x, damage->width, r->width));
	FUZZ_CHECK(damage->height && range_within(damage->y, damage->height, r->height));
	if (s->n_held < HELD_MAX)
		s->held[s->n_held++] = cmd;
	else
		gpu_cmd_shown(cmd);
}

static void slow_shown(struct slow *s, unsigned i)
{
	struct gpu_cmd *cmd = s->held[i];

	s->held[i] = s->held[--s->n_held];
	gpu_cmd_shown(cmd);
}

static void slow_release(struct display *d)
{
	struct slow *s = CONTAINER_OF(d, struct slow, display);

	while (s->n_held)
		slow_shown(s, s->n_held - 1);
}

static void slow_destroy(struct display *d)
{
	struct slow *s = CONTAINER_OF(d, struct slow, display);

	FUZZ_CHECK(!s->n_held);
	for (unsigned i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		dbuf_unref(s->frames[i].buf);
}

static const struct display_ops slow_ops = {
	.scanout = slow_scanout,
	.flush = slow_flush,
	.release = slow_release,
	.destroy = slow_destroy,
};

/* ---- one input ---- */

struct run {
	struct gpu_rig g;
	struct slow slow;
	struct fuzz_input in;
	uint8_t flags;
	bool high_is_there;
};

/* The fields: where it is cut, room for the answer in words, how long, the bytes. */
static void submit(struct run *r, unsigned queue)
{
	struct rings_command c = {0};

	c.cut = fuzz_u8(&r->in);
	c.room = fuzz_u16(&r->in) % (RINGS_ROOM_MAX + 1);
	c.len = fuzz_u16(&r->in) % (RINGS_COMMAND_MAX + 1);
	c.bytes = fuzz_take(&r->in, &c.len);
	rings_submit(&r->g.rings, queue, &c);
	rings_turn(&r->g.rings, 1);
}

static void peer_says(struct run *r)
{
	size_t len = fuzz_u8(&r->in);
	const uint8_t *bytes = fuzz_take(&r->in, &len);

	peer_lie(&r->g.peer, bytes, len);
	rings_turn(&r->g.rings, 1);
}

/* Writes pixels, or anything, to where the guest keeps them. */
static void poke(struct run *r)
{
	const bool high = fuzz_u8(&r->in) & 1;
	const size_t at = fuzz_u16(&r->in);
	size_t len = fuzz_u8(&r->in);
	const uint8_t *bytes = fuzz_take(&r->in, &len);

	if (len)
		memcpy(r->g.rings.rig.memory[high].host + (high ? 0 : GPU_RIG_FREE) + at, bytes,
			len);
}

static void memory_goes(struct run *r)
{
	if (r->high_is_there)
		rig_remove_memory(&r->g.rings.rig, 1);
	r->high_is_there = false;
}

static void memory_comes(struct run *r)
{
	FUZZ_CHECK(ftruncate(r->g.rings.rig.memory[1].fd, RIG_MEMORY_SIZE) == 0);
	if (!r->high_is_there)
		rig_add_memory(&r->g.rings.rig, 1);
	r->high_is_there = true;
}

/* The front-end takes the file's end away, under the back-end. We do not touch it any more. */
static void truncate_memory(struct run *r)
{
	struct rig_memory *m = &r->g.rings.rig.memory[1];

	FUZZ_CHECK(ftruncate(m->fd, (off_t)(fuzz_u8(&r->in) % 64) * 4096) == 0);
	FUZZ_CHECK(mmap(m->host, RIG_MEMORY_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
		== m->host);
}

static void peer_record(struct run *r, enum record record)
{
	switch (record) {
	case PEER_READ:
		peer_read(&r->g.peer, 1 + (size_t)fuzz_u16(&r->in));
		break;
	case PEER_ANSWER:
		peer_answer(&r->g.peer);
		break;
	case PEER_SAY:
		peer_says(r);
		break;
	case PEER_NEW:
		gpu_rig_connect_peer(&r->g, fuzz_u8(&r->in));
		break;
	default:
		peer_close(&r->g.peer);
		break;
	}
	rings_turn(&r->g.rings, 1);
}

static void memory_record(struct run *r, enum record record)
{
	if (record == POKE)
		poke(r);
	else if (record == MEMORY_GOES)
		memory_goes(r);
	else if (record == MEMORY_COMES)
		memory_comes(r);
	else
		truncate_memory(r);
}

static void run_record(struct run *r)
{
	const enum record record = fuzz_u8(&r->in) % RECORDS;

	switch (record) {
	case CONTROL:
	case CURSOR:
		submit(r, record == CURSOR ? GPU_CURSOR_QUEUE : GPU_CONTROL_QUEUE);
		break;
	case TURN:
		rings_turn(&r->g.rings, fuzz_u8(&r->in) % 4);
		break;
	case SHOWN:
		if (r->slow.n_held)
			slow_shown(&r->slow, fuzz_u8(&r->in) % r->slow.n_held);
		break;
	case PAUSE:
		rings_stop(&r->g.rings);
		rings_start(&r->g.rings);
		break;
	case RESET:
		gpu_rig_reset(&r->g);
		break;
	case PEER_READ:
	case PEER_ANSWER:
	case PEER_SAY:
	case PEER_NEW:
	case PEER_CLOSE:
		peer_record(r, record);
		break;
	default:
		memory_record(r, record);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;

	r = (struct run){.in = {data, size}, .high_is_there = true, .slow.display.ops = &slow_ops};
	r.flags = fuzz_u8(&r.in);
	gpu_rig_init(&r.g, r.flags & FLAG_EVENT_IDX ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0, MAX_HOSTMEM,
		r.flags & FLAG_SLOW_DISPLAY ? &r.slow.display : NULL);
	if (!(r.flags & FLAG_NO_PEER))
		gpu_rig_connect_peer(&r.g, UINT64_MAX);
	for (unsigned i = 0; r.in.left && i < RECORDS_MAX; i++)
		run_record(&r);
	gpu_rig_finish(&r.g);
	return 0;
}
