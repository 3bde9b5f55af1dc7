/* SPDX-License-Identifier: MIT */
/* What a renderer exports is shown by QEMU as it lies; what it cannot show so is read back. */
#define _GNU_SOURCE
#include "device.h"

#include <drm_fourcc.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/gpu_3d.h"
#include "stand_in.h"

enum { CTX = 1, SIDE = 64, STRIDE = SIDE * 4 + 64, GREY = 0x808080, BLUE = 0x0000ff };

#define ALL     GPU_RECT(0, 0, SIDE, SIDE)
#define DMABUF2 (1u << VHOST_USER_GPU_PROTOCOL_F_DMABUF2)
#define SEEN    VHOST_USER_GPU_DMABUF_UPDATE

static void begin(struct device_setup s)
{
	s.peer = true;
	s.args[0] = s.args[0] ? s.args[0] : "--scanout=dmabuf";
	device_begin(&s);
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
}

static void begin_usual(void)
{
	begin((struct device_setup){.offered = DMABUF2});
}

static void exports_are(uint32_t how)
{
	const uint32_t words[] = {STAND_IN_DMABUF, how};

	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, words, 2), OK);
}

/* Also the renderer has done all that it was asked. */
static void settle(void)
{
	const uint32_t words[] = {STAND_IN_NOTHING};

	assert_int_equal(gpu_driver_submit_3d(&dev.gpu, CTX, words, 1), OK);
	device_settle();
}

static void make(uint32_t id, uint32_t flags)
{
	struct gpu_driver_texture t = VIRGL_PICTURE(BGRX, SIDE, SIDE);

	t.flags = flags;
	assert_int_equal(gpu_driver_create_3d(&dev.gpu, id, t), OK);
}

static void show(uint32_t scanout, uint32_t id)
{
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, scanout, id, ALL), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, id, ALL), OK);
	device_settle();
}

static void assert_no_fault(void)
{
	if (dev.peer.faults)
		fail_msg("the peer says: %s", dev.peer.fault);
}

/* So many of each. */
static void assert_count(unsigned scanouts, unsigned updates, unsigned dmabufs, unsigned seen)
{
	const uint64_t *n = dev.peer.count;

	assert_no_fault();
	assert_int_equal(n[VHOST_USER_GPU_SCANOUT], scanouts);
	assert_int_equal(n[VHOST_USER_GPU_UPDATE], updates);
	assert_int_equal(
		n[VHOST_USER_GPU_DMABUF_SCANOUT] + n[VHOST_USER_GPU_DMABUF_SCANOUT2], dmabufs);
	assert_int_equal(n[SEEN], seen);
}

static void assert_memory(uint32_t scanout)
{
	const size_t size = STRIDE * SIDE;
	int fd = dev.peer.screens[scanout].dmabuf;
	const uint32_t *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	for (size_t i = 0; i < size / 4; i++)
		assert_int_equal(p[i], STAND_IN_PIXEL);
	munmap((void *)(uintptr_t)p, size);
}

static void assert_seen(uint32_t scanout, struct virtio_gpu_rect r)
{
	const struct vhost_user_gpu_update wanted = {scanout, r.x, r.y, r.width, r.height};

	assert_memory_equal(&dev.peer.screens[scanout].seen, &wanted, sizeof(wanted));
}

/* ---- how it is said ---- */

static void as_it_lies(void **state)
{
	struct vhost_user_gpu_dmabuf_scanout2 wanted = {
		{0, 0, 0, SIDE, SIDE, SIDE, SIDE, STRIDE, 0, DRM_FORMAT_XRGB8888},
		DRM_FORMAT_MOD_LINEAR};
	const struct virtio_gpu_rect part = GPU_RECT(3, 5, 7, 9);
	int fds;

	(void)state;
	begin_usual();
	assert_int_equal(dev.peer.features & DMABUF2, DMABUF2);
	device_reset();
	fds = child_count_fds(&dev.child);
	device_start();
	assert_int_equal(gpu_driver_ctx_create(&dev.gpu, CTX), OK);
	make(1, 0);
	show(0, 1);
	assert_count(0, 0, 1, 1);
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_DMABUF_SCANOUT2], 1);
	assert_memory_equal(&dev.peer.screens[0].as, &wanted, sizeof(wanted));
	assert_memory(0);
	assert_seen(0, ALL);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, part), OK);
	device_settle();
	assert_count(0, 0, 1, 2);
	assert_seen(0, part);
	make(2, VIRGL_Y_0_TOP);
	wanted.scanout.fd_flags = VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP;
	show(0, 2);
	assert_count(0, 0, 2, 3);
	assert_memory_equal(&dev.peer.screens[0].as, &wanted, sizeof(wanted));
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	device_reset();
	assert_int_equal(child_count_fds(&dev.child), fds);
}

/* The old message has no modifier: QEMU takes it for linear. */
static void without_dmabuf2(void **state)
{
	(void)state;
	begin((struct device_setup){0});
	make(1, 0);
	show(0, 1);
	assert_count(0, 0, 1, 1);
	assert_int_equal(dev.peer.count[VHOST_USER_GPU_DMABUF_SCANOUT], 1);
	assert_memory(0);
	exports_are(EXPORT_TILED);
	make(2, 0);
	show(0, 2);
	assert_count(1, 1, 1, 1);
	device_assert_peer(0, SIDE, SIDE, GREY);
	begin_usual();
	exports_are(EXPORT_TILED);
	make(2, 0);
	show(0, 2);
	assert_count(0, 0, 1, 1);
	assert_int_equal(dev.peer.screens[0].as.modifier, I915_FORMAT_MOD_X_TILED);
}

static void not_wanted(void **state)
{
	static const char *const words[] = {"--scanout=shm", "--scanout=auto"}; // there is no GPU

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		begin((struct device_setup){.offered = DMABUF2, .args = {words[i]}});
		make(1, 0);
		show(0, 1);
		assert_count(1, 1, 0, 0);
		device_assert_peer(0, SIDE, SIDE, GREY);
	}
}

/* QEMU shows a dmabuf from its beginning on. */
static void parts_are_read(void **state)
{
	static const struct virtio_gpu_rect parts[] = {
		GPU_RECT(0, 0, SIDE, 32), GPU_RECT(0, 0, 32, SIDE), GPU_RECT(16, 16, 32, 32)};

	(void)state;
	begin_usual();
	make(1, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 1, parts[i]), OK);
		assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
		device_assert_peer(0, parts[i].width, parts[i].height, GREY);
	}
	show(0, 1);
	assert_count(3, 3, 1, 1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 1, 1, parts[2]), OK);
	assert_int_equal(gpu_driver_flush(&dev.gpu, 1, ALL), OK);
	device_assert_peer(1, 32, 32, GREY); // and all of it on the first one
	assert_count(4, 4, 1, 2);
}

/* A picture of the processor's in between, and nothing at all. */
static void there_and_back(void **state)
{
	(void)state;
	begin_usual();
	make(1, 0);
	for (uint32_t i = 0; i < 3; i++) {
		show(0, 1);
		assert_count(2 * i, i, 2 * i + 1, i + 1);
		device_show(0, 2, SIDE, SIDE, BLUE + i);
		device_assert_peer(0, SIDE, SIDE, BLUE + i);
		assert_count(2 * i + 1, i + 1, 2 * i + 1, i + 1);
		assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
		device_settle();
		assert_count(2 * i + 2, i + 1, 2 * i + 1, i + 1);
		show(0, 1);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 0, NOTHING), OK);
		device_settle(); // QEMU lets go of it
		assert_int_equal(dev.peer.screens[0].dmabuf, -1);
		dev.peer.count[VHOST_USER_GPU_SCANOUT]--;
		dev.peer.count[VHOST_USER_GPU_DMABUF_SCANOUT2]--;
		dev.peer.count[SEEN]--;
	}
}

/* A file needs the pixels: they are read, and QEMU has it as it lies all the same. */
static void beside_a_file(void **state)
{
	(void)state;
	begin((struct device_setup){.offered = DMABUF2, .png = true});
	make(1, 0);
	show(0, 1);
	device_assert_frame(0, 1, SIDE, SIDE, device_crc_of(SIDE, SIDE, GREY));
	assert_count(0, 0, 1, 1);
}

/* QEMU makes a new socket each time the machine goes on: it is told again, when it says that it can. */
static void on_a_new_socket(void **state)
{
	(void)state;
	begin((struct device_setup){.personality = "qemu10-gpu", .offered = DMABUF2});
	make(1, 0);
	show(0, 1);
	for (unsigned i = 1; i < 4; i++) {
		device_stop();
		device_start();
		assert_count(0, 0, 1 + i, 1 + i);
		assert_memory(0);
		assert_seen(0, ALL);
	}
}

/* ---- when a flush ends ---- */

static void paced(void **state)
{
	int tickets[4];

	(void)state;
	begin_usual();
	make(1, 0);
	show(0, 1);
	dev.peer.busy = true;
	tickets[0] = device_submit_flush(1, GPU_RECT(0, 0, 4, 4));
	settle();
	assert_false(device_is_done(tickets[0]));
	device_show(1, 5, SIDE, SIDE, BLUE); // nobody else waits
	device_assert_peer(1, SIDE, SIDE, BLUE);
	tickets[1] = device_submit_flush(1, GPU_RECT(8, 8, 4, 4));
	tickets[2] = device_submit_flush(1, GPU_RECT(40, 20, 4, 4));
	tickets[3] = device_submit_flush(1, GPU_RECT(10, 60, 4, 4));
	settle();
	device_collect(tickets[1]); // what follows says it, too
	device_collect(tickets[2]);
	assert_false(device_is_done(tickets[0]));
	assert_count(1, 1, 1, 2);
	assert_int_equal(display_peer_see(&dev.peer), 0);
	settle();
	device_collect(tickets[0]);
	assert_false(device_is_done(tickets[3]));
	assert_count(1, 1, 1, 3);
	assert_seen(0, GPU_RECT(8, 8, 36, 56));
	assert_int_equal(display_peer_see(&dev.peer), 0);
	settle();
	device_collect(tickets[3]);
}

/* Of all scanouts QEMU acknowledges one at a time. */
static void one_at_a_time(void **state)
{
	int tickets[3];

	(void)state;
	begin_usual();
	for (uint32_t i = 0; i < 3; i++) {
		make(i + 1, 0);
		show(i, i + 1);
	}
	dev.peer.busy = true;
	for (uint32_t i = 0; i < 3; i++)
		tickets[i] = device_submit_flush(i + 1, ALL);
	for (unsigned i = 0; i < 3; i++) {
		settle();
		assert_count(0, 0, 3, 4 + i);
		assert_false(device_is_done(tickets[i]));
		assert_int_equal(display_peer_see(&dev.peer), 0);
		settle();
		device_collect(tickets[i]);
	}
}

/* The next picture, while QEMU still draws the last one. */
static void flips_meanwhile(void **state)
{
	int first, second;

	(void)state;
	begin_usual();
	make(1, 0);
	make(2, 0);
	show(0, 1);
	dev.peer.busy = true;
	first = device_submit_flush(1, ALL);
	settle();
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 2, ALL), OK);
	second = device_submit_flush(2, ALL);
	settle();
	assert_count(0, 0, 1, 2);
	assert_int_equal(display_peer_see(&dev.peer), 0);
	settle();
	device_collect(first);
	assert_count(0, 0, 2, 3);
	assert_memory(0);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 2), OK);
	settle();
	assert_false(device_is_done(second));
	assert_int_equal(display_peer_see(&dev.peer), 0);
	settle();
	device_collect(second);
	assert_int_equal(dev.peer.screens[0].dmabuf, -1);
}

/* It goes while something waits for it: by its socket, or with the ring. */
static void leaves_meanwhile(void **state)
{
	int tickets[2];

	(void)state;
	begin((struct device_setup){.personality = "qemu10-gpu", .offered = DMABUF2});
	make(1, 0);
	show(0, 1);
	dev.peer.busy = true;
	tickets[0] = device_submit_flush(1, ALL);
	tickets[1] = device_submit_flush(1, ALL);
	settle();
	display_peer_close(&dev.peer);
	device_collect(tickets[0]);
	device_collect(tickets[1]);
	device_stop();
	device_start();
	assert_int_equal(display_peer_see(&dev.peer), 0);
	settle();
	tickets[0] = device_submit_flush(1, ALL);
	settle();
	assert_false(device_is_done(tickets[0]));
	device_stop();
	device_collect(tickets[0]);
	dev.peer.busy = false;
	device_start();
	show(0, 1);
	assert_no_fault();
}

/* ---- who is not to be trusted ---- */

/* A renderer: what it exports wrongly is read back, and no descriptor stays. */
static void wrong_exports(void **state)
{
	int fds;

	(void)state;
	begin_usual();
	make(1, 0);
	show(0, 1);
	assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 0, NOTHING), OK);
	assert_int_equal(gpu_driver_unref(&dev.gpu, 1), OK);
	settle();
	fds = child_count_fds(&dev.child);
	for (uint32_t how = EXPORT_REFUSED; how < EXPORTS; how++) {
		bool right = how == EXPORT_TWICE || how == EXPORT_LATE;
		uint64_t updates = dev.peer.count[VHOST_USER_GPU_UPDATE];

		exports_are(how);
		make(how + 1, 0);
		show(0, how + 1);
		show(0, how + 1);
		assert_no_fault();
		assert_int_equal(dev.peer.count[VHOST_USER_GPU_UPDATE], updates + (right ? 0 : 2));
		assert_int_equal(dev.peer.screens[0].dmabuf >= 0, right);
		if (right)
			assert_memory(0);
		else
			device_assert_peer(0, SIDE, SIDE, GREY);
		assert_int_equal(gpu_driver_set_scanout(&dev.gpu, 0, 0, NOTHING), OK);
		assert_int_equal(gpu_driver_unref(&dev.gpu, how + 1), OK);
		settle();
		assert_int_equal(child_count_fds(&dev.child), fds);
	}
}

/* A front-end that acknowledges what was not asked, or with too much: it is not spoken to any more. */
static void wrong_acknowledgements(void **state)
{
	static const struct vhost_user_gpu_header said[] = {
		{SEEN, VHOST_USER_GPU_REPLY_MASK, 4}, {SEEN, VHOST_USER_GPU_REPLY_MASK, UINT32_MAX},
		{SEEN, 0, 0}, {VHOST_USER_GPU_DMABUF_SCANOUT2, VHOST_USER_GPU_REPLY_MASK, 0},
		{SEEN, VHOST_USER_GPU_REPLY_MASK, 0}, // right but for being the second one
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(said) / sizeof(*said); i++) {
		int ticket;

		begin_usual();
		make(1, 0);
		show(0, 1);
		dev.peer.busy = true;
		ticket = device_submit_flush(1, ALL);
		settle();
		assert_false(device_is_done(ticket));
		if (i == sizeof(said) / sizeof(*said) - 1)
			assert_int_equal(display_peer_see(&dev.peer), 0);
		assert_int_equal(display_peer_say(&dev.peer, &said[i]), 0);
		device_collect(ticket);
		settle();
		assert_int_equal(display_peer_pump(&dev.peer, 1000), -ECONNRESET);
		device_collect(device_submit_flush(1, ALL));
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, device_end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(as_it_lies),
		TEST(without_dmabuf2),
		TEST(not_wanted),
		TEST(parts_are_read),
		TEST(there_and_back),
		TEST(beside_a_file),
		TEST(on_a_new_socket),
		TEST(paced),
		TEST(one_at_a_time),
		TEST(flips_meanwhile),
		TEST(leaves_meanwhile),
		TEST(wrong_exports),
		TEST(wrong_acknowledgements),
	};

	device_main(argc, argv);
	return cmocka_run_group_tests_name("device_dmabufs", tests, NULL, NULL);
}
