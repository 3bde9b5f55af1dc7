/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtio-gpu device for one process: what a kernel's driver does with it, by the driver half of the
 * tests, over the daemon's own socket. Commands that carry fences go on while others are asked; a
 * thread hears of them. Another one answers when the daemon wants to map something in the window.
 *
 * Any thread. What returns an int: 0 or negative errno; an error of the device is -EIO, and is said.
 */
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver/gpu_3d.h"

/* One piece of guest memory or of the window, page by page. */
struct card_range {
	uint64_t at, len; // len 0: none
	struct card_range *next;
};

struct card_capset {
	uint32_t id, max_version, size;
};

enum { CARD_CAPSETS_MAX = 16 };
#define CARD_MEMORY (1ull << 32) // the guest's address of what card_alloc() gives

/* What the device offers; constant once there is a card. */
struct card_facts {
	uint64_t features; // virtio, negotiated
	uint64_t window;   // bytes of the host-visible memory; 0: there is none
	uint32_t n_capsets;
	struct card_capset capsets[CARD_CAPSETS_MAX];
};

/* Connects to the daemon the first time it is called. NULL, and it has said why: there is no card. */
const struct card_facts *card(void);

/* Sends a command and waits for the answer, of which `room` bytes are copied (NULL: none wanted). */
int card_run(const void *request, size_t len, void *answer, size_t room);
/* The same without a word about errors. The response's type, or negative errno. */
int card_try(const void *request, size_t len, void *answer, size_t room);

/*
 * Sends a command with a fence; its header is completed. *seq stands for it from now on; `event`, an
 * eventfd (owned; -1: none), is signalled at the fence.
 */
int card_fence(void *request, size_t len, int event, uint64_t *seq);
bool card_is_done(uint64_t seq);
void card_wait(uint64_t seq);

/* Guest memory, whole pages of zeros; and how it is mapped. */
int card_alloc(struct card_range *r, uint64_t len);
void card_free(struct card_range *r);
/* Where it is in the file `fd`, which stays the card's. */
uint64_t card_place(const struct card_range *r, int *fd);

/* A piece of the window, and what the daemon has put there: a descriptor that stays the card's, or -1. */
int card_window_alloc(struct card_range *r, uint64_t len);
void card_window_free(struct card_range *r);
uint64_t card_window_place(const struct card_range *r, int *fd);

static inline struct virtio_gpu_ctrl_hdr card_header(uint32_t type, uint32_t ctx)
{
	return (struct virtio_gpu_ctrl_hdr){.type = htole32(type), .ctx_id = htole32(ctx)};
}

/* A number that nobody has: of a resource or a context. */
uint32_t card_new_id(void);
