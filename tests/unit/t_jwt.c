/*
 * SPDX-License-Identifier: ISC
 *
 * t_jwt - the gate before the signature: every rule broken once, and no more refused than that.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "clk.h"
#include "conf.h"
#include "jwt.h"
#include "mint.h"
#include "str.h"

#define NOW INT64_C(1700000000) /* seconds */
#define ISS "https://id.test/"
#define AUD "urn:arken"
#define HEADER "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"
#define REST ",\"iat\":1700000000,\"exp\":1700003600}"
#define CLAIMS "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"s\"" REST
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct jwt_rules rules;
static struct jwt jwt;
static struct err err;

static int
setup(void **state)
{
	(void)state;
	rules = (struct jwt_rules){.issuer = ISS,
	    .audience = AUD,
	    .algorithms = CONF_ALGORITHMS,
	    .types = "JWT at+jwt none",
	    .lifetime = CLK_DAY,
	    .leeway = CLK_MINUTE};
	err_clear(&err);
	return 0;
}

static enum rc
read_at(const char *header, const char *claims, int64_t now)
{
	struct buf b = BUF_INIT(MINT_TOKEN);
	enum rc rc;

	mint_input(&b, header, claims);
	buf_str(&b, ".AAAA");
	err_clear(&err);
	rc = jwt_read(b.p, b.n, &rules, now, &jwt, &err);
	buf_free(&b);
	return rc;
}

static void
good(const char *header, const char *claims)
{
	if (read_at(header, claims, NOW * 1000) != RC_OK)
		fail_msg("%s %s refused: %s", header, claims, err.text);
}

static void
bad(const char *header, const char *claims, const char *why)
{
	if (read_at(header, claims, NOW * 1000) != RC_DENIED)
		fail_msg("%s %s was not refused", header, claims);
	if (strcmp(err.text, why) != 0)
		fail_msg("%s %s: %s", header, claims, err.text);
	assert_int_equal(jwt.until, 0);
}

/* A header with a member put in. */
static void
bad_header(const char *member, const char *why)
{
	char header[1024];

	(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",%s}", member);
	bad(header, CLAIMS, why);
}

/* Claims with a member in the place of another. */
static void
bad_claim(const char *name, const char *value, const char *why)
{
	static const char *const all[] = {"iss", "\"" ISS "\"", "aud", "\"" AUD "\"", "sub",
	    "\"s\"", "iat", "1700000000", "exp", "1700003600"};
	struct buf b = BUF_INIT(4096);
	bool found = false;

	for (size_t i = 0; i < COUNT(all); i += 2) {
		bool here = str_eq(all[i], name);

		found = found || here;
		if (!here || value != NULL)
			buf_fmt(&b, "%c\"%s\":%s", b.n == 0 ? '{' : ',', all[i],
			    here ? value : all[i + 1]);
	}
	if (!found)
		buf_fmt(&b, ",\"%s\":%s", name, value);
	buf_str(&b, "}");
	bad(HEADER, b.p, why);
	buf_free(&b);
}

static void
test_good(void **state)
{
	(void)state;
	good(HEADER, CLAIMS);
	assert_int_equal(jwt.alg, JWT_ES256);
	assert_int_equal(jwt.signature, 3);
	assert_string_equal(jwt.kid, "k1");
	assert_string_equal(jwt.sub, "s");
	assert_int_equal(jwt.from, NOW * 1000 - 60000);
	assert_int_equal(jwt.until, (NOW + 3600) * 1000 + 60000);
	for (int a = 0; a < JWT_ALGS; a++) {
		enum jwt_alg back;
		char header[64];

		(void)snprintf(
		    header, sizeof(header), "{\"alg\":\"%s\"}", jwt_alg_name((enum jwt_alg)a));
		good(header, CLAIMS);
		assert_int_equal(jwt.alg, a);
		assert_string_equal(jwt.kid, "");
		assert_true(jwt_alg_find(jwt_alg_name((enum jwt_alg)a), &back));
		assert_int_equal(back, a);
		assert_non_null(strstr(CONF_ALGORITHMS, jwt_alg_name((enum jwt_alg)a)));
	}
	/* What says nothing about verifying is not looked at. */
	good(
	    "{\"alg\":\"RS256\",\"jku\":\"https://evil.test\",\"x5u\":7,\"jwk\":{},\"x5c\":[1],"
	    "\"x5t\":null,\"cty\":{},\"more\":[[]]}",
	    "{\"iss\":\"" ISS "\",\"aud\":[\"a\",\"" AUD "\"],\"scope\":7,\"x\":null" REST);
	assert_string_equal(jwt.sub, "");
}

static void
test_shape(void **state)
{
	static const struct {
		const char *token, *why;
	} rows[] = {{"", "not three parts"}, {"a", "not three parts"},
	    {"a.b", "not three parts"}, {"a.b.c.d", "not three parts"},
	    {"a.b.c.d.e", "five parts: it is encrypted"},
	    {"....", "five parts: it is encrypted"}, {"a.b.c.d.e.f", "not three parts"},
	    {"..", "an empty part"}, {".e30.AA", "an empty part"}, {"e30..AA", "an empty part"},
	    {"e30.e30.", "an empty part"}, {"e30=.e30.AA", "header: not base64url"},
	    {"e30.e30.AA", "header: no alg"}, {"W10.e30.AA", "header: not an object"},
	    {"IiI.e30.AA", "header: not an object"}, {"bnVsbA.e30.AA", "header: not an object"},
	    {"e30gIA.e30.AA", "header: no alg"}, {"e31d.e30.AA", "header: not strict JSON"},
	    {"eyJh.e30.AA", "header: not strict JSON"},
	    {"_w.e30.AA", "header: not strict JSON"}, {" e30.e30.AA", "header: not base64url"},
	    {"e30 .e30.AA", "header: not base64url"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *t = rows[i].token;

		assert_int_equal(
		    jwt_read(t, strlen(t), &rules, NOW * 1000, &jwt, &err), RC_DENIED);
		assert_string_equal(err.text, rows[i].why);
	}
}

/* The parts after the header, each spelled otherwise. */
static void
test_parts(void **state)
{
	static const struct {
		const char *add, *why; /* behind the claims; signature and all */
	} rows[] = {{".AAAA", NULL}, {"=.AAAA", "claims: not base64url"},
	    {"\n.AAAA", "claims: not base64url"}, {".AAAA=", "signature: not base64url"},
	    {".AAA", NULL}, {".AAB", "signature: not base64url"},
	    {".AA==", "signature: not base64url"}, {".A", "signature: not base64url"},
	    {".AA+A", "signature: not base64url"}, {".AAAA ", "signature: not base64url"},
	    {".AA\tA", "signature: not base64url"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf b = BUF_INIT(MINT_TOKEN);
		enum rc rc;

		mint_input(&b, HEADER, CLAIMS);
		buf_str(&b, rows[i].add);
		err_clear(&err);
		rc = jwt_read(b.p, b.n, &rules, NOW * 1000, &jwt, &err);
		assert_int_equal(rc, rows[i].why != NULL ? RC_DENIED : RC_OK);
		assert_string_equal(err.text, rows[i].why != NULL ? rows[i].why : "");
		buf_free(&b);
	}
}

static void
test_length(void **state)
{
	struct buf claims = BUF_INIT(MINT_TOKEN), token = BUF_INIT(MINT_TOKEN);

	(void)state;
	/* 8,188 characters, and a signature that makes them 8,192 or more. */
	buf_str(&claims, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\"" REST);
	while (token.n < JWT_MAX - 9) {
		buf_add(&claims, " ", 1);
		mint_input(&token, HEADER, claims.p);
	}
	buf_str(&token, ".");
	while (token.n < JWT_MAX)
		buf_str(&token, "A");
	assert_int_equal(jwt_read(token.p, token.n, &rules, NOW * 1000, &jwt, &err), RC_OK);
	buf_str(&token, "AAAA");
	assert_int_equal(jwt_read(token.p, token.n, &rules, NOW * 1000, &jwt, &err), RC_DENIED);
	assert_string_equal(err.text, "longer than 8192 characters");
	buf_free(&claims);
	buf_free(&token);
}

static void
test_algorithm(void **state)
{
	static const char *const list[] = {"none", "None", "NONE", "nOnE", "", "HS256", "HS384",
	    "HS512", "es256", "ES256 ", " ES256", "ES256K", "EdDSA", "RS1", "RSA-OAEP", "dir",
	    "ES256\\u0000", "ES256 RS256", "ES25"};
	static const char *const types[] = {"null", "0", "[]", "[\"ES256\"]", "{}", "true"};
	char header[80];

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", list[i]);
		bad(header, CLAIMS,
		    strchr(list[i], '\\') != NULL ? "header: not strict JSON"
						  : "header: alg is not one of the account's");
	}
	for (size_t i = 0; i < COUNT(types); i++) {
		(void)snprintf(header, sizeof(header), "{\"alg\":%s}", types[i]);
		bad(header, CLAIMS, "header: no alg");
	}
	bad("{}", CLAIMS, "header: no alg");
	bad("{\"Alg\":\"ES256\"}", CLAIMS, "header: no alg");
	bad("{\"alg\":\"ES256\",\"alg\":\"ES256\"}", CLAIMS, "header: not strict JSON");
	bad("{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}", CLAIMS, "header: not strict JSON");
	rules.algorithms = "PS384 ES256";
	good(HEADER, CLAIMS);
	good("{\"alg\":\"PS384\"}", CLAIMS);
	bad("{\"alg\":\"RS256\"}", CLAIMS, "header: alg is not one of the account's");
	bad("{\"alg\":\"ES384\"}", CLAIMS, "header: alg is not one of the account's");
	rules.algorithms = "none HS256";
	bad("{\"alg\":\"none\"}", CLAIMS, "header: alg is not one of the account's");
	bad("{\"alg\":\"HS256\"}", CLAIMS, "header: alg is not one of the account's");
}

static void
test_refused_headers(void **state)
{
	static const char *const values[] = {
	    "null", "[]", "[\"exp\"]", "[\"b64\"]", "\"x\"", "false", "true", "0", "{}"};
	static const char *const names[] = {"crit", "b64", "enc"};
	char member[80], why[40];

	(void)state;
	for (size_t n = 0; n < COUNT(names); n++)
		for (size_t v = 0; v < COUNT(values); v++) {
			(void)snprintf(
			    member, sizeof(member), "\"%s\":%s", names[n], values[v]);
			(void)snprintf(why, sizeof(why), "header: %s", names[n]);
			bad_header(member, why);
		}
}

static void
test_kid(void **state)
{
	const char *why = "header: kid is not a string of 1 to 128 bytes";
	static const char *const list[] = {"null", "1", "[]", "{}", "true", "\"\"", "[\"k1\"]"};
	struct buf b = BUF_INIT(1024);
	char member[64];

	(void)state;
	for (size_t i = 0; i < COUNT(list); i++) {
		(void)snprintf(member, sizeof(member), "\"kid\":%s", list[i]);
		bad_header(member, why);
	}
	bad_header("\"kid\":\"a\\u0000b\"", "header: not strict JSON");
	buf_str(&b, "{\"alg\":\"ES256\",\"kid\":\"");
	for (int i = 0; i < JWT_KID; i++)
		buf_str(&b, "k");
	buf_str(&b, "\"}");
	good(b.p, CLAIMS);
	assert_int_equal(strlen(jwt.kid), JWT_KID);
	b.n -= 2;
	buf_str(&b, "k\"}");
	bad(b.p, CLAIMS, why);
	/* Whatever it says, it is only compared. */
	good("{\"alg\":\"ES256\",\"kid\":\"../../etc/passwd' OR 1=1 --\"}", CLAIMS);
	assert_string_equal(jwt.kid, "../../etc/passwd' OR 1=1 --");
	buf_free(&b);
}

static void
test_type(void **state)
{
	static const char *const taken[] = {"JWT", "jwt", "Jwt", "at+jwt", "AT+JWT",
	    "application/at+jwt", "Application/JWT", "APPLICATION/at+JWT"};
	static const char *const refused[] = {"", "none", "JWS", "JOSE", "at+jw", "at+jwtx",
	    " JWT", "application/", "application/none", "application/application/jwt",
	    "text/jwt", "logout+jwt", "dpop+jwt", "JWT at+jwt"};
	const char *why = "header: typ is not one of the account's";
	char member[80];

	(void)state;
	for (size_t i = 0; i < COUNT(taken); i++) {
		(void)snprintf(
		    member, sizeof(member), "{\"alg\":\"ES256\",\"typ\":\"%s\"}", taken[i]);
		good(member, CLAIMS);
	}
	for (size_t i = 0; i < COUNT(refused); i++) {
		(void)snprintf(member, sizeof(member), "\"typ\":\"%s\"", refused[i]);
		bad_header(member, why);
	}
	bad_header("\"typ\":null", why);
	bad_header("\"typ\":[\"JWT\"]", why);
	bad_header("\"typ\":1", why);
	rules.types = "at+jwt";
	good("{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", CLAIMS);
	bad(HEADER, CLAIMS, why);
	bad("{\"alg\":\"ES256\"}", CLAIMS, why);
	rules.types = "none";
	good("{\"alg\":\"ES256\"}", CLAIMS);
	bad("{\"alg\":\"ES256\",\"typ\":\"none\"}", CLAIMS, why);
}

static void
test_issuer_and_audience(void **state)
{
	static const char *const iss[] = {NULL, "null", "\"\"", "\"https://id.test\"",
	    "\"https://id.test/x\"", "\"HTTPS://ID.TEST/\"", "\"https://id.test//\"",
	    "\"https://id.test/ \"", "[\"" ISS "\"]", "{}", "1", "true"};
	static const char *const aud[] = {"\"\"", "\"urn:arke\"", "\"urn:arkenx\"",
	    "\"URN:ARKEN\"", "[]", "[\"a\",\"b\"]", "[\"urn:arken \"]"};
	static const char *const shapes[] = {
	    NULL, "null", "1", "true", "{}", "{\"" AUD "\":1}"};
	static const char *const items[] = {
	    "[null]", "[1,\"" AUD "\"]", "[\"" AUD "\",[\"x\"]]", "[[\"" AUD "\"]]", "[{}]"};
	struct buf b = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < COUNT(iss); i++)
		bad_claim("iss", iss[i], "iss is not the issuer of this account");
	for (size_t i = 0; i < COUNT(aud); i++)
		bad_claim("aud", aud[i], "aud does not name this account");
	for (size_t i = 0; i < COUNT(shapes); i++)
		bad_claim("aud", shapes[i], "aud is neither a string nor an array");
	for (size_t i = 0; i < COUNT(items); i++)
		bad_claim("aud", items[i], "aud is not an array of at most 64 strings");
	for (int n = JWT_AUD; n <= JWT_AUD + 1; n++) {
		buf_clear(&b);
		buf_str(&b, "{\"iss\":\"" ISS "\",\"aud\":[\"" AUD "\"");
		for (int i = 1; i < n; i++)
			buf_str(&b, ",\"x\"");
		buf_str(&b, "]" REST);
		if (n == JWT_AUD)
			good(HEADER, b.p);
		else
			bad(HEADER, b.p, "aud is not an array of at most 64 strings");
	}
	buf_free(&b);
}

static void
test_dates(void **state)
{
	static const char *const list[] = {"null", "\"1700003600\"", "true", "[]",
	    "[1700003600]", "{}", "-1", "-1700003600", "1e400", "1.7e9", "1700003600e0", "1E10",
	    "-0", "-0.0", "1000000000000", "99999999999999999999", "1700003600.0000000001",
	    "9223372036854775807", "18446744073709551615"};
	static const char *const names[] = {"exp", "nbf", "iat"};
	char why[40];

	(void)state;
	for (size_t n = 0; n < COUNT(names); n++)
		for (size_t i = 0; i < COUNT(list); i++) {
			(void)snprintf(why, sizeof(why), "%s is not a date", names[n]);
			bad_claim(names[n], list[i], why);
		}
	bad_claim("exp", NULL, "no exp");
	bad_claim("exp", "0", "expired (exp)");
	bad_claim("exp", "999999999999", "good for longer than token_lifetime");
	bad_claim("nbf", "999999999999", "not valid yet (nbf)");
	bad_claim("iat", "999999999999", "issued in the future (iat)");
	bad_claim("exp", "1e999999999", "exp is not a date");
	bad_claim("exp", "+1", "claims: not strict JSON");
	bad_claim("exp", "0x6553f100", "claims: not strict JSON");
	bad_claim("exp", "NaN", "claims: not strict JSON");
	bad_claim("exp", "01700003600", "claims: not strict JSON");
	/* Fractions are part of RFC 7519, and are heeded. */
	good(HEADER, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD
		     "\",\"exp\":1700000000.5,\"iat\":1699990000.25,"
		     "\"nbf\":1699999999.999}");
	assert_int_equal(jwt.until, NOW * 1000 + 500 + 60000);
	assert_int_equal(jwt.from, NOW * 1000 - 1 - 60000);
}

/* Each end of the leeway, to the millisecond. */
static void
test_edges(void **state)
{
	static const struct {
		const char *claims;
		int64_t at; /* seconds after NOW where it changes */
		bool before, after;
	} rows[] = {{"\"exp\":1700000000", 60, true, false},
	    {"\"exp\":1700000000.0", 60, true, false},
	    {"\"nbf\":1700000000,\"exp\":1700000100", -60, false, true},
	    {"\"iat\":1700000000,\"exp\":1700000100", -60, false, true}};
	char claims[160];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int by = -1000; by <= 1000; by += by < -1 || by > 0 ? 999 : 1) {
			int64_t now = (NOW + rows[i].at) * 1000 + by;
			bool want = by < 0 ? rows[i].before : rows[i].after;

			(void)snprintf(claims, sizeof(claims),
			    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",%s}", rows[i].claims);
			if ((read_at(HEADER, claims, now) == RC_OK) != want)
				fail_msg("%s at %+d ms: %s", claims, by, err.text);
			if (want)
				assert_true(now >= jwt.from && now < jwt.until);
		}
	rules.leeway = 0;
	good(HEADER,
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"exp\":1700000001,\"iat\":1700000000,"
	    "\"nbf\":1700000000}");
	bad_claim("exp", "1700000000", "expired (exp)");
	bad_claim("iat", "1700000001", "issued in the future (iat)");
	bad_claim("nbf", "1700000001", "not valid yet (nbf)");
}

static void
test_lifetime(void **state)
{
	const char *why = "good for longer than token_lifetime";

	(void)state;
	rules.lifetime = CLK_HOUR;
	good(HEADER, CLAIMS);
	bad_claim("exp", "1700003601", why);
	bad_claim("exp", "1700003600.001", why);
	bad_claim("iat", "1699999999", why);
	/* Without iat it counts from now, with the leeway. */
	good(HEADER, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"exp\":1700003660}");
	bad(HEADER, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"exp\":1700003661}", why);
}

static void
test_claims(void **state)
{
	(void)state;
	bad_claim("sub", "1", "sub is not a string");
	bad_claim("sub", "null", "sub is not a string");
	bad_claim("sub", "[\"s\"]", "sub is not a string");
	bad_claim("jti", "7", "jti is not a string");
	bad(HEADER, "[]", "claims: not an object");
	bad(HEADER, "\"eyJhbGciOiJFUzI1NiJ9.e30.AA\"", "claims: not an object");
	bad(HEADER, "eyJhbGciOiJFUzI1NiJ9.e30.AA", "claims: not strict JSON");
	bad(HEADER, CLAIMS "x", "claims: not strict JSON");
	bad(HEADER, "\xef\xbb\xbf" CLAIMS, "claims: not strict JSON");
	bad(HEADER, "{\"iss\":\"" ISS "\",\"iss\":\"" ISS "\",\"aud\":\"" AUD "\"" REST,
	    "claims: not strict JSON");
	bad(HEADER, "{\"iss\":\"" ISS "\",\"a\\u0075d\":\"x\",\"aud\":\"" AUD "\"" REST,
	    "claims: not strict JSON");
	bad(HEADER, "{\"Iss\":\"" ISS "\",\"aud\":\"" AUD "\"" REST,
	    "iss is not the issuer of this account");
}

static void
test_long_sub(void **state)
{
	struct buf b = BUF_INIT(4096);

	(void)state;
	buf_str(&b, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"");
	for (int i = 0; i < JWT_SUB + 1; i++)
		buf_str(&b, "s");
	buf_str(&b, "\"" REST);
	good(HEADER, b.p);
	assert_int_equal(strlen(jwt.sub), JWT_SUB);
	buf_free(&b);
}

static void
test_required(void **state)
{
	const char *why = "sub is not as required";

	(void)state;
	rules.require = "sub:arken-webhooks";
	bad_claim("sub", NULL, why);
	bad_claim("sub", "\"arken\"", why);
	bad_claim("sub", "\"arken-webhooks \"", why);
	bad_claim("sub", "\"x arken-webhooks\"", why);
	good(
	    HEADER, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"sub\":\"arken-webhooks\"" REST);
	rules.require = "roles:a  scope:ev:w https://x.test/r:b";
	good(HEADER, "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"roles\":[7,\"a\"],"
		     "\"scope\":\"openid ev:w\",\"https://x.test/r\":\"b\"" REST);
	bad(HEADER,
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"roles\":\"a b\","
	    "\"scope\":\"openid ev:w\",\"https://x.test/r\":\"b\"" REST,
	    "roles is not as required");
	bad(HEADER,
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"roles\":[[\"a\"]],"
	    "\"scope\":\"openid ev:w\",\"https://x.test/r\":\"b\"" REST,
	    "roles is not as required");
	bad(HEADER,
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"roles\":\"a\","
	    "\"scope\":\"openid ev:wr\",\"https://x.test/r\":\"b\"" REST,
	    "scope is not as required");
	bad(HEADER,
	    "{\"iss\":\"" ISS "\",\"aud\":\"" AUD "\",\"roles\":\"a\","
	    "\"scope\":\"ev:w\",\"https://x.test/r\":true" REST,
	    "https://x.test/r is not as required");
	rules.require = "sub";
	bad(HEADER, CLAIMS, "require: not claim:value");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_good), TEST(test_shape), TEST(test_parts),
	    TEST(test_length), TEST(test_algorithm), TEST(test_refused_headers), TEST(test_kid),
	    TEST(test_type), TEST(test_issuer_and_audience), TEST(test_dates), TEST(test_edges),
	    TEST(test_lifetime), TEST(test_claims), TEST(test_long_sub), TEST(test_required)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
