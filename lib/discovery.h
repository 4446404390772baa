/*
 * SPDX-License-Identifier: ISC
 *
 * discovery - what an OpenID Connect issuer says about itself and its keys.
 *
 * Pure: texts in, texts out.  Whoever answered is the issuer only as far as TLS says so, and
 * nothing in its answer is taken that the configuration would not take.
 */
#ifndef ARKEN_DISCOVERY_H
#define ARKEN_DISCOVERY_H

#include <stddef.h>

#include "buf.h"
#include "err.h"

#define DISCOVERY_URL 2048  /* a URL with its NUL */
#define DISCOVERY_KEYS 256  /* so many keys of a set are named; there may be more */
#define DISCOVERY_KID 64    /* so many bytes of a key's id are shown */
#define DISCOVERY_TEXT 1024 /* all ids in one log line */

/*
 * Where an issuer's document is (OpenID Connect Discovery 1.0 section 4.1): a "/" at its end is
 * taken off.  RC_CONFIG: too long.
 */
enum rc discovery_url(const char *issuer, char out[DISCOVERY_URL], struct err *e) MUST_CHECK;

/*
 * Read the document of this issuer, and take the URL of its keys from it.  RC_BAD: not strict
 * JSON, of another issuer (compared character by character, section 4.3), or no jwks_uri that
 * may be asked: https, or http to this machine where the issuer itself is http.
 */
enum rc discovery_read(const char *body, size_t n, const char *issuer, char out[DISCOVERY_URL],
    struct err *e) MUST_CHECK;

/*
 * The ids of the keys in one JWK set that are not in another, separated by spaces, for the log:
 * raw peer text of at most DISCOVERY_TEXT bytes.  A key without an id is "-".  A set is NULL
 * where there is none.
 */
void discovery_extra(const char *set, size_t n, const char *other, size_t m, struct buf *out);

#endif
