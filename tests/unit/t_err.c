/*
 * SPDX-License-Identifier: ISC
 *
 * t_err - tests of err: every errno has a verdict, every text fits and is one line.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "err.h"

#define RCS (RC_CONFIG + 1)

static void
test_set(void **state)
{
	struct err e = {.sys = 5, .text = "old"};

	(void)state;
	assert_int_equal(err_set(&e, RC_BAD, "%s %d", "number", 7), RC_BAD);
	assert_string_equal(e.text, "number 7");
	assert_int_equal(e.sys, 0);
	err_clear(&e);
	assert_string_equal(e.text, "");
	assert_int_equal(err_set(NULL, RC_FULL, "%s", "nobody listens"), RC_FULL);
	err_clear(NULL);
	err_prefix(NULL, "%s", "x");
}

static void
test_sys(void **state)
{
	struct err e;

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_sys(&e, "write", "file"), RC_FULL);
	assert_string_equal(e.text, "write(file) failed: No space left on device");
	assert_int_equal(e.sys, ENOSPC);
	errno = EIO;
	assert_int_equal(err_sys(&e, "read", NULL), RC_LATER);
	assert_string_equal(e.text, "read() failed: Input/output error");
	errno = ENOENT;
	assert_int_equal(err_sys(NULL, "open", "x"), RC_GONE);
	errno = 0; /* no call that failed is ever a success */
	assert_int_equal(err_sys(NULL, "open", "x"), RC_LATER);
}

/* A name of any length leaves the reason to be read. */
static void
test_long(void **state)
{
	char name[2 * ERR_TEXT];
	struct err e;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	errno = EACCES;
	assert_int_equal(err_sys(&e, "openat", name), RC_DENIED);
	assert_non_null(strstr(e.text, "failed: Permission denied"));
	assert_int_equal(err_set(&e, RC_BAD, "%s", name), RC_BAD);
	assert_int_equal(strlen(e.text), ERR_TEXT - 1);
	err_prefix(&e, "%s", name);
	assert_int_equal(strlen(e.text), ERR_TEXT - 1);
	for (size_t n = 0; n < sizeof(name); n++) {
		assert_int_equal(err_set(&e, RC_BAD, "%.*s", (int)n, name), RC_BAD);
		err_prefix(&e, "spool");
		assert_true(strncmp(e.text, "spool: ", 7) == 0);
		assert_true(strlen(e.text) < ERR_TEXT);
	}
}

static void
test_prefix(void **state)
{
	struct err e;

	(void)state;
	errno = EIO;
	assert_int_equal(err_sys(&e, "fsync", "new"), RC_LATER);
	err_prefix(&e, "spool %s", "/x");
	assert_string_equal(e.text, "spool /x: fsync(new) failed: Input/output error");
	assert_int_equal(e.sys, EIO);
}

static void
test_verdict(void **state)
{
	static const struct {
		int sys;
		enum rc rc;
	} t[] = {
	    {0, RC_OK},
	    {EEXIST, RC_EXISTS},
	    {ENOENT, RC_GONE},
	    {ENOSPC, RC_FULL},
	    {EDQUOT, RC_FULL},
	    {EFBIG, RC_FULL},
	    {EACCES, RC_DENIED},
	    {EPERM, RC_DENIED},
	    {ELOOP, RC_CONFIG},
	    {ENOTDIR, RC_CONFIG},
	    {EISDIR, RC_CONFIG},
	    {ENAMETOOLONG, RC_CONFIG},
	    {EIO, RC_LATER},
	    {EINTR, RC_LATER},
	    {EMFILE, RC_LATER},
	    {ENFILE, RC_LATER},
	    {EROFS, RC_LATER},
	    {ENOMEM, RC_LATER},
	    {EAGAIN, RC_LATER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(err_verdict(t[i].sys), t[i].rc);
	/* Nothing that failed is ever taken for a success. */
	for (int sys = 1; sys < 200; sys++)
		assert_int_not_equal(err_verdict(sys), RC_OK);
}

static void
test_names(void **state)
{
	(void)state;
	for (int a = 0; a < RCS; a++) {
		assert_string_not_equal(err_name((enum rc)a), "unknown");
		for (int b = 0; b < a; b++)
			assert_string_not_equal(err_name((enum rc)a), err_name((enum rc)b));
	}
	assert_string_equal(err_name((enum rc)99), "unknown");
}

static void
test_exit(void **state)
{
	(void)state;
	assert_int_equal(err_exit(RC_OK), EX_OK);
	for (int a = 1; a < RCS; a++) {
		assert_in_range(err_exit((enum rc)a), EX__BASE, EX__MAX);
		assert_int_not_equal(err_exit((enum rc)a), EX_SOFTWARE);
	}
	assert_int_equal(err_exit(RC_LATER), EX_TEMPFAIL);
	assert_int_equal(err_exit(RC_CONFIG), EX_CONFIG);
	assert_int_equal(err_exit(RC_BAD), EX_DATAERR);
	assert_int_equal(err_exit(RC_DENIED), EX_NOPERM);
	assert_int_equal(err_exit((enum rc)99), EX_SOFTWARE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_sys),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_verdict),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
