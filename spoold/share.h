/*
 * SPDX-License-Identifier: ISC
 *
 * share - events of one record: one at a time, and one call for all that came before it.
 *
 * An event whose record another try is working on waits in memory, without a note.  What a
 * call brought, good or bad, is kept for the SHARES records that were asked for last, and taken
 * for every event that had arrived before the call was made: what it tells of had happened
 * then. Each still has its own hand-over and its own end.  All of it is forgotten by a restart
 * and by a reload.
 *
 * An event that arrived after the call was made is never served by it, for either is enough:
 *
 * - We came to know of the event before we made the call, by a counter of ours (daemon.clock).
 *
 * - Its file was in its folder before the call was made.  The time of that is the file's ctime,
 *   which every rename sets (an operator's requeue too: who asks for another try gets one), by
 *   the very clock that is read when the call is made (clk_stamp): whatever is renamed after
 * that reading has a stamp that is not earlier.  Stamps are compared rounded down to
 * milliseconds, and "equal" counts as later.  A file system that knows seconds only rounds down
 * further, so a stamp without a fraction counts as the end of its second.  If the clock was
 * set, or may have been, between the call and the question, stamps prove nothing: then only the
 * counter counts.
 */
#ifndef ARKEN_SHARE_H
#define ARKEN_SHARE_H

#include <stdbool.h>

#include "work.h"

#define SHARES 1024 /* records whose last call is remembered, about 1 KiB each */

struct shares;

/* What a call brought. */
struct share {
	char key[WORK_KEY];
	uint64_t way; /* how was asked */
	struct share_call call;
	enum share_kind kind;
	uint64_t used; /* when somebody took it last, by daemon.clock */
	char by[NAME_SIZE];
	char why[RETRY_TEXT];
};

/* Nothing is known yet.  NULL: no memory. */
struct shares *shares_new(void);
void shares_free(struct shares **s);

/*
 * Had an event, known since that moment (daemon.clock) and stamped so (wall clock), arrived
 * before the call was made?  sets: how often the wall clock has been set by now.
 */
bool share_was_before(
    uint64_t known, int64_t stamp, const struct share_call *call, uint64_t sets);

/*
 * A waiting job is due: is a try for its record under way, as far as it was looked at before?
 * true: it waits for that one, and nothing was touched.
 */
bool share_waits(struct daemon *d, struct job *job);

/* The same for a try that has read its event.  The try it waits for; NULL: none. */
struct work *share_other(const struct work *w);

/* Wait for that one's end: this job, and those that wait for it. */
void share_join(struct work *o, struct job *job, struct job_list *with);

/* w is about to ask the API. */
void share_called(struct work *w);

/* What came of that: the record, and the document if it has one, is in the store; or else. */
void share_result(struct work *w, enum share_kind kind, const char *why);

/*
 * What another try's call brought, if that is good for this event: one of the same way, where
 * the configuration has several for the kinds of a record.  NULL: nothing, ask.  why gets one
 * line.  Valid until the next try ends.
 */
const struct share *share_taken(struct work *w, char why[RETRY_TEXT]);

/* The record was deleted: what was asked about it before is good for nobody. */
void share_forget(struct daemon *d, const char *key);

/* w ends: those that wait for it go on. */
void share_end(struct work *w);

#endif
