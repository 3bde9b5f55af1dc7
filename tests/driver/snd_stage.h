/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One virga-sound as a child process and everything around it: a front-end of some personality, a
 * guest's memory and rings, and the driver. Functions return 0 or a negative errno, and
 * snd_stage.failed says in words what went wrong; snd_stage_end() cleans up, however far it came.
 */
#include "daemon.h"
#include "frontend.h"
#include "personality.h"
#include "snd.h"

/* What a test wants; 0 and NULL are the usual. */
struct snd_setup {
	const char *personality;  // qemu11-snd
	const char *const *args;  // more for the daemon, NULL at the end
	uint32_t ring_size;       // 64, as QEMU's
	uint64_t memory;          // 64 MiB
	uint32_t config_size;     // 12; 16 where there are control elements
	uint32_t event_buffers;   // given to the device at each start of fresh rings
	bool wait_for_client;     // started, but nobody connects yet
	const char *const *under; // the words of a command that runs the daemon (strace -f ...)
};

struct snd_stage {
	struct snd_setup setup;
	struct daemon_child child;
	struct frontend fe;
	struct guest guest;
	struct drv_ring rings[SND_DRIVER_RINGS];
	struct snd_driver snd;
	struct personality_run run;
	bool child_is_started, guest_is_made, fe_is_open, is_fresh;
	uint32_t n_rings;

	char dir[96];     // of this test alone, removed with all that is in it
	char socket[128]; // that the daemon listens on
	char failed[160];
};

/*
 * Starts binary (child_binary() finds it) and brings the device up to DRIVER_OK. *s has to be
 * zeroed, or ended. setup may be NULL; what it points to has to last as long as the stage.
 */
int snd_stage_begin(struct snd_stage *s, const char *binary, const struct snd_setup *setup);

/* Kills the daemon if it is still there and removes the folder. Also a zeroed stage's end. */
void snd_stage_end(struct snd_stage *s);

/* SIGTERM, and it has to exit with 0 (else -ECANCELED). */
int snd_stage_terminate(struct snd_stage *s);

/* Connects a front-end: the phases up to DRIVER_OK. Rings and driver begin anew. */
int snd_stage_connect(struct snd_stage *s);
void snd_stage_disconnect(struct snd_stage *s);

/* Stops the rings and starts them where they stood. */
int snd_stage_stop(struct snd_stage *s);
int snd_stage_start(struct snd_stage *s);

/* The driver's reset: stops, and rings that begin at 0. snd_stage_start() comes next. */
int snd_stage_reset(struct snd_stage *s);

/* Has the daemon handle all that it can now, and takes in what the rings have then. */
int snd_stage_settle(struct snd_stage *s);

/* The configuration space as the personality read it, in host byte order. */
struct virtio_snd_config snd_stage_config(const struct snd_stage *s);
