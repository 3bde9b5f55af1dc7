/* SPDX-License-Identifier: MIT */
/* The messages of a front-end: one table, checked before a handler runs. */
#define LOG_TOPIC "vhu"
#include "vhu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "bytes.h"
#include "fd.h"
#include "log.h"
#include "vhu_internal.h"

enum { MESSAGES_A_TURN = 16, RING_RESET_BIT = 40 };

/* What the core carries for every device. */
#define RING_FEATURES                                                                              \
	(BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) \
		| BIT(RING_RESET_BIT) | BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define CORE_PROTOCOL                                                                              \
	(BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)                      \
		| BIT(VHOST_USER_PROTOCOL_F_BACKEND_REQ)                                           \
		| BIT(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD)                                       \
		| BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE)                                          \
		| BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)                                   \
		| BIT(VHOST_USER_PROTOCOL_F_GPA_ADDRESSES))

static uint64_t offered_protocol(const struct vhu *v)
{
	uint64_t config = v->device->get_config ? BIT(VHOST_USER_PROTOCOL_F_CONFIG) : 0;

	uint64_t shmem = v->device->shmem_size ? BIT(VHOST_USER_PROTOCOL_F_SHMEM) : 0;

	return CORE_PROTOCOL | config | shmem | v->device->protocol_features;
}

/* ---- features ---- */

static int get_features(struct vhu *v, struct vhu_msg *m)
{
	m->p.u64 = v->device->features | RING_FEATURES;
	return 0;
}

/* Front-ends set ring features that they were not offered; all that exist are honoured anyway. */
static int set_features(struct vhu *v, struct vhu_msg *m)
{
	v->features = m->p.u64;
	if (!(v->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
		for (unsigned i = 0; i < v->device->n_queues; i++)
			vhu_queue_enable(&v->queues[i], true);
	return 0;
}

static int get_protocol_features(struct vhu *v, struct vhu_msg *m)
{
	m->p.u64 = offered_protocol(v);
	return 0;
}

static int set_protocol_features(struct vhu *v, struct vhu_msg *m)
{
	if (m->p.u64 & ~offered_protocol(v))
		log_info("%s: the front-end sets protocol features that were not offered: 0x%llx",
			v->device->name, (unsigned long long)(m->p.u64 & ~offered_protocol(v)));
	v->protocol_features = m->p.u64 & offered_protocol(v);
	return 0;
}

static int get_queue_num(struct vhu *v, struct vhu_msg *m)
{
	m->p.u64 = v->device->n_queues;
	return 0;
}

static int accept_silently(struct vhu *v, struct vhu_msg *m)
{
	(void)v;
	(void)m;
	return 0;
}

/* ---- memory ---- */

/* Swaps the map. A ring that is not in the new one rests until it is in one again. */
static void use_memory(struct vhu *v, struct gmem *mem)
{
	gmem_unref(v->mem);
	v->mem = mem;
	for (unsigned i = 0; i < v->device->n_queues; i++) {
		struct vhu_queue *q = &v->queues[i];

		if (q->started && vq_move(&q->vq, mem) == 0)
			loop_defer(v->loop, &q->turn);
	}
	if (v->device->memory)
		v->device->memory(v->dev, mem);
}

static struct gmem_desc region_desc(const struct vhost_user_region *r)
{
	return (struct gmem_desc){r->guest_addr, r->size, r->user_addr, r->mmap_offset};
}

static_assert(VHOST_USER_MAX_FDS <= VHOST_USER_MAX_REGIONS, "one descriptor a region bounds both");

static int set_mem_table(struct vhu *v, struct vhu_msg *m)
{
	const struct vhost_user_mem_table *t = &m->p.table;
	struct gmem *mem = gmem_create();
	int r = 0;

	if (!mem)
		return -ENOMEM;
	if (t->nregions != m->n_fds || m->hdr.size < 8 + t->nregions * sizeof(t->regions[0]))
		r = -EINVAL;
	for (unsigned i = 0; r == 0 && i < t->nregions; i++) {
		struct gmem_desc desc = region_desc(&t->regions[i]);
		struct gmem *more;

		r = gmem_add(mem, &desc, m->fds[i], &more);
		if (r < 0)
			break;
		gmem_unref(mem);
		mem = more;
	}
	if (r < 0) {
		gmem_unref(mem);
		return r;
	}
	use_memory(v, mem);
	return 0;
}

static int get_max_mem_slots(struct vhu *v, struct vhu_msg *m)
{
	(void)v;
	m->p.u64 = GMEM_MAX_REGIONS;
	return 0;
}

static int add_mem_reg(struct vhu *v, struct vhu_msg *m)
{
	struct gmem_desc desc = region_desc(&m->p.reg.region);
	struct gmem *mem;
	int r = m->n_fds == 1 ? gmem_add(v->mem, &desc, m->fds[0], &mem) : -EINVAL;

	if (r == 0)
		use_memory(v, mem);
	return r;
}

static int rem_mem_reg(struct vhu *v, struct vhu_msg *m)
{
	struct gmem_desc desc = region_desc(&m->p.reg.region);
	struct gmem *mem;
	int r = gmem_remove(v->mem, &desc, &mem);

	if (r == 0)
		use_memory(v, mem);
	return r;
}

/* ---- rings ---- */

static struct vhu_queue *queue_at(struct vhu *v, uint64_t index)
{
	return index < v->device->n_queues ? &v->queues[index] : NULL;
}

static int set_vring_num(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q = queue_at(v, m->p.state.index);
	uint32_t num = m->p.state.num;

	if (!q || q->started || num < 2 || num > VQ_MAX_SIZE || (num & (num - 1)))
		return -EINVAL;
	q->num = num;
	return 0;
}

/* Addresses are resolved when the ring starts: memory may come later. */
static int set_vring_addr(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q = queue_at(v, m->p.addr.index);

	if (!q || q->started)
		return -EINVAL;
	q->addr = m->p.addr;
	q->has_addr = true;
	return 0;
}

static int set_vring_base(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q = queue_at(v, m->p.state.index);

	if (!q || q->started || m->p.state.num > UINT16_MAX)
		return -EINVAL;
	q->base = (uint16_t)m->p.state.num;
	return 0;
}

static int get_vring_base(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q = queue_at(v, m->p.state.index);

	if (!q)
		return -EINVAL;
	vhu_queue_stop(q, true);
	vhu_queue_set_kick(q, -1);
	m->p.state.num = q->base;
	return 0;
}

/* The ring and the descriptor of a KICK, CALL or ERR message; *fd is taken out of it. */
static int vring_fd(struct vhu *v, struct vhu_msg *m, struct vhu_queue **q, int *fd)
{
	bool nofd = m->p.u64 & VHOST_USER_VRING_NOFD;

	*q = queue_at(v, m->p.u64 & VHOST_USER_VRING_INDEX_MASK);
	if (!*q || m->n_fds != (nofd ? 0u : 1u)
		|| m->p.u64 & ~(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NOFD))
		return -EINVAL;
	*fd = nofd ? -1 : fd_take(&m->fds[0]);
	return 0;
}

static int set_vring_kick(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q;
	int fd, r = vring_fd(v, m, &q, &fd);

	if (r < 0)
		return r;
	if (fd < 0) {
		log_info("%s: ring %u without a kick descriptor: polling is not supported",
			v->device->name, q->index);
		return -ENOTSUP;
	}
	return vhu_queue_set_kick(q, fd);
}

/* call and err are signalled by us: the peer must not be able to make that block. */
static int keep_signal_fd(int *kept, int fd)
{
	int r = fd < 0 ? 0 : fd_set_nonblock(fd);

	fd_close(kept);
	*kept = fd;
	return r;
}

static int set_vring_call(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q;
	int fd, r = vring_fd(v, m, &q, &fd);

	return r < 0 ? r : keep_signal_fd(&q->call, fd);
}

static int set_vring_err(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q;
	int fd, r = vring_fd(v, m, &q, &fd);

	return r < 0 ? r : keep_signal_fd(&q->err, fd);
}

static int set_vring_enable(struct vhu *v, struct vhu_msg *m)
{
	struct vhu_queue *q = queue_at(v, m->p.state.index);

	if (!q || m->p.state.num > 1)
		return -EINVAL;
	vhu_queue_enable(q, m->p.state.num);
	return m->p.state.num ? vhu_queue_start(q) : 0;
}

/* ---- the device ---- */

void vhu_reset(struct vhu *v)
{
	v->device->reset(v->dev);
	vhu_backend_reset(v);
}

static void reset_device(struct vhu *v)
{
	for (unsigned i = 0; i < v->device->n_queues; i++) {
		vhu_queue_stop(&v->queues[i], false);
		v->queues[i].enabled = false;
		v->queues[i].was_stopped = false;
	}
	v->status = 0;
	vhu_reset(v);
}

static int run_reset_device(struct vhu *v, struct vhu_msg *m)
{
	(void)m;
	reset_device(v);
	return 0;
}

static int set_status(struct vhu *v, struct vhu_msg *m)
{
	if (m->p.u64 > UINT8_MAX)
		return -EINVAL;
	if (m->p.u64 == 0)
		reset_device(v);
	v->status = m->p.u64;
	return 0;
}

static int get_status(struct vhu *v, struct vhu_msg *m)
{
	m->p.u64 = v->status;
	for (unsigned i = 0; i < v->device->n_queues; i++)
		if (v->queues[i].started && v->queues[i].vq.broken)
			m->p.u64 |= VIRTIO_CONFIG_S_NEEDS_RESET;
	return 0;
}

/* Any offset and length: what lies beyond the device's own space reads as zero. */
static int get_config(struct vhu *v, struct vhu_msg *m)
{
	struct vhost_user_config *c = &m->p.config;
	uint8_t space[VHOST_USER_MAX_CONFIG_SIZE] = {0};

	if (c->size > sizeof(space) || m->hdr.size != VHOST_USER_CONFIG_HEADER_SIZE + c->size)
		return -EINVAL;
	v->device->get_config(v->dev, space);
	memset(c->data, 0, c->size);
	if (c->offset < sizeof(space))
		memcpy(c->data, space + c->offset, min_u64(c->size, sizeof(space) - c->offset));
	return 0;
}

static int set_config(struct vhu *v, struct vhu_msg *m)
{
	const struct vhost_user_config *c = &m->p.config;

	if (m->hdr.size != VHOST_USER_CONFIG_HEADER_SIZE + (uint64_t)c->size
		|| !range_within(c->offset, c->size, sizeof(c->data)))
		return -EINVAL;
	if (v->device->set_config)
		v->device->set_config(v->dev, c->offset, c->data, c->size);
	return 0;
}

static int gpu_set_socket(struct vhu *v, struct vhu_msg *m)
{
	if (!v->device->gpu_socket || m->n_fds != 1)
		return -EINVAL;
	v->device->gpu_socket(v->dev, fd_take(&m->fds[0]));
	return 0;
}

/* Comes at any time and again. */
static int set_backend_req_fd(struct vhu *v, struct vhu_msg *m)
{
	return m->n_fds == 1 ? vhu_backend_set(v, fd_take(&m->fds[0])) : -EINVAL;
}

static int get_shmem_config(struct vhu *v, struct vhu_msg *m)
{
	m->p.shmem_config = (struct vhost_user_shmem_config){.nregions = 1};
	m->p.shmem_config.sizes[v->device->shmem_id] = v->device->shmem_size;
	m->hdr.size = sizeof(m->p.shmem_config);
	return 0;
}

/* ---- the table ---- */

enum { ANY = -1, NO_GATE = -1 };

struct message {
	int size;   // of the payload; ANY: the handler looks
	int fds;    // at most
	bool reply; // answers with the payload that the handler leaves
	int gate;   // protocol feature without which it is refused
	int (*run)(struct vhu *v, struct vhu_msg *m);
};

#define PROTO(name) VHOST_USER_PROTOCOL_F_##name

static const struct message messages[VHOST_USER_REQUEST_COUNT] = {
	[VHOST_USER_GET_FEATURES] = {0, 0, true, NO_GATE, get_features},
	[VHOST_USER_SET_FEATURES] = {8, 0, false, NO_GATE, set_features},
	[VHOST_USER_SET_OWNER] = {0, 0, false, NO_GATE, accept_silently},
	[VHOST_USER_RESET_OWNER] = {0, 0, false, NO_GATE, accept_silently},
	[VHOST_USER_SET_MEM_TABLE] = {ANY, VHOST_USER_MAX_FDS, false, NO_GATE, set_mem_table},
	[VHOST_USER_SET_VRING_NUM] = {8, 0, false, NO_GATE, set_vring_num},
	[VHOST_USER_SET_VRING_ADDR] = {40, 0, false, NO_GATE, set_vring_addr},
	[VHOST_USER_SET_VRING_BASE] = {8, 0, false, NO_GATE, set_vring_base},
	[VHOST_USER_GET_VRING_BASE] = {8, 0, true, NO_GATE, get_vring_base},
	[VHOST_USER_SET_VRING_KICK] = {8, 1, false, NO_GATE, set_vring_kick},
	[VHOST_USER_SET_VRING_CALL] = {8, 1, false, NO_GATE, set_vring_call},
	[VHOST_USER_SET_VRING_ERR] = {8, 1, false, NO_GATE, set_vring_err},
	[VHOST_USER_GET_PROTOCOL_FEATURES] = {0, 0, true, NO_GATE, get_protocol_features},
	[VHOST_USER_SET_PROTOCOL_FEATURES] = {8, 0, false, NO_GATE, set_protocol_features},
	[VHOST_USER_GET_QUEUE_NUM] = {0, 0, true, PROTO(MQ), get_queue_num},
	[VHOST_USER_SET_VRING_ENABLE] = {8, 0, false, NO_GATE, set_vring_enable},
	[VHOST_USER_SET_BACKEND_REQ_FD] = {0, 1, false, PROTO(BACKEND_REQ), set_backend_req_fd},
	[VHOST_USER_GET_CONFIG] = {ANY, 0, true, PROTO(CONFIG), get_config},
	[VHOST_USER_SET_CONFIG] = {ANY, 0, false, PROTO(CONFIG), set_config},
	[VHOST_USER_GPU_SET_SOCKET] = {ANY, 1, false, NO_GATE, gpu_set_socket},
	[VHOST_USER_RESET_DEVICE] = {0, 0, false, PROTO(RESET_DEVICE), run_reset_device},
	[VHOST_USER_GET_MAX_MEM_SLOTS] = {0, 0, true, PROTO(CONFIGURE_MEM_SLOTS),
		get_max_mem_slots},
	[VHOST_USER_ADD_MEM_REG] = {40, 1, false, PROTO(CONFIGURE_MEM_SLOTS), add_mem_reg},
	[VHOST_USER_REM_MEM_REG] = {40, 1, false, PROTO(CONFIGURE_MEM_SLOTS), rem_mem_reg},
	[VHOST_USER_SET_STATUS] = {8, 0, false, PROTO(STATUS), set_status},
	[VHOST_USER_GET_STATUS] = {0, 0, true, PROTO(STATUS), get_status},
	[VHOST_USER_GET_SHMEM_CONFIG] = {0, 0, true, PROTO(SHMEM), get_shmem_config},
};

static int check(const struct vhu *v, const struct vhu_msg *m, const struct message *entry)
{
	if (!entry->run)
		return -ENOTSUP;
	if (entry->size != ANY && m->hdr.size != (uint32_t)entry->size)
		return -EINVAL;
	if (m->n_fds > (unsigned)entry->fds)
		return -EINVAL;
	if (entry->gate != NO_GATE && !vhu_has_protocol(v, (unsigned)entry->gate))
		return -ENOTSUP;
	return 0;
}

static int reply(struct vhu *v, struct vhu_msg *m, uint32_t size)
{
	const struct vhost_user_header hdr = {
		m->hdr.request, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, size};

	return vhu_send(v->sock, &hdr, &m->p, NULL, 0);
}

/*
 * A failure goes into the ack where one was asked for; where none was, only leaving tells the peer.
 * A ring that lies outside guest memory (-EFAULT) is the guest's doing: it does not start, no more.
 */
static int answer(struct vhu *v, struct vhu_msg *m, const struct message *entry, int r)
{
	bool ack = m->hdr.flags & VHOST_USER_NEED_REPLY_MASK
		&& vhu_has_protocol(v, VHOST_USER_PROTOCOL_F_REPLY_ACK);

	if (r < 0)
		log_info("%s: front-end request %u of %u bytes refused: %s", v->device->name,
			m->hdr.request, m->hdr.size, strerror(-r));
	if (entry->reply && r == 0)
		return reply(v, m, m->hdr.size ? m->hdr.size : sizeof(m->p.u64));
	if (entry->reply || !ack)
		return r == -EFAULT ? 0 : r;
	m->p.u64 = (uint64_t)-r;
	return reply(v, m, sizeof(m->p.u64));
}

static int dispatch(struct vhu *v, struct vhu_msg *m)
{
	static const struct message unknown;
	const struct message *entry =
		m->hdr.request < VHOST_USER_REQUEST_COUNT ? &messages[m->hdr.request] : &unknown;
	int r = check(v, m, entry);

	if (r == 0)
		r = entry->run(v, m);
	return answer(v, m, entry, r);
}

/* ---- the connection ---- */

static void leave(struct vhu *v, const char *why)
{
	log_info("%s: front-end %s", v->device->name, why);
	loop_remove(&v->source);
	v->closed(v->closed_arg);
}

static void on_message(struct loop_source *source, uint32_t events)
{
	struct vhu *v = CONTAINER_OF(source, struct vhu, source);

	(void)events;
	for (unsigned i = 0; i < MESSAGES_A_TURN; i++) {
		int r = vhu_reader_read(&v->reader, v->sock);

		if (r == -EAGAIN)
			return;
		if (r <= 0) {
			leave(v, r ? "sent away: it broke the protocol" : "left");
			return;
		}
		r = dispatch(v, &v->reader.msg);
		vhu_reader_reset(&v->reader);
		if (r < 0) {
			leave(v, "sent away: a request failed and no ack was asked for");
			return;
		}
	}
}

struct vhu *vhu_create(struct loop *loop, int sock, const struct vhu_device *device, void *dev,
	void (*closed)(void *closed_arg), void *closed_arg)
{
	struct vhu *v = calloc(1, sizeof(*v) + device->n_queues * sizeof(v->queues[0]));

	if (!v) {
		fd_close(&sock);
		return NULL;
	}
	*v = (struct vhu){.loop = loop,
		.device = device,
		.dev = dev,
		.closed = closed,
		.closed_arg = closed_arg,
		.sock = sock,
		.mem = gmem_create()};
	v->source.fd = sock;
	v->source.ready = on_message;
	vhu_backend_init(v);
	for (unsigned i = 0; i < device->n_queues; i++)
		vhu_queue_init(&v->queues[i], v, i);
	if (!v->mem || fd_set_nonblock(sock) < 0 || loop_add(loop, &v->source, EPOLLIN) < 0) {
		vhu_destroy(v);
		return NULL;
	}
	if (device->connection)
		device->connection(dev, v);
	return v;
}

void vhu_destroy(struct vhu *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < v->device->n_queues; i++)
		vhu_queue_reset(&v->queues[i]);
	v->device->reset(v->dev);
	vhu_backend_finish(v);
	if (v->device->connection)
		v->device->connection(v->dev, NULL);
	if (v->device->gpu_socket)
		v->device->gpu_socket(v->dev, -1);
	loop_remove(&v->source);
	vhu_reader_reset(&v->reader);
	gmem_unref(v->mem);
	fd_close(&v->sock);
	free(v);
}

bool vhu_has_feature(const struct vhu *v, unsigned bit)
{
	return v->features >> bit & 1;
}

struct gmem *vhu_memory(struct vhu *v)
{
	return v->mem;
}
