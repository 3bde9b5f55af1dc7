/* SPDX-License-Identifier: MIT */
#pragma once
/* Where a codec's resources lie: the guest's memory, as the device tells of it. Under the codec's lock. */
#include "codec.h"

/* ENGINE_MEMORY_ADD and _REMOVE. 0 or negative errno. */
int codec_memory_change(struct codec *c, const struct engine_message *m, int fd);

/* ENGINE_ENTRIES; they lie behind the message, which is as long as it says. 0 or -ENOMEM. */
int codec_memory_add_entries(struct codec *c, const struct engine_message *m);
void codec_memory_drop_entries(struct codec *c);

/* Finds the memory of a resource: what the entries say, or the first `size` bytes of a descriptor, which stays
 * the caller's. 0 or negative errno, and what there is of it is to be dropped. */
int codec_memory_resolve(struct codec *c, struct codec_resource *res);
int codec_memory_map(struct codec_resource *res, uint64_t size, int fd);
void codec_memory_drop(struct codec_resource *res);
