/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How certain virtual machine monitors talk to a back-end: which features they ask for and in what
 * order their messages come, written down as scripts of steps. Any device can be brought from the
 * connection to DRIVER_OK and back down the way that each of them does it.
 */
#include "frontend.h"

enum personality_step {
	STEP_END,
	STEP_OWNER,
	STEP_GET_FEATURES,
	STEP_SET_FEATURES,
	STEP_GET_PROTOCOL,
	STEP_SET_PROTOCOL,
	STEP_GPU_SOCKET, // where the run has one
	STEP_MEMORY,     // ADD_MEM_REG where negotiated, and then only once, else the table
	STEP_MEM_TABLE,

	// these are left out where their protocol feature was not negotiated
	STEP_QUEUE_NUM,
	STEP_MEM_SLOTS,
	STEP_CHANNEL,
	STEP_CONFIG,
	STEP_RESET_DEVICE,
	STEP_STATUS_0,
	STEP_STATUS_FEATURES_OK,
	STEP_STATUS_ADD_FEATURES_OK, // GET_STATUS, and SET_STATUS unless it is there
	STEP_STATUS_DRIVER_OK,
	STEP_SHMEM,
	STEP_INFLIGHT,

	// from here on: once for each ring; a STEP_RINGS before several does them ring by ring
	STEP_RINGS,
	STEP_RINGS_END,
	STEP_NUM,
	STEP_BASE,
	STEP_ADDR,
	STEP_KICK,
	STEP_CALL,
	STEP_ERR,
	STEP_ENABLE,
	STEP_DISABLE,
	STEP_GET_BASE,
	STEP_INJECT_KICK,

	STEP_ACK = 0x100, // or'ed to a step: NEED_REPLY, where REPLY_ACK was negotiated
};

struct personality {
	const char *name;
	uint64_t protocol; // protocol features that it takes if offered
	uint64_t features; // virtio features that it takes if offered
	uint64_t forced;   // and those that it sets though nobody offered them
	uint32_t config_size,
		config_piece; // what it reads of the config space, by how much at a time
	bool acks;            // NEED_REPLY on everything
	bool gpu_socket;      // makes one at each start
	bool shared_call;     // one eventfd for all rings
	const uint16_t *realize, *start, *stop; // steps, STEP_END at the end
};

/* One device in the hands of a personality. */
struct personality_run {
	const struct personality *p;
	struct frontend *f;
	struct guest *guest;
	struct drv_ring *rings;
	uint32_t n;
	int gpu_fd;           // set before each start if wanted: sent, then closed; -1 if none
	uint64_t queue_num;   // what GET_QUEUE_NUM said, 0 if not asked
	uint32_t config_size; // of a device that is neither QEMU's gpu nor its sound card, else 0
	uint8_t config[VHOST_USER_MAX_CONFIG_SIZE];
	bool memory_given;  // with ADD_MEM_REG
	const char *failed; // the phase that failed,
	int step;           // and its step: for a test's message
};

/* All of them, the last one's name is NULL; and the one of that name, or NULL. */
extern const struct personality personalities[];
const struct personality *personality_find(const char *name);

/*
 * The phases of a device's life: realize once after connecting, then start and stop in turn, as
 * often as wanted. Before the first start the rings have been made for FRONTEND_FEATURES; start
 * sets those that were negotiated. All return 0 or a negative errno.
 */
int personality_realize(struct personality_run *run);
int personality_start(struct personality_run *run);
int personality_stop(struct personality_run *run);
