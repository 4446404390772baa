/*
 * SPDX-License-Identifier: ISC
 *
 * hash - digests, constant-time comparison and wiping; see hash.h.  The only
 * file that knows OpenSSL.
 */
#include "config.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "str.h"

struct hash {
	EVP_MD_CTX *ctx;
};

enum rc
hash_sha256(const void *p, size_t n, char out[HASH_HEX], struct err *e)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (EVP_Digest(p, n, md, &len, EVP_sha256(), NULL) != 1 || len != 32)
		return err_set(e, RC_LATER, "SHA-256 failed: no memory");
	str_hex(out, md, len);
	return RC_OK;
}

static enum rc
new_digest(struct hash **h, const EVP_MD *md, const char *name, struct err *e)
{
	if ((*h = calloc(1, sizeof(**h))) == NULL)
		return err_set(e, RC_LATER, "%s: no memory", name);
	(*h)->ctx = EVP_MD_CTX_new();
	if ((*h)->ctx == NULL || EVP_DigestInit_ex((*h)->ctx, md, NULL) != 1) {
		hash_free(h);
		return err_set(e, RC_LATER, "%s: no memory, or forbidden here", name);
	}
	return RC_OK;
}

enum rc
hash_new(struct hash **h, struct err *e)
{
	return new_digest(h, EVP_sha256(), "SHA-256", e);
}

enum rc
hash_new_md5(struct hash **h, struct err *e)
{
	return new_digest(h, EVP_md5(), "MD5", e);
}

enum rc
hash_add(struct hash *h, const void *p, size_t n, struct err *e)
{
	if (EVP_DigestUpdate(h->ctx, p, n) != 1)
		return err_set(e, RC_LATER, "a digest failed");
	return RC_OK;
}

enum rc
hash_end(struct hash *h, char out[HASH_HEX], struct err *e)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (EVP_DigestFinal_ex(h->ctx, md, &len) != 1 || len > 32)
		return err_set(e, RC_LATER, "a digest failed");
	str_hex(out, md, len);
	return RC_OK;
}

void
hash_free(struct hash **h)
{
	if (*h == NULL)
		return;
	EVP_MD_CTX_free((*h)->ctx);
	free(*h);
	*h = NULL;
}

enum rc
hash_hmac(const void *key, size_t nkey, const void *p, size_t n, unsigned char out[HASH_MAC],
    struct err *e)
{
	unsigned len = 0;

	if (nkey > INT_MAX || HMAC(EVP_sha256(), key, (int)nkey, p, n, out, &len) == NULL ||
	    len != HASH_MAC)
		return err_set(e, RC_LATER, "HMAC failed: no memory");
	return RC_OK;
}

bool
hash_equal(const void *a, size_t na, const void *b, size_t nb)
{
	unsigned char pa[HASH_EQUAL_MAX] = {0}, pb[HASH_EQUAL_MAX] = {0};
	bool same;

	if (na > sizeof(pa) || nb > sizeof(pb))
		return false;
	if (na > 0)
		memcpy(pa, a, na);
	if (nb > 0)
		memcpy(pb, b, nb);
	/* All of both, so that nothing tells how much of the bytes agree. */
	same = CRYPTO_memcmp(pa, pb, sizeof(pa)) == 0;
	OPENSSL_cleanse(pa, sizeof(pa));
	OPENSSL_cleanse(pb, sizeof(pb));
	return same && na == nb;
}

void
hash_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
