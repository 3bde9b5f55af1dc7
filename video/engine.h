/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the device and a codec say to one another. A codec is the inside of a part (common/part.h), one
 * for each stream: there are ids, places in guest memory and descriptors, and no pointers.
 *
 * The device's messages are done in their order. Each has a number (seq) and is answered once, late: by
 * ENGINE_DONE with it, but ENGINE_QUEUE by ENGINE_RETURNED, when the codec touches the buffer no more:
 * bitstream when it was copied, pixels when there is a picture in them.
 *
 *	OPEN, RESOURCEs, QUEUE of bitstream
 *	<- FORMAT, with the first headers, or else before the first picture; and when what follows is of
 *	   another size, or the headers were wrong. All pictures of before are out; none of the new ones
 *	   comes until the device has said OUTPUT with that serial. One with a serial of before does
 *	   nothing: the newer FORMAT is under way to the device.
 *	OUTPUT, RESOURCEs, QUEUE of pixels <- RETURNED each, in the order of display
 *	DRAIN <- the pictures that were held back, then an empty buffer with ENGINE_LAST, for which one has
 *	   to be queued; then DONE. Bitstream queued after it begins anew, with a picture that stands alone.
 *	CLEAR of bitstream (a seek) <- what is queued RETURNED with ENGINE_CANCELED; what was decoded but is
 *	   not out is dropped, and a DRAIN ends with -ECANCELED; then DONE.
 *	CLEAR of pixels <- what is queued RETURNED with ENGINE_CANCELED, then DONE. No picture is lost, and
 *	   a DRAIN goes on.
 * A stream that cannot go on says ENGINE_ERROR, once; what is queued then or later is RETURNED with
 * ENGINE_BROKEN, and what is asked is DONE with an error. A stream is closed by ending its part.
 *
 * Both sides are of one program, and in one byte order.
 */
#include <stdint.h>

enum {
	ENGINE_PLANES_MAX = 3,
	ENGINE_ENTRIES_MAX = 500, // of one message
	ENGINE_NAME_MAX = 32,
	ENGINE_FOURCCS_MAX = 8,
	ENGINE_SIZE_MAX = 8192,     // pixels of an edge
	ENGINE_UNIT_MAX = 32 << 20, // bytes of one buffer of bitstream
	ENGINE_ALL = UINT32_MAX,    // res of FORGET
};

/* clang-format off */
enum engine_codec { ENGINE_H264, ENGINE_HEVC, ENGINE_VP8, ENGINE_VP9, ENGINE_AV1, ENGINE_MPEG2, ENGINE_MPEG4,
	ENGINE_CODECS };
enum engine_queue { ENGINE_BITSTREAM, ENGINE_PIXELS, ENGINE_QUEUES };

/* What the device asks for, and what comes with it. */
enum engine_request {
	ENGINE_LIST,          // <- ENGINE_CAPABILITY for each element that works, the better ones first
	ENGINE_MEMORY_ADD,    // memory, a descriptor: a region of guest memory
	ENGINE_MEMORY_REMOVE, // memory
	ENGINE_OPEN,          // open; once
	ENGINE_ENTRIES,       // n_entries, so many struct engine_entry behind the message: RESOURCE follows
	ENGINE_RESOURCE,      // queue, res, size; a descriptor; else its memory is the entries said before
	ENGINE_FORGET,        // queue, res; one that is queued is RETURNED first, with ENGINE_CANCELED
	ENGINE_OUTPUT,        // output
	ENGINE_QUEUE,         // queue, res, buffer
	ENGINE_DRAIN,
	ENGINE_CLEAR,         // queue
	ENGINE_REQUESTS
};

enum engine_answer_what {
	ENGINE_CAPABILITY,    // capability
	ENGINE_DONE,          // seq, result
	ENGINE_RETURNED,      // queue, res, seq, picture
	ENGINE_FORMAT,        // format
	ENGINE_ERROR,         // result
	ENGINE_ANSWERS
};
/* clang-format on */

enum engine_flags {
	ENGINE_LAST = 1,     // of a drain; there is no picture
	ENGINE_CANCELED = 2, // nothing was done with it
	ENGINE_BROKEN = 4, // pixels: damaged, none, or the buffer is too small; bitstream: unusable
	ENGINE_KEY = 8,    // a picture that stands alone
};

struct engine_entry {
	uint64_t gpa, len;
};

struct engine_message {
	uint32_t what, seq;
	uint32_t queue, res;
	union {
		struct {
			uint64_t gpa, size, offset;
		} memory;
		struct {
			uint32_t codec;
			/* 1: a buffer may end anywhere, which costs a picture of delay; 0: it holds
			 * whole pictures (access units), or headers. */
			uint32_t pieces;
			char element[ENGINE_NAME_MAX]; // as ENGINE_LIST named it; "": the best
		} open;
		uint32_t n_entries;
		uint64_t size;
		struct {
			uint32_t serial; // of the ENGINE_FORMAT that it is for; may be said again
			uint32_t fourcc; // DRM_FORMAT_*
			uint32_t stride[ENGINE_PLANES_MAX]; // bytes, of the fourcc's planes
		} output;
		struct {
			uint64_t timestamp; // of bitstream: handed on to its picture as it is
			uint64_t size;      // of bitstream; bytes from offset[0]
			uint64_t offset[ENGINE_PLANES_MAX]; // where planes begin in the resource
		} buffer;
	};
};

struct engine_answer {
	uint32_t what, seq;
	uint32_t queue, res;
	union {
		int32_t result; // 0 or negative errno
		struct {
			uint64_t timestamp;
			uint32_t flags; // enum engine_flags
		} picture;
		struct {
			uint32_t serial, min_buffers;
			uint32_t width, height;                      // of planes: even numbers
			uint32_t left, top, crop_width, crop_height; // what is to be seen
			uint32_t rate_num, rate_den; // pictures a second; 0: not said
		} format;
		struct {
			uint32_t codec, hardware;
			char element[ENGINE_NAME_MAX];
			uint32_t min_width, max_width, min_height, max_height;
			uint32_t n_fourccs, fourccs[ENGINE_FOURCCS_MAX]; // that are put out
		} capability;
	};
};
