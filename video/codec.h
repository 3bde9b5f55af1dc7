/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What every codec's inside needs, whatever its library: the messages (engine.h), the guest's memory,
 * resources, the two queues and the order of things.
 *
 * There are two threads: the part's own takes messages, a worker decodes. All of this is under one lock,
 * which the worker leaves while the library decodes. Guest memory is touched under it only: what is forgotten
 * is touched no more. Pictures may come from threads of the library's, too.
 *
 *	message thread: QUEUE -> queues[]            worker: a unit, copied -> ops->decode()
 *	                                                 library -> codec_take(), pixels, codec_give()
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/part.h"
#include "engine.h"
#include "frame.h"

enum { CODEC_PADDING = 64, CODEC_TIMES = 256 };

struct codec;

struct codec_ops {
	/* Says codec_capability() for each element that works. */
	void (*list)(struct codec *c);
	/* Makes the library's side of c->open, in c->library. What it opens, it opens here; with
	 * c->hardware it may ask its driver later. 0 or negative errno. */
	int (*open)(struct codec *c);
	/* Decodes a unit of bitstream, owned (free()), with CODEC_PADDING zeros behind it. `number` has to
	 * come with its picture. Negative errno: the stream cannot go on. Called, as the next ones, by the
	 * worker, without the lock. */
	int (*decode)(struct codec *c, uint8_t *bytes, size_t size, uint64_t number);
	/* Has all pictures put out, and begins anew. */
	int (*drain)(struct codec *c);
	/* Forgets all pictures, and begins anew. */
	int (*flush)(struct codec *c);
	void (*close)(struct codec *c);
};

struct codec_resource {
	LIST_ENTRY(codec_resource) link;
	uint32_t id;
	uint64_t size;
	struct iovec *iov; // its memory
	unsigned n_iov;
	struct gmem *mem; // a reference, for iov; or
	void *map;        // of a descriptor
	/* As it is queued. */
	TAILQ_ENTRY(codec_resource) queued;
	bool is_queued;
	struct engine_message m;
};

struct codec {
	int sock;
	const struct part_inside *of;
	const struct codec_ops *ops;
	void *library;
	struct engine_message open;
	bool hardware;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t worker;
	bool opened, flushing, broken, ending;

	struct gmem *mem;
	struct engine_entry *entries; // of the resource that follows
	uint32_t n_entries;
	LIST_HEAD(, codec_resource) resources[ENGINE_QUEUES];
	TAILQ_HEAD(, codec_resource) queues[ENGINE_QUEUES];
	struct codec_resource drain; // in the queue of bitstream, when one is wanted

	struct engine_answer format;  // the last one
	struct engine_message output; // for the format of its serial
	unsigned early;               // units more whose headers tell of what comes next
	unsigned faults;              // in guest memory, when a buffer was taken
	uint64_t units, pictures;
	uint64_t times[CODEC_TIMES]; // timestamps of the last units, by their numbers
};

/* The inside of a part: serves until its device is gone. What it returns is the exit status. */
int codec_run(int sock, const struct part_inside *of, const struct codec_ops *ops);

void codec_capability(struct codec *c, const struct engine_answer *capability);

/* The next picture is of this format; serial is filled in. Nothing is said when its size is as before. Any
 * thread, without the lock. */
void codec_format(struct codec *c, struct engine_answer *format);
/* The same of headers, where no pictures of before can be under way: first of all, and in the first units
 * after a drain or a flush. Else it is left to codec_format(). */
void codec_format_early(struct codec *c, struct engine_answer *format);

/*
 * Waits for a buffer for a picture of the last format, and takes the lock. NULL, and no lock: the picture
 * is to be dropped.
 */
struct codec_resource *codec_take(struct codec *c, struct frame_target *t);
/* It has the picture of unit `number`. Leaves the lock. flags: ENGINE_BROKEN, ENGINE_KEY. */
void codec_give(struct codec *c, struct codec_resource *res, uint64_t number, uint32_t flags);

/* For a library with threads: waits until *flag is set, or all is to be dropped: then false. */
bool codec_wait(struct codec *c, const bool *flag);
void codec_set(struct codec *c, bool *flag);
