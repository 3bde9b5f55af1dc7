/* SPDX-License-Identifier: MIT */
/*
 * virga-gpu with a renderer that draws nothing and does as it is told, by the first word of each
 * command stream. It is what a guest could make of a library that it has taken over.
 */
#define _GNU_SOURCE
#include "stand_in.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/daemon.h"
#include "common/fd.h"
#include "gpu/inside.h"
#include "gpu/setup.h"

static struct inside inside;
static bool *doomed;      // shared by all that are started
static bool hold, let_go; // of fences

static uint32_t fine(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)in;
	(void)m;
	(void)fd;
	return 0;
}

static uint32_t create(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)fd;
	return inside_add(in, m->res, &m->texture) ? 0 : VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
}

/* ---- blobs ---- */

enum { PAGE = 4096, FILES = 512 };

static struct {
	uint32_t id, kind;
	uint64_t size;
	int fd;
} files[FILES];

static void forget_file(uint32_t id)
{
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].id == id && id) {
			close(files[i].fd);
			files[i].id = 0;
		}
}

static int make_file(uint32_t id, uint32_t kind, uint64_t size)
{
	const uint64_t skip = kind == BLOB_BEHIND ? PAGE : 0;
	int fd = memfd_create("stand-in", MFD_CLOEXEC);

	if (ftruncate(fd, (off_t)(kind == BLOB_SMALL ? size - PAGE : size + skip)) < 0)
		return -1;
	if (pwrite(fd, &id, sizeof(id), (off_t)skip) < 0)
		return -1;
	return fd;
}

static uint32_t blob(struct inside *in, const struct renderer_message *m, int *fd)
{
	static const struct gpu_texture none;
	unsigned i = 0;

	(void)fd;
	if (m->blob.id == BLOB_FAILS || !inside_add(in, m->res, &none))
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	while (i < FILES && files[i].id)
		i++;
	if (i == FILES || m->blob.mem == VIRTIO_GPU_BLOB_MEM_GUEST)
		return 0;
	files[i].id = m->res;
	files[i].kind = (uint32_t)m->blob.id;
	files[i].size = m->blob.size;
	files[i].fd = make_file(m->res, files[i].kind, m->blob.size);
	return files[i].fd < 0 ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY : 0;
}

static uint32_t give(struct inside *in, const struct renderer_message *m, unsigned i)
{
	struct renderer_answer a = {.map_info = 1};
	int ends[2] = {-1, -1};
	uint32_t r;

	if (files[i].kind == BLOB_NONE)
		return 0;
	if (files[i].kind == BLOB_BEHIND)
		a.offset = PAGE;
	if (files[i].kind == BLOB_FAR)
		a.offset = UINT64_MAX - PAGE + 1;
	if (files[i].kind == BLOB_PIPE && pipe(ends) < 0)
		return 0;
	if (files[i].kind == BLOB_LIE) {
		inside_answer(in, RENDERER_DONE, m->seq, 0);
		inside_export(in, m, &a, files[i].fd);
	}
	r = inside_export(in, m, &a, ends[0] < 0 ? files[i].fd : ends[0]);
	close(ends[0]);
	close(ends[1]);
	return r;
}

static uint32_t export_blob(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)fd;
	for (unsigned i = 0; i < FILES; i++)
		if (files[i].id == m->res)
			return give(in, m, i);
	return VIRTIO_GPU_RESP_ERR_UNSPEC;
}

static uint32_t unref(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res = inside_find(in, m->res);

	(void)fd;
	if (res)
		inside_remove(in, res);
	forget_file(m->res);
	return 0;
}

static uint32_t reset(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)m;
	(void)fd;
	for (unsigned i = 0; i < INSIDE_BUCKETS; i++)
		while (LIST_FIRST(&in->resources[i]))
			inside_remove(in, LIST_FIRST(&in->resources[i]));
	for (unsigned i = 0; i < FILES; i++)
		forget_file(files[i].id);
	return 0;
}

/* What it shows is grey. */
static uint32_t show(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct inside_resource *res = inside_find(in, m->res);

	(void)fd;
	if (!res || !res->buffer.map)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	for (uint32_t y = m->rect.y; y < m->rect.y + m->rect.height; y++)
		memset(res->buffer.map + (size_t)y * res->buffer.stride + m->rect.x * 4, 0x80,
			m->rect.width * 4);
	return 0;
}

static enum stand_in_dmabuf exports;

/* -1: none. */
static int make_picture(const struct gpu_texture *t, uint32_t stride)
{
	uint32_t pixel = STAND_IN_PIXEL, height = t->height - (exports == EXPORT_TOO_SMALL);
	int fd = exports == EXPORT_SOCKET ? socket(AF_UNIX, SOCK_STREAM, 0)
					  : fd_memfd("export", (uint64_t)stride * height);

	for (uint32_t i = 0; exports != EXPORT_SOCKET && i < stride / 4 * height; i++)
		if (pwrite(fd, &pixel, 4, i * 4) != 4)
			_exit(1);
	return fd;
}

static uint32_t dmabuf(struct inside *in, const struct renderer_message *m, int *fd)
{
	const struct inside_resource *res = inside_find(in, m->res);
	struct renderer_dmabuf e = {.what = RENDERER_DMABUF_IS,
		.seq = m->seq,
		.stride = res->texture.width * 4 + 64,
		.fourcc = exports == EXPORT_FOURCC ? 0x3231564e : DRM_FORMAT_ARGB8888,
		.modifier = exports == EXPORT_TILED ? I915_FORMAT_MOD_X_TILED : 0};
	_cleanup_fd_ int picture = make_picture(&res->texture, e.stride);

	(void)fd;
	if (exports == EXPORT_REFUSED)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (exports == EXPORT_LATE)
		inside_answer(in, RENDERER_DONE, m->seq, VIRTIO_GPU_RESP_ERR_UNSPEC);
	if (exports == EXPORT_NARROW)
		e.stride = res->texture.width * 4 - 4;
	if (exports == EXPORT_OF_OTHERS)
		e.seq += 1000;
	inside_dmabuf(in, &e, exports == EXPORT_NOTHING ? -1 : picture);
	if (exports == EXPORT_TWICE)
		inside_dmabuf(in, &e, picture);
	return 0;
}

/* ---- ways out: each is negative when it was refused ---- */

static long open_file(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long open_memory_of_parent(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	return open(path, O_RDWR);
}

static long make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long connect_its_own(void)
{
	const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};

	return connect(inside.sock, (const struct sockaddr *)&at, sizeof(at));
}

static long execute(void)
{
	return execl("/bin/true", "true", NULL);
}

static long execute_memory(void)
{
	static const char script[] = "#!/bin/true\n";
	char *const none[] = {NULL};
	int fd = memfd_create("script", 0);

	return write(fd, script, sizeof(script)) < 0 ? -1 : fexecve(fd, none, none);
}

static long start_process(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0);
}

static long trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long read_parent(void)
{
	char byte;
	const struct iovec to = {&byte, 1}, from = {(void *)(uintptr_t) "x", 1};

	return process_vm_readv(getppid(), &to, 1, &from, 1, 0);
}

static long write_parent(void)
{
	char byte = 'x';
	const struct iovec from = {&byte, 1}, to = {&byte, 1};

	return process_vm_writev(getppid(), &from, 1, &to, 1, 0);
}

static long kill_parent(void)
{
	return kill(getppid(), SIGCONT);
}

static long kill_everyone(void)
{
	return kill(-1, SIGCONT);
}

static long find_parent(void)
{
	return syscall(SYS_pidfd_open, getppid(), 0);
}

static long take_from_parent(void)
{
	return syscall(SYS_pidfd_getfd, inside.sock, 0, 0);
}

static long set_up_io_uring(void)
{
	char params[256] = {0};

	return syscall(SYS_io_uring_setup, 1, params);
}

static long load_bpf(void)
{
	char attr[128] = {0};

	return syscall(SYS_bpf, 0, attr, sizeof(attr));
}

static long catch_faults(void)
{
	return syscall(SYS_userfaultfd, 1 /* of user mode only */);
}

static long enter_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static long be_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long raise_limit(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	return setrlimit(RLIMIT_DATA, &none);
}

static uint32_t escape(uint32_t number)
{
	static long (*const ways[])(void) = {open_file, open_memory_of_parent, make_socket,
		connect_its_own, execute, execute_memory, start_process, trace_parent, read_parent,
		write_parent, kill_parent, kill_everyone, find_parent, take_from_parent,
		set_up_io_uring, load_bpf, catch_faults, enter_namespace, be_dumpable, raise_limit};

	if (number >= ARRAY_SIZE(ways))
		return STAND_IN_NO_WAY;
	return ways[number]() < 0 ? VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER : 0;
}

/* ---- what else it does ---- */

static uint32_t eat(void)
{
	const size_t bite = 64 << 20;

	for (uint64_t eaten = 0; eaten < STAND_IN_EATEN; eaten += bite)
		if (mmap(NULL, bite, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
			== MAP_FAILED)
			return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return 0;
}

static void watch(uint32_t gpa)
{
	unsigned hint = 0;
	struct iovec word;

	if (gmem_iov(inside.mem, &hint, gpa, sizeof(uint32_t), &word, 1) != 1)
		return;
	while (!*(volatile uint32_t *)word.iov_base)
		usleep(1000);
}

static void spin(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

static void lie(uint32_t seq)
{
	for (uint32_t i = 0; i < 200; i++) {
		inside_answer(&inside, RENDERER_DONE, seq - i, 0);
		inside_answer(&inside, RENDERER_DONE, seq + i, ~i);
		inside_answer(&inside, RENDERER_FENCE, i * 0x01234567, 0);
	}
	inside_answer(&inside, RENDERER_READY, 0, 0);
	inside_capset(&inside, &(struct renderer_capset){RENDERER_CAPSET, 7, 7, ~0u, {0}});
}

static uint32_t obey(const uint32_t *words, uint32_t n, const struct renderer_message *m)
{
	switch (n ? words[0] : 0) {
	case STAND_IN_SLEEP:
		usleep(words[1] * 1000);
		return 0;
	case STAND_IN_WATCH:
		watch(words[1]);
		return 0;
	case STAND_IN_WAIT:
		poll(&(struct pollfd){inside.sock, POLLIN, 0}, 1, -1);
		return 0;
	case STAND_IN_CRASH:
		raise(SIGKILL); // a SIGSEGV would have AddressSanitizer write pages
		return 0;
	case STAND_IN_END:
		_exit(0);
	case STAND_IN_FAIL:
		return words[1];
	case STAND_IN_GARBAGE:
		send(inside.sock, words, words[1], MSG_NOSIGNAL);
		return 0;
	case STAND_IN_LIE:
		lie(m->seq);
		return 0;
	case STAND_IN_RING:
		inside.ring->consumed = UINT64_MAX;
		((struct renderer_message *)(uintptr_t)m)->ring_end = UINT64_MAX;
		return 0;
	case STAND_IN_ESCAPE:
		return escape(words[1]);
	case STAND_IN_SPIN:
		spin();
		return 0;
	case STAND_IN_EAT:
		return eat();
	case STAND_IN_DOOM:
		*doomed = true;
		_exit(0);
	case STAND_IN_HOLD:
		hold = true;
		return 0;
	case STAND_IN_LET_GO:
		let_go = true;
		return 0;
	case STAND_IN_DMABUF:
		exports = words[1];
		return 0;
	case STAND_IN_SUM:
		for (uint32_t i = 1, sum = 0; i < n; i++)
			if (sum += words[i], i == n - 1)
				return sum ? VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER : 0;
		return 0;
	default:
		return 0;
	}
}

static uint32_t submit(struct inside *in, const struct renderer_message *m, int *fd)
{
	void *bytes = inside_bytes(in, m, *fd);
	uint32_t r = bytes ? obey(bytes, m->bytes.size / 4, m) : VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;

	inside_bytes_done(in, m, bytes);
	return r;
}

static inside_handler *const handlers[RENDERER_REQUESTS] = {
	[RENDERER_RESET] = reset,
	[RENDERER_CONTEXT_CREATE] = fine,
	[RENDERER_CONTEXT_DESTROY] = fine,
	[RENDERER_CONTEXT_ATTACH] = fine,
	[RENDERER_CONTEXT_DETACH] = fine,
	[RENDERER_CREATE] = create,
	[RENDERER_UNREF] = unref,
	[RENDERER_BLOB] = blob,
	[RENDERER_EXPORT] = export_blob,
	[RENDERER_BACKING_ATTACH] = fine,
	[RENDERER_BACKING_DETACH] = fine,
	[RENDERER_BUFFER] = inside_buffer,
	[RENDERER_SHOW] = show,
	[RENDERER_UPLOAD] = fine,
	[RENDERER_DMABUF] = dmabuf,
	[RENDERER_FINISH] = fine,
	[RENDERER_TO_HOST] = fine,
	[RENDERER_FROM_HOST] = fine,
	[RENDERER_SUBMIT] = submit,
};

/* Those that are held are the first ones; the last of a timeline stands for all of it. */
static void fence(const struct renderer_message *m)
{
	static struct renderer_message held[FILES];
	static unsigned n;

	if (hold) {
		hold = false;
		held[n++ % FILES] = *m;
		return;
	}
	if (let_go)
		while (n)
			n--, inside_fence(&inside, held[n].ctx, held[n].ring, held[n].seq);
	let_go = false;
	inside_fence(&inside, m->ctx, m->ring, m->seq);
}

/* As a library that compiles or loads much, behind its first words. Whole seconds of the processor's. */
static void begin_slowly(void)
{
	const char *seconds = getenv(STAND_IN_BEGINS);
	const clock_t until = seconds ? atoi(seconds) * CLOCKS_PER_SEC : 0;

	while (clock() < until)
		;
}

static int run(int sock, const struct part_inside *of)
{
	static const struct renderer_capset capset = {RENDERER_CAPSET, 2, 1, 8, "capset"};
	int r = inside_init(&inside, sock);

	if (r < 0 || *doomed || part_lock_in(of) < 0)
		return 1;
	inside_capset(&inside, &capset);
	begin_slowly();
	inside_answer(&inside, RENDERER_READY, 0, 1);
	do
		r = inside_turn(&inside, handlers, fence);
	while (r > 0);
	return 0;
}

static const struct part_kind stand_in = {
	.name = "stand-in", .run = run, .sandbox = {.makes_code = true}};

int main(int argc, char **argv)
{
	struct gpu_options g = GPU_OPTIONS_DEFAULT;
	struct options o = gpu_command_line(&g);
	static struct gpu_setup setup;
	struct loop *loop;
	int status = options_parse(&o, argc, argv);

	if (status >= 0)
		return status;
	doomed = mmap(
		NULL, sizeof(*doomed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (doomed == MAP_FAILED)
		return EXIT_RUNTIME;
	loop = daemon_loop();
	g.offers.virgl = true;
	if (getenv(STAND_IN_PAGE))
		g.device.page = (uint32_t)atoi(getenv(STAND_IN_PAGE));
	status = gpu_setup_begin(&setup, loop, &o, &g, &stand_in);
	if (status == EXIT_OK)
		status = daemon_serve(loop, &o, &setup.gpu.vhu_device, &setup.gpu);
	gpu_setup_finish(&setup);
	loop_destroy(loop);
	return status;
}
