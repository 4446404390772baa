/*
 * SPDX-License-Identifier: ISC
 *
 * history - what happened lately: events by hour and kind, how long they took, the latest ones.
 *
 * Pure but for the local day.  Bounded: HISTORY_HOURS hours, HISTORY_KINDS kinds,
 * HISTORY_LATEST events.  Names of people never come in: ids that are not of [A-Za-z0-9_-] are
 * left out.  It is kept in status.json, of which it writes and reads four members.
 */
#ifndef ARKEN_HISTORY_H
#define ARKEN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "json.h"
#include "name.h"

#define HISTORY_HOURS 48
#define HISTORY_TIME_HOURS 24 /* of these the times are kept */
#define HISTORY_KINDS 32      /* further ones are "other" */
#define HISTORY_KIND 72       /* "Category.Type" with its NUL */
#define HISTORY_LATEST 500
#define HISTORY_BUCKETS 128 /* up to 49 days; each a quarter of a power of two wide */

enum history_time { HISTORY_DONE, HISTORY_DOCUMENT, HISTORY_TIMES };

struct history_event {
	char name[NAME_SIZE]; /* "" none */
	char client[NAME_HASH], document[NAME_HASH];
	char source[12], state[12], step[24];
	int64_t received, changed, due; /* wall clock, 0 not known */
	unsigned tries;
};

struct history;

struct history *history_new(void); /* NULL: no memory */
void history_free(struct history **h);

/* An event came; name is an event's. */
void history_came(struct history *h, int64_t now, const char *name);

/*
 * Its entry among the latest, made if there is none (the one that changed longest ago goes);
 * changed is now.  Never NULL; valid until the next call.
 */
struct history_event *history_event(struct history *h, int64_t now, const char *name);

/* The entry if there is one. */
struct history_event *history_find(struct history *h, const char *name);

/* Take the ids out of each entry that is says yes to. */
void history_erase(struct history *h, bool (*is)(const char *name, void *), void *arg);

/* Put an id there if it is one: else "". */
void history_id(char out[NAME_HASH], const char *id);

/* An event was done, or its document stored, so long after it was received. */
void history_took(struct history *h, int64_t now, enum history_time what, int64_t ms);

/* Of the last 24 hours: how many, and the time that so many of a thousand did not exceed. */
uint64_t history_times(
    struct history *h, int64_t now, enum history_time what, unsigned per, int64_t *ms);

/* The members "today", "hours", "times" and "latest", separated by commas. */
void history_write(struct history *h, int64_t now, struct buf *out);

/* Take up what history_write wrote into doc; what is not understood is left out. */
void history_read(struct history *h, int64_t now, const struct json *doc);

#endif
