/* SPDX-License-Identifier: MIT */
/* What a request of virtio-video says does not depend on how the guest has cut it; and what is made of it
 * lies within bounds. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "fuzz.h"
#include "pieces.h"
#include "video/controls.h"
#include "video/resource.h"

enum { SPLITS = 8 };

static void check_request(const struct video_request *r, enum video_error error)
{
	FUZZ_CHECK(error <= VIDEO_ERR_UNSUPPORTED_CONTROL);
	if (error)
		return;
	FUZZ_CHECK(r->what < VIDEO_WHATS && r->queue < VIDEO_QUEUES);
	if (r->what == VIDEO_STREAM_CREATE)
		FUZZ_CHECK(r->create.coded < VIDEO_FORMATS
			&& memchr(r->create.tag, 0, sizeof(r->create.tag)));
	else if (r->what == VIDEO_RESOURCE_CREATE)
		FUZZ_CHECK(r->resource.n_planes && r->resource.n_planes <= VIDEO_WIRE_PLANES);
	else if (r->what == VIDEO_RESOURCE_QUEUE)
		FUZZ_CHECK(r->buffer.n_sizes <= VIDEO_WIRE_PLANES);
	else if (r->what == VIDEO_SET_PARAMS)
		FUZZ_CHECK(r->params.n_planes <= VIDEO_WIRE_PLANES
			&& r->params.format < VIDEO_FORMATS);
	else if (r->what >= VIDEO_QUERY_CONTROL)
		FUZZ_CHECK(r->control.id < VIDEO_CONTROLS && r->control.format < VIDEO_FORMATS);
}

/* Its pieces are all in it, and what a picture takes of it, too. */
static void check_resource(const struct pieces *p, const struct video_request *r)
{
	const struct video_layout layouts[] = {
		video_layout_of(VIDEO_NV12, 16, 16), video_layout_of(VIDEO_I420, 33, 7)};
	struct video_resource *res;
	uint64_t offsets[VIDEO_PLANES_MAX];
	uint32_t n_all = 0;

	if (video_resource_create(&dialect_v3, p->iov, p->n, r, &n_all, &res))
		return;
	FUZZ_CHECK(n_all == res->n_entries && n_all == video_n_entries(r));
	for (unsigned i = 0; i < res->n_planes; i++)
		FUZZ_CHECK(res->begin[i] < res->end[i] && res->end[i] <= res->size);
	for (unsigned k = 0; k < ARRAY_SIZE(layouts); k++)
		for (unsigned i = 0;
			video_resource_place(res, &layouts[k], offsets) && i < layouts[k].n_planes;
			i++)
			FUZZ_CHECK(range_within(offsets[i], layouts[k].planes[i].size, res->size));
	video_resource_destroy(res, &n_all);
	FUZZ_CHECK(!n_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct video_request whole_r, r;
	struct pieces whole = {0}, p;
	enum video_error error;

	pieces_add(&whole, data, size);
	memset(&whole_r, 0, sizeof(whole_r));
	error = dialect_v3.decode(whole.iov, whole.n, &whole_r);
	check_request(&whole_r, error);
	if (!error && whole_r.what == VIDEO_RESOURCE_CREATE)
		check_resource(&whole, &whole_r);
	for (uint32_t seed = 0; seed < SPLITS; seed++) {
		pieces_cut(&p, data, size, seed);
		memset(&r, 0, sizeof(r));
		FUZZ_CHECK(dialect_v3.decode(p.iov, p.n, &r) == error);
		FUZZ_CHECK(r.what == whole_r.what && r.stream == whole_r.stream
			&& r.queue == whole_r.queue);
		if (!error && r.what == VIDEO_RESOURCE_CREATE)
			check_resource(&p, &r);
		pieces_forget(&p);
	}
	pieces_forget(&whole);
	return 0;
}
