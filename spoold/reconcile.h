/*
 * SPDX-License-Identifier: ISC
 *
 * reconcile - each account's event feed, asked from time to time for what the webhook missed.
 *
 * At the start, every reconcile_every, and reconcile_grace after the numbers of events left a
 * gap.  One request at a time an account; what waits for the disk is done by the pool.  A
 * failure is tried again sooner, and nothing is passed over: the cursor moves only after what
 * was found is in the spool.
 */
#ifndef ARKEN_RECONCILE_H
#define ARKEN_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "feed.h"

struct daemon;
struct reconciler;

/* For the accounts of d->conf.  d and what is in it have to last until reconcile_close. */
enum rc reconcile_open(struct daemon *d, struct reconciler **out, struct err *e) MUST_CHECK;

/* Ends what is under way; what waits for the disk is still done, by the pool. */
void reconcile_close(struct reconciler **r);

/* Begin what is due at this time of the monotonic clock, and when there is more to do. */
void reconcile_tick(struct reconciler *r, int64_t now);
int64_t reconcile_due(const struct reconciler *r);

/* An event came by the webhook; number "" if it has none.  NULL r is allowed. */
void reconcile_saw(struct reconciler *r, const char *account, const char *number);

/*
 * A file of this name was in ask/: "reconcile.ACCOUNT", with ".N" after it for all events from
 * number N on (0: from the cursor), and after that perhaps ".ID": the state of the feed says
 * when the pass for this wish has ended, or why there was none.  false: it is none of ours.
 */
bool reconcile_ask(struct reconciler *r, const char *name);

/* What is known of an account's feed; NULL: no such account.  Valid until the next call. */
const struct feed_state *reconcile_state(const struct reconciler *r, const char *account);

#endif
