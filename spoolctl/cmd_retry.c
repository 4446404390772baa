/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_retry - let failed, held or waiting events be tried now, their tries counted anew, and
 * read again what was rejected.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "ctl.h"
#include "move.h"
#include "pick.h"
#include "view.h"

static const struct verb retry = {.step = "requeue",
    .done = "requeued",
    .would = "would requeue",
    .rules = {
	[SPOOL_NEW] = {.todo = TODO_NOTHING, .text = "it is queued already, and due now"},
	[SPOOL_CUR] = {.todo = TODO_NUDGE},
	[SPOOL_HELD] = {.todo = TODO_MOVE, .to = SPOOL_NEW},
	[SPOOL_FAILED] = {.todo = TODO_MOVE, .to = SPOOL_NEW},
	[SPOOL_DONE] = {.todo = TODO_REFUSE, .text = "it is done: there is nothing to retry"},
	[SPOOL_REJECTED] = {.todo = TODO_REREAD},
    }};

struct gathering {
	struct picks *ps;
	const char *account, *kind;
	enum rc rc;
	struct err *e;
};

static bool
gather_one(const struct spool_entry *se, void *arg)
{
	struct gathering *g = arg;
	struct name parts;

	if (!se->is_name || !name_parse(se->name, &parts) ||
	    !view_wanted(&parts, g->account, g->kind))
		return true;
	g->rc = picks_add(g->ps, se->name, g->e);
	return g->rc == RC_OK;
}

static int
retry_all_failed(struct ctl *c, const char *account, const char *kind, const struct move *m)
{
	struct picks ps = {0};
	struct err e = {0};
	struct gathering g = {.ps = &ps, .account = account, .kind = kind, .e = &e};
	int status;
	enum rc rc;

	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if ((rc = spool_walk(c->spool, SPOOL_FAILED, gather_one, &g, &e)) == RC_OK)
		rc = g.rc;
	if (rc == RC_OK && ps.n == 0)
		(void)printf("no such event has failed\n");
	if (rc == RC_FULL) /* the rest is named, and taken by the same command again */
		status = ctl_fail(
		    EX_TEMPFAIL, "only the first %d are taken: run it again", PICK_MAX);
	else if (rc != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	if ((rc == RC_OK || rc == RC_FULL) && (rc = picks_find(c->spool, &ps, &e)) != RC_OK)
		status = ctl_fail(err_exit(rc), "%s", e.text);
	else if (rc == RC_OK)
		status = ctl_worse(status, move_all(c, &ps, m));
	picks_free(&ps);
	return status;
}

int
cmd_retry(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"dry-run", no_argument, NULL, 'n'},
	    {"help", no_argument, NULL, 'h'}, {"all-failed", no_argument, NULL, CTL_ALL_FAILED},
	    {"account", required_argument, NULL, CTL_ACCOUNT},
	    {"kind", required_argument, NULL, CTL_KIND}, {NULL, 0, NULL, 0}};
	const char *account = NULL, *kind = NULL;
	struct move m = {.verb = &retry};
	bool all = false;
	int opt;

	while ((opt = ctl_option(c, argc, argv, ":hn", names)) >= 0) {
		if (opt == 'n')
			m.dry_run = true;
		else if (opt == CTL_ALL_FAILED)
			all = true;
		else if (opt == CTL_ACCOUNT)
			account = optarg;
		else
			kind = optarg;
	}
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (all && optind < argc)
		return ctl_usage(c, "either IDs or --all-failed");
	if (!all && (account != NULL || kind != NULL))
		return ctl_usage(c, "--account and --kind go with --all-failed");
	if (all)
		return retry_all_failed(c, account, kind, &m);
	return move_picked(c, argc - optind, argv + optind, &m);
}
