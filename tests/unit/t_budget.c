/*
 * SPDX-License-Identifier: ISC
 *
 * t_budget - threads share so many bytes, and never take more.
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "budget.h"
#include "clk.h"

#define THREADS 8
#define ROUNDS 2000
#define LIMIT 1000

struct shared {
	struct budget b;
	atomic_size_t held;
	atomic_bool over;
	atomic_bool refused;
};

static void
test_take_and_give(void **state)
{
	struct budget b;
	size_t n = 600, more = 401, zero = 0;

	(void)state;
	budget_open(&b, LIMIT);
	assert_true(budget_take(&b, &n, 0));
	assert_int_equal(n, 600);
	assert_false(budget_take(&b, &more, 0));
	assert_int_equal(more, 0);
	budget_give(&b, more);
	more = 400;
	assert_true(budget_take(&b, &more, 0));
	assert_true(budget_take(&b, &zero, 0));
	budget_give(&b, n);
	budget_give(&b, more);
	assert_int_equal(b.used, 0);
	budget_close(&b);
}

static void
test_larger_than_all_runs_alone(void **state)
{
	struct budget b;
	size_t all = LIMIT * 5, one = 1;

	(void)state;
	budget_open(&b, LIMIT);
	assert_true(budget_take(&b, &one, 0));
	assert_false(budget_take(&b, &all, 0));
	budget_give(&b, one);
	all = LIMIT * 5;
	assert_true(budget_take(&b, &all, 0));
	assert_int_equal(all, LIMIT);
	one = 1;
	assert_false(budget_take(&b, &one, 0));
	budget_give(&b, all);
	assert_int_equal(b.used, 0);
	budget_close(&b);
}

static void
test_another_limit(void **state)
{
	struct budget b;
	size_t n = 600, more = 1, all = LIMIT;

	(void)state;
	budget_open(&b, LIMIT);
	assert_true(budget_take(&b, &n, 0));
	budget_resize(&b, 500);
	assert_int_equal(budget_limit(&b), 500);
	assert_false(budget_take(&b, &more, 0));
	budget_give(&b, n);
	assert_true(budget_take(&b, &all, 0));
	assert_int_equal(all, 500);
	budget_resize(&b, 501);
	more = 1;
	assert_true(budget_take(&b, &more, 0));
	budget_give(&b, all);
	budget_give(&b, more);
	assert_int_equal(b.used, 0);
	budget_close(&b);
}

static void *
take_all(void *arg)
{
	struct shared *s = arg;
	size_t n = LIMIT;

	if (!budget_take(&s->b, &n, CLK_HOUR))
		atomic_store(&s->refused, true);
	budget_give(&s->b, n);
	return NULL;
}

static void
test_waits_for_what_is_given_back(void **state)
{
	struct shared s = {0};
	size_t first = 1, second = 1;
	pthread_t thread;

	(void)state;
	budget_open(&s.b, LIMIT);
	assert_true(budget_take(&s.b, &first, 0));
	assert_true(budget_take(&s.b, &second, 0));
	assert_int_equal(pthread_create(&thread, NULL, take_all, &s), 0);
	budget_give(&s.b, first);
	budget_give(&s.b, second);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(s.refused);
	assert_int_equal(s.b.used, 0);
	budget_close(&s.b);
}

static void *
take_often(void *arg)
{
	struct shared *s = arg;

	for (size_t i = 0; i < ROUNDS; i++) {
		size_t n = 1 + i * 37 % LIMIT;

		if (!budget_take(&s->b, &n, CLK_HOUR)) {
			atomic_store(&s->refused, true);
			continue;
		}
		if (atomic_fetch_add(&s->held, n) + n > LIMIT)
			atomic_store(&s->over, true);
		atomic_fetch_sub(&s->held, n);
		budget_give(&s->b, n);
	}
	return NULL;
}

static void
test_never_over_the_limit(void **state)
{
	struct shared s = {0};
	pthread_t threads[THREADS];

	(void)state;
	budget_open(&s.b, LIMIT);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_often, &s), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_false(s.over);
	assert_false(s.refused);
	assert_int_equal(s.b.used, 0);
	budget_close(&s.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_take_and_give),
	    cmocka_unit_test(test_larger_than_all_runs_alone),
	    cmocka_unit_test(test_another_limit),
	    cmocka_unit_test(test_waits_for_what_is_given_back),
	    cmocka_unit_test(test_never_over_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
