/* SPDX-License-Identifier: MIT */
/*
 * What the sound daemon does on PipeWire's realtime thread: nothing that may wait. This program stands
 * between all and the C library, and counts memory that is taken or given back, locks, and lines on stderr
 * while one of our callbacks runs: none, unless one is planted there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pipewire/pipewire.h>

#include "common/bytes.h"
#include "common/log.h"
#include "sound/backend.h"

enum { CYCLES = 50, WAIT_S = 60 };
enum what { MEMORY, LOCK, LINE, KINDS };

static __thread bool inside; // a callback of ours runs on this thread
static _Atomic unsigned caught[KINDS];
static _Atomic unsigned cycles[2]; // by direction
static _Atomic int planted = -1;
static _Atomic unsigned strays; // cycles that came not from our callbacks: the watch has failed
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void seen(enum what what)
{
	if (inside)
		caught[what]++;
}

/* ---- in the place of the C library ---- */

#ifdef __SANITIZE_ADDRESS__ // its own functions stay; they tell (sanitizer/allocator_interface.h)
int __sanitizer_install_malloc_and_free_hooks(
	void (*on_malloc)(const volatile void *, size_t), void (*on_free)(const volatile void *));

static void see_malloc(const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
	seen(MEMORY);
}

static void see_free(const volatile void *p)
{
	(void)p;
	seen(MEMORY);
}

static void __attribute__((constructor)) watch_memory(void)
{
	__sanitizer_install_malloc_and_free_hooks(see_malloc, see_free);
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

void *malloc(size_t size)
{
	seen(MEMORY);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	seen(MEMORY);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	seen(MEMORY);
	return __libc_realloc(p, size);
}

void free(void *p)
{
	seen(MEMORY);
	__libc_free(p);
}
#endif

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	static int (*_Atomic real)(pthread_mutex_t *);

	if (!real)
		real = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
	seen(LOCK);
	return real(mutex);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	static ssize_t (*_Atomic real)(int, const void *, size_t);

	if (!real)
		real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
	if (fd == STDERR_FILENO)
		seen(LINE);
	return real(fd, buf, n);
}

/* ---- between the backend and PipeWire, and its feed: by --wrap ---- */

void __real_pw_stream_add_listener(struct pw_stream *stream, struct spa_hook *listener,
	const struct pw_stream_events *events, void *data);
void __wrap_pw_stream_add_listener(struct pw_stream *stream, struct spa_hook *listener,
	const struct pw_stream_events *events, void *data);
void __real_feed_play(struct feed *f, void *dst, const struct feed_cycle *c);
void __wrap_feed_play(struct feed *f, void *dst, const struct feed_cycle *c);
void __real_feed_record(struct feed *f, const void *src, const struct feed_cycle *c);
void __wrap_feed_record(struct feed *f, const void *src, const struct feed_cycle *c);

static struct pw_stream_events watched[2]; // in the order in which the streams are opened
static void (*processes[2])(void *data);
static unsigned n_watched;

static void process_first(void *data)
{
	inside = true;
	processes[0](data);
	inside = false;
}

static void process_second(void *data)
{
	inside = true;
	processes[1](data);
	inside = false;
}

void __wrap_pw_stream_add_listener(struct pw_stream *stream, struct spa_hook *listener,
	const struct pw_stream_events *events, void *data)
{
	unsigned i = n_watched++;

	assert_true(i < ARRAY_SIZE(watched));
	watched[i] = *events;
	processes[i] = events->process;
	watched[i].process = i ? process_second : process_first;
	__real_pw_stream_add_listener(stream, listener, &watched[i], data);
}

static void plant(void)
{
	void *volatile p;

	switch (planted) {
	case MEMORY:
		p = malloc(16);
		free(p);
		break;
	case LOCK:
		pthread_mutex_lock(&lock);
		pthread_mutex_unlock(&lock);
		break;
	case LINE:
		log_write("planted", LOG_ERR, "this line is part of the test");
		break;
	default:
		return;
	}
	planted = -1;
}

void __wrap_feed_play(struct feed *f, void *dst, const struct feed_cycle *c)
{
	strays += !inside;
	__real_feed_play(f, dst, c);
	plant();
	cycles[VIRTIO_SND_D_OUTPUT]++;
}

void __wrap_feed_record(struct feed *f, const void *src, const struct feed_cycle *c)
{
	strays += !inside;
	__real_feed_record(f, src, c);
	plant();
	cycles[VIRTIO_SND_D_INPUT]++;
}

/* ---- the tests ---- */

static struct loop *loop;
static struct backend *backend;
static struct feed *feeds[2];
static struct backend_stream *streams[2];

static void on_level(void *arg, unsigned stream, const struct backend_level *level)
{
	(void)arg;
	(void)stream;
	(void)level;
}

static void on_present(void *arg, unsigned direction, bool present)
{
	(void)arg;
	(void)direction;
	(void)present;
}

/* A guest that gives and takes what it can. */
static void serve(void)
{
	static uint8_t frames[4096 * 4];
	const struct iovec iov = {frames, sizeof(frames)};

	feed_put(feeds[VIRTIO_SND_D_OUTPUT], &iov, 1, 0, 4096);
	atomic_store(&feeds[VIRTIO_SND_D_OUTPUT]->ready_at, loop_now());
	feed_take(feeds[VIRTIO_SND_D_INPUT], &iov, 1, 0, 4096);
	assert_true(loop_turn(loop, 5) >= 0);
}

static void run_cycles(void)
{
	unsigned from[2] = {cycles[0], cycles[1]};
	int64_t until = loop_now() + INT64_C(1000000000) * WAIT_S;

	while (cycles[0] - from[0] < CYCLES || cycles[1] - from[1] < CYCLES) {
		serve();
		assert_true(loop_now() < until);
	}
}

static int open_all(void **state)
{
	static const struct backend_config config = {.name = "test", .n_playback = 1};

	(void)state;
	loop = loop_create();
	if (!loop || backend_pipewire_create(loop, &config, &backend) < 0)
		return -1;
	backend->listener = (struct backend_listener){on_level, on_present, NULL};
	for (unsigned i = 0; i < 2; i++) {
		const struct pcm_format format = {.direction = (uint8_t)i,
			.format = VIRTIO_SND_PCM_FMT_S16,
			.channels = 2,
			.rate = 48000,
			.frame = 4,
			.period = 512,
			.buffer = 4096};

		feeds[i] = feed_create(&format, 8192, -1);
		if (!feeds[i] || backend->ops->open(backend, i, feeds[i], &streams[i]) < 0)
			return -1;
		backend->ops->start(streams[i]);
	}
	run_cycles();
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		backend->ops->close(streams[i]);
	backend->ops->destroy(backend);
	loop_destroy(loop);
	return 0;
}

static void forget(void)
{
	for (unsigned i = 0; i < KINDS; i++)
		caught[i] = 0;
}

static void nothing_waits(void **state)
{
	(void)state;
	forget();
	run_cycles();
	assert_true(feed_last_report(feeds[VIRTIO_SND_D_OUTPUT]).opened); // that path was taken
	for (unsigned i = 0; i < KINDS; i++)
		assert_int_equal(caught[i], 0);
	assert_int_equal(strays, 0);
}

/* Also while levels change. */
static void nothing_waits_under_control(void **state)
{
	(void)state;
	forget();
	for (unsigned i = 0; i < 20; i++) {
		const struct backend_level level = {(float)i / 20, i % 2};

		backend->ops->set_level(backend, i % 2, &level);
		for (unsigned j = 0; j < 10; j++)
			serve();
	}
	run_cycles();
	for (unsigned i = 0; i < KINDS; i++)
		assert_int_equal(caught[i], 0);
}

static void what_is_planted_is_caught(void **state)
{
	(void)state;
	for (int what = 0; what < KINDS; what++) {
		forget();
		planted = what;
		run_cycles();
		for (int i = 0; i < KINDS; i++)
			assert_int_equal(caught[i] > 0, i == what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_waits),
		cmocka_unit_test(nothing_waits_under_control),
		cmocka_unit_test(what_is_planted_is_caught),
	};

	return cmocka_run_group_tests_name("device_sound_rt", tests, open_all, close_all);
}
