/*
 * SPDX-License-Identifier: ISC
 *
 * b64url - base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strictly.
 *
 * Of all texts that a lax decoder would read as the same bytes one is taken: no padding, no
 * character that is not of the alphabet, no bit set that belongs to no byte.  Pure.
 */
#ifndef ARKEN_B64URL_H
#define ARKEN_B64URL_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

/* The bytes that n characters stand for are never more. */
#define B64URL_BYTES(n) ((n) / 4 * 3 + 2)

/* false: not strict, or more than size bytes.  No characters are no bytes. */
bool b64url_decode(
    const char *p, size_t n, unsigned char *out, size_t size, size_t *len) MUST_CHECK;

#endif
