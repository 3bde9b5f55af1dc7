/* SPDX-License-Identifier: MIT */
/*
 * Decodes a clip by a stream's part, or by a pipeline of GStreamer's of the same elements; tests/bench/video
 * calls it and compares.
 *
 *	bench-video make FILE DESCRIPTION             a clip
 *	bench-video native FILE CAPS ELEMENTS FORMAT  in a pipeline; FORMAT "": as it is decoded
 *	bench-video part|thread FILE CODEC ELEMENT FORMAT
 *	bench-video open N                            how long N streams take to open
 *
 * The last line is "PICTURES WALL-MS CPU-MS": of the pipeline's process; of the part's, with what the one
 * that asks used.
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

/* Of the only part. 0: it is a thread. */
static double part_cpu_ms(void)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024] = "";
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", rig_nursery.pid, rig_nursery.pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%d", &pid) != 1)
		return 0;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	fclose(f);
	sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		&user, &system);
	return (double)(user + system) * 1e3 / (double)sysconf(_SC_CLK_TCK);
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

static int part(
	bool thread, const char *file, uint32_t codec, const char *element, const char *format)
{
	struct rig r = {.fourcc = !strcmp(format, "NV12") ? DRM_FORMAT_NV12 : DRM_FORMAT_YUV420,
		.memory = RIG_PAGES,
		.pixels_queued = true,
		.n_pixels = 4,
		.unread = true};
	struct clip c = {0};
	double wall, cpu;

	load(&c, file);
	rig_begin(GST_PART, thread);
	rig_open(&r, codec, element);
	wall = ms();
	cpu = own_cpu_ms() + part_cpu_ms();
	for (unsigned i = 0; i < c.n; i++)
		rig_feed(&r, c.units[i].bytes, c.units[i].size, i);
	if (rig_drain(&r))
		return 1;
	printf("%u %.1f %.1f\n", r.n_pictures, ms() - wall, own_cpu_ms() + part_cpu_ms() - cpu);
	rig_close(&r);
	rig_end();
	return 0;
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
	if (argc == 6 && (!strcmp(argv[1], "part") || !strcmp(argv[1], "thread")))
		return part(argv[1][0] == 't', argv[2], (uint32_t)atoi(argv[3]), argv[4], argv[5]);
	if (argc == 3 && !strcmp(argv[1], "open"))
		return open_streams((unsigned)atoi(argv[2]));
	return 2;
}
