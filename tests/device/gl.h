/* SPDX-License-Identifier: MIT */
#pragma once
/* What tests of OpenGL by the real virglrenderer share: a context, and pictures of one colour. */
#include "device.h"

#include <endian.h>

#include "driver/gpu_3d.h"

enum { CTX = 1, SIDE = 64, MARK = 0x123456 };

#define ALL GPU_RECT(0, 0, SIDE, SIDE)

/* A daemon with OpenGL. */
static inline void begin(struct device_setup setup)
{
	size_t n = 0;

	while (setup.args[n])
		n++;
	setup.args[n] = "--virgl";
	device_begin(&setup);
}

/* Pages for it. */
static inline uint64_t back(uint32_t id, size_t size)
{
	uint64_t gpa = guest_alloc(&dev.guest, size, 4096);
	const struct virtio_gpu_mem_entry e = {
		.addr = htole64(gpa), .length = htole32((uint32_t)size)};

	assert_true(gpa != GUEST_NOMEM);
	assert_int_equal(gpu_driver_attach(&dev.gpu, id, &e, 1), OK);
	return gpa;
}

/* A picture that contexts may draw on, with pages. */
static inline uint64_t make(uint32_t id, uint32_t format, uint32_t flags)
{
	struct gpu_driver_texture t = VIRGL_PICTURE(format, SIDE, SIDE);
	uint64_t gpa;

	t.flags = flags;
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, id, t), OK);
	gpa = back(id, SIDE * SIDE * 4);
	assert_int_equal(gpu_driver_ctx_attach(&dev.gpu, CTX, id), OK);
	return gpa;
}

static inline void clear(uint32_t id, uint32_t format, uint32_t colour)
{
	uint32_t words[VIRGL_CLEAR_WORDS], n = virgl_clear(words, id, format, colour);

	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, words, n), OK);
}

static inline void show(uint32_t id)
{
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, id, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, ALL), OK);
}

static inline void assert_pixels(uint64_t gpa, uint32_t colour)
{
	const uint32_t *p = guest_ptr(&dev.guest, gpa, SIDE * SIDE * 4);

	for (unsigned i = 0; i < SIDE * SIDE; i++)
		assert_int_equal(le32toh(p[i]) & 0xffffff, colour);
}
