/* SPDX-License-Identifier: MIT */
/*
 * The model of Linux's driver and of ALSA: xruns, captures, pauses and sleep, and faults of a device.
 */
#include "alsa_toy.h"

#include <string.h>

#include "protocols/virtio_snd.h"

/* Xruns */

static void a_late_application(void **state)
{
	struct alsa_setup s = {.period = 480, .buffer = 960, .total = 48000};

	(void)state;
	for (int i = 0; i < 8; i++) {
		s.generation = i & 1 ? ALSA_6_1 : ALSA_6_7;
		s.capture = i & 2;
		s.recover = i & 4;
		toy_begin(&s, PACED);
		toy_live(45 * MS);
		dev.guest.setup.app_delay = 25 * MS;
		toy_live(90 * MS);
		dev.guest.setup.app_delay = 0;
		toy_live(ALSA_NEVER - 1);
		toy_assert_no_fault();
		assert_int_equal(dev.guest.end, s.recover ? ALSA_DRAINED : ALSA_BROKE);
		assert_int_equal(dev.guest.breaks, 0);
		assert_int_equal(dev.guest.lag_max, 0);
		if (!s.recover) {
			assert_int_equal(dev.guest.xruns, 1);
			assert_string_equal(dev.requests, "Pp+-r");
			continue;
		}
		assert_true(dev.guest.xruns > 0);
		assert_memory_equal(dev.requests, "Pp+-rp+-r", 9);
		assert_int_equal(dev.guest.moved, 48000);
	}
}

/* Capturing */

/* Less than a period in a message: the next ones do not lie where the guest looks for them. */
static void a_short_one_shifts(void **state)
{
	struct alsa_setup s = {.capture = true, .period = 64, .buffer = 256, .total = 6400};

	(void)state;
	for (int generation = ALSA_6_1; generation <= ALSA_6_7; generation++) {
		s.generation = generation;
		toy_begin(&s, SHORT_ONE);
		toy_live(ALSA_NEVER - 1);
		toy_assert_no_fault();
		assert_int_equal(dev.guest.end, ALSA_DRAINED);
		assert_int_equal(dev.guest.breaks, 2); // one frame of the last lap in between
		assert_int_equal(dev.guest.first_break, 6 * 64);
	}
}

/* A message without data still counts as a period: here, of what was there before. */
static void without_data(void **state)
{
	struct alsa_setup s = {.capture = true, .period = 64, .buffer = 256};

	(void)state;
	toy_begin(&s, NEVER);
	toy_live(0);
	assert_int_equal(dev.n, 4);
	toy_complete(&dev, ALSA_STATUS);
	toy_live(1);
	assert_int_equal(dev.guest.consumed, 64);
	assert_int_equal(dev.guest.silent, 64);
	toy_assert_no_fault();
}

/* Pause and sleep */

static void pause_and_resume(void **state)
{
	struct alsa_setup s = {.period = 480, .buffer = 1920, .total = 48000};

	(void)state;
	for (int i = 0; i < 4; i++) {
		s.generation = i & 1 ? ALSA_6_1 : ALSA_6_7;
		s.capture = i & 2;
		toy_begin(&s, PACED);
		toy_live(25 * MS);
		assert_true(alsa_pause(&dev.guest, dev.now));
		assert_false(alsa_pause(&dev.guest, dev.now));
		toy_live(5000 * MS);
		assert_int_equal(dev.guest.state, ALSA_PAUSED);
		assert_true(alsa_resume(&dev.guest, dev.now));
		assert_false(alsa_resume(&dev.guest, dev.now));
		toy_live(ALSA_NEVER - 1);
		toy_assert_all_went_well(48000);
		assert_string_equal(dev.requests, "Pp+-+-r");
	}
}

static void suspend_and_wake(void **state)
{
	struct alsa_setup s = {.period = 480, .buffer = 1920, .total = 48000};

	(void)state;
	for (int i = 0; i < 4; i++) {
		s.generation = i & 1 ? ALSA_6_1 : ALSA_6_7;
		s.capture = i & 2;
		toy_begin(&s, PACED);
		toy_live(25 * MS);
		alsa_suspend(&dev.guest, dev.now);
		toy_live(5000 * MS);
		assert_int_equal(dev.guest.state, ALSA_SUSPENDED);
		assert_int_equal(dev.guest.queued, 0);
		alsa_wake(&dev.guest, dev.now);
		toy_live(ALSA_NEVER - 1);
		toy_assert_no_fault();
		assert_int_equal(dev.guest.end, ALSA_DRAINED);
		assert_int_equal(dev.guest.moved, 48000);
		assert_int_equal(dev.guest.xruns, 0);
		assert_int_equal(dev.guest.breaks, 0);
		assert_string_equal(dev.requests, "Pp+-0rPp+-r");
	}
}

/* Faults of a device */

static void requests_refused(void **state)
{
	struct alsa_setup s = {.period = 64, .buffer = 128, .total = 6400};

	(void)state;
	for (const char *letter = "Pp+-r"; *letter; letter++) {
		toy_begin(&s, PACED);
		dev.refuse = (uint32_t)*letter;
		toy_live(ALSA_NEVER - 1);
		assert_int_equal(dev.guest.end, ALSA_REFUSED);
		assert_non_null(strstr(dev.guest.fault, "refused"));
	}
}

static void messages_kept_at_release(void **state)
{
	(void)state;
	toy_begin(&(struct alsa_setup){.generation = ALSA_6_1, .period = 64, .buffer = 128}, NEVER);
	dev.keeps = true;
	toy_live(ALSA_NEVER - 1);
	assert_string_equal(dev.guest.fault, "RELEASE left messages");
}

static void used(uint32_t id, uint32_t len, uint32_t status)
{
	alsa_complete(&dev.guest, &(struct alsa_used){.id = id, .len = len, .status = status}, 0);
	alsa_run(&dev.guest, 0);
}

static void begin_playing(void)
{
	toy_begin(&(struct alsa_setup){.period = 64, .buffer = 256}, NEVER);
	toy_live(0);
	toy_assert_no_fault();
}

static void wrong_completions(void **state)
{
	(void)state;
	begin_playing();
	used(1, 8, VIRTIO_SND_S_OK);
	assert_string_equal(dev.guest.fault, "messages completed out of order");
	begin_playing();
	used(4, 8, VIRTIO_SND_S_OK);
	assert_string_equal(dev.guest.fault, "a message completed that was not with the device");
	begin_playing();
	alsa_complete(&dev.guest, &(struct alsa_used){.id = 0, .len = 8}, 0);
	toy_assert_no_fault();
	used(0, 8, VIRTIO_SND_S_OK);
	assert_string_equal(dev.guest.fault, "a message completed that was not with the device");
	begin_playing();
	used(0, 9, VIRTIO_SND_S_OK);
	assert_string_equal(dev.guest.fault, "a used length of more than was writable");
	begin_playing();
	used(0, 7, VIRTIO_SND_S_OK);
	assert_string_equal(dev.guest.fault, "a used length without a status");
	begin_playing();
	used(0, 8, VIRTIO_SND_S_IO_ERR);
	toy_assert_no_fault();
	assert_int_equal(dev.guest.failed, 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, toy_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_late_application),
		TEST(a_short_one_shifts),
		TEST(without_data),
		TEST(pause_and_resume),
		TEST(suspend_and_wake),
		TEST(requests_refused),
		TEST(messages_kept_at_release),
		TEST(wrong_completions),
	};

	return cmocka_run_group_tests_name("driver_alsa_life", tests, NULL, NULL);
}
