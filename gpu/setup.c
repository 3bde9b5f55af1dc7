/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "gpu"
#include "setup.h"

#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "device_3d.h"
#include "gfxstream.h"
#include "gfxstream_api.h"
#include "nodes.h"

#define READY_WITHIN (60ll * 1000000000)
#define UNCOUNTED    (1ull << 30)

/* A resource holds one descriptor, and one of a dmabuf; the rest is left to sockets and rings. */
static unsigned max_resources(bool dmabufs)
{
	unsigned fds = fd_raise_limit(), n = fds > 256 ? fds - 128 : fds / 2;

	if (dmabufs)
		n /= 2;
	return n > 16384 ? 16384 : n;
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

static void on_dmabuf(struct remote *r, const struct renderer_dmabuf *d, int *fd)
{
	gpu_3d_dmabuf(CONTAINER_OF(r, struct gpu_renderer, remote)->gpu, r, d, fd);
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
	const char *node; // that it draws on; NULL: none
};

/* The node is the renderer's to open; whether it can be is better said here. */
static int try_node(const struct options *o, const char *path)
{
	char driver[NODE_DRIVER_MAX];
	_cleanup_fd_ int fd = node_open(path, driver);

	if (fd >= 0) {
		log_info("%s draws, by its driver %s", path, driver);
		return EXIT_OK;
	}
	return options_fail(o, EXIT_IMPOSSIBLE, "--render-node=%s: %s", path, node_advice(fd));
}

/* It is ready before a guest can ask: Linux waits for 5 s for what it can do, and no longer. */
static int add_renderer(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g, const struct wanted *w)
{
	struct gpu_renderer *n = &s->renderers[s->n_renderers++];
	int r;

	gmem_keep_fds = true;
	n->gpu = &s->gpu;
	n->kind = *w->kind;
	n->kind.device = w->node;
	n->kind.sandbox.drives_gpu = w->node || g->device.dmabufs;
	r = nursery_start(&n->nursery, &n->kind, o->seccomp, memory_of_renderer(g), g->threads);
	if (r == 0) {
		n->remote.lost = on_lost;
		n->remote.dmabuf = on_dmabuf;
		n->remote.patience = g->max_command_time;
		r = remote_init(&n->remote, loop, &n->nursery);
	}
	if (r < 0)
		return options_fail(o, EXIT_RUNTIME, "no process can be started: %s", strerror(-r));
	if (!remote_wait_ready(&n->remote, loop, READY_WITHIN) || !n->remote.n_capsets)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"%s does not work here (see above); install %s, or leave %s out", w->what,
			w->packages, w->node ? "--render-node" : "the option");
	if (g->scanout == SCANOUT_DMABUF && g->device.dmabufs && !n->remote.has_dmabufs)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--scanout=dmabuf: what is drawn here cannot be had as a dmabuf; name a "
			"GPU with --render-node, or leave the option out");
	gpu_device_add_renderer(&s->gpu, &n->remote);
	return EXIT_OK;
}

static int add_virglrenderer(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g, const struct part_kind *virgl)
{
	const struct wanted opengl = {virgl, "--virgl: OpenGL",
		"Mesa's drivers (libegl1 and libgl1-mesa-dri)", g->render_node};
	const struct wanted vulkan = {virgl, "--venus: Vulkan",
		"Mesa's drivers (mesa-vulkan-drivers and virgl-server)", g->render_node};

	if (!virgl)
		return options_fail(o, EXIT_IMPOSSIBLE,
			"--virgl, --venus, --drm: built without virglrenderer; install its "
			"development files and build again");
	if (g->render_node && try_node(o, g->render_node) != EXIT_OK)
		return EXIT_IMPOSSIBLE;
	return add_renderer(s, loop, o, g, g->offers.venus ? &vulkan : &opengl);
}

static int add_gfxstream(struct gpu_setup *s, struct loop *loop, const struct options *o,
	const struct gpu_options *g)
{
	const struct wanted w = {gfxstream_part(g->gfxstream), "--gfxstream: Vulkan",
		GFXSTREAM_LIBRARY " (--gfxstream=PATH says where it is) and a Vulkan driver "
				  "(mesa-vulkan-drivers)",
		NULL};

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

	if (g->scanout == SCANOUT_DMABUF && !g->offers.virgl)
		return options_fail(
			o, EXIT_USAGE, "--scanout=dmabuf is of what OpenGL draws: add --virgl");
	g->device.dmabufs = g->offers.virgl
		&& (g->scanout == SCANOUT_DMABUF || (g->scanout == SCANOUT_AUTO && g->render_node));
	if (!g->device.page)
		g->device.page = (uint32_t)sysconf(_SC_PAGESIZE);
	g->device.max_resources = max_resources(g->device.dmabufs);
	g->sandbox.drives_gpu = g->threads && (g->render_node || g->device.dmabufs);
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
