/* SPDX-License-Identifier: MIT */
#include "video.h"

#include <dirent.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/wait.h"

enum { MEMORY = 256 << 20, RING = 256, EVENTS = 8, PLAYERS_MAX = 40, PAGE = 4096 };
enum { START_MS = 60000 }; // GStreamer may look at all of its plugins, and remember nothing

struct video_stage vx;

static const char *binary;
static struct player *players[PLAYERS_MAX];

/* ---- the daemon ---- */

void video_main(int argc, char **argv)
{
	binary = child_binary("VIRGA_VIDEO", argc, argv);
	if (binary)
		return;
	fprintf(stderr, "usage: %s path/to/virga-video\n", argv[0]);
	exit(2);
}

void video_begin(const char *const *args)
{
	video_end(NULL);
	assert_ok(guest_init_flat(&vx.guest, MEMORY));
	for (int i = 0; i < VIDEO_DRIVER_RINGS; i++)
		assert_ok(drv_ring_init(&vx.rings[i], &vx.guest, RING, FRONTEND_FEATURES));
	assert_ok(child_start_fd(&vx.child, binary, args));
	frontend_adopt(&vx.fe, child_take_fd(&vx.child));
	vx.fe.timeout_ms = START_MS;
	assert_ok(frontend_setup(&vx.fe, &vx.guest, vx.rings, VIDEO_DRIVER_RINGS));
	video_driver_init(&vx.video, &vx.guest, vx.rings);
	assert_ok(video_driver_fill(&vx.video, EVENTS));
}

int video_end(void **state)
{
	(void)state;
	if (vx.guest.regions) {
		child_kill(&vx.child);
		frontend_close(&vx.fe);
		for (int i = 0; i < VIDEO_DRIVER_RINGS; i++)
			drv_ring_finish(&vx.rings[i]);
		guest_finish(&vx.guest);
	}
	memset(&vx, 0, sizeof(vx));
	memset(players, 0, sizeof(players));
	return 0;
}

void video_terminate(void)
{
	assert_int_equal(child_stop(&vx.child), 0);
}

static int parent_of(int pid)
{
	char path[64], comm[64];
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%*d (%63[^)]) %*c %d", comm, &parent) != 2)
		parent = 0;
	if (f)
		fclose(f);
	return parent;
}

/* They are the daemon's grandchildren. */
unsigned video_codecs(int *pids, unsigned max)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	unsigned n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		int pid = atoi(e->d_name), parent = pid > 0 ? parent_of(pid) : 0;

		if (parent <= 1 || parent_of(parent) != vx.child.pid)
			continue;
		if (n < max)
			pids[n] = pid;
		n++;
	}
	closedir(dir);
	return n;
}

void video_pause(void)
{
	for (uint32_t i = 0; i < VIDEO_DRIVER_RINGS; i++)
		assert_ok(frontend_stop_ring(&vx.fe, i, &vx.rings[i]));
	assert_true(video_driver_poll(&vx.video) >= 0);
}

void video_resume(void)
{
	for (uint32_t i = 0; i < VIDEO_DRIVER_RINGS; i++)
		assert_ok(frontend_start_ring(&vx.fe, i, &vx.rings[i]));
}

void video_reset(void)
{
	video_pause();
	assert_ok(frontend_reset_device(&vx.fe));
	for (int i = 0; i < VIDEO_DRIVER_RINGS; i++)
		drv_ring_reset(&vx.rings[i], 0);
	video_driver_reset(&vx.video);
	memset(players, 0, sizeof(players));
	video_resume();
	assert_ok(video_driver_fill(&vx.video, EVENTS));
}

/* ---- buffers ---- */

static uint64_t alloc(uint64_t len, uint64_t align)
{
	uint64_t gpa = guest_alloc(&vx.guest, len, align);

	assert_true(gpa != GUEST_NOMEM);
	return gpa;
}

/* len bytes more, in pieces. Returns in how many. */
static uint32_t lay(struct player_buffer *b, uint32_t at, uint32_t len, enum player_memory memory)
{
	uint32_t n = at;

	while (len > 0) {
		uint32_t piece = memory == PLAYER_CONTIGUOUS ? len
			: memory == PLAYER_PAGES             ? PAGE
							     : 1000 + n * 777 % 5000;
		uint64_t gpa;

		assert_true(n < PLAYER_PIECES);
		piece = piece > len ? len : piece;
		gpa = alloc(piece, memory == PLAYER_RAGGED ? 1 : PAGE);
		if (memory != PLAYER_CONTIGUOUS)
			alloc(PAGE + n % 7, 1); // so that pieces never join
		b->pieces[n++] = (struct video_piece){gpa, piece};
		len -= piece;
	}
	return n - at;
}

static void make_input(struct player *p, unsigned i)
{
	struct player_buffer *b = &p->inputs[i];

	b->memory = (struct video_memory){.layout = VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER,
		.n_planes = 1,
		.pieces = b->pieces};
	b->memory.n_entries[0] = lay(b, 0, p->input_bytes, p->memory);
	b->ticket = -1;
	assert_int_equal(video_resource(&vx.video, p->stream, INPUT, i, &b->memory), OK);
}

static void make_output(struct player *p, unsigned i)
{
	struct player_buffer *b = &p->outputs[i];
	uint32_t n = 0;

	b->memory = (struct video_memory){.layout = p->per_plane
			? VIRTIO_VIDEO_PLANES_LAYOUT_PER_PLANE
			: VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER,
		.n_planes = le32toh(p->params.num_planes),
		.pieces = b->pieces};
	for (uint32_t plane = 0; plane < b->memory.n_planes; plane++)
		n += b->memory.n_entries[plane] =
			lay(b, n, le32toh(p->params.plane_formats[plane].plane_size), p->memory);
	b->ticket = -1;
	assert_int_equal(video_resource(&vx.video, p->stream, OUTPUT, 100 + i, &b->memory), OK);
}

/* Copies from where a buffer's bytes lie. */
static void read_bytes(const struct player_buffer *b, uint64_t at, uint8_t *to, uint32_t len)
{
	for (const struct video_piece *piece = b->pieces; len > 0; piece++) {
		uint32_t now = len;

		if (at >= piece->len) {
			at -= piece->len;
			continue;
		}
		now = piece->len - at < now ? (uint32_t)(piece->len - at) : now;
		assert_ok(guest_read(&vx.guest, piece->gpa + at, to, now));
		to += now;
		len -= now;
		at = 0;
	}
}

static void write_bytes(const struct player_buffer *b, const uint8_t *from, size_t len)
{
	for (const struct video_piece *piece = b->pieces; len > 0; piece++) {
		size_t now = piece->len < len ? piece->len : len;

		assert_ok(guest_write(&vx.guest, piece->gpa, from, now));
		from += now;
		len -= now;
	}
}

/* ---- pictures ---- */

struct rows {
	uint32_t stride, row, n, all; // bytes; bytes that count; rows that count; rows
};

static struct rows rows_of(const struct virtio_video_params *m, unsigned plane)
{
	uint32_t width = le32toh(m->crop.width), height = le32toh(m->crop.height);
	struct rows r = {
		le32toh(m->plane_formats[0].stride), width, height, le32toh(m->frame_height)};

	if (le32toh(m->format) == VIRTIO_VIDEO_FORMAT_BGRA8888) {
		r.row = width * 4;
	} else if (plane) {
		bool pairs = le32toh(m->format) == VIRTIO_VIDEO_FORMAT_NV12;

		r.stride = pairs ? r.stride : r.stride / 2;
		r.row = (width + 1) / 2 * (pairs ? 2 : 1);
		r.n = (height + 1) / 2;
		r.all = (r.all + 1) / 2;
	}
	return r;
}

static unsigned planes_of(const struct virtio_video_params *m)
{
	switch (le32toh(m->format)) {
	case VIRTIO_VIDEO_FORMAT_BGRA8888:
		return 1;
	case VIRTIO_VIDEO_FORMAT_NV12:
		return 2;
	default:
		return 3;
	}
}

static uint64_t hash_picture(const struct player *p, const struct player_buffer *b)
{
	const struct virtio_video_params *m = &p->params;
	uint64_t hash = CLIP_HASH_BEGIN, begin = 0;
	uint8_t bytes[16384];

	for (unsigned plane = 0; plane < planes_of(m); plane++) {
		const struct rows r = rows_of(m, plane);

		assert_true(r.row <= sizeof(bytes));
		for (uint32_t y = 0; y < r.n; y++) {
			read_bytes(b, begin + (uint64_t)y * r.stride, bytes, r.row);
			hash = clip_hash(hash, bytes, r.row);
		}
		begin += (uint64_t)r.stride * r.all;
	}
	return hash;
}

static void queue_output(struct player *p, unsigned i)
{
	p->outputs[i].ticket = video_queue_output(&vx.video, p->stream, 100 + i);
	assert_true(p->outputs[i].ticket >= 0);
}

static void take_picture(struct player *p, unsigned i, uint64_t timestamp)
{
	struct clip_picture *to = &p->pictures[p->n_pictures++];

	assert_true(p->n_pictures <= PLAYER_PICTURES);
	*to = (struct clip_picture){le32toh(p->params.crop.width), le32toh(p->params.crop.height),
		timestamp, hash_picture(p, &p->outputs[i])};
}

static void take_output(struct player *p, unsigned i, bool again)
{
	struct player_buffer *b = &p->outputs[i];
	struct virtio_video_resource_queue_resp resp;
	int type = video_driver_collect(&vx.video, b->ticket);
	uint32_t flags;

	b->ticket = -1;
	if (type != OK_QUEUE) {
		p->n_refused++;
		return;
	}
	memcpy(&resp, vx.video.resp, sizeof(resp));
	flags = le32toh(resp.flags);
	if (flags & VIRTIO_VIDEO_BUFFER_FLAG_EOS) {
		assert_int_equal(resp.size, 0);
		p->n_eos++;
	} else if (flags & VIRTIO_VIDEO_BUFFER_FLAG_ERR) {
		p->n_canceled++;
	} else {
		take_picture(p, i, le64toh(resp.timestamp));
	}
	if (again && !p->keeps)
		queue_output(p, i);
}

/* True when there were some. */
static bool take_outputs(struct player *p, bool again)
{
	for (uint64_t last = 0;;) {
		struct player_buffer *first = NULL;

		/* In the order of their coming back. */
		for (unsigned i = 0; i < p->n_made; i++) {
			struct player_buffer *b = &p->outputs[i];

			if (b->ticket >= 0 && video_driver_is_answered(&vx.video, b->ticket)
				&& (!first
					|| vx.video.requests[b->ticket].order
						< vx.video.requests[first->ticket].order))
				first = b;
		}
		if (!first)
			return last;
		assert_true(vx.video.requests[first->ticket].order > last);
		last = vx.video.requests[first->ticket].order;
		take_output(p, (unsigned)(first - p->outputs), again);
	}
}

static bool take_inputs(struct player *p)
{
	unsigned before = p->taken;

	for (unsigned i = 0; i < PLAYER_INPUTS; i++) {
		struct player_buffer *b = &p->inputs[i];
		struct virtio_video_resource_queue_resp resp;

		if (b->ticket < 0 || !video_driver_is_answered(&vx.video, b->ticket))
			continue;
		if (video_driver_collect(&vx.video, b->ticket) != OK_QUEUE)
			p->n_refused++;
		memcpy(&resp, vx.video.resp, sizeof(resp));
		p->n_broken += le32toh(resp.flags) & VIRTIO_VIDEO_BUFFER_FLAG_ERR ? 1 : 0;
		b->ticket = -1;
		p->taken++;
	}
	return p->taken != before;
}

/* ---- formats ---- */

static void make_outputs(struct player *p)
{
	unsigned n;

	assert_int_equal(video_get_params(&vx.video, p->stream, OUTPUT, &p->params),
		VIRTIO_VIDEO_RESP_OK_GET_PARAMS);
	n = p->n_outputs ? p->n_outputs : le32toh(p->params.min_buffers) + 1;
	assert_true(n <= PLAYER_OUTPUTS_MAX);
	for (p->n_made = 0; p->n_made < n; p->n_made++)
		make_output(p, p->n_made);
}

void player_restart_output(struct player *p, bool anew)
{
	assert_int_equal(video_clear(&vx.video, p->stream, OUTPUT), OK);
	for (unsigned i = 0; i < p->n_made; i++)
		assert_true(p->outputs[i].ticket < 0
			|| video_driver_is_answered(&vx.video, p->outputs[i].ticket));
	take_outputs(p, false);
	if (anew) {
		assert_int_equal(video_destroy_all(&vx.video, p->stream, OUTPUT), OK);
		make_outputs(p);
	}
	for (unsigned i = 0; i < p->n_made; i++)
		queue_output(p, i);
}

static void on_event(int type, uint32_t stream)
{
	for (unsigned i = 0; i < PLAYERS_MAX; i++) {
		struct player *p = players[i];

		if (!p || p->stream != stream)
			continue;
		take_outputs(p, false); // those of before
		if (type == VIRTIO_VIDEO_EVENT_ERROR) {
			p->lost = true;
			return;
		}
		p->n_formats++;
		player_restart_output(p, true);
		return;
	}
	fail_msg("an event of stream %u", stream);
}

/* Of all players. True when there was something. */
static bool take_all(void)
{
	uint32_t stream;
	bool some = false;
	int type;

	while ((type = video_driver_event(&vx.video, &stream, 0)) > 0) {
		assert_true(video_driver_poll(&vx.video) >= 0);
		on_event(type, stream);
		some = true;
	}
	for (unsigned i = 0; i < PLAYERS_MAX; i++) {
		if (!players[i])
			continue;
		some |= take_inputs(players[i]);
		some |= take_outputs(players[i], true);
	}
	return some;
}

void players_turn(void)
{
	int n;

	if (take_all())
		return;
	n = video_driver_wait(&vx.video, WAIT_DEFAULT);
	if (n <= 0)
		fail_msg("nothing comes: %s", strerror(-n));
	take_all();
}

/* ---- playing ---- */

void player_begin(struct player *p)
{
	struct virtio_video_params in;
	unsigned i = 0;

	while (players[i])
		i++;
	players[i] = p;
	p->input_bytes = p->input_bytes ? p->input_bytes : 256 << 10;
	assert_int_equal(video_create(&vx.video, p->stream, p->coded), OK);
	assert_int_equal(video_get_params(&vx.video, p->stream, INPUT, &in),
		VIRTIO_VIDEO_RESP_OK_GET_PARAMS);
	in.plane_formats[0].plane_size = htole32(p->input_bytes);
	assert_int_equal(video_set_params(&vx.video, p->stream, &in), OK);
	for (i = 0; i < PLAYER_INPUTS; i++)
		make_input(p, i);
	assert_int_equal(video_get_params(&vx.video, p->stream, OUTPUT, &p->params),
		VIRTIO_VIDEO_RESP_OK_GET_PARAMS);
	if (p->raw)
		p->params.format = htole32(p->raw);
	if (p->per_plane)
		p->params.num_planes = htole32(2);
	assert_int_equal(video_set_params(&vx.video, p->stream, &p->params), OK);
}

void player_end(struct player *p)
{
	assert_int_equal(video_destroy(&vx.video, p->stream), OK);
	take_inputs(p);
	take_outputs(p, false);
	for (unsigned i = 0; i < PLAYER_INPUTS; i++)
		assert_int_equal(p->inputs[i].ticket, -1);
	for (unsigned i = 0; i < p->n_made; i++)
		assert_int_equal(p->outputs[i].ticket, -1);
	player_forget(p);
}

void player_forget(struct player *p)
{
	for (unsigned i = 0; i < PLAYERS_MAX; i++)
		if (players[i] == p)
			players[i] = NULL;
}

static bool feed_one(struct player *p)
{
	const struct clip_unit *u = &p->clip->units[p->fed];

	for (unsigned i = 0; i < PLAYER_INPUTS; i++) {
		struct player_buffer *b = &p->inputs[i];

		if (b->ticket >= 0)
			continue;
		assert_true(u->size <= p->input_bytes);
		write_bytes(b, u->bytes, u->size);
		b->ticket = video_queue_input(&vx.video, p->stream, i, (uint32_t)u->size, u->pts);
		assert_true(b->ticket >= 0);
		p->fed++;
		return true;
	}
	return false;
}

void player_push(struct player *p, const struct clip *clip)
{
	p->clip = clip;
	while (p->fed < clip->n && feed_one(p))
		;
}

void player_feed(struct player *p, const struct clip *clip)
{
	p->clip = clip;
	p->fed = p->taken = 0;
	while (p->taken < clip->n && !p->lost)
		if (p->fed == clip->n || !feed_one(p))
			players_turn();
}

void player_drain(struct player *p)
{
	unsigned ends = p->n_eos + 1;
	int ticket = video_drain(&vx.video, p->stream);

	assert_true(ticket >= 0);
	while (p->n_eos < ends)
		players_turn();
	assert_int_equal(video_driver_collect(&vx.video, ticket), OK);
}

void player_play(struct player *p, const struct clip *clip)
{
	player_feed(p, clip);
	player_drain(p);
}

void player_wait(const unsigned *count, unsigned wanted)
{
	while (*count < wanted)
		players_turn();
}

void player_seek(struct player *p)
{
	assert_int_equal(video_clear(&vx.video, p->stream, INPUT), OK);
	take_inputs(p);
	for (unsigned i = 0; i < PLAYER_INPUTS; i++)
		assert_int_equal(p->inputs[i].ticket, -1);
}

void player_compare(const struct player *p, const struct clip_pictures *wanted)
{
	for (unsigned i = 0; i < p->n_pictures && i < wanted->n; i++) {
		const struct clip_picture *a = &p->pictures[i], *w = &wanted->pictures[i];

		if (a->hash != w->hash || a->pts != w->pts)
			print_error("picture %u of %u: %llu for %llu, pixels %s\n", i, wanted->n,
				(unsigned long long)a->pts, (unsigned long long)w->pts,
				a->hash == w->hash ? "right" : "wrong");
		assert_true(a->width == w->width && a->height == w->height);
		assert_true(a->hash == w->hash && a->pts == w->pts);
	}
	assert_int_equal(p->n_pictures, wanted->n);
}
