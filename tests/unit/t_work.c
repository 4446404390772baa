/*
 * SPDX-License-Identifier: ISC
 *
 * t_work - tests of work and step: one event through every verdict, with a real spool and store
 * and no network.
 *
 * Linked with: -Wl,--wrap=http_start -Wl,--wrap=http_cancel -Wl,--wrap=spool_read
 *    -Wl,--wrap=spool_move -Wl,--wrap=store_begin -Wl,--wrap=calloc
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

#include <errno.h>

#include "fake_daemon.h"
#include "park.h"
#include "share.h"

#define API "https://api.example.com/"
#define DOC "https://docs.example.org/"
#define CLIENT "acme.e1.Client.Update"
#define CLIENT2 "acme.e2.Client.Update"
#define UPLOAD "acme.e3.FileStore.Upload"
#define PDF "%PDF-1.7\nwords\n%%EOF\n"

static const char client[] =
    "{\"eventId\":\"e1\",\"eventType\":\"Client.Update\",\"clientHashId\":\"cli1\"}";
static const char client2[] =
    "{\"eventId\":\"e2\",\"eventType\":\"Client.Update\",\"clientHashId\":\"cli1\"}";
static const char upload[] = "{\"eventId\":\"e3\",\"eventType\":\"FileStore.Upload\","
			     "\"clientHashId\":\"cli1\",\"documentHashId\":\"doc1\"}";
static const char details[] = "{\"location\":\"" DOC "will.pdf?X-Amz-Signature=1\"}";

/* ---- what is made to fail ---- */

static enum rc read_rc, move_rc, begin_rc;
static int begin_sys;
static bool no_memory;
static char state_at_parse[16];

enum rc __real_spool_read(
    const struct spool_item *it, struct buf *b, struct rec *r, struct err *e);
enum rc __wrap_spool_read(
    const struct spool_item *it, struct buf *b, struct rec *r, struct err *e);
enum rc __real_spool_move(
    struct spool *sp, struct spool_item *it, enum spool_box to, struct err *e);
enum rc __wrap_spool_move(
    struct spool *sp, struct spool_item *it, enum spool_box to, struct err *e);
enum rc __real_store_begin(struct store *st, struct store_doc *doc, struct err *e);
enum rc __wrap_store_begin(struct store *st, struct store_doc *doc, struct err *e);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static enum rc
once(enum rc *rc, struct err *e)
{
	enum rc now = *rc;

	*rc = RC_OK;
	return now == RC_OK ? RC_OK : err_set(e, now, "made to fail");
}

enum rc
__wrap_spool_read(const struct spool_item *it, struct buf *b, struct rec *r, struct err *e)
{
	struct retry note;
	enum rc rc;

	if (fake_note(it->name, &note) == RC_OK)
		(void)snprintf(state_at_parse, sizeof(state_at_parse), "%s", note.state);
	if ((rc = once(&read_rc, e)) != RC_OK)
		return rc;
	return __real_spool_read(it, b, r, e);
}

enum rc
__wrap_spool_move(struct spool *sp, struct spool_item *it, enum spool_box to, struct err *e)
{
	enum rc rc = once(&move_rc, e);

	return rc != RC_OK ? rc : __real_spool_move(sp, it, to, e);
}

enum rc
__wrap_store_begin(struct store *st, struct store_doc *doc, struct err *e)
{
	enum rc rc = once(&begin_rc, e);

	if (rc != RC_OK && e != NULL)
		e->sys = begin_sys;
	return rc != RC_OK ? rc : __real_store_begin(st, doc, e);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	if (!no_memory)
		return __real_calloc(n, size);
	no_memory = false;
	return NULL;
}

/* ---- helpers ---- */

static int
set_up(void **state)
{
	read_rc = move_rc = begin_rc = RC_OK;
	begin_sys = 0;
	no_memory = false;
	state_at_parse[0] = '\0';
	return fake_setup(state);
}

/* Begin an event and bring it to its call back, the token being there or asked for. */
static struct job *
begin(const char *name, const char *body)
{
	struct job *job = jobs_find(fake.jobs, name);

	if (job == NULL)
		job = fake_event(name, body);
	work_start(&fake, job);
	fake_settle();
	if (fake_ncalls > 0 && fake_calls[fake_ncalls - 1].live &&
	    str_begins(fake_calls[fake_ncalls - 1].url, "https://id."))
		fake_token("t1");
	return job;
}

static void
reply(const char *url, struct http_answer a)
{
	fake_answer(url, a);
	fake_settle();
}

/* The try ended, and this is where the event is. */
static void
ended(const char *name, enum spool_box box)
{
	assert_int_equal(fake.running, 0);
	assert_null(fake.first);
	assert_string_equal(spool_box_name(fake_box(name)), spool_box_name(box));
	if (box != SPOOL_CUR)
		assert_null(jobs_find(fake.jobs, name));
}

/* It waits, with so many tries counted, in memory as on disk. */
static void
waits(const char *name, unsigned tries)
{
	struct job *job = jobs_find(fake.jobs, name);
	struct retry r;

	ended(name, SPOOL_CUR);
	assert_non_null(job);
	assert_int_not_equal(job->at, JOBS_NOWHERE);
	assert_true(job->due > fake_mono);
	assert_int_equal(fake_note(name, &r), RC_OK);
	assert_int_equal(r.tries, tries);
	assert_int_equal(job->retry.tries, tries);
	assert_string_equal(r.state, "waiting");
	assert_string_not_equal(r.reason, "");
	/* What waits for a target sleeps until that is up, whatever the note expects. */
	if (job->target == 0)
		assert_int_equal(r.due - fake_wall, job->due - fake_mono);
}

/* It waits in memory and has been due for long. */
static void
waits_overdue(const char *name)
{
	const struct job *job = jobs_find(fake.jobs, name);

	ended(name, SPOOL_CUR);
	assert_non_null(job);
	assert_true(job->due <= fake_mono);
}

static void
stored(const char *path, const char *content)
{
	int root = tmpdir_open(fake_store);
	char text[4096];

	assert_int_equal(tmpdir_read(root, path, text, sizeof(text)), strlen(content));
	assert_string_equal(text, content);
	(void)close(root);
}

static struct http_answer
fate(enum http_fate f)
{
	struct http_answer a = {
	    .fate = f, .body = "", .text = "broken", .length = -1, .retry_after = -1};

	return a;
}

/* ---- records ---- */

static void
test_record(void **state)
{
	struct counts *c = spool_counts(fake.spool);
	struct retry r;

	(void)state;
	(void)begin(CLIENT, client);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_string_equal(r.state, "running");
	assert_int_equal(r.tries, 1);
	assert_string_equal(
	    fake_calls[1].url, API "client?accountHashId=acc1&clientHashId=cli1");
	assert_string_equal(fake_calls[1].bearer, "t1");
	assert_int_equal(count_get(c, COUNT_WAITING), 1);
	reply(API, fake_status(200, "{\"a\":1}"));
	ended(CLIENT, SPOOL_DONE);
	stored("acme/Client/cli1/record.json", "{\"a\":1}");
	assert_int_equal(fake_note(CLIENT, &r), RC_GONE);
	assert_int_equal(count_get(c, COUNT_WAITING), 0);
	assert_int_equal(count_get(c, COUNT_DONE), 1);
}

static void
test_statuses(void **state)
{
	static const struct {
		int status;
		enum spool_box box;
		unsigned tries; /* in cur */
	} t[] = {
	    {204, SPOOL_CUR, 1},
	    {302, SPOOL_FAILED, 0},
	    {400, SPOOL_FAILED, 0},
	    {403, SPOOL_FAILED, 0},
	    {404, SPOOL_DONE, 0},
	    {410, SPOOL_DONE, 0},
	    {500, SPOOL_CUR, 1},
	    {503, SPOOL_CUR, 1},
	};
	struct retry r;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct http_answer a = fake_status(t[i].status, "");
		char name[NAME_SIZE];

		(void)snprintf(name, sizeof(name), "acme.s%d.Client.Update", t[i].status);
		(void)begin(name, client);
		(void)snprintf(a.location, sizeof(a.location), "%s", DOC);
		reply(API, a);
		if (t[i].box == SPOOL_CUR)
			waits(name, t[i].tries);
		ended(name, t[i].box);
		if (t[i].box == SPOOL_FAILED) {
			assert_int_equal(fake_note(name, &r), RC_OK);
			assert_string_equal(r.state, "failed");
			assert_string_not_equal(r.reason, "");
		}
	}
	/* A document may come after its event. */
	(void)begin(UPLOAD, upload);
	reply(API, fake_status(404, ""));
	waits(UPLOAD, 1);
	fake_pass(CLK_HOUR);
	(void)begin(UPLOAD, upload);
	reply(API, fake_status(404, ""));
	ended(UPLOAD, SPOOL_DONE);
}

static void
test_given_up(void **state)
{
	struct retry r;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		(void)begin(CLIENT, client);
		reply(API, fake_status(500, ""));
		if (i < 3)
			waits(CLIENT, i);
	}
	ended(CLIENT, SPOOL_FAILED);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_non_null(strstr(r.reason, "given up after 3 tries"));
	assert_int_equal(count_get(spool_counts(fake.spool), COUNT_FAILED), 1);
}

/* The age limit is about failures: time in which a target was down, or we were, is none. */
static void
test_age(void **state)
{
	struct http_answer down = fate(HTTP_NO_CONNECT);
	struct job *job;

	(void)state;
	fake_conf.daemon.tries = 1000;
	fake_conf.daemon.retry_age = CLK_HOUR;
	(void)begin(CLIENT, client);
	reply(API, fake_status(500, ""));
	waits(CLIENT, 1);
	down.retry_after = CLK_DAY;
	for (unsigned i = 0; i < 10; i++) {
		job = begin(CLIENT, client);
		reply(API, down);
		fake_pass(30 * CLK_DAY);
	}
	waits_overdue(CLIENT);
	assert_true(job->retry.age < 2 * CLK_HOUR);
	/* Pauses after failures add up. */
	for (unsigned i = 0; fake_box(CLIENT) == SPOOL_CUR; i++) {
		assert_true(i < 100);
		(void)begin(CLIENT, client);
		reply(API, fake_status(500, ""));
		fake_pass(CLK_DAY);
	}
	ended(CLIENT, SPOOL_FAILED);
}

/* An outage: one try of each event counts at most, then they wait. */
static void
test_outage(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct job *job = begin(CLIENT, client);

		if (fake.running > 0)
			reply(API, fate(HTTP_NO_CONNECT));
		waits(CLIENT, 1);
		fake_pass(job->due - fake_mono);
	}
	assert_true(fake_ncalls > 10);
	(void)begin(CLIENT, client);
	reply(API, fake_status(200, "{}"));
	ended(CLIENT, SPOOL_DONE);
}

/* Retry-After lengthens the wait, counted or not. */
static void
test_retry_after(void **state)
{
	struct http_answer a = fake_status(429, "");

	(void)state;
	a.retry_after = CLK_HOUR;
	for (unsigned i = 0; i < 2; i++) {
		struct job *job = begin(CLIENT, client);

		reply(API, a);
		waits(CLIENT, 1);
		assert_true(job->due - fake_mono >= CLK_HOUR);
		fake_pass(job->due - fake_mono);
	}
}

static void
test_not_json(void **state)
{
	(void)state;
	(void)begin(CLIENT, client);
	reply(API, fake_status(200, "<html>"));
	waits(CLIENT, 1);
}

static void
test_delete(void **state)
{
	static const char body[] =
	    "{\"eventId\":\"e4\",\"eventType\":\"Client.Delete\",\"clientHashId\":\"cli1\"}";

	(void)state;
	(void)begin("acme.e4.Client.Delete", body);
	assert_int_equal(fake_ncalls, 0);
	ended("acme.e4.Client.Delete", SPOOL_DONE);
	(void)begin(CLIENT, client);
	reply(API, fake_status(200, "{}"));
	ended(CLIENT, SPOOL_DONE);
	assert_int_equal(access(fake_store, F_OK), 0);
}

/* What needs a person, or cannot be read. */
static void
test_unfit(void **state)
{
	static const struct {
		const char *name, *body;
		enum spool_box box;
	} t[] = {
	    {"acme.u1.Other.Other", "{}", SPOOL_FAILED},
	    {"acme.u2.Client.Update", "{\"eventType\":\"Client.Update\"}", SPOOL_FAILED},
	    {"acme.u3.Client.Update", "[1", SPOOL_FAILED},
	    {"acme.u4.Client.Update", "7", SPOOL_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		(void)begin(t[i].name, t[i].body);
		ended(t[i].name, t[i].box);
	}
	(void)fake_event(CLIENT, client);
	read_rc = RC_BAD;
	(void)begin(CLIENT, client);
	ended(CLIENT, SPOOL_REJECTED);
	assert_int_equal(count_get(spool_counts(fake.spool), COUNT_IN_REJECTED), 1);
}

/* ---- the token ---- */

static void
test_renewal(void **state)
{
	(void)state;
	(void)begin(CLIENT, client);
	fake_pass(CLK_HOUR);
	fake_answer(API, fake_status(401, ""));
	fake_token("t2");
	assert_string_equal(fake_calls[fake_ncalls - 1].bearer, "t2");
	/* A fresh token that is refused: a person has to look, and this does not count. */
	reply(API, fake_status(401, ""));
	waits(CLIENT, 0);
	assert_true(target_is_shut(target_get(fake.targets, "api:acme", fake_mono), fake_mono));
	(void)begin(CLIENT, client);
	waits(CLIENT, 0);
	/* Then one tries it out; its 401 may force a renewal again, and it goes on by itself.
	 */
	fake_pass(10 * CLK_MINUTE);
	(void)begin(CLIENT, client);
	reply(API, fake_status(401, ""));
	fake_token("t3");
	reply(API, fake_status(200, "{}"));
	ended(CLIENT, SPOOL_DONE);
}

/* A token that the API takes elsewhere is not renewed again and again for a 401 here and there.
 */
static void
test_odd_refusals(void **state)
{
	unsigned tokens = 0;

	(void)state;
	fake_conf.daemon.tries = 100;
	(void)begin(CLIENT, client);
	reply(API, fake_status(200, "{}"));
	ended(CLIENT, SPOOL_DONE);
	(void)begin(CLIENT2, client2);
	fake_answer(API, fake_status(401, ""));
	fake_token("t2");
	reply(API, fake_status(401, ""));
	/* Never taken: paused, until a person looks or ten minutes later. */
	waits(CLIENT2, 0);
	fake_pass(10 * CLK_MINUTE);
	(void)begin(CLIENT2, client2);
	reply(API, fake_status(200, "{}"));
	ended(CLIENT2, SPOOL_DONE);
	(void)begin("acme.o1.Client.Update", client);
	fake_answer(API, fake_status(401, ""));
	fake_token("t3");
	reply(API, fake_status(200, "{}"));
	ended("acme.o1.Client.Update", SPOOL_DONE);
	for (unsigned i = 0; i < 3; i++) {
		(void)begin("acme.o2.Client.Update", client);
		reply(API, fake_status(401, ""));
		waits("acme.o2.Client.Update", 1);
	}
	assert_true(target_is_shut(target_get(fake.targets, "api:acme", fake_mono), fake_mono));
	fake_pass(CLK_MINUTE);
	(void)begin("acme.o2.Client.Update", client);
	reply(API, fake_status(200, "{}"));
	ended("acme.o2.Client.Update", SPOOL_DONE);
	for (unsigned i = 0; i < fake_ncalls; i++)
		tokens += str_begins(fake_calls[i].url, "https://id.");
	assert_int_equal(tokens, 3);
}

static void
test_no_token(void **state)
{
	(void)state;
	work_start(&fake, fake_event(CLIENT, client));
	reply("https://id.", fake_status(403, "{\"error\":\"access_denied\"}"));
	waits(CLIENT, 0);
	assert_non_null(strstr(jobs_find(fake.jobs, CLIENT)->retry.reason, "access_denied"));
	/* While it is left alone nobody asks again. */
	work_start(&fake, jobs_find(fake.jobs, CLIENT));
	assert_int_equal(fake_ncalls, 1);
	waits(CLIENT, 0);
}

/* ---- documents ---- */

/* Details with a new link each time. */
static struct http_answer
fresh(void)
{
	static char text[200];
	static unsigned n;

	(void)snprintf(
	    text, sizeof(text), "{\"location\":\"" DOC "will.pdf?X-Amz-Signature=%u\"}", ++n);
	return fake_status(200, text);
}

static void
test_document(void **state)
{
	struct http_answer a = fake_status(200, PDF);

	(void)state;
	(void)begin(UPLOAD, upload);
	reply(API "filestore?", fake_status(200, details));
	assert_string_equal(fake_calls[fake_ncalls - 1].bearer, "");
	(void)snprintf(a.content_type, sizeof(a.content_type), "application/pdf");
	reply(DOC "will.pdf?X-Amz-Signature=1", a);
	ended(UPLOAD, SPOOL_DONE);
	stored("acme/FileStore/doc1/document.pdf", PDF);
	stored("acme/FileStore/doc1/record.json", details);
	assert_int_equal(count_get(spool_counts(fake.spool), COUNT_DOCUMENTS), 1);
	/* Our own download raised an event: nothing is asked. */
	fake_ncalls = 0;
	(void)begin("acme.e9.FileStore.Download",
	    "{\"eventId\":\"e9\",\"eventType\":\"FileStore.Download\",\"documentHashId\":"
	    "\"doc1\"}");
	assert_int_equal(fake_ncalls, 0);
	ended("acme.e9.FileStore.Download", SPOOL_DONE);
}

static void
test_relink(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	for (unsigned i = 0; i <= 3; i++) {
		reply(API, fresh());
		reply(DOC, fake_status(403, ""));
	}
	waits(UPLOAD, 1);
	assert_null(jobs_find(fake.jobs, UPLOAD)->link);
}

/* The API gives the refused link again: it is not asked a second time. */
static void
test_same_link_again(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	reply(API, fake_status(200, details));
	reply(DOC, fake_status(403, ""));
	reply(API, fake_status(200, details));
	waits(UPLOAD, 1);
	assert_non_null(strstr(jobs_find(fake.jobs, UPLOAD)->retry.reason, "again"));
	assert_null(jobs_find(fake.jobs, UPLOAD)->link);
}

/* The host is down: the link is kept, and the next try begins with it. */
static void
test_kept_link(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	reply(API, fresh());
	reply(DOC, fake_status(503, ""));
	waits(UPLOAD, 1);
	assert_non_null(jobs_find(fake.jobs, UPLOAD)->link);
	(void)begin(UPLOAD, upload);
	/* It is refused now: a new one is asked for, and the old one is forgotten. */
	reply(DOC, fake_status(403, ""));
	reply(API, fresh());
	for (unsigned i = 0; i < 3; i++) {
		reply(DOC, fake_status(403, ""));
		if (i < 2)
			reply(API, fresh());
	}
	waits(UPLOAD, 2);
	assert_null(jobs_find(fake.jobs, UPLOAD)->link);
}

static void
test_redirects(void **state)
{
	struct http_answer a = fake_status(302, "");

	(void)state;
	(void)snprintf(a.location, sizeof(a.location), "%s", "https://x.example.org/a b.pdf");
	(void)begin(UPLOAD, upload);
	reply(API, a);
	reply("https://x.example.org/a%20b.pdf", a);
	reply("https://x.example.org/a%20b.pdf", fake_status(200, PDF));
	ended(UPLOAD, SPOOL_DONE);

	(void)begin("acme.e5.FileStore.Upload", upload);
	reply(API, a);
	for (unsigned i = 0; i <= 3; i++)
		reply("https://x.example.org/", a);
	waits("acme.e5.FileStore.Upload", 1);

	(void)snprintf(a.location, sizeof(a.location), "%s", "https://evil.example.net/");
	(void)begin("acme.e6.FileStore.Upload", upload);
	reply(API, a);
	ended("acme.e6.FileStore.Upload", SPOOL_FAILED);
}

static void
test_bytes(void **state)
{
	struct http_answer a = fake_status(200, PDF);

	(void)state;
	(void)snprintf(a.content_type, sizeof(a.content_type), "application/pdf");
	(void)begin(UPLOAD, upload);
	reply(API, a);
	ended(UPLOAD, SPOOL_DONE);
	stored("acme/FileStore/doc1/document.pdf", PDF);
}

static void
test_page_for_document(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	reply(API, fake_status(200, details));
	reply(DOC, fake_status(200, "<html>sorry</html>"));
	waits(UPLOAD, 1);
}

/* Our own disk is full: nothing is counted, and nobody asks the API before there is room. */
static void
test_full(void **state)
{
	struct http_answer full = fate(HTTP_LOCAL);
	struct target *disk = target_get(fake.targets, PARK_STORE, fake_mono);
	struct spool_item item;
	struct retry r;

	(void)state;
	full.sys = ENOSPC;
	(void)begin(UPLOAD, upload);
	for (unsigned i = 0; i < 5; i++) {
		begin_rc = RC_FULL;
		begin_sys = ENOSPC;
		reply(API, fake_status(200, details));
		waits(UPLOAD, 0);
		assert_false(park_pass(&fake, jobs_find(fake.jobs, UPLOAD), fake_mono));
		(void)fake_event("acme.f.Client.Update", client);
		assert_false(
		    park_pass(&fake, jobs_find(fake.jobs, "acme.f.Client.Update"), fake_mono));
		jobs_remove(fake.jobs, jobs_find(fake.jobs, "acme.f.Client.Update"));
		assert_int_equal(
		    spool_lock(fake.spool, SPOOL_CUR, "acme.f.Client.Update", &item, NULL),
		    RC_OK);
		assert_int_equal(spool_remove(fake.spool, &item, NULL), RC_OK);
		spool_unlock(&item);
		fake_pass(disk->open_until - fake_mono);
		park_tick(&fake, fake_mono);
		assert_true(jobs_find(fake.jobs, UPLOAD)->due <= fake_mono);
		assert_true(park_pass(&fake, jobs_find(fake.jobs, UPLOAD), fake_mono));
		jobs_find(fake.jobs, UPLOAD)->link_end = 1; /* the link is too old */
		(void)begin(UPLOAD, upload);
	}
	/* While the document comes, likewise; its link is kept. */
	reply(API, fake_status(200, details));
	reply(DOC, full);
	waits(UPLOAD, 0);
	fake_pass(disk->open_until - fake_mono);
	(void)begin(UPLOAD, upload);
	reply(DOC, fake_status(200, PDF));
	ended(UPLOAD, SPOOL_DONE);
	assert_int_equal(fake_note(UPLOAD, &r), RC_GONE);
	assert_false(
	    target_is_shut(target_get(fake.targets, PARK_STORE, fake_mono), fake_mono));
}

/* Our own disk refuses this one: it may be at fault itself, so it counts. */
static void
test_no_room(void **state)
{
	(void)state;
	(void)begin(UPLOAD, upload);
	begin_rc = RC_DENIED;
	reply(API, fake_status(200, details));
	waits(UPLOAD, 1);
	assert_int_equal(
	    target_ask(
		target_get(fake.targets, "document:docs.example.org", fake_mono), fake_mono),
	    0);
}

/* ---- how tries are counted ---- */

/* The note says "running" before the event is looked at: what is in it may be what kills us. */
static void
test_noted_first(void **state)
{
	(void)state;
	(void)begin(CLIENT, client);
	assert_string_equal(state_at_parse, "running");
	reply(API, fake_status(200, "{}"));
	ended(CLIENT, SPOOL_DONE);
}

/* Not read, not moved, no memory: it waits, and what was counted before stays. */
static void
test_disk_trouble(void **state)
{
	struct job *job = fake_event(CLIENT, client);

	(void)state;
	job->retry.tries = 2;
	job->retry.first = fake_wall;
	read_rc = RC_LATER;
	(void)begin(CLIENT, client);
	waits(CLIENT, 2);
	move_rc = RC_LATER;
	(void)begin(CLIENT, client);
	reply(API, fake_status(200, "{}"));
	waits(CLIENT, 2);
	/* What it had asked is known: only the end is missing. */
	(void)begin(CLIENT, client);
	ended(CLIENT, SPOOL_DONE);
}

static void
test_no_memory(void **state)
{
	struct job *job = fake_event(CLIENT, client);

	(void)state;
	fake.alone = job;
	no_memory = true;
	work_start(&fake, job);
	no_memory = false;
	assert_null(fake.alone);
	assert_int_equal(fake.running, 0);
	assert_ptr_equal(jobs_first(fake.jobs), job);
	assert_true(job->due > fake_mono);
}

static void
test_not_there(void **state)
{
	struct job *job = fake_event(CLIENT, client);
	struct spool_item it;

	(void)state;
	assert_int_equal(spool_lock(fake.spool, SPOOL_CUR, CLIENT, &it, NULL), RC_OK);
	work_start(&fake, job);
	assert_int_equal(fake.running, 0);
	assert_int_not_equal(job->at, JOBS_NOWHERE);
	assert_int_equal(spool_move(fake.spool, &it, SPOOL_HELD, NULL), RC_OK);
	spool_unlock(&it);
	work_start(&fake, job);
	ended(CLIENT, SPOOL_HELD);
}

/* ---- the same record ---- */

static void
test_blocked(void **state)
{
	struct job *a, *b;
	struct retry r;
	unsigned calls;

	(void)state;
	(void)fake_event(CLIENT2, client2);
	a = begin(CLIENT, client);
	b = begin(CLIENT2, client2);
	assert_int_equal(fake.running, 1);
	assert_null(b->work);
	assert_int_equal(b->at, JOBS_NOWHERE);
	/* It is neither running nor tried, should the daemon die now. */
	assert_int_equal(b->retry.tries, 0);
	assert_int_equal(fake_note(CLIENT2, &r), RC_GONE);
	assert_ptr_equal(a->work->blocked.first, b);
	reply(API, fake_status(200, "{\"n\":1}"));
	ended(CLIENT, SPOOL_DONE);
	assert_ptr_equal(jobs_first(fake.jobs), b);
	/* It was here before the call was made: there is nothing more to ask. */
	calls = fake_ncalls;
	(void)begin(CLIENT2, client2);
	assert_int_equal(fake_ncalls, calls);
	ended(CLIENT2, SPOOL_DONE);
	stored("acme/Client/cli1/record.json", "{\"n\":1}");
}

/* One that comes after the call was made is not served by it. */
static void
test_came_later(void **state)
{
	(void)state;
	(void)begin(CLIENT, client);
	(void)begin(CLIENT2, client2);
	reply(API, fake_status(200, "{\"n\":1}"));
	ended(CLIENT, SPOOL_DONE);
	(void)begin(CLIENT2, client2);
	reply(API, fake_status(200, "{\"n\":2}"));
	ended(CLIENT2, SPOOL_DONE);
	stored("acme/Client/cli1/record.json", "{\"n\":2}");
}

/* So many wait for one record: number 0 leads. */
static void
crowd(unsigned n)
{
	char name[NAME_SIZE];

	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "acme.c%u.Client.Update", i);
		(void)fake_event(name, client2);
	}
	for (unsigned i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "acme.c%u.Client.Update", i);
		(void)begin(name, client2);
		assert_int_equal(fake.running, 1);
	}
}

/* What is due is begun as the loop does it, until nothing is. */
static unsigned
drain(void)
{
	struct job *job;
	unsigned n = 0;

	while ((job = jobs_first(fake.jobs)) != NULL && job->due <= fake_mono) {
		if (!park_pass(&fake, job, fake_mono) || share_waits(&fake, job))
			continue;
		work_start(&fake, job);
		fake_settle();
		n += fake.running == 0;
	}
	return n;
}

static void
crowd_is(unsigned n, enum spool_box box)
{
	for (unsigned i = 0; i < n; i++) {
		char name[NAME_SIZE];

		(void)snprintf(name, sizeof(name), "acme.c%u.Client.Update", i);
		ended(name, box);
	}
}

#define CROWD 30

static void
test_crowd(void **state)
{
	(void)state;
	crowd(CROWD);
	reply(API, fake_status(200, "{}"));
	assert_int_equal(drain(), CROWD - 1);
	crowd_is(CROWD, SPOOL_DONE);
	assert_int_equal(fake_ncalls, 2); /* the token and the record */
	assert_int_equal(jobs_count(fake.jobs), 0);
}

/* A verdict is for all of them too, and so is its wait. */
static void
test_crowd_fails(void **state)
{
	struct retry r;

	(void)state;
	crowd(CROWD);
	for (unsigned i = 0; i < 3; i++) {
		reply(API, fake_status(500, ""));
		if (i == 2)
			break;
		waits("acme.c0.Client.Update", i + 1);
		assert_int_equal(drain(), 0);
		assert_int_equal(fake.running, 0);
		fake_pass(jobs_first(fake.jobs)->due - fake_mono + 1);
		(void)drain();
		assert_int_equal(fake.running, 1);
	}
	assert_int_equal(drain(), CROWD - 1);
	crowd_is(CROWD, SPOOL_FAILED);
	assert_int_equal(fake_ncalls, 4);
	assert_int_equal(fake_note("acme.c7.Client.Update", &r), RC_OK);
	assert_non_null(strstr(r.reason, "given up after 3 tries: the API answered 500"));
	assert_non_null(strstr(r.reason, "by the call for acme.c0.Client.Update"));
}

static void
test_crowd_gone(void **state)
{
	(void)state;
	crowd(CROWD);
	reply(API, fake_status(404, ""));
	assert_int_equal(drain(), CROWD - 1);
	crowd_is(CROWD, SPOOL_DONE);
	assert_int_equal(fake_ncalls, 2);
}

/* The API is down: one tries it out, and what it brings is for the others. */
static void
test_crowd_down(void **state)
{
	struct target *t = target_get(fake.targets, "api:acme", fake_mono);

	(void)state;
	(void)target_pause(t, fake_mono, CLK_MINUTE, "down");
	target_resume(t, fake_mono);
	crowd(CROWD);
	reply(API, fate(HTTP_NO_CONNECT));
	assert_int_equal(drain(), 0);
	fake_pass(t->open_until - fake_mono);
	park_tick(&fake, fake_mono);
	(void)drain();
	assert_int_equal(fake.running, 1);
	reply(API, fake_status(200, "{}"));
	assert_int_equal(drain(), 0);
	park_tick(&fake, fake_mono);
	assert_int_equal(drain(), CROWD - 1);
	crowd_is(CROWD, SPOOL_DONE);
	assert_int_equal(fake_ncalls, 3);
}

/* Kinds that are asked about in different ways do not share, links that look different do. */
static void
test_other_way(void **state)
{
	static const char other[] =
	    "{\"eventType\":\"Client.Create\",\"clientHashId\":\"cli1\"}";
	static const char link[] = "{\"eventType\":\"Client.Update\",\"clientHashId\":\"cli1\","
				   "\"link\":\"https://api.example.com/v2/client?id=cli1\"}";
	struct conf_callback cb = {.kind = (char *)(uintptr_t) "Client.Create",
	    .get = (char *)(uintptr_t) "/new?id={clientHashId}"};

	(void)state;
	fake_conf.callbacks = &cb;
	fake_conf.ncallbacks = 1;
	(void)fake_event("acme.o1.Client.Create", other);
	(void)fake_event("acme.o2.Client.Update", link);
	(void)begin(CLIENT, client);
	(void)begin("acme.o1.Client.Create", other);
	(void)begin("acme.o2.Client.Update", link);
	reply(API "client", fake_status(200, "{}"));
	ended(CLIENT, SPOOL_DONE);
	assert_int_equal(drain(), 0);
	reply(API "new", fake_status(200, "{}"));
	ended("acme.o1.Client.Create", SPOOL_DONE);
	assert_int_equal(drain(), 1);
	ended("acme.o2.Client.Update", SPOOL_DONE);
}

/* One who leads the others goes away: the next one leads. */
static void
test_leader_gone(void **state)
{
	struct spool_item it;

	(void)state;
	crowd(CROWD);
	reply(API, fake_status(200, "{}"));
	assert_string_equal(jobs_first(fake.jobs)->name, "acme.c1.Client.Update");
	assert_int_equal(
	    spool_lock(fake.spool, SPOOL_CUR, "acme.c1.Client.Update", &it, NULL), RC_OK);
	assert_int_equal(spool_move(fake.spool, &it, SPOOL_HELD, NULL), RC_OK);
	spool_unlock(&it);
	assert_int_equal(drain(), CROWD - 1);
	assert_int_equal(jobs_count(fake.jobs), 0);
	ended("acme.c1.Client.Update", SPOOL_HELD);
	ended("acme.c29.Client.Update", SPOOL_DONE);
}

/* An answer that is older than what the store has does not replace it. */
static void
test_older(void **state)
{
	static const char new[] = "{\"updatedOn\":\"2026-03-05T10:11:13Z\",\"n\":2}";
	static const char old[] = "{\"updatedOn\":\"2026-03-05T10:11:12Z\",\"n\":1}";

	(void)state;
	(void)begin(CLIENT, client);
	reply(API, fake_status(200, new));
	ended(CLIENT, SPOOL_DONE);
	(void)begin(CLIENT2, client2);
	reply(API, fake_status(200, old));
	ended(CLIENT2, SPOOL_DONE);
	stored("acme/Client/cli1/record.json", new);
}

/* A tombstone is not removed by a late update, whatever it says. */
static void
test_late_update(void **state)
{
	static const char body[] =
	    "{\"eventId\":\"e4\",\"eventType\":\"Client.Delete\",\"clientHashId\":\"cli1\"}";
	static const char new[] = "{\"updatedOn\":\"2099-03-05T10:11:13Z\"}";
	int root;

	(void)state;
	(void)begin(CLIENT, client);
	(void)begin("acme.e4.Client.Delete", body);
	reply(API, fake_status(200, "{\"n\":1}"));
	ended(CLIENT, SPOOL_DONE);
	(void)drain();
	ended("acme.e4.Client.Delete", SPOOL_DONE);
	(void)begin(CLIENT2, client2);
	reply(API, fake_status(200, new));
	ended(CLIENT2, SPOOL_DONE);
	root = tmpdir_open(fake_store);
	assert_true(io_exists(root, "acme/Client/cli1/deleted.json"));
	(void)close(root);
	stored("acme/Client/cli1/record.json", "{\"n\":1}");
}

/* Many wait for one; an operator takes one of them away meanwhile. */
static void
test_blocked_moved(void **state)
{
	struct spool_item it;
	char name[NAME_SIZE];
	unsigned left = 0;

	(void)state;
	(void)begin(CLIENT, client);
	for (unsigned i = 0; i < 10; i++) {
		(void)snprintf(name, sizeof(name), "acme.b%u.Client.Update", i);
		(void)begin(name, client2);
	}
	assert_int_equal(
	    spool_lock(fake.spool, SPOOL_CUR, "acme.b5.Client.Update", &it, NULL), RC_OK);
	assert_int_equal(spool_move(fake.spool, &it, SPOOL_HELD, NULL), RC_OK);
	spool_unlock(&it);
	reply(API, fake_status(500, ""));
	waits(CLIENT, 1);
	fake_pass(jobs_first(fake.jobs)->due - fake_mono + 1);
	left = drain();
	assert_int_equal(fake.running, 1);
	reply(API, fake_status(200, "{}"));
	left += drain();
	assert_int_equal(left, 10); /* the one that was moved among them */
	assert_int_equal(jobs_count(fake.jobs), 0);
	ended("acme.b5.Client.Update", SPOOL_HELD);
	ended("acme.b9.Client.Update", SPOOL_DONE);
}

/* ---- a clean stop ---- */

static void
test_stop(void **state)
{
	struct retry r;
	struct job *a, *b;

	(void)state;
	a = begin(CLIENT, client);
	b = begin(CLIENT2, client2);
	(void)begin(UPLOAD, upload);
	assert_int_equal(fake.running, 2);
	work_stop(&fake);
	ended(CLIENT, SPOOL_CUR);
	assert_false(fake_calls[1].live);
	assert_int_equal(a->retry.tries, 0);
	assert_int_equal(b->retry.tries, 0);
	assert_int_not_equal(b->at, JOBS_NOWHERE);
	assert_int_equal(jobs_count(fake.jobs), 3);
	assert_int_equal(fake_note(CLIENT, &r), RC_GONE);
	assert_int_equal(fake_note(CLIENT2, &r), RC_GONE);
}

static void
test_stop_counts_nothing(void **state)
{
	struct job *job = fake_event(CLIENT, client);
	struct retry r;

	(void)state;
	job->retry.interruptions = 1;
	(void)begin(CLIENT, client);
	work_stop(&fake);
	assert_int_equal(job->retry.tries, 0);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_int_equal(r.interruptions, 1);
	assert_int_equal(r.tries, 0);
	assert_string_equal(r.state, "waiting");
	/* With tries behind it. */
	job->retry.tries = 2;
	(void)begin(CLIENT, client);
	work_stop(&fake);
	assert_int_equal(fake_note(CLIENT, &r), RC_OK);
	assert_int_equal(r.tries, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, fake_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_record),
	    TEST(test_statuses),
	    TEST(test_given_up),
	    TEST(test_age),
	    TEST(test_outage),
	    TEST(test_retry_after),
	    TEST(test_not_json),
	    TEST(test_delete),
	    TEST(test_unfit),
	    TEST(test_renewal),
	    TEST(test_odd_refusals),
	    TEST(test_no_token),
	    TEST(test_document),
	    TEST(test_relink),
	    TEST(test_same_link_again),
	    TEST(test_kept_link),
	    TEST(test_redirects),
	    TEST(test_bytes),
	    TEST(test_page_for_document),
	    TEST(test_full),
	    TEST(test_no_room),
	    TEST(test_noted_first),
	    TEST(test_disk_trouble),
	    TEST(test_no_memory),
	    TEST(test_not_there),
	    TEST(test_blocked),
	    TEST(test_came_later),
	    TEST(test_crowd),
	    TEST(test_crowd_fails),
	    TEST(test_crowd_gone),
	    TEST(test_crowd_down),
	    TEST(test_other_way),
	    TEST(test_leader_gone),
	    TEST(test_older),
	    TEST(test_late_update),
	    TEST(test_blocked_moved),
	    TEST(test_stop),
	    TEST(test_stop_counts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
