/*
 * SPDX-License-Identifier: ISC
 *
 * bearer - does a request carry a token of its account's issuer (RFC 6750 section 2.1)?
 *
 * jwt judges what the token says, keys and jose who signed it, verified remembers it.
 */
#ifndef ARKEN_BEARER_H
#define ARKEN_BEARER_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "err.h"
#include "verified.h"

#define BEARER_NAME VERIFIED_NAME /* the name of a credential, with its NUL */

struct bearer;

/* c and the folders are borrowed as long (keys_open).  The caller owns *out. */
enum rc bearer_open(const struct conf *c, int keys_dir, int ask_dir, struct bearer **out,
    struct err *e) MUST_CHECK;
void bearer_close(struct bearer **b);

/* The token in the value of a header Authorization; NULL: the scheme is another. */
const char *bearer_token(const char *value) MUST_CHECK;

/*
 * Is this a token for an account (its place in c->accounts) that has an issuer?  RC_OK: which
 * names it ("bearer:kid=k1 sub=arken-webhooks"), escaped and cut.  RC_DENIED: no, and e says
 * why, without a word of the token.  RC_LATER: it cannot be said now.
 */
enum rc bearer_check(struct bearer *b, size_t account, const char *token,
    char which[BEARER_NAME], struct err *e) MUST_CHECK;

#endif
