/*
 * SPDX-License-Identifier: ISC
 *
 * keys - the keys of the issuers of all accounts, without a network.
 *
 * The daemon leaves them as files (lib/keyfile.h); here they are read, noticed when they
 * change, and asked for when a token names one that is not there: by an empty file
 * ask/keys.ACCOUNT, of which there is never more than one.  The last good set stays valid, for
 * keys_max_age at most, whatever happens to the file.
 *
 * A file is looked at every KEYS_RECHECK, and before a token is said to name no key of it.
 *
 * One request at a time waits for keys, in the whole process and for KEYS_WAIT at most; it
 * goes on as soon as they are there.  A daemon that did not answer it is not waited for again
 * for KEYS_FRESH, nor one that has just asked the issuer: so a flood of unknown keys costs a
 * look at the set each, and whoever has no issuer never notices.
 */
#ifndef ARKEN_KEYS_H
#define ARKEN_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "clk.h"
#include "conf.h"
#include "err.h"
#include "jwt.h"

#define KEYS_RECHECK CLK_SECOND      /* a file is looked at anew after this time */
#define KEYS_FRESH (60 * CLK_SECOND) /* an issuer is asked once in this time, at most */
#define KEYS_WAIT 2000               /* milliseconds that a request waits for keys */
#define KEYS_STEP 10                 /* milliseconds between two looks while it waits */
#define KEYS_ASK "keys."             /* before the account's name in ask */

struct keys;

/*
 * The caller owns *out; c and the folders, which may be -1 if no account has an issuer, are
 * borrowed as long.  Files that are missing or no good are not a failure: there may be one
 * later.
 */
enum rc keys_open(const struct conf *c, int keys_dir, int ask_dir, struct keys **out,
    struct err *e) MUST_CHECK;
void keys_close(struct keys **k);

/*
 * Which set is in use for an account (its place in c->accounts): another number for another
 * set, 0 if there is none that may be used.
 */
uint64_t keys_current(struct keys *k, size_t account);

/*
 * Verify a token as jose_verify does, and say in *set by which set (as keys_current).
 * RC_DENIED: the issuer did not sign it, or has just been asked and knows no such key.
 * RC_LATER: there are no keys, or they are too old, or the issuer may have newer ones: it is
 * our fault that this cannot be decided now.
 */
enum rc keys_verify(struct keys *k, size_t account, const char *token, size_t n,
    const struct jwt *t, uint64_t *set, struct err *e) MUST_CHECK;

#endif
