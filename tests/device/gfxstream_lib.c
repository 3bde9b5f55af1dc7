/* SPDX-License-Identifier: MIT */
/*
 * A library with the interface of gfxstream's that draws nothing. It has a thread for fences, and one for
 * each context, as the real one does, and is as strict about what it is told.
 */
#define _GNU_SOURCE
#include "gfxstream_lib.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gpu/gfxstream_api.h"

enum { THINGS = 64, FENCES = 256, CAPSET_SIZE = 104 };

#define EXPORT                            __attribute__((visibility("default")))
#define DECLARE(result, name, parameters) EXPORT result stream_renderer_##name parameters;
GFXSTREAM_FUNCTIONS(DECLARE)

static struct context {
	uint32_t id; // 0: none
	pthread_t thread;
	int wake[2];
} contexts[THINGS];

static struct resource {
	uint32_t id, kind;
	uint64_t size;
	int fd;                  // of a blob of ours; -1
	uint8_t *bytes;          // of that, or of a texture
	uint32_t width, height;  // of a texture
	const struct iovec *iov; // the guest's pages
	uint32_t n_iov;
} resources[THINGS];

static struct {
	gfxstream_fence_callback *callback;
	void *user_data;
	struct gfxstream_fence queue[FENCES];
	unsigned head, tail;
	bool hold, at_once, none;
	pthread_mutex_t lock;
	pthread_cond_t more;
} fences = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static gfxstream_debug_callback *say;

static struct context *find_context(uint32_t id)
{
	for (unsigned i = 0; i < THINGS; i++)
		if (contexts[i].id == id)
			return &contexts[i];
	return NULL;
}

static struct resource *find(uint32_t id)
{
	for (unsigned i = 0; i < THINGS; i++)
		if (resources[i].id == id)
			return &resources[i];
	return NULL;
}

/* ---- fences ---- */

static void *__attribute__((noreturn)) signal_fences(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&fences.lock);
	for (;;) {
		while (fences.head == fences.tail || fences.hold)
			pthread_cond_wait(&fences.more, &fences.lock);
		fences.callback(fences.user_data, &fences.queue[fences.head++ % FENCES]);
	}
}

int stream_renderer_create_fence(const struct gfxstream_fence *f)
{
	struct gfxstream_fence copy = *f;
	bool none;

	pthread_mutex_lock(&fences.lock);
	none = fences.none || !(f->flags & GFXSTREAM_FENCE)
		|| (f->flags & GFXSTREAM_FENCE_RING && !find_context(f->ctx));
	if (!none && fences.at_once)
		fences.callback(fences.user_data, &copy);
	else if (!none)
		fences.queue[fences.tail++ % FENCES] = copy;
	fences.none = fences.at_once = false;
	pthread_cond_signal(&fences.more);
	pthread_mutex_unlock(&fences.lock);
	return none ? -EINVAL : 0;
}

/* ---- the beginning ---- */

static bool is_told(const char *what)
{
	const char *told = getenv(GFXSTREAM_STAND_IN);

	return told && !strcmp(told, what);
}

int stream_renderer_init(struct gfxstream_param *params, uint64_t n)
{
	const uint64_t wanted = GFXSTREAM_VULKAN | GFXSTREAM_SURFACELESS | GFXSTREAM_EXTERNAL_BLOB
		| GFXSTREAM_SYSTEM_BLOB;
	uint64_t flags = 0;
	pthread_t thread;

	for (uint64_t i = 0; i < n; i++) {
		void *pointer = (void *)(uintptr_t)params[i].value;

		if (params[i].key == GFXSTREAM_USER_DATA)
			fences.user_data = pointer;
		else if (params[i].key == GFXSTREAM_FLAGS)
			flags = params[i].value;
		else if (params[i].key == GFXSTREAM_FENCE_CALLBACK)
			fences.callback = (gfxstream_fence_callback *)pointer;
		else if (params[i].key == GFXSTREAM_DEBUG_CALLBACK)
			say = (gfxstream_debug_callback *)pointer;
	}
	if (!fences.user_data || !fences.callback || flags != wanted || is_told(STAND_IN_NO_VULKAN))
		return -EINVAL;
	return -pthread_create(&thread, NULL, signal_fences, NULL);
}

void stream_renderer_teardown(void)
{
}

void stream_renderer_get_cap_set(uint32_t id, uint32_t *max_version, uint32_t *size)
{
	(void)max_version; // as the real one leaves it
	if (id == GFXSTREAM_CAPSET_VULKAN && !is_told(STAND_IN_NO_CAPSET))
		*size = CAPSET_SIZE;
}

void stream_renderer_fill_caps(uint32_t id, uint32_t version, void *caps)
{
	(void)version;
	memset(caps, (int)id, CAPSET_SIZE);
}

/* ---- contexts ---- */

static void *serve_ring(void *arg)
{
	const struct context *c = arg;
	char byte;

	return read(c->wake[0], &byte, 1) < 0 ? arg : NULL;
}

int stream_renderer_context_create(uint32_t ctx, uint32_t len, const char *name, uint32_t init)
{
	struct context *c = find_context(0);

	(void)name;
	if (!ctx || find_context(ctx) || !c || init != GFXSTREAM_CAPSET_VULKAN || len > 64)
		return -EINVAL;
	if (pipe2(c->wake, O_CLOEXEC) < 0)
		return -errno;
	c->id = ctx;
	return -pthread_create(&c->thread, NULL, serve_ring, c);
}

void stream_renderer_context_destroy(uint32_t ctx)
{
	struct context *c = ctx ? find_context(ctx) : NULL;

	if (!c)
		return;
	close(c->wake[1]);
	pthread_join(c->thread, NULL);
	close(c->wake[0]);
	c->id = 0;
}

static void must_be_there(int ctx, int res)
{
	if (!find_context((uint32_t)ctx) || !find((uint32_t)res))
		raise(SIGKILL); // what the real one takes for granted
}

void stream_renderer_ctx_attach_resource(int ctx, int res)
{
	must_be_there(ctx, res);
}

void stream_renderer_ctx_detach_resource(int ctx, int res)
{
	must_be_there(ctx, res);
}

/* ---- resources ---- */

static struct resource *add(uint32_t id, uint64_t size)
{
	struct resource *r = id && !find(id) ? find(0) : NULL;

	if (r)
		*r = (struct resource){.id = id, .size = size, .fd = -1};
	return r;
}

int stream_renderer_resource_create(struct gfxstream_resource *args, struct iovec *iov, uint32_t n)
{
	struct resource *r = add(args->handle, (uint64_t)args->width * args->height * 4);

	if (!r || iov || n)
		return -EINVAL;
	r->width = args->width;
	r->height = args->height;
	r->bytes = calloc(1, r->size);
	return r->bytes ? 0 : -ENOMEM;
}

void stream_renderer_resource_unref(uint32_t res)
{
	struct resource *r = res ? find(res) : NULL;

	if (!r)
		return;
	if (r->fd >= 0) {
		munmap(r->bytes, r->size);
		close(r->fd);
	} else {
		free(r->bytes);
	}
	r->id = 0;
}

int stream_renderer_resource_attach_iov(int res, struct iovec *iov, int n)
{
	struct resource *r = find((uint32_t)res);

	if (!r || r->iov)
		return -EINVAL;
	r->iov = iov;
	r->n_iov = (uint32_t)n;
	return 0;
}

void stream_renderer_resource_detach_iov(int res, struct iovec **iov, int *n)
{
	struct resource *r = find((uint32_t)res);

	*iov = NULL;
	*n = 0;
	if (r)
		r->iov = NULL;
}

/* Rows of a box between the texture and the bytes from `offset` on, in one piece. */
static int copy(uint32_t res, const struct gfxstream_box *b, uint32_t stride, uint64_t offset,
	const struct iovec *iov, bool in)
{
	struct resource *r = find(res);

	iov = iov ? iov : r ? r->iov : NULL;
	if (!r || !r->width || !iov || b->x + b->w > r->width || b->y + b->h > r->height)
		return -EINVAL;
	for (uint32_t y = 0; y < b->h; y++) {
		uint8_t *texture = r->bytes + ((uint64_t)(b->y + y) * r->width + b->x) * 4;
		uint8_t *there = (uint8_t *)iov->iov_base + offset + (uint64_t)y * stride;

		memcpy(in ? texture : there, in ? there : texture, b->w * 4);
	}
	return 0;
}

int stream_renderer_transfer_read_iov(uint32_t res, uint32_t ctx, uint32_t level, uint32_t stride,
	uint32_t layer_stride, struct gfxstream_box *box, uint64_t offset, struct iovec *iov, int n)
{
	(void)ctx;
	(void)layer_stride;
	(void)n;
	return level ? -EINVAL : copy(res, box, stride, offset, iov, false);
}

int stream_renderer_transfer_write_iov(uint32_t res, uint32_t ctx, int level, uint32_t stride,
	uint32_t layer_stride, struct gfxstream_box *box, uint64_t offset, struct iovec *iov,
	unsigned n)
{
	(void)ctx;
	(void)layer_stride;
	(void)n;
	return level ? -EINVAL : copy(res, box, stride, offset, iov, true);
}

/* ---- blobs ---- */

int stream_renderer_create_blob(uint32_t ctx, uint32_t res, const struct gfxstream_blob *b,
	const struct iovec *iov, uint32_t n, const struct gfxstream_handle *handle)
{
	struct resource *r = b->id == KIND_FAILS || handle ? NULL : add(res, b->size);

	if (!r || (ctx && !find_context(ctx)))
		return -EINVAL;
	r->kind = (uint32_t)b->id;
	r->iov = iov;
	r->n_iov = n;
	if (iov)
		return 0;
	r->fd = memfd_create("stand-in", MFD_CLOEXEC);
	if (r->fd < 0
		|| ftruncate(r->fd, (off_t)(r->kind == KIND_SMALL ? b->size / 2 : b->size)) < 0)
		return -ENOMEM;
	r->bytes = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	return r->bytes == MAP_FAILED ? -ENOMEM : 0;
}

int stream_renderer_export_blob(uint32_t res, struct gfxstream_handle *handle)
{
	const struct resource *r = find(res);

	if (!r || r->fd < 0 || r->kind == KIND_KEPT)
		return -EINVAL;
	handle->fd = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);
	handle->type = r->kind == KIND_OPAQUE ? GFXSTREAM_OPAQUE_FD
		: r->kind == KIND_DMABUF      ? GFXSTREAM_DMABUF
					      : GFXSTREAM_SHM;
	return handle->fd < 0 ? -EMFILE : 0;
}

int stream_renderer_resource_map_info(uint32_t res, uint32_t *map_info)
{
	*map_info = 1;
	return find(res) ? 0 : -EINVAL;
}

/* ---- orders ---- */

static int paint(uint32_t id, uint32_t word)
{
	struct resource *r = find(id);

	if (!r || r->fd < 0)
		return -EINVAL;
	for (uint64_t i = 0; i < r->size / 4; i++)
		memcpy(r->bytes + i * 4, &word, 4);
	return 0;
}

static bool is_all(const uint8_t *bytes, uint64_t size, uint32_t word)
{
	for (uint64_t i = 0; i < size / 4; i++)
		if (memcmp(bytes + i * 4, &word, 4) != 0)
			return false;
	return true;
}

static int look(uint32_t id, uint32_t word)
{
	const struct resource *r = find(id);
	uint64_t seen = 0;

	if (!r)
		return -EINVAL;
	if (!r->iov)
		return r->bytes && is_all(r->bytes, r->size, word) ? 0 : -EINVAL;
	for (uint32_t i = 0; i < r->n_iov; seen += r->iov[i++].iov_len)
		if (!is_all(r->iov[i].iov_base, r->iov[i].iov_len, word))
			return -EINVAL;
	return seen >= r->size ? 0 : -EINVAL;
}

static int open_files(void)
{
	int loader = open("/usr/share/vulkan", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool missing = loader < 0 && errno == ENOENT;
	int other = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int driver = open(getenv("VK_DRIVER_FILES"), O_RDONLY | O_CLOEXEC);

	if (loader >= 0)
		close(loader);
	if (other >= 0)
		close(other);
	if (driver >= 0)
		close(driver);
	return (loader >= 0 || missing) && other < 0 && driver >= 0 ? 0 : -EINVAL;
}

static void set(bool *what, bool to)
{
	pthread_mutex_lock(&fences.lock);
	*what = to;
	pthread_cond_signal(&fences.more);
	pthread_mutex_unlock(&fences.lock);
}

int stream_renderer_submit_cmd(struct gfxstream_command *c)
{
	const uint32_t *words = (const void *)c->bytes;

	if (!find_context(c->ctx) || c->size < 4 || c->n_fences)
		return -EINVAL;
	switch (words[0]) {
	case ORDER_FAIL:
		return -(int)words[1];
	case ORDER_ABORT:
		raise(SIGKILL); // abort() would have AddressSanitizer write pages
		return 0;
	case ORDER_SLEEP:
		return usleep(words[1] * 1000);
	case ORDER_PAINT:
		return paint(words[1], words[2]);
	case ORDER_READ:
		return look(words[1], words[2]);
	case ORDER_HOLD:
		set(&fences.hold, true);
		return 0;
	case ORDER_LET_GO:
		set(&fences.hold, false);
		return 0;
	case ORDER_AT_ONCE:
		set(&fences.at_once, true);
		return 0;
	case ORDER_NO_FENCE:
		set(&fences.none, true);
		return 0;
	case ORDER_TALK:
		say(fences.user_data,
			&(struct gfxstream_words){GFXSTREAM_SAYS_ERROR, "words\nmore"});
		return 0;
	case ORDER_OPEN:
		return open_files();
	default:
		return 0;
	}
}
