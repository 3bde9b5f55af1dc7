/* SPDX-License-Identifier: MIT */
#pragma once
/* The controls of coded formats, in the numbers that all dialects share. Pure. */
#include <stdint.h>

#include "dialect.h"

/* What there is of a control; *n is 0 where a format has none, or we have not. */
const uint32_t *video_control_values(
	enum video_control control, enum video_format format, unsigned *n);
