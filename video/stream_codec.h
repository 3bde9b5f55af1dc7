/* SPDX-License-Identifier: MIT */
#pragma once
/* A stream's half towards its codec, for stream.c. What is told returns false, and a sequence number is 0,
 * when the codec takes nothing more. */
#include "stream.h"

/* Starts the codec if there is none yet. */
enum video_error stream_open(struct video_stream *s);
/* Ends it: another one may be opened. */
void stream_shut(struct video_stream *s);

bool stream_tell_resource(
	struct video_stream *s, enum video_queue queue, const struct video_resource *res);
bool stream_tell_output(struct video_stream *s);
bool stream_tell_buffer(struct video_stream *s, enum video_queue queue, struct video_resource *res);
uint32_t stream_ask_forget(struct video_stream *s, enum video_queue queue);
uint32_t stream_ask_clear(struct video_stream *s, enum video_queue queue);
uint32_t stream_ask_drain(struct video_stream *s);
/* stream_closed() follows. */
bool stream_ask_close(struct video_stream *s);

/* What was asked is done, also where there was nobody to ask. */
void stream_forgotten(struct video_stream *s, enum video_queue queue);
/* Buffers up to this sequence number are back; 0: all. */
void stream_cleared(struct video_stream *s, enum video_queue queue, uint32_t seq);
void stream_closed(struct video_stream *s);

/* A buffer is back, with enum video_buffer_flags. */
void stream_finish_buffer(struct video_stream *s, enum video_queue queue,
	struct video_resource *res, uint32_t flags, uint64_t timestamp);

/* Frees the resources of a queue. Nobody is answered. */
void stream_drop_resources(struct video_stream *s, enum video_queue queue);

/* How its pictures lie, as far as is known. */
struct video_layout stream_layout(const struct video_stream *s);
/* The bit of its raw format in the device's capabilities. */
unsigned stream_raw_index(const struct video_stream *s);
