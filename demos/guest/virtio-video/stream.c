// SPDX-License-Identifier: GPL-2.0
/* A stream of the device: begins, changes its size, is drained, ends. */
#include <linux/sched.h>
#include <linux/string.h>
#include <media/v4l2-event.h>

#include "virtio_video.h"

unsigned int vv_raw_planes(u32 fourcc)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_ABGR32:
		return 1;
	case V4L2_PIX_FMT_NV12:
		return 2;
	default:
		return 3;
	}
}

/* All planes lie in one buffer, without gaps, as V4L2 has it. */
void vv_raw_layout(struct v4l2_pix_format_mplane *format, u32 offsets[VIRTIO_VIDEO_MAX_PLANES])
{
	u32 luma = format->plane_fmt[0].bytesperline * format->height;

	format->plane_fmt[0].sizeimage = luma;
	if (vv_raw_planes(format->pixelformat) > 1)
		format->plane_fmt[0].sizeimage += luma / 2;
	offsets[0] = 0;
	offsets[1] = luma;
	offsets[2] = luma + luma / 4;
}

void vv_raw_change(struct v4l2_pix_format_mplane *format, u32 fourcc)
{
	u32 stride = format->plane_fmt[0].bytesperline, offsets[VIRTIO_VIDEO_MAX_PLANES];

	if (vv_raw_planes(format->pixelformat) == 1)
		stride /= 4;
	if (vv_raw_planes(fourcc) == 1)
		stride *= 4;
	format->pixelformat = fourcc;
	format->plane_fmt[0].bytesperline = stride;
	vv_raw_layout(format, offsets);
}

static int vv_ask_done(struct vv_stream *s, const void *cmd, size_t cmd_size)
{
	struct virtio_video_hdr resp;

	return vv_ask(s->vv, cmd, cmd_size, &resp, sizeof(resp), VIRTIO_VIDEO_RESP_OK_NODATA);
}

/* Tells the device what user space believes of the bitstream. */
static int vv_set_coded_params(struct vv_stream *s)
{
	const struct v4l2_pix_format_mplane *format = &s->out.format;
	struct virtio_video_params cmd = {
		.hdr = { cpu_to_le32(VIRTIO_VIDEO_CMD_SET_PARAMS), cpu_to_le32(s->id) },
		.queue_type = cpu_to_le32(VIRTIO_VIDEO_QUEUE_INPUT),
		.format = cpu_to_le32(s->coded->wire),
		.frame_width = cpu_to_le32(format->width),
		.frame_height = cpu_to_le32(format->height),
		.num_planes = cpu_to_le32(1),
		.planes[0].plane_size = cpu_to_le32(format->plane_fmt[0].sizeimage),
	};

	return vv_ask_done(s, &cmd, sizeof(cmd));
}

/* Tells the device which raw format is wanted; the rest is what it said itself. */
static int vv_set_raw_params(struct vv_stream *s)
{
	const struct v4l2_pix_format_mplane *format = &s->cap.format;
	struct virtio_video_params cmd = {
		.hdr = { cpu_to_le32(VIRTIO_VIDEO_CMD_SET_PARAMS), cpu_to_le32(s->id) },
		.queue_type = cpu_to_le32(VIRTIO_VIDEO_QUEUE_OUTPUT),
		.format = cpu_to_le32(s->raw->wire),
		.frame_width = cpu_to_le32(format->width),
		.frame_height = cpu_to_le32(format->height),
		.crop.width = cpu_to_le32(s->crop.width),
		.crop.height = cpu_to_le32(s->crop.height),
		.crop.left = cpu_to_le32(s->crop.left),
		.crop.top = cpu_to_le32(s->crop.top),
	};
	unsigned int i, n = vv_raw_planes(format->pixelformat);
	u32 stride = format->plane_fmt[0].bytesperline;

	cmd.num_planes = cpu_to_le32(n);
	for (i = 0; i < n; i++) {
		u32 width = i && n == 3 ? stride / 2 : stride;

		cmd.planes[i].stride = cpu_to_le32(width);
		cmd.planes[i].plane_size =
			cpu_to_le32(width * (i ? format->height / 2 : format->height));
	}
	return vv_ask_done(s, &cmd, sizeof(cmd));
}

static bool vv_params_are_sane(struct vv_stream *s, const struct virtio_video_params *p)
{
	u32 width = le32_to_cpu(p->frame_width), height = le32_to_cpu(p->frame_height);
	u32 stride = le32_to_cpu(p->planes[0].stride);

	return le32_to_cpu(p->format) == s->raw->wire && width && height && !(width % 2) &&
	       !(height % 2) && width <= VV_MAX_SIDE && height <= VV_MAX_SIDE && stride >= width &&
	       stride <= 4 * VV_MAX_SIDE && !(stride % 2) && le32_to_cpu(p->crop.left) < width &&
	       le32_to_cpu(p->crop.top) < height &&
	       le32_to_cpu(p->crop.width) <= width - le32_to_cpu(p->crop.left) &&
	       le32_to_cpu(p->crop.height) <= height - le32_to_cpu(p->crop.top);
}

/* What the device knows of the pictures. */
static int vv_get_params(struct vv_stream *s)
{
	struct v4l2_pix_format_mplane *format = &s->cap.format;
	u32 offsets[VIRTIO_VIDEO_MAX_PLANES];
	struct virtio_video_params p;
	int err;

	err = vv_ask_queue(s, VIRTIO_VIDEO_CMD_GET_PARAMS, VIRTIO_VIDEO_QUEUE_OUTPUT, &p, sizeof(p),
			   VIRTIO_VIDEO_RESP_OK_GET_PARAMS);
	if (err)
		return err;
	if (!vv_params_are_sane(s, &p)) {
		dev_err(&s->vv->vdev->dev, "pictures of a strange size\n");
		return -EPROTO;
	}
	format->width = le32_to_cpu(p.frame_width);
	format->height = le32_to_cpu(p.frame_height);
	format->plane_fmt[0].bytesperline = le32_to_cpu(p.planes[0].stride);
	vv_raw_layout(format, offsets);
	s->crop.left = le32_to_cpu(p.crop.left);
	s->crop.top = le32_to_cpu(p.crop.top);
	s->crop.width = le32_to_cpu(p.crop.width) ?: format->width - s->crop.left;
	s->crop.height = le32_to_cpu(p.crop.height) ?: format->height - s->crop.top;
	s->min_buffers = clamp(le32_to_cpu(p.min_buffers), 1U, VB2_MAX_FRAME);
	return 0;
}

int vv_stream_create(struct vv_stream *s)
{
	struct virtio_video_stream_create cmd = {
		.hdr.type = cpu_to_le32(VIRTIO_VIDEO_CMD_STREAM_CREATE),
		.in_mem_type = cpu_to_le32(VIRTIO_VIDEO_MEM_GUEST_PAGES),
		.out_mem_type = cpu_to_le32(VIRTIO_VIDEO_MEM_GUEST_PAGES),
		.coded_format = cpu_to_le32(s->coded->wire),
	};
	int err;

	spin_lock_irq(&s->vv->lock);
	s->id = ++s->vv->last_stream_id;
	spin_unlock_irq(&s->vv->lock);
	cmd.hdr.stream_id = cpu_to_le32(s->id);
	strscpy((char *)cmd.tag, current->comm, sizeof(cmd.tag)); /* for people to read */
	err = vv_ask_done(s, &cmd, sizeof(cmd));
	if (err)
		return err;
	spin_lock_irq(&s->vv->lock);
	s->created = true;
	s->known = false;
	s->failed = false;
	s->fed = false;
	spin_unlock_irq(&s->vv->lock);
	err = vv_set_coded_params(s);
	if (!err)
		err = vv_set_raw_params(s);
	if (err)
		vv_stream_destroy(s);
	return err;
}

void vv_stream_destroy(struct vv_stream *s)
{
	struct virtio_video_hdr cmd = { cpu_to_le32(VIRTIO_VIDEO_CMD_STREAM_DESTROY),
					cpu_to_le32(s->id) };
	bool created = s->created;

	spin_lock_irq(&s->vv->lock);
	s->created = false;
	s->known = false;
	s->failed = false;
	s->changing = false;
	spin_unlock_irq(&s->vv->lock);
	if (created)
		vv_ask_done(s, &cmd, sizeof(cmd));
}

void vv_stream_fail(struct vv_stream *s)
{
	if (s->failed)
		return;
	s->failed = true;
	vb2_queue_error(&s->out.vb2);
	vb2_queue_error(&s->cap.vb2);
}

static void vv_tell_change(struct vv_stream *s)
{
	static const struct v4l2_event event = {
		.type = V4L2_EVENT_SOURCE_CHANGE,
		.u.src_change.changes = V4L2_EVENT_SRC_CH_RESOLUTION,
	};

	v4l2_event_queue_fh(&s->fh, &event);
}

/*
 * The device has seen the size of what comes next, and waits. Buffers that it
 * has come back here; where their size is right (the guess was), they go to it
 * again, else user space has to make others.
 */
void vv_stream_change(struct work_struct *work)
{
	struct vv_stream *s = container_of(work, struct vv_stream, change);
	struct v4l2_pix_format_mplane before = s->cap.format;
	struct v4l2_rect crop;
	bool same;
	int err = 0;

	mutex_lock(&s->mutex);
	before = s->cap.format;
	crop = s->crop;
	if (!s->created || s->failed || !s->out.streaming)
		goto out;
	/* From here on no picture's buffer goes to the device. */
	spin_lock_irq(&s->vv->lock);
	s->changing = s->cap.streaming;
	spin_unlock_irq(&s->vv->lock);
	if (s->cap.streaming)
		err = vv_queue_clear(s, &s->cap);
	if (!err)
		err = vv_get_params(s);
	spin_lock_irq(&s->vv->lock);
	same = s->cap.streaming && !memcmp(&before, &s->cap.format, sizeof(before)) &&
	       !memcmp(&crop, &s->crop, sizeof(crop));
	s->known = !err;
	if (err) {
		vv_stream_fail(s);
	} else if (!same) {
		vv_tell_change(s);
		if (s->changing)
			vv_give_last(s);
	} else {
		s->changing = false;
	}
	vv_push(s);
	spin_unlock_irq(&s->vv->lock);
	if (!err)
		v4l2_ctrl_s_ctrl(s->min_capture, s->min_buffers);
out:
	mutex_unlock(&s->mutex);
}

int vv_stream_set_raw(struct vv_stream *s, const struct vv_format *raw)
{
	int err = 0;

	s->raw = raw;
	vv_raw_change(&s->cap.format, raw->fourcc);
	if (s->created)
		err = vv_set_raw_params(s);
	if (s->created && s->known && !err)
		err = vv_get_params(s);
	return err;
}

int vv_stream_stop(struct vv_stream *s)
{
	struct vv_buffer *buf;
	int err = 0;

	spin_lock_irq(&s->vv->lock);
	if (!s->out.streaming) {
		/* Nothing is under way, which is no error. */
	} else if (s->draining) {
		err = -EBUSY;
	} else if (!s->drained) {
		s->draining = true;
		s->before_drain = 0;
		list_for_each_entry(buf, &s->out.ready, ready)
			s->before_drain++;
		if (s->fed || s->before_drain) {
			vv_push(s);
		} else {
			vv_drained(s);
			vv_give_last(s);
		}
	}
	spin_unlock_irq(&s->vv->lock);
	return err;
}

int vv_stream_go_on(struct vv_stream *s)
{
	int err = 0;

	spin_lock_irq(&s->vv->lock);
	if (s->draining && !s->changing) {
		err = -EBUSY;
	} else {
		s->drained = false;
		s->changing = false;
		s->last_owed = false;
		vb2_clear_last_buffer_dequeued(&s->cap.vb2);
		vv_push(s);
	}
	spin_unlock_irq(&s->vv->lock);
	return err;
}
