/* SPDX-License-Identifier: MIT */
/* In which order answers are returned, seen at the function that returns them. */
#include "unit.h"
#include "gpu/device.h"

enum { N = 10 };

static struct gpu_cmd cmds[N];
static struct gpu_fences fences;
static char returned[64];

/* In the place of the core's. */
void vhu_finish_written(struct vq_req *req, uint32_t written)
{
	const struct gpu_cmd *cmd = (const struct gpu_cmd *)(const void *)req;
	size_t len = strlen(returned);

	assert_int_equal(written, 24 + (cmd - cmds));
	returned[len] = (char)('0' + (cmd - cmds));
	returned[len + 1] = '\0';
}

static int begin(void **state)
{
	(void)state;
	memset(cmds, 0, sizeof(cmds));
	memset(&fences, 0, sizeof(fences));
	gpu_fences_init(&fences);
	returned[0] = '\0';
	return 0;
}

/* The commands come in the order of their letters: r goes to the renderer with a fence, R without, f has
 * a fence and stays here, F has none; P is a flush of the renderer's without a fence. */
static void come(const char *kinds)
{
	for (unsigned i = 0; kinds[i]; i++) {
		bool fence = kinds[i] == 'r' || kinds[i] == 'f';

		cmds[i].r.hdr.flags = fence ? VIRTIO_GPU_FLAG_FENCE : 0;
		gpu_fences_arrived(&fences, &cmds[i]);
		if (kinds[i] == 'r' || kinds[i] == 'R')
			gpu_fences_begin(&fences, &cmds[i]);
		else if (kinds[i] == 'P')
			gpu_fences_pace(&fences, &cmds[i]);
	}
}

/* They are done in this order; what was returned by then. */
static void done(const char *order, const char *wanted)
{
	for (; *order; order++) {
		unsigned i = (unsigned)(*order - '0');

		gpu_fences_end(&fences, &cmds[i], 24 + i);
	}
	assert_string_equal(returned, wanted);
}

static void test_in_order(void **state)
{
	(void)state;
	come("rrr");
	done("0", "0");
	done("1", "01");
	done("2", "012");
}

static void test_out_of_order(void **state)
{
	(void)state;
	come("rrrr");
	done("2", "");
	done("1", "");
	done("0", "021"); // both were done, and nothing before them is not
	done("3", "0213");
}

static void test_others(void **state)
{
	(void)state;
	come("fFrfFRf");
	done("0", "0"); // before it
	done("1", "01");
	done("4", "014"); // without a fence
	done("5", "0145");
	done("3", "0145");
	done("6", "0145");
	done("2", "0145236");
}

/* One that waits for the next of the renderer's goes on waiting. */
static void test_between(void **state)
{
	(void)state;
	come("rfrf");
	done("3", "");
	done("1", "");
	done("0", "01");
	done("2", "0123");
}

/* It waits for nobody, fences wait for it. */
static void test_pace(void **state)
{
	(void)state;
	come("rPrfFP");
	done("5", "5");
	done("24", "54");
	done("3", "54");
	done("1", "541");
	done("0", "541023");
}

static void test_release(void **state)
{
	(void)state;
	come("rff");
	done("12", "");
	gpu_fences_release(&fences);
	assert_string_equal(returned, "12");
	done("0", "120");
}

#define FENCES_TEST(name) cmocka_unit_test_setup(test_##name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FENCES_TEST(in_order),
		FENCES_TEST(out_of_order),
		FENCES_TEST(others),
		FENCES_TEST(between),
		FENCES_TEST(pace),
		FENCES_TEST(release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
