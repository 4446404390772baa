/*
 * SPDX-License-Identifier: ISC
 *
 * alarm - what a person has to know of: each thing told once when it begins and once when it
 * ends.
 *
 * The conditions are looked at with each scan of the queue.  What is under alarm, and what
 * alarm_command was told of it, is kept in state/alarms, so that a restart tells nothing twice
 * and nothing is left untold.  One alarm_command runs at a time, so that they come in order.
 * Never a name or an address of a person.
 */
#ifndef ARKEN_ALARM_H
#define ARKEN_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define ALARM_MAX 256 /* at one time; beyond them none begins */
#define ALARM_KEY 320 /* "target:document:host" with its NUL */
#define ALARM_TODO 200
#define ALARM_FILE "alarms" /* below state */
#define ALARM_HOSTS 64      /* certificates that are remembered */
#define ALARM_HOST 280      /* "name:port" with its NUL */

struct alarm {
	char key[ALARM_KEY]; /* "failed", "silence:acme", "target:api:acme" */
	int64_t since;       /* wall clock */
	char text[ERR_TEXT]; /* what is wrong, one line */
	char todo[ALARM_TODO];
	bool on;      /* false: it has ended, and that is still to be told */
	bool told;    /* what alarm_command was told of it last: that it is on */
	bool seen;    /* a target that was found in trouble at this look */
	int64_t calm; /* monotonic clock: since then it was not; 0: it is */
};

struct alarm_host { /* whose certificate was seen */
	char host[ALARM_HOST];
	int64_t ends; /* of its certificate, wall clock */
	int64_t seen; /* wall clock */
};

struct daemon;
struct alarms;

/*
 * Those of the last end are under alarm still.  What d points to has to last until
 * alarms_close, but d->children, which may go before.  RC_LATER: no memory.
 */
enum rc alarms_open(struct daemon *d, struct alarms **out, struct err *e) MUST_CHECK;
void alarms_close(struct alarms **a);

/*
 * Is it so?  A change is logged, and told with the next alarms_look; NULL text: it is not so.
 * A changed text alone is only kept.
 */
void alarms_set(struct alarms *a, const char *key, const char *text, const char *todo);

/* Look at everything that spoold can see by itself, keep it, and tell.  NULL is allowed. */
void alarms_look(struct alarms *a);

/* A request was kept as an event of this account at that time; "silence" counts from it. */
void alarms_saw(struct alarms *a, const char *account, int64_t when);

/* When the last event of an account came by the webhook; 0: none yet. */
int64_t alarms_last(const struct alarms *a, const char *account);

/* The end of a host's certificate was seen. */
void alarms_certificate(struct alarms *a, const char *host, int64_t ends);

/* Call fn for each alarm that is on, for each certificate, the oldest first. */
void alarms_each(const struct alarms *a, void (*fn)(const struct alarm *, void *), void *arg);
void alarms_each_host(
    const struct alarms *a, void (*fn)(const struct alarm_host *, void *), void *arg);

/* How many are on? */
unsigned alarms_count(const struct alarms *a);

/* Is alarm_command running?  NULL is allowed. */
bool alarms_telling(const struct alarms *a);

/*
 * A target's reason without what a program of the operator's wrote, which may name people.
 */
struct target;
void alarms_reason(const struct target *t, char *out, size_t size);

#endif
