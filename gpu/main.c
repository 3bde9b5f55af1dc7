/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "common/daemon.h"
#include "options.h"
#include "setup.h"
#include "virgl.h"

int main(int argc, char **argv)
{
	struct gpu_options g = GPU_OPTIONS_DEFAULT;
	struct options o = gpu_command_line(&g);
	static struct gpu_setup setup;
	struct loop *loop;
	int status = options_parse(&o, argc, argv);

	if (status >= 0)
		return status;
	loop = daemon_loop();
	if (!loop)
		return options_fail(&o, EXIT_RUNTIME, "no event loop: %s", strerror(errno));
#ifdef HAVE_VIRGL
	virgl_offers = g.offers;
#endif
	status = gpu_setup_begin(&setup, loop, &o, &g, VIRGL_PART);
	if (status == EXIT_OK)
		status = daemon_serve(loop, &o, &setup.gpu.vhu_device, &setup.gpu);
	gpu_setup_finish(&setup);
	loop_destroy(loop);
	return status;
}
