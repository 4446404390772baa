/*
 * SPDX-License-Identifier: ISC
 *
 * target - what an event needs from outside, and whether it is up: circuits.
 *
 * A target (an account's API, a document host) that fails
 * several times in a row is left alone for a while; then one event tries it, and its success
 * opens the way for all. Waiting for a target is not counted as a try.  Times are of the
 * monotonic clock.
 */
#ifndef ARKEN_TARGET_H
#define ARKEN_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* Targets that are remembered; the longest unused is forgotten, one that is up before others.
 */
#define TARGET_MAX 256
#define TARGET_NAME 300
#define TARGET_ROW 3 /* failures in a row that open the circuit */

struct target {
	char name[TARGET_NAME]; /* "api:acme", "document:host" */
	unsigned failures;      /* in a row */
	bool probing;           /* one event is trying it out */
	int64_t open_until;     /* 0: closed, all may go */
	int64_t used;
	char reason[ERR_TEXT];
};

struct targets; /* all of them; lives as long as the daemon */

struct targets *targets_new(void);
void targets_free(struct targets **t);

/* Never NULL; valid until the next call with a name not seen before. */
struct target *target_get(struct targets *t, const char *name, int64_t now);

/* May an event use it now?  0: yes (and if it is being tried out, this event is the one); else
 * milliseconds to wait. */
int64_t target_ask(struct target *t, int64_t now);

/* It answered: closed.  true if it had been down. */
bool target_up(struct target *t);

/*
 * It failed.  Returns whether this counts as a try of the event: only when the target was well
 * before.  *opened: the circuit opened just now.
 */
bool target_down(
    struct target *t, int64_t now, int64_t retry_after, const char *reason, bool *opened);

/* A person has to look (configuration): leave it alone for this long. */
void target_pause(struct target *t, int64_t now, int64_t ms, const char *reason);

/* The event that was trying it out ended without an answer (a clean stop). */
void target_release(struct target *t);

#endif
