/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include <dirent.h>
#include <drm.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/fd.h"

int node_open(const char *path, char driver[NODE_DRIVER_MAX])
{
	struct drm_version version = {.name = driver, .name_len = NODE_DRIVER_MAX - 1};
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK), error;

	if (fd < 0)
		return -errno;
	memset(driver, 0, NODE_DRIVER_MAX);
	if (ioctl(fd, DRM_IOCTL_VERSION, &version) == 0)
		return fd;
	error = errno;
	fd_close(&fd);
	return -error;
}

const char *node_advice(int error)
{
	switch (error) {
	case -EACCES:
	case -EPERM:
		return "you may not use it; its group may (ls -l says which, usually render)";
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return "there is no such GPU; --check says which there are";
	case -ENOTTY:
	case -EINVAL:
		return "this is no GPU's; --check says which there are";
	default:
		return strerror(-error);
	}
}

static int is_render_node(const struct dirent *e)
{
	return !strncmp(e->d_name, "renderD", 7);
}

static void print_node(const char *dir, const char *name)
{
	char path[512], driver[NODE_DRIVER_MAX];
	_cleanup_fd_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = node_open(path, driver);
	if (fd >= 0)
		printf("# %s (%s) can draw it: add --render-node=%s\n", path, driver, path);
	else
		printf("# %s cannot draw it: %s\n", path, node_advice(fd));
}

bool nodes_exist(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e = NULL;

	while (d && (e = readdir(d)) && !is_render_node(e))
		;
	if (d)
		closedir(d);
	return e != NULL;
}

void nodes_print(const char *dir)
{
	struct dirent **found = NULL;
	int n = scandir(dir, &found, is_render_node, alphasort);

	if (n <= 0)
		printf("# There is no GPU in %s: the processor draws OpenGL.\n", dir);
	for (int i = 0; i < n; i++) {
		print_node(dir, found[i]->d_name);
		free(found[i]);
	}
	free(found);
}
