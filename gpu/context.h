/* SPDX-License-Identifier: MIT */
#pragma once
/* Which 3D contexts the guest has made. What is in them is the renderer's. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct remote;

enum { GPU_CONTEXTS_MAX = 1024 };

struct gpu_context {
	LIST_ENTRY(gpu_context) link;
	uint32_t id;
	struct remote *renderer; // that has it
	bool lost;               // with that renderer; the guest has still to destroy it
};

struct gpu_contexts {
	LIST_HEAD(, gpu_context) list; // few, and the one in use comes first
	unsigned n;
};

/* NULL when there is none of this id. */
struct gpu_context *gpu_context_find(struct gpu_contexts *cs, uint32_t id);
/* 0 or a VIRTIO_GPU_RESP_ERR_*. */
uint32_t gpu_context_create(struct gpu_contexts *cs, uint32_t id, struct remote *renderer);
void gpu_context_destroy(struct gpu_contexts *cs, struct gpu_context *c);
/* Those of this renderer are lost. */
void gpu_contexts_lose(struct gpu_contexts *cs, const struct remote *renderer);
void gpu_contexts_destroy(struct gpu_contexts *cs);
