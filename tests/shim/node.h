/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A render node that was opened: its handles, its context, and the ioctls that Mesa has for it. What
 * Linux's driver would do with them is done with card.h.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buffer;
struct node;

struct node *node_open(void);

/* 0 or negative errno. `request` and `arg` are those of ioctl(2). */
int node_ioctl(struct node *n, unsigned long request, void *arg);

/* What mmap(2) is to map in place of the node at this offset: the descriptor, which stays ours, and its
 * offset. -1: nothing. */
int node_place(struct node *n, uint64_t offset, uint64_t *at);

/* drm.c: a new descriptor that stands for a buffer, and which one a descriptor stands for. */
int drm_share(struct buffer *b, uint64_t size);
struct buffer *drm_shared(int fd);
