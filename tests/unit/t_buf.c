/*
 * SPDX-License-Identifier: ISC
 *
 * t_buf - tests of buf: the maximum holds, a failure sticks, secrets leave no trace.
 *
 * Linked with: -Wl,--wrap=free,--wrap=realloc
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

#include "buf.h"
#include "str.h"

#define SECRET "open sesame"

void __real_free(void *p);
void __wrap_free(void *p);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool watching;
static unsigned leaks, given_back;
static size_t block; /* bytes in every block that is given back while watching */

/* Memory that is given back while a test watches holds nothing of the secret. */
void
__wrap_free(void *p)
{
	if (watching && p != NULL) {
		given_back++;
		if (memmem(p, block, SECRET, 4) != NULL)
			leaks++;
	}
	__real_free(p);
}

/* realloc may leave a copy behind where nobody can wipe it. */
void *
__wrap_realloc(void *p, size_t n)
{
	if (watching)
		leaks++;
	return __real_realloc(p, n);
}

static void
test_max(void **state)
{
	(void)state;
	for (size_t max = 0; max < 600; max += max < 10 ? 1 : 37)
		for (size_t n = 0; n < 700; n += n < 12 ? 1 : 23) {
			struct buf b = BUF_INIT(max);

			for (size_t i = 0; i < n; i++)
				buf_add(&b, "x", 1);
			assert_int_equal(b.n, n < max ? n : max);
			assert_int_equal(strlen(buf_text(&b)), b.n);
			assert_true(b.cap <= max + 1);
			assert_int_equal(buf_state(&b, NULL), n <= max ? RC_OK : RC_FULL);
			buf_free(&b);
			assert_null(b.p);
		}
}

static void
test_broken_sticks(void **state)
{
	struct buf b = BUF_INIT(4);
	struct err e;

	(void)state;
	buf_str(&b, "abc");
	buf_str(&b, "de");
	assert_string_equal(buf_text(&b), "abc");
	buf_str(&b, "d"); /* would fit, but the text would have a hole */
	buf_fmt(&b, "%d", 1);
	buf_json(&b, "");
	assert_string_equal(buf_text(&b), "abc");
	assert_int_equal(buf_state(&b, &e), RC_FULL);
	assert_non_null(strstr(e.text, "4 bytes"));
	assert_int_equal(buf_room(&b, 0), RC_FULL);
	buf_clear(&b);
	assert_string_equal(buf_text(&b), "");
	buf_str(&b, "wxyz");
	assert_string_equal(buf_text(&b), "wxyz");
	assert_int_equal(buf_state(&b, &e), RC_OK);
	buf_free(&b);
}

static void
test_no_limit(void **state)
{
	struct buf b = BUF_INIT(SIZE_MAX);

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_str(&b, "0123456789");
	assert_int_equal(b.n, 10000);
	assert_true(b.cap > 10000);
	assert_int_equal(buf_room(&b, SIZE_MAX - 10000), RC_FULL); /* memory forbids it */
	buf_free(&b);
}

static void
test_fmt(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_fmt(&b, "%s=%d;", "k", i % 10);
	assert_int_equal(b.n, 400);
	assert_memory_equal(b.p, "k=0;k=1;k=2;", 12);
	buf_fmt(&b, "%0600d", 1);
	assert_int_equal(b.n, 1000);
	assert_int_equal(buf_state(&b, NULL), RC_OK);
	buf_fmt(&b, "%s", "");
	assert_int_equal(buf_state(&b, NULL), RC_OK);
	buf_fmt(&b, "%c", 'x');
	assert_int_equal(buf_state(&b, NULL), RC_FULL);
	assert_int_equal(b.n, 1000);
	buf_free(&b);
}

/* A JSON string of ours, read back; out has room.  false: not a string. */
static bool
unjson(const char *p, char *out)
{
	if (*p++ != '"')
		return false;
	for (; *p != '"'; p++) {
		unsigned char c = (unsigned char)*p;
		uint64_t v;
		char hex[5] = "";

		if (c < 0x20 || c == 0x7f)
			return false;
		if (c != '\\') {
			*out++ = *p;
			continue;
		}
		p++;
		if (*p == '"' || *p == '\\') {
			*out++ = *p;
		} else if (*p == 'n' || *p == 't') {
			*out++ = *p == 'n' ? '\n' : '\t';
		} else if (*p == 'u' && str_copy_n(hex, sizeof(hex), p + 1, 4) &&
			   (v = strtoull(hex, NULL, 16)) < 0x80) {
			*out++ = (char)v;
			p += 4;
		} else {
			return false;
		}
	}
	*out = '\0';
	return p[1] == '\0';
}

/* Every text of one or two bytes: well-formed ones come back, no other gets out. */
static void
test_json(void **state)
{
	struct buf b = BUF_INIT(64);
	char text[3] = "", back[64];

	(void)state;
	for (int x = 1; x < 256; x++)
		for (int y = 0; y < 256; y++) {
			text[0] = (char)x;
			text[1] = (char)y;
			buf_clear(&b);
			buf_json(&b, text);
			assert_true(unjson(buf_text(&b), back));
			assert_true(str_utf8(back, strlen(back)));
			if (str_utf8(text, strlen(text)))
				assert_string_equal(back, text);
			else
				assert_non_null(strstr(back, "\xef\xbf\xbd"));
		}
	buf_clear(&b);
	buf_json(&b, "a\xe2\x82\xac\xed\xa0\x80z\xf0\x9f\x98\x80\xf0\x9f\x98");
	assert_string_equal(buf_text(&b),
	    "\"a\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xf0\x9f\x98\x80"
	    "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	buf_free(&b);
}

static void
test_url(void **state)
{
	static const char stays[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct buf b = BUF_INIT(64);
	char text[2] = "", want[4];

	(void)state;
	for (int c = 1; c < 256; c++) {
		text[0] = (char)c;
		if (strchr(stays, c) != NULL)
			assert_true(str_copy(want, sizeof(want), text));
		else
			(void)snprintf(want, sizeof(want), "%%%02X", (unsigned)c & 0xffu);
		buf_clear(&b);
		buf_url(&b, text);
		assert_string_equal(buf_text(&b), want);
	}
	buf_free(&b);
}

static void
test_secret(void **state)
{
	struct buf b = BUF_SECRET(4096);

	(void)state;
	watching = true;
	leaks = given_back = 0;
	block = 256; /* the first size is the smallest one */
	for (int i = 0; i < 300; i++)
		buf_str(&b, SECRET);
	assert_true(b.n > 3000);
	assert_memory_equal(b.p + b.n - strlen(SECRET), SECRET, strlen(SECRET));
	assert_true(given_back > 2);
	block = b.cap;
	buf_wipe(&b);
	watching = false;
	assert_int_equal(leaks, 0);
	assert_true(given_back > 3);
	assert_null(b.p);
}

/* The watch itself sees a secret that is only freed. */
static void
test_watch(void **state)
{
	struct buf b = BUF_SECRET(4096);

	(void)state;
	buf_str(&b, SECRET);
	watching = true;
	leaks = 0;
	block = b.cap;
	buf_free(&b);
	watching = false;
	assert_int_equal(leaks, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_max),
	    cmocka_unit_test(test_broken_sticks),
	    cmocka_unit_test(test_no_limit),
	    cmocka_unit_test(test_fmt),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_url),
	    cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
