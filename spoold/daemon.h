/*
 * SPDX-License-Identifier: ISC
 *
 * daemon - what the parts of spoold share, and the loop that runs them.
 */
#ifndef ARKEN_DAEMON_H
#define ARKEN_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "alarm.h"
#include "child.h"
#include "conf.h"
#include "err.h"
#include "grant.h"
#include "http.h"
#include "issuer.h"
#include "jobs.h"
#include "lane.h"
#include "pool.h"
#include "reconcile.h"
#include "report.h"
#include "spool.h"
#include "store.h"
#include "target.h"

struct gather;

struct daemon {
	const struct conf *conf;
	struct spool *spool;
	struct store *store;
	struct http *http;
	struct pool *pool;
	struct children *children;
	struct jobs *jobs;
	struct targets *targets;
	struct shares *shares;
	struct lanes lanes;
	struct grant *grants; /* one an account, in the order of conf->accounts */
	struct issuers *issuers;
	struct reconciler *reconciler;
	int watch; /* inotify; -1: none to be had, then only scans */
	int watch_new, watch_ask;
	int stop;                     /* readable: stop */
	struct daemon_reload *reload; /* NULL: none to be had */
	struct work *first;           /* tries under way, a list */
	unsigned running;
	uint64_t clock;    /* counts calls and events as they come, to tell which came first */
	struct job *alone; /* runs by itself, because it was interrupted before */
	bool cur_more;     /* cur holds events that found no room in memory */
	bool more;         /* new holds events that found no room in memory */
	bool stopping;
	int64_t next_scan;     /* monotonic clock */
	struct gather *gather; /* found and not taken yet; NULL: nothing */
	struct purge *purge;
	struct alarms *alarms;        /* NULL: none, in tests of other parts */
	struct report *report;        /* the same */
	uint64_t in_box[SPOOL_BOXES]; /* at the last scan, moved since; not of done */
};

/* How a running daemon gets another configuration. */
struct daemon_reload {
	int fd;           /* readable: read the file again; the daemon empties it */
	const char *file; /* borrowed */
	enum rc (*read)(const char *file, struct conf **out, struct err *e);
	struct conf
	    *fresh; /* out: what was read; the daemon ended for it, and it is the caller's */
	bool again; /* this run follows a reload: what waits for a new configuration is tried */
};

/*
 * Open everything, recover, and serve until a byte can be read from stop, or until a new
 * configuration was read (r->fresh): RC_OK, a clean stop.  A file that cannot be read changes
 * nothing.  Anything else: it did not start.  r may be NULL.
 */
enum rc daemon_run(
    const struct conf *conf, int stop, struct daemon_reload *r, struct err *e) MUST_CHECK;

/* The grant of an account by name; NULL: not configured. */
struct grant *daemon_grant(struct daemon *d, const char *account);

/* One line in the spool's log about an event; a failure is logged, never fatal. */
void daemon_note(struct daemon *d, const char *step, const char *name, const char *key1,
    const char *value1, const char *key2, const char *value2);

#endif
