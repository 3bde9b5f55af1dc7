/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded: what is shown has no alpha. GStreamer's window on a bare screen wants it shown with
 * its alpha (ARGB8888), and Linux's driver of virtio-gpu has planes without (XRGB8888) only.
 */
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <drm.h>

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	void *argument;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	if (request == DRM_IOCTL_MODE_ADDFB && ((struct drm_mode_fb_cmd *)argument)->depth == 32)
		((struct drm_mode_fb_cmd *)argument)->depth = 24;
	return (int)syscall(SYS_ioctl, fd, request, argument);
}
