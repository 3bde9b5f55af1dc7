/* SPDX-License-Identifier: MIT */
#pragma once
/* A WAV file, read the plain way, and held against what was to be in it. */
#include <stddef.h>
#include <stdint.h>

struct wav_file {
	uint16_t tag, channels, bits,
		valid_bits;   // the tag is that of an extensible one's sub-format
	uint32_t rate, frame; // bytes of a frame
	uint8_t *data;        // owned
	size_t len;           // of the data, as the header says it
};

/* 0, -ENOENT, -EBADMSG when it is no WAV file or less than its header says, or another errno. */
int wav_file_read(struct wav_file *w, const char *path);
void wav_file_free(struct wav_file *w);

/* How frames lie in a file that were to be in it, in this order. */
struct wav_match {
	size_t found;   // how many of them
	size_t lead;    // frames of silence before the first
	size_t gaps;    // silences between two of them
	size_t strange; // the first frame that is neither silence nor the next one; SIZE_MAX: none
};

/* None of the n frames is silence. */
struct wav_match wav_file_match(
	const struct wav_file *w, const uint8_t *frames, size_t n, const uint8_t *silence);
