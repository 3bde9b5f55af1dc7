/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The device's half of a renderer: asks it (renderer.h), matches its answers with the commands that
 * wait for them, keeps it in step with the guest's memory, and mourns it. What it answers is not
 * trusted: it may end commands with any error, early or late, and no more than that.
 *
 * One that has worked on a command for longer than one's patience, by the clock and by its own
 * processor time, is ended; so is one that does nothing, nor answers, for REMOTE_SLOW times as long. How
 * long its beginning may take is that as well, for both.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/iov.h"
#include "common/part.h"
#include "renderer.h"

struct gmem;
struct gpu_cmd;

enum { REMOTE_SLOW = 6, REMOTE_NOTHING = 64 /* of the time, this part */ };

struct remote {
	/* It died, and all that it had. What waited for it has not been answered yet. */
	void (*lost)(struct remote *r);
	/* The answer to a RENDERER_DMABUF; *fd is taken, or closed. */
	void (*dmabuf)(struct remote *r, const struct renderer_dmabuf *d, int *fd);

	struct part part;
	struct gmem *mem; // that it has been told of; a reference; NULL: none
	struct {
		int fd; // -1: none
		uint8_t *map;
		uint64_t produced, consumed; // bytes; as last read
	} ring;
	uint32_t seq;      // of the last question
	uint32_t touching; // of the last one that may touch the guest's pages
	uint32_t answered; // of the last one that was answered
	uint32_t plain;    // of the last one that no fence answers
	int64_t patience;  // ns for one command
	struct {
		struct loop_timer timer;
		bool set;
		uint32_t seq; // of what is waited for
		int64_t since,
			cpu; // when that was first seen, and how long the renderer had worked
	} watch;
	TAILQ_HEAD(remote_cmds, gpu_cmd) asked;
	/* While the answer to RENDERER_EXPORT is given: */
	struct {
		int fd; // -1: there is none; taken by who keeps it
		uint32_t map_info;
		uint64_t offset;
	} exported;
	bool ready, dead; // it has been ready once; it will not be any more
	bool has_dmabufs; // as it said when it was ready
	unsigned n_capsets;
	struct renderer_capset capsets[RENDERER_CAPSETS_MAX];
};

/* Starts it. `lost`, `dmabuf` and `patience` are set by the caller. 0 or negative errno. */
int remote_init(struct remote *r, struct loop *loop, struct nursery *n);
/* Fine for one that is all zeros. */
void remote_finish(struct remote *r);

/* Turns the loop until it is ready. False: it will not be, or takes too long. */
bool remote_wait_ready(struct remote *r, struct loop *loop, int64_t timeout_ns);

/*
 * Asks. m->seq is filled in; fd (-1: none) goes with it and stays the caller's. cmd->done is called
 * once with the answer, and not before this returns; NULL: nobody wants to know. -ENOTCONN while there
 * is no renderer, -ENOBUFS when too much waits for it already.
 */
int remote_ask(struct remote *r, struct renderer_message *m, int fd, struct gpu_cmd *cmd);

/* Asks with m->bytes.size bytes, not none, which are read once. Also -ENOMEM, when the guest's memory is used
 * up (gpu_config.max_hostmem), too: what finds no place in the ring counts. */
int remote_ask_with(
	struct remote *r, struct renderer_message *m, struct iov_cursor from, struct gpu_cmd *cmd);

/* The guest's memory is now this; NULL: there is none. No resource has pages at the renderer meanwhile. */
void remote_set_memory(struct remote *r, struct gmem *mem);

/*
 * Ends all commands of this queue that wait for an answer, as it stops, with this result. They are done
 * all the same, in their order, and what they would have been answered is not heard.
 */
void remote_release(struct remote *r, unsigned queue, uint32_t result);

/*
 * No context and no resource is left. One that has still something to do might do it with pages that
 * are the guest's again: it is ended, and another one started.
 */
void remote_reset(struct remote *r);
