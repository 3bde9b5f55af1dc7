/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A driver takes the answer to one fence for that to all earlier ones. So the answer to a command with
 * a fence waits, written and not yet returned, while an earlier command with a fence is at the
 * renderer. Commands without one wait for nobody. Fences of a context's ring (VIRTIO_GPU_F_CONTEXT_INIT) are
 * a timeline of their own: they and all others do not wait for one another.
 *
 * A flush of what the renderer draws is waited for like a fence until it is shown. Linux sends it without
 * one and takes the next page flip at once: what a guest draws with would run ahead of what is seen.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct gpu_cmd;

/* In each command. */
struct gpu_fence {
	TAILQ_ENTRY(gpu_cmd) link; // of the list that it is in
	uint64_t arrival;          // its place in the control queue
	uint32_t written;          // while it is held
	bool under_way;
};

struct gpu_fences {
	TAILQ_HEAD(gpu_fence_list, gpu_cmd) under_way, held; // under_way: in the order of arrival
	uint64_t arrivals;
};

/* The ring of a command's fence, in its context; or UINT32_MAX: it is in the order of the queue. */
uint32_t gpu_fence_ring(const struct gpu_cmd *cmd);

void gpu_fences_init(struct gpu_fences *f);

/* A command of the control queue came. */
void gpu_fences_arrived(struct gpu_fences *f, struct gpu_cmd *cmd);

/* It goes to the renderer now: as the last of those that came until now. */
void gpu_fences_begin(struct gpu_fences *f, struct gpu_cmd *cmd);

/* A flush of what the renderer draws: the same, also without a fence. */
void gpu_fences_pace(struct gpu_fences *f, struct gpu_cmd *cmd);

/* It is done, and `written` bytes of answer are there. It is returned now or later. */
void gpu_fences_end(struct gpu_fences *f, struct gpu_cmd *cmd, uint32_t written);

/* Returns all that is held: the ring stops. */
void gpu_fences_release(struct gpu_fences *f);
