/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Resources of a stream's queue: buffers in the guest's pages, by the numbers that the guest gave them.
 * The codec maps the pages for itself; here are the lists, to tell it of them again when the map changed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/gmem.h"
#include "dialect.h"
#include "engine.h"

enum {
	VIDEO_RESOURCES_MAX = 64,        // of a queue
	VIDEO_ENTRIES_MAX = 1 << 14,     // of a resource
	VIDEO_ALL_ENTRIES_MAX = 1 << 20, // of a device
};

struct video_cmd;

struct video_resource {
	TAILQ_ENTRY(video_resource) link; // video_queue_state.resources
	uint32_t id;
	unsigned n_planes;
	uint64_t begin[VIDEO_PLANES_MAX], end[VIDEO_PLANES_MAX]; // of each, as far as it may reach
	uint64_t size;                                           // bytes of all entries
	uint32_t n_entries;
	struct engine_entry *entries; // owned

	/* What is queued. */
	TAILQ_ENTRY(video_resource) queued_link; // video_queue_state.queued
	bool queued;
	struct video_cmd *cmd; // that waits for it; NULL: it was answered when its ring paused
	uint32_t seq;          // of the codec's; 0: the codec does not have it
	uint64_t timestamp, bytes;
	bool again; // the codec still has what it held before: it is queued when that has come back
	bool returned; // while nobody waited: this is what will be answered
	uint32_t flags;
	uint64_t picture; // its timestamp
};

/*
 * Makes one of what a RESOURCE_CREATE says, whose bytes lie in iov. VIDEO_OK and *out, which is the
 * caller's; *n_all counts the device's entries.
 */
enum video_error video_resource_create(const struct dialect *d, const struct iovec *iov, unsigned n,
	const struct video_request *r, uint32_t *n_all, struct video_resource **out);
void video_resource_destroy(struct video_resource *res, uint32_t *n_all);

/* True when all of its pages are there. */
bool video_resource_is_in(const struct video_resource *res, const struct gmem *mem);

/* True when all of its pages are the same in both. */
bool video_resource_is_same(
	const struct video_resource *res, const struct gmem *a, const struct gmem *b);

/* Where the planes of a picture begin in it. False when it is too small. */
bool video_resource_place(const struct video_resource *res, const struct video_layout *layout,
	uint64_t offsets[VIDEO_PLANES_MAX]);
