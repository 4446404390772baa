/*
 * SPDX-License-Identifier: ISC
 *
 * purge - retention: what is older than that goes.
 *
 * Runs on the pool, so that a folder of a million events holds up nobody.
 */
#ifndef ARKEN_PURGE_H
#define ARKEN_PURGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon.h"

/* Begin one, unless one is under way. */
void purge_start(struct daemon *d);

/* When the next is to begin, on the monotonic clock; INT64_MAX while one is under way. */
int64_t purge_next(const struct daemon *d);

/*
 * How did the last one end?  false: none has ended since the start; *trouble is NULL, or what
 * went wrong first.
 */
bool purge_result(const struct daemon *d, const char **trouble);

/* End what is under way soon; purge_free after the pool is gone. */
void purge_stop(struct daemon *d);
void purge_free(struct daemon *d);

#endif
