/* SPDX-License-Identifier: MIT */
/* What is said of render nodes. Where there is a real one it is looked at, too. */
#include "unit.h"
#include "gpu/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

/* What nodes_print() says. */
static char *said(void)
{
	static char text[1024];
	FILE *file = tmpfile();
	int ours = dup(STDOUT_FILENO);
	size_t n;

	assert_non_null(file);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	nodes_print(dir);
	fflush(stdout);
	dup2(ours, STDOUT_FILENO);
	close(ours);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static const char *at(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void make_file(const char *name, mode_t mode)
{
	FILE *file = fopen(at(name), "w");

	assert_non_null(file);
	fclose(file);
	assert_int_equal(chmod(at(name), mode), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/virga-nodes-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink(at("renderD128"));
	unlink(at("renderD129"));
	unlink(at("card0"));
	return rmdir(dir);
}

static void test_open(void **state)
{
	char driver[NODE_DRIVER_MAX];
	unsigned before = count_fds();

	(void)state;
	assert_int_equal(node_open(at("renderD128"), driver), -ENOENT);
	assert_int_equal(node_open("/dev/null", driver), -ENOTTY);
	make_file("renderD128", 0600);
	assert_int_equal(node_open(at("renderD128"), driver), -ENOTTY);
	assert_int_equal(node_open(dir, driver), -EISDIR);
	assert_int_equal(count_fds(), before);
	assert_non_null(strstr(node_advice(-EACCES), "group"));
	assert_non_null(strstr(node_advice(-ENOENT), "--check"));
	assert_non_null(strstr(node_advice(-ENOTTY), "no GPU"));
	assert_string_equal(node_advice(-EBUSY), strerror(EBUSY));
}

static void test_print(void **state)
{
	char none[128], one[256];

	(void)state;
	snprintf(none, sizeof(none), "# There is no GPU in %s: the processor draws OpenGL.\n", dir);
	assert_string_equal(said(), none);
	make_file("card0", 0600); // not for drawing
	assert_false(nodes_exist(dir));
	assert_false(nodes_exist("/nowhere"));
	assert_string_equal(said(), none);
	make_file("renderD129", 0600);
	assert_true(nodes_exist(dir));
	make_file("renderD128", 0600);
	snprintf(
		one, sizeof(one), "# %s/renderD128 cannot draw it: this is no GPU's; --check", dir);
	assert_memory_equal(said(), one, strlen(one));
	assert_non_null(strstr(said(), "renderD129"));
	strcat(dir, "/none");
	assert_non_null(strstr(said(), "There is no GPU"));
	dir[strlen(dir) - 5] = '\0';
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(open), TEST(print)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
