/* SPDX-License-Identifier: MIT */
#pragma once
/* What the stand-in for gfxstream's library does as it is told: by the first word of a command stream, */
enum gfxstream_order {
	ORDER_NOTHING,
	ORDER_FAIL, // with this errno
	ORDER_ABORT,
	ORDER_SLEEP,    // so many ms
	ORDER_PAINT,    // fills all of this blob with this word
	ORDER_READ,     // fails unless all of this blob, or of its pages, are this word
	ORDER_HOLD,     // keeps fences back
	ORDER_LET_GO,   // those, then its own
	ORDER_AT_ONCE,  // its fence's callback is called before create_fence() returns
	ORDER_NO_FENCE, // create_fence() fails
	ORDER_TALK,     // says something for people
	ORDER_OPEN,     // fails unless it can open what Vulkan's loader reads, and nothing else
};

/* and by the id of a blob. */
enum gfxstream_blob_kind {
	KIND_FINE,
	KIND_SMALL,  // half of it
	KIND_OPAQUE, // of a type that cannot be mapped as it is
	KIND_DMABUF,
	KIND_KEPT,  // is not exported
	KIND_FAILS, // is not made
};

/* How it begins, by the environment. */
#define GFXSTREAM_STAND_IN "GFXSTREAM_STAND_IN"
#define STAND_IN_NO_VULKAN "no-vulkan"
#define STAND_IN_NO_CAPSET "no-capset"
