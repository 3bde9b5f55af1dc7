/* SPDX-License-Identifier: MIT */
#include "snd_requests.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HDR sizeof(struct virtio_snd_hdr)

/* Room for n items of so many bytes, or as much of it as may be asked for. */
static uint32_t room_for(const struct snd_driver *d, uint64_t n, uint64_t size)
{
	uint64_t room = HDR + n * size;

	return room < d->resp_cap ? (uint32_t)room : d->resp_cap;
}

/* Copies what follows the status out, if that is OK: exactly size bytes. */
static int fetch(struct snd_driver *d, int rc, void *out, uint64_t size)
{
	if (rc != VIRTIO_SND_S_OK)
		return rc;
	if (d->resp_len != HDR + size)
		return -EBADMSG;
	memcpy(out, d->resp + HDR, size);
	return rc;
}

/* Information about items */

int snd_query(struct snd_driver *d, uint32_t code, uint32_t start, uint32_t count, uint32_t size)
{
	struct virtio_snd_query_info m = {.hdr.code = htole32(code),
		.start_id = htole32(start),
		.count = htole32(count),
		.size = htole32(size)};

	return snd_driver_run(d, &m, sizeof(m), room_for(d, count, size));
}

int snd_jack_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_jack_info *out)
{
	int rc = snd_query(d, VIRTIO_SND_R_JACK_INFO, start, count, sizeof(*out));

	return fetch(d, rc, out, (uint64_t)count * sizeof(*out));
}

int snd_pcm_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_pcm_info *out)
{
	int rc = snd_query(d, VIRTIO_SND_R_PCM_INFO, start, count, sizeof(*out));

	return fetch(d, rc, out, (uint64_t)count * sizeof(*out));
}

int snd_chmap_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_chmap_info *out)
{
	int rc = snd_query(d, VIRTIO_SND_R_CHMAP_INFO, start, count, sizeof(*out));

	return fetch(d, rc, out, (uint64_t)count * sizeof(*out));
}

int snd_ctl_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_ctl_info *out)
{
	int rc = snd_query(d, VIRTIO_SND_R_CTL_INFO, start, count, sizeof(*out));

	return fetch(d, rc, out, (uint64_t)count * sizeof(*out));
}

/* Jacks and streams */

int snd_jack_remap(struct snd_driver *d, uint32_t jack, uint32_t association, uint32_t sequence)
{
	struct virtio_snd_jack_remap m = {.hdr.hdr.code = htole32(VIRTIO_SND_R_JACK_REMAP),
		.hdr.jack_id = htole32(jack),
		.association = htole32(association),
		.sequence = htole32(sequence)};

	return snd_driver_run(d, &m, sizeof(m), room_for(d, 0, 0));
}

int snd_set_params(struct snd_driver *d, uint32_t stream, const struct snd_params *p)
{
	struct virtio_snd_pcm_set_params m = {.hdr.hdr.code = htole32(VIRTIO_SND_R_PCM_SET_PARAMS),
		.hdr.stream_id = htole32(stream),
		.buffer_bytes = htole32(p->buffer_bytes),
		.period_bytes = htole32(p->period_bytes),
		.features = htole32(p->features),
		.channels = p->channels,
		.format = p->format,
		.rate = p->rate};

	return snd_driver_run(d, &m, sizeof(m), room_for(d, 0, 0));
}

static int pcm(struct snd_driver *d, uint32_t code, uint32_t stream)
{
	struct virtio_snd_pcm_hdr m = {.hdr.code = htole32(code), .stream_id = htole32(stream)};

	return snd_driver_run(d, &m, sizeof(m), room_for(d, 0, 0));
}

int snd_prepare(struct snd_driver *d, uint32_t stream)
{
	return pcm(d, VIRTIO_SND_R_PCM_PREPARE, stream);
}

int snd_release(struct snd_driver *d, uint32_t stream)
{
	return pcm(d, VIRTIO_SND_R_PCM_RELEASE, stream);
}

int snd_start(struct snd_driver *d, uint32_t stream)
{
	return pcm(d, VIRTIO_SND_R_PCM_START, stream);
}

int snd_stop(struct snd_driver *d, uint32_t stream)
{
	return pcm(d, VIRTIO_SND_R_PCM_STOP, stream);
}

/* Control elements */

static struct virtio_snd_ctl_hdr ctl(uint32_t code, uint32_t control)
{
	return (struct virtio_snd_ctl_hdr){
		.hdr.code = htole32(code), .control_id = htole32(control)};
}

int snd_ctl_enum_items(
	struct snd_driver *d, uint32_t control, uint32_t n, struct virtio_snd_ctl_enum_item *out)
{
	struct virtio_snd_ctl_hdr m = ctl(VIRTIO_SND_R_CTL_ENUM_ITEMS, control);
	int rc = snd_driver_run(d, &m, sizeof(m), room_for(d, n, sizeof(*out)));

	return fetch(d, rc, out, (uint64_t)n * sizeof(*out));
}

int snd_ctl_read(struct snd_driver *d, uint32_t control, struct virtio_snd_ctl_value *value)
{
	struct virtio_snd_ctl_hdr m = ctl(VIRTIO_SND_R_CTL_READ, control);
	int rc = snd_driver_run(d, &m, sizeof(m), room_for(d, 1, sizeof(*value)));

	if (rc != VIRTIO_SND_S_OK)
		return rc;
	if (d->resp_len == HDR)
		return -EBADMSG;
	memset(value, 0, sizeof(*value));
	memcpy(value, d->resp + HDR, d->resp_len - HDR);
	return rc;
}

/* A header and len bytes more. */
static int with_payload(
	struct snd_driver *d, struct virtio_snd_ctl_hdr m, const void *payload, uint32_t len)
{
	uint8_t *req = malloc(sizeof(m) + len);
	int rc;

	if (!req)
		return -ENOMEM;
	memcpy(req, &m, sizeof(m));
	if (len > 0)
		memcpy(req + sizeof(m), payload, len);
	rc = snd_driver_run(d, req, sizeof(m) + len, room_for(d, 0, 0));
	free(req);
	return rc;
}

int snd_ctl_write(struct snd_driver *d, uint32_t control, const void *value, uint32_t len)
{
	return with_payload(d, ctl(VIRTIO_SND_R_CTL_WRITE, control), value, len);
}

int snd_ctl_tlv_read(struct snd_driver *d, uint32_t control, void *tlv, uint32_t room)
{
	struct virtio_snd_ctl_hdr m = ctl(VIRTIO_SND_R_CTL_TLV_READ, control);
	int rc = snd_driver_run(d, &m, sizeof(m), room_for(d, 1, room));

	if (rc == VIRTIO_SND_S_OK)
		memcpy(tlv, d->resp + HDR, d->resp_len - HDR);
	return rc;
}

int snd_ctl_tlv_write(struct snd_driver *d, uint32_t control, const void *tlv, uint32_t len)
{
	return with_payload(d, ctl(VIRTIO_SND_R_CTL_TLV_WRITE, control), tlv, len);
}

int snd_ctl_tlv_command(struct snd_driver *d, uint32_t control, const void *tlv, uint32_t len)
{
	return with_payload(d, ctl(VIRTIO_SND_R_CTL_TLV_COMMAND, control), tlv, len);
}
