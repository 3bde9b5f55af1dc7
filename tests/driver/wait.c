/* SPDX-License-Identifier: MIT */
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define WAIT_DEFAULT_MS 10000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int scale(void)
{
	const char *text = getenv("VIRGA_TIMEOUT_SCALE");
	int factor = text ? atoi(text) : 1;

	return factor < 1 ? 1 : factor > 1000 ? 1000 : factor;
}

int64_t wait_deadline(int ms)
{
	if (ms < 0)
		ms = WAIT_DEFAULT_MS;
	return now_ms() + (int64_t)ms * scale();
}

int wait_left(int64_t deadline)
{
	int64_t left = deadline - now_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int wait_fd(int fd, short events, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int n = poll(&p, 1, wait_left(deadline));

		if (n > 0)
			return p.revents & POLLNVAL ? -EBADF : 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}
