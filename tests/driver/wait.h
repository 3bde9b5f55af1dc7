/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Deadlines for everything that the driver half waits for. A timeout only ever bounds a failure;
 * no caller measures with it. VIRGA_TIMEOUT_SCALE in the environment multiplies all of them.
 */
#include <stdint.h>

#define WAIT_DEFAULT (-1) /* as a timeout: the usual 10 s */

/* Makes a point on CLOCK_MONOTONIC, in ms, that lies ms (scaled) ahead. 0 is now. */
int64_t wait_deadline(int ms);

/* How many ms are left until deadline, never negative: what poll(2) takes. */
int wait_left(int64_t deadline);

/*
 * Waits until fd has one of events (POLLIN, POLLOUT). Returns 0, also for an error or a hang-up on
 * fd, which the next read or write will report; -ETIMEDOUT; or another negative errno.
 */
int wait_fd(int fd, short events, int64_t deadline);
