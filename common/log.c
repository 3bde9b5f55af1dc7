/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"

enum { TOPICS_MAX = 16, TOPIC_LEN = 16, LINES_A_SECOND = 10 };

static const char *const names[] = {"err", "warn", "info", "dbg"};

static int to = STDERR_FILENO;
static enum log_level base = LOG_WARN;
static struct {
	char topic[TOPIC_LEN];
	enum log_level level;
} topics[TOPICS_MAX];
static unsigned n_topics;

static int parse_level(const char *s, size_t len)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == len && !strncmp(names[i], s, len))
			return (int)i;
	return -EINVAL;
}

static int configure_one(const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);
	size_t topic_len = colon ? (size_t)(colon - s) : 0;
	int level = colon ? parse_level(colon + 1, len - topic_len - 1) : parse_level(s, len);

	if (level < 0)
		return level;
	if (!colon) {
		base = (enum log_level)level;
		return 0;
	}
	if (!topic_len || topic_len >= TOPIC_LEN || n_topics == TOPICS_MAX)
		return -EINVAL;
	memcpy(topics[n_topics].topic, s, topic_len);
	topics[n_topics++].level = (enum log_level)level;
	return 0;
}

int log_configure(const char *spec)
{
	for (;;) {
		size_t len = strcspn(spec, ",");
		int r = configure_one(spec, len);

		if (r < 0 || !spec[len])
			return r;
		spec += len + 1;
	}
}

bool log_enabled(const char *topic, enum log_level level)
{
	for (unsigned i = n_topics; i-- > 0;)
		if (!strcmp(topics[i].topic, topic))
			return level <= topics[i].level;
	return level <= base;
}

int log_keep_stderr(void)
{
	int own = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (own < 0 || null < 0 || dup2(null, STDERR_FILENO) < 0) {
		int r = -errno;

		close(own);
		close(null);
		return r;
	}
	close(null);
	to = own;
	return 0;
}

void log_write(const char *topic, enum log_level level, const char *fmt, ...)
{
	char line[512];
	int saved = errno, n;
	va_list ap;

	if (!log_enabled(topic, level))
		return;
	n = snprintf(line, sizeof(line), "%s %s: ", topic, names[level]);
	va_start(ap, fmt);
	errno = saved;
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = n > (int)sizeof(line) - 2 ? (int)sizeof(line) - 2 : n;
	line[n++] = '\n';
	ssize_t w = write(to, line, (size_t)n);
	(void)w;
	errno = saved;
}

bool log_limit_pass(struct log_limit *limit, const char *topic)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec != limit->second) {
		if (limit->dropped)
			log_write(
				topic, LOG_DBG, "%u lines like the next left out", limit->dropped);
		*limit = (struct log_limit){.second = now.tv_sec};
	}
	if (limit->lines < LINES_A_SECOND) {
		limit->lines++;
		return true;
	}
	limit->dropped++;
	return false;
}
