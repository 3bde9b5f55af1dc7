/* SPDX-License-Identifier: MIT */
/* Parts that echo, die, sleep, or try what they may not. */
#define _GNU_SOURCE
#include "unit.h"
#include "common/part.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/fd.h"

enum { WAIT_MS = 20000, MIB = 1 << 20, MEMORY_MIB = 64 };

/* ---- the inside ---- */

static int try_connect(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);

	return sock < 0 ? errno : connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
}

/* Sends one descriptor, or two, of which the last is not for the daemon. */
static void give(int sock, unsigned n)
{
	int given[] = {fd_memfd("test", 5), 0};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(given))];
	} control = {0};
	char text[] = "given";
	struct iovec iov = {text, 5};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};

	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.align), given, n * sizeof(int));
	if (pwrite(given[0], "bytes", 5, 0) != 5 || sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		_exit(3);
	close(given[0]);
}

/* How many MiB it gets, as a guest would that never has enough. */
static int eat(void)
{
	int n = 0;

	while (n < 8 * MEMORY_MIB
		&& mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
			!= MAP_FAILED)
		n++;
	return n;
}

/* What root would do first. */
static int raise_limit(void)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};

	return setrlimit(RLIMIT_DATA, &none) < 0 ? errno : 0;
}

static void spin(void)
{
	clock_t end = clock() + CLOCKS_PER_SEC / 10;

	while (clock() < end)
		;
}

static int echo(int sock, const struct part_inside *inside)
{
	char text[64] = "";
	ssize_t n;
	int fd;

	if (part_lock_in(inside) < 0)
		return 2;
	while ((n = part_receive(sock, text, sizeof(text) - 1, &fd)) > 0) {
		text[n] = '\0';
		if (!strcmp(text, "die"))
			raise(SIGKILL);
		if (!strcmp(text, "end"))
			return 0;
		if (!strcmp(text, "sleep"))
			sleep(1000);
		if (!strcmp(text, "doze"))
			usleep(20000);
		if (!strcmp(text, "open"))
			n = snprintf(text, sizeof(text), "%d",
				open("/etc/passwd", O_RDONLY) < 0 ? errno : 0);
		if (!strcmp(text, "connect"))
			n = snprintf(text, sizeof(text), "%d", try_connect());
		if (!strcmp(text, "eat"))
			n = snprintf(text, sizeof(text), "%d", eat());
		if (!strcmp(text, "raise"))
			n = snprintf(text, sizeof(text), "%d", raise_limit());
		if (!strcmp(text, "spin"))
			spin();
		if (!strcmp(text, "exec"))
			execl("/bin/true", "true", NULL);
		if (!strcmp(text, "give") || !strcmp(text, "give two")) {
			give(sock, text[4] ? 2 : 1);
			continue;
		}
		if (!strcmp(text, "fds"))
			n = snprintf(text, sizeof(text), "%d", dup(0)); // the next free one
		if (fd >= 0) {
			n = read(fd, text, sizeof(text));
			close(fd);
		}
		if (send(sock, text, (size_t)n, MSG_NOSIGNAL) < 0)
			return 1;
	}
	return 0;
}

static int end_at_once(int sock, const struct part_inside *inside)
{
	(void)sock;
	(void)inside;
	return 0;
}

static unsigned prepared;

static void prepare(void)
{
	prepared++;
}

static int tell_prepared(int sock, const struct part_inside *inside)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", prepared);

	(void)inside;
	send(sock, text, (size_t)n, MSG_NOSIGNAL);
	recv(sock, text, sizeof(text), 0);
	return 0;
}

/* As a library's that has something to do when a thread ends. */
static pthread_key_t key;
static bool let_go;

static void let_go_slowly(void *arg)
{
	(void)arg;
	usleep(100000);
	let_go = true;
}

static int hold(int sock, const struct part_inside *inside)
{
	pthread_setspecific(key, &let_go);
	return echo(sock, inside);
}

static const struct part_kind hold_kind = {.name = "hold", .run = hold};
static const struct part_kind echo_kind = {.name = "echo", .run = echo};
static const struct part_kind prepared_kind = {
	.name = "prepared", .run = tell_prepared, .prepare = prepare};
static const struct part_kind fail_kind = {.name = "fail", .run = end_at_once};

/* ---- the daemon's half ---- */

static struct loop *loop;
static struct nursery nursery;
static struct part part, others[10];
static char said[128];
static unsigned begun, messages, deaths, fds;
static bool for_good, takes, works;
static int taken; // -1: none

static void on_begun(struct part *p)
{
	(void)p;
	begun++;
}

static void on_message(struct part *p, const void *bytes, size_t len, int *fd)
{
	assert_true(len < sizeof(said));
	memcpy(said, bytes, len);
	said[len] = '\0';
	if (takes) {
		taken = *fd;
		*fd = -1;
	}
	messages++;
	p->works = works;
}

static void on_died(struct part *p, bool last)
{
	assert_false(part_is_there(p));
	deaths++;
	for_good = last;
}

static void start(const struct part_kind *kind, bool threads)
{
	assert_int_equal(
		nursery_start(&nursery, kind, SANDBOX_AUTO, (uint64_t)MEMORY_MIB * MIB, threads),
		0);
	assert_int_equal(part_init(&part, loop, &nursery), 0);
}

static int begin(void **state)
{
	(void)state;
	fds = count_fds();
	loop = loop_create();
	memset(others, 0, sizeof(others));
	prepared = 0;
	part = (struct part){.begun = on_begun, .message = on_message, .died = on_died, .lives = 3};
	begun = messages = deaths = 0;
	for_good = takes = works = false;
	return loop ? 0 : -1;
}

static int finish(void **state)
{
	pid_t pid = nursery.pid;

	(void)state;
	part_finish(&part);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
		part_finish(&others[i]);
	nursery_finish(&nursery);
	loop_destroy(loop);
	assert_true(pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH));
	nursery = (struct nursery){0};
	assert_int_equal(count_fds(), fds);
	return 0;
}

static void wait_until(const unsigned *count, unsigned wanted)
{
	int64_t end = loop_now() + WAIT_MS * 1000000ll;

	while (*count < wanted && loop_now() < end)
		assert_int_equal(loop_turn(loop, 100), 0);
	assert_int_equal(*count, wanted);
}

static void tell(const char *text)
{
	assert_int_equal(part_send(&part, text, strlen(text), -1), 0);
}

static void ask(const char *text, const char *wanted)
{
	tell(text);
	wait_until(&messages, messages + 1);
	assert_string_equal(said, wanted);
}

static void test_echo(void **state)
{
	(void)state;
	start(&echo_kind, false);
	assert_int_equal(begun, 1);
	ask("hello", "hello");
	ask("again", "again");
	assert_int_equal(deaths, 0);
}

static void test_thread(void **state)
{
	(void)state;
	start(&echo_kind, true);
	ask("hello", "hello");
	tell("end");
	wait_until(&deaths, 1);
	assert_true(for_good); // what it left in our process is unknown
}

static void test_thread_ends(void **state)
{
	(void)state;
	let_go = false;
	assert_int_equal(pthread_key_create(&key, let_go_slowly), 0);
	start(&hold_kind, true);
	ask("hello", "hello");
	part_finish(&part);
	nursery_finish(&nursery);
	assert_true(let_go);
	pthread_key_delete(key);
}

static void test_descriptor(void **state)
{
	int fd = fd_memfd("test", 5);

	(void)state;
	assert_int_equal(pwrite(fd, "bytes", 5, 0), 5);
	start(&echo_kind, false);
	assert_int_equal(part_send(&part, "x", 1, fd), 0);
	close(fd);
	wait_until(&messages, 1);
	assert_string_equal(said, "bytes");
}

/* And back. What is not taken is closed: finish() counts. */
static void test_given(void **state)
{
	char bytes[6] = "";

	(void)state;
	start(&echo_kind, false);
	ask("give", "given");
	ask("give two", "given");
	takes = true;
	ask("hello", "hello");
	assert_int_equal(taken, -1);
	ask("give two", "given");
	assert_int_equal(pread(taken, bytes, 5, 0), 5);
	assert_string_equal(bytes, "bytes");
	close(taken);
}

static void test_has_nothing(void **state)
{
	(void)state;
	start(&echo_kind, false);
#ifdef __SANITIZE_ADDRESS__
	ask("fds", "4"); // three of the standard, and its socket
#else
	ask("fds", "5"); // and the log's
#endif
}

static void test_is_locked_in(void **state)
{
	char refused[8];

	(void)state;
	snprintf(refused, sizeof(refused), "%d", EACCES);
#ifndef __SANITIZE_ADDRESS__ // there the sandbox denies nothing
	start(&echo_kind, false);
	ask("open", refused);
	ask("connect", refused);
	tell("exec");
	wait_until(&deaths, 1);
#endif
}

static void test_dies_and_lives(void **state)
{
	(void)state;
	start(&echo_kind, false);
	ask("hello", "hello");
	tell("die");
	wait_until(&deaths, 1);
	assert_int_equal(begun, 2); // at once
	ask("hello", "hello");
	tell("end");
	wait_until(&deaths, 2);
	assert_int_equal(part_send(&part, "x", 1, -1), -ENOTCONN); // there is a delay now
	wait_until(&begun, 3);
	ask("hello", "hello");
	tell("die");
	wait_until(&deaths, 3);
	assert_true(for_good);
	assert_int_equal(begun, 3);
	assert_int_equal(part_send(&part, "x", 1, -1), -ENOTCONN);
}

/* A guest may have it die as often as it likes: it is always back, a little later each time. */
static void test_works_and_dies(void **state)
{
	(void)state;
	works = true;
	start(&echo_kind, false);
	for (unsigned i = 1; i <= 8; i++) {
		ask("hello", "hello");
		tell("die");
		wait_until(&deaths, i);
		wait_until(&begun, i + 1);
		assert_true(part.delay_ns <= 400000000);
	}
	works = false;
	ask("hello", "hello"); // these do not work any more
	for (unsigned i = 9; i <= 11; i++) {
		assert_false(for_good);
		tell("die");
		wait_until(&deaths, i);
		if (i < 11)
			wait_until(&begun, i + 1);
	}
	assert_true(for_good);
}

static void test_memory(void **state)
{
	char text[64] = "";
	FILE *f;
	int n;

	(void)state;
	start(&echo_kind, false);
	tell("eat");
	wait_until(&messages, 1);
	n = atoi(said);
	assert_true(n > 0 && n <= MEMORY_MIB);
	assert_int_equal(deaths, 0);
	snprintf(text, sizeof(text), "/proc/%d/oom_score_adj", (int)part.pid);
	f = fopen(text, "re");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_true(atoi(text) >= 500);
#ifndef __SANITIZE_ADDRESS__ // there the sandbox denies nothing
	snprintf(text, sizeof(text), "%d", EPERM);
	ask("raise", text);
#endif
}

static void test_cpu_time(void **state)
{
	int64_t before;

	(void)state;
	start(&echo_kind, false);
	assert_int_equal(part_cpu_time(&part), 0); // it has said nothing yet
	ask("hello", "hello");
	before = part_cpu_time(&part);
	assert_true(before > 0);
	ask("spin", "spin");
	assert_true(part_cpu_time(&part) - before >= 90000000);
	ask("hello", "hello");
}

/* What it says before it dies is heard, though it has not read all. */
static void test_last_words(void **state)
{
	(void)state;
	start(&echo_kind, false);
	tell("doze");
	tell("die");
	tell("unread");
	usleep(200000);
	wait_until(&deaths, 1);
	assert_int_equal(messages, 1);
}

static void test_restart(void **state)
{
	(void)state;
	start(&echo_kind, false);
	for (unsigned i = 0; i < 10; i++) { // it is nobody's fault
		tell("sleep");
		assert_true(part_restart(&part));
		assert_int_equal(begun, i + 2);
		ask("hello", "hello");
	}
	assert_int_equal(deaths, 0);
}

static void test_never_begins(void **state)
{
	(void)state;
	start(&fail_kind, false);
	wait_until(&deaths, 3);
	assert_true(for_good);
	assert_int_equal(begun, 3);
}

/* Nothing waits for one that does not listen, and what waits for it has a bound. */
static void test_does_not_listen(void **state)
{
	static const char text[4096] = "much";
	unsigned sent = 0;
	int r = 0;

	(void)state;
	start(&echo_kind, false);
	tell("sleep");
	while (r == 0 && sent < 10000) {
		r = part_send(&part, text, sizeof(text), -1);
		sent++;
	}
	assert_int_equal(r, -ENOBUFS);
	assert_true(sent > PART_QUEUE_MAX / sizeof(text));
	part_kill(&part, "sleeps");
	wait_until(&deaths, 1);
	ask("hello", "hello"); // of the next one
}

/* What is sent while it does not listen comes in order. */
static void test_order(void **state)
{
	char text[32];

	(void)state;
	start(&echo_kind, false);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "%u", i);
		tell(text);
	}
	wait_until(&messages, 5000);
	assert_string_equal(said, "4999");
}

static void start_others(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		others[i] = (struct part){
			.begun = on_begun, .message = on_message, .died = on_died, .lives = 1};
		assert_int_equal(part_init(&others[i], loop, &nursery), 0);
	}
}

/* Each has its own end. */
static void test_many(void **state)
{
	bool threads = *(bool *)*state;
	unsigned n = ARRAY_SIZE(others);

	start(&echo_kind, threads);
	start_others();
	ask("hello", "hello");
	for (unsigned i = 0; i < n; i += 2)
		part_finish(&others[i]);
	for (unsigned i = 1; i < n; i += 2)
		assert_int_equal(part_send(&others[i], "x", 1, -1), 0);
	wait_until(&messages, 1 + n / 2);
	assert_int_equal(part_send(&others[1], "end", 3, -1), 0);
	wait_until(&deaths, 1);
	assert_true(for_good && !part_is_there(&others[1]));
	ask("hello", "hello");
	assert_int_equal(deaths, 1);
}

/* What is prepared is there in each, and was done once. */
static void test_prepared(void **state)
{
	(void)state;
	start(&prepared_kind, false);
	start_others();
	wait_until(&messages, 1 + ARRAY_SIZE(others));
	assert_string_equal(said, "1");
	assert_int_equal(prepared, 0); // not by us
}

static void test_all_end_together(void **state)
{
	(void)state;
	start(&echo_kind, false);
	ask("hello", "hello");
	tell("sleep");
	kill(nursery.pid, SIGKILL);
	wait_until(&deaths, 2); // of those that it had started, and of the next, which cannot be
	assert_true(begun == 1 && for_good);
}

#define PART_TEST(name) cmocka_unit_test_setup_teardown(test_##name, begin, finish)

int main(void)
{
	bool processes = false, threads = true;
	const struct CMUnitTest tests[] = {
		PART_TEST(echo),
		PART_TEST(thread),
		PART_TEST(thread_ends),
		PART_TEST(descriptor),
		PART_TEST(given),
		PART_TEST(has_nothing),
		PART_TEST(is_locked_in),
		PART_TEST(dies_and_lives),
		PART_TEST(works_and_dies),
		PART_TEST(memory),
		PART_TEST(cpu_time),
		PART_TEST(last_words),
		PART_TEST(restart),
		PART_TEST(never_begins),
		PART_TEST(does_not_listen),
		PART_TEST(order),
		{"test_many", test_many, begin, finish, &processes},
		{"test_many_threads", test_many, begin, finish, &threads},
		PART_TEST(prepared),
		PART_TEST(all_end_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
