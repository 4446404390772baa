/*
 * SPDX-License-Identifier: ISC
 *
 * keyfile - the keys of an account's OpenID Connect issuer, as a file in the spool.
 *
 * The daemon writes it, the receiver, which has no network, reads it.  A reader sees the old
 * content or the new one, whole.  Knows nothing of keys but that they are a JWK set (RFC 7517
 * section 5): a JSON object with an array "keys".
 *
 *   <spool>/keys/<account>.json
 *   {"version":1,"issuer":"https://...","fetched":MS,"tried":MS,"jwks":{"keys":[...]}}
 */
#ifndef ARKEN_KEYFILE_H
#define ARKEN_KEYFILE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define KEYFILE_JWKS (256 * 1024) /* the longest JWK set */
#define KEYFILE_HEAD 4096         /* all of a file that is not the JWK set */
#define KEYFILE_ISSUER 512        /* with its NUL */
#define KEYFILE_NAME 40           /* "<account>.json" with its NUL */

struct keyfile {
	char issuer[KEYFILE_ISSUER]; /* whose keys these are */
	int64_t fetched; /* when the issuer gave them (wall clock, milliseconds); 0: never */
	int64_t tried;   /* when it was last asked, whatever came of it; 0: never */
	char *jwks;      /* JSON text, ends in a NUL; NULL exactly if fetched is 0 */
	size_t jwks_len;
};

/* The name of an account's file.  RC_BAD: not the name of an account. */
enum rc keyfile_name(const char *account, char out[KEYFILE_NAME], struct err *e) MUST_CHECK;

/* Is this a JWK set: strict JSON, at most KEYFILE_JWKS bytes, an object with an array "keys"?
 */
enum rc keyfile_check(const char *jwks, size_t n, struct err *e) MUST_CHECK;

/*
 * Read an account's file from dir; the caller frees *out (keyfile_free), which is empty on
 * failure.  RC_GONE: there is none.  RC_BAD: not a file that keyfile_write made.
 */
enum rc keyfile_read(
    int dir, const char *account, struct keyfile *out, struct err *e) MUST_CHECK;

/*
 * Replace it, all or nothing and durably, mode 0640; on failure the old one stays.  RC_BAD: k
 * is not what a struct keyfile has to be.
 */
enum rc keyfile_write(
    int dir, const char *account, const struct keyfile *k, struct err *e) MUST_CHECK;

void keyfile_free(struct keyfile *k); /* what is in it; k is empty afterwards */

#endif
