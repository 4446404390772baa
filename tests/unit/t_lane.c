/*
 * SPDX-License-Identifier: ISC
 *
 * t_lane - tests of lane: so many documents at once and no more, and the right one next.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_cancel -Wl,--wrap=http_break
 *    -Wl,--wrap=http_progress
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

#include "document.h"
#include "fake_daemon.h"

#define API "https://api.example.com/"
#define PDF "%PDF-1.7\nwords\n%%EOF\n"

static char names[16][NAME_SIZE];

/* ---- helpers ---- */

static struct job *
event(unsigned n)
{
	struct job *job;
	char body[200];

	(void)snprintf(names[n], NAME_SIZE, "acme.e%u.FileStore.Upload", n);
	(void)snprintf(body, sizeof(body),
	    "{\"eventId\":\"e%u\",\"eventType\":\"FileStore.Upload\",\"documentHashId\":\"d%"
	    "u\"}",
	    n, n);
	job = fake_event(names[n], body);
	job->since = n;
	jobs_wait(fake.jobs, job);
	return job;
}

/* As the loop does it. */
static void
loop_once(void)
{
	struct job *job;

	lane_tick(&fake);
	while (fake.running < fake_conf.daemon.concurrency &&
	       (job = jobs_first(fake.jobs)) != NULL && job->due <= fake_mono)
		work_start(&fake, job);
	fake_settle();
}

static unsigned
live(const char *url)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_ncalls; i++)
		n += fake_calls[i].live && str_begins(fake_calls[i].url, url);
	return n;
}

/* Answer the first request under way whose URL begins so and has that in it. */
static void
answer(const char *url, const char *in, struct http_answer a)
{
	for (unsigned i = 0; i < fake_ncalls; i++) {
		if (!fake_calls[i].live || !str_begins(fake_calls[i].url, url) ||
		    strstr(fake_calls[i].url, in) == NULL)
			continue;
		fake_answer_to(&fake_calls[i], url, a);
		fake_settle();
		return;
	}
	fail_msg("nobody asks %s for %s", url, in);
}

/* The answer about event n: a link to a host, that ends in so many seconds; 0: it does not say.
 */
static void
give_link(unsigned n, const char *host, unsigned ends)
{
	char text[300], in[40], end[40] = "";

	if (ends != 0)
		(void)snprintf(
		    end, sizeof(end), "&Expires=%u", (unsigned)(fake_wall / CLK_SECOND) + ends);
	(void)snprintf(
	    text, sizeof(text), "{\"location\":\"https://%s/d%u.pdf?x=1%s\"}", host, n, end);
	(void)snprintf(in, sizeof(in), "documentHashId=d%u", n);
	answer(API, in, fake_status(200, text));
}

static void
finish(unsigned n, const char *host)
{
	char url[100], in[40];

	(void)snprintf(url, sizeof(url), "https://%s/", host);
	(void)snprintf(in, sizeof(in), "/d%u.pdf", n);
	answer(url, in, fake_status(200, PDF));
	assert_int_equal(fake_box(names[n]), SPOOL_DONE);
	loop_once();
}

static void
token(void)
{
	loop_once();
	fake_token("t1");
	fake_settle();
}

/* ---- in all ---- */

static void
test_in_all(void **state)
{
	(void)state;
	fake_conf.daemon.downloads = 2;
	for (unsigned n = 0; n < 5; n++)
		(void)event(n);
	(void)fake_event("acme.c1.Client.Update",
	    "{\"eventId\":\"c1\",\"eventType\":\"Client.Update\",\"clientHashId\":\"c\"}");
	token();
	/* two of the documents are asked about, and what is no document is not held up by them
	 */
	assert_int_equal(live(API "filestore"), 2);
	assert_int_equal(live(API "client"), 1);
	assert_int_equal(fake.running, 3);
	loop_once();
	assert_int_equal(fake.running, 3);
	answer(API "client", "", fake_status(200, "{}"));
	for (unsigned n = 0; n < 5; n++) {
		give_link(n, "a.example.org", 0);
		finish(n, "a.example.org");
		assert_true(fake.lanes.running <= 2);
		assert_int_equal(fake.running, n < 3 ? 2 : 4 - n);
	}
	assert_null(fake.lanes.first);
	assert_null(fake.lanes.last);
	assert_int_equal(jobs_count(fake.jobs), 0);
}

/* Of those that wait for a lane the one whose link ends first is next, whenever it came. */
static void
test_by_deadline(void **state)
{
	static const unsigned ends[] = {0, 900, 300, 600}, order[] = {2, 3, 1, 4};
	struct job *job;

	(void)state;
	fake_conf.daemon.downloads = 1;
	(void)event(0);
	token();
	for (unsigned n = 1; n < 5; n++) {
		job = event(n);
		if (n == 4)
			break;
		(void)snprintf(job->retry.step, sizeof(job->retry.step), "document");
		job->link = strdup("https://a.example.org/x?y");
		job->link_end = fake_wall + (int64_t)ends[n] * CLK_SECOND;
	}
	loop_once();
	assert_int_equal(fake.running, 1);
	give_link(0, "a.example.org", 0);
	finish(0, "a.example.org");
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fake.running, 1);
		assert_string_equal(fake.first->job->name, names[order[i]]);
		if (order[i] == 4)
			give_link(4, "a.example.org", 0);
		answer("https://a.example.org/", "", fake_status(200, PDF));
		loop_once();
	}
	assert_int_equal(jobs_count(fake.jobs), 0);
}

/* A retry with a link goes before a backlog that has none, when it is due and not before. */
static void
test_before_a_backlog(void **state)
{
	struct job *job;

	(void)state;
	fake_conf.daemon.concurrency = 1;
	(void)event(0);
	token();
	give_link(0, "a.example.org", 3600);
	answer("https://a.example.org/", "", fake_status(500, ""));
	job = jobs_find(fake.jobs, names[0]);
	assert_non_null(job->link);
	assert_true(job->due > fake_mono);
	for (unsigned n = 1; n < 4; n++)
		(void)event(n);
	loop_once();
	assert_string_equal(fake.first->job->name, names[1]);
	fake_pass(CLK_MINUTE);
	give_link(1, "a.example.org", 0);
	finish(1, "a.example.org");
	assert_string_equal(fake.first->job->name, names[0]);
	answer("https://a.example.org/", "/d0", fake_status(200, PDF));
	loop_once();
	assert_string_equal(fake.first->job->name, names[2]);
	for (unsigned n = 2; n < 4; n++) {
		give_link(n, "a.example.org", 0);
		finish(n, "a.example.org");
	}
}

/* ---- at a host ---- */

static void
test_at_host(void **state)
{
	static const unsigned ends[] = {0, 0, 900, 300, 0, 600}, order[] = {3, 5, 2, 1, 4};
	struct document_progress p[8];

	(void)state;
	fake_conf.daemon.downloads = 8;
	fake_conf.daemon.downloads_per_host = 1;
	for (unsigned n = 0; n < 7; n++)
		(void)event(n);
	token();
	assert_int_equal(live(API), 7);
	for (unsigned n = 0; n < 6; n++)
		give_link(n, "a.example.org", ends[n]);
	give_link(6, "b.example.org", 0);
	assert_int_equal(live("https://a.example.org/"), 1);
	assert_int_equal(live("https://b.example.org/"), 1); /* another host is not held up */
	assert_int_equal(fake.lanes.waiting, 5);
	assert_int_equal(document_progress(&fake, p, 8), 7);
	finish(6, "b.example.org");
	assert_int_equal(live("https://a.example.org/"), 1);
	finish(0, "a.example.org");
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(live("https://a.example.org/"), 1);
		finish(order[i], "a.example.org");
	}
	assert_int_equal(fake.lanes.waiting, 0);
	assert_int_equal(fake.lanes.running, 0);
}

/* A clean stop: those that wait for a place are let go of as well. */
static void
test_stop(void **state)
{
	(void)state;
	fake_conf.daemon.downloads = 2;
	fake_conf.daemon.downloads_per_host = 1;
	for (unsigned n = 0; n < 4; n++)
		(void)event(n);
	token();
	give_link(0, "a.example.org", 0);
	give_link(1, "a.example.org", 0);
	assert_int_equal(fake.lanes.waiting, 1);
	work_stop(&fake);
	fake_settle();
	assert_int_equal(fake.running, 0);
	assert_int_equal(fake.lanes.running, 0);
	assert_int_equal(fake.lanes.waiting, 0);
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(fake_box(names[n]), SPOOL_CUR);
}

/* A job that was put aside and whose file an operator moved leaves no lane taken. */
static void
test_moved_away(void **state)
{
	struct spool_item it;
	struct err e;

	(void)state;
	fake_conf.daemon.downloads = 1;
	for (unsigned n = 0; n < 3; n++)
		(void)event(n);
	token();
	assert_int_equal(spool_lock(fake.spool, SPOOL_CUR, names[1], &it, &e), RC_OK);
	assert_int_equal(spool_move(fake.spool, &it, SPOOL_HELD, &e), RC_OK);
	spool_unlock(&it);
	give_link(0, "a.example.org", 0);
	finish(0, "a.example.org");
	loop_once();
	give_link(2, "a.example.org", 0);
	finish(2, "a.example.org");
	assert_int_equal(jobs_count(fake.jobs), 0);
	assert_int_equal(fake.lanes.running, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_in_all),
	    TEST(test_by_deadline),
	    TEST(test_before_a_backlog),
	    TEST(test_at_host),
	    TEST(test_stop),
	    TEST(test_moved_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
