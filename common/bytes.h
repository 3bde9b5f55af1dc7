/* SPDX-License-Identifier: MIT */
#pragma once
/* Byte order, checked arithmetic and the few macros that every room needs. */
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

/* Virtio's restricted types are opened here and nowhere else; sparse watches over it. */
#ifdef __CHECKER__
#define force_cast __attribute__((force))
#else
#define force_cast
#endif

#define ARRAY_SIZE(a)                  (sizeof(a) / sizeof(*(a)))
#define BIT(n)                         (1ull << (n))
#define CONTAINER_OF(ptr, type, field) ((type *)(void *)((char *)(ptr)-offsetof(type, field)))

static inline uint16_t le16(__le16 v)
{
	return le16toh((force_cast uint16_t)v);
}

static inline uint32_t le32(__le32 v)
{
	return le32toh((force_cast uint32_t)v);
}

static inline uint64_t le64(__le64 v)
{
	return le64toh((force_cast uint64_t)v);
}

static inline __le32 to_le32(uint32_t v)
{
	return (force_cast __le32)htole32(v);
}

static inline __le64 to_le64(uint64_t v)
{
	return (force_cast __le64)htole64(v);
}

/* True, and *sum set, when a + b does not wrap. */
static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}

/* True when [off, off + len) lies within [0, size), with no sum that could wrap. */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
