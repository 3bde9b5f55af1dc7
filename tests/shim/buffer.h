/* SPDX-License-Identifier: MIT */
#pragma once
/* What a handle stands for: a resource, with the guest memory or the piece of the window that it has. */
#include "card.h"
#include "virtgpu.h"

struct buffer {
	uint32_t id, blob_mem; // blob_mem 0: a resource of RESOURCE_CREATE
	uint64_t size;
	unsigned refs;             // handles, and being shared
	uint64_t busy;             // the last fence that it is in
	struct card_range memory;  // the guest's
	struct card_range visible; // in the window
};

/* A new one, with one reference. 0 or negative errno. */
int buffer_create(const struct virtgpu_resource_create *a, struct buffer **out);
int buffer_create_blob(uint32_t ctx, const struct virtgpu_create_blob *a, struct buffer **out);
/* Waits for its fence with the last one. */
void buffer_unref(struct buffer *b);

/* What mmap(2) maps of it at this offset: a descriptor, which stays ours, and its offset. -1: nothing. */
int buffer_place(const struct buffer *b, uint64_t offset, uint64_t *at);
