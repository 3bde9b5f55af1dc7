/* SPDX-License-Identifier: MIT */
/* Resources: where planes lie, and whether a picture has room in them. */
#include "unit.h"

#include "common/fd.h"
#include "protocols/virtio_video_v3.h"
#include "video/resource.h"

static struct {
	struct virtio_video_resource_create c;
	struct virtio_video_mem_entry entries[8];
} command;
static struct video_request request = {.what = VIDEO_RESOURCE_CREATE};
static struct video_resource *res;
static uint32_t n_all;

/* Entries of these lengths, one region behind the other. */
static void put_entries(const uint32_t *lengths, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		command.entries[i] =
			(struct virtio_video_mem_entry){(uint64_t)(i + 1) << 32, lengths[i]};
}

static enum video_error create(uint32_t n_sent)
{
	const struct iovec iov = {
		&command, sizeof(command.c) + n_sent * sizeof(command.entries[0])};

	n_all = 0;
	res = NULL;
	return video_resource_create(&dialect_v3, &iov, 1, &request, &n_all, &res);
}

static void drop(void)
{
	video_resource_destroy(res, &n_all);
	assert_int_equal(n_all, 0);
}

static void in_one_buffer(void **state)
{
	static const uint32_t lengths[] = {100, 50, 7};

	(void)state;
	put_entries(lengths, 3);
	request.resource.per_plane = false;
	request.resource.n_planes = 2;
	request.resource.offsets[0] = 1;
	request.resource.offsets[1] = 120;
	request.resource.n_entries[0] = 3;
	request.resource.n_entries[1] = 0;
	assert_int_equal(create(3), VIDEO_OK);
	assert_int_equal(n_all, 3);
	assert_int_equal(res->size, 157);
	assert_true(res->begin[0] == 1 && res->end[0] == 157);
	assert_true(res->begin[1] == 120 && res->end[1] == 157);
	drop();
	assert_int_equal(create(2), VIDEO_ERR_INVALID_PARAMETER);
	assert_int_equal(n_all, 0);
	request.resource.offsets[1] = 157;
	assert_int_equal(create(3), VIDEO_ERR_INVALID_PARAMETER);
	request.resource.offsets[1] = 156;
	assert_int_equal(create(3), VIDEO_OK);
	drop();
}

static void in_buffers_of_their_own(void **state)
{
	static const uint32_t lengths[] = {100, 50, 7};

	(void)state;
	put_entries(lengths, 3);
	request.resource.per_plane = true;
	request.resource.n_planes = 2;
	request.resource.n_entries[0] = 2;
	request.resource.n_entries[1] = 1;
	assert_int_equal(create(3), VIDEO_OK);
	assert_true(res->begin[0] == 0 && res->end[0] == 150);
	assert_true(res->begin[1] == 150 && res->end[1] == 157);
	drop();
	request.resource.n_entries[1] = 0;
	assert_int_equal(create(3), VIDEO_ERR_INVALID_PARAMETER);
	request.resource.n_entries[1] = 1;
	request.resource.n_planes = 4;
	assert_int_equal(create(3), VIDEO_ERR_INVALID_PARAMETER);
}

static void entries_of_nothing(void **state)
{
	static const uint32_t lengths[] = {100, 0};

	(void)state;
	put_entries(lengths, 2);
	request.resource.per_plane = false;
	request.resource.n_planes = 1;
	request.resource.offsets[0] = 0;
	request.resource.n_entries[0] = 2;
	assert_int_equal(create(2), VIDEO_ERR_INVALID_PARAMETER);
	request.resource.n_entries[0] = 0;
	assert_int_equal(create(2), VIDEO_ERR_INVALID_PARAMETER);
	request.resource.n_entries[0] = VIDEO_ENTRIES_MAX + 1;
	assert_int_equal(create(2), VIDEO_ERR_INVALID_PARAMETER);
}

/* What all resources may have together. */
static void too_many_entries(void **state)
{
	static const uint32_t lengths[] = {100, 100};
	const struct iovec iov = {&command, sizeof(command)};

	(void)state;
	put_entries(lengths, 2);
	request.resource.n_planes = 1;
	request.resource.n_entries[0] = 2;
	n_all = VIDEO_ALL_ENTRIES_MAX - 1;
	assert_int_equal(video_resource_create(&dialect_v3, &iov, 1, &request, &n_all, &res),
		VIDEO_ERR_OUT_OF_MEMORY);
	assert_int_equal(n_all, VIDEO_ALL_ENTRIES_MAX - 1);
	n_all--;
	assert_int_equal(
		video_resource_create(&dialect_v3, &iov, 1, &request, &n_all, &res), VIDEO_OK);
	assert_int_equal(n_all, VIDEO_ALL_ENTRIES_MAX);
	video_resource_destroy(res, &n_all);
}

/* A picture of 8x4: 32 bytes and 16. */
static void places(void **state)
{
	const struct video_layout nv12 = video_layout_of(VIDEO_NV12, 8, 4);
	const struct video_layout i420 = video_layout_of(VIDEO_I420, 8, 4);
	uint64_t at[VIDEO_PLANES_MAX];
	struct video_resource one = {.n_planes = 1, .begin = {10}, .end = {58}, .size = 58};
	struct video_resource two = {.n_planes = 2, .begin = {0, 40}, .end = {40, 56}, .size = 56};

	(void)state;
	assert_true(video_resource_place(&one, &nv12, at));
	assert_true(at[0] == 10 && at[1] == 42);
	assert_true(video_resource_place(&one, &i420, at));
	assert_true(at[1] == 42 && at[2] == 50);
	one.end[0]--;
	assert_false(video_resource_place(&one, &nv12, at));
	assert_true(video_resource_place(&two, &nv12, at));
	assert_true(at[0] == 0 && at[1] == 40);
	assert_false(video_resource_place(&two, &i420, at));
	two.end[0] = 31;
	assert_false(video_resource_place(&two, &nv12, at));
	two.end[0] = 32;
	two.end[1] = 55;
	assert_false(video_resource_place(&two, &nv12, at));
}

/* ---- maps ---- */

static struct gmem *add(struct gmem *mem, uint64_t gpa, uint64_t size, int fd)
{
	const struct gmem_desc d = {gpa, size, gpa, 0};
	struct gmem *more;

	assert_int_equal(gmem_add(mem, &d, fd, &more), 0);
	gmem_unref(mem);
	return more;
}

static void where_it_is(void **state)
{
	int fd = fd_memfd("test", 8192);
	struct gmem *a = add(add(gmem_create(), 0x10000, 8192, fd), 0x20000, 4096, fd);
	struct gmem *b = add(gmem_ref(a), 0x40000, 4096, fd);
	struct gmem *c = add(gmem_create(), 0x10000, 8192, fd);
	struct engine_entry entries[] = {{0x10100, 100}, {0x20000, 4096}};
	struct video_resource r = {.n_entries = 2, .entries = entries};

	(void)state;
	assert_true(fd >= 0);
	assert_true(video_resource_is_in(&r, a));
	assert_true(video_resource_is_same(&r, a, b)); // one more region moves nothing
	assert_false(video_resource_is_in(&r, c));
	assert_false(video_resource_is_same(&r, a, c));
	entries[1].len++;
	assert_false(video_resource_is_in(&r, a));
	r.n_entries = 1;
	assert_true(video_resource_is_in(&r, c));
	assert_false(video_resource_is_same(&r, a, c)); // the same file, mapped elsewhere
	entries[0] = (struct engine_entry){UINT64_MAX - 4, 100};
	assert_false(video_resource_is_in(&r, a));
	gmem_unref(a);
	gmem_unref(b);
	gmem_unref(c);
	fd_close(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_one_buffer),
		cmocka_unit_test(in_buffers_of_their_own),
		cmocka_unit_test(entries_of_nothing),
		cmocka_unit_test(too_many_entries),
		cmocka_unit_test(places),
		cmocka_unit_test(where_it_is),
	};

	return cmocka_run_group_tests_name("video_resource", tests, NULL, NULL);
}
