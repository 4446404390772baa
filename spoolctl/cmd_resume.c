/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_resume - have a target used again that was paused or found down.
 */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "ctl.h"
#include "evlog.h"
#include "io.h"
#include "log.h"
#include "out.h"
#include "pause.h"

static int
resume_target(struct ctl *c, const char *target)
{
	struct err e = {0};
	int dir = -1;
	enum rc rc;

	if ((rc = pause_open(spool_dir(c->spool), false, &dir, &e)) == RC_OK)
		rc = pause_remove(dir, target, &e);
	io_close(&dir);
	if (rc == RC_GONE)
		return ctl_fail(EX_NOINPUT,
		    "%.100s is neither paused nor down: \"spoolctl targets\" lists what is",
		    target);
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	(void)out_str(target);
	(void)printf(" is resumed: what waits for it is tried now\n");
	if (evlog_put(spool_log_dir(c->spool), c->now, "resume", NULL, &e, "target", target,
		"operator", c->operator, "uid", c->uid, LOG_END) != RC_OK)
		(void)ctl_fail(0, "done, but not written to the spool's log: %s", e.text);
	ctl_wake(c);
	return EX_OK;
}

int
cmd_resume(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int opt, status;

	if ((opt = ctl_option(c, argc, argv, ":h", names)) != CTL_END)
		return ctl_option_exit(opt);
	if (argc - optind != 1)
		return ctl_usage(c, "one target, such as hook:acme");
	if (!pause_target_ok(argv[optind]))
		return ctl_usage(c, "\"%.60s\" is no target", argv[optind]);
	if ((status = ctl_open(c)) != EX_OK)
		return status;
	return resume_target(c, argv[optind]);
}
