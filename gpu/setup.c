/* SPDX-License-Identifier: MIT */
#include "setup.h"

#include <string.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "device_3d.h"
#include "gfxstream.h"
#include "gfxstream_api.h"

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
	gpu_3d_lost(CONTAINER_OF(r, struct gpu_renderer, remote)->gpu, r);
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

/* What draws, and what is said when it does not. */
struct wanted {
	const struct part_kind *kind;
	const char *what, *packages;
};

/* It is ready before a guest can ask: Linux waits for 5 s for what it can do, and no longer. */
static int add_renderer(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g, const struct wanted *w)
{
	struct gpu_renderer *n = &s->renderers[s->n_renderers++];
	int r;

	gmem_keep_fds = true;
	n->gpu = &s->gpu;
	r = nursery_start(&n->nursery, w->kind, o->seccomp, memory_of_renderer(g), g->threads);
	if (r == 0) {
		n->remote.lost = on_lost;
		n->remote.patience = g->max_command_time;
		r = remote_init(&n->remote, loop, &n->nursery);
	}
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME, "no process can be started: %s", strerror(-r));
	if (!remote_wait_ready(&n->remote, loop, READY_WITHIN) || !n->remote.n_capsets)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"%s does not work here (see above); install %s, or leave the option out",
			w->what, w->packages);
	gpu_device_add_renderer(&s->gpu, &n->remote);
	return EXIT_OK;
}

static int add_virglrenderer(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g, const struct part_kind *virgl)
{
	const struct wanted opengl = {
		virgl, "--virgl: OpenGL", "Mesa's drivers (libegl1 and libgl1-mesa-dri)"};
	const struct wanted vulkan = {
		virgl, "--venus: Vulkan", "Mesa's drivers (mesa-vulkan-drivers and virgl-server)"};

	if (!virgl)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--virgl, --venus, --drm: built without virglrenderer; install its "
			"development files and build again");
	return add_renderer(s, loop, o, g, g->offers.venus ? &vulkan : &opengl);
}

static int add_gfxstream(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g)
{
	const struct wanted w = {gfxstream_part(g->gfxstream), "--gfxstream: Vulkan",
		GFXSTREAM_LIBRARY " (--gfxstream=PATH says where it is) and a Vulkan driver "
				  "(mesa-vulkan-drivers)"};

	return add_renderer(s, loop, o, g, &w);
}

static int add_renderers(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g, const struct part_kind *virgl)
{
	const struct gpu_offers *by = &g->offers;
	int status = EXIT_OK;

	if (!g->device.hostmem && (by->venus || by->drm || g->gfxstream))
		return options_fail(o, EXIT_USAGE,
			"--venus, --drm and --gfxstream want a window: add --hostmem=1G, and a "
			"front-end that has one (see --check)");
	if (by->virgl || by->venus || by->drm)
		status = add_virglrenderer(s, loop, o, g, virgl);
	if (status == EXIT_OK && g->gfxstream)
		status = add_gfxstream(s, loop, o, g);
	return status;
}

int gpu_setup_begin(struct gpu_setup *s, struct loop *loop, const struct options *o,
	struct gpu_options *g, const struct part_kind *virgl)
{
	int status;

	g->device.max_resources = max_resources();
	gpu_device_init(&s->gpu, &g->device);
	status = add_renderers(s, loop, o, g, virgl);
	if (status == EXIT_OK)
		status = add_displays(&s->gpu, loop, o, g);
	return status;
}

void gpu_setup_finish(struct gpu_setup *s)
{
	gpu_device_finish(&s->gpu);
	for (unsigned i = 0; i < s->n_renderers; i++) {
		remote_finish(&s->renderers[i].remote);
		nursery_finish(&s->renderers[i].nursery);
	}
}
