/* SPDX-License-Identifier: MIT */
#pragma once
/* Makes what a command line asks for: the device, and the nursery of its codecs. */
#include "common/options.h"
#include "device.h"
#include "options.h"

struct video_setup {
	struct video_device video;
	struct nursery nursery;
};

/*
 * Before there is any thread. EXIT_OK, or an exit_status, and what went wrong has been said in one line.
 */
int video_setup_begin(struct video_setup *s, struct loop *loop, const struct options *o,
	const struct video_options *v);
/* However far it came. */
void video_setup_finish(struct video_setup *s);

/* What can be decoded here, for --check. False: it cannot be found out. */
bool video_list_codecs(const struct video_options *v, struct engine_list *list);
