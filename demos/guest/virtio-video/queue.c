// SPDX-License-Identifier: GPL-2.0
/* A stream's buffers: from user space by videobuf2 to the device, and back. */
#include <linux/dma-mapping.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <media/v4l2-event.h>
#include <media/videobuf2-dma-sg.h>

#include "virtio_video.h"

static int vv_queue_setup(struct vb2_queue *vb2, unsigned int *num_buffers,
			  unsigned int *num_planes, unsigned int sizes[],
			  struct device *alloc_devs[])
{
	struct vv_stream *s = vv_stream_of_queue(vb2);
	u32 size = vv_queue_of(vb2)->format.plane_fmt[0].sizeimage;

	if (*num_planes)
		return *num_planes == 1 && sizes[0] >= size ? 0 : -EINVAL;
	*num_planes = 1;
	sizes[0] = size;
	if (!V4L2_TYPE_IS_OUTPUT(vb2->type))
		*num_buffers = max(*num_buffers, s->min_buffers);
	return 0;
}

/* ---- the memory of a buffer ---- */

static u32 vv_fill_entries(struct vv_device *vv, struct vb2_buffer *vb,
			   struct virtio_video_mem_entry *entries)
{
	struct sg_table *table = vb2_dma_sg_plane_desc(vb, 0);
	struct scatterlist *sg;
	u32 n = 0;
	int i;

	if (virtio_has_dma_quirk(vv->vdev) && vb->memory == VB2_MEMORY_MMAP) {
		for_each_sgtable_sg(table, sg, i) {
			entries[n].addr = cpu_to_le64(sg_phys(sg));
			entries[n++].length = cpu_to_le32(sg->length);
		}
	} else {
		for_each_sgtable_dma_sg(table, sg, i) {
			entries[n].addr = cpu_to_le64(sg_dma_address(sg));
			entries[n++].length = cpu_to_le32(sg_dma_len(sg));
		}
	}
	return n;
}

/* The command that makes a resource of a buffer, but for what changes with the stream. */
static int vv_buf_init(struct vb2_buffer *vb)
{
	struct vv_stream *s = vv_stream_of_queue(vb->vb2_queue);
	struct sg_table *table = vb2_dma_sg_plane_desc(vb, 0);
	struct vv_buffer *buf = vv_buffer_of(vb);
	struct virtio_video_resource_create *create;
	u32 n = max(table->nents, table->orig_nents);

	create = kzalloc(struct_size(create, entries, n), GFP_KERNEL);
	if (!create)
		return -ENOMEM;
	n = vv_fill_entries(s->vv, vb, create->entries);
	create->hdr.type = cpu_to_le32(VIRTIO_VIDEO_CMD_RESOURCE_CREATE);
	create->queue_type = cpu_to_le32(vv_queue_type(vv_queue_of(vb->vb2_queue)));
	create->planes_layout = cpu_to_le32(VIRTIO_VIDEO_LAYOUT_SINGLE_BUFFER);
	create->num_entries[0] = cpu_to_le32(n);
	buf->create = create;
	buf->create_size = struct_size(create, entries, n);
	buf->made = 0;
	return 0;
}

static void vv_buf_cleanup(struct vb2_buffer *vb)
{
	struct vv_buffer *buf = vv_buffer_of(vb);

	kfree(buf->create);
	buf->create = NULL;
}

static int vv_buf_out_validate(struct vb2_buffer *vb)
{
	to_vb2_v4l2_buffer(vb)->field = V4L2_FIELD_NONE;
	return 0;
}

/* Until a change of size is through, what comes is of the old size, and is not used. */
static int vv_buf_prepare(struct vb2_buffer *vb)
{
	struct vv_stream *s = vv_stream_of_queue(vb->vb2_queue);
	unsigned long size = vv_queue_of(vb->vb2_queue)->format.plane_fmt[0].sizeimage;

	if (V4L2_TYPE_IS_OUTPUT(vb->type))
		return vb->planes[0].data_offset ? -EINVAL : 0;
	if (vb2_plane_size(vb, 0) < size && !s->changing)
		return -EINVAL;
	vb2_set_plane_payload(vb, 0, min(size, vb2_plane_size(vb, 0)));
	return 0;
}

/* ---- to the device ---- */

static int vv_make_resource(struct vv_stream *s, struct vv_queue *queue, struct vv_buffer *buf)
{
	struct virtio_video_resource_create *create = buf->create;
	u32 offsets[VIRTIO_VIDEO_MAX_PLANES] = {}, id = s->last_resource_id + 1;
	unsigned int i, n = 1;
	int err;

	if (queue == &s->cap) {
		n = vv_raw_planes(queue->format.pixelformat);
		vv_raw_layout(&queue->format, offsets);
	}
	create->hdr.stream_id = cpu_to_le32(s->id);
	create->resource_id = cpu_to_le32(id);
	create->num_planes = cpu_to_le32(n);
	for (i = 0; i < n; i++)
		create->plane_offsets[i] = cpu_to_le32(offsets[i]);
	err = vv_send_copy(s, create, buf->create_size);
	if (err)
		return err;
	s->last_resource_id = id;
	buf->resource_id = id;
	buf->made = queue->made;
	return 0;
}

static void vv_keep_origin(struct vv_stream *s, const struct vb2_v4l2_buffer *from)
{
	s->origins[s->next_origin++ % VV_ORIGINS] = (struct vv_origin){
		.timestamp = from->vb2_buf.timestamp,
		.flags = from->flags & (V4L2_BUF_FLAG_TIMECODE | V4L2_BUF_FLAG_TSTAMP_SRC_MASK),
		.timecode = from->timecode,
	};
}

/* The newest of that time, as times may come again after a seek. */
static void vv_copy_origin(struct vv_stream *s, struct vb2_v4l2_buffer *to)
{
	const struct vv_origin *origin;
	unsigned int i;

	to->flags &= ~(V4L2_BUF_FLAG_TIMECODE | V4L2_BUF_FLAG_TSTAMP_SRC_MASK);
	for (i = 1; i <= VV_ORIGINS; i++) {
		origin = &s->origins[(s->next_origin - i) % VV_ORIGINS];
		if (origin->timestamp != to->vb2_buf.timestamp)
			continue;
		to->flags |= origin->flags;
		to->timecode = origin->timecode;
		return;
	}
}

static void vv_buffer_answered(struct vv_request *req, bool answered);

static int vv_queue_buffer(struct vv_stream *s, struct vv_queue *queue, struct vv_buffer *buf)
{
	struct vb2_buffer *vb = &buf->v4l2.vb2_buf;
	struct virtio_video_resource_queue *cmd = &buf->queue;
	int err;

	if (buf->made != queue->made) {
		err = vv_make_resource(s, queue, buf);
		if (err)
			return err;
	}
	memset(cmd, 0, sizeof(*cmd));
	memset(&buf->resp, 0, sizeof(buf->resp));
	cmd->hdr.type = cpu_to_le32(VIRTIO_VIDEO_CMD_RESOURCE_QUEUE);
	cmd->hdr.stream_id = cpu_to_le32(s->id);
	cmd->queue_type = cpu_to_le32(vv_queue_type(queue));
	cmd->resource_id = cpu_to_le32(buf->resource_id);
	if (queue == &s->out) {
		cmd->timestamp = cpu_to_le64(vb->timestamp);
		cmd->num_data_sizes = cpu_to_le32(1);
		cmd->data_sizes[0] = cpu_to_le32(vb2_get_plane_payload(vb, 0));
	}
	buf->request.done = vv_buffer_answered;
	err = vv_send(s->vv, &buf->request, cmd, sizeof(*cmd), &buf->resp, sizeof(buf->resp));
	if (err)
		return err;
	if (queue == &s->out) {
		vv_keep_origin(s, &buf->v4l2);
		s->fed = true;
	}
	list_del(&buf->ready);
	queue->held++;
	return 0;
}

static bool vv_may_queue(struct vv_stream *s, struct vv_queue *queue)
{
	if (!s->created || s->failed || !queue->streaming || queue->clearing ||
	    list_empty(&queue->ready))
		return false;
	if (queue == &s->cap)
		return (s->known || s->drain_sent) && !s->changing;
	return !s->drained && (!s->draining || s->before_drain);
}

static void vv_give_picture(struct vv_stream *s, struct vv_buffer *buf, bool whole);

static int vv_push_queue(struct vv_stream *s, struct vv_queue *queue)
{
	int err = 0;

	while (!err && vv_may_queue(s, queue)) {
		struct vv_buffer *buf = list_first_entry(&queue->ready, struct vv_buffer, ready);

		if (queue == &s->cap &&
		    vb2_plane_size(&buf->v4l2.vb2_buf, 0) < queue->format.plane_fmt[0].sizeimage) {
			list_del(&buf->ready);
			vv_give_picture(s, buf, false);
			continue;
		}
		err = vv_queue_buffer(s, queue, buf);
		if (!err && queue == &s->out && s->before_drain)
			s->before_drain--;
	}
	return err;
}

static int vv_push_drain(struct vv_stream *s)
{
	struct virtio_video_hdr cmd = { cpu_to_le32(VIRTIO_VIDEO_CMD_STREAM_DRAIN),
					cpu_to_le32(s->id) };
	int err;

	if (!s->created || !s->draining || s->drain_sent || s->before_drain)
		return 0;
	err = vv_send_copy(s, &cmd, sizeof(cmd));
	s->drain_sent = !err;
	return err;
}

void vv_push(struct vv_stream *s)
{
	int err = vv_push_queue(s, &s->out);

	if (!err)
		err = vv_push_drain(s);
	if (!err)
		err = vv_push_queue(s, &s->cap);
	/* What found no room is tried again when the device has answered something. */
	if (err && err != -ENOSPC && s->created)
		vv_stream_fail(s);
}

/* ---- and back ---- */

static void vv_give(struct vv_queue *queue, struct vv_buffer *buf, enum vb2_buffer_state state)
{
	buf->v4l2.sequence = queue->sequence++;
	vb2_buffer_done(&buf->v4l2.vb2_buf, state);
}

static void vv_give_picture(struct vv_stream *s, struct vv_buffer *buf, bool whole)
{
	buf->v4l2.flags &= ~V4L2_BUF_FLAG_LAST;
	buf->v4l2.field = V4L2_FIELD_NONE;
	if (whole) {
		buf->v4l2.vb2_buf.timestamp = le64_to_cpu(buf->resp.timestamp);
		vv_copy_origin(s, &buf->v4l2);
	}
	vb2_set_plane_payload(&buf->v4l2.vb2_buf, 0,
			      whole ? s->cap.format.plane_fmt[0].sizeimage : 0);
	vv_give(&s->cap, buf, whole ? VB2_BUF_STATE_DONE : VB2_BUF_STATE_ERROR);
}

static void vv_give_empty_last(struct vv_stream *s, struct vv_buffer *buf)
{
	s->last_owed = false;
	buf->v4l2.flags |= V4L2_BUF_FLAG_LAST;
	buf->v4l2.field = V4L2_FIELD_NONE;
	vb2_set_plane_payload(&buf->v4l2.vb2_buf, 0, 0);
	vv_give(&s->cap, buf, VB2_BUF_STATE_DONE);
}

void vv_give_last(struct vv_stream *s)
{
	struct vv_buffer *buf = list_first_entry_or_null(&s->cap.ready, struct vv_buffer, ready);

	s->last_owed = true;
	if (!buf)
		return;
	list_del(&buf->ready);
	vv_give_empty_last(s, buf);
}

void vv_drained(struct vv_stream *s)
{
	static const struct v4l2_event eos = { .type = V4L2_EVENT_EOS };

	s->fed = false;
	s->draining = false;
	s->drain_sent = false;
	s->drained = true;
	v4l2_event_queue_fh(&s->fh, &eos);
}

static void vv_picture_answered(struct vv_stream *s, struct vv_buffer *buf, bool ok)
{
	u32 flags = le32_to_cpu(buf->resp.flags), size = le32_to_cpu(buf->resp.size);
	bool whole = ok && !(flags & VIRTIO_VIDEO_BUFFER_FLAG_ERR);

	if (ok && (flags & VIRTIO_VIDEO_BUFFER_FLAG_EOS) && s->draining && s->drain_sent) {
		vv_drained(s);
		vv_give_empty_last(s, buf);
	} else if (whole && size) {
		vv_give_picture(s, buf, true);
	} else if (whole || s->cap.clearing) {
		list_add_tail(&buf->ready, &s->cap.ready); /* unused */
	} else {
		vv_give_picture(s, buf, false);
	}
}

static void vv_buffer_answered(struct vv_request *req, bool answered)
{
	struct vv_buffer *buf = container_of(req, struct vv_buffer, request);
	struct vb2_queue *vb2 = buf->v4l2.vb2_buf.vb2_queue;
	struct vv_stream *s = vv_stream_of_queue(vb2);
	struct vv_queue *queue = vv_queue_of(vb2);
	bool ok =
		answered && buf->resp.hdr.type == cpu_to_le32(VIRTIO_VIDEO_RESP_OK_RESOURCE_QUEUE);

	queue->held--;
	if (queue == &s->cap)
		vv_picture_answered(s, buf, ok);
	else if (queue->clearing)
		list_add_tail(&buf->ready, &queue->ready);
	else
		vv_give(queue, buf,
			ok && !(buf->resp.flags & cpu_to_le32(VIRTIO_VIDEO_BUFFER_FLAG_ERR))
				? VB2_BUF_STATE_DONE
				: VB2_BUF_STATE_ERROR);
	if (buf->resp.hdr.type == cpu_to_le32(VIRTIO_VIDEO_RESP_ERR_INVALID_STREAM_ID))
		vv_stream_fail(s);
}

int vv_queue_clear(struct vv_stream *s, struct vv_queue *queue)
{
	struct virtio_video_hdr resp;
	int err = 0;

	spin_lock_irq(&s->vv->lock);
	queue->clearing = true;
	spin_unlock_irq(&s->vv->lock);
	if (s->created) {
		err = vv_ask_queue(s, VIRTIO_VIDEO_CMD_QUEUE_CLEAR, vv_queue_type(queue), &resp,
				   sizeof(resp), VIRTIO_VIDEO_RESP_OK_NODATA);
		if (!err)
			err = vv_ask_queue(s, VIRTIO_VIDEO_CMD_RESOURCE_DESTROY_ALL,
					   vv_queue_type(queue), &resp, sizeof(resp),
					   VIRTIO_VIDEO_RESP_OK_NODATA);
	}
	/* No buffer is given up while the device may still write to it. */
	if (queue->held) {
		dev_err(&s->vv->vdev->dev, "the device keeps %u buffers\n", queue->held);
		vv_give_up(s->vv);
	}
	spin_lock_irq(&s->vv->lock);
	queue->clearing = false;
	if (!++queue->made)
		queue->made = 1;
	spin_unlock_irq(&s->vv->lock);
	return err;
}

/* ---- videobuf2's side ---- */

static void vv_buf_queue(struct vb2_buffer *vb)
{
	struct vv_stream *s = vv_stream_of_queue(vb->vb2_queue);
	struct vv_queue *queue = vv_queue_of(vb->vb2_queue);
	struct vv_buffer *buf = vv_buffer_of(vb);

	spin_lock_irq(&s->vv->lock);
	if (queue == &s->cap && queue->streaming && s->last_owed) {
		vv_give_empty_last(s, buf);
	} else {
		list_add_tail(&buf->ready, &queue->ready);
		vv_push(s);
	}
	spin_unlock_irq(&s->vv->lock);
}

static void vv_give_all(struct vv_stream *s, struct vv_queue *queue, enum vb2_buffer_state state)
{
	struct vv_buffer *buf, *next;

	spin_lock_irq(&s->vv->lock);
	list_for_each_entry_safe(buf, next, &queue->ready, ready) {
		list_del(&buf->ready);
		vb2_buffer_done(&buf->v4l2.vb2_buf, state);
	}
	spin_unlock_irq(&s->vv->lock);
}

static int vv_start_streaming(struct vb2_queue *vb2, unsigned int count)
{
	struct vv_stream *s = vv_stream_of_queue(vb2);
	struct vv_queue *queue = vv_queue_of(vb2);
	int err = s->failed ? -EIO : 0;

	if (!err && queue == &s->out && !s->created)
		err = vv_stream_create(s);
	if (err) {
		vv_give_all(s, queue, VB2_BUF_STATE_QUEUED);
		return err;
	}
	spin_lock_irq(&s->vv->lock);
	queue->sequence = 0;
	queue->streaming = true;
	s->drained = false;
	if (queue == &s->cap)
		s->changing = false;
	vv_push(s);
	spin_unlock_irq(&s->vv->lock);
	return 0;
}

/* A change of size in the midst of a drain ends the capture queue, but not the drain. */
static void vv_stop_streaming(struct vb2_queue *vb2)
{
	struct vv_stream *s = vv_stream_of_queue(vb2);
	struct vv_queue *queue = vv_queue_of(vb2);

	spin_lock_irq(&s->vv->lock);
	queue->streaming = false;
	if (queue == &s->out || !s->changing) {
		s->draining = false;
		s->drain_sent = false;
		s->before_drain = 0;
	}
	if (queue == &s->out)
		s->fed = false;
	s->drained = false;
	s->last_owed = false;
	spin_unlock_irq(&s->vv->lock);
	vv_queue_clear(s, queue);
	vv_give_all(s, queue, VB2_BUF_STATE_ERROR);
	if (!s->out.streaming && !s->cap.streaming)
		vv_stream_destroy(s);
}

static const struct vb2_ops vv_queue_ops = {
	.queue_setup = vv_queue_setup,
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
	.buf_out_validate = vv_buf_out_validate,
	.buf_init = vv_buf_init,
	.buf_prepare = vv_buf_prepare,
	.buf_cleanup = vv_buf_cleanup,
	.start_streaming = vv_start_streaming,
	.stop_streaming = vv_stop_streaming,
	.buf_queue = vv_buf_queue,
};

int vv_queue_init(struct vv_stream *s, struct vv_queue *queue, enum v4l2_buf_type type)
{
	struct vb2_queue *vb2 = &queue->vb2;

	INIT_LIST_HEAD(&queue->ready);
	queue->made = 1;
	vb2->type = type;
	vb2->io_modes = VB2_MMAP | VB2_DMABUF;
	vb2->drv_priv = s;
	vb2->ops = &vv_queue_ops;
	vb2->mem_ops = &vb2_dma_sg_memops;
	vb2->buf_struct_size = sizeof(struct vv_buffer);
	vb2->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_COPY;
	vb2->lock = &s->mutex;
	vb2->dev = s->vv->vdev->dev.parent;
	return vb2_queue_init(vb2);
}
