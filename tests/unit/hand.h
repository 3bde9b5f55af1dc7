/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Guest memory with one ring in it that a test writes by hand, rule or no rule.
 *
 *	gpa		size
 *	0		2 MiB	low: the ring (descriptors at address 0), then buffers
 *	HAND_NEXT	64 KiB	next, directly behind it in another file
 *	HAND_TAIL	64 KiB	tail, directly behind that
 *	HAND_FAR	64 KiB	far
 *	HAND_TOP	64 KiB	top, up to the last address
 */
#include <stdint.h>
#include <linux/virtio_ring.h>

#include "common/vq.h"

#define HAND_LOW_SIZE 0x200000ull
#define HAND_SIZE     0x10000ull // of each other region
#define HAND_NEXT     0x200000ull
#define HAND_TAIL     0x210000ull
#define HAND_FAR      0x10000000000ull
#define HAND_TOP      (0 - HAND_SIZE)
#define HAND_UVA      0x700000000000ull // the front-end's address of gpa 0

#define HAND_AVAIL 0x80000ull
#define HAND_USED  0x98000ull
#define HAND_BUF   0x100000ull // buffers, up to the end of low

enum { HAND_REGIONS = 5 };

struct hand {
	struct gmem *mem; // a reference
	struct hand_region {
		struct gmem_desc desc;
		int fd;       // owned
		uint8_t *ram; // our own mapping of it
	} regions[HAND_REGIONS];
	unsigned size; // of the ring
	struct vring_desc *desc;
	uint16_t *avail; // flags, idx, ring[size], used_event
	uint16_t *used;  // flags, idx, {id, len}[size], avail_event
};

void hand_init(struct hand *h, unsigned size);
void hand_finish(struct hand *h);

/* A configuration that starts a queue on the ring. */
struct vq_config hand_config(const struct hand *h);

/* Where gpa lies, which must be in a region. */
uint8_t *hand_ptr(struct hand *h, uint64_t gpa);

void hand_desc(
	struct hand *h, unsigned i, uint64_t addr, uint32_t len, unsigned flags, unsigned next);
/* Entry i of an indirect table at gpa, which may lie anywhere and across regions. */
void hand_table(struct hand *h, uint64_t gpa, unsigned i, struct vring_desc d);

/* Puts a head into the available ring without, or with, raising the index. */
void hand_put(struct hand *h, unsigned slot, unsigned head);
void hand_offer(struct hand *h, unsigned head);

/* A chain of one readable descriptor of len bytes at HAND_BUF, offered. */
void hand_simple(struct hand *h, unsigned head, uint32_t len);

uint16_t hand_used_idx(const struct hand *h);
uint32_t hand_used_id(const struct hand *h, unsigned slot);
uint32_t hand_used_len(const struct hand *h, unsigned slot);
uint16_t *hand_used_event(struct hand *h);
uint16_t *hand_avail_event(struct hand *h);
