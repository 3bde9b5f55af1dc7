/* SPDX-License-Identifier: MIT */
/*
 * A front-end that may say anything, in any pieces and with any descriptors, to a small device or
 * to virtio-gpu; the memory that it gives is written to as a guest would, or is taken away.
 *
 * An input: a byte of flags, then records, each of a byte that says which and its fields.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/iov.h"
#include "fuzz.h"
#include "gpu/device.h"
#include "rig.h"

enum { QUEUES = 3, HELD_MAX = 64, KICKS = 4, RECORDS_MAX = 200, KEPT_FDS = 4 };

enum flags { FLAG_GPU = 1, FLAG_PIECES = 2, FLAG_MUTE = 4 };

enum record { MESSAGE, RAW, TURN, KICK, POKE, FINISH, CONFIG, TRUNCATE, RECONNECT, RECORDS };

enum fd_kind {
	FD_EVENT,
	FD_LOW,
	FD_HIGH,
	FD_KICK, // 4 that are kept
	FD_SHORT = FD_KICK + KICKS,
	FD_READ_ONLY,
	FD_SOCKET,
	FD_DEAD_SOCKET,
	FD_PIPE,
	FD_FULL_PIPE,
	FD_EPOLL,
	FD_NULL,
	FD_KINDS
};

/* ---- a small device ---- */

struct held {
	struct vq_req *req;
	unsigned queue;
};

struct stub {
	struct held held[HELD_MAX];
	unsigned n_held;
	struct gmem *mem;
	uint8_t config[VHOST_USER_MAX_CONFIG_SIZE];
};

static void check_request(const struct vq_req *req)
{
	FUZZ_CHECK(iov_size(vq_req_out(req), req->n_out) == req->out_len);
	FUZZ_CHECK(iov_size(vq_req_in(req), req->n_in) == req->in_len);
}

/* Some requests are answered at once, some later; half of those are answered in place. */
static void stub_request(void *dev, unsigned queue, struct vq_req *req)
{
	struct stub *s = dev;
	uint8_t first = 0;

	check_request(req);
	iov_read(vq_req_out(req), req->n_out, 0, &first, 1);
	if (first & 1 && s->n_held < HELD_MAX)
		s->held[s->n_held++] = (struct held){req, queue};
	else if (first & 2)
		vhu_finish_written(req, req->in_len);
	else
		vhu_finish(req, "an answer", sizeof("an answer"));
}

static void finish_held(struct stub *s, unsigned i)
{
	struct vq_req *req = s->held[i].req;

	s->held[i] = s->held[--s->n_held];
	FUZZ_CHECK(req->vq);
	vhu_finish(req, "late", sizeof("late"));
}

static void stub_queue_stop(void *dev, unsigned queue)
{
	struct stub *s = dev;

	for (unsigned i = s->n_held; i-- > 0;)
		if (s->held[i].queue == queue)
			finish_held(s, i);
}

static void stub_reset(void *dev)
{
	struct stub *s = dev;

	FUZZ_CHECK(s->n_held == 0);
}

static void stub_memory(void *dev, struct gmem *mem)
{
	struct stub *s = dev;

	FUZZ_CHECK(mem && mem->refs);
	s->mem = mem;
}

static size_t stub_get_config(void *dev, void *config)
{
	struct stub *s = dev;

	memcpy(config, s->config, sizeof(s->config));
	return sizeof(s->config);
}

static void stub_set_config(void *dev, uint32_t off, const void *bytes, uint32_t len)
{
	struct stub *s = dev;

	memcpy(s->config + off, bytes, len);
}

static const struct vhu_device stub_device = {
	.name = "stub",
	.n_queues = QUEUES,
	.features = 1,
	.protocol_features = BIT(VHOST_USER_PROTOCOL_F_STATUS),
	.iov_per_req = 4,
	.request = stub_request,
	.queue_stop = stub_queue_stop,
	.reset = stub_reset,
	.memory = stub_memory,
	.get_config = stub_get_config,
	.set_config = stub_set_config,
};

/* ---- one input ---- */

struct run {
	struct rig rig;
	struct stub stub;
	struct gpu_device gpu;
	struct fuzz_input in;
	uint8_t flags;
	int kicks[KICKS];
	int kept[KEPT_FDS]; // other ends, of the last few that were sent
	unsigned n_kept;
};

static void keep_fd(struct run *r, int fd)
{
	int *at = &r->kept[r->n_kept++ % KEPT_FDS];

	fd_close(at);
	*at = fd;
}

static int make_socket(struct run *r, bool dead)
{
	int pair[2];

	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	if (dead)
		fd_close(&pair[0]);
	else
		keep_fd(r, pair[0]);
	return pair[1];
}

static int make_pipe(struct run *r, bool full)
{
	static const char page[4096];
	int pair[2];

	FUZZ_CHECK(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
	while (full && write(pair[1], page, sizeof(page)) > 0)
		;
	FUZZ_CHECK(fcntl(pair[1], F_SETFL, 0) == 0);
	keep_fd(r, pair[0]);
	return pair[1];
}

static int make_short_memfd(void)
{
	int fd = memfd_create("short", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	return fd;
}

static int open_read_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A descriptor of this kind, the caller's. */
static int make_fd(struct run *r, unsigned kind)
{
	switch (kind) {
	case FD_LOW:
	case FD_HIGH:
		return dup(r->rig.memory[kind - FD_LOW].fd);
	case FD_SHORT:
		return make_short_memfd();
	case FD_READ_ONLY:
		return open_read_only(r->rig.memory[0].fd);
	case FD_SOCKET:
	case FD_DEAD_SOCKET:
		return make_socket(r, kind == FD_DEAD_SOCKET);
	case FD_PIPE:
	case FD_FULL_PIPE:
		return make_pipe(r, kind == FD_FULL_PIPE);
	case FD_EPOLL:
		return epoll_create1(EPOLL_CLOEXEC);
	case FD_NULL:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case FD_EVENT:
		return eventfd(1, EFD_CLOEXEC);
	default:
		return dup(r->kicks[kind - FD_KICK]);
	}
}

static void send_pieces(struct run *r, const uint8_t *m, size_t len, const int *fds, unsigned n)
{
	size_t first = r->flags & FLAG_PIECES ? 1 + r->in.left % 24 : len;

	if (first > len)
		first = len;
	rig_send(&r->rig, m, first, fds, n);
	if (first == len)
		return;
	rig_turn(&r->rig, 1);
	rig_send(&r->rig, m + first, len - first, NULL, 0);
}

/* The fields: request, flags, a wrong size if not 0, how many fds and their kinds, the payload. */
static void send_message(struct run *r)
{
	struct {
		struct vhost_user_header hdr;
		uint8_t payload[512];
	} m = {.hdr = {.request = fuzz_u8(&r->in)}};
	int fds[16];
	unsigned n;
	size_t len;

	m.hdr.flags = VHOST_USER_VERSION ^ fuzz_u8(&r->in);
	m.hdr.size = fuzz_u8(&r->in) * 0x01010101u;
	n = fuzz_u8(&r->in) % 16;
	for (unsigned i = 0; i < n; i++) {
		fds[i] = make_fd(r, fuzz_u8(&r->in) % FD_KINDS);
		FUZZ_CHECK(fds[i] >= 0);
	}
	len = fuzz_u16(&r->in) % sizeof(m.payload);
	len = fuzz_read(&r->in, m.payload, len);
	m.hdr.size ^= (uint32_t)len;
	send_pieces(r, (const uint8_t *)&m, sizeof(m.hdr) + len, fds, n);
	for (unsigned i = 0; i < n; i++)
		fd_close(&fds[i]);
	rig_turn(&r->rig, 1);
}

/* The fields: how long, a descriptor's kind or 0, the bytes. */
static void send_raw(struct run *r)
{
	size_t len = fuzz_u8(&r->in);
	const uint8_t kind = fuzz_u8(&r->in);
	const uint8_t *bytes = fuzz_take(&r->in, &len);
	int fd = kind ? make_fd(r, (kind - 1u) % FD_KINDS) : -1;

	rig_send(&r->rig, bytes, len, &fd, fd >= 0);
	fd_close(&fd);
}

static void kick(struct run *r)
{
	fd_signal(r->kicks[fuzz_u8(&r->in) % KICKS]);
	rig_turn(&r->rig, 1);
}

/* Writes to the guest's memory: which of the two, at which multiple of 8, what. */
static void poke(struct run *r)
{
	uint8_t *host = r->rig.memory[fuzz_u8(&r->in) % RIG_MEMORIES].host;
	size_t at = (size_t)fuzz_u16(&r->in) * 8 % (RIG_MEMORY_SIZE - 256), len = fuzz_u8(&r->in);
	const uint8_t *bytes = fuzz_take(&r->in, &len);

	if (len)
		memcpy(host + at, bytes, len);
}

/* A file that is short is not touched by us again: poke() does nothing then. */
static void truncate_memory(struct run *r)
{
	struct rig_memory *m = &r->rig.memory[fuzz_u8(&r->in) % RIG_MEMORIES];

	FUZZ_CHECK(ftruncate(m->fd, (off_t)(fuzz_u8(&r->in) % 64) * 4096) == 0);
	FUZZ_CHECK(mmap(m->host, RIG_MEMORY_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
		== m->host);
}

static void run_record(struct run *r)
{
	switch (fuzz_u8(&r->in) % RECORDS) {
	case MESSAGE:
		send_message(r);
		break;
	case RAW:
		send_raw(r);
		break;
	case TURN:
		rig_turn(&r->rig, fuzz_u8(&r->in) % 4);
		break;
	case KICK:
		kick(r);
		break;
	case POKE:
		poke(r);
		break;
	case FINISH:
		if (r->stub.n_held)
			finish_held(&r->stub, fuzz_u8(&r->in) % r->stub.n_held);
		break;
	case CONFIG:
		if (r->rig.vhu)
			vhu_config_changed(r->rig.vhu);
		break;
	case TRUNCATE:
		truncate_memory(r);
		break;
	case RECONNECT:
		rig_reconnect(&r->rig);
		break;
	}
}

static void start(struct run *r)
{
	static const struct gpu_config cfg = {.outputs = {{640, 480}},
		.n_outputs = 1,
		.max_hostmem = 1 << 20,
		.max_resources = 8};
	bool gpu = r->flags & FLAG_GPU;

	for (unsigned i = 0; i < KEPT_FDS; i++)
		r->kept[i] = -1;
	rig_init(&r->rig, gpu ? &gpu_vhu_device : &stub_device, gpu ? (void *)&r->gpu : &r->stub);
	for (unsigned i = 0; i < KICKS; i++)
		r->kicks[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	gpu_device_init(&r->gpu, &cfg);
	gpu_device_add_display(&r->gpu, display_qemu_create(r->rig.loop));
}

static void end(struct run *r)
{
	rig_leave(&r->rig);
	FUZZ_CHECK(r->stub.n_held == 0 && r->gpu.resources.n == 0);
	gpu_device_finish(&r->gpu);
	FUZZ_CHECK(r->gpu.resources.budget.used == 0);
	for (unsigned i = 0; i < KICKS; i++)
		fd_close(&r->kicks[i]);
	for (unsigned i = 0; i < KEPT_FDS; i++)
		fd_close(&r->kept[i]);
	rig_finish(&r->rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.in = {data, size}};

	r.flags = fuzz_u8(&r.in);
	start(&r);
	for (unsigned i = 0; r.in.left && i < RECORDS_MAX; i++) {
		run_record(&r);
		if (!(r.flags & FLAG_MUTE))
			rig_read(&r.rig);
	}
	end(&r);
	return 0;
}
