/*
 * SPDX-License-Identifier: ISC
 *
 * pick - from what an operator types to events: names, keys, beginnings of keys.
 */
#ifndef ARKEN_PICK_H
#define ARKEN_PICK_H

#include <stdbool.h>
#include <stddef.h>

#include "ctl.h"
#include "err.h"
#include "name.h"
#include "spool.h"

#define PICK_MAX 100000    /* IDs in one command */
#define PICK_LINE 320      /* one line of standard input */
#define PICK_CANDIDATES 20 /* shown of an ambiguous ID */

struct pick {
	char *text;         /* as typed, cleaned */
	char *name;         /* the event; NULL none found */
	enum spool_box box; /* the latest one it is in */
	unsigned found;     /* 0, 1, or 2 for several */
	bool exact;         /* text is the whole key */
	size_t at;          /* place among what was typed */
};

struct picks {
	struct pick *at;
	size_t n, cap;
};

/*
 * Take the IDs of the arguments; "-" reads more from standard input, one a line.  An exit
 * status, reported.  The same ID twice counts once.
 */
int picks_take(struct ctl *c, struct picks *ps, int argc, char **argv) MUST_CHECK;

/* One more; not yet looked for.  RC_FULL: PICK_MAX. */
enum rc picks_add(struct picks *ps, const char *text, struct err *e) MUST_CHECK;

/* Look for all of them, in one walk through the spool however many they are. */
enum rc picks_find(struct spool *sp, struct picks *ps, struct err *e) MUST_CHECK;

void picks_free(struct picks *ps);

/* EX_OK if it is one event; else says why not, with the candidates, and how to go on. */
int pick_check(struct ctl *c, const struct pick *p) MUST_CHECK;

/* The latest box a name is in.  RC_GONE: none. */
enum rc pick_locate(
    struct spool *sp, const char *name, enum spool_box *box, struct err *e) MUST_CHECK;

/* For commands about one event: the arguments must be one ID.  An exit status, reported. */
int pick_one(
    struct ctl *c, int argc, char **argv, char name[NAME_SIZE], enum spool_box *box) MUST_CHECK;

#endif
