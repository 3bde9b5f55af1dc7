/* SPDX-License-Identifier: MIT */
/* Commands of blobs that name what is not there, or are of the wrong size, kind or time. */
#include "on_gpu.h"

#include <endian.h>
#include <string.h>
#include <unistd.h>

#include "driver/gpu_3d.h"
#include "driver/gpu_blob.h"

#define OK          VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC      VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY   VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define NO_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define NO_CONTEXT  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
#define NO_SCANOUT  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
#define PARAMETER   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define FORMAT      VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

enum { GUEST = 1, HOST = 2, BOTH = 3, CTX = 1, BLOB = 1, FLAT = 2, SIDE = 32, SIZE = 8192 };

static const char *const args[] = {"--virgl", "--hostmem=1M", "--max-hostmem=64M", NULL};

static uint64_t pages;

static const struct virtio_gpu_mem_entry *entries(uint64_t at, uint32_t len)
{
	static struct virtio_gpu_mem_entry e[2];

	e[0] = (struct virtio_gpu_mem_entry){.addr = htole64(at), .length = htole32(len)};
	e[1] = e[0];
	return e;
}

static int create(uint32_t id, uint32_t mem, uint64_t size, uint32_t n)
{
	return gpu_driver_create_blob(&hx.gpu, CTX,
		(struct gpu_driver_blob){.id = id,
			.mem = mem,
			.flags = 1,
			.size = size,
			.entries = n ? entries(pages, SIZE) : NULL,
			.n = n});
}

static void furnish(void)
{
	pages = guest_alloc(&hx.guest, SIZE, 4096);
	assert_ack(gpu_driver_ctx_create(&hx.gpu, CTX));
	assert_ack(create(BLOB, GUEST, SIZE, 1));
	assert_ack(gpu_driver_create_2d(&hx.gpu, FLAT, FORMAT, SIDE, SIDE));
}

static int show(uint32_t scanout, uint32_t id, struct virtio_gpu_rect r, struct gpu_driver_layout l)
{
	return gpu_driver_set_scanout_blob(&hx.gpu, scanout, id, r, l);
}

#define ALL GPU_RECT(0, 0, SIDE, SIDE)
static const struct gpu_driver_layout fits = {SIDE, SIDE, FORMAT, SIDE * 4, 0};

/* What was there is there still, and is shown. */
static void expect_furniture(void)
{
	assert_ack(show(0, BLOB, ALL, fits));
	assert_ack(gpu_driver_flush(&hx.gpu, BLOB, ALL));
	assert_ack(gpu_driver_unref(&hx.gpu, BLOB));
	assert_ack(gpu_driver_unref(&hx.gpu, FLAT));
	assert_ack(gpu_driver_ctx_destroy(&hx.gpu, CTX));
}

/* ---- wrong ones are not made ---- */

static const struct made {
	const char *name;
	uint32_t id, ctx, mem, flags, n;
	uint64_t size, at;
	uint32_t len;
	int answer;
} wrong_blobs[] = {
	{"a blob of id 0", 0, 0, GUEST, 0, 1, SIZE, 0, SIZE, NO_RESOURCE},
	{"a blob of an id in use", BLOB, 0, GUEST, 0, 1, SIZE, 0, SIZE, NO_RESOURCE},
	{"a blob of a 2D id", FLAT, 0, GUEST, 0, 1, SIZE, 0, SIZE, NO_RESOURCE},
	{"a blob of no memory", 9, 0, 0, 0, 1, SIZE, 0, SIZE, PARAMETER},
	{"a blob of unknown memory", 9, 0, 4, 0, 1, SIZE, 0, SIZE, PARAMETER},
	{"a blob of memory 2^32 - 1", 9, 0, ~0u, 0, 1, SIZE, 0, SIZE, PARAMETER},
	{"a blob of unknown use", 9, 0, GUEST, 8, 1, SIZE, 0, SIZE, PARAMETER},
	{"a blob of size 0", 9, 0, GUEST, 0, 1, 0, 0, SIZE, PARAMETER},
	{"a blob of no pages", 9, 0, GUEST, 0, 0, SIZE, 0, 0, PARAMETER},
	{"a blob of too few pages", 9, 0, GUEST, 0, 1, SIZE + 1, 0, SIZE, PARAMETER},
	{"a blob of 2^64 - 1 bytes", 9, 0, GUEST, 0, 1, UINT64_MAX, 0, SIZE, PARAMETER},
	{"a blob of pages that are not there", 9, 0, GUEST, 0, 1, SIZE, NO_GPA, SIZE, PARAMETER},
	{"a blob whose list is not all there", 9, 0, GUEST, 0, 3, SIZE, 0, SIZE, PARAMETER},
	{"a blob of 2^32 - 1 pages", 9, 0, GUEST, 0, ~0u, SIZE, 0, SIZE, PARAMETER},
	{"a host's blob in context 0", 9, 0, HOST, 1, 0, SIZE, 0, 0, NO_CONTEXT},
	{"a host's blob in no context", 9, 77, HOST, 1, 0, SIZE, 0, 0, NO_CONTEXT},
	{"a host's blob with pages", 9, CTX, HOST, 1, 1, SIZE, 0, SIZE, PARAMETER},
	{"a host's blob beyond the budget", 9, CTX, HOST, 1, 0, 65ull << 20, 0, 0, NO_MEMORY},
	{"a host's blob of 2^64 - 1 bytes", 9, CTX, HOST, 1, 0, UINT64_MAX, 0, 0, NO_MEMORY},
	{"a blob of both with too few pages", 9, CTX, BOTH, 1, 1, SIZE + 1, 0, SIZE, PARAMETER},
};

static void not_made(const void *arg)
{
	const struct made *w = arg;
	struct gpu_driver_blob b = {.id = w->id,
		.mem = w->mem,
		.flags = w->flags,
		.size = w->size,
		.n = w->n > 2 ? 2 : w->n};
	struct virtio_gpu_resource_create_blob m = {
		.hdr = {.type = htole32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB)},
		.resource_id = htole32(w->id),
		.blob_mem = htole32(w->mem),
		.nr_entries = htole32(w->n),
		.size = htole64(w->size)};

	furnish();
	b.entries = entries(w->at, w->len);
	if (w->n > 2)
		assert_int_equal(gpu_driver_run(&hx.gpu, &m, sizeof(m)), w->answer);
	else
		assert_int_equal(gpu_driver_create_blob(&hx.gpu, w->ctx, b), w->answer);
	if (w->id == 9)
		assert_int_equal(gpu_driver_unref(&hx.gpu, 9), NO_RESOURCE);
	expect_furniture();
}

/* ---- nor shown ---- */

static const struct shown {
	const char *name;
	uint32_t scanout, id;
	struct virtio_gpu_rect r;
	struct gpu_driver_layout l;
	int answer;
} wrong_views[] = {
	{"a blob on no scanout", 16, BLOB, ALL, {SIDE, SIDE, FORMAT, 128, 0}, NO_SCANOUT},
	{"no blob on a scanout", 0, 77, ALL, {SIDE, SIDE, FORMAT, 128, 0}, NO_RESOURCE},
	{"what is no blob, as one", 0, FLAT, ALL, {SIDE, SIDE, FORMAT, 128, 0}, NO_RESOURCE},
	{"a blob of no format", 0, BLOB, ALL, {SIDE, SIDE, 0, 128, 0}, PARAMETER},
	{"a blob of no width", 0, BLOB, ALL, {0, SIDE, FORMAT, 128, 0}, PARAMETER},
	{"a blob of no height", 0, BLOB, ALL, {SIDE, 0, FORMAT, 128, 0}, PARAMETER},
	{"a blob with rows in rows", 0, BLOB, ALL, {SIDE, SIDE, FORMAT, 127, 0}, PARAMETER},
	{"a blob with rows of 0", 0, BLOB, ALL, {SIDE, SIDE, FORMAT, 0, 0}, PARAMETER},
	{"a blob that ends too soon", 0, BLOB, ALL, {SIDE, SIDE, FORMAT, 128, 4097}, PARAMETER},
	{"a blob from its end", 0, BLOB, ALL, {SIDE, SIDE, FORMAT, 128, SIZE}, PARAMETER},
	{"a blob from 2^32 - 1", 0, BLOB, ALL, {SIDE, SIDE, FORMAT, 128, ~0u}, PARAMETER},
	{"a blob with rows of 2^32 - 1", 0, BLOB, ALL, {SIDE, SIDE, FORMAT, ~0u, 0}, PARAMETER},
	{"a blob of 2^32 - 1 rows", 0, BLOB, ALL, {SIDE, ~0u, FORMAT, 128, 0}, PARAMETER},
	{"a blob of 16385 rows", 0, BLOB, ALL, {1, 16385, FORMAT, 4, 0}, PARAMETER},
	{"a part that is not all in a blob", 0, BLOB, {1, 0, SIDE, SIDE},
		{SIDE, SIDE, FORMAT, 128, 0}, PARAMETER},
	{"a part of nothing of a blob", 0, BLOB, {0, 0, 0, 0}, {SIDE, SIDE, FORMAT, 128, 0},
		PARAMETER},
};

static void not_shown(const void *arg)
{
	const struct shown *w = arg;

	furnish();
	assert_int_equal(show(w->scanout, w->id, w->r, w->l), w->answer);
	assert_ack(show(0, BLOB, ALL, fits));
	assert_int_equal(show(w->scanout, w->id, w->r, w->l), w->answer);
	expect_furniture();
}

/* ---- at the wrong time ---- */

/* A blob has the pages that it has, and no measures but those of a scanout. */
static void as_a_picture(const void *arg)
{
	(void)arg;
	furnish();
	assert_int_equal(gpu_driver_set_scanout(&hx.gpu, 0, BLOB, ALL), NO_RESOURCE);
	assert_int_equal(gpu_driver_attach(&hx.gpu, BLOB, entries(pages, SIZE), 1), UNSPEC);
	assert_int_equal(gpu_driver_detach(&hx.gpu, BLOB), NO_RESOURCE);
	assert_ack(gpu_driver_flush(&hx.gpu, BLOB, ALL)); // shown nowhere
	assert_ack(show(0, BLOB, ALL, fits));
	assert_int_equal(gpu_driver_flush(&hx.gpu, BLOB, GPU_RECT(1, 0, SIDE, SIDE)), PARAMETER);
	assert_int_equal(gpu_driver_map_blob(&hx.gpu, BLOB, 0), NO_RESOURCE);
	assert_int_equal(gpu_driver_unmap_blob(&hx.gpu, BLOB), UNSPEC);
	assert_int_equal(gpu_driver_unmap_blob(&hx.gpu, FLAT), NO_RESOURCE);
	expect_furniture();
}

static void small_cursor(const void *arg)
{
	struct virtio_gpu_update_cursor c = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_UPDATE_CURSOR), .resource_id = htole32(BLOB)};
	int ticket;

	(void)arg;
	furnish();
	ticket = gpu_driver_submit(&hx.gpu, CURSOR, &c, sizeof(c), 64);
	assert_true(ticket >= 0);
	assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), PARAMETER);
	expect_furniture();
}

/* The pages of what is shown go away under the daemon: with their file, and with their region. */
static void pages_go(const void *arg)
{
	struct guest_region *r = &hx.guest.regions[LEFT_REGION];

	(void)arg;
	furnish();
	pages = LEFT_GPA;
	assert_ack(create(9, GUEST, SIZE, 1));
	assert_ack(show(0, 9, ALL, fits));
	assert_ack(gpu_driver_flush(&hx.gpu, 9, ALL));
	if (arg) {
		assert_ok(frontend_remove_region(&hx.fe, r));
		assert_ack(gpu_driver_flush(&hx.gpu, 9, ALL));
		assert_int_equal(gpu_driver_set_scanout_blob(&hx.gpu, 0, 9, GPU_RECT(0, 0, SIDE, 1),
					 (struct gpu_driver_layout){SIDE, 1, FORMAT, 128, 0}),
			UNSPEC);
		assert_ok(frontend_add_region(&hx.fe, r));
	} else {
		assert_ok(ftruncate(r->fd, (off_t)r->mmap_offset));
		assert_ack(gpu_driver_flush(&hx.gpu, 9, ALL)); // of nothing; the display goes on
		assert_ack(show(0, BLOB, ALL, fits));
		assert_ack(gpu_driver_flush(&hx.gpu, BLOB, ALL));
	}
	assert_ack(gpu_driver_unref(&hx.gpu, 9));
	assert_ack(gpu_driver_unref(&hx.gpu, BLOB));
}

static void left_behind(const void *arg)
{
	int r;

	(void)arg;
	furnish();
	assert_ack(show(0, BLOB, ALL, fits));
	r = create(5, HOST, SIZE, 0); // the stand-in makes it, virglrenderer knows no such object
	assert_true(r == OK || r == PARAMETER);
}

static const struct hostile_case plain[] = {
	{"a blob as a picture", SHOWING, as_a_picture, NULL, args},
	{"a cursor in a blob that is too small", SHOWING, small_cursor, NULL, args},
	{"a blob whose file is cut off", SHOWING, pages_go, NULL, args},
	{"a blob whose region goes", SHOWING, pages_go, args, args},
	{"a front-end that leaves blobs behind", SHOWING, left_behind, NULL, args},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	for (size_t i = 0; i < COUNT(wrong_blobs); i++) {
		struct hostile_case c = {
			wrong_blobs[i].name, RUNNING, not_made, &wrong_blobs[i], args};

		hostile_add(&list, &c, 1);
	}
	for (size_t i = 0; i < COUNT(wrong_views); i++) {
		struct hostile_case c = {
			wrong_views[i].name, SHOWING, not_shown, &wrong_views[i], args};

		hostile_add(&list, &c, 1);
	}
	return hostile_main(argc, argv, list.cases, list.n);
}
