/*
 * SPDX-License-Identifier: ISC
 *
 * reread - what was rejected, read again; see reread.h.
 */
#include "config.h"

#include <stdio.h>

#include "evlog.h"
#include "intake.h"
#include "log.h"
#include "out.h"
#include "reread.h"

static void
tell(struct ctl *c, const char *name, const struct intake *in)
{
	char events[21], fresh[21];
	struct err e = {0};

	(void)snprintf(events, sizeof(events), "%zu", in->count);
	(void)snprintf(fresh, sizeof(fresh), "%zu", in->fresh);
	if (evlog_put(spool_log_dir(c->spool), c->now, "reread", name, &e, "from", "rejected",
		"operator", c->operator, "uid", c->uid, "events", events, "fresh", fresh,
		LOG_END) != RC_OK)
		(void)ctl_fail(
		    0, "%s: done, but not written to the spool's log: %s", name, e.text);
}

static void
print_events(const struct intake *in, bool dry_run)
{
	for (size_t i = 0; i < in->count; i++) {
		(void)printf("  %s  ", dry_run                   ? "would take"
				       : in->events[i].duplicate ? "duplicate"
								 : "taken");
		(void)out_str(in->events[i].name);
		(void)printf("\n");
	}
}

enum rc
reread(struct ctl *c, struct spool_item *it, bool dry_run, struct err *e)
{
	struct buf body;
	struct intake in;
	enum rc rc;

	if (c->conf == NULL)
		return err_set(e, RC_CONFIG,
		    "to read it again takes the configuration of its account: leave out -s");
	rc = intake_again(c->spool, it, c->conf, dry_run, &body, &in);
	if (rc == RC_OK) {
		if (!dry_run)
			tell(c, it->name, &in);
		print_events(&in, dry_run);
	} else {
		*e = in.why;
		if (in.fault != FAULT_NONE) {
			err_prefix(e, "it stays rejected (%s)", intake_fault_name(in.fault));
			rc = RC_BAD; /* of another account: no right of the operator's is
					missing */
		}
	}
	intake_close(&in);
	buf_free(&body);
	return rc;
}
