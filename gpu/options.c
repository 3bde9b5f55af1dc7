/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gfxstream.h"
#include "gfxstream_api.h"
#include "nodes.h"

enum { OUTPUT_SIDE_MAX = 16384, COMMAND_TIME_MAX = 86400 };

#ifdef HAVE_VIRGL
#define FEATURES "\"virgl\""
#define OPENGL   "add --virgl to virga-gpu's options"
#else
#define FEATURES ""
#define OPENGL   "not in this build, for want of virglrenderer's development files"
#endif

/* none, auto and qemu differ in what is promised only: QEMU's socket is used whenever it comes. */
static int set_display(void *target, const char *value)
{
	struct gpu_options *g = target;

	g->png_dir = NULL;
	memset(g->sandbox.paths, 0, sizeof(g->sandbox.paths));
	if (!strncmp(value, "png:", 4) && value[4]) {
		g->png_dir = value + 4;
		g->sandbox.paths[0] = (struct sandbox_path){g->png_dir, .writable = true};
		return 0;
	}
	return strcmp(value, "none") && strcmp(value, "auto") && strcmp(value, "qemu") ? -EINVAL
										       : 0;
}

static int set_outputs(void *target, const char *value)
{
	struct gpu_config *c = &((struct gpu_options *)target)->device;
	char *end;

	for (c->n_outputs = 0;; value = end + 1) {
		unsigned long w = strtoul(value, &end, 10), h = 0;

		if (*end == 'x')
			h = strtoul(end + 1, &end, 10);
		if (!w || !h || w > OUTPUT_SIDE_MAX || h > OUTPUT_SIDE_MAX
			|| c->n_outputs == VIRTIO_GPU_MAX_SCANOUTS || (*end && *end != ','))
			return -EINVAL;
		c->outputs[c->n_outputs++] = (struct gpu_output){(uint32_t)w, (uint32_t)h};
		if (!*end)
			return 0;
	}
}

static int set_max_hostmem(void *target, const char *value)
{
	uint64_t size = options_size(value);

	if (!size)
		return -EINVAL;
	((struct gpu_options *)target)->device.max_hostmem = size;
	return 0;
}

/* It is a window on the guest's PCI bus, where sizes are powers of 2. */
static int set_hostmem(void *target, const char *value)
{
	uint64_t size = options_size(value);

	if (size < 1 << 20 || size & (size - 1))
		return -EINVAL;
	((struct gpu_options *)target)->device.hostmem = size;
	return 0;
}

static int set_max_command_time(void *target, const char *value)
{
	char *end;
	unsigned long seconds = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || !seconds || seconds > COMMAND_TIME_MAX)
		return -EINVAL;
	((struct gpu_options *)target)->max_command_time = (int64_t)seconds * 1000000000;
	return 0;
}

static int set_virgl(void *target, const char *value)
{
	(void)value;
	((struct gpu_options *)target)->offers.virgl = true;
	return 0;
}

static int set_venus(void *target, const char *value)
{
	(void)value;
	((struct gpu_options *)target)->offers.venus = true;
	return 0;
}

static int set_drm(void *target, const char *value)
{
	(void)value;
	((struct gpu_options *)target)->offers.drm = true;
	return 0;
}

static int set_gfxstream(void *target, const char *value)
{
	((struct gpu_options *)target)->gfxstream = value ? value : GFXSTREAM_LIBRARY;
	return value && !*value ? -EINVAL : 0;
}

static int set_render_node(void *target, const char *value)
{
	((struct gpu_options *)target)->render_node = value;
	return *value ? 0 : -EINVAL;
}

static int set_scanout(void *target, const char *value)
{
	static const char *const names[] = {"auto", "shm", "dmabuf"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(value, names[i]))
			continue;
		((struct gpu_options *)target)->scanout = i;
		return 0;
	}
	return -EINVAL;
}

/* A renderer in our process compiles its shaders here. */
static int set_isolate(void *target, const char *value)
{
	struct gpu_options *g = target;

	g->threads = !strcmp(value, "none");
	g->sandbox.makes_code = g->threads;
	return g->threads || !strcmp(value, "process") ? 0 : -EINVAL;
}

static const struct option_entry entries[] = {
	{"display", "auto|none|qemu|png:DIR",
		"where frames go: to QEMU's window when QEMU asks\nfor them (auto, the default), "
		"nowhere, or as PNGs to\na folder, besides QEMU's window if there is one",
		set_display},
	{"outputs", "WxH,...", "monitors, where the front-end brings none (1280x800)", set_outputs},
	{"virgl", NULL, "OpenGL for the guest (off)", set_virgl},
	{"venus", NULL, "Vulkan for the guest; wants --hostmem (off)", set_venus},
	{"drm", NULL, "the host's GPU for guests with its driver; wants\n--hostmem (off)", set_drm},
	{"gfxstream", "LIB",
		"Vulkan for the guest, by gfxstream's library\n(" GFXSTREAM_LIBRARY
		", or LIB); wants\n--hostmem (off)",
		set_gfxstream, .optional = true},
	{"render-node", "PATH",
		"the GPU that draws it, such as /dev/dri/renderD128\n(none: the processor draws)",
		set_render_node},
	{"scanout", "auto|shm|dmabuf",
		"how QEMU gets what OpenGL drew: as pixels (shm), or\nas it lies, for QEMU's "
		"window to "
		"read it itself\n(dmabuf); auto: dmabuf with --render-node",
		set_scanout},
	{"isolate", "process|none",
		"where it is drawn: in a process of its own (process,\nthe default), or in this "
		"one, "
		"to look at it (none)",
		set_isolate},
	{"max-command-time", "SECONDS",
		"after which a renderer that is still at the same\ncommand is ended (10)",
		set_max_command_time},
	{"max-hostmem", "SIZE", "memory for the guest's pictures (512M)", set_max_hostmem},
	{"hostmem", "SIZE",
		"of the window in which the guest sees memory of\nthe renderer: a power of 2 "
		"(none)",
		set_hostmem},
	{0},
};

static void print_gfxstream(const struct gpu_options *g)
{
	const char *library = g->gfxstream ? g->gfxstream : GFXSTREAM_LIBRARY;
	const char *wrong = gfxstream_check(library);

	if (wrong)
		printf("# gfxstream: not here, %s; --gfxstream=PATH says where it is.\n", wrong);
	else
		printf("# gfxstream: %s is here; add --gfxstream and --hostmem=1G.\n", library);
}

static void print_qemu(const char *binary)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *dir = runtime && *runtime ? runtime : "/tmp";

	printf("# 2D works: it needs nothing of this host. OpenGL: " OPENGL ".\n");
#ifdef HAVE_VIRGL
	nodes_print("/dev/dri");
#endif
	printf("# For QEMU 10.0 or newer, in its window (plain VNC and SPICE cannot show it):\n"
	       "%s --socket-path=%s/virga-gpu.sock &\n"
	       "qemu-system-x86_64 -m 2G -machine q35,memory-backend=mem -display gtk,gl=on \\\n"
	       "  -object memory-backend-memfd,id=mem,size=2G,share=on \\\n"
	       "  -chardev socket,id=vgpu,path=%s/virga-gpu.sock \\\n"
	       "  -vga none -device vhost-user-gpu-pci,chardev=vgpu\n",
		binary, dir, dir);
	printf("# Without a window, frames as files (QEMU 11.1 or newer):\n"
	       "%s --socket-path=%s/virga-gpu.sock --display=png:virga-frames &\n"
	       "qemu-system-x86_64 -m 2G -machine q35,memory-backend=mem -display none \\\n"
	       "  -object memory-backend-memfd,id=mem,size=2G,share=on \\\n"
	       "  -chardev socket,id=vgpu,path=%s/virga-gpu.sock -vga none \\\n"
	       "  -device vhost-user-test-device-pci,virtio-id=16,num_vqs=2,vq_size=256,"
	       "config_size=20,chardev=vgpu\n"
	       "# This device, and no other of QEMU's, has the window that Vulkan needs: with it, "
	       "add\n"
	       "# --venus --hostmem=1G to virga-gpu's options. vhost-user-gpu-pci has neither "
	       "window nor\n"
	       "# blobs.\n",
		binary, dir, dir);
}

static void print_libvirt(void)
{
	printf("<!-- For libvirt, in <domain>: -->\n"
	       "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n"
	       "<!-- and in <devices>, in place of its <video>: -->\n"
	       "<video><driver name='vhostuser'/><model type='virtio' heads='1'/></video>\n");
}

static int check(void *target, const char *kind, const char *binary)
{
	if (strcmp(kind, "libvirt")) {
		print_gfxstream(target);
		print_qemu(binary);
	}
	if (strcmp(kind, "qemu"))
		print_libvirt();
	return EXIT_OK;
}

#define CAPABILITIES(features) "{\n  \"type\": \"gpu\",\n  \"features\": [" features "]\n}"

/* Where render nodes are promised libvirt looks for one, and starts no machine where there is none. */
static const char *capabilities(void)
{
#ifdef HAVE_VIRGL
	if (nodes_exist("/dev/dri"))
		return CAPABILITIES("\"virgl\", \"render-node\"");
#endif
	return CAPABILITIES(FEATURES);
}

struct options gpu_command_line(struct gpu_options *g)
{
	return (struct options){
		.program = "virga-gpu",
		.summary = "A virtio graphics card for virtual machines, over vhost-user.",
		.capabilities = capabilities(),
		.entries = entries,
		.target = g,
		.check = check,
		.sandbox = &g->sandbox,
	};
}
