/* SPDX-License-Identifier: MIT */
#pragma once
/* Control requests of virtio-sound as they lie in guest memory (VIRTIO 1.4, 5.14.6). Pure. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "protocols/virtio_snd.h"

enum { SOUND_WIRE_ITEM_MAX = 256 }; // bytes of an item that a driver may ask for

/* A decoded request. */
struct sound_request {
	uint32_t code; // VIRTIO_SND_R_*
	uint32_t id;   // of a jack, stream or control element; the first one of a query
	union {
		struct {
			uint32_t count, size; // size: bytes of one item
		} query;
		struct {
			uint32_t association, sequence;
		} remap;
		struct {
			uint32_t buffer_bytes, period_bytes, features;
			uint8_t channels, format, rate;
		} params;
		uint32_t value; // of a control element
	};
};

/* Copies a request out and reads it. 0 or VIRTIO_SND_S_BAD_MSG, _NOT_SUPP. r->code is always set. */
uint32_t sound_wire_decode(const struct iovec *iov, unsigned n, struct sound_request *r);

/* Reads the header of an I/O message. False when it is not all there. */
bool sound_wire_stream_id(const struct iovec *iov, unsigned n, uint32_t *id);
