/* SPDX-License-Identifier: MIT */
/*
 * Commands of any bytes to virtio-gpu with a renderer, and answers of any bytes from it: what a guest
 * could do that has taken it over. In the place of the process is what an input says: right answers,
 * late ones, lies, silence, deaths, and a socket that is full.
 *
 * An input: a byte of flags, then records, each of a byte that says which and its fields.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/virtio_ring.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"
#include "gpu/device_3d.h"
#include "gpu_rig.h"
#include "window.h"

enum { RECORDS_MAX = 200, ASKED_MAX = 1024, MAX_HOSTMEM = 8 << 20 };
enum { RING_SIZE = RENDERER_RING_DATA + RENDERER_RING_BYTES };

enum flags { FLAG_EVENT_IDX = 1, FLAG_NO_PEER = 2, FLAG_RING_FULL = 4, FLAG_SMALL_FILES = 8 };

enum record {
	CONTROL,
	CURSOR,
	TURN,
	PEER_READ,
	ANSWER, // so many of what it was asked, rightly
	FAIL,
	SAY, // any bytes
	LIE, // an answer of any kind
	CONSUME,
	FULL,
	DIE,
	REVIVE,
	PAUSE,
	RESET,
	MEMORY_GOES,
	MEMORY_COMES,
	WINDOW_ANSWER, // so many questions, rightly
	WINDOW_REFUSE,
	WINDOW_LIE, // any bytes
	RECORDS
};

struct run {
	struct gpu_rig g;
	struct remote remote;
	struct window window;
	struct fuzz_input in;
	bool high_is_there;
};

/* ---- the process's place ---- */

static struct process {
	struct part *part;
	struct renderer_message asked[ASKED_MAX];
	unsigned n, full; // so many messages it does not take
	struct renderer_ring *ring;
	int exported; // the last blob's file, or -1
	off_t exported_size;
	bool doomed;
} process = {.exported = -1};

int __wrap_part_init(struct part *p, struct loop *loop, struct nursery *n);
void __wrap_part_finish(struct part *p);
int __wrap_part_send(struct part *p, const void *bytes, size_t len, int fd);
void __wrap_part_kill(struct part *p, const char *why);
bool __wrap_part_restart(struct part *p);
int64_t __wrap_part_cpu_time(const struct part *p);

/* With a descriptor, which it may take, or -1. */
static void say(const void *bytes, size_t len, int fd)
{
	if (part_is_there(process.part) && !process.doomed)
		process.part->message(process.part, bytes, len, &fd);
	fd_close(&fd);
}

static void answer(const struct renderer_answer *a, int fd)
{
	say(a, sizeof(*a), fd);
}

static void begin(void)
{
	static const struct renderer_capset capset = {RENDERER_CAPSET, 2, 1, 8, "capset"};
	struct part *p = process.part;

	fd_close(&process.exported); // of what was said while there was none
	process =
		(struct process){.part = p, .exported = -1, .exported_size = process.exported_size};
	p->source.loop = p->loop;
	p->begun(p);
	say(&capset, sizeof(capset), -1);
	answer(&(struct renderer_answer){.what = RENDERER_READY}, -1);
}

static void let_go(void)
{
	if (process.ring)
		munmap(process.ring, RING_SIZE);
	process.ring = NULL;
	fd_close(&process.exported);
	process.n = 0;
	process.part->source.loop = NULL;
}

static void die(bool for_good)
{
	if (!part_is_there(process.part))
		return;
	let_go();
	process.doomed = false;
	process.part->died(process.part, for_good);
}

int __wrap_part_init(struct part *p, struct loop *loop, struct nursery *n)
{
	FUZZ_CHECK(!n);
	p->loop = loop;
	process.part = p;
	begin();
	return 0;
}

void __wrap_part_finish(struct part *p)
{
	FUZZ_CHECK(p == process.part);
	let_go();
}

static void take_hello(int fd)
{
	FUZZ_CHECK(!process.ring && fd >= 0);
	process.ring = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	FUZZ_CHECK(process.ring != MAP_FAILED);
}

static void check_bytes(const struct renderer_message *m, int fd)
{
	struct stat st;

	if (!m->bytes.size)
		return;
	if (!(m->bytes.at & RENDERER_NOT_IN_RING)) {
		FUZZ_CHECK(range_within(m->bytes.at, m->bytes.size, RENDERER_RING_BYTES));
		return;
	}
	FUZZ_CHECK(fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size >= m->bytes.size);
}

/* Each is whole, and comes in its order: as the inside would have it. */
int __wrap_part_send(struct part *p, const void *bytes, size_t len, int fd)
{
	struct renderer_message m;

	FUZZ_CHECK(len == sizeof(m));
	memcpy(&m, bytes, sizeof(m));
	FUZZ_CHECK(m.what < RENDERER_REQUESTS);
	if (!part_is_there(p) || process.doomed)
		return -ENOTCONN;
	if (process.full || process.n == ASKED_MAX) {
		process.full -= process.full > 0;
		return -ENOBUFS;
	}
	if (m.what == RENDERER_HELLO)
		take_hello(fd);
	else if (m.what == RENDERER_SUBMIT || m.what == RENDERER_BACKING_ATTACH
		|| m.what == RENDERER_BLOB)
		check_bytes(&m, fd);
	FUZZ_CHECK(process.ring);
	FUZZ_CHECK(!process.n || m.seq == process.asked[process.n - 1].seq + 1);
	process.asked[process.n++] = m;
	return 0;
}

void __wrap_part_kill(struct part *p, const char *why)
{
	(void)why;
	process.doomed = part_is_there(p);
}

bool __wrap_part_restart(struct part *p)
{
	if (!part_is_there(p) || process.doomed)
		return false;
	let_go();
	begin();
	return true;
}

int64_t __wrap_part_cpu_time(const struct part *p)
{
	(void)p;
	return 0;
}

/* ---- what it says ---- */

/* A file like that of a blob; what was given last time is smaller now. */
static int export_file(void)
{
	if (process.exported >= 0)
		FUZZ_CHECK(ftruncate(process.exported, process.exported_size / 2) == 0);
	fd_close(&process.exported);
	process.exported = memfd_create("blob", MFD_CLOEXEC);
	FUZZ_CHECK(process.exported >= 0);
	FUZZ_CHECK(ftruncate(process.exported, process.exported_size) == 0);
	return fcntl(process.exported, F_DUPFD_CLOEXEC, 0);
}

static void answer_some(unsigned n, uint32_t result)
{
	struct renderer_answer a = {.result = result};

	for (; n && process.n; n--) {
		const struct renderer_message m = process.asked[0];

		memmove(process.asked, process.asked + 1, --process.n * sizeof(m));
		if (m.ring_end)
			process.ring->consumed = m.ring_end;
		a.what = result                     ? RENDERER_DONE
			: m.what == RENDERER_EXPORT ? RENDERER_EXPORTED
			: m.fence                   ? RENDERER_FENCE
						    : RENDERER_DONE;
		a.seq = m.seq;
		a.ctx = m.ctx;
		a.ring = m.ring;
		answer(&a, a.what == RENDERER_EXPORTED ? export_file() : -1);
	}
}

static void say_anything(struct run *r)
{
	size_t len = fuzz_u16(&r->in) % (PART_MESSAGE_MAX + 1);
	const uint8_t *bytes = fuzz_take(&r->in, &len);

	say(bytes, len, -1);
}

/* About what it was asked last, a little before or after. */
static void lie(struct run *r)
{
	struct renderer_answer a = {.what = fuzz_u8(&r->in) % 7};
	uint8_t how;

	a.seq = r->remote.seq + (uint32_t)(int8_t)fuzz_u8(&r->in);
	how = fuzz_u8(&r->in);
	a.result = how & 1 ? fuzz_u32(&r->in) : 0x1200u + fuzz_u8(&r->in) % 8;
	a.ring = how & 2 ? fuzz_u8(&r->in) : RENDERER_GLOBAL;
	a.ctx = how & 4 ? fuzz_u8(&r->in) : 0;
	a.offset = how & 8 ? (uint64_t)fuzz_u32(&r->in) << fuzz_u8(&r->in) % 33 : 0;
	answer(&a, how & 16 ? export_file() : -1);
}

static void consume(struct run *r)
{
	const uint8_t how = fuzz_u8(&r->in);

	if (process.ring)
		process.ring->consumed = how & 1 ? (uint64_t)fuzz_u32(&r->in) << how % 32
						 : r->remote.ring.produced - how / 2;
}

static void process_record(struct run *r, enum record record)
{
	switch (record) {
	case ANSWER:
		answer_some(1 + fuzz_u8(&r->in), 0);
		break;
	case FAIL:
		answer_some(1, 0x1200u + fuzz_u8(&r->in) % 8);
		break;
	case SAY:
		say_anything(r);
		break;
	case LIE:
		lie(r);
		break;
	case CONSUME:
		consume(r);
		break;
	case FULL:
		process.full = fuzz_u8(&r->in) % 8;
		break;
	case DIE:
		die(fuzz_u8(&r->in) == 0);
		break;
	default:
		if (!part_is_there(process.part) && !r->remote.dead)
			begin();
		break;
	}
}

static void on_lost(struct remote *remote)
{
	gpu_3d_lost(&CONTAINER_OF(remote, struct run, remote)->g.gpu, remote);
}

/* ---- one input ---- */

/* The fields: where it is cut, room for the answer in words, how long, the bytes. */
static void submit(struct run *r, unsigned queue)
{
	struct rings_command c = {0};

	c.cut = fuzz_u8(&r->in);
	c.room = fuzz_u16(&r->in) % (RINGS_ROOM_MAX + 1);
	c.len = fuzz_u16(&r->in) % (RINGS_COMMAND_MAX + 1);
	c.bytes = fuzz_take(&r->in, &c.len);
	rings_submit(&r->g.rings, queue, &c);
}

static void memory_record(struct run *r, bool comes)
{
	if (comes && !r->high_is_there)
		rig_add_memory(&r->g.rings.rig, 1);
	else if (!comes && r->high_is_there)
		rig_remove_memory(&r->g.rings.rig, 1);
	r->high_is_there = comes;
}

static void window_record(struct run *r, enum record record)
{
	size_t n = 1 + fuzz_u8(&r->in);
	const uint8_t *bytes;

	if (record == WINDOW_LIE) {
		bytes = fuzz_take(&r->in, &n);
		window_lie(&r->window, bytes, n);
		return;
	}
	while (n && window_answer(&r->window, record == WINDOW_REFUSE))
		n--;
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
	case PEER_READ:
		peer_read(&r->g.peer, 1 + (size_t)fuzz_u16(&r->in));
		break;
	case PAUSE:
		rings_stop(&r->g.rings);
		rings_start(&r->g.rings);
		break;
	case RESET:
		gpu_rig_reset(&r->g);
		break;
	case MEMORY_GOES:
	case MEMORY_COMES:
		memory_record(r, record == MEMORY_COMES);
		break;
	case WINDOW_ANSWER:
	case WINDOW_REFUSE:
	case WINDOW_LIE:
		window_record(r, record);
		break;
	default:
		process_record(r, record);
		break;
	}
	if (process.doomed)
		die(false);
	rings_turn(&r->g.rings, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run r;
	uint8_t flags;

	r = (struct run){.in = {data, size},
		.high_is_there = true,
		.remote = {.lost = on_lost, .patience = INT64_MAX / 16}};
	flags = fuzz_u8(&r.in);
	process.exported_size = flags & FLAG_SMALL_FILES ? 4096 : 1 << 20;
	gmem_keep_fds = true;
	r.g.remote = &r.remote;
	gpu_rig_init(
		&r.g, flags & FLAG_EVENT_IDX ? BIT(VIRTIO_RING_F_EVENT_IDX) : 0, MAX_HOSTMEM, NULL);
	window_open(&r.window, &r.g.rings.rig, GPU_RIG_WINDOW);
	if (!(flags & FLAG_NO_PEER))
		gpu_rig_connect_peer(&r.g, UINT64_MAX);
	if (flags & FLAG_RING_FULL)
		r.remote.ring.produced = RENDERER_RING_BYTES - 512;
	for (unsigned i = 0; r.in.left && i < RECORDS_MAX; i++)
		run_record(&r);
	window_close(&r.window);
	gpu_rig_finish(&r.g);
	return 0;
}
