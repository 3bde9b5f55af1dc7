/* SPDX-License-Identifier: MIT */
#include "clock.h"

#define OMEGA    0.125 // of the loop, rad/s
#define SLEW_MAX 0.01

void clock_init(struct clock *c, uint32_t frames_per_s)
{
	*c = (struct clock){.rate = frames_per_s / 1e9};
}

void clock_set(struct clock *c, int64_t time, double position)
{
	c->time = time;
	c->position = position;
	c->debt = 0;
}

static double speed(const struct clock *c)
{
	return c->rate * (1 + c->slew);
}

/* How much of the debt has been paid by then. */
static double paid(const struct clock *c, int64_t time)
{
	double half = (double)(time - c->time) * speed(c) / 2;

	return half < c->debt ? half : c->debt;
}

double clock_at(const struct clock *c, int64_t time)
{
	return c->position + (double)(time - c->time) * speed(c) - paid(c, time);
}

int64_t clock_when(const struct clock *c, double position)
{
	double frames = position - c->position;
	int64_t time;

	frames += frames < c->debt ? frames : c->debt;
	time = c->time + (int64_t)(frames / speed(c));
	while (clock_at(c, time) < position)
		time++;
	return time;
}

/* Goes on from this time as it would have. */
static void move_base(struct clock *c, int64_t time)
{
	double left = c->debt - paid(c, time);

	clock_set(c, time, clock_at(c, time));
	c->debt = left;
}

void clock_owe(struct clock *c, int64_t time, double frames)
{
	move_base(c, time);
	c->debt = frames;
}

static double limit(double value)
{
	return value > SLEW_MAX ? SLEW_MAX : value < -SLEW_MAX ? -SLEW_MAX : value;
}

void clock_follow(struct clock *c, int64_t time, double ahead, double passed)
{
	double nominal = c->rate * 1e9, seconds;

	move_base(c, time);
	seconds = (ahead - c->debt) / nominal;
	/* Not the time between measurements: that is long when one is late, and then it is ahead, too. */
	c->drift = limit(c->drift - OMEGA * OMEGA * seconds * passed / nominal);
	c->slew = limit(c->drift - 2 * OMEGA * seconds);
}

void clock_coast(struct clock *c, int64_t time)
{
	move_base(c, time);
	c->slew = c->drift;
}
