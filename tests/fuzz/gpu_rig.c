/* SPDX-License-Identifier: MIT */
#include "gpu_rig.h"

#include <string.h>

#include "common/bytes.h"
#include "common/fd.h"
#include "fuzz.h"

/* The answer is one, it echoes the fence, and nothing behind it was written. */
static void check_answer(struct rings *r, unsigned queue, const struct rings_slot *s,
	const uint8_t *answer, uint32_t len)
{
	struct virtio_gpu_ctrl_hdr h, asked;

	(void)r;
	(void)queue;
	FUZZ_CHECK(rings_untouched(answer, len));
	if (s->room < sizeof(h)) {
		FUZZ_CHECK(len == s->room);
		return;
	}
	FUZZ_CHECK(len >= sizeof(h));
	memcpy(&h, answer, sizeof(h));
	memcpy(&asked, s->bytes, sizeof(asked));
	FUZZ_CHECK((h.type >= VIRTIO_GPU_RESP_OK_NODATA && h.type <= VIRTIO_GPU_RESP_OK_MAP_INFO)
		|| (h.type >= VIRTIO_GPU_RESP_ERR_UNSPEC
			&& h.type <= VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER));
	FUZZ_CHECK((h.flags & VIRTIO_GPU_FLAG_FENCE) == (asked.flags & VIRTIO_GPU_FLAG_FENCE));
	FUZZ_CHECK(h.fence_id == (h.flags & VIRTIO_GPU_FLAG_FENCE ? asked.fence_id : 0));
}

static void check_power_on(const struct gpu_rig *g)
{
	FUZZ_CHECK(g->gpu.resources.n == 0 && g->gpu.contexts.n == 0);
	for (unsigned i = 0; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		FUZZ_CHECK(!g->gpu.scanouts[i].res);
	if (g->peer.fd < 0) // else a picture may be half said
		FUZZ_CHECK(g->gpu.resources.budget.used == 0);
}

void gpu_rig_reset(struct gpu_rig *g)
{
	rings_reset(&g->rings);
	check_power_on(g);
	rings_start(&g->rings);
}

void gpu_rig_connect_peer(struct gpu_rig *g, uint64_t offered)
{
	int remote = peer_open(&g->peer, offered);

	rig_tell(&g->rings.rig, VHOST_USER_GPU_SET_SOCKET, NULL, 0, remote);
	fd_close(&remote);
}

void gpu_rig_init(struct gpu_rig *g, uint64_t features, uint64_t max_hostmem, struct display *other)
{
	const struct gpu_config cfg = {.outputs = {{640, 480}, {320, 200}},
		.n_outputs = 2,
		.max_hostmem = max_hostmem,
		.hostmem = g->remote ? GPU_RIG_WINDOW : 0,
		.max_resources = 16};

	*g = (struct gpu_rig){.remote = g->remote,
		.peer.fd = -1,
		.rings = {.n = GPU_QUEUES, .check = check_answer}};
	rings_init(&g->rings, NULL, NULL);
	gpu_device_init(&g->gpu, &cfg);
	gpu_device_add_display(&g->gpu, display_qemu_create(g->rings.rig.loop));
	if (g->remote) {
		FUZZ_CHECK(remote_init(g->remote, g->rings.rig.loop, NULL) == 0);
		FUZZ_CHECK(g->remote->ready);
		gpu_device_add_renderer(&g->gpu, g->remote);
	}
	if (other)
		gpu_device_add_display(&g->gpu, other);
	rig_serve(&g->rings.rig, &g->gpu.vhu_device, &g->gpu);
	rings_begin(&g->rings, features);
}

void gpu_rig_finish(struct gpu_rig *g)
{
	rings_end(&g->rings);
	peer_close(&g->peer);
	FUZZ_CHECK(g->gpu.resources.n == 0);
	gpu_device_finish(&g->gpu);
	if (g->remote)
		remote_finish(g->remote);
	FUZZ_CHECK(g->gpu.resources.budget.used == 0);
	rings_finish(&g->rings);
}
