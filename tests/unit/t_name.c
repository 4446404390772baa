/*
 * SPDX-License-Identifier: ISC
 *
 * t_name - tests of name: what may become part of a path, and nothing else.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "name.h"
#include "str.h"

#define X8 "xxxxxxxx"
#define X32 X8 X8 X8 X8
#define X64 X32 X32

static void
test_account(void **state)
{
	char one[2] = {0};

	(void)state;
	assert_true(name_account_ok("a"));
	assert_true(name_account_ok("acme_2-b"));
	assert_true(name_account_ok(X32));
	assert_false(name_account_ok(X32 "x"));
	assert_false(name_account_ok(""));
	assert_false(name_account_ok("Acme"));
	assert_false(name_account_ok("../a"));
	assert_false(name_account_ok("a\n"));
	for (int c = 1; c < 256; c++) {
		bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
			    c == '-';

		one[0] = (char)c;
		assert_int_equal(name_account_ok(one), good);
	}
}

static void
test_word(void **state)
{
	static const struct {
		const char *text, *word;
	} t[] = {
	    {"Client", "Client"},
	    {"client", "Client"},
	    {"FILESTORE", "FileStore"},
	    {"documentdata", "DocumentData"},
	    {"Account", "Account"},
	    {"user", "User"},
	    {"create", "Create"},
	    {"uPDATE", "Update"},
	    {"delete", "Delete"},
	    {"upload", "Upload"},
	    {"download", "Download"},
	    {"GetFileDetail", "Download"},
	    {"getfiledetail", "Download"},
	    {"other", "Other"},
	    {"Matter", "Matter"},
	    {"matter", "matter"},
	    {"A1", "A1"},
	    {X32, X32},
	    {X32 "x", "Other"},
	    {X64 X64 X64, "Other"},
	    {"", "Other"},
	    {NULL, "Other"},
	    {"a.b", "Other"},
	    {"a/b", "Other"},
	    {"..", "Other"},
	    {"a_b", "Other"},
	    {"a b", "Other"},
	    {"a\n", "Other"},
	    {"\xc3\xa4", "Other"},
	};
	char out[NAME_WORD];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		name_word(t[i].text, out);
		assert_string_equal(out, t[i].word);
	}
}

static void
test_hash(void **state)
{
	char one[2] = {0};

	(void)state;
	assert_true(name_hash_ok("2mTe8Kq0aZ1bY2cX3dW4eV"));
	assert_true(name_hash_ok(X64));
	assert_false(name_hash_ok(X64 "x"));
	assert_false(name_hash_ok(""));
	assert_false(name_hash_ok(NULL));
	for (int c = 1; c < 256; c++) {
		one[0] = (char)c;
		assert_int_equal(name_hash_ok(one), c > 0x20 && c < 0x7f);
	}
}

static void
test_build(void **state)
{
	struct name n = {"acme", "0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10", "FileStore", "Upload"};
	struct name max = {X32, X64 "x", X32, X32};
	char out[NAME_SIZE];
	struct err e;

	(void)state;
	assert_int_equal(name_build(&n, out, &e), RC_OK);
	assert_string_equal(out, "acme.0b0f6a2e-5a51-4c0d-9a3e-6f2f5d1c7e10.FileStore.Upload");
	assert_int_equal(name_build(&max, out, &e), RC_OK);
	assert_string_equal(out, X32 "." X64 "x." X32 "." X32);
}

/* One part after the other is spoiled; the error names it and nothing is left in out. */
static void
test_build_bad(void **state)
{
	static const struct {
		struct name n;
		const char *part;
	} t[] = {
	    {{"", "k", "C", "T"}, "account"},
	    {{"Acme", "k", "C", "T"}, "account"},
	    {{"a.b", "k", "C", "T"}, "account"},
	    {{"a", "", "C", "T"}, "key"},
	    {{"a", "k_", "C", "T"}, "key"},
	    {{"a", "../k", "C", "T"}, "key"},
	    {{"a", "k.l", "C", "T"}, "key"},
	    {{"a", "k", "", "T"}, "category"},
	    {{"a", "k", "C-D", "T"}, "category"},
	    {{"a", "k", "C", ""}, "type"},
	    {{"a", "k", "C", "T:2,S"}, "type"},
	    {{"a", "k", "C", "T\n"}, "type"},
	};
	char out[NAME_SIZE] = "x";
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(name_build(&t[i].n, out, &e), RC_BAD);
		assert_string_equal(out, "");
		assert_non_null(strstr(e.text, t[i].part));
	}
	assert_int_equal(name_build(&t[0].n, out, NULL), RC_BAD);
}

static void
test_parse(void **state)
{
	struct name n;

	(void)state;
	assert_true(name_parse("a.t-20260305T101112345Z-00ff.Client.Delete", &n));
	assert_string_equal(n.account, "a");
	assert_string_equal(n.key, "t-20260305T101112345Z-00ff");
	assert_string_equal(n.category, "Client");
	assert_string_equal(n.type, "Delete");
	assert_true(name_parse(X32 "." X64 "x." X32 "." X32, &n));
}

static void
test_parse_bad(void **state)
{
	static const char *const bad[] = {"", ".", "...", "....", "a", "a.k", "a.k.C", "a.k.C.",
	    "a.k.C.T.", "a.k.C.T.U", ".k.C.T", "a..C.T", "a.k..T", "a.k.C.T:2,S", "a.k.C.T ",
	    " a.k.C.T", "A.k.C.T", "a.k/l.C.T", "../a.k.C.T", "a.k.C.T\n", "a.k.C.T/",
	    X32 "x.k.C.T", "a." X64 "xx.C.T", "a.k." X32 "x.T", "a.k.C." X32 "x",
	    X64 X64 X64 X64 X64, ".k.C.T.a", "a.k.\xc3\xa4.T"};
	struct name n, none = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&n, 'x', sizeof(n));
		assert_false(name_parse(bad[i], &n));
		assert_memory_equal(&n, &none, sizeof(n));
	}
}

/* Every single change of one byte of a NAME: what is parsed is built again as it was. */
static void
test_parse_agrees(void **state)
{
	static const char good[] = "acme.n-1207.FileStore.Upload";
	char text[sizeof(good)], again[NAME_SIZE];
	unsigned taken = 0;
	struct name n;

	(void)state;
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (int c = 1; c < 256; c++) {
			memcpy(text, good, sizeof(good));
			text[i] = (char)c;
			if (!name_parse(text, &n))
				continue;
			taken++;
			assert_int_equal(name_build(&n, again, NULL), RC_OK);
			assert_string_equal(again, text);
			assert_null(strchr(text, '/'));
		}
	}
	/* account 4 x 38, key 6 x 63, words 15 x 62, and each dot as itself */
	assert_int_equal(taken, 4 * 38 + 6 * 63 + 15 * 62 + 3);
}

static void
test_folder(void **state)
{
	static const struct {
		const char *id, *folder;
	} t[] = {
	    {"2mTe8Kq0aZ1bY2cX3dW4eV", "2mTe8Kq0aZ1bY2cX3dW4eV"},
	    {"a_b-c", "a_b-c"},
	    {X64, X64},
	    {"x-1", "x-1"},
	    /* first digits of the SHA-256 (FIPS 180-4) of the id */
	    {"", "x-e3b0c44298fc1c149afbf4c8996fb924"},
	    {"..", "x-5ec1f7e700f37c3d0b2981d04855fc34"},
	    {"a/b", "x-c14cddc033f64b9dea80ea675cf280a0"},
	};
	char out[NAME_FOLDER], again[NAME_FOLDER];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(name_folder(t[i].id, out, &e), RC_OK);
		assert_string_equal(out, t[i].folder);
	}
	assert_int_equal(name_folder(X64 "x", out, &e), RC_OK);
	assert_true(str_begins(out, "x-"));
	assert_int_equal(strlen(out), 34);

	/* An id that is spelled as another one's folder has a folder of its own. */
	assert_int_equal(name_folder("a/b", out, &e), RC_OK);
	assert_int_equal(name_folder(out, again, &e), RC_OK);
	assert_string_not_equal(out, again);
	assert_int_equal(strlen(again), 34);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_account),
	    cmocka_unit_test(test_word),
	    cmocka_unit_test(test_hash),
	    cmocka_unit_test(test_build),
	    cmocka_unit_test(test_build_bad),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_bad),
	    cmocka_unit_test(test_parse_agrees),
	    cmocka_unit_test(test_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
