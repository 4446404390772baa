/*
 * SPDX-License-Identifier: ISC
 *
 * retry - the daemon's note about an event: tries, interruptions, what is next.
 *
 * One small file a name below retry/, replaced atomically, readable with cat.
 * No file: due now, nothing tried.
 */
#ifndef ARKEN_RETRY_H
#define ARKEN_RETRY_H

#include <stdint.h>

#include "err.h"

#define RETRY_TEXT 384

struct retry {
	unsigned tries;          /* counted before the try */
	unsigned interruptions;  /* tries that the daemon did not survive */
	unsigned puts_off;       /* times it waited without a count (outages) */
	int64_t first;           /* when it was first tried, 0: never */
	int64_t age;             /* failed tries and the pauses after them, milliseconds */
	int64_t due;             /* not before, 0: now */
	int64_t written;         /* when due was set, 0: not known */
	char step[24];           /* the step that is next: "callback", "document", ... */
	char state[16];          /* "running" while a try is under way, else "waiting" */
	char reason[RETRY_TEXT]; /* why the last try did not finish it */
};

/* RC_GONE: no file (out is empty).  RC_BAD: unreadable; out counts one interruption. */
enum rc retry_read(int dir, const char *name, struct retry *out, struct err *e) MUST_CHECK;

enum rc retry_write(int dir, const char *name, const struct retry *r, struct err *e) MUST_CHECK;

/* Nothing there is fine. */
enum rc retry_remove(int dir, const char *name, struct err *e) MUST_CHECK;

#endif
