/* SPDX-License-Identifier: MIT */
/*
 * The vhost-user requests by name, and the bring-up that is made of them: the second half of
 * frontend.h.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has(const struct frontend *f, unsigned int bit)
{
	return f->protocol >> bit & 1;
}

/* Features and the device as a whole */

int frontend_get_features(struct frontend *f)
{
	return frontend_get_u64(f, VHOST_USER_GET_FEATURES, &f->offered);
}

int frontend_set_features(struct frontend *f, uint64_t features)
{
	f->features = features;
	return frontend_tell_u64(f, VHOST_USER_SET_FEATURES, features);
}

int frontend_get_protocol(struct frontend *f)
{
	return frontend_get_u64(f, VHOST_USER_GET_PROTOCOL_FEATURES, &f->protocol_offered);
}

int frontend_set_protocol(struct frontend *f, uint64_t protocol)
{
	int rc;

	// REPLY_ACK holds from the next message on
	f->protocol = 0;
	rc = frontend_tell_u64(f, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
	f->protocol = protocol;
	return rc;
}

int frontend_set_owner(struct frontend *f)
{
	return frontend_tell(f, VHOST_USER_SET_OWNER, NULL, 0);
}

int frontend_reset_device(struct frontend *f)
{
	return frontend_tell(f, VHOST_USER_RESET_DEVICE, NULL, 0);
}

int frontend_set_status(struct frontend *f, uint8_t status)
{
	return frontend_tell_u64(f, VHOST_USER_SET_STATUS, status);
}

int frontend_get_config(struct frontend *f, uint32_t offset, uint32_t size, void *config)
{
	struct vhost_user_config msg = {.offset = offset, .size = size};
	struct frontend_reply reply;
	int rc;

	if (size > sizeof(msg.data))
		return -EINVAL;
	rc = frontend_ask(
		f, VHOST_USER_GET_CONFIG, &msg, VHOST_USER_CONFIG_HEADER_SIZE + size, &reply);
	if (rc < 0)
		return rc;
	frontend_reply_close(&reply);
	if (reply.header.size == 0)
		return -EREMOTEIO;
	if (reply.header.size != VHOST_USER_CONFIG_HEADER_SIZE + size)
		return -EBADMSG;
	memcpy(&msg, reply.payload, reply.header.size);
	if (msg.offset != offset || msg.size != size)
		return -EBADMSG;
	memcpy(config, msg.data, size);
	return 0;
}

int frontend_set_config(struct frontend *f, uint32_t offset, uint32_t size, const void *config)
{
	struct vhost_user_config msg = {.offset = offset, .size = size};

	if (size > sizeof(msg.data))
		return -EINVAL;
	memcpy(msg.data, config, size);
	return frontend_tell(f, VHOST_USER_SET_CONFIG, &msg, VHOST_USER_CONFIG_HEADER_SIZE + size);
}

int frontend_gpu_set_socket(struct frontend *f, int fd)
{
	return frontend_tell_fd(f, VHOST_USER_GPU_SET_SOCKET, NULL, 0, fd);
}

/* Memory */

static struct vhost_user_region describe(const struct frontend *f, const struct guest_region *r)
{
	bool gpas = has(f, VHOST_USER_PROTOCOL_F_GPA_ADDRESSES);

	return (struct vhost_user_region){.guest_addr = r->gpa,
		.size = r->size,
		.user_addr = gpas ? r->gpa : r->user_addr,
		.mmap_offset = r->mmap_offset};
}

int frontend_set_mem_table(struct frontend *f, const struct guest *g)
{
	struct vhost_user_mem_table table = {.nregions = (uint32_t)g->n};
	uint32_t size = (uint32_t)(offsetof(struct vhost_user_mem_table, regions)
		+ g->n * sizeof(table.regions[0]));
	struct frontend_msg msg = {.request = VHOST_USER_SET_MEM_TABLE,
		.flags = VHOST_USER_VERSION,
		.size = size,
		.payload = &table,
		.len = size};
	int fds[VHOST_USER_MAX_REGIONS];

	if (g->n > VHOST_USER_MAX_REGIONS)
		return -EINVAL;
	for (size_t i = 0; i < g->n; i++) {
		table.regions[i] = describe(f, &g->regions[i]);
		fds[i] = g->regions[i].fd;
	}
	msg.fds = fds;
	msg.nfds = g->n;
	if (f->acks && has(f, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return frontend_ack(f, &msg);
	return frontend_send(f, &msg);
}

int frontend_add_region(struct frontend *f, const struct guest_region *r)
{
	struct vhost_user_single_region msg = {.region = describe(f, r)};

	return frontend_tell_fd(f, VHOST_USER_ADD_MEM_REG, &msg, sizeof(msg), r->fd);
}

int frontend_remove_region(struct frontend *f, const struct guest_region *r)
{
	struct vhost_user_single_region msg = {.region = describe(f, r)};

	return frontend_tell(f, VHOST_USER_REM_MEM_REG, &msg, sizeof(msg));
}

int frontend_set_memory(struct frontend *f, struct guest *g)
{
	int rc = 0;

	f->guest = g;
	if (!has(f, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return frontend_set_mem_table(f, g);
	for (size_t i = 0; rc == 0 && i < g->n; i++)
		rc = frontend_add_region(f, &g->regions[i]);
	return rc;
}

/* Rings */

static int tell_state(struct frontend *f, uint32_t request, uint32_t index, uint32_t num)
{
	struct vhost_user_vring_state state = {.index = index, .num = num};

	return frontend_tell(f, request, &state, sizeof(state));
}

int frontend_set_vring_num(struct frontend *f, uint32_t index, uint32_t num)
{
	return tell_state(f, VHOST_USER_SET_VRING_NUM, index, num);
}

int frontend_set_vring_base(struct frontend *f, uint32_t index, uint32_t base)
{
	return tell_state(f, VHOST_USER_SET_VRING_BASE, index, base);
}

int frontend_set_vring_enable(struct frontend *f, uint32_t index, bool on)
{
	return tell_state(f, VHOST_USER_SET_VRING_ENABLE, index, on);
}

int frontend_get_vring_base(struct frontend *f, uint32_t index, uint32_t *base)
{
	struct vhost_user_vring_state state = {.index = index};
	struct frontend_reply reply;
	int rc = frontend_ask(f, VHOST_USER_GET_VRING_BASE, &state, sizeof(state), &reply);

	if (rc < 0)
		return rc;
	frontend_reply_close(&reply);
	if (reply.header.size != sizeof(state))
		return -EBADMSG;
	memcpy(&state, reply.payload, sizeof(state));
	*base = state.num;
	return state.index == index ? 0 : -EBADMSG;
}

static uint64_t ring_addr(const struct frontend *f, uint64_t gpa)
{
	bool gpas = has(f, VHOST_USER_PROTOCOL_F_GPA_ADDRESSES);

	return gpas ? gpa : guest_user_addr(f->guest, gpa);
}

int frontend_set_vring_addr(struct frontend *f, uint32_t index, const struct drv_ring *r)
{
	struct vhost_user_vring_addr addr = {.index = index};

	if (!f->guest)
		return -EINVAL;
	addr.desc = ring_addr(f, r->desc_gpa);
	addr.avail = ring_addr(f, r->avail_gpa);
	addr.used = ring_addr(f, r->used_gpa);
	return frontend_tell(f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
}

static int tell_vring_fd(struct frontend *f, uint32_t request, uint32_t index, int fd)
{
	uint64_t value = index | (fd < 0 ? VHOST_USER_VRING_NOFD : 0);

	return frontend_tell_fd(f, request, &value, sizeof(value), fd);
}

int frontend_set_vring_kick(struct frontend *f, uint32_t index, int fd)
{
	return tell_vring_fd(f, VHOST_USER_SET_VRING_KICK, index, fd);
}

int frontend_set_vring_call(struct frontend *f, uint32_t index, int fd)
{
	return tell_vring_fd(f, VHOST_USER_SET_VRING_CALL, index, fd);
}

int frontend_set_vring_err(struct frontend *f, uint32_t index, int fd)
{
	return tell_vring_fd(f, VHOST_USER_SET_VRING_ERR, index, fd);
}

int frontend_start_ring(struct frontend *f, uint32_t index, struct drv_ring *r)
{
	int rc = frontend_set_vring_num(f, index, r->num);

	if (rc == 0)
		rc = frontend_set_vring_base(f, index, r->used_idx);
	if (rc == 0)
		rc = frontend_set_vring_addr(f, index, r);
	if (rc == 0)
		rc = frontend_set_vring_call(f, index, r->call_fd);
	if (rc == 0)
		rc = frontend_set_vring_err(f, index, r->err_fd);
	if (rc == 0)
		rc = frontend_set_vring_kick(f, index, r->kick_fd);
	return rc < 0 ? rc : frontend_set_vring_enable(f, index, true);
}

int frontend_stop_ring(struct frontend *f, uint32_t index, struct drv_ring *r)
{
	uint32_t base = 0;
	int rc = frontend_set_vring_enable(f, index, false);

	if (rc == 0)
		rc = frontend_get_vring_base(f, index, &base);
	if (rc < 0)
		return rc;
	if (base > UINT16_MAX || (uint16_t)(base - r->used_idx) > r->outstanding)
		return -EBADMSG;
	return 0;
}

/* Bring-up */

int frontend_negotiate(struct frontend *f, uint64_t features, uint64_t protocol)
{
	int rc = frontend_get_features(f);

	if (rc == 0 && f->offered >> VHOST_USER_F_PROTOCOL_FEATURES & 1) {
		rc = frontend_get_protocol(f);
		if (rc == 0)
			rc = frontend_set_protocol(f, f->protocol_offered & protocol);
	}
	if (rc == 0)
		rc = frontend_set_owner(f);
	return rc < 0 ? rc : frontend_set_features(f, f->offered & features);
}

int frontend_setup(struct frontend *f, struct guest *g, struct drv_ring *rings, size_t n)
{
	int rc;

	f->acks = true;
	rc = frontend_negotiate(f, FRONTEND_FEATURES | FRONTEND_DEVICE_FEATURES, FRONTEND_PROTOCOL);
	if (rc == 0)
		rc = frontend_set_memory(f, g);
	if (rc == 0 && has(f, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		rc = frontend_open_channel(f);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		rings[i].features = f->features & (DRV_EVENT_IDX | DRV_INDIRECT);
		drv_ring_want_calls(&rings[i], rings[i].calls);
		rc = frontend_start_ring(f, i, &rings[i]);
	}
	return rc;
}
