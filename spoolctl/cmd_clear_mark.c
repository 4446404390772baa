/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_clear_mark - take away the mark "a folder sync failed", after a look at the disk.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "count.h"
#include "ctl.h"
#include "evlog.h"
#include "log.h"

static int
clear_mark(struct ctl *c, bool dry_run)
{
	struct counts *cs = spool_counts(c->spool);
	struct err e = {0};

	if (!count_is_broken(cs)) {
		(void)printf("no mark stands: events are not refused because of a sync\n");
		return EX_OK;
	}
	if (dry_run) {
		(void)printf("the mark stands: a folder could not be synced, and every request "
			     "is answered 503\n");
		return EX_OK;
	}
	count_clear_broken(cs);
	(void)printf("the mark stood and is cleared: events are accepted again\n");
	if (evlog_put(spool_log_dir(c->spool), c->now, "clear-mark", NULL, &e, "operator",
		c->operator, "uid", c->uid, LOG_END) != RC_OK)
		(void)ctl_fail(0, "done, but not written to the spool's log: %s", e.text);
	return EX_OK;
}

int
cmd_clear_mark(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"dry-run", no_argument, NULL, 'n'},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	bool dry_run = false;
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":hn", names)) >= 0)
		dry_run = true;
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	return clear_mark(c, dry_run);
}
