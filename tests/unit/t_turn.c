/*
 * SPDX-License-Identifier: ISC
 *
 * t_turn - never more at one time, some wait, the rest are refused at once.
 */
#include "config.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clk.h"
#include "turn.h"

#define THREADS 16
#define ROUNDS 2000
#define LIMIT 3

struct shared {
	struct turn t;
	atomic_uint at_work;
	atomic_bool too_many;
	atomic_uint refused;
};

static void
test_limit(void **state)
{
	struct turn t;

	(void)state;
	turn_open(&t, 2, 0);
	assert_true(turn_take(&t, CLK_HOUR));
	assert_true(turn_take(&t, CLK_HOUR));
	/* no place to wait in, and no turn went round for long: the answer comes at once */
	t.moved = clk_mono() - CLK_HOUR;
	assert_false(turn_take(&t, CLK_HOUR));
	/* turns go round: it waits, if only so long */
	t.moved = clk_mono();
	assert_false(turn_take(&t, CLK_SECOND / 20));
	assert_true(clk_mono() - t.moved >= CLK_SECOND / 20);
	turn_give(&t);
	assert_true(turn_take(&t, 0));
	turn_give(&t);
	turn_give(&t);
	assert_int_equal(t.taken, 0);
	turn_close(&t);
}

static void
test_waits_in_vain(void **state)
{
	struct turn t;
	int64_t begun;

	(void)state;
	turn_open(&t, 1, 1);
	assert_true(turn_take(&t, 0));
	begun = clk_mono();
	assert_false(turn_take(&t, 50));
	assert_true(clk_mono() - begun >= 49);
	assert_int_equal(t.waiting, 0);
	assert_int_equal(t.taken, 1);
	turn_give(&t);
	turn_close(&t);
}

static void *
take_one(void *arg)
{
	struct shared *s = arg;

	if (turn_take(&s->t, CLK_HOUR))
		turn_give(&s->t);
	else
		atomic_fetch_add(&s->refused, 1);
	return NULL;
}

/* Who waits gets the turn that is given back; who finds no place is told so. */
static void
test_waits_for_a_turn(void **state)
{
	struct shared s = {0};
	pthread_t waiter;

	(void)state;
	turn_open(&s.t, 1, 1);
	assert_true(turn_take(&s.t, 0));
	assert_int_equal(pthread_create(&waiter, NULL, take_one, &s), 0);
	for (bool there = false; !there; sched_yield()) {
		pthread_mutex_lock(&s.t.lock);
		there = s.t.waiting == 1;
		pthread_mutex_unlock(&s.t.lock);
	}
	pthread_mutex_lock(&s.t.lock);
	s.t.moved = clk_mono() - CLK_HOUR;
	pthread_mutex_unlock(&s.t.lock);
	assert_false(turn_take(&s.t, CLK_HOUR));
	turn_give(&s.t);
	assert_int_equal(pthread_join(waiter, NULL), 0);
	assert_int_equal(s.refused, 0);
	assert_int_equal(s.t.taken, 0);
	turn_close(&s.t);
}

static void *
take_often(void *arg)
{
	struct shared *s = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (!turn_take(&s->t, CLK_HOUR)) {
			atomic_fetch_add(&s->refused, 1);
			continue;
		}
		if (atomic_fetch_add(&s->at_work, 1) + 1 > LIMIT)
			atomic_store(&s->too_many, true);
		sched_yield();
		atomic_fetch_sub(&s->at_work, 1);
		turn_give(&s->t);
	}
	return NULL;
}

static void
test_never_over_the_limit(void **state)
{
	struct shared s = {0};
	pthread_t threads[THREADS];

	(void)state;
	turn_open(&s.t, LIMIT, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_often, &s), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_false(s.too_many);
	assert_int_equal(s.refused, 0);
	assert_int_equal(s.t.taken, 0);
	assert_int_equal(s.t.waiting, 0);
	turn_close(&s.t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_waits_in_vain),
	    cmocka_unit_test(test_waits_for_a_turn),
	    cmocka_unit_test(test_never_over_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
