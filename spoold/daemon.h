/*
 * SPDX-License-Identifier: ISC
 *
 * daemon - what the parts of spoold share, and the loop that runs them.
 */
#ifndef ARKEN_DAEMON_H
#define ARKEN_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

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
#include "spool.h"
#include "store.h"
#include "target.h"

struct daemon {
	const struct conf *conf;
	struct spool *spool;
	struct store *store;
	struct http *http;
	struct pool *pool;
	struct children *children;
	struct jobs *jobs;
	struct targets *targets;
	struct lanes lanes;
	struct grant *grants; /* one an account, in the order of conf->accounts */
	struct issuers *issuers;
	struct reconciler *reconciler;
	int watch; /* inotify; -1: none to be had, then only scans */
	int watch_new, watch_ask;
	int stop;           /* readable: stop */
	struct work *first; /* tries under way, a list */
	unsigned running;
	uint64_t clock;    /* counts calls and events as they come, to tell which came first */
	struct job *alone; /* runs by itself, because it was interrupted before */
	bool cur_more;     /* cur holds events that found no room in memory */
	bool more;         /* new holds events that found no room in memory */
	bool stopping;
	int64_t next_scan; /* monotonic clock */
	struct purge *purge;
};

/*
 * Open everything, recover, and serve until a byte can be read from stop.  RC_OK: a clean stop.
 */
enum rc daemon_run(const struct conf *conf, int stop, struct err *e) MUST_CHECK;

/* The grant of an account by name; NULL: not configured. */
struct grant *daemon_grant(struct daemon *d, const char *account);

/* One line in the spool's log about an event; a failure is logged, never fatal. */
void daemon_note(struct daemon *d, const char *step, const char *name, const char *key1,
    const char *value1, const char *key2, const char *value2);

#endif
