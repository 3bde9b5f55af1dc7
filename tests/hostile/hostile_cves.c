/* SPDX-License-Identifier: MIT */
/*
 * What once broke another virtio-gpu or the library that draws: each by its number or by what it does,
 * as a guest says it. The renderer may die of a stream, where its version still has the fault. The
 * device goes on: each command is answered once, 2D works, and a new context draws.
 */
#include "on_gpu.h"

#include <endian.h>
#include <string.h>

#include "driver/gpu_3d.h"

#define OK        VIRTIO_GPU_RESP_OK_NODATA
#define NO_MEMORY VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
#define PARAMETER VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define UNSPEC    VIRTIO_GPU_RESP_ERR_UNSPEC
#define FORMAT    VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define TO        VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D
#define FROM      VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D

enum { CTX = 1, PICTURE = 1, BUFFER = 2, LAYERS = 3, SIDE = 64, BYTES = SIDE * SIDE * 4 };
enum { R8 = 64, BIND_VERTEX = 1 << 4, BIND_CUSTOM = 1 << 17, ARRAY_2D = 7, HUGE_32 = -1 };

static const char *const args[] = {"--virgl", "--max-hostmem=64M", NULL};

/* Words of virgl's streams. */
#define WORD(command, object, len) ((uint32_t)(len) << 16 | (uint32_t)(object) << 8 | (command))
enum virgl {
	CREATE = 1,
	BIND,
	DESTROY,
	FRAMEBUFFER = 5,
	VERTEX_BUFFERS,
	CLEAR,
	DRAW,
	INLINE_WRITE,
	SAMPLER_VIEWS,
	INDEX_BUFFER,
	CONSTANTS,
	BLIT = 16,
	COPY_REGION,
	BEGIN_QUERY = 19,
	END_QUERY,
	QUERY_RESULT,
	STREAMOUT = 25,
	SUB_CONTEXT = 28,
	BIND_SHADER = 31,
	SHADER_BUFFERS = 34,
	SHADER_IMAGES,
	LAUNCH_GRID = 37,
	ATOMICS = 40,
	TRANSFER = 43,
	COPY_TRANSFER = 45,
	CLEAR_TEXTURE = 47,
	RESOURCE_CREATE,
};
enum { SURFACE = 8, SAMPLER_VIEW = 6, QUERY = 9, SHADER = 4, VERTEX_ELEMENTS = 5 };

static int run(const void *bytes, size_t len)
{
	return gpu_driver_run(&hx.gpu, bytes, len);
}

static uint64_t back(uint32_t id)
{
	const uint64_t gpa = guest_alloc(&hx.guest, BYTES, 4096);
	const struct virtio_gpu_mem_entry e = {.addr = htole64(gpa), .length = htole32(BYTES)};

	assert_ack(gpu_driver_attach(&hx.gpu, id, &e, 1));
	return gpa;
}

static struct gpu_driver_texture texture(uint32_t target, uint32_t format, uint32_t width)
{
	struct gpu_driver_texture t = VIRGL_PICTURE(format, width, target ? SIDE : 1);

	t.target = target;
	if (!target)
		t.bind = BIND_VERTEX;
	if (target == ARRAY_2D)
		t.array_size = 2;
	return t;
}

/* A context with a picture, a buffer and a picture of two layers. */
static void furnish(void)
{
	assert_ack(gpu_driver_ctx_create(&hx.gpu, CTX));
	assert_ack(gpu_driver_create_3d(&hx.gpu, PICTURE, texture(VIRGL_2D, FORMAT, SIDE)));
	assert_ack(gpu_driver_create_3d(&hx.gpu, BUFFER, texture(0, R8, 4096)));
	assert_ack(gpu_driver_create_3d(&hx.gpu, LAYERS, texture(ARRAY_2D, FORMAT, SIDE)));
	for (uint32_t id = PICTURE; id <= LAYERS; id++) {
		back(id);
		assert_ack(gpu_driver_ctx_attach(&hx.gpu, CTX, id));
	}
}

/* As soon as there is one, if the last one died: a new context, which draws. */
static void draws_again(void)
{
	uint32_t words[VIRGL_CLEAR_WORDS], n = virgl_clear(words, 9, FORMAT, 0x123456);
	int64_t deadline = wait_deadline(WAIT_DEFAULT);

	expect_rings_work();
	while (gpu_driver_ctx_create(&hx.gpu, 9) != OK && wait_left(deadline))
		;
	assert_ack(gpu_driver_create_3d(&hx.gpu, 9, texture(VIRGL_2D, FORMAT, SIDE)));
	assert_ack(gpu_driver_ctx_attach(&hx.gpu, 9, 9));
	assert_ack(gpu_driver_submit_3d(&hx.gpu, 9, words, n));
	assert_ack(gpu_driver_unref(&hx.gpu, 9));
	assert_ack(gpu_driver_ctx_destroy(&hx.gpu, 9));
	for (uint32_t id = PICTURE; id <= LAYERS; id++)
		gpu_driver_unref(&hx.gpu, id);
	assert_ack(gpu_driver_ctx_destroy(&hx.gpu, CTX));
}

/* ---- streams, to the library ---- */

struct stream {
	const char *name;
	uint32_t words[40]; // up to the first of 0
};

static const struct stream streams[] = {
	{"CVE-2019-18388: a blit of a resource that is not there",
		{WORD(BLIT, 0, 21), 0, 0, 0, 77, 0, FORMAT, 0, 0, 0, 8, 8, 1, 78, 0, FORMAT, 0, 0,
			0, 8, 8, 1}},
	{"CVE-2019-18388: a draw without anything",
		{WORD(DRAW, 0, 12), 0, 3, 4, 0, 1, 0, 0, 0, 0, 0, 3, 0}},
	{"CVE-2019-18388: a framebuffer of surfaces that are not there",
		{WORD(FRAMEBUFFER, 0, 3), 1, 88, 77, WORD(CLEAR, 0, 8), 4, 1, 1, 1, 1, 1, 1, 1}},
	{"CVE-2019-18389: an inline write behind a texture",
		{WORD(INLINE_WRITE, 0, 12), PICTURE, 0, 0, 256, 0, SIDE - 1, SIDE - 1, 0, SIDE,
			SIDE, 1, 0x41414141}},
	{"CVE-2019-18389: an inline write behind a buffer",
		{WORD(INLINE_WRITE, 0, 13), BUFFER, 0, 0, 0, 0, 4092, 0, 0, 4096, 1, 1, 0x41414141,
			0x41414141}},
	{"CVE-2019-18391: an inline write with less bytes than it says",
		{WORD(INLINE_WRITE, 0, 12), PICTURE, 0, 0, 256, 0, 0, 0, 0, SIDE, SIDE, 1, 1}},
	{"CVE-2019-18391: an inline write of a huge stride",
		{WORD(INLINE_WRITE, 0, 12), PICTURE, 0, 0, 0x7ffffffc, 0xfffffffc, 0, 0, 0, 2, 2, 1,
			1}},
	{"CVE-2019-18390: a blit of formats that are not there",
		{WORD(BLIT, 0, 21), 0, 0, 0, PICTURE, 0, 0x7fffffff, 0, 0, 0, 8, 8, 1, PICTURE, 0,
			0xfffffff0, 0, 0, 0, 8, 8, 1}},
	{"CVE-2019-18390: a blit of boxes and levels that are not there",
		{WORD(BLIT, 0, 21), 0, 0, 0, PICTURE, 99, FORMAT, 0x80000000, 0x7fffffff, 99,
			0xffffffff, 0x80000000, 99, LAYERS, 99, FORMAT, 0x7fffffff, 0x80000000, 99,
			0xffffffff, 0x80000000, 99}},
	{"CVE-2020-8002: a grid without a compute shader",
		{WORD(LAUNCH_GRID, 0, 8), 1, 1, 1, 1, 1, 1}},
	{"CVE-2020-8002: a grid of 2^32 - 1",
		{WORD(LAUNCH_GRID, 0, 8), HUGE_32, HUGE_32, HUGE_32, HUGE_32, HUGE_32, HUGE_32,
			BUFFER, HUGE_32}},
	{"CVE-2022-0135: layers beyond the last",
		{WORD(TRANSFER, 0, 13), LAYERS, 0, 0, 256, BYTES, 0, 0, 1, SIDE, SIDE, 200, 0, 1,
			WORD(TRANSFER, 0, 13), LAYERS, 0, 0, 256, BYTES, 0, 0, 0x7fffffff, SIDE,
			SIDE, 2, 0, 2}},
	{"more shader images than there are places",
		{WORD(SHADER_IMAGES, 0, 7), 1, 40, FORMAT, 3, 0, 0, PICTURE,
			WORD(SHADER_IMAGES, 0, 7), 1, 0xfffffff0, FORMAT, 3, 0, 0, PICTURE}},
	{"more shader buffers than there are places",
		{WORD(SHADER_BUFFERS, 0, 5), 1, 40, 0, 64, BUFFER, WORD(SHADER_BUFFERS, 0, 5), 1,
			0xfffffff0, 0, 64, BUFFER}},
	{"more atomic buffers than there are places",
		{WORD(ATOMICS, 0, 4), 0xfffffff0, 0, 64, BUFFER, WORD(ATOMICS, 0, 4), 40, 0, 64,
			BUFFER}},
	{"constants of a shader that there is not",
		{WORD(CONSTANTS, 0, 4), 77, 0, 1, 2, WORD(CONSTANTS, 0, 3), HUGE_32, HUGE_32, 1}},
	{"sampler views behind the last place",
		{WORD(SAMPLER_VIEWS, 0, 3), 1, 200, 77, WORD(SAMPLER_VIEWS, 0, 3), 1, 0xffffffff,
			0}},
	{"vertices and indices of what is not there",
		{WORD(VERTEX_BUFFERS, 0, 3), 16, 0xfffffff0, BUFFER, WORD(INDEX_BUFFER, 0, 3),
			BUFFER, 3, 0xfffffff0, WORD(DRAW, 0, 12), 0xfffffff0, 0xfffffff0, 4, 1, 99,
			0, 0, 0, 0, 0, 3, 0}},
	{"a copy of regions that are not there",
		{WORD(COPY_REGION, 0, 13), PICTURE, 9, 0x7fffffff, 1, 1, LAYERS, 9, 0x80000000, 1,
			1, 0xffffffff, 0xffffffff, 0xffffffff}},
	{"a surface and a view of a buffer's end",
		{WORD(CREATE, SURFACE, 5), 50, BUFFER, R8, 0xffffffff, 0,
			WORD(CREATE, SAMPLER_VIEW, 6), 51, BUFFER, R8, 0xfffffff0, 0xffffffff, 0}},
	{"a shader that goes on in a stream that does not come",
		{WORD(CREATE, SHADER, 6), 60, 1, 0x7fffffff, 300, 0, 0x47415246,
			WORD(CREATE, SHADER, 6), 60, 1, 0x80000004, 300, 0, 0x47415246}},
	{"a query twice, and of nothing",
		{WORD(CREATE, QUERY, 4), 70, 0, 0, BUFFER, WORD(BEGIN_QUERY, 0, 1), 70,
			WORD(BEGIN_QUERY, 0, 1), 70, WORD(DESTROY, QUERY, 1), 70,
			WORD(END_QUERY, 0, 1), 70, WORD(QUERY_RESULT, 0, 2), 70, 1}},
	{"an object of another kind",
		{WORD(CREATE, SURFACE, 5), 80, PICTURE, FORMAT, 0, 0, WORD(BIND, 2, 1), 80,
			WORD(SAMPLER_VIEWS, 0, 3), 1, 0, 80, WORD(DESTROY, QUERY, 1), 80}},
	{"a stream's end in the middle of a command", {WORD(BLIT, 0, 21), 1, 2}},
	{"a copy by a transfer of what is not there",
		{WORD(COPY_TRANSFER, 0, 14), PICTURE, 0, 0, 256, 0, 0, 0, 0, SIDE, SIDE, 1, 77,
			0xfffffff0, 1}},
	{"a texture made by a stream, mapped for ever",
		{WORD(RESOURCE_CREATE, 0, 11), 0, R8, BIND_VERTEX, 4096, 1, 1, 1, 0, 0, 6, 500}},
	{"a clear of a texture's outside",
		{WORD(CLEAR_TEXTURE, 0, 12), PICTURE, 77, 0xffffffff, 1, 1, 0xffffffff, 9, 9, 1, 2,
			3, 4}},
	{"a stream out to what is not there", {WORD(STREAMOUT, 0, 3), 0, 77, 78}},
	{"a sub-context that there is not",
		{WORD(SUB_CONTEXT, 0, 1), 77, WORD(DRAW, 0, 12), 0, 3, 4}},
};

/* Words are counted by their headers: a stream may hold zeros, and end early. */
static uint32_t length_of(const struct stream *s)
{
	uint32_t n = 0;

	while (n < COUNT(s->words) && s->words[n])
		n += 1 + (s->words[n] >> 16);
	return n < COUNT(s->words) ? n : COUNT(s->words);
}

static void bad_stream(const void *arg)
{
	const struct stream *s = arg;
	uint32_t cut =
		!strcmp(s->name, "a stream's end in the middle of a command") ? 3 : length_of(s);

	furnish();
	assert_true(gpu_driver_submit_3d(&hx.gpu, CTX, s->words, cut) > 0);
	assert_true(
		gpu_driver_submit_3d(&hx.gpu, CTX, s->words, cut) > 0); // and what it left behind
	draws_again();
}

/* ---- commands, to us ---- */

/* CVE-2021-3544: of what is attached twice, or goes with its pages, something stayed. */
static void leaks(const void *arg)
{
	const struct virtio_gpu_mem_entry e = {.addr = 0, .length = htole32(4096)};
	int fds = child_count_fds(&hx.child);
	long rss = 0;

	(void)arg;
	assert_ack(gpu_driver_ctx_create(&hx.gpu, CTX));
	for (uint32_t i = 0; i < 1500; i++) {
		assert_ack(gpu_driver_create_3d(&hx.gpu, PICTURE, texture(VIRGL_2D, FORMAT, SIDE)));
		assert_ack(gpu_driver_attach(&hx.gpu, PICTURE, &e, 1));
		assert_int_equal(gpu_driver_attach(&hx.gpu, PICTURE, &e, 1), UNSPEC);
		assert_ack(gpu_driver_ctx_attach(&hx.gpu, CTX, PICTURE));
		if (i % 2)
			assert_ack(gpu_driver_detach(&hx.gpu, PICTURE));
		assert_ack(gpu_driver_unref(&hx.gpu, PICTURE));
		if (i == 500)
			rss = child_rss_kib(&hx.child);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 1024);
	assert_ack(gpu_driver_ctx_destroy(&hx.gpu, CTX));
	expect_fds(fds);
}

/* CVE-2021-3545: what was not filled in of an answer was the host's memory. */
static void discloses(const void *arg)
{
	struct virtio_gpu_resp_capset_info info;

	(void)arg;
	memset(&info, 0xa5, sizeof(info));
	assert_int_equal(gpu_driver_capset_info(&hx.gpu, 0, &info), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	assert_int_equal(info.padding, 0);
	assert_int_equal(info.hdr.padding[0] | info.hdr.padding[1] | info.hdr.padding[2], 0);
	assert_int_equal(gpu_driver_capset_info(&hx.gpu, 99, &info), PARAMETER);
	assert_int_equal(hx.gpu.resp_len, sizeof(struct virtio_gpu_ctrl_hdr));
}

/* CVE-2021-3546: an answer that was larger than what was asked for, and than its room. */
static void overflows_the_answer(const void *arg)
{
	(void)arg;
	for (hx.gpu.resp_cap = 24; hx.gpu.resp_cap < 64; hx.gpu.resp_cap++) {
		assert_int_equal(gpu_driver_capset(&hx.gpu, 2, 1), VIRTIO_GPU_RESP_OK_CAPSET);
		assert_true(hx.gpu.resp_len <= hx.gpu.resp_cap);
		assert_int_equal(gpu_driver_capset(&hx.gpu, 0, 0), PARAMETER);
		assert_int_equal(gpu_driver_capset(&hx.gpu, 2, UINT32_MAX), PARAMETER);
	}
	hx.gpu.resp_cap = 4096;
}

/* CVE-2026-15264: what a picture takes, in 32 bits, was little. */
static void overflows_the_size(const void *arg)
{
	static const uint32_t sides[][2] = {{0x8000, 0x8000}, {0x10000, 0x4000}, {0x10001, 0x10000},
		{0x40000001, 4}, {0x80000000, 2}, {UINT32_MAX, UINT32_MAX}};

	(void)arg;
	for (size_t i = 0; i < COUNT(sides); i++) {
		struct gpu_driver_texture t = VIRGL_PICTURE(FORMAT, sides[i][0], sides[i][1]);

		assert_int_equal(gpu_driver_create_3d(&hx.gpu, 1, t), PARAMETER);
		assert_true(gpu_driver_create_2d(&hx.gpu, 1, FORMAT, sides[i][0], sides[i][1])
			>= UNSPEC);
		t = VIRGL_PICTURE(FORMAT, 16384, 16384);
		t.array_size = sides[i][0] % 2049;
		t.nr_samples = 32;
		t.format = 31; // 16 bytes a pixel
		assert_int_equal(gpu_driver_create_3d(&hx.gpu, 1, t), NO_MEMORY);
	}
}

/* CVE-2026-18054: a header that is not all there, in one piece or two. */
static void cut_headers(const void *arg)
{
	struct virtio_gpu_ctx_create m = {.hdr.type = htole32(VIRTIO_GPU_CMD_CTX_CREATE)};

	(void)arg;
	for (size_t len = 0; len < sizeof(m.hdr); len++)
		assert_int_equal(run(&m, len), UNSPEC);
	assert_int_equal(run(&m, sizeof(m.hdr)), UNSPEC);
}

/* A stream was given as much memory as it said that it has. */
static void claims_much(const void *arg)
{
	static const uint32_t sizes[] = {
		4 << 20, (4 << 20) + 4, 0x7ffffffc, 0x80000000, 0xfffffffc};
	struct virtio_gpu_cmd_submit m = {
		.hdr = {.type = htole32(VIRTIO_GPU_CMD_SUBMIT_3D), .ctx_id = htole32(CTX)}};
	long rss = child_rss_kib(&hx.child);

	(void)arg;
	furnish();
	for (size_t i = 0; i < COUNT(sizes); i++) {
		m.size = htole32(sizes[i]);
		assert_int_equal(run(&m, sizeof(m)), PARAMETER);
	}
	assert_true(child_rss_kib(&hx.child) - rss < 1024);
	draws_again();
}

/* Strides of more than an int, or less than a row, and offsets that wrap with them. */
static void strides(const void *arg)
{
	static const uint32_t some[] = {1, 3, 255, 0x7fffffff, 0x80000000, 0xfffffffc, UINT32_MAX};

	(void)arg;
	furnish();
	for (size_t i = 0; i < COUNT(some); i++)
		for (uint32_t type = TO; type <= FROM; type++) {
			struct virtio_gpu_transfer_host_3d m = {
				.hdr = {.type = htole32(type), .ctx_id = htole32(CTX)},
				.box = {.w = htole32(SIDE), .h = htole32(SIDE), .d = htole32(2)},
				.resource_id = htole32(LAYERS),
				.stride = htole32(some[i]),
				.layer_stride = htole32(some[COUNT(some) - 1 - i])};

			assert_true(run(&m, sizeof(m)) > 0);
			m.offset = htole64(BYTES - 4);
			assert_true(run(&m, sizeof(m)) > 0);
		}
	draws_again();
}

/* CVE-2026-6502: a resource was used by what had been told of it when it was there. */
static void used_after(const void *arg)
{
	uint32_t words[VIRGL_CLEAR_WORDS], n = virgl_clear(words, PICTURE, FORMAT, 1) - 2;

	(void)arg;
	furnish();
	assert_ack(gpu_driver_submit_3d(&hx.gpu, CTX, words, n)); // its surface stays, and is bound
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, PICTURE, GPU_RECT(0, 0, SIDE, SIDE)));
	assert_ack(gpu_driver_flush(&hx.gpu, PICTURE, GPU_RECT(0, 0, SIDE, SIDE)));
	assert_ack(gpu_driver_unref(&hx.gpu, PICTURE));
	assert_true(gpu_driver_submit_3d(&hx.gpu, CTX, words + 6, n - 6) > 0);
	assert_ack(gpu_driver_create_3d(&hx.gpu, PICTURE, texture(VIRGL_2D, FORMAT, SIDE)));
	assert_true(gpu_driver_submit_3d(&hx.gpu, CTX, words + 6, n - 6) > 0);
	assert_ack(gpu_driver_unref(&hx.gpu, BUFFER));
	assert_ack(gpu_driver_ctx_detach(&hx.gpu, CTX, LAYERS));
	assert_true(
		gpu_driver_transfer_3d(&hx.gpu, TO, CTX, LAYERS, GPU_RECT(0, 0, SIDE, SIDE)) > 0);
	draws_again();
}

/* CVE-2020-8003: what could not be made was let go twice. */
static void cannot_be_made(const void *arg)
{
	(void)arg;
	furnish();
	for (uint32_t target = 0; target < 9; target++)
		for (uint32_t format = 0; format < 512; format += 37) {
			struct gpu_driver_texture t = texture(target, format, SIDE);

			t.nr_samples = format % 5;
			t.last_level = format % 3;
			t.array_size = target == 6 ? 6 : format % 4;
			t.bind = 1u << format % 22;
			if (gpu_driver_create_3d(&hx.gpu, 10, t) == OK)
				assert_ack(gpu_driver_unref(&hx.gpu, 10));
		}
	draws_again();
}

/* CVE-2022-0135: of samples in layers, depth and number of layers were two things. */
static void layers_of_samples(const void *arg)
{
	struct gpu_driver_texture t = texture(ARRAY_2D, FORMAT, SIDE);

	(void)arg;
	furnish();
	t.nr_samples = 4;
	t.depth = 64;
	for (t.array_size = 0; t.array_size < 3; t.array_size++) {
		struct virtio_gpu_transfer_host_3d m = {
			.hdr = {.type = htole32(TO), .ctx_id = htole32(CTX)},
			.box = {.w = htole32(SIDE), .h = htole32(SIDE), .d = htole32(64)},
			.resource_id = htole32(10)};

		if (gpu_driver_create_3d(&hx.gpu, 10, t) != OK)
			continue;
		back(10);
		assert_ack(gpu_driver_ctx_attach(&hx.gpu, CTX, 10));
		assert_true(run(&m, sizeof(m)) > 0);
		m.hdr.type = htole32(FROM);
		assert_true(run(&m, sizeof(m)) > 0);
		gpu_driver_unref(&hx.gpu, 10);
	}
	draws_again();
}

/* CVE-2022-0175: memory of the host's that was not cleared, for the guest to read. */
static void not_cleared(const void *arg)
{
	static const uint32_t binds[] = {BIND_CUSTOM, 1 << 19, BIND_VERTEX, 1 << 6};
	const struct virtio_gpu_rect all = GPU_RECT(0, 0, 4096, 1);

	(void)arg;
	furnish();
	for (size_t i = 0; i < COUNT(binds); i++) {
		struct gpu_driver_texture t = texture(0, R8, 4096);
		uint8_t *bytes;
		int r;

		t.bind = binds[i];
		if (gpu_driver_create_3d(&hx.gpu, 10, t) != OK)
			continue;
		bytes = guest_ptr(&hx.guest, back(10), 4096);
		memset(bytes, 0, 4096);
		assert_ack(gpu_driver_ctx_attach(&hx.gpu, CTX, 10));
		r = gpu_driver_transfer_3d(&hx.gpu, FROM, CTX, 10, all);
		assert_true(r > 0);
		for (unsigned k = 0; k < 4096; k++)
			assert_int_equal(bytes[k], 0);
		assert_ack(gpu_driver_unref(&hx.gpu, 10));
	}
	draws_again();
}

/* A scanout of what has neither pages nor a picture: there was nothing behind a pointer. */
static void shows_nothing(const void *arg)
{
	const struct virtio_gpu_rect all = GPU_RECT(0, 0, SIDE, SIDE);

	(void)arg;
	furnish();
	assert_int_equal(gpu_driver_set_scanout(&hx.gpu, 0, 77, all),
		VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	assert_ack(gpu_driver_create_3d(&hx.gpu, 10, texture(VIRGL_2D, FORMAT, SIDE)));
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 10, all));
	assert_ack(gpu_driver_flush(&hx.gpu, 10, all));
	assert_int_equal(gpu_driver_set_scanout(&hx.gpu, 0, LAYERS, all), PARAMETER);
	assert_ack(gpu_driver_unref(&hx.gpu, 10));
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 0, all));
	draws_again();
}

static const struct hostile_case plain[] = {
	{"CVE-2021-3544: leaks of backing", RUNNING, leaks, NULL, args},
	{"CVE-2021-3545: an answer's padding", RUNNING, discloses, NULL, args},
	{"CVE-2021-3546: an answer that has no room", RUNNING, overflows_the_answer, NULL, args},
	{"CVE-2026-15264: sizes of 32 bits", RUNNING, overflows_the_size, NULL, args},
	{"CVE-2026-18054: headers that are cut", RUNNING, cut_headers, NULL, args},
	{"CVE-2026-6502: resources that are gone", SHOWING, used_after, NULL, args},
	{"streams that claim much", RUNNING, claims_much, NULL, args},
	{"strides", RUNNING, strides, NULL, args},
	{"CVE-2020-8003: textures that cannot be made", RUNNING, cannot_be_made, NULL, args},
	{"CVE-2022-0135: samples in layers", RUNNING, layers_of_samples, NULL, args},
	{"CVE-2022-0175: memory that is not cleared", RUNNING, not_cleared, NULL, args},
	{"scanouts of nothing", SHOWING, shows_nothing, NULL, args},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	for (size_t i = 0; i < COUNT(streams); i++) {
		struct hostile_case c = {streams[i].name, RUNNING, bad_stream, &streams[i], args};

		hostile_add(&list, &c, 1);
	}
	return hostile_main(argc, argv, list.cases, list.n);
}
