/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virtio-video as its third draft of 2020 has it: devices 30 (encoder) and 31 (decoder). It never
 * became part of VIRTIO, and is nevertheless what guests have drivers for. What lies in the
 * configuration space and in the queues, all of it little-endian.
 */
#include <stdint.h>
#include <linux/types.h>

enum { VIRTIO_VIDEO_ID_ENCODER = 30, VIRTIO_VIDEO_ID_DECODER = 31 };

enum {
	VIRTIO_VIDEO_F_RESOURCE_GUEST_PAGES,   // buffers are pages of the guest
	VIRTIO_VIDEO_F_RESOURCE_NON_CONTIG,    // of several pieces each
	VIRTIO_VIDEO_F_RESOURCE_VIRTIO_OBJECT, // or objects of another device
};

enum { VIRTIO_VIDEO_VQ_COMMAND, VIRTIO_VIDEO_VQ_EVENT };

struct virtio_video_config {
	__le32 version;                          // 0
	__le32 max_caps_length, max_resp_length; // bytes of the longest answers
};

/* ---- formats ---- */

enum {
	VIRTIO_VIDEO_FORMAT_ARGB8888 = 1,
	VIRTIO_VIDEO_FORMAT_BGRA8888,
	VIRTIO_VIDEO_FORMAT_NV12,
	VIRTIO_VIDEO_FORMAT_YUV420,
	VIRTIO_VIDEO_FORMAT_YVU420,

	VIRTIO_VIDEO_FORMAT_MPEG2 = 0x1000,
	VIRTIO_VIDEO_FORMAT_MPEG4,
	VIRTIO_VIDEO_FORMAT_H264,
	VIRTIO_VIDEO_FORMAT_HEVC,
	VIRTIO_VIDEO_FORMAT_VP8,
	VIRTIO_VIDEO_FORMAT_VP9,
};

enum {
	VIRTIO_VIDEO_PROFILE_H264_BASELINE = 0x100,
	VIRTIO_VIDEO_PROFILE_H264_MAIN,
	VIRTIO_VIDEO_PROFILE_H264_EXTENDED,
	VIRTIO_VIDEO_PROFILE_H264_HIGH,
	VIRTIO_VIDEO_PROFILE_H264_HIGH10,
	VIRTIO_VIDEO_PROFILE_H264_HIGH422,
	VIRTIO_VIDEO_PROFILE_H264_HIGH444_PREDICTIVE,
	VIRTIO_VIDEO_PROFILE_H264_SCALABLE_BASELINE,
	VIRTIO_VIDEO_PROFILE_H264_SCALABLE_HIGH,
	VIRTIO_VIDEO_PROFILE_H264_STEREO_HIGH,
	VIRTIO_VIDEO_PROFILE_H264_MULTIVIEW_HIGH,

	VIRTIO_VIDEO_PROFILE_HEVC_MAIN = 0x200,
	VIRTIO_VIDEO_PROFILE_HEVC_MAIN10,
	VIRTIO_VIDEO_PROFILE_HEVC_MAIN_STILL_PICTURE,

	VIRTIO_VIDEO_PROFILE_VP8_0 = 0x300,
	VIRTIO_VIDEO_PROFILE_VP8_1,
	VIRTIO_VIDEO_PROFILE_VP8_2,
	VIRTIO_VIDEO_PROFILE_VP8_3,

	VIRTIO_VIDEO_PROFILE_VP9_0 = 0x400,
	VIRTIO_VIDEO_PROFILE_VP9_1,
	VIRTIO_VIDEO_PROFILE_VP9_2,
	VIRTIO_VIDEO_PROFILE_VP9_3,
};

/* H.264's levels 1.0, 1.1, ... 5.1 follow one another. */
enum { VIRTIO_VIDEO_LEVEL_H264_1_0 = 0x100, VIRTIO_VIDEO_LEVEL_H264_5_1 = 0x10e };

enum {
	VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER = 1, // all planes in one, at offsets
	VIRTIO_VIDEO_PLANES_LAYOUT_PER_PLANE = 2,     // a buffer a plane
};

/* ---- commands ---- */

enum {
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
	VIRTIO_VIDEO_CMD_QUERY_CONTROL,
	VIRTIO_VIDEO_CMD_GET_CONTROL,
	VIRTIO_VIDEO_CMD_SET_CONTROL,

	VIRTIO_VIDEO_RESP_OK_NODATA = 0x200,
	VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY,
	VIRTIO_VIDEO_RESP_OK_RESOURCE_QUEUE,
	VIRTIO_VIDEO_RESP_OK_GET_PARAMS,
	VIRTIO_VIDEO_RESP_OK_QUERY_CONTROL,
	VIRTIO_VIDEO_RESP_OK_GET_CONTROL,

	VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION = 0x300,
	VIRTIO_VIDEO_RESP_ERR_OUT_OF_MEMORY,
	VIRTIO_VIDEO_RESP_ERR_INVALID_STREAM_ID,
	VIRTIO_VIDEO_RESP_ERR_INVALID_RESOURCE_ID,
	VIRTIO_VIDEO_RESP_ERR_INVALID_PARAMETER,
	VIRTIO_VIDEO_RESP_ERR_UNSUPPORTED_CONTROL,
};

enum { VIRTIO_VIDEO_QUEUE_TYPE_INPUT = 0x100, VIRTIO_VIDEO_QUEUE_TYPE_OUTPUT };

enum { VIRTIO_VIDEO_MEM_TYPE_GUEST_PAGES, VIRTIO_VIDEO_MEM_TYPE_VIRTIO_OBJECT };

enum { VIRTIO_VIDEO_MAX_PLANES = 8, VIRTIO_VIDEO_TAG_SIZE = 64 };

/* Begins every request and every response. */
struct virtio_video_cmd_hdr {
	__le32 type;
	__le32 stream_id;
};

/* QUERY_CAPABILITY, RESOURCE_DESTROY_ALL, QUEUE_CLEAR and GET_PARAMS: all about one queue. */
struct virtio_video_queue_cmd {
	struct virtio_video_cmd_hdr hdr;
	__le32 queue_type;
	__u8 padding[4];
};

struct virtio_video_format_range {
	__le32 min, max, step;
	__u8 padding[4];
};

struct virtio_video_format_frame {
	struct virtio_video_format_range width, height;
	__le32 num_rates;
	__u8 padding[4];
	// num_rates of struct virtio_video_format_range
};

struct virtio_video_format_desc {
	__le64 mask; // a bit for each description of the other queue that goes with this one
	__le32 format;
	__le32 planes_layout; // VIRTIO_VIDEO_PLANES_LAYOUT_*, a mask
	__le32 plane_align;
	__le32 num_frames;
	// num_frames of struct virtio_video_format_frame, each with its rates
};

struct virtio_video_query_capability_resp {
	struct virtio_video_cmd_hdr hdr;
	__le32 num_descs;
	__u8 padding[4];
	// num_descs of struct virtio_video_format_desc, each with its frames
};

/* The stream's id is the driver's choice. */
struct virtio_video_stream_create {
	struct virtio_video_cmd_hdr hdr;
	__le32 in_mem_type, out_mem_type;
	__le32 coded_format;
	__u8 padding[4];
	__u8 tag[VIRTIO_VIDEO_TAG_SIZE]; // for people to read
};

struct virtio_video_mem_entry {
	__le64 addr;
	__le32 length;
	__u8 padding[4];
};

struct virtio_video_resource_create {
	struct virtio_video_cmd_hdr hdr;
	__le32 queue_type;
	__le32 resource_id;
	__le32 planes_layout;
	__le32 num_planes;
	__le32 plane_offsets[VIRTIO_VIDEO_MAX_PLANES];
	__le32 num_entries[VIRTIO_VIDEO_MAX_PLANES];
	// struct virtio_video_mem_entry: those of the first plane, of the second, ...
};

struct virtio_video_resource_queue {
	struct virtio_video_cmd_hdr hdr;
	__le32 queue_type;
	__le32 resource_id;
	__le64 timestamp;
	__le32 num_data_sizes;
	__le32 data_sizes[VIRTIO_VIDEO_MAX_PLANES];
	__u8 padding[4];
};

enum {
	VIRTIO_VIDEO_BUFFER_FLAG_ERR = 0x1,
	VIRTIO_VIDEO_BUFFER_FLAG_EOS = 0x2,
	VIRTIO_VIDEO_BUFFER_FLAG_IFRAME = 0x4, // these three: encoders only
	VIRTIO_VIDEO_BUFFER_FLAG_PFRAME = 0x8,
	VIRTIO_VIDEO_BUFFER_FLAG_BFRAME = 0x10,
};

/* Comes when the buffer is done with. */
struct virtio_video_resource_queue_resp {
	struct virtio_video_cmd_hdr hdr;
	__le64 timestamp;
	__le32 flags;
	__le32 size; // bytes that were written
};

struct virtio_video_plane_format {
	__le32 plane_size;
	__le32 stride;
};

struct virtio_video_crop {
	__le32 left, top, width, height;
};

struct virtio_video_params {
	__le32 queue_type;
	__le32 format;
	__le32 frame_width, frame_height;
	__le32 min_buffers, max_buffers;
	struct virtio_video_crop crop;
	__le32 frame_rate;
	__le32 num_planes;
	struct virtio_video_plane_format plane_formats[VIRTIO_VIDEO_MAX_PLANES];
};

/* The response of GET_PARAMS, and the request SET_PARAMS. */
struct virtio_video_params_cmd {
	struct virtio_video_cmd_hdr hdr;
	struct virtio_video_params params;
};

/* ---- controls ---- */

enum {
	VIRTIO_VIDEO_CONTROL_BITRATE = 1,
	VIRTIO_VIDEO_CONTROL_PROFILE,
	VIRTIO_VIDEO_CONTROL_LEVEL,
};

struct virtio_video_control_cmd {
	struct virtio_video_cmd_hdr hdr;
	__le32 control;
	__u8 padding[4];
	// QUERY_CONTROL: the coded format (le32, 4 bytes of padding) for PROFILE and LEVEL
	// SET_CONTROL: the value (le32, 4 bytes of padding)
};

/* What follows a header or a struct virtio_video_control_cmd: a format, a value, or a number of values. */
struct virtio_video_control_value {
	__le32 value;
	__u8 padding[4];
};

struct virtio_video_get_control_resp {
	struct virtio_video_cmd_hdr hdr;
	struct virtio_video_control_value value;
};

struct virtio_video_query_control_resp {
	struct virtio_video_cmd_hdr hdr;
	struct virtio_video_control_value num;
	// num of le32: the profiles or levels that there are
};

/* ---- events ---- */

enum {
	VIRTIO_VIDEO_EVENT_ERROR = 0x100,
	VIRTIO_VIDEO_EVENT_DECODER_RESOLUTION_CHANGED = 0x200,
};

struct virtio_video_event {
	__le32 event_type;
	__le32 stream_id;
};
