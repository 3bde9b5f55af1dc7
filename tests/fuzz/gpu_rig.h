/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virtio-gpu behind a whole back-end, with a driver that keeps the rules of its rings whatever the
 * commands say: each one that is submitted has to come back once, with an answer that fits it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "gpu/device.h"
#include "peer.h"
#include "rig.h"

enum { GPU_RIG_SLOTS = 16, GPU_RIG_COMMAND_MAX = 1024, GPU_RIG_ROOM_MAX = 1536 };

/* Where in the lower memory guests may keep pixels; all of the higher one is free, too. */
enum { GPU_RIG_FREE = 128 * 1024 };

struct gpu_rig_slot {
	bool busy;
	uint32_t room;
	size_t len;
	struct virtio_gpu_ctrl_hdr hdr; // of the command, as far as it has one
};

struct gpu_rig_ring {
	bool running;
	uint16_t avail_idx, used_idx, base;
	int kick;
	struct gpu_rig_slot slots[GPU_RIG_SLOTS];
};

struct gpu_rig {
	struct rig rig;
	struct gpu_device gpu;
	struct gpu_rig_ring rings[GPU_QUEUES];
	struct peer peer;
	uint64_t answers; // that came back
};

struct gpu_rig_command {
	const void *bytes;
	size_t len;
	unsigned cut;  // the readable part is cut here, if that is within it
	uint32_t room; // for the answer
};

/* Makes the device with QEMU's display and, if it is not NULL, this one behind it. */
void gpu_rig_init(
	struct gpu_rig *g, uint64_t features, uint64_t max_hostmem, struct display *other);

/* Front-end, rings, device, all at an end; nothing is left behind. */
void gpu_rig_finish(struct gpu_rig *g);

/* Puts a command on a ring. False when that stands or is full. */
bool gpu_rig_submit(struct gpu_rig *g, unsigned queue, const struct gpu_rig_command *c);

/* Lets the back-end work and takes in what came back. */
void gpu_rig_turn(struct gpu_rig *g, unsigned n);

/* How many commands are not answered. */
unsigned gpu_rig_busy(const struct gpu_rig *g);

/* Stops and starts the rings as a pause does; all commands come back. */
void gpu_rig_stop(struct gpu_rig *g);
void gpu_rig_start(struct gpu_rig *g);

/* The driver resets the device: commands on their way are forgotten, all resources are gone. */
void gpu_rig_reset(struct gpu_rig *g);

/* A new socket for the display. */
void gpu_rig_connect_peer(struct gpu_rig *g, uint64_t offered);
