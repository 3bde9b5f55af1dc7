/* SPDX-License-Identifier: MIT */
#pragma once
/* virga-sound's command line. */
#include "backend.h"
#include "card.h"
#include "common/options.h"
#include "common/sandbox.h"

struct sound_options {
	struct card_config card;
	struct backend_config backend;
	struct sandbox_profile sandbox;
	int (*create)(struct loop *loop, const struct backend_config *config, struct backend **out);
};

#define SOUND_OPTIONS_DEFAULT                                                                      \
	{                                                                                          \
		.card = {.n_playback = 1, .n_capture = 1}, .backend = {.name = "Virtual machine"}, \
		.create = backend_pipewire_create                                                  \
	}

/* The options with their table, for options_parse(). s must outlive them. */
struct options sound_command_line(struct sound_options *s);
