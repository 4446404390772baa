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
#define UPLOAD "acme.e3.FileStore.Upload"
#define CRM "https://crm.example.net/"

static const char client[] =
    "{\"eventId\":\"e1\",\"eventType\":\"Client.Update\",\"clientHashId\":\"cli1\"}";
static const char gone[] =
    "{\"eventId\":\"e2\",\"eventType\":\"Client.Delete\",\"clientHashId\":\"cli1\"}";

static const char upload[] = "{\"eventId\":\"e3\",\"eventType\":\"FileStore.Upload\","
			     "\"clientHashId\":\"cli1\",\"documentHashId\":\"doc1\"}";

static char hook[TMPDIR_SIZE + 32], secret_file[TMPDIR_SIZE + 32];
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
	if (fake_ncalls > 0 && fake_calls[fake_ncalls - 1].live &&
	    str_begins(fake_calls[fake_ncalls - 1].url, "https://api."))
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

/* ---- the forward ---- */

static int
forward_set_up(void **state)
{
	if (set_up(state) != 0)
		return -1;
	tmpdir_write(dir, "forward", "0123456789abcdef0123456789abcdef\n", 33);
	(void)snprintf(secret_file, sizeof(secret_file), "%s/forward", fake_base);
	fake_account.hook = NULL;
	fake_account.forward = (char *)(uintptr_t)CRM "events";
	fake_account.forward_secret_file = secret_file;
	fake_account.forward_document_url = (char *)(uintptr_t)CRM
	    "documents/{documentHashId}{suffix}";
	return 0;
}

static const struct http_call *
last(void)
{
	assert_true(fake_ncalls > 0);
	return &fake_calls[fake_ncalls - 1];
}

static void
crm(const char *path, struct http_answer a)
{
	char url[256];

	(void)snprintf(url, sizeof(url), CRM "%s", path);
	fake_answer(url, a);
	settle();
}

/* The note of an event that waits. */
static void
waits_at(const char *name, const char *step, unsigned tries, const char *why)
{
	struct retry r;

	ended(name, SPOOL_CUR);
	assert_int_equal(fake_note(name, &r), RC_OK);
	assert_string_equal(r.step, step);
	assert_int_equal(r.tries, tries);
	if (strstr(r.reason, why) == NULL)
		fail_msg("%s: expected %s", r.reason, why);
}

static void
test_forward(void **state)
{
	(void)state;
	(void)attempt(CLIENT, client);
	assert_string_equal(last()->bearer, "");
	assert_non_null(strstr(last()->post, "\"record\":{\"a\":1},"));
	assert_non_null(strstr(last()->post, client));
	assert_non_null(strstr(last()->headers, "webhook-id: e1\n"));
	assert_non_null(strstr(last()->headers, "webhook-signature: v1,"));
	crm("events", fake_status(204, ""));
	ended(CLIENT, SPOOL_DONE);
}

static void
test_forward_answers(void **state)
{
	struct http_answer busy = fake_status(503, "");
	struct retry r;

	(void)state;
	(void)attempt(CLIENT, client);
	crm("events", fake_status(500, "oh"));
	waits_at(CLIENT, "forward", 1, "forward: answered 500: oh");
	fake_pass(CLK_HOUR);
	busy.retry_after = CLK_DAY;
	(void)attempt(CLIENT, client);
	crm("events", busy);
	waits_at(CLIENT, "forward", 2, "forward: answered 503");
	assert_true(jobs_find(fake.jobs, CLIENT)->due >= fake_mono + CLK_DAY);
	fake_pass(CLK_DAY);
	(void)attempt(CLIENT, client);
	crm("events", fake_status(422, "no such client"));
	ended(CLIENT, SPOOL_FAILED);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_string_equal(r.reason, "forward: answered 422: no such client");
	(void)attempt(GONE, gone);
	crm("events", fake_status(410, ""));
	waits_at(GONE, "forward", 0, "answered 410");
	assert_int_equal(target_get(fake.targets, "forward:acme", fake_mono)->open_until,
	    TARGET_UNTIL_LIFTED);
}

/* The secret is read for each request; one that cannot be used pauses, and never shows. */
static void
test_secret_file(void **state)
{
	char before[4096];
	unsigned calls;

	(void)state;
	(void)attempt(GONE, gone);
	(void)snprintf(before, sizeof(before), "%s", strstr(last()->headers, "signature:"));
	crm("events", fake_status(500, ""));
	tmpdir_write(dir, "forward", "fedcba9876543210fedcba9876543210\n", 33);
	(void)attempt(GONE, gone);
	assert_true(strcmp(before, strstr(last()->headers, "signature:")) != 0);
	crm("events", fake_status(500, ""));
	calls = fake_ncalls;
	tmpdir_write(dir, "forward", "short\n", 6);
	(void)attempt(GONE, gone);
	assert_int_equal(fake_ncalls, calls);
	waits_at(GONE, "forward", 2, "line 1: expected a secret of at least 16 bytes");
	assert_int_equal(
	    target_get(fake.targets, "forward:acme", fake_mono)->kind, PAUSE_CONFIG);
}

static struct http_answer
pdf(void)
{
	struct http_answer a = fake_status(200, "%PDF-1.7\nwords\n%%EOF\n");

	(void)snprintf(a.content_type, sizeof(a.content_type), "application/pdf");
	return a;
}

/* Bring an upload as far as its document in the store. */
static void
bring(void)
{
	struct job *job = fake_event(UPLOAD, upload);

	work_start(&fake, job);
	fake_settle();
	fake_token("t1");
	fake_answer("https://api.",
	    fake_status(200, "{\"location\":\"https://docs.example.org/will.pdf?s=1\"}"));
	fake_settle();
	fake_answer("https://docs.", pdf());
	settle();
}

/* Hook, document, event: in this order, each once, and a retry begins at the one that failed.
 */
static void
test_all(void **state)
{
	unsigned calls;

	(void)state;
	fake_account.hook = hook;
	fake_account.forward_document = CONF_PUT;
	hook_is("exit 0");
	bring();
	assert_string_equal(last()->url, CRM "documents/doc1.pdf");
	assert_int_equal(last()->upload, 21);
	assert_non_null(strstr(last()->headers, "Content-Digest: sha-256=:"));
	assert_non_null(strstr(last()->headers, "webhook-id: e3-document\n"));
	assert_non_null(strstr(last()->headers, "Content-Type: application/pdf\n"));
	crm("documents/", fake_status(500, ""));
	waits_at(UPLOAD, "document-put", 1, "answered 500");
	(void)attempt(UPLOAD, upload);
	crm("documents/", fake_status(201, ""));
	assert_string_equal(last()->url, CRM "events");
	assert_true(last()->upload == UINT64_MAX);
	crm("events", fake_status(500, ""));
	waits_at(UPLOAD, "forward", 2, "answered 500");
	calls = fake_ncalls;
	(void)attempt(UPLOAD, upload);
	assert_int_equal(fake_ncalls, calls + 1);
	crm("events", fake_status(200, ""));
	ended(UPLOAD, SPOOL_DONE);
	assert_string_equal(file("calls"), "e3 1\n");
}

/* Who only looked at a document brings none; neither does an event of another kind. */
static void
test_nothing_to_put(void **state)
{
	static const char looked[] = "{\"eventId\":\"e4\",\"eventType\":\"FileStore.Download\","
				     "\"documentHashId\":\"doc1\"}";

	(void)state;
	fake_account.forward_document = CONF_PUT;
	bring();
	crm("documents/", fake_status(201, ""));
	crm("events", fake_status(201, ""));
	ended(UPLOAD, SPOOL_DONE);
	(void)attempt("acme.e4.FileStore.Download", looked);
	assert_string_equal(last()->url, CRM "events");
	crm("events", fake_status(201, ""));
	ended("acme.e4.FileStore.Download", SPOOL_DONE);
	(void)attempt(CLIENT, client);
	assert_string_equal(last()->url, CRM "events");
	crm("events", fake_status(201, ""));
	ended(CLIENT, SPOOL_DONE);
}

/* A crash after the last part is remembered: nothing is done twice. */
static void
test_remembered(void **state)
{
	struct job *job = fake_event(GONE, gone);

	(void)state;
	(void)snprintf(job->retry.step, sizeof(job->retry.step), "handed-over");
	(void)attempt(GONE, gone);
	ended(GONE, SPOOL_DONE);
	assert_int_equal(fake_ncalls, 0);
}

static void
test_forward_stop(void **state)
{
	(void)state;
	(void)attempt(GONE, gone);
	fake.stopping = true;
	work_stop(&fake);
	assert_false(last()->live);
	waits_at(GONE, "forward", 0, "");
	fake.stopping = false;
	(void)attempt(GONE, gone);
	crm("events", fake_status(200, ""));
	ended(GONE, SPOOL_DONE);
}

/* Our side, or a request that may not be sent. */
static void
test_not_sent(void **state)
{
	(void)state;
	fake_start_rc = RC_LATER;
	(void)attempt(GONE, gone);
	waits_at(GONE, "forward", 0, "not started");
	fake_pass(CLK_MINUTE);
	fake_start_rc = RC_BAD;
	(void)attempt(GONE, gone);
	waits_at(GONE, "forward", 0, "not started");
	assert_int_equal(
	    target_get(fake.targets, "forward:acme", fake_mono)->kind, PAUSE_CONFIG);
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
	    cmocka_unit_test_setup_teardown(test_forward, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_forward_answers, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_secret_file, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_all, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_nothing_to_put, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_remembered, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_forward_stop, forward_set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_not_sent, forward_set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
