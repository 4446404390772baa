/*
 * SPDX-License-Identifier: ISC
 *
 * t_share - tests of share: what a call brought serves whoever came before it, and nobody else.
 *
 * Linked with: -Wl,--wrap=clk_was_set -Wl,--wrap=http_cancel -Wl,--wrap=http_start
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
#include "share.h"

static bool was_set; /* somebody set the wall clock just now */

bool __wrap_clk_was_set(int watch);

bool
__wrap_clk_was_set(int watch)
{
	bool set = was_set;

	(void)watch;
	was_set = false;
	return set;
}

/* ---- the rule ---- */

static void
test_rule(void **state)
{
	/* A call that was the tenth thing, at 12.345 s, the clock having been set twice. */
	static const struct share_call call = {.order = 10, .stamp = 12345, .sets = 2};
	static const struct {
		uint64_t known;
		int64_t stamp;
		uint64_t sets;
		bool before;
	} rows[] = {
	    {9, 99999, 2, true},   /* we knew it: nothing else matters */
	    {9, 99999, 3, true},   /* not even the clock */
	    {9, 0, 7, true},       /* in either direction */
	    {10, 12345, 2, false}, /* known at the same moment cannot be, counts as later */
	    {11, 12344, 2, true},  /* known later, but its file was there */
	    {11, 12345, 2, false}, /* in the very millisecond */
	    {11, 12346, 2, false}, /* after it */
	    {11, 99999, 2, false},
	    {11, 12344, 3, false}, /* the clock was set: a stamp proves nothing */
	    {11, 1, 3, false},
	    {11, 1, 1, false},
	    {11, 12000, 2, false}, /* a file system of seconds: it may be 12.999 */
	    {11, 11000, 2, true},  /* 11.999 at most */
	    {11, 11999, 2, true},
	    {UINT64_MAX, 1, 2, true},
	    {UINT64_MAX, INT64_MAX, 2, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (share_was_before(rows[i].known, rows[i].stamp, &call, rows[i].sets) !=
		    rows[i].before)
			fail_msg("row %zu", i);
}

/* ---- with events ---- */

#define API "https://api.example.com/"

static const char body[] = "{\"eventType\":\"Client.Update\",\"clientHashId\":\"cli1\"}";
static const char deletion[] = "{\"eventType\":\"Client.Delete\",\"clientHashId\":\"cli1\"}";

/* Begin an event that came into its folder then; it has got its token. */
static void
begin(const char *name, const char *text, int64_t since)
{
	struct job *job = jobs_find(fake.jobs, name);

	if (job == NULL)
		job = fake_event(name, text);
	job->since = since;
	work_start(&fake, job);
	fake_settle();
	if (fake_ncalls > 0 && fake_calls[fake_ncalls - 1].live &&
	    str_begins(fake_calls[fake_ncalls - 1].url, "https://id."))
		fake_token("t1");
}

static void
reply(int status, const char *text)
{
	fake_answer(API, fake_status(status, text));
	fake_settle();
}

/* One call, made at FAKE_START, and its answer.  The calls so far. */
static unsigned
first_call(int status)
{
	was_set = false;
	begin("acme.a1.Client.Update", body, FAKE_START);
	fake_pass(CLK_SECOND);
	reply(status, "{}");
	assert_int_not_equal(fake_box("acme.a1.Client.Update"), SPOOL_CUR);
	return fake_ncalls;
}

/* It was served; or it made a call of its own, which brings the same. */
static void
is_served(const char *name, bool served, unsigned calls)
{
	assert_int_equal(fake_ncalls, served ? calls : calls + 1);
	if (!served)
		reply(200, "{}");
	assert_int_equal(fake_box(name), SPOOL_DONE);
	assert_int_equal(fake.running, 0);
}

/* Not looked at before the call had ended: its file tells. */
static void
test_unknown_before(void **state)
{
	unsigned calls;

	(void)state;
	calls = first_call(200);
	begin("acme.b1.Client.Update", body, FAKE_START - 1);
	is_served("acme.b1.Client.Update", true, calls);
	begin("acme.b2.Client.Update", body, FAKE_START - CLK_DAY + 5);
	is_served("acme.b2.Client.Update", true, calls);
	begin("acme.b3.Client.Update", body, FAKE_START);
	is_served("acme.b3.Client.Update", false, calls);
}

/* It came while the call was made: its own call, which serves those that came by then. */
static void
test_meanwhile(void **state)
{
	unsigned calls;

	(void)state;
	calls = first_call(200);
	begin("acme.b1.Client.Update", body, FAKE_START + 1);
	is_served("acme.b1.Client.Update", false, calls);
	begin("acme.b2.Client.Update", body, FAKE_START + 1);
	is_served("acme.b2.Client.Update", true, calls + 1);
	begin("acme.b3.Client.Update", body, FAKE_START + CLK_SECOND - 1);
	is_served("acme.b3.Client.Update", true, calls + 1);
}

/* While the clock is being set, stamps prove nothing; what we knew, we know. */
static void
test_clock_set(void **state)
{
	unsigned calls;

	(void)state;
	(void)fake_event("acme.k1.Client.Update", body);
	calls = first_call(200);
	was_set = true;
	begin("acme.k1.Client.Update", body, FAKE_START);
	is_served("acme.k1.Client.Update", true, calls);
	begin("acme.b1.Client.Update", body, FAKE_START - CLK_MINUTE + 1);
	is_served("acme.b1.Client.Update", false, calls);
	/* For calls made since, they do again. */
	begin("acme.b2.Client.Update", body, FAKE_START - CLK_MINUTE + 1);
	is_served("acme.b2.Client.Update", true, calls + 1);
}

/* Set back by an hour after the call: what comes now has a stamp from before it. */
static void
test_clock_set_back(void **state)
{
	unsigned calls;

	(void)state;
	calls = first_call(200);
	fake_wall -= CLK_HOUR;
	was_set = true;
	begin("acme.b1.Client.Update", body, fake_wall + 1);
	/* A new token, as the old one is from the future, and its own call. */
	is_served("acme.b1.Client.Update", false, calls + 1);
}

/* Set between the call and its answer. */
static void
test_clock_set_in_call(void **state)
{
	unsigned calls;

	(void)state;
	begin("acme.a1.Client.Update", body, FAKE_START);
	was_set = true;
	fake_pass(CLK_SECOND);
	reply(200, "{}");
	calls = fake_ncalls;
	begin("acme.b1.Client.Update", body, FAKE_START - 1);
	is_served("acme.b1.Client.Update", false, calls);
}

/* Gone, or for a person to look at: so for whoever came before, and asked anew after. */
static void
test_other_verdicts(void **state)
{
	unsigned calls;

	(void)state;
	calls = first_call(404);
	begin("acme.b1.Client.Update", body, FAKE_START - 1);
	is_served("acme.b1.Client.Update", true, calls);
	begin("acme.b2.Client.Update", body, FAKE_START + 1);
	assert_int_equal(fake_ncalls, calls + 1);
	reply(400, "{}");
	assert_int_equal(fake_box("acme.b2.Client.Update"), SPOOL_FAILED);
	begin("acme.b3.Client.Update", body, FAKE_START + 1);
	assert_int_equal(fake_ncalls, calls + 1);
	assert_int_equal(fake_box("acme.b3.Client.Update"), SPOOL_FAILED);
	begin("acme.b4.Client.Update", body, FAKE_START + CLK_MINUTE);
	is_served("acme.b4.Client.Update", false, calls + 1);
}

/* What may be better next time serves nobody. */
static void
test_no_result(void **state)
{
	unsigned calls;

	(void)state;
	begin("acme.a1.Client.Update", body, FAKE_START);
	fake_pass(CLK_SECOND);
	reply(500, "");
	assert_int_equal(fake_box("acme.a1.Client.Update"), SPOOL_CUR);
	calls = fake_ncalls;
	begin("acme.b1.Client.Update", body, FAKE_START - 1);
	is_served("acme.b1.Client.Update", false, calls);
}

/* After a tombstone nothing that was asked before it is handed over any more. */
static void
test_deleted(void **state)
{
	unsigned calls;

	(void)state;
	(void)fake_event("acme.b1.Client.Update", body);
	calls = first_call(200);
	begin("acme.d1.Client.Delete", deletion, FAKE_START + 1);
	assert_int_equal(fake_box("acme.d1.Client.Delete"), SPOOL_DONE);
	begin("acme.b1.Client.Update", body, FAKE_START - 1);
	is_served("acme.b1.Client.Update", false, calls);
}

/* ---- the table ---- */

/* A try about a record, with just what share looks at. */
static struct work *
try_about(unsigned record, unsigned event)
{
	struct work *w = calloc(1, sizeof(*w));
	struct job *job = calloc(1, sizeof(*job));

	assert_non_null(w);
	assert_non_null(job);
	w->d = &fake;
	w->job = job;
	job->known = ++fake.clock;
	job->since = fake_wall;
	(void)snprintf(job->name, sizeof(job->name), "acme.t%u.Client.Update", event);
	(void)snprintf(w->key, sizeof(w->key), "acme/Client/r%u", record);
	(void)snprintf(w->ev.category, sizeof(w->ev.category), "Client");
	(void)snprintf(w->ev.type, sizeof(w->ev.type), "Update");
	return w;
}

static void
drop(struct work *w)
{
	free(w->job);
	free(w);
}

static void
call_about(unsigned record)
{
	struct work *w = try_about(record, record);

	share_called(w);
	share_result(w, SHARE_FETCHED, "it is in the store");
	share_end(w);
	drop(w);
}

static bool
taken(unsigned record)
{
	struct work *w = try_about(record, 100000);
	char why[RETRY_TEXT], want[64];
	const struct share *s;
	bool is;

	w->job->since = FAKE_START - 1;
	is = (s = share_taken(w, why)) != NULL;
	if (is) {
		(void)snprintf(want, sizeof(want), "acme.t%u.Client.Update", record);
		assert_string_equal(s->by, want);
		assert_non_null(strstr(why, want));
		assert_int_equal(s->kind, SHARE_FETCHED);
	}
	drop(w);
	return is;
}

/* So many are remembered; one more takes the place of what nobody took for longest. */
static void
test_bounded(void **state)
{
	unsigned missing = 0;

	(void)state;
	for (unsigned i = 0; i < SHARES; i++)
		call_about(i);
	for (unsigned i = 0; i < SHARES; i++)
		assert_true(taken(i));
	assert_true(taken(0)); /* used last */
	call_about(SHARES);
	assert_true(taken(SHARES));
	assert_true(taken(0));
	assert_false(taken(1));
	for (unsigned i = 0; i < 3 * SHARES; i++)
		call_about(2 * SHARES + i % (2 * SHARES));
	for (unsigned i = 0; i < SHARES; i++)
		missing += !taken(3 * SHARES + i);
	assert_int_equal(missing, SHARES);
	for (unsigned i = 0; i < SHARES; i++)
		assert_true(taken(2 * SHARES + i));
	share_forget(&fake, "acme/Client/r2050");
	assert_false(taken(2050));
	for (unsigned i = 0; i < SHARES; i++)
		assert_true(2 * SHARES + i == 2050 || taken(2 * SHARES + i));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rule),
	    TEST(test_unknown_before),
	    TEST(test_meanwhile),
	    TEST(test_clock_set),
	    TEST(test_clock_set_back),
	    TEST(test_clock_set_in_call),
	    TEST(test_other_verdicts),
	    TEST(test_no_result),
	    TEST(test_deleted),
	    TEST(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
