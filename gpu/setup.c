/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include <string.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "device_3d.h"

#define READY_WITHIN (60ll * 1000000000)
#define UNCOUNTED    (1ull << 30)

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

static void on_lost(struct remote *r)
{
	gpu_3d_lost(&CONTAINER_OF(r, struct gpu_setup, remote)->gpu);
}

/*
 * What the guest's textures may take, once more for copies of them that are made on the way, and what
 * shaders, contexts and the like take, which nobody counts.
 */
static uint64_t memory_of_renderer(const struct gpu_options *g)
{
	return range_within(g->device.max_hostmem, g->device.max_hostmem, UINT64_MAX - UNCOUNTED)
		? 2 * g->device.max_hostmem + UNCOUNTED
		: UINT64_MAX;
}

/* It is ready before a guest can ask: Linux waits for 5 s for what it can do, and no longer. */
static int add_renderer(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g, const struct part_kind *renderer)
{
	int r;

	if (!renderer)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--virgl, --venus, --drm: built without virglrenderer; install its "
			"development files and build again");
	if (!g->device.hostmem && (g->offers.venus || g->offers.drm))
		return options_fail(o, EXIT_USAGE,
			"--venus and --drm want a window: add --hostmem=1G, and a front-end that "
			"has "
			"one (see --check)");
	gmem_keep_fds = true;
	r = nursery_start(&s->nursery, renderer, o->seccomp, memory_of_renderer(g), g->threads);
	if (r == 0) {
		s->remote.lost = on_lost;
		s->remote.patience = g->max_command_time;
		r = remote_init(&s->remote, loop, &s->nursery);
	}
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME, "no process can be started: %s", strerror(-r));
	if (!remote_wait_ready(&s->remote, loop, READY_WITHIN) || !s->remote.n_capsets)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"%s does not work here (see above); install Mesa's drivers (%s), or leave "
			"the "
			"option out",
			g->offers.venus ? "--venus: Vulkan" : "--virgl: OpenGL",
			g->offers.venus ? "mesa-vulkan-drivers and virgl-server"
					: "libegl1 and libgl1-mesa-dri");
	gpu_device_set_renderer(&s->gpu, &s->remote);
	return EXIT_OK;
}

int gpu_setup_begin(struct gpu_setup *s, struct loop *loop, const struct options *o,
	struct gpu_options *g, const struct part_kind *renderer)
{
	int status = EXIT_OK;

	g->device.max_resources = max_resources();
	gpu_device_init(&s->gpu, &g->device);
	if (g->offers.virgl || g->offers.venus || g->offers.drm)
		status = add_renderer(s, loop, o, g, renderer);
	if (status == EXIT_OK)
		status = add_displays(&s->gpu, loop, o, g);
	return status;
}

void gpu_setup_finish(struct gpu_setup *s)
{
	gpu_device_finish(&s->gpu);
	remote_finish(&s->remote);
	nursery_finish(&s->nursery);
}
