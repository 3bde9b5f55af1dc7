/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One virga-gpu as a child process and everything around it: a front-end of some personality, a
 * guest's memory and rings, the driver, and where pictures go: QEMU's end of the display socket, a
 * folder of PNGs, or both. Everything here asserts; a test that fails is left at once, and
 * device_end() cleans up behind it, however far it came.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "driver/daemon.h"
#include "driver/display.h"
#include "driver/frontend.h"
#include "driver/gpu.h"
#include "driver/personality.h"

#define OK           VIRTIO_GPU_RESP_OK_NODATA
#define BGRX         VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM
#define RGBX         VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM
#define BGRA         VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM
#define NOTHING      GPU_RECT(0, 0, 0, 0)
#define PATH_MAX_LEN 160

/* What a test wants; 0 and NULL are the usual. */
struct device_setup {
	const char *personality; // qemu11-gpu, or qemu11-generic when there is no peer
	bool peer, png;
	uint64_t offered;     // of the peer, beside EDID
	const char *args[8];  // more for the daemon, NULL at the end
	uint32_t ring_size;   // 256
	uint64_t memory;      // 64 MiB
	bool keep_stderr;     // in the file device.errors
	bool wait_for_client; // started, but nobody connects yet
	bool one_ring;        // only the first
	bool no_sandbox;      // the daemon has none: else it is locked in by name
	uint64_t window;      // bytes of the shared memory region, with --hostmem; 0: none
	const char *strace;   // under this program, which counts its system calls to device.trace
};

struct device {
	struct daemon_child child;
	struct frontend fe;
	struct guest guest;
	struct drv_ring rings[2];
	struct gpu_driver gpu;
	struct display_peer peer;
	struct window window;
	struct personality_run run;
	bool peer_is_open, guest_is_made, fe_is_open;

	char dir[PATH_MAX_LEN];      // of this test alone
	char socket[PATH_MAX_LEN];   // that the daemon listens on
	char pictures[PATH_MAX_LEN]; // where the PNGs go
	char errors[PATH_MAX_LEN];   // the daemon's stderr
	char trace[PATH_MAX_LEN];    // what strace found
};

extern struct device dev;

/* Where the program under test is. main() calls it first; tests find it in device_binary. */
void device_main(int argc, char **argv);
extern const char *device_binary;

/* Starts a daemon and brings it up to DRIVER_OK. Ends what an earlier call has left. */
void device_begin(const struct device_setup *setup);

/* Kills the daemon if it is still there and removes the folder. As a teardown. */
int device_end(void **state);

/* SIGTERM; it has to exit with 0. */
void device_terminate(void);

/* Connects a front-end: the phases up to DRIVER_OK. Rings and driver begin anew. */
void device_connect(void);
/* Closes its connection. */
void device_disconnect(void);

/* DRIVER_OK with a new socket for the peer if there is one; the rings go on where they stand. */
void device_start(void);
/* Stops the rings. What the personality sends for a reset is sent too. */
void device_stop(void);
/* The driver's reset: stop, and rings that begin at 0. device_start() comes next. */
void device_reset(void);

/*
 * Has the daemon handle all that it can, and takes in all that it says to the peer meanwhile. When
 * it returns, nothing more will come unless the peer, the driver or the front-end do something.
 */
void device_settle(void);

/* Puts a command on the control queue, does not wait for it. Returns its ticket. */
int device_submit(const void *command, size_t len);
int device_submit_flush(uint32_t id, struct virtio_gpu_rect r);
int device_submit_transfer(uint32_t id, struct virtio_gpu_rect r, uint64_t offset);

/* Is the command done by now? The rest of its world stands still. */
bool device_is_done(int ticket);
/* Waits until it is: OK. */
void device_collect(int ticket);

/* A resource w * h with backing of its own, filled with one colour and transferred. */
uint64_t device_make(uint32_t id, uint32_t w, uint32_t h, uint32_t colour);
/* Fills it with another one and transfers it. */
void device_fill(uint32_t id, uint64_t gpa, struct virtio_gpu_rect whole, uint32_t colour);
/* That, a scanout of all of it, and a flush. */
uint64_t device_show(uint32_t scanout, uint32_t id, uint32_t w, uint32_t h, uint32_t colour);

/* The zlib CRC-32 of a w * h picture of one colour. */
uint32_t device_crc_of(uint32_t w, uint32_t h, uint32_t colour);

/* Answers what the peer was asked once while it was mute. */
void device_answer_late(void);

/* What the peer sees of a scanout is this size and this one colour. */
void device_assert_peer(uint32_t scanout, uint32_t w, uint32_t h, uint32_t colour);

/* The next line on the daemon's stdout, in time. */
void device_line(char *buf, size_t room);
/* There is no line now. */
void device_assert_silent(void);
/* It says that this frame was written, and the file that it names holds it. */
void device_assert_frame(
	uint32_t scanout, unsigned int frame, uint32_t w, uint32_t h, uint32_t crc);
/* The path of a frame's file. */
void device_frame_path(char *buf, uint32_t scanout, unsigned int frame);
