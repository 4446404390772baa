/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_purge - remove what is done or rejected for longer than retention, as spoold does
 * every hour.
 */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>

#include "clk.h"
#include "ctl.h"
#include "evlog.h"
#include "str.h"

#define YOUNGEST (7 * CLK_DAY) /* done is the memory that recognises repeats */

struct purging {
	struct ctl *c;
	enum spool_box box;
	int64_t before;
	bool dry_run;
	uint64_t n;
	enum rc rc;
	struct err e;
};

static bool
purge_one(const struct spool_entry *se, void *arg)
{
	struct purging *p = arg;
	struct spool_item it;
	int64_t since;
	uint64_t size;

	if (!se->is_name || se->foreign ||
	    spool_stat(p->c->spool, p->box, se->name, &since, &size, NULL) != RC_OK ||
	    since >= p->before || spool_lock(p->c->spool, p->box, se->name, &it, NULL) != RC_OK)
		return true;
	if (!p->dry_run)
		p->rc = spool_remove(p->c->spool, &it, &p->e);
	spool_unlock(&it);
	p->n += p->rc == RC_OK;
	return p->rc == RC_OK;
}

static int
purge_box(struct purging *p, enum spool_box box)
{
	enum rc rc;

	p->box = box;
	p->n = 0;
	if ((rc = spool_walk(p->c->spool, box, purge_one, p, &p->e)) != RC_OK ||
	    (rc = p->rc) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", p->e.text);
	if (box == SPOOL_REJECTED && !p->dry_run)
		count_sub(spool_counts(p->c->spool), COUNT_IN_REJECTED, p->n);
	(void)printf("%s %" PRIu64 " from %s\n", p->dry_run ? "would remove" : "removed", p->n,
	    spool_box_name(box));
	return EX_OK;
}

static int
purge_all(struct purging *p)
{
	int status = purge_box(p, SPOOL_DONE);

	if (status == EX_OK)
		status = purge_box(p, SPOOL_REJECTED);
	if (status == EX_OK && !p->dry_run &&
	    evlog_purge(spool_log_dir(p->c->spool), p->before, &p->e) != RC_OK)
		status = ctl_fail(EX_IOERR, "%s", p->e.text);
	return status;
}

int
cmd_purge(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"older", required_argument, NULL, CTL_OLDER},
	    {"dry-run", no_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	struct purging p = {.c = c};
	int64_t older = -1;
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":hn", names)) >= 0) {
		if (opt == 'n')
			p.dry_run = true;
		else if (!str_duration(optarg, &older) || older < YOUNGEST)
			return ctl_usage(c,
			    "--older \"%.40s\": expected an age of at least 7d, because done "
			    "is "
			    "what recognises repeats",
			    optarg);
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if (older < 0 && c->conf == NULL)
		return ctl_usage(c, "without a configuration --older AGE is needed");
	p.before = c->now - (older >= 0 ? older : c->conf->spool.retention);
	return purge_all(&p);
}
