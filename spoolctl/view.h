/*
 * SPDX-License-Identifier: ISC
 *
 * view - one event as an operator sees it: state, header fields, the daemon's note.
 *
 * Looking changes nothing.
 */
#ifndef ARKEN_VIEW_H
#define ARKEN_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "name.h"
#include "rec.h"
#include "retry.h"
#include "spool.h"

enum state { ST_WAITING, ST_RUNNING, ST_FAILED, ST_HELD, ST_REJECTED, ST_DONE };
#define STATES 6

#define VIEW_TEXT 512 /* one line about an event */

struct view {
	char name[NAME_SIZE];
	struct name parts;
	enum spool_box box;
	enum state state;
	int64_t since; /* when it came into its box */
	uint64_t size; /* of the file */
	bool readable; /* rec is filled in; if not, why says why */
	struct rec rec;
	struct err why;
	bool noted; /* the daemon left a note: retry */
	struct retry retry;
	struct err note_why; /* the note cannot be read; "" it can */
};

const char *state_name(enum state st);
bool state_parse(const char *text, enum state *st) MUST_CHECK;

/* The state an event in a box has, as long as nobody works on it. */
enum state state_of(enum spool_box box);

/*
 * Is the daemon at work on this event?  Takes its lock for a moment: asked only about
 * SPOOL_CUR, nothing else there is ever locked for long.
 */
bool view_is_running(struct spool *sp, enum spool_box box, const char *name) MUST_CHECK;

/* When the event was received; without a readable header, when it came into its box. */
int64_t view_received(const struct view *v);

/* RC_GONE: it was moved meanwhile.  A damaged file is RC_OK and not readable. */
enum rc view_read(struct spool *sp, enum spool_box box, const char *name, struct view *v,
    struct err *e) MUST_CHECK;

/* What matters most about it in one line: why it waits or failed, else what it is about. */
void view_reason(const struct view *v, int64_t now, char out[VIEW_TEXT]);

/* Does the name belong to the account and kind asked for (NULL: any)? */
bool view_wanted(const struct name *parts, const char *account, const char *kind) MUST_CHECK;

/* The colour its state is shown in. */
void view_colour(enum state st);

#endif
