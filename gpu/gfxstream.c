/* SPDX-License-Identifier: MIT */
/*
 * The inside of the part that runs gfxstream. The library decodes what a guest's Vulkan driver writes into
 * rings in shared memory, on threads of its own; what comes by messages are contexts, those rings, and words
 * that wake the threads. It ends the process when it reads what it does not know.
 *
 * Memory that the guest maps is plain shared memory, which the library imports into Vulkan: what a driver
 * exports may have a header of its own before the bytes (llvmpipe), and is refused.
 */
#define LOG_TOPIC "gfxstream"
#include "gfxstream.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "common/log.h"
#include "gfxstream_api.h"
#include "inside.h"

static struct inside inside;
static const char *library;

/* The functions, as the library has them. */
static struct {
#define POINTER(result, name, parameters) result(*name) parameters;
	GFXSTREAM_FUNCTIONS(POINTER)
} lib;

/* ---- what the library says ---- */

/* On any thread, with a lock of the library's held: it must not be called from here. */
static void on_fence(void *user_data, struct gfxstream_fence *f)
{
	(void)user_data;
	if (f->flags & GFXSTREAM_FENCE_RING)
		inside_fence(&inside, f->ctx, f->ring, (uint32_t)f->id);
	else
		inside_fence(&inside, 0, RENDERER_GLOBAL, (uint32_t)f->id);
}

static void make_fence(const struct renderer_message *m)
{
	const bool ring = m->ring != RENDERER_GLOBAL;
	const struct gfxstream_fence f = {
		.flags = GFXSTREAM_FENCE | (ring ? (uint32_t)GFXSTREAM_FENCE_RING : 0),
		.id = m->seq,
		.ctx = m->ctx,
		.ring = ring ? (uint8_t)m->ring : 0,
	};
	int r = lib.create_fence(&f);

	if (r)
		inside_answer(&inside, RENDERER_DONE, m->seq, inside_result(r));
}

static void on_words(void *user_data, struct gfxstream_words *words)
{
	(void)user_data;
	if (words->level <= GFXSTREAM_SAYS_WARNING)
		log_peer("%.*s", (int)strcspn(words->text, "\n"), words->text);
}

/* ---- contexts ---- */

static uint32_t context_create(struct inside *in, const struct renderer_message *m, int *fd)
{
	int r;

	(void)fd;
	if (!inside_context_add(in, m->ctx))
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	r = lib.context_create(m->ctx, m->context.name_len, m->context.name, m->context.capset);
	if (r)
		inside_context_remove(in, m->ctx);
	return inside_result(r);
}

static uint32_t context_attach(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)in;
	(void)fd;
	lib.ctx_attach_resource((int)m->ctx, (int)m->res);
	return 0;
}

static uint32_t context_detach(struct inside *in, const struct renderer_message *m, int *fd)
{
	(void)in;
	(void)fd;
	lib.ctx_detach_resource((int)m->ctx, (int)m->res);
	return 0;
}

static uint32_t submit(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct gfxstream_command c = {.ctx = m->ctx, .size = m->bytes.size};
	int r = 0;

	if (!m->bytes.size) // only its fence is wanted
		return 0;
	c.bytes = inside_bytes(in, m, *fd);
	r = c.bytes ? lib.submit_cmd(&c) : -ENOMEM;
	inside_bytes_done(in, m, c.bytes);
	return inside_result(r);
}

/* ---- resources ---- */

static uint32_t create(struct inside *in, const struct renderer_message *m, int *fd)
{
	const struct gpu_texture *t = &m->texture;
	struct gfxstream_resource args = {
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
	r = lib.resource_create(&args, NULL, 0);
	if (r)
		inside_remove(in, res);
	return inside_result(r);
}

static uint32_t blob(struct inside *in, const struct renderer_message *m, int *fd)
{
	static const struct gpu_texture none;
	const struct gfxstream_blob b = {m->blob.mem, m->blob.flags, m->blob.id, m->blob.size};
	struct inside_resource *res = inside_add(in, m->res, &none);
	int r = 0;

	if (!res)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (m->bytes.size)
		r = inside_take_pages(in, res, m, *fd);
	if (r == 0)
		r = lib.create_blob(m->ctx, m->res, &b, res->iov, res->n_iov, NULL);
	if (r)
		inside_remove(in, res);
	return inside_result(r);
}

static uint32_t export_blob(struct inside *in, const struct renderer_message *m, int *fd)
{
	struct gfxstream_handle handle = {.fd = -1};
	struct renderer_answer a = {0};
	_cleanup_fd_ int bytes = -1;

	(void)fd;
	if (lib.export_blob(m->res, &handle) != 0)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	bytes = (int)handle.fd;
	if (handle.type != GFXSTREAM_SHM && handle.type != GFXSTREAM_DMABUF)
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	lib.resource_map_info(m->res, &a.map_info);
	return inside_export(in, m, &a, bytes);
}

/* ---- what inside_library.c asks it for ---- */

static void context_destroy(uint32_t ctx)
{
	lib.context_destroy(ctx);
}

static int attach(const struct inside_resource *res)
{
	return lib.resource_attach_iov((int)res->id, res->iov, (int)res->n_iov);
}

static void detach(const struct inside_resource *res)
{
	struct iovec *iov;
	int n;

	lib.resource_detach_iov((int)res->id, &iov, &n);
}

static void unref(uint32_t res)
{
	lib.resource_unref(res);
}

static int transfer(const struct inside_transfer *t)
{
	const struct gpu_box *b = &t->box;
	struct gfxstream_box box = {b->x, b->y, b->z, b->width, b->height, b->depth};

	return t->to_host ? lib.transfer_write_iov(t->res, t->ctx, (int)t->level, t->stride,
		       t->layer_stride, &box, t->offset, t->iov, t->n_iov)
			  : lib.transfer_read_iov(t->res, t->ctx, t->level, t->stride,
				  t->layer_stride, &box, t->offset, t->iov, (int)t->n_iov);
}

static const struct inside_library functions = {.context_destroy = context_destroy,
	.attach = attach,
	.detach = detach,
	.unref = unref,
	.transfer = transfer};

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
	[RENDERER_FINISH] = inside_finish,
	[RENDERER_TO_HOST] = inside_transfer,
	[RENDERER_FROM_HOST] = inside_transfer,
	[RENDERER_SUBMIT] = submit,
};

const char *gfxstream_check(const char *name)
{
	void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return dlerror();
#define FIND(result, function, parameters)                                                         \
	*(void **)&lib.function = dlsym(handle, GFXSTREAM_PREFIX #function);                       \
	if (!lib.function)                                                                         \
		return "it has no function " GFXSTREAM_PREFIX #function;
	GFXSTREAM_FUNCTIONS(FIND)
	return NULL;
}

/* Of the library's other capability sets none is of Vulkan. */
static bool tell_capset(void)
{
	static struct renderer_capset c = {.what = RENDERER_CAPSET, .id = GFXSTREAM_CAPSET_VULKAN};

	lib.get_cap_set(c.id, &c.max_version, &c.size);
	if (!c.size || c.size > sizeof(c.bytes))
		return false;
	lib.fill_caps(c.id, c.max_version, c.bytes);
	if (!c.max_version)
		c.max_version = 1; // versions of the library there are that say none
	inside_capset(&inside, &c);
	return true;
}

static int begin(void)
{
	const uint64_t flags = GFXSTREAM_VULKAN | GFXSTREAM_SURFACELESS | GFXSTREAM_EXTERNAL_BLOB
		| GFXSTREAM_SYSTEM_BLOB;
	struct gfxstream_param params[] = {
		{GFXSTREAM_USER_DATA, (uintptr_t)&inside},
		{GFXSTREAM_FLAGS, flags},
		{GFXSTREAM_FENCE_CALLBACK, (uintptr_t)on_fence},
		{GFXSTREAM_DEBUG_CALLBACK, (uintptr_t)on_words},
	};
	const char *wrong = gfxstream_check(library);

	if (wrong) {
		log_err("%s: %s", library, wrong);
		return -ENOENT;
	}
	/* Caches of shaders are files, and what is in ours comes from a guest. */
	setenv("MESA_SHADER_CACHE_DISABLE", "true", 1);
	return lib.init(params, ARRAY_SIZE(params));
}

static int run(int sock, const struct part_inside *of)
{
	int r = inside_init(&inside, sock);

	if (r < 0)
		return 1;
	inside.library = &functions;
	r = gmem_catch_faults();
	if (r == 0)
		r = begin();
	if (r != 0 || !tell_capset()) {
		log_err("gfxstream cannot begin: no library, or no Vulkan");
		return 1;
	}
	r = part_lock_in(of);
	if (r < 0) {
		log_err("the sandbox is refused here");
		return 1;
	}
	inside_answer(&inside, RENDERER_READY, 0, 0);
	do
		r = inside_turn(&inside, handlers, make_fence);
	while (r > 0);
	if (of->is_thread) // else all of it ends with the process
		lib.teardown();
	return 0;
}

/* Of a driver's description, where the loader is told of one. NULL: it is not. */
static const char *folder_of_drivers(void)
{
	static char folder[PATH_MAX];
	const char *files = getenv("VK_DRIVER_FILES");
	char *end;

	if (!files)
		files = getenv("VK_ICD_FILENAMES");
	if (!files || strcspn(files, ":") >= sizeof(folder))
		return NULL;
	memcpy(folder, files, strcspn(files, ":"));
	end = strrchr(folder, '/');
	if (end)
		*end = '\0';
	return *folder ? folder : NULL;
}

const struct part_kind *gfxstream_part(const char *name)
{
	static struct part_kind kind = {
		.name = "gfxstream",
		.run = run,
		/* Vulkan's loader reads these again with each instance that a guest makes. */
		.sandbox = {.makes_code = true,
			.paths = {{"/usr/share/vulkan", false}, {"/etc/vulkan", false}}},
	};

	library = name;
	kind.sandbox.paths[2].path = folder_of_drivers();
	return &kind;
}
