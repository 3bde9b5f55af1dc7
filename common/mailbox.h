/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The only door between threads: pointers from one thread to one other, in order, without locks. An
 * eventfd tells the receiver.
 */
#include <stdbool.h>

enum { MAILBOX_SIZE = 64 };

struct mailbox {
	int event; // readable when something was put; a receiver may block on it or poll it
	unsigned head, tail;
	void *slots[MAILBOX_SIZE];
};

/* 0 or negative errno. `blocking`: the receiver waits in mailbox_wait() rather than in a loop. */
int mailbox_init(struct mailbox *m, bool blocking);
void mailbox_finish(struct mailbox *m);

/* The sending thread only. False when MAILBOX_SIZE pointers wait already. */
bool mailbox_put(struct mailbox *m, void *item);

/* The receiving thread only. NULL when nothing waits. */
void *mailbox_get(struct mailbox *m);

/* The receiving thread only: consumes the event; a blocking mailbox sleeps until there is one. */
void mailbox_wait(struct mailbox *m);
