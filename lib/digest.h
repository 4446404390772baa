/*
 * SPDX-License-Identifier: ISC
 *
 * digest - do the bytes have the digest that their host gives?
 *
 * Pure.  Content-MD5 (RFC 1864), and an ETag where it is the MD5: S3's, of an
 * object that was uploaded in one piece and is encrypted with S3's own keys or not at all.
 */
#ifndef ARKEN_DIGEST_H
#define ARKEN_DIGEST_H

#include "err.h"
#include "http.h"
#include "store.h"

/* What a host says about the bytes it sends. */
struct digest_said {
	char etag[STORE_TEXT];
	char content_md5[64];
	char encryption[64];
};

enum digest {
	DIGEST_NONE, /* it gives none that can be compared */
	DIGEST_AGREES,
	DIGEST_DIFFERS,
};

/* From the head of an answer; what is longer than any digest is left out. */
void digest_take(const struct http_answer *a, struct digest_said *out);

/* md5: 32 digits of what came, "" where the system forbids MD5. */
enum digest digest_compare(const struct digest_said *said, const char *md5) MUST_CHECK;

/* SHA-256 and MD5 (32 digits, "" forbidden) of a whole file.  Reads all of it: for the pool. */
enum rc digest_file(
    int fd, char sha256[HASH_HEX], char md5[HASH_HEX], struct err *e) MUST_CHECK;

#endif
