/*
 * SPDX-License-Identifier: ISC
 *
 * auth - does a request carry a credential of its account?
 *
 * A secret in a header, or a bearer token; where both are configured either suffices, where
 * neither is nothing does.  Credentials are read from files and read again when those change;
 * they are never logged.  No network; nothing is written but what keys.h says.
 */
#ifndef ARKEN_AUTH_H
#define ARKEN_AUTH_H

#include <stddef.h>

#include "bearer.h"
#include "clk.h"
#include "conf.h"
#include "err.h"
#include "request.h"
#include "spool.h"

#define AUTH_NAME BEARER_NAME   /* the name of a credential, with its NUL */
#define AUTH_RECHECK CLK_SECOND /* a file is looked at once in this time, at most */

struct auth;

enum auth_challenge {        /* what a refusal asks for */
	AUTH_ASK_SECRET,     /* the account takes no token */
	AUTH_ASK_TOKEN,      /* there was none */
	AUTH_ASK_GOOD_TOKEN, /* there was one, and it was no good */
};

struct auth_verdict {
	char which[AUTH_NAME]; /* "secret:line1", "bearer:kid=k1 sub=arken"; "" if refused */
	enum auth_challenge challenge; /* if it was refused */
};

/*
 * Read the credentials of every account.  The caller owns *out; c and sp are borrowed as long.
 * sp may be NULL if no account has an issuer.  On failure e names the file and what is wrong
 * with it.
 */
enum rc auth_open(
    const struct conf *c, struct spool *sp, struct auth **out, struct err *e) MUST_CHECK;
void auth_close(struct auth **a);

/*
 * RC_OK: v says which credential it was.  RC_DENIED: none, a wrong one, one given twice, or
 * none configured.  RC_LATER: it cannot be decided now.  account is one of c->accounts.
 */
enum rc auth_check(struct auth *a, const struct conf_account *account, const struct request *rq,
    struct auth_verdict *v, struct err *e) MUST_CHECK;

#endif
