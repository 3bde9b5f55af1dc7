/* SPDX-License-Identifier: MIT */
#define LOG_TOPIC "video"
#include "remote.h"

#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/gmem.h"

static struct engine *of(struct part *p)
{
	return CONTAINER_OF(p, struct engine, part);
}

/* ---- asking ---- */

int engine_ask(struct engine *e, struct engine_message *m, int fd)
{
	e->seq += e->seq == UINT32_MAX ? 2 : 1;
	m->seq = e->seq;
	return part_send(&e->part, m, sizeof(*m), fd);
}

static int ask_entries(struct engine *e, const struct engine_entry *entries, size_t n)
{
	struct {
		struct engine_message m;
		struct engine_entry entries[ENGINE_ENTRIES_MAX];
	} full = {.m = {.what = ENGINE_ENTRIES, .n_entries = (uint32_t)n}};

	memcpy(full.entries, entries, n * sizeof(*entries));
	return part_send(&e->part, &full, sizeof(full.m) + n * sizeof(*entries), -1);
}

int engine_ask_resource(struct engine *e, uint32_t queue, uint32_t res,
	const struct engine_entry *entries, size_t n, uint32_t *seq)
{
	struct engine_message m = {.what = ENGINE_RESOURCE, .queue = queue, .res = res};
	int r = 0;

	for (size_t at = 0; at < n && r == 0; at += ENGINE_ENTRIES_MAX)
		r = ask_entries(e, &entries[at], min_u64(n - at, ENGINE_ENTRIES_MAX));
	for (size_t i = 0; i < n; i++)
		m.size += entries[i].len;
	if (r == 0)
		r = engine_ask(e, &m, -1);
	*seq = m.seq;
	return r;
}

/* ---- answers ---- */

static bool is_sound(const struct engine_answer *a)
{
	if (a->what == ENGINE_FORMAT)
		return a->format.width && a->format.height && a->format.width <= ENGINE_SIZE_MAX
			&& a->format.height <= ENGINE_SIZE_MAX
			&& range_within(a->format.left, a->format.crop_width, a->format.width)
			&& range_within(a->format.top, a->format.crop_height, a->format.height);
	if (a->what == ENGINE_CAPABILITY)
		return a->capability.codec < ENGINE_CODECS
			&& a->capability.n_fourccs <= ENGINE_FOURCCS_MAX
			&& memchr(a->capability.element, 0, ENGINE_NAME_MAX);
	return a->what < ENGINE_ANSWERS && a->queue < ENGINE_QUEUES;
}

static void on_message(struct part *p, const void *bytes, size_t len, int *fd)
{
	struct engine *e = of(p);
	struct engine_answer a;

	(void)fd;
	if (len == sizeof(a)) {
		memcpy(&a, bytes, sizeof(a));
		if (is_sound(&a)) {
			e->heard(e, &a);
			return;
		}
	}
	part_kill(p, "says what is no answer");
}

/* ---- guest memory ---- */

static void tell_region(struct engine *e, const struct gmem_region *region, uint32_t what)
{
	struct gmem_desc desc;
	int fd = gmem_region_fd(region, &desc);
	struct engine_message m = {.what = what, .memory = {desc.gpa, desc.size, desc.mmap_offset}};
	int r = engine_ask(e, &m, what == ENGINE_MEMORY_ADD ? fd : -1);

	if (r == -ENOBUFS || r == -ENOMEM)
		part_kill(&e->part, "does not take what it must know of memory");
}

void engine_set_memory(struct engine *e, struct gmem *mem)
{
	struct gmem *old = e->mem;

	if (mem == old)
		return;
	e->mem = mem ? gmem_ref(mem) : NULL;
	for (unsigned i = 0; old && i < old->n; i++)
		tell_region(e, &old->regions[i], ENGINE_MEMORY_REMOVE);
	for (unsigned i = 0; mem && i < mem->n; i++)
		tell_region(e, &mem->regions[i], ENGINE_MEMORY_ADD);
	gmem_unref(old);
}

/* ---- life ---- */

static void on_begun(struct part *p)
{
	const struct engine *e = of(p);

	for (unsigned i = 0; e->mem && i < e->mem->n; i++)
		tell_region(of(p), &e->mem->regions[i], ENGINE_MEMORY_ADD);
}

static void on_death(struct part *p, bool for_good)
{
	struct engine *e = of(p);

	(void)for_good;
	e->lost(e);
}

int engine_start(struct engine *e, struct loop *loop, struct nursery *n, struct gmem *mem)
{
	e->mem = mem ? gmem_ref(mem) : NULL;
	e->seq = 0;
	e->part = (struct part){
		.lives = 1, .begun = on_begun, .message = on_message, .died = on_death};
	return part_init(&e->part, loop, n);
}

void engine_finish(struct engine *e)
{
	part_finish(&e->part);
	gmem_unref(e->mem);
	e->mem = NULL;
}

/* ---- what there is ---- */

struct lister {
	struct engine engine;
	struct engine_list *list;
	bool done, failed;
};

static void on_listed(struct engine *e, const struct engine_answer *a)
{
	struct lister *l = CONTAINER_OF(e, struct lister, engine);

	if (a->what == ENGINE_DONE)
		l->done = true;
	else if (a->what == ENGINE_CAPABILITY && l->list->n < ARRAY_SIZE(l->list->capabilities))
		l->list->capabilities[l->list->n++] = *a;
}

static void on_lister_lost(struct engine *e)
{
	CONTAINER_OF(e, struct lister, engine)->failed = true;
}

bool engine_list(struct engine_list *list, struct loop *loop, struct nursery *n, int64_t timeout_ns)
{
	struct lister l = {.engine = {.heard = on_listed, .lost = on_lister_lost}, .list = list};
	struct engine_message m = {.what = ENGINE_LIST};
	int64_t end = loop_now() + timeout_ns, left;

	list->n = 0;
	if (engine_start(&l.engine, loop, n, NULL) < 0)
		return false;
	l.failed = l.failed || engine_ask(&l.engine, &m, -1) < 0;
	while (!l.done && !l.failed && (left = end - loop_now()) > 0)
		if (loop_turn(loop, (int)(left / 1000000) + 1) < 0)
			break;
	engine_finish(&l.engine);
	return l.done && list->n;
}
