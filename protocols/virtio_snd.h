/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * virtio-sound (VIRTIO 1.4, 5.14): what lies in the configuration space and in the queues. The
 * kernel's linux/virtio_snd.h has control elements and the rates of 12 and 24 kHz since 6.8 and 7.0
 * only; this file has all of it and takes that one's place.
 */
#include <stdint.h>
#include <linux/types.h>

enum { VIRTIO_SND_F_CTLS = 0 };

enum { VIRTIO_SND_VQ_CONTROL, VIRTIO_SND_VQ_EVENT, VIRTIO_SND_VQ_TX, VIRTIO_SND_VQ_RX };

enum { VIRTIO_SND_D_OUTPUT, VIRTIO_SND_D_INPUT };

struct virtio_snd_config {
	__le32 jacks, streams, chmaps;
	__le32 controls; // with VIRTIO_SND_F_CTLS
};

enum {
	VIRTIO_SND_R_JACK_INFO = 1,
	VIRTIO_SND_R_JACK_REMAP,

	VIRTIO_SND_R_PCM_INFO = 0x0100,
	VIRTIO_SND_R_PCM_SET_PARAMS,
	VIRTIO_SND_R_PCM_PREPARE,
	VIRTIO_SND_R_PCM_RELEASE,
	VIRTIO_SND_R_PCM_START,
	VIRTIO_SND_R_PCM_STOP,

	VIRTIO_SND_R_CHMAP_INFO = 0x0200,

	VIRTIO_SND_R_CTL_INFO = 0x0300,
	VIRTIO_SND_R_CTL_ENUM_ITEMS,
	VIRTIO_SND_R_CTL_READ,
	VIRTIO_SND_R_CTL_WRITE,
	VIRTIO_SND_R_CTL_TLV_READ,
	VIRTIO_SND_R_CTL_TLV_WRITE,
	VIRTIO_SND_R_CTL_TLV_COMMAND,

	VIRTIO_SND_EVT_JACK_CONNECTED = 0x1000,
	VIRTIO_SND_EVT_JACK_DISCONNECTED,
	VIRTIO_SND_EVT_PCM_PERIOD_ELAPSED = 0x1100,
	VIRTIO_SND_EVT_PCM_XRUN,
	VIRTIO_SND_EVT_CTL_NOTIFY = 0x1200,

	VIRTIO_SND_S_OK = 0x8000,
	VIRTIO_SND_S_BAD_MSG,
	VIRTIO_SND_S_NOT_SUPP,
	VIRTIO_SND_S_IO_ERR,
};

struct virtio_snd_hdr {
	__le32 code;
};

struct virtio_snd_event {
	struct virtio_snd_hdr hdr;
	__le32 data;
};

struct virtio_snd_query_info {
	struct virtio_snd_hdr hdr;
	__le32 start_id, count;
	__le32 size; // of one item
};

struct virtio_snd_info {
	__le32 hda_fn_nid;
};

/* ---- jacks ---- */

enum { VIRTIO_SND_JACK_F_REMAP };

struct virtio_snd_jack_hdr {
	struct virtio_snd_hdr hdr;
	__le32 jack_id;
};

struct virtio_snd_jack_info {
	struct virtio_snd_info hdr;
	__le32 features;
	__le32 hda_reg_defconf, hda_reg_caps;
	uint8_t connected;
	uint8_t padding[7];
};

struct virtio_snd_jack_remap {
	struct virtio_snd_jack_hdr hdr;
	__le32 association, sequence;
};

/* ---- PCM streams ---- */

enum {
	VIRTIO_SND_PCM_F_SHMEM_HOST,
	VIRTIO_SND_PCM_F_SHMEM_GUEST,
	VIRTIO_SND_PCM_F_MSG_POLLING,
	VIRTIO_SND_PCM_F_EVT_SHMEM_PERIODS,
	VIRTIO_SND_PCM_F_EVT_XRUNS,
};

enum {
	VIRTIO_SND_PCM_FMT_IMA_ADPCM,
	VIRTIO_SND_PCM_FMT_MU_LAW,
	VIRTIO_SND_PCM_FMT_A_LAW,
	VIRTIO_SND_PCM_FMT_S8,
	VIRTIO_SND_PCM_FMT_U8,
	VIRTIO_SND_PCM_FMT_S16,
	VIRTIO_SND_PCM_FMT_U16,
	VIRTIO_SND_PCM_FMT_S18_3,
	VIRTIO_SND_PCM_FMT_U18_3,
	VIRTIO_SND_PCM_FMT_S20_3,
	VIRTIO_SND_PCM_FMT_U20_3,
	VIRTIO_SND_PCM_FMT_S24_3,
	VIRTIO_SND_PCM_FMT_U24_3,
	VIRTIO_SND_PCM_FMT_S20,
	VIRTIO_SND_PCM_FMT_U20,
	VIRTIO_SND_PCM_FMT_S24, // 24 bits in 32
	VIRTIO_SND_PCM_FMT_U24,
	VIRTIO_SND_PCM_FMT_S32,
	VIRTIO_SND_PCM_FMT_U32,
	VIRTIO_SND_PCM_FMT_FLOAT,
	VIRTIO_SND_PCM_FMT_FLOAT64,
	VIRTIO_SND_PCM_FMT_DSD_U8,
	VIRTIO_SND_PCM_FMT_DSD_U16,
	VIRTIO_SND_PCM_FMT_DSD_U32,
	VIRTIO_SND_PCM_FMT_IEC958_SUBFRAME,
	VIRTIO_SND_PCM_FMT_COUNT,
};

enum {
	VIRTIO_SND_PCM_RATE_5512,
	VIRTIO_SND_PCM_RATE_8000,
	VIRTIO_SND_PCM_RATE_11025,
	VIRTIO_SND_PCM_RATE_16000,
	VIRTIO_SND_PCM_RATE_22050,
	VIRTIO_SND_PCM_RATE_32000,
	VIRTIO_SND_PCM_RATE_44100,
	VIRTIO_SND_PCM_RATE_48000,
	VIRTIO_SND_PCM_RATE_64000,
	VIRTIO_SND_PCM_RATE_88200,
	VIRTIO_SND_PCM_RATE_96000,
	VIRTIO_SND_PCM_RATE_176400,
	VIRTIO_SND_PCM_RATE_192000,
	VIRTIO_SND_PCM_RATE_384000,
	VIRTIO_SND_PCM_RATE_12000,
	VIRTIO_SND_PCM_RATE_24000,
	VIRTIO_SND_PCM_RATE_COUNT,
};

struct virtio_snd_pcm_hdr {
	struct virtio_snd_hdr hdr;
	__le32 stream_id;
};

struct virtio_snd_pcm_info {
	struct virtio_snd_info hdr;
	__le32 features;
	__le64 formats, rates;
	uint8_t direction, channels_min, channels_max;
	uint8_t padding[5];
};

struct virtio_snd_pcm_set_params {
	struct virtio_snd_pcm_hdr hdr;
	__le32 buffer_bytes, period_bytes, features;
	uint8_t channels, format, rate;
	uint8_t padding;
};

struct virtio_snd_pcm_xfer {
	__le32 stream_id;
};

struct virtio_snd_pcm_status {
	__le32 status, latency_bytes;
};

/* ---- channel maps ---- */

enum {
	VIRTIO_SND_CHMAP_NONE,
	VIRTIO_SND_CHMAP_NA,
	VIRTIO_SND_CHMAP_MONO,
	VIRTIO_SND_CHMAP_FL,
	VIRTIO_SND_CHMAP_FR,
	VIRTIO_SND_CHMAP_RL,
	VIRTIO_SND_CHMAP_RR,
	VIRTIO_SND_CHMAP_FC,
	VIRTIO_SND_CHMAP_LFE,
	VIRTIO_SND_CHMAP_SL,
	VIRTIO_SND_CHMAP_SR,
	VIRTIO_SND_CHMAP_RC,
	VIRTIO_SND_CHMAP_MAX_SIZE = 18,
};

struct virtio_snd_chmap_info {
	struct virtio_snd_info hdr;
	uint8_t direction, channels;
	uint8_t positions[VIRTIO_SND_CHMAP_MAX_SIZE];
};

/* ---- control elements ---- */

enum {
	VIRTIO_SND_CTL_ROLE_UNDEFINED,
	VIRTIO_SND_CTL_ROLE_VOLUME,
	VIRTIO_SND_CTL_ROLE_MUTE,
	VIRTIO_SND_CTL_ROLE_GAIN,
};

enum {
	VIRTIO_SND_CTL_TYPE_BOOLEAN,
	VIRTIO_SND_CTL_TYPE_INTEGER,
	VIRTIO_SND_CTL_TYPE_INTEGER64,
	VIRTIO_SND_CTL_TYPE_ENUMERATED,
	VIRTIO_SND_CTL_TYPE_BYTES,
	VIRTIO_SND_CTL_TYPE_IEC958,
};

enum {
	VIRTIO_SND_CTL_ACCESS_READ,
	VIRTIO_SND_CTL_ACCESS_WRITE,
	VIRTIO_SND_CTL_ACCESS_VOLATILE,
	VIRTIO_SND_CTL_ACCESS_INACTIVE,
	VIRTIO_SND_CTL_ACCESS_TLV_READ,
	VIRTIO_SND_CTL_ACCESS_TLV_WRITE,
	VIRTIO_SND_CTL_ACCESS_TLV_COMMAND,
};

enum {
	VIRTIO_SND_CTL_EVT_MASK_VALUE,
	VIRTIO_SND_CTL_EVT_MASK_INFO,
	VIRTIO_SND_CTL_EVT_MASK_TLV,
};

struct virtio_snd_ctl_hdr {
	struct virtio_snd_hdr hdr;
	__le32 control_id;
};

struct virtio_snd_ctl_info {
	struct virtio_snd_info hdr;
	__le32 role, type, access, count, index;
	uint8_t name[44];
	union {
		struct {
			__le32 min, max, step;
		} integer;
		struct {
			__le64 min, max, step;
		} integer64;
		struct {
			__le32 items;
		} enumerated;
	} value;
};

struct virtio_snd_ctl_enum_item {
	uint8_t item[64];
};

struct virtio_snd_ctl_value {
	union {
		__le32 integer[128];
		__le64 integer64[64];
		__le32 enumerated[128];
		uint8_t bytes[512];
	} value;
};

struct virtio_snd_ctl_tlv {
	__le32 type, length;
	__le32 value[];
};

struct virtio_snd_ctl_event {
	struct virtio_snd_hdr hdr;
	__le16 control_id, mask;
};
