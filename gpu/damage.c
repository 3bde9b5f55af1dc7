/* SPDX-License-Identifier: MIT */
#include "damage.h"

static uint32_t min(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static uint64_t area(const struct gpu_rect *r)
{
	return (uint64_t)r->width * r->height;
}

static struct gpu_rect bounds(const struct gpu_rect *a, const struct gpu_rect *b)
{
	uint32_t x = min(a->x, b->x), y = min(a->y, b->y);

	return (struct gpu_rect){x, y, max(a->x + a->width, b->x + b->width) - x,
		max(a->y + a->height, b->y + b->height) - y};
}

struct gpu_rect damage_bounds(const struct damage *d)
{
	struct gpu_rect all = d->rects[0];

	if (!d->n)
		return (struct gpu_rect){0};
	for (unsigned i = 1; i < d->n; i++)
		all = bounds(&all, &d->rects[i]);
	return all;
}

struct gpu_rect rect_intersect(const struct gpu_rect *a, const struct gpu_rect *b)
{
	uint32_t x = max(a->x, b->x), y = max(a->y, b->y);
	uint32_t x2 = min(a->x + a->width, b->x + b->width);
	uint32_t y2 = min(a->y + a->height, b->y + b->height);

	if (x2 <= x || y2 <= y)
		return (struct gpu_rect){0};
	return (struct gpu_rect){x, y, x2 - x, y2 - y};
}

/* Joined when the bounds hold little that neither holds. */
static int join(struct gpu_rect *into, const struct gpu_rect *r)
{
	struct gpu_rect both = bounds(into, r);
	uint64_t sum = area(into) + area(r);

	if (area(&both) > sum + sum / 4)
		return 0;
	*into = both;
	return 1;
}

void damage_add(struct damage *d, const struct gpu_rect *rect)
{
	struct gpu_rect r = *rect;

	for (unsigned i = 0; i < d->n; i++) {
		if (!join(&r, &d->rects[i]))
			continue;
		d->rects[i] = d->rects[--d->n]; // what grew may now join others
		i = (unsigned)-1;
	}
	if (d->n == DAMAGE_RECTS) {
		const struct gpu_rect all = damage_bounds(d);

		r = bounds(&r, &all);
		d->n = 0;
	}
	d->rects[d->n++] = r;
}
