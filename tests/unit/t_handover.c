/*
 * SPDX-License-Identifier: ISC
 *
 * t_handover - tests of handover: one event through every end of a hook, with real programs, a
 * real spool and store, and no network.
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

#include <cmocka.h>

#include "fake_daemon.h"
#include "handover.h"

#define PATIENCE 30000
#define CLIENT "acme.e1.Client.Update"
#define GONE "acme.e2.Client.Delete"

static const char client[] =
    "{\"eventId\":\"e1\",\"eventType\":\"Client.Update\",\"clientHashId\":\"cli1\"}";
static const char gone[] =
    "{\"eventId\":\"e2\",\"eventType\":\"Client.Delete\",\"clientHashId\":\"cli1\"}";

static char hook[TMPDIR_SIZE + 32];
static int dir = -1;

static int
set_up(void **state)
{
	if (fake_setup(state) != 0)
		return -1;
	dir = tmpdir_open(fake_base);
	(void)snprintf(hook, sizeof(hook), "%s/hook", fake_base);
	fake_account.hook = hook;
	fake_account.hook_timeout = PATIENCE;
	return 0;
}

static int
tear_down(void **state)
{
	io_close(&dir);
	return fake_teardown(state);
}

static void
hook_is(const char *text)
{
	char all[2048];
	int n = snprintf(all, sizeof(all),
	    "#!/bin/sh\nset -u\ncd %s\necho \"$ARKEN_EVENT_ID $ARKEN_TRY\" >> calls\n%s\n",
	    fake_base, text);

	tmpdir_write(dir, "hook", all, (size_t)n);
	assert_int_equal(fchmodat(dir, "hook", 0755, 0), 0);
}

/* Run pool and programs until neither has work. */
static void
settle(void)
{
	for (;;) {
		struct pollfd fd = {.fd = children_fd(fake.children), .events = POLLIN};

		fake_settle();
		if (children_running(fake.children) == 0)
			return;
		assert_int_equal(poll(&fd, 1, PATIENCE), 1);
		children_reap(fake.children);
	}
}

/* One try of the event, its call back answered if there is one. */
static struct job *
attempt(const char *name, const char *body)
{
	struct job *job = jobs_find(fake.jobs, name);

	if (job == NULL)
		job = fake_event(name, body);
	work_start(&fake, job);
	fake_settle();
	if (fake_ncalls > 0 && fake_calls[fake_ncalls - 1].live &&
	    str_begins(fake_calls[fake_ncalls - 1].url, "https://id."))
		fake_token("t1");
	if (fake_ncalls > 0 && fake_calls[fake_ncalls - 1].live)
		fake_answer("https://api.", fake_status(200, "{\"a\":1}"));
	settle();
	return jobs_find(fake.jobs, name);
}

static const char *
file(const char *name)
{
	static char text[4096];

	(void)tmpdir_read(dir, name, text, sizeof(text));
	return text;
}

static void
ended(const char *name, enum spool_box box)
{
	assert_int_equal(fake.running, 0);
	assert_string_equal(spool_box_name(fake_box(name)), spool_box_name(box));
	if (box != SPOOL_CUR)
		assert_null(jobs_find(fake.jobs, name));
}

/* It waits at the hook, so many tries counted, in memory as on disk. */
static void
waits(const char *name, unsigned tries, const char *why)
{
	const struct job *job = jobs_find(fake.jobs, name);
	struct retry r;

	ended(name, SPOOL_CUR);
	assert_non_null(job);
	assert_int_equal(job->retry.tries, tries);
	assert_int_equal(fake_note(name, &r), RC_OK);
	assert_int_equal(r.tries, tries);
	assert_string_equal(r.step, "hook");
	assert_string_equal(r.state, "waiting");
	if (strstr(r.reason, why) == NULL)
		fail_msg("%s: expected %s", r.reason, why);
}

/* What the hook sees is what is in the store, and stdin is the event byte for byte. */
static void
test_done(void **state)
{
	struct retry r;

	(void)state;
	hook_is("cat > stdin; cat \"$ARKEN_RECORD\" > record; env | sort > env");
	(void)attempt(CLIENT, client);
	ended(CLIENT, SPOOL_DONE);
	assert_int_equal(fake_note(CLIENT, &r), RC_GONE);
	assert_string_equal(file("calls"), "e1 1\n");
	assert_string_equal(file("stdin"), client);
	assert_string_equal(file("record"), "{\"a\":1}");
	assert_null(strstr(file("env"), "s3cret"));
	assert_null(strstr(file("env"), "ARKEN_DOCUMENT"));
	assert_null(strstr(file("env"), "ARKEN_TOMBSTONE"));
}

static void
test_none(void **state)
{
	(void)state;
	fake_account.hook = NULL;
	(void)attempt(CLIENT, client);
	ended(CLIENT, SPOOL_DONE);
	assert_string_equal(file("calls"), "");
}

static void
test_delete(void **state)
{
	(void)state;
	hook_is("cat \"$ARKEN_TOMBSTONE\" > grave; test -z \"${ARKEN_RECORD:-}\"");
	(void)attempt(GONE, gone);
	ended(GONE, SPOOL_DONE);
	assert_non_null(strstr(file("grave"), "\"deleted\""));
	assert_int_equal(fake_ncalls, 0);
}

/* A failure counts, and the next try begins at the hook: no call, no record again. */
static void
test_later(void **state)
{
	unsigned calls;

	(void)state;
	hook_is("echo 'no room'; exit 75");
	(void)attempt(CLIENT, client);
	waits(CLIENT, 1, "hook: exit status 75: no room");
	calls = fake_ncalls;
	fake_pass(CLK_HOUR);
	(void)attempt(CLIENT, client);
	waits(CLIENT, 2, "no room");
	assert_int_equal(fake_ncalls, calls);
	hook_is("exit 0");
	(void)attempt(CLIENT, client);
	ended(CLIENT, SPOOL_DONE);
	assert_int_equal(fake_ncalls, calls);
	assert_string_equal(file("calls"), "e1 1\ne1 2\ne1 3\n");
}

static void
test_given_up(void **state)
{
	struct retry r;

	(void)state;
	hook_is("exit 1");
	for (unsigned i = 0; i < fake_conf.daemon.tries; i++)
		(void)attempt(CLIENT, client);
	ended(CLIENT, SPOOL_FAILED);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_non_null(strstr(r.reason, "given up after 3 tries: hook: exit status 1"));
}

static void
test_never(void **state)
{
	struct retry r;

	(void)state;
	hook_is("echo 'no such client'; exit 65");
	(void)attempt(CLIENT, client);
	ended(CLIENT, SPOOL_FAILED);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_string_equal(r.reason, "hook: exit status 65: no such client");
}

/* Down: however often, nothing counts, and others do not even ask. */
static void
test_refused(void **state)
{
	(void)state;
	hook_is("exit 69");
	for (int i = 0; i < 10; i++) {
		(void)attempt(CLIENT, client);
		waits(CLIENT, 0, "exit status 69");
		assert_int_equal(jobs_find(fake.jobs, CLIENT)->target,
		    target_get(fake.targets, "hook:acme", fake_mono)->id);
		(void)attempt(GONE, gone);
		waits(GONE, 0, "hook:acme is down: hook: exit status 69");
		fake_pass(10 * CLK_MINUTE);
	}
	assert_null(strstr(file("calls"), "e2"));
	hook_is("exit 0");
	(void)attempt(CLIENT, client);
	(void)attempt(GONE, gone);
	ended(CLIENT, SPOOL_DONE);
	ended(GONE, SPOOL_DONE);
}

static void
test_paused(void **state)
{
	struct target *t;

	(void)state;
	hook_is("exit 78");
	for (int i = 0; i < 5; i++) {
		(void)attempt(CLIENT, client);
		fake_pass(CLK_DAY);
		waits(CLIENT, 0, i == 0 ? "exit status 78" : "hook:acme is paused");
		(void)attempt(GONE, gone);
		waits(GONE, 0, "hook:acme is paused: hook: exit status 78");
	}
	assert_string_equal(file("calls"), "e1 1\n");
	t = target_get(fake.targets, "hook:acme", fake_mono);
	assert_int_equal(t->open_until, TARGET_UNTIL_LIFTED);
	assert_int_equal(t->kind, PAUSE_CONFIG);
}

/* A program that is not there is the operator's to mend, not the event's fault. */
static void
test_missing(void **state)
{
	(void)state;
	(void)attempt(CLIENT, client);
	waits(CLIENT, 0, "hook: cannot be started: No such file");
	assert_int_equal(
	    target_get(fake.targets, "hook:acme", fake_mono)->open_until, TARGET_UNTIL_LIFTED);
}

static void
test_time_limit(void **state)
{
	(void)state;
	fake_account.hook_timeout = 200;
	hook_is("exec tail -f /dev/null");
	(void)attempt(CLIENT, client);
	waits(CLIENT, 1, "hook: ended after its time limit");
}

/* The daemon ends while the hook runs: it is as if the event had not been tried. */
static void
test_stop(void **state)
{
	struct job *job;

	(void)state;
	hook_is("echo > ready; exec tail -f /dev/null");
	assert_int_equal(mkfifoat(dir, "ready", 0600), 0);
	job = fake_event(GONE, gone);
	work_start(&fake, job);
	fake_settle();
	{
		struct pollfd fd = {
		    .fd = openat(dir, "ready", O_RDWR | O_CLOEXEC), .events = POLLIN};

		assert_int_equal(poll(&fd, 1, PATIENCE), 1);
		(void)close(fd.fd);
	}
	fake.stopping = true;
	work_stop(&fake); /* leaves what runs alone */
	assert_int_equal(fake.running, 1);
	children_stop(fake.children);
	settle();
	ended(GONE, SPOOL_CUR);
	assert_int_equal(job->retry.tries, 0);
	assert_int_equal(target_ask(target_get(fake.targets, "hook:acme", fake_mono), 0), 0);
	/* The next daemon goes on at the hook. */
	fake.stopping = false;
	hook_is("exit 0");
	(void)attempt(GONE, gone);
	ended(GONE, SPOOL_DONE);
	assert_string_equal(file("calls"), "e2 1\ne2 1\n");
}

/* Nothing new begins in a daemon that ends. */
static void
test_stopping(void **state)
{
	(void)state;
	hook_is("exit 0");
	fake.stopping = true;
	(void)attempt(CLIENT, client);
	ended(CLIENT, SPOOL_CUR);
	assert_string_equal(file("calls"), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_done, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_delete, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_later, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_never, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_paused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_time_limit, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_stopping, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
