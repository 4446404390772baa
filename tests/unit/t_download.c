/*
 * SPDX-License-Identifier: ISC
 *
 * t_download - tests of download: where links lead, and whether what came is the document.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "download.h"
#include "str.h"

#define PDF "%PDF-1.7\nsome text\n%%EOF\n"

static void
test_links(void **state)
{
	struct guard *g;
	struct http_url u;
	char one[HASH_HEX], two[HASH_HEX];
	struct err e;

	(void)state;
	assert_int_equal(
	    guard_new("docs.example.com:8443 *.s3.example.com", NULL, &g, &e), RC_OK);
	assert_int_equal(
	    download_link("https://docs.example.com:8443/a?x=1", g, &u, one, &e), RC_OK);
	assert_string_equal(u.host, "docs.example.com");
	assert_int_equal(
	    download_link("https://docs.example.com:8443/a?x=2", g, &u, two, &e), RC_OK);
	assert_string_equal(one, two); /* the query is new each time */
	assert_int_equal(
	    download_link("https://docs.example.com:8443/b?x=2", g, &u, two, &e), RC_OK);
	assert_string_not_equal(one, two);
	assert_int_equal(
	    download_link("https://docs.example.com/a", g, &u, one, &e), RC_DENIED);
	assert_int_equal(download_link("http://a.s3.example.com/a", g, &u, one, &e), RC_DENIED);
	assert_int_equal(
	    download_link("https://u:p@a.s3.example.com/a", g, &u, one, &e), RC_DENIED);
	assert_string_equal(one, "");
	assert_int_equal(download_link("no link", g, &u, one, &e), RC_BAD);
	guard_free(&g);
}

static void
test_follow(void **state)
{
	static const struct {
		const char *location, *to; /* NULL: it leads nowhere */
	} t[] = {
	    {"/c?d=1", "https://h.example.com:8443/c?d=1"},
	    {"https://other.example.com/x y", "https://other.example.com/x%20y"},
	    {"//other.example.com/x", NULL},
	    {"ftp://other.example.com/x", NULL},
	    {"c", NULL},
	    {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		char link[HTTP_URL] = "https://h.example.com:8443/a/b?q";

		assert_int_equal(download_follow(link, t[i].location), t[i].to != NULL);
		assert_string_equal(
		    link, t[i].to != NULL ? t[i].to : "https://h.example.com:8443/a/b?q");
	}
}

/* What check says of these bytes under this head; before: what a try before it said. */
static enum rc
check(const char *bytes, const struct http_answer *head, const char *before,
    struct store_meta *m, bool *content, struct err *e)
{
	char name[] = "/tmp/t_download.XXXXXX";
	struct http_answer *a = malloc(sizeof(*a));
	struct download dl;
	enum rc rc;
	int fd = mkstemp(name);

	assert_non_null(a);
	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	*a = *head;
	a->file_len = strlen(bytes);
	memset(m, 0, sizeof(*m));
	*content = false;
	if ((rc = download_take(a, "https://h.example.com/will.pdf?s=1", "5", &dl, m, e)) ==
	    RC_OK)
		rc = download_check(fd, &dl, before, m, content, e);
	close(fd);
	free(a);
	return rc;
}

static void
test_check(void **state)
{
	struct http_answer a = {.content_type = "application/pdf", .etag = "\"v1\""};
	struct store_meta m;
	bool content;
	struct err e;

	(void)state;
	assert_int_equal(check(PDF, &a, "", &m, &content, &e), RC_OK);
	assert_string_equal(m.suffix, ".pdf");
	assert_string_equal(m.original, "will.pdf");
	assert_string_equal(m.etag, "\"v1\"");
	assert_string_equal(m.source, "5");
	assert_int_equal(m.size, strlen(PDF));
	assert_int_equal(strlen(m.sha256), 64);
	assert_string_equal(m.warning, "");
	/* pages and messages */
	assert_int_not_equal(check("<html>Sign in</html>", &a, "", &m, &content, &e), RC_OK);
	assert_true(content);
	/* another digest than its host gives */
	(void)snprintf(a.content_md5, sizeof(a.content_md5), "1B2M2Y8AsgTpgAmY7PhCfg==");
	assert_int_equal(check(PDF, &a, "", &m, &content, &e), RC_LATER);
	assert_true(content);
	a.content_md5[0] = '\0';
	(void)snprintf(a.coding, sizeof(a.coding), "gzip");
	assert_int_equal(check(PDF, &a, "", &m, &content, &e), RC_LATER);
	assert_false(content);
}

/* Without its end: once more, and the very same is the document, with a warning. */
static void
test_looks_cut(void **state)
{
	const struct http_answer a = {.content_type = "application/pdf"};
	struct store_meta m;
	struct err e, before;
	bool content;

	(void)state;
	assert_int_equal(
	    check("%PDF-1.7\nhalf of it", &a, "", &m, &content, &before), RC_LATER);
	assert_true(content);
	assert_int_equal(
	    check("%PDF-1.7\nother half", &a, before.text, &m, &content, &e), RC_LATER);
	assert_int_equal(
	    check("%PDF-1.7\nhalf of it", &a, before.text, &m, &content, &e), RC_OK);
	assert_non_null(strstr(m.warning, "EOF"));
}

static void
test_messages(void **state)
{
	(void)state;
	assert_true(download_is_message("application/json; charset=utf-8", "x", 1));
	assert_true(download_is_message("text/html", "x", 1));
	assert_true(download_is_message("application/octet-stream", " \r\n{", 4));
	assert_true(download_is_message("", "", 0));
	assert_false(download_is_message("application/pdf", PDF, strlen(PDF)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_links),
	    cmocka_unit_test(test_follow),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_looks_cut),
	    cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
