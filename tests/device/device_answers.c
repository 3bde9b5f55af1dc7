/* SPDX-License-Identifier: MIT */
/* What the device says of itself: monitors, the configuration space, UUIDs, and fences. */
#include "device.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

/* Monitors */

struct size {
	uint32_t w, h;
};

static const struct size sizes[] = {{1280, 800}, {640, 480}, {800, 600}, {1024, 768}, {1366, 768},
	{1920, 1080}, {1920, 1200}, {2560, 1440}, {3440, 1440}, {3840, 2160}, {5120, 2880},
	{7680, 4320}, {16384, 16384}, {1, 1}, {4095, 100}, {1080, 1920}};

enum { N_SIZES = sizeof(sizes) / sizeof(*sizes) };

/* --outputs= with the first n sizes, or with one. */
static void begin_with(const struct size *s, size_t n)
{
	static char option[256];
	size_t at = (size_t)snprintf(option, sizeof(option), "--outputs=");

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(
			option + at, sizeof(option) - at, "%s%ux%u", i ? "," : "", s[i].w, s[i].h);
	assert_true(at < sizeof(option));
	device_begin(&(struct device_setup){.args = {option}});
}

static void assert_sum(const uint8_t *p, size_t n)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += p[i];
	assert_int_equal(sum % 256, 0);
}

/* The first detailed timing of the base block, which is the preferred one. */
static struct size base_mode(const uint8_t *edid)
{
	const uint8_t *t = edid + 54;

	return (struct size){t[2] | (t[4] & 0xf0u) << 4, t[5] | (t[7] & 0xf0u) << 4};
}

/* The preferred type I timing of a DisplayID extension. */
static struct size extension_mode(const uint8_t *block)
{
	const uint8_t *p = block + 5, *end = p + block[2];

	assert_int_equal(block[0], 0x70);
	assert_sum(block + 1, 5u + block[2]);
	for (; p < end; p += 3 + p[2]) {
		const uint8_t *t = p + 3;

		if (p[0] != 3)
			continue;
		assert_true(t[3] & 0x80); // preferred
		return (struct size){(t[4] | t[5] << 8) + 1u, (t[12] | t[13] << 8) + 1u};
	}
	fail_msg("the extension has no timing");
	return (struct size){0};
}

static void assert_edid(uint32_t scanout, struct size wanted)
{
	static const uint8_t header[8] = {0, 255, 255, 255, 255, 255, 255, 0};
	struct virtio_gpu_resp_edid resp;
	const uint8_t *e = resp.edid;
	struct size mode;

	assert_int_equal(gpu_driver_edid(&dev.gpu, scanout, &resp), VIRTIO_GPU_RESP_OK_EDID);
	assert_memory_equal(e, header, sizeof(header));
	assert_int_equal(le32toh(resp.size), 128u * (1 + e[126]));
	assert_in_range(e[126], 0, 1);
	for (size_t i = 0; i <= e[126]; i++)
		assert_sum(e + 128 * i, 128);
	mode = e[126] ? extension_mode(e + 128) : base_mode(e);
	assert_int_equal(mode.w, wanted.w);
	assert_int_equal(mode.h, wanted.h);
}

static void edid_of_each_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_SIZES; i++) {
		begin_with(&sizes[i], 1);
		assert_edid(0, sizes[i]);
	}
}

static void sixteen_outputs(void **state)
{
	struct virtio_gpu_resp_display_info info;
	struct virtio_gpu_resp_edid first, other;
	uint32_t scanouts;

	(void)state;
	assert_int_equal(N_SIZES, VIRTIO_GPU_MAX_SCANOUTS);
	begin_with(sizes, N_SIZES);
	assert_int_equal(gpu_driver_display_info(&dev.gpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	for (uint32_t i = 0; i < N_SIZES; i++) {
		assert_int_equal(le32toh(info.pmodes[i].enabled), 1);
		assert_int_equal(le32toh(info.pmodes[i].r.width), sizes[i].w);
		assert_int_equal(le32toh(info.pmodes[i].r.height), sizes[i].h);
		assert_edid(i, sizes[i]);
	}
	assert_int_equal(frontend_get_config(&dev.fe, 8, 4, &scanouts), 0);
	assert_int_equal(le32toh(scanouts), 16);
	gpu_driver_edid(&dev.gpu, 0, &first); // no two monitors are one
	gpu_driver_edid(&dev.gpu, 1, &other);
	assert_memory_not_equal(first.edid + 12, other.edid + 12, 4);
}

static void no_such_scanout(void **state)
{
	struct virtio_gpu_resp_edid resp;

	(void)state;
	begin_with(sizes, 2);
	assert_int_equal(
		gpu_driver_edid(&dev.gpu, 16, &resp), VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	assert_int_equal(gpu_driver_edid(&dev.gpu, UINT32_MAX, &resp),
		VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 16, 0, NOTHING),
		VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID);
}

/* The configuration space, of any length, at any offset. */
static void configuration(void **state)
{
	uint8_t whole[256], part[64];

	(void)state;
	begin_with(sizes, 3);
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(whole), whole), 0);
	for (size_t i = 0; i < sizeof(whole); i++)
		assert_int_equal(whole[i], i == 8 ? 3 : 0);
	for (uint32_t at = 0; at < 256 - sizeof(part); at += 7) {
		assert_int_equal(frontend_get_config(&dev.fe, at, sizeof(part), part), 0);
		assert_memory_equal(part, whole + at, sizeof(part));
	}
}

/* UUIDs */

static void uuids(void **state)
{
	uint8_t uuid[50][16], again[16];

	(void)state;
	device_begin(&(struct device_setup){0});
	for (uint32_t i = 0; i < 50; i++) {
		device_make(i + 1, 8, 8, 0);
		assert_int_equal(gpu_driver_uuid(&dev.gpu, i + 1, uuid[i]),
			VIRTIO_GPU_RESP_OK_RESOURCE_UUID);
		assert_int_equal(uuid[i][6] & 0xf0, 0x40); // random, RFC 9562
		assert_int_equal(uuid[i][8] & 0xc0, 0x80);
		for (uint32_t k = 0; k < i; k++)
			assert_memory_not_equal(uuid[i], uuid[k], 16);
	}
	for (uint32_t i = 0; i < 50; i++) {
		gpu_driver_uuid(&dev.gpu, i + 1, again);
		assert_memory_equal(again, uuid[i], 16);
	}
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	assert_int_equal(
		gpu_driver_uuid(&dev.gpu, 1, again), VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID);
	device_make(1, 8, 8, 0);
	gpu_driver_uuid(&dev.gpu, 1, again);
	assert_memory_not_equal(again, uuid[0], 16); // another resource, of the same id
}

/* Fences */

static struct virtio_gpu_ctrl_hdr run(struct virtio_gpu_ctrl_hdr request)
{
	struct virtio_gpu_ctrl_hdr response;

	memset(dev.gpu.resp, 0xee, sizeof(response));
	assert_true(gpu_driver_run(&dev.gpu, &request, sizeof(request)) > 0);
	memcpy(&response, dev.gpu.resp, sizeof(response));
	return response;
}

static const uint32_t kinds[] = {VIRTIO_GPU_CMD_GET_DISPLAY_INFO, VIRTIO_GPU_CMD_RESOURCE_FLUSH,
	VIRTIO_GPU_CMD_GET_CAPSET_INFO, 0xffffffff};

/* Of good commands and of bad ones. */
static void fences_are_echoed(void **state)
{
	static const uint64_t ids[] = {0, 1, 0xffffffff, 0x100000005, UINT64_MAX};

	(void)state;
	device_begin(&(struct device_setup){0});
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
			struct virtio_gpu_ctrl_hdr r =
				run((struct virtio_gpu_ctrl_hdr){.type = htole32(kinds[k]),
					.flags = htole32(VIRTIO_GPU_FLAG_FENCE),
					.fence_id = htole64(ids[i]),
					.ctx_id = htole32(0x1234567)});

			assert_int_equal(le32toh(r.flags), VIRTIO_GPU_FLAG_FENCE);
			assert_true(le64toh(r.fence_id) == ids[i]);
			assert_int_equal(le32toh(r.ctx_id), 0x1234567);
			assert_int_equal(r.ring_idx, 0);
		}
}

static void ring_index_is_echoed(void **state)
{
	const uint32_t both = VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX;
	struct virtio_gpu_ctrl_hdr r;

	(void)state;
	device_begin(&(struct device_setup){0});
	r = run((struct virtio_gpu_ctrl_hdr){.type = htole32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
		.flags = htole32(both | 0xf0),
		.fence_id = htole64(77),
		.ring_idx = 63});
	assert_int_equal(le32toh(r.flags), both);
	assert_int_equal(r.ring_idx, 63);
}

static void no_fence_no_echo(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){0});
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
		struct virtio_gpu_ctrl_hdr r =
			run((struct virtio_gpu_ctrl_hdr){.type = htole32(kinds[k]),
				.flags = htole32(VIRTIO_GPU_FLAG_INFO_RING_IDX),
				.fence_id = UINT64_MAX,
				.ctx_id = UINT32_MAX,
				.ring_idx = 9});
		struct virtio_gpu_ctrl_hdr wanted = {.type = r.type};

		assert_memory_equal(&r, &wanted, sizeof(r));
	}
}

/* A flush that waits for a display has its fence, too, and others overtake it. */
static void late_fences(void **state)
{
	struct virtio_gpu_resource_flush m = {
		.hdr = {.type = htole32(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
			.flags = htole32(VIRTIO_GPU_FLAG_FENCE),
			.fence_id = htole64(0x123456789a)},
		.r = GPU_RECT(0, 0, 2200, 2200),
		.resource_id = htole32(1)};
	int ticket;

	(void)state;
	device_begin(&(struct device_setup){.peer = true});
	device_make(1, 2200, 2200, 1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, m.r), OK);
	dev.peer.stop_reading = true;
	ticket = device_submit(&m, sizeof(m));
	run((struct virtio_gpu_ctrl_hdr){.type = htole32(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
		.flags = htole32(VIRTIO_GPU_FLAG_FENCE),
		.fence_id = htole64(0x123456789b)});
	assert_false(device_is_done(ticket));
	dev.peer.stop_reading = false;
	device_collect(ticket);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(edid_of_each_size),
		TEST(sixteen_outputs),
		TEST(no_such_scanout),
		TEST(configuration),
		TEST(uuids),
		TEST(fences_are_echoed),
		TEST(ring_index_is_echoed),
		TEST(no_fence_no_echo),
		TEST(late_fences),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_answers", tests, NULL, NULL);
}
