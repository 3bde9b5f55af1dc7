/* SPDX-License-Identifier: MIT */
#pragma once
/* Bad inputs for virga-gpu: hostile.h with its rings, its driver hx.gpu and its display hx.peer. */
#include "hostile.h"

enum { CONTROL, CURSOR, RINGS };

/* A display, which says hello. */
void hostile_show(void);

/* A picture of w x h of one colour in resource id, shown on a scanout. Returns its backing. */
uint64_t hostile_picture(uint32_t id, uint32_t w, uint32_t h, uint32_t colour);

/* Sends a flush of all of resource id and does not wait. Returns the ticket. */
int hostile_begin_flush(uint32_t id, uint32_t w, uint32_t h);

/* The ticket is not done, though the daemon has had the time to. */
void expect_pending(int ticket);

#define assert_ack(expression) assert_int_equal((expression), VIRTIO_GPU_RESP_OK_NODATA)
