/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What lies in the configuration space and on the queues of a virtio-video
 * device, as the third draft of its specification (2020) has it.
 */
#ifndef VIRTIO_VIDEO_WIRE_H
#define VIRTIO_VIDEO_WIRE_H

#include <linux/types.h>

#define VIRTIO_VIDEO_ID_DECODER 31

/* Feature bits */
#define VIRTIO_VIDEO_F_GUEST_PAGES 0
#define VIRTIO_VIDEO_F_NON_CONTIG 1

struct virtio_video_config {
	__le32 version;
	__le32 max_caps_length;
	__le32 max_resp_length;
};

/* Formats: raw, and from MPEG2 on coded */
#define VIRTIO_VIDEO_FORMAT_BGRA8888 2 /* bytes B, G, R, A */
#define VIRTIO_VIDEO_FORMAT_NV12 3
#define VIRTIO_VIDEO_FORMAT_YUV420 4
#define VIRTIO_VIDEO_FORMAT_YVU420 5
#define VIRTIO_VIDEO_FORMAT_MPEG2 0x1000
#define VIRTIO_VIDEO_FORMAT_MPEG4 0x1001
#define VIRTIO_VIDEO_FORMAT_H264 0x1002
#define VIRTIO_VIDEO_FORMAT_HEVC 0x1003
#define VIRTIO_VIDEO_FORMAT_VP8 0x1004
#define VIRTIO_VIDEO_FORMAT_VP9 0x1005

#define VIRTIO_VIDEO_LAYOUT_SINGLE_BUFFER 1

enum virtio_video_type {
	VIRTIO_VIDEO_CMD_QUERY_CAPABILITY = 0x100,
	VIRTIO_VIDEO_CMD_STREAM_CREATE,
	VIRTIO_VIDEO_CMD_STREAM_DESTROY,
	VIRTIO_VIDEO_CMD_STREAM_DRAIN,
	VIRTIO_VIDEO_CMD_RESOURCE_CREATE,
	VIRTIO_VIDEO_CMD_RESOURCE_QUEUE,
	VIRTIO_VIDEO_CMD_RESOURCE_DESTROY_ALL,
	VIRTIO_VIDEO_CMD_QUEUE_CLEAR,
	VIRTIO_VIDEO_CMD_GET_PARAMS,
	VIRTIO_VIDEO_CMD_SET_PARAMS,

	VIRTIO_VIDEO_RESP_OK_NODATA = 0x200,
	VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY,
	VIRTIO_VIDEO_RESP_OK_RESOURCE_QUEUE,
	VIRTIO_VIDEO_RESP_OK_GET_PARAMS,

	VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION = 0x300,
	VIRTIO_VIDEO_RESP_ERR_OUT_OF_MEMORY,
	VIRTIO_VIDEO_RESP_ERR_INVALID_STREAM_ID,
	VIRTIO_VIDEO_RESP_ERR_INVALID_RESOURCE_ID,
	VIRTIO_VIDEO_RESP_ERR_INVALID_PARAMETER,
};

#define VIRTIO_VIDEO_QUEUE_INPUT 0x100
#define VIRTIO_VIDEO_QUEUE_OUTPUT 0x101

#define VIRTIO_VIDEO_MEM_GUEST_PAGES 0

#define VIRTIO_VIDEO_MAX_PLANES 8

/* Begins every request and every response */
struct virtio_video_hdr {
	__le32 type;
	__le32 stream_id;
};

/* QUERY_CAPABILITY, RESOURCE_DESTROY_ALL, QUEUE_CLEAR, GET_PARAMS */
struct virtio_video_queue_cmd {
	struct virtio_video_hdr hdr;
	__le32 queue_type;
	__u8 padding[4];
};

struct virtio_video_range {
	__le32 min, max, step;
	__u8 padding[4];
};

/* Followed by num_rates of struct virtio_video_range */
struct virtio_video_frame {
	struct virtio_video_range width, height;
	__le32 num_rates;
	__u8 padding[4];
};

/* Followed by num_frames of struct virtio_video_frame */
struct virtio_video_desc {
	__le64 mask;
	__le32 format;
	__le32 planes_layout;
	__le32 plane_align;
	__le32 num_frames;
};

/* Followed by num_descs of struct virtio_video_desc */
struct virtio_video_capability_resp {
	struct virtio_video_hdr hdr;
	__le32 num_descs;
	__u8 padding[4];
};

struct virtio_video_stream_create {
	struct virtio_video_hdr hdr;
	__le32 in_mem_type, out_mem_type;
	__le32 coded_format;
	__u8 padding[4];
	__u8 tag[64];
};

struct virtio_video_mem_entry {
	__le64 addr;
	__le32 length;
	__u8 padding[4];
};

struct virtio_video_resource_create {
	struct virtio_video_hdr hdr;
	__le32 queue_type;
	__le32 resource_id;
	__le32 planes_layout;
	__le32 num_planes;
	__le32 plane_offsets[VIRTIO_VIDEO_MAX_PLANES];
	__le32 num_entries[VIRTIO_VIDEO_MAX_PLANES];
	struct virtio_video_mem_entry entries[];
};

struct virtio_video_resource_queue {
	struct virtio_video_hdr hdr;
	__le32 queue_type;
	__le32 resource_id;
	__le64 timestamp;
	__le32 num_data_sizes;
	__le32 data_sizes[VIRTIO_VIDEO_MAX_PLANES];
	__u8 padding[4];
};

#define VIRTIO_VIDEO_BUFFER_FLAG_ERR 1
#define VIRTIO_VIDEO_BUFFER_FLAG_EOS 2

struct virtio_video_resource_queue_resp {
	struct virtio_video_hdr hdr;
	__le64 timestamp;
	__le32 flags;
	__le32 size;
};

struct virtio_video_plane_format {
	__le32 plane_size;
	__le32 stride;
};

struct virtio_video_crop {
	__le32 left, top, width, height;
};

/* The request of SET_PARAMS and the response of GET_PARAMS */
struct virtio_video_params {
	struct virtio_video_hdr hdr;
	__le32 queue_type;
	__le32 format;
	__le32 frame_width, frame_height;
	__le32 min_buffers, max_buffers;
	struct virtio_video_crop crop;
	__le32 frame_rate;
	__le32 num_planes;
	struct virtio_video_plane_format planes[VIRTIO_VIDEO_MAX_PLANES];
};

#define VIRTIO_VIDEO_EVENT_ERROR 0x100
#define VIRTIO_VIDEO_EVENT_RESOLUTION_CHANGED 0x200

struct virtio_video_event {
	__le32 type;
	__le32 stream_id;
};

#endif
