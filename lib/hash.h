/*
 * SPDX-License-Identifier: ISC
 *
 * hash - digests, constant-time comparison and wiping, over libcrypto.
 */
#ifndef ARKEN_HASH_H
#define ARKEN_HASH_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

#define HASH_HEX 65 /* 64 lower-case digits and a NUL */

/* Digest of n bytes (FIPS 180-4).  RC_LATER: no memory. */
enum rc hash_sha256(const void *p, size_t n, char out[HASH_HEX], struct err *e) MUST_CHECK;

struct hash; /* a digest that is still growing */

enum rc hash_new(struct hash **h, struct err *e) MUST_CHECK;

/*
 * MD5 (RFC 1321), only to compare with a Content-MD5 or an ETag; hash_end then gives 32 digits.
 * RC_LATER also where the system's policy forbids it.
 */
enum rc hash_new_md5(struct hash **h, struct err *e) MUST_CHECK;
enum rc hash_add(struct hash *h, const void *p, size_t n, struct err *e) MUST_CHECK;
enum rc hash_end(struct hash *h, char out[HASH_HEX], struct err *e) MUST_CHECK;
void hash_free(struct hash **h);

#define HASH_MAC 32 /* bytes */

/* HMAC-SHA256 (RFC 2104) of n bytes.  RC_LATER: no memory. */
enum rc hash_hmac(const void *key, size_t nkey, const void *p, size_t n,
    unsigned char out[HASH_MAC], struct err *e) MUST_CHECK;

#define HASH_EQUAL_MAX 1024 /* bytes */

/*
 * Same length and same bytes, in a time that does not tell where they differ.  Takes no memory,
 * so it cannot fail; anything longer than HASH_EQUAL_MAX is not equal.
 */
bool hash_equal(const void *a, size_t na, const void *b, size_t nb) MUST_CHECK;

/* Overwrite a secret so that no compiler leaves it out. */
void hash_wipe(void *p, size_t n);

#endif
