/*
 * SPDX-License-Identifier: ISC
 *
 * t_str - tests of str: all short inputs, each against an oracle that is written another way.
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
#include <strings.h>

#include <cmocka.h>

#include "str.h"

#define SHORT 8 /* room for any input made here */

/* The next text over an alphabet, shortest first; false after the last of length max. */
static bool
next_text(char text[SHORT], const char *alphabet, size_t max)
{
	size_t n = strlen(text);

	for (size_t i = n; i-- > 0;) {
		const char *at = strchr(alphabet, text[i]);

		if (at[1] != '\0') {
			text[i] = at[1];
			return true;
		}
		text[i] = alphabet[0];
	}
	if (n == max)
		return false;
	text[n] = alphabet[0];
	text[n + 1] = '\0';
	return true;
}

static void
test_copy(void **state)
{
	const char text[] = "abcd";
	char out[8];

	(void)state;
	for (size_t size = 0; size <= sizeof(out); size++)
		for (size_t n = 0; n <= 4; n++) {
			memset(out, 'x', sizeof(out));
			assert_int_equal(str_copy_n(out, size, text, n), n < size);
			if (size == 0) {
				assert_int_equal(out[0], 'x');
				continue;
			}
			assert_int_equal(strlen(out), n < size ? n : 0);
			assert_memory_equal(out, text, strlen(out));
			for (size_t i = size; i < sizeof(out); i++)
				assert_int_equal(out[i], 'x');
		}
	assert_true(str_copy(out, sizeof(out), "1234567"));
	assert_string_equal(out, "1234567");
	assert_false(str_copy(out, sizeof(out), "12345678"));
	assert_string_equal(out, "");
	assert_false(str_copy_n(out, sizeof(out), "a\0b", 3));
	assert_string_equal(out, "");
	assert_true(str_copy_n(out, sizeof(out), "", 0));
}

/* Digits only; the value by strtoull. */
static void
test_u64_short(void **state)
{
	char text[SHORT] = "";
	uint64_t v;

	(void)state;
	do {
		bool good = text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
		uint64_t want = good ? strtoull(text, NULL, 10) : 0;

		if (str_u64(text, 0, UINT64_MAX, &v) != good || v != want)
			fail_msg("\"%s\" is read as %" PRIu64, text, v);
		if (str_u64(text, 8, 90, &v) != (good && want >= 8 && want <= 90))
			fail_msg("\"%s\" is not held to 8..90", text);
		assert_int_equal(v, good && want >= 8 && want <= 90 ? want : 0);
	} while (next_text(text, "0189 +-.xa\t/:", 4));
}

static void
test_u64_edges(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(str_u64("18446744073709551615", 0, UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	assert_false(str_u64("18446744073709551616", 0, UINT64_MAX, &v));
	assert_false(str_u64("18446744073709551620", 0, UINT64_MAX, &v));
	assert_false(str_u64("99999999999999999999", 0, UINT64_MAX, &v));
	assert_false(str_u64("184467440737095516150", 0, UINT64_MAX, &v));
	assert_int_equal(v, 0);
	assert_true(str_u64("0000000000000000000000000000007", 0, 9, &v));
	assert_int_equal(v, 7);
	assert_false(str_u64("5", 6, 5, &v));
}

/* Digits, at most one space before a unit, a unit that is known: by table of whole texts. */
static uint64_t
unit_oracle(const char *text, const char *const *names, const uint64_t *factors, bool *good)
{
	size_t n = strspn(text, "0123456789");
	const char *unit = text + n;

	*good = false;
	if (n == 0)
		return 0;
	if (unit[0] == ' ' && unit[1] != '\0')
		unit++;
	for (size_t i = 0; names[i] != NULL; i++) {
		if (strcasecmp(names[i], unit) != 0)
			continue;
		*good = true;
		return strtoull(text, NULL, 10) * factors[i];
	}
	return 0;
}

static void
test_duration(void **state)
{
	static const char *const names[] = {"", "ms", "s", "m", "min", "h", "d", NULL};
	static const uint64_t factors[] = {1000, 1, 1000, 60000, 60000, 3600000, 86400000};
	char text[SHORT] = "";
	int64_t ms;
	bool good;

	(void)state;
	do {
		uint64_t want = unit_oracle(text, names, factors, &good);

		if (str_duration(text, &ms) != good || ms != (int64_t)want)
			fail_msg("\"%s\" is read as %" PRId64, text, ms);
	} while (next_text(text, "019 sminhdM-", 5));
	assert_true(str_duration("9223372036854775s", &ms));
	assert_true(ms == INT64_C(9223372036854775000));
	assert_false(str_duration("9223372036854776s", &ms));
	assert_false(str_duration("106751991168d", &ms));
	assert_false(str_duration("99999999999999999999999d", &ms));
	assert_int_equal(ms, 0);
}

static void
test_size(void **state)
{
	static const char *const names[] = {"", "B", "K", "KiB", "M", "MiB", "G", "GiB", NULL};
	static const uint64_t factors[] = {
	    1, 1, 1024, 1024, 1048576, 1048576, 1073741824, 1073741824};
	char text[SHORT] = "";
	uint64_t bytes;
	bool good;

	(void)state;
	do {
		uint64_t want = unit_oracle(text, names, factors, &good);

		if (str_size(text, &bytes) != good || bytes != want)
			fail_msg("\"%s\" is read as %" PRIu64, text, bytes);
	} while (next_text(text, "09 kKMGiBb-", 5));
	assert_true(str_size("17179869183G", &bytes));
	assert_true(bytes == UINT64_C(17179869183) << 30);
	assert_false(str_size("17179869184G", &bytes));
	assert_int_equal(bytes, 0);
}

static void
test_only(void **state)
{
	static const char good[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	char text[SHORT] = "";

	(void)state;
	for (int c = 1; c < 256; c++) {
		text[0] = (char)c;
		assert_int_equal(str_only(text, "_-", 1, 1), strchr(good, c) != NULL);
	}
	text[0] = '\0';
	do {
		size_t n = strlen(text);
		bool plain = strspn(text, "aZ5.") == n;

		for (size_t min = 0; min < 5; min++)
			for (size_t max = 0; max < 5; max++)
				assert_int_equal(str_only(text, ".", min, max),
				    plain && n >= min && n <= max);
	} while (next_text(text, "aZ5. /\x80", 4));
}

static void
test_compare(void **state)
{
	char a[SHORT] = "", b[SHORT];

	(void)state;
	do {
		b[0] = '\0';
		do {
			assert_int_equal(str_eq(a, b), strcmp(a, b) == 0);
			assert_int_equal(str_eq_nocase(a, b), strcasecmp(a, b) == 0);
			assert_int_equal(str_begins(a, b), strstr(a, b) == a);
		} while (next_text(b, "aAzZ@[`{", 2));
	} while (next_text(a, "aAzZ@[`{", 3));
	/* Only ASCII letters have a case. */
	for (int c = 1; c < 256; c++)
		for (int d = 1; d < 256; d++) {
			char x[2] = {(char)c, '\0'}, y[2] = {(char)d, '\0'};
			bool same = c == d || ((c ^ d) == 0x20 && ((c | 0x20) >= 'a') &&
						  ((c | 0x20) <= 'z'));

			assert_int_equal(str_eq_nocase(x, y), same);
		}
}

static void
test_lower(void **state)
{
	char text[257], want[257];

	(void)state;
	for (int c = 1; c < 256; c++) {
		text[c - 1] = (char)c;
		want[c - 1] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	text[255] = want[255] = '\0';
	str_lower(text);
	assert_string_equal(text, want);
}

static void
test_guid(void **state)
{
	static const char good[] = "0b0f6a2e-5A51-4c0d-9a3e-6f2f5d1c7e10";
	char text[40];

	(void)state;
	assert_true(str_is_guid(good));
	for (size_t n = 0; n < sizeof(good) - 1; n++) {
		assert_true(str_copy_n(text, sizeof(text), good, n));
		assert_false(str_is_guid(text));
	}
	assert_true(str_copy(text, sizeof(text), good));
	text[36] = '0';
	text[37] = '\0';
	assert_false(str_is_guid(text));
	for (size_t i = 0; i < sizeof(good) - 1; i++)
		for (int c = 0; c < 256; c++) {
			bool ok = good[i] == '-'
				      ? c == '-'
				      : c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;

			assert_true(str_copy(text, sizeof(text), good));
			text[i] = (char)c;
			assert_int_equal(str_is_guid(text), ok);
		}
}

static void
test_hex(void **state)
{
	char out[3], want[3];

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		unsigned char one = (unsigned char)c;

		str_hex(out, &one, 1);
		(void)snprintf(want, sizeof(want), "%02x", c);
		assert_string_equal(out, want);
	}
	str_hex(out, "", 0);
	assert_string_equal(out, "");
}

/* The longest run of whole escapes that leaves room for "...", or all of it. */
static void
escape_oracle(char *out, size_t size, const char *p, size_t n)
{
	char full[4 * SHORT + 1] = "";
	size_t at = 0, fits = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned c = (unsigned char)p[i];
		bool plain = c >= ' ' && c <= '~';

		at += (size_t)snprintf(full + at, sizeof(full) - at,
		    c == '\\' ? "%c\\"
		    : plain   ? "%c"
			      : "\\x%02x",
		    c);
		if (at + 4 <= size)
			fits = at;
	}
	if (at >= size)
		memcpy(full + fits, "...", 4);
	memcpy(out, full, strlen(full) + 1);
}

static void
test_escape(void **state)
{
	static const char bytes[] = {'a', '\\', '\n', '\0', '\x7f', '\xff', ' '};
	const size_t kinds = sizeof(bytes);
	size_t all = 1;
	char text[SHORT], out[40], want[40];

	(void)state;
	for (size_t n = 0; n <= 5; n++, all *= kinds)
		for (size_t k = 0; k < all; k++) {
			for (size_t i = 0, v = k; i < n; i++, v /= kinds)
				text[i] = bytes[v % kinds];
			for (size_t size = 8; size <= 22; size++) {
				memset(out, 'X', sizeof(out));
				assert_ptr_equal(str_escape(out, size, text, n), out);
				escape_oracle(want, size, text, n);
				assert_string_equal(out, want);
				assert_int_equal(out[size], 'X');
			}
		}
}

/* RFC 3629 section 4, its grammar written out. */
static size_t
utf8_oracle(const unsigned char *p, size_t n)
{
#define IN(i, lo, hi) (n > (i) && p[i] >= (lo) && p[i] <= (hi))
#define TAIL(i) IN(i, 0x80, 0xbf)
	if (IN(0, 0, 0x7f))
		return 1;
	if (IN(0, 0xc2, 0xdf) && TAIL(1))
		return 2;
	if ((IN(0, 0xe0, 0xe0) && IN(1, 0xa0, 0xbf) && TAIL(2)) ||
	    (IN(0, 0xe1, 0xec) && TAIL(1) && TAIL(2)) ||
	    (IN(0, 0xed, 0xed) && IN(1, 0x80, 0x9f) && TAIL(2)) ||
	    (IN(0, 0xee, 0xef) && TAIL(1) && TAIL(2)))
		return 3;
	if ((IN(0, 0xf0, 0xf0) && IN(1, 0x90, 0xbf) && TAIL(2) && TAIL(3)) ||
	    (IN(0, 0xf1, 0xf3) && TAIL(1) && TAIL(2) && TAIL(3)) ||
	    (IN(0, 0xf4, 0xf4) && IN(1, 0x80, 0x8f) && TAIL(2) && TAIL(3)))
		return 4;
	return 0;
#undef TAIL
#undef IN
}

static bool
utf8_all(const unsigned char *p, size_t n)
{
	while (n > 0) {
		size_t k = utf8_oracle(p, n);

		if (k == 0)
			return false;
		p += k;
		n -= k;
	}
	return true;
}

static void
test_utf8(void **state)
{
	static const unsigned char edge[] = {0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
	    0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff};
	const size_t m = sizeof(edge);
	unsigned char b[4];

	(void)state;
	assert_true(str_utf8("", 0));
	for (unsigned v = 0; v < 1u << 24; v += 1 + (v & 0xff) % 3) {
		b[0] = (unsigned char)(v >> 16);
		b[1] = (unsigned char)(v >> 8);
		b[2] = (unsigned char)v;
		for (size_t n = 1; n <= 3; n++)
			if (str_utf8((const char *)b, n) != utf8_all(b, n))
				fail_msg("%02x %02x %02x, %zu", b[0], b[1], b[2], n);
	}
	for (unsigned v = 0; v < 256 * m * m * m; v++) {
		b[0] = (unsigned char)(v % 256);
		b[1] = edge[v / 256 % m];
		b[2] = edge[v / 256 / m % m];
		b[3] = edge[v / 256 / m / m];
		if (str_utf8((const char *)b, 4) != utf8_all(b, 4))
			fail_msg("%02x %02x %02x %02x", b[0], b[1], b[2], b[3]);
	}
}

static bool
host_oracle(const char *pattern, const char *host)
{
	if (*pattern == '\0')
		return *host == '\0';
	if (*host == '\0')
		return false;
	if (*pattern != '*')
		return (*pattern | 0x20) == (*host | 0x20) &&
		       host_oracle(pattern + 1, host + 1);
	return *host != '.' &&
	       (host_oracle(pattern + 1, host + 1) || host_oracle(pattern, host + 1));
}

static void
test_host_short(void **state)
{
	char pattern[SHORT] = "", host[SHORT];

	(void)state;
	do {
		host[0] = '\0';
		do {
			if (str_host_match(pattern, host) != host_oracle(pattern, host))
				fail_msg("\"%s\" and \"%s\"", pattern, host);
		} while (next_text(host, "ab.", 6));
	} while (next_text(pattern, "a*.B", 5));
}

static void
test_host_amazon(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool match;
	} t[] = {
	    {"s3.amazonaws.com", "S3.Amazonaws.Com", true},
	    {"*.s3.amazonaws.com", "bucket.s3.amazonaws.com", true},
	    {"*.s3.amazonaws.com", "s3.amazonaws.com", false},
	    {"*.s3.amazonaws.com", ".s3.amazonaws.com", false},
	    {"*.s3.amazonaws.com", "a.b.s3.amazonaws.com", false},
	    {"s3.*.amazonaws.com", "s3.eu-west-2.amazonaws.com", true},
	    {"*.s3.*.amazonaws.com", "b.s3.eu-west-2.amazonaws.com", true},
	    {"*.s3.*.amazonaws.com", "b.s3.eu-west-2.amazonaws.com.evil.example", false},
	    {"*.s3.*.amazonaws.com", "b.s3.x.y.amazonaws.com", false},
	    {"s3.amazonaws.com", "s3.amazonaws.com.", false},
	    {"s3.amazonaws.com", "", false},
	    {"", "", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (str_host_match(t[i].pattern, t[i].host) != t[i].match)
			fail_msg("%s and %s", t[i].pattern, t[i].host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_u64_short),
	    cmocka_unit_test(test_u64_edges),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_size),
	    cmocka_unit_test(test_only),
	    cmocka_unit_test(test_compare),
	    cmocka_unit_test(test_lower),
	    cmocka_unit_test(test_guid),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_host_short),
	    cmocka_unit_test(test_host_amazon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
