/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "hand.h"
#include "unit.h"

#include <sys/mman.h>
#include <unistd.h>

static void add_region(struct hand *h, unsigned i, uint64_t gpa, uint64_t size)
{
	struct hand_region *r = &h->regions[i];
	struct gmem *more;

	r->desc = (struct gmem_desc){gpa, size, HAND_UVA + (gpa == HAND_TOP ? 0x1000000 : gpa), 0};
	r->fd = memfd_create("hand", MFD_CLOEXEC);
	assert_true(r->fd >= 0);
	assert_int_equal(ftruncate(r->fd, (off_t)size), 0);
	r->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	assert_true(r->ram != MAP_FAILED);
	assert_int_equal(gmem_add(h->mem, &r->desc, r->fd, &more), 0);
	gmem_unref(h->mem);
	h->mem = more;
}

void hand_init(struct hand *h, unsigned size)
{
	*h = (struct hand){.size = size, .mem = gmem_create()};
	assert_non_null(h->mem);
	add_region(h, 0, 0, HAND_LOW_SIZE);
	add_region(h, 1, HAND_NEXT, HAND_SIZE);
	add_region(h, 2, HAND_TAIL, HAND_SIZE);
	add_region(h, 3, HAND_FAR, HAND_SIZE);
	add_region(h, 4, HAND_TOP, HAND_SIZE);
	h->desc = (void *)hand_ptr(h, 0);
	h->avail = (void *)hand_ptr(h, HAND_AVAIL);
	h->used = (void *)hand_ptr(h, HAND_USED);
}

void hand_finish(struct hand *h)
{
	for (unsigned i = 0; i < HAND_REGIONS; i++) {
		munmap(h->regions[i].ram, h->regions[i].desc.size);
		close(h->regions[i].fd);
	}
	gmem_unref(h->mem);
}

struct vq_config hand_config(const struct hand *h)
{
	return (struct vq_config){.size = (uint16_t)h->size,
		.iov_per_req = 4,
		.req_size = sizeof(struct vq_req),
		.desc = HAND_UVA,
		.avail = HAND_UVA + HAND_AVAIL,
		.used = HAND_UVA + HAND_USED};
}

uint8_t *hand_ptr(struct hand *h, uint64_t gpa)
{
	for (unsigned i = 0; i < HAND_REGIONS; i++)
		if (gpa - h->regions[i].desc.gpa < h->regions[i].desc.size)
			return h->regions[i].ram + (gpa - h->regions[i].desc.gpa);
	fail_msg("0x%llx is in no region", (unsigned long long)gpa);
	return NULL;
}

void hand_desc(
	struct hand *h, unsigned i, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
	h->desc[i] = (struct vring_desc){addr, len, (uint16_t)flags, (uint16_t)next};
}

void hand_table(struct hand *h, uint64_t gpa, unsigned i, struct vring_desc d)
{
	for (unsigned b = 0; b < sizeof(d); b++)
		*hand_ptr(h, gpa + i * sizeof(d) + b) = ((uint8_t *)&d)[b];
}

void hand_put(struct hand *h, unsigned slot, unsigned head)
{
	h->avail[2 + (slot & (h->size - 1))] = (uint16_t)head;
}

void hand_offer(struct hand *h, unsigned head)
{
	hand_put(h, h->avail[1], head);
	h->avail[1]++;
}

void hand_simple(struct hand *h, unsigned head, uint32_t len)
{
	hand_desc(h, head, HAND_BUF, len, 0, 0);
	hand_offer(h, head);
}

uint16_t hand_used_idx(const struct hand *h)
{
	return h->used[1];
}

static uint32_t used_word(const struct hand *h, unsigned slot, unsigned word)
{
	uint32_t v;

	memcpy(&v, &h->used[2 + 4 * (slot & (h->size - 1)) + 2 * word], sizeof(v));
	return v;
}

uint32_t hand_used_id(const struct hand *h, unsigned slot)
{
	return used_word(h, slot, 0);
}

uint32_t hand_used_len(const struct hand *h, unsigned slot)
{
	return used_word(h, slot, 1);
}

uint16_t *hand_used_event(struct hand *h)
{
	return &h->avail[2 + h->size];
}

uint16_t *hand_avail_event(struct hand *h)
{
	return &h->used[2 + 4 * h->size];
}
