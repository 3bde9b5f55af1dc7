/* SPDX-License-Identifier: MIT */
#include "display.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "wait.h"

#define CHUNK       (256u * 1024)
#define MAX_PAYLOAD (512u << 20)

/* Life */

int display_peer_open(struct display_peer *d, int *remote)
{
	*d = (struct display_peer){.fd = -1,
		.fd_in = -1,
		.offered = 1ull << VHOST_USER_GPU_PROTOCOL_F_EDID,
		.outputs = DISPLAY_PEER_SCREENS};
	d->modes[0] =
		(struct virtio_gpu_display_one){.r = {.width = 1024, .height = 768}, .enabled = 1};
	for (size_t i = 0; i < DISPLAY_PEER_SCREENS; i++)
		d->screens[i].dmabuf = -1;
	return display_peer_reopen(d, remote);
}

int display_peer_reopen(struct display_peer *d, int *remote)
{
	int pair[2];

	display_peer_close(d);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	d->fd = pair[0];
	*remote = pair[1];
	return 0;
}

void display_peer_close(struct display_peer *d)
{
	if (d->fd >= 0)
		close(d->fd);
	if (d->fd_in >= 0)
		close(d->fd_in);
	d->fd = d->fd_in = -1;
	d->len = 0;
	d->unseen = 0;
}

void display_peer_finish(struct display_peer *d)
{
	display_peer_close(d);
	for (size_t i = 0; i < DISPLAY_PEER_SCREENS; i++) {
		struct display_screen *s = &d->screens[i];

		free(s->next.pixels);
		free(s->shown.pixels);
		if (s->dmabuf >= 0)
			close(s->dmabuf);
		s->next.pixels = s->shown.pixels = NULL;
		s->dmabuf = -1;
	}
	free(d->buf);
	d->buf = NULL;
}

/* Messages */

static int fault(struct display_peer *d, const char *what)
{
	d->faults++;
	d->fault = what;
	return 0;
}

static int answer(struct display_peer *d, uint32_t request, const void *payload, uint32_t size)
{
	struct vhost_user_gpu_header h = {request, VHOST_USER_GPU_REPLY_MASK, size};
	int64_t deadline = wait_deadline(WAIT_DEFAULT);
	int rc;

	if (d->mute)
		return 0;
	rc = channel_send(d->fd, &h, sizeof(h), NULL, deadline);
	return rc < 0 ? rc : channel_send(d->fd, payload, size, NULL, deadline);
}

static int on_display_info(struct display_peer *d)
{
	struct virtio_gpu_resp_display_info info = {.hdr.type = VIRTIO_GPU_RESP_OK_DISPLAY_INFO};

	memcpy(info.pmodes, d->modes, sizeof(info.pmodes));
	return answer(d, VHOST_USER_GPU_GET_DISPLAY_INFO, &info, sizeof(info));
}

/* The least that an EDID is: a base block with the right header and checksum, and the scanout. */
static int on_edid(struct display_peer *d, uint32_t scanout)
{
	struct virtio_gpu_resp_edid edid = {.hdr.type = VIRTIO_GPU_RESP_OK_EDID, .size = 128};
	unsigned int sum = 0;

	if (!(d->features >> VHOST_USER_GPU_PROTOCOL_F_EDID & 1))
		fault(d, "GET_EDID without its protocol feature");
	if (scanout >= DISPLAY_PEER_SCREENS)
		return fault(d, "GET_EDID of no scanout");
	if (scanout >= d->outputs)
		return 0; // QEMU complains and says nothing
	memset(edid.edid + 1, 0xff, 6);
	edid.edid[12] = (uint8_t)scanout; // the serial number
	edid.edid[18] = 1;
	edid.edid[19] = 4;
	for (size_t i = 0; i < 127; i++)
		sum += edid.edid[i];
	edid.edid[127] = (uint8_t)-sum;
	return answer(d, VHOST_USER_GPU_GET_EDID, &edid, sizeof(edid));
}

static int on_scanout(struct display_peer *d, const struct vhost_user_gpu_scanout *m)
{
	struct display_screen *s;

	if (m->scanout_id >= DISPLAY_PEER_SCREENS)
		return fault(d, "SCANOUT of no scanout");
	if ((m->width == 0) != (m->height == 0) || m->width > 16384 || m->height > 16384)
		return fault(d, "SCANOUT of a strange size");
	s = &d->screens[m->scanout_id];
	free(s->next.pixels);
	s->next = (struct display_picture){m->width, m->height, NULL};
	s->swapped = false;
	if (m->width > 0) {
		s->next.pixels = calloc((size_t)m->width * m->height, sizeof(uint32_t));
		return s->next.pixels ? 0 : -ENOMEM;
	}
	free(s->shown.pixels);
	s->shown = (struct display_picture){0, 0, NULL};
	return 0;
}

/* The first UPDATE after a SCANOUT puts the new picture in front of people. */
static void swap_in(struct display_screen *s)
{
	if (s->swapped)
		return;
	free(s->shown.pixels);
	s->shown = s->next;
	s->next.pixels = NULL;
	s->swapped = true;
}

static int on_update(struct display_peer *d, const uint8_t *payload, uint64_t size)
{
	struct vhost_user_gpu_update m;
	struct display_screen *s;

	if (size < sizeof(m))
		return fault(d, "UPDATE is too short");
	memcpy(&m, payload, sizeof(m));
	if (size - sizeof(m) != (uint64_t)m.width * m.height * 4)
		return fault(d, "UPDATE does not have its pixels");
	if (m.scanout_id >= DISPLAY_PEER_SCREENS)
		return fault(d, "UPDATE of no scanout");
	s = &d->screens[m.scanout_id];
	if (s->next.width == 0)
		return fault(d, "UPDATE of a scanout that is off");
	if (m.x > s->next.width || m.width > s->next.width - m.x || m.y > s->next.height
		|| m.height > s->next.height - m.y)
		return fault(d, "UPDATE beyond the scanout");
	swap_in(s);
	payload += sizeof(m);
	for (size_t y = 0; y < m.height; y++) {
		uint32_t *row = s->shown.pixels + (m.y + y) * s->shown.width + m.x;

		memcpy(row, payload + y * m.width * 4, (size_t)m.width * 4);
	}
	s->x = m.x, s->y = m.y, s->w = m.width, s->h = m.height;
	s->updates++;
	return 0;
}

static int on_cursor(struct display_peer *d, uint32_t request, const uint8_t *payload)
{
	memcpy(&d->cursor.pos, payload, sizeof(d->cursor.pos));
	if (d->cursor.pos.scanout_id >= DISPLAY_PEER_SCREENS)
		return fault(d, "a cursor on no scanout");
	d->cursor.visible = request != VHOST_USER_GPU_CURSOR_POS_HIDE;
	if (request == VHOST_USER_GPU_CURSOR_UPDATE) {
		struct vhost_user_gpu_cursor_update *m = (void *)(uintptr_t)payload;

		memcpy(&d->cursor.hot_x, &m->hot_x, sizeof(m->hot_x));
		memcpy(&d->cursor.hot_y, &m->hot_y, sizeof(m->hot_y));
		memcpy(d->cursor.data, m->data, sizeof(m->data));
	}
	return 0;
}

static int on_dmabuf(struct display_peer *d, const uint8_t *payload, uint32_t size)
{
	struct vhost_user_gpu_dmabuf_scanout2 m = {.modifier = UINT64_MAX};
	const struct vhost_user_gpu_dmabuf_scanout *s1 = &m.scanout;
	struct display_screen *s;

	memcpy(&m, payload, size);
	if (s1->scanout_id >= DISPLAY_PEER_SCREENS)
		return fault(d, "DMABUF_SCANOUT of no scanout");
	if ((s1->width > 0) != (d->fd_in >= 0))
		return fault(d, "DMABUF_SCANOUT with a wrong number of fds");
	if (size == sizeof(m) && !(d->features >> VHOST_USER_GPU_PROTOCOL_F_DMABUF2 & 1))
		return fault(d, "DMABUF_SCANOUT2 without its protocol feature");
	if (s1->x || s1->y || s1->width != s1->fd_width || s1->height != s1->fd_height)
		return fault(d, "DMABUF_SCANOUT of a part, which QEMU does not show");
	s = &d->screens[s1->scanout_id];
	if (s->dmabuf >= 0)
		close(s->dmabuf);
	s->dmabuf = d->fd_in;
	s->as = m;
	d->fd_in = -1;
	return 0;
}

static int on_dmabuf_update(struct display_peer *d, const uint8_t *payload)
{
	struct vhost_user_gpu_update m;
	struct display_screen *s;

	memcpy(&m, payload, sizeof(m));
	if (m.scanout_id >= DISPLAY_PEER_SCREENS)
		return fault(d, "DMABUF_UPDATE of no scanout");
	s = &d->screens[m.scanout_id];
	if (s->dmabuf < 0)
		return fault(d, "DMABUF_UPDATE of no dmabuf");
	if (m.x > s->as.scanout.width || m.width > s->as.scanout.width - m.x
		|| m.y > s->as.scanout.height || m.height > s->as.scanout.height - m.y || !m.width
		|| !m.height)
		return fault(d, "DMABUF_UPDATE beyond the dmabuf");
	s->seen = m;
	if (d->unseen++)
		return fault(d, "a second DMABUF_UPDATE, which QEMU does not count");
	return d->busy ? 0 : display_peer_see(d);
}

/* The payload that each request has to have, or 0 with on_update() and the empty ones. */
static const uint32_t sizes[DISPLAY_PEER_REQUESTS] = {
	[VHOST_USER_GPU_SET_PROTOCOL_FEATURES] = 8,
	[VHOST_USER_GPU_CURSOR_POS] = sizeof(struct vhost_user_gpu_cursor_pos),
	[VHOST_USER_GPU_CURSOR_POS_HIDE] = sizeof(struct vhost_user_gpu_cursor_pos),
	[VHOST_USER_GPU_CURSOR_UPDATE] = sizeof(struct vhost_user_gpu_cursor_update),
	[VHOST_USER_GPU_SCANOUT] = sizeof(struct vhost_user_gpu_scanout),
	[VHOST_USER_GPU_GET_EDID] = sizeof(struct vhost_user_gpu_edid_request),
	[VHOST_USER_GPU_DMABUF_SCANOUT] = sizeof(struct vhost_user_gpu_dmabuf_scanout),
	[VHOST_USER_GPU_DMABUF_UPDATE] = sizeof(struct vhost_user_gpu_update),
	[VHOST_USER_GPU_DMABUF_SCANOUT2] = sizeof(struct vhost_user_gpu_dmabuf_scanout2),
};

static int handle(struct display_peer *d, uint32_t request, const uint8_t *payload, uint32_t size)
{
	struct vhost_user_gpu_scanout scanout;

	switch (request) {
	case VHOST_USER_GPU_GET_PROTOCOL_FEATURES:
		return answer(d, request, &d->offered, sizeof(d->offered));
	case VHOST_USER_GPU_SET_PROTOCOL_FEATURES:
		memcpy(&d->features, payload, sizeof(d->features));
		return d->features & ~d->offered ? fault(d, "features not offered") : 0;
	case VHOST_USER_GPU_GET_DISPLAY_INFO:
		return on_display_info(d);
	case VHOST_USER_GPU_GET_EDID:
		memcpy(&scanout.scanout_id, payload, sizeof(scanout.scanout_id));
		return on_edid(d, scanout.scanout_id);
	case VHOST_USER_GPU_SCANOUT:
		memcpy(&scanout, payload, sizeof(scanout));
		return on_scanout(d, &scanout);
	case VHOST_USER_GPU_UPDATE:
		return on_update(d, payload, size);
	case VHOST_USER_GPU_CURSOR_POS:
	case VHOST_USER_GPU_CURSOR_POS_HIDE:
	case VHOST_USER_GPU_CURSOR_UPDATE:
		return on_cursor(d, request, payload);
	case VHOST_USER_GPU_DMABUF_SCANOUT:
	case VHOST_USER_GPU_DMABUF_SCANOUT2:
		return on_dmabuf(d, payload, size);
	case VHOST_USER_GPU_DMABUF_UPDATE:
		return on_dmabuf_update(d, payload);
	default:
		return fault(d, "a message without a name");
	}
}

static int check_and_handle(
	struct display_peer *d, const struct vhost_user_gpu_header *h, const uint8_t *payload)
{
	if (h->request < DISPLAY_PEER_REQUESTS)
		d->count[h->request]++;
	if (h->flags != 0)
		fault(d, "flags on a request");
	if (h->request < DISPLAY_PEER_REQUESTS && h->request != VHOST_USER_GPU_UPDATE
		&& h->size != sizes[h->request])
		return fault(d, "a payload of a wrong size");
	return handle(d, h->request, payload, h->size);
}

/* The socket */

/* Room for len bytes in the buffer. */
static int reserve(struct display_peer *d, size_t len)
{
	uint8_t *buf;

	if (len <= d->room)
		return 0;
	buf = realloc(d->buf, len);
	if (!buf)
		return -ENOMEM;
	d->buf = buf;
	d->room = len;
	return 0;
}

/* Handles the complete messages in the buffer. Returns how many, or a negative errno. */
static int handle_all(struct display_peer *d)
{
	struct vhost_user_gpu_header h;
	size_t at = 0;
	int n = 0, rc = 0;

	while (rc == 0 && d->len - at >= sizeof(h)) {
		memcpy(&h, d->buf + at, sizeof(h));
		if (h.size > MAX_PAYLOAD)
			return -EBADMSG;
		rc = reserve(d, sizeof(h) + h.size);
		if (rc < 0 || d->len - at - sizeof(h) < h.size)
			break;
		rc = check_and_handle(d, &h, d->buf + at + sizeof(h));
		at += sizeof(h) + h.size;
		n++;
	}
	memmove(d->buf, d->buf + at, d->len - at);
	d->len -= at;
	return rc < 0 ? rc : n;
}

/* How much to read at once. */
static size_t appetite(const struct display_peer *d)
{
	size_t want = CHUNK;

	if (d->slow > 0 && d->slow < want)
		want = d->slow;
	if (d->hang_up > 0 && d->hang_up - d->bytes < want)
		want = (size_t)(d->hang_up - d->bytes);
	return want;
}

static ssize_t read_some(struct display_peer *d, size_t want)
{
	struct channel_fds fds = {.n = 0};
	ssize_t n;

	if (reserve(d, d->len + want) < 0)
		return -ENOMEM;
	n = channel_read(d->fd, d->buf + d->len, want, &fds);
	if (n > 0) {
		d->len += (size_t)n;
		d->bytes += (size_t)n;
	}
	if (fds.n > 0 && d->fd_in < 0)
		d->fd_in = fds.fd[--fds.n];
	channel_close_fds(&fds);
	return n;
}

static int pump(struct display_peer *d, int64_t deadline)
{
	ssize_t n;
	int rc;

	if (d->stop_reading)
		return -ETIMEDOUT;
	if (d->fd < 0)
		return -ECONNRESET;
	rc = wait_fd(d->fd, POLLIN, deadline);
	if (rc < 0)
		return rc;
	n = read_some(d, appetite(d));
	rc = n < 0 ? (int)n : handle_all(d);
	if (rc < 0 || (d->hang_up > 0 && d->bytes >= d->hang_up))
		display_peer_close(d);
	return rc;
}

int display_peer_see(struct display_peer *d)
{
	d->unseen = 0;
	return answer(d, VHOST_USER_GPU_DMABUF_UPDATE, NULL, 0);
}

int display_peer_say(struct display_peer *d, const struct vhost_user_gpu_header *h)
{
	return channel_send(d->fd, h, sizeof(*h), NULL, wait_deadline(WAIT_DEFAULT));
}

int display_peer_pump(struct display_peer *d, int timeout_ms)
{
	return pump(d, wait_deadline(timeout_ms));
}

int display_peer_wait(struct display_peer *d, uint32_t request, uint64_t n, int timeout_ms)
{
	int64_t deadline = wait_deadline(timeout_ms);
	int rc = 0;

	while (rc >= 0 && d->count[request % DISPLAY_PEER_REQUESTS] < n)
		rc = pump(d, deadline);
	return rc < 0 ? rc : 0;
}

/* Looking at it */

uint32_t display_crc32(uint32_t crc, const void *data, size_t len)
{
	static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8,
		0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	const uint8_t *p = data;

	crc = ~crc;
	while (len-- > 0) {
		crc ^= *p++;
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

uint32_t display_peer_crc(const struct display_peer *d, uint32_t scanout)
{
	const struct display_picture *p = &d->screens[scanout % DISPLAY_PEER_SCREENS].shown;
	uint32_t crc = 0;

	for (size_t i = 0; i < (size_t)p->width * p->height; i++) {
		uint32_t xrgb = p->pixels[i];
		uint8_t rgb[3] = {(uint8_t)(xrgb >> 16), (uint8_t)(xrgb >> 8), (uint8_t)xrgb};

		crc = display_crc32(crc, rgb, sizeof(rgb));
	}
	return crc;
}

uint32_t display_peer_pixel(const struct display_peer *d, uint32_t scanout, uint32_t x, uint32_t y)
{
	const struct display_picture *p = &d->screens[scanout % DISPLAY_PEER_SCREENS].shown;

	if (x >= p->width || y >= p->height)
		return 0;
	return p->pixels[(size_t)y * p->width + x] & 0xffffff;
}
