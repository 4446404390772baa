/*
 * SPDX-License-Identifier: ISC
 *
 * t_forward - tests of forward: what a receiver is sent, where, and what each answer means.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "forward.h"
#include "json.h"
#include "str.h"

#define NOW INT64_C(1772705500999)
#define SUM "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static const char event_body[] = "{ \"eventId\" :\"e3\", \"n\":1.50 }";
static struct rec rec = {.received = 1772705472345,
    .source = REC_WEBHOOK,
    .body = event_body,
    .body_len = sizeof(event_body) - 1};
static struct event ev = {
    .category = "FileStore", .type = "Upload", .client_hash = "8Kq", .document_hash = "a/b c"};
static struct sign_keys keys = {.n = 1, .key = {{.p = "0123456789abcdef", .n = 16}}};

static struct hand
sample(void)
{
	struct hand h = {.rec = &rec,
	    .ev = &ev,
	    .name = "acme.e3.FileStore.Upload",
	    .key = "e3",
	    .account = "acme",
	    .object = "a/b c",
	    .attempt = 2,
	    .has_record = true,
	    .has_document = true,
	    .meta = {.sha256 = SUM,
		.size = 4,
		.media_type = "application/pdf",
		.suffix = ".pdf",
		.original = "W\xc3\xa4ll \"1\"\r\nX: y.pdf",
		.event = "acme.e3.FileStore.Upload"}};

	return h;
}

static const char *
line(const struct forward *f, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < f->n; i++)
		if (str_begins(f->header[i], name) && f->header[i][n] == ':')
			return f->header[i] + n + 2;
	return "";
}

/* Its own words for what a receiver has to compute. */
static void
assert_signed(const struct forward *f, const char *id, const char *payload, size_t n)
{
	struct buf b = BUF_INIT(1 << 20);
	unsigned char mac[HASH_MAC];
	char text[SIGN_BASE64(HASH_MAC)], want[64];
	struct err e;

	assert_string_equal(line(f, "webhook-id"), id);
	assert_string_equal(line(f, "webhook-timestamp"), "1772705500");
	buf_fmt(&b, "%s.1772705500.", id);
	buf_add(&b, payload, n);
	assert_int_equal(hash_hmac("0123456789abcdef", 16, b.p, b.n, mac, &e), RC_OK);
	sign_base64(text, mac, sizeof(mac));
	(void)snprintf(want, sizeof(want), "v1,%s", text);
	assert_string_equal(line(f, "webhook-signature"), want);
	buf_free(&b);
}

static void
test_post(void **state)
{
	static const char record[] = "{\"id\":12345678901234567890, \"x\" : [ ]}";
	struct hand h = sample();
	struct json *doc = NULL;
	struct forward f;
	const char *body;
	struct err e;
	size_t n;

	(void)state;
	assert_int_equal(
	    forward_post(&f, &h, record, sizeof(record) - 1, &keys, NOW, &e), RC_OK);
	body = f.text.p + f.body_at;
	n = f.text.n - f.body_at;
	assert_signed(&f, "e3", body, n);
	assert_string_equal(line(&f, "Content-Type"), "application/json");
	assert_int_equal(json_parse(body, n, &doc, &e), RC_OK);
	assert_string_equal(json_string(json_get(doc, "type")), "FileStore.Upload");
	assert_string_equal(
	    json_string(json_get(doc, "timestamp")), "2026-03-05T10:11:12.345Z");
	assert_string_equal(json_string(json_at(doc, "/data/id")), "e3");
	assert_string_equal(json_string(json_at(doc, "/data/account")), "acme");
	assert_string_equal(json_string(json_at(doc, "/data/clientHashId")), "8Kq");
	assert_int_equal(json_type(json_at(doc, "/data/userHashId")), JSON_NULL);
	assert_string_equal(json_text(json_at(doc, "/data/event/n")), "1.50");
	assert_string_equal(json_text(json_at(doc, "/data/record/id")), "12345678901234567890");
	assert_string_equal(json_string(json_at(doc, "/data/document/sha256")), SUM);
	assert_string_equal(json_text(json_at(doc, "/data/document/size")), "4");
	/* Event and record are in it byte for byte. */
	assert_non_null(memmem(body, n, event_body, sizeof(event_body) - 1));
	assert_non_null(memmem(body, n, record, sizeof(record) - 1));
	json_free(&doc);
	forward_free(&f);
	h.has_document = false;
	h.deleted = true;
	assert_int_equal(forward_post(&f, &h, NULL, 0, &keys, NOW, &e), RC_OK);
	assert_int_equal(
	    json_parse(f.text.p + f.body_at, f.text.n - f.body_at, &doc, &e), RC_OK);
	assert_non_null(json_at(doc, "/data/record"));
	assert_int_equal(json_type(json_at(doc, "/data/record")), JSON_NULL);
	assert_int_equal(json_type(json_at(doc, "/data/document")), JSON_NULL);
	assert_string_equal(f.text.p + f.text.n - 2, "}}");
	json_free(&doc);
	forward_free(&f);
}

static void
test_put(void **state)
{
	const char digest[] = "sha-256=:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=:";
	struct hand h = sample();
	struct forward f;
	struct err e;

	(void)state;
	assert_int_equal(forward_put(&f, &h, &keys, NOW, &e), RC_OK);
	assert_string_equal(line(&f, "Content-Digest"), digest);
	assert_signed(&f, "e3-document", digest, sizeof(digest) - 1);
	assert_string_equal(line(&f, "Content-Type"), "application/pdf");
	assert_string_equal(line(&f, "Content-Disposition"),
	    "attachment; filename*=UTF-8''W%C3%A4ll%20%221%22%0D%0AX%3A%20y.pdf");
	assert_string_equal(line(&f, "Arken-Event"), "acme.e3.FileStore.Upload");
	forward_free(&f);
	memset(h.meta.original, 0xe4, sizeof(h.meta.original) - 1); /* the longest */
	assert_int_equal(forward_put(&f, &h, &keys, NOW, &e), RC_OK);
	assert_int_equal(strlen(line(&f, "Content-Disposition")), 29 + 3 * 255);
	forward_free(&f);
	h.meta.original[0] = '\0';
	h.meta.media_type[0] = '\0';
	assert_int_equal(forward_put(&f, &h, &keys, NOW, &e), RC_OK);
	assert_string_equal(line(&f, "Content-Disposition"), "");
	assert_string_equal(line(&f, "Content-Type"), "application/octet-stream");
	forward_free(&f);
	h.meta.sha256[3] = 'X';
	assert_int_equal(forward_put(&f, &h, &keys, NOW, &e), RC_BAD);
	forward_free(&f);
}

static void
test_url(void **state)
{
	struct hand h = sample();
	char url[HTTP_URL];
	struct err e;

	(void)state;
	assert_int_equal(forward_url("https://h/{account}/{documentHashId}{suffix}?d={sha256}&"
				     "e={eventId}&k={category}.{type}&{unknown}",
			     &h, url, &e),
	    RC_OK);
	assert_string_equal(
	    url, "https://h/acme/a%2Fb%20c.pdf?d=" SUM "&e=e3&k=FileStore.Upload&{unknown}");
	h.meta.suffix[0] = '\0';
	assert_int_equal(forward_url("https://h/{object}{suffix}", &h, url, &e), RC_OK);
	assert_string_equal(url, "https://h/a%2Fb%20c");
	assert_int_equal(forward_url("https://h/{userHashId}", &h, url, &e), RC_BAD);
	assert_non_null(strstr(e.text, "{userHashId}"));
}

static struct http_answer
answer(int status, const char *body)
{
	struct http_answer a = {.fate = HTTP_ANSWERED,
	    .status = status,
	    .body = body,
	    .body_len = strlen(body),
	    .retry_after = -1};

	return a;
}

/* Every status there is. */
static void
test_statuses(void **state)
{
	static const int down[] = {401, 402, 403, 404, 405, 407, 429, 502, 503, 504};
	static const int later[] = {408, 409, 423, 425};
	char text[HANDED_TEXT];

	(void)state;
	for (int s = 100; s < 600; s++) {
		struct http_answer a = answer(s, "");
		enum handed want = s < 200   ? HANDED_NEVER
				   : s < 300 ? HANDED_DONE
				   : s < 400 ? HANDED_DOWN
				   : s < 500 ? HANDED_NEVER
					     : HANDED_LATER;

		for (size_t i = 0; i < sizeof(down) / sizeof(down[0]); i++)
			want = s == down[i] ? HANDED_DOWN : want;
		for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
			want = s == later[i] ? HANDED_LATER : want;
		want = s == 410 ? HANDED_CONFIG : want;
		if (forward_verdict(&a, text) != want)
			fail_msg("%d: %s", s, text);
	}
}

static void
test_fates(void **state)
{
	static const struct {
		enum http_fate fate;
		int status;
		enum handed want;
	} t[] = {
	    {HTTP_NO_NAME, 0, HANDED_DOWN},
	    {HTTP_NO_CONNECT, 0, HANDED_DOWN},
	    {HTTP_NO_TLS, 0, HANDED_DOWN},
	    {HTTP_STALLED, 0, HANDED_DOWN},
	    {HTTP_CUT, 0, HANDED_DOWN},
	    {HTTP_CUT, 200, HANDED_LATER}, /* was it taken?  once more is harmless */
	    {HTTP_LOCAL, 0, HANDED_OURS},
	    {HTTP_FORBIDDEN, 0, HANDED_CONFIG},
	    {HTTP_TOO_LARGE, 201, HANDED_DONE}, /* it talks a lot, but it has it */
	    {HTTP_TOO_LARGE, 0, HANDED_LATER},
	};
	char text[HANDED_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct http_answer a = answer(t[i].status, "");

		a.fate = t[i].fate;
		(void)snprintf(a.text, sizeof(a.text), "what happened");
		if (forward_verdict(&a, text) != t[i].want)
			fail_msg("case %zu: %s", i, text);
		if (t[i].status == 0)
			assert_string_equal(text, "forward: what happened");
	}
}

static void
test_words(void **state)
{
	struct http_answer a = answer(422, "\n no such\tclient \x1b[31m\xc3\xa4\r\n");
	char text[HANDED_TEXT], big[1000];

	(void)state;
	assert_int_equal(forward_verdict(&a, text), HANDED_NEVER);
	assert_string_equal(text, "forward: answered 422: no such client [31m ");
	a = answer(200, "thanks");
	assert_int_equal(forward_verdict(&a, text), HANDED_DONE);
	assert_string_equal(text, "forward: answered 200");
	a = answer(302, "");
	assert_int_equal(forward_verdict(&a, text), HANDED_DOWN);
	assert_string_equal(text, "forward: answered 302 (redirects are not followed)");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	a = answer(500, big);
	assert_int_equal(forward_verdict(&a, text), HANDED_LATER);
	assert_int_equal(strlen(text), 23 + 160);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_post),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_statuses),
	    cmocka_unit_test(test_fates),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
