/*
 * SPDX-License-Identifier: ISC
 *
 * issuer - the keys of the accounts' OpenID Connect issuers, fetched for the receiver.
 *
 * The receiver has no network: it reads keys/<account>.json and asks for newer keys by a file
 * ask/keys.<account>.  Accounts of the same issuer share one fetch.
 *
 * How often, whatever is asked and however often the daemon is started: one issuer at most once
 * in ISSUER_PAUSE, and because of what was asked, all issuers together at most once in it.  Of
 * itself an issuer is asked every keys_refresh; after failures sooner, at growing distances.
 *
 * A failed fetch leaves the keys as they are; the file says when it was tried.  No token, no
 * secret is ever sent there.
 */
#ifndef ARKEN_ISSUER_H
#define ARKEN_ISSUER_H

#include <stdbool.h>
#include <stdint.h>

#include "clk.h"
#include "err.h"

#define ISSUER_ASK "keys." /* what the name of a request in ask/ begins with */
#define ISSUER_PAUSE CLK_MINUTE
#define ISSUER_TIMEOUT (5 * CLK_SECOND) /* for each of the two requests of a fetch */

struct daemon;
struct issuers;

/*
 * The issuers of d->conf, with the keys that are on disk; nothing is fetched yet.  d->spool,
 * d->http and d->pool have to be there from the first issuers_tick to issuers_close, and
 * d->conf stays.  RC_LATER: no memory.
 */
enum rc issuers_open(struct daemon *d, struct issuers **out, struct err *e) MUST_CHECK;

/* Ends what is under way; what waits for the disk is still done, by the pool. */
void issuers_close(struct issuers **is);

/* A file of this name was in ask/.  false: it is none of ours. */
bool issuers_ask(struct issuers *is, const char *name);

/* Fetch what is due at this time of the monotonic clock. */
void issuers_tick(struct issuers *is, int64_t now);

/* When an account's keys were fetched and last asked for (wall clock, 0 never).  false: it has
 * no issuer.  NULL is allowed. */
bool issuers_times(
    const struct issuers *is, const char *account, int64_t *fetched, int64_t *tried);

/* When issuers_tick has something to do next; INT64_MAX: nothing to wait for. */
int64_t issuers_due(const struct issuers *is);

#endif
