/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "snd_stage.h"

#include <endian.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The daemon may take several messages in a row before it looks at anything else: so many round
 * trips, and it has been through its loop more than once.
 */
enum { SETTLED = 40 };

static int fail(struct snd_stage *s, const char *what, int rc)
{
	if (rc < 0)
		snprintf(s->failed, sizeof(s->failed), "%s: %s", what, strerror(-rc));
	return rc;
}

/* The daemon */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int make_folder(struct snd_stage *s)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(s->dir, sizeof(s->dir), "%.60s/virga-sound-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(s->dir)) {
		*s->dir = '\0';
		return -errno;
	}
	snprintf(s->socket, sizeof(s->socket), "%s/sock", s->dir);
	return 0;
}

static int start_daemon(struct snd_stage *s, const char *binary)
{
	const char *args[CHILD_MAX_ARGS];
	const char *program = binary;
	char listen[160];
	size_t n = 0;

	for (const char *const *a = s->setup.under; a && *a && n < CHILD_MAX_ARGS - 3; a++) {
		if (a == s->setup.under)
			program = *a;
		else
			args[n++] = *a;
	}
	if (program != binary)
		args[n++] = binary;
	snprintf(listen, sizeof(listen), "--socket-path=%s", s->socket);
	args[n++] = listen;
	for (const char *const *a = s->setup.args; a && *a && n < CHILD_MAX_ARGS - 1; a++)
		args[n++] = *a;
	args[n] = NULL;
	s->child_is_started = true;
	return child_start(&s->child, program, args);
}

static int make_guest(struct snd_stage *s)
{
	int rc = guest_init_flat(&s->guest, s->setup.memory);

	s->guest_is_made = rc == 0;
	for (; rc == 0 && s->n_rings < SND_DRIVER_RINGS; s->n_rings += rc == 0)
		rc = drv_ring_init(
			&s->rings[s->n_rings], &s->guest, s->setup.ring_size, FRONTEND_FEATURES);
	snd_driver_init(&s->snd, &s->guest, s->rings);
	return rc;
}

static void defaults(struct snd_setup *setup)
{
	if (!setup->personality)
		setup->personality = "qemu11-snd";
	if (!setup->ring_size)
		setup->ring_size = 64;
	if (!setup->memory)
		setup->memory = 64 << 20;
	if (!setup->config_size)
		setup->config_size = 12;
}

int snd_stage_begin(struct snd_stage *s, const char *binary, const struct snd_setup *setup)
{
	int rc;

	memset(s, 0, sizeof(*s));
	if (setup)
		s->setup = *setup;
	defaults(&s->setup);
	s->run = (struct personality_run){.p = personality_find(s->setup.personality),
		.f = &s->fe,
		.guest = &s->guest,
		.rings = s->rings,
		.n = SND_DRIVER_RINGS,
		.config_size = s->setup.config_size,
		.gpu_fd = -1};
	if (!s->run.p)
		return fail(s, s->setup.personality, -ENOENT);
	rc = fail(s, "a folder", make_folder(s));
	if (rc == 0)
		rc = fail(s, "the guest", make_guest(s));
	if (rc == 0)
		rc = fail(s, binary, start_daemon(s, binary));
	return rc < 0 || s->setup.wait_for_client ? rc : snd_stage_connect(s);
}

void snd_stage_end(struct snd_stage *s)
{
	snd_stage_disconnect(s);
	if (s->child_is_started)
		child_kill(&s->child);
	for (uint32_t i = 0; i < s->n_rings; i++)
		drv_ring_finish(&s->rings[i]);
	if (s->guest_is_made)
		guest_finish(&s->guest);
	if (*s->dir)
		nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	memset(s, 0, sizeof(*s));
}

int snd_stage_terminate(struct snd_stage *s)
{
	int rc = child_signal(&s->child, SIGTERM);

	if (rc == 0)
		rc = child_wait(&s->child, 30000);
	if (rc > 0) {
		snprintf(s->failed, sizeof(s->failed), "it ended with %d", rc);
		return -ECANCELED;
	}
	return fail(s, "its end", rc);
}

/* A device's life */

static int phase(struct snd_stage *s, int (*run)(struct personality_run *run))
{
	int rc = run(&s->run);

	if (rc < 0)
		snprintf(s->failed, sizeof(s->failed), "%s: %s failed at step 0x%x: %s",
			s->run.p->name, s->run.failed, (unsigned int)s->run.step, strerror(-rc));
	return rc;
}

/* Fresh rings. */
static void forget(struct snd_stage *s)
{
	for (uint32_t i = 0; i < SND_DRIVER_RINGS; i++) {
		drv_ring_wait_err(&s->rings[i], 0);
		drv_ring_reset(&s->rings[i], 0);
	}
	snd_driver_reset(&s->snd);
	guest_rewind(&s->guest);
	s->is_fresh = true;
}

int snd_stage_connect(struct snd_stage *s)
{
	int rc = fail(s, "connecting", frontend_connect(&s->fe, s->socket));

	if (rc < 0)
		return rc;
	s->fe_is_open = true;
	s->run.memory_given = false;
	rc = phase(s, personality_realize);
	if (rc < 0)
		return rc;
	forget(s); // only now is the daemon done with the last front-end's rings
	return snd_stage_start(s);
}

void snd_stage_disconnect(struct snd_stage *s)
{
	if (s->fe_is_open)
		frontend_close(&s->fe);
	s->fe_is_open = false;
}

int snd_stage_start(struct snd_stage *s)
{
	int rc = phase(s, personality_start);

	if (rc == 0 && s->is_fresh)
		rc = fail(s, "event buffers", snd_driver_fill(&s->snd, s->setup.event_buffers));
	s->is_fresh = false;
	return rc < 0 ? rc : snd_stage_settle(s);
}

int snd_stage_stop(struct snd_stage *s)
{
	int rc = phase(s, personality_stop);

	if (rc == 0)
		rc = fail(s, "the rings", snd_driver_poll(&s->snd));
	return rc < 0 ? rc : 0;
}

int snd_stage_reset(struct snd_stage *s)
{
	int rc = snd_stage_stop(s);

	if (rc == 0)
		forget(s);
	return rc;
}

int snd_stage_settle(struct snd_stage *s)
{
	int rc = 0;

	for (int i = 0; i < SETTLED && rc == 0; i++)
		rc = fail(s, "the connection", frontend_barrier(&s->fe));
	if (rc == 0)
		rc = fail(s, "the rings", snd_driver_poll(&s->snd));
	return rc < 0 ? rc : 0;
}

struct virtio_snd_config snd_stage_config(const struct snd_stage *s)
{
	struct virtio_snd_config c;

	memcpy(&c, s->run.config, sizeof(c));
	return (struct virtio_snd_config){.jacks = le32toh(c.jacks),
		.streams = le32toh(c.streams),
		.chmaps = le32toh(c.chmaps),
		.controls = le32toh(c.controls)};
}
