/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded: of a screen's modes only the preferred one is seen. glmark2 takes the largest there
 * is, 5120x2160 with QEMU, at which nothing is measured but how fast a processor fills pixels.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <xf86drmMode.h>

drmModeConnectorPtr drmModeGetConnector(int fd, uint32_t id)
{
	drmModeConnectorPtr (*next)(int, uint32_t);
	drmModeConnectorPtr c;

	*(void **)&next = dlsym(RTLD_NEXT, "drmModeGetConnector");
	c = next(fd, id);
	for (int i = 0; c && i < c->count_modes; i++) {
		if (!(c->modes[i].type & DRM_MODE_TYPE_PREFERRED))
			continue;
		c->modes[0] = c->modes[i];
		c->count_modes = 1;
	}
	return c;
}
