/*
 * SPDX-License-Identifier: ISC
 *
 * sign - signatures of Standard Webhooks: what a receiver knows the sender by.
 *
 * Pure.  A message "id.timestamp.payload" is signed with HMAC-SHA256 by each live secret.
 */
#ifndef ARKEN_SIGN_H
#define ARKEN_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "hash.h"

#define SIGN_KEYS 8      /* live secrets at most */
#define SIGN_KEY_MIN 16  /* bytes of one at least */
#define SIGN_KEY_MAX 512 /* and at most */
#define SIGN_TEXT (SIGN_KEYS * 48 + 1)
#define SIGN_BASE64(n) (((n) + 2) / 3 * 4 + 1) /* characters for n bytes, with the NUL */

struct sign_keys {
	struct {
		unsigned char p[SIGN_KEY_MAX];
		size_t n;
	} key[SIGN_KEYS];
	size_t n;
};

/*
 * The secrets of a file, one a line: "whsec_" and base64, or the bytes of the line as they are.
 * RC_CONFIG names the line and what is wrong with it, never the secret.  To be wiped.
 */
enum rc sign_read(const char *text, size_t n, struct sign_keys *out, struct err *e) MUST_CHECK;
void sign_wipe(struct sign_keys *keys);

/* Begin a message: "id.timestamp." (seconds); the payload is then added to it. */
void sign_begin(struct buf *out, const char *id, int64_t seconds);

/* The value of webhook-signature for a whole message: "v1,..." for each secret. */
enum rc sign_make(const struct sign_keys *keys, const char *message, size_t n,
    char out[SIGN_TEXT], struct err *e) MUST_CHECK;

/* Base64 (RFC 4648 section 4); out holds SIGN_BASE64(n). */
void sign_base64(char *out, const void *p, size_t n);

#endif
