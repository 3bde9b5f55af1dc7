/* SPDX-License-Identifier: MIT */
/*
 * play SOCKET PERSONALITY: does with a daemon what the personality does with a device whose driver
 * starts, leaves and starts again. Beside it QEMU does the same, and the messages are compared.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver/personality.h"

static struct guest guest;
static struct frontend frontend;
static struct drv_ring rings[2];

static int start(struct personality_run *run)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	run->gpu_fd = pair[1];
	return personality_start(run); // our end stays open until we end
}

static int play(struct personality_run *run)
{
	int r = personality_realize(run);

	if (r == 0)
		r = start(run);
	if (r == 0)
		r = personality_stop(run);
	for (int i = 0; i < 2; i++)
		drv_ring_reset(&rings[i], 0);
	return r < 0 ? r : start(run);
}

int main(int argc, char **argv)
{
	const struct personality *p = argc == 3 ? personality_find(argv[2]) : NULL;
	struct personality_run run = {
		.p = p, .f = &frontend, .guest = &guest, .rings = rings, .n = 2, .gpu_fd = -1};
	int r;

	if (!p)
		return fprintf(stderr, "usage: play SOCKET PERSONALITY\n"), 2;
	r = guest_init_flat(&guest, 1 << 20);
	for (int i = 0; r == 0 && i < 2; i++)
		r = drv_ring_init(&rings[i], &guest, 64, FRONTEND_FEATURES);
	if (r == 0)
		r = frontend_connect(&frontend, argv[1]);
	if (r == 0)
		r = play(&run);
	if (r < 0)
		fprintf(stderr, "play: %s: %s\n", run.failed ? run.failed : "setup", strerror(-r));
	return r < 0;
}
