/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The dialects of virtio-video. Those of the devices 30 and 31 have the same commands and errors, and
 * differ in layouts, in numbers of formats and in what a command is called; nothing in what they say
 * tells which one a driver speaks. A dialect turns bytes into plain structs and back. Pure.
 *
 *	dialect     guests                                what it is
 *	v3          those of demos, Celadon, NXP          the draft of 2020
 *	arcvm       ChromeOS's Android                    v3 and commands of its own; not here yet
 *	android     Android's virtual devices, automotive  other layouts and numbers; not here yet
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "format.h"

enum {
	VIDEO_WIRE_PLANES = 8,     // that a request can speak of
	VIDEO_TAG_MAX = 64,        // bytes
	VIDEO_RESPONSE_MAX = 1024, // bytes of any response
	VIDEO_EVENT_MAX = 64,
	VIDEO_CONFIG_MAX = 64,
};

enum video_what {
	VIDEO_QUERY_CAPABILITY,
	VIDEO_STREAM_CREATE,
	VIDEO_STREAM_DESTROY,
	VIDEO_STREAM_DRAIN,
	VIDEO_RESOURCE_CREATE,
	VIDEO_RESOURCE_QUEUE,
	VIDEO_RESOURCE_DESTROY_ALL,
	VIDEO_QUEUE_CLEAR,
	VIDEO_GET_PARAMS,
	VIDEO_SET_PARAMS,
	VIDEO_QUERY_CONTROL,
	VIDEO_GET_CONTROL,
	VIDEO_SET_CONTROL,
	VIDEO_WHATS
};

enum video_error {
	VIDEO_OK,
	VIDEO_ERR_INVALID_OPERATION,
	VIDEO_ERR_OUT_OF_MEMORY,
	VIDEO_ERR_INVALID_STREAM_ID,
	VIDEO_ERR_INVALID_RESOURCE_ID,
	VIDEO_ERR_INVALID_PARAMETER,
	VIDEO_ERR_UNSUPPORTED_CONTROL,
};

enum video_queue { VIDEO_INPUT, VIDEO_OUTPUT, VIDEO_QUEUES };

/* Their values are the same in all dialects: those of protocols/virtio_video_v3.h. */
enum video_control { VIDEO_BITRATE, VIDEO_PROFILE, VIDEO_LEVEL, VIDEO_CONTROLS };

enum video_buffer_flags { VIDEO_BUFFER_ERROR = 1, VIDEO_BUFFER_EOS = 2 };

enum video_event { VIDEO_EVENT_ERROR, VIDEO_EVENT_RESOLUTION_CHANGED };

struct video_entry {
	uint64_t gpa;
	uint32_t len;
};

struct video_params {
	enum video_queue queue;
	enum video_format format; // VIDEO_NONE: one that this dialect does not know
	uint32_t width, height;
	uint32_t min_buffers, max_buffers;
	struct {
		uint32_t left, top, width, height;
	} crop;
	uint32_t frame_rate;
	uint32_t n_planes; // at most VIDEO_WIRE_PLANES
	struct {
		uint32_t size, stride;
	} planes[VIDEO_WIRE_PLANES];
};

/* A decoded request. */
struct video_request {
	enum video_what what;
	uint32_t stream;
	enum video_queue queue; // of those that are about one
	union {
		struct {
			enum video_format coded;
			bool pages; // both queues take the guest's pages
			char tag[VIDEO_TAG_MAX + 1];
		} create;
		struct {
			uint32_t id;
			bool per_plane;    // each has entries of its own; else one memory for all
			uint32_t n_planes; // 1 to VIDEO_WIRE_PLANES
			uint32_t offsets[VIDEO_WIRE_PLANES];   // where they begin in the one memory
			uint32_t n_entries[VIDEO_WIRE_PLANES]; // which follow: see entries()
		} resource;
		struct {
			uint32_t id;
			uint64_t timestamp;
			uint32_t n_sizes; // at most VIDEO_WIRE_PLANES
			uint32_t sizes[VIDEO_WIRE_PLANES];
		} buffer;
		struct video_params params;
		struct {
			enum video_control id;
			enum video_format format; // of QUERY_CONTROL
			uint32_t value;           // of SET_CONTROL
		} control;
	};
};

/* What a decoder can do: each coded format, and the raw ones that come of it. */
struct video_caps {
	unsigned n_coded, n_raw;
	struct video_coded {
		enum video_format format;
		uint32_t raw; // a bit for each of raw[]
		uint32_t min_width, max_width, min_height, max_height;
	} coded[VIDEO_FORMATS];
	enum video_format raw[VIDEO_RAW_END];
};

struct video_response {
	enum video_what what;
	uint32_t stream;
	enum video_error error; // nothing else is said then
	union {
		struct {
			const struct video_caps *caps;
			enum video_queue queue;
		} capability;
		const struct video_params *params; // of GET_PARAMS
		struct {
			uint64_t timestamp;
			uint32_t flags, size; // enum video_buffer_flags; bytes
		} buffer;                     // of RESOURCE_QUEUE
		struct {
			const uint32_t *values;
			unsigned n;
		} list;         // of QUERY_CONTROL
		uint32_t value; // of GET_CONTROL
	};
};

struct dialect {
	const char *name;
	/* Reads a request. r->stream is always set. */
	enum video_error (*decode)(const struct iovec *iov, unsigned n, struct video_request *r);
	/* Reads all entries of a RESOURCE_CREATE, the planes' one after the other. False: they are not all
	 * there. */
	bool (*entries)(const struct iovec *iov, unsigned n, const struct video_request *r,
		struct video_entry *out);
	/* Each writes at most as many bytes as its maximum above says, and returns how many. */
	size_t (*encode)(const struct video_response *r, void *buf);
	size_t (*event)(enum video_event event, uint32_t stream, void *buf);
	size_t (*config)(const struct video_caps *caps, void *buf);
	/* Whether there is a number for it. */
	bool (*knows)(enum video_format format);
};

extern const struct dialect dialect_v3;

static inline uint32_t video_n_entries(const struct video_request *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->resource.n_planes; i++)
		n += r->resource.n_entries[i];
	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}
