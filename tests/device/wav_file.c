/* SPDX-License-Identifier: MIT */
#include "wav_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 68, EXTENSIBLE = 0xfffe };

static uint16_t u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t u32(const uint8_t *p)
{
	return u16(p) | (uint32_t)u16(p + 2) << 16;
}

/* Ours have the format first and the data behind it. */
static int read_header(struct wav_file *w, const uint8_t *h)
{
	static const uint8_t guid[] = {0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71};

	if (memcmp(h, "RIFF", 4) || memcmp(h + 8, "WAVEfmt ", 8) || u32(h + 16) != 40
		|| u16(h + 20) != EXTENSIBLE || memcmp(h + 46, guid, 14)
		|| memcmp(h + 60, "data", 4))
		return -EBADMSG;
	w->channels = u16(h + 22);
	w->rate = u32(h + 24);
	w->frame = u16(h + 32);
	w->bits = u16(h + 34);
	w->valid_bits = u16(h + 38);
	w->tag = u16(h + 44);
	w->len = u32(h + 64);
	if (u32(h + 4) != w->len + HEADER - 8 || u32(h + 28) != w->rate * w->frame
		|| w->frame != w->channels * w->bits / 8u)
		return -EBADMSG;
	return 0;
}

int wav_file_read(struct wav_file *w, const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t header[HEADER];
	int rc = -EBADMSG;

	*w = (struct wav_file){0};
	if (!f)
		return -errno;
	if (fread(header, sizeof(header), 1, f) == 1)
		rc = read_header(w, header);
	if (rc == 0) {
		w->data = malloc(w->len + 1);
		rc = w->data && fread(w->data, 1, w->len, f) == w->len ? 0 : -EBADMSG;
	}
	fclose(f);
	if (rc < 0)
		wav_file_free(w);
	return rc;
}

void wav_file_free(struct wav_file *w)
{
	free(w->data);
	w->data = NULL;
}

struct wav_match wav_file_match(
	const struct wav_file *w, const uint8_t *frames, size_t n, const uint8_t *silence)
{
	struct wav_match m = {.strange = SIZE_MAX};
	size_t pause = 0;

	for (size_t i = 0; i < w->len / w->frame; i++) {
		const uint8_t *at = w->data + i * w->frame;

		if (m.found < n && !memcmp(at, frames + m.found * w->frame, w->frame)) {
			if (!m.found++)
				m.lead = pause;
			else
				m.gaps += pause > 0;
			pause = 0;
		} else if (!memcmp(at, silence, w->frame)) {
			pause++;
		} else {
			m.strange = i;
			break;
		}
	}
	return m;
}
