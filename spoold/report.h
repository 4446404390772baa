/*
 * SPDX-License-Identifier: ISC
 *
 * report - status.json: how the daemon is, for the status page, for metrics and for
 * spoolctl status.
 *
 * Lies in the spool, 0640, so that the receiver may read it; replaced atomically, nothing is
 * synced.  What is in it is in docs/status.md.  Written every status_every while something
 * happens, else once in REPORT_IDLE.  Never a name or an address of a person, nothing secret.
 */
#ifndef ARKEN_REPORT_H
#define ARKEN_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "clk.h"
#include "err.h"

#define REPORT_FILE "status.json" /* below the spool */
#define REPORT_VERSION 1
#define REPORT_IDLE CLK_MINUTE
#define REPORT_MAX (4 << 20) /* bytes of the file */
#define REPORT_TARGETS 200   /* the ones in trouble first */
#define REPORT_TRANSFERS 256

struct daemon;
struct report;
struct work;

/* What an earlier daemon's file says of the last days is taken up.  RC_LATER: no memory. */
enum rc report_open(struct daemon *d, struct report **out, struct err *e) MUST_CHECK;
void report_close(struct report **r);

/* Every function from here on allows a NULL report, and then does nothing. */

/* Something that the file tells has changed. */
void report_touch(struct report *r);

/* Write it if it is time (monotonic clock), and when it is. */
void report_tick(struct report *r, int64_t now);
int64_t report_due(const struct report *r);

/* Write it now; running: false says that the daemon has stopped. */
void report_write(struct report *r, bool running);

/* ---- what happened ---- */

/* An event was taken from new. */
void report_came(struct report *r, const char *name);

/* A try changed what there is to say about its event: "working", "waiting", "done", ... */
void report_work(const struct work *w, const char *state);

/* The same of an event without a try: "failed", or "moved" by somebody else. */
void report_state(struct report *r, const char *name, const char *state);

/* Events were erased: what is told of them names nobody any more, in the file either. */
void report_erased(struct report *r);

/* The document of its event was stored. */
void report_document(const struct work *w);

#endif
