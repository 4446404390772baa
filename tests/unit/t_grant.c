/*
 * SPDX-License-Identifier: ISC
 *
 * t_grant - tests of grant: one request for all who wait, and every way in which it ends.
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
#include "token.h"

#define MANY 20
#define API "https://api.example.com/"
#define ID "https://id.example.com/token"

static void
name_of(unsigned i, char out[NAME_SIZE])
{
	(void)snprintf(out, NAME_SIZE, "acme.g%u.Client.Update", i);
}

static void
start(unsigned i)
{
	char name[NAME_SIZE], body[256];
	struct job *job;

	name_of(i, name);
	(void)snprintf(body, sizeof(body),
	    "{\"eventType\":\"Client.Update\",\"clientHashId\":\"c%u\"}", i);
	if ((job = jobs_find(fake.jobs, name)) == NULL)
		job = fake_event(name, body);
	work_start(&fake, job);
	fake_settle();
}

static void
start_many(void)
{
	for (unsigned i = 0; i < MANY; i++)
		start(i);
	assert_int_equal(fake.running, MANY);
}

static unsigned
requests(const char *url)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_ncalls; i++)
		n += str_begins(fake_calls[i].url, url);
	return n;
}

/* All wait uncounted, and none has a try under way. */
static void
all_wait(unsigned n, const char *why)
{
	char name[NAME_SIZE];

	assert_int_equal(fake.running, 0);
	assert_null(fake_grant.waiting);
	assert_int_equal(fake_grant.lock, -1);
	for (unsigned i = 0; i < n; i++) {
		const struct job *job;
		struct retry r;

		name_of(i, name);
		job = jobs_find(fake.jobs, name);
		assert_non_null(job);
		assert_int_equal(job->retry.tries, 0);
		assert_true(job->due > fake_mono);
		assert_int_not_equal(job->at, JOBS_NOWHERE);
		assert_int_equal(fake_note(name, &r), RC_OK);
		assert_string_equal(r.state, "waiting");
		if (strstr(r.reason, why) == NULL)
			fail_msg("%s: %s", why, r.reason);
	}
}

static void
stop_all(void)
{
	work_stop(&fake);
	assert_int_equal(fake.running, 0);
	assert_null(fake_grant.waiting);
}

static void
test_one_request(void **state)
{
	(void)state;
	start_many();
	assert_int_equal(fake_ncalls, 1);
	assert_non_null(strstr(fake_calls[0].post, "\"client_secret\":\"s3cret\""));
	assert_string_equal(fake_calls[0].bearer, "");
	fake_token("t1");
	assert_int_equal(fake_ncalls, 1 + MANY);
	assert_int_equal(requests(API), MANY);
	assert_null(fake_grant.waiting);
	assert_int_equal(fake_grant.lock, -1);
	/* The next one finds it on disk. */
	start(MANY);
	assert_int_equal(requests(ID), 1);
	assert_int_equal(count_get(spool_counts(fake.spool), COUNT_TOKENS), 1);
	stop_all();
}

static void
test_refused(void **state)
{
	int dir;

	(void)state;
	start_many();
	fake_answer(ID, fake_status(401, "{\"error\":\"invalid_client\"}"));
	all_wait(MANY, "invalid_client");
	/* Held: nobody asks, however long it lasts. */
	start(0);
	fake_pass(30 * CLK_DAY);
	start(0);
	grant_look(&fake_grant);
	start(0);
	assert_int_equal(fake_ncalls, 1);
	/* Until our credentials change: then one tries them out. */
	assert_int_equal(unlink(fake_secret), 0);
	dir = tmpdir_open(fake_base);
	tmpdir_write(dir, "secret", "n3w\n", 4);
	io_close(&dir);
	grant_look(&fake_grant);
	start(0);
	assert_int_equal(fake_ncalls, 2);
	assert_non_null(strstr(fake_calls[1].post, "n3w"));
	/* One is trying it out; whoever comes now waits for that one. */
	start(1);
	assert_int_equal(fake_ncalls, 2);
	fake_token("t1");
	assert_int_equal(requests(API), 2);
	stop_all();
}

static void
test_unreachable(void **state)
{
	struct http_answer a = {
	    .fate = HTTP_NO_CONNECT, .body = "", .text = "no connection", .retry_after = -1};

	(void)state;
	start_many();
	fake_answer(ID, a);
	all_wait(MANY, "no connection");
	a = fake_status(200, "not json");
	start_many();
	fake_answer(ID, a);
	all_wait(MANY, "no token");
	a.retry_after = CLK_HOUR;
	a.status = 503;
	start_many();
	fake_answer(ID, a);
	all_wait(MANY, "no token");
	assert_true(target_get(fake.targets, "token:acme", fake_mono)->open_until >=
		    fake_mono + CLK_HOUR);
}

/* The token comes, but the API is known to be down: each of them ends while the list is walked.
 */
static void
test_api_is_down(void **state)
{
	(void)state;
	start_many();
	target_pause(
	    target_get(fake.targets, "api:acme", fake_mono), fake_mono, CLK_HOUR, "down");
	fake_token("t1");
	all_wait(MANY, "api:acme is down");
}

static void
test_not_started(void **state)
{
	(void)state;
	fake_start_rc = RC_LATER;
	start(0);
	all_wait(1, "not started");
	(void)unlink(fake_secret);
	fake_pass(CLK_HOUR);
	start(0);
	assert_int_equal(fake_ncalls, 0);
	all_wait(1, "secret");
}

/* Another program asks: we look again, and find its token or ask ourselves. */
static void
test_other_program(void **state)
{
	int lock;

	(void)state;
	assert_int_equal(token_lock(fake_grant.dir, &fake_account, &lock, NULL), RC_OK);
	start_many();
	assert_int_equal(fake_ncalls, 0);
	assert_int_not_equal(fake_grant.again, 0);
	grant_tick(&fake_grant, fake_mono);
	assert_int_equal(fake_ncalls, 0);
	fake_pass(CLK_SECOND);
	grant_tick(&fake_grant, fake_mono);
	assert_int_equal(fake_ncalls, 0);
	assert_int_equal(fake.running, MANY);
	assert_true(fake_grant.again > fake_mono);
	/* It ended without one. */
	io_close(&lock);
	fake_pass(CLK_SECOND);
	grant_tick(&fake_grant, fake_mono);
	assert_int_equal(fake_ncalls, 1);
	assert_int_equal(fake_grant.again, 0);
	fake_token("t1");
	assert_int_equal(requests(API), MANY);
	stop_all();
}

static void
test_others_token(void **state)
{
	static const char body[] = "{\"access_token\":\"theirs\",\"expires_in\":86400}";
	int lock;

	(void)state;
	assert_int_equal(token_lock(fake_grant.dir, &fake_account, &lock, NULL), RC_OK);
	start_many();
	assert_int_equal(token_store(fake_grant.dir, &fake_account, fake_wall, 200, body,
			     sizeof(body) - 1, NULL),
	    RC_OK);
	io_close(&lock);
	fake_pass(CLK_SECOND);
	grant_tick(&fake_grant, fake_mono);
	assert_int_equal(requests(ID), 0);
	assert_int_equal(requests(API), MANY);
	assert_string_equal(fake_calls[0].bearer, "theirs");
	stop_all();
}

/* All calls with the old token are refused: it is renewed once. */
static void
test_renewed_once(void **state)
{
	struct http_answer no = fake_status(401, "");

	(void)state;
	start_many();
	fake_token("t1");
	fake_pass(CLK_HOUR);
	for (unsigned i = 1; i <= MANY; i++) {
		struct http_call *c = &fake_calls[i];

		c->live = false;
		c->done(&no, c->arg);
		if (i == MANY / 2)
			fake_token("t2");
	}
	assert_int_equal(requests(ID), 2);
	assert_int_equal(requests(API), 2 * MANY);
	assert_int_equal(fake.running, MANY);
	assert_string_equal(fake_calls[fake_ncalls - 1].bearer, "t2");
	stop_all();
}

/* A clean stop while they wait: nothing is counted, and the request ends. */
static void
test_stop(void **state)
{
	char name[NAME_SIZE];
	struct retry r;

	(void)state;
	start_many();
	stop_all();
	for (unsigned i = 0; i < MANY; i++) {
		name_of(i, name);
		assert_int_equal(fake_note(name, &r), RC_GONE);
		assert_int_equal(jobs_find(fake.jobs, name)->retry.tries, 0);
	}
	assert_true(fake_calls[0].live);
	grant_close(&fake_grant);
	assert_false(fake_calls[0].live);
	assert_int_equal(fake_grant.lock, -1);
}

/* It is removed from anywhere in the list. */
static void
test_forget(void **state)
{
	struct work w[3] = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		w[i].next_waiting = fake_grant.waiting;
		fake_grant.waiting = &w[i];
	}
	grant_forget(&fake_grant, &w[1]);
	assert_ptr_equal(w[2].next_waiting, &w[0]);
	grant_forget(&fake_grant, &w[1]);
	grant_forget(&fake_grant, &w[2]);
	assert_ptr_equal(fake_grant.waiting, &w[0]);
	grant_forget(&fake_grant, &w[0]);
	assert_null(fake_grant.waiting);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_one_request),
	    TEST(test_refused),
	    TEST(test_unreachable),
	    TEST(test_api_is_down),
	    TEST(test_not_started),
	    TEST(test_other_program),
	    TEST(test_others_token),
	    TEST(test_renewed_once),
	    TEST(test_stop),
	    TEST(test_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
