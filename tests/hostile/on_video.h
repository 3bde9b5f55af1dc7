/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bad inputs for virga-video: hostile.h with its rings and its driver hx.video. The codec is the one that
 * has no library (video/null.h): a unit of bitstream says what its picture is.
 */
#include "hostile.h"

enum { COMMAND, EVENT, RINGS };

enum {
	OK = VIRTIO_VIDEO_RESP_OK_NODATA,
	OK_CAPABILITY,
	OK_QUEUE,
	OK_PARAMS,
	OK_QUERY_CONTROL,
	OK_CONTROL,
	INVALID_OPERATION = VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION,
	OUT_OF_MEMORY,
	INVALID_STREAM,
	INVALID_RESOURCE,
	INVALID_PARAMETER,
	UNSUPPORTED_CONTROL,
	INPUT = VIRTIO_VIDEO_QUEUE_TYPE_INPUT,
	OUTPUT = VIRTIO_VIDEO_QUEUE_TYPE_OUTPUT,
	H264 = VIRTIO_VIDEO_FORMAT_H264,
	VP8 = VIRTIO_VIDEO_FORMAT_VP8,
	NV12 = VIRTIO_VIDEO_FORMAT_NV12,
};

enum { WIDTH = 64, HEIGHT = 48, PICTURE = WIDTH * HEIGHT * 3 / 2, UNIT = 4096 };

/* A stream with an input, resource 1, for the picture of whose one unit there is an output, 2. */
void video_open(uint32_t stream);

/* Its picture comes, whatever was tried before: the stream works. */
void expect_decodes(uint32_t stream);

/* A buffer in one piece. */
int video_plain(uint32_t stream, uint32_t queue, uint32_t id, uint64_t gpa, uint32_t len);

/* The stream's unit, in memory at gpa: a picture, or (error) the codec's giving up. */
void video_put_unit(uint64_t gpa, bool error);

/* Where video_open() puts a stream's buffers. */
uint64_t video_input_at(uint32_t stream);
uint64_t video_output_at(uint32_t stream);

/* Any bytes as a request. Returns the type of the answer. */
int video_run(const void *bytes, size_t len, uint32_t room);
int video_answer(int ticket);

/* The answer of a RESOURCE_QUEUE is an OK one, with these flags. */
void expect_buffer(int ticket, uint32_t flags);
