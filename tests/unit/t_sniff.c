/*
 * SPDX-License-Identifier: ISC
 *
 * t_sniff - tests of sniff: a page is no document, bytes agree with what is announced, and a
 * peer gives at most a suffix.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rnd.h"
#include "sniff.h"
#include "str.h"

#define PDF "%PDF-1.7\n"
#define ZIP "PK\003\004rest"
#define DOCX "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

static struct store_meta meta;
static struct err e;

static enum rc
look(const char *text, const char *type, const char *name)
{
	memset(&meta, 0, sizeof(meta));
	e.text[0] = '\0';
	return sniff(text, strlen(text), type, name, &meta, &e);
}

static void
test_good(void **state)
{
	static const struct {
		const char *text, *type, *name, *suffix;
	} t[] = {
	    {PDF, "application/pdf", "Will of A. B.pdf", ".pdf"},
	    {PDF, "application/pdf", "Will.PDF", ".pdf"},
	    {PDF, "Application/PDF; charset=binary", NULL, ".pdf"},
	    {PDF, "", "", ".pdf"},
	    {PDF, "application/octet-stream", "no suffix", ".pdf"},
	    {PDF, "binary/octet-stream", "will.bin", ".bin"},
	    {ZIP, DOCX, "Will.docx", ".docx"},
	    {ZIP, DOCX, NULL, ".zip"},
	    {ZIP, "application/zip", "pack.zip", ".zip"},
	    {"\211PNG\r\n\032\nxx", "image/png", NULL, ".png"},
	    {"\377\330\377\340", "image/jpeg", "a.jpeg", ".jpeg"},
	    {"\320\317\021\340\241\261\032\341", "application/msword", "a.doc", ".doc"},
	    {"{\\rtf1", "application/rtf", "a.rtf", ".rtf"},
	    {"plain words", "text/plain", "a.txt", ".txt"},
	    {"plain words", "", NULL, ""},
	    {"x", "", "archive.tar.gz", ".gz"},
	    {"x", "", ".hidden", ""},
	    {"x", "", "a.", ""},
	    {"x", "", "a.b/c", ""},
	    {"x", "", "a.../../etc/passwd", ""},
	    {"x", "", "a.abcdefghij", ".abcdefghij"},
	    {"x", "", "a.abcdefghijk", ""},
	    {"{}", "application/json", "a.json", ".txt"}, /* not the name of its description */
	    {"{}", "", "a.JSON", ".txt"},
	    {"{}", "application/octet-stream", NULL, ""},
	    {"<?xml version=\"1.0\"?><will/>", "application/xml", "a.xml", ".xml"},
	    {"<", "", NULL, ""},
	    {"<htm", "", NULL, ""},
	    {"<!-- only a comment", "", NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (look(t[i].text, t[i].type, t[i].name) != RC_OK)
			fail_msg("%zu: %s", i, e.text);
		assert_string_equal(meta.suffix, t[i].suffix);
	}
	assert_int_equal(look(PDF, "Application/PDF; charset=binary", "Wi\377ll.pdf"), RC_OK);
	assert_string_equal(meta.media_type, "application/pdf");
	assert_string_equal(meta.original, "Wi\\xffll.pdf");
}

static void
test_bad(void **state)
{
	static const struct {
		const char *text, *type, *name, *why;
	} t[] = {
	    {"", "application/pdf", "a.pdf", "empty"},
	    {"<html>", "application/pdf", "a.pdf", "browser"},
	    {"<!DOCTYPE html>", "", NULL, "browser"},
	    {"\357\273\277 \r\n\t<HTML lang=en>", "text/plain", "a.txt", "browser"},
	    {"<!-- made by x --> <!-- y -->\n<html>", "", NULL, "browser"},
	    {"<body>", "", NULL, "browser"},
	    {"<head>", "", NULL, "browser"},
	    {"<script>", "", NULL, "browser"},
	    {"Access denied", "application/pdf", NULL, "application/pdf"},
	    {"Access denied", "", "a.pdf", ".pdf"},
	    {ZIP, "application/pdf", NULL, "application/pdf"},
	    {PDF, DOCX, NULL, DOCX},
	    {PDF, "", "a.docx", ".docx"},
	    {PDF, "application/zip", "a.zip", "application/zip"},
	    {"%PDF", "application/pdf", NULL, "application/pdf"},
	    {"{\"message\":\"no\"}", "application/json", "will.pdf", ".pdf"},
	    {" {\"message\":\"no\"}", "application/json", NULL, "JSON"},
	    {"[1]", "", NULL, "JSON"},
	    {"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", "", NULL,
		"error message"},
	    {"<Error><Code>SlowDown</Code></Error>", "application/xml", "will.xml",
		"error message"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (look(t[i].text, t[i].type, t[i].name) != RC_BAD)
			fail_msg("%zu: accepted", i);
		if (strstr(e.text, t[i].why) == NULL)
			fail_msg("%zu: %s", i, e.text);
	}
}

static void
test_name(void **state)
{
	static const struct {
		const char *disposition, *url, *name;
	} t[] = {
	    {"attachment; filename=\"Will of A.pdf\"", "https://h/x.doc", "Will of A.pdf"},
	    {"attachment; filename=will.pdf; size=1", "https://h/x.doc", "will.pdf"},
	    {"attachment; filename=\"\"", "https://h/x.doc", "x.doc"},
	    {"attachment; filename*=UTF-8''will.pdf", "https://h/x.doc", "will.pdf"},
	    {"attachment; filename=a.pdf; filename*=utf-8'en'W%69ll%20%C3%A9.pdf; x", "",
		"Will \303\251.pdf"},
	    {"attachment; FileName*=UTF-8''; filename=a.pdf", "https://h/x.doc", "a.pdf"},
	    {"attachment; filename*=ISO-8859-1''a.pdf", "https://h/x.doc", "x.doc"},
	    {"attachment; filename*=UTF-8'", "https://h/x.doc", "x.doc"},
	    {"", "https://h/a/b/Will%20of%20A.pdf?X-Amz-Expires=1/2.exe", "Will of A.pdf"},
	    {"", "https://h/a/b#c/d.exe", "b"},
	    {"", "https://h/", ""},
	    {"", "", ""},
	    {"", "https://h/a%2", "a%2"},
	    {"", "https://h/a%zz%00b", "a%zz%00b"},
	    {"", "https://h/%41", "A"},
	    {"", "https://h/a%2F..%2Fb", "a/../b"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		sniff_name(t[i].disposition, t[i].url, out, sizeof(out));
		assert_string_equal(out, t[i].name);
	}
	sniff_name("", "https://h/abcdefgh", out, 5);
	assert_string_equal(out, "abcd");
	sniff_name("filename=abcdefgh", "https://h/x", out, 5);
	assert_string_equal(out, "x");
}

/* ---- the end ---- */

/* An archive with such a directory and comment, its end record being wrong by off. */
static size_t
archive(char *out, const char *directory, const char *comment, unsigned off)
{
	size_t d = strlen(directory), c = strlen(comment), n = 8;

	memcpy(out, "PK\003\004data", n);
	memcpy(out + n, directory, d);
	n += d;
	memset(out + n, 0, 22);
	memcpy(out + n, "PK\005\006", 4);
	out[n + 12] = (char)d;
	out[n + 16] = (char)(8 + off);
	out[n + 20] = (char)c;
	memcpy(out + n + 22, comment, c);
	return n + 22 + c;
}

static const char *
end_of(const char *text, size_t n, const char *suffix)
{
	char *exact = malloc(n);
	const char *odd;

	assert_non_null(exact);
	memcpy(exact, text, n);
	memset(&meta, 0, sizeof(meta));
	meta.size = n;
	(void)snprintf(meta.suffix, sizeof(meta.suffix), "%s", suffix);
	odd = sniff_tail(exact, n < SNIFF_BYTES ? n : SNIFF_BYTES, exact, n, &meta);
	free(exact);
	return odd;
}

static void
test_end(void **state)
{
	char text[4000] = PDF "%%EOF";
	size_t n;

	(void)state;
	assert_null(end_of(PDF "%%EOF\n", strlen(PDF) + 6, ".pdf"));
	assert_non_null(end_of(PDF "%%EO", strlen(PDF) + 4, ".pdf"));
	assert_non_null(end_of(PDF, strlen(PDF), ""));
	memset(text + strlen(text), '\n', 3000); /* padding is no content */
	assert_null(end_of(text, sizeof(text), ".pdf"));
	memset(text + strlen(PDF) + 5, 'x', 1019);
	assert_null(end_of(text, strlen(PDF) + 5 + 1019, ".pdf"));
	text[strlen(PDF) + 5 + 1019] = 'x';
	assert_non_null(end_of(text, strlen(PDF) + 5 + 1020, ".pdf"));
	n = archive(text, "PK\001\002[Content_Types].xml", "", 0);
	assert_null(end_of(text, n, ".docx"));
	assert_null(end_of(text, n, ".zip"));
	for (size_t k = 5; k < n; k++)
		assert_non_null(end_of(text, k, ".docx")); /* cut anywhere */
	n = archive(text, "PK\001\002a.txt", "a comment", 0);
	assert_null(end_of(text, n, ".zip"));
	assert_non_null(strstr(end_of(text, n, ".docx"), "office"));
	n = archive(
	    text, "PK\001\002a.txt", "", 1); /* the directory would be in its end record */
	assert_non_null(end_of(text, n, ".zip"));
	memset(text + n - 10, 0xff, 8); /* ZIP64 keeps them elsewhere */
	assert_null(end_of(text, n, ".zip"));
	/* other kinds have no end that is known here */
	assert_null(end_of("plain", 5, ".txt"));
	assert_null(end_of("\377\330\377", 3, ".jpg"));
}

/* Whatever comes: one of two verdicts, and a suffix that may be part of a file's name. */
static void
test_random(void **state)
{
	static const char chars[] = "<!->htmlPDF%.{}\n \"=;/ab";
	struct rnd r = rnd_new("test_random");
	char text[32], name[32], type[32];

	(void)state;
	for (unsigned n = 0; n < 100000; n++) {
		char *const all[] = {text, name, type};
		char *exact;
		size_t k;
		enum rc rc;

		for (unsigned i = 0; i < 3; i++) {
			k = rnd_below(&r, 31);
			for (size_t at = 0; at < k; at++)
				all[i][at] = chars[rnd_below(&r, sizeof(chars) - 1)];
			all[i][k] = '\0';
		}
		/* no byte behind the first n may be looked at */
		k = strlen(text);
		assert_non_null(exact = malloc(k + (k == 0)));
		memcpy(exact, text, k);
		memset(&meta, 0, sizeof(meta));
		rc = sniff(exact, k, type, name, &meta, &e);
		free(exact);
		assert_true(rc == RC_OK || rc == RC_BAD);
		assert_true(meta.suffix[0] == '\0' ||
			    (meta.suffix[0] == '.' &&
				str_only(meta.suffix + 1, "", 1, STORE_SUFFIX - 2)));
		sniff_name(type, name, text, 1 + rnd_below(&r, 31));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_name),
	    cmocka_unit_test(test_end),
	    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
