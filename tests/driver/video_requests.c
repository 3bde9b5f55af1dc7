/* SPDX-License-Identifier: MIT */
/* The requests of virtio-video by name. */
#include "video.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HDR(cmd, stream)                                                                           \
	{                                                                                          \
		htole32(VIRTIO_VIDEO_CMD_##cmd), htole32(stream)                                   \
	}

/* Runs a request whose right answer has this type and this size; any error is an answer, too. */
static int run(struct video_driver *d, const void *req, size_t len, int type, size_t size)
{
	int rc = video_driver_run(d, req, len, VIDEO_DRIVER_RESPONSE);

	if (rc < 0 || rc >= VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION)
		return rc;
	return rc == type && d->resp_len >= size ? rc : -EBADMSG;
}

static int run_nodata(struct video_driver *d, const void *req, size_t len)
{
	return run(d, req, len, VIRTIO_VIDEO_RESP_OK_NODATA, sizeof(struct virtio_video_cmd_hdr));
}

int video_capability(struct video_driver *d, uint32_t queue)
{
	const struct virtio_video_queue_cmd c = {HDR(QUERY_CAPABILITY, 0), htole32(queue)};

	return run(d, &c, sizeof(c), VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY,
		sizeof(struct virtio_video_query_capability_resp));
}

int video_create(struct video_driver *d, uint32_t stream, uint32_t coded)
{
	const struct virtio_video_stream_create c = {
		.hdr = HDR(STREAM_CREATE, stream), .coded_format = htole32(coded), .tag = "test"};

	return run_nodata(d, &c, sizeof(c));
}

int video_destroy(struct video_driver *d, uint32_t stream)
{
	const struct virtio_video_cmd_hdr c = HDR(STREAM_DESTROY, stream);

	return run_nodata(d, &c, sizeof(c));
}

int video_resource(struct video_driver *d, uint32_t stream, uint32_t queue, uint32_t id,
	const struct video_memory *m)
{
	static struct {
		struct virtio_video_resource_create c;
		struct virtio_video_mem_entry entries[VIDEO_DRIVER_ENTRIES];
	} all;
	uint32_t n = 0;

	all.c = (struct virtio_video_resource_create){
		.hdr = HDR(RESOURCE_CREATE, stream),
		.queue_type = htole32(queue),
		.resource_id = htole32(id),
		.planes_layout = htole32(m->layout),
		.num_planes = htole32(m->n_planes),
	};
	for (unsigned int i = 0; i < VIRTIO_VIDEO_MAX_PLANES; i++) {
		all.c.plane_offsets[i] = htole32(m->offsets[i]);
		all.c.num_entries[i] = htole32(m->n_entries[i]);
		n += m->n_entries[i];
	}
	if (n > VIDEO_DRIVER_ENTRIES)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++)
		all.entries[i] = (struct virtio_video_mem_entry){
			htole64(m->pieces[i].gpa), htole32(m->pieces[i].len)};
	return run_nodata(d, &all, sizeof(all.c) + n * sizeof(all.entries[0]));
}

int video_submit_queue_cmd(struct video_driver *d, uint32_t cmd, uint32_t stream, uint32_t queue)
{
	const struct virtio_video_queue_cmd c = {{htole32(cmd), htole32(stream)}, htole32(queue)};

	return video_driver_submit(d, &c, sizeof(c), VIDEO_DRIVER_RESPONSE);
}

int video_destroy_all(struct video_driver *d, uint32_t stream, uint32_t queue)
{
	const struct virtio_video_queue_cmd c = {HDR(RESOURCE_DESTROY_ALL, stream), htole32(queue)};

	return run_nodata(d, &c, sizeof(c));
}

int video_clear(struct video_driver *d, uint32_t stream, uint32_t queue)
{
	const struct virtio_video_queue_cmd c = {HDR(QUEUE_CLEAR, stream), htole32(queue)};

	return run_nodata(d, &c, sizeof(c));
}

int video_get_params(
	struct video_driver *d, uint32_t stream, uint32_t queue, struct virtio_video_params *p)
{
	const struct virtio_video_queue_cmd c = {HDR(GET_PARAMS, stream), htole32(queue)};
	int rc = run(d, &c, sizeof(c), VIRTIO_VIDEO_RESP_OK_GET_PARAMS,
		sizeof(struct virtio_video_params_cmd));

	if (rc == VIRTIO_VIDEO_RESP_OK_GET_PARAMS)
		memcpy(p, d->resp + sizeof(struct virtio_video_cmd_hdr), sizeof(*p));
	return rc;
}

int video_set_params(struct video_driver *d, uint32_t stream, const struct virtio_video_params *p)
{
	const struct virtio_video_params_cmd c = {HDR(SET_PARAMS, stream), *p};

	return run_nodata(d, &c, sizeof(c));
}

int video_query_control(struct video_driver *d, uint32_t control, uint32_t format)
{
	const struct {
		struct virtio_video_control_cmd c;
		struct virtio_video_control_value format;
	} c = {{HDR(QUERY_CONTROL, 0), htole32(control)}, {htole32(format)}};

	return run(d, &c, sizeof(c), VIRTIO_VIDEO_RESP_OK_QUERY_CONTROL,
		sizeof(struct virtio_video_query_control_resp));
}

int video_get_control(struct video_driver *d, uint32_t stream, uint32_t control, uint32_t *value)
{
	const struct virtio_video_control_cmd c = {HDR(GET_CONTROL, stream), htole32(control)};
	struct virtio_video_get_control_resp resp;
	int rc = run(d, &c, sizeof(c), VIRTIO_VIDEO_RESP_OK_GET_CONTROL, sizeof(resp));

	if (rc == VIRTIO_VIDEO_RESP_OK_GET_CONTROL) {
		memcpy(&resp, d->resp, sizeof(resp));
		*value = le32toh(resp.value.value);
	}
	return rc;
}

int video_set_control(struct video_driver *d, uint32_t stream, uint32_t control, uint32_t value)
{
	const struct {
		struct virtio_video_control_cmd c;
		struct virtio_video_control_value value;
	} c = {{HDR(SET_CONTROL, stream), htole32(control)}, {htole32(value)}};

	return run_nodata(d, &c, sizeof(c));
}

int video_queue_input(
	struct video_driver *d, uint32_t stream, uint32_t id, uint32_t size, uint64_t timestamp)
{
	const struct virtio_video_resource_queue c = {
		.hdr = HDR(RESOURCE_QUEUE, stream),
		.queue_type = htole32(VIRTIO_VIDEO_QUEUE_TYPE_INPUT),
		.resource_id = htole32(id),
		.timestamp = htole64(timestamp),
		.num_data_sizes = htole32(1),
		.data_sizes = {htole32(size)},
	};

	return video_driver_submit(
		d, &c, sizeof(c), sizeof(struct virtio_video_resource_queue_resp));
}

int video_queue_output(struct video_driver *d, uint32_t stream, uint32_t id)
{
	const struct virtio_video_resource_queue c = {
		.hdr = HDR(RESOURCE_QUEUE, stream),
		.queue_type = htole32(VIRTIO_VIDEO_QUEUE_TYPE_OUTPUT),
		.resource_id = htole32(id),
	};

	return video_driver_submit(
		d, &c, sizeof(c), sizeof(struct virtio_video_resource_queue_resp));
}

int video_drain(struct video_driver *d, uint32_t stream)
{
	const struct virtio_video_cmd_hdr c = HDR(STREAM_DRAIN, stream);

	return video_driver_submit(d, &c, sizeof(c), VIDEO_DRIVER_RESPONSE);
}
