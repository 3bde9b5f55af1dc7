/* SPDX-License-Identifier: MIT */
#pragma once
/* The command line of virga-video. */
#include "common/options.h"
#include "common/part.h"
#include "format.h"

struct video_options {
	const struct part_kind *codecs; // what a stream's part has inside; NULL: none was built
	bool encoder;
	const char *dialect;
	uint32_t wanted;     // a bit for each enum video_format; 0: all that there are
	uint64_t max_memory; // bytes of a stream's codec
	bool threads;        // codecs are no processes of their own
	struct sandbox_profile sandbox;
};

#define VIDEO_OPTIONS_DEFAULT(part)                                                                \
	{                                                                                          \
		.codecs = part, .dialect = "auto", .max_memory = 1ull << 30                        \
	}

struct options video_command_line(struct video_options *v);
