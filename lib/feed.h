/*
 * SPDX-License-Identifier: ISC
 *
 * feed - the vendor's event feed compared with the spool: what the webhook missed comes back.
 *
 * Events have numbers in the order of an account's stream.  Up to the cursor everything is
 * accounted for: in the spool, or found here and put there, or from before the first start.
 * Sends nothing itself; its caller asks for the pages.
 */
#ifndef ARKEN_FEED_H
#define ARKEN_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "err.h"
#include "name.h"
#include "spool.h"

#define FEED_ROWS 50           /* entries asked for in a page */
#define FEED_ENTRIES 1000      /* more in one page are refused */
#define FEED_ANSWER (16 << 20) /* bytes of an answer */
#define FEED_URL 2048          /* a URL with its NUL */
#define FEED_DIR "feed"        /* the folder of the states, below the daemon's state */
#define FEED_WISH "reconcile." /* what the name of a wish in ask/ begins with */
#define FEED_ASK 33            /* what an operator's wish is known by, with its NUL */
#define FEED_MATCHED 1024      /* events without identity that one pass may match */

/* What is kept of an account's feed between passes: state/feed/ACCOUNT, JSON. */
struct feed_state {
	bool begun;                        /* false: the first start, there is no cursor yet */
	bool numbered;                     /* webhooks carry the number and no id */
	uint64_t cursor;                   /* accounted for up to this number */
	int64_t ran;                       /* end of the last pass, wall clock; 0 never */
	uint64_t from, to;                 /* its window: numbers above from, up to to */
	uint64_t seen, missing, recovered; /* in it */
	uint64_t recovered_all;            /* since the state was made */
	char off[ERR_TEXT];                /* why this feed is not asked, "" it is */
	char answered[FEED_ASK];           /* the operator's wish that was met last */
	char failed[ERR_TEXT];             /* why it was not, "" it was */
};

/* RC_GONE: none yet (out is empty).  RC_BAD: it cannot be read. */
enum rc feed_load(
    int dir, const char *account, struct feed_state *out, struct err *e) MUST_CHECK;

/* Replaced durably: only after what was found is in the spool. */
enum rc feed_save(
    int dir, const char *account, const struct feed_state *s, struct err *e) MUST_CHECK;

/* The two calls.  RC_CONFIG: the account has no hash_id, or a URL is too long. */
enum rc feed_info_url(
    const struct conf_account *a, char out[FEED_URL], struct err *e) MUST_CHECK;
enum rc feed_page_url(
    const struct conf_account *a, uint64_t from, char out[FEED_URL], struct err *e) MUST_CHECK;

/* The number of the latest event in an answer to the first.  RC_BAD: it does not say. */
enum rc feed_info(const char *body, size_t n, uint64_t *last, struct err *e) MUST_CHECK;

/* One pass: pages backward from the latest event down to after the cursor. */
struct feed_pass {
	const struct conf_account *account; /* borrowed, as is the spool */
	struct spool *spool;
	int64_t now, grace; /* an entry younger than grace is not missed yet */
	uint64_t after, until;
	bool numbered; /* in and out: as feed_state */
	bool dry_run;  /* nothing is put into the spool */

	/* What came of it so far. */
	uint64_t lowest; /* number on the pages read; 0 none: the next page starts below it */
	uint64_t young;  /* the lowest number that is not old enough; 0 none */
	uint64_t seen, missing, recovered;
	unsigned last_entries; /* of the last page */
	unsigned matched;      /* names in used */
	char (*used)[NAME_SIZE];
};

/*
 * A pass over what is above the cursor, or with since over all from that number on; last is the
 * latest number.  p has account, spool, now, grace and dry_run.  The first one of all begins at
 * last, or at since: s is set so.
 */
void feed_pass_begin(struct feed_pass *p, struct feed_state *s, uint64_t since, uint64_t last);

/* What a complete pass found, and the cursor after it. */
void feed_pass_report(const struct feed_pass *p, struct feed_state *s, int64_t now);

/* Free what a pass holds. */
void feed_pass_end(struct feed_pass *p);

/*
 * Compare one page with the spool, and put what is missing there, durably.  RC_BAD: the answer
 * is no page; RC_FULL and RC_LATER: an entry could not be kept, the pass is to be repeated
 * later from where it began.
 */
enum rc feed_page(struct feed_pass *p, const char *body, size_t n, struct err *e) MUST_CHECK;

/* Is the pass complete?  Else the next page starts at *from. */
bool feed_pass_done(const struct feed_pass *p, uint64_t *from) MUST_CHECK;

/* The cursor after a complete pass. */
uint64_t feed_pass_cursor(const struct feed_pass *p);

#endif
