/* SPDX-License-Identifier: MIT */
#include "wav.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"

enum { TAG_PCM = 1, TAG_FLOAT = 3, TAG_A_LAW = 6, TAG_MU_LAW = 7, TAG_EXTENSIBLE = 0xfffe };

/* Little-endian, as a file has it. */
struct header {
	char riff[4];
	__le32 riff_size;
	char wave[4], fmt[4];
	__le32 fmt_size;
	__le16 tag, channels;
	__le32 rate, byte_rate;
	__le16 frame, bits;
	__le16 extra_size, valid_bits;
	__le32 speakers;
	__le16 sub_tag;
	uint8_t guid[14];
	char data[4];
	__le32 data_size;
};

/* The rest of KSDATAFORMAT_SUBTYPE_*, behind the tag. */
static const uint8_t guid[14] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

static __le16 put16(uint16_t v)
{
	return (force_cast __le16)htole16(v);
}

static uint16_t tag_of(uint8_t format)
{
	switch (format) {
	case VIRTIO_SND_PCM_FMT_FLOAT:
	case VIRTIO_SND_PCM_FMT_FLOAT64:
		return TAG_FLOAT;
	case VIRTIO_SND_PCM_FMT_A_LAW:
		return TAG_A_LAW;
	case VIRTIO_SND_PCM_FMT_MU_LAW:
		return TAG_MU_LAW;
	default:
		return TAG_PCM;
	}
}

static uint32_t cut(uint64_t size)
{
	return size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

static struct header header_of(const struct wav *w)
{
	const struct pcm_format *f = &w->format;
	uint16_t bits = (uint16_t)(8 * format_bytes(f->format));
	uint64_t size = w->frames * f->frame;
	struct header h = {
		.riff = "RIFF",
		.riff_size = to_le32(cut(size + sizeof(h) - 8)),
		.wave = "WAVE",
		.fmt = "fmt ",
		.fmt_size = to_le32(40),
		.tag = put16(TAG_EXTENSIBLE),
		.channels = put16(f->channels),
		.rate = to_le32(f->rate),
		.byte_rate = to_le32(f->rate * f->frame),
		.frame = put16((uint16_t)f->frame),
		.bits = put16(bits),
		.extra_size = put16(22),
		.valid_bits = put16(f->format == VIRTIO_SND_PCM_FMT_S24 ? 24 : bits),
		.sub_tag = put16(tag_of(f->format)),
		.data = "data",
		.data_size = to_le32(cut(size)),
	};

	memcpy(h.guid, guid, sizeof(guid));
	return h;
}

static int write_header(struct wav *w)
{
	struct header h = header_of(w);

	return fwrite(&h, sizeof(h), 1, w->file) == 1 ? 0 : -EIO;
}

int wav_create(struct wav *w, int dir, const char *name, const struct pcm_format *format)
{
	int fd = openat(dir, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	*w = (struct wav){.format = *format, .file = fdopen(fd, "w")};
	if (!w->file) {
		fd_close(&fd);
		return -ENOMEM;
	}
	return write_header(w);
}

/* Frames as WAV has them. */
static void convert(const struct pcm_format *f, uint8_t *buf, size_t len)
{
	if (f->format == VIRTIO_SND_PCM_FMT_S24) // there they are the upper ones
		for (size_t i = 0; i < len; i += 4) {
			memmove(buf + i + 1, buf + i, 3);
			buf[i] = 0;
		}
	if (f->format == VIRTIO_SND_PCM_FMT_S8) // there they have no sign
		for (size_t i = 0; i < len; i++)
			buf[i] ^= 0x80;
}

void wav_write(struct wav *w, void *buf, uint32_t frames)
{
	convert(&w->format, buf, (size_t)frames * w->format.frame);
	w->frames += fwrite(buf, w->format.frame, frames, w->file);
}

void wav_sync(struct wav *w)
{
	if (fseek(w->file, 0, SEEK_SET) == 0)
		write_header(w);
	fseek(w->file, 0, SEEK_END);
	fflush(w->file);
}

void wav_close(struct wav *w)
{
	if (!w->file)
		return;
	wav_sync(w);
	fclose(w->file);
	w->file = NULL;
}
