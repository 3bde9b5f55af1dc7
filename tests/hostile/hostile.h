/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Bad inputs by name, against the real daemon over a real socket. One daemon listens for all cases
 * of a program. A case finds a front-end at its stage, does one bad or merely unusual thing and
 * asserts what comes of it. Then hostile.c looks for itself: the daemon lives; a connection that
 * was not closed serves the next request; when the front-end has left, as many files are open as
 * ever; and the next front-end is served.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>

#include "driver/daemon.h"
#include "driver/display.h"
#include "driver/frontend.h"
#include "driver/gpu.h"
#include "driver/snd.h"
#include "driver/video.h"
#include "driver/wait.h"

enum { RING_NUM = 64, RINGS_MAX = 4 };

/* The guest's memory: one region for most, its first bytes for what is written by hand, and two
 * that touch each other. */
#define MAIN_SIZE  (16ull << 20)
#define HAND_SIZE  (256ull << 10)
#define SIDE_SIZE  (1ull << 20)
#define LEFT_GPA   (256ull << 20)
#define BORDER_GPA (LEFT_GPA + SIDE_SIZE)
#define END_GPA    (BORDER_GPA + SIDE_SIZE)
#define NO_GPA     (1ull << 40) /* in no region */

enum { MAIN_REGION, LEFT_REGION, RIGHT_REGION };

enum hostile_stage {
	CONNECTED, // nothing was said
	AGREED,    // on all features, with acks
	RUNNING,   // memory is there, all rings run
	SHOWING,   // and a display is there, on devices that have one
};

/* The device that a program is for, and how to tell that it works: on_gpu.c, on_sound.c,
 * on_video.c. */
struct hostile_target {
	const char *variable, *program; // as child_binary() has it, and what it is called
	unsigned n_rings;
	const char *const *args;   // of the daemon, where a case has none
	void (*begin)(void);       // a driver, on hx.guest and hx.rings
	void (*forget)(void);      // what it has under way: rings were reset
	void (*end)(void);         // of the driver, before the guest's
	void (*works)(unsigned q); // a request on ring q
	void (*show)(void);        // NULL: it has no display
};

extern const struct hostile_target hostile_target;

struct hostile_case {
	const char *name;
	enum hostile_stage stage;
	void (*run)(const void *arg);
	const void *arg;
	const char *const *args; // of the daemon; NULL: the target's
};

struct hostile {
	struct daemon_child child;
	const char *const *args; // that child runs with
	char dir[32], path[64];
	int idle_fds; // that it has open when nobody is connected
	struct frontend fe;
	struct guest guest;
	struct drv_ring rings[RINGS_MAX];
	union {
		struct {
			struct gpu_driver gpu;
			struct display_peer peer;
		};
		struct snd_driver snd;
		struct video_driver video;
	};
	uint64_t features, protocol; // that the front-end asks for; all, at the begin of a case
	bool passed;
};

extern struct hostile hx;
extern const char *hostile_binary; // the daemon

/* Runs all cases of a program: its main() ends with it. argv[1] is the daemon. */
int hostile_main(int argc, char **argv, const struct hostile_case *cases, size_t n);

/* Cases that are made of tables are put together with these. */
struct hostile_list {
	struct hostile_case cases[512];
	size_t n;
};

void hostile_add(struct hostile_list *list, const struct hostile_case *more, size_t n);

/* A case for each row of a table whose rows have a name. */
#define HOSTILE_ADD_TABLE(list, table, at, function)                                               \
	for (size_t i_ = 0; i_ < COUNT(table); i_++) {                                             \
		struct hostile_case case_ = {(table)[i_].name, at, function, &(table)[i_]};        \
		hostile_add(list, &case_, 1);                                                      \
	}

/* Another front-end, or the steps of one by hand. */
void hostile_connect(void);
void hostile_agree(void);
void hostile_give_memory(void);
void hostile_start_rings(void);
void hostile_leave(void);
void hostile_renew_guest(void); // a fresh one, for another front-end

/* The back-end closes the connection, without a word. */
void expect_closed(void);

/* The connection lives. */
void expect_answers(void);

/* The daemon has done all that it was told and kicked to do, and is at rest if it can be. */
void hostile_settle(void);

/* msg gets an ack that is an error and the connection lives; without an ack, it is closed. */
void expect_refused(const struct frontend_msg *msg);

/* msg gets an ack that says it worked. */
void expect_accepted(const struct frontend_msg *msg);

/* Fills fds with n descriptors that hold memory of the guest. */
void hostile_fds(int *fds, size_t n);

/* A well-formed header for len bytes of payload. */
struct frontend_msg hostile_msg(uint32_t request, const void *payload, uint32_t len);

/* All rings work, or ring q does. */
void expect_rings_work(void);
void expect_ring_works(unsigned q);

/* What the daemon has been given is handled, and it has used nothing of ring q. */
void expect_nothing_used(unsigned q);

/* Ring q is broken and its driver is told, the others work; a restart by the driver heals. */
void expect_broken(unsigned q);

/* Buffers of ring q that no event of so many bytes fits into come back at once, and empty. */
void expect_too_short(unsigned q, uint32_t bytes);

/* Stops ring q, whatever state it is in, forgets what was in it, and starts it from 0. */
void hostile_restart_ring(unsigned q);
void hostile_stop_ring(unsigned q);

/* The daemon has n files open, at once or soon. */
void expect_fds(int n);

#define PROTOCOL(name) (1ull << VHOST_USER_PROTOCOL_F_##name)
#define MAX_PAYLOAD    sizeof(union vhost_user_payload)

#define assert_ok(expression) assert_int_equal((expression), 0)
#define COUNT(array)          (sizeof(array) / sizeof(*(array)))
