/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_shape - how old the events of each kind are: what is stuck, and since when.
 *
 * After Postfix's qshape: a row a kind, a column an age, each twice as long as the one before.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "filter.h"
#include "list.h"
#include "out.h"
#include "str.h"

#define COLUMNS 10
#define KINDS 256 /* rows; whatever is beyond them is counted in the last */
#define JSON_LINE 8192

/* Upper ends in minutes; the last column has none. */
static const int64_t ends[COLUMNS - 1] = {5, 10, 20, 40, 80, 160, 320, 640, 1280};

struct row {
	char kind[2 * NAME_WORD];
	uint64_t total, at[COLUMNS];
};

struct shape {
	struct ctl *c;
	const struct list_wish *wish;
	enum spool_box box;
	struct row sum, row[KINDS];
	size_t n;
};

static struct row *
row_of(struct shape *s, const struct name *parts)
{
	char kind[2 * NAME_WORD];

	(void)snprintf(kind, sizeof(kind), "%s.%s", parts->category, parts->type);
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(s->row[i].kind, kind))
			return &s->row[i];
	if (s->n == KINDS)
		return &s->row[KINDS - 1];
	(void)!str_copy(s->row[s->n].kind, sizeof(kind), kind);
	return &s->row[s->n++];
}

static bool
add_one(const struct spool_entry *se, void *arg)
{
	struct shape *s = arg;
	struct name parts;
	struct view v;
	struct row *r;
	size_t col = 0;

	if (!se->is_name || !name_parse(se->name, &parts) ||
	    !filter_name(&s->wish->filter, &parts) ||
	    view_read(s->c->spool, s->box, se->name, &v, NULL) != RC_OK ||
	    !s->wish->state[v.state] || !filter_view(&s->wish->filter, s->c->spool, &v))
		return true;
	while (col < COLUMNS - 1 && s->c->now - view_received(&v) >= ends[col] * CLK_MINUTE)
		col++;
	r = row_of(s, &parts);
	r->at[col]++;
	r->total++;
	s->sum.at[col]++;
	s->sum.total++;
	return true;
}

static int
most_first(const void *pa, const void *pb)
{
	const struct row *a = pa, *b = pb;

	if (a->total != b->total)
		return a->total > b->total ? -1 : 1;
	return strcmp(a->kind, b->kind);
}

static void
print_row(const struct row *r)
{
	(void)printf("%-24s  %7" PRIu64, r->kind, r->total);
	for (size_t i = 0; i < COLUMNS; i++)
		(void)printf(" %6" PRIu64, r->at[i]);
	(void)printf("\n");
}

static void
print_table(struct shape *s)
{
	out_colour(OUT_BOLD);
	(void)printf("%-24s  %7s", "MINUTES", "TOTAL");
	for (size_t i = 0; i < COLUMNS - 1; i++)
		(void)printf(" %6" PRId64, ends[i]);
	(void)printf(" %5" PRId64 "+", ends[COLUMNS - 2]);
	out_plain();
	(void)printf("\n");
	(void)!str_copy(s->sum.kind, sizeof(s->sum.kind), "all");
	print_row(&s->sum);
	for (size_t i = 0; i < s->n; i++)
		print_row(&s->row[i]);
}

/* A line a kind; the counts by the upper end of their column, "more" for the last. */
static void
print_json(const struct row *r)
{
	struct buf b = BUF_INIT(JSON_LINE);

	buf_str(&b, "{\"kind\":");
	buf_json(&b, r->kind);
	buf_fmt(&b, ",\"total\":%" PRIu64 ",\"minutes\":{", r->total);
	for (size_t i = 0; i < COLUMNS - 1; i++)
		buf_fmt(&b, "\"%" PRId64 "\":%" PRIu64 ",", ends[i], r->at[i]);
	buf_fmt(&b, "\"more\":%" PRIu64 "}}\n", r->at[COLUMNS - 1]);
	out_json(&b);
	buf_free(&b);
}

static int
print_shape(struct ctl *c, const struct list_wish *wish, bool json)
{
	struct shape *s = calloc(1, sizeof(*s));
	struct err e = {0};
	enum rc rc = RC_OK;
	int status = EX_OK;

	if (s == NULL)
		return ctl_fail(EX_OSERR, "no memory");
	s->c = c;
	s->wish = wish;
	for (s->box = SPOOL_NEW; s->box < SPOOL_BOXES && rc == RC_OK; s->box++)
		if (wish->state[state_of(s->box)] ||
		    (s->box == SPOOL_CUR && wish->state[ST_RUNNING]))
			rc = spool_walk(c->spool, s->box, add_one, s, &e);
	if (rc != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	qsort(s->row, s->n, sizeof(s->row[0]), most_first);
	for (size_t i = 0; json && rc == RC_OK && i < s->n; i++)
		print_json(&s->row[i]);
	if (!json && rc == RC_OK)
		print_table(s);
	free(s);
	return status;
}

int
cmd_shape(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {FILTER_OPTIONS,
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct list_wish wish = {0};
	bool json = false;
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0) {
		if (opt == CTL_JSON)
			json = true;
		else if (filter_option(c, &wish.filter, opt, optarg) != EX_OK)
			return EX_USAGE;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (argc == optind) /* as qshape: what waits */
		wish.state[ST_WAITING] = wish.state[ST_RUNNING] = true;
	else if ((status = list_states(c, argc - optind, argv + optind, &wish)) != EX_OK)
		return status;
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	return print_shape(c, &wish, json);
}
