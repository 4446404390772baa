/*
 * SPDX-License-Identifier: ISC
 *
 * t_discovery - tests of discovery: whose document it is, and where it may lead.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "discovery.h"
#include "str.h"

#define ISSUER "https://id.example.com/x"
#define DOC(issuer, url) "{\"issuer\":" issuer ",\"jwks_uri\":" url "}"
#define MINE "\"" ISSUER "\""

static void
test_url(void **state)
{
	static const struct {
		const char *issuer, *url;
	} t[] = {
	    {"https://a", "https://a/.well-known/openid-configuration"},
	    {"https://a/", "https://a/.well-known/openid-configuration"},
	    {"https://a/b", "https://a/b/.well-known/openid-configuration"},
	    {"https://a/b/", "https://a/b/.well-known/openid-configuration"},
	    {"https://a/b//", "https://a/b//.well-known/openid-configuration"},
	};
	char out[DISCOVERY_URL], issuer[DISCOVERY_URL + 1];
	size_t fits = DISCOVERY_URL - sizeof("/.well-known/openid-configuration");
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(discovery_url(t[i].issuer, out, &e), RC_OK);
		assert_string_equal(out, t[i].url);
	}
	memset(issuer, 'a', sizeof(issuer));
	issuer[fits] = '\0';
	assert_int_equal(discovery_url(issuer, out, &e), RC_OK);
	assert_int_equal(strlen(out), DISCOVERY_URL - 1);
	issuer[fits] = 'a';
	issuer[fits + 1] = '\0';
	assert_int_equal(discovery_url(issuer, out, &e), RC_CONFIG);
	assert_string_equal(out, "");
}

static void
test_read(void **state)
{
	static const char *const good[] = {DOC(MINE, "\"https://id.example.com/keys\""),
	    "{\"jwks_uri\":\"https:\\/\\/id.example.com/keys\",\"x\":[{}],\"issuer\":" MINE
	    "}"};
	char out[DISCOVERY_URL];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(
		    discovery_read(good[i], strlen(good[i]), ISSUER, out, &e), RC_OK);
		assert_string_equal(out, "https://id.example.com/keys");
	}
}

static void
refused(const char *issuer, const char *body, const char *why)
{
	char out[DISCOVERY_URL];
	struct err e = {0};
	enum rc rc = discovery_read(body, strlen(body), issuer, out, &e);

	if (rc != RC_BAD || strstr(e.text, why) == NULL)
		fail_msg("%s: %s: %s", body, err_name(rc), e.text);
	assert_string_equal(out, "");
}

static void
test_read_refused(void **state)
{
	static const char *const others[] = {"\"https://id.example.com/x/\"",
	    "\"https://id.example.com/\"", "\"https://ID.example.com/x\"",
	    "\"http://id.example.com/x\"", "\"https://id.example.com/x \"", "\"\""};
	static const char *const untyped[] = {"null", "1", "{}", "[" MINE "]", "true"};
	static const char *const urls[] = {"\"http://id.example.com/keys\"",
	    "\"http://127.0.0.1/keys\"", "\"file:///etc/passwd\"", "\"\"", "\"/keys\"",
	    "\"https://u:p@id.example.com/keys\"", "\"https://id.example.com/k#f\"",
	    "\"https://\"", "\"HTTPS://id.example.com/keys\"", "\"https://id.example.com/a b\"",
	    "\"https://id.example.com/\\u0001\"", "\"https://id.example.com/\xc3\xa4\""};
	static const char *const texts[] = {"", "x", "[]", "null", "{}", "{} {}",
	    "{\"issuer\":" MINE ",\"issuer\":" MINE ",\"jwks_uri\":\"https://a\"}",
	    "{\"ISSUER\":" MINE ",\"jwks_uri\":\"https://a\"}", "\xef\xbb\xbf{}",
	    "<html>sign in</html>"};
	char body[256];

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(body, sizeof(body), DOC("%s", "\"https://a\""), others[i]);
		refused(ISSUER, body, "is of the issuer");
	}
	for (size_t i = 0; i < sizeof(untyped) / sizeof(untyped[0]); i++) {
		(void)snprintf(body, sizeof(body), DOC("%s", "\"https://a\""), untyped[i]);
		refused(ISSUER, body, "has no issuer");
		(void)snprintf(body, sizeof(body), DOC(MINE, "%s"), untyped[i]);
		refused(ISSUER, body, "has no jwks_uri");
	}
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		(void)snprintf(body, sizeof(body), DOC(MINE, "%s"), urls[i]);
		refused(ISSUER, body, "no https URL");
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refused(ISSUER, texts[i], "discovery document");
}

/* An issuer on this machine may be asked without TLS, and nobody else by it. */
static void
test_loopback(void **state)
{
	static const char body[] = DOC("\"http://127.0.0.1:8/\"", "\"http://127.0.0.1:8/k\"");
	char out[DISCOVERY_URL];
	struct err e;

	(void)state;
	assert_int_equal(
	    discovery_read(body, strlen(body), "http://127.0.0.1:8/", out, &e), RC_OK);
	assert_string_equal(out, "http://127.0.0.1:8/k");
	refused("http://127.0.0.1:8/",
	    DOC("\"http://127.0.0.1:8/\"", "\"http://id.example.com/k\""), "no https URL");
}

/* What is in a that is not in b. */
static void
extra(const char *a, const char *b, const char *want)
{
	struct buf out = BUF_INIT(DISCOVERY_TEXT);

	discovery_extra(a, a != NULL ? strlen(a) : 0, b, b != NULL ? strlen(b) : 0, &out);
	assert_string_equal(buf_text(&out), want);
	buf_free(&out);
}

static void
test_extra(void **state)
{
	static const char two[] = "{\"keys\":[{\"kid\":\"a\"},{\"kid\":\"b\"}]}";

	(void)state;
	extra(two, NULL, "a b");
	extra(NULL, two, "");
	extra(two, two, "");
	extra(two, "{\"keys\":[{\"kid\":\"b\"},{\"kid\":\"A\"}]}", "a");
	extra(two, "{\"keys\":[]}", "a b");
	extra("{\"keys\":[{\"kty\":\"RSA\"},{\"kid\":1},7]}", NULL, "- - -");
	extra("{\"keys\":[{}]}", "{\"keys\":[{}]}", "");
	extra("{\"keys\":[{\"kid\":\"x\\ny\"}]}", NULL, "x\ny");
	extra("not a set", two, "");
	extra(two, "not a set", "a b");
}

/* However many and long they are, it is one line. */
static void
test_extra_long(void **state)
{
	struct buf set = BUF_INIT(1 << 20), out = BUF_INIT(DISCOVERY_TEXT);

	(void)state;
	buf_str(&set, "{\"keys\":[{\"kid\":\"");
	for (unsigned i = 0; i < DISCOVERY_KID; i++)
		buf_str(&set, "k");
	buf_str(&set, "\"},{\"kid\":\"");
	for (unsigned i = 0; i <= DISCOVERY_KID; i++)
		buf_str(&set, "l");
	buf_str(&set, "\"}]}");
	discovery_extra(set.p, set.n, NULL, 0, &out);
	assert_int_equal(out.n, DISCOVERY_KID + 1 + DISCOVERY_KID + 3);
	assert_true(str_begins(out.p + out.n - 4, "l..."));
	buf_clear(&set);
	buf_clear(&out);
	buf_str(&set, "{\"keys\":[");
	for (unsigned i = 0; i < 2 * DISCOVERY_KEYS; i++)
		buf_fmt(&set, "%s{\"kid\":\"%u\"}", i > 0 ? "," : "", i);
	buf_str(&set, "]}");
	discovery_extra(set.p, set.n, NULL, 0, &out);
	assert_int_equal(buf_state(&out, NULL), RC_OK);
	assert_true(out.n <= DISCOVERY_TEXT);
	assert_non_null(strstr(out.p, " 255"));
	assert_null(strstr(out.p, " 256"));
	buf_clear(&set);
	buf_clear(&out);
	buf_str(&set, "{\"keys\":[");
	for (unsigned i = 0; i < DISCOVERY_KEYS; i++)
		buf_fmt(&set, "%s{\"kid\":\"key-number-%u\"}", i > 0 ? "," : "", i);
	buf_str(&set, "]}");
	discovery_extra(set.p, set.n, NULL, 0, &out);
	assert_int_equal(buf_state(&out, NULL), RC_OK);
	assert_true(out.n > DISCOVERY_TEXT - 32);
	assert_string_equal(out.p + out.n - 4, " ...");
	buf_free(&set);
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_read_refused),
	    cmocka_unit_test(test_loopback),
	    cmocka_unit_test(test_extra),
	    cmocka_unit_test(test_extra_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
