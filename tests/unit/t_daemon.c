/*
 * SPDX-License-Identifier: ISC
 *
 * t_daemon - tests of daemon: what a start makes of the notes that an end left behind.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_cancel
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fake_daemon.h"
#include "keyfile.h"
#include "token.h"

static char group[24], state_dir[TMPDIR_SIZE + 16];

static void
name_of(unsigned i, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, "acme.d%u.Client.Update", i);
}

/* The fake's own daemon lays out spool and token, and is gone before another one starts. */
static int
set_up(void **state)
{
	static const char body[] = "{\"access_token\":\"t1\",\"expires_in\":86400}";

	if (fake_setup(state) != 0)
		return -1;
	(void)snprintf(group, sizeof(group), "%u", (unsigned)getegid());
	(void)snprintf(state_dir, sizeof(state_dir), "%s", fake_base);
	fake_conf.spool.directory = fake_spool;
	fake_conf.spool.group = group;
	fake_conf.spool.allow_fs = (char *)(uintptr_t) "tmpfs 9p fuse";
	fake_conf.spool.retention = 30 * CLK_DAY;
	fake_conf.spool.queue_limit = fake_conf.spool.rejected_limit = 1000;
	fake_conf.daemon.store = fake_store;
	fake_conf.daemon.state = state_dir;
	fake_conf.daemon.active_limit = 100;
	fake_conf.daemon.rescan = CLK_MINUTE;
	return token_store(fake_grant.dir, &fake_account, fake_wall, 200, body,
		   sizeof(body) - 1, NULL) == RC_OK
		   ? 0
		   : -1;
}

/* An event in cur with this note, or none (NULL). */
static void
lay(unsigned i, const struct retry *note)
{
	char name[NAME_SIZE], body[256];

	name_of(i, name);
	(void)snprintf(body, sizeof(body),
	    "{\"eventType\":\"Client.Update\",\"clientHashId\":\"c%u\"}", i);
	jobs_remove(fake.jobs, fake_event(name, body));
	if (note != NULL)
		assert_int_equal(
		    retry_write(spool_retry_dir(fake.spool), name, note, NULL), RC_OK);
}

/* Start and stop at once: what is due is begun, and given back. */
static void
run_once(void)
{
	struct err e = {0};
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "", 1), 1);
	if (daemon_run(&fake_conf, p[0], NULL, &e) != RC_OK)
		fail_msg("%s", e.text);
	(void)close(p[0]);
	(void)close(p[1]);
}

static bool
called(unsigned i)
{
	char end[32];

	(void)snprintf(end, sizeof(end), "clientHashId=c%u", i);
	for (unsigned k = 0; k < fake_ncalls; k++)
		if (strstr(fake_calls[k].url, end) != NULL)
			return true;
	return false;
}

static struct retry
note_of(unsigned i)
{
	char name[NAME_SIZE];
	struct retry r;

	name_of(i, name);
	(void)!fake_note(name, &r);
	return r;
}

static enum spool_box
box_of(unsigned i)
{
	char name[NAME_SIZE];

	name_of(i, name);
	return fake_box(name);
}

/* A try that the daemon did not survive counts as an interruption, and runs alone next. */
static void
test_interrupted(void **state)
{
	const struct retry running = {.tries = 2, .first = FAKE_START, .state = "running"};

	(void)state;
	lay(0, &running);
	fake_pass(1);
	lay(1, NULL);
	run_once();
	assert_int_equal(fake_ncalls, 1);
	assert_true(called(0) != called(1));
	assert_int_equal(note_of(0).interruptions, 1);
	assert_int_equal(note_of(0).tries, 2);
	assert_string_equal(note_of(0).state, "waiting");
	assert_int_equal(box_of(0), SPOOL_CUR);
	/* A clean stop is none: the second start counts nothing more. */
	run_once();
	assert_int_equal(note_of(0).interruptions, 1);
	assert_int_equal(note_of(0).tries, 2);
}

static void
test_condemned(void **state)
{
	const struct retry running = {
	    .tries = 3, .interruptions = 2, .first = FAKE_START, .state = "running"};
	const struct retry alone = {
	    .tries = 3, .interruptions = 2, .first = FAKE_START, .state = "waiting"};

	(void)state;
	lay(0, &running);
	lay(1, &alone);
	run_once();
	assert_int_equal(box_of(0), SPOOL_FAILED);
	assert_false(called(0));
	assert_string_equal(note_of(0).state, "failed");
	assert_non_null(strstr(note_of(0).reason, "3 times"));
	assert_int_equal(box_of(1), SPOOL_CUR);
	assert_true(called(1));
	assert_int_equal(count_get(spool_counts(fake.spool), COUNT_FAILED), 1);
}

static void
test_unreadable_note(void **state)
{
	char name[NAME_SIZE];

	(void)state;
	lay(0, NULL);
	name_of(0, name);
	tmpdir_write(spool_retry_dir(fake.spool), name, "tries=", 6);
	run_once();
	assert_true(called(0));
	assert_int_equal(note_of(0).interruptions, 1);
}

/* A due time is kept over a start, but not one that only a clock that jumped can have made. */
static void
test_due(void **state)
{
	struct retry r = {.tries = 1, .first = FAKE_START, .state = "waiting"};

	(void)state;
	r.due = fake_wall + CLK_HOUR;
	lay(0, &r);
	r.due = fake_wall + 400 * CLK_DAY;
	lay(1, &r);
	r.due = fake_wall - CLK_HOUR;
	lay(2, &r);
	run_once();
	assert_false(called(0));
	assert_true(called(1));
	assert_true(called(2));
	assert_int_equal(fake_ncalls, 2);
	assert_int_equal(note_of(0).tries, 1);
	assert_int_equal(note_of(1).tries, 1);
}

/* More than there is room for in memory: nothing is lost, the rest waits on disk. */
static void
test_no_room(void **state)
{
	unsigned n = 0;

	(void)state;
	fake_conf.daemon.active_limit = 3;
	for (unsigned i = 0; i < 10; i++)
		lay(i, NULL);
	run_once();
	assert_int_equal(fake_ncalls, 3);
	for (unsigned i = 0; i < 10; i++)
		n += box_of(i) == SPOOL_CUR;
	assert_int_equal(n, 10);
	assert_int_equal(count_get(spool_counts(fake.spool), COUNT_WAITING), 10);
}

static void
put_ask(const char *name)
{
	tmpdir_write(spool_ask_dir(fake.spool), name, "", 0);
}

/* A request for keys is no reason to look at the queue, and any other is none for a fetch. */
static void
test_asks(void **state)
{
	static const char *const others[] = {"wake.1", "keys.none", "keys."};
	struct keyfile k = {.issuer = "https://id.example.com",
	    .fetched = FAKE_START,
	    .tried = FAKE_START,
	    .jwks = (char *)(uintptr_t) "{\"keys\":[]}",
	    .jwks_len = 11};
	char note[128];
	int n;

	(void)state;
	fake_account.issuer = k.issuer;
	n = snprintf(note, sizeof(note),
	    "%lld https://id.example.com/.well-known/openid-configuration\n",
	    (long long)FAKE_START);
	tmpdir_write(spool_keys_dir(fake.spool), "acme.asked", note, (size_t)n);
	assert_int_equal(keyfile_write(spool_keys_dir(fake.spool), "acme", &k, NULL), RC_OK);
	fake_pass(2 * CLK_MINUTE);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		put_ask(others[i]);
	run_once();
	assert_int_equal(fake_ncalls, 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(io_exists(spool_ask_dir(fake.spool), others[i]));
	put_ask("keys.acme");
	run_once();
	assert_int_equal(fake_ncalls, 1);
	assert_true(str_begins(fake_calls[0].url, k.issuer));
	assert_false(io_exists(spool_ask_dir(fake.spool), "keys.acme"));
	/* The daemon ended in that fetch: asked again, it keeps to the pause. */
	put_ask("keys.acme");
	run_once();
	assert_int_equal(fake_ncalls, 1);
	fake_pass(CLK_MINUTE);
	run_once();
	assert_int_equal(fake_ncalls, 2);
}

/* Until the file system's clock has moved on, so that what comes next is younger. */
static void
tick(void)
{
	struct stat first, now;
	char path[TMPDIR_SIZE + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/tick", fake_base);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0); /* the file may be there from an earlier tick */
	assert_int_equal(fstat(fd, &first), 0);
	do {
		assert_int_equal(fchmod(fd, 0600), 0);
		assert_int_equal(fstat(fd, &now), 0);
	} while (now.st_ctim.tv_sec == first.st_ctim.tv_sec &&
		 now.st_ctim.tv_nsec / 1000000 == first.st_ctim.tv_nsec / 1000000);
	(void)close(fd);
}

/* An event in new, younger than all before. */
static void
lay_new(unsigned i)
{
	char name[NAME_SIZE], body[256];
	struct rec r = {.account = "acme", .received = fake_wall, .body = body};

	name_of(i, name);
	(void)snprintf(body, sizeof(body),
	    "{\"eventType\":\"Client.Update\",\"clientHashId\":\"c%u\"}", i);
	r.body_len = strlen(body);
	assert_true(str_copy(r.name, sizeof(r.name), name));
	assert_int_equal(spool_put(fake.spool, SPOOL_NEW, &r, NULL), RC_OK);
	tick();
}

/* With room for a few the oldest come first, in whatever order the folder names them. */
static void
test_oldest_first(void **state)
{
	(void)state;
	fake_conf.daemon.active_limit = 4;
	for (unsigned i = 0; i < 40; i++)
		lay_new(i);
	run_once();
	assert_int_equal(fake_ncalls, 4);
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(box_of(i), i < 4 ? SPOOL_CUR : SPOOL_NEW);
		assert_int_equal(called(i), i < 4);
	}
	/* Those in cur come before those in new. */
	fake_conf.daemon.active_limit = 6;
	run_once();
	assert_int_equal(box_of(5), SPOOL_CUR);
	assert_int_equal(box_of(6), SPOOL_NEW);
}

/* Of many the first go to work before the others are taken. */
static void
test_portions(void **state)
{
	(void)state;
	fake_conf.daemon.active_limit = 1000;
	for (unsigned i = 0; i < 150; i++)
		lay_new(i);
	run_once();
	assert_int_equal(fake_ncalls, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_true(called(i));
	/* One portion by the scan, another one in the only turn of the loop. */
	for (unsigned i = 0; i < 150; i++)
		assert_int_equal(box_of(i), i < 128 ? SPOOL_CUR : SPOOL_NEW);
}

static void
test_oldest_first_in_cur(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		lay(39 - i, NULL);
		tick();
	}
	fake_conf.daemon.active_limit = 4;
	run_once();
	assert_int_equal(fake_ncalls, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_true(called(39 - i));
}

/* A wait is never longer than it was meant, whatever the clock did meanwhile. */
static void
test_clock_set_back(void **state)
{
	struct retry r = {.tries = 1, .first = FAKE_START, .state = "waiting"};

	(void)state;
	/* Written by a clock that was 20 hours ahead: ten seconds were meant. */
	r.written = fake_wall + 20 * CLK_HOUR;
	r.due = r.written + 10 * CLK_SECOND;
	lay(0, &r);
	run_once();
	assert_int_equal(fake_ncalls, 0);
	fake_pass(10 * CLK_SECOND);
	/* Over another start the ten seconds begin anew, and no more than that. */
	run_once();
	assert_int_equal(fake_ncalls, 0);
	/* One without a sense is due. */
	r.due = r.written - 1;
	assert_int_equal(
	    retry_write(spool_retry_dir(fake.spool), "acme.d0.Client.Update", &r, NULL), RC_OK);
	run_once();
	assert_int_equal(fake_ncalls, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_interrupted),
	    TEST(test_condemned),
	    TEST(test_unreadable_note),
	    TEST(test_due),
	    TEST(test_no_room),
	    TEST(test_asks),
	    TEST(test_oldest_first),
	    TEST(test_portions),
	    TEST(test_oldest_first_in_cur),
	    TEST(test_clock_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
