/* SPDX-License-Identifier: MIT */
/*
 * Decodes a clip by a stream's part, or by a pipeline of GStreamer's of the same elements; tests/bench/video
 * calls it and compares.
 *
 *	bench-video make FILE DESCRIPTION             a clip
 *	bench-video native FILE CAPS ELEMENTS FORMAT  in a pipeline; FORMAT "": as it is decoded
 *	bench-video part|thread FILE CODEC ELEMENT FORMAT [N]
 *	                                              by N streams at once (1), each all of it
 *	bench-video open N                            how long N streams take to open
 *
 * The last line is "PICTURES WALL-MS CPU-MS": of the pipeline's process; of the parts', with what the one
 * that asks used, and a last word: KiB of memory of their own that the largest part has at the end.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <drm_fourcc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "device/engine_clip.h"
#include "device/engine_rig.h"
#include "video/gst.h"

static double ms(void)
{
	return (double)loop_now() / 1e6;
}

static double own_cpu_ms(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3
		+ (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

struct use {
	double cpu_ms;
	unsigned long memory_kib;
};

static double cpu_ms_of(int pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof(line), f))
		sscanf(strrchr(line, ')') + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
	if (f)
		fclose(f);
	return (double)(user + system) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

/* Of its own: what it has mapped of the guest's is not. */
static unsigned long memory_kib_of(int pid)
{
	unsigned long kib = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Of all parts, the processor, and of the largest, the memory. 0: they are threads. */
static struct use use_of_parts(void)
{
	struct use all = {0};
	char path[64];
	int pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", rig_nursery.pid, rig_nursery.pid);
	f = fopen(path, "r");
	while (f && fscanf(f, "%d", &pid) == 1) {
		unsigned long kib = memory_kib_of(pid);

		all.cpu_ms += cpu_ms_of(pid);
		if (kib > all.memory_kib)
			all.memory_kib = kib;
	}
	if (f)
		fclose(f);
	return all;
}

/* ---- clips in files: sizes and bytes ---- */

static int make(const char *file, const char *description)
{
	FILE *f = fopen(file, "w");
	struct clip c = {0};

	clip_begin();
	clip_add(&c, description);
	for (unsigned i = 0; f && i < c.n; i++) {
		fwrite(&c.units[i].size, sizeof(c.units[i].size), 1, f);
		fwrite(c.units[i].bytes, 1, c.units[i].size, f);
	}
	printf("%u\n", c.n);
	return !f || fclose(f);
}

static void load(struct clip *c, const char *file)
{
	FILE *f = fopen(file, "r");
	size_t size;

	while (f && fread(&size, sizeof(size), 1, f) == 1) {
		struct clip_unit *u;

		c->units = realloc(c->units, (c->n + 1) * sizeof(*c->units));
		u = &c->units[c->n];
		*u = (struct clip_unit){malloc(size), size, c->n * 33333333ull};
		if (fread(u->bytes, 1, size, f) != size)
			break;
		c->n++;
	}
	if (f)
		fclose(f);
}

/* ---- both ways ---- */

static int native(const char *file, const char *caps, const char *elements, const char *format)
{
	struct clip c = {0};
	double wall, cpu;
	unsigned n;

	load(&c, file);
	clip_begin();
	n = clip_run(&c, caps, elements, format, &wall, &cpu);
	printf("%u %.1f %.1f\n", n, wall, cpu);
	return n == 0;
}

enum { STREAMS_MAX = 4 };

static unsigned decode(struct rig *r, unsigned n, const struct clip *c)
{
	unsigned pictures = 0;

	for (unsigned i = 0; i < c->n; i++)
		for (unsigned k = 0; k < n; k++)
			rig_feed(&r[k], c->units[i].bytes, c->units[i].size, i);
	for (unsigned k = 0; k < n; k++) {
		if (rig_drain(&r[k]))
			return 0;
		pictures += r[k].n_pictures;
	}
	return pictures;
}

/* words: FILE CODEC ELEMENT FORMAT */
static int part(bool thread, char **words, unsigned n)
{
	struct rig r[STREAMS_MAX] = {0};
	struct clip c = {0};
	unsigned pictures;
	struct use use;
	double wall, cpu;

	if (n < 1 || n > STREAMS_MAX)
		return 2;
	load(&c, words[0]);
	rig_begin(GST_PART, thread);
	for (unsigned i = 0; i < n; i++) {
		r[i] = (struct rig){
			.fourcc = !strcmp(words[3], "NV12") ? DRM_FORMAT_NV12 : DRM_FORMAT_YUV420,
			.memory = RIG_PAGES,
			.used = (uint64_t)i << 26,
			.pixels_queued = true,
			.n_pixels = 4,
			.unread = true};
		rig_open(&r[i], (uint32_t)atoi(words[1]), words[2]);
	}
	wall = ms();
	cpu = own_cpu_ms() + use_of_parts().cpu_ms;
	pictures = decode(r, n, &c);
	wall = ms() - wall;
	use = use_of_parts();
	printf("%u %.1f %.1f %lu\n", pictures, wall, own_cpu_ms() + use.cpu_ms - cpu,
		use.memory_kib);
	for (unsigned i = 0; i < n; i++)
		rig_close(&r[i]);
	rig_end();
	return pictures == 0;
}

static int open_streams(unsigned n)
{
	double begin = ms(), first = 0;

	rig_begin(GST_PART, false);
	for (unsigned i = 0; i <= n; i++) {
		struct rig r = {.fourcc = DRM_FORMAT_NV12};

		rig_open(&r, ENGINE_H264, "");
		rig_close(&r);
		if (i == 0) {
			first = ms() - begin;
			begin = ms();
		}
	}
	printf("the first %.1f ms, others %.2f ms each\n", first, (ms() - begin) / n);
	rig_end();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "make"))
		return make(argv[2], argv[3]);
	if (argc == 6 && !strcmp(argv[1], "native"))
		return native(argv[2], argv[3], argv[4], argv[5]);
	if ((argc == 6 || argc == 7) && (!strcmp(argv[1], "part") || !strcmp(argv[1], "thread")))
		return part(argv[1][0] == 't', argv + 2, argc == 7 ? (unsigned)atoi(argv[6]) : 1);
	if (argc == 3 && !strcmp(argv[1], "open"))
		return open_streams((unsigned)atoi(argv[2]));
	return 2;
}
