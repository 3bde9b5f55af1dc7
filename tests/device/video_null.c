/* SPDX-License-Identifier: MIT */
/* virga-video with the codec that has no library (video/null.h): what is around it is tested by it. */
#include "common/daemon.h"
#include "video/null.h"
#include "video/options.h"
#include "video/setup.h"

int main(int argc, char **argv)
{
	struct video_options v = VIDEO_OPTIONS_DEFAULT(&null_part);
	struct options o = video_command_line(&v);
	static struct video_setup setup;
	struct loop *loop;
	int status = options_parse(&o, argc, argv);

	if (status >= 0)
		return status;
	loop = daemon_loop();
	status = video_setup_begin(&setup, loop, &o, &v);
	if (status == EXIT_OK)
		status = daemon_serve(loop, &o, &setup.video.vhu_device, &setup.video);
	video_setup_finish(&setup);
	loop_destroy(loop);
	return status;
}
