/*
 * SPDX-License-Identifier: ISC
 *
 * t_json - tests of json: the grammar against a second, simple reader of it, the traps of
 * cJSON, and texts as large as a peer may send.
 */
#include "config.h"

#include <inttypes.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "json.h"
#include "str.h"

#define MIB10 ((size_t)10 << 20)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define T(s) (s), sizeof(s) - 1 /* a text that may hold a NUL, and its length */

/* ---- the oracle: RFC 8259 by recursive descent, with the limits of json.h ---- */

struct oracle {
	const unsigned char *p, *end;
	unsigned depth;
};

static bool oracle_value(struct oracle *o);

static bool
oracle_byte(struct oracle *o, unsigned char lo, unsigned char hi)
{
	if (o->p == o->end || *o->p < lo || *o->p > hi)
		return false;
	o->p++;
	return true;
}

static bool
oracle_is(struct oracle *o, char c)
{
	return oracle_byte(o, (unsigned char)c, (unsigned char)c);
}

static bool
oracle_word(struct oracle *o, const char *word)
{
	while (*word != '\0')
		if (!oracle_is(o, *word++))
			return false;
	return true;
}

static void
oracle_space(struct oracle *o)
{
	while (
	    oracle_is(o, ' ') || oracle_is(o, '\t') || oracle_is(o, '\n') || oracle_is(o, '\r'))
		;
}

static bool
oracle_digits(struct oracle *o)
{
	bool any = false;

	while (oracle_byte(o, '0', '9'))
		any = true;
	return any;
}

static bool
oracle_number(struct oracle *o)
{
	(void)oracle_is(o, '-');
	if (!oracle_is(o, '0') && !(oracle_byte(o, '1', '9') && (oracle_digits(o) || true)))
		return false;
	if (oracle_is(o, '.') && !oracle_digits(o))
		return false;
	if (!oracle_is(o, 'e') && !oracle_is(o, 'E'))
		return true;
	if (!oracle_is(o, '+'))
		(void)oracle_is(o, '-');
	return oracle_digits(o);
}

static unsigned
oracle_hex4(struct oracle *o)
{
	char digits[5] = {0};

	for (int i = 0; i < 4; i++) {
		if (o->p == o->end || strchr("0123456789abcdefABCDEF", *o->p) == NULL ||
		    *o->p == '\0')
			return 0;
		digits[i] = (char)*o->p++;
	}
	return (unsigned)strtoul(digits, NULL, 16);
}

static bool
oracle_escape(struct oracle *o)
{
	unsigned v;

	if (o->p == o->end || *o->p == '\0' || strchr("\"\\/bfnrtu", *o->p) == NULL)
		return false;
	if (*o->p++ != 'u')
		return true;
	v = oracle_hex4(o);
	if (v < 0xd800 || v > 0xdfff)
		return v != 0;
	if (v >= 0xdc00 || !oracle_word(o, "\\u"))
		return false;
	v = oracle_hex4(o);
	return v >= 0xdc00 && v <= 0xdfff;
}

/* RFC 3629 section 4, line by line. */
static bool
oracle_utf8(struct oracle *o)
{
	static const unsigned char rows[][5] = {{0xc2, 0xdf, 0x80, 0xbf, 0},
	    {0xe0, 0xe0, 0xa0, 0xbf, 1}, {0xe1, 0xec, 0x80, 0xbf, 1},
	    {0xed, 0xed, 0x80, 0x9f, 1}, {0xee, 0xef, 0x80, 0xbf, 1},
	    {0xf0, 0xf0, 0x90, 0xbf, 2}, {0xf1, 0xf3, 0x80, 0xbf, 2},
	    {0xf4, 0xf4, 0x80, 0x8f, 2}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (!oracle_byte(o, rows[i][0], rows[i][1]))
			continue;
		if (!oracle_byte(o, rows[i][2], rows[i][3]))
			return false;
		for (int k = 0; k < rows[i][4]; k++)
			if (!oracle_byte(o, 0x80, 0xbf))
				return false;
		return true;
	}
	return false;
}

static bool
oracle_string(struct oracle *o)
{
	if (!oracle_is(o, '"'))
		return false;
	while (!oracle_is(o, '"')) {
		if (oracle_is(o, '\\')) {
			if (!oracle_escape(o))
				return false;
		} else if (!oracle_byte(o, 0x20, 0x7f) && !oracle_utf8(o)) {
			return false;
		}
	}
	return true;
}

static bool
oracle_list(struct oracle *o, bool object)
{
	char close = object ? '}' : ']';

	if (++o->depth > JSON_DEPTH)
		return false;
	oracle_space(o);
	if (oracle_is(o, close)) {
		o->depth--;
		return true;
	}
	do {
		oracle_space(o);
		if (object) {
			if (!oracle_string(o))
				return false;
			oracle_space(o);
			if (!oracle_is(o, ':'))
				return false;
		}
		if (!oracle_value(o))
			return false;
	} while (oracle_is(o, ','));
	o->depth--;
	return oracle_is(o, close);
}

static bool
oracle_value(struct oracle *o)
{
	bool ok;

	oracle_space(o);
	if (o->p == o->end)
		return false;
	if (oracle_is(o, '{'))
		ok = oracle_list(o, true);
	else if (oracle_is(o, '['))
		ok = oracle_list(o, false);
	else if (*o->p == '"')
		ok = oracle_string(o);
	else if (*o->p == 't')
		ok = oracle_word(o, "true");
	else if (*o->p == 'f')
		ok = oracle_word(o, "false");
	else if (*o->p == 'n')
		ok = oracle_word(o, "null");
	else
		ok = oracle_number(o);
	oracle_space(o);
	return ok;
}

static bool
oracle(const char *p, size_t n)
{
	struct oracle o = {(const unsigned char *)p, (const unsigned char *)p + n, 0};

	return oracle_value(&o) && o.p == o.end;
}

/* ---- helpers ---- */

static void
show(const char *p, size_t n)
{
	char text[400];

	print_message("text: %s\n", str_escape(text, sizeof(text), p, n));
}

/* The text in memory of just its length, so that a read past its end is seen. */
static char *
exact(const char *p, size_t n)
{
	char *q = malloc(n > 0 ? n : 1);

	assert_non_null(q);
	memcpy(q, p, n);
	return q;
}

/*
 * json_check as the oracle says, json_parse as json_check says, but for a name that stands
 * twice.  Returns whether json_parse took it.
 */
static bool
agree(const char *p, size_t n)
{
	struct err checked = {0}, parsed = {0};
	bool good = oracle(p, n);
	char *q = exact(p, n);
	struct json *doc;
	enum rc rc;

	rc = json_check(q, n, &checked);
	if (rc != (good ? RC_OK : RC_BAD))
		show(p, n);
	assert_int_equal(rc, good ? RC_OK : RC_BAD);
	rc = json_parse(q, n, &doc, &parsed);
	free(q); /* the document stands on its own */
	if (good && rc == RC_BAD) {
		assert_non_null(strstr(parsed.text, "stands twice"));
		assert_null(doc);
		return false;
	}
	if (rc != (good ? RC_OK : RC_BAD))
		show(p, n);
	assert_int_equal(rc, good ? RC_OK : RC_BAD);
	if (!good)
		assert_string_equal(parsed.text, checked.text);
	assert_int_equal(doc != NULL, good);
	json_free(&doc);
	assert_null(doc);
	return good;
}

static struct json *
parse(const char *text)
{
	struct json *doc;
	struct err e = {0};
	enum rc rc = json_parse(text, strlen(text), &doc, &e);

	if (rc != RC_OK)
		print_message("%s\n", e.text);
	assert_int_equal(rc, RC_OK);
	assert_non_null(doc);
	return doc;
}

static void
refused(const char *p, size_t n, size_t at, const char *why)
{
	char begin[64];
	struct json *doc = NULL;
	struct err e = {0};

	if (json_check(p, n, &e) == RC_OK)
		show(p, n);
	assert_int_equal(json_check(p, n, &e), RC_BAD);
	(void)snprintf(begin, sizeof(begin), "not JSON at offset %zu: ", at);
	if (!str_begins(e.text, begin) || strstr(e.text, why) == NULL) {
		show(p, n);
		print_message("error: %s; expected: %s%s\n", e.text, begin, why);
		fail();
	}
	assert_false(agree(p, n));
	assert_int_equal(json_parse(p, n, &doc, NULL), RC_BAD);
	assert_null(doc);
}

/* ---- the grammar ---- */

static void
test_accepted(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} t[] = {
	    {T("null")},
	    {T("true")},
	    {T("false")},
	    {T(" \t\r\n0 \t\r\n")},
	    {T("-0")},
	    {T("1.5e+10")},
	    {T("1E-2")},
	    {T("0e0")},
	    {T("0.0")},
	    {T("\"\"")},
	    {T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"")},
	    {T("\"\x7f\"")},
	    {T("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"")},
	    {T("\"\xef\xbb\xbf\"")},
	    {T("\"\\ufeff\\uffff\"")},
	    {T("[]")},
	    {T("{}")},
	    {T("[ ]")},
	    {T("{ }")},
	    {T("[[],{},[{}]]")},
	    {T("{\"\":\"\"}")},
	    {T("{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }")},
	    {T("{\"a\":1,\"A\":2}")},
	    {T("{\"a\":{\"a\":{\"a\":1}}}")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		if (!agree(t[i].p, t[i].n))
			show(t[i].p, t[i].n);
		assert_true(agree(t[i].p, t[i].n));
	}
}

/* Every rule of the grammar broken once. */
static const struct {
	const char *p;
	size_t n, at;
	const char *why;
} broken[] = {
    {T(""), 0, "too early"},
    {T("  "), 2, "too early"},
    {T("\xef\xbb\xbf{}"), 0, "byte-order mark"},
    {T("\xef\xbb\xbf"), 0, "byte-order mark"},
    {T("\xff\xfe{}"), 0, "a value was expected"},
    {T("{} x"), 3, "something follows"},
    {T("{}{}"), 2, "something follows"},
    {T("{}\0"), 2, "something follows"},
    {T("1 2"), 2, "something follows"},
    {T("\0"), 0, "a value was expected"},
    {T("\v1"), 0, "a value was expected"},
    {T("\f1"), 0, "a value was expected"},
    {T("\xc2\xa0"
       "1"),
	0, "a value was expected"},
    {T("// c\n1"), 0, "a value was expected"},
    {T("/* c */1"), 0, "a value was expected"},
    {T("'a'"), 0, "a value was expected"},
    {T("a"), 0, "a value was expected"},
    {T("True"), 0, "a value was expected"},
    {T("tru"), 0, "neither true"},
    {T("nul "), 0, "neither true"},
    {T("nulL"), 0, "neither true"},
    {T("falsey"), 5, "something follows"},
    {T("NaN"), 0, "a value was expected"},
    {T("Infinity"), 0, "a value was expected"},
    {T("-Infinity"), 1, "a digit"},
    {T("+1"), 0, "a value was expected"},
    {T(".5"), 0, "a value was expected"},
    {T("-"), 1, "too early"},
    {T("-a"), 1, "a digit"},
    {T("01"), 1, "needless zero"},
    {T("-01"), 2, "needless zero"},
    {T("00"), 1, "needless zero"},
    {T("1."), 2, "too early"},
    {T("1.e1"), 2, "a digit"},
    {T("1e"), 2, "too early"},
    {T("1e+"), 3, "too early"},
    {T("1e-x"), 3, "a digit"},
    {T("1e1.5"), 3, "something follows"},
    {T("0x10"), 1, "something follows"},
    {T("1,5"), 1, "something follows"},
    {T("1_000"), 1, "something follows"},
    {T("\""), 1, "too early"},
    {T("\"a"), 2, "too early"},
    {T("\"\\"), 1, "too early"},
    {T("\"\\\""), 3, "too early"},
    {T("\"a\nb\""), 2, "control character"},
    {T("\"\t\""), 1, "control character"},
    {T("\"\0\""), 1, "control character"},
    {T("\"\x1f\""), 1, "control character"},
    {T("\"\\x41\""), 1, "unknown escape"},
    {T("\"\\a\""), 1, "unknown escape"},
    {T("\"\\'\""), 1, "unknown escape"},
    {T("\"\\U0041\""), 1, "unknown escape"},
    {T("\"\\\0\""), 1, "unknown escape"},
    {T("\"\\\n\""), 1, "unknown escape"},
    {T("\"\\u12\""), 1, "four hexadecimal"},
    {T("\"\\u"), 1, "four hexadecimal"},
    {T("\"\\u123g\""), 1, "four hexadecimal"},
    {T("\"\\u+123\""), 1, "four hexadecimal"},
    {T("\"\\u 123\""), 1, "four hexadecimal"},
    {T("\"ab\\u0000\""), 3, "\\u0000"},
    {T("\"\\ud800\""), 1, "surrogate"},
    {T("\"\\udbff\\u0041\""), 1, "surrogate"},
    {T("\"\\ud800\\ud800\""), 1, "surrogate"},
    {T("\"\\udc00\""), 1, "surrogate"},
    {T("\"\\udc00\\ud800\""), 1, "surrogate"},
    {T("\"\\ud83d\\ude0\""), 1, "surrogate"},
    {T("\"\\ud83d\\n\""), 1, "surrogate"},
    {T("\"\\ud83d"), 1, "surrogate"},
    {T("\"\x80\""), 1, "not UTF-8"},
    {T("\"\xc3\""), 1, "not UTF-8"},
    {T("\"\xc3"), 1, "not UTF-8"},
    {T("\"a\xe9 \""), 2, "not UTF-8"},
    {T("\"\xc0\xaf\""), 1, "not UTF-8"},
    {T("\"\xe0\x80\xaf\""), 1, "not UTF-8"},
    {T("\"\xed\xa0\x80\""), 1, "not UTF-8"},
    {T("\"\xf4\x90\x80\x80\""), 1, "not UTF-8"},
    {T("\"\xf8\x88\x80\x80\x80\""), 1, "not UTF-8"},
    {T("\"\xff\""), 1, "not UTF-8"},
    {T("{\"\xc0\x80\":1}"), 2, "not UTF-8"},
    {T("["), 1, "too early"},
    {T("[1"), 2, "too early"},
    {T("[1,"), 3, "too early"},
    {T("[1,]"), 3, "a value was expected"},
    {T("[,1]"), 1, "a value was expected"},
    {T("[1,,2]"), 3, "a value was expected"},
    {T("[1 2]"), 3, "a comma or ]"},
    {T("[1}"), 2, "a comma or ]"},
    {T("[1:2]"), 2, "a comma or ]"},
    {T("]"), 0, "a value was expected"},
    {T("}"), 0, "a value was expected"},
    {T("[]]"), 2, "something follows"},
    {T("{"), 1, "too early"},
    {T("{\"a\""), 4, "too early"},
    {T("{\"a\" "), 5, "too early"},
    {T("{\"a\":"), 5, "too early"},
    {T("{\"a\":1"), 6, "too early"},
    {T("{\"a\":1,"), 7, "too early"},
    {T("{\"a\":1,}"), 7, "name was expected"},
    {T("{,}"), 1, "name was expected"},
    {T("{a:1}"), 1, "name was expected"},
    {T("{'a':1}"), 1, "name was expected"},
    {T("{1:1}"), 1, "name was expected"},
    {T("{null:1}"), 1, "name was expected"},
    {T("{\"a\"}"), 4, "a colon"},
    {T("{\"a\",1}"), 4, "a colon"},
    {T("{\"a\"=1}"), 4, "a colon"},
    {T("{\"a\":}"), 5, "a value was expected"},
    {T("{\"a\"::1}"), 5, "a value was expected"},
    {T("{\"a\":1 \"b\":2}"), 7, "a comma or }"},
    {T("{\"a\":1]"), 6, "a comma or }"},
    {T("{\"a\":1;\"b\":2}"), 6, "a comma or }"},
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(broken); i++)
		refused(broken[i].p, broken[i].n, broken[i].at, broken[i].why);
}

/* All texts of no, one and two bytes, alone and where they meet a string, a list, a number. */
static void
test_short(void **state)
{
	static const struct {
		const char *before, *after;
	} in[] = {{"", ""}, {"\"", "\""}, {"[", "]"}, {"{\"a\"", "1}"}, {"1", "1"},
	    {"\"\\", "\""}, {"\"\xe2", "\""}, {"\"\\u00", "\""}, {"[1", "2]"}};
	char text[32];
	unsigned good = 0;

	(void)state;
	for (size_t k = 0; k < COUNT(in); k++) {
		size_t b = strlen(in[k].before), a = strlen(in[k].after);

		for (unsigned v = 0; v < 65536 + 256; v++) {
			size_t n = b;

			memcpy(text, in[k].before, b);
			text[n++] = (char)(v & 255);
			if (v >= 256)
				text[n++] = (char)((v - 256) >> 8);
			memcpy(text + n, in[k].after, a);
			good += agree(text, n + a);
		}
	}
	assert_false(agree("", 0));
	assert_true(good > 1000);
}

/* All texts of up to six characters that matter to the grammar. */
static void
test_words(void **state)
{
	static const char set[] = "[]{}:,\"0-.e\\ ";
	const unsigned long radix = sizeof(set) - 1;
	unsigned long total = 1, good = 0;
	char text[8];

	(void)state;
	for (size_t n = 1; n <= 6; n++) {
		total *= radix;
		for (unsigned long v = 0; v < total; v++) {
			unsigned long rest = v;

			for (size_t i = 0; i < n; i++, rest /= radix)
				text[i] = set[rest % radix];
			if (oracle(text, n) != (json_check(text, n, NULL) == RC_OK)) {
				show(text, n);
				fail();
			}
			if (oracle(text, n))
				good += agree(text, n);
		}
	}
	assert_true(good > 1000);
}

static void
test_depth(void **state)
{
	static const char *const open[] = {"[", "{\"a\":"}, *const close[] = {"]", "}"};
	char text[1024];

	(void)state;
	for (size_t kind = 0; kind < 3; kind++) {
		for (size_t depth = 1; depth <= JSON_DEPTH + 2; depth++) {
			struct buf b = BUF_INIT(sizeof(text));

			for (size_t i = 0; i < depth; i++)
				buf_str(&b, open[kind == 2 ? i % 2 : kind]);
			buf_str(&b, "1");
			for (size_t i = depth; i-- > 0;)
				buf_str(&b, close[kind == 2 ? i % 2 : kind]);
			assert_int_equal(agree(b.p, b.n), depth <= JSON_DEPTH);
			if (kind == 0 && depth > JSON_DEPTH)
				refused(b.p, b.n, JSON_DEPTH, "nested too deeply");
			buf_free(&b);
		}
	}
	/* what is closed does not count */
	assert_true(agree(T("[[[]],[[]],{\"a\":[]}]")));
}

/* ---- what cJSON would do otherwise ---- */

static void
test_twice(void **state)
{
	static const char *const bad[] = {"{\"a\":1,\"a\":2}", "{\"a\":1,\"b\":2,\"a\":1}",
	    "[0,{\"x\":[{\"a\":1,\"\\u0061\":2}]}]", "{\"\":1,\"\":2}",
	    "{\"\xc3\xa9\":1,\"\\u00E9\":2}", "{\"\\/\":1,\"/\":2}"};
	struct json *doc = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(json_check(bad[i], strlen(bad[i]), &e), RC_OK);
		assert_int_equal(json_parse(bad[i], strlen(bad[i]), &doc, &e), RC_BAD);
		assert_null(doc);
		assert_non_null(strstr(e.text, "stands twice"));
	}
	assert_int_equal(json_parse(T("{\"secret\\n\":1,\"secret\\n\":1}"), &doc, &e), RC_BAD);
	assert_string_equal(e.text, "the member \"secret\\x0a\" stands twice in one object");
	assert_true(agree(T("[{\"a\":1},{\"a\":1}]")));
}

static void
test_case(void **state)
{
	struct json *doc = parse(
	    "{\"ID\":1,\"Key\":\"up\",\"value\":\"lo\",\"Value\":\"UP\",\"\":\"none\"}");

	(void)state;
	assert_null(json_get(doc, "id"));
	assert_null(json_get(doc, "Id"));
	assert_string_equal(json_text(json_get(doc, "ID")), "1");
	assert_string_equal(json_text(json_get(doc, "")), "none");
	assert_null(json_get(NULL, "a"));
	assert_null(json_get(json_get(doc, "ID"), "a"));

	assert_string_equal(json_text(json_member(doc, "key")), "up");
	assert_string_equal(json_text(json_member(doc, "Key")), "up");
	assert_string_equal(json_text(json_member(doc, "value")), "lo");
	assert_string_equal(json_text(json_member(doc, "Value")), "UP");
	assert_string_equal(json_text(json_member(doc, "")), "none");
	assert_string_equal(json_text(json_member(doc, "iD")), "1");
	assert_null(json_member(doc, "id"));
	assert_null(json_member(doc, "KEY"));
	assert_null(json_member(doc, "k"));
	assert_null(json_member(NULL, "k"));
	assert_null(json_member(json_get(doc, "ID"), "k"));
	json_free(&doc);
}

static void
test_same_name(void **state)
{
	(void)state;
	assert_true(json_same_name("key", "Key"));
	assert_true(json_same_name("K", "k"));
	assert_false(json_same_name("keY", "key"));
	assert_false(json_same_name("", "k"));
	assert_false(json_same_name("k", ""));
	assert_false(json_same_name("@", "`"));
	assert_false(json_same_name("[", "{"));
}

static void
test_number_text(void **state)
{
	static const char *const texts[] = {"0", "-0", "1.50", "1e400", "-1E-400", "1E+2",
	    "12345678901234567890", "0.1000000000000000055511151231257827021181583404541015625",
	    "123456789012345678901234567890123456789012345678901234567890123",
	    "1234567890123456789012345678901234567890123456789012345678901234",
	    "-1234567890123456789012345678901234567890123456789012345678901234.5e12345678"};
	struct buf b = BUF_INIT(4096);
	const struct json *v;
	struct json *doc;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		doc = parse(texts[i]); /* as the document itself */
		assert_int_equal(json_type(doc), JSON_NUMBER);
		assert_string_equal(json_text(doc), texts[i]);
		assert_null(json_string(doc));
		json_free(&doc);
		buf_fmt(&b, "%s{\"-1\":%s}", i > 0 ? ",\"7\\\"8\\\\\", " : "[", texts[i]);
	}
	buf_str(&b, "]");
	doc = parse(buf_text(&b)); /* and among others, and strings that look like numbers */
	v = json_first(doc);
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_string_equal(json_text(json_get(v, "-1")), texts[i]);
		v = json_next(v);
		if (i + 1 < COUNT(texts)) {
			assert_string_equal(json_text(v), "7\"8\\");
			v = json_next(v);
		}
	}
	assert_null(v);
	json_free(&doc);
	buf_free(&b);
}

/* A decimal comma of the locale changes nothing. */
static void
test_locale(void **state)
{
	static const char *const names[] = {
	    "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
	struct json *doc;
	size_t i = 0;

	(void)state;
	while (i < COUNT(names) && setlocale(LC_ALL, names[i]) == NULL)
		i++;
	if (i == COUNT(names))
		print_message("no locale with a decimal comma here; the C locale is tested\n");
	doc = parse("[1.50,2]");
	assert_string_equal(json_text(json_at(doc, "/0")), "1.50");
	assert_string_equal(json_text(json_at(doc, "/1")), "2");
	json_free(&doc);
	(void)setlocale(LC_ALL, "C");
}

static void
test_strings(void **state)
{
	struct json *doc = parse(
	    "[\"\\u0041\\n\\/\",\"\\ud83d\\ude00\",\"\\uffff\",\"\xc3\xa9\",\"\",\"12\"]");

	(void)state;
	assert_string_equal(json_string(json_at(doc, "/0")), "A\n/");
	assert_string_equal(json_string(json_at(doc, "/1")), "\xf0\x9f\x98\x80");
	assert_string_equal(json_string(json_at(doc, "/2")), "\xef\xbf\xbf");
	assert_string_equal(json_string(json_at(doc, "/3")), "\xc3\xa9");
	assert_string_equal(json_string(json_at(doc, "/4")), "");
	assert_string_equal(json_text(json_at(doc, "/5")), "12");
	json_free(&doc);
	doc = parse(" \"alone\" ");
	assert_string_equal(json_string(doc), "alone");
	json_free(&doc);
}

/* ---- questions to a document ---- */

static void
test_types(void **state)
{
	struct json *doc = parse("{\"n\":null,\"t\":true,\"f\":false,\"i\":1,\"s\":\"x\","
				 "\"a\":[1,2],\"o\":{\"k\":1},\"ea\":[],\"eo\":{}}");
	const struct json *v;
	bool b = true;

	(void)state;
	assert_int_equal(json_type(NULL), JSON_NULL);
	assert_int_equal(json_type(doc), JSON_OBJECT);
	assert_int_equal(json_type(json_get(doc, "n")), JSON_NULL);
	assert_int_equal(json_type(json_get(doc, "t")), JSON_BOOL);
	assert_int_equal(json_type(json_get(doc, "f")), JSON_BOOL);
	assert_int_equal(json_type(json_get(doc, "i")), JSON_NUMBER);
	assert_int_equal(json_type(json_get(doc, "s")), JSON_STRING);
	assert_int_equal(json_type(json_get(doc, "a")), JSON_ARRAY);
	assert_int_equal(json_type(json_get(doc, "eo")), JSON_OBJECT);

	assert_true(json_bool(json_get(doc, "t"), &b) && b);
	assert_true(json_bool(json_get(doc, "f"), &b) && !b);
	assert_false(json_bool(json_get(doc, "i"), &b));
	assert_false(json_bool(NULL, &b));

	/* the containers own text of ours, which is none of theirs */
	assert_null(json_text(doc));
	assert_null(json_string(doc));
	assert_null(json_text(json_get(doc, "a")));
	assert_null(json_text(json_get(doc, "n")));
	assert_null(json_text(NULL));
	assert_null(json_string(NULL));
	assert_null(json_string(json_get(doc, "i")));

	assert_null(json_first(json_get(doc, "ea")));
	assert_null(json_first(json_get(doc, "s")));
	assert_null(json_first(NULL));
	assert_null(json_next(NULL));
	assert_null(json_next(doc));
	assert_null(json_name(doc));
	assert_null(json_name(NULL));
	v = json_first(doc);
	assert_string_equal(json_name(v), "n");
	assert_string_equal(json_name(json_next(v)), "t");
	v = json_first(json_get(doc, "a"));
	assert_null(json_name(v));
	assert_string_equal(json_text(json_next(v)), "2");
	assert_null(json_next(json_next(v)));
	json_free(&doc);
	json_free(&doc);
	json_free(NULL);
}

static void
test_int(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max, v;
		bool ok;
	} t[] = {
	    {"0", INT64_MIN, INT64_MAX, 0, true},
	    {"-0", INT64_MIN, INT64_MAX, 0, true},
	    {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX, true},
	    {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN, true},
	    {"-9223372036854775807", INT64_MIN, INT64_MAX, -INT64_MAX, true},
	    {"9007199254740993", INT64_MIN, INT64_MAX, INT64_C(9007199254740993), true},
	    {"9223372036854775808", INT64_MIN, INT64_MAX, 0, false},
	    {"-9223372036854775809", INT64_MIN, INT64_MAX, 0, false},
	    {"18446744073709551616", INT64_MIN, INT64_MAX, 0, false},
	    {"123456789012345678901234567890", INT64_MIN, INT64_MAX, 0, false},
	    {"1.0", INT64_MIN, INT64_MAX, 0, false},
	    {"1e2", INT64_MIN, INT64_MAX, 0, false},
	    {"1E0", INT64_MIN, INT64_MAX, 0, false},
	    {"\"1\"", INT64_MIN, INT64_MAX, 0, false},
	    {"true", INT64_MIN, INT64_MAX, 0, false},
	    {"null", INT64_MIN, INT64_MAX, 0, false},
	    {"[1]", INT64_MIN, INT64_MAX, 0, false},
	    {"5", 5, 5, 5, true},
	    {"5", 6, 9, 0, false},
	    {"5", 1, 4, 0, false},
	    {"-5", -5, -5, -5, true},
	    {"-5", 0, 9, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct json *doc = parse(t[i].text);
		int64_t v = 77;

		assert_int_equal(json_int(doc, t[i].min, t[i].max, &v), t[i].ok);
		assert_true(v == t[i].v);
		json_free(&doc);
	}
}

/* RFC 6901 section 5, and what is no pointer. */
static void
test_pointer(void **state)
{
	static const struct {
		const char *pointer, *text;
	} t[] = {
	    {"/foo/0", "bar"},
	    {"/foo/1", "baz"},
	    {"/", "0"},
	    {"/a~1b", "1"},
	    {"/c%d", "2"},
	    {"/e^f", "3"},
	    {"/g|h", "4"},
	    {"/i\\j", "5"},
	    {"/k\"l", "6"},
	    {"/ ", "7"},
	    {"/m~0n", "8"},
	    {"/o/p/", "9"},
	    {"/~01", "10"},
	    {"/01", "11"},
	    {"/x/10", "k"},
	};
	static const char *const none[] = {"foo", "foo/0", "#/foo", " ", "/fo", "/fooo", "/Foo",
	    "/foo/2", "/foo/-", "/foo/01", "/foo/00", "/foo/+1", "/foo/-1", "/foo/", "/foo/ 1",
	    "/foo/0x0", "/foo/0/", "/foo/0/0", "/foo/1e0", "/foo/18446744073709551616",
	    "/foo/99999999999999999999999", "/a~b", "/m~n", "/~", "/~2", "/m~0n~", "//", "/o/p",
	    "/foo/4294967296", "/nope/~2"};
	struct json *doc = parse(
	    "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,"
	    "\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8,"
	    "\"o\":{\"p\":{\"\":9}},\"~1\":10,\"01\":11,\"a~b\":12,"
	    "\"x\":[0,1,2,3,4,5,6,7,8,9,\"k\"]}");

	(void)state;
	assert_ptr_equal(json_at(doc, ""), doc);
	assert_ptr_equal(json_at(doc, "/foo"), json_get(doc, "foo"));
	for (size_t i = 0; i < COUNT(t); i++)
		assert_string_equal(json_text(json_at(doc, t[i].pointer)), t[i].text);
	for (size_t i = 0; i < COUNT(none); i++) {
		const struct json *v = json_at(doc, none[i]);

		/* "/o/p" leads to an object, which has no text */
		if (json_text(v) != NULL)
			print_message("%s\n", none[i]);
		assert_null(json_text(v));
		assert_true(v == NULL || str_eq(none[i], "/o/p"));
	}
	assert_null(json_at(NULL, ""));
	assert_null(json_at(NULL, "/a"));
	json_free(&doc);
}

static void
test_split(void **state)
{
	static const struct {
		const char *text;
		bool is_array;
		size_t count;
		const char *span[4];
		size_t values[4];
	} t[] = {
	    {"[]", true, 0, {NULL}, {0}},
	    {" [ ] ", true, 0, {NULL}, {0}},
	    {" [ 1 , \"a,]\" ,{\"x\":[1,2]} , [ [] ] ] ", true, 4,
		{"1", "\"a,]\"", "{\"x\":[1,2]}", "[ [] ]"}, {1, 1, 4, 2}},
	    {"[{},{}]", true, 2, {"{}", "{}"}, {1, 1}},
	    {" {\"a\":[1,2]} \n", false, 1, {"{\"a\":[1,2]}"}, {4}},
	    {" 12 ", false, 1, {"12"}, {1}},
	    {"\"[1,2]\"", false, 1, {"\"[1,2]\""}, {1}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct json_span s[4];
		size_t n = 99;
		bool is_array = !t[i].is_array;

		assert_int_equal(
		    json_split(t[i].text, strlen(t[i].text), s, 4, &n, &is_array, NULL), RC_OK);
		assert_int_equal(is_array, t[i].is_array);
		assert_int_equal(n, t[i].count);
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(s[k].n, strlen(t[i].span[k]));
			assert_int_equal(s[k].values, t[i].values[k]);
			assert_memory_equal(t[i].text + s[k].at, t[i].span[k], s[k].n);
			assert_int_equal(json_check(t[i].text + s[k].at, s[k].n, NULL), RC_OK);
		}
	}
}

static void
test_split_limits(void **state)
{
	struct json_span s[2];
	size_t n = 99;
	bool is_array = true;
	struct err e = {0};

	(void)state;
	assert_int_equal(json_split(T("[1,2]"), s, 2, &n, &is_array, &e), RC_OK);
	assert_int_equal(n, 2);
	assert_int_equal(json_split(T("[1,2,3]"), s, 2, &n, &is_array, &e), RC_FULL);
	assert_int_equal(n, 0);
	assert_string_equal(e.text, "more than 2 elements");
	assert_int_equal(
	    json_split(T("[[1,2,3],{\"a\":1,\"b\":2,\"c\":3}]"), s, 2, &n, &is_array, &e),
	    RC_OK);
	assert_int_equal(json_split(T("[]"), s, 0, &n, &is_array, &e), RC_OK);
	assert_int_equal(json_split(T("[1,2"), s, 2, &n, &is_array, &e), RC_BAD);
	assert_int_equal(n, 0);
	assert_false(is_array);
	assert_string_equal(e.text, "not JSON at offset 4: the text ends too early");
	assert_int_equal(json_split(T(""), s, 2, &n, &is_array, &e), RC_BAD);
	assert_int_equal(json_split(T("\xef\xbb\xbf[]"), s, 2, &n, &is_array, &e), RC_BAD);
}

static void
test_print(void **state)
{
	static const char want[] =
	    "{\n  \"a\": [\n    1.50,\n    \"x\\n\",\n    {}\n  ],\n"
	    "  \"b\": [],\n  \"c\": {\n    \"d\": null,\n    \"e\": true,\n"
	    "    \"f\": false\n  }\n}";
	struct json *doc = parse("{\"a\":[1.50,\"x\\n\",{}],\"b\":[],\"c\":{\"d\":null,"
				 "\"e\":true,\"f\":false}}");
	struct buf b = BUF_INIT(4096);

	(void)state;
	json_print(&b, doc);
	assert_string_equal(buf_text(&b), want);
	buf_clear(&b);
	json_print(&b, json_at(doc, "/a/0"));
	assert_string_equal(buf_text(&b), "1.50");
	buf_clear(&b);
	json_print(&b, NULL);
	assert_string_equal(buf_text(&b), "null");
	buf_free(&b);
	json_free(&doc);
}

/* ---- as large as a body may be ---- */

static void
large(struct buf *b, enum rc want)
{
	struct json *doc;
	struct err e = {0};

	assert_int_equal(buf_state(b, &e), RC_OK);
	assert_int_equal(json_parse(b->p, b->n, &doc, &e), want);
	json_free(&doc);
	buf_free(b);
}

/* About 10 MiB: half a million members, all different, then one of them again. */
static void
test_large_object(void **state)
{
	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		struct buf b = BUF_INIT(MIB10);

		buf_str(&b, "{\"name0\":0");
		for (unsigned i = 1; i < 500000; i++)
			buf_fmt(&b, ",\"name%u\":%u", i * 7919U % 500009U, i);
		buf_str(&b, twice ? ",\"name0\":0}" : "}");
		large(&b, twice ? RC_BAD : RC_OK);
	}
}

/* Names that share all but their ends. */
static void
test_large_names(void **state)
{
	struct buf b = BUF_INIT(MIB10);
	char same[5001];

	(void)state;
	memset(same, 'x', sizeof(same) - 1);
	same[sizeof(same) - 1] = '\0';
	buf_str(&b, "{\"\":0");
	for (unsigned i = 0; i < 2000; i++)
		buf_fmt(&b, ",\"%s%u\":0", same, i);
	buf_str(&b, "}");
	large(&b, RC_OK);
}

static void
test_large_lists(void **state)
{
	static const char *const items[] = {"1234,", "{},", "\"a\",", "[[]],"};

	(void)state;
	for (size_t k = 0; k < COUNT(items); k++) {
		struct buf b = BUF_INIT(MIB10);
		size_t n = strlen(items[k]);

		buf_str(&b, "[");
		while (b.n + n < MIB10 / 4)
			buf_add(&b, items[k], n);
		buf_str(&b, "0]");
		large(&b, RC_OK);
	}
}

static void
test_too_many_values(void **state)
{
	struct buf b = BUF_INIT(MIB10);
	struct err e = {0};

	(void)state;
	buf_str(&b, "[");
	for (unsigned i = 2; i < JSON_VALUES; i++)
		buf_str(&b, "0,");
	buf_str(&b, "0]");
	assert_int_equal(json_check(b.p, b.n, NULL), RC_OK);
	b.p[b.n - 1] = ',';
	buf_str(&b, "0]");
	assert_int_equal(json_check(b.p, b.n, &e), RC_BAD);
	assert_non_null(strstr(e.text, "too many values"));
	buf_free(&b);
}

static void
test_large_values(void **state)
{
	struct buf b = BUF_INIT(MIB10);
	struct json *doc;

	(void)state;
	assert_int_equal(buf_room(&b, MIB10), RC_OK);
	b.n = MIB10;
	memset(b.p, '7', b.n); /* one number */
	assert_int_equal(json_parse(b.p, b.n, &doc, NULL), RC_OK);
	assert_int_equal(strlen(json_text(doc)), MIB10);
	json_free(&doc);
	b.p[0] = b.p[b.n - 1] = '"'; /* one string */
	assert_int_equal(json_parse(b.p, b.n, &doc, NULL), RC_OK);
	assert_int_equal(strlen(json_text(doc)), MIB10 - 2);
	json_free(&doc);
	b.p[b.n - 1] = '7';
	refused(b.p, b.n, MIB10, "too early");
	memset(b.p, ' ', b.n);
	refused(b.p, b.n, MIB10, "too early");
	b.p[b.n - 1] = '1';
	assert_int_equal(json_check(b.p, b.n, NULL), RC_OK);
	memset(b.p, '[', b.n);
	refused(b.p, b.n, JSON_DEPTH, "nested too deeply");
	buf_free(&b);
}

/* ---- mutations ---- */

static uint64_t
next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* One small change of the text; returns its new length. */
static size_t
mutate(uint64_t *s, char *p, size_t n, size_t max)
{
	static const char set[] =
	    "{}[]:,\"\\/0123456789-+.eEtrufalsn \t\n\x01\x7f\x80\xc3\xe2\xed\xf0";
	size_t at = n > 0 ? next_random(s) % n : 0;
	char c = next_random(s) % 4 == 0 ? (char)(next_random(s) & 255)
					 : set[next_random(s) % (sizeof(set) - 1)];

	switch (next_random(s) % 4) {
	case 0: /* replace */
		if (n > 0)
			p[at] = c;
		return n;
	case 1: /* insert */
		if (n == max)
			return n;
		memmove(p + at + 1, p + at, n - at);
		p[at] = c;
		return n + 1;
	case 2: /* take out */
		if (n == 0)
			return n;
		memmove(p + at, p + at + 1, n - at - 1);
		return n - 1;
	default: /* a copy of what stands elsewhere */
		if (n > 0)
			p[at] = p[next_random(s) % n];
		return n;
	}
}

/* What is printed is JSON again, and printed the same. */
static void
print_again(const char *p, size_t n)
{
	struct buf a = BUF_INIT(65536), b = BUF_INIT(65536);
	struct json *doc;

	assert_int_equal(json_parse(p, n, &doc, NULL), RC_OK);
	json_print(&a, doc);
	json_free(&doc);
	assert_int_equal(json_parse(a.p, a.n, &doc, NULL), RC_OK);
	json_print(&b, doc);
	assert_string_equal(buf_text(&a), buf_text(&b));
	json_free(&doc);
	buf_free(&a);
	buf_free(&b);
}

static void
test_mutations(void **state)
{
	static const char *const seeds[] = {
	    "{\"eventId\":\"0b0f6a2e\",\"eventType\":\"FileStore.Upload\",\"eventNumber\":1207,"
	    "\"link\":\"https://a/b?c=d "
	    "e\",\"properties\":[{\"Key\":\"D\",\"Value\":\"W-1\"}]}",
	    "[1,-0,1.5e+10,\"\\u00e9\\ud83d\\ude00\\\\\\\"\",{\"a\":[],\"b\":{}},true,null]",
	    "{\"a\":1,\"b\":{\"a\":2,\"b\":[{\"a\":3}]}}",
	    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
	};
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL), s;
	unsigned good = 0;
	char text[512];

	(void)state;
	print_message("TEST_SEED=%" PRIu64 "\n", seed);
	s = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (unsigned round = 0; round < 200000; round++) {
		const char *from = seeds[next_random(&s) % COUNT(seeds)];
		size_t n = strlen(from);

		memcpy(text, from, n);
		for (uint64_t k = next_random(&s) % 4; k > 0; k--)
			n = mutate(&s, text, n, sizeof(text));
		if (agree(text, n)) {
			good++;
			print_again(text, n);
		}
	}
	assert_true(good > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_short),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_twice),
	    cmocka_unit_test(test_case),
	    cmocka_unit_test(test_same_name),
	    cmocka_unit_test(test_number_text),
	    cmocka_unit_test(test_locale),
	    cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_int),
	    cmocka_unit_test(test_pointer),
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_split_limits),
	    cmocka_unit_test(test_print),
	    cmocka_unit_test(test_large_object),
	    cmocka_unit_test(test_large_names),
	    cmocka_unit_test(test_large_lists),
	    cmocka_unit_test(test_too_many_values),
	    cmocka_unit_test(test_large_values),
	    cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
