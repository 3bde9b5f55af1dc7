/* SPDX-License-Identifier: MIT */
/* A renderer that sleeps, dies, or lies: the rest of the device goes on, and each request ends once. */
#define _GNU_SOURCE
#include "device.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver/gpu_3d.h"
#include "stand_in.h"

/* The stand-in gets little of a busy machine. */
enum { PATIENCE_MS = 100000 };
enum { CTX = 1, SIDE = 64, GREY = 0x808080, BLUE = 0x0000ff };
enum { UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC, PARAMETER = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER };

#define ALL GPU_RECT(0, 0, SIDE, SIDE)

static uint64_t fence_id;

static void begin(const char *option)
{
	device_begin(&(struct device_setup){.peer = true, .args = {option}});
	dev.gpu.timeout_ms = PATIENCE_MS;
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
}

/* Sends a stream with a fence and does not wait. */
static int tell(const uint32_t *words, uint32_t n)
{
	static uint8_t bytes[1 << 20];

	return device_submit(bytes, gpu_driver_stream(bytes, CTX, ++fence_id, words, n));
}

static int tell_word(uint32_t what, uint32_t value)
{
	const uint32_t words[] = {what, value};

	return tell(words, 2);
}

static void make(uint32_t id)
{
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, id, VIRGL_PICTURE(BGRX, SIDE, SIDE)), OK);
}

/* A 2D flush, the cursor and the configuration are answered, and nothing of it waits. */
static void others_work(uint32_t colour)
{
	struct virtio_gpu_update_cursor c = {.resource_id = htole32(50)};
	struct virtio_gpu_resp_display_info info;
	uint8_t config[16];

	device_show(0, 50, SIDE, SIDE, colour);
	device_assert_peer(0, SIDE, SIDE, colour);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_UPDATE_CURSOR, c), 0);
	assert_int_equal(gpu_driver_cursor(&dev.gpu, VIRTIO_GPU_CMD_MOVE_CURSOR, c), 0);
	assert_int_equal(frontend_get_config(&dev.fe, 0, sizeof(config), config), 0);
	assert_int_equal(gpu_driver_display_info(&dev.gpu, &info), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 50), OK);
}

/* As soon as there is a new one, it serves. */
static void lives_again(void)
{
	int r = 0;

	for (unsigned i = 0; i < PATIENCE_MS && r != OK; i++) {
		usleep(1000);
		gpu_driver_ctx_destroy(&dev.gpu, CTX);
		r = gpu_driver_ctx_create(&dev.gpu, CTX);
	}
	assert_int_equal(r, OK);
	device_collect(tell_word(STAND_IN_NOTHING, 0));
}

/* ---- one that sleeps ---- */

static void sleeps(void **state)
{
	int ticket;

	(void)state;
	begin(NULL);
	make(1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	ticket = tell_word(STAND_IN_WAIT, 0);
	for (uint32_t i = 0; i < 5; i++)
		others_work(BLUE + i);
	assert_false(device_is_done(ticket));
	device_collect(tell_word(STAND_IN_NOTHING, 0));
	assert_true(device_is_done(ticket));
	device_collect(ticket);
}

/* It may sleep for ever: the driver's reset does not wait for it, nor does the next front-end. */
static void sleeps_in_a_reset(void **state)
{
	(void)state;
	begin(NULL);
	tell_word(STAND_IN_SLEEP, 1500);
	device_reset();
	device_start();
	others_work(BLUE);
	tell_word(STAND_IN_SLEEP, 10);
	device_disconnect();
	device_connect();
	others_work(BLUE);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	device_terminate();
}

/* The machine is paused while it sleeps: what it has is done, and the rest comes later. */
static void sleeps_in_a_pause(void **state)
{
	int tickets[8];

	(void)state;
	device_begin(&(struct device_setup){.personality = "qemu10-gpu", .peer = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	make(1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	for (unsigned i = 0; i < 7; i++)
		tickets[i] = tell_word(STAND_IN_SLEEP, 100);
	tickets[7] = device_submit_flush(1, ALL);
	device_settle();
	assert_false(device_is_done(tickets[0]) && device_is_done(tickets[6]));
	device_stop();
	for (unsigned i = 0; i < 8; i++)
		device_collect(tickets[i]);
	device_start();
	device_collect(tell_word(STAND_IN_NOTHING, 0));
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, GREY);
}

/* A driver takes the answer to a fence for that to all before it; what has none does not wait. */
static void fences_in_order(void **state)
{
	struct virtio_gpu_ctrl_hdr info = {.type = htole32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO)},
				   with = info;
	int slow, quick, plain;

	(void)state;
	begin(NULL);
	with.flags = htole32(VIRTIO_GPU_FLAG_FENCE);
	with.fence_id = htole64(1ull << 40);
	slow = tell_word(STAND_IN_WAIT, 0);
	quick = device_submit(&with, sizeof(with));
	plain = device_submit(&info, sizeof(info));
	assert_int_equal(gpu_driver_collect(&dev.gpu, plain), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_false(device_is_done(quick));
	assert_false(device_is_done(slow));
	device_collect(tell_word(STAND_IN_NOTHING, 0));
	assert_int_equal(gpu_driver_collect(&dev.gpu, quick), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	assert_true(device_is_done(slow));
	device_collect(slow);
}

/* A flush has no fence with Linux: what is drawn must not run ahead of what QEMU has shown. */
static void display_paces(void **state)
{
	int flush, next, fence;

	(void)state;
	begin(NULL);
	for (uint32_t id = 1; id <= 2; id++)
		make(id);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	dev.peer.mute = true;
	flush = device_submit_flush(1, ALL);
	fence = tell_word(STAND_IN_NOTHING, 0);
	device_settle();
	assert_false(device_is_done(flush) || device_is_done(fence));
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 2, ALL), OK); // waits for nobody
	next = device_submit_flush(2, ALL);
	device_settle();
	assert_false(device_is_done(flush) || device_is_done(fence) || device_is_done(next));
	dev.peer.mute = false;
	device_answer_late();
	device_collect(next);
	assert_true(device_is_done(flush) && device_is_done(fence));
	device_collect(flush);
	device_collect(fence);
	device_assert_peer(0, SIDE, SIDE, GREY);
}

/* While it reads what was drawn, the guest goes over to another picture. */
static void scanout_changes_meanwhile(void **state)
{
	int flush;

	(void)state;
	begin(NULL);
	make(1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	tell_word(STAND_IN_SLEEP, 300);
	flush = device_submit_flush(1, ALL);
	device_show(0, 2, SIDE, SIDE, BLUE);
	device_assert_peer(0, SIDE, SIDE, BLUE);
	device_collect(flush);
	device_assert_peer(0, SIDE, SIDE, BLUE); // not the old one again
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_peer(0, SIDE, SIDE, GREY);
	tell_word(STAND_IN_SLEEP, 300);
	flush = device_submit_flush(1, ALL);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK); // behind it
	assert_true(device_is_done(flush));
	device_collect(flush);
}

/* More than the ring holds. */
static void many_streams(void **state)
{
	static uint32_t words[200000];
	int tickets[40];
	uint32_t sum = 0;

	(void)state;
	device_begin(&(struct device_setup){.memory = 256 << 20});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	words[0] = STAND_IN_SUM;
	for (uint32_t i = 1; i < 199999; i++)
		sum += words[i] = i * 0x9e3779b9;
	words[199999] = 0u - sum;
	tell_word(STAND_IN_SLEEP, 500);
	for (unsigned i = 0; i < 40; i++)
		tickets[i] = tell(words, 200000);
	for (unsigned i = 0; i < 40; i++)
		device_collect(tickets[i]);
	words[7]++;
	assert_int_equal(gpu_driver_collect(&dev.gpu, tell(words, 200000)), PARAMETER);
}

/* ---- one that dies ---- */

static void dies_of(uint32_t what)
{
	int tickets[20];

	make(1);
	tickets[0] = tell_word(STAND_IN_SLEEP, 50);
	tickets[1] = tell_word(what, 64);
	for (unsigned i = 2; i < 20; i++)
		tickets[i] = tell_word(STAND_IN_NOTHING, 0);
	device_collect(tickets[0]);
	for (unsigned i = 1; i < 20; i++)
		assert_int_equal(gpu_driver_collect(&dev.gpu, tickets[i]), UNSPEC);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	others_work(BLUE);
	lives_again();
}

static void dies(void **state)
{
	(void)state;
	begin(NULL);
	dies_of(STAND_IN_CRASH);
	dies_of(STAND_IN_END);
}

static void says_what_is_no_answer(void **state)
{
	(void)state;
	begin(NULL);
	for (uint32_t len = 1; len <= 8; len += 3) {
		assert_int_equal(
			gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_GARBAGE, len)), UNSPEC);
		others_work(BLUE);
		lives_again();
	}
}

/* As often as a guest likes: it is not lost to the next program, or the next guest. */
static void dies_again_and_again(void **state)
{
	(void)state;
	begin(NULL);
	for (unsigned i = 0; i < 12; i++) {
		assert_int_equal(
			gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_CRASH, 0)), UNSPEC);
		lives_again();
	}
	others_work(BLUE);
}

/* How often a word is in what the daemon and all that it started have said. */
static unsigned count_words(const char *word)
{
	FILE *f = fopen(dev.errors, "re");
	char line[256];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, word) != NULL;
	fclose(f);
	return n;
}

static void await_words(const char *word)
{
	for (unsigned i = 0; i < PATIENCE_MS && !count_words(word); i++)
		usleep(1000);
	assert_int_equal(count_words(word), 1);
}

/* What never works again is given up, in clear words. */
static void does_not_come_back(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.peer = true, .keep_stderr = true});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	assert_int_equal(gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_DOOM, 0)), UNSPEC);
	await_words("stand-in died 5 times before it worked, and is not started again");
	gpu_driver_ctx_destroy(&dev.gpu, CTX);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), UNSPEC);
	assert_int_equal(gpu_driver_capset(&dev.gpu, 2, 1), VIRTIO_GPU_RESP_OK_CAPSET);
	others_work(BLUE);
	device_reset();
	device_start();
	others_work(BLUE);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), UNSPEC);
	device_terminate();
}

/* ---- one that does not end, or never has enough ---- */

static void spins(void **state)
{
	int tickets[3];

	(void)state;
	begin("--max-command-time=1");
	make(1);
	tickets[0] = tell_word(STAND_IN_SLEEP, 1500); // which takes no time of the processor's
	tickets[1] = tell_word(STAND_IN_SPIN, 0);
	tickets[2] = tell_word(STAND_IN_NOTHING, 0);
	others_work(BLUE);
	device_collect(tickets[0]);
	assert_int_equal(gpu_driver_collect(&dev.gpu, tickets[1]), UNSPEC);
	assert_int_equal(gpu_driver_collect(&dev.gpu, tickets[2]), UNSPEC);
	others_work(BLUE);
	lives_again();
	device_collect(tell_word(STAND_IN_SLEEP, 1500));
}

static void sleeps_for_ever(void **state)
{
	int ticket;

	(void)state;
	begin("--max-command-time=1");
	ticket = tell_word(STAND_IN_SLEEP, UINT32_MAX / 1000);
	others_work(BLUE);
	assert_int_equal(gpu_driver_collect(&dev.gpu, ticket), UNSPEC);
	lives_again();
}

static int tell_on_ring(uint32_t what, uint8_t ring)
{
	uint8_t bytes[64];
	size_t len = gpu_driver_stream(bytes, CTX, ++fence_id, &what, 1);
	struct virtio_gpu_ctrl_hdr *h = (void *)bytes;

	h->flags |= htole32(VIRTIO_GPU_FLAG_INFO_RING_IDX);
	h->ring_idx = ring;
	return device_submit(bytes, len);
}

/* One that has nothing to do is left alone, whatever fence came last; nor does a context's own that is open
 * mean that it has: what it waits for may be the guest's to do. */
static void is_idle(void **state)
{
	int open;

	(void)state;
	begin("--max-command-time=1");
	device_collect(tell_on_ring(STAND_IN_NOTHING, 1));
	sleep(8);
	open = tell_on_ring(STAND_IN_HOLD, 1);
	sleep(8);
	assert_false(device_is_done(open));
	device_collect(tell_on_ring(STAND_IN_LET_GO, 2));
	device_collect(open);
}

/* What a process does before it is ready is no command's: this one is asked for something meanwhile. */
static void begins_slowly(void **state)
{
	(void)state;
	setenv(STAND_IN_BEGINS, "3", 1);
	begin("--max-command-time=1");
	unsetenv(STAND_IN_BEGINS);
	assert_int_equal(gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_CRASH, 0)), UNSPEC);
	lives_again();
}

/* The driver's reset has answered what was asked: nobody waits, but it is ended all the same. */
static void spins_unseen(void **state)
{
	(void)state;
	device_begin(&(struct device_setup){.peer = true,
		.keep_stderr = true,
		.args = {"--max-command-time=1", "--isolate=none"}});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	tell_word(STAND_IN_SPIN, 0);
	device_reset();
	device_start();
	await_words("stand-in takes too long for a command");
	await_words("stand-in has ended, and as a thread (--isolate=none) is not started again");
	others_work(BLUE);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), UNSPEC);
	assert_int_equal(child_signal(&dev.child, SIGTERM), 0);
	assert_int_equal(child_wait(&dev.child, 60000), 1);
	await_words("stand-in does not end; as a thread (--isolate=none) it cannot be ended alone");
}

static void eats(void **state)
{
	(void)state;
	begin("--max-hostmem=16M");
	assert_int_equal(gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_EAT, 0)), PARAMETER);
	others_work(BLUE);
}

/* Streams that wait for it are the guest's memory, too, where they are more than the ring holds. */
static void streams_count(void **state)
{
	static uint32_t words[256 << 10];
	unsigned done = 0, refused = 0;
	int tickets[32];
	uint64_t at;

	(void)state;
	device_begin(&(struct device_setup){.memory = 256 << 20, .args = {"--max-hostmem=16M"}});
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	at = guest_alloc(&dev.guest, 8, 8);
	for (unsigned round = 0; round < 2; round++) {
		uint32_t *go = guest_ptr(&dev.guest, at + round * 4, 4);

		done = refused = *go = 0;
		tell_word(STAND_IN_WATCH, (uint32_t)(at + round * 4));
		for (unsigned i = 0; i < 32; i++)
			tickets[i] = tell(words, sizeof(words) / 4 - 64);
		device_settle();
		*go = 1;
		for (unsigned i = 0; i < 32; i++) {
			int r = gpu_driver_collect(&dev.gpu, tickets[i]);

			done += r == OK;
			refused += r == VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
		}
		assert_int_equal(done + refused, 32);
		assert_in_range(done, 15, 18); // 16 MiB, and what the ring holds
	}
}

/* ---- one that lies ---- */

static void lies(void **state)
{
	static const uint32_t results[] = {1, VIRTIO_GPU_RESP_OK_NODATA, 0x1206, UINT32_MAX};

	(void)state;
	begin(NULL);
	make(1);
	for (unsigned i = 0; i < 10; i++) {
		tell_word(STAND_IN_LIE, 0);
		others_work(BLUE + i);
	}
	assert_int_equal(gpu_driver_capset(&dev.gpu, 7, 7), PARAMETER);
	begin(NULL); // one that has not lied of these yet
	for (unsigned i = 0; i < sizeof(results) / sizeof(*results); i++)
		assert_int_equal(
			gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_FAIL, results[i])), UNSPEC);
	assert_int_equal(
		gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_FAIL, PARAMETER)), PARAMETER);
}

static void lies_of_the_ring(void **state)
{
	(void)state;
	begin(NULL);
	gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_RING, 0));
	gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_NOTHING, 0)); // here it is noticed
	others_work(BLUE);
	lives_again();
}

/* A way out is refused, or it is the end. */
static void is_locked_in(void **state)
{
	unsigned ends = 0;
	int r = OK;

	(void)state;
	if (SANITIZED)
		skip(); // there the sandbox denies nothing
	begin(NULL);
	for (uint32_t way = 0; r != STAND_IN_NO_WAY; way++) {
		r = gpu_driver_collect(&dev.gpu, tell_word(STAND_IN_ESCAPE, way));
		if (r == OK)
			fail_msg("way %u leads out", way);
		if (r != UNSPEC) // it is refused
			continue;
		ends++;
		lives_again();
	}
	assert_in_range(ends, 10, 18);
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(sleeps),
		TEST(sleeps_in_a_reset),
		TEST(sleeps_in_a_pause),
		TEST(fences_in_order),
		TEST(display_paces),
		TEST(scanout_changes_meanwhile),
		TEST(many_streams),
		TEST(dies),
		TEST(says_what_is_no_answer),
		TEST(dies_again_and_again),
		TEST(does_not_come_back),
		TEST(spins),
		TEST(sleeps_for_ever),
		TEST(is_idle),
		TEST(begins_slowly),
		TEST(spins_unseen),
		TEST(eats),
		TEST(streams_count),
		TEST(lies),
		TEST(lies_of_the_ring),
		TEST(is_locked_in),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_stand_in", tests, NULL, NULL);
}
