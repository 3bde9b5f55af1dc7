/* SPDX-License-Identifier: MIT */
#pragma once
/* A WAV file that grows. Formats that WAV has not are written as the nearest that it has, without loss. */
#include <stdint.h>
#include <stdio.h>

#include "format.h"

struct wav {
	FILE *file; // NULL: none
	struct pcm_format format;
	uint64_t frames;
};

/* Makes the file below the open folder. 0 or negative errno. */
int wav_create(struct wav *w, int dir, const char *name, const struct pcm_format *format);

/* Appends frames; buf is used up. What a full disk does not take is lost. */
void wav_write(struct wav *w, void *buf, uint32_t frames);

/* Writes the sizes into the header, and all that waits to the file. */
void wav_sync(struct wav *w);
void wav_close(struct wav *w); // fine when there is none
