/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_flush - make every waiting event due now; what was tried stays counted.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "ctl.h"
#include "retry.h"
#include "view.h"

struct flushing {
	struct ctl *c;
	bool dry_run;
	unsigned due, busy;
	enum rc rc; /* the worst */
	struct err e;
};

/* Under the event's lock, so that the daemon does not write its note meanwhile. */
static enum rc
make_due(struct flushing *f, const char *name)
{
	int dir = spool_retry_dir(f->c->spool);
	struct spool_item it;
	struct retry r;
	enum rc rc;

	if (retry_read(dir, name, &r, NULL) != RC_OK || r.due <= f->c->now)
		return RC_EXISTS; /* it is due, or will be judged when it is tried */
	if ((rc = spool_lock(f->c->spool, SPOOL_CUR, name, &it, &f->e)) != RC_OK)
		return rc;
	if (!f->dry_run && retry_read(dir, name, &r, NULL) == RC_OK) {
		r.due = 0;
		rc = retry_write(dir, name, &r, &f->e);
	}
	spool_unlock(&it);
	return rc;
}

static bool
flush_one(const struct spool_entry *se, void *arg)
{
	struct flushing *f = arg;

	if (!se->is_name)
		return true;
	switch (make_due(f, se->name)) {
	case RC_OK:
		f->due++;
		break;
	case RC_LATER:
		f->busy++;
		break;
	case RC_EXISTS:
	case RC_GONE:
		break;
	case RC_FULL:
	case RC_DENIED:
	case RC_BAD:
	case RC_CONFIG:
		f->rc = RC_DENIED;
		return false;
	}
	return true;
}

int
cmd_flush(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"dry-run", no_argument, NULL, 'n'},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct flushing f = {.c = c};
	int opt, status;
	enum rc rc;

	while ((opt = ctl_option(c, argc, argv, ":hn", names)) >= 0)
		f.dry_run = true;
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (optind < argc)
		return ctl_usage(c, "it takes no arguments: \"retry\" is for single events");
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	if ((rc = spool_walk(c->spool, SPOOL_CUR, flush_one, &f, &f.e)) != RC_OK ||
	    (rc = f.rc) != RC_OK)
		return ctl_fail(err_exit(rc), "%s", f.e.text);
	(void)printf("%s%u waiting event%s made due now; %u in work\n",
	    f.dry_run ? "would be: " : "", f.due, f.due == 1 ? "" : "s", f.busy);
	if (!f.dry_run)
		ctl_wake(c);
	return EX_OK;
}
