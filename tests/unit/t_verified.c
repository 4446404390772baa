/*
 * SPDX-License-Identifier: ISC
 *
 * t_verified - what is remembered of tokens, for whom and for how long.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rnd.h"
#include "verified.h"

static struct verified *v;

static struct verified_token
token(unsigned n)
{
	struct verified_token t = {.account = 1, .keys = 7, .from = 100, .until = 200};
	struct err e = {0};

	assert_int_equal(hash_sha256(&n, sizeof(n), t.digest, &e), RC_OK);
	(void)snprintf(t.which, sizeof(t.which), "bearer:kid=k%u", n);
	return t;
}

static bool
known(unsigned n, size_t account, uint64_t keys, int64_t now)
{
	struct verified_token want = token(n), t = {.account = account, .keys = keys};

	memcpy(t.digest, want.digest, sizeof(t.digest));
	if (!verified_find(v, &t, now)) {
		assert_string_equal(t.which, "");
		return false;
	}
	assert_string_equal(t.which, want.which);
	assert_int_equal(t.until, want.until);
	return true;
}

static void
found(void **state)
{
	struct verified_token t = token(1);

	(void)state;
	assert_false(known(1, 1, 7, 150));
	verified_add(v, &t);
	assert_true(known(1, 1, 7, 150));
	assert_true(known(1, 1, 7, 100));
	assert_true(known(1, 1, 7, 199));
	assert_false(known(1, 1, 7, 99));
	assert_false(known(1, 1, 7, 200));
	assert_false(known(1, 0, 7, 150));
	assert_false(known(1, 1, 8, 150));
	assert_false(known(1, 1, 0, 150));
	assert_false(known(2, 1, 7, 150));
	/* Verified again with another set: that one counts. */
	t.keys = 8;
	verified_add(v, &t);
	assert_true(known(1, 1, 8, 150));
	assert_false(known(1, 1, 7, 150));
	/* Nothing is known of an empty table, whatever is asked. */
	t = (struct verified_token){0};
	assert_false(verified_find(v, &t, 0));
}

/* However many come, the memory is the same, and what lasts longest stays. */
static void
bounded(void **state)
{
	struct rnd r = rnd_new("bounded");
	struct verified_token t = token(0);
	unsigned there = 0;

	(void)state;
	t.until = 1000000;
	verified_add(v, &t);
	for (unsigned n = 1; n < 20 * VERIFIED_ROWS; n++) {
		t = token(n);
		t.until = 200 + (int64_t)rnd_below(&r, 1000);
		verified_add(v, &t);
		assert_true(verified_find(v, &t, 150));
	}
	for (unsigned n = 0; n < 20 * VERIFIED_ROWS; n++) {
		t = token(n);
		there += verified_find(v, &t, 150);
	}
	assert_int_equal(there, VERIFIED_ROWS);
	t = token(0);
	assert_true(verified_find(v, &t, 150));
}

static int
setup(void **state)
{
	struct err e = {0};

	(void)state;
	return verified_new(&v, &e) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	verified_free(&v);
	verified_free(&v);
	return v == NULL ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(found, setup, teardown),
	    cmocka_unit_test_setup_teardown(bounded, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
