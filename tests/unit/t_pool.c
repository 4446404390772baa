/*
 * SPDX-License-Identifier: ISC
 *
 * t_pool - tests of pool: all work is done once, and done is called where pool_reap is.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "pool.h"

#define JOBS 5000
#define ROUNDS 3
#define PATIENCE 10000 /* milliseconds */

struct one {
	struct pool_work w;
	struct pool *p;
	pthread_t at;   /* where work ran */
	unsigned works; /* how often */
	unsigned dones, rounds;
	bool blocked; /* all signals were */
};

static struct one all[JOBS];

static void
work(void *arg)
{
	struct one *o = arg;
	sigset_t now;

	o->works++;
	o->at = pthread_self();
	(void)pthread_sigmask(SIG_SETMASK, NULL, &now);
	o->blocked = sigismember(&now, SIGTERM) == 1 && sigismember(&now, SIGINT) == 1;
}

static void
done(void *arg)
{
	struct one *o = arg;

	o->dones++;
	assert_false(pthread_equal(o->at, pthread_self()));
	assert_int_equal(o->works, o->dones);
	assert_true(o->blocked);
	if (o->rounds > 0 && --o->rounds > 0)
		pool_put(o->p, &o->w);
}

static void
prepare(struct pool *p, unsigned rounds)
{
	memset(all, 0, sizeof(all));
	for (size_t i = 0; i < JOBS; i++) {
		all[i].p = p;
		all[i].rounds = rounds;
		all[i].w = (struct pool_work){.work = work, .done = done, .arg = &all[i]};
	}
}

static unsigned
finished(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < JOBS; i++)
		n += all[i].dones;
	return n;
}

static void
wait_for(struct pool *p, unsigned n)
{
	while (finished() < n) {
		struct pollfd fd = {.fd = pool_fd(p), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, PATIENCE), 1);
		pool_reap(p);
	}
}

/* Work that its own done puts again, many threads at once. */
static void
test_all(void **state)
{
	struct pollfd fd = {.events = POLLIN};
	struct pool *p;
	struct err e;

	(void)state;
	assert_int_equal(pool_new(8, &p, &e), RC_OK);
	prepare(p, ROUNDS);
	for (size_t i = 0; i < JOBS; i++)
		pool_put(p, &all[i].w);
	wait_for(p, JOBS * ROUNDS);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(all[i].works, ROUNDS);
	fd.fd = pool_fd(p);
	pool_reap(p);
	assert_int_equal(poll(&fd, 1, 0), 0);
	pool_free(&p);
	assert_null(p);
	pool_free(&p);
}

/* What has not begun is done before the pool ends. */
static void
test_end(void **state)
{
	struct pool *p;
	struct err e;

	(void)state;
	assert_int_equal(pool_new(1, &p, &e), RC_OK);
	prepare(p, 1);
	for (size_t i = 0; i < JOBS; i++)
		pool_put(p, &all[i].w);
	pool_free(&p);
	assert_int_equal(finished(), JOBS);
}

static void
test_none(void **state)
{
	struct pool *p;
	struct err e;

	(void)state;
	assert_int_equal(pool_new(0, &p, &e), RC_LATER);
	assert_null(p);
	assert_int_equal(pool_new(1000, &p, &e), RC_OK);
	pool_reap(p);
	pool_free(&p);
}

/* The caller's own signals are as before. */
static void
test_signals(void **state)
{
	sigset_t before, after;
	struct pool *p;
	struct err e;

	(void)state;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(pool_new(4, &p, &e), RC_OK);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int s = 1; s < 32; s++)
		assert_int_equal(sigismember(&before, s), sigismember(&after, s));
	pool_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all),
	    cmocka_unit_test(test_end),
	    cmocka_unit_test(test_none),
	    cmocka_unit_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
