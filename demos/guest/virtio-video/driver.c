// SPDX-License-Identifier: GPL-2.0
/* The device: what it can do, its video node, and its end. */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "virtio_video.h"

#define VV_MAX_CAPS (64U << 10)

static const struct {
	u32 wire, fourcc;
} names[] = {
	{ VIRTIO_VIDEO_FORMAT_NV12, V4L2_PIX_FMT_NV12 },
	{ VIRTIO_VIDEO_FORMAT_YUV420, V4L2_PIX_FMT_YUV420 },
	{ VIRTIO_VIDEO_FORMAT_YVU420, V4L2_PIX_FMT_YVU420 },
	{ VIRTIO_VIDEO_FORMAT_BGRA8888, V4L2_PIX_FMT_ABGR32 },
	{ VIRTIO_VIDEO_FORMAT_MPEG2, V4L2_PIX_FMT_MPEG2 },
	{ VIRTIO_VIDEO_FORMAT_MPEG4, V4L2_PIX_FMT_MPEG4 },
	{ VIRTIO_VIDEO_FORMAT_H264, V4L2_PIX_FMT_H264 },
	{ VIRTIO_VIDEO_FORMAT_HEVC, V4L2_PIX_FMT_HEVC },
	{ VIRTIO_VIDEO_FORMAT_VP8, V4L2_PIX_FMT_VP8 },
	{ VIRTIO_VIDEO_FORMAT_VP9, V4L2_PIX_FMT_VP9 },
};

/* What is left of an answer. */
struct vv_reader {
	const u8 *at;
	size_t left;
};

static const void *vv_read(struct vv_reader *r, size_t size)
{
	const void *at = r->at;

	if (r->left < size)
		return NULL;
	r->at += size;
	r->left -= size;
	return at;
}

static void vv_read_sizes(struct v4l2_frmsize_stepwise *sizes, const struct virtio_video_frame *f)
{
	sizes->min_width = max(le32_to_cpu(f->width.min), 2U);
	sizes->max_width = min(le32_to_cpu(f->width.max), VV_MAX_SIDE);
	sizes->step_width = max(le32_to_cpu(f->width.step), 1U);
	sizes->min_height = max(le32_to_cpu(f->height.min), 2U);
	sizes->max_height = min(le32_to_cpu(f->height.max), VV_MAX_SIDE);
	sizes->step_height = max(le32_to_cpu(f->height.step), 1U);
}

/* One description, of whose frame sizes the first counts. */
static int vv_read_format(struct vv_reader *r, struct vv_formats *formats)
{
	const struct virtio_video_desc *desc = vv_read(r, sizeof(*desc));
	struct vv_format *format = &formats->all[formats->count];
	const struct virtio_video_frame *frame;
	u32 i;

	if (!desc || !desc->num_frames)
		return -EPROTO;
	for (i = 0; i < le32_to_cpu(desc->num_frames); i++) {
		frame = vv_read(r, sizeof(*frame));
		if (!frame || !vv_read(r, array_size(le32_to_cpu(frame->num_rates),
						     sizeof(struct virtio_video_range))))
			return -EPROTO;
		if (i == 0)
			vv_read_sizes(&format->sizes, frame);
	}
	if (format->sizes.min_width > format->sizes.max_width ||
	    format->sizes.min_height > format->sizes.max_height)
		return -EPROTO;
	format->wire = le32_to_cpu(desc->format);
	format->mask = le64_to_cpu(desc->mask);
	format->fourcc = 0;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].wire == format->wire)
			format->fourcc = names[i].fourcc;
	/* A format without a name keeps its place, for the masks. */
	formats->count++;
	return 0;
}

static int vv_read_formats(struct vv_device *vv, u32 queue_type, struct vv_formats *formats)
{
	struct virtio_video_queue_cmd cmd = {
		.hdr.type = cpu_to_le32(VIRTIO_VIDEO_CMD_QUERY_CAPABILITY),
		.queue_type = cpu_to_le32(queue_type),
	};
	struct virtio_video_capability_resp *resp = kzalloc(vv->caps_size, GFP_KERNEL);
	struct vv_reader r = { (const u8 *)(resp + 1), vv->caps_size - sizeof(*resp) };
	u32 i;
	int err;

	if (!resp)
		return -ENOMEM;
	err = vv_ask(vv, &cmd, sizeof(cmd), resp, vv->caps_size,
		     VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY);
	for (i = 0; !err && i < min(le32_to_cpu(resp->num_descs), VV_MAX_FORMATS); i++)
		err = vv_read_format(&r, formats);
	kfree(resp);
	return err;
}

static bool vv_any(const struct vv_formats *formats)
{
	unsigned int i;

	for (i = 0; i < formats->count; i++)
		if (formats->all[i].fourcc)
			return true;
	return false;
}

static int vv_learn(struct vv_device *vv)
{
	u32 caps_size;
	int err;

	virtio_cread_le(vv->vdev, struct virtio_video_config, max_caps_length, &caps_size);
	vv->caps_size = clamp(caps_size, sizeof(struct virtio_video_capability_resp), VV_MAX_CAPS);
	err = vv_read_formats(vv, VIRTIO_VIDEO_QUEUE_INPUT, &vv->coded);
	if (!err)
		err = vv_read_formats(vv, VIRTIO_VIDEO_QUEUE_OUTPUT, &vv->raw);
	if (!err && (!vv_any(&vv->coded) || !vv_any(&vv->raw)))
		err = -ENODEV;
	return err;
}

static void vv_free(struct v4l2_device *v4l2_dev)
{
	struct vv_device *vv = container_of(v4l2_dev, struct vv_device, v4l2_dev);

	v4l2_device_unregister(v4l2_dev);
	kfree(vv->events);
	kfree(vv);
}

static int vv_register(struct vv_device *vv)
{
	struct video_device *video = &vv->video;

	strscpy(video->name, "virtio-video decoder", sizeof(video->name));
	video->v4l2_dev = &vv->v4l2_dev;
	video->fops = &vv_file_ops;
	video->ioctl_ops = &vv_ioctl_ops;
	video->vfl_dir = VFL_DIR_M2M;
	video->device_caps = V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING;
	video->release = video_device_release_empty;
	video_set_drvdata(video, vv);
	return video_register_device(video, VFL_TYPE_VIDEO, -1);
}

static struct vv_device *vv_alloc(struct virtio_device *vdev)
{
	struct vv_device *vv = kzalloc(sizeof(*vv), GFP_KERNEL);

	if (!vv)
		return NULL;
	vv->vdev = vdev;
	mutex_init(&vv->stop_lock);
	spin_lock_init(&vv->lock);
	INIT_LIST_HEAD(&vv->streams);
	vv_ring_init(vv);
	vdev->priv = vv;
	return vv;
}

static int vv_probe(struct virtio_device *vdev)
{
	struct vv_device *vv;
	int err;

	vv = vv_alloc(vdev);
	if (!vv)
		return -ENOMEM;
	err = v4l2_device_register(&vdev->dev, &vv->v4l2_dev);
	if (err) {
		kfree(vv);
		return err;
	}
	vv->v4l2_dev.release = vv_free;
	err = vv_ring_start(vv);
	if (err)
		goto fail;
	err = vv_learn(vv);
	if (!err)
		err = vv_register(vv);
	if (!err)
		return 0;
fail:
	dev_err(&vdev->dev, "no decoder (%d)\n", err);
	vv_ring_end(vv);
	v4l2_device_put(&vv->v4l2_dev);
	return err;
}

static void vv_remove(struct virtio_device *vdev)
{
	struct vv_device *vv = vdev->priv;

	video_unregister_device(&vv->video);
	vv_ring_end(vv);
	v4l2_device_disconnect(&vv->v4l2_dev);
	v4l2_device_put(&vv->v4l2_dev);
}

/* For a machine that sleeps. All streams fail. */
static int __maybe_unused vv_freeze(struct virtio_device *vdev)
{
	vv_ring_stop(vdev->priv);
	return 0;
}

static int __maybe_unused vv_restore(struct virtio_device *vdev)
{
	return vv_ring_start(vdev->priv);
}

static int vv_validate(struct virtio_device *vdev)
{
	if (virtio_has_feature(vdev, VIRTIO_VIDEO_F_GUEST_PAGES) &&
	    virtio_has_feature(vdev, VIRTIO_VIDEO_F_NON_CONTIG))
		return 0;
	dev_err(&vdev->dev, "the device does not take pages of the guest\n");
	return -EINVAL;
}

static const struct virtio_device_id vv_ids[] = {
	{ VIRTIO_VIDEO_ID_DECODER, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vv_ids);

static const unsigned int vv_features[] = {
	VIRTIO_VIDEO_F_GUEST_PAGES,
	VIRTIO_VIDEO_F_NON_CONTIG,
};

static struct virtio_driver vv_driver = {
	.driver.name = KBUILD_MODNAME,
	.id_table = vv_ids,
	.feature_table = vv_features,
	.feature_table_size = ARRAY_SIZE(vv_features),
	.validate = vv_validate,
	.probe = vv_probe,
	.remove = vv_remove,
#ifdef CONFIG_PM_SLEEP
	.freeze = vv_freeze,
	.restore = vv_restore,
#endif
};
module_virtio_driver(vv_driver);

MODULE_DESCRIPTION("V4L2 stateful decoder on a virtio-video device");
MODULE_LICENSE("GPL");
