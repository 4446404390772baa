/*
 * SPDX-License-Identifier: ISC
 *
 * crypto - certificates, digests and signatures.  The only user of OpenSSL.
 */
#ifndef SANDBOX_CRYPTO_H
#define SANDBOX_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SHA_SIZE 65 /* hex and NUL */
#define MD5_SIZE 33

struct cert {
	char *ca, *leaf, *key; /* PEM */
};

/* A new P-256 authority and a leaf signed by it; false leaves *c empty. */
bool cert_make(struct cert *c);
void cert_free(struct cert *c);

/* Both digests of size bytes that read hands out from any offset. */
typedef size_t crypto_read(const void *ctx, uint64_t off, char *p, size_t n);
bool digest(
    crypto_read *read, const void *ctx, uint64_t size, char sha[SHA_SIZE], char md5[MD5_SIZE]);
bool sign_hex(const char *key, const char *text, char out[SHA_SIZE]);
/* Constant time for texts of the same length. */
bool text_same(const char *a, const char *b);

#endif
