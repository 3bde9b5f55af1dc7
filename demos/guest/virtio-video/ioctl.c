// SPDX-License-Identifier: GPL-2.0
/* What user space asks of a stream: the stateful decoder's interface of V4L2. */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>

#include "virtio_video.h"

/* Where the capture queue's buffers are for mmap(). */
#define VV_CAPTURE_OFFSET (1U << 30)
#define VV_MIN_UNIT (256U << 10)
#define VV_DEFAULT_WIDTH 640
#define VV_DEFAULT_HEIGHT 480

static struct vb2_queue *vv_vb2(struct vv_stream *s, u32 type)
{
	return V4L2_TYPE_IS_OUTPUT(type) ? &s->out.vb2 : &s->cap.vb2;
}

/* ---- formats ---- */

static bool vv_raw_fits(const struct vv_stream *s, const struct vv_format *raw)
{
	return raw->fourcc && (s->coded->mask & BIT_ULL(raw - s->vv->raw.all));
}

static const struct vv_format *vv_find_coded(struct vv_device *vv, u32 fourcc)
{
	unsigned int i;

	for (i = 0; i < vv->coded.count; i++)
		if (vv->coded.all[i].fourcc && (!fourcc || vv->coded.all[i].fourcc == fourcc))
			return &vv->coded.all[i];
	return NULL;
}

static const struct vv_format *vv_find_raw(struct vv_stream *s, u32 fourcc)
{
	unsigned int i;

	for (i = 0; i < s->vv->raw.count; i++)
		if (vv_raw_fits(s, &s->vv->raw.all[i]) &&
		    (!fourcc || s->vv->raw.all[i].fourcc == fourcc))
			return &s->vv->raw.all[i];
	return NULL;
}

static int vv_querycap(struct file *file, void *fh, struct v4l2_capability *cap)
{
	struct device *dev = &vv_stream_of(file)->vv->vdev->dev;

	strscpy(cap->driver, KBUILD_MODNAME, sizeof(cap->driver));
	strscpy(cap->card, "virtio-video decoder", sizeof(cap->card));
	snprintf(cap->bus_info, sizeof(cap->bus_info), "%s:%s",
		 dev_is_pci(dev->parent) ? "PCI" : "platform",
		 dev_name(dev_is_pci(dev->parent) ? dev->parent : dev));
	return 0;
}

static int vv_enum_coded(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	struct vv_device *vv = vv_stream_of(file)->vv;
	unsigned int i, n = 0;

	for (i = 0; i < vv->coded.count; i++) {
		if (!vv->coded.all[i].fourcc || n++ != f->index)
			continue;
		f->pixelformat = vv->coded.all[i].fourcc;
		f->flags = V4L2_FMT_FLAG_COMPRESSED | V4L2_FMT_FLAG_DYN_RESOLUTION;
		return 0;
	}
	return -EINVAL;
}

static int vv_enum_raw(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	struct vv_stream *s = vv_stream_of(file);
	unsigned int i, n = 0;

	for (i = 0; i < s->vv->raw.count; i++) {
		if (!vv_raw_fits(s, &s->vv->raw.all[i]) || n++ != f->index)
			continue;
		f->pixelformat = s->vv->raw.all[i].fourcc;
		return 0;
	}
	return -EINVAL;
}

static int vv_enum_framesizes(struct file *file, void *fh, struct v4l2_frmsizeenum *f)
{
	struct vv_stream *s = vv_stream_of(file);
	const struct vv_format *format = vv_find_coded(s->vv, f->pixel_format);

	if (!f->pixel_format || f->index)
		return -EINVAL;
	if (!format && !vv_find_raw(s, f->pixel_format))
		return -EINVAL;
	f->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	f->stepwise = format ? format->sizes : s->coded->sizes;
	return 0;
}

static void vv_fill_common(struct v4l2_pix_format_mplane *pix)
{
	pix->field = V4L2_FIELD_NONE;
	pix->num_planes = 1;
	pix->flags = 0;
	memset(pix->reserved, 0, sizeof(pix->reserved));
	memset(pix->plane_fmt[0].reserved, 0, sizeof(pix->plane_fmt[0].reserved));
}

static void vv_copy_colour(struct v4l2_pix_format_mplane *to,
			   const struct v4l2_pix_format_mplane *from)
{
	to->colorspace = from->colorspace;
	to->ycbcr_enc = from->ycbcr_enc;
	to->quantization = from->quantization;
	to->xfer_func = from->xfer_func;
}

static const struct vv_format *vv_adjust_coded(struct vv_stream *s,
					       struct v4l2_pix_format_mplane *pix)
{
	const struct vv_format *format =
		pix->pixelformat ? vv_find_coded(s->vv, pix->pixelformat) : NULL;
	u32 size;

	if (!format)
		format = vv_find_coded(s->vv, 0);
	vv_fill_common(pix);
	pix->pixelformat = format->fourcc;
	pix->width = clamp(pix->width ?: VV_DEFAULT_WIDTH, format->sizes.min_width,
			   format->sizes.max_width);
	pix->height = clamp(pix->height ?: VV_DEFAULT_HEIGHT, format->sizes.min_height,
			    format->sizes.max_height);
	size = max(pix->width * pix->height, VV_MIN_UNIT);
	pix->plane_fmt[0].sizeimage = clamp(pix->plane_fmt[0].sizeimage, size, VV_MAX_UNIT);
	pix->plane_fmt[0].bytesperline = 0;
	return format;
}

/* Sizes are the stream's, and only the format is for user space to choose. */
static const struct vv_format *vv_adjust_raw(struct vv_stream *s,
					     struct v4l2_pix_format_mplane *pix)
{
	const struct vv_format *format = pix->pixelformat ? vv_find_raw(s, pix->pixelformat) : NULL;

	if (!format)
		format = s->raw;
	vv_fill_common(pix);
	pix->width = s->cap.format.width;
	pix->height = s->cap.format.height;
	pix->pixelformat = s->cap.format.pixelformat;
	pix->plane_fmt[0].bytesperline = s->cap.format.plane_fmt[0].bytesperline;
	vv_raw_change(pix, format->fourcc);
	vv_copy_colour(pix, &s->out.format);
	return format;
}

/* What is expected of pictures before the stream has said so. */
static void vv_guess_raw(struct vv_stream *s)
{
	struct v4l2_pix_format_mplane *pix = &s->cap.format;

	pix->width = ALIGN(s->out.format.width, 2);
	pix->height = ALIGN(s->out.format.height, 2);
	pix->pixelformat = V4L2_PIX_FMT_NV12;
	pix->plane_fmt[0].bytesperline = pix->width;
	if (!s->raw || !vv_raw_fits(s, s->raw))
		s->raw = vv_find_raw(s, 0);
	vv_raw_change(pix, s->raw->fourcc);
	vv_adjust_raw(s, pix);
	s->crop = (struct v4l2_rect){ 0, 0, s->out.format.width, s->out.format.height };
}

static int vv_g_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vv_stream *s = vv_stream_of(file);

	f->fmt.pix_mp = V4L2_TYPE_IS_OUTPUT(f->type) ? s->out.format : s->cap.format;
	return 0;
}

static int vv_try_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vv_stream *s = vv_stream_of(file);

	if (V4L2_TYPE_IS_OUTPUT(f->type))
		vv_adjust_coded(s, &f->fmt.pix_mp);
	else
		vv_adjust_raw(s, &f->fmt.pix_mp);
	return 0;
}

static int vv_s_fmt_coded(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vv_stream *s = vv_stream_of(file);
	const struct vv_format *coded = vv_adjust_coded(s, &f->fmt.pix_mp);

	if (vb2_is_busy(&s->out.vb2))
		return -EBUSY;
	/* Pictures that are being decoded keep their format. */
	if (vb2_is_busy(&s->cap.vb2) && coded != s->coded)
		return -EBUSY;
	s->out.format = f->fmt.pix_mp;
	s->coded = coded;
	if (!s->created && !vb2_is_busy(&s->cap.vb2))
		vv_guess_raw(s);
	vv_copy_colour(&s->cap.format, &s->out.format);
	return 0;
}

static int vv_s_fmt_raw(struct file *file, void *fh, struct v4l2_format *f)
{
	struct vv_stream *s = vv_stream_of(file);
	const struct vv_format *raw = vv_adjust_raw(s, &f->fmt.pix_mp);
	int err = 0;

	if (vb2_is_busy(&s->cap.vb2))
		return -EBUSY;
	if (raw != s->raw)
		err = vv_stream_set_raw(s, raw);
	if (!err) {
		vv_adjust_raw(s, &s->cap.format);
		f->fmt.pix_mp = s->cap.format;
	}
	return err;
}

static int vv_g_selection(struct file *file, void *fh, struct v4l2_selection *sel)
{
	struct vv_stream *s = vv_stream_of(file);

	if (sel->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
		return -EINVAL;
	switch (sel->target) {
	case V4L2_SEL_TGT_CROP_BOUNDS:
	case V4L2_SEL_TGT_COMPOSE_BOUNDS:
	case V4L2_SEL_TGT_COMPOSE_PADDED:
		sel->r = (struct v4l2_rect){ 0, 0, s->cap.format.width, s->cap.format.height };
		return 0;
	case V4L2_SEL_TGT_CROP_DEFAULT:
	case V4L2_SEL_TGT_CROP:
	case V4L2_SEL_TGT_COMPOSE_DEFAULT:
	case V4L2_SEL_TGT_COMPOSE:
		sel->r = s->crop;
		return 0;
	}
	return -EINVAL;
}

/* ---- buffers ---- */

static void vv_shift_offsets(struct v4l2_buffer *b)
{
	if (!V4L2_TYPE_IS_OUTPUT(b->type) && b->memory == V4L2_MEMORY_MMAP && b->length)
		b->m.planes[0].m.mem_offset += VV_CAPTURE_OFFSET;
}

static int vv_reqbufs(struct file *file, void *fh, struct v4l2_requestbuffers *r)
{
	return vb2_reqbufs(vv_vb2(vv_stream_of(file), r->type), r);
}

static int vv_create_bufs(struct file *file, void *fh, struct v4l2_create_buffers *c)
{
	return vb2_create_bufs(vv_vb2(vv_stream_of(file), c->format.type), c);
}

static int vv_querybuf(struct file *file, void *fh, struct v4l2_buffer *b)
{
	int err = vb2_querybuf(vv_vb2(vv_stream_of(file), b->type), b);

	if (!err)
		vv_shift_offsets(b);
	return err;
}

static int vv_qbuf(struct file *file, void *fh, struct v4l2_buffer *b)
{
	int err = vb2_qbuf(vv_vb2(vv_stream_of(file), b->type), NULL, b);

	if (!err)
		vv_shift_offsets(b);
	return err;
}

static int vv_dqbuf(struct file *file, void *fh, struct v4l2_buffer *b)
{
	int err = vb2_dqbuf(vv_vb2(vv_stream_of(file), b->type), b, file->f_flags & O_NONBLOCK);

	if (!err)
		vv_shift_offsets(b);
	return err;
}

static int vv_prepare_buf(struct file *file, void *fh, struct v4l2_buffer *b)
{
	int err = vb2_prepare_buf(vv_vb2(vv_stream_of(file), b->type), NULL, b);

	if (!err)
		vv_shift_offsets(b);
	return err;
}

static int vv_expbuf(struct file *file, void *fh, struct v4l2_exportbuffer *e)
{
	return vb2_expbuf(vv_vb2(vv_stream_of(file), e->type), e);
}

static int vv_streamon(struct file *file, void *fh, enum v4l2_buf_type type)
{
	return vb2_streamon(vv_vb2(vv_stream_of(file), type), type);
}

static int vv_streamoff(struct file *file, void *fh, enum v4l2_buf_type type)
{
	return vb2_streamoff(vv_vb2(vv_stream_of(file), type), type);
}

/* ---- commands and events ---- */

static int vv_try_decoder_cmd(struct file *file, void *fh, struct v4l2_decoder_cmd *cmd)
{
	if (cmd->cmd != V4L2_DEC_CMD_START && cmd->cmd != V4L2_DEC_CMD_STOP)
		return -EINVAL;
	cmd->flags = 0;
	if (cmd->cmd == V4L2_DEC_CMD_STOP) {
		cmd->stop.pts = 0;
	} else {
		cmd->start.speed = 0;
		cmd->start.format = V4L2_DEC_START_FMT_NONE;
	}
	return 0;
}

static int vv_decoder_cmd(struct file *file, void *fh, struct v4l2_decoder_cmd *cmd)
{
	struct vv_stream *s = vv_stream_of(file);
	int err = vv_try_decoder_cmd(file, fh, cmd);

	if (err)
		return err;
	return cmd->cmd == V4L2_DEC_CMD_STOP ? vv_stream_stop(s) : vv_stream_go_on(s);
}

static int vv_subscribe_event(struct v4l2_fh *fh, const struct v4l2_event_subscription *sub)
{
	switch (sub->type) {
	case V4L2_EVENT_EOS:
		return v4l2_event_subscribe(fh, sub, 2, NULL);
	case V4L2_EVENT_SOURCE_CHANGE:
		return v4l2_src_change_event_subscribe(fh, sub);
	default:
		return v4l2_ctrl_subscribe_event(fh, sub);
	}
}

const struct v4l2_ioctl_ops vv_ioctl_ops = {
	.vidioc_querycap = vv_querycap,
	.vidioc_enum_fmt_vid_out = vv_enum_coded,
	.vidioc_enum_fmt_vid_cap = vv_enum_raw,
	.vidioc_enum_framesizes = vv_enum_framesizes,
	.vidioc_g_fmt_vid_out_mplane = vv_g_fmt,
	.vidioc_g_fmt_vid_cap_mplane = vv_g_fmt,
	.vidioc_try_fmt_vid_out_mplane = vv_try_fmt,
	.vidioc_try_fmt_vid_cap_mplane = vv_try_fmt,
	.vidioc_s_fmt_vid_out_mplane = vv_s_fmt_coded,
	.vidioc_s_fmt_vid_cap_mplane = vv_s_fmt_raw,
	.vidioc_g_selection = vv_g_selection,
	.vidioc_reqbufs = vv_reqbufs,
	.vidioc_create_bufs = vv_create_bufs,
	.vidioc_querybuf = vv_querybuf,
	.vidioc_qbuf = vv_qbuf,
	.vidioc_dqbuf = vv_dqbuf,
	.vidioc_prepare_buf = vv_prepare_buf,
	.vidioc_expbuf = vv_expbuf,
	.vidioc_streamon = vv_streamon,
	.vidioc_streamoff = vv_streamoff,
	.vidioc_try_decoder_cmd = vv_try_decoder_cmd,
	.vidioc_decoder_cmd = vv_decoder_cmd,
	.vidioc_subscribe_event = vv_subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};

/* ---- the file ---- */

static int vv_stream_init(struct vv_stream *s)
{
	int err;

	s->coded = vv_find_coded(s->vv, 0);
	s->out.format.colorspace = V4L2_COLORSPACE_REC709;
	vv_adjust_coded(s, &s->out.format);
	s->min_buffers = 1;
	if (!vv_find_raw(s, 0))
		return -ENODEV;
	vv_guess_raw(s);
	v4l2_ctrl_handler_init(&s->controls, 1);
	s->min_capture = v4l2_ctrl_new_std(&s->controls, NULL, V4L2_CID_MIN_BUFFERS_FOR_CAPTURE, 1,
					   VB2_MAX_FRAME, 1, 1);
	err = s->controls.error;
	if (!err)
		err = vv_queue_init(s, &s->out, V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE);
	if (!err)
		err = vv_queue_init(s, &s->cap, V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE);
	if (err)
		v4l2_ctrl_handler_free(&s->controls);
	return err;
}

static int vv_open(struct file *file)
{
	struct vv_device *vv = video_drvdata(file);
	struct vv_stream *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	if (!s)
		return -ENOMEM;
	s->vv = vv;
	mutex_init(&s->mutex);
	INIT_WORK(&s->change, vv_stream_change);
	err = vv_stream_init(s);
	if (err) {
		kfree(s);
		return err;
	}
	v4l2_fh_init(&s->fh, &vv->video);
	s->fh.ctrl_handler = &s->controls;
	file->private_data = &s->fh;
	v4l2_fh_add(&s->fh);
	spin_lock_irq(&vv->lock);
	list_add_tail(&s->entry, &vv->streams);
	spin_unlock_irq(&vv->lock);
	return 0;
}

static int vv_release(struct file *file)
{
	struct vv_stream *s = vv_stream_of(file);

	mutex_lock(&s->mutex);
	vb2_queue_release(&s->cap.vb2);
	vb2_queue_release(&s->out.vb2);
	mutex_unlock(&s->mutex);
	spin_lock_irq(&s->vv->lock);
	list_del(&s->entry);
	spin_unlock_irq(&s->vv->lock);
	cancel_work_sync(&s->change);
	v4l2_fh_del(&s->fh);
	v4l2_fh_exit(&s->fh);
	v4l2_ctrl_handler_free(&s->controls);
	mutex_destroy(&s->mutex);
	kfree(s);
	return 0;
}

/* Ioctls of one stream come one after the other, but for events, which may be waited for meanwhile. */
static long vv_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vv_stream *s = vv_stream_of(file);
	long result;

	if (cmd == VIDIOC_DQEVENT)
		return video_ioctl2(file, cmd, arg);
	if (mutex_lock_interruptible(&s->mutex))
		return -ERESTARTSYS;
	result = video_ioctl2(file, cmd, arg);
	mutex_unlock(&s->mutex);
	return result;
}

static bool vv_done(struct vb2_queue *vb2)
{
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&vb2->done_lock, flags);
	done = !list_empty(&vb2->done_list);
	spin_unlock_irqrestore(&vb2->done_lock, flags);
	return done;
}

/* Whether something may come of a queue: a buffer, or an event though none is queued. */
static bool vv_awaits(struct vb2_queue *vb2)
{
	return vb2_is_streaming(vb2) && !vb2->error;
}

static __poll_t vv_poll(struct file *file, poll_table *wait)
{
	struct vv_stream *s = vv_stream_of(file);
	__poll_t events = 0;

	poll_wait(file, &s->fh.wait, wait);
	poll_wait(file, &s->out.vb2.done_wq, wait);
	poll_wait(file, &s->cap.vb2.done_wq, wait);
	mutex_lock(&s->mutex);
	if (!vv_awaits(&s->out.vb2) && !vv_awaits(&s->cap.vb2))
		events |= EPOLLERR;
	if (vv_done(&s->out.vb2))
		events |= EPOLLOUT | EPOLLWRNORM;
	if (vv_done(&s->cap.vb2) || s->cap.vb2.last_buffer_dequeued)
		events |= EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&s->mutex);
	/* Asked last: who sees a last buffer sees why it is one. */
	if (v4l2_event_pending(&s->fh))
		events |= EPOLLPRI;
	return events;
}

static int vv_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vv_stream *s = vv_stream_of(file);
	unsigned long capture = VV_CAPTURE_OFFSET >> PAGE_SHIFT;

	if (vma->vm_pgoff < capture)
		return vb2_mmap(&s->out.vb2, vma);
	vma->vm_pgoff -= capture;
	return vb2_mmap(&s->cap.vb2, vma);
}

const struct v4l2_file_operations vv_file_ops = {
	.owner = THIS_MODULE,
	.open = vv_open,
	.release = vv_release,
	.poll = vv_poll,
	.unlocked_ioctl = vv_ioctl,
	.mmap = vv_mmap,
};
