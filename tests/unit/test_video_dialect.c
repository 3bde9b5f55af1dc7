/* SPDX-License-Identifier: MIT */
/* Requests and responses of virtio-video as bytes, written here without the structs and numbers that the
 * dialect reads them with. */
#include "unit.h"
#include "video/dialect.h"

static uint8_t bytes[512];
static size_t len;
static struct video_request request;

static void put32(uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		bytes[len++] = (uint8_t)(v >> (8 * i));
}

static void put64(uint64_t v)
{
	put32((uint32_t)v);
	put32((uint32_t)(v >> 32));
}

static void begin(uint32_t type)
{
	memset(bytes, 0xee, sizeof(bytes));
	len = 0;
	put32(type);
	put32(0x01020304);
}

/* From pieces of 5 bytes, which cut fields. */
static enum video_error decode(void)
{
	struct iovec iov[120];
	unsigned n = 0;

	for (size_t at = 0; at < len; at += 5)
		iov[n++] = (struct iovec){bytes + at, len - at < 5 ? len - at : 5};
	memset(&request, 0xdd, sizeof(request));
	return dialect_v3.decode(iov, n, &request);
}

/* Right as it is; and refused when the last byte is missing. */
static void expect(enum video_what what)
{
	assert_int_equal(decode(), VIDEO_OK);
	assert_int_equal(request.what, what);
	assert_int_equal(request.stream, 0x01020304);
	len--;
	assert_int_equal(decode(), VIDEO_ERR_INVALID_PARAMETER);
	assert_int_equal(request.what, len < 8 ? VIDEO_WHATS : what);
	len++;
	assert_int_equal(decode(), VIDEO_OK);
}

/* ---- requests ---- */

static void of_one_queue(void **state)
{
	static const struct {
		uint32_t type;
		enum video_what what;
	} commands[] = {{0x100, VIDEO_QUERY_CAPABILITY}, {0x106, VIDEO_RESOURCE_DESTROY_ALL},
		{0x107, VIDEO_QUEUE_CLEAR}, {0x108, VIDEO_GET_PARAMS}};

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		for (uint32_t queue = 0xff; queue <= 0x102; queue++) {
			begin(commands[i].type);
			put32(queue);
			put32(0);
			if (queue == 0xff || queue == 0x102) {
				assert_int_equal(decode(), VIDEO_ERR_INVALID_PARAMETER);
				continue;
			}
			expect(commands[i].what);
			assert_int_equal(
				request.queue, queue == 0x100 ? VIDEO_INPUT : VIDEO_OUTPUT);
		}
}

static void of_a_stream(void **state)
{
	(void)state;
	begin(0x102);
	assert_int_equal(decode(), VIDEO_OK);
	assert_int_equal(request.what, VIDEO_STREAM_DESTROY);
	begin(0x103);
	assert_int_equal(decode(), VIDEO_OK);
	assert_int_equal(request.what, VIDEO_STREAM_DRAIN);
	assert_int_equal(request.stream, 0x01020304);
	len = 7;
	assert_int_equal(decode(), VIDEO_ERR_INVALID_PARAMETER);
}

static void create(void **state)
{
	static const struct {
		uint32_t number;
		enum video_format format;
	} formats[] = {{0x1000, VIDEO_MPEG2}, {0x1001, VIDEO_MPEG4}, {0x1002, VIDEO_H264},
		{0x1003, VIDEO_HEVC}, {0x1004, VIDEO_VP8}, {0x1005, VIDEO_VP9}, {3, VIDEO_NV12},
		{4, VIDEO_I420}, {0, VIDEO_NONE}, {1, VIDEO_NONE}, {0x1006, VIDEO_NONE},
		{0xffffffff, VIDEO_NONE}};

	(void)state;
	for (unsigned i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		begin(0x101);
		put32(0);
		put32(i % 3 == 0 ? 1 : 0);
		put32(formats[i].number);
		put32(0);
		memset(bytes + len, 'x', 64);
		len += 64;
		expect(VIDEO_STREAM_CREATE);
		assert_int_equal(request.create.coded, formats[i].format);
		assert_int_equal(request.create.pages, i % 3 != 0);
		assert_int_equal(strlen(request.create.tag), 64);
	}
}

static void put_resource(uint32_t layout, uint32_t n_planes)
{
	begin(0x104);
	put32(0x101);
	put32(77);
	put32(layout);
	put32(n_planes);
	for (uint32_t i = 0; i < 8; i++)
		put32(1000 + i);
	for (uint32_t i = 0; i < 8; i++)
		put32(i + 1);
}

static void resource(void **state)
{
	(void)state;
	for (uint32_t layout = 0; layout < 4; layout++)
		for (uint32_t n = 0; n < 10; n++) {
			put_resource(layout, n);
			if (n < 1 || n > 8 || layout < 1 || layout > 2) {
				assert_int_equal(decode(), VIDEO_ERR_INVALID_PARAMETER);
				continue;
			}
			expect(VIDEO_RESOURCE_CREATE);
			assert_int_equal(request.queue, VIDEO_OUTPUT);
			assert_int_equal(request.resource.id, 77);
			assert_int_equal(request.resource.per_plane, layout == 2);
			assert_int_equal(request.resource.n_planes, n);
			assert_int_equal(request.resource.offsets[7], 1007);
			assert_int_equal(video_n_entries(&request), n * (n + 1) / 2);
		}
}

static void entries(void **state)
{
	struct video_entry read[3];
	struct iovec iov[2] = {{bytes, 100}, {bytes + 100, 0}};

	(void)state;
	put_resource(2, 2);
	for (uint32_t i = 0; i < 3; i++) {
		put64(0x100000000ull + i);
		put32(50 + i);
		put32(0xffffffff);
	}
	assert_int_equal(decode(), VIDEO_OK);
	iov[1].iov_len = len - 100;
	assert_true(dialect_v3.entries(iov, 2, &request, read));
	assert_true(read[2].gpa == 0x100000002ull && read[2].len == 52);
	assert_true(read[0].gpa == 0x100000000ull && read[0].len == 50);
	iov[1].iov_len--;
	assert_false(dialect_v3.entries(iov, 2, &request, read));
}

/* Numbers of entries whose sum is none of 32 bits. */
static void entries_beyond_all(void **state)
{
	(void)state;
	request = (struct video_request){.resource = {.n_planes = 2, .n_entries = {0xffffffff, 2}}};
	assert_int_equal(video_n_entries(&request), UINT32_MAX);
}

static void buffer(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 10; n++) {
		begin(0x105);
		put32(0x100);
		put32(9);
		put64(0x1122334455667788);
		put32(n);
		for (uint32_t i = 0; i < 8; i++)
			put32(500 + i);
		put32(0);
		if (n > 8) {
			assert_int_equal(decode(), VIDEO_ERR_INVALID_PARAMETER);
			continue;
		}
		expect(VIDEO_RESOURCE_QUEUE);
		assert_int_equal(request.queue, VIDEO_INPUT);
		assert_int_equal(request.buffer.id, 9);
		assert_true(request.buffer.timestamp == 0x1122334455667788);
		assert_int_equal(request.buffer.n_sizes, n);
		assert_int_equal(request.buffer.sizes[7], 507);
	}
}

static void put_params(uint32_t n_planes)
{
	put32(0x101);
	put32(3);
	for (uint32_t i = 0; i < 9; i++) // width, height, buffers, crop, rate
		put32(100 + i);
	put32(n_planes);
	for (uint32_t i = 0; i < 16; i++)
		put32(200 + i);
}

static void params(void **state)
{
	(void)state;
	begin(0x109);
	put_params(8);
	expect(VIDEO_SET_PARAMS);
	assert_int_equal(request.params.queue, VIDEO_OUTPUT);
	assert_int_equal(request.params.format, VIDEO_NV12);
	assert_int_equal(request.params.width, 100);
	assert_int_equal(request.params.height, 101);
	assert_int_equal(request.params.min_buffers, 102);
	assert_int_equal(request.params.max_buffers, 103);
	assert_int_equal(request.params.crop.left, 104);
	assert_int_equal(request.params.crop.height, 107);
	assert_int_equal(request.params.frame_rate, 108);
	assert_int_equal(request.params.planes[7].size, 214);
	assert_int_equal(request.params.planes[7].stride, 215);
	begin(0x109);
	put_params(9);
	assert_int_equal(decode(), VIDEO_ERR_INVALID_PARAMETER);
}

static void controls(void **state)
{
	(void)state;
	for (uint32_t control = 0; control < 5; control++) {
		enum video_error right =
			control >= 1 && control <= 3 ? VIDEO_OK : VIDEO_ERR_UNSUPPORTED_CONTROL;

		for (uint32_t type = 0x10a; type <= 0x10c; type++) {
			begin(type);
			put32(control);
			put32(0);
			put32(0x1002);
			put32(0);
			assert_int_equal(decode(), right);
			assert_int_equal(request.what, VIDEO_QUERY_CONTROL + (int)(type - 0x10a));
			if (!right)
				assert_int_equal(request.control.id, control - 1);
		}
		assert_int_equal(request.control.value, 0x1002);
	}
	begin(0x10a);
	put32(2);
	put32(0);
	put32(0x1004);
	put32(0);
	assert_int_equal(decode(), VIDEO_OK);
	assert_int_equal(request.control.format, VIDEO_VP8);
	len = 16; // a bit rate is asked for without a format
	expect(VIDEO_QUERY_CONTROL);
	assert_int_equal(request.control.format, VIDEO_NONE);
	begin(0x10c);
	put32(1);
	put32(0);
	put32(5);
	put32(0);
	expect(VIDEO_SET_CONTROL);
}

static void unknown(void **state)
{
	static const uint32_t types[] = {0, 0xff, 0x10d, 0x10e, 0x200, 0xffffffff};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		begin(types[i]);
		assert_int_equal(decode(), VIDEO_ERR_INVALID_OPERATION);
		assert_int_equal(request.what, VIDEO_WHATS);
		assert_int_equal(request.stream, 0x01020304);
	}
	len = 0;
	assert_int_equal(decode(), VIDEO_ERR_INVALID_OPERATION);
}

/* ---- responses ---- */

static uint8_t said[VIDEO_RESPONSE_MAX];

static size_t encode(struct video_response r)
{
	r.stream = 0x01020304;
	memset(said, 0xee, sizeof(said));
	return dialect_v3.encode(&r, said);
}

/* What was put() is what was said. */
static void expect_said(size_t n)
{
	assert_int_equal(n, len);
	assert_memory_equal(said, bytes, len);
}

static void plain_responses(void **state)
{
	(void)state;
	for (unsigned what = 0; what < VIDEO_WHATS; what++)
		for (unsigned error = VIDEO_ERR_INVALID_OPERATION;
			error <= VIDEO_ERR_UNSUPPORTED_CONTROL; error++) {
			begin(0x2ff + error);
			expect_said(encode((struct video_response){
				.what = (enum video_what)what, .error = (enum video_error)error}));
		}
	begin(0x300);
	expect_said(encode((struct video_response){
		.what = VIDEO_WHATS, .error = VIDEO_ERR_INVALID_OPERATION}));
	begin(0x200);
	expect_said(encode((struct video_response){.what = VIDEO_STREAM_DRAIN}));
}

static void buffer_response(void **state)
{
	(void)state;
	begin(0x202);
	put64(0x8877665544332211);
	put32(1);
	put32(55);
	expect_said(encode((struct video_response){.what = VIDEO_RESOURCE_QUEUE,
		.buffer = {0x8877665544332211, VIDEO_BUFFER_ERROR, 55}}));
	len -= 8;
	put32(2);
	put32(0);
	expect_said(encode((struct video_response){.what = VIDEO_RESOURCE_QUEUE,
		.buffer = {0x8877665544332211, VIDEO_BUFFER_EOS, 0}}));
}

static void params_response(void **state)
{
	(void)state;
	begin(0x109);
	put_params(2);
	assert_int_equal(decode(), VIDEO_OK);
	memset(bytes + 8 + 48 + 16, 0, 48); // planes that there are not
	bytes[0] = 0x03;
	bytes[1] = 0x02;
	expect_said(encode(
		(struct video_response){.what = VIDEO_GET_PARAMS, .params = &request.params}));
}

static void control_responses(void **state)
{
	static const uint32_t values[] = {0x100, 0x101, 0x103};

	(void)state;
	begin(0x204);
	put32(3);
	put32(0);
	for (unsigned i = 0; i < 3; i++)
		put32(values[i]);
	expect_said(
		encode((struct video_response){.what = VIDEO_QUERY_CONTROL, .list = {values, 3}}));
	begin(0x205);
	put32(0x103);
	put32(0);
	expect_said(encode((struct video_response){.what = VIDEO_GET_CONTROL, .value = 0x103}));
}

static const struct video_caps caps = {
	.n_coded = 2,
	.n_raw = 2,
	.coded = {{VIDEO_H264, 3, 16, 4096, 16, 2304}, {VIDEO_VP8, 1, 2, 1024, 2, 8192}},
	.raw = {VIDEO_NV12, VIDEO_I420},
};

static void put_desc(uint64_t mask, uint32_t format, uint32_t layouts, const uint32_t *sizes)
{
	put64(mask);
	put32(format);
	put32(layouts);
	put32(1);
	put32(1);
	for (unsigned i = 0; i < 2; i++) {
		put32(sizes[2 * i]);
		put32(sizes[2 * i + 1]);
		put32(1);
		put32(0);
	}
	put32(1);
	put32(0);
	put32(1);
	put32(240);
	put32(1);
	put32(0);
}

static void capability(void **state)
{
	static const uint32_t h264[] = {16, 4096, 16, 2304}, vp8[] = {2, 1024, 2, 8192},
			      both[] = {2, 4096, 2, 8192};

	(void)state;
	begin(0x201);
	put32(2);
	put32(0);
	put_desc(3, 0x1002, 1, h264);
	put_desc(1, 0x1004, 1, vp8);
	expect_said(encode((struct video_response){
		.what = VIDEO_QUERY_CAPABILITY, .capability = {&caps, VIDEO_INPUT}}));
	begin(0x201);
	put32(2);
	put32(0);
	put_desc(3, 3, 3, both);
	put_desc(1, 4, 3, h264);
	expect_said(encode((struct video_response){
		.what = VIDEO_QUERY_CAPABILITY, .capability = {&caps, VIDEO_OUTPUT}}));
}

/* However much there is, it has room. */
static void largest_capability(void **state)
{
	struct video_caps all = {.n_raw = 2, .raw = {VIDEO_NV12, VIDEO_I420}};

	(void)state;
	for (unsigned f = VIDEO_RAW_END; f < VIDEO_FORMATS; f++)
		all.coded[all.n_coded++] =
			(struct video_coded){(enum video_format)f, 3, 1, 8192, 1, 8192};
	assert_true(encode((struct video_response){
			    .what = VIDEO_QUERY_CAPABILITY, .capability = {&all, VIDEO_INPUT}})
		<= VIDEO_RESPONSE_MAX);
}

static void config_and_events(void **state)
{
	uint8_t out[VIDEO_CONFIG_MAX];

	(void)state;
	len = 0;
	put32(0);
	put32(16 + 2 * 80);
	put32(VIDEO_RESPONSE_MAX);
	assert_int_equal(dialect_v3.config(&caps, out), len);
	assert_memory_equal(out, bytes, len);
	begin(0x100);
	assert_int_equal(dialect_v3.event(VIDEO_EVENT_ERROR, 0x01020304, out), 8);
	assert_memory_equal(out, bytes, 8);
	begin(0x200);
	assert_int_equal(dialect_v3.event(VIDEO_EVENT_RESOLUTION_CHANGED, 0x01020304, out), 8);
	assert_memory_equal(out, bytes, 8);
}

static void knows(void **state)
{
	(void)state;
	assert_true(dialect_v3.knows(VIDEO_NV12) && dialect_v3.knows(VIDEO_VP9));
	assert_false(dialect_v3.knows(VIDEO_NONE) || dialect_v3.knows(VIDEO_AV1)
		|| dialect_v3.knows(VIDEO_FORMATS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_one_queue),
		cmocka_unit_test(of_a_stream),
		cmocka_unit_test(create),
		cmocka_unit_test(resource),
		cmocka_unit_test(entries),
		cmocka_unit_test(entries_beyond_all),
		cmocka_unit_test(buffer),
		cmocka_unit_test(params),
		cmocka_unit_test(controls),
		cmocka_unit_test(unknown),
		cmocka_unit_test(plain_responses),
		cmocka_unit_test(buffer_response),
		cmocka_unit_test(params_response),
		cmocka_unit_test(control_responses),
		cmocka_unit_test(capability),
		cmocka_unit_test(largest_capability),
		cmocka_unit_test(config_and_events),
		cmocka_unit_test(knows),
	};

	return cmocka_run_group_tests_name("video_dialect", tests, NULL, NULL);
}
