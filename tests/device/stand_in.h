/* SPDX-License-Identifier: MIT */
#pragma once
/* In its environment: for so many seconds it works before it is ready. */
#define STAND_IN_BEGINS "STAND_IN_BEGINS"
/* Its host maps no less than so many bytes. */
#define STAND_IN_PAGE "STAND_IN_PAGE"

/* What the first word of a command stream tells the stand-in renderer to do. */
enum stand_in {
	STAND_IN_NOTHING,
	STAND_IN_SLEEP, // so many ms
	STAND_IN_WATCH, // until the guest's word at this address is not 0
	STAND_IN_WAIT,  // until it is asked for something else
	STAND_IN_CRASH,
	STAND_IN_END,
	STAND_IN_FAIL,    // with this result
	STAND_IN_GARBAGE, // says so many bytes of the stream
	STAND_IN_LIE,     // answers what was not asked, twice, and before its time
	STAND_IN_RING,    // claims to have read what was not written
	STAND_IN_ESCAPE,  // tries the way out of this number; INVALID_PARAMETER: it was refused
	STAND_IN_SUM,     // all other words; INVALID_PARAMETER when that is not 0
	STAND_IN_SPIN,    // for ever
	STAND_IN_EAT,     // memory; INVALID_PARAMETER: there was an end of it before STAND_IN_EATEN
	STAND_IN_DMABUF,  // from now on it makes them as enum stand_in_dmabuf says
	STAND_IN_DOOM,    // dies, and so do all that come after, before they are ready
	STAND_IN_HOLD,    // does not answer this fence
	STAND_IN_LET_GO,  // answers those that it holds, then this one
};

/* What the id of a blob tells it: the file that it gives. Its first word is the resource's id. */
enum stand_in_blob {
	BLOB_FINE,
	BLOB_SMALL,  // a page less
	BLOB_BEHIND, // a page behind the beginning of its file
	BLOB_FAR,    // so far that it wraps
	BLOB_PIPE,   // no file
	BLOB_NONE,   // it has succeeded, and gives none
	BLOB_LIE,    // says DONE, then gives it, twice
	BLOB_FAILS,  // cannot be made
};

/* What it has eaten when it has never had enough; and what it says of a way out that it does not know. */
#define STAND_IN_EATEN (8ull << 30)
enum { STAND_IN_NO_WAY = 0x1203 }; // VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID

/* What comes of a dmabuf that it is asked for. One that is right is linear, of rows that are 64 bytes longer than the picture. */
enum stand_in_dmabuf {
	EXPORT_RIGHT,
	EXPORT_TILED, // right, with a modifier of tiles
	EXPORT_REFUSED,
	EXPORT_TWICE,     // right, and another one
	EXPORT_LATE,      // right, after it was said to be refused
	EXPORT_OF_OTHERS, // of what nobody asked for
	EXPORT_NOTHING,   // without a descriptor
	EXPORT_TOO_SMALL,
	EXPORT_NARROW, // rows overlap
	EXPORT_SOCKET,
	EXPORT_FOURCC, // of no format that is known
	EXPORTS
};

/* What the memory of one begins with, and each of its pixels is. */
#define STAND_IN_PIXEL 0x00304050u
