/* SPDX-License-Identifier: MIT */
#pragma once
/* What nursery.c (the process that starts parts) and part.c (the daemon's half of one) share. */
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "part.h"

/* So many deaths in a row are told; what then follows may be a guest that does it for the log. */
enum { NURSERY_TOLD_DEATHS = 5 };

enum nursery_what { NURSERY_START, NURSERY_END };

struct nursery_message {
	uint32_t what;
	uint32_t id; // of the part, as the daemon counts them
};

/* Room for one descriptor. */
union nursery_control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* Starts a part. The socket to it, owned by the caller, or negative errno. What comes from there comes
 * with who says it (SO_PASSCRED). */
int nursery_begin(struct nursery *n, uint32_t id);
/* Kills it. */
void nursery_end(const struct nursery *n, uint32_t id);

/* Sends a packet, and a descriptor unless fd is -1. flags: MSG_DONTWAIT or 0. 0 or negative errno. */
int nursery_send(int to, const void *bytes, size_t len, int fd, int flags);
/* As part_receive(), with the same flags. */
ssize_t nursery_receive(int sock, void *message, size_t room, int *fd, int flags);
