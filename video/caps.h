/* SPDX-License-Identifier: MIT */
#pragma once
/* What the device offers its driver, of what the codecs here can do. */
#include "dialect.h"
#include "remote.h"

/*
 * Of each wanted format (a bit for each enum video_format) that the dialect knows, what the best of its
 * codecs can do. n_coded is 0 when there is none.
 */
struct video_caps video_caps_of(
	const struct engine_list *list, const struct dialect *dialect, uint32_t wanted);
