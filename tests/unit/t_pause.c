/*
 * SPDX-License-Identifier: ISC
 *
 * t_pause - tests of pause: a file each, whatever the target is called and whatever stands in
 * it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io.h"
#include "pause.h"
#include "str.h"
#include "tmpdir.h"

static char path[TMPDIR_SIZE];
static int spool = -1, dir = -1;

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	tmpdir_make(path);
	spool = tmpdir_open(path);
	if (pause_open(spool, true, &dir, &e) != RC_OK)
		tmpdir_fail("pause_open", e.text);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	io_close(&dir);
	io_close(&spool);
	tmpdir_remove(path);
	return 0;
}

static struct pause
sample(const char *target, enum pause_kind kind)
{
	struct pause p = {.kind = kind, .since = 1772705472345, .until = 1772705572345};

	assert_true(str_copy(p.target, sizeof(p.target), target));
	assert_true(str_copy(p.by, sizeof(p.by), "an operator"));
	assert_true(str_copy(p.reason, sizeof(p.reason), "exit status 78: \"no = yes\""));
	return p;
}

static void
test_targets(void **state)
{
	static const char *const good[] = {"api:acme", "token:a", "hook:a_b-1", "forward:x",
	    "document:s3.amazonaws.com", "document:[2001:db8::1]"};
	static const char *const bad[] = {"", ":", "hook", "hook:", ":acme", "hooks:acme",
	    "hoo:acme", "Hook:acme", "hook:a b", "hook:a\n", "hook:\x7f", "document:\xc3\xa4"};
	char text[PAUSE_TARGET + 2] = "hook:";

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(pause_target_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(pause_target_ok(bad[i]));
	memset(text + 5, 'a', PAUSE_TARGET - 6);
	assert_true(pause_target_ok(text));
	text[PAUSE_TARGET - 1] = 'a';
	assert_false(pause_target_ok(text));
	assert_string_equal(pause_account("forward:acme"), "acme");
	assert_string_equal(pause_account("document:acme"), "");
	assert_string_equal(pause_account("nothing"), "");
}

static void
test_round_trip(void **state)
{
	static const char *const targets[] = {
	    "api:acme", "document:[2001:db8::1]", "document:../../etc/passwd", "document:%2e"};
	struct pause p, back;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		p = sample(targets[i], (enum pause_kind)(i % 3));
		assert_int_equal(pause_read(dir, targets[i], &back, &e), RC_GONE);
		assert_int_equal(pause_write(dir, &p, i % 2 == 0, &e), RC_OK);
		assert_int_equal(pause_read(dir, targets[i], &back, &e), RC_OK);
		assert_memory_equal(&p, &back, sizeof(p));
	}
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pause_remove(dir, targets[i], &e), RC_OK);
		assert_int_equal(pause_remove(dir, targets[i], &e), RC_GONE);
	}
}

static bool
count(const struct pause *p, void *arg)
{
	unsigned *n = arg;

	assert_true(pause_target_ok(p->target));
	return ++*n < 100;
}

/* Names that are as long as they may be, and alike but for their ends, have a file each. */
static void
test_long(void **state)
{
	char text[PAUSE_TARGET] = "document:";
	struct pause p, back;
	unsigned n = 0;
	struct err e;

	(void)state;
	memset(text + 9, '[', sizeof(text) - 10);
	for (char c = 'a'; c <= 'c'; c++) {
		text[sizeof(text) - 2] = c;
		p = sample(text, PAUSE_DOWN);
		assert_int_equal(pause_write(dir, &p, false, &e), RC_OK);
	}
	for (char c = 'a'; c <= 'c'; c++) {
		text[sizeof(text) - 2] = c;
		assert_int_equal(pause_read(dir, text, &back, &e), RC_OK);
		assert_string_equal(back.target, text);
	}
	assert_int_equal(pause_each(dir, count, &n, &e), RC_OK);
	assert_int_equal(n, 3);
}

/* What cannot be read is said so, and left out of the list. */
static void
test_damaged(void **state)
{
	static const char *const texts[] = {"", "target=hook:acme\n",
	    "target=hook:acme\nstate=sleepy\nsince=1\nuntil=0\n",
	    "target=hook:acme\nstate=down\nsince=-1\nuntil=0\n",
	    "target=hook:acme\nstate=down\nsince=1\nuntil=soon\n",
	    "target=nothing\nstate=down\nsince=1\nuntil=0\n"};
	static char big[8192];
	struct pause p;
	unsigned n = 0;
	struct err e;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		tmpdir_write(dir, "hook:acme", texts[i], strlen(texts[i]));
		assert_int_equal(pause_read(dir, "hook:acme", &p, &e), RC_BAD);
		assert_non_null(strstr(e.text, "hook:acme"));
	}
	tmpdir_write(dir, "hook:acme", big, sizeof(big));
	assert_int_equal(pause_read(dir, "hook:acme", &p, &e), RC_BAD);
	assert_int_equal(pause_each(dir, count, &n, &e), RC_OK);
	assert_int_equal(n, 0);
	/* A reason longer than there is room for is cut, not refused. */
	memcpy(big, "state=down\nsince=1\nuntil=0\ntarget=hook:acme\nreason=", 51);
	tmpdir_write(dir, "hook:acme", big, 2000);
	assert_int_equal(pause_read(dir, "hook:acme", &p, &e), RC_OK);
	assert_int_equal(strlen(p.reason), PAUSE_TEXT - 1);
	assert_int_equal(pause_remove(dir, "hook:acme", &e), RC_OK);
}

static void
test_refused(void **state)
{
	struct pause p = {.target = "../x"}, back;
	struct err e;

	(void)state;
	assert_int_equal(pause_write(dir, &p, true, &e), RC_BAD);
	assert_int_equal(pause_read(dir, "../x", &back, &e), RC_BAD);
	assert_int_equal(pause_remove(dir, "../x", &e), RC_BAD);
}

/* A second opening finds the first one's folder; only the daemon's user writes into it. */
static void
test_folder(void **state)
{
	struct stat st;
	struct err e;
	int again;

	(void)state;
	assert_int_equal(fstat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 02750);
	assert_int_equal(pause_open(spool, true, &again, &e), RC_OK);
	io_close(&again);
	assert_int_equal(pause_open(spool, false, &again, &e), RC_OK);
	io_close(&again);
	assert_int_equal(pause_open(dir, false, &again, &e), RC_GONE);
	assert_int_equal(again, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_targets, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_long, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_folder, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
