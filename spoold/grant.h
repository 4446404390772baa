/*
 * SPDX-License-Identifier: ISC
 *
 * grant - an account's token while the daemon runs: asked for once, waited for by many.
 */
#ifndef ARKEN_GRANT_H
#define ARKEN_GRANT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "buf.h"
#include "conf.h"
#include "err.h"
#include "guard.h"
#include "hash.h"
#include "http.h"

struct daemon;
struct target;
struct work;

struct grant {
	struct daemon *d;
	const struct conf_account *account;
	struct guard *guard;    /* where this account's documents may come from */
	int dir;                /* state/token */
	int lock;               /* held while we ask */
	struct http_call *call; /* the request under way */
	struct work *waiting;   /* tries that wait for the token, a list */
	int64_t again;       /* another program is asking: look again then (monotonic), 0: no */
	char good[HASH_HEX]; /* digest of the token that the API took last, "" none */
	struct timespec secret; /* of the secret's file, when the token endpoint refused us */
};

/* RC_CONFIG: the account is not fit for the daemon. */
enum rc grant_open(struct grant *g, struct daemon *d, const struct conf_account *a, int state,
    struct err *e) MUST_CHECK;
void grant_close(struct grant *g);

/*
 * A token for a try: RC_OK, it is in out.  RC_EXISTS: w waits, work_token is called; with a
 * NULL w nobody waits, and it is to be asked again.  Otherwise the reason; grant_target is what
 * to wait for.
 */
enum rc grant_get(struct grant *g, struct work *w, struct buf *out, struct err *e) MUST_CHECK;

/* The token endpoint of the account: a refusal of our credentials holds it. */
struct target *grant_target(struct grant *g);

/* The API took this token; did it ever? */
void grant_took(struct grant *g, const struct buf *token);
bool grant_is_good(const struct grant *g, const struct buf *token) MUST_CHECK;

/* If our credentials were refused and have changed since, they are tried out. */
void grant_look(struct grant *g);

/* w no longer waits (a clean stop). */
void grant_forget(struct grant *g, const struct work *w);

/* Look again for what another program asked for, if it is time. */
void grant_tick(struct grant *g, int64_t now);

#endif
