/* SPDX-License-Identifier: MIT */
/* What virga-gpu's own options take; how a line is read is in test_options.c. */
#include "unit.h"
#include "gpu/options.h"

#include <errno.h>

static struct gpu_options g;

static int set(const char *name, const char *value)
{
	const struct options o = gpu_command_line(&g);

	for (const struct option_entry *e = o.entries; e->name; e++)
		if (!strcmp(e->name, name))
			return e->set(&g, value);
	fail_msg("there is no --%s", name);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	g = (struct gpu_options)GPU_OPTIONS_DEFAULT;
	return 0;
}

static void assert_refused(const char *name, const char *const *values)
{
	for (; *values; values++)
		if (set(name, *values) != -EINVAL)
			fail_msg("--%s=%s is taken", name, *values);
}

static void test_defaults(void **state)
{
	const struct options o = gpu_command_line(&g);

	(void)state;
	assert_int_equal(g.device.n_outputs, 1);
	assert_int_equal(g.device.outputs[0].width, 1280);
	assert_int_equal(g.device.outputs[0].height, 800);
	assert_null(g.png_dir);
	assert_ptr_equal(o.sandbox, &g.sandbox);
	assert_null(o.sandbox->paths[0].path);
	assert_string_equal(o.program, "virga-gpu");
	assert_non_null(strstr(o.capabilities, "\"type\": \"gpu\""));
}

static void test_gfxstream(void **state)
{
	(void)state;
	assert_null(g.gfxstream);
	assert_int_equal(set("gfxstream", NULL), 0);
	assert_string_equal(g.gfxstream, "libgfxstream_backend.so.0");
	assert_int_equal(set("gfxstream", "/a/b.so"), 0);
	assert_string_equal(g.gfxstream, "/a/b.so");
	assert_int_equal(set("gfxstream", ""), -EINVAL);
}

static void test_display(void **state)
{
	const char *const bad[] = {"", "png", "png:", "PNG:x", "gtk", "none ", NULL};

	(void)state;
	assert_int_equal(set("display", "png:some/folder"), 0);
	assert_string_equal(g.png_dir, "some/folder");
	assert_string_equal(g.sandbox.paths[0].path, "some/folder");
	assert_true(g.sandbox.paths[0].writable);
	assert_null(g.sandbox.paths[1].path);
	assert_int_equal(set("display", "none"), 0);
	assert_null(g.png_dir);
	assert_null(g.sandbox.paths[0].path);
	assert_int_equal(set("display", "auto"), 0);
	assert_int_equal(set("display", "qemu"), 0);
	assert_refused("display", bad);
}

static void test_outputs(void **state)
{
	const char *const bad[] = {"", "x", "1x", "x1", "0x1", "1x0", "16385x1", "1x16385", "1x1,",
		",1x1", "1x1,,1x1", "1x1x1", "1x1 ", "1X1", "-1x1", "1x-1",
		"99999999999999999999x1",
		"1x1,2x2,3x3,4x4,5x5,6x6,7x7,8x8,9x9,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1", NULL};

	(void)state;
	assert_int_equal(set("outputs", "1x16384"), 0);
	assert_int_equal(g.device.n_outputs, 1);
	assert_int_equal(set("outputs", "1920x1080,640x480,1x1"), 0);
	assert_int_equal(g.device.n_outputs, 3);
	assert_int_equal(g.device.outputs[0].width, 1920);
	assert_int_equal(g.device.outputs[1].height, 480);
	assert_int_equal(
		set("outputs", "1x1,2x2,3x3,4x4,5x5,6x6,7x7,8x8,9x9,1x1,1x1,1x1,1x1,1x1,1x1,1x1"),
		0);
	assert_int_equal(g.device.n_outputs, 16);
	assert_refused("outputs", bad);
}

static void test_hostmem(void **state)
{
	static const char *const bad[] = {
		"", "0", "1", "512K", "3M", "1048577", "-1M", "1MB", "12345678901234567890", NULL};

	(void)state;
	assert_int_equal(g.device.hostmem, 0);
	assert_int_equal(set("hostmem", "1M"), 0);
	assert_int_equal(g.device.hostmem, 1 << 20);
	assert_int_equal(set("hostmem", "8G"), 0);
	assert_int_equal(g.device.hostmem, 8ull << 30);
	assert_refused("hostmem", bad);
	assert_int_equal(g.device.hostmem, 8ull << 30);
}

static void test_max_hostmem(void **state)
{
	const char *const bad[] = {"", "0", "0K", "-1", "+1", " 1", "1Q", "1KK", "M", "1.5G", "1m",
		"18446744073709551616", "18014398509481984K", "16777216T", NULL};

	(void)state;
	assert_int_equal(set("max-hostmem", "12345"), 0);
	assert_int_equal(g.device.max_hostmem, 12345);
	assert_int_equal(set("max-hostmem", "3K"), 0);
	assert_int_equal(g.device.max_hostmem, 3ull << 10);
	assert_int_equal(set("max-hostmem", "512M"), 0);
	assert_int_equal(g.device.max_hostmem, 512ull << 20);
	assert_int_equal(set("max-hostmem", "2G"), 0);
	assert_int_equal(g.device.max_hostmem, 2ull << 30);
	assert_int_equal(set("max-hostmem", "16777215T"), 0);
	assert_int_equal(g.device.max_hostmem, 16777215ull << 40);
	assert_refused("max-hostmem", bad);
}

static void test_max_command_time(void **state)
{
	const char *const bad[] = {
		"", "0", "-1", "+1", " 1", "1s", "1.5", "86401", "18446744073709551617", NULL};

	(void)state;
	assert_int_equal(set("max-command-time", "1"), 0);
	assert_int_equal(g.max_command_time, 1000000000);
	assert_int_equal(set("max-command-time", "86400"), 0);
	assert_int_equal(g.max_command_time, 86400000000000);
	assert_refused("max-command-time", bad);
}

static void test_opengl(void **state)
{
	const char *const no_scanout[] = {"", "Auto", "shm ", "dma", NULL};
	const char *const no_node[] = {"", NULL};

	(void)state;
	assert_false(g.offers.virgl || g.render_node || g.scanout != SCANOUT_AUTO);
	assert_int_equal(set("virgl", NULL), 0);
	assert_true(g.offers.virgl);
	assert_int_equal(set("render-node", "/dev/dri/renderD128"), 0);
	assert_string_equal(g.render_node, "/dev/dri/renderD128");
	assert_refused("render-node", no_node);
	assert_int_equal(set("scanout", "shm"), 0);
	assert_int_equal(g.scanout, SCANOUT_SHM);
	assert_int_equal(set("scanout", "dmabuf"), 0);
	assert_int_equal(g.scanout, SCANOUT_DMABUF);
	assert_int_equal(set("scanout", "auto"), 0);
	assert_int_equal(g.scanout, SCANOUT_AUTO);
	assert_refused("scanout", no_scanout);
}

#define TEST(name) cmocka_unit_test_setup(test_##name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults),
		TEST(gfxstream),
		TEST(display),
		TEST(outputs),
		TEST(hostmem),
		TEST(max_hostmem),
		TEST(max_command_time),
		TEST(opengl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
