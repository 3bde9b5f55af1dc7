/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Log lines on stderr, by level and topic. Each file says its topic before it includes this:
 *	#define LOG_TOPIC "vhu"
 * Users choose with -v and --log=topic:level.
 */
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DBG };

/*
 * Reads "level" or "topic:level" (err, warn, info, dbg), several joined by commas. -EINVAL when it
 * cannot be read. The thread that starts the program only.
 */
int log_configure(const char *spec);

bool log_enabled(const char *topic, enum log_level level);

/* Keeps stderr for log lines alone: what libraries write there is gone from now on. Negative errno. */
int log_keep_stderr(void);

/* Writes one line when the level is on. Any thread. errno is kept. */
void log_write(const char *topic, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What a guest can provoke is logged through a limit: 10 lines a second, then a count of the rest.
 */
struct log_limit {
	int64_t second;
	unsigned lines, dropped;
};

bool log_limit_pass(struct log_limit *limit, const char *topic);

#ifdef LOG_TOPIC
#define log_err(...)  log_write(LOG_TOPIC, LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_TOPIC, LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_TOPIC, LOG_INFO, __VA_ARGS__)
#define log_dbg(...)  log_write(LOG_TOPIC, LOG_DBG, __VA_ARGS__)
/* A guest's or front-end's mistake: debug level, limited for each place. */
#define log_peer(...)                                                                              \
	do {                                                                                       \
		static struct log_limit limit_;                                                    \
		if (log_enabled(LOG_TOPIC, LOG_DBG) && log_limit_pass(&limit_, LOG_TOPIC))         \
			log_write(LOG_TOPIC, LOG_DBG, __VA_ARGS__);                                \
	} while (0)
#endif
