/*
 * SPDX-License-Identifier: ISC
 *
 * jwt - what a bearer token says, judged before anybody looks at its signature.
 *
 * A strict gate before the library that verifies (RFC 8725): a compact JWS (RFC 7515 section
 * 7.1) whose parts have one spelling each, whose JSON has one reading, whose algorithm is on
 * the account's list and whose claims (RFC 7519, RFC 9068) say that it is from the account's
 * issuer, for the account, and in time.  What jwt_read says is true only once the signature
 * was verified over the same bytes (jose.h).  Pure: the time is an argument.
 *
 * Refused, whoever signed: crit, b64, enc (an encrypted token), a member twice.  Ignored: jku,
 * x5u, jwk, x5c and what else a header may say of keys but kid.
 */
#ifndef ARKEN_JWT_H
#define ARKEN_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define JWT_MAX 8192 /* characters of a token */
#define JWT_KID 128  /* bytes of a kid */
#define JWT_SUB 128  /* bytes of sub that are kept */
#define JWT_AUD 64   /* audiences of one token */

enum jwt_alg {
	JWT_RS256,
	JWT_RS384,
	JWT_RS512,
	JWT_PS256,
	JWT_PS384,
	JWT_PS512,
	JWT_ES256,
	JWT_ES384,
	JWT_ES512
};
#define JWT_ALGS 9

struct jwt_rules { /* what a token has to say; lists as conf.h has them; all borrowed */
	const char *issuer, *audience;
	const char *algorithms, *types;
	const char *require;      /* NULL: nothing more */
	int64_t lifetime, leeway; /* milliseconds */
};

struct jwt {
	enum jwt_alg alg;
	size_t signature;      /* its bytes */
	char kid[JWT_KID + 1]; /* "": none */
	char sub[JWT_SUB + 1]; /* for people, cut if it is longer; "": none */
	int64_t from, until;   /* valid at from <= clk_wall() < until, the leeway included */
};

/*
 * Judge a token.  RC_DENIED: e says which rule it breaks, and quotes nothing of it.  RC_LATER:
 * no memory.  Only after RC_OK is out set.
 */
enum rc jwt_read(const char *token, size_t n, const struct jwt_rules *rules, int64_t now,
    struct jwt *out, struct err *e) MUST_CHECK;

/* "RS256", ... and back; false: no such algorithm (none and HS256 are no such). */
const char *jwt_alg_name(enum jwt_alg alg);
bool jwt_alg_find(const char *name, enum jwt_alg *out) MUST_CHECK;

#endif
