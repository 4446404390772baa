/*
 * SPDX-License-Identifier: ISC
 *
 * health - are events taken at the moment; see health.h.
 */
#include "config.h"

#include <inttypes.h>
#include <stddef.h>

#include "health.h"

static bool
lacks_disk(const struct spool_gauge *g)
{
	return !g->looked || g->free < g->limits.min_free ||
	       g->free - g->limits.min_free < SPOOL_OVERHEAD;
}

static bool
lacks_writing(const struct spool_gauge *g)
{
	return g->failing || (g->looked && g->readonly);
}

static bool
lacks_inodes(const struct spool_gauge *g)
{
	return g->looked && g->few_inodes && g->inodes <= g->limits.min_inodes;
}

static bool
lacks_queue(const struct spool_gauge *g)
{
	return g->waiting >= g->limits.queue_limit;
}

static bool
lacks_rejected(const struct spool_gauge *g)
{
	return g->rejected >= g->limits.rejected_limit;
}

static bool
lacks_sync(const struct spool_gauge *g)
{
	return g->broken;
}

static bool
lacks_counters(const struct spool_gauge *g)
{
	return !g->shared;
}

static const struct {
	const char *name;
	bool (*lacks)(const struct spool_gauge *g);
} checks[] = {{"disk", lacks_disk}, {"write", lacks_writing}, {"inodes", lacks_inodes},
    {"queue", lacks_queue}, {"rejected", lacks_rejected}, {"sync", lacks_sync},
    {"counters", lacks_counters}};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

bool
health_is_well(const struct spool_gauge *g)
{
	for (size_t i = 0; i < CHECKS; i++) {
		if (checks[i].lacks(g))
			return false;
	}
	return true;
}

static void
add_problems(struct buf *out, const struct spool_gauge *g)
{
	const char *before = "";

	buf_str(out, ",\"problems\":[");
	for (size_t i = 0; i < CHECKS; i++) {
		if (!checks[i].lacks(g))
			continue;
		buf_fmt(out, "%s\"%s\"", before, checks[i].name);
		before = ",";
	}
	buf_str(out, "]");
}

static void
add_pair(struct buf *out, const char *name, const char *have_name, uint64_t have,
    const char *mark_name, uint64_t mark)
{
	buf_fmt(out, ",\"%s\":{\"%s\":%" PRIu64 ",\"%s\":%" PRIu64 "}", name, have_name, have,
	    mark_name, mark);
}

void
health_print(struct buf *out, const struct spool_gauge *g, bool details)
{
	buf_fmt(out, "{\"status\":\"%s\"", health_is_well(g) ? "well" : "unwell");
	if (details) {
		add_problems(out, g);
		if (g->looked)
			add_pair(out, "disk", "free", g->free, "min_free", g->limits.min_free);
		if (g->looked && g->few_inodes)
			add_pair(out, "inodes", "free", g->inodes, "min_inodes",
			    g->limits.min_inodes);
		add_pair(out, "queue", "waiting", g->waiting, "limit", g->limits.queue_limit);
		add_pair(
		    out, "rejected", "kept", g->rejected, "limit", g->limits.rejected_limit);
	}
	buf_str(out, "}\n");
}
