/*
 * SPDX-License-Identifier: ISC
 *
 * t_feed - tests of feed: what the webhook missed is found, and nothing that it did not miss.
 */
#include "config.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clk.h"
#include "feed.h"
#include "log.h"
#include "spoolkit.h"

#define GRACE (15 * CLK_MINUTE)
#define OLD "2026-03-05T09:00:00.1234567Z"

static struct kit kit;
static struct conf_account account = {.name = (char *)"acme",
    .hash_id = (char *)"5Qm2xVb8TnR4kLw7ZcY0aD",
    .api = (char *)"https://api.example.invalid/pre",
    .feed_info = (char *)"/event/info?accountHashId={accountHashId}",
    .feed_page =
	(char *)"/event?a={accountHashId}&eventPositionFrom={from}&rowsReturned={rows}"};
static struct err e;

static int64_t
wall(void)
{
	return KIT_TIME;
}

static void
drop_line(const char *line, size_t n)
{
	(void)line;
	(void)n;
}

static int
set_up(void **state)
{
	(void)state;
	log_capture(drop_line);
	clk_replace(wall, NULL);
	kit_start(&kit);
	kit_open(&kit);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	kit_end(&kit);
	clk_replace(NULL, NULL);
	return 0;
}

static struct feed_pass
a_pass(uint64_t after, uint64_t until)
{
	return (struct feed_pass){.account = &account,
	    .spool = kit.sp,
	    .now = KIT_TIME,
	    .grace = GRACE,
	    .after = after,
	    .until = until};
}

static const char *
guid_of(unsigned n)
{
	static char text[2][40];
	static unsigned turn;

	turn ^= 1u;
	(void)snprintf(text[turn], sizeof(text[turn]), "%08x-5a51-4c0d-9a3e-000000000000", n);
	return text[turn];
}

static const char *
name_of(unsigned n)
{
	static char text[2][NAME_SIZE];
	static unsigned turn;

	turn ^= 1u;
	(void)snprintf(text[turn], NAME_SIZE, "acme.%s.Client.Update", guid_of(n));
	return text[turn];
}

static void
add_entry(struct buf *b, unsigned n, const char *time)
{
	buf_fmt(b,
	    "%s{\"eventId\":\"%s\",\"eventType\":\"Client.Update\",\"eventNumber\":%u,"
	    "\"eventDateTimeUtc\":\"%s\",\"properties\":[{\"Key\":\"ClientHashId\",\"Value\":"
	    "\"client%u\"}]}",
	    b->n > 0 && b->p[b->n - 1] == '}' ? "," : "", guid_of(n), n, time, n);
}

/* A page as the vendor gives it, from number high down to low. */
static const char *
a_page(unsigned high, unsigned low)
{
	static struct buf b = {.max = 1 << 20};

	buf_clear(&b);
	buf_str(&b, "[");
	for (unsigned n = high; n >= low && n > 0; n--)
		add_entry(&b, n, OLD);
	buf_str(&b, "]");
	return buf_text(&b);
}

static enum rc
page(struct feed_pass *p, const char *text)
{
	enum rc rc = feed_page(p, text, strlen(text), &e);

	if (rc != RC_OK)
		print_message("# %s\n", e.text);
	return rc;
}

static void
put(const char *name, const char *body, int64_t received)
{
	struct rec r = kit_rec(name, body);

	r.received = received;
	assert_int_equal(spool_put(kit.sp, SPOOL_NEW, &r, &e), RC_OK);
}

static void
test_urls(void **state)
{
	struct conf_account none = account;
	char url[FEED_URL];

	(void)state;
	assert_int_equal(feed_info_url(&account, url, &e), RC_OK);
	assert_string_equal(url,
	    "https://api.example.invalid/pre/event/info?accountHashId=5Qm2xVb8TnR4kLw7ZcY0aD");
	assert_int_equal(feed_page_url(&account, UINT64_MAX, url, &e), RC_OK);
	assert_string_equal(url,
	    "https://api.example.invalid/pre/event?a=5Qm2xVb8TnR4kLw7ZcY0aD&eventPositionFrom="
	    "18446744073709551615&rowsReturned=50");
	none.hash_id = (char *)"a b&c";
	assert_int_equal(feed_info_url(&none, url, &e), RC_OK);
	assert_non_null(strstr(url, "=a%20b%26c"));
	none.hash_id = NULL;
	assert_int_equal(feed_info_url(&none, url, &e), RC_CONFIG);
}

static void
test_info(void **state)
{
	static const struct {
		const char *text;
		enum rc rc;
		uint64_t last;
	} t[] = {
	    {"{\"feedLink\":\"x\",\"lastEventNumber\":1207,\"lastEntryFeed\":{}}", RC_OK, 1207},
	    {"{\"LastEventNumber\":\"1208\"}", RC_OK, 1208},
	    {"{\"lastEntryFeed\":{\"eventNumber\":7}}", RC_OK, 7},
	    {"{\"lastEventNumber\":18446744073709551615}", RC_OK, UINT64_MAX},
	    {"{\"lastEventNumber\":18446744073709551616}", RC_BAD, 0},
	    {"{\"lastEventNumber\":-1}", RC_BAD, 0},
	    {"{\"lastEventNumber\":1e3}", RC_BAD, 0},
	    {"{}", RC_BAD, 0},
	    {"[]", RC_BAD, 0},
	    {"<html>", RC_BAD, 0},
	    {"", RC_BAD, 0},
	};
	uint64_t last;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(feed_info(t[i].text, strlen(t[i].text), &last, &e), t[i].rc);
		assert_int_equal(last, t[i].last);
	}
}

static void
test_state(void **state)
{
	static const char *const bad[] = {"", "{", "{\"version\":2}", "{}", "[]"};
	struct feed_state s = {.begun = true,
	    .numbered = true,
	    .cursor = UINT64_MAX,
	    .ran = KIT_TIME,
	    .from = 1,
	    .to = 2,
	    .seen = 3,
	    .missing = 4,
	    .recovered = 5,
	    .recovered_all = 6,
	    .off = "404 \"x\"\n",
	    .answered = "0123456789abcdef",
	    .failed = "no \x01"};
	struct feed_state back;
	int dir = spool_dir(kit.sp);

	(void)state;
	assert_int_equal(feed_load(dir, "acme", &back, &e), RC_GONE);
	assert_false(back.begun);
	assert_int_equal(feed_save(dir, "acme", &s, &e), RC_OK);
	assert_int_equal(feed_load(dir, "acme", &back, &e), RC_OK);
	assert_memory_equal(&back, &s, sizeof(s));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(unlinkat(dir, "acme", 0), 0);
		tmpdir_write(dir, "acme", bad[i], strlen(bad[i]));
		assert_int_equal(feed_load(dir, "acme", &back, &e), RC_BAD);
		assert_false(back.begun);
	}
}

/* Where a pass begins, and what the state says after it. */
static void
test_begin_and_report(void **state)
{
	struct feed_state s = {0};
	struct feed_pass p = {0};

	(void)state;
	feed_pass_begin(&p, &s, 0, 7); /* the first one looks forward */
	assert_true(s.begun);
	assert_int_equal(s.cursor, 7);
	assert_int_equal(p.after, 7);
	assert_int_equal(p.until, 7);
	s = (struct feed_state){0};
	feed_pass_begin(&p, &s, 3, 7);
	assert_int_equal(s.cursor, 2);
	assert_int_equal(p.after, 2);
	assert_int_equal(p.until, 7);
	p.seen = 4;
	p.missing = p.recovered = 1;
	p.young = 6;
	feed_pass_report(&p, &s, KIT_TIME);
	assert_int_equal(s.cursor, 5);
	assert_int_equal(s.from, 2);
	assert_int_equal(s.to, 7);
	assert_int_equal(s.seen, 4);
	assert_int_equal(s.ran, KIT_TIME);
	assert_int_equal(s.recovered_all, 1);
	p = (struct feed_pass){0};
	feed_pass_begin(&p, &s, 2, 4); /* again; the feed has gone back meanwhile */
	assert_int_equal(p.after, 1);
	assert_int_equal(p.until, 4);
	feed_pass_report(&p, &s, KIT_TIME);
	assert_int_equal(s.cursor, 5);
	feed_pass_begin(&p, &s, 9, 4); /* nothing is passed over by a wish */
	assert_int_equal(p.after, 5);
	assert_int_equal(p.until, 5);
}

/* Three of five are there, in several boxes; the other two come back, the oldest first. */
static void
test_recovers(void **state)
{
	struct feed_pass p = a_pass(10, 15);
	uint64_t from;

	(void)state;
	kit_place(&kit, SPOOL_DONE, name_of(11));
	kit_place(&kit, SPOOL_FAILED, name_of(13));
	kit_place(&kit, SPOOL_CUR, name_of(15));
	assert_false(feed_pass_done(&p, &from));
	assert_int_equal(from, 15);
	assert_int_equal(page(&p, a_page(15, 6)), RC_OK);
	assert_true(feed_pass_done(&p, &from));
	assert_int_equal(p.seen, 3);
	assert_int_equal(p.missing, 2);
	assert_int_equal(p.recovered, 2);
	assert_int_equal(feed_pass_cursor(&p), 15);
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(12)));
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(14)));
	assert_int_equal(kit_names(&kit, "new"), 2);
	feed_pass_end(&p);
	/* A second pass finds them all. */
	p = a_pass(10, 15);
	assert_int_equal(page(&p, a_page(15, 6)), RC_OK);
	assert_int_equal(p.seen, 5);
	assert_int_equal(p.missing, 0);
	feed_pass_end(&p);
}

/* What is recovered is the entry byte for byte, and says where it is from. */
static void
test_record(void **state)
{
	struct feed_pass p = a_pass(0, 1);
	char text[REC_HEAD_MAX], entry[1024];
	struct rec r;
	ssize_t n;

	(void)state;
	assert_int_equal(page(&p, a_page(1, 1)), RC_OK);
	n = tmpdir_read(spool_dir(kit.sp), kit_file(SPOOL_NEW, name_of(1)), text, sizeof(text));
	assert_true(n > 0);
	assert_int_equal(rec_parse(text, (size_t)n, &r, &e), RC_OK);
	assert_int_equal(r.source, REC_RECONCILE);
	assert_true(str_copy_n(entry, sizeof(entry), r.body, r.body_len));
	assert_non_null(strstr(a_page(1, 1), entry));
	assert_int_equal(entry[0], '{');
	feed_pass_end(&p);
}

static void
test_dry_run(void **state)
{
	struct feed_pass p = a_pass(0, 5);

	(void)state;
	p.dry_run = true;
	assert_int_equal(page(&p, a_page(5, 1)), RC_OK);
	assert_int_equal(p.missing, 5);
	assert_int_equal(p.recovered, 0);
	assert_int_equal(kit_names(&kit, "new"), 0);
	feed_pass_end(&p);
}

/* What is younger than the grace is not missed; the cursor stays before it. */
static void
test_young(void **state)
{
	struct feed_pass p = a_pass(0, 4);
	struct buf b = BUF_INIT(4096);
	char old[CLK_TEXT], young[CLK_TEXT];

	(void)state;
	clk_rfc3339(KIT_TIME - GRACE, old);
	clk_rfc3339(KIT_TIME - GRACE + 1, young);
	buf_str(&b, "[");
	add_entry(&b, 4, young);
	add_entry(&b, 3, old);
	add_entry(&b, 2, young);
	add_entry(&b, 1, "not a time"); /* it can only be missed */
	buf_str(&b, "]");
	kit_place(&kit, SPOOL_DONE, name_of(4));
	assert_int_equal(page(&p, buf_text(&b)), RC_OK);
	assert_int_equal(p.seen, 1);
	assert_int_equal(p.missing, 2);
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(3)));
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(1)));
	assert_int_equal(feed_pass_cursor(&p), 1);
	buf_free(&b);
	feed_pass_end(&p);
}

/* Several pages, with numbers that are left out; and a feed that ends above the cursor. */
static void
test_pages(void **state)
{
	struct feed_pass p = a_pass(0, 120);
	uint64_t from = 0, pages = 0;

	(void)state;
	kit.opt.queue_limit = 1000;
	kit_again(&kit);
	p.spool = kit.sp;
	while (!feed_pass_done(&p, &from)) {
		unsigned high = (unsigned)from;

		assert_int_equal(page(&p, a_page(high, high > 50 ? high - 49 : 1)), RC_OK);
		pages++;
	}
	assert_int_equal(pages, 3);
	assert_int_equal(p.recovered, 120);
	feed_pass_end(&p);
	p = a_pass(0, 120);
	assert_int_equal(page(&p, a_page(120, 90)), RC_OK);
	assert_false(feed_pass_done(&p, &from));
	assert_int_equal(from, 89);
	assert_int_equal(page(&p, "[]"), RC_OK);
	assert_true(feed_pass_done(&p, &from));
	assert_int_equal(feed_pass_cursor(&p), 120);
	feed_pass_end(&p);
}

static void
test_shapes(void **state)
{
	static const struct {
		const char *before, *after;
	} good[] = {{"", ""}, {" ", "\n"}, {"{\"events\":", "}"},
	    {"{\"a\":{\"b\":[1,\"]\"]},\"q\":\"[\\\"\\\\\",\"rows\":", ",\"n\":{\"x\":[]}}"}};
	static const char *const bad[] = {"", "[", "{}", "1", "[1]", "[{}]",
	    "[{\"eventId\":\"x\"}]", "{\"a\":[],\"b\":[]}", "{\"a\":{\"b\":[]}}", "[]",
	    "[{\"eventNumber\":1,\"eventNumber\":1}]", "<html></html>"};
	char text[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct feed_pass p = a_pass(0, 2);

		p.dry_run = true;
		(void)snprintf(
		    text, sizeof(text), "%s%s%s", good[i].before, a_page(2, 1), good[i].after);
		assert_int_equal(page(&p, text), RC_OK);
		assert_int_equal(p.missing, 2);
		feed_pass_end(&p);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct feed_pass p = a_pass(0, 2);

		assert_int_equal(feed_page(&p, bad[i], strlen(bad[i]), &e), RC_BAD);
		assert_int_equal(p.recovered, 0);
		feed_pass_end(&p);
	}
}

/* A feed that does not go back would be asked for ever. */
static void
test_stuck(void **state)
{
	struct feed_pass p = a_pass(0, 100);

	(void)state;
	p.dry_run = true;
	assert_int_equal(page(&p, a_page(100, 51)), RC_OK);
	assert_int_equal(feed_page(&p, a_page(100, 51), strlen(a_page(100, 51)), &e), RC_BAD);
	feed_pass_end(&p);
}

/* The same event, delivered with another word for its kind, or with its number and no id. */
static void
test_other_names(void **state)
{
	struct feed_pass p = a_pass(0, 3);
	char other[NAME_SIZE];

	(void)state;
	(void)snprintf(other, sizeof(other), "acme.%s.Other.Other", guid_of(1));
	kit_place(&kit, SPOOL_FAILED, other);
	kit_place(&kit, SPOOL_DONE, "acme.n-2.Client.Update");
	kit_place(&kit, SPOOL_DONE, "other.n-3.Client.Update");
	assert_int_equal(page(&p, a_page(3, 1)), RC_OK);
	assert_int_equal(p.seen, 2);
	assert_int_equal(p.recovered, 1);
	assert_true(p.numbered);
	feed_pass_end(&p);
	/* From now on they are named as the webhook names them: a late one is a repeat. */
	p = a_pass(3, 5);
	p.numbered = true;
	assert_int_equal(page(&p, a_page(5, 4)), RC_OK);
	assert_int_equal(p.recovered, 2);
	assert_true(kit_has(&kit, SPOOL_NEW, "acme.n-5.Client.Update"));
	feed_pass_end(&p);
}

/* Events without identity are told apart by kind, object and time, each for one entry only. */
static void
test_anonymous(void **state)
{
	static const char body[] =
	    "{\"eventType\":\"Client.Update\",\"clientHashId\":\"client%u\"%s}";
	int64_t old, minute = CLK_MINUTE;
	struct feed_pass p = a_pass(0, 6);
	char text[256];

	(void)state;
	assert_true(clk_parse(OLD, &old));
	(void)snprintf(text, sizeof(text), body, 1u, ""); /* by its arrival */
	put("acme.t-1-a.Client.Update", text, old + minute);
	(void)snprintf(text, sizeof(text), body, 2u, ",\"eventDateTimeUtc\":\"" OLD "\"");
	put("acme.0123456789abcdef0123456789abcdef.Client.Update", text, old + 90 * minute);
	(void)snprintf(text, sizeof(text), body, 3u, ""); /* arrived too late */
	put("acme.t-3-a.Client.Update", text, old + 30 * minute);
	(void)snprintf(text, sizeof(text), body, 4u, ""); /* of another kind */
	put("acme.t-4-a.Client.Create", text, old + minute);
	(void)snprintf(text, sizeof(text), body, 5u, ",\"eventDateTimeUtc\":\"2026-03-05\"");
	put("acme.0123456789abcdef0123456789abcde5.Client.Update", text, old + minute);
	assert_int_equal(page(&p, a_page(6, 1)), RC_OK);
	assert_int_equal(p.seen, 3); /* 5 says no time that can be read: by its arrival */
	assert_int_equal(p.recovered, 3);
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(3)));
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(4)));
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(6)));
	feed_pass_end(&p);
}

static void
test_one_for_one(void **state)
{
	struct feed_pass p = a_pass(0, 2);
	struct buf b = BUF_INIT(4096);
	int64_t old;

	(void)state;
	assert_true(clk_parse(OLD, &old));
	put("acme.t-1-a.User.Update", "{\"eventType\":\"User.Update\",\"userHashId\":\"u\"}",
	    old);
	for (unsigned n = 2; n > 0; n--) {
		buf_clear(&b);
		buf_fmt(&b,
		    "[{\"eventId\":\"%s\",\"eventNumber\":%u,\"eventType\":\"User.Update\","
		    "\"userHashId\":\"u\",\"eventDateTimeUtc\":\"" OLD "\"}]",
		    guid_of(n), n);
		assert_int_equal(page(&p, buf_text(&b)), RC_OK);
	}
	assert_int_equal(p.seen, 1);
	assert_int_equal(p.recovered, 1);
	buf_free(&b);
	feed_pass_end(&p);
}

/* No room: nothing is passed over, the next pass begins where this one did. */
static void
test_full(void **state)
{
	struct feed_pass p = a_pass(0, 5);

	(void)state;
	kit.opt.queue_limit = 3;
	kit_again(&kit);
	p.spool = kit.sp;
	assert_int_equal(feed_page(&p, a_page(5, 1), strlen(a_page(5, 1)), &e), RC_FULL);
	assert_int_equal(p.recovered, 3);
	assert_true(kit_has(&kit, SPOOL_NEW, name_of(1)));
	assert_false(kit_has(&kit, SPOOL_NEW, name_of(5)));
	feed_pass_end(&p);
}

/* An entry of another account, or none that can be read, waits for a person. */
static void
test_foreign(void **state)
{
	static const char text[] =
	    "[{\"eventId\":\"x\",\"eventNumber\":1,\"eventType\":\"User.Update\","
	    "\"accountHashId\":\"other\"}]";
	struct feed_pass p = a_pass(0, 1);

	(void)state;
	assert_int_equal(page(&p, text), RC_OK);
	assert_int_equal(kit_names(&kit, "rejected/new"), 1);
	assert_int_equal(kit_names(&kit, "new"), 0);
	feed_pass_end(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_urls),
	    TEST(test_info),
	    TEST(test_state),
	    TEST(test_begin_and_report),
	    TEST(test_recovers),
	    TEST(test_record),
	    TEST(test_dry_run),
	    TEST(test_young),
	    TEST(test_pages),
	    TEST(test_shapes),
	    TEST(test_stuck),
	    TEST(test_other_names),
	    TEST(test_anonymous),
	    TEST(test_one_for_one),
	    TEST(test_full),
	    TEST(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
