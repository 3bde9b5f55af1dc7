/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What every renderer's inside needs, whatever its library: the messages, the guest's memory, the
 * ring, and a table of resources with their pages. In a part's process, on its only thread but for
 * inside_answer().
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "common/gmem.h"
#include "renderer.h"

enum { INSIDE_BUCKETS = 1024 };

struct inside_resource {
	LIST_ENTRY(inside_resource) link;
	uint32_t id;
	struct gpu_texture texture;
	struct iovec *iov; // its pages; NULL: none
	unsigned n_iov;
	struct gmem *mem; // a reference, for the pages
	struct {
		uint8_t *map; // NULL: none
		uint64_t size;
		uint32_t stride;
	} buffer;
};

struct inside_context {
	LIST_ENTRY(inside_context) link;
	uint32_t id;
};

/* Between a texture and pages: the resource's own, or these. */
struct inside_transfer {
	bool to_host;
	uint32_t res, ctx, level, stride, layer_stride;
	struct gpu_box box;
	uint64_t offset;
	struct iovec *iov; // NULL: the resource's
	unsigned n_iov;
};

/* What the handlers of inside_library.c call; results are 0 or an errno, with any sign. */
struct inside_library {
	void (*context_destroy)(uint32_t ctx);
	int (*attach)(const struct inside_resource *res);
	void (*detach)(const struct inside_resource *res);
	void (*unref)(uint32_t res);
	int (*transfer)(const struct inside_transfer *t);
	void (*poll)(void); // of poll_fd
};

struct inside {
	int sock;
	const struct inside_library *library; // NULL: its handlers are not used
	int poll_fd; // the library's, which wants poll() when it can be read; -1: none
	struct gmem *mem;
	struct renderer_ring *ring; // NULL: no hello yet
	LIST_HEAD(, inside_resource) resources[INSIDE_BUCKETS];
	LIST_HEAD(, inside_context) contexts;
};

/* What a handler returns that has said the answer itself. */
#define INSIDE_ANSWERED (UINT32_MAX - 1)

/* A message's descriptor is closed behind it unless it was taken (*fd = -1). */
typedef uint32_t inside_handler(struct inside *in, const struct renderer_message *m, int *fd);

/* 0 or negative errno. */
int inside_init(struct inside *in, int sock);

/*
 * Takes one message; until there is one the library is polled. What is not of the library is done here;
 * the rest is found in handlers (by enum renderer_request; NULL: -ENOSYS), whose result is the answer's.
 * `fence` is called in the place of an answer when one is wanted. 1, or 0 when the device is gone, or negative errno.
 */
int inside_turn(struct inside *in, inside_handler *const *handlers,
	void (*fence)(const struct renderer_message *m));

/* Of inside_library.c: what is the same with every library. */
inside_handler inside_context_destroy, inside_unref, inside_backing_attach, inside_backing_detach,
	inside_reset, inside_copy, inside_transfer, inside_finish;
/* The pages that a message lists, for one that has none. 0 or -ENOMEM. */
int inside_take_pages(
	struct inside *in, struct inside_resource *res, const struct renderer_message *m, int fd);
/* The answer to what a library returned. */
uint32_t inside_result(int r);

/* Any thread. */
void inside_answer(const struct inside *in, uint32_t what, uint32_t seq, uint32_t result);
/* The GPU has come to this place of a timeline: a context's ring, or RENDERER_GLOBAL. */
void inside_fence(const struct inside *in, uint32_t ctx, uint32_t ring, uint32_t seq);
/* a->what and a->seq are filled in; fd stays the caller's. INSIDE_ANSWERED. */
uint32_t inside_export(const struct inside *in, const struct renderer_message *m,
	struct renderer_answer *a, int fd);
void inside_capset(const struct inside *in, const struct renderer_capset *capset);
/* fd stays the caller's. */
void inside_dmabuf(const struct inside *in, const struct renderer_dmabuf *d, int fd);

/* NULL when there is none. */
struct inside_resource *inside_find(struct inside *in, uint32_t id);
/* A new one, without pages. NULL: it is there already, or no memory. */
struct inside_resource *inside_add(struct inside *in, uint32_t id, const struct gpu_texture *t);
/* Forgets it. The library has let go of its pages. */
void inside_remove(struct inside *in, struct inside_resource *res);

bool inside_context_add(struct inside *in, uint32_t id);
void inside_context_remove(struct inside *in, uint32_t id);

void inside_drop_pages(struct inside_resource *res);

/* The bytes of a message, valid until inside_bytes_done(). NULL: they cannot be had. */
void *inside_bytes(struct inside *in, const struct renderer_message *m, int fd);
void inside_bytes_done(struct inside *in, const struct renderer_message *m, void *bytes);

/* Maps a buffer to be shown. */
inside_handler inside_buffer;
