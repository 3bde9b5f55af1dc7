/* SPDX-License-Identifier: MIT */
#include "eye.h"

#include <drm_fourcc.h>
#include <epoxy/egl.h>
#include <epoxy/gl.h>
#include <fcntl.h>
#include <gbm.h>
#include <linux/dma-buf.h>
#include <linux/virtio_gpu.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static EGLDisplay display = EGL_NO_DISPLAY;

bool eye_open(const char *node)
{
	EGLint none[] = {EGL_NONE},
	       config_of[] = {EGL_RENDERABLE_TYPE, EGL_OPENGL_ES2_BIT, EGL_NONE};
	EGLint context_of[] = {EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE}, n;
	struct gbm_device *gbm;
	EGLContext context;
	EGLConfig config;

	if (!node)
		return true;
	gbm = gbm_create_device(open(node, O_RDWR | O_CLOEXEC));
	if (!gbm)
		return false;
	display = eglGetPlatformDisplayEXT(EGL_PLATFORM_GBM_KHR, gbm, none);
	if (!eglInitialize(display, NULL, NULL) || !eglBindAPI(EGL_OPENGL_ES_API)
		|| !eglChooseConfig(display, config_of, &config, 1, &n) || n != 1)
		return false;
	context = eglCreateContext(display, config, EGL_NO_CONTEXT, context_of);
	return eglMakeCurrent(display, EGL_NO_SURFACE, EGL_NO_SURFACE, context);
}

static EGLImageKHR import(const struct vhost_user_gpu_dmabuf_scanout2 *as, int fd)
{
	EGLint attributes[24] = {EGL_WIDTH, (EGLint)as->scanout.fd_width, EGL_HEIGHT,
		(EGLint)as->scanout.fd_height, EGL_LINUX_DRM_FOURCC_EXT, as->scanout.fd_drm_fourcc,
		EGL_DMA_BUF_PLANE0_FD_EXT, fd, EGL_DMA_BUF_PLANE0_OFFSET_EXT, 0,
		EGL_DMA_BUF_PLANE0_PITCH_EXT, (EGLint)as->scanout.fd_stride};
	unsigned n = 12;

	if (as->modifier != DRM_FORMAT_MOD_INVALID) {
		attributes[n++] = EGL_DMA_BUF_PLANE0_MODIFIER_LO_EXT;
		attributes[n++] = (EGLint)(uint32_t)as->modifier;
		attributes[n++] = EGL_DMA_BUF_PLANE0_MODIFIER_HI_EXT;
		attributes[n++] = (EGLint)(uint32_t)(as->modifier >> 32);
	}
	attributes[n] = EGL_NONE;
	return eglCreateImageKHR(display, EGL_NO_CONTEXT, EGL_LINUX_DMA_BUF_EXT, NULL, attributes);
}

/* Rows as they lie, four bytes a pixel: red, green, blue. */
static bool draw(const struct vhost_user_gpu_dmabuf_scanout2 *as, int fd, uint8_t *rgba)
{
	EGLImageKHR image = import(as, fd);
	GLuint texture, buffer;
	bool whole;

	if (image == EGL_NO_IMAGE_KHR)
		return false;
	glGenTextures(1, &texture);
	glBindTexture(GL_TEXTURE_2D, texture);
	glEGLImageTargetTexture2DOES(GL_TEXTURE_2D, image);
	glGenFramebuffers(1, &buffer);
	glBindFramebuffer(GL_FRAMEBUFFER, buffer);
	glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
	whole = glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE;
	glReadPixels(0, 0, (GLsizei)as->scanout.width, (GLsizei)as->scanout.height, GL_RGBA,
		GL_UNSIGNED_BYTE, rgba);
	whole = whole && glGetError() == GL_NO_ERROR;
	glDeleteFramebuffers(1, &buffer);
	glDeleteTextures(1, &texture);
	eglDestroyImageKHR(display, image);
	return whole;
}

/* The same from linear memory. */
static bool map(const struct vhost_user_gpu_dmabuf_scanout2 *as, int fd, uint8_t *rgba)
{
	const uint32_t w = as->scanout.width, h = as->scanout.height,
		       stride = as->scanout.fd_stride;
	const bool blue_first = as->scanout.fd_drm_fourcc == DRM_FORMAT_XRGB8888;
	struct dma_buf_sync sync = {DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ};
	uint8_t *p = mmap(NULL, (size_t)stride * h, PROT_READ, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED || as->modifier != DRM_FORMAT_MOD_LINEAR
		|| (!blue_first && as->scanout.fd_drm_fourcc != DRM_FORMAT_XBGR8888))
		return false;
	ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	for (size_t i = 0; i < (size_t)w * h; i++) {
		const uint8_t *from = p + i / w * stride + i % w * 4;

		rgba[i * 4] = from[blue_first ? 2 : 0];
		rgba[i * 4 + 1] = from[1];
		rgba[i * 4 + 2] = from[blue_first ? 0 : 2];
	}
	munmap(p, (size_t)stride * h);
	return true;
}

bool eye_see(const struct vhost_user_gpu_dmabuf_scanout2 *as, int fd, uint32_t *pixels)
{
	const uint32_t w = as->scanout.width, h = as->scanout.height;
	const bool flipped = as->scanout.fd_flags & VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP;
	uint8_t *rgba = calloc((size_t)w * h, 4);
	bool seen = rgba && (display == EGL_NO_DISPLAY ? map(as, fd, rgba) : draw(as, fd, rgba));

	for (size_t i = 0; seen && i < (size_t)w * h; i++) {
		size_t y = flipped ? h - 1 - i / w : i / w;
		const uint8_t *from = rgba + (y * w + i % w) * 4;

		pixels[i] = (uint32_t)(from[0] << 16 | from[1] << 8 | from[2]);
	}
	free(rgba);
	return seen;
}
