/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "card.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver/frontend.h"
#include "driver/personality.h"

#define PAGE        4096ull
#define OWN_SIZE    (512ull << 20) // rings and commands
#define MEMORY_SIZE (2ull << 30)   // what programs see

enum { RING_SIZE = 1024, TIMEOUT_MS = 60000, SHM_ID = VIRTIO_GPU_SHM_ID_HOST_VISIBLE };

struct job {
	uint64_t seq; // 0: free
	int ticket, event;
};

/* What the daemon has put into the window. */
struct mapping {
	struct card_range range;
	uint64_t offset;
	int fd;
	struct mapping *next;
};

static struct {
	struct card_facts facts;
	int state; // 0: not tried yet, 1: there, -1: there is none, or no more
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct frontend fe;
	struct guest guest;
	struct drv_ring rings[2];
	struct gpu_driver gpu;
	struct job jobs[GPU_DRIVER_COMMANDS];
	uint64_t seq;
	uint32_t last_id;
	struct card_range *used, *window_used;
	/* Of the thread that answers the daemon. */
	pthread_mutex_t window_lock;
	struct mapping *mappings;
} c = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.done = PTHREAD_COND_INITIALIZER,
	.window_lock = PTHREAD_MUTEX_INITIALIZER};

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("shim: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* ---- commands ---- */

static void signal_event(int fd)
{
	if (fd < 0)
		return;
	if (eventfd_write(fd, 1) < 0)
		say("a fence cannot be signalled: %s", strerror(errno));
	close(fd);
}

/* Takes in the fences that have come. Locked. */
static void sweep(void)
{
	for (unsigned i = 0; i < GPU_DRIVER_COMMANDS; i++) {
		struct job *j = &c.jobs[i];
		int r;

		if (!j->seq || !gpu_driver_is_done(&c.gpu, j->ticket))
			continue;
		r = gpu_driver_collect(&c.gpu, j->ticket);
		if (r != VIRTIO_GPU_RESP_OK_NODATA)
			say("a command failed: 0x%x", (unsigned)r);
		signal_event(j->event);
		j->seq = 0;
	}
	pthread_cond_broadcast(&c.done);
}

/* An element that comes while the ring is emptied has no call: it is looked for once more. */
static void take_in(void)
{
	while (gpu_driver_poll(&c.gpu) > 0)
		;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (gpu_driver_poll(&c.gpu) < 0)
		say("the ring is broken: %s", c.rings[0].error ? c.rings[0].error : "?");
	sweep();
}

/* The daemon has ended. Nobody is left waiting. */
static void lose(void)
{
	say("the device is gone");
	c.state = -1;
	for (unsigned i = 0; i < GPU_DRIVER_COMMANDS; i++) {
		if (c.jobs[i].seq)
			signal_event(c.jobs[i].event);
		c.jobs[i].seq = 0;
	}
	pthread_cond_broadcast(&c.done);
}

static void *hear(void *unused)
{
	struct pollfd p[] = {{c.rings[0].call_fd, POLLIN, 0}, {c.fe.fd, 0, 0}};

	(void)unused;
	while (!p[1].revents && (poll(p, 2, -1) >= 0 || errno == EINTR)) {
		pthread_mutex_lock(&c.lock);
		drv_ring_wait_call(&c.rings[0], 0);
		take_in();
		if (p[1].revents)
			lose();
		pthread_mutex_unlock(&c.lock);
	}
	return NULL;
}

int card_try(const void *request, size_t len, void *answer, size_t room)
{
	int r;

	pthread_mutex_lock(&c.lock);
	r = c.state > 0 ? gpu_driver_run(&c.gpu, request, len) : -EIO;
	if (r >= 0 && answer)
		memcpy(answer, c.gpu.resp, room < c.gpu.resp_len ? room : c.gpu.resp_len);
	take_in();
	pthread_mutex_unlock(&c.lock);
	return r;
}

int card_run(const void *request, size_t len, void *answer, size_t room)
{
	int r = card_try(request, len, answer, room);

	if (r >= VIRTIO_GPU_RESP_OK_NODATA && r < VIRTIO_GPU_RESP_ERR_UNSPEC)
		return 0;
	say("command 0x%x failed: 0x%x",
		(unsigned)le32toh(((const struct virtio_gpu_ctrl_hdr *)request)->type),
		(unsigned)r);
	return r < 0 ? r : -EIO;
}

static struct job *free_job(void)
{
	for (unsigned i = 0; i < GPU_DRIVER_COMMANDS; i++)
		if (!c.jobs[i].seq)
			return &c.jobs[i];
	return NULL;
}

/* -EBUSY: there is no room for it now. */
static int submit(const void *request, size_t len, struct job **j)
{
	int ticket;

	*j = free_job();
	if (c.state < 0)
		return -EIO;
	if (!*j)
		return -EBUSY;
	ticket = gpu_driver_submit(&c.gpu, 0, request, len, sizeof(struct virtio_gpu_ctrl_hdr));
	return ticket == -ENOSPC ? -EBUSY : ticket;
}

int card_fence(void *request, size_t len, int event, uint64_t *seq)
{
	struct virtio_gpu_ctrl_hdr *hdr = request;
	struct job *j;
	int ticket;

	pthread_mutex_lock(&c.lock);
	*seq = ++c.seq;
	hdr->flags |= htole32(VIRTIO_GPU_FLAG_FENCE);
	hdr->fence_id = htole64(*seq);
	while ((ticket = submit(request, len, &j)) == -EBUSY)
		pthread_cond_wait(&c.done, &c.lock);
	if (ticket >= 0)
		*j = (struct job){*seq, ticket, event};
	pthread_mutex_unlock(&c.lock);
	if (ticket < 0)
		signal_event(event);
	return ticket < 0 ? ticket : 0;
}

static bool is_done(uint64_t seq)
{
	for (unsigned i = 0; i < GPU_DRIVER_COMMANDS; i++)
		if (seq && c.jobs[i].seq == seq)
			return false;
	return true;
}

bool card_is_done(uint64_t seq)
{
	bool done;

	pthread_mutex_lock(&c.lock);
	done = is_done(seq);
	pthread_mutex_unlock(&c.lock);
	return done;
}

void card_wait(uint64_t seq)
{
	pthread_mutex_lock(&c.lock);
	while (!is_done(seq))
		pthread_cond_wait(&c.done, &c.lock);
	pthread_mutex_unlock(&c.lock);
}

uint32_t card_new_id(void)
{
	return __atomic_add_fetch(&c.last_id, 1, __ATOMIC_RELAXED);
}

/* ---- memory ---- */

/* The first gap that is wide enough. */
static int take(struct card_range **list, uint64_t size, struct card_range *r, uint64_t len)
{
	uint64_t at = 0;

	len = (len + PAGE - 1) / PAGE * PAGE;
	while (*list && (*list)->at - at < len) {
		at = (*list)->at + (*list)->len;
		list = &(*list)->next;
	}
	if (!len || len > size || at > size - len)
		return -ENOMEM;
	*r = (struct card_range){at, len, *list};
	*list = r;
	return 0;
}

static void give_back(struct card_range **list, struct card_range *r)
{
	while (*list && *list != r)
		list = &(*list)->next;
	if (*list)
		*list = r->next;
	r->len = 0;
}

int card_alloc(struct card_range *r, uint64_t len)
{
	int err;

	pthread_mutex_lock(&c.lock);
	err = take(&c.used, MEMORY_SIZE, r, len);
	pthread_mutex_unlock(&c.lock);
	return err;
}

void card_free(struct card_range *r)
{
	if (!r->len)
		return;
	pthread_mutex_lock(&c.lock);
	fallocate(c.guest.regions[1].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)r->at,
		(off_t)r->len);
	give_back(&c.used, r);
	pthread_mutex_unlock(&c.lock);
}

uint64_t card_place(const struct card_range *r, int *fd)
{
	*fd = c.guest.regions[1].fd;
	return r->at;
}

int card_window_alloc(struct card_range *r, uint64_t len)
{
	int err;

	pthread_mutex_lock(&c.lock);
	err = take(&c.window_used, c.facts.window, r, len);
	pthread_mutex_unlock(&c.lock);
	return err;
}

void card_window_free(struct card_range *r)
{
	pthread_mutex_lock(&c.lock);
	give_back(&c.window_used, r);
	pthread_mutex_unlock(&c.lock);
}

uint64_t card_window_place(const struct card_range *r, int *fd)
{
	uint64_t offset = 0;

	*fd = -1;
	pthread_mutex_lock(&c.window_lock);
	for (struct mapping *m = c.mappings; m; m = m->next) {
		if (r->at < m->range.at || r->at + r->len > m->range.at + m->range.len)
			continue;
		*fd = m->fd;
		offset = m->offset + (r->at - m->range.at);
	}
	pthread_mutex_unlock(&c.window_lock);
	return offset;
}

/* ---- what the daemon asks for ---- */

static int map(const struct vhost_user_shmem_map *what, struct channel_fds *fds)
{
	struct mapping *m = fds->n == 1 ? calloc(1, sizeof(*m)) : NULL;

	if (!m)
		return -EINVAL;
	*m = (struct mapping){
		{what->shm_offset, what->len, NULL}, what->fd_offset, fds->fd[0], c.mappings};
	fds->n = 0;
	c.mappings = m;
	return 0;
}

static int unmap(const struct vhost_user_shmem_map *what)
{
	for (struct mapping **p = &c.mappings; *p; p = &(*p)->next) {
		struct mapping *m = *p;

		if (m->range.at != what->shm_offset || m->range.len != what->len)
			continue;
		*p = m->next;
		close(m->fd);
		free(m);
		return 0;
	}
	return -ENOENT;
}

static void *answer(void *unused)
{
	struct pollfd p = {c.fe.backend_fd, POLLIN, 0};
	struct frontend_reply m;
	int r;

	(void)unused;
	while (poll(&p, 1, -1) >= 0 || errno == EINTR) {
		if (!p.revents || frontend_channel_recv(&c.fe, &m) < 0)
			break;
		pthread_mutex_lock(&c.window_lock);
		r = m.header.request == VHOST_USER_BACKEND_SHMEM_MAP
			? map((const void *)m.payload, &m.fds)
			: m.header.request == VHOST_USER_BACKEND_SHMEM_UNMAP
			? unmap((const void *)m.payload)
			: -ENOSYS;
		pthread_mutex_unlock(&c.window_lock);
		if (m.header.flags & VHOST_USER_NEED_REPLY_MASK)
			frontend_channel_answer(&c.fe, m.header.request, r < 0);
		frontend_reply_close(&m);
	}
	return NULL;
}

/* ---- the beginning ---- */

static int make_guest(void)
{
	int r = guest_init_flat(&c.guest, OWN_SIZE);

	if (r == 0)
		r = guest_add_region(&c.guest, CARD_MEMORY, MEMORY_SIZE, 0);
	for (unsigned i = 0; r >= 0 && i < 2; i++)
		r = drv_ring_init(&c.rings[i], &c.guest, RING_SIZE, FRONTEND_FEATURES);
	gpu_driver_init(&c.gpu, &c.guest, &c.rings[0], &c.rings[1]);
	c.gpu.resp_cap = 16384;
	c.gpu.timeout_ms = TIMEOUT_MS;
	return r < 0 ? r : 0;
}

static int connect_to(const char *socket)
{
	struct personality_run run = {.p = personality_find("qemu11-generic"),
		.f = &c.fe,
		.guest = &c.guest,
		.rings = c.rings,
		.n = 2,
		.gpu_fd = -1};
	int r = frontend_connect(&c.fe, socket);

	if (r == 0)
		r = personality_realize(&run);
	if (r == 0)
		r = personality_start(&run);
	if (r == 0)
		c.facts.features = c.fe.features;
	return r;
}

static uint64_t window_size(void)
{
	const uint64_t shmem = 1ull << VHOST_USER_PROTOCOL_F_SHMEM;
	struct frontend_reply reply;
	uint64_t size = 0;

	if (!(c.fe.protocol & shmem)
		|| frontend_ask(&c.fe, VHOST_USER_GET_SHMEM_CONFIG, NULL, 0, &reply) < 0)
		return 0;
	if (reply.header.size == sizeof(struct vhost_user_shmem_config))
		size = ((const struct vhost_user_shmem_config *)reply.payload)->sizes[SHM_ID];
	frontend_reply_close(&reply);
	return size;
}

static void ask_capsets(void)
{
	struct virtio_gpu_config config = {0};
	struct virtio_gpu_resp_capset_info info;
	uint32_t n;

	frontend_get_config(&c.fe, 0, sizeof(config), &config);
	n = le32toh(config.num_capsets);
	for (uint32_t i = 0; i < n && i < CARD_CAPSETS_MAX; i++) {
		if (gpu_driver_capset_info(&c.gpu, i, &info) != VIRTIO_GPU_RESP_OK_CAPSET_INFO)
			continue;
		c.facts.capsets[c.facts.n_capsets++] = (struct card_capset){le32toh(info.capset_id),
			le32toh(info.capset_max_version), le32toh(info.capset_max_size)};
	}
}

static int begin(const char *socket)
{
	pthread_t thread;
	int r = make_guest();

	if (r == 0)
		r = connect_to(socket);
	if (r < 0)
		return r;
	c.facts.window = window_size();
	ask_capsets();
	r = -pthread_create(&thread, NULL, hear, NULL);
	if (r == 0)
		pthread_detach(thread);
	if (r == 0 && c.fe.backend_fd >= 0) {
		r = -pthread_create(&thread, NULL, answer, NULL);
		if (r == 0)
			pthread_detach(thread);
	}
	return r;
}

const struct card_facts *card(void)
{
	const char *socket = getenv("VIRGA_SHIM");
	int r;

	if (!socket)
		return NULL;
	pthread_mutex_lock(&c.lock);
	if (!c.state) {
		r = begin(socket);
		if (r < 0)
			say("%s: %s", socket, strerror(-r));
		c.state = r < 0 ? -1 : 1;
	}
	pthread_mutex_unlock(&c.lock);
	return c.state > 0 ? &c.facts : NULL;
}
