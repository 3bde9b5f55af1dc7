/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without libFuzzer: every file of the folders that are given, then --rounds=N
 * (or VIRGA_ROUNDS) changed ones, the same ones for the same VIRGA_SEED. An input that fails is
 * left in the current folder, in a file whose name is printed; given as an argument it is run
 * alone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

enum { INPUT_MAX = 8192, FILES_MAX = 4096, SECONDS_AN_INPUT = 20 };

/* Of the sanitizers' run time, where there is one. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct file {
	char *name;
	uint8_t *bytes;
	size_t len;
};

static struct file files[FILES_MAX];
static unsigned n_files;
static uint8_t input[INPUT_MAX];
static size_t input_len;
static char crash_name[256];

/* ---- what is being run, for when it fails ---- */

static void leave_input(void)
{
	FILE *f = fopen(crash_name, "w");

	if (f) {
		fwrite(input, 1, input_len, f);
		fclose(f);
	}
	dprintf(STDERR_FILENO, "the input is in %s\n", crash_name);
}

static void on_signal(int sig)
{
	leave_input();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void watch_for_failures(const char *program)
{
	const char *slash = strrchr(program, '/');

	snprintf(crash_name, sizeof(crash_name), "crash-%s-%d", slash ? slash + 1 : program,
		(int)getpid());
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(leave_input);
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	if (!__sanitizer_set_death_callback)
		signal(SIGSEGV, on_signal);
}

/* ---- running it ---- */

/* Without a sanitizer it cannot be told from what free() keeps for later. */
static size_t bytes_in_use(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return 0;
}

static void run_once(void)
{
	uint8_t *exact = malloc(input_len ? input_len : 1); // reads beyond its end are seen

	FUZZ_CHECK(exact);
	memcpy(exact, input, input_len);
	alarm(SECONDS_AN_INPUT);
	LLVMFuzzerTestOneInput(exact, input_len);
	alarm(0);
	free(exact);
}

/* What is kept from one input to the next must not grow each time that the same one is run. */
static void run_input(void)
{
	size_t before = bytes_in_use();

	run_once();
	for (unsigned i = 0; i < 3; i++) {
		if (bytes_in_use() <= before)
			return;
		before = bytes_in_use();
		run_once();
	}
	FUZZ_CHECK(bytes_in_use() <= before);
}

/* ---- the corpus ---- */

static void add_file(const char *path)
{
	struct file *to = &files[n_files];
	FILE *f = fopen(path, "r");

	if (!f || n_files == FILES_MAX) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	to->name = strdup(path);
	to->bytes = malloc(INPUT_MAX);
	FUZZ_CHECK(to->name && to->bytes);
	to->len = fread(to->bytes, 1, INPUT_MAX, f);
	fclose(f);
	n_files++;
}

/* In the order of names, so that the same seed finds the same files. */
static void add_folder(const char *path)
{
	struct dirent **found;
	int n = scandir(path, &found, NULL, alphasort);
	char *name;

	for (int i = 0; i < n; i++) {
		if (found[i]->d_name[0] != '.') {
			FUZZ_CHECK(asprintf(&name, "%s/%s", path, found[i]->d_name) > 0);
			add_file(name);
			free(name);
		}
		free(found[i]);
	}
	if (n >= 0)
		free(found);
}

static void add_argument(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		add_folder(path);
	else
		add_file(path);
}

static void load(const struct file *f)
{
	memcpy(input, f->bytes, f->len);
	input_len = f->len;
}

static void forget_files(void)
{
	while (n_files) {
		n_files--;
		free(files[n_files].name);
		free(files[n_files].bytes);
	}
}

/* ---- changing it ---- */

static uint64_t state;

/* Marsaglia's xorshift64*. */
static uint32_t rnd(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return below ? (uint32_t)((state * 0x2545f4914f6cdd1d) >> 32) % below : 0;
}

static void change_bytes(void)
{
	for (uint32_t n = 1 + rnd(4); n && input_len; n--)
		input[rnd((uint32_t)input_len)] = (uint8_t)rnd(256);
}

/* A number at the edge of something, of 1, 2, 4 or 8 bytes. */
static void change_number(void)
{
	static const uint64_t edges[] = {
		0, 1, 2, 7, 8, 16, 0x7f, 0x80, 0xff, 0x1000, 0x7fffffff, 0x80000000, UINT64_MAX};
	uint64_t v = edges[rnd(sizeof(edges) / sizeof(edges[0]))] - rnd(3);
	size_t len = 1u << rnd(4);

	if (input_len >= len)
		memcpy(input + rnd((uint32_t)(input_len - len + 1)), &v, len);
}

static void flip_bit(void)
{
	if (input_len)
		input[rnd((uint32_t)input_len)] ^= (uint8_t)(1u << rnd(8));
}

static void cut(void)
{
	uint32_t at = rnd((uint32_t)input_len), n = 1 + rnd(16);

	if (at + n > input_len)
		return;
	memmove(input + at, input + at + n, input_len - at - n);
	input_len -= n;
}

static void insert(const uint8_t *bytes, size_t len)
{
	uint32_t at = rnd((uint32_t)input_len + 1);

	if (!len || input_len + len > INPUT_MAX)
		return;
	memmove(input + at + len, input + at, input_len - at);
	memcpy(input + at, bytes, len);
	input_len += len;
}

/* A piece of any file of the corpus. */
static void insert_piece(void)
{
	const struct file *f = &files[rnd(n_files)];
	uint32_t from = rnd((uint32_t)f->len), len = 1 + rnd(64);

	if (from + len <= f->len)
		insert(f->bytes + from, len);
}

/* The end of another file in place of our own. */
static void cross(void)
{
	const struct file *f = &files[rnd(n_files)];
	uint32_t keep = rnd((uint32_t)input_len + 1), from = rnd((uint32_t)f->len + 1);
	size_t len = f->len - from;

	if (keep + len > INPUT_MAX)
		return;
	memcpy(input + keep, f->bytes + from, len);
	input_len = keep + len;
}

static void change_input(void)
{
	static void (*const changes[])(void) = {
		change_bytes, change_number, flip_bit, cut, insert_piece, cross};

	for (uint32_t n = 1 + rnd(4); n; n--)
		changes[rnd(sizeof(changes) / sizeof(changes[0]))]();
}

static unsigned long setting(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoul(value, NULL, 0) : otherwise;
}

static void run_files(void)
{
	for (unsigned i = 0; i < n_files; i++) {
		load(&files[i]);
		run_input();
	}
}

static void run_changed(unsigned long rounds, unsigned long seed)
{
	state = seed * 0x9e3779b97f4a7c15 + 1;
	for (unsigned long i = 0; i < rounds; i++) {
		load(&files[rnd(n_files)]);
		change_input();
		run_input();
	}
}

int main(int argc, char **argv)
{
	unsigned long seed = setting("VIRGA_SEED", 1), rounds = 0;

	LLVMFuzzerInitialize(&argc, &argv);
	watch_for_failures(argv[0]);
	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "--rounds=", 9))
			rounds = setting("VIRGA_ROUNDS", strtoul(argv[i] + 9, NULL, 0));
		else
			add_argument(argv[i]);
	}
	run_files();
	if (n_files)
		run_changed(rounds, seed);
	printf("%u files and %lu changed ones of seed %lu\n", n_files, rounds, seed);
	forget_files();
	return 0;
}
