/*
 * SPDX-License-Identifier: ISC
 *
 * t_document - tests of document: whatever a document host does, with a real spool and store
 * and no network.
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
#define DOC "https://docs.example.org/"
#define UPLOAD "acme.e3.FileStore.Upload"
#define DOWNLOAD "acme.e9.FileStore.Download"
#define PLACE "acme/FileStore/doc1/"
#define LARGE 200000 /* worth being put aside */
#define HALF 100000

static const char upload[] = "{\"eventId\":\"e3\",\"eventType\":\"FileStore.Upload\","
			     "\"clientHashId\":\"cli1\",\"documentHashId\":\"doc1\"}";
static const char download[] =
    "{\"eventId\":\"e9\",\"eventType\":\"FileStore.Download\",\"documentHashId\":\"doc1\"}";

static char large[LARGE + 1]; /* a PDF */

/* ---- helpers ---- */

static int
set_up(void **state)
{
	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)('a' + (i + i / 97) % 26);
	memcpy(large, "%PDF-1.7\n", 9);
	memcpy(large + LARGE - 6, "%%EOF\n", 6);
	return fake_setup(state);
}

static const struct http_call *
asked(void)
{
	assert_true(fake_ncalls > 0);
	return &fake_calls[fake_ncalls - 1];
}

static void
reply(const char *url, struct http_answer a)
{
	fake_answer(url, a);
	fake_settle();
}

/* Begin a try and bring it to its call back, the token being there or asked for. */
static struct job *
begin(const char *name, const char *body)
{
	struct job *job = jobs_find(fake.jobs, name);

	if (job == NULL)
		job = fake_event(name, body);
	work_start(&fake, job);
	fake_settle();
	if (fake_ncalls > 0 && asked()->live && str_begins(asked()->url, "https://id."))
		fake_token("t1");
	return job;
}

/* The API's answer: a link to this file, signed anew. */
static void
give_link(const char *file)
{
	static char text[300];
	static unsigned n;

	(void)snprintf(
	    text, sizeof(text), "{\"location\":\"" DOC "%s?X-Amz-Signature=%u\"}", file, ++n);
	reply(API, fake_status(200, text));
}

static struct http_answer
with_tag(struct http_answer a, const char *etag)
{
	(void)snprintf(a.etag, sizeof(a.etag), "%s", etag);
	return a;
}

/* What comes of a body from..to before the connection breaks. */
static struct http_answer
cut(int status, size_t from, size_t to, const char *etag)
{
	static char part[LARGE + 1];
	struct http_answer a;

	memcpy(part, large + from, to - from);
	part[to - from] = '\0';
	a = with_tag(fake_status(status, part), etag);
	a.fate = HTTP_CUT;
	a.length = (int64_t)(LARGE - from);
	(void)snprintf(a.text, sizeof(a.text), "it broke off");
	return a;
}

static struct http_answer
rest(int status, size_t from, const char *etag)
{
	struct http_answer a = cut(status, from, LARGE, etag);

	a.fate = HTTP_ANSWERED;
	return a;
}

static void
ended(const char *name, enum spool_box box)
{
	assert_int_equal(fake.running, 0);
	assert_int_equal(fake.lanes.running, 0);
	assert_string_equal(spool_box_name(fake_box(name)), spool_box_name(box));
}

static void
waits(const char *name, unsigned tries)
{
	struct job *job = jobs_find(fake.jobs, name);

	ended(name, SPOOL_CUR);
	assert_non_null(job);
	assert_int_equal(job->retry.tries, tries);
}

static void
stored(const char *path, const char *content)
{
	int root = tmpdir_open(fake_store);
	char *text = malloc(LARGE + 1000);

	assert_non_null(text);
	if (tmpdir_read(root, path, text, LARGE + 1000) != (ssize_t)strlen(content) ||
	    memcmp(text, content, strlen(content)) != 0)
		fail_msg("%s is not as it should be", path);
	free(text);
	(void)close(root);
}

static struct store_meta
meta(void)
{
	struct store_place at = {"acme", "FileStore", "doc1"};
	struct store_meta m;
	struct err e;

	assert_int_equal(store_document(fake.store, &at, &m, &e), RC_OK);
	return m;
}

static unsigned
on_the_way(void)
{
	char path[TMPDIR_SIZE + 32];
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/.tmp", fake_store);
	assert_non_null(d = opendir(path));
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n - 2;
}

/* ---- what breaks off ---- */

static void
test_resume(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	assert_int_equal(asked()->from, 0);
	reply(
	    DOC, cut(200, 0, 7, "\"v1\"")); /* even a little is gone on with in the same try */
	assert_int_equal(asked()->from, 7);
	assert_int_equal(asked()->whole, LARGE);
	assert_string_equal(asked()->if_range, "\"v1\"");
	assert_string_equal(asked()->bearer, "");
	reply(DOC, cut(206, 7, HALF, "\"v1\""));
	assert_int_equal(asked()->from, HALF);
	reply(DOC, rest(206, HALF, ""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
	assert_string_equal(meta().etag, "\"v1\"");
	assert_int_equal(meta().size, LARGE);
	assert_int_equal(on_the_way(), 0);
}

/* Another object meanwhile: the host sends the whole, and nothing of the old one stays. */
static void
test_changed(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	reply(DOC, with_tag(fake_status(200, "%PDF-1.7\nnew\n%%EOF\n"), "\"v2\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", "%PDF-1.7\nnew\n%%EOF\n");
	assert_string_equal(meta().etag, "\"v2\"");
}

/* Without a strong ETag nothing can be gone on with. */
static void
test_no_tag(void **state)
{
	static const char *const tags[] = {"", "W/\"v1\"", "v1"};

	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	for (unsigned i = 0; i < 2; i++) {
		reply(DOC, cut(200, 0, HALF, tags[i]));
		waits(UPLOAD, i + 1);
		assert_int_equal(on_the_way(), 0);
		(void)begin(UPLOAD, upload); /* with the link that is still good */
		assert_int_equal(asked()->from, 0);
	}
	reply(DOC, rest(200, 0, ""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
}

/* It breaks off again and again: put aside, and the next try, or process, goes on. */
static void
test_over_tries(void **state)
{
	struct err e;
	size_t at = HALF;

	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	for (unsigned i = 0; i < 5; i++, at += 10)
		reply(DOC, cut(206, at, at + 10, "\"v1\""));
	waits(UPLOAD, 1);
	assert_int_equal(on_the_way(), 2);
	store_close(&fake.store);
	assert_int_equal(store_open(fake_store, &fake.store, &e), RC_OK);
	/* elsewhere: another object, even with that ETag; what is put aside stays aside */
	jobs_find(fake.jobs, UPLOAD)->link_end = 1; /* the link is too old */
	(void)begin(UPLOAD, upload);
	give_link("other.pdf");
	assert_int_equal(asked()->from, 0);
	reply(DOC, fake_status(503, ""));
	waits(UPLOAD, 2);
	jobs_find(fake.jobs, UPLOAD)->link_end = 1;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	assert_int_equal(asked()->from, at);
	assert_int_equal(asked()->whole, LARGE);
	reply(DOC, rest(206, at, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
	assert_int_equal(on_the_way(), 0);
}

/* A stalled host: its target is down, and what came stays. */
static void
test_stalled(void **state)
{
	struct http_answer a = cut(200, 0, HALF, "\"v1\"");

	(void)state;
	a.fate = HTTP_STALLED;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, a);
	waits(UPLOAD, 1);
	assert_int_equal(on_the_way(), 2);
	fake_pass(CLK_HOUR);
	(void)begin(UPLOAD, upload);
	assert_int_equal(asked()->from, HALF);
	reply(DOC, rest(206, HALF, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
}

/* The host does not give the rest: from the beginning, in the same try. */
static void
test_no_rest(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	reply(DOC, fake_status(416, ""));
	assert_int_equal(asked()->from, 0);
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	assert_int_equal(asked()->from, HALF);
	fake_wrong_part = true;
	reply(DOC, cut(206, HALF, HALF + 10, "\"v1\""));
	fake_wrong_part = false;
	assert_int_equal(asked()->from, 0);
	reply(DOC, rest(200, 0, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
}

/* The link ends in between: a fresh one to the same object, and on. */
static void
test_relink_and_resume(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	reply(DOC, fake_status(403, ""));
	give_link("will.pdf");
	assert_int_equal(asked()->from, HALF);
	reply(DOC, rest(206, HALF, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
}

/* The fresh link is to something else: that ETag says nothing of it. */
static void
test_relink_elsewhere(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	reply(DOC, fake_status(403, ""));
	give_link("other.pdf");
	assert_int_equal(asked()->from, 0);
	assert_string_equal(asked()->if_range, "");
	reply(DOC, rest(200, 0, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
}

/* The host's digest is of the whole, so it is compared with the whole. */
static void
test_digest_of_whole(void **state)
{
	struct http_answer a;

	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, cut(200, 0, HALF, "\"v1\""));
	a = rest(206, HALF, "\"v1\"");
	(void)snprintf(a.content_md5, sizeof(a.content_md5), "ABEiM0RVZneImaq7zN3u/w==");
	reply(DOC, a);
	waits(UPLOAD, 1);
	assert_non_null(strstr(jobs_find(fake.jobs, UPLOAD)->retry.reason, "digest"));
	assert_int_equal(on_the_way(), 0); /* wrong somewhere: nothing of it is of use */
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	assert_int_equal(asked()->from, 0);
	reply(DOC, rest(200, 0, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
}

/* A clean stop in the middle: nothing is counted, and the next process goes on. */
static void
test_stop(void **state)
{
	struct err e;

	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	fake_broken = cut(200, 0, HALF, "\"v1\"");
	fake_broken_bytes = fake_broken.body;
	work_stop(&fake);
	fake_settle();
	ended(UPLOAD, SPOOL_CUR);
	assert_int_equal(jobs_find(fake.jobs, UPLOAD)->retry.tries, 0);
	assert_int_equal(on_the_way(), 2);
	store_close(&fake.store);
	assert_int_equal(store_open(fake_store, &fake.store, &e), RC_OK);
	jobs_find(fake.jobs, UPLOAD)->link_end = 1;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	assert_int_equal(asked()->from, HALF);
	/* and once more before anything came */
	memset(&fake_broken, 0, sizeof(fake_broken));
	fake_broken_bytes = "";
	work_stop(&fake);
	fake_settle();
	assert_int_equal(on_the_way(), 2);
	(void)begin(UPLOAD, upload);
	assert_int_equal(asked()->from, HALF);
	reply(DOC, rest(206, HALF, "\"v1\""));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
}

/* ---- what came is odd ---- */

#define CUT_PDF "%PDF-1.7\nhalf a will"

static void
test_odd_twice(void **state)
{
	struct job *job;

	(void)state;
	job = begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, fake_status(200, CUT_PDF));
	waits(UPLOAD, 1);
	assert_non_null(strstr(job->retry.reason, "%%EOF"));
	assert_null(job->link);
	(void)begin(UPLOAD, upload); /* other bytes, as odd */
	give_link("will.pdf");
	reply(DOC, fake_status(200, CUT_PDF "."));
	waits(UPLOAD, 2);
	(void)begin(UPLOAD, upload); /* the same once more: so that is what the host has */
	give_link("will.pdf");
	reply(DOC, fake_status(200, CUT_PDF "."));
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", CUT_PDF ".");
	assert_non_null(strstr(meta().warning, "%%EOF"));
}

static void
test_odd_but_proven(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, with_tag(fake_status(200, CUT_PDF), "\"28f4bb3b7fcc96e1a2a6b41d91d6f2d7\""));
	waits(UPLOAD, 1); /* that is the digest of something else */
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	{
		char tag[80];

		(void)snprintf(tag, sizeof(tag), "\"%s\"", fake_md5);
		reply(DOC, with_tag(fake_status(200, CUT_PDF), tag));
	}
	ended(UPLOAD, SPOOL_DONE);
	assert_non_null(strstr(meta().warning, "%%EOF"));
}

static void
test_no_document(void **state)
{
	static const char *const pages[] = {"<html>log in</html>",
	    "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
	    "{\"message\":\"x\"}", ""};
	struct http_answer a = fake_status(200, "%PDF-1.7\n%%EOF\n");
	struct job *job;

	(void)state;
	fake_conf.daemon.tries = 10;
	for (unsigned i = 0; i < 4; i++) {
		job = begin(UPLOAD, upload);
		give_link("will.pdf");
		reply(DOC, fake_status(200, pages[i]));
		waits(UPLOAD, i + 1);
		assert_null(job->link); /* what it leads to is not the document */
	}
	(void)snprintf(a.coding, sizeof(a.coding), "gzip");
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, a);
	waits(UPLOAD, 5);
	assert_non_null(strstr(job->retry.reason, "compressed"));
	assert_int_equal(on_the_way(), 0);
}

/* ---- events about downloads ---- */

static void
test_download_event(void **state)
{
	int64_t then;

	(void)state;
	/* nothing in the store: somebody fetched it, so it is there to be fetched */
	(void)begin(DOWNLOAD, download);
	give_link("will.pdf");
	reply(DOC, rest(200, 0, "\"v1\""));
	ended(DOWNLOAD, SPOOL_DONE);
	then = meta().fetched;
	/* ours: no request at all */
	fake_ncalls = 0;
	fake_pass(CLK_MINUTE);
	(void)begin("acme.e10.FileStore.Download", download);
	ended("acme.e10.FileStore.Download", SPOOL_DONE);
	assert_int_equal(fake_ncalls, 0);
	/* much later: the host is asked for another version only */
	fake_pass(CLK_HOUR);
	(void)begin("acme.e11.FileStore.Download", download);
	give_link("will.pdf");
	assert_string_equal(asked()->if_none_match, "\"v1\"");
	reply(DOC, fake_status(304, ""));
	ended("acme.e11.FileStore.Download", SPOOL_DONE);
	assert_true(meta().fetched >= then + CLK_HOUR);
	/* and what that may have raised is ours again */
	fake_ncalls = 0;
	fake_pass(CLK_MINUTE);
	(void)begin("acme.e12.FileStore.Download", download);
	ended("acme.e12.FileStore.Download", SPOOL_DONE);
	assert_int_equal(fake_ncalls, 0);
	/* delivered late, but it tells of a time before our own */
	fake_pass(CLK_DAY);
	(void)begin("acme.e13.FileStore.Download",
	    "{\"eventId\":\"e13\",\"eventType\":\"FileStore.Download\",\"documentHashId\":"
	    "\"doc1\",\"eventDateTimeUtc\":\"2023-11-14T23:00:00Z\"}");
	ended("acme.e13.FileStore.Download", SPOOL_DONE);
	assert_int_equal(fake_ncalls, 0);
}

/* A new version that no Upload told of is found by a Download. */
static void
test_download_of_new(void **state)
{
	static const char newer[] = "%PDF-1.7\nnewer\n%%EOF\n";

	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, rest(200, 0, "\"v1\""));
	fake_pass(CLK_HOUR);
	(void)begin(DOWNLOAD, download);
	give_link("will.pdf");
	reply(DOC, with_tag(fake_status(200, newer), "\"v2\""));
	ended(DOWNLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", newer);
	/* elsewhere an ETag tells nothing: asked for without a condition */
	fake_pass(CLK_HOUR);
	(void)begin("acme.e10.FileStore.Download", download);
	give_link("v3/will.pdf");
	assert_string_equal(asked()->if_none_match, "");
	reply(DOC, with_tag(fake_status(200, newer), "\"v2\""));
	ended("acme.e10.FileStore.Download", SPOOL_DONE);
	assert_string_equal(meta().event, DOWNLOAD);
	/* 304 to a question that was not asked is no answer */
	fake_pass(CLK_HOUR);
	(void)begin("acme.e11.FileStore.Download", download);
	give_link("v4/will.pdf");
	reply(DOC, fake_status(304, ""));
	assert_int_not_equal(fake_box("acme.e11.FileStore.Download"), SPOOL_DONE);
}

/* ---- the API answers with the document ---- */

static void
test_api_bytes(void **state)
{
	struct http_answer a = rest(200, 0, "");

	(void)state;
	(void)snprintf(a.content_type, sizeof(a.content_type), "application/pdf");
	(void)begin(UPLOAD, upload);
	reply(API, a);
	assert_true(asked()->file >= 0); /* it went to a file, not through memory */
	ended(UPLOAD, SPOOL_DONE);
	stored(PLACE "document.pdf", large);
	assert_int_equal(on_the_way(), 0);
	/* broken off: anew, with the token */
	(void)begin("acme.e4.FileStore.Upload", upload);
	a = cut(200, 0, HALF, "\"v1\"");
	(void)snprintf(a.content_type, sizeof(a.content_type), "application/pdf");
	reply(API, a);
	waits("acme.e4.FileStore.Upload", 1);
	assert_int_equal(on_the_way(), 0);
}

static void
test_choose(void **state)
{
	static const struct {
		const char *type, *first;
		bool file;
	} t[] = {{"application/pdf", "%PDF", true}, {"application/octet-stream", "PK", true},
	    {"", "%PDF", true}, {"application/json", "%PDF", false},
	    {"application/problem+json", "x", false}, {"text/html; charset=x", "x", false},
	    {"", "{", false}, {"text/plain", " \r\n[", false}, {"", "<html", false},
	    {"application/pdf", "{", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct http_answer a = fake_status(200, t[i].first);

		(void)snprintf(a.content_type, sizeof(a.content_type), "%s", t[i].type);
		(void)begin(UPLOAD, upload);
		fake_calls[fake_ncalls - 1].file = -1;
		if ((asked()->choose(&a, t[i].first, strlen(t[i].first), asked()->arg) >= 0) !=
		    t[i].file)
			fail_msg("%zu", i);
		work_stop(&fake);
		fake_settle();
		assert_int_equal(on_the_way(), 0);
	}
	/* an event without a document has no choice */
	(void)begin("acme.e1.Client.Update",
	    "{\"eventId\":\"e1\",\"eventType\":\"Client.Update\",\"clientHashId\":\"c\"}");
	assert_null(asked()->choose);
	reply(API, fake_status(200, "{}"));
}

/* ---- deletes ---- */

static void
test_delete(void **state)
{
	static const char body[] = "{\"eventId\":\"e7\",\"eventType\":\"DocumentData.Delete\","
				   "\"documentHashId\":\"doc1\"}";
	struct store_place at = {"acme", "FileStore", "doc1"};
	struct store_meta m;

	(void)state;
	(void)begin(UPLOAD, upload);
	give_link("will.pdf");
	reply(DOC, rest(200, 0, "\"v1\""));
	(void)begin("acme.e7.DocumentData.Delete", body);
	ended("acme.e7.DocumentData.Delete", SPOOL_DONE);
	stored(
	    PLACE "document.pdf", large); /* kept by default, and nothing comes on top of it */
	(void)begin("acme.e4.FileStore.Upload", upload);
	give_link("will.pdf");
	ended("acme.e4.FileStore.Upload", SPOOL_DONE);
	fake_account.on_delete = CONF_REMOVE;
	(void)begin("acme.e8.DocumentData.Delete", body);
	ended("acme.e8.DocumentData.Delete", SPOOL_DONE);
	assert_int_equal(store_document(fake.store, &at, &m, NULL), RC_GONE);
}

/* ---- for people ---- */

static void
test_progress(void **state)
{
	struct document_progress p[2];

	(void)state;
	assert_int_equal(document_progress(&fake, p, 2), 0);
	(void)begin(UPLOAD, upload);
	assert_int_equal(document_progress(&fake, p, 2), 0);
	give_link("will.pdf");
	fake_pass(1500);
	assert_int_equal(document_progress(&fake, p, 0), 0);
	assert_int_equal(document_progress(&fake, p, 2), 1);
	assert_string_equal(p[0].event, UPLOAD);
	assert_string_equal(p[0].host, "docs.example.org");
	assert_true(p[0].got == 1 && p[0].all == 1000);
	assert_int_equal(p[0].since, 1500);
	assert_false(p[0].waiting);
	reply(DOC, rest(200, 0, ""));
	assert_int_equal(document_progress(&fake, p, 2), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_resume),
	    TEST(test_changed),
	    TEST(test_no_tag),
	    TEST(test_over_tries),
	    TEST(test_stalled),
	    TEST(test_no_rest),
	    TEST(test_relink_and_resume),
	    TEST(test_relink_elsewhere),
	    TEST(test_digest_of_whole),
	    TEST(test_stop),
	    TEST(test_odd_twice),
	    TEST(test_odd_but_proven),
	    TEST(test_no_document),
	    TEST(test_download_event),
	    TEST(test_download_of_new),
	    TEST(test_api_bytes),
	    TEST(test_choose),
	    TEST(test_delete),
	    TEST(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
