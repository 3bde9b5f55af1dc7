/* SPDX-License-Identifier: MIT */
/*
 * A whole vhost-user device: virtio-rng (VIRTIO 1.3, 5.4), the entropy device. It is the tutorial
 *for common/: read it from the bottom up, as a request travels the other way.
 *
 *	build/demos/tiny-rng --socket-path=/tmp/rng.sock &
 *	qemu-system-x86_64 ... -object memory-backend-memfd,id=m,size=1G,share=on \
 *		-machine q35,memory-backend=m -chardev socket,id=rng,path=/tmp/rng.sock \
 *		-device vhost-user-test-device-pci,virtio-id=4,num_vqs=1,chardev=rng
 *	guest# dd if=/dev/hwrng bs=32 count=1 | od -x
 *
 * The guest's driver puts empty buffers into the one queue there is and waits for them to come back
 * full of random bytes. There is no configuration space, no feature bit and nothing to remember.
 */
#include <sys/random.h>

#include "common/daemon.h"
#include "common/loop.h"
#include "common/vhu.h"

/*
 * One request: an array of pieces of guest memory, which common/ has checked, to be filled. The
 * device says how many bytes it wrote; the core puts the request into the used ring, and when the
 * loop's turn ends it notifies the driver, once for all that were finished in it.
 *
 * A device may also keep the request and finish it later, from any callback of the loop.
 */
static void rng_request(void *dev, unsigned queue, struct vq_req *req)
{
	const struct iovec *in = vq_req_in(req);
	uint32_t written = 0;

	(void)dev;
	(void)queue;
	for (unsigned i = 0; i < req->n_in; i++) {
		/* Up to 256 bytes never wait and never come short: enough for a turn. */
		size_t len = in[i].iov_len < 256 ? in[i].iov_len : 256;
		ssize_t got = getrandom(in[i].iov_base, len, GRND_NONBLOCK);

		if (got > 0)
			written += (uint32_t)got;
		if (got != (ssize_t)in[i].iov_len)
			break; // what was written must be without a gap
	}
	vhu_finish_written(req, written);
}

/* Power-on state: this device has none of its own. */
static void rng_reset(void *dev)
{
	(void)dev;
}

/* The device as the core sees it. STATUS may be offered since a reset costs this device nothing. */
static const struct vhu_device rng = {
	.name = "rng",
	.n_queues = 1,
	.protocol_features = 1ull << VHOST_USER_PROTOCOL_F_STATUS,
	.iov_per_req = 8,
	.request = rng_request,
	.reset = rng_reset,
};

int main(int argc, char **argv)
{
	static const struct option_entry none[] = {{0}};
	struct options options = {
		.program = "tiny-rng",
		.summary = "A virtio entropy device over vhost-user.",
		.capabilities = "{ \"type\": \"rng\" }",
		.entries = none,
	};
	int status = options_parse(&options, argc, argv);

	if (status >= 0)
		return status;

	struct loop *loop = daemon_loop();

	if (!loop)
		return options_fail(&options, EXIT_RUNTIME, "no event loop");
	status = daemon_serve(loop, &options, &rng, NULL);
	loop_destroy(loop);
	return status;
}
