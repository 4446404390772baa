/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_targets - what is left alone: targets that are down or paused, since when and why.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "buf.h"
#include "clk.h"
#include "ctl.h"
#include "io.h"
#include "out.h"
#include "pause.h"
#include "str.h"

#define TARGETS_MAX 1024 /* more are not listed */
#define JSON_LINE 4096

struct table {
	struct pause *p;
	size_t n, left_out;
};

static bool
add(const struct pause *p, void *arg)
{
	struct table *t = arg;

	if (t->n == TARGETS_MAX)
		t->left_out++;
	else
		t->p[t->n++] = *p;
	return true;
}

static int
by_name(const void *a, const void *b)
{
	const struct pause *x = a, *y = b;

	return strcmp(x->target, y->target);
}

static void
add_time(struct buf *b, const char *name, int64_t at)
{
	char stamp[CLK_TEXT];

	clk_rfc3339(at, stamp);
	buf_fmt(b, ",\"%s\":\"%s\"", name, stamp);
}

static void
print_json(const struct pause *p)
{
	struct buf b = BUF_INIT(JSON_LINE);

	buf_str(&b, "{\"target\":");
	buf_json(&b, p->target);
	buf_fmt(&b, ",\"state\":\"%s\"", pause_kind_name(p->kind));
	add_time(&b, "since", p->since);
	if (p->until != 0)
		add_time(&b, "until", p->until);
	buf_str(&b, ",\"by\":");
	buf_json(&b, p->by);
	buf_str(&b, ",\"reason\":");
	buf_json(&b, p->reason);
	buf_str(&b, "}\n");
	out_json(&b);
	buf_free(&b);
}

static void
print_text(const struct ctl *c, const struct pause *p)
{
	char since[CLK_TEXT], until[CLK_TEXT];

	clk_span(c->now - p->since, since);
	clk_span(p->until - c->now, until);
	out_colour(p->kind == PAUSE_DOWN ? OUT_YELLOW : OUT_RED);
	(void)out_str(p->target);
	out_plain();
	(void)printf("  %s for %s", p->kind == PAUSE_DOWN ? "down" : "paused", since);
	if (p->kind == PAUSE_OPERATOR) {
		(void)printf(" by ");
		(void)out_str(p->by);
	}
	if (p->until == 0)
		(void)printf(", until it is resumed%s",
		    p->kind == PAUSE_CONFIG ? " or spoold is told to reload" : "");
	else if (p->until > c->now)
		(void)printf(", tried again in %s", until);
	(void)printf("\n    ");
	(void)out_str(p->reason[0] != '\0' ? p->reason : "(no reason given)");
	(void)printf("\n");
}

static int
list_targets(struct ctl *c, bool json)
{
	struct table t = {0};
	struct err e = {0};
	int dir = -1;
	enum rc rc;

	if ((t.p = calloc(TARGETS_MAX, sizeof(*t.p))) == NULL)
		return ctl_fail(EX_TEMPFAIL, "no memory");
	if ((rc = pause_open(spool_dir(c->spool), false, &dir, &e)) == RC_OK)
		rc = pause_each(dir, add, &t, &e);
	else if (rc == RC_GONE)
		rc = RC_OK; /* nothing was ever down */
	io_close(&dir);
	qsort(t.p, t.n, sizeof(*t.p), by_name);
	for (size_t i = 0; i < t.n && rc == RC_OK; i++) {
		if (json)
			print_json(&t.p[i]);
		else
			print_text(c, &t.p[i]);
	}
	if (rc == RC_OK && t.n == 0 && !json)
		(void)printf("every target is in use: none is down or paused\n");
	if (t.left_out > 0)
		(void)ctl_fail(0, "%zu more are left out", t.left_out);
	free(t.p);
	return rc == RC_OK ? EX_OK : ctl_fail(err_exit(rc), "%s", e.text);
}

int
cmd_targets(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"json", no_argument, NULL, CTL_JSON},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool json = false;
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0)
		json = true;
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	return list_targets(c, json);
}
