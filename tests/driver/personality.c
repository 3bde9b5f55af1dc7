/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "personality.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_gpu.h>
#include <string.h>
#include <unistd.h>

#define P(name)         (1ull << VHOST_USER_PROTOCOL_F_##name)
#define P_DEVICE_STATE  (1ull << 19)
#define P_INFLIGHT_BASE (1ull << 20)
#define F_RING_RESET    (1ull << 40)
#define F_RING          (DRV_EVENT_IDX | DRV_INDIRECT)
#define F_ALL           (FRONTEND_FEATURES | FRONTEND_DEVICE_FEATURES)
/* QEMU's own card offers a guest no blobs and no kinds of contexts, whatever we say. */
#define F_CARD     (F_ALL & ~(1ull << VIRTIO_GPU_F_RESOURCE_BLOB | 1ull << VIRTIO_GPU_F_CONTEXT_INIT))
#define SHMEM_SIZE (8 + 256 * 8)

/* The scripts */

static const uint16_t qemu72_realize[] = {STEP_GET_FEATURES, STEP_GET_PROTOCOL, STEP_SET_PROTOCOL,
	STEP_QUEUE_NUM, STEP_MEM_SLOTS, STEP_CHANNEL | STEP_ACK, STEP_OWNER, STEP_GET_FEATURES,
	STEP_CALL, STEP_END};
static const uint16_t qemu72_start[] = {STEP_CONFIG, STEP_GPU_SOCKET, STEP_SET_FEATURES,
	STEP_MEMORY | STEP_ACK, STEP_RINGS, STEP_NUM, STEP_BASE, STEP_ADDR, STEP_KICK, STEP_CALL,
	STEP_RINGS_END, STEP_ENABLE, STEP_INJECT_KICK, STEP_END};
static const uint16_t qemu72_stop[] = {STEP_DISABLE, STEP_GET_BASE, STEP_END};

static const uint16_t qemu10_realize[] = {STEP_GET_FEATURES, STEP_GET_PROTOCOL, STEP_SET_PROTOCOL,
	STEP_QUEUE_NUM, STEP_MEM_SLOTS, STEP_CHANNEL | STEP_ACK, STEP_OWNER, STEP_GET_FEATURES,
	STEP_RINGS, STEP_CALL, STEP_ERR, STEP_RINGS_END, STEP_CONFIG, STEP_END};
static const uint16_t qemu10_start[] = {STEP_GPU_SOCKET, STEP_SET_FEATURES, STEP_STATUS_FEATURES_OK,
	STEP_MEMORY | STEP_ACK, STEP_RINGS, STEP_NUM, STEP_BASE, STEP_ADDR, STEP_KICK, STEP_CALL,
	STEP_RINGS_END, STEP_ENABLE | STEP_ACK, STEP_STATUS_DRIVER_OK, STEP_INJECT_KICK, STEP_END};

/* As recorded from QEMU 11.1.3 (tests/guest/test_messages.py compares). It sends neither DRIVER_OK
 * nor status 0, and its generic device, of which the sound card is one, says nothing at all about a
 * reset. */
static const uint16_t qemu11_realize[] = {STEP_GET_FEATURES, STEP_GET_PROTOCOL, STEP_SET_PROTOCOL,
	STEP_QUEUE_NUM, STEP_MEM_SLOTS, STEP_CHANNEL | STEP_ACK, STEP_OWNER, STEP_GET_FEATURES,
	STEP_RINGS, STEP_CALL | STEP_ACK, STEP_ERR | STEP_ACK, STEP_RINGS_END, STEP_RESET_DEVICE,
	STEP_RESET_DEVICE, STEP_END};
static const uint16_t qemu11_start[] = {STEP_CONFIG, STEP_CONFIG, STEP_GPU_SOCKET,
	STEP_CALL | STEP_ACK, STEP_SET_FEATURES, STEP_STATUS_ADD_FEATURES_OK,
	STEP_MEMORY | STEP_ACK, STEP_RINGS, STEP_NUM, STEP_BASE, STEP_ADDR, STEP_KICK | STEP_ACK,
	STEP_RINGS_END, STEP_ENABLE | STEP_ACK, STEP_CALL | STEP_ACK, STEP_INJECT_KICK, STEP_END};
static const uint16_t qemu11_stop[] = {
	STEP_DISABLE | STEP_ACK, STEP_GET_BASE, STEP_CALL | STEP_ACK, STEP_RESET_DEVICE, STEP_END};

static const uint16_t qemu11_generic_realize[] = {STEP_GET_FEATURES, STEP_GET_PROTOCOL,
	STEP_SET_PROTOCOL, STEP_QUEUE_NUM, STEP_MEM_SLOTS, STEP_CHANNEL | STEP_ACK, STEP_OWNER,
	STEP_GET_FEATURES, STEP_RINGS, STEP_CALL | STEP_ACK, STEP_ERR | STEP_ACK, STEP_RINGS_END,
	STEP_SHMEM, STEP_END};
static const uint16_t qemu11_generic_start[] = {STEP_CONFIG, STEP_CONFIG, STEP_SET_FEATURES,
	STEP_STATUS_ADD_FEATURES_OK, STEP_MEMORY | STEP_ACK, STEP_RINGS, STEP_NUM, STEP_BASE,
	STEP_ADDR, STEP_KICK | STEP_ACK, STEP_CALL | STEP_ACK, STEP_RINGS_END,
	STEP_ENABLE | STEP_ACK, STEP_CALL | STEP_ACK, STEP_INJECT_KICK, STEP_END};
static const uint16_t qemu11_generic_stop[] = {STEP_DISABLE | STEP_ACK, STEP_GET_BASE, STEP_END};

static const uint16_t crosvm_realize[] = {STEP_OWNER, STEP_GET_FEATURES, STEP_GET_PROTOCOL,
	STEP_SET_PROTOCOL, STEP_QUEUE_NUM, STEP_CHANNEL, STEP_SHMEM, STEP_CONFIG, STEP_END};
static const uint16_t crosvm_start[] = {STEP_SET_FEATURES, STEP_MEMORY, STEP_RINGS, STEP_NUM,
	STEP_ADDR, STEP_BASE, STEP_CALL, STEP_KICK, STEP_ENABLE, STEP_RINGS_END, STEP_END};
static const uint16_t crosvm_stop[] = {
	STEP_RINGS, STEP_DISABLE, STEP_GET_BASE, STEP_RINGS_END, STEP_END};

static const uint16_t ch_realize[] = {STEP_OWNER, STEP_GET_FEATURES, STEP_GET_PROTOCOL,
	STEP_SET_PROTOCOL, STEP_QUEUE_NUM, STEP_CONFIG, STEP_END};
static const uint16_t ch_start[] = {STEP_SET_FEATURES, STEP_MEM_TABLE, STEP_NUM, STEP_INFLIGHT,
	STEP_RINGS, STEP_ADDR, STEP_BASE, STEP_CALL, STEP_KICK, STEP_RINGS_END, STEP_ENABLE,
	STEP_CHANNEL, STEP_END};
static const uint16_t ch_stop[] = {STEP_DISABLE, STEP_GET_BASE, STEP_END};

static const uint16_t libkrun_realize[] = {STEP_GET_FEATURES, STEP_GET_PROTOCOL, STEP_SET_PROTOCOL,
	STEP_QUEUE_NUM, STEP_CONFIG, STEP_END};
static const uint16_t libkrun_start[] = {STEP_OWNER, STEP_SET_FEATURES, STEP_MEMORY,
	STEP_GPU_SOCKET, STEP_RINGS, STEP_NUM, STEP_ADDR, STEP_BASE, STEP_CALL, STEP_KICK,
	STEP_ENABLE, STEP_RINGS_END, STEP_END};

const struct personality personalities[] = {
	{.name = "qemu72-gpu",
		.protocol = P(MQ) | P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) | P(BACKEND_SEND_FD)
			| P(CONFIGURE_MEM_SLOTS),
		.features = F_CARD,
		.forced = F_RING,
		.config_size = 16,
		.gpu_socket = true,
		.realize = qemu72_realize,
		.start = qemu72_start,
		.stop = qemu72_stop},
	{.name = "qemu10-gpu",
		.protocol = P(MQ) | P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) | P(BACKEND_SEND_FD)
			| P(CONFIGURE_MEM_SLOTS) | P(RESET_DEVICE) | P(STATUS),
		.features = F_CARD,
		.forced = F_RING | F_RING_RESET,
		.config_size = 16,
		.gpu_socket = true,
		.realize = qemu10_realize,
		.start = qemu10_start,
		.stop = qemu72_stop},
	{.name = "qemu11-gpu",
		.protocol = ~P_INFLIGHT_BASE,
		.features = F_CARD,
		.forced = F_RING | F_RING_RESET,
		.config_size = 20,
		.gpu_socket = true,
		.realize = qemu11_realize,
		.start = qemu11_start,
		.stop = qemu11_stop},
	{.name = "qemu11-generic",
		.protocol = ~P_INFLIGHT_BASE,
		.features = F_ALL,
		.forced = F_RING_RESET,
		.config_size = 20,
		.realize = qemu11_generic_realize,
		.start = qemu11_generic_start,
		.stop = qemu11_generic_stop},
	{.name = "qemu10-snd",
		.protocol = P(MQ) | P(REPLY_ACK) | P(BACKEND_REQ) | P(CONFIG) | P(BACKEND_SEND_FD)
			| P(CONFIGURE_MEM_SLOTS) | P(RESET_DEVICE) | P(STATUS),
		.features = F_ALL,
		.config_size = 12,
		.realize = qemu10_realize,
		.start = qemu10_start,
		.stop = qemu72_stop},
	{.name = "qemu11-snd",
		.protocol = ~P_INFLIGHT_BASE,
		.features = F_ALL,
		.forced = F_RING_RESET,
		.config_size = 12,
		.realize = qemu11_generic_realize,
		.start = qemu11_generic_start,
		.stop = qemu11_generic_stop},
	{.name = "crosvm",
		.protocol = P(CONFIG) | P(MQ) | P(BACKEND_REQ) | P_DEVICE_STATE | P(SHMEM)
			| P(REPLY_ACK),
		.features = F_ALL,
		.config_size = 24,
		.config_piece = 4,
		.realize = crosvm_realize,
		.start = crosvm_start,
		.stop = crosvm_stop},
	{.name = "cloud-hypervisor",
		.protocol = P(CONFIG) | P(MQ) | P(CONFIGURE_MEM_SLOTS) | P(REPLY_ACK)
			| P(INFLIGHT_SHMFD) | P(LOG_SHMFD) | P_DEVICE_STATE | P(BACKEND_REQ),
		.features = FRONTEND_FEATURES,
		.config_size = 16,
		.config_piece = 1,
		.acks = true,
		.realize = ch_realize,
		.start = ch_start,
		.stop = ch_stop},
	{.name = "libkrun",
		.protocol = P(CONFIG) | P(MQ),
		.features = F_ALL,
		.config_size = 16,
		.gpu_socket = true,
		.shared_call = true,
		.realize = libkrun_realize,
		.start = libkrun_start,
		.stop = crosvm_stop},
	{.name = NULL},
};

const struct personality *personality_find(const char *name)
{
	for (const struct personality *p = personalities; p->name; p++) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

/* The steps */

static bool has(const struct personality_run *run, unsigned int bit)
{
	return run->f->protocol >> bit & 1;
}

static int read_config(struct personality_run *run)
{
	uint32_t size = run->config_size ? run->config_size : run->p->config_size;
	uint32_t piece = run->p->config_piece ? run->p->config_piece : size;
	int rc = 0;

	for (uint32_t at = 0; rc == 0 && at < size; at += piece)
		rc = frontend_get_config(run->f, at, piece, run->config + at);
	return rc;
}

static int read_shmem(struct personality_run *run)
{
	struct frontend_reply reply;
	int rc = frontend_ask(run->f, VHOST_USER_GET_SHMEM_CONFIG, NULL, 0, &reply);

	if (rc < 0)
		return rc;
	frontend_reply_close(&reply);
	return reply.header.size == SHMEM_SIZE ? 0 : -EBADMSG;
}

static int pass_inflight(struct personality_run *run)
{
	struct frontend_inflight m = {
		.num_queues = (uint16_t)run->n, .queue_size = (uint16_t)run->rings[0].num};
	struct frontend_reply reply;
	int rc = frontend_ask(run->f, VHOST_USER_GET_INFLIGHT_FD, &m, sizeof(m), &reply);

	if (rc < 0)
		return rc;
	rc = -EBADMSG;
	if (reply.header.size == sizeof(m) && reply.fds.n == 1) {
		memcpy(&m, reply.payload, sizeof(m));
		rc = frontend_tell_fd(
			run->f, VHOST_USER_SET_INFLIGHT_FD, &m, sizeof(m), reply.fds.fd[0]);
	}
	frontend_reply_close(&reply);
	return rc;
}

static int set_features(struct personality_run *run)
{
	struct frontend *f = run->f;
	int rc = frontend_set_features(f, (f->offered & run->p->features) | run->p->forced);

	for (uint32_t i = 0; i < run->n; i++) {
		run->rings[i].features = f->features & F_RING;
		drv_ring_want_calls(&run->rings[i], run->rings[i].calls);
	}
	return rc;
}

static int send_gpu_socket(struct personality_run *run)
{
	int rc = 0;

	if (!run->p->gpu_socket || run->gpu_fd < 0)
		return 0;
	rc = frontend_gpu_set_socket(run->f, run->gpu_fd);
	close(run->gpu_fd);
	run->gpu_fd = -1;
	return rc;
}

/* Regions stay where they are while a device stops, and are not given twice. */
static int give_memory(struct personality_run *run)
{
	bool again = run->memory_given;

	run->memory_given = has(run, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
	return again ? 0 : frontend_set_memory(run->f, run->guest);
}

/* What QEMU 11.1 does for FEATURES_OK. */
static int add_features_ok(struct frontend *f)
{
	uint64_t status;
	int rc = frontend_get_u64(f, VHOST_USER_GET_STATUS, &status);

	if (rc < 0 || status & 8)
		return rc;
	return frontend_set_status(f, (uint8_t)(status | 8));
}

/* Steps that are left out without their protocol feature. */
static int optional_step(struct personality_run *run, int step)
{
	struct frontend *f = run->f;
	uint64_t slots;

	switch (step) {
	case STEP_QUEUE_NUM:
		return frontend_get_u64(f, VHOST_USER_GET_QUEUE_NUM, &run->queue_num);
	case STEP_MEM_SLOTS:
		return frontend_get_u64(f, VHOST_USER_GET_MAX_MEM_SLOTS, &slots);
	case STEP_CHANNEL:
		return frontend_open_channel(f);
	case STEP_CONFIG:
		return read_config(run);
	case STEP_RESET_DEVICE:
		return frontend_reset_device(f);
	case STEP_STATUS_0:
		return frontend_set_status(f, 0);
	case STEP_STATUS_FEATURES_OK:
		return frontend_set_status(f, 0xb);
	case STEP_STATUS_ADD_FEATURES_OK:
		return add_features_ok(f);
	case STEP_STATUS_DRIVER_OK:
		return frontend_set_status(f, 0xf);
	case STEP_SHMEM:
		return read_shmem(run);
	default:
		return pass_inflight(run);
	}
}

static unsigned int feature_of(int step)
{
	static const uint8_t features[] = {
		[STEP_QUEUE_NUM] = VHOST_USER_PROTOCOL_F_MQ,
		[STEP_MEM_SLOTS] = VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
		[STEP_CHANNEL] = VHOST_USER_PROTOCOL_F_BACKEND_REQ,
		[STEP_CONFIG] = VHOST_USER_PROTOCOL_F_CONFIG,
		[STEP_RESET_DEVICE] = VHOST_USER_PROTOCOL_F_RESET_DEVICE,
		[STEP_STATUS_0] = VHOST_USER_PROTOCOL_F_STATUS,
		[STEP_STATUS_FEATURES_OK] = VHOST_USER_PROTOCOL_F_STATUS,
		[STEP_STATUS_ADD_FEATURES_OK] = VHOST_USER_PROTOCOL_F_STATUS,
		[STEP_STATUS_DRIVER_OK] = VHOST_USER_PROTOCOL_F_STATUS,
		[STEP_SHMEM] = VHOST_USER_PROTOCOL_F_SHMEM,
		[STEP_INFLIGHT] = VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
	};

	return features[step];
}

static int device_step(struct personality_run *run, int step)
{
	struct frontend *f = run->f;

	switch (step) {
	case STEP_OWNER:
		return frontend_set_owner(f);
	case STEP_GET_FEATURES:
		return frontend_get_features(f);
	case STEP_SET_FEATURES:
		return set_features(run);
	case STEP_GET_PROTOCOL:
		return frontend_get_protocol(f);
	case STEP_SET_PROTOCOL:
		return frontend_set_protocol(f, f->protocol_offered & run->p->protocol);
	case STEP_GPU_SOCKET:
		return send_gpu_socket(run);
	case STEP_MEMORY:
		return give_memory(run);
	case STEP_MEM_TABLE:
		f->guest = run->guest;
		return frontend_set_mem_table(f, run->guest);
	default:
		return has(run, feature_of(step)) ? optional_step(run, step) : 0;
	}
}

static int get_base(struct personality_run *run, uint32_t i)
{
	struct drv_ring *r = &run->rings[i];
	uint32_t base = 0;
	int rc = frontend_get_vring_base(run->f, i, &base);

	if (rc == 0 && (base > UINT16_MAX || (uint16_t)(base - r->used_idx) > r->outstanding))
		rc = -EBADMSG;
	return rc;
}

static int ring_step(struct personality_run *run, int step, uint32_t i)
{
	struct drv_ring *r = &run->rings[i];
	struct frontend *f = run->f;

	switch (step) {
	case STEP_NUM:
		return frontend_set_vring_num(f, i, r->num);
	case STEP_BASE:
		return frontend_set_vring_base(f, i, r->used_idx);
	case STEP_ADDR:
		return frontend_set_vring_addr(f, i, r);
	case STEP_KICK:
		return frontend_set_vring_kick(f, i, r->kick_fd);
	case STEP_CALL:
		return frontend_set_vring_call(f, i, r->call_fd);
	case STEP_ERR:
		return frontend_set_vring_err(f, i, r->err_fd);
	case STEP_ENABLE:
	case STEP_DISABLE:
		return frontend_set_vring_enable(f, i, step == STEP_ENABLE);
	case STEP_GET_BASE:
		return get_base(run, i);
	default:
		return drv_ring_kick_now(r);
	}
}

/* Does n steps for ring i. */
static int ring_steps(struct personality_run *run, const uint16_t *steps, size_t n, uint32_t i)
{
	int rc = 0;

	for (size_t k = 0; rc == 0 && k < n; k++) {
		run->step = steps[k];
		run->f->acks = run->p->acks || (steps[k] & STEP_ACK);
		rc = ring_step(run, steps[k] & ~STEP_ACK, i);
	}
	return rc;
}

/* How many steps from steps on belong together: those up to STEP_RINGS_END, or one. */
static size_t group(const uint16_t *steps)
{
	size_t n = 0;

	if (steps[0] != STEP_RINGS)
		return 1;
	while (steps[n] != STEP_RINGS_END)
		n++;
	return n + 1;
}

static int do_group(struct personality_run *run, const uint16_t *steps, size_t n)
{
	int step = steps[0] & ~STEP_ACK;
	int rc = 0;

	if (step == STEP_RINGS)
		steps++, n -= 2;
	for (uint32_t i = 0; rc == 0 && step >= STEP_RINGS && i < run->n; i++)
		rc = ring_steps(run, steps, n, i);
	if (step < STEP_RINGS) {
		run->step = steps[0];
		run->f->acks = run->p->acks || (steps[0] & STEP_ACK);
		rc = device_step(run, step);
	}
	return rc;
}

static int play(struct personality_run *run, const char *phase, const uint16_t *steps)
{
	int rc = 0;

	run->failed = phase;
	while (rc == 0 && *steps != STEP_END) {
		size_t n = group(steps);

		rc = do_group(run, steps, n);
		steps += n;
	}
	if (rc == 0)
		rc = frontend_barrier(run->f);
	if (rc == 0)
		run->failed = NULL;
	return rc;
}

/* The phases */

/* All rings get the first one's call eventfd. */
static int share_call(struct personality_run *run)
{
	for (uint32_t i = 1; i < run->n; i++) {
		if (dup3(run->rings[0].call_fd, run->rings[i].call_fd, O_CLOEXEC) < 0)
			return -errno;
	}
	return 0;
}

int personality_realize(struct personality_run *run)
{
	int rc = run->p->shared_call ? share_call(run) : 0;

	return rc < 0 ? rc : play(run, "realize", run->p->realize);
}

int personality_start(struct personality_run *run)
{
	return play(run, "start", run->p->start);
}

int personality_stop(struct personality_run *run)
{
	return play(run, "stop", run->p->stop);
}
