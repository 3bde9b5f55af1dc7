/* SPDX-License-Identifier: MIT */
/*
 * What it costs that virgl draws in a process of its own: the time from a command stream with a fence to
 * its answer, with --isolate=process and with --isolate=none.
 *
 *	bench-virgl [--rounds=N] build/gpu/virga-gpu
 *
 * Both run at once and take turns, so that what else the machine does hits both alike; of all round trips
 * the medians and quartiles are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/driver/daemon.h"
#include "tests/driver/frontend.h"
#include "tests/driver/gpu_3d.h"

enum { A_ROUND = 200, ROUNDS_MAX = 1000, WARM = 500, CTX = 1, PICTURE = 1, SIDE = 64, BGRX = 2 };
enum stream { NOTHING, CLEAR, STREAMS };
enum where { PROCESS, THREAD, WHERE };

static const char *const stream_names[] = {"empty stream and fence", "clear of 64x64 and fence"};
static const char *const options[] = {"--isolate=process", "--isolate=none"};

/* A daemon with a driver on it. */
struct rig {
	struct daemon_child child;
	struct guest guest;
	struct frontend frontend;
	struct drv_ring rings[2];
	struct gpu_driver gpu;
	uint8_t requests[STREAMS][256];
	size_t lengths[STREAMS];
	double *samples[STREAMS]; // in us
	unsigned n[STREAMS];
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-virgl: %s did not work\n", what);
	exit(1);
}

static void make_streams(struct rig *rig)
{
	static const uint32_t nothing[1]; // a word of virgl's that does nothing
	uint32_t words[VIRGL_CLEAR_WORDS], n = virgl_clear(words, PICTURE, BGRX, 0x123456);

	rig->lengths[NOTHING] = gpu_driver_stream(rig->requests[NOTHING], CTX, 1, nothing, 1);
	rig->lengths[CLEAR] = gpu_driver_stream(rig->requests[CLEAR], CTX, 1, words, n);
}

static void rig_start(struct rig *rig, const char *binary, const char *option)
{
	const char *args[] = {"--virgl", option, NULL};

	must(child_start_fd(&rig->child, binary, args) == 0, binary);
	frontend_adopt(&rig->frontend, child_take_fd(&rig->child));
	must(guest_init_flat(&rig->guest, 64ull << 20) == 0, "memory");
	for (unsigned i = 0; i < 2; i++)
		must(drv_ring_init(&rig->rings[i], &rig->guest, i ? 16 : 256,
			     DRV_EVENT_IDX | DRV_INDIRECT)
				== 0,
			"a ring");
	must(frontend_setup(&rig->frontend, &rig->guest, rig->rings, 2) == 0, "the start");
	gpu_driver_init(&rig->gpu, &rig->guest, &rig->rings[0], &rig->rings[1]);
	rig->gpu.indirect = true;
	must(gpu_driver_ctx_create(&rig->gpu, CTX) == VIRTIO_GPU_RESP_OK_NODATA, "CTX_CREATE");
	must(gpu_driver_create_3d(&rig->gpu, PICTURE, VIRGL_PICTURE(BGRX, SIDE, SIDE))
			== VIRTIO_GPU_RESP_OK_NODATA,
		"RESOURCE_CREATE_3D");
	must(gpu_driver_ctx_attach(&rig->gpu, CTX, PICTURE) == VIRTIO_GPU_RESP_OK_NODATA,
		"CTX_ATTACH_RESOURCE");
	make_streams(rig);
}

static void rig_stop(struct rig *rig)
{
	frontend_close(&rig->frontend);
	child_stop(&rig->child);
	for (unsigned i = 0; i < 2; i++)
		drv_ring_finish(&rig->rings[i]);
	guest_finish(&rig->guest);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void run(struct rig *rig, enum stream s, unsigned n, bool keep)
{
	for (unsigned i = 0; i < n; i++) {
		double begin = now_us();

		must(gpu_driver_run(&rig->gpu, rig->requests[s], rig->lengths[s])
				== VIRTIO_GPU_RESP_OK_NODATA,
			"SUBMIT_3D");
		if (keep)
			rig->samples[s][rig->n[s]++] = now_us() - begin;
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_table(struct rig *rigs)
{
	printf("%-26s %24s %24s %10s\n", "us, median (quartiles)", options[PROCESS],
		options[THREAD], "more");
	for (unsigned s = 0; s < STREAMS; s++) {
		double median[WHERE];

		printf("%-26s", stream_names[s]);
		for (unsigned w = 0; w < WHERE; w++) {
			double *v = rigs[w].samples[s];
			unsigned n = rigs[w].n[s];

			qsort(v, n, sizeof(*v), compare);
			median[w] = v[n / 2];
			printf(" %10.1f (%5.1f, %5.1f)", v[n / 2], v[n / 4], v[n * 3 / 4]);
		}
		printf(" %10.1f\n", median[PROCESS] - median[THREAD]);
	}
}

int main(int argc, char **argv)
{
	static struct rig rigs[WHERE];
	unsigned rounds = 50;

	if (argc == 3 && !strncmp(argv[1], "--rounds=", 9))
		rounds = (unsigned)strtoul(argv[1] + 9, NULL, 10);
	if ((argc != 2 && argc != 3) || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench-virgl [--rounds=N] BINARY\n");
		return 2;
	}
	for (unsigned w = 0; w < WHERE; w++) {
		rig_start(&rigs[w], argv[argc - 1], options[w]);
		for (unsigned s = 0; s < STREAMS; s++) {
			rigs[w].samples[s] = calloc((size_t)rounds * A_ROUND, sizeof(double));
			must(rigs[w].samples[s], "memory");
			run(&rigs[w], s, WARM, false);
		}
	}
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned s = 0; s < STREAMS; s++)
			for (unsigned w = 0; w < WHERE; w++)
				run(&rigs[(w + round) % WHERE], s, A_ROUND, true);
	print_table(rigs);
	for (unsigned w = 0; w < WHERE; w++)
		rig_stop(&rigs[w]);
	return 0;
}
