/*
 * SPDX-License-Identifier: ISC
 *
 * t_token - tests of token: what is asked, what is kept, when it is good, and who may ask.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io.h"
#include "json.h"
#include "str.h"
#include "tmpdir.h"
#include "token.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1780000000000)
#define LIFE (CLK_DAY / CLK_SECOND)

struct fixture {
	char path[TMPDIR_SIZE], secret_file[TMPDIR_SIZE + 16];
	int dir;
	struct conf_account a;
	struct err e;
};

static void
put_file(const struct fixture *f, const char *name, mode_t mode, const void *p, size_t n)
{
	struct err e = {0};

	if (io_replace(f->dir, name, mode, p, n, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static void
put_text(const struct fixture *f, const char *name, const char *text)
{
	put_file(f, name, 0600, text, strlen(text));
}

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	tmpdir_make(f->path);
	assert_int_equal(io_open_dir(AT_FDCWD, f->path, &f->dir, &f->e), RC_OK);
	(void)snprintf(f->secret_file, sizeof(f->secret_file), "%s/secret", f->path);
	put_text(f, "secret", "s3cr\"et\\\n");
	f->a.name = (char *)(uintptr_t) "acme";
	f->a.api = (char *)(uintptr_t) "https://api.example.com/pre";
	f->a.token_url = (char *)(uintptr_t) "https://id.example.com/oauth/token";
	f->a.client_id = (char *)(uintptr_t) "client-1";
	f->a.client_secret_file = f->secret_file;
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"secret", "acme", "acme.lock"};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(names); i++) {
		(void)unlinkat(f->dir, names[i], 0);
		(void)unlinkat(f->dir, names[i], AT_REMOVEDIR);
	}
	io_close(&f->dir);
	assert_int_equal(rmdir(f->path), 0); /* nothing else was left there */
	free(f);
	return 0;
}

static enum rc
store(struct fixture *f, int64_t now, int status, const char *body)
{
	err_clear(&f->e);
	return token_store(f->dir, &f->a, now, status, body, strlen(body), &f->e);
}

/* What token_load says; out is the token or "". */
static enum rc
load(struct fixture *f, int64_t now, char *out, size_t size)
{
	struct buf b = BUF_SECRET(TOKEN_MAX + 1);
	enum rc rc;

	err_clear(&f->e);
	rc = token_load(f->dir, &f->a, now, &b, &f->e);
	if (!str_copy(out, size, buf_text(&b)))
		fail_msg("the token does not fit");
	assert_int_equal(rc == RC_OK, out[0] != '\0');
	buf_wipe(&b);
	return rc;
}

static void
expect(struct fixture *f, int64_t now, enum rc rc, const char *token)
{
	char got[256];
	enum rc is = load(f, now, got, sizeof(got));

	if (is != rc || !str_eq(got, token))
		fail_msg("at +%" PRId64 " s: %s \"%s\", expected %s \"%s\" (%s)",
		    (now - NOW) / CLK_SECOND, err_name(is), got, err_name(rc), token,
		    f->e.text);
}

static void
test_round(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	expect(f, NOW, RC_GONE, "");
	assert_int_equal(store(f, NOW, 200,
			     "{\"access_token\":\"eyJ.a-b_c~+/=\",\"token_type\":\"Bearer\","
			     "\"expires_in\":86400,\"scope\":\"x\"}"),
	    RC_OK);
	assert_int_equal(fstatat(f->dir, "acme", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	expect(f, NOW, RC_OK, "eyJ.a-b_c~+/=");
	expect(f, NOW + CLK_HOUR, RC_OK, "eyJ.a-b_c~+/=");
	expect(f, NOW + CLK_DAY - TOKEN_EARLY - 1, RC_OK, "eyJ.a-b_c~+/=");
	expect(f, NOW + CLK_DAY - TOKEN_EARLY, RC_GONE, "");
	expect(f, NOW + CLK_DAY * 400, RC_GONE, "");
	/* the clock was set back: nobody knows how old it is */
	expect(f, NOW - 1, RC_GONE, "");
	expect(f, 0, RC_GONE, "");
}

/* Appended, and nothing appended on failure. */
static void
test_append(void **state)
{
	struct fixture *f = *state;
	struct buf b = BUF_SECRET(12);

	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abcdef\"}"), RC_OK);
	buf_str(&b, "Bearer ");
	assert_int_equal(token_load(f->dir, &f->a, NOW, &b, &f->e), RC_FULL);
	assert_string_equal(buf_text(&b), "Bearer ");
	buf_wipe(&b);
	b = BUF_SECRET(13);
	buf_str(&b, "Bearer ");
	assert_int_equal(token_load(f->dir, &f->a, NOW, &b, &f->e), RC_OK);
	assert_string_equal(buf_text(&b), "Bearer abcdef");
	buf_wipe(&b);
}

static void
test_lives(void **state)
{
	static const struct {
		const char *expires_in;
		int64_t good_for; /* milliseconds */
	} t[] = {
	    {"", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":3600", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":\"7200\"", 2 * CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":601", 601 * CLK_SECOND - TOKEN_EARLY},
	    {",\"expires_in\":600", 300 * CLK_SECOND},
	    {",\"expires_in\":60", 30 * CLK_SECOND}, /* half its life */
	    {",\"expires_in\":1", CLK_SECOND / 2},
	    {",\"expires_in\":0", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":-5", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":3600.5", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":1e9", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":\"\"", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":\"soon\"", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":null", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":[7200]", CLK_HOUR - TOKEN_EARLY},
	    {",\"expires_in\":315360000", 30 * CLK_DAY - TOKEN_EARLY},
	    {",\"expires_in\":9223372036854775807", 30 * CLK_DAY - TOKEN_EARLY},
	    {",\"expires_in\":99999999999999999999999999", 30 * CLK_DAY - TOKEN_EARLY},
	};
	struct fixture *f = *state;
	char body[256];

	for (size_t i = 0; i < COUNT(t); i++) {
		(void)snprintf(
		    body, sizeof(body), "{\"access_token\":\"t%zu\"%s}", i, t[i].expires_in);
		assert_int_equal(store(f, NOW, 200, body), RC_OK);
		(void)snprintf(body, sizeof(body), "t%zu", i);
		expect(f, NOW, RC_OK, body);
		expect(f, NOW + t[i].good_for - 1, RC_OK, body);
		expect(f, NOW + t[i].good_for, RC_GONE, "");
	}
}

static void
test_settings(void **state)
{
	struct fixture *f = *state;
	struct conf_account was = f->a;

	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	f->a.token_url = (char *)(uintptr_t) "https://id2.example.com/oauth/token";
	expect(f, NOW, RC_GONE, "");
	f->a = was;
	f->a.client_id = (char *)(uintptr_t) "client-2";
	expect(f, NOW, RC_GONE, "");
	f->a = was;
	f->a.token_audience = (char *)(uintptr_t) "urn:other";
	expect(f, NOW, RC_GONE, "");
	f->a.token_audience = was.api; /* the same audience, said aloud */
	expect(f, NOW, RC_OK, "abc");
	f->a = was;
	f->a.client_secret_file = (char *)(uintptr_t) "/elsewhere"; /* no part of it */
	expect(f, NOW, RC_OK, "abc");
	f->a.client_id = NULL;
	expect(f, NOW, RC_CONFIG, "");
	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_CONFIG);
}

static void
test_damage(void **state)
{
	static const char print[] = ",\"fingerprint\":\"0123\"";
	static const char *const t[] = {"", "{", "[]", "null", "\"x\"", "{}",
	    "{\"access_token\":\"abc\"}",
	    "{\"access_token\":7,\"expires\":1780000900000,\"fetched\":1780000000000%s}",
	    "{\"access_token\":\"\",\"expires\":1780000900000,\"fetched\":1780000000000%s}",
	    "{\"access_token\":\"a b\",\"expires\":1780000900000,\"fetched\":1780000000000%s}",
	    "{\"access_token\":\"abc\",\"expires\":\"1780000900000\",\"fetched\":1780000000000%"
	    "s}",
	    "{\"access_token\":\"abc\",\"expires\":-1,\"fetched\":1780000000000%s}",
	    "{\"access_token\":\"abc\",\"expires\":1e30,\"fetched\":1780000000000%s}",
	    "{\"access_token\":\"abc\",\"expires\":1780000900000,\"fetched\":-1%s}",
	    "{\"access_token\":\"abc\",\"expires\":1780000900000%s}",
	    "{\"access_token\":\"abc\",\"expires\":1780000900000,\"fetched\":1780000000000}",
	    "{\"access_token\":\"abc\",\"expires\":1780000900000,\"fetched\":1780000000000,"
	    "\"fingerprint\":7}"};
	struct fixture *f = *state;
	char text[256], huge[40000];

	for (size_t i = 0; i < COUNT(t); i++) {
		const char *hole = strstr(t[i], "%s");

		(void)snprintf(text, sizeof(text), "%.*s%s%s",
		    (int)(hole != NULL ? (size_t)(hole - t[i]) : strlen(t[i])), t[i],
		    hole != NULL ? print : "", hole != NULL ? hole + 2 : "");
		put_text(f, "acme", text);
		expect(f, NOW, RC_GONE, "");
		assert_true(f->e.text[0] != '\0');
		/* a file that says nothing does not stand in the way either */
		assert_int_equal(token_refused(f->dir, &f->a, NOW, "abc", &f->e), RC_OK);
	}
	memset(huge, ' ', sizeof(huge));
	put_file(f, "acme", 0600, huge, sizeof(huge));
	expect(f, NOW, RC_GONE, "");
	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	expect(f, NOW, RC_OK, "abc");
}

/* A kept file with times of our choice. */
static void
forge(struct fixture *f, int64_t fetched, int64_t expires)
{
	struct buf b = BUF_SECRET(4096);
	struct json *doc = NULL;
	char text[512];

	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	assert_int_equal(io_read_file(f->dir, "acme", &b, &f->e), RC_OK);
	assert_int_equal(json_parse(b.p, b.n, &doc, &f->e), RC_OK);
	(void)snprintf(text, sizeof(text),
	    "{\"access_token\":\"abc\",\"expires\":%" PRId64 ",\"fetched\":%" PRId64
	    ",\"fingerprint\":\"%s\"}",
	    expires, fetched, json_string(json_get(doc, "fingerprint")));
	put_text(f, "acme", text);
	json_free(&doc);
	buf_wipe(&b);
}

static void
test_odd_times(void **state)
{
	struct fixture *f = *state;

	forge(f, NOW, NOW + CLK_HOUR);
	expect(f, NOW, RC_OK, "abc");
	forge(f, NOW, NOW);
	expect(f, NOW, RC_GONE, "");
	forge(f, NOW, NOW - 1);
	expect(f, NOW - 2, RC_GONE, "");
	forge(f, NOW + 1, NOW + CLK_HOUR);
	expect(f, NOW, RC_GONE, "");
	forge(f, 0, INT64_MAX); /* not for ever */
	expect(f, NOW, RC_GONE, "");
	forge(f, INT64_MAX, INT64_MAX);
	expect(f, NOW, RC_GONE, "");
	forge(f, INT64_MAX, 0);
	expect(f, NOW, RC_GONE, "");
}

static void
test_file_types(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdirat(f->dir, "acme", 0700), 0);
	expect(f, NOW, RC_CONFIG, "");
	assert_int_equal(unlinkat(f->dir, "acme", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("secret", f->dir, "acme"), 0);
	expect(f, NOW, RC_CONFIG, "");
	assert_int_equal(token_refused(f->dir, &f->a, NOW, "abc", &f->e), RC_CONFIG);
	/* storing replaces the link, never what it leads to */
	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	expect(f, NOW, RC_OK, "abc");
}

static void
test_request(void **state)
{
	struct fixture *f = *state;
	struct buf b = BUF_SECRET(4096);

	buf_str(&b, ">");
	assert_int_equal(token_request(&f->a, &b, &f->e), RC_OK);
	assert_string_equal(b.p,
	    ">{\"client_id\":\"client-1\",\"client_secret\":\"s3cr\\\"et\\\\\","
	    "\"audience\":\"https://api.example.com/pre\","
	    "\"grant_type\":\"client_credentials\"}");
	buf_clear(&b);
	f->a.token_audience = (char *)(uintptr_t) "urn:arken";
	put_text(f, "secret", "  k\xc3\xa9y \r\n\r\n"); /* only the line's end is not part */
	assert_int_equal(token_request(&f->a, &b, &f->e), RC_OK);
	assert_string_equal(b.p,
	    "{\"client_id\":\"client-1\",\"client_secret\":\"  k\xc3\xa9y \","
	    "\"audience\":\"urn:arken\",\"grant_type\":\"client_credentials\"}");
	buf_wipe(&b);
}

static void
refuse_secret(struct fixture *f, const void *p, size_t n, mode_t mode)
{
	struct buf b = BUF_SECRET(4096);

	put_file(f, "secret", mode, p, n);
	err_clear(&f->e);
	assert_int_equal(token_request(&f->a, &b, &f->e), RC_CONFIG);
	assert_non_null(strstr(f->e.text, "secret")); /* the file, not what is in it */
	assert_null(strstr(f->e.text, "hush"));
	assert_int_equal(b.n, 0);
	buf_wipe(&b);
}

static void
test_bad_secrets(void **state)
{
	struct fixture *f = *state;
	struct buf b = BUF_SECRET(100);

	refuse_secret(f, "", 0, 0600);
	refuse_secret(f, "\n", 1, 0600);
	refuse_secret(f, "hush\nhush2\n", 11, 0600);
	refuse_secret(f, "hush\0x", 6, 0600);
	refuse_secret(f, "hush\x1b", 5, 0600);
	refuse_secret(f, "hush\xff", 5, 0600);
	refuse_secret(f, "hush", 4, 0604);
	assert_int_equal(unlinkat(f->dir, "secret", 0), 0);
	assert_int_equal(token_request(&f->a, &b, &f->e), RC_CONFIG);
	assert_int_equal(b.n, 0);
	put_text(f, "secret", "hush");
	for (size_t i = 0; i < b.max; i++)
		buf_str(&b, "x"); /* so that all of its memory can be looked at */
	buf_clear(&b);
	buf_str(&b, "kept");
	assert_int_equal(token_request(&f->a, &b, &f->e), RC_FULL); /* no room for it */
	assert_string_equal(b.p, "kept");
	assert_null(memmem(b.p, b.cap, "hush", 4));
	buf_wipe(&b);
	b = BUF_SECRET(4096);
	f->a.client_secret_file = NULL;
	assert_int_equal(token_request(&f->a, &b, &f->e), RC_CONFIG);
	buf_wipe(&b);
}

static void
test_not_understood(void **state)
{
	static const char *const t[] = {"", "<html>", "{", "[]", "[{\"access_token\":\"abc\"}]",
	    "null", "\"abc\"", "{}", "{\"access_token\":null}", "{\"access_token\":\"\"}",
	    "{\"access_token\":12}", "{\"access_token\":\"a b\"}",
	    "{\"access_token\":\"a\\r\\nX: y\"}", "{\"access_token\":\"\xc3\xa9\"}",
	    "{\"Access_Token\":\"abc\"}", "{\"access_token\":\"abc\",\"token_type\":\"mac\"}",
	    "{\"access_token\":\"abc\",\"token_type\":\"\"}",
	    "{\"access_token\":\"abc\",\"token_type\":7}",
	    "{\"access_token\":\"abc\",\"token_type\":\"bearer \"}",
	    "{\"access_token\":\"abc\",\"access_token\":\"abd\"}",
	    "{\"access_token\":\"abc\"} x"};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(t); i++) {
		if (store(f, NOW, 200, t[i]) != RC_LATER)
			fail_msg("%s", t[i]);
		assert_true(f->e.text[0] != '\0');
		assert_null(strstr(f->e.text, "abc"));
		expect(f, NOW, RC_GONE, "");
	}
	assert_int_equal(store(f, NOW, 204, ""), RC_LATER);
}

static void
test_types(void **state)
{
	static const char *const t[] = {"Bearer", "bearer", "BEARER"};
	struct fixture *f = *state;
	char body[100];

	for (size_t i = 0; i < COUNT(t); i++) {
		(void)snprintf(body, sizeof(body),
		    "{\"access_token\":\"abc\",\"token_type\":\"%s\"}", t[i]);
		assert_int_equal(store(f, NOW, i == 0 ? 200 : 201, body), RC_OK);
	}
	assert_int_equal(
	    store(f, NOW, 200, "{\"access_token\":\"abc\",\"token_type\":null}"), RC_OK);
}

static void
test_length(void **state)
{
	static char body[TOKEN_MAX + 64], token[TOKEN_MAX + 2];
	struct fixture *f = *state;
	struct buf b = BUF_SECRET(TOKEN_MAX);

	memset(token, '\\', sizeof(token) - 1); /* each of them escaped in the file */
	memset(token, 'x', sizeof(token) / 2);
	token[TOKEN_MAX / 2 + 1] = '\0';
	(void)snprintf(body, sizeof(body), "{\"access_token\":\"%s\"}", token);
	assert_int_equal(store(f, NOW, 200, body), RC_OK);
	memset(token, 'x', TOKEN_MAX);
	token[TOKEN_MAX] = '\0';
	(void)snprintf(body, sizeof(body), "{\"access_token\":\"%s\"}", token);
	assert_int_equal(store(f, NOW, 200, body), RC_OK);
	assert_int_equal(token_load(f->dir, &f->a, NOW, &b, &f->e), RC_OK);
	assert_string_equal(b.p, token);
	buf_wipe(&b);
	token[TOKEN_MAX] = 'x';
	token[TOKEN_MAX + 1] = '\0';
	(void)snprintf(body, sizeof(body), "{\"access_token\":\"%s\"}", token);
	assert_int_equal(store(f, NOW, 200, body), RC_LATER);
}

static void
test_refusals(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum rc rc;
		const char *text;
	} t[] = {
	    {400, "{\"error\":\"invalid_request\",\"error_description\":\"hush\"}", RC_CONFIG,
		"invalid_request"},
	    {401, "{\"error\":\"access_denied\",\"error_description\":\"hush\"}", RC_CONFIG,
		"401, access_denied"},
	    {403, "<html>hush</html>", RC_CONFIG, "403"},
	    {404, "", RC_CONFIG, "404"},
	    {401, "{\"error\":{\"hush\":1}}", RC_CONFIG, "401"},
	    {401, "{\"error\":\"two\\nlines\\u001b[2J\"}", RC_CONFIG, "two\\x0alines\\x1b[2J"},
	    {301, "", RC_CONFIG, "301"},
	    {302, "{\"access_token\":\"hush\"}", RC_CONFIG, "302"},
	    {408, "", RC_LATER, "408"},
	    {429, "{\"error\":\"slow_down\"}", RC_LATER, "429"},
	    {500, "", RC_LATER, "500"},
	    {503, "{\"access_token\":\"hush\"}", RC_LATER, "503"},
	    {599, "", RC_LATER, "599"},
	    {0, "", RC_LATER, "0"},
	    {103, "", RC_LATER, "103"},
	};
	struct fixture *f = *state;
	char body[300];

	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	for (size_t i = 0; i < COUNT(t); i++) {
		if (store(f, NOW + 1, t[i].status, t[i].body) != t[i].rc)
			fail_msg("status %d", t[i].status);
		if (strstr(f->e.text, t[i].text) == NULL || strstr(f->e.text, "hush") != NULL ||
		    strchr(f->e.text, '\n') != NULL)
			fail_msg("status %d: %s", t[i].status, f->e.text);
		expect(f, NOW + 1, RC_OK, "abc"); /* what was there stays */
	}
	memset(body, 'a', sizeof(body));
	memcpy(body, "{\"error\":\"", 10);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	assert_int_equal(store(f, NOW, 400, body), RC_CONFIG);
	assert_true(strlen(f->e.text) < 120);
}

static void
test_lock(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	int one = -1, two = 99;

	assert_int_equal(token_lock(f->dir, &f->a, &one, &f->e), RC_OK);
	assert_true(one >= 0);
	assert_int_equal(fcntl(one, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fstatat(f->dir, "acme.lock", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(token_lock(f->dir, &f->a, &two, &f->e), RC_LATER);
	assert_int_equal(two, -1);
	io_close(&one);
	assert_int_equal(token_lock(f->dir, &f->a, &two, &f->e), RC_OK);
	io_close(&two);
	assert_int_equal(unlinkat(f->dir, "acme.lock", 0), 0);
	assert_int_equal(symlinkat("secret", f->dir, "acme.lock"), 0);
	assert_int_not_equal(token_lock(f->dir, &f->a, &one, &f->e), RC_OK);
	assert_int_equal(one, -1);
	f->a.name =
	    (char *)(uintptr_t) "a-name-that-is-much-too-long-for-an-account-of-this-program";
	assert_int_equal(token_lock(f->dir, &f->a, &one, &f->e), RC_CONFIG);
}

/* ---- days of many processes ---- */

#define PROCESSES 4
#define LOOKS 1000000 /* at what another process does, before it is given up */

/* A process that needs the token at that time, as grant and spoolctl get it.  Its exit status.
 */
static int
need_token(struct fixture *f, int64_t now, _Atomic unsigned *asked, bool dies)
{
	struct buf b = BUF_SECRET(TOKEN_MAX + 1);
	char body[128];
	int lock = -1;

	for (unsigned i = 0; i < LOOKS; i++) {
		if (token_load(f->dir, &f->a, now, &b, &f->e) == RC_OK)
			break;
		if (token_lock(f->dir, &f->a, &lock, &f->e) == RC_LATER) {
			(void)sched_yield();
			continue;
		}
		if (dies)
			return 0; /* with the lock */
		if (token_load(f->dir, &f->a, now, &b, &f->e) != RC_OK) {
			(*asked)++;
			(void)snprintf(body, sizeof(body),
			    "{\"access_token\":\"%" PRId64 "\",\"expires_in\":%" PRId64 "}",
			    now, LIFE);
			if (token_store(f->dir, &f->a, now, 200, body, strlen(body), &f->e) !=
			    RC_OK)
				return 1;
		}
		io_close(&lock);
		buf_wipe(&b);
	}
	/* It is of the last day, and will be good for some minutes. */
	return b.n == 0 || now >= strtoll(buf_text(&b), NULL, 10) + CLK_DAY - TOKEN_EARLY;
}

/* Processes that all begin at that moment, two of them to die when they may ask. */
static void
moment(struct fixture *f, int64_t now, _Atomic unsigned *asked)
{
	pid_t pid[PROCESSES];
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0)
			_exit(need_token(f, now, asked, i < 2));
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
}

/* One request a day, however many processes there are and how often they start anew. */
static void
test_days(void **state)
{
	struct fixture *f = *state;
	_Atomic unsigned *asked = mmap(
	    NULL, sizeof(*asked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t from = NOW;

	assert_ptr_not_equal(asked, MAP_FAILED);
	for (unsigned day = 1; day <= 3; day++) {
		for (int64_t t = 0; t < CLK_DAY - TOKEN_EARLY; t += 4 * CLK_HOUR) {
			moment(f, from + t, asked);
			assert_int_equal(*asked, day);
		}
		moment(f, from + CLK_DAY - TOKEN_EARLY - 1, asked);
		assert_int_equal(*asked, day);
		from += CLK_DAY - TOKEN_EARLY; /* before it expires */
	}
	moment(f, from, asked);
	assert_int_equal(*asked, 4);
	assert_int_equal(munmap((void *)(uintptr_t)asked, sizeof(*asked)), 0);
}

/* What the token's file says. */
static const char *
kept_text(const struct fixture *f)
{
	static char text[4096];
	struct buf b = BUF_INIT(sizeof(text) - 1);

	assert_int_equal(io_read_file(f->dir, "acme", &b, NULL), RC_OK);
	(void)snprintf(text, sizeof(text), "%s", buf_text(&b));
	buf_free(&b);
	return text;
}

static void
test_refused(void **state)
{
	struct fixture *f = *state;

	/* nothing there: ask */
	assert_int_equal(token_refused(f->dir, &f->a, NOW, "abc", &f->e), RC_OK);
	/* the first to be refused, however fresh, is dropped */
	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"xyz\"}"), RC_OK);
	assert_int_equal(token_refused(f->dir, &f->a, NOW, "xyz", &f->e), RC_OK);
	expect(f, NOW, RC_GONE, "");
	assert_null(strstr(kept_text(f), "xyz"));
	assert_int_equal(token_refused(f->dir, &f->a, NOW, "xyz", &f->e), RC_OK);
	/* the one after it is refused too: a person has to look, and it stays */
	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	assert_int_equal(token_refused(f->dir, &f->a, NOW, "abc", &f->e), RC_CONFIG);
	assert_int_equal(
	    token_refused(f->dir, &f->a, NOW + TOKEN_AGAIN - 1, "abc", &f->e), RC_CONFIG);
	assert_non_null(strstr(f->e.text, "9 min 59 s"));
	assert_null(strstr(f->e.text, "abc"));
	expect(f, NOW, RC_OK, "abc");
	/* another one was refused: it was replaced meanwhile */
	assert_int_equal(token_refused(f->dir, &f->a, NOW + CLK_HOUR, "abd", &f->e), RC_OK);
	assert_int_equal(token_refused(f->dir, &f->a, NOW + CLK_HOUR, "abcd", &f->e), RC_OK);
	assert_int_equal(token_refused(f->dir, &f->a, NOW + CLK_HOUR, "", &f->e), RC_OK);
	expect(f, NOW, RC_OK, "abc");
	/* old enough: dropped */
	assert_int_equal(token_refused(f->dir, &f->a, NOW + TOKEN_AGAIN, "abc", &f->e), RC_OK);
	expect(f, NOW, RC_GONE, "");
	assert_null(strstr(kept_text(f), "abc"));
	/* one dropped in the future does not forbid a renewal for ever */
	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	assert_int_equal(token_refused(f->dir, &f->a, NOW - 1, "abc", &f->e), RC_OK);
	assert_null(strstr(kept_text(f), "abc"));
}

/* Somebody is asking: what is there will be replaced, so nothing is dropped. */
static void
test_refused_while_asking(void **state)
{
	struct fixture *f = *state;
	int lock = -1;

	assert_int_equal(store(f, NOW, 200, "{\"access_token\":\"abc\"}"), RC_OK);
	assert_int_equal(token_lock(f->dir, &f->a, &lock, &f->e), RC_OK);
	assert_int_equal(token_refused(f->dir, &f->a, NOW + CLK_HOUR, "abc", &f->e), RC_OK);
	expect(f, NOW, RC_OK, "abc");
	io_close(&lock);
	assert_int_equal(token_refused(f->dir, &f->a, NOW + CLK_HOUR, "abc", &f->e), RC_OK);
	expect(f, NOW, RC_GONE, "");
}

static void
test_unwritable(void **state)
{
	struct fixture *f = *state;
	int nowhere = -1, lock = -1;

	(void)f;
	/* a folder that is gone: nothing is kept, nothing is said to be */
	assert_int_not_equal(
	    token_store(nowhere, &f->a, NOW, 200, "{\"access_token\":\"abc\"}", 22, &f->e),
	    RC_OK);
	assert_null(strstr(f->e.text, "abc"));
	assert_int_not_equal(token_lock(nowhere, &f->a, &lock, &f->e), RC_OK);
	assert_int_equal(lock, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_round),
	    TEST(test_append),
	    TEST(test_lives),
	    TEST(test_settings),
	    TEST(test_damage),
	    TEST(test_odd_times),
	    TEST(test_file_types),
	    TEST(test_request),
	    TEST(test_bad_secrets),
	    TEST(test_not_understood),
	    TEST(test_types),
	    TEST(test_length),
	    TEST(test_refusals),
	    TEST(test_lock),
	    TEST(test_days),
	    TEST(test_refused),
	    TEST(test_refused_while_asking),
	    TEST(test_unwritable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
