/*
 * SPDX-License-Identifier: ISC
 *
 * verified - tokens whose signature was found good, so that the next request with one costs a
 * look and not a verification.
 *
 * A token is remembered by its digest, never itself, for one account and one set of keys.  The
 * memory is constant; only tokens that the issuer signed come into it, so strangers push none
 * out.  For any number of threads.
 */
#ifndef ARKEN_VERIFIED_H
#define ARKEN_VERIFIED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "hash.h"

#define VERIFIED_ROWS 256
#define VERIFIED_NAME 192 /* the name of a credential, with its NUL */

struct verified; /* the table */

struct verified_token {
	char digest[HASH_HEX]; /* SHA-256 of the token */
	size_t account;
	uint64_t keys;             /* which set of keys it was verified with */
	int64_t from, until;       /* valid at from <= now < until */
	char which[VERIFIED_NAME]; /* its name for the log */
};

enum rc verified_new(struct verified **out, struct err *e) MUST_CHECK;
void verified_free(struct verified **v);

/*
 * Is t->digest known for t->account and t->keys, and valid now?  Then all of t is filled in.
 */
bool verified_find(struct verified *v, struct verified_token *t, int64_t now) MUST_CHECK;

/* Remember; the one that would have been forgotten first makes room. */
void verified_add(struct verified *v, const struct verified_token *t);

#endif
