/*
 * SPDX-License-Identifier: ISC
 *
 * t_target - tests of target: when a circuit opens, who tries it out, and what counts.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "clk.h"
#include "str.h"
#include "target.h"

#define OPEN_MOST (5 * CLK_SECOND) /* the first time a circuit is open, at most */

static struct targets *all;

static int
set_up(void **state)
{
	(void)state;
	all = targets_new();
	return all == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	targets_free(&all);
	return all != NULL;
}

/* A target whose circuit has just opened at now. */
static struct target *
open_one(const char *name, int64_t now)
{
	struct target *t = target_get(all, name, now);
	bool opened = false;

	for (unsigned i = 0; i < TARGET_ROW; i++) {
		assert_false(opened);
		assert_int_equal(target_ask(t, now), 0);
		assert_int_equal(target_down(t, now, -1, "no", &opened), i == 0);
	}
	assert_true(opened);
	return t;
}

static void
test_circuit(void **state)
{
	struct target *t = open_one("api:acme", 1000);
	int64_t wait = target_ask(t, 1000);
	bool opened;

	(void)state;
	assert_string_equal(t->reason, "no");
	assert_in_range(wait, 1, OPEN_MOST);
	assert_int_equal(target_ask(t, 1000 + wait - 1), 1);
	/* One tries it out, the others wait for that one. */
	assert_int_equal(target_ask(t, 1000 + wait), 0);
	assert_true(target_ask(t, 1000 + wait) > 0);
	assert_false(target_down(t, 1000 + wait, -1, "still", &opened));
	assert_false(opened);
	assert_true(target_ask(t, 1000 + wait) > 0);
	assert_string_equal(t->reason, "still");
	assert_true(target_up(t));
	assert_int_equal(target_ask(t, 1000 + wait), 0);
	assert_int_equal(target_ask(t, 1000 + wait), 0);
	assert_false(target_up(t));
	assert_string_equal(t->reason, "");
}

static void
test_success_between(void **state)
{
	struct target *t = target_get(all, "api:acme", 1000);
	bool opened;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_true(target_down(t, 1000, -1, "no", &opened));
		assert_false(target_down(t, 1000, -1, "no", &opened));
		assert_false(opened);
		assert_false(target_up(t));
	}
}

/* Those under way when the circuit opened fail too: that says nothing new. */
static void
test_many_under_way(void **state)
{
	struct target *t = open_one("api:acme", 1000);
	int64_t until = t->open_until;
	bool opened;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_false(target_down(t, 1001, -1, "late", &opened));
		assert_false(opened);
	}
	assert_int_equal(t->open_until, until);
}

/* Each trial that fails doubles the most that it waits, up to five minutes. */
static void
test_longer(void **state)
{
	struct target *t = open_one("api:acme", 1000);
	int64_t most = OPEN_MOST, longest = 0;
	bool opened;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		int64_t now = t->open_until, wait;

		most = most * 2 > 5 * CLK_MINUTE ? 5 * CLK_MINUTE : most * 2;
		assert_int_equal(target_ask(t, now), 0);
		assert_false(target_down(t, now, -1, "no", &opened));
		wait = t->open_until - now;
		assert_in_range(wait, 1, most);
		longest = wait > longest ? wait : longest;
	}
	assert_true(longest > CLK_MINUTE);
	/* Retry-After lengthens, to a day at most. */
	assert_false(target_down(t, t->open_until, 2 * CLK_HOUR, "busy", &opened));
	assert_true(t->open_until - t->used > 2 * CLK_HOUR);
}

static void
test_pause(void **state)
{
	struct target *t = target_get(all, "api:acme", 1000);
	bool opened;

	(void)state;
	target_pause(t, 1000, 600000, "refused");
	assert_int_equal(target_ask(t, 1000), 600000);
	assert_int_equal(target_ask(t, 601000), 0);
	assert_true(target_ask(t, 601000) > 0);
	target_release(t);
	assert_int_equal(target_ask(t, 601000), 0);
	/* It was not well before, so this does not count; and the pause after it is short. */
	assert_false(target_down(t, 601000, -1, "no", &opened));
	assert_false(opened);
	assert_in_range(t->open_until - 601000, 1, OPEN_MOST);
	assert_int_equal(target_ask(t, t->open_until), 0);
	assert_true(target_up(t));
}

/* As many as there is room for; then the longest unused is forgotten, and one that is down only
 * if all are. */
static void
test_forgotten(void **state)
{
	struct target *down = open_one("document:down", 1);
	char name[TARGET_NAME];

	(void)state;
	for (int i = 1; i < TARGET_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), "document:host%d", i);
		assert_string_equal(target_get(all, name, 10 + i)->name, name);
	}
	assert_ptr_equal(target_get(all, "document:down", 1000), down);
	assert_true(down->open_until != 0);
	(void)snprintf(name, sizeof(name), "document:host%d", TARGET_MAX + 9);
	assert_int_equal(target_get(all, name, 1001)->failures, 0);
}

static void
test_long_name(void **state)
{
	char name[2 * TARGET_NAME];
	struct target *t;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	t = target_get(all, name, 1);
	assert_int_equal(strlen(t->name), TARGET_NAME - 1);
	assert_ptr_equal(target_get(all, t->name, 2), t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_circuit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_success_between, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_many_under_way, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_longer, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_pause, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_long_name, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
