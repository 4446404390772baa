/*
 * SPDX-License-Identifier: ISC
 *
 * handover - the step that gives an event, its record and its document to the firm's own
 * system.
 *
 * Between the store and done.  What is configured is done in one order, the hook first; each
 * that is done is remembered in the note, so that a retry goes on at the one that failed. An
 * event is handed over at least once, and the same key each time.
 */
#ifndef ARKEN_HANDOVER_H
#define ARKEN_HANDOVER_H

#include <stdbool.h>

#include "work.h"

/* Hand over; why is the reason that the event is done with, if all goes well. */
void handover_start(struct work *w, const char *why);

/* Go on where a try before this one ended.  false: it did not come so far. */
bool handover_resume(struct work *w);

/* Has it come so far that a retry goes on here? */
bool handover_is_at(const struct work *w);

/* Let go of what is kept for it. */
void handover_free(struct work *w);

/* Is a program of this try running?  Then only its end ends the try. */
bool handover_is_running(const struct work *w);

#endif
