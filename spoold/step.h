/*
 * SPDX-License-Identifier: ISC
 *
 * step - what the steps of a try share: targets, settings, the way back to the callback.
 */
#ifndef ARKEN_STEP_H
#define ARKEN_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "work.h"

/* Where the event's object lies in the store; the texts are the work's own. */
struct store_place step_place(const struct work *w);

/* Remember the step a retry begins with. */
void step_at(struct work *w, const char *step);

/* May we use this target ("api", account) now?  false: the try has ended and waits. */
bool step_ask(struct work *w, const char *kind, const char *name);

/* The target answered, whatever it said. */
void step_answered(struct work *w);

/* The target is down.  Ends the try: counted only if it was well before. */
void step_down(struct work *w, int64_t retry_after, const char *why);

/* The exchange failed for want of room on our own disk.  Ends the try, uncounted. */
void step_our_disk(struct work *w, const struct http_answer *a, const char *why);

/* What the configuration says about every request: authorities, time limits, no file. */
void step_settings(const struct work *w, struct http_request *rq);

/* Ask the API about the event, again perhaps: for a new token, or for a new link. */
void step_callback(struct work *w);

#endif
