/*
 * SPDX-License-Identifier: ISC
 *
 * t_rec - tests of rec: an old file stays readable, damage is seen, hostile values stay values.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rec.h"
#include "rnd.h"
#include "str.h"
#include "tmpdir.h"

#define LINE 998 /* RFC 5322 section 2.1.1 */
#define GOLDEN "tests/data/spool-v1.eml"
#define NAME "acme.0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10.FileStore.Upload"

static const char body[] =
    "{ \"eventId\": \"0B0F6A2E-5A51-4C0D-9A3E-6F2F5D1C7E10\",\r\n"
    "  \"eventType\": \"FileStore.Upload\", \"eventNumber\": 1207,\n\n"
    "From here on the body is no JSON:\n: \0\x80\xff\xc3\xa9 and no newline at the end";

/* The event of the file in tests/data, as it was when version 1 was written. */
static struct rec
golden(void)
{
	return (struct rec){.name = NAME,
	    .account = "acme",
	    .received = 1772705472345,
	    .source = REC_WEBHOOK,
	    .auth = "secret line 2",
	    .remote = "192.0.2.7",
	    .subject = "FileStore.Upload: document 2mTeQk0aXyZ, client 8KqPv",
	    .body = body,
	    .body_len = sizeof(body) - 1};
}

/* The whole file of a record, to be freed by the caller. */
static struct buf
whole(struct rec *r)
{
	struct buf b = BUF_INIT(100000);
	struct err e;

	if (rec_write(&b, r, &e) != RC_OK)
		fail_msg("rec_write: %s", e.text);
	buf_add(&b, r->body, r->body_len);
	assert_int_equal(buf_state(&b, &e), RC_OK);
	return b;
}

static void
test_golden(void **state)
{
	const char *top = getenv("srcdir");
	char file[512], text[8192];
	struct rec want = golden(), r;
	struct buf b = whole(&want);
	struct err e;
	ssize_t n;

	(void)state;
	(void)snprintf(file, sizeof(file), "%s/" GOLDEN, top != NULL ? top : ".");
	n = tmpdir_read(AT_FDCWD, file, text, sizeof(text));
	if (n < 0)
		fail_msg("%s is missing", file);
	if (rec_parse(text, (size_t)n, &r, &e) != RC_OK)
		fail_msg("%s: %s", file, e.text);
	assert_string_equal(r.name, want.name);
	assert_string_equal(r.account, want.account);
	assert_int_equal(r.received, want.received);
	assert_int_equal(r.source, want.source);
	assert_string_equal(r.auth, want.auth);
	assert_string_equal(r.remote, want.remote);
	assert_string_equal(r.subject, want.subject);
	assert_string_equal(
	    r.sha256, "d17bd37f83458369db9ad7d96631fd48fb0ed94d776a94df3faceffbe36e5498");
	assert_int_equal(r.body_len, want.body_len);
	assert_memory_equal(r.body, body, sizeof(body) - 1);
	/* What is written today is the same file: another format has another version. */
	assert_int_equal(b.n, n);
	assert_memory_equal(b.p, text, b.n);
	buf_free(&b);
}

/* Lines of at most 998 printable ASCII bytes, then an empty one; returns where the body is. */
static size_t
check_header(const struct buf *b)
{
	size_t at = 0;

	for (;;) {
		const char *nl = memchr(b->p + at, '\n', b->n - at);
		size_t n;

		assert_non_null(nl);
		n = (size_t)(nl - (b->p + at));
		if (n == 0)
			return at + 1;
		assert_in_range(n, 3, LINE);
		for (size_t i = at; i < at + n; i++)
			assert_in_range(b->p[i], ' ', '~');
		at += n + 1;
	}
}

/* What is left of an erased event verifies, and says since when. */
static void
test_erased(void **state)
{
	struct rec want = golden(), r;
	struct err e;
	struct buf b;

	(void)state;
	want.erased = 1772705472999;
	want.event_time = 1772705472111;
	(void)snprintf(want.erased_ids, sizeof(want.erased_ids), "0123456789abcdef.%064d", 7);
	want.body = "";
	want.body_len = 0;
	b = whole(&want);
	assert_int_equal(rec_parse(buf_text(&b), b.n, &r, &e), RC_OK);
	assert_int_equal(r.erased, want.erased);
	assert_int_equal(r.event_time, want.event_time);
	assert_string_equal(r.erased_ids, want.erased_ids);
	assert_int_equal(r.body_len, 0);
	memcpy(strstr(b.p, "Arken-Erased: ") + 14, "2026-13", 7);
	assert_int_equal(rec_parse(buf_text(&b), b.n, &r, &e), RC_BAD);
	buf_free(&b);
	/* What would be longer than the reader's room once it is escaped is not written. */
	memset(want.erased_ids + 17, 0x1b, 64);
	assert_int_equal(rec_write(&b, &want, &e), RC_BAD);
	assert_string_equal(e.text, "Arken-Erased-Ids is not a digest");
	buf_free(&b);
}

static void
test_header(void **state)
{
	static const char *const fields[] = {"Date: Thu, 05 Mar 2026 10:11:12 +0000\n",
	    "From: \"Arken (acme)\" <webhook@arken.invalid>\n",
	    "Message-ID: <" NAME "@arkenspool.invalid>\n", "MIME-Version: 1.0\n",
	    "Content-Type: application/json\n", "Content-Transfer-Encoding: binary\n",
	    "Arken-Spool: 1\n", "Arken-Account: acme\n", "Arken-Event: " NAME "\n",
	    "Arken-Source: webhook\n"};
	struct rec r = golden();
	struct buf b = whole(&r);

	(void)state;
	assert_int_equal(check_header(&b), b.n - r.body_len);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		assert_non_null(strstr(b.p, fields[i]));
	buf_free(&b);
}

static void
test_bodies(void **state)
{
	struct rnd rnd = rnd_new("test_bodies");
	char text[4096];
	struct err e;

	(void)state;
	for (size_t n = 0; n <= sizeof(text); n = n < 300 ? n + 1 : n * 2) {
		struct rec r = golden(), back;
		struct buf b;

		for (size_t i = 0; i < n; i++)
			text[i] = (char)rnd_next(&rnd);
		r.body = text;
		r.body_len = n;
		b = whole(&r);
		assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_OK);
		assert_int_equal(back.body_len, n);
		assert_memory_equal(back.body, text, n);
		assert_ptr_equal(back.body, b.p + b.n - n);
		buf_free(&b);
	}
}

static void
test_sources(void **state)
{
	struct rec r, back;
	struct err e;

	(void)state;
	for (int s = REC_WEBHOOK; s <= REC_OPERATOR; s++) {
		struct buf b;

		r = golden();
		r.source = (enum rec_source)s;
		b = whole(&r);
		assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_OK);
		assert_int_equal(back.source, s);
		buf_free(&b);
	}
	assert_string_equal(rec_source_name(REC_RECONCILE), "reconcile");
}

static void
test_truncations(void **state)
{
	struct rec r = golden(), back;
	struct buf b = whole(&r);
	struct err e;

	(void)state;
	for (size_t n = 0; n < b.n; n++) {
		char *cut = malloc(n + 1); /* of its own, so that reading past it is seen */

		assert_non_null(cut);
		memcpy(cut, b.p, n);
		if (rec_parse(cut, n, &back, &e) != RC_BAD)
			fail_msg("cut to %zu bytes it is still a record", n);
		assert_true(e.text[0] != '\0');
		free(cut);
	}
	buf_add(&b, "x", 1);
	assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_BAD);
	buf_free(&b);
}

/* Refused, or the body is what it was. */
static void
refused_or_same(const char *p, size_t n, const char *what, size_t at)
{
	struct rec r;
	struct err e;
	enum rc rc = rec_parse(p, n, &r, &e);

	if (rc == RC_OK) {
		if (r.body_len != sizeof(body) - 1 || memcmp(r.body, body, r.body_len) != 0)
			fail_msg("%s at %zu: another body is accepted", what, at);
	} else if (rc != RC_BAD) {
		fail_msg("%s at %zu: %s", what, at, err_name(rc));
	}
}

static void
test_changes(void **state)
{
	struct rec r = golden();
	struct buf b = whole(&r);
	char *t = malloc(b.n + 1);

	(void)state;
	assert_non_null(t);
	for (size_t i = 0; i < b.n; i++) {
		memcpy(t, b.p, b.n);
		for (int c = 0; c < 256; c++) {
			t[i] = (char)c;
			refused_or_same(t, b.n, "a changed byte", i);
		}
		memcpy(t, b.p, i);
		memcpy(t + i, b.p + i + 1, b.n - i - 1);
		refused_or_same(t, b.n - 1, "a missing byte", i);
		memcpy(t + i + 1, b.p + i, b.n - i);
		for (const char *c = "\n :\r0aX"; *c != '\0'; c++) {
			t[i] = *c;
			refused_or_same(t, b.n + 1, "a byte more", i);
		}
	}
	free(t);
	buf_free(&b);
}

/* Every byte of the body and of what describes it is guarded. */
static void
test_guarded(void **state)
{
	static const char *const guarded[] = {"\nContent-Length: ", "\nArken-SHA256: ",
	    "\nArken-Spool: ", "\nArken-Source: ", "\nArken-Account: "};
	struct rec r = golden(), back;
	struct buf b = whole(&r);
	struct err e;

	(void)state;
	for (size_t i = b.n - r.body_len; i < b.n; i++) {
		b.p[i] ^= 1;
		assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_BAD);
		b.p[i] ^= 1;
	}
	for (size_t k = 0; k < sizeof(guarded) / sizeof(guarded[0]); k++) {
		char *at = strstr(b.p, guarded[k]) + strlen(guarded[k]);

		for (; *at != '\n'; at++)
			for (int bit = 0; bit < 8; bit++) {
				*at = (char)(*at ^ 1 << bit);
				assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_BAD);
				*at = (char)(*at ^ 1 << bit);
			}
	}
	assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_OK);
	buf_free(&b);
}

/* The record with a text put in place of another; the caller frees it. */
static struct buf
edited(const char *from, const char *to)
{
	struct rec r = golden();
	struct buf b = whole(&r), out = BUF_INIT(100000);
	const char *at = memmem(b.p, b.n, from, strlen(from));

	assert_non_null(at);
	buf_add(&out, b.p, (size_t)(at - b.p));
	buf_str(&out, to);
	buf_add(&out, at + strlen(from), b.n - (size_t)(at - b.p) - strlen(from));
	buf_free(&b);
	return out;
}

static void
test_refused(void **state)
{
	static const struct {
		const char *from, *to, *why;
	} t[] = {
	    {"Arken-Spool: 1\n", "Arken-Spool: 2\n", "version 2 is not known"},
	    {"Arken-Spool: 1\n", "Arken-Spool: 01\n", "version 01 is not known"},
	    {"Arken-Spool: 1\n", "", "Arken-Spool is missing"},
	    {"Arken-Spool: 1\n", "Arken-Spool: 1\nArken-Spool: 1\n", "stands twice"},
	    {"Arken-Account: acme\n", "Arken-Account: acmf\n", "not an event's name"},
	    {"Arken-Event: " NAME, "Arken-Event: ../../x", "not an event's name"},
	    {"Arken-Event: " NAME, "Arken-Event: acme/x." NAME, "not an event's name"},
	    {"Arken-Source: webhook", "Arken-Source: Webhook", "Arken-Source is not known"},
	    {"Arken-Received: 2026-03-05T", "Arken-Received: 2026-02-30T", "not a time"},
	    {"Content-Length: ", "Content-Length: -", "not a length"},
	    {"Content-Length: ", "Content-Length: 99999999999999999999", "not a length"},
	    {"Content-Length: ", "Content-Length: 9999999999999999", "announced are"},
	    {"Arken-Auth: ", "Arken-Auth:", "malformed"},
	    {"MIME-Version: 1.0\n", "MIME-Version\n", "malformed"},
	    {"MIME-Version: 1.0\n", ": 1.0\n", "malformed"},
	    {"MIME-Version: 1.0\n", " folded: 1.0\n\n", "missing"},
	};
	struct err e;
	struct rec r;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf b = edited(t[i].from, t[i].to);

		assert_int_equal(rec_parse(b.p, b.n, &r, &e), RC_BAD);
		if (strstr(e.text, t[i].why) == NULL)
			fail_msg("%s: %s", t[i].to, e.text);
		buf_free(&b);
	}
}

/* A later version may leave fields out: it is refused as what it is, not as torn. */
static void
test_later_version(void **state)
{
	static const char text[] = "Date: x\nArken-Spool: 7\nArken-Something: new\n\n{}";
	struct err e;
	struct rec r;

	(void)state;
	assert_int_equal(rec_parse(text, sizeof(text) - 1, &r, &e), RC_BAD);
	assert_string_equal(e.text, "format version 7 is not known here");
}

static void
test_unknown_field(void **state)
{
	struct buf b = edited("Arken-Spool: 1\n", "Arken-Spool: 1\nX-Later: any \x80 thing\n");
	struct err e;
	struct rec r;

	(void)state;
	assert_int_equal(rec_parse(b.p, b.n, &r, &e), RC_OK);
	buf_free(&b);
}

static void
test_head_limits(void **state)
{
	char line[LINE + 80];
	struct buf b;
	struct err e;
	struct rec r;

	(void)state;
	for (size_t n = LINE - 1; n <= LINE + 1; n++) {
		(void)snprintf(
		    line, sizeof(line), "Arken-Spool: 1\nX-Long: %0*d\n", (int)(n - 8), 0);
		b = edited("Arken-Spool: 1\n", line);
		assert_int_equal(rec_parse(b.p, b.n, &r, &e), n <= LINE ? RC_OK : RC_BAD);
		buf_free(&b);
	}
	b = BUF_INIT(2 * REC_HEAD_MAX);
	while (b.n < REC_HEAD_MAX)
		buf_str(&b, "X-More: and more\n");
	buf_str(&b, "\n");
	assert_int_equal(rec_parse(b.p, b.n, &r, &e), RC_BAD);
	assert_string_equal(e.text, "the header has no end");
	buf_free(&b);
}

/* The header of a record of which only the beginning is there. */
static void
test_head(void **state)
{
	struct rec r = golden(), back;
	struct buf b = whole(&r);
	size_t head = b.n - r.body_len;
	struct err e;

	(void)state;
	for (size_t n = 0; n <= b.n; n++) {
		enum rc rc = rec_head(b.p, n, &back, &e);

		assert_int_equal(rc, n < head ? RC_BAD : RC_OK);
		assert_null(back.body);
		if (rc == RC_OK)
			assert_int_equal(back.body_len, r.body_len);
	}
	buf_free(&b);
}

/* Fill a value with n bytes c, or with all bytes when c is 0. */
static void
fill(char value[REC_VALUE], size_t n, char c)
{
	for (size_t i = 0; i < n; i++)
		value[i] = (char)(c != 0 ? c : (char)(i % 255 + 1));
	value[n] = '\0';
}

/* Whatever stands in a value, the header keeps its lines and the value comes back escaped. */
static void
test_hostile(void **state)
{
	static const char bytes[] = {
	    0, '\n', '\r', '\t', ' ', '\\', ':', '"', '\x80', '\xff', 'a'};
	struct rec r, back;
	char want[REC_VALUE];
	struct err e;

	(void)state;
	for (size_t k = 0; k < sizeof(bytes); k++)
		for (size_t n = 0; n < REC_VALUE; n += n < 5 || n > 245 ? 1 : 20) {
			struct buf b;

			r = golden();
			fill(r.subject, n, bytes[k]);
			fill(r.auth, n, bytes[k]);
			fill(r.remote, n, bytes[k]);
			b = whole(&r);
			assert_int_equal(check_header(&b), b.n - r.body_len);
			if (rec_parse(b.p, b.n, &back, &e) != RC_OK)
				fail_msg("%zu bytes %d: %s", n, bytes[k], e.text);
			(void)str_escape(want, sizeof(want), r.subject, n);
			assert_string_equal(back.subject, want);
			assert_string_equal(back.auth, want);
			assert_string_equal(back.remote, want);
			buf_free(&b);
		}
	r = golden();
	(void)snprintf(r.auth, sizeof(r.auth), "x\nArken-Source: operator\n\n{}");
	(void)snprintf(r.remote, sizeof(r.remote), "\nArken-Spool: 2");
	{
		struct buf b = whole(&r);

		assert_int_equal(rec_parse(b.p, b.n, &back, &e), RC_OK);
		assert_int_equal(back.source, REC_WEBHOOK);
		assert_string_equal(back.auth, "x\\x0aArken-Source: operator\\x0a\\x0a{}");
		buf_free(&b);
	}
}

/* What the reader would refuse is not written: an accepted event can be read. */
static void
test_write_refuses(void **state)
{
	static const struct {
		const char *name, *account;
	} t[] = {
	    {"", "acme"},
	    {"acme", "acme"},
	    {NAME, ""},
	    {NAME, "other"},
	    {NAME, "acme\nX: y"},
	    {"../" NAME, "acme"},
	    {"acme.a/b.User.Update", "acme"},
	    {"acme.a.User.Update\n", "acme"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf b = BUF_INIT(REC_HEAD_MAX);
		struct rec r = golden();

		assert_true(str_copy(r.name, sizeof(r.name), t[i].name));
		assert_true(str_copy(r.account, sizeof(r.account), t[i].account));
		assert_int_equal(rec_write(&b, &r, &e), RC_BAD);
		assert_int_equal(b.n, 0);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_erased),
	    cmocka_unit_test(test_header),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_sources),
	    cmocka_unit_test(test_truncations),
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_guarded),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_later_version),
	    cmocka_unit_test(test_unknown_field),
	    cmocka_unit_test(test_head_limits),
	    cmocka_unit_test(test_head),
	    cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_write_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
