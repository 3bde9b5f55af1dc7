/* SPDX-License-Identifier: MIT */
#include "fences.h"

#include "device.h"

void gpu_fences_init(struct gpu_fences *f)
{
	TAILQ_INIT(&f->under_way);
	TAILQ_INIT(&f->held);
}

void gpu_fences_arrived(struct gpu_fences *f, struct gpu_cmd *cmd)
{
	cmd->fence = (struct gpu_fence){.arrival = ++f->arrivals};
}

static bool has_fence(const struct gpu_cmd *cmd)
{
	return cmd->r.hdr.flags & VIRTIO_GPU_FLAG_FENCE && cmd->fence.arrival;
}

void gpu_fences_pace(struct gpu_fences *f, struct gpu_cmd *cmd)
{
	TAILQ_INSERT_TAIL(&f->under_way, cmd, fence.link);
	cmd->fence.under_way = true;
}

uint32_t gpu_fence_ring(const struct gpu_cmd *cmd)
{
	return cmd->r.hdr.flags & VIRTIO_GPU_FLAG_INFO_RING_IDX ? cmd->r.hdr.ring_idx : UINT32_MAX;
}

static bool same_timeline(const struct gpu_cmd *a, const struct gpu_cmd *b)
{
	uint32_t ring = gpu_fence_ring(a);

	return ring == gpu_fence_ring(b)
		&& (ring == UINT32_MAX || a->r.hdr.ctx_id == b->r.hdr.ctx_id);
}

void gpu_fences_begin(struct gpu_fences *f, struct gpu_cmd *cmd)
{
	if (has_fence(cmd))
		gpu_fences_pace(f, cmd);
}

static bool must_wait(const struct gpu_fences *f, const struct gpu_cmd *cmd)
{
	const struct gpu_cmd *other;

	if (!has_fence(cmd))
		return false;
	TAILQ_FOREACH (other, &f->under_way, fence.link) {
		if (other->fence.arrival >= cmd->fence.arrival)
			return false;
		if (same_timeline(other, cmd))
			return true;
	}
	return false;
}

static void return_held(struct gpu_fences *f, bool all)
{
	struct gpu_cmd *cmd, *next;

	for (cmd = TAILQ_FIRST(&f->held); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, fence.link);
		if (!all && must_wait(f, cmd))
			continue;
		TAILQ_REMOVE(&f->held, cmd, fence.link);
		vhu_finish_written(&cmd->req, cmd->fence.written);
	}
}

void gpu_fences_end(struct gpu_fences *f, struct gpu_cmd *cmd, uint32_t written)
{
	bool was_under_way = cmd->fence.under_way;

	if (was_under_way)
		TAILQ_REMOVE(&f->under_way, cmd, fence.link);
	cmd->fence.under_way = false;
	if (must_wait(f, cmd)) {
		cmd->fence.written = written;
		TAILQ_INSERT_TAIL(&f->held, cmd, fence.link);
	} else {
		vhu_finish_written(&cmd->req, written);
	}
	if (was_under_way)
		return_held(f, false);
}

void gpu_fences_release(struct gpu_fences *f)
{
	return_held(f, true);
}
