/*
 * SPDX-License-Identifier: ISC
 *
 * share - events of one record: one at a time, and one call for all that came before it.
 *
 * An event whose record another try is working on waits in memory, without a note.  What that
 * try's call brought, good or bad, is taken for every event that was here before the call was
 * made; each still has its own hand-over and its own end.
 */
#ifndef ARKEN_SHARE_H
#define ARKEN_SHARE_H

#include <stdbool.h>

#include "work.h"

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
 * line.
 */
const struct share *share_taken(const struct work *w, char why[RETRY_TEXT]);

/* w ends: those that wait for it go on. */
void share_end(struct work *w);

#endif
