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
#include "io.h"
#include "str.h"
#include "target.h"
#include "tmpdir.h"

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

/* Until a person did something: then one tries it out, and its answer closes it. */
static void
test_resume(void **state)
{
	struct target *t = target_get(all, "token:acme", 1000);
	struct target *p = target_get(all, "api:acme", 1000);
	bool opened;

	(void)state;
	assert_true(target_pause(t, 1000, TARGET_UNTIL_LIFTED, "invalid_client"));
	assert_true(target_is_shut(t, INT64_MAX - 1));
	assert_false(target_down(t, 2000, -1, "no", &opened));
	assert_false(target_pause(t, 2000, 1, "no"));
	assert_true(target_pause(p, 2000, CLK_HOUR, "refused"));
	assert_false(target_pause(p, 2000, CLK_HOUR, "refused"));
	targets_resume(all, 3000);
	assert_false(target_is_shut(t, 3000));
	assert_int_equal(target_ask(t, 3000), 0);
	assert_true(target_is_shut(t, 3000));
	assert_true(target_ask(t, 3000) > 0);
	assert_int_equal(target_ask(p, 3000), 0);
	assert_false(target_pause(t, 3000, TARGET_UNTIL_LIFTED, "invalid_client"));
	assert_true(target_is_shut(t, INT64_MAX - 1));
	target_resume(t, 4000);
	assert_int_equal(target_ask(t, 4000), 0);
	assert_true(target_up(t));
	assert_false(target_is_shut(t, 4000));
}

/* An id leads to its target, until that is forgotten. */
static void
test_ids(void **state)
{
	char name[TARGET_NAME];
	unsigned first, id;

	(void)state;
	assert_null(target_by_id(all, 0));
	first = target_get(all, "document:first", 1)->id;
	for (int i = 1; i < TARGET_MAX; i++) {
		(void)snprintf(name, sizeof(name), "document:host%d", i);
		id = target_get(all, name, 10 + i)->id;
		assert_int_not_equal(id, 0);
		assert_string_equal(target_by_id(all, id)->name, name);
	}
	assert_string_equal(target_by_id(all, first)->name, "document:first");
	assert_int_equal(
	    target_get(all, "document:another", 2000)->id % TARGET_MAX, first % TARGET_MAX);
	assert_null(target_by_id(all, first));
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
	assert_ptr_equal(target_get(all, "document:down", TARGET_MAX), down);
	assert_true(down->open_until != 0);
	(void)snprintf(name, sizeof(name), "document:host%d", TARGET_MAX + 9);
	assert_int_equal(target_get(all, name, TARGET_MAX + 1)->failures, 0);
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

/* ---- files ---- */

static char base[TMPDIR_SIZE];
static int spool = -1;

static int
keep_set_up(void **state)
{
	struct err e;

	tmpdir_make(base);
	spool = tmpdir_open(base);
	return set_up(state) != 0 || targets_keep(all, spool, 1000, &e) != RC_OK;
}

static int
keep_tear_down(void **state)
{
	io_close(&spool);
	tmpdir_remove(base);
	return tear_down(state);
}

/* Another daemon on the same spool, later. */
static void
restart(int64_t now)
{
	struct err e;

	targets_free(&all);
	all = targets_new();
	if (targets_keep(all, spool, now, &e) != RC_OK)
		fail_msg("%s", e.text);
}

static enum rc
on_disk(const char *name, struct pause *p)
{
	struct err e;
	int dir;
	enum rc rc;

	assert_int_equal(pause_open(spool, true, &dir, &e), RC_OK);
	rc = pause_read(dir, name, p, &e);
	io_close(&dir);
	return rc;
}

static void
by_hand(const char *name, bool there)
{
	struct pause p = {.kind = PAUSE_OPERATOR, .since = 1, .reason = "moving"};
	struct err e;
	int dir;

	assert_true(str_copy(p.target, sizeof(p.target), name));
	assert_int_equal(pause_open(spool, true, &dir, &e), RC_OK);
	assert_int_equal(
	    there ? pause_write(dir, &p, true, &e) : pause_remove(dir, name, &e), RC_OK);
	io_close(&dir);
}

/* A circuit has a file while it is open, and is tried anew by the next daemon. */
static void
test_down_on_disk(void **state)
{
	struct target *t = open_one("hook:acme", 1000);
	struct pause p;

	(void)state;
	assert_int_equal(on_disk("hook:acme", &p), RC_OK);
	assert_int_equal(p.kind, PAUSE_DOWN);
	assert_string_equal(p.reason, "no");
	assert_in_range(p.until - p.since, 1, OPEN_MOST);
	assert_true(target_up(t));
	assert_int_equal(on_disk("hook:acme", &p), RC_GONE);
	(void)open_one("hook:acme", 1000);
	restart(2000);
	assert_int_equal(on_disk("hook:acme", &p), RC_GONE);
	assert_int_equal(target_ask(target_get(all, "hook:acme", 2000), 2000), 0);
}

/* Until it is lifted: over restarts, and whatever those under way say. */
static void
test_paused_on_disk(void **state)
{
	struct target *t = target_get(all, "hook:acme", 1000);
	struct pause p;
	bool opened;

	(void)state;
	target_pause(t, 1000, TARGET_UNTIL_LIFTED, "exit status 78");
	assert_int_equal(target_ask(t, INT64_MAX - 1), TARGET_ASK_AGAIN);
	assert_false(target_up(t));
	assert_false(target_down(t, 1000, -1, "no", &opened));
	target_refuse(t, 1000, -1, "no", &opened);
	target_pause(t, 1000, 5, "again");
	assert_int_equal(target_ask(t, 9000), TARGET_ASK_AGAIN);
	restart(5000);
	t = target_get(all, "hook:acme", 5000);
	assert_int_equal(target_ask(t, 5000), TARGET_ASK_AGAIN);
	assert_string_equal(t->reason, "exit status 78");
	assert_int_equal(on_disk("hook:acme", &p), RC_OK);
	assert_int_equal(p.kind, PAUSE_CONFIG);
	assert_int_equal(p.until, 0);
	/* Nothing changed: nothing happens. */
	targets_look(all, 6000);
	by_hand("hook:acme", false);
	targets_look(all, 6000);
	assert_int_equal(target_ask(t, 6000), 0);
}

/* A pause that ends by itself is not one for the next daemon. */
static void
test_short_pause(void **state)
{
	struct pause p;

	(void)state;
	target_pause(target_get(all, "token:acme", 1000), 1000, 600000, "401");
	assert_int_equal(on_disk("token:acme", &p), RC_OK);
	assert_int_equal(p.until - p.since, 600000);
	restart(2000);
	assert_int_equal(on_disk("token:acme", &p), RC_GONE);
	assert_int_equal(target_ask(target_get(all, "token:acme", 2000), 2000), 0);
}

static void
test_operator(void **state)
{
	struct target *t = target_get(all, "api:acme", 1000);

	(void)state;
	by_hand("api:acme", true);
	assert_int_equal(target_ask(t, 1000), 0); /* not looked at yet */
	targets_look(all, 1000);
	assert_int_equal(target_ask(t, 1000), TARGET_ASK_AGAIN);
	assert_string_equal(t->reason, "moving");
	/* What was under way goes on, and lifts nothing; neither does a reload. */
	assert_false(target_up(t));
	targets_reload(all, 1000);
	assert_int_equal(target_ask(t, 1000), TARGET_ASK_AGAIN);
	restart(2000);
	t = target_get(all, "api:acme", 2000);
	assert_int_equal(target_ask(t, 2000), TARGET_ASK_AGAIN);
	by_hand("api:acme", false);
	targets_look(all, 2000);
	assert_int_equal(target_ask(t, 2000), 0);
}

static void
test_reload(void **state)
{
	struct target *t = target_get(all, "hook:acme", 1000);
	struct pause p;

	(void)state;
	(void)open_one("hook:other", 1000);
	target_pause(t, 1000, TARGET_UNTIL_LIFTED, "exit status 78");
	targets_reload(all, 1000);
	assert_int_equal(target_ask(t, 1000), 0);
	assert_int_equal(on_disk("hook:acme", &p), RC_GONE);
	assert_int_equal(on_disk("hook:other", &p), RC_OK);
}

/* One that says itself that it is down: at once, uncounted, longer each time. */
static void
test_refuse(void **state)
{
	struct target *t = target_get(all, "hook:acme", 1000);
	int64_t most = OPEN_MOST, now = 1000;
	bool opened;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		target_refuse(t, now, -1, "exit status 69", &opened);
		assert_int_equal(opened, i == 0);
		assert_in_range(t->open_until - now, 1, most);
		most = most * 2 > 5 * CLK_MINUTE ? 5 * CLK_MINUTE : most * 2;
		target_refuse(t, now, -1, "late", &opened); /* was under way */
		assert_string_equal(t->reason, "exit status 69");
		now = t->open_until;
		assert_int_equal(target_ask(t, now), 0);
	}
	assert_true(target_up(t));
}

/* Who is forgotten leaves no file behind; who is paused is forgotten last. */
static void
test_forgotten_file(void **state)
{
	char name[TARGET_NAME];
	struct pause p;

	(void)state;
	target_pause(target_get(all, "hook:acme", 1), 1, TARGET_UNTIL_LIFTED, "78");
	for (int i = 0; i < TARGET_MAX; i++) {
		(void)snprintf(name, sizeof(name), "document:host%d", i);
		(void)open_one(name, 10 + i);
	}
	assert_int_equal(on_disk("document:host0", &p), RC_GONE);
	assert_int_equal(on_disk("document:host1", &p), RC_OK);
	assert_int_equal(
	    target_ask(target_get(all, "hook:acme", 1000), 1000), TARGET_ASK_AGAIN);
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
	    cmocka_unit_test_setup_teardown(test_resume, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_ids, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_forgotten, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_long_name, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_down_on_disk, keep_set_up, keep_tear_down),
	    cmocka_unit_test_setup_teardown(test_paused_on_disk, keep_set_up, keep_tear_down),
	    cmocka_unit_test_setup_teardown(test_short_pause, keep_set_up, keep_tear_down),
	    cmocka_unit_test_setup_teardown(test_operator, keep_set_up, keep_tear_down),
	    cmocka_unit_test_setup_teardown(test_reload, keep_set_up, keep_tear_down),
	    cmocka_unit_test_setup_teardown(test_refuse, keep_set_up, keep_tear_down),
	    cmocka_unit_test_setup_teardown(test_forgotten_file, keep_set_up, keep_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
