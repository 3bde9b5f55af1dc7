// SPDX-License-Identifier: GPL-2.0
/* Requests, their answers, and events. */
#include <linux/completion.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "virtio_video.h"

/* Descriptors that buffers leave to what must not wait for buffers. */
#define VV_RESERVE 8
#define VV_MAX_EVENTS 64

static unsigned int timeout = 10;
module_param(timeout, uint, 0644);
MODULE_PARM_DESC(timeout, "seconds after which a device that does not answer is stopped");

struct vv_question {
	struct vv_request request;
	struct completion done;
	bool answered;
};

/* Sent and forgotten, but for its failure. */
struct vv_copy {
	struct vv_request request;
	struct vv_device *vv;
	struct virtio_video_hdr resp;
	u8 cmd[] __aligned(8);
};

static int vv_errno(u32 type, enum virtio_video_type expect)
{
	if (type == expect)
		return 0;
	switch (type) {
	case VIRTIO_VIDEO_RESP_ERR_INVALID_OPERATION:
		return -EBUSY;
	case VIRTIO_VIDEO_RESP_ERR_OUT_OF_MEMORY:
		return -ENOMEM;
	case VIRTIO_VIDEO_RESP_ERR_INVALID_PARAMETER:
		return -EINVAL;
	default:
		return -EIO;
	}
}

static int vv_add(struct vv_device *vv, struct vv_request *req, void *cmd, size_t cmd_size,
		  void *resp, size_t resp_size)
{
	struct scatterlist out, in, *sgs[] = { &out, &in };
	int err;

	if (!vv->ready)
		return -EIO;
	sg_init_one(&out, cmd, cmd_size);
	sg_init_one(&in, resp, resp_size);
	err = virtqueue_add_sgs(vv->commandq, sgs, 1, 1, req, GFP_ATOMIC);
	if (!err)
		virtqueue_kick(vv->commandq);
	return err;
}

int vv_send(struct vv_device *vv, struct vv_request *req, void *cmd, size_t cmd_size, void *resp,
	    size_t resp_size)
{
	if (!vv->ready)
		return -EIO;
	if (vv->commandq->num_free < VV_RESERVE)
		return -ENOSPC;
	schedule_delayed_work(&vv->watchdog, timeout * HZ);
	return vv_add(vv, req, cmd, cmd_size, resp, resp_size);
}

static struct vv_stream *vv_find_stream(struct vv_device *vv, u32 id)
{
	struct vv_stream *s;

	list_for_each_entry(s, &vv->streams, entry)
		if (s->created && s->id == id)
			return s;
	return NULL;
}

/* A drain that a seek has ended is no fault. */
static void vv_copy_done(struct vv_request *req, bool answered)
{
	struct vv_copy *copy = container_of(req, struct vv_copy, request);
	const struct virtio_video_hdr *cmd = (const void *)copy->cmd;
	struct vv_stream *s = vv_find_stream(copy->vv, le32_to_cpu(cmd->stream_id));

	if (s && answered && copy->resp.type != cpu_to_le32(VIRTIO_VIDEO_RESP_OK_NODATA) &&
	    cmd->type != cpu_to_le32(VIRTIO_VIDEO_CMD_STREAM_DRAIN))
		vv_stream_fail(s);
	kfree(copy);
}

int vv_send_copy(struct vv_stream *s, const void *cmd, size_t cmd_size)
{
	struct vv_copy *copy;
	int err;

	copy = kzalloc(struct_size(copy, cmd, cmd_size), GFP_ATOMIC | __GFP_NOWARN);
	if (!copy)
		return -ENOMEM;
	copy->request.done = vv_copy_done;
	copy->vv = s->vv;
	memcpy(copy->cmd, cmd, cmd_size);
	err = vv_send(s->vv, &copy->request, copy->cmd, cmd_size, &copy->resp, sizeof(copy->resp));
	if (err)
		kfree(copy);
	return err;
}

static void vv_question_done(struct vv_request *req, bool answered)
{
	struct vv_question *question = container_of(req, struct vv_question, request);

	question->answered = answered;
	complete(&question->done);
}

/* Until there is room: what is in flight and is no buffer is soon answered. */
static int vv_add_question(struct vv_device *vv, struct vv_question *question, void *cmd,
			   size_t cmd_size, void *resp, size_t resp_size)
{
	unsigned long end = jiffies + timeout * HZ;
	int err;

	for (;;) {
		spin_lock_irq(&vv->lock);
		err = vv_add(vv, &question->request, cmd, cmd_size, resp, resp_size);
		spin_unlock_irq(&vv->lock);
		if (err != -ENOSPC || time_after(jiffies, end))
			return err;
		schedule_timeout_uninterruptible(1);
	}
}

int vv_ask(struct vv_device *vv, const void *cmd, size_t cmd_size, void *resp, size_t resp_size,
	   enum virtio_video_type expect)
{
	struct vv_question question = { .request.done = vv_question_done };
	void *cmd_copy = kmemdup(cmd, cmd_size, GFP_KERNEL);
	struct virtio_video_hdr *answer = kzalloc(resp_size, GFP_KERNEL);
	int err = -ENOMEM;

	init_completion(&question.done);
	if (cmd_copy && answer)
		err = vv_add_question(vv, &question, cmd_copy, cmd_size, answer, resp_size);
	if (!err && !wait_for_completion_timeout(&question.done, timeout * HZ)) {
		dev_err(&vv->vdev->dev, "command %#x is not answered: the device is stopped\n",
			le32_to_cpu(*(const __le32 *)cmd));
		vv_give_up(vv); /* which completes the question */
		wait_for_completion(&question.done);
	}
	if (!err && !question.answered)
		err = -EIO;
	if (!err)
		err = vv_errno(le32_to_cpu(answer->type), expect);
	if (!err)
		memcpy(resp, answer, resp_size);
	kfree(answer);
	kfree(cmd_copy);
	return err;
}

int vv_ask_queue(struct vv_stream *s, enum virtio_video_type type, u32 queue_type, void *resp,
		 size_t resp_size, enum virtio_video_type expect)
{
	struct virtio_video_queue_cmd cmd = {
		.hdr = { cpu_to_le32(type), cpu_to_le32(s->id) },
		.queue_type = cpu_to_le32(queue_type),
	};

	return vv_ask(s->vv, &cmd, sizeof(cmd), resp, resp_size, expect);
}

/* While the device has buffers and says nothing, asks it something. */
static void vv_watch(struct work_struct *work)
{
	struct vv_device *vv = container_of(work, struct vv_device, watchdog.work);
	struct virtio_video_queue_cmd cmd = {
		.hdr.type = cpu_to_le32(VIRTIO_VIDEO_CMD_QUERY_CAPABILITY),
		.queue_type = cpu_to_le32(VIRTIO_VIDEO_QUEUE_INPUT),
	};
	void *resp = kmalloc(vv->caps_size, GFP_KERNEL);
	struct vv_stream *s;
	unsigned int held = 0;

	spin_lock_irq(&vv->lock);
	list_for_each_entry(s, &vv->streams, entry)
		held += s->out.held + s->cap.held;
	spin_unlock_irq(&vv->lock);
	if (held && resp)
		vv_ask(vv, &cmd, sizeof(cmd), resp, vv->caps_size,
		       VIRTIO_VIDEO_RESP_OK_QUERY_CAPABILITY);
	kfree(resp);
	if (held)
		schedule_delayed_work(&vv->watchdog, timeout * HZ);
}

static void vv_commands_answered(struct virtqueue *vq)
{
	struct vv_device *vv = vq->vdev->priv;
	struct vv_request *req;
	struct vv_stream *s;
	unsigned long flags;
	unsigned int len;

	spin_lock_irqsave(&vv->lock, flags);
	while ((req = virtqueue_get_buf(vq, &len)))
		req->done(req, len >= sizeof(struct virtio_video_hdr));
	list_for_each_entry(s, &vv->streams, entry)
		vv_push(s);
	spin_unlock_irqrestore(&vv->lock, flags);
}

static void vv_add_event(struct vv_device *vv, struct virtio_video_event *event)
{
	struct scatterlist in;

	sg_init_one(&in, event, sizeof(*event));
	virtqueue_add_inbuf(vv->eventq, &in, 1, event, GFP_ATOMIC);
}

static void vv_event(struct vv_device *vv, const struct virtio_video_event *event)
{
	struct vv_stream *s = vv_find_stream(vv, le32_to_cpu(event->stream_id));

	if (!s)
		return;
	if (le32_to_cpu(event->type) == VIRTIO_VIDEO_EVENT_ERROR)
		vv_stream_fail(s);
	else if (le32_to_cpu(event->type) == VIRTIO_VIDEO_EVENT_RESOLUTION_CHANGED)
		schedule_work(&s->change);
}

static void vv_events_came(struct virtqueue *vq)
{
	struct vv_device *vv = vq->vdev->priv;
	struct virtio_video_event *event;
	unsigned long flags;
	unsigned int len;

	spin_lock_irqsave(&vv->lock, flags);
	while ((event = virtqueue_get_buf(vq, &len))) {
		if (len >= sizeof(*event))
			vv_event(vv, event);
		vv_add_event(vv, event);
	}
	virtqueue_kick(vq);
	spin_unlock_irqrestore(&vv->lock, flags);
}

void vv_ring_init(struct vv_device *vv)
{
	INIT_DELAYED_WORK(&vv->watchdog, vv_watch);
}

int vv_ring_start(struct vv_device *vv)
{
	struct virtqueue_info info[] = {
		{ "commandq", vv_commands_answered },
		{ "eventq", vv_events_came },
	};
	struct virtqueue *vqs[2];
	unsigned int i, count;
	int err;

	err = virtio_find_vqs(vv->vdev, 2, vqs, info, NULL);
	if (err)
		return err;
	vv->commandq = vqs[0];
	vv->eventq = vqs[1];
	count = min_t(unsigned int, vv->eventq->num_free, VV_MAX_EVENTS);
	if (!vv->events)
		vv->events = kcalloc(VV_MAX_EVENTS, sizeof(*vv->events), GFP_KERNEL);
	if (!vv->events) {
		vv->vdev->config->del_vqs(vv->vdev);
		return -ENOMEM;
	}
	for (i = 0; i < count; i++)
		vv_add_event(vv, &vv->events[i]);
	virtio_device_ready(vv->vdev);
	spin_lock_irq(&vv->lock);
	vv->ready = !vv->gone;
	virtqueue_kick(vv->eventq);
	spin_unlock_irq(&vv->lock);
	return 0;
}

void vv_ring_stop(struct vv_device *vv)
{
	struct vv_request *req;
	struct vv_stream *s;
	unsigned int len;
	bool was_ready;

	spin_lock_irq(&vv->lock);
	was_ready = vv->ready;
	vv->ready = false;
	spin_unlock_irq(&vv->lock);
	if (!was_ready)
		return;
	virtio_reset_device(vv->vdev);
	spin_lock_irq(&vv->lock);
	while ((req = virtqueue_get_buf(vv->commandq, &len)))
		req->done(req, false);
	while ((req = virtqueue_detach_unused_buf(vv->commandq)))
		req->done(req, false);
	list_for_each_entry(s, &vv->streams, entry) {
		if (s->created)
			vv_stream_fail(s);
		s->created = false;
	}
	spin_unlock_irq(&vv->lock);
	vv->vdev->config->del_vqs(vv->vdev);
}

void vv_ring_end(struct vv_device *vv)
{
	mutex_lock(&vv->stop_lock);
	spin_lock_irq(&vv->lock);
	vv->gone = true;
	spin_unlock_irq(&vv->lock);
	vv_ring_stop(vv);
	mutex_unlock(&vv->stop_lock);
	cancel_delayed_work_sync(&vv->watchdog);
}

void vv_give_up(struct vv_device *vv)
{
	mutex_lock(&vv->stop_lock);
	vv_ring_stop(vv);
	mutex_unlock(&vv->stop_lock);
}
