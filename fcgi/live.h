/*
 * SPDX-License-Identifier: ISC
 *
 * live - the configuration that is in use, and how another takes its place.
 *
 * A request keeps the configuration it began with; the old one goes when its
 * last request has ended.  What bounds the process as a whole (memory, requests
 * at one time, log lines) is shared by all of them.
 */
#ifndef ARKEN_LIVE_H
#define ARKEN_LIVE_H

#include <stdbool.h>

#include "conf.h"
#include "err.h"
#include "gate.h"

struct live;

/*
 * Read the configuration and all it names: secrets, issuers, the spool.  The caller owns *out.
 * threads: requests at one time; 0: as the configuration says.  e names file and line.  To be
 * called before threads, for it sets up the log.
 */
enum rc live_open(
    const char *file, unsigned threads, struct live **out, struct err *e) MUST_CHECK;

/* After every exchange has ended. */
void live_close(struct live **l);

/* Requests at one time, and how many threads that takes: some wait, and two always say no. */
unsigned live_threads(const struct live *l);

/* Handle one exchange with what is in use now, as handle_exchange (handle.h).  arg: the live.
 */
bool live_handle(struct exchange *x, void *arg);

/*
 * Read everything anew.  If all of it is good it is in use from now on; else nothing changes,
 * and the log says which file and line.  Either is counted.  arg: the live.
 */
void live_reload(void *arg);

#endif
