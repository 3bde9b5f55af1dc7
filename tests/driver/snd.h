/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A driver for virtio-sound (VIRTIO 1.4, 5.14) on four driver rings: control requests by name that
 * wait for their response, and below them any bytes as a request, submitted and collected later;
 * PCM messages of any shape, sent and later looked at; and events.
 *
 * What waits returns the status (VIRTIO_SND_S_*) or a negative errno: -ETIMEDOUT, -ENOMSG when the
 * answer came but the call that was due did not, -EIO when the device signalled an err eventfd,
 * -EPROTO as of drv_ring_reap(), -EBADMSG for an answer that is none: too short, of the wrong size,
 * or with a status that does not exist. 0 is the answer where there was no room for one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocols/virtio_snd.h"
#include "ring.h"

#define SND_DRIVER_RINGS    4
#define SND_DRIVER_REQUESTS 64 /* under way at a time, */
#define SND_DRIVER_MESSAGES 1024
#define SND_DRIVER_EVENTS   64 /* buffers, and events seen and not fetched */
#define SND_DRIVER_RESPONSE (1 << 18)

/* A piece of kept guest memory that is used again. */
struct snd_memory {
	uint64_t gpa;
	uint32_t room;
};

struct snd_request {
	bool busy, done;
	struct snd_memory req, resp;
	uint32_t resp_cap, len; // of the response: its room, and how long it is
};

/* A PCM message: a header, the data, room for a status. */
struct snd_io {
	unsigned int queue; // VIRTIO_SND_VQ_TX or VIRTIO_SND_VQ_RX
	uint32_t stream;
	const void *header; // instead of the stream's id,
	uint32_t header_len;
	const void *data;       // tx: copied, NULL: whatever is there
	uint32_t bytes;         // of data, or of room for it
	bool placed;            // the data lies at gpa, and stays there,
	uint64_t gpa;           // and is read and written when the device likes
	const uint32_t *pieces; // the sizes of its descriptors; the last one's go on
	size_t n_pieces;        // 0: in one
	uint32_t status_lacks;  // so many of the 8 bytes of room for the status
};

/* What has become of it. */
struct snd_done {
	uint32_t latency_bytes;
	uint32_t len;        // the used length
	uint32_t bytes;      // of data: len without the status
	const uint8_t *data; // in guest memory, until the next message is sent
	int64_t when;        // it was reaped: CLOCK_MONOTONIC, ns
	uint64_t order;      // among all that were: 1 is the first
};

struct snd_message {
	bool busy, done;
	uint16_t queue;
	struct snd_memory frame, own; // header and status; data
	uint64_t data;
	uint32_t bytes, status_room, len;
	int64_t when;
	uint64_t order;
};

struct snd_driver {
	struct guest *guest;    // not owned
	struct drv_ring *rings; // SND_DRIVER_RINGS of them, not owned
	struct snd_request requests[SND_DRIVER_REQUESTS];
	struct snd_message messages[SND_DRIVER_MESSAGES];
	uint64_t reaped; // messages

	struct snd_memory event_memory;
	uint32_t event_buffers; // with the device
	bool event_busy[SND_DRIVER_EVENTS];
	struct virtio_snd_event events[SND_DRIVER_EVENTS];
	uint32_t event_first, event_count;
	uint32_t events_lost;  // because nobody fetched them
	uint32_t events_empty; // buffers that came back with nothing in them

	// how things are sent
	uint32_t piece;    // cuts requests into descriptors of so many bytes, 0 is one for each
	uint32_t resp_cap; // the most that is asked for
	bool indirect;     // in indirect tables
	bool polling;      // messages are not kicked (VIRTIO_SND_PCM_F_MSG_POLLING)
	bool refill;       // an event's buffer goes back at once
	int timeout_ms;

	uint8_t resp[SND_DRIVER_RESPONSE]; // the last response collected
	uint32_t resp_len;
};

/* refill is on, resp_cap SND_DRIVER_RESPONSE, timeout_ms WAIT_DEFAULT. */
void snd_driver_init(struct snd_driver *d, struct guest *g, struct drv_ring *rings);

/* Forgets all that is under way, for rings that were reset. Its memory is used again. */
void snd_driver_reset(struct snd_driver *d);

/* Takes in what all rings have used. Returns how many elements, -EPROTO, or -EBADMSG (an event). */
int snd_driver_poll(struct snd_driver *d);

/* The same, but waits until there is something. */
int snd_driver_wait(struct snd_driver *d, int timeout_ms);

/* Control: bytes as a request, and room for a response, possibly none. Returns a ticket, -EBUSY if
 * all are in use, -EINVAL, or as drv_ring_add(). */
int snd_driver_submit(struct snd_driver *d, const void *req, size_t len, uint32_t resp_cap);

/* Waits for the response, which lies in resp then, and gives the ticket back. */
int snd_driver_collect(struct snd_driver *d, int ticket);
bool snd_driver_is_answered(const struct snd_driver *d, int ticket);
int snd_driver_run(struct snd_driver *d, const void *req, size_t len, uint32_t resp_cap);

/*
 * Messages. add neither publishes nor kicks: drv_ring_submit() does, for several; send does, tx and
 * rx are the usual ones. Return a ticket, or as snd_driver_submit().
 */
int snd_driver_add(struct snd_driver *d, const struct snd_io *io);
int snd_driver_send(struct snd_driver *d, const struct snd_io *io);
int snd_driver_tx(struct snd_driver *d, uint32_t stream, const void *data, uint32_t bytes);
int snd_driver_rx(struct snd_driver *d, uint32_t stream, uint32_t bytes);

/* Is it back, as far as snd_driver_poll() saw? */
bool snd_driver_is_back(const struct snd_driver *d, int ticket);

/* What has become of a message; gives the ticket back. take does not wait: -EAGAIN. */
int snd_driver_take(struct snd_driver *d, int ticket, struct snd_done *done);
int snd_driver_finish(struct snd_driver *d, int ticket, struct snd_done *done);

/* Events: gives the device n more buffers; and the code of the next one, waiting for it. data of a
 * CTL_NOTIFY is the control's id, and the mask from bit 16 on. */
int snd_driver_fill(struct snd_driver *d, uint32_t n);
int snd_driver_event(struct snd_driver *d, uint32_t *data, int timeout_ms);
