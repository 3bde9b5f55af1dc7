/* SPDX-License-Identifier: MIT */
/* --display=png: a file for each frame that changed, none left out, none before its time. */
#define _GNU_SOURCE
#include "device.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "png_file.h"

enum { FRAMES = 100, SIDE = 64, FRAME_BYTES = SIDE * SIDE * 4 };

static const struct virtio_gpu_rect frame_rect = {.width = SIDE, .height = SIDE};

static uint32_t colour_of(unsigned int frame)
{
	return 0x10203 * frame + 0x40;
}

/* A resource SIDE x SIDE on scanout 0 whose backing holds n frames, one behind the other. */
static void make_film(uint32_t id, unsigned int n)
{
	uint64_t gpa = guest_alloc(&dev.guest, n * FRAME_BYTES, 4096);
	struct virtio_gpu_mem_entry e = {htole64(gpa), htole32(n * FRAME_BYTES), 0};
	uint32_t *p = guest_ptr(&dev.guest, gpa, n * FRAME_BYTES);

	assert_non_null(p);
	for (size_t i = 0; i < n * FRAME_BYTES / 4; i++)
		p[i] = htole32(colour_of((unsigned int)(i / (SIDE * SIDE))));
	assert_int_equal(gpu_driver_create_2d(&dev.gpu, id, BGRX, SIDE, SIDE), OK);
	assert_int_equal(gpu_driver_attach(&dev.gpu, id, &e, 1), OK);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, id, frame_rect), OK);
}

static void assert_film_frame(unsigned int frame)
{
	device_assert_frame(0, frame + 1, SIDE, SIDE, device_crc_of(SIDE, SIDE, colour_of(frame)));
}

/* How many files are in the folder of pictures, those that are not whole included. */
static unsigned int count_files(void)
{
	DIR *dir = opendir(dev.pictures);
	struct dirent *e;
	unsigned int n = 0;

	assert_non_null(dir);
	while ((e = readdir(dir)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return n;
}

static void submit_film(int *tickets, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		tickets[2 * i] = device_submit_transfer(1, frame_rect, i * FRAME_BYTES);
		tickets[2 * i + 1] = device_submit_flush(1, frame_rect);
	}
}

static void frames_without_waiting(void **state)
{
	int tickets[2 * FRAMES];

	(void)state;
	device_begin(&(struct device_setup){.png = true, .ring_size = 1024});
	make_film(1, FRAMES);
	submit_film(tickets, FRAMES);
	for (unsigned int i = 0; i < FRAMES; i++)
		assert_film_frame(i);
	for (unsigned int i = 0; i < 2 * FRAMES; i++)
		device_collect(tickets[i]);
	device_assert_silent();
	assert_int_equal(count_files(), FRAMES);
}

/* What was flushed becomes pictures though the rings stop. */
static void frames_then_stop(void **state)
{
	int tickets[2 * FRAMES];

	(void)state;
	device_begin(&(struct device_setup){.png = true, .ring_size = 1024});
	make_film(1, FRAMES);
	submit_film(tickets, FRAMES);
	while (!device_is_done(tickets[2 * FRAMES - 2]))
		assert_int_equal(frontend_barrier(&dev.fe), 0);
	device_stop();
	for (unsigned int i = 0; i < FRAMES; i++)
		assert_film_frame(i);
	device_assert_silent();
}

static void unchanged_makes_none(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.png = true});
	make_film(1, 2);
	assert_int_equal(gpu_driver_transfer(&dev.gpu, 1, frame_rect, 0), OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, frame_rect), OK);
	assert_film_frame(0);
	device_assert_silent();
	assert_int_equal(gpu_driver_transfer(&dev.gpu, 1, frame_rect, FRAME_BYTES), OK);
	device_assert_silent();
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, frame_rect), OK);
	assert_film_frame(1);
	assert_int_equal(count_files(), 2);
}

/* The same colour at another size is another frame. */
static void size_is_a_change(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.png = true});
	device_show(0, 1, 20, 10, 0xabcdef);
	device_show(0, 2, 10, 20, 0xabcdef);
	device_assert_frame(0, 1, 20, 10, device_crc_of(20, 10, 0xabcdef));
	device_assert_frame(0, 2, 10, 20, device_crc_of(10, 20, 0xabcdef));
}

static void flush_ends_with_the_file(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 900, 700);
	char path[PATH_MAX_LEN];
	uint64_t gpa;

	(void)state;
	device_begin(&(struct device_setup){.png = true});
	gpa = device_show(0, 1, 900, 700, 0);
	for (unsigned int i = 1; i <= 20; i++) {
		struct png_file png;

		device_frame_path(path, 0, i);
		assert_int_equal(png_file_read(path, &png), 0);
		assert_int_equal(png.crc, device_crc_of(900, 700, i * 0x8040 - 0x8040));
		device_frame_path(path, 0, i + 1);
		assert_int_equal(access(path, F_OK), -1);
		device_fill(1, gpa, all, i * 0x8040);
		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	}
}

/* Frames of the next driver do not overwrite those of the last. */
static void numbers_go_on(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.png = true});
	device_show(0, 1, 8, 8, 1);
	device_reset();
	device_start();
	device_show(0, 1, 8, 8, 2);
	device_disconnect();
	device_connect();
	device_show(0, 1, 8, 8, 3);
	for (unsigned int i = 1; i <= 3; i++)
		device_assert_frame(0, i, 8, 8, device_crc_of(8, 8, i));
}

/* The folder */

static void folder_is_made(void **state)
{
	struct stat st;

	(void)state;
	device_begin(&(struct device_setup){.png = true});
	assert_int_equal(stat(dev.pictures, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(count_files(), 0);
	device_terminate();
	assert_int_equal(access(dev.pictures, F_OK), 0);
}

/* There is a word about it, and the exit status of a runtime failure. */
static void assert_refused(const char *option)
{
	char buf[512] = "";
	FILE *f;

	device_begin(&(struct device_setup){
		.keep_stderr = true, .wait_for_client = true, .args = {option}});
	assert_int_equal(child_wait(&dev.child, 30000), 1);
	f = fopen(dev.errors, "re");
	assert_non_null(f);
	assert_non_null(fgets(buf, sizeof(buf), f));
	fclose(f);
	assert_non_null(strstr(buf, option));
}

static void folder_cannot_be_made(void **state)
{
	(void)state;
	assert_refused("--display=png:/proc/virga/pictures");
	assert_refused("--display=png:/dev/null");
}

static unsigned int count_words(const char *word)
{
	FILE *f = fopen(dev.errors, "re");
	char line[512];
	unsigned int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, word) != NULL;
	fclose(f);
	return n;
}

static void folder_is_removed(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.png = true, .keep_stderr = true});
	assert_int_equal(rmdir(dev.pictures), 0);
	for (uint32_t i = 1; i <= 10; i++)
		device_show(0, i, 32, 32, i);
	device_assert_silent();
	assert_int_equal(count_words("cannot be written"), 1);
	assert_int_equal(count_words("\n"), 1);
	device_terminate();
}

/* Scanouts */

static void sixteen_scanouts(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.png = true});
	for (uint32_t i = 0; i < 16; i++)
		device_show(i, i + 1, 16 + i, 16, 0x101010 * i);
	for (uint32_t i = 0; i < 16; i++)
		device_assert_frame(i, 1, 16 + i, 16, device_crc_of(16 + i, 16, 0x101010 * i));
	assert_int_equal(count_files(), 16);
}

static void off_makes_none(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 8, 8);

	(void)state;
	device_begin(&(struct device_setup){.png = true});
	device_show(0, 1, 8, 8, 1);
	device_assert_frame(0, 1, 8, 8, device_crc_of(8, 8, 1));
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 0, NOTHING), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	device_assert_silent();
}

/* Stopping */

/* The frame that is being written is written to its end, nothing half done is left. */
static void terminated_in_a_frame(void **state)
{
	struct virtio_gpu_rect all = GPU_RECT(0, 0, 3000, 2000);
	char path[PATH_MAX_LEN];
	struct png_file png;

	(void)state;
	device_begin(&(struct device_setup){.png = true});
	device_make(1, 3000, 2000, 0x123456);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, all), OK);
	device_submit_flush(1, all);
	assert_int_equal(frontend_barrier(&dev.fe), 0);
	device_terminate();
	assert_int_equal(count_files(), 1);
	device_frame_path(path, 0, 1);
	assert_int_equal(png_file_read(path, &png), 0);
	assert_int_equal(png.crc, device_crc_of(3000, 2000, 0x123456));
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(frames_without_waiting),
		TEST(frames_then_stop),
		TEST(unchanged_makes_none),
		TEST(size_is_a_change),
		TEST(flush_ends_with_the_file),
		TEST(numbers_go_on),
		TEST(folder_is_made),
		TEST(folder_cannot_be_made),
		TEST(folder_is_removed),
		TEST(sixteen_scanouts),
		TEST(off_makes_none),
		TEST(terminated_in_a_frame),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_png", tests, NULL, NULL);
}
