/* SPDX-License-Identifier: MIT */
#include "wire.h"

#include "common/bytes.h"
#include "common/iov.h"

/* Every request that we read. */
union request {
	struct virtio_snd_hdr hdr;
	struct virtio_snd_query_info query;
	struct virtio_snd_jack_remap remap;
	struct virtio_snd_pcm_hdr pcm;
	struct virtio_snd_pcm_set_params params;
	struct virtio_snd_ctl_hdr ctl;
	struct {
		struct virtio_snd_ctl_hdr hdr;
		__le32 value; // the first of a struct virtio_snd_ctl_value
	} write;
};

static void read_query(const union request *w, struct sound_request *r)
{
	r->id = le32(w->query.start_id);
	r->query.count = le32(w->query.count);
	r->query.size = le32(w->query.size);
}

static void read_remap(const union request *w, struct sound_request *r)
{
	r->id = le32(w->remap.hdr.jack_id);
	r->remap.association = le32(w->remap.association);
	r->remap.sequence = le32(w->remap.sequence);
}

static void read_pcm(const union request *w, struct sound_request *r)
{
	r->id = le32(w->pcm.stream_id);
}

static void read_params(const union request *w, struct sound_request *r)
{
	r->id = le32(w->params.hdr.stream_id);
	r->params.buffer_bytes = le32(w->params.buffer_bytes);
	r->params.period_bytes = le32(w->params.period_bytes);
	r->params.features = le32(w->params.features);
	r->params.channels = w->params.channels;
	r->params.format = w->params.format;
	r->params.rate = w->params.rate;
}

static void read_ctl(const union request *w, struct sound_request *r)
{
	r->id = le32(w->ctl.control_id);
}

static void read_write(const union request *w, struct sound_request *r)
{
	r->id = le32(w->write.hdr.control_id);
	r->value = le32(w->write.value);
}

struct reader {
	uint32_t code;
	uint32_t size; // bytes that the request has at least
	void (*read)(const union request *w, struct sound_request *r);
};

#define REQUEST(name, member, reader)                                                              \
	{                                                                                          \
		VIRTIO_SND_R_##name, sizeof(((union request *)0)->member), reader                  \
	}

static const struct reader readers[] = {
	REQUEST(JACK_INFO, query, read_query),
	REQUEST(JACK_REMAP, remap, read_remap),
	REQUEST(PCM_INFO, query, read_query),
	REQUEST(PCM_SET_PARAMS, params, read_params),
	REQUEST(PCM_PREPARE, pcm, read_pcm),
	REQUEST(PCM_RELEASE, pcm, read_pcm),
	REQUEST(PCM_START, pcm, read_pcm),
	REQUEST(PCM_STOP, pcm, read_pcm),
	REQUEST(CHMAP_INFO, query, read_query),
	REQUEST(CTL_INFO, query, read_query),
	REQUEST(CTL_ENUM_ITEMS, ctl, read_ctl),
	REQUEST(CTL_READ, ctl, read_ctl),
	REQUEST(CTL_WRITE, write, read_write),
	REQUEST(CTL_TLV_READ, ctl, read_ctl),
	REQUEST(CTL_TLV_WRITE, ctl, read_ctl),
	REQUEST(CTL_TLV_COMMAND, ctl, read_ctl),
};

uint32_t sound_wire_decode(const struct iovec *iov, unsigned n, struct sound_request *r)
{
	union request w = {0};
	size_t len = iov_read(iov, n, 0, &w, sizeof(w));

	*r = (struct sound_request){.code = le32(w.hdr.code)};
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		if (readers[i].code != r->code)
			continue;
		if (len < readers[i].size)
			return VIRTIO_SND_S_BAD_MSG;
		readers[i].read(&w, r);
		return 0;
	}
	return len < sizeof(w.hdr) ? VIRTIO_SND_S_BAD_MSG : VIRTIO_SND_S_NOT_SUPP;
}

bool sound_wire_stream_id(const struct iovec *iov, unsigned n, uint32_t *id)
{
	struct virtio_snd_pcm_xfer xfer;

	if (iov_read(iov, n, 0, &xfer, sizeof(xfer)) < sizeof(xfer))
		return false;
	*id = le32(xfer.stream_id);
	return true;
}
