/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the fuzz targets share: reading an input piece by piece, and saying that something is wrong.
 * A target is one LLVMFuzzerTestOneInput(), which libFuzzer calls, or fuzz_main.c.
 */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process with a line that says what does not hold. */
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

#define FUZZ_CHECK(cond) ((cond) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #cond))

/* What is left of an input. Behind its end there are zeroes. */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

uint8_t fuzz_u8(struct fuzz_input *in);
uint16_t fuzz_u16(struct fuzz_input *in);
uint32_t fuzz_u32(struct fuzz_input *in);

/* Copies len bytes. Returns how many of them came from the input. */
size_t fuzz_read(struct fuzz_input *in, void *buf, size_t len);

/* Takes up to *len bytes as they lie in the input, and says how many there were. */
const uint8_t *fuzz_take(struct fuzz_input *in, size_t *len);

/* How many descriptors this process has open. */
unsigned fuzz_count_fds(void);
