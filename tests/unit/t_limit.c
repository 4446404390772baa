/*
 * SPDX-License-Identifier: ISC
 *
 * t_limit - a flood of one kind is cut, and what was cut is said.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limit.h"

static void
test_flood(void **state)
{
	struct limit l = {0};
	uint64_t missed;

	(void)state;
	for (unsigned i = 0; i < LIMIT_PER_SECOND; i++) {
		assert_true(limit_pass(&l, 5000 + i, &missed));
		assert_int_equal(missed, 0);
	}
	for (unsigned i = 0; i < 25; i++)
		assert_false(limit_pass(&l, 5500, &missed));
	assert_false(limit_pass(&l, 5999, &missed));
	assert_true(limit_pass(&l, 6000, &missed));
	assert_int_equal(missed, 26);
	assert_true(limit_pass(&l, 6001, &missed));
	assert_int_equal(missed, 0);
}

static void
test_now_and_then(void **state)
{
	struct limit l = {0};
	uint64_t missed;

	(void)state;
	for (int64_t now = 0; now < 100000; now += 500)
		assert_true(limit_pass(&l, now, &missed));
}

static void
test_first_at_any_time(void **state)
{
	const int64_t at[] = {0, -7, INT64_MAX / 2};
	uint64_t missed;

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct limit l = {0};

		assert_true(limit_pass(&l, at[i], &missed));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_now_and_then),
	    cmocka_unit_test(test_first_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
