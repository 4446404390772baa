/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_pause - leave a target alone until it is resumed; its events wait uncounted.
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
#include "str.h"

/* A target of an account that is not there would wait for nobody. */
static int
target_ok(const struct ctl *c, const char *target)
{
	const char *account = pause_account(target);

	if (!pause_target_ok(target))
		return ctl_usage(c,
		    "\"%.60s\" is no target: expected api:, token:, hook: or forward: and the "
		    "name of an account, or document: and a host",
		    target);
	if (c->conf != NULL && account[0] != '\0' && conf_account(c->conf, account) == NULL)
		return ctl_fail(
		    EX_NOINPUT, "there is no account \"%.60s\" in the configuration", account);
	return EX_OK;
}

static int
pause_target(struct ctl *c, const char *target, const char *reason)
{
	struct pause p = {.kind = PAUSE_OPERATOR, .since = c->now}, old;
	struct err e = {0};
	int dir = -1;
	enum rc rc;

	if (!str_copy(p.target, sizeof(p.target), target) ||
	    !str_copy(p.reason, sizeof(p.reason), reason) ||
	    !str_copy(p.by, sizeof(p.by), c->operator))
		return ctl_usage(c, "a reason is at most %d characters", PAUSE_TEXT - 1);
	if ((rc = pause_open(spool_dir(c->spool), true, &dir, &e)) == RC_OK) {
		if (pause_read(dir, target, &old, NULL) == RC_OK && old.kind == PAUSE_OPERATOR)
			(void)printf("it was paused before; only the reason is new\n");
		rc = pause_write(dir, &p, true, &e);
	}
	io_close(&dir);
	if (rc != RC_OK)
		return ctl_fail(err_exit(rc), "%s", e.text);
	(void)out_str(target);
	(void)printf(" is paused: its events wait, and are not counted, until it is resumed\n");
	if (evlog_put(spool_log_dir(c->spool), c->now, "pause", NULL, &e, "target", target,
		"reason", reason, "operator", c->operator, "uid", c->uid, LOG_END) != RC_OK)
		(void)ctl_fail(0, "done, but not written to the spool's log: %s", e.text);
	ctl_wake(c);
	return EX_OK;
}

int
cmd_pause(struct ctl *c, int argc, char **argv)
{
	static const struct option names[] = {{"reason", required_argument, NULL, CTL_REASON},
	    {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *reason = "";
	int opt, status;

	while ((opt = ctl_option(c, argc, argv, ":h", names)) >= 0)
		reason = optarg;
	if (opt != CTL_END)
		return ctl_option_exit(opt);
	if (argc - optind != 1)
		return ctl_usage(c, "one target, such as hook:acme");
	if ((status = ctl_open(c)) != EX_OK || (status = target_ok(c, argv[optind])) != EX_OK)
		return status;
	return pause_target(c, argv[optind], reason);
}
