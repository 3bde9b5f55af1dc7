/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <linux/virtio_gpu.h>
#include <stdlib.h>

struct gpu_context *gpu_context_find(struct gpu_contexts *cs, uint32_t id)
{
	struct gpu_context *c;

	LIST_FOREACH (c, &cs->list, link) {
		if (c->id != id)
			continue;
		if (c != LIST_FIRST(&cs->list)) {
			LIST_REMOVE(c, link);
			LIST_INSERT_HEAD(&cs->list, c, link);
		}
		return c;
	}
	return NULL;
}

uint32_t gpu_context_create(struct gpu_contexts *cs, uint32_t id, struct remote *renderer)
{
	struct gpu_context *c;

	if (!id || gpu_context_find(cs, id))
		return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
	c = cs->n == GPU_CONTEXTS_MAX ? NULL : calloc(1, sizeof(*c));
	if (!c)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	c->id = id;
	c->renderer = renderer;
	LIST_INSERT_HEAD(&cs->list, c, link);
	cs->n++;
	return 0;
}

void gpu_context_destroy(struct gpu_contexts *cs, struct gpu_context *c)
{
	LIST_REMOVE(c, link);
	cs->n--;
	free(c);
}

void gpu_contexts_lose(struct gpu_contexts *cs, const struct remote *renderer)
{
	struct gpu_context *c;

	LIST_FOREACH (c, &cs->list, link)
		c->lost |= c->renderer == renderer;
}

void gpu_contexts_destroy(struct gpu_contexts *cs)
{
	while (!LIST_EMPTY(&cs->list))
		gpu_context_destroy(cs, LIST_FIRST(&cs->list));
}
