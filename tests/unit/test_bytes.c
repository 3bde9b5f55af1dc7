/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "common/bytes.h"

static void test_byte_order(void **state)
{
	const uint8_t wire[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	__le16 v16;
	__le32 v32;
	__le64 v64;

	(void)state;
	memcpy(&v16, wire, sizeof(v16));
	memcpy(&v32, wire, sizeof(v32));
	memcpy(&v64, wire, sizeof(v64));
	assert_int_equal(le16(v16), 0x0201);
	assert_int_equal(le32(v32), 0x04030201);
	assert_int_equal(le64(v64), 0x0807060504030201);
	v32 = to_le32(0x04030201);
	v64 = to_le64(0x0807060504030201);
	assert_memory_equal(&v32, wire, sizeof(v32));
	assert_memory_equal(&v64, wire, sizeof(v64));
}

static void test_add(void **state)
{
	uint64_t sum = 7;

	(void)state;
	assert_true(add_u64(UINT64_MAX - 1, 1, &sum));
	assert_int_equal(sum, UINT64_MAX);
	assert_false(add_u64(UINT64_MAX, 1, &sum));
	assert_false(add_u64(UINT64_MAX, UINT64_MAX, &sum));
}

static void test_range(void **state)
{
	(void)state;
	assert_true(range_within(0, 0, 0));
	assert_true(range_within(0, 10, 10));
	assert_true(range_within(10, 0, 10));
	assert_true(range_within(3, 7, 10));
	assert_false(range_within(3, 8, 10));
	assert_false(range_within(11, 0, 10));
	assert_false(range_within(0, 11, 10));
	assert_false(range_within(UINT64_MAX, 2, 10));
	assert_false(range_within(5, UINT64_MAX, 10));
	assert_true(range_within(0, UINT64_MAX, UINT64_MAX));
}

static void test_container_of(void **state)
{
	struct outer {
		int a, b;
	} o;

	(void)state;
	assert_ptr_equal(CONTAINER_OF(&o.b, struct outer, b), &o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_container_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
