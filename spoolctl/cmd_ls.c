/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_ls - list events, the oldest first, as a table or as lines of JSON.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "list.h"
#include "out.h"
#include "str.h"

#define JSON_LINE 8192 /* one event as JSON: every text in it is bounded */

struct widths {
	size_t age, id, account, kind;
};

static void
entry_age(const struct ctl *c, const struct entry *en, char out[CLK_TEXT])
{
	clk_span(c->now - en->received, out);
}

static void
widen(size_t *width, size_t n)
{
	if (n > *width)
		*width = n;
}

/* What follows the key in a name: Category.Type. */
static const char *
entry_kind(const struct entry *en)
{
	return en->name + en->key_at + en->key_len + 1;
}

static struct widths
measure(const struct ctl *c, const struct list *l)
{
	struct widths w = {.age = 3, .id = 2, .account = 7, .kind = 4};
	char age[CLK_TEXT];
	size_t n;

	for (size_t i = 0; i < l->n; i++) {
		entry_age(c, &l->at[i], age);
		widen(&w.age, strlen(age));
		(void)list_id(&l->at[i], &n);
		widen(&w.id, n);
		widen(&w.account, l->at[i].key_at - 1);
		widen(&w.kind, strlen(entry_kind(&l->at[i])));
	}
	return w;
}

static void
print_row(const struct ctl *c, const struct entry *en, const struct widths *w)
{
	const size_t used = w->age + w->id + w->account + w->kind + 8 + 5 + 6 * 2;
	size_t n, columns = out_columns();
	const char *id = list_id(en, &n);
	char age[CLK_TEXT], tries[12] = "-";

	entry_age(c, en, age);
	if (en->tries > 0)
		(void)snprintf(tries, sizeof(tries), "%u", en->tries);
	(void)printf("%*s  ", (int)w->age, age);
	view_colour(en->state);
	(void)printf("%-8s", state_name(en->state));
	out_plain();
	(void)printf("  %5s  ", tries);
	out_colour(OUT_BOLD);
	(void)printf("%-*.*s", (int)w->id, (int)n, id);
	out_plain();
	(void)printf("  %-*.*s  %-*s  ", (int)w->account, (int)en->key_at - 1, en->name,
	    (int)w->kind, entry_kind(en));
	out_cut(en->text, columns > used + 10 ? columns - used : 0);
	(void)printf("\n");
}

static void
print_table(const struct ctl *c, const struct list *l)
{
	struct widths w = measure(c, l);

	if (l->n == 0) {
		(void)fprintf(stderr, "no such events\n");
		return;
	}
	out_colour(OUT_BOLD);
	(void)printf("%*s  %-8s  %5s  %-*s  %-*s  %-*s  %s", (int)w.age, "AGE", "STATE",
	    "TRIES", (int)w.id, "ID", (int)w.account, "ACCOUNT", (int)w.kind, "KIND",
	    "SUBJECT OR REASON");
	out_plain();
	(void)printf("\n");
	for (size_t i = 0; i < l->n; i++)
		print_row(c, &l->at[i], &w);
}

static void
add_member(struct buf *b, const char *name, const char *value)
{
	buf_fmt(b, ",\"%s\":", name);
	buf_json(b, value);
}

static void
add_time(struct buf *b, const char *name, int64_t ms)
{
	char text[CLK_TEXT];

	clk_rfc3339(ms, text);
	add_member(b, name, text);
}

static void
print_json(const struct ctl *c, const struct entry *en)
{
	struct buf b = BUF_INIT(JSON_LINE);
	char part[NAME_SIZE];
	const char *id;
	size_t n;

	buf_str(&b, "{\"name\":");
	buf_json(&b, en->name);
	id = list_id(en, &n);
	(void)snprintf(part, sizeof(part), "%.*s", (int)n, id);
	add_member(&b, "id", part);
	(void)snprintf(part, sizeof(part), "%.*s", (int)en->key_len, en->name + en->key_at);
	add_member(&b, "key", part);
	(void)snprintf(part, sizeof(part), "%.*s", (int)en->key_at - 1, en->name);
	add_member(&b, "account", part);
	add_member(&b, "kind", entry_kind(en));
	add_member(&b, "state", state_name(en->state));
	add_member(&b, "folder", spool_box_name(en->box));
	buf_fmt(&b, ",\"tries\":%u", en->tries);
	add_time(&b, "received", en->received);
	add_time(&b, "since", en->since);
	buf_fmt(&b, ",\"age\":%" PRId64,
	    en->received < c->now ? (c->now - en->received) / CLK_SECOND : 0);
	if (en->due > 0)
		add_time(&b, "due", en->due);
	add_member(&b, "subject", en->subject);
	if (en->reason[0] != '\0')
		add_member(&b, "reason", en->reason);
	buf_str(&b, "}\n");
	out_json(&b);
	buf_free(&b);
}

static int
list_events(struct ctl *c, const struct list_wish *wish, bool json)
{
	struct err e = {0};
	struct list l;
	enum rc rc;
	int status;

	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if ((rc = list_read(c->spool, wish, c->now, &l, &e)) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	for (size_t i = 0; json && i < l.n; i++)
		print_json(c, &l.at[i]);
	if (!json)
		print_table(c, &l);
	if (l.left_out > 0)
		(void)ctl_fail(0,
		    "these are the oldest %d; %" PRIu64 " younger ones are left out: ask for a "
		    "state, an account or a kind",
		    LIST_MAX, l.left_out);
	if (l.foreign > 0)
		(void)ctl_fail(0,
		    "%" PRIu64 " more bear the flags of a mail program; spoold takes them off "
		    "with its next scan",
		    l.foreign);
	list_free(&l);
	return EX_OK;
}

int
cmd_ls(struct ctl *c, int argc, char **argv)
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
	if ((status = list_states(c, argc - optind, argv + optind, &wish)) != EX_OK)
		return status;
	return list_events(c, &wish, json);
}
