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

/* Look through cur and new, forget what is no longer there, set the gauges, sweep. */
void gather_scan(struct daemon *d);

/* After events went out of memory: take more of those that found no room. */
void gather_more(struct daemon *d);

#endif
