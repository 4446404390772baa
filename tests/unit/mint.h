/*
 * SPDX-License-Identifier: ISC
 *
 * mint - an issuer for tests: keys, JWK sets and signed tokens, made with OpenSSL alone, so
 * that what is tested is not what made the test.
 *
 * Every helper ends the test at a failure.  Texts are BUF_INIT buffers of the caller.
 */
#ifndef ARKEN_MINT_H
#define ARKEN_MINT_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

#define MINT_TOKEN 65536    /* a token is never longer */
#define MINT_SIGNATURE 2048 /* bytes of a signature */

static inline void
mint_need(int good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "mint: %s failed\n", what);
	abort();
}

/* base64url without padding. */
static inline void
mint_b64(struct buf *out, const void *p, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *b = p;
	unsigned held = 0, bits = 0;

	for (size_t i = 0; i < n; i++) {
		held = held << 8 | b[i];
		for (bits += 8; bits >= 6; bits -= 6)
			buf_add(out, &digits[held >> (bits - 6) & 63], 1);
		held &= (1U << bits) - 1;
	}
	if (bits > 0)
		buf_add(out, &digits[held << (6 - bits) & 63], 1);
}

static inline EVP_PKEY *
mint_rsa(unsigned bits)
{
	EVP_PKEY *k = EVP_RSA_gen(bits);

	mint_need(k != NULL, "RSA key");
	return k;
}

static inline EVP_PKEY *
mint_ec(const char *curve)
{
	EVP_PKEY *k = EVP_EC_gen(curve);

	mint_need(k != NULL, "EC key");
	return k;
}

/* A number of a key as base64url, in size bytes at least. */
static inline void
mint_number(struct buf *out, const EVP_PKEY *k, const char *name, size_t size)
{
	unsigned char bytes[MINT_SIGNATURE];
	BIGNUM *n = NULL;

	mint_need(EVP_PKEY_get_bn_param(k, name, &n) == 1, name);
	if (size < (size_t)BN_num_bytes(n))
		size = (size_t)BN_num_bytes(n);
	mint_need(BN_bn2binpad(n, bytes, (int)size) == (int)size, "BN_bn2binpad");
	mint_b64(out, bytes, size);
	BN_free(n);
}

static inline size_t
mint_coordinate(const EVP_PKEY *k)
{
	return ((size_t)EVP_PKEY_get_bits(k) + 7) / 8;
}

/* {"kty":...,...EXTRA}; extra is "" or begins with a comma. */
static inline void
mint_jwk(struct buf *out, const EVP_PKEY *k, const char *extra)
{
	size_t n = mint_coordinate(k);

	if (EVP_PKEY_is_a(k, "RSA")) {
		buf_str(out, "{\"kty\":\"RSA\",\"n\":\"");
		mint_number(out, k, OSSL_PKEY_PARAM_RSA_N, 0);
		buf_str(out, "\",\"e\":\"");
		mint_number(out, k, OSSL_PKEY_PARAM_RSA_E, 0);
	} else {
		buf_fmt(out, "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"", EVP_PKEY_get_bits(k));
		mint_number(out, k, OSSL_PKEY_PARAM_EC_PUB_X, n);
		buf_str(out, "\",\"y\":\"");
		mint_number(out, k, OSSL_PKEY_PARAM_EC_PUB_Y, n);
	}
	buf_fmt(out, "\"%s}", extra);
}

/* r and s of fixed length (RFC 7518 section 3.4) out of DER. */
static inline size_t
mint_ec_raw(const EVP_PKEY *k, const unsigned char *der, size_t n, unsigned char *out)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	int size = (int)mint_coordinate(k);

	mint_need(sig != NULL, "d2i_ECDSA_SIG");
	mint_need(BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, size) == size &&
		      BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + size, size) == size,
	    "BN_bn2binpad");
	ECDSA_SIG_free(sig);
	return 2 * (size_t)size;
}

/*
 * The signature that alg ("RS256", "PS384", "ES512") asks for, over text; for ES in DER if raw
 * is not wanted.
 */
static inline size_t
mint_sign(EVP_PKEY *k, const char *alg, const char *text, size_t n, int raw,
    unsigned char out[MINT_SIGNATURE])
{
	char digest[8] = "SHA";
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc = NULL;
	unsigned char der[MINT_SIGNATURE];
	size_t len = sizeof(der);

	(void)snprintf(digest, sizeof(digest), "SHA%s", alg + 2);
	mint_need(c != NULL && EVP_DigestSignInit_ex(c, &pc, digest, NULL, NULL, k, NULL) == 1,
	    "EVP_DigestSignInit_ex");
	if (alg[0] == 'P')
		mint_need(EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 &&
			      EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) == 1,
		    "PSS");
	mint_need(EVP_DigestSign(c, der, &len, (const unsigned char *)text, n) == 1,
	    "EVP_DigestSign");
	EVP_MD_CTX_free(c);
	if (alg[0] == 'E' && raw)
		return mint_ec_raw(k, der, len, out);
	memcpy(out, der, len);
	return len;
}

/* HMAC with any bytes for a key. */
static inline size_t
mint_mac(const char *alg, const void *key, size_t keylen, const char *text, size_t n,
    unsigned char out[MINT_SIGNATURE])
{
	char digest[8];
	unsigned len = 0;

	(void)snprintf(digest, sizeof(digest), "SHA%s", alg + 2);
	mint_need(HMAC(EVP_get_digestbyname(digest), key, (int)keylen,
		      (const unsigned char *)text, n, out, &len) != NULL,
	    "HMAC");
	return len;
}

/* "header.claims", each base64url. */
static inline void
mint_input(struct buf *out, const char *header, const char *claims)
{
	buf_clear(out);
	mint_b64(out, header, strlen(header));
	buf_str(out, ".");
	mint_b64(out, claims, strlen(claims));
}

/* Sign what is in out, a header and claims, and put the signature behind it. */
static inline void
mint_seal(struct buf *out, EVP_PKEY *k, const char *alg)
{
	unsigned char signature[MINT_SIGNATURE];
	size_t n = mint_sign(k, alg, buf_text(out), out->n, 1, signature);

	buf_str(out, ".");
	mint_b64(out, signature, n);
	mint_need(!out->broken, "room for a token");
}

/* A token of the header and claims as they are, signed as alg asks, whatever the header says.
 */
static inline void
mint_token(
    struct buf *out, EVP_PKEY *k, const char *alg, const char *header, const char *claims)
{
	mint_input(out, header, claims);
	mint_seal(out, k, alg);
}

/* The curve or kind of key that alg signs with. */
static inline EVP_PKEY *
mint_key(const char *alg)
{
	if (alg[0] != 'E')
		return mint_rsa(2048);
	return mint_ec(alg[2] == '2' ? "P-256" : alg[2] == '3' ? "P-384" : "P-521");
}

#endif
