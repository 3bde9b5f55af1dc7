/* SPDX-License-Identifier: MIT */
/* Commands of 3D that name what is not there, or are of the wrong size, place or time. */
#include "on_gpu.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "driver/gpu_3d.h"

#define OK          VIRTIO_GPU_RESP_OK_NODATA
#define UNSPEC      VIRTIO_GPU_RESP_ERR_UNSPEC
#define NO_MEMORY   VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define NO_RESOURCE VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
#define NO_CONTEXT  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
#define PARAMETER   VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define FORMAT      VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM

enum { CTX = 1, PICTURE = 1, FLAT = 2, BARE = 3, BUFFER = 4, SIDE = 64, STREAM_MAX = 4 << 20 };

static const char *const args[] = {"--virgl", "--max-hostmem=64M", NULL};

#define FENCE 0x1122334455667788

static int run(const void *bytes, size_t len)
{
	return gpu_driver_run(&hx.gpu, bytes, len);
}

static void back(uint32_t id)
{
	const struct virtio_gpu_mem_entry e = {
		.addr = htole64(guest_alloc(&hx.guest, SIDE * SIDE * 4, 4096)),
		.length = htole32(SIDE * SIDE * 4)};

	assert_ack(gpu_driver_attach(&hx.gpu, id, &e, 1));
}

/* A context, and one resource of each kind. */
static void furnish(void)
{
	struct gpu_driver_texture buffer = VIRGL_PICTURE(64, 4096, 1);

	buffer.target = 0;
	buffer.bind = 1 << 4;
	assert_ack(gpu_driver_ctx_create(&hx.gpu, CTX));
	assert_ack(gpu_driver_create_3d(&hx.gpu, PICTURE, VIRGL_PICTURE(FORMAT, SIDE, SIDE)));
	back(PICTURE);
	assert_ack(gpu_driver_ctx_attach(&hx.gpu, CTX, PICTURE));
	assert_ack(gpu_driver_create_2d(&hx.gpu, FLAT, FORMAT, SIDE, SIDE));
	assert_ack(gpu_driver_create_3d(&hx.gpu, BARE, VIRGL_PICTURE(FORMAT, SIDE, SIDE)));
	assert_ack(gpu_driver_create_3d(&hx.gpu, BUFFER, buffer));
}

/* What was there is there still, and works. */
static void expect_furniture(void)
{
	assert_ack(gpu_driver_transfer_3d(&hx.gpu, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, CTX, PICTURE,
		GPU_RECT(0, 0, SIDE, SIDE)));
	for (uint32_t id = PICTURE; id <= BUFFER; id++)
		assert_ack(gpu_driver_unref(&hx.gpu, id));
	assert_ack(gpu_driver_ctx_destroy(&hx.gpu, CTX));
}

/* ---- one wrong command each ---- */

struct wrong {
	const char *name;
	uint32_t type, ctx;
	uint32_t words[20]; // behind the header
	int answer;
};

#define CREATE  VIRTIO_GPU_CMD_RESOURCE_CREATE_3D
#define TO      VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D
#define FROM    VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D
#define ATTACH  VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE
#define DETACH  VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE
#define SUBMIT  VIRTIO_GPU_CMD_SUBMIT_3D
#define HUGE_32 (~0u)

static const struct wrong wrongs[] = {
	{"a context 0", VIRTIO_GPU_CMD_CTX_CREATE, 0, {0}, NO_CONTEXT},
	{"a context that is there", VIRTIO_GPU_CMD_CTX_CREATE, CTX, {0}, NO_CONTEXT},
	{"the end of a context 0", VIRTIO_GPU_CMD_CTX_DESTROY, 0, {0}, NO_CONTEXT},
	{"the end of no context", VIRTIO_GPU_CMD_CTX_DESTROY, 77, {0}, NO_CONTEXT},
	{"no context gets a resource", ATTACH, 77, {PICTURE}, NO_CONTEXT},
	{"a context gets no resource", ATTACH, CTX, {77}, NO_RESOURCE},
	{"a context gets resource 0", ATTACH, CTX, {0}, NO_RESOURCE},
	{"no context loses a resource", DETACH, 77, {PICTURE}, OK}, // as Linux does it at each boot
	{"a context loses no resource", DETACH, CTX, {77}, NO_RESOURCE},
	{"a context loses a resource that it never had", DETACH, CTX, {FLAT}, OK},
	{"a capset behind the last", VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0, {8}, PARAMETER},
	{"a capset of 2^32 - 1", VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0, {HUGE_32}, PARAMETER},
	{"an unknown capset", VIRTIO_GPU_CMD_GET_CAPSET, 0, {99, 0}, PARAMETER},
	{"a capset 0", VIRTIO_GPU_CMD_GET_CAPSET, 0, {0, 0}, PARAMETER},
	{"a capset's version beyond all", VIRTIO_GPU_CMD_GET_CAPSET, 0, {2, HUGE_32}, PARAMETER},

	{"a texture of id 0", CREATE, 0, {0, 2, 2, 2, 8, 8, 1, 1}, NO_RESOURCE},
	{"a texture of an id in use", CREATE, 0, {PICTURE, 2, 2, 2, 8, 8, 1, 1}, NO_RESOURCE},
	{"a texture of a 2D id", CREATE, 0, {FLAT, 2, 2, 2, 8, 8, 1, 1}, NO_RESOURCE},
	{"a texture of no target", CREATE, 0, {9, 9, 2, 2, 8, 8, 1, 1}, PARAMETER},
	{"a texture of no format", CREATE, 0, {9, 2, 512, 2, 8, 8, 1, 1}, PARAMETER},
	{"a texture of width 0", CREATE, 0, {9, 2, 2, 2, 0, 8, 1, 1}, PARAMETER},
	{"a texture of height 0", CREATE, 0, {9, 2, 2, 2, 8, 0, 1, 1}, PARAMETER},
	{"a texture of depth 0", CREATE, 0, {9, 2, 2, 2, 8, 8, 0, 1}, PARAMETER},
	{"a texture that is too wide", CREATE, 0, {9, 2, 2, 2, 16385, 8, 1, 1}, PARAMETER},
	{"a texture that is too high", CREATE, 0, {9, 2, 2, 2, 8, 16385, 1, 1}, PARAMETER},
	{"a texture that is too deep", CREATE, 0, {9, 3, 2, 2, 8, 8, 2049, 1}, PARAMETER},
	{"a texture of too many layers", CREATE, 0, {9, 7, 2, 2, 8, 8, 1, 2049}, PARAMETER},
	{"a texture of too many levels", CREATE, 0, {9, 2, 2, 2, 8, 8, 1, 1, 15}, PARAMETER},
	{"a texture of too many samples", CREATE, 0, {9, 2, 2, 2, 8, 8, 1, 1, 0, 33}, PARAMETER},
	{"a texture of 2^32 - 1 of all", CREATE, 0,
		{9, 2, 2, 2, HUGE_32, HUGE_32, HUGE_32, HUGE_32, HUGE_32, HUGE_32, HUGE_32},
		PARAMETER},
	{"a texture beyond the budget", CREATE, 0, {9, 2, 2, 2, 16384, 16384, 1, 1}, NO_MEMORY},
	{"textures in layers beyond the budget", CREATE, 0, {9, 7, 2, 2, 1024, 1024, 1, 2048},
		NO_MEMORY},
	{"a buffer beyond the budget", CREATE, 0, {9, 0, 64, 16, HUGE_32, 1, 1, 1}, NO_MEMORY},
	{"a buffer with height", CREATE, 0, {9, 0, 64, 16, 8, 2, 1, 1}, PARAMETER},
	{"a buffer with layers", CREATE, 0, {9, 0, 64, 16, 8, 1, 1, 2}, PARAMETER},

	/* x y z w h d, offset, id, level, stride, layer's stride */
	{"a transfer in no context", TO, 77, {0, 0, 0, 8, 8, 1, 0, 0, PICTURE}, NO_CONTEXT},
	{"a transfer to no resource", TO, CTX, {0, 0, 0, 8, 8, 1, 0, 0, 77}, NO_RESOURCE},
	{"a 3D transfer to a 2D resource", TO, CTX, {0, 0, 0, 8, 8, 1, 0, 0, FLAT}, NO_RESOURCE},
	{"a transfer from a 2D resource", FROM, CTX, {0, 0, 0, 8, 8, 1, 0, 0, FLAT}, NO_RESOURCE},
	{"a transfer without pages", TO, CTX, {0, 0, 0, 8, 8, 1, 0, 0, BARE}, UNSPEC},
	{"a transfer without pages to go to", FROM, CTX, {0, 0, 0, 8, 8, 1, 0, 0, BARE}, UNSPEC},
	{"a transfer of no width", TO, CTX, {0, 0, 0, 0, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer of no height", TO, CTX, {0, 0, 0, 8, 0, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer of no depth", TO, CTX, {0, 0, 0, 8, 8, 0, 0, 0, PICTURE}, PARAMETER},
	{"a transfer that is too wide", TO, CTX, {57, 0, 0, 8, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer that is too high", TO, CTX, {0, 57, 0, 8, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer of the second slice", TO, CTX, {0, 0, 1, 8, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer whose x wraps", TO, CTX, {HUGE_32, 0, 0, 8, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer whose y wraps", FROM, CTX, {0, HUGE_32, 0, 8, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer whose z wraps", TO, CTX, {0, 0, HUGE_32, 8, 8, 1, 0, 0, PICTURE}, PARAMETER},
	{"a transfer of no level", TO, CTX, {0, 0, 0, 8, 8, 1, 0, 0, PICTURE, 1}, PARAMETER},
	{"a transfer of level 2^32 - 1", TO, CTX, {0, 0, 0, 1, 1, 1, 0, 0, PICTURE, HUGE_32},
		PARAMETER},
	{"a transfer behind its pages", TO, CTX, {0, 0, 0, 8, 8, 1, 16384, 0, PICTURE}, PARAMETER},
	{"a transfer from 2^64 - 1", FROM, CTX, {0, 0, 0, 8, 8, 1, HUGE_32, HUGE_32, PICTURE},
		PARAMETER},

	{"a stream in no context", SUBMIT, 77, {8, 0, 0, 0}, NO_CONTEXT},
	{"a stream in context 0", SUBMIT, 0, {8, 0, 0, 0}, NO_CONTEXT},
	{"a stream of 3 bytes", SUBMIT, CTX, {3}, PARAMETER},
	{"a stream of 5 bytes", SUBMIT, CTX, {5}, PARAMETER},
	{"a stream that is not all there", SUBMIT, CTX, {84}, PARAMETER},
	{"a stream of 4 GiB - 1", SUBMIT, CTX, {HUGE_32}, PARAMETER},
	{"a stream of 4 GiB - 4", SUBMIT, CTX, {HUGE_32 - 3}, PARAMETER},
	{"a stream of nothing", SUBMIT, CTX, {0}, OK},
};

static void wrong(const void *arg)
{
	const struct wrong *w = arg;
	struct {
		struct virtio_gpu_ctrl_hdr h;
		uint32_t words[20];
	} m = {.h = {.type = htole32(w->type), .ctx_id = htole32(w->ctx)}};

	furnish();
	for (size_t i = 0; i < COUNT(w->words); i++)
		m.words[i] = htole32(w->words[i]);
	assert_int_equal(run(&m, sizeof(m)), w->answer);
	m.h.flags = htole32(VIRTIO_GPU_FLAG_FENCE); // which every answer has
	m.h.fence_id = htole64(FENCE);
	assert_int_equal(run(&m, sizeof(m)), w->answer);
	expect_furniture();
}

/* ---- sizes ---- */

static const struct {
	uint32_t type, size;
} shapes[] = {
	{VIRTIO_GPU_CMD_GET_CAPSET_INFO, sizeof(struct virtio_gpu_get_capset_info)},
	{VIRTIO_GPU_CMD_GET_CAPSET, sizeof(struct virtio_gpu_get_capset)},
	{VIRTIO_GPU_CMD_CTX_CREATE, sizeof(struct virtio_gpu_ctx_create)},
	{VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, sizeof(struct virtio_gpu_ctx_resource)},
	{VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, sizeof(struct virtio_gpu_ctx_resource)},
	{CREATE, sizeof(struct virtio_gpu_resource_create_3d)},
	{TO, sizeof(struct virtio_gpu_transfer_host_3d)},
	{FROM, sizeof(struct virtio_gpu_transfer_host_3d)},
	{SUBMIT, sizeof(struct virtio_gpu_cmd_submit)},
};

static void too_short(const void *arg)
{
	uint8_t bytes[256] = {0};

	(void)arg;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		memcpy(bytes, &shapes[i].type, 4);
		for (uint32_t len = 0; len < shapes[i].size; len++)
			assert_int_equal(run(bytes, len), UNSPEC);
	}
}

static void wrong_queue(const void *arg)
{
	uint8_t bytes[256] = {0};

	(void)arg;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		int ticket;

		memcpy(bytes, &shapes[i].type, 4);
		ticket = gpu_driver_submit(&hx.gpu, CURSOR, bytes, sizeof(bytes), 4096);
		assert_true(ticket >= 0);
		assert_int_equal(gpu_driver_collect(&hx.gpu, ticket), UNSPEC);
	}
}

/* An answer that has no room, or not enough, is cut, and the command is done all the same. */
static void little_room(const void *arg)
{
	(void)arg;
	furnish();
	for (hx.gpu.resp_cap = 0; hx.gpu.resp_cap < 24; hx.gpu.resp_cap += 5) {
		int none = hx.gpu.resp_cap ? -EBADMSG : 0;

		assert_int_equal(gpu_driver_ctx_create(&hx.gpu, 9), none);
		assert_int_equal(gpu_driver_capset(&hx.gpu, 2, 1), none);
		assert_int_equal(gpu_driver_submit_3d(&hx.gpu, CTX, NULL, 0), none);
		assert_int_equal(gpu_driver_ctx_destroy(&hx.gpu, 9), none);
	}
	hx.gpu.resp_cap = 4096;
	assert_int_equal(gpu_driver_ctx_destroy(&hx.gpu, 9), NO_CONTEXT);
	expect_furniture();
}

/* Of the largest size, and larger: the same descriptors, by another table. */
static void long_streams(const void *arg)
{
	static uint32_t words[STREAM_MAX / 4 + 1];

	(void)arg;
	furnish();
	assert_ack(gpu_driver_submit_3d(&hx.gpu, CTX, words, STREAM_MAX / 4));
	assert_int_equal(gpu_driver_submit_3d(&hx.gpu, CTX, words, STREAM_MAX / 4 + 1), PARAMETER);
	expect_furniture();
}

static void many_contexts(const void *arg)
{
	(void)arg;
	for (uint32_t i = 1; i <= 40; i++)
		assert_ack(gpu_driver_ctx_create(&hx.gpu, i * 0x01010101));
	for (uint32_t i = 1; i <= 40; i++)
		assert_int_equal(gpu_driver_ctx_create(&hx.gpu, i * 0x01010101), NO_CONTEXT);
	for (uint32_t i = 40; i >= 1; i--)
		assert_ack(gpu_driver_ctx_destroy(&hx.gpu, i * 0x01010101));
}

/* ---- at the wrong time ---- */

static void shown_and_gone(const void *arg)
{
	const struct virtio_gpu_rect all = GPU_RECT(0, 0, SIDE, SIDE);

	(void)arg;
	furnish();
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, PICTURE, all));
	assert_ack(gpu_driver_flush(&hx.gpu, PICTURE, all));
	assert_int_equal(
		gpu_driver_set_scanout(&hx.gpu, 0, PICTURE, GPU_RECT(1, 0, SIDE, SIDE)), PARAMETER);
	assert_int_equal(gpu_driver_flush(&hx.gpu, PICTURE, GPU_RECT(0, 1, SIDE, SIDE)), PARAMETER);
	assert_int_equal(
		gpu_driver_set_scanout(&hx.gpu, 1, BUFFER, GPU_RECT(0, 0, 8, 1)), PARAMETER);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 1, BARE, all)); // nothing was drawn yet
	assert_ack(gpu_driver_flush(&hx.gpu, BARE, all));
	assert_ack(gpu_driver_flush(&hx.gpu, BUFFER, GPU_RECT(0, 0, 8, 1)));
	expect_furniture();
	assert_int_equal(gpu_driver_flush(&hx.gpu, PICTURE, all), NO_RESOURCE);
}

static void pages_twice(const void *arg)
{
	const struct virtio_gpu_mem_entry e = {.addr = 0, .length = htole32(4096)};
	const struct virtio_gpu_mem_entry far = {.addr = htole64(NO_GPA), .length = htole32(4096)};

	(void)arg;
	furnish();
	assert_int_equal(gpu_driver_attach(&hx.gpu, PICTURE, &e, 1), UNSPEC);
	assert_int_equal(gpu_driver_attach(&hx.gpu, BARE, &far, 1), PARAMETER);
	assert_ack(gpu_driver_attach(&hx.gpu, BARE, &e, 1));
	assert_ack(gpu_driver_detach(&hx.gpu, BARE));
	assert_ack(gpu_driver_detach(&hx.gpu, BARE));
	assert_ack(gpu_driver_attach(&hx.gpu, BARE, NULL, 0));
	expect_furniture();
}

/* The front-end leaves all of it behind. */
static void left_behind(const void *arg)
{
	(void)arg;
	furnish();
}

static const struct hostile_case plain[] = {
	{"3D commands that are too short", RUNNING, too_short, NULL, args},
	{"3D commands on the cursor's ring", RUNNING, wrong_queue, NULL, args},
	{"little room for an answer", RUNNING, little_room, NULL, args},
	{"streams of the largest size", RUNNING, long_streams, NULL, args},
	{"many contexts", RUNNING, many_contexts, NULL, args},
	{"textures that are shown and go", SHOWING, shown_and_gone, NULL, args},
	{"pages twice, and nowhere", RUNNING, pages_twice, NULL, args},
	{"a front-end that leaves contexts behind", RUNNING, left_behind, NULL, args},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	for (size_t i = 0; i < COUNT(wrongs); i++) {
		struct hostile_case c = {wrongs[i].name, RUNNING, wrong, &wrongs[i], args};

		hostile_add(&list, &c, 1);
	}
	return hostile_main(argc, argv, list.cases, list.n);
}
