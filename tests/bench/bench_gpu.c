/* SPDX-License-Identifier: MIT */
/*
 * Measures vhost-user gpu back-ends side by side, each given as NAME=BINARY and started with
 * --fd=N:
 *
 *	bench-gpu [--rounds=N] virga=build/gpu/virga-gpu contrib=/path/vhost-user-gpu
 *
 * The back-ends take turns within each round, so that what else the machine does hits all alike;
 * what is printed are medians over the rounds, and each back-end's ratio to the first.
 *
 * With --requests=N it sends so many lone requests to the one back-end that is named and ends: for
 * counting instructions or system calls from outside.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/driver/daemon.h"
#include "tests/driver/display.h"
#include "tests/driver/frontend.h"
#include "tests/driver/gpu.h"

enum {
	BACKENDS_MAX = 8,
	ROUNDS_MAX = 101,
	RING = 256,
	WIDTH = 1920,
	HEIGHT = 1080,
	FRAME_BYTES = WIDTH * HEIGHT * 4,
	PAGE = 4096,
	LONE = 2000, // requests of a round, one after another
	DEPTH = 32,
	PIPELINED_REQUESTS = 20000, // of them DEPTH under way
	TRANSFERS = 20,             // of a whole frame
	FRAMES = 40,                // flushed to the display
};

enum metric { ROUND_TRIP, PIPELINED, TRANSFER, FRAMES_SHOWN, FRAME_CPU, METRICS };

static const struct {
	const char *name, *unit;
	bool more_is_better;
} metrics[METRICS] = {
	[ROUND_TRIP] = {"round trip, lone request", "us", false},
	[PIPELINED] = {"pipelined requests, depth 32", "1000/s", true},
	[TRANSFER] = {"transfer 1920x1080", "GB/s", true},
	[FRAMES_SHOWN] = {"flushed 1920x1080 frames", "1/s", true},
	[FRAME_CPU] = {"back-end's time for a frame", "us", false},
};

struct backend {
	const char *name, *binary;
	double samples[METRICS][ROUNDS_MAX];
};

/* One back-end, running, with a driver on it. */
struct rig {
	struct daemon_child child;
	struct guest guest;
	struct frontend frontend;
	struct drv_ring rings[2];
	struct gpu_driver gpu;
	uint8_t *backing; // of resource 1
	int display;      // our end of the display's socket
	pthread_t looker;
	uint64_t pixels;     // bytes of them that the looker has read
	atomic_ulong frames; // that these make whole
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(int ok, const char *what, int error)
{
	if (ok)
		return;
	fprintf(stderr, "bench-gpu: %s: %s\n", what, error < 0 ? strerror(-error) : "refused");
	exit(1);
}

/* ---- the display: reads and answers as QEMU does, on a thread of its own ---- */

static bool read_all(int fd, void *buf, size_t len)
{
	ssize_t n;

	for (; len; len -= (size_t)n, buf = (char *)buf + n) {
		n = recv(fd, buf, len, 0);
		if (n <= 0)
			return false;
	}
	return true;
}

static bool answer(int fd, const struct vhost_user_gpu_header *h, const void *payload, uint32_t len)
{
	struct vhost_user_gpu_header r = {h->request, VHOST_USER_GPU_REPLY_MASK, len};

	return send(fd, &r, sizeof(r), MSG_NOSIGNAL) == (ssize_t)sizeof(r)
		&& send(fd, payload, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* A frame may come in several updates. */
static void count_pixels(struct rig *rig, uint32_t size)
{
	rig->pixels += size - sizeof(struct vhost_user_gpu_update);
	atomic_store(&rig->frames, rig->pixels / FRAME_BYTES);
}

static void *look(void *arg)
{
	struct rig *rig = arg;
	struct virtio_gpu_resp_display_info info = {0};
	struct vhost_user_gpu_header h;
	uint64_t features = 0;

	while (read_all(rig->display, &h, sizeof(h))) {
		uint8_t *payload = malloc(h.size + 1); // QEMU allocates for each message, too
		bool ok = payload && read_all(rig->display, payload, h.size);

		free(payload);
		if (ok && h.request == VHOST_USER_GPU_GET_PROTOCOL_FEATURES)
			ok = answer(rig->display, &h, &features, sizeof(features));
		else if (ok && h.request == VHOST_USER_GPU_GET_DISPLAY_INFO)
			ok = answer(rig->display, &h, &info, sizeof(info));
		else if (ok && h.request == VHOST_USER_GPU_UPDATE)
			count_pixels(rig, h.size);
		if (!ok)
			break;
	}
	return NULL;
}

static void attach_display(struct rig *rig)
{
	int pair[2], r;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "socketpair", -errno);
	r = frontend_gpu_set_socket(&rig->frontend, pair[1]);
	must(r == 0, "GPU_SET_SOCKET", r);
	close(pair[1]);
	rig->display = pair[0];
	must(pthread_create(&rig->looker, NULL, look, rig) == 0, "thread", 0);
}

/* ---- bringing one up ---- */

/* Backing in single pages, as a guest's are: every second one of a range, so that none adjoin. */
static void make_picture(struct rig *rig)
{
	const uint32_t pages = (FRAME_BYTES + PAGE - 1) / PAGE;
	struct virtio_gpu_mem_entry *e = calloc(pages, sizeof(*e));
	uint64_t at = guest_alloc_keep(&rig->guest, 2ull * pages * PAGE, PAGE);
	int r;

	must(e && at != GUEST_NOMEM, "guest memory", -ENOMEM);
	for (uint32_t i = 0; i < pages; i++)
		e[i] = (struct virtio_gpu_mem_entry){.addr = at + 2ull * i * PAGE, .length = PAGE};
	r = gpu_driver_create_2d(&rig->gpu, 1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, WIDTH, HEIGHT);
	must(r == VIRTIO_GPU_RESP_OK_NODATA, "RESOURCE_CREATE_2D", r);
	r = gpu_driver_attach(&rig->gpu, 1, e, pages);
	must(r == VIRTIO_GPU_RESP_OK_NODATA, "RESOURCE_ATTACH_BACKING", r);
	rig->backing = guest_ptr(&rig->guest, at, 2ull * pages * PAGE);
	memset(rig->backing, 0x55, 2ull * pages * PAGE);
	free(e);
}

static void rig_start(struct rig *rig, const struct backend *b)
{
	int r;

	memset(rig, 0, sizeof(*rig));
	r = child_start_fd(&rig->child, b->binary, NULL);
	must(r == 0, b->binary, r);
	frontend_adopt(&rig->frontend, child_take_fd(&rig->child));
	must(guest_init_flat(&rig->guest, 64ull << 20) == 0, "guest memory", -ENOMEM);
	for (unsigned i = 0; i < 2; i++) {
		r = drv_ring_init(
			&rig->rings[i], &rig->guest, i ? 16 : RING, DRV_EVENT_IDX | DRV_INDIRECT);
		must(r == 0, "ring", r);
	}
	r = frontend_negotiate(&rig->frontend, FRONTEND_FEATURES | FRONTEND_DEVICE_FEATURES,
		1ull << VHOST_USER_PROTOCOL_F_CONFIG | 1ull << VHOST_USER_PROTOCOL_F_MQ);
	must(r == 0, "negotiation", r);
	attach_display(rig);
	r = frontend_set_features(&rig->frontend, rig->frontend.features);
	must(r == 0, "SET_FEATURES", r);
	r = frontend_set_memory(&rig->frontend, &rig->guest);
	must(r == 0, "memory", r);
	for (unsigned i = 0; i < 2; i++) {
		r = frontend_start_ring(&rig->frontend, i, &rig->rings[i]);
		must(r == 0, "ring start", r);
	}
	gpu_driver_init(&rig->gpu, &rig->guest, &rig->rings[0], &rig->rings[1]);
	rig->gpu.indirect = true;
	make_picture(rig);
}

static void rig_stop(struct rig *rig)
{
	frontend_close(&rig->frontend);
	shutdown(rig->display, SHUT_RDWR);
	pthread_join(rig->looker, NULL);
	close(rig->display);
	child_wait(&rig->child, 10000); // a back-end ends when its front-end has left
	child_kill(&rig->child);
	drv_ring_finish(&rig->rings[0]);
	drv_ring_finish(&rig->rings[1]);
	guest_finish(&rig->guest);
}

/* ---- what is measured ---- */

/* A flush of a resource that is nowhere shown: the smallest request that both ends must handle. */
static struct virtio_gpu_resource_flush small_request(void)
{
	return (struct virtio_gpu_resource_flush){.hdr.type = VIRTIO_GPU_CMD_RESOURCE_FLUSH,
		.r = {.width = 1, .height = 1},
		.resource_id = 1};
}

static void lone_requests(struct rig *rig, unsigned n)
{
	struct virtio_gpu_resource_flush req = small_request();

	for (unsigned i = 0; i < n; i++) {
		int r = gpu_driver_run(&rig->gpu, &req, sizeof(req));

		must(r == VIRTIO_GPU_RESP_OK_NODATA, "RESOURCE_FLUSH", r);
	}
}

static double measure_round_trip(struct rig *rig)
{
	double begin = now();

	lone_requests(rig, LONE);
	return (now() - begin) * 1e6 / LONE;
}

/* DEPTH requests are always under way: what has returned is sent again, in one batch. */
static double measure_pipelined(struct rig *rig)
{
	struct drv_ring *ring = &rig->rings[0];
	struct virtio_gpu_resource_flush req = small_request();
	struct drv_seg segs[DEPTH][2];
	unsigned sent = 0, done = 0;
	struct drv_used used;
	double begin;

	for (uintptr_t i = 0; i < DEPTH; i++) {
		segs[i][0] = (struct drv_seg){guest_alloc(&rig->guest, 64, 64), sizeof(req), false};
		segs[i][1] = (struct drv_seg){guest_alloc(&rig->guest, 64, 64), 24, true};
		guest_write(&rig->guest, segs[i][0].gpa, &req, sizeof(req));
		drv_ring_add(ring, segs[i], 2, (void *)i);
		sent++;
	}
	begin = now();
	while (done < PIPELINED_REQUESTS) {
		int r = drv_ring_submit(ring);

		must(r >= 0, "kick", r);
		r = drv_ring_wait(ring, 10000);
		must(r == 0, "pipelined requests", r);
		while (drv_ring_reap(ring, &used) == 1) {
			done++;
			if (sent++ < PIPELINED_REQUESTS)
				drv_ring_add(ring, segs[(uintptr_t)used.cookie], 2, used.cookie);
		}
	}
	begin = now() - begin;
	guest_rewind(&rig->guest);
	return PIPELINED_REQUESTS / begin / 1e3;
}

static double measure_transfer(struct rig *rig)
{
	double begin = now();

	for (unsigned i = 0; i < TRANSFERS; i++) {
		int r = gpu_driver_transfer(&rig->gpu, 1, GPU_RECT(0, 0, WIDTH, HEIGHT), 0);

		must(r == VIRTIO_GPU_RESP_OK_NODATA, "TRANSFER_TO_HOST_2D", r);
	}
	return (double)TRANSFERS * FRAME_BYTES / (now() - begin) / 1e9;
}

/* Processor time of the back-end's main thread, in ns. */
static double cpu_ns(const struct rig *rig)
{
	char path[64];
	double ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)rig->child.pid);
	f = fopen(path, "r");
	must(f && fscanf(f, "%lf", &ns) == 1, path, -errno);
	fclose(f);
	return ns;
}

/* Frames that arrived whole at the display's end, the guest waiting for each flush. */
static double measure_frames(struct rig *rig)
{
	unsigned long first;
	double begin;
	int r = gpu_driver_set_scanout(&rig->gpu, 0, 1, GPU_RECT(0, 0, WIDTH, HEIGHT));

	must(r == VIRTIO_GPU_RESP_OK_NODATA, "SET_SCANOUT", r);
	first = atomic_load(&rig->frames);
	begin = now();
	for (unsigned i = 0; i < FRAMES; i++) {
		r = gpu_driver_flush(&rig->gpu, 1, GPU_RECT(0, 0, WIDTH, HEIGHT));
		must(r == VIRTIO_GPU_RESP_OK_NODATA, "RESOURCE_FLUSH", r);
	}
	while (atomic_load(&rig->frames) - first < FRAMES && now() - begin < 30)
		usleep(100);
	return (double)(atomic_load(&rig->frames) - first) / (now() - begin);
}

/* A plain memcpy of the same pages into a fresh picture: what a transfer could reach. */
static double measure_memcpy(void)
{
	uint8_t *from = malloc(2ull * FRAME_BYTES), *to = malloc(FRAME_BYTES + PAGE);
	double begin;

	must(from && to, "memory", -ENOMEM);
	memset(from, 1, 2ull * FRAME_BYTES);
	memset(to, 2, FRAME_BYTES + PAGE);
	begin = now();
	for (unsigned i = 0; i < TRANSFERS; i++)
		for (size_t at = 0; at + PAGE <= FRAME_BYTES; at += PAGE)
			memcpy(to + at, from + 2 * at, PAGE);
	begin = now() - begin;
	free(from);
	free(to);
	return (double)TRANSFERS * FRAME_BYTES / begin / 1e9;
}

static void run_round(struct backend *b, unsigned round)
{
	static struct rig rig;
	double cpu;

	rig_start(&rig, b);
	lone_requests(&rig, 200); // warm
	measure_transfer(&rig);
	b->samples[ROUND_TRIP][round] = measure_round_trip(&rig);
	b->samples[PIPELINED][round] = measure_pipelined(&rig);
	b->samples[TRANSFER][round] = measure_transfer(&rig);
	cpu = cpu_ns(&rig);
	b->samples[FRAMES_SHOWN][round] = measure_frames(&rig);
	b->samples[FRAME_CPU][round] = (cpu_ns(&rig) - cpu) / 1e3 / FRAMES;
	rig_stop(&rig);
}

/* ---- the table ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2];
}

static void print_table(struct backend *b, unsigned n, unsigned rounds, double copy)
{
	printf("%-30s %8s", "medians", "");
	for (unsigned i = 0; i < n; i++)
		printf(" %12s%s", b[i].name, i ? "  better by" : "");
	putchar('\n');
	for (unsigned m = 0; m < METRICS; m++) {
		double first = median(b[0].samples[m], rounds);

		printf("%-30s %8s %12.2f", metrics[m].name, metrics[m].unit, first);
		for (unsigned i = 1; i < n; i++) {
			double other = median(b[i].samples[m], rounds);

			printf(" %12.2f %10.2fx", other,
				metrics[m].more_is_better ? first / other : other / first);
		}
		putchar('\n');
	}
	printf("%-30s %8s %12.2f  (transfer reaches %.2f of it)\n", "memcpy of the same pages",
		"GB/s", copy, median(b[0].samples[TRANSFER], rounds) / copy);
}

static int usage(void)
{
	fprintf(stderr, "usage: bench-gpu [--rounds=N] [--requests=N] NAME=BINARY...\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct backend backends[BACKENDS_MAX];
	static double copies[ROUNDS_MAX];
	unsigned n = 0, rounds = 7, requests = 0;

	for (int i = 1; i < argc; i++) {
		char *equals = strchr(argv[i], '=');

		if (!strncmp(argv[i], "--rounds=", 9))
			rounds = (unsigned)atoi(argv[i] + 9);
		else if (!strncmp(argv[i], "--requests=", 11))
			requests = (unsigned)atoi(argv[i] + 11);
		else if (equals && *argv[i] != '-' && n < BACKENDS_MAX) {
			*equals = '\0';
			backends[n++] = (struct backend){.name = argv[i], .binary = equals + 1};
		} else
			return usage();
	}
	if (!n || !rounds || rounds > ROUNDS_MAX)
		return usage();
	if (requests) {
		static struct rig rig;

		rig_start(&rig, &backends[0]);
		lone_requests(&rig, requests);
		rig_stop(&rig);
		return 0;
	}
	for (unsigned r = 0; r < rounds; r++) {
		copies[r] = measure_memcpy();
		for (unsigned i = 0; i < n; i++)
			run_round(&backends[i], r);
		fprintf(stderr, "\rround %u of %u", r + 1, rounds);
	}
	fputc('\n', stderr);
	print_table(backends, n, rounds, median(copies, rounds));
	return 0;
}
