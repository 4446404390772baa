/*
 * SPDX-License-Identifier: ISC
 *
 * t_schedule - tests of schedule: the limits of a wait, and that all of it is used.
 */
#include "config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "clk.h"
#include "schedule.h"

#define MIN (10 * CLK_SECOND)
#define MAX CLK_HOUR

static int fill_with;

static void
fill(void *p, size_t n)
{
	memset(p, fill_with, n);
}

/* The least and the most for a number of tries, by the ends of the random numbers. */
static void
check(unsigned tries, int64_t min, int64_t max, int64_t least, int64_t most)
{
	for (unsigned i = 0; i < 2000; i++) {
		int64_t wait = schedule_wait(tries, min, max, -1);

		assert_in_range(wait, least, most);
	}
	clk_replace_random(fill);
	fill_with = 0;
	assert_int_equal(schedule_wait(tries, min, max, -1), least);
	clk_replace_random(NULL);
}

static void
test_limits(void **state)
{
	(void)state;
	check(1, MIN, MAX, MIN / 2, MIN);
	check(2, MIN, MAX, MIN / 2, 2 * MIN);
	check(3, MIN, MAX, MIN / 2, 4 * MIN);
	check(10, MIN, MAX, MIN / 2, MAX);
	check(UINT_MAX, MIN, MAX, MIN / 2, MAX);
	check(0, MIN, MAX, MIN / 2, MIN);
	check(5, 1, 1, 0, 1);
	/* Never more than max, whatever min says. */
	check(1, 10 * CLK_SECOND, CLK_SECOND, CLK_SECOND, CLK_SECOND);
	check(200, INT64_MAX / 4, INT64_MAX / 2, INT64_MAX / 8, INT64_MAX / 2);
}

/* Full jitter: the waits of many events spread over the whole range. */
static void
test_spread(void **state)
{
	int64_t low = INT64_MAX, high = 0;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		int64_t wait = schedule_wait(5, MIN, MAX, -1);

		low = wait < low ? wait : low;
		high = wait > high ? wait : high;
	}
	assert_true(low < 15 * CLK_SECOND);
	assert_true(high > 150 * CLK_SECOND);
}

static void
test_retry_after(void **state)
{
	(void)state;
	assert_int_equal(schedule_wait(1, MIN, MAX, CLK_MINUTE), CLK_MINUTE);
	assert_int_equal(schedule_wait(1, MIN, MAX, 2 * CLK_HOUR), 2 * CLK_HOUR);
	assert_int_equal(schedule_wait(1, MIN, MAX, 9 * CLK_DAY), CLK_DAY);
	assert_int_equal(schedule_wait(1, MIN, MAX, INT64_MAX), CLK_DAY);
	for (unsigned i = 0; i < 1000; i++)
		assert_in_range(schedule_wait(1, MIN, MAX, 0), MIN / 2, MIN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_spread),
	    cmocka_unit_test(test_retry_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
