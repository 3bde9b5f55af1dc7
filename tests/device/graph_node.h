/* SPDX-License-Identifier: MIT */
#pragma once
/* A node of another program's, as everybody sees it who is connected to the same PipeWire. */
#include "graph.h"

struct graph_node {
	struct graph *graph;
	struct pw_node *proxy;
	struct spa_hook listener, proxy_listener;
	bool removed;
	enum pw_node_state state;
	struct pw_properties *props;
	float volumes[GRAPH_CHANNELS];
	uint32_t n_volumes;
	bool mute;
};

/* There is such a node (else -ENOENT); all that it tells is known then. *n is zeroed or was closed. */
int graph_node_open(struct graph_node *n, struct graph *g, const char *name);
void graph_node_close(struct graph_node *n);

/* NULL: it has no such property. */
const char *graph_node_property(const struct graph_node *n, const char *key);

/* As a mixer does it: all channels. */
int graph_node_set_level(struct graph_node *n, float volume, bool mute);
