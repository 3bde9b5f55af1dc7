/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "rig.h"
#include "unit.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/iov.h"

/* ---- the device ---- */

static void on_request(void *dev, unsigned queue, struct vq_req *req)
{
	struct rig_device *d = dev;
	char buf[64];
	size_t n;

	d->requests++;
	d->queue = queue;
	if (d->keep) {
		assert_true(d->n_kept < RIG_KEPT);
		d->kept[d->n_kept++] = req;
		return;
	}
	n = iov_read(vq_req_out(req), req->n_out, 0, buf, sizeof(buf));
	vhu_finish(req, buf, (uint32_t)n);
	if (d->after)
		d->after();
}

static void on_stop(void *dev, unsigned queue)
{
	struct rig_device *d = dev;

	d->stops++;
	d->queue = queue;
	while (d->n_kept)
		vhu_finish(d->kept[--d->n_kept], "stopped", 7);
}

static void on_reset(void *dev)
{
	((struct rig_device *)dev)->resets++;
}

static void on_memory(void *dev, struct gmem *mem)
{
	assert_non_null(mem);
	((struct rig_device *)dev)->memories++;
}

static size_t get_config(void *dev, void *config)
{
	memcpy(config, ((struct rig_device *)dev)->config, RIG_CONFIG_SIZE);
	return RIG_CONFIG_SIZE;
}

static void set_config(void *dev, uint32_t off, const void *bytes, uint32_t len)
{
	struct rig_device *d = dev;

	d->written_off = off;
	d->written_len = len;
	if (off < RIG_CONFIG_SIZE)
		memcpy(d->config + off, bytes,
			len < RIG_CONFIG_SIZE - off ? len : RIG_CONFIG_SIZE - off);
}

static void gpu_socket(void *dev, int fd)
{
	struct rig_device *d = dev;

	if (d->gpu_fd >= 0)
		close(d->gpu_fd);
	d->gpu_fd = fd;
}

static void connection(void *dev, struct vhu *vhu)
{
	((struct rig_device *)dev)->vhu = vhu;
}

static void shmem_answered(void *dev, uint32_t ticket, int result)
{
	struct rig_device *d = dev;

	d->answers[d->n_answers % RIG_KEPT].ticket = ticket;
	d->answers[d->n_answers++ % RIG_KEPT].result = result;
}

const struct vhu_device rig_vhu_device = {
	.name = "rig",
	.n_queues = RIG_QUEUES,
	.features = 5,
	.protocol_features = 1 << VHOST_USER_PROTOCOL_F_STATUS,
	.iov_per_req = 4,
	.request = on_request,
	.queue_stop = on_stop,
	.reset = on_reset,
	.memory = on_memory,
	.get_config = get_config,
	.set_config = set_config,
	.connection = connection,
	.gpu_socket = gpu_socket,
	.shmem_id = 3,
	.shmem_size = RIG_SHMEM_SIZE,
	.shmem_answered = shmem_answered,
};

/* ---- the connection ---- */

static void on_closed(void *arg)
{
	((struct rig *)arg)->closed++;
}

static void connect_both(struct rig *r)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r->fd = pair[0];
	r->closed = 0;
	r->in = (struct vhu_reader){0};
	r->dev = (struct rig_device){.gpu_fd = -1};
	for (unsigned i = 0; i < RIG_CONFIG_SIZE; i++)
		r->dev.config[i] = (uint8_t)(i + 1);
	r->vhu = vhu_create(r->loop, pair[1], &r->device, &r->dev, on_closed, r);
	assert_non_null(r->vhu);
}

static void disconnect(struct rig *r)
{
	vhu_destroy(r->vhu);
	assert_null(r->dev.vhu);
	vhu_reader_reset(&r->in);
	close(r->fd);
	gpu_socket(&r->dev, -1);
	assert_int_equal(r->dev.n_kept, 0);
}

void rig_init(struct rig *r)
{
	*r = (struct rig){.loop = loop_create(), .device = rig_vhu_device};
	assert_non_null(r->loop);
	hand_init(&r->hand, 8);
	r->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	connect_both(r);
}

void rig_finish(struct rig *r)
{
	disconnect(r);
	loop_destroy(r->loop);
	hand_finish(&r->hand);
	close(r->kick);
	close(r->call);
	close(r->err);
}

void rig_reconnect(struct rig *r)
{
	disconnect(r);
	connect_both(r);
}

void rig_turns(struct rig *r)
{
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(loop_turn(r->loop, 0), 0);
}

/* ---- messages ---- */

void rig_send(struct rig *r, struct rig_msg m)
{
	const struct vhost_user_header hdr = {m.request, VHOST_USER_VERSION | m.flags, m.size};

	assert_int_equal(vhu_send(r->fd, &hdr, m.payload, m.fds, m.n_fds), 0);
	rig_turns(r);
}

int rig_reply(struct rig *r)
{
	int n;

	vhu_reader_reset(&r->in);
	n = vhu_reader_read(&r->in, r->fd);
	if (n == -EAGAIN)
		return r->closed ? -1 : 0;
	if (n <= 0)
		return -1;
	assert_int_equal(r->in.msg.hdr.flags, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK);
	return 1;
}

void rig_tell(struct rig *r, struct rig_msg m)
{
	rig_send(r, m);
	assert_int_equal(rig_reply(r), 0);
}

void rig_tell_u64(struct rig *r, uint32_t request, uint64_t value)
{
	rig_tell(r, (struct rig_msg){.request = request, .payload = &value, .size = sizeof(value)});
}

void rig_tell_state(struct rig *r, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state s = {index, num};

	rig_tell(r, (struct rig_msg){.request = request, .payload = &s, .size = sizeof(s)});
}

uint64_t rig_ack(struct rig *r, struct rig_msg m)
{
	m.flags |= VHOST_USER_NEED_REPLY_MASK;
	rig_send(r, m);
	assert_int_equal(rig_reply(r), 1);
	assert_int_equal(r->in.msg.hdr.request, m.request);
	assert_int_equal(r->in.msg.hdr.size, 8);
	assert_int_equal(r->in.msg.n_fds, 0);
	return r->in.msg.p.u64;
}

uint64_t rig_ack_u64(struct rig *r, uint32_t request, uint64_t value)
{
	return rig_ack(
		r, (struct rig_msg){.request = request, .payload = &value, .size = sizeof(value)});
}

uint64_t rig_ack_state(struct rig *r, uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhost_user_vring_state s = {index, num};

	return rig_ack(r, (struct rig_msg){.request = request, .payload = &s, .size = sizeof(s)});
}

void rig_refused(struct rig *r, struct rig_msg m)
{
	unsigned open;

	rig_send(r, m);
	assert_int_equal(rig_reply(r), -1);
	assert_int_equal(r->closed, 1);
	open = count_fds();
	rig_reconnect(r);
	assert_true(count_fds() <= open);
}

uint64_t rig_get(struct rig *r, uint32_t request)
{
	rig_send(r, (struct rig_msg){.request = request});
	assert_int_equal(rig_reply(r), 1);
	assert_int_equal(r->in.msg.hdr.request, request);
	assert_int_equal(r->in.msg.hdr.size, 8);
	return r->in.msg.p.u64;
}

void rig_negotiate(struct rig *r, uint64_t without_protocol)
{
	uint64_t protocol;

	rig_tell_u64(r, VHOST_USER_SET_FEATURES, rig_get(r, VHOST_USER_GET_FEATURES));
	protocol = rig_get(r, VHOST_USER_GET_PROTOCOL_FEATURES);
	protocol &= ~without_protocol & ~(1ull << VHOST_USER_PROTOCOL_F_GPA_ADDRESSES);
	rig_tell_u64(r, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
}

/* ---- memory and rings ---- */

void rig_set_memory(struct rig *r)
{
	struct vhost_user_mem_table table = {.nregions = HAND_REGIONS};
	int fds[HAND_REGIONS];

	for (unsigned i = 0; i < HAND_REGIONS; i++) {
		const struct gmem_desc *d = &r->hand.regions[i].desc;

		table.regions[i] =
			(struct vhost_user_region){d->gpa, d->size, d->uva, d->mmap_offset};
		fds[i] = r->hand.regions[i].fd;
	}
	rig_tell(r,
		(struct rig_msg){.request = VHOST_USER_SET_MEM_TABLE,
			.payload = &table,
			.size = 8 + HAND_REGIONS * sizeof(table.regions[0]),
			.fds = fds,
			.n_fds = HAND_REGIONS});
}

struct vhost_user_vring_addr rig_ring_addr(uint32_t index)
{
	return (struct vhost_user_vring_addr){.index = index,
		.desc = HAND_UVA,
		.avail = HAND_UVA + HAND_AVAIL,
		.used = HAND_UVA + HAND_USED};
}

static void tell_fd(struct rig *r, uint32_t request, uint64_t index, int fd)
{
	rig_tell(r,
		(struct rig_msg){.request = request,
			.payload = &index,
			.size = sizeof(index),
			.fds = &fd,
			.n_fds = 1});
}

void rig_tell_kick(struct rig *r, int fd)
{
	tell_fd(r, VHOST_USER_SET_VRING_KICK, 0, fd);
}

void rig_tell_addr(struct rig *r, struct vhost_user_vring_addr addr)
{
	rig_tell(r,
		(struct rig_msg){.request = VHOST_USER_SET_VRING_ADDR,
			.payload = &addr,
			.size = sizeof(addr)});
}

void rig_start(struct rig *r, uint32_t index, uint16_t base)
{
	rig_tell_state(r, VHOST_USER_SET_VRING_NUM, index, r->hand.size);
	rig_tell_state(r, VHOST_USER_SET_VRING_BASE, index, base);
	rig_tell_addr(r, rig_ring_addr(index));
	tell_fd(r, VHOST_USER_SET_VRING_CALL, index, r->call);
	tell_fd(r, VHOST_USER_SET_VRING_ERR, index, r->err);
	tell_fd(r, VHOST_USER_SET_VRING_KICK, index, r->kick);
	rig_tell_state(r, VHOST_USER_SET_VRING_ENABLE, index, 1);
}

uint32_t rig_stop(struct rig *r, uint32_t index)
{
	const struct vhost_user_vring_state s = {.index = index};

	rig_send(r,
		(struct rig_msg){
			.request = VHOST_USER_GET_VRING_BASE, .payload = &s, .size = sizeof(s)});
	assert_int_equal(rig_reply(r), 1);
	assert_int_equal(r->in.msg.hdr.size, sizeof(s));
	assert_int_equal(r->in.msg.p.state.index, index);
	return r->in.msg.p.state.num;
}

void rig_kick(struct rig *r)
{
	assert_int_equal(eventfd_write(r->kick, 1), 0);
	rig_turns(r);
}

uint64_t rig_count(int fd)
{
	eventfd_t count;

	return eventfd_read(fd, &count) < 0 ? 0 : count;
}
