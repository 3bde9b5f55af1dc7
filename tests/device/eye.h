/* SPDX-License-Identifier: MIT */
#pragma once
/* Looks at a dmabuf as a display does: by EGL on the same GPU, or, where there is none, by mapping it. */
#include <stdbool.h>
#include <stdint.h>

#include "protocols/vhost_user_gpu.h"

/* node: the GPU's; NULL: none. False: it does not work. */
bool eye_open(const char *node);

/* Its width * height pixels as 0xRRGGBB, from the top. False: it cannot be shown. */
bool eye_see(const struct vhost_user_gpu_dmabuf_scanout2 *as, int fd, uint32_t *pixels);
