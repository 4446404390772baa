/*
 * SPDX-License-Identifier: ISC
 *
 * t_keyfile - tests of keyfile: what was written comes back, and nothing else is believed.
 *
 * Linked with: -Wl,--wrap=fdatasync -Wl,--wrap=fsync -Wl,--wrap=renameat
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "io.h"
#include "keyfile.h"
#include "tmpdir.h"

#define ACCOUNT "acme"
#define FILE_NAME "acme.json"
#define ISSUER "https://id.example.com/"
#define SET "{ \"keys\" : [ {\"kty\":\"RSA\",\"kid\":\"a\\u00e4\",\"n\":1.50} ],\n\"x\":null}"
#define HEAD(v, i, f, t)                                                                       \
	"{\"version\":" v ",\"issuer\":" i ",\"fetched\":" f ",\"tried\":" t ",\"jwks\":"
#define GOOD HEAD("1", "\"" ISSUER "\"", "1772705472345", "1772705472999") SET "}\n"

static char path[TMPDIR_SIZE];
static int dir = -1;
static char order[8]; /* the calls that make a file durable: d(atasync), r(ename), s(ync) */
static char failing;  /* which of them fails, once */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int from, const char *old, int to, const char *new);
int __wrap_renameat(int from, const char *old, int to, const char *new);

/* Note a call; true: it is to fail. */
static bool
called(char which)
{
	size_t n = strlen(order);

	assert_true(n + 1 < sizeof(order));
	order[n] = which;
	order[n + 1] = '\0';
	if (failing != which)
		return false;
	failing = '\0';
	errno = EIO;
	return true;
}

int
__wrap_fdatasync(int fd)
{
	return called('d') ? -1 : __real_fdatasync(fd);
}

int
__wrap_fsync(int fd)
{
	return called('s') ? -1 : __real_fsync(fd);
}

int
__wrap_renameat(int from, const char *old, int to, const char *new)
{
	return called('r') ? -1 : __real_renameat(from, old, to, new);
}

static int
set_up(void **state)
{
	(void)state;
	tmpdir_make(path);
	dir = tmpdir_open(path);
	order[0] = failing = '\0';
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	io_close(&dir);
	tmpdir_remove(path);
	return 0;
}

static struct keyfile
sample(void)
{
	return (struct keyfile){.issuer = ISSUER,
	    .fetched = INT64_C(1772705472345),
	    .tried = INT64_C(1772705472999),
	    .jwks = (char *)(uintptr_t)SET,
	    .jwks_len = strlen(SET)};
}

/* The whole text of the file. */
static void
assert_file(const char *text)
{
	char b[8192];

	assert_true(tmpdir_read(dir, FILE_NAME, b, sizeof(b)) >= 0);
	assert_string_equal(b, text);
}

static void
assert_refused(enum rc rc, struct keyfile *k, const char *why, struct err *e)
{
	static const struct keyfile none;

	if (rc != RC_BAD)
		fail_msg("%.200s: %s", why, err_name(rc));
	assert_true(e->text[0] != '\0');
	assert_memory_equal(k, &none, sizeof(none));
}

/* This text is no file of keys. */
static void
assert_bad_text(const char *text, size_t n)
{
	struct keyfile k;
	struct err e = {0};

	tmpdir_write(dir, FILE_NAME, text, n);
	assert_refused(keyfile_read(dir, ACCOUNT, &k, &e), &k, text, &e);
}

static void
test_round_trip(void **state)
{
	struct keyfile k = sample(), back;
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(keyfile_read(dir, ACCOUNT, &back, &e), RC_GONE);
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_OK);
	assert_string_equal(order, "drs");
	assert_file(GOOD);
	assert_int_equal(fstatat(dir, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(keyfile_read(dir, ACCOUNT, &back, &e), RC_OK);
	assert_string_equal(back.issuer, ISSUER);
	assert_true(back.fetched == k.fetched && back.tried == k.tried);
	assert_int_equal(back.jwks_len, strlen(SET));
	assert_string_equal(back.jwks, SET);
	keyfile_free(&back);
	assert_null(back.jwks);
	keyfile_free(&back);
	/* Another account has a file of its own. */
	assert_int_equal(keyfile_read(dir, "other", &back, &e), RC_GONE);
}

/* The issuer was never reached. */
static void
test_none_yet(void **state)
{
	struct keyfile k = {.issuer = ISSUER, .tried = INT64_MAX}, back;
	struct err e = {0};

	(void)state;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_OK);
	assert_file(HEAD("1", "\"" ISSUER "\"", "0", "9223372036854775807") "null}\n");
	assert_int_equal(keyfile_read(dir, ACCOUNT, &back, &e), RC_OK);
	assert_null(back.jwks);
	assert_int_equal(back.jwks_len, 0);
	assert_true(back.fetched == 0 && back.tried == INT64_MAX);
}

static void
test_accounts(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "../acme", "A", "acme.json",
	    "a b", "\xc3\xa4", "123456789012345678901234567890123"};
	struct keyfile k = sample(), back;
	char name[KEYFILE_NAME];
	struct err e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(keyfile_name(bad[i], name, &e), RC_BAD);
		assert_string_equal(name, "");
		assert_refused(keyfile_read(dir, bad[i], &back, &e), &back, bad[i], &e);
		assert_int_equal(keyfile_write(dir, bad[i], &k, &e), RC_BAD);
	}
	assert_int_equal(keyfile_name("12345678901234567890123456789012", name, &e), RC_OK);
	assert_string_equal(name, "12345678901234567890123456789012.json");
	assert_string_equal(order, "");
}

/* What may not be written is not, and the old file stays. */
static void
test_write_refused(void **state)
{
	static const char *const sets[] = {"", "[]", "{}", "{\"keys\":{}}", "{\"keys\":null}",
	    "{\"Keys\":[]}", "[{\"keys\":[]}]", "{\"keys\":[]} x", "{\"keys\":[]}}",
	    "{\"keys\":[],\"keys\":[]}", "{\"keys\":[\"\xff\"]}", "{\"keys\":[\"\\u0000\"]}",
	    "{\"keys\":[01]}", "{\"keys\":[", "\xef\xbb\xbf{\"keys\":[]}",
	    "{\"keys\":[]},\"x\":{\"keys\":[]}"};
	static const char *const issuers[] = {"", "\xff"};
	struct keyfile k = sample();
	struct err e = {0};

	(void)state;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_OK);
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		k.jwks = (char *)(uintptr_t)sets[i];
		k.jwks_len = strlen(sets[i]);
		if (keyfile_write(dir, ACCOUNT, &k, &e) != RC_BAD)
			fail_msg("%s", sets[i]);
		assert_int_equal(keyfile_check(k.jwks, k.jwks_len, &e), RC_BAD);
	}
	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++) {
		k = sample();
		(void)snprintf(k.issuer, sizeof(k.issuer), "%s", issuers[i]);
		assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	}
	k = sample();
	memset(k.issuer, 'x', sizeof(k.issuer));
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	k = sample();
	k.fetched = 0;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	k.fetched = -1;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	k = sample();
	k.tried = -1;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	k = sample();
	k.jwks = NULL;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	assert_file(GOOD);
	assert_string_equal(order, "drs");
}

/* The longest set and the longest issuer, every character of it escaped, fit; one more byte
 * not. */
static void
test_longest(void **state)
{
	struct buf set = BUF_INIT(KEYFILE_JWKS + 1);
	struct keyfile k = sample(), back;
	struct err e = {0};

	(void)state;
	memset(k.issuer, '\x01', sizeof(k.issuer) - 1);
	buf_str(&set, "{\"keys\":[],\"x\":\"");
	while (set.n < KEYFILE_JWKS - 2)
		buf_str(&set, "y");
	buf_str(&set, "\"}");
	k.jwks = set.p;
	k.jwks_len = set.n;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_OK);
	assert_int_equal(keyfile_read(dir, ACCOUNT, &back, &e), RC_OK);
	assert_string_equal(back.issuer, k.issuer);
	assert_int_equal(back.jwks_len, KEYFILE_JWKS);
	assert_memory_equal(back.jwks, set.p, set.n);
	keyfile_free(&back);
	set.p[set.n - 2] = 'y';
	set.p[set.n - 1] = '"';
	buf_str(&set, "}");
	k.jwks = set.p;
	k.jwks_len = set.n;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	buf_free(&set);
}

/* A set as deep as JSON may be on its own is one level too deep in the file. */
static void
test_depth(void **state)
{
	struct buf set = BUF_INIT(4096);
	struct keyfile k = sample();
	struct err e = {0};

	(void)state;
	buf_str(&set, "{\"keys\":[");
	for (int i = 0; i < 30; i++)
		buf_str(&set, "[");
	for (int i = 0; i < 30; i++)
		buf_str(&set, "]");
	buf_str(&set, "]}");
	k.jwks = set.p;
	k.jwks_len = set.n;
	assert_int_equal(keyfile_check(set.p, set.n, &e), RC_OK);
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_BAD);
	assert_string_equal(order, "");
	buf_free(&set);
}

static void
test_read_refused(void **state)
{
	static const char *const bad[] = {"", "{}", "null", "[]", "x",
	    HEAD("2", "\"" ISSUER "\"", "1", "1") SET "}\n",
	    HEAD("0", "\"" ISSUER "\"", "1", "1") SET "}\n",
	    HEAD("\"1\"", "\"" ISSUER "\"", "1", "1") SET "}\n",
	    HEAD("1.0", "\"" ISSUER "\"", "1", "1") SET "}\n",
	    HEAD("1", "1", "1", "1") SET "}\n", HEAD("1", "null", "1", "1") SET "}\n",
	    HEAD("1", "[\"" ISSUER "\"]", "1", "1") SET "}\n",
	    HEAD("1", "{}", "1", "1") SET "}\n", HEAD("1", "\"\"", "1", "1") SET "}\n",
	    HEAD("1", "\"https:\\/\\/id\"", "1", "1") SET "}\n",
	    HEAD("1", "\"\\u0000\"", "1", "1") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "-1", "1") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "-1") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "9223372036854775808") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "1e3", "1") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "\"1\"", "1") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "null", "1") SET "}\n",
	    /* keys and the time they were given belong together */
	    HEAD("1", "\"" ISSUER "\"", "0", "1") SET "}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") "null}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") "{}}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") "[]}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") "{\"keys\":{}}}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") "}\n",
	    /* another form, more or fewer members, something after it */
	    HEAD("1", "\"" ISSUER "\"", "1", "1") SET ",\"x\":1}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") SET ",\"version\":1}\n",
	    HEAD("1", "\"" ISSUER "\"", "1", "1") SET ",\"jwks\":" SET "}\n", " " GOOD,
	    GOOD " ", GOOD "\n", GOOD GOOD, HEAD("1", "\"" ISSUER "\"", "1", "1") SET "}",
	    "{\"version\":1,\"issuer\":\"x\",\"tried\":1,\"fetched\":1,\"jwks\":" SET "}\n",
	    "{\"version\":1, \"issuer\":\"x\",\"fetched\":1,\"tried\":1,\"jwks\":" SET "}\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_bad_text(bad[i], strlen(bad[i]));
}

/* Cut anywhere, or with any byte made another one, it is refused or says what it said. */
static void
test_damage(void **state)
{
	char text[sizeof(GOOD)] = GOOD;
	size_t n = strlen(GOOD), read = 0;
	struct keyfile k;

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_bad_text(GOOD, i);
	for (size_t i = 0; i < n; i++) {
		text[i] = '\x01';
		assert_bad_text(text, n);
		text[i] = (char)(GOOD[i] ^ 1);
		tmpdir_write(dir, FILE_NAME, text, n);
		if (keyfile_read(dir, ACCOUNT, &k, NULL) == RC_OK) {
			read++; /* a digit or a letter in a value */
			assert_int_equal(k.jwks_len, strlen(SET));
			keyfile_free(&k);
		}
		text[i] = GOOD[i];
	}
	assert_true(read > 0 && read < n / 2);
}

static void
test_too_long(void **state)
{
	struct buf b = BUF_INIT(KEYFILE_HEAD + KEYFILE_JWKS + 64);

	(void)state;
	buf_str(&b, HEAD("1", "\"" ISSUER "\"", "1", "1") "{\"keys\":[]");
	while (b.n < KEYFILE_HEAD + KEYFILE_JWKS)
		buf_str(&b, " ");
	buf_str(&b, "}}\n");
	assert_bad_text(b.p, b.n);
	/* Within the file's limit, but the set is over its own. */
	b.n = KEYFILE_JWKS + 1024;
	memcpy(b.p + b.n - 3, "}}\n", 3);
	assert_bad_text(b.p, b.n);
	buf_free(&b);
}

static void
test_no_file(void **state)
{
	struct keyfile k;
	struct err e = {0};

	(void)state;
	assert_int_equal(mkfifoat(dir, FILE_NAME, 0600), 0);
	assert_refused(keyfile_read(dir, ACCOUNT, &k, &e), &k, "a pipe", &e);
	assert_int_equal(unlinkat(dir, FILE_NAME, 0), 0);
	assert_int_equal(symlinkat("elsewhere", dir, FILE_NAME), 0);
	assert_refused(keyfile_read(dir, ACCOUNT, &k, &e), &k, "a link", &e);
	assert_int_equal(unlinkat(dir, FILE_NAME, 0), 0);
	assert_int_equal(mkdirat(dir, FILE_NAME, 0700), 0);
	assert_refused(keyfile_read(dir, ACCOUNT, &k, &e), &k, "a folder", &e);
}

/* Whatever fails before the rename leaves the old file, and nothing beside it. */
static void
test_write_fails(void **state)
{
	static const char calls[] = "dr";
	struct keyfile k = sample();
	struct err e = {0};

	(void)state;
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_OK);
	k.tried++;
	for (size_t i = 0; i < 2; i++) {
		order[0] = '\0';
		failing = calls[i];
		assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_LATER);
		assert_true(e.text[0] != '\0');
		assert_file(GOOD);
	}
	order[0] = '\0';
	failing = 's';
	assert_int_equal(keyfile_write(dir, ACCOUNT, &k, &e), RC_LATER);
	assert_int_equal(unlinkat(dir, FILE_NAME, 0), 0);
	io_close(&dir);
	assert_int_equal(rmdir(path), 0); /* nothing else was in it */
	assert_int_equal(mkdir(path, 0700), 0);
	dir = tmpdir_open(path);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_round_trip),
	    TEST(test_none_yet),
	    TEST(test_accounts),
	    TEST(test_write_refused),
	    TEST(test_longest),
	    TEST(test_depth),
	    TEST(test_read_refused),
	    TEST(test_damage),
	    TEST(test_too_long),
	    TEST(test_no_file),
	    TEST(test_write_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
