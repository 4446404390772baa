/*
 * SPDX-License-Identifier: ISC
 *
 * crypto - certificates, digests and signatures.  The only user of OpenSSL.
 *
 * Keys made here are for trying things out: they live as long as the folder
 * they are written to and prove nothing to anybody else.
 */
#include "config.h"

#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "crypto.h"
#include "util.h"

#define CERT_DAYS 397
#define PEM_MAX 8192
#define DIGEST_STEP 65536

#define LEAF_SAN                                                                               \
	"DNS:localhost,DNS:*.localhost,DNS:api.localhost,DNS:documents.localhost,"             \
	"IP:127.0.0.1,IP:::1"

static bool
cert_extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	if ((ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) == NULL)
		return false;
	ok = X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

/* Unsigned certificate with a random serial number, valid from an hour ago. */
static X509 *
cert_blank(const char *cn, EVP_PKEY *key)
{
	unsigned char r[8];
	X509 *x = X509_new();
	X509_NAME *name;
	uint64_t serial;

	if (x == NULL || RAND_bytes(r, sizeof(r)) != 1)
		goto bad;
	memcpy(&serial, r, sizeof(serial));
	name = X509_get_subject_name(x);
	if (X509_set_version(x, 2) == 1 &&
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), (serial >> 1) | 1) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(x), CERT_DAYS, 0, NULL) != NULL &&
	    X509_set_pubkey(x, key) == 1 &&
	    X509_NAME_add_entry_by_txt(
		name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0) == 1)
		return x;
bad:
	X509_free(x);
	return NULL;
}

static X509 *
cert_authority(EVP_PKEY *key)
{
	X509 *x = cert_blank("arken-sandbox test authority", key);

	if (x != NULL && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	    cert_extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    cert_extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    cert_extend(x, x, NID_subject_key_identifier, "hash") &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static X509 *
cert_leaf(EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
	X509 *x = cert_blank("localhost", key);

	if (x != NULL && X509_set_issuer_name(x, X509_get_subject_name(ca)) == 1 &&
	    cert_extend(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    cert_extend(x, ca, NID_key_usage, "critical,digitalSignature") &&
	    cert_extend(x, ca, NID_ext_key_usage, "serverAuth") &&
	    cert_extend(x, ca, NID_subject_alt_name, LEAF_SAN) &&
	    cert_extend(x, ca, NID_subject_key_identifier, "hash") &&
	    cert_extend(x, ca, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(x, ca_key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

/* Exactly one of x and key is given. */
static char *
cert_pem(X509 *x, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *out = NULL, *p = NULL;
	long n;

	if (bio == NULL)
		return NULL;
	if ((x != NULL ? PEM_write_bio_X509(bio, x)
		       : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) == 1 &&
	    (n = BIO_get_mem_data(bio, &p)) > 0 && n < PEM_MAX) {
		out = mem_new((size_t)n + 1, 1);
		memcpy(out, p, (size_t)n);
	}
	BIO_free(bio);
	return out;
}

bool
cert_make(struct cert *c)
{
	EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
	X509 *ca = NULL, *leaf = NULL;
	bool ok;

	memset(c, 0, sizeof(*c));
	ok = ca_key != NULL && key != NULL && (ca = cert_authority(ca_key)) != NULL &&
	     (leaf = cert_leaf(key, ca, ca_key)) != NULL &&
	     (c->ca = cert_pem(ca, NULL)) != NULL && (c->leaf = cert_pem(leaf, NULL)) != NULL &&
	     (c->key = cert_pem(NULL, key)) != NULL;
	X509_free(ca);
	X509_free(leaf);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	if (!ok)
		cert_free(c);
	return ok;
}

void
cert_free(struct cert *c)
{
	if (c->key != NULL)
		OPENSSL_cleanse(c->key, strlen(c->key));
	free(c->ca);
	free(c->leaf);
	free(c->key);
	memset(c, 0, sizeof(*c));
}

static bool
digest_end(EVP_MD_CTX *ctx, char *out)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0, i;

	if (EVP_DigestFinal_ex(ctx, md, &n) != 1)
		return false;
	for (i = 0; i < n; i++)
		snprintf(out + (size_t)i * 2, 3, "%02x", md[i]);
	return true;
}

bool
digest(
    crypto_read *read, const void *ctx, uint64_t size, char sha[SHA_SIZE], char md5[MD5_SIZE])
{
	EVP_MD_CTX *a = EVP_MD_CTX_new(), *b = EVP_MD_CTX_new();
	char *step = mem_new(DIGEST_STEP, 1);
	uint64_t off = 0;
	size_t n;
	bool ok;

	ok = a != NULL && b != NULL && EVP_DigestInit_ex(a, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestInit_ex(b, EVP_md5(), NULL) == 1;
	while (ok && off < size) {
		n = read(ctx, off, step, DIGEST_STEP);
		ok = n > 0 && EVP_DigestUpdate(a, step, n) == 1 &&
		     EVP_DigestUpdate(b, step, n) == 1;
		off += n;
	}
	ok = ok && digest_end(a, sha) && digest_end(b, md5);
	EVP_MD_CTX_free(a);
	EVP_MD_CTX_free(b);
	free(step);
	return ok;
}

bool
sign_hex(const char *key, const char *text, char out[SHA_SIZE])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0, i;

	out[0] = '\0';
	if (HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, strlen(text),
		md, &n) == NULL)
		return false;
	for (i = 0; i < n; i++)
		snprintf(out + (size_t)i * 2, 3, "%02x", md[i]);
	return true;
}

bool
text_same(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}
