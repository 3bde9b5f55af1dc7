/* SPDX-License-Identifier: MIT */
#include "graph_node.h"

#include <errno.h>

#include <spa/param/props.h>
#include <spa/pod/builder.h>
#include <spa/pod/parser.h>

static void on_info(void *data, const struct pw_node_info *info)
{
	struct graph_node *n = data;

	n->state = info->state;
	if (info->change_mask & PW_NODE_CHANGE_MASK_PROPS)
		pw_properties_update(n->props, info->props);
}

static void on_param(void *data, int seq, uint32_t id, uint32_t index, uint32_t next,
	const struct spa_pod *param)
{
	struct graph_node *n = data;
	const struct spa_pod *volumes = NULL;
	bool mute = n->mute;

	(void)seq;
	(void)index;
	(void)next;
	if (id != SPA_PARAM_Props || !param)
		return;
	spa_pod_parse_object(param, SPA_TYPE_OBJECT_Props, NULL, SPA_PROP_mute,
		SPA_POD_OPT_Bool(&mute), SPA_PROP_channelVolumes, SPA_POD_OPT_Pod(&volumes));
	n->mute = mute;
	if (volumes)
		n->n_volumes =
			spa_pod_copy_array(volumes, SPA_TYPE_Float, n->volumes, GRAPH_CHANNELS);
}

static void on_removed(void *data)
{
	((struct graph_node *)data)->removed = true;
}

static const struct pw_node_events node_events = {
	PW_VERSION_NODE_EVENTS,
	.info = on_info,
	.param = on_param,
};

static const struct pw_proxy_events proxy_events = {
	PW_VERSION_PROXY_EVENTS,
	.removed = on_removed,
};

int graph_node_open(struct graph_node *n, struct graph *g, const char *name)
{
	uint32_t params[] = {SPA_PARAM_Props};
	unsigned links;
	uint32_t id = graph_find(g, name, &links);

	*n = (struct graph_node){.graph = g};
	if (!id)
		return -ENOENT;
	n->props = pw_properties_new(NULL, NULL);
	n->proxy = pw_registry_bind(g->registry, id, PW_TYPE_INTERFACE_Node, PW_VERSION_NODE, 0);
	if (!n->props || !n->proxy)
		return -ENOMEM;
	pw_proxy_add_listener((struct pw_proxy *)n->proxy, &n->proxy_listener, &proxy_events, n);
	pw_node_add_listener(n->proxy, &n->listener, &node_events, n);
	pw_node_subscribe_params(n->proxy, params, 1);
	return graph_sync(g);
}

void graph_node_close(struct graph_node *n)
{
	if (n->proxy) {
		spa_hook_remove(&n->listener);
		spa_hook_remove(&n->proxy_listener);
		pw_proxy_destroy((struct pw_proxy *)n->proxy);
	}
	pw_properties_free(n->props);
	*n = (struct graph_node){0};
}

const char *graph_node_property(const struct graph_node *n, const char *key)
{
	return pw_properties_get(n->props, key);
}

int graph_node_set_level(struct graph_node *n, float volume, bool mute)
{
	uint8_t space[512];
	struct spa_pod_builder builder = SPA_POD_BUILDER_INIT(space, sizeof(space));
	float volumes[GRAPH_CHANNELS];
	const struct spa_pod *props;

	for (uint32_t i = 0; i < n->n_volumes; i++)
		volumes[i] = volume;
	props = spa_pod_builder_add_object(&builder, SPA_TYPE_OBJECT_Props, SPA_PARAM_Props,
		SPA_PROP_mute, SPA_POD_Bool(mute), SPA_PROP_channelVolumes,
		SPA_POD_Array(sizeof(float), SPA_TYPE_Float, n->n_volumes, volumes));
	pw_node_set_param(n->proxy, SPA_PARAM_Props, 0, props);
	return graph_sync(n->graph);
}
