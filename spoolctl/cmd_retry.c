/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_retry - let failed, held or waiting events be tried now, their tries counted anew, and
 * read again what was rejected.
 */
#include "config.h"

#include "ctl.h"
#include "move.h"

static const struct verb retry = {.word = "retry",
    .step = "requeue",
    .done = "requeued",
    .would = "would requeue",
    .states = {[ST_FAILED] = true},
    .rules = {
	[SPOOL_NEW] = {.todo = TODO_NOTHING, .text = "it is queued already, and due now"},
	[SPOOL_CUR] = {.todo = TODO_NUDGE},
	[SPOOL_HELD] = {.todo = TODO_MOVE, .to = SPOOL_NEW},
	[SPOOL_FAILED] = {.todo = TODO_MOVE, .to = SPOOL_NEW},
	[SPOOL_DONE] = {.todo = TODO_REFUSE, .text = "it is done: there is nothing to retry"},
	[SPOOL_REJECTED] = {.todo = TODO_REREAD},
    }};

int
cmd_retry(struct ctl *c, int argc, char **argv)
{
	return move_command(c, argc, argv, &retry, REASON_NONE);
}
