/*
 * SPDX-License-Identifier: ISC
 *
 * intake - the body of an authenticated request becomes events in the spool.
 *
 * The receiver reads what was posted, spoolctl reads again what lies in
 * rejected: both by this.  Who sent it, and whether he may, is decided before;
 * nothing here knows how a body came or what is answered.
 */
#ifndef ARKEN_INTAKE_H
#define ARKEN_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"
#include "clk.h"
#include "conf.h"
#include "err.h"
#include "event.h"
#include "json.h"
#include "name.h"
#include "rec.h"
#include "spool.h"

#define INTAKE_EVENTS 1000           /* elements of an array */
#define INTAKE_WAIT (2 * CLK_SECOND) /* for memory to parse in, at most */

/* Why a body is no event, or not one of this account. */
enum intake_fault {
	FAULT_NOT_JSON,      /* not strict JSON */
	FAULT_NOT_EVENT,     /* neither an object nor an array of objects */
	FAULT_TOO_MANY,      /* an array of more than INTAKE_EVENTS */
	FAULT_TOO_COMPLEX,   /* its parsed form would take more memory than there is for all */
	FAULT_OTHER_ACCOUNT, /* for another account */
	FAULT_NONE,
};

struct delivery { /* where a body comes from; all borrowed */
	const struct conf_account *account;
	const char *auth;   /* which credential verified it */
	const char *remote; /* the peer's address */
	enum rec_source source;
	bool by_number;    /* the event's number is its key, whatever id it has (feed.h) */
	const char *again; /* the name it had in rejected; NULL: it comes for the first time */
	int64_t received;  /* clk_wall of its first arrival */
	int64_t now;
};

struct taken {            /* one event of a body */
	const char *body; /* its bytes in the body */
	size_t n;
	size_t values; /* in it, as JSON: what it costs to parse */
	char name[NAME_SIZE];
	char key[NAME_KEY];
	char subject[EVENT_SUBJECT];
	bool duplicate;
};

struct intake {
	struct taken *events; /* owned */
	size_t count;
	size_t fresh; /* of these, how many were not duplicates */
	bool is_array;
	enum intake_fault fault;
	enum count lack; /* RC_LATER, RC_FULL: the counter of what is lacking; else COUNT_END */
	char rejected[NAME_SIZE]; /* the name in rejected, "" none */
	struct err why;           /* of anything but RC_OK */
};

/*
 * Parse all of a body; nothing is written.  RC_BAD, RC_DENIED (it is for another account): out
 * says the fault; RC_LATER: no memory.  trees bounds the memory of parsed JSON, NULL: nothing
 * does.  out borrows from p, and is to be closed whatever comes back.
 */
enum rc intake_read(struct budget *trees, const struct delivery *d, const char *p, size_t n,
    struct intake *out) MUST_CHECK;

/*
 * Keep every event of a body that was read: RC_OK when all are durable, those that were there
 * before included.  Counts and the spool's log are written as each thing happens.  After any
 * other result some may be kept; to repeat it all finds them.
 */
enum rc intake_keep(struct spool *sp, const struct delivery *d, struct intake *out) MUST_CHECK;

/* Keep in rejected a body that intake_read refused.  Not RC_OK: it is not kept. */
enum rc intake_reject(struct spool *sp, const struct delivery *d, const char *p, size_t n,
    struct intake *out) MUST_CHECK;

/*
 * Read again what lies in rejected, under the lock of it, with what the configuration says now
 * of its account: its events are kept, then the file moves to done.  Stopped anywhere it can
 * be repeated: an event has the same name each time.  RC_BAD, RC_DENIED: still no event of this
 * account, nothing was changed; RC_CONFIG: its account is not configured.  With dry_run nothing
 * is changed at all.  body holds the text that out borrows from; both are the caller's.
 */
enum rc intake_again(struct spool *sp, struct spool_item *it, const struct conf *c,
    bool dry_run, struct buf *body, struct intake *out) MUST_CHECK;

void intake_close(struct intake *out);

/* The type in the name of a rejected body: "NotJson". */
const char *intake_fault_name(enum intake_fault f);

/* Memory that the parsed form of n bytes with so many values takes at most. */
size_t intake_cost(size_t values, size_t n);

#endif
