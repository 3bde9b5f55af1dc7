/* SPDX-License-Identifier: MIT */
/* The guest's own blobs: shown where they lie, without a transfer, on every display. */
#include "device.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "driver/gpu_blob.h"

enum {
	W = 40,
	H = 64,
	STRIDE = 192,
	OFFSET = 5000,
	PAGE = 4096,
	PAGES = 5,
	SIZE = PAGES * PAGE,
	CURSOR = 64,
	BLUE = 0x0000ff,
	RED = 0xff0000,
	GREEN = 0x00ff00,
};

enum {
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
};

#define ALL GPU_RECT(0, 0, W, H)

static const struct gpu_driver_layout layout = {W, H, BGRX, STRIDE, OFFSET};

/* Its pages, in no order, each `skew` bytes behind the beginning of one. */
struct pages {
	uint64_t gpa[PAGES];
	uint32_t skew;
};

static struct pages make_pages(uint32_t skew)
{
	static const unsigned order[PAGES] = {3, 0, 4, 2, 1};
	struct pages p = {.skew = skew};
	uint64_t base = guest_alloc(&dev.guest, 2 * (PAGES + 1) * PAGE, PAGE);

	for (unsigned i = 0; i < PAGES; i++)
		p.gpa[i] = base + 2 * order[i] * PAGE + skew;
	return p;
}

static void create(uint32_t id, const struct pages *p)
{
	struct virtio_gpu_mem_entry e[PAGES];

	for (unsigned i = 0; i < PAGES; i++)
		e[i] = (struct virtio_gpu_mem_entry){htole64(p->gpa[i]), htole32(PAGE)};
	assert_int_equal(gpu_driver_create_blob(&dev.gpu, 0,
				 (struct gpu_driver_blob){.id = id,
					 .mem = VIRTIO_GPU_BLOB_MEM_GUEST,
					 .flags = VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE,
					 .size = SIZE,
					 .entries = e,
					 .n = PAGES}),
		OK);
}

static void put(const struct pages *p, uint32_t at, uint32_t pixel)
{
	uint8_t bytes[4] = {(uint8_t)pixel, (uint8_t)(pixel >> 8), (uint8_t)(pixel >> 16), 0};

	for (unsigned i = 0; i < 4; i++, at++)
		*(uint8_t *)guest_ptr(&dev.guest, p->gpa[at / PAGE] + at % PAGE, 1) = bytes[i];
}

static uint32_t pixel_of(uint32_t seed, uint32_t x, uint32_t y)
{
	return (seed * 0x9e3779b1 + y * 251 + x * 7) & 0xffffff;
}

static void paint(const struct pages *p, uint32_t seed)
{
	for (uint32_t y = 0; y < H; y++)
		for (uint32_t x = 0; x < W; x++)
			put(p, OFFSET + y * STRIDE + x * 4, pixel_of(seed, x, y));
}

static uint32_t crc_of(uint32_t seed, struct virtio_gpu_rect r)
{
	uLong crc = crc32(0, NULL, 0);

	for (uint32_t y = r.y; y < r.y + r.height; y++)
		for (uint32_t x = r.x; x < r.x + r.width; x++) {
			uint32_t p = pixel_of(seed, x, y);
			uint8_t rgb[3] = {(uint8_t)(p >> 16), (uint8_t)(p >> 8), (uint8_t)p};

			crc = crc32(crc, rgb, 3);
		}
	return (uint32_t)crc;
}

static void show(uint32_t scanout, uint32_t id)
{
	assert_int_equal(gpu_driver_set_scanout_blob(&dev.gpu, scanout, id, ALL, layout), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, ALL), OK);
}

static void assert_seen(uint32_t scanout, uint32_t seed)
{
	device_settle();
	assert_int_equal(dev.peer.faults, 0);
	assert_int_equal(display_peer_crc(&dev.peer, scanout), crc_of(seed, ALL));
}

static void feature(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){0});
	assert_true(dev.fe.offered >> VIRTIO_GPU_F_RESOURCE_BLOB & 1);
	assert_false(dev.fe.offered >> VIRTIO_GPU_F_CONTEXT_INIT & 1);
	assert_false(dev.fe.protocol_offered >> VHOST_USER_PROTOCOL_F_SHMEM & 1);
}

/* Pages anywhere, rows across their borders, and what the guest has written since is what is seen. */
static void shown(void **state)
{
	struct pages p;

	(void)state;
	device_begin(&(struct device_setup){.png = true, .peer = true});
	p = make_pages(0);
	create(1, &p);
	for (uint32_t seed = 1; seed < 4; seed++) {
		paint(&p, seed);
		if (seed == 1)
			show(0, 1);
		else
			assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
		assert_seen(0, seed);
		device_assert_frame(0, seed, W, H, crc_of(seed, ALL));
	}
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), NO_RESOURCE);
	device_terminate();
}

/* What cannot be mapped as it lies is copied. */
static void unaligned(void **state)
{
	struct pages p;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	p = make_pages(260);
	create(1, &p);
	paint(&p, 1);
	show(0, 1);
	assert_seen(0, 1);
	paint(&p, 2);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, GPU_RECT(0, 0, W, H)), OK);
	assert_seen(0, 2);
}

static void parts(void **state)
{
	const struct virtio_gpu_rect part = GPU_RECT(8, 10, 20, 30);
	struct pages p;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	p = make_pages(0);
	create(1, &p);
	paint(&p, 1);
	assert_int_equal(gpu_driver_set_scanout_blob(&dev.gpu, 2, 1, part, layout), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_settle();
	assert_int_equal(display_peer_crc(&dev.peer, 2), crc_of(1, part));
}

/* Each scanout has its own idea of what lies in a blob. */
static void two_layouts(void **state)
{
	struct gpu_driver_layout lower = layout;
	struct pages p;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	p = make_pages(0);
	create(1, &p);
	paint(&p, 1);
	show(0, 1);
	lower.offset += 20 * STRIDE;
	lower.height -= 20;
	assert_int_equal(
		gpu_driver_set_scanout_blob(&dev.gpu, 1, 1, GPU_RECT(0, 0, W, lower.height), lower),
		OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, GPU_RECT(0, 0, W, lower.height)), OK);
	device_settle();
	assert_int_equal(display_peer_crc(&dev.peer, 0), crc_of(1, ALL));
	assert_int_equal(
		display_peer_crc(&dev.peer, 1), crc_of(1, GPU_RECT(0, 20, W, lower.height)));
	assert_int_equal(gpu_driver_set_scanout_blob(&dev.gpu, 1, 0, NOTHING, lower), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, GPU_RECT(0, 0, W, lower.height)), OK);
}

static void flipped(void **state)
{
	struct pages p[2];

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	for (uint32_t i = 0; i < 2; i++) {
		p[i] = make_pages(0);
		create(1 + i, &p[i]);
	}
	for (uint32_t seed = 1; seed < 8; seed++) {
		paint(&p[seed % 2], seed);
		show(0, 1 + seed % 2);
		assert_seen(0, seed);
	}
}

static void as_cursor(void **state)
{
	struct virtio_gpu_update_cursor c = {.resource_id = htole32(1), .hot_x = htole32(5)};
	struct pages p;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	p = make_pages(0);
	create(1, &p);
	for (uint32_t i = 0; i < CURSOR * CURSOR; i++)
		put(&p, i * 4, i);
	assert_int_equal(gpu_driver_transfer(&dev.gpu, 1, GPU_RECT(0, 0, CURSOR, CURSOR), 0), OK);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
	device_settle();
	for (uint32_t i = 0; i < CURSOR * CURSOR; i++)
		assert_int_equal(dev.peer.cursor.data[i] & 0xffffff, i);
	assert_int_equal(dev.peer.cursor.hot_x, 5);
}

/* The guest's memory is given anew when the rings start. */
static void memory_again(void **state)
{
	struct pages p;

	(void)state;
	device_begin(&(struct device_setup){.personality = "cloud-hypervisor", .png = true});
	p = make_pages(0);
	create(1, &p);
	for (uint32_t seed = 1; seed < 4; seed++) {
		paint(&p, seed);
		show(0, 1);
		device_assert_frame(0, seed, W, H, crc_of(seed, ALL));
		device_stop();
		device_start();
	}
}

/* Nothing is left of them: no descriptor, no mapping (which only one that is not locked in tells of). */
static unsigned count_maps(void)
{
	char path[64], line[512];
	unsigned n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", dev.child.pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "memfd") != NULL;
	fclose(f);
	return n;
}

static void left_behind(void **state)
{
	unsigned maps = 0;
	int fds = 0;

	(void)state;
	device_begin(&(struct device_setup){.peer = true, .args = {"--seccomp=log"}});
	for (uint32_t i = 0; i < 6; i++) {
		struct pages p;

		if (i == 1) {
			maps = count_maps();
			fds = child_count_fds(&dev.child);
		}
		for (uint32_t id = 1; id < 20; id++) {
			p = make_pages(id % 3 == 2 ? 64 : 0);
			create(id, &p);
			show(id % 16, id);
		}
		device_settle();
		assert_true(i == 0 || count_maps() > maps + 20);
		device_reset();
		device_start();
		assert_int_equal(gpu_driver_unref(&dev.gpu, 1), NO_RESOURCE);
		if (i)
			assert_int_equal(count_maps(), maps);
	}
	assert_int_equal(child_count_fds(&dev.child), fds);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(feature),
		TEST(shown),
		TEST(unaligned),
		TEST(parts),
		TEST(two_layouts),
		TEST(flipped),
		TEST(as_cursor),
		TEST(memory_again),
		TEST(left_behind),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_blob", tests, NULL, NULL);
}
