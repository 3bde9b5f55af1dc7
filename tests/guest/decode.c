// SPDX-License-Identifier: MIT
/*
 * Decodes with a V4L2 decoder what words ask for, step by step, in a guest:
 *
 *	decode [--dmabuf] FOURCC FILE OUT WORD...
 *
 *	feed=N    hand over the next N units of FILE, which v4l2-ctl calls a file with headers
 *	seek=N    the next unit is number N: the bitstream's queue stops and starts
 *	drain     ask for all pictures, and wait for the last
 *	start     go on after a drain
 *	restart   instead, by the pictures' queue: it stops and starts
 *	wait=FILE say "waiting", and decode until there is such a file
 *
 * Pictures are appended to OUT, without padding. --dmabuf: they come into memory of udmabuf. What fails is
 * said with the name of the error, and the exit status is 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { OUT = V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE, CAP = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE };
enum { N_OUT = 4, N_CAP = 8, MAX = 32, UNITS = 1024, PATIENCE_MS = 60000 };

struct buffer {
	uint8_t *at;
	size_t size;
	int fd;
};

static int video, n_cap, in_flight, last_index;
static FILE *out;
static bool dmabuf, streaming, changing, last, is_free[N_OUT];
static struct buffer bitstream[N_OUT], pictures[MAX];
static struct v4l2_format format;
static struct v4l2_rect seen;
static struct {
	uint8_t *at;
	uint32_t size;
} units[UNITS];
static unsigned n_units, next_unit;

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerrorname_np(errno));
	_exit(1);
}

static void ask(unsigned long request, void *argument, const char *what)
{
	if (ioctl(video, request, argument) < 0)
		fail(what);
}

/* ---- buffers ---- */

static void stream(int type, bool on)
{
	ask(on ? VIDIOC_STREAMON : VIDIOC_STREAMOFF, &type, on ? "STREAMON" : "STREAMOFF");
}

static int request(int type, int count)
{
	struct v4l2_requestbuffers r = {.type = (uint32_t)type, .count = (uint32_t)count};

	r.memory = dmabuf && type == CAP ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP;
	ask(VIDIOC_REQBUFS, &r, "REQBUFS");
	return (int)r.count;
}

static struct v4l2_buffer describe(int type, int index, struct v4l2_plane *plane)
{
	*plane = (struct v4l2_plane){0};
	return (struct v4l2_buffer){.type = (uint32_t)type,
		.index = (uint32_t)index,
		.memory = dmabuf && type == CAP ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP,
		.length = 1,
		.m.planes = plane};
}

static struct buffer map(int type, int index)
{
	struct v4l2_plane plane;
	struct v4l2_buffer b = describe(type, index, &plane);
	struct buffer made = {.fd = -1};

	ask(VIDIOC_QUERYBUF, &b, "QUERYBUF");
	made.size = plane.length;
	made.at = mmap(
		NULL, made.size, PROT_READ | PROT_WRITE, MAP_SHARED, video, plane.m.mem_offset);
	if (made.at == MAP_FAILED)
		fail("mmap");
	return made;
}

static struct buffer make_dmabuf(size_t size)
{
	struct buffer made = {.size = (size + 4095) & ~4095ul};
	int memory = memfd_create("picture", MFD_ALLOW_SEALING);
	int udmabuf = open("/dev/udmabuf", O_RDWR);
	struct udmabuf_create create = {.memfd = (uint32_t)memory, .size = made.size};

	if (memory < 0 || udmabuf < 0 || ftruncate(memory, (off_t)made.size) < 0
		|| fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		fail("udmabuf");
	made.at = mmap(NULL, made.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	made.fd = ioctl(udmabuf, UDMABUF_CREATE, &create);
	if (made.at == MAP_FAILED || made.fd < 0)
		fail("udmabuf");
	close(memory);
	close(udmabuf);
	return made;
}

static void queue_picture(int index)
{
	struct v4l2_plane plane;
	struct v4l2_buffer b = describe(CAP, index, &plane);

	if (dmabuf) {
		plane.m.fd = pictures[index].fd;
		plane.length = (uint32_t)pictures[index].size;
	}
	ask(VIDIOC_QBUF, &b, "QBUF of a picture");
}

static void free_pictures(void)
{
	for (int i = 0; i < n_cap; i++) {
		munmap(pictures[i].at, pictures[i].size);
		if (pictures[i].fd >= 0)
			close(pictures[i].fd);
	}
	n_cap = 0;
}

/* For pictures of the size that the device has just told. */
static void set_up_pictures(void)
{
	struct v4l2_selection s = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .target = V4L2_SEL_TGT_COMPOSE};

	if (streaming)
		stream(CAP, false);
	free_pictures();
	request(CAP, 0);
	format.type = CAP;
	ask(VIDIOC_G_FMT, &format, "G_FMT");
	ask(VIDIOC_G_SELECTION, &s, "G_SELECTION");
	seen = s.r;
	n_cap = request(CAP, N_CAP);
	for (int i = 0; i < n_cap; i++) {
		pictures[i] = dmabuf ? make_dmabuf(format.fmt.pix_mp.plane_fmt[0].sizeimage)
				     : map(CAP, i);
		queue_picture(i);
	}
	stream(CAP, true);
	streaming = true;
	changing = false;
}

/* ---- what comes ---- */

static void write_rows(const uint8_t *at, int left, int top, int width, int height)
{
	size_t stride = format.fmt.pix_mp.plane_fmt[0].bytesperline;

	for (int y = top; y < top + height; y++)
		fwrite(at + (size_t)y * stride + left, 1, (size_t)width, out);
}

static void write_picture(const struct buffer *b)
{
	size_t luma =
		(size_t)format.fmt.pix_mp.plane_fmt[0].bytesperline * format.fmt.pix_mp.height;

	write_rows(b->at, seen.left, seen.top, (int)seen.width, (int)seen.height);
	write_rows(b->at + luma, seen.left, seen.top / 2, (int)seen.width, (int)seen.height / 2);
}

static void take_picture(void)
{
	struct v4l2_plane plane;
	struct v4l2_buffer b = describe(CAP, 0, &plane);

	ask(VIDIOC_DQBUF, &b, "DQBUF of a picture");
	if (b.flags & V4L2_BUF_FLAG_ERROR)
		fprintf(stderr, "a damaged picture\n");
	else if (plane.bytesused)
		write_picture(&pictures[b.index]);
	if (!(b.flags & V4L2_BUF_FLAG_LAST))
		queue_picture((int)b.index);
	else if (changing)
		set_up_pictures();
	else {
		last = true;
		last_index = (int)b.index;
	}
}

static void take_bitstream(void)
{
	struct v4l2_plane plane;
	struct v4l2_buffer b = describe(OUT, 0, &plane);

	ask(VIDIOC_DQBUF, &b, "DQBUF of bitstream");
	is_free[b.index] = true;
	in_flight--;
}

static void take_event(void)
{
	struct v4l2_event e;

	ask(VIDIOC_DQEVENT, &e, "DQEVENT");
	if (e.type != V4L2_EVENT_SOURCE_CHANGE)
		return;
	changing = streaming;
	if (!streaming)
		set_up_pictures();
}

static void turn(int timeout)
{
	struct pollfd p = {.fd = video, .events = POLLPRI};

	p.events |= (short)((streaming && !last ? POLLIN : 0) | (in_flight ? POLLOUT : 0));
	if (poll(&p, 1, timeout) == 0 && timeout == PATIENCE_MS) {
		errno = ETIMEDOUT;
		fail("poll");
	}
	if (p.revents & POLLPRI)
		take_event();
	else if (p.revents & POLLOUT)
		take_bitstream();
	else if (p.revents & POLLIN)
		take_picture();
	else if (p.revents & POLLERR) {
		errno = EIO;
		fail("poll");
	}
}

/* ---- words ---- */

static int free_buffer(void)
{
	for (;; turn(PATIENCE_MS))
		for (int i = 0; i < N_OUT; i++)
			if (is_free[i])
				return i;
}

static void feed(unsigned count)
{
	for (; count && next_unit < n_units; count--, next_unit++) {
		int index = free_buffer();
		struct v4l2_plane plane;
		struct v4l2_buffer b = describe(OUT, index, &plane);

		memcpy(bitstream[index].at, units[next_unit].at, units[next_unit].size);
		plane.bytesused = units[next_unit].size;
		b.timestamp.tv_sec = next_unit + 1;
		ask(VIDIOC_QBUF, &b, "QBUF of bitstream");
		is_free[index] = false;
		in_flight++;
	}
}

static void command(uint32_t what)
{
	struct v4l2_decoder_cmd cmd = {.cmd = what};

	ask(VIDIOC_DECODER_CMD, &cmd, "DECODER_CMD");
}

static void seek(unsigned unit)
{
	stream(OUT, false);
	for (int i = 0; i < N_OUT; i++)
		is_free[i] = true;
	in_flight = 0;
	next_unit = unit;
	stream(OUT, true);
}

static void restart(void)
{
	stream(CAP, false);
	last = false;
	for (int i = 0; i < n_cap; i++)
		queue_picture(i);
	stream(CAP, true);
}

/* The buffer that came last has not been queued again. */
static void start(void)
{
	command(V4L2_DEC_CMD_START);
	last = false;
	queue_picture(last_index);
}

static void run(const char *word)
{
	const char *value = strchr(word, '=');

	if (!strncmp(word, "feed=", 5))
		feed((unsigned)atoi(value + 1));
	else if (!strncmp(word, "seek=", 5))
		seek((unsigned)atoi(value + 1));
	else if (!strcmp(word, "drain"))
		for (command(V4L2_DEC_CMD_STOP); !last;)
			turn(PATIENCE_MS);
	else if (!strcmp(word, "start"))
		start();
	else if (!strcmp(word, "restart"))
		restart();
	else if (!strncmp(word, "wait=", 5))
		for (puts("waiting"), fflush(stdout); access(value + 1, F_OK);)
			turn(100);
}

/* ---- the beginning ---- */

static void read_units(const char *path)
{
	uint32_t head[2];
	FILE *file = fopen(path, "rb");

	if (!file)
		fail(path);
	while (n_units < UNITS && fread(head, sizeof(head), 1, file)) {
		units[n_units].size = ntohl(head[1]);
		units[n_units].at = malloc(units[n_units].size);
		if (!fread(units[n_units].at, units[n_units].size, 1, file))
			fail(path);
		n_units++;
	}
	fclose(file);
}

static void set_up_bitstream(const char *fourcc)
{
	struct v4l2_event_subscription change = {.type = V4L2_EVENT_SOURCE_CHANGE};
	struct v4l2_format f = {.type = OUT};

	memcpy(&f.fmt.pix_mp.pixelformat, fourcc, 4);
	f.fmt.pix_mp.num_planes = 1;
	ask(VIDIOC_S_FMT, &f, "S_FMT");
	ask(VIDIOC_SUBSCRIBE_EVENT, &change, "SUBSCRIBE_EVENT");
	if (request(OUT, N_OUT) != N_OUT)
		fail("REQBUFS");
	for (int i = 0; i < N_OUT; i++) {
		bitstream[i] = map(OUT, i);
		is_free[i] = true;
	}
	stream(OUT, true);
}

int main(int argc, char **argv)
{
	dmabuf = argc > 1 && !strcmp(argv[1], "--dmabuf");
	argv += 1 + dmabuf;
	if (argc < 5 + dmabuf || strlen(argv[0]) != 4)
		return 2;
	video = open("/dev/video0", O_RDWR);
	out = fopen(argv[2], "wb");
	if (video < 0 || !out)
		fail("open");
	read_units(argv[1]);
	set_up_bitstream(argv[0]);
	for (char **word = argv + 3; *word; word++)
		run(*word);
	return fclose(out) ? 1 : 0;
}
