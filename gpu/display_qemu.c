/* SPDX-License-Identifier: MIT */
/*
 * QEMU's window. QEMU sends a new socket each time the driver starts and closes it at each reset;
 * what is to be seen is kept here, so that a new socket is shown all of it.
 *
 * Nothing waits for the socket. What to say is state, not a queue: when the socket takes bytes, the
 * next message is made from what has changed (a query, a cursor, a scanout's size, a rectangle of
 * pixels read where they lie), and a message that is half sent is always continued, and so is an
 * update unless the size changes. An update is followed by a GET_PROTOCOL_FEATURES, which QEMU answers
 * when it has drawn: until then no other update of that scanout is begun, and what is flushed
 * meanwhile is merged. A flush is done when its pixels are all in the socket, or, where others wait
 * for it, when QEMU has drawn; one that waits and is followed by another is done at once, as its
 * damage goes with that one.
 */
#define LOG_TOPIC "display"
#include "display_qemu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/dbuf.h"
#include "common/fd.h"
#include "common/log.h"
#include "pixels.h"

static struct display_qemu *of(struct display *d)
{
	return CONTAINER_OF(d, struct display_qemu, display);
}

static void forget_update(struct head *h)
{
	display_qemu_shown(&h->sent_for);
	display_qemu_shown(&h->waiting);
	h->update = IDLE;
	h->sending.n = 0;
	dbuf_unref(h->sent.buf);
	h->sent.buf = NULL;
}

/* ---- sending ---- */

static void disconnect(struct display_qemu *d);

static void want_out(struct display_qemu *d, bool want)
{
	if (want != d->wants_out)
		loop_modify(&d->source, want ? EPOLLIN | EPOLLOUT : EPOLLIN);
	d->wants_out = want;
}

/* Sends as long as the socket takes it, for a while; then the loop calls again. */
static void pump(struct display_qemu *d)
{
	int r = 1;

	if (d->sock < 0)
		return;
	for (unsigned i = 0; i < SENDS_A_TURN && r > 0; i++)
		r = display_qemu_send(d);
	if (r < 0 && r != -EAGAIN)
		disconnect(d);
	else
		want_out(d, r != 0);
}

/* ---- what QEMU answers ---- */

static size_t reply_size(const struct expected *e)
{
	switch (e->request) {
	case VHOST_USER_GPU_GET_DISPLAY_INFO:
		return sizeof(struct virtio_gpu_resp_display_info);
	case VHOST_USER_GPU_GET_EDID:
		return sizeof(struct virtio_gpu_resp_edid);
	default:
		return sizeof(uint64_t);
	}
}

/* The command that the next reply is for; NULL when it has ended meanwhile. */
static struct gpu_cmd *take_asked(struct display_qemu *d)
{
	struct gpu_cmd *cmd = TAILQ_FIRST(&d->asked);

	d->n_asked--;
	if (d->orphans) {
		d->orphans--;
		return NULL;
	}
	TAILQ_REMOVE(&d->asked, cmd, link);
	return cmd;
}

static void on_query_reply(struct display_qemu *d)
{
	struct gpu_cmd *cmd = take_asked(d);

	if (!cmd)
		return;
	if (cmd->r.hdr.type == VIRTIO_GPU_CMD_GET_DISPLAY_INFO)
		gpu_cmd_reply(
			cmd, VIRTIO_GPU_RESP_OK_DISPLAY_INFO, &d->in.info, sizeof(d->in.info));
	else if (le32(d->in.edid.size) <= sizeof(d->in.edid.edid))
		gpu_cmd_reply(cmd, VIRTIO_GPU_RESP_OK_EDID, &d->in.edid, sizeof(d->in.edid));
	else
		gpu_cmd_answer_locally(cmd);
}

/* QEMU says nothing when it is asked for the EDID of a scanout that it does not have. */
static void skip_unanswered(struct display_qemu *d)
{
	if (d->in.hdr.request == VHOST_USER_GPU_DMABUF_UPDATE)
		return;
	while (d->expected_from != d->expected_to && d->in.hdr.request != VHOST_USER_GPU_GET_EDID
		&& d->expected[d->expected_from % REPLIES_MAX].request == VHOST_USER_GPU_GET_EDID) {
		struct gpu_cmd *cmd = take_asked(d);

		d->expected_from++;
		if (cmd)
			gpu_cmd_answer_locally(cmd);
	}
}

static bool can_ask(const struct display_qemu *d, const struct gpu_cmd *cmd)
{
	return cmd->r.hdr.type != VIRTIO_GPU_CMD_GET_EDID || !d->hello_done
		|| d->features & BIT(VHOST_USER_GPU_PROTOCOL_F_EDID);
}

/* Now that its features are known, some questions are not for QEMU. */
static void on_hello(struct display_qemu *d)
{
	struct gpu_cmd *cmd, *next;

	d->features = d->in.u64;
	d->hello_done = true;
	for (cmd = TAILQ_FIRST(&d->to_ask); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, link);
		if (can_ask(d, cmd))
			continue;
		TAILQ_REMOVE(&d->to_ask, cmd, link);
		gpu_cmd_answer_locally(cmd);
	}
}

static void on_reply(struct display_qemu *d)
{
	const struct expected *e = &d->expected[d->expected_from++ % REPLIES_MAX];

	if (e->what == REPLY_HELLO)
		on_hello(d);
	else if (e->what == REPLY_QUERY)
		on_query_reply(d);
	else if (e->head->update == UNACKNOWLEDGED) {
		e->head->update = IDLE;
		log_dbg("scanout %u: drawn", (unsigned)(e->head - d->heads));
		display_qemu_shown(&e->head->sent_for);
	}
}

/* A frame is seen. This may be said before what was asked earlier is answered. */
static void on_seen(struct display_qemu *d)
{
	struct head *h = d->showing;

	d->showing = NULL;
	h->update = IDLE;
	log_dbg("scanout %u: drawn", (unsigned)(h - d->heads));
	display_qemu_shown(&h->sent_for);
}

static int check_reply(const struct display_qemu *d)
{
	const struct expected *e = &d->expected[d->expected_from % REPLIES_MAX];

	if (d->in.hdr.request == VHOST_USER_GPU_DMABUF_UPDATE)
		return d->showing && d->in.hdr.flags & VHOST_USER_GPU_REPLY_MASK && !d->in.hdr.size
			? 0
			: -EPROTO;
	if (d->expected_from == d->expected_to || d->in.hdr.request != e->request
		|| !(d->in.hdr.flags & VHOST_USER_GPU_REPLY_MASK)
		|| d->in.hdr.size != reply_size(e))
		return -EPROTO;
	return 0;
}

/* 1: a reply was taken. 0: QEMU left. */
static int receive(struct display_qemu *d)
{
	const size_t head = sizeof(d->in.hdr);
	size_t want = d->in.have < head ? head : head + d->in.hdr.size;
	char *to = d->in.have < head ? (char *)&d->in.hdr + d->in.have
				     : (char *)&d->in.u64 + (d->in.have - head);
	ssize_t n = recv(d->sock, to, want - d->in.have, MSG_DONTWAIT);

	if (n <= 0)
		return n == 0 ? 0 : errno == EINTR ? 1 : -errno;
	d->in.have += (size_t)n;
	if (d->in.have == head) {
		skip_unanswered(d);
		if (check_reply(d) < 0)
			return -EPROTO;
	}
	if (d->in.have < head || d->in.have < head + d->in.hdr.size)
		return 1;
	d->in.have = 0;
	if (d->in.hdr.request == VHOST_USER_GPU_DMABUF_UPDATE)
		on_seen(d);
	else
		on_reply(d);
	return 1;
}

static void on_socket(struct loop_source *source, uint32_t events)
{
	struct display_qemu *d = CONTAINER_OF(source, struct display_qemu, source);
	int r = 1;

	while (r == 1 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = receive(d);
	if (r == 1 || r == -EAGAIN) {
		pump(d);
		return;
	}
	if (r == -EPROTO)
		log_warn("QEMU's display answered what was not asked: not shown any more");
	disconnect(d);
}

/* ---- the connection ---- */

static void release(struct display *display)
{
	struct display_qemu *d = of(display);
	struct gpu_cmd *cmd;

	for (unsigned i = 0; i < HEADS; i++) {
		display_qemu_shown(&d->heads[i].sent_for);
		display_qemu_shown(&d->heads[i].waiting);
	}
	while ((cmd = TAILQ_FIRST(&d->to_ask))) {
		TAILQ_REMOVE(&d->to_ask, cmd, link);
		gpu_cmd_answer_locally(cmd);
	}
	d->orphans = d->n_asked;
	while ((cmd = TAILQ_FIRST(&d->asked))) {
		TAILQ_REMOVE(&d->asked, cmd, link);
		gpu_cmd_answer_locally(cmd);
	}
}

static void disconnect(struct display_qemu *d)
{
	if (d->sock < 0)
		return;
	loop_remove(&d->source);
	fd_close(&d->sock);
	release(&d->display);
	for (unsigned i = 0; i < HEADS; i++) {
		forget_update(&d->heads[i]);
		d->heads[i].by_dmabuf = false;
	}
	d->showing = NULL;
	display_qemu_message_done(&d->out);
	d->expected_from = d->expected_to = 0;
	d->n_asked = d->orphans = 0;
	d->in.have = 0;
	d->hello_sent = d->hello_done = d->features_sent = d->wants_out = false;
	d->features = 0;
}

static void damage_all(struct head *h)
{
	const struct gpu_rect all = {0, 0, h->frame.rect.width, h->frame.rect.height};

	h->damage.n = 0;
	damage_add(&h->damage, &all);
}

/* A socket that nobody has seen yet is told all of it. */
static void show_all(struct display_qemu *d)
{
	for (unsigned i = 0; i < HEADS; i++) {
		struct head *h = &d->heads[i];

		h->cursor_changed = h->cursor != NULL;
		h->mode_changed = h->frame.buf != NULL;
		h->dmabuf_changed = h->frame.dmabuf != NULL;
		h->width = h->height = 0; // it was not told of any
		if (!h->frame.buf)
			continue;
		damage_all(h);
		h->armed = true;
	}
}

void display_qemu_connect(struct display *display, int fd)
{
	struct display_qemu *d = of(display);

	disconnect(d);
	if (fd < 0)
		return;
	d->sock = d->source.fd = fd;
	if (fd_set_nonblock(fd) < 0 || loop_add(d->loop, &d->source, EPOLLIN) < 0) {
		log_warn("QEMU's display socket cannot be used");
		fd_close(&d->sock);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BYTES}, sizeof(int));
	show_all(d);
	pump(d);
}

/* ---- what the device says ---- */

static void scanout(struct display *display, unsigned id, const struct gpu_frame *frame)
{
	struct display_qemu *d = of(display);
	struct head *h = &d->heads[id];
	const struct gpu_frame old = h->frame;

	h->frame = frame ? *frame : (struct gpu_frame){0};
	if (frame)
		dbuf_ref(frame->buf);
	if (h->frame.dmabuf)
		dbuf_ref(frame->dmabuf);
	dbuf_unref(old.buf);
	dbuf_unref(old.dmabuf);
	h->dmabuf_changed = h->frame.dmabuf != NULL;
	h->stale = true;
	h->damage.n = 0;
	h->armed = false;
	display_qemu_shown(&h->waiting);
	h->mode_changed = h->by_dmabuf || h->frame.rect.width != h->width
		|| h->frame.rect.height != h->height;
	if (h->mode_changed)
		h->sending.n = 0; // the rectangle under way is finished, others are of the past
	if (h->mode_changed && h->update == SENDING && d->out.head != h)
		display_qemu_sent(h);
	if (!frame)
		pump(d);
}

static void flush(
	struct display *display, unsigned id, const struct gpu_rect *damage, struct gpu_cmd *cmd)
{
	struct display_qemu *d = of(display);
	struct head *h = &d->heads[id];

	if (d->sock < 0) {
		gpu_cmd_shown(cmd);
		return;
	}
	if (h->stale)
		damage_all(h);
	else
		damage_add(&h->damage, damage);
	h->stale = false;
	h->armed = true;
	display_qemu_shown(&h->waiting);
	h->waiting = cmd;
	pump(d);
}

static void cursor(struct display *display, unsigned id, const struct gpu_cursor *c)
{
	struct display_qemu *d = of(display);
	struct head *h = &d->heads[id];
	uint32_t hot_x = c->hot_x, hot_y = c->hot_y;

	if (!h->cursor && !c->image)
		return;
	if (!h->cursor)
		h->cursor = calloc(1, sizeof(*h->cursor));
	if (!h->cursor)
		return;
	h->cursor->pos = (struct vhost_user_gpu_cursor_pos){id, c->x, c->y};
	h->cursor_visible = c->image != NULL;
	if (c->image) {
		pixels_to_cursor(
			c->image, h->cursor->data, VHOST_USER_GPU_CURSOR_SIZE, &hot_x, &hot_y);
		h->cursor->hot_x = hot_x;
		h->cursor->hot_y = hot_y;
	}
	h->cursor_changed = true;
	pump(d);
}

static void cursor_move(struct display *display, unsigned id, uint32_t x, uint32_t y)
{
	struct display_qemu *d = of(display);
	struct head *h = &d->heads[id];

	if (!h->cursor)
		return;
	h->cursor->pos = (struct vhost_user_gpu_cursor_pos){id, x, y};
	h->cursor_moved = true;
	pump(d);
}

static bool query(struct display *display, struct gpu_cmd *cmd)
{
	struct display_qemu *d = of(display);

	if (d->sock < 0 || !can_ask(d, cmd))
		return false;
	TAILQ_INSERT_TAIL(&d->to_ask, cmd, link);
	pump(d);
	return true;
}

static bool takes(struct display *display, const struct dbuf *dmabuf)
{
	return display_qemu_takes(of(display), dmabuf);
}

static void destroy(struct display *display)
{
	struct display_qemu *d = of(display);

	disconnect(d);
	for (unsigned i = 0; i < HEADS; i++) {
		dbuf_unref(d->heads[i].frame.buf);
		dbuf_unref(d->heads[i].frame.dmabuf);
		free(d->heads[i].cursor);
	}
	free(d->out.stage);
	free(d);
}

static const struct display_ops ops = {
	.scanout = scanout,
	.flush = flush,
	.cursor = cursor,
	.cursor_move = cursor_move,
	.query = query,
	.takes = takes,
	.release = release,
	.destroy = destroy,
};

struct display *display_qemu_create(struct loop *loop)
{
	struct display_qemu *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	*d = (struct display_qemu){
		.display.ops = &ops, .loop = loop, .sock = -1, .source.ready = on_socket};
	TAILQ_INIT(&d->to_ask);
	TAILQ_INIT(&d->asked);
	d->out.stage = malloc(STAGE_BYTES + 16384 * BYTES_A_PIXEL);
	if (!d->out.stage) {
		free(d);
		return NULL;
	}
	return &d->display;
}
