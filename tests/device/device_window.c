/* SPDX-License-Identifier: MIT */
/*
 * The renderer's blobs in the window that the front-end lets the driver see, and contexts' own
 * timelines: with a renderer that does as it is told, and a front-end that may not.
 */
#include "device.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/gpu_3d.h"
#include "driver/gpu_blob.h"
#include "protocols/virtio_gpu.h"
#include "stand_in.h"

enum { CTX = 1, PAGE = 4096, SIZE = 3 * PAGE, WINDOW = 1 << 20, CAPSET = 2 };
enum {
	MAPPED = VIRTIO_GPU_RESP_OK_MAP_INFO,
	UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
	NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	NO_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
};

static void begin(struct device_setup s)
{
	if (!s.window)
		s.window = WINDOW;
	device_begin(&s);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
}

static int create_of(uint32_t id, uint64_t blob_id, uint64_t size)
{
	return gpu_driver_create_blob(&dev.gpu, CTX,
		(struct gpu_driver_blob){.id = id,
			.mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
			.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
			.blob_id = blob_id,
			.size = size});
}

static int create(uint32_t id, uint64_t blob_id)
{
	return create_of(id, blob_id, SIZE);
}

static int map(uint32_t id, uint64_t at)
{
	return gpu_driver_map_blob(&dev.gpu, id, at);
}

static int unmap(uint32_t id)
{
	return gpu_driver_unmap_blob(&dev.gpu, id);
}

static uint32_t *seen(uint64_t at)
{
	assert_true(window_has(&dev.window, at));
	return (uint32_t *)(void *)(dev.window.base + at);
}

static void assert_empty(void)
{
	device_settle();
	assert_int_equal(dev.window.n_maps, 0);
	assert_int_equal(dev.window.violations, 0);
}

/* ---- what works ---- */

static void features(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	assert_true(dev.fe.offered >> VIRTIO_GPU_F_CONTEXT_INIT & 1);
	assert_true(dev.fe.protocol >> VHOST_USER_PROTOCOL_F_SHMEM & 1);
	device_begin(&(struct device_setup){0});
	assert_false(dev.fe.protocol_offered >> VHOST_USER_PROTOCOL_F_SHMEM & 1);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	assert_int_equal(create(1, BLOB_FINE), OK);
	assert_int_equal(map(1, 0), UNSPEC); // without a window
}

/* On a host of larger pages the guest is told so, and held to it where it has agreed. */
static void alignment(void **state)
{
	const uint32_t page = 16384;
	struct virtio_gpu_space space = {0};

	(void)state;
	begin((struct device_setup){0});
	assert_false(dev.fe.offered >> VIRTIO_GPU_F_BLOB_ALIGNMENT & 1);
	assert_int_equal(create(1, BLOB_FINE), OK);
	setenv(STAND_IN_PAGE, "16384", 1);
	begin((struct device_setup){0});
	assert_true(dev.fe.offered >> VIRTIO_GPU_F_BLOB_ALIGNMENT & 1);
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(space), &space), 0);
	assert_int_equal(le32toh(space.blob_alignment), page);
	assert_int_equal(create(1, BLOB_FINE), PARAMETER);
	assert_int_equal(create_of(1, BLOB_FINE, page), OK);
	assert_int_equal(map(1, PAGE), PARAMETER);
	assert_int_equal(map(1, page), MAPPED);
	assert_int_equal(gpu_driver_create_blob(&dev.gpu, CTX,
				 (struct gpu_driver_blob){
					 .id = 2, .mem = VIRTIO_GPU_BLOB_MEM_GUEST, .size = SIZE}),
		PARAMETER);
	device_begin(&(struct device_setup){0}); // without a window
	unsetenv(STAND_IN_PAGE);
	assert_false(dev.fe.offered >> VIRTIO_GPU_F_BLOB_ALIGNMENT & 1);
}

static void mapped(void **state)
{
	struct virtio_gpu_resp_map_info info;

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(create(1, BLOB_FINE), OK);
	assert_int_equal(create(2, BLOB_BEHIND), OK);
	assert_int_equal(map(1, 0), MAPPED);
	memcpy(&info, dev.gpu.resp, sizeof(info));
	assert_int_equal(le32toh(info.map_info), 1);
	assert_int_equal(map(2, SIZE), MAPPED);
	assert_int_equal(*seen(0), 1);
	assert_int_equal(*seen(SIZE), 2);
	*seen(PAGE) = 77;
	assert_int_equal(unmap(1), OK);
	assert_false(window_has(&dev.window, 0));
	assert_int_equal(map(1, WINDOW - SIZE), MAPPED);
	assert_int_equal(*seen(WINDOW - SIZE + PAGE), 77); // it is the same memory
	assert_int_equal(unmap(1), OK);
	assert_int_equal(unmap(2), OK);
	assert_empty();
}

/* A place is used again without waiting, as Linux does it. */
static void in_a_row(void **state)
{
	struct virtio_gpu_resource_unmap_blob u = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB)};
	int tickets[10];

	(void)state;
	begin((struct device_setup){0});
	for (uint32_t id = 1; id <= 10; id++)
		assert_int_equal(create(id, BLOB_FINE), OK);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(map(1 + i, 0), MAPPED);
		assert_int_equal(*seen(0), 1 + i);
		u.resource_id = htole32(1 + i);
		tickets[i] = device_submit(&u, sizeof(u));
	}
	for (uint32_t i = 0; i < 10; i++)
		device_collect(tickets[i]);
	assert_empty();
}

static void shown(void **state)
{
	const struct gpu_driver_layout l = {16, 16, BGRX, 64, PAGE};
	const struct virtio_gpu_rect all = GPU_RECT(0, 0, 16, 16);

	(void)state;
	begin((struct device_setup){.png = true});
	assert_int_equal(create(1, BLOB_BEHIND), OK);
	assert_int_equal(map(1, 0), MAPPED);
	for (uint32_t i = 0; i < 16 * 16; i++)
		seen(PAGE)[i] = 0x123456;
	assert_int_equal(gpu_driver_set_scanout_blob(&dev.gpu, 0, 1, all, l), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	device_assert_frame(0, 1, 16, 16, device_crc_of(16, 16, 0x123456));
	for (uint32_t i = 0; i < 16 * 16; i++)
		seen(PAGE)[i] = 0x654321;
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, all), OK);
	device_assert_frame(0, 2, 16, 16, device_crc_of(16, 16, 0x654321));
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_empty();
}

static void of_guest_and_host(void **state)
{
	uint64_t gpa;
	struct virtio_gpu_mem_entry e;
	struct gpu_driver_blob b = {.id = 1,
		.mem = VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
		.flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size = SIZE,
		.entries = &e,
		.n = 1};

	(void)state;
	begin((struct device_setup){0});
	gpa = guest_alloc(&dev.guest, SIZE, PAGE);
	e = (struct virtio_gpu_mem_entry){.addr = htole64(gpa), .length = htole32(SIZE)};
	assert_int_equal(gpu_driver_create_blob(&dev.gpu, CTX, b), OK);
	assert_int_equal(map(1, 0), MAPPED);
	b.id = 2;
	b.mem = VIRTIO_GPU_BLOB_MEM_GUEST;
	assert_int_equal(gpu_driver_create_blob(&dev.gpu, CTX, b), OK);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, 2), OK);
	assert_int_equal(map(2, PAGE * 64), NO_RESOURCE); // it is the guest's already
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
	assert_empty();
}

static void context_init(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, 7, CAPSET), OK);
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, 8, 0), OK);
	assert_int_equal(gpu_driver_ctx_init(&dev.gpu, 9, CAPSET + 1), PARAMETER);
	assert_int_equal(gpu_driver_ctx_destroy(&dev.gpu, 9), NO_CONTEXT);
}

/* ---- timelines ---- */

static int tell(uint32_t ctx, int ring, uint32_t word)
{
	static uint64_t fence;
	uint8_t bytes[64];
	size_t len = gpu_driver_stream(bytes, ctx, ++fence, &word, 1);
	struct virtio_gpu_ctrl_hdr *h = (void *)bytes;

	if (ring >= 0) {
		h->flags |= htole32(VIRTIO_GPU_FLAG_INFO_RING_IDX);
		h->ring_idx = (uint8_t)ring;
	}
	return device_submit(bytes, len);
}

/* A fence of one ring waits for none of another, nor do those of the queue. */
static void timelines(void **state)
{
	int first, second, third;

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, 2), OK);
	first = tell(CTX, 1, STAND_IN_HOLD);
	device_collect(tell(CTX, 2, STAND_IN_NOTHING));
	device_collect(tell(CTX, -1, STAND_IN_NOTHING));
	device_collect(tell(2, 1, STAND_IN_NOTHING));
	assert_false(device_is_done(first));
	second = tell(2, 0, STAND_IN_HOLD);
	third = tell(2, -1, STAND_IN_HOLD);
	device_collect(tell(CTX, 1, STAND_IN_NOTHING)); // stands for the first
	assert_true(device_is_done(first));
	device_collect(first);
	assert_false(device_is_done(second));
	assert_false(device_is_done(third));
	device_collect(tell(CTX, 0, STAND_IN_LET_GO));
	device_collect(second);
	device_collect(third);
}

/* The answer has the ring in it. */
static void ring_in_answer(void **state)
{
	struct virtio_gpu_ctrl_hdr h;

	(void)state;
	begin((struct device_setup){0});
	device_collect(tell(CTX, 5, STAND_IN_NOTHING));
	memcpy(&h, dev.gpu.resp, sizeof(h));
	assert_int_equal(h.ring_idx, 5);
	assert_int_equal(h.flags, htole32(VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX));
}

/* ---- what is refused ---- */

static void wrong_places(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(create(1, BLOB_FINE), OK);
	assert_int_equal(create(2, BLOB_FINE), OK);
	assert_int_equal(map(77, 0), NO_RESOURCE);
	assert_int_equal(unmap(77), NO_RESOURCE);
	assert_int_equal(unmap(1), UNSPEC);
	assert_int_equal(map(1, 1), PARAMETER);
	assert_int_equal(map(1, PAGE / 2), PARAMETER);
	assert_int_equal(map(1, WINDOW), PARAMETER);
	assert_int_equal(map(1, WINDOW - PAGE), PARAMETER);
	assert_int_equal(map(1, UINT64_MAX - PAGE + 1), PARAMETER);
	assert_int_equal(map(1, 2 * PAGE), MAPPED);
	assert_int_equal(map(1, 2 * PAGE), UNSPEC); // a second time
	assert_int_equal(map(1, 64 * PAGE), UNSPEC);
	assert_int_equal(map(2, 0), PARAMETER); // over another
	assert_int_equal(map(2, 4 * PAGE), PARAMETER);
	assert_int_equal(map(2, 5 * PAGE), MAPPED); // beside it
	assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
	assert_int_equal(unmap(1), OK);
	assert_int_equal(unmap(1), UNSPEC);
	assert_empty();
}

/* QEMU makes a region of guest memory of each, of which there are 509. */
static void too_many(void **state)
{
	enum { MOST = 384 };

	(void)state;
	begin((struct device_setup){.window = 8 << 20});
	for (uint32_t id = 1; id <= MOST + 1; id++)
		assert_int_equal(create(id, BLOB_FINE), OK);
	for (uint32_t id = 1; id <= MOST; id++)
		assert_int_equal(map(id, id * SIZE), MAPPED);
	assert_int_equal(map(MOST + 1, 0), NO_MEMORY);
	assert_int_equal(unmap(7), OK);
	assert_int_equal(map(MOST + 1, 0), MAPPED);
	assert_int_equal(map(7, 7 * SIZE), NO_MEMORY);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 9), OK);
	assert_int_equal(map(7, 7 * SIZE), MAPPED);
	device_reset();
	device_start();
	assert_empty();
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	assert_int_equal(create(1, BLOB_FINE), OK);
	assert_int_equal(map(1, 0), MAPPED);
}

static void not_mappable(void **state)
{
	struct gpu_driver_blob b = {.id = 1, .mem = VIRTIO_GPU_BLOB_MEM_HOST3D, .size = SIZE};

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(gpu_driver_create_blob(&dev.gpu, CTX, b), OK);
	assert_int_equal(map(1, 0), NO_RESOURCE);
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, 2, VIRGL_PICTURE(BGRX, 8, 8)), OK);
	assert_int_equal(map(2, 0), NO_RESOURCE);
	assert_int_equal(unmap(2), NO_RESOURCE);
	assert_int_equal(dev.window.asked, 0);
}

/* A renderer that has been taken over gives files that are not what they should be. */
static void bad_files(void **state)
{
	static const struct {
		uint32_t kind;
		int made, mapped;
	} kinds[] = {
		{BLOB_SMALL, OK, PARAMETER},
		{BLOB_FAR, OK, PARAMETER},
		{BLOB_PIPE, OK, PARAMETER},
		{BLOB_NONE, OK, UNSPEC},
		{BLOB_LIE, OK, UNSPEC},
		{BLOB_FAILS, NO_MEMORY, NO_RESOURCE},
		{BLOB_FINE, OK, MAPPED},
	};
	const struct gpu_driver_layout l = {16, 16, BGRX, 64, 0};
	int fds = 0;

	(void)state;
	begin((struct device_setup){0});
	for (unsigned again = 0; again < 3; again++) {
		for (uint32_t i = 0; i < 7; i++) {
			assert_int_equal(create(1 + i, kinds[i].kind), kinds[i].made);
			assert_int_equal(map(1 + i, i * SIZE), kinds[i].mapped);
			if (kinds[i].made == OK && kinds[i].mapped != MAPPED)
				assert_true(gpu_driver_set_scanout_blob(
						    &dev.gpu, 0, 1 + i, GPU_RECT(0, 0, 16, 16), l)
					>= UNSPEC);
			if (kinds[i].made == OK)
				assert_int_equal(gpu_driver_unref(&dev.gpu, 1 + i), OK);
		}
		assert_empty();
		if (again == 0)
			fds = child_count_fds(&dev.child);
	}
	assert_int_equal(child_count_fds(&dev.child), fds);
}

/* The window is the front-end's: what it does not map the guest does not see, and may try again. */
static void refused(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(create(1, BLOB_FINE), OK);
	dev.window.refuse = 1;
	assert_int_equal(map(1, 0), UNSPEC);
	dev.window.refuse = 0;
	assert_int_equal(unmap(1), UNSPEC);
	assert_int_equal(map(1, 0), MAPPED);
	dev.window.refuse = 1;
	assert_int_equal(unmap(1), UNSPEC);
	dev.window.refuse = 0;
}

/* A front-end that waits for us is not waited for. */
static void nobody_answers(void **state)
{
	struct virtio_gpu_resource_map_blob m = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB)};
	uint8_t config[20];
	int tickets[30];

	(void)state;
	begin((struct device_setup){0});
	dev.window.stop = true;
	for (uint32_t i = 0; i < 30; i++) {
		assert_int_equal(create(1 + i, BLOB_FINE), OK);
		m.resource_id = htole32(1 + i);
		m.offset = htole64(i * SIZE);
		tickets[i] = device_submit(&m, sizeof(m));
	}
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(config), config), 0);
	device_show(0, 100, 64, 64, 0xff);
	for (uint32_t i = 0; i < 30; i++)
		assert_false(device_is_done(tickets[i]));
	dev.window.stop = false;
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(gpu_driver_collect(&dev.gpu, tickets[i]), MAPPED);
	for (uint32_t i = 0; i < 30; i++)
		assert_int_equal(*seen(i * SIZE), 1 + i);
}

/* ---- the end ---- */

static void reset_with(const char *personality)
{
	int fds = 0;

	begin((struct device_setup){.personality = personality});
	for (unsigned again = 0; again < 4; again++) {
		if (again)
			assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
		for (uint32_t id = 1; id <= 20; id++) {
			assert_int_equal(create(id, BLOB_FINE), OK);
			assert_int_equal(map(id, id * SIZE), MAPPED);
		}
		dev.window.stop = again % 2; // and does not read what is asked meanwhile
		device_reset();
		dev.window.stop = false;
		device_start();
		assert_empty();
		assert_int_equal(gpu_driver_unref(&dev.gpu, 1), NO_RESOURCE);
		if (again == 0)
			fds = child_count_fds(&dev.child);
	}
	assert_int_equal(child_count_fds(&dev.child), fds);
}

static void reset(void **state)
{
	(void)state;
	reset_with("qemu11-generic");
	reset_with("crosvm");
}

/* With questions under way: what waits is answered by the end of the queue. */
static void reset_in_questions(void **state)
{
	struct virtio_gpu_resource_map_blob m = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB), .resource_id = htole32(1)};

	(void)state;
	begin((struct device_setup){0});
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(create(1, BLOB_FINE), OK);
		dev.window.stop = true;
		device_submit(&m, sizeof(m));
		device_settle();
		device_reset();
		dev.window.stop = false;
		device_start();
		assert_empty();
		assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	}
}

static void left_behind(void **state)
{
	int fds = 0;

	(void)state;
	begin((struct device_setup){0});
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(create(1, BLOB_FINE), OK);
		assert_int_equal(map(1, 0), MAPPED);
		device_disconnect();
		window_reset(&dev.window);
		device_connect();
		assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
		if (i == 0)
			fds = child_count_fds(&dev.child);
	}
	assert_int_equal(child_count_fds(&dev.child), fds);
}

/* What is mapped is the guest's until it unmaps it, also when the renderer is gone. */
static void renderer_dies(void **state)
{
	const struct gpu_driver_layout l = {16, 16, BGRX, 64, 0};
	int r = 0;

	(void)state;
	begin((struct device_setup){0});
	assert_int_equal(create(1, BLOB_FINE), OK);
	assert_int_equal(create(2, BLOB_FINE), OK);
	assert_int_equal(map(1, 0), MAPPED);
	assert_int_equal(gpu_driver_collect(&dev.gpu, tell(CTX, -1, STAND_IN_CRASH)), UNSPEC);
	assert_int_equal(*seen(0), 1);
	assert_int_equal(map(2, PAGE * 64), UNSPEC);
	assert_int_equal(
		gpu_driver_set_scanout_blob(&dev.gpu, 0, 2, GPU_RECT(0, 0, 16, 16), l), UNSPEC);
	assert_int_equal(create(3, BLOB_FINE), NO_CONTEXT);
	assert_int_equal(unmap(1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
	for (unsigned i = 0; i < 10000 && r != OK; i++) {
		usleep(1000);
		gpu_driver_ctx_destroy(&dev.gpu, CTX);
		r = gpu_driver_ctx_create(&dev.gpu, CTX);
	}
	assert_int_equal(create(1, BLOB_FINE), OK);
	assert_int_equal(map(1, 0), MAPPED);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(features),
		TEST(alignment),
		TEST(mapped),
		TEST(in_a_row),
		TEST(shown),
		TEST(of_guest_and_host),
		TEST(context_init),
		TEST(timelines),
		TEST(ring_in_answer),
		TEST(wrong_places),
		TEST(too_many),
		TEST(not_mappable),
		TEST(bad_files),
		TEST(refused),
		TEST(nobody_answers),
		TEST(reset),
		TEST(reset_in_questions),
		TEST(left_behind),
		TEST(renderer_dies),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_window", tests, NULL, NULL);
}
