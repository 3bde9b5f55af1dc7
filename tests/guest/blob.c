/* SPDX-License-Identifier: MIT */
/*
 * blob COUNT [CAPSET]: in a guest, as its renderer's driver would: a context (of capability set 2), COUNT blobs
 * of the renderer's, each mapped. A blob begins with its resource's number, as the renderer wrote it; what is
 * written behind that is there again through a second mapping. The stand-in for gfxstream (set 3) writes when it
 * is told, by a command with a fence of the context's second ring. Ends with 0 when all of that is so.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/virtio_gpu.h>

#include "tests/device/gfxstream_lib.h"
#include "tests/shim/virtgpu.h"

#define VIRTGPU(request, type) _IOWR('d', request, type)

enum { SIZE = 3 * 4096, CAPSET = 2, CAPSET_GFXSTREAM = 3 };

static int card;
static uint32_t capset = CAPSET;

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static volatile uint32_t *map(uint32_t handle)
{
	struct virtgpu_map m = {.handle = handle};
	void *at;

	if (ioctl(card, VIRTGPU(VIRTGPU_MAP, m), &m) < 0)
		return NULL;
	at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t)m.offset);
	return at == MAP_FAILED ? NULL : at;
}

static int paint(uint32_t handle, uint32_t res)
{
	const uint32_t order[] = {ORDER_PAINT, res, res};
	struct virtgpu_execbuffer e = {.flags = VIRTGPU_RING_IDX,
		.ring_idx = 1,
		.size = sizeof(order),
		.command = (uintptr_t)order,
		.bo_handles = (uintptr_t)&handle,
		.num_bo_handles = 1};
	struct virtgpu_wait w = {.handle = handle};

	if (ioctl(card, VIRTGPU(VIRTGPU_EXECBUFFER, e), &e) < 0)
		return -1;
	return ioctl(card, VIRTGPU(VIRTGPU_WAIT, w), &w);
}

/* One blob, which goes away with `card` at the latest. */
static int try_blob(uint32_t number)
{
	struct virtgpu_create_blob b = {.blob_mem = VIRTIO_GPU_BLOB_MEM_HOST3D,
		.blob_flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
		.size = SIZE};
	volatile uint32_t *first, *second;

	if (ioctl(card, VIRTGPU(VIRTGPU_RESOURCE_CREATE_BLOB, b), &b) < 0)
		return fail("create");
	first = map(b.bo_handle);
	second = map(b.bo_handle);
	if (!first || !second)
		return fail("map");
	if (capset == CAPSET_GFXSTREAM && paint(b.bo_handle, b.res_handle) < 0)
		return fail("paint");
	if (first[0] != b.res_handle)
		return fprintf(stderr, "resource %u begins with %u\n", b.res_handle, first[0]), 1;
	first[SIZE / 4 - 1] = number;
	if (second[SIZE / 4 - 1] != number)
		return fprintf(stderr, "blob %u: what was written is not there\n", number), 1;
	printf("res=%u\n", b.res_handle);
	return 0;
}

int main(int argc, char **argv)
{
	struct virtgpu_context_param params[] = {
		{VIRTGPU_CONTEXT_CAPSET, CAPSET}, {VIRTGPU_CONTEXT_RINGS, 2}};
	struct virtgpu_context_init init = {.num_params = 2, .ctx_set_params = (uintptr_t)params};
	int count = argc > 1 ? atoi(argv[1]) : 1;

	if (argc > 2)
		capset = (uint32_t)atoi(argv[2]);
	params[0].value = capset;

	card = open("/dev/dri/renderD128", O_RDWR);
	if (card < 0)
		return fail("renderD128");
	if (ioctl(card, VIRTGPU(VIRTGPU_CONTEXT_INIT, init), &init) < 0)
		return fail("context");
	for (int i = 0; i < count; i++)
		if (try_blob(0x1000u + (uint32_t)i))
			return 1;
	return 0;
}
