/* SPDX-License-Identifier: MIT */
#include "dialect.h"

#include <assert.h>
#include <string.h>

#include "common/bytes.h"
#include "common/iov.h"
#include "protocols/virtio_video_v3.h"

enum { RATE_MAX = 240 }; // pictures a second; nobody is held to it

static const uint32_t formats[VIDEO_FORMATS] = {
	[VIDEO_NV12] = VIRTIO_VIDEO_FORMAT_NV12,
	[VIDEO_I420] = VIRTIO_VIDEO_FORMAT_YUV420,
	[VIDEO_YV12] = VIRTIO_VIDEO_FORMAT_YVU420,
	[VIDEO_BGRA] = VIRTIO_VIDEO_FORMAT_BGRA8888,
	[VIDEO_H264] = VIRTIO_VIDEO_FORMAT_H264,
	[VIDEO_HEVC] = VIRTIO_VIDEO_FORMAT_HEVC,
	[VIDEO_VP8] = VIRTIO_VIDEO_FORMAT_VP8,
	[VIDEO_VP9] = VIRTIO_VIDEO_FORMAT_VP9,
	[VIDEO_MPEG2] = VIRTIO_VIDEO_FORMAT_MPEG2,
	[VIDEO_MPEG4] = VIRTIO_VIDEO_FORMAT_MPEG4,
};

static bool knows(enum video_format format)
{
	return format < VIDEO_FORMATS && formats[format];
}

static enum video_format format_of(__le32 wire)
{
	for (unsigned f = VIDEO_NONE + 1; f < VIDEO_FORMATS; f++)
		if (formats[f] && formats[f] == le32(wire))
			return (enum video_format)f;
	return VIDEO_NONE;
}

/* ---- requests ---- */

/* Every request that we read. */
union request {
	struct virtio_video_cmd_hdr hdr;
	struct virtio_video_queue_cmd queue;
	struct virtio_video_stream_create create;
	struct virtio_video_resource_create resource;
	struct virtio_video_resource_queue buffer;
	struct virtio_video_params_cmd params;
	struct virtio_video_control_cmd control;
	struct {
		struct virtio_video_control_cmd cmd;
		struct virtio_video_control_value value;
	} control_value;
};

static bool read_queue_type(__le32 wire, struct video_request *r)
{
	uint32_t type = le32(wire) - VIRTIO_VIDEO_QUEUE_TYPE_INPUT;

	r->queue = (enum video_queue)type;
	return type < VIDEO_QUEUES;
}

static enum video_error read_nothing(const union request *w, struct video_request *r)
{
	(void)w;
	(void)r;
	return VIDEO_OK;
}

static enum video_error read_queue(const union request *w, struct video_request *r)
{
	return read_queue_type(w->queue.queue_type, r) ? VIDEO_OK : VIDEO_ERR_INVALID_PARAMETER;
}

static enum video_error read_create(const union request *w, struct video_request *r)
{
	r->create.coded = format_of(w->create.coded_format);
	r->create.pages = le32(w->create.in_mem_type) == VIRTIO_VIDEO_MEM_TYPE_GUEST_PAGES
		&& le32(w->create.out_mem_type) == VIRTIO_VIDEO_MEM_TYPE_GUEST_PAGES;
	memcpy(r->create.tag, w->create.tag, VIDEO_TAG_MAX);
	return VIDEO_OK;
}

static enum video_error read_resource(const union request *w, struct video_request *r)
{
	uint32_t layout = le32(w->resource.planes_layout);

	r->resource.id = le32(w->resource.resource_id);
	r->resource.per_plane = layout == VIRTIO_VIDEO_PLANES_LAYOUT_PER_PLANE;
	r->resource.n_planes = le32(w->resource.num_planes);
	for (unsigned i = 0; i < VIDEO_WIRE_PLANES; i++) {
		r->resource.offsets[i] = le32(w->resource.plane_offsets[i]);
		r->resource.n_entries[i] = le32(w->resource.num_entries[i]);
	}
	return read_queue_type(w->resource.queue_type, r)
			&& (r->resource.per_plane
				|| layout == VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER)
			&& r->resource.n_planes - 1 < VIDEO_WIRE_PLANES
		? VIDEO_OK
		: VIDEO_ERR_INVALID_PARAMETER;
}

static enum video_error read_buffer(const union request *w, struct video_request *r)
{
	r->buffer.id = le32(w->buffer.resource_id);
	r->buffer.timestamp = le64(w->buffer.timestamp);
	r->buffer.n_sizes = le32(w->buffer.num_data_sizes);
	for (unsigned i = 0; i < VIDEO_WIRE_PLANES; i++)
		r->buffer.sizes[i] = le32(w->buffer.data_sizes[i]);
	return read_queue_type(w->buffer.queue_type, r) && r->buffer.n_sizes <= VIDEO_WIRE_PLANES
		? VIDEO_OK
		: VIDEO_ERR_INVALID_PARAMETER;
}

static enum video_error read_params(const union request *w, struct video_request *r)
{
	const struct virtio_video_params *p = &w->params.params;

	if (!read_queue_type(p->queue_type, r) || le32(p->num_planes) > VIDEO_WIRE_PLANES)
		return VIDEO_ERR_INVALID_PARAMETER;
	r->params = (struct video_params){
		.queue = r->queue,
		.format = format_of(p->format),
		.width = le32(p->frame_width),
		.height = le32(p->frame_height),
		.min_buffers = le32(p->min_buffers),
		.max_buffers = le32(p->max_buffers),
		.crop = {le32(p->crop.left), le32(p->crop.top), le32(p->crop.width),
			le32(p->crop.height)},
		.frame_rate = le32(p->frame_rate),
		.n_planes = le32(p->num_planes),
	};
	for (unsigned i = 0; i < r->params.n_planes; i++) {
		r->params.planes[i].size = le32(p->plane_formats[i].plane_size);
		r->params.planes[i].stride = le32(p->plane_formats[i].stride);
	}
	return VIDEO_OK;
}

static enum video_error read_control(const union request *w, struct video_request *r)
{
	uint32_t control = le32(w->control.control) - VIRTIO_VIDEO_CONTROL_BITRATE;

	r->control.id = (enum video_control)control;
	return control < VIDEO_CONTROLS ? VIDEO_OK : VIDEO_ERR_UNSUPPORTED_CONTROL;
}

static enum video_error read_query_control(const union request *w, struct video_request *r)
{
	r->control.format = format_of(w->control_value.value.value);
	return read_control(w, r);
}

static enum video_error read_set_control(const union request *w, struct video_request *r)
{
	r->control.value = le32(w->control_value.value.value);
	return read_control(w, r);
}

struct reader {
	uint32_t type;
	uint32_t size; // bytes that the request has at least
	enum video_error (*read)(const union request *w, struct video_request *r);
	uint32_t response; // the type of one that is right
};

#define REQUEST(name, member, reader, response)                                                    \
	[VIDEO_##name] = {VIRTIO_VIDEO_CMD_##name, sizeof(((union request *)0)->member), reader,   \
		VIRTIO_VIDEO_RESP_OK_##response}

static const struct reader readers[VIDEO_WHATS] = {
	REQUEST(QUERY_CAPABILITY, queue, read_queue, QUERY_CAPABILITY),
	REQUEST(STREAM_CREATE, create, read_create, NODATA),
	REQUEST(STREAM_DESTROY, hdr, read_nothing, NODATA),
	REQUEST(STREAM_DRAIN, hdr, read_nothing, NODATA),
	REQUEST(RESOURCE_CREATE, resource, read_resource, NODATA),
	REQUEST(RESOURCE_QUEUE, buffer, read_buffer, RESOURCE_QUEUE),
	REQUEST(RESOURCE_DESTROY_ALL, queue, read_queue, NODATA),
	REQUEST(QUEUE_CLEAR, queue, read_queue, NODATA),
	REQUEST(GET_PARAMS, queue, read_queue, GET_PARAMS),
	REQUEST(SET_PARAMS, params, read_params, NODATA),
	REQUEST(QUERY_CONTROL, control, read_query_control, QUERY_CONTROL),
	REQUEST(GET_CONTROL, control, read_control, GET_CONTROL),
	REQUEST(SET_CONTROL, control_value, read_set_control, NODATA),
};

static enum video_error decode(const struct iovec *iov, unsigned n, struct video_request *r)
{
	union request w = {0};
	size_t len = iov_read(iov, n, 0, &w, sizeof(w));

	*r = (struct video_request){.what = VIDEO_WHATS, .stream = le32(w.hdr.stream_id)};
	for (unsigned i = 0; i < VIDEO_WHATS; i++) {
		if (readers[i].type != le32(w.hdr.type))
			continue;
		r->what = (enum video_what)i;
		return len < readers[i].size ? VIDEO_ERR_INVALID_PARAMETER : readers[i].read(&w, r);
	}
	return VIDEO_ERR_INVALID_OPERATION;
}

static bool entries(
	const struct iovec *iov, unsigned n, const struct video_request *r, struct video_entry *out)
{
	struct iov_cursor from = iov_cursor_at(iov, n, sizeof(struct virtio_video_resource_create));

	for (uint32_t left = video_n_entries(r); left; left--, out++) {
		struct virtio_video_mem_entry e;

		if (iov_cursor_read(&from, &e, sizeof(e)) < sizeof(e))
			return false;
		*out = (struct video_entry){le64(e.addr), le32(e.length)};
	}
	return true;
}

/* ---- responses ---- */

/* Bytes are put one behind the other; all that can be said fits. */
struct writer {
	uint8_t *at;
};

static void put(struct writer *to, const void *bytes, size_t len)
{
	memcpy(to->at, bytes, len);
	to->at += len;
}

static struct virtio_video_format_range range(uint32_t min, uint32_t max)
{
	return (struct virtio_video_format_range){to_le32(min), to_le32(max), to_le32(1)};
}

static void put_desc(
	struct writer *to, enum video_format format, uint64_t mask, const struct video_coded *sizes)
{
	uint32_t layouts = VIRTIO_VIDEO_PLANES_LAYOUT_SINGLE_BUFFER;
	const struct virtio_video_format_frame frame = {
		.width = range(sizes->min_width, sizes->max_width),
		.height = range(sizes->min_height, sizes->max_height),
		.num_rates = to_le32(1),
	};
	const struct virtio_video_format_range rates = range(1, RATE_MAX);
	struct virtio_video_format_desc desc = {
		.mask = to_le64(mask),
		.format = to_le32(formats[format]),
		.plane_align = to_le32(1),
		.num_frames = to_le32(1),
	};

	if (video_is_raw(format))
		layouts |= VIRTIO_VIDEO_PLANES_LAYOUT_PER_PLANE;
	desc.planes_layout = to_le32(layouts);
	put(to, &desc, sizeof(desc));
	put(to, &frame, sizeof(frame));
	put(to, &rates, sizeof(rates));
}

static void put_raw(struct writer *to, const struct video_caps *c, unsigned raw)
{
	struct video_coded sizes = {.min_width = VIDEO_SIDE_MAX, .min_height = VIDEO_SIDE_MAX};
	uint64_t mask = 0;

	for (unsigned i = 0; i < c->n_coded; i++) {
		const struct video_coded *coded = &c->coded[i];

		if (!(coded->raw >> raw & 1))
			continue;
		mask |= BIT(i);
		sizes.min_width = (uint32_t)min_u64(sizes.min_width, coded->min_width);
		sizes.min_height = (uint32_t)min_u64(sizes.min_height, coded->min_height);
		if (sizes.max_width < coded->max_width)
			sizes.max_width = coded->max_width;
		if (sizes.max_height < coded->max_height)
			sizes.max_height = coded->max_height;
	}
	put_desc(to, c->raw[raw], mask, &sizes);
}

static void put_capability(struct writer *to, const struct video_response *r)
{
	const struct video_caps *c = r->capability.caps;
	bool coded = r->capability.queue == VIDEO_INPUT;
	const __le32 n[2] = {to_le32(coded ? c->n_coded : c->n_raw)};

	put(to, n, sizeof(n));
	for (unsigned i = 0; coded && i < c->n_coded; i++)
		put_desc(to, c->coded[i].format, c->coded[i].raw, &c->coded[i]);
	for (unsigned i = 0; !coded && i < c->n_raw; i++)
		put_raw(to, c, i);
}

static void put_params(struct writer *to, const struct video_response *r)
{
	const struct video_params *p = r->params;
	struct virtio_video_params w = {
		.queue_type = to_le32(VIRTIO_VIDEO_QUEUE_TYPE_INPUT + p->queue),
		.format = to_le32(formats[p->format]),
		.frame_width = to_le32(p->width),
		.frame_height = to_le32(p->height),
		.min_buffers = to_le32(p->min_buffers),
		.max_buffers = to_le32(p->max_buffers),
		.crop = {to_le32(p->crop.left), to_le32(p->crop.top), to_le32(p->crop.width),
			to_le32(p->crop.height)},
		.frame_rate = to_le32(p->frame_rate),
		.num_planes = to_le32(p->n_planes),
	};

	for (unsigned i = 0; i < p->n_planes; i++) {
		w.plane_formats[i].plane_size = to_le32(p->planes[i].size);
		w.plane_formats[i].stride = to_le32(p->planes[i].stride);
	}
	put(to, &w, sizeof(w));
}

static void put_buffer(struct writer *to, const struct video_response *r)
{
	uint32_t flags = (r->buffer.flags & VIDEO_BUFFER_ERROR ? VIRTIO_VIDEO_BUFFER_FLAG_ERR : 0)
		| (r->buffer.flags & VIDEO_BUFFER_EOS ? VIRTIO_VIDEO_BUFFER_FLAG_EOS : 0);
	const __le64 timestamp = to_le64(r->buffer.timestamp);
	const __le32 rest[2] = {to_le32(flags), to_le32(r->buffer.size)};

	put(to, &timestamp, sizeof(timestamp));
	put(to, rest, sizeof(rest));
}

static void put_list(struct writer *to, const struct video_response *r)
{
	const struct virtio_video_control_value n = {to_le32(r->list.n)};

	put(to, &n, sizeof(n));
	for (unsigned i = 0; i < r->list.n; i++)
		put(to, &(__le32){to_le32(r->list.values[i])}, sizeof(__le32));
}

static void put_value(struct writer *to, const struct video_response *r)
{
	put(to, &(struct virtio_video_control_value){to_le32(r->value)},
		sizeof(struct virtio_video_control_value));
}

static size_t encode(const struct video_response *r, void *buf)
{
	static void (*const puts[VIDEO_WHATS])(struct writer *, const struct video_response *) = {
		[VIDEO_QUERY_CAPABILITY] = put_capability,
		[VIDEO_RESOURCE_QUEUE] = put_buffer,
		[VIDEO_GET_PARAMS] = put_params,
		[VIDEO_QUERY_CONTROL] = put_list,
		[VIDEO_GET_CONTROL] = put_value,
	};
	struct writer to = {buf};
	uint32_t type = r->error ? VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION - 1u + r->error
				 : readers[r->what].response;
	const struct virtio_video_cmd_hdr hdr = {to_le32(type), to_le32(r->stream)};

	put(&to, &hdr, sizeof(hdr));
	if (!r->error && puts[r->what])
		puts[r->what](&to, r);
	return (size_t)(to.at - (uint8_t *)buf);
}

static size_t event(enum video_event event, uint32_t stream, void *buf)
{
	uint32_t type = event == VIDEO_EVENT_ERROR ? VIRTIO_VIDEO_EVENT_ERROR
						   : VIRTIO_VIDEO_EVENT_DECODER_RESOLUTION_CHANGED;
	const struct virtio_video_event e = {to_le32(type), to_le32(stream)};

	memcpy(buf, &e, sizeof(e));
	return sizeof(e);
}

static size_t config(const struct video_caps *caps, void *buf)
{
	uint8_t response[VIDEO_RESPONSE_MAX];
	size_t most = 0;

	for (unsigned queue = VIDEO_INPUT; queue < VIDEO_QUEUES; queue++) {
		const struct video_response r = {.what = VIDEO_QUERY_CAPABILITY,
			.capability = {caps, (enum video_queue)queue}};
		size_t len = encode(&r, response);

		most = len > most ? len : most;
	}
	const struct virtio_video_config c = {.max_caps_length = to_le32((uint32_t)most),
		.max_resp_length = to_le32(VIDEO_RESPONSE_MAX)};

	memcpy(buf, &c, sizeof(c));
	return sizeof(c);
}

const struct dialect dialect_v3 = {
	.name = "v3",
	.decode = decode,
	.entries = entries,
	.encode = encode,
	.event = event,
	.config = config,
	.knows = knows,
};

static_assert(sizeof(struct virtio_video_stream_create) == 88, "as it is on the wire");
static_assert(sizeof(struct virtio_video_resource_create) == 88, "as it is on the wire");
static_assert(sizeof(struct virtio_video_resource_queue) == 64, "as it is on the wire");
static_assert(sizeof(struct virtio_video_params_cmd) == 120, "as it is on the wire");
