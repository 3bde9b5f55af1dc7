/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/gmem.h"
#include "common/log.h"

/* Before the first input: what a daemon does before it serves. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	FUZZ_CHECK(gmem_catch_faults() == 0);
	FUZZ_CHECK(log_configure("err") == 0);
	return 0;
}

void fuzz_fail(const char *file, int line, const char *what)
{
	dprintf(STDERR_FILENO, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

const uint8_t *fuzz_take(struct fuzz_input *in, size_t *len)
{
	const uint8_t *at = in->at;

	if (*len > in->left)
		*len = in->left;
	in->at += *len;
	in->left -= *len;
	return at;
}

size_t fuzz_read(struct fuzz_input *in, void *buf, size_t len)
{
	size_t there = len;
	const uint8_t *at = fuzz_take(in, &there);

	memset(buf, 0, len);
	if (there)
		memcpy(buf, at, there);
	return there;
}

uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t v;

	fuzz_read(in, &v, sizeof(v));
	return v;
}

uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t v;

	fuzz_read(in, &v, sizeof(v));
	return v;
}

uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t v;

	fuzz_read(in, &v, sizeof(v));
	return v;
}

unsigned fuzz_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	FUZZ_CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
