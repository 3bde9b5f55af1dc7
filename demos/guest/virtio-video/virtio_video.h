/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A V4L2 stateful decoder that is a virtio-video device.
 *
 *	driver.c  the device: probing, its formats, its end
 *	ring.c    requests, responses and events on its queues
 *	queue.c   a stream's buffers (videobuf2)
 *	stream.c  a stream's states: format, change of resolution, drain, seek
 *	ioctl.c   a stream as user space has it: file operations and ioctls
 *
 * Two locks: a stream's mutex, which orders its ioctls and its work, and within
 * it the device's spinlock, for the queues of the device, the lists of buffers
 * and what is marked "lock" below.
 */
#ifndef VIRTIO_VIDEO_H
#define VIRTIO_VIDEO_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-dev.h>
#include <media/v4l2-device.h>
#include <media/v4l2-fh.h>
#include <media/videobuf2-v4l2.h>

#include "virtio_video_wire.h"

#define VV_MAX_FORMATS 16
#define VV_MAX_SIDE 8192
#define VV_ORIGINS 64
#define VV_MAX_UNIT (32U << 20)

/* A format of the device: how it is called, and what goes with it. */
struct vv_format {
	u32 fourcc;
	u32 wire;
	u64 mask; /* of the other queue's */
	struct v4l2_frmsize_stepwise sizes;
};

struct vv_formats {
	unsigned int count;
	struct vv_format all[VV_MAX_FORMATS];
};

struct vv_device {
	struct virtio_device *vdev;
	struct v4l2_device v4l2_dev;
	struct video_device video;
	struct vv_formats coded, raw;

	size_t caps_size;

	struct mutex stop_lock;
	struct delayed_work watchdog;
	spinlock_t lock;
	bool ready; /* lock: there are queues, and the device uses them */
	bool gone; /* lock, stop_lock: the driver has left the device */
	struct virtqueue *commandq, *eventq;
	struct virtio_video_event *events;
	struct list_head streams; /* lock */
	u32 last_stream_id; /* lock */
};

/*
 * A request in the device's hands. done() is called with the device's lock
 * when it is answered, or with answered == false when the device was reset.
 */
struct vv_request {
	void (*done)(struct vv_request *req, bool answered);
};

struct vv_buffer {
	struct vb2_v4l2_buffer v4l2; /* must be the first */
	struct list_head ready; /* lock: in vv_queue.ready */
	unsigned int made; /* lock: vv_queue.made when its resource was made */
	u32 resource_id; /* lock */
	struct virtio_video_resource_create *create;
	size_t create_size;
	struct vv_request request;
	struct virtio_video_resource_queue queue;
	struct virtio_video_resource_queue_resp resp;
};

/* What a picture has of the bitstream that it was in. */
struct vv_origin {
	u64 timestamp;
	u32 flags;
	struct v4l2_timecode timecode;
};

struct vv_queue {
	struct vb2_queue vb2;
	struct v4l2_pix_format_mplane format;
	bool streaming; /* lock: between start and stop */
	bool clearing; /* lock: the device is asked to give all back */
	unsigned int held; /* lock: how many the device has */
	unsigned int made; /* lock: a number that changes when resources go */
	unsigned int sequence; /* lock */
	struct list_head ready; /* lock: what the device may have next */
};

struct vv_stream {
	struct v4l2_fh fh;
	struct vv_device *vv;
	struct mutex mutex;
	struct list_head entry; /* lock: in vv_device.streams */
	struct v4l2_ctrl_handler controls;
	struct v4l2_ctrl *min_capture;
	struct work_struct change;
	struct vv_queue out, cap; /* bitstream, pictures */
	const struct vv_format *coded, *raw;
	struct v4l2_rect crop;
	u32 min_buffers;

	u32 id; /* lock */
	u32 last_resource_id; /* lock */
	bool created; /* lock: the device knows this stream */
	bool known; /* lock: and what is in it */
	bool failed; /* lock: it cannot go on; ends when both queues stop */
	bool changing; /* lock: pictures of another size wait for user space */
	bool fed; /* lock: the device has had bitstream that was not drained */
	bool draining; /* lock: between STOP and the last picture */
	bool drain_sent; /* lock */
	bool drained; /* lock: bitstream waits for user space to go on */
	bool last_owed; /* lock: the next capture buffer goes back, as the last */
	unsigned int before_drain; /* lock: ready ones that were queued before STOP */
	struct vv_origin origins[VV_ORIGINS]; /* lock: of the newest bitstream, in turns */
	unsigned int next_origin; /* lock */
};

static inline struct vv_stream *vv_stream_of(struct file *file)
{
	return container_of(file->private_data, struct vv_stream, fh);
}

static inline struct vv_stream *vv_stream_of_queue(struct vb2_queue *vb2)
{
	return vb2_get_drv_priv(vb2);
}

static inline struct vv_queue *vv_queue_of(struct vb2_queue *vb2)
{
	return container_of(vb2, struct vv_queue, vb2);
}

static inline struct vv_buffer *vv_buffer_of(struct vb2_buffer *vb)
{
	return container_of(vb, struct vv_buffer, v4l2.vb2_buf);
}

static inline u32 vv_queue_type(const struct vv_queue *queue)
{
	return V4L2_TYPE_IS_OUTPUT(queue->vb2.type) ? VIRTIO_VIDEO_QUEUE_INPUT
						    : VIRTIO_VIDEO_QUEUE_OUTPUT;
}

/* ---- ring.c ---- */

void vv_ring_init(struct vv_device *vv);
int vv_ring_start(struct vv_device *vv);
void vv_ring_stop(struct vv_device *vv);
/* Stops it for good: the driver leaves. */
void vv_ring_end(struct vv_device *vv);
/*
 * Sends a request and waits for its answer: 0 if that is of the type `expect`.
 * A device that does not answer is given up, and all its streams fail.
 */
int vv_ask(struct vv_device *vv, const void *cmd, size_t cmd_size, void *resp, size_t resp_size,
	   enum virtio_video_type expect);
/* vv_ask() of a command that is about one queue of a stream. */
int vv_ask_queue(struct vv_stream *s, enum virtio_video_type type, u32 queue_type, void *resp,
		 size_t resp_size, enum virtio_video_type expect);
/* Sends one that is answered later; with the lock. -ENOSPC when that has to wait. */
int vv_send(struct vv_device *vv, struct vv_request *req, void *cmd, size_t cmd_size, void *resp,
	    size_t resp_size);
/* Sends a RESOURCE_CREATE or STREAM_DRAIN, copied, whose failure is the stream's; with the lock. */
int vv_send_copy(struct vv_stream *s, const void *cmd, size_t cmd_size);
/*
 * Ends all that is in flight, by a reset, so that the device writes no more. It is not started again: where
 * its back-end is gone, QEMU ends with a failed assertion.
 */
void vv_give_up(struct vv_device *vv);

/* ---- queue.c ---- */

int vv_queue_init(struct vv_stream *s, struct vv_queue *queue, enum v4l2_buf_type type);
/* Takes back all that the device has of a queue, and its resources: into the ready list. */
int vv_queue_clear(struct vv_stream *s, struct vv_queue *queue);
/* Hands the device what it may have; with the lock. */
void vv_push(struct vv_stream *s);
/* Ends the pictures for user space with an empty last buffer; with the lock. */
void vv_give_last(struct vv_stream *s);
/* A drain is through, but for the last buffer; with the lock. */
void vv_drained(struct vv_stream *s);

/* ---- stream.c ---- */

int vv_stream_create(struct vv_stream *s);
void vv_stream_destroy(struct vv_stream *s);
void vv_stream_fail(struct vv_stream *s); /* with the lock */
void vv_stream_change(struct work_struct *work);
int vv_stream_set_raw(struct vv_stream *s, const struct vv_format *raw);
int vv_stream_stop(struct vv_stream *s);
int vv_stream_go_on(struct vv_stream *s);
unsigned int vv_raw_planes(u32 fourcc);
/* Fills in the size of a raw format; offsets: where planes begin. */
void vv_raw_layout(struct v4l2_pix_format_mplane *format, u32 offsets[VIRTIO_VIDEO_MAX_PLANES]);
/* Another raw format, with rows of as many pixels, and laid out. */
void vv_raw_change(struct v4l2_pix_format_mplane *format, u32 fourcc);

/* ---- ioctl.c ---- */

extern const struct v4l2_file_operations vv_file_ops;
extern const struct v4l2_ioctl_ops vv_ioctl_ops;

#endif
