/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The device's half of a stream's codec: starts its part, asks it (engine.h), hands on what it answers,
 * and tells of its death, which costs this stream and no other. On the loop's thread.
 *
 * What a part answers is not trusted: here it is checked that an answer is one, with a queue, a size and
 * strings within bounds; whose seq or res it is, and whether that one is waiting, is for the caller to look
 * up.
 *
 * Before the daemon locks itself in, and before any thread:
 *	gmem_keep_fds = true;
 *	nursery_start(&nursery, part, ...)       the codecs' library is loaded there, once
 *	engine_list(&list, loop, &nursery, ...)  what can be decoded here, by which element
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/part.h"
#include "engine.h"

struct gmem;

struct engine {
	/* An answer. The stream may be closed in it; its memory has to last until this returns. */
	void (*heard)(struct engine *e, const struct engine_answer *a);
	/* The part is gone: of what was asked nothing more is answered, and all that is asked fails with
	 * -ENOTCONN. The stream may be closed in it, as above. */
	void (*lost)(struct engine *e);

	struct part part;
	struct gmem *mem; // that it has been told of; a reference; NULL: none
	uint32_t seq;     // of the last question
};

/*
 * Starts a stream's part; the callbacks are set by the caller. It is there at once for what is asked:
 * nothing is waited for. What is asked first is ENGINE_OPEN, and its ENGINE_DONE says whether the
 * codec could be had. `mem`: NULL: none yet. 0 or negative errno.
 */
int engine_start(struct engine *e, struct loop *loop, struct nursery *n, struct gmem *mem);
/*
 * Closes the stream: no callback is called any more, and its process is ended. Until that is gone it may
 * still write to what is queued: where the guest is to be told of the end, let ENGINE_FORGET of both queues
 * be DONE before. Fine for one that is all zeros.
 */
void engine_finish(struct engine *e);

/*
 * Asks. m->seq is filled in, never 0; fd (-1: none) goes with it and stays the caller's. -ENOTCONN while
 * there is no part, -ENOBUFS when too much waits for it already.
 */
int engine_ask(struct engine *e, struct engine_message *m, int fd);

/*
 * ENGINE_RESOURCE of guest pages: the entries, one behind the other, are its memory. That they are in guest
 * memory is checked by the part: ENGINE_DONE with -EFAULT. *seq: of that answer.
 */
int engine_ask_resource(struct engine *e, uint32_t queue, uint32_t res,
	const struct engine_entry *entries, size_t n, uint32_t *seq);

/* The guest's memory is now this; NULL: there is none. Resources made of the old one stay as they are
 * until they are forgotten. */
void engine_set_memory(struct engine *e, struct gmem *mem);

struct engine_list {
	unsigned n;
	struct engine_answer capabilities[64]; // of one codec the better ones first
};

/* Asks a part of its own what there is, turning the loop meanwhile. False: there is none, it died, or takes
 * too long. */
bool engine_list(
	struct engine_list *list, struct loop *loop, struct nursery *n, int64_t timeout_ns);
