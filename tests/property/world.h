/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the property tests share: random numbers that can be had again, and both halves of a ring on
 * the same memory. A run is VIRGA_ROUNDS rounds; round n begins with the seed VIRGA_SEED + n.
 */
#include <stdbool.h>
#include <stdint.h>

#include "common/vq.h"
#include "driver/guest.h"
#include "driver/ring.h"

/* The seed of this round, and what is being done, for the message of a failure. */
extern uint64_t world_seed;
extern const char *world_doing;

/* Ends the test with a line that says how to have the same again. */
#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			world_fail(__FILE__, __LINE__, #what);                                     \
	} while (0)
_Noreturn void world_fail(const char *file, int line, const char *what);

/* Runs `round` as often as wanted, VIRGA_ROUNDS or this number; what main() returns. */
int world_run(const char *name, unsigned rounds, void (*round)(void));

/* The next random number; below n (n > 0); true once in n times. Of one thread only. */
uint64_t world_random(void);
uint32_t world_below(uint32_t n);
bool world_once_in(uint32_t n);

/* The device's map of all that the guest has. The reference is the caller's. */
struct gmem *world_map(const struct guest *g);

/* The queue of the driver's ring. */
struct vq_config world_config(const struct drv_ring *r, uint16_t iov_per_req);
