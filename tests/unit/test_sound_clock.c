/* SPDX-License-Identifier: MIT */
#include "unit.h"
#include "sound/clock.h"

#define SEC INT64_C(1000000000)

static void test_nominal(void **state)
{
	struct clock c;

	(void)state;
	clock_init(&c, 44100);
	clock_set(&c, 5 * SEC, 100);
	assert_true(clock_at(&c, 5 * SEC) == 100);
	assert_int_equal((int64_t)(clock_at(&c, 15 * SEC) + 0.5), 441100);
	assert_int_equal(clock_when(&c, 100), 5 * SEC);
	assert_in_range(clock_when(&c, 441100), 15 * SEC - 1, 15 * SEC + 1);
}

/* clock_when() is the first ns that clock_at() agrees with, at odd rates and after hours. */
static void test_when_is_the_inverse(void **state)
{
	static const uint32_t rates[] = {5512, 11025, 44100, 48000, 384000};
	struct clock c;

	(void)state;
	for (unsigned r = 0; r < 5; r++) {
		clock_init(&c, rates[r]);
		clock_set(&c, 12345678901234, 0.25);
		for (double p = 1; p < 1e9; p = p * 1.37 + 0.7) {
			int64_t at = clock_when(&c, p);

			assert_true(clock_at(&c, at) >= p);
			assert_true(clock_at(&c, at - 2) < p + 1e-6);
		}
	}
}

/* A graph that is 300 ppm slow is followed to less than a frame, and its rate is known then. */
static void follow(double ppm, double seconds, double *ahead, double *drift)
{
	const double cycle = 1024 / 48000.0 * 1e9 * (1 + ppm / 1e6);
	struct clock c;

	clock_init(&c, 48000);
	clock_set(&c, 0, 0);
	for (unsigned i = 1; i * cycle < seconds * 1e9; i++) {
		int64_t time = (int64_t)(i * cycle);

		*ahead = clock_at(&c, time) - i * 1024.0;
		clock_follow(&c, time, *ahead, 1024);
	}
	*drift = c.drift;
}

static void test_follows(void **state)
{
	double ahead = 0, drift;

	(void)state;
	for (int ppm = -1000; ppm <= 1000; ppm += 250) {
		follow(ppm, 120, &ahead, &drift);
		assert_true(ahead < 1 && ahead > -1);
		assert_true(drift + ppm / 1e6 < 5e-6 && drift + ppm / 1e6 > -5e-6);
	}
}

/* Nonsense bends it by no more than a hundredth. */
static void test_is_bounded(void **state)
{
	struct clock c;

	(void)state;
	clock_init(&c, 48000);
	clock_set(&c, 0, 0);
	for (int64_t i = 1; i < 1000; i++)
		clock_follow(&c, i * SEC, 1e12, 1e6);
	assert_true(c.slew >= -0.011);
	for (int64_t i = 1000; i < 3000; i++)
		clock_follow(&c, i * SEC, -1e12, 1e6);
	assert_true(c.slew <= 0.011);
}

/* What it is ahead by is lost without a step back, at half its speed, and then it is right. */
static void test_owes(void **state)
{
	struct clock c;
	double last = 0;

	(void)state;
	clock_init(&c, 48000);
	clock_set(&c, 0, 0);
	clock_owe(&c, SEC, 4800);
	for (int64_t t = SEC; t <= 2 * SEC; t += SEC / 1000) {
		double now = clock_at(&c, t), expected = 48000 + (double)(t - SEC) * 24e-6;

		if (t > SEC + SEC / 5)
			expected = (double)t * 48e-6 - 4800;
		assert_true(now > last && now - expected < 1e-6 && expected - now < 1e-6);
		assert_in_range(clock_when(&c, now), t - 1, t + 1);
		last = now;
	}
	clock_owe(&c, 2 * SEC, 4800);
	clock_follow(&c, 2 * SEC + SEC / 10, 2400, 4800); // as far as is known: the rest of it
	assert_true(c.slew < 1e-6 && c.slew > -1e-6);
	assert_in_range(
		(int64_t)(clock_at(&c, 3 * SEC) + 0.5), 144000 - 9600 - 1, 144000 - 9600 + 1);
}

/* Alone it keeps what was learnt, not what it was doing about a late cycle. */
static void test_coasts(void **state)
{
	struct clock c;
	double at;

	(void)state;
	clock_init(&c, 48000);
	clock_set(&c, 0, 0);
	clock_follow(&c, SEC, 480, 48000);
	at = clock_at(&c, 2 * SEC);
	clock_coast(&c, 2 * SEC);
	assert_true(clock_at(&c, 2 * SEC) == at);
	assert_true(c.slew == c.drift);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nominal),
		cmocka_unit_test(test_when_is_the_inverse),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_is_bounded),
		cmocka_unit_test(test_owes),
		cmocka_unit_test(test_coasts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
