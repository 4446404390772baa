/*
 * SPDX-License-Identifier: ISC
 *
 * t_forged - more than 100,000 forged tokens, of which none may be taken.
 *
 * Each differs from a good one in little: what is wrong is the signature, the key, the header,
 * the claims or the spelling, and where it is not the signature, the issuer's own key signed
 * it.  The good ones are tried as well: a gate that refuses everything is found out too.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <openssl/encoder.h>

#include "bearer.h"
#include "buf.h"
#include "clk.h"
#include "conf.h"
#include "jwt.h"
#include "keyfile.h"
#include "mint.h"
#include "rnd.h"
#include "tmpdir.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1700000000)
#define ISS "https://id.test/"
#define AUD "urn:arken"
#define CLAIMS                                                                                 \
	"{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"arken\",\"iat\":1700000000,"       \
	"\"exp\":1700003600}"
#define LEAST 100000

static const char *const algs[] = {
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"};
static const char *const kids[] = {"r", "r", "r", "r", "r", "r", "e2", "e3", "e5"};

static char dir[TMPDIR_SIZE];
static int keys_fd, ask_fd;
static struct conf conf;
static struct conf_account account;
static struct bearer *bearer;
static EVP_PKEY *rsa, *rsa_other, *rsa_foreign, *ec[3], *ec_other;
static struct rnd rnd;
static size_t tried, taken, good;

static int64_t
wall(void)
{
	return NOW * CLK_SECOND;
}

static EVP_PKEY *
key_of(size_t alg)
{
	return alg < 6 ? rsa : ec[alg - 6];
}

static enum rc
present(const char *token, struct err *e)
{
	char which[BEARER_NAME];

	return bearer_check(bearer, 0, token, which, e);
}

static void
must_refuse(const char *token, const char *what)
{
	struct err e = {0};
	enum rc rc = present(token, &e);

	tried++;
	if (rc == RC_DENIED)
		return;
	taken += rc == RC_OK;
	fail_msg("%s: %s %s: %s", what, err_name(rc), e.text, token);
}

static void
must_take(const char *token, const char *what)
{
	struct err e = {0};

	good++;
	if (present(token, &e) != RC_OK)
		fail_msg("a good token is refused: %s: %s: %s", what, e.text, token);
}

static void
header_of(size_t alg, char out[64])
{
	(void)snprintf(
	    out, 64, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", algs[alg], kids[alg]);
}

/* A good token; a test changes it. */
static void
good_token(struct buf *b, size_t alg)
{
	char header[64];

	header_of(alg, header);
	mint_token(b, key_of(alg), algs[alg], header, CLAIMS);
	must_take(b->p, algs[alg]);
}

/* Signed by the issuer, with header and claims of ours. */
static void
refuse_signed(size_t alg, const char *header, const char *claims)
{
	struct buf b = BUF_INIT(MINT_TOKEN);

	mint_token(&b, key_of(alg), algs[alg], header, claims);
	must_refuse(b.p, header);
	buf_free(&b);
}

/* Header and claims of b, and this for a signature. */
static void
refuse_with(const struct buf *input, const void *signature, size_t n, const char *what)
{
	struct buf b = BUF_INIT(MINT_TOKEN);

	buf_fmt(&b, "%s.", input->p);
	mint_b64(&b, signature, n);
	must_refuse(b.p, what);
	buf_free(&b);
}

static void
signature_bits(void **state)
{
	struct buf b = BUF_INIT(MINT_TOKEN);
	unsigned char s[MINT_SIGNATURE];
	char header[64];

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++) {
		size_t n;

		good_token(&b, a);
		header_of(a, header);
		mint_input(&b, header, CLAIMS);
		n = mint_sign(key_of(a), algs[a], b.p, b.n, 1, s);
		for (size_t i = 0; i < n * 8; i++) {
			s[i / 8] ^= (unsigned char)(1 << i % 8);
			refuse_with(&b, s, n, "one bit of the signature");
			s[i / 8] ^= (unsigned char)(1 << i % 8);
		}
	}
	buf_free(&b);
}

/* Longer, shorter, turned around, nothing but zeros, and in DER. */
static void
signature_forms(void **state)
{
	struct buf b = BUF_INIT(MINT_TOKEN);
	unsigned char s[MINT_SIGNATURE], t[MINT_SIGNATURE];
	char header[64];

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++) {
		size_t n, half;

		header_of(a, header);
		mint_input(&b, header, CLAIMS);
		n = mint_sign(key_of(a), algs[a], b.p, b.n, 1, s);
		half = n / 2;
		for (size_t cut = 1; cut < n; cut++) {
			refuse_with(&b, s, n - cut, "cut");
			refuse_with(&b, s + cut, n - cut, "cut in front");
		}
		for (size_t more = 1; more <= 64; more++) {
			memset(t, 0, sizeof(t));
			memcpy(t, s, n);
			refuse_with(&b, t, n + more, "zeros behind");
			memset(t, 0, sizeof(t));
			memcpy(t + more, s, n);
			refuse_with(&b, t, n + more, "zeros before");
		}
		memcpy(t, s + half, half);
		memcpy(t + half, s, half);
		refuse_with(&b, t, n, "halves exchanged");
		memset(t, 0, sizeof(t));
		refuse_with(&b, t, n, "zeros");
		memset(t, 0xff, sizeof(t));
		refuse_with(&b, t, n, "ones");
		memcpy(t, s, half);
		refuse_with(&b, t, n, "s is ones");
		n = mint_sign(key_of(a), algs[a], b.p, b.n, 0, s);
		if (algs[a][0] == 'E')
			refuse_with(&b, s, n, "DER");
	}
	buf_free(&b);
}

/* Any letter of header and claims. */
static void
changed_letters(void **state)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= ";
	struct buf b = BUF_INIT(MINT_TOKEN);

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++) {
		size_t n;

		good_token(&b, a);
		n = (size_t)(strrchr(b.p, '.') - b.p);
		for (size_t i = 0; i < n; i++) {
			char was = b.p[i];

			for (int k = 0; k < 8; k++) {
				b.p[i] = digits[rnd_below(&rnd, sizeof(digits) - 1)];
				if (b.p[i] != was)
					must_refuse(b.p, "a letter changed");
			}
			b.p[i] = was;
		}
	}
	buf_free(&b);
}

/* Other spellings of the same bytes, under a signature that is good for the spelling. */
static void
spellings(void **state)
{
	static const char *const after[] = {
	    "=", "==", "===", "\n", " ", "\t", "%3D", ".", "\r\n"};
	static const char next[] = "BCDFGHJKLNOPRSTVWXZabdefhijlmnpqrtuvxyz1235679-_";
	struct buf in = BUF_INIT(MINT_TOKEN), b = BUF_INIT(MINT_TOKEN);
	char header[64];

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++) {
		char *dot;

		header_of(a, header);
		mint_input(&in, header, CLAIMS " ");
		dot = strchr(in.p, '.');
		for (size_t i = 0; i < COUNT(after); i++) {
			buf_clear(&b);
			buf_fmt(&b, "%.*s%s%s", (int)(dot - in.p), in.p, after[i], dot);
			mint_seal(&b, key_of(a), algs[a]);
			must_refuse(b.p, "behind the header");
			buf_clear(&b);
			buf_fmt(&b, "%s%s", in.p, after[i]);
			mint_seal(&b, key_of(a), algs[a]);
			must_refuse(b.p, "behind the claims");
			good_token(&b, a);
			buf_str(&b, after[i]);
			must_refuse(b.p, "behind the signature");
		}
		/* The claims end in a letter of which some bits belong to no byte. */
		for (size_t i = 0; i < sizeof(next) - 1 && in.n % 4 != 0; i++) {
			buf_clear(&b);
			buf_fmt(&b, "%s", in.p);
			if ((b.n - (size_t)(dot + 1 - in.p)) % 4 == 0 ||
			    b.p[b.n - 1] == next[i])
				continue;
			b.p[b.n - 1] = next[i];
			mint_seal(&b, key_of(a), algs[a]);
			must_refuse(b.p, "bits behind the claims");
		}
	}
	buf_free(&in);
	buf_free(&b);
}

/* "none" in every case, with no signature, the old one, and one of the key. */
static void
alg_none(void **state)
{
	struct buf in = BUF_INIT(MINT_TOKEN), b = BUF_INIT(MINT_TOKEN);

	(void)state;
	for (unsigned m = 0; m < 16; m++)
		for (size_t a = 0; a < COUNT(algs); a++) {
			char none[] = "none", header[64];

			for (unsigned i = 0; i < 4; i++)
				if ((m >> i & 1) != 0)
					none[i] = (char)(none[i] - 'a' + 'A');
			(void)snprintf(header, sizeof(header),
			    "{\"alg\":\"%s\",\"kid\":\"%s\"}", none, kids[a]);
			mint_input(&in, header, CLAIMS);
			must_refuse(in.p, "none, two parts");
			buf_str(&in, ".");
			must_refuse(in.p, "none, no signature");
			refuse_signed(a, header, CLAIMS);
			good_token(&b, a);
			buf_str(&in, strrchr(b.p, '.') + 1);
			must_refuse(in.p, "none, a signature of another");
		}
	buf_free(&in);
	buf_free(&b);
}

/* The public key, in every form an issuer or a program may have it in. */
static size_t
public_form(int form, unsigned char *out, size_t size)
{
	static const char *const types[] = {"PEM", "DER"};
	static const char *const structures[] = {"SubjectPublicKeyInfo", "type-specific"};
	OSSL_ENCODER_CTX *c = OSSL_ENCODER_CTX_new_for_pkey(
	    rsa, EVP_PKEY_PUBLIC_KEY, types[form % 2], structures[form / 2 % 2], NULL);
	size_t left = size;

	mint_need(OSSL_ENCODER_to_data(c, &out, &left) == 1, "OSSL_ENCODER_to_data");
	OSSL_ENCODER_CTX_free(c);
	return size - left;
}

static void
mac_with_public_key(void **state)
{
	static const char *const macs[] = {"HS256", "HS384", "HS512"};
	unsigned char key[8192], s[MINT_SIGNATURE];
	struct buf b = BUF_INIT(MINT_TOKEN), jwk = BUF_INIT(8192);
	char header[64];

	(void)state;
	mint_jwk(&jwk, rsa, "");
	for (size_t m = 0; m < COUNT(macs); m++)
		for (int form = 0; form < 9; form++) {
			size_t n = form < 4 ? public_form(form, key, sizeof(key)) : 0;

			if (form >= 4 && form < 6) /* PEM without its last line end */
				n = public_form(form - 4 == 0 ? 0 : 2, key, sizeof(key)) - 1;
			if (form == 6) {
				n = jwk.n;
				memcpy(key, jwk.p, n);
			}
			/* 7: no key at all; 8: a key of zeros */
			memset(key + n, 0, sizeof(key) - n);
			for (int says = 0; says < 2; says++) {
				(void)snprintf(header, sizeof(header),
				    "{\"alg\":\"%s\",\"kid\":\"r\"}", says ? macs[m] : "RS256");
				mint_input(&b, header, CLAIMS);
				n = form == 8 ? 64 : n;
				refuse_with(
				    &b, s, mint_mac(macs[m], key, n, b.p, b.n, s), macs[m]);
			}
		}
	buf_free(&jwk);
	buf_free(&b);
}

/* Signed in one way, said to be in another; and a key that is not of the header's algorithm. */
static void
other_algorithms(void **state)
{
	struct buf b = BUF_INIT(MINT_TOKEN);
	char header[80];

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++)
		for (size_t says = 0; says < COUNT(algs); says++)
			for (size_t k = 0; k < COUNT(kids); k++) {
				(void)snprintf(header, sizeof(header),
				    "{\"alg\":\"%s\",\"kid\":\"%s\"}", algs[says], kids[k]);
				mint_token(&b, key_of(a), algs[a], header, CLAIMS);
				if (a == says && strcmp(kids[a], kids[k]) == 0)
					must_take(b.p, header);
				else
					must_refuse(b.p, header);
			}
	buf_free(&b);
}

/* Keys that are not the issuer's, or not the one that is named. */
static void
other_keys(void **state)
{
	static const char *const names[] = {"r", "r2", "e2", "e3", "e5", "x", ""};
	const struct {
		EVP_PKEY *key;
		const char *alg, *name; /* as the set has it; NULL: it has not */
	} keys[] = {{rsa, "RS256", "r"}, {rsa_other, "RS256", "r2"}, {rsa_other, "PS512", "r2"},
	    {rsa_foreign, "RS256", NULL}, {rsa_foreign, "PS256", NULL}, {ec[0], "ES256", "e2"},
	    {ec_other, "ES256", NULL}, {ec[1], "ES384", "e3"}, {ec[2], "ES512", "e5"}};
	struct buf b = BUF_INIT(MINT_TOKEN), jwk = BUF_INIT(8192), header = BUF_INIT(16384);

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		for (size_t n = 0; n < COUNT(names); n++) {
			bool right = keys[i].name != NULL &&
				     (names[n][0] == '\0' ||
					 strcmp(names[n], keys[i].name) == 0);

			buf_clear(&jwk);
			mint_jwk(&jwk, keys[i].key, ",\"kid\":\"x\"");
			/* It brings its own key along, in every way there is. */
			for (int with = 0; with < 5; with++) {
				static const char *const bring[] = {"", ",\"jwk\":%s",
				    ",\"jku\":\"https://evil.test/%s\"",
				    ",\"x5u\":\"https://evil.test\"", ",\"x5c\":[\"MIIB\"]"};

				buf_clear(&header);
				buf_fmt(&header, "{\"alg\":\"%s\"", keys[i].alg);
				if (names[n][0] != '\0')
					buf_fmt(&header, ",\"kid\":\"%s\"", names[n]);
				if (with == 1)
					buf_fmt(&header, ",\"jwk\":%s", jwk.p);
				else if (with > 0)
					buf_str(&header,
					    with == 2 ? ",\"jku\":\"https://evil.test/k\""
						      : bring[with]);
				buf_str(&header, "}");
				mint_token(&b, keys[i].key, keys[i].alg, header.p, CLAIMS);
				if (right)
					must_take(b.p, header.p);
				else
					must_refuse(b.p, header.p);
			}
		}
	buf_free(&header);
	buf_free(&jwk);
	buf_free(&b);
}

static void
headers(void **state)
{
	static const char *const members[] = {"\"kid\":\"../../keys/acme\"",
	    "\"kid\":\"/dev/null\"", "\"kid\":\"r' OR '1'='1\"", "\"kid\":\"r\\u0000\"",
	    "\"kid\":\"r \"", "\"kid\":\"R\"", "\"kid\":\"r\\n\"", "\"kid\":7", "\"kid\":null",
	    "\"kid\":[\"r\"]", "\"kid\":{}", "\"kid\":\"\"", "\"kid\":\"%s\"",
	    "\"kid\":\"r\",\"kid\":\"r\"", "\"kid\":\"r\",\"k\\u0069d\":\"x\"",
	    "\"crit\":[\"exp\"]", "\"crit\":[]", "\"crit\":[\"b64\"],\"b64\":false",
	    "\"b64\":false", "\"b64\":true", "\"crit\":null", "\"enc\":\"A128GCM\"",
	    "\"enc\":null", "\"typ\":\"JWS\"", "\"typ\":\"none\"", "\"typ\":7", "\"typ\":null",
	    "\"typ\":\"secevent+jwt\"", "\"typ\":[\"JWT\"]", "\"alg\":\"none\"",
	    "\"alg\":\"HS256\"", "\"\\u0061lg\":\"none\"", "\"x\":1e", "x", "",
	    "\"x\":\"\xff\""};
	struct buf header = BUF_INIT(4096);

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++)
		for (size_t i = 0; i < COUNT(members); i++) {
			buf_clear(&header);
			buf_fmt(&header, "{\"alg\":\"%s\",%s}", algs[a], members[i]);
			refuse_signed(a, header.p, CLAIMS);
			buf_clear(&header);
			buf_fmt(&header, "{%s,\"alg\":\"%s\"}", members[i], algs[a]);
			refuse_signed(a, header.p, CLAIMS);
		}
	for (size_t n = JWT_KID + 1; n < 3000; n += 97) {
		buf_clear(&header);
		buf_str(&header, "{\"alg\":\"RS256\",\"kid\":\"r");
		for (size_t i = 1; i < n; i++)
			buf_str(&header, "k");
		buf_str(&header, "\"}");
		refuse_signed(0, header.p, CLAIMS);
	}
	buf_free(&header);
}

/* Encrypted ones, one token inside another, and what is no token at all. */
static void
other_shapes(void **state)
{
	static const char *const texts[] = {"", ".", "..", "...", "....", ".....", "e30.e30.",
	    "e30..", "..e30", "null.null.null", "Bearer", "*", "e30.e30.e30", "\x80.\x80.\x80"};
	struct buf b = BUF_INIT(MINT_TOKEN), t = BUF_INIT(MINT_TOKEN);

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		must_refuse(texts[i], "no token");
	for (size_t a = 0; a < COUNT(algs); a++) {
		char header[64];

		good_token(&b, a);
		header_of(a, header);
		refuse_signed(a, header, b.p); /* nested */
		buf_clear(&t);
		buf_fmt(&t, "\"%s\"", b.p);
		refuse_signed(a, header, t.p);
		refuse_signed(a, "{\"alg\":\"RSA-OAEP\",\"enc\":\"A128GCM\"}", CLAIMS);
		for (int dots = 1; dots <= 3; dots++) {
			buf_clear(&t);
			buf_fmt(&t, "%s%.*s", b.p, dots, "...");
			must_refuse(t.p, "more parts");
			buf_clear(&t);
			buf_fmt(&t, "%s%.*sAAAA", b.p, dots, "...");
			must_refuse(t.p, "more parts");
			buf_clear(&t);
			buf_fmt(&t, "%.*s%s", dots, "...", b.p);
			must_refuse(t.p, "more parts");
		}
		buf_clear(&t);
		buf_fmt(&t, "%s.%s", b.p, b.p);
		must_refuse(t.p, "twice");
		while (b.n <= JWT_MAX)
			buf_str(&b, "AAAA");
		must_refuse(b.p, "too long");
	}
	buf_free(&t);
	buf_free(&b);
}

struct member {
	const char *name, *value; /* value NULL: not there */
};

/* What must not stand in the place of a claim. */
static const struct member faults[] = {{"iss", NULL}, {"iss", "null"}, {"iss", "\"\""},
    {"iss", "\"https://id.test\""}, {"iss", "\"https://id.test/x\""}, {"iss", "[\"" ISS "\"]"},
    {"iss", "\"https://evil.test/\""}, {"iss", "\"HTTPS://id.test/\""}, {"iss", "1"},
    {"iss", "{}"}, {"iss", "true"}, {"iss", "\"https://id.test/\\u0020\""}, {"aud", NULL},
    {"aud", "null"}, {"aud", "\"\""}, {"aud", "[]"}, {"aud", "\"urn:other\""}, {"aud", "1"},
    {"aud", "\"URN:ARKEN\""}, {"aud", "[\"urn:other\",\"x\"]"}, {"aud", "[[\"" AUD "\"]]"},
    {"aud", "{\"" AUD "\":\"" AUD "\"}"}, {"aud", "[\"" AUD "\",1]"},
    {"aud", "[null,\"" AUD "\"]"}, {"aud", "\"urn:arken urn:x\""}, {"aud", "true"},
    {"exp", NULL}, {"exp", "null"}, {"exp", "\"1700003600\""}, {"exp", "[1700003600]"},
    {"exp", "{}"}, {"exp", "true"}, {"exp", "-1"}, {"exp", "0"}, {"exp", "1"},
    {"exp", "1699999940"}, {"exp", "1699999939"}, {"exp", "1699999939.999"}, {"exp", "1e400"},
    {"exp", "-1e400"}, {"exp", "1.7e10"}, {"exp", "17000036e2"}, {"exp", "9223372036854775807"},
    {"exp", "9223372036854775808"}, {"exp", "18446744073709551617"}, {"exp", "999999999999"},
    {"exp", "9999999999999"}, {"exp", "1700086461"}, {"exp", "4294967296"},
    {"exp", "1700003600000"}, {"exp", "\"\""}, {"exp", "-0"}, {"exp", "1700003600.00000000001"},
    {"nbf", "1700000061"}, {"nbf", "1700000060.001"}, {"nbf", "\"0\""}, {"nbf", "null"},
    {"nbf", "-1"}, {"nbf", "1e400"}, {"nbf", "[]"}, {"nbf", "999999999999"},
    {"nbf", "99999999999999999999"}, {"nbf", "true"}, {"iat", "1700000061"},
    {"iat", "1700000060.001"}, {"iat", "\"1700000000\""}, {"iat", "null"}, {"iat", "-1"},
    {"iat", "1e400"}, {"iat", "{}"}, {"iat", "999999999999"}, {"iat", "1"}, {"sub", NULL},
    {"sub", "null"}, {"sub", "\"Arken\""}, {"sub", "\"arken \""}, {"sub", "1"},
    {"sub", "[\"arken\"]"}, {"sub", "\"x arken\""}, {"sub", "{}"}, {"jti", "1"},
    {"jti", "null"}, {"jti", "[]"}};

static void
space(struct buf *b)
{
	static const char *const some[] = {"", "", "", " ", "\n", "\t", "\r\n  "};

	buf_str(b, some[rnd_below(&rnd, COUNT(some))]);
}

/* Good claims in any order and spelling, but for fault, which may be NULL. */
static void
make_claims(struct buf *b, const struct member *fault)
{
	char exp[32], iat[32], nbf[32];
	struct member m[] = {{"iss", "\"" ISS "\""},
	    {"aud", rnd_below(&rnd, 2) ? "\"" AUD "\"" : "[\"x\",\"" AUD "\"]"}, {"exp", exp},
	    {"sub", "\"arken\""}, {"iat", rnd_below(&rnd, 2) ? iat : NULL},
	    {"nbf", rnd_below(&rnd, 2) ? nbf : NULL},
	    {"jti", rnd_below(&rnd, 2) ? "\"j\"" : NULL},
	    {"scope", rnd_below(&rnd, 2) ? "\"a b\"" : NULL},
	    {"extra", rnd_below(&rnd, 2) ? "{\"exp\":0,\"iss\":[1e400]}" : NULL},
	    {"Exp", rnd_below(&rnd, 2) ? "0" : NULL}};
	bool first = true;

	(void)snprintf(exp, sizeof(exp), "%u%s", 1699999941 + (unsigned)rnd_below(&rnd, 80000),
	    rnd_below(&rnd, 2) ? ".5" : "");
	(void)snprintf(iat, sizeof(iat), "%u", 1700000060 - (unsigned)rnd_below(&rnd, 6000));
	(void)snprintf(nbf, sizeof(nbf), "%u", 1700000060 - (unsigned)rnd_below(&rnd, 900000));
	for (size_t i = 0; fault != NULL && i < COUNT(m); i++)
		if (strcmp(m[i].name, fault->name) == 0)
			m[i].value = fault->value;
	for (size_t i = COUNT(m) - 1; i > 0; i--) {
		size_t j = (size_t)rnd_below(&rnd, i + 1);
		struct member t = m[i];

		m[i] = m[j];
		m[j] = t;
	}
	buf_clear(b);
	buf_str(b, "{");
	for (size_t i = 0; i < COUNT(m); i++) {
		if (m[i].value == NULL)
			continue;
		buf_str(b, first ? "" : ",");
		first = false;
		space(b);
		buf_fmt(b, "\"%s\":", m[i].name);
		space(b);
		buf_str(b, m[i].value);
		space(b);
	}
	buf_str(b, "}");
}

/* The issuer's key signs claims that are good, and the same with one fault in them. */
static void
claims(void **state)
{
	struct buf c = BUF_INIT(4096), b = BUF_INIT(MINT_TOKEN);
	char header[64];

	(void)state;
	for (int round = 0; round < 300; round++)
		for (size_t f = 0; f < COUNT(faults); f++) {
			size_t a = round == 0 ? f % COUNT(algs) : 6;

			header_of(a, header);
			make_claims(&c, &faults[f]);
			mint_token(&b, key_of(a), algs[a], header, c.p);
			must_refuse(b.p, c.p);
			if (f % 8 != 0)
				continue;
			make_claims(&c, NULL);
			mint_token(&b, key_of(a), algs[a], header, c.p);
			must_take(b.p, c.p);
		}
	/* A claim twice, whatever it says the second time. */
	for (size_t f = 0; f < COUNT(faults); f++) {
		buf_clear(&c);
		buf_str(&c, CLAIMS);
		c.n--;
		buf_fmt(&c, ",\"%s\":%s%s}", faults[f].name,
		    faults[f].value != NULL ? faults[f].value : "\"" ISS "\"",
		    strcmp(faults[f].name, "nbf") == 0 || strcmp(faults[f].name, "jti") == 0
			? ",\"sub\":\"arken\""
			: "");
		header_of(6, header);
		refuse_signed(6, header, c.p);
	}
	buf_free(&b);
	buf_free(&c);
}

/* A good token with some bytes changed, put in, taken away or exchanged. */
static void
mutate(struct buf *b)
{
	for (uint64_t i = 1 + rnd_below(&rnd, 4); i > 0; i--) {
		size_t at = (size_t)rnd_below(&rnd, b->n);
		char c = (char)(1 + rnd_below(&rnd, 255));

		switch (rnd_below(&rnd, 5)) {
		case 0:
			b->p[at] = c;
			break;
		case 1:
			b->p[at] = (char)(b->p[at] ^ 1 << rnd_below(&rnd, 7));
			break;
		case 2:
			buf_add(b, &c, 1);
			memmove(b->p + at + 1, b->p + at, b->n - 1 - at);
			b->p[at] = c;
			break;
		case 3:
			memmove(b->p + at, b->p + at + 1, b->n - at);
			b->n--;
			break;
		default:
			c = b->p[at];
			b->p[at] = b->p[b->n / 2];
			b->p[b->n / 2] = c;
			break;
		}
	}
}

static void
mutations(void **state)
{
	struct buf base[COUNT(algs)], b = BUF_INIT(MINT_TOKEN);

	(void)state;
	for (size_t a = 0; a < COUNT(algs); a++) {
		base[a] = BUF_INIT(MINT_TOKEN);
		good_token(&base[a], a);
	}
	for (int i = 0; i < 40000 || tried < LEAST; i++) {
		const struct buf *from = &base[i % (int)COUNT(algs)];

		buf_clear(&b);
		buf_add(&b, from->p, from->n);
		mutate(&b);
		if (strcmp(b.p, from->p) != 0)
			must_refuse(b.p, "mutated");
	}
	for (size_t a = 0; a < COUNT(algs); a++)
		buf_free(&base[a]);
	buf_free(&b);
}

static void
write_keys(void)
{
	struct buf b = BUF_INIT(KEYFILE_JWKS);
	struct keyfile f = {.issuer = ISS, .fetched = NOW * 1000, .tried = NOW * 1000};
	struct err e = {0};

	buf_str(&b, "{\"keys\":[");
	mint_jwk(&b, rsa, ",\"kid\":\"r\",\"use\":\"sig\"");
	buf_str(&b, ",");
	mint_jwk(&b, rsa_other, ",\"kid\":\"r2\"");
	for (int i = 0; i < 3; i++) {
		buf_str(&b, ",");
		mint_jwk(&b, ec[i],
		    i == 0   ? ",\"kid\":\"e2\""
		    : i == 1 ? ",\"kid\":\"e3\""
			     : ",\"kid\":\"e5\"");
	}
	buf_str(&b, "]}");
	f.jwks = b.p;
	f.jwks_len = b.n;
	if (keyfile_write(keys_fd, "acme", &f, &e) != RC_OK)
		fail_msg("%s", e.text);
	buf_free(&b);
}

static int
setup(void **state)
{
	static char name[] = "acme", issuer[] = ISS, audience[] = AUD, all[] = CONF_ALGORITHMS;
	static char types[] = "JWT at+jwt none", require[] = "sub:arken";
	struct err e = {0};

	(void)state;
	rnd = rnd_new("t_forged");
	clk_replace(wall, NULL);
	rsa = mint_rsa(2048);
	rsa_other = mint_rsa(2048);
	rsa_foreign = mint_rsa(2048);
	ec[0] = mint_ec("P-256");
	ec[1] = mint_ec("P-384");
	ec[2] = mint_ec("P-521");
	ec_other = mint_ec("P-256");
	account = (struct conf_account){.name = name,
	    .issuer = issuer,
	    .audience = audience,
	    .algorithms = all,
	    .token_types = types,
	    .require = require,
	    .token_lifetime = CLK_DAY,
	    .token_leeway = CLK_MINUTE,
	    .keys_max_age = CLK_DAY};
	conf.accounts = &account;
	conf.naccounts = 1;
	tmpdir_make(dir);
	keys_fd = ask_fd = tmpdir_open(dir);
	write_keys();
	return bearer_open(&conf, keys_fd, ask_fd, &bearer, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	EVP_PKEY *all[] = {rsa, rsa_other, rsa_foreign, ec[0], ec[1], ec[2], ec_other};

	(void)state;
	printf(
	    "# %zu forged tokens tried, %zu taken; %zu good ones taken\n", tried, taken, good);
	bearer_close(&bearer);
	for (size_t i = 0; i < COUNT(all); i++)
		EVP_PKEY_free(all[i]);
	clk_replace(NULL, NULL);
	(void)close(keys_fd);
	tmpdir_remove(dir);
	return tried >= LEAST && taken == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(signature_bits),
	    cmocka_unit_test(signature_forms), cmocka_unit_test(changed_letters),
	    cmocka_unit_test(spellings), cmocka_unit_test(alg_none),
	    cmocka_unit_test(mac_with_public_key), cmocka_unit_test(other_algorithms),
	    cmocka_unit_test(other_keys), cmocka_unit_test(headers),
	    cmocka_unit_test(other_shapes), cmocka_unit_test(claims),
	    cmocka_unit_test(mutations)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
