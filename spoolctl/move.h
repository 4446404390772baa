/*
 * SPDX-License-Identifier: ISC
 *
 * move - what retry, hold, release and drop have in common: each is a table.
 */
#ifndef ARKEN_MOVE_H
#define ARKEN_MOVE_H

#include <stdbool.h>

#include "ctl.h"
#include "filter.h"
#include "pick.h"
#include "spool.h"
#include "view.h"

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
	const char *word;         /* the command */
	const char *step;         /* in the spool's log */
	const char *done, *would; /* "requeued", "would requeue" */
	bool states[STATES]; /* meant by ALL and by filters, unless --state says otherwise */
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

/* The gauges of the receiver's limits, after an event went from one box to another. */
void move_count(struct ctl *c, enum spool_box from, enum spool_box to);

/*
 * The whole of a command: options, which events (IDs, - for standard input, ALL, or filters),
 * how many they are, and what becomes of each.  For ALL and filters a person at a terminal is
 * asked first.
 */
enum move_reason { REASON_NONE, REASON_MAY, REASON_MUST };
int move_command(
    struct ctl *c, int argc, char **argv, const struct verb *verb, enum move_reason reason);

#define MOVE_USAGE                                                                             \
	"{ID... | - | ALL | FILTER...} [--state STATE] [--dry-run] [--yes] " FILTER_USAGE
#define MOVE_HELP                                                                              \
	"With - the IDs are read from standard input, one a line.  ALL, in capitals, and\n"    \
	"filters mean every event in the state this command is for; --state names another\n"   \
	"(or all).  Their number is said first, and at a terminal you are asked, unless\n"     \
	"--yes (-y) is given.  With --dry-run (-n) nothing is changed.\n" FILTER_HELP

#endif
