/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "window.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int window_open(struct window *w, struct frontend *f, uint64_t size)
{
	void *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	*w = (struct window){.f = f, .base = base, .size = size};
	return 0;
}

void window_close(struct window *w)
{
	if (w->base)
		munmap(w->base, w->size);
	w->base = NULL;
}

static void hide(struct window *w, unsigned i)
{
	mmap(w->base + w->maps[i].at, w->maps[i].len, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	w->maps[i] = w->maps[--w->n_maps];
}

void window_reset(struct window *w)
{
	while (w->n_maps)
		hide(w, 0);
}

bool window_has(const struct window *w, uint64_t at)
{
	for (unsigned i = 0; i < w->n_maps; i++)
		if (at - w->maps[i].at < w->maps[i].len)
			return true;
	return false;
}

static bool is_free(const struct window *w, const struct vhost_user_shmem_map *m)
{
	for (unsigned i = 0; i < w->n_maps; i++)
		if (m->shm_offset < w->maps[i].at + w->maps[i].len
			&& w->maps[i].at < m->shm_offset + m->len)
			return false;
	return true;
}

static int map(
	struct window *w, const struct vhost_user_shmem_map *m, const struct channel_fds *fds)
{
	struct stat st;

	if (fds->n != 1 || fstat(fds->fd[0], &st) < 0 || !m->len || m->len > w->size
		|| m->shm_offset > w->size - m->len || !is_free(w, m) || w->n_maps == WINDOW_MAPS
		|| m->fd_offset > (uint64_t)st.st_size
		|| m->len > (uint64_t)st.st_size - m->fd_offset)
		return -EPROTO;
	if (mmap(w->base + m->shm_offset, m->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    fds->fd[0], (off_t)m->fd_offset)
		== MAP_FAILED)
		return -errno;
	w->maps[w->n_maps].at = m->shm_offset;
	w->maps[w->n_maps++].len = m->len;
	return 0;
}

static int unmap(struct window *w, const struct vhost_user_shmem_map *m)
{
	for (unsigned i = 0; i < w->n_maps; i++) {
		if (w->maps[i].at != m->shm_offset || w->maps[i].len != m->len)
			continue;
		hide(w, i);
		return 0;
	}
	return -ENOENT;
}

static int serve(struct window *w)
{
	struct vhost_user_shmem_map m;
	struct frontend_reply request;
	int r = frontend_channel_recv(w->f, &request);
	bool is_map;

	if (r < 0)
		return r;
	w->asked++;
	is_map = request.header.request == VHOST_USER_BACKEND_SHMEM_MAP;
	memcpy(&m, request.payload, sizeof(m));
	if (w->refuse)
		r = -EIO;
	else if (is_map)
		r = map(w, &m, &request.fds);
	else
		r = unmap(w, &m);
	if (!w->refuse && r < 0)
		w->violations++;
	frontend_reply_close(&request);
	return frontend_channel_answer(
		w->f, request.header.request, r < 0 ? (w->refuse ? w->refuse : 22) : 0);
}

int window_pump(struct window *w)
{
	struct pollfd p = {w->f->backend_fd, POLLIN, 0};
	int n = 0, r = 0;

	while (!w->stop && p.fd >= 0 && poll(&p, 1, 0) == 1 && p.revents & POLLIN && r >= 0) {
		r = serve(w);
		n++;
	}
	return r < 0 ? r : n;
}
