/*
 * SPDX-License-Identifier: ISC
 *
 * t_clk - tests of clk: texts of times against a calendar walked day by day.
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clk.h"
#include "rnd.h"
#include "str.h"

#define YEAR_0 INT64_C(-62167219200000)     /* 0000-01-01T00:00:00Z */
#define YEAR_10000 INT64_C(253402300800000) /* the first millisecond that is too late */

static int64_t fake_time;

static int64_t
fake_clock(void)
{
	return fake_time;
}

static bool
leap(int y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static int
month_days(int y, int m)
{
	if (m == 2)
		return leap(y) ? 29 : 28;
	return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

/* Every day of ten thousand years, counted without any formula. */
static void
test_calendar(void **state)
{
	char want[2 * CLK_TEXT], got[CLK_TEXT];
	int64_t ms = YEAR_0, read;

	(void)state;
	for (int y = 0; y <= 9999; y++)
		for (int m = 1; m <= 12; m++)
			for (int d = 1; d <= month_days(y, m); d++, ms += CLK_DAY) {
				if (d != 1 && d < 28)
					continue;
				(void)snprintf(want, sizeof(want),
				    "%04d-%02d-%02dT00:00:00.000Z", y, m, d);
				if (!clk_parse(want, &read) || read != ms)
					fail_msg("%s is read as %" PRId64, want, read);
				clk_rfc3339(ms, got);
				if (!str_eq(want, got))
					fail_msg(
					    "%" PRId64 " is %s, written %s", ms, want, got);
			}
	assert_int_equal(ms, YEAR_10000);
}

static void
test_round_trip(void **state)
{
	struct rnd r = rnd_new("test_round_trip");
	char text[CLK_TEXT];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		int64_t ms = YEAR_0 + (int64_t)rnd_below(&r, (uint64_t)(YEAR_10000 - YEAR_0));
		int64_t back;

		clk_rfc3339(ms, text);
		assert_int_equal(strlen(text), 24);
		if (!clk_parse(text, &back) || back != ms)
			fail_msg("%" PRId64 " -> %s -> %" PRId64, ms, text, back);
	}
}

static void
test_texts(void **state)
{
	static const struct {
		int64_t ms;
		const char *rfc3339, *rfc5322, *compact, *day;
	} t[] = {
	    {0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 +0000",
		"19700101T000000Z", "1970-01-01"},
	    {-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 +0000",
		"19691231T235959Z", "1969-12-31"},
	    {1772705472345, "2026-03-05T10:11:12.345Z", "Thu, 05 Mar 2026 10:11:12 +0000",
		"20260305T101112Z", "2026-03-05"},
	    {YEAR_0, "0000-01-01T00:00:00.000Z", "Sat, 01 Jan 0000 00:00:00 +0000",
		"00000101T000000Z", "0000-01-01"},
	    {YEAR_10000 - 1, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 +0000",
		"99991231T235959Z", "9999-12-31"},
	};
	char text[CLK_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		clk_rfc3339(t[i].ms, text);
		assert_string_equal(text, t[i].rfc3339);
		clk_rfc5322(t[i].ms, text);
		assert_string_equal(text, t[i].rfc5322);
		clk_compact(t[i].ms, text);
		assert_string_equal(text, t[i].compact);
		clk_day(t[i].ms, text);
		assert_string_equal(text, t[i].day);
	}
}

/* No time at all makes a text that cannot be read back. */
static void
test_extremes(void **state)
{
	static const int64_t t[] = {
	    INT64_MIN, INT64_MIN + 1, YEAR_0 - 1, YEAR_10000, INT64_MAX - 1, INT64_MAX};
	char text[CLK_TEXT];
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		clk_rfc3339(t[i], text);
		assert_true(clk_parse(text, &ms));
		clk_rfc5322(t[i], text);
		assert_int_equal(strlen(text), 31);
		clk_compact(t[i], text);
		assert_int_equal(strlen(text), 16);
		clk_day(t[i], text);
		assert_int_equal(strlen(text), 10);
		clk_span(t[i], text);
	}
}

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} t[] = {
	    {"2026-03-05T10:11:12.34567Z", 1772705472345},
	    {"2026-03-05T10:11:12.3Z", 1772705472300},
	    {"2026-03-05T10:11:12.999999999999999999999999999999Z", 1772705472999},
	    {"2026-03-05T10:11:12Z", 1772705472000},
	    {"2026-03-05T10:11:12", 1772705472000},
	    {"2026-03-05 10:11:12z", 1772705472000},
	    {"2026-03-05t10:11:12+00:00", 1772705472000},
	    {"2026-03-05T11:11:12+01:00", 1772705472000},
	    {"2026-03-05T04:41:12-05:30", 1772705472000},
	    {"2016-12-31T23:59:60Z", 1483228800000},
	    {"2024-02-29T00:00:00Z", 1709164800000},
	    {"2000-02-29T00:00:00Z", 951782400000},
	};
	static const char *bad[] = {"", "2026", "2026-03-05", "2026-03-05T10:11",
	    "2026-03-05T10:11:12.Z", "2026-03-05T10:11:12ZZ", "2026-03-05T10:11:12 Z",
	    "2026-03-05T24:00:00Z", "2026-03-05T10:60:00Z", "2026-03-05T10:11:61Z",
	    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
	    "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-04-31T00:00:00Z",
	    "2026-03-05T10:11:12+1:00", "2026-03-05T10:11:12+24:00",
	    "2026-03-05T10:11:12+01:60", "2026-03-05T10:11:12+0100", "+026-03-05T10:11:12Z",
	    "12026-03-05T10:11:12Z", " 2026-03-05T10:11:12Z", "2026-03-05X10:11:12Z",
	    "2026-03-05T10:11:12,5Z"};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (!clk_parse(t[i].text, &ms) || ms != t[i].ms)
			fail_msg("%s is read as %" PRId64, t[i].text, ms);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (clk_parse(bad[i], &ms) || ms != 0)
			fail_msg("\"%s\" is taken for a time", bad[i]);
}

/* Cut anywhere, or with one byte changed, a time is another time or none: never a crash. */
static void
test_parse_damage(void **state)
{
	static const char good[] = "2026-03-05T10:11:12.345Z";
	char text[sizeof(good)];
	int64_t ms;

	(void)state;
	for (size_t n = 0; n < sizeof(good) - 1; n++) {
		memcpy(text, good, n);
		text[n] = '\0';
		/* What is left ends in whole seconds or in a whole fraction, or it is none. */
		assert_int_equal(clk_parse(text, &ms), n == 19 || n >= 21);
	}
	for (size_t i = 0; i < sizeof(good) - 1; i++)
		for (int c = 0; c < 256; c++) {
			memcpy(text, good, sizeof(good));
			text[i] = (char)c;
			if (clk_parse(text, &ms))
				assert_in_range(ms - YEAR_0 + CLK_DAY, 0,
				    YEAR_10000 - YEAR_0 + 2 * CLK_DAY);
		}
}

static void
test_span(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} t[] = {
	    {-5, "0 s"},
	    {0, "0 s"},
	    {999, "0 s"},
	    {59 * CLK_SECOND, "59 s"},
	    {3 * CLK_MINUTE, "3 min"},
	    {3 * CLK_MINUTE + 20 * CLK_SECOND, "3 min 20 s"},
	    {12 * CLK_MINUTE + 20 * CLK_SECOND, "12 min"},
	    {2 * CLK_HOUR + 5 * CLK_MINUTE, "2 h 5 min"},
	    {4 * CLK_DAY + CLK_HOUR, "4 d 1 h"},
	    {4 * CLK_DAY, "4 d"},
	    {30 * CLK_DAY, "30 d"},
	};
	char text[CLK_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		clk_span(t[i].ms, text);
		assert_string_equal(text, t[i].text);
	}
}

static unsigned char next_byte;

static void
counting(void *p, size_t n)
{
	unsigned char *at = p;

	while (n-- > 0)
		*at++ = next_byte++;
}

static void
test_sources(void **state)
{
	unsigned char a[600], b[600];
	int64_t before;

	(void)state;
	fake_time = 42;
	clk_replace(fake_clock, fake_clock);
	assert_int_equal(clk_wall(), 42);
	assert_int_equal(clk_mono(), 42);
	clk_replace(NULL, NULL);
	assert_true(clk_wall() > INT64_C(1700000000000));
	before = clk_mono();
	assert_true(clk_mono() >= before);

	clk_replace_random(counting);
	clk_random(a, 4);
	assert_memory_equal(a, "\0\1\2\3", 4);
	clk_replace_random(NULL);
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	clk_random(a, sizeof(a));
	clk_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 560, b + 560, 40); /* the end of a long request too */
}

static void
test_random_below(void **state)
{
	unsigned seen[7] = {0};

	(void)state;
	for (int i = 0; i < 7000; i++) {
		uint64_t v = clk_random_below(6);

		assert_true(v <= 6);
		seen[v]++;
	}
	/* 1000 expected, standard deviation 29: ten of them never happen by chance. */
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 700, 1300);
	assert_int_equal(clk_random_below(0), 0);
	(void)clk_random_below(UINT64_MAX);
	(void)clk_random_below(UINT64_MAX - 1);
}

/* Files are stamped by the clock that is read, and nothing made later is stamped earlier. */
static void
test_stamps(void **state)
{
	char path[] = "/tmp/t_clk.XXXXXX";
	struct stat st;
	int fd = mkstemp(path), watch = clk_watch();
	int64_t before, after, made;

	(void)state;
	assert_true(fd >= 0 && watch >= 0);
	assert_false(clk_was_set(watch));
	for (int i = 0; i < 1000; i++) {
		before = clk_stamp();
		assert_int_equal(fchmod(fd, i % 2 ? 0600 : 0640), 0);
		assert_int_equal(fstat(fd, &st), 0);
		after = clk_wall();
		made = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
		if (clk_was_set(watch))
			continue;
		assert_in_range(made, before, after);
	}
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(close(watch), 0);
	assert_true(clk_was_set(-1)); /* it cannot be known */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_calendar),
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_extremes),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_damage),
	    cmocka_unit_test(test_span),
	    cmocka_unit_test(test_sources),
	    cmocka_unit_test(test_random_below),
	    cmocka_unit_test(test_stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
