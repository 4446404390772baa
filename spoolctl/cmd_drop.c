/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_drop - give events up, with a reason; they are kept in done as any other.
 */
#include "config.h"

#include "ctl.h"
#include "move.h"

static const struct verb drop = {.word = "drop",
    .step = "dropped",
    .done = "dropped",
    .would = "would drop",
    .states = {[ST_FAILED] = true},
    .rules = {
	[SPOOL_NEW] = {.todo = TODO_MOVE, .to = SPOOL_DONE},
	[SPOOL_CUR] = {.todo = TODO_MOVE, .to = SPOOL_DONE},
	[SPOOL_HELD] = {.todo = TODO_MOVE, .to = SPOOL_DONE},
	[SPOOL_FAILED] = {.todo = TODO_MOVE, .to = SPOOL_DONE},
	[SPOOL_DONE] = {.todo = TODO_NOTHING, .text = "it is done already"},
	[SPOOL_REJECTED] = {.todo = TODO_MOVE, .to = SPOOL_DONE},
    }};

int
cmd_drop(struct ctl *c, int argc, char **argv)
{
	return move_command(c, argc, argv, &drop, REASON_MUST);
}
