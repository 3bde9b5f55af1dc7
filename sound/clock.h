/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A stream's clock: how many frames have passed at a time. It runs at the nominal rate and follows a
 * graph whose own rate is a little off and whose cycles come early and late: a second-order loop,
 * critically damped, that forgets a disturbance in half a minute. Pure arithmetic.
 */
#include <stdint.h>

struct clock {
	double rate;     // frames a ns
	int64_t time;    // ns of CLOCK_MONOTONIC
	double position; // at that time
	double slew;     // faster than nominal by this part, 0.001 at 1000 ppm
	double drift;    // what of it lasts
	double debt;     // frames that it is ahead, and loses by going at half its speed
};

/* At rest, frames_per_s being the nominal rate. */
void clock_init(struct clock *c, uint32_t frames_per_s);

/* From here on it counts from this position at this time. What was learned of the rate stays. */
void clock_set(struct clock *c, int64_t time, double position);

/* From this time on it is ahead by so many frames: it does not jump back, nor stand, but loses them. */
void clock_owe(struct clock *c, int64_t time, double frames);

double clock_at(const struct clock *c, int64_t time);

/* The first ns at which clock_at() is at least `position`. */
int64_t clock_when(const struct clock *c, double position);

/*
 * A measurement: at this time the clock was ahead of the graph by so many frames, which had done
 * `passed` frames since the last measurement.
 */
void clock_follow(struct clock *c, int64_t time, double ahead, double passed);

/* There is nothing to follow any more: what lasts of its speed stays. */
void clock_coast(struct clock *c, int64_t time);
