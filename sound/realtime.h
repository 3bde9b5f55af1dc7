/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The loop's thread feeds graphs that do not wait: where it is permitted (RLIMIT_RTPRIO, CAP_SYS_NICE) it
 * runs with a realtime priority, below those of PipeWire's own threads. A guest that keeps it busy
 * without a pause costs it that priority, and nobody else anything.
 */

enum realtime_got { REALTIME_NONE, REALTIME_NICE, REALTIME_RR };

/* The thread that starts the program, once. Says what was permitted. */
enum realtime_got realtime_begin(void);
