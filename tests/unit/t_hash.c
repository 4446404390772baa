/*
 * SPDX-License-Identifier: ISC
 *
 * t_hash - tests of hash: published digests, any way of cutting the input, equality, wiping.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hash.h"
#include "str.h"

/* FIPS 180-4 examples and the empty text. */
static void
test_known(void **state)
{
	static const struct {
		const char *text, *digest;
	} t[] = {
	    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	};
	char out[HASH_HEX];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(hash_sha256(t[i].text, strlen(t[i].text), out, &e), RC_OK);
		assert_string_equal(out, t[i].digest);
	}
}

/* FIPS 180-4: a million times "a", in pieces. */
static void
test_million(void **state)
{
	char piece[1000], out[HASH_HEX];
	struct hash *h;
	struct err e;

	(void)state;
	memset(piece, 'a', sizeof(piece));
	assert_int_equal(hash_new(&h, &e), RC_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(hash_add(h, piece, sizeof(piece), &e), RC_OK);
	assert_int_equal(hash_end(h, out, &e), RC_OK);
	assert_string_equal(
	    out, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	hash_free(&h);
	assert_null(h);
	hash_free(&h);
}

static void
test_splits(void **state)
{
	char text[130], whole[HASH_HEX], parts[HASH_HEX];
	struct hash *h;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	for (size_t n = 54; n <= sizeof(text); n++) {
		assert_int_equal(hash_sha256(text, n, whole, &e), RC_OK);
		for (size_t cut = 0; cut <= n; cut++) {
			assert_int_equal(hash_new(&h, &e), RC_OK);
			assert_int_equal(hash_add(h, text, cut, &e), RC_OK);
			assert_int_equal(hash_add(h, text + cut, n - cut, &e), RC_OK);
			assert_int_equal(hash_end(h, parts, &e), RC_OK);
			assert_string_equal(parts, whole);
			hash_free(&h);
		}
	}
}

static void
test_equal(void **state)
{
	char a[5], b[5];

	(void)state;
	for (unsigned x = 0; x < 3 * 3 * 3 * 3; x++)
		for (unsigned y = 0; y < 3 * 3 * 3 * 3; y++) {
			for (unsigned i = 0, v = x, w = y; i < 4; i++, v /= 3, w /= 3) {
				a[i] = (char)(v % 3);
				b[i] = (char)(w % 3);
			}
			for (size_t na = 0; na <= 4; na++)
				for (size_t nb = 0; nb <= 4; nb++)
					assert_int_equal(hash_equal(a, na, b, nb),
					    na == nb && memcmp(a, b, na) == 0);
		}
}

static void
test_equal_long(void **state)
{
	unsigned char a[HASH_EQUAL_MAX + 1], b[HASH_EQUAL_MAX + 1];

	(void)state;
	memset(a, 's', sizeof(a));
	memset(b, 's', sizeof(b));
	assert_true(hash_equal(a, HASH_EQUAL_MAX, b, HASH_EQUAL_MAX));
	assert_false(hash_equal(a, HASH_EQUAL_MAX + 1, b, HASH_EQUAL_MAX + 1));
	b[HASH_EQUAL_MAX - 1] = 't';
	assert_false(hash_equal(a, HASH_EQUAL_MAX, b, HASH_EQUAL_MAX));
	assert_true(hash_equal(a, HASH_EQUAL_MAX - 1, b, HASH_EQUAL_MAX - 1));
	/* what is filled up with zero is not equal to zeros */
	assert_false(hash_equal("", 0, "\0", 1));
}

static void
test_wipe(void **state)
{
	char secret[32], zero[32] = {0};

	(void)state;
	memset(secret, 's', sizeof(secret));
	hash_wipe(secret, 31);
	assert_memory_equal(secret, zero, 31);
	assert_int_equal(secret[31], 's');
}

/* RFC 4231, cases 1, 2, 3 and 6. */
static void
test_hmac(void **state)
{
	static char aa[131], dd[50];
	char b0[20], hex[2 * HASH_MAC + 1];
	const struct {
		const void *key;
		size_t nkey;
		const void *p;
		size_t n;
		const char *want;
	} t[] = {
	    {b0, 20, "Hi There", 8,
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	    {"Jefe", 4, "what do ya want for nothing?", 28,
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	    {aa, 20, dd, 50,
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	    {aa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	};
	unsigned char mac[HASH_MAC];
	struct err e;

	(void)state;
	memset(aa, 0xaa, sizeof(aa));
	memset(dd, 0xdd, sizeof(dd));
	memset(b0, 0x0b, sizeof(b0));
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(
		    hash_hmac(t[i].key, t[i].nkey, t[i].p, t[i].n, mac, &e), RC_OK);
		str_hex(hex, mac, sizeof(mac));
		assert_string_equal(hex, t[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hmac),
	    cmocka_unit_test(test_known),
	    cmocka_unit_test(test_million),
	    cmocka_unit_test(test_splits),
	    cmocka_unit_test(test_equal),
	    cmocka_unit_test(test_equal_long),
	    cmocka_unit_test(test_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
