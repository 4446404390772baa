/*
 * SPDX-License-Identifier: ISC
 *
 * evlog - the spool's own log: what happened to events, one line a step.
 *
 * log/YYYY-MM-DD (UTC), key=value, appended by single writes from several
 * processes and users.  A line that cannot be written costs no event.
 */
#ifndef ARKEN_EVLOG_H
#define ARKEN_EVLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define EVLOG_LINE 2048
#define EVLOG_STORY 4096 /* lines about one event that are told; of more, the last */

/*
 * One line: time=… step=… event=… and more pairs, ended by LOG_END (log.h); a NULL or empty
 * value leaves its pair out.
 */
enum rc evlog_put(int dir, int64_t now, const char *step, const char *name, struct err *e, ...);

/*
 * Every line about one event, oldest first by its time, until fn returns false.  RC_LATER: no
 * memory.
 */
enum rc evlog_story(int dir, const char *name, bool (*fn)(const char *line, void *), void *arg,
    struct err *e) MUST_CHECK;

/* The value of a key in a line, unquoted; false, and out empty: not in it, or no room. */
bool evlog_value(const char *line, const char *key, char *out, unsigned size) MUST_CHECK;

/*
 * Overwrite, in each line that is_of says yes to, every value that may tell whom it is about
 * with x, in its place, so that whoever appends meanwhile is not disturbed: all but a list of
 * keys that tell what was done.  *lines grows by the lines changed.
 */
enum rc evlog_redact(int dir, bool (*is_of)(const char *line, void *), void *arg,
    uint64_t *lines, struct err *e) MUST_CHECK;

/* Remove the files of days before this time. */
enum rc evlog_purge(int dir, int64_t before, struct err *e) MUST_CHECK;

#endif
