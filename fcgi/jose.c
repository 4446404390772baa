/*
 * SPDX-License-Identifier: ISC
 *
 * jose - an issuer's keys; see jose.h.
 */
#include "config.h"

#include <cjose/cjose.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "b64url.h"
#include "buf.h"
#include "jose.h"
#include "json.h"
#include "str.h"

#define EXPONENT_MAX 8 /* bytes of e: OpenSSL takes no more with a long modulus */
#define ANY_ALG (-1)

struct key {
	char kid[JWT_KID + 1]; /* "": none */
	bool fits[JWT_ALGS];   /* may it verify this algorithm */
	size_t signature;      /* bytes that a signature by it has */
	cjose_jwk_t *jwk;
};

struct jose {
	struct key keys[JOSE_KEYS];
	size_t count;
	size_t fates[JOSE_FATES];
};

static const struct curve {
	const char *name;
	size_t bytes; /* of a coordinate (RFC 7518 section 6.2.1.2) */
	enum jwt_alg alg;
} curves[] = {{"P-256", 32, JWT_ES256}, {"P-384", 48, JWT_ES384}, {"P-521", 66, JWT_ES512}};

const char *
jose_fate_name(enum jose_fate fate)
{
	static const char *const names[JOSE_FATES] = {[JOSE_USABLE] = "usable",
	    [JOSE_NO_KEY] = "no-key",
	    [JOSE_OTHER_KTY] = "other-kty",
	    [JOSE_PRIVATE] = "private",
	    [JOSE_OTHER_USE] = "other-use",
	    [JOSE_OTHER_ALG] = "other-alg",
	    [JOSE_OTHER_CURVE] = "other-curve",
	    [JOSE_BAD_KID] = "bad-kid",
	    [JOSE_BAD_SIZE] = "bad-size",
	    [JOSE_BROKEN] = "broken",
	    [JOSE_TOO_MANY] = "too-many"};

	return names[fate];
}

/* RFC 7517 sections 4.2 and 4.3: what is not said is allowed. */
static bool
may_verify(const struct json *jwk)
{
	const struct json *use = json_get(jwk, "use"), *ops = json_get(jwk, "key_ops");
	bool found = ops == NULL;

	if (use != NULL && (json_string(use) == NULL || !str_eq(json_string(use), "sig")))
		return false;
	if (ops != NULL && json_type(ops) != JSON_ARRAY)
		return false;
	for (const struct json *v = ops != NULL ? json_first(ops) : NULL; v != NULL;
	     v = json_next(v))
		found = found || (json_string(v) != NULL && str_eq(json_string(v), "verify"));
	return found;
}

/* The one algorithm a key is for, ANY_ALG if it does not say; false: none of ours. */
static bool
read_alg(const struct json *jwk, int *alg)
{
	const struct json *v = json_get(jwk, "alg");
	enum jwt_alg found;

	*alg = ANY_ALG;
	if (v == NULL)
		return true;
	if (json_string(v) == NULL || !jwt_alg_find(json_string(v), &found))
		return false;
	*alg = (int)found;
	return true;
}

/* The key may do alg if that is what it is for. */
static bool
key_allow(struct key *k, int only, enum jwt_alg alg)
{
	k->fits[alg] = only == ANY_ALG || only == (int)alg;
	return k->fits[alg];
}

/*
 * A number of the key as bytes, without zeros before it; 0: not one, or longer than size.
 */
static size_t
read_number(const struct json *jwk, const char *name, unsigned char *out, size_t size)
{
	const char *text = json_string(json_get(jwk, name));
	size_t n, zeros = 0;

	if (text == NULL || !b64url_decode(text, strlen(text), out, size, &n))
		return 0;
	while (zeros < n && out[zeros] == 0)
		zeros++;
	memmove(out, out + zeros, n - zeros);
	return n - zeros;
}

/* cjose says "no memory" of a point that is not on its curve too: its reason decides nothing.
 */
static enum jose_fate
import(struct key *k, const struct buf *text, enum rc *rc)
{
	if (text->broken)
		*rc = RC_LATER;
	else
		k->jwk = cjose_jwk_import(buf_text(text), text->n, NULL);
	return k->jwk != NULL ? JOSE_USABLE : JOSE_BROKEN;
}

/* Only what was checked here is given to cjose. */
static enum jose_fate
read_rsa(const struct json *jwk, int only, struct key *k, enum rc *rc)
{
	unsigned char n[2 * JOSE_RSA_MAX / 8 + 1], e[EXPONENT_MAX + 1];
	size_t nlen = read_number(jwk, "n", n, sizeof(n));
	size_t elen = read_number(jwk, "e", e, sizeof(e)), bits = nlen * 8;
	struct buf text = BUF_INIT(JOSE_RSA_MAX);
	enum jose_fate fate;
	bool any = false;

	for (int a = JWT_RS256; a <= JWT_PS512; a++)
		any = key_allow(k, only, (enum jwt_alg)a) || any;
	if (!any)
		return JOSE_OTHER_ALG;
	for (unsigned top = 0x80; nlen > 0 && top > 0 && (n[0] & top) == 0; top >>= 1)
		bits--;
	if (nlen == 0 || (n[nlen - 1] & 1) == 0)
		return JOSE_BROKEN;
	if (bits < JOSE_RSA_MIN || bits > JOSE_RSA_MAX)
		return JOSE_BAD_SIZE;
	/* With e = 1 anybody could sign. */
	if (elen == 0 || elen > EXPONENT_MAX || (e[elen - 1] & 1) == 0 ||
	    (elen == 1 && e[0] == 1))
		return JOSE_BROKEN;
	buf_fmt(&text, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}",
	    json_string(json_get(jwk, "n")), json_string(json_get(jwk, "e")));
	k->signature = nlen;
	fate = import(k, &text, rc);
	buf_free(&text);
	return fate;
}

static bool
is_coordinate(const struct json *jwk, const char *name, size_t bytes)
{
	unsigned char out[66];
	const char *text = json_string(json_get(jwk, name));
	size_t n;

	return text != NULL && b64url_decode(text, strlen(text), out, sizeof(out), &n) &&
	       n == bytes;
}

static enum jose_fate
read_ec(const struct json *jwk, int only, struct key *k, enum rc *rc)
{
	const char *crv = json_string(json_get(jwk, "crv"));
	struct buf text = BUF_INIT(1024);
	const struct curve *c = NULL;
	enum jose_fate fate;

	for (size_t i = 0; crv != NULL && i < sizeof(curves) / sizeof(curves[0]); i++)
		if (str_eq(curves[i].name, crv))
			c = &curves[i];
	if (c == NULL)
		return JOSE_OTHER_CURVE;
	if (!key_allow(k, only, c->alg))
		return JOSE_OTHER_ALG;
	if (!is_coordinate(jwk, "x", c->bytes) || !is_coordinate(jwk, "y", c->bytes))
		return JOSE_BROKEN;
	buf_fmt(&text, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", crv,
	    json_string(json_get(jwk, "x")), json_string(json_get(jwk, "y")));
	k->signature = 2 * c->bytes; /* RFC 7518 section 3.4 */
	fate = import(k, &text, rc);
	buf_free(&text);
	return fate;
}

static enum jose_fate
read_key(const struct json *jwk, struct key *k, enum rc *rc)
{
	const char *kty = json_string(json_get(jwk, "kty"));
	const struct json *kid = json_get(jwk, "kid");
	int only;

	*k = (struct key){0};
	if (kty == NULL)
		return JOSE_NO_KEY;
	if (!str_eq(kty, "RSA") && !str_eq(kty, "EC"))
		return JOSE_OTHER_KTY;
	if (json_get(jwk, "d") != NULL)
		return JOSE_PRIVATE;
	if (!may_verify(jwk))
		return JOSE_OTHER_USE;
	if (!read_alg(jwk, &only))
		return JOSE_OTHER_ALG;
	if (kid != NULL && (json_string(kid) == NULL || json_string(kid)[0] == '\0' ||
			       !str_copy(k->kid, sizeof(k->kid), json_string(kid))))
		return JOSE_BAD_KID;
	return str_eq(kty, "RSA") ? read_rsa(jwk, only, k, rc) : read_ec(jwk, only, k, rc);
}

static enum rc
read_keys(const struct json *list, struct jose *k, struct err *e)
{
	enum rc rc = RC_OK;
	size_t seen = 0;

	for (const struct json *v = json_first(list); v != NULL && rc == RC_OK;
	     v = json_next(v)) {
		enum jose_fate fate = JOSE_TOO_MANY;

		if (seen++ < JOSE_KEYS)
			fate = read_key(v, &k->keys[k->count], &rc);
		k->fates[fate]++;
		k->count += fate == JOSE_USABLE;
	}
	return rc == RC_OK ? rc : err_set(e, rc, "key set: no memory");
}

enum rc
jose_parse(const char *p, size_t n, struct jose **out, struct err *e)
{
	const struct json *list;
	struct json *doc = NULL;
	struct jose *k = NULL;
	enum rc rc;

	*out = NULL;
	if (n > JOSE_SET)
		return err_set(e, RC_BAD, "key set: longer than %d bytes", JOSE_SET);
	if ((rc = json_parse(p, n, &doc, e)) != RC_OK) {
		err_prefix(e, "key set");
		return rc;
	}
	list = json_get(doc, "keys");
	if (json_type(doc) != JSON_OBJECT || json_type(list) != JSON_ARRAY)
		rc = err_set(e, RC_BAD, "key set: no array \"keys\"");
	else if ((k = calloc(1, sizeof(*k))) == NULL)
		rc = err_set(e, RC_LATER, "key set: no memory");
	else
		rc = read_keys(list, k, e);
	if (rc != RC_OK)
		jose_free(&k);
	json_free(&doc);
	*out = k;
	return rc;
}

void
jose_free(struct jose **k)
{
	if (*k == NULL)
		return;
	for (size_t i = 0; i < (*k)->count; i++)
		(void)cjose_jwk_release((*k)->keys[i].jwk);
	free(*k);
	*k = NULL;
}

size_t
jose_count(const struct jose *k, enum jose_fate fate)
{
	return k->fates[fate];
}

/* One key, one token.  RC_DENIED: it did not sign it. */
static enum rc
try_key(const struct key *key, const char *token, size_t n)
{
	cjose_err why = {.code = CJOSE_ERR_NONE};
	cjose_jws_t *jws = cjose_jws_import(token, n, &why);
	bool good = jws != NULL && cjose_jws_verify(jws, key->jwk, &why);

	cjose_jws_release(jws);
	if (good)
		return RC_OK;
	return why.code == CJOSE_ERR_NO_MEMORY ? RC_LATER : RC_DENIED;
}

enum rc
jose_verify(
    const struct jose *k, const char *token, size_t n, const struct jwt *t, struct err *e)
{
	enum rc rc = RC_DENIED;
	size_t tries = 0;
	bool named = false;

	for (size_t i = 0; i < k->count && rc == RC_DENIED && tries < JOSE_TRIES; i++) {
		const struct key *key = &k->keys[i];

		if (t->kid[0] != '\0' && !str_eq(key->kid, t->kid))
			continue;
		named = named || t->kid[0] != '\0';
		if (!key->fits[t->alg] || key->signature != t->signature)
			continue;
		tries++;
		rc = try_key(key, token, n);
	}
	if (rc == RC_OK)
		return RC_OK;
	if (rc == RC_LATER)
		return err_set(e, RC_LATER, "signature: no memory");
	if (named)
		return err_set(e, RC_DENIED, "signature: not by the key it names");
	return err_set(e, RC_GONE,
	    t->kid[0] != '\0' ? "kid: no key of the issuer's"
			      : "no key of the issuer's signed it");
}
