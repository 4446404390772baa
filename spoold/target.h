/*
 * SPDX-License-Identifier: ISC
 *
 * target - what an event needs from outside, and whether it is up: circuits.
 *
 * A target (an account's API, hook or forward, a document host) that fails
 * several times in a row is left alone for a while; then one event tries it, and its success
 * opens the way for all. Waiting for a target is not counted as a try.  Times are of the
 * monotonic clock.
 *
 * What is not well has a file (pause.h), by which an operator sees it and lifts it, and by
 * which a pause outlives the daemon.
 */
#ifndef ARKEN_TARGET_H
#define ARKEN_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "pause.h"

/* Targets that are remembered; the longest unused is forgotten, one that is up before others.
 */
#define TARGET_MAX 1024
#define TARGET_NAME PAUSE_TARGET
#define TARGET_ROW 3 /* failures in a row that open the circuit */
#define TARGET_UNTIL_LIFTED INT64_MAX
#define TARGET_ASK_AGAIN (60 * INT64_C(60000)) /* how long to wait for a lifting: it wakes */

struct targets; /* all of them; lives as long as the daemon */

struct target {
	struct targets *all;
	unsigned id;            /* never 0, and never that of another one */
	char name[TARGET_NAME]; /* "api:acme", "document:host" */
	unsigned failures;      /* in a row */
	bool probing;           /* one event is trying it out */
	bool kept;              /* it has a file */
	enum pause_kind kind;   /* why it is left alone, while open_until is not 0 */
	int64_t open_until;     /* 0: closed, all may go */
	bool awaited;           /* events wait for it in memory (park) */
	int64_t again;          /* not before is another of them let through */
	int64_t used;
	int64_t
	    since; /* wall clock: left alone since then, however often it was tried; 0: not */
	bool good; /* the last that is known of it is that it answered */
	char reason[ERR_TEXT];
};

struct targets *targets_new(void);
void targets_free(struct targets **t);

/*
 * Keep files in the spool from now on, and begin with those that are there: what is paused
 * until somebody lifts it stays so, all else is tried anew.
 */
enum rc targets_keep(struct targets *t, int spool, int64_t now, struct err *e) MUST_CHECK;

/* How long a circuit stays open: the first time at most min, then doubling, at most max. */
void targets_pace(struct targets *t, int64_t min, int64_t max);

/* Look at the files: an operator paused targets, or lifted what they tell. */
void targets_look(struct targets *t, int64_t now);

/* Lift what waits for a new configuration (a reload). */
void targets_reload(struct targets *t, int64_t now);

/* All that is down or waits for a person, but for an operator's pause, may be tried out now. */
void targets_resume(struct targets *t, int64_t now);

/* Never NULL; valid until the next call with a name not seen before. */
struct target *target_get(struct targets *t, const char *name, int64_t now);

/* The target of that id; NULL: it was forgotten. */
struct target *target_by_id(struct targets *t, unsigned id);

/* Call fn for each. */
void targets_each(struct targets *t, void (*fn)(struct target *, void *), void *arg);

/*
 * May an event use it now?  0: yes (and if it is being tried out, this event is the one:
 * probing is set); else milliseconds to wait, as far as anybody knows.
 */
int64_t target_ask(struct target *t, int64_t now);

/* Would target_ask say no? */
bool target_is_shut(const struct target *t, int64_t now);

/* It answered: closed, unless it is paused until somebody lifts that.  true if it had been
 * down. */
bool target_up(struct target *t);

/*
 * It failed.  Returns whether this counts as a try of the event: only when the target was well
 * before.  *opened: the circuit opened just now.
 */
bool target_down(
    struct target *t, int64_t now, int64_t retry_after, const char *reason, bool *opened);

/* It says itself that it is down: the circuit opens at once, and nothing counts. */
void target_refuse(
    struct target *t, int64_t now, int64_t retry_after, const char *reason, bool *opened);

/* A person has to look (configuration): leave it alone for this long, or
 * TARGET_UNTIL_LIFTED.  true: it was well. */
bool target_pause(struct target *t, int64_t now, int64_t ms, const char *reason);

/* The same for one target as targets_resume. */
void target_resume(struct target *t, int64_t now);

/* The event that was trying it out ended without an answer (a clean stop). */
void target_release(struct target *t);

#endif
