/*
 * SPDX-License-Identifier: ISC
 *
 * gather - events from the spool into memory: by notification, and by looking.
 *
 * Notification (inotify) is a hint: what it misses, the scan finds.  When there is no room for
 * all, the oldest come first; the rest waits on disk.
 */
#ifndef ARKEN_GATHER_H
#define ARKEN_GATHER_H

#include <stdbool.h>

#include "daemon.h"

/* Watch new/ and ask/.  No watch to be had is a warning: then there are only scans. */
void gather_watch(struct daemon *d);

/*
 * Take the events that the watch names.  true: there is something in ask/.  What it could not
 * name is found by a scan, made at once.
 */
bool gather_read(struct daemon *d);

/*
 * Look through cur and new, forget what is no longer there, set the gauges, sweep.  Of many
 * events in new only the first are taken at once.
 */
void gather_scan(struct daemon *d);

/* Take more: of those that the last scan found, or after events went out of memory. */
void gather_more(struct daemon *d);

/* Has the last scan found more than is taken by now?  Then gather_more is to be called soon. */
bool gather_pending(const struct daemon *d);

void gather_free(struct daemon *d);

#endif
