/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The front-end's side of vhost-user on one connection: any message, well formed or not, whole or
 * in pieces; replies and acks; the channel on which the back-end asks; and one function for each
 * request by name. What a connection looks like from a certain virtual machine monitor is in
 * personality.h.
 *
 * Every wait ends after frontend.timeout_ms. Functions return 0 or a negative errno: -ETIMEDOUT,
 * -ECONNRESET when the back-end closed, -EBADMSG for a reply that does not fit, -EREMOTEIO for an
 * ack that says error.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/vhost_user.h"
#include "channel.h"
#include "guest.h"
#include "ring.h"

#define FRONTEND_NEED_REPLY (VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK)
#define FRONTEND_MAX_REPLY  4096

/* The virtio features that the driver half honours; below them are those of the device type. */
#define FRONTEND_FEATURES                                                                          \
	((1ull << VHOST_USER_F_PROTOCOL_FEATURES) | (1ull << 32) | DRV_EVENT_IDX | DRV_INDIRECT)
#define FRONTEND_DEVICE_FEATURES 0xffffffull

/* The protocol features that this front-end speaks. */
#define FRONTEND_PROTOCOL                                                                          \
	(1ull << VHOST_USER_PROTOCOL_F_MQ | 1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK                \
		| 1ull << VHOST_USER_PROTOCOL_F_BACKEND_REQ | 1ull << VHOST_USER_PROTOCOL_F_CONFIG \
		| 1ull << VHOST_USER_PROTOCOL_F_RESET_DEVICE                                       \
		| 1ull << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS                                \
		| 1ull << VHOST_USER_PROTOCOL_F_STATUS                                             \
		| 1ull << VHOST_USER_PROTOCOL_F_GPA_ADDRESSES)

struct frontend {
	int fd;         // the connection, owned
	int backend_fd; // our end of the back-end's request channel, owned, -1 if none
	int timeout_ms; // WAIT_DEFAULT unless set
	bool acks;      // frontend_tell() asks for an ack wherever REPLY_ACK allows it

	uint64_t offered, features;          // virtio: of the back-end, and what both have
	uint64_t protocol_offered, protocol; // the same for the vhost-user protocol
	struct guest *guest;                 // not owned, from frontend_set_memory()
};

/* A message as it goes out. A well-formed one has size == len and flags == VHOST_USER_VERSION. */
struct frontend_msg {
	uint32_t request, flags;
	uint32_t size; // what the header says
	const void *payload;
	size_t len; // what is really sent
	const int *fds;
	size_t nfds; // at most 32
};

/* A message as it came in. The receiver owns the fds: frontend_reply_close(). */
struct frontend_reply {
	struct vhost_user_header header;
	uint8_t payload[FRONTEND_MAX_REPLY];
	struct channel_fds fds;
};

/* Payload of GET_INFLIGHT_FD and SET_INFLIGHT_FD, with the padding that is on the wire. */
struct frontend_inflight {
	uint64_t mmap_size, mmap_offset;
	uint16_t num_queues, queue_size;
	uint32_t padding;
};

/* Connects to a listening back-end, which may be about to start: tries until the timeout. */
int frontend_connect(struct frontend *f, const char *path);

/* Takes a connected socket and owns it from now on. */
void frontend_adopt(struct frontend *f, int fd);

/* Closes the connection and the channel. */
void frontend_close(struct frontend *f);

/* Sends msg as it is, the fds with its first byte. */
int frontend_send(struct frontend *f, const struct frontend_msg *msg);

/*
 * Sends msg in n + 1 writes, cut before the bytes cuts[0] < cuts[1] ... (counted from the header's
 * first), the fds with the first of them. Each piece is left to be read before the next is sent.
 */
int frontend_send_pieces(
	struct frontend *f, const struct frontend_msg *msg, const size_t *cuts, size_t n);

/* Sends bytes that need not be a message at all. */
int frontend_send_bytes(struct frontend *f, const void *bytes, size_t len);

/* Receives one message. Nothing is left in *reply to close when it fails. */
int frontend_recv(struct frontend *f, struct frontend_reply *reply);
void frontend_reply_close(struct frontend_reply *reply);

/* Returns 0 when the back-end closes the connection in time, -EBUSY if it says something instead.
 */
int frontend_wait_close(struct frontend *f);

/*
 * A request of size bytes without fds, and its reply, which has to be one to this request, with
 * the flags of a reply. The caller closes the fds in it.
 */
int frontend_ask(struct frontend *f, uint32_t request, const void *payload, uint32_t size,
	struct frontend_reply *reply);

/* A request without payload whose reply is a u64. */
int frontend_get_u64(struct frontend *f, uint32_t request, uint64_t *value);

/* Sends msg with NEED_REPLY and reads the ack. */
int frontend_ack(struct frontend *f, const struct frontend_msg *msg);

/* Reads an ack of request that was asked for before. */
int frontend_read_ack(struct frontend *f, uint32_t request);

/* A well-formed request: acknowledged if f->acks and REPLY_ACK is negotiated, else just sent. */
int frontend_tell(struct frontend *f, uint32_t request, const void *payload, uint32_t size);
int frontend_tell_fd(
	struct frontend *f, uint32_t request, const void *payload, uint32_t size, int fd);
int frontend_tell_u64(struct frontend *f, uint32_t request, uint64_t value);

/* A round trip: the back-end has handled all that was sent before. */
int frontend_barrier(struct frontend *f);

/* The requests by name. set_features and set_protocol_features remember what was set in f. */
int frontend_get_features(struct frontend *f);
int frontend_set_features(struct frontend *f, uint64_t features);
int frontend_get_protocol(struct frontend *f);
int frontend_set_protocol(struct frontend *f, uint64_t protocol);
int frontend_set_owner(struct frontend *f);
int frontend_reset_device(struct frontend *f);
int frontend_set_status(struct frontend *f, uint8_t status);
int frontend_get_config(struct frontend *f, uint32_t offset, uint32_t size, void *config);
int frontend_set_config(struct frontend *f, uint32_t offset, uint32_t size, const void *config);

/* Memory: the whole table; or one region more or less; or the one that the features ask for. */
int frontend_set_mem_table(struct frontend *f, const struct guest *g);
int frontend_add_region(struct frontend *f, const struct guest_region *r);
int frontend_remove_region(struct frontend *f, const struct guest_region *r);
int frontend_set_memory(struct frontend *f, struct guest *g);

/* Rings. An fd of -1 says that there is none. set_vring_addr needs the guest of set_memory. */
int frontend_set_vring_num(struct frontend *f, uint32_t index, uint32_t num);
int frontend_set_vring_base(struct frontend *f, uint32_t index, uint32_t base);
int frontend_get_vring_base(struct frontend *f, uint32_t index, uint32_t *base);
int frontend_set_vring_addr(struct frontend *f, uint32_t index, const struct drv_ring *r);
int frontend_set_vring_kick(struct frontend *f, uint32_t index, int fd);
int frontend_set_vring_call(struct frontend *f, uint32_t index, int fd);
int frontend_set_vring_err(struct frontend *f, uint32_t index, int fd);
int frontend_set_vring_enable(struct frontend *f, uint32_t index, bool on);

/* NUM, BASE, ADDR, CALL, ERR, KICK and ENABLE of a ring that stands at its used_idx. */
int frontend_start_ring(struct frontend *f, uint32_t index, struct drv_ring *r);

/* ENABLE 0 and GET_VRING_BASE, whose answer has to be a possible one, else -EBADMSG. */
int frontend_stop_ring(struct frontend *f, uint32_t index, struct drv_ring *r);

/*
 * The device-specific socket of virtio-gpu: sends fd, which stays the caller's (and is of no use to
 * it any more).
 */
int frontend_gpu_set_socket(struct frontend *f, int fd);

/* The channel for the back-end's requests: makes it, replacing an older one. */
int frontend_open_channel(struct frontend *f);
int frontend_channel_recv(struct frontend *f, struct frontend_reply *request);
int frontend_channel_answer(struct frontend *f, uint32_t request, uint64_t value);

/*
 * Agrees on features, of the protocol and of virtio: those of the two masks that the back-end
 * offers. Sets the owner.
 */
int frontend_negotiate(struct frontend *f, uint64_t features, uint64_t protocol);

/*
 * The usual complete bring-up, with acks wherever possible: negotiates FRONTEND_FEATURES, all
 * device features and the protocol features known here, gives g, starts n fresh rings, whose
 * features become those that were negotiated, and makes the back-end's channel.
 */
int frontend_setup(struct frontend *f, struct guest *g, struct drv_ring *rings, size_t n);
