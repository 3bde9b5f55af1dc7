/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "common/daemon.h"
#include "device.h"
#include "options.h"
#include "realtime.h"

static int no_backend(const struct options *o, const struct sound_options *s, int error)
{
	if (s->backend.dir)
		return options_fail(o, EXIT_RUNTIME,
			"--backend=file:%s: %s; choose a folder that you may write to",
			s->backend.dir, strerror(-error));
	return options_fail(o, EXIT_RUNTIME, "the backend cannot begin: %s", strerror(-error));
}

int main(int argc, char **argv)
{
	struct sound_options s = SOUND_OPTIONS_DEFAULT;
	struct options o = sound_command_line(&s);
	static struct sound_device dev;
	struct backend *backend;
	struct loop *loop;
	int status = options_parse(&o, argc, argv), r;

	if (status >= 0)
		return status;
	if (s.card.n_playback + s.card.n_capture == 0)
		return options_fail(
			&o, EXIT_USAGE, "--playback=0 and --capture=0: no device is left");
	loop = daemon_loop();
	if (!loop)
		return options_fail(&o, EXIT_RUNTIME, "no event loop: %s", strerror(errno));
	s.backend.n_playback = s.card.n_playback;
	r = s.create(loop, &s.backend, &backend);
	if (r < 0)
		return no_backend(&o, &s, r);
	realtime_begin();
	r = sound_device_init(&dev, loop, &s.card, backend);
	if (r < 0)
		return options_fail(&o, EXIT_RUNTIME, "no timer: %s", strerror(-r));
	status = daemon_serve(loop, &o, &dev.vhu_device, &dev);
	sound_device_finish(&dev);
	backend->ops->destroy(backend);
	loop_destroy(loop);
	return status;
}
