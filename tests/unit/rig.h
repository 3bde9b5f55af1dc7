/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A vhost-user back-end with a device that counts, and the front-end's end of its socket, all in
 * one thread: what is sent is served at once by some turns of the loop.
 */
#include "common/loop.h"
#include "common/vhu.h"
#include "common/vhu_sock.h"
#include "hand.h"

enum { RIG_QUEUES = 3, RIG_CONFIG_SIZE = 20, RIG_KEPT = 64, RIG_SHMEM_SIZE = 1 << 20 };

struct rig_device {
	unsigned requests, resets, stops, memories;
	unsigned queue;      // of the last request or stop
	bool keep;           // requests stay in flight, else what is read is written back
	void (*after)(void); // is called after each request; may be NULL
	struct vq_req *kept[RIG_KEPT];
	unsigned n_kept;
	uint8_t config[RIG_CONFIG_SIZE]; // 1, 2, 3 ...
	uint32_t written_off, written_len;
	struct vhu *vhu; // as the core told it
	int gpu_fd;      // owned
	struct {
		uint32_t ticket;
		int result;
	} answers[RIG_KEPT]; // to what was asked of the front-end
	unsigned n_answers;
};

struct rig {
	struct loop *loop;
	struct vhu *vhu;
	unsigned closed; // how often vhu said so
	int fd;          // the front-end's end
	struct vhu_reader in;
	struct hand hand;
	struct vhu_device device; // rig_vhu_device, unless a test takes something from it
	struct rig_device dev;
	int kick, call, err; // of ring 0
};

extern const struct vhu_device rig_vhu_device; // that can do everything

void rig_init(struct rig *r);
void rig_finish(struct rig *r);
/* Another front-end comes: all is as after rig_init(), but for the guest's memory. */
void rig_reconnect(struct rig *r);

void rig_turns(struct rig *r);

struct rig_msg {
	uint32_t request, flags; // flags beyond the version
	const void *payload;
	uint32_t size;
	const int *fds;
	unsigned n_fds;
};

/* Sends and lets it be served. */
void rig_send(struct rig *r, struct rig_msg m);

/* Takes what the back-end says: 1 and r->in.msg, 0 when it says nothing, -1 when it closed. */
int rig_reply(struct rig *r);

/* Sends; nothing must come back, and the connection must stay. */
void rig_tell(struct rig *r, struct rig_msg m);
void rig_tell_u64(struct rig *r, uint32_t request, uint64_t value);
void rig_tell_state(struct rig *r, uint32_t request, uint32_t index, uint32_t num);

/* Sends with NEED_REPLY; returns what the ack says. */
uint64_t rig_ack(struct rig *r, struct rig_msg m);
uint64_t rig_ack_u64(struct rig *r, uint32_t request, uint64_t value);
uint64_t rig_ack_state(struct rig *r, uint32_t request, uint32_t index, uint32_t num);

/* Sends something that must cost it the connection, and connects again. */
void rig_refused(struct rig *r, struct rig_msg m);

/* A request without payload that is answered with a u64. */
uint64_t rig_get(struct rig *r, uint32_t request);

/* The usual beginning: all features that are offered, without or with REPLY_ACK. */
void rig_negotiate(struct rig *r, uint64_t without_protocol);

void rig_set_memory(struct rig *r);

/* Brings ring `index` up on the ring of r->hand, enabled; kick, call and err are ring 0's. */
void rig_start(struct rig *r, uint32_t index, uint16_t base);
struct vhost_user_vring_addr rig_ring_addr(uint32_t index);
void rig_tell_addr(struct rig *r, struct vhost_user_vring_addr addr);
void rig_tell_kick(struct rig *r, int fd); // of ring 0

/* GET_VRING_BASE. */
uint32_t rig_stop(struct rig *r, uint32_t index);

void rig_kick(struct rig *r);
/* How many signals an eventfd had. */
uint64_t rig_count(int eventfd);
