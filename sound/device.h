/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The virtio-sound device (VIRTIO 1.4, 5.14): its four queues, the table of control requests, events,
 * and the timer that all streams share.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "backend.h"
#include "card.h"
#include "common/loop.h"
#include "common/vhu.h"
#include "pcm.h"
#include "wire.h"

enum { SOUND_QUEUES = 4 };

/* One request in flight; lives in its ring's array. */
struct sound_cmd {
	struct vq_req req; // first
	union {
		struct pcm_io io;            // of the tx and rx queues
		TAILQ_ENTRY(sound_cmd) link; // of the event queue
	};
};

/* A stream of the card and what it takes to serve it. */
struct sound_stream {
	struct pcm pcm;
	struct sound_device *dev;
	int64_t next; // when it is to be run again; 0: now
	bool xrun;    // an event that waits for a buffer
};

struct sound_device {
	struct card card;
	struct backend *backend;
	struct loop *loop;
	struct vhu_device vhu_device; // what the core sees; `dev` is this
	struct vhu *vhu;              // NULL: no front-end
	struct loop_timer timer;
	struct loop_source event; // its eventfd is owned: a graph has begun
	struct loop_job job;      // runs the streams whose time is now
	struct sound_stream streams[BACKEND_STREAMS_MAX];
	TAILQ_HEAD(, sound_cmd) buffers; // of the event queue
	bool jack_changed[CARD_JACKS], control_changed[CARD_CONTROLS_MAX];
};

/* Makes the device; the backend stays the caller's. 0 or negative errno. */
int sound_device_init(struct sound_device *dev, struct loop *loop, const struct card_config *config,
	struct backend *backend);
void sound_device_finish(struct sound_device *dev);

/* ---- what the device's files share ---- */

/* Answers a control request: a status, and `len` bytes behind it. */
void sound_reply(struct sound_cmd *cmd, uint32_t status, const void *body, size_t len);

/* Serves the requests of the control queue. */
void sound_control(struct sound_device *dev, struct sound_cmd *cmd);

/* Has all streams run whose time it is; `stream` is one of them. */
void sound_run_soon(struct sound_device *dev, struct sound_stream *stream);

/* Puts events that wait into the buffers that there are. */
void sound_send_events(struct sound_device *dev);
