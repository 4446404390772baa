/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_hold - set events aside until an operator releases them.
 */
#include "config.h"

#include "ctl.h"
#include "move.h"

static const struct verb hold = {.word = "hold",
    .step = "held",
    .done = "held",
    .would = "would hold",
    .states = {[ST_WAITING] = true},
    .rules = {
	[SPOOL_NEW] = {.todo = TODO_MOVE, .to = SPOOL_HELD},
	[SPOOL_CUR] = {.todo = TODO_MOVE, .to = SPOOL_HELD},
	[SPOOL_HELD] = {.todo = TODO_NOTHING, .text = "it is held already"},
	[SPOOL_FAILED] = {.todo = TODO_MOVE, .to = SPOOL_HELD},
	[SPOOL_DONE] = {.todo = TODO_REFUSE, .text = "it is done: there is nothing to hold"},
	[SPOOL_REJECTED] = {.todo = TODO_REFUSE,
	    .text = "it was rejected and is not processed: there is nothing to hold"},
    }};

int
cmd_hold(struct ctl *c, int argc, char **argv)
{
	return move_command(c, argc, argv, &hold, REASON_MAY);
}
