/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#define LOG_TOPIC "sound"
#include "realtime.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"

enum { PRIORITY = 20, NICE = -11, BUSY_US = 100000 };

/* The kernel says that the process was busy at realtime priority for so long without a sleep. */
static void on_busy(int signal)
{
	const struct sched_param none = {0};
	int saved = errno;

	(void)signal;
	sched_setscheduler(getpid(), SCHED_OTHER, &none);
	errno = saved;
}

static int limit_busy_time(void)
{
	const struct sigaction action = {.sa_handler = on_busy, .sa_flags = SA_RESTART};
	struct rlimit limit;

	if (getrlimit(RLIMIT_RTTIME, &limit) < 0 || sigaction(SIGXCPU, &action, NULL) < 0)
		return -errno;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max <= BUSY_US)
		return -EPERM;
	limit.rlim_cur = BUSY_US;
	return setrlimit(RLIMIT_RTTIME, &limit);
}

enum realtime_got realtime_begin(void)
{
	const struct sched_param param = {.sched_priority = PRIORITY};

	if (limit_busy_time() == 0
		&& sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0)
		return REALTIME_RR;
	log_info("RLIMIT_RTPRIO permits no realtime priority: a busy host will be heard sooner");
	return setpriority(PRIO_PROCESS, 0, NICE) == 0 ? REALTIME_NICE : REALTIME_NONE;
}
