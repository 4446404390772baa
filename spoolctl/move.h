/*
 * SPDX-License-Identifier: ISC
 *
 * move - what retry, hold, release and drop have in common: each is a table.
 */
#ifndef ARKEN_MOVE_H
#define ARKEN_MOVE_H

#include <stdbool.h>

#include "ctl.h"
#include "pick.h"
#include "spool.h"

enum todo {
	TODO_REFUSE,  /* not possible for an event there */
	TODO_NOTHING, /* it is so already */
	TODO_NUDGE,   /* stays where it is, due now */
	TODO_MOVE,
	TODO_REREAD, /* read it again: what it says goes to new, itself to done */
};

struct rule { /* what a command does with an event in one box */
	enum todo todo;
	enum spool_box to; /* TODO_MOVE */
	const char *text;  /* TODO_REFUSE, TODO_NOTHING: why, for people */
};

struct verb {
	const char *step;         /* in the spool's log */
	const char *done, *would; /* "requeued", "would requeue" */
	struct rule rules[SPOOL_BOXES];
};

struct move {
	const struct verb *verb;
	const char *reason; /* NULL none */
	bool dry_run;       /* say, do not do */
};

/*
 * Do it to all events picked, each under its lock; one that cannot be moved does not stop the
 * others.  An exit status, everything reported.
 */
int move_all(struct ctl *c, const struct picks *ps, const struct move *m);

/* The same for the IDs of the arguments; opens the spool. */
int move_picked(struct ctl *c, int argc, char **argv, const struct move *m);

/* The whole of a command without options of its own but --dry-run and perhaps --reason. */
enum move_reason { REASON_NONE, REASON_MAY, REASON_MUST };
int move_command(
    struct ctl *c, int argc, char **argv, const struct verb *verb, enum move_reason reason);

#endif
