/*
 * SPDX-License-Identifier: ISC
 *
 * metrics - counts and gauges as Prometheus reads them; see metrics.h.
 */
#include "config.h"

#include <inttypes.h>

#include "metrics.h"
#include "str.h"

#define PREFIX "arkenspool_"

static void
add_head(struct buf *out, const char *name, const char *help, const char *type)
{
	buf_fmt(
	    out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void
add_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
	add_head(out, name, help, "gauge");
	buf_fmt(out, PREFIX "%s %" PRIu64 "\n", name, value);
}

/* Microseconds as seconds. */
static void
add_seconds(struct buf *out, uint64_t micros)
{
	buf_fmt(out, "%" PRIu64 ".%06u\n", micros / 1000000, (unsigned)(micros % 1000000));
}

/* A cell; sum is what the rows of a histogram before it hold together. */
static void
add_row(struct buf *out, const struct counts *c, enum count what, uint64_t *sum)
{
	const struct count_row *row = count_row(what);
	uint64_t value = count_get(c, what);

	switch (row->kind) {
	case COUNT_KIND_COUNTER:
	case COUNT_KIND_GAUGE:
		buf_fmt(out, PREFIX "%s", row->name);
		if (row->label != NULL)
			buf_fmt(out, "{%s=\"%s\"}", row->label, row->value);
		buf_fmt(out, " %" PRIu64 "\n", value);
		break;
	case COUNT_KIND_TIME:
		*sum += value;
		buf_fmt(out, PREFIX "%s_bucket{%s=\"%s\"} %" PRIu64 "\n", row->name, row->label,
		    row->value, *sum);
		break;
	case COUNT_KIND_TIME_SUM:
		buf_fmt(out, PREFIX "%s_sum ", row->name);
		add_seconds(out, value);
		buf_fmt(out, PREFIX "%s_count %" PRIu64 "\n", row->name, *sum);
		break;
	}
}

/* All rows of one name stand together, the first of them with the family's help. */
static void
add_family(struct buf *out, const struct counts *c, enum count first)
{
	static const char *const types[] = {[COUNT_KIND_COUNTER] = "counter",
	    [COUNT_KIND_GAUGE] = "gauge",
	    [COUNT_KIND_TIME] = "histogram",
	    [COUNT_KIND_TIME_SUM] = "histogram"};
	const struct count_row *row = count_row(first);
	uint64_t sum = 0;

	add_head(out, row->name, row->help, types[row->kind]);
	for (enum count i = first; i < COUNT_END; i++) {
		if (str_eq(count_row(i)->name, row->name))
			add_row(out, c, i, &sum);
	}
}

static void
add_folders(struct buf *out, const struct metrics *m)
{
	add_head(out, "files", "files in a folder of the spool", "gauge");
	for (enum spool_box box = SPOOL_NEW; box < SPOOL_BOXES; box++) {
		if (m->listed[box])
			buf_fmt(out, PREFIX "files{folder=\"%s\"} %" PRIu64 "\n",
			    spool_box_name(box), m->files[box]);
	}
}

static void
add_marks(struct buf *out, const struct spool_gauge *g)
{
	if (g->looked) {
		add_gauge(out, "disk_free_bytes", "free on the disk of the spool", g->free);
		if (g->few_inodes)
			add_gauge(
			    out, "inodes_free", "free on the disk of the spool", g->inodes);
	}
	add_gauge(out, "disk_min_free_bytes", "with less free, events are answered 503",
	    g->limits.min_free);
	add_gauge(out, "inodes_min_free", "with fewer free, events are answered 503",
	    g->limits.min_inodes);
	add_gauge(out, "events_waiting_limit", "with more waiting, events are answered 503",
	    g->limits.queue_limit);
	add_gauge(out, "bodies_in_rejected_limit", "with more kept, others are answered 503",
	    g->limits.rejected_limit);
	add_gauge(out, "sync_failed", "1 while the mark of a failed sync stands", g->broken);
}

void
metrics_print(struct buf *out, const struct metrics *m)
{
	add_head(out, "build_info", "the version of what answers", "gauge");
	buf_str(out, PREFIX "build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
	add_gauge(out, "healthy", "1 while events are taken", m->well);
	add_folders(out, m);
	add_marks(out, &m->gauge);
	for (enum count i = 0; i < COUNT_END; i++) {
		if (count_row(i)->help[0] != '\0')
			add_family(out, m->counts, i);
	}
}
