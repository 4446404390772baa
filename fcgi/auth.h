/*
 * SPDX-License-Identifier: ISC
 *
 * auth - does a request carry a credential of its account?
 *
 * Credentials are read from files and read again when those change; they are
 * never logged.  No network, nothing is written.
 */
#ifndef ARKEN_AUTH_H
#define ARKEN_AUTH_H

#include <stddef.h>

#include "clk.h"
#include "conf.h"
#include "err.h"
#include "request.h"

#define AUTH_NAME 64            /* the name of a credential, with its NUL */
#define AUTH_RECHECK CLK_SECOND /* a file is looked at once in this time, at most */

struct auth;

/*
 * Read the credentials of every account.  The caller owns *out; c is borrowed as long.  On
 * failure e names the file and what is wrong with it.
 */
enum rc auth_open(const struct conf *c, struct auth **out, struct err *e) MUST_CHECK;
void auth_close(struct auth **a);

/*
 * RC_OK: which says which credential it was ("secret:line1").  RC_DENIED: none, a wrong one,
 * one given twice, or none configured.  RC_LATER: it cannot be decided now.  account is one of
 * c->accounts.
 */
enum rc auth_check(struct auth *a, const struct conf_account *account, const struct request *rq,
    char which[AUTH_NAME], struct err *e) MUST_CHECK;

#endif
