/* SPDX-License-Identifier: MIT */
#pragma once
/* virtio-gpu behind a whole back-end, with QEMU's display. */
#include <stdbool.h>
#include <stdint.h>

#include "gpu/device.h"
#include "gpu/remote.h"
#include "peer.h"
#include "rings.h"

/* Where in the lower memory guests may keep pixels; all of the higher one is free, too. */
enum { GPU_RIG_FREE = 128 * 1024, GPU_RIG_WINDOW = 1 << 20 };

struct gpu_rig {
	struct rings rings; // first
	struct gpu_device gpu;
	struct peer peer;
	struct remote *remote; // set by the caller; NULL: no renderer
};

/* Makes the device with QEMU's display and, if it is not NULL, this one behind it. */
void gpu_rig_init(
	struct gpu_rig *g, uint64_t features, uint64_t max_hostmem, struct display *other);

/* Front-end, rings, device, all at an end; nothing is left behind. */
void gpu_rig_finish(struct gpu_rig *g);

/* The driver resets the device: all resources are gone. */
void gpu_rig_reset(struct gpu_rig *g);

/* A new socket for the display. */
void gpu_rig_connect_peer(struct gpu_rig *g, uint64_t offered);
