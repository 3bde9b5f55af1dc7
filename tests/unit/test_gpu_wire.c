/* SPDX-License-Identifier: MIT */
/* Commands as bytes, written here without the structs that the decoder reads them with. */
#include "unit.h"
#include "gpu/wire.h"

enum { HEADER = 24, COMMAND_MAX = 128 };

static uint8_t bytes[COMMAND_MAX];
static size_t len;
static struct gpu_request request;

static void put(uint64_t v, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		bytes[len++] = (uint8_t)(v >> (8 * i));
}

static void put32(uint32_t v)
{
	put(v, 4);
}

/* A header with something in each field. */
static void begin(uint32_t type)
{
	memset(bytes, 0xee, sizeof(bytes));
	len = 0;
	put32(type);
	put32(VIRTIO_GPU_FLAG_FENCE | 0x100);
	put(0x1122334455667788, 8);
	put32(0x99aabbcc);
	put(5, 1);
	put(0, 3);
	assert_int_equal(len, HEADER);
}

static void put_rect(uint32_t first)
{
	for (uint32_t i = 0; i < 4; i++)
		put32(first + i);
}

static void assert_rect(struct gpu_rect r, uint32_t first)
{
	assert_int_equal(r.x, first);
	assert_int_equal(r.y, first + 1);
	assert_int_equal(r.width, first + 2);
	assert_int_equal(r.height, first + 3);
}

static uint32_t decode(size_t n)
{
	const struct iovec iov[3] = {
		{bytes, n / 3}, {bytes + n / 3, 0}, {bytes + n / 3, n - n / 3}};

	memset(&request, 0xdd, sizeof(request));
	return gpu_wire_decode(iov, 3, &request);
}

static void assert_header(uint32_t type)
{
	assert_int_equal(request.hdr.type, type);
	assert_int_equal(request.hdr.flags, VIRTIO_GPU_FLAG_FENCE | 0x100);
	assert_int_equal(request.hdr.fence_id, 0x1122334455667788);
	assert_int_equal(request.hdr.ctx_id, 0x99aabbcc);
	assert_int_equal(request.hdr.ring_idx, 5);
}

/* What was put is a command; no shorter one is, and what follows is not looked at. */
static void decode_ok(void)
{
	uint32_t type = bytes[0] | (uint32_t)bytes[1] << 8;

	for (size_t n = 0; n < len; n++) {
		assert_int_equal(decode(n), VIRTIO_GPU_RESP_ERR_UNSPEC);
		if (n >= HEADER)
			assert_header(type); // for the fence of the answer
	}
	assert_int_equal(decode(sizeof(bytes)), 0);
	assert_header(type);
	assert_int_equal(decode(len), 0);
	assert_header(type);
}

static void test_without_payload(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_GET_DISPLAY_INFO);
	decode_ok();
}

static void test_create_2d(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D);
	for (uint32_t i = 11; i < 15; i++)
		put32(i);
	decode_ok();
	assert_int_equal(request.resource_id, 11);
	assert_int_equal(request.create_2d.format, 12);
	assert_int_equal(request.create_2d.width, 13);
	assert_int_equal(request.create_2d.height, 14);
}

static void test_resource_only(void **state)
{
	const uint32_t types[] = {VIRTIO_GPU_CMD_RESOURCE_UNREF,
		VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		begin(types[i]);
		put32(0xfedcba98);
		put32(0);
		decode_ok();
		assert_int_equal(request.resource_id, 0xfedcba98);
	}
}

static void test_set_scanout(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_SET_SCANOUT);
	put_rect(0xfffffff0);
	put32(3);
	put32(4);
	decode_ok();
	assert_rect(request.set_scanout.rect, 0xfffffff0);
	assert_int_equal(request.set_scanout.scanout_id, 3);
	assert_int_equal(request.resource_id, 4);
}

static void test_flush(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_RESOURCE_FLUSH);
	put_rect(20);
	put32(7);
	put32(0);
	decode_ok();
	assert_rect(request.flush.rect, 20);
	assert_int_equal(request.resource_id, 7);
}

static void test_transfer_2d(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D);
	put_rect(30);
	put(0xfedcba9876543210, 8);
	put32(8);
	put32(0);
	decode_ok();
	assert_rect(request.transfer_2d.rect, 30);
	assert_int_equal(request.transfer_2d.offset, 0xfedcba9876543210);
	assert_int_equal(request.resource_id, 8);
}

static void test_attach_backing(void **state)
{
	const struct virtio_gpu_mem_entry *wire = (const void *)(bytes + 32);
	struct gpu_mem_entry e;

	(void)state;
	begin(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING);
	put32(9);
	put32(UINT32_MAX);
	decode_ok();
	assert_int_equal(request.resource_id, 9);
	assert_int_equal(request.attach_backing.n_entries, UINT32_MAX);
	assert_int_equal(GPU_WIRE_ENTRIES_AT, len);
	assert_int_equal(GPU_WIRE_ENTRY_SIZE, 16);
	put(0x8877665544332211, 8);
	put32(0xf1f2f3f4);
	e = gpu_wire_entry(wire);
	assert_int_equal(e.addr, 0x8877665544332211);
	assert_int_equal(e.length, 0xf1f2f3f4);
}

static void test_get_edid(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_GET_EDID);
	put32(15);
	put32(0);
	decode_ok();
	assert_int_equal(request.get_edid.scanout_id, 15);
}

static void test_cursor(void **state)
{
	const uint32_t types[] = {VIRTIO_GPU_CMD_UPDATE_CURSOR, VIRTIO_GPU_CMD_MOVE_CURSOR};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin(types[i]);
		for (uint32_t v = 41; v < 49; v++)
			put32(v);
		decode_ok();
		assert_int_equal(request.cursor.scanout_id, 41);
		assert_int_equal(request.cursor.x, 42);
		assert_int_equal(request.cursor.y, 43);
		assert_int_equal(request.resource_id, 45); // 44 is padding
		assert_int_equal(request.cursor.hot_x, 46);
		assert_int_equal(request.cursor.hot_y, 47);
	}
}

/* ---- 3D ---- */

static void test_capsets(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_GET_CAPSET_INFO);
	put32(51);
	put32(0);
	decode_ok();
	assert_int_equal(request.get_capset_info.index, 51);
	begin(VIRTIO_GPU_CMD_GET_CAPSET);
	put32(52);
	put32(53);
	decode_ok();
	assert_int_equal(request.get_capset.id, 52);
	assert_int_equal(request.get_capset.version, 53);
}

static void test_ctx_create(void **state)
{
	const uint32_t lens[] = {0, 7, GPU_CONTEXT_NAME_MAX, GPU_CONTEXT_NAME_MAX + 1, UINT32_MAX};
	char name[GPU_CONTEXT_NAME_MAX];

	(void)state;
	for (unsigned i = 0; i < sizeof(name); i++)
		name[i] = (char)('a' + i % 26);
	for (unsigned i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		uint32_t kept = lens[i] < sizeof(name) ? lens[i] : (uint32_t)sizeof(name);

		begin(VIRTIO_GPU_CMD_CTX_CREATE);
		put32(lens[i]);
		put32(0x7700 + i);
		memcpy(bytes + len, name, sizeof(name));
		len += sizeof(name);
		decode_ok();
		assert_int_equal(request.ctx_create.init, 0x7700 + i);
		assert_int_equal(request.ctx_create.name_len, kept);
		assert_memory_equal(request.ctx_create.name, name, kept);
		for (unsigned at = kept; at < sizeof(name); at++)
			assert_int_equal(request.ctx_create.name[at], 0);
	}
}

static void test_of_context(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_CTX_DESTROY);
	decode_ok();
	for (unsigned i = 0; i < 2; i++) {
		begin(i ? VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE : VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE);
		put32(0xfedcba97);
		put32(0);
		decode_ok();
		assert_int_equal(request.resource_id, 0xfedcba97);
	}
}

static void test_create_3d(void **state)
{
	const struct gpu_texture *t = &request.create_3d;

	(void)state;
	begin(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D);
	for (uint32_t v = 60; v < 72; v++)
		put32(v);
	decode_ok();
	assert_int_equal(request.resource_id, 60);
	assert_int_equal(t->target, 61);
	assert_int_equal(t->format, 62);
	assert_int_equal(t->bind, 63);
	assert_int_equal(t->width, 64);
	assert_int_equal(t->height, 65);
	assert_int_equal(t->depth, 66);
	assert_int_equal(t->array_size, 67);
	assert_int_equal(t->last_level, 68);
	assert_int_equal(t->nr_samples, 69);
	assert_int_equal(t->flags, 70);
}

static void test_transfer_3d(void **state)
{
	const uint32_t types[] = {
		VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D};
	const struct gpu_box *box = &request.transfer_3d.box;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin(types[i]);
		for (uint32_t v = 80; v < 86; v++)
			put32(v);
		put(0xfedcba9876543211, 8);
		for (uint32_t v = 86; v < 90; v++)
			put32(v);
		decode_ok();
		assert_int_equal(box->x, 80);
		assert_int_equal(box->y, 81);
		assert_int_equal(box->z, 82);
		assert_int_equal(box->width, 83);
		assert_int_equal(box->height, 84);
		assert_int_equal(box->depth, 85);
		assert_int_equal(request.transfer_3d.offset, 0xfedcba9876543211);
		assert_int_equal(request.resource_id, 86);
		assert_int_equal(request.transfer_3d.level, 87);
		assert_int_equal(request.transfer_3d.stride, 88);
		assert_int_equal(request.transfer_3d.layer_stride, 89);
	}
}

static void test_submit(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_SUBMIT_3D);
	put32(0xfffffffc);
	put32(0);
	decode_ok();
	assert_int_equal(request.submit.size, 0xfffffffc);
	assert_int_equal(GPU_WIRE_STREAM_AT, len);
}

static void test_create_blob(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB);
	put32(0x11);
	put32(0x12);
	put32(0x13);
	put32(0x14);
	put(0x1500000000000001, 8);
	put(0x1600000000000002, 8);
	decode_ok();
	assert_int_equal(request.resource_id, 0x11);
	assert_int_equal(request.create_blob.mem, 0x12);
	assert_int_equal(request.create_blob.flags, 0x13);
	assert_int_equal(request.create_blob.n_entries, 0x14);
	assert_int_equal(request.create_blob.id, 0x1500000000000001);
	assert_int_equal(request.create_blob.size, 0x1600000000000002);
	assert_int_equal(GPU_WIRE_BLOB_ENTRIES_AT, len);
}

static void test_set_scanout_blob(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_SET_SCANOUT_BLOB);
	put_rect(0x21);
	for (uint32_t i = 0; i < 14; i++) // scanout, id, w, h, format, padding, strides, offsets
		put32(0x31 + i);
	decode_ok();
	assert_rect(request.set_scanout_blob.rect, 0x21);
	assert_int_equal(request.set_scanout_blob.scanout_id, 0x31);
	assert_int_equal(request.resource_id, 0x32);
	assert_int_equal(request.set_scanout_blob.layout.width, 0x33);
	assert_int_equal(request.set_scanout_blob.layout.height, 0x34);
	assert_int_equal(request.set_scanout_blob.layout.format, 0x35);
	assert_int_equal(request.set_scanout_blob.layout.stride, 0x37);
	assert_int_equal(request.set_scanout_blob.layout.offset, 0x3b);
}

static void test_map_blob(void **state)
{
	(void)state;
	begin(VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB);
	put32(0x41);
	put32(0);
	put(0x4300000000001000, 8);
	decode_ok();
	assert_int_equal(request.resource_id, 0x41);
	assert_int_equal(request.map_blob.offset, 0x4300000000001000);
	begin(VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB);
	put32(0x51);
	put32(0);
	decode_ok();
	assert_int_equal(request.resource_id, 0x51);
}

static void test_unknown(void **state)
{
	const uint32_t types[] = {
		0, 0xff, 0x010e, 0x020a, VIRTIO_GPU_RESP_OK_NODATA, 0x01000000, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
		begin(types[i]);
		assert_int_equal(decode(sizeof(bytes)), VIRTIO_GPU_RESP_ERR_UNSPEC);
		assert_header(types[i]);
		assert_int_equal(request.resource_id, 0);
	}
	assert_int_equal(gpu_wire_decode(NULL, 0, &request), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_int_equal(request.hdr.flags, 0);
}

static void assert_bytes(const void *wire, size_t n)
{
	assert_int_equal(len, n);
	assert_memory_equal(wire, bytes, n);
}

static void test_responses(void **state)
{
	struct gpu_hdr h = {1, VIRTIO_GPU_FLAG_FENCE, 0x0102030405060708, 0x0a0b0c0d, 9};
	struct virtio_gpu_ctrl_hdr r = gpu_wire_response(&h, VIRTIO_GPU_RESP_OK_EDID);

	(void)state;
	len = 0;
	put32(VIRTIO_GPU_RESP_OK_EDID);
	put32(VIRTIO_GPU_FLAG_FENCE);
	put(0x0102030405060708, 8);
	put32(0x0a0b0c0d);
	put32(9);
	assert_bytes(&r, sizeof(r));
	h.flags = UINT32_MAX; // only what is known comes back
	r = gpu_wire_response(&h, 1);
	memcpy(bytes, &r, 8);
	assert_int_equal(bytes[4], VIRTIO_GPU_FLAG_FENCE | VIRTIO_GPU_FLAG_INFO_RING_IDX);
	assert_int_equal(bytes[5] | bytes[6] | bytes[7], 0);
	h.flags = VIRTIO_GPU_FLAG_INFO_RING_IDX; // without a fence there is nothing to echo
	r = gpu_wire_response(&h, VIRTIO_GPU_RESP_ERR_UNSPEC);
	len = 0;
	put32(VIRTIO_GPU_RESP_ERR_UNSPEC);
	put(0, 8);
	put(0, 8);
	put32(0);
	assert_bytes(&r, sizeof(r));
}

static void test_rects(void **state)
{
	const struct gpu_rect rect = {0x01020304, 0x05060708, 0x090a0b0c, 0x0d0e0f10};
	struct virtio_gpu_rect wire = gpu_wire_rect(&rect);

	(void)state;
	len = 0;
	put32(rect.x);
	put32(rect.y);
	put32(rect.width);
	put32(rect.height);
	assert_bytes(&wire, sizeof(wire));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_payload),
		cmocka_unit_test(test_create_2d),
		cmocka_unit_test(test_resource_only),
		cmocka_unit_test(test_set_scanout),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_transfer_2d),
		cmocka_unit_test(test_attach_backing),
		cmocka_unit_test(test_get_edid),
		cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_capsets),
		cmocka_unit_test(test_ctx_create),
		cmocka_unit_test(test_of_context),
		cmocka_unit_test(test_create_3d),
		cmocka_unit_test(test_transfer_3d),
		cmocka_unit_test(test_submit),
		cmocka_unit_test(test_create_blob),
		cmocka_unit_test(test_set_scanout_blob),
		cmocka_unit_test(test_map_blob),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_rects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
