/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A vhost-user front-end and the back-end under test in one thread: what the front-end says goes
 * over a real socket, and the back-end's loop is turned by hand. Nothing waits.
 *
 * The guest has two memories, at RIG_GPA_LOW and RIG_GPA_HIGH. The front-end's own addresses of
 * them lie RIG_UVA higher.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/vhu.h"
#include "protocols/vhost_user.h"

#define RIG_GPA_LOW  0x0ull
#define RIG_GPA_HIGH 0x100000000ull
#define RIG_UVA      0x7f0000000000ull

enum { RIG_MEMORY_SIZE = 256 * 1024, RIG_MEMORIES = 2 };

struct rig_memory {
	int fd;
	uint8_t *host;
};

struct rig {
	struct loop *loop;
	const struct vhu_device *device;
	void *dev;
	struct vhu *vhu; // NULL when it has been closed
	bool left;       // the back-end sent us away
	int sock;        // ours; -1 when there is no back-end
	struct rig_memory memory[RIG_MEMORIES];
	unsigned fds_before;

	struct {
		struct vhost_user_header hdr;
		union vhost_user_payload payload;
		size_t have; // bytes of both
	} in;
	uint64_t replies; // whole ones that were read
	uint64_t last;    // u64 or vring_state of the last one
};

/* NULL: nobody serves yet, the device can be made now. */
void rig_init(struct rig *r, const struct vhu_device *device, void *dev);
void rig_serve(struct rig *r, const struct vhu_device *device, void *dev);

/* The front-end leaves, if it has not been sent away already. */
void rig_leave(struct rig *r);

/* Takes the place of a front-end that left. Nothing when it is still there. */
void rig_reconnect(struct rig *r);

/* Ends the loop, behind rig_leave() and the device: no descriptor made since rig_init() is open. */
void rig_finish(struct rig *r);

/* Turns the loop n times. */
void rig_turn(struct rig *r, unsigned n);

/* Reads what the back-end says; each reply has to be one. */
void rig_read(struct rig *r);

/* Sends bytes with fds, which stay the caller's. What does not fit the socket is lost. */
void rig_send(struct rig *r, const void *bytes, size_t len, const int *fds, unsigned n_fds);

/* A well-formed request, with an fd if that is not -1; the loop is turned, replies are read. */
void rig_tell(struct rig *r, uint32_t request, const void *payload, uint32_t size, int fd);
void rig_tell_u64(struct rig *r, uint32_t request, uint64_t value);

/* Adds or removes one of the two memories (0, 1). */
void rig_add_memory(struct rig *r, unsigned i);
void rig_remove_memory(struct rig *r, unsigned i);
