/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The control requests of virtio-sound by name: see snd.h for what they return. Ids, counts and
 * values go out as they are, however wrong. Results are written only for VIRTIO_SND_S_OK, and then
 * the response had their size, or it is -EBADMSG.
 */
#include "snd.h"

/* Parameters of a stream, in host byte order. */
struct snd_params {
	uint32_t buffer_bytes, period_bytes, features;
	uint8_t channels, format, rate;
};

/* Any *_INFO request; the items lie in d->resp, behind four bytes. */
int snd_query(struct snd_driver *d, uint32_t code, uint32_t start, uint32_t count, uint32_t size);

int snd_jack_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_jack_info *out);
int snd_pcm_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_pcm_info *out);
int snd_chmap_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_chmap_info *out);
int snd_ctl_info(
	struct snd_driver *d, uint32_t start, uint32_t count, struct virtio_snd_ctl_info *out);

int snd_jack_remap(struct snd_driver *d, uint32_t jack, uint32_t association, uint32_t sequence);

int snd_set_params(struct snd_driver *d, uint32_t stream, const struct snd_params *p);
int snd_prepare(struct snd_driver *d, uint32_t stream);
int snd_release(struct snd_driver *d, uint32_t stream);
int snd_start(struct snd_driver *d, uint32_t stream);
int snd_stop(struct snd_driver *d, uint32_t stream);

/* n items, as the element's information says. */
int snd_ctl_enum_items(
	struct snd_driver *d, uint32_t control, uint32_t n, struct virtio_snd_ctl_enum_item *out);

/* Reads the whole union; what the device did not write is 0. Writes len bytes of it. */
int snd_ctl_read(struct snd_driver *d, uint32_t control, struct virtio_snd_ctl_value *value);
int snd_ctl_write(struct snd_driver *d, uint32_t control, const void *value, uint32_t len);

/* TLVs as bytes: room for them, of which resp_len - 4 were written; and len of them. */
int snd_ctl_tlv_read(struct snd_driver *d, uint32_t control, void *tlv, uint32_t room);
int snd_ctl_tlv_write(struct snd_driver *d, uint32_t control, const void *tlv, uint32_t len);
int snd_ctl_tlv_command(struct snd_driver *d, uint32_t control, const void *tlv, uint32_t len);
