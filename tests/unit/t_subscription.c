/*
 * SPDX-License-Identifier: ISC
 *
 * t_subscription - tests of subscription: bodies from templates, masked answers, secrets'
 * files.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clk.h"
#include "conf.h"
#include "io.h"
#include "subscription.h"
#include "tmpdir.h"

static const struct subscription by_secret = {
    .account_hash = "h", .url = "https://x.example/a", .header = "X-S", .secret = "p\"w"};
static const struct subscription by_openid = {.account_hash = "h",
    .url = "https://x.example/a",
    .version = "2",
    .token_url = "https://id/t",
    .client_id = "me",
    .client_secret = "pw",
    .audience = "aud"};

static void
test_body(void **state)
{
	static const struct {
		const char *template;
		const struct subscription *s;
		const char *want; /* NULL: RC_CONFIG */
	} t[] = {
	    {"{\"u\":\"{callbackUrl}\",\"v\":\"{callbackVersion}\",\"s\":{\"n\":\"{headerName}"
	     "\","
	     "\"v\":\"{headerValue}\"},\"o\":{\"i\":\"{clientId}\",\"s\":\"{clientSecret}\"}}",
		&by_secret,
		"{\"u\":\"https://x.example/a\",\"s\":{\"n\":\"X-S\",\"v\":\"p\\\"w\"}}"},
	    {"{\"s\":{\"v\":\"{headerValue}\"},\"u\":\"{callbackUrl}\",\"v\":\"{"
	     "callbackVersion}\","
	     "\"o\":{\"a\":\"{tokenUrl}\",\"s\":\"{clientSecret}\",\"x\":\"{audience}\"}}",
		&by_openid,
		"{\"u\":\"https://x.example/a\",\"v\":\"2\",\"o\":{\"a\":\"https://id/"
		"t\",\"s\":"
		"\"pw\",\"x\":\"aud\"}}"},
	    {"{\"a\":[\"{callbackUrl}\",\"{clientId}\",1.50,true,null,{},[]],"
	     "\"b\":\"Bearer {headerValue}!\",\"c\":[\"{clientId}\"],\"{x\":\"{y}\"}",
		&by_secret,
		"{\"a\":[\"https://x.example/a\",1.50,true,null,{},[]],\"b\":\"Bearer "
		"p\\\"w!\","
		"\"{x\":\"{y}\"}"},
	    {"{\"u\":\"{callbackUrl}\"}", &by_secret, NULL},
	    {"{\"u\":\"{headerValue}\"}", &by_secret, NULL},
	    {"{\"u\":\"{callbackUrl}\",\"s\":\"{headerValue}\"}", &by_openid, NULL},
	    {"{\"u\":", &by_secret, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct buf out = BUF_SECRET(SUBSCRIPTION_BODY);
		struct err e = {0};
		enum rc rc = subscription_body(t[i].template, t[i].s, &out, &e);

		assert_int_equal(rc, t[i].want != NULL ? RC_OK : RC_CONFIG);
		if (t[i].want != NULL)
			assert_string_equal(buf_text(&out), t[i].want);
		else
			assert_int_not_equal(e.text[0], '\0');
		buf_wipe(&out);
	}
}

static void
test_mask(void **state)
{
	static const char answer[] =
	    "{\"callbackUrl\":\"u\",\"secretHeader\":{\"name\":\"X\",\"Value\":\"pw\"},"
	    "\"list\":[{\"clientSecret\":\"pw\",\"n\":1e3,\"ok\":false,\"no\":null}],"
	    "\"apiKey\":7,\"secretSince\":\"2026\"}";
	struct buf out = BUF_INIT(1000);
	struct json *doc = NULL;

	(void)state;
	assert_int_equal(json_parse(answer, strlen(answer), &doc, NULL), RC_OK);
	subscription_mask(doc, &out);
	assert_string_equal(buf_text(&out),
	    "{\"callbackUrl\":\"u\",\"secretHeader\":{\"name\":\"X\",\"Value\":\"********\"},"
	    "\"list\":[{\"clientSecret\":\"********\",\"n\":1e3,\"ok\":false,\"no\":null}],"
	    "\"apiKey\":\"********\",\"secretSince\":\"2026\"}");
	assert_true(subscription_says(doc, "u"));
	assert_true(subscription_says(doc, "X"));
	assert_false(subscription_says(doc, "callbackUrl"));
	assert_false(subscription_says(doc, "v"));
	json_free(&doc);
	buf_free(&out);
}

static void
ramp(void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)(i * 8 + 3);
}

static void
check_newest(const char *path, enum rc want, const char *text)
{
	struct buf out = BUF_SECRET(1000);
	struct err e = {0};

	assert_int_equal(subscription_secret(path, &out, &e), want);
	assert_string_equal(buf_text(&out), text);
	buf_wipe(&out);
}

static void
test_newest(void **state)
{
	static const struct {
		const char *text, *newest;
		enum rc rc;
	} t[] = {
	    {"one\n", "one", RC_OK},
	    {"one\n two \r\n\n \t\n", "two", RC_OK},
	    {"one\ntwo", "two", RC_OK},
	    {"a b", "a b", RC_OK},
	    {"", "", RC_GONE},
	    {" \n\n", "", RC_CONFIG},
	    {"\xff\n", "", RC_CONFIG},
	};
	char base[TMPDIR_SIZE], path[TMPDIR_SIZE + 8];
	int dir;

	(void)state;
	tmpdir_make(base);
	dir = tmpdir_open(base);
	(void)snprintf(path, sizeof(path), "%s/s", base);
	check_newest(path, RC_GONE, "");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(
		    io_replace(dir, "s", 0600, t[i].text, strlen(t[i].text), NULL), RC_OK);
		check_newest(path, t[i].rc, t[i].newest);
	}
	assert_int_equal(fchmodat(dir, "s", 0604, 0), 0);
	check_newest(path, RC_CONFIG, "");
	io_close(&dir);
	tmpdir_remove(base);
}

static void
test_new(void **state)
{
	static const char made[] = "AwsTGyMrMztDS1NbY2tze4OLk5ujq7O7w8vT2-Pr8_s"; /* of ramp */
	char base[TMPDIR_SIZE], path[TMPDIR_SIZE + 8];
	struct buf out = BUF_SECRET(100), text = BUF_INIT(1000);
	struct err e = {0};
	struct stat st;
	int dir;

	(void)state;
	tmpdir_make(base);
	dir = tmpdir_open(base);
	(void)snprintf(path, sizeof(path), "%s/s", base);
	clk_replace_random(ramp);
	assert_int_equal(subscription_new_secret(path, getegid(), &out, &e), RC_OK);
	assert_string_equal(buf_text(&out), made);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	check_newest(path, RC_OK, made);
	/* A line without its end stays as it was, and so do owner and mode. */
	assert_int_equal(io_replace(dir, "s", 0600, "old-one", 7, &e), RC_OK);
	buf_clear(&out);
	assert_int_equal(subscription_new_secret(path, getegid(), &out, &e), RC_OK);
	assert_int_equal(io_read_file(dir, "s", &text, &e), RC_OK);
	assert_memory_equal(buf_text(&text), "old-one\nAws", 11);
	assert_int_equal(text.n, 8 + 43 + 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	clk_replace_random(NULL);
	/* No file, and no folder for it. */
	(void)snprintf(path, sizeof(path), "%s/n/s", base);
	assert_int_equal(subscription_new_secret(path, getegid(), &out, &e), RC_GONE);
	assert_int_equal(subscription_new_secret(base, getegid(), &out, &e), RC_CONFIG);
	buf_wipe(&out);
	buf_free(&text);
	io_close(&dir);
	tmpdir_remove(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_body),
	    cmocka_unit_test(test_mask),
	    cmocka_unit_test(test_newest),
	    cmocka_unit_test(test_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
