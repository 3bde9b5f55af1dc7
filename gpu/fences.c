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

void gpu_fences_begin(struct gpu_fences *f, struct gpu_cmd *cmd)
{
	if (!has_fence(cmd))
		return;
	TAILQ_INSERT_TAIL(&f->under_way, cmd, fence.link);
	cmd->fence.under_way = true;
}

static bool must_wait(const struct gpu_fences *f, const struct gpu_cmd *cmd)
{
	const struct gpu_cmd *first = TAILQ_FIRST(&f->under_way);

	return first && has_fence(cmd) && first->fence.arrival < cmd->fence.arrival;
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
