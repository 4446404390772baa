/*
 * SPDX-License-Identifier: ISC
 *
 * t_purge - tests of purge: what goes, what stays, and what a clock that jumped may not do.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_cancel -Wl,--wrap=spool_remove
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "evlog.h"
#include "fake_daemon.h"
#include "purge.h"

#define MANY 30
#define RETENTION (30 * CLK_DAY)

enum rc __real_spool_remove(struct spool *sp, struct spool_item *it, struct err *e);
enum rc __wrap_spool_remove(struct spool *sp, struct spool_item *it, struct err *e);

static unsigned failing; /* so many removals fail */
static char said[4096];

enum rc
__wrap_spool_remove(struct spool *sp, struct spool_item *it, struct err *e)
{
	if (failing == 0)
		return __real_spool_remove(sp, it, e);
	failing--;
	return err_set(e, RC_DENIED, "made to fail");
}

static void
listen_to(const char *line, size_t n)
{
	(void)snprintf(said, sizeof(said), "%.*s", (int)n, line);
}

/* The files' times are the real clock's. */
static int64_t
real_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * CLK_SECOND;
}

static void
name_of(unsigned i, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, "acme.d%u.Client.Update", i);
}

/* MANY events in done, and a day of the log. */
static int
set_up(void **state)
{
	if (fake_setup(state) != 0)
		return -1;
	failing = 0;
	said[0] = '\0';
	fake_wall = real_now();
	fake_conf.spool.retention = RETENTION;
	log_capture(listen_to);
	for (unsigned i = 0; i < MANY; i++) {
		struct spool_item it;
		char name[NAME_SIZE];

		name_of(i, name);
		jobs_remove(fake.jobs, fake_event(name, "{}"));
		assert_int_equal(spool_lock(fake.spool, SPOOL_CUR, name, &it, NULL), RC_OK);
		assert_int_equal(spool_move(fake.spool, &it, SPOOL_DONE, NULL), RC_OK);
		spool_unlock(&it);
	}
	return evlog_put(spool_log_dir(fake.spool), fake_wall, "x", "y", NULL, LOG_END) == RC_OK
		   ? 0
		   : -1;
}

static int
tear_down(void **state)
{
	purge_stop(&fake);
	purge_free(&fake);
	return fake_teardown(state);
}

static void
run(void)
{
	purge_start(&fake);
	while (purge_next(&fake) == INT64_MAX) {
		struct pollfd fd = {.fd = pool_fd(fake.pool), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, FAKE_PATIENCE), 1);
		pool_reap(fake.pool);
	}
	assert_true(purge_next(&fake) > fake_mono);
}

static unsigned
left(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MANY; i++) {
		enum spool_box box;
		char name[NAME_SIZE];

		name_of(i, name);
		n += spool_find(fake.spool, name, &box, NULL) == RC_OK;
	}
	return n;
}

static bool
log_is_there(void)
{
	char day[CLK_TEXT];

	clk_day(real_now(), day);
	return io_exists(spool_log_dir(fake.spool), day);
}

static void
test_age(void **state)
{
	(void)state;
	assert_true(purge_next(&fake) <= fake_mono);
	run();
	assert_int_equal(left(), MANY);
	fake_pass(RETENTION - CLK_HOUR);
	run();
	assert_int_equal(left(), MANY);
	fake_pass(2 * CLK_DAY);
	run();
	assert_int_equal(left(), 0);
	assert_false(log_is_there());
	assert_non_null(strstr(said, "events=30"));
}

/* What a mail program renamed goes too; what is locked stays until it is not. */
static void
test_odd_ones(void **state)
{
	char path[TMPDIR_SIZE + 64];
	struct spool_item it;
	int dir;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/done/cur", fake_spool);
	dir = tmpdir_open(path);
	assert_int_equal(
	    renameat(dir, "acme.d3.Client.Update:2,S", dir, "acme.d3.Client.Update:2,RS"), 0);
	(void)close(dir);
	assert_int_equal(
	    spool_lock(fake.spool, SPOOL_DONE, "acme.d5.Client.Update", &it, NULL), RC_OK);
	fake_pass(RETENTION + CLK_DAY);
	run();
	assert_int_equal(left(), 1);
	spool_unlock(&it);
	fake_pass(CLK_HOUR);
	run();
	assert_int_equal(left(), 0);
}

/* A wall clock that jumped alone does not throw away the memory of what was done. */
static void
test_jump(void **state)
{
	(void)state;
	run();
	fake_wall += 400 * CLK_DAY;
	fake_mono += CLK_HOUR;
	run();
	assert_int_equal(left(), MANY);
	assert_non_null(strstr(said, "the clock jumped"));
	assert_true(purge_next(&fake) - fake_mono == CLK_DAY);
	/* Back again, which is a jump as well. */
	fake_wall -= 400 * CLK_DAY;
	fake_pass(CLK_DAY);
	run();
	assert_int_equal(left(), MANY);
	fake_pass(RETENTION);
	run();
	assert_int_equal(left(), 0);
}

/* One that cannot be removed does not keep the others, is told, and goes another time. */
static void
test_failure(void **state)
{
	(void)state;
	failing = 3;
	fake_pass(RETENTION + CLK_DAY);
	run();
	assert_int_equal(left(), 3);
	assert_non_null(strstr(said, "level=error"));
	assert_non_null(strstr(said, "failures=3"));
	assert_non_null(strstr(said, "made to fail"));
	fake_pass(CLK_HOUR);
	run();
	assert_int_equal(left(), 0);
}

/* The daemon stops: the rest is for the next time. */
static void
test_stop(void **state)
{
	(void)state;
	purge_start(&fake);
	purge_stop(&fake);
	run();
	fake_pass(RETENTION + CLK_DAY);
	run();
	assert_true(left() >= MANY - 2); /* one of each folder at most */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_age),
	    TEST(test_odd_ones),
	    TEST(test_jump),
	    TEST(test_failure),
	    TEST(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
