/*
 * SPDX-License-Identifier: ISC
 *
 * t_stamp - every change of a file shows, and nothing else does.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "stamp.h"
#include "tmpdir.h"

static char dir[TMPDIR_SIZE];
static int fd;

static void
seen(struct stamp *last, bool want)
{
	struct stamp now = stamp_of(fd, "f");

	assert_int_equal(!stamp_equal(&now, last), want);
	assert_int_equal(stamp_equal(&now, last), stamp_equal(last, &now));
	*last = now;
}

static void
changes(void **state)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct stamp last = {0};

	(void)state;
	seen(&last, false);
	assert_false(last.there);
	tmpdir_write(fd, "f", "one", 3);
	seen(&last, true);
	assert_true(last.there);
	seen(&last, false);
	tmpdir_write(fd, "f", "four", 4);
	seen(&last, true);
	/* The same length and time, in another file that took its place. */
	tmpdir_write(fd, "g", "FOUR", 4);
	assert_int_equal(utimensat(fd, "f", old, 0), 0);
	assert_int_equal(utimensat(fd, "g", old, 0), 0);
	seen(&last, true);
	assert_int_equal(renameat(fd, "g", fd, "f"), 0);
	seen(&last, true);
	assert_int_equal(fchmodat(fd, "f", 0600, 0), 0);
	seen(&last, true);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	seen(&last, true);
	assert_false(last.there);
}

/* What a link leads to is what counts: the credentials of systemd are behind such. */
static void
links(void **state)
{
	struct stamp last = {0};

	(void)state;
	tmpdir_write(fd, "a", "one", 3);
	tmpdir_write(fd, "b", "one", 3);
	assert_int_equal(symlinkat("a", fd, "f"), 0);
	seen(&last, true);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	assert_int_equal(symlinkat("b", fd, "f"), 0);
	seen(&last, true);
	assert_int_equal(unlinkat(fd, "b", 0), 0);
	seen(&last, true);
	assert_false(last.there);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
}

static int
setup(void **state)
{
	(void)state;
	tmpdir_make(dir);
	fd = tmpdir_open(dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	(void)close(fd);
	tmpdir_remove(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(changes), cmocka_unit_test(links)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
