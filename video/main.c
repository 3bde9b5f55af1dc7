/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "common/daemon.h"
#include "gst.h"
#include "options.h"
#include "setup.h"

int main(int argc, char **argv)
{
	struct video_options v = VIDEO_OPTIONS_DEFAULT(GST_PART);
	struct options o = video_command_line(&v);
	static struct video_setup setup;
	struct loop *loop;
	int status = options_parse(&o, argc, argv);

	if (status >= 0)
		return status;
	loop = daemon_loop();
	if (!loop)
		return options_fail(&o, EXIT_RUNTIME, "no event loop: %s", strerror(errno));
	status = video_setup_begin(&setup, loop, &o, &v);
	if (status == EXIT_OK)
		status = daemon_serve(loop, &o, &setup.video.vhu_device, &setup.video);
	video_setup_finish(&setup);
	loop_destroy(loop);
	return status;
}
