/* SPDX-License-Identifier: MIT */
/* Memory that goes or shrinks while rings and resources use it, and backing that is not all there.
 */
#define _GNU_SOURCE
#include "on_gpu.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* ---- memory that changes while it is in use ---- */

static void same_table_again(const void *arg)
{
	int n = child_count_fds(&hx.child);

	(void)arg;
	for (int i = 0; i < 100; i++) {
		assert_ok(frontend_set_mem_table(&hx.fe, &hx.guest));
		expect_rings_work();
	}
	expect_fds(n);
}

/* Both rings lie in the main region: they rest while it is away, and go on when it is back. */
static void expect_rest(void)
{
	const struct virtio_gpu_ctrl_hdr ask = {.type = VIRTIO_GPU_CMD_GET_DISPLAY_INFO};
	const struct virtio_gpu_update_cursor move = {.hdr.type = VIRTIO_GPU_CMD_MOVE_CURSOR};
	int tickets[RINGS];

	tickets[CONTROL] = gpu_driver_submit(&hx.gpu, CONTROL, &ask, sizeof(ask), 1024);
	tickets[CURSOR] = gpu_driver_submit(&hx.gpu, CURSOR, &move, sizeof(move), 0);
	for (unsigned q = 0; q < RINGS; q++) {
		assert_ok(drv_ring_kick_now(&hx.rings[q]));
		expect_nothing_used(q);
	}
	assert_ok(frontend_add_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
	assert_int_equal(
		gpu_driver_collect(&hx.gpu, tickets[CONTROL]), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(gpu_driver_collect(&hx.gpu, tickets[CURSOR]), 0);
	for (unsigned q = 0; q < RINGS; q++)
		assert_int_equal(drv_ring_wait_err(&hx.rings[q], 0), -ETIMEDOUT);
}

static void rings_removed(const void *arg)
{
	(void)arg;
	expect_rings_work();
	assert_ok(frontend_remove_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
	expect_rest();
}

static void all_memory_removed(const void *arg)
{
	struct guest none = {.n = 0};

	(void)arg;
	assert_ok(frontend_set_mem_table(&hx.fe, &none));
	expect_rest();
	for (size_t i = LEFT_REGION; i < hx.guest.n; i++)
		assert_ok(frontend_add_region(&hx.fe, &hx.guest.regions[i]));
}

static void stopped_while_removed(const void *arg)
{
	(void)arg;
	expect_rings_work();
	assert_ok(frontend_remove_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
	for (unsigned q = 0; q < RINGS; q++)
		hostile_stop_ring(q);
	assert_ok(frontend_add_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
	for (unsigned q = 0; q < RINGS; q++)
		hostile_restart_ring(q);
}

/* A request that returns while its ring is away cannot be given back: that ring is broken. */
static void removed_under_a_flush(const void *arg)
{
	int ticket;

	(void)arg;
	hostile_picture(1, 1024, 768, 0x123456);
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, GPU_RECT(0, 0, 1024, 768)));
	hx.peer.stop_reading = true;
	ticket = hostile_begin_flush(1, 1024, 768);
	expect_pending(ticket);
	assert_ok(frontend_remove_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
	hx.peer.stop_reading = false;
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_UPDATE, 1, WAIT_DEFAULT));
	expect_nothing_used(CONTROL);
	assert_ok(frontend_add_region(&hx.fe, &hx.guest.regions[MAIN_REGION]));
	expect_broken(CONTROL);
}

/* ---- backing ---- */

enum { SIDE = 64, BYTES = SIDE * SIDE * 4 };

#define ALL GPU_RECT(0, 0, SIDE, SIDE)

/* Resource id, of which the n entries are the backing. */
static int attach(uint32_t id, const struct virtio_gpu_mem_entry *e, uint32_t n)
{
	assert_ack(gpu_driver_create_2d(&hx.gpu, id, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, SIDE, SIDE));
	return gpu_driver_attach(&hx.gpu, id, e, n);
}

static int attach_at(uint32_t id, uint64_t gpa)
{
	struct virtio_gpu_mem_entry e = {.addr = gpa, .length = BYTES};

	return attach(id, &e, 1);
}

static int transfer(uint32_t id)
{
	return gpu_driver_transfer(&hx.gpu, id, ALL, 0);
}

struct backing {
	const char *name;
	int answer;
	struct virtio_gpu_mem_entry e[3];
};

#define BAD VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
#define OK  VIRTIO_GPU_RESP_OK_NODATA

static const struct backing backings[] = {
	{"backing in no region", BAD, {{NO_GPA, BYTES}}},
	{"backing that begins below a region", BAD, {{LEFT_GPA - 1, BYTES}}},
	{"backing that ends behind a region", BAD, {{END_GPA - BYTES + 1, BYTES}}},
	{"backing behind the end", BAD, {{END_GPA, BYTES}}},
	{"backing that wraps", BAD, {{~0ull - PAGE, 2 * PAGE}}},
	{"backing that wraps to address 0", BAD, {{(uint64_t)-PAGE, BYTES}}},
	{"backing of 4 GiB - 1", BAD, {{0, ~0u}}},
	{"backing of which a byte is missing", BAD, {{0, BYTES - 1}, {NO_GPA, 1}}},
	{"backing whose middle is missing", BAD, {{0, PAGE}, {NO_GPA, PAGE}, {PAGE, BYTES}}},
	{"backing across two regions", OK, {{BORDER_GPA - PAGE - 4, BYTES}}},
	{"backing at address 0", OK, {{0, BYTES}}},
	{"backing at a region's end", OK, {{END_GPA - BYTES, BYTES}}},
	{"backing in pieces of odd size", OK, {{1, 3}, {LEFT_GPA + 5, 7}, {77, BYTES}}},
	{"backing that overlaps itself", OK, {{0, BYTES / 2}, {0, BYTES / 2}, {0, 4}}},
	{"backing with empty entries", OK, {{NO_GPA, 0}, {0, BYTES}, {NO_GPA, 0}}},
};

static void backing(const void *arg)
{
	const struct backing *b = arg;
	uint32_t n = 3;

	while (n > 1 && !b->e[n - 1].addr && !b->e[n - 1].length)
		n--;
	assert_int_equal(attach(1, b->e, n), b->answer);
	assert_int_equal(transfer(1), b->answer == OK ? OK : VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* A transfer from what is not there fails, and works when it is there again. */
static void backing_removed(const void *arg)
{
	const struct guest_region *r = &hx.guest.regions[RIGHT_REGION];

	(void)arg;
	assert_ack(attach_at(1, BORDER_GPA - PAGE));
	assert_ack(attach_at(2, LEFT_GPA));
	assert_ok(frontend_remove_region(&hx.fe, r));
	assert_int_equal(transfer(1), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_ack(transfer(2));
	assert_int_equal(attach_at(3, BORDER_GPA), BAD);
	assert_ok(frontend_add_region(&hx.fe, r));
	assert_ack(transfer(1));
	assert_ok(frontend_remove_region(&hx.fe, r));
	assert_ack(gpu_driver_detach(&hx.gpu, 1));
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* What the guest sees at an address is what is copied, also when other memory comes there. */
static void backing_replaced(const void *arg)
{
	struct guest_region *r = &hx.guest.regions[RIGHT_REGION];
	struct guest_region other = *r;

	(void)arg;
	other.fd = hx.guest.regions[MAIN_REGION].fd;
	other.mmap_offset = 0;
	memset(r->host, 0x11, BYTES);
	memset(hx.guest.regions[MAIN_REGION].host, 0x22, BYTES);
	assert_ack(attach_at(1, BORDER_GPA));
	assert_ack(gpu_driver_set_scanout(&hx.gpu, 0, 1, ALL));
	assert_ok(frontend_remove_region(&hx.fe, r));
	assert_ok(frontend_add_region(&hx.fe, &other));
	assert_ack(transfer(1));
	assert_ack(gpu_driver_flush(&hx.gpu, 1, ALL));
	assert_ok(display_peer_wait(&hx.peer, VHOST_USER_GPU_UPDATE, 1, WAIT_DEFAULT));
	assert_int_equal(display_peer_pixel(&hx.peer, 0, SIDE - 1, SIDE - 1), 0x222222);
}

/* ---- files that shrink ---- */

static void shrink(size_t region)
{
	assert_ok(ftruncate(hx.guest.regions[region].fd, 0));
}

static void shrunk_before_attach(const void *arg)
{
	(void)arg;
	shrink(LEFT_REGION);
	assert_ack(attach_at(1, LEFT_GPA));
	assert_int_equal(transfer(1), VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static void shrunk_while_attached(const void *arg)
{
	(void)arg;
	assert_ack(attach_at(1, LEFT_GPA));
	assert_ack(transfer(1));
	shrink(LEFT_REGION);
	assert_int_equal(transfer(1), VIRTIO_GPU_RESP_ERR_UNSPEC);
	assert_ack(gpu_driver_unref(&hx.gpu, 1));
}

/* The first half stays. */
static void shrunk_in_part(const void *arg)
{
	const struct guest_region *r = &hx.guest.regions[LEFT_REGION];

	(void)arg;
	assert_ack(attach_at(1, LEFT_GPA));
	assert_ok(ftruncate(r->fd, (off_t)r->mmap_offset + BYTES / 2));
	assert_ack(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, 0, SIDE, SIDE / 2), 0));
	assert_int_equal(gpu_driver_transfer(&hx.gpu, 1, GPU_RECT(0, SIDE - 1, SIDE, 1),
				 (uint64_t)SIDE * (SIDE - 1) * 4),
		VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static volatile bool shrinking;

static void *shrink_and_grow(void *arg)
{
	const struct guest_region *r = arg;

	while (shrinking)
		if (ftruncate(r->fd, 0) < 0 || ftruncate(r->fd, (off_t)(r->size + PAGE)) < 0)
			return arg;
	return NULL;
}

static void shrunk_during_transfers(const void *arg)
{
	pthread_t thread;
	void *failed;
	int answer;

	(void)arg;
	assert_ack(attach_at(1, LEFT_GPA));
	shrinking = true;
	assert_ok(pthread_create(&thread, NULL, shrink_and_grow, &hx.guest.regions[LEFT_REGION]));
	for (int i = 0; i < 500; i++) {
		answer = transfer(1);
		if (answer != VIRTIO_GPU_RESP_ERR_UNSPEC && answer != OK)
			break;
	}
	shrinking = false;
	assert_ok(pthread_join(thread, &failed));
	assert_null(failed);
	assert_true(answer == VIRTIO_GPU_RESP_ERR_UNSPEC || answer == OK);
}

/* A chain by hand: one piece to read, one to write. */
static void send_chain(uint64_t req, uint64_t resp)
{
	struct vring_desc out = {req, 24, VRING_DESC_F_NEXT, 1};
	struct vring_desc in = {resp, 24, VRING_DESC_F_WRITE, 0};
	struct drv_ring *r = &hx.rings[CONTROL];

	drv_ring_poke_desc(r, 0, &out);
	drv_ring_poke_desc(r, 1, &in);
	assert_ok(drv_ring_publish_raw(r, 0, 24));
	assert_ok(drv_ring_kick_now(r));
}

static void shrunk_request(const void *arg)
{
	struct virtio_gpu_ctrl_hdr h;
	struct drv_used used;

	(void)arg;
	shrink(LEFT_REGION);
	send_chain(LEFT_GPA, 0);
	assert_ok(drv_ring_wait(&hx.rings[CONTROL], WAIT_DEFAULT));
	assert_int_equal(drv_ring_reap(&hx.rings[CONTROL], &used), 1);
	assert_ok(guest_read(&hx.guest, 0, &h, sizeof(h)));
	assert_int_equal(h.type, VIRTIO_GPU_RESP_ERR_UNSPEC);
}

static void shrunk_response(const void *arg)
{
	struct drv_used used;

	(void)arg;
	shrink(LEFT_REGION);
	send_chain(0, LEFT_GPA);
	assert_ok(drv_ring_wait(&hx.rings[CONTROL], WAIT_DEFAULT));
	assert_int_equal(drv_ring_reap(&hx.rings[CONTROL], &used), 1);
	assert_int_equal(used.len, 24);
}

static void shrunk_indirect_table(const void *arg)
{
	struct vring_desc d = {LEFT_GPA, 32, VRING_DESC_F_INDIRECT, 0};
	struct drv_ring *r = &hx.rings[CONTROL];

	(void)arg;
	shrink(LEFT_REGION);
	drv_ring_poke_desc(r, 0, &d);
	assert_ok(drv_ring_publish_raw(r, 0, 0));
	assert_ok(drv_ring_kick_now(r));
	expect_broken(CONTROL);
}

/* From here on the driver half must not touch the ring: it would not survive that either. */
static void shrunk_ring(const void *arg)
{
	int n = *(const int *)arg;

	for (int i = 0; i < n; i++)
		expect_rings_work();
	hostile_settle();
	shrink(MAIN_REGION);
	assert_ok(drv_ring_kick_now(&hx.rings[CONTROL]));
	assert_ok(drv_ring_wait_err(&hx.rings[CONTROL], WAIT_DEFAULT));
	for (unsigned q = 0; q < RINGS; q++)
		hostile_stop_ring(q);
	hostile_leave();
}

static const int rounds[] = {0, 3};

static void shrunk_then_given(const void *arg)
{
	(void)arg;
	shrink(LEFT_REGION);
	assert_int_equal(frontend_set_mem_table(&hx.fe, &hx.guest), -EREMOTEIO);
	expect_rings_work();
}

/* ---- the list ---- */

static const struct hostile_case plain[] = {
	{"the same table while rings run", RUNNING, same_table_again},
	{"rings in memory that goes", RUNNING, rings_removed},
	{"all memory goes", RUNNING, all_memory_removed},
	{"rings stopped while their memory is away", RUNNING, stopped_while_removed},
	{"memory goes under a pending flush", SHOWING, removed_under_a_flush},
	{"backing in memory that goes", RUNNING, backing_removed},
	{"other memory where backing was", SHOWING, backing_replaced},
	{"a file shrunk before it is backing", RUNNING, shrunk_before_attach},
	{"a file shrunk while it is backing", RUNNING, shrunk_while_attached},
	{"a file shrunk to its half", RUNNING, shrunk_in_part},
	{"a file shrunk during transfers", RUNNING, shrunk_during_transfers},
	{"a file shrunk with a request in it", RUNNING, shrunk_request},
	{"a file shrunk with a response in it", RUNNING, shrunk_response},
	{"a file shrunk with an indirect table", RUNNING, shrunk_indirect_table},
	{"a file shrunk with new rings in it", RUNNING, shrunk_ring, &rounds[0]},
	{"a file shrunk with used rings in it", RUNNING, shrunk_ring, &rounds[1]},
	{"a file shrunk before it is given", RUNNING, shrunk_then_given},
};

static struct hostile_list list;

int main(int argc, char **argv)
{
	hostile_add(&list, plain, COUNT(plain));
	HOSTILE_ADD_TABLE(&list, backings, RUNNING, backing);
	return hostile_main(argc, argv, list.cases, list.n);
}
