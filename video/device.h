/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The virtio-video device, a decoder: its two queues, the table of commands, and events. What a driver
 * says is read by a dialect; each stream has a codec in a process of its own.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "common/vhu.h"
#include "dialect.h"
#include "stream.h"

enum { VIDEO_RINGS = 2, VIDEO_STREAMS_MAX = 32 };

/* One request in flight; lives in its ring's array. */
struct video_cmd {
	struct vq_req req; // first
	enum video_what what;
	uint32_t stream;
	TAILQ_ENTRY(video_cmd) link; // video_device.buffers, of the event queue
};

struct video_device {
	const struct dialect *dialect;
	struct video_caps caps;
	struct loop *loop;
	struct nursery *nursery;
	struct vhu_device vhu_device; // what the core sees; `dev` is this
	struct gmem *mem;             // a reference; NULL: none yet
	LIST_HEAD(video_streams, video_stream) streams, buried;
	unsigned n_streams;
	uint32_t n_entries;              // of all resources
	struct loop_job job;             // frees what is buried
	TAILQ_HEAD(, video_cmd) buffers; // of the event queue
};

/* Makes the device. The nursery starts codecs, and stays the caller's. */
void video_device_init(struct video_device *dev, struct loop *loop, const struct dialect *dialect,
	const struct video_caps *caps, struct nursery *nursery);
void video_device_finish(struct video_device *dev);

/* ---- what the device's files share ---- */

/* Answers a command. r->what and r->stream are filled in. */
void video_reply(struct video_device *dev, struct video_cmd *cmd, struct video_response *r);
void video_reply_error(struct video_device *dev, struct video_cmd *cmd, enum video_error error);

/* Serves a request of the command queue. */
void video_command(struct video_device *dev, struct video_cmd *cmd);

/* Puts events that wait into the buffers that there are. */
void video_send_events(struct video_device *dev);

/* The coded format that a stream of this device may have; NULL: there is none such. */
const struct video_coded *video_find_coded(
	const struct video_device *dev, enum video_format format);
