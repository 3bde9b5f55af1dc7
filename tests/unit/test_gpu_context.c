/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "gpu/context.h"

#include <linux/virtio_gpu.h>

static struct gpu_contexts cs;
static char one, two; // renderers stand for themselves
#define ONE ((struct remote *)&one)
#define TWO ((struct remote *)&two)

static int finish(void **state)
{
	(void)state;
	gpu_contexts_destroy(&cs);
	assert_int_equal(cs.n, 0);
	return 0;
}

static void test_ids(void **state)
{
	(void)state;
	assert_int_equal(gpu_context_create(&cs, 0, ONE), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_int_equal(gpu_context_create(&cs, UINT32_MAX, ONE), 0);
	assert_int_equal(gpu_context_create(&cs, 1, ONE), 0);
	assert_int_equal(gpu_context_create(&cs, 1, ONE), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
	assert_null(gpu_context_find(&cs, 2));
	assert_null(gpu_context_find(&cs, 0));
	for (unsigned i = 0; i < 3; i++) { // whichever was looked for last
		assert_int_equal(gpu_context_find(&cs, UINT32_MAX)->id, UINT32_MAX);
		assert_int_equal(gpu_context_find(&cs, 1)->id, 1);
	}
	gpu_context_destroy(&cs, gpu_context_find(&cs, UINT32_MAX));
	assert_null(gpu_context_find(&cs, UINT32_MAX));
	assert_int_equal(gpu_context_find(&cs, 1)->id, 1);
}

static void test_lost(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= 4; id++)
		assert_int_equal(gpu_context_create(&cs, id, id % 2 ? ONE : TWO), 0);
	gpu_contexts_lose(&cs, ONE);
	assert_int_equal(gpu_context_create(&cs, 5, ONE), 0);
	for (uint32_t id = 1; id <= 5; id++) {
		assert_ptr_equal(gpu_context_find(&cs, id)->renderer, id % 2 ? ONE : TWO);
		assert_int_equal(gpu_context_find(&cs, id)->lost, id == 1 || id == 3);
	}
	assert_int_equal(gpu_context_create(&cs, 3, TWO), VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID);
}

static void test_bound(void **state)
{
	(void)state;
	for (uint32_t id = 1; id <= GPU_CONTEXTS_MAX; id++)
		assert_int_equal(gpu_context_create(&cs, id, ONE), 0);
	assert_int_equal(gpu_context_create(&cs, GPU_CONTEXTS_MAX + 1, ONE),
		VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
	gpu_context_destroy(&cs, gpu_context_find(&cs, 7));
	assert_int_equal(gpu_context_create(&cs, GPU_CONTEXTS_MAX + 1, ONE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_ids, finish),
		cmocka_unit_test_teardown(test_lost, finish),
		cmocka_unit_test_teardown(test_bound, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
