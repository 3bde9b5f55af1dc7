/* SPDX-License-Identifier: MIT */
/* What QEMU's display is told next, made from what has changed, and how its pixels get there. */
#define LOG_TOPIC "display"
#include "display_qemu.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/dbuf.h"
#include "common/log.h"
#include "pixels.h"

void display_qemu_shown(struct gpu_cmd **cmd)
{
	struct gpu_cmd *done = *cmd;

	*cmd = NULL;
	if (done)
		gpu_cmd_shown(done);
}

void display_qemu_sent(struct head *h)
{
	h->update = ASKING;
	h->sending.n = 0;
	dbuf_unref(h->sent.buf);
	h->sent.buf = NULL;
	if (h->sent_for && !h->sent_for->till_drawn)
		display_qemu_shown(&h->sent_for);
}

/* ---- making the next message ---- */

static void put(struct message *m, uint32_t request, const void *payload, uint32_t size)
{
	m->bytes.hdr = (struct vhost_user_gpu_header){.request = request, .size = size};
	if (size)
		memcpy(m->bytes.payload, payload, size);
	m->len = sizeof(m->bytes.hdr) + size;
	m->sent = 0;
}

static bool expect(struct display_qemu *d, enum reply what, uint32_t request, struct head *head)
{
	if (d->expected_to - d->expected_from == REPLIES_MAX)
		return false;
	d->expected[d->expected_to++ % REPLIES_MAX] = (struct expected){what, request, head};
	return true;
}

static bool make_hello(struct display_qemu *d)
{
	const uint64_t wanted = d->features
		& (BIT(VHOST_USER_GPU_PROTOCOL_F_EDID) | BIT(VHOST_USER_GPU_PROTOCOL_F_DMABUF2));

	if (!d->hello_sent) {
		d->hello_sent = expect(d, REPLY_HELLO, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, NULL);
		put(&d->out, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, NULL, 0);
		return true;
	}
	if (d->hello_done && !d->features_sent) {
		d->features_sent = true;
		put(&d->out, VHOST_USER_GPU_SET_PROTOCOL_FEATURES, &wanted, sizeof(wanted));
		return true;
	}
	return false;
}

static bool make_query(struct display_qemu *d)
{
	struct gpu_cmd *cmd = TAILQ_FIRST(&d->to_ask);
	uint32_t request = VHOST_USER_GPU_GET_DISPLAY_INFO, size = 0;
	struct vhost_user_gpu_edid_request edid;

	if (!cmd || !d->features_sent)
		return false;
	if (cmd->r.hdr.type == VIRTIO_GPU_CMD_GET_EDID) {
		request = VHOST_USER_GPU_GET_EDID;
		edid.scanout_id = cmd->r.get_edid.scanout_id;
		size = sizeof(edid);
	}
	if (!expect(d, REPLY_QUERY, request, NULL))
		return false;
	TAILQ_REMOVE(&d->to_ask, cmd, link);
	TAILQ_INSERT_TAIL(&d->asked, cmd, link);
	d->n_asked++;
	put(&d->out, request, &edid, size);
	return true;
}

static bool make_cursor(struct display_qemu *d, struct head *h)
{
	if (!h->cursor_changed && !h->cursor_moved)
		return false;
	if (!h->cursor_visible)
		put(&d->out, VHOST_USER_GPU_CURSOR_POS_HIDE, &h->cursor->pos,
			sizeof(h->cursor->pos));
	else if (h->cursor_changed)
		put(&d->out, VHOST_USER_GPU_CURSOR_UPDATE, h->cursor, sizeof(*h->cursor));
	else
		put(&d->out, VHOST_USER_GPU_CURSOR_POS, &h->cursor->pos, sizeof(h->cursor->pos));
	h->cursor_changed = h->cursor_moved = false;
	return true;
}

/* ---- as a dmabuf ---- */

/* Without a modifier QEMU takes the memory for linear, or asks the driver. */
bool display_qemu_takes(const struct display_qemu *d, const struct dbuf *dmabuf)
{
	return d->features_sent
		&& (!dmabuf || d->features & BIT(VHOST_USER_GPU_PROTOCOL_F_DMABUF2)
			|| dmabuf->modifier == DRM_FORMAT_MOD_LINEAR
			|| dmabuf->modifier == DRM_FORMAT_MOD_INVALID);
}

static bool by_dmabuf(const struct display_qemu *d, const struct head *h)
{
	return h->frame.dmabuf && display_qemu_takes(d, h->frame.dmabuf);
}

/* It is not known yet. */
static bool undecided(const struct display_qemu *d, const struct head *h)
{
	return h->frame.dmabuf && !d->features_sent;
}

/* The first message of a dmabuf has no offset: all of it is shown. */
static void make_dmabuf_scanout(struct display_qemu *d, struct head *h)
{
	const struct dbuf *b = h->frame.dmabuf;
	const bool two = d->features & BIT(VHOST_USER_GPU_PROTOCOL_F_DMABUF2)
		&& b->modifier != DRM_FORMAT_MOD_INVALID;
	const struct vhost_user_gpu_dmabuf_scanout2 msg = {
		.scanout = {.scanout_id = (uint32_t)(h - d->heads),
			.width = b->width,
			.height = b->height,
			.fd_width = b->width,
			.fd_height = b->height,
			.fd_stride = b->stride,
			.fd_flags = b->flipped ? VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP : 0,
			.fd_drm_fourcc = (int32_t)b->fourcc},
		.modifier = b->modifier};

	if (!h->by_dmabuf)
		log_info("scanout %u: %ux%u as it lies, in %.4s, modifier 0x%llx",
			msg.scanout.scanout_id, b->width, b->height, (const char *)&b->fourcc,
			(unsigned long long)b->modifier);
	h->dmabuf_changed = false;
	h->by_dmabuf = true;
	put(&d->out, two ? VHOST_USER_GPU_DMABUF_SCANOUT2 : VHOST_USER_GPU_DMABUF_SCANOUT, &msg,
		two ? sizeof(msg) : sizeof(msg.scanout));
	d->out.dmabuf = dbuf_ref(h->frame.dmabuf);
}

/* QEMU lets go of the dmabuf. */
static void make_dmabuf_off(struct display_qemu *d, struct head *h)
{
	const struct vhost_user_gpu_dmabuf_scanout msg = {.scanout_id = (uint32_t)(h - d->heads)};

	h->by_dmabuf = false;
	put(&d->out, VHOST_USER_GPU_DMABUF_SCANOUT, &msg, sizeof(msg));
}

/* Its acknowledgement ends the flush, and lets the next one begin. */
static bool make_dmabuf_update(struct display_qemu *d, struct head *h)
{
	struct vhost_user_gpu_update msg;
	struct gpu_rect r;

	if (!h->armed || d->showing)
		return false;
	if (h->dmabuf_changed) {
		make_dmabuf_scanout(d, h);
		return true;
	}
	r = damage_bounds(&h->damage);
	msg = (struct vhost_user_gpu_update){(uint32_t)(h - d->heads), r.x, r.y, r.width, r.height};
	h->damage.n = 0;
	h->armed = false;
	h->sent_for = h->waiting;
	h->waiting = NULL;
	h->update = UNACKNOWLEDGED;
	d->showing = h;
	put(&d->out, VHOST_USER_GPU_DMABUF_UPDATE, &msg, sizeof(msg));
	return true;
}

/* ---- as pixels ---- */

static bool make_scanout(struct display_qemu *d, struct head *h)
{
	const struct vhost_user_gpu_scanout msg = {
		(uint32_t)(h - d->heads), h->frame.rect.width, h->frame.rect.height};

	if (!h->mode_changed || undecided(d, h) || by_dmabuf(d, h))
		return false;
	if (h->by_dmabuf && !h->frame.buf) {
		make_dmabuf_off(d, h);
		return true;
	}
	h->mode_changed = h->by_dmabuf = false;
	h->new_surface = true;
	h->width = msg.width;
	h->height = msg.height;
	put(&d->out, VHOST_USER_GPU_SCANOUT, &msg, sizeof(msg));
	return true;
}

/*
 * Takes the next rectangle of the update, or so many rows of it as QEMU may read at once: it reads a
 * message with its big lock held, into memory of that size. What comes first on a new surface is
 * not cut: QEMU shows the surface from then on.
 */
static struct gpu_rect take_rect(struct head *h)
{
	struct gpu_rect *rest = &h->sending.rects[h->sending.n - 1], r = *rest;
	uint32_t rows = BAND_BYTES / (r.width * BYTES_A_PIXEL);

	if (h->new_surface || rows >= r.height) {
		h->new_surface = false;
		h->sending.n--;
		return r;
	}
	r.height = rows ? rows : 1;
	rest->y += r.height;
	rest->height -= r.height;
	return r;
}

/* The pixels are read as the socket takes them. */
static void make_rect(struct display_qemu *d, struct head *h)
{
	const struct gpu_rect r = take_rect(h);
	const struct vhost_user_gpu_update msg = {
		(uint32_t)(h - d->heads), r.x, r.y, r.width, r.height};
	struct message *m = &d->out;

	put(m, VHOST_USER_GPU_UPDATE, &msg, sizeof(msg));
	m->bytes.hdr.size += r.width * r.height * BYTES_A_PIXEL;
	m->buf = dbuf_ref(h->sent.buf);
	m->rect = (struct gpu_rect){h->sent.rect.x + r.x, h->sent.rect.y + r.y, r.width, r.height};
	m->head = h;
	m->stage_from = m->stage_to = 0;
}

static bool make_update(struct display_qemu *d, struct head *h)
{
	if (undecided(d, h))
		return false;
	if (h->update == IDLE && by_dmabuf(d, h))
		return make_dmabuf_update(d, h);
	if (h->update == IDLE && h->armed && h->frame.buf) {
		h->sending = h->damage;
		h->damage.n = 0;
		h->armed = false;
		h->sent = h->frame;
		dbuf_ref(h->sent.buf);
		h->sent_for = h->waiting;
		h->waiting = NULL;
		h->update = SENDING;
	}
	if (h->update == SENDING && h->sending.n) {
		make_rect(d, h);
		return true;
	}
	if (h->update == ASKING
		&& expect(d, REPLY_SHOWN, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, h)) {
		h->update = UNACKNOWLEDGED;
		put(&d->out, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, NULL, 0);
		return true;
	}
	return false;
}

static bool make_next(struct display_qemu *d)
{
	if (make_hello(d) || make_query(d))
		return true;
	for (unsigned i = 0; i < HEADS; i++)
		if (make_cursor(d, &d->heads[i]))
			return true;
	for (unsigned i = 0; i < HEADS; i++)
		if (make_scanout(d, &d->heads[i]) || make_update(d, &d->heads[i]))
			return true;
	return false;
}

/* ---- sending it ---- */

static size_t pixel_bytes(const struct message *m)
{
	return m->buf ? (size_t)m->rect.width * m->rect.height * BYTES_A_PIXEL : 0;
}

/* Rows [y, stage_to) of the message, converted. */
static const uint8_t *staged_row(struct message *m, uint32_t y)
{
	const uint32_t stride = m->rect.width * BYTES_A_PIXEL;
	uint32_t rows = STAGE_BYTES / stride ? STAGE_BYTES / stride : 1;

	if (y < m->stage_from || y >= m->stage_to) {
		m->stage_from = y;
		m->stage_to = (uint32_t)min_u64(m->rect.height, (uint64_t)y + rows);
		const struct gpu_rect r = {
			m->rect.x, m->rect.y + y, m->rect.width, m->stage_to - y};
		pixels_to_xrgb(m->buf, &r, (uint32_t *)(void *)m->stage, stride);
	}
	return m->stage + (size_t)(y - m->stage_from) * stride;
}

static const uint8_t *row_at(struct message *m, uint32_t y)
{
	if (!pixels_are_xrgb(m->buf))
		return staged_row(m, y);
	return m->buf->map + (size_t)(m->rect.y + y) * m->buf->stride
		+ (size_t)m->rect.x * BYTES_A_PIXEL;
}

/* What comes next, in at most ROWS_A_SEND pieces that follow one another. */
static unsigned gather(struct message *m, struct iovec *iov)
{
	const size_t stride = (size_t)m->rect.width * BYTES_A_PIXEL;
	size_t at = m->sent < m->len ? 0 : m->sent - m->len;
	unsigned n = 0;

	if (m->sent < m->len)
		iov[n++] = (struct iovec){(uint8_t *)&m->bytes + m->sent, m->len - m->sent};
	if (!m->buf)
		return n;
	for (uint32_t y = (uint32_t)(at / stride); y < m->rect.height && n < ROWS_A_SEND; y++) {
		size_t skip = at % stride;
		uint8_t *row = (uint8_t *)(uintptr_t)row_at(m, y) + skip;

		if (m->stage_to && y + 1 == m->stage_to && y + 1 < m->rect.height) {
			iov[n++] = (struct iovec){row, stride - skip};
			return n; // the next row would overwrite these
		}
		at += stride - skip;
		if (n && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == row)
			iov[n - 1].iov_len += stride - skip;
		else
			iov[n++] = (struct iovec){row, stride - skip};
	}
	return n;
}

void display_qemu_message_done(struct message *m)
{
	struct head *h = m->head;

	dbuf_unref(m->buf);
	dbuf_unref(m->dmabuf);
	m->buf = m->dmabuf = NULL;
	m->head = NULL;
	m->len = 0;
	if (h && h->update == SENDING && !h->sending.n)
		display_qemu_sent(h);
}

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

static void attach(struct msghdr *mh, union control *control, int fd)
{
	memset(control, 0, sizeof(*control));
	control->align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(fd)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control->align), &fd, sizeof(fd));
	mh->msg_control = control;
	mh->msg_controllen = sizeof(*control);
}

/* Pixels in guest memory that a front-end has taken away under us: the fault handler puts empty pages there,
 * which the kernel alone does not ask for. */
static void touch(const struct iovec *iov, size_t n)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < n; i++)
		for (size_t at = 0; at < iov[i].iov_len; at += page)
			(void)*((const volatile uint8_t *)iov[i].iov_base + at);
	for (size_t i = 0; i < n; i++)
		if (iov[i].iov_len)
			(void)*((const volatile uint8_t *)iov[i].iov_base + iov[i].iov_len - 1);
}

int display_qemu_send(struct display_qemu *d)
{
	struct message *m = &d->out;
	struct iovec iov[ROWS_A_SEND + 1];
	struct msghdr mh = {.msg_iov = iov};
	union control control;
	ssize_t n;

	if (!m->len && !make_next(d))
		return 0;
	mh.msg_iovlen = gather(m, iov);
	if (m->dmabuf && !m->sent)
		attach(&mh, &control, m->dmabuf->fd);
	n = sendmsg(d->sock, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EFAULT) {
		touch(iov, mh.msg_iovlen);
		return 1;
	}
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	m->sent += (size_t)n;
	if (m->sent == m->len + pixel_bytes(m))
		display_qemu_message_done(m);
	return 1;
}
