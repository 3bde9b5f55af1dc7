/* SPDX-License-Identifier: MIT */
/*
 * Frames as files: `scanout0-000001.png` and so on, one for each frame that differs from the one
 * before, none left out, and a line on stdout for each:
 *
 *	scanout=0 frame=1 size=1280x800 crc=1c291ca3
 *
 * The CRC is that of zlib over the picture's bytes R, G, B, row by row, as libpng would read them
 * back. A thread of its own writes the files; the flush is done when its file is there. Frames are
 * copied ahead of it, up to COPIES_MAX bytes: a flush beyond them waits, and is copied when its
 * turn comes. A driver that does not wait for its flushes may have drawn the next frame by then.
 */
#define LOG_TOPIC "display"
#include "display.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <png.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/bytes.h"
#include "common/dbuf.h"
#include "common/log.h"
#include "common/mailbox.h"
#include "device.h"
#include "pixels.h"

enum { COPIES_MAX = 256 << 20, NAME_LEN = 48 };

/* One frame on its way to a file. */
struct job {
	TAILQ_ENTRY(job) link; // display_png.waiting
	unsigned scanout;
	struct gpu_frame frame; // a reference, until it is copied
	struct gpu_cmd *cmd;    // NULL: its queue has stopped
	uint32_t *pixels;       // the copy: x8r8g8b8, rows packed
	bool quit;              // the last job
};

struct display_png {
	struct display display;
	struct mailbox to_writer, from_writer;
	struct loop_source done;
	pthread_t thread;
	bool started;
	TAILQ_HEAD(, job) waiting, writing;
	unsigned n_writing;
	size_t copied;                                    // bytes, of all that are copied
	struct gpu_frame frames[VIRTIO_GPU_MAX_SCANOUTS]; // buf: a reference; NULL: off
	/* The writer's: */
	int dir;
	struct {
		unsigned frame;
		uint32_t width, height;
		uLong crc;
	} last[VIRTIO_GPU_MAX_SCANOUTS];
	bool failed; // said once
};

static struct display_png *of(struct display *d)
{
	return CONTAINER_OF(d, struct display_png, display);
}

/* ---- the writer's thread ---- */

/* Turns x8r8g8b8 words into bytes R, G, B in place and returns their CRC. */
static uLong to_rgb(uint32_t *pixels, size_t n)
{
	uint8_t *to = (uint8_t *)pixels;

	for (size_t i = 0; i < n; i++) {
		uint32_t p = pixels[i];

		*to++ = (uint8_t)(p >> 16);
		*to++ = (uint8_t)(p >> 8);
		*to++ = (uint8_t)p;
	}
	return crc32_z(crc32_z(0, NULL, 0), (const uint8_t *)pixels, n * 3);
}

static bool encode(FILE *f, const uint8_t *rgb, uint32_t width, uint32_t height)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;

	if (!info || setjmp(png_jmpbuf(png))) {
		png_destroy_write_struct(&png, &info);
		return false;
	}
	png_init_io(png, f);
	png_set_compression_level(png, 1);
	png_set_filter(png, 0, PNG_FILTER_SUB);
	png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (uint32_t y = 0; y < height; y++)
		png_write_row(png, rgb + (size_t)y * width * 3);
	png_write_end(png, NULL);
	png_destroy_write_struct(&png, &info);
	return true;
}

/* Under another name until it is whole: whoever watches the folder sees whole pictures only. */
static bool write_file(int dir, const char *name, const uint8_t *rgb, uint32_t w, uint32_t h)
{
	char part[NAME_LEN + 8];
	bool ok = false;
	FILE *f;
	int fd;

	snprintf(part, sizeof(part), ".%s.part", name);
	fd = openat(dir, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	f = fd < 0 ? NULL : fdopen(fd, "wb");
	if (f) {
		ok = encode(f, rgb, w, h);
		ok = fclose(f) == 0 && ok;
	}
	if (ok && renameat(dir, part, dir, name) == 0)
		return true;
	unlinkat(dir, part, 0);
	return false;
}

static void write_job(struct display_png *d, const struct job *job)
{
	uint32_t w = job->frame.rect.width, h = job->frame.rect.height;
	uLong crc = to_rgb(job->pixels, (size_t)w * h);
	char name[NAME_LEN];

	if (d->last[job->scanout].frame && crc == d->last[job->scanout].crc
		&& w == d->last[job->scanout].width && h == d->last[job->scanout].height)
		return;
	d->last[job->scanout].frame++;
	d->last[job->scanout].width = w;
	d->last[job->scanout].height = h;
	d->last[job->scanout].crc = crc;
	snprintf(name, sizeof(name), "scanout%u-%06u.png", job->scanout,
		d->last[job->scanout].frame);
	if (!write_file(d->dir, name, (const uint8_t *)job->pixels, w, h)) {
		if (!d->failed)
			log_err("%s cannot be written: %s", name, strerror(errno));
		d->failed = true;
		return;
	}
	printf("scanout=%u frame=%u size=%ux%u crc=%08lx\n", job->scanout,
		d->last[job->scanout].frame, w, h, crc);
	fflush(stdout);
}

static void *writer(void *arg)
{
	struct display_png *d = arg;

	for (;;) {
		struct job *job = mailbox_get(&d->to_writer);

		if (!job) {
			mailbox_wait(&d->to_writer);
			continue;
		}
		if (job->quit)
			return NULL;
		write_job(d, job);
		mailbox_put(&d->from_writer, job);
	}
}

/* ---- the loop's thread ---- */

static size_t size_of(const struct job *job)
{
	const struct gpu_rect *r = &job->frame.rect;

	return (size_t)r->width * r->height * sizeof(*job->pixels);
}

static void job_done(struct display_png *d, struct job *job)
{
	if (job->cmd)
		gpu_cmd_shown(job->cmd);
	if (job->pixels)
		d->copied -= size_of(job);
	dbuf_unref(job->frame.buf);
	free(job->pixels);
	free(job);
}

/* Copies the frame as it is now. */
static void copy(struct display_png *d, struct job *job)
{
	const struct gpu_rect *r = &job->frame.rect;

	job->pixels = malloc(size_of(job));
	if (!job->pixels)
		return;
	pixels_to_xrgb(job->frame.buf, r, job->pixels, r->width * sizeof(*job->pixels));
	dbuf_unref(job->frame.buf);
	job->frame.buf = NULL;
	d->copied += size_of(job);
}

/* With the first frame: by then the sandbox is there, and holds for this thread, too. */
static int start_thread(struct display_png *d)
{
	sigset_t all, before;
	int r;

	if (d->started)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&d->thread, NULL, writer, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	d->started = r == 0;
	return -r;
}

/* Gives the writer as much as its mailbox holds; one place is left for the last job. */
static void start_waiting(struct display_png *d)
{
	struct job *job;

	while (d->n_writing < MAILBOX_SIZE - 1 && (job = TAILQ_FIRST(&d->waiting))) {
		TAILQ_REMOVE(&d->waiting, job, link);
		if (!job->pixels)
			copy(d, job);
		if (!job->pixels || start_thread(d) < 0) {
			log_warn("no memory or thread for a frame: left out");
			job_done(d, job);
			continue;
		}
		TAILQ_INSERT_TAIL(&d->writing, job, link);
		d->n_writing++;
		mailbox_put(&d->to_writer, job);
	}
}

static void on_done(struct loop_source *source, uint32_t events)
{
	struct display_png *d = CONTAINER_OF(source, struct display_png, done);
	struct job *job;

	(void)events;
	mailbox_wait(&d->from_writer);
	while ((job = mailbox_get(&d->from_writer))) {
		TAILQ_REMOVE(&d->writing, job, link);
		d->n_writing--;
		job_done(d, job);
	}
	start_waiting(d);
}

static void scanout(struct display *display, unsigned id, const struct gpu_frame *frame)
{
	struct display_png *d = of(display);
	struct dbuf *old = d->frames[id].buf;

	d->frames[id] = frame ? *frame : (struct gpu_frame){0};
	if (frame)
		dbuf_ref(frame->buf);
	dbuf_unref(old);
}

static void flush(
	struct display *display, unsigned id, const struct gpu_rect *damage, struct gpu_cmd *cmd)
{
	struct display_png *d = of(display);
	struct job *job = calloc(1, sizeof(*job));

	(void)damage; // a picture is whole
	if (!job) {
		gpu_cmd_shown(cmd);
		return;
	}
	*job = (struct job){.scanout = id, .frame = d->frames[id], .cmd = cmd};
	dbuf_ref(job->frame.buf);
	if (d->copied + size_of(job) <= COPIES_MAX)
		copy(d, job);
	TAILQ_INSERT_TAIL(&d->waiting, job, link);
	start_waiting(d);
}

/* The commands end; the frames that were flushed become pictures all the same. */
static void release(struct display *display)
{
	struct display_png *d = of(display);
	struct job *job;

	TAILQ_FOREACH (job, &d->writing, link) {
		if (job->cmd)
			gpu_cmd_shown(job->cmd);
		job->cmd = NULL;
	}
	TAILQ_FOREACH (job, &d->waiting, link) {
		if (job->cmd)
			gpu_cmd_shown(job->cmd);
		job->cmd = NULL;
	}
}

static void destroy(struct display *display)
{
	struct display_png *d = of(display);
	struct job quit = {.quit = true};
	struct job *job;

	release(display);
	while ((job = TAILQ_FIRST(&d->waiting))) {
		TAILQ_REMOVE(&d->waiting, job, link);
		job_done(d, job);
	}
	if (d->started) {
		mailbox_put(&d->to_writer, &quit);
		pthread_join(d->thread, NULL);
	}
	while ((job = TAILQ_FIRST(&d->writing))) {
		TAILQ_REMOVE(&d->writing, job, link);
		job_done(d, job);
	}
	for (unsigned i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		dbuf_unref(d->frames[i].buf);
	loop_remove(&d->done);
	mailbox_finish(&d->to_writer);
	mailbox_finish(&d->from_writer);
	close(d->dir);
	free(d);
}

static const struct display_ops ops = {
	.scanout = scanout,
	.flush = flush,
	.release = release,
	.destroy = destroy,
};

static int open_dir(const char *path)
{
	int fd;

	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

static int begin(struct display_png *d, struct loop *loop)
{
	int r = mailbox_init(&d->to_writer, true);

	if (r < 0)
		return r;
	r = mailbox_init(&d->from_writer, false);
	if (r == 0) {
		d->done.ready = on_done;
		d->done.fd = d->from_writer.event;
		r = loop_add(loop, &d->done, EPOLLIN);
	}
	if (r < 0) {
		loop_remove(&d->done);
		mailbox_finish(&d->to_writer);
		mailbox_finish(&d->from_writer);
	}
	return r;
}

/* Frames go back to the system when they are written, whatever malloc() learns from their size. */
static void return_frames(void)
{
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
#endif
}

int display_png_create(struct loop *loop, const char *dir, struct display **out)
{
	struct display_png *d = calloc(1, sizeof(*d));
	int r;

	return_frames();
	if (!d)
		return -ENOMEM;
	d->display.ops = &ops;
	d->to_writer.event = d->from_writer.event = -1;
	TAILQ_INIT(&d->waiting);
	TAILQ_INIT(&d->writing);
	d->dir = r = open_dir(dir);
	if (r >= 0) {
		r = begin(d, loop);
		if (r < 0)
			close(d->dir);
	}
	if (r < 0) {
		free(d);
		return r;
	}
	*out = &d->display;
	return 0;
}
