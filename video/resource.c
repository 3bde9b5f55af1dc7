/* SPDX-License-Identifier: MIT */
#include "resource.h"

#include <stdlib.h>

#include "common/bytes.h"

/* ---- how it is made ---- */

static bool take_entries(struct video_resource *res, const struct video_entry *entries)
{
	for (uint32_t i = 0; i < res->n_entries; i++) {
		if (!entries[i].len)
			return false;
		res->entries[i] = (struct engine_entry){entries[i].gpa, entries[i].len};
		res->size += entries[i].len; // 2^14 times 2^32 at most
	}
	return true;
}

/* Each in entries of its own, or at an offset in all of them. */
static bool find_planes(struct video_resource *res, const struct video_request *r)
{
	uint32_t entry = 0;

	res->n_planes = r->resource.n_planes;
	for (unsigned i = 0; i < res->n_planes; i++) {
		uint64_t begin = i ? res->end[i - 1] : 0, end = begin;

		for (uint32_t e = 0; e < r->resource.n_entries[i]; e++)
			end += res->entries[entry++].len;
		res->begin[i] = r->resource.per_plane ? begin : r->resource.offsets[i];
		res->end[i] = end;
	}
	for (unsigned i = 0; i < res->n_planes; i++) {
		if (!r->resource.per_plane)
			res->end[i] = res->size;
		if (res->begin[i] >= res->end[i])
			return false;
	}
	return true;
}

static enum video_error fill(struct video_resource *res, const struct dialect *d,
	const struct iovec *iov, unsigned n, const struct video_request *r)
{
	struct video_entry *entries = calloc(res->n_entries, sizeof(*entries));
	bool right;

	res->entries = calloc(res->n_entries, sizeof(*res->entries));
	if (!entries || !res->entries) {
		free(entries);
		return VIDEO_ERR_OUT_OF_MEMORY;
	}
	right = d->entries(iov, n, r, entries) && take_entries(res, entries) && find_planes(res, r);
	free(entries);
	return right ? VIDEO_OK : VIDEO_ERR_INVALID_PARAMETER;
}

enum video_error video_resource_create(const struct dialect *d, const struct iovec *iov, unsigned n,
	const struct video_request *r, uint32_t *n_all, struct video_resource **out)
{
	uint32_t n_entries = video_n_entries(r);
	struct video_resource *res;
	enum video_error error;

	if (r->resource.n_planes > VIDEO_PLANES_MAX || n_entries > VIDEO_ENTRIES_MAX)
		return VIDEO_ERR_INVALID_PARAMETER;
	if (n_entries > VIDEO_ALL_ENTRIES_MAX - *n_all)
		return VIDEO_ERR_OUT_OF_MEMORY;
	res = calloc(1, sizeof(*res));
	if (!res)
		return VIDEO_ERR_OUT_OF_MEMORY;
	res->id = r->resource.id;
	res->n_entries = n_entries;
	*n_all += n_entries;
	error = fill(res, d, iov, n, r);
	if (error)
		video_resource_destroy(res, n_all);
	else
		*out = res;
	return error;
}

void video_resource_destroy(struct video_resource *res, uint32_t *n_all)
{
	*n_all -= res->n_entries;
	free(res->entries);
	free(res);
}

/* ---- where it is ---- */

/* The next piece of an entry. NULL: it is in no region. */
static const void *piece(const struct gmem *mem, unsigned *hint, const struct engine_entry *e,
	uint64_t done, uint64_t *len)
{
	uint64_t gpa;

	*len = e->len - done;
	return add_u64(e->gpa, done, &gpa) ? gmem_at(mem, hint, gpa, len) : NULL;
}

bool video_resource_is_in(const struct video_resource *res, const struct gmem *mem)
{
	unsigned hint = 0;

	for (uint32_t i = 0; i < res->n_entries; i++)
		for (uint64_t done = 0, len; done < res->entries[i].len; done += len)
			if (!piece(mem, &hint, &res->entries[i], done, &len))
				return false;
	return true;
}

bool video_resource_is_same(
	const struct video_resource *res, const struct gmem *a, const struct gmem *b)
{
	unsigned hint_a = 0, hint_b = 0;

	for (uint32_t i = 0; i < res->n_entries; i++)
		for (uint64_t done = 0, len_a, len_b; done < res->entries[i].len;
			done += min_u64(len_a, len_b)) {
			const void *at = piece(a, &hint_a, &res->entries[i], done, &len_a);

			if (!at || at != piece(b, &hint_b, &res->entries[i], done, &len_b))
				return false;
		}
	return true;
}

bool video_resource_place(const struct video_resource *res, const struct video_layout *layout,
	uint64_t offsets[VIDEO_PLANES_MAX])
{
	uint64_t at = res->begin[0];

	for (unsigned i = 0; i < layout->n_planes; i++) {
		unsigned plane = res->n_planes == 1 ? 0 : i;

		offsets[i] = res->n_planes == 1 ? at : res->begin[i];
		if (!range_within(offsets[i], layout->planes[i].size, res->end[plane]))
			return false;
		at += layout->planes[i].size;
	}
	return true;
}
