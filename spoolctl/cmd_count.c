/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_count - how many events are in each state, as the folders say.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "ctl.h"
#include "filter.h"
#include "out.h"
#include "view.h"

struct tally {
	struct spool *sp;
	const struct filter *filter;
	enum spool_box box;
	uint64_t n[STATES];
	uint64_t other; /* files that are no events */
};

static bool
count_one(const struct spool_entry *se, void *arg)
{
	struct tally *t = arg;
	struct name parts;
	struct view v;

	if (!se->is_name) {
		t->other++;
	} else if (!filter_any(t->filter)) {
		t->n[view_is_running(t->sp, t->box, se->name) ? ST_RUNNING
							      : state_of(t->box)]++;
	} else if (name_parse(se->name, &parts) && filter_name(t->filter, &parts) &&
		   view_read(t->sp, t->box, se->name, &v, NULL) == RC_OK &&
		   filter_view(t->filter, t->sp, &v)) {
		t->n[v.state]++;
	}
	return true;
}

static void
print_tally(const struct tally *t, bool json)
{
	for (enum state st = ST_WAITING; st < STATES; st++) {
		if (json) {
			(void)printf("%s\"%s\":%" PRIu64, st == ST_WAITING ? "{" : ",",
			    state_name(st), t->n[st]);
			continue;
		}
		if (t->n[st] > 0)
			view_colour(st);
		(void)printf("%-8s", state_name(st));
		out_plain();
		(void)printf("  %" PRIu64 "\n", t->n[st]);
	}
	if (json)
		(void)printf("}\n");
	if (t->other > 0)
		(void)ctl_fail(
		    0, "%" PRIu64 " files in the spool are no events; left alone", t->other);
}

int
cmd_count(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {FILTER_OPTIONS,
	    {"json", no_argument, NULL, CTL_JSON}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct filter filter = {0};
	struct tally t = {.filter = &filter};
	struct err e = {0};
	bool json = false;
	int opt, status;
	enum rc rc;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0) {
		if (opt == CTL_JSON)
			json = true;
		else if (filter_option(c, &filter, opt, optarg) != EX_OK)
			return EX_USAGE;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	t.sp = c->spool;
	for (t.box = SPOOL_NEW; t.box < SPOOL_BOXES; t.box++)
		if ((rc = spool_walk(c->spool, t.box, count_one, &t, &e)) != RC_OK)
			return ctl_fail(err_exit(rc), "%s", e.text);
	print_tally(&t, json);
	return EX_OK;
}
