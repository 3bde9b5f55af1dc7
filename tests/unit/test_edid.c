/* SPDX-License-Identifier: MIT */
/*
 * EDIDs, read back by a small parser of our own, and with --decode by edid-decode(1), which knows
 * the standards better. Without that program --decode is a skip.
 */
#define _GNU_SOURCE
#include "unit.h"
#include "gpu/edid.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77 };

static const uint32_t modes[][2] = {{640, 480}, {800, 600}, {1024, 768}, {1280, 720}, {1280, 800},
	{1280, 1024}, {1366, 768}, {1600, 900}, {1920, 1080}, {1920, 1200}, {2560, 1440},
	{2560, 1600}, {3440, 1440}, {3840, 2160}, {4095, 2160}, {4096, 2160}, {5120, 2160},
	{5120, 2880}, {7680, 4320}, {1, 1}, {1, 16384}, {16384, 1}, {16384, 16384}, {13, 777},
	{1023, 767}, {641, 479}, {4095, 4095}, {4096, 1}, {1, 4096}, {720, 1280}, {333, 444}};
static const uint32_t rates[] = {0, 10000, 23976, 60000, 75000, 144000, 240000, 480000};

enum { N_MODES = sizeof(modes) / sizeof(*modes), N_RATES = sizeof(rates) / sizeof(*rates) };

/* A mode as a reader finds it. */
struct found {
	uint32_t width, height, h_blank, v_blank;
	uint64_t clock_hz;
	uint32_t width_mm, height_mm;
};

static uint8_t edid[EDID_MAX];

static size_t make(uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	const struct edid_info info = {.width = width,
		.height = height,
		.refresh_mhz = refresh_mhz,
		.name = "Virga 1",
		.serial = 0x12345678};

	memset(edid, 0xee, sizeof(edid));
	return edid_generate(&info, edid);
}

static unsigned sum(const uint8_t *p, size_t n)
{
	unsigned total = 0;

	while (n--)
		total += *p++;
	return total & 0xff;
}

static unsigned le(const uint8_t *p)
{
	return p[0] | (unsigned)p[1] << 8;
}

static struct found read_detailed(const uint8_t *p)
{
	return (struct found){
		.clock_hz = 10000ull * le(p),
		.width = p[2] | (p[4] & 0xf0u) << 4,
		.h_blank = p[3] | (p[4] & 0x0fu) << 8,
		.height = p[5] | (p[7] & 0xf0u) << 4,
		.v_blank = p[6] | (p[7] & 0x0fu) << 8,
		.width_mm = p[12] | (p[14] & 0xf0u) << 4,
		.height_mm = p[13] | (p[14] & 0x0fu) << 8,
	};
}

/* The type I timing in a DisplayID section, which has to be there. */
static struct found read_displayid(const uint8_t *section)
{
	const uint8_t *end = section + 4 + section[1], *block = section + 4;

	while (block < end && block[0] != 0x03)
		block += 3 + block[2];
	assert_true(block < end);
	assert_int_equal(block[2], 20);
	block += 3;
	assert_true(block[3] & 0x80); // preferred
	return (struct found){
		.clock_hz = 10000ull * (1 + le(block) + ((unsigned)block[2] << 16)),
		.width = le(block + 4) + 1,
		.h_blank = le(block + 6) + 1,
		.height = le(block + 12) + 1,
		.v_blank = le(block + 14) + 1,
	};
}

/* The checks that hold for each EDID; returns the mode that it wants. */
static struct found read_edid(size_t size)
{
	static const uint8_t header[8] = {0, 255, 255, 255, 255, 255, 255, 0};

	assert_memory_equal(edid, header, sizeof(header));
	assert_int_equal(edid[8] << 8 | edid[9], 22 << 10 | 18 << 5 | 7); // V R G
	assert_int_equal(le(edid + 12) | le(edid + 14) << 16, 0x12345678);
	assert_int_equal(edid[18], 1);
	assert_int_equal(edid[19], 4);
	assert_int_equal(sum(edid, 128), 0);
	assert_int_equal(size, 128 + 128 * edid[126]);
	for (size_t i = size; i < sizeof(edid); i++)
		assert_int_equal(edid[i], 0);
	if (size == 128)
		return read_detailed(edid + 54);
	assert_int_equal(size, 256);
	assert_int_equal(read_detailed(edid + 54).width, 1024);
	assert_int_equal(read_detailed(edid + 54).height, 768);
	assert_int_equal(edid[128], 0x70);
	assert_int_equal(edid[129], 0x13);
	assert_true(edid[130] <= 121);
	assert_int_equal(sum(edid + 129, 5 + edid[130]), 0);
	assert_int_equal(sum(edid + 128, 128), 0);
	return read_displayid(edid + 129);
}

static void check_mode(uint32_t width, uint32_t height, uint32_t refresh_mhz)
{
	struct found f = read_edid(make(width, height, refresh_mhz));
	double want = refresh_mhz ? refresh_mhz / 1000.0 : 60, got;

	assert_int_equal(f.width, width);
	assert_int_equal(f.height, height);
	got = (double)f.clock_hz / (f.width + f.h_blank) / (f.height + f.v_blank);
	assert_true(got > want * 0.999 && got < want * 1.001);
	assert_true(f.h_blank >= 160 && f.v_blank >= 13);
	assert_true(f.clock_hz >= 10000000);
}

static void test_modes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_MODES; i++)
		for (unsigned j = 0; j < N_RATES; j++)
			check_mode(modes[i][0], modes[i][1], rates[j]);
}

static void test_every_width(void **state)
{
	(void)state;
	for (uint32_t w = 1; w <= 16384; w += 1 + w / 97)
		check_mode(w, w * 9 / 16 + 1, 0);
}

/* What fits into the base block needs no other. */
static void test_sizes(void **state)
{
	(void)state;
	assert_int_equal(make(640, 480, 0), 128);
	assert_int_equal(make(3840, 2160, 0), 128);
	assert_int_equal(make(4095, 2160, 0), 128);
	assert_int_equal(make(4096, 2160, 0), 256);
	assert_int_equal(make(64, 4096, 0), 256);
	assert_int_equal(make(3840, 2160, 120000), 256); // its clock is beyond
}

static void test_clamps(void **state)
{
	struct found f = read_edid(make(0, 0, 1));

	(void)state;
	assert_int_equal(f.width, 1);
	assert_int_equal(f.height, 1);
	f = read_edid(make(UINT32_MAX, UINT32_MAX, UINT32_MAX));
	assert_int_equal(f.width, 16384);
	assert_int_equal(f.height, 16384);
	f = read_edid(make(16385, 0, UINT32_MAX));
	assert_int_equal(f.width, 16384);
	assert_int_equal(f.height, 1);
}

static const uint8_t *find_descriptor(uint8_t tag)
{
	for (const uint8_t *d = edid + 54; d < edid + 126; d += 18)
		if (d[0] == 0 && d[1] == 0 && d[2] == 0 && d[3] == tag)
			return d + 5;
	return NULL;
}

static void test_names(void **state)
{
	struct edid_info info = {.width = 1024, .height = 768, .name = "Virga 1"};

	(void)state;
	edid_generate(&info, edid);
	assert_memory_equal(find_descriptor(0xfc), "Virga 1\n     ", 13);
	info.name = "exactly13 bys";
	edid_generate(&info, edid);
	assert_memory_equal(find_descriptor(0xfc), "exactly13 bys", 13);
	info.name = "far more than thirteen";
	edid_generate(&info, edid);
	assert_memory_equal(find_descriptor(0xfc), "far more than", 13);
	info.name = NULL;
	edid_generate(&info, edid);
	assert_memory_equal(find_descriptor(0xfc), "Virga\n       ", 13);
	info.name = "";
	edid_generate(&info, edid);
	assert_memory_equal(find_descriptor(0xfc), "\n            ", 13);
}

static void check_millimetres(uint32_t w, uint32_t h, uint32_t want_w, uint32_t want_h)
{
	const struct edid_info info = {
		.width = 1920, .height = 1080, .width_mm = w, .height_mm = h};
	struct found f;

	edid_generate(&info, edid);
	f = read_detailed(edid + 54);
	assert_int_equal(f.width_mm, want_w);
	assert_int_equal(f.height_mm, want_h);
	assert_in_range(edid[21] * 10, want_w - (want_w > 5 ? 5 : want_w), want_w + 5);
	assert_in_range(edid[22] * 10, want_h - (want_h > 5 ? 5 : want_h), want_h + 5);
	assert_int_equal(!edid[21], !edid[22]);
}

static void test_millimetres(void **state)
{
	(void)state;
	check_millimetres(0, 0, 487, 274);
	check_millimetres(600, 0, 487, 274);
	check_millimetres(600, 340, 600, 340);
	check_millimetres(5, 2550, 5, 2550);
	check_millimetres(4, 300, 0, 0);
	check_millimetres(2551, 300, 0, 0);
	check_millimetres(UINT32_MAX, UINT32_MAX, 0, 0);
}

/* Smaller modes are offered, larger ones and the mode itself are not. */
static void test_smaller_modes(void **state)
{
	(void)state;
	make(640, 480, 0);
	assert_int_equal(edid[35] | edid[36] | edid[37], 0);
	assert_int_equal(le(edid + 38), 0x0101);
	make(1024, 768, 0);
	assert_int_equal(edid[35], 0x21);
	assert_int_equal(edid[36], 0);
	make(1920, 1080, 0);
	assert_int_equal(edid[36], 0x08);
	for (const uint8_t *p = edid + 38; p < edid + 54; p += 2)
		assert_true(le(p) == 0x0101 || (p[0] + 31) * 8 < 1920);
	make(4096, 2160, 0);
	for (const uint8_t *p = edid + 38; p < edid + 54; p += 2)
		assert_int_not_equal(le(p), 0x0101);
}

/* What the limits say holds for the mode, or they are left out. */
static void test_limits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_MODES; i++) {
		struct found f = read_edid(make(modes[i][0], modes[i][1], 0));
		double khz = (double)f.clock_hz / (f.width + f.h_blank) / 1000;
		const uint8_t *d = find_descriptor(0xfd);

		if (!d) {
			assert_true(khz > 509 || f.clock_hz > 2540000000);
			continue;
		}
		assert_in_range(60, d[0], d[1]);
		assert_true(d[2] <= khz && khz <= d[3] + (d[-1] & 0x08 ? 255 : 0));
		assert_true(f.clock_hz <= d[4] * 10000000ull);
	}
}

/* ---- edid-decode ---- */

static bool decode_passes(size_t size)
{
	FILE *f = popen("edid-decode --check >/dev/null", "w");

	assert_non_null(f);
	assert_int_equal(fwrite(edid, 1, size, f), size);
	return pclose(f) == 0;
}

static int decode_all(void)
{
	unsigned failed = 0;

	if (system("command -v edid-decode >/dev/null") != 0) {
		puts("edid-decode is not installed: nothing was checked");
		return SKIPPED;
	}
	for (unsigned i = 0; i < N_MODES; i++) {
		for (unsigned j = 0; j < N_RATES; j++) {
			if (decode_passes(make(modes[i][0], modes[i][1], rates[j])))
				continue;
			printf("FAIL %ux%u at %u mHz\n", modes[i][0], modes[i][1], rates[j]);
			failed++;
		}
	}
	printf("%u modes given to edid-decode, %u failed\n", N_MODES * N_RATES, failed);
	return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_every_width),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_clamps),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_millimetres),
		cmocka_unit_test(test_smaller_modes),
		cmocka_unit_test(test_limits),
	};

	if (argc > 1 && !strcmp(argv[1], "--decode"))
		return decode_all();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
