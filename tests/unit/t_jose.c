/*
 * SPDX-License-Identifier: ISC
 *
 * t_jose - which key of a set may be used for which token, and does it verify.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "jose.h"
#include "jwt.h"
#include "mint.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 7515 appendix A and RFC 7520 sections 3 and 4: their keys, and what these signed. */
#define JOE                                                                                    \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"                     \
	"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define BILBO "bilbo.baggins@hobbiton.example"
#define DANGEROUS                                                                              \
	"SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0" \
	"ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5v" \
	"IGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
#define BILBO_RSA                                                                              \
	"{\"kty\":\"RSA\",\"kid\":\"" BILBO "\",\"use\":\"sig\",\"e\":\"AQAB\","               \
	"\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7" \
	"nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBord" \
	"aZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrt" \
	"IQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQ" \
	"kqgc5gHdrNP5zw\"}"

static const struct vector {
	const char *name, *jwk, *kid, *token;
	enum jwt_alg alg;
	size_t signature;
} vectors[] = {
    {"RFC 7515 A.2",
	"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbj"
	"i9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOW"
	"vG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTB"
	"EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
	"h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}",
	"",
	"eyJhbGciOiJSUzI1NiJ9." JOE
	".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
	"AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
	"BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
	"0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
	"hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
	"p0igcN_IoypGlUPQGe77Rw",
	JWT_RS256, 256},
    {"RFC 7515 A.3",
	"{\"kty\":\"EC\",\"crv\":\"P-256\","
	"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	"",
	"eyJhbGciOiJFUzI1NiJ9." JOE
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
	"pmWQxfKTUJqPP3-Kg6NU1Q",
	JWT_ES256, 64},
    {"RFC 7515 A.4",
	"{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrj"
	"cBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6"
	"jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
	"",
	"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA."
	"AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZq"
	"wqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8Kp"
	"EHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
	JWT_ES512, 132},
    {"RFC 7520 4.1", BILBO_RSA, BILBO,
	"eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." DANGEROUS
	".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996"
	"ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1"
	"uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUA"
	"hb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y1"
	"8kDquDg",
	JWT_RS256, 256},
    {"RFC 7520 4.2", BILBO_RSA, BILBO,
	"eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." DANGEROUS
	".cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDq"
	"HCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVF"
	"n442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI"
	"0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM"
	"-X72Eaw",
	JWT_PS384, 256},
    {"RFC 7520 4.3",
	"{\"kty\":\"EC\",\"kid\":\"" BILBO
	"\",\"use\":\"sig\",\"crv\":\"P-521\",\"x\":\"AHKZLLOs"
	"COzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt\","
	"\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9c"
	"wlGfP-HqHZR1\"}",
	BILBO,
	"eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." DANGEROUS
	".AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2c"
	"mL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoR"
	"uBomu9xQ2",
	JWT_ES512, 132}};

static EVP_PKEY *rsa, *rsa_long, *rsa_short, *ec[3];
static struct err err;

static struct jose *
set_of(const char *list)
{
	struct buf b = BUF_INIT(JOSE_SET);
	struct jose *k;

	buf_fmt(&b, "{\"keys\":[%s]}", list);
	if (jose_parse(b.p, b.n, &k, &err) != RC_OK)
		fail_msg("%s", err.text);
	buf_free(&b);
	return k;
}

/* What becomes of the one member of a set. */
static void
fate(const char *jwk, enum jose_fate want)
{
	struct jose *k = set_of(jwk);

	for (int f = 0; f < JOSE_FATES; f++)
		if (jose_count(k, (enum jose_fate)f) != (f == (int)want))
			fail_msg("%s: %zu %s", jwk, jose_count(k, (enum jose_fate)f),
			    jose_fate_name((enum jose_fate)f));
	jose_free(&k);
}

static void
fate_of(const EVP_PKEY *key, const char *extra, enum jose_fate want)
{
	struct buf b = BUF_INIT(8192);

	mint_jwk(&b, key, extra);
	fate(b.p, want);
	buf_free(&b);
}

static size_t
signature_size(const EVP_PKEY *key)
{
	return EVP_PKEY_is_a(key, "RSA") ? (size_t)EVP_PKEY_get_bits(key) / 8
					 : 2 * mint_coordinate(key);
}

/* Sign with key as alg asks, and verify with a set of one member, the key and extra. */
static enum rc
verified_by(
    EVP_PKEY *key, const char *alg, const char *kid, const EVP_PKEY *listed, const char *extra)
{
	struct buf jwk = BUF_INIT(8192), token = BUF_INIT(MINT_TOKEN);
	struct jwt t = {.signature = signature_size(key)};
	char header[64];
	struct jose *k;
	enum rc rc;

	(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", alg);
	(void)snprintf(t.kid, sizeof(t.kid), "%s", kid);
	assert_true(jwt_alg_find(alg, &t.alg));
	mint_jwk(&jwk, listed, extra);
	mint_token(&token, key, alg, header, "{}");
	k = set_of(jwk.p);
	rc = jose_verify(k, token.p, token.n, &t, &err);
	jose_free(&k);
	buf_free(&token);
	buf_free(&jwk);
	return rc;
}

static void
test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		const struct vector *v = &vectors[i];
		struct jwt t = {.alg = v->alg, .signature = v->signature};
		struct jose *k = set_of(v->jwk);
		char token[2048];
		size_t n = strlen(v->token);

		(void)snprintf(t.kid, sizeof(t.kid), "%s", v->kid);
		if (jose_verify(k, v->token, n, &t, &err) != RC_OK)
			fail_msg("%s: %s", v->name, err.text);
		/* One letter of the claims, and of the signature. */
		for (int at = 0; at < 2; at++) {
			memcpy(token, v->token, n);
			token[at == 0 ? 80 - 50 * (v->alg == JWT_ES512) : n - 20] ^= 1;
			assert_int_not_equal(jose_verify(k, token, n, &t, &err), RC_OK);
		}
		jose_free(&k);
	}
}

static void
test_every_algorithm(void **state)
{
	static const char *const algs[] = {
	    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"};

	(void)state;
	for (size_t i = 0; i < COUNT(algs); i++) {
		EVP_PKEY *key = i < 6 ? rsa : ec[i - 6];
		char extra[80];

		assert_int_equal(verified_by(key, algs[i], "", key, ""), RC_OK);
		/* The key may say for what it is: then for that alone. */
		for (size_t j = 0; j < COUNT(algs); j++) {
			(void)snprintf(
			    extra, sizeof(extra), ",\"kid\":\"k\",\"alg\":\"%s\"", algs[j]);
			assert_int_equal(
			    verified_by(key, algs[i], "k", key, extra) == RC_OK, i == j);
		}
		assert_int_equal(
		    verified_by(key, algs[i], "k", key, ",\"kid\":\"k\",\"use\":\"sig\""),
		    RC_OK);
		assert_int_equal(verified_by(key, algs[i], "k", key,
				     ",\"kid\":\"k\",\"key_ops\":[\"sign\",\"verify\"]"),
		    RC_OK);
	}
	assert_int_equal(verified_by(rsa_long, "PS512", "", rsa_long, ""), RC_OK);
}

/* RC_GONE: another set may have the key; RC_DENIED: this one has it, and it did not sign. */
static void
test_which_key(void **state)
{
	(void)state;
	assert_int_equal(verified_by(rsa, "RS256", "k", rsa, ",\"kid\":\"k\""), RC_OK);
	assert_int_equal(verified_by(rsa, "RS256", "", rsa, ",\"kid\":\"k\""), RC_OK);
	assert_int_equal(verified_by(rsa, "RS256", "K", rsa, ",\"kid\":\"k\""), RC_GONE);
	assert_int_equal(verified_by(rsa, "RS256", "k", rsa, ""), RC_GONE);
	assert_int_equal(verified_by(rsa, "RS256", "k", rsa, ",\"kid\":\"kk\""), RC_GONE);
	assert_int_equal(verified_by(rsa, "RS256", "k", rsa_long, ",\"kid\":\"k\""), RC_DENIED);
	assert_int_equal(verified_by(rsa, "RS256", "k", ec[0], ",\"kid\":\"k\""), RC_DENIED);
	assert_int_equal(verified_by(ec[0], "ES256", "k", rsa, ",\"kid\":\"k\""), RC_DENIED);
	assert_int_equal(verified_by(ec[1], "ES384", "k", ec[0], ",\"kid\":\"k\""), RC_DENIED);
	assert_int_equal(verified_by(rsa, "RS256", "", rsa_long, ""), RC_GONE);
	/* Signed with the right key in another way than the header says. */
	assert_int_equal(verified_by(ec[0], "ES256", "k", ec[0], ",\"kid\":\"k\""), RC_OK);
}

static void
test_several_keys(void **state)
{
	struct buf list = BUF_INIT(JOSE_SET), token = BUF_INIT(MINT_TOKEN);
	struct jwt t = {.alg = JWT_RS256, .signature = 256, .kid = "same"};
	struct jose *k;

	(void)state;
	/* Two of one name: either may have signed. */
	mint_jwk(&list, ec[0], ",\"kid\":\"same\"");
	buf_str(&list, ",");
	mint_jwk(&list, rsa_long, ",\"kid\":\"same\"");
	buf_str(&list, ",");
	mint_jwk(&list, rsa, ",\"kid\":\"same\"");
	k = set_of(list.p);
	assert_int_equal(jose_count(k, JOSE_USABLE), 3);
	mint_token(&token, rsa, "RS256", "{\"alg\":\"RS256\"}", "{}");
	assert_int_equal(jose_verify(k, token.p, token.n, &t, &err), RC_OK);
	t.kid[0] = '\0';
	assert_int_equal(jose_verify(k, token.p, token.n, &t, &err), RC_OK);
	t.signature = 255;
	assert_int_equal(jose_verify(k, token.p, token.n, &t, &err), RC_GONE);
	jose_free(&k);
	buf_free(&token);
	buf_free(&list);
}

/* Without a kid JOSE_TRIES keys are tried, of a set of JOSE_KEYS at most. */
static void
test_bounds(void **state)
{
	struct buf list = BUF_INIT(JOSE_SET), token = BUF_INIT(MINT_TOKEN);
	struct jwt t = {.alg = JWT_ES256, .signature = 64};
	EVP_PKEY *other = mint_ec("P-256");
	char extra[32];
	struct jose *k;

	(void)state;
	mint_token(&token, ec[0], "ES256", "{\"alg\":\"ES256\"}", "{}");
	for (int before = JOSE_TRIES - 1; before <= JOSE_TRIES; before++) {
		buf_clear(&list);
		for (int i = 0; i < JOSE_KEYS + 5; i++) {
			(void)snprintf(extra, sizeof(extra), ",\"kid\":\"k%d\"", i);
			buf_str(&list, i > 0 ? "," : "");
			mint_jwk(&list, i == before ? ec[0] : other, extra);
		}
		k = set_of(list.p);
		assert_int_equal(jose_count(k, JOSE_USABLE), JOSE_KEYS);
		assert_int_equal(jose_count(k, JOSE_TOO_MANY), 5);
		assert_int_equal(jose_verify(k, token.p, token.n, &t, &err),
		    before < JOSE_TRIES ? RC_OK : RC_GONE);
		(void)snprintf(t.kid, sizeof(t.kid), "k%d", before);
		assert_int_equal(jose_verify(k, token.p, token.n, &t, &err), RC_OK);
		(void)snprintf(t.kid, sizeof(t.kid), "k%d", JOSE_KEYS);
		assert_int_equal(jose_verify(k, token.p, token.n, &t, &err), RC_GONE);
		t.kid[0] = '\0';
		jose_free(&k);
	}
	EVP_PKEY_free(other);
	buf_free(&token);
	buf_free(&list);
}

static void
test_fates(void **state)
{
	(void)state;
	fate_of(rsa, "", JOSE_USABLE);
	fate_of(rsa, ",\"x5c\":[7],\"more\":{}", JOSE_USABLE);
	fate("7", JOSE_NO_KEY);
	fate("{}", JOSE_NO_KEY);
	fate("{\"kty\":7}", JOSE_NO_KEY);
	fate("null", JOSE_NO_KEY);
	fate("{\"kty\":\"oct\",\"k\":\"AAAA\"}", JOSE_OTHER_KTY);
	fate("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", JOSE_OTHER_KTY);
	fate("{\"kty\":\"rsa\"}", JOSE_OTHER_KTY);
	fate_of(rsa, ",\"d\":\"AAAA\"", JOSE_PRIVATE);
	fate_of(ec[0], ",\"d\":null", JOSE_PRIVATE);
	fate_of(rsa, ",\"use\":\"enc\"", JOSE_OTHER_USE);
	fate_of(rsa, ",\"use\":null", JOSE_OTHER_USE);
	fate_of(rsa, ",\"use\":[\"sig\"]", JOSE_OTHER_USE);
	fate_of(rsa, ",\"key_ops\":[\"sign\"]", JOSE_OTHER_USE);
	fate_of(rsa, ",\"key_ops\":[]", JOSE_OTHER_USE);
	fate_of(rsa, ",\"key_ops\":\"verify\"", JOSE_OTHER_USE);
	fate_of(rsa, ",\"use\":\"enc\",\"key_ops\":[\"verify\"]", JOSE_OTHER_USE);
	fate_of(rsa, ",\"alg\":\"ES256\"", JOSE_OTHER_ALG);
	fate_of(rsa, ",\"alg\":\"RSA-OAEP\"", JOSE_OTHER_ALG);
	fate_of(rsa, ",\"alg\":\"HS256\"", JOSE_OTHER_ALG);
	fate_of(rsa, ",\"alg\":\"none\"", JOSE_OTHER_ALG);
	fate_of(rsa, ",\"alg\":null", JOSE_OTHER_ALG);
	fate_of(ec[0], ",\"alg\":\"ES384\"", JOSE_OTHER_ALG);
	fate_of(ec[0], ",\"alg\":\"RS256\"", JOSE_OTHER_ALG);
	fate_of(rsa, ",\"kid\":\"\"", JOSE_BAD_KID);
	fate_of(rsa, ",\"kid\":7", JOSE_BAD_KID);
	fate_of(rsa, ",\"kid\":null", JOSE_BAD_KID);
	fate_of(rsa_short, "", JOSE_BAD_SIZE);
	fate_of(rsa_long, "", JOSE_USABLE);
}

/* A key out of numbers that mint did not make. */
static void
rsa_fate(const char *n, const char *e, enum jose_fate want)
{
	struct buf b = BUF_INIT(8192);

	buf_fmt(&b, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", n, e);
	fate(b.p, want);
	buf_free(&b);
}

static void
test_rsa_numbers(void **state)
{
	struct buf n = BUF_INIT(8192);
	unsigned char bytes[2 * JOSE_RSA_MAX / 8 + 8];

	(void)state;
	mint_number(&n, rsa, OSSL_PKEY_PARAM_RSA_N, 0);
	rsa_fate(n.p, "AQAB", JOSE_USABLE);
	rsa_fate(n.p, "Aw", JOSE_USABLE);
	rsa_fate(n.p, "AAEAAQ", JOSE_USABLE); /* a zero before it */
	rsa_fate(n.p, "AQ", JOSE_BROKEN);     /* 1: everybody could sign */
	rsa_fate(n.p, "AAAB", JOSE_BROKEN);
	rsa_fate(n.p, "AA", JOSE_BROKEN);
	rsa_fate(n.p, "Ag", JOSE_BROKEN);
	rsa_fate(n.p, "", JOSE_BROKEN);
	rsa_fate(n.p, "AQAB=", JOSE_BROKEN);
	rsa_fate(n.p, "AQAAAAAAAAAB", JOSE_BROKEN); /* nine bytes */
	rsa_fate("", "AQAB", JOSE_BROKEN);
	rsa_fate("AAAA", "AQAB", JOSE_BROKEN);
	rsa_fate("AQAB", "AQAB", JOSE_BAD_SIZE);
	buf_str(&n, "=");
	rsa_fate(n.p, "AQAB", JOSE_BROKEN);
	memset(bytes, 0xff, sizeof(bytes));
	buf_clear(&n);
	mint_b64(&n, bytes, JOSE_RSA_MAX / 8);
	rsa_fate(n.p, "AQAB", JOSE_USABLE);
	buf_clear(&n);
	mint_b64(&n, bytes, JOSE_RSA_MAX / 8 + 1);
	rsa_fate(n.p, "AQAB", JOSE_BAD_SIZE);
	buf_clear(&n);
	bytes[0] = 0x7f; /* 2047 bits */
	mint_b64(&n, bytes, JOSE_RSA_MIN / 8);
	rsa_fate(n.p, "AQAB", JOSE_BAD_SIZE);
	buf_clear(&n);
	bytes[0] = 0xff;
	bytes[JOSE_RSA_MIN / 8 - 1] = 0xfe; /* even */
	mint_b64(&n, bytes, JOSE_RSA_MIN / 8);
	rsa_fate(n.p, "AQAB", JOSE_BROKEN);
	buf_free(&n);
}

static void
ec_fate(const char *crv, const char *x, const char *y, enum jose_fate want)
{
	struct buf b = BUF_INIT(8192);

	buf_fmt(&b, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", crv, x, y);
	fate(b.p, want);
	buf_free(&b);
}

static void
test_ec_numbers(void **state)
{
	struct buf x = BUF_INIT(256), y = BUF_INIT(256), wide = BUF_INIT(256);

	(void)state;
	mint_number(&x, ec[0], OSSL_PKEY_PARAM_EC_PUB_X, 32);
	mint_number(&y, ec[0], OSSL_PKEY_PARAM_EC_PUB_Y, 32);
	mint_number(&wide, ec[0], OSSL_PKEY_PARAM_EC_PUB_X, 33);
	ec_fate("P-256", x.p, y.p, JOSE_USABLE);
	ec_fate("P-256", y.p, x.p, JOSE_BROKEN); /* not a point of the curve */
	ec_fate("P-256", x.p, x.p, JOSE_BROKEN);
	ec_fate("P-256", wide.p, y.p, JOSE_BROKEN);
	ec_fate("P-256", x.p, "", JOSE_BROKEN);
	ec_fate("P-384", x.p, y.p, JOSE_BROKEN);
	ec_fate("p-256", x.p, y.p, JOSE_OTHER_CURVE);
	ec_fate("P-192", x.p, y.p, JOSE_OTHER_CURVE);
	ec_fate("secp256k1", x.p, y.p, JOSE_OTHER_CURVE);
	ec_fate("Ed25519", x.p, y.p, JOSE_OTHER_CURVE);
	ec_fate("", x.p, y.p, JOSE_OTHER_CURVE);
	fate("{\"kty\":\"EC\",\"crv\":null}", JOSE_OTHER_CURVE);
	fate("{\"kty\":\"EC\",\"crv\":\"P-256\"}", JOSE_BROKEN);
	buf_free(&x);
	buf_free(&y);
	buf_free(&wide);
}

static void
test_sets(void **state)
{
	static const char *const list[] = {"", "[]", "7", "{}", "{\"keys\":{}}",
	    "{\"keys\":null}", "{\"Keys\":[]}", "{\"keys\":[],\"keys\":[]}", "{\"keys\":[]}x"};
	struct buf b = BUF_INIT(JOSE_SET + 100);
	struct jose *k;

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		assert_int_equal(jose_parse(list[i], strlen(list[i]), &k, &err), RC_BAD);
		assert_null(k);
		assert_memory_equal(err.text, "key set: ", 9);
	}
	k = set_of("");
	assert_int_equal(jose_count(k, JOSE_USABLE), 0);
	jose_free(&k);
	jose_free(&k);
	buf_str(&b, "{\"keys\":[]}");
	while (b.n < JOSE_SET)
		buf_str(&b, " ");
	assert_int_equal(jose_parse(b.p, b.n, &k, &err), RC_OK);
	jose_free(&k);
	buf_str(&b, " ");
	assert_int_equal(jose_parse(b.p, b.n, &k, &err), RC_BAD);
	buf_free(&b);
}

static int
setup(void **state)
{
	(void)state;
	rsa = mint_rsa(2048);
	rsa_long = mint_rsa(3072);
	rsa_short = mint_rsa(1024);
	ec[0] = mint_ec("P-256");
	ec[1] = mint_ec("P-384");
	ec[2] = mint_ec("P-521");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(rsa_long);
	EVP_PKEY_free(rsa_short);
	for (int i = 0; i < 3; i++)
		EVP_PKEY_free(ec[i]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_every_algorithm), cmocka_unit_test(test_which_key),
	    cmocka_unit_test(test_several_keys), cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_fates), cmocka_unit_test(test_rsa_numbers),
	    cmocka_unit_test(test_ec_numbers), cmocka_unit_test(test_sets)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
