/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "cage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

struct cage cage;

const char *cage_path(const char *dir, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int make_folder(char *path, size_t size)
{
	snprintf(path, size, "/tmp/virga-cage-XXXXXX");
	return mkdtemp(path) ? chmod(path, 0777) : -1;
}

int cage_setup(void **state)
{
	cage = (struct cage){.as_nobody = *state};
	if (make_folder(cage.dir, sizeof(cage.dir)) < 0)
		return -1;
	return make_folder(cage.other, sizeof(cage.other));
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	assert_int_equal(rmdir(path), 0);
}

int cage_teardown(void **state)
{
	(void)state;
	remove_folder(cage.dir);
	remove_folder(cage.other);
	return 0;
}

int cage_result(long r)
{
	return r < 0 ? errno : 0;
}

int cage_wait(int pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

static void inside(int said, enum sandbox_mode mode, const struct cage_attempt *a)
{
	int r = REFUSED;

	if (sandbox_enter(mode, &cage.profile) == 0)
		r = a->run();
	_exit(write(said, &r, sizeof(r)) != sizeof(r));
}

static void outside(int said, enum sandbox_mode mode, const struct cage_attempt *a)
{
	const struct rlimit no_core = {0, 0};
	pid_t pid;
	int r;

	if (cage.as_nobody && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); // as after an exec
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGSYS, SIG_DFL); // cmocka would go on with its tests
	cage.early = a->before ? a->before() : -1;
	if (a->before && cage.early < 0)
		_exit(2);
	pid = fork();
	if (pid == 0)
		inside(said, mode, a);
	r = cage_wait(pid);
	if (r != 0) // it could not say it itself
		_exit(write(said, &r, sizeof(r)) != sizeof(r));
	_exit(0);
}

int cage_try(enum sandbox_mode mode, const struct cage_attempt *a)
{
	int said[2], r = -1;
	pid_t pid;

	assert_int_equal(pipe2(said, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		outside(said[1], mode, a);
	close(said[1]);
	assert_int_equal(cage_wait(pid), 0);
	if (read(said[0], &r, sizeof(r)) != sizeof(r))
		r = 0; // another program has taken its place, and ended well
	close(said[0]);
	return r;
}

void cage_assert(enum sandbox_mode mode, const struct cage_attempt *a, int wanted)
{
	int r = cage_try(mode, a);

	if (r != wanted)
		fail_msg("%s, mode %d%s: %d, not %d", a->name, mode,
			cage.as_nobody ? " as nobody" : "", r, wanted);
}
