/*
 * SPDX-License-Identifier: ISC
 *
 * cmd_release - put held events back into the queue.
 */
#include "config.h"

#include "ctl.h"
#include "move.h"

static const struct verb release = {.word = "release",
    .step = "released",
    .done = "released",
    .would = "would release",
    .states = {[ST_HELD] = true},
    .rules = {
	[SPOOL_NEW] = {.todo = TODO_NOTHING, .text = "it is queued already"},
	[SPOOL_CUR] = {.todo = TODO_NOTHING, .text = "it is queued already"},
	[SPOOL_HELD] = {.todo = TODO_MOVE, .to = SPOOL_NEW},
	[SPOOL_FAILED] = {.todo = TODO_REFUSE,
	    .text = "it is not held but failed: \"spoolctl retry\" queues it again"},
	[SPOOL_DONE] = {.todo = TODO_REFUSE, .text = "it is not held but done"},
	[SPOOL_REJECTED] = {.todo = TODO_REFUSE, .text = "it is not held but rejected"},
    }};

int
cmd_release(struct ctl *c, int argc, char **argv)
{
	return move_command(c, argc, argv, &release, REASON_NONE);
}
