/*
 * SPDX-License-Identifier: ISC
 *
 * jose - an issuer's keys, and whether one of them signed a token.  The only file that knows
 * cjose.
 *
 * cjose verifies with any key it is given: which key may be used for which token is decided
 * here (RFC 7517, RFC 7518 sections 3 and 6, RFC 8725 section 3.1), on what the key set says
 * and not on what the token says.  A set that was parsed does not change and may be used by any
 * number of threads.
 */
#ifndef ARKEN_JOSE_H
#define ARKEN_JOSE_H

#include <stddef.h>

#include "err.h"
#include "jwt.h"

#define JOSE_SET (256 * 1024) /* bytes of a JWK set */
#define JOSE_KEYS 64          /* keys of a set that are looked at */
#define JOSE_TRIES 16         /* keys tried for one token */
#define JOSE_RSA_MIN 2048     /* bits of a modulus (RFC 7518 section 3.3) */
#define JOSE_RSA_MAX 8192

/* What becomes of a member of a set. */
enum jose_fate {
	JOSE_USABLE,
	JOSE_NO_KEY,      /* no object with a kty */
	JOSE_OTHER_KTY,   /* neither RSA nor EC: a shared secret, for one */
	JOSE_PRIVATE,     /* it holds what nobody but the issuer may know */
	JOSE_OTHER_USE,   /* use or key_ops: not for verifying */
	JOSE_OTHER_ALG,   /* for an algorithm that is not in jwt.h, or not one of its kty */
	JOSE_OTHER_CURVE, /* not P-256, P-384 or P-521 */
	JOSE_BAD_KID,     /* not a string of 1 to JWT_KID bytes */
	JOSE_BAD_SIZE,    /* an RSA modulus too short or too long */
	JOSE_BROKEN,      /* its numbers are no key */
	JOSE_TOO_MANY,    /* after the first JOSE_KEYS */
};
#define JOSE_FATES 11

struct jose;

/*
 * Take a JWK set apart; the caller owns *out (jose_free).  A member that is not usable is left
 * out and counted.  RC_BAD: not a set; RC_LATER: no memory.
 */
enum rc jose_parse(const char *p, size_t n, struct jose **out, struct err *e) MUST_CHECK;
void jose_free(struct jose **k);

/* How many members had this fate, and its name ("private"). */
size_t jose_count(const struct jose *k, enum jose_fate fate);
const char *jose_fate_name(enum jose_fate fate);

/*
 * Verify a token that jwt_read let pass, which gave t.  With a kid only keys of that name are
 * tried, without one every key that fits alg.  RC_OK: the issuer signed it.  RC_GONE: the set
 * has no key that could have; one of a later set may.  RC_DENIED: the key it names did not
 * sign it.  RC_LATER: no memory.
 */
enum rc jose_verify(const struct jose *k, const char *token, size_t n, const struct jwt *t,
    struct err *e) MUST_CHECK;

#endif
