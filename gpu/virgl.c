/* SPDX-License-Identifier: MIT */
/*
 * The inside of the part that draws OpenGL. Everything here is on the one thread that owns the GL
 * contexts, except for fences, which virglrenderer's own thread reports.
 *
 * Without a render node it draws by llvmpipe, on no surface. What is not used, because it crashes some
 * version of the library: get_fd_for_texture2 without a render node where it cannot be asked first whether
 * there are dmabufs (before 1.0), USE_EXTERNAL_BLOB (without GBM).
 */
#define _GNU_SOURCE
#define LOG_TOPIC "virgl"
#include "virgl.h"

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <virglrenderer.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "inside.h"
#include "render_server.h"

/* What virgl_hw.h calls so; it is not installed. */
struct virgl_box {
	uint32_t x, y, z, w, h, d;
};

enum {
	CAPSET_VIRGL = 1,
	CAPSET_VIRGL2 = 2,
	CAPSET_VENUS = 4,
	CAPSET_DRM = 6,
	CAPSETS_KNOWN = 63,
	PAGE = 4096,
};

struct gpu_offers virgl_offers;

static bool over; // this part is of no use any more

static struct inside inside;
static const char *node; // NULL: none

/* ---- what the library says ---- */

/* On its own thread. A fence stands for all that were made before it. */
static void on_fence(void *cookie, uint32_t fence)
{
	(void)cookie;
	inside_answer(&inside, RENDERER_FENCE, fence, 0);
}

static void on_context_fence(void *cookie, uint32_t ctx, uint32_t ring, uint64_t fence)
{
	(void)cookie;
	inside_fence(&inside, ctx, ring, (uint32_t)fence);
}

static void make_fence(const struct renderer_message *m)
{
	int r = m->ring == RENDERER_GLOBAL
		? virgl_renderer_create_fence((int)m->seq, 0)
		: virgl_renderer_context_create_fence(
			m->ctx, VIRGL_RENDERER_FENCE_FLAG_MERGEABLE, m->ring, m->seq);

	if (r)
		inside_answer(&inside, RENDERER_DONE, m->seq, inside_result(r));
}

/* A guest can make it talk. */
static void on_words(const char *fmt, va_list ap)
{
	char line[256];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_peer("%s", line);
}

/* ---- contexts ---- */

static uint32_t context_create(struct inside *in, const struct renderer_message *m, int *fd)
{
	int r;

	(void)fd;
	if (!inside_context_add(in, m->ctx))
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	r = m->context.capset
		? virgl_renderer_context_create_with_flags(
			m->ctx, m->context.capset, m->context.name_len, m->context.name)
		: virgl_renderer_context_create(m->ctx, m->context.name_len, m->context.name);
	if (r)
		inside_context_remove(in, m->ctx);
	if (r && render_server_has_ended()) {
		log_err("virgl_render_server has ended");
		over = true; // a new part has a new one
	}
	return inside_result(r);
}

static uint32_t context_attach(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)in;
	(void)fd;
	virgl_renderer_ctx_attach_resource((int)m->ctx, (int)m->res);
	return 0;
}

static uint32_t context_detach(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)in;
	(void)fd;
	virgl_renderer_ctx_detach_resource((int)m->ctx, (int)m->res);
	return 0;
}

static uint32_t submit(struct inside *in, const struct renderer_message *m, int *fd)
{
	void *bytes = inside_bytes(in, m, *fd);
	int r = bytes ? virgl_renderer_submit_cmd(bytes, (int)m->ctx, (int)(m->bytes.size / 4))
		      : ENOMEM;

	inside_bytes_done(in, m, bytes);
	return inside_result(r);
}

/* ---- resources ---- */

static uint32_t create(struct inside *in, const struct renderer_message *m, int *fd)
{
	const struct gpu_texture *t = &m->texture;
	struct virgl_renderer_resource_create_args args = {
		.handle = m->res,
		.target = t->target,
		.format = t->format,
		.bind = t->bind,
		.width = t->width,
		.height = t->height,
		.depth = t->depth,
		.array_size = t->array_size,
		.last_level = t->last_level,
		.nr_samples = t->nr_samples,
		.flags = t->flags,
	};
	struct inside_resource *res = inside_add(in, m->res, t);
	int r;

	(void)fd;
	if (!res)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	r = virgl_renderer_resource_create(&args, NULL, 0);
	if (r)
		inside_remove(in, res);
	return inside_result(r);
}

static uint32_t blob(struct inside *in, const struct renderer_message *m, int *fd)
{
	static const struct gpu_texture none;
	struct virgl_renderer_resource_create_blob_args args = {
		.res_handle = m->res,
		.ctx_id = m->ctx,
		.blob_mem = m->blob.mem,
		.blob_flags = m->blob.flags,
		.blob_id = m->blob.id,
		.size = m->blob.size,
	};
	struct inside_resource *res = inside_add(in, m->res, &none);
	int r = res ? 0 : ENOMEM;

	if (res && m->bytes.size) {
		r = inside_take_pages(in, res, m, *fd);
		args.iovecs = res->iov;
		args.num_iovs = res->n_iov;
	}
	if (r == 0)
		r = virgl_renderer_resource_create_blob(&args);
	if (r && res)
		inside_remove(in, res);
	return inside_result(r);
}

static uint32_t export_blob(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct renderer_answer a = {0};
	_cleanup_fd_ int bytes = -1;
	uint32_t type;

	(void)fd;
	if (virgl_renderer_resource_export_blob(m->res, &type, &bytes) != 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	virgl_renderer_resource_get_map_info(m->res, &a.map_info);
	/* Mesa's software Vulkan keeps a page of its own in front of the memory that it gives away. */
	if (type == VIRGL_RENDERER_BLOB_FD_TYPE_OPAQUE && fcntl(bytes, F_GET_SEALS) >= 0)
		a.offset = PAGE;
	return inside_export(in, m, &a, bytes);
}

/* ---- what inside_library.c asks it for ---- */

static int attach(const struct inside_resource *res)
{
	return virgl_renderer_resource_attach_iov((int)res->id, res->iov, (int)res->n_iov);
}

static void detach(const struct inside_resource *res)
{
	struct iovec *iov;
	int n;

	virgl_renderer_resource_detach_iov((int)res->id, &iov, &n);
}

static int transfer(const struct inside_transfer *t)
{
	const struct gpu_box *b = &t->box;
	struct virgl_box box = {b->x, b->y, b->z, b->width, b->height, b->depth};

	return t->to_host ? virgl_renderer_transfer_write_iov(t->res, t->ctx, (int)t->level,
		       t->stride, t->layer_stride, &box, t->offset, t->iov, t->n_iov)
			  : virgl_renderer_transfer_read_iov(t->res, t->ctx, t->level, t->stride,
				  t->layer_stride, &box, t->offset, t->iov, (int)t->n_iov);
}

static const struct inside_library functions = {.context_destroy = virgl_renderer_context_destroy,
	.attach = attach,
	.detach = detach,
	.unref = virgl_renderer_resource_unref,
	.transfer = transfer,
	.poll = virgl_renderer_poll};

/* ---- as a dmabuf ---- */

struct texture {
	uint32_t id, fourcc;
	uint64_t modifier;
};

/* False: it cannot be exported. */
static bool look_at(uint32_t id, struct texture *t)
{
#ifdef HAVE_INFO_EXT
	struct virgl_renderer_resource_info_ext info = {
		.version = VIRGL_RENDERER_RESOURCE_INFO_EXT_VERSION};

	if (virgl_renderer_resource_get_info_ext((int)id, &info) || !info.has_dmabuf_export
		|| info.planes != 1)
		return false;
	*t = (struct texture){info.base.tex_id, (uint32_t)info.base.drm_fourcc, info.modifiers};
	return true;
#else
	struct virgl_renderer_resource_info info = {0};

	if (!node || virgl_renderer_resource_get_info((int)id, &info))
		return false;
	*t = (struct texture){info.tex_id, (uint32_t)info.drm_fourcc, DRM_FORMAT_MOD_INVALID};
	return true;
#endif
}

/* The descriptor, or -1: there is none, or the picture does not begin where it does. */
static int make_dmabuf(uint32_t id, struct texture *t, int *stride)
{
	int fd = -1, offset = 0;

	virgl_renderer_force_ctx_0();
	if (!look_at(id, t) || virgl_renderer_get_fd_for_texture2(t->id, &fd, stride, &offset))
		return -1;
	if (offset || *stride <= 0)
		fd_close(&fd);
	return fd;
}

static uint32_t dmabuf(struct inside *in, const struct renderer_message *m, int *fd)
{
	int stride = 0;
	struct texture t;
	_cleanup_fd_ int made = inside_find(in, m->res) ? make_dmabuf(m->res, &t, &stride) : -1;

	(void)fd;
	if (made < 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	inside_dmabuf(in,
		&(struct renderer_dmabuf){
			RENDERER_DMABUF_IS, m->seq, (uint32_t)stride, t.fourcc, t.modifier},
		made);
	return 0;
}

/* Whether it can be done is known only by doing it. */
static bool can_export(void)
{
	enum { ID = 1, SIDE = 64, BIND = 1 << 1 | 1 << 3 | 1 << 18 };
	struct virgl_renderer_resource_create_args args = {.handle = ID,
		.target = 2,
		.format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
		.bind = BIND,
		.width = SIDE,
		.height = SIDE,
		.depth = 1,
		.array_size = 1};
	_cleanup_fd_ int fd = -1;
	struct texture t;
	int stride;

	if (virgl_renderer_resource_create(&args, NULL, 0))
		return false;
	fd = make_dmabuf(ID, &t, &stride);
	virgl_renderer_resource_unref(ID);
	return fd >= 0;
}

/* ---- the beginning ---- */

static inside_handler *const handlers[RENDERER_REQUESTS] = {
	[RENDERER_RESET] = inside_reset,
	[RENDERER_CONTEXT_CREATE] = context_create,
	[RENDERER_CONTEXT_DESTROY] = inside_context_destroy,
	[RENDERER_CONTEXT_ATTACH] = context_attach,
	[RENDERER_CONTEXT_DETACH] = context_detach,
	[RENDERER_CREATE] = create,
	[RENDERER_UNREF] = inside_unref,
	[RENDERER_BLOB] = blob,
	[RENDERER_EXPORT] = export_blob,
	[RENDERER_BACKING_ATTACH] = inside_backing_attach,
	[RENDERER_BACKING_DETACH] = inside_backing_detach,
	[RENDERER_BUFFER] = inside_buffer,
	[RENDERER_SHOW] = inside_copy,
	[RENDERER_UPLOAD] = inside_copy,
	[RENDERER_DMABUF] = dmabuf,
	[RENDERER_FINISH] = inside_finish,
	[RENDERER_TO_HOST] = inside_transfer,
	[RENDERER_FROM_HOST] = inside_transfer,
	[RENDERER_SUBMIT] = submit,
};

static bool is_offered(uint32_t id)
{
	return id == CAPSET_VENUS ? virgl_offers.venus : id == CAPSET_DRM ? virgl_offers.drm : true;
}

/* What is not there has a size all the same, and is full of zeros. */
static bool is_there(const struct renderer_capset *c)
{
	for (uint32_t i = 0; i < c->size; i++)
		if (c->bytes[i])
			return true;
	return false;
}

/*
 * Buffers of OpenGL that stay mapped (ARB_buffer_storage) lie in this process's heap: there is no file of
 * them that a front-end could map, so a driver must not ask for any.
 */
static void without_mapped_buffers(struct renderer_capset *c)
{
	enum { BITS_AT = 392, HIGHEST_BYTE = BITS_AT + 3, ALL_BUT_THEM = 0x7f };

	if (c->id == CAPSET_VIRGL2 && c->size > HIGHEST_BYTE)
		c->bytes[HIGHEST_BYTE] &= ALL_BUT_THEM;
}

/* Of those that the library knows. 0, or the first that is missing among those that were asked for. */
static uint32_t tell_capsets(void)
{
	static struct renderer_capset c;
	uint64_t told = 0;

	for (uint32_t id = 1; id <= CAPSETS_KNOWN; id++) {
		c = (struct renderer_capset){.what = RENDERER_CAPSET, .id = id};
		virgl_renderer_get_cap_set(id, &c.max_version, &c.size);
		if (!c.size || c.size > sizeof(c.bytes) || !is_offered(id))
			continue;
		virgl_renderer_fill_caps(id, c.max_version, c.bytes);
		if (!is_there(&c))
			continue;
		without_mapped_buffers(&c);
		inside_capset(&inside, &c);
		told |= 1ull << id;
	}
	return virgl_offers.virgl && !(told >> CAPSET_VIRGL & 1)    ? CAPSET_VIRGL
		: virgl_offers.venus && !(told >> CAPSET_VENUS & 1) ? CAPSET_VENUS
		: virgl_offers.drm && !(told >> CAPSET_DRM & 1)     ? CAPSET_DRM
								    : 0;
}

static const struct part_inside *part;

/* Without one the library would start it, in no sandbox, and with our standard error. */
static int on_server(void *cookie, uint32_t version)
{
	(void)cookie;
	(void)version;
	return render_server_start(part);
}

/*
 * The library owns it. Without any it would look for one of its own, and with a wrong one it fails, but for
 * descriptor 0: so that one is no node. Of a device Mesa would complain.
 */
static int open_node(void *cookie)
{
	_cleanup_fd_ int none = -1;

	(void)cookie;
	if (node)
		return open(node, O_RDWR | O_CLOEXEC);
	none = fd_memfd("virga-no-node", 1);
	dup2(none, STDIN_FILENO);
	return STDIN_FILENO;
}

/*
 * Mesa opens a card for buffers that nobody asks for here, and who is the first to open a card is its
 * master: a display server that is started later would have none.
 */
static void close_cards(void)
{
	enum { DRM_MAJOR = 226, FDS = 256 };
	_cleanup_fd_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct stat st;

	for (int fd = 0; fd < FDS; fd++)
		if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == DRM_MAJOR)
			dup3(null, fd, O_CLOEXEC);
}

static int begin(void)
{
	static struct virgl_renderer_callbacks callbacks = {.version = 3,
		.write_fence = on_fence,
		.write_context_fence = on_context_fence,
		.get_server_fd = on_server,
		.get_drm_fd = open_node};
	int flags = VIRGL_RENDERER_THREAD_SYNC | VIRGL_RENDERER_ASYNC_FENCE_CB;

	if (!node)
		setenv("LIBGL_ALWAYS_SOFTWARE", "true", 1); // a GPU is used when it is named

	flags |= virgl_offers.virgl ? VIRGL_RENDERER_USE_EGL : VIRGL_RENDERER_NO_VIRGL;
	if (virgl_offers.virgl && !node)
		flags |= VIRGL_RENDERER_USE_SURFACELESS;
	if (virgl_offers.venus)
		flags |= VIRGL_RENDERER_VENUS | VIRGL_RENDERER_RENDER_SERVER;
	if (virgl_offers.drm)
		flags |= VIRGL_RENDERER_DRM;
	/* Caches of shaders are files, and what is in ours comes from a guest. */
	setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
	setenv("MESA_GLSL_CACHE_DISABLE", "true", 1);
	virgl_set_debug_callback(on_words);
	return virgl_renderer_init(&inside, flags, &callbacks);
}

static int run(int sock, const struct part_inside *of)
{
	int r = inside_init(&inside, sock);
	uint32_t missing;
	bool exports;

	if (r < 0)
		return 1;
	inside.library = &functions;
	part = of;
	node = of->kind->device;
	r = gmem_catch_faults();
	if (r == 0)
		r = begin();
	if (r != 0) {
		log_err("virglrenderer cannot begin: no OpenGL of EGL %s%s, or no "
			"virgl_render_server",
			node ? "on " : "without a surface", node ? node : "");
		return 1;
	}
	/* Fences behind queries wait until these have been looked at, on this thread. */
	inside.poll_fd = virgl_renderer_get_poll_fd();
	missing = tell_capsets();
	if (missing) {
		log_err("virglrenderer has no %s here",
			missing == CAPSET_VENUS         ? "Vulkan"
				: missing == CAPSET_DRM ? "native contexts"
							: "OpenGL");
		return 1;
	}
	exports = virgl_offers.virgl && can_export();
	if (!node && !of->is_thread)
		close_cards();
	r = part_lock_in(of);
	if (r < 0) {
		log_err("the sandbox is refused here");
		return 1;
	}
	inside_answer(&inside, RENDERER_READY, 0, exports);
	do
		r = inside_turn(&inside, handlers, make_fence);
	while (r > 0 && !over);
	if (of->is_thread) // else all of it ends with the process
		virgl_renderer_cleanup(&inside);
	return 0;
}

const struct part_kind virgl_part = {
	.name = "virgl",
	.run = run,
	.sandbox = {.makes_code = true},
};
