/* SPDX-License-Identifier: MIT */
/* The requests of the control queue (VIRTIO 1.4, 5.14.6). Each is answered at once. */
#define LOG_TOPIC "sound"
#include "device.h"

#include <string.h>

#include "common/bytes.h"
#include "common/iov.h"
#include "common/log.h"

enum { POLLS_AT_RELEASE = 4 }; // of a ring that a driver goes on filling

void sound_reply(struct sound_cmd *cmd, uint32_t status, const void *body, size_t len)
{
	uint8_t bytes[sizeof(struct virtio_snd_hdr) + sizeof(struct virtio_snd_ctl_value)];
	const struct virtio_snd_hdr hdr = {to_le32(status)};

	memcpy(bytes, &hdr, sizeof(hdr));
	if (len)
		memcpy(bytes + sizeof(hdr), body, len);
	vhu_finish(&cmd->req, bytes, (uint32_t)(sizeof(hdr) + len));
}

static void finish(struct sound_cmd *cmd, uint32_t status)
{
	sound_reply(cmd, status, NULL, 0);
}

/* ---- queries of items ---- */

typedef size_t item_fn(const struct card *c, unsigned i, void *item);

/* Items are cut or padded to the size that the driver knows them by. */
static void answer_query(const struct sound_device *dev, struct sound_cmd *cmd,
	const struct sound_request *r, unsigned n_items, item_fn *fill)
{
	struct vq_req *req = &cmd->req;
	const struct virtio_snd_hdr ok = {to_le32(VIRTIO_SND_S_OK)};
	size_t size = r->query.size, at = sizeof(ok);

	if ((uint64_t)r->id + r->query.count > n_items || size < sizeof(struct virtio_snd_info)
		|| size > SOUND_WIRE_ITEM_MAX || req->in_len < at + r->query.count * size) {
		finish(cmd, VIRTIO_SND_S_BAD_MSG);
		return;
	}
	iov_write(vq_req_in(req), req->n_in, 0, &ok, sizeof(ok));
	for (unsigned i = 0; i < r->query.count; i++, at += size) {
		uint8_t item[SOUND_WIRE_ITEM_MAX] = {0};

		fill(&dev->card, r->id + i, item);
		iov_write(vq_req_in(req), req->n_in, at, item, size);
	}
	vhu_finish_written(req, (uint32_t)at);
}

static void run_jack_info(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	answer_query(dev, cmd, r, dev->card.n_jacks, card_jack_info);
}

static void run_pcm_info(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	answer_query(dev, cmd, r, dev->card.n_streams, card_pcm_info);
}

static void run_chmap_info(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	answer_query(dev, cmd, r, card_n_chmaps(&dev->card), card_chmap_info);
}

static void run_ctl_info(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	answer_query(dev, cmd, r, dev->card.n_controls, card_ctl_info);
}

static void run_jack_remap(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	finish(cmd, card_remap(&dev->card, r->id, r->remap.association, r->remap.sequence));
}

/* ---- streams ---- */

/* The stream that a request is about; NULL, and the request is over, when there is no such. */
static struct sound_stream *stream_at(
	struct sound_device *dev, struct sound_cmd *cmd, const struct sound_request *r)
{
	if (r->id < dev->card.n_streams)
		return &dev->streams[r->id];
	finish(cmd, VIRTIO_SND_S_BAD_MSG);
	return NULL;
}

/* 0 and *f, or the status that says why not. */
static uint32_t read_format(
	const struct card *c, const struct sound_request *r, struct pcm_format *f)
{
	uint32_t bytes = format_bytes(r->params.format), rate = format_rate(r->params.rate);
	const uint32_t features =
		BIT(VIRTIO_SND_PCM_F_MSG_POLLING) | BIT(VIRTIO_SND_PCM_F_EVT_XRUNS);
	uint32_t frame = bytes * r->params.channels;

	if (r->params.features & ~features || !rate || !frame
		|| r->params.channels > FORMAT_CHANNELS_MAX)
		return VIRTIO_SND_S_NOT_SUPP;
	if (!r->params.period_bytes || r->params.period_bytes % frame || !r->params.buffer_bytes
		|| r->params.buffer_bytes % r->params.period_bytes)
		return VIRTIO_SND_S_BAD_MSG;
	*f = (struct pcm_format){
		.direction = (uint8_t)card_direction(c, r->id),
		.format = r->params.format,
		.channels = r->params.channels,
		.rate = rate,
		.frame = frame,
		.period = r->params.period_bytes / frame,
		.buffer = r->params.buffer_bytes / frame,
	};
	return 0;
}

static void run_set_params(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct sound_stream *s = stream_at(dev, cmd, r);
	struct pcm_format f;
	uint32_t status;

	if (!s)
		return;
	status = read_format(&dev->card, r, &f);
	if (!status)
		status = pcm_set_params(&s->pcm, &f,
			r->params.features & BIT(VIRTIO_SND_PCM_F_MSG_POLLING),
			r->params.features & BIT(VIRTIO_SND_PCM_F_EVT_XRUNS), loop_now());
	finish(cmd, status);
	sound_run_soon(dev, s);
}

static void run_prepare(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct sound_stream *s = stream_at(dev, cmd, r);

	if (s)
		finish(cmd, pcm_prepare(&s->pcm));
}

/* I/O messages that were queued before this request may not have been seen yet. */
static unsigned poll_ring(struct sound_device *dev, unsigned stream)
{
	return vhu_poll(dev->vhu, VIRTIO_SND_VQ_TX + card_direction(&dev->card, stream));
}

static void run_start(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct sound_stream *s = stream_at(dev, cmd, r);
	uint32_t status;

	if (!s)
		return;
	poll_ring(dev, r->id);
	status = pcm_start(&s->pcm, loop_now());
	finish(cmd, status);
	sound_run_soon(dev, s);
}

static void run_stop(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct sound_stream *s = stream_at(dev, cmd, r);

	if (s)
		finish(cmd, pcm_stop(&s->pcm));
}

/* Not answered before all messages of the stream are (5.14.6.6.5.1). */
static void run_release(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct sound_stream *s = stream_at(dev, cmd, r);
	uint32_t status;

	if (!s)
		return;
	poll_ring(dev, r->id);
	status = pcm_release(&s->pcm, loop_now());
	for (unsigned i = 0; i < POLLS_AT_RELEASE && poll_ring(dev, r->id); i++)
		;
	finish(cmd, status);
	sound_run_soon(dev, s);
}

/* ---- control elements ---- */

/* True when this element is there; else the request is over. */
static bool has_control(
	struct sound_device *dev, struct sound_cmd *cmd, const struct sound_request *r)
{
	if (r->id < dev->card.n_controls)
		return true;
	finish(cmd, dev->card.n_controls ? VIRTIO_SND_S_BAD_MSG : VIRTIO_SND_S_NOT_SUPP);
	return false;
}

static void run_enum_items(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct virtio_snd_ctl_enum_item item[8] = {0};
	unsigned n = 0;

	if (!has_control(dev, cmd, r))
		return;
	if (card_control_kind(&dev->card, r->id) != CARD_ROLE) {
		finish(cmd, VIRTIO_SND_S_BAD_MSG);
		return;
	}
	for (; card_role(n); n++)
		memcpy(item[n].item, card_role(n), strlen(card_role(n)));
	sound_reply(cmd, VIRTIO_SND_S_OK, item, n * sizeof(item[0]));
}

static void run_ctl_read(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	struct virtio_snd_ctl_value value = {0};

	if (!has_control(dev, cmd, r))
		return;
	value.value.integer[0] = to_le32(dev->card.values[r->id]);
	sound_reply(cmd, VIRTIO_SND_S_OK, &value, sizeof(value));
}

static void apply_control(struct sound_device *dev, unsigned control)
{
	unsigned stream = card_control_stream(&dev->card, control);
	const struct backend_ops *ops = dev->backend->ops;

	if (card_control_kind(&dev->card, control) == CARD_ROLE) {
		if (ops->set_role)
			ops->set_role(dev->backend, stream, card_role(dev->card.values[control]));
	} else if (ops->set_level) {
		const struct backend_level level = card_level(&dev->card, stream);

		ops->set_level(dev->backend, stream, &level);
	}
}

/* Linux tells nobody in the guest of what its own programs write: a notification does. */
static void run_ctl_write(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	if (!has_control(dev, cmd, r))
		return;
	if (r->value > card_control_max(card_control_kind(&dev->card, r->id))) {
		finish(cmd, VIRTIO_SND_S_BAD_MSG);
		return;
	}
	dev->control_changed[r->id] |= dev->card.values[r->id] != r->value;
	dev->card.values[r->id] = r->value;
	apply_control(dev, r->id);
	finish(cmd, VIRTIO_SND_S_OK);
	sound_send_events(dev);
}

static void run_tlv_read(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	uint8_t tlv[64];
	size_t room = cmd->req.in_len, len;

	if (!has_control(dev, cmd, r))
		return;
	if (card_control_kind(&dev->card, r->id) != CARD_VOLUME) {
		finish(cmd, VIRTIO_SND_S_NOT_SUPP);
		return;
	}
	room = room > sizeof(struct virtio_snd_hdr) ? room - sizeof(struct virtio_snd_hdr) : 0;
	len = card_tlv(tlv, room < sizeof(tlv) ? room : sizeof(tlv));
	sound_reply(cmd, VIRTIO_SND_S_OK, tlv, len);
}

/* No element has the right to be asked so. */
static void run_tlv_other(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r)
{
	if (has_control(dev, cmd, r))
		finish(cmd, VIRTIO_SND_S_NOT_SUPP);
}

/* ---- the table ---- */

struct command {
	uint32_t code;
	void (*run)(struct sound_device *dev, struct sound_cmd *cmd, struct sound_request *r);
};

static const struct command commands[] = {
	{VIRTIO_SND_R_JACK_INFO, run_jack_info},
	{VIRTIO_SND_R_JACK_REMAP, run_jack_remap},
	{VIRTIO_SND_R_PCM_INFO, run_pcm_info},
	{VIRTIO_SND_R_PCM_SET_PARAMS, run_set_params},
	{VIRTIO_SND_R_PCM_PREPARE, run_prepare},
	{VIRTIO_SND_R_PCM_RELEASE, run_release},
	{VIRTIO_SND_R_PCM_START, run_start},
	{VIRTIO_SND_R_PCM_STOP, run_stop},
	{VIRTIO_SND_R_CHMAP_INFO, run_chmap_info},
	{VIRTIO_SND_R_CTL_INFO, run_ctl_info},
	{VIRTIO_SND_R_CTL_ENUM_ITEMS, run_enum_items},
	{VIRTIO_SND_R_CTL_READ, run_ctl_read},
	{VIRTIO_SND_R_CTL_WRITE, run_ctl_write},
	{VIRTIO_SND_R_CTL_TLV_READ, run_tlv_read},
	{VIRTIO_SND_R_CTL_TLV_WRITE, run_tlv_other},
	{VIRTIO_SND_R_CTL_TLV_COMMAND, run_tlv_other},
};

void sound_control(struct sound_device *dev, struct sound_cmd *cmd)
{
	struct sound_request r;
	uint32_t status = sound_wire_decode(vq_req_out(&cmd->req), cmd->req.n_out, &r);

	if (status) {
		log_peer("request 0x%x refused: 0x%x", r.code, status);
		finish(cmd, status);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].code == r.code)
			commands[i].run(dev, cmd, &r);
}
