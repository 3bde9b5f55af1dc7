/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "common/daemon.h"
#include "common/fd.h"
#include "device.h"
#include "options.h"

/* A resource holds one descriptor; the rest is left to sockets and rings. */
static unsigned max_resources(void)
{
	unsigned fds = fd_raise_limit();

	return fds > 256 ? (fds - 128 > 16384 ? 16384 : fds - 128) : fds / 2;
}

static int add_displays(struct gpu_device *gpu, struct loop *loop, const struct options *o,
	const struct gpu_options *g)
{
	struct display *d = display_qemu_create(loop);
	int r;

	if (!d)
		return options_fail(o, EXIT_RUNTIME, "no memory");
	gpu_device_add_display(gpu, d);
	if (!g->png_dir)
		return EXIT_OK;
	r = display_png_create(loop, g->png_dir, &d);
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME,
			"--display=png:%s: %s; choose a folder "
			"that you may write to",
			g->png_dir, strerror(-r));
	gpu_device_add_display(gpu, d);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	struct gpu_options g = GPU_OPTIONS_DEFAULT;
	struct options o = gpu_command_line(&g);
	struct gpu_device gpu;
	struct loop *loop;
	int status = options_parse(&o, argc, argv);

	if (status >= 0)
		return status;
	loop = daemon_loop();
	if (!loop)
		return options_fail(&o, EXIT_RUNTIME, "no event loop: %s", strerror(errno));
	g.device.max_resources = max_resources();
	gpu_device_init(&gpu, &g.device);
	status = add_displays(&gpu, loop, &o, &g);
	if (status == EXIT_OK)
		status = daemon_serve(loop, &o, &gpu_vhu_device, &gpu);
	gpu_device_finish(&gpu);
	loop_destroy(loop);
	return status;
}
