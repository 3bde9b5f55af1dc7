/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A stream of a decoder: what its driver has set, its resources, what is queued, and its codec, which is
 * started when there is something for it.
 *
 *	driver                        device                          codec (engine.h)
 *	RESOURCE_QUEUE, input  ---->  queued                  ---->   QUEUE
 *	                       <----  reply                   <----   RETURNED: it was copied
 *	RESOLUTION_CHANGED     <----  the format is pending   <----   FORMAT
 *	GET_PARAMS, QUEUE_CLEAR or RESOURCE_DESTROY_ALL of the output, RESOURCE_CREATE
 *	RESOURCE_QUEUE, output ---->  the format is accepted  ---->   OUTPUT, QUEUE
 *	                       <----  reply                   <----   RETURNED: a picture is in it
 *	STREAM_DRAIN           ---->                          ---->   DRAIN
 *	                       <----  EOS, on an empty buffer <----   RETURNED, with ENGINE_LAST
 *	                       <----  reply                   <----   DONE
 *
 * A format that is pending is accepted with the first buffer that is large enough and was queued when no
 * buffer from before was left: until then the codec holds its pictures back.
 *
 * A codec that dies or gives up breaks its stream: an event tells, what is queued ends in errors, and
 * only STREAM_DESTROY is of any use. Requests are answered through video_reply().
 */
#include "common/loop.h"
#include "remote.h"
#include "resource.h"

enum { VIDEO_BUFFERS_MAX = 32, VIDEO_EVENTS = VIDEO_EVENT_RESOLUTION_CHANGED + 1 };

struct video_device;

/* A question to the codec for whose answer somebody waits. */
struct video_pending {
	uint32_t seq;          // 0: there is none
	struct video_cmd *cmd; // NULL: its ring paused, and it was answered, or
	bool again;            // will come again
	bool done;             // and finds this then
	enum video_error error;
};

struct video_queue_state {
	TAILQ_HEAD(, video_resource) resources;
	TAILQ_HEAD(, video_resource) queued; // in this order
	unsigned n;
	struct video_pending clear;
	struct video_pending forget; // all resources: they are destroyed with its answer
	uint32_t moving;             // the same, but to be made again of the new memory
};

struct video_stream {
	LIST_ENTRY(video_stream) link; // video_device.streams, or .buried
	struct video_device *dev;
	uint32_t id;
	enum video_format coded;
	struct engine engine;
	bool open, broken, closing;
	struct video_queue_state queues[VIDEO_QUEUES];
	struct video_pending drain, destroy;
	struct loop_timer impatient; // a codec that does not close is ended

	struct {
		uint32_t serial; // 0: not known yet
		uint32_t width, height, min_buffers, rate;
		uint32_t left, top, crop_width, crop_height;
	} format;
	bool pending; // the driver has not accepted it
	bool fresh;   // no buffer from before is queued
	bool unsaid;  // the codec has to be told of the output's format
	enum video_format raw;
	bool per_plane;     // planes are told one by one
	uint32_t unit_size; // bytes of an input buffer
	uint32_t profile, level;
	bool events[VIDEO_EVENTS]; // that wait for a buffer
};

/* A new one. NULL: no memory. */
struct video_stream *video_stream_create(
	struct video_device *dev, uint32_t id, enum video_format coded);
/* Ends it now, whatever waits; nobody is answered. It is freed later: callbacks of it may be running. */
void video_stream_bury(struct video_stream *s);
void video_stream_free(struct video_stream *s);

/* Answers all that waits, as the ring of commands pauses; what is taken back will come again. */
void video_stream_pause(struct video_stream *s);

/* The memory map changed. */
void video_stream_move(struct video_stream *s, struct gmem *from, struct gmem *to);

/*
 * Requests. VIDEO_OK: it was right. Those with a cmd are answered later then, or were already.
 */
enum video_error video_stream_destroy(struct video_stream *s, struct video_cmd *cmd);
enum video_error video_stream_drain(struct video_stream *s, struct video_cmd *cmd);
enum video_error video_stream_clear(
	struct video_stream *s, enum video_queue queue, struct video_cmd *cmd);
enum video_error video_stream_destroy_all(
	struct video_stream *s, enum video_queue queue, struct video_cmd *cmd);
enum video_error video_stream_queue(
	struct video_stream *s, const struct video_request *r, struct video_cmd *cmd);
/* Takes res, also on failure. */
enum video_error video_stream_add(
	struct video_stream *s, enum video_queue queue, struct video_resource *res);

/* What GET_PARAMS answers; what SET_PARAMS asks for is met as nearly as possible. */
struct video_params video_stream_params(const struct video_stream *s, enum video_queue queue);
enum video_error video_stream_set_params(struct video_stream *s, const struct video_params *p);
